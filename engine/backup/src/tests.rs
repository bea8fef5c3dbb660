//! Backups of files that grow, against what was last taken.

use crate::{BackupError, Folder, Manifest, Source};
use proptest::prelude::*;
use skein_base::{AccountId, UserName};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

struct Temp(PathBuf);

impl Temp {
    fn new() -> Temp {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("skein-backup-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("live")).unwrap();
        Temp(path)
    }

    fn source(&self, name: &str, bytes: &[u8], counted: usize) -> Source {
        let path = self.0.join("live").join(name);
        fs::write(&path, bytes).unwrap();
        Source { name: name.to_owned(), path, bytes: counted as u64 }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id() -> AccountId {
    AccountId::of(&UserName::new("anna").unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// A pack that grows, with bytes behind it that do not count yet, and a tree that changes.
    #[test]
    fn what_was_taken_comes_out(growth in prop::collection::vec((0usize..3_000_000, 0usize..50), 1..6), same: bool) {
        let (temp, id) = (Temp::new(), id());
        let folder = Folder::create(&temp.0.join("to")).unwrap();
        let (mut pack, mut had) = (Vec::new(), 0);
        for (round, (more, beyond)) in growth.iter().enumerate() {
            pack.extend((0..*more).map(|i| (i * 7 + round) as u8));
            let tail: Vec<u8> = [&pack[..], &vec![0xee; *beyond]].concat();
            let tree = if same { b"tree".to_vec() } else { format!("tree {round}").into_bytes() };
            let sources = [
                temp.source("p0000000000000001.pack", &tail, pack.len()),
                temp.source("tree", &tree, tree.len()),
            ];
            let taken = folder.take(id, ("anna", 7), &sources, &mut |_| ()).unwrap();
            prop_assert_eq!(taken.bytes, (pack.len() + tree.len()) as u64);
            let tree_copied = if same && round > 0 { 0 } else { tree.len() };
            prop_assert_eq!(taken.copied, (pack.len() - had + tree_copied) as u64);
            had = pack.len();
            folder.verify(id, &mut |_| ()).unwrap();
            let out = temp.0.join("out");
            folder.copy_out(id, &out, &mut |_| ()).unwrap();
            prop_assert_eq!(&fs::read(out.join("p0000000000000001.pack")).unwrap(), &pack);
            prop_assert_eq!(&fs::read(out.join("tree.in")).unwrap(), &tree);
            prop_assert_eq!(fs::read_dir(folder.of(id)).unwrap().count(), 3, "nothing is left behind");
        }
        prop_assert_eq!(folder.accounts().unwrap(), [id]);
        folder.remove(id).unwrap();
        let gone = matches!(folder.manifest(id), Err(BackupError::NoBackup { .. }));
        prop_assert!(gone);
    }
}

#[test]
fn a_folder_is_one_programs() {
    let temp = Temp::new();
    let folder = Folder::create(&temp.0.join("to")).unwrap();
    assert!(matches!(Folder::create(&temp.0.join("to")), Err(BackupError::Locked { .. })));
    drop(folder);
    Folder::open(&temp.0.join("to")).unwrap();
    assert!(matches!(Folder::create(&temp.0), Err(BackupError::NotABackup { .. })));
    fs::write(temp.0.join("to/skein-backup"), "{\"format\":2}").unwrap();
    assert!(matches!(Folder::open(&temp.0.join("to")), Err(BackupError::Format { found: 2, .. })));
}

#[test]
fn manifests_of_version_1_stay_readable() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/v1/manifest.json");
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let temp = Temp::new();
        let folder = Folder::create(&temp.0.join("to")).unwrap();
        let sources = [temp.source("p0000000000000001.pack", b"pack", 4), temp.source("tree", b"tree", 4)];
        folder.take(id(), ("anna", 7), &sources, &mut |_| ()).unwrap();
        fs::copy(folder.of(id()).join("manifest.json"), &path).unwrap();
    }
    let manifest = Manifest::read(&path).unwrap().expect("a manifest");
    assert_eq!((&*manifest.user, manifest.taken, manifest.files.len()), ("anna", 7, 2));
    assert_eq!(manifest.encode(), fs::read(&path).unwrap());
    let (temp, text) = (Temp::new(), fs::read_to_string(&path).unwrap());
    for (from, to) in
        [("anna", "anne"), ("\"name\": \"tree\"", "\"name\": \"../tree\""), ("\"format\": 1", "\"format\": 2")]
    {
        let hurt = temp.0.join("manifest.json");
        fs::write(&hurt, text.replacen(from, to, 1)).unwrap();
        let error = Manifest::read(&hurt).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. } | BackupError::Format { found: 2, .. }), "{error}");
    }
}
