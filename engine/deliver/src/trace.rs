//! The headers that final delivery puts before a message (RFC 5321 §4.4).

use crate::date::write_date;
use skein_base::UserName;
use skein_proto::lmtp::Address;
use std::io::Write;
use std::net::IpAddr;

/// Which address Delivered-To names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DeliveredTo {
    /// The user whose mail it became.
    #[default]
    Final,
    /// The address of RCPT.
    Original,
    /// None: there is no such header.
    None,
}

/// Which headers are written beside Return-Path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Delivered-To, and what is in it.
    pub delivered_to: DeliveredTo,
    /// Received.
    pub received: bool,
}

impl Default for Headers {
    /// All of them.
    fn default() -> Headers {
        Headers { delivered_to: DeliveredTo::Final, received: true }
    }
}

/// What the headers tell.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// Which there are.
    pub headers: Headers,
    /// The envelope sender; `None` for `<>`.
    pub sender: Option<&'a Address>,
    /// The address of RCPT, detail and all, and whose mail it became; `None` when several recipients share the copy, of
    /// whom none may learn of the others.
    pub to: Option<(&'a Address, &'a UserName)>,
    /// What the client called itself in LHLO.
    pub client: &'a str,
    /// Where the client is; `None` when it came over a socket without address.
    pub client_ip: Option<IpAddr>,
    /// Came over TLS.
    pub tls: bool,
    /// Came with SMTPUTF8.
    pub utf8: bool,
    /// Our name.
    pub hostname: &'a str,
    /// What the log knows this delivery by.
    pub id: &'a str,
    /// When, in seconds since 1970.
    pub unix_seconds: i64,
}

/// Appends Return-Path, Delivered-To and Received, each line ended by CRLF; the message follows as it came.
///
/// ```text
/// Return-Path: <anna@example.org>
/// Delivered-To: ben@example.net
/// Received: from relay.example.net ([192.0.2.1])
/// <tab>by mx.example.net with LMTP id 6f2a
/// <tab>for <ben+lists@example.net>; Mon, 23 Nov 2026 23:34:50 +0000
/// ```
///
/// A copy that several recipients share has no Delivered-To and no `for`. A Return-Path the message came with stays below
/// ours, unless [`DropField`](crate::DropField) takes it out: readers go by the first.
pub fn write_trace(out: &mut Vec<u8>, trace: &Trace<'_>) {
    out.extend_from_slice(b"Return-Path: ");
    write_path(out, trace.sender);
    match (trace.headers.delivered_to, trace.to) {
        (DeliveredTo::Final, Some((_, user))) => {
            out.extend_from_slice(b"\r\nDelivered-To: ");
            out.extend_from_slice(user.as_str().as_bytes());
        }
        (DeliveredTo::Original, Some((address, _))) => {
            out.extend_from_slice(b"\r\nDelivered-To: ");
            address.write_to(out);
        }
        (DeliveredTo::None, _) | (_, None) => {}
    }
    if trace.headers.received {
        write_received(out, trace);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_received(out: &mut Vec<u8>, trace: &Trace<'_>) {
    out.extend_from_slice(b"\r\nReceived: from ");
    write_word(out, trace.client);
    if let Some(ip) = trace.client_ip {
        write_ip(out, ip);
    }
    out.extend_from_slice(b"\r\n\tby ");
    write_word(out, trace.hostname);
    // RFC 3848 and RFC 6531 §4.3 register the words.
    out.extend_from_slice(match (trace.utf8, trace.tls) {
        (false, false) => b" with LMTP id ",
        (false, true) => b" with LMTPS id ",
        (true, false) => b" with UTF8LMTP id ",
        (true, true) => b" with UTF8LMTPS id ",
    });
    write_word(out, trace.id);
    if let Some((recipient, _)) = trace.to {
        out.extend_from_slice(b"\r\n\tfor ");
        write_path(out, Some(recipient));
    }
    out.extend_from_slice(b"; ");
    write_date(out, trace.unix_seconds);
}

fn write_path(out: &mut Vec<u8>, address: Option<&Address>) {
    out.push(b'<');
    if let Some(address) = address {
        address.write_to(out);
    }
    out.push(b'>');
}

/// ` ([192.0.2.1])` or ` ([IPv6:2001:db8::1])` (RFC 5321 §4.1.3).
fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    let tag = if ip.is_ipv6() { "IPv6:" } else { "" };
    write!(out, " ([{tag}{ip}])").expect("a Vec takes every write");
}

/// A name that others chose: what could end a line or open a comment becomes `?`. Never empty, or the next word would take
/// its place.
fn write_word(out: &mut Vec<u8>, word: &str) {
    let harmless = |b: u8| if b.is_ascii_alphanumeric() || b".-_:[]".contains(&b) { b } else { b'?' };
    match word {
        "" => out.extend_from_slice(b"unknown"),
        word => out.extend(word.bytes().map(harmless)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    fn written(trace: &Trace<'_>) -> String {
        let mut out = Vec::new();
        write_trace(&mut out, trace);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_three_headers() {
        let (sender, recipient) = (address("anna@example.org"), address("ben+lists@example.net"));
        let user = UserName::new("ben@example.net").unwrap();
        let trace = Trace {
            headers: Headers::default(),
            sender: Some(&sender),
            to: Some((&recipient, &user)),
            client: "relay.example.net",
            client_ip: Some([192, 0, 2, 1].into()),
            tls: false,
            utf8: false,
            hostname: "mx.example.net",
            id: "6f2a",
            unix_seconds: 1_795_476_890,
        };
        assert_eq!(
            written(&trace),
            "Return-Path: <anna@example.org>\r\n\
             Delivered-To: ben@example.net\r\n\
             Received: from relay.example.net ([192.0.2.1])\r\n\
             \tby mx.example.net with LMTP id 6f2a\r\n\
             \tfor <ben+lists@example.net>; Mon, 23 Nov 2026 23:34:50 +0000\r\n"
        );
        let bounce = Trace { sender: None, client_ip: Some("2001:db8::1".parse().unwrap()), tls: true, ..trace };
        let text = written(&bounce);
        assert!(text.starts_with("Return-Path: <>\r\n"));
        assert!(text.contains("([IPv6:2001:db8::1])\r\n") && text.contains(" with LMTPS id "));
        for (tls, word) in [(false, " with UTF8LMTP id "), (true, " with UTF8LMTPS id ")] {
            assert!(written(&Trace { utf8: true, tls, ..trace }).contains(word));
        }
        let with = |delivered_to, received| written(&Trace { headers: Headers { delivered_to, received }, ..trace });
        assert!(with(DeliveredTo::Original, true).contains("\r\nDelivered-To: ben+lists@example.net\r\nReceived: "));
        assert_eq!(with(DeliveredTo::None, false), "Return-Path: <anna@example.org>\r\n");
        assert_eq!(written(&Trace { to: None, ..trace }).matches("Delivered-To").count(), 0);
        let nameless = Trace { client: "", client_ip: None, ..trace };
        assert!(written(&nameless).contains("Received: from unknown\r\n\tby"));
        let shared = written(&Trace { to: None, ..trace });
        assert!(!shared.contains("ben") && shared.contains(" with LMTP id 6f2a; Mon, 23 Nov"));
    }

    proptest! {
        /// Whatever names come, there are five lines within RFC 5322's 998 bytes, and no header of someone else's.
        #[test]
        fn no_name_breaks_out(client in "\\PC{0,60}|[ -~\\r\\n]{0,255}", host in "[ -~\\r\\n]{0,255}", id in "[ -~\\r\\n]{0,40}", local in "[ -~]{1,254}") {
            let recipient = Address { local, domain: Some("example.net".into()) };
            let user = UserName::new("ben").unwrap();
            let text = written(&Trace {
                headers: Headers::default(), sender: Some(&recipient), to: Some((&recipient, &user)), client: &client, client_ip: None, tls: false, utf8: true,
                hostname: &host, id: &id, unix_seconds: 0,
            });
            let lines: Vec<&str> = text.split_terminator("\r\n").collect();
            let starts = ["Return-Path: <", "Delivered-To: ben", "Received: from ", "\tby ", "\tfor <"];
            prop_assert_eq!(lines.len(), starts.len());
            for (line, start) in lines.iter().zip(starts) {
                prop_assert!(line.starts_with(start) && line.len() <= 998 && !line.contains(['\r', '\n']));
            }
        }
    }
}
