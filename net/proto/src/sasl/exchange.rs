//! One exchange, whatever the mechanism.

use super::scram::{Scram, ScramAnswer};
use super::{Channel, Login, Mechanism, Plain, Question, SaslError, external};

/// What comes of a message.
#[derive(Debug)]
pub enum SaslStep {
    /// Send these bytes (in the protocol's base64) and wait for the client's next message.
    Challenge(Vec<u8>),
    /// Ask this. [`Question::Keys`] is answered with [`Exchange::keys`]; after any other the exchange is over.
    Ask(Question),
}

/// An exchange under way. After an error or its last question it is over.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain,
    External,
    Login(Login),
    Scram(Box<Scram>),
    Over,
}

impl Exchange {
    /// An exchange before the client's first message. `plus_offered`: the client was told of a -PLUS mechanism on this channel
    /// (RFC 5802 §6 finds out a downgrade by it).
    pub fn new(mechanism: Mechanism, channel: &Channel, plus_offered: bool) -> Exchange {
        Exchange(match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::External => State::External,
            Mechanism::Login => State::Login(Login::default()),
            Mechanism::Scram { hash, plus } => {
                let bindings = channel.bindings.as_deref().cloned().filter(|_| plus);
                State::Scram(Box::new(Scram::new(hash, bindings, plus_offered)))
            }
        })
    }

    /// Takes the client's next message, decoded; `None` at the start when the command came without one (no SASL-IR).
    pub fn step(&mut self, message: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match (std::mem::replace(&mut self.0, State::Over), message) {
            (state @ (State::Plain | State::External), None) => {
                self.0 = state;
                Ok(SaslStep::Challenge(Vec::new()))
            }
            (State::Plain, Some(message)) => Ok(SaslStep::Ask(Question::Password(Plain::decode(message)?))),
            (State::External, Some(message)) => external::decode(message).map(SaslStep::Ask),
            (State::Login(mut login), message) => {
                let step = login.step(message)?;
                if matches!(step, SaslStep::Challenge(_)) {
                    self.0 = State::Login(login);
                }
                Ok(step)
            }
            (State::Scram(mut scram), message) => {
                let step = scram.step(message)?;
                if matches!(step, SaslStep::Challenge(_) | SaslStep::Ask(Question::Keys { .. })) {
                    self.0 = State::Scram(scram);
                }
                Ok(step)
            }
            (State::Over, _) => Err(SaslError::Ended),
        }
    }

    /// The answer to [`Question::Keys`]; the next challenge.
    ///
    /// # Panics
    /// When that was not asked: a mistake of the session.
    pub fn keys(&mut self, answer: ScramAnswer) -> Vec<u8> {
        let State::Scram(scram) = &mut self.0 else { panic!("keys for no SCRAM") };
        scram.keys(answer)
    }
}
