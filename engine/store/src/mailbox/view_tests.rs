//! Views against the simplest client there is: one that keeps a list of UIDs and does what it is told.

use super::{Changes, Mailbox, SEEN_APART, UNSEEN_APART, ViewId};
use crate::account::StoreRequest;
use crate::body::{BodyAddr, Place};
use crate::op::{NewMessage, Op, StoreMode, ValueRun};
use proptest::prelude::*;
use skein_base::{Flags, Guid, IdSet, LogPos, MailboxId, ModSeq, Seq, Uid, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Append(u32),
    Expunge {
        first: u32,
        len: u32,
    },
    Flag {
        first: u32,
        len: u32,
        flags: u8,
        by: usize,
    },
    Open {
        slot: usize,
        read_only: bool,
    },
    Close {
        slot: usize,
    },
    Sync {
        slot: usize,
        expunges: bool,
    },
    /// One that leaves out what arrived.
    SyncKnown {
        slot: usize,
        expunges: bool,
    },
    /// FETCH of what changed since so many changes ago.
    Fetch {
        slot: usize,
        first: u32,
        len: u32,
        back: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u32..5).prop_map(Step::Append),
        (1u32..60, 0u32..8).prop_map(|(first, len)| Step::Expunge { first, len }),
        (1u32..60, 0u32..8, 0u8..32, 0usize..4).prop_map(|(first, len, flags, by)| Step::Flag {
            first,
            len,
            flags,
            by
        }),
        (0usize..4, any::<bool>()).prop_map(|(slot, read_only)| Step::Open { slot, read_only }),
        (0usize..4).prop_map(|slot| Step::Close { slot }),
        (0usize..4, any::<bool>()).prop_map(|(slot, expunges)| Step::Sync { slot, expunges }),
        (0usize..4, any::<bool>()).prop_map(|(slot, expunges)| Step::SyncKnown { slot, expunges }),
        (0usize..4, 1u32..60, 0u32..20, 0u64..5).prop_map(|(slot, first, len, back)| Step::Fetch {
            slot,
            first,
            len,
            back
        }),
    ]
}

/// A client that believes what it is told.
struct Client {
    view: ViewId,
    read_only: bool,
    /// UID of each number, learned with FETCH UID when EXISTS rises.
    list: Vec<u32>,
    flags: BTreeMap<u32, Flags>,
    recent: BTreeSet<u32>,
    /// What its last FETCH has told, as of which change, until it catches up.
    fetched: BTreeMap<u32, ModSeq>,
}

struct World {
    mailbox: Mailbox,
    clients: [Option<Client>; 4],
    logged: u64,
    /// Messages that were `\Recent` in a session that could claim them.
    claimed: BTreeSet<u32>,
}

impl World {
    fn apply(&mut self, op: Op) {
        self.logged += 1;
        self.mailbox.apply(&op, LogPos { segment: 1, offset: self.logged });
    }

    fn claim(&mut self) {
        let below = self.mailbox.uid_next();
        self.apply(Op::ClaimRecent { mailbox: self.mailbox.id(), below });
    }

    fn open(&mut self, slot: usize, read_only: bool) {
        self.close(slot);
        let view = self.mailbox.open_view(read_only);
        let rows: Vec<_> = self.mailbox.rows().from_rank(0).collect();
        let list: Vec<u32> = rows.iter().map(|r| r.uid.0).collect();
        let flags = rows.iter().map(|r| (r.uid.0, r.flags)).collect();
        let mut client = Client { view, read_only, list, flags, recent: BTreeSet::new(), fetched: BTreeMap::new() };
        let all = client.list.clone();
        self.take_recent(&mut client, all);
        self.clients[slot] = Some(client);
    }

    fn take_recent(&mut self, client: &mut Client, among: Vec<u32>) {
        let recent: Vec<u32> =
            among.into_iter().filter(|u| self.mailbox.view(client.view).is_recent(Uid(*u))).collect();
        if !client.read_only {
            for uid in &recent {
                assert!(self.claimed.insert(*uid), "{uid} was recent in two sessions");
            }
            self.claim();
        }
        client.recent.extend(recent);
    }

    fn close(&mut self, slot: usize) {
        if let Some(client) = self.clients[slot].take() {
            self.mailbox.close_view(client.view);
        }
    }

    fn flag(&mut self, first: u32, len: u32, flags: Flags, by: usize) {
        let uids = IdSet::range(first, first + len);
        let live: Vec<u32> = self.mailbox.rows().among(&uids).map(|r| r.uid.0).collect();
        let op = Op::Store { mailbox: self.mailbox.id(), uids, mode: StoreMode::Replace, flags, keywords: Vec::new() };
        self.apply(op);
        if let Some(client) = &mut self.clients[by] {
            // A session knows what it set itself.
            let known: Vec<u32> = live.into_iter().filter(|u| client.list.contains(u)).collect();
            client.flags.extend(known.iter().map(|u| (*u, flags)));
            self.mailbox.own_changes(client.view, ModSeq(self.mailbox.modseq().0 - 1));
        }
    }

    fn fetch(&mut self, slot: usize, among: &IdSet, back: u64) {
        let Some(client) = &mut self.clients[slot] else { return };
        let upto = self.mailbox.modseq();
        let since = ModSeq(upto.0.saturating_sub(back));
        let told = self.mailbox.rows().among(among).filter(|r| r.modseq > since && client.list.contains(&r.uid.0));
        client.fetched = told.map(|r| (r.uid.0, r.modseq)).collect();
        for uid in client.fetched.keys() {
            client.flags.insert(*uid, self.mailbox.rows().find(Uid(*uid)).expect("it lives").flags);
        }
        self.mailbox.answered(client.view, among.clone(), since, upto);
    }

    fn sync(&mut self, slot: usize, expunges: bool) {
        let Some(client) = self.clients[slot].take() else { return };
        let changes = self.mailbox.sync(client.view, expunges);
        assert!(!self.mailbox.is_behind(client.view) || !expunges);
        assert!(!self.mailbox.has_news(client.view, expunges));
        self.told(slot, client, changes, expunges);
    }

    fn sync_known(&mut self, slot: usize, expunges: bool) {
        let Some(client) = self.clients[slot].take() else { return };
        let changes = self.mailbox.sync_known(client.view, expunges);
        assert!(changes.exists.is_none());
        self.told(slot, client, changes, expunges);
    }

    fn told(&mut self, slot: usize, mut client: Client, changes: Changes, expunges: bool) {
        assert!(expunges || changes.expunged.is_empty());
        for seq in &changes.expunged {
            let uid = client.list.remove(seq.0 as usize - 1);
            assert!(changes.vanished.contains(uid));
            assert!(self.mailbox.rows().find(Uid(uid)).is_none(), "{uid} lives");
            client.flags.remove(&uid);
            client.recent.remove(&uid);
        }
        if let Some(exists) = changes.exists {
            let from = client.list.len() as u32 + 1;
            assert!(exists >= from, "EXISTS never shrinks a list");
            let new: Vec<u32> =
                (from..=exists).map(|n| self.mailbox.uid_of(client.view, Seq(n)).expect("it exists").0).collect();
            for uid in &new {
                client.flags.insert(*uid, self.mailbox.rows().find(Uid(*uid)).expect("new and live").flags);
            }
            client.list.extend(&new);
            self.take_recent(&mut client, new);
        }
        if let Some(recent) = changes.recent {
            assert_eq!(recent as usize, client.recent.len());
        }
        let fetched = std::mem::take(&mut client.fetched);
        for uid in changes.flags.iter() {
            let modseq = self.mailbox.rows().find(Uid(uid)).map(|row| row.modseq);
            assert!(fetched.get(&uid).copied() < modseq, "{uid} is told twice");
            client.flags.insert(uid, self.mailbox.rows().find(Uid(uid)).expect("told of a live one").flags);
        }
        for (uid, flags) in &client.flags {
            if let Some(row) = self.mailbox.rows().find(Uid(*uid)) {
                assert_eq!(row.flags, *flags, "flags of {uid}");
            }
        }
        assert_eq!(changes.first_new.is_some(), changes.exists.is_some());
        self.clients[slot] = Some(client);
    }

    fn check(&self) {
        for client in self.clients.iter().flatten() {
            let (m, view) = (&self.mailbox, client.view);
            assert_eq!(m.exists(view) as usize, client.list.len());
            assert_eq!(m.recent(view) as usize, client.recent.len());
            assert_eq!(m.last_visible(view).map(|u| u.0), client.list.last().copied());
            for (i, uid) in client.list.iter().enumerate() {
                assert_eq!(m.uid_of(view, Seq(i as u32 + 1)), Some(Uid(*uid)));
                assert_eq!(m.seq_of(view, Uid(*uid)), Seq(i as u32 + 1));
            }
            let mut seen = Vec::new();
            let some = IdSet::from_ranges([(2, 9), (12, 40), (44, 300)]).unwrap();
            m.visible(view, &some, Uid(5), usize::MAX >> 1, &mut seen);
            let expect: Vec<u32> = client.list.iter().copied().filter(|u| some.contains(*u) && *u >= 5).collect();
            assert_eq!(seen.iter().map(|v| v.row.uid.0).collect::<Vec<_>>(), expect);
            for v in &seen {
                assert_eq!(client.list[v.seq.0 as usize - 1], v.row.uid.0);
                assert_eq!(v.gone, m.rows().find(v.row.uid).is_none());
                assert_eq!(m.fixed(v.row).size, v.row.uid.0, "its columns are still at hand");
            }
            let seqs = IdSet::from_ranges([(1, 2), (4, 7), (9, 1000)]).unwrap();
            let uids = m.uids_of(view, &seqs);
            for (i, uid) in client.list.iter().enumerate() {
                assert_eq!(uids.contains(*uid), seqs.contains(i as u32 + 1), "{uid}");
            }
        }
    }
}

fn new_message(size: u32) -> NewMessage {
    let body = BodyAddr { place: Place::Log(1), offset: 0, bytes: size, cache_bytes: 0, stored: 0, chunked: false };
    let (flags, keywords) = (Flags::NONE, Vec::new());
    NewMessage { flags, keywords, internal_date: 0, save_date: 0, size, guid: Guid::default(), body }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_client_that_believes_is_never_wrong(steps in prop::collection::vec(step(), 1..60)) {
        let mailbox = Mailbox::new(MailboxId(1), UidValidity(1));
        let mut world = World { mailbox, clients: [None, None, None, None], logged: 0, claimed: BTreeSet::new() };
        for step in steps {
            match step {
                Step::Append(n) => {
                    let (mailbox, first_uid) = (world.mailbox.id(), world.mailbox.uid_next());
                    let messages = (0..n).map(|i| new_message(first_uid.0 + i)).collect();
                    world.apply(Op::Append { mailbox, first_uid, messages });
                }
                Step::Expunge { first, len } => {
                    let (mailbox, uids) = (world.mailbox.id(), IdSet::range(first, first + len));
                    world.apply(Op::Expunge { mailbox, uids });
                }
                Step::Flag { first, len, flags, by } => world.flag(first, len, Flags(flags), by),
                Step::Open { slot, read_only } => world.open(slot, read_only),
                Step::Close { slot } => world.close(slot),
                Step::Sync { slot, expunges } => world.sync(slot, expunges),
                Step::SyncKnown { slot, expunges } => world.sync_known(slot, expunges),
                Step::Fetch { slot, first, len, back } => world.fetch(slot, &IdSet::range(first, first + len), back),
            }
            world.check();
        }
        for slot in 0..4 {
            world.sync(slot, true);
            world.check();
            world.close(slot);
        }
        prop_assert!(world.mailbox.gone.is_empty(), "nothing is kept for nobody");
    }
}

/// Two who see a mailbox: the owner by its own flags, bob by a column. Each is told of what concerns him.
#[test]
fn what_one_has_seen_the_other_has_not() {
    const BOB: &str = "seen/bob";
    let mut mailbox = Mailbox::new(MailboxId(1), UidValidity(1));
    let mut pos = 0;
    let mut apply = |mailbox: &mut Mailbox, op: Op| {
        pos += 1;
        mailbox.apply(&op, LogPos { segment: 1, offset: pos });
    };
    let body = BodyAddr { place: Place::Log(1), offset: 64, bytes: 1, cache_bytes: 0, stored: 1, chunked: false };
    let message = |flags| NewMessage {
        flags,
        keywords: Vec::new(),
        internal_date: 0,
        save_date: 0,
        size: 1,
        guid: Guid([1; 16]),
        body,
    };
    let messages = [Flags::SEEN, Flags::NONE, Flags::FLAGGED].map(message).into();
    let id = mailbox.id();
    apply(&mut mailbox, Op::Append { mailbox: id, first_uid: Uid(1), messages });
    let (owner, bob) = (mailbox.open_view(true), mailbox.open_view(true));
    mailbox.see_apart(bob, BOB.into());
    let seen = |mailbox: &Mailbox, view| {
        let mut seen = Vec::new();
        mailbox.visible(view, &IdSet::range(1, 9), Uid(1), 9, &mut seen);
        seen.iter().map(|seen| (seen.row.uid.0, seen.row.flags, seen.row.modseq.0)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&mailbox, owner), [(1, Flags::SEEN, 2), (2, Flags::NONE, 2), (3, Flags::FLAGGED, 2)]);
    assert_eq!(seen(&mailbox, bob), [(1, Flags::NONE, 2), (2, Flags::NONE, 2), (3, Flags::FLAGGED, 2)]);
    assert_eq!((mailbox.unseen_apart(None), mailbox.unseen_apart(Some(BOB))), (2, 3));
    assert_eq!(mailbox.first_unseen_apart(Some(BOB)), Some(0));

    let read = |uids: IdSet, value| Op::SetValues {
        mailbox: MailboxId(1),
        column: BOB.into(),
        runs: uids.ranges().map(|r| ValueRun { first: Uid(*r.start()), last: Uid(*r.end()), value }).collect(),
    };
    // UIDs that are still to be given are not read in advance.
    apply(&mut mailbox, read([1, 3, 4, 5].into_iter().collect(), SEEN_APART));
    let both = Flags(Flags::SEEN.0 | Flags::FLAGGED.0);
    assert_eq!(seen(&mailbox, bob), [(1, Flags::SEEN, 3), (2, Flags::NONE, 2), (3, both, 3)]);
    assert_eq!((mailbox.unseen_apart(Some(BOB)), mailbox.first_unseen_apart(Some(BOB))), (1, Some(1)));
    assert_eq!(mailbox.sync(bob, true).flags, [1, 3].into_iter().collect());
    assert!(mailbox.has_news(owner, true) && mailbox.sync(owner, true).is_empty());

    // A change by both of one message reaches both, in whatever order they were.
    let flag = |uid| Op::Store {
        mailbox: MailboxId(1),
        uids: IdSet::one(uid),
        mode: StoreMode::Add,
        flags: Flags::ANSWERED,
        keywords: Vec::new(),
    };
    apply(&mut mailbox, flag(1));
    apply(&mut mailbox, read(IdSet::one(1), UNSEEN_APART));
    assert_eq!(mailbox.sync(owner, true).flags, IdSet::one(1));
    mailbox.own_changes(bob, ModSeq(4));
    assert_eq!(mailbox.sync(bob, true).flags, IdSet::one(1), "the flag is somebody else's");
    assert_eq!(mailbox.changed_apart(Some(BOB), ModSeq(3)), IdSet::one(1));

    apply(&mut mailbox, Op::Append { mailbox: id, first_uid: Uid(4), messages: vec![message(Flags::NONE)] });
    assert_eq!(mailbox.unseen_apart(Some(BOB)), 3);
    mailbox.sync(bob, true);

    // What a FETCH has told is not told again, by whichever of the two it is known.
    let upto = mailbox.modseq();
    apply(&mut mailbox, read([2, 4].into_iter().collect(), SEEN_APART));
    apply(&mut mailbox, read([2, 4].into_iter().collect(), UNSEEN_APART));
    let modseq = mailbox.modseq();
    mailbox.answered(bob, IdSet::one(4), upto, modseq);
    assert_eq!(mailbox.sync(bob, true).flags, IdSet::one(2));

    // Gone, and still in both views.
    apply(&mut mailbox, Op::Expunge { mailbox: id, uids: IdSet::one(3) });
    assert_eq!(seen(&mailbox, bob)[2], (3, both, 3));
    assert_eq!(seen(&mailbox, owner)[2], (3, Flags::FLAGGED, 2));
    let request = StoreRequest {
        uids: IdSet::one(3),
        mode: StoreMode::Replace,
        flags: Flags::DRAFT,
        keywords: Vec::new(),
        unchanged_since: None,
    };
    mailbox.store_on_gone(bob, &request);
    assert_eq!((seen(&mailbox, bob)[2].1, seen(&mailbox, owner)[2].1), (Flags::DRAFT, Flags::DRAFT));
    assert_eq!(mailbox.unseen_apart(Some(BOB)), 3);
}
