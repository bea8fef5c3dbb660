//! A Maildir++ tree as Dovecot 2.3 would have written it.

use super::keywords::FORWARDED;
use super::name::letters;
use crate::error::MigrateError;
use crate::message::Meta;
use skein_proto::imap::mutf7;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Writes the tree, folder after folder.
pub struct MaildirWriter {
    root: PathBuf,
    subscriptions: String,
    folder: Option<Open>,
}

/// The folder under way.
struct Open {
    path: PathBuf,
    validity: u32,
    uid_next: u32,
    uidlist: String,
    keywords: Vec<String>,
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
        make_folder(root)?;
        Ok(MaildirWriter { root: root.to_owned(), subscriptions: "V\t2\n\n".to_owned(), folder: None })
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
        self.folder = Some(Open { path, validity, uid_next, uidlist: String::new(), keywords: Vec::new() });
        Ok(())
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
        write_file(&self.root.join("subscriptions"), self.subscriptions.as_bytes())
    }

    fn finish_folder(&mut self) -> Result<(), MigrateError> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        let head = format!("3 V{} N{}\n", folder.validity, folder.uid_next);
        write_file(&folder.path.join("dovecot-uidlist"), (head + &folder.uidlist).as_bytes())?;
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
        let (passed, indexes, all) = self.indexes(&message.keywords);
        let base = format!("{}.{uid}.skein,S={}", message.internal_date.max(0), body.len());
        let name = format!("{base}:2,{}", letters(message.flags, passed, indexes.into_iter()));
        let path = self.path.join("tmp").join(&base);
        let seconds = Duration::from_secs(message.internal_date.unsigned_abs());
        let time = if message.internal_date < 0 { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds };
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(body)?;
            file.set_modified(time)?;
            file.sync_all()?;
            fs::rename(&path, self.path.join("cur").join(&name))
        };
        write().map_err(MigrateError::io(&path))?;
        let _ = write!(self.uidlist, "{uid}");
        for (letter, value) in [('P', &message.uidl), ('G', &message.guid)] {
            if let Some(value) = value.as_ref().filter(|value| !value.contains([' ', '\n'])) {
                let _ = write!(self.uidlist, " {letter}{value}");
            }
        }
        let _ = writeln!(self.uidlist, " :{base}");
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
