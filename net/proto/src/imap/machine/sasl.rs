//! AUTHENTICATE: the mechanism's messages in base64, each on a line (RFC 3501 §6.2.2, RFC 4959).

use super::{Imap, Intake, Leftover, Phase, Refusal, Waiting, run};
use crate::base64;
use crate::imap::parse::Wrong;
use crate::imap::{Code, Reply, Request};
use crate::sasl::{Credentials, Exchange, Mechanism, Question, SaslError, SaslStep};
use skein_base::{Class, Secret};

impl Imap {
    pub(super) fn authenticate(&mut self, name: &str, initial: Option<Vec<u8>>) {
        let Some(mechanism) = Mechanism::named(name.as_bytes()).filter(|m| self.config.mechanisms.contains(m)) else {
            let text = "This authentication mechanism is not supported".into();
            return self.conclude(Reply::No { code: Some(Code::Cannot), text });
        };
        if !self.config.mechanisms(&self.channel).any(|offered| offered == mechanism) {
            return self.conclude(if mechanism == Mechanism::External && self.channel.tls {
                Reply::no(Class::Credentials, "There is no client certificate that names a user")
            } else {
                Reply::No { code: Some(Code::PrivacyRequired), text: run::NEEDS_TLS.into() }
            });
        }
        let is_plus = |offered| matches!(offered, Mechanism::Scram { plus: true, .. });
        let plus_offered = self.config.mechanisms(&self.channel).any(is_plus);
        self.running().sasl = Some(Box::new(Exchange::new(mechanism, &self.channel, plus_offered)));
        match initial {
            Some(text) => self.sasl_response(&text),
            None => self.sasl_step(None),
        }
    }

    pub(super) fn sasl_line(&mut self, text: &[u8]) {
        self.intake = Intake::default();
        self.phase = Phase::Command;
        match text {
            b"*" => self.refuse_sasl("Authentication is cancelled"),
            _ => self.sasl_response(text),
        }
    }

    /// The keys that SCRAM asked for, or a refusal.
    pub(super) fn sasl_answered(&mut self, reply: Reply) {
        match (reply, &mut self.running().sasl) {
            (Reply::Keys(answer), Some(exchange)) => {
                let challenge = exchange.keys(*answer);
                self.challenge(&challenge);
            }
            (reply, _) => self.conclude(reply),
        }
    }

    fn sasl_response(&mut self, text: &[u8]) {
        match base64::decode(text).map(Secret::new) {
            Some(message) => self.sasl_step(Some(message.expose())),
            None => self.refuse_sasl("The response is not valid base64"),
        }
    }

    fn sasl_step(&mut self, message: Option<&[u8]>) {
        let exchange = self.running().sasl.as_mut().expect("AUTHENTICATE has an exchange");
        match exchange.step(message) {
            Ok(SaslStep::Challenge(bytes)) => self.challenge(&bytes),
            Ok(SaslStep::Ask(question @ Question::Keys { .. })) => self.asking(Request::Sasl(question), Waiting::Sasl),
            Ok(SaslStep::Ask(Question::Password(Credentials { authzid, user, password }))) => {
                self.asking(Request::Login { user, password, authzid }, Waiting::Command);
            }
            Ok(SaslStep::Ask(question)) => self.asking(Request::Sasl(question), Waiting::Command),
            Err(SaslError::Binding) => {
                self.conclude(Reply::no(Class::Credentials, "The channel binding does not fit this connection"));
            }
            Err(_) => self.refuse_sasl("The response does not follow the mechanism"),
        }
    }

    fn challenge(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(b"+ ");
        self.out.extend_from_slice(&base64::encode(bytes));
        self.out.extend_from_slice(b"\r\n");
        self.phase = Phase::Sasl;
    }

    fn refuse_sasl(&mut self, text: &'static str) {
        let refusal = Refusal::of(&self.running().tag, &Wrong::Bad(text));
        self.refuse(refusal, Leftover::None);
    }
}
