//! The dialogs of `net/proto/testdata/dialogs` against the running server: in plain, in TLS, compressed, and byte by byte.

#[path = "../../../../net/proto/testdata/dialogs/read.rs"]
mod read;
mod write;

use std::collections::BTreeMap;
use std::fs;

use read::{Dialog, Names, Of, Start, What};
use skein_testkit::Server;
use skein_testkit::imap::Client;
use skein_testkit::server::{Kind, PASSWORD, set};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Under {
    Plain,
    Tls,
    Deflate,
}

/// How the client's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pieces {
    Whole,
    /// Each in a packet, a TLS record, a DEFLATE block of its own.
    Bytes,
}

#[test]
fn in_plain() {
    play_all(Under::Plain, Pieces::Whole);
}

#[test]
fn in_plain_byte_by_byte() {
    play_all(Under::Plain, Pieces::Bytes);
}

#[test]
fn in_tls() {
    play_all(Under::Tls, Pieces::Whole);
}

#[test]
fn in_tls_byte_by_byte() {
    play_all(Under::Tls, Pieces::Bytes);
}

#[test]
fn compressed() {
    play_all(Under::Deflate, Pieces::Whole);
}

#[test]
fn compressed_byte_by_byte() {
    play_all(Under::Deflate, Pieces::Bytes);
}

fn play_all(under: Under, pieces: Pieces) {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let mut by_settings: BTreeMap<(Vec<String>, Vec<String>), Vec<Dialog>> = BTreeMap::new();
    for dialog in read::all().into_iter().filter(|dialog| plays(dialog, under) && write::wants(&dialog.name)) {
        by_settings.entry((dialog.settings.clone(), dialog.users.clone())).or_default().push(dialog);
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for ((settings, users), dialogs) in by_settings {
        let server = Server::start_changed(|text, folder| {
            let text = settings.iter().fold(text, |text, setting| changed(&text, setting));
            if users.is_empty() {
                return text;
            }
            fs::write(folder.join("users"), users.join("\n") + "\n").expect("the folder is writable");
            text.replace("sources = [\n", "sources = [\n{ driver = \"passwd-file\", path = \"users\" },\n")
        });
        for (index, dialog) in dialogs.iter().enumerate() {
            let (user, other) = (Server::user(2 * index + 1), Server::user(2 * index + 2));
            if write::on() {
                write::write(&mut Player::start(&server, dialog, under, pieces, &user, &other), dialog);
            } else if let Err(why) = Player::start(&server, dialog, under, pieces, &user, &other).play(dialog) {
                wrong.push(format!("{}.txt, {under:?}, {pieces:?}: {why}", dialog.name));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The table of `dialogs/README.md`: who offers something more has to say where it is spoken of.
#[test]
fn each_capability_has_its_dialog() {
    if Kind::from_env() != Kind::Skein {
        return;
    }
    let text = fs::read_to_string(read::folder().join("README.md")).expect("the README");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let table: BTreeMap<&str, &str> = rows.collect();
    let dialogs: Vec<String> = read::all().into_iter().map(|dialog| dialog.name).collect();
    let server = Server::start();
    let mut before = server.imap();
    let mut after = server.login(&Server::user(1));
    for client in [&mut before, &mut after] {
        let told = client.command("CAPABILITY").expect("CAPABILITY");
        for offered in String::from_utf8_lossy(told.data("CAPABILITY")[0]).split(' ') {
            let name = offered.split_once("=1").map_or(offered, |(name, _)| name);
            let row = table.get(offered).or(table.get(name)).unwrap_or_else(|| panic!("{offered} is in no row"));
            let named: Vec<&str> = row.split([' ', ',']).filter_map(|word| word.strip_suffix(".txt")).collect();
            assert!(!named.is_empty(), "{offered} has no dialog");
            assert!(named.iter().all(|name| dialogs.iter().any(|dialog| dialog == name)), "{offered}: {row}");
        }
    }
}

fn plays(dialog: &Dialog, under: Under) -> bool {
    match under {
        Under::Plain => true,
        Under::Tls => dialog.start != Start::Plain,
        Under::Deflate => dialog.start != Start::Plain && !dialog.uncompressed,
    }
}

/// `imap.message_limit = 3` set in the server's settings.
fn changed(settings: &str, setting: &str) -> String {
    let (name, value) = setting.split_once(" = ").expect("a setting");
    let (section, key) = name.split_once('.').expect("a setting of a section");
    set(settings, section, key, value)
}

struct Player<'a> {
    server: &'a Server,
    user: String,
    /// `{other}`
    other_user: String,
    client: Client,
    other: Option<Client>,
    somebody_else: Option<Client>,
    pieces: Pieces,
    names: Names,
    /// A line that was heard, and is to be heard once more.
    unread: Option<String>,
    /// The last line of the client, for what changes the connection under it.
    last: String,
    /// Has logged in, and is to compress before it says more.
    to_compress: bool,
    compresses: bool,
}

impl<'a> Player<'a> {
    fn start(server: &'a Server, dialog: &Dialog, under: Under, pieces: Pieces, user: &str, other: &str) -> Player<'a> {
        let mut client = match under {
            Under::Tls => Client::connect_tls_unread(server.ports().imaps),
            _ => Client::connect_unread(server.ports().imap),
        }
        .expect("a connection");
        if dialog.start == Start::LoggedIn {
            client.read_line().expect("a greeting");
            client.login(user, PASSWORD).expect("LOGIN").expect_ok();
        }
        let compresses = under == Under::Deflate;
        let to_compress = compresses && dialog.start == Start::LoggedIn;
        let plain = read::base64(format!("\0{user}\0{PASSWORD}").as_bytes());
        let words = [("user", user), ("other", other), ("password", PASSWORD), ("plain", &plain)];
        let names = Names(words.map(|(name, value)| (name.to_string(), value.to_string())).into());
        Player {
            server,
            user: user.to_string(),
            other_user: other.to_string(),
            client,
            other: None,
            somebody_else: None,
            pieces,
            names,
            unread: None,
            last: String::new(),
            to_compress,
            compresses,
        }
    }

    fn play(&mut self, dialog: &Dialog) -> Result<(), String> {
        for step in &dialog.steps {
            match &step.what {
                What::Client(bytes) => self.say(bytes),
                What::Other(of, command) => self.change(*of, command),
                What::Server(pattern) => {
                    let told = self.hear().map_err(|e| format!("line {}: {e} in place of {pattern}", step.line))?;
                    if !self.names.agree(pattern, &told) {
                        let pattern = self.names.fill(pattern);
                        return Err(format!("line {}:\n  told     {told}\n  expected {pattern}", step.line));
                    }
                }
                What::Repeated(pattern) => {
                    let mut times = 0;
                    let other = loop {
                        let told = self.hear().map_err(|e| format!("line {}: {e} in place of {pattern}", step.line))?;
                        if !self.names.clone().agree(pattern, &told) {
                            break told;
                        }
                        times += 1;
                    };
                    if times == 0 {
                        return Err(format!("line {}:\n  told     {other}\n  expected {pattern}", step.line));
                    }
                    self.unread = Some(other);
                }
            }
        }
        if dialog.steps.iter().any(|step| matches!(&step.what, What::Server(line) if line.starts_with("* BYE"))) {
            let rest = self.client.read_to_close();
            return rest.is_empty().then_some(()).ok_or(format!("after the end: {}", rest.escape_ascii()));
        }
        self.say(b"end NOOP\r\n");
        let told = self.hear().map_err(|e| e.to_string())?;
        (told == "end OK NOOP completed.").then_some(()).ok_or(format!("after the end: {told}"))
    }

    fn say(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.to_compress) {
            self.client.compress().expect("COMPRESS");
            self.compresses = false;
        }
        let bytes = match std::str::from_utf8(bytes) {
            Ok(text) => self.names.fill(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        self.last = String::from_utf8_lossy(&bytes).to_ascii_uppercase();
        // Who is thrown out in the middle of it reads why.
        let _broken_pipe = match self.pieces {
            Pieces::Whole => self.client.write(&bytes),
            Pieces::Bytes => bytes.chunks(1).try_for_each(|byte| self.client.write(byte)),
        };
    }

    /// The next line of the server.
    fn hear(&mut self) -> std::io::Result<String> {
        if let Some(line) = self.unread.take() {
            return Ok(line);
        }
        let line = self.client.read_line()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(" OK STARTTLS completed") && self.last.contains("STARTTLS") {
            self.client.encrypt();
        }
        if line.contains(" OK COMPRESS completed") && self.last.contains("COMPRESS") {
            self.client.deflate();
        }
        self.to_compress |= self.compresses && line.ends_with(" Logged in.");
        Ok(line)
    }

    /// Another session does something, and is told that it is done.
    fn change(&mut self, of: Of, command: &[u8]) {
        let (session, user) = match of {
            Of::Same => (&mut self.other, &self.user),
            Of::SomebodyElse => (&mut self.somebody_else, &self.other_user),
        };
        let other = session.get_or_insert_with(|| self.server.login(user));
        let command = self.names.fill(std::str::from_utf8(command).expect("UTF-8"));
        other.write(format!("o {command}").as_bytes()).expect("a write");
        let reply = other.finish("o").expect("an answer");
        assert!(reply.is_ok(), "{command} {reply:?}");
    }
}
