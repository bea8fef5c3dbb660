//! Snapshots and trees that are gone after the log was drained: nobody's mail is.

use super::damage_any::check;
use super::world::{ROOT, SimStore, World};
use crate::account::AccountError;
use crate::account_handle::AccountHandle;
use crate::body::{BodyWriter, Place};
use crate::error::StoreError;
use crate::log::segment_name;
use crate::op::{NewMessage, StoreMode};
use crate::sim::block_on;
use crate::store::DrainLimits;
use crate::{account::StoreRequest, store::paths};
use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, IdSet, MailboxId, UidValidity, UserName};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const ALL: DrainLimits = DrainLimits { keep_bytes: 0, keep_seconds: -1 };

pub(super) struct Case {
    pub world: World,
    pub user: UserName,
}

impl Case {
    pub fn new(seed: u64) -> Case {
        Case { world: World { segment_bytes: 4000, ..World::new(seed) }, user: UserName::new("anna").unwrap() }
    }

    pub fn folder(&self) -> PathBuf {
        paths::account(&Path::new(ROOT).join("accounts"), AccountId::of(&self.user))
    }

    /// A life of the store with the account open, to its end in order.
    pub fn live<T: 'static>(&self, life: impl AsyncFnOnce(SimStore, Rc<AccountHandle>) -> T + 'static) -> T {
        let user = self.user.clone();
        self.run(async move |store| {
            let handle = store.open(&user).await.unwrap();
            life(store, handle).await
        })
    }

    /// A life of the store, to its end in order.
    pub fn run<T: 'static>(&self, life: impl AsyncFnOnce(SimStore) -> T + 'static) -> T {
        let (scan, tail) = self.world.scan();
        let store = self.world.stores(1, &scan, tail).remove(0);
        let writer = store.log().clone();
        self.world.executor.spawn(async move { writer.run().await });
        let out = Rc::new(std::cell::Cell::new(None));
        let result = out.clone();
        self.world.executor.spawn(async move {
            let done = life(store.clone()).await;
            store.log().close().await.unwrap();
            result.set(Some(done));
        });
        self.world.executor.run_until_stalled();
        self.world.executor.kill_all();
        self.world.recover(Default::default());
        out.take().expect("the life ended")
    }
}

pub(super) async fn append(store: &SimStore, handle: &Rc<AccountHandle>, mailbox: MailboxId, text: &str) {
    store.load(handle, mailbox).await.unwrap();
    let mut writer = BodyWriter::new(store.log());
    writer.push(text.as_bytes()).await.unwrap();
    let body = writer.finish(b"rendered").unwrap();
    let message = NewMessage {
        flags: Flags::NONE,
        keywords: vec!["work".into()],
        internal_date: 7,
        save_date: 8,
        size: body.bytes,
        guid: store.guid(&body),
        body,
    };
    let (_, ops) = handle.read(|account| account.append(mailbox, vec![message])).unwrap();
    store.commit(handle, &ops).unwrap();
    store.durable(handle).await.unwrap();
}

/// What a mailbox holds: UID, flags, text.
async fn contents(store: &SimStore, handle: &Rc<AccountHandle>, name: &str) -> Vec<(u32, u8, String)> {
    let id = handle.read(|account| account.find(name).map(|m| m.id));
    let Some(id) = id else { return Vec::new() };
    store.load(handle, id).await.unwrap();
    let rows = handle.read(|account| {
        let mailbox = account.mailbox(id).unwrap();
        mailbox.rows().from_rank(0).map(|row| (row.uid.0, row.flags.0, mailbox.fixed(row))).collect::<Vec<_>>()
    });
    let mut out = Vec::new();
    for (uid, flags, fixed) in rows {
        let text = store.read_body(handle, &fixed, 0..u64::MAX).await.unwrap();
        out.push((uid, flags, String::from_utf8(text).unwrap()));
    }
    out
}

/// Five messages in INBOX, two of them moved to Work, one flagged after that, and all of it drained.
fn drained(case: &Case) {
    case.live(async |store, handle| {
        let ops = handle.read(|account| account.create("Work", store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        for n in 1..=5 {
            append(&store, &handle, MailboxId::INBOX, &format!("message {n}")).await;
        }
        store.checkpoint(&handle).await.unwrap();
        let work = handle.read(|account| account.find("Work").unwrap().id);
        let (_, ops) =
            handle.read(|account| account.move_to(MailboxId::INBOX, &IdSet::range(2, 3), work, store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        let request = StoreRequest {
            uids: IdSet::one(5),
            mode: StoreMode::Add,
            flags: Flags::SEEN,
            keywords: vec![],
            unchanged_since: None,
        };
        let (ops, _) = handle.read(|account| account.store(MailboxId::INBOX, request)).unwrap();
        store.commit(&handle, &ops).unwrap();
        store.durable(&handle).await.unwrap();
        // The last segment stays, so some more is written behind it.
        store.log().seal_open();
        append(&store, &handle, MailboxId::INBOX, "message 6").await;
        store.drain(&ALL).await.unwrap();
        assert!(store.metrics().segments_removed > 0, "{:?}", store.metrics());
    });
}

fn text(n: u32) -> String {
    format!("message {n}")
}

#[test]
fn a_lost_snapshot_is_listed_again_from_packs_and_tail() {
    let case = Case::new(1);
    drained(&case);
    block_on(case.world.disk.remove(&case.folder().join("m1.idx"))).unwrap();
    let inbox = case.live(async |store, handle| {
        let seen = contents(&store, &handle, "INBOX").await;
        append(&store, &handle, MailboxId::INBOX, "message 7").await;
        let highest = contents(&store, &handle, "INBOX").await.last().unwrap().0;
        assert!(highest > 1000, "no UID is given twice, though nobody knows which were: {highest}");
        // What was moved stays where it is, once.
        let work = contents(&store, &handle, "Work").await;
        assert_eq!(work.iter().map(|m| m.2.clone()).collect::<Vec<_>>(), [text(2), text(3)]);
        store.checkpoint(&handle).await.unwrap();
        seen
    });
    let uids_and_texts: Vec<_> = inbox.iter().map(|m| (m.0, m.2.clone())).collect();
    assert_eq!(uids_and_texts, [(1, text(1)), (4, text(4)), (5, text(5)), (6, text(6))]);
    let again = case.live(async |store, handle| contents(&store, &handle, "INBOX").await);
    assert_eq!(again[..4], inbox[..]);
    assert_eq!(again.len(), 5);
}

#[test]
fn a_lost_folder_of_moved_mail_gets_it_back() {
    let case = Case::new(2);
    drained(&case);
    let path = case.folder().join("m2.idx");
    let mut bytes = case.world.disk.contents(&path).unwrap();
    let middle = bytes.len() - 9;
    bytes[middle] ^= 1;
    case.world.disk.plant(&path, bytes);
    let (work, inbox) = case.live(async |store, handle| {
        (contents(&store, &handle, "Work").await, contents(&store, &handle, "INBOX").await)
    });
    let mut texts: Vec<_> = work.into_iter().map(|m| m.2).collect();
    texts.sort();
    assert_eq!(texts, [text(2), text(3)]);
    assert_eq!(inbox.len(), 4, "INBOX is as it was");
    assert_eq!(inbox[2].1, Flags::SEEN.0);
}

#[test]
fn a_lost_tree_is_taken_from_the_snapshots() {
    for damage in [true, false] {
        let case = Case::new(3);
        drained(&case);
        let path = case.folder().join("tree");
        if damage {
            case.world.disk.plant(&path, vec![0; 100]);
        } else {
            block_on(case.world.disk.remove(&path)).unwrap();
        }
        for _ in 0..2 {
            let (inbox, work) = case.live(async |store, handle| {
                (contents(&store, &handle, "INBOX").await, contents(&store, &handle, "Work").await)
            });
            assert_eq!(inbox.iter().map(|m| m.0).collect::<Vec<_>>(), [1, 4, 5, 6]);
            assert_eq!(work.iter().map(|m| m.2.clone()).collect::<Vec<_>>(), [text(2), text(3)]);
        }
    }
}

#[test]
fn packs_alone_are_enough_for_the_mail() {
    let case = Case::new(4);
    drained(&case);
    for name in ["tree", "m1.idx", "m2.idx"] {
        block_on(case.world.disk.remove(&case.folder().join(name))).unwrap();
    }
    for round in 0..2 {
        let inbox = case.live(async move |store, handle| {
            let inbox = contents(&store, &handle, "INBOX").await;
            if round == 0 {
                store.checkpoint(&handle).await.unwrap();
            }
            inbox
        });
        let mut texts: Vec<_> = inbox.into_iter().map(|m| m.2).collect();
        texts.sort();
        assert_eq!(texts, (1..=6).map(text).collect::<Vec<_>>());
    }
}

/// An INBOX that took over another UIDVALIDITY is that one after any start, whatever of it a checkpoint had written.
#[test]
fn a_uidvalidity_that_was_taken_over_stays() {
    for checkpoints in 0..4 {
        let case = Case::new(5);
        case.live(async move |store, handle| {
            store.load(&handle, MailboxId::INBOX).await.unwrap();
            if checkpoints & 1 != 0 {
                store.checkpoint(&handle).await.unwrap();
            }
            let ops = handle.read(|account| account.begin_anew(MailboxId::INBOX, skein_base::UidValidity(77))).unwrap();
            store.commit(&handle, &ops).unwrap();
            append(&store, &handle, MailboxId::INBOX, "first").await;
            if checkpoints & 2 != 0 {
                store.checkpoint(&handle).await.unwrap();
            }
            append(&store, &handle, MailboxId::INBOX, "second").await;
        });
        let seen = case.live(async |store, handle| {
            let seen = contents(&store, &handle, "INBOX").await;
            (handle.read(|account| account.find("INBOX").unwrap().validity.0), seen)
        });
        let texts: Vec<_> = seen.1.iter().map(|m| (m.0, &*m.2)).collect();
        assert_eq!((seen.0, texts), (77, vec![(1, "first"), (2, "second")]), "{checkpoints}");
    }
}

fn without_packs(case: &Case) {
    drained(case);
    for name in block_on(case.world.disk.list(&case.folder())).unwrap() {
        if name.ends_with(".pack") {
            block_on(case.world.disk.remove(&case.folder().join(name))).unwrap();
        }
    }
}

/// Who asked for all accounts was not told of this one: a check of all found nothing, and a backup of all left it out and pruned what it had of it.
#[test]
fn an_account_that_nothing_names_is_told() {
    let case = Case::new(11);
    drained(&case);
    block_on(case.world.disk.remove(&case.folder().join("tree"))).unwrap();
    let (scan, tail) = case.world.scan();
    let store = case.world.stores(1, &scan, tail).remove(0);
    let told = block_on(store.users(&[AccountId::of(&case.user)]));
    assert!(matches!(told[..], [Err(StoreError::Account(AccountError::Nameless))]), "{told:?}");
}

/// Each look at an account with a message that is lost could not read it either, and asked for the next: without a pause, until it was expunged.
#[test]
fn a_look_for_damage_asks_for_no_other() {
    let case = Case::new(10);
    without_packs(&case);
    case.live(async |store, handle| {
        let findings = check(&store, &handle).await;
        assert!(findings.iter().any(|finding| !finding.is_mended), "{findings:?}");
        assert_eq!(store.take_sick(), None);
        let rebuilt = store.rebuild(handle.clone(), &[]).await.unwrap();
        assert!(rebuilt.iter().any(|mailbox| !mailbox.unreadable.is_empty()), "{rebuilt:?}");
        assert_eq!(store.take_sick(), None);
    });
}

#[test]
fn a_pack_begun_again_where_one_was_lost_serves_no_other_message() {
    let case = Case::new(9);
    without_packs(&case);
    case.live(async |store, handle| {
        // A group as long as the one whose place it takes, and as long compressed.
        for n in [7, 8, 9, 6, 0] {
            append(&store, &handle, MailboxId::INBOX, &text(n)).await;
        }
        store.checkpoint(&handle).await.unwrap();
        store.log().seal_open();
        append(&store, &handle, MailboxId::INBOX, "message 8").await;
        store.drain(&ALL).await.unwrap();
        let rows = handle.read(|account| {
            let mailbox = account.mailbox(MailboxId::INBOX).unwrap();
            mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row)).collect::<Vec<_>>()
        });
        let new = rows.iter().filter(|fixed| matches!(fixed.body.place, Place::Pack(_))).collect::<Vec<_>>();
        let addresses: HashSet<_> = new.iter().map(|fixed| fixed.body).collect();
        assert!(addresses.len() < new.len(), "nothing took the place of another: {new:?}");
        let mut read = Vec::new();
        for fixed in &rows {
            if let Ok(text) = store.read_body(&handle, fixed, 0..u64::MAX).await {
                let part = store.read_body(&handle, fixed, 3..5).await.unwrap();
                assert_eq!(part, text[3..5]);
                read.push(String::from_utf8(text).unwrap());
            } else {
                assert!(store.read_body(&handle, fixed, 3..5).await.is_err());
                assert!(store.read_cache(&handle, fixed).await.is_err());
            }
        }
        assert_eq!(read, [7, 8, 9, 6, 0, 8].map(text), "what is lost is refused, and nothing else");
    });
}

/// A mailbox is made, deleted, and drained; what it was.
fn one_deleted(case: &Case) -> (MailboxId, UidValidity) {
    case.live(async |store, handle| {
        let ops = handle.read(|account| account.create("Passing", store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        let passing = handle.read(|account| account.find("Passing").map(|made| (made.id, made.validity))).unwrap();
        let ops = handle.read(|account| account.delete("Passing")).unwrap();
        store.commit(&handle, &ops).unwrap();
        append(&store, &handle, MailboxId::INBOX, "message 7").await;
        store.log().seal_open();
        append(&store, &handle, MailboxId::INBOX, "message 8").await;
        store.drain(&ALL).await.unwrap();
        passing
    })
}

/// What the next mailbox is given.
fn next_mailbox(case: &Case) -> (u64, (MailboxId, UidValidity)) {
    case.live(async |store, handle| {
        let ops = handle.read(|account| account.create("Next", store.now())).unwrap();
        store.commit(&handle, &ops).unwrap();
        let made = handle.read(|account| account.find("Next").map(|made| (made.id, made.validity))).unwrap();
        (store.metrics().salvaged, made)
    })
}

/// A tree made again from the snapshots knew the last mailbox of those that were left, and gave what a deleted one had once more.
#[test]
fn a_tree_made_again_gives_no_identity_twice() {
    let case = Case::new(11);
    drained(&case);
    let last = one_deleted(&case);
    block_on(case.world.disk.remove(&case.folder().join("tree"))).unwrap();
    let (told, next) = next_mailbox(&case);
    assert_eq!(told, 1);
    assert!(next.0 > last.0 && next.1 > last.1, "{next:?} after {last:?}");
}

/// The account's birth was in a segment that stayed, and what came after it in one that was drained: without the tree it read as an account
/// that had never had a checkpoint, and nobody was told (seed 1975 of the damage test).
#[test]
fn a_tree_that_is_gone_is_told_even_if_the_birth_is_still_in_the_log() {
    let case = Case::new(12);
    let first = Path::new(ROOT).join("log").join(segment_name(1));
    case.live(async |_, _| ());
    let birth = case.world.disk.contents(&first).unwrap();
    let last = one_deleted(&case);
    assert_eq!(case.world.disk.contents(&first), None, "it was drained");
    case.world.disk.plant(&first, birth);
    let healthy = case.live(async |store, handle| (store.metrics().salvaged, handle.read(|a| a.mailboxes().count())));
    assert_eq!(healthy, (0, 1));
    block_on(case.world.disk.remove(&case.folder().join("tree"))).unwrap();
    let (told, next) = next_mailbox(&case);
    assert_eq!(told, 1);
    assert!(next.0 > last.0 && next.1 > last.1, "{next:?} after {last:?}");
}
