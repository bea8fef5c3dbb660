//! Coming up, running, and going down, on the main thread.

use crate::confine::{self, Becoming};
use crate::doors::{Certificates, Share, bind_all, main_files, patiently};
use crate::error::ServerError;
use crate::health::{Phase, ServerHealth, Vitals};
use crate::reload::{Reloaded, Reloader};
use crate::replay::{Exchange, segments_of};
use crate::shard::{self, Common, Own};
use crate::{logging, observe, recent, users};
use skein_admin::AdminConfig;
use skein_admin::adm::{AdmSocket, Desk};
use skein_auth::Penalties;
use skein_base::ShardId;
use skein_config::Config;
use skein_runtime::{
    DataLock, Inbox, Lanes, Privileges, ShardsConfig, Side, Signal, Signals, check_cores, check_io_uring,
    raise_memlock, raise_nofile,
};
use skein_serve::{Doorman, ToShard};
use skein_transport::{AddressLimit, ConnectionLimit, Place};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Runs a server until a signal ends it. `ready` is called once everything serves.
///
/// # Errors
/// Why it did not start, or which shard did not end well.
pub fn run(config: Config, ready: impl FnOnce(&Started)) -> Result<(), ServerError> {
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
    let lock = DataLock::take(&config.data_dir)?;
    let log_dir = config.data_dir.join("log");
    make_folders(&config.data_dir).map_err(system("making the data folder"))?;

    let hostname = hostname(&config);
    let certificates = Certificates::load(&config, &hostname)?;
    let certificate = main_files(&config, &hostname)?.certificate;
    let random_key = || random().map_err(system("asking for random bytes"));
    let auth = users::load(&config.auth, &config.data_dir, random_key()?)?;
    let count = shards_config.shard_count();
    let (mut shares, listeners) = bind_all(&config, &certificates, count)?;
    let adm = patiently(|| AdmSocket::bind(&adm_socket(&config)))?;
    give_up(&config, becoming)?;
    let signals = Signals::take().map_err(system("waiting for signals"))?;
    let side = Side::start().map_err(system("starting the side runtime"))?;
    let (lanes, inboxes) = Lanes::<ToShard>::new(count, INBOX_DEPTH_MAX);
    let (numbers, old_segments) = segments_of(&log_dir, count).map_err(system("reading the log's folder"))?;
    let common = Arc::new(Common {
        vitals: Arc::new(Vitals::new(count, config.health.heartbeat_seconds_max)),
        limit: ConnectionLimit::new(config.limits.connections_max),
        numbers,
        old_segments,
        exchange: Exchange::new(count),
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
        config: Arc::new(config),
    });
    let (stop, owns) = give_out(inboxes, &mut shares);
    let shared = common.clone();
    let shards = skein_runtime::start(shards_config, &side, move |context| {
        let own = owns[usize::from(context.id.0)].lock().unwrap_or_else(PoisonError::into_inner).take();
        shard::main(context, shared.clone(), own.expect("each shard starts once"))
    })?;
    // After the shards are counted: each metric has a cell for each of them.
    observe::register(&common);
    let admin = start_admin(&side, &common)?;
    let reloader = Reloader::new(common.clone(), certificates);
    let hands = skein_admin::adm::start(&side, adm, desk(&common, &reloader));
    if shards.wait_ready() {
        common.vitals.enter(Phase::Serving);
        let http = admin.iter().map(|a| ("http", Place::Ip(a.addr())));
        let listeners = listeners.into_iter().chain(http).collect();
        notify(sd_notify::NotifyState::Ready);
        ready(&Started { listeners, shards: count, certificate });
        wait_for_end(&signals, &reloader);
        common.vitals.enter(Phase::Stopping);
        notify(sd_notify::NotifyState::Stopping);
    }
    drop(stop);
    let ended = shards.join();
    side.handle().block_on(hands.stop());
    for page in admin {
        side.handle().block_on(page.stop());
    }
    side.stop();
    drop(lock);
    outcome(ended)
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
    // The signal goes the way of every other stop.
    let stop = || {
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM) {
            tracing::error!(%error, "skein adm stop: the signal can not be sent");
        }
    };
    Desk::new(
        common.lanes.clone(),
        common.doorman.auth.clone(),
        Box::new(stop),
        Box::new(reload),
        Box::new(recent::entries),
    )
}

/// The last step as whoever started us, while this is the only thread.
fn give_up(config: &Config, becoming: Option<Becoming>) -> Result<(), ServerError> {
    if let Some(becoming) = &becoming {
        becoming.give(&config.data_dir)?;
        becoming.become_user()?;
    } else if rustix::process::geteuid().is_root() && !config.demo {
        tracing::warn!("running as root: set safety.user");
    }
    let confined = confine::finish(config)?;
    let uid = rustix::process::getuid().as_raw();
    tracing::info!(
        uid,
        landlock = confined.landlock,
        seccomp = confined.seccomp,
        core_dumps = config.safety.core_dumps,
        "confined"
    );
    Ok(())
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

/// Tells a supervisor that asked for it (`Type=notify` of systemd).
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the supervisor can not be told");
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

fn start_admin(side: &Side, common: &Arc<Common>) -> Result<Vec<skein_admin::Admin>, ServerError> {
    let mut pages = Vec::new();
    for addr in &common.config.listeners.http {
        let health = Arc::new(ServerHealth(common.clone()));
        let page = || skein_admin::start(side, AdminConfig { addr: *addr, health: health.clone() });
        pages.push(patiently(page)?);
    }
    Ok(pages)
}

pub(crate) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if got == N { Ok(bytes) } else { Err(std::io::Error::other("too few random bytes")) }
}
