//! What an account must look like: IMAP's rules on plain maps, written without a look at the store's own.

use crate::account::{Account, Metadata, MetadataChange, Named, StoreRequest, encode_account};
use crate::body::Bodies;
use crate::body::{BodyAddr, Place};
use crate::mailbox::Mailbox;
use crate::op::{NewMessage, StoreMode};
use skein_base::{Flags, Guid, IdSet, MailboxId, SpecialUse};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A message as a client knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub flags: Flags,
    pub keywords: BTreeSet<Box<str>>,
    pub modseq: u64,
    pub internal_date: i64,
    pub save_date: i64,
    pub size: u32,
    pub guid: Guid,
    pub unique_id: Option<Box<str>>,
    /// What it has in columns of values, and since when.
    pub values: BTreeMap<Box<str>, (u64, u64)>,
}

/// A mailbox as a client knows it, and what is kept for clients that come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    pub name: Box<str>,
    pub validity: u32,
    pub special_use: SpecialUse,
    pub metadata: Metadata,
    pub uid_next: u32,
    pub modseq: u64,
    pub first_recent: u32,
    pub keywords: Vec<Box<str>>,
    pub messages: BTreeMap<u32, Rc<Message>>,
    pub expunged: Vec<(u64, IdSet)>,
}

/// An account. Clones share what they have in common.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct State {
    pub folders: BTreeMap<u32, Rc<Folder>>,
    pub subscriptions: BTreeSet<Box<str>>,
    pub metadata: Metadata,
    pub mailbox_last: u32,
    pub validity_last: u32,
}

/// What a request comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Changed,
    Nothing,
    Refused,
}

use Outcome::{Changed, Nothing, Refused};

fn canonical(name: &str) -> String {
    let mut levels: Vec<String> = name.split('/').map(str::to_owned).collect();
    if levels[0].eq_ignore_ascii_case("inbox") {
        levels[0] = "INBOX".into();
    }
    levels.join("/")
}

impl Folder {
    /// What a mailbox in memory shows.
    pub fn of(named: &Named<'_>, metadata: &Metadata, mailbox: &Mailbox) -> Folder {
        let frozen = mailbox.freeze(Bodies::Move);
        let runs = mailbox.columns().map(|(_, column)| column.runs().len()).sum();
        assert_eq!(mailbox.values_kept(), (mailbox.columns().count(), runs), "they are counted as they come and go");
        let messages = frozen.rows.from_rank(0).map(|row| {
            let fixed = frozen.fixed(row);
            let message = Message {
                flags: row.flags,
                keywords: row.keywords.indexes().map(|i| frozen.keywords[i].clone()).collect(),
                modseq: row.modseq.0,
                internal_date: fixed.internal_date,
                save_date: fixed.save_date,
                size: fixed.size,
                guid: fixed.guid,
                unique_id: frozen.unique_id(row.uid).map(Into::into),
                values: mailbox
                    .columns()
                    .filter_map(|(name, column)| {
                        let cell = column.get(row.uid)?;
                        Some((name.into(), (cell.value, cell.modseq.0)))
                    })
                    .collect(),
            };
            (row.uid.0, Rc::new(message))
        });
        Folder {
            name: named.name.into(),
            validity: frozen.validity.0,
            special_use: named.special_use,
            metadata: metadata.clone(),
            uid_next: frozen.uid_next.0,
            modseq: frozen.modseq.0,
            first_recent: frozen.first_recent.0,
            messages: messages.collect(),
            expunged: frozen.expunged.iter().map(|(modseq, uids)| (modseq.0, uids.clone())).collect(),
            keywords: frozen.keywords,
        }
    }

    fn empty(name: &str, validity: u32) -> Folder {
        Folder {
            name: name.into(),
            validity,
            special_use: SpecialUse::NONE,
            metadata: Metadata::new(),
            uid_next: 1,
            modseq: 1,
            first_recent: 1,
            keywords: Vec::new(),
            messages: BTreeMap::new(),
            expunged: Vec::new(),
        }
    }

    fn learn(&mut self, keywords: &[Box<str>]) {
        for name in keywords {
            if !self.keywords.contains(name) {
                self.keywords.push(name.clone());
            }
        }
    }

    fn append(&mut self, messages: &[NewMessage]) {
        self.modseq += 1;
        for message in messages {
            self.learn(&message.keywords);
            let arrived = Message {
                flags: message.flags,
                keywords: message.keywords.iter().cloned().collect(),
                modseq: self.modseq,
                internal_date: message.internal_date,
                save_date: message.save_date,
                size: message.size,
                guid: message.guid,
                unique_id: None,
                values: BTreeMap::new(),
            };
            self.messages.insert(self.uid_next, Rc::new(arrived));
            self.uid_next += 1;
        }
    }

    fn expunge(&mut self, uids: &[u32]) {
        self.modseq += 1;
        self.messages.retain(|uid, _| !uids.contains(uid));
        self.expunged.push((self.modseq, uids.iter().copied().collect()));
    }

    fn live(&self, uids: &IdSet) -> Vec<u32> {
        self.messages.keys().copied().filter(|&uid| uids.contains(uid)).collect()
    }

    /// Messages as a copy carries them; keywords in the order of the mailbox's table.
    fn carried(&self, uids: &[u32], save_date: Option<i64>) -> Vec<NewMessage> {
        let carry = |uid: &u32| {
            let message = &self.messages[uid];
            NewMessage {
                flags: message.flags,
                keywords: self.keywords.iter().filter(|k| message.keywords.contains(*k)).cloned().collect(),
                internal_date: message.internal_date,
                save_date: save_date.unwrap_or(message.save_date),
                size: message.size,
                guid: message.guid,
                // Where bodies are is the store's affair.
                body: BodyAddr { place: Place::Log(0), offset: 0, bytes: 0, cache_bytes: 0, stored: 0, chunked: false },
            }
        };
        uids.iter().map(carry).collect()
    }
}

impl State {
    /// A new account.
    pub fn born(validity: u32) -> State {
        let mut state = State::default();
        state.add("INBOX", validity);
        state
    }

    /// What an account in memory shows; mailboxes that are not loaded are taken from `like`.
    pub fn of(account: &Account, like: Option<&State>) -> State {
        let folders = account.mailboxes().map(|named| {
            let folder = match account.mailbox(named.id) {
                Some(mailbox) => {
                    assert_eq!((mailbox.id(), mailbox.validity()), (named.id, named.validity));
                    let metadata = account.metadata(Some(named.id)).expect("it is in the tree");
                    Rc::new(Folder::of(&named, metadata, mailbox))
                }
                None => like.and_then(|s| s.folders.get(&named.id.0)).expect("a mailbox is not loaded").clone(),
            };
            (named.id.0, folder)
        });
        let bytes = encode_account(account, Bodies::Move);
        let user = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        State {
            folders: folders.collect(),
            subscriptions: account.subscriptions().map(Into::into).collect(),
            metadata: account.metadata(None).expect("an account has its own").clone(),
            mailbox_last: word(2 + user),
            validity_last: word(6 + user),
        }
    }

    pub fn folder(&self, id: MailboxId) -> &Folder {
        &self.folders[&id.0]
    }

    pub fn id_of(&self, name: &str) -> Option<u32> {
        let name = canonical(name);
        self.folders.iter().find(|(_, folder)| *folder.name == *name).map(|(id, _)| *id)
    }

    fn change(&mut self, id: MailboxId) -> &mut Folder {
        Rc::make_mut(self.folders.get_mut(&id.0).expect("the client has looked"))
    }

    fn add(&mut self, name: &str, validity: u32) -> MailboxId {
        self.mailbox_last += 1;
        self.validity_last = validity;
        self.folders.insert(self.mailbox_last, Rc::new(Folder::empty(name, validity)));
        MailboxId(self.mailbox_last)
    }

    pub fn append(&mut self, id: MailboxId, messages: &[NewMessage]) -> Outcome {
        self.change(id).append(messages);
        Changed
    }

    pub fn set_unique_id(&mut self, id: MailboxId, uid: u32, unique_id: &str) -> Outcome {
        let folder = self.folder(id);
        match folder.messages.get(&uid) {
            Some(message) if message.unique_id.as_deref() != Some(unique_id) => {
                let changed = Message { unique_id: Some(unique_id.into()), ..(**message).clone() };
                self.change(id).messages.insert(uid, Rc::new(changed));
                Changed
            }
            _ => Nothing,
        }
    }

    pub fn set_values(&mut self, id: MailboxId, column: &str, uids: &IdSet, value: u64) -> Outcome {
        let values = self.folder(id).live(uids).into_iter().map(|uid| (uid, value)).collect();
        self.give(id, column, &values)
    }

    fn give(&mut self, id: MailboxId, column: &str, values: &BTreeMap<u32, u64>) -> Outcome {
        let folder = self.change(id);
        let modseq = folder.modseq + 1;
        let mut outcome = Nothing;
        for (uid, value) in values {
            let message = folder.messages.get_mut(uid).expect("it lives");
            if message.values.get(column).map_or(0, |(value, _)| *value) == *value {
                continue;
            }
            (outcome, folder.modseq) = (Changed, modseq);
            match value {
                0 => drop(Rc::make_mut(message).values.remove(column)),
                _ => drop(Rc::make_mut(message).values.insert(column.into(), (*value, modseq))),
            }
        }
        outcome
    }

    /// What messages have comes along with their copies.
    fn copy_values(&mut self, from: &Folder, uids: &[u32], to: MailboxId) {
        let first = self.folder(to).uid_next - uids.len() as u32;
        let columns: BTreeSet<Box<str>> =
            uids.iter().flat_map(|uid| from.messages[uid].values.keys().cloned()).collect();
        for column in columns {
            let values = uids.iter().zip(first..).filter_map(|(uid, copy)| {
                let (value, _) = from.messages[uid].values.get(&column)?;
                Some((copy, *value))
            });
            self.give(to, &column, &values.collect());
        }
    }

    /// Also the messages left alone.
    pub fn store(&mut self, id: MailboxId, request: &StoreRequest) -> (Outcome, IdSet) {
        let folder = self.folder(id);
        let since = request.unchanged_since.map_or(u64::MAX, |since| since.0);
        let (try_these, modified): (Vec<u32>, Vec<u32>) =
            folder.live(&request.uids).into_iter().partition(|uid| folder.messages[uid].modseq <= since);
        let named: BTreeSet<Box<str>> = request.keywords.iter().cloned().collect();
        let wish = |old: &Message| match request.mode {
            StoreMode::Replace => (request.flags, named.clone()),
            StoreMode::Add => (old.flags | request.flags, &old.keywords | &named),
            StoreMode::Remove => (old.flags & !request.flags, &old.keywords - &named),
        };
        let mut changes = Vec::new();
        for uid in &try_these {
            let old = &folder.messages[uid];
            let (flags, keywords) = wish(old);
            if (flags, &keywords) != (old.flags, &old.keywords) {
                changes.push((*uid, flags, keywords));
            }
        }
        // A keyword begins with the first STORE that names it, even if no message is left to carry it.
        let learns = named.iter().any(|k| !folder.keywords.contains(k));
        let modified = modified.into_iter().collect();
        if changes.is_empty() && !learns {
            return (Nothing, modified);
        }
        let folder = self.change(id);
        folder.modseq += 1;
        folder.learn(&request.keywords);
        for (uid, flags, keywords) in changes {
            let modseq = folder.modseq;
            let message = Rc::make_mut(folder.messages.get_mut(&uid).unwrap());
            (message.flags, message.keywords, message.modseq) = (flags, keywords, modseq);
        }
        (Changed, modified)
    }

    pub fn expunge(&mut self, id: MailboxId, within: Option<&IdSet>) -> Outcome {
        let deleted = |message: &Message| message.flags.contains(Flags::DELETED);
        let folder = self.folder(id);
        let gone = folder.messages.iter().filter(|(_, m)| deleted(m)).map(|(uid, _)| *uid);
        let gone: Vec<u32> = gone.filter(|&uid| within.is_none_or(|set| set.contains(uid))).collect();
        if gone.is_empty() {
            return Nothing;
        }
        self.change(id).expunge(&gone);
        Changed
    }

    pub fn copy(&mut self, from: MailboxId, uids: &IdSet, to: MailboxId, now: i64, moves: bool) -> Outcome {
        let live = self.folder(from).live(uids);
        if live.is_empty() {
            return Nothing;
        }
        let messages = self.folder(from).carried(&live, Some(now));
        let source = self.folder(from).clone();
        self.change(to).append(&messages);
        self.copy_values(&source, &live, to);
        if moves {
            self.change(from).expunge(&live);
        }
        Changed
    }

    pub fn claim(&mut self, id: MailboxId) -> Outcome {
        let folder = self.folder(id);
        if !folder.messages.keys().any(|&uid| uid >= folder.first_recent) {
            return Nothing;
        }
        let uid_next = folder.uid_next;
        self.change(id).first_recent = uid_next;
        Changed
    }

    pub fn create(&mut self, name: &str, uses: SpecialUse, now: i64) -> Outcome {
        if self.id_of(name).is_some() || self.folders.values().any(|folder| folder.special_use.shares(uses)) {
            return Refused;
        }
        self.add(&canonical(name), (now as u32).max(self.validity_last + 1));
        let id = MailboxId(self.mailbox_last);
        self.change(id).special_use = uses;
        Changed
    }

    /// Of a mailbox, or of the account itself.
    pub fn set_metadata(&mut self, of: Option<MailboxId>, changes: &[MetadataChange]) -> Outcome {
        let mut next = match of {
            Some(id) => self.folder(id).metadata.clone(),
            None => self.metadata.clone(),
        };
        for (name, value) in changes {
            match value {
                Some(value) => drop(next.insert(name.clone(), value.clone())),
                None => drop(next.remove(name)),
            }
        }
        let now = match of {
            Some(id) => &mut self.change(id).metadata,
            None => &mut self.metadata,
        };
        if *now == next {
            return Nothing;
        }
        *now = next;
        Changed
    }

    pub fn set_special_use(&mut self, id: MailboxId, uses: SpecialUse) -> Outcome {
        let before: Vec<SpecialUse> = self.folders.values().map(|folder| folder.special_use).collect();
        let all: Vec<u32> = self.folders.keys().copied().collect();
        for other in all {
            let kept = self.folders[&other].special_use.0 & !uses.0;
            self.change(MailboxId(other)).special_use = if other == id.0 { uses } else { SpecialUse(kept) };
        }
        if self.folders.values().map(|folder| folder.special_use).eq(before) { Nothing } else { Changed }
    }

    pub fn delete(&mut self, name: &str) -> Outcome {
        match self.id_of(name) {
            Some(id) if id != MailboxId::INBOX.0 => {
                self.folders.remove(&id);
                Changed
            }
            _ => Refused,
        }
    }

    /// A whole branch, all of it or nothing.
    pub fn rename(&mut self, from: &str, to: &str) -> Outcome {
        let (from, to) = (canonical(from), canonical(to));
        let below = format!("{from}/");
        if self.id_of(&to).is_some() || to.starts_with(&below) {
            return Refused;
        }
        let branch = self.folders.iter().filter(|(_, f)| *f.name == *from || f.name.starts_with(&below));
        let moved: Vec<(u32, String)> = branch.map(|(id, f)| (*id, format!("{to}{}", &f.name[from.len()..]))).collect();
        if moved.is_empty() || moved.iter().any(|(_, name)| self.id_of(name).is_some()) {
            return Refused;
        }
        for (id, name) in moved {
            self.change(MailboxId(id)).name = name.into();
        }
        Changed
    }

    pub fn empty_inbox_into(&mut self, to: &str, now: i64) -> Outcome {
        if self.create(to, SpecialUse::NONE, now) == Refused {
            return Refused;
        }
        let target = MailboxId(self.mailbox_last);
        self.change(target).metadata = self.folder(MailboxId::INBOX).metadata.clone();
        let all: Vec<u32> = self.folder(MailboxId::INBOX).messages.keys().copied().collect();
        if !all.is_empty() {
            let messages = self.folder(MailboxId::INBOX).carried(&all, None);
            let source = self.folder(MailboxId::INBOX).clone();
            self.change(target).append(&messages);
            self.copy_values(&source, &all, target);
            self.change(MailboxId::INBOX).expunge(&all);
        }
        Changed
    }

    pub fn subscribe(&mut self, name: &str, on: bool) -> Outcome {
        let name: Box<str> = canonical(name).into();
        let changed = if on { self.subscriptions.insert(name) } else { self.subscriptions.remove(&name) };
        if changed { Changed } else { Nothing }
    }
}
