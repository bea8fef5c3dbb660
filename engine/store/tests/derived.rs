//! Mailboxes that show messages of others, against a simple model of what they must show.

use proptest::prelude::*;
use skein_base::{Flags, Guid, IdSet, LogPos, MailboxId, ModSeq, Uid, UidValidity, UserName};
use skein_store::account::{Account, DERIVED_MESSAGES_MAX, Found, StoreRequest, TooMany, create_account};
use skein_store::body::{BodyAddr, Place};
use skein_store::mailbox::ViewId;
use skein_store::op::{NewMessage, Op, StoreMode};
use std::collections::{BTreeMap, BTreeSet};

const NOW: i64 = 1_767_225_600;
const SOURCES: [&str; 3] = ["INBOX", "Sent", "Work"];
/// What the derived mailbox shows: messages with this flag.
const WANTED: Flags = Flags::FLAGGED;

#[derive(Clone, Debug)]
enum Step {
    Append {
        source: usize,
        flagged: bool,
        age: i64,
    },
    Store {
        source: usize,
        nth: usize,
        add: bool,
        flags: u8,
    },
    Expunge {
        source: usize,
        nth: usize,
    },
    /// The same by way of the derived mailbox.
    StoreHere {
        nth: usize,
        add: bool,
        flags: u8,
    },
    ExpungeHere {
        nth: usize,
    },
    MoveHere {
        nth: usize,
        to: usize,
    },
    Delete {
        source: usize,
    },
    Look,
    /// Looks, while something happens between the search and what is made of it.
    LookLate {
        source: usize,
        nth: usize,
    },
    Leave,
    Sync {
        expunges: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop::sample::select(vec![WANTED.0, Flags::SEEN.0, Flags::DELETED.0, WANTED.0 | Flags::SEEN.0]);
    let source = 0..SOURCES.len();
    prop_oneof![
        4 => (source.clone(), any::<bool>(), 0..5i64)
            .prop_map(|(source, flagged, age)| Step::Append { source, flagged, age }),
        3 => (source.clone(), 0..6usize, any::<bool>(), flags.clone())
            .prop_map(|(source, nth, add, flags)| Step::Store { source, nth, add, flags }),
        1 => (source.clone(), 0..6usize).prop_map(|(source, nth)| Step::Expunge { source, nth }),
        3 => (0..6usize, any::<bool>(), flags).prop_map(|(nth, add, flags)| Step::StoreHere { nth, add, flags }),
        1 => (0..6usize).prop_map(|nth| Step::ExpungeHere { nth }),
        1 => (0..6usize, source.clone()).prop_map(|(nth, to)| Step::MoveHere { nth, to }),
        1 => (1..SOURCES.len()).prop_map(|source| Step::Delete { source }),
        4 => Just(Step::Look),
        1 => (source, 0..6usize).prop_map(|(source, nth)| Step::LookLate { source, nth }),
        2 => Just(Step::Leave),
        3 => any::<bool>().prop_map(|expunges| Step::Sync { expunges }),
    ]
}

struct World {
    account: Account,
    records: u64,
    made: u32,
    id: MailboxId,
    view: ViewId,
    /// What a session that was told everything has, by number.
    list: Vec<u32>,
    /// What each UID was ever given to.
    given: BTreeMap<u32, Guid>,
}

impl World {
    fn new() -> World {
        let mut account = Account::unborn();
        account
            .apply(&create_account(&UserName::new("ann@example.org").unwrap(), NOW), LogPos { segment: 1, offset: 1 });
        let id = account.derive("flagged", UidValidity(7));
        let view = account.mailbox_mut(id).unwrap().open_view(false);
        let mut world = World { account, records: 1, made: 0, id, view, list: Vec::new(), given: BTreeMap::new() };
        for name in &SOURCES[1..] {
            let ops = world.account.create(name, NOW).unwrap();
            world.apply(ops);
        }
        world
    }

    fn apply(&mut self, ops: Vec<Op>) {
        if !ops.is_empty() {
            self.records += 1;
            self.account.apply(&ops, LogPos { segment: 1, offset: self.records });
        }
    }

    fn source(&self, at: usize) -> Option<MailboxId> {
        self.account.find(SOURCES[at]).map(|named| named.id)
    }

    /// The UID of a message, counted round.
    fn nth(&self, id: MailboxId, nth: usize) -> Option<Uid> {
        let rows = self.account.mailbox(id)?.rows();
        (rows.count() > 0).then(|| rows.at(nth as u32 % rows.count()).unwrap().uid)
    }

    fn store(&mut self, id: MailboxId, uid: Uid, add: bool, flags: Flags) {
        let mode = if add { StoreMode::Add } else { StoreMode::Remove };
        let request =
            StoreRequest { uids: IdSet::one(uid.0), mode, flags, keywords: Vec::new(), unchanged_since: None };
        let (ops, _) = self.account.store(id, request).unwrap();
        self.apply(ops);
    }

    fn search(&mut self) -> Vec<Found> {
        let sources: BTreeSet<MailboxId> = self.account.mailboxes().map(|named| named.id).collect();
        let due = self.account.derive_from(self.id, &sources);
        let look = |(source, since): (MailboxId, ModSeq)| {
            let mailbox = self.account.mailbox(source).unwrap();
            let changed: Vec<_> = mailbox.rows().changed_since(since).collect();
            let found = changed.iter().filter(|row| row.flags.contains(WANTED)).map(|row| row.uid.0).collect();
            let among = changed.iter().map(|row| row.uid.0).collect();
            Found { source, modseq: mailbox.modseq(), among, aged: IdSet::new(), found }
        };
        due.into_iter().map(look).collect()
    }

    fn look(&mut self) {
        let found = self.search();
        self.account.take_found(self.id, &found).unwrap();
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append { source, flagged, age } => {
                let Some(source) = self.source(source) else { return };
                self.made += 1;
                let mut guid = [0; 16];
                guid[..4].copy_from_slice(&self.made.to_le_bytes());
                let message = NewMessage {
                    flags: if flagged { WANTED } else { Flags::NONE },
                    keywords: Vec::new(),
                    internal_date: NOW - age,
                    save_date: NOW,
                    size: 100,
                    guid: Guid(guid),
                    body: BodyAddr {
                        place: Place::Log(1),
                        offset: 64,
                        bytes: 100,
                        cache_bytes: 0,
                        stored: 0,
                        chunked: false,
                    },
                };
                let (_, ops) = self.account.append(source, vec![message]).unwrap();
                self.apply(ops);
            }
            Step::Store { source, nth, add, flags } => {
                let Some(source) = self.source(source) else { return };
                if let Some(uid) = self.nth(source, nth) {
                    self.store(source, uid, add, Flags(flags));
                }
            }
            Step::Expunge { source, nth } => {
                let Some(source) = self.source(source) else { return };
                if let Some(uid) = self.nth(source, nth) {
                    let ops = self.account.remove(source, &IdSet::one(uid.0)).unwrap();
                    self.apply(ops);
                }
            }
            Step::StoreHere { nth, add, flags } => {
                if let Some(uid) = self.nth(self.id, nth) {
                    self.store(self.id, uid, add, Flags(flags));
                }
            }
            Step::ExpungeHere { nth } => {
                if let Some(uid) = self.nth(self.id, nth) {
                    self.store(self.id, uid, true, Flags::DELETED);
                    let ops = self.account.expunge(self.id, Some(&IdSet::one(uid.0))).unwrap();
                    assert_eq!(ops.len(), 1);
                    self.apply(ops);
                    assert!(self.account.mailbox(self.id).unwrap().rows().find(uid).is_none());
                }
            }
            Step::MoveHere { nth, to } => {
                let (Some(uid), Some(to)) = (self.nth(self.id, nth), self.source(to)) else { return };
                let guid = self.guid(self.id, uid);
                let (copied, ops) = self.account.move_to(self.id, &IdSet::one(uid.0), to, NOW).unwrap();
                self.apply(ops);
                assert_eq!(copied.from, IdSet::one(uid.0));
                assert_eq!(self.guid(to, Uid(copied.to.first().unwrap())), guid);
            }
            Step::Delete { source } => {
                if self.source(source).is_some() {
                    let ops = self.account.delete(SOURCES[source]).unwrap();
                    self.apply(ops);
                }
            }
            Step::Look => self.look(),
            Step::LookLate { source, nth } => {
                let found = self.search();
                self.run(&Step::Store { source, nth, add: true, flags: WANTED.0 });
                self.run(&Step::Store { source, nth: nth + 1, add: false, flags: WANTED.0 });
                self.run(&Step::Expunge { source, nth: nth + 2 });
                // Somebody else looks in between.
                self.look();
                self.account.take_found(self.id, &found).unwrap();
            }
            Step::Leave => self.account.let_leave(self.id, &IdSet::range(1, u32::MAX)),
            Step::Sync { expunges } => self.sync(expunges),
        }
    }

    fn sync(&mut self, expunges: bool) {
        let changes = self.account.mailbox_mut(self.id).unwrap().sync(self.view, expunges);
        for seq in &changes.expunged {
            let uid = self.list.remove(seq.0 as usize - 1);
            assert!(changes.vanished.contains(uid));
        }
        let mailbox = self.account.mailbox(self.id).unwrap();
        for seq in self.list.len() as u32 + 1..=mailbox.exists(self.view) {
            self.list.push(mailbox.uid_of(self.view, skein_base::Seq(seq)).unwrap().0);
        }
        assert_eq!(mailbox.recent(self.view), 0);
    }

    fn guid(&self, id: MailboxId, uid: Uid) -> Guid {
        let mailbox = self.account.mailbox(id).unwrap();
        mailbox.fixed(mailbox.rows().find(uid).unwrap()).guid
    }

    /// Flags of every message that is there, and what is to be shown of them.
    fn there(&self) -> BTreeMap<Guid, Flags> {
        let ids: Vec<MailboxId> = self.account.mailboxes().map(|named| named.id).collect();
        let rows = ids.iter().flat_map(|id| {
            let mailbox = self.account.mailbox(*id).unwrap();
            mailbox.rows().from_rank(0).map(move |row| (mailbox.fixed(row).guid, row.flags))
        });
        rows.collect()
    }

    /// True after each step.
    fn check(&mut self) {
        let there = self.there();
        let mailbox = self.account.mailbox(self.id).unwrap();
        for row in mailbox.rows().from_rank(0) {
            let guid = mailbox.fixed(row).guid;
            // What is gone or other there is gone or other here.
            assert_eq!(there.get(&guid), Some(&row.flags), "{}", row.uid);
            // A UID never means another message.
            assert_eq!(*self.given.entry(row.uid.0).or_insert(guid), guid);
        }
    }

    fn shown(&self) -> BTreeSet<Guid> {
        let mailbox = self.account.mailbox(self.id).unwrap();
        mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row).guid).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn it_shows_what_is_wanted(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
        // Nothing is due that is not known to be.
        if !world.account.is_derived_behind(world.id) {
            world.account.let_leave(world.id, &IdSet::range(1, u32::MAX));
        }
        let wanted = |world: &World| -> BTreeSet<Guid> {
            world.there().into_iter().filter(|(_, flags)| flags.contains(WANTED)).map(|(guid, _)| guid).collect()
        };
        if !world.account.is_derived_behind(world.id) {
            prop_assert_eq!(world.shown(), wanted(&world));
        }
        world.look();
        prop_assert!(!world.account.is_derived_behind(world.id));
        prop_assert!(world.shown().is_superset(&wanted(&world)));
        world.account.let_leave(world.id, &IdSet::range(1, u32::MAX));
        world.check();
        prop_assert_eq!(world.shown(), wanted(&world));
        world.sync(true);
        let mailbox = world.account.mailbox(world.id).unwrap();
        prop_assert_eq!(&world.list, &mailbox.rows().from_rank(0).map(|row| row.uid.0).collect::<Vec<_>>());
    }
}

#[test]
fn what_comes_at_once_is_in_the_order_of_its_age() {
    let mut world = World::new();
    for (source, age) in [(0, 1), (1, 3), (2, 0), (0, 2)] {
        world.run(&Step::Append { source, flagged: true, age });
    }
    world.look();
    let mailbox = world.account.mailbox(world.id).unwrap();
    let dates: Vec<i64> = mailbox.rows().from_rank(0).map(|row| NOW - mailbox.fixed(row).internal_date).collect();
    assert_eq!(dates, [3, 2, 1, 0]);
}

#[test]
fn a_message_that_is_wanted_again_before_it_left_stays() {
    let mut world = World::new();
    world.run(&Step::Append { source: 0, flagged: true, age: 0 });
    world.look();
    for add in [false, true] {
        world.run(&Step::Store { source: 0, nth: 0, add, flags: WANTED.0 });
        world.look();
    }
    world.run(&Step::Leave);
    assert_eq!(world.nth(world.id, 0), Some(Uid(1)));
    // Once it left, it comes back as another one.
    world.run(&Step::Store { source: 0, nth: 0, add: false, flags: WANTED.0 });
    world.look();
    world.run(&Step::Leave);
    assert_eq!(world.nth(world.id, 0), None);
    world.run(&Step::Store { source: 0, nth: 0, add: true, flags: WANTED.0 });
    world.look();
    assert_eq!(world.nth(world.id, 0), Some(Uid(2)));
}

/// What time alone takes out of it leaves at once; what a flag has taken out waits for who lets it leave, whatever the time.
#[test]
fn what_is_too_old_leaves_at_once() {
    let mut world = World::new();
    for _ in 0..2 {
        world.run(&Step::Append { source: 0, flagged: true, age: 0 });
    }
    world.look();
    let id = world.id;
    assert_eq!((world.account.derived_turns(id), world.account.pass_time(id, NOW + 100)), (None, None));
    // Two have looked, and the earlier moment counts.
    world.account.note_time(id, NOW, Some(NOW + 10));
    world.account.note_time(id, NOW + 1, Some(NOW + 20));
    assert_eq!(world.account.pass_time(id, NOW + 9), None);
    world.run(&Step::Store { source: 0, nth: 1, add: false, flags: WANTED.0 });
    world.look();
    assert!(!world.account.is_derived_behind(id));
    assert_eq!(world.account.pass_time(id, NOW + 10), Some(NOW));
    // Who comes meanwhile is not to pass it again, and every source is to be looked at.
    assert_eq!((world.account.pass_time(id, NOW + 10), world.account.is_derived_behind(id)), (None, true));
    let mut found = world.search();
    let all: IdSet = [1, 2].into_iter().collect();
    let inbox = found.iter_mut().find(|found| found.source == MailboxId::INBOX).unwrap();
    assert_eq!(inbox.among, IdSet::new(), "nothing has changed in it");
    (inbox.among, inbox.aged) = (all.clone(), all);
    world.account.take_found(id, &found).unwrap();
    let left = |world: &World| -> Vec<u32> {
        world.account.mailbox(id).unwrap().rows().from_rank(0).map(|row| row.uid.0).collect()
    };
    assert_eq!(left(&world), [2]);
    world.run(&Step::Leave);
    assert_eq!(left(&world), [0_u32; 0]);
    // It was not to be brought to its end: the next one begins where this one did.
    world.account.note_time(id, NOW, Some(NOW));
    assert_eq!(world.account.pass_time(id, NOW + 11), Some(NOW));
}

#[test]
fn it_refuses_to_show_a_part() {
    let mut world = World::new();
    world.run(&Step::Append { source: 0, flagged: true, age: 0 });
    let inbox = world.account.mailbox(MailboxId::INBOX).unwrap();
    let one = inbox.fixed(inbox.rows().at(0).unwrap());
    let message = NewMessage {
        flags: WANTED,
        keywords: Vec::new(),
        internal_date: NOW,
        save_date: NOW,
        size: one.size,
        guid: one.guid,
        body: one.body,
    };
    let (_, ops) = world.account.append(MailboxId::INBOX, vec![message; DERIVED_MESSAGES_MAX]).unwrap();
    world.apply(ops);
    for _ in 0..2 {
        let found = world.search();
        assert_eq!(world.account.take_found(world.id, &found), Err(TooMany));
        assert!(world.shown().is_empty() && !world.account.is_derived_behind(world.id));
    }
    world.run(&Step::Expunge { source: 0, nth: 0 });
    world.look();
    assert_eq!(world.account.mailbox(world.id).unwrap().rows().count() as usize, DERIVED_MESSAGES_MAX);
}

#[test]
fn changes_of_several_mailboxes_at_once_are_all_ones_own() {
    let mut world = World::new();
    for source in 0..3 {
        world.run(&Step::Append { source, flagged: true, age: 0 });
    }
    world.look();
    world.sync(true);
    let before = world.account.mailbox(world.id).unwrap().modseq();
    let request = |unchanged_since| StoreRequest {
        uids: IdSet::range(1, 3),
        mode: StoreMode::Add,
        flags: Flags::SEEN,
        keywords: vec!["$Both".into()],
        unchanged_since,
    };
    let (ops, modified) = world.account.store(world.id, request(None)).unwrap();
    assert_eq!((ops.len(), modified), (3, IdSet::new()));
    world.apply(ops);
    let mailbox = world.account.mailbox_mut(world.id).unwrap();
    mailbox.own_changes(world.view, before);
    assert!(mailbox.sync(world.view, true).is_empty());
    // What has changed since is left alone, by the modseqs here.
    let (ops, modified) = world.account.store(world.id, request(Some(before))).unwrap();
    assert_eq!((ops, modified), (Vec::new(), IdSet::range(1, 3)));
}
