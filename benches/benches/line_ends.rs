//! What does a message cost before anybody looks into it: dots taken out and line ends made CRLF, by LMTP and by APPEND?

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_base::line_ends::Crlf;
use skein_benches::{mail, size};
use skein_proto::lmtp::{Lmtp, Reply, Request, Settings, Step};

fn line_ends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line_ends");
    let message = mail(1, size(500, 10_000));
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("append", |bencher| {
        let mut spare = Vec::new();
        bencher.iter(|| Crlf::new().normal(black_box(&message), &mut spare).len());
    });
    let delivery = [b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", &message[..], b".\r\n"].concat();
    group.bench_function("lmtp, with its envelope", |bencher| {
        let mut lmtp = connection();
        bencher.iter(|| talk(&mut lmtp, black_box(&delivery)));
    });
    group.finish();
}

fn connection() -> Lmtp {
    let settings = Settings {
        hostname: "bench.example".into(),
        message_bytes_max: 1 << 30,
        recipients_max: 1,
        idle_ms_max: 1 << 30,
        starttls: false,
        trusts: false,
    };
    let mut lmtp = Lmtp::new(settings, false);
    talk(&mut lmtp, b"LHLO bench.example\r\n");
    lmtp
}

/// Everything is accepted and dropped.
fn talk(lmtp: &mut Lmtp, mut input: &[u8]) {
    loop {
        match lmtp.next() {
            Step::Ask(id, Request::End { .. }) => lmtp.answer(id, Reply::Outcomes(vec![Ok(())])),
            Step::Ask(id, _) => lmtp.answer(id, Reply::Accept),
            Step::More if input.is_empty() => return lmtp.out().clear(),
            Step::More => input = &input[lmtp.feed(input, 0)..],
            step => panic!("{step:?}"),
        }
    }
}

criterion_group!(benches, line_ends);
criterion_main!(benches);
