//! Any file hurt, segments and packs among them, after the log was drained: what is gone is gone, and all else is as it was.
//!
//! ```text
//! lives with drains ── hurt one to three files ──▶ open everything ──▶ nobody panics, nobody sees what is not his,
//!                                                  bytes are right or refused, losses are told, the next start agrees
//! ```

use super::Seed;
use super::crash::{live, row, seeds};
use super::damage::{Past, account_files, hurt};
use super::model::State;
use super::world::{Perils, ROOT, SimStore, USERS, World};
use crate::account_handle::AccountHandle;
use crate::log::segment_name;
use crate::sim::block_on;
use crate::store::{DrainLimits, Finding, Inspector, Stopped, paths};
use skein_base::{AccountId, UserName};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const ALL: DrainLimits = DrainLimits { keep_bytes: 0, keep_seconds: -1 };

/// What one start made of an account.
#[derive(Clone, PartialEq, Debug)]
struct Seen {
    state: State,
    /// Messages whose bytes are refused.
    unread: usize,
}

/// What was told of damage.
#[derive(Default)]
struct Told {
    count: u64,
    damaged_segments: usize,
}

fn log_files(world: &World) -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("log");
    let numbers = block_on(crate::log::segments(&world.disk, &folder)).unwrap();
    numbers.into_iter().map(|number| folder.join(segment_name(number))).collect()
}

/// A start, a look at everything, a checkpoint and a drain, and an end in order.
fn start(world: &World, shards: usize) -> (Vec<Seen>, Told) {
    let (scan, tail) = world.scan();
    let damaged_segments = scan.damage().count();
    block_on(crate::log::recover(&world.disk, &Path::new(ROOT).join("log"), &scan)).unwrap();
    let stores = world.stores(shards, &scan, tail);
    let users: Vec<(UserName, usize)> =
        world.ledger.borrow().accounts.iter().map(|known| (known.user.clone(), known.home)).collect();
    let out = Rc::new(Cell::new(None));
    for store in &stores {
        let writer = store.log().clone();
        world.executor.spawn(async move { writer.run().await });
    }
    let (result, all, ledger) = (out.clone(), stores.clone(), world.ledger.clone());
    world.executor.spawn(async move {
        let mut seen = Vec::new();
        for (who, (user, home)) in users.iter().enumerate() {
            let handle = all[*home].open(user).await.unwrap_or_else(|error| panic!("{user} does not open: {error}"));
            let store = &all[*home];
            seen.push(look(store, &handle, who, &ledger).await);
            store.checkpoint(&handle).await.unwrap_or_else(|error| panic!("{user}: {error}"));
            // A copy that was still in the log, packed where its lost twin was, is that twin.
            seen[who].unread = look(store, &handle, who, &ledger).await.unread;
            let unread = check(store, &handle).await.iter().filter(|finding| !finding.is_mended).count();
            assert_eq!(unread, seen[who].unread, "the check finds what readers do");
            let rebuilt = store.rebuild(handle, &[]).await.unwrap_or_else(|error| panic!("{user}: {error}"));
            let unreadable: usize = rebuilt.iter().map(|mailbox| mailbox.unreadable.len()).sum();
            let mended: usize = rebuilt.iter().map(|mailbox| mailbox.mended as usize).sum();
            assert!(unreadable <= unread && unread <= unreadable + mended, "{unread} {rebuilt:?}");
            let handle = store.open(user).await.unwrap();
            let left = check(store, &handle).await;
            assert!(left.iter().all(|finding| !finding.is_mended) && left.len() == unreadable, "{left:?}");
            let again = look(store, &handle, who, &ledger).await;
            assert_eq!(texts(&again.state), texts(&seen[who].state), "a rebuild changes nothing that was sound");
            seen[who].unread = again.unread;
        }
        for store in &all {
            store.drain(&ALL).await.unwrap();
            store.log().close().await.unwrap();
        }
        result.set(Some(seen));
    });
    world.executor.run_until_stalled();
    world.executor.kill_all();
    let count = |store: &SimStore| {
        let m = store.metrics();
        m.snapshots_rebuilt + m.salvaged + m.records_lost + m.bodies_lost
    };
    (out.take().expect("the start ended"), Told { count: stores.iter().map(count).sum(), damaged_segments })
}

/// Keeps what is found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Inspector for Findings {
    async fn found(&mut self, finding: Finding) -> Result<(), Stopped> {
        self.0.push(finding);
        Ok(())
    }

    async fn read(&mut self, _: u64) {}
}

pub(super) async fn check(store: &SimStore, handle: &Rc<AccountHandle>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let checked = store.check(handle, &mut findings).await.unwrap();
    assert_eq!(checked.findings as usize, findings.0.len());
    findings.0
}

async fn look(
    store: &SimStore,
    handle: &Rc<AccountHandle>,
    who: usize,
    ledger: &std::cell::RefCell<super::world::Ledger>,
) -> Seen {
    let ids: Vec<_> = handle.read(|account| account.mailboxes().map(|m| m.id).collect());
    for id in ids {
        store.load(handle, id).await.unwrap_or_else(|error| panic!("mailbox {id}: {error}"));
    }
    let state = handle.read(|account| State::of(account, None));
    let fixed = handle.read(|account| {
        let rows = |mailbox: &crate::mailbox::Mailbox| {
            mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row)).collect::<Vec<_>>()
        };
        account.loaded().flat_map(rows).collect::<Vec<_>>()
    });
    let mut unread = 0;
    for fixed in fixed {
        let (owner, bytes, rendered) = {
            let ledger = ledger.borrow();
            let (bytes, rendered) = ledger.bodies.get(&fixed.guid).expect("a body that nobody wrote").clone();
            (ledger.owners[&fixed.guid], bytes, rendered)
        };
        assert_eq!(owner, who, "somebody else's message is listed");
        match store.read_body(handle, &fixed, 0..u64::MAX).await {
            Ok(is) => assert_eq!(is, *bytes, "wrong bytes are served"),
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                unread += 1;
            }
        }
        if let Ok(cache) = store.read_cache(handle, &fixed).await {
            // One that was lost is rendered again by whoever asks.
            assert!(cache.is_empty() || *cache == rendered[..], "a wrong cache is served");
        }
    }
    Seen { state, unread }
}

fn run(seed: u64) -> (u64, u64) {
    let (world, _seed) = (World::new(seed), Seed(seed));
    for _ in 0..2 {
        let (scan, tail) = world.scan();
        let stores = world.stores(1, &scan, tail);
        live(&world, &stores, Perils { drains: true, ..Perils::default() });
        drop(stores);
        world.disk.crash();
        world.recover(Perils::default());
        world.check().unwrap();
    }
    let before: Vec<Option<State>> = (0..USERS).map(|who| world.ledger.borrow().now(who).cloned()).collect();
    let folder = |who: usize| {
        let user = world.ledger.borrow().accounts[who].user.clone();
        paths::account(&Path::new(ROOT).join("accounts"), AccountId::of(&user))
    };
    let (files, segments) = (account_files(&world.disk), log_files(&world));
    let manifest = world.manifest();
    let mut hit = Vec::new();
    for _ in 0..1 + world.rng.below(3) {
        let from = if world.rng.once_in(3) || files.is_empty() { &segments } else { &files };
        if !from.is_empty() {
            hit.push(hurt(&world.disk, &world.rng, from, &Past::new()));
        }
    }
    let (seen, told) = start(&world, 1);
    let log_is_hit = hit.iter().any(|path| path.starts_with(Path::new(ROOT).join("log")));
    let mut lost = 0;
    for (who, (seen, before)) in seen.iter().zip(&before).enumerate() {
        let Some(before) = before else { continue };
        let is_as_before = seen.state == *before && seen.unread == 0;
        let is_hit = log_is_hit || hit.iter().any(|path| path.starts_with(folder(who)));
        assert!(is_as_before || is_hit, "user {who} suffers from {hit:?}:\n{before:?}\n{seen:?}");
        // One that was cut where no seal was noted looks like one whose last write never ended.
        let is_open = |path: &PathBuf| {
            let number = path.file_name().and_then(|name| crate::log::parse_segment_name(name.to_str()?));
            number.is_some_and(|number| manifest.segments.get(&number).is_none_or(|end| *end == 0))
        };
        let is_silent = hit.iter().any(is_open);
        let is_told = told.count > 0 || told.damaged_segments > 0 || seen.unread > 0 || is_silent;
        assert!(is_as_before || is_told, "user {who} lost something in silence to {hit:?}:\n{before:?}\n{seen:?}");
        lost += u64::from(!is_as_before);
    }
    let (again, told_again) = start(&world, 1);
    for (who, (first, second)) in seen.iter().zip(&again).enumerate() {
        // Packs are written again, and the modseq of what was salvaged twice moves on; the mail is the same.
        assert_eq!(texts(&first.state), texts(&second.state), "user {who} after {hit:?}");
    }
    if !log_is_hit {
        assert_eq!(told_again.damaged_segments, 0);
    }
    (lost, told.count)
}

type Listed = (Box<str>, Vec<(u32, skein_base::Guid)>);

/// Each mailbox's name and the identities in it.
fn texts(state: &State) -> Vec<Listed> {
    let folder = |folder: &Rc<super::model::Folder>| {
        (folder.name.clone(), folder.messages.iter().map(|(uid, message)| (*uid, message.guid)).collect())
    };
    state.folders.values().map(folder).collect()
}

#[test]
fn nothing_else_suffers_when_any_file_is_hurt() {
    let (seeds, mut lost, mut told) = (seeds(400), 0, 0);
    for seed in row(seeds) {
        let went = run(seed);
        lost += went.0;
        told += went.1;
    }
    println!("{seeds} seeds, {lost} accounts lost something, {told} repairs and losses told");
    assert!(lost > seeds / 10 && told > seeds / 4, "nothing was hurt");
}
