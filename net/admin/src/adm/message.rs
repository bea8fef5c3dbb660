//! `search`, `expunge`, `flags`, `copy`, `move`: what a query finds, and what is done with it.

use super::desk::Desk;
use super::query::{self, Query};
use super::route::Stop;
use super::rows::Rows;
use super::users::{Absent, each, problem};
use super::wire::{Code, FlagsHow, Problem};
use serde_json::Value;
use skein_base::limits::KEYWORD_BYTES_MAX;
use skein_base::seam::Clock;
use skein_base::{Flags, IdSet};
use skein_runtime::RealClock;
use skein_serve::Opened;
use skein_store::account::StoreRequest;
use skein_store::op::StoreMode;
use std::collections::HashSet;
use std::future::Future;

/// Rows looked at at once; none of the messages themselves is read.
const ROWS_AT_ONCE: usize = 1000;

/// `search`: a row for each message.
pub(crate) async fn search(desk: &Desk, users: &str, query: &[String], rows: &Rows) -> Result<(), Stop> {
    found(desk, users, understand(query)?, rows, async |found, rows| {
        for uid in found.uids.iter() {
            rows.row(found.row([("uid", uid.into())])).await?;
        }
        Ok(found.opened)
    })
    .await
}

/// `expunge`: a row for each mailbox that loses messages.
pub(crate) async fn expunge(desk: &Desk, users: &str, query: &[String], rows: &Rows) -> Result<(), Stop> {
    found(desk, users, removing(query)?, rows, async |found, rows| {
        found.opened.expunge(&found.uids).await.map_err(problem)?;
        rows.row(found.row([("expunged", found.uids.count().into())])).await?;
        Ok(found.opened)
    })
    .await
}

/// `deduplicate`: of messages that are the same, as copies in one mailbox are, the first one found there stays. A row for each
/// mailbox that loses some.
pub(crate) async fn deduplicate(desk: &Desk, users: &str, query: &[String], rows: &Rows) -> Result<(), Stop> {
    found(desk, users, removing(query)?, rows, async |found, rows| {
        let (mut known, mut again, mut from) = (HashSet::new(), IdSet::new(), 1);
        loop {
            let batch = found.opened.look(&found.uids, from, ROWS_AT_ONCE);
            let Some(last) = batch.last() else { break };
            from = last.uid + 1;
            for seen in &batch {
                if !known.insert(seen.fixed.guid) {
                    again.insert(seen.uid);
                }
            }
            skein_runtime::bulk_yield().await;
        }
        if !again.is_empty() {
            found.opened.expunge(&again).await.map_err(problem)?;
            rows.row(found.row([("expunged", again.count().into())])).await?;
        }
        Ok(found.opened)
    })
    .await
}

/// A query of what is to go.
fn removing(query: &[String]) -> Result<Query, Stop> {
    let query = understand(query)?;
    if !query.names_mailbox() {
        let text = "query: what removes mail has to name a mailbox; MAILBOX '*' means every one";
        return Err(Problem::new(Code::Usage, text).into());
    }
    Ok(query)
}

/// `flags`: a row for each mailbox with messages that are meant.
pub(crate) async fn flags(
    desk: &Desk,
    users: &str,
    (how, flags): (FlagsHow, &[String]),
    query: &[String],
    rows: &Rows,
) -> Result<(), Stop> {
    let (system, keywords) = named(flags)?;
    let mode = match how {
        FlagsHow::Add => StoreMode::Add,
        FlagsHow::Remove => StoreMode::Remove,
        FlagsHow::Replace => StoreMode::Replace,
    };
    found(desk, users, understand(query)?, rows, move |found, rows| {
        let keywords = keywords.clone();
        async move {
            let uids = found.uids.clone();
            let request = StoreRequest { uids, mode, flags: system, keywords, unchanged_since: None };
            found.opened.store(request).await.map_err(problem)?;
            rows.row(found.row([("changed", found.uids.count().into())])).await?;
            Ok(found.opened)
        }
    })
    .await
}

/// `copy` and `move`: a row for each mailbox with messages that are meant.
pub(crate) async fn copy(
    desk: &Desk,
    users: &str,
    (to, moving): (String, bool),
    query: &[String],
    rows: &Rows,
) -> Result<(), Stop> {
    found(desk, users, understand(query)?, rows, move |found, rows| {
        let to = to.clone();
        async move {
            let copied = found.opened.copy(&found.uids, &to, moving).await.map_err(problem)?;
            let what = if moving { "moved" } else { "copied" };
            rows.row(found.row([(what, copied.from.count().into()), ("to", to.into())])).await?;
            Ok(found.opened)
        }
    })
    .await
}

/// Reads a query.
pub(crate) fn understand(query: &[String]) -> Result<Query, Problem> {
    query::parse(query, RealClock.unix_seconds())
}

/// What a query found in one mailbox.
pub(crate) struct Found {
    pub opened: Opened,
    pub user: String,
    pub mailbox: String,
    pub uids: IdSet,
}

impl Found {
    /// A row that begins with whose and where.
    fn row<const N: usize>(&self, fields: [(&'static str, Value); N]) -> Vec<(&'static str, Value)> {
        let mut row = vec![("user", Value::from(&*self.user)), ("mailbox", Value::from(&*self.mailbox))];
        row.extend(fields);
        row
    }
}

/// Does something with what a query finds, mailbox after mailbox. Mailboxes are those of the beginning: what `work` makes or
/// fills is not searched again.
pub(crate) async fn found<F>(
    desk: &Desk,
    users: &str,
    query: Query,
    rows: &Rows,
    work: impl Fn(Found, Rows) -> F + Clone + Send + 'static,
) -> Result<(), Stop>
where
    F: Future<Output = Result<Opened, Stop>> + 'static,
{
    each(desk, users, Absent::Nothing, rows, move |operator, rows| {
        let (query, work) = (query.clone(), work.clone());
        async move {
            let mut all = Vec::new();
            let (user, mut operator) = (operator.user().to_string(), operator);
            for mailbox in operator.mailboxes() {
                let Some(criterion) = query.in_mailbox(&mailbox) else { continue };
                let opened = operator.select(&mailbox).await.map_err(problem)?;
                let (uids, unread) = opened.find(criterion).await.map_err(|text| Problem::new(Code::Usage, text))?;
                if unread > 0 {
                    let text = format!("{user}: {unread} messages in {mailbox} can not be read; the log says more");
                    rows.problem(Problem::new(Code::Data, text)).await?;
                }
                operator = opened.close();
                all.push((mailbox, uids));
            }
            for (mailbox, uids) in all.into_iter().filter(|(_, uids)| !uids.is_empty()) {
                let opened = operator.select(&mailbox).await.map_err(problem)?;
                operator = work(Found { opened, user: user.clone(), mailbox, uids }, rows.clone()).await?.close();
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// Flags by name: `\Seen`, and keywords such as `$Junk`.
fn named(names: &[String]) -> Result<(Flags, Vec<Box<str>>), Problem> {
    let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
    for name in names {
        match Flags::NAMES.iter().find(|(_, wire)| wire.eq_ignore_ascii_case(name)) {
            Some((flag, _)) => flags = flags | *flag,
            None if is_keyword(name) => keywords.push(name.as_str().into()),
            None => {
                let text = format!("{name:?} is neither a system flag such as \\Seen nor fit to be a keyword");
                return Err(Problem::new(Code::Usage, text));
            }
        }
    }
    Ok((flags, keywords))
}

/// An atom of IMAP's (RFC 3501 §9).
fn is_keyword(name: &str) -> bool {
    let special = |b: u8| b <= b' ' || b >= 0x7f || b"(){%*\"\\]".contains(&b);
    !name.is_empty() && name.len() <= KEYWORD_BYTES_MAX && !name.bytes().any(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_by_name() {
        let names = ["\\seen".to_owned(), "$Junk".to_owned(), "\\Deleted".to_owned()];
        assert_eq!(named(&names).unwrap(), (Flags::SEEN | Flags::DELETED, vec!["$Junk".into()]));
        for bad in ["\\Recent", "", "a b", "a\"b", "(x"] {
            assert_eq!(named(&[bad.to_owned()]).unwrap_err().code, Code::Usage, "{bad}");
        }
    }
}
