//! Small encodings of the network.

use skein_base::limits::{PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX};
use skein_base::scram::ScramKeys;
use skein_proto::imap::mutf7::{decode, encode};
use skein_proto::sasl::{
    Bindings, Channel, Credentials, Exchange, Mechanism, Question, SaslError, SaslStep, ScramAnswer,
};

/// Mailbox names: one wire form per name, and every name has one.
pub fn mutf7(data: &[u8]) {
    if let Ok(name) = decode(data) {
        let mut wire = Vec::new();
        encode(&name, &mut wire);
        assert_eq!(wire, data, "another wire form of {name:?}");
    }
    let name = String::from_utf8_lossy(data);
    let mut wire = Vec::new();
    encode(&name, &mut wire);
    assert!(wire.iter().all(|b| (b' '..=b'~').contains(b)), "{}", wire.escape_ascii());
    assert_eq!(decode(&wire).as_deref(), Ok(&*name), "{}", wire.escape_ascii());
}

/// Exchanges: messages are lines; what is asked is bounded and has no NUL, and nobody proves keys that nobody knows.
pub fn sasl(data: &[u8]) {
    let bindings = Bindings { exporter: Some([1; 32]), end_point: Some(vec![2; 32]) };
    let channel = Channel { tls: true, certified: true, bindings: Some(Box::new(bindings)) };
    for mechanism in Mechanism::ALL {
        for initial in [true, false] {
            let mut exchange = Exchange::new(mechanism, &channel, initial);
            let mut messages = data.split(|&b| b == b'\n').map(Some);
            let first = if initial { messages.next().flatten() } else { None };
            let mut step = exchange.step(first);
            // Each message makes two steps at most, so this ends.
            let mut steps = 2 * (data.len() + 2);
            while let Some(next) = onwards(&mut exchange, step, &mut messages) {
                steps = steps.checked_sub(1).expect("an exchange without end");
                step = next;
            }
        }
    }
}

/// The step after this one; `None` at the end.
fn onwards<'a>(
    exchange: &mut Exchange,
    step: Result<SaslStep, SaslError>,
    messages: &mut impl Iterator<Item = Option<&'a [u8]>>,
) -> Option<Result<SaslStep, SaslError>> {
    match step.ok()? {
        SaslStep::Challenge(_) => Some(exchange.step(messages.next().flatten())),
        SaslStep::Ask(question) => Some(Ok(SaslStep::Challenge(exchange.keys(asked(question)?)))),
    }
}

/// Checks a question; keys are answered with keys that no proof fits.
fn asked(question: Question) -> Option<ScramAnswer> {
    let check_name = |name: &str| assert!((1..=USER_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0'));
    match question {
        Question::Password(Credentials { authzid, user, password }) => {
            [Some(user), authzid].iter().flatten().for_each(|name| check_name(name));
            let password = password.expose();
            assert!((1..=PASSWORD_BYTES_MAX).contains(&password.len()) && !password.contains(&0));
            None
        }
        Question::Keys { user, authzid, hash } => {
            let keys = ScramKeys::decoy(hash, &[3; 32], &user, 1, 16);
            [Some(user), authzid].iter().flatten().for_each(|name| check_name(name));
            Some(ScramAnswer { keys, nonce: [4; 18] })
        }
        Question::Proof { holds, .. } => {
            assert!(!holds, "a proof out of nothing");
            None
        }
        Question::Certificate { authzid } => {
            authzid.iter().for_each(|name| check_name(name));
            None
        }
    }
}
