//! The end of an account, step by step; all the ways in which it is cut off are in `crash`.

use super::world::{ROOT, SimStore, World, message};
use crate::account::AccountError;
use crate::account_handle::{AccountHandle, Lost};
use crate::error::StoreError;
use crate::mailbox::Fixed;
use crate::sim::block_on;
use crate::store::{CheckError, Finding, Inspector, RestoreError, Stopped};
use skein_base::{AccountId, MailboxId, UserName};
use std::cell::Cell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Waker};

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

/// What opening a file may take.
const POLLS: usize = 4;
const TEXT: &[u8] = b"Subject: hello\r\n\r\n";

/// A message in INBOX, its body in a pack, and a session that has the mailbox open.
fn seen_in_a_pack(world: &World, store: &SimStore, handle: &Rc<AccountHandle>) -> Fixed {
    let (writing, account) = (store.clone(), handle.clone());
    run(world, async move {
        writing.load(&account, MailboxId::INBOX).await.unwrap();
        let message = message(&writing, TEXT).await;
        let (_, ops) = account.read(|account| account.append(MailboxId::INBOX, vec![message])).unwrap();
        writing.commit(&account, &ops).unwrap();
        writing.checkpoint(&account).await.unwrap();
    });
    handle.with_mut(|account| account.mailbox_mut(MailboxId::INBOX).unwrap().open_view(false));
    handle.read(|account| {
        let mailbox = account.mailbox(MailboxId::INBOX).unwrap();
        mailbox.fixed(mailbox.rows().from_rank(0).next().unwrap())
    })
}

fn is_gone<T>(read: &Result<T, StoreError>) -> bool {
    matches!(read, Err(StoreError::Account(AccountError::NoSuchAccount)))
}

/// An operator deletes an account of which a session reads a message. It heard that the message is damaged, the operator read the same,
/// and the scrubber was sent to look at the account.
#[test]
fn who_reads_while_it_ends_hears_that_and_not_of_damage() {
    for seed in 0..50 {
        let world = World::new(seed);
        let store = store(&world);
        let handle = open(&world, &store);
        let message = seen_in_a_pack(&world, &store, &handle);
        let (_, finish) = store.end(&handle).unwrap();
        world.executor.spawn(async move { finish.await.unwrap() });
        let mut goes_on = true;
        while goes_on {
            goes_on = world.executor.step();
            let body = block_on(store.read_body(&handle, &message, 0..u64::MAX));
            assert!(is_gone(&body) || body.as_deref().is_ok_and(|body| body == TEXT), "seed {seed}: {body:?}");
            let cache = block_on(store.read_cache(&handle, &message));
            assert!(
                is_gone(&cache) || cache.as_deref().is_ok_and(|cache| cache == b"rendered"),
                "seed {seed}: {cache:?}"
            );
        }
        assert!(is_gone(&block_on(store.read_body(&handle, &message, 0..u64::MAX))), "its files have gone");
        assert_eq!(store.take_sick(), None);
    }
}

/// Ends the account as soon as something of it was read.
struct Ending {
    store: SimStore,
    handle: Rc<AccountHandle>,
}

impl Inspector for Ending {
    async fn found(&mut self, finding: Finding) -> Result<(), Stopped> {
        panic!("of an account that has ended: {finding:?}");
    }

    async fn read(&mut self, _: u64) {
        if self.handle.lost().is_none() {
            self.store.end(&self.handle).unwrap().1.await.unwrap();
        }
    }
}

#[test]
fn a_check_and_a_rebuild_of_one_that_ends_find_no_damage() {
    let world = World::new(3);
    let store = store(&world);
    let handle = open(&world, &store);
    seen_in_a_pack(&world, &store, &handle);
    let mut inspector = Ending { store: store.clone(), handle: handle.clone() };
    let (checking, account) = (store.clone(), handle.clone());
    let checked = run(&world, async move { checking.check(&account, &mut inspector).await });
    let is_told = matches!(checked, Err(CheckError::Store(StoreError::Account(AccountError::NoSuchAccount))));
    assert!(is_told, "{checked:?}");
    let rebuilding = store.clone();
    let rebuilt = run(&world, async move { rebuilding.rebuild(handle, &[]).await });
    assert!(is_gone(&rebuilt), "{rebuilt:?}");
    assert_eq!(store.metrics().accounts_rebuilt, 0);
    assert!(is_gone(&block_on(store.open_known(AccountId::of(&user()))).map(drop)), "it is begun anew");
}

/// A rebuild that looked for the tree while that was being replaced by the one that says that the account has ended found none, and
/// opened the account again, which began it anew.
#[test]
fn a_rebuild_begins_no_account_that_ends_meanwhile() {
    for (polls, steps) in (1..5).flat_map(|polls| (0..60).map(move |steps| (polls, steps))) {
        let world = World::new(4);
        let store = store(&world);
        let handle = open(&world, &store);
        seen_in_a_pack(&world, &store, &handle);
        let (rebuilding, account) = (store.clone(), handle.clone());
        let mut rebuild = Box::pin(async move { drop(rebuilding.rebuild(account, &[]).await) });
        let mut context = Context::from_waker(Waker::noop());
        let mut go_on = |polls| (0..polls).all(|_| rebuild.as_mut().poll(&mut context).is_pending());
        assert!(go_on(polls), "it looks at its first files");
        let (_, finish) = store.end(&handle).unwrap();
        world.executor.spawn(async move { finish.await.unwrap() });
        world.executor.run_steps(steps);
        if go_on(POLLS) {
            run(&world, rebuild);
        }
        world.executor.run_until_stalled();
        let known = block_on(store.open_known(AccountId::of(&user()))).map(drop);
        assert!(is_gone(&known), "{known:?} after {polls} polls, then {steps} steps");
        assert_eq!(store.take_sick(), None);
    }
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
