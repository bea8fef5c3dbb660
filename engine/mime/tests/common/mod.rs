//! Sample mail from outside the project, and a checker of the IMAP grammar.

use std::path::{Path, PathBuf};

/// The folder of sample mail, or `None` after saying that it is not there.
pub fn fixtures(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SKEIN_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no sample mail in {}", path.display());
    None
}

/// Every file below `path`.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).expect("a readable folder").map(|e| e.expect("an entry").path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

/// A value of RFC 3501 §4.
#[derive(Debug)]
pub enum Value {
    Nil,
    Number,
    Text(Vec<u8>),
    List(Vec<Value>),
}

use Value::*;

/// Reads exactly one value; panics when the bytes are not IMAP.
pub fn parse(bytes: &[u8]) -> Value {
    let (value, rest) = value(bytes);
    assert!(rest.is_empty(), "left over: {}", rest.escape_ascii());
    value
}

fn value(bytes: &[u8]) -> (Value, &[u8]) {
    match bytes {
        [b'(', rest @ ..] => list(rest),
        [b'"', rest @ ..] => quoted(rest),
        [b'{', rest @ ..] => literal(rest),
        [b'N', b'I', b'L', rest @ ..] => (Nil, rest),
        _ => {
            let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            assert!(digits > 0, "no value: {}", bytes[..bytes.len().min(40)].escape_ascii());
            (Number, &bytes[digits..])
        }
    }
}

fn list(mut bytes: &[u8]) -> (Value, &[u8]) {
    let mut items = Vec::new();
    loop {
        let (item, rest) = value(bytes);
        // Only lists may follow each other without a space: addresses and body parts.
        let abuts = matches!(item, List(_)) && rest.starts_with(b"(");
        items.push(item);
        bytes = match rest {
            [b')', rest @ ..] => return (List(items), rest),
            [b' ', rest @ ..] => rest,
            _ if abuts => rest,
            _ => panic!("neither space nor end: {}", rest[..rest.len().min(40)].escape_ascii()),
        };
    }
}

fn quoted(bytes: &[u8]) -> (Value, &[u8]) {
    let (mut text, mut at) = (Vec::new(), 0);
    loop {
        match bytes[at] {
            b'"' => return (Text(text), &bytes[at + 1..]),
            b'\\' => {
                at += 1;
                assert!(matches!(bytes[at], b'"' | b'\\'), "escape of an ordinary character");
            }
            byte => assert!(byte < 0x80 && !matches!(byte, 0 | b'\r' | b'\n'), "byte {byte} in a quoted string"),
        }
        text.push(bytes[at]);
        at += 1;
    }
}

fn literal(bytes: &[u8]) -> (Value, &[u8]) {
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let len: usize = std::str::from_utf8(&bytes[..digits]).unwrap().parse().unwrap();
    let text = bytes[digits..].strip_prefix(b"}\r\n").expect("a literal's head");
    assert!(!text[..len].contains(&0), "NUL in a literal");
    (Text(text[..len].to_vec()), &text[len..])
}

fn items(value: &Value) -> &[Value] {
    match value {
        List(items) => items,
        other => panic!("no list: {other:?}"),
    }
}

fn text(value: &Value) -> &[u8] {
    match value {
        Text(text) => text,
        other => panic!("no string: {other:?}"),
    }
}

fn nstring(value: &Value) {
    assert!(matches!(value, Nil | Text(_)), "no nstring: {value:?}");
}

/// `envelope` of RFC 3501 §9.
pub fn check_envelope(value: &Value) {
    let fields = items(value);
    assert_eq!(fields.len(), 10);
    [0, 1, 8, 9].iter().for_each(|&i| nstring(&fields[i]));
    for list in fields[2..8].iter().filter(|list| !matches!(list, Nil)) {
        for address in items(list) {
            assert_eq!(items(address).len(), 4);
            items(address).iter().for_each(nstring);
        }
    }
}

fn check_params(value: &Value) {
    if !matches!(value, Nil) {
        assert_eq!(items(value).len() % 2, 0);
        items(value).iter().for_each(|v| assert!(matches!(v, Text(_))));
    }
}

/// `body` of RFC 3501 §9, with or without its extension data.
pub fn check_body(value: &Value, extended: bool) {
    let fields = items(value);
    let parts = fields.iter().take_while(|f| matches!(f, List(_))).count();
    let rest = if parts > 0 { check_multipart(fields, parts, extended) } else { check_single(fields, extended) };
    let [disposition, language, location] = rest else {
        return assert!(rest.is_empty() && !extended, "odd extension: {rest:?}");
    };
    if !matches!(disposition, Nil) {
        let [kind, params] = items(disposition) else { panic!("disposition: {disposition:?}") };
        text(kind);
        check_params(params);
    }
    if !matches!(language, Nil) {
        items(language).iter().for_each(|tag| assert!(matches!(tag, Text(_))));
    }
    nstring(location);
}

fn check_multipart(fields: &[Value], parts: usize, extended: bool) -> &[Value] {
    fields[..parts].iter().for_each(|part| check_body(part, extended));
    text(&fields[parts]);
    if extended {
        check_params(&fields[parts + 1]);
        return &fields[parts + 2..];
    }
    &fields[parts + 1..]
}

fn check_single(fields: &[Value], extended: bool) -> &[Value] {
    let (kind, subtype) = (text(&fields[0]).to_ascii_lowercase(), text(&fields[1]).to_ascii_lowercase());
    check_params(&fields[2]);
    nstring(&fields[3]);
    nstring(&fields[4]);
    text(&fields[5]);
    assert!(matches!(fields[6], Number));
    let mut at = 7;
    if kind == b"message" && subtype == b"rfc822" {
        check_envelope(&fields[7]);
        check_body(&fields[8], extended);
        at = 9;
    }
    if at == 9 || kind == b"text" {
        assert!(matches!(fields[at], Number));
        at += 1;
    }
    if extended {
        nstring(&fields[at]);
        at += 1;
    }
    &fields[at..]
}
