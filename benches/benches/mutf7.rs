//! What do mailbox names cost on their way from the wire and to it?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use skein_proto::imap::mutf7;

fn names(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mutf7");
    for (kind, name) in
        [("ascii", "Archive/2026/Projects"), ("umlauts", "Entwürfe/Geschäft"), ("cjk", "受信箱/重要なメール")]
    {
        let mut wire = Vec::new();
        mutf7::encode(name, &mut wire);
        group.bench_function(format!("decode {kind}"), |bencher| bencher.iter(|| mutf7::decode(black_box(&wire))));
        group.bench_function(format!("encode {kind}"), |bencher| {
            bencher.iter(|| {
                wire.clear();
                mutf7::encode(black_box(name), &mut wire);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, names);
criterion_main!(benches);
