//! Both servers, and one client at each that says the same.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;

use skein_testkit::Server;
use skein_testkit::imap::Client;
use skein_testkit::server::{Kind, PASSWORD};

use super::answer::{Answer, View};
use super::known::{self, After};

/// Users of one run: every session has a new one, so that it begins with nothing.
const USERS: usize = 99_999;

/// Skein and Dovecot.
pub struct Pair {
    skein: Server,
    dovecot: Server,
    users: Cell<usize>,
}

/// One user's connections.
pub struct Session {
    skein: Side,
    dovecot: Side,
    user: String,
    tag: u32,
}

struct Side {
    address: SocketAddr,
    client: Client,
    view: View,
}

/// What both said to one command.
pub struct Both {
    pub skein: Answer,
    pub dovecot: Answer,
    /// Messages of the selected mailbox before the command.
    pub count: usize,
}

impl Pair {
    pub fn start() -> Pair {
        let users = format!("test{{1..{USERS}}}");
        let skein = Server::start_changed(|settings, _| settings.replace("test{1..200}", &users));
        Pair { skein, dovecot: Server::start_kind(Kind::Dovecot), users: Cell::new(0) }
    }

    /// A new user's session.
    pub fn session(&self) -> Session {
        self.users.set(self.users.get() + 1);
        let user = format!("test{}", self.users.get());
        let side = |server: &Server| Side::login(server.ports().imap, &user);
        Session { skein: side(&self.skein), dovecot: side(&self.dovecot), user: user.clone(), tag: 0 }
    }
}

impl Session {
    /// Sends `command`, literals and all, to both.
    pub fn ask(&mut self, command: &[u8]) -> Both {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let mut bytes = format!("{tag} ").into_bytes();
        bytes.extend_from_slice(command);
        bytes.extend_from_slice(b"\r\n");
        let count = self.dovecot.view.count();
        Both { count, skein: self.skein.ask(command, &bytes, &tag), dovecot: self.dovecot.ask(command, &bytes, &tag) }
    }

    /// Tells `command` to both. What differs and is not known, and whether the session may go on.
    pub fn step(&mut self, command: &[u8]) -> (Vec<String>, bool) {
        let both = self.ask(command);
        let differing = known::unexplained(command, &both);
        let same = match known::after(command, &both) {
            After::Same => true,
            After::Parted => false,
            After::Repair(repair) => {
                self.ask(&repair);
                true
            }
        };
        (differing, same)
    }

    /// Logs in again at both.
    pub fn again(&mut self) {
        self.skein = Side::login(self.skein.address, &self.user);
        self.dovecot = Side::login(self.dovecot.address, &self.user);
    }

    /// Messages of the selected mailbox, as Dovecot told; `None` when none is selected.
    pub fn selected(&self) -> Option<usize> {
        self.dovecot.view.selected.then(|| self.dovecot.view.count())
    }
}

impl Side {
    fn login(address: SocketAddr, user: &str) -> Side {
        let mut client = Client::connect(address).expect("a connection");
        client.login(user, PASSWORD).expect("LOGIN").expect_ok();
        // Dovecot makes an INBOX when it is first asked for; until then it may be created.
        for command in ["SELECT INBOX", "UNSELECT"] {
            client.command(command).expect(command).expect_ok();
        }
        Side { address, client, view: View::default() }
    }

    fn ask(&mut self, command: &[u8], bytes: &[u8], tag: &str) -> Answer {
        let reply = self.client.write(bytes).and_then(|()| self.client.finish(tag));
        match reply {
            Ok(reply) => Answer::new(&String::from_utf8_lossy(command), &reply, &mut self.view),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Answer { tagged: format!("!! {error}"), lines: vec![] }
            }
            Err(_) => Answer::closed(),
        }
    }
}
