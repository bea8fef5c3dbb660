//! Every file of the fuzz targets' corpora through its target: what fuzzing once found stays found.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    listed.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn every_corpus_keeps_its_promises() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let expect = skein_fuzz::TARGETS.iter().map(|(name, _)| corpora.join(name)).collect();
    assert_eq!(entries(&corpora), expect, "one folder for each target");
    let mut broken = Vec::new();
    for (name, target) in skein_fuzz::TARGETS {
        let files = entries(&corpora.join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        broken.extend(files.into_iter().filter(|file| !survives(target, file)));
    }
    assert!(broken.is_empty(), "promises are broken above, by: {broken:#?}");
}

fn survives(target: skein_fuzz::Target, file: &Path) -> bool {
    let bytes = fs::read(file).expect("a readable file");
    catch_unwind(|| target(&bytes)).is_ok()
}
