//! Commands by name, and how long each took.

use skein_proto::sasl::Question;
use skein_proto::{imap, lmtp, pop3};
use skein_runtime::metrics::{Histogram, MICROSECOND_BOUNDS};
use std::time::Instant;

/// A command's name and where its times are counted.
pub(crate) struct Command {
    pub name: &'static str,
    took: &'static Histogram,
}

impl Command {
    /// Counts one that began at `start` and ends now.
    pub fn ends(&self, start: Instant) {
        self.took.observe(start.elapsed().as_micros() as u64);
    }
}

/// The metric of all commands' times.
pub const COMMAND_SECONDS: &str = "skein_command_seconds";

macro_rules! command {
    ($protocol:literal, $name:literal) => {{
        static TOOK: Histogram = Histogram::labelled(
            COMMAND_SECONDS,
            "Time from a command to its reply, without the sync of the log that the reply may wait for.",
            &MICROSECOND_BOUNDS,
            1e-6,
            &[("protocol", $protocol), ("command", $name)],
        );
        Some(Command { name: $name, took: &TOOK })
    }};
}

/// A login, as the client asked for it; what it waits for failures before is part of its time.
pub(crate) fn login(service: &str, question: &Question) -> Command {
    let command = match (service, question) {
        ("pop3", Question::Password(_)) => command!("pop3", "PASS"),
        ("pop3", _) => command!("pop3", "AUTH"),
        (_, Question::Password(_)) => command!("imap", "LOGIN"),
        _ => command!("imap", "AUTHENTICATE"),
    };
    command.expect("each arm names one")
}

/// The command that a request is or completes; `None` for a part of one.
pub(crate) fn imap(request: &imap::Request) -> Option<Command> {
    use imap::Request;
    match request {
        Request::Login { .. } => command!("imap", "LOGIN"),
        Request::Sasl(_) => command!("imap", "AUTHENTICATE"),
        Request::Select { .. } => command!("imap", "SELECT"),
        Request::Unselect => command!("imap", "UNSELECT"),
        Request::Close => command!("imap", "CLOSE"),
        Request::Create { .. } => command!("imap", "CREATE"),
        Request::Delete { .. } => command!("imap", "DELETE"),
        Request::Rename { .. } => command!("imap", "RENAME"),
        Request::Subscribe { .. } => command!("imap", "SUBSCRIBE"),
        Request::Unsubscribe { .. } => command!("imap", "UNSUBSCRIBE"),
        Request::List { .. } => command!("imap", "LIST"),
        Request::Namespace => command!("imap", "NAMESPACE"),
        Request::Status { .. } => command!("imap", "STATUS"),
        Request::GetMetadata { .. } => command!("imap", "GETMETADATA"),
        Request::Notify(_) => command!("imap", "NOTIFY"),
        Request::SetMetadata { .. } => command!("imap", "SETMETADATA"),
        Request::AppendBegin(_) | Request::AppendMessage { .. } | Request::AppendUrl(_) => None,
        Request::AppendLiteral { .. } | Request::AppendChunk(_) | Request::AppendAbort => None,
        Request::AppendEnd => command!("imap", "APPEND"),
        // The rest of SELECT.
        Request::Resync(_) => None,
        Request::Fetch { .. } => command!("imap", "FETCH"),
        Request::Store { .. } => command!("imap", "STORE"),
        Request::Search { .. } | Request::ForgetSaved { .. } => command!("imap", "SEARCH"),
        Request::Sort { .. } => command!("imap", "SORT"),
        Request::Thread { .. } => command!("imap", "THREAD"),
        Request::MultiSearch { .. } => command!("imap", "ESEARCH"),
        Request::UidBatches { .. } => command!("imap", "UIDBATCHES"),
        Request::CancelUpdate { .. } => command!("imap", "CANCELUPDATE"),
        Request::Copy { .. } => command!("imap", "COPY"),
        Request::Move { .. } => command!("imap", "MOVE"),
        Request::Expunge { .. } => command!("imap", "EXPUNGE"),
        // NOOP and CHECK, and what is told at the end of many others.
        Request::Sync { .. } => command!("imap", "NOOP"),
        Request::Idle => command!("imap", "IDLE"),
        Request::IdleEnd => None,
        Request::Enable | Request::EnableMetadata { .. } => command!("imap", "ENABLE"),
        Request::GenUrlAuth { .. } => command!("imap", "GENURLAUTH"),
        Request::ResetKey { .. } => command!("imap", "RESETKEY"),
        Request::UrlFetch { .. } => command!("imap", "URLFETCH"),
        Request::Extension { .. } => command!("imap", "EXTENSION"),
        Request::Unauthenticate => command!("imap", "UNAUTHENTICATE"),
        Request::Logout => command!("imap", "LOGOUT"),
    }
}

/// The same of POP3.
pub(crate) fn pop3(request: &pop3::Request) -> Option<Command> {
    use pop3::Request;
    match request {
        Request::Login { .. } => command!("pop3", "PASS"),
        Request::Sasl(_) => command!("pop3", "AUTH"),
        Request::Stat => command!("pop3", "STAT"),
        Request::List(_) => command!("pop3", "LIST"),
        Request::Uidl(_) => command!("pop3", "UIDL"),
        Request::Retr(_) => command!("pop3", "RETR"),
        Request::Top { .. } => command!("pop3", "TOP"),
        Request::Last => command!("pop3", "LAST"),
        Request::Dele(_) => command!("pop3", "DELE"),
        Request::Rset => command!("pop3", "RSET"),
        Request::Quit => command!("pop3", "QUIT"),
    }
}

/// The same of LMTP.
pub(crate) fn lmtp(request: &lmtp::Request) -> Option<Command> {
    use lmtp::Request;
    match request {
        Request::Forwarded(_) => command!("lmtp", "XCLIENT"),
        Request::Sender { .. } => command!("lmtp", "MAIL"),
        Request::Recipient { .. } => command!("lmtp", "RCPT"),
        // From the last byte of the message to the outcomes.
        Request::End { .. } => command!("lmtp", "DATA"),
        Request::Chunk(_) | Request::Abort => None,
    }
}
