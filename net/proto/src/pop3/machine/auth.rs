//! USER, PASS and AUTH.

use super::{About, Phase, Pop3};
use crate::base64;
use crate::pop3::reply::{Code, Reply, Request};
use crate::sasl::{Credentials, Exchange, Mechanism, Question, SaslError, SaslStep};
use skein_base::Secret;

/// To who wants to log in too early.
const NEEDS_TLS: &str = "Start TLS first: a password must not travel in plain text";

impl Pop3 {
    /// Whoever is named is asked for a password, so that the answer tells nobody who exists.
    pub(super) fn user_named(&mut self, name: String) {
        if !self.config.allows_login(self.tls()) {
            return self.refuse(None, NEEDS_TLS);
        }
        self.user = Some(name);
        self.say("Send your password");
    }

    pub(super) fn pass(&mut self, password: Secret) {
        match self.user.take() {
            Some(user) => self.ask(Request::Login { user, password, authzid: None }, About::Login),
            None => self.bad("Say USER first"),
        }
    }

    /// The mechanisms, a line each.
    pub(super) fn mechanisms(&mut self) {
        self.say("Mechanisms follow");
        for mechanism in self.config.mechanisms(&self.channel) {
            self.out.extend_from_slice(mechanism.name().as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(b".\r\n");
    }

    pub(super) fn auth(&mut self, name: &[u8], initial: Option<&[u8]>) {
        let Some(mechanism) = Mechanism::named(name).filter(|m| self.config.mechanisms.contains(m)) else {
            return self.refuse(None, "This authentication mechanism is not supported");
        };
        if !self.config.mechanisms(&self.channel).any(|offered| offered == mechanism) {
            return match mechanism == Mechanism::External && self.channel.tls {
                true => self.refuse(Some(Code::Auth), "There is no client certificate that names a user"),
                false => self.refuse(None, NEEDS_TLS),
            };
        }
        let is_plus = |offered| matches!(offered, Mechanism::Scram { plus: true, .. });
        let plus_offered = self.config.mechanisms(&self.channel).any(is_plus);
        self.sasl = Some(Box::new(Exchange::new(mechanism, &self.channel, plus_offered)));
        match initial {
            None => self.sasl_step(None),
            // "=" alone is the empty response (RFC 5034 §4).
            Some(b"=") => self.sasl_step(Some(b"")),
            Some(text) => self.sasl_text(text),
        }
    }

    /// The client's next message.
    pub(super) fn sasl_line(&mut self, line: &[u8]) {
        match line {
            b"*" => self.sasl_bad("Authentication is cancelled"),
            text => self.sasl_text(text),
        }
    }

    /// The keys that SCRAM asked for.
    pub(super) fn sasl_keys(&mut self, reply: Reply) {
        let (Reply::Keys(answer), Some(exchange)) = (reply, &mut self.sasl) else { panic!("SCRAM asked for keys") };
        let challenge = exchange.keys(*answer);
        self.challenge(&challenge);
    }

    fn sasl_text(&mut self, text: &[u8]) {
        match base64::decode(text).map(Secret::new) {
            Some(message) => self.sasl_step(Some(message.expose())),
            None => self.sasl_bad("The response is not valid base64"),
        }
    }

    fn sasl_step(&mut self, message: Option<&[u8]>) {
        let exchange = self.sasl.as_mut().expect("AUTH has an exchange");
        let question = match exchange.step(message) {
            Ok(SaslStep::Challenge(bytes)) => return self.challenge(&bytes),
            Ok(SaslStep::Ask(question @ Question::Keys { .. })) => {
                return self.ask(Request::Sasl(question), About::Keys);
            }
            Ok(SaslStep::Ask(question)) => question,
            Err(SaslError::Binding) => {
                self.sasl = None;
                return self.refuse(Some(Code::Auth), "The channel binding does not fit this connection");
            }
            Err(_) => return self.sasl_bad("The response does not follow the mechanism"),
        };
        self.sasl = None;
        let request = match question {
            Question::Password(Credentials { authzid, user, password }) => Request::Login { user, password, authzid },
            question => Request::Sasl(question),
        };
        self.ask(request, About::Login);
    }

    fn challenge(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(b"+ ");
        self.out.extend_from_slice(&base64::encode(bytes));
        self.out.extend_from_slice(b"\r\n");
        self.phase = Phase::Sasl;
    }

    fn sasl_bad(&mut self, text: &str) {
        self.sasl = None;
        self.bad(text);
    }
}
