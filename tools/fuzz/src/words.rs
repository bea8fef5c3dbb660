//! Small encodings of the network.

use skein_base::limits::{PASSWORD_BYTES_MAX, USER_NAME_BYTES_MAX};
use skein_proto::imap::mutf7::{decode, encode};
use skein_proto::sasl::{Exchange, Mechanism, SaslStep};

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

/// Exchanges: messages are lines; what comes out is bounded and has no NUL.
pub fn sasl(data: &[u8]) {
    for mechanism in Mechanism::ALL {
        for initial in [true, false] {
            let mut exchange = Exchange::new(mechanism);
            let mut messages = data.split(|&b| b == b'\n').map(Some);
            let first = if initial { messages.next().flatten() } else { None };
            let mut step = exchange.step(first);
            while let Ok(SaslStep::Challenge(_)) = step {
                step = exchange.step(messages.next().flatten());
            }
            let Ok(SaslStep::Done(credentials)) = step else { continue };
            for name in [Some(&credentials.user), credentials.authzid.as_ref()].into_iter().flatten() {
                assert!((1..=USER_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0'));
            }
            let password = credentials.password.expose();
            assert!((1..=PASSWORD_BYTES_MAX).contains(&password.len()) && !password.contains(&0));
        }
    }
}
