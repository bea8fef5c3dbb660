//! Coming up, running, and going down, on the main thread.

use crate::confine::{self, Becoming};
use crate::doors::{Certificates, Share, bind_all, main_files, patiently};
use crate::error::ServerError;
use crate::health::{Phase, ServerHealth, Vitals};
use crate::reload::{Reloaded, Reloader};
use crate::replay::{Exchange, stock_of};
use crate::shard::{self, Common, Own};
use crate::takeover::{self, Given, Giver, Inherited, Sockets, TakeoverError};
use crate::{errands, logging, observe, recent, supervisor, users};
use skein_admin::adm::{AdmSocket, Desk};
use skein_admin::{Admin, PageSocket};
use skein_auth::Penalties;
use skein_base::ShardId;
use skein_config::Config;
use skein_hooks::Maker;
use skein_runtime::{
    DataLock, Inbox, Lanes, Privileges, ShardsConfig, Side, Signal, Signals, check_cores, check_io_uring,
    raise_memlock, raise_nofile,
};
use skein_serve::{Doorman, ToShard};
use skein_transport::{AddressLimit, BindError, ConnectionLimit, Place, UnixAccess, listen_unix};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Messages that may wait in a shard's inbox: above it that shard is a second behind, and new work is refused.
pub(crate) const INBOX_DEPTH_MAX: usize = 16 * 1024;
/// What a running server says of itself.
pub struct Started {
    /// Places by service, in the order of the settings.
    pub listeners: Vec<(&'static str, Place)>,
    /// Shards that run.
    pub shards: usize,
    /// The certificate clients see.
    pub certificate: std::path::PathBuf,
}

/// How to come up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// Refusing when a server of the same data folder runs.
    Alone,
    /// Taking the place of a server that runs; without one, the same as alone.
    Takeover,
}

/// Runs a server until a signal ends it, or another process takes its place. `ready` is called once everything serves. On each shard it
/// makes `extensions` beside those that every server has.
///
/// # Errors
/// Why it did not start, or which shard did not end well.
pub fn run(
    config: Config,
    start: Start,
    extensions: Vec<Maker>,
    ready: impl FnOnce(&Started),
) -> Result<(), ServerError> {
    let system = |what| move |error| ServerError::System { what, error };
    Signals::block().map_err(system("blocking signals"))?;
    logging::start(&config);
    confine::begin(&config)?;
    let becoming = Becoming::find(&config)?;
    let privileges = if becoming.is_some() { Privileges::GivenUp } else { Privileges::Kept };
    let shards_config = ShardsConfig { count: usize::from(config.shards), ..ShardsConfig::default() };
    check_io_uring()?;
    check_cores()?;
    raise_memlock(&shards_config, privileges)?;
    raise_nofile(config.limits.connections_max as u64)?;
    let (giver, mut inherited) = match start {
        Start::Takeover => Giver::find(&config.data_dir)?.map(|(giver, inherited)| (Some(giver), inherited)),
        Start::Alone => None,
    }
    .unwrap_or_else(|| (None, supervisor::kept()));
    // Of a server that runs nothing is touched but what it lets go of.
    let lock = match &giver {
        None => Some(own_data(DataLock::take(&config.data_dir)?, &config)?),
        Some(_) => None,
    };
    let log_dir = config.data_dir.join("log");

    let hostname = hostname(&config);
    let certificates = Certificates::load(&config, &hostname)?;
    let certificate = main_files(&config, &hostname)?.certificate;
    let random_key = || random().map_err(system("asking for random bytes"));
    let auth = users::load(&config.auth, &config.data_dir, random_key()?)?;
    let count = shards_config.shard_count();
    let mut bound = bind_all(&config, &certificates, count, &mut inherited)?;
    let more = MoreSockets::bind(&config, &mut inherited, &mut bound.offered)?;
    let unwanted = inherited.unwanted();
    drop(inherited);
    let means = give_up(&config, becoming, giver.is_none())?;
    let signals = Signals::take().map_err(system("waiting for signals"))?;
    let taken = giver.as_ref().map(|giver| (giver.pid(), Instant::now()));
    let lock = match giver {
        Some(giver) => Some(own_data(giver.take(&config.data_dir, &signals)?, &config)?),
        None => lock,
    };
    let side = Side::start().map_err(system("starting the side runtime"))?;
    let tell = errands::start(&side, means);
    let (lanes, inboxes) = Lanes::<ToShard>::new(count, INBOX_DEPTH_MAX);
    let stock = stock_of(&log_dir, count).map_err(system("reading the log's folder"))?;
    let common = Arc::new(Common {
        vitals: Arc::new(Vitals::new(count, config.health.heartbeat_seconds_max)),
        limit: ConnectionLimit::new(config.limits.connections_max),
        exchange: Exchange::new(count, &stock),
        numbers: stock.numbers,
        old_segments: stock.old_segments,
        doorman: Doorman {
            auth,
            penalties: Arc::new(Penalties::new(random_key()?)),
            addresses: AddressLimit::default(),
            side: side.clone(),
        },
        run: random().map_err(system("asking for random bytes"))?,
        hostname,
        log_dir,
        lanes,
        extensions: shard::built_in(tell).into_iter().chain(extensions).collect(),
        given: Given::default(),
        config: Arc::new(config),
    });
    let (stop, owns) = give_out(inboxes, &mut bound.shares);
    let shared = common.clone();
    let shards = skein_runtime::start(shards_config, &side, move |context| {
        let own = owns[usize::from(context.id.0)].lock().unwrap_or_else(PoisonError::into_inner).take();
        shard::main(context, shared.clone(), own.expect("each shard starts once"))
    })?;
    // After the shards are counted: each metric has a cell for each of them.
    observe::register(&common);
    let admin: Vec<_> = more.pages.into_iter().map(|socket| start_page(&side, socket, &common)).collect();
    let reloader = Reloader::new(common.clone(), certificates);
    let hands = skein_admin::adm::start(&side, more.adm, desk(&common, &reloader));
    if shards.wait_ready() {
        common.vitals.enter(Phase::Serving);
        let http = admin.iter().map(|a| ("http", Place::Ip(a.addr())));
        let listeners = bound.places.into_iter().chain(http).collect();
        supervisor::keep(&bound.offered, &unwanted);
        takeover::offer(more.takeover, bound.offered, common.given.clone(), terminate)
            .map_err(system("starting a thread"))?;
        if let Some((pid, since)) = taken {
            let waited_ms = since.elapsed().as_millis() as u64;
            tracing::info!(pid, waited_ms, "took over; clients that came meanwhile are served now");
        }
        supervisor::notify(&[sd_notify::NotifyState::Ready]);
        ready(&Started { listeners, shards: count, certificate });
        wait_for_end(&signals, &reloader);
        common.vitals.enter(Phase::Stopping);
        supervisor::notify(&[sd_notify::NotifyState::Stopping]);
    }
    drop(stop);
    let ended = shards.join();
    if common.given.is_given() {
        // Who took over waits for the end of this process, which is what lets go of the folder.
        std::mem::forget(lock);
        return outcome(ended);
    }
    side.handle().block_on(hands.stop());
    for page in admin {
        side.handle().block_on(page.stop());
    }
    side.stop();
    drop(lock);
    outcome(ended)
}

/// Once the folder is ours: what a running server could not do without.
fn own_data(lock: DataLock, config: &Config) -> Result<DataLock, ServerError> {
    let failed = |error| ServerError::System { what: "making the data folder", error };
    make_folders(&config.data_dir).map_err(failed)?;
    Ok(lock)
}

/// Sockets that are not the shards'.
struct MoreSockets {
    adm: AdmSocket,
    pages: Vec<PageSocket>,
    takeover: UnixListener,
}

impl MoreSockets {
    fn bind(
        config: &Config,
        inherited: &mut Inherited,
        offered: &mut Vec<Sockets>,
    ) -> Result<MoreSockets, ServerError> {
        let mut offer = |service, place: Place, descriptor: std::io::Result<OwnedFd>| {
            let descriptor = descriptor.map_err(|error| BindError::new(place.clone(), error))?;
            offered.push(Sockets::new(service, &place, vec![descriptor]));
            Ok::<_, BindError>(())
        };
        let path = adm_socket(config);
        let place = Place::Unix(path.as_path().into());
        let adm = match inherited.one(&place) {
            Some(socket) => AdmSocket::inherited(socket, &path).map_err(|e| BindError::new(place.clone(), e))?,
            None => patiently(|| AdmSocket::bind(&path))?,
        };
        offer("adm", place, adm.descriptor())?;
        let mut pages = Vec::new();
        for addr in &config.listeners.http {
            let page = match inherited.one(&Place::Ip(*addr)) {
                Some(socket) => PageSocket::inherited(socket).map_err(|error| BindError::new(*addr, error))?,
                None => patiently(|| PageSocket::bind(*addr))?,
            };
            offer("http", Place::Ip(page.addr()), page.descriptor())?;
            pages.push(page);
        }
        let path = takeover::socket_path(&config.data_dir);
        let place = Place::Unix(path.as_path().into());
        let takeover = match inherited.one(&place) {
            Some(socket) => UnixListener::from(socket),
            None => patiently(|| listen_unix(&path, UnixAccess { mode: 0o600, owner: None, group: None }))?,
        };
        offer("takeover", place, takeover.try_clone().map(OwnedFd::from))?;
        Ok(MoreSockets { adm, pages, takeover })
    }
}

/// The signal goes the way of every other stop.
fn terminate() {
    if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM) {
        tracing::error!(%error, "the signal to stop can not be sent");
    }
}

/// Where `skein adm` finds the server of these settings.
pub fn adm_socket(config: &Config) -> PathBuf {
    config.adm.socket.clone().unwrap_or_else(|| config.data_dir.join("adm.sock"))
}

/// What `skein adm` works with.
fn desk(common: &Arc<Common>, reloader: &Reloader) -> Desk {
    let reloader = reloader.clone();
    let reload = move || {
        let Reloaded { changed, at_restart, notices } = reloader.reload().map_err(|error| error.to_string())?;
        let named = |what: &'static str| move |name: String| (what.to_owned(), name);
        let changed = changed.into_iter().map(str::to_owned).map(named("changed"));
        let at_restart = at_restart.into_iter().map(str::to_owned).map(named("at the next start"));
        Ok(changed.chain(at_restart).chain(notices.into_iter().map(named("notice"))).collect())
    };
    Desk::new(
        common.lanes.clone(),
        common.doorman.auth.clone(),
        Box::new(terminate),
        Box::new(reload),
        Box::new(recent::entries),
    )
}

/// The last step as whoever started us, while this is the only thread. What is left that may start programs is the runner.
fn give_up(config: &Config, becoming: Option<Becoming>, alone: bool) -> Result<errands::Means, ServerError> {
    if let Some(becoming) = &becoming {
        match alone {
            true => becoming.give(&config.data_dir)?,
            // It would be taken from the server that runs.
            false if !becoming.owns_data(&config.data_dir)? => {
                return Err(TakeoverError::Owner { folder: config.data_dir.clone() }.into());
            }
            false => {}
        }
        becoming.become_user()?;
    } else if rustix::process::geteuid().is_root() && !config.demo {
        tracing::warn!("running as root: set safety.user");
    }
    let means = errands::prepare(config)?;
    let confined = confine::finish(config)?;
    let uid = rustix::process::getuid().as_raw();
    tracing::info!(
        uid,
        landlock = confined.landlock,
        seccomp = confined.seccomp,
        core_dumps = config.safety.core_dumps,
        "confined"
    );
    Ok(means)
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

fn wait_for_end(signals: &Signals, reloader: &Reloader) {
    loop {
        match signals.wait() {
            Some(Signal::Reload) => reloader.reload_and_log(),
            Some(signal) => return tracing::info!(?signal, "stopping"),
            None => return,
        }
    }
}

fn make_folders(data: &Path) -> std::io::Result<()> {
    // Second names that a backup of an earlier run left.
    match std::fs::remove_dir_all(data.join(skein_store::PINNED)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
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

type Owns = Vec<Mutex<Option<Own>>>;

/// Each shard's own things, and the senders whose end tells the shards to stop.
fn give_out(inboxes: Vec<Inbox<ToShard>>, shares: &mut Vec<Vec<Share>>) -> (Vec<flume::Sender<()>>, Owns) {
    inboxes
        .into_iter()
        .zip(shares.drain(..))
        .map(|(inbox, shares)| {
            let (sender, stop) = flume::bounded(1);
            (sender, Mutex::new(Some(Own { inbox, shares, stop })))
        })
        .unzip()
}

fn start_page(side: &Side, socket: PageSocket, common: &Arc<Common>) -> Admin {
    skein_admin::start(side, socket, Arc::new(ServerHealth(common.clone())))
}

pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if got == N { Ok(bytes) } else { Err(std::io::Error::other("too few random bytes")) }
}
