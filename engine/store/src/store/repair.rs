//! What is made of what is left when a snapshot or the tree is gone or damaged and the log no longer has everything.
//!
//! ```text
//! tree gone      ──▶ the snapshots beside it tell mailboxes and names          + the log's tail
//! snapshot gone  ──▶ entries of the account's packs that no other mailbox names + what all of the log says of it
//! ```
//!
//! No mail is lost by this. What can be lost is told: flags that changed after a message was packed; and what was expunged and not yet
//! compacted comes back.

use super::open::Logged;
use super::{Store, paths};
use crate::account::{Account, Salvaged};
use crate::body::{BodyAddr, Place};
use crate::error::StoreError;
use crate::log::segments;
use crate::mailbox::{MODSEQS_PASSED_OVER, Mailbox, SharedBytes, Snapshot, UIDS_PASSED_OVER};
use crate::op::{NewMessage, Op};
use crate::pack::{Packed, parse_pack_name};
use crate::snapshot;
use skein_base::seam::{Clock, Disk};
use skein_base::{AccountId, Guid, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::rc::Rc;

/// A mailbox whose snapshot is no more.
pub(super) struct Damaged {
    pub mailbox: MailboxId,
    pub validity: UidValidity,
    /// Where the tree says that its snapshot was true to; what came later is in the tail.
    pub true_to: LogPos,
    /// The account's other mailboxes.
    pub others: Vec<MailboxId>,
    /// What the log says of it from here on is replayed anyway.
    pub log_to: LogPos,
    /// Messages that the log's tail brings anyway.
    pub replayed: HashSet<Guid>,
}

impl Damaged {
    pub fn of(account: &Account, mailbox: MailboxId, validity: UidValidity) -> Damaged {
        let others = account.mailboxes().map(|m| m.id).filter(|other| *other != mailbox).collect();
        let true_to = account.snapshot_of(mailbox);
        Damaged { mailbox, validity, true_to, others, log_to: true_to, replayed: HashSet::new() }
    }
}

/// A message found in a pack.
struct Found {
    addr: BodyAddr,
    packed: Packed,
}

impl<D: Disk, C: Clock> Store<D, C> {
    /// Whether no segment was ever removed, so that the log alone tells every account.
    pub(super) async fn log_is_whole(&self) -> Result<bool, StoreError> {
        let present = segments(&self.0.disk, &self.0.log_dir).await?;
        let none_is_gone = present.iter().copied().eq(1..=present.len() as u64);
        Ok(none_is_gone && present.len() as u64 >= self.0.log.numbers_before())
    }

    /// The messages that these ops bring and whose bodies are still in the log.
    pub(super) async fn brought_by<'a>(&self, ops: impl Iterator<Item = &'a Op>) -> Result<HashSet<Guid>, StoreError> {
        let present: HashSet<u64> = segments(&self.0.disk, &self.0.log_dir).await?.into_iter().collect();
        let messages = ops.flat_map(|op| match op {
            Op::Append { messages, .. } => &messages[..],
            _ => &[],
        });
        let is_there = |body: &BodyAddr| match body.place {
            Place::Log(segment) => present.contains(&segment),
            _ => true,
        };
        Ok(messages.filter(|message| is_there(&message.body)).map(|message| message.guid).collect())
    }

    /// The tree as the snapshots beside it tell it; `None` when there are none.
    pub(super) async fn salvage_tree(&self, id: AccountId, folder: &Path) -> Result<Option<Account>, StoreError> {
        let names = match self.0.disk.list(folder).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            names => names?,
        };
        let mut found = Vec::new();
        for mailbox in names.iter().filter_map(|name| paths::mailbox_of(name)) {
            let Some(snapshot) = self.sound_snapshot(id, mailbox, folder).await? else { continue };
            let name = snapshot::name(&snapshot).filter(|name| !name.is_empty());
            let name = match (mailbox, name) {
                (MailboxId::INBOX, _) => "INBOX".into(),
                (_, Some(name)) => name.into(),
                (_, None) => format!("Recovered-{}", mailbox.0).into_boxed_str(),
            };
            let (validity, true_to) = (snapshot.head().uid_validity, snapshot.head().true_to);
            let bodies_from = snapshot::bodies_from(&snapshot);
            found.push(Salvaged { id: mailbox, validity, true_to, name, bodies_from });
        }
        let packs = names.iter().filter_map(|name| parse_pack_name(name)).count();
        // Snapshots that are all hurt are a loss as well, not an account that never was.
        let snapshots = names.iter().filter_map(|name| paths::mailbox_of(name)).count();
        if snapshots == 0 && packs == 0 {
            return Ok(None);
        }
        tracing::error!(
            account = %id.hex(), mailboxes = found.len(), packs,
            "the tree is gone: mailboxes are taken from their snapshots; subscriptions, and names given since, are lost"
        );
        self.count(|m| m.salvaged += 1);
        Ok(Some(Account::salvaged(found)))
    }

    /// Places in the tree for mailboxes that the tail speaks of and nobody made: what made them is lost, their messages need not be.
    pub(super) async fn place_strangers(
        &self,
        id: AccountId,
        state: &mut Account,
        ops: &[&Op],
        folder: &Path,
    ) -> Result<bool, StoreError> {
        let makes = |op: &Op| match op {
            Op::CreateAccount { .. } => Some(MailboxId::INBOX),
            Op::CreateMailbox { mailbox, .. } => Some(*mailbox),
            _ => None,
        };
        let made: HashSet<MailboxId> = ops.iter().filter_map(|op| makes(op)).collect();
        let spoken_of: BTreeSet<MailboxId> = ops.iter().filter_map(|op| op.messages_of()).collect();
        let strangers = spoken_of.into_iter().filter(|mailbox| !state.exists(*mailbox) && !made.contains(mailbox));
        let strangers: Vec<MailboxId> = strangers.collect();
        for &mailbox in &strangers {
            let snapshot = self.sound_snapshot(id, mailbox, folder).await?;
            let name = snapshot.as_ref().and_then(|found| snapshot::name(found)).unwrap_or_default().to_owned();
            let validity = snapshot.map(|found| found.head().uid_validity);
            let name = state.recover(mailbox, &name, validity, self.now()).to_owned();
            tracing::error!(account = %id.hex(), name, "a mailbox whose making is lost is there again");
        }
        Ok(!strangers.is_empty())
    }

    /// Mailboxes whose snapshots stand beside a tree that is gone, and that the tail neither made nor deleted: what made them was in
    /// segments that are drained.
    pub(super) async fn adopt_snapshots(
        &self,
        id: AccountId,
        state: &mut Account,
        ops: &[&Op],
        folder: &Path,
    ) -> Result<bool, StoreError> {
        let names = match self.0.disk.list(folder).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            names => names?,
        };
        let is_deleted =
            |id: MailboxId| ops.iter().any(|op| matches!(op, Op::DeleteMailbox { mailbox } if *mailbox == id));
        let mut adopted = false;
        for mailbox in names.iter().filter_map(|name| paths::mailbox_of(name)) {
            if state.exists(mailbox) || is_deleted(mailbox) {
                continue;
            }
            let Some(snapshot) = self.sound_snapshot(id, mailbox, folder).await? else { continue };
            let name = snapshot::name(&snapshot).unwrap_or_default().to_owned();
            let name = state.recover(mailbox, &name, Some(snapshot.head().uid_validity), self.now()).to_owned();
            state.put(Mailbox::from_snapshot(Rc::new(snapshot)));
            tracing::error!(account = %id.hex(), name, "the tree is gone: a mailbox is taken from its snapshot");
            adopted = true;
        }
        Ok(adopted)
    }

    /// Whether an account without a tree has had one: its snapshots know of changes that the log does not, and those stay there until
    /// the first checkpoint is whole.
    pub(super) async fn tree_has_stood(
        &self,
        id: AccountId,
        state: &Account,
        tail: &[Logged],
        folder: &Path,
    ) -> Result<bool, StoreError> {
        for mailbox in state.mailboxes() {
            let Some(snapshot) = self.sound_snapshot(id, mailbox.id, folder).await? else { continue };
            let head = snapshot.head();
            let mut replayed = Mailbox::new(mailbox.id, mailbox.validity);
            for op in tail.iter().take_while(|record| record.end <= head.true_to).flat_map(|record| &record.ops) {
                match op {
                    Op::CreateMailbox { mailbox: made, .. } if *made == mailbox.id => {
                        replayed = Mailbox::new(mailbox.id, mailbox.validity);
                    }
                    Op::EndAccount { .. } => replayed = Mailbox::new(mailbox.id, mailbox.validity),
                    op if op.messages_of() == Some(mailbox.id) => replayed.apply_part(op),
                    _ => {}
                }
            }
            let is_same_life = head.uid_validity == mailbox.validity;
            if is_same_life && (head.uid_next, head.modseq) != (replayed.uid_next(), replayed.modseq()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A mailbox from the packs and the log.
    pub(super) async fn salvage_mailbox(
        &self,
        id: AccountId,
        Damaged { mailbox, validity, true_to, others, log_to, replayed }: Damaged,
        folder: &Path,
    ) -> Result<Mailbox, StoreError> {
        // What they show of it was of messages that may be others now.
        self.0.derived.borrow_mut().forget(id);
        let (named, guids) = self.named_elsewhere(id, &others, folder).await?;
        let mut found: BTreeMap<Guid, Found> = BTreeMap::new();
        for number in self.packs_in(folder).await? {
            for (addr, packed) in self.0.packs.entries(id, folder, number).await? {
                // An entry that was written again stands in a later pack too, and only that one stays.
                let guid = packed.guid;
                if !named.contains(&addr) && !guids.contains(&guid) && !replayed.contains(&guid) {
                    found.insert(guid, Found { addr, packed });
                }
            }
        }
        let in_log = self.found_in_log(id, (mailbox, validity), log_to, &mut found).await?;
        let (mut own, others): (Vec<Found>, Vec<Found>) = found.into_values().partition(|found| {
            (found.packed.mailbox, found.packed.validity) == (mailbox, validity) && found.packed.uid.0 > 0
        });
        let listed: HashSet<Uid> = in_log.iter().map(|found| found.packed.uid).collect();
        own.retain(|found| !listed.contains(&found.packed.uid));
        own.extend(in_log);
        own.sort_unstable_by_key(|found| found.packed.uid);
        own.dedup_by_key(|found| found.packed.uid);
        let (kept, strangers) = (own.len(), others.len());
        let mut made = Mailbox::new(mailbox, validity);
        own.into_iter().for_each(|found| put(&mut made, found.packed.uid, found));
        // Who came here by COPY or MOVE is listed under the mailbox that it was packed in, which does not name it any more.
        for found in others {
            let next = made.uid_next();
            put(&mut made, next, found);
        }
        let head = self.head_of(id, mailbox, folder).await?;
        let uid_next = head.map_or(made.uid_next().0.saturating_add(UIDS_PASSED_OVER), |head| head.0.0);
        let modseq = head.map_or(made.modseq().0 + MODSEQS_PASSED_OVER, |head| head.1.0 + 1);
        made.salvaged(Uid(uid_next.max(made.uid_next().0)), ModSeq(modseq), true_to);
        tracing::error!(
            account = %id.hex(), mailbox = mailbox.0, kept, strangers,
            "a mailbox's snapshot was damaged: its messages are listed again from the packs, with the flags they were packed with, and from the log; \
             UIDLs that POP3 clients knew from another server are lost"
        );
        self.count(|m| m.salvaged += 1);
        self.move_aside(&paths::mailbox(folder, mailbox)).await;
        Ok(made)
    }

    /// The messages that a mailbox had by what is left of the log up to `to`: where they are in the packs, which then have them no more, or in
    /// the log. What came before is not in there, what has left does not live.
    async fn found_in_log(
        &self,
        id: AccountId,
        (mailbox, validity): (MailboxId, UidValidity),
        to: LogPos,
        in_packs: &mut BTreeMap<Guid, Found>,
    ) -> Result<Vec<Found>, StoreError> {
        let told = self.replay_mailbox(id, (mailbox, validity), to).await?;
        let present: HashSet<u64> = segments(&self.0.disk, &self.0.log_dir).await?.into_iter().collect();
        let mut found = Vec::new();
        for row in told.rows().from_rank(0) {
            let fixed = told.fixed(row);
            let addr = match (in_packs.get(&fixed.guid), fixed.body.place) {
                (Some(packed), _) => packed.addr,
                (None, Place::Log(segment)) if present.contains(&segment) => fixed.body,
                (None, _) => continue,
            };
            let packed = Packed {
                guid: fixed.guid,
                mailbox,
                validity,
                uid: row.uid,
                flags: row.flags,
                keywords: row.keywords.indexes().map(|i| told.keywords()[i].clone()).collect(),
                internal_date: fixed.internal_date,
                save_date: fixed.save_date,
            };
            found.push(Found { addr, packed });
        }
        found.iter().for_each(|found| drop(in_packs.remove(&found.packed.guid)));
        Ok(found)
    }

    /// The bodies and identities that the account's other mailboxes name.
    async fn named_elsewhere(
        &self,
        id: AccountId,
        others: &[MailboxId],
        folder: &Path,
    ) -> Result<(HashSet<BodyAddr>, HashSet<Guid>), StoreError> {
        let (mut named, mut guids) = (HashSet::new(), HashSet::new());
        for &other in others {
            let Some(snapshot) = self.sound_snapshot(id, other, folder).await? else { continue };
            for row in 0..snapshot.rows() {
                let fixed = snapshot::fixed(&snapshot, row);
                named.insert(fixed.body);
                guids.insert(fixed.guid);
            }
        }
        Ok((named, guids))
    }

    async fn sound_snapshot(
        &self,
        id: AccountId,
        mailbox: MailboxId,
        folder: &Path,
    ) -> Result<Option<Snapshot>, StoreError> {
        let map = match self.0.disk.map(&paths::mailbox(folder, mailbox)).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            map => map?,
        };
        let is_its = |found: &Snapshot| (found.head().account, found.head().mailbox) == (id, mailbox);
        let found = Snapshot::open(SharedBytes::new(map)).ok();
        Ok(found.filter(|found| is_its(found) && snapshot::is_sound(found)))
    }

    /// UIDNEXT and HIGHESTMODSEQ of a damaged snapshot, when its header checks.
    async fn head_of(
        &self,
        id: AccountId,
        mailbox: MailboxId,
        folder: &Path,
    ) -> Result<Option<(Uid, ModSeq)>, StoreError> {
        let map = match self.0.disk.map(&paths::mailbox(folder, mailbox)).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            map => map?,
        };
        let head = skein_index::read_head(&map).ok();
        Ok(head.filter(|head| (head.account, head.mailbox) == (id, mailbox)).map(|head| (head.uid_next, head.modseq)))
    }

    /// A damaged file stays for whoever wants to look, under another name, until the next one.
    pub(super) async fn move_aside(&self, path: &Path) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".damaged");
        // It may be gone, and the repair does not hang on it.
        let _ = self.0.disk.rename(path, Path::new(&aside)).await;
    }
}

fn put(mailbox: &mut Mailbox, uid: Uid, found: Found) {
    let Packed { guid, flags, keywords, internal_date, save_date, .. } = found.packed;
    let (body, size) = (found.addr, found.addr.bytes);
    let message = NewMessage { flags, keywords, internal_date, save_date, size, guid, body };
    let id = mailbox.id();
    mailbox.apply_part(&Op::Append { mailbox: id, first_uid: uid, messages: vec![message] });
}
