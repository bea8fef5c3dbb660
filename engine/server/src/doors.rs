//! Listeners: from the settings to sockets, a share for each shard.

use crate::error::ServerError;
use crate::takeover::{Inherited, Sockets};
use nix::unistd::{Group, User};
use skein_config::{CertificateFiles, Config, Listener, TlsMode, TrustedProxies, UnixPlace, VersionMin};
use skein_transport::{
    BindError, BoundSocket, Door, DoorTls, FreshTls, Place, Tls, TlsFiles, TlsLoadError, TlsSettings, TlsVersion,
    UnixAccess, bind, bind_unix, give_access,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often, and how long apart, a taken port is tried: two seconds, far above what the kernel was seen to need.
const BIND_ATTEMPTS: u32 = 21;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// What a socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    Imap,
    Pop3,
    Lmtp,
}

/// One shard's share of a listener.
pub(crate) struct Share {
    pub service: Service,
    pub door: Arc<Door>,
    /// Whose PROXY headers are believed; `None`: clients connect themselves.
    pub proxies: Option<Arc<TrustedProxies>>,
    pub backlog: i32,
    pub socket: BoundSocket,
}

/// Every certificate in use: the server's, and those of listeners with one of their own.
pub(crate) struct Certificates {
    main: Arc<Tls>,
    own: Vec<(CertificateFiles, Arc<Tls>)>,
}

impl Certificates {
    /// Reads the server's own, and the listeners'.
    pub fn load(config: &Config, hostname: &str) -> Result<Certificates, TlsLoadError> {
        let main = Arc::new(Tls::load(&tls_settings(config, hostname)?)?);
        let mut own: Vec<(CertificateFiles, Arc<Tls>)> = Vec::new();
        for files in services(config).into_iter().flat_map(|(_, _, list)| list.iter().filter_map(own_files)) {
            if !own.iter().any(|(known, _)| known == files) {
                let tls = Tls::load(&own_settings(files, config))?;
                own.push((files.clone(), Arc::new(tls)));
            }
        }
        Ok(Certificates { main, own })
    }

    /// The one a listener uses.
    fn of(&self, listener: &Listener) -> Arc<Tls> {
        let own = own_files(listener).and_then(|files| self.own.iter().find(|(known, _)| known == files));
        own.map_or(&self.main, |(_, tls)| tls).clone()
    }

    /// Reads all of them again, as `config` says now; nothing is in force yet.
    pub fn prepare(&self, config: &Config, hostname: &str) -> Result<Vec<FreshTls>, TlsLoadError> {
        let main = self.main.prepare(&tls_settings(config, hostname)?);
        let own = self.own.iter().map(|(files, tls)| tls.prepare(&own_settings(files, config)));
        std::iter::once(main).chain(own).collect()
    }

    /// Puts what was prepared in force.
    pub fn install(&self, fresh: Vec<FreshTls>) {
        let all = std::iter::once(&self.main).chain(self.own.iter().map(|(_, tls)| tls));
        all.zip(fresh).for_each(|(tls, fresh)| tls.install(fresh));
    }
}

/// The server's own certificate: the configured one, or the one it makes for itself.
pub(crate) fn main_files(config: &Config, hostname: &str) -> Result<TlsFiles, TlsLoadError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(certificate), Some(key)) => Ok(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
        _ => {
            let names = [hostname.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
            TlsFiles::self_signed(&config.data_dir.join("tls"), &names)
        }
    }
}

fn tls_settings(config: &Config, hostname: &str) -> Result<TlsSettings, TlsLoadError> {
    let more = config.tls.certificates.iter().map(tls_files).collect();
    let client_ca = config.tls.client_ca.clone();
    Ok(TlsSettings { default: main_files(config, hostname)?, more, version_min: version_min(config), client_ca })
}

fn own_settings(files: &CertificateFiles, config: &Config) -> TlsSettings {
    let client_ca = config.tls.client_ca.clone();
    TlsSettings { default: tls_files(files), more: Vec::new(), version_min: version_min(config), client_ca }
}

fn tls_files(files: &CertificateFiles) -> TlsFiles {
    TlsFiles { certificate: files.certificate.clone(), key: files.key.clone() }
}

fn version_min(config: &Config) -> TlsVersion {
    match config.tls.version_min {
        VersionMin::Tls12 => TlsVersion::Tls12,
        VersionMin::Tls13 => TlsVersion::Tls13,
    }
}

fn own_files(listener: &Listener) -> Option<&CertificateFiles> {
    listener.certificate.as_ref().filter(|_| listener.tls != TlsMode::None)
}

fn services(config: &Config) -> [(&'static str, Service, &[Listener]); 5] {
    let listeners = &config.listeners;
    [
        ("imap", Service::Imap, &listeners.imap),
        ("imaps", Service::Imap, &listeners.imaps),
        ("pop3", Service::Pop3, &listeners.pop3),
        ("pop3s", Service::Pop3, &listeners.pop3s),
        ("lmtp", Service::Lmtp, &listeners.lmtp),
    ]
}

/// All that is listened on.
pub(crate) struct Bound {
    /// Each shard's.
    pub shares: Vec<Vec<Share>>,
    /// In the order of the settings.
    pub places: Vec<(&'static str, Place)>,
    /// The same sockets, for a process that takes over.
    pub offered: Vec<Sockets>,
}

/// Binds everything before anything starts: a taken port is said at once. What is inherited is not bound again.
pub(crate) fn bind_all(
    config: &Config,
    certificates: &Certificates,
    shards: usize,
    inherited: &mut Inherited,
) -> Result<Bound, ServerError> {
    let (places, offered) = (Vec::new(), Vec::new());
    let mut bound = Bound { shares: (0..shards).map(|_| Vec::new()).collect(), places, offered };
    for (name, service, listeners) in services(config) {
        for listener in listeners {
            let sockets = sockets(listener, shards, inherited)?;
            let Some(place) = sockets.first().map(|socket| socket.place().clone()) else { continue };
            let failed = |error| BindError::new(place.clone(), error);
            let descriptors = sockets.iter().map(BoundSocket::descriptor).collect::<io::Result<_>>();
            bound.offered.push(Sockets::new(name, &place, descriptors.map_err(failed)?));
            let door = Arc::new(door(name, listener, certificates));
            let proxies = listener.proxy.clone().map(Arc::new);
            for (shard, socket) in for_each_shard(sockets, shards).map_err(failed)? {
                let (door, proxies, backlog) = (door.clone(), proxies.clone(), listener.backlog as i32);
                bound.shares[shard].push(Share { service, door, proxies, backlog, socket });
            }
            bound.places.push((name, place));
        }
    }
    Ok(bound)
}

/// A listener's sockets: one for each shard, or a single one that they share, or as many as another process had.
fn sockets(listener: &Listener, shards: usize, inherited: &mut Inherited) -> Result<Vec<BoundSocket>, BindError> {
    let failed = |error| BindError::new(place(&listener.place), error);
    let theirs = inherited.at(&listener.place).map_err(failed)?;
    if theirs.is_empty() {
        return patiently(|| bind_one(listener, shards));
    }
    if let skein_config::Place::Unix(unix) = &listener.place {
        access(unix).and_then(|access| give_access(&unix.path, access)).map_err(failed)?;
    }
    Ok(theirs)
}

/// Gives every socket to a shard, and every shard a socket: clients wait in the queue of each.
fn for_each_shard(sockets: Vec<BoundSocket>, shards: usize) -> io::Result<Vec<(usize, BoundSocket)>> {
    let count = sockets.len();
    let more = (count..shards).map(|shard| sockets[shard % count].share()).collect::<io::Result<Vec<_>>>()?;
    let all = sockets.into_iter().chain(more).enumerate();
    Ok(all.map(|(i, socket)| (i % shards, socket)).collect())
}

fn place(configured: &skein_config::Place) -> Place {
    match configured {
        skein_config::Place::Tcp(address) => Place::Ip(*address),
        skein_config::Place::Unix(unix) => Place::Unix((*unix.path).into()),
    }
}

fn door(service: &'static str, listener: &Listener, certificates: &Certificates) -> Door {
    let tls = match listener.tls {
        TlsMode::None => DoorTls::None,
        TlsMode::StartTls => DoorTls::Offered(certificates.of(listener)),
        TlsMode::Implicit => DoorTls::Implicit(certificates.of(listener)),
    };
    Door { service, tls }
}

fn bind_one(listener: &Listener, shards: usize) -> Result<Vec<BoundSocket>, BindError> {
    match &listener.place {
        skein_config::Place::Tcp(address) => bind(*address, shards),
        skein_config::Place::Unix(unix) => {
            let access = access(unix).map_err(|error| BindError::new(place(&listener.place), error))?;
            // One socket, which the shards share.
            bind_unix(&unix.path, access).map(|socket| vec![socket])
        }
    }
}

fn access(unix: &UnixPlace) -> io::Result<UnixAccess> {
    let unknown = |what: &str, name: &str| io::Error::other(format!("this machine has no {what} {name}"));
    let owner = unix.owner.as_deref().map(|name| {
        let user = User::from_name(name)?;
        user.map(|user| user.uid.as_raw()).ok_or_else(|| unknown("user", name))
    });
    let group = unix.group.as_deref().map(|name| {
        let group = Group::from_name(name)?;
        group.map(|group| group.gid.as_raw()).ok_or_else(|| unknown("group", name))
    });
    Ok(UnixAccess { mode: unix.mode, owner: owner.transpose()?, group: group.transpose()? })
}

/// Binds, and tries again for a moment when the place is taken: the sockets of a server that was killed just now live on
/// until the kernel has taken its rings apart.
pub(crate) fn patiently<T>(bind: impl Fn() -> Result<T, BindError>) -> Result<T, BindError> {
    for _ in 1..BIND_ATTEMPTS {
        match bind() {
            Err(BindError::Taken { .. }) => pause(BIND_PAUSE),
            done => return done,
        }
    }
    bind()
}

#[expect(
    clippy::disallowed_methods,
    reason = "never on a shard: the main thread before any runs, and the one of takeovers"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
