//! What the operator decides about the POP3 machine, and what it tells of itself.

use crate::sasl::{Channel, Mechanism};

/// Settings of the machine; one value shared by all connections of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pop3Config {
    /// Text of the greeting.
    pub greeting: String,
    /// There is a certificate, so STLS can be offered.
    pub starttls: bool,
    /// Passwords may travel without TLS: PASS, AUTH PLAIN and LOGIN.
    pub plaintext_login: bool,
    /// SASL mechanisms that may be used.
    pub mechanisms: Vec<Mechanism>,
    /// LAST is a command (RFC 1460); RFC 1725 took it away.
    pub last: bool,
    /// What IMPLEMENTATION tells; nothing is told when it is empty.
    pub implementation: String,
}

impl Default for Pop3Config {
    fn default() -> Pop3Config {
        Pop3Config {
            greeting: "Skein ready.".to_string(),
            starttls: true,
            plaintext_login: false,
            mechanisms: vec![Mechanism::Plain, Mechanism::Login],
            last: false,
            implementation: "Skein".to_string(),
        }
    }
}

impl Pop3Config {
    /// A password may travel on this connection.
    pub(super) fn allows_login(&self, tls: bool) -> bool {
        tls || self.plaintext_login
    }

    /// The SASL mechanisms for this connection.
    pub(super) fn mechanisms<'a>(&'a self, channel: &'a Channel) -> impl Iterator<Item = Mechanism> + 'a {
        Mechanism::offered(&self.mechanisms, channel, self.plaintext_login)
    }

    /// The lines of CAPA (RFC 2449 §5), without its first and last. LOGIN-DELAY is left out: there is none. Mail does not
    /// expire by itself, so EXPIRE is NEVER.
    pub(super) fn write_capabilities(&self, out: &mut Vec<u8>, channel: &Channel, logged_in: bool) {
        out.extend_from_slice(b"TOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n");
        out.extend_from_slice(b"UTF8 USER\r\nLANG\r\n");
        if self.starttls && !channel.tls && !logged_in {
            out.extend_from_slice(b"STLS\r\n");
        }
        if self.allows_login(channel.tls) {
            out.extend_from_slice(b"USER\r\n");
        }
        if self.mechanisms(channel).next().is_some() {
            out.extend_from_slice(b"SASL");
            for mechanism in self.mechanisms(channel) {
                out.push(b' ');
                out.extend_from_slice(mechanism.name().as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        if logged_in && !self.implementation.is_empty() {
            out.extend_from_slice(b"IMPLEMENTATION ");
            out.extend(self.implementation.bytes().filter(u8::is_ascii_graphic));
            out.extend_from_slice(b"\r\n");
        }
    }
}
