use super::*;

fn value(needle: &str, value: &str) -> bool {
    Needle::new(needle).matches_header_value(value.as_bytes())
}

#[test]
fn header_values_are_unfolded_decoded_and_folded() {
    for (needle, text, expect) in [
        ("hello", "Hello World", true),
        ("lo wo", "Hello\r\n World", true),
        ("lo wo", "Hello\r\n\tWorld", true),
        ("world!", "Hello World", false),
        ("", "", true),
        ("käse", "=?utf-8?Q?K=C3=84SE?=", true),
        ("KÄSE", "=?iso-8859-1?b?a+RzZQ==?=", true),
        ("käse brot", "=?utf-8?q?k=C3=A4se_?=\r\n =?UTF-8?B?QnJvdA==?=", true),
        ("ä", "=?utf-8?q?=C3?= =?utf-8?q?=A4?=", true),
        ("a b", "=?us-ascii?q?a?= b", true),
        ("=?x", "=?x", true),
        ("=?utf-8?q?x", "=?utf-8?q?x", true),
        ("x?=", "=?no-such-charset?q?x?=", true),
        ("Needle", "=?no-such-charset?b?TmVlZGxl?=", true),
        ("needle", "=?no-such-charset?b?TmVlZGxl?=", false),
        ("é", "a =?no-such-charset?q?=C3=A9?=", true),
        ("needle", "=?utf-8?q?Needle=FF?=", true),
        ("привет", "=?koi8-r?B?8NLJ18XU?=", true),
        ("привет", "ПРИВЕТ", true),
        ("ς", "Σ", true),
        ("a\u{308}", "Ä", true),
        ("ä", "a\u{308}", true),
        ("cafe", "CAFÉ", true),
        ("café", "cafe", false),
        ("en", "=?utf-8*en?q?Tent?=", true),
        ("jürgen", "=?utf-7?B?SitBUHctcmdlbg==?=", true),
        ("frösche (x)", "=?UTF-7?Q?Die_Fr+APY-sche_=28X=29?=", true),
    ] {
        assert_eq!(value(needle, text), expect, "{needle:?} in {text:?}");
    }
    assert!(Needle::new("é").matches_header_value(b"caf\xe9"));
}

/// A header made of starts of encoded words once made the search for their ends quadratic.
#[test]
fn words_without_an_end_are_passed_in_one_go() {
    for start in ["=?utf-8?q?", "=?", "=?no?q?", "=?utf-8?x?"] {
        for end in ["", "?=", " needle"] {
            let text = start.repeat(50_000) + end;
            assert_eq!(value("needle", &text), end == " needle");
        }
    }
}

#[test]
fn header_blocks_are_searched_by_field_or_whole() {
    let block = b"From: Ann\r\nTo: bob@x\r\nX-Flag:\r\nno field\r\n\r\nTo: body\r\n";
    let check = |needle: &str, name: Option<&str>| Needle::new(needle).matches_header_block(block, name);
    assert!(check("ann", Some("FROM")) && !check("ann", Some("To")));
    assert!(check("", Some("x-flag")) && !check("", Some("Cc")));
    assert!(check("no f", None) && check("to: bob", None) && !check("body", None));
}

fn message(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

fn body(needle: &str, head: &str, body: &[u8]) -> bool {
    Needle::new(needle).matches_message(&message(head, body), false)
}

#[test]
fn bodies_are_decoded() {
    const QP: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable";
    const B64: &str = "Content-Type: text/html; charset=\"iso-8859-1\"\r\nContent-Transfer-Encoding: BASE64";
    const UTF7: &str = "Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable";
    assert!(body("needle", "A: b", b"hay NEEdle hay"));
    assert!(body("für+", UTF7, b"einst f+APw=\r\n-r+-alle") && !body("APw", UTF7, b"f+APw-r"));
    assert!(!body("needle", "A: needle", b"hay"));
    assert!(body("needle", QP, b"nee=\r\ndle"));
    assert!(body("needle", QP, b"nee=  \r\nd=6Ce"));
    assert!(body("größe", QP, b"GR=C3=\r\n=96=C3=9FE"));
    assert!(body("a=b", QP, b"a=b="));
    assert!(body("needle", B64, b"bmVl\r\nZGxl\r\n"));
    assert!(!body("née", B64, b"buk=\r\n") && body("né", B64, b"buk=\r\n") && body("NE", B64, b"buk=\r\n"));
    assert!(body("un cafe", "A: b", "Un café crème".as_bytes()) && !body("cafes", "A: b", "cafés".as_bytes()));
    assert!(!body("needle", "Content-Type: image/png", b"needle"));
    assert!(body("日本", "Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$BF|K\\\x1b(B"));
    // The second byte of this letter in Shift_JIS is an ASCII one.
    assert!(!body("c", "Content-Type: text/plain; charset=shift_jis", b"\x83c"));
    assert!(body("€", "Content-Type: text/plain; charset=windows-1252", b"\x80"));
    assert!(body("é", "Content-Type: text/plain", "É".as_bytes()));
}

#[test]
fn messages_inside_and_mime_headers() {
    let nested = concat!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\nContent-Disposition: attachment; filename=fname\r\n\r\n",
        "plain\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeep\r\n--x--\r\n"
    );
    let check = |needle: &str, headers| Needle::new(needle).matches_message(nested.as_bytes(), headers);
    assert!(check("plain", false) && check("deep", false) && check("inner", false));
    assert!(!check("fname", false) && check("fname", true));
    assert!(!check("preamble", true));
    assert!(check("", false));
}

/// Matches lie across every seam of the pieces that decoding makes.
#[test]
fn seams_hide_nothing() {
    for lead in 8_180..8_200 {
        let mut text = vec![b'n'; lead];
        text.extend_from_slice(b"needle");
        text.extend_from_slice(&[b'n'; 9_000]);
        let qp: Vec<u8> = text.iter().flat_map(|b| format!("={b:02X}").into_bytes()).collect();
        assert!(body("needle", "Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0", &qp), "{lead}");
        assert!(body("nneedlenn", "Content-Type: text/plain; charset=gbk", &text), "{lead}");
        let mut wide: Vec<u8> = "ö".repeat(lead / 2).into_bytes();
        wide.extend_from_slice("nadel ä".as_bytes());
        assert!(body("nadel ä", "Content-Type: text/plain; charset=utf-8", &wide), "{lead}");
        // The first piece is searched as it is, the second decoded, and the match lies in both.
        let mut late = vec![b'n'; lead - 5];
        late.extend_from_slice("NADEL é".as_bytes());
        let late: Vec<u8> = late.iter().flat_map(|b| format!("={b:02X}").into_bytes()).collect();
        assert!(body("nadel e", "Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0", &late), "{lead}");
    }
}

#[test]
fn finding_agrees_with_the_plain_way() {
    let text = b"Abracadabra, aab AAAB ab";
    for start in 0..text.len() {
        for end in start..=text.len() {
            let needle = std::str::from_utf8(&text[start..end]).unwrap();
            for from in 0..text.len() {
                let hay = &text[from..];
                let is_in =
                    |hay: &[u8], needle: &[u8]| needle.is_empty() || hay.windows(needle.len()).any(|w| w == needle);
                let plain = is_in(&hay.to_ascii_lowercase(), needle.to_ascii_lowercase().as_bytes());
                for (by, plain) in [(Collation::AsciiCasemap, plain), (Collation::Octet, is_in(hay, needle.as_bytes()))]
                {
                    assert_eq!(Finder::new(needle, by).is_in_ascii(hay), plain, "{needle:?} from {from}");
                }
            }
        }
    }
}

/// The address behind a comment was not found: FROM looked at the field as written only.
#[test]
fn addresses_are_found_behind_their_comments() {
    let header = b"From: <user-from (comment)@ (comment) domain.org>\r\nSubject: <a (b)@ c>\r\n\r\n";
    let found = |needle: &str, name: &str| Needle::new(needle).matches_header_block(header, Some(name));
    assert!(found("user-from@domain.org", "from") && found("(comment)", "FROM"));
    assert!(!found("user-from@domain.com", "from"));
    assert!(!found("a@c", "subject"), "only fields of addresses");
}

/// RFC 4790 §9, RFC 5051: what is found where, by i;unicode-casemap, i;ascii-casemap and i;octet.
#[test]
fn what_is_found_is_a_matter_of_the_collation() {
    for (needle, text, found) in [
        ("Abc", "xAbcx", [true, true, true]),
        ("abc", "xABCx", [true, true, false]),
        ("ABC", "xabcx", [true, true, false]),
        ("Käse", "Käse", [true, true, true]),
        ("kÄse", "Käse", [true, false, false]),
        ("käSE", "Käse", [true, true, false]),
        ("cafe", "café", [true, false, false]),
        ("a\u{308}", "ä", [true, false, false]),
        ("fin", "ﬁn", [true, false, false]),
        ("k", "\u{212a}", [true, false, false]),
        ("", "x", [true, true, true]),
    ] {
        for (collation, found) in Collation::ALL.into_iter().zip(found) {
            let needle = Needle::by(collation, needle);
            let why = format!("{collation:?}: {needle:?} in {text:?}");
            assert_eq!(needle.matches_header_value(text.as_bytes()), found, "{why}");
            let encoded = text.bytes().map(|byte| format!("={byte:02X}")).collect::<String>();
            let word = format!("=?utf-8?q?{encoded}?=");
            assert_eq!(needle.matches_header_value(word.as_bytes()), found, "{why}, encoded");
            // What precedes it is not ASCII, comes in pieces, and is longer than what is searched at a time.
            for before in ["", "ü", &"ü".repeat(10_000)] {
                let body = [before, text].concat();
                for (head, body) in [
                    ("Content-Type: text/plain; charset=utf-8", body.clone().into_bytes()),
                    ("MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable", quoted_printable(&body)),
                ] {
                    assert_eq!(needle.matches_message(&message(head, &body), false), found, "{why}, {head}");
                }
            }
        }
    }
    let octets = |needle| Needle::by(Collation::Octet, needle);
    let header = b"Subject: Hello\r\n\r\n";
    assert!(octets("Hello").matches_header_block(header, Some("SUBJECT")));
    assert!(!octets("hello").matches_header_block(header, Some("SUBJECT")));
    // ASCII before the first letter beyond it is searched as it is, also where the two meet.
    let mixed = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable";
    for (needle, found) in [("Ab=C3=BC", false), ("Abü", true), ("abü", false)] {
        assert_eq!(octets(needle).matches_message(&message(mixed, b"xA=\r\nb=C3=BC"), false), found, "{needle}");
    }
}

/// A word is looked for in a plain block as a whole; that must find what its lines have, unfolded and decoded one by one.
#[test]
fn a_word_is_in_a_header_when_it_is_in_one_of_its_lines() {
    let pieces: [&[u8]; 11] = [b"a", b"B", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"=?", b"\0", b"\xe4"];
    let needles = ["a", "ab", "a:b", "ba", "a b", "=?a"].map(Needle::new);
    let mut found = 0;
    for n in 0..pieces.len().pow(5) {
        let block: Vec<u8> = (0..5).flat_map(|i| pieces[n / pieces.len().pow(i) % pieces.len()]).copied().collect();
        for needle in &needles {
            let by_lines = logical_lines(&block).any(|line| needle.matches_header_value(line.trim_ascii_end()));
            let header = &block[..logical_lines(&block).map(<[u8]>::len).sum::<usize>()];
            assert_eq!(
                needle.matches_lines(header),
                by_lines,
                "{:?} in {:?}",
                needle.text,
                block.escape_ascii().to_string()
            );
            found += usize::from(by_lines);
        }
    }
    assert!(found > 10_000);
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("={byte:02X}")).collect::<String>();
    text.as_bytes().chunks(25).map(line).collect::<Vec<_>>().join("=\r\n").into_bytes()
}
