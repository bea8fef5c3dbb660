//! The bytes of ops and of the tree: what is written reads back, what is not never panics, and version 1 stays readable.

use proptest::prelude::*;
use skein_base::limits::MAILBOX_ID_MAX;
use skein_base::{Flags, Guid, IdSet, LogPos, MailboxId, SpecialUse, Uid, UidValidity, UserName};
use skein_store::account::{Account, Usage, create_account, decode_account, encode_account};
use skein_store::body::{Bodies, BodyAddr, Place};
use skein_store::op::{NewMessage, Op, StoreMode, ValueRun, decode, encode};
use std::path::{Path, PathBuf};

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["[a-zA-Z$/]{0,12}", "\\PC{0,40}", "x{1024}"].prop_map(Into::into)
}

fn user() -> impl Strategy<Value = UserName> {
    "[a-zA-Zäß0-9@.-]{1,60}".prop_map(|name| UserName::new(&name).unwrap())
}

fn keywords() -> impl Strategy<Value = Vec<Box<str>>> {
    prop_oneof![
        9 => prop::collection::vec(text(), 0..4),
        1 => Just(vec!["keyword".into(); 128]),
    ]
}

fn set() -> impl Strategy<Value = IdSet> {
    let number = || prop_oneof![0u32..50, any::<u32>(), u32::MAX - 3..=u32::MAX];
    prop::collection::vec((number(), number()), 0..12).prop_map(|ranges| IdSet::from_ranges(ranges).unwrap())
}

fn body() -> impl Strategy<Value = BodyAddr> {
    let place =
        (0u8..3, 0u64..1 << 48).prop_map(|(kind, n)| [Place::Log, Place::Pack, Place::Object][kind as usize](n));
    (place, any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
        |(place, offset, bytes, cache_bytes, chunked)| match place {
            Place::Pack(_) => {
                let (offset, stored) = ((offset >> 25) & !7, (bytes / 2) & !7);
                BodyAddr { place, offset, bytes, cache_bytes, stored, chunked }
            }
            _ => BodyAddr { place, offset, bytes, cache_bytes, stored: 0, chunked },
        },
    )
}

fn message() -> impl Strategy<Value = NewMessage> {
    let dates = (any::<i64>(), any::<i64>());
    (0u8..32, keywords(), dates, any::<u32>(), any::<[u8; 16]>(), body()).prop_map(
        |(flags, keywords, (internal_date, save_date), size, guid, body)| NewMessage {
            flags: Flags(flags),
            keywords,
            internal_date,
            save_date,
            size,
            guid: Guid(guid),
            body,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let mailbox = || (0..=MAILBOX_ID_MAX).prop_map(MailboxId);
    let mode = prop_oneof![Just(StoreMode::Replace), Just(StoreMode::Add), Just(StoreMode::Remove)];
    let validity = || any::<u32>().prop_map(UidValidity);
    let messages = prop::collection::vec(message(), 1..4);
    prop_oneof![
        (user(), validity()).prop_map(|(user, validity)| Op::CreateAccount { user, validity }),
        (mailbox(), text(), validity()).prop_map(|(mailbox, name, validity)| Op::CreateMailbox {
            mailbox,
            name,
            validity
        }),
        any::<u32>().prop_map(|validity_last| Op::EndAccount { validity_last }),
        mailbox().prop_map(|mailbox| Op::DeleteMailbox { mailbox }),
        (mailbox(), text()).prop_map(|(mailbox, name)| Op::RenameMailbox { mailbox, name }),
        (text(), any::<bool>()).prop_map(|(name, on)| Op::Subscribe { name, on }),
        (mailbox(), 1u32..u32::MAX - 4, messages).prop_map(|(mailbox, first, messages)| Op::Append {
            mailbox,
            first_uid: Uid(first),
            messages
        }),
        (mailbox(), set(), mode, 0u8..32, keywords()).prop_map(|(mailbox, uids, mode, flags, keywords)| Op::Store {
            mailbox,
            uids,
            mode,
            flags: Flags(flags),
            keywords
        }),
        (mailbox(), set()).prop_map(|(mailbox, uids)| Op::Expunge { mailbox, uids }),
        (mailbox(), 0u8..64).prop_map(|(mailbox, uses)| Op::SetSpecialUse { mailbox, uses: SpecialUse(uses) }),
        (0..=MAILBOX_ID_MAX, text(), prop::option::of(prop::collection::vec(any::<u8>(), 0..40))).prop_map(
            |(mailbox, name, value)| Op::SetMetadata {
                mailbox: Some(MailboxId(mailbox)).filter(|id| id.0 > 0),
                name,
                value: value.map(Into::into)
            }
        ),
        (mailbox(), text(), runs()).prop_map(|(mailbox, column, runs)| Op::SetValues { mailbox, column, runs }),
        (mailbox(), any::<u32>(), "[!-~]{1,70}").prop_map(|(mailbox, uid, id)| Op::SetUniqueId {
            mailbox,
            uid: Uid(uid),
            id: id.into()
        }),
        (mailbox(), any::<u32>()).prop_map(|(mailbox, below)| Op::ClaimRecent { mailbox, below: Uid(below) }),
    ]
}

fn runs() -> impl Strategy<Value = Vec<ValueRun>> {
    prop::collection::vec((1u32..9, 0u32..1000, any::<u64>()), 0..5).prop_map(|runs| {
        let mut last = 0;
        let run = |(gap, more, value)| {
            let first = last + gap;
            last = first + more;
            ValueRun { first: Uid(first), last: Uid(last), value }
        };
        runs.into_iter().map(run).collect()
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_reads_back(ops in ops()) {
        prop_assert_eq!(decode(&encode(&ops)), Ok(ops));
    }

    /// What is cut off is either noticed or falls between two ops.
    #[test]
    fn a_cut_never_invents(ops in ops(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&ops);
        let at = cut.index(bytes.len() + 1);
        match decode(&bytes[..at]) {
            Ok(less) => prop_assert_eq!(&less[..], &ops[..less.len()]),
            Err(bad) => prop_assert!(bad.offset <= at),
        }
    }

    /// Bytes that read as ops are the bytes of some ops: writing those again reads the same.
    #[test]
    fn arbitrary_bytes_never_panic(
        ops in ops(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = encode(&ops);
        for (at, byte) in changes.iter().filter(|_| !ops.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        for bytes in [bytes, noise] {
            if let Ok(read) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&read)), Ok(read));
            }
            let _ = decode_account(&bytes, LogPos::default());
        }
    }

    #[test]
    fn a_hurt_tree_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = encode_account(&tree(), Bodies::Move);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(account) = decode_account(&bytes, LogPos::default()) {
            prop_assert!(account.find("inbox").is_some());
            prop_assert_eq!(encode_account(&account, Bodies::Move).len(), bytes.len());
        }
    }
}

#[test]
fn bytes_that_no_writer_wrote() {
    let cases: &[(&[u8], usize)] = &[
        (&[0], 0),
        (&[10], 0),
        (&[3, 1, 0, 0], 0),
        // The second of two.
        (&[3, 1, 0, 0, 0, 99], 5),
        // A name that is no UTF-8.
        (&[4, 1, 0, 0, 0, 1, 0, 0xff], 0),
        // A user's name that is none.
        (&[1, 1, 0, b' ', 0, 0, 0, 0], 0),
        // A message numbered 0, none above it, and more messages than there are UIDs.
        (&[6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        (&[6, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], 0),
        (&[6, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], 0),
        // A set whose ranges descend, one whose range does, and one that is not there.
        (&[8, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], 0),
        (&[8, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0], 0),
        (&[8, 1, 0, 0, 0, 255, 255, 255, 255], 0),
        // A mailbox whose number nobody gives.
        (&[2, 255, 255, 255, 255, 1, 0, b'a', 9, 0, 0, 0], 0),
        // A fourth way to store.
        (&[7, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0], 0),
    ];
    for (bytes, offset) in cases {
        assert_eq!(decode(bytes).unwrap_err().offset, *offset, "{bytes:?}");
    }
}

/// Ops of every kind, some with nothing in them, some full.
fn golden_ops() -> Vec<Op> {
    let addr = |place, chunked| {
        let unit = if matches!(place, Place::Pack(_)) { 8 } else { 1 };
        BodyAddr { place, offset: 0x1122_3344 * unit, bytes: 1000, cache_bytes: 200, stored: 0, chunked }
    };
    let message = |flags, keywords: &[&str], body| NewMessage {
        flags,
        keywords: keywords.iter().map(|k| (*k).into()).collect(),
        internal_date: 1_767_225_600,
        save_date: -1,
        size: 1000,
        guid: Guid(*b"sixteen bytes id"),
        body,
    };
    let uids = IdSet::from_ranges([(1, 3), (7, 7), (100, u32::MAX)]).unwrap();
    let mailbox = MailboxId(0x0102_0304);
    vec![
        Op::CreateAccount { user: UserName::new("ann@example.org").unwrap(), validity: UidValidity(1_767_225_600) },
        Op::CreateMailbox { mailbox, name: "Ärger/日本".into(), validity: UidValidity(7) },
        Op::DeleteMailbox { mailbox },
        Op::RenameMailbox { mailbox, name: "Play".into() },
        Op::Subscribe { name: "INBOX/x".into(), on: true },
        Op::Subscribe { name: "".into(), on: false },
        Op::Append {
            mailbox: MailboxId::INBOX,
            first_uid: Uid(9),
            messages: vec![
                message(Flags::NONE, &[], addr(Place::Log(5), false)),
                message(Flags::ALL, &["$Forwarded", "x"], addr(Place::Pack(6), true)),
                message(Flags::SEEN, &["é"], addr(Place::Object((1 << 48) - 1), false)),
            ],
        },
        Op::Store {
            mailbox,
            uids: uids.clone(),
            mode: StoreMode::Replace,
            flags: Flags::ANSWERED | Flags::FLAGGED,
            keywords: Vec::new(),
        },
        Op::Store {
            mailbox,
            uids: IdSet::one(1),
            mode: StoreMode::Add,
            flags: Flags::DELETED,
            keywords: vec!["a".into()],
        },
        Op::Store {
            mailbox,
            uids: IdSet::new(),
            mode: StoreMode::Remove,
            flags: Flags::DRAFT,
            keywords: vec!["b".into()],
        },
        Op::Expunge { mailbox, uids },
        Op::ClaimRecent { mailbox, below: Uid(12) },
    ]
}

fn tree() -> Account {
    let mut account = Account::unborn();
    let pos = |offset| LogPos { segment: 1, offset };
    account.apply(&create_account(&UserName::new("ann@example.org").unwrap(), 1_767_225_600), pos(1));
    for (i, name) in ["Work", "Work/2026", "gone", "Ä"].iter().enumerate() {
        let ops = account.create(name, 1_767_225_600).unwrap();
        account.apply(&ops, pos(2 + i as u64));
    }
    let mut ops = account.delete("gone").unwrap();
    ops.extend(account.rename("Work", "inbox/Work").unwrap());
    ops.extend(account.subscribe("Ä", true).unwrap());
    ops.extend(account.subscribe("never/was", true).unwrap());
    account.apply(&ops, pos(9));
    account
}

/// The file's bytes. With `SKEIN_WRITE_GOLDEN` it is written first: only for a new version.
fn golden(name: &str, today: &[u8]) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1").join(name);
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, today).unwrap();
    }
    std::fs::read(&path).unwrap()
}

#[test]
fn version_1_of_ops() {
    let today = encode(&golden_ops());
    let bytes = golden("ops.bin", &today);
    assert_eq!(decode(&bytes), Ok(golden_ops()));
    assert_eq!(bytes, today, "the same version writes the same bytes");
}

#[test]
fn version_1_of_the_tree() {
    let today = encode_account(&tree(), Bodies::Move);
    let bytes = golden("tree.bin", &today);
    let account = decode_account(&bytes, LogPos { segment: 1, offset: 9 }).unwrap();
    let names: Vec<(u32, &str, u32)> =
        account.mailboxes().map(|m| (m.id.0, m.name, m.validity.0 - 1_767_225_600)).collect();
    assert_eq!(names, [(1, "INBOX", 0), (2, "INBOX/Work", 1), (3, "INBOX/Work/2026", 2), (5, "Ä", 4)]);
    assert_eq!(account.subscriptions().collect::<Vec<_>>(), ["never/was", "Ä"]);
    assert_eq!(account.user().unwrap().as_str(), "ann@example.org");
    // Numbers go on where they were.
    let next = account.create("next", 0).unwrap();
    assert!(
        matches!(&next[..], [Op::CreateMailbox { mailbox: MailboxId(6), validity, .. }] if validity.0 == 1_767_225_605)
    );
    assert_eq!(bytes, today, "the same version writes the same bytes");
}

#[test]
fn version_3_of_the_tree() {
    let mut account = tree();
    let sent = account.create_for("Sent", SpecialUse::SENT, 1_767_225_600).unwrap();
    account.apply(&sent, LogPos { segment: 1, offset: 10 });
    let today = encode_account(&account, Bodies::Move);
    let bytes = golden("../v3/tree.bin", &today);
    let account = decode_account(&bytes, LogPos { segment: 1, offset: 10 }).unwrap();
    let uses: Vec<(u32, SpecialUse)> = account.mailboxes().map(|m| (m.id.0, m.special_use)).collect();
    let none = SpecialUse::NONE;
    assert_eq!(uses, [(1, none), (2, none), (3, none), (6, SpecialUse::SENT), (5, none)]);
    assert_eq!(bytes, today, "the same version writes the same bytes");
}

#[test]
fn version_4_of_the_tree() {
    let pos = LogPos { segment: 1, offset: 10 };
    let (mut account, work) = (tree(), MailboxId(2));
    let mut ops = account.set_metadata(None, &[("/shared/comment".into(), Some(b"hello"[..].into()))]).unwrap();
    let changes = [("/private/comment".into(), Some([0u8, 255][..].into())), ("own".into(), Some([][..].into()))];
    ops.extend(account.set_metadata(Some(work), &changes).unwrap());
    account.apply(&ops, pos);
    let today = encode_account(&account, Bodies::Move);
    let bytes = golden("../v4/tree.bin", &today);
    let account = decode_account(&bytes, pos).unwrap();
    let annotations: Vec<_> = account.annotations().collect();
    let expect: [(Option<MailboxId>, &str, &[u8]); 3] =
        [(None, "/shared/comment", b"hello"), (Some(work), "/private/comment", &[0, 255]), (Some(work), "own", b"")];
    assert_eq!(annotations, expect);
    assert_eq!(bytes, today, "the same version writes the same bytes");
    // What is behind the uses of version 3 is cut, of another mailbox, or followed by something.
    let uses = encode_account(&tree(), Bodies::Move).len();
    for at in uses + 1..bytes.len() {
        assert!(decode_account(&bytes[..at], pos).is_err() || at == uses + 4, "{at}");
    }
    let mut wrong = bytes.clone();
    wrong[uses + 8] = 9;
    assert!(decode_account(&wrong, pos).is_err());
    wrong = bytes;
    wrong.push(0);
    assert!(decode_account(&wrong, pos).is_err());
}

#[test]
fn version_5_of_the_tree() {
    let pos = LogPos { segment: 1, offset: 10 };
    let mut account = tree();
    let sized = |size| NewMessage {
        flags: Flags::NONE,
        keywords: Vec::new(),
        internal_date: 1,
        save_date: 1,
        size,
        guid: Guid(*b"sixteen bytes id"),
        body: BodyAddr { place: Place::Log(1), offset: 64, bytes: size, cache_bytes: 0, stored: 0, chunked: false },
    };
    let (_, ops) = account.append(MailboxId::INBOX, vec![sized(7), sized(8)]).unwrap();
    account.apply(&ops, pos);
    account.mailbox(MailboxId::INBOX).unwrap().bytes();
    let today = encode_account(&account, Bodies::Move);
    let bytes = golden("../v5/tree.bin", &today);
    assert_eq!(bytes, today, "the same version writes the same bytes");
    let account = decode_account(&bytes, pos).unwrap();
    let two = Usage { messages: 2, bytes: 15 };
    assert_eq!(account.usage_of(MailboxId::INBOX), Some(two));
    assert!(account.unmeasured().eq([2, 3, 5].map(MailboxId)));
    let uses = encode_account(&tree(), Bodies::Move).len();
    for at in uses + 1..bytes.len() {
        assert!(decode_account(&bytes[..at], pos).is_err() || [4, 8].contains(&(at - uses)), "{at}");
    }
    let mut wrong = bytes.clone();
    wrong[uses + 12] = 9;
    assert!(decode_account(&wrong, pos).is_err());
    wrong = bytes;
    wrong.push(0);
    assert!(decode_account(&wrong, pos).is_err());
}

#[test]
fn version_6_of_the_tree() {
    let pos = LogPos { segment: 9, offset: 10 };
    let mut account = tree();
    let message = NewMessage {
        flags: Flags::NONE,
        keywords: Vec::new(),
        internal_date: 1,
        save_date: 1,
        size: 7,
        guid: Guid(*b"sixteen bytes id"),
        body: BodyAddr { place: Place::Log(8), offset: 64, bytes: 7, cache_bytes: 0, stored: 0, chunked: false },
    };
    let (_, ops) = account.append(MailboxId::INBOX, vec![message]).unwrap();
    account.apply(&ops, pos);
    let (moved, today) = (encode_account(&account, Bodies::Move), encode_account(&account, Bodies::Stay));
    let bytes = golden("../v6/tree.bin", &today);
    assert_eq!(bytes, today, "the same version writes the same bytes");
    // Behind the three counts of what there is not: how many, INBOX, segment 8.
    assert_eq!(bytes[..moved.len()], moved);
    assert_eq!(
        bytes[moved.len()..],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]
    );
    let again = decode_account(&bytes, pos).unwrap();
    assert_eq!(encode_account(&again, Bodies::Stay), bytes, "what is not in memory is as it was read");
    for at in moved.len() + 1..bytes.len() {
        assert!(decode_account(&bytes[..at], pos).is_err() || [4, 8, 12].contains(&(at - moved.len())), "{at}");
    }
    let mut wrong = bytes.clone();
    wrong[moved.len() + 16] = 9;
    assert!(decode_account(&wrong, pos).is_err());
    wrong = bytes;
    wrong.push(0);
    assert!(decode_account(&wrong, pos).is_err());
}

/// The smallest ops, byte by byte as engine/docs/ops-format.md has them.
#[test]
fn small_ops_by_hand() {
    let mailbox = MailboxId(0x0102_0304);
    let cases: &[(Op, &[u8])] = &[
        (Op::DeleteMailbox { mailbox }, &[3, 4, 3, 2, 1]),
        (Op::RenameMailbox { mailbox, name: "ab".into() }, &[4, 4, 3, 2, 1, 2, 0, b'a', b'b']),
        (Op::Subscribe { name: "a".into(), on: true }, &[5, 1, 0, b'a', 1]),
        (Op::Expunge { mailbox, uids: IdSet::one(5) }, &[8, 4, 3, 2, 1, 1, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0]),
        (Op::ClaimRecent { mailbox, below: Uid(6) }, &[9, 4, 3, 2, 1, 6, 0, 0, 0]),
        (Op::EndAccount { validity_last: 0x0605_0403 }, &[10, 3, 4, 5, 6]),
        (Op::SetSpecialUse { mailbox, uses: SpecialUse::SENT }, &[12, 4, 3, 2, 1, 8]),
        (
            Op::SetMetadata { mailbox: Some(mailbox), name: "/a".into(), value: Some(b"xyz"[..].into()) },
            &[13, 4, 3, 2, 1, 2, 0, b'/', b'a', 1, 3, 0, 0, 0, b'x', b'y', b'z'],
        ),
        (Op::SetMetadata { mailbox: None, name: "b".into(), value: None }, &[13, 0, 0, 0, 0, 1, 0, b'b', 0]),
        (
            Op::SetValues {
                mailbox,
                column: "a/b".into(),
                runs: vec![ValueRun { first: Uid(5), last: Uid(6), value: 0x0807_0605_0403_0201 }],
            },
            &[14, 4, 3, 2, 1, 3, 0, b'a', b'/', b'b', 1, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
        (Op::SetUniqueId { mailbox, uid: Uid(6), id: "a.".into() }, &[11, 4, 3, 2, 1, 6, 0, 0, 0, 2, 0, b'a', b'.']),
    ];
    for (op, bytes) in cases {
        assert_eq!(encode(std::slice::from_ref(op)), *bytes);
        assert_eq!(decode(bytes).as_deref(), Ok(std::slice::from_ref(op)));
    }
}

#[test]
fn runs_that_do_not_ascend_are_no_op() {
    for (runs, is_good) in [
        (&[(1, 4), (5, 5)][..], true),
        (&[(1, 4), (4, 5)], false),
        (&[(3, 4), (1, 2)], false),
        (&[(2, 1)], false),
        (&[(0, 1)], false),
    ] {
        let mut bytes = vec![14, 1, 0, 0, 0, 1, 0, b'a', runs.len() as u8, 0, 0, 0];
        for (first, last) in runs {
            bytes.extend_from_slice(&u32::to_le_bytes(*first));
            bytes.extend_from_slice(&u32::to_le_bytes(*last));
            bytes.extend_from_slice(&[7; 8]);
        }
        assert_eq!(decode(&bytes).is_ok(), is_good, "{runs:?}");
        assert!(decode(&bytes[..bytes.len() - 1]).is_err(), "{runs:?} cut");
    }
}

#[test]
fn what_pop3_can_not_give_is_no_unique_id() {
    for id in ["", " ", "a b", "a\n", "ü", &"x".repeat(71)] {
        let mut bytes = vec![11, 1, 0, 0, 0, 6, 0, 0, 0];
        bytes.extend_from_slice(&(id.len() as u16).to_le_bytes());
        bytes.extend_from_slice(id.as_bytes());
        assert!(decode(&bytes).is_err(), "{id:?}");
    }
}

/// What the end of an account leaves, byte by byte: no user, no mailbox, and the number to go on from.
#[test]
fn an_account_that_has_ended_by_hand() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = tree();
    account.apply(&[Op::EndAccount { validity_last: 0x0605_0403 }], pos(20));
    assert!(account.user().is_none() && account.mailboxes().next().is_none());
    let bytes = encode_account(&account, Bodies::Move);
    assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut back = decode_account(&bytes, pos(20)).unwrap();
    back.apply(&create_account(&UserName::new("ann@example.org").unwrap(), 7), pos(30));
    assert_eq!(back.mailboxes().map(|m| (m.id.0, m.name)).collect::<Vec<_>>(), [(1, "INBOX")]);
    // One without a user that has something is no tree.
    let mut wrong = encode_account(&tree(), Bodies::Move);
    wrong.drain(2..17);
    wrong[0] = 0;
    assert!(decode_account(&wrong, pos(9)).is_err());
}
