//! One complete command in, one [`Command`] out.
//!
//! ```text
//! cursor     words of the grammar: atoms, strings, numbers, names
//! literal    {310} at the end of a line
//! session    LOGIN AUTHENTICATE ID ENABLE COMPRESS COMPARATOR LANGUAGE
//! mailbox    SELECT CREATE RENAME LIST STATUS ...
//! append     APPEND and REPLACE, line by line
//! message    COPY MOVE STORE EXPUNGE, sets and flags
//! metadata   GETMETADATA SETMETADATA    notify     NOTIFY
//! fetch      FETCH    search     SEARCH    filter     which mailboxes
//! returns    RETURN    urlauth    GENURLAUTH RESETKEY URLFETCH
//! ```

mod append;
mod cursor;
mod fetch;
mod filter;
pub(crate) mod literal;
mod mailbox;
mod message;
mod metadata;
mod notify;
mod returns;
mod search;
mod session;
mod urlauth;

pub(crate) use append::{AppendAt, AppendLine, AppendSoFar, AppendThen, append_line};
pub(crate) use cursor::{Cursor, fold_inbox, named_mailbox};
pub(crate) use fetch::section_of_url;
pub use filter::MailboxFilter;
pub(crate) use search::standing;

use super::comparator::Order;
use super::language::Range;
use super::response::Names;
use super::verb::{Verb, When};
use super::{Argument, Code, Comparator, ExtensionCommand, Request};
use std::borrow::Cow;

/// What is wrong with a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// It is no IMAP.
    Bad(&'static str),
    /// It is none, and in this way.
    BadCode(Code, &'static str),
    /// It is, but it can not be done.
    No(Code, &'static str),
}

/// Of a message number after ENABLE UIDONLY (RFC 9586 §3).
pub(crate) const UID_REQUIRED: Wrong =
    Wrong::BadCode(Code::UidRequired, "Message numbers are not allowed once UIDONLY is enabled");

impl Wrong {
    /// A name that no mailbox has, in place of one that none can have.
    fn into_nobody(self) -> Result<String, Wrong> {
        match self {
            Wrong::No(..) => Ok("\0".to_string()),
            bad => Err(bad),
        }
    }
}

/// A command that is well-formed.
#[derive(Debug)]
pub(crate) enum Command {
    /// Needs nothing from the session.
    Plain,
    /// AUTHENTICATE with a mechanism, and with the initial response of SASL-IR, still in base64.
    Authenticate { mechanism: String, initial: Option<Vec<u8>> },
    /// ENABLE, and which were among the names.
    Enable(Enabling),
    /// COMPRESS, and whether it is by DEFLATE.
    Compress { deflate: bool },
    /// COMPARATOR, and which it asks for; none asks for the active one.
    Comparator(Vec<Order>),
    /// LANGUAGE, and what the client can read; none asks for all there are.
    Language(Vec<Range>),
    /// `LIST "" ""`: which separator?
    Separator,
    /// To be asked.
    Ask(Request),
    /// Of an extension, to be asked.
    Extension(Vec<Argument>),
}

/// What ENABLE names, what COMPARATOR has chosen, and how names are separated, which no client can change.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Enabling {
    pub(crate) comparator: Comparator,
    pub(crate) condstore: bool,
    pub(crate) qresync: bool,
    pub(crate) metadata: bool,
    pub(crate) metadata_server: bool,
    pub(crate) utf8: bool,
    pub(crate) rev2: bool,
    pub(crate) uid_only: bool,
    pub(crate) dots: bool,
}

impl Enabling {
    /// How mailbox names are written.
    pub(crate) fn names(self) -> Names {
        Names { utf8: self.utf8 || self.rev2, dots: self.dots }
    }
}

/// The tag and what stands after it.
pub(crate) fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes).unwrap_or(bytes.len());
    let (tag, rest) = bytes.split_at(end);
    let fits = !tag.is_empty() && tag.iter().all(|&b| super::response::is_astring_char(b) && b != b'+');
    fits.then(|| (tag, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// A command's name, understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) verb: Verb,
    /// Which, when it is an extension's.
    pub(crate) extension: Option<ExtensionCommand>,
}

impl From<Verb> for Said {
    fn from(verb: Verb) -> Said {
        Said { verb, extension: None }
    }
}

impl Said {
    /// As clients write it.
    pub(crate) fn name(self) -> &'static str {
        self.extension.map_or(self.verb.name(), |extension| extension.name)
    }

    /// When it is allowed.
    pub(crate) fn when(self) -> When {
        match self.extension {
            Some(extension) if extension.needs_selected => When::Selected,
            _ => self.verb.when(),
        }
    }
}

/// The verb, and the cursor after it. `extension` knows the commands that are not the machine's own.
pub(crate) fn verb(
    after_tag: &[u8],
    enabled: Enabling,
    extension: impl FnOnce(&[u8]) -> Option<ExtensionCommand>,
) -> Result<(Said, Cursor<'_>), Wrong> {
    let mut cursor = Cursor::new(after_tag, enabled);
    let name = cursor.atom("Missing command")?;
    if !name.eq_ignore_ascii_case(b"UID") {
        let said = match Verb::find(name, false) {
            Some(verb) => Said { verb, extension: None },
            None => {
                let extension = Some(extension(name).ok_or(Wrong::Bad("Unknown command"))?);
                Said { verb: Verb::Extension, extension }
            }
        };
        return Ok((said, cursor));
    }
    cursor.space()?;
    let name = cursor.atom("Missing command after UID")?;
    let verb = Verb::find(name, true).ok_or(Wrong::Bad("Unknown command after UID"))?;
    Ok((Said { verb, extension: None }, cursor))
}

/// The arguments, and nothing after them.
pub(crate) fn arguments(verb: Verb, mut cursor: Cursor<'_>) -> Result<Command, Wrong> {
    let c = &mut cursor;
    let command = match verb {
        Verb::Capability | Verb::Noop | Verb::StartTls => Command::Plain,
        Verb::Logout => Command::Ask(Request::Logout),
        Verb::Check => Command::Ask(Request::Sync { expunges: true, check: true }),
        Verb::Namespace => Command::Ask(Request::Namespace),
        Verb::Comparator => session::comparator(c)?,
        Verb::Language => session::language(c)?,
        Verb::Idle => Command::Ask(Request::Idle),
        Verb::Close => Command::Ask(Request::Close),
        Verb::Unselect => Command::Ask(Request::Unselect),
        Verb::Id => session::id(c)?,
        Verb::Authenticate => session::authenticate(c)?,
        Verb::Login => session::login(c)?,
        Verb::Enable => session::enable(c)?,
        Verb::Compress => session::compress(c)?,
        Verb::Unauthenticate => Command::Ask(Request::Unauthenticate),
        Verb::Select | Verb::Examine => mailbox::select(c, verb)?,
        Verb::Create | Verb::Delete | Verb::Subscribe | Verb::Unsubscribe => mailbox::one_name(c, verb)?,
        Verb::Rename => mailbox::rename(c)?,
        Verb::List | Verb::Lsub | Verb::Xlist => mailbox::list(c, verb)?,
        Verb::Status => mailbox::status(c)?,
        Verb::GetMetadata => metadata::get(c)?,
        Verb::SetMetadata => metadata::set(c)?,
        Verb::Notify => notify::notify(c)?,
        Verb::GenUrlAuth => urlauth::generate(c)?,
        Verb::ResetKey => urlauth::reset(c)?,
        Verb::UrlFetch => urlauth::fetch(c)?,
        Verb::Append | Verb::Replace | Verb::UidReplace => unreachable!("read line by line"),
        Verb::Expunge => Command::Ask(Request::Expunge { uids: None }),
        Verb::UidExpunge => message::uid_expunge(c)?,
        Verb::Copy | Verb::UidCopy | Verb::Move | Verb::UidMove => message::copy(c, verb)?,
        Verb::Store | Verb::UidStore => message::store(c, verb)?,
        Verb::Fetch | Verb::UidFetch => fetch::fetch(c, verb)?,
        Verb::Search | Verb::UidSearch => search::search(c, verb)?,
        Verb::Sort | Verb::UidSort => search::sort(c, verb)?,
        Verb::MultiSearch => search::multi_search(c)?,
        Verb::CancelUpdate => returns::cancel_update(c)?,
        Verb::UidBatches => message::uid_batches(c)?,
        Verb::Thread | Verb::UidThread => search::thread(c, verb)?,
        Verb::Extension => Command::Extension(super::argument::arguments(c)?),
    };
    cursor.end()?;
    Ok(command)
}

/// Text that is to be told again, whatever it is.
fn utf8_lossy(text: Cow<'_, [u8]>) -> String {
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests;
