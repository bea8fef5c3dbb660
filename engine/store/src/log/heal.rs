//! What happens when the disk fails under the log, and how it goes on without a restart.
//!
//! ```text
//! failed write or sync ──▶ all above the last safe position is lost: told to who waits and to the store, refused
//! heal: the segment ends at its last safe position ──▶ a probe is written and synced ──▶ the next segment begins
//! ```
//!
//! A failed sync is never tried again on the same bytes: the kernel may have marked their pages clean. They are cut off,
//! and the last write that was safe is written once more, because it may share a page with them. Only when that is on
//! the disk does the log take records: an op that was lost must not come back behind the ones that follow.

use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use super::recover::end_at;
use super::{Log, LogError};
use skein_base::LogPos;
use skein_base::seam::Disk;
use skein_base::sync::Watermark;
use std::io;
use std::rc::Rc;

/// Default of [`crate::log::LogOptions::probe_bytes`]: a moment's work, so that it does not fail again at once.
pub const PROBE_BYTES: usize = 1024 * 1024;
/// Failures a log lives through. Each costs a few bytes for good; a disk that fails so often needs a hand.
pub const FAILURES_MAX: usize = 4096;

const PROBE_NAME: &str = "probe";

/// Records that were appended and never became safe.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    /// What ends here was safe.
    after: LogPos,
    /// The end of the last record lost.
    to: LogPos,
    error: LogError,
}

/// A segment that can not be written on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abandoned {
    pub header: SegmentHeader,
    /// Where the last write that is safe began, and where it ended; `None` when none is.
    pub safe: Option<(u64, u64)>,
}

/// A failure that was not healed yet.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    error: LogError,
    abandoned: Abandoned,
}

impl<D: Disk> Log<D> {
    /// Why it takes nothing at the moment.
    pub fn refuses(&self) -> Option<LogError> {
        let failed = || self.0.failure.borrow().as_ref().map(|failure| failure.error.clone());
        self.0.durable.borrow().poisoned().or_else(failed)
    }

    /// Whether messages are taken: it refuses nothing, and there is more room than what is kept in reserve.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_messages(&self) -> Result<(), LogError> {
        match self.refuses().or_else(|| self.0.reserve.borrow().clone()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// From now on messages are refused while other changes are taken: the little room that is left is for those that
    /// make more. `None`: there is room again.
    pub fn keep_reserve(&self, why: Option<&str>) {
        let error = why.map(|why| LogError::Full { what: "reserve", error: why.into() });
        *self.0.reserve.borrow_mut() = error;
    }

    /// Why a position was lost: it ends a record that was appended and never became safe.
    pub fn lost(&self, end: LogPos) -> Option<LogError> {
        let lost = self.0.lost.borrow();
        lost.iter().rev().find(|lost| lost.after < end && end <= lost.to).map(|lost| lost.error.clone())
    }

    /// How often records were lost.
    pub fn failures(&self) -> usize {
        self.0.lost.borrow().len()
    }

    /// Called in the moment when records are lost, before anybody hears of it.
    pub fn on_failure(&self, call: impl Fn() + 'static) {
        *self.0.on_failure.borrow_mut() = Some(Rc::new(call));
    }

    /// Brings a log that refuses back to work, if the disk lets it. Whoever owns the log calls this again and again while
    /// it refuses; run to its end each time. Returns at once when all is well.
    ///
    /// # Errors
    /// It still refuses.
    pub async fn heal(&self) -> Result<(), LogError> {
        let Some(error) = self.refuses() else { return Ok(()) };
        let failure = self.0.failure.borrow().clone();
        let Some(failure) = failure.filter(|_| !self.0.healing.get()) else { return Err(error) };
        self.0.healing.set(true);
        let healed = self.make_whole(&failure.abandoned).await;
        self.0.healing.set(false);
        if let Err(error) = healed {
            return Err(LogError::failed("recovery", &error));
        }
        self.0.failure.borrow_mut().take();
        self.count(|m| m.healed += 1);
        self.refuses().map_or(Ok(()), Err)
    }

    /// All that was not safe is lost.
    ///
    /// # Errors
    /// It happened too often.
    pub(super) fn fail(&self, error: LogError, abandoned: Abandoned) -> Result<(), LogError> {
        let after = self.durable_pos();
        let to = self.0.state.borrow_mut().lose().unwrap_or(after);
        if self.failures() >= FAILURES_MAX {
            return Err(LogError::Poisoned { what: "disk", error: error.to_string().into() });
        }
        self.0.lost.borrow_mut().push(Lost { after, to, error: error.clone() });
        *self.0.failure.borrow_mut() = Some(Failure { error: error.clone(), abandoned });
        let call = self.0.on_failure.borrow().clone();
        #[cfg(test)]
        let call = call.filter(|_| self.0.options.mutant != super::tests::Mutant::LoseInSilence);
        if let Some(call) = call {
            call();
        }
        self.0.durable.replace(Watermark::new(after)).poison(error);
        self.0.drained.notify_all();
        Ok(())
    }

    async fn make_whole(&self, abandoned: &Abandoned) -> io::Result<()> {
        #[cfg(test)]
        if self.0.options.mutant == super::tests::Mutant::HealWithoutCut {
            return self.probe().await;
        }
        match abandoned.safe {
            Some((from, end)) => {
                self.cut(&abandoned.header, from, end).await?;
                self.at_rest(&abandoned.header, end);
            }
            None => self.remove_unborn(abandoned.header.segment).await?,
        }
        self.probe().await
    }

    async fn cut(&self, header: &SegmentHeader, from: u64, end: u64) -> io::Result<()> {
        let file = self.0.disk.open(&self.0.dir.join(segment_name(header.segment))).await?;
        let safe = self.0.disk.read_at(&file, from, (end - from) as usize).await?;
        if safe.len() as u64 != end - from || !are_whole(&safe, header, from) {
            return Err(io::Error::other("the last records that were safe do not read back"));
        }
        end_at(&self.0.disk, &self.0.dir, header, from, end).await
    }

    /// A segment that never held a record that was safe. It is emptied first: were its name to come back, it would say
    /// nothing.
    async fn remove_unborn(&self, segment: u64) -> io::Result<()> {
        let path = self.0.dir.join(segment_name(segment));
        match self.0.disk.open(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(file) => {
                self.0.disk.truncate(&file, 0).await?;
                self.0.disk.fdatasync(&file).await?;
                self.0.files.forget(segment);
                self.0.disk.remove(&path).await?;
            }
        }
        self.0.disk.sync_dir(&self.0.dir).await
    }

    /// Whether the disk takes a file and bytes, and keeps them.
    async fn probe(&self) -> io::Result<()> {
        let path = self.0.dir.join(PROBE_NAME);
        match self.0.disk.remove(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.0.disk.create(&path).await?;
        let written = async {
            self.0.disk.write_at(&file, 0, vec![0xa5; self.0.options.probe_bytes]).await?;
            self.0.disk.fdatasync(&file).await
        };
        let written = written.await;
        self.0.disk.remove(&path).await?;
        written
    }
}

/// Whether the bytes of a segment from `from` on are whole records, one after the other, after the header if that is
/// among them.
fn are_whole(bytes: &[u8], header: &SegmentHeader, from: u64) -> bool {
    let mut at = 0;
    if from == 0 {
        if bytes.get(..SEGMENT_HEADER_BYTES).and_then(SegmentHeader::decode) != Some(*header) {
            return false;
        }
        at = SEGMENT_HEADER_BYTES;
    }
    while at < bytes.len() {
        let Some(record) = RecordHeader::decode(&bytes[at..], header.seed(), from + at as u64) else { return false };
        let payload = bytes.get(at + RECORD_HEADER_BYTES..at + RECORD_HEADER_BYTES + record.len as usize);
        if payload.is_none_or(|payload| crc32c::crc32c(payload) != record.payload_crc) {
            return false;
        }
        at += record.stride() as usize;
    }
    at == bytes.len()
}
