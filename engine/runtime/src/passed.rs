//! Descriptors that whoever started the process gave it (sd_listen_fds(3)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The descriptors, each with the name that the supervisor keeps it under; the second call finds none.
///
/// # Errors
/// `InvalidInput` when the supervisor's environment contradicts itself.
pub fn passed_descriptors() -> io::Result<Vec<(OwnedFd, String)>> {
    if TAKEN.swap(true, Relaxed) {
        return Ok(Vec::new());
    }
    let owned = |(raw, name)| {
        #[expect(unsafe_code, reason = "the environment has only their numbers")]
        // SAFETY: sd_listen_fds(3): these are open, were made for this process (LISTEN_PID is ours) and are owned by nobody in it;
        // this runs once, and sd_notify has checked with fcntl that each is open.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        (descriptor, name)
    };
    Ok(sd_notify::listen_fds_with_names()?.map(owned).collect())
}
