//! A user's sessions as they went over the wire, for whoever has to find out what a client does.
//!
//! ```text
//! <rawlog.folder>/<user>/   made by the operator: from the next login on
//!   5f2e1c00.1.2a.in        what the client sent, TLS taken off, passwords hidden
//!   5f2e1c00.1.2a.out       what it was sent
//! Conn ──copies──▶ Pending (bounded) ──▶ a task of the bulk class ──▶ files, in the blocking pool
//! ```
//! A session never waits for its rawlog: one that can not keep up, or whose disk is full, ends with a warning.

mod blank;

use crate::host::Host;
use crate::sessions::{SessionId, within};
use blank::Blank;
use skein_base::UserName;
use skein_base::sync::Notify;
use skein_runtime::{Class, spawn_blocking, spawn_detached};
use skein_transport::Tap;
use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of one session that may wait to be written: some seconds of a fast client and a slow disk.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often it is looked whether the folder of all is there: while it is not, logins cost nothing.
const LOOK: Duration = Duration::from_secs(1);

/// What a shard knows of the folder.
#[derive(Default)]
pub(crate) struct Rawlogs {
    looked: Cell<Option<(Instant, bool)>>,
}

/// What the session's side and the writing task share.
#[derive(Default)]
struct Pending {
    bytes: RefCell<[Vec<u8>; 2]>,
    changed: Notify,
    /// The session has ended, or too much waits.
    closed: Cell<bool>,
    overflown: Cell<bool>,
}

/// One of the two directions, as far as the session's side goes.
struct Side {
    blank: Option<Blank>,
    stamps: bool,
    at_line_start: bool,
    left: u64,
}

struct RawTap {
    pending: Rc<Pending>,
    sides: [Side; 2],
}

/// The two directions.
const IN: usize = 0;
const OUT: usize = 1;

impl Host {
    /// The tap of a session that begins, when its user has a folder; `unread` is what was read before and is not taken yet.
    pub(crate) async fn rawlog(&self, user: &UserName, session: SessionId, unread: &[u8]) -> Option<Box<dyn Tap>> {
        let settings = self.settings();
        let rules = &settings.config.rawlog;
        let base = rules.folder.clone().unwrap_or_else(|| settings.config.data_dir.join("rawlog"));
        if !self.rawlogs().is_there(&base).await {
            return None;
        }
        let folder = base.join(folder_name(user)?);
        let files_max = rules.files_max;
        let opened = spawn_blocking(move || open(&folder, session, files_max)).await.ok()?;
        let files = match opened {
            Ok(files) => files?,
            Err(error) => {
                tracing::warn!(%user, %error, "no rawlog");
                return None;
            }
        };
        tracing::info!(%user, "a rawlog is written");
        let pending = Rc::<Pending>::default();
        let side = |blank| Side { blank, stamps: rules.timestamps, at_line_start: true, left: rules.file_bytes_max };
        let mut tap = RawTap { pending: pending.clone(), sides: [side(Some(Blank::default())), side(None)] };
        tap.input(unread);
        spawn_detached(Class::Bulk, ("rawlog", session.number), within(session, write(pending, files)));
        Some(Box::new(tap))
    }
}

impl Rawlogs {
    async fn is_there(&self, base: &Path) -> bool {
        if let Some((at, is)) = self.looked.get()
            && at.elapsed() < LOOK
        {
            return is;
        }
        let path = base.to_owned();
        let is = spawn_blocking(move || path.is_dir()).await.unwrap_or(false);
        self.looked.set(Some((Instant::now(), is)));
        is
    }
}

/// The user's name as one folder; none for a name that could lead elsewhere.
fn folder_name(user: &UserName) -> Option<&str> {
    let name = user.as_str();
    (!name.starts_with('.') && !name.contains('/')).then_some(name)
}

/// New files in a folder that is there, after the oldest have made room.
fn open(folder: &Path, session: SessionId, files_max: usize) -> io::Result<Option<[File; 2]>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut old = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_ours = path.extension().is_some_and(|end| end == "in" || end == "out");
        if is_ours && let Ok(at) = fs::metadata(&path).and_then(|meta| meta.modified()) {
            old.push((at, path));
        }
    }
    old.sort();
    let room = files_max.saturating_sub(2);
    for (_, path) in &old[..old.len().saturating_sub(room)] {
        fs::remove_file(path)?;
    }
    let file = |end: &str| -> io::Result<File> {
        let path: PathBuf = folder.join(format!("{session}.{end}"));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    };
    Ok(Some([file("in")?, file("out")?]))
}

impl Tap for RawTap {
    fn input(&mut self, bytes: &[u8]) {
        self.take(IN, bytes);
    }

    fn output(&mut self, bytes: &[u8]) {
        self.take(OUT, bytes);
    }
}

impl RawTap {
    fn take(&mut self, which: usize, bytes: &[u8]) {
        let side = &mut self.sides[which];
        if self.pending.closed.get() || side.left == 0 || bytes.is_empty() {
            return;
        }
        let mut all = self.pending.bytes.borrow_mut();
        let waiting = all[IN].len() + all[OUT].len();
        if waiting + bytes.len() > PENDING_BYTES_MAX {
            self.pending.overflown.set(true);
            self.pending.closed.set(true);
        } else {
            side.put(bytes, &mut all[which]);
        }
        drop(all);
        self.pending.changed.notify_all();
    }
}

impl Drop for RawTap {
    fn drop(&mut self) {
        if !self.pending.closed.replace(true) {
            let mut all = self.pending.bytes.borrow_mut();
            let side = &mut self.sides[IN];
            let mut rest = Vec::new();
            if let Some(blank) = &mut side.blank {
                blank.finish(&mut rest);
            }
            side.stamp(&rest, &mut all[IN]);
        }
        self.pending.changed.notify_all();
    }
}

impl Side {
    fn put(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        match &mut self.blank {
            None => self.stamp(bytes, to),
            Some(blank) => {
                let mut seen = Vec::with_capacity(bytes.len());
                blank.pass(bytes, &mut seen);
                self.stamp(&seen, to);
            }
        }
    }

    /// Appends, with the time before each line when that is wanted, until the file is as large as it may be.
    fn stamp(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        let before = to.len();
        if self.stamps {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let stamp = format!("{}.{:06} ", now.as_secs(), now.subsec_micros());
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if self.at_line_start {
                    to.extend_from_slice(stamp.as_bytes());
                }
                to.extend_from_slice(line);
                self.at_line_start = line.ends_with(b"\n");
            }
        } else {
            to.extend_from_slice(bytes);
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        to.truncate(before.saturating_add(room));
        self.left -= (to.len() - before) as u64;
    }
}

/// Writes what comes until the session ends.
async fn write(pending: Rc<Pending>, mut files: [File; 2]) {
    loop {
        let changed = pending.changed.notified();
        let bytes = std::mem::take(&mut *pending.bytes.borrow_mut());
        if bytes.iter().all(Vec::is_empty) {
            if pending.closed.get() {
                break;
            }
            changed.await;
            continue;
        }
        let written = spawn_blocking(move || {
            let done = files.iter_mut().zip(&bytes).try_for_each(|(file, bytes)| file.write_all(bytes));
            done.map(|()| files)
        });
        match written.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked.message))) {
            Ok(back) => files = back,
            Err(error) => {
                pending.closed.set(true);
                *pending.bytes.borrow_mut() = Default::default();
                return tracing::warn!(%error, "the rawlog ends, the session goes on");
            }
        }
    }
    if pending.overflown.get() {
        tracing::warn!(bytes = PENDING_BYTES_MAX, "the rawlog ends, the session goes on: its disk does not keep up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(stamps: bool, left: u64) -> Side {
        Side { blank: None, stamps, at_line_start: true, left }
    }

    #[test]
    fn a_file_ends_at_its_size() {
        let (mut side, mut out) = (side(false, 5), Vec::new());
        side.put(b"abc", &mut out);
        side.put(b"defg", &mut out);
        assert_eq!((out.as_slice(), side.left), (b"abcde".as_slice(), 0));
    }

    #[test]
    fn each_line_has_its_time_whatever_the_pieces() {
        let (mut side, mut out) = (side(true, 1000), Vec::new());
        ["a", "b\r\n", "c\r\nd"].iter().for_each(|piece| side.put(piece.as_bytes(), &mut out));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["ab", "c", "d"]);
        assert!(lines.iter().all(|(stamp, _)| stamp.parse::<f64>().is_ok_and(|at| at > 1e9)), "{text}");
    }

    #[test]
    fn what_waits_is_bounded_and_the_session_does_not_notice() {
        let pending = Rc::<Pending>::default();
        let sides = [side(false, u64::MAX), side(false, u64::MAX)];
        let mut tap = RawTap { pending: pending.clone(), sides };
        (0..10).for_each(|_| tap.output(&[0; 1 << 20]));
        assert!(pending.overflown.get() && pending.closed.get());
        assert!(pending.bytes.borrow()[OUT].len() <= PENDING_BYTES_MAX);
    }

    #[test]
    fn the_oldest_files_make_room_and_no_other_is_touched() {
        let folder = std::env::temp_dir().join(format!("skein-rawlog-{}", std::process::id()));
        assert!(open(&folder, id(0), 6).unwrap().is_none(), "nobody made it");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("notes"), "mine").unwrap();
        for number in 1..=5 {
            open(&folder, id(number), 6).unwrap().unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 7);
        assert!(names.contains(&"5.0.5.in".into()) && names.contains(&"notes".into()), "{names:?}");
        fs::remove_dir_all(&folder).unwrap();
    }

    fn id(number: u64) -> SessionId {
        SessionId { since: 5, shard: skein_base::ShardId(0), number }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let name = |text: &str| UserName::new(text).ok().and_then(|user| folder_name(&user).map(str::to_owned));
        assert_eq!(name("anna@example.org").as_deref(), Some("anna@example.org"));
        assert_eq!((name(".."), name("a/b"), name(".hidden")), (None, None, None));
    }
}
