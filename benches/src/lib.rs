//! What the benchmarks share: mail, a snapshot, and how much of both.
//!
//! Never here: what is measured.

use skein_base::{AccountId, Flags, Guid, KeywordMask, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use skein_index::{BODY_ADDR_BYTES, Row, SnapshotBuilder, SnapshotHead};

/// `full` under `cargo bench`, else `small`: under `cargo test` a benchmark only shows that it runs.
pub fn size(small: usize, full: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { full } else { small }
}

/// Message `number`: every fourth answers the one before it, every third has two parts.
pub fn mail(number: usize, text_bytes: usize) -> Vec<u8> {
    let line = format!("the quick brown fox {number} jumps over lazy dogs and comes home late\r\n");
    let text = line.repeat(text_bytes / line.len() + 1);
    let references = match number % 4 {
        3 => format!("In-Reply-To: <{0}@bench.example>\r\nReferences: <{0}@bench.example>\r\n", number - 1),
        _ => String::new(),
    };
    let (re, topic) = (if number % 4 == 3 { "Re: " } else { "" }, number / 4 % 1000);
    let head = format!(
        "Return-Path: <s{0}@bench.example>\r\nReceived: from mx.example by mail.example; Mon, 23 Nov 2026 12:00:00 +0000\r\n\
         From: Sender {0} <s{0}@bench.example>\r\nTo: \"Reader, The\" <reader@bench.example>\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@bench.example>\r\n{references}\
         Subject: {re}report {topic} of the week\r\nMIME-Version: 1.0\r\n",
        number % 400
    );
    let body = match number % 3 {
        0 => format!(
            "Content-Type: multipart/alternative; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\n{text}\
             --=_b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>{text}</p>\r\n--=_b--\r\n"
        ),
        _ => format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"),
    };
    (head + &body).into_bytes()
}

/// A snapshot of `rows` messages, with what `cache` says is rendered of each.
pub fn snapshot(rows: usize, mut cache: impl FnMut(usize) -> Vec<u8>) -> Vec<u8> {
    let mut builder = SnapshotBuilder::new(SnapshotHead {
        account: AccountId([7; 16]),
        mailbox: MailboxId(1),
        true_to: LogPos { segment: 1, offset: 4096 },
        uid_validity: UidValidity(1),
        uid_next: Uid(rows as u32 + 1),
        modseq: ModSeq(rows as u64),
        first_recent: Uid(1),
    });
    builder.reserve(rows);
    for number in 0..rows {
        let row = Row {
            uid: Uid(number as u32 + 1),
            flags: if number % 3 == 0 { Flags::SEEN } else { Flags::default() },
            keywords: KeywordMask(0),
            modseq: ModSeq(number as u64 + 1),
            internal_date: 1_700_000_000 + number as i64 * 60,
            save_date: 1_700_000_000 + number as i64 * 60,
            size: 10_000,
            body: [0; BODY_ADDR_BYTES],
            guid: Guid([(number % 251) as u8; 16]),
        };
        builder.push(&row, &cache(number));
    }
    builder.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_index::Snapshot;

    #[test]
    fn a_snapshot_opens() {
        let bytes = snapshot(10, |number| vec![number as u8; 5]);
        let snapshot = Snapshot::open(&bytes[..]).expect("it is sound");
        assert_eq!((snapshot.rows(), snapshot.cache(9)), (10, Ok(&[9; 5][..])));
    }
}
