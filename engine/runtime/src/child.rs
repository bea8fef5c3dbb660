//! A process beside this one, for what this one is about to give up.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Starts a process that is this one's copy, runs `work` with its end of a socket, and ends. It has none of the other descriptors above
/// standard error: locks and listening sockets stay this process's alone. When this process ends, its end of the socket reads as closed.
///
/// # Errors
/// The system gives no process, or this one has other threads: what they hold would stay locked for ever in the copy.
pub fn fork_child(work: impl FnOnce(UnixStream)) -> io::Result<UnixStream> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the process has other threads already"));
    }
    let (ours, theirs) = UnixStream::pair()?;
    #[expect(unsafe_code, reason = "the copy must be told from the original")]
    // SAFETY: fork(2) of a process with threads leaves a copy in which their locks are never released. There are none: counted above,
    // and only this thread could have started one since.
    let forked = unsafe { nix::unistd::fork() }?;
    if !forked.is_child() {
        return Ok(ours);
    }
    let ended = keep_only(&theirs).map(|()| catch_unwind(AssertUnwindSafe(|| work(theirs))));
    let code = i32::from(!matches!(ended, Ok(Ok(()))));
    #[expect(unsafe_code, reason = "no destructor of the original may run in the copy")]
    // SAFETY: _exit(2) has no preconditions; nothing runs after it that could see its state.
    unsafe {
        libc::_exit(code)
    }
}

/// Closes all descriptors but the first three and this one.
fn keep_only(socket: &UnixStream) -> io::Result<()> {
    let kept = socket.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept - 1), (kept + 1, u32::MAX)] {
        if first > last {
            continue;
        }
        #[expect(unsafe_code, reason = "descriptors are closed by number")]
        // SAFETY: close_range(2) touches no memory. The closed descriptors are owned by values of the original's, which the copy neither uses
        // (work has only the socket) nor drops (the copy ends by _exit).
        let closed = unsafe { libc::close_range(first, last, 0) };
        if closed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
