//! How far an import came.

use crate::error::MigrateError;
use crate::message::{Key, Message, read_list};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The last message of each folder that is durable in the account, kept in a file: `folder TAB uid TAB name`, a line each.
///
/// To be saved after the account's commit. An import that ends between the two appends what came since the last save once
/// more, unless the account is asked which UIDs it has.
#[derive(Debug)]
pub struct Resume {
    path: PathBuf,
    done: BTreeMap<String, Key>,
}

impl Resume {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// It can not be read, or is none of ours.
    pub fn open(path: &Path) -> Result<Resume, MigrateError> {
        let text = read_list(path)?.unwrap_or_default();
        let damaged = || MigrateError::Damaged {
            path: path.to_owned(),
            what: "not the state of an import; remove it to begin from the start",
        };
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        let done = text.lines().map(|line| parse(line).ok_or_else(damaged)).collect::<Result<_, _>>()?;
        Ok(Resume { path: path.to_owned(), done })
    }

    /// What of `messages`, which are in order, is still to be appended to `folder`.
    pub fn remaining<'m>(&self, folder: &str, messages: &'m [Message]) -> &'m [Message] {
        let done = self.done.get(folder).map_or(0, |last| messages.partition_point(|message| message.key <= *last));
        &messages[done..]
    }

    /// All up to and with `key` is durable.
    pub fn advance(&mut self, folder: &str, key: &Key) {
        self.done.insert(folder.to_owned(), key.clone());
    }

    /// Writes the file anew, and only then puts it in the old one's place.
    ///
    /// # Errors
    /// It can not be written.
    pub fn save(&self) -> Result<(), MigrateError> {
        let beside = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&beside)?;
            for (folder, key) in &self.done {
                writeln!(file, "{folder}\t{}\t{}", key.uid, key.name)?;
            }
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().map_err(MigrateError::io(&self.path))
    }
}

fn parse(line: &str) -> Option<(String, Key)> {
    let mut fields = line.splitn(3, '\t');
    let (folder, uid, name) = (fields.next()?, fields.next()?, fields.next()?);
    Some((folder.to_owned(), Key { uid: uid.parse().ok()?, name: name.to_owned() }))
}
