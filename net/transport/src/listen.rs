//! Binding and accepting.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_lite::future::or;
use glommio::io::PollableFd;
use glommio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use skein_runtime::metrics::Counter;
use skein_runtime::{session_yield, sleep};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::conn::Conn;
use crate::endpoint::{Door, Endpoint};
use crate::limit::ConnectionLimit;

/// Connections the kernel may hold before they are accepted, per shard, where the settings say nothing; it cuts this to
/// net.core.somaxconn.
pub const BACKLOG: i32 = 4096;
/// After descriptors or memory ran out: long enough not to spin, short enough not to be felt when they are back.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// One log line for so many pauses.
const EXHAUSTED_LOG_EVERY: u32 = 100;

static ACCEPTED: Counter = Counter::new("skein_connections_accepted", "Connections accepted.");
static REFUSED: Counter = Counter::new("skein_connections_refused", "Connections closed because there were too many.");
static EXHAUSTED: Counter =
    Counter::new("skein_accept_exhausted", "Accepts put off because descriptors or memory ran out.");

/// Shows what listeners count at zero from now on.
pub fn register_metrics() {
    [&ACCEPTED, &REFUSED, &EXHAUSTED].iter().for_each(|counter| counter.register());
}

/// Binds one socket per shard to `addr`; port 0 is one free port for all of them.
///
/// # Errors
/// Naming the address and the way out: above all a port that another program has.
pub fn bind(addr: SocketAddr, shards: usize) -> Result<Vec<BoundSocket>, BindError> {
    let failed = |error| BindError::new(Place::Ip(addr), error);
    // Sockets that share a port do not notice another process that shares it too; this one does.
    let probe = bind_one(addr, false).map_err(failed)?;
    let exact = probe.local_addr().map_err(failed)?.as_socket().unwrap_or(addr);
    drop(probe);
    let socket = || Ok(BoundSocket::new(bind_one(exact, true)?, Place::Ip(exact)));
    (0..shards).map(|_| socket()).collect::<io::Result<_>>().map_err(failed)
}

fn bind_one(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// How the kernel finds clients that are gone without a word: switched off, or where no network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// Silence before it asks for the first time, half of the other at most; `None`: it does not ask.
    pub ask_after: Option<Duration>,
    /// Longest time without an answer, to a question or to data.
    pub dead_after: Duration,
}

/// Questions to a silent client before it is given up: one that is lost ends nothing.
const QUESTIONS: u32 = 5;

impl Liveness {
    fn set(&self, socket: &Socket) -> io::Result<()> {
        // Counts for data on its way, and in place of the number of questions.
        socket.set_tcp_user_timeout(Some(self.dead_after))?;
        let Some(idle) = self.ask_after else { return socket.set_keepalive(false) };
        let idle = idle.min(self.dead_after / 2);
        let between = ((self.dead_after - idle) / QUESTIONS).max(Duration::from_secs(1));
        let questions = TcpKeepalive::new().with_time(idle).with_interval(between).with_retries(QUESTIONS);
        socket.set_tcp_keepalive(&questions)
    }
}

/// Where a socket is bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// An address and port.
    Ip(SocketAddr),
    /// The file of a Unix socket.
    Unix(Arc<Path>),
}

impl From<SocketAddr> for Place {
    fn from(addr: SocketAddr) -> Place {
        Place::Ip(addr)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Ip(addr) => addr.fmt(f),
            Place::Unix(path) => path.display().fmt(f),
        }
    }
}

/// One shard's share of a place; nothing can connect before [`BoundSocket::listen`].
pub struct BoundSocket {
    socket: Socket,
    place: Place,
}

impl BoundSocket {
    pub(crate) fn new(socket: Socket, place: Place) -> BoundSocket {
        BoundSocket { socket, place }
    }

    /// A socket of another process, which goes on with it or ends: clients that wait in its queue are kept.
    ///
    /// # Errors
    /// When it can not be made non-blocking.
    pub fn inherited(socket: OwnedFd, place: Place) -> io::Result<BoundSocket> {
        let socket = Socket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(BoundSocket { socket, place })
    }

    /// Another share of the same socket: clients go to whichever is free first.
    ///
    /// # Errors
    /// No descriptors.
    pub fn share(&self) -> io::Result<BoundSocket> {
        Ok(BoundSocket { socket: self.socket.try_clone()?, place: self.place.clone() })
    }

    /// A descriptor of the same socket, for another process.
    ///
    /// # Errors
    /// No descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.socket.try_clone()?.into())
    }

    /// Where it is bound; never port 0.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How clients are found that are gone, of those who connect from now on: the kernel gives each its listener's options. Without meaning for
    /// a Unix socket, where a process that ends is noticed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_liveness(&self, liveness: Liveness) -> io::Result<()> {
        match self.place {
            Place::Ip(_) => liveness.set(&self.socket),
            Place::Unix(_) => Ok(()),
        }
    }

    /// Lets clients connect; `backlog` of them may wait to be accepted. On the shard that will accept.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// Outside of a shard.
    pub fn listen(self, door: Arc<Door>, backlog: i32) -> io::Result<Listener> {
        // Of each connection too: the kernel gives it its listener's options. Set again, as another process may have bound it.
        if let Place::Ip(_) = self.place {
            self.socket.set_tcp_nodelay(true)?;
        }
        self.socket.listen(backlog)?;
        let (waker, woken) = flume::bounded(1);
        let stopper = Stopper(Arc::new(Stop { stopped: AtomicBool::new(false), waker }));
        let socket = PollableFd::new(self.socket)?;
        Ok(Listener { socket, place: self.place, door, stopper, woken })
    }
}

/// Accepts on one shard.
pub struct Listener {
    socket: PollableFd<Socket>,
    place: Place,
    door: Arc<Door>,
    stopper: Stopper,
    woken: flume::Receiver<()>,
}

impl Listener {
    /// Ends [`Listener::run`], from any thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Accepts and hands each connection to `serve` until the [`Stopper`] is used. Above the limit a client is sent
    /// `refusal` and closed. A client is either handed over or still in the queue of the socket, whenever this ends: another
    /// process that has the socket too serves those.
    pub async fn run(self, limit: ConnectionLimit, refusal: &[u8], mut serve: impl FnMut(Conn)) {
        let mut exhausted = 0;
        while !self.stopper.is_stopped() {
            match self.accept() {
                Ok((stream, peer)) => {
                    exhausted = 0;
                    self.admit(stream, peer, &limit, refusal, &mut serve);
                    session_yield().await;
                }
                Err(Errno::AGAIN) => self.wait().await,
                Err(error) if is_exhaustion(error) => {
                    if exhausted % EXHAUSTED_LOG_EVERY == 0 {
                        tracing::error!(place = %self.place, %error, "can not accept; raise LimitNOFILE or connections_max is too high");
                    }
                    exhausted += 1;
                    EXHAUSTED.add(1);
                    sleep(EXHAUSTED_PAUSE).await;
                }
                // A client that gave up before it was accepted; but never spin on what we do not know.
                Err(error) => {
                    tracing::debug!(place = %self.place, %error, "a connection was lost while it was accepted");
                    session_yield().await;
                }
            }
        }
    }

    /// Until a client waits or the stopper is used. Only looks: ended halfway, it takes no client along, as an accept would.
    async fn wait(&self) {
        let readable = async {
            if let Err(error) = self.socket.readable().await {
                tracing::debug!(place = %self.place, %error, "a listener can not be waited for");
                sleep(EXHAUSTED_PAUSE).await;
            }
        };
        let stopped = async {
            // An error is a stopper that is gone, and this has one.
            _ = self.woken.recv_async().await;
        };
        or(stopped, readable).await;
    }

    /// A connection and who made it.
    fn accept(&self) -> Result<(TcpStream, Option<SocketAddr>), Errno> {
        let (accepted, peer) = acceptfrom_with(self.socket.get_ref(), SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        #[expect(unsafe_code, reason = "the only way to give glommio a socket that it did not accept")]
        // SAFETY: `into_raw_fd` gave up an open, connected socket that nobody else owns.
        Ok((unsafe { TcpStream::from_raw_fd(accepted.into_raw_fd()) }, peer))
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: Option<SocketAddr>,
        limit: &ConnectionLimit,
        refusal: &[u8],
        serve: &mut impl FnMut(Conn),
    ) {
        let Some(slot) = limit.try_take() else {
            REFUSED.add(1);
            refuse(&stream, refusal);
            return;
        };
        ACCEPTED.add(1);
        // An error here is a client that is already gone.
        if let Ok((peer, local)) = self.ends(&stream, peer) {
            serve(Conn::accepted(stream, self.door.clone(), peer, local, slot));
        }
    }

    /// The client's end and ours; the kernel is asked only for what is not known.
    fn ends(&self, stream: &TcpStream, peer: Option<SocketAddr>) -> io::Result<(Endpoint, Endpoint)> {
        let bound = match self.place {
            Place::Unix(_) => return Ok((Endpoint::Unix, Endpoint::Unix)),
            Place::Ip(bound) => bound,
        };
        let peer = peer.map_or_else(|| stream.peer_addr(), Ok)?;
        // Bound to all addresses, it does not know by which one a client came.
        let local = if bound.ip().is_unspecified() { stream.local_addr()? } else { bound };
        Ok((peer.into(), local.into()))
    }
}

/// At once or not at all: whoever is refused gets no memory and no time.
fn refuse(stream: &TcpStream, refusal: &[u8]) {
    use rustix::net::{SendFlags, send};
    #[expect(unsafe_code, reason = "the stream only hands out a bare number")]
    // SAFETY: the stream is open and outlives this borrow.
    let socket = unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(stream)) };
    _ = send(socket.as_fd(), refusal, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

fn is_exhaustion(error: Errno) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&error)
}

/// Ends accepting on one listener. Clones are the same.
#[derive(Clone)]
pub struct Stopper(Arc<Stop>);

struct Stop {
    stopped: AtomicBool,
    waker: flume::Sender<()>,
}

impl Stopper {
    /// No connection is accepted any more; those accepted live on, and the socket is left as it is: shut down, it would
    /// refuse those who wait in its queue, for another process too.
    pub fn stop(&self) {
        self.0.stopped.store(true, Relaxed);
        // Full: it was woken before.
        _ = self.0.waker.try_send(());
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Relaxed)
    }
}

/// Why a place is not ours.
#[derive(Debug)]
pub enum BindError {
    /// Another program listens there.
    Taken {
        /// The place.
        place: Place,
    },
    /// Ports below 1024 are privileged; a socket's folder or owner may not be ours.
    Forbidden {
        /// The place.
        place: Place,
    },
    /// This machine does not have that address.
    NotHere {
        /// The place.
        place: Place,
    },
    /// Anything else.
    Other {
        /// The place.
        place: Place,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// The failure of binding `place`, for whoever binds by other means.
    pub fn new(place: impl Into<Place>, source: io::Error) -> BindError {
        let place = place.into();
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { place },
            io::ErrorKind::PermissionDenied => BindError::Forbidden { place },
            io::ErrorKind::AddrNotAvailable => BindError::NotHere { place },
            _ => BindError::Other { place, source },
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Taken { place: Place::Ip(addr) } => write!(
                f,
                "{addr} is taken by another program: stop it (`ss -ltnp 'sport = :{}'` shows which), or configure another port",
                addr.port()
            ),
            BindError::Taken { place } => write!(
                f,
                "{place} is taken by another program: stop it (`ss -lxp` shows which), or configure another path"
            ),
            BindError::Forbidden { place: Place::Ip(addr) } => write!(
                f,
                "this user may not listen on {addr}: set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, \
                 or use a port above 1023"
            ),
            BindError::Forbidden { place } => write!(
                f,
                "this user may not make the socket {place}: give the server's user its folder, and let owner and group be \
                 those of that user unless the server starts as root"
            ),
            BindError::NotHere { place } => {
                write!(f, "this machine has no address {place}: configure one that `ip addr` shows")
            }
            BindError::Other { place, source } => write!(f, "can not listen on {place}: {source}"),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options of a connection that was accepted where these are set.
    fn accepted(settings: &[Liveness]) -> Socket {
        let bound = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        settings.iter().for_each(|liveness| bound.set_liveness(*liveness).unwrap());
        bound.socket.set_nonblocking(false).unwrap();
        bound.socket.listen(1).unwrap();
        let Place::Ip(address) = bound.place else { panic!("a port") };
        let _client = std::net::TcpStream::connect(address).unwrap();
        bound.socket.accept().unwrap().0
    }

    #[test]
    fn a_connection_is_watched_as_its_listener_says() {
        let seconds = Duration::from_secs;
        let watched = Liveness { ask_after: Some(seconds(300)), dead_after: seconds(600) };
        let socket = accepted(&[watched]);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(300));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(60));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(seconds(600)));

        let short = Liveness { ask_after: Some(seconds(300)), dead_after: seconds(10) };
        let socket = accepted(&[short]);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(5));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(1));

        // A socket of the process before had its own.
        let silent = Liveness { ask_after: None, dead_after: seconds(60) };
        let socket = accepted(&[watched, silent]);
        assert!(!socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(seconds(60)));
    }
}
