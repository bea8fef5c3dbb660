//! The folders of a tree.

use super::{Layout, entries, uidlist};
use crate::error::MigrateError;
use crate::limits::{DEPTH_MAX, FOLDERS_MAX};
use crate::message::{Folder, read_list};
use skein_proto::imap::mutf7;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folders below `root`, the inbox first, then by name.
///
/// # Errors
/// A directory or a list can not be read, or there are too many.
pub fn folders(root: &Path, layout: Layout) -> Result<Vec<Folder>, MigrateError> {
    let subscribed = subscriptions(root)?;
    let mut places = match layout {
        Layout::PlusPlus => plus_plus(root)?,
        Layout::Fs => fs(root)?,
    };
    if places.len() >= FOLDERS_MAX {
        return Err(MigrateError::TooBig { path: root.to_owned(), max: FOLDERS_MAX as u64 });
    }
    places.sort();
    places.insert(0, ("INBOX".to_owned(), root.to_owned()));
    let folder = |(name, path): (String, PathBuf)| {
        let list = uidlist(&path)?;
        let (validity, uid_next) = (list.as_ref().map(|list| list.validity), list.as_ref().map(|list| list.uid_next));
        Ok(Folder { subscribed: subscribed.contains(&name), name, path, validity, uid_next })
    };
    places.into_iter().map(folder).collect()
}

/// A name that is no modified UTF-7 stands for itself.
fn in_utf8(name: &str) -> String {
    mutf7::decode(name.as_bytes()).unwrap_or_else(|_| name.to_owned())
}

fn plus_plus(root: &Path) -> Result<Vec<(String, PathBuf)>, MigrateError> {
    let mut found = Vec::new();
    for (entry, path) in entries(root)? {
        let Some(name) = entry.strip_prefix('.').filter(|name| !name.is_empty() && !name.starts_with('.')) else {
            continue;
        };
        if path.join("cur").is_dir() {
            found.push((name.split('.').map(in_utf8).collect::<Vec<_>>().join("/"), path));
        }
    }
    Ok(found)
}

fn fs(root: &Path) -> Result<Vec<(String, PathBuf)>, MigrateError> {
    let mut found = Vec::new();
    let mut open = vec![(None::<String>, root.to_owned(), 0)];
    while let Some((above, path, depth)) = open.pop() {
        if depth > DEPTH_MAX || found.len() > FOLDERS_MAX {
            return Err(MigrateError::TooBig { path, max: FOLDERS_MAX as u64 });
        }
        for (entry, path) in entries(&path)? {
            if entry.starts_with('.')
                || matches!(&*entry, "cur" | "new" | "tmp" | "courierimapkeywords")
                || !path.is_dir()
            {
                continue;
            }
            let entry = in_utf8(&entry);
            let name = above.as_ref().map_or_else(|| entry.clone(), |above| format!("{above}/{entry}"));
            if path.join("cur").is_dir() {
                found.push((name.clone(), path.clone()));
            }
            open.push((Some(name), path, depth + 1));
        }
    }
    Ok(found)
}

/// Dovecot's `subscriptions`, of version 2 (levels parted by TAB) or 1, else Courier's, which begins names with `INBOX.`.
fn subscriptions(root: &Path) -> Result<BTreeSet<String>, MigrateError> {
    let joined = |name: &str, by: &[char]| name.split(by).map(in_utf8).collect::<Vec<_>>().join("/");
    if let Some(text) = read_list(&root.join("subscriptions"))? {
        let text = String::from_utf8_lossy(&text).into_owned();
        let names = match text.strip_prefix("V\t2\n") {
            Some(names) => names.lines().filter(|name| !name.is_empty()).map(|name| joined(name, &['\t'])).collect(),
            None => text.lines().filter(|name| !name.is_empty()).map(|name| joined(name, &['.', '/'])).collect(),
        };
        return Ok(names);
    }
    let text = read_list(&root.join("courierimapsubscribed"))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().map(|name| joined(name.strip_prefix("INBOX.").unwrap_or(name), &['.'])).collect())
}
