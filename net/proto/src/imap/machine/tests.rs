//! Bounds, memory, and whatever bytes may come. Conversations are in `tests/imap_dialogs.rs`.

use super::*;
use crate::imap::limits::APPEND_MESSAGES_MAX;
use crate::imap::{Code, StatusInfo};
use crate::sasl::Question;
use proptest::prelude::*;
use skein_base::Class;
use skein_base::limits::{
    COMMAND_LINE_BYTES_MAX, COMMAND_LINE_PREAUTH_BYTES_MAX, COMMAND_LITERALS_BYTES_MAX, LITERAL_BYTES_MAX,
};

/// A session that says yes to everything, or no to everything.
fn obey(request: &Request, yes: bool) -> Reply {
    match request {
        Request::Sync { .. } | Request::IdleEnd | Request::AppendAbort | Request::Enable | Request::Logout => {
            Reply::Done
        }
        _ if !yes => Reply::no(Class::Denied, "No."),
        Request::Login { user, .. } => Reply::LoggedIn { user: user.clone() },
        Request::Sasl(Question::Keys { hash, .. }) => {
            let keys = skein_base::scram::ScramKeys::decoy(*hash, &[0; 32], "x", 1, 8);
            Reply::Keys(Box::new(crate::sasl::ScramAnswer { keys, nonce: [0; 18] }))
        }
        Request::Sasl(_) => Reply::LoggedIn { user: "x".to_string() },
        Request::Select { .. } => Reply::Selected(Box::default()),
        Request::Status { .. } => Reply::Status(StatusInfo::default()),
        Request::AppendBegin(_) | Request::AppendMessage { .. } | Request::AppendUrl(_) => Reply::Continue,
        Request::AppendLiteral { .. } | Request::AppendChunk(_) | Request::Idle => Reply::Continue,
        _ => Reply::Done,
    }
}

/// Feeds all of it as the pump does; the lines that came out.
fn talk(imap: &mut Imap, input: &[u8]) -> String {
    let mut rest = input;
    let mut output = Vec::new();
    loop {
        match imap.next() {
            Step::Ask(request) => imap.answer(obey(&request, true)),
            Step::StartTls => imap.tls_started(true),
            Step::StartDeflate => imap.deflate_started(),
            Step::Close(_) => break,
            Step::More if rest.is_empty() => break,
            Step::More => {
                let used = imap.feed(rest);
                rest = &rest[used..];
            }
        }
        output.append(imap.out());
    }
    output.append(imap.out());
    String::from_utf8(output).unwrap()
}

fn connected() -> Imap {
    let mut imap = Imap::new(Arc::new(ImapConfig::default()), true);
    imap.out().clear();
    imap
}

fn logged_in() -> Imap {
    let mut imap = connected();
    talk(&mut imap, b"a0 LOGIN tim x\r\n");
    assert!(imap.logged_in());
    imap
}

/// Fed whole, and one byte at a time.
fn check(start: fn() -> Imap, input: &[u8], expect: &str) {
    assert_eq!(talk(&mut start(), input), expect);
    let mut imap = start();
    let output: String = input.iter().map(|&byte| talk(&mut imap, &[byte])).collect();
    assert_eq!(output, expect, "byte by byte");
}

#[test]
fn a_line_may_be_so_long_and_no_longer() {
    let noop = |bytes: usize| format!("a1 NOOP{}\r\na2 NOOP\r\n", " ".repeat(bytes - 9));
    let fine = "a1 OK NOOP completed.\r\na2 OK NOOP completed.\r\n";
    let long = "a1 BAD Line is too long\r\na2 OK NOOP completed.\r\n";
    check(connected, noop(COMMAND_LINE_PREAUTH_BYTES_MAX).as_bytes(), fine);
    check(connected, noop(COMMAND_LINE_PREAUTH_BYTES_MAX + 1).as_bytes(), long);
    check(logged_in, noop(COMMAND_LINE_BYTES_MAX).as_bytes(), fine);
    check(logged_in, noop(COMMAND_LINE_BYTES_MAX + 1).as_bytes(), long);
    check(logged_in, noop(5 * COMMAND_LINE_BYTES_MAX).as_bytes(), long);
    let endless = "x".repeat(COMMAND_LINE_PREAUTH_BYTES_MAX + 100);
    check(
        connected,
        format!("{endless}\r\na2 NOOP\r\n").as_bytes(),
        "* BAD Line is too long\r\na2 OK NOOP completed.\r\n",
    );
}

#[test]
fn lines_of_one_command_add_up() {
    let piece = format!("{} {{1+}}\r\nx", "y".repeat(COMMAND_LINE_BYTES_MAX / 2));
    let input = format!("a1 SEARCH {piece}{piece}{piece} z\r\na2 NOOP\r\n");
    check(selected, input.as_bytes(), "a1 BAD Line is too long\r\na2 OK NOOP completed.\r\n");
}

fn selected() -> Imap {
    let mut imap = logged_in();
    talk(&mut imap, b"a0 SELECT x\r\n");
    assert!(imap.selected());
    imap
}

#[test]
fn a_literal_at_the_end_of_a_line_that_is_too_long_is_skipped_too() {
    for spaces in [COMMAND_LINE_BYTES_MAX, COMMAND_LINE_BYTES_MAX - 20] {
        let input = format!("a1 LIST{} {{12+}}\r\nx x\r\na9 NOOP {{5+}}\r\n12345\r\na2 NOOP\r\n", " ".repeat(spaces));
        check(logged_in, input.as_bytes(), "a1 BAD Line is too long\r\na2 OK NOOP completed.\r\n");
    }
}

#[test]
fn literals_are_bounded_one_by_one_and_together() {
    let literal = |bytes: usize| format!("{{{bytes}+}}\r\n{}", "x".repeat(bytes));
    let big = literal(LITERAL_BYTES_MAX + 1);
    let too_big = "a1 NO [TOOBIG] Literal is too large\r\na2 OK NOOP completed.\r\n";
    check(selected, format!("a1 SEARCH TEXT {big}\r\na2 NOOP\r\n").as_bytes(), too_big);
    let full = literal(LITERAL_BYTES_MAX);
    let four = format!("TEXT {full} TEXT {full} TEXT {full} TEXT {full}");
    let fine = "a1 OK SEARCH completed.\r\n";
    check(selected, format!("a1 SEARCH {four}\r\n").as_bytes(), fine);
    check(selected, format!("a1 SEARCH {four} TEXT {{1+}}\r\nx\r\na2 NOOP\r\n").as_bytes(), too_big);
    let asked = format!("a1 SEARCH TEXT {{{}}}\r\na2 NOOP\r\n", LITERAL_BYTES_MAX + 1);
    check(selected, asked.as_bytes(), too_big);
    check(logged_in, b"a1 SELECT {99999999999999999999999}\r\na2 NOOP\r\n", too_big);
    check(logged_in, b"a1 SELECT {99999999999999999999999+}\r\n", "* BYE [TOOBIG] Literal is too large.\r\n");
}

#[test]
fn where_literal_minus_is_offered_large_literals_are_waited_with() {
    let careful = || {
        let config = ImapConfig { literal_minus: true, ..ImapConfig::default() };
        let mut imap = Imap::new(Arc::new(config), true);
        imap.out().clear();
        talk(&mut imap, b"a0 LOGIN tim x\r\n");
        imap
    };
    let literal = |bytes: usize| format!("{{{bytes}+}}\r\n{}", "x".repeat(bytes));
    let bad = "a1 BAD A literal of more than 4096 bytes must be waited with\r\na2 OK NOOP completed.\r\n";
    check(careful, format!("a1 APPEND x {}\r\n", literal(4096)).as_bytes(), "a1 OK APPEND completed.\r\n");
    check(careful, format!("a1 APPEND x {}\r\na2 NOOP\r\n", literal(4097)).as_bytes(), bad);
    check(careful, format!("a1 APPEND x ~{}\r\na2 NOOP\r\n", literal(4097)).as_bytes(), bad);
    check(careful, format!("a1 APPEND x {{1+}}\r\ny {}\r\na2 NOOP\r\n", literal(4097)).as_bytes(), bad);
    check(careful, format!("a1 LIST {{1+}}\r\nx {}\r\na2 NOOP\r\n", literal(4097)).as_bytes(), bad);
    let waited = format!("a1 APPEND x {{4097}}\r\n{}\r\n", "x".repeat(4097));
    check(careful, waited.as_bytes(), "+ OK\r\na1 OK APPEND completed.\r\n");
}

#[test]
fn twenty_wrong_commands_in_a_row_close_the_connection() {
    let mut imap = logged_in();
    for _ in 0..19 {
        assert_eq!(talk(&mut imap, b"a FOO\r\n"), "a BAD Unknown command\r\n");
    }
    talk(&mut imap, b"a NOOP\r\n");
    for _ in 0..19 {
        talk(&mut imap, b"a FOO\r\n");
    }
    assert!(talk(&mut imap, b"a FOO\r\n").ends_with("* BYE Too many wrong commands.\r\n"));
    assert!(matches!(imap.next(), Step::Close(Why::TooManyBadCommands)));
    assert_eq!(imap.feed(b"a NOOP\r\n"), 0);
}

#[test]
fn other_lines_are_bounded_as_well() {
    let long = "x".repeat(COMMAND_LINE_BYTES_MAX + 1);
    let sasl = format!("a1 AUTHENTICATE PLAIN\r\n{long}\r\na2 NOOP\r\n");
    check(connected, sasl.as_bytes(), "+ \r\na1 BAD Line is too long\r\na2 OK NOOP completed.\r\n");
    let idle = format!("a1 IDLE\r\n{long} {{3+}}\r\nabc\r\na2 NOOP\r\n");
    check(logged_in, idle.as_bytes(), "+ idling\r\na1 BAD Expected DONE\r\na2 OK NOOP completed.\r\n");
    let tail = format!("a1 APPEND x {{3+}}\r\nabc{long}\r\na2 NOOP\r\n");
    check(logged_in, tail.as_bytes(), "a1 BAD Line is too long\r\na2 OK NOOP completed.\r\n");
}

#[test]
fn line_ends() {
    check(connected, b"a1 NOOP\na2 NOOP\r\n", "a1 OK NOOP completed.\r\na2 OK NOOP completed.\r\n");
    let bad = "a1 BAD NUL or lone carriage return in a command\r\na2 OK NOOP completed.\r\n";
    check(connected, b"a1 NO\0OP\r\na2 NOOP\r\n", bad);
    check(connected, b"a1 NOOP\r\r\na2 NOOP\r\n", bad);
    check(connected, b"a1 LOGIN \0 {3+}\r\nabc x\r\na2 NOOP\r\n", bad);
    // The literal's own carriage return is not part of the line break.
    check(connected, b"a1 LOGIN x {2+}\r\ny\r\n", &talk(&mut connected(), b"a1 LOGIN x y\r\n"));
}

#[test]
fn a_message_comes_in_chunks() {
    let mut imap = logged_in();
    let size = 2 * crate::imap::limits::APPEND_CHUNK_BYTES + 10;
    let input = format!("a1 APPEND x {{{size}+}}\r\n{}\r\n", "y".repeat(size));
    let (mut rest, mut chunks) = (input.as_bytes(), Vec::new());
    while !rest.is_empty() {
        let used = imap.feed(&rest[..rest.len().min(1000)]);
        rest = &rest[used..];
        if let Step::Ask(request) = imap.next() {
            if let Request::AppendChunk(chunk) = &request {
                chunks.push(chunk.len());
            }
            imap.answer(obey(&request, true));
        }
    }
    assert_eq!(chunks, [65_536, 65_536, 10]);
    assert_eq!(imap.out(), b"a1 OK APPEND completed.\r\n");
}

#[test]
fn one_command_brings_so_many_messages_and_no_more() {
    let append = |messages: usize| format!("a1 APPEND x{}\r\na2 NOOP\r\n", " {1+}\r\ny".repeat(messages));
    let fine = "a1 OK APPEND completed.\r\na2 OK NOOP completed.\r\n";
    assert_eq!(talk(&mut logged_in(), append(APPEND_MESSAGES_MAX).as_bytes()), fine);
    let many = "a1 NO [LIMIT] Too many messages in one command\r\na2 OK NOOP completed.\r\n";
    assert_eq!(talk(&mut logged_in(), append(APPEND_MESSAGES_MAX + 1).as_bytes()), many);
}

/// What is gathered between two messages has the bounds of any command; a message begins them anew.
#[test]
fn words_of_an_append_are_bounded_between_its_messages() {
    let said = |parts: String| {
        let input = format!("a1 APPEND x CATENATE ({parts})\r\na2 NOOP\r\n");
        talk(&mut logged_in(), input.as_bytes())
    };
    let urls = |bytes: usize, count: usize| {
        let url = format!("{}/;UID=1", "/x".repeat(bytes / 2));
        vec![format!("URL {{{}+}}\r\n{url}", url.len()); count].join(" ")
    };
    let fine = "a1 OK APPEND completed.\r\na2 OK NOOP completed.\r\n";
    let fits = COMMAND_LITERALS_BYTES_MAX / (1000 + 7);
    assert_eq!(said(urls(1000, fits)), fine);
    assert_eq!(said(urls(1000, fits + 1)), "a1 NO [TOOBIG] Literal is too large\r\na2 OK NOOP completed.\r\n");
    let lines = COMMAND_LINE_BYTES_MAX / "URL {9+}\r\n ".len();
    assert_eq!(said(urls(2, lines - 2)), fine);
    assert_eq!(said(urls(2, lines + 1)), "a1 BAD Line is too long\r\na2 OK NOOP completed.\r\n");
    let anew = format!("{} TEXT {{3+}}\r\nabc", urls(1000, fits));
    assert_eq!(said(vec![anew; 3].join(" ")), fine);
    let one = |bytes: usize| format!("URL {{{bytes}+}}\r\n{}", "x".repeat(bytes));
    assert!(said(one(LITERAL_BYTES_MAX)).starts_with("a1 NO [BADURL"));
    assert!(said(one(LITERAL_BYTES_MAX + 1)).starts_with("a1 NO [TOOBIG]"));
}

#[test]
fn one_question_at_a_time() {
    let mut imap = connected();
    assert_eq!(imap.feed(b"a1 LOGIN x y\r\na2 NOOP\r\n"), 14);
    assert_eq!(imap.feed(b"a2 NOOP\r\n"), 0);
    assert!(matches!(imap.next(), Step::Ask(Request::Login { .. })));
    assert!(matches!(imap.next(), Step::More));
    assert_eq!(imap.feed(b"a2 NOOP\r\n"), 0);
    imap.bye("Stopping.");
    assert!(matches!(imap.next(), Step::Close(Why::Bye)));
    imap.answer(Reply::LoggedIn { user: "x".to_string() });
    imap.bye("Again.");
    assert_eq!(imap.out(), b"* BYE Stopping.\r\n");
    assert!(!imap.logged_in());
}

/// A LOGOUT's answers wait behind changes that the store then lost.
#[test]
fn breaking_off_takes_back_what_was_to_be_told() {
    let mut imap = connected();
    imap.feed(b"a1 LOGOUT\r\n");
    while let Step::Ask(_) = imap.next() {
        imap.answer(Reply::Done);
    }
    assert!(!imap.out().is_empty());
    imap.break_off(&Code::Unavailable, "The disk is full");
    assert_eq!(imap.out(), b"* BYE [UNAVAILABLE] The disk is full\r\n");
    assert!(matches!(imap.next(), Step::Close(Why::BrokenOff)));
    imap.out().extend_from_slice(b"* 1 EXISTS\r\n");
    imap.break_off(&Code::Unavailable, "once more");
    assert!(imap.out().is_empty(), "one BYE is enough");
}

#[test]
fn an_idle_connection_is_small() {
    fn is_send<T: Send>() {}
    is_send::<Imap>();
    is_send::<Request>();
    is_send::<Reply>();
    assert!(size_of::<Imap>() <= 400, "{}", size_of::<Imap>());
    let mut imap = logged_in();
    talk(&mut imap, b"a1 SELECT {1+}\r\nx\r\na2 SEARCH TEXT {3+}\r\nabc\r\na3 APPEND x {3+}\r\nabc\r\n");
    for byte in b"a4 IDLE\r\n" {
        talk(&mut imap, &[*byte]);
    }
    imap.rest();
    assert!(imap.idling());
    assert_eq!(imap.out.capacity() + imap.intake.bytes.capacity(), 0);
    assert_eq!(imap.patience_seconds(), 1800);
}

#[test]
fn a_client_that_listens_hears_that_the_server_is_there_and_no_other() {
    let mut imap = logged_in();
    let mut said = |input: &[u8], expect: &str| {
        talk(&mut imap, input);
        imap.keep_alive();
        assert_eq!(String::from_utf8(std::mem::take(imap.out())).unwrap(), expect);
    };
    let line = "* OK Still here\r\n";
    said(b"", "");
    said(b"a1 IDLE\r\n", line);
    // Half of its end is no end.
    said(b"DO", line);
    said(b"NE\r\n", "");
    said(b"a2 NOTIFY SET (SELECTED (MessageNew MessageExpunge))\r\n", line);
    said(b"a3 NO", "");
    said(b"OP\r\n", line);
}

/// Pieces from which a client that knows the words makes trouble.
fn trouble() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"a1 ",
        b"LOGIN ",
        b"tim ",
        b"x",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"{3}",
        b"{3+}",
        b"{0+}",
        b"{70000+}",
        b"{9999999999+}",
        b"abc",
        b"\"",
        b"\\",
        b"(",
        b")",
        b"SELECT ",
        b"inbox",
        b"APPEND ",
        b"FETCH ",
        b"1:* ",
        b"FLAGS",
        b"BODY[",
        b"]",
        b"<0.1>",
        b"UID ",
        b"SEARCH ",
        b"NOT ",
        b"OR ",
        b"STORE ",
        b"+FLAGS ",
        b"\\Seen",
        b"IDLE",
        b"DONE",
        b"AUTHENTICATE PLAIN",
        b"AHRpbQB4",
        b"*",
        b"=",
        b"LOGOUT",
        b"STARTTLS",
        b"CLOSE",
        b"ENABLE CONDSTORE",
        b"STATUS x (MESSAGES)",
        b"MODSEQ",
        b"&",
        b"\xff",
        b"a0 LOGIN tim x\r\n",
        b"a0 SELECT x\r\n",
        b"a0 APPEND x {3+}\r\nabc\r\n",
        b"a0 APPEND x {3+}\r\nabc (\\Seen) ~{3+}\r\nabc",
        b" CATENATE (",
        b"URL ",
        b"/x/;UID=1/;SECTION=TEXT",
        b" TEXT {3+}\r\nabc",
        b" UTF8 (~{3+}\r\nabc)",
        b"REPLACE 1 ",
        b"a0 IDLE\r\n",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_comes_is_answered_within_bounds(input in trouble(), cuts in prop::collection::vec(1usize..40, 1..20), tls: bool, yes in 0u8..8) {
        let mut imap = Imap::new(Arc::new(ImapConfig { plaintext_login: true, ..ImapConfig::default() }), tls);
        let mut rest = &input[..];
        let mut cuts = cuts.into_iter().cycle();
        let mut questions = 0;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(cuts.next().unwrap())];
            let used = imap.feed(piece);
            rest = &rest[used..];
            match imap.next() {
                Step::Ask(request) => {
                    questions += 1;
                    imap.answer(obey(&request, questions % 8 != yes));
                }
                Step::More => prop_assert!(used > 0, "stuck"),
                Step::StartTls => imap.tls_started(true),
                Step::StartDeflate => imap.deflate_started(),
                Step::Close(_) => break,
            }
            // One command's own words, the greeting and BYE included.
            prop_assert!(imap.out().len() < 2048);
            prop_assert!(imap.out().is_empty() || imap.out().ends_with(b"\r\n"));
            imap.out().clear();
            prop_assert!(imap.intake.bytes.len() <= input.len());
        }
    }

    #[test]
    fn a_cut_changes_nothing(input in trouble(), at in any::<prop::sample::Index>()) {
        let cut = at.index(input.len() + 1);
        let (mut whole, mut parts) = (connected(), connected());
        let expect = talk(&mut whole, &input);
        let got = talk(&mut parts, &input[..cut]) + &talk(&mut parts, &input[cut..]);
        prop_assert_eq!(got, expect);
    }
}
