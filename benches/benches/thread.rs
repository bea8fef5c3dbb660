//! What does THREAD cost, by References and by subject?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_base::Collation;
use skein_benches::{mail, size};
use skein_mime::{ThreadBy, Threads};

fn threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("thread");
    let headers: Vec<Vec<u8>> = (0..size(20, 10_000)).map(|number| mail(number, 0)).collect();
    group.throughput(Throughput::Elements(headers.len() as u64));
    for (kind, by) in [("references", ThreadBy::References), ("orderedsubject", ThreadBy::OrderedSubject)] {
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                let mut threads = Threads::new(by, Collation::default());
                for (number, header) in headers.iter().enumerate() {
                    threads.push(number as u32 + 1, number as i64, black_box(header));
                }
                threads.finish()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, threads);
criterion_main!(benches);
