//! Bodies out of the log, and out of packs that are to go, into the account's newest pack.

use super::Store;
use super::compact::Victims;
use crate::account_handle::AccountHandle;
use crate::body::{Bodies, BodyAddr, Place};
use crate::dictionary::Dictionary;
use crate::error::StoreError;
use crate::log::ReadError;
use crate::mailbox::Frozen;
use crate::pack::{Appender, Encoding, Entry, Group, Growing, LargeFrame, Packed, Whose};
use skein_base::seam::{Clock, Disk};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Bytes of mail and caches compressed in one piece off the shard: some milliseconds of another thread. What is larger moves a frame at a
/// time.
const GROUP_BYTES: usize = 1024 * 1024;
/// Messages in it.
const GROUP_MESSAGES: usize = 512;

/// A message read and not yet compressed, and its cache.
type Raw = (Packed, Vec<u8>, Vec<u8>);

/// A message on its way.
enum Whole {
    /// Compressed.
    AsItLies(Entry),
    Raw(Raw),
}

/// Compressed messages, and where they were.
enum Ready {
    Alone(BodyAddr, Entry),
    Together(Vec<BodyAddr>, Group),
}

impl Ready {
    /// Compresses them: small ones together with those that come next.
    fn of(mails: Vec<(BodyAddr, Raw)>, dictionary: Option<&Dictionary>) -> Vec<Ready> {
        let (mut out, mut small, mut sum) = (Vec::new(), Vec::new(), (0, 0));
        for (from, mail) in mails {
            let size = (mail.1.len(), mail.2.len());
            if !Group::takes(size, (0, 0)) {
                out.push(Ready::alone(from, &mail, dictionary));
                continue;
            }
            if !Group::takes(size, sum) {
                Ready::together(std::mem::take(&mut small), dictionary, &mut out);
                sum = (0, 0);
            }
            sum = (sum.0 + size.0, sum.1 + size.1);
            small.push((from, mail));
        }
        Ready::together(small, dictionary, &mut out);
        out
    }

    fn alone(from: BodyAddr, (packed, message, cache): &Raw, dictionary: Option<&Dictionary>) -> Ready {
        Ready::Alone(from, Entry::new(packed.clone(), message, cache, dictionary))
    }

    fn together(small: Vec<(BodyAddr, Raw)>, dictionary: Option<&Dictionary>, out: &mut Vec<Ready>) {
        let (from, mails): (Vec<BodyAddr>, Vec<Raw>) = small.into_iter().unzip();
        match (mails.len() > 1).then(|| Group::new(&mails, dictionary)).flatten() {
            Some(group) => out.push(Ready::Together(from, group)),
            None => out.extend(from.iter().zip(&mails).map(|(from, mail)| Ready::alone(*from, mail, dictionary))),
        }
    }
}

/// Why a large message did not move.
enum Failure {
    Read(ReadError),
    Write(io::Error),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        Failure::Read(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Write(error)
    }
}

/// What was moved.
pub(super) struct Moved<D: Disk> {
    /// Where each body went.
    pub to: HashMap<BodyAddr, BodyAddr>,
    /// The packs that hold them now, to be synced.
    pub packs: Vec<D::File>,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Moves what the frozen mailboxes have in the log, if that is to move, and in one of the victims. Where each body went; those that can not be
    /// read stay where they are, and are told.
    pub(super) async fn pack_bodies(
        &self,
        handle: &AccountHandle,
        folder: &Path,
        (mailboxes, bodies): (&[Frozen], Bodies),
        victims: &Victims,
    ) -> Result<Moved<D>, StoreError> {
        let mut moved = HashMap::new();
        let (max, now) = (self.0.pack_bytes_max.get(), self.now());
        let mut appender = Appender::new(&self.0.packs, handle.id(), folder, max, now);
        appender.not_into(victims.highest());
        let dictionary = self.0.packs.dictionaries().newest().await?;
        let dictionary = dictionary.as_deref();
        let (mut group, mut bytes) = (Vec::new(), 0);
        for (from, packed) in wanted((mailboxes, bodies), victims) {
            if from.chunked || matches!(from.place, Place::Pack(_)) && from.bytes as usize > GROUP_BYTES {
                if let Some(to) = self.push_large(handle, &mut appender, folder, &from, &packed).await? {
                    moved.insert(from, to);
                }
                continue;
            }
            match self.read_to_move(handle, folder, &from, &packed).await {
                Ok(Whole::AsItLies(entry)) => drop(moved.insert(from, appender.push(entry).await?)),
                Ok(Whole::Raw(mail)) => {
                    bytes += mail.1.len() + mail.2.len();
                    group.push((from, mail));
                }
                Err(error) => self.lost(handle, &packed, error)?,
            }
            if bytes >= GROUP_BYTES || group.len() >= GROUP_MESSAGES {
                self.push_group(&mut appender, std::mem::take(&mut group), dictionary, &mut moved).await?;
                bytes = 0;
            }
        }
        self.push_group(&mut appender, group, dictionary, &mut moved).await?;
        let packs = appender.finish().await?;
        let (taken, written) = (appender.taken, appender.written);
        self.count(|m| {
            m.pack_messages += moved.len() as u64;
            m.pack_bytes_taken += taken;
            m.pack_bytes += written;
        });
        Ok(Moved { to: moved, packs })
    }

    async fn push_group(
        &self,
        appender: &mut Appender<'_, D>,
        group: Vec<(BodyAddr, Raw)>,
        dictionary: Option<&Dictionary>,
        moved: &mut HashMap<BodyAddr, BodyAddr>,
    ) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        let dictionary = dictionary.cloned();
        let compress = move || Ready::of(group, dictionary.as_ref());
        for ready in self.0.disk.offload(compress).await? {
            match ready {
                Ready::Alone(from, entry) => drop(moved.insert(from, appender.push(entry).await?)),
                Ready::Together(from, group) => moved.extend(from.into_iter().zip(appender.push_group(group).await?)),
            }
        }
        Ok(())
    }

    /// One small enough to be held. An entry of another pack goes as it lies there, unless it is one of a group.
    async fn read_to_move(
        &self,
        handle: &AccountHandle,
        folder: &Path,
        from: &BodyAddr,
        packed: &Packed,
    ) -> Result<Whole, ReadError> {
        let Place::Pack(number) = from.place else {
            let (message, cache) = self.0.log.read_whole(from).await?;
            return Ok(Whole::Raw((packed.clone(), message, cache)));
        };
        let whose = (number, from, &packed.guid);
        let (header, payload) = self.0.packs.read_entry(handle.id(), folder, whose).await?;
        if header.encoding != Encoding::Grouped {
            return Ok(Whole::AsItLies(Entry::again(header, payload)));
        }
        let message = match self.0.packs.read_kept(handle.id(), whose, &(0..u64::MAX)) {
            Some(message) => message,
            None => self.0.packs.read_body(handle.id(), folder, whose, 0..u64::MAX).await?,
        };
        let cache = self.0.packs.read_cache(handle.id(), folder, whose).await?;
        Ok(Whole::Raw((header.packed, message, cache)))
    }

    /// Moves one too large to be held, a frame at a time; `None` when it can not be read, which is told.
    async fn push_large(
        &self,
        handle: &AccountHandle,
        appender: &mut Appender<'_, D>,
        folder: &Path,
        from: &BodyAddr,
        packed: &Packed,
    ) -> Result<Option<BodyAddr>, StoreError> {
        let moved = match from.place {
            Place::Pack(number) => self.copy_large(handle, appender, folder, (number, from, &packed.guid)).await,
            Place::Log(_) | Place::Object(_) => self.pack_large(appender, from, packed).await,
        };
        match moved {
            Ok(to) => Ok(Some(to)),
            Err(Failure::Read(error)) => self.lost(handle, packed, error).map(|()| None),
            Err(Failure::Write(error)) => Err(error.into()),
        }
    }

    async fn pack_large(
        &self,
        appender: &mut Appender<'_, D>,
        from: &BodyAddr,
        packed: &Packed,
    ) -> Result<BodyAddr, Failure> {
        let (pieces, cache) = self.0.log.pieces(from).await?;
        let mut growing = appender.grow(packed.clone(), from.bytes, from.cache_bytes, Encoding::Zstd).await?;
        for piece in pieces {
            let piece = self.0.log.read_piece(piece).await?;
            self.extend(appender, &mut growing, piece).await?;
        }
        self.extend(appender, &mut growing, cache).await?;
        Ok(appender.close(growing).await?)
    }

    async fn extend(
        &self,
        appender: &mut Appender<'_, D>,
        growing: &mut Growing,
        piece: Vec<u8>,
    ) -> Result<(), Failure> {
        let frame = self.0.disk.offload(move || LargeFrame::new(&piece)).await??;
        Ok(appender.extend(growing, frame).await?)
    }

    async fn copy_large(
        &self,
        handle: &AccountHandle,
        appender: &mut Appender<'_, D>,
        folder: &Path,
        from: Whose<'_>,
    ) -> Result<BodyAddr, Failure> {
        let mut open = self.0.packs.open_entry(handle.id(), folder, from).await?;
        let (packed, encoding) = (open.packed()?, open.encoding());
        let mut growing = appender.grow(packed, from.1.bytes, from.1.cache_bytes, encoding).await?;
        while let Some(frame) = self.0.packs.next_frame(&mut open).await? {
            appender.extend(&mut growing, frame).await?;
        }
        open.check(growing.payload_crc())?;
        Ok(appender.close(growing).await?)
    }

    /// A body that is not what was written: told, and passed by. A disk that fails to read is another matter.
    fn lost(&self, handle: &AccountHandle, packed: &Packed, error: ReadError) -> Result<(), StoreError> {
        if !error.is_damage() {
            return Err(error.into());
        }
        let (mailbox, uid) = (packed.mailbox.0, packed.uid.0);
        tracing::error!(user = %handle.user(), mailbox, uid, %error, "a message can not be read and stays where it is");
        self.count(|m| m.bodies_lost += 1);
        Ok(())
    }
}

/// What has to move, each body once.
fn wanted((mailboxes, bodies): (&[Frozen], Bodies), victims: &Victims) -> Vec<(BodyAddr, Packed)> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for mailbox in mailboxes {
        for row in mailbox.rows.from_rank(0) {
            let fixed = mailbox.fixed(row);
            let moves = match fixed.body.place {
                Place::Log(_) => bodies == Bodies::Move,
                Place::Pack(number) => victims.has(number),
                Place::Object(_) => false,
            };
            if !moves || !seen.insert(fixed.body) {
                continue;
            }
            let packed = Packed {
                guid: fixed.guid,
                mailbox: mailbox.id,
                validity: mailbox.validity,
                uid: row.uid,
                flags: row.flags,
                keywords: row.keywords.indexes().map(|i| mailbox.keywords[i].clone()).collect(),
                internal_date: fixed.internal_date,
                save_date: fixed.save_date,
            };
            out.push((fixed.body, packed));
        }
    }
    out
}
