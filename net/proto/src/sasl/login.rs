//! LOGIN (draft-murchison-sasl-login-00): name and password, each after a prompt. Obsolete, and what Outlook speaks.

use super::{Credentials, Question, SaslError, SaslStep, name, password};

/// The LOGIN mechanism: which prompt was sent last.
#[derive(Clone, Debug, Default)]
pub struct Login(State);

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Start,
    AskedName,
    AskedPassword(String),
    Ended,
}

impl Login {
    /// Takes the client's next message; `None` at the start when it sent none with the command. A first message is the name.
    pub fn step(&mut self, message: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match (std::mem::replace(&mut self.0, State::Ended), message) {
            (State::Start, None) => {
                self.0 = State::AskedName;
                Ok(SaslStep::Challenge(b"Username:".to_vec()))
            }
            (State::Start | State::AskedName, Some(message)) => {
                self.0 = State::AskedPassword(name(message)?);
                Ok(SaslStep::Challenge(b"Password:".to_vec()))
            }
            (State::AskedPassword(user), Some(message)) => {
                let credentials = Credentials { authzid: None, user, password: password(message)? };
                Ok(SaslStep::Ask(Question::Password(credentials)))
            }
            _ => Err(SaslError::Ended),
        }
    }
}
