//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL password` in one message.

use super::{Credentials, MESSAGE_BYTES_MAX, SaslError, name, password};

/// The PLAIN mechanism.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Plain {
    /// Takes a decoded message apart.
    pub fn decode(message: &[u8]) -> Result<Credentials, SaslError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(SaslError::TooLong { max: MESSAGE_BYTES_MAX });
        }
        let first = memchr::memchr(0, message).ok_or(SaslError::Malformed)?;
        let (authzid, rest) = (&message[..first], &message[first + 1..]);
        let second = memchr::memchr(0, rest).ok_or(SaslError::Malformed)?;
        let authzid = if authzid.is_empty() { None } else { Some(name(authzid)?) };
        Ok(Credentials { authzid, user: name(&rest[..second])?, password: password(&rest[second + 1..])? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expect: Result<(Option<&str>, &str, &[u8]), SaslError>) {
        let got = Plain::decode(message);
        let got = got.as_ref().map(|c| (c.authzid.as_deref(), &*c.user, c.password.expose())).map_err(|e| *e);
        assert_eq!(got, expect, "{message:?}");
    }

    #[test]
    fn messages() {
        let malformed = Err(SaslError::Malformed);
        check(b"\0tim\0tanstaaftanstaaf", Ok((None, "tim", b"tanstaaftanstaaf")));
        check(b"Ursel\0Kurt\0xipj3plmq", Ok((Some("Ursel"), "Kurt", b"xipj3plmq")));
        check("\0jürgen\0pässe".as_bytes(), Ok((None, "jürgen", "pässe".as_bytes())));
        check(b"\0tim\0p\xe4sse", Ok((None, "tim", b"p\xe4sse")));
        check(b"\0t\xefm\0x", Err(SaslError::NotUtf8));
        check(b"\xff\0tim\0x", Err(SaslError::NotUtf8));
        for message in [
            &b""[..],
            b"\0",
            b"\0\0",
            b"tim",
            b"\0tim",
            b"tim\0x",
            b"\0\0x",
            b"\0tim\0",
            b"\0tim\0x\0",
            b"a\0tim\0x\0y",
        ] {
            check(message, malformed);
        }
    }

    #[test]
    fn bounds() {
        let message =
            |user: usize, password: usize| [&[0][..], &vec![b'u'; user], &[0], &vec![b'p'; password]].concat();
        assert!(Plain::decode(&message(254, 1024)).is_ok());
        check(&message(255, 1), Err(SaslError::TooLong { max: 254 }));
        check(&message(1, 1025), Err(SaslError::TooLong { max: 1024 }));
        check(&vec![0; MESSAGE_BYTES_MAX + 1], Err(SaslError::TooLong { max: MESSAGE_BYTES_MAX }));
    }
}
