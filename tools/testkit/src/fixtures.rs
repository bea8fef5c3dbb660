//! Real-world mail kept outside the project: read where present, skipped with a printed line where not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::program;
use crate::temp::TempDir;

/// The fixture folder: `SKEIN_FIXTURES`, else `../shared/fixtures` seen from the workspace.
pub fn folder() -> Option<PathBuf> {
    let path = match env::var_os("SKEIN_FIXTURES") {
        Some(path) => PathBuf::from(path),
        None => program::workspace().join("../shared/fixtures"),
    };
    let found = path.is_dir().then_some(path);
    if found.is_none() {
        println!("skipped: no fixtures (set SKEIN_FIXTURES)");
    }
    found
}

/// Every message below the fixture folder's `messages`, in the order of its paths.
pub fn messages() -> Vec<(String, Vec<u8>)> {
    folder().map(|f| read_tree(&f.join("messages"))).unwrap_or_default()
}

/// The real mail of `spamassassin.tar.zst`, unpacked into a temporary folder while it is read.
pub fn archive() -> Vec<(String, Vec<u8>)> {
    let Some(archive) = folder().map(|f| f.join("spamassassin.tar.zst")).filter(|a| a.is_file()) else {
        println!("skipped: no spamassassin.tar.zst");
        return Vec::new();
    };
    let unpacked = TempDir::new("archive");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(unpacked.path()).args(["-I", "zstd", "-xf"]).arg(&archive);
    program::run(&mut tar, b"").expect_ok("tar");
    read_tree(unpacked.path())
}

fn read_tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let name = |p: &Path| p.strip_prefix(root).unwrap_or(p).display().to_string();
    files.iter().map(|p| (name(p), fs::read(p).unwrap_or_else(|e| panic!("{}: {e}", p.display())))).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
