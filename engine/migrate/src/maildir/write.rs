//! A Maildir++ tree as Dovecot 2.3 would have written it. One that was broken off is gone on with: the names of its files say which
//! messages they are.

use super::entries;
use super::keywords::FORWARDED;
use super::name::letters;
use super::uidlist::UidList;
use crate::error::MigrateError;
use crate::message::{Meta, read_list};
use skein_proto::imap::mutf7;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The list of UIDs.
const UIDLIST: &str = super::DOVECOT;

/// Writes the tree, folder after folder.
pub struct MaildirWriter {
    root: PathBuf,
    subscriptions: String,
    /// Directories of the folders begun.
    begun: HashSet<PathBuf>,
    folder: Option<Open>,
}

/// The folder under way.
struct Open {
    path: PathBuf,
    validity: u32,
    uid_next: u32,
    /// Lines by UID.
    uidlist: BTreeMap<u32, String>,
    keywords: Vec<String>,
    /// Files of a run before that were not taken yet, by UID.
    before: HashMap<u32, PathBuf>,
}

impl MaildirWriter {
    /// Begins a tree in `root`, which must not be one yet: what is there could not be told from what is written.
    ///
    /// # Errors
    /// There is mail in it, or it can not be made.
    pub fn create(root: &Path) -> Result<MaildirWriter, MigrateError> {
        if root.join("cur").exists() {
            return Err(MigrateError::Damaged { path: root.to_owned(), what: "there is a Maildir already" });
        }
        MaildirWriter::go_on(root)
    }

    /// The same where an export was broken off. What it has written and is not kept again goes.
    ///
    /// # Errors
    /// It can not be made.
    pub fn go_on(root: &Path) -> Result<MaildirWriter, MigrateError> {
        make_folder(root)?;
        Ok(MaildirWriter {
            root: root.to_owned(),
            subscriptions: "V\t2\n\n".to_owned(),
            begun: HashSet::new(),
            folder: None,
        })
    }

    /// Begins a folder. Levels of `name` are parted by `/`.
    ///
    /// # Errors
    /// The one before can not be finished, or this one not be made.
    pub fn folder(&mut self, name: &str, validity: u32, uid_next: u32, subscribed: bool) -> Result<(), MigrateError> {
        self.finish_folder()?;
        let levels: Vec<String> = name.split('/').map(level).collect();
        if subscribed {
            self.subscriptions += &levels.join("\t");
            self.subscriptions.push('\n');
        }
        let path = if name == "INBOX" { self.root.clone() } else { self.root.join(format!(".{}", levels.join("."))) };
        if path != self.root {
            make_folder(&path)?;
            File::create(path.join("maildirfolder")).map_err(MigrateError::io(&path))?;
        }
        self.begun.insert(path.clone());
        let before = files_of(&path, validity)?;
        // Says whose UIDs the names of the files are, should this run be broken off too.
        write_file(&path.join(UIDLIST), head(validity, uid_next).as_bytes())?;
        let (uidlist, keywords) = (BTreeMap::new(), Vec::new());
        self.folder = Some(Open { path, validity, uid_next, uidlist, keywords, before });
        Ok(())
    }

    /// Whether a run before has written any of the folder.
    ///
    /// # Panics
    /// When there is no folder.
    pub fn has_some(&self) -> bool {
        !self.folder.as_ref().expect("a folder comes first").before.is_empty()
    }

    /// A message that a run before has written into the folder, its flags and keywords as they are now: its text, and whether each
    /// keyword has a letter. `None` when it was not written.
    ///
    /// # Errors
    /// It can not be read or named.
    ///
    /// # Panics
    /// When there is no folder, or the message has no UID.
    pub fn keep(&mut self, message: &Meta) -> Result<Option<(Vec<u8>, bool)>, MigrateError> {
        let folder = self.folder.as_mut().expect("a folder comes first");
        let uid = message.uid.expect("what is exported has a UID");
        let Some(path) = folder.before.remove(&uid) else { return Ok(None) };
        let body = fs::read(&path).map_err(MigrateError::io(&path))?;
        if base_of(uid, message, body.len())
            != path.file_name().unwrap_or_default().to_string_lossy().split(':').next().unwrap_or_default()
        {
            // Not what it says; it is written again.
            fs::remove_file(&path).map_err(MigrateError::io(&path))?;
            return Ok(None);
        }
        let all = folder.put(uid, message, body.len(), &path)?;
        Ok(Some((body, all)))
    }

    /// Writes a message into the folder, durable once the folder is finished. Of its keywords the folder's first 26 have
    /// letters; false when one was left out.
    ///
    /// # Errors
    /// It can not be written.
    ///
    /// # Panics
    /// When there is no folder, or the message has no UID.
    pub fn message(&mut self, message: &Meta, body: &[u8]) -> Result<bool, MigrateError> {
        let folder = self.folder.as_mut().expect("a folder comes first");
        let uid = message.uid.expect("what is exported has a UID");
        folder.write(uid, message, body)
    }

    /// Writes the lists of the last folder and of all.
    ///
    /// # Errors
    /// They can not be written.
    pub fn finish(mut self) -> Result<(), MigrateError> {
        self.finish_folder()?;
        // Folders that an export broken off before has begun, and that are no more.
        for (_, path) in entries(&self.root)? {
            if path.join("maildirfolder").exists() && !self.begun.contains(&path) {
                fs::remove_dir_all(&path).map_err(MigrateError::io(&path))?;
            }
        }
        write_file(&self.root.join("subscriptions"), self.subscriptions.as_bytes())
    }

    fn finish_folder(&mut self) -> Result<(), MigrateError> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        // What left the mailbox since the run before.
        for path in folder.before.values() {
            fs::remove_file(path).map_err(MigrateError::io(path))?;
        }
        let lines: String = folder.uidlist.into_values().collect();
        let whole = head(folder.validity, folder.uid_next) + &lines;
        write_file(&folder.path.join(UIDLIST), whole.as_bytes())?;
        let mut keywords = String::new();
        for (index, keyword) in folder.keywords.iter().enumerate() {
            let _ = writeln!(keywords, "{index} {keyword}");
        }
        write_file(&folder.path.join("dovecot-keywords"), keywords.as_bytes())?;
        let cur = folder.path.join("cur");
        File::open(&cur).and_then(|cur| cur.sync_all()).map_err(MigrateError::io(&cur))
    }
}

impl Open {
    fn write(&mut self, uid: u32, message: &Meta, body: &[u8]) -> Result<bool, MigrateError> {
        let base = base_of(uid, message, body.len());
        let path = self.path.join("tmp").join(&base);
        let seconds = Duration::from_secs(message.internal_date.unsigned_abs());
        let time = if message.internal_date < 0 { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds };
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(body)?;
            file.set_modified(time)?;
            file.sync_all()
        };
        write().map_err(MigrateError::io(&path))?;
        self.put(uid, message, body.len(), &path)
    }

    /// Gives a file that is whole its name, and the list its line.
    fn put(&mut self, uid: u32, message: &Meta, bytes: usize, path: &Path) -> Result<bool, MigrateError> {
        let (passed, indexes, all) = self.indexes(&message.keywords);
        let base = base_of(uid, message, bytes);
        let name = format!("{base}:2,{}", letters(message.flags, passed, indexes.into_iter()));
        fs::rename(path, self.path.join("cur").join(&name)).map_err(MigrateError::io(path))?;
        let mut line = uid.to_string();
        for (letter, value) in [('P', &message.uidl), ('G', &message.guid)] {
            if let Some(value) = value.as_ref().filter(|value| !value.contains([' ', '\n'])) {
                let _ = write!(line, " {letter}{value}");
            }
        }
        let _ = writeln!(line, " :{base}");
        self.uidlist.insert(uid, line);
        Ok(all)
    }

    /// Whether it was forwarded, the letters of the keywords, and whether each has one.
    fn indexes(&mut self, keywords: &[String]) -> (bool, Vec<usize>, bool) {
        let (mut passed, mut indexes, mut all) = (false, Vec::new(), true);
        for keyword in keywords {
            let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(keyword));
            match known {
                _ if keyword.eq_ignore_ascii_case(FORWARDED) => passed = true,
                Some(index) => indexes.push(index),
                None if self.keywords.len() < 26 => {
                    indexes.push(self.keywords.len());
                    self.keywords.push(keyword.clone());
                }
                None => all = false,
            }
        }
        (passed, indexes, all)
    }
}

fn head(validity: u32, uid_next: u32) -> String {
    format!("3 V{validity} N{uid_next}\n")
}

/// The name of a message's file, without its flags.
fn base_of(uid: u32, message: &Meta, bytes: usize) -> String {
    format!("{}.{uid}.skein,S={bytes}", message.internal_date.max(0))
}

/// The files that a run before gave their names, when UIDs are still the same.
fn files_of(folder: &Path, validity: u32) -> Result<HashMap<u32, PathBuf>, MigrateError> {
    let list = read_list(&folder.join(UIDLIST))?.and_then(|text| UidList::parse(&text));
    let is_same = list.is_some_and(|list| list.validity == validity);
    let mut files = HashMap::new();
    for (name, path) in entries(&folder.join("cur"))? {
        let uid = name.split('.').nth(1).and_then(|uid| uid.parse().ok()).filter(|_| name.contains(".skein,S="));
        match uid.filter(|_| is_same) {
            Some(uid) => drop(files.insert(uid, path)),
            None => fs::remove_file(&path).map_err(MigrateError::io(&path))?,
        }
    }
    Ok(files)
}

/// One level of a name in modified UTF-7; a dot, which parts levels in this layout, becomes `_`.
fn level(level: &str) -> String {
    let mut out = Vec::new();
    mutf7::encode(level, &mut out);
    String::from_utf8_lossy(&out).replace('.', "_")
}

fn make_folder(path: &Path) -> Result<(), MigrateError> {
    for part in ["cur", "new", "tmp"] {
        let part = path.join(part);
        fs::create_dir_all(&part).map_err(MigrateError::io(&part))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &[u8]) -> Result<(), MigrateError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(text)?;
        file.sync_all()
    };
    write().map_err(MigrateError::io(path))
}
