//! The socket, and who may speak.

use super::desk::Desk;
use super::route::router;
use crate::server::{connection, stop_asked};
use skein_runtime::{Side, SideTask};
use skein_transport::{BindError, UnixAccess, listen_unix};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Operators and scripts at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 32;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound, before anything is served on it.
pub struct AdmSocket {
    listener: StdListener,
    path: PathBuf,
}

/// The running hands.
pub struct Adm {
    stop: watch::Sender<bool>,
    served: SideTask<()>,
}

impl AdmSocket {
    /// Binds; before root is given up, so that the folder may be root's.
    ///
    /// # Errors
    /// Naming the path and the way out.
    pub fn bind(path: &Path) -> Result<AdmSocket, BindError> {
        let listener = listen_unix(path, UnixAccess { mode: 0o600, owner: None, group: None })?;
        Ok(AdmSocket { listener, path: path.to_owned() })
    }

    /// The socket of another process, which goes on with it or ends.
    ///
    /// # Errors
    /// When it can not be made non-blocking.
    pub fn inherited(socket: OwnedFd, path: &Path) -> std::io::Result<AdmSocket> {
        let listener = StdListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(AdmSocket { listener, path: path.to_owned() })
    }

    /// A descriptor of the same socket, for another process.
    ///
    /// # Errors
    /// No descriptors.
    pub fn descriptor(&self) -> std::io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }
}

impl Adm {
    /// Accepts no more, and resolves when requests in flight have ended (at most some seconds).
    pub async fn stop(self) {
        self.stop.send_replace(true);
        _ = self.served.await;
    }
}

/// Serves on the side runtime.
pub fn start(side: &Side, socket: AdmSocket, desk: Desk) -> Adm {
    let (stop, stopped) = watch::channel(false);
    let served = side.spawn(async move {
        let path = socket.path.clone();
        if let Err(error) = serve(socket, desk, stopped).await {
            tracing::error!(%error, path = %path.display(), "the socket of skein adm can not be served");
        }
    });
    Adm { stop, served }
}

async fn serve(socket: AdmSocket, desk: Desk, mut stopped: watch::Receiver<bool>) -> std::io::Result<()> {
    let listener = UnixListener::from_std(socket.listener)?;
    let (router, places) = (router(desk), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let told = stopped.clone();
    loop {
        let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        tokio::select! {
            () = stop_asked(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if may_speak(&stream) => {
                    let (router, stopped) = (router.clone(), told.clone());
                    tokio::spawn(async move {
                        connection(stream, router, stopped, None).await;
                        drop(place);
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection of skein adm can not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    _ = tokio::time::timeout(crate::server::GRACE, places.acquire_many(CONNECTIONS_MAX as u32)).await;
    Ok(())
}

/// Root and our own user, whatever somebody made of the socket's mode.
fn may_speak(stream: &UnixStream) -> bool {
    let Ok(peer) = stream.peer_cred() else { return false };
    let may = peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw();
    if !may {
        tracing::warn!(uid = peer.uid(), "somebody who is neither root nor the server's user tried skein adm");
    }
    may
}
