//! Coming up, running, and going down, on the main thread.

use crate::error::ServerError;
use crate::replay::{Exchange, numbers};
use crate::shard::{self, Common, Own, Service};
use crate::{logging, observe};
use skein_admin::AdminConfig;
use skein_auth::Sources;
use skein_base::ShardId;
use skein_config::Config;
use skein_runtime::{
    DataLock, Inbox, Lanes, ShardsConfig, Side, Signal, Signals, check_cores, check_io_uring, raise_memlock,
    raise_nofile,
};
use skein_serve::ToShard;
use skein_transport::{BindError, BoundSocket, ConnectionLimit, Tls, TlsFiles, bind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Messages that may wait in a shard's inbox: above it that shard is a second behind, and new work is refused.
const INBOX_DEPTH_MAX: usize = 16 * 1024;
/// How often, and how long apart, a taken port is tried: two seconds, far above what the kernel was seen to need.
const BIND_ATTEMPTS: u32 = 21;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// What a running server says of itself.
pub struct Started {
    /// Addresses by service, in the order of the settings.
    pub listeners: Vec<(&'static str, SocketAddr)>,
    /// Shards that run.
    pub shards: usize,
    /// The certificate clients see.
    pub certificate: std::path::PathBuf,
}

/// Runs a server until a signal ends it. `ready` is called once everything serves.
///
/// # Errors
/// Why it did not start, or which shard did not end well.
pub fn run(config: Config, ready: impl FnOnce(&Started)) -> Result<(), ServerError> {
    let system = |what| move |error| ServerError::System { what, error };
    let signals = Signals::take().map_err(system("blocking signals"))?;
    logging::start(&config);
    let shards_config = ShardsConfig { count: usize::from(config.shards), ..ShardsConfig::default() };
    check_io_uring()?;
    check_cores()?;
    raise_memlock(&shards_config)?;
    raise_nofile(config.limits.connections_max as u64)?;
    let lock = DataLock::take(&config.data_dir)?;
    let log_dir = config.data_dir.join("log");
    make_folders(&config.data_dir).map_err(system("making the data folder"))?;

    let hostname = hostname(&config);
    let files = certificate(&config, &hostname)?;
    let tls = Arc::new(Tls::load(files.clone())?);
    let (sources, notices) = Sources::load(&config.auth.sources)?;
    for (path, notice) in notices {
        tracing::warn!(path = %path.display(), %notice, "passwd-file");
    }
    let count = shards_config.shard_count();
    let (mut sockets, listeners) = bind_all(&config, count)?;
    let side = Side::start().map_err(system("starting the side runtime"))?;
    let (lanes, inboxes) = Lanes::<ToShard>::new(count, INBOX_DEPTH_MAX);
    let common = Arc::new(Common {
        limit: ConnectionLimit::new(config.limits.connections_max),
        numbers: numbers(&log_dir).map_err(system("reading the log's folder"))?,
        exchange: Exchange::new(count),
        sources: Arc::new(sources),
        cache_key: random().map_err(system("asking for random bytes"))?,
        run: random().map_err(system("asking for random bytes"))?,
        tls: tls.clone(),
        hostname,
        log_dir,
        lanes,
        config,
    });
    let (stop, owns) = give_out(inboxes, &mut sockets);
    let shared = common.clone();
    let shards = skein_runtime::start(shards_config, &side, move |context| {
        let own = owns[usize::from(context.id.0)].lock().unwrap_or_else(PoisonError::into_inner).take();
        shard::main(context, shared.clone(), own.expect("each shard starts once"))
    })?;
    // After the shards are counted: each metric has a cell for each of them.
    observe::register();
    let is_ready = Arc::new(AtomicBool::new(false));
    let admin = start_admin(&side, &common.config, &is_ready)?;
    if shards.wait_ready() {
        is_ready.store(true, Ordering::Release);
        let http = admin.iter().map(|a| ("http", a.addr()));
        let listeners = listeners.into_iter().chain(http).collect();
        notify(sd_notify::NotifyState::Ready);
        ready(&Started { listeners, shards: count, certificate: files.certificate });
        wait_for_end(&signals, &tls);
        notify(sd_notify::NotifyState::Stopping);
        is_ready.store(false, Ordering::Release);
    }
    drop(stop);
    let ended = shards.join();
    for page in admin {
        side.handle().block_on(page.stop());
    }
    side.stop();
    drop(lock);
    outcome(ended)
}

fn outcome(ended: Vec<Result<Result<(), String>, skein_runtime::ShardDied>>) -> Result<(), ServerError> {
    for (i, end) in ended.into_iter().enumerate() {
        let why = match end {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(died) => died.to_string(),
        };
        return Err(ServerError::Shard { shard: ShardId(i as u16), why });
    }
    tracing::info!("stopped");
    Ok(())
}

fn wait_for_end(signals: &Signals, tls: &Tls) {
    loop {
        match signals.wait() {
            Some(Signal::Reload) => match tls.reload() {
                Ok(()) => tracing::info!("certificates read again"),
                Err(error) => tracing::error!(%error, "certificates not read again; the old ones stay"),
            },
            Some(signal) => return tracing::info!(?signal, "stopping"),
            None => return,
        }
    }
}

/// Tells a supervisor that asked for it (`Type=notify` of systemd).
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor can not be told");
    }
}

fn make_folders(data: &Path) -> std::io::Result<()> {
    for folder in ["log", "accounts"] {
        std::fs::create_dir_all(data.join(folder))?;
    }
    // The folders themselves must survive a power cut, or what is in them does not.
    std::fs::File::open(data)?.sync_all()?;
    let parent = data.canonicalize()?;
    parent.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}

fn hostname(config: &Config) -> String {
    match config.hostname.as_str() {
        "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        name => name.to_owned(),
    }
}

fn certificate(config: &Config, hostname: &str) -> Result<TlsFiles, ServerError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(certificate), Some(key)) => Ok(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
        _ => {
            let names = [hostname.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
            Ok(TlsFiles::self_signed(&config.data_dir.join("tls"), &names)?)
        }
    }
}

type Sockets = Vec<Vec<(Service, BoundSocket)>>;
type Addrs = Vec<(&'static str, SocketAddr)>;

/// Binds everything before anything starts: a taken port is said at once.
fn bind_all(config: &Config, shards: usize) -> Result<(Sockets, Addrs), ServerError> {
    let mut sockets: Sockets = (0..shards).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    let services = [
        ("imap", Service::Imap, &config.listeners.imap),
        ("imaps", Service::Imaps, &config.listeners.imaps),
        ("lmtp", Service::Lmtp, &config.listeners.lmtp),
    ];
    for (name, service, addrs) in services {
        for addr in addrs {
            let shares = patiently(|| bind(*addr, shards))?;
            bound.extend(shares.first().map(|socket| (name, socket.addr())));
            sockets.iter_mut().zip(shares).for_each(|(own, share)| own.push((service, share)));
        }
    }
    Ok((sockets, bound))
}

/// Binds, and tries again for a moment when the port is taken: the sockets of a server that was killed just now live on
/// until the kernel has taken its rings apart.
fn patiently<T>(bind: impl Fn() -> Result<T, BindError>) -> Result<T, BindError> {
    for _ in 1..BIND_ATTEMPTS {
        match bind() {
            Err(BindError::Taken { .. }) => pause(BIND_PAUSE),
            done => return done,
        }
    }
    bind()
}

#[expect(clippy::disallowed_methods, reason = "the main thread, before any shard runs")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

type Owns = Vec<Mutex<Option<Own>>>;

/// Each shard's own things, and the senders whose end tells the shards to stop.
fn give_out(inboxes: Vec<Inbox<ToShard>>, sockets: &mut Sockets) -> (Vec<flume::Sender<()>>, Owns) {
    inboxes
        .into_iter()
        .zip(sockets.drain(..))
        .map(|(inbox, sockets)| {
            let (sender, stop) = flume::bounded(1);
            (sender, Mutex::new(Some(Own { inbox, sockets, stop })))
        })
        .unzip()
}

fn start_admin(side: &Side, config: &Config, ready: &Arc<AtomicBool>) -> Result<Vec<skein_admin::Admin>, ServerError> {
    let mut pages = Vec::new();
    for addr in &config.listeners.http {
        let ready = ready.clone();
        let is_ready = Arc::new(move || ready.load(Ordering::Acquire));
        let page = || skein_admin::start(side, AdminConfig { addr: *addr, is_ready: is_ready.clone() });
        pages.push(patiently(page)?);
    }
    Ok(pages)
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if got == N { Ok(bytes) } else { Err(std::io::Error::other("too few random bytes")) }
}
