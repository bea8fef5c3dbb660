//! `top`: what happened in each of some short times, one frame after another.
//!
//! ```text
//! look at all shards ─ wait ─ look again ─▶ rows of the difference: shards, services, commands, users; "frame" ends them
//! ```

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use super::wire::{Code, Problem};
use serde_json::Value;
use skein_base::{ShardId, UserName};
use skein_runtime::metrics::{self, SHARD_LATE};
use skein_serve::{COMMAND_SECONDS, Host, SessionId};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Users in a frame: more than a screen has lines for.
const USERS_MAX: usize = 50;
/// Commands in a frame, by name.
const COMMANDS_MAX: usize = 20;
/// How short a frame may be: each looks at every session.
const EVERY_MS: std::ops::RangeInclusive<u64> = 100..=3_600_000;

/// A session, as far as frames differ by it.
struct Session {
    id: SessionId,
    service: &'static str,
    user: Option<UserName>,
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// One shard at one moment.
struct Shard {
    sessions: Vec<Session>,
    accounts_open: u64,
    memory_bytes: u64,
    changes: u64,
    syncs: u64,
    log_kept_bytes: u64,
}

/// Everything at one moment.
struct Moment {
    at: Instant,
    /// `None` for one that does not answer.
    shards: Vec<Option<Shard>>,
    queues: Vec<usize>,
    late: Vec<Vec<u64>>,
    commands: BTreeMap<(&'static str, &'static str), u64>,
    deliveries: u64,
}

/// What somebody did in a frame.
#[derive(Clone, Copy, Default)]
struct Did {
    sessions: u64,
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// Frames, each as rows, until there are enough or nobody looks any more.
pub(crate) async fn top(desk: &Desk, every_ms: u64, frames: u64, rows: &Rows) -> Result<(), Stop> {
    if !EVERY_MS.contains(&every_ms) {
        let text = format!("a frame is {} ms to {} ms long", EVERY_MS.start(), EVERY_MS.end());
        return Err(Problem::new(Code::Usage, text).into());
    }
    let mut before = moment(desk).await;
    let mut made = 0;
    loop {
        sleep(Duration::from_millis(every_ms)).await;
        let after = moment(desk).await;
        frame(&before, &after, rows).await?;
        before = after;
        made += 1;
        if made == frames {
            return Ok(());
        }
    }
}

async fn moment(desk: &Desk) -> Moment {
    let ids: Vec<ShardId> = desk.shards().collect();
    let mut shards = Vec::with_capacity(ids.len());
    // Before the looks themselves wait there.
    let queues = ids.iter().map(|id| desk.queue(*id)).collect();
    for id in &ids {
        shards.push(desk.look(*id, look).await);
    }
    let label = |labels: &'static [metrics::MetricLabel], name| {
        labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| *value)
    };
    let commands = metrics::counts_of(COMMAND_SECONDS).into_iter();
    Moment {
        at: Instant::now(),
        shards,
        queues,
        late: ids.iter().map(|id| SHARD_LATE.counts(*id)).collect(),
        commands: commands.map(|(labels, n)| ((label(labels, "protocol"), label(labels, "command")), n)).collect(),
        deliveries: skein_serve::metrics::deliveries_stored(),
    }
}

fn look(host: &Host) -> Shard {
    let (store, log) = (host.store().metrics(), host.store().log().metrics());
    let session = |info: skein_serve::SessionInfo| Session {
        id: info.id,
        service: info.service,
        user: info.user,
        commands: info.commands,
        bytes_in: info.bytes_in,
        bytes_out: info.bytes_out,
    };
    Shard {
        sessions: host.sessions().into_iter().map(session).collect(),
        accounts_open: store.accounts_open,
        memory_bytes: store.memory_bytes,
        changes: store.ops,
        syncs: log.syncs,
        log_kept_bytes: host.store().log_bytes(),
    }
}

async fn frame(before: &Moment, after: &Moment, rows: &Rows) -> Result<(), Stop> {
    let seconds = after.at.duration_since(before.at).as_secs_f64().max(0.001);
    let rate = |n: u64| Value::from((n as f64 / seconds * 10.0).round() / 10.0);
    for (at, shard) in after.shards.iter().enumerate() {
        rows.row(shard_row(at, shard.as_ref(), before, after, rate)).await?;
    }
    let (services, users) = who_did_what(before, after);
    for (service, did) in services {
        let commands = match service {
            "lmtp" => after.deliveries.saturating_sub(before.deliveries),
            _ => commands_of(before, after).filter(|((of, _), _)| *of == service).map(|(_, n)| n).sum(),
        };
        let did = Did { commands, ..did };
        rows.row([("what", "service".into()), ("service", service.into())].into_iter().chain(did_row(did, rate)))
            .await?;
    }
    let mut commands: Vec<_> = commands_of(before, after).filter(|(_, n)| *n > 0).collect();
    commands.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    for ((service, command), n) in commands.into_iter().take(COMMANDS_MAX) {
        let row = [("service", service.into()), ("command", command.into()), ("commands_per_s", rate(n))];
        rows.row([("what", "command".into())].into_iter().chain(row)).await?;
    }
    for (user, did) in busiest(users) {
        rows.row([("what", "user".into()), ("user", user.as_str().into())].into_iter().chain(did_row(did, rate)))
            .await?;
    }
    Ok(rows.row([("what", "frame".into()), ("seconds", rate_free(seconds))]).await?)
}

fn rate_free(seconds: f64) -> Value {
    ((seconds * 1000.0).round() / 1000.0).into()
}

fn shard_row(
    at: usize,
    shard: Option<&Shard>,
    before: &Moment,
    after: &Moment,
    rate: impl Fn(u64) -> Value,
) -> [(&'static str, Value); 11] {
    let was = before.shards[at].as_ref();
    let of = |number: fn(&Shard) -> u64| shard.map(number);
    let rise = |number: fn(&Shard) -> u64| Some(rate(number(shard?).saturating_sub(number(was?))));
    [
        ("what", "shard".into()),
        ("shard", at.into()),
        ("answers", shard.is_some().into()),
        ("late_ms_max", late_ms_max(&before.late[at], &after.late[at])),
        ("queue", after.queues[at].into()),
        ("sessions", of(|shard| shard.sessions.len() as u64).into()),
        ("accounts_open", of(|shard| shard.accounts_open).into()),
        ("memory_bytes", of(|shard| shard.memory_bytes).into()),
        ("changes_per_s", rise(|shard| shard.changes).into()),
        ("syncs_per_s", rise(|shard| shard.syncs).into()),
        ("log_kept_bytes", of(|shard| shard.log_kept_bytes).into()),
    ]
}

/// The bound below which all timers of the frame rang; twice the highest one for what is above all.
fn late_ms_max(before: &[u64], after: &[u64]) -> Value {
    let bounds = SHARD_LATE.bounds();
    let highest = after.iter().zip(before).rposition(|(after, before)| after > before);
    let bound = |at: usize| bounds.get(at).copied().unwrap_or(2 * bounds[bounds.len() - 1]);
    highest.map(|at| bound(at) as f64 / 1000.0).into()
}

fn commands_of<'a>(
    before: &'a Moment,
    after: &'a Moment,
) -> impl Iterator<Item = ((&'static str, &'static str), u64)> + 'a {
    after.commands.iter().map(|(name, n)| (*name, n.saturating_sub(before.commands.get(name).copied().unwrap_or(0))))
}

fn did_row(did: Did, rate: impl Fn(u64) -> Value) -> [(&'static str, Value); 4] {
    [
        ("sessions", did.sessions.into()),
        ("commands_per_s", rate(did.commands)),
        ("bytes_in_per_s", rate(did.bytes_in)),
        ("bytes_out_per_s", rate(did.bytes_out)),
    ]
}

/// By service and by user: what sessions that are there now did since. One that moved to another shard is the same.
fn who_did_what<'a>(
    before: &'a Moment,
    after: &'a Moment,
) -> (BTreeMap<&'static str, Did>, HashMap<&'a UserName, Did>) {
    let all = |moment: &'a Moment| moment.shards.iter().flatten().flat_map(|shard| &shard.sessions);
    let was: HashMap<SessionId, &Session> = all(before).map(|session| (session.id, session)).collect();
    let (mut services, mut users) = (BTreeMap::<_, Did>::new(), HashMap::<_, Did>::new());
    for session in all(after) {
        let was = was.get(&session.id);
        let since = |number: fn(&Session) -> u64| number(session).saturating_sub(was.map_or(0, |was| number(was)));
        let did = Did {
            sessions: 1,
            commands: since(|session| session.commands),
            bytes_in: since(|session| session.bytes_in),
            bytes_out: since(|session| session.bytes_out),
        };
        services.entry(session.service).or_default().take(did);
        if let Some(user) = &session.user {
            users.entry(user).or_default().take(did);
        }
    }
    (services, users)
}

impl Did {
    fn take(&mut self, other: Did) {
        self.sessions += other.sessions;
        self.commands += other.commands;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// Those who did most, by commands, then by bytes.
fn busiest(users: HashMap<&UserName, Did>) -> Vec<(&UserName, Did)> {
    let mut users: Vec<_> =
        users.into_iter().filter(|(_, did)| did.commands + did.bytes_in + did.bytes_out > 0).collect();
    users.sort_by_key(|(user, did)| (std::cmp::Reverse((did.commands, did.bytes_in + did.bytes_out)), (*user).clone()));
    users.truncate(USERS_MAX);
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u64, user: &str, commands: u64) -> Session {
        let id = format!("5f2e1c00.0.{number:x}").parse().unwrap();
        let user = Some(UserName::new(user).unwrap());
        Session { id, service: "imap", user, commands, bytes_in: commands, bytes_out: 10 * commands }
    }

    fn moment(sessions: Vec<Session>) -> Moment {
        let shard = Shard { sessions, accounts_open: 0, memory_bytes: 0, changes: 0, syncs: 0, log_kept_bytes: 0 };
        let (queues, late, commands) = (vec![0, 0], vec![vec![], vec![]], BTreeMap::new());
        // One shard that does not answer.
        Moment { at: Instant::now(), shards: vec![None, Some(shard)], queues, late, commands, deliveries: 0 }
    }

    #[test]
    fn users_are_told_by_what_they_did_since() {
        let before = moment(vec![session(1, "anna", 1000), session(2, "ben", 1)]);
        let after =
            moment(vec![session(1, "anna", 1001), session(2, "ben", 9), session(3, "ben", 4), session(4, "c", 0)]);
        let (services, users) = who_did_what(&before, &after);
        assert_eq!((services["imap"].sessions, services["imap"].commands), (4, 13));
        let names: Vec<_> =
            busiest(users).iter().map(|(user, did)| (user.to_string(), did.commands, did.sessions)).collect();
        assert_eq!(names, [("ben".to_owned(), 12, 2), ("anna".to_owned(), 1, 1)]);
    }

    #[test]
    fn how_late_is_the_highest_bound_that_was_reached() {
        let bounds = SHARD_LATE.bounds().len();
        let (mut before, mut after) = (vec![5; bounds + 1], vec![5; bounds + 1]);
        assert_eq!(late_ms_max(&before, &after), Value::Null);
        (after[0], after[3]) = (9, 6);
        assert_eq!(late_ms_max(&before, &after), 1.0);
        after[bounds] = 6;
        assert_eq!(late_ms_max(&before, &after), 20_000.0);
        before[bounds] = 6;
        assert_eq!(late_ms_max(&before, &after), 1.0);
    }

    #[test]
    fn a_frame_holds_so_many_users() {
        let many = moment((0..200).map(|n| session(n, &format!("u{n}"), n)).collect());
        assert_eq!(busiest(who_did_what(&moment(vec![]), &many).1).len(), USERS_MAX);
    }
}
