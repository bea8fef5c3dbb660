//! What one shard runs, from the replay of the log to the last commit.

use crate::disk_watch;
use crate::doors::{Service, Share};
use crate::health::Vitals;
use crate::replay::Exchange;
use crate::takeover::Given;
use crate::users;
use skein_base::UidlFormat;
use skein_config::{Config, PlaintextWithoutTls, Separator, TrustedProxies};
use skein_hooks::{Extensions, Maker};
use skein_proto::imap::ImapConfig;
use skein_proto::pop3::Pop3Config;
use skein_quota::Tell;
use skein_runtime::{Class, Inbox, Lanes, RealClock, RealDisk, ShardContext, oneshot, sleep, spawn_detached, timeout};
use skein_serve::{Doorman, Host, HostSettings, Pop3Delete, Pop3Settings, Store, ToShard};
use skein_store::OldSegments;
use skein_store::OpenLimits;
use skein_store::log::{Log, LogOptions, SEGMENT_BYTES_MAX, SegmentNumbers};
use skein_transport::{Conn, ConnectionLimit, Liveness, Stopper};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use skein_base::seam::Clock;

/// How long a stop waits for commands that run; then their connections break, and what was acknowledged is safe anyway.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long sessions go on as before when another process takes over: most are short, and end by themselves.
const TAKEOVER_LULL: Duration = Duration::from_secs(1);

/// How often it is looked whether more accounts are open than may be.
const OVER_LOOK: Duration = Duration::from_secs(1);
/// Looks for idle accounts in the time after which one is closed: it stays open a quarter longer at most.
const IDLE_LOOKS: u64 = 4;

/// What all shards are given.
pub(crate) struct Common {
    /// The settings of the start; those in force are the host's.
    pub config: Arc<Config>,
    pub hostname: String,
    pub log_dir: PathBuf,
    pub doorman: Doorman,
    pub run: [u8; 16],
    pub numbers: SegmentNumbers,
    pub old_segments: OldSegments,
    pub exchange: Exchange,
    pub lanes: Lanes<ToShard>,
    pub limit: ConnectionLimit,
    pub vitals: Arc<Vitals>,
    /// Makes what takes part in the sessions.
    pub extensions: Vec<Maker>,
    pub given: Given,
}

/// What one shard alone is given.
pub(crate) struct Own {
    pub inbox: Inbox<ToShard>,
    pub shares: Vec<Share>,
    pub stop: flume::Receiver<()>,
}

/// Runs until told to stop.
///
/// # Errors
/// The log can not be read or written, in words.
pub(crate) async fn main(context: ShardContext, common: Arc<Common>, own: Own) -> Result<(), String> {
    let tail = common.exchange.replay(&RealDisk, context.id, &common.log_dir).await;
    let tail = tail.map_err(|error| format!("the log can not be read: {error}"))?;
    let mut options = LogOptions::new(context.id, common.run, Rc::new(|| RealClock.unix_seconds()));
    options.segment_bytes = common.config.store.segment_bytes.min(SEGMENT_BYTES_MAX);
    let log = Log::open(RealDisk, &common.log_dir, common.numbers.clone(), options);
    let writer = log.clone();
    spawn_detached(Class::Session, "log", async move { writer.run().await });

    let store = Store::new(RealDisk, RealClock, &common.config.data_dir, log.clone(), tail);
    store.adopt(common.old_segments.clone());
    let settings = settings(common.config.clone(), &common.hostname);
    let organs = (store.clone(), Extensions::new(&common.extensions));
    let host = Host::new(context.id, organs, common.lanes.clone(), common.doorman.clone(), settings);
    if context.id.0 == 0 {
        spawn_detached(Class::Bulk, "user files", users::watch(common.doorman.auth.clone()));
    }
    spawn_detached(Class::Session, "metrics", crate::observe::watch(host.clone(), common.vitals.clone()));
    spawn_detached(Class::Bulk, "drain", crate::drain::run(host.clone(), store.clone()));
    spawn_detached(Class::Bulk, "scrub", crate::scrub::run(host.clone(), store.clone()));
    spawn_detached(Class::Bulk, "autoexpunge", crate::expiry::run(host.clone()));
    let disk = disk_watch::watch(host.clone(), store.clone(), common.config.data_dir.clone());
    spawn_detached(Class::Session, "disk", disk);
    spawn_detached(Class::Bulk, "idle accounts", close_idle(host.clone(), store.clone()));
    let lane_host = host.clone();
    spawn_detached(Class::Session, "lane", async move { lane_host.serve_lane(own.inbox).await });

    let mut accepting = Vec::new();
    for share in own.shares {
        accepting.push(accept(&host, &common, share).map_err(|error| format!("no listener: {error}"))?);
    }
    context.signal_ready();
    // All senders gone means the same as a word: stop.
    let _ = own.stop.recv_async().await;
    stop(&host, &store, accepting, common.given.is_given()).await
}

async fn stop(
    host: &Host,
    store: &Store,
    accepting: Vec<(Stopper, oneshot::Receiver<()>)>,
    given: bool,
) -> Result<(), String> {
    accepting.iter().for_each(|(stopper, _)| stopper.stop());
    for (_, ended) in accepting {
        let _ = ended.await;
    }
    let mut patience = STOP_PATIENCE;
    if given {
        _ = timeout(TAKEOVER_LULL, host.quiet()).await;
        patience = Duration::from_secs(host.settings().config.takeover.grace_seconds.into());
    }
    if timeout(patience, host.stop()).await.is_err() {
        tracing::warn!(sessions = host.live(), "stopping without waiting longer");
    }
    // What no snapshot has is in the log, and the next start reads that.
    store.log().close().await.map_err(|error| format!("the log did not close: {error}"))
}

fn accept(host: &Host, common: &Arc<Common>, share: Share) -> std::io::Result<(Stopper, oneshot::Receiver<()>)> {
    let Share { service, door, proxies, backlog, socket } = share;
    // Within TLS nobody could read a word.
    let refusal = if door.is_implicit_tls() { b"" } else { refusal(service) };
    socket.set_liveness(liveness(&host.settings().config.tcp))?;
    let listener = socket.listen(door, backlog)?;
    let stopper = listener.stopper();
    let (done, ended) = oneshot::channel();
    let (host, limit) = (host.clone(), common.limit.clone());
    spawn_detached(Class::Session, "accept", async move {
        let serve = |conn| match &proxies {
            None => open(&host, service, conn),
            Some(proxies) => {
                spawn_detached(Class::Session, "proxy", behind(host.clone(), service, conn, proxies.clone()))
            }
        };
        listener.run(limit, refusal, serve).await;
        let _ = done.send(());
    });
    Ok((stopper, ended))
}

fn liveness(tcp: &skein_config::Tcp) -> Liveness {
    let seconds = |seconds| Duration::from_secs(u64::from(seconds));
    Liveness {
        ask_after: (tcp.keepalive_seconds > 0).then(|| seconds(tcp.keepalive_seconds)),
        dead_after: seconds(tcp.dead_seconds),
    }
}

fn refusal(service: Service) -> &'static [u8] {
    match service {
        Service::Imap => b"* BYE [UNAVAILABLE] Too many connections, please try again later\r\n",
        Service::Pop3 => b"-ERR [SYS/TEMP] Too many connections, please try again later\r\n",
        Service::Lmtp => b"421 4.3.2 Too many connections, please try again later\r\n",
    }
}

fn open(host: &Host, service: Service, conn: Conn) {
    match service {
        Service::Imap => host.serve_imap(conn),
        Service::Pop3 => host.serve_pop3(conn),
        Service::Lmtp => host.serve_lmtp(conn),
    }
}

/// A connection whose client a proxy names first.
async fn behind(host: Host, service: Service, mut conn: Conn, proxies: Arc<TrustedProxies>) {
    let trusts = |ip| proxies.networks.iter().any(|network| network.contains(&ip));
    match skein_serve::receive_proxy_header(&mut conn, trusts).await {
        Ok(()) => open(&host, service, conn),
        Err(error) => error.log(&conn),
    }
}

fn open_limits(config: &Config) -> OpenLimits {
    OpenLimits {
        idle_ms: u64::from(config.store.account_idle_seconds) * 1000,
        accounts_max: config.store.accounts_open_max,
        memory_bytes_max: config.store.memory_bytes,
    }
}

/// Closes accounts that nobody uses: those idle for long every few seconds, and at once when too many are open.
async fn close_idle(host: Host, store: Store) {
    let mut looked = RealClock.monotonic_ms();
    loop {
        sleep(OVER_LOOK).await;
        let limits = open_limits(&host.settings().config);
        let every = Duration::from_millis((limits.idle_ms / IDLE_LOOKS).clamp(1000, 15_000));
        let due = RealClock.monotonic_ms() - looked >= every.as_millis() as u64;
        if due || store.is_over(&limits) {
            store.close_idle(&limits).await;
            looked = RealClock.monotonic_ms();
        }
    }
}

pub(crate) fn settings(config: Arc<Config>, hostname: &str) -> HostSettings {
    let plaintext = config.auth.plaintext_without_tls;
    let imap = ImapConfig {
        plaintext_login: plaintext != PlaintextWithoutTls::Never,
        mechanisms: users::mechanisms(&config.auth),
        literal_minus: config.imap.literal_minus,
        message_bytes_max: config.limits.message_bytes_max,
        referrals: true,
        progress: config.imap.progress_ms > 0,
        message_limit: config.imap.message_limit,
        save_limit: config.imap.save_limit,
        dots: config.namespaces.separator == Separator::Dot,
        ..ImapConfig::default()
    };
    HostSettings {
        imap: Arc::new(imap),
        pop3: Arc::new(Pop3Config {
            plaintext_login: plaintext != PlaintextWithoutTls::Never,
            mechanisms: users::mechanisms(&config.auth),
            last: config.pop3.last,
            ..Pop3Config::default()
        }),
        pop3_sessions: Arc::new(pop3_settings(&config)),
        lmtp: skein_proto::lmtp::Settings {
            hostname: hostname.to_owned(),
            message_bytes_max: config.limits.message_bytes_max,
            recipients_max: config.lmtp.recipients_max,
            idle_ms_max: u64::from(config.lmtp.idle_seconds_max) * 1000,
            starttls: true,
            // Each connection's own.
            trusts: false,
        },
        recipients: skein_deliver::Rules {
            strip_domain: config.lmtp.strip_domain,
            delimiters: config.lmtp.recipient_delimiter.clone(),
        },
        headers: skein_deliver::Headers {
            delivered_to: match config.lmtp.delivered_to {
                skein_config::DeliveredTo::Final => skein_deliver::DeliveredTo::Final,
                skein_config::DeliveredTo::Original => skein_deliver::DeliveredTo::Original,
                skein_config::DeliveredTo::None => skein_deliver::DeliveredTo::None,
            },
            received: config.lmtp.received_header,
        },
        hostname: hostname.to_owned(),
        message_bytes_max: config.limits.message_bytes_max,
        login_seconds_max: config.imap.login_seconds_max,
        idle_seconds_max: config.imap.idle_seconds_max,
        idle_notify_seconds: NonZeroU32::new(config.imap.idle_notify_seconds),
        connections_per_user_max: config.limits.connections_per_user_max,
        connections_per_address_max: config.limits.connections_per_address_max,
        plaintext_on_loopback_only: plaintext == PlaintextWithoutTls::Loopback,
        config,
    }
}

/// The extensions that every server has.
pub(crate) fn built_in(tell: Tell) -> Vec<Maker> {
    vec![
        Arc::new(move || Rc::new(skein_quota::Quota::telling(tell.clone()))),
        Arc::new(|| Rc::new(skein_acl::Acl::default())),
    ]
}

fn pop3_settings(config: &Config) -> Pop3Settings {
    let pop3 = &config.pop3;
    Pop3Settings {
        login_seconds_max: pop3.login_seconds_max,
        idle_seconds_max: pop3.idle_seconds_max,
        lock: pop3.lock,
        delete: match pop3.delete_type {
            skein_config::Pop3Delete::Expunge => Pop3Delete::Expunge,
            skein_config::Pop3Delete::Flag => Pop3Delete::Flag(pop3.deleted_flag.as_str().into()),
        },
        no_flag_updates: pop3.no_flag_updates,
        reuse_xuidl: pop3.reuse_xuidl,
        uidl: UidlFormat::parse(&pop3.uidl_format).expect("checked with the settings"),
    }
}
