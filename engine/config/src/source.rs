//! Auth sources as they are written in the file.

use crate::row::choice;
use skein_base::Secret;
use std::fmt;
use std::path::PathBuf;

/// Where users and passwords come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One password for a set of users.
    Static {
        /// Their names.
        users: UserTemplate,
        /// Their password, as it is typed.
        password: Secret,
    },
    /// A file with a line per user.
    PasswdFile {
        /// Where it is.
        path: PathBuf,
    },
}

/// A source, and what its answers mean.
#[derive(Clone, Debug)]
pub struct AuthSource {
    /// The source.
    pub source: Source,
    /// What follows from its answers.
    pub rules: SourceRules,
}

/// What follows from a source's answers; names and meanings are those of Dovecot's passdb settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceRules {
    /// The user is known and the password right.
    pub result_success: Then,
    /// The password is wrong or the user not known.
    pub result_failure: Then,
    /// The source could not be asked.
    pub result_internalfail: Then,
    /// When the source is passed over.
    pub skip: Skip,
    /// Whoever is known here does not get in; the password is not looked at.
    pub deny: bool,
}

impl Default for SourceRules {
    fn default() -> SourceRules {
        SourceRules {
            result_success: Then::ReturnOk,
            result_failure: Then::Continue,
            result_internalfail: Then::Continue,
            skip: Skip::Never,
            deny: false,
        }
    }
}

choice! {
    /// What follows from an answer.
    Then {
        /// He is in; no other source is asked.
        ReturnOk = "return-ok",
        /// He is not; no other source is asked.
        ReturnFail = "return-fail",
        /// As the sources before have it; no other source is asked.
        Return = "return",
        /// He is in unless a later source says otherwise.
        ContinueOk = "continue-ok",
        /// He is not, unless a later source lets him in.
        ContinueFail = "continue-fail",
        /// Nothing: the next source is asked.
        Continue = "continue",
    }
}

choice! {
    /// When a source is passed over.
    Skip {
        /// Never.
        Never = "never",
        /// When a source before has let the user in.
        Authenticated = "authenticated",
        /// When no source before has let the user in.
        Unauthenticated = "unauthenticated",
    }
}

/// Names such as `demo` or `test{1..200}`: one, or one per number of a range, without leading zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserTemplate {
    before: String,
    range: Option<(u32, u32)>,
    after: String,
}

/// Why a template is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateError {
    /// Nothing was given.
    Empty,
    /// Braces hold something other than `first..last` with `first <= last`, or there are two pairs.
    BadRange,
}

impl UserTemplate {
    /// Reads a template. Case is folded, as user names are.
    pub fn parse(text: &str) -> Result<UserTemplate, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let text = text.to_lowercase();
        let Some((before, rest)) = text.split_once('{') else {
            let plain = UserTemplate { before: text, range: None, after: String::new() };
            return if plain.before.contains('}') { Err(TemplateError::BadRange) } else { Ok(plain) };
        };
        let (range, after) = rest.split_once('}').ok_or(TemplateError::BadRange)?;
        let (first, last) = range.split_once("..").ok_or(TemplateError::BadRange)?;
        let number = |text: &str| canonical_number(text).ok_or(TemplateError::BadRange);
        let (first, last) = (number(first)?, number(last)?);
        if first > last || after.contains(['{', '}']) {
            return Err(TemplateError::BadRange);
        }
        Ok(UserTemplate { before: before.to_owned(), range: Some((first, last)), after: after.to_owned() })
    }

    /// True when `name`, folded, is one of the template's.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, last)) = self.range else { return name == self.before };
        let middle = name.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&*self.after));
        middle.and_then(canonical_number).is_some_and(|n| (first..=last).contains(&n))
    }
}

/// A number as it is printed: no sign, no leading zero. Otherwise `test1` and `test01` would be two accounts.
fn canonical_number(text: &str) -> Option<u32> {
    let n: u32 = text.parse().ok()?;
    (!text.starts_with('+') && (text.len() == 1 || !text.starts_with('0'))).then_some(n)
}

impl fmt::Display for UserTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            None => f.write_str(&self.before),
            Some((first, last)) => write!(f, "{}{{{first}..{last}}}{}", self.before, self.after),
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a user name such as \"demo\", or with one range such as \"test{1..200}\"")
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_what_they_print() {
        let t = UserTemplate::parse("Test{1..200}@x").unwrap();
        assert_eq!(t.to_string(), "test{1..200}@x");
        for (name, expect) in
            [("test1@x", true), ("test200@x", true), ("test0@x", false), ("test201@x", false), ("test01@x", false)]
        {
            assert_eq!(t.matches(name), expect, "{name}");
        }
        for name in ["test@x", "test+1@x", "test1", "@x", "", "test99999999999@x"] {
            assert!(!t.matches(name), "{name}");
        }
        assert!(UserTemplate::parse("demo").unwrap().matches("demo"));
    }

    /// Prefix and suffix may share letters: neither may be counted twice.
    #[test]
    fn overlapping_prefix_and_suffix() {
        assert!(!UserTemplate::parse("aa{1..2}aa").unwrap().matches("aaa"));
    }

    #[test]
    fn bad_templates() {
        for text in ["", "a{", "a}", "a{1}", "a{2..1}", "a{x..2}", "a{1..2}{1..2}", "a{01..2}", "a{-1..2}"] {
            assert!(UserTemplate::parse(text).is_err(), "{text}");
        }
    }
}
