//! Maildir, with the files that Dovecot and Courier keep beside it.
//!
//! ```text
//! Maildir++: the root is INBOX            LAYOUT=fs: the root is INBOX
//!   cur new tmp                             cur new tmp
//!   dovecot-uidlist | courierimapuiddb      Sub/cur ...
//!   dovecot-keywords | courierimapkeywords  Sub/Folder/cur ...
//!   subscriptions | courierimapsubscribed
//!   courierpop3dsizelist
//!   .Sub.Folder/cur ...                   names are in modified UTF-7 in both
//! ```
//!
//! UIDs come from the list and keywords from the letters of the file's name. A message that is in no list has no UID yet.
//! What POP3 clients know messages by is in Dovecot's list, or in Courier's own.

mod keywords;
mod name;
mod tree;
mod uidlist;
mod write;

pub use tree::folders;
pub use write::MaildirWriter;

use crate::error::MigrateError;
use crate::message::{Body, Folder, Key, Message, Meta, read_list};
use keywords::Keywords;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use uidlist::UidList;

/// Dovecot's list.
const DOVECOT: &str = "dovecot-uidlist";

/// How folders are told by directories.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `.Sub.Folder` beside the inbox.
    PlusPlus,
    /// `Sub/Folder`.
    Fs,
}

/// The messages of a folder, in order. The date is that of the file, as Dovecot and Courier have it.
///
/// # Errors
/// A directory or list can not be read.
pub fn messages(folder: &Folder) -> Result<Vec<Message>, MigrateError> {
    let lists = Lists::read(&folder.path)?;
    let mut messages = Vec::new();
    for place in ["new", "cur"] {
        for (file, path) in entries(&folder.path.join(place))? {
            if file.starts_with('.') || path.is_dir() {
                continue;
            }
            let meta = Meta { internal_date: modified(&path)?, ..lists.meta(&file) };
            let key = Key { uid: meta.uid.unwrap_or(u32::MAX), name: name::Parts::of(&file).base.to_owned() };
            messages.push(Message { meta, key, body: Body::File(path) });
        }
    }
    messages.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(messages)
}

/// What the files beside the messages say of them.
#[derive(Default)]
pub struct Lists {
    uids: UidList,
    /// POP3's unique ids of Courier, by the base of the file's name.
    uidls: HashMap<String, String>,
    keywords: Keywords,
}

impl Lists {
    fn read(folder: &Path) -> Result<Lists, MigrateError> {
        let mut lists =
            Lists { uids: uidlist(folder)?.unwrap_or_default(), keywords: Keywords::read(folder)?, ..Lists::default() };
        // Beside Dovecot's list it was left behind by a migration.
        if !folder.join(DOVECOT).exists()
            && let Some(text) = read_list(&folder.join("courierpop3dsizelist"))?
        {
            lists.take_pop3(&text);
        }
        Ok(lists)
    }

    /// Takes a `dovecot-uidlist` or `courierimapuiddb`, and nothing when it is none that is known.
    pub fn take_uids(&mut self, text: &[u8]) {
        self.uids = UidList::parse(text).unwrap_or_default();
    }

    /// Takes a `courierpop3dsizelist`.
    pub fn take_pop3(&mut self, text: &[u8]) {
        self.uidls = uidlist::courier_uidls(text);
    }

    /// Takes a `dovecot-keywords`.
    pub fn take_letters(&mut self, text: &[u8]) {
        self.keywords.take_letters(&String::from_utf8_lossy(text));
    }

    /// Takes the list of `courierimapkeywords`.
    pub fn take_keywords(&mut self, text: &[u8]) {
        self.keywords.take_lists(&String::from_utf8_lossy(text));
    }

    /// UIDVALIDITY and UIDNEXT, 0 without a list.
    pub fn numbers(&self) -> (u32, u32) {
        (self.uids.validity, self.uids.uid_next)
    }

    /// The files that have UIDs or unique ids, by the bases of their names.
    pub fn files(&self) -> BTreeSet<&str> {
        self.uids.rows.keys().chain(self.uidls.keys()).map(String::as_str).collect()
    }

    /// What is known of a message by the name of its file; that is all but its date.
    pub fn meta(&self, file: &str) -> Meta {
        let parts = name::Parts::of(file);
        let row = self.uids.rows.get(parts.base);
        Meta {
            uid: row.map(|row| row.uid),
            flags: parts.flags(),
            keywords: self.keywords.of(&parts),
            internal_date: 0,
            uidl: row.and_then(|row| row.uidl.clone()).or_else(|| self.uidls.get(parts.base).cloned()),
            guid: row.and_then(|row| row.guid.clone()),
        }
    }
}

fn uidlist(folder: &Path) -> Result<Option<UidList>, MigrateError> {
    for file in [DOVECOT, "courierimapuiddb"] {
        let path = folder.join(file);
        if let Some(text) = read_list(&path)? {
            let damaged = || MigrateError::Damaged {
                path: path.clone(),
                what: "not a list of UIDs that is known; without it messages would get new UIDs",
            };
            return UidList::parse(&text).ok_or_else(damaged).map(Some);
        }
    }
    Ok(None)
}

/// What is in a directory, by name; nothing when there is no such directory.
pub(crate) fn entries(path: &Path) -> Result<Vec<(String, PathBuf)>, MigrateError> {
    let listing = match fs::read_dir(path) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(MigrateError::io(path)(error)),
    };
    let mut out = Vec::new();
    for entry in listing {
        let entry = entry.map_err(MigrateError::io(path))?;
        out.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(out)
}

/// When the file was last changed, in seconds since 1970.
pub(crate) fn modified(path: &Path) -> Result<i64, MigrateError> {
    let time = fs::metadata(path).and_then(|meta| meta.modified()).map_err(MigrateError::io(path))?;
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Ok(time.duration_since(UNIX_EPOCH).map_or_else(|before| -seconds(before.duration()), seconds))
}
