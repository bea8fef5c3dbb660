//! How long does a command of a client take, from its bytes to the question that it is?

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_proto::imap::{Imap, ImapConfig, Reply, Request, Step};

const COMMANDS: &[&str] = &[
    "a1 NOOP\r\n",
    "a2 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n",
    "a3 LIST \"\" (\"INBOX\" \"Archive/%\") RETURN (SUBSCRIBED CHILDREN)\r\n",
    "a4 CREATE \"Entw&APw-rfe/2026\"\r\n",
];

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("imap_parse");
    for command in COMMANDS {
        let mut imap = Imap::new(Arc::new(ImapConfig::default()), true);
        answer_all(&mut imap, "a0 LOGIN user pass\r\n");
        group.throughput(Throughput::Elements(1));
        group.bench_function(command.split(' ').nth(1).unwrap_or_default().trim(), |bencher| {
            bencher.iter(|| answer_all(&mut imap, black_box(command)));
        });
    }
    group.finish();
}

/// Feeds a line and refuses what is asked: what follows a question is not measured here.
fn answer_all(imap: &mut Imap, mut line: &str) {
    loop {
        match imap.next() {
            Step::More if line.is_empty() => break,
            Step::More => line = &line[imap.feed(line.as_bytes())..],
            Step::Ask(Request::Login { .. }) => imap.answer(Reply::LoggedIn { user: "user".into() }),
            Step::Ask(request) => {
                black_box(&request);
                imap.answer(Reply::No { code: None, text: "no".into() });
            }
            step => panic!("{step:?}"),
        }
    }
    imap.out().clear();
}

criterion_group!(benches, commands);
criterion_main!(benches);
