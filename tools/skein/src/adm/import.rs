//! `adm import`: this program reads the files, the server appends the messages.

use super::output::{Output, Shape};
use super::{Server, client, code, fail};
use crate::words;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value};
use skein_admin::adm::{Code, IMPORT_MESSAGES_MAX, ImportEntry, ImportList, Line};
use skein_base::is_unique_id;
use skein_migrate::maildir::{self, Layout};
use skein_migrate::{Folder, Message, MigrateError, Tally, eml_folders, eml_messages, mbox};
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of messages that make a request; a larger message goes alone.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Import {
    /// Whose it becomes; he has to be known to the sources of users.
    user: String,
    /// A Maildir, an mbox, an .eml file, or a folder of mboxes or of .eml files.
    path: PathBuf,
    /// What it is, where a look does not tell.
    #[arg(long)]
    format: Option<Format>,
    /// The mailbox that a single mbox or .eml files go to. A folder of mboxes has a mailbox for each file.
    #[arg(long, value_name = "MAILBOX")]
    mailbox: Option<String>,
    /// What POP3 clients know the messages of a Maildir by, where its lists do not say: what pop3_uidl_format made of %f or %g. Ids
    /// made of %u and %v come again by themselves when pop3.uidl_format is the source's.
    #[arg(long, value_name = "FROM")]
    uidl: Option<Uidl>,
    /// Only say what would be taken.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Folders as `.Sub.Folder`, as Dovecot and Courier have them.
    Maildir,
    /// Folders as `Sub/Folder` (Dovecot's LAYOUT=fs).
    MaildirFs,
    /// One file, or a folder of them. `>From ` as most programs write it.
    Mbox,
    /// The same, each `>` before `From ` taken away once (mboxrd).
    Mboxrd,
    /// Files of one message each, in folders.
    Eml,
}

/// What a source's unique ids are made of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Uidl {
    /// The name of the file without its flags (%f).
    Filename,
    /// Dovecot's GUID, which is that name where its list has none (%g).
    Guid,
}

type Failed = (Code, String);

/// What became of the messages of a folder.
#[derive(Default)]
struct Counts {
    kept: u64,
    given: u64,
    already: u64,
    refused: u64,
    unread: u64,
    /// Messages whose unique id is none that POP3 can give.
    no_uidl: u64,
}

/// Mailboxes of the source with their messages, one after the other.
type Folders = Vec<(Folder, Vec<Message>)>;

impl Import {
    pub fn run(self, server: &Server) -> ExitCode {
        self.import(server).unwrap_or_else(|(class, text)| fail(class, &text))
    }

    fn import(&self, server: &Server) -> Result<ExitCode, Failed> {
        let folders = self.folders().map_err(|error| (Code::Data, error.to_string()))?;
        if folders.is_empty() {
            return Err((Code::Data, format!("there is no mail in {}", self.path.display())));
        }
        let bar = bar(folders.iter().map(|(_, messages)| messages.len() as u64).sum(), server.json);
        let (mut output, mut all, mut problems) = (Output::new(server.json, Shape::Table), Tally::default(), 0);
        for (folder, messages) in &folders {
            bar.set_message(folder.name.clone());
            let (mut tally, mut counts) = (Tally::default(), Counts::default());
            if !self.dry_run {
                self.take(server, (folder, messages), (&mut tally, &mut all), &mut counts, &bar)?;
            }
            problems += counts.refused + counts.unread;
            if counts.no_uidl > 0 {
                let text = "have a UIDL that POP3 does not allow (1 to 70 printable characters) and get a new one";
                bar.suspend(|| {
                    words::complain(format_args!("skein adm: {}: {} messages {text}", folder.name, counts.no_uidl))
                });
            }
            let row = [
                ("mailbox", Value::from(folder.name.as_str())),
                ("messages", messages.len().into()),
                ("uids_kept", counts.kept.into()),
                ("uids_new", counts.given.into()),
                ("already", counts.already.into()),
                ("refused", counts.refused.into()),
                ("unreadable", counts.unread.into()),
                ("bytes", tally.bytes.into()),
            ];
            let row = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            bar.suspend(|| output.row(row)).map_err(print_failed)?;
        }
        bar.finish_and_clear();
        output.flush().map_err(print_failed)?;
        let mut row = Map::new();
        row.insert("user".into(), self.user.as_str().into());
        if self.dry_run {
            row.insert("messages".into(), folders.iter().map(|(_, messages)| messages.len()).sum::<usize>().into());
        } else {
            row.insert("messages".into(), all.messages.into());
            row.insert("bytes".into(), all.bytes.into());
            row.insert("hash".into(), all.to_string().rsplit(' ').next().unwrap_or_default().into());
        }
        let mut total = Output::new(server.json, Shape::Records);
        total.row(row).and_then(|()| total.flush()).map_err(print_failed)?;
        Ok(if problems == 0 { ExitCode::SUCCESS } else { code(Code::Data) })
    }

    fn take(
        &self,
        server: &Server,
        (folder, messages): (&Folder, &[Message]),
        (tally, all): (&mut Tally, &mut Tally),
        counts: &mut Counts,
        bar: &ProgressBar,
    ) -> Result<(), Failed> {
        let (mut entries, mut bodies, mut bytes) = (Vec::new(), Vec::new(), 0);
        for message in messages {
            bar.inc(1);
            let body = match message.read() {
                Ok(body) => body,
                Err(error) => {
                    counts.unread += 1;
                    bar.suspend(|| words::complain(format_args!("skein adm: {}: {error}", folder.name)));
                    continue;
                }
            };
            if !bodies.is_empty() && (bytes + body.len() > BATCH_BYTES || bodies.len() == IMPORT_MESSAGES_MAX) {
                self.send(server, (folder, None), (&mut entries, &mut bodies), counts, bar)?;
                bytes = 0;
            }
            tally.add(&body);
            all.add(&body);
            bytes += body.len();
            entries.push(self.entry(folder, message, &body, counts));
            bodies.push(body);
        }
        // Also without a message: an empty mailbox is one. UIDs go on from UIDNEXT when all that are below are taken, not before.
        self.send(server, (folder, folder.uid_next), (&mut entries, &mut bodies), counts, bar)
    }

    fn send(
        &self,
        server: &Server,
        (folder, uid_next): (&Folder, Option<u32>),
        (entries, bodies): (&mut Vec<ImportEntry>, &mut Vec<Vec<u8>>),
        counts: &mut Counts,
        bar: &ProgressBar,
    ) -> Result<(), Failed> {
        let list = ImportList {
            user: self.user.clone(),
            mailbox: folder.name.clone(),
            validity: folder.validity,
            uid_next,
            subscribed: folder.subscribed,
            messages: std::mem::take(entries),
        };
        let mut problem = None;
        let asked = client::import(&server.socket, &list, bodies, &mut |line| {
            match line {
                Line::Row(row) => counts.add(&row, &folder.name, bar),
                Line::Problem(told) => problem = problem.take().or(Some((told.code, told.text))),
                Line::End => {}
            }
            Ok(())
        });
        bodies.clear();
        asked.map_err(|error| (error.code(), error.to_string()))?;
        problem.map_or(Ok(()), Err)
    }

    fn entry(&self, folder: &Folder, message: &Message, body: &[u8], counts: &mut Counts) -> ImportEntry {
        let mut hash = blake3::Hasher::new();
        for part in [b"skein import", folder.name.as_bytes(), message.key.name.as_bytes(), body] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&message.key.uid.to_le_bytes());
        let meta = &message.meta;
        let made = || match self.uidl? {
            Uidl::Filename => Some(&message.key.name),
            Uidl::Guid => meta.guid.as_ref().or(Some(&message.key.name)),
        };
        let uidl = meta.uidl.as_ref().or_else(made);
        counts.no_uidl += u64::from(uidl.is_some_and(|id| !is_unique_id(id)));
        ImportEntry {
            uid: meta.uid,
            flags: meta.flags.0,
            keywords: meta.keywords.iter().map(|keyword| keyword.as_str().into()).collect(),
            date: meta.internal_date,
            uidl: uidl.filter(|id| is_unique_id(id)).map(|id| id.as_str().into()),
            guid: hash.finalize().to_hex()[..32].to_owned(),
            bytes: body.len(),
        }
    }

    /// What there is, in the order in which it is taken.
    fn folders(&self) -> Result<Folders, MigrateError> {
        let name = self.mailbox.as_deref().unwrap_or("INBOX");
        match self.format.unwrap_or_else(|| guess(&self.path)) {
            Format::Maildir => maildirs(&self.path, Layout::PlusPlus),
            Format::MaildirFs => maildirs(&self.path, Layout::Fs),
            Format::Mbox => mboxes(&self.path, name, mbox::Quoting::O),
            Format::Mboxrd => mboxes(&self.path, name, mbox::Quoting::Rd),
            Format::Eml => {
                let folders = eml_folders(&self.path, name)?;
                folders.into_iter().map(|folder| eml_messages(&folder).map(|messages| (folder, messages))).collect()
            }
        }
    }
}

fn maildirs(root: &Path, layout: Layout) -> Result<Folders, MigrateError> {
    let folders = maildir::folders(root, layout)?;
    folders.into_iter().map(|folder| maildir::messages(&folder).map(|messages| (folder, messages))).collect()
}

fn mboxes(path: &Path, name: &str, quoting: mbox::Quoting) -> Result<Folders, MigrateError> {
    if !path.is_dir() {
        return Ok(vec![mbox::folder(path, name, quoting)?]);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| begins_as_mbox(path))
        .collect();
    files.sort();
    let name = |path: &Path| {
        let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = stem.strip_suffix(".mbox").map(str::to_owned).unwrap_or(stem);
        // As an export names the levels of a mailbox.
        let stem = stem.replace("%2F", "/").replace("%25", "%");
        if stem.eq_ignore_ascii_case("inbox") { "INBOX".to_owned() } else { stem }
    };
    files.iter().map(|path| mbox::folder(path, &name(path), quoting)).collect()
}

fn begins_as_mbox(path: &Path) -> bool {
    let mut first = [0; 5];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && first == *b"From "
}

fn guess(path: &Path) -> Format {
    if path.join("cur").is_dir() || path.join("new").is_dir() {
        return Format::Maildir;
    }
    let has_mbox = || fs::read_dir(path).into_iter().flatten().flatten().any(|entry| begins_as_mbox(&entry.path()));
    if begins_as_mbox(path) || path.is_dir() && has_mbox() { Format::Mbox } else { Format::Eml }
}

pub(super) fn bar(messages: u64, json: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(messages), ProgressDrawTarget::stderr());
    if json || !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} messages, {eta} left, {msg}");
    bar.set_style(style.expect("the template is a constant"));
    bar
}

pub(super) fn print_failed(error: io::Error) -> Failed {
    (Code::Data, format!("can not print: {error}"))
}

impl Counts {
    fn add(&mut self, row: &Map<String, Value>, mailbox: &str, bar: &ProgressBar) {
        match row.get("took").and_then(Value::as_str) {
            Some("kept") => self.kept += 1,
            Some("given") => self.given += 1,
            Some("already") => self.already += 1,
            _ => {
                self.refused += 1;
                let why = row.get("refused").and_then(Value::as_str).unwrap_or("the server did not say why");
                bar.suspend(|| words::complain(format_args!("skein adm: {mailbox}: a message is refused: {why}")));
            }
        }
    }
}
