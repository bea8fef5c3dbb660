//! Whose accounts are, as it is known without opening them. The same is asked of all accounts after every crash, in `world`.

use super::world::{ROOT, SimStore, World};
use crate::account::AccountError;
use crate::error::StoreError;
use crate::sim::block_on;
use crate::store::OpenLimits;
use skein_base::{AccountId, UserName};
use std::path::Path;

const AT_ONCE: OpenLimits = OpenLimits { idle_ms: 0, accounts_max: 0, memory_bytes_max: u64::MAX };

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

/// Begins the accounts of some users; a checkpoint makes their trees.
fn begin(world: &World, store: &SimStore, users: std::ops::Range<u32>, checkpoint: bool) {
    for n in users {
        let handle = block_on(store.open(&user(n))).unwrap();
        world.executor.run_until_stalled();
        if checkpoint {
            block_on(store.checkpoint(&handle)).unwrap();
        }
    }
}

fn end(world: &World, store: &SimStore, n: u32) {
    let handle = block_on(store.open(&user(n))).unwrap();
    let (_, finish) = store.end(&handle).unwrap();
    world.executor.spawn(async move { finish.await.unwrap() });
    world.executor.run_until_stalled();
}

fn close_all(store: &SimStore) {
    block_on(store.close_idle(&AT_ONCE));
    assert_eq!(store.metrics().accounts_open, 0);
}

/// Whose the accounts of some users are said to be, and how many accounts are open after it.
fn said(store: &SimStore, users: std::ops::Range<u32>) -> (Vec<Option<UserName>>, u64) {
    let ids: Vec<AccountId> = users.map(|n| AccountId::of(&user(n))).collect();
    let users = block_on(store.users(&ids)).into_iter().map(Result::unwrap).collect();
    (users, store.metrics().accounts_open)
}

#[test]
fn trees_and_births_say_it_and_nothing_is_opened() {
    let world = World::new(1);
    let store = store(&world);
    begin(&world, &store, 0..3, true);
    begin(&world, &store, 3..6, false);
    begin(&world, &store, 7..9, true);
    close_all(&store);
    let opened = block_on(store.open(&user(1))).unwrap();
    // Of the seventh nobody has heard.
    let expect = (0..9).map(|n| (n != 6).then(|| user(n))).collect();
    let replayed = store.metrics().ops_replayed;
    assert_eq!(said(&store, 0..9), (expect, 1));
    assert_eq!(store.metrics().ops_replayed, replayed);
    drop(opened);
}

#[test]
fn an_account_that_ended_is_nobodys_until_it_begins_anew() {
    let world = World::new(2);
    let store = store(&world);
    begin(&world, &store, 0..3, true);
    (0..3).for_each(|n| end(&world, &store, n));
    begin(&world, &store, 1..2, false);
    begin(&world, &store, 2..3, true);
    close_all(&store);
    assert_eq!(said(&store, 0..3), (vec![None, Some(user(1)), Some(user(2))], 0));
}

#[test]
fn what_does_not_say_it_is_opened_and_closed_again() {
    let world = World::new(3);
    let store = store(&world);
    begin(&world, &store, 0..2, true);
    close_all(&store);
    let hex = AccountId::of(&user(0)).hex();
    world.disk.plant(&Path::new(ROOT).join("accounts").join(&hex[..2]).join(&hex).join("tree"), b"torn".to_vec());
    // What the log had of it the checkpoint made needless: nothing names it, and its mail is there.
    let told = block_on(store.users(&[AccountId::of(&user(0))]));
    assert!(matches!(told[..], [Err(StoreError::Account(AccountError::Nameless))]), "{told:?}");
    assert_eq!(said(&store, 1..2), (vec![Some(user(1))], 0));
}

#[test]
fn all_accounts_are_listed_once_and_in_order() {
    let world = World::new(4);
    let store = store(&world);
    begin(&world, &store, 0..20, true);
    begin(&world, &store, 20..40, false);
    let mut expect: Vec<AccountId> = (0..40).map(|n| AccountId::of(&user(n))).collect();
    expect.sort();
    assert_eq!(block_on(store.accounts(|_| true)).unwrap(), expect);
    close_all(&store);
    expect.retain(|id| id.0[0] % 2 == 0);
    assert_eq!(block_on(store.accounts(|id| id.0[0] % 2 == 0)).unwrap(), expect);
}
