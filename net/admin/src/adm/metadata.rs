//! `mailbox metadata list|get|set|unset`

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use super::users::{Absent, each, problem};
use super::wire::{Code, Problem};
use skein_base::metadata_name;
use skein_serve::NotSet;

/// Annotations of a mailbox: the one of this name, or all that begin so.
pub(crate) async fn list(
    desk: &Desk,
    users: &str,
    (mailbox, entry, prefix): (String, Option<String>, String),
    rows: &Rows,
) -> Result<(), Stop> {
    let entry = entry.map(|entry| spelled(&entry)).transpose()?;
    let prefix = prefix.to_ascii_lowercase();
    each(desk, users, Absent::Nothing, rows, move |operator, rows| {
        let (mailbox, entry, prefix) = (mailbox.clone(), entry.clone(), prefix.clone());
        async move {
            let found = operator.metadata(of(&mailbox)).map_err(problem)?;
            let is_asked = |name: &str| entry.as_ref().map_or(name.starts_with(&prefix), |entry| name == entry);
            let found: Vec<_> = found.into_iter().filter(|(name, _)| is_asked(name)).collect();
            if let (Some(entry), true) = (&entry, found.is_empty()) {
                return Err(Problem::new(Code::Data, format!("there is no {entry}")).into());
            }
            for (name, value) in found {
                let user = operator.user().as_str();
                let text = String::from_utf8_lossy(&value).into_owned();
                let row = [
                    ("user", user.into()),
                    ("mailbox", mailbox.clone().into()),
                    ("entry", name.into()),
                    ("bytes", value.len().into()),
                    ("value", text.into()),
                ];
                rows.row(row).await?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

/// One annotation, or its end.
pub(crate) async fn set(
    desk: &Desk,
    users: &str,
    mailbox: String,
    (entry, value): (String, Option<String>),
    rows: &Rows,
) -> Result<(), Stop> {
    let entry = spelled(&entry)?;
    each(desk, users, Absent::Begins, rows, move |operator, rows| {
        let (mailbox, entry, value) = (mailbox.clone(), entry.clone(), value.clone());
        async move {
            let done = if value.is_some() { "set" } else { "unset" };
            let set = operator.set_metadata(of(&mailbox), &entry, value.map(String::into_bytes)).await;
            set.map_err(|error| match error {
                NotSet::Store(error) => problem(error),
                error => Problem::new(Code::Data, error.to_string()).into(),
            })?;
            let user = operator.user().as_str();
            let row =
                [("user", user.into()), ("done", done.into()), ("mailbox", mailbox.into()), ("entry", entry.into())];
            Ok(rows.row(row).await?)
        }
    })
    .await
    .map(drop)
}

fn of(mailbox: &str) -> Option<&str> {
    Some(mailbox).filter(|name| !name.is_empty())
}

fn spelled(entry: &str) -> Result<String, Problem> {
    metadata_name(entry).map_err(|why| Problem::new(Code::Usage, format!("{entry:?}: {why}")))
}
