//! What systemd is told, and what it keeps.
//!
//! It keeps the listening sockets (`FDSTORE=1`, with `FileDescriptorStoreMax=` in the unit) and passes them to the next process, whether
//! the one before ended or was killed: clients wait in their queues and are not refused.

use crate::takeover::{Inherited, Sockets};
use sd_notify::NotifyState;
use skein_runtime::passed_descriptors;
use skein_transport::Place;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Descriptors that travel with one message; the kernel takes 253.
const DESCRIPTORS_MAX: usize = 64;
/// Of systemd's names.
const NAME_BYTES_MAX: usize = 255;

/// Tells a supervisor that asked for it (`Type=notify` of systemd).
pub(crate) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the supervisor can not be told");
    }
}

/// The listening sockets that it kept of a process before.
pub(crate) fn kept() -> Inherited {
    let passed = passed_descriptors().unwrap_or_else(|error| {
        tracing::warn!(%error, "what the supervisor passed is not understood");
        Vec::new()
    });
    let mut inherited = Inherited::default();
    for (descriptor, name) in passed {
        match place_of(&descriptor) {
            Ok(place) => inherited.add(&place, descriptor, Some(name)),
            Err(error) => tracing::warn!(name, %error, "the supervisor passed what is no listening socket of ours"),
        }
    }
    inherited
}

fn place_of(descriptor: &OwnedFd) -> io::Result<Place> {
    if !rustix::net::sockopt::socket_acceptconn(descriptor)? {
        return Err(io::Error::other("it does not listen"));
    }
    let address = rustix::net::getsockname(descriptor)?;
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Ok(Place::Ip(address));
    }
    let unix = rustix::net::SocketAddrUnix::try_from(address)?;
    let path = unix.path().ok_or_else(|| io::Error::other("it has no path"))?;
    Ok(Place::Unix(Path::new(std::ffi::OsStr::new(&*path.to_string_lossy())).into()))
}

/// Lets it keep `sockets`, and forget those that this process has no use for.
pub(crate) fn keep(sockets: &[Sockets], unwanted: &[String]) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    for name in unwanted {
        notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
    }
    for sockets in sockets {
        let name = name(sockets.place());
        let descriptors: Vec<_> = sockets.descriptors().iter().map(AsFd::as_fd).collect();
        for some in descriptors.chunks(DESCRIPTORS_MAX) {
            let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
            if let Err(error) = sd_notify::notify_with_fds(&state, some) {
                tracing::warn!(%error, name, "the supervisor does not keep a socket");
            }
        }
    }
}

/// Which names it takes: ASCII without control characters and colons.
fn name(place: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != ':' { c } else { '_' };
    place.chars().map(plain).take(NAME_BYTES_MAX).collect()
}
