//! What does it cost to open a mailbox's snapshot, and to find a message in it? Neither may grow with what is not looked at.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use skein_base::Uid;
use skein_benches::{size, snapshot};
use skein_index::Snapshot;

fn snapshots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot_open");
    for rows in [size(10, 1000), size(20, 100_000)] {
        let bytes = snapshot(rows, |_| vec![b'x'; 300]);
        group.bench_function(format!("open {rows}"), |bencher| {
            bencher.iter(|| Snapshot::open(black_box(&bytes[..])).map(|s| s.rows()))
        });
        let open = Snapshot::open(&bytes[..]).expect("it is sound");
        let mut uid = 0;
        group.bench_function(format!("find in {rows}"), |bencher| {
            bencher.iter(|| {
                uid = (uid + 7919) % rows as u32;
                black_box(&open).find(Uid(uid + 1))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, snapshots);
criterion_main!(benches);
