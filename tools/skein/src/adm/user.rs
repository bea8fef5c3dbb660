//! `adm user`: who there is, and changes of the passwd-files that say so.

use super::output::{Output, Shape};
use super::{Server, client, code, fail};
use crate::{pw, words};
use clap::Subcommand;
use serde_json::{Map, Value};
use skein_admin::adm::{Code, Line, Request};
use skein_auth::{Edit, EditError, Fields, Hash, MAKE_SCHEMES, edit_file, has_user};
use skein_base::UserName;
use skein_config::{AuthSource, Config, Source};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum Command {
    /// Users that have mail here.
    List {
        /// A name, or a pattern with * and ?.
        #[arg(default_value = "*")]
        users: String,
    },
    /// What is known of users.
    Info {
        /// A name, or a pattern with * and ?.
        users: String,
    },
    /// Put a user into a passwd-file.
    Add {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        password: Password,
        /// Extra fields, as "nologin reason=Unpaid"; engine/docs/auth.md has them.
        #[arg(long, default_value = "")]
        fields: String,
    },
    /// Give a user of a passwd-file another password.
    Passwd {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        password: Password,
    },
    /// Take a user out of a passwd-file and end his sessions. His mail stays, unless --mail is given.
    Delete {
        #[command(flatten)]
        target: Target,
        /// Remove all his mail, for good. Also of a user who is in no passwd-file.
        #[arg(long)]
        mail: bool,
        /// Do not ask.
        #[arg(long, requires = "mail")]
        yes: bool,
    },
}

#[derive(clap::Args)]
pub struct Target {
    /// His name.
    user: String,
    /// The passwd-file; without it, the only one of auth.sources, or the first of them that has the user.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Password {
    /// The stored form, {SCHEME}text, instead of a password.
    #[arg(long, conflicts_with_all = ["scheme", "stdin"])]
    hash: Option<String>,
    /// How the password is stored; `skein pw --list` tells all.
    #[arg(long, short, default_value = MAKE_SCHEMES[0])]
    scheme: String,
    /// Take the password from standard input, without the line break at its end; without it the terminal is asked.
    #[arg(long)]
    stdin: bool,
}

type Failed = (Code, String);

impl Command {
    pub fn run(self, server: &Server, config: Option<&Config>) -> ExitCode {
        let done = match self {
            Command::List { users } => return server.ask(&Request::UserList { users }, Shape::Table),
            Command::Info { users } => return server.ask(&Request::UserInfo { users }, Shape::Table),
            Command::Add { target, password, fields } => add(&target, password, &fields, config, server),
            Command::Passwd { target, password } => passwd(&target, password, config, server),
            Command::Delete { target, mail: false, .. } => delete(&target, config, server),
            Command::Delete { target, mail: true, yes } => delete_with_mail(&target, yes, config, server),
        };
        match done {
            Ok(None) => ExitCode::SUCCESS,
            Ok(Some(worst)) => code(worst),
            Err((class, text)) => fail(class, &text),
        }
    }
}

fn add(
    target: &Target,
    password: Password,
    fields: &str,
    config: Option<&Config>,
    server: &Server,
) -> Result<Option<Code>, Failed> {
    let (user, file) = (target.name()?, target.file(config, None)?);
    Fields::parse(fields).map_err(|text| (Code::Usage, format!("--fields: {text}")))?;
    // Before somebody types a password.
    if has_user(&file, &user).map_err(|error| edit_failed(&file, error))? {
        return Err(edit_failed(&file, EditError::Exists));
    }
    let hash = password.hash()?;
    let rest = if fields.is_empty() { hash } else { format!("{hash}::::::{fields}") };
    edit_file(&file, &user, Edit::Add { rest: &rest }).map_err(|error| edit_failed(&file, error))?;
    Ok(tell(server, &user, ("added", &file), &changed(&user, false)))
}

fn passwd(
    target: &Target,
    password: Password,
    config: Option<&Config>,
    server: &Server,
) -> Result<Option<Code>, Failed> {
    let user = target.name()?;
    let file = target.file(config, Some(&user))?;
    let hash = password.hash()?;
    edit_file(&file, &user, Edit::Passwd { hash: &hash }).map_err(|error| edit_failed(&file, error))?;
    Ok(tell(server, &user, ("password changed", &file), &changed(&user, false)))
}

fn delete(target: &Target, config: Option<&Config>, server: &Server) -> Result<Option<Code>, Failed> {
    let user = target.name()?;
    let file = target.file(config, Some(&user))?;
    edit_file(&file, &user, Edit::Delete).map_err(|error| edit_failed(&file, error))?;
    Ok(tell(server, &user, ("deleted", &file), &changed(&user, true)))
}

fn delete_with_mail(
    target: &Target,
    yes: bool,
    config: Option<&Config>,
    server: &Server,
) -> Result<Option<Code>, Failed> {
    let user = target.name()?;
    let file = match target.file(config, Some(&user)) {
        Ok(file) => Some(file),
        Err((Code::NoUser, _)) => None,
        // The mail of one who is in no file can be removed too; that he is in none has to be known.
        Err(failed) => return Err(failed),
    };
    // Before anything is changed: without a server nobody can remove mail.
    client::lines(&server.socket, &Request::Who { users: user.to_string() }, &mut |_| Ok(()))
        .map_err(|error| (error.code(), error.to_string()))?;
    if !yes && !confirmed(&format!("Remove {user} and all his mail for good?"))? {
        return Err((Code::Usage, "nothing was done".into()));
    }
    let end = Request::UserEnd { user: user.to_string() };
    let Some(file) = file else { return Ok(server.worst(&end, Shape::Table)) };
    edit_file(&file, &user, Edit::Delete).map_err(|error| edit_failed(&file, error))?;
    Ok(tell(server, &user, ("deleted", &file), &[Request::UserChanged { user: user.to_string(), gone: true }, end]))
}

/// Asks whoever sits at the terminal.
fn confirmed(question: &str) -> Result<bool, Failed> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err((Code::Usage, format!("{question} Say --yes: there is no terminal to ask at")));
    }
    _ = write!(std::io::stderr(), "{question} Type yes: ");
    let mut answer = String::new();
    stdin.read_line(&mut answer).map_err(|error| (Code::Usage, format!("standard input: {error}")))?;
    Ok(answer.trim() == "yes")
}

/// What the server is told after a change.
fn changed(user: &UserName, gone: bool) -> [Request; 1] {
    [Request::UserChanged { user: user.to_string(), gone }]
}

/// Tells the server, so that the change counts at once, and prints what was done, with what the server answers. Without a
/// server it counts from the next start on.
fn tell(server: &Server, user: &UserName, (done, file): (&str, &Path), requests: &[Request]) -> Option<Code> {
    let mut row = Map::new();
    row.insert("user".into(), user.as_str().into());
    row.insert("done".into(), done.into());
    row.insert("file".into(), file.display().to_string().into());
    for field in ["known", "kicked"] {
        row.insert(field.into(), Value::Null);
    }
    let worst = requests.iter().fold(None, |worst, request| worst.or(answer(server, request, &mut row)));
    let mut output = Output::new(server.json, Shape::Table);
    match output.row(row).and_then(|()| output.flush()) {
        Ok(()) => worst,
        Err(error) => {
            words::complain(format_args!("skein adm: can not print: {error}"));
            worst.or(Some(Code::Data))
        }
    }
}

/// Puts the answer into the row; the worst problem.
fn answer(server: &Server, request: &Request, row: &mut Map<String, Value>) -> Option<Code> {
    let mut worst = None;
    let asked = client::lines(&server.socket, request, &mut |line| {
        match line {
            Line::Row(answer) => row.extend(answer),
            Line::Problem(problem) => {
                words::complain(format_args!("skein adm: {problem}"));
                worst = worst.or(Some(problem.code));
            }
            Line::End => {}
        }
        Ok(())
    });
    if let Err(error) = asked {
        words::complain(format_args!("skein adm: {error}"));
        match error.code() {
            // Nobody has to be told.
            Code::Unavailable => words::complain(format_args!("skein adm: it counts when a server reads the file")),
            denied => worst = worst.or(Some(denied)),
        }
    }
    worst
}

fn edit_failed(file: &Path, error: EditError) -> Failed {
    let class = match &error {
        EditError::NoUser => Code::NoUser,
        EditError::File { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => Code::Denied,
        EditError::Contended(_) => Code::TryAgain,
        EditError::Exists | EditError::NotALine | EditError::File { .. } => Code::Data,
    };
    match error {
        EditError::File { .. } | EditError::Contended(_) => (class, error.to_string()),
        other => (class, format!("{}: {other}", file.display())),
    }
}

impl Password {
    fn hash(self) -> Result<String, Failed> {
        let Some(hash) = self.hash else { return pw::new_hash(&self.scheme, self.stdin) };
        Hash::parse(&hash).map_err(|error| (Code::Data, format!("--hash: {error}")))?;
        Ok(hash)
    }
}

impl Target {
    fn name(&self) -> Result<UserName, Failed> {
        UserName::new(&self.user).map_err(|error| (Code::Usage, format!("user {:?}: {error}", self.user)))
    }

    /// The file meant; `user` has to be in it, when one is named.
    fn file(&self, config: Option<&Config>, user: Option<&UserName>) -> Result<PathBuf, Failed> {
        let known = config.map(passwd_files).unwrap_or_default();
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let mut files = known;
        if let Some(user) = user {
            for file in &files {
                if has_user(file, user).map_err(|error| edit_failed(file, error))? {
                    return Ok(file.clone());
                }
            }
        }
        match (files.len(), user) {
            (0, _) if config.is_none() => {
                Err((Code::Usage, "which passwd-file? Name it by --file, or give --config".into()))
            }
            (0, _) => Err((Code::Usage, "auth.sources names no passwd-file; name one by --file".into())),
            (_, Some(user)) => Err((Code::NoUser, format!("no passwd-file of auth.sources has {user}"))),
            (1, None) => Ok(files.remove(0)),
            (_, None) => {
                let all: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                Err((
                    Code::Usage,
                    format!("auth.sources names several passwd-files; say by --file which: {}", all.join(", ")),
                ))
            }
        }
    }
}

/// Files of users who may log in: no deny lists, no masters.
fn passwd_files(config: &Config) -> Vec<PathBuf> {
    let path = |source: &AuthSource| match &source.source {
        Source::PasswdFile { path } if !source.rules.deny => Some(path.clone()),
        _ => None,
    };
    config.auth.sources.iter().filter_map(path).collect()
}
