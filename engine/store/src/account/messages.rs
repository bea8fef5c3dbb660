//! Messages: what a session asks of them, checked and made into ops.

use super::{Account, AccountError, values};
use crate::mailbox::{Mailbox, Row, SEEN_APART, seen_apart};
use crate::op::{NewMessage, Op, StoreMode};
use skein_base::limits::KEYWORDS_PER_MAILBOX_MAX;
use skein_base::{Flags, IdSet, MailboxId, ModSeq, Uid, is_unique_id};

/// What STORE wants.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// Which messages.
    pub uids: IdSet,
    /// How.
    pub mode: StoreMode,
    /// System flags named.
    pub flags: Flags,
    /// Keywords named.
    pub keywords: Vec<Box<str>>,
    /// Leave alone what changed after this (RFC 7162 §3.1.3).
    pub unchanged_since: Option<ModSeq>,
}

/// Which messages were copied, and what they are called now; the two sets pair up in order (RFC 4315 §3).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Copied {
    /// UIDs in the source.
    pub from: IdSet,
    /// UIDs in the target.
    pub to: IdSet,
}

impl Account {
    /// Messages arrive; the first UID they get, and the op.
    pub fn append(&self, id: MailboxId, messages: Vec<NewMessage>) -> Result<(Uid, Vec<Op>), AccountError> {
        let mailbox = self.target(id)?;
        messages.iter().try_for_each(|message| countable(&message.keywords))?;
        has_room(mailbox, messages.iter().flat_map(|message| &message.keywords))?;
        let first_uid = uids_for(mailbox, messages.len())?;
        let ops = if messages.is_empty() { Vec::new() } else { vec![Op::Append { mailbox: id, first_uid, messages }] };
        Ok((first_uid, ops))
    }

    /// A message arrives and another one leaves, in one record (RFC 8508). The new one's UID, and the ops.
    pub fn replace(
        &self,
        (from, uid): (MailboxId, Uid),
        to: MailboxId,
        message: NewMessage,
    ) -> Result<(Uid, Vec<Op>), AccountError> {
        let gone = self.remove(from, &IdSet::one(uid.0))?;
        if gone.is_empty() {
            return Err(AccountError::NoSuchMessage);
        }
        let (new, mut ops) = self.append(to, vec![message])?;
        ops.extend(gone);
        Ok((new, ops))
    }

    /// A message arrives that had a UID elsewhere: it keeps that one when it is above all that were given here. POP3 clients go on
    /// knowing it by its unique id, if it had one that they can be given. Its UID, and the ops.
    pub fn import(
        &self,
        id: MailboxId,
        (uid, unique_id): (Option<Uid>, Option<&str>),
        message: NewMessage,
    ) -> Result<(Uid, Vec<Op>), AccountError> {
        let (next, mut ops) = self.append(id, vec![message])?;
        // The last of the 32 bits is never given.
        let uid = uid.filter(|uid| *uid >= next && uid.0 < u32::MAX).unwrap_or(next);
        if let [Op::Append { first_uid, .. }] = &mut ops[..] {
            *first_uid = uid;
        }
        if let Some(unique_id) = unique_id.filter(|id| is_unique_id(id)) {
            ops.push(Op::SetUniqueId { mailbox: id, uid, id: unique_id.into() });
        }
        Ok((uid, ops))
    }

    /// POP3 clients know a message by this id. Nothing for one that is not there, or that they know by it already.
    pub fn set_unique_id(&self, mailbox: MailboxId, uid: Uid, id: &str) -> Result<Vec<Op>, AccountError> {
        let known = self.target(mailbox)?;
        if !is_unique_id(id) || known.rows().find(uid).is_none() || known.unique_id(uid) == Some(id) {
            return Ok(Vec::new());
        }
        Ok(vec![Op::SetUniqueId { mailbox, uid, id: id.into() }])
    }

    /// UIDs go on from here, if they are not above it already.
    pub fn raise_uid_next(&self, id: MailboxId, uid_next: Uid) -> Result<Vec<Op>, AccountError> {
        let is_above = uid_next > self.target(id)?.uid_next();
        Ok(if is_above {
            vec![Op::Append { mailbox: id, first_uid: uid_next, messages: Vec::new() }]
        } else {
            Vec::new()
        })
    }

    /// Flags change. Also says which messages were left alone because they had changed since.
    pub fn store(&self, id: MailboxId, request: StoreRequest) -> Result<(Vec<Op>, IdSet), AccountError> {
        self.store_apart(id, request, None)
    }

    /// The same for somebody to whom a column of values says what is `\Seen`: the flag itself stays as it is.
    pub fn store_apart(
        &self,
        id: MailboxId,
        request: StoreRequest,
        seen_by: Option<&str>,
    ) -> Result<(Vec<Op>, IdSet), AccountError> {
        if let Some(derived) = self.store_derived(id, &request) {
            return derived;
        }
        let mailbox = self.target(id)?;
        countable(&request.keywords)?;
        if request.mode != StoreMode::Remove {
            has_room(mailbox, &request.keywords)?;
        }
        let StoreRequest { mut uids, mode, flags, keywords, unchanged_since } = request;
        let mut modified = IdSet::new();
        if let Some(since) = unchanged_since {
            let changed = |row: &Row| mailbox.row_apart(seen_by, *row).modseq > since;
            modified = mailbox.rows().among(&uids).filter(changed).map(|row| row.uid.0).collect();
            uids = uids.difference(&modified);
        }
        let mut ops = Vec::new();
        if let Some((column, seen)) = seen_by.zip(seen_apart(mode, flags)) {
            // What was never seen needs not be unseen.
            let of: IdSet = match seen {
                SEEN_APART => uids.clone(),
                _ => mailbox.column(column).map(|kept| kept.with(|value| value == SEEN_APART)).unwrap_or_default(),
            };
            ops = self.set_values(id, column, &uids.intersection(&of), seen)?;
        }
        // Messages, and the flags that the request names for them.
        let parts = match (seen_by, mode) {
            (None, _) => vec![(uids, flags)],
            (Some(_), StoreMode::Add | StoreMode::Remove) => vec![(uids, flags & !Flags::SEEN)],
            (Some(_), StoreMode::Replace) => {
                let seen = mailbox.rows().among(&uids).filter(|row| row.flags.contains(Flags::SEEN));
                let seen: IdSet = seen.map(|row| row.uid.0).collect();
                vec![(uids.difference(&seen), flags & !Flags::SEEN), (seen, flags | Flags::SEEN)]
            }
        };
        let changes = |(uids, flags): &(IdSet, Flags)| {
            mailbox.rows().among(uids).any(|row| would_change(mailbox, &row, mode, *flags, &keywords))
        };
        // A keyword begins with the first STORE that names it, as with Dovecot: even if no message is left to carry it, and
        // even to be taken away. imaptest holds servers to it.
        let begins = !mailbox.knows(&keywords) && mailbox.has_room_for(keywords.iter().map(|name| &**name));
        let first = parts.iter().position(changes).or(begins.then_some(0));
        let parts = parts.into_iter().enumerate().filter(|(at, part)| Some(*at) == first || changes(part));
        ops.extend(parts.map(|(_, (uids, flags))| Op::Store {
            mailbox: id,
            uids,
            mode,
            flags,
            keywords: keywords.clone(),
        }));
        Ok((ops, modified))
    }

    /// Messages leave: those of the set that carry `\Deleted`, or all of it.
    pub fn expunge(&self, id: MailboxId, uids: Option<&IdSet>) -> Result<Vec<Op>, AccountError> {
        let marked = |mailbox: &Mailbox| match uids {
            Some(uids) => mailbox.rows().deleted().intersection(uids),
            None => mailbox.rows().deleted(),
        };
        if let Some(derived) = self.remove_derived(id, marked) {
            return derived;
        }
        let gone = marked(self.target(id)?);
        Ok(if gone.is_empty() { Vec::new() } else { vec![Op::Expunge { mailbox: id, uids: gone }] })
    }

    /// Messages leave whatever their flags, as far as they live.
    pub fn remove(&self, id: MailboxId, uids: &IdSet) -> Result<Vec<Op>, AccountError> {
        if let Some(derived) = self.remove_derived(id, |_| uids.clone()) {
            return derived;
        }
        let gone: IdSet = self.target(id)?.rows().among(uids).map(|row| row.uid.0).collect();
        Ok(if gone.is_empty() { Vec::new() } else { vec![Op::Expunge { mailbox: id, uids: gone }] })
    }

    /// Live messages of one mailbox also become messages of another, or of the same.
    pub fn copy(
        &self,
        from: MailboxId,
        uids: &IdSet,
        to: MailboxId,
        now: i64,
    ) -> Result<(Copied, Vec<Op>), AccountError> {
        if let Some(derived) = self.copy_derived(from, uids, to, now) {
            return derived;
        }
        let source = self.mailbox(from).ok_or(AccountError::NotLoaded)?;
        let target = self.target(to)?;
        let rows: Vec<Row> = source.rows().among(uids).collect();
        if rows.is_empty() {
            return Ok((Copied::default(), Vec::new()));
        }
        if from != to {
            let used = rows.iter().fold(0, |mask, row| mask | row.keywords.0);
            has_room(target, &names(source, skein_base::KeywordMask(used)))?;
        }
        let first_uid = uids_for(target, rows.len())?;
        let copied = Copied {
            from: rows.iter().map(|row| row.uid.0).collect(),
            to: IdSet::range(first_uid.0, first_uid.0 + rows.len() as u32 - 1),
        };
        let messages = rows.iter().map(|row| message(source, *row, now)).collect();
        let mut ops = vec![Op::Append { mailbox: to, first_uid, messages }];
        ops.extend(values::copied(source, &rows, (to, Some(target)), first_uid));
        Ok((copied, ops))
    }

    /// The same, and they leave where they were, in one record (RFC 6851).
    pub fn move_to(
        &self,
        from: MailboxId,
        uids: &IdSet,
        to: MailboxId,
        now: i64,
    ) -> Result<(Copied, Vec<Op>), AccountError> {
        if !self.is_derived(from) {
            self.target(from)?;
        }
        let (copied, mut ops) = self.copy(from, uids, to, now)?;
        ops.extend(self.remove(from, &copied.from)?);
        Ok((copied, ops))
    }

    /// A session has taken what was unclaimed as `\Recent`.
    pub fn claim_recent(&self, id: MailboxId) -> Vec<Op> {
        match self.entries.get(&id).and_then(|e| e.mailbox.as_deref()) {
            Some(mailbox) if mailbox.unclaimed() > 0 => {
                vec![Op::ClaimRecent { mailbox: id, below: mailbox.uid_next() }]
            }
            _ => Vec::new(),
        }
    }

    /// A mailbox that may change: in the tree and in memory.
    pub(super) fn target(&self, id: MailboxId) -> Result<&Mailbox, AccountError> {
        let entry = self.entries.get(&id).ok_or(AccountError::NoSuchMailbox)?;
        entry.mailbox.as_deref().ok_or(AccountError::NotLoaded)
    }
}

/// All messages of a mailbox as ops that move them into a mailbox just created.
pub(super) fn move_all(source: &Mailbox, target: MailboxId) -> Vec<Op> {
    let rows: Vec<Row> = source.rows().from_rank(0).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let messages = rows.iter().map(|row| message(source, *row, source.fixed(*row).save_date)).collect();
    let uids = rows.iter().map(|row| row.uid.0).collect();
    let mut ops = vec![Op::Append { mailbox: target, first_uid: Uid(1), messages }];
    ops.extend(values::copied(source, &rows, (target, None), Uid(1)));
    ops.push(Op::Expunge { mailbox: source.id(), uids });
    ops
}

pub(super) fn message(source: &Mailbox, row: Row, save_date: i64) -> NewMessage {
    let fixed = source.fixed(row);
    NewMessage {
        flags: row.flags,
        keywords: names(source, row.keywords),
        internal_date: fixed.internal_date,
        save_date,
        size: fixed.size,
        guid: fixed.guid,
        body: fixed.body,
    }
}

pub(super) fn names(mailbox: &Mailbox, mask: skein_base::KeywordMask) -> Vec<Box<str>> {
    mask.indexes().map(|i| mailbox.keywords()[i].clone()).collect()
}

fn would_change(mailbox: &Mailbox, row: &Row, mode: StoreMode, flags: Flags, keywords: &[Box<str>]) -> bool {
    let mask = mailbox.mask(keywords);
    let all_known = mailbox.knows(keywords);
    match mode {
        StoreMode::Replace => row.flags != flags || row.keywords != mask || !all_known,
        StoreMode::Add => !row.flags.contains(flags) || row.keywords.0 & mask.0 != mask.0 || !all_known,
        StoreMode::Remove => !(row.flags & flags).is_empty() || row.keywords.0 & mask.0 != 0,
    }
}

/// More names for one message than a mailbox may know are refused, even if all of them are the same.
fn countable(keywords: &[Box<str>]) -> Result<(), AccountError> {
    if keywords.len() <= KEYWORDS_PER_MAILBOX_MAX { Ok(()) } else { Err(too_many_keywords()) }
}

fn has_room<'a>(mailbox: &Mailbox, keywords: impl IntoIterator<Item = &'a Box<str>>) -> Result<(), AccountError> {
    let names = keywords.into_iter().map(|name| &**name);
    if mailbox.has_room_for(names) { Ok(()) } else { Err(too_many_keywords()) }
}

fn too_many_keywords() -> AccountError {
    AccountError::TooManyKeywords { max: KEYWORDS_PER_MAILBOX_MAX }
}

/// The first of `count` fresh UIDs. The last of the 32 bits is never given, so that UIDNEXT can always be told.
pub(super) fn uids_for(mailbox: &Mailbox, count: usize) -> Result<Uid, AccountError> {
    let first = mailbox.uid_next();
    let count = u32::try_from(count).map_err(|_| AccountError::OutOfUids)?;
    first.0.checked_add(count).map(|_| first).ok_or(AccountError::OutOfUids)
}
