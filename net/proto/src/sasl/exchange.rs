//! One exchange, whatever the mechanism.

use super::{Credentials, Login, Plain, SaslError};

/// A mechanism, in the order in which they are offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The prompts that RFC 4616 replaced.
    Login,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// By name, in any case.
    pub fn named(name: &[u8]) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// What comes of a message.
#[derive(Debug)]
pub enum SaslStep {
    /// Send these bytes (in the protocol's base64) and wait for the client's next message.
    Challenge(&'static [u8]),
    /// The client has said all.
    Done(Credentials),
}

/// An exchange under way. After an error or [`SaslStep::Done`] it is over.
#[derive(Clone, Debug)]
pub struct Exchange(State);

#[derive(Clone, Debug)]
enum State {
    Plain,
    Login(Login),
    Over,
}

impl Exchange {
    /// An exchange before the client's first message.
    pub fn new(mechanism: Mechanism) -> Exchange {
        Exchange(match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::Login(Login::default()),
        })
    }

    /// Takes the client's next message, decoded; `None` at the start when the command came without one (no SASL-IR).
    pub fn step(&mut self, message: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match (std::mem::replace(&mut self.0, State::Over), message) {
            (State::Plain, None) => {
                self.0 = State::Plain;
                Ok(SaslStep::Challenge(b""))
            }
            (State::Plain, Some(message)) => Plain::decode(message).map(SaslStep::Done),
            (State::Login(mut login), message) => {
                let step = login.step(message)?;
                if matches!(step, SaslStep::Challenge(_)) {
                    self.0 = State::Login(login);
                }
                Ok(step)
            }
            (State::Over, _) => Err(SaslError::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages in, `>challenge` or `user/password` or the error out.
    fn check(mechanism: &str, messages: &[Option<&[u8]>], expect: &[&str]) {
        let mut exchange = Exchange::new(Mechanism::named(mechanism.as_bytes()).unwrap());
        let mut got = Vec::new();
        for message in messages {
            got.push(match exchange.step(*message) {
                Ok(SaslStep::Challenge(bytes)) => format!(">{}", String::from_utf8_lossy(bytes)),
                Ok(SaslStep::Done(c)) => format!("{}/{}", c.user, String::from_utf8_lossy(c.password.expose())),
                Err(e) => format!("{e:?}"),
            });
        }
        assert_eq!(got, expect, "{mechanism} {messages:?}");
    }

    #[test]
    fn exchanges() {
        check("plain", &[Some(b"\0a\0b")], &["a/b"]);
        check("PLAIN", &[None, Some(b"\0a\0b"), Some(b"\0a\0b")], &[">", "a/b", "Ended"]);
        check("PLAIN", &[Some(b"x"), Some(b"\0a\0b")], &["Malformed", "Ended"]);
        check("LOGIN", &[None, Some(b"a"), Some(b"b")], &[">Username:", ">Password:", "a/b"]);
        check("login", &[Some(b"a"), Some(b"b"), None], &[">Password:", "a/b", "Ended"]);
        check("LOGIN", &[None, Some(b""), Some(b"b")], &[">Username:", "Malformed", "Ended"]);
        check("LOGIN", &[None, Some(b"a"), Some(b"b\0")], &[">Username:", ">Password:", "Malformed"]);
        check("LOGIN", &[Some(b"a"), None], &[">Password:", "Ended"]);
    }

    #[test]
    fn names() {
        assert_eq!(Mechanism::named(b"LoGiN"), Some(Mechanism::Login));
        assert_eq!(Mechanism::named(b"CRAM-MD5"), None);
    }
}
