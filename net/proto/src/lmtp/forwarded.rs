//! What a trusted proxy says of its client: XCLIENT, and XRCPTFORWARD of each recipient.
//!
//! ```text
//! XCLIENT ADDR=192.0.2.1 PORT=4711 HELO=relay.example.net PROTO=ESMTP     values in xtext (RFC 3461 §4)
//! RCPT TO:<a@b> XRCPTFORWARD=base64 of name=value TAB name=value          as Dovecot's proxies send it
//! ```

use super::limits::CLIENT_NAME_BYTES_MAX;
use super::reply::XCLIENT_SYNTAX;
use crate::base64;
use std::net::IpAddr;

/// What XCLIENT told. A value that is `[UNAVAILABLE]`, or was not given, is `None`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Forwarded {
    /// `ADDR`: the client.
    pub address: Option<IpAddr>,
    /// `PORT`
    pub port: Option<u16>,
    /// `DESTADDR`: where it connected to.
    pub to_address: Option<IpAddr>,
    /// `DESTPORT`
    pub to_port: Option<u16>,
    /// `HELO`: what it called itself.
    pub client: Option<String>,
    /// `LOGIN`: as whom it was authenticated.
    pub login: Option<String>,
    /// `SESSION`: what the proxy's log calls the session.
    pub session: Option<String>,
    /// `TIMEOUT`: seconds that the proxy waits for an answer.
    pub timeout_seconds: Option<u32>,
    /// `CLIENT-TRANSPORT=TLS`: it came over TLS.
    pub tls: bool,
}

/// The attributes, as LHLO lists them.
pub(crate) const ATTRIBUTES: &[u8] =
    b"ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT DESTADDR DESTPORT DESTNAME CLIENT-TRANSPORT";

impl Forwarded {
    /// Reads what follows XCLIENT. Attributes that are not known are passed over; there are always newer proxies.
    pub(crate) fn parse(words: &[u8]) -> Result<Forwarded, &'static [u8]> {
        let mut told = Forwarded::default();
        let mut words = words.split(|b| *b == b' ').filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() {
            return Err(XCLIENT_SYNTAX);
        }
        for word in words {
            let at = memchr::memchr(b'=', word).ok_or(XCLIENT_SYNTAX)?;
            let value = xtext(&word[at + 1..]).ok_or(XCLIENT_SYNTAX)?;
            let is_known = !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|none| value.eq_ignore_ascii_case(none));
            told.note(&word[..at].to_ascii_uppercase(), Some(value).filter(|_| is_known)).ok_or(XCLIENT_SYNTAX)?;
        }
        Ok(told)
    }

    fn note(&mut self, name: &[u8], value: Option<String>) -> Option<()> {
        let text = |value: Option<String>| match value {
            Some(text) => name_of(&text).map(|()| Some(text)),
            None => Some(None),
        };
        match name {
            b"ADDR" => self.address = perhaps(value, address)?,
            b"DESTADDR" => self.to_address = perhaps(value, address)?,
            b"PORT" => self.port = perhaps(value, number)?,
            b"DESTPORT" => self.to_port = perhaps(value, number)?,
            b"TIMEOUT" => self.timeout_seconds = perhaps(value, number)?,
            b"TTL" => drop(perhaps::<u32>(value, number)?),
            b"HELO" => self.client = text(value)?,
            b"LOGIN" => self.login = text(value)?,
            b"SESSION" => self.session = text(value)?,
            b"CLIENT-TRANSPORT" => self.tls = value.is_some_and(|value| value.eq_ignore_ascii_case("TLS")),
            b"PROTO" => {
                let known = ["SMTP", "ESMTP", "LMTP"];
                value.is_none_or(|value| known.iter().any(|known| value.eq_ignore_ascii_case(known))).then_some(())?;
            }
            _ => {}
        }
        Some(())
    }
}

/// A value that may be unavailable, but not wrong.
fn perhaps<T>(value: Option<String>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => read(&value).map(Some),
    }
}

/// `192.0.2.1`, `2001:db8::1`, `IPV6:2001:db8::1`
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPV6:")) {
        Some(_) => text[5..].parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A name that may stand in a header and a log.
fn name_of(text: &str) -> Option<()> {
    let fits = (1..=CLIENT_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(())
}

/// Text with `+XX` for what it can not hold (RFC 3461 §4).
fn xtext(mut text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        if first != b'+' {
            out.push(first);
            continue;
        }
        let digits = std::str::from_utf8(text.get(..2)?).ok()?;
        out.push(u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))?);
        text = &text[2..];
    }
    String::from_utf8(out).ok()
}

/// The fields of XRCPTFORWARD's value.
pub(crate) fn recipient_fields(value: &[u8]) -> Option<Vec<String>> {
    let text = String::from_utf8(base64::decode(value)?).ok()?;
    text.split('\t').map(unescape).collect()
}

/// Dovecot's way to have a tab in a field: \u{1} and a letter.
fn unescape(field: &str) -> Option<String> {
    let (mut out, mut letters) = (String::with_capacity(field.len()), field.chars());
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\u{1}' => match letters.next()? {
                '0' => '\0',
                '1' => '\u{1}',
                't' => '\t',
                'r' => '\r',
                'n' => '\n',
                other => other,
            },
            letter => letter,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxies_say() {
        let line = b" ADDR=192.0.2.1 port=4711 HELO=relay.example+2Enet PROTO=esmtp LOGIN=[UNAVAILABLE] SESSION=a+2Bb \
            TIMEOUT=300 TTL=9 DESTADDR=IPV6:2001:db8::1 DESTPORT=24 CLIENT-TRANSPORT=TLS NEWER=x";
        let told = Forwarded::parse(line).unwrap();
        let expect = Forwarded {
            address: Some([192, 0, 2, 1].into()),
            port: Some(4711),
            to_address: Some("2001:db8::1".parse().unwrap()),
            to_port: Some(24),
            client: Some("relay.example.net".into()),
            login: None,
            session: Some("a+b".into()),
            timeout_seconds: Some(300),
            tls: true,
        };
        assert_eq!(told, expect);
        assert_eq!(Forwarded::parse(b" ADDR=[tempunavail] PORT=[UNAVAILABLE]"), Ok(Forwarded::default()));
    }

    #[test]
    fn what_is_wrong() {
        let long = format!(" HELO={}", "a".repeat(CLIENT_NAME_BYTES_MAX + 1));
        for wrong in [
            "",
            " ",
            " ADDR",
            " ADDR=",
            " ADDR=1.2.3",
            " ADDR=IPV6:1.2.3.4",
            " PORT=65536",
            " PORT=-1",
            " PORT=+31",
            " PORT=+3",
            " PORT=+3x",
            " HELO=",
            " HELO=a+20b",
            " SESSION=+0D+0A",
            " PROTO=HTTP",
            " TIMEOUT=1s",
            " TTL=",
            " LOGIN=+FF",
            &long,
        ] {
            let outcome = Forwarded::parse(wrong.as_bytes());
            let expect = if wrong == " PORT=+31" {
                Ok(Forwarded { port: Some(1), ..Forwarded::default() })
            } else {
                Err(XCLIENT_SYNTAX)
            };
            assert_eq!(outcome, expect, "{wrong:?}");
        }
    }

    #[test]
    fn fields_of_a_recipient() {
        let check = |fields: &[u8]| recipient_fields(&base64::encode(fields));
        assert_eq!(check(b"a=1\tb=x\x01ty\x011"), Some(vec!["a=1".into(), "b=x\ty\u{1}".into()]));
        assert_eq!(check(b"a\x01"), None);
        assert_eq!(check(b"\xff"), None);
        assert_eq!(recipient_fields(b"&"), None);
    }
}
