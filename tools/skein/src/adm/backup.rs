//! `adm backup`, `adm restore`: the server says which files, this program copies them.

use super::output::{Output, Shape};
use super::{Server, Users, client, code, fail};
use crate::words;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value};
use skein_admin::adm::{Code, Line, RESERVED, Request, utc};
use skein_backup::{BackupError, Folder, Source};
use skein_base::{AccountId, UserName};
use skein_store::dictionary::{Dictionary, dictionary_files, is_dictionary};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub struct Backup {
    #[command(flatten)]
    users: Users,
    /// Compare what is in DIR with its hashes instead. No server is needed.
    #[arg(long)]
    verify: bool,
    /// With --all: the backups of users who have no mail here any more go.
    #[arg(long, requires = "all", conflicts_with = "verify")]
    prune: bool,
    /// USER, or a pattern with * and ?, and the folder DIR; after --all, DIR alone.
    #[arg(value_names = ["USER", "DIR"], required = true, num_args = 1..=2)]
    words: Vec<String>,
}

#[derive(clap::Args)]
pub struct Restore {
    #[command(flatten)]
    users: Users,
    /// The mail that is there goes.
    #[arg(long)]
    replace: bool,
    /// USER and the folder DIR; after --all, DIR alone.
    #[arg(value_names = ["USER", "DIR"], required = true, num_args = 1..=2)]
    words: Vec<String>,
}

/// Where in a folder of backups the dictionaries are.
const DICTIONARIES: &str = "dictionaries";

/// A failure of one user's, or of all.
type Failed = (Code, String);

/// What a run came to.
struct Run<'a> {
    server: &'a Server,
    output: Output,
    bar: ProgressBar,
    users: u64,
    bytes: u64,
    copied: u64,
    failed: u64,
    worst: Option<Code>,
}

impl Backup {
    pub fn run(self, server: &Server) -> ExitCode {
        let done = self.split().and_then(|(users, dir)| match self.verify {
            true => verify(server, &users, &dir),
            false => backup(server, &users, &dir, self.prune),
        });
        done.unwrap_or_else(|(class, text)| fail(class, &text))
    }

    fn split(&self) -> Result<(String, PathBuf), Failed> {
        words(&self.users, self.words.clone())
    }
}

impl Restore {
    pub fn run(self, server: &Server) -> ExitCode {
        let done = words(&self.users, self.words);
        let done = done.and_then(|(users, dir)| restore(server, &users, &dir, self.replace));
        done.unwrap_or_else(|(class, text)| fail(class, &text))
    }
}

fn words(users: &Users, words: Vec<String>) -> Result<(String, PathBuf), Failed> {
    let (users, rest) = users.split(words).map_err(|text| (Code::Usage, text))?;
    match &rest[..] {
        [dir] => Ok((users, dir.into())),
        [] => Err((Code::Usage, "the folder DIR is missing".to_owned())),
        _ => Err((Code::Usage, "after --all comes the folder DIR alone".to_owned())),
    }
}

fn backup(server: &Server, users: &str, dir: &Path, prune: bool) -> Result<ExitCode, Failed> {
    let folder = Folder::create(dir).map_err(told)?;
    let (mut names, nameless) = match users.contains(['*', '?']) {
        true => listed(server, users)?,
        false => (vec![users.to_owned()], Vec::new()),
    };
    if users == "*" {
        // Without them nobody would be shown any more what is shared with all.
        names.extend(listed(server, RESERVED)?.0);
    }
    save_dictionaries(server, dir)?;
    let mut run = Run::new(server, "backing up", names.len());
    // What there is of these in the folder stays.
    for failed in nameless {
        run.failed(failed);
    }
    let mut kept = HashSet::new();
    for user in &names {
        let done = take(&mut run, &folder, user);
        run.user(
            user,
            done.map(|(id, row)| {
                kept.insert(id);
                row
            }),
        )?;
    }
    // One that was made meanwhile may be needed already.
    save_dictionaries(server, dir)?;
    if prune && run.failed == 0 {
        for id in folder.accounts().map_err(told)?.into_iter().filter(|id| !kept.contains(id)) {
            folder.remove(id).map_err(told)?;
            run.row([("account", id.hex().into()), ("done", "pruned".into())])?;
        }
    }
    run.end()
}

/// What packs may be written with, into the folder of backups.
fn save_dictionaries(server: &Server, dir: &Path) -> Result<(), Failed> {
    let odd = || (Code::Software, "the server's answer makes no sense".to_owned());
    for row in ask(server, &Request::DictionaryRead)? {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let file = text("file").and_then(|file| STANDARD.decode(file).ok()).ok_or_else(odd)?;
        let id = Dictionary::decode(&file).map_err(|_| odd())?.id();
        save_dictionary(dir, id, &file).map_err(|error| (Code::Data, format!("{}: {error}", dir.display())))?;
    }
    Ok(())
}

fn save_dictionary(dir: &Path, id: u32, file: &[u8]) -> io::Result<()> {
    let folder = dir.join(DICTIONARIES);
    fs::create_dir_all(&folder)?;
    let [name, copy] = dictionary_files(id).map(|name| folder.join(name));
    for path in [name, copy] {
        if fs::read(&path).is_ok_and(|there| there == file) {
            continue;
        }
        let new = path.with_extension("new");
        fs::write(&new, file)?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &path)?;
    }
    fs::File::open(folder)?.sync_all()
}

/// The dictionaries of a folder of backups: the files' bytes, each from whichever of its two files is whole.
fn saved_dictionaries(dir: &Path) -> Result<Vec<Vec<u8>>, Failed> {
    let folder = dir.join(DICTIONARIES);
    let listing = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(|error| (Code::Data, format!("{}: {error}", folder.display())))?,
    };
    let names = listing.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ids: BTreeSet<u32> = names.filter_map(|name| is_dictionary(&name)).collect();
    let whole = |id: u32| {
        let read = |name: String| fs::read(folder.join(name)).ok();
        let is_it = |file: &Vec<u8>| Dictionary::decode(file).is_ok_and(|dictionary| dictionary.id() == id);
        let lost = || (Code::Data, format!("dictionary {id:08x} is damaged in {}, and its copy too", folder.display()));
        dictionary_files(id).into_iter().filter_map(read).find(is_it).ok_or_else(lost)
    };
    ids.into_iter().map(whole).collect()
}

/// One user's account, as it stands now.
fn take(run: &mut Run<'_>, folder: &Folder, user: &str) -> Result<(AccountId, Map<String, Value>), Failed> {
    let rows = ask(run.server, &Request::Pin { user: user.to_owned() })?;
    let odd = || (Code::Software, "the server's answer makes no sense".to_owned());
    let (first, files) = rows.split_first().ok_or_else(odd)?;
    let text = |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let (pin, from) = text(first, "pin").zip(text(first, "folder")).ok_or_else(odd)?;
    let (id, user) =
        text(first, "account").and_then(|hex| AccountId::from_hex(&hex)).zip(text(first, "user")).ok_or_else(odd)?;
    let source = |row: &Map<String, Value>| {
        let (name, bytes) = text(row, "file").zip(row.get("bytes").and_then(Value::as_u64))?;
        Some(Source { path: Path::new(&from).join(&name), name, bytes })
    };
    let sources: Option<Vec<Source>> = files.iter().map(source).collect();
    let sources = sources.ok_or_else(odd)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    run.bar.set_message(user.clone());
    let bar = run.bar.clone();
    let taken = folder.take(id, (&user, now), &sources, &mut |bytes| bar.inc(bytes));
    // Whatever became of it, the second names go.
    let unpinned = ask(run.server, &Request::Unpin { user: user.clone(), pin });
    let taken = taken.map_err(told)?;
    unpinned?;
    run.bytes += taken.bytes;
    run.copied += taken.copied;
    let row = [
        ("user", Value::from(user)),
        ("account", id.hex().into()),
        ("files", taken.files.into()),
        ("bytes", taken.bytes.into()),
        ("copied", taken.copied.into()),
    ];
    Ok((id, row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// The accounts in a folder that are meant, with their users.
fn in_folder(folder: &Folder, users: &str) -> Result<Vec<(AccountId, String)>, Failed> {
    if users != "*" {
        let user = UserName::new(users).map_err(|error| (Code::Usage, format!("user {users:?}: {error}")))?;
        let id = AccountId::of(&user);
        folder.manifest(id).map_err(told)?;
        return Ok(vec![(id, user.to_string())]);
    }
    let name = |id: AccountId| match folder.manifest(id) {
        Ok(manifest) => (id, manifest.user),
        // Looked at again by whoever goes on with it, who tells what is wrong.
        Err(_) => (id, id.hex()),
    };
    Ok(folder.accounts().map_err(told)?.into_iter().map(name).collect())
}

fn verify(server: &Server, users: &str, dir: &Path) -> Result<ExitCode, Failed> {
    let folder = Folder::open(dir).map_err(told)?;
    saved_dictionaries(dir)?;
    let accounts = in_folder(&folder, users)?;
    let mut run = Run::new(server, "verifying", accounts.len());
    for (id, user) in accounts {
        run.bar.set_message(user.clone());
        let bar = run.bar.clone();
        let verified = folder.verify(id, &mut |bytes| bar.inc(bytes)).map_err(told);
        let row = verified.map(|verified| {
            run.bytes += verified.bytes;
            let row =
                [("user", user.clone().into()), ("files", verified.files.into()), ("bytes", verified.bytes.into())];
            row.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
        });
        run.user(&user, row)?;
    }
    run.end()
}

fn restore(server: &Server, users: &str, dir: &Path, replace: bool) -> Result<ExitCode, Failed> {
    let folder = Folder::open(dir).map_err(told)?;
    let accounts = in_folder(&folder, users)?;
    // Before any mail that needs one.
    for file in saved_dictionaries(dir)? {
        ask(server, &Request::DictionaryKeep { file: STANDARD.encode(file) })?;
    }
    let mut run = Run::new(server, "restoring", accounts.len());
    for (id, user) in accounts {
        let done = put_back(&mut run, &folder, (id, &user), replace);
        run.user(&user, done)?;
    }
    run.end()
}

fn put_back(
    run: &mut Run<'_>,
    folder: &Folder,
    (id, user): (AccountId, &str),
    replace: bool,
) -> Result<Map<String, Value>, Failed> {
    let manifest = folder.manifest(id).map_err(told)?;
    let row = ask(run.server, &Request::RestoreFolder { user: user.to_owned() })?.pop().unwrap_or_default();
    let staging = row.get("folder").and_then(Value::as_str).map(PathBuf::from);
    let staging = staging.ok_or_else(|| (Code::Software, "the server's answer makes no sense".to_owned()))?;
    run.bar.set_message(user.to_owned());
    let bar = run.bar.clone();
    let copied = folder.copy_out(id, &staging, &mut |bytes| bar.inc(bytes)).map_err(told);
    let restored = copied.and_then(|copied| {
        give_to_server(&staging).map_err(|error| (Code::Denied, format!("{}: {error}", staging.display())))?;
        let mut rows = ask(run.server, &Request::Restore { user: user.to_owned(), replace })?;
        run.bytes += copied.bytes;
        Ok(rows.pop().unwrap_or_default())
    });
    if restored.is_err() {
        // What was copied is in DIR still.
        let _ = fs::remove_dir_all(&staging);
    }
    let mut row = restored?;
    row.insert("taken".into(), utc(manifest.taken).into());
    row.insert("bytes".into(), manifest.bytes().into());
    Ok(row)
}

/// The server's user owns his data folder; root, who may run this, has to leave him these files.
fn give_to_server(staging: &Path) -> io::Result<()> {
    let above = staging.parent().unwrap_or(staging);
    let owner = fs::metadata(above.parent().unwrap_or(above))?;
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()));
    if fs::metadata(staging)?.uid() == owner.uid() {
        return Ok(());
    }
    own(above)?;
    own(staging)?;
    fs::read_dir(staging)?.try_for_each(|entry| own(&entry?.path()))
}

/// Users with mail here.
/// Users, and what is told of accounts whose users are not known.
fn listed(server: &Server, users: &str) -> Result<(Vec<String>, Vec<Failed>), Failed> {
    let (mut names, mut nameless) = (Vec::new(), Vec::new());
    let asked = client::lines(&server.socket, &Request::UserList { users: users.to_owned() }, &mut |line| {
        match line {
            Line::Row(row) => names.extend(row.get("user").and_then(Value::as_str).map(str::to_owned)),
            Line::Problem(told) => nameless.push((told.code, told.text)),
            Line::End => {}
        }
        Ok(())
    });
    asked.map_err(|error| (error.code(), error.to_string()))?;
    Ok((names, nameless))
}

/// All rows of an answer; its first problem is a failure.
pub(super) fn ask(server: &Server, request: &Request) -> Result<Vec<Map<String, Value>>, Failed> {
    let (mut rows, mut problem) = (Vec::new(), None);
    let asked = client::lines(&server.socket, request, &mut |line| {
        match line {
            Line::Row(row) => rows.push(row),
            Line::Problem(told) => problem = problem.take().or(Some((told.code, told.text))),
            Line::End => {}
        }
        Ok(())
    });
    asked.map_err(|error| (error.code(), error.to_string()))?;
    problem.map_or(Ok(rows), Err)
}

fn told(error: BackupError) -> Failed {
    let class = match &error {
        BackupError::Locked { .. } => Code::TryAgain,
        BackupError::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => Code::Denied,
        _ => Code::Data,
    };
    (class, error.to_string())
}

impl<'a> Run<'a> {
    fn new(server: &'a Server, what: &'static str, users: usize) -> Run<'a> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if !io::stderr().is_terminal() || server.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{prefix} {bytes} ({bytes_per_sec}) {msg}");
        bar.set_style(style.expect("the template is a constant"));
        bar.set_prefix(format!("{what} {users} users:"));
        let output = Output::new(server.json, Shape::Table);
        Run { server, output, bar, users: 0, bytes: 0, copied: 0, failed: 0, worst: None }
    }

    fn row<const N: usize>(&mut self, row: [(&str, Value); N]) -> Result<(), Failed> {
        self.print(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn print(&mut self, row: Map<String, Value>) -> Result<(), Failed> {
        let printed = self.bar.suspend(|| self.output.row(row));
        printed.map_err(|error| (Code::Data, format!("can not print: {error}")))
    }

    /// One user is done. What fails for one of many does not end the others.
    fn user(&mut self, user: &str, done: Result<Map<String, Value>, Failed>) -> Result<(), Failed> {
        match done {
            Ok(row) => {
                self.users += 1;
                self.print(row)
            }
            Err((class, text)) => {
                self.failed((class, format!("{user}: {text}")));
                Ok(())
            }
        }
    }

    fn failed(&mut self, (class, text): Failed) {
        self.failed += 1;
        self.worst = self.worst.or(Some(class));
        self.bar.suspend(|| words::complain(format_args!("skein adm: {text}")));
    }

    fn end(mut self) -> Result<ExitCode, Failed> {
        self.bar.finish_and_clear();
        let flushed = self.output.flush();
        flushed.map_err(|error| (Code::Data, format!("can not print: {error}")))?;
        let mut total = Output::new(self.server.json, Shape::Records);
        let mut row = Map::new();
        for (name, number) in
            [("users", self.users), ("bytes", self.bytes), ("copied", self.copied), ("failed", self.failed)]
        {
            row.insert(name.into(), number.into());
        }
        total.row(row).and_then(|()| total.flush()).map_err(|error| (Code::Data, format!("can not print: {error}")))?;
        Ok(self.worst.map_or(ExitCode::SUCCESS, code))
    }
}
