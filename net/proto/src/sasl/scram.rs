//! SCRAM (RFC 5802, RFC 7677), with channel binding (RFC 5929, RFC 9266).
//!
//! ```text
//! C: n,,n=user,r=cnonce                    ──▶ Ask(Keys)
//! S: r=cnonce+snonce,s=salt,i=4096         ◀── keys(answer)
//! C: c=biws,r=cnonce+snonce,p=proof        ──▶ does not hold: Ask(Proof { holds: false })
//! S: v=signature
//! C: (empty)                               ──▶ Ask(Proof { holds: true })
//! ```

use super::{Bindings, MESSAGE_BYTES_MAX, Question, SaslError, SaslStep, name};
use crate::base64;
use skein_base::scram::{ScramHash, ScramKeys, prepared};
use std::fmt;

/// Bytes of chance in a nonce: more than anyone can guess, and no padding in base64.
pub(super) const NONCE_BYTES: usize = 18;

/// What the session knows of the user, and fresh chance.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramAnswer {
    /// The user's keys, or keys that nothing fits.
    pub keys: ScramKeys,
    /// Random bytes, new for each exchange.
    pub nonce: [u8; NONCE_BYTES],
}

impl fmt::Debug for ScramAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramAnswer")
    }
}

/// The SCRAM mechanisms.
#[derive(Debug)]
pub(super) struct Scram {
    hash: ScramHash,
    /// Of a -PLUS mechanism.
    bindings: Option<Bindings>,
    plus_offered: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    AskedKeys(Box<First>),
    SentKeys(Box<First>, Box<ScramAnswer>),
    Proven(Box<First>),
    Ended,
}

/// The client's first message.
#[derive(Debug)]
struct First {
    /// `n,,` with what it says, and the channel binding's data behind it: what `c=` must repeat.
    binding: Vec<u8>,
    authzid: Option<String>,
    user: String,
    nonce: Vec<u8>,
    /// `n=user,r=nonce`
    bare: Vec<u8>,
    /// `r=..,s=..,i=..`, once it was sent.
    reply: Vec<u8>,
}

impl Scram {
    pub(super) fn new(hash: ScramHash, bindings: Option<Bindings>, plus_offered: bool) -> Scram {
        Scram { hash, bindings, plus_offered, state: State::Start }
    }

    pub(super) fn step(&mut self, message: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match (std::mem::replace(&mut self.state, State::Ended), message) {
            (_, Some(long)) if long.len() > MESSAGE_BYTES_MAX => Err(SaslError::TooLong { max: MESSAGE_BYTES_MAX }),
            (State::Start, None) => {
                self.state = State::Start;
                Ok(SaslStep::Challenge(Vec::new()))
            }
            (State::Start, Some(message)) => {
                let first = self.first(message)?;
                let question =
                    Question::Keys { user: first.user.clone(), authzid: first.authzid.clone(), hash: self.hash };
                self.state = State::AskedKeys(Box::new(first));
                Ok(SaslStep::Ask(question))
            }
            (State::SentKeys(first, answer), Some(message)) => self.last(first, &answer, message),
            (State::Proven(first), None | Some(b"")) => Ok(SaslStep::Ask(first.proof(self.hash, true))),
            (State::Proven(_), Some(_)) => Err(SaslError::Malformed),
            _ => Err(SaslError::Ended),
        }
    }

    /// The answer to the question for keys; the server's first message.
    pub(super) fn keys(&mut self, answer: ScramAnswer) -> Vec<u8> {
        let State::AskedKeys(mut first) = std::mem::replace(&mut self.state, State::Ended) else {
            panic!("keys were not asked for")
        };
        assert!(answer.keys.hash == self.hash, "keys of another mechanism");
        first.nonce.extend_from_slice(&base64::encode(&answer.nonce));
        let mut reply = [b"r=", &first.nonce[..], b",s=", &base64::encode(&answer.keys.salt)].concat();
        reply.extend_from_slice(format!(",i={}", answer.keys.iterations).as_bytes());
        first.reply.clone_from(&reply);
        self.state = State::SentKeys(first, Box::new(answer));
        reply
    }

    /// `client-first-message = gs2-cbind-flag "," [authzid] "," [reserved-mext ","] username "," nonce ["," extensions]`
    fn first(&self, message: &[u8]) -> Result<First, SaslError> {
        let mut fields = message.splitn(3, |&b| b == b',');
        let mut next = || fields.next().ok_or(SaslError::Malformed);
        let (flag, authzid, bare) = (next()?, next()?, next()?);
        let mut binding = message[..message.len() - bare.len()].to_vec();
        binding.extend_from_slice(self.bound_to(flag)?);
        let authzid = match authzid {
            b"" => None,
            text => Some(saslname(attribute(text, b'a')?)?),
        };
        // An extension that must be understood comes first, as `m=`; it is no `n=`, so it is refused.
        let mut parts = bare.split(|&b| b == b',');
        let mut part = |letter| parts.next().ok_or(SaslError::Malformed).and_then(|part| attribute(part, letter));
        let user = saslname(part(b'n')?)?;
        let nonce = part(b'r')?;
        if nonce.is_empty() || !nonce.iter().all(u8::is_ascii_graphic) {
            return Err(SaslError::Malformed);
        }
        Ok(First { binding, authzid, user, nonce: nonce.to_vec(), bare: bare.to_vec(), reply: Vec::new() })
    }

    /// The channel binding's data that the flag names (RFC 5802 §6).
    fn bound_to(&self, flag: &[u8]) -> Result<&[u8], SaslError> {
        match (flag, &self.bindings) {
            // The client would bind but believes that the server can not, which the server has told: someone took it out.
            (b"y", _) if self.plus_offered => Err(SaslError::Binding),
            (b"n" | b"y", None) => Ok(b""),
            (b"n" | b"y", Some(_)) => Err(SaslError::Malformed),
            (flag, Some(bindings)) => bindings.named(attribute(flag, b'p')?).ok_or(SaslError::Binding),
            (flag, None) => attribute(flag, b'p').and(Err(SaslError::Binding)),
        }
    }

    /// `client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64`
    fn last(&mut self, first: Box<First>, answer: &ScramAnswer, message: &[u8]) -> Result<SaslStep, SaslError> {
        let end = memchr::memmem::rfind(message, b",p=").ok_or(SaslError::Malformed)?;
        let (without_proof, proof) = (&message[..end], &message[end + 3..]);
        let proof = base64::decode(proof).ok_or(SaslError::Malformed)?;
        let mut parts = without_proof.split(|&b| b == b',');
        let mut part = |letter| parts.next().ok_or(SaslError::Malformed).and_then(|part| attribute(part, letter));
        let binding = base64::decode(part(b'c')?).ok_or(SaslError::Malformed)?;
        if part(b'r')? != first.nonce {
            return Err(SaslError::Malformed);
        }
        if binding != first.binding {
            return Err(SaslError::Binding);
        }
        let auth_message = [&first.bare[..], b",", &first.reply, b",", without_proof].concat();
        if !answer.keys.proves(&auth_message, &proof) {
            return Ok(SaslStep::Ask(first.proof(self.hash, false)));
        }
        let signature = base64::encode(&answer.keys.server_signature(&auth_message));
        self.state = State::Proven(first);
        Ok(SaslStep::Challenge([b"v=", &signature[..]].concat()))
    }
}

impl First {
    fn proof(self, hash: ScramHash, holds: bool) -> Question {
        Question::Proof { user: self.user, authzid: self.authzid, hash, holds }
    }
}

/// The value of `letter=value`.
fn attribute(text: &[u8], letter: u8) -> Result<&[u8], SaslError> {
    text.strip_prefix(&[letter, b'=']).ok_or(SaslError::Malformed)
}

/// A name with `,` as `=2C` and `=` as `=3D`, prepared by SASLprep.
fn saslname(text: &[u8]) -> Result<String, SaslError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(match rest.get(at + 1..at + 3) {
            Some(b"2C") => b',',
            Some(b"3D") => b'=',
            _ => return Err(SaslError::Malformed),
        });
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest);
    name(&prepared(&bytes))
}
