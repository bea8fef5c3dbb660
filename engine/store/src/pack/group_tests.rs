//! Groups of messages against a list of them, and hurt in every way.

use super::group::{GROUP_BYTES_MAX, GROUPED_BYTES_MAX};
use super::{Appender, Entry, Group, PACK_HEADER_BYTES, PackFiles, Packed, pack_name};
use crate::body::{BodyAddr, Place};
use crate::dictionary::Dictionary;
use crate::log::ReadError;
use crate::sim::{SimDisk, SimRng, block_on};
use proptest::prelude::*;
use skein_base::seam::Disk;
use skein_base::{AccountId, Flags, Guid, MailboxId, ShardId, Uid, UidValidity};
use std::path::{Path, PathBuf};

const ACCOUNT: AccountId = AccountId([7; 16]);
const FOLDER: &str = "/accounts/07/07";
const DICTIONARIES: &str = "/data/dictionaries";

type Mail = (Packed, Vec<u8>, Vec<u8>);

fn packed(n: u32, keywords: &[&str]) -> Packed {
    Packed {
        guid: Guid([n as u8; 16]),
        mailbox: MailboxId(3),
        validity: UidValidity(7),
        uid: Uid(100 + n),
        flags: Flags(n as u8 & 31),
        keywords: keywords.iter().map(|word| (*word).into()).collect(),
        internal_date: 1_767_225_600,
        save_date: -i64::from(n),
    }
}

fn mail(n: u32) -> Mail {
    let line = |i: u32| format!("Received: from mx{n}.example by mail.example with LMTP id {}\r\n", i * 7919 * n);
    let message: String = (0..n * 3 % 40 + 1).map(line).collect();
    (
        packed(n, if n.is_multiple_of(2) { &["$Forwarded", "größe"] } else { &[] }),
        message.into_bytes(),
        line(0).into_bytes(),
    )
}

fn files(disk: &SimDisk) -> PackFiles<SimDisk> {
    PackFiles::new(disk.clone(), DICTIONARIES.into(), ShardId(0))
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(&SimRng::new(1));
    block_on(disk.create_dir_all(Path::new(FOLDER))).unwrap();
    disk
}

fn path() -> PathBuf {
    Path::new(FOLDER).join(pack_name(1))
}

fn put(disk: &SimDisk, groups: &[&[Mail]], dictionary: Option<&Dictionary>) -> Vec<BodyAddr> {
    let packs = files(disk);
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    let group = |mails: &&[Mail]| block_on(appender.push_group(Group::new(mails, dictionary).unwrap())).unwrap();
    let addrs = groups.iter().flat_map(group).collect();
    block_on(appender.finish()).unwrap();
    addrs
}

fn read(packs: &PackFiles<SimDisk>, mail: &Mail, addr: &BodyAddr) -> Result<(Vec<u8>, Vec<u8>), ReadError> {
    let whose = (1, addr, &mail.0.guid);
    let message = block_on(packs.read_body(ACCOUNT, Path::new(FOLDER), whose, 0..u64::MAX))?;
    Ok((message, block_on(packs.read_cache(ACCOUNT, Path::new(FOLDER), whose))?))
}

fn verify(packs: &PackFiles<SimDisk>, mail: &Mail, addr: &BodyAddr) -> Result<u64, ReadError> {
    block_on(packs.verify(ACCOUNT, Path::new(FOLDER), (1, addr, &mail.0.guid)))
}

fn any_mail() -> impl Strategy<Value = Mail> {
    let message = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        (0usize..9_000).prop_map(|len| b"all the same ".iter().copied().cycle().take(len).collect()),
    ];
    let words = prop::collection::vec("[a-zà-ü$]{1,12}", 0..4);
    (message, prop::collection::vec(any::<u8>(), 0..60), words).prop_map(|(message, cache, words)| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (packed(1, &words), message, cache)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_come_back(mails in prop::collection::vec(any_mail(), 4..24), cut in 2usize..22, from: u16, to: u16, has_dictionary: bool) {
        let disk = disk();
        let (first, second) = mails.split_at(cut.min(mails.len() - 2));
        let dictionary = Dictionary::new(b"all the same all the same", 1);
        block_on(files(&disk).dictionaries().keep(dictionary.clone())).unwrap();
        let addrs = put(&disk, &[first, second], has_dictionary.then_some(&dictionary));
        for (mail, addr) in mails.iter().zip(&addrs) {
            prop_assert_eq!(BodyAddr::decode(&addr.encode()), Some(*addr));
            // Each as the first that is read of its group, and then all of them in a row.
            let packs = files(&disk);
            for (mail, addr) in [(mail, addr)].into_iter().chain(mails.iter().zip(&addrs)) {
                prop_assert_eq!(&read(&packs, mail, addr).unwrap(), &(mail.1.clone(), mail.2.clone()));
            }
            let at = |cut: u16| mail.1.len() * usize::from(cut) / 65_535;
            let range = at(from).min(at(to))..at(from).max(at(to));
            let part = packs.read_body(ACCOUNT, Path::new(FOLDER), (1, addr, &mail.0.guid), range.start as u64..range.end as u64);
            prop_assert_eq!(&block_on(part).unwrap(), &mail.1[range]);
            prop_assert_eq!(verify(&packs, mail, addr).unwrap(), u64::from(addr.stored));
        }
        let listed: Vec<(BodyAddr, Packed)> = block_on(files(&disk).entries(ACCOUNT, Path::new(FOLDER), 1)).unwrap();
        let wanted: Vec<(BodyAddr, Packed)> = addrs.iter().copied().zip(mails.iter().map(|mail| mail.0.clone())).collect();
        prop_assert_eq!(listed, wanted);
        // Compaction goes by what the members count for.
        let sum: usize = addrs.iter().map(|addr| addr.stored as usize).sum();
        prop_assert_eq!(sum + PACK_HEADER_BYTES, disk.contents(&path()).unwrap().len());
    }
}

/// Which of the mails can be read, when each is what was written or damaged.
fn readable(disk: &SimDisk, mails: &[Mail], addrs: &[BodyAddr]) -> Vec<bool> {
    let one = |(mail, addr): (&Mail, &BodyAddr)| match read(&files(disk), mail, addr) {
        Ok(read) => {
            assert_eq!(read, (mail.1.clone(), mail.2.clone()));
            true
        }
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            false
        }
    };
    mails.iter().zip(addrs).map(one).collect()
}

/// A frame that many messages share must not be what one flipped byte takes from all of them.
#[test]
fn a_damaged_byte_costs_at_most_the_message_whose_entry_it_is_in() {
    let (disk, mails) = (disk(), [mail(1), mail(2), mail(5), mail(8)]);
    let addrs = put(&disk, &[&mails], None);
    let sound = disk.contents(&path()).unwrap();
    let (mut lost, mut told) = (0, 0);
    for at in PACK_HEADER_BYTES..sound.len() {
        let mut hurt = sound.clone();
        hurt[at] ^= (at as u8) | 1;
        disk.plant(&path(), hurt);
        let readable = readable(&disk, &mails, &addrs);
        let gone = readable.iter().filter(|is| !**is).count();
        let entry = addrs.iter().rposition(|addr| addr.offset as usize <= at);
        assert!(gone == 0 || gone == 1 && entry.is_some_and(|entry| !readable[entry]), "{at}: {readable:?}");
        lost += gone;
        told += usize::from(mails.iter().zip(&addrs).any(|(mail, addr)| verify(&files(&disk), mail, addr).is_err()));
    }
    let (payload, entries) = (sound.len() - PACK_HEADER_BYTES, mails.len() * 150);
    assert!(lost > 0 && lost < entries, "{lost} of {payload}");
    // All but padding is seen by who looks whether the disk holds what was written.
    assert!(told + 8 * (mails.len() + 1) > payload, "{told} of {payload}");
}

#[test]
fn a_damaged_place_costs_the_messages_of_one_group() {
    let (disk, mails) = (disk(), [mail(11), mail(12), mail(9), mail(10), mail(13)]);
    let addrs = put(&disk, &[&mails[..2], &mails[2..4]], None);
    let alone = Entry::new(mails[4].0.clone(), &mails[4].1, &mails[4].2, None);
    let packs = files(&disk);
    let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
    let last = block_on(appender.push(alone)).unwrap();
    block_on(appender.finish()).unwrap();
    let addrs = [&addrs[..], &[last]].concat();
    let mut hurt = disk.contents(&path()).unwrap();
    // In the second group's frame.
    let at = addrs[3].offset as usize + 200;
    hurt[at..at + 32].fill(0xa5);
    disk.plant(&path(), hurt);
    assert_eq!(readable(&disk, &mails, &addrs), [true, true, false, false, true]);
    let listed = block_on(files(&disk).entries(ACCOUNT, Path::new(FOLDER), 1)).unwrap();
    assert_eq!(
        listed.iter().map(|(addr, _)| addr.offset).collect::<Vec<_>>(),
        [addrs[0].offset, addrs[1].offset, last.offset]
    );
}

/// Groups that were read stay in memory: a few, and no longer than their pack.
#[test]
fn few_groups_are_kept() {
    let disk = disk();
    let mails: Vec<Mail> = (1..20).map(mail).collect();
    let groups: Vec<&[Mail]> = mails.chunks(2).filter(|two| two.len() == 2).collect();
    let addrs = put(&disk, &groups, None);
    let packs = files(&disk);
    for (mail, addr) in mails.iter().zip(&addrs) {
        read(&packs, mail, addr).unwrap();
        assert!(packs.groups.borrow().len() <= 4);
    }
    let last = (1, &addrs[17], &mails[17].0.guid);
    assert!(packs.kept(ACCOUNT, last).is_some() && packs.kept(ACCOUNT, (1, &addrs[0], &mails[0].0.guid)).is_none());
    // Whoever asks for another message in that place gets none.
    assert!(packs.kept(ACCOUNT, (1, &addrs[17], &Guid([99; 16]))).is_none());
    assert!(packs.kept(AccountId([8; 16]), last).is_none() && packs.kept(ACCOUNT, (2, last.1, last.2)).is_none());
    packs.forget(ACCOUNT, 1);
    assert!(packs.kept(ACCOUNT, last).is_none());
}

#[test]
fn a_group_takes_what_is_small_until_it_is_full() {
    assert!(Group::takes((GROUPED_BYTES_MAX, 0), (GROUP_BYTES_MAX - GROUPED_BYTES_MAX, 0)));
    assert!(!Group::takes((GROUPED_BYTES_MAX + 1, 0), (0, 0)) && !Group::takes((0, GROUPED_BYTES_MAX + 1), (0, 0)));
    assert!(!Group::takes((2, 0), (GROUP_BYTES_MAX - 1, 0)) && !Group::takes((0, 2), (0, GROUP_BYTES_MAX - 1)));
}

/// A group beside an entry of its own, in one pack.
#[test]
fn packs_of_version_3_stay_readable() {
    let path_of_golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v3").join(pack_name(1));
    let mails = [mail(2), mail(5), mail(6), mail(3)];
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let disk = disk();
        put(&disk, &[&mails[..3]], None);
        let packs = files(&disk);
        let mut appender = Appender::new(&packs, ACCOUNT, Path::new(FOLDER), 1 << 20, 0);
        block_on(appender.push(Entry::new(mails[3].0.clone(), &mails[3].1, &mails[3].2, None))).unwrap();
        block_on(appender.finish()).unwrap();
        std::fs::write(&path_of_golden, disk.contents(&path()).unwrap()).unwrap();
    }
    let disk = disk();
    disk.plant(&path(), std::fs::read(&path_of_golden).unwrap());
    let listed = block_on(files(&disk).entries(ACCOUNT, Path::new(FOLDER), 1)).unwrap();
    assert_eq!(listed.len(), mails.len());
    for (mail, (addr, packed)) in mails.iter().zip(&listed) {
        assert_eq!((&mail.0, addr.place), (packed, Place::Pack(1)));
        assert_eq!(read(&files(&disk), mail, addr).unwrap(), (mail.1.clone(), mail.2.clone()));
    }
}
