//! Which accounts leave memory, and when.

use super::world::{SimStore, World, message};
use crate::account::Found;
use crate::account_handle::AccountHandle;
use crate::error::StoreError;
use crate::sim::{Faults, block_on};
use crate::store::{OpenLimits, RestoreError};
use skein_base::{IdSet, MailboxId, ModSeq, UidValidity, UserName};
use std::rc::Rc;

const NO_LIMITS: OpenLimits = OpenLimits { idle_ms: 60_000, accounts_max: usize::MAX, memory_bytes_max: u64::MAX };

/// A store whose log writes.
fn store(world: &World) -> SimStore {
    let (scan, tail) = world.scan();
    let store = world.store(&scan, tail);
    let writer = store.log().clone();
    world.executor.spawn(async move { writer.run().await });
    store
}

fn user(n: u32) -> UserName {
    UserName::new(&format!("user{n}@example.org")).unwrap()
}

/// An account whose changes are safe.
fn open(world: &World, store: &SimStore, n: u32) -> Rc<AccountHandle> {
    let handle = block_on(store.open(&user(n))).unwrap();
    world.executor.run_until_stalled();
    handle
}

fn subscribe(world: &World, store: &SimStore, handle: &AccountHandle, name: &str) {
    let ops = handle.read(|account| account.subscribe(name, true)).unwrap();
    store.commit(handle, &ops).unwrap();
    world.executor.run_until_stalled();
}

fn is_subscribed(handle: &AccountHandle, name: &str) -> bool {
    handle.read(|account| account.subscriptions().any(|known| known == name))
}

fn close_idle(store: &SimStore, limits: OpenLimits) -> u64 {
    block_on(store.close_idle(&limits));
    store.metrics().accounts_open
}

#[test]
fn what_nobody_uses_is_closed_in_time_and_comes_back_from_the_log() {
    let world = World::new(1);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    subscribe(&world, &store, &handle, "a");
    world.clock.advance_ms(100_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 1, "it is in use");
    drop(handle);
    world.clock.advance_ms(59_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 1, "it was in use a moment ago");
    world.clock.advance_ms(2_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 0);
    assert_eq!((store.metrics().accounts_in_tail, store.metrics().memory_bytes), (1, 0));

    let replayed = store.metrics().ops_replayed;
    let handle = open(&world, &store, 1);
    assert!(is_subscribed(&handle, "a"));
    assert_eq!(store.metrics().accounts_in_tail, 0);
    assert!(store.metrics().ops_replayed > replayed, "nothing was written for it, so the log is replayed");

    // After a checkpoint there is nothing to replay.
    block_on(store.checkpoint(&handle)).unwrap();
    drop(handle);
    world.clock.advance_ms(61_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 0);
    let replayed = store.metrics().ops_replayed;
    assert!(is_subscribed(&open(&world, &store, 1), "a"));
    assert_eq!((store.metrics().ops_replayed, store.metrics().accounts_in_tail), (replayed, 0));
}

#[test]
fn what_is_not_safe_yet_is_not_closed() {
    let world = World::new(2);
    let (scan, tail) = world.scan();
    let store = world.store(&scan, tail);
    drop(block_on(store.open(&user(1))).unwrap());
    world.clock.advance_ms(100_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 1, "its first change is in memory alone");
    let writer = store.log().clone();
    world.executor.spawn(async move { writer.run().await });
    world.executor.run_until_stalled();
    assert_eq!(close_idle(&store, NO_LIMITS), 0);
}

#[test]
fn over_the_limit_those_used_longest_ago_go_first() {
    let world = World::new(3);
    let store = store(&world);
    for n in [3, 1, 4, 2] {
        world.clock.advance_ms(1_000);
        drop(open(&world, &store, n));
    }
    let held = open(&world, &store, 3);
    let limits = OpenLimits { accounts_max: 2, ..NO_LIMITS };
    assert!(store.is_over(&limits));
    assert_eq!(close_idle(&store, limits), 2);
    assert!(!store.is_over(&limits));
    let before = store.metrics().ops_replayed;
    drop(open(&world, &store, 2));
    assert_eq!(store.metrics().ops_replayed, before, "the one used last is still open");
    drop(open(&world, &store, 4));
    assert!(store.metrics().ops_replayed > before);

    // A budget of memory works the same way, and what is in use stays.
    assert_eq!(close_idle(&store, NO_LIMITS), 3);
    let all = store.metrics().memory_bytes;
    assert_eq!(close_idle(&store, OpenLimits { memory_bytes_max: all - 1, ..NO_LIMITS }), 2);
    assert_eq!(close_idle(&store, OpenLimits { memory_bytes_max: 0, ..NO_LIMITS }), 1);
    assert!(store.metrics().memory_bytes > 0 && store.metrics().memory_bytes < all);
    drop(held);
}

#[test]
fn a_mailbox_without_a_view_leaves_before_its_account_does() {
    let world = World::new(4);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    let is_loaded = |handle: &AccountHandle| handle.read(|account| account.mailbox(MailboxId::INBOX).is_some());
    let limits = OpenLimits { idle_ms: 0, ..NO_LIMITS };
    world.clock.advance_ms(11_000);
    close_idle(&store, limits);
    assert!(is_loaded(&handle), "no snapshot has it");
    block_on(store.checkpoint(&handle)).unwrap();
    let view = handle.with_mut(|account| account.mailbox_mut(MailboxId::INBOX).unwrap().open_view(false));
    close_idle(&store, limits);
    assert!(is_loaded(&handle), "a session looks at it");
    handle.close_view(MailboxId::INBOX, view);
    let weight = store.metrics().memory_bytes;
    close_idle(&store, OpenLimits { memory_bytes_max: 0, ..NO_LIMITS });
    assert!(!is_loaded(&handle) && store.metrics().memory_bytes < weight);
    assert_eq!(store.metrics().mailboxes_unloaded, 1);
    block_on(store.load(&handle, MailboxId::INBOX)).unwrap();
    close_idle(&store, limits);
    assert!(is_loaded(&handle), "somebody came for it a moment ago");
}

#[test]
fn a_snapshot_is_due_by_what_came_not_by_how_often() {
    let world = World::new(5);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    block_on(store.checkpoint(&handle)).unwrap();
    store.set_checkpoint_ops(300);
    bring(&world, &store, &handle, 299);
    assert!(!store.wants_checkpoint(&handle));
    bring(&world, &store, &handle, 1);
    assert!(store.wants_checkpoint(&handle));

    // Reading the log again counts what it brings in the same way.
    drop(handle);
    world.clock.advance_ms(61_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 0);
    let handle = open(&world, &store, 1);
    assert!(store.wants_checkpoint(&handle));
    block_on(store.checkpoint(&handle)).unwrap();
    assert!(!store.wants_checkpoint(&handle));
}

#[test]
fn what_comes_while_a_snapshot_is_written_makes_the_next_one() {
    let world = World::new(6);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    store.set_checkpoint_ops(300);
    bring(&world, &store, &handle, 300);
    let (by, of, before) = (store.clone(), handle.clone(), store.metrics().snapshot_bytes);
    world.executor.spawn(async move { by.checkpoint_due(&of).await.unwrap() });
    while store.metrics().snapshot_bytes == before {
        assert!(world.executor.step());
    }
    bring(&world, &store, &handle, 300);
    assert!(!store.wants_checkpoint(&handle));
    assert!(store.metrics().snapshots_written >= 4, "a tree and a mailbox, twice");
}

/// Nothing of a derived mailbox is on disk: with its account all that clients knew of it was gone, a minute after the last session.
#[test]
fn derived_mailboxes_are_kept_beside_a_closed_account() {
    let world = World::new(8);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    bring(&world, &store, &handle, 2);
    handle.with_mut(|account| account.derive("all", UidValidity(7)));
    look(&handle);
    let remove_first = handle.read(|account| account.remove(MailboxId::INBOX, &IdSet::one(1))).unwrap();
    store.commit(&handle, &remove_first).unwrap();
    bring(&world, &store, &handle, 1);
    look(&handle);
    let before = shown(&handle).expect("derived");
    assert_eq!((before.0, &before.2[..]), (UidValidity(7), &[2, 3][..]));
    drop(handle);
    world.clock.advance_ms(61_000);
    assert_eq!(close_idle(&store, NO_LIMITS), 0);
    close_idle(&store, NO_LIMITS);
    assert!(store.metrics().memory_bytes > 0, "what is kept counts");

    let handle = open(&world, &store, 1);
    assert_eq!(shown(&handle), Some(before));
    block_on(store.load(&handle, MailboxId::INBOX)).unwrap();
    look(&handle);
    let id = handle.read(|account| account.derived("all")).expect("it is there");
    block_on(store.checkpoint(&handle)).unwrap();
    handle.with_mut(|account| account.refresh_bodies(id));
    let bodies = |mailbox| {
        handle.read(|account| {
            let mailbox = account.mailbox(mailbox).unwrap();
            mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row).body).collect::<Vec<_>>()
        })
    };
    assert_eq!(bodies(id), bodies(MailboxId::INBOX));
    bring(&world, &store, &handle, 1);
    look(&handle);
    assert_eq!(shown(&handle).expect("derived").2, [2, 3, 4], "what comes is behind what was there");

    // Without room it is made anew.
    drop(handle);
    world.clock.advance_ms(61_000);
    let no_room = OpenLimits { memory_bytes_max: 1000, ..NO_LIMITS };
    assert_eq!(close_idle(&store, no_room), 0);
    close_idle(&store, no_room);
    assert_eq!(store.metrics().memory_bytes, 0);
    assert_eq!(shown(&open(&world, &store, 1)), None);
}

/// All of INBOX that is to be looked at belongs to the derived mailbox.
fn look(handle: &AccountHandle) {
    handle.with_mut(|account| {
        let id = account.derived("all").unwrap();
        let due = account.derive_from(id, &[MailboxId::INBOX].into());
        let inbox = account.mailbox(MailboxId::INBOX).unwrap();
        let all: IdSet = inbox.rows().from_rank(0).map(|row| row.uid.0).collect();
        let found = |source| {
            let (among, found) = (all.clone(), all.clone());
            Found { source, modseq: inbox.modseq(), among, aged: IdSet::new(), found }
        };
        let found: Vec<Found> = due.iter().map(|(source, _)| found(*source)).collect();
        account.take_found(id, &found).unwrap();
    });
}

/// Of the derived mailbox: what clients remember.
fn shown(handle: &AccountHandle) -> Option<(UidValidity, ModSeq, Vec<u32>)> {
    handle.read(|account| {
        let mailbox = account.mailbox(account.derived("all")?)?;
        Some((mailbox.validity(), mailbox.modseq(), mailbox.rows().from_rank(0).map(|row| row.uid.0).collect()))
    })
}

/// Messages arrive in one change.
fn bring(world: &World, store: &SimStore, handle: &Rc<AccountHandle>, messages: usize) {
    let message = block_on(message(store, b"a mail"));
    block_on(store.load(handle, MailboxId::INBOX)).unwrap();
    let (_, ops) = handle.read(|account| account.append(MailboxId::INBOX, vec![message; messages])).unwrap();
    store.commit(handle, &ops).unwrap();
    world.executor.run_until_stalled();
}

/// A log that refuses has lost records that may come back with a crash, behind what was restored.
#[test]
fn nothing_is_restored_while_the_log_refuses() {
    let world = World::new(8);
    let store = store(&world);
    let handle = open(&world, &store, 1);
    subscribe(&world, &store, &handle, "kept");
    let other = open(&world, &store, 2);
    world.disk.set_faults(Faults { sync_one_in: 1, ..Faults::default() });
    subscribe(&world, &store, &other, "lost");
    assert!(store.log().refuses().is_some() && handle.lost().is_none());
    for replace in [false, true] {
        match block_on(store.restore(&user(1), replace)) {
            Err(RestoreError::Store(StoreError::Log(error))) => assert_eq!(Some(error), store.log().refuses()),
            done => panic!("{done:?}"),
        }
        assert!(handle.lost().is_none() && is_subscribed(&handle, "kept"), "whoever uses it goes on");
    }
}

/// The first message for an account that nobody had heard of is told, and the power goes before any file of the account is made.
#[test]
fn what_is_told_to_a_new_account_needs_no_file_of_its_own() {
    for seed in 0..50 {
        let world = World::new(seed);
        let store = store(&world);
        let handle = block_on(store.open(&user(1))).unwrap();
        let ops = handle.read(|account| account.subscribe("first", true)).unwrap();
        store.commit(&handle, &ops).unwrap();
        while block_now(store.durable(&handle)).is_none() {
            assert!(world.executor.step(), "seed {seed}: it never becomes safe");
        }
        world.executor.kill_all();
        world.disk.crash();
        world.recover(Default::default());
        let store = self::store(&world);
        assert!(is_subscribed(&open(&world, &store, 1), "first"), "seed {seed}");
    }
}

/// What a future comes to without waiting.
fn block_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}
