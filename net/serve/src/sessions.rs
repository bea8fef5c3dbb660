//! Who is connected to this shard: one entry for each session, from accept to its end.
//!
//! ```text
//! accept ─▶ Seat ──leave──▶ Moved ──take──▶ Seat on the user's shard ─▶ dropped: one line in the log
//!            └─ within(id, task): every line that the task logs knows the session
//! ```
//!
//! A session keeps its id when it moves. While it is on its way neither shard lists it.

use crate::metrics;
use skein_base::seam::Clock;
use skein_base::sync::Notify;
use skein_base::{ShardId, UserName};
use skein_runtime::RealClock;
use skein_runtime::metrics::Held;
use skein_transport::{Conn, Endpoint};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::str::FromStr;

thread_local! {
    static CURRENT: Cell<Option<SessionId>> = const { Cell::new(None) };
}

/// The session whose task runs on this thread right now, for the lines it logs.
pub fn current_session() -> Option<SessionId> {
    CURRENT.get()
}

/// Runs `task` as a session's: [`current_session`] is `id` whenever it is polled. Costs no memory while it waits.
pub(crate) fn within(id: SessionId, task: impl Future<Output = ()>) -> impl Future<Output = ()> {
    // Boxed: an argument that is pinned in an async function takes its room twice.
    let mut task = Box::pin(task);
    std::future::poll_fn(move |context| as_current(id, || task.as_mut().poll(context)))
}

fn as_current<R>(id: SessionId, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<SessionId>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(Some(id)));
    work()
}

/// A session's name, never used twice: `5f2e1c00.1.2a`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId {
    /// When it was accepted, in seconds since 1970.
    pub since: i64,
    /// Where it was accepted.
    pub shard: ShardId,
    /// Which of the shard's.
    pub number: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}", self.since, self.shard.0, self.number)
    }
}

/// It is not a session's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotASessionId;

impl fmt::Display for NotASessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id: three hexadecimal numbers with dots between, as the log has it")
    }
}

impl std::error::Error for NotASessionId {}

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<SessionId, NotASessionId> {
        let mut parts = text.splitn(3, '.');
        let mut part = |bits: u32| {
            let number = parts.next().and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or(NotASessionId)?;
            if number >> bits == 0 { Ok(number) } else { Err(NotASessionId) }
        };
        Ok(SessionId { since: part(63)?.cast_signed(), shard: ShardId(part(16)? as u16), number: part(63)? })
    }
}

/// What a session does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It has not said who it is.
    LoggingIn,
    /// It waits for the client.
    Waiting,
    /// It tells of changes as they come (RFC 2177).
    Idling,
    /// It runs a command.
    Running(&'static str),
}

/// A session, as lists show it.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Its name, in the log as well.
    pub id: SessionId,
    /// `imap`, `pop3`, `lmtp`.
    pub service: &'static str,
    /// Who has logged in.
    pub user: Option<UserName>,
    /// The client.
    pub peer: Endpoint,
    /// Where it connected to.
    pub local: Endpoint,
    /// Version and cipher suite of its TLS; `None` without.
    pub tls: Option<(&'static str, &'static str)>,
    /// What it does.
    pub doing: Doing,
    /// The mailbox it has open.
    pub mailbox: Option<Box<str>>,
    /// Bytes it sent, TLS taken off.
    pub bytes_in: u64,
    /// Bytes it was sent, before TLS.
    pub bytes_out: u64,
    /// Commands it had done.
    pub commands: u64,
    /// When the last one began, in seconds since 1970; when it was accepted before the first.
    pub last_command: i64,
}

/// Whose sessions are to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kick {
    /// One session.
    Session(SessionId),
    /// All of a user's.
    User(UserName),
}

struct Entry {
    info: RefCell<SessionInfo>,
    kicked: Cell<bool>,
    kick: Notify,
}

/// The sessions of a shard. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Rc<RefCell<BTreeMap<SessionId, Rc<Entry>>>>);

impl Sessions {
    /// A place for a connection just accepted.
    pub fn accept(&self, shard: ShardId, number: u64, service: &'static str, conn: &Conn) -> Seat {
        let since = RealClock.unix_seconds();
        let id = SessionId { since, shard, number };
        metrics::session_started(service);
        self.take(fresh(id, service, conn.peer(), conn.local()))
    }

    /// A place for a session that came from another shard.
    pub fn take(&self, info: SessionInfo) -> Seat {
        let id = info.id;
        let entry = Rc::new(Entry { info: RefCell::new(info), kicked: Cell::new(false), kick: Notify::new() });
        self.0.borrow_mut().insert(id, entry.clone());
        let why = RefCell::new("the connection broke".into());
        Seat { sessions: self.clone(), id, entry, why, moved: false, logged_in: Cell::new(None) }
    }

    /// All there are, oldest first.
    pub fn list(&self) -> Vec<SessionInfo> {
        self.0.borrow().values().map(|entry| entry.info.borrow().clone()).collect()
    }

    /// Ends those meant, once their running command is done; how many they are.
    pub fn kick(&self, whom: &Kick) -> usize {
        let sessions = self.0.borrow();
        let meant = |id: &SessionId, entry: &Entry| match whom {
            Kick::Session(session) => id == session,
            Kick::User(user) => entry.info.borrow().user.as_ref() == Some(user),
        };
        let meant: Vec<_> = sessions.iter().filter(|(id, entry)| meant(id, entry)).collect();
        for (_, entry) in &meant {
            entry.kicked.set(true);
            entry.kick.notify_all();
        }
        meant.len()
    }
}

fn fresh(id: SessionId, service: &'static str, peer: Endpoint, local: Endpoint) -> SessionInfo {
    SessionInfo {
        id,
        service,
        user: None,
        peer,
        local,
        tls: None,
        doing: Doing::LoggingIn,
        mailbox: None,
        bytes_in: 0,
        bytes_out: 0,
        commands: 0,
        last_command: id.since,
    }
}

/// A session's entry, held by its pump. Dropped, the session has ended and the log says so.
pub(crate) struct Seat {
    sessions: Sessions,
    id: SessionId,
    entry: Rc<Entry>,
    why: RefCell<Cow<'static, str>>,
    moved: bool,
    logged_in: Cell<Option<Held>>,
}

impl Seat {
    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Notes who it is.
    pub fn logged_in(&self, user: &UserName) {
        let mut info = self.entry.info.borrow_mut();
        info.user = Some(user.clone());
        self.logged_in.set(Some(metrics::sessions(info.service).hold()));
        info.doing = Doing::Waiting;
    }

    /// Notes that the client is another one.
    pub fn comes_from(&self, conn: &Conn) {
        let mut info = self.entry.info.borrow_mut();
        (info.peer, info.local) = (conn.peer(), conn.local());
    }

    /// Notes that the user has left, and the connection has not.
    pub fn logged_out(&self) {
        let mut info = self.entry.info.borrow_mut();
        (info.user, info.mailbox) = (None, None);
        self.logged_in.set(None);
        info.doing = Doing::LoggingIn;
    }

    /// Notes that a command begins.
    pub fn begins(&self, command: &'static str) {
        let mut info = self.entry.info.borrow_mut();
        info.doing = Doing::Running(command);
        info.commands += 1;
        info.last_command = RealClock.unix_seconds();
    }

    /// Notes that it waits for its client, and what has gone over the connection.
    pub fn waits(&self, conn: &Conn, idling: bool) {
        let mut info = self.entry.info.borrow_mut();
        info.doing = match (&info.user, idling) {
            (None, _) if info.service != "lmtp" => Doing::LoggingIn,
            (_, true) => Doing::Idling,
            (_, false) => Doing::Waiting,
        };
        count(&mut info, conn);
    }

    /// Notes the mailbox it has open now.
    pub fn selects(&self, mailbox: Option<&str>) {
        self.entry.info.borrow_mut().mailbox = mailbox.map(Box::from);
    }

    /// True when somebody wants it gone.
    pub fn is_kicked(&self) -> bool {
        self.entry.kicked.get()
    }

    /// Resolves when somebody wants it gone.
    pub async fn kicked(&self) {
        while !self.is_kicked() {
            self.entry.kick.notified().await;
        }
    }

    /// Notes why it ends; without a word the connection broke.
    pub fn ends(&self, why: impl Into<Cow<'static, str>>) {
        self.why.replace(why.into());
    }

    /// Notes what has gone over the connection.
    pub fn counts(&self, conn: &Conn) {
        count(&mut self.entry.info.borrow_mut(), conn);
    }

    /// Gives the place up for one on another shard: nothing has ended.
    pub fn leave(mut self) -> SessionInfo {
        self.moved = true;
        self.entry.info.borrow().clone()
    }
}

fn count(info: &mut SessionInfo, conn: &Conn) {
    // What was read before a move and not taken is read, and counted, again.
    let since = |now: u64, before: u64| now.saturating_sub(before);
    let (bytes_in, bytes_out) = (conn.bytes_in(), conn.bytes_out());
    metrics::session_bytes(info.service, since(bytes_in, info.bytes_in), since(bytes_out, info.bytes_out));
    (info.bytes_in, info.bytes_out) = (bytes_in, bytes_out);
    if info.tls.is_none() {
        info.tls = conn.tls_info().map(|tls| (tls.version, tls.cipher));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.0.borrow_mut().remove(&self.id);
        if !self.moved {
            as_current(self.id, || tell_end(&self.entry.info.borrow(), &self.why.borrow()));
        }
    }
}

/// The one line of a session's end.
fn tell_end(info: &SessionInfo, why: &str) {
    let SessionInfo { service, peer, bytes_in, bytes_out, commands, .. } = info;
    let user = info.user.as_ref().map(|user| tracing::field::display(user.clone()));
    let tls = info.tls.map(|(version, _)| version);
    let seconds = (RealClock.unix_seconds() - info.id.since).max(0);
    tracing::info!(
        service, user, %peer, tls, why, bytes_in, bytes_out, commands, seconds, "session ended"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    fn info(number: u64, user: Option<&str>) -> SessionInfo {
        let id = SessionId { since: 0x5f2e_1c00, shard: ShardId(1), number };
        let user = user.map(|name| UserName::new(name).unwrap());
        SessionInfo { user, ..fresh(id, "imap", Endpoint::Unix, Endpoint::Unix) }
    }

    #[test]
    fn ids_read_back_and_nonsense_is_refused() {
        let id = info(42, None).id;
        assert_eq!((id.to_string().as_str(), "5f2e1c00.1.2a".parse()), ("5f2e1c00.1.2a", Ok(id)));
        for bad in ["", "1.2", "1.2.x", "1.2.3.4", "1.10000.3", "ffffffffffffffff.1.1", "-1.1.1"] {
            assert_eq!(bad.parse::<SessionId>(), Err(NotASessionId), "{bad}");
        }
    }

    #[test]
    fn a_seat_is_listed_until_it_is_left_and_keeps_its_counts() {
        let (here, there) = (Sessions::default(), Sessions::default());
        let seat = here.take(info(1, None));
        seat.begins("LOGIN");
        assert_eq!(here.list()[0].doing, Doing::Running("LOGIN"));
        let seat = there.take(seat.leave());
        assert!(here.list().is_empty());
        seat.logged_in(&UserName::new("anna").unwrap());
        seat.selects(Some("INBOX"));
        let listed = &there.list()[0];
        assert_eq!((listed.commands, listed.doing), (1, Doing::Waiting));
        assert_eq!((listed.id, listed.mailbox.as_deref()), (seat.id(), Some("INBOX")));
        drop(seat);
        assert!(there.list().is_empty());
    }

    #[test]
    fn kicks_reach_those_meant_and_no_others() {
        let sessions = Sessions::default();
        let seats = [info(1, Some("anna")), info(2, Some("anna")), info(3, Some("bert")), info(4, None)];
        let seats = seats.map(|info| sessions.take(info));
        let kicked = || seats.each_ref().map(Seat::is_kicked);
        assert_eq!(sessions.kick(&Kick::User(UserName::new("nobody").unwrap())), 0);
        assert_eq!(sessions.kick(&Kick::Session(seats[3].id())), 1);
        assert_eq!(kicked(), [false, false, false, true]);
        assert_eq!(sessions.kick(&Kick::User(UserName::new("anna").unwrap())), 2);
        assert_eq!(kicked(), [true, true, false, true]);
        let told = seats.each_ref().map(|seat| block_on(poll_once(seat.kicked())).is_some());
        assert_eq!(told, [true, true, false, true]);
    }

    #[test]
    fn a_task_knows_its_session_only_while_it_runs() {
        let id = info(7, None).id;
        let mut task = std::pin::pin!(within(id, async {
            assert_eq!(current_session(), Some(id));
            futures_lite::future::yield_now().await;
            assert_eq!(current_session(), Some(id));
        }));
        assert!(block_on(poll_once(task.as_mut())).is_none());
        assert_eq!(current_session(), None);
        block_on(task);
        assert_eq!(current_session(), None);
    }
}
