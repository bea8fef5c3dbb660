//! Unix sockets: made with the right owner before anyone can connect, stale files replaced.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{Gid, Uid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::listen::{BindError, BoundSocket, Place};

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug)]
pub struct UnixAccess {
    /// Permissions of the file: who may write may connect.
    pub mode: u32,
    /// Owner of the file; `None` is whom the server runs as now.
    pub owner: Option<u32>,
    /// Group of the file.
    pub group: Option<u32>,
}

/// Connections that wait at [`listen_unix`]'s: a few operators and scripts.
const BACKLOG: i32 = 64;

/// Makes a Unix socket at `path`. The file of a server that is gone is replaced; one
/// that answers is not. The file stays when the server ends: who took the socket over goes on with it.
///
/// # Errors
/// Naming the path and the way out.
pub fn bind_unix(path: &Path, access: UnixAccess) -> Result<BoundSocket, BindError> {
    let failed = |error| BindError::new(Place::Unix(path.into()), error);
    remove_stale(path).map_err(failed)?;
    Ok(BoundSocket::new(bind_one(path, access).map_err(failed)?, Place::Unix(path.into())))
}

/// The same for whom the shards have no part in; it listens.
///
/// # Errors
/// As [`bind_unix`].
pub fn listen_unix(path: &Path, access: UnixAccess) -> Result<UnixListener, BindError> {
    let failed = |error| BindError::new(Place::Unix(path.into()), error);
    remove_stale(path).map_err(failed)?;
    let socket = bind_one(path, access).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    Ok(socket.into())
}

/// Nobody can connect before the socket listens, so there is no moment with the wrong owner.
fn bind_one(path: &Path, access: UnixAccess) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    give_access(path, access)?;
    Ok(socket)
}

/// Says who may connect from now on to a socket that is there.
///
/// # Errors
/// It is not ours.
pub fn give_access(path: &Path, access: UnixAccess) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))?;
    if access.owner.is_some() || access.group.is_some() {
        let (owner, group) = (access.owner.map(Uid::from_raw), access.group.map(Gid::from_raw));
        rustix::fs::chown(path, owner, group)?;
    }
    Ok(())
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}
