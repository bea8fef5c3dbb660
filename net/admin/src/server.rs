//! The HTTP server: few connections, short patience.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use skein_runtime::{Side, SideTask};
use skein_transport::BindError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::pages::{Health, router};

/// Scrapers and a few people; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;
/// From the first byte of a request to the end of its headers, and between requests.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers; hyper's smallest is 8 KiB.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// A connection this old is asked to end after its present request, so that none is held for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// What a request in flight gets when its connection has to end.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// After an error of accept, most likely no descriptors: not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket for the pages, before anything is served on it.
pub struct PageSocket {
    listener: std::net::TcpListener,
    addr: SocketAddr,
}

impl PageSocket {
    /// Listens on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(addr: SocketAddr) -> Result<PageSocket, BindError> {
        let failed = |error| BindError::new(addr, error);
        PageSocket::of(std::net::TcpListener::bind(addr).map_err(failed)?).map_err(failed)
    }

    /// The socket of another process, which goes on with it or ends.
    ///
    /// # Errors
    /// When it is no such socket.
    pub fn inherited(socket: OwnedFd) -> io::Result<PageSocket> {
        PageSocket::of(socket.into())
    }

    fn of(listener: std::net::TcpListener) -> io::Result<PageSocket> {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok(PageSocket { listener, addr })
    }

    /// Where it listens; never port 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A descriptor of the same socket, for another process.
    ///
    /// # Errors
    /// No descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }
}

/// The running pages.
pub struct Admin {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    served: SideTask<()>,
}

impl Admin {
    /// Where they are.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Accepts no more, lets requests in flight end, and resolves when all is quiet (at most some seconds).
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error is a side runtime that has stopped already.
        _ = self.served.await;
    }
}

/// Starts the pages on the side runtime; `health` is what `/healthz` and `/readyz` ask.
pub fn start(side: &Side, socket: PageSocket, health: Arc<dyn Health>) -> Admin {
    let PageSocket { listener, addr } = socket;
    let (stop, stopped) = watch::channel(false);
    let served = side.spawn(async move {
        if let Err(error) = serve(listener, health, stopped).await {
            tracing::error!(%error, "the admin pages can not be served");
        }
    });
    Admin { addr, stop, served }
}

async fn serve(
    listener: std::net::TcpListener,
    health: Arc<dyn Health>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let told = stopped.clone();
    let (router, places) = (router(health), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        tokio::select! {
            () = stop_asked(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (router, stopped) = (router.clone(), told.clone());
                    tokio::spawn(async move {
                        connection(stream, router, stopped, Some(CONNECTION_AGE_MAX)).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an admin connection can not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // All places free: all connections ended. They were told to by the same signal.
    _ = timeout(2 * GRACE, places.acquire_many(CONNECTIONS_MAX as u32)).await;
    Ok(())
}

/// An [`Admin`] dropped without a word means the same.
pub(crate) async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    _ = stopped.wait_for(|stop| *stop).await;
}

/// Serves HTTP until the client leaves, the server stops, or the connection is old.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    age_max: Option<Duration>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT).max_buf_size(HEADERS_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let old = async {
        match age_max {
            Some(age) => sleep(age).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // A client that broke off or sent nonsense is its own business.
        _ = connection.as_mut() => return,
        () = stop_asked(&mut stopped) => {}
        () = old => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = timeout(GRACE, connection).await;
}
