//! `who`, `kick`: sessions of all shards.

use super::desk::Desk;
use super::fetch::date as utc;
use super::query::glob;
use super::route::Stop;
use super::rows::Rows;
use super::wire::{Code, Problem};
use serde_json::Value;
use skein_base::UserName;
use skein_serve::{Doing, Kick, SessionInfo};

/// A row for each session; without a pattern also for those that have not logged in.
pub(crate) async fn who(desk: &Desk, users: &str, rows: &Rows) -> Result<(), Stop> {
    let users = users.to_lowercase();
    for shard in desk.shards() {
        for session in desk.ask(shard, async |host| host.sessions()).await? {
            let user = session.user.as_ref().map(UserName::as_str);
            if user.map_or(users == "*", |user| glob::matches(&users, user)) {
                rows.row(row(&session)).await?;
            }
        }
    }
    Ok(())
}

/// Ends sessions with a goodbye, once their running command is done; a row with how many.
pub(crate) async fn kick(desk: &Desk, whom: &str, rows: &Rows) -> Result<(), Stop> {
    let kick = match whom.parse() {
        Ok(id) => Kick::Session(id),
        Err(_) => Kick::User(UserName::new(whom).map_err(|error| {
            Problem::new(Code::Usage, format!("{whom:?} is neither a session id nor a user: {error}"))
        })?),
    };
    let kicked = kick_all(desk, &kick).await?;
    if kicked == 0 {
        return Err(Problem::new(Code::NoUser, format!("no session of {whom}")).into());
    }
    Ok(rows.row([("whom", whom.into()), ("kicked", kicked.into())]).await?)
}

/// Ends them on every shard; how many they were.
pub(crate) async fn kick_all(desk: &Desk, kick: &Kick) -> Result<usize, Problem> {
    let mut kicked = 0;
    for shard in desk.shards() {
        let kick = kick.clone();
        kicked += desk.ask(shard, async move |host| host.kick(&kick)).await?;
    }
    Ok(kicked)
}

fn row(session: &SessionInfo) -> [(&'static str, Value); 11] {
    let doing = match session.doing {
        Doing::LoggingIn => "logging in",
        Doing::Waiting => "waiting",
        Doing::Idling => "idling",
        Doing::Running(command) => command,
    };
    [
        ("user", session.user.as_ref().map(UserName::as_str).into()),
        ("service", session.service.into()),
        ("session", session.id.to_string().into()),
        ("peer", session.peer.to_string().into()),
        ("tls", session.tls.map(|(version, _)| version).into()),
        ("doing", doing.into()),
        ("mailbox", session.mailbox.as_deref().into()),
        ("commands", session.commands.into()),
        ("bytes_in", session.bytes_in.into()),
        ("bytes_out", session.bytes_out.into()),
        ("last_command", utc(session.last_command).into()),
    ]
}
