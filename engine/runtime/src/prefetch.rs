//! Memory that will be read soon.

/// Bytes that come from memory at once.
const LINE_BYTES: usize = 64;
/// Of one call: as many lines as processors have on their way at a time.
const LINES_MAX: usize = 16;

/// Asks for the first KiB of these bytes, so that whoever reads them after some other work need not wait for memory. Reads nothing, and
/// does nothing on machines that it does not know.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE_BYTES).take(LINES_MAX) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "an instruction")]
        // SAFETY: PREFETCHT0 is in every x86-64 processor, changes nothing, and faults at no address (Intel SDM volume 2, PREFETCHh); this one is
        // inside of a slice besides.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, LINE_BYTES, LINES_MAX);
}
