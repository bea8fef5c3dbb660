//! What an account's packs take, and what it costs that they take no more.

use super::crash::{row, seeds};
use super::repair::{Case, append};
use super::world::SimStore;
use crate::account_handle::AccountHandle;
use crate::body::{BodyAddr, Place};
use crate::pack::{PACK_HEADER_BYTES, pack_name};
use crate::sim::{SimDisk, SimRng};
use skein_base::{Guid, IdSet, MailboxId};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// Packs together below this are left alone.
const LEAST: u64 = 4_000;
const PACK_BYTES: u64 = 20_000;
const ROUNDS: u64 = 12;

/// Every message that is there, and where.
fn live(handle: &AccountHandle) -> Vec<(u32, Guid, BodyAddr)> {
    handle.read(|account| {
        let inbox = account.mailbox(MailboxId::INBOX).unwrap();
        inbox.rows().from_rank(0).map(|row| (row.uid.0, inbox.fixed(row).guid, inbox.fixed(row).body)).collect()
    })
}

/// Bytes that those take.
fn lives(handle: &AccountHandle) -> u64 {
    live(handle).iter().map(|(.., at)| u64::from(at.stored)).sum()
}

/// Bytes of the account's packs.
async fn takes(disk: &SimDisk, store: &SimStore, folder: &Path) -> u64 {
    let packs = store.packs_in(folder).await.unwrap();
    packs.iter().map(|pack| disk.contents(&folder.join(pack_name(*pack))).unwrap().len() as u64).sum()
}

/// A message that does not compress away.
async fn arrive(store: &SimStore, handle: &Rc<AccountHandle>, rng: &SimRng, bytes: u64) {
    let text: String = rng.bytes(bytes as usize).iter().map(|b| format!("{b:02x}")).collect();
    append(store, handle, MailboxId::INBOX, &text).await;
}

async fn expunge(store: &SimStore, handle: &Rc<AccountHandle>, gone: &IdSet) {
    let ops = handle.read(|account| account.remove(MailboxId::INBOX, gone)).unwrap();
    store.commit(handle, &ops).unwrap();
    store.durable(handle).await.unwrap();
}

/// A mailbox that fills and empties at random: after a checkpoint its packs take no more than 1.3 times what lives in them, and no byte
/// that is dropped has had more than four others written again.
#[test]
fn packs_stay_near_what_lives_in_them() {
    let mut compacted = 0;
    for seed in row(seeds(20)) {
        let _seed = super::Seed(seed);
        let case = Case::new(seed);
        let (disk, folder) = (case.world.disk.clone(), case.folder());
        compacted += case.live(async move |store, handle| {
            let rng = SimRng::new(seed);
            store.set_pack_sizes(PACK_BYTES, LEAST);
            let mut came: HashMap<Guid, u64> = HashMap::new();
            for _ in 0..ROUNDS {
                for _ in 0..1 + rng.below(12) {
                    arrive(&store, &handle, &rng, 1 + rng.below(1500)).await;
                }
                store.checkpoint(&handle).await.unwrap();
                for (_, guid, at) in live(&handle) {
                    assert!(matches!(at.place, Place::Pack(_)), "{at:?} after a checkpoint");
                    came.entry(guid).or_insert(at.stored.into());
                }
                let leaves = rng.below(4);
                let all = live(&handle).into_iter().map(|(uid, ..)| uid);
                expunge(&store, &handle, &all.filter(|_| rng.below(4) < leaves).collect()).await;
                store.checkpoint(&handle).await.unwrap();
                // Packs that were small are looked at by the first checkpoint that finds them larger.
                store.checkpoint(&handle).await.unwrap();
                let (takes, lives) = (takes(&disk, &store, &folder).await, lives(&handle));
                assert!(takes <= LEAST.max(lives * 13 / 10), "{takes} bytes of packs for {lives} that live");
            }
            let (metrics, came) = (store.metrics(), came.values().sum::<u64>());
            let (written, dropped) = (metrics.pack_bytes, came - lives(&handle));
            let headers = 4 * ROUNDS * PACK_HEADER_BYTES as u64;
            assert!(written <= came + 4 * dropped + headers, "{written} written for {came}, {dropped} of them dropped");
            metrics.packs_removed
        });
    }
    assert!(compacted > seeds(20), "next to nothing was compacted");
}

/// Messages left while the packs were small enough to be left alone, and nothing left after that: once there was more, nobody looked, and
/// what had left stayed waste.
#[test]
fn what_is_left_alone_is_not_forgotten() {
    let case = Case::new(3);
    let (disk, folder) = (case.world.disk.clone(), case.folder());
    let (takes, lives) = case.live(async move |store, handle| {
        store.set_pack_sizes(PACK_BYTES, LEAST);
        let rng = SimRng::new(3);
        for _ in 0..5 {
            arrive(&store, &handle, &rng, 500).await;
        }
        store.checkpoint(&handle).await.unwrap();
        expunge(&store, &handle, &IdSet::range(1, 5)).await;
        store.checkpoint(&handle).await.unwrap();
        assert!(takes(&disk, &store, &folder).await < LEAST, "there is little");
        for _ in 0..3 {
            arrive(&store, &handle, &rng, 500).await;
        }
        store.checkpoint(&handle).await.unwrap();
        arrive(&store, &handle, &rng, 500).await;
        store.checkpoint(&handle).await.unwrap();
        (takes(&disk, &store, &folder).await, lives(&handle))
    });
    assert!(takes <= lives * 13 / 10, "{takes} bytes of packs for {lives} that live");
}
