//! What the operator decides about the IMAP machine, and what it tells of itself.

use super::response::string;
use skein_base::limits::MESSAGE_BYTES_MAX_DEFAULT;

/// Settings of the machine; one value shared by all connections of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImapConfig {
    /// Text of the greeting.
    pub greeting: String,
    /// There is a certificate, so STARTTLS can be offered.
    pub starttls: bool,
    /// LOGIN and AUTHENTICATE PLAIN are allowed without TLS.
    pub plaintext_login: bool,
    /// Largest message APPEND takes, in bytes.
    pub message_bytes_max: u64,
    /// Fields of the ID answer (RFC 2971), at most 30; none is answered as NIL.
    pub id: Vec<(String, String)>,
}

impl Default for ImapConfig {
    fn default() -> ImapConfig {
        ImapConfig {
            greeting: "Skein ready.".to_string(),
            starttls: true,
            plaintext_login: false,
            message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT,
            id: vec![("name".to_string(), "Skein".to_string())],
        }
    }
}

impl ImapConfig {
    /// A password may travel on this connection.
    pub(crate) fn allows_login(&self, tls: bool) -> bool {
        tls || self.plaintext_login
    }

    /// The capabilities before login, or after it; without the word CAPABILITY.
    pub(crate) fn write_capabilities(&self, out: &mut Vec<u8>, tls: bool, logged_in: bool) {
        out.extend_from_slice(b"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE");
        if logged_in {
            out.extend_from_slice(b" IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE CONDSTORE");
            return;
        }
        if self.starttls && !tls {
            out.extend_from_slice(b" STARTTLS");
        }
        out.extend_from_slice(if self.allows_login(tls) { &b" AUTH=PLAIN"[..] } else { b" LOGINDISABLED" });
    }

    /// `* ID ("name" "Skein")`
    pub(crate) fn write_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ID ");
        for (i, (name, value)) in self.id.iter().enumerate() {
            out.push(if i == 0 { b'(' } else { b' ' });
            string(out, name.as_bytes());
            out.push(b' ');
            string(out, value.as_bytes());
        }
        out.extend_from_slice(if self.id.is_empty() { &b"NIL\r\n"[..] } else { b")\r\n" });
    }
}
