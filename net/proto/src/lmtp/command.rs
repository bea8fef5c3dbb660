//! One command line taken apart.

use super::address::{Address, AddressError};
use super::forwarded::{Forwarded, recipient_fields};
use super::limits::CLIENT_NAME_BYTES_MAX;
use super::reply::*;
use super::request::Body;

/// A command, checked for form.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Lhlo { client: String },
    StartTls,
    Mail { sender: Option<Address>, size: u64, body: Body, utf8: bool },
    Rcpt { address: Address, fields: Option<Vec<String>> },
    Xclient(Box<Forwarded>),
    Data,
    Bdat { bytes: u64, last: bool },
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// Reads a line without its end. The error is the reply to send.
pub(crate) fn parse(line: &[u8]) -> Result<Command, &'static [u8]> {
    if line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(CONTROL_CHARACTER);
    }
    let line = line.trim_ascii_end();
    let verb_end = line.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(line.len());
    let (verb, rest) = line.split_at(verb_end);
    let bare = |command| if rest.is_empty() { Ok(command) } else { Err(NO_PARAMETERS) };
    match verb.to_ascii_uppercase().as_slice() {
        b"LHLO" => lhlo(rest),
        b"MAIL" => mail(argument(rest, b"FROM:").ok_or(MAIL_SYNTAX)?),
        b"RCPT" => rcpt(argument(rest, b"TO:").ok_or(RCPT_SYNTAX)?),
        b"XCLIENT" => Forwarded::parse(rest).map(|told| Command::Xclient(Box::new(told))),
        b"DATA" => bare(Command::Data),
        b"BDAT" => bdat(rest),
        b"STARTTLS" => bare(Command::StartTls),
        b"RSET" => bare(Command::Rset),
        b"QUIT" => bare(Command::Quit),
        // RFC 5321 §4.1.1.9: the parameter of NOOP is ignored.
        b"NOOP" => Ok(Command::Noop),
        b"VRFY" => Ok(Command::Vrfy),
        b"HELP" => Ok(Command::Help),
        // RFC 2033 §4.1: an LMTP server must not accept these.
        b"HELO" | b"EHLO" => Err(USE_LHLO),
        _ => Err(UNKNOWN_COMMAND),
    }
}

/// What follows ` FROM:` or ` TO:`, in any case. Some clients put a space before the path.
fn argument<'a>(rest: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let (head, tail) = rest.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then(|| tail.trim_ascii_start())
}

fn lhlo(rest: &[u8]) -> Result<Command, &'static [u8]> {
    let client = rest.trim_ascii();
    let good = !client.is_empty() && client.len() <= CLIENT_NAME_BYTES_MAX && client.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(client) {
        Ok(client) if good => Ok(Command::Lhlo { client: client.to_owned() }),
        _ => Err(LHLO_SYNTAX),
    }
}

fn mail(rest: &[u8]) -> Result<Command, &'static [u8]> {
    let (sender, rest) = Address::parse_path(rest).map_err(|e| address_error(e, SENDER_SYNTAX))?;
    let (mut size, mut body, mut utf8) = (0, Body::SevenBit, false);
    for parameter in parameters(rest).ok_or(MAIL_SYNTAX)? {
        let (name, value) = split_parameter(parameter);
        match name.to_ascii_uppercase().as_slice() {
            b"SIZE" => size = number(value).ok_or(SIZE_SYNTAX)?,
            b"BODY" if value.eq_ignore_ascii_case(b"7BIT") => body = Body::SevenBit,
            b"BODY" if value.eq_ignore_ascii_case(b"8BITMIME") => body = Body::EightBitMime,
            b"SMTPUTF8" if parameter.len() == name.len() => utf8 = true,
            // RFC 4954 §5: who submitted the message first. Relays pass it on; nothing here hangs on it.
            b"AUTH" if !value.is_empty() => {}
            _ => return Err(UNKNOWN_PARAMETER),
        }
    }
    Ok(Command::Mail { sender, size, body, utf8 })
}

fn rcpt(rest: &[u8]) -> Result<Command, &'static [u8]> {
    let (address, rest) = Address::parse_path(rest).map_err(|e| address_error(e, RECIPIENT_SYNTAX))?;
    let mut fields = None;
    for parameter in parameters(rest).ok_or(RCPT_SYNTAX)? {
        let (name, value) = split_parameter(parameter);
        if !name.eq_ignore_ascii_case(b"XRCPTFORWARD") {
            return Err(UNKNOWN_PARAMETER);
        }
        fields = Some(recipient_fields(value).ok_or(FORWARD_SYNTAX)?);
    }
    address.map(|address| Command::Rcpt { address, fields }).ok_or(RECIPIENT_SYNTAX)
}

/// ` bytes [LAST]`
fn bdat(rest: &[u8]) -> Result<Command, &'static [u8]> {
    let mut words = parameters(rest).ok_or(BDAT_SYNTAX)?;
    let bytes = words.next().and_then(number).ok_or(BDAT_SYNTAX)?;
    let last = words.next();
    if words.next().is_some() || !last.is_none_or(|word| word.eq_ignore_ascii_case(b"LAST")) {
        return Err(BDAT_SYNTAX);
    }
    Ok(Command::Bdat { bytes, last: last.is_some() })
}

fn address_error(error: AddressError, syntax: &'static [u8]) -> &'static [u8] {
    match error {
        AddressError::Syntax => syntax,
        AddressError::TooLong => ADDRESS_TOO_LONG,
    }
}

/// The words after a path; `None` when no space separates them from it.
fn parameters(rest: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let apart = rest.first().is_none_or(|b| *b == b' ' || *b == b'\t');
    apart.then(|| rest.split(|b| *b == b' ' || *b == b'\t').filter(|word| !word.is_empty()))
}

fn split_parameter(parameter: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', parameter) {
        Some(at) => (&parameter[..at], &parameter[at + 1..]),
        None => (parameter, b""),
    }
}

/// Up to 20 digits, as RFC 1870 §3 has it. What 64 bits can not hold is too big in any case.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    fn check(line: &str, expect: Result<Command, &'static [u8]>) {
        let readable =
            |result: Result<Command, &'static [u8]>| result.map_err(|line| String::from_utf8_lossy(line).into_owned());
        assert_eq!(readable(parse(line.as_bytes())), readable(expect), "{line}");
    }

    fn check_mail(line: &str, sender: Option<&str>, size: u64, body: Body) {
        check(line, Ok(Command::Mail { sender: sender.map(address), size, body, utf8: false }));
    }

    #[test]
    fn commands() {
        check("lhlo a.b ", Ok(Command::Lhlo { client: "a.b".into() }));
        check("LHLO [IPv6:::1]", Ok(Command::Lhlo { client: "[IPv6:::1]".into() }));
        check("NOOP what ever", Ok(Command::Noop));
        check("Data", Ok(Command::Data));
        check("RCPT TO:<a@b>", Ok(Command::Rcpt { address: address("a@b"), fields: None }));
        check("rcpt to: <a@b> ", Ok(Command::Rcpt { address: address("a@b"), fields: None }));
        let fields = Some(vec!["a=1".to_string()]);
        check("RCPT TO:<a@b> xrcptforward=YT0x", Ok(Command::Rcpt { address: address("a@b"), fields }));
    }

    #[test]
    fn mail_and_its_parameters() {
        check_mail("MAIL FROM:<>", None, 0, Body::SevenBit);
        check_mail("mail from: <a@b> size=99 body=8bitmime", Some("a@b"), 99, Body::EightBitMime);
        check_mail("MAIL FROM:<a@b>\tBODY=7BIT  AUTH=<>", Some("a@b"), 0, Body::SevenBit);
        check_mail("MAIL FROM:<a@b> SIZE=99999999999999999999", Some("a@b"), u64::MAX, Body::SevenBit);
    }

    #[test]
    fn bdat_tls_and_utf8() {
        check("bdat 0", Ok(Command::Bdat { bytes: 0, last: false }));
        check("BDAT 99 last ", Ok(Command::Bdat { bytes: 99, last: true }));
        check("STARTTLS", Ok(Command::StartTls));
        let (sender, size, body) = (Some(address("ü@b")), 0, Body::EightBitMime);
        check("MAIL FROM:<ü@b> BODY=8BITMIME smtputf8", Ok(Command::Mail { sender, size, body, utf8: true }));
    }

    #[test]
    fn wrong_lines() {
        for (line, expect) in [
            ("", UNKNOWN_COMMAND),
            ("NOSUCH", UNKNOWN_COMMAND),
            ("DATA1", NO_PARAMETERS),
            ("DATA x", NO_PARAMETERS),
            ("\u{1}DATA", CONTROL_CHARACTER),
            ("DATA\0", CONTROL_CHARACTER),
            ("EHLO x", USE_LHLO),
            ("helo", USE_LHLO),
            ("LHLO", LHLO_SYNTAX),
            ("LHLO a b", LHLO_SYNTAX),
            ("LHLO ü", LHLO_SYNTAX),
            ("MAIL", MAIL_SYNTAX),
            ("MAIL FROM", MAIL_SYNTAX),
            ("MAILFROM:<a@b>", UNKNOWN_COMMAND),
            ("MAIL TO:<a@b>", MAIL_SYNTAX),
            ("MAIL FROM:a@b", SENDER_SYNTAX),
            ("MAIL FROM:<a@b>SIZE=1", MAIL_SYNTAX),
            ("MAIL FROM:<a@b> SIZE=", SIZE_SYNTAX),
            ("MAIL FROM:<a@b> SIZE=-1", SIZE_SYNTAX),
            ("MAIL FROM:<a@b> SIZE=999999999999999999999", SIZE_SYNTAX),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", UNKNOWN_PARAMETER),
            ("MAIL FROM:<a@b> SMTPUTF8=", UNKNOWN_PARAMETER),
            ("BDAT", BDAT_SYNTAX),
            ("BDAT x", BDAT_SYNTAX),
            ("BDAT LAST", BDAT_SYNTAX),
            ("BDAT 1 FIRST", BDAT_SYNTAX),
            ("BDAT 1 LAST x", BDAT_SYNTAX),
            ("BDAT 123456789012345678901", BDAT_SYNTAX),
            ("STARTTLS now", NO_PARAMETERS),
            ("MAIL FROM:<a@b> RET=HDRS", UNKNOWN_PARAMETER),
            ("RCPT TO:<>", RECIPIENT_SYNTAX),
            ("RCPT TO:<a@b> NOTIFY=NEVER", UNKNOWN_PARAMETER),
            ("RCPT TO:<a@b> XRCPTFORWARD=?", FORWARD_SYNTAX),
            ("XCLIENT", XCLIENT_SYNTAX),
            ("XCLIENT ADDR", XCLIENT_SYNTAX),
            ("RCPT FROM:<a@b>", RCPT_SYNTAX),
        ] {
            check(line, Err(expect));
        }
        check(&format!("RCPT TO:<{}@b>", "a".repeat(330)), Err(ADDRESS_TOO_LONG));
        check(&format!("LHLO {}", "a".repeat(256)), Err(LHLO_SYNTAX));
    }

    proptest! {
        #[test]
        fn nothing_panics(line in "(MAIL FROM:|RCPT TO:|LHLO |DATA)?[<>@a\"\\\\ =\\x00-\\xff]{0,40}") {
            let _ = parse(line.as_bytes());
        }
    }
}
