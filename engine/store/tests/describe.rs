//! Files in words: the golden ones, hurt ones, and any bytes.

use proptest::prelude::*;
use skein_base::{AccountId, LogPos, MailboxId, UserName};
use skein_index::AccountSnapshot;
use skein_store::account::{Account, create_account, encode_account};
use skein_store::describe::{Fact, NotOurs, Word, describe};
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Lines as the command prints them, nearly, and the damaged places.
fn told(bytes: &[u8]) -> (Vec<String>, Result<u64, NotOurs>) {
    let mut lines = Vec::new();
    let places = describe("any", bytes, &mut |Fact { what, says }| {
        let words = says.iter().map(|(name, word)| match word {
            Word::Number(number) => format!(" {name}={number}"),
            Word::Time(seconds) => format!(" {name}={seconds}"),
            Word::Text(text) => format!(" {name}={text}"),
        });
        lines.push(format!("{what}{}", words.collect::<String>()));
    });
    (lines, places)
}

fn tree() -> Vec<u8> {
    let (user, pos) = (UserName::new("ann@example.org").unwrap(), LogPos { segment: 3, offset: 64 });
    let mut account = Account::unborn();
    account.apply(&create_account(&user, 1_767_225_600), pos);
    account.apply(&account.create("Work/\u{e4}", 1_767_225_600).unwrap(), LogPos { offset: 100, ..pos });
    let comment = [("/private/comment".into(), Some(b"mine"[..].into()))];
    account.apply(&account.set_metadata(Some(MailboxId(2)), &comment).unwrap(), LogPos { offset: 150, ..pos });
    account.apply(&account.subscribe("Work", true).unwrap(), LogPos { offset: 200, ..pos });
    let payload = encode_account(&account, skein_store::body::Bodies::Move);
    AccountSnapshot { account: AccountId::of(&user), true_to: account.pos(), version: 4, payload }.encode()
}

#[test]
fn a_segment() {
    let bytes = golden("testdata/v1/0000000000000005.seg");
    let (lines, places) = told(&bytes);
    // The records check; what the golden file has in two of them are no ops.
    assert_eq!(places, Ok(2));
    assert!(lines[0].starts_with("segment segment=5 shard="), "{lines:?}");
    assert!(lines.iter().filter(|line| line.starts_with("record at=")).count() > 1, "{lines:?}");
    assert!(lines.last().unwrap().ends_with("ending=sealed"), "{lines:?}");
    // A record in the middle that does not check; what follows is told.
    let mut hurt = bytes.clone();
    hurt[64 + 41] ^= 1;
    let (hurt_lines, places) = told(&hurt);
    assert!(
        places.unwrap() >= 1 && hurt_lines.iter().any(|line| line.starts_with("damage from=64 to=")),
        "{hurt_lines:?}"
    );
    assert_eq!(hurt_lines.last().unwrap().rsplit(' ').next(), Some("ending=sealed"));
    let (torn, places) = told(&bytes[..bytes.len() - 100]);
    assert_eq!(places, Ok(1), "a tail that is torn is no damage");
    assert!(torn.last().unwrap().contains("ending=open") || torn.last().unwrap().contains("ending=torn"), "{torn:?}");
    let (headless, places) = told(&[&bytes[..20], &[0; 100]].concat());
    assert_eq!((headless.len(), places), (1, Ok(1)));
}

#[test]
fn the_highest_number() {
    let note = [&7u64.to_le_bytes()[..], &crc32c::crc32c(&7u64.to_le_bytes()).to_le_bytes()].concat();
    let mut told = Vec::new();
    assert_eq!(describe("high-0003", &note, &mut |fact| told.push(fact)), Ok(0));
    assert_eq!(told[0], Fact { what: "highest_segment", says: vec![("segment", Word::Number(7))] });
    for hurt in [&note[..5], &[0; 12]] {
        assert_eq!(describe("high-0003", hurt, &mut |_| {}), Ok(1));
    }
}

#[test]
fn a_pack() {
    let bytes = golden("testdata/v1/p0000000000000001.pack");
    let (lines, places) = told(&bytes);
    assert_eq!(places, Ok(0));
    assert!(lines[0].starts_with("pack account=") && lines[1].starts_with("entry at=64 mailbox="), "{lines:?}");
    // A payload, then a header: the entry is told, or passed over to the next one.
    let mut hurt = bytes.clone();
    hurt[64 + 85] ^= 1;
    let (payload, places) = told(&hurt);
    assert_eq!((payload.len(), places), (lines.len() + 1, Ok(1)));
    assert!(payload[2].starts_with("damage from=64 to="), "{payload:?}");
    hurt[64 + 5] ^= 1;
    let (header, places) = told(&hurt);
    assert_eq!((header.len(), places), (lines.len(), Ok(1)));
    assert!(header[1].starts_with("damage from=64 to="), "{header:?}");
    assert_eq!(told(&bytes[..bytes.len() - 9]).1, Ok(1));
}

#[test]
fn a_tree_and_a_mailbox() {
    let (lines, places) = told(&tree());
    assert_eq!(places, Ok(0));
    assert!(
        lines[0].contains("true_to=segment 3 offset 200") && lines[0].ends_with("user=ann@example.org"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("mailbox mailbox=1 name=INBOX uidvalidity=1767225600"), "{lines:?}");
    assert!(lines[2].contains("name=Work/\u{e4}") && lines[3] == "subscription name=Work", "{lines:?}");
    assert_eq!(lines[4], "annotation mailbox=2 name=/private/comment bytes=4");
    let mut hurt = tree();
    *hurt.last_mut().unwrap() ^= 1;
    assert_eq!(told(&hurt).1, Ok(1));

    let bytes = golden("../../index/testdata/v1/mailbox.idx");
    let (lines, _) = told(&bytes);
    assert!(lines[0].starts_with("mailbox account=") && lines.iter().any(|line| line.starts_with("message uid=")));
    let mut hurt = bytes.clone();
    *hurt.last_mut().unwrap() ^= 1;
    let (lines, places) = told(&hurt);
    assert!(places.unwrap() >= 1, "{lines:?}");
    assert!(lines[0].starts_with("mailbox account="), "the head is told when it checks: {lines:?}");
    let mut drained = Vec::new();
    assert_eq!(describe("0000000000000005.dry", b"", &mut |fact| drained.push(fact)), Ok(0));
    assert_eq!((drained.len(), drained[0].what), (1, "drained"));
    for not_ours in [&b""[..], b"SKEIN", b"From me", &[0; 1000]] {
        assert_eq!(told(not_ours), (Vec::new(), Err(NotOurs)));
    }
}

proptest! {
    #[test]
    fn hurt_files_are_told_without_a_panic(kind in 0usize..4, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut in any::<prop::sample::Index>(), cuts: bool) {
        let mut bytes = match kind {
            0 => golden("testdata/v1/0000000000000005.seg"),
            1 => golden("testdata/v1/p0000000000000001.pack"),
            2 => golden("../../index/testdata/v1/mailbox.idx"),
            _ => tree(),
        };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let (lines, places) = told(&bytes);
        prop_assert_eq!(lines.is_empty(), places.is_err());
    }
}
