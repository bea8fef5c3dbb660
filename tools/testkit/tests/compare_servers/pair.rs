//! Both servers, and one client at each that says the same.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::SocketAddr;

use skein_testkit::Server;
use skein_testkit::imap::{Client, Reply, Value};
use skein_testkit::server::{Kind, PASSWORD};

use super::answer::{Answer, View};
use super::around::SECOND;
use super::known::{self, After};
use super::{decoded, moment, searched};

/// Users of one run: every session has a new one, so that it begins with nothing.
const USERS: usize = 99_999;

/// What mailboxes of a name are for (RFC 6154).
const USES: [(&str, &str); 2] = [("Other", "\\Junk"), ("box/sub", "\\Drafts")];

/// Before any was authorized.
const NO_URL: &str = "imap://localhost/none";

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
    /// CONDSTORE was enabled by the first command.
    counts_from_start: bool,
    /// Connections of the same user that hear what this one does.
    second: Option<Box<Session>>,
}

/// One connection to one of them.
pub struct Side {
    address: SocketAddr,
    client: Client,
    view: View,
    user: String,
    /// The last URL that was authorized.
    url: String,
    /// What SELECT last told of each mailbox: UIDVALIDITY and HIGHESTMODSEQ.
    marks: BTreeMap<String, (String, String)>,
    /// The mailbox of the last SELECT.
    selected: String,
    /// QRESYNC was enabled, so that UIDs are told instead of numbers.
    tells_uids: bool,
}

/// What both said to one command.
pub struct Both {
    pub skein: Answer,
    pub dovecot: Answer,
    /// Messages of the selected mailbox before the command.
    pub count: usize,
}

impl Pair {
    /// With a quota of `messages`.
    pub fn start(messages: usize) -> Pair {
        let mut ours = format!(
            "[namespaces]\nshared_prefix = \"shared/\"\n[quota]\nstorage_bytes = 1073741824\nmessages = {messages}\n"
        );
        let mut theirs = format!(
            "mail_plugins = quota acl\nprotocol imap {{\n mail_plugins = quota imap_quota acl imap_acl\n imap_urlauth_host = localhost\n}}\n\
             plugin {{\n acl = vfile\n quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:storage=1G:messages={messages}\n}}\n\
             namespace inbox {{\n"
        );
        for (name, usage) in USES {
            ours += &format!("[mailbox.'{name}']\nspecial_use = '{usage}'\n");
            theirs += &format!(" mailbox {name} {{\n  special_use = {usage}\n }}\n");
        }
        let dovecot = Server::start_kind_with(Kind::Dovecot, &(theirs + "}\n"));
        Pair { skein: start_skein(&ours), dovecot, users: Cell::new(0) }
    }

    /// A new user's session.
    pub fn session(&self) -> Session {
        self.users.set(self.users.get() + 1);
        Session::start(
            [&self.skein, &self.dovecot].map(|server| server.ports().imap),
            &format!("test{}", self.users.get()),
        )
    }
}

/// Skein with users enough, and `more` settings.
pub fn start_skein(more: &str) -> Server {
    let users = format!("test{{1..{USERS}}}");
    Server::start_changed(|settings, _| settings.replace("test{1..200}", &users) + more)
}

impl Session {
    fn start(addresses: [SocketAddr; 2], user: &str) -> Session {
        let [skein, dovecot] = addresses.map(|address| Side::login(address, user));
        Session { skein, dovecot, user: user.into(), tag: 0, counts_from_start: false, second: None }
    }

    /// Sends `command`, literals and all, to both.
    pub fn ask(&mut self, command: &[u8]) -> Both {
        self.tag += 1;
        self.counts_from_start |= self.tag == 1 && command.starts_with(b"ENABLE ");
        let tag = format!("t{}", self.tag);
        let count = self.dovecot.view.count();
        Both { count, skein: self.skein.ask(command, &tag), dovecot: self.dovecot.ask(command, &tag) }
    }

    /// Sends `command` to both: what they said, and what differs in it and is not known.
    pub fn compare(&mut self, command: &[u8]) -> (Both, Vec<String>) {
        let both = self.ask(command);
        let differing = known::unexplained(command, &both);
        let turned = self.turned_modseqs();
        if !turned.is_empty() {
            return (both, turned);
        }
        let differing = match differing.is_empty() {
            true => differing,
            false => searched::unexplained(self, command, &both).unwrap_or(differing),
        };
        (both, differing)
    }

    /// Messages of the last answer, the first of which has changed before the second at one, and after it at the other. Without CONDSTORE from the
    /// beginning Dovecot makes up what it tells.
    fn turned_modseqs(&self) -> Vec<String> {
        let (ours, theirs) = (&self.skein.view.modseqs, &self.dovecot.view.modseqs);
        if !self.counts_from_start {
            return Vec::new();
        }
        let mut known: Vec<(u64, u64, u32)> =
            ours.iter().filter_map(|(id, ours)| Some((*ours, *theirs.get(id)?, *id))).collect();
        known.sort();
        let turned = known.windows(2).filter(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1);
        turned.map(|pair| format!("MODSEQ of #{} {:?} and #{} {:?}", pair[0].2, pair[0], pair[1].2, pair[1])).collect()
    }

    /// Tells `command` to both, and lets the second session hear what came of it. What differs and is not known, and whether the session may go on.
    pub fn step(&mut self, command: &[u8]) -> (Vec<String>, bool) {
        if let Some(command) = command.strip_prefix(SECOND.as_bytes()) {
            let addresses = [self.skein.address, self.dovecot.address];
            let second = self.second.get_or_insert_with(|| Box::new(Session::start(addresses, &self.user)));
            let (both, differing) = second.compare(command);
            if !second.repair(command, &both) || !differing.is_empty() {
                return (differing, false);
            }
            // When what others did is told in commands that are about something else is a server's own affair.
            let (heard, differing) = self.compare(b"NOOP");
            return (differing, !heard.dovecot.is_closed());
        }
        let (both, differing) = self.compare(command);
        let same = self.repair(command, &both);
        if !differing.is_empty() || !same {
            return (differing, same);
        }
        let Some(second) = &mut self.second else { return (differing, same) };
        if known::takes_away(command, &both) {
            second.ask(b"UNSELECT");
        }
        let (heard, differing) = second.compare(b"NOOP");
        (differing, !heard.dovecot.is_closed())
    }

    /// Whether the session may go on, after what it needs for that.
    fn repair(&mut self, command: &[u8], both: &Both) -> bool {
        if command.starts_with(b"GENURLAUTH") && both.skein != both.dovecot {
            (self.skein.url, self.dovecot.url) = (NO_URL.into(), NO_URL.into());
        }
        match known::after(command, both) {
            After::Same => true,
            After::Parted => false,
            After::Repair(repair) => {
                self.ask(&repair);
                true
            }
        }
    }

    /// Sends `command` to Dovecot alone.
    pub fn ask_dovecot(&mut self, command: &[u8]) -> Answer {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.dovecot.ask(command, &tag)
    }

    /// The UIDs of the selected mailbox, in order.
    pub fn uids(&mut self) -> Vec<u32> {
        self.ask_dovecot(b"UID SEARCH ALL").found().into_iter().collect()
    }

    /// What Dovecot has for one FETCH item of a message.
    pub fn source(&mut self, uid: u32, item: &str) -> String {
        let answer = self.ask_dovecot(format!("UID FETCH {uid} ({item})").as_bytes());
        let name = item.replace(".PEEK", "");
        let value = answer.lines.iter().find_map(|line| line.split_once(&format!(" {name} \"")));
        let text = value.and_then(|(_, value)| value.strip_suffix('"')).unwrap_or_default();
        String::from_utf8_lossy(&decoded::unescaped(text)).into_owned()
    }

    /// The UIDs of messages whose header has no date that everybody reads alike.
    pub fn without_date(&mut self) -> BTreeSet<u32> {
        let uids = self.uids();
        let item = "BODY.PEEK[HEADER.FIELDS (DATE)]";
        uids.into_iter().filter(|uid| !moment::is_plain_field(&self.source(*uid, item))).collect()
    }

    /// The UIDs of these, and of messages with ids that are read in several ways.
    pub fn with_odd_header(&mut self) -> BTreeSet<u32> {
        let uids = self.uids();
        let item = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID IN-REPLY-TO REFERENCES)]";
        let mut odd = self.without_date();
        odd.extend(uids.into_iter().filter(|uid| searched::has_broken_ids(&self.source(*uid, item))));
        odd
    }

    /// Logs in again at both.
    pub fn again(&mut self) {
        self.skein = Side::login(self.skein.address, &self.user);
        self.dovecot = Side::login(self.dovecot.address, &self.user);
    }

    /// Messages of the selected mailbox, as Dovecot told; `None` when none is selected.
    pub fn selected(&self) -> Option<usize> {
        self.dovecot.selected()
    }
}

impl Side {
    /// A connection that has logged in.
    pub fn login(address: SocketAddr, user: &str) -> Side {
        let mut client = Client::connect(address).expect("a connection");
        client.login(user, PASSWORD).expect("LOGIN").expect_ok();
        // Dovecot makes an INBOX when it is first asked for; until then it may be created.
        for command in ["SELECT INBOX", "UNSELECT"] {
            client.command(command).expect(command).expect_ok();
        }
        let (view, marks, selected, tells_uids) = (View::default(), BTreeMap::new(), String::new(), false);
        let (user, url) = (user.to_owned(), NO_URL.to_owned());
        Side { address, client, view, user, url, marks, selected, tells_uids }
    }

    /// What is said to `command`, literals and all.
    pub fn ask(&mut self, command: &[u8], tag: &str) -> Answer {
        let bytes = [tag.as_bytes(), b" ", &self.in_own_numbers(command), b"\r\n"].concat();
        let reply = match self.client.write(&bytes).and_then(|()| self.client.finish(tag)) {
            Ok(reply) => reply,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Answer { tagged: format!("!! {error}"), lines: vec![] };
            }
            Err(_) => return Answer::closed(),
        };
        let command = String::from_utf8_lossy(command);
        let answer = Answer::new(&command, &reply, &mut self.view);
        if reply.is_ok() {
            self.take_marks(&command, &reply);
            let urls = reply.data("GENURLAUTH").first().and_then(|urls| Value::parse_all(urls));
            if let Some(url) = urls.as_ref().and_then(|urls| urls.first()?.bytes()) {
                self.url = String::from_utf8_lossy(url).into_owned();
            }
            self.tells_uids |= command.starts_with("ENABLE ") && command.contains("QRESYNC");
        }
        if self.tells_uids && self.view.selected && self.view.uids.len() != self.view.count() {
            let told = self.client.command("UID SEARCH ALL");
            self.view.uids = told.map(|reply| reply.search()).unwrap_or_default();
        }
        answer
    }

    /// Messages of the selected mailbox; `None` when none is selected.
    pub fn selected(&self) -> Option<usize> {
        self.view.selected.then(|| self.view.count())
    }

    /// `%validity%` and `%modseq%` of the mailbox that the command selects, or that is selected, in this server's numbers; `%user%` and `%url%` as well.
    fn in_own_numbers(&self, command: &[u8]) -> Vec<u8> {
        let Some(text) = str::from_utf8(command).ok().filter(|text| text.contains('%')) else {
            return command.to_vec();
        };
        let mailbox = opened(text).unwrap_or(&self.selected);
        let (validity, modseq) = self.marks.get(mailbox).map_or(("1", "1"), |(v, m)| (v.as_str(), m.as_str()));
        let next = modseq.parse().map_or(1, |n: u64| n + 1).to_string();
        let named = text.replace("%user%", &self.user).replace("%url%", &self.url);
        named.replace("%validity%", validity).replace("%modseq%", modseq).replace("%next%", &next).into_bytes()
    }

    fn take_marks(&mut self, command: &str, reply: &Reply) {
        let Some(mailbox) = opened(command) else { return };
        self.selected = mailbox.to_owned();
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        let told = |name: &str| {
            let lines = reply.untagged.iter().map(text);
            let mut values =
                lines.filter_map(|l| Some(l.split_once(&format!("[{name} "))?.1.split(']').next()?.to_owned()));
            values.next()
        };
        if let (Some(validity), Some(modseq)) = (told("UIDVALIDITY"), told("HIGHESTMODSEQ")) {
            self.marks.insert(self.selected.clone(), (validity, modseq));
        }
    }
}

/// The mailbox that a command selects.
fn opened(command: &str) -> Option<&str> {
    let name = command.strip_prefix("SELECT ").or(command.strip_prefix("EXAMINE "))?;
    Some(name.split(" (").next().unwrap_or(name))
}
