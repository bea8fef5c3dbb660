//! Reads the dialogs of this folder (README.md says how they are written). Both tests that play them have this as a module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A whole conversation.
#[derive(Default)]
pub struct Dialog {
    pub name: String,
    pub start: Start,
    /// `imap.message_limit = 3`
    pub settings: Vec<String>,
    /// Users that only this dialog has, as lines of a passwd-file.
    pub users: Vec<String>,
    pub steps: Vec<Step>,
    /// Not compressed by who plays it: it speaks of compression itself.
    pub uncompressed: bool,
}

/// What has been said before.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Start {
    /// `{user}` has logged in.
    #[default]
    LoggedIn,
    /// Nothing: the greeting is to come.
    Greeting,
    /// The same, and nothing is encrypted.
    Plain,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands in the file, from 1.
    pub line: usize,
    pub what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Bytes of the client.
    Client(Vec<u8>),
    /// A command of another session, without its tag.
    Other(Of, Vec<u8>),
    /// A line for the client.
    Server(String),
    /// The same once or more often; what a name stands for differs from one to the next.
    Repeated(String),
}

/// Whose session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// `{user}`'s.
    Same,
    /// `{other}`'s.
    SomebodyElse,
}

/// All of them, by name.
pub fn all() -> Vec<Dialog> {
    let entries = std::fs::read_dir(folder()).expect("the dialogs");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    paths.sort();
    assert!(paths.len() > 10, "the dialogs are gone");
    paths.iter().map(|path| read(path)).collect()
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|up| up.join("net/proto/testdata/dialogs"))
        .find(|f| f.is_dir())
        .expect("the dialogs")
}

fn read(path: &Path) -> Dialog {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a text");
    let mut dialog = Dialog { name, ..Dialog::default() };
    let mut literal = None;
    for (line, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text)) {
        let (kind, rest) = text.split_at(text.len().min(3));
        let mut push = |what| dialog.steps.push(Step { line, what });
        match kind {
            "C: " | "C:" => push(What::Client(format!("{rest}\r\n").into())),
            "C- " => push(What::Client(rest.into())),
            "O: " => push(What::Other(Of::Same, format!("{rest}\r\n").into())),
            "E: " => push(What::Other(Of::SomebodyElse, format!("{rest}\r\n").into())),
            "S: " => push(What::Server(rest.to_string())),
            "S+ " => push(What::Repeated(rest.to_string())),
            "L: " | "L:" | "L- " => {
                let bytes = rest.replace("\\0", "\0") + if kind == "L- " { "" } else { "\r\n" };
                let at = *literal.get_or_insert_with(|| announced(&dialog.steps));
                grow(&mut dialog.steps, at, bytes.as_bytes(), line);
                continue;
            }
            "T: " => match rest {
                "greeting" => dialog.start = Start::Greeting,
                "plain" => dialog.start = Start::Plain,
                "uncompressed" => dialog.uncompressed = true,
                other => match other.strip_prefix("user ") {
                    Some(user) => dialog.users.push(user.to_string()),
                    None => dialog.settings.push(other.to_string()),
                },
            },
            _ => assert!(text.is_empty() || text.starts_with('#'), "{path:?}:{line}: {text:?}"),
        }
        if matches!(kind, "C: " | "C:" | "C- " | "O: " | "E: ") {
            literal = None;
        }
    }
    for step in &mut dialog.steps {
        if let What::Other(_, bytes) = &mut step.what
            && bytes.split(|b| *b == b'\n').next().is_some_and(|first| first.ends_with(b"+}\r"))
        {
            bytes.extend_from_slice(b"\r\n");
        }
    }
    dialog
}

/// The step whose line ends in a literal without its size: `{}`, `{+}`.
fn announced(steps: &[Step]) -> usize {
    let at = steps
        .iter()
        .rposition(|step| !matches!(step.what, What::Server(_) | What::Repeated(_)))
        .expect("something announces it");
    let (What::Client(bytes) | What::Other(_, bytes)) = &steps[at].what else { unreachable!() };
    assert!(bytes.ends_with(b"{}\r\n") || bytes.ends_with(b"{+}\r\n"), "line {} announces no literal", steps[at].line);
    at
}

/// One more piece of the literal that the step at `at` announces. Who waits for the server sends it as a step of its own.
fn grow(steps: &mut Vec<Step>, at: usize, piece: &[u8], line: usize) {
    let (What::Client(bytes) | What::Other(_, bytes)) = &mut steps[at].what else { unreachable!() };
    let text = String::from_utf8(bytes.clone()).expect("UTF-8");
    let open = text.find("\r\n").and_then(|end| text[..end].rfind('{')).expect("checked before");
    let close = open + text[open..].find('}').expect("checked before");
    let (digits, plus) = text[open + 1..close].split_once('+').map_or((&text[open + 1..close], ""), |(d, _)| (d, "+"));
    let size = digits.parse().unwrap_or(0) + piece.len();
    *bytes = format!("{}{{{size}{plus}{}", &text[..open], &text[close..]).into();
    if plus == "+" {
        return bytes.extend_from_slice(piece);
    }
    let begun = steps.len() - 1 > at;
    match steps.last_mut() {
        Some(Step { what: What::Client(bytes), .. }) if begun => bytes.extend_from_slice(piece),
        _ => steps.push(Step { line, what: What::Client(piece.to_vec()) }),
    }
}

/// What the names in braces stand for.
#[derive(Clone, Default)]
pub struct Names(pub BTreeMap<String, String>);

impl Names {
    /// `text` with what is known of the names in it.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled += text,
                Piece::Name(name) => match self.0.get(name) {
                    Some(value) => filled += value,
                    None => filled += &format!("{{{name}}}"),
                },
            }
        }
        filled
    }

    /// Whether `line` is what `pattern` says; names that are new to it are known from then on.
    pub fn agree(&mut self, pattern: &str, line: &str) -> bool {
        let pieces = pieces(pattern);
        let mut rest = line;
        for (index, piece) in pieces.iter().enumerate() {
            let known = match piece {
                Piece::Text(text) => Some((*text).to_string()),
                Piece::Name(name) => self.0.get(*name).cloned(),
            };
            if let Some(text) = known {
                let Some(after) = rest.strip_prefix(&*text) else { return false };
                rest = after;
                continue;
            }
            let end = match pieces.get(index + 1) {
                Some(Piece::Text(next)) => rest.find(&next[..next.chars().next().map_or(0, char::len_utf8)]),
                _ => Some(rest.len()),
            };
            let (Some(end), Piece::Name(name)) = (end.filter(|end| *end > 0), piece) else { return false };
            // They differ before and after login, and with the settings.
            if *name != "capabilities" {
                self.0.insert((*name).to_string(), rest[..end].to_string());
            }
            rest = &rest[end..];
        }
        rest.is_empty()
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// A name in braces begins with a letter, which the size of a literal does not.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        at = open + 1;
        let Some(close) = text[at..].find('}').map(|found| at + found) else { break };
        let name = &text[at..close];
        if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            if from < open {
                pieces.push(Piece::Text(&text[from..open]));
            }
            pieces.push(Piece::Name(name));
            (from, at) = (close + 1, close + 1);
        }
    }
    if from < text.len() {
        pieces.push(Piece::Text(&text[from..]));
    }
    pieces
}

/// For AUTHENTICATE.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().chain(&[0, 0]).take(3).fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        let digit = |index| if index > group.len() { '=' } else { DIGITS[bits >> (18 - 6 * index) & 63] as char };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(group).collect()
}
