//! A passwd-file changed in place: one user's lines, and every other byte as it was.
//!
//! ```text
//! lock ─ read ─ change ─ .name.new beside it, same mode and owner ─ fsync ─ rename ─ fsync of the folder
//! ```
//!
//! For commands of whoever owns the file; the server only reads it.

use crate::passwd_file::FILE_BYTES_MAX;
use skein_base::UserName;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Times that the file may be replaced by others while its lock is waited for.
const LOCK_TRIES: usize = 100;

/// What happens to a user.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'a> {
    /// A line at the end.
    Add {
        /// The stored password, and further fields, as they stand behind `user:`.
        rest: &'a str,
    },
    /// The password of the line that counts; its other fields stay.
    Passwd {
        /// The stored password.
        hash: &'a str,
    },
    /// All lines of the user go: an earlier one hides those below it, and must not bring them back.
    Delete,
}

/// Why the file stays as it was.
#[derive(Debug)]
pub enum EditError {
    /// The user is there already.
    Exists,
    /// The user is not there.
    NoUser,
    /// What is to be written holds a line break, or a password a `:`.
    NotALine,
    /// A step of reading or writing failed.
    File {
        /// What.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others replace the file again and again.
    Contended(PathBuf),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Exists => f.write_str("the user is there already"),
            EditError::NoUser => f.write_str("the user is not there"),
            EditError::NotALine => f.write_str("a field of a passwd-file holds no line break, and a password no ':'"),
            EditError::File { what, path, error } => write!(f, "{what} {}: {error}", path.display()),
            EditError::Contended(path) => write!(f, "{}: others replace it all the time", path.display()),
        }
    }
}

impl std::error::Error for EditError {}

/// Changes the file on disk: after this the change is durable, and whoever reads sees it whole or not at all. Blocks, also
/// while another edit has the file.
///
/// # Errors
/// Nothing changed.
pub fn edit_file(path: &Path, user: &UserName, edit: Edit<'_>) -> Result<(), EditError> {
    // A link stays one: what it points to is replaced.
    let path = fs::canonicalize(path).map_err(failed("finding", path))?;
    let file = lock(&path)?;
    let mut before = Vec::new();
    let read = (&file).take(FILE_BYTES_MAX + 1).read_to_end(&mut before);
    read.map_err(failed("reading", &path))?;
    if before.len() as u64 > FILE_BYTES_MAX {
        let error = io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes"));
        return Err(failed("reading", &path)(error));
    }
    replace(&path, &file, &edited(&before, user, edit)?)
}

/// The text after the edit.
///
/// # Errors
/// See [`EditError`].
pub fn edited(text: &[u8], user: &UserName, edit: Edit<'_>) -> Result<Vec<u8>, EditError> {
    let mut out = Vec::with_capacity(text.len() + 256);
    let mut found = false;
    for line in text.split_inclusive(|&b| b == b'\n') {
        match edit {
            _ if !is_of(line, user) => out.extend_from_slice(line),
            Edit::Add { .. } => return Err(EditError::Exists),
            Edit::Passwd { .. } if found => out.extend_from_slice(line),
            Edit::Passwd { hash } => {
                one_line(hash)?;
                with_password(line, hash, &mut out)?;
            }
            Edit::Delete => {}
        }
        found |= is_of(line, user);
    }
    match edit {
        Edit::Add { rest } => {
            one_line(rest)?;
            let (line_break, ends) = (breaks(text), text.is_empty() || text.ends_with(b"\n"));
            for part in [if ends { "" } else { line_break }, user.as_str(), ":", rest, line_break] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        Edit::Passwd { .. } | Edit::Delete if !found => return Err(EditError::NoUser),
        Edit::Passwd { .. } | Edit::Delete => {}
    }
    Ok(out)
}

/// The file of these sources' own kind in which the user stands.
///
/// # Errors
/// It can not be read.
pub fn has_user(path: &Path, user: &UserName) -> Result<bool, EditError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
    read.map_err(failed("reading", path))?;
    Ok(text.split(|&b| b == b'\n').any(|line| is_of(line, user)))
}

/// As the loader sees lines: names in any case, comments are none.
fn is_of(line: &[u8], user: &UserName) -> bool {
    let name = line.split(|b| matches!(b, b':' | b'\r' | b'\n')).next().unwrap_or_default();
    !line.starts_with(b"#")
        && std::str::from_utf8(name).is_ok_and(|name| UserName::new(name).is_ok_and(|name| name == *user))
}

fn with_password(line: &[u8], hash: &str, out: &mut Vec<u8>) -> Result<(), EditError> {
    if hash.contains(':') {
        return Err(EditError::NotALine);
    }
    let text = line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
    let mut fields = text.splitn(3, |&b| b == b':');
    let (name, _password, rest) = (fields.next().unwrap_or_default(), fields.next(), fields.next());
    out.extend_from_slice(name);
    out.push(b':');
    out.extend_from_slice(hash.as_bytes());
    if let Some(rest) = rest {
        out.push(b':');
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(&line[text.len()..]);
    Ok(())
}

fn one_line(field: &str) -> Result<(), EditError> {
    if field.contains(['\r', '\n', '\0']) { Err(EditError::NotALine) } else { Ok(()) }
}

/// How the file breaks its lines.
fn breaks(text: &[u8]) -> &'static str {
    let first = text.iter().position(|&b| b == b'\n').unwrap_or_default();
    if first > 0 && text[first - 1] == b'\r' { "\r\n" } else { "\n" }
}

/// The file, with no other edit under way. An edit renames, so what was locked may be the file no more.
fn lock(path: &Path) -> Result<File, EditError> {
    for _ in 0..LOCK_TRIES {
        let file = File::open(path).map_err(failed("opening", path))?;
        file.lock().map_err(failed("locking", path))?;
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let locked = identity(file.metadata().map_err(failed("looking at", path))?);
        if fs::metadata(path).is_ok_and(|meta| identity(meta) == locked) {
            return Ok(file);
        }
    }
    Err(EditError::Contended(path.to_owned()))
}

/// Puts `text` in the place of `file`, whose lock is held until then.
fn replace(path: &Path, file: &File, text: &[u8]) -> Result<(), EditError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = folder.join(format!(".{name}.new"));
    let written = write_beside(&beside, file, text).and_then(|()| {
        fs::rename(&beside, path).map_err(failed("replacing", path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing", folder))
    });
    if written.is_err() {
        // It may not even have been made.
        _ = fs::remove_file(&beside);
    }
    written
}

fn write_beside(beside: &Path, file: &File, text: &[u8]) -> Result<(), EditError> {
    let meta = file.metadata().map_err(failed("looking at", beside))?;
    match fs::remove_file(beside) {
        // Left behind by one that was killed: the lock says that nobody writes it now.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("removing", beside)(error)),
    }
    let mut new =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside).map_err(failed("making", beside))?;
    let own = new.metadata().map_err(failed("looking at", beside))?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        std::os::unix::fs::fchown(&new, Some(meta.uid()), Some(meta.gid())).map_err(failed("giving away", beside))?;
    }
    new.set_permissions(meta.permissions()).map_err(failed("setting the mode of", beside))?;
    new.write_all(text).map_err(failed("writing", beside))?;
    new.sync_all().map_err(failed("syncing", beside))
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> EditError + 'a {
    move |error| EditError::File { what, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn check(text: &str, name: &str, edit: Edit<'_>, expect: &str) {
        let got = edited(text.as_bytes(), &user(name), edit).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(got.unwrap_or_else(|error| format!("{error:?}")), expect, "{text:?} {name} {edit:?}");
    }

    #[test]
    fn only_the_users_own_bytes_change() {
        let add = Edit::Add { rest: "{PLAIN}x" };
        check("", "Anna", add, "anna:{PLAIN}x\n");
        check("# all\nben:y", "anna", add, "# all\nben:y\nanna:{PLAIN}x\n");
        check("ben:y\r\n", "anna", add, "ben:y\r\nanna:{PLAIN}x\r\n");
        check("#anna:y\n", "anna", add, "#anna:y\nanna:{PLAIN}x\n");
        check("ANNA:y\n", "anna", add, "Exists");
        check("anna", "anna", add, "Exists");
        check("", "anna", Edit::Add { rest: "x\ny" }, "NotALine");

        let passwd = Edit::Passwd { hash: "new" };
        check("\n# c\nAnna:old::::::user=b:c\r\nben:y", "anna", passwd, "\n# c\nAnna:new::::::user=b:c\r\nben:y");
        check("anna\nanna:two\n", "anna", passwd, "anna:new\nanna:two\n");
        check("anna:old", "anna", passwd, "anna:new");
        check("annabel:old\n", "anna", passwd, "NoUser");
        check("anna:old\n", "anna", Edit::Passwd { hash: "a:b" }, "NotALine");

        check("a:1\nanna:2\n#anna\nAnna:3\nb", "anna", Edit::Delete, "a:1\n#anna\nb");
        check("a:1\n", "anna", Edit::Delete, "NoUser");
    }

    proptest! {
        /// Whatever the file holds: an add and a delete later it is the same again, up to a last line break.
        #[test]
        fn add_and_delete_leave_no_trace(text in "([a-c:#\\r]{0,6}\n){0,5}[a-c:#]{0,4}", name in "[d-f]{1,3}") {
            let added = edited(text.as_bytes(), &user(&name), Edit::Add { rest: "x" }).unwrap();
            prop_assert!(added.starts_with(text.as_bytes()));
            let back = edited(&added, &user(&name), Edit::Delete).unwrap();
            prop_assert!(back.strip_prefix(text.as_bytes()).is_some_and(|more| more.len() <= 2), "{back:?}");
        }

        /// Others' lines stand as they were, byte for byte and in their order, and the loader sees the new password.
        #[test]
        fn others_stay(text in "([a-c]{1,2}:[a-z]{0,3}(:[a-z]{0,3}){0,7}\r?\n|#[a-c:]{0,4}\n|\n){0,8}", name in "[a-c]{1,2}") {
            let others = |text: &[u8]| -> Vec<Vec<u8>> {
                text.split_inclusive(|&b| b == b'\n').filter(|line| !is_of(line, &user(&name))).map(<[u8]>::to_vec).collect()
            };
            let before = text.as_bytes();
            for edit in [Edit::Passwd { hash: "{PLAIN}new" }, Edit::Delete] {
                match edited(before, &user(&name), edit) {
                    Err(EditError::NoUser) => prop_assert!(!before.split(|&b| b == b'\n').any(|line| is_of(line, &user(&name)))),
                    Err(error) => prop_assert!(false, "{error:?}"),
                    Ok(after) => prop_assert_eq!(others(&after), others(before)),
                }
            }
        }
    }

    #[test]
    fn the_file_keeps_mode_and_link_and_edits_wait_for_each_other() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = std::env::temp_dir().join(format!("skein-passwd-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, link) = (folder.join("users"), folder.join("link"));
        fs::write(&path, "# users\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("users", &link).unwrap();
        // As an edit that was killed leaves it.
        fs::write(folder.join(".users.new"), "half").unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let link = &link;
                scope.spawn(move || {
                    for m in 0..8 {
                        edit_file(link, &user(&format!("u{n}-{m}")), Edit::Add { rest: "x" }).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 65, "no edit is lost: {text}");
        assert!(has_user(&path, &user("u7-7")).unwrap() && !has_user(&path, &user("u8-0")).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(!folder.join(".users.new").exists());
        assert!(matches!(edit_file(&folder.join("none"), &user("a"), Edit::Delete), Err(EditError::File { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
