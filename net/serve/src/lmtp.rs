//! The LMTP pump, and deliveries on the recipients' shards.
//!
//! ```text
//!  LMTP connection (any shard)                       shard of a, b          shard of c
//!  RCPT a, b, c ─▶ known? ─▶ home shards
//!  DATA ─▶ up to a chunk: kept ──────────────────▶   Deliver{[a, b], whole}   Deliver{[c], whole}
//!       └▶ more: streamed to each shard ──chunks──▶   body once into its log   body once into its log
//!  250 / 550 / 451 for each ◀──outcomes── after the shard's commit
//! ```

mod delivery;

pub use delivery::Delivery;
pub(crate) use delivery::take;

use crate::commands;
use crate::host::{Host, Live, ToShard};
use crate::login::is_trusted;
use crate::metrics;
use crate::pump::start_tls;
use crate::sessions::Seat;
use delivery::{Bytes, Message, Open, Origin, To};
use skein_auth::{Fields, Unavailable};
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::seam::Clock;
use skein_base::{Class, ShardId, UserName};
use skein_deliver::{Trace, write_trace};
use skein_proto::lmtp::{Address, Close, Forwarded, Lmtp, Outcome, Refusal, Reply, Request, Step};
use skein_runtime::metrics::Held;
use skein_runtime::{RealClock, sleep};
use skein_transport::{Conn, Endpoint};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes read at once: a message of usual size in one go.
const READ_BYTES: usize = 64 * 1024;

struct Pump {
    host: Host,
    conn: Conn,
    machine: Lmtp,
    input: Vec<u8>,
    at: usize,
    message: Option<Incoming>,
    /// The client behind a proxy came over TLS.
    forwarded_tls: bool,
    /// The machine has been told that the server stops.
    told_to_stop: bool,
    seat: Seat,
    _live: Live,
    _counted: Held,
}

/// A message being received.
struct Incoming {
    /// What the log knows this delivery by.
    id: String,
    client: String,
    sender: Option<Address>,
    /// Addresses and headers may be UTF-8.
    utf8: bool,
    recipients: Vec<Recipient>,
    /// Bytes not yet handed to any shard; all of them while the message is within a chunk.
    kept: Vec<u8>,
    /// The shards' deliveries, once the message is larger than a chunk.
    open: Vec<Open>,
}

struct Recipient {
    address: Address,
    user: UserName,
    /// What stands behind the delimiter of the address.
    detail: Option<String>,
    /// What a source of users says of him.
    fields: Arc<Fields>,
    home: ShardId,
}

enum Wake {
    Input,
    Stop,
    Tick,
}

/// Serves a connection just accepted.
pub(crate) fn serve(host: Host, conn: Conn, seat: Seat) -> impl Future<Output = ()> {
    // Boxed, as in the other protocols: the task of a connection that waits is small.
    let pump = Box::pin(accept(host, conn, seat));
    async move {
        if let Some(pump) = pump.await {
            pump.serve().await;
        }
    }
}

async fn accept(host: Host, mut conn: Conn, seat: Seat) -> Option<Box<Pump>> {
    if conn.door().is_implicit_tls() && !start_tls(&mut conn, 0).await {
        seat.ends("TLS was not agreed");
        return None;
    }
    let mut settings = host.settings().lmtp.clone();
    settings.starttls = conn.door().offers_tls();
    settings.trusts = trusts(&host, &conn);
    let machine = Lmtp::new(settings, conn.is_secure());
    let (live, counted) = (host.enter(), metrics::connections("lmtp").hold());
    Some(Box::new(Pump {
        host,
        conn,
        machine,
        input: Vec::new(),
        at: 0,
        message: None,
        forwarded_tls: false,
        told_to_stop: false,
        seat,
        _live: live,
        _counted: counted,
    }))
}

/// Whether what it says of others counts. Who may use a Unix socket is trusted as its permissions have it, where anybody is.
fn trusts(host: &Host, conn: &Conn) -> bool {
    let settings = host.settings();
    let networks = &settings.config.lmtp.xclient_networks;
    !networks.is_empty() && conn.peer().ip().is_none_or(|ip| is_trusted(networks, ip))
}

impl Pump {
    async fn serve(mut self: Box<Self>) {
        let end = self.run().await;
        self.seat.counts(&self.conn);
        match end {
            Ok(()) => Box::pin(self.conn.close()).await,
            Err(error) => tracing::debug!(peer = %self.conn.peer(), %error, "the connection broke"),
        }
    }

    async fn run(&mut self) -> io::Result<()> {
        loop {
            // Boxed: while the connection waits none of this state is held.
            if Box::pin(self.run_machine()).await? {
                return Ok(());
            }
            self.flush().await?;
            self.input.clear();
            self.at = 0;
            self.seat.waits(&self.conn, false);
            match self.wait().await {
                Wake::Input if self.conn.read_into(&mut self.input, READ_BYTES).await? == 0 => {
                    self.seat.ends("the client closed the connection");
                    return Ok(());
                }
                Wake::Input => {}
                Wake::Stop => {
                    self.machine.stop();
                    self.told_to_stop = true;
                }
                Wake::Tick => {}
            }
        }
    }

    /// Feeds the machine and does what it asks, until it wants more input; true when the connection is to be closed.
    async fn run_machine(&mut self) -> io::Result<bool> {
        loop {
            match self.machine.next() {
                Step::Ask(id, request) => {
                    let (command, start) = (commands::lmtp(&request), Instant::now());
                    let reply = self.answer(request).await;
                    if let Some(command) = command {
                        command.ends(start);
                    }
                    self.machine.answer(id, reply);
                }
                Step::StartTls => {
                    self.flush().await?;
                    let unread = self.input.len() - self.at;
                    self.message = None;
                    self.input.clear();
                    self.at = 0;
                    if !start_tls(&mut self.conn, unread).await {
                        self.seat.ends("TLS was not agreed");
                        return Ok(true);
                    }
                    self.machine.tls_started();
                }
                Step::Close(why) => {
                    let kicked = self.seat.is_kicked();
                    self.seat.ends(if kicked { "kicked" } else { words(why) });
                    if why == Close::Quit {
                        self.conn.ends_as_asked();
                    }
                    self.flush().await?;
                    return Ok(true);
                }
                Step::Wait => unreachable!("each question is answered before the next look"),
                Step::More if self.at < self.input.len() => {
                    let taken = self.machine.feed(&self.input[self.at..], RealClock.monotonic_ms());
                    self.at += taken;
                    if taken == 0 {
                        // Its output is full: it takes more once that has left.
                        self.flush().await?;
                    }
                }
                Step::More => return Ok(false),
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.machine.out().is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(self.machine.out());
        self.conn.write_all(&bytes).await
    }

    async fn wait(&mut self) -> Wake {
        if (self.host.is_stopping() || self.seat.is_kicked()) && !self.told_to_stop {
            return Wake::Stop;
        }
        let now = RealClock.monotonic_ms();
        let until = self.machine.tick(now);
        let input = async {
            let _ = self.conn.readable().await;
            Wake::Input
        };
        let stop = async {
            self.host.stop_signal().notified().await;
            Wake::Stop
        };
        let kicked = async {
            match self.told_to_stop {
                true => std::future::pending().await,
                false => self.seat.kicked().await,
            }
            Wake::Stop
        };
        let tick = async {
            sleep(Duration::from_millis(until.map_or(0, |until| until.saturating_sub(now)))).await;
            Wake::Tick
        };
        let told = futures_lite::future::or(stop, kicked);
        futures_lite::future::or(input, futures_lite::future::or(told, tick)).await
    }

    async fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Sender { client, sender, utf8, .. } => {
                self.seat.begins("MAIL");
                let id = self.host.delivery_id();
                let (recipients, kept, open) = (Vec::new(), Vec::new(), Vec::new());
                self.message = Some(Incoming { id, client, sender, utf8, recipients, kept, open });
                Reply::Accept
            }
            Request::Forwarded(told) => {
                self.forwarded(&told);
                Reply::Accept
            }
            Request::Recipient { address, fields } => {
                if !fields.is_empty() {
                    tracing::debug!(%address, ?fields, "what a proxy knows of a recipient");
                }
                self.recipient(address).await
            }
            Request::Chunk(bytes) => self.chunk(bytes).await,
            Request::End { .. } => Reply::Outcomes(self.end().await),
            Request::Abort => {
                self.message = None;
                Reply::Accept
            }
        }
    }

    /// The client is another one from here on, for the log and for the Received line.
    fn forwarded(&mut self, told: &Forwarded) {
        let proxy = self.conn.peer();
        let end = |old: Endpoint, ip: Option<IpAddr>, port: Option<u16>| match ip {
            Some(ip) => SocketAddr::new(ip, port.unwrap_or_default()).into(),
            None => old,
        };
        let peer = end(proxy, told.address, told.port);
        self.conn.set_ends(peer, end(self.conn.local(), told.to_address, told.to_port));
        self.forwarded_tls = told.tls;
        self.seat.comes_from(&self.conn);
        let Forwarded { client, login, session, .. } = told;
        let (client, login, session) = (client.as_deref(), login.as_deref(), session.as_deref());
        tracing::info!(service = "lmtp", %proxy, %peer, client, login, proxy_session = session, "a proxy names its client");
    }

    async fn recipient(&mut self, address: Address) -> Reply {
        let To { user, detail, fields } = match self.account_of(&address).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                metrics::delivery_ended(Some(Class::Missing));
                return Reply::Refuse(Refusal { class: Class::Missing, text: format!("No user {address} here") });
            }
            Err(Unavailable) => {
                metrics::delivery_ended(Some(Class::Unavailable));
                tracing::warn!(%address, "a delivery was put off: a source of users does not answer");
                let text = "Users can not be looked up at the moment, please try again later".to_owned();
                return Reply::Refuse(Refusal { class: Class::Unavailable, text });
            }
        };
        let home = self.host.home_of(&user);
        if self.host.settings().config.lmtp.rcpt_quota_check {
            let to = To { user: user.clone(), detail: detail.clone(), fields: fields.clone() };
            if let Err(refusal) = delivery::would_take(&self.host, home, to).await {
                metrics::delivery_ended(Some(refusal.class));
                return Reply::Refuse(refusal);
            }
        }
        if let Some(message) = &mut self.message {
            message.recipients.push(Recipient { address, user, detail, fields, home });
        }
        Reply::Accept
    }

    /// Whose mail the address is, and its detail.
    async fn account_of(&self, address: &Address) -> Result<Option<To>, Unavailable> {
        let candidates = skein_deliver::candidates(address, &self.host.settings().recipients);
        for candidate in candidates {
            if let Some((user, fields)) = self.host.account_of(&candidate.user).await? {
                return Ok(Some(To { user, detail: candidate.detail, fields }));
            }
        }
        Ok(None)
    }

    async fn chunk(&mut self, bytes: Vec<u8>) -> Reply {
        let Some(message) = &mut self.message else { return unexpected() };
        if message.kept.is_empty() && message.open.is_empty() {
            message.kept = bytes;
        } else {
            message.kept.extend_from_slice(&bytes);
        }
        if message.kept.len() <= BODY_CHUNK_BYTES {
            return Reply::Accept;
        }
        if message.open.is_empty() {
            let origin = Origin { id: message.id.as_str().into(), session: self.seat.id() };
            message.open = open_all(&self.host, origin, (&self.conn, self.forwarded_tls), message);
        }
        let chunk: Bytes = std::mem::take(&mut message.kept).into();
        for open in &mut message.open {
            open.push(chunk.clone()).await;
        }
        Reply::Accept
    }

    /// The message is complete: commits it on every shard and says what became of each recipient.
    async fn end(&mut self) -> Vec<Outcome> {
        let Some(mut message) = self.message.take() else { return Vec::new() };
        let whole: Bytes = std::mem::take(&mut message.kept).into();
        let mut results: Vec<(ShardId, Vec<Outcome>)> = Vec::new();
        if message.open.is_empty() {
            let origin = Origin { id: message.id.as_str().into(), session: self.seat.id() };
            let waiting = send_whole(&self.host, origin, (&self.conn, self.forwarded_tls), &message, whole);
            for (home, delivery) in waiting {
                results.push((home, delivery.outcomes().await));
            }
        } else {
            for open in &mut message.open {
                open.push(whole.clone()).await;
            }
            for open in message.open.drain(..) {
                results.push((open.home(), open.finish().await));
            }
        }
        in_order(&message.recipients, results)
    }
}

/// Outcomes by shard, each in the order of that shard's recipients, as outcomes in the order of all.
fn in_order(recipients: &[Recipient], mut results: Vec<(ShardId, Vec<Outcome>)>) -> Vec<Outcome> {
    results.iter_mut().for_each(|(_, outcomes)| outcomes.reverse());
    let outcomes = recipients.iter().map(|recipient| {
        let of_shard = results.iter_mut().find(|(home, _)| *home == recipient.home);
        of_shard.and_then(|(_, outcomes)| outcomes.pop()).unwrap_or_else(|| Err(delivery::busy()))
    });
    outcomes.collect()
}

/// Why the machine ends the connection, for the log.
fn words(why: Close) -> &'static str {
    match why {
        Close::Quit => "logged out",
        Close::Idle => "silent for too long",
        Close::Errors => "too many bad commands",
        Close::Stopping => "the server stops",
    }
}

fn unexpected() -> Reply {
    Reply::Refuse(Refusal { class: Class::Invalid, text: "No message is under way".into() })
}

/// The users of each shard, in the order of the recipients.
fn by_home(recipients: &[Recipient]) -> Vec<(ShardId, Vec<To>)> {
    let mut homes: Vec<(ShardId, Vec<To>)> = Vec::new();
    for recipient in recipients {
        let Recipient { user, detail, fields, .. } = recipient;
        let to = To { user: user.clone(), detail: detail.clone(), fields: fields.clone() };
        match homes.iter_mut().find(|(home, _)| *home == recipient.home) {
            Some((_, users)) => users.push(to),
            None => homes.push((recipient.home, vec![to])),
        }
    }
    homes
}

fn trace(host: &Host, (conn, forwarded_tls): (&Conn, bool), message: &Incoming) -> Bytes {
    // Recipients of one message share its bytes; only a single one is named in them.
    let to = match &message.recipients[..] {
        [one] => Some((&one.address, &one.user)),
        _ => None,
    };
    let settings = host.settings();
    let trace = Trace {
        headers: settings.headers,
        sender: message.sender.as_ref(),
        to,
        client: &message.client,
        client_ip: conn.peer().ip(),
        tls: conn.is_secure() || forwarded_tls,
        utf8: message.utf8,
        hostname: &settings.hostname,
        id: &message.id,
        unix_seconds: RealClock.unix_seconds(),
    };
    let mut out = Vec::with_capacity(512);
    write_trace(&mut out, &trace);
    out.into()
}

fn send_whole(
    host: &Host,
    origin: Origin,
    conn: (&Conn, bool),
    message: &Incoming,
    whole: Bytes,
) -> Vec<(ShardId, delivery::Waiting)> {
    let trace = trace(host, conn, message);
    let send = |(home, users): (ShardId, Vec<To>)| {
        let (delivery, waiting) = Delivery::new(origin.clone(), users, trace.clone(), Message::Whole(whole.clone()));
        hand_to(host, home, delivery);
        (home, waiting)
    };
    by_home(&message.recipients).into_iter().map(send).collect()
}

fn open_all(host: &Host, origin: Origin, conn: (&Conn, bool), message: &Incoming) -> Vec<Open> {
    let trace = trace(host, conn, message);
    let open = |(home, users): (ShardId, Vec<To>)| {
        let (delivery, open) = Open::new(origin.clone(), home, users, trace.clone());
        hand_to(host, home, delivery);
        open
    };
    by_home(&message.recipients).into_iter().map(open).collect()
}

/// On its way, or dropped: whoever waits for a dropped delivery hears that the server is busy.
fn hand_to(host: &Host, home: ShardId, delivery: Delivery) {
    if home == host.id() {
        host.deliver_here(delivery);
    } else if host.lanes().send(home, ToShard::Deliver(delivery)).is_err() {
        tracing::warn!(shard = home.0, "a delivery was refused: its users' shard does not keep up");
    }
}
