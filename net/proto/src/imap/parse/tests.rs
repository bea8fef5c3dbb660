//! Every verb and every complaint: a command in, what is made of it out.

use super::*;
use crate::imap::AppendTo;
use crate::imap::limits::{METADATA_NAMES_MAX, NOTIFY_GROUPS_MAX, NOTIFY_MAILBOXES_MAX};
use proptest::prelude::*;

/// What becomes of a command: the request, or the complaint.
fn parsed(command: &[u8]) -> String {
    let result = tag(command)
        .ok_or(Wrong::Bad("Invalid tag"))
        .and_then(|(_, rest)| verb(rest, Enabling::default(), |_| None))
        .and_then(|(said, cursor)| arguments(said.verb, cursor));
    match result {
        Ok(Command::Ask(request)) => format!("{request:?}"),
        Ok(other) => format!("{other:?}"),
        Err(Wrong::Bad(text)) => format!("BAD {text}"),
        Err(Wrong::BadCode(code, text)) => format!("BAD [{code:?}] {text}"),
        Err(Wrong::No(code, text)) => format!("NO [{code:?}] {text}"),
    }
}

fn check(command: &str, expect: &str) {
    assert_eq!(parsed(command.as_bytes()), expect, "{command}");
}

/// The part of the answer in question.
fn holds(command: &str, expect: &str) {
    let got = parsed(command.as_bytes());
    assert!(got.contains(expect), "{command}: {got}");
}

/// `BODY[]` and `BODY.PEEK[]` are one when neither makes anything seen.
#[test]
fn what_is_fetched_of_messages_to_come_is_asked_once() {
    let section = "Section(BodySection { path: [], text: All, partial: None, peek: true })";
    holds("a SEARCH RETURN (UPDATE (BODY[] BODY.PEEK[] UID)) ALL", &format!("list: [{section}, Uid]"));
}

#[test]
fn so_many_sources_and_no_more() {
    let sources = |count: usize| (0..count).map(|n| format!("mailboxes m{n}")).collect::<Vec<_>>().join(" ");
    let max = crate::imap::limits::SEARCH_SOURCES_MAX;
    holds(&format!("a ESEARCH IN ({}) ALL", sources(max)), "MultiSearch");
    check(&format!("a ESEARCH IN ({}) ALL", sources(max + 1)), "BAD Too many sources");
    // The same source again is none more.
    holds(&format!("a ESEARCH IN ({} mailboxes m0) ALL", sources(max)), "MultiSearch");
}

#[test]
fn tags_and_verbs() {
    check("a1 NOOP", "Plain");
    check("a1 nOOp", "Plain");
    check("a1 NOOP ", "Plain");
    check("a1 CAPABILITY", "Plain");
    check("] STARTTLS", "Plain");
    check("a1 LOGOUT", "Logout");
    check("a1 CLOSE", "Close");
    check("a1 UNSELECT", "Unselect");
    check("a1 CHECK", "Sync { expunges: true, check: true }");
    check("a1 IDLE", "Idle");
    check("a1 NAMESPACE", "Namespace");
    check("a1 EXPUNGE", "Expunge { uids: None }");
    check("+ NOOP", "BAD Invalid tag");
    check("a+1 NOOP", "BAD Invalid tag");
    check("a(1 NOOP", "BAD Invalid tag");
    check(" NOOP", "BAD Invalid tag");
    check("a1", "BAD Missing command");
    check("a1 ", "BAD Missing command");
    check("a1  NOOP", "BAD Missing command");
    check("a1 XNOOP", "BAD Unknown command");
    check("a1 NOOP x", "BAD Unexpected argument");
    check("a1 NOOP(", "BAD Unexpected argument");
    check("a1 UID", "BAD Missing argument");
    check("a1 UID ", "BAD Missing command after UID");
    check("a1 UID NOOP", "BAD Unknown command after UID");
    check("a1 UID UID FETCH", "BAD Unknown command after UID");
}

#[test]
fn login_and_authenticate() {
    check("a LOGIN tim x", "Login { user: \"tim\", password: Secret, authzid: None }");
    check("a LOGIN tim*boss x", "Login { user: \"tim*boss\", password: Secret, authzid: None }");
    check("a LOGIN t(m x", "BAD Missing argument");
    check("a LOGIN \"ti\\\"m\" {3}\r\nx y", "Login { user: \"ti\\\"m\", password: Secret, authzid: None }");
    check("a LOGIN {3+}\r\ntim {0}\r\n", "Login { user: \"tim\", password: Secret, authzid: None }");
    check("a LOGIN", "BAD Missing argument");
    check("a LOGIN tim", "BAD Missing argument");
    check("a LOGIN tim ", "BAD Expected a string");
    check("a LOGIN \"tim x", "BAD Missing closing quote");
    check("a LOGIN \"t\\im\" x", "BAD Only a quote or a backslash may follow a backslash");
    check("a LOGIN {9}\r\ntim", "BAD Misplaced {");
    check("a LOGIN {x}\r\ntim", "BAD Misplaced {");
    check("a LOGIN {3}\r\nt\0m x", "BAD NUL in a literal");
    check("a LOGIN tim x y", "BAD Unexpected argument");
    assert_eq!(parsed(b"a LOGIN {1}\r\n\xff x"), "BAD Text is not valid UTF-8");
    check("a AUTHENTICATE plain", "Authenticate { mechanism: \"PLAIN\", initial: None }");
    check("a AUTHENTICATE PLAIN =", "Authenticate { mechanism: \"PLAIN\", initial: Some([]) }");
    check("a AUTHENTICATE PLAIN AA==", "Authenticate { mechanism: \"PLAIN\", initial: Some([65, 65, 61, 61]) }");
    check("a AUTHENTICATE", "BAD Missing argument");
    check("a AUTHENTICATE PLAIN A B", "BAD Unexpected argument");
}

#[test]
fn id_and_enable() {
    check("a ID NIL", "Plain");
    check("a ID ()", "Plain");
    check("a ID (\"name\" \"x\" \"version\" NIL)", "Plain");
    check("a ID", "BAD Missing argument");
    check("a ID x", "BAD Expected a string");
    check("a ID \"x\"", "BAD Expected NIL or a list");
    check("a ID (\"name\")", "BAD Missing argument");
    let fields = |n: usize| format!("a ID ({})", vec!["\"k\" \"v\""; n].join(" "));
    check(&fields(30), "Plain");
    check(&fields(31), "BAD Too many fields");
    holds(
        "a ENABLE CONDSTORE",
        "condstore: true, qresync: false, metadata: false, metadata_server: false, utf8: false, rev2: false, uid_only: false, dots: false }",
    );
    holds("a ENABLE X-GOOD condstore", "condstore: true, qresync: false");
    holds("a ENABLE X", "condstore: false, qresync: false");
    holds("a ENABLE UidOnly", "rev2: false, uid_only: true, dots: false }");
    holds(
        "a ENABLE metadata-server Metadata",
        "metadata: true, metadata_server: true, utf8: false, rev2: false, uid_only: false, dots: false }",
    );
    check("a ENABLE", "BAD Missing argument");
    check("a ENABLE ", "BAD Missing capability");
}

/// SELECT of a name that none can have: the session refuses it, and nothing is selected then.
const NO_SUCH_NAME: &str = "Select { mailbox: \"\\0\", mode: ReadWrite, rev2: false, condstore: false, resync: None }";

#[test]
fn binary_and_preview() {
    holds("a FETCH 1 BINARY[]", "[Binary(BinarySection { path: [], partial: None, peek: false })]");
    check("a FETCH 1 BINARY.PEEK[0]", "BAD Part numbers start at 1");
    check("a FETCH 1 BINARY.PEEK[1.]", "BAD Expected a number");
    check("a FETCH 1 BINARY.PEEK[1", "BAD Missing ] after the section");
    check("a FETCH 1 BINARY.PEEK[1]<0.0>", "BAD The length of a partial fetch is at least 1");
    let deep = |n: usize| format!("a FETCH 1 BINARY.SIZE[{}]", vec!["1"; n].join("."));
    holds(&deep(skein_base::limits::MIME_DEPTH_MAX), "BinarySize([1, ");
    check(&deep(skein_base::limits::MIME_DEPTH_MAX + 1), "BAD Section is nested too deeply");
    holds("a FETCH 1 PREVIEW", "[Preview { form: Preview, lazy: false }]");
    holds("a FETCH 1 PREVIEW (lazy)", "[Preview { form: Preview, lazy: true }]");
    holds("a FETCH 1 (PREVIEW (FUZZY))", "[Preview { form: PreviewFuzzy, lazy: false }]");
    holds("a FETCH 1 (PREVIEW (LAZY=FUZZY FUZZY))", "[Preview { form: PreviewFuzzy, lazy: true }]");
    holds("a FETCH 1 (SNIPPET (LAZY=FUZZY) UID)", "[Preview { form: SnippetFuzzy, lazy: true }, Uid]");
    holds("a FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)", "lazy: true }, ModSeq] }, changed_since: Some(ModSeq(5))");
    holds("a FETCH 1 PREVIEW (CHANGEDSINCE 5)", "lazy: false }, ModSeq] }, changed_since: Some(ModSeq(5))");
    check("a FETCH 1 (PREVIEW (CHANGEDSINCE 5))", "BAD Unknown FETCH item");
    holds("a SEARCH X-GUID 00ff", "EmailId(\"M00ff\")");
}

#[test]
fn mailboxes() {
    check(
        "a SELECT inbox",
        "Select { mailbox: \"INBOX\", mode: ReadWrite, rev2: false, condstore: false, resync: None }",
    );
    check(
        "a EXAMINE inbox/a",
        "Select { mailbox: \"INBOX/a\", mode: ReadOnly, rev2: false, condstore: false, resync: None }",
    );
    holds("a SELECT inboxes", "\"inboxes\"");
    holds("a SELECT Entw&APw-rfe", "\"Entwürfe\"");
    holds("a SELECT x (condstore)", "condstore: true");
    check("a SELECT x (QRESYNC)", "BAD Missing argument");
    check("a SELECT x ()", "BAD Unknown SELECT parameter");
    check("a SELECT \"\"", NO_SUCH_NAME);
    check("a SELECT &bad", NO_SUCH_NAME);
    check("a SELECT &AAE-", NO_SUCH_NAME);
    check(&format!("a SELECT {}", "x".repeat(1025)), NO_SUCH_NAME);
    check("a SELECT a b", "BAD Unexpected argument");
    check("a SELECT a*", "BAD Unexpected argument");
    check("a CREATE a/b/", "Create { mailbox: \"a/b\", uses: SpecialUse(0) }");
    check("a CREATE \"\"", "NO [Cannot] Mailbox name is empty");
    check("a DELETE &bad", "NO [Cannot] Mailbox name is not valid modified UTF-7");
    check(&format!("a CREATE {}", "x".repeat(1025)), "NO [Limit] Mailbox name is too long");
    check("a CREATE /", "Create { mailbox: \"/\", uses: SpecialUse(0) }");
    check("a DELETE a/", "Delete { mailbox: \"a/\" }");
    check("a SUBSCRIBE a]b", "Subscribe { mailbox: \"a]b\" }");
    check("a UNSUBSCRIBE \"a b\"", "Unsubscribe { mailbox: \"a b\" }");
    check("a RENAME a b", "Rename { from: \"a\", to: \"b\" }");
    check("a RENAME a", "BAD Missing argument");
}

#[test]
fn lists_and_status() {
    check("a LIST \"\" *", "List { reference: \"\", patterns: [\"*\"], lsub: false, extended: None }");
    check(
        "a LIST \"\" \"Entw&APw-%\"",
        "List { reference: \"\", patterns: [\"Entwü%\"], lsub: false, extended: None }",
    );
    check("a LSUB ~/Mail/ %]", "List { reference: \"~/Mail/\", patterns: [\"%]\"], lsub: true, extended: None }");
    check("a LIST x/ inbox", "List { reference: \"x/\", patterns: [\"inbox\"], lsub: false, extended: None }");
    check("a LIST x \"\"", "Separator");
    check("a LIST \"\"", "BAD Missing argument");
    check("a LIST \"\" (", "BAD Expected a pattern");
    check("a STATUS x (MESSAGES)", "Status { mailbox: \"x\", items: StatusItems(1) }");
    let all = "RECENT unseen UIDNEXT uidvalidity HIGHESTMODSEQ messages";
    check(&format!("a STATUS x ({all})"), "Status { mailbox: \"x\", items: StatusItems(63) }");
    check("a STATUS x ()", "BAD Unknown STATUS item");
    check("a STATUS x (SIZES)", "BAD Unknown STATUS item");
    check("a STATUS x MESSAGES", "BAD Expected a list in parentheses");
    check("a STATUS x (MESSAGES", "BAD Expected a space or a closing parenthesis");
}

/// What becomes of a line of APPEND, or REPLACE: what is asked, and how it ends.
fn appended(verb: Verb, at: AppendAt, messages: usize, text: &str) -> String {
    let literal = literal::header_outside_quotes(text.as_bytes());
    match append_line(text.as_bytes(), AppendSoFar { verb, at, messages, enabled: Enabling::default() }, literal) {
        Err(wrong) => format!("{wrong:?}"),
        Ok(AppendLine { ask, then }) => {
            let told = |request: &Request| match request {
                Request::AppendBegin(AppendTo { mailbox, replaces: None }) => format!("to {mailbox}"),
                Request::AppendBegin(to) => format!("{to:?}"),
                Request::AppendMessage { flags, internal_date } => {
                    format!("message {} {:?} {internal_date:?}", flags.system.0, flags.keywords)
                }
                Request::AppendUrl(url) => format!("url {}", url.text),
                Request::AppendLiteral { size, binary } => format!("{}{size}", if *binary { "~" } else { "" }),
                other => format!("{other:?}"),
            };
            let ask: Vec<String> = ask.iter().map(told).collect();
            format!("{} > {then:?}", ask.join(", "))
        }
    }
}

#[test]
fn lines_of_append() {
    let check =
        |text: &str, expect: &str| assert_eq!(appended(Verb::Append, AppendAt::Head, 0, text), expect, "{text}");
    check(" INBOX {310}", "to INBOX, message 0 [] None, 310 > Message { at: Message }");
    check(" x () {310+}", "to x, message 0 [] None, 310 > Message { at: Message }");
    check(" {3}", " > Word { from: 0, at: Head }");
    check(" {3}\r\nx y {310}", "to x y, message 0 [] None, 310 > Message { at: Message }");
    let date = "\" 7-Feb-1994 21:52:25 -0800\"";
    let told = "to x, message 8 [\"work\"] Some(760686745), ~3 > Message { at: Message }";
    check(&format!(" x (\\Seen work) {date} ~{{3}}"), told);
    check(" x UTF8 (~{3+}", "to x, message 0 [] None, ~3 > Message { at: Utf8 }");
    check(" x catenate (text {3}", "to x, message 0 [] None, 3 > Message { at: Part }");
    check(" x CATENATE (UTF8 (~{3}", "to x, message 0 [] None, ~3 > Message { at: Utf8Part }");
    check(" x CATENATE (URL /a/;UID=1)", "to x, message 0 [] None, url /a/;UID=1 > End");
    check(
        " x CATENATE (URL \"/a/;UID=1\" TEXT {0+}",
        "to x, message 0 [] None, url /a/;UID=1, 0 > Message { at: Part }",
    );
    check(" x CATENATE (URL {9}", "to x, message 0 [] None > Word { from: 13, at: FirstPart }");
    check(" x CATENATE (URL /;UID=1 URL {9}", "to x, message 0 [] None, url /;UID=1 > Word { from: 24, at: Part }");
    let two = "to x, message 0 [] None, url /;UID=1, message 8 [] None, 3 > Message { at: Message }";
    check(" x CATENATE (URL /;UID=1) (\\Seen) {3}", two);
    check(" x", "Bad(\"A mailbox and a message are needed\")");
    check(" x ", "Bad(\"A mailbox and a message are needed\")");
    check(" x \"7-Feb-1994\" {3}", "Bad(\"Invalid date\")");
    check(" x (\\Foo) {3}", "Bad(\"Unknown system flag\")");
    check(" x y {3}", "Bad(\"Expected the message as a literal\")");
    check(" x {y {3}", "Bad(\"Expected the message as a literal\")");
    check(" x ~ {3}", "Bad(\"Expected the message as a literal\")");
    check(" x {0}", "to x, message 0 [] None, 0 > Message { at: Message }");
    check(" x~{3}", "Bad(\"Missing argument\")");
    check("{3}", "Bad(\"Missing argument\")");
    check(" x UTF8 ({3}", "Bad(\"Expected a literal that begins with ~\")");
    check(" x UTF8 ~{3}", "Bad(\"Expected the literal in parentheses\")");
    check(" x CATENATE TEXT {3}", "Bad(\"Expected the parts in parentheses\")");
    check(" x CATENATE ()", "Bad(\"Expected URL or TEXT\")");
    check(" x CATENATE (URL /;UID=1 )", "Bad(\"Expected URL or TEXT\")");
    check(" x CATENATE (URL /;UID=1", "Bad(\"Expected a space or a closing parenthesis\")");
    check(" x CATENATE (TEXT \"a\" {3}", "Bad(\"Expected the message as a literal\")");
    check(
        " x CATENATE (URL \"/a b\")",
        "No(BadUrl(\"/a b\"), \"The URL holds a character that must be percent-encoded\")",
    );
}

#[test]
fn lines_of_append_after_a_literal() {
    let check = |at: AppendAt, text: &str, expect: &str| {
        assert_eq!(appended(Verb::Append, at, 1, text), expect, "{text}");
    };
    check(AppendAt::Message, "", " > End");
    check(AppendAt::Message, "  ", " > End");
    check(AppendAt::Message, " (\\Seen) {3}", "message 8 [] None, 3 > Message { at: Message }");
    check(AppendAt::Message, "x", "Bad(\"Unexpected argument after the message\")");
    check(AppendAt::Message, " x", "Bad(\"Expected the message as a literal\")");
    check(AppendAt::Utf8, ")", " > End");
    check(AppendAt::Utf8, ") {3}", "message 0 [] None, 3 > Message { at: Message }");
    check(AppendAt::Utf8, "", "Bad(\"Expected a closing parenthesis after the literal\")");
    check(AppendAt::Utf8Part, ") TEXT {3}", "3 > Message { at: Part }");
    check(AppendAt::Utf8Part, "))", " > End");
    check(AppendAt::Part, ")", " > End");
    check(AppendAt::Part, " URL /;UID=1)", "url /;UID=1 > End");
    check(AppendAt::Part, "TEXT {3}", "Bad(\"Expected a space or a closing parenthesis\")");
    check(AppendAt::Part, "", "Bad(\"Expected a space or a closing parenthesis\")");
    check(AppendAt::FirstPart, "URL {9}\r\n/x/;UID=1 TEXT {3}", "url /x/;UID=1, 3 > Message { at: Part }");
}

#[test]
fn replaces() {
    let check = |verb: Verb, messages: usize, text: &str, expect: &str| {
        let at = if messages == 0 { AppendAt::Head } else { AppendAt::Message };
        assert_eq!(appended(verb, at, messages, text), expect, "{text}");
    };
    let to = |set: &str, uid: bool| {
        let replaced = format!("Some(Replaced {{ set: {set}, uid: {uid} }})");
        format!("AppendTo {{ mailbox: \"x\", replaces: {replaced} }}, message 8 [] None, 3 > Message {{ at: Message }}")
    };
    check(Verb::Replace, 0, " 4 x (\\Seen) {3}", &to("4", false));
    check(Verb::UidReplace, 0, " 4 x (\\Seen) {3}", &to("4", true));
    check(Verb::Replace, 0, " * x (\\Seen) {3}", &to("*", false));
    check(Verb::Replace, 0, " 4 {1}", " > Word { from: 0, at: Head }");
    check(Verb::Replace, 1, "", " > End");
    check(Verb::Replace, 1, " {3}", "Bad(\"One message replaces one\")");
    check(Verb::Replace, 0, " 4,5 x {3}", "Bad(\"Missing argument\")");
    check(Verb::Replace, 0, " 0 x {3}", "Bad(\"Invalid message set\")");
    check(Verb::Replace, 0, " x {3}", "Bad(\"Invalid message set\")");
}

#[test]
fn copy_move_expunge() {
    check("a COPY 2:4 MEETING", "Copy { set: 2:4, uid: false, mailbox: \"MEETING\" }");
    check("a UID COPY 4,*:1 x", "Copy { set: 4,*:1, uid: true, mailbox: \"x\" }");
    check("a MOVE 1 x", "Move { set: 1, uid: false, mailbox: \"x\" }");
    check("a UID MOVE 1 x", "Move { set: 1, uid: true, mailbox: \"x\" }");
    check("a UID EXPUNGE 3000:3002", "Expunge { uids: Some(3000:3002) }");
    check("a UID EXPUNGE", "BAD Missing argument");
    check("a COPY 0 x", "BAD Invalid message set");
    check("a COPY 1: x", "BAD Invalid message set");
    check("a COPY 1,,2 x", "BAD Invalid message set");
    check("a COPY 4294967296 x", "BAD Invalid message set");
    check("a COPY 1:2:3 x", "BAD Missing argument");
    check("a COPY $ x", "Copy { set: $, uid: false, mailbox: \"x\" }");
    check("a COPY $,1 x", "BAD Missing argument");
    let ranges = |n: usize| format!("a COPY {} x", vec!["1"; n].join(","));
    holds(&ranges(32_768), "Copy");
    check(&ranges(32_769), "BAD Too many ranges in the message set");
}

#[test]
fn stores() {
    check(
        "a STORE 2:4 +FLAGS (\\Deleted)",
        "Store { set: 2:4, uid: false, mode: Add, silent: false, \
         flags: FlagList { system: Flags(4), keywords: [] }, unchanged_since: None }",
    );
    check(
        "a UID STORE * (UNCHANGEDSINCE 12) -flags.silent \\SEEN work Work $Junk",
        "Store { set: *, uid: true, mode: Remove, silent: true, \
         flags: FlagList { system: Flags(8), keywords: [\"work\", \"$Junk\"] }, unchanged_since: Some(ModSeq(12)) }",
    );
    holds("a STORE 1 FLAGS ()", "mode: Replace, silent: false, flags: FlagList { system: Flags(0), keywords: [] }");
    holds("a STORE 1 FLAGS (\\Recent \\Draft)", "Flags(16)");
    holds("a STORE 1 (UNCHANGEDSINCE 0) FLAGS ()", "Some(ModSeq(0))");
    check("a STORE 1 FLAGS", "BAD Missing argument");
    check("a STORE 1 FLAGS (\\*)", "BAD Unknown system flag");
    check("a STORE 1 FLAGS (", "BAD Expected a flag");
    check("a STORE 1 +-FLAGS (x)", "BAD Expected FLAGS, +FLAGS or -FLAGS");
    check("a STORE 1 FLAG (x)", "BAD Expected FLAGS, +FLAGS or -FLAGS");
    check("a STORE 1 (CHANGEDSINCE 1) FLAGS (x)", "BAD Unknown STORE modifier");
    check("a STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (x)", "BAD Number is too large");
    check(&format!("a STORE 1 FLAGS ({})", "k".repeat(101)), "NO [Limit] Keyword is too long");
    let many: Vec<String> = (0..129).map(|i| format!("k{i}")).collect();
    check(&format!("a STORE 1 FLAGS ({})", many.join(" ")), "NO [Limit] Too many keywords");
}

#[test]
fn fetches() {
    let check_items = |items: &str, expect: &str| {
        let want = format!(
            "Fetch {{ set: 1, uid: false, items: FetchItems {{ list: [{expect}] }}, changed_since: None, vanished: false, partial: None }}"
        );
        check(&format!("a FETCH 1 {items}"), &want);
    };
    check_items("FLAGS", "Flags");
    check_items("(FLAGS UID flags)", "Flags, Uid");
    check_items("FAST", "Flags, InternalDate, Rfc822Size");
    check_items("ALL", "Flags, InternalDate, Rfc822Size, Envelope");
    check_items("full", "Flags, InternalDate, Rfc822Size, Envelope, Body");
    check_items("(BODY BODYSTRUCTURE MODSEQ)", "Body, BodyStructure, ModSeq");
    check_items("(RFC822.PEEK rfc822.text.peek)", "Rfc822 { peek: true }, Rfc822Text { peek: true }");
    check_items(
        "(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
        "Rfc822 { peek: false }, Rfc822Header, Rfc822Text { peek: false }, Rfc822Size",
    );
    let section = |path: &str, text: &str, partial: &str, peek: bool| {
        format!("Section(BodySection {{ path: {path}, text: {text}, partial: {partial}, peek: {peek} }})")
    };
    check_items("BODY[]", &section("[]", "All", "None", false));
    check_items("BODY.PEEK[]<0.2048>", &section("[]", "All", "Some(Partial { origin: 0, bytes: 2048 })", true));
    check_items("BODY[1.2.3]", &section("[1, 2, 3]", "All", "None", false));
    check_items("body[4.1.mime]", &section("[4, 1]", "Mime", "None", false));
    check_items("BODY[TEXT]", &section("[]", "Text", "None", false));
    check_items("BODY[3.HEADER]", &section("[3]", "Header", "None", false));
    check_items(
        "BODY[HEADER.FIELDS (DATE \"FROM\")]",
        &section("[]", "HeaderFields([\"DATE\", \"FROM\"])", "None", false),
    );
    check_items("BODY[1.HEADER.FIELDS.NOT ({2}\r\nCC)]", &section("[1]", "HeaderFieldsNot([\"CC\"])", "None", false));
}

#[test]
fn fetches_by_uid_and_modseq() {
    check(
        "a UID FETCH 3:* (FLAGS) (CHANGEDSINCE 12345)",
        "Fetch { set: 3:*, uid: true, items: FetchItems { list: [Uid, Flags, ModSeq] }, changed_since: Some(ModSeq(12345)), vanished: false, partial: None }",
    );
    holds("a UID FETCH 1 (FLAGS UID)", "[Uid, Flags]");
    check("a FETCH 1 FLAGS (VANISHED)", "BAD VANISHED goes with UID FETCH and CHANGEDSINCE");
    check("a FETCH 1 FLAGS (CHANGEDSINCE x)", "BAD Expected a number");
}

#[test]
fn wrong_fetches() {
    check("a FETCH 1", "BAD Missing argument");
    check("a FETCH 1 ()", "BAD Unknown FETCH item");
    check("a FETCH 1 (FAST)", "BAD Unknown FETCH item");
    check("a FETCH 1 FLAGS UID", "BAD Unexpected argument");
    check("a FETCH 1 BODY.PEEK", "BAD Unknown FETCH item");
    check("a FETCH 1 BODY[", "BAD Unknown section");
    check("a FETCH 1 BODY[1", "BAD Missing ] after the section");
    check("a FETCH 1 BODY[1.]", "BAD Invalid section");
    check("a FETCH 1 BODY[0]", "BAD Part numbers start at 1");
    check("a FETCH 1 BODY[MIME]", "BAD Unknown section");
    check("a FETCH 1 BODY[TEXT.1]", "BAD Unknown section");
    check("a FETCH 1 BODY[HEADER.FIELDS ()]", "BAD Expected a string");
    check("a FETCH 1 BODY[HEADER.FIELDS (\"a:\")]", "BAD Invalid header field name");
    check("a FETCH 1 BODY[]<0>", "BAD Expected <origin.length>");
    check("a FETCH 1 BODY[]<0.0>", "BAD The length of a partial fetch is at least 1");
    check(&format!("a FETCH 1 BODY[1{}]", ".1".repeat(100)), "BAD Section is nested too deeply");
    let items =
        |n: usize| format!("a FETCH 1 ({})", (1..=n).map(|i| format!("BODY[{i}]")).collect::<Vec<_>>().join(" "));
    holds(&items(256), "Fetch");
    check(&items(257), "BAD Too many FETCH items");
    let names = |n: usize| format!("a FETCH 1 BODY[HEADER.FIELDS ({})]", vec!["a"; n].join(" "));
    holds(&names(1024), "Fetch");
    check(&names(1025), "BAD Too many header field names");
}

#[test]
fn searches() {
    let check_key = |keys: &str, expect: &str| {
        check(
            &format!("a SEARCH {keys}"),
            &format!("Search {{ uid: false, key: {expect}, needs_modseq: false, returns: None }}"),
        );
    };
    check_key("ALL", "All");
    check_key("1:3,*", "Set(1:3,*)");
    check_key("uid 7", "Uid(7)");
    check_key("SEEN UNANSWERED", "And([With(Flags(8)), Without(Flags(1))])");
    check_key(
        "ANSWERED DELETED DRAFT FLAGGED",
        "And([With(Flags(1)), With(Flags(4)), With(Flags(16)), With(Flags(2))])",
    );
    check_key("UNDELETED UNDRAFT", "And([Without(Flags(4)), Without(Flags(16))])");
    check_key("UNFLAGGED UNSEEN", "And([Without(Flags(2)), Without(Flags(8))])");
    check_key("NEW", "And([Recent, Without(Flags(8))])");
    check_key("OLD RECENT", "And([Not(Recent), Recent])");
    check_key("KEYWORD x UNKEYWORD $y", "And([Keyword(\"x\"), Not(Keyword(\"$y\"))])");
    check_key("BEFORE 1-Feb-1994", "Before(Day(8797))");
    check_key("ON \"1-Feb-1994\" SINCE 2-Feb-1994", "And([On(Day(8797)), Since(Day(8798))])");
    check_key("SENTBEFORE 1-Feb-1994 SENTON 1-Feb-1994", "And([SentBefore(Day(8797)), SentOn(Day(8797))])");
    check_key("SENTSINCE 1-Feb-1994", "SentSince(Day(8797))");
    check_key("LARGER 10 SMALLER 5000000000", "And([Larger(10), Smaller(5000000000)])");
    check_key(
        "FROM a TO \"b c\"",
        "And([Header { name: \"From\", value: \"a\" }, Header { name: \"To\", value: \"b c\" }])",
    );
    check_key(
        "CC {1}\r\nx BCC \"\"",
        "And([Header { name: \"Cc\", value: \"x\" }, Header { name: \"Bcc\", value: \"\" }])",
    );
    check("a SEARCH SUBJECT ü", "BAD Expected a string");
}

#[test]
fn searches_for_text_and_trees() {
    holds("a SEARCH SUBJECT \"ü\"", "key: Header { name: \"Subject\", value: \"ü\" }");
    holds("a SEARCH HEADER Message-ID <x@y>", "Header { name: \"Message-ID\", value: \"<x@y>\" }");
    holds("a SEARCH BODY x TEXT y", "And([Body(\"x\"), Text(\"y\")])");
    holds("a SEARCH NOT SEEN", "Not(With(Flags(8)))");
    holds("a SEARCH OR 1 (2 SEEN) ALL", "And([Or(Set(1), And([Set(2), With(Flags(8))])), All])");
    holds("a SEARCH OR OR 1 2 3", "Or(Or(Set(1), Set(2)), Set(3))");
    holds("a SEARCH ((ALL))", "key: All");
    holds("a SEARCH CHARSET utf-8 ALL", "key: All");
    holds("a SEARCH CHARSET \"US-ASCII\" ALL ", "key: All");
    check(
        "a UID SEARCH MODSEQ 620162338",
        "Search { uid: true, key: ModSeq(ModSeq(620162338)), needs_modseq: true, returns: None }",
    );
    holds("a SEARCH MODSEQ \"/flags/\\\\draft\" all 7", "key: ModSeq(ModSeq(7)), needs_modseq: true");
}

#[test]
fn wrong_searches() {
    check("a SEARCH", "BAD Missing argument");
    check("a SEARCH ", "BAD Expected a search key");
    check("a SEARCH ()", "BAD Expected a search key");
    check("a SEARCH FOO", "BAD Unknown search key");
    check("a SEARCH ALL  SEEN", "BAD Expected a search key");
    check("a SEARCH (ALL", "BAD Expected a space or a closing parenthesis");
    check("a SEARCH OR 1", "BAD Missing argument");
    check("a SEARCH NOT", "BAD Missing argument");
    check("a SEARCH BEFORE 32-Jan-2024", "BAD Invalid date");
    check("a SEARCH HEADER \"a b\" x", "BAD Invalid header field name");
    check("a SEARCH CHARSET KOI8-R ALL", "NO [BadCharset] Search text must be in US-ASCII or UTF-8");
    check("a SEARCH MODSEQ \"/flags/x\" some 7", "BAD Expected all, priv or shared");
    assert_eq!(parsed(b"a SEARCH SUBJECT \"\xff\""), "BAD Text is not valid UTF-8");
    let nested = |n: usize| format!("a SEARCH {}ALL{}", "(".repeat(n), ")".repeat(n));
    holds(&nested(64), "All");
    check(&nested(65), "BAD Too many levels of nesting");
    let nots = |n: usize| format!("a SEARCH {}ALL", "NOT ".repeat(n));
    holds(&nots(64), "All");
    check(&nots(65), "BAD Too many levels of nesting");
    let keys = |n: usize| format!("a SEARCH{}", " ALL".repeat(n));
    holds(&keys(4096), "All");
    check(&keys(4097), "BAD Too many search keys");
}

proptest! {
    #[test]
    fn sets_print_as_they_were_read(ranges in prop::collection::vec((0u32.., 0u32..), 1..20)) {
        let end = |n: u32| if n == 0 { "*".to_string() } else { n.to_string() };
        let text = ranges.iter().map(|&(a, b)| if a == b { end(a) } else { format!("{}:{}", end(a), end(b)) });
        let text = text.collect::<Vec<_>>().join(",");
        let set = message::set(&mut Cursor::new(text.as_bytes(), Enabling::default())).unwrap();
        prop_assert_eq!(format!("{set:?}"), text);
    }

    #[test]
    fn no_arguments_panic(
        verb in prop::sample::select(vec!["LOGIN", "SELECT", "LIST", "STATUS", "STORE", "FETCH", "SEARCH", "UID COPY", "ID"]),
        words in prop::collection::vec(
            prop::sample::select(vec![
                " ", "(", ")", "\"", "\\", "{3}\r\n", "{0+}\r\n", "[", "]", "<", ">", ".", "1", "*", ":", ",", "BODY",
                "HEADER.FIELDS", "NOT", "OR", "FLAGS", "\\Seen", "&", "-", "x", "MODSEQ", "1-Feb-1994", "ü", "\0", "NIL",
            ]),
            0..12,
        ),
    ) {
        parsed(format!("a {verb} {}", words.concat()).as_bytes());
    }
}

#[test]
fn metadata_is_bounded() {
    let names = |count: usize| (0..count).map(|n| format!("/private/{n}")).collect::<Vec<_>>();
    let get = |count| format!("a GETMETADATA INBOX ({})", names(count).join(" "));
    holds(&get(METADATA_NAMES_MAX), "GetMetadata { mailbox: Some(\"INBOX\"), entries: [\"/private/0\", ");
    check(&get(METADATA_NAMES_MAX + 1), "BAD Too many entries");
    let set = |count| format!("a SETMETADATA INBOX ({} NIL)", names(count).join(" NIL "));
    holds(&set(METADATA_NAMES_MAX), "SetMetadata { mailbox: Some(\"INBOX\"), changes: [(\"/private/0\", None), ");
    check(&set(METADATA_NAMES_MAX + 1), "BAD Too many entries");
    check(
        "a SETMETADATA INBOX (/private/a ~{2}\r\n\0b)",
        "SetMetadata { mailbox: Some(\"INBOX\"), changes: [(\"/private/a\", Some([0, 98]))] }",
    );
    check("a SETMETADATA INBOX (/private/a {2}\r\n\0b)", "BAD NUL in a literal");
    check("a SETMETADATA INBOX (/private/a ~{4}\r\n\0b)", "BAD Misplaced {");
    check("a SETMETADATA INBOX (/private/a ~x)", "BAD Misplaced {");
    check("a SETMETADATA INBOX (/private/a x)", "BAD Expected a string");
    check(
        "a GETMETADATA {0}\r\n /shared/comment",
        "GetMetadata { mailbox: None, entries: [\"/shared/comment\"], max_bytes: None, depth: Zero }",
    );
    check("a GETMETADATA () INBOX /shared/comment", "BAD Unknown GETMETADATA option");
    check("a GETMETADATA (MAXSIZE -1) INBOX /shared/comment", "BAD Expected a number");
}

#[test]
fn notify_is_none_or_a_set() {
    check("a NOTIFY NONE", "Notify(None)");
    check(
        "a notify set status (selected (MessageNew (uid flags) messageExpunge)) (personal (MessageNew FlagChange MessageExpunge))",
        "Notify(Some(NotifySet { status: true, selected: Some(NotifySelected { immediate: true, flags: false, fetch: Some(FetchItems { list: [Uid, Flags] }) }), groups: [(Personal, NotifyEvents(7))] }))",
    );
    check(
        "a NOTIFY SET (mailboxes INBOX (Messagenew messageExpunge)) (subtree (a b) (SubscriptionChange ServerMetadataChange)) (inboxes NONE)",
        "Notify(Some(NotifySet { status: false, selected: None, groups: [(Mailboxes([\"INBOX\"]), NotifyEvents(3)), (Subtree([\"a\", \"b\"]), NotifyEvents(80))] }))",
    );
    holds(
        "a NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))",
        "Some(NotifySelected { immediate: false, flags: true, fetch: None })",
    );
    holds("a NOTIFY SET (selected NONE)", "selected: None, groups: [] }");
    holds("a NOTIFY SET (personal (MailboxName MailboxMetadataChange))", "[(Personal, NotifyEvents(40))]");
    let both = "BAD MessageNew and MessageExpunge go together, and FlagChange with both";
    check("a NOTIFY SET (personal (MessageNew))", both);
    check("a NOTIFY SET (personal (FlagChange))", both);
    check("a NOTIFY SET (selected (MessageExpunge))", both);
    check("a NOTIFY SET (selected (MailboxName))", "BAD SELECTED goes with events of messages");
    check("a NOTIFY SET (selected NONE) (selected-delayed NONE)", "BAD SELECTED or SELECTED-DELAYED may be named once");
    check("a NOTIFY SET (personal (MessageNew (uid) MessageExpunge))", "BAD FETCH items go with SELECTED");
    check("a NOTIFY SET (personal (AnnotationChange))", "NO [BadEvent] This event is not told");
    check("a NOTIFY SET (personal (MessageNew Vendor.Event))", "NO [BadEvent] This event is not told");
    check("a NOTIFY SET (personal ())", "BAD Expected an event");
    check("a NOTIFY SET (personal MessageNew)", "BAD Expected NONE or a list of events");
    check("a NOTIFY SET (everything NONE)", "BAD Unknown mailbox filter");
    check("a NOTIFY SET (selected (MessageNew (fast) MessageExpunge))", "BAD Unknown FETCH item");
    check("a NOTIFY SET", "BAD Missing argument");
    check("a NOTIFY SET STATUS", "BAD Missing argument");
    check("a NOTIFY SET NONE", "BAD Expected STATUS or a list of events");
    check("a NOTIFY ALL", "BAD NOTIFY is SET or NONE");
    let groups = |count: usize| format!("a NOTIFY SET {}", vec!["(personal (MailboxName))"; count].join(" "));
    holds(&groups(NOTIFY_GROUPS_MAX), "Notify(Some(");
    check(&groups(NOTIFY_GROUPS_MAX + 1), "NO [NotificationOverflow] Too many groups of events");
    let names =
        |count: usize| format!("a NOTIFY SET (subtree x NONE) (mailboxes ({}) NONE)", vec!["a"; count].join(" "));
    holds(&names(NOTIFY_MAILBOXES_MAX - 1), "Notify(Some(");
    check(&names(NOTIFY_MAILBOXES_MAX), "NO [NotificationOverflow] Too many mailboxes");
}

#[test]
fn comparators() {
    check("a COMPARATOR", "Comparator([])");
    check("a COMPARATOR ", "Comparator([])");
    holds(
        "a COMPARATOR \"CZ;*\" -i;basic",
        "[Order { pattern: \"cz;*\", descending: false }, Order { pattern: \"i;basic\", descending: true }]",
    );
    for wrong in ["i;**", "(i;octet)", "\"\"", "  i;octet"] {
        assert!(parsed(format!("a COMPARATOR {wrong}").as_bytes()).starts_with("BAD "), "{wrong}");
    }
    let orders = |count| format!("a COMPARATOR{}", " i;octet".repeat(count));
    let max = crate::imap::limits::COMPARATORS_MAX;
    assert!(parsed(orders(max).as_bytes()).starts_with("Comparator("));
    check(&orders(max + 1), "BAD Too many comparators");
}

#[test]
fn languages() {
    check("a LANGUAGE", "Language([])");
    check("a LANGUAGE ", "Language([])");
    holds("a LANGUAGE \"FR-CA\" \"*\" en", r#"[Range("FR-CA"), Range("*"), Range("en")]"#);
    for wrong in ["(en)", "\"\"", "  en", "en_GB", "englishes-language", "*"] {
        assert!(parsed(format!("a LANGUAGE {wrong}").as_bytes()).starts_with("BAD "), "{wrong}");
    }
    let ranges = |count| format!("a LANGUAGE{}", " en".repeat(count));
    let max = crate::imap::limits::LANGUAGES_MAX;
    assert!(parsed(ranges(max).as_bytes()).starts_with("Language("));
    check(&ranges(max + 1), "BAD Too many languages");
}

/// RFC 5255 §4.2: it applies to the texts of SEARCH and SORT, and to the subjects of THREAD.
#[test]
fn what_is_compared_by_the_active_comparator() {
    let comparator = Comparator { collation: skein_base::Collation::Octet, descending: true };
    let enabled = Enabling { comparator, ..Enabling::default() };
    let by = "comparator: Comparator { collation: Octet, descending: true }";
    for (command, expect) in [
        ("SEARCH SUBJECT x", "key: Compared(Octet, Header {"),
        ("ESEARCH IN (personal) TEXT x", "key: Compared(Octet, Text("),
        ("SORT (SUBJECT) UTF-8 ALL", by),
        ("SORT (DISPLAYFROM) UTF-8 ALL", by),
        ("SORT (SIZE) UTF-8 ALL", "comparator: Comparator { collation: UnicodeCasemap, descending: false }"),
        ("THREAD ORDEREDSUBJECT UTF-8 TEXT x", "collation: Octet, key: Compared(Octet, Text("),
        ("THREAD REFERENCES UTF-8 ALL", "collation: Octet"),
        ("THREAD REFS UTF-8 ALL", "collation: UnicodeCasemap"),
    ] {
        let (said, cursor) = verb(command.as_bytes(), enabled, |_| None).unwrap();
        let request = format!("{:?}", arguments(said.verb, cursor).unwrap());
        assert!(request.contains(expect), "{command}: {request}");
    }
    let standing = format!("{:?}", standing("SUBJECT x").unwrap());
    assert!(standing.starts_with("Header {"), "{standing}");
}
