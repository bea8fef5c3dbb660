//! Real and broken mail: nothing panics, everything rendered is IMAP, and sections are where they should be.

mod common;

use common::{check_body, check_envelope, files, fixtures, parse};
use proptest::prelude::*;
use skein_base::line_ends::Crlf;
use skein_mime::*;

/// All that is computed from a message, checked for shape.
fn survive(message: &[u8]) {
    let parts = structure(message);
    check_table(message, &parts);
    let mut out = Vec::new();
    envelope(parts[0].header.of(message), &mut out);
    check_envelope(&parse(&out));
    out.clear();
    body(message, &parts, &mut out);
    check_body(&parse(&out), false);
    out.clear();
    bodystructure(message, &parts, &mut out);
    check_body(&parse(&out), true);
    check_cache(message, &parts);
}

fn check_table(message: &[u8], parts: &[Part]) {
    let all = Span { start: 0, end: message.len() as u32 };
    assert_eq!((parts[0].header.start, parts[0].body.end), (all.start, all.end));
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(part.header.end, part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= all.end);
        let lines = part.body.of(message).iter().filter(|&&b| b == b'\n').count();
        assert_eq!(part.lines as usize, lines);
        assert!(part.after as usize > index && part.after as usize <= parts.len());
        if let Some(parent) = part.parent {
            let parent = &parts[parent as usize];
            assert!(parent.body.start <= part.header.start && part.body.end <= parent.body.end);
            assert!(part.after <= parent.after && part.depth == parent.depth + 1);
        }
    }
}

fn check_cache(message: &[u8], parts: &[Part]) {
    let blob = Cache::build(message);
    assert!(blob.len() <= CACHE_BYTES_MAX);
    let cache = CacheRef::new(&blob).expect("what was just built");
    if cache.is_too_big() {
        return;
    }
    for path in [vec![], vec![1], vec![2], vec![1, 1], vec![2, 1, 2]] {
        for what in [What::Whole, What::Header, What::Text, What::Mime] {
            let section = Section { path: path.clone(), what };
            assert_eq!(cache.section(&section), Ok(locate(parts, &section)), "{section:?}");
        }
    }
    let (mut cached, mut read) = (Vec::new(), Vec::new());
    cache.header_fields(&CACHED_FIELDS, &mut cached).expect("listed fields");
    filter_header(parts[0].header.of(message), &FieldNames::of(&CACHED_FIELDS), false, &mut read);
    assert_eq!(cached, read);
}

#[test]
fn sample_mail_survives() {
    let Some(folder) = fixtures("messages") else { return };
    let needle = Needle::new("Zwölf Boxkämpfer");
    for path in files(&folder) {
        let message = std::fs::read(&path).expect("a readable message");
        let mut stored = Vec::new();
        Crlf::new().push(&message, &mut stored);
        for text in [&message, &stored] {
            if std::panic::catch_unwind(|| survive(text)).is_err() {
                panic!("in {}", path.display());
            }
            needle.matches_message(text, true);
        }
    }
}

/// Dovecot's recorded answers. It writes `text/plain; charset=us-ascii` of simple messages in lower case whatever stands in
/// the message, so letter case is not compared.
#[test]
fn bodystructures_are_those_of_dovecot() {
    let Some(folder) = fixtures("golden-bodystructure") else { return };
    let mut compared = 0;
    for path in files(&folder).into_iter().filter(|p| p.extension().is_some_and(|e| e == "eml")) {
        let text = std::fs::read(&path).expect("a readable message");
        // As Dovecot stores it: runs of CR before LF are one.
        let lines: Vec<&[u8]> = text.split(|&b| b == b'\n').map(|l| l.trim_ascii_end_of(b'\r')).collect();
        let message = lines.join(&b"\r\n"[..]);
        let parts = structure(&message);
        for (name, render) in [("BODY", body as fn(&[u8], &[Part], &mut Vec<u8>)), ("BODYSTRUCTURE", bodystructure)] {
            let recorded = path.with_extension(format!("dovecot.{}", name.to_lowercase()));
            let Ok(expect) = std::fs::read(recorded) else { continue };
            let mut out = format!("({name} ").into_bytes();
            render(&message, &parts, &mut out);
            out.push(b')');
            compared += 1;
            assert!(
                out.eq_ignore_ascii_case(&expect),
                "{}\nours {}\ntheirs {}",
                path.display(),
                out.escape_ascii(),
                expect.escape_ascii()
            );
        }
    }
    assert!(compared > 0);
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8];
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, byte: u8) -> &[u8] {
        let keep = self.iter().rposition(|&b| b != byte).map_or(0, |i| i + 1);
        &self[..keep]
    }
}

/// A message inside a message inside a message, and more parts than are told apart.
#[test]
fn limits_hold() {
    survive(&b"Content-Type: message/rfc822\r\n\r\n".repeat(300));
    let mut deep = Vec::new();
    for level in 0..300 {
        deep.extend_from_slice(
            format!("Content-Type: multipart/mixed; boundary=b{level}z\r\n\r\n--b{level}z\r\n").as_bytes(),
        );
    }
    survive(&deep);
    let mut wide = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n".to_vec();
    wide.extend_from_slice(&b"--x\r\n\r\n".repeat(12_000));
    assert_eq!(structure(&wide).len(), skein_base::limits::MIME_PARTS_MAX);
    survive(&wide);
    let mut digest = b"Content-Type: multipart/digest; boundary=x\r\n\r\n".to_vec();
    digest.extend_from_slice(&b"--x\r\n\r\nA: b\r\n\r\n".repeat(12_000));
    survive(&digest);
}

/// Words that broken mail is made of.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "Content-Type: ",
        "multipart/mixed; ",
        "boundary=",
        "x",
        "\"x y\"",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "--x",
        "--x--",
        "--",
        "message/rfc822",
        "multipart/digest; boundary=y",
        "--y",
        "text/plain; charset=",
        "Subject: ",
        "From: ",
        "a@b",
        "<a@b>",
        "<",
        ">",
        ",",
        ":",
        ";",
        "(",
        ")",
        "\"",
        "\\",
        "=?utf-8?q?",
        "?=",
        "Content-Disposition: a; n*0=",
        "n*1*=",
        "\0",
        "\r",
        " ",
        "\t",
        "[",
        "]",
        ".",
        "MIME-Version: 1.0\r\n",
        "Content-Language: ",
        "Content-Transfer-Encoding: base64\r\n",
        "é",
        "Date: 1 Jan 2000 ",
        "+0100",
        "=",
        "=C3",
        "/",
        "*",
        "G: ",
        "@r,@s:",
        "Content-Location: ",
        "Content-MD5: ",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn broken_mail_survives(message in mail()) {
        survive(&message);
        for needle in ["", "a", "é", "boundary"] {
            Needle::new(needle).matches_message(&message, true);
        }
    }

    #[test]
    fn any_bytes_survive(message in prop::collection::vec(any::<u8>(), 0..400)) {
        survive(&message);
        parse_date(&message);
        addresses(&message);
        Needle::new("x").matches_message(&message, true);
        Needle::new("ü").matches_header_value(&message);
    }

    #[test]
    fn any_bytes_are_no_harm_as_a_cache(mut blob in prop::collection::vec(any::<u8>(), 0..300), good_head in any::<bool>()) {
        if good_head && blob.len() >= 48 {
            blob[..8].copy_from_slice(b"SKMC\x01\0\0\0");
            blob[8..48].iter_mut().for_each(|b| *b &= 0x11);
        }
        if let Ok(cache) = CacheRef::new(&blob) {
            let _ = cache.section(&Section { path: vec![1, 2], what: What::Text });
            let _ = cache.header_fields(&["From"], &mut Vec::new());
        }
    }

    #[test]
    fn crlf_is_the_same_at_any_cut(message in mail(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let mut whole = Vec::new();
        Crlf::new().push(&message, &mut whole);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(message.len() + 1)).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let (mut crlf, mut pieces) = (Crlf::new(), Vec::new());
        cuts.windows(2).for_each(|w| crlf.push(&message[w[0]..w[1]], &mut pieces));
        prop_assert_eq!(whole, pieces);
    }
}
