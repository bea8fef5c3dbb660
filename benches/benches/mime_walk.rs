//! What does a message cost when it arrives: its structure alone, and all that is rendered of it for later FETCHes?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_benches::{mail, size};
use skein_mime::{Cache, structure};

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mime_walk");
    for (kind, number) in [("plain", 1), ("multipart", 3)] {
        let message = mail(number, size(500, 10_000));
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(format!("structure {kind}"), |bencher| bencher.iter(|| structure(black_box(&message))));
        group.bench_function(format!("cache {kind}"), |bencher| bencher.iter(|| Cache::build(black_box(&message))));
    }
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
