//! A mapped file that is cut, or that the disk no longer reads, costs its pages and not the process.
//!
//! Touching such a page raises SIGBUS, which would end the server and every session with it. The handler puts a page of zeros there
//! and counts it; whoever uses maps looks at [`pages_lost`] and checks what it stands on again.

use nix::libc::{BUS_ADRERR, c_int, c_void, siginfo_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Of every machine that Skein runs on; a larger page of the kernel's begins at a multiple of it too, and faults again.
const PAGE_BYTES: usize = 4096;

static PAGES_LOST: AtomicU64 = AtomicU64::new(0);

/// Pages of mapped files that could not be read since the process began, and read as zeros now.
pub fn pages_lost() -> u64 {
    PAGES_LOST.load(Ordering::Acquire)
}

/// Installs the handler, for all threads.
///
/// # Errors
/// The system refuses.
pub(crate) fn install() -> io::Result<()> {
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_bus_error), flags, SigSet::empty());
    #[expect(unsafe_code, reason = "installing a signal handler")]
    // SAFETY: the handler makes one system call and touches one atomic, both safe at any moment in any thread.
    unsafe {
        sigaction(Signal::SIGBUS, &action)?;
    }
    Ok(())
}

extern "C" fn on_bus_error(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    #[expect(unsafe_code, reason = "the kernel hands out pointers")]
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo, and for SIGBUS its address field is the one that is set.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    if code == BUS_ADRERR && put_zeros(address - address % PAGE_BYTES).is_ok() {
        PAGES_LOST.fetch_add(1, Ordering::AcqRel);
        return;
    }
    // Anything else is the end: the instruction runs again, without a handler.
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "installing a signal handler")]
    // SAFETY: the default action is no code of ours.
    let _ends_anyway = unsafe { sigaction(Signal::SIGBUS, &action) };
}

fn put_zeros(page: usize) -> rustix::io::Result<()> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    #[expect(unsafe_code, reason = "a page is put in the place of another")]
    // SAFETY: the kernel just said that nothing can be read at this page: it belongs to a map of a file that ends before, or whose
    // disk fails. Only maps for reading are made, so no bytes are lost, and the range stays part of the map that owns it: unmapping
    // that one unmaps this page with it.
    unsafe {
        mmap_anonymous(page as *mut c_void, PAGE_BYTES, ProtFlags::READ, flags)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::map;

    #[test]
    fn a_cut_file_reads_as_zeros() {
        install().unwrap();
        let path = std::env::temp_dir().join(format!("skein-map-{}", std::process::id()));
        std::fs::write(&path, vec![7; 40 * PAGE_BYTES]).unwrap();
        let (map, before) = (map(&path).unwrap(), pages_lost());
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(PAGE_BYTES as u64 + 5).unwrap();
        assert_eq!((map[0], map[PAGE_BYTES + 4], map[PAGE_BYTES + 5]), (7, 7, 0), "the last page is there in part");
        assert_eq!(pages_lost(), before);
        assert_eq!((map[39 * PAGE_BYTES], map[40 * PAGE_BYTES - 1]), (0, 0));
        assert_eq!(pages_lost(), before + 1);
        std::fs::remove_file(&path).unwrap();
    }
}
