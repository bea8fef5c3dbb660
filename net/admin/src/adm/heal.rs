//! `check`, `rebuild`

use super::desk::Desk;
use super::names::RESERVED;
use super::route::Stop;
use super::rows::{Gone, Rows};
use super::users::{Absent, each, problem};
use super::wire::{Code, Problem};
use serde_json::{Map, Value};
use skein_base::ShardId;
use skein_serve::Operator;
use skein_store::{CheckError, Checked, Finding, Inspector, Rebuilt, Stopped};

/// Bytes checked between two turns of others.
const BYTES_PER_TURN: u64 = 1 << 20;

/// Findings as rows.
struct Findings<'a> {
    rows: &'a Rows,
    /// Whose; nobody's for the log.
    user: Value,
    since_turn: u64,
}

impl Inspector for Findings<'_> {
    async fn found(&mut self, finding: Finding) -> Result<(), Stopped> {
        let Finding { file, mailbox, uid, offset, what, is_mended } = finding;
        let repair = if is_mended { "rebuild" } else { "none: what is there is lost" };
        let row = [
            ("user", self.user.clone()),
            ("file", file.into()),
            ("mailbox", mailbox.into()),
            ("uid", uid.map(|uid| uid.0).into()),
            ("offset", offset.into()),
            ("problem", what.into()),
            ("repair", repair.into()),
        ];
        self.rows.row(row).await.map_err(|Gone| Stopped)
    }

    async fn read(&mut self, bytes: u64) {
        self.since_turn += bytes;
        if self.since_turn >= BYTES_PER_TURN {
            self.since_turn = 0;
            skein_runtime::bulk_yield().await;
        }
    }
}

/// A row for each finding, and one for each account.
pub(crate) async fn check(desk: &Desk, users: &str, rows: &Rows) -> Result<(), Stop> {
    if users == "*" {
        check_logs(desk, rows).await?;
    }
    for users in with_own(users) {
        each(desk, users, Absent::Nothing, rows, check_account).await?;
    }
    Ok(())
}

/// All users, and then the accounts that the server keeps for itself.
fn with_own(users: &str) -> impl Iterator<Item = &str> {
    std::iter::once(users).chain((users == "*").then_some(RESERVED))
}

async fn check_account(operator: Operator, rows: Rows) -> Result<(), Stop> {
    let user = operator.user().clone();
    let mut findings = Findings { rows: &rows, user: user.as_str().into(), since_turn: 0 };
    let checked = operator.check(&mut findings).await.map_err(stopped)?;
    told(&rows, &[("user", user.as_str().into())], &checked).await?;
    match checked.findings {
        0 => Ok(()),
        1 => Err(Problem::new(Code::Data, "one thing is not as it was written").into()),
        n => Err(Problem::new(Code::Data, format!("{n} things are not as they were written")).into()),
    }
}

/// Segments at rest; each is looked at by the shard that has it, those of earlier runs by all that still need them.
async fn check_logs(desk: &Desk, rows: &Rows) -> Result<(), Stop> {
    // Looked at, and mended, by being read.
    desk.ask(ShardId(0), async |host| host.store().dictionaries().await.map(drop)).await?.map_err(problem)?;
    for shard in desk.shards() {
        let to = rows.clone();
        let checked = desk.ask(shard, async move |host| {
            let mut findings = Findings { rows: &to, user: Value::Null, since_turn: 0 };
            let checked = host.store().check_log(&mut findings).await.map_err(stopped)?;
            told(&to, &[("user", Value::Null), ("shard", host.id().0.into())], &checked).await?;
            Ok::<_, Stop>(checked)
        });
        let findings = checked.await??.findings;
        if findings > 0 {
            rows.problem(Problem::new(Code::Data, format!("{findings} places of the log can not be read"))).await?;
        }
    }
    Ok(())
}

async fn told(rows: &Rows, whose: &[(&str, Value)], checked: &Checked) -> Result<(), Gone> {
    let mut row: Map<String, Value> = whose.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for (name, number) in [
        ("files", checked.files),
        ("messages", checked.messages),
        ("bytes", checked.bytes),
        ("findings", checked.findings),
    ] {
        row.insert(name.into(), number.into());
    }
    rows.map(row).await
}

fn stopped(error: CheckError) -> Stop {
    match error {
        CheckError::Stopped => Stop::Gone,
        CheckError::Store(error) => problem(error),
    }
}

/// A row for each mailbox.
pub(crate) async fn rebuild(desk: &Desk, users: &str, from_bodies: Vec<String>, rows: &Rows) -> Result<(), Stop> {
    for users in with_own(users) {
        let from_bodies = from_bodies.clone();
        let work = move |operator, rows| {
            let from_bodies = from_bodies.clone();
            async move { rebuild_account(operator, &from_bodies, rows).await }
        };
        each(desk, users, Absent::Nothing, rows, work).await?;
    }
    Ok(())
}

async fn rebuild_account(operator: Operator, from_bodies: &[String], rows: Rows) -> Result<(), Stop> {
    let user = operator.user().clone();
    let (mut lost, rebuilt) = (0, operator.rebuild(from_bodies).await.map_err(problem)?);
    for Rebuilt { mailbox, messages, mended, unreadable } in rebuilt {
        lost += unreadable.len();
        let row = [
            ("user", user.as_str().into()),
            ("mailbox", mailbox.into()),
            ("messages", messages.into()),
            ("mended", mended.into()),
            ("unreadable", unreadable.into_iter().collect::<Vec<_>>().into()),
        ];
        rows.row(row).await?;
    }
    match lost {
        0 => Ok(()),
        n => Err(Problem::new(Code::Data, format!("{n} messages can not be read; they stay listed")).into()),
    }
}
