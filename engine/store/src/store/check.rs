//! Everything that is kept of an account, held against its checksums and against each other. Changes nothing.
//!
//! ```text
//! tree ── names ──▶ snapshots ── rows ──▶ bodies in packs and log        records of the tail
//!   its checksum      theirs, caches       theirs, identity, size          theirs
//! ```
//!
//! No lock is held: a file that a checkpoint replaces meanwhile is as good as the one before, and a body that moves is read where
//! it went.

use super::open::Look;
use super::{Store, paths};
use crate::account_handle::AccountHandle;
use crate::body::Place;
use crate::error::StoreError;
use crate::log::{ReadError, TailRecord, scan_segment, segment_name};
use crate::mailbox::{Fixed, Snapshot};
use crate::pack::pack_name;
use skein_base::seam::{Clock, Disk};
use skein_base::{LogPos, MailboxId, Uid};
use std::future::Future;
use std::path::Path;
use std::rc::Rc;

/// Messages looked at between two looks at the account.
const BATCH: usize = 256;

/// Something that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file: its name in the account's folder, or a log segment's.
    pub file: String,
    /// The mailbox, when it is one's.
    pub mailbox: Option<String>,
    /// The message, when it is one's.
    pub uid: Option<Uid>,
    /// Where in the file, when that is known.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Whether a rebuild makes it good with nothing lost but time.
    pub is_mended: bool,
}

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Checked {
    /// Files: tree and snapshots.
    pub files: u64,
    /// Messages, a copy counted as one.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Findings.
    pub findings: u64,
}

/// What a check tells while it goes on.
pub trait Inspector {
    /// Something is wrong.
    fn found(&mut self, finding: Finding) -> impl Future<Output = Result<(), Stopped>>;
    /// So many bytes were read: the place to wait when others want the disk.
    fn read(&mut self, bytes: u64) -> impl Future<Output = ()>;
}

/// The inspector wants no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

/// Why a check did not end.
#[derive(Debug)]
pub enum CheckError {
    /// The inspector wants no more.
    Stopped,
    /// The disk failed, or the account ended.
    Store(StoreError),
}

impl From<Stopped> for CheckError {
    fn from(_: Stopped) -> CheckError {
        CheckError::Stopped
    }
}

impl<E: Into<StoreError>> From<E> for CheckError {
    fn from(error: E) -> CheckError {
        CheckError::Store(error.into())
    }
}

/// A check under way.
struct Round<'a, D: Disk, C: Clock, I> {
    store: &'a Store<D, C>,
    handle: &'a AccountHandle,
    folder: &'a Path,
    inspector: &'a mut I,
    checked: Checked,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Looks at all of an open account.
    ///
    /// # Errors
    /// The disk failed, the account ended, or the inspector wants no more. Damage is no error.
    pub async fn check(
        &self,
        handle: &Rc<AccountHandle>,
        inspector: &mut impl Inspector,
    ) -> Result<Checked, CheckError> {
        let folder = paths::account(&self.0.dir, handle.id());
        let checked = Checked::default();
        let mut round = Round { store: self, handle, folder: &folder, inspector, checked };
        round.tree().await?;
        let mailboxes: Vec<(MailboxId, String)> =
            handle.read(|account| account.mailboxes().map(|m| (m.id, m.name.to_owned())).collect());
        for (id, name) in mailboxes {
            round.snapshot(id, &name).await?;
            round.messages(id, &name).await?;
        }
        round.tail().await?;
        Ok(round.checked)
    }

    /// Looks at the segments of the log that take no more records.
    ///
    /// # Errors
    /// The disk failed, or the inspector wants no more. Damage is no error.
    pub async fn check_log(&self, inspector: &mut impl Inspector) -> Result<Checked, CheckError> {
        let mut checked = Checked::default();
        for sealed in self.at_rest() {
            let found = match scan_segment(&self.0.disk, &self.0.log_dir, sealed.segment, |_| ()).await {
                // Drained meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                found => found?,
            };
            checked.files += 1;
            checked.bytes += found.end;
            inspector.read(found.end).await;
            for damage in found.damage {
                checked.findings += 1;
                let what =
                    format!("the records in bytes {} to {} can not be read", damage.bytes.start, damage.bytes.end);
                let (file, offset) = (segment_name(sealed.segment), Some(damage.bytes.start));
                let finding = Finding { file, mailbox: None, uid: None, offset, what, is_mended: false };
                inspector.found(finding).await?;
            }
        }
        Ok(checked)
    }
}

impl<D: Disk, C: Clock, I: Inspector> Round<'_, D, C, I> {
    async fn found(&mut self, finding: Finding) -> Result<(), CheckError> {
        self.handle.has_not_ended()?;
        self.checked.findings += 1;
        Ok(self.inspector.found(finding).await?)
    }

    async fn read(&mut self, bytes: u64) {
        self.checked.bytes += bytes;
        self.inspector.read(bytes).await;
    }

    async fn tree(&mut self) -> Result<(), CheckError> {
        self.checked.files += 1;
        let what = match self.store.look_at_tree(self.handle.id(), self.folder).await? {
            Look::Good(_) => return Ok(()),
            Look::Missing if self.handle.read(|account| account.was_written()) => "it is gone".into(),
            Look::Missing => return Ok(()),
            Look::Damaged(why) => why,
        };
        let file = "tree".into();
        self.found(Finding { file, mailbox: None, uid: None, offset: None, what, is_mended: true }).await
    }

    async fn snapshot(&mut self, id: MailboxId, name: &str) -> Result<(), CheckError> {
        let true_to = self.handle.read(|account| account.snapshot_of(id));
        let look = self.store.look_at_snapshot(self.handle.id(), id, self.folder, true_to).await?;
        self.checked.files += 1;
        let what = match look {
            Look::Good(snapshot) => return self.caches(id, name, &snapshot).await,
            Look::Missing if true_to == LogPos::default() => return Ok(()),
            // Written again, or deleted, while it was looked at.
            _ if self.handle.read(|account| account.snapshot_of(id)) != true_to => return Ok(()),
            Look::Missing => "it is gone".into(),
            Look::Damaged(why) => why,
        };
        let (file, mailbox) = (format!("m{}.idx", id.0), Some(name.to_owned()));
        self.found(Finding { file, mailbox, uid: None, offset: None, what, is_mended: true }).await
    }

    async fn caches(&mut self, id: MailboxId, name: &str, snapshot: &Snapshot) -> Result<(), CheckError> {
        self.read(snapshot.file_bytes() as u64).await;
        for row in 0..snapshot.rows() {
            if row as usize % BATCH == BATCH - 1 {
                self.store.0.disk.breathe().await;
            }
            if let Err(error) = snapshot.cache(row) {
                let (file, mailbox) = (format!("m{}.idx", id.0), Some(name.to_owned()));
                let (uid, what) = (Some(snapshot.uid(row)), error.to_string());
                self.found(Finding { file, mailbox, uid, offset: None, what, is_mended: true }).await?;
            }
        }
        Ok(())
    }

    async fn messages(&mut self, id: MailboxId, name: &str) -> Result<(), CheckError> {
        match self.store.load(self.handle, id).await {
            Err(StoreError::Account(_)) => return Ok(()),
            loaded => loaded?,
        }
        let mut next = Uid(1);
        loop {
            let batch: Vec<(Uid, Fixed)> = self.handle.read(|account| {
                let Some(mailbox) = account.mailbox(id) else { return Vec::new() };
                let rows = mailbox.rows().from_rank(mailbox.rows().rank(next)).take(BATCH);
                rows.map(|row| (row.uid, mailbox.fixed(row))).collect()
            });
            let Some((last, _)) = batch.last() else { return Ok(()) };
            next = Uid(last.0.saturating_add(1));
            for (uid, fixed) in batch {
                self.message(id, name, uid, fixed).await?;
            }
        }
    }

    async fn message(&mut self, id: MailboxId, name: &str, uid: Uid, fixed: Fixed) -> Result<(), CheckError> {
        self.checked.messages += 1;
        let mut at = fixed;
        let error = loop {
            match self.store.verify_body(self.handle, self.folder, &at).await {
                Ok(bytes) => {
                    self.read(bytes).await;
                    return Ok(());
                }
                Err(error) if !error.is_damage() => return Err(error.into()),
                Err(error) => {
                    // It may have moved, or be gone, since it was listed.
                    let now = self.handle.read(|account| {
                        let mailbox = account.mailbox(id)?;
                        mailbox.rows().find(uid).map(|row| mailbox.fixed(row))
                    });
                    match now {
                        None => return Ok(()),
                        Some(now) if now.body != at.body => at = now,
                        Some(_) => break error,
                    }
                }
            }
        };
        let (file, offset) = match at.body.place {
            Place::Log(segment) => (segment_name(segment), at.body.offset),
            Place::Pack(number) => (pack_name(number), at.body.offset),
            Place::Object(number) => (format!("object {number:x}"), 0),
        };
        // The bytes may be there when what was rendered of them is not, or when the one byte that is damaged can be told.
        let is_mended = self.store.find_body(self.handle, &at, 0..u64::MAX).await.is_ok();
        let what = match is_mended {
            true => format!("the message can be read, but not all that belongs to it: {error}"),
            false => format!("the message can not be read: {error}"),
        };
        let mailbox = Some(name.to_owned());
        self.found(Finding { file, mailbox, uid: Some(uid), offset: Some(offset), what, is_mended }).await
    }

    async fn tail(&mut self) -> Result<(), CheckError> {
        for TailRecord { start, end, bytes, .. } in self.handle.tail_records() {
            let Err(error) = self.store.0.log.read(start).await else {
                self.read(u64::from(bytes)).await;
                continue;
            };
            // What a checkpoint covers meanwhile is needed no more.
            let is_needed = self.handle.tail_records().first().is_some_and(|first| first.end <= end);
            if !error.is_damage() {
                return Err(StoreError::from(error).into());
            }
            if is_needed {
                let (file, what) = (segment_name(start.segment), format!("changes can not be read: {error}"));
                let offset = Some(start.offset);
                // They are in memory, and the next checkpoint writes what they made.
                self.found(Finding { file, mailbox: None, uid: None, offset, what, is_mended: true }).await?;
            }
        }
        Ok(())
    }
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Reads a body as it lies there and checks it; bytes read.
    pub(super) async fn verify_body(
        &self,
        handle: &AccountHandle,
        folder: &Path,
        fixed: &Fixed,
    ) -> Result<u64, ReadError> {
        let body = &fixed.body;
        let Place::Pack(number) = body.place else {
            if !body.chunked {
                let (message, cache) = self.0.log.read_whole(body).await?;
                return Ok((message.len() + cache.len()) as u64);
            }
            let (pieces, cache) = self.0.log.pieces(body).await?;
            for piece in pieces {
                self.0.log.read_piece(piece).await?;
            }
            return Ok(u64::from(body.bytes) + cache.len() as u64);
        };
        self.0.packs.verify(handle.id(), folder, (number, body, &fixed.guid)).await
    }
}
