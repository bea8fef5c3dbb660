//! What an extension may say, and when it is asked.

use crate::Store;
use skein_auth::Fields;
use skein_base::{IdSet, MailboxId, Rights, SpecialUse, UserName};
use skein_config::Config;
use skein_proto::imap::response::Names;
use skein_proto::imap::{Argument, ExtensionCommand, Reply};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountHandle, Actor, Change, Refused};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// Takes part in what the sessions of one shard do. Every verb has a default that changes nothing.
///
/// None but [`Extension::run`] may wait; all are called between other sessions' work, so they are to be quick.
pub trait Extension: 'static {
    /// Its name, for the log.
    fn name(&self) -> &'static str;

    /// Settings are new, or are read for the first time.
    fn configure(&self, config: &Config) {
        let _ = config;
    }

    /// What CAPABILITY tells after login because of it.
    fn capabilities(&self) -> Vec<String> {
        Vec::new()
    }

    /// IMAP commands that it adds; [`Extension::run`] runs them.
    fn commands(&self) -> &'static [ExtensionCommand] {
        &[]
    }

    /// A user's account is open, and a source of users has said this of him: at each login, and at each RCPT.
    fn user_known(&self, account: &AccountHandle, fields: &Fields) {
        let _ = (account, fields);
    }

    /// It goes by what all of the account's mailboxes hold, so that they are to be measured before it is asked.
    fn wants_usage(&self, account: &AccountHandle) -> bool {
        let _ = account;
        false
    }

    /// What somebody may do with a mailbox. What all extensions allow is allowed.
    fn rights(&self, actor: &Actor, account: &Account, mailbox: MailboxId) -> Rights {
        let _ = (actor, account, mailbox);
        Rights::ALL
    }

    /// A mailbox is about to be opened by SELECT or EXAMINE.
    ///
    /// # Errors
    /// It is not to be.
    fn opening(&self, actor: &Actor, account: &AccountHandle, mailbox: MailboxId) -> Result<(), Refused> {
        let _ = (actor, account, mailbox);
        Ok(())
    }

    /// A mailbox is about to be made: what else is to be so of it from the beginning. The ops go into the same record.
    fn creating(&self, account: &Account, name: &str, mailbox: MailboxId) -> Vec<Op> {
        let _ = (account, name, mailbox);
        Vec::new()
    }

    /// A change is about to be made: messages are saved, flags change, messages are expunged, mailboxes come and go.
    ///
    /// # Errors
    /// It is not to be made; nothing changes.
    fn before(&self, change: &Change<'_>) -> Result<(), Refused> {
        let _ = change;
        Ok(())
    }

    /// A change has been made. It may not be durable yet.
    fn after(&self, change: &Change<'_>) {
        let _ = change;
    }

    /// A namespace is listed to somebody: names that are taken out are not shown. `INBOX` stays whatever happens.
    fn listing(&self, actor: &Actor, account: &Account, names: &mut Vec<String>) {
        let _ = (actor, account, names);
    }

    /// Mailboxes of a format of its own that each user has: names below `namespaces.virtual_prefix`, and what each is for. Asked at the start and
    /// after a reload; one that the settings have is theirs.
    fn mailboxes(&self) -> Vec<(String, SpecialUse)> {
        Vec::new()
    }

    /// What one of them shows of another mailbox of the account, which is in memory: UIDs there. Asked anew when something has happened in it:
    /// messages have come, flags or values in columns have changed.
    fn shows(&self, name: &str, account: &Account, source: MailboxId) -> IdSet {
        let _ = (name, account, source);
        IdSet::new()
    }

    /// How full an account is, for those who ask. All mailboxes have been measured.
    fn quota(&self, account: &AccountHandle, mailbox: Option<MailboxId>) -> Option<Quota> {
        let _ = (account, mailbox);
        None
    }

    /// Whether a message of so many bytes would be taken for a mailbox, all else being as it is; at RCPT the size is what the sender
    /// has announced, or 0.
    ///
    /// # Errors
    /// It would not.
    fn would_take(&self, account: &AccountHandle, mailbox: MailboxId, bytes: u64) -> Result<(), Refused> {
        let _ = (account, mailbox, bytes);
        Ok(())
    }

    /// Runs one of its commands.
    fn run<'a>(&'a self, call: Call<'a>) -> Running<'a> {
        let _ = call;
        Box::pin(async { Outcome::from(Reply::bad("Unknown command")) })
    }
}

/// A command that runs.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A command of an extension in a session.
pub struct Call<'a> {
    /// As it was registered.
    pub command: &'static str,
    /// Its arguments.
    pub arguments: &'a [Argument],
    /// Who says it.
    pub actor: &'a Actor,
    /// He is an administrator, in his own account or as a master user in another one.
    pub is_admin: bool,
    /// Whose account the session is of.
    pub account: &'a Rc<AccountHandle>,
    /// What stands before the account's mailbox names as this session's client knows them; see [`Call::told`].
    pub prefix: &'a str,
    /// How its client writes and reads mailbox names.
    pub names: Names,
    /// The selected mailbox.
    pub selected: Option<MailboxId>,
    /// The shard's store.
    pub store: &'a Store,
    /// All extensions, for what they know together.
    pub extensions: &'a crate::Extensions,
}

impl Call<'_> {
    /// A name of the account as this session's client knows it. His own INBOX has nothing before it.
    pub fn told(&self, name: &str) -> String {
        match self.actor {
            Actor::Owner if name == "INBOX" => name.to_owned(),
            _ => format!("{}{name}", self.prefix),
        }
    }
}

/// How a command ended: untagged lines, then its reply.
pub struct Outcome {
    /// Complete lines.
    pub lines: Vec<u8>,
    /// `Done`, `DoneCode`, `No` or `Bad`.
    pub reply: Reply,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Outcome {
        Outcome { lines: Vec::new(), reply }
    }
}

/// What quota is made of (RFC 9208 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// Bytes of messages; on the wire in units of 1024 octets.
    Storage,
    /// Messages.
    Message,
    /// Mailboxes.
    Mailbox,
}

impl Resource {
    /// As clients write it.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Storage => "STORAGE",
            Resource::Message => "MESSAGE",
            Resource::Mailbox => "MAILBOX",
        }
    }
}

/// A quota root with what is used of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// As GETQUOTA names it.
    pub name: String,
    /// Resource, used, limit; in bytes, messages, mailboxes. Only what is limited.
    pub resources: Vec<(Resource, u64, u64)>,
}

/// What is known of a user's quota.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quota {
    /// His roots, or those of the mailbox that was asked about.
    pub roots: Vec<Root>,
}

/// Whoever may act as somebody, by name; the owner's name is the account's.
pub fn name_of(actor: &Actor, account: &AccountHandle) -> Option<UserName> {
    match actor {
        Actor::Owner => Some(account.user().clone()),
        Actor::Guest(guest) => Some(guest.user.clone()),
        Actor::Delivery | Actor::Operator => None,
    }
}
