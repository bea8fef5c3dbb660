//! The log's budget: messages wait for a drain, and never for themselves.

use super::world::{Perils, SimStore, World};
use crate::account::Found;
use crate::body::BodyWriter;
use crate::op::NewMessage;
use crate::sim::block_on;
use crate::store::DrainLimits;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::{Flags, IdSet, MailboxId, Uid, UidValidity, UserName};

const BYTES_MAX: u64 = 1000;
const ALL: DrainLimits = DrainLimits { keep_bytes: 0, keep_seconds: i64::MAX };

/// A store whose log writes, on what earlier ones left.
fn start(world: &World) -> SimStore {
    let (scan, tail) = world.scan();
    let store = world.stores(1, &scan, tail).remove(0);
    let writer = store.log().clone();
    world.executor.spawn(async move { writer.run().await });
    store
}

/// Some segments' worth of changes.
fn fill(world: &World, store: &SimStore, changes: u32) {
    let handle = block_on(store.open(&UserName::new("user1@example.org").unwrap())).unwrap();
    for n in 0..changes {
        let name = format!("{n:0>100}");
        let was = handle.read(|account| account.subscriptions().any(|known| known == name));
        let ops = handle.read(|account| account.subscribe(&name, !was)).unwrap();
        store.commit(&handle, &ops).unwrap();
        world.executor.run_until_stalled();
    }
}

/// A start found more log than it may keep. Messages waited for a drain; the drain waited for a record above the segments that were
/// there, whose numbers must not be given again; and no record came, since messages waited.
#[test]
fn a_start_over_the_budget_takes_messages() {
    let mut world = World::new(1);
    world.segment_bytes = 1500;
    let store = start(&world);
    fill(&world, &store, 60);
    drop(store);
    world.executor.kill_all();
    world.recover(Perils::default());

    let store = start(&world);
    assert!(store.log_bytes() > 3 * BYTES_MAX, "the first life left too little");
    block_on(store.drain(&ALL)).unwrap();
    assert!(!store.hold_back_over(BYTES_MAX), "messages wait for a drain that waits for them");
    block_on(store.log().room()).unwrap();

    // With one record there is something to drain, and the budget holds.
    fill(&world, &store, 1);
    assert!(store.hold_back_over(BYTES_MAX));
    let drained = store.clone();
    world.executor.spawn(async move { drained.drain(&ALL).await.unwrap() });
    world.executor.run_until_stalled();
    assert!(!store.hold_back_over(BYTES_MAX));
    assert!(store.log_bytes() < BYTES_MAX, "the old log is still there");
    block_on(store.log().room()).unwrap();
}

/// One segment may be larger than the budget; it can not be drained while it takes records.
#[test]
fn the_segment_that_takes_records_does_not_hold_them_back() {
    let mut world = World::new(2);
    world.segment_bytes = 1 << 20;
    let store = start(&world);
    fill(&world, &store, 20);
    assert!(store.log_bytes() > BYTES_MAX);
    assert!(!store.hold_back_over(BYTES_MAX));
    block_on(store.log().room()).unwrap();
}

/// The messages of one command wait in the log for the last of them; a drain meanwhile must not take them.
#[test]
fn a_drain_leaves_what_is_still_to_be_named() {
    for bytes in [3, BODY_CHUNK_BYTES + 3] {
        let mut world = World::new(3);
        world.segment_bytes = 1500;
        let store = start(&world);
        let (writing, drained) = (store.clone(), store.clone());
        let spilled = std::rc::Rc::new(std::cell::RefCell::new(None));
        let slot = spilled.clone();
        world.executor.spawn(async move {
            let mut writer = BodyWriter::new(writing.log());
            writer.push(&vec![b'x'; bytes]).await.unwrap();
            assert!(writer.held_bytes() >= 3);
            *slot.borrow_mut() = Some(writer.spill(b"rendered").unwrap());
        });
        world.executor.run_until_stalled();
        fill(&world, &store, 60);
        world.executor.spawn(async move { drained.drain(&ALL).await.unwrap() });
        world.executor.run_until_stalled();

        let kept = spilled.borrow_mut().take().expect("it was written");
        let body = kept.addr();
        assert_eq!(block_on(store.log().read_body(&body, 0..u64::MAX)).unwrap(), vec![b'x'; bytes]);
        let handle = block_on(store.open(&UserName::new("user1@example.org").unwrap())).unwrap();
        block_on(store.load(&handle, MailboxId::INBOX)).unwrap();
        let message = NewMessage {
            flags: Flags::NONE,
            keywords: Vec::new(),
            internal_date: 0,
            save_date: 0,
            size: body.bytes,
            guid: store.guid(&body),
            body,
        };
        let (_, ops) = handle.read(|account| account.append(MailboxId::INBOX, vec![message])).unwrap();
        store.commit(&handle, &ops).unwrap();
        drop(kept);
        fill(&world, &store, 60);
        let drained = store.clone();
        world.executor.spawn(async move { drained.drain(&ALL).await.unwrap() });
        world.executor.run_until_stalled();
        assert!(block_on(store.log().read_body(&body, 0..1)).is_err(), "nothing holds the log any more");
        let fixed = handle.read(|account| {
            let inbox = account.mailbox(MailboxId::INBOX).unwrap();
            inbox.fixed(inbox.rows().from_rank(0).next().unwrap())
        });
        assert_eq!(block_on(store.read_body(&handle, &fixed, 0..u64::MAX)).unwrap(), vec![b'x'; bytes]);
    }
}

/// What a derived mailbox shows is read where a drain put it; what only its sessions still see keeps its place in the log.
#[test]
fn a_derived_mailbox_knows_where_bodies_went() {
    let mut world = World::new(5);
    world.segment_bytes = 1500;
    let store = start(&world);
    let drain = |world: &World| {
        fill(world, &store, 60);
        let drained = store.clone();
        world.executor.spawn(async move { drained.drain(&ALL).await.unwrap() });
        world.executor.run_until_stalled();
    };
    let slot = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let (writing, bodies) = (store.clone(), slot.clone());
    world.executor.spawn(async move {
        for byte in *b"ab" {
            let mut writer = BodyWriter::new(writing.log());
            writer.push(&[byte; 9]).await.unwrap();
            bodies.borrow_mut().push(writer.spill(b"rendered").unwrap());
        }
    });
    world.executor.run_until_stalled();
    let handle = block_on(store.open(&UserName::new("user1@example.org").unwrap())).unwrap();
    block_on(store.load(&handle, MailboxId::INBOX)).unwrap();
    let kept = slot.take();
    let messages = kept.iter().map(|body| NewMessage {
        flags: Flags::NONE,
        keywords: Vec::new(),
        internal_date: 0,
        save_date: 0,
        size: body.addr().bytes,
        guid: store.guid(&body.addr()),
        body: body.addr(),
    });
    let (_, ops) = handle.read(|account| account.append(MailboxId::INBOX, messages.collect())).unwrap();
    store.commit(&handle, &ops).unwrap();
    drop(kept);
    let (id, view) = handle.with_mut(|account| {
        let id = account.derive("all", UidValidity(1));
        let due = account.derive_from(id, &[MailboxId::INBOX].into());
        let inbox = account.mailbox(MailboxId::INBOX).unwrap();
        let all = IdSet::range(1, 2);
        let found =
            Found { source: due[0].0, modseq: inbox.modseq(), among: all.clone(), aged: IdSet::new(), found: all };
        account.take_found(id, &[found]).unwrap();
        (id, account.mailbox_mut(id).unwrap().open_view(false))
    });
    let ops = handle.read(|account| account.remove(id, &IdSet::one(1))).unwrap();
    store.commit(&handle, &ops).unwrap();
    let places = || {
        handle.read(|account| {
            let (here, inbox) = (account.mailbox(id).unwrap(), account.mailbox(MailboxId::INBOX).unwrap());
            let mut seen = Vec::new();
            here.visible(view, &IdSet::range(1, 2), Uid(1), 2, &mut seen);
            let there = inbox.fixed(inbox.rows().at(0).unwrap());
            (seen.iter().map(|seen| here.fixed(seen.row)).collect::<Vec<_>>(), there)
        })
    };
    let (before, _) = places();
    // More moves than are remembered for those who come with an old address.
    (0..4).for_each(|_| drain(&world));
    let (after, there) = places();
    assert!(after[1] == there && there.body != before[1].body && after[0] == before[0]);
    for (fixed, byte) in after.iter().zip(*b"ab") {
        assert_eq!(block_on(store.read_body(&handle, fixed, 0..u64::MAX)).unwrap(), vec![byte; 9]);
    }
    // When nobody sees it any more, nothing keeps the log.
    handle.close_view(id, view);
    drain(&world);
    assert!(block_on(store.log().read_body(&before[0].body, 0..1)).is_err());
}
