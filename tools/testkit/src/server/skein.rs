//! How Skein is started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs};

use super::{PASSWORD, Ports};
use crate::program;

/// `skein serve` with a config of its own: the demo users, data in `folder`/data, free ports.
pub fn command(folder: &Path, settings: &str) -> Command {
    let config = write_settings(folder, settings);
    let mut command = Command::new(binary());
    command.arg("serve").arg("--config").arg(config).current_dir(folder);
    command
}

/// Writes the settings file of the server in `folder`.
pub fn write_settings(folder: &Path, settings: &str) -> PathBuf {
    let config = folder.join("skein.toml");
    fs::write(&config, settings).expect("the folder is writable");
    config
}

/// The users of the demo, no bound that a load test would hit, a small log, and `more`, which
/// may say otherwise of the store.
pub fn settings(folder: &Path, Ports { imap, imaps, pop3, pop3s, lmtp, http, .. }: &Ports, more: &str) -> String {
    let (data, other) = (folder.join("data"), env::temp_dir());
    format!(
        "data_dir = {data:?}\n{more}\n\
         [listeners]\nimap = [\"{imap}\"]\nimaps = [\"{imaps}\"]\npop3 = [\"{pop3}\"]\npop3s = [\"{pop3s}\"]\n\
         lmtp = [\"{lmtp}\"]\nhttp = [\"{http}\"]\n\
         [auth]\nsources = [\n{{ driver = \"static\", users = \"demo\", password = \"demo\" }},\n\
         {{ driver = \"static\", users = \"test{{1..200}}\", password = \"{PASSWORD}\" }},\n]\n\
         [limits]\nconnections_per_user_max = 0\n[lmtp]\nstrip_domain = true\n[safety]\nfolders = [{other:?}]\n{}",
        if SMALL_LOG.load(Ordering::Relaxed) && !more.contains("store") { SMALL_STORE } else { "" }
    )
}

/// So small that every test has its log drained and its packs fill.
const SMALL_STORE: &str = "[store]\nsegment_bytes = 1048576\nlog_keep_bytes = 1048576\npack_bytes = 2097152\n";

static SMALL_LOG: AtomicBool = AtomicBool::new(true);

/// From now on servers of this process keep the log that users have, as measurements want it.
pub fn use_default_log() {
    SMALL_LOG.store(false, Ordering::Relaxed);
}

/// `settings` with `key = value` in `[section]`, in place of the value it has there.
pub fn set(settings: &str, section: &str, key: &str, value: &str) -> String {
    let (header, line) = (format!("[{section}]\n"), format!("{key} = {value}\n"));
    let Some((before, after)) = settings.split_once(&header) else { return format!("{settings}{header}{line}") };
    let end = if after.starts_with('[') { 0 } else { after.find("\n[").map_or(after.len(), |at| at + 1) };
    let (inside, rest) = after.split_at(end);
    let is_old = |old: &&str| old.split('=').next().is_some_and(|name| name.trim() == key);
    let kept: String = inside.split_inclusive('\n').filter(|old| !is_old(old)).collect();
    format!("{before}{header}{line}{kept}{rest}")
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// From now on servers of this process are this program, which takes the arguments of `skein`.
///
/// # Panics
/// When it is another one already.
pub fn use_program(path: impl Into<PathBuf>) {
    let path = path.into();
    assert_eq!(PROGRAM.get_or_init(|| path.clone()), &path, "one program in a process");
}

/// The program of [`use_program`], or the one that `SKEIN_BIN` names, else the release build.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    if let Some(program) = PROGRAM.get() {
        return program.clone();
    }
    let built = || program::workspace().join("target/release/skein");
    let path = env::var_os("SKEIN_BIN").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "no server at {}: cargo build --release, or set SKEIN_BIN", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn settings_are_set() {
        assert_eq!(set("a = 1\n", "b", "c", "2"), "a = 1\n[b]\nc = 2\n");
        assert_eq!(set("[b]\n[e]\nc = 4\n", "b", "c", "2"), "[b]\nc = 2\n[e]\nc = 4\n");
        assert_eq!(set("[b]\nc = 1\nd = 3\n[e]\nc = 4\n", "b", "c", "2"), "[b]\nc = 2\nd = 3\n[e]\nc = 4\n");
    }
}
