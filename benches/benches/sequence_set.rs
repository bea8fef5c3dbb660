//! What do sets of message numbers cost: to build one of many ranges, to ask it, to write it?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use skein_base::IdSet;
use skein_benches::size;

fn sets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sequence_set");
    let ranges = size(10, 5000) as u32;
    let every_third: Vec<(u32, u32)> = (0..ranges).map(|n| (n * 3 + 1, n * 3 + 1)).collect();
    let set = IdSet::from_ranges(every_third.iter().copied()).expect("a set of that size is allowed");
    group.bench_function("from_ranges", |bencher| {
        bencher.iter(|| IdSet::from_ranges(black_box(&every_third).iter().copied()))
    });
    group.bench_function("contains", |bencher| {
        bencher.iter(|| (1..=ranges * 3).filter(|&n| black_box(&set).contains(n)).count());
    });
    let other = IdSet::range(ranges, ranges * 2);
    group.bench_function("intersection", |bencher| bencher.iter(|| black_box(&set).intersection(&other)));
    group.bench_function("write", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            black_box(&set).write_to(&mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, sets);
criterion_main!(benches);
