//! Segments of every version stay readable.

use super::*;
use crate::log::{SegmentEnd, SegmentHeader, SegmentScan};

const GOLDEN: &str = "0000000000000005.seg";

/// What `testdata/v1` holds: records of every kind in two batches, sealed.
fn expected() -> Vec<(RecordKind, AccountId, Vec<u8>)> {
    let nobody = AccountId([0; 16]);
    vec![
        (RecordKind::Op, account(0), b"first op".to_vec()),
        (RecordKind::Body, nobody, b"Subject: hi\r\n\r\nhello\r\n(rendered)".to_vec()),
        (RecordKind::Op, account(1), Vec::new()),
        (RecordKind::BodyChunk, nobody, vec![0xc5; 100]),
        (RecordKind::BodyIndex, nobody, vec![7; 24]),
        (RecordKind::Op, account(0), vec![1; 13]),
    ]
}

/// The same records by today's writer.
fn written() -> Vec<u8> {
    let mut world = World::new(40);
    world.segment_bytes = 1 << 20;
    let mut options = LogOptions::new(ShardId(3), *b"the run's 16 byt", Rc::new(|| 1_767_225_600));
    options.segment_bytes = 1 << 20;
    let log = Log::open(world.disk.clone(), Path::new(DIR), SegmentNumbers::above(4), options);
    let writer = log.clone();
    world.executor.spawn(async move { writer.run().await });
    for (i, (kind, account, payload)) in expected().into_iter().enumerate() {
        log.append(account, kind, &[&payload]).unwrap();
        if i == 2 {
            world.executor.run_until_stalled();
        }
    }
    let closing = log.clone();
    world.executor.spawn(async move { closing.close().await.unwrap() });
    world.executor.run_until_stalled();
    world.disk.contents(&Path::new(DIR).join(GOLDEN)).unwrap()
}

#[test]
fn version_1() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1").join(GOLDEN);
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, written()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes, written(), "the same version writes the same bytes");
    let world = World::new(41);
    world.disk.plant(&Path::new(DIR).join(GOLDEN), bytes);
    let (scan, found) = world.scan();
    assert!(found.into_iter().map(|k| (k.kind, k.account, k.payload)).eq(expected()));
    let header = SegmentHeader { shard: ShardId(3), segment: 5, created: 1_767_225_600, run: *b"the run's 16 byt" };
    let expect = SegmentScan {
        segment: 5,
        header: Some(header),
        records: 6,
        end: 488,
        last_batch: 224,
        ending: SegmentEnd::Sealed,
        damage: Vec::new(),
    };
    assert_eq!(scan.segments, [expect]);
}
