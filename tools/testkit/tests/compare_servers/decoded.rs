//! BINARY (RFC 3516) without a server: what a part is that both servers have told, decoded here.
//!
//! Dovecot refuses much and runs over some boundaries, so its answers alone would let wrong ones of ours pass.

use skein_testkit::imap::Value;

use super::answer::Answer;

/// A section of a message, and the transfer encoding of the part; `None` for what holds parts.
pub struct Part {
    pub section: String,
    pub encoding: Option<String>,
}

impl Part {
    /// All parts of a BODYSTRUCTURE, each before those inside it.
    pub fn all(structure: &Value) -> Vec<Part> {
        let mut parts = Vec::new();
        let children = children(structure);
        match children.is_empty() {
            true => put(structure, "1".into(), &mut parts),
            false => put_children(children, "", &mut parts),
        }
        parts
    }
}

fn put_children(children: &[Value], before: &str, parts: &mut Vec<Part>) {
    for (number, child) in children.iter().enumerate() {
        put(child, format!("{before}{}", number + 1), parts);
    }
}

fn put(structure: &Value, section: String, parts: &mut Vec<Part>) {
    let inside = format!("{section}.");
    let children = children(structure);
    if !children.is_empty() {
        parts.push(Part { section, encoding: None });
        return put_children(children, &inside, parts);
    }
    let values = structure.list().unwrap_or_default();
    let text = |at: usize| values.get(at).and_then(Value::text).unwrap_or_default().to_ascii_lowercase();
    let is_message = text(0) == "message" && ["rfc822", "global"].contains(&&*text(1));
    // A message/global is a leaf to who speaks IMAP4rev1: an MD5 sum stands there then, and no envelope.
    let has_envelope = values.get(7).is_some_and(|envelope| envelope.list().is_some());
    let message = values.get(8).filter(|_| is_message && has_envelope);
    match message {
        None => parts.push(Part { section, encoding: Some(text(5)) }),
        Some(message) => {
            parts.push(Part { section, encoding: None });
            match self::children(message) {
                [] => put(message, format!("{inside}1"), parts),
                children => put_children(children, &inside, parts),
            }
        }
    }
}

/// The parts of a multipart: lists come first in it.
fn children(structure: &Value) -> &[Value] {
    let values = structure.list().unwrap_or_default();
    &values[..values.iter().take_while(|v| v.list().is_some()).count()]
}

/// What BINARY and BINARY.SIZE have to be by what `told` has of this part, which is empty where there is nothing to decode by.
pub fn expected(told: &Answer, part: &Part) -> Option<(Answer, Answer)> {
    let Part { section, encoding: Some(encoding) } = part else { return None };
    let (message, body) = told.lines.iter().find_map(|line| line.split_once(&format!(" BODY[{section}] \"")))?;
    let body = unescaped(body.strip_suffix('"')?);
    let Some(bytes) = decode(encoding, &body).filter(|_| !is_unreadable(told, section)) else {
        let refused = Answer { tagged: "No".into(), lines: vec![] };
        return Some((refused.clone(), refused));
    };
    let answer = |line: String| Answer { tagged: "Ok".into(), lines: vec![line] };
    let size = answer(format!("{message} BINARY.SIZE[{section}] {}", bytes.len()));
    Some((size, answer(format!("{message} BINARY[{section}] \"{}\"", bytes.escape_ascii()))))
}

/// Whether the header of a part names an encoding that is no word, such as `8 bit`: BODYSTRUCTURE takes it for 7bit, and BINARY is refused, for
/// nobody knows how to decode it (RFC 3516 §4.3).
fn is_unreadable(told: &Answer, section: &str) -> bool {
    let header = told.lines.iter().find_map(|line| line.split_once(&format!(" BODY[{section}.MIME] \"")));
    let header = header.map(|(_, header)| unescaped(header)).unwrap_or_default();
    let text = String::from_utf8_lossy(&header).replace("\r\n ", " ").replace("\r\n\t", " ");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut values =
        fields.filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("Content-Transfer-Encoding")).peekable();
    let is_no_word = |value: &str| {
        let value = value.split(';').next().unwrap_or_default().trim();
        !value.contains('(') && value.contains([' ', '\t', '/', ',', ':', '?', '=', '@', '<', '>', '[', ']', '"'])
    };
    values.peek().is_some() && values.all(|(_, value)| is_no_word(value))
}

/// The bytes that `escape_ascii` wrote.
pub fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    loop {
        rest = match rest {
            [] => return bytes,
            [b'\\', b'x', digits @ ..] if digits.len() >= 2 => {
                let digits_text = str::from_utf8(&digits[..2]).expect("digits");
                bytes.push(u8::from_str_radix(digits_text, 16).expect("digits"));
                &digits[2..]
            }
            [b'\\', byte, rest @ ..] => {
                bytes.push(match byte {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    other => *other,
                });
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// `None` for an encoding that nobody knows.
fn decode(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        "7bit" | "8bit" | "binary" => Some(body.to_vec()),
        "base64" => Some(base64(body)),
        "quoted-printable" => Some(body.split_inclusive(|&b| b == b'\n').flat_map(quoted_printable).collect()),
        _ => None,
    }
}

/// Runs of digits that padding ends; what is no digit means nothing (RFC 2045 §6.8), and what makes no byte is lost.
fn base64(body: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let run = |run: &[u8]| {
        let digits: Vec<usize> = run.iter().filter_map(|b| DIGITS.iter().position(|d| d == b)).collect();
        let bits: String = digits.iter().map(|digit| format!("{digit:06b}")).collect();
        let whole = bits.as_bytes().chunks_exact(8).map(|byte| str::from_utf8(byte).expect("digits").to_owned());
        whole.map(|byte| u8::from_str_radix(&byte, 2).expect("bits")).collect::<Vec<_>>()
    };
    body.split(|&b| b == b'=').flat_map(run).collect()
}

/// One line; an `=` that begins no escape stands for itself.
fn quoted_printable(line: &[u8]) -> Vec<u8> {
    let text = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(line);
    let without_blanks = &text[..text.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1)];
    let (text, line_end) = match without_blanks.strip_suffix(b"=") {
        Some(text) => (text, &b""[..]),
        None => (without_blanks, &line[text.len()..]),
    };
    let mut pieces = text.split(|&b| b == b'=');
    let mut bytes = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()) {
            Some(byte) => bytes.extend([&[byte], &piece[2..]].concat()),
            None => bytes.extend([b"=", piece].concat()),
        }
    }
    bytes.extend_from_slice(line_end);
    bytes
}

#[test]
fn parts_are_numbered() {
    let envelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
    let text = r#"("text" "plain" NIL NIL NIL "7bit" 7 1)"#;
    let message = |kind: &str, inside: &str| format!(r#"("message" "{kind}" NIL NIL NIL "7bit" 9 {inside})"#);
    for (structure, sections) in [
        (text.to_owned(), "1"),
        (format!("({text}{text} \"mixed\")"), "1 2"),
        (format!("({} \"mixed\")", message("rfc822", &format!("{envelope} {text} 3"))), "1 1.1"),
        (format!("({} \"mixed\")", message("global", &format!("{envelope} {text} 3"))), "1 1.1"),
        (format!("({} \"mixed\")", message("global", r#"NIL ("inline" NIL) NIL NIL"#)), "1"),
    ] {
        let parsed = Value::parse_all(structure.as_bytes()).expect("a structure");
        let parts: Vec<String> = Part::all(&parsed[0]).into_iter().map(|part| part.section).collect();
        assert_eq!(parts.join(" "), sections, "{structure}");
    }
}

#[test]
fn encodings_are_decoded() {
    for (encoding, body, expect) in [
        ("base64", "aGVs\r\n bG8=", "hello"),
        ("base64", "YQ==Yg==\r\nYg", "abb"),
        ("quoted-printable", "a=3Db=\r\nc =20 \r\n=zz", "a=bc  \r\n=zz"),
        ("7bit", "a=3D", "a=3D"),
    ] {
        assert_eq!(decode(encoding, body.as_bytes()).as_deref(), Some(expect.as_bytes()), "{body}");
    }
    assert_eq!(decode("x-odd", b""), None);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(unescaped(&all.escape_ascii().to_string()), all);
}

#[test]
fn an_encoding_that_is_no_word_is_refused() {
    let part = Part { section: "1".into(), encoding: Some("7bit".into()) };
    let answered = |field: &str| {
        let header = format!("FETCH #1 BODY[1.MIME] \"{}\"", format!("{field}\r\n\r\n").as_bytes().escape_ascii());
        let told = Answer { tagged: "Ok".into(), lines: vec![header, "FETCH #1 BODY[1] \"x\"".into()] };
        expected(&told, &part).expect("a leaf").1.tagged
    };
    for field in ["content-transfer-encoding: 8 bit", "Content-Transfer-Encoding:\r\n text/html"] {
        assert_eq!(answered(field), "No", "{field}");
    }
    for field in ["Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: (x y) 7bit", "Subject: a b"] {
        assert_eq!(answered(field), "Ok", "{field}");
    }
}
