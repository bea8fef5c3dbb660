//! What `backup` and `restore` ask of the server; the files are copied by the program that asks.

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use super::users::problem;
use super::wire::{Code, Problem};
use serde_json::{Map, Value};
use skein_base::{AccountId, UserName};
use skein_serve::Operator;
use skein_store::{Pinned, RestoreError};

fn name(user: &str) -> Result<UserName, Problem> {
    UserName::new(user).map_err(|error| Problem::new(Code::Usage, format!("user {user:?}: {error}")))
}

/// A row with the folder, and one for each file.
pub(crate) async fn pin(desk: &Desk, user: &str, rows: &Rows) -> Result<(), Stop> {
    let user = name(user)?;
    let id = AccountId::of(&user);
    let pinned = desk.ask(desk.home(id), async move |host| Operator::open_known(&host, id).await?.pin().await);
    let Pinned { name, folder, files } = pinned.await?.map_err(problem)?;
    let row = [
        ("user", user.as_str().into()),
        ("account", id.hex().into()),
        ("pin", name.into()),
        ("folder", folder.display().to_string().into()),
    ];
    rows.row(row).await?;
    for (name, bytes) in files {
        rows.row([("file", name.into()), ("bytes", bytes.into())]).await?;
    }
    Ok(())
}

pub(crate) async fn unpin(desk: &Desk, user: &str, pin: String, _: &Rows) -> Result<(), Stop> {
    let home = desk.home(AccountId::of(&name(user)?));
    desk.ask(home, async move |host| host.store().unpin(&pin).await).await?.map_err(problem)
}

pub(crate) async fn folder(desk: &Desk, user: &str, rows: &Rows) -> Result<(), Stop> {
    let user = name(user)?;
    let home = desk.home(AccountId::of(&user));
    let folder = desk.ask(home, async move |host| host.store().staging(&user)).await?;
    Ok(rows.row([("folder", folder.display().to_string().into())]).await?)
}

pub(crate) async fn restore(desk: &Desk, user: &str, replace: bool, rows: &Rows) -> Result<(), Stop> {
    let user = name(user)?;
    let (home, of) = (desk.home(AccountId::of(&user)), user.clone());
    let restored = desk.ask(home, async move |host| host.restore_account(&of, replace).await).await?;
    let restored = restored.map_err(|error| match error {
        RestoreError::Store(error) => problem(error),
        RestoreError::Busy => Problem::new(Code::TryAgain, error.to_string()).into(),
        RestoreError::NotEmpty | RestoreError::Unfit { .. } => Problem::new(Code::Data, error.to_string()).into(),
    })?;
    let mut row = Map::new();
    row.insert("user".into(), Value::from(user.as_str()));
    row.insert("mailboxes".into(), restored.mailboxes.into());
    row.insert("messages".into(), restored.messages.into());
    Ok(rows.map(row).await?)
}
