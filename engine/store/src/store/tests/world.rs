//! One seed's world: a disk, what was told to clients, and how a life of the store begins and ends.

use super::model::State;
use crate::account::{Account, AccountError};
use crate::account_handle::AccountHandle;
use crate::body::BodyWriter;
use crate::error::StoreError;
use crate::log::tests::Mutant;
use crate::log::{Log, LogOptions, Manifest, RecordKind, Scan, SegmentNumbers, TailIndex};
use crate::log::{highest_noted, read_manifest, recover, scan};
use crate::mailbox::CacheAt;
use crate::op::{self, NewMessage};
use crate::sim::{Faults, SimClock, SimDisk, SimExecutor, SimRng, block_on};
use crate::store::{OldSegments, Store};
use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, Guid, LogPos, ShardId, UserName};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

pub const ROOT: &str = "/data";
const LOG: &str = "/data/log";
pub const USERS: usize = 3;
/// Shards that a life may have.
pub const SHARDS_MAX: usize = 3;

pub type SimStore = Store<SimDisk, SimClock>;

/// A message whose body is in the log, ready to be appended.
pub async fn message(store: &SimStore, text: &[u8]) -> NewMessage {
    let mut writer = BodyWriter::new(store.log());
    writer.push(text).await.unwrap();
    let body = writer.finish(b"rendered").unwrap();
    NewMessage {
        flags: Flags::NONE,
        keywords: Vec::new(),
        internal_date: 7,
        save_date: 8,
        size: body.bytes,
        guid: store.guid(&body),
        body,
    }
}

/// A state that an account went through, with the number of the commit that brought it.
pub type Step = (u64, Option<State>);

/// What is known of one account.
pub struct Known {
    pub user: UserName,
    /// The shard it lives on in this life.
    pub home: usize,
    /// Since the last start; the first is what that start found.
    pub steps: Vec<Step>,
    /// Where the log ended after each step.
    ends: Vec<LogPos>,
    /// Steps that the log lost, and that a restart may still find as long as the log was not healed.
    limbo: Vec<Step>,
    /// The client was told of everything up to this step.
    pub told: usize,
    /// It has ended at some time.
    ended: bool,
}

/// What all clients know together.
#[derive(Default)]
pub struct Ledger {
    pub accounts: Vec<Known>,
    pub bodies: HashMap<Guid, (Rc<[u8]>, Vec<u8>)>,
    /// Whose they are.
    pub owners: HashMap<Guid, usize>,
    pub commits: u64,
    /// Who a UID was told to be, by account, UIDVALIDITY and UID. For good.
    names: HashMap<(usize, u32, u32), Guid>,
    /// The highest UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ told, by account and mailbox.
    marks: HashMap<(usize, u32), (u32, u32, u64)>,
}

impl Ledger {
    pub fn now(&self, who: usize) -> Option<&State> {
        self.accounts[who].steps.last().expect("there is always one").1.as_ref()
    }

    /// An account takes a step that ends at a position of the log. A log that takes it has none in limbo.
    pub fn push(&mut self, who: usize, state: State, end: LogPos, log: &Log<SimDisk>) {
        let home = self.accounts[who].home;
        self.settle(home, log);
        self.on(home).for_each(|known| known.limbo.clear());
        self.commits += 1;
        self.accounts[who].steps.push((self.commits, Some(state)));
        self.accounts[who].ends.push(end);
    }

    fn on(&mut self, home: usize) -> impl Iterator<Item = &mut Known> {
        self.accounts.iter_mut().filter(move |known| known.home == home)
    }

    /// Takes back what a shard's log says it lost. Nobody may have been told of it.
    pub fn settle(&mut self, home: usize, log: &Log<SimDisk>) {
        for known in self.on(home) {
            let kept = known.ends.iter().position(|end| log.lost(*end).is_some()).unwrap_or(known.ends.len());
            assert!(known.told < kept, "{} was told of what the log lost", known.user);
            known.ends.truncate(kept);
            known.limbo.extend(known.steps.split_off(kept));
        }
    }

    /// A life ends: what a shard's log lost and did not cut off may be found again.
    pub fn end_life(&mut self, home: usize, log: &Log<SimDisk>) {
        self.settle(home, log);
        for known in self.on(home) {
            let limbo = std::mem::take(&mut known.limbo);
            if log.refuses().is_some() {
                known.steps.extend(limbo);
            }
        }
    }

    /// An account ends; the step it takes.
    pub fn push_end(&mut self, who: usize, end: LogPos, log: &Log<SimDisk>) -> usize {
        self.push(who, State::default(), end, log);
        let known = &mut self.accounts[who];
        known.steps.last_mut().expect("just pushed").1 = None;
        known.ended = true;
        known.steps.len() - 1
    }

    /// Client `who` hears of everything up to a step.
    pub fn tell(&mut self, who: usize, step: usize) {
        let known = &mut self.accounts[who];
        known.told = known.told.max(step);
        let Some(state) = &known.steps[step].1 else {
            self.marks.retain(|(account, _), _| *account != who);
            return;
        };
        for (id, folder) in &state.folders {
            let mark = self.marks.entry((who, *id)).or_default();
            if known.ended && folder.validity > mark.0 {
                *mark = Default::default();
            }
            *mark = (folder.validity, mark.1.max(folder.uid_next), mark.2.max(folder.modseq));
            for (uid, message) in &folder.messages {
                self.names.insert((who, folder.validity, *uid), message.guid);
            }
        }
    }

    /// Whether a state goes back on anything that was ever told.
    fn keeps_word(&self, who: usize, state: &State) -> Result<(), String> {
        for (id, folder) in &state.folders {
            let (validity, uid_next, modseq) = self.marks.get(&(who, *id)).copied().unwrap_or_default();
            // One that has ended begins anew, with UIDVALIDITY above all before.
            if self.accounts[who].ended && folder.validity > validity {
                continue;
            }
            if validity != 0 && validity != folder.validity || folder.uid_next < uid_next || folder.modseq < modseq {
                return Err(format!("mailbox {id} went back behind {validity} {uid_next} {modseq}: {folder:?}"));
            }
            for (uid, message) in &folder.messages {
                if self.names.get(&(who, folder.validity, *uid)).is_some_and(|guid| *guid != message.guid) {
                    return Err(format!("UID {uid} of mailbox {id} names another message now"));
                }
            }
        }
        Ok(())
    }
}

/// What may go wrong in a life.
#[derive(Clone, Copy, Default)]
pub struct Perils {
    pub faults: Faults,
    /// The harness lies: it tells clients before the store says that all is durable.
    pub told_too_early: bool,
    /// What the log does wrong on purpose.
    pub mutant: Mutant,
    /// The log is drained at times.
    pub drains: bool,
    /// Accounts end at times, and begin anew.
    pub ends: bool,
}

pub struct World {
    pub rng: SimRng,
    pub disk: SimDisk,
    pub executor: SimExecutor,
    pub clock: SimClock,
    pub ledger: Rc<RefCell<Ledger>>,
    pub segment_bytes: u64,
    /// What the next logs do wrong.
    pub mutant: Cell<Mutant>,
    /// Packs with waste are written again.
    pub compacts: bool,
}

impl World {
    pub fn new(seed: u64) -> World {
        let rng = SimRng::new(seed);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        block_on(disk.create_dir_all(Path::new(LOG))).unwrap();
        let known = |n| Known {
            user: UserName::new(&format!("user{n}@example.org")).unwrap(),
            home: 0,
            steps: vec![(0, None)],
            ends: vec![LogPos::default()],
            limbo: Vec::new(),
            told: 0,
            ended: false,
        };
        let ledger = Ledger { accounts: (0..USERS).map(known).collect(), ..Ledger::default() };
        let segment_bytes = [1500, 8000, 1 << 20][rng.below(3) as usize];
        World {
            rng,
            disk,
            executor,
            clock: SimClock::new(),
            ledger: Rc::new(RefCell::new(ledger)),
            segment_bytes,
            mutant: Cell::default(),
            compacts: true,
        }
    }

    /// A store on what is on the disk. Its log writes only while [`Log::run`] does.
    pub fn store(&self, scan: &Scan, tail: TailIndex) -> SimStore {
        self.ledger.borrow_mut().accounts.iter_mut().for_each(|known| known.home = 0);
        self.shard(0, &self.numbers(scan), tail)
    }

    /// The same in several shards: each has some of the accounts and a log of its own.
    pub fn stores(&self, shards: usize, scan: &Scan, mut tail: TailIndex) -> Vec<SimStore> {
        let (numbers, mut parts) = (self.numbers(scan), vec![TailIndex::default(); shards]);
        parts.iter_mut().for_each(|part| part.add_damage(scan));
        for id in tail.accounts().collect::<Vec<_>>() {
            parts[usize::from(id.0[0]) % shards].give_back(id, tail.take(id, LogPos::default()));
        }
        for known in &mut self.ledger.borrow_mut().accounts {
            known.home = usize::from(AccountId::of(&known.user).0[0]) % shards;
        }
        let old = block_on(OldSegments::find(&self.disk, Path::new(LOG), shards)).unwrap();
        let stores = parts.into_iter().enumerate().map(|(shard, part)| self.shard(shard, &numbers, part));
        let stores: Vec<SimStore> = stores.collect();
        for (shard, store) in stores.iter().enumerate() {
            store.adopt(old.clone());
            if store.bodies_are_unknown() {
                let is_here = |id: AccountId| usize::from(id.0[0]) % shards == shard;
                let learned = block_on(store.accounts(is_here)).map(|ids| block_on(store.learn_bodies(&ids)));
                learned.expect("the disk lists").expect("the disk reads");
            }
        }
        stores
    }

    fn numbers(&self, scan: &Scan) -> SegmentNumbers {
        let noted = block_on(highest_noted(&self.disk, Path::new(LOG))).unwrap();
        let numbers = SegmentNumbers::above(scan.highest().max(noted));
        numbers.set_manifest(self.manifest());
        scan.segments.iter().for_each(|found| numbers.take_stock(found));
        numbers
    }

    fn shard(&self, shard: usize, numbers: &SegmentNumbers, tail: TailIndex) -> SimStore {
        let run = self.rng.bytes(16).try_into().unwrap();
        let mut options = LogOptions::new(ShardId(shard as u16), run, Rc::new(|| 1_767_225_600));
        options.segment_bytes = self.segment_bytes;
        options.probe_bytes = 2000;
        options.mutant = self.mutant.get();
        let log = Log::open(self.disk.clone(), Path::new(LOG), numbers.clone(), options);
        let store = Store::new(self.disk.clone(), self.clock.clone(), Path::new(ROOT), log, tail);
        let least = if self.compacts { [0, 500, 1 << 20][self.rng.below(3) as usize] } else { u64::MAX };
        store.set_pack_sizes([600, 5000, 1 << 20][self.rng.below(3) as usize], least);
        store
    }

    /// What a start reads.
    pub fn scan(&self) -> (Scan, TailIndex) {
        let mut tail = TailIndex::default();
        let mut found = block_on(scan(&self.disk, Path::new(LOG), 0, |record| tail.add(record))).unwrap();
        let manifest = self.manifest();
        found.segments.iter_mut().for_each(|found| manifest.hold_against(found));
        manifest.add_gone(&mut found);
        tail.add_damage(&found);
        (found, tail)
    }

    /// Which segments there should be.
    pub fn manifest(&self) -> Manifest {
        block_on(read_manifest(&self.disk, Path::new(LOG))).unwrap()
    }

    /// The same, with every account replayed from nothing: drained segments are kept aside for this.
    fn read_log(&self) -> (Scan, TailIndex, BTreeMap<AccountId, Account>) {
        let mut accounts = BTreeMap::new();
        let whole = SimDisk::new(&SimRng::new(0));
        let present = block_on(self.disk.list(Path::new(LOG))).unwrap_or_default();
        let present = present.iter().map(|name| Path::new(LOG).join(name));
        let present = present.map(|path| (self.disk.contents(&path).unwrap(), path)).map(|(bytes, path)| (path, bytes));
        let removed = self.disk.removed().into_iter().filter(|(path, _)| path.starts_with(LOG));
        for (path, bytes) in removed.chain(present) {
            whole.plant(&path, bytes);
        }
        let (found, tail) = self.scan();
        block_on(scan(&whole, Path::new(LOG), 0, |record| {
            if record.kind == RecordKind::Op {
                let ops = op::decode(record.payload).expect("what a store wrote reads back");
                accounts.entry(record.account).or_insert_with(Account::unborn).apply(&ops, record.end);
            }
        }))
        .unwrap();
        (found, tail, accounts)
    }

    /// Recovery, cut off and begun again at times; the power may go once more after it.
    pub fn recover(&self, perils: Perils) {
        while self.rng.once_in(4) {
            let (disk, found) = (self.disk.clone(), self.scan().0);
            self.disk.set_faults(perils.faults);
            self.executor.spawn(async move { drop(recover(&disk, Path::new(LOG), &found).await) });
            self.executor.run_steps(self.rng.below(30));
            self.executor.kill_all();
            self.disk.set_faults(Faults::default());
        }
        block_on(recover(&self.disk, Path::new(LOG), &self.scan().0)).unwrap();
        if self.rng.once_in(2) {
            self.disk.crash();
        }
    }

    /// What a start finds, held against what the clients know, which it becomes. Returns how many snapshots did not check.
    pub fn check(&self) -> Result<u64, String> {
        let (found, tail, replayed) = self.read_log();
        if let Some(damage) = found.damage().next() {
            return Err(format!("a crash was taken for damage: {damage:?}"));
        }
        // One shard has them all: another number than before, most of the time.
        let store = self.shard(0, &self.numbers(&found), tail);
        let mut states = Vec::new();
        for who in 0..USERS {
            let user = self.ledger.borrow().accounts[who].user.clone();
            whose_is_as_opened(&store, &user)?;
            let state = match replayed.get(&AccountId::of(&user)) {
                Some(replayed) if replayed.user().is_none() => {
                    self.must_be_gone(&store, &user)?;
                    None
                }
                Some(replayed) => Some(self.open_and_look(&store, &user, replayed)?),
                None => None,
            };
            if let Some(state) = &state {
                self.ledger.borrow().keeps_word(who, state)?;
            }
            states.push(state);
        }
        self.explain(states)?;
        Ok(store.metrics().snapshots_rebuilt)
    }

    /// An account that has ended: nobody finds it, and nothing of it is left but the word that it has.
    fn must_be_gone(&self, store: &SimStore, user: &UserName) -> Result<(), String> {
        let id = AccountId::of(user);
        match block_on(store.open_known(id)) {
            Err(StoreError::Account(AccountError::NoSuchAccount)) => {}
            Err(error) => return Err(format!("{user}, who has ended: {error}")),
            Ok(_) => return Err(format!("{user} has ended and is there")),
        }
        let folder = Path::new(ROOT).join("accounts").join(&id.hex()[..2]).join(id.hex());
        let left = block_on(self.disk.list(&folder)).unwrap_or_default();
        if left.iter().any(|name| name != "tree") { Err(format!("{user} has ended and left {left:?}")) } else { Ok(()) }
    }

    /// The account as snapshots and the tail make it, which is how the whole log makes it.
    fn open_and_look(&self, store: &SimStore, user: &UserName, replayed: &Account) -> Result<State, String> {
        let handle = block_on(store.open(user)).map_err(|error| format!("{user} does not open: {error}"))?;
        if handle.read(|a| a.user() != Some(user)) || replayed.user() != Some(user) {
            return Err(format!("{user} finds somebody else's account"));
        }
        let ids: Vec<_> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
        for id in ids {
            block_on(store.load(&handle, id)).map_err(|error| format!("mailbox {id} of {user}: {error}"))?;
        }
        let state = handle.read(|account| State::of(account, None));
        let other = State::of(replayed, None);
        if state != other {
            return Err(format!("{user} from snapshots:\n{state:?}\nfrom the log alone:\n{other:?}"));
        }
        self.look_at_bodies(store, &handle)?;
        Ok(state)
    }

    fn look_at_bodies(&self, store: &SimStore, handle: &AccountHandle) -> Result<(), String> {
        let all = handle.read(|account| {
            let mut all = Vec::new();
            for mailbox in account.loaded() {
                all.extend(mailbox.rows().from_rank(0).map(|row| (mailbox.fixed(row), mailbox.cache(row))));
            }
            all
        });
        let ledger = self.ledger.borrow();
        for (fixed, cache) in all {
            let body = fixed.body;
            let (bytes, rendered) = &ledger.bodies.get(&fixed.guid).ok_or("a body that nobody wrote")?;
            let is =
                block_on(store.read_body(handle, &fixed, 0..u64::MAX)).map_err(|error| format!("{body:?}: {error}"))?;
            if *is != **bytes {
                return Err(format!("the body at {body:?} is another's"));
            }
            let CacheAt::Snapshot(snapshot, row, _) = cache else { continue };
            if snapshot.cache(row).is_ok_and(|is| !is.is_empty() && is != rendered) {
                return Err(format!("the cache of {body:?} is another's"));
            }
        }
        Ok(())
    }

    /// Some place of each log at which it may have been cut explains every account of its shard at once, and lies behind all that was
    /// told. From there it goes on.
    fn explain(&self, states: Vec<Option<State>>) -> Result<(), String> {
        let ledger = &mut *self.ledger.borrow_mut();
        for home in 0..SHARDS_MAX {
            self.explain_shard(home, ledger, &states)?;
        }
        for (known, state) in ledger.accounts.iter_mut().zip(states) {
            known.steps = vec![(0, state)];
            known.ends = vec![LogPos::default()];
            known.told = 0;
        }
        ledger.commits = 0;
        // What was read at a start is shown to whoever asks.
        (0..USERS).for_each(|who| ledger.tell(who, 0));
        Ok(())
    }

    fn explain_shard(&self, home: usize, ledger: &Ledger, states: &[Option<State>]) -> Result<(), String> {
        let at = |known: &Known, cut: u64| known.steps.iter().rposition(|(commit, _)| *commit <= cut).unwrap_or(0);
        let fits = |known: &Known, state: &Option<State>, cut: u64| {
            let step = at(known, cut);
            step >= known.told && known.steps[step].1 == *state
        };
        let mut cuts = (0..=ledger.commits).rev();
        let here: Vec<_> = ledger.accounts.iter().zip(states).filter(|(known, _)| known.home == home).collect();
        let cut = cuts.find(|&cut| here.iter().all(|(known, state)| fits(known, state, cut)));
        cut.map_or_else(|| Err(tell_apart(&ledger.accounts, states)), |_| Ok(()))
    }
}

/// Whose an account is said to be while it is closed is whose it is once it is open.
fn whose_is_as_opened(store: &SimStore, user: &UserName) -> Result<(), String> {
    let id = AccountId::of(user);
    let said = block_on(store.users(&[id])).pop().expect("one for each").map_err(|error| format!("{user}: {error}"))?;
    match (said, block_on(store.open_known(id))) {
        (Some(said), Ok(opened)) if said == *opened.user() => Ok(()),
        (None, Err(StoreError::Account(AccountError::NoSuchAccount))) => Ok(()),
        (said, opened) => Err(format!("{user}'s is said to be {said:?}'s, and opens: {:?}", opened.map(drop))),
    }
}

fn tell_apart(accounts: &[Known], states: &[Option<State>]) -> String {
    let mut out = String::from("no cut of the log explains what is there");
    for (known, state) in accounts.iter().zip(states) {
        let steps: Vec<usize> = (0..known.steps.len()).filter(|&s| known.steps[s].1 == *state).collect();
        out += &format!("\n{}: told up to {}, found {steps:?}", known.user, known.told);
        if !steps.iter().any(|&step| step >= known.told) {
            out += &format!("\ntold  {:?}\nfound {state:?}", known.steps[known.told].1);
        }
    }
    out
}
