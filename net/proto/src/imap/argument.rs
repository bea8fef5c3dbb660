//! Arguments of an extension's command, by the general grammar alone: atoms, strings and lists of them (RFC 3501 §9).

use super::parse::{Cursor, Wrong, named_mailbox};
use super::reply::Reply;
use super::response::Names;

/// Arguments of one command, those inside lists among them: a quota root has a dozen resources, an access list a
/// hundred rights.
pub const ARGUMENTS_MAX: usize = 1024;

/// One argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Argument {
    /// A word without quotes, `NIL` among them.
    Atom(Vec<u8>),
    /// A quoted string or a literal.
    String(Vec<u8>),
    /// `(..)`, which may be empty.
    List(Vec<Argument>),
}

impl Argument {
    /// The word or the text; `None` for a list.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Argument::Atom(bytes) | Argument::String(bytes) => Some(bytes),
            Argument::List(_) => None,
        }
    }

    /// What stands in the parentheses.
    pub fn list(&self) -> Option<&[Argument]> {
        match self {
            Argument::List(list) => Some(list),
            _ => None,
        }
    }
}

/// What follows a command's name.
pub(crate) fn arguments(c: &mut Cursor<'_>) -> Result<Vec<Argument>, Wrong> {
    let (mut list, mut left) = (Vec::new(), ARGUMENTS_MAX);
    while c.eat(b' ') && !c.at_end() {
        list.push(argument(c, &mut left)?);
    }
    Ok(list)
}

fn argument(c: &mut Cursor<'_>, left: &mut usize) -> Result<Argument, Wrong> {
    *left = left.checked_sub(1).ok_or(Wrong::Bad("Too many arguments"))?;
    match c.peek() {
        Some(b'"' | b'{') => Ok(Argument::String(c.string()?.into_owned())),
        Some(b'(') if c.rest().starts_with(b"()") => {
            c.need(b'(', "").and_then(|()| c.need(b')', ""))?;
            Ok(Argument::List(Vec::new()))
        }
        Some(b'(') => {
            let mut list = Vec::new();
            c.list(|c| argument(c, left).map(|one| list.push(one)))?;
            Ok(Argument::List(list))
        }
        _ => Ok(Argument::Atom(c.astring()?.into_owned())),
    }
}

/// Reads arguments one after the other. Each failure is the reply for the client.
#[derive(Clone, Debug)]
pub struct Arguments<'a>(std::slice::Iter<'a, Argument>);

impl<'a> Arguments<'a> {
    /// From the first on.
    pub fn new(list: &'a [Argument]) -> Arguments<'a> {
        Arguments(list.iter())
    }

    /// The next one, whatever it is; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "one of several ways to take the next")]
    pub fn next(&mut self) -> Option<&'a Argument> {
        self.0.next()
    }

    /// `astring`
    ///
    /// # Errors
    /// There is none, or it is a list.
    pub fn bytes(&mut self) -> Result<&'a [u8], Reply> {
        self.next().and_then(Argument::bytes).ok_or(Reply::bad("Expected a string"))
    }

    /// `astring` in UTF-8.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn text(&mut self) -> Result<&'a str, Reply> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Reply::bad("Text is not valid UTF-8"))
    }

    /// `mailbox`, in UTF-8, INBOX in capitals.
    ///
    /// # Errors
    /// There is none, or no mailbox can have such a name.
    pub fn mailbox(&mut self, names: Names) -> Result<String, Reply> {
        named_mailbox(self.bytes()?, names).map_err(|wrong| match wrong {
            Wrong::Bad(text) | Wrong::BadCode(_, text) => Reply::bad(text),
            Wrong::No(code, text) => Reply::No { code: Some(code), text: text.into() },
        })
    }

    /// `number64`
    ///
    /// # Errors
    /// There is none, or it has more than 63 bits.
    pub fn number(&mut self) -> Result<u64, Reply> {
        let text = match self.next() {
            Some(Argument::Atom(word)) if word.iter().all(u8::is_ascii_digit) => std::str::from_utf8(word).ok(),
            _ => None,
        };
        let number = text.ok_or(Reply::bad("Expected a number"))?.parse::<u64>();
        number.ok().filter(|n| *n <= i64::MAX as u64).ok_or(Reply::bad("Number is too large"))
    }

    /// A list in parentheses.
    ///
    /// # Errors
    /// There is none.
    pub fn list(&mut self) -> Result<Arguments<'a>, Reply> {
        self.next().and_then(Argument::list).map(Arguments::new).ok_or(Reply::bad("Expected a list in parentheses"))
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self) -> Result<(), Reply> {
        if self.is_empty() { Ok(()) } else { Err(Reply::bad("Unexpected argument")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::Enabling;

    fn read(text: &str) -> Result<Vec<Argument>, Wrong> {
        let mut cursor = Cursor::new(text.as_bytes(), Enabling::default());
        let list = arguments(&mut cursor)?;
        cursor.end().map(|()| list)
    }

    #[test]
    fn words_strings_and_lists() {
        let list = read(" INBOX \"a b\" {3}\r\nx y (STORAGE 512 () (NIL))").unwrap();
        let atom = |text: &str| Argument::Atom(text.into());
        let string = |text: &str| Argument::String(text.into());
        let nested = Argument::List(vec![
            atom("STORAGE"),
            atom("512"),
            Argument::List(vec![]),
            Argument::List(vec![atom("NIL")]),
        ]);
        assert_eq!(list, [atom("INBOX"), string("a b"), string("x y"), nested]);
        assert_eq!(read(""), Ok(vec![]));
        for wrong in [" (", " (a", " (a))", " a  b", " \"a", " {3}\r\nab", " %"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_is_an_end_to_them() {
        assert!(read(&" a".repeat(ARGUMENTS_MAX)).is_ok());
        assert!(read(&" a".repeat(ARGUMENTS_MAX + 1)).is_err());
        assert!(read(&format!(" ({})", ["a"; ARGUMENTS_MAX].join(" "))).is_err());
        assert!(read(&format!(" {}{}", "(".repeat(1000), ")".repeat(1000))).is_err());
    }

    #[test]
    fn one_after_the_other() {
        let list = read(" iNbOx (STORAGE 512) 9223372036854775808").unwrap();
        let mut words = Arguments::new(&list);
        assert_eq!(words.mailbox(Names::UTF7).unwrap(), "INBOX");
        let mut inner = words.list().unwrap();
        assert_eq!((inner.text().unwrap(), inner.number().unwrap()), ("STORAGE", 512));
        inner.end().unwrap();
        assert!(words.end().is_err() && words.number().is_err() && words.end().is_ok());
        assert!(words.bytes().is_err() && words.list().is_err());
    }
}
