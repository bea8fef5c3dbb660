//! User names, checked once at the door.

use crate::limits::USER_NAME_BYTES_MAX;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// A user's name after the door's checks: lower case, composed (NFC), 1 to 254 bytes, no control characters, no white space.
///
/// Case is folded because mail addresses reach us in any case (`auth_username_format` of other servers does the same).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Box<str>);

/// Why a name is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserNameError {
    /// Nothing was given.
    Empty,
    /// Longer than `max` bytes.
    TooLong {
        /// The bound that was passed.
        max: usize,
    },
    /// Holds a control character, white space, or one of `/ * % " \`, which mailbox names and logs could not carry.
    BadCharacter(char),
}

impl UserName {
    /// Checks and folds a name.
    pub fn new(text: &str) -> Result<UserName, UserNameError> {
        if text.is_empty() {
            return Err(UserNameError::Empty);
        }
        if text.len() > USER_NAME_BYTES_MAX {
            return Err(UserNameError::TooLong { max: USER_NAME_BYTES_MAX });
        }
        if let Some(bad) = text.chars().find(|c| c.is_control() || c.is_whitespace() || "/*%\"\\".contains(*c)) {
            return Err(UserNameError::BadCharacter(bad));
        }
        // Composed, as RFC 8265 §3.3 has it: the keyboard decides whether a "ü" comes as one sign or two.
        let folded: String = text.to_lowercase().nfc().collect();
        if folded.len() > USER_NAME_BYTES_MAX {
            return Err(UserNameError::TooLong { max: USER_NAME_BYTES_MAX });
        }
        Ok(UserName(folded.into()))
    }

    /// Names that begin with `$` are the server's own: nobody logs in or has mail under one.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }

    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for UserNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserNameError::Empty => f.write_str("the user name is empty"),
            UserNameError::TooLong { max } => write!(f, "the user name is longer than {max} bytes"),
            UserNameError::BadCharacter(c) => write!(f, "the user name holds {c:?}"),
        }
    }
}

impl std::error::Error for UserNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_and_refuses() {
        assert_eq!(UserName::new("Timo@Example.ORG").unwrap().as_str(), "timo@example.org");
        assert_eq!(UserName::new("JU\u{308}RGEN").unwrap().as_str(), "j\u{fc}rgen");
        assert!(UserName::new("$anyone").unwrap().is_reserved() && !UserName::new("us$").unwrap().is_reserved());
        assert_eq!(UserName::new(""), Err(UserNameError::Empty));
        assert_eq!(UserName::new("a b"), Err(UserNameError::BadCharacter(' ')));
        assert_eq!(UserName::new("../x"), Err(UserNameError::BadCharacter('/')));
        assert!(UserName::new(&"x".repeat(254)).is_ok());
        assert!(UserName::new(&"x".repeat(255)).is_err());
    }
}
