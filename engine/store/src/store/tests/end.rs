//! The end of an account, step by step; all the ways in which it is cut off are in `crash`.

use super::world::{ROOT, SimStore, World};
use crate::account::AccountError;
use crate::account_handle::{AccountHandle, Lost};
use crate::error::StoreError;
use crate::sim::block_on;
use crate::store::RestoreError;
use skein_base::{AccountId, UserName};
use std::cell::Cell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

fn store(world: &World) -> SimStore {
    let (scan, tail) = world.scan();
    let store = world.store(&scan, tail);
    let writer = store.log().clone();
    world.executor.spawn(async move { writer.run().await });
    store
}

fn user() -> UserName {
    UserName::new("anna@example.org").unwrap()
}

/// Runs beside the log's writer, to its end.
fn run<T: 'static>(world: &World, work: impl Future<Output = T> + 'static) -> T {
    let done = Rc::new(Cell::new(None));
    let told = done.clone();
    world.executor.spawn(async move { told.set(Some(work.await)) });
    world.executor.run_until_stalled();
    done.take().expect("it ends")
}

fn open(world: &World, store: &SimStore) -> Rc<AccountHandle> {
    let handle = block_on(store.open(&user())).unwrap();
    world.executor.run_until_stalled();
    handle
}

fn end(world: &World, store: &SimStore, handle: &Rc<AccountHandle>) {
    let (_, finish) = store.end(handle).unwrap();
    run(world, finish).unwrap();
}

fn tree() -> PathBuf {
    let hex = AccountId::of(&user()).hex();
    Path::new(ROOT).join("accounts").join(&hex[..2]).join(hex).join("tree")
}

#[test]
fn who_has_it_open_is_told_and_uidvalidity_never_comes_again() {
    let world = World::new(1);
    let store = store(&world);
    let validity = |handle: &AccountHandle| handle.read(|account| account.find("INBOX").unwrap().validity.0);
    let mut last = 0;
    // The clock stands still meanwhile.
    for _ in 0..3 {
        let handle = open(&world, &store);
        let now = validity(&handle);
        assert!(now > last, "{now} after {last}");
        let ops = handle.read(|account| account.create("Work", store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        last = handle.read(|account| account.find("Work").unwrap().validity.0);
        end(&world, &store, &handle);
        assert_eq!(handle.lost(), Some(Lost::Ended));
        assert!(matches!(store.commit(&handle, &ops), Err(StoreError::Account(AccountError::NoSuchAccount))));
        let known = block_on(store.open_known(AccountId::of(&user())));
        assert!(matches!(known, Err(StoreError::Account(AccountError::NoSuchAccount))));
        assert!(!block_on(store.left_files(AccountId::of(&user()))).unwrap());
    }
    assert_eq!(store.metrics().accounts_ended, 3);
}

#[test]
fn what_an_end_leaves_is_no_backup() {
    let world = World::new(2);
    let store = store(&world);
    end(&world, &store, &open(&world, &store));
    let staging = store.staging(&user());
    world.disk.plant(&staging.join("tree.in"), world.disk.contents(&tree()).expect("a tree says that it has ended"));
    let restoring = store.clone();
    let restored = run(&world, async move { restoring.restore(&user(), true).await });
    assert!(matches!(restored, Err(RestoreError::Unfit { .. })), "{restored:?}");
}
