//! Bodies that a checkpoint leaves in the log: snapshots name them there, and no segment goes that has one.

use super::repair::{Case, append};
use super::world::{ROOT, SimStore};
use crate::account::StoreRequest;
use crate::account_handle::AccountHandle;
use crate::body::{Bodies, Place};
use crate::log::{scan_segment, segment_name};
use crate::op::StoreMode;
use crate::sim::block_on;
use crate::store::DrainLimits;
use skein_base::{Flags, IdSet, MailboxId, UserName};
use std::path::Path;
use std::rc::Rc;

const ALL: DrainLimits = DrainLimits { keep_bytes: 0, keep_seconds: -1 };
const SEEN: u8 = Flags::SEEN.0;

/// What INBOX holds: UID, flags, text, and whether that is in the log.
async fn inbox(store: &SimStore, handle: &Rc<AccountHandle>) -> Vec<(u32, u8, String, bool)> {
    store.load(handle, MailboxId::INBOX).await.unwrap();
    let rows = handle.read(|account| {
        let mailbox = account.mailbox(MailboxId::INBOX).unwrap();
        mailbox.rows().from_rank(0).map(|row| (row.uid.0, row.flags.0, mailbox.fixed(row))).collect::<Vec<_>>()
    });
    let mut out = Vec::new();
    for (uid, flags, fixed) in rows {
        let text = store.read_body(handle, &fixed, 0..u64::MAX).await.unwrap();
        out.push((uid, flags, String::from_utf8(text).unwrap(), matches!(fixed.body.place, Place::Log(_))));
    }
    out
}

fn expected(in_log: bool) -> Vec<(u32, u8, String, bool)> {
    [(1, 0), (3, SEEN), (4, 0)].map(|(uid, flags)| (uid, flags, format!("message {uid}"), in_log)).into()
}

/// A change of no mailbox: the log has a segment of this life.
async fn subscribe(store: &SimStore, handle: &Rc<AccountHandle>, name: &str) {
    let ops = handle.read(|account| account.subscribe(name, true)).unwrap();
    store.commit(handle, &ops).unwrap();
    store.durable(handle).await.unwrap();
}

fn flag(store: &SimStore, handle: &Rc<AccountHandle>, uid: u32, flags: Flags) {
    let (uids, mode) = (IdSet::one(uid), StoreMode::Add);
    let request = StoreRequest { uids, mode, flags, keywords: vec![], unchanged_since: None };
    let (ops, _) = handle.read(|account| account.store(MailboxId::INBOX, request)).unwrap();
    store.commit(handle, &ops).unwrap();
}

fn expunge(store: &SimStore, handle: &Rc<AccountHandle>, uid: u32) {
    flag(store, handle, uid, Flags::DELETED);
    let ops = handle.read(|account| account.expunge(MailboxId::INBOX, Some(&IdSet::one(uid)))).unwrap();
    store.commit(handle, &ops).unwrap();
}

/// Four messages of which one has left and one was seen, and a checkpoint that leaves bodies where they are; the segment with them takes
/// no more.
fn left_in_log(case: &Case) {
    case.live(async |store, handle| {
        // The log is not whole: it can not tell everything.
        subscribe(&store, &handle, "a").await;
        store.log().seal_open();
        subscribe(&store, &handle, "b").await;
        store.drain(&ALL).await.unwrap();
        assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
        for n in 1..=4 {
            append(&store, &handle, MailboxId::INBOX, &format!("message {n}")).await;
        }
        flag(&store, &handle, 3, Flags::SEEN);
        expunge(&store, &handle, 2);
        store.checkpoint_with(&handle, Bodies::Stay).await.unwrap();
        assert_eq!(inbox(&store, &handle).await, expected(true));
        assert!(handle.tail_records().is_empty(), "nothing need be replayed");
        store.log().seal_open();
        // The segment is not the last one.
        append(&store, &handle, MailboxId::INBOX, "another").await;
        expunge(&store, &handle, 5);
        store.durable(&handle).await.unwrap();
        store.checkpoint_with(&handle, Bodies::Stay).await.unwrap();
    });
}

#[test]
fn snapshots_name_bodies_in_the_log_until_it_is_drained() {
    let case = Case::new(1);
    left_in_log(&case);
    case.live(async |store, handle| {
        assert_eq!(inbox(&store, &handle).await, expected(true));
        assert_eq!(store.metrics().ops_replayed, 0);
        subscribe(&store, &handle, "c").await;
        // Closed, it needs them no less.
        let user = handle.user().clone();
        drop(handle);
        store.close_idle(&crate::store::OpenLimits { idle_ms: 0, accounts_max: 0, memory_bytes_max: 0 }).await;
        assert_eq!(store.metrics().accounts_open, 0);
        store.drain(&ALL).await.unwrap();
        assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
        let handle = store.open(&user).await.unwrap();
        assert_eq!(inbox(&store, &handle).await, expected(false));
    });
    case.live(async |store, handle| assert_eq!(inbox(&store, &handle).await, expected(false)));
}

#[test]
fn an_open_account_is_drained_though_nothing_changed() {
    let case = Case::new(2);
    left_in_log(&case);
    case.live(async |store, handle| {
        subscribe(&store, &handle, "c").await;
        store.drain(&ALL).await.unwrap();
        assert_eq!(inbox(&store, &handle).await, expected(false));
        assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
        let written = store.metrics().snapshots_written;
        store.drain(&ALL).await.unwrap();
        assert_eq!(store.metrics().snapshots_written, written, "there is nothing more to do for it");
    });
}

/// The record that brought a message is in the snapshot, and can not be read any more: the message is there all the same.
#[test]
fn a_damaged_record_takes_no_body_along() {
    let case = Case::new(3);
    left_in_log(&case);
    let folder = Path::new(ROOT).join("log");
    let segments = block_on(crate::log::segments(&case.world.disk, &folder)).unwrap();
    let (_, all_but_last) = segments.split_last().unwrap();
    for &segment in all_but_last {
        let mut ops = Vec::new();
        let note = |record: &crate::log::Record<'_>| {
            if record.kind == crate::log::RecordKind::Op {
                ops.push(record.end.offset as usize);
            }
        };
        block_on(scan_segment(&case.world.disk, &folder, segment, note)).unwrap();
        let path = folder.join(segment_name(segment));
        let mut bytes = case.world.disk.contents(&path).unwrap();
        ops.iter().for_each(|end| bytes[end - 9] ^= 1);
        case.world.disk.plant(&path, bytes);
    }
    assert!(case.world.scan().0.damage().count() > 1);
    let user = case.user.clone();
    case.run(async move |store| {
        // Somebody else's, so that the log has a segment of this life. Nobody has come for the account when it is drained.
        let other = store.open(&UserName::new("bert").unwrap()).await.unwrap();
        store.durable(&other).await.unwrap();
        store.drain(&ALL).await.unwrap();
        assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
        let handle = store.open(&user).await.unwrap();
        let kept: Vec<_> = inbox(&store, &handle).await.into_iter().map(|m| m.2).collect();
        assert_eq!(kept, ["message 1", "message 3", "message 4"]);
    });
}

/// The log still says what the snapshot did: flags, and who has left.
#[test]
fn a_lost_snapshot_is_made_again_from_the_log() {
    for tree_too in [false, true] {
        let case = Case::new(4);
        left_in_log(&case);
        block_on(skein_base::seam::Disk::remove(&case.world.disk, &case.folder().join("m1.idx"))).unwrap();
        if tree_too {
            block_on(skein_base::seam::Disk::remove(&case.world.disk, &case.folder().join("tree"))).unwrap();
        }
        let seen = case.live(async |store, handle| {
            let seen = inbox(&store, &handle).await;
            subscribe(&store, &handle, "c").await;
            store.drain(&ALL).await.unwrap();
            assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
            seen
        });
        let again = case.live(async |store, handle| inbox(&store, &handle).await);
        let texts = |seen: &[(u32, u8, String, bool)]| seen.iter().map(|m| m.2.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&again), texts(&seen));
        match tree_too {
            false => assert_eq!((seen, again), (expected(true), expected(false))),
            // Nobody knows which UIDs were given and who has left; nothing that lives is lost.
            true => assert!([1, 3, 4].iter().all(|n| texts(&seen).contains(&format!("message {n}"))), "{seen:?}"),
        }
    }
}
