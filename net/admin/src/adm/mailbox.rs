//! `mailbox list|status|create|delete|rename|subscribe|unsubscribe`

use super::desk::Desk;
use super::query::glob;
use super::route::Stop;
use super::rows::Rows;
use super::users::{Absent, each, problem};
use skein_serve::Operator;

/// Names by pattern; no pattern is all.
pub(crate) async fn list(
    desk: &Desk,
    users: &str,
    patterns: Vec<String>,
    subscribed: bool,
    rows: &Rows,
) -> Result<(), Stop> {
    each(desk, users, Absent::Nothing, rows, move |operator, rows| {
        let patterns = patterns.clone();
        async move {
            let subscriptions = operator.subscriptions();
            let names = if subscribed { subscriptions.clone() } else { operator.mailboxes() };
            for name in chosen(names, &patterns) {
                let is_subscribed = subscriptions.binary_search(&name).is_ok();
                let user = operator.user().as_str();
                let row = [("user", user.into()), ("mailbox", name.into()), ("subscribed", is_subscribed.into())];
                rows.row(row).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// Numbers of mailboxes by pattern.
pub(crate) async fn status(desk: &Desk, users: &str, patterns: Vec<String>, rows: &Rows) -> Result<(), Stop> {
    each(desk, users, Absent::Nothing, rows, move |operator, rows| {
        let patterns = patterns.clone();
        async move {
            let names = chosen(operator.mailboxes(), &patterns);
            if let (true, [name]) = (names.is_empty(), &patterns[..]) {
                // It tells that there is none.
                operator.status(name).await.map_err(problem)?;
            }
            for name in names {
                let status = operator.status(&name).await.map_err(problem)?;
                let row = [
                    ("user", operator.user().as_str().into()),
                    ("mailbox", name.into()),
                    ("messages", status.messages.into()),
                    ("unseen", status.unseen.into()),
                    ("recent", status.recent.into()),
                    ("uidnext", status.uid_next.into()),
                    ("uidvalidity", status.uid_validity.into()),
                    ("highestmodseq", status.highest_modseq.into()),
                    ("vsize", status.bytes.into()),
                ];
                rows.row(row).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// Makes mailboxes.
pub(crate) async fn create(
    desk: &Desk,
    users: &str,
    names: Vec<String>,
    subscribe: bool,
    rows: &Rows,
) -> Result<(), Stop> {
    each(desk, users, Absent::Begins, rows, move |operator, rows| {
        let names = names.clone();
        async move {
            for name in names {
                operator.create(&name).await.map_err(problem)?;
                if subscribe {
                    operator.subscribe(&name, true).await.map_err(problem)?;
                }
                done(&operator, &rows, "created", &name).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// Removes mailboxes with their messages.
pub(crate) async fn delete(
    desk: &Desk,
    users: &str,
    names: Vec<String>,
    unsubscribe: bool,
    rows: &Rows,
) -> Result<(), Stop> {
    each(desk, users, Absent::Begins, rows, move |operator, rows| {
        let names = names.clone();
        async move {
            for name in names {
                operator.delete(&name).await.map_err(problem)?;
                if unsubscribe {
                    operator.subscribe(&name, false).await.map_err(problem)?;
                }
                done(&operator, &rows, "deleted", &name).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// Another name for a mailbox and all below it.
pub(crate) async fn rename(desk: &Desk, users: &str, from: String, to: String, rows: &Rows) -> Result<(), Stop> {
    each(desk, users, Absent::Begins, rows, move |operator, rows| {
        let (from, to) = (from.clone(), to.clone());
        async move {
            operator.rename(&from, &to).await.map_err(problem)?;
            let user = operator.user().as_str();
            let row = [("user", user.into()), ("done", "renamed".into()), ("mailbox", from.into()), ("to", to.into())];
            Ok(rows.row(row).await?)
        }
    })
    .await
    .map(drop)
}

/// Names into or out of the subscriptions.
pub(crate) async fn subscribe(desk: &Desk, users: &str, names: Vec<String>, on: bool, rows: &Rows) -> Result<(), Stop> {
    each(desk, users, Absent::Begins, rows, move |operator, rows| {
        let names = names.clone();
        async move {
            for name in names {
                operator.subscribe(&name, on).await.map_err(problem)?;
                done(&operator, &rows, if on { "subscribed" } else { "unsubscribed" }, &name).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

async fn done(operator: &Operator, rows: &Rows, what: &str, mailbox: &str) -> Result<(), Stop> {
    let user = operator.user().as_str();
    Ok(rows.row([("user", user.into()), ("done", what.into()), ("mailbox", mailbox.into())]).await?)
}

fn chosen(mut names: Vec<String>, patterns: &[String]) -> Vec<String> {
    names.retain(|name| patterns.is_empty() || patterns.iter().any(|pattern| glob::matches_mailbox(pattern, name)));
    names
}
