//! Queries by their text: what they come to in a mailbox.

use super::*;
use crate::adm::wire::Code;

const NOW: i64 = 1_775_000_000;

fn words(text: &str) -> Vec<String> {
    value::split(text).expect("quotes are closed")
}

fn check(text: &str, mailbox: &str, expect: &str) {
    let query = parse(&words(text), NOW).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    let said = query.in_mailbox(mailbox).map_or("nothing".to_owned(), |criterion| format!("{criterion:?}"));
    assert_eq!(said, expect, "{text} in {mailbox}");
}

#[test]
fn what_queries_mean() {
    for (text, mailbox, expect) in [
        ("all", "INBOX", "Imap(All)"),
        ("mailbox INBOX", "INBOX", "Imap(All)"),
        ("mailbox inbox", "INBOX", "Imap(All)"),
        ("mailbox INBOX", "Work", "nothing"),
        ("not mailbox INBOX", "Work", "Imap(All)"),
        ("mailbox 'Lists/*' seen", "Lists/a", "And([Imap(With(Flags(8)))])"),
        ("mailbox A or mailbox B", "B", "Imap(All)"),
        ("mailbox A or mailbox B", "C", "nothing"),
        ("or mailbox A mailbox B", "A", "Imap(All)"),
        ("mailbox A or unseen", "B", "Imap(Without(Flags(8)))"),
        ("( mailbox A seen ) or ( mailbox B flagged )", "B", "And([Imap(With(Flags(2)))])"),
        ("from alice", "x", "Imap(Header { name: \"From\", value: \"alice\" })"),
        ("SUBJECT 'two words'", "x", "Imap(Header { name: \"Subject\", value: \"two words\" })"),
        ("header X-Spam yes", "x", "Imap(Header { name: \"X-Spam\", value: \"yes\" })"),
        ("larger 1M", "x", "Imap(Larger(1048576))"),
        ("smaller 10", "x", "Imap(Smaller(10))"),
        ("unkeyword $Junk", "x", "Imap(Not(Keyword(\"$Junk\")))"),
        ("before 1970-01-02", "x", "Received(Below, 86400)"),
        ("since 2-Jan-1970", "x", "Received(NotBelow, 86400)"),
        ("on 1970-01-02", "x", "And([Received(NotBelow, 86400), Received(Below, 172800)])"),
        ("savedbefore 2weeks", "x", "Saved(Below, 1773790400)"),
        ("savedsince 1h", "x", "Saved(NotBelow, 1774996400)"),
        ("since 1700000000", "x", "Received(NotBelow, 1700000000)"),
        ("sentbefore 1970-01-02", "x", "Imap(SentBefore(Day(1)))"),
        (
            "guid 000000000000000000000000000000ff",
            "x",
            "Guid(Guid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255]))",
        ),
        ("new", "x", "Imap(And([Recent, Without(Flags(8))]))"),
        ("not not seen", "x", "Not(Not(Imap(With(Flags(8)))))"),
    ] {
        check(text, mailbox, expect);
    }
    assert!(format!("{:?}", parse(&words("uid 1,5:*"), NOW).unwrap()).contains("Uid"));
    assert!(format!("{:?}", parse(&words("1:3"), NOW).unwrap()).contains("Set"));
}

#[test]
fn one_argument_may_hold_all() {
    let query = parse(&["mailbox \"a b\" (seen or flagged)".to_owned()], NOW).unwrap();
    assert!(query.in_mailbox("a b").is_some() && query.in_mailbox("a").is_none());
    // As arguments of a shell, values keep their spaces.
    let query = parse(&["subject".to_owned(), "(two words)".to_owned()], NOW).unwrap();
    assert!(format!("{query:?}").contains("(two words)"), "{query:?}");
}

#[test]
fn what_is_no_query_says_why() {
    let deep = format!("{} seen {}", "( ".repeat(51), ") ".repeat(51));
    let nots = format!("{} seen", "not ".repeat(60));
    for (text, expect) in [
        ("", "empty"),
        ("( seen", "without its )"),
        ("seen )", "without its ("),
        ("( )", "nothing between"),
        ("from", "FROM wants a value"),
        ("header X", "HEADER wants a value"),
        ("not", "a key is missing"),
        ("seen or", "a key is missing"),
        ("larger big", "not a size"),
        ("larger 99999999999999999999", "not a size"),
        ("larger 99999999T", "not a size"),
        ("uid 0", "not a set"),
        ("uid 1,,2", "not a set"),
        ("since tomorrow", "not a date"),
        ("since 2026-02-30", "not a date"),
        ("since 99999999999999999999d", "not a date"),
        ("since 9223372036854775807w", "not a date"),
        ("guid 12", "not 32 hexadecimal"),
        ("bogus", "BOGUS is no key"),
        (&deep, "deeper than"),
        (&nots, "deeper than"),
        (&"seen ".repeat(10_001), "more than 10000 words"),
    ] {
        let problem = parse(&words(text), NOW).unwrap_err();
        assert_eq!(problem.code, Code::Usage);
        assert!(problem.text.contains(expect), "{text:.40}: {problem}");
    }
    assert!(parse(&["from \"open".to_owned()], NOW).unwrap_err().text.contains("quote"));
}

#[test]
fn what_removes_mail_names_a_mailbox() {
    for (text, expect) in [
        ("all", false),
        ("mailbox * all", true),
        ("mailbox a or seen", false),
        ("mailbox a or mailbox b", true),
        ("( mailbox a ) seen", true),
    ] {
        assert_eq!(parse(&words(text), NOW).unwrap().names_mailbox(), expect, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(words in proptest::collection::vec("[()a-zA-Z0-9:*,-]{0,8}|OR|NOT|SINCE|UID|MAILBOX", 0..20)) {
        if let Ok(query) = parse(&words, NOW) {
            _ = query.in_mailbox("INBOX");
        }
    }

    #[test]
    fn no_line_panics(line in "\\PC{0,60}") {
        if let Ok(query) = parse(&[line], NOW) {
            _ = query.in_mailbox("INBOX");
        }
    }
}
