//! What the operator decides about the IMAP machine, and what it tells of itself.

use super::response::string;
use crate::sasl::{Channel, Mechanism};
use skein_base::limits::MESSAGE_BYTES_MAX_DEFAULT;

/// What is offered to who is logged in; the limit of APPEND follows, and what settings bring.
#[rustfmt::skip]
const CAPABILITIES: &[&str] = &[
    "BINARY",
    "CATENATE",
    "CHILDREN",
    "COMPRESS=DEFLATE",
    "CONDSTORE",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "ESORT",
    "I18NLEVEL=1",
    "I18NLEVEL=2",
    "IDLE",
    "LIST-EXTENDED",
    "LIST-METADATA",
    "LIST-STATUS",
    "METADATA",
    "METADATA-SERVER",
    "MOVE",
    "MULTIAPPEND",
    "MULTISEARCH",
    "NAMESPACE",
    "NOTIFY",
    "OBJECTID",
    "PARTIAL",
    "PREVIEW",
    "PREVIEW=FUZZY",
    "QRESYNC",
    "REPLACE",
    "SAVEDATE",
    "SEARCHRES",
    "SNIPPET=FUZZY",
    "SORT",
    "SORT=DISPLAY",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "UIDBATCHES",
    "UIDONLY",
    "UIDPLUS",
    "UNAUTHENTICATE",
    "UNSELECT",
    "URL-PARTIAL",
    "URLAUTH",
    "URLAUTH=BINARY",
    "UTF8=ACCEPT",
    "WITHIN",
];

/// A command that is not the machine's own: its arguments are read by the general grammar of RFC 3501 §9, and somebody else knows what they mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExtensionCommand {
    /// As clients write it, in capitals; an atom without `UID` before it.
    pub name: &'static str,
    /// It means the selected mailbox, so that one has to be.
    pub needs_selected: bool,
}

/// Settings of the machine; one value shared by all connections of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImapConfig {
    /// Text of the greeting.
    pub greeting: String,
    /// There is a certificate, so STARTTLS can be offered.
    pub starttls: bool,
    /// Passwords may travel without TLS: LOGIN, AUTHENTICATE PLAIN and LOGIN.
    pub plaintext_login: bool,
    /// SASL mechanisms that may be used.
    pub mechanisms: Vec<Mechanism>,
    /// `LITERAL-` in place of `LITERAL+`: of literals that are not waited for only small ones are taken (RFC 7888).
    pub literal_minus: bool,
    /// Largest message APPEND takes, in bytes.
    pub message_bytes_max: u64,
    /// Logins may be referred to other servers: `LOGIN-REFERRALS` is offered (RFC 2221).
    pub referrals: bool,
    /// Clients are told how far long commands are, so that `INPROGRESS` is offered (RFC 9585).
    pub progress: bool,
    /// One command works on at most so many messages: `MESSAGELIMIT=` is offered (RFC 9738). 0 is no limit.
    pub message_limit: u32,
    /// COPY and APPEND alone save at most so many messages: `SAVELIMIT=` is offered where there is no limit for all commands.
    pub save_limit: u32,
    /// Clients see `.` between the levels of mailbox names. A session keeps what it began with.
    pub dots: bool,
    /// Fields of the ID answer (RFC 2971), at most 30; none is answered as NIL.
    pub id: Vec<(String, String)>,
    /// Commands of extensions.
    pub commands: Vec<ExtensionCommand>,
    /// Capabilities of extensions, told after login.
    pub capabilities: Vec<String>,
}

impl Default for ImapConfig {
    fn default() -> ImapConfig {
        ImapConfig {
            greeting: "Skein ready.".to_string(),
            starttls: true,
            plaintext_login: false,
            mechanisms: vec![Mechanism::Plain],
            literal_minus: false,
            message_bytes_max: MESSAGE_BYTES_MAX_DEFAULT,
            referrals: false,
            progress: false,
            message_limit: 0,
            save_limit: 0,
            dots: false,
            id: vec![("name".to_string(), "Skein".to_string())],
            commands: Vec::new(),
            capabilities: Vec::new(),
        }
    }
}

impl ImapConfig {
    /// The extension's command of this name, without regard to case.
    pub(crate) fn command(&self, name: &[u8]) -> Option<ExtensionCommand> {
        self.commands.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name)).copied()
    }

    /// A password may travel on this connection.
    pub(crate) fn allows_login(&self, tls: bool) -> bool {
        tls || self.plaintext_login
    }

    /// The SASL mechanisms for this connection.
    pub(crate) fn mechanisms<'a>(&'a self, channel: &'a Channel) -> impl Iterator<Item = Mechanism> + 'a {
        Mechanism::offered(&self.mechanisms, channel, self.plaintext_login)
    }

    /// The capabilities before login, or after it; without the word CAPABILITY.
    pub(crate) fn write_capabilities(&self, out: &mut Vec<u8>, channel: &Channel, logged_in: bool) {
        let literals: &[u8] = if self.literal_minus { b" LITERAL-" } else { b" LITERAL+" };
        let referrals: &[u8] = if self.referrals { b" LOGIN-REFERRALS" } else { b"" };
        let always = [b"IMAP4rev1 IMAP4rev2", literals, b" SASL-IR", referrals, b" ID ENABLE LANGUAGE"];
        always.iter().for_each(|some| out.extend_from_slice(some));
        if logged_in {
            for name in CAPABILITIES {
                out.push(b' ');
                out.extend_from_slice(name.as_bytes());
            }
            out.extend_from_slice(b" APPENDLIMIT=");
            super::response::number(out, self.message_bytes_max);
            out.extend_from_slice(if self.progress { b" INPROGRESS" } else { b"" });
            let limit = match (self.message_limit, self.save_limit) {
                (0, 0) => None,
                (0, max) => Some((b" SAVELIMIT=".as_slice(), max)),
                (max, _) => Some((b" MESSAGELIMIT=".as_slice(), max)),
            };
            if let Some((name, max)) = limit {
                out.extend_from_slice(name);
                super::response::number(out, u64::from(max));
            }
            for name in &self.capabilities {
                out.push(b' ');
                out.extend_from_slice(name.as_bytes());
            }
            return;
        }
        if self.starttls && !channel.tls {
            out.extend_from_slice(b" STARTTLS");
        }
        for mechanism in self.mechanisms(channel) {
            out.extend_from_slice(b" AUTH=");
            out.extend_from_slice(mechanism.name().as_bytes());
        }
        if !self.allows_login(channel.tls) {
            out.extend_from_slice(b" LOGINDISABLED");
        }
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
