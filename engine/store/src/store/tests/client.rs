//! One client: does whatever chance says, and holds the account against the model on the way.

use super::model::{Outcome, State};
use super::world::{Ledger, Perils, SimStore, World};
use crate::account::{Account, AccountError, MetadataChange, StoreRequest};
use crate::account_handle::AccountHandle;
use crate::body::{Bodies, BodyWriter};
use crate::dictionary::{Dictionary, DictionaryError};
use crate::error::StoreError;
use crate::log::LogError;
use crate::mailbox::{CacheAt, ViewId};
use crate::op::{NewMessage, Op, StoreMode};
use crate::sim::{SimClock, SimDisk, SimExecutor, SimRng};
use crate::store::{DrainLimits, OpenLimits};
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::{Flags, IdSet, MailboxId, ModSeq, SpecialUse, Uid, UserName};
use std::cell::RefCell;
use std::rc::Rc;

const NAMES: [&str; 9] = ["INBOX", "inbox", "a", "a/b", "a/b/c", "b", "Inbox/x", "c", "b/c"];
const KEYWORDS: [&str; 5] = ["$Forwarded", "$Junk", "work", "later", "x"];

/// What a client of a life works with.
#[derive(Clone)]
pub struct Life {
    pub store: SimStore,
    pub ledger: Rc<RefCell<Ledger>>,
    pub rng: SimRng,
    pub executor: SimExecutor,
    pub disk: SimDisk,
    pub clock: SimClock,
    pub faulty: bool,
    pub told_too_early: bool,
    /// Whether clients ask for drains.
    pub drains: bool,
    /// Whether clients end accounts.
    pub ends: bool,
}

impl Life {
    pub fn new(world: &World, store: &SimStore, faulty: bool, perils: &Perils) -> Life {
        Life {
            store: store.clone(),
            ledger: world.ledger.clone(),
            rng: world.rng.clone(),
            executor: world.executor.clone(),
            disk: world.disk.clone(),
            clock: world.clock.clone(),
            faulty,
            told_too_early: perils.told_too_early,
            drains: perils.drains,
            ends: perils.ends,
        }
    }

    /// A whole session. It ends when the log refuses.
    pub async fn client(self, who: usize, acts: u64) {
        let Some(handle) = self.open(who).await else { return };
        let mut client = Client { life: self, who, handle: Some(handle), view: None };
        for _ in 0..acts {
            let mut done = client.act().await;
            if matches!(done, Err(StoreError::Log(_) | StoreError::Account(AccountError::NoSuchAccount))) {
                done = client.start_over().await;
            }
            match done {
                Err(StoreError::Log(_)) => return,
                // Ended once more; the next act sees that.
                Err(StoreError::Account(AccountError::NoSuchAccount)) | Ok(()) => {}
                Err(error) => client.life.must_be_the_disk(&error),
            }
            if client.handle.is_none() {
                return;
            }
        }
    }

    /// `None` when the log refuses.
    async fn open(&self, who: usize) -> Option<Rc<AccountHandle>> {
        let user: UserName = self.ledger.borrow().accounts[who].user.clone();
        loop {
            match self.store.open(&user).await {
                Ok(handle) => {
                    self.opened(who, &handle);
                    return Some(handle);
                }
                Err(StoreError::Log(_)) => return None,
                Err(error) => {
                    self.must_be_the_disk(&error);
                    // Some opening writes: of one that has ended, that it has. Somebody makes room for it.
                    if self.rng.once_in(4) {
                        self.disk.set_capacity(None);
                    }
                }
            }
        }
    }

    fn opened(&self, who: usize, handle: &AccountHandle) {
        let (ledger, log) = (&mut *self.ledger.borrow_mut(), self.store.log());
        ledger.settle(ledger.accounts[who].home, log);
        if ledger.now(who).is_none() {
            // Whoever began the account comes here in the same breath, so nobody else has used it.
            let validity = handle.read(|account| account.find("inbox").unwrap().validity.0);
            ledger.push(who, State::born(validity), handle.last(), log);
        }
    }

    fn must_be_the_disk(&self, error: &StoreError) {
        assert!(self.faulty, "on a healthy disk: {error}");
    }
}

/// A selected mailbox, and the UIDs that the client believes to be there.
struct Selected {
    mailbox: MailboxId,
    view: ViewId,
    read_only: bool,
    list: Vec<u32>,
}

struct Client {
    life: Life,
    who: usize,
    /// Taken only between closing and opening again.
    handle: Option<Rc<AccountHandle>>,
    view: Option<Selected>,
}

impl Client {
    fn handle(&self) -> &Rc<AccountHandle> {
        self.handle.as_ref().expect("opened")
    }

    async fn act(&mut self) -> Result<(), StoreError> {
        self.is_true()?;
        match self.below(if self.life.ends { 30 } else { 29 }) {
            0..=5 => self.append().await,
            6..=8 => self.store().await,
            9 | 10 => self.expunge().await,
            11 | 12 => self.copy().await,
            13 => self.create().await,
            14 => self.delete().await,
            15 => self.rename().await,
            16 => self.subscribe().await,
            17 => self.checkpoint(),
            18 | 19 => self.select().await,
            20 => self.close(),
            21 => self.look().await,
            22 => self.come_back().await,
            23 => self.tidy().await,
            24 => self.drain(),
            25 if self.life.rng.once_in(2) => self.set_values().await,
            25 => self.set_unique_id().await,
            26 if self.life.rng.once_in(4) => self.keep_dictionary().await,
            27 => self.set_metadata().await,
            28 => self.set_special_use().await,
            29 => self.end().await,
            _ => self.sync().await,
        }
    }

    /// The account goes with everything in it, under whoever has it open.
    async fn end(&mut self) -> Result<(), StoreError> {
        let (end, finish) = self.life.store.end(self.handle())?;
        let step = self.life.ledger.borrow_mut().push_end(self.who, end, self.life.store.log());
        finish.await?;
        self.life.ledger.borrow_mut().tell(self.who, step);
        Err(AccountError::NoSuchAccount.into())
    }

    /// The session must end when the log lost what the account shows, or somebody ended it.
    fn is_true(&self) -> Result<(), StoreError> {
        self.handle().lost().map_or(Ok(()), |error| Err(error.into()))
    }

    /// The log refused, or lost something. The session ends; somebody may look after the disk; the client comes back.
    async fn start_over(&mut self) -> Result<(), StoreError> {
        if self.handle.is_none() {
            return Err(StoreError::Log(LogError::Closed));
        }
        self.close()?;
        for _ in 0..self.below(4) {
            if self.life.rng.once_in(2) {
                self.life.disk.set_capacity(None);
            }
            if let Err(LogError::Poisoned { .. }) = self.life.store.log().heal().await {
                return Err(StoreError::Log(LogError::Closed));
            }
        }
        self.handle = None;
        self.handle = self.life.open(self.who).await;
        match self.handle {
            Some(_) => self.must_match().await,
            None => Err(StoreError::Log(LogError::Closed)),
        }
    }

    fn below(&self, bound: usize) -> usize {
        self.life.rng.below(bound as u64) as usize
    }

    fn name(&self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }

    fn flags(&self) -> Flags {
        Flags(self.life.rng.next() as u8 & self.life.rng.next() as u8) & Flags::ALL
    }

    fn keywords(&self) -> Vec<Box<str>> {
        KEYWORDS.iter().filter(|_| self.life.rng.once_in(6)).map(|name| (*name).into()).collect()
    }

    fn model<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        // Of an account that has ended under this session there is nothing.
        look(self.life.ledger.borrow().now(self.who).unwrap_or(&State::default()))
    }

    /// A mailbox that was there and in memory a moment ago; `None` when it went meanwhile.
    async fn mailbox(&self) -> Result<Option<MailboxId>, StoreError> {
        let ids: Vec<u32> = self.model(|state| state.folders.keys().copied().collect());
        let id = MailboxId(ids[self.below(ids.len())]);
        self.life.store.load(self.handle(), id).await?;
        self.is_true()?;
        Ok(self.model(|state| state.folders.contains_key(&id.0)).then_some(id))
    }

    /// Some of a mailbox's UIDs, and some that it has not.
    fn uids(&self, id: MailboxId) -> IdSet {
        let end = self.model(|state| state.folder(id).uid_next) as usize + 2;
        let ranges = (0..1 + self.below(2)).map(|_| {
            let first = 1 + self.below(end);
            (first as u32, (first + self.below(4)) as u32)
        });
        IdSet::from_ranges(ranges).unwrap()
    }

    /// Asks account and model the same, logs the answer, and waits until it may be told.
    async fn ask(
        &self,
        ask: impl FnOnce(&Account) -> Result<Vec<Op>, AccountError>,
        expect: impl FnOnce(&mut State) -> Outcome,
    ) -> Result<(), StoreError> {
        self.commit(ask, expect)?;
        // Some pipeline: what comes later is told with this.
        if self.life.rng.once_in(4) { Ok(()) } else { self.told().await }
    }

    fn commit(
        &self,
        ask: impl FnOnce(&Account) -> Result<Vec<Op>, AccountError>,
        expect: impl FnOnce(&mut State) -> Outcome,
    ) -> Result<(), StoreError> {
        self.is_true()?;
        let mut next = self.model(State::clone);
        let expected = expect(&mut next);
        let ops = match self.handle().read(ask) {
            Ok(ops) => ops,
            // It left memory meanwhile; the client tries again.
            Err(AccountError::NotLoaded) => return Ok(()),
            Err(error) => {
                assert_eq!(expected, Outcome::Refused, "{error}");
                return Ok(());
            }
        };
        assert_eq!(expected, if ops.is_empty() { Outcome::Nothing } else { Outcome::Changed }, "{ops:?}");
        if ops.is_empty() {
            return Ok(());
        }
        let end = self.life.store.commit(self.handle(), &ops)?;
        if self.life.rng.once_in(8) {
            assert_eq!(self.handle().read(|account| State::of(account, Some(&next))), next, "after {ops:?}");
        }
        self.life.ledger.borrow_mut().push(self.who, next, end, self.life.store.log());
        Ok(())
    }

    async fn told(&self) -> Result<(), StoreError> {
        let step = self.life.ledger.borrow().accounts[self.who].steps.len() - 1;
        if self.life.told_too_early {
            self.life.ledger.borrow_mut().tell(self.who, step);
        }
        self.life.store.durable(self.handle()).await?;
        self.life.ledger.borrow_mut().tell(self.who, step);
        Ok(())
    }

    async fn append(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let mut messages = Vec::new();
        for _ in 0..1 + self.below(2) {
            messages.push(self.message().await?);
        }
        if self.model(|state| !state.folders.contains_key(&id.0)) {
            return Ok(());
        }
        let next = self.model(|state| state.folder(id).uid_next);
        let ask = |account: &Account| {
            let (first, ops) = account.append(id, messages.clone())?;
            assert_eq!(first, Uid(next));
            Ok(ops)
        };
        self.ask(ask, |state| state.append(id, &messages)).await
    }

    async fn set_unique_id(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let uid = 1 + self.below(self.model(|state| state.folder(id).uid_next) as usize) as u32;
        let unique_id = format!("uidl-{}", self.below(3));
        let ask = |account: &Account| account.set_unique_id(id, Uid(uid), &unique_id);
        self.ask(ask, |state| state.set_unique_id(id, uid, &unique_id)).await
    }

    async fn set_values(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let (uids, value) = (self.uids(id), self.below(3) as u64);
        let column = ["keep/refused", "seen/bob"][self.below(2)];
        let ask = |account: &Account| account.set_values(id, column, &uids, value);
        self.ask(ask, |state| state.set_values(id, column, &uids, value)).await
    }

    /// The operator has made one: what is packed from now on is written with it.
    async fn keep_dictionary(&self) -> Result<(), StoreError> {
        let which = self.below(3);
        let dictionary = Dictionary::new(format!("what all mail has in common {which}").as_bytes(), which as i64);
        match self.life.store.keep_dictionary(dictionary).await {
            Ok(()) => Ok(()),
            Err(DictionaryError::Io(error)) => Err(error.into()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn message(&self) -> Result<NewMessage, StoreError> {
        let (life, now) = (&self.life, self.life.store.now());
        let large = if life.rng.once_in(2000) { BODY_CHUNK_BYTES } else { 0 };
        let mut bytes = life.rng.bytes(self.below(300));
        if life.rng.once_in(2) {
            bytes.splice(..0, format!("what all mail has in common {} ", self.below(3)).repeat(3).into_bytes());
        }
        bytes.resize(bytes.len() + large, b'x');
        let mut writer = BodyWriter::new(life.store.log());
        let (front, back) = bytes.split_at(self.below(bytes.len() + 1));
        writer.push(front).await?;
        writer.push(back).await?;
        writer.room().await?;
        let rendered = life.rng.bytes(self.below(40));
        let body = writer.finish(&rendered)?;
        let size = bytes.len() as u32;
        let guid = life.store.guid(&body);
        life.ledger.borrow_mut().bodies.insert(guid, (bytes.into(), rendered));
        life.ledger.borrow_mut().owners.insert(guid, self.who);
        Ok(NewMessage {
            flags: self.flags(),
            keywords: self.keywords(),
            internal_date: now - self.below(1000) as i64,
            save_date: now,
            size,
            guid,
            body,
        })
    }

    async fn store(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let modseq = self.model(|state| state.folder(id).modseq);
        let request = StoreRequest {
            uids: self.uids(id),
            mode: [StoreMode::Replace, StoreMode::Add, StoreMode::Remove][self.below(3)],
            flags: self.flags(),
            keywords: self.keywords(),
            unchanged_since: self.life.rng.once_in(3).then(|| ModSeq(modseq.saturating_sub(self.below(4) as u64))),
        };
        let expected = self.model(|state| state.clone().store(id, &request).1);
        let ask = |account: &Account| {
            let (ops, modified) = account.store(id, request.clone())?;
            assert_eq!(modified, expected);
            Ok(ops)
        };
        self.ask(ask, |state| state.store(id, &request).0).await
    }

    async fn expunge(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let within = self.life.rng.once_in(2).then(|| self.uids(id));
        self.ask(|account| account.expunge(id, within.as_ref()), |state| state.expunge(id, within.as_ref())).await
    }

    async fn copy(&self) -> Result<(), StoreError> {
        let (Some(from), Some(to)) = (self.mailbox().await?, self.mailbox().await?) else { return Ok(()) };
        if self.model(|state| !state.folders.contains_key(&from.0)) {
            return Ok(());
        }
        let (uids, now, moves) = (self.uids(from), self.life.store.now(), self.life.rng.once_in(2));
        let (live, next) = self.model(|state| {
            let live: IdSet = state.folder(from).messages.keys().copied().filter(|&uid| uids.contains(uid)).collect();
            (live, state.folder(to).uid_next)
        });
        let ask = |account: &Account| {
            let copied = if moves { account.move_to(from, &uids, to, now) } else { account.copy(from, &uids, to, now) };
            let (copied, ops) = copied?;
            let count = live.count() as u32;
            assert_eq!((copied.from, copied.to), (live, IdSet::range(next, next + count - 1)));
            Ok(ops)
        };
        self.ask(ask, |state| state.copy(from, &uids, to, now, moves)).await
    }

    async fn create(&self) -> Result<(), StoreError> {
        let (name, now) = (self.name(), self.life.store.now());
        let uses = if self.life.rng.once_in(2) {
            SpecialUse(self.below(64) as u8 & self.below(64) as u8)
        } else {
            SpecialUse::NONE
        };
        self.ask(|account| account.create_for(name, uses, now), |state| state.create(name, uses, now)).await
    }

    async fn set_metadata(&self) -> Result<(), StoreError> {
        let of = if self.life.rng.once_in(3) { None } else { self.mailbox().await? };
        let change = |_| {
            let name = ["/private/comment", "/shared/comment", "/private/vendor/x/y", "own"][self.below(4)].into();
            let value = (!self.life.rng.once_in(3)).then(|| self.life.rng.bytes(self.below(20)).into());
            (name, value)
        };
        let changes: Vec<MetadataChange> = (0..1 + self.below(3)).map(change).collect();
        self.ask(|account| account.set_metadata(of, &changes), |state| state.set_metadata(of, &changes)).await
    }

    async fn set_special_use(&self) -> Result<(), StoreError> {
        let Some(id) = self.mailbox().await? else { return Ok(()) };
        let uses = SpecialUse(self.below(64) as u8 & self.below(64) as u8);
        self.ask(|account| account.set_special_use(id, uses), |state| state.set_special_use(id, uses)).await
    }

    async fn delete(&self) -> Result<(), StoreError> {
        let name = self.name();
        self.ask(|account| account.delete(name), |state| state.delete(name)).await
    }

    async fn rename(&self) -> Result<(), StoreError> {
        let (from, to, now) = (self.name(), self.name(), self.life.store.now());
        if !from.eq_ignore_ascii_case("inbox") {
            return self.ask(|account| account.rename(from, to), |state| state.rename(from, to)).await;
        }
        self.life.store.load(self.handle(), MailboxId::INBOX).await?;
        self.ask(|account| account.empty_inbox_into(to, now), |state| state.empty_inbox_into(to, now)).await
    }

    async fn subscribe(&self) -> Result<(), StoreError> {
        let (name, on) = (self.name(), self.life.rng.once_in(2));
        self.ask(|account| account.subscribe(name, on), |state| state.subscribe(name, on)).await
    }

    /// Beside everything else.
    fn checkpoint(&self) -> Result<(), StoreError> {
        let (life, handle) = (self.life.clone(), self.handle().clone());
        let bodies = [Bodies::Stay, Bodies::Move, Bodies::Move][self.below(3)];
        self.life.executor.spawn(async move {
            match life.store.checkpoint_with(&handle, bodies).await {
                Err(StoreError::Log(_)) | Ok(()) => {}
                Err(error) => life.must_be_the_disk(&error),
            }
        });
        Ok(())
    }

    /// Beside everything else.
    fn drain(&self) -> Result<(), StoreError> {
        let (life, keep_bytes) = (self.life.clone(), [0, 0, 3000][self.below(3)]);
        if !life.drains {
            return Ok(());
        }
        let keep_seconds = [i64::MAX, -1][self.below(2)];
        self.life.executor.spawn(async move {
            match life.store.drain(&DrainLimits { keep_bytes, keep_seconds }).await {
                Err(StoreError::Log(_)) | Ok(()) => {}
                Err(error) => life.must_be_the_disk(&error),
            }
        });
        Ok(())
    }

    /// Ends the session; the account may be closed before it comes back.
    async fn come_back(&mut self) -> Result<(), StoreError> {
        self.close()?;
        self.handle = None;
        if self.life.rng.once_in(2) {
            self.tidy().await?;
        }
        self.handle = self.life.open(self.who).await;
        if self.handle.is_none() {
            return Err(StoreError::Log(LogError::Closed));
        }
        self.must_match().await
    }

    /// What nobody uses leaves memory.
    async fn tidy(&self) -> Result<(), StoreError> {
        let limits = OpenLimits {
            idle_ms: [0, 100, 30_000][self.below(3)],
            accounts_max: self.below(3),
            memory_bytes_max: [0, 4000, u64::MAX][self.below(3)],
        };
        if self.life.rng.once_in(3) {
            self.life.clock.advance_ms(11_000);
        }
        self.life.store.close_idle(&limits).await;
        Ok(())
    }

    /// The account is what the model says, every mailbox of it.
    async fn must_match(&self) -> Result<(), StoreError> {
        let ids: Vec<MailboxId> = self.handle().read(|account| account.mailboxes().map(|m| m.id).collect());
        for id in ids {
            self.life.store.load(self.handle(), id).await?;
        }
        self.is_true()?;
        let expected = self.model(State::clone);
        assert_eq!(
            self.handle().read(|account| State::of(account, Some(&expected))),
            expected,
            "after it was opened again"
        );
        Ok(())
    }

    async fn select(&mut self) -> Result<(), StoreError> {
        self.close()?;
        let Some(mailbox) = self.mailbox().await? else { return Ok(()) };
        let read_only = self.life.rng.once_in(3);
        let view = self.handle().with_mut(|account| account.mailbox_mut(mailbox).expect("loaded").open_view(read_only));
        let list = self.model(|state| state.folder(mailbox).messages.keys().copied().collect());
        self.view = Some(Selected { mailbox, view, read_only, list });
        self.claim()?;
        self.told().await
    }

    /// What is recent here was claimed by no session before.
    fn claim(&self) -> Result<(), StoreError> {
        let Some(Selected { mailbox, read_only: false, .. }) = self.view else { return Ok(()) };
        if self.model(|state| !state.folders.contains_key(&mailbox.0)) {
            return Ok(());
        }
        self.commit(|account| Ok(account.claim_recent(mailbox)), |state| state.claim(mailbox))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if let Some(open) = self.view.take() {
            self.handle().close_view(open.mailbox, open.view);
        }
        Ok(())
    }

    /// Catches up, does what it is told, and then believes what is so.
    async fn sync(&mut self) -> Result<(), StoreError> {
        let handle = self.handle().clone();
        let Some(open) = &mut self.view else { return Ok(()) };
        let changes = handle.with_mut(|account| account.mailbox_mut(open.mailbox).unwrap().sync(open.view, true));
        for seq in &changes.expunged {
            open.list.remove(seq.0 as usize - 1);
        }
        let seen = handle.read(|account| {
            let (mut seen, mailbox) = (Vec::new(), account.mailbox(open.mailbox).unwrap());
            mailbox.visible(open.view, &IdSet::range(1, u32::MAX), Uid(1), usize::MAX / 2, &mut seen);
            seen
        });
        let uids: Vec<u32> = seen.iter().map(|visible| visible.row.uid.0).collect();
        assert!(uids.starts_with(&open.list), "{:?} became {uids:?} by {changes:?}", open.list);
        assert_eq!(changes.exists.unwrap_or(open.list.len() as u32) as usize, uids.len());
        open.list = uids;
        let (list, mailbox) = (&self.view.as_ref().unwrap().list, self.view.as_ref().unwrap().mailbox);
        let live = self.model(|state| state.folders.get(&mailbox.0).map(|f| f.messages.keys().copied().collect()));
        assert!(live.is_none_or(|live: Vec<u32>| live == *list));
        self.claim()?;
        self.told().await
    }

    /// Reads a message that the session sees, whether or not it is still there.
    async fn look(&self) -> Result<(), StoreError> {
        let Some(open) = self.view.as_ref().filter(|open| !open.list.is_empty()) else { return Ok(()) };
        let uid = open.list[self.below(open.list.len())];
        let (fixed, cache) = self.handle().read(|account| {
            let (mut seen, mailbox) = (Vec::new(), account.mailbox(open.mailbox).unwrap());
            mailbox.visible(open.view, &IdSet::one(uid), Uid(1), 1, &mut seen);
            (mailbox.fixed(seen[0].row), mailbox.cache(seen[0].row))
        });
        let (bytes, rendered) = self.life.ledger.borrow().bodies[&fixed.guid].clone();
        // Some come late: the body may have moved meanwhile.
        if self.life.rng.once_in(4) {
            for _ in 0..self.below(30) {
                others_first().await;
            }
        }
        let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
        let part = from.min(to)..from.max(to);
        assert_eq!(*self.life.store.read_body(self.handle(), &fixed, 0..u64::MAX).await?, *bytes);
        let read = self.life.store.read_body(self.handle(), &fixed, part.start as u64..part.end as u64).await?;
        assert_eq!(read, bytes[part]);
        if let CacheAt::Snapshot(snapshot, row, _) = cache
            && let Ok(is) = snapshot.cache(row)
            && (!is.is_empty() || rendered.is_empty())
        {
            assert_eq!(is, rendered);
            return Ok(());
        }
        // Not there, or hurt there: then it is behind the message's bytes.
        assert_eq!(self.life.store.read_cache(self.handle(), &fixed).await?[..], rendered[..]);
        Ok(())
    }
}

/// Gives others their turn.
async fn others_first() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
