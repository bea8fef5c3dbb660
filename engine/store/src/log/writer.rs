//! The one task that writes: everything that gathered, in one write that is a sync, again and again.

use super::heal::Abandoned;
use super::state::{Piece, seal};
use super::{Log, LogError, LogStep, Sealed, SegmentHeader};
use skein_base::LogPos;
use skein_base::seam::Disk;
use std::time::{Duration, Instant};

type Failed = (&'static str, std::io::Error);

/// A write of as many records was for many who wait; of fewer, nobody waits for others.
const MANY_RECORDS: u32 = 8;
/// The longest that anybody waits for others.
const GATHER_MAX: Duration = Duration::from_millis(1);

impl<D: Disk> Log<D> {
    /// The writer. The host spawns it once, on the log's shard, and lets it run until [`Log::close`] ends it. Dropped
    /// before that, the log is poisoned, so that nobody waits for ever.
    ///
    /// After any failed write or sync what was not safe is lost, and never tried again: the kernel may have marked the
    /// pages clean, and a second sync would lie. [`Log::heal`] brings the log back to work.
    pub async fn run(&self) {
        let guard = Guard(self);
        let mut file = None;
        let error = loop {
            let changed = self.0.work.notified();
            match self.next_piece() {
                Next::Piece(piece) => {
                    let (header, records, began) = (piece.header, piece.records, Instant::now());
                    match self.write(&mut file, piece).await {
                        Ok(()) => self.gather(records, began.elapsed()).await,
                        Err((what, error)) => {
                            file = None;
                            let safe = self.safe_in(header.segment);
                            if let Err(poison) = self.fail(LogError::failed(what, &error), Abandoned { header, safe }) {
                                break poison;
                            }
                        }
                    }
                }
                Next::Wait => changed.await,
                Next::End => match self.refuses() {
                    Some(refusal) => break refusal,
                    None => {
                        self.0.stopped.advance(true);
                        break LogError::Closed;
                    }
                },
            }
        };
        self.poison(error);
        std::mem::forget(guard);
    }

    /// Many were told at once that their records are safe, and are about to come with the next ones. Without a wait those who came while
    /// that write went on would have the next to themselves, so that each write is for half of all; as long as a write takes is what
    /// a record waits for on average anyway.
    async fn gather(&self, records: u32, took: Duration) {
        if records >= MANY_RECORDS && !self.0.state.borrow().closing {
            self.0.disk.wait(took.min(GATHER_MAX)).await;
        }
    }

    fn next_piece(&self) -> Next {
        let mut state = self.0.state.borrow_mut();
        match state.take() {
            Some(piece) => Next::Piece(piece),
            None if state.closing => state.take_last().map_or(Next::End, Next::Piece),
            None => Next::Wait,
        }
    }

    /// Where the last write that is safe began and ended, if it is in this segment.
    fn safe_in(&self, segment: u64) -> Option<(u64, u64)> {
        let durable = self.durable_pos();
        let is_here = durable.segment == segment && durable.offset != u64::MAX;
        is_here.then(|| (self.0.last_batch.get(), durable.offset))
    }

    async fn write(&self, file: &mut Option<D::File>, piece: Piece) -> Result<(), Failed> {
        let end = piece.end();
        let (header, base, last) = (piece.header, piece.base, piece.last);
        let is_new = file.is_none();
        if is_new {
            *file = Some(self.begin(&piece).await?);
        }
        let open = file.as_ref().expect("just begun");
        if !piece.bytes.is_empty() {
            self.batch(open, base, piece.bytes, end).await?;
        }
        if is_new {
            self.0.numbers.note_begun(header.segment);
        }
        if last {
            self.put(open, end.offset, seal(&header, end.offset)).await?;
            self.at_rest(&header, end.offset);
            *file = None;
        }
        Ok(())
    }

    /// A segment has its seal.
    pub(super) fn at_rest(&self, header: &SegmentHeader, bytes: u64) {
        self.0.numbers.note_end(header.segment, bytes);
        let mut sealed = self.0.sealed.borrow_mut();
        if !sealed.iter().any(|known| known.segment == header.segment) {
            sealed.push(Sealed { segment: header.segment, created: header.created, bytes });
        }
    }

    async fn batch(&self, file: &D::File, base: u64, bytes: Vec<u8>, end: LogPos) -> Result<(), Failed> {
        #[cfg(test)]
        if self.0.options.mutant == super::tests::Mutant::AckBeforeSync {
            self.0.durable.borrow().advance(end);
        }
        self.count(|m| m.batches += 1);
        self.tell(LogStep::Batch { bytes: bytes.len() as u64 });
        let bytes = self.put(file, base, bytes).await?;
        self.0.last_batch.set(base);
        self.0.numbers.note_durable(end.segment);
        self.0.durable.borrow().advance(end);
        self.0.state.borrow_mut().give_back(bytes);
        self.0.drained.notify_all();
        Ok(())
    }

    /// Makes the segment's file. Its header and its name are safe before the first record is written, so that a
    /// segment with records but without a header was damaged, not cut short.
    async fn begin(&self, piece: &Piece) -> Result<D::File, Failed> {
        let path = self.0.dir.join(super::format::segment_name(piece.header.segment));
        let file = self.0.disk.create_durable(&path).await.map_err(|e| ("create", e))?;
        self.put(&file, 0, piece.header.encode().to_vec()).await?;
        self.0.disk.sync_dir(&self.0.dir).await.map_err(|e| ("sync", e))?;
        // After the file, so that a number that is noted and has none is one that somebody took away.
        if let Err(error) = self.note_number(piece.header.segment).await {
            tracing::warn!(segment = piece.header.segment, %error, "the number of a log segment is not noted");
        }
        self.0.files.add(&piece.header, file.clone());
        self.count(|m| m.segments += 1);
        Ok(file)
    }

    /// What it returns is safe.
    async fn put(&self, file: &D::File, at: u64, bytes: Vec<u8>) -> Result<Vec<u8>, Failed> {
        let len = bytes.len() as u64;
        self.tell(LogStep::Sync);
        let bytes = self.0.disk.write_durable(file, at, bytes).await.map_err(|e| ("write", e))?;
        self.tell(LogStep::Synced);
        self.count(|m| {
            m.bytes += len;
            m.syncs += 1;
        });
        Ok(bytes)
    }

    fn poison(&self, error: LogError) {
        self.0.durable.borrow().poison(error.clone());
        self.0.stopped.poison(error);
        self.0.drained.notify_all();
    }
}

enum Next {
    Piece(Piece),
    Wait,
    End,
}

/// Poisons the log when the writer is dropped in the middle of its work.
struct Guard<'a, D: Disk>(&'a Log<D>);

impl<D: Disk> Drop for Guard<'_, D> {
    fn drop(&mut self) {
        self.0.poison(LogError::Poisoned { what: "writer", error: "it was stopped in the middle".into() });
    }
}
