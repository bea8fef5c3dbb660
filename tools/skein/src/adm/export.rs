//! `adm export`: the server reads the messages, this program writes the files.

use super::backup::ask;
use super::import::{bar, print_failed};
use super::output::{Output, Shape};
use super::{Server, client, fail};
use crate::words;
use base64::Engine;
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use skein_admin::adm::{Code, Line, Request};
use skein_base::Flags;
use skein_migrate::maildir::MaildirWriter;
use skein_migrate::{Meta, MigrateError, Tally, mbox};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Export {
    /// Whose mail.
    user: String,
    /// A folder that is not there yet. It is written as PATH.part and gets its name when all of it is there; an export that was broken
    /// off goes on with what is in PATH.part when it is asked for again.
    path: PathBuf,
    /// What is written.
    #[arg(long, default_value = "maildir")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Maildir++ with dovecot-uidlist, dovecot-keywords and subscriptions.
    Maildir,
    /// A file for each mailbox (mboxrd), / in its name as %2F.
    Mbox,
}

type Failed = (Code, String);

/// A mailbox as it is listed before its messages are read.
struct Mailbox {
    name: String,
    validity: u32,
    uid_next: u32,
    messages: u64,
}

/// Where messages go.
enum Writer {
    Maildir(Box<MaildirWriter>),
    Mbox { root: PathBuf, file: Option<MboxFile> },
}

/// Says in PATH.part whose export it is, and in what format, for the next run to go on with.
const UNFINISHED: &str = "skein-export-unfinished";
/// Bytes of an mbox after which it is synced and a run that is broken off would go on.
const MBOX_SYNC_BYTES: u64 = 64 * 1024 * 1024;

/// An mbox under way. Beside it, until the export is whole, stands how far it is good: `UIDVALIDITY UID bytes`.
struct MboxFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// UIDVALIDITY, and the last UID for the first message to tell.
    validity: u32,
    base: Option<u32>,
    /// The last message written, the bytes up to its end, and those up to which it is synced.
    last: u32,
    bytes: u64,
    synced: u64,
}

/// What a mailbox came to.
struct Progress<'a> {
    tally: Tally,
    all: &'a mut Tally,
    kept: u64,
    bar: &'a ProgressBar,
}

impl Export {
    pub fn run(self, server: &Server) -> ExitCode {
        match self.export(server) {
            Ok(()) => ExitCode::SUCCESS,
            Err((class, text)) => fail(class, &text),
        }
    }

    fn export(&self, server: &Server) -> Result<(), Failed> {
        if self.path.exists() {
            return Err((Code::Data, format!("{} is there already", self.path.display())));
        }
        let mailboxes = mailboxes(server, &self.user)?;
        let list = Request::MailboxList { users: self.user.clone(), patterns: Vec::new(), subscribed: true };
        let subscribed: BTreeSet<String> =
            ask(server, &list)?.iter().filter_map(|row| row.get("mailbox")?.as_str().map(str::to_owned)).collect();
        let mut name = self.path.clone().into_os_string();
        name.push(".part");
        let part = PathBuf::from(name);
        let mut writer = self.begin(&part)?;
        let bar = bar(mailboxes.iter().map(|mailbox| mailbox.messages).sum(), server.json);
        let (mut output, mut all) = (Output::new(server.json, Shape::Table), Tally::default());
        for mailbox in &mailboxes {
            bar.set_message(mailbox.name.clone());
            let mut progress = Progress { tally: Tally::default(), all: &mut all, kept: 0, bar: &bar };
            writer.folder(mailbox, subscribed.contains(&mailbox.name))?;
            self.mailbox(server, mailbox, &mut writer, &mut progress)?;
            let row = [
                ("mailbox", Value::from(mailbox.name.as_str())),
                ("messages", progress.tally.messages.into()),
                ("kept", progress.kept.into()),
                ("bytes", progress.tally.bytes.into()),
            ];
            let row = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            bar.suspend(|| output.row(row)).map_err(print_failed)?;
        }
        writer.finish().map_err(|error| denied(&part, error))?;
        fs::remove_file(part.join(UNFINISHED)).map_err(|error| denied(&part, error))?;
        fs::rename(&part, &self.path).map_err(|error| denied(&self.path, error))?;
        bar.finish_and_clear();
        output.flush().map_err(print_failed)?;
        let mut row = Map::new();
        row.insert("user".into(), self.user.as_str().into());
        row.insert("messages".into(), all.messages.into());
        row.insert("bytes".into(), all.bytes.into());
        row.insert("hash".into(), all.to_string().rsplit(' ').next().unwrap_or_default().into());
        let mut total = Output::new(server.json, Shape::Records);
        total.row(row).and_then(|()| total.flush()).map_err(print_failed)
    }

    /// Goes on with what an export of the same has left in `part`, or begins it.
    fn begin(&self, part: &Path) -> Result<Writer, Failed> {
        let format = if self.format == Format::Maildir { "maildir" } else { "mbox" };
        let (mark, says) = (part.join(UNFINISHED), format!("{format} {}\n", self.user));
        let goes_on = fs::read_to_string(&mark).is_ok_and(|text| text == says);
        if part.exists() && !goes_on {
            fs::remove_dir_all(part).map_err(|error| denied(part, error))?;
        }
        fs::create_dir_all(part).and_then(|()| fs::write(&mark, says)).map_err(|error| denied(part, error))?;
        match self.format {
            Format::Maildir => Ok(Writer::Maildir(Box::new(MaildirWriter::go_on(part).map_err(told)?))),
            Format::Mbox => Ok(Writer::Mbox { root: part.to_owned(), file: None }),
        }
    }

    /// Writes a mailbox: what a run before has written is taken from there.
    fn mailbox(
        &self,
        server: &Server,
        mailbox: &Mailbox,
        writer: &mut Writer,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failed> {
        let Some(missing) = self.kept(server, mailbox, writer, progress)? else {
            return self.fetch(
                server,
                mailbox,
                "uid flags date.received.unixtimestamp pop3.uidl text",
                &[],
                &mut |row| {
                    let (meta, text) = message(row)?;
                    progress.add(&text);
                    writer.message(&meta, &text)
                },
            );
        };
        // Sets that a request takes.
        for uids in missing.chunks(1000) {
            let uids: Vec<String> = uids.iter().map(|(first, last)| format!("{first}:{last}")).collect();
            let query = ["uid".to_owned(), uids.join(",")];
            let fields = "uid flags date.received.unixtimestamp pop3.uidl text";
            self.fetch(server, mailbox, fields, &query, &mut |row| {
                let (meta, text) = message(row)?;
                progress.add(&text);
                writer.message(&meta, &text)
            })?;
        }
        Ok(())
    }

    /// Takes over what a run before has written of a mailbox; ranges of UIDs that are still to be written, `None` for all.
    fn kept(
        &self,
        server: &Server,
        mailbox: &Mailbox,
        writer: &mut Writer,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Vec<(u32, u32)>>, Failed> {
        match writer {
            Writer::Maildir(maildir) if maildir.has_some() => {
                let mut missing: Vec<(u32, u32)> = Vec::new();
                let fields = "uid flags date.received.unixtimestamp pop3.uidl";
                self.fetch(server, mailbox, fields, &[], &mut |row| {
                    let meta = meta(&row)?;
                    let uid = meta.uid.unwrap_or_default();
                    match maildir.keep(&meta).map_err(|error| io::Error::other(error.to_string()))? {
                        Some((text, has_all)) => {
                            progress.kept += 1;
                            progress.add(&text);
                            tell_letters(uid, has_all);
                        }
                        None => match missing.last_mut() {
                            Some((_, last)) if *last + 1 == uid => *last = uid,
                            _ => missing.push((uid, uid)),
                        },
                    }
                    Ok(())
                })?;
                Ok(Some(missing))
            }
            Writer::Mbox { file: Some(file), .. } if file.last > 0 => {
                let kept = mbox::folder(&file.path, &mailbox.name, mbox::Quoting::Rd).map_err(told)?.1;
                for message in kept {
                    progress.kept += 1;
                    progress.add(&message.read().map_err(told)?);
                }
                Ok(Some(vec![(file.last + 1, u32::MAX - 1)]))
            }
            _ => Ok(None),
        }
    }

    fn fetch(
        &self,
        server: &Server,
        mailbox: &Mailbox,
        fields: &str,
        uids: &[String],
        take: &mut dyn FnMut(Map<String, Value>) -> io::Result<()>,
    ) -> Result<(), Failed> {
        let mut query = vec!["mailbox".to_owned(), mailbox.name.clone()];
        query.extend(if uids.is_empty() { vec!["all".to_owned()] } else { uids.to_vec() });
        let fetch = Request::Fetch { users: self.user.clone(), fields: vec![fields.to_owned()], query };
        let mut problem = None;
        let asked = client::lines(&server.socket, &fetch, &mut |line| {
            match line {
                Line::Row(row) => take(row)?,
                Line::Problem(told) => problem = problem.take().or(Some((told.code, told.text))),
                Line::End => {}
            }
            Ok(())
        });
        asked.map_err(|error| (error.code(), error.to_string()))?;
        problem.map_or(Ok(()), Err)
    }
}

impl Progress<'_> {
    fn add(&mut self, text: &[u8]) {
        self.tally.add(text);
        self.all.add(text);
        self.bar.inc(1);
    }
}

fn tell_letters(uid: u32, has_all: bool) {
    if !has_all {
        words::complain(format_args!("skein adm: UID {uid}: a Maildir has no letter left for a keyword"));
    }
}

fn mailboxes(server: &Server, user: &str) -> Result<Vec<Mailbox>, Failed> {
    if user.contains(['*', '?']) {
        return Err((Code::Usage, "one user at a time".to_owned()));
    }
    let rows = ask(server, &Request::MailboxStatus { users: user.to_owned(), patterns: Vec::new() })?;
    let of = |row: &Map<String, Value>| {
        let number = |name: &str| row.get(name).and_then(Value::as_u64);
        Some(Mailbox {
            name: row.get("mailbox")?.as_str()?.to_owned(),
            validity: number("uidvalidity")? as u32,
            uid_next: number("uidnext")? as u32,
            messages: number("messages")?,
        })
    };
    let mailboxes: Option<Vec<Mailbox>> = rows.iter().map(of).collect();
    mailboxes.ok_or_else(|| (Code::Software, "the server's answer makes no sense".to_owned()))
}

/// What a row says of a message, and its bytes.
fn message(mut row: Map<String, Value>) -> io::Result<(Meta, Vec<u8>)> {
    let odd = || io::Error::other("the server's answer makes no sense");
    let text = match row.remove("text") {
        Some(Value::String(text)) => text.into_bytes(),
        Some(Value::Object(coded)) => {
            let coded = coded.get("base64").and_then(Value::as_str).ok_or_else(odd)?;
            base64::engine::general_purpose::STANDARD.decode(coded).map_err(io::Error::other)?
        }
        _ => return Err(odd()),
    };
    Ok((meta(&row)?, text))
}

fn meta(row: &Map<String, Value>) -> io::Result<Meta> {
    let odd = || io::Error::other("the server's answer makes no sense");
    let mut meta = Meta {
        uid: row.get("uid").and_then(Value::as_u64).map(|uid| uid as u32),
        internal_date: row.get("date.received.unixtimestamp").and_then(Value::as_i64).ok_or_else(odd)?,
        uidl: row.get("pop3.uidl").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned),
        ..Meta::default()
    };
    for word in row.get("flags").and_then(Value::as_str).ok_or_else(odd)?.split_whitespace() {
        match Flags::NAMES.iter().find(|(_, name)| *name == word) {
            Some((flag, _)) => meta.flags = meta.flags | *flag,
            None => meta.keywords.push(word.to_owned()),
        }
    }
    if meta.uid.is_none() { Err(odd()) } else { Ok(meta) }
}

fn denied(path: &Path, error: io::Error) -> Failed {
    let class = if error.kind() == io::ErrorKind::PermissionDenied { Code::Denied } else { Code::Data };
    (class, format!("{}: {error}", path.display()))
}

fn told(error: MigrateError) -> Failed {
    (Code::Data, error.to_string())
}

impl Writer {
    fn folder(&mut self, mailbox: &Mailbox, subscribed: bool) -> Result<(), Failed> {
        match self {
            Writer::Maildir(maildir) => {
                maildir.folder(&mailbox.name, mailbox.validity, mailbox.uid_next, subscribed).map_err(told)
            }
            Writer::Mbox { root, file } => {
                if let Some(file) = file.take() {
                    file.close().map_err(|error| denied(root, error))?;
                }
                let path = root.join(format!("{}.mbox", mailbox.name.replace('%', "%25").replace('/', "%2F")));
                *file = Some(MboxFile::open(&path, mailbox).map_err(|error| denied(&path, error))?);
                Ok(())
            }
        }
    }

    fn message(&mut self, meta: &Meta, text: &[u8]) -> io::Result<()> {
        match self {
            Writer::Maildir(maildir) => {
                let has_all = maildir.message(meta, text).map_err(|error| io::Error::other(error.to_string()))?;
                tell_letters(meta.uid.unwrap_or(0), has_all);
                Ok(())
            }
            Writer::Mbox { file, .. } => file.as_mut().expect("a folder comes first").write(meta, text),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Writer::Maildir(maildir) => maildir.finish().map_err(|error| io::Error::other(error.to_string())),
            Writer::Mbox { root, file } => {
                file.map_or(Ok(()), MboxFile::close)?;
                for entry in fs::read_dir(&root)? {
                    let path = entry?.path();
                    let (is_mbox, state) = (path.extension().is_some_and(|end| end == "mbox"), state_of(&path));
                    if is_mbox && !state.exists() {
                        // Of a mailbox that is no more since the run before.
                        fs::remove_file(&path)?;
                    } else if is_mbox {
                        fs::remove_file(state)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn state_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".state");
    PathBuf::from(name)
}

impl MboxFile {
    /// Goes on where a run before was synced last, if UIDs are still the same.
    fn open(path: &Path, mailbox: &Mailbox) -> io::Result<MboxFile> {
        let said = fs::read_to_string(state_of(path)).unwrap_or_default();
        let numbers: Vec<u64> = said.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let (last, bytes) = match numbers[..] {
            [validity, last, bytes] if validity == u64::from(mailbox.validity) => (last as u32, bytes),
            _ => (0, 0),
        };
        let mut file = File::options().create(true).write(true).truncate(false).open(path)?;
        let has = file.metadata()?.len();
        let (last, bytes) = if has < bytes { (0, 0) } else { (last, bytes) };
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        let base = (last == 0).then_some(mailbox.uid_next.saturating_sub(1));
        let (path, file, validity) = (path.to_owned(), BufWriter::new(file), mailbox.validity);
        Ok(MboxFile { path, file, validity, base, last, bytes, synced: bytes })
    }

    fn write(&mut self, meta: &Meta, text: &[u8]) -> io::Result<()> {
        let base = self.base.take().map(|last| (self.validity, last));
        let mut out = Vec::with_capacity(text.len() + 1024);
        mbox::write(&mut out, meta, base, text)?;
        self.file.write_all(&out)?;
        self.bytes += out.len() as u64;
        self.last = meta.uid.unwrap_or(0);
        if self.bytes - self.synced >= MBOX_SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        self.synced = self.bytes;
        let (state, said) = (state_of(&self.path), format!("{} {} {}\n", self.validity, self.last, self.bytes));
        let new = state.with_extension("new");
        fs::write(&new, said)?;
        File::open(&new)?.sync_all()?;
        fs::rename(new, state)
    }

    fn close(mut self) -> io::Result<()> {
        self.sync()
    }
}
