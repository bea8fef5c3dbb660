//! A worked example of an extension: mail in mailboxes below `Archive` can not be expunged, and a command says how much is kept.
//!
//! ```text
//! c: a1 XKEEP Archive            s: * XKEEP Archive 12       an added command
//! c: a2 EXPUNGE                  s: a2 NO [NOPERM] ..        a behaviour that is another
//! c: a3 CAPABILITY               s: .. XKEEP ..
//! ```
//!
//! engine/docs/extensions.md walks through it. `skein-keep` is the server with this in it.

use skein_base::{Class, MailboxId};
use skein_hooks::{Call, Extension, Outcome, Running};
use skein_proto::imap::{Arguments, ExtensionCommand, Reply, response};
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountError, Actor, Change, Refused};
use std::cell::Cell;
use std::rc::Rc;

/// The mailbox below which mail is kept, itself included.
const ARCHIVE: &str = "Archive";

/// Keeps archives.
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
        &[ExtensionCommand { name: "XKEEP", needs_selected: false }]
    }

    fn before(&self, change: &Change<'_>) -> Result<(), Refused> {
        // Whoever runs the server may still tidy up.
        if *change.actor == Actor::Operator {
            return Ok(());
        }
        let loses = |op: &Op| match op {
            Op::Expunge { mailbox, .. } | Op::DeleteMailbox { mailbox } => {
                change.account.read(|account| is_kept(account, *mailbox))
            }
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

    fn run<'a>(&'a self, call: Call<'a>) -> Running<'a> {
        Box::pin(async move { count(&call).await.unwrap_or_else(Outcome::from) })
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

fn is_kept(account: &Account, id: MailboxId) -> bool {
    let below = |name: &str| name.strip_prefix(ARCHIVE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    account.mailboxes().any(|named| named.id == id && below(named.name))
}
