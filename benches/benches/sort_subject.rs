//! What does SORT SUBJECT cost: the base subject of each message, and the order of all?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_base::Collation;
use skein_benches::size;
use skein_mime::base_subject;

fn subjects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sort_subject");
    let plain =
        |number: usize| format!("{}report {} of the week", ["", "Re: ", "Re: Fwd: "][number % 3], number * 7919 % 1000);
    let encoded = |number: usize| format!("Re: =?utf-8?Q?Gesch=C3=A4ftsbericht_{}?=", number * 7919 % 1000);
    let makers: [(&str, &dyn Fn(usize) -> String); 2] = [("plain", &plain), ("encoded", &encoded)];
    for (kind, make) in makers {
        let subjects: Vec<String> = (0..size(10, 10_000)).map(make).collect();
        group.throughput(Throughput::Elements(subjects.len() as u64));
        group.bench_function(kind, |bencher| {
            bencher.iter(|| {
                let bases = subjects
                    .iter()
                    .map(|subject| base_subject(black_box(subject.as_bytes()), Collation::default()).text);
                let mut keys: Vec<(String, usize)> = bases.zip(0..).collect();
                keys.sort_unstable();
                keys
            });
        });
    }
    group.finish();
}

criterion_group!(benches, subjects);
criterion_main!(benches);
