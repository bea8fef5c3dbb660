//! Snapshots against a plain model, against damage, and against the files of every version.

use proptest::prelude::*;
use skein_base::limits::MAILBOX_ID_MAX;
use skein_base::{AccountId, Flags, Guid, KeywordMask, LogPos, MailboxId, ModSeq, Uid, UidValidity};
use skein_index::{
    ACCOUNT_VERSION, ACCOUNT_VERSION_PLAIN, AccountSnapshot, BodiesAre, Expunged, Row, Run, Snapshot, SnapshotBuilder,
    SnapshotError, SnapshotHead,
};
use std::collections::BTreeMap;

/// Everything a snapshot is made of.
#[derive(Clone, Debug)]
struct Model {
    head: SnapshotHead,
    rows: Vec<(Row, Vec<u8>)>,
    names: Vec<String>,
    expunged: Vec<Expunged>,
    extra: Vec<u8>,
    /// By UID, of any that may have a row.
    unique_ids: BTreeMap<u32, String>,
    values: BTreeMap<String, Vec<Run>>,
}

impl Model {
    fn bytes(&self) -> Vec<u8> {
        let mut builder = SnapshotBuilder::new(self.head);
        builder.reserve(self.rows.len());
        self.rows.iter().for_each(|(row, cache)| builder.push(row, cache));
        self.names.iter().for_each(|name| builder.keyword_name(name));
        self.expunged.iter().for_each(|e| builder.expunged(e.modseq, e.first, e.last));
        builder.extra(&self.extra);
        self.unique_ids.iter().for_each(|(uid, id)| builder.unique_id(Uid(*uid), id));
        self.values.iter().for_each(|(name, runs)| builder.values(name, runs));
        builder.into_bytes()
    }

    fn assert_is(&self, snapshot: &Snapshot<&[u8]>) {
        assert_eq!(*snapshot.head(), self.head);
        assert_eq!(snapshot.rows() as usize, self.rows.len());
        for (i, (row, cache)) in self.rows.iter().enumerate() {
            assert_eq!(snapshot.row(i as u32), *row);
            assert_eq!(snapshot.cache(i as u32), Ok(&cache[..]));
            assert_eq!(snapshot.find(row.uid), Some(i as u32));
        }
        assert!(snapshot.uids().eq(self.rows.iter().map(|(row, _)| row.uid)));
        assert!(snapshot.all_flags().eq(self.rows.iter().map(|(row, _)| row.flags)));
        assert!(snapshot.all_modseqs().eq(self.rows.iter().map(|(row, _)| row.modseq)));
        assert_eq!(snapshot.has_keywords(), self.rows.iter().any(|(row, _)| row.keywords.0 != 0));
        assert!(snapshot.keyword_names().iter().map(|n| &**n).eq(self.names.iter().map(String::as_str)));
        assert!(snapshot.expunged().eq(self.expunged.iter().copied()));
        assert_eq!(snapshot.extra(), self.extra);
        let values = snapshot.values().map(|(name, runs)| (name.to_owned(), runs.collect::<Vec<_>>()));
        assert!(values.eq(self.values.clone()));
        for uid in (0..40).chain([u32::MAX]) {
            let below = self.rows.iter().filter(|(row, _)| row.uid.0 < uid).count();
            assert_eq!(snapshot.lower_bound(Uid(uid)) as usize, below);
            let there = self.rows.get(below).is_some_and(|(row, _)| row.uid.0 == uid);
            assert_eq!(snapshot.find(Uid(uid)), there.then_some(below as u32));
            assert_eq!(snapshot.unique_id(Uid(uid)), self.unique_ids.get(&uid).map(String::as_str));
        }
    }
}

fn head() -> impl Strategy<Value = SnapshotHead> {
    let numbers = (0..=MAILBOX_ID_MAX, any::<u32>(), 1_000u32.., any::<u32>());
    let places = (any::<u64>(), any::<u64>(), 0..=ModSeq::MAX.0);
    (any::<[u8; 16]>(), numbers, places).prop_map(|(account, n, (segment, offset, modseq))| SnapshotHead {
        account: AccountId(account),
        mailbox: MailboxId(n.0),
        true_to: LogPos { segment, offset },
        uid_validity: UidValidity(n.1),
        uid_next: Uid(n.2),
        modseq: ModSeq(modseq),
        first_recent: Uid(n.3),
    })
}

/// A row whose UID is still the gap to the one before.
fn row() -> impl Strategy<Value = (Row, Vec<u8>)> {
    let keywords = prop_oneof![3 => Just(0u128), 1 => any::<u128>()];
    let numbers = (1u32..9, 0u8..32, keywords, any::<u64>(), any::<i64>(), any::<i64>(), any::<u32>());
    let cache = prop::collection::vec(any::<u8>(), 0..80);
    (numbers, any::<[u8; 24]>(), any::<[u8; 16]>(), cache).prop_map(|(n, body, guid, cache)| {
        let row = Row {
            uid: Uid(n.0),
            flags: Flags(n.1),
            keywords: KeywordMask(n.2),
            modseq: ModSeq(n.3),
            internal_date: n.4,
            save_date: n.5,
            size: n.6,
            body,
            guid: Guid(guid),
        };
        (row, cache)
    })
}

/// Runs whose UIDs are still the gaps to those before.
fn values() -> impl Strategy<Value = BTreeMap<String, Vec<Run>>> {
    let runs = prop::collection::vec((1u32..5, 0u32..9, any::<u64>(), any::<u64>()), 0..6).prop_map(|runs| {
        let mut last = 0;
        let run = |(gap, more, value, modseq)| {
            let first = last + gap;
            last = first + more;
            Run { first: Uid(first), last: Uid(last), value, modseq: ModSeq(modseq) }
        };
        runs.into_iter().map(run).collect()
    });
    prop::collection::btree_map("[a-zé/]{0,9}", runs, 0..4)
}

fn model() -> impl Strategy<Value = Model> {
    let names = prop::collection::vec("[a-z$é]{0,12}", 0..6);
    let expunged = prop::collection::vec(any::<(u64, u32, u32)>(), 0..5);
    let extra = prop::collection::vec(any::<u8>(), 0..30);
    let unique_ids = prop::collection::btree_map(1u32..40, "[!-~]{0,70}", 0..9);
    (head(), prop::collection::vec(row(), 0..40), names, expunged, extra, unique_ids, values()).prop_map(
        |(head, mut rows, names, expunged, extra, unique_ids, values)| {
            let mut uid = 0;
            for (row, _) in &mut rows {
                uid += row.uid.0;
                row.uid = Uid(uid);
            }
            let expunged = expunged.iter().map(|e| Expunged { modseq: ModSeq(e.0), first: Uid(e.1), last: Uid(e.2) });
            Model { head, rows, names, expunged: expunged.collect(), extra, unique_ids, values }
        },
    )
}

/// Looks at everything; panics if anything does.
fn look_at_all(snapshot: &Snapshot<&[u8]>) {
    for row in 0..snapshot.rows() {
        let _ = (snapshot.row(row), snapshot.cache(row), snapshot.find(snapshot.uid(row)));
        let _ = snapshot.unique_id(snapshot.uid(row));
    }
    let _ = (snapshot.expunged().count(), snapshot.extra(), snapshot.keyword_names());
    let _ = snapshot.values().map(|(name, runs)| name.len() + runs.count()).sum::<usize>();
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(model in model()) {
        let bytes = model.bytes();
        model.assert_is(&Snapshot::open(&bytes[..]).unwrap());
    }

    #[test]
    fn a_flipped_bit_is_seen_or_harmless(model in model(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = model.bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let Ok(snapshot) = Snapshot::open(&bytes[..]) else { return Ok(()) };
        // Only padding and cache entries may be wrong in a snapshot that opens.
        for (i, (row, cache)) in model.rows.iter().enumerate() {
            prop_assert_eq!(snapshot.row(i as u32), *row);
            let read = snapshot.cache(i as u32);
            let refused = SnapshotError::Cache { row: i as u32 };
            prop_assert!(read == Ok(&cache[..]) || read == Err(refused));
        }
        prop_assert_eq!(*snapshot.head(), model.head);
    }

    #[test]
    fn a_cut_file_is_refused(model in model(), at: prop::sample::Index) {
        let bytes = model.bytes();
        let cut = &bytes[..at.index(bytes.len())];
        if let Ok(snapshot) = Snapshot::open(cut) {
            // The last section is empty, so that nothing but padding was cut.
            model.assert_is(&snapshot);
        }
    }

    #[test]
    fn a_header_that_lies_never_panics(model in model(), at in 0usize..508, bytes in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut file = model.bytes();
        let end = (at + bytes.len()).min(508);
        file[at..end].copy_from_slice(&bytes[..end - at]);
        let crc = crc32c::crc32c(&file[..508]);
        file[508..512].copy_from_slice(&crc.to_le_bytes());
        if let Ok(snapshot) = Snapshot::open(&file[..]) {
            look_at_all(&snapshot);
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        prop_assert!(Snapshot::open(&bytes[..]).is_err());
        prop_assert!(AccountSnapshot::decode(&bytes).is_err());
    }

    #[test]
    fn account_snapshots_survive_and_damage_is_seen(account: [u8; 16], segment: u64, offset: u64, payload in prop::collection::vec(any::<u8>(), 0..100), at: prop::sample::Index, bit in 0u8..8) {
        let true_to = LogPos { segment, offset };
        let version = ACCOUNT_VERSION_PLAIN + segment as u32 % (ACCOUNT_VERSION - ACCOUNT_VERSION_PLAIN + 1);
        let snapshot = AccountSnapshot { account: AccountId(account), true_to, version, payload };
        let mut bytes = snapshot.encode();
        prop_assert_eq!(AccountSnapshot::decode(&bytes), Ok((snapshot, BodiesAre::Drained)));
        let at = at.index(bytes.len());
        prop_assert!(AccountSnapshot::decode(&bytes[..at]).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(AccountSnapshot::decode(&bytes).is_err());
    }
}

#[test]
fn uids_out_of_order_are_refused() {
    let mut model = golden();
    model.rows.truncate(2);
    let mut bytes = model.bytes();
    // The two UIDs change places, and every checksum is made right again.
    let table = 96 + 24;
    let at = u64::from_le_bytes(bytes[table + 8..table + 16].try_into().unwrap()) as usize;
    bytes[at..at + 8].rotate_left(4);
    let crc = crc32c::crc32c(&bytes[at..at + 8]);
    bytes[table + 4..table + 8].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Snapshot::open(&bytes[..]).unwrap_err(), SnapshotError::Section { id: 1 });
}

/// Numbers at their end under a right checksum: the mailbox's next change would have felled the shard.
#[test]
fn heads_that_can_not_go_on_are_refused() {
    let refused = |change: fn(&mut Model)| {
        let mut model = golden();
        change(&mut model);
        assert_eq!(Snapshot::open(&model.bytes()[..]).unwrap_err(), SnapshotError::Header, "{:?}", model.head);
    };
    refused(|model| model.head.mailbox = MailboxId(u32::MAX));
    refused(|model| model.head.modseq = ModSeq(u64::MAX));
    refused(|model| model.head.uid_next = Uid(9));
    refused(|model| {
        model.rows.clear();
        model.head.uid_next = Uid(0);
    });
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = golden().bytes();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Snapshot::open(&bytes[..]).unwrap_err(), SnapshotError::Version { found: 9 });
}

/// The mailbox that `testdata/v1` holds.
fn golden() -> Model {
    let row = |n: u32| Row {
        uid: Uid(3 * n),
        flags: Flags(n as u8),
        keywords: KeywordMask(if n == 2 { 1 << 100 | 1 } else { 0 }),
        modseq: ModSeq(1000 + u64::from(n)),
        internal_date: 1_700_000_000 + i64::from(n),
        save_date: -i64::from(n),
        size: 100 * n,
        body: [n as u8; 24],
        guid: Guid([0xf0 | n as u8; 16]),
    };
    Model {
        head: SnapshotHead {
            account: AccountId(*b"sixteen bytes ok"),
            mailbox: MailboxId(7),
            true_to: LogPos { segment: 5, offset: 6400 },
            uid_validity: UidValidity(77),
            uid_next: Uid(10),
            modseq: ModSeq(1003),
            first_recent: Uid(9),
        },
        rows: (1..=3).map(|n| (row(n), vec![b'a' + n as u8; 5 * n as usize])).collect(),
        names: vec!["$Forwarded".into(), "größe".into()],
        expunged: vec![Expunged { modseq: ModSeq(999), first: Uid(1), last: Uid(2) }],
        extra: b"beside".to_vec(),
        unique_ids: BTreeMap::new(),
        values: BTreeMap::new(),
    }
}

/// The same with columns of values, as `testdata/v1/values.idx` has them.
fn golden_with_values() -> Model {
    let run = |(first, last, value, modseq)| Run { first: Uid(first), last: Uid(last), value, modseq: ModSeq(modseq) };
    let values = [
        ("keep/refused", vec![(3, 6, 1, 1001), (7, 7, u64::MAX, 1003)]),
        ("seen/zoë@example.org", vec![(1, 9, 1, 1002)]),
    ];
    let values = values.map(|(name, runs)| (name.to_owned(), runs.into_iter().map(run).collect())).into();
    Model { values, ..golden() }
}

#[test]
fn values_of_version_1_stay_readable() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1/values.idx");
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, golden_with_values().bytes()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    golden_with_values().assert_is(&Snapshot::open(&bytes[..]).unwrap());
    assert_eq!(bytes, golden_with_values().bytes(), "the same version writes the same bytes");
}

/// Bytes of a section, which are changed and whose checksums are made right again.
fn with_section(id: u8, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = golden_with_values().bytes();
    let table = (0..16).map(|i| 96 + 24 * i).find(|at| bytes[*at] == id).unwrap();
    let at = u64::from_le_bytes(bytes[table + 8..table + 16].try_into().unwrap()) as usize;
    let len = u64::from_le_bytes(bytes[table + 16..table + 24].try_into().unwrap()) as usize;
    change(&mut bytes[at..at + len]);
    let crc = crc32c::crc32c(&bytes[at..at + len]);
    bytes[table + 4..table + 8].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn values_that_are_none_are_refused() {
    // Bytes of the first name, the name, the count; the first run, the second one; the second name.
    let count = 2 + "keep/refused".len();
    let (first, second) = (count + 4, count + 4 + 24);
    let cases: [(&str, usize, &[u8]); 9] = [
        ("a name past the end", 0, &[0xff, 0xff]),
        ("a name that is no UTF-8", 2, &[0xff]),
        ("more runs than there are", count, &[9]),
        ("more runs than there can be", count, &[0xff; 4]),
        ("fewer runs than there are", count, &[1]),
        ("UID 0", first, &[0]),
        ("an end before its beginning", first + 4, &[2]),
        ("runs that overlap", second, &[6]),
        ("names that do not ascend", 2, b"zzzz"),
    ];
    for (what, at, wrong) in cases {
        let bytes = with_section(16, |section| section[at..at + wrong.len()].copy_from_slice(wrong));
        let refused = Snapshot::open(&bytes[..]).map(drop);
        assert_eq!(refused, Err(SnapshotError::Section { id: 16 }), "{what}");
    }
}

/// The same with unique ids, as `testdata/v1/unique-ids.idx` has them.
fn golden_with_unique_ids() -> Model {
    let unique_ids = [(3, "1276528487.M3P9.host"), (9, "UID9-77")].map(|(uid, id)| (uid, id.to_owned())).into();
    Model { unique_ids, ..golden() }
}

#[test]
fn unique_ids_of_version_1_stay_readable() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1/unique-ids.idx");
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, golden_with_unique_ids().bytes()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    golden_with_unique_ids().assert_is(&Snapshot::open(&bytes[..]).unwrap());
    assert_eq!(bytes, golden_with_unique_ids().bytes(), "the same version writes the same bytes");
}

#[test]
fn unique_ids_that_do_not_belong_together_are_refused() {
    let whole = golden_with_unique_ids().bytes();
    let table = (0..16).map(|i| 96 + 24 * i).find(|at| whole[*at] == 15).unwrap();
    let at = u64::from_le_bytes(whole[table + 8..table + 16].try_into().unwrap()) as usize;
    let len = u64::from_le_bytes(whole[table + 16..table + 24].try_into().unwrap()) as usize;
    // The count, the first UID, the first end, the second UID, the second end.
    for (field, value) in [(0, 3u32), (0, u32::MAX), (0, 0), (0, 1), (4, 9), (8, 99), (12, 3), (16, 26), (16, 28)] {
        let mut bytes = whole.clone();
        bytes[at + field..at + field + 4].copy_from_slice(&value.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[at..at + len]);
        bytes[table + 4..table + 8].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..508]);
        bytes[508..512].copy_from_slice(&crc.to_le_bytes());
        let refused = Snapshot::open(&bytes[..]).map(|_| (field, value));
        assert_eq!(refused, Err(SnapshotError::Section { id: 15 }), "{field} {value}");
    }
}

#[test]
fn files_of_version_1_stay_readable() {
    let account = AccountSnapshot {
        account: AccountId(*b"sixteen bytes ok"),
        true_to: LogPos { segment: 5, offset: 6400 },
        version: ACCOUNT_VERSION_PLAIN,
        payload: b"the account layer's bytes".to_vec(),
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1");
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("mailbox.idx"), golden().bytes()).unwrap();
    }
    // Version 2 of the account's file is of the time of packs; mailboxes' stayed as they were.
    let second = folder.with_file_name("v2");
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(&second).unwrap();
        std::fs::write(second.join("account.acc"), account.encode()).unwrap();
    }
    let bytes = std::fs::read(folder.join("mailbox.idx")).unwrap();
    golden().assert_is(&Snapshot::open(&bytes[..]).unwrap());
    assert_eq!(bytes, golden().bytes(), "the same version writes the same bytes");
    let read = |folder: &std::path::Path| std::fs::read(folder.join("account.acc")).unwrap();
    let first = AccountSnapshot { version: 1, ..account.clone() };
    assert_eq!(AccountSnapshot::decode(&read(&folder)), Ok((first, BodiesAre::Anywhere)));
    assert_eq!(AccountSnapshot::decode(&read(&second)), Ok((account.clone(), BodiesAre::Drained)));
    assert_eq!(read(&second), account.encode(), "the same version writes the same bytes");
}
