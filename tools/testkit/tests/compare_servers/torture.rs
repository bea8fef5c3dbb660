//! Mail that is hard to read: every header form and every shape of MIME, by chance.

use skein_testkit::random::Random;

const WORDS: [&str; 12] =
    ["apple", "Banana", "cherry", "DELTA", "echo", "foxtrot", "re", "fwd", "x", "long-word-here", "42", "a.b"];

/// Bodies of a multipart whose boundary is `b`: boundaries at the end of the message, in headers, and of several levels.
pub const BOUNDARIES: &[&str] = &[
    "--b",
    "--bz",
    "--b--",
    "x\r\n--b",
    "--b\r\n--b",
    "--b\r\n--b\r\n",
    "--b\r\n--b--",
    "--b\r\n--bz--",
    "--b\r\n--bz--\r\n",
    "--b\r\n--b \t",
    "--b\r\n--b\r\n--b",
    "--b\r\n\r\n--b",
    "--b\r\n\r\nx\r\n--b",
    "--b\r\n\r\nx\r\n--b\r\n",
    "--b\r\n\r\nx\r\n--bz--",
    "--b\r\nA: b\r\n--b",
    "--b\r\nA: b\r\n--bz--",
    "--b\r\nno colon\r\n--c\r\n--b\r\nno colon\r\n--b--\r\n",
    "--b\r\nContent-Type: message/rfc822\r\n--b",
    "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n--b",
    "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n--b",
    "--b\r\nContent-Type: message/rfc822\r\n\r\nno colon\r\n--b\r\n",
    "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b",
    "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c",
    "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n--b",
    "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nno colon\r\n--b\r\nno colon",
    "--b\r\nContent-Type: multipart/digest; boundary=c\r\n\r\n--c\r\n\r\n--c\r\nA: b\r\n--c\r\n\r\nA: b\r\n--b\r\n",
];

/// A message.
pub fn mail(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    if random.chance(3) {
        return out;
    }
    headers(&mut out, random);
    entity(&mut out, random, 0);
    if random.chance(10) {
        // A message that ends without a line end.
        out.truncate(out.len().saturating_sub(2));
    }
    out
}

/// Some words of the vocabulary.
pub fn words(random: &mut Random, most: usize) -> String {
    let count = random.between(1, most + 1);
    (0..count).map(|_| random.word(&WORDS)).collect::<Vec<_>>().join(" ")
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn headers(out: &mut Vec<u8>, random: &mut Random) {
    const NAMES: [&str; 8] = ["From", "To", "Cc", "Bcc", "Sender", "Reply-To", "to", "FROM"];
    for name in NAMES {
        if random.chance(45) {
            line(out, &format!("{name}:{}{}", random.word(&[" ", "", "  ", "\t", "\r\n "]), addresses(random)));
        }
    }
    for _ in 0..random.below(3) {
        line(out, &format!("Subject: {}", subject(random)));
    }
    if random.chance(97) {
        line(out, &format!("Date: {}", date(random)));
    }
    if random.chance(70) {
        line(out, &format!("Message-ID: {}", id(random)));
    }
    for name in ["In-Reply-To", "References"] {
        if random.chance(50) {
            let ids: Vec<String> = (0..random.between(1, 4)).map(|_| id(random)).collect();
            line(out, &format!("{name}: {}", ids.join(random.word(&[" ", "\r\n ", "", ","]))));
        }
    }
    for _ in 0..random.below(3) {
        let name = random.word(&["X-Test", "x-test", "X-Odd Name", "Received", "X-Empty"]);
        let value = words(random, 5);
        line(out, &format!("{name}: {value}"));
    }
    if random.chance(4) {
        line(out, "a line without a colon");
    }
}

fn id(random: &mut Random) -> String {
    match random.below(12) {
        0 => "no brackets".into(),
        1 => "<broken@".into(),
        2 => format!("<\"quoted {}\"@example.org>", random.below(6)),
        3 => format!("(comment) <id{}@example.org>", random.below(6)),
        _ => format!("<id{}@example.org>", random.below(12)),
    }
}

fn subject(random: &mut Random) -> String {
    let text = words(random, 4);
    match random.below(14) {
        0 => format!("Re: {text}"),
        1 => format!("Re[2]: {text} (fwd)"),
        2 => format!("[list] Fwd: [other] {text}"),
        3 => format!("[Fwd: Re: {text}]"),
        4 => "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=".into(),
        5 => "=?iso-8859-1?b?R3L832U=?= and =?utf-8?q?more_?= =?utf-8?q?words?=".into(),
        6 => format!("{text}\r\n folded {text}"),
        7 => String::new(),
        8 => "RE : re:re: ".into(),
        9 => "raw \u{fc}tf-8 \u{4e2d}".into(),
        10 => format!("with \"quotes\" and \\ {text}"),
        _ => text,
    }
}

fn addresses(random: &mut Random) -> String {
    let all: Vec<String> = (0..random.between(1, 4)).map(|_| address(random)).collect();
    all.join(random.word(&[", ", ",", ",\r\n ", " , ", ",,"]))
}

fn address(random: &mut Random) -> String {
    let user = random.word(&["anna", "Bob", "carl.c", "d+d", "zoe"]);
    let domain = random.word(&["example.org", "Example.COM", "[127.0.0.1]", "a.b.c.example"]);
    match random.below(20) {
        0 => "group: a@b.example, c@d.example;".into(),
        1 => "undisclosed-recipients:;".into(),
        2 => format!("<@route.example,@b.example:{user}@{domain}>"),
        3 => format!("\"Quoted, \\\"Name\\\"\" <{user}@{domain}>"),
        4 => format!("{user}@{domain} (a (nested) comment)"),
        5 => format!("=?utf-8?q?M=C3=BCller?= <{user}@{domain}>"),
        6 => user.to_string(),
        7 => format!("<{user}>"),
        8 => format!("{user} @ {domain}"),
        9 => "<>".into(),
        10 => format!("Two Words <{user}@{domain}"),
        11 => format!("\"{user} x\"@{domain}"),
        12 => format!("name. with. dots <{user}@{domain}>"),
        13 => "broken@@twice.example".into(),
        14 => format!("\"unterminated <{user}@{domain}>"),
        15 => format!("{user}@{domain} {user}@{domain}"),
        16 => format!("Name ({user}) <{user}@{domain}>"),
        17 => "a@b; c@d".into(),
        _ => format!("{user}@{domain}"),
    }
}

fn date(random: &mut Random) -> String {
    let (day, hour) = (random.between(1, 29), random.below(24));
    let month = random.word(&["Jan", "Feb", "Mar", "Dec", "dec"]);
    let year = random.word(&["1999", "2005", "2020", "05", "99"]);
    match random.below(9) {
        0 => format!("{day} {month} {year} {hour:02}:10 GMT"),
        1 => format!("Mon, {day} {month} {year} {hour:02}:10:59 -0830"),
        2 if random.chance(20) => "not a date".into(),
        3 => format!("{day} {month} {year} {hour:02}:10:00 EST (comment)"),
        4 => format!("Tue, {day:02}  {month}  {year} {hour:02}:59:60 +0000"),
        _ => format!("Wed, {day} {month} {year} {hour:02}:00:01 +0200"),
    }
}

/// MIME headers, an empty line, and what they promise; or not.
fn entity(out: &mut Vec<u8>, random: &mut Random, depth: usize) {
    if depth > 0 || random.chance(60) {
        line(out, "MIME-Version: 1.0");
    }
    mime_headers(out, random);
    match random.below(if depth < 3 { 10 } else { 6 }) {
        0 => {
            line(out, "");
            text(out, random);
        }
        1..=4 => leaf(out, random),
        5 => {
            line(out, "Content-Type: TEXT/plain; charset=UTF-8; format=flowed");
            line(out, "Content-Transfer-Encoding: quoted-printable");
            line(out, "");
            line(out, "Gr=C3=BC=C3=9Fe soft=\r\n break apple=20\r\n=zz bad");
        }
        6 => {
            line(out, random.word(&["Content-Type: message/rfc822", "content-type: Message/RFC822; name=x.eml"]));
            line(out, "");
            headers(out, random);
            entity(out, random, depth + 1);
        }
        _ => multipart(out, random, depth),
    }
}

fn mime_headers(out: &mut Vec<u8>, random: &mut Random) {
    if random.chance(20) {
        line(out, &format!("Content-ID: {}", id(random)));
    }
    if random.chance(20) {
        line(out, &format!("Content-Description: {}", subject(random)));
    }
    if random.chance(30) {
        let forms = [
            "attachment; filename=\"a b.txt\"",
            "inline",
            "ATTACHMENT; filename*=utf-8''%e2%82%ac.txt; size=12",
            "attachment; filename*0=long; filename*1=\"er.txt\"",
            "attachment; filename=",
            "\"quoted\"; x=y",
            "",
        ];
        line(out, &format!("Content-Disposition: {}", random.word(&forms)));
    }
    if random.chance(15) {
        let forms = ["en", "en, de", "EN-us (English)", "", "de,,fr"];
        line(out, &format!("Content-Language: {}", random.word(&forms)));
    }
    if random.chance(10) {
        line(out, "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==");
    }
    if random.chance(10) {
        line(out, &format!("Content-Location: http://example.org/{}", words(random, 2)));
    }
}

fn leaf(out: &mut Vec<u8>, random: &mut Random) {
    let types = [
        "text/plain",
        "text/html; charset=\"iso-8859-1\"",
        "application/octet-stream; name=x",
        "image/gif",
        "text/plain; charset=us-ascii (a comment)",
        "text",
        "/",
        "text/plain;; charset=utf-8",
        "x y/z",
        "text/plain; charset",
        "text/plain; a=\"unterminated",
        "message/delivery-status",
        "message/partial; id=1",
        "message/external-body; access-type=x",
        "application/x; a=\"\\\"\"; b=(c)d",
    ];
    line(out, &format!("Content-Type: {}", random.word(&types)));
    let encodings = ["7bit", "8BIT", "base64", "Quoted-Printable", "x-odd", "", "base64 (comment)", "binary"];
    if random.chance(60) {
        line(out, &format!("Content-Transfer-Encoding: {}", random.word(&encodings)));
    }
    line(out, "");
    match random.chance(30) {
        true => line(out, "aGVsbG8gYXBwbGUgYmFuYW5hIGNoZXJyeQ=="),
        false => text(out, random),
    }
}

fn multipart(out: &mut Vec<u8>, random: &mut Random, depth: usize) {
    // Boundaries that begin alike are easily mistaken.
    let boundary = random.word(&["b", "bb", "b-1", "=_x y", "b'()+_,-./:=?"]).to_string() + &"z".repeat(depth);
    let kind = random.word(&["mixed", "alternative", "DIGEST", "related; type=\"text/html\"", "signed", "x-odd"]);
    if random.chance(95) {
        line(out, &format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\""));
    } else {
        line(out, &format!("Content-Type: multipart/{kind}"));
    }
    line(out, "");
    if random.chance(40) {
        line(out, "a preamble");
    }
    for _ in 0..random.below(4) {
        line(out, &format!("--{boundary}{}", random.word(&["", "", "", " ", "\t", "x"])));
        entity(out, random, depth + 1);
    }
    if random.chance(85) {
        line(out, &format!("--{boundary}--"));
        if random.chance(40) {
            line(out, "an epilogue");
        }
    }
}

fn text(out: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(6) {
        let text = match random.below(12) {
            0 => String::new(),
            1 => "From the start".into(),
            2 => ".".into(),
            3 => "x".repeat(random.between(70, 1100)),
            4 => "ra\u{fc} \u{20ac}".into(),
            5 => "--b".into(),
            _ => words(random, 8),
        };
        line(out, &text);
    }
}
