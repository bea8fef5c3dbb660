//! The IMAP pump: socket, machine and session, from the greeting to the end.

mod across;
mod append;
mod batches;
mod binary;
mod caches;
mod fetch;
mod grantees;
mod guest;
mod keepalive;
mod kept;
mod limit;
mod link;
mod list;
mod metadata;
mod notify;
mod progress;
mod ready;
mod rights;
mod search;
mod select;
mod session;
mod sort;
mod spaces;
mod store;
mod sync;
mod thread;
mod urlauth;
mod virtuals;
mod visit;
mod watch;

use crate::commands;
use crate::host::{Admitted, Host, HostSettings, Live, Service, ToShard};
use crate::login::{self, Client, Verdict, admit_address, certified, channel};
use crate::metrics;
use crate::pump::{self, KICKED, Moved, READ_BYTES, STOPPING, start_tls};
use crate::sessions::Seat;
pub(crate) use grantees::{forget_guest, hosts_of, told};
pub(crate) use kept::Kept;
use link::{Link, flush};
pub use metadata::NotSet;
pub use search::{Compare, Criterion};
pub(crate) use session::Session;
use skein_auth::{Accepted, Home};
use skein_base::{AccountId, Class};
use skein_proto::imap::{Code, Imap, ImapConfig, Reply, Request, Step, Why, server_url};
use skein_proto::sasl::{Credentials, Question};
use skein_runtime::metrics::Held;
use skein_runtime::{Deadline, sleep};
use skein_store::{Actor, Lost, StoreError};
use skein_transport::Conn;
use std::borrow::Cow;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub use virtuals::wrong_query;

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
    News,
    /// Nothing has been said for a while: what is only kept for what is said next goes.
    Rest,
    /// Something on the way may forget a connection that nothing goes over.
    KeepAlive,
    Stop,
    Kicked,
    Silence,
    /// The session's account is to be let go of.
    Lost(Lost),
}

/// Silence after which the compressor's window is given back: what is said later is packed without looking back to it. Longer
/// than a client's pause between two commands.
const REST_SECONDS: u64 = 3;

struct Pump {
    host: Host,
    /// Those the machine and the session know.
    settings: Rc<HostSettings>,
    conn: Conn,
    machine: Imap,
    /// Read and not yet taken by the machine, from `at` on.
    input: Vec<u8>,
    at: usize,
    /// When a client must have logged in; counted from the greeting, whatever it sends. Once it has, when it has been silent for too long.
    patience: Deadline,
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
    if !admit_address(&host, &mut conn, b"* BYE [LIMIT] Too many connections from your address\r\n").await {
        seat.ends("too many connections from the address");
        conn.close().await;
        return None;
    }
    if conn.door().is_implicit_tls() && !start_tls(&mut conn, 0).await {
        seat.ends("TLS was not agreed");
        return None;
    }
    let machine = Imap::new(config(&host.settings(), &conn), channel(&host, &conn));
    Some(Box::new(Pump::new(host, conn, machine, seat)))
}

/// The shard's settings, as far as this client's way here allows.
fn config(settings: &HostSettings, conn: &Conn) -> Arc<ImapConfig> {
    let config = settings.imap.clone();
    let may_be_heard = settings.plaintext_on_loopback_only && !conn.peer().is_local();
    let wanted = (conn.door().offers_tls(), config.plaintext_login && !may_be_heard);
    if wanted == (config.starttls, config.plaintext_login) {
        return config;
    }
    let (starttls, plaintext_login) = wanted;
    Arc::new(ImapConfig { starttls, plaintext_login, ..(*config).clone() })
}

/// Serves a connection that logged in on another shard.
pub(crate) fn resume(host: Host, moved: Moved<Imap>) -> impl Future<Output = ()> {
    run(async move {
        let (conn, machine, accepted, seat) = moved.arrive(&host);
        let mut pump = Box::new(Pump::new(host, conn, machine, seat));
        let reply = pump.log_in(&accepted).await;
        pump.machine.answer(reply);
        Some(pump)
    })
}

impl Pump {
    fn new(host: Host, conn: Conn, machine: Imap, seat: Seat) -> Pump {
        let live = host.enter();
        let settings = host.settings();
        let patience = Deadline::after(Duration::from_secs(u64::from(settings.login_seconds_max)));
        Pump {
            host,
            settings,
            conn,
            machine,
            input: Vec::new(),
            at: 0,
            patience,
            session: None,
            seat,
            farewell: None,
            _live: live,
            _counted: metrics::connections("imap").hold(),
        }
    }

    async fn run(mut self: Box<Self>) {
        let end = self.pump().await;
        self.seat.counts(&self.conn);
        if let Some((session, _)) = &self.session {
            self.host.expire_behind(&session.account);
        }
        match end {
            Ok(End::Close) => Box::pin(self.conn.close()).await,
            Ok(End::Move(accepted)) => {
                let unread = self.input.split_off(self.at);
                pump::hand_over(&self.host, self.conn, unread, self.machine, accepted, self.seat, ToShard::Imap);
            }
            Err(error) => tracing::debug!(peer = %self.conn.peer(), %error, "the connection broke"),
        }
    }

    /// Runs until the connection ends or must move.
    async fn pump(&mut self) -> io::Result<End> {
        let mut is_silent = false;
        loop {
            // Boxed: while the connection is idle, which is nearly always, none of this state is held.
            if let Some(end) = Box::pin(self.run_machine()).await? {
                return Ok(end);
            }
            flush(&mut self.machine, &mut self.conn, self.session.as_ref().map(|s| &s.0)).await?;
            if self.input.is_empty() {
                self.machine.rest();
            }
            self.seat.waits(&self.conn, self.machine.idling());
            if self.session.is_some() && !is_silent {
                self.patience = Deadline::after(Duration::from_secs(u64::from(self.host.settings().idle_seconds_max)));
            }
            let wake = self.wait().await;
            is_silent = matches!(wake, Wake::Rest | Wake::KeepAlive);
            match wake {
                Wake::Input => {
                    if self.conn.read_into(&mut self.input, READ_BYTES).await? == 0 {
                        self.seat.ends("the client closed the connection");
                        return Ok(End::Close);
                    }
                    self.refresh();
                }
                Wake::News => self.tell_news().await?,
                Wake::Rest => self.conn.rest(),
                Wake::KeepAlive => self.machine.keep_alive(),
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
                    self.machine.bye("You were silent for too long");
                }
                Wake::Lost(lost) => {
                    self.farewell = Some(lost.why());
                    let error = StoreError::from(lost);
                    self.machine.break_off(&Code::Unavailable, &error.client_text());
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
                Step::Ask(Request::Unauthenticate) => self.log_out().await?,
                Step::Ask(request) => self.ask(request).await?,
                Step::StartDeflate => {
                    flush(&mut self.machine, &mut self.conn, self.session.as_ref().map(|s| &s.0)).await?;
                    let unread = self.input.split_off(self.at);
                    self.forget_input();
                    self.conn.start_deflate(&unread);
                    self.machine.deflate_started();
                }
                Step::StartTls => {
                    flush(&mut self.machine, &mut self.conn, None).await?;
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
                    if why == Why::Logout {
                        self.conn.ends_as_asked();
                    }
                    flush(&mut self.machine, &mut self.conn, self.session.as_ref().map(|s| &s.0)).await?;
                    return Ok(Some(End::Close));
                }
                Step::More if self.at < self.input.len() => self.at += self.machine.feed(&self.input[self.at..]),
                Step::More => {
                    self.forget_input();
                    return Ok(None);
                }
            }
        }
    }

    async fn ask(&mut self, request: Request) -> io::Result<()> {
        let Some((session, _)) = &mut self.session else {
            self.machine.answer(Reply::bad("Log in first"));
            return Ok(());
        };
        let (command, start) = (commands::imap(&request), Instant::now());
        if let Some(command) = &command {
            self.seat.begins(command.name);
        }
        let selecting = selecting(&request);
        let mut link = Link::new(&mut self.machine, &mut self.conn);
        let reply = session.serve(request, &mut link).await?;
        if let Some(command) = command {
            command.ends(start);
        }
        if let Some(mailbox) = selecting {
            self.seat.selects(session.selected.as_ref().and(mailbox.as_deref()));
        }
        self.machine.answer(reply);
        Link::new(&mut self.machine, &mut self.conn).drain_if_full(session).await?;
        session.checkpoint_if_due();
        Ok(())
    }

    /// Checks who it is here, where the connection was accepted; the session begins where the user lives.
    async fn check_login(&mut self, question: Question) -> Option<End> {
        let certificate = certified(&self.host, &self.conn);
        let client = Client { service: "imap", peer: self.conn.peer(), certificate: certificate.as_deref() };
        let (command, start) = (commands::login("imap", &question), Instant::now());
        let verdict = self.host.authenticate(question, client).await;
        command.ends(start);
        let reply = match verdict {
            Verdict::In(accepted) if self.host.home_of(&accepted.user) == self.host.id() => {
                self.log_in(&accepted).await
            }
            Verdict::In(accepted) => return Some(End::Move(accepted)),
            Verdict::Keys(answer) => Reply::Keys(answer),
            Verdict::Elsewhere { home, reason } => {
                let (_, text) = login::elsewhere(reason);
                Reply::No { code: Some(Code::Referral(url_of(&home))), text }
            }
            Verdict::No { class, text } => Reply::no(class, text),
        };
        self.machine.answer(reply);
        None
    }

    async fn log_in(&mut self, accepted: &Accepted) -> Reply {
        let user = &accepted.user;
        let Some(admitted) = self.host.admit(AccountId::of(user), Service::Imap) else {
            let max = self.host.settings().connections_per_user_max;
            metrics::USERS_REFUSED.add(1);
            return Reply::no(Class::Limit, format!("You have {max} connections open already; close some first"));
        };
        match self.host.open_for(accepted).await {
            Ok(account) => {
                self.host.provide_all(&account);
                let mut session = Session::new(&self.host, account, Actor::Owner);
                session.is_of(accepted);
                session.is_admin = accepted.admin;
                self.session = Some((session, admitted));
                self.seat.logged_in(user);
                if let Some(tap) = self.host.rawlog(user, self.seat.id(), &self.input[self.at..]).await {
                    self.conn.set_tap(tap);
                }
                tracing::info!(service = "imap", %user, peer = %self.conn.peer(), tls = self.machine.tls(), "login");
                match accepted.fields.home(user).filter(|_| accepted.master.is_none()) {
                    Some(home) => Reply::Referred { url: url_of(&home), text: accepted.fields.reason.clone() },
                    None => Reply::LoggedIn { user: user.as_str().to_owned() },
                }
            }
            Err(error) => crate::failure::refuse(&error),
        }
    }

    /// The user leaves and the connection stays: nothing of the one is left for the next.
    async fn log_out(&mut self) -> io::Result<()> {
        flush(&mut self.machine, &mut self.conn, self.session.as_ref().map(|s| &s.0)).await?;
        if let Some((session, _)) = self.session.take() {
            self.host.expire_behind(&session.account);
        }
        self.conn.clear_tap();
        self.seat.logged_out();
        self.patience = Deadline::after(Duration::from_secs(u64::from(self.settings.login_seconds_max)));
        self.machine.answer(Reply::Done);
        Ok(())
    }

    /// Tells machine and session of settings that are new.
    fn refresh(&mut self) {
        let settings = self.host.settings();
        if Rc::ptr_eq(&settings, &self.settings) {
            return;
        }
        self.machine.configure(config(&settings, &self.conn));
        if let Some((session, _)) = &mut self.session {
            session.configure(&settings);
        }
        self.settings = settings;
    }

    fn forget_input(&mut self) {
        self.input = Vec::new();
        self.at = 0;
    }

    async fn tell_news(&mut self) -> io::Result<()> {
        let idling = self.machine.idling();
        let Some((session, _)) = &mut self.session else { return Ok(()) };
        let mut link = Link::new(&mut self.machine, &mut self.conn);
        // Boxed: most of the time there is none.
        if !(session.is_elsewhere() && idling) {
            return Box::pin(session.push(idling, &mut link)).await;
        }
        let reply = Box::pin(session.serve(Request::Sync { expunges: true, check: false }, &mut link)).await?;
        if let Reply::Bye { text } = reply {
            self.machine.bye(&text);
        }
        Ok(())
    }

    async fn wait(&mut self) -> Wake {
        // What a user has begun to send is taken; the stop's own patience bounds it.
        let sending = self.machine.logged_in() && self.machine.in_command();
        if self.host.is_stopping() && !sending {
            return Wake::Stop;
        }
        if self.seat.is_kicked() {
            return Wake::Kicked;
        }
        let (left, what) = self.quiet();
        let quiet = async move {
            sleep(left).await;
            what
        };
        let input = async {
            // Whatever is wrong with the connection, reading tells.
            let _ = self.conn.readable().await;
            Wake::Input
        };
        let stop = async {
            match sending {
                true => std::future::pending().await,
                false => self.host.stop_signal().notified().await,
            }
            Wake::Stop
        };
        let kicked = async {
            self.seat.kicked().await;
            Wake::Kicked
        };
        let news = async {
            match &self.session {
                Some((session, _)) if self.machine.may_tell() => session.news(self.machine.idling()).await,
                _ => std::future::pending().await,
            }
            Wake::News
        };
        let lost = async {
            match &self.session {
                Some((session, _)) => Wake::Lost(session.account.until_lost().await),
                None => std::future::pending().await,
            }
        };
        let told = futures_lite::future::or(stop, kicked);
        let ends = futures_lite::future::or(told, futures_lite::future::or(lost, quiet));
        futures_lite::future::or(input, futures_lite::future::or(news, ends)).await
    }

    /// What is due first while nothing happens, and in how long: one timer is enough for a connection.
    fn quiet(&self) -> (Duration, Wake) {
        let rest = self.conn.is_warm().then_some((Duration::from_secs(REST_SECONDS), Wake::Rest));
        let interval = self.host.settings().idle_notify_seconds.filter(|_| self.machine.may_tell());
        let keep_alive =
            interval.map(|interval| (keepalive::until_next(interval, self.conn.peer().host()), Wake::KeepAlive));
        let silence = (self.patience.left(), Wake::Silence);
        [rest, keep_alive]
            .into_iter()
            .flatten()
            .fold(silence, |first, next| if next.0 < first.0 { next } else { first })
    }
}

/// The mailbox that a request opens, or `None` in it for one that closes; nothing for the others.
fn selecting(request: &Request) -> Option<Option<String>> {
    match request {
        Request::Select { mailbox, .. } => Some(Some(mailbox.to_string())),
        Request::Unselect | Request::Close | Request::Logout => Some(None),
        _ => None,
    }
}

/// Where a login is referred to.
fn url_of(home: &Home) -> String {
    server_url(&home.user, &home.host, home.port)
}

/// Why the machine ends the connection, for the log.
fn words(why: Why) -> &'static str {
    match why {
        Why::Logout => "logged out",
        Why::Bye => "the session ended it",
        Why::BrokenOff => "changes were lost",
        Why::TooManyBadCommands => "too many bad commands",
        Why::LiteralTooBig => "a literal was too big",
    }
}
