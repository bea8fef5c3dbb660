//! Reply lines (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463).

use super::Address;
use super::limits::REPLY_TEXT_BYTES_MAX;
use super::request::Refusal;
use skein_base::Class;

/// Names constants for whole reply lines.
macro_rules! lines {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: &[u8] = concat!($text, "\r\n").as_bytes();)*
    };
}

lines! {
    OK = "250 2.0.0 OK";
    SENDER_OK = "250 2.1.0 OK";
    RECIPIENT_OK = "250 2.1.5 OK";
    START_DATA = "354 End data with <CRLF>.<CRLF>";
    START_TLS = "220 2.0.0 Begin TLS";
    BYE = "221 2.0.0 Bye";
    CAN_NOT_VERIFY = "252 2.0.0 Try to deliver";
    HELP_TEXT = "214 2.0.0 LHLO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT (RFC 2033)";
    IDLE_TOO_LONG = "421 4.4.2 Idle for too long";
    STOPPING = "421 4.3.2 The server is stopping";
    TOO_MANY_ERRORS = "421 4.7.0 Too many errors";
    TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients";
    UNKNOWN_COMMAND = "500 5.5.1 Unknown command";
    USE_LHLO = "500 5.5.1 This is LMTP: use LHLO";
    LINE_TOO_LONG = "500 5.5.2 Line too long";
    CONTROL_CHARACTER = "500 5.5.2 Control character in command";
    LHLO_SYNTAX = "501 5.5.4 Syntax: LHLO your.name";
    MAIL_SYNTAX = "501 5.5.4 Syntax: MAIL FROM:<address> [SIZE=bytes] [BODY=8BITMIME] [SMTPUTF8]";
    RCPT_SYNTAX = "501 5.5.4 Syntax: RCPT TO:<address>";
    XCLIENT_SYNTAX = "501 5.5.4 Syntax: XCLIENT ADDR=address PORT=port HELO=name ...";
    FORWARD_SYNTAX = "501 5.5.4 XRCPTFORWARD is not base64 of fields";
    SIZE_SYNTAX = "501 5.5.4 SIZE is not a number";
    NO_PARAMETERS = "501 5.5.4 This command takes no parameters";
    SENDER_SYNTAX = "501 5.1.7 Bad sender address syntax";
    RECIPIENT_SYNTAX = "501 5.1.3 Bad recipient address syntax";
    ADDRESS_TOO_LONG = "501 5.1.3 Address too long";
    LHLO_FIRST = "503 5.5.1 LHLO first";
    MAIL_FIRST = "503 5.5.1 MAIL first";
    BDAT_BEGUN = "503 5.5.1 BDAT has begun";
    NO_TLS_NOW = "503 5.5.1 TLS is on already, or not offered";
    MAIL_GIVEN = "503 5.5.1 MAIL was given already";
    NO_RECIPIENTS = "503 5.5.1 No valid recipients";
    XCLIENT_IN_MAIL = "503 5.5.0 XCLIENT is not possible while a message is under way";
    NOT_TRUSTED = "550 5.7.14 Your network is not trusted";
    BDAT_SYNTAX = "521 5.5.4 Syntax: BDAT bytes [LAST]";
    TOO_BIG = "552 5.3.4 Message too big";
    NEEDS_SMTPUTF8 = "553 5.6.7 Non-ASCII address needs SMTPUTF8";
    UNKNOWN_PARAMETER = "555 5.5.4 Unsupported parameter";
}

/// The one table from a class of failure to codes.
fn codes(class: Class) -> &'static [u8] {
    match class {
        Class::Missing => b"550 5.1.1 ",
        Class::Denied => b"550 5.7.1 ",
        Class::Credentials => b"535 5.7.8 ",
        Class::Invalid | Class::Exists => b"554 5.5.0 ",
        Class::InUse => b"450 4.2.0 ",
        Class::Limit => b"452 4.5.3 ",
        Class::TooBig => b"552 5.3.4 ",
        Class::Quota => b"452 4.2.2 ",
        Class::Unavailable | Class::Damaged => b"451 4.3.0 ",
        Class::Full => b"452 4.3.1 ",
    }
}

/// `550 5.1.1 text`
pub(crate) fn refuse(out: &mut Vec<u8>, refusal: &Refusal) {
    out.extend_from_slice(codes(refusal.class));
    write_text(out, &refusal.text);
    out.extend_from_slice(b"\r\n");
}

/// `550 5.1.1 <recipient> text`, RFC 2033 §4.2's line for one recipient.
pub(crate) fn refuse_recipient(out: &mut Vec<u8>, recipient: &Address, refusal: &Refusal) {
    out.extend_from_slice(codes(refusal.class));
    write_path(out, recipient);
    write_text(out, &refusal.text);
    out.extend_from_slice(b"\r\n");
}

/// `250 2.0.0 <recipient> Saved`
pub(crate) fn saved(out: &mut Vec<u8>, recipient: &Address) {
    out.extend_from_slice(b"250 2.0.0 ");
    write_path(out, recipient);
    out.extend_from_slice(b"Saved\r\n");
}

/// `250 2.0.0 99 bytes received`, to a BDAT that is not the last.
pub(crate) fn received(out: &mut Vec<u8>, bytes: u64) {
    out.extend_from_slice(b"250 2.0.0 ");
    out.extend_from_slice(bytes.to_string().as_bytes());
    out.extend_from_slice(b" bytes received\r\n");
}

fn write_path(out: &mut Vec<u8>, address: &Address) {
    out.push(b'<');
    address.write_to(out);
    out.extend_from_slice(b"> ");
}

/// Text may hold what a client sent: nothing of it may begin a line of its own.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let printable = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
    out.extend(text.bytes().take(REPLY_TEXT_BYTES_MAX).map(printable));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_on_their_line() {
        let mut out = Vec::new();
        refuse(&mut out, &Refusal { class: Class::Missing, text: "no\r\n250 2.0.0 ü".into() });
        assert_eq!(out, b"550 5.1.1 no??250 2.0.0 ??\r\n");
        out.clear();
        refuse(&mut out, &Refusal { class: Class::Quota, text: "x".repeat(1000) });
        assert_eq!(out.len(), 10 + REPLY_TEXT_BYTES_MAX + 2);
    }
}
