//! Landlock: which files the process may still open.

use super::ConfineError;
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};
use skein_config::Config;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The newest rights that are asked for (Linux 6.10); older kernels enforce those they know.
const RIGHTS: ABI = ABI::V5;

/// What the system's libraries read: names of hosts and users, time zones, certificates of authorities, and themselves.
/// The machine's cores, limits and memory are under /proc and /sys.
const READABLE: [&str; 16] = [
    "/proc",
    "/sys",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/etc/ssl/certs",
    "/etc/localtime",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/run/systemd/resolve",
    "/dev/urandom",
];

/// Restricts this thread and those it starts; false on a kernel without Landlock.
pub(super) fn restrict(config: &Config) -> Result<bool, ConfineError> {
    let kernel = |error: RulesetError| ConfineError::kernel("restricting files", io::Error::other(error));
    let all = AccessFs::from_all(RIGHTS);
    let (read, write) = (AccessFs::ReadFile | AccessFs::ReadDir, all & !AccessFs::Execute);
    let devices = AccessFs::ReadFile | AccessFs::WriteFile;
    let status = Ruleset::default()
        .handle_access(all)
        .and_then(Ruleset::create)
        // What is missing now is left out.
        .and_then(|rules| rules.add_rules(path_beneath_rules(writable(config), write)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(readable(config), read)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev/null"], devices)))
        .and_then(|rules| rules.restrict_self())
        .map_err(kernel)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn writable(config: &Config) -> Vec<PathBuf> {
    std::iter::once(&config.data_dir).chain(&config.safety.folders).cloned().collect()
}

/// What a reload reads is read through its folder: a new file takes the old one's place by rename.
fn readable(config: &Config) -> BTreeSet<PathBuf> {
    let written = writable(config);
    let named = config.paths.iter().filter(|path| !written.contains(path)).chain(&config.file);
    named.map(|path| folder_of(path)).chain(READABLE.map(PathBuf::from)).collect()
}

/// The folder of a file, or the file alone where that would be all there is.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| folder.parent().is_some());
    folder.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_what_is_read_and_never_the_root() {
        let text = "data_dir = '/var/lib/skein'\nsafety.folders = ['/backup/mail']\n\
                    [tls]\ncert = '/etc/ssl/own/cert.pem'\nkey = '/key.pem'\n\
                    [auth]\nsources = [{ driver = 'passwd-file', path = 'users' }]\n";
        let config = Config::parse(text, Path::new("/etc/skein/skein.toml")).expect("it is right");
        let readable = readable(&config);
        for path in ["/etc/skein", "/etc/ssl/own", "/key.pem"] {
            assert!(readable.contains(Path::new(path)), "{path}: {readable:?}");
        }
        for path in ["/", "/var/lib", "/backup", "/etc"] {
            assert!(!readable.contains(Path::new(path)), "{path}: {readable:?}");
        }
        assert_eq!(writable(&config), ["/var/lib/skein", "/backup/mail"].map(PathBuf::from));
    }
}
