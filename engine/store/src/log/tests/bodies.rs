//! Message bytes in, message bytes out.

use super::*;
use crate::body::{BodyAddr, BodyWriter, Place};
use crate::log::ReadError;
use skein_base::limits::BODY_CHUNK_BYTES;

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// Writes a message in pieces while the log runs.
fn put(world: &World, log: &Log<SimDisk>, message: &[u8], piece: usize, cache: &[u8]) -> BodyAddr {
    let (log, message, cache) = (log.clone(), message.to_vec(), cache.to_vec());
    let out = Rc::new(std::cell::Cell::new(None));
    let result = out.clone();
    world.executor.spawn(async move {
        let mut writer = BodyWriter::new(&log);
        for part in message.chunks(piece) {
            writer.push(part).await.unwrap();
        }
        assert_eq!(writer.whole().is_some(), message.len() <= BODY_CHUNK_BYTES);
        result.set(Some(writer.finish(&cache).unwrap()));
    });
    world.executor.run_until_stalled();
    out.take().unwrap()
}

#[test]
fn every_size_survives_in_every_range() {
    let mut world = World::new(20);
    world.segment_bytes = 1 << 20;
    let log = world.log(&SegmentNumbers::above(0));
    let chunk = BODY_CHUNK_BYTES;
    for (len, piece) in [(0, 1), (1, 1), (5000, 77), (chunk, chunk), (chunk + 1, 1 << 16), (5 * chunk + 3, 100_000)] {
        let message = message(len);
        let addr = put(&world, &log, &message, piece, b"rendered");
        assert_eq!((addr.bytes as usize, addr.chunked), (len, len > chunk));
        assert_eq!(BodyAddr::decode(&addr.encode()), Some(addr));
        assert_eq!(block_on(log.read_body_cache(&addr)).unwrap(), b"rendered");
        let cuts = [0, 1, len / 2, chunk - 1, chunk, chunk + 1, 2 * chunk, len.saturating_sub(1), len, len + 9];
        for from in cuts {
            for to in cuts.into_iter().filter(|&to| to >= from) {
                let expect = &message[from.min(len)..to.min(len)];
                assert_eq!(
                    block_on(log.read_body(&addr, from as u64..to as u64)).unwrap(),
                    expect,
                    "{len} {from}..{to}"
                );
                if let Some(bytes) = log.read_body_cached(&addr, from as u64..to as u64) {
                    assert_eq!(bytes, expect);
                }
            }
        }
    }
}

#[test]
fn a_body_can_be_read_while_it_is_on_its_way() {
    let world = World::new(21);
    let log = world.idle_log(&SegmentNumbers::above(0));
    let mut writer = BodyWriter::new(&log);
    block_on(writer.push(b"hello")).unwrap();
    let addr = writer.finish(b"").unwrap();
    assert_eq!(log.read_body_cached(&addr, 0..5), None, "nothing is in any file yet");
    let reader = log.clone();
    world.executor.spawn(async move {
        assert_eq!(reader.read_body(&addr, 0..5).await.unwrap(), b"hello");
        assert_eq!(reader.read_body(&addr, 1..4).await.unwrap(), b"ell");
    });
    world.executor.run_until_stalled();
    assert_eq!(world.executor.alive(), 1);
    let writer = log.clone();
    world.executor.spawn(async move { writer.run().await });
    world.executor.run_until_stalled();
    assert_eq!(world.executor.alive(), 1, "only the writer is left");
}

#[test]
fn a_later_start_reads_what_an_earlier_one_wrote() {
    let world = World::new(22);
    let log = world.log(&SegmentNumbers::above(0));
    let addr = put(&world, &log, b"from before", 3, b"cache");
    assert!(log.is_durable(log.end()));
    world.executor.kill_all();
    world.disk.crash();
    let (scan, _) = world.scan();
    world.recover(&scan).unwrap();
    let log = world.log(&SegmentNumbers::above(scan.highest()));
    assert_eq!(block_on(log.read_body(&addr, 0..99)).unwrap(), b"from before");
    assert_eq!(block_on(log.read_body_cache(&addr)).unwrap(), b"cache");
}

#[test]
fn damage_is_named_and_not_handed_out() {
    let world = World::new(23);
    let log = world.log(&SegmentNumbers::above(0));
    let addr = put(&world, &log, b"precious bytes", 3, b"cache");
    let Place::Log(segment) = addr.place else { panic!("bodies go to the log") };
    let path = Path::new(DIR).join(format!("{segment:016x}.seg"));
    let mut bytes = world.disk.contents(&path).unwrap();
    bytes[addr.offset as usize + 45] ^= 1;
    world.disk.plant(&path, bytes);
    world.executor.kill_all();
    let log = world.log(&SegmentNumbers::above(1));
    assert!(matches!(block_on(log.read_body(&addr, 0..99)), Err(ReadError::Damaged { .. })));
    let other = BodyAddr { place: Place::Pack(1), ..addr };
    assert!(matches!(block_on(log.read_body(&other, 0..99)), Err(ReadError::Unsupported)));
    let longer = BodyAddr { bytes: 5000, ..addr };
    assert!(matches!(block_on(log.read_body(&longer, 0..5000)), Err(ReadError::Damaged { .. })));
    assert!(matches!(block_on(log.read_body(&longer, 1..5000)), Err(ReadError::Damaged { .. })));
}
