//! What the operator writes.

use skein_auth::{Answer, PassDb, PasswdFile};
use skein_base::UserName;
use skein_config::Config;
use std::path::Path;

/// A settings file: settings, or problems that stand in the text.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Err(problems) = Config::parse(&text, Path::new("/etc/skein/skein.toml")) else { return };
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(problem.line <= text.split('\n').count() + 1, "line {} of a shorter file", problem.line);
        assert!(!problem.to_string().is_empty());
    }
}

/// A file of users: all who are in it are found, and notices are about lines it has.
pub fn passwd(data: &[u8]) {
    let file = PasswdFile::parse(data);
    let lines = data.split(|&b| b == b'\n').count();
    assert!(file.len() <= lines);
    assert!(file.notices().iter().all(|notice| (1..=lines).contains(&notice.line)));
    let whole = data.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let names = whole.filter_map(|line| line.split(|&b| b == b':').next());
    let users = names.filter_map(|name| std::str::from_utf8(name).ok()).filter_map(|name| UserName::new(name).ok());
    let found = users
        .filter(|user| matches!(file.look_up(user), Answer::Now(Ok(Some(_)))))
        .collect::<std::collections::HashSet<_>>();
    assert!(found.len() >= file.len(), "{} users of {} are found", found.len(), file.len());
    if let Some(decoy) = file.sample().hash {
        assert!(decoy.is_costly());
    }
}
