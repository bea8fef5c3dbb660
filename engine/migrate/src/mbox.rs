//! mbox: messages one after the other, each behind a `From ` line.
//!
//! ```text
//! From sender@example.org Thu Jan  1 00:00:00 1970
//! X-Skein: bytes=1234         our own export: the lines down to X-UID are not the message's, and it has 1234 bytes with CRLF
//! Status: RO                  R seen, O old
//! X-Status: AFTD              A answered, F flagged, T draft, D deleted
//! X-Keywords: $Label1 work
//! X-UID: 17
//! Subject: ...                from here the message, LF only; `From ` at a line's start, after any number of `>`, gets a `>`
//! ```
//!
//! Of others' files the same fields are taken as well, wherever they stand in the header, and stay in the message.

use crate::error::MigrateError;
use crate::limits::{LIST_BYTES_MAX, MEANING_BYTES_MAX};
use crate::message::{Body, Folder, Key, Message, Meta, with_crlf};
use skein_base::Flags;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// What a `>` before `From ` means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoting {
    /// mboxrd: one was added, before any others.
    Rd,
    /// mboxo: it was added if it stands alone.
    O,
}

/// How the bytes of a message became those in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Ours: of so many bytes.
    Ours { bytes: u64 },
    /// Another program's.
    Other(Quoting),
}

impl Form {
    /// The message as it was, with CRLF line ends.
    pub(crate) fn undo(self, text: &[u8]) -> Vec<u8> {
        match self {
            Form::Other(quoting) => with_crlf(&unquoted(text, quoting)),
            Form::Ours { bytes } => {
                let text = unquoted(text, Quoting::Rd);
                let mut out = Vec::with_capacity(text.len() + text.len() / 32);
                for line in text.split_inclusive(|&b| b == b'\n') {
                    match line.strip_suffix(b"\n") {
                        Some(line) => out.extend([line, b"\r\n"].concat()),
                        None => out.extend_from_slice(line),
                    }
                }
                out.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
                out
            }
        }
    }
}

fn unquoted(text: &[u8], quoting: Quoting) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&b| b == b'\n') {
        let quotes = line.iter().take_while(|&&b| b == b'>').count();
        let quoted =
            line[quotes..].starts_with(b"From ") && if quoting == Quoting::Rd { quotes > 0 } else { quotes == 1 };
        out.extend_from_slice(&line[usize::from(quoted)..]);
    }
    out
}

/// What an mbox holds.
#[derive(Debug)]
pub struct Mbox {
    /// UIDVALIDITY and the last UID, if it has any.
    pub base: Option<(u32, u32)>,
    /// In its order. UIDs that do not ascend are dropped.
    pub messages: Vec<Message>,
}

/// Reads all but the bodies.
///
/// # Errors
/// The file can not be read, or does not begin with a `From ` line.
pub fn read(path: &Path, quoting: Quoting) -> Result<Mbox, MigrateError> {
    let file = File::open(path).map_err(MigrateError::io(path))?;
    read_from(BufReader::with_capacity(1 << 16, file), path, quoting)
}

/// The same from what the file at `path` holds.
///
/// # Errors
/// As [`read`].
pub fn read_from(mut input: impl BufRead, path: &Path, quoting: Quoting) -> Result<Mbox, MigrateError> {
    let mut scan = Scan { path, quoting, base: None, found: Vec::new(), open: None };
    // Bytes of the line before, when it is empty; a file begins as behind one.
    let (mut at, mut empty) = (0, Some(0));
    let (mut line, mut starts) = (Vec::new(), true);
    loop {
        line.clear();
        // Only the beginning of a line means something: a longer one comes in pieces.
        let mut piece = std::io::Read::take(&mut input, MEANING_BYTES_MAX as u64);
        let read = piece.read_until(b'\n', &mut line).map_err(MigrateError::io(path))?;
        if read == 0 {
            break;
        }
        if starts
            && let Some(empty) = empty
            && line.starts_with(b"From ")
        {
            scan.end(at - empty);
            scan.begin(at + read as u64, &line);
        } else if scan.open.is_none() {
            return Err(MigrateError::Damaged {
                path: path.to_owned(),
                what: "not an mbox: it has no From line first",
            });
        } else if starts {
            scan.line(at + read as u64, &line);
        }
        at += read as u64;
        empty = (starts && matches!(&line[..], b"\n" | b"\r\n")).then_some(read as u64);
        starts = line.ends_with(b"\n");
    }
    scan.end(at - empty.unwrap_or(0));
    Ok(Mbox { base: scan.base, messages: scan.found })
}

/// An mbox being read.
struct Scan<'p> {
    path: &'p Path,
    quoting: Quoting,
    base: Option<(u32, u32)>,
    found: Vec<Message>,
    open: Option<Header>,
}

/// The message under way.
struct Header {
    at: u64,
    message: Message,
    /// Of our own export, as long as its own lines last.
    ours: Option<u64>,
    in_front: bool,
    in_header: bool,
}

impl Scan<'_> {
    fn begin(&mut self, at: u64, line: &[u8]) {
        let message = Message {
            meta: Meta { internal_date: from_date(line).unwrap_or(0), ..Meta::default() },
            key: Key { uid: u32::MAX, name: String::new() },
            body: Body::File(self.path.to_owned()),
        };
        self.open = Some(Header { at, message, ours: None, in_front: true, in_header: true });
    }

    fn line(&mut self, next: u64, line: &[u8]) {
        let Some(header) = self.open.as_mut().filter(|header| header.in_header) else { return };
        let line = line.trim_ascii_end();
        if line.is_empty() {
            header.in_header = false;
            return;
        }
        if header.ours.is_some() && !header.in_front {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let (name, value) = text.split_once(':').unwrap_or(("", ""));
        let (value, message) = (value.trim(), &mut header.message.meta);
        match name.to_ascii_lowercase().as_str() {
            "x-skein" if header.in_front => header.ours = value.strip_prefix("bytes=").and_then(|n| n.parse().ok()),
            "status" => message.flags = Flags(message.flags.0 | flags(value, &[('R', Flags::SEEN)])),
            "x-status" => message.flags = Flags(message.flags.0 | flags(value, &X_STATUS)),
            "x-keywords" => message.keywords = value.split_ascii_whitespace().map(str::to_owned).collect(),
            "x-uidl" => message.uidl = Some(value.to_owned()).filter(|uidl| !uidl.is_empty()),
            "x-imap" | "x-imapbase" if self.found.is_empty() => {
                let mut numbers = value.split_ascii_whitespace().map_while(|word| word.parse().ok());
                self.base = numbers.next().zip(numbers.next());
            }
            "x-uid" => message.uid = value.parse().ok().filter(|uid| *uid > 0),
            _ => {}
        }
        header.in_front &= header.ours.is_some() && !name.eq_ignore_ascii_case("x-uid");
        if header.ours.is_some() {
            header.at = next;
        }
    }

    /// The message ends before the empty line that parts it from the next one.
    fn end(&mut self, at: u64) {
        let Some(Header { at: begin, mut message, ours, .. }) = self.open.take() else { return };
        let form = ours.map_or(Form::Other(self.quoting), |bytes| Form::Ours { bytes });
        message.body = Body::Mbox { path: self.path.to_owned(), at: begin, bytes: at.saturating_sub(begin), form };
        let last = self.found.iter().rev().find_map(|before| before.meta.uid);
        message.meta.uid = message.meta.uid.filter(|uid| last.is_none_or(|last| last < *uid));
        message.key = Key { uid: u32::try_from(self.found.len()).unwrap_or(u32::MAX), name: String::new() };
        self.found.push(message);
    }
}

const X_STATUS: [(char, Flags); 4] =
    [('A', Flags::ANSWERED), ('F', Flags::FLAGGED), ('T', Flags::DRAFT), ('D', Flags::DELETED)];

fn flags(letters: &str, meaning: &[(char, Flags)]) -> u8 {
    meaning.iter().filter(|(letter, _)| letters.contains(*letter)).fold(0, |bits, (_, flag)| bits | flag.0)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY_SECONDS: i64 = 86_400;
/// Years have four digits, as readers want them.
const DATE_MIN: i64 = days_since_1970(1000, 1, 1) * DAY_SECONDS;
const DATE_MAX: i64 = days_since_1970(10_000, 1, 1) * DAY_SECONDS - 1;

/// The date of `From x Thu Jan  1 00:00:00 1970`, taken as UTC.
fn from_date(line: &[u8]) -> Option<i64> {
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let month_at = words.iter().skip(2).position(|word| MONTHS.contains(word))? + 2;
    let [day, time, year, ..] = words.get(month_at + 1..)? else { return None };
    let month = MONTHS.iter().position(|month| *month == words[month_at])? as i64 + 1;
    let mut clock = time.split(':').map(|part| part.parse::<i64>().ok().filter(|n| (0..=60).contains(n)));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0))?);
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    if !(1..=31).contains(&day) || !(1000..=9999).contains(&year) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    Some(seconds.min(DATE_MAX))
}

/// Days of the Gregorian calendar; years begin in March, so that the leap day is the last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 719_469
}

fn write_from(out: &mut Vec<u8>, seconds: i64) {
    let seconds = seconds.clamp(DATE_MIN, DATE_MAX);
    let days = seconds.div_euclid(DAY_SECONDS);
    // The year and month are those that begin last before the day.
    let mut year = 1970 + days.div_euclid(366).min(days.div_euclid(365));
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days_since_1970(year, *month, 1) <= days).unwrap_or(1);
    let day = days - days_since_1970(year, month, 1) + 1;
    let clock = seconds.rem_euclid(DAY_SECONDS);
    let (weekday, name) = (DAYS[days.rem_euclid(7) as usize], MONTHS[(month - 1) as usize]);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let line = format!("From MAILER-DAEMON {weekday} {name} {day:2} {hour:02}:{minute:02}:{second:02} {year}\n");
    out.extend_from_slice(line.as_bytes());
}

/// Appends a message to an mbox. `base` is UIDVALIDITY and the last UID, to be given with the first one. Every LF of `body`
/// follows a CR.
///
/// # Errors
/// It can not be written.
pub fn write(out: &mut impl Write, message: &Meta, base: Option<(u32, u32)>, body: &[u8]) -> std::io::Result<()> {
    let mut text = Vec::with_capacity(body.len() + 512);
    write_from(&mut text, message.internal_date);
    write_fields(&mut text, message, base, body.len())?;
    for line in body.split_inclusive(|&b| b == b'\n') {
        if line[line.iter().take_while(|&&b| b == b'>').count()..].starts_with(b"From ") {
            text.push(b'>');
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) => text.extend([line, b"\n"].concat()),
            None => text.extend_from_slice(line),
        }
    }
    text.extend_from_slice(if body.ends_with(b"\n") { b"\n" } else { b"\n\n" });
    out.write_all(&text)
}

fn write_fields(out: &mut Vec<u8>, message: &Meta, base: Option<(u32, u32)>, bytes: usize) -> std::io::Result<()> {
    writeln!(out, "X-Skein: bytes={bytes}")?;
    if let Some((validity, last)) = base {
        writeln!(out, "X-IMAPbase: {validity} {last}")?;
    }
    writeln!(out, "Status: {}O", if message.flags.contains(Flags::SEEN) { "R" } else { "" })?;
    let status: String = X_STATUS.iter().filter(|(_, flag)| message.flags.contains(*flag)).map(|(c, _)| *c).collect();
    writeln!(out, "X-Status: {status}")?;
    writeln!(out, "X-Keywords: {}", message.keywords.join(" "))?;
    if let Some(uidl) = &message.uidl {
        writeln!(out, "X-UIDL: {uidl}")?;
    }
    writeln!(out, "X-UID: {}", message.uid.unwrap_or(0))
}

/// The mbox as a folder of this name.
///
/// # Errors
/// As [`read`], and [`MigrateError::TooBig`] when there are too many.
pub fn folder(path: &Path, name: &str, quoting: Quoting) -> Result<(Folder, Vec<Message>), MigrateError> {
    let Mbox { base, messages } = read(path, quoting)?;
    if messages.len() as u64 > LIST_BYTES_MAX / 64 {
        return Err(MigrateError::TooBig { path: path.to_owned(), max: LIST_BYTES_MAX / 64 });
    }
    let (validity, uid_next) = (base.map(|(validity, _)| validity), base.map(|(_, last)| last.saturating_add(1)));
    Ok((Folder { name: name.to_owned(), path: path.to_owned(), validity, uid_next, subscribed: false }, messages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_base::limits::{KEYWORD_BYTES_MAX, KEYWORDS_PER_MAILBOX_MAX};

    #[test]
    fn quotes() {
        let text = b"From a\n>From b\n>>From c\n> From d\n";
        assert_eq!(unquoted(text, Quoting::Rd), b"From a\nFrom b\n>From c\n> From d\n");
        assert_eq!(unquoted(text, Quoting::O), b"From a\nFrom b\n>>From c\n> From d\n");
    }

    fn bodies(file: &[u8]) -> Vec<String> {
        let messages = read_from(file, Path::new("/mbox"), Quoting::Rd).unwrap().messages;
        messages.iter().map(|message| String::from_utf8(message.read_in(file)).unwrap()).collect()
    }

    /// Of a last message that no empty line follows, its last byte was lost; and where lines end with CRLF, a CR stayed behind every
    /// message.
    #[test]
    fn only_the_empty_line_behind_a_message_is_not_its_own() {
        for (file, expect) in [
            ("From a\n\ntext\n\nFrom b\n\ntext\n\n", &["\r\ntext\r\n", "\r\ntext\r\n"][..]),
            ("From a\n\ntext\n", &["\r\ntext\r\n"]),
            ("From a\n\ntext", &["\r\ntext"]),
            ("From a\n\ntext\n\n\n", &["\r\ntext\r\n\r\n"]),
            ("From a\r\n\r\ntext\r\n\r\nFrom b\r\n\r\n", &["\r\ntext\r\n", ""]),
            ("From a\n\nFrom b\nFrom c\nx\n", &["", "From c\r\nx\r\n"]),
            ("From a", &[""]),
        ] {
            assert_eq!(bodies(file.as_bytes()), expect, "{file:?}");
        }
    }

    /// Of a message with all keywords that there can be, the line of keywords was cut, and the rest of it read as text.
    #[test]
    fn the_longest_line_of_keywords_reads_back() {
        let keywords =
            (0..KEYWORDS_PER_MAILBOX_MAX).map(|n| format!("{n:0width$}", width = KEYWORD_BYTES_MAX)).collect();
        let (message, body) = (Meta { keywords, uid: Some(1), ..Meta::default() }, "Subject: x\r\n\r\ntext\r\n");
        let mut file = Vec::new();
        write(&mut file, &message, None, body.as_bytes()).unwrap();
        let found = read_from(&file[..], Path::new("/mbox"), Quoting::Rd).unwrap().messages;
        assert!(found[0].meta == message, "{} keywords", found[0].meta.keywords.len());
        assert_eq!(bodies(&file), [body]);
    }

    #[test]
    fn dates() {
        for (line, expect) in [
            ("From a Thu Jan  1 00:00:00 1970", Some(0)),
            ("From a b@c Tue Feb 29 23:59:59 2000 +0000", Some(951_868_799)),
            ("From a Mon Nov 23 23:34:50 2026", Some(1_795_476_890)),
            ("From a Mon Nov 23 23:34 2026", Some(1_795_476_840)),
            // The leap second would be in the year 10000, which can not be written.
            ("From a Fri Dec 31 23:59:60 9999", Some(253_402_300_799)),
            ("From a", None),
            ("From Jan Mon Nov x 23:34:50 2026", None),
        ] {
            assert_eq!(from_date(line.as_bytes()), expect, "{line}");
        }
    }

    proptest! {
        #[test]
        fn dates_read_back(seconds in -30_000_000_000i64..200_000_000_000) {
            let mut line = Vec::new();
            write_from(&mut line, seconds);
            prop_assert_eq!(from_date(&line), Some(seconds), "{}", String::from_utf8_lossy(&line));
        }
    }
}
