//! Each expectation is what a live Dovecot answered.

use super::*;
use crate::structure;

fn to(list: &str, expect: &str) {
    let mut out = Vec::new();
    envelope(format!("To: {list}\r\n\r\n").as_bytes(), &mut out);
    let expect = format!("(NIL NIL NIL NIL NIL {expect} NIL NIL NIL NIL)");
    assert_eq!(String::from_utf8_lossy(&out), expect, "{list:?}");
}

#[test]
fn addresses_of_the_rfc() {
    to("a@b", r#"((NIL NIL "a" "b"))"#);
    to("A B <a@b>", r#"(("A B" NIL "a" "b"))"#);
    to("\"A \\\"q\\\" B\" <a@b>", "(({7}\r\nA \"q\" B NIL \"a\" \"b\"))");
    to("A\r\n B\r\n\t<a@b>", r#"(("A B" NIL "a" "b"))"#);
    to("a@b (Com (x) ment)", r#"(("Com (x) ment" NIL "a" "b"))"#);
    to("(c) a@b", r#"((NIL NIL "a" "b"))"#);
    to("A <a@b> (com)", r#"(("A" NIL "a" "b"))"#);
    to("<@r1,@r2:a@b>", r#"((NIL "@r1,@r2" "a" "b"))"#);
    to("\"a b\"@c, \"\"@c", r#"((NIL NIL "a b" "c")(NIL NIL "" "c"))"#);
    to("a@[1.2.3.4]", r#"((NIL NIL "a" "[1.2.3.4]"))"#);
    to("< a @ b >", r#"((NIL NIL "a" "b"))"#);
    to(
        "G H: A <a@b>, c@d;, z@w",
        r#"((NIL NIL "G H" NIL)("A" NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "z" "w"))"#,
    );
    to("undisclosed-recipients:;", r#"((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))"#);
}

#[test]
fn broken_addresses() {
    to("", "NIL");
    to("(only comment)", "NIL");
    to("a", r#"((NIL NIL "a" "MISSING_DOMAIN"))"#);
    to("A B, c@d", r#"(("A B" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "c" "d"))"#);
    to("a@, @b", r#"((NIL NIL "a" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "b"))"#);
    to("a@b,,c@d,", r#"((NIL NIL "a" "b")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "c" "d"))"#);
    to("a <b@c, d@e", r#"(("a" NIL "b" "SYNTAX_ERROR")(NIL NIL "d" "e"))"#);
    to("A <a b@c>", r#"(("A" NIL "a" "SYNTAX_ERROR"))"#);
    to("a@b <c@d>, e@f", r#"((NIL NIL "a" "b"))"#);
    to("A.B. C <a.@b>", r#"(("A.B. C" NIL "a." "b"))"#);
    to("a. b@c", "(({4}\r\na. b NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))");
    to("\"a\".b@c", r#"(("a" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    to("<@a,b@c>, <@a:>", r#"((NIL "INVALID_ROUTE" "b" "c")(NIL "@a" "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    to("\"un <a@b>", r#"((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    to(
        "\"un <a@b>, \"c x\"@d,\r\n e <f@g>",
        "(({17}\r\nun <a@b>, c x @d, NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))",
    );
    to("G: a@b; c@d", r#"((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))"#);
    to("G: H: a@b;;", r#"((NIL NIL "G" NIL)(NIL NIL "H" "MISSING_DOMAIN")(NIL NIL NIL NIL))"#);
    to("a (c), b (d) <x@y>", r#"(("c" NIL "a" "MISSING_DOMAIN")("b" NIL "x" "y"))"#);
}

#[test]
fn envelopes() {
    let check = |header: &str, expect: &str| {
        let mut out = Vec::new();
        envelope(header.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect, "{header:?}");
    };
    let subject = |text: &str, expect: &str| {
        check(&format!("Subject:{text}\r\n\r\n"), &format!("(NIL {expect} NIL NIL NIL NIL NIL NIL NIL NIL)"));
    };
    subject(" a b", "\"a b\"");
    subject("", "\"\"");
    subject("a\r\n\tb", "{3}\r\na b");
    subject("a \"q\" \\ b", "{9}\r\na \"q\" \\ b");
    subject("h\u{e9}", "{3}\r\nh\u{e9}");
    subject("a\0b", "{5}\r\na\u{fffd}b");
    check(
        "Date: \r\n Mon (c)\r\n 1\r\nMessage-ID: \"q\" \\\r\nIn-Reply-To: \\\\\\\\\\\r\n\r\n",
        "(\" Mon (c) 1\" NIL NIL NIL NIL NIL NIL NIL {5}\r\n\\\\\\\\\\ \"\\\"q\\\" \\\\\")",
    );
    let a = r#"((NIL NIL "a" "b")(NIL NIL "c" "d"))"#;
    check(
        "From: a@b\r\nSender: \r\nFrom: c@d\r\nSubject: 1\r\nSubject : 2\r\n\r\n",
        &format!("(NIL \"2\" {a} {a} {a} NIL NIL NIL NIL NIL)"),
    );
}

fn shape(message: &str, expect: &str) {
    let message = message.replace('\n', "\r\n");
    let mut out = Vec::new();
    body(message.as_bytes(), &structure(message.as_bytes()), &mut out);
    // Only what differs is written down: `T` is a text/plain part, `0+` the fake part of an empty multipart.
    let short =
        String::from_utf8_lossy(&out).replace(r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "#, "(T ");
    let short = short.replace("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", "(E)");
    assert_eq!(short, expect, "{message:?}");
}

#[test]
fn broken_structures() {
    let m = "Content-Type: multipart/mixed; boundary=x\n\n";
    let shape_in = |rest: &str, expect: &str| shape(&format!("{m}{rest}"), expect);
    shape_in("", r#"((T 0 0) "mixed")"#);
    shape_in("--x", r#"((T 0 0) "mixed")"#);
    shape_in("--x\n\na\n", r#"((T 3 1) "mixed")"#);
    shape_in("pre\n--x \t\n\na\n--x--\nepi\n--x\n\nb\n", r#"((T 1 0) "mixed")"#);
    shape_in("--xyz\n\na\n--x--", r#"((T 1 0) "mixed")"#);
    shape_in(
        "--x\nContent-Type: text/html\n--x\n\nb",
        r#"(("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 0 0)(T 1 0) "mixed")"#,
    );
    shape_in("--x\n--x\n\nb", r#"((T 0 0)(T 1 0) "mixed")"#);
    shape_in(" --x\n\na", r#"((T 0 0) "mixed")"#);
    let y = "--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\na\n";
    shape_in(&format!("{y}--x\n\nb\n--x--"), r#"(((T 1 0) "mixed")(T 1 0) "mixed")"#);
    shape_in(&y.replace("=y", "=x").replace("--y", "--x"), r#"(((T 3 1) "mixed") "mixed")"#);
    let dashes = "--x\nContent-Type: multipart/mixed; boundary=x--\n\n--x--\n\na\n--x----\n--x\n\nb\n--x--\n";
    shape_in(dashes, r#"(((T 1 0) "mixed")(T 1 0) "mixed")"#);
    // The inner boundary is not known while its own header is read.
    let early = "--x\nContent-Type: multipart/mixed; boundary=xb\n--xb\nA: b\n\n--xb--\n--x--\n";
    shape_in(early, r#"(((T 0 0) "mixed")(T 0 0)(T 0 0) "mixed")"#);
    shape_in(
        "--x\nContent-Type: message/rfc822\n\nSubject: s\n--x\n\nb\n--x--\n",
        r#"(("message" "rfc822" NIL NIL NIL "7bit" 12 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) (T 0 0) 1)(T 1 0) "mixed")"#,
    );
    shape(
        "Content-Type: multipart/digest; boundary=x\n\n--x\n\nA: s\n\nb\n--x\nContent-Type: text/plain\n\nc\n--x--",
        r#"(("message" "rfc822" NIL NIL NIL "7bit" 9 (E) (T 1 0) 2)(T 1 0) "digest")"#,
    );
    shape("Content-Type: message/rfc822", r#"("message" "rfc822" NIL NIL NIL "7bit" 0 (E) (T 0 0) 0)"#);
    shape("Content-Type: multipart/mixed\n\nbody", r#"((T 0 0) "mixed")"#);
    shape("Content-Type: multipart/; boundary=x\n\n--x\n\na\n--x--\n", r#"("" "" NIL NIL NIL "7bit" 17)"#);
    shape("Content-Type: multipart\n\nbody\n", r#"("application" "octet-stream" NIL NIL NIL "7bit" 6)"#);
    shape("", "(T 0 0)");
    shape("no colon\n\nx\ny", "(T 4 1)");
    // Without MIME-Version and Content-Type nothing else of MIME counts.
    shape("Content-Transfer-Encoding: base64\n\nx", "(T 1 0)");
}

#[test]
fn extension_data() {
    let check = |fields: &str, expect: &str| {
        let message = format!("MIME-Version: 1.0\r\n{fields}\r\n\r\nbody\r\n");
        let mut out = Vec::new();
        bodystructure(message.as_bytes(), &structure(message.as_bytes()), &mut out);
        let short = String::from_utf8_lossy(&out).replace(r#"("text" "plain" ("charset" "us-ascii") "#, "(T ");
        assert_eq!(short, expect, "{fields:?}");
    };
    check(
        "Content-Disposition: attachment; filename=\"a b\"; size=3",
        r#"(T NIL NIL "7bit" 6 1 NIL ("attachment" ("filename" "a b" "size" "3")) NIL NIL)"#,
    );
    check("Content-Disposition: a\r\nContent-Disposition: b", r#"(T NIL NIL "7bit" 6 1 NIL ("b" NIL) NIL NIL)"#);
    check("Content-Disposition: \"q\"; x=y", r#"(T NIL NIL "7bit" 6 1 NIL ("" ("x" "y")) NIL NIL)"#);
    check("Content-Language: en, de (c), \"x y\"", r#"(T NIL NIL "7bit" 6 1 NIL NIL ("en" "de") NIL)"#);
    check(
        "Content-Location: http://a b/\r\n c\r\nContent-MD5: x",
        r#"(T NIL NIL "7bit" 6 1 "x" NIL NIL "http://a b/ c")"#,
    );
    check(
        "Content-ID: <a>\r\nContent-ID: <b>\r\nContent-Description: a\r\n  b \"q\"",
        r#"(T "<a>" "a  b \"q\"" "7bit" 6 1 NIL NIL NIL NIL)"#,
    );
    check(
        "Content-Transfer-Encoding: a b\r\nContent-Transfer-Encoding: (c) 8BIT",
        r#"(T NIL NIL "8BIT" 6 1 NIL NIL NIL NIL)"#,
    );
}
