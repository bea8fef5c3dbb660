//! Live upgrade: a running server gives its sockets, and then its data folder, to the process that takes its place.
//!
//! ```text
//!  taker                                giver
//!  settings, certificates, users
//!  hello ──────────────────────────▶    same user?
//!        ◀──────────────────────────    sockets, by service and place
//!  binds what is new, gives up root
//!  take  ──────────────────────────▶    accepts nobody any more: clients wait in the queues, which both have
//!                                       sessions end, the log is closed
//!        ◀──────────────────────────    the end of the process
//!  locks the data folder, reads the
//!  log, accepts
//! ```
//!
//! Until `take` the giver serves as if nobody had asked, and whatever goes wrong there is the taker's end alone. The folder
//! changes hands when the giver's process is gone: the kernel then has closed all that it had open and no thread of it can
//! write, so there is never a second writer. How to use it: engine/docs/upgrade.md.

use crate::doors::pause;
use rustix::net::sockopt::socket_peercred;
use serde::{Deserialize, Serialize};
use skein_config::Place as Wanted;
use skein_runtime::{DataLock, DataLockError, Signal, Signals};
use skein_transport::handover::{DESCRIPTORS_MAX, receive, send};
use skein_transport::{BoundSocket, Place};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Of the messages; a taker and a giver that do not speak the same one say so, and the giver serves on.
const PROTOCOL: u32 = 1;
/// What a giver gives with its hello.
const TAKE: &[u8] = b"take";
/// For a message that the other side has no reason to wait with.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(10);
/// From the sockets to `take`: the taker binds, and gives up what it does not need.
const TAKE_PATIENCE: Duration = Duration::from_secs(60);
/// How often a taker that waits for the giver's end looks for signals.
const LOOK: Duration = Duration::from_millis(200);
/// How often it says that it still waits.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// The lock of a process that has ended is free at once; but another may have begun to take the folder too.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Sockets of one server: listeners times shards.
const SOCKETS_MAX: usize = 16 * 1024;

/// Where a server of this data folder can be asked.
pub(crate) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("takeover.sock")
}

#[derive(Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    version: String,
    pid: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    protocol: u32,
    version: String,
    pid: u32,
    /// In the order in which their descriptors follow.
    sockets: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    service: String,
    /// An address and port, or an absolute path.
    place: String,
    count: usize,
}

/// A service's sockets at one place.
pub(crate) struct Sockets {
    service: String,
    place: String,
    descriptors: Vec<OwnedFd>,
    /// What a supervisor keeps them under.
    name: Option<String>,
}

impl Sockets {
    pub fn new(service: &str, place: &Place, descriptors: Vec<OwnedFd>) -> Sockets {
        Sockets { service: service.to_owned(), place: written(place), descriptors, name: None }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }
}

/// A place as both processes write it, whichever folder they were started in.
fn written(place: &Place) -> String {
    match place {
        Place::Ip(addr) => addr.to_string(),
        Place::Unix(path) => absolute(path),
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// Listening sockets of a process before; none when there are none.
#[derive(Default)]
pub(crate) struct Inherited(Vec<Sockets>);

impl Inherited {
    /// The sockets at a place of the settings.
    pub fn at(&mut self, wanted: &Wanted) -> io::Result<Vec<BoundSocket>> {
        let place = match wanted {
            Wanted::Tcp(addr) => Place::Ip(*addr),
            Wanted::Unix(unix) => Place::Unix((*unix.path).into()),
        };
        let found = self.take(&place);
        found.into_iter().map(|socket| BoundSocket::inherited(socket, place.clone())).collect()
    }

    /// The one socket at a place.
    pub fn one(&mut self, place: &Place) -> Option<OwnedFd> {
        self.take(place).pop()
    }

    /// One more, kept by a supervisor under `name`.
    pub fn add(&mut self, place: &Place, descriptor: OwnedFd, name: Option<String>) {
        let place = written(place);
        match self.0.iter_mut().find(|sockets| sockets.place == place) {
            Some(sockets) => sockets.descriptors.push(descriptor),
            None => self.0.push(Sockets { service: String::new(), place, descriptors: vec![descriptor], name }),
        }
    }

    /// Under which names a supervisor keeps what nobody has asked for.
    pub fn unwanted(&self) -> Vec<String> {
        self.0.iter().filter_map(|sockets| sockets.name.clone()).collect()
    }

    fn take(&mut self, place: &Place) -> Vec<OwnedFd> {
        // Nobody finds a Unix socket whose file is gone.
        let there = match place {
            Place::Ip(_) => true,
            Place::Unix(path) => path.exists(),
        };
        let place = written(place);
        match self.0.iter().position(|sockets| sockets.place == place) {
            Some(found) if there => self.0.swap_remove(found).descriptors,
            _ => Vec::new(),
        }
    }
}

/// Whether this process gives its place to another. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Given(Arc<AtomicBool>);

impl Given {
    pub fn is_given(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Starts the thread that gives `sockets` to who asks, and calls `stop` when one takes them. It lasts as long as the process.
///
/// # Errors
/// No thread.
pub(crate) fn offer(
    listener: UnixListener,
    sockets: Vec<Sockets>,
    given: Given,
    stop: impl Fn() + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(false)?;
    let serve = move || {
        loop {
            let taken = match listener.accept() {
                Ok((stream, _)) => answer(&stream, &sockets).map(|taker| taker.map(|taker| (stream, taker))),
                Err(error) => {
                    pause(LOOK);
                    Err(error)
                }
            };
            match taken {
                Ok(Some((stream, pid))) => {
                    tracing::info!(pid, "another process takes over");
                    given.0.store(true, Relaxed);
                    stop();
                    // It is to be closed by the end of the process, and nothing before: that is what the taker waits for.
                    std::mem::forget(stream);
                    return;
                }
                Ok(None) => tracing::warn!("a takeover was broken off; serving on"),
                Err(error) => tracing::warn!(%error, "a takeover failed; serving on"),
            }
        }
    };
    std::thread::Builder::new().name("takeover".into()).spawn(serve).map(drop)
}

/// The process that took over; `None` when it left before.
fn answer(stream: &UnixStream, sockets: &[Sockets]) -> io::Result<Option<u32>> {
    let peer = socket_peercred(stream)?;
    if !peer.uid.is_root() && peer.uid != rustix::process::geteuid() {
        return Err(io::Error::other(format!("user {} is neither root nor the server's", peer.uid.as_raw())));
    }
    stream.set_read_timeout(Some(MESSAGE_PATIENCE))?;
    stream.set_write_timeout(Some(MESSAGE_PATIENCE))?;
    let Some((hello, _)) = receive(stream)? else { return Ok(None) };
    let hello: Hello = serde_json::from_slice(&hello)?;
    let listed =
        |s: &Sockets| Listed { service: s.service.clone(), place: s.place.clone(), count: s.descriptors.len() };
    let sockets_listed = if hello.protocol == PROTOCOL { sockets.iter().map(listed).collect() } else { Vec::new() };
    let answer = Answer { protocol: PROTOCOL, version: version(), pid: std::process::id(), sockets: sockets_listed };
    send(stream, &serde_json::to_vec(&answer)?, &[])?;
    if hello.protocol != PROTOCOL {
        return Err(io::Error::other(format!("{} speaks protocol {}, not {PROTOCOL}", hello.version, hello.protocol)));
    }
    let all: Vec<_> = sockets.iter().flat_map(|sockets| &sockets.descriptors).map(AsFd::as_fd).collect();
    for some in all.chunks(DESCRIPTORS_MAX) {
        send(stream, b"", some)?;
    }
    stream.set_read_timeout(Some(TAKE_PATIENCE))?;
    match receive(stream)? {
        Some((word, _)) if word == TAKE => Ok(Some(hello.pid)),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
        None => Ok(None),
    }
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// A server that has shown its sockets.
pub(crate) struct Giver {
    stream: UnixStream,
    pid: u32,
}

impl Giver {
    /// Asks the server of this data folder; `None` when there is none.
    ///
    /// # Errors
    /// There is one, but it does not give.
    pub fn find(data_dir: &Path) -> Result<Option<(Giver, Inherited)>, TakeoverError> {
        let path = socket_path(data_dir);
        let failed = |source| TakeoverError::NotGiven { path: path.clone(), source };
        let stream = match connect(&path) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let (answer, sockets) = ask(&stream).map_err(failed)?;
        if answer.protocol != PROTOCOL {
            return Err(TakeoverError::Protocol { theirs: answer.protocol, version: answer.version });
        }
        tracing::info!(pid = answer.pid, version = answer.version, "a running server gives its sockets");
        Ok(Some((Giver { stream, pid: answer.pid }, Inherited(sockets))))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Takes over: when this is done, its process is gone and the data folder ours.
    ///
    /// # Errors
    /// It did not answer, a signal asked us to end, or the folder went to somebody else. The giver ends all the same.
    pub fn take(self, data_dir: &Path, signals: &Signals) -> Result<DataLock, TakeoverError> {
        let failed = |source| TakeoverError::NotGiven { path: socket_path(data_dir), source };
        send(&self.stream, TAKE, &[]).map_err(failed)?;
        self.stream.set_read_timeout(Some(LOOK)).map_err(failed)?;
        let (began, mut said) = (Instant::now(), Duration::ZERO);
        while !self.is_gone() {
            if let Some(Signal::Terminate | Signal::Interrupt) = signals.take_one() {
                return Err(TakeoverError::Interrupted);
            }
            if began.elapsed() >= said + SAY_EVERY {
                said = began.elapsed();
                tracing::warn!(pid = self.pid, seconds = said.as_secs(), "still waiting for the running server to end");
            }
        }
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match DataLock::take(data_dir) {
                Err(DataLockError::InUse { .. }) if Instant::now() < until => pause(LOOK),
                taken => return taken.map_err(TakeoverError::Data),
            }
        }
    }

    fn is_gone(&self) -> bool {
        match receive(&self.stream) {
            Ok(Some(_)) => false,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => false,
            // The end, or a reset: it did not read all that we sent.
            Ok(None) | Err(_) => true,
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn ask(stream: &UnixStream) -> io::Result<(Answer, Vec<Sockets>)> {
    stream.set_read_timeout(Some(MESSAGE_PATIENCE))?;
    stream.set_write_timeout(Some(MESSAGE_PATIENCE))?;
    let hello = Hello { protocol: PROTOCOL, version: version(), pid: std::process::id() };
    send(stream, &serde_json::to_vec(&hello)?, &[])?;
    let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (answer, _) = receive(stream)?.ok_or_else(eof)?;
    let answer: Answer = serde_json::from_slice(&answer)?;
    let count = answer.sockets.iter().fold(0_usize, |sum, listed| sum.saturating_add(listed.count));
    if count > SOCKETS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut descriptors = Vec::new();
    while descriptors.len() < count {
        match receive(stream)?.ok_or_else(eof)? {
            (_, some) if some.is_empty() => return Err(io::ErrorKind::InvalidData.into()),
            (_, some) => descriptors.extend(some),
        }
    }
    let mut rest = descriptors.into_iter();
    let sockets = answer.sockets.iter().map(|listed| Sockets {
        service: listed.service.clone(),
        place: listed.place.clone(),
        descriptors: rest.by_ref().take(listed.count).collect(),
        name: None,
    });
    let sockets = sockets.collect();
    Ok((answer, sockets))
}

/// Why the place of a running server can not be taken.
#[derive(Debug)]
pub enum TakeoverError {
    /// It is there and does not give.
    NotGiven {
        /// Its socket.
        path: PathBuf,
        /// What was seen.
        source: io::Error,
    },
    /// It speaks another protocol of takeover.
    Protocol {
        /// Its number.
        theirs: u32,
        /// Its version.
        version: String,
    },
    /// Its data belong to another user.
    Owner {
        /// The folder.
        folder: PathBuf,
    },
    /// A signal asked us to end while it ended.
    Interrupted,
    /// It is gone, and its folder can not be had.
    Data(DataLockError),
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TakeoverError::NotGiven { path, source } => write!(
                f,
                "the running server does not give its place at {}: {source}. Its log says more; stop it and start this one without --takeover",
                path.display()
            ),
            TakeoverError::Protocol { theirs, version } => write!(
                f,
                "the running server (version {version}) speaks takeover {theirs} and this one {PROTOCOL}: stop it and start this one without --takeover"
            ),
            TakeoverError::Owner { folder } => write!(
                f,
                "{} belongs to another user than safety.user names: a change of user needs a stop and a start",
                folder.display()
            ),
            TakeoverError::Interrupted => f.write_str("told to end while the other server ended: none runs now"),
            TakeoverError::Data(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TakeoverError {}
