//! A snapshot file is the old one or the new one, whole, whenever the power goes and whatever the disk refuses.

use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, Guid, KeywordMask, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use skein_index::{Row, Snapshot, SnapshotHead, SnapshotWriter};
use skein_store::sim::{Faults, SimDisk, SimExecutor, SimRng, block_on};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

const PATH: &str = "/data/accounts/ab/m1.idx";

fn head(generation: u64) -> SnapshotHead {
    SnapshotHead {
        account: AccountId([3; 16]),
        mailbox: MailboxId(1),
        true_to: LogPos { segment: generation, offset: 64 },
        uid_validity: UidValidity(1),
        uid_next: Uid(100),
        modseq: ModSeq(generation),
        first_recent: Uid(1),
    }
}

fn row(uid: u32, generation: u64) -> Row {
    Row {
        uid: Uid(uid),
        flags: Flags::SEEN,
        keywords: KeywordMask(0),
        modseq: ModSeq(generation),
        internal_date: 0,
        save_date: 0,
        size: uid,
        body: [generation as u8; 24],
        guid: Guid([uid as u8; 16]),
    }
}

async fn write(disk: SimDisk, generation: u64) -> std::io::Result<()> {
    let mut writer = SnapshotWriter::create(&disk, Path::new(PATH), head(generation)).await?;
    for uid in 1..=20 {
        writer.push(&row(uid, generation), &[generation as u8; 100]).await?;
    }
    let beside = writer.finish().await?;
    let folder = Path::new(PATH).parent().expect("a file in a folder");
    beside.sync().await?;
    beside.put_in_place().await?;
    disk.sync_dir(folder).await
}

/// The generation that is in place, every byte of it checked.
fn in_place(disk: &SimDisk) -> Option<u64> {
    let map = block_on(disk.map(Path::new(PATH))).ok()?;
    let snapshot = Snapshot::open(map).expect("a file in place is whole");
    let generation = snapshot.head().modseq.0;
    for (i, uid) in (1..=20).enumerate() {
        assert_eq!(snapshot.row(i as u32), row(uid, generation));
        assert_eq!(snapshot.cache(i as u32), Ok(&[generation as u8; 100][..]));
    }
    Some(generation)
}

#[test]
fn whenever_the_power_goes() {
    let mut seen = [0; 2];
    for seed in 0..1500 {
        let rng = SimRng::new(seed);
        let (disk, executor) = (SimDisk::new(&rng), SimExecutor::new(&rng));
        block_on(disk.create_dir_all(Path::new(PATH).parent().unwrap())).unwrap();
        let mut durable = None;
        for generation in 1..5 {
            if rng.once_in(2) {
                disk.set_faults(Faults { write_one_in: 9, sync_one_in: 9, full_one_in: 20, ..Faults::default() });
            }
            let done = Rc::new(Cell::new(false));
            let (task, result) = (write(disk.clone(), generation), done.clone());
            executor.spawn(async move { result.set(task.await.is_ok()) });
            executor.run_steps(rng.below(60));
            executor.kill_all();
            disk.set_faults(Faults::default());
            disk.crash();
            let now = in_place(&disk);
            if done.get() {
                assert_eq!(now, Some(generation), "seed {seed}: finished means durable");
            } else {
                assert!(now == durable || now == Some(generation), "seed {seed}: {durable:?} became {now:?}");
            }
            seen[usize::from(now == Some(generation))] += 1;
            durable = now;
        }
    }
    assert!(seen.iter().all(|&n| n > 500), "both ends were tried: {seen:?}");
}
