//! Packs against a list of messages, and hurt in every way.

use super::Encoding;
use super::format::{PACK_VERSION, PACK_VERSION_DICTIONARY, PACK_VERSION_PLAIN, PackHeader, pack_name};
use super::{Appender, Entry, FRAME_BYTES, Growing, LargeFrame, PACK_HEADER_BYTES, PackFiles, Packed, parse_pack_name};
use crate::body::{BodyAddr, Place};
use crate::dictionary::Dictionary;
use crate::log::ReadError;
use crate::sim::{SimDisk, SimRng, block_on};
use proptest::prelude::*;
use skein_base::limits::MAILBOX_ID_MAX;
use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, Guid, MailboxId, ShardId, Uid, UidValidity};
use std::path::Path;

const DICTIONARIES: &str = "/data/dictionaries";
const GUID: Guid = Guid(*b"sixteen bytes id");
const ACCOUNT: AccountId = AccountId([7; 16]);
const FOLDER: &str = "/accounts/07/07";

#[derive(Clone, Debug)]
struct Mail {
    packed: Packed,
    message: Vec<u8>,
    cache: Vec<u8>,
}

fn text(bytes: usize) -> Vec<u8> {
    b"Received: from mx.example by mail.example with LMTP\r\n".iter().copied().cycle().take(bytes).collect()
}

fn mail() -> impl Strategy<Value = Mail> {
    let message = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..400),
        4 => (0usize..30_000).prop_map(text),
        1 => (FRAME_BYTES - 2..2 * FRAME_BYTES + 3).prop_map(text),
    ];
    let words = prop::collection::vec("[a-zà-ü$]{1,12}", 0..4);
    (
        message,
        prop::collection::vec(any::<u8>(), 0..60),
        words,
        (any::<u32>(), 0..=MAILBOX_ID_MAX, any::<i64>(), any::<i64>()),
        0u8..32,
    )
        .prop_map(|(message, cache, keywords, (uid, mailbox, internal_date, save_date), flags)| {
            let packed = Packed {
                guid: GUID,
                mailbox: MailboxId(mailbox),
                validity: UidValidity(9),
                uid: Uid(uid),
                flags: Flags(flags),
                keywords: keywords.into_iter().map(Into::into).collect(),
                internal_date,
                save_date,
            };
            Mail { packed, message, cache }
        })
}

fn disk() -> (SimDisk, PackFiles<SimDisk>) {
    let disk = SimDisk::new(&SimRng::new(1));
    block_on(disk.create_dir_all(Path::new(FOLDER))).unwrap();
    (disk.clone(), PackFiles::new(disk, DICTIONARIES.into(), ShardId(0)))
}

fn put(packs: &PackFiles<SimDisk>, mails: &[Mail], pack_bytes_max: u64) -> Vec<BodyAddr> {
    let mut appender = Appender::new(packs, ACCOUNT, Path::new(FOLDER), pack_bytes_max, 0);
    let entry = |mail: &Mail| Entry::new(mail.packed.clone(), &mail.message, &mail.cache, None);
    let addrs = mails.iter().map(|mail| block_on(appender.push(entry(mail))).unwrap()).collect();
    block_on(appender.finish()).unwrap();
    addrs
}

/// The same a frame at a time, up to so many frames.
fn grow(appender: &mut Appender<'_, SimDisk>, mail: &Mail, frames: usize) -> Growing {
    let (bytes, cache_bytes) = (mail.message.len() as u32, mail.cache.len() as u32);
    let mut growing = block_on(appender.grow(mail.packed.clone(), bytes, cache_bytes, Encoding::Zstd)).unwrap();
    for piece in mail.message.chunks(FRAME_BYTES).chain([&mail.cache[..]]).take(frames) {
        let frame = LargeFrame::new(piece).unwrap();
        block_on(appender.extend(&mut growing, frame)).unwrap();
    }
    growing
}

/// Into another pack a frame at a time, as compaction does.
fn copy(
    packs: &PackFiles<SimDisk>,
    appender: &mut Appender<'_, SimDisk>,
    addr: &BodyAddr,
) -> Result<BodyAddr, ReadError> {
    let mut open = block_on(packs.open_entry(ACCOUNT, Path::new(FOLDER), (number(addr), addr, &GUID)))?;
    let mut growing = block_on(appender.grow(open.packed()?, addr.bytes, addr.cache_bytes, open.encoding())).unwrap();
    while let Some(frame) = block_on(packs.next_frame(&mut open))? {
        block_on(appender.extend(&mut growing, frame)).unwrap();
    }
    open.check(growing.payload_crc())?;
    Ok(block_on(appender.close(growing)).unwrap())
}

fn number(addr: &BodyAddr) -> u64 {
    let Place::Pack(number) = addr.place else { panic!("in a pack") };
    number
}

fn read(packs: &PackFiles<SimDisk>, addr: &BodyAddr, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
    block_on(packs.read_body(ACCOUNT, Path::new(FOLDER), (number(addr), addr, &GUID), from..to))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn messages_come_back(mails in prop::collection::vec(mail(), 1..12), max in 1u64..200_000, cuts: [u16; 4]) {
        let (disk, packs) = disk();
        let (first, second) = mails.split_at(mails.len() / 2);
        let mut addrs = put(&packs, first, max);
        addrs.extend(put(&packs, second, max));
        // What was open is forgotten, as after a start.
        let packs = PackFiles::new(disk, DICTIONARIES.into(), ShardId(0));
        for (mail, addr) in mails.iter().zip(&addrs) {
            prop_assert_eq!(BodyAddr::decode(&addr.encode()), Some(*addr));
            prop_assert_eq!(&read(&packs, addr, 0, u64::MAX).unwrap(), &mail.message);
            let cache = block_on(packs.read_cache(ACCOUNT, Path::new(FOLDER), (number(addr), addr, &GUID))).unwrap();
            prop_assert_eq!(&cache, &mail.cache);
            let (header, payload) = block_on(packs.read_entry(ACCOUNT, Path::new(FOLDER), (number(addr), addr, &GUID))).unwrap();
            prop_assert_eq!(u64::from(addr.stored), header.stride());
            prop_assert_eq!(payload.len(), header.payload_bytes as usize);
            prop_assert_eq!(&header.packed, &mail.packed);
            for pair in cuts.windows(2) {
                let at = |cut: u16| mail.message.len() * usize::from(cut) / 65_535;
                let (from, to) = (at(pair[0]).min(at(pair[1])), at(pair[0]).max(at(pair[1])));
                prop_assert_eq!(&read(&packs, addr, from as u64, to as u64).unwrap(), &mail.message[from..to]);
            }
        }
    }

    #[test]
    fn large_messages_move_a_frame_at_a_time(
        mails in prop::collection::vec(mail(), 1..5), noise in prop::collection::vec(any::<u8>(), FRAME_BYTES..FRAME_BYTES + 9),
        given_up in 0usize..3, max in 1u64..2_000_000, place: u32, bit in 0u8..8,
    ) {
        let (disk, packs) = disk();
        let mut mails = mails;
        mails[0].message = noise;
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), max, 0);
        let mut addrs = Vec::new();
        for mail in &mails {
            // One that is given up in the middle leaves no trace.
            grow(&mut appender, &mails[0], given_up);
            let growing = grow(&mut appender, mail, usize::MAX);
            addrs.push(block_on(appender.close(growing)).unwrap());
            addrs.push(block_on(appender.push(Entry::new(mail.packed.clone(), &mail.message, &mail.cache, None))).unwrap());
        }
        block_on(appender.finish()).unwrap();
        let newest = addrs.iter().map(number).max().unwrap();
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), max, 0);
        appender.not_into(newest);
        let copies: Vec<_> = addrs.iter().map(|addr| copy(&packs, &mut appender, addr).unwrap()).collect();
        block_on(appender.finish()).unwrap();
        let packs = PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0));
        for (i, addr) in addrs.iter().chain(&copies).enumerate() {
            let mail = &mails[i / 2 % mails.len()];
            prop_assert_eq!(&read(&packs, addr, 0, u64::MAX).unwrap(), &mail.message);
            let (header, _) = block_on(packs.read_entry(ACCOUNT, Path::new(FOLDER), (number(addr), addr, &GUID))).unwrap();
            prop_assert_eq!(u64::from(addr.stored), header.stride());
            prop_assert_eq!(&header.packed, &mail.packed);
        }
        let listed = (1..=newest).map(|n| block_on(packs.entries(ACCOUNT, Path::new(FOLDER), n)).unwrap().len());
        prop_assert_eq!(listed.sum::<usize>(), addrs.len());
        // A damaged one is not copied.
        let path = Path::new(FOLDER).join(pack_name(number(&addrs[0])));
        let mut bytes = disk.contents(&path).unwrap();
        let at = addrs[0].offset as usize + place as usize % (addrs[0].stored as usize - 8);
        bytes[at] ^= 1 << bit;
        disk.plant(&path, bytes);
        let packs = PackFiles::new(disk, DICTIONARIES.into(), ShardId(0));
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), max, 0);
        prop_assert!(copy(&packs, &mut appender, &addrs[0]).unwrap_err().is_damage());
    }

    #[test]
    fn no_flipped_bit_is_served(mail in mail(), place: u32, bit in 0u8..8) {
        let (disk, packs) = disk();
        let addr = put(&packs, std::slice::from_ref(&mail), 1 << 20)[0];
        let path = Path::new(FOLDER).join(pack_name(1));
        let mut bytes = disk.contents(&path).unwrap();
        let at = place as usize % bytes.len();
        bytes[at] ^= 1 << bit;
        disk.plant(&path, bytes);
        match read(&PackFiles::new(disk, DICTIONARIES.into(), ShardId(0)), &addr, 0, u64::MAX) {
            Ok(bytes) => prop_assert_eq!(bytes, mail.message, "only padding, or nothing that matters, was hit"),
            Err(error) => prop_assert!(error.is_damage()),
        }
    }
}

#[test]
fn a_cut_pack_is_damage_and_another_accounts_is_refused() {
    let (disk, packs) = disk();
    let mail = Mail {
        packed: Packed {
            guid: Guid([1; 16]),
            mailbox: MailboxId(1),
            validity: UidValidity(1),
            uid: Uid(1),
            flags: Flags::NONE,
            keywords: vec![],
            internal_date: 0,
            save_date: 0,
        },
        message: text(100_000),
        cache: b"cache".to_vec(),
    };
    let addr = put(&packs, &[mail], 1 << 20)[0];
    let path = Path::new(FOLDER).join(pack_name(1));
    let whole = disk.contents(&path).unwrap();
    for keep in [0, PACK_HEADER_BYTES - 1, PACK_HEADER_BYTES, addr.offset as usize + 79, whole.len() - 20] {
        disk.plant(&path, whole[..keep].to_vec());
        assert!(
            read(&PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0)), &addr, 0, u64::MAX)
                .unwrap_err()
                .is_damage(),
            "{keep}"
        );
    }
    let mut other = whole.clone();
    let header = PackHeader { account: AccountId([8; 16]), number: 1, created: 0, version: PACK_VERSION };
    other[..PACK_HEADER_BYTES].copy_from_slice(&header.encode());
    disk.plant(&path, other);
    assert!(
        read(&PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0)), &addr, 0, 10).unwrap_err().is_damage()
    );
    block_on(disk.remove(&path)).unwrap();
    assert!(matches!(
        read(&PackFiles::new(disk, DICTIONARIES.into(), ShardId(0)), &addr, 0, 10),
        Err(ReadError::PackMissing { pack: 1 })
    ));
}

#[test]
fn numbers_are_not_given_again() {
    let (disk, packs) = disk();
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    appender.not_into(3);
    block_on(appender.finish()).unwrap();
    assert_eq!(block_on(disk.list(Path::new(FOLDER))).unwrap(), [pack_name(4)]);
    assert_eq!(parse_pack_name(&pack_name(0xabcdef)), Some(0xabcdef));
    for name in ["p1.pack", "m1.idx", "tree", "p00000000000000AB.pack"] {
        assert_eq!(parse_pack_name(name), None);
    }
}

/// An entry of each kind: compressed, stored, in frames, empty, with and without keywords and cache.
fn golden() -> Vec<Mail> {
    let packed = |n: u32, keywords: &[&str]| Packed {
        guid: Guid([n as u8; 16]),
        mailbox: MailboxId(n),
        validity: UidValidity(7),
        uid: Uid(100 + n),
        flags: Flags(n as u8),
        keywords: keywords.iter().map(|word| (*word).into()).collect(),
        internal_date: 1_767_225_600,
        save_date: -i64::from(n),
    };
    vec![
        Mail { packed: packed(1, &["$Forwarded", "größe"]), message: text(5000), cache: text(300) },
        Mail { packed: packed(2, &[]), message: (0..=255).collect(), cache: vec![] },
        Mail { packed: packed(3, &["x"]), message: text(FRAME_BYTES + 1), cache: b"rendered".to_vec() },
        Mail { packed: packed(4, &[]), message: vec![], cache: vec![] },
    ]
}

#[test]
fn packs_of_version_1_stay_readable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1").join(pack_name(1));
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let (disk, packs) = disk();
        put(&packs, &golden(), 1 << 20);
        std::fs::write(&path, disk.contents(&Path::new(FOLDER).join(pack_name(1))).unwrap()).unwrap();
    }
    let (disk, packs) = disk();
    disk.plant(&Path::new(FOLDER).join(pack_name(1)), std::fs::read(&path).unwrap());
    let mut offset = PACK_HEADER_BYTES as u64;
    for mail in golden() {
        let (bytes, cache_bytes) = (mail.message.len() as u32, mail.cache.len() as u32);
        let addr = BodyAddr { place: Place::Pack(1), offset, bytes, cache_bytes, stored: 0, chunked: false };
        let guid = &mail.packed.guid;
        let message = block_on(packs.read_body(ACCOUNT, Path::new(FOLDER), (1, &addr, guid), 0..u64::MAX));
        assert_eq!(message.unwrap(), mail.message);
        let (header, _) = block_on(packs.read_entry(ACCOUNT, Path::new(FOLDER), (1, &addr, guid))).unwrap();
        assert_eq!(header.packed, mail.packed);
        let cache = block_on(packs.read_cache(ACCOUNT, Path::new(FOLDER), (1, &addr, guid))).unwrap();
        assert_eq!(cache, mail.cache);
        offset += header.stride();
    }
}

fn dictionary() -> Dictionary {
    Dictionary::new(b"Content-Type: text/plain; charset=utf-8\r\n", 1_795_476_890)
}

/// One that the dictionary makes smaller.
fn common(uid: u32) -> Mail {
    let message = format!("Content-Type: text/plain; charset=utf-8\r\nSubject: {uid}\r\n\r\n").into_bytes();
    let cache = b"(\"Content-Type: text/plain; charset=utf-8\")".to_vec();
    Mail { packed: Packed { uid: Uid(uid), ..golden()[0].packed.clone() }, message, cache }
}

fn push_with(appender: &mut Appender<'_, SimDisk>, mail: &Mail, dictionary: Option<&Dictionary>) -> BodyAddr {
    block_on(appender.push(Entry::new(mail.packed.clone(), &mail.message, &mail.cache, dictionary))).unwrap()
}

fn whole(packs: &PackFiles<SimDisk>, mail: &Mail, addr: &BodyAddr) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
    let whose = (number(addr), addr, &mail.packed.guid);
    let message = block_on(packs.read_body(ACCOUNT, Path::new(FOLDER), whose, 0..u64::MAX))?;
    Ok((message, block_on(packs.read_cache(ACCOUNT, Path::new(FOLDER), whose))?))
}

/// A file in an account's folder by the name of the last pack there could be: the next one's number did not fit its place in an address,
/// and the shard fell while it drained.
#[test]
fn a_file_named_like_the_last_pack_there_could_be_stops_nothing() {
    for stray in ["pffffffffffffffff.pack", "p0000ffffffffffff.pack", "p0000800000000000.pack"] {
        let (disk, packs) = disk();
        disk.plant(&Path::new(FOLDER).join(stray), b"whatever".to_vec());
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
        let addr = push_with(&mut appender, &common(1), None);
        block_on(appender.finish()).unwrap();
        assert_eq!(number(&addr), 1);
        assert_eq!(BodyAddr::decode(&addr.encode()), Some(addr));
        assert_eq!(whole(&packs, &common(1), &addr).unwrap(), (common(1).message, common(1).cache));
    }
}

#[test]
fn messages_come_back_with_a_dictionary_and_not_without() {
    let (disk, packs) = disk();
    let with = dictionary();
    block_on(packs.dictionaries().keep(with.clone())).unwrap();
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    let plain = push_with(&mut appender, &common(1), None);
    let small = push_with(&mut appender, &common(2), Some(&with));
    assert!(small.stored < plain.stored, "{small:?} {plain:?}");
    // What was begun for an older reader stays readable to it.
    assert_eq!((number(&plain), number(&small)), (1, 2));
    let after = push_with(&mut appender, &common(3), None);
    assert_eq!(number(&after), 2);
    block_on(appender.finish()).unwrap();
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    let later = push_with(&mut appender, &common(4), Some(&with));
    assert_eq!(number(&later), 2);
    // A large message takes none, and compaction copies an entry as it is, by the whole or a frame at a time.
    let large = Mail { message: vec![b'x'; FRAME_BYTES + 1], ..common(5) };
    let large_at = push_with(&mut appender, &large, Some(&with));
    let (header, payload) =
        block_on(packs.read_entry(ACCOUNT, Path::new(FOLDER), (2, &small, &common(2).packed.guid))).unwrap();
    assert_eq!(header.encoding, Encoding::ZstdWith(with.id()));
    appender.not_into(2);
    block_on(appender.finish()).unwrap();
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    appender.not_into(2);
    let again = block_on(appender.push(Entry::again(header, payload))).unwrap();
    let mut open = block_on(packs.open_entry(ACCOUNT, Path::new(FOLDER), (2, &later, &common(4).packed.guid))).unwrap();
    let growing = appender.grow(open.packed().unwrap(), later.bytes, later.cache_bytes, open.encoding());
    let mut growing = block_on(growing).unwrap();
    while let Some(frame) = block_on(packs.next_frame(&mut open)).unwrap() {
        block_on(appender.extend(&mut growing, frame)).unwrap();
    }
    let by_frames = block_on(appender.close(growing)).unwrap();
    block_on(appender.finish()).unwrap();
    let all = [
        (common(1), plain),
        (common(2), small),
        (common(3), after),
        (common(4), later),
        (large, large_at),
        (common(2), again),
        (common(4), by_frames),
    ];
    let is_whole = |packs: &PackFiles<SimDisk>| {
        for (mail, addr) in &all {
            assert_eq!(whole(packs, mail, addr).unwrap(), (mail.message.clone(), mail.cache.clone()), "{addr:?}");
        }
    };
    is_whole(&PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0)));
    // Either file is enough, and makes the other one again.
    let files = crate::dictionary::dictionary_files(with.id()).map(|name| Path::new(DICTIONARIES).join(name));
    for (hurt, bytes) in [(0, None), (1, None), (0, Some(b"SKEINDIC".to_vec())), (1, Some(vec![0; 99]))] {
        block_on(disk.remove(&files[hurt])).unwrap();
        if let Some(bytes) = bytes {
            disk.plant(&files[hurt], bytes);
        }
        is_whole(&PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0)));
        assert_eq!(disk.contents(&files[hurt]), disk.contents(&files[1 - hurt]));
    }
    files.iter().for_each(|path| block_on(disk.remove(path)).unwrap());
    let packs = PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0));
    for (mail, addr) in &all {
        let needs = [1, 3, 5, 6].contains(&all.iter().position(|one| one.1 == *addr).unwrap());
        match whole(&packs, mail, addr) {
            Err(ReadError::DictionaryMissing { id }) => assert!(needs && id == with.id(), "{addr:?}"),
            Ok(_) => assert!(!needs, "{addr:?}"),
            Err(error) => panic!("{addr:?}: {error}"),
        }
    }
    // Put back, it is used at once.
    disk.plant(&files[0], with.encode());
    is_whole(&packs);
}

#[test]
fn a_pack_of_a_newer_version_is_refused_and_not_taken_for_damaged() {
    let (disk, packs) = disk();
    let addr = put(&packs, &[common(1)], 1 << 20)[0];
    let path = Path::new(FOLDER).join(pack_name(1));
    let mut bytes = disk.contents(&path).unwrap();
    let header = PackHeader { account: ACCOUNT, number: 1, created: 0, version: PACK_VERSION + 1 };
    bytes[..PACK_HEADER_BYTES].copy_from_slice(&header.encode());
    block_on(disk.remove(&path)).unwrap();
    disk.plant(&path, bytes);
    let error = whole(&PackFiles::new(disk, DICTIONARIES.into(), ShardId(0)), &common(1), &addr).unwrap_err();
    assert!(matches!(error, ReadError::PackVersion { pack: 1, version: 4 }) && !error.is_damage(), "{error}");
    assert_eq!(error.to_string(), "pack 1 is of version 4, which a newer Skein wrote");
}

#[test]
fn packs_of_version_2_stay_readable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let path = folder.join("v2").join(pack_name(1));
    let mails = [common(1), common(2)];
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let (disk, packs) = disk();
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
        push_with(&mut appender, &mails[0], Some(&dictionary()));
        push_with(&mut appender, &mails[1], None);
        block_on(appender.finish()).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, disk.contents(&Path::new(FOLDER).join(pack_name(1))).unwrap()).unwrap();
    }
    let (disk, packs) = disk();
    disk.plant(&Path::new(FOLDER).join(pack_name(1)), std::fs::read(&path).unwrap());
    block_on(disk.create_dir_all(Path::new(DICTIONARIES))).unwrap();
    let file = Path::new(DICTIONARIES).join(&crate::dictionary::dictionary_files(dictionary().id())[0]);
    disk.plant(&file, std::fs::read(folder.join("v1/dictionary.dict")).unwrap());
    let mut offset = PACK_HEADER_BYTES as u64;
    for (mail, encoding) in mails.iter().zip([Encoding::ZstdWith(dictionary().id()), Encoding::Stored]) {
        let (bytes, cache_bytes) = (mail.message.len() as u32, mail.cache.len() as u32);
        let addr = BodyAddr { place: Place::Pack(1), offset, bytes, cache_bytes, stored: 0, chunked: false };
        assert_eq!(whole(&packs, mail, &addr).unwrap(), (mail.message.clone(), mail.cache.clone()));
        let (header, _) =
            block_on(packs.read_entry(ACCOUNT, Path::new(FOLDER), (1, &addr, &mail.packed.guid))).unwrap();
        assert_eq!((header.encoding, &header.packed), (encoding, &mail.packed));
        offset += header.stride();
    }
    assert_eq!((PACK_VERSION_PLAIN, PACK_VERSION_DICTIONARY, PACK_VERSION), (1, 2, 3));
}
