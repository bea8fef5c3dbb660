//! How many bytes of text a second does SEARCH BODY look through, and how many headers SEARCH FROM?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_benches::{mail, size};
use skein_mime::Needle;

fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("search_scan");
    let messages: Vec<Vec<u8>> = (0..size(3, 1000)).map(|number| mail(number, 10_000)).collect();
    let bytes = messages.iter().map(Vec::len).sum::<usize>();
    let absent = Needle::new("zzqqabsentzz");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("body, absent", |bencher| {
        bencher.iter(|| messages.iter().filter(|message| absent.matches_message(black_box(message), false)).count());
    });
    let late = Needle::new("home late");
    group.bench_function("body, in the first line", |bencher| {
        bencher.iter(|| messages.iter().filter(|message| late.matches_message(black_box(message), false)).count());
    });
    group.throughput(Throughput::Elements(messages.len() as u64));
    group.bench_function("header value, absent", |bencher| {
        bencher.iter(|| absent.matches_header_value(black_box(b"\"Reader, The\" <reader@bench.example>")));
    });
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
