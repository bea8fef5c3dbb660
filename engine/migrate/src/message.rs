//! What is known of a folder and of a message before its body is read.

use crate::error::MigrateError;
use crate::limits::MESSAGE_BYTES_MAX;
use memchr::memchr_iter;
use skein_base::Flags;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One mailbox of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    /// Its name in UTF-8, levels parted by `/`; `INBOX` for the inbox.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// UIDVALIDITY, when the source has one.
    pub validity: Option<u32>,
    /// UIDNEXT, when the source has one.
    pub uid_next: Option<u32>,
    /// In the list of subscriptions.
    pub subscribed: bool,
}

/// What is kept of a message beside its text.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Meta {
    /// Its UID, when the source has one.
    pub uid: Option<u32>,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as they are spelled.
    pub keywords: Vec<String>,
    /// INTERNALDATE in seconds since 1970.
    pub internal_date: i64,
    /// POP3's unique id, when the source keeps one of its own.
    pub uidl: Option<String>,
    /// Dovecot's GUID, when the source keeps one of its own.
    pub guid: Option<String>,
}

/// One message of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What is known of it.
    pub meta: Meta,
    /// Its place in the order of the folder.
    pub key: Key,
    /// Where the body lies.
    pub(crate) body: Body,
}

/// The order in which messages are appended: by UID, then those without one by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The UID; `u32::MAX` for none.
    pub uid: u32,
    /// A name that stays while the message is in its folder.
    pub name: String,
}

/// Where a body lies, and how its lines end there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// A file of its own; a bare LF becomes CRLF.
    File(PathBuf),
    /// A part of an mbox.
    Mbox { path: PathBuf, at: u64, bytes: u64, form: crate::mbox::Form },
}

impl Message {
    /// The message with CRLF line ends.
    ///
    /// # Errors
    /// It is gone, can not be read, or is larger than [`MESSAGE_BYTES_MAX`].
    pub fn read(&self) -> Result<Vec<u8>, MigrateError> {
        match &self.body {
            Body::File(path) => Ok(with_crlf(&read_part(path, 0, None)?)),
            Body::Mbox { path, at, bytes, form } => Ok(form.undo(&read_part(path, *at, Some(*bytes))?)),
        }
    }

    /// The same out of what its file holds.
    ///
    /// # Panics
    /// When it is another file.
    pub fn read_in(&self, file: &[u8]) -> Vec<u8> {
        match &self.body {
            Body::File(_) => with_crlf(file),
            Body::Mbox { at, bytes, form, .. } => form.undo(&file[*at as usize..][..*bytes as usize]),
        }
    }
}

fn read_part(path: &Path, at: u64, bytes: Option<u64>) -> Result<Vec<u8>, MigrateError> {
    let mut file = File::open(path).map_err(MigrateError::io(path))?;
    file.seek(SeekFrom::Start(at)).map_err(MigrateError::io(path))?;
    let mut out = Vec::new();
    let wanted = bytes.unwrap_or(MESSAGE_BYTES_MAX + 1);
    file.take(wanted.min(MESSAGE_BYTES_MAX + 1)).read_to_end(&mut out).map_err(MigrateError::io(path))?;
    if out.len() as u64 > MESSAGE_BYTES_MAX {
        return Err(MigrateError::TooBig { path: path.to_owned(), max: MESSAGE_BYTES_MAX });
    }
    Ok(out)
}

/// Every LF that has no CR gets one.
pub(crate) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    let mut copied = 0;
    for lf in memchr_iter(b'\n', text).filter(|&lf| lf == 0 || text[lf - 1] != b'\r') {
        out.extend_from_slice(&text[copied..lf]);
        out.push(b'\r');
        copied = lf;
    }
    out.extend_from_slice(&text[copied..]);
    out
}

/// Reads a small file of lists; `None` when there is none.
pub(crate) fn read_list(path: &Path) -> Result<Option<Vec<u8>>, MigrateError> {
    let max = crate::limits::LIST_BYTES_MAX;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(MigrateError::io(path)(error)),
    };
    let mut out = Vec::new();
    file.take(max + 1).read_to_end(&mut out).map_err(MigrateError::io(path))?;
    if out.len() as u64 > max {
        return Err(MigrateError::TooBig { path: path.to_owned(), max });
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends() {
        assert_eq!(with_crlf(b"\na\r\nb\n\nc\r"), b"\r\na\r\nb\r\n\r\nc\r");
        assert_eq!(with_crlf(b""), b"");
    }

    #[test]
    fn those_without_uid_come_last() {
        let key = |uid, name: &str| Key { uid, name: name.to_owned() };
        assert!(
            key(2, "b") < key(10, "a") && key(10, "a") < key(u32::MAX, "a") && key(u32::MAX, "a") < key(u32::MAX, "b")
        );
    }
}
