//! Folders of `.eml` files, as mail programs write them: a file for each message, a directory for each folder.

use crate::error::MigrateError;
use crate::limits::{DEPTH_MAX, FOLDERS_MAX};
use crate::maildir::{entries, modified};
use crate::message::{Body, Folder, Key, Message, Meta};
use std::path::Path;

/// The directory itself, as `name`, and those below it that hold `.eml` files; a file by itself is a folder of one message.
///
/// # Errors
/// A directory can not be read, or there are too many.
pub fn eml_folders(root: &Path, name: &str) -> Result<Vec<Folder>, MigrateError> {
    let folder = |name, path| Folder { name, path, validity: None, uid_next: None, subscribed: false };
    if root.is_file() {
        return Ok(vec![folder(name.to_owned(), root.to_owned())]);
    }
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), name.to_owned(), 0)];
    while let Some((path, name, depth)) = open.pop() {
        if found.len() >= FOLDERS_MAX || depth > DEPTH_MAX {
            return Err(MigrateError::TooBig { path, max: FOLDERS_MAX as u64 });
        }
        for (below, entry) in entries(&path)? {
            if entry.is_dir() {
                open.push((entry, format!("{name}/{below}"), depth + 1));
            }
        }
        if !eml_files(&path)?.is_empty() {
            found.push(folder(name, path));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The messages of a folder in the order of their names. Their date is that of the file.
///
/// # Errors
/// The directory can not be read.
pub fn eml_messages(folder: &Folder) -> Result<Vec<Message>, MigrateError> {
    let mut messages = Vec::new();
    for (name, path) in eml_files(&folder.path)? {
        let internal_date = modified(&path)?;
        messages.push(Message {
            meta: Meta { internal_date, ..Meta::default() },
            key: Key { uid: u32::MAX, name },
            body: Body::File(path),
        });
    }
    messages.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(messages)
}

fn eml_files(path: &Path) -> Result<Vec<(String, std::path::PathBuf)>, MigrateError> {
    // Whoever names a file means it, however it is called.
    if let Some(name) = path.file_name().filter(|_| path.is_file()) {
        return Ok(vec![(name.to_string_lossy().into_owned(), path.to_owned())]);
    }
    let mut files = entries(path)?;
    files.retain(|(name, path)| name.to_ascii_lowercase().ends_with(".eml") && path.is_file());
    Ok(files)
}
