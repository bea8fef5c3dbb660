//! `adm export`: the server reads the messages, this program writes the files.

use super::backup::ask;
use super::import::{bar, print_failed};
use super::output::{Output, Shape};
use super::{Server, client, fail};
use base64::Engine;
use clap::ValueEnum;
use serde_json::{Map, Value};
use skein_admin::adm::{Code, Line, Request};
use skein_base::Flags;
use skein_migrate::maildir::MaildirWriter;
use skein_migrate::{Meta, MigrateError, Tally, mbox};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Export {
    /// Whose mail.
    user: String,
    /// A folder that is not there yet. It is written as PATH.part and gets its name when all of it is there.
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
    Mbox { root: PathBuf, file: Option<BufWriter<File>>, base: Option<(u32, u32)> },
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
        if part.exists() {
            fs::remove_dir_all(&part).map_err(|error| denied(&part, error))?;
        }
        let mut writer = Writer::create(self.format, &part)?;
        let bar = bar(mailboxes.iter().map(|mailbox| mailbox.messages).sum(), server.json);
        let (mut output, mut all) = (Output::new(server.json, Shape::Table), Tally::default());
        for mailbox in &mailboxes {
            bar.set_message(mailbox.name.clone());
            writer.folder(mailbox, subscribed.contains(&mailbox.name))?;
            let (mut tally, mut problem) = (Tally::default(), None);
            let query = vec!["mailbox".to_owned(), mailbox.name.clone(), "all".to_owned()];
            let fields = vec!["uid flags date.received.unixtimestamp pop3.uidl text".to_owned()];
            let fetch = Request::Fetch { users: self.user.clone(), fields, query };
            let asked = client::lines(&server.socket, &fetch, &mut |line| {
                match line {
                    Line::Row(row) => {
                        let (meta, text) = message(row)?;
                        tally.add(&text);
                        all.add(&text);
                        bar.inc(1);
                        writer.message(&meta, &text)?;
                    }
                    Line::Problem(told) => problem = problem.take().or(Some((told.code, told.text))),
                    Line::End => {}
                }
                Ok(())
            });
            asked.map_err(|error| (error.code(), error.to_string()))?;
            problem.map_or(Ok(()), Err)?;
            let row = [
                ("mailbox", Value::from(mailbox.name.as_str())),
                ("messages", tally.messages.into()),
                ("bytes", tally.bytes.into()),
            ];
            let row = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            bar.suspend(|| output.row(row)).map_err(print_failed)?;
        }
        writer.finish().map_err(|error| denied(&part, error))?;
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
    if meta.uid.is_none() { Err(odd()) } else { Ok((meta, text)) }
}

fn denied(path: &Path, error: io::Error) -> Failed {
    let class = if error.kind() == io::ErrorKind::PermissionDenied { Code::Denied } else { Code::Data };
    (class, format!("{}: {error}", path.display()))
}

fn told(error: MigrateError) -> Failed {
    (Code::Data, error.to_string())
}

impl Writer {
    fn create(format: Format, root: &Path) -> Result<Writer, Failed> {
        match format {
            Format::Maildir => Ok(Writer::Maildir(Box::new(MaildirWriter::create(root).map_err(told)?))),
            Format::Mbox => {
                fs::create_dir_all(root).map_err(|error| denied(root, error))?;
                Ok(Writer::Mbox { root: root.to_owned(), file: None, base: None })
            }
        }
    }

    fn folder(&mut self, mailbox: &Mailbox, subscribed: bool) -> Result<(), Failed> {
        match self {
            Writer::Maildir(maildir) => {
                maildir.folder(&mailbox.name, mailbox.validity, mailbox.uid_next, subscribed).map_err(told)
            }
            Writer::Mbox { root, file, base } => {
                close(file).map_err(|error| denied(root, error))?;
                let path = root.join(format!("{}.mbox", mailbox.name.replace('%', "%25").replace('/', "%2F")));
                *file = Some(BufWriter::new(File::create(&path).map_err(|error| denied(&path, error))?));
                *base = Some((mailbox.validity, mailbox.uid_next.saturating_sub(1)));
                Ok(())
            }
        }
    }

    fn message(&mut self, meta: &Meta, text: &[u8]) -> io::Result<()> {
        match self {
            Writer::Maildir(maildir) => {
                let has_all = maildir.message(meta, text).map_err(|error| io::Error::other(error.to_string()))?;
                if !has_all {
                    eprintln!("skein adm: UID {}: a Maildir has no letter left for a keyword", meta.uid.unwrap_or(0));
                }
                Ok(())
            }
            Writer::Mbox { file, base, .. } => {
                mbox::write(file.as_mut().expect("a folder comes first"), meta, base.take(), text)
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Writer::Maildir(maildir) => maildir.finish().map_err(|error| io::Error::other(error.to_string())),
            Writer::Mbox { mut file, .. } => close(&mut file),
        }
    }
}

fn close(file: &mut Option<BufWriter<File>>) -> io::Result<()> {
    let Some(mut file) = file.take() else { return Ok(()) };
    file.flush()?;
    file.get_ref().sync_all()
}
