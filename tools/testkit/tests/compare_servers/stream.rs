//! A stream of commands by chance: mostly right ones, on few mailboxes so that they meet, and some that are wrong.

use skein_testkit::random::Random;

use super::{around, search, torture};

/// Names that commands speak of: nested, in other cases, with spaces, in modified UTF-7, and wrong ones.
const NAMES: [&str; 14] = [
    "INBOX",
    "inbox",
    "box",
    "box",
    "box/sub",
    "box/sub/leaf",
    "Other",
    "\"two words\"",
    "Entw&APw-rfe",
    "INBOX/in",
    "other",
    "missing",
    "new/deep",
    "new",
];
const WRONG_NAMES: [&str; 8] = ["\"\"", "a//b", "/a", "a/", "\"*\"", "\"a%\"", "&bad", "a&AGE-"];

/// Those of them that are no modified UTF-7, or empty.
pub const NO_NAMES: [&str; 3] = ["&bad", "a&AGE-", "\"\""];

const FLAGS: [&str; 9] =
    ["\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "word", "WORD", "\\seen"];

const FIELDS: [&str; 8] = ["Subject", "FROM", "to", "Message-ID", "X-Test", "Content-Type", "Received", "x-missing"];

/// How often a command is of what is around the mail.
const AROUND_PERCENT: usize = 15;

/// What commands are made of.
pub struct Stream {
    random: Random,
    /// Real mail, appended now and then.
    mails: Vec<Vec<u8>>,
    /// Messages that APPEND gives each mailbox before it is left alone.
    fill: usize,
    /// What is enabled: without it Dovecot's modification sequences are made up as they are first asked for.
    enabled: &'static str,
    /// A message of this session has arrived now.
    has_undated: bool,
    /// What is around the mail, and a second session, are spoken of too.
    is_wide: bool,
}

impl Stream {
    pub fn new(random: Random, mails: Vec<Vec<u8>>, fill: usize) -> Stream {
        Stream { random, mails, fill, enabled: "", has_undated: false, is_wide: false }
    }

    /// With what is around the mail, and with a second session.
    pub fn wide(self) -> Stream {
        Stream { is_wide: true, ..self }
    }

    /// What a session begins with: something to work on.
    pub fn opening(&mut self) -> Vec<Vec<u8>> {
        self.has_undated = false;
        self.enabled = self.random.word(&["", "", "ENABLE CONDSTORE", "ENABLE QRESYNC"]);
        let mut all: Vec<Vec<u8>> = ["CREATE box", "CREATE box/sub", "SUBSCRIBE box"].map(Vec::from).into();
        if !self.enabled.is_empty() {
            all.insert(0, self.enabled.into());
        }
        for _ in 0..self.fill {
            let name = self.random.word(&["INBOX", "box"]);
            all.push(self.append(name));
        }
        all.push(b"SELECT INBOX".to_vec());
        if self.is_wide && self.random.chance(60) {
            all.extend(around::opening(&mut self.random));
        }
        all
    }

    /// What reads all that there is: names, subscriptions, and of each mailbox its messages and what is kept beside it.
    pub fn closing(&self) -> Vec<Vec<u8>> {
        let mut all = vec!["LIST \"\" *".to_owned(), "LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)".into()];
        let modseq = if self.enabled.is_empty() { "" } else { " MODSEQ" };
        for (at, name) in NAMES.iter().enumerate().filter(|(at, name)| !NAMES[..*at].contains(name)) {
            if NAMES[..at].iter().any(|known| known.eq_ignore_ascii_case(name) && name.eq_ignore_ascii_case("INBOX")) {
                continue;
            }
            all.push(format!("STATUS {name} (MESSAGES UIDNEXT UNSEEN SIZE)"));
            all.push(format!("GETMETADATA (DEPTH infinity) {name} (/private/comment /private/vendor)"));
            if self.is_wide {
                all.push(format!("GETACL {name}"));
            }
            all.push(format!("EXAMINE {name}"));
            all.push(format!("UID FETCH 1:* (FLAGS INTERNALDATE SAVEDATE RFC822.SIZE BODY.PEEK[]{modseq})"));
            if self.enabled == "ENABLE QRESYNC" {
                all.push("UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)".into());
            }
        }
        if self.is_wide {
            all.push("GETQUOTA \"User quota\"".into());
        }
        all.into_iter().map(String::into_bytes).collect()
    }

    /// The next command for a session that has `selected` so many messages, or no mailbox.
    pub fn next(&mut self, selected: Option<usize>) -> Vec<u8> {
        if self.is_wide && self.random.chance(AROUND_PERCENT) {
            let name = self.name();
            return match self.random.chance(30) {
                true => around::second(&mut self.random, selected.unwrap_or_default()),
                false => around::command(&mut self.random, name),
            }
            .into_bytes();
        }
        let Some(count) = selected else {
            return match self.random.below(10) {
                0..=5 => self.open().into_bytes(),
                6 => self.wrong(),
                _ => self.of_mailboxes(),
            };
        };
        match self.random.below(100) {
            0..=29 => self.fetch(count).into_bytes(),
            30..=44 => self.store(count).into_bytes(),
            45..=59 => search::command(&mut self.random, count),
            60..=66 => self.copy(count).into_bytes(),
            67..=71 => self.expunge(count).into_bytes(),
            72..=76 => self.open().into_bytes(),
            77..=89 => self.of_mailboxes(),
            90 => self.random.pick(&["NOOP", "CHECK"]).as_bytes().to_vec(),
            91..=92 if !self.enabled.is_empty() => self.changed_since(count).into_bytes(),
            93..=94 => self.random.pick(&["CLOSE", "UNSELECT"]).as_bytes().to_vec(),
            _ => self.wrong(),
        }
    }

    fn name(&mut self) -> &'static str {
        if self.random.chance(3) { self.random.word(&WRONG_NAMES) } else { self.random.word(&NAMES) }
    }

    fn open(&mut self) -> String {
        const PARAMETERS: [&str; 4] = [
            " (CONDSTORE)",
            " (QRESYNC (%validity% %modseq%))",
            " (QRESYNC (%validity% %modseq% 1:20))",
            " (QRESYNC (1 1))",
        ];
        let verb = self.random.word(&["SELECT", "SELECT", "EXAMINE"]);
        let name = self.name();
        let parameter = match self.enabled {
            // Of two faults one is told, and whether the parameter counts then is nowhere said.
            _ if WRONG_NAMES.contains(&name) => "",
            "ENABLE QRESYNC" if self.random.chance(50) => self.random.word(&PARAMETERS),
            _ => self.random.word(&["", "", "", " (CONDSTORE)", " (QRESYNC (1 1))"]),
        };
        format!("{verb} {name}{parameter}")
    }

    fn of_mailboxes(&mut self) -> Vec<u8> {
        let name = self.name();
        match self.random.below(28) {
            26..=27 => self.metadata(name).into_bytes(),
            0..=2 => format!("CREATE {name}").into_bytes(),
            3..=4 => format!("DELETE {name}").into_bytes(),
            5..=6 => format!("RENAME {name} {}", self.name()).into_bytes(),
            7 => format!("SUBSCRIBE {name}").into_bytes(),
            8 => format!("UNSUBSCRIBE {name}").into_bytes(),
            9..=11 => self.list("LIST").into_bytes(),
            12 => self.list("LSUB").into_bytes(),
            13..=14 => self.list_extended().into_bytes(),
            15..=18 => format!("STATUS {name} {}", self.status_items()).into_bytes(),
            _ => self.append(name),
        }
    }

    /// What is kept beside a mailbox (RFC 5464).
    fn metadata(&mut self, name: &str) -> String {
        const ENTRIES: [&str; 5] =
            ["/private/comment", "/private/vendor/x/a", "/private/vendor/x/b", "/PRIVATE/Comment", "/private/none"];
        const OPTIONS: [&str; 5] = ["", "(DEPTH 0) ", "(DEPTH 1) ", "(DEPTH infinity) ", "(MAXSIZE 3) "];
        let name = if self.random.chance(70) { "box" } else { name };
        let entries = self.some(&ENTRIES, 2, " ");
        match self.random.below(5) {
            0..=1 => format!(
                "SETMETADATA {name} ({} {})",
                self.random.pick(&ENTRIES),
                self.random.word(&["\"a\"", "\"long value\"", "NIL"])
            ),
            2 => format!("GETMETADATA {}{name} /private/vendor/x", self.random.pick(&OPTIONS)),
            _ => format!("GETMETADATA {}{name} ({entries})", self.random.pick(&OPTIONS)),
        }
    }

    fn list(&mut self, verb: &str) -> String {
        const REFERENCES: [&str; 6] = ["\"\"", "\"\"", "\"\"", "box", "box/", "INBOX"];
        const PATTERNS: [&str; 14] = [
            "*",
            "%",
            "%/%",
            "box*",
            "\"\"",
            "b%",
            "*sub*",
            "inbox",
            "INBOX*",
            "/%",
            "%x/*",
            "\"two words\"",
            "box",
            "*/%",
        ];
        format!("{verb} {} {}", self.random.pick(&REFERENCES), self.random.pick(&PATTERNS))
    }

    fn list_extended(&mut self) -> String {
        const SELECTIONS: [&str; 7] = [
            "()",
            "(SUBSCRIBED)",
            "(SUBSCRIBED RECURSIVEMATCH)",
            "(REMOTE)",
            "(RECURSIVEMATCH)",
            "(SPECIAL-USE)",
            "(SPECIAL-USE SUBSCRIBED)",
        ];
        const PATTERNS: [&str; 5] = ["*", "%", "(b% INBOX)", "(* %)", "box"];
        const RETURNS: [&str; 7] = [
            "(SUBSCRIBED)",
            "(CHILDREN)",
            "(SUBSCRIBED CHILDREN)",
            "(STATUS (MESSAGES UNSEEN))",
            "()",
            "(SPECIAL-USE)",
            "(SPECIAL-USE CHILDREN)",
        ];
        let (selection, pattern) = (self.random.word(&SELECTIONS), self.random.word(&PATTERNS));
        format!("LIST {selection} \"\" {pattern} RETURN {}", self.random.pick(&RETURNS))
    }

    fn status_items(&mut self) -> String {
        const ITEMS: [&str; 7] = ["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "HIGHESTMODSEQ"];
        format!("({})", self.some(&ITEMS, 4, " "))
    }

    /// Up to `most` of `choices`, repeats and all.
    fn some(&mut self, choices: &[&str], most: usize, between: &str) -> String {
        let count = self.random.between(1, most + 1);
        (0..count).map(|_| self.random.word(choices)).collect::<Vec<_>>().join(between)
    }

    /// Flags, each once: of keywords after one that is named twice Dovecot loses some.
    fn flags(&mut self) -> String {
        let mut flags: Vec<&str> = Vec::new();
        for _ in 0..self.random.between(1, 4) {
            let flag = self.random.word(&FLAGS);
            if !flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
                flags.push(flag);
            }
        }
        flags.join(" ")
    }

    /// One message, now and then some.
    fn append(&mut self, name: &str) -> Vec<u8> {
        let mut command = format!("APPEND {name}").into_bytes();
        let messages = if self.random.chance(90) { 1 } else { self.random.between(2, 4) };
        for _ in 0..messages {
            command.push(b' ');
            command.extend(self.message());
        }
        command
    }

    fn message(&mut self) -> Vec<u8> {
        let mut command = String::new();
        if self.random.chance(70) {
            let flags = self.flags();
            command += &format!("({}) ", if self.random.chance(20) { "" } else { &flags });
        }
        // Of several that arrive now, which second each is given is the server's affair, and SORT would tell.
        if self.has_undated || self.random.chance(80) {
            command += &format!("\"{}\" ", search::date_time(&mut self.random));
        } else {
            self.has_undated = true;
        }
        if self.random.chance(7) {
            return format!("{command}CATENATE ({})", self.catenated()).into_bytes();
        }
        let mail = match self.random.chance(30) && !self.mails.is_empty() {
            true => self.random.pick(&self.mails).clone(),
            false => torture::mail(&mut self.random),
        };
        command += &format!("{{{}+}}\r\n", mail.len());
        let mut command = command.into_bytes();
        command.extend_from_slice(&mail);
        command
    }

    /// Texts and sections of messages of a mailbox.
    fn catenated(&mut self) -> String {
        const SECTIONS: [&str; 6] =
            ["", "/;SECTION=1", "/;SECTION=HEADER", "/;SECTION=1.MIME", "/;SECTION=TEXT", "/;SECTION=9"];
        let one = |stream: &mut Stream| match stream.random.chance(60) {
            true => {
                let mailbox = stream.random.word(&["INBOX", "box", "box/sub", "missing"]);
                let (uid, section) = (stream.random.between(1, 12), stream.random.word(&SECTIONS));
                format!("URL \"/{mailbox}/;UID={uid}{section}\"")
            }
            false => {
                let text = torture::words(&mut stream.random, 4) + "\r\n";
                format!("TEXT {{{}+}}\r\n{text}", text.len())
            }
        };
        (0..self.random.between(1, 4)).map(|_| one(self)).collect::<Vec<_>>().join(" ")
    }

    /// What changed since the mailbox was selected, and changes of what did not (RFC 7162).
    fn changed_since(&mut self, count: usize) -> String {
        let flags = self.flags();
        match self.random.below(5) {
            0 => format!("{} (FLAGS) (CHANGEDSINCE %modseq%)", self.with_set("FETCH", count)),
            1 => format!(
                "UID FETCH {} (UID) (CHANGEDSINCE %modseq% VANISHED)",
                search::set(&mut self.random, count, true)
            ),
            2..=3 => format!("{} (UNCHANGEDSINCE %modseq%) +FLAGS ({flags})", self.with_set("STORE", count)),
            _ => format!("SEARCH MODSEQ %next%{}", self.random.word(&["", " SEEN", " NOT DELETED"])),
        }
    }

    /// `FETCH` or `UID FETCH` with a set of that kind.
    fn with_set(&mut self, verb: &str, count: usize) -> String {
        let uid = self.random.chance(40);
        let set = search::set(&mut self.random, count, uid);
        if uid { format!("UID {verb} {set}") } else { format!("{verb} {set}") }
    }

    fn fetch(&mut self, count: usize) -> String {
        let start = self.with_set("FETCH", count);
        if self.random.chance(12) {
            return format!("{start} {}", self.random.pick(&["ALL", "FULL", "FAST", "fast"]));
        }
        let items: Vec<String> = (0..self.random.between(1, 4)).map(|_| self.item()).collect();
        match items.len() == 1 && self.random.chance(40) {
            true => format!("{start} {}", items[0]),
            false => format!("{start} ({})", items.join(" ")),
        }
    }

    fn item(&mut self) -> String {
        const ITEMS: [&str; 16] = [
            "FLAGS",
            "UID",
            "MODSEQ",
            "INTERNALDATE",
            "ENVELOPE",
            "BODY",
            "BODYSTRUCTURE",
            "RFC822",
            "RFC822.HEADER",
            "RFC822.TEXT",
            "RFC822.SIZE",
            "FLAGS",
            "SAVEDATE",
            "PREVIEW",
            "PREVIEW (LAZY)",
            "SNIPPET",
        ];
        match self.random.below(24) {
            0..=12 => self.random.pick(&ITEMS).to_string(),
            13..=14 => {
                let part = self.random.pick(&["", "1", "2", "1.1", "2.1", "1.2"]).to_string();
                let verb = self.random.pick(&["BINARY.PEEK", "BINARY.SIZE", "BINARY"]).to_string();
                let partial = if verb == "BINARY.SIZE" { String::new() } else { self.partial() };
                format!("{verb}[{part}]{partial}")
            }
            _ => {
                let section = self.section();
                let peek = if self.random.chance(70) { ".PEEK" } else { "" };
                format!("BODY{peek}[{section}]{}", self.partial())
            }
        }
    }

    fn partial(&mut self) -> String {
        if self.random.chance(70) {
            return String::new();
        }
        let from = *self.random.pick(&[0, 1, 7, 100, 100_000]);
        format!("<{from}.{}>", self.random.pick(&[1, 10, 50, 1000, 4_294_967_295u32]))
    }

    fn section(&mut self) -> String {
        const PARTS: [&str; 9] = ["1", "2", "3", "1.1", "1.2", "2.1", "1.1.1", "2.2.1", "9"];
        let part = self.random.word(&PARTS);
        match self.random.below(12) {
            0..=1 => String::new(),
            2 => "HEADER".into(),
            3 => "TEXT".into(),
            4..=5 => part.into(),
            6 => format!("{part}.MIME"),
            7 => format!("{part}.{}", self.random.pick(&["HEADER", "TEXT"])),
            8 => format!("{part}.HEADER.FIELDS ({})", self.some(&FIELDS, 3, " ")),
            9..=10 => format!("HEADER.FIELDS ({})", self.some(&FIELDS, 3, " ")),
            _ => format!("HEADER.FIELDS.NOT ({})", self.some(&FIELDS, 3, " ")),
        }
    }

    fn store(&mut self, count: usize) -> String {
        let start = self.with_set("STORE", count);
        let mode = self.random.word(&["", "+", "-"]);
        let silent = self.random.word(&["", ".SILENT"]);
        let flags = self.flags();
        let flags = match self.random.below(8) {
            0 => flags,
            1 => "()".into(),
            _ => format!("({flags})"),
        };
        format!("{start} {mode}FLAGS{silent} {flags}")
    }

    fn copy(&mut self, count: usize) -> String {
        let verb = self.random.word(&["COPY", "COPY", "MOVE"]);
        let start = self.with_set(verb, count);
        format!("{start} {}", self.name())
    }

    fn expunge(&mut self, count: usize) -> String {
        match self.random.chance(60) {
            true => "EXPUNGE".into(),
            false => format!("UID EXPUNGE {}", search::set(&mut self.random, count, true)),
        }
    }

    fn wrong(&mut self) -> Vec<u8> {
        const WRONG: [&str; 30] = [
            "XYZZY",
            "FETCH",
            "FETCH 1",
            "FETCH 1 (",
            "FETCH 1 ()",
            "FETCH 1 (NONSENSE)",
            "FETCH x FLAGS",
            "FETCH 0 FLAGS",
            "FETCH 1:0 FLAGS",
            "FETCH 1,,2 FLAGS",
            "FETCH 1 BODY[",
            "FETCH 1 BODY[0]",
            "FETCH 1 BODY[1.NONE]",
            "FETCH 1 BODY[MIME]",
            "FETCH 1 BODY[]<1>",
            "FETCH 1 BODY[]<1.0>",
            "STORE 1 FLAGS (\\Nonsense)",
            "STORE 1 +FLAG x",
            "STORE 1 FLAGS (\\Recent)",
            "COPY 1",
            "UID",
            "UID XYZZY",
            "UID FETCH",
            "SEARCH",
            "SEARCH NONSENSE",
            "SEARCH CHARSET X-NONE SUBJECT x",
            "STATUS INBOX ()",
            "STATUS INBOX (NONSENSE)",
            "FETCH 4294967296 FLAGS",
            "LIST",
        ];
        self.random.pick(&WRONG).as_bytes().to_vec()
    }
}
