//! A worked example of an extension: mail in mailboxes below `Archive` can not be expunged, and a command says how much is kept.
//!
//! ```text
//! c: a1 XKEEP Archive            s: * XKEEP Archive 12       an added command
//! c: a2 EXPUNGE                  s: a2 NO [NOPERM] ..        a behaviour that is another
//! c: a3 CAPABILITY               s: .. XKEEP ..
//! c: a4 XPIN 7 1                 s: a4 OK ..                 a value of its own in each message: UID 7 stays, wherever it is
//! c: a5 SELECT Virtual/Pinned    s: * 1 EXISTS ..            a mailbox of its own format: what is pinned, wherever it is
//! ```
//!
//! engine/docs/extensions.md walks through it. `skein-keep` is the server with this in it.

use skein_base::{Class, IdSet, MailboxId, Rights, SpecialUse};
use skein_hooks::{Call, Extension, Outcome, Running};
use skein_proto::imap::{Arguments, ExtensionCommand, Reply, response};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountError, Actor, Change, Refused, StoreError};
use std::cell::Cell;
use std::rc::Rc;

/// The mailbox below which mail is kept, itself included.
const ARCHIVE: &str = "Archive";

/// The column of values that says which messages are pinned: 1 for those that are. Its name begins with the extension's.
const PINNED: &str = "keep/pinned";

/// Keeps archives, and what somebody has pinned.
#[derive(Default)]
pub struct Keep;

/// What is remembered of an open account.
#[derive(Default)]
struct Kept {
    /// Attempts to expunge that were refused.
    refused: Cell<u64>,
}

impl Extension for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    fn capabilities(&self) -> Vec<String> {
        vec!["XKEEP".to_owned()]
    }

    fn commands(&self) -> &'static [ExtensionCommand] {
        &[
            ExtensionCommand { name: "XKEEP", needs_selected: false },
            ExtensionCommand { name: "XPIN", needs_selected: true },
        ]
    }

    fn before(&self, change: &Change<'_>) -> Result<(), Refused> {
        // Whoever runs the server may still tidy up.
        if *change.actor == Actor::Operator {
            return Ok(());
        }
        let loses = |op: &Op| match op {
            Op::Expunge { mailbox, uids } => {
                change.account.read(|account| is_kept(account, *mailbox) || has_pinned(account, *mailbox, uids))
            }
            Op::DeleteMailbox { mailbox } => change.account.read(|account| is_kept(account, *mailbox)),
            _ => false,
        };
        if !change.ops.iter().any(loses) {
            return Ok(());
        }
        let kept = change.account.slot::<Kept>().unwrap_or_default();
        kept.refused.set(kept.refused.get() + 1);
        change.account.put_slot(kept);
        Err(Refused::new(Class::Denied, "Mail in the archive is kept"))
    }

    fn mailboxes(&self) -> Vec<(String, SpecialUse)> {
        vec![("Pinned".to_owned(), SpecialUse::NONE)]
    }

    fn shows(&self, _: &str, account: &Account, source: MailboxId) -> IdSet {
        pinned(account, source)
    }

    fn run<'a>(&'a self, call: Call<'a>) -> Running<'a> {
        Box::pin(async move {
            match call.command {
                "XPIN" => pin(&call).unwrap_or_else(|refusal| refusal).into(),
                _ => count(&call).await.unwrap_or_else(Outcome::from),
            }
        })
    }
}

/// `XKEEP mailbox`: how many messages are kept in it, and how often somebody wanted to expunge some since the account was opened.
async fn count(call: &Call<'_>) -> Result<Outcome, Reply> {
    let mut words = Arguments::new(call.arguments);
    let name = words.mailbox(call.names)?;
    words.end()?;
    let id = call.account.read(|account| account.find(&name).map(|named| named.id));
    let id = id.ok_or_else(|| Reply::no(Class::Missing, AccountError::NoSuchMailbox.to_string()))?;
    // A mailbox is in memory only while somebody looks at it.
    call.store.load(call.account, id).await.map_err(|error| Reply::no(error.class(), error.client_text()))?;
    let messages = call.account.read(|account| match is_kept(account, id) {
        true => account.mailbox(id).map_or(0, |mailbox| mailbox.rows().count()),
        false => 0,
    });
    let refused = call.account.slot::<Kept>().map_or(0, |kept: Rc<Kept>| kept.refused.get());
    let mut lines = b"* XKEEP ".to_vec();
    response::mailbox(&mut lines, &call.told(&name), call.names);
    lines.extend_from_slice(format!(" {messages} {refused}\r\n").as_bytes());
    Ok(Outcome { lines, reply: Reply::Done })
}

/// `XPIN uid 1` and `XPIN uid 0`, in the selected mailbox: a message is pinned, or is not any more.
fn pin(call: &Call<'_>) -> Result<Reply, Reply> {
    let mut words = Arguments::new(call.arguments);
    let (uid, value) = (words.number()?, words.number()?);
    words.end()?;
    let uid = u32::try_from(uid).ok().filter(|_| value <= 1).ok_or(Reply::bad("XPIN takes a UID, and 1 or 0"))?;
    let mailbox = call.selected.ok_or(Reply::bad("No mailbox is selected"))?;
    let refuse = |error: StoreError| Reply::no(error.class(), error.client_text());
    if !call.account.read(|account| call.extensions.rights(call.actor, account, mailbox)).contains(Rights::WRITE) {
        return Err(refuse(Refused::new(Class::Denied, "You may not change messages here").into()));
    }
    // Validated, logged and applied with nothing in between; the reply leaves when it is durable.
    let ops = call.account.read(|account| account.set_values(mailbox, PINNED, &IdSet::one(uid), value));
    let ops = ops.map_err(|error| refuse(error.into()))?;
    call.store.commit_for(call.actor, call.account, &ops).map_err(refuse)?;
    Ok(Reply::Done)
}

fn has_pinned(account: &Account, id: MailboxId, uids: &IdSet) -> bool {
    let pinned = pinned(account, id).intersection(uids);
    account.mailbox(id).is_some_and(|m| m.rows().among(&pinned).next().is_some())
}

/// Some of them may have no message any more.
fn pinned(account: &Account, id: MailboxId) -> IdSet {
    let column = account.mailbox(id).and_then(|mailbox| mailbox.column(PINNED));
    column.map_or_else(IdSet::new, |column| column.with(|value| value == 1))
}

fn is_kept(account: &Account, id: MailboxId) -> bool {
    let below = |name: &str| name.strip_prefix(ARCHIVE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    account.mailboxes().any(|named| named.id == id && below(named.name))
}
