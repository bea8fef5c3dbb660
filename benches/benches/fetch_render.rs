//! How long does it take to render FETCH lines from a snapshot: flags from its columns, ENVELOPE as it lies there?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_base::Seq;
use skein_benches::{mail, size, snapshot};
use skein_index::Snapshot;
use skein_mime::{Cache, CacheRef};
use skein_proto::imap::response::FetchLine;

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fetch_render");
    let rows = size(10, 10_000);
    let bytes = snapshot(rows, |number| Cache::build(&mail(number, 500)));
    let open = Snapshot::open(&bytes[..]).expect("it is sound");
    let mut out = Vec::new();
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("UID FLAGS", |bencher| {
        bencher.iter(|| {
            out.clear();
            for row in 0..black_box(&open).rows() {
                let mut line = FetchLine::begin(&mut out, Seq(row + 1));
                line.uid(&mut out, open.uid(row));
                line.flags(&mut out, open.flags(row), open.keywords(row), open.keyword_names(), false);
                line.end(&mut out);
            }
        });
    });
    group.bench_function("ENVELOPE", |bencher| {
        bencher.iter(|| {
            out.clear();
            for row in 0..black_box(&open).rows() {
                let blob = open.cache(row).expect("it is sound");
                let cache = CacheRef::new(blob).expect("it is sound");
                let mut line = FetchLine::begin(&mut out, Seq(row + 1));
                line.ready(&mut out, "ENVELOPE", cache.envelope().unwrap_or(b"NIL"));
                line.end(&mut out);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
