//! The POP3 pump: socket, machine and session, from the greeting to the end.
//!
//! ```text
//! login ─▶ lock ─▶ number the inbox once (columns only) ─▶ list, retrieve, mark ─▶ QUIT: update, durable, goodbye
//! ```

mod listing;
mod maildrop;
mod retrieve;
mod session;
mod update;

use crate::commands;
use crate::host::{Admitted, Host, HostSettings, Live, Service, ToShard};
use crate::login::{self, Client, Verdict, admit_address, certified, channel};
use crate::metrics;
use crate::pump::{self, KICKED, Moved, READ_BYTES, STOPPING, start_tls};
use crate::sessions::Seat;
use session::{GONE_SECONDS_MAX, Link, Session, refuse};
use skein_auth::Accepted;
use skein_base::{AccountId, Class, UidlFormat};
use skein_proto::pop3::{Pop3, Pop3Config, Reply, Request, Step, Why};
use skein_proto::sasl::{Credentials, Question};
use skein_runtime::metrics::Held;
use skein_runtime::{Deadline, sleep};
use skein_store::{Lost, StoreError};
use skein_transport::Conn;
use std::borrow::Cow;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What POP3 sessions go by.
#[derive(Clone, Debug)]
pub struct Pop3Settings {
    /// Time to log in.
    pub login_seconds_max: u32,
    /// Time a logged-in client may be silent.
    pub idle_seconds_max: u32,
    /// One session at a time has a user's maildrop.
    pub lock: bool,
    /// What becomes of deleted messages.
    pub delete: Pop3Delete,
    /// RETR leaves messages unseen.
    pub no_flag_updates: bool,
    /// What a message's X-UIDL field names is its unique id.
    pub reuse_xuidl: bool,
    /// How unique ids are made.
    pub uidl: UidlFormat,
}

/// What becomes of deleted messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pop3Delete {
    /// They leave the mailbox.
    Expunge,
    /// They get this keyword, and are hidden from POP3.
    Flag(Box<str>),
}

/// How a pump ends.
enum End {
    /// The connection is closed, or is to be closed.
    Close,
    /// The user lives on another shard.
    Move(Accepted),
}

/// Why a pump wakes.
enum Wake {
    Input,
    /// Time to look for what is gone.
    Tick,
    Stop,
    Kicked,
    Silence,
    /// The session's account is to be let go of.
    Lost(Lost),
}

struct Pump {
    host: Host,
    /// Those the machine knows.
    settings: Rc<HostSettings>,
    conn: Conn,
    machine: Pop3,
    /// Read and not yet taken by the machine, from `at` on.
    input: Vec<u8>,
    at: usize,
    /// When a client must have logged in; counted from the greeting, whatever it sends.
    login_by: Deadline,
    /// When a logged-in client must have said something.
    silent_by: Deadline,
    session: Option<(Session, Admitted)>,
    seat: Seat,
    /// Why it ends, when that is not the client's doing.
    farewell: Option<Cow<'static, str>>,
    _live: Live,
    _counted: Held,
}

/// Serves a connection just accepted on this shard.
pub(crate) fn serve(host: Host, conn: Conn, seat: Seat) -> impl Future<Output = ()> {
    run(accept(host, conn, seat))
}

/// Runs the pump once it is there. What comes before is boxed: the task of a connection that waits, as nearly all do, holds
/// the pump's address and what it waits for.
fn run(pump: impl Future<Output = Option<Box<Pump>>>) -> impl Future<Output = ()> {
    let pump = Box::pin(pump);
    async move {
        if let Some(pump) = pump.await {
            pump.run().await;
        }
    }
}

async fn accept(host: Host, mut conn: Conn, seat: Seat) -> Option<Box<Pump>> {
    if !admit_address(&host, &mut conn, b"-ERR [SYS/TEMP] Too many connections from your address\r\n").await {
        seat.ends("too many connections from the address");
        conn.close().await;
        return None;
    }
    if conn.door().is_implicit_tls() && !start_tls(&mut conn, 0).await {
        seat.ends("TLS was not agreed");
        return None;
    }
    let machine = Pop3::new(config(&host.settings(), &conn), channel(&host, &conn));
    Some(Box::new(Pump::new(host, conn, machine, seat)))
}

/// The shard's settings, as far as this client's way here allows.
fn config(settings: &HostSettings, conn: &Conn) -> Arc<Pop3Config> {
    let config = settings.pop3.clone();
    let may_be_heard = settings.plaintext_on_loopback_only && !conn.peer().is_local();
    let wanted = (conn.door().offers_tls(), config.plaintext_login && !may_be_heard);
    if wanted == (config.starttls, config.plaintext_login) {
        return config;
    }
    let (starttls, plaintext_login) = wanted;
    Arc::new(Pop3Config { starttls, plaintext_login, ..(*config).clone() })
}

/// Serves a connection that logged in on another shard.
pub(crate) fn resume(host: Host, moved: Moved<Pop3>) -> impl Future<Output = ()> {
    run(async move {
        let (conn, machine, accepted, seat) = moved.arrive(&host);
        let mut pump = Box::new(Pump::new(host, conn, machine, seat));
        let reply = pump.log_in(&accepted).await;
        pump.machine.answer(reply);
        Some(pump)
    })
}

impl Pump {
    fn new(host: Host, conn: Conn, machine: Pop3, seat: Seat) -> Pump {
        let live = host.enter();
        let settings = host.settings();
        let (seconds, idle_seconds) =
            (settings.pop3_sessions.login_seconds_max, settings.pop3_sessions.idle_seconds_max);
        Pump {
            host,
            settings,
            conn,
            machine,
            input: Vec::new(),
            at: 0,
            login_by: Deadline::after(Duration::from_secs(u64::from(seconds))),
            silent_by: Deadline::after(Duration::from_secs(u64::from(idle_seconds))),
            session: None,
            seat,
            farewell: None,
            _live: live,
            _counted: metrics::connections("pop3").hold(),
        }
    }

    async fn run(mut self: Box<Self>) {
        let end = self.pump().await;
        self.seat.counts(&self.conn);
        if let Some((session, _)) = &self.session {
            self.host.expire_behind(&session.account);
        }
        match end {
            Ok(End::Close) => {
                // The maildrop is free before the client can come again, not after its last packet.
                self.session = None;
                Box::pin(self.conn.close()).await;
            }
            Ok(End::Move(accepted)) => {
                let unread = self.input.split_off(self.at);
                pump::hand_over(&self.host, self.conn, unread, self.machine, accepted, self.seat, ToShard::Pop3);
            }
            Err(error) => tracing::debug!(peer = %self.conn.peer(), %error, "the connection broke"),
        }
    }

    /// Runs until the connection ends or must move.
    async fn pump(&mut self) -> io::Result<End> {
        let mut heard = true;
        loop {
            // Boxed: while the connection is idle none of this state is held.
            if let Some(end) = Box::pin(self.run_machine()).await? {
                return Ok(end);
            }
            self.flush().await?;
            if let Some((session, _)) = &mut self.session {
                session.settle();
                session.let_go();
            }
            self.machine.rest();
            if std::mem::take(&mut heard) {
                // From here on, not from the command: answering may have taken a slow client long.
                self.silent_by = self.patience();
            }
            self.seat.waits(&self.conn, false);
            match self.wait().await {
                Wake::Input => {
                    if self.conn.read_into(&mut self.input, READ_BYTES).await? == 0 {
                        self.seat.ends("the client closed the connection");
                        return Ok(End::Close);
                    }
                    self.refresh();
                    heard = true;
                }
                Wake::Tick => {}
                Wake::Stop => {
                    self.farewell = Some("the server stops".into());
                    self.machine.bye(STOPPING);
                }
                Wake::Kicked => {
                    self.farewell = Some("kicked".into());
                    self.machine.bye(KICKED);
                }
                Wake::Silence => {
                    self.farewell = Some("silent for too long".into());
                    self.machine.hang_up();
                }
                Wake::Lost(lost) => {
                    self.farewell = Some(lost.why());
                    let error = StoreError::from(lost);
                    self.machine.bye(&error.client_text());
                    // Only the goodbye is left to be sent, and it waits for nothing.
                    self.session = None;
                }
            }
        }
    }

    /// Feeds the machine and does what it asks, until it wants more input.
    async fn run_machine(&mut self) -> io::Result<Option<End>> {
        loop {
            match self.machine.next() {
                Step::Ask(Request::Login { user, password, authzid }) if self.session.is_none() => {
                    let question = Question::Password(Credentials { authzid, user, password });
                    if let Some(end) = self.check_login(question).await {
                        return Ok(Some(end));
                    }
                }
                Step::Ask(Request::Sasl(question)) if self.session.is_none() => {
                    if let Some(end) = self.check_login(question).await {
                        return Ok(Some(end));
                    }
                }
                Step::Ask(request) => self.ask(request).await?,
                Step::StartTls => {
                    self.flush().await?;
                    let unread = self.input.len() - self.at;
                    self.forget_input();
                    if !start_tls(&mut self.conn, unread).await {
                        self.seat.ends("TLS was not agreed");
                        return Ok(Some(End::Close));
                    }
                    self.machine.tls_started(channel(&self.host, &self.conn));
                }
                Step::Close(why) => {
                    self.seat.ends(self.farewell.take().unwrap_or(words(why).into()));
                    if why == Why::Quit {
                        self.conn.ends_as_asked();
                    }
                    self.flush().await?;
                    return Ok(Some(End::Close));
                }
                Step::More if self.at < self.input.len() => {
                    let taken = self.machine.feed(&self.input[self.at..]);
                    self.at += taken;
                    if taken == 0 {
                        // Its output is full: it takes more once that has left.
                        self.flush().await?;
                    }
                }
                Step::More => {
                    self.forget_input();
                    return Ok(None);
                }
            }
        }
    }

    async fn ask(&mut self, request: Request) -> io::Result<()> {
        let Some((session, _)) = &mut self.session else {
            self.machine.answer(Reply::refuse(Class::Invalid, "Log in first"));
            return Ok(());
        };
        let (command, start) = (commands::pop3(&request), Instant::now());
        if let Some(command) = &command {
            self.seat.begins(command.name);
        }
        let mut link = Link::new(&mut self.machine, &mut self.conn);
        session.execute(request, &mut link).await?;
        if let Some(command) = command {
            command.ends(start);
        }
        session.checkpoint_if_due();
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        Link::new(&mut self.machine, &mut self.conn).flush(self.session.as_ref().map(|s| &s.0)).await
    }

    /// Checks who it is here, where the connection was accepted; the session begins where the user lives.
    async fn check_login(&mut self, question: Question) -> Option<End> {
        let certificate = certified(&self.host, &self.conn);
        let client = Client { service: "pop3", peer: self.conn.peer(), certificate: certificate.as_deref() };
        let (command, start) = (commands::login("pop3", &question), Instant::now());
        let verdict = self.host.authenticate(question, client).await;
        command.ends(start);
        let reply = match verdict {
            Verdict::In(accepted) if self.host.home_of(&accepted.user) == self.host.id() => {
                self.log_in(&accepted).await
            }
            Verdict::In(accepted) => return Some(End::Move(accepted)),
            Verdict::Keys(answer) => Reply::Keys(answer),
            // POP3 has no word for where.
            Verdict::Elsewhere { reason, .. } => {
                let (class, text) = login::elsewhere(reason);
                Reply::refuse(class, text)
            }
            Verdict::No { class, text } => Reply::refuse(class, text),
        };
        self.machine.answer(reply);
        None
    }

    async fn log_in(&mut self, accepted: &Accepted) -> Reply {
        let user = &accepted.user;
        let id = AccountId::of(user);
        let Some(admitted) = self.host.admit(id, Service::Pop3) else {
            let max = self.host.settings().connections_per_user_max;
            metrics::USERS_REFUSED.add(1);
            return Reply::refuse(Class::Limit, format!("You have {max} connections open already; close some first"));
        };
        let lock = match self.host.settings().pop3_sessions.lock {
            true => match self.host.lock_maildrop(id) {
                Some(lock) => Some(lock),
                None => return Reply::refuse(Class::InUse, "Another POP3 session has the maildrop; try again later"),
            },
            false => None,
        };
        let opened = match self.host.open_for(accepted).await {
            Ok(account) => {
                Session::open(self.host.store(), account, self.host.settings().pop3_sessions.clone(), lock).await
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(session) => {
                let totals = session.totals();
                self.session = Some((session, admitted));
                self.seat.logged_in(user);
                if let Some(tap) = self.host.rawlog(user, self.seat.id(), &self.input[self.at..]).await {
                    self.conn.set_tap(tap);
                }
                tracing::info!(service = "pop3", %user, peer = %self.conn.peer(), tls = self.machine.tls(), "login");
                totals
            }
            Err(error) => refuse(&error),
        }
    }

    /// Tells the machine of settings that are new. A session keeps those it began with.
    fn refresh(&mut self) {
        let settings = self.host.settings();
        if !Rc::ptr_eq(&settings, &self.settings) {
            self.machine.configure(config(&settings, &self.conn));
            self.settings = settings;
        }
    }

    fn patience(&self) -> Deadline {
        Deadline::after(Duration::from_secs(u64::from(self.settings.pop3_sessions.idle_seconds_max)))
    }

    fn forget_input(&mut self) {
        self.input = Vec::new();
        self.at = 0;
    }

    async fn wait(&mut self) -> Wake {
        if self.host.is_stopping() {
            return Wake::Stop;
        }
        if self.seat.is_kicked() {
            return Wake::Kicked;
        }
        let (patience, tick) = match self.session {
            Some(_) => (self.silent_by.left(), Duration::from_secs(GONE_SECONDS_MAX)),
            None => (self.login_by.left(), Duration::MAX),
        };
        let input = async {
            // Whatever is wrong with the connection, reading tells.
            let _ = self.conn.readable().await;
            Wake::Input
        };
        let stop = async {
            self.host.stop_signal().notified().await;
            Wake::Stop
        };
        let kicked = async {
            self.seat.kicked().await;
            Wake::Kicked
        };
        let silence = async {
            sleep(patience.min(tick)).await;
            if tick < patience { Wake::Tick } else { Wake::Silence }
        };
        let lost = async {
            match &self.session {
                Some((session, _)) => Wake::Lost(session.account.until_lost().await),
                None => std::future::pending().await,
            }
        };
        let told = futures_lite::future::or(stop, kicked);
        let ends = futures_lite::future::or(told, futures_lite::future::or(lost, silence));
        futures_lite::future::or(input, ends).await
    }
}

/// Why the machine ends the connection, for the log.
fn words(why: Why) -> &'static str {
    match why {
        Why::Quit => "logged out",
        Why::Bye => "the session ended it",
        Why::TooManyBadCommands => "too many bad commands",
    }
}
