//! One server process on free ports with its own folder.
//!
//! `SKEIN_BIN` names the program (else `target/release/skein`). With `SKEIN_PEER=dovecot` the installed Dovecot is started
//! instead: a test that fails there too is probably a wrong test.

mod dovecot;
mod ports;
mod skein;

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

pub use dovecot::{binary as dovecot_binary, use_maildir as use_dovecot_maildir};
pub(crate) use ports::Block;
pub use ports::Ports;
use rustix::process::Signal;
pub use skein::{binary as skein_binary, set, use_default_log, use_program};

use crate::temp::TempDir;
use crate::wait::{self, PATIENCE};
use crate::{imap, lmtp, pop3, process};

/// The password of the users [`Server::user`] names.
pub const PASSWORD: &str = "pass";

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's server.
    Skein,
    /// Debian's Dovecot, to check the tests and to compare with.
    Dovecot,
    /// Canned answers from the running program itself (`skein-load floor`): IMAP and LMTP, and what the kernel alone costs.
    Floor,
}

impl Kind {
    /// What `SKEIN_PEER` asks for.
    ///
    /// # Panics
    /// When it names a server that the kit can not start.
    pub fn from_env() -> Kind {
        match std::env::var("SKEIN_PEER").as_deref() {
            Ok("dovecot") => Kind::Dovecot,
            Ok(other) if !other.is_empty() => panic!("SKEIN_PEER={other}: only dovecot is known"),
            _ => Kind::Skein,
        }
    }
}

/// A running server. On drop it is killed, and when the test failed its log's tail is printed.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    ports: Ports,
    folder: PathBuf,
    child: Option<Child>,
    /// Skein's settings file; what follows the kit's own settings of Dovecot.
    settings: String,
    /// Removed with the server; `None` when the folder is the caller's.
    _own_folder: Option<TempDir>,
}

impl Server {
    /// Starts the server that `SKEIN_PEER` asks for in a fresh temporary folder and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Server {
        Server::start_kind(Kind::from_env())
    }

    /// Starts a server of `kind` in a fresh temporary folder.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_kind(kind: Kind) -> Server {
        let own = TempDir::new("server");
        let folder = own.path().to_owned();
        Server::begin(kind, folder, Some(own), "")
    }

    /// The same with `more` settings: of Skein keys without a table, then tables that the kit's own settings do not have; of
    /// Dovecot whatever may follow its settings.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_kind_with(kind: Kind, more: &str) -> Server {
        let own = TempDir::new("server");
        let folder = own.path().to_owned();
        Server::begin(kind, folder, Some(own), more)
    }

    /// Starts the server in `folder`, which stays when it ends.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_in(folder: &Path) -> Server {
        Server::begin(Kind::from_env(), folder.to_owned(), None, "")
    }

    /// The same, Skein with `more` settings: keys without a table, then tables that the kit's own settings do not have.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(folder: &Path, more: &str) -> Server {
        Server::begin(Kind::Skein, folder.to_owned(), None, more)
    }

    /// Starts Skein in a fresh temporary folder with settings that `change` makes of the usual ones and the folder.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_changed(change: impl FnOnce(String, &Path) -> String) -> Server {
        let own = TempDir::new("server");
        let mut server = Server::prepare(Kind::Skein, own.path().to_owned(), Some(own), "");
        server.settings = change(std::mem::take(&mut server.settings), &server.folder);
        server.restart();
        server
    }

    fn begin(kind: Kind, folder: PathBuf, own: Option<TempDir>, more: &str) -> Server {
        let mut server = Server::prepare(kind, folder, own, more);
        server.restart();
        server
    }

    fn prepare(kind: Kind, folder: PathBuf, own: Option<TempDir>, more: &str) -> Server {
        let ports = Ports::free();
        let settings = match kind {
            Kind::Skein => skein::settings(&folder, &ports, more),
            Kind::Dovecot | Kind::Floor => more.to_owned(),
        };
        Server { kind, ports, folder, child: None, settings, _own_folder: own }
    }

    /// Changes Skein's settings file under the running server, which notices at [`Server::restart`] or when told to reload.
    pub fn change_settings(&mut self, change: impl FnOnce(String) -> String) {
        self.settings = change(std::mem::take(&mut self.settings));
        skein::write_settings(&self.folder, &self.settings);
    }

    /// Starts it again on the same folder and ports after [`Server::kill`] or [`Server::stop`].
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let mut command = match self.kind {
            Kind::Skein => skein::command(&self.folder, &self.settings),
            Kind::Dovecot => dovecot::command(&self.folder, &self.ports, &self.settings),
            Kind::Floor => floor_command(&self.folder, &self.ports, &self.settings),
        };
        self.child = Some(spawn_logged(&mut command, &self.log_path()));
        self.wait_ready();
    }

    /// The same with other settings than before in place of [`Server::start_with`]'s.
    ///
    /// # Panics
    /// As [`Server::restart`].
    pub fn restart_with(&mut self, more: &str) {
        self.settings = skein::settings(&self.folder, &self.ports, more);
        self.restart();
    }

    /// Starts a second process with the same settings, which is expected to refuse, and returns how it ended and what it printed.
    ///
    /// # Panics
    /// When it keeps running.
    pub fn start_second(&self) -> (ExitStatus, String) {
        self.start_second_with(&[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// When it keeps running.
    pub fn start_second_with(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let log = self.folder.join("second.log");
        let mut child = spawn_logged(skein::command(&self.folder, &self.settings).args(arguments), &log);
        let status = wait::find(PATIENCE, || child.try_wait().expect("our own child"));
        if status.is_none() {
            child.kill().expect("our own child");
        }
        (status.expect("the second process ends by itself"), fs::read_to_string(log).unwrap_or_default())
    }

    /// Lets a new process with the settings of now take its place, and waits until that one serves and the old one is gone.
    ///
    /// # Panics
    /// When one of the two fails.
    pub fn take_over(&mut self) {
        let mut command = skein::command(&self.folder, &self.settings);
        let next = spawn_logged(command.arg("--takeover"), &self.log_path());
        let mut old = self.child.replace(next).expect("it is running");
        let ended = wait::find(PATIENCE, || old.try_wait().expect("our own child"));
        if ended.is_none() {
            old.kill().expect("our own child");
        }
        assert!(ended.is_some_and(|status| status.success()), "the old process ended: {ended:?}");
        self.wait_ready();
    }

    /// Kills all its processes at once with SIGKILL.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let tree = process::tree(child.id());
        tree.iter().for_each(|&pid| process::signal(pid, Signal::KILL));
        child.wait().expect("our own child");
        assert!(wait::until(PATIENCE, || !tree.iter().any(|&pid| process::is_alive(pid))), "killed processes end");
    }

    /// Asks it to end with SIGTERM and waits until it has.
    ///
    /// # Panics
    /// When it is still there after [`PATIENCE`].
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it is running");
        process::signal(child.id(), Signal::TERM);
        let status = wait::find(PATIENCE, || child.try_wait().expect("our own child"));
        if status.is_none() {
            self.child = Some(child);
        }
        status.expect("SIGTERM ends the server")
    }

    /// Which program it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The process id, the root of its tree.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is running").id()
    }

    /// Where it listens.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The folder of its config, data and log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of test user `number`, from 1 to 200. The password is [`PASSWORD`].
    pub fn user(number: usize) -> String {
        assert!((1..=200).contains(&number), "test users are 1 to 200");
        format!("test{number}")
    }

    /// A new IMAP connection.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn imap(&self) -> imap::Client {
        imap::Client::connect(self.ports.imap).unwrap_or_else(|e| panic!("IMAP connection: {e}"))
    }

    /// A new IMAP connection, logged in as `user`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn login(&self, user: &str) -> imap::Client {
        let mut client = self.imap();
        client.login(user, PASSWORD).unwrap_or_else(|e| panic!("LOGIN: {e}")).expect_ok();
        client
    }

    /// A new POP3 connection.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn pop3(&self) -> pop3::Client {
        pop3::Client::connect(self.ports.pop3).unwrap_or_else(|e| panic!("POP3 connection: {e}"))
    }

    /// A new POP3 connection, logged in as `user`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn pop3_login(&self, user: &str) -> pop3::Client {
        let mut client = self.pop3();
        client.login(user, PASSWORD).unwrap_or_else(|e| panic!("USER, PASS: {e}")).expect_ok();
        client
    }

    /// A new LMTP connection after LHLO.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn lmtp(&self) -> lmtp::Client {
        lmtp::Client::connect(self.ports.lmtp).unwrap_or_else(|e| panic!("LMTP connection: {e}"))
    }

    /// What it has written to its log and standard output so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|l| String::from_utf8_lossy(&l).into_owned()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn wait_ready(&mut self) {
        let answers = |addr: SocketAddr| imap::Client::connect_unread(addr).is_ok();
        let mut ended = None;
        let listens = match self.kind {
            Kind::Floor => vec![self.ports.imap, self.ports.lmtp],
            Kind::Skein | Kind::Dovecot => self.ports.mail().to_vec(),
        };
        let ready = wait::until(PATIENCE, || {
            ended = self.child.as_mut().and_then(|c| c.try_wait().expect("our own child"));
            ended.is_some() || listens.iter().copied().all(answers) && imap::Client::connect(self.ports.imap).is_ok()
        });
        assert!(ready && ended.is_none(), "the server did not start (ended: {ended:?})");
    }
}

/// The program that runs now, as a server that gives the `answers`.
fn floor_command(folder: &Path, ports: &Ports, answers: &str) -> Command {
    let file = folder.join("answers");
    fs::write(&file, answers).expect("the folder is writable");
    let mut command = Command::new(std::env::current_exe().expect("the program that runs"));
    command.arg("floor").args([
        "--imap".to_owned(),
        ports.imap.to_string(),
        "--lmtp".to_owned(),
        ports.lmtp.to_string(),
    ]);
    command.arg("--answers").arg(file).arg("--data").arg(folder.join("data"));
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- last lines of the server's log\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// Starts `command` with its output appended to `log`, in a process group of its own so that a terminal's signals pass it by.
fn spawn_logged(command: &mut Command, log: &Path) -> Child {
    let file: File = OpenOptions::new().create(true).append(true).open(log).expect("the log can be opened");
    let other = file.try_clone().expect("a descriptor");
    let command = command.stdin(Stdio::null()).stdout(file).stderr(other).process_group(0);
    command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"))
}
