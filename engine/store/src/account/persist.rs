//! The tree as bytes: the payload of an account's own snapshot. Bytes: engine/docs/ops-format.md.

use super::{Account, Entry, Metadata, Usage};
use crate::body::{Bodies, NO_SEGMENT};
use crate::op::{Reader, Writer};
use skein_base::{LogPos, MailboxId, SpecialUse, UidValidity, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// The payload was not written by [`encode`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountDamage {
    /// Where reading stopped.
    pub offset: usize,
}

/// The tree: user, mailboxes, subscriptions; of an account that has ended, no user and nothing else. Its log position travels in the file's header. To be put in place when the
/// snapshots of its mailboxes are, whose checkpoint did so with their bodies.
pub fn encode(account: &Account, bodies: Bodies) -> Vec<u8> {
    let mut out = Writer(Vec::new());
    out.text(account.user.as_ref().map_or("", UserName::as_str));
    out.u32(account.mailbox_last);
    out.u32(account.validity_last);
    out.u32(account.entries.len() as u32);
    for (id, entry) in &account.entries {
        out.u32(id.0);
        out.u32(entry.validity.0);
        let snapshot = entry.mailbox.as_ref().map_or(entry.snapshot, |mailbox| mailbox.pos());
        out.u64(snapshot.segment);
        out.u64(snapshot.offset);
        out.text(&entry.name);
    }
    out.u32(account.subscriptions.len() as u32);
    account.subscriptions.iter().for_each(|name| out.text(name));
    let special: Vec<_> = account.entries.iter().filter(|(_, entry)| !entry.special_use.is_none()).collect();
    let (annotated, measured) = (account.annotations().count(), account.measured().count());
    let in_log: Vec<(MailboxId, u64)> = in_log(account, bodies).collect();
    if !special.is_empty() || annotated > 0 || measured > 0 || !in_log.is_empty() {
        out.u32(special.len() as u32);
        for (id, entry) in special {
            out.u32(id.0);
            out.u8(entry.special_use.0);
        }
    }
    if annotated > 0 || measured > 0 || !in_log.is_empty() {
        out.u32(annotated as u32);
        for (mailbox, name, value) in account.annotations() {
            out.metadata_of(mailbox);
            out.text(name);
            out.bytes(value);
        }
    }
    if measured > 0 || !in_log.is_empty() {
        out.u32(measured as u32);
        for (id, usage) in account.measured() {
            out.u32(id.0);
            out.u64(usage.messages);
            out.u64(usage.bytes);
        }
    }
    if !in_log.is_empty() {
        out.u32(in_log.len() as u32);
        for (id, segment) in in_log {
            out.u32(id.0);
            out.u64(segment);
        }
    }
    out.0
}

/// The mailboxes whose snapshots name bodies in the log, and the oldest segment with one.
fn in_log(account: &Account, bodies: Bodies) -> impl Iterator<Item = (MailboxId, u64)> {
    let from = move |entry: &Entry| match &entry.mailbox {
        Some(mailbox) => mailbox.bodies_from_next(bodies),
        None => entry.bodies_from,
    };
    let all = account.entries.iter().map(move |(id, entry)| (*id, from(entry)));
    all.filter(|(_, segment)| *segment != NO_SEGMENT)
}

/// The version of the file that such a payload goes into: a reader that does not know all of it has to refuse.
pub(crate) fn version(account: &Account, bodies: Bodies) -> u32 {
    if in_log(account, bodies).next().is_some() {
        return skein_index::ACCOUNT_VERSION;
    }
    if account.measured().next().is_some() {
        return skein_index::ACCOUNT_VERSION_MEASURED;
    }
    if account.annotations().next().is_some() {
        return skein_index::ACCOUNT_VERSION_METADATA;
    }
    match account.entries.values().all(|entry| entry.special_use.is_none()) {
        true => skein_index::ACCOUNT_VERSION_PLAIN,
        false => skein_index::ACCOUNT_VERSION_USES,
    }
}

/// The tree back again, true to `pos`. Its mailboxes are not in memory yet.
pub fn decode(payload: &[u8], pos: LogPos) -> Result<Account, AccountDamage> {
    let mut input = Reader { bytes: payload, at: 0 };
    let account = read(&mut input, pos);
    account.filter(|_| input.at == payload.len()).ok_or(AccountDamage { offset: input.at })
}

/// Whose tree this is, without a look at the rest; `None` for one that has ended.
pub fn decode_user(payload: &[u8]) -> Result<Option<UserName>, AccountDamage> {
    let mut input = Reader { bytes: payload, at: 0 };
    read_user(&mut input).ok_or(AccountDamage { offset: input.at })
}

fn read_user(input: &mut Reader<'_>) -> Option<Option<UserName>> {
    match &*input.text()? {
        "" => Some(None),
        name => Some(Some(UserName::new(name).ok()?)),
    }
}

fn read(input: &mut Reader<'_>, pos: LogPos) -> Option<Account> {
    let user = read_user(input)?;
    let (mailbox_last, validity_last) = (MailboxId::stored(input.u32()?)?.0, input.u32()?);
    let (mut entries, mut names) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..input.u32()? {
        let (id, validity) = (input.mailbox()?, UidValidity(input.u32()?));
        let snapshot = LogPos { segment: input.u64()?, offset: input.u64()? };
        let name = input.text()?;
        names.insert(name.clone(), id);
        entries.insert(id, Entry::new(name, validity, snapshot));
    }
    let subscriptions: BTreeSet<_> = (0..input.u32()?).map(|_| input.text()).collect::<Option<_>>()?;
    if input.at < input.bytes.len() {
        for _ in 0..input.u32()? {
            let (id, uses) = (MailboxId(input.u32()?), input.u8()?);
            entries.get_mut(&id)?.special_use = SpecialUse(uses & SpecialUse::ALL.0);
        }
    }
    let mut metadata = Metadata::new();
    if input.at < input.bytes.len() {
        for _ in 0..input.u32()? {
            let of = match input.metadata_of()? {
                Some(id) => &mut entries.get_mut(&id)?.metadata,
                None => &mut metadata,
            };
            of.insert(input.text()?, input.bytes()?);
        }
    }
    if input.at < input.bytes.len() {
        for _ in 0..input.u32()? {
            let entry = entries.get_mut(&MailboxId(input.u32()?))?;
            entry.usage = Some(Usage { messages: input.u64()?, bytes: input.u64()? });
        }
    }
    if input.at < input.bytes.len() {
        for _ in 0..input.u32()? {
            let entry = entries.get_mut(&MailboxId(input.u32()?))?;
            entry.bodies_from = input.u64()?;
        }
    }
    let fits = match user {
        Some(_) => names.get("INBOX") == Some(&MailboxId::INBOX) && names.len() == entries.len(),
        None => entries.is_empty() && subscriptions.is_empty() && metadata.is_empty(),
    };
    fits.then_some(Account {
        user,
        pos,
        entries,
        names,
        subscriptions,
        metadata,
        mailbox_last,
        validity_last,
        orphans: BTreeMap::new(),
        derived: super::derived::AllDerived::default(),
        expected: BTreeMap::new(),
        dirty: false,
        journal: Default::default(),
    })
}
