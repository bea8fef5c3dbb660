//! A line into a command.

use skein_base::Secret;
use skein_base::limits::{PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX};

/// A command that is well formed; whether it may come now is the machine's to say.
#[derive(Debug)]
pub(super) enum Command {
    Auth { mechanism: Vec<u8>, initial: Option<Vec<u8>> },
    Mechanisms,
    Capa,
    Dele(u32),
    Lang(Option<Vec<u8>>),
    Last,
    List(Option<u32>),
    Noop,
    Pass(Secret),
    Quit,
    Retr(u32),
    Rset,
    Stat,
    Stls,
    Top { number: u32, lines: u32 },
    Uidl(Option<u32>),
    User(String),
    Utf8,
}

/// When a command may come (RFC 1939 §4, §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Any,
    BeforeLogin,
    AfterLogin,
}

impl Command {
    pub fn when(&self) -> When {
        match self {
            Command::Capa | Command::Lang(_) | Command::Quit => When::Any,
            Command::Auth { .. }
            | Command::Mechanisms
            | Command::Pass(_)
            | Command::Stls
            | Command::User(_)
            | Command::Utf8 => When::BeforeLogin,
            _ => When::AfterLogin,
        }
    }
}

/// Reads a line without its line break; what is wrong with it in words.
pub(super) fn parse(line: &[u8]) -> Result<Command, &'static str> {
    if memchr::memchr2(0, b'\r', line).is_some() {
        return Err("NUL or lone carriage return in a command");
    }
    let at = memchr::memchr(b' ', line);
    let (word, rest) = at.map_or((line, None), |at| (&line[..at], Some(&line[at + 1..])));
    let mut verb = [0; 4];
    let short = word.len().min(4);
    verb[..short].copy_from_slice(&word[..short]);
    verb.make_ascii_uppercase();
    if word.len() > 4 {
        return Err(UNKNOWN);
    }
    match (&verb, rest) {
        (b"USER", rest) => user(rest.unwrap_or_default()),
        (b"PASS", rest) => pass(rest.unwrap_or_default()),
        (b"AUTH", rest) => auth(Words::new(rest)),
        (b"LANG", rest) => {
            let mut words = Words::new(rest);
            let tag = words.next().map(<[u8]>::to_vec);
            words.end(Command::Lang(tag))
        }
        (verb, rest) => with_numbers(verb, Words::new(rest)),
    }
}

pub(super) const UNKNOWN: &str = "Unknown command";

fn with_numbers(verb: &[u8; 4], mut words: Words<'_>) -> Result<Command, &'static str> {
    let command = match verb {
        b"CAPA" => Command::Capa,
        b"DELE" => Command::Dele(words.number()?),
        b"LAST" => Command::Last,
        b"LIST" => Command::List(words.maybe_number()?),
        b"NOOP" => Command::Noop,
        b"QUIT" => Command::Quit,
        b"RETR" => Command::Retr(words.number()?),
        b"RSET" => Command::Rset,
        b"STAT" => Command::Stat,
        b"STLS" => Command::Stls,
        b"TOP\0" => Command::Top { number: words.number()?, lines: words.number()? },
        b"UIDL" => Command::Uidl(words.maybe_number()?),
        b"UTF8" => Command::Utf8,
        _ => return Err(UNKNOWN),
    };
    words.end(command)
}

/// Names may hold spaces, and RFC 1939 §7 lets passwords.
fn user(name: &[u8]) -> Result<Command, &'static str> {
    match std::str::from_utf8(name) {
        Ok("") => Err("Which user?"),
        Ok(name) if name.len() <= USER_NAME_BYTES_MAX => Ok(Command::User(name.to_owned())),
        Ok(_) => Err("The user name is too long"),
        Err(_) => Err("The user name is not UTF-8"),
    }
}

fn pass(password: &[u8]) -> Result<Command, &'static str> {
    match password.len() {
        0 => Err("Which password?"),
        1..=PASSWORD_BYTES_MAX => Ok(Command::Pass(Secret::from(password))),
        _ => Err("The password is too long"),
    }
}

/// `AUTH [mechanism [initial-response]]` (RFC 5034 §4). Without a mechanism it asks which there are, as clients did before CAPA.
fn auth(mut words: Words<'_>) -> Result<Command, &'static str> {
    let Some(mechanism) = words.next() else { return Ok(Command::Mechanisms) };
    let (mechanism, initial) = (mechanism.to_vec(), words.next().map(<[u8]>::to_vec));
    words.end(Command::Auth { mechanism, initial })
}

/// Words between spaces; more than one space, and spaces at the end, are let through.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn new(rest: Option<&'a [u8]>) -> Words<'a> {
        Words(rest.unwrap_or_default())
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|&b| b != b' ')?;
        let rest = &self.0[start..];
        let (word, rest) = rest.split_at(memchr::memchr(b' ', rest).unwrap_or(rest.len()));
        self.0 = rest;
        Some(word)
    }

    fn maybe_number(&mut self) -> Result<Option<u32>, &'static str> {
        let Some(word) = self.next() else { return Ok(None) };
        let digits = word.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(word).ok().filter(|_| digits).and_then(|word| word.parse().ok());
        number.map(Some).ok_or("Not a number")
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        self.maybe_number()?.ok_or("A number is missing")
    }

    fn end(mut self, command: Command) -> Result<Command, &'static str> {
        if self.next().is_some() { Err("Too many arguments") } else { Ok(command) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: &str) {
        let got = match parse(line.as_bytes()) {
            Ok(Command::Pass(password)) => format!("Pass({})", String::from_utf8_lossy(password.expose())),
            Ok(command) => format!("{command:?}"),
            Err(wrong) => wrong.to_owned(),
        };
        assert_eq!(got, expect, "{line:?}");
    }

    #[test]
    fn lines() {
        check("stat", "Stat");
        check("NoOp ", "Noop");
        check("LIST", "List(None)");
        check("LIST  7 ", "List(Some(7))");
        check("UIDL 4294967295", "Uidl(Some(4294967295))");
        check("TOP 1 0", "Top { number: 1, lines: 0 }");
        check("USER a b", "User(\"a b\")");
        check("PASS  a b ", "Pass( a b )");
        check("AUTH", "Mechanisms");
        check("last", "Last");
        check("LANG *", "Lang(Some([42]))");
        check("DELE 0", "Dele(0)");
    }

    #[test]
    fn wrong_lines() {
        for unknown in ["", " ", " STAT", "STATS", "STA", "TOP", "APOP a b", "S\u{e4}TA"] {
            let expect = if unknown == "TOP" { "A number is missing" } else { UNKNOWN };
            check(unknown, expect);
        }
        for number in ["RETR -1", "RETR +1", "RETR 4294967296", "RETR 1a", "TOP 1 \u{661}", "LIST 0x1"] {
            check(number, "Not a number");
        }
        check("RETR", "A number is missing");
        check("TOP 1", "A number is missing");
        check("RETR 1 2", "Too many arguments");
        check("STAT 1", "Too many arguments");
        check("AUTH PLAIN a b", "Too many arguments");
        check("ST\0AT", "NUL or lone carriage return in a command");
        check("STAT\r", "NUL or lone carriage return in a command");
        check("USER", "Which user?");
        check(&format!("USER {}", "u".repeat(255)), "The user name is too long");
        check("PASS ", "Which password?");
        check(&format!("PASS {}", "p".repeat(1025)), "The password is too long");
        assert!(parse(b"USER \xff").is_err());
    }
}
