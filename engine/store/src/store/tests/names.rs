//! What reads well may not be on the disk for good.
//!
//! A tree that reads well may have its name by a rename that was never synced: the process died between, and the next run finds
//! it in the page cache. The power may then still bring back the tree before, or none. What the log has of the account is needed
//! until a checkpoint of this run stands; it was drained on the word of such a tree, and lost. A dictionary is the same: mail was
//! written with one that the next crash took.

use super::world::{ROOT, SimStore, World};
use crate::account::AccountError;
use crate::account_handle::AccountHandle;
use crate::body::BodyWriter;
use crate::dictionary::{Dictionary, dictionary_files};
use crate::error::StoreError;
use crate::log::recover;
use crate::op::NewMessage;
use crate::sim::{Faults, block_on};
use crate::store::DrainLimits;
use skein_base::{AccountId, Flags, IdSet, MailboxId, UserName};
use std::path::{Path, PathBuf};
use std::rc::Rc;

const WORLDS: u64 = 100;
/// Polls in which a file is in place.
const STEPS_MAX: usize = 10_000;

/// What a start makes of the disk, after the process died.
fn start(world: &World) -> SimStore {
    world.executor.kill_all();
    let (found, _) = world.scan();
    block_on(recover(&world.disk, &Path::new(ROOT).join("log"), &found)).unwrap();
    let (found, tail) = world.scan();
    let store = world.stores(1, &found, tail).pop().expect("one");
    let writer = store.log().clone();
    world.executor.spawn(async move { writer.run().await });
    store
}

fn user(name: &str) -> UserName {
    UserName::new(&format!("{name}@example.org")).unwrap()
}

fn open(world: &World, store: &SimStore, name: &str) -> Rc<AccountHandle> {
    let handle = block_on(store.open(&user(name))).unwrap();
    world.executor.run_until_stalled();
    handle
}

fn validity(handle: &AccountHandle) -> u32 {
    handle.read(|account| account.find("INBOX").unwrap().validity.0)
}

fn tree() -> PathBuf {
    let hex = AccountId::of(&user("anna")).hex();
    Path::new(ROOT).join("accounts").join(&hex[..2]).join(hex).join("tree")
}

/// Goes on until a file is in place, and not a step further.
fn until_there(world: &World, path: &Path) {
    let mut steps = 0;
    while world.disk.contents(path).is_none() {
        world.executor.run_steps(1);
        steps += 1;
        assert!(steps < STEPS_MAX, "no {}", path.display());
    }
}

/// Somebody else's records let old segments go, then whatever is free goes.
fn drain(world: &World, store: &SimStore) {
    open(world, store, "ben");
    let draining = store.clone();
    let all = DrainLimits { keep_bytes: 0, keep_seconds: -1 };
    world.executor.spawn(async move { draining.drain(&all).await.unwrap() });
    world.executor.run_until_stalled();
    assert!(store.metrics().segments_removed > 0, "nothing was drained");
}

/// The power goes.
fn crash(world: &World, store: SimStore) {
    drop(store);
    world.executor.kill_all();
    world.disk.crash();
}

#[test]
fn an_account_outlives_a_tree_whose_name_was_not_safe() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let store = start(&world);
        let handle = open(&world, &store, "anna");
        // Of this no snapshot knows.
        let ops = handle.read(|account| account.subscribe("Work", true)).unwrap();
        store.commit(&handle, &ops).unwrap();
        world.executor.run_until_stalled();
        let before = validity(&handle);
        let writing = store.clone();
        world.executor.spawn(async move { drop(writing.checkpoint(&handle).await) });
        until_there(&world, &tree());
        drop(store);

        let store = start(&world);
        // From the tree and the log's tail, and nobody changes it.
        let handle = open(&world, &store, "anna");
        drain(&world, &store);
        drop(handle);
        crash(&world, store);

        let store = start(&world);
        let handle = open(&world, &store, "anna");
        assert_eq!(validity(&handle), before, "world {seed}");
        let subscribed: Vec<String> = handle.read(|account| account.subscriptions().map(str::to_owned).collect());
        assert_eq!(subscribed, ["Work"], "world {seed}");
        assert_eq!(store.metrics().snapshots_rebuilt, 0, "world {seed}");
    }
}

#[test]
fn an_end_outlives_a_tree_whose_name_was_not_safe() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let store = start(&world);
        let handle = open(&world, &store, "anna");
        let before = validity(&handle);
        let (_, finish) = store.end(&handle).unwrap();
        world.executor.spawn(async move { drop(finish.await) });
        until_there(&world, &tree());
        drop((handle, store));

        let store = start(&world);
        let known = block_on(store.open_known(AccountId::of(&user("anna"))));
        assert!(matches!(known, Err(StoreError::Account(AccountError::NoSuchAccount))), "world {seed}");
        drain(&world, &store);
        crash(&world, store);

        // The clock stands still meanwhile.
        let store = start(&world);
        let again = validity(&open(&world, &store, "anna"));
        assert!(again > before, "world {seed}: UIDVALIDITY {again} after {before}");
    }
}

#[test]
fn no_mail_is_written_with_a_dictionary_whose_name_was_not_safe() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let store = start(&world);
        let made = Dictionary::new(b"what all mail has in common", 1);
        let [file, _] = dictionary_files(made.id()).map(|name| Path::new(ROOT).join("dictionaries").join(name));
        let keeping = store.clone();
        world.executor.spawn(async move { drop(keeping.keep_dictionary(made).await) });
        until_there(&world, &file);
        drop(store);

        let store = start(&world);
        // There is no room for its copy, which would bring the name of this file to the disk as well.
        world.disk.set_faults(Faults { full_one_in: 1, ..Faults::default() });
        let with = block_on(store.0.packs.dictionaries().newest()).unwrap().expect("it is there");
        world.disk.set_faults(Faults::default());
        crash(&world, store);

        let store = start(&world);
        let found = block_on(store.0.packs.dictionaries().get(with.id()));
        assert!(found.is_ok(), "world {seed}: {:?}", found.err());
    }
}

const TEXT: &[u8] = b"Subject: hello\r\n\r\n";

fn message(store: &SimStore) -> NewMessage {
    let mut writer = BodyWriter::new(store.log());
    block_on(writer.push(TEXT)).unwrap();
    let body = writer.finish(b"rendered").unwrap();
    let (guid, size) = (store.guid(&body), body.bytes);
    NewMessage { flags: Flags::NONE, keywords: Vec::new(), internal_date: 7, save_date: 8, size, guid, body }
}

/// What the log lost and has not cut off yet comes back when the power goes, and names bodies where they were then. The account was
/// opened again without it meanwhile, written out and drained: a move that nobody was told of took messages to where their bodies were not.
#[test]
fn nothing_is_drained_that_a_lost_record_names_as_long_as_it_may_come_back() {
    let mut came_back = 0;
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let store = start(&world);
        let handle = open(&world, &store, "anna");
        let ops = handle.read(|account| account.create("Work", store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        let work = handle.read(|account| account.find("Work").unwrap().id);
        let new = message(&store);
        let (_, ops) = handle.read(|account| account.append(MailboxId::INBOX, vec![new])).unwrap();
        store.commit(&handle, &ops).unwrap();
        world.executor.run_until_stalled();
        store.log().seal_open();
        open(&world, &store, "ben");
        // From here on the log's disk fails.
        world.disk.set_faults(Faults { sync_one_in: 1, ..Faults::default() });
        let (_, ops) =
            handle.read(|account| account.move_to(MailboxId::INBOX, &IdSet::one(1), work, store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        world.executor.run_until_stalled();
        assert!(handle.lost().is_some() && store.log().refuses().is_some());
        world.disk.set_faults(Faults::default());
        drop(handle);
        drop(open(&world, &store, "anna"));
        let draining = store.clone();
        let all = DrainLimits { keep_bytes: 0, keep_seconds: -1 };
        world.executor.spawn(async move { drop(draining.drain(&all).await) });
        world.executor.run_until_stalled();
        crash(&world, store);

        let store = start(&world);
        let handle = open(&world, &store, "anna");
        let (mut seen, mut moved) = (0, 0);
        for id in [MailboxId::INBOX, work] {
            block_on(store.load(&handle, id)).unwrap();
            let rows = handle.read(|account| {
                let mailbox = account.mailbox(id).unwrap();
                mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row)).collect::<Vec<_>>()
            });
            for fixed in rows {
                let read = block_on(store.read_body(&handle, &fixed, 0..u64::MAX));
                assert!(read.as_deref().is_ok_and(|read| read == TEXT), "world {seed}, mailbox {id}: {read:?}");
                (seen, moved) = (seen + 1, moved + u64::from(id == work));
            }
        }
        assert_eq!(seen, 1, "world {seed}");
        came_back += moved;
    }
    assert!(came_back > WORLDS / 20, "the lost record came back only {came_back} times");
}
