//! `skein adm`: a request to the running server, and its rows for a human or a program.
//!
//! ```text
//! words ─▶ Request ──client──▶ Unix socket of the server
//!            rows ◀── output: a table or `name: value` on a terminal, JSON lines with --json
//! ```

mod auth;
mod backup;
mod client;
mod dump;
mod export;
mod import;
mod mailbox;
mod message;
mod output;
mod top;
mod user;

use crate::words;
use clap::Subcommand;
use output::{Output, Shape};
use skein_admin::adm::{Code, Request};
use skein_config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes: 0 done, 2 unknown options, 64 the command makes no sense, 65 something stored or given is not right, 67 no such user,
/// 68 no such mailbox, 69 no server, 70 the server failed, 75 try again, 77 not allowed, 141 nobody reads the output any more.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 2 unknown options, 64 usage, 65 data, 67 no such user, 68 no such mailbox, 69 no server, \
                        70 the server failed, 75 try again, 77 not allowed, 141 nobody reads the output any more."
)]
pub struct Args {
    /// The server's settings file; without it, the demo's data folder ./skein-data.
    #[arg(long, short, global = true)]
    config: Option<PathBuf>,
    /// The server's socket, instead of asking the settings.
    #[arg(long, global = true, conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Ask(Ask),
    /// Accounts, and the passwd-files of who may log in.
    #[command(subcommand)]
    User(user::Command),
    /// What happens now: shards, sessions, commands, the busiest users.
    Top(top::Top),
    /// A file of the store in words, and where it is damaged. No server is needed.
    Dump(dump::Dump),
    /// Logins.
    #[command(subcommand)]
    Auth(auth::Command),
    /// Make the stored form of a password, or check one against it. No server is needed.
    Pw(crate::pw::Args),
    /// Copy accounts into a folder of backups while they are used: what is new since the last time. --verify looks whether they are
    /// whole.
    Backup(backup::Backup),
    /// Put accounts back from a folder of backups.
    Restore(backup::Restore),
    /// Take over mail of another server: a Maildir with its folders, an mbox or a folder of them, .eml files. May be run again: what
    /// was taken is not taken twice.
    Import(import::Import),
    /// Write a user's mail as a Maildir with all that Dovecot knows of it, or as mboxes.
    Export(export::Export),
}

/// Commands that are one request.
#[derive(Subcommand)]
enum Ask {
    /// Numbers of the running server, by shard.
    Stats,
    /// End the server as SIGTERM does: commands that run finish first.
    Stop,
    /// Read settings, users and certificates again: all of them, or none.
    Reload,
    /// What the running server has logged.
    #[command(subcommand)]
    Log(LogCommand),
    /// Sessions: whose, from where, and what they do.
    Who {
        /// A user's name, or a pattern with * and ?.
        #[arg(default_value = "*")]
        users: String,
    },
    /// End sessions with a goodbye, once their running command is done.
    Kick {
        /// A session's id as `who` and the log have it, or a user for all of his.
        whom: String,
    },
    /// Hold all that is kept of accounts against its checksums and against each other. Changes nothing.
    Check {
        #[command(flatten)]
        users: Users,
        /// A user's name, or a pattern with * and ?.
        user: Option<String>,
    },
    /// Make the indexes of accounts again from what is there. What is sound is kept.
    Rebuild {
        #[command(flatten)]
        users: Users,
        /// A user's name, or a pattern with * and ?.
        user: Option<String>,
        /// A mailbox whose snapshot is not to be asked: its messages are listed from their bodies, with the flags they were packed
        /// with, and what was expunged since may come back.
        #[arg(long, value_name = "MAILBOX")]
        from_bodies: Vec<String>,
    },
    /// Dictionaries, with which small messages compress as well as large ones.
    #[command(subcommand)]
    Dictionary(DictionaryCommand),
    /// Mailboxes of users.
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Mailbox and UID of messages that a query finds.
    Search(message::Search),
    /// Fields of messages that a query finds.
    Fetch(message::Fetch),
    /// Remove messages that a query finds. It has to name a mailbox.
    Expunge(message::Search),
    /// Remove messages that a mailbox has twice, as by COPY, among those that a query finds. It has to name a mailbox.
    Deduplicate(message::Search),
    /// Change flags and keywords of messages that a query finds.
    #[command(subcommand)]
    Flags(message::Flags),
    /// Copy messages that a query finds to another mailbox of the user.
    Copy(message::Copy),
    /// Move messages that a query finds to another mailbox of the user.
    Move(message::Copy),
}

#[derive(Subcommand)]
enum DictionaryCommand {
    /// Make one of what the mail here has in common, and try it on mail that it was not made of. It is kept, for mail that is packed
    /// from then on, if that takes 5 per cent less. Needs mail of 64 users; a word that the mail of fewer than 16 has is not in it.
    Train {
        /// Only say what it would save.
        #[arg(long)]
        dry_run: bool,
    },
    /// Those there are. None ever goes: mail is read with the one that it was written with.
    List,
}

#[derive(Subcommand)]
enum LogCommand {
    /// The last warnings and errors, oldest first; the server keeps a thousand.
    Errors {
        /// Not older than this: a day (2026-03-31; UTC), Unix seconds, or an age (30min, 3d).
        #[arg(long)]
        since: Option<String>,
        /// From which level on.
        #[arg(long, value_enum, default_value_t = Level::Warn)]
        level: Level,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 1000)]
        last: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    Warn,
    Error,
}

/// Whose mail.
#[derive(clap::Args)]
struct Users {
    /// All users that have mail here, in place of USER.
    #[arg(long, short)]
    all: bool,
}

/// The server that is meant, and how its answers are printed.
struct Server {
    socket: PathBuf,
    json: bool,
}

/// Runs the command and gives the exit code.
pub fn run(args: Args) -> ExitCode {
    let Args { config, socket, json, command } = args;
    let config = match config.map(|file| crate::load(&file)).transpose() {
        Ok(config) => config,
        Err(_) => return code(Code::Usage),
    };
    let server = Server::of(config.as_ref(), socket, json);
    let asked = match command {
        Command::Pw(pw) => return crate::pw::run(pw, json),
        Command::Import(import) => return import.run(&server),
        Command::Export(export) => return export.run(&server),
        Command::Backup(backup) => return backup.run(&server),
        Command::Restore(restore) => return restore.run(&server),
        Command::Dump(dump) => return dump.run(json),
        Command::User(command) => return command.run(&server, config.as_ref()),
        Command::Top(top) => return top.run(&server),
        Command::Auth(command) => command.request().map(|request| (request, Shape::Records)),
        Command::Ask(ask) => ask.request(),
    };
    match asked {
        Ok((request, shape)) => server.ask(&request, shape),
        Err(text) => fail(Code::Usage, &text),
    }
}

impl Server {
    fn of(config: Option<&Config>, socket: Option<PathBuf>, json: bool) -> Server {
        let socket = socket.unwrap_or_else(|| match config {
            Some(config) => skein_server::adm_socket(config),
            None => skein_server::adm_socket(&Config::embedded_default()),
        });
        Server { socket, json }
    }

    /// Asks, prints the rows, and gives the exit code.
    fn ask(&self, request: &Request, shape: Shape) -> ExitCode {
        self.worst(request, shape).map_or(ExitCode::SUCCESS, code)
    }

    /// The same, and what went wrong.
    fn worst(&self, request: &Request, shape: Shape) -> Option<Code> {
        client::ask(&self.socket, request, &mut Output::new(self.json, shape)).unwrap_or_else(|error| {
            words::complain(format_args!("skein adm: {error}"));
            Some(error.code())
        })
    }
}

fn fail(class: Code, text: &str) -> ExitCode {
    words::complain(format_args!("skein adm: {text}"));
    code(class)
}

fn code(code: Code) -> ExitCode {
    ExitCode::from(code.exit())
}

impl Ask {
    fn request(self) -> Result<(Request, Shape), String> {
        Ok(match self {
            Ask::Stats => (Request::Stats, Shape::Table),
            Ask::Stop => (Request::Stop, Shape::Table),
            Ask::Reload => (Request::Reload, Shape::Table),
            Ask::Log(LogCommand::Errors { since, level, last }) => {
                (Request::LogErrors { since, errors_only: level == Level::Error, last }, Shape::Table)
            }
            Ask::Who { users } => (Request::Who { users }, Shape::Table),
            Ask::Kick { whom } => (Request::Kick { whom }, Shape::Table),
            Ask::Check { users, user } => {
                (Request::Check { users: users.split(user.into_iter().collect())?.0 }, Shape::Records)
            }
            Ask::Rebuild { users, user, from_bodies } => {
                let (users, _) = users.split(user.into_iter().collect())?;
                (Request::Rebuild { users, from_bodies }, Shape::Table)
            }
            Ask::Dictionary(DictionaryCommand::Train { dry_run }) => {
                (Request::DictionaryTrain { keep: !dry_run }, Shape::Records)
            }
            Ask::Dictionary(DictionaryCommand::List) => (Request::DictionaryList, Shape::Table),
            Ask::Mailbox(command) => (command.request()?, Shape::Table),
            Ask::Search(search) => (search.search()?, Shape::Table),
            Ask::Fetch(fetch) => (fetch.request()?, Shape::Records),
            Ask::Expunge(search) => (search.expunge()?, Shape::Table),
            Ask::Deduplicate(search) => (search.deduplicate()?, Shape::Table),
            Ask::Flags(flags) => (flags.request()?, Shape::Table),
            Ask::Copy(copy) => (copy.request(false)?, Shape::Table),
            Ask::Move(copy) => (copy.request(true)?, Shape::Table),
        })
    }
}

impl Users {
    /// The users meant, and the words that are left.
    fn split(&self, mut words: Vec<String>) -> Result<(String, Vec<String>), String> {
        if self.all {
            return Ok(("*".to_owned(), words));
        }
        if words.is_empty() {
            return Err("whose? Name a USER, or --all".to_owned());
        }
        let user = words.remove(0);
        Ok((user, words))
    }

    /// The same when at least one word has to be left.
    fn split_more(&self, words: Vec<String>, what: &str) -> Result<(String, Vec<String>), String> {
        let (users, words) = self.split(words)?;
        if words.is_empty() { Err(format!("{what} is missing")) } else { Ok((users, words)) }
    }
}
