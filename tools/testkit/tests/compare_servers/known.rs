//! The differences that an RFC allows, row by row as tools/docs/compare.md has them.

use std::collections::BTreeSet;

use super::answer::Answer;
use super::pair::Both;
use super::stream::NO_NAMES;

/// What differs in the answers to one command; rows take out what they explain.
pub struct Difference<'a> {
    command: &'a str,
    /// Messages of the selected mailbox before the command.
    count: usize,
    /// Neither did it.
    refused: bool,
    /// Neither understood it.
    bad: bool,
    skein: Vec<String>,
    dovecot: Vec<String>,
}

/// One row: its name in the document, and what takes out the lines it explains.
type Row = (&'static str, fn(&mut Difference));

const ROWS: &[Row] = &[
    ("absent section", absent_section),
    ("part 0", part_zero),
    ("blank line of header fields", blank_line),
    ("partial of header fields", partial_fields),
    ("partial of a header after another", partial_header),
    ("partial of nothing", partial_of_nothing),
    ("charset in capitals", charset_in_capitals),
    ("blanks before a colon", blanks_before_colon),
    ("BINARY", binary),
    ("PREVIEW", preview),
    ("number out of range", number_out_of_range),
    ("copy of nothing", copy_of_nothing),
    ("copy with two faults", copy_with_two_faults),
    ("flags that stay", flags_that_stay),
    ("section that is catenated", catenated_nothing),
    ("SELECT that is BAD", select_that_is_bad),
    ("metadata of nothing", metadata_of_nothing),
    ("what vanished up to `*`", vanished_to_star),
    ("URL that can not be read", unreadable_url),
    ("URL of nothing", url_of_nothing),
    ("URL for somebody else", url_for_another),
    ("structure behind a URL", structure_behind_url),
    ("rights in nothing", rights_in_nothing),
    ("quota of nothing", quota_of_nothing),
    ("STATUS of NOTIFY", status_of_notify),
    ("UID of NOTIFY", uid_of_notify),
    ("key of URLs", key_of_urls),
    ("CANCELUPDATE of nothing", cancel_nothing),
    ("STORE read-only", store_read_only),
    ("EXPUNGE read-only", expunge_read_only),
    ("RENAME to its own parent", rename_to_parent),
    ("SUBSCRIBE of nothing", subscribe_of_nothing),
    ("\\Recent of a client", recent_of_client),
    ("RENAME INBOX", rename_inbox),
    ("children unasked", children_unasked),
    ("uses unasked", uses_unasked),
    ("flags of LSUB", flags_of_lsub),
    ("root of a reference", root_of_reference),
    ("RECENT of STATUS", recent_of_status),
    ("a name without a mailbox", name_without_mailbox),
    ("below INBOX", below_inbox),
    ("pattern from the root", pattern_from_root),
    ("TRYCREATE of a bad name", try_create),
    ("order of threads", order_of_threads),
    ("end of a connection", end_of_connection),
];

/// Names of all rows.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(name, _)| *name)
}

/// What differs and no row explains: `-` what only Skein said, `+` what only Dovecot did.
pub fn unexplained(command: &[u8], both: &Both) -> Vec<String> {
    if both.skein == both.dovecot {
        return Vec::new();
    }
    let command = String::from_utf8_lossy(command);
    let (skein, dovecot) = (both.skein.lacking_in(&both.dovecot), both.dovecot.lacking_in(&both.skein));
    let refused = both.skein.tagged.starts_with("No") && both.dovecot.tagged.starts_with("No");
    let bad = both.skein.tagged == "Bad" && both.dovecot.tagged == "Bad";
    let (mut skein, mut dovecot) = (skein, dovecot);
    if &*command == "NOOP" {
        // What NOTIFY tells of other mailboxes Dovecot tells later.
        for lines in [&mut skein, &mut dovecot] {
            lines.retain(|line| !line.starts_with("STATUS "));
        }
    }
    let mut difference = Difference { command: &command, count: both.count, refused, bad, skein, dovecot };
    ROWS.iter().for_each(|(_, explain)| explain(&mut difference));
    shown(&difference.skein, &difference.dovecot)
}

/// What differs from what has to be.
pub fn lines(skein: &Answer, expected: &Answer) -> Vec<String> {
    shown(&skein.lacking_in(expected), &expected.lacking_in(skein))
}

fn shown(ours: &[String], theirs: &[String]) -> Vec<String> {
    let ours = ours.iter().map(|line| format!("- {line}"));
    ours.chain(theirs.iter().map(|line| format!("+ {line}"))).collect()
}

/// What a difference that is allowed does to the rest of a session.
pub enum After {
    /// Both have the same mail still.
    Same,
    /// They have after this command.
    Repair(Vec<u8>),
    /// They have not.
    Parted,
}

/// A mailbox went away, so that a session that has it open can not go on there.
pub fn takes_away(command: &[u8], both: &Both) -> bool {
    both.skein.tagged == "Ok" && (command.starts_with(b"RENAME ") || command.starts_with(b"DELETE "))
}

/// What follows a difference in how `command` ended.
pub fn after(command: &[u8], both: &Both) -> After {
    let (ours, theirs) = (&both.skein.tagged, &both.dovecot.tagged);
    let text = String::from_utf8_lossy(command);
    let words: Vec<&str> = text.trim_start_matches("UID ").split(' ').collect();
    let changes = match words[0] {
        "FETCH" => ["BODY[", "BINARY[", "RFC822"].iter().any(|item| text.contains(item)),
        "STORE" | "COPY" | "MOVE" | "APPEND" => theirs.starts_with("Ok") || ours.starts_with("Ok"),
        // INBOX is another's folder at Dovecot then; a RENAME that fails has made the folder above the new name.
        "RENAME" => {
            let inbox = words.get(1).is_some_and(|name| name.eq_ignore_ascii_case("INBOX"));
            inbox || ours != theirs || theirs.starts_with("No") && words.get(2).is_some_and(|name| name.contains('/'))
        }
        _ => false,
    };
    match words[0] {
        "RENAME" if changes => After::Parted,
        // Dovecot makes a name that is no mailbox.
        "CREATE" if ours == "Ok" && text.ends_with('/') => {
            After::Repair(format!("DELETE {}", words[1].trim_end_matches('/')).into_bytes())
        }
        // What a session may still do in a mailbox that went away is nowhere said.
        "RENAME" | "DELETE" if takes_away(command, both) => After::Repair(b"UNSELECT".to_vec()),
        // Whether a command that failed enables CONDSTORE is nowhere said.
        _ if !ours.starts_with("Ok") && ["MODSEQ", "CONDSTORE", "SINCE %"].iter().any(|word| text.contains(word)) => {
            After::Parted
        }
        // Dovecot has left the mailbox.
        "SELECT" | "EXAMINE" if ours == "Bad" => After::Repair(b"UNSELECT".to_vec()),
        _ if both.dovecot.is_closed() || both.skein.is_closed() => After::Parted,
        _ if both.skein == both.dovecot => After::Same,
        "SUBSCRIBE" if ours != theirs => After::Repair(format!("UNSUBSCRIBE {}", words[1..].join(" ")).into_bytes()),
        _ if changes && (ours != theirs || text.contains("BINARY")) => After::Parted,
        _ => After::Same,
    }
}

impl Difference<'_> {
    /// The tagged answers, when they differ.
    fn tagged(&self) -> Option<(&str, &str)> {
        Some((self.skein.first()?.strip_prefix("tagged ")?, self.dovecot.first()?.strip_prefix("tagged ")?))
    }

    fn explained(&mut self) {
        self.skein.clear();
        self.dovecot.clear();
    }

    /// Takes out pairs of lines that `same` says to be one.
    fn pairs(&mut self, same: impl Fn(&str, &str) -> bool) {
        let dovecot = &mut self.dovecot;
        self.skein.retain(|ours| match dovecot.iter().position(|theirs| same(ours, theirs)) {
            Some(at) => {
                dovecot.remove(at);
                false
            }
            None => true,
        });
    }

    /// The command without `UID`, in words.
    fn words(&self) -> (bool, Vec<&str>) {
        let words: Vec<&str> = self.command.split(' ').collect();
        match words[0] {
            "UID" => (true, words[1..].to_vec()),
            _ => (false, words),
        }
    }
}

/// Dovecot answers with an empty string, or with the part that has no parts.
fn absent_section(difference: &mut Difference) {
    difference.pairs(|ours, theirs| {
        let is_item = |item: &&str| item.contains('[') || item.starts_with("URLFETCH ") && item.contains(";section=");
        let Some(item) = ours.strip_suffix(" NIL").filter(is_item) else { return false };
        let below = [".1]", ".1.MIME]", ".1]<"].iter().any(|end| item.contains(end));
        theirs.strip_prefix(item).is_some_and(|value| value == " \"\"" || below && value.starts_with(" \""))
    });
}

fn part_zero(difference: &mut Difference) {
    if difference.command.contains("[0]") && difference.tagged() == Some(("Bad", "Ok")) {
        difference.explained();
    }
}

/// Dovecot counts the CR that a header's end lacks on its disk.
fn partial_fields(difference: &mut Difference) {
    difference.pairs(|ours, theirs| {
        let (Some((ours, a)), Some((theirs, b))) = (ours.split_once("]<"), theirs.split_once("]<")) else {
            return false;
        };
        ours == theirs && ours.contains("HEADER.FIELDS") && a.contains("\"\\n") && b.contains("\"\\r")
    });
}

/// After a partial of header fields Dovecot is one byte late in the header.
fn partial_header(difference: &mut Difference) {
    difference.pairs(|ours, theirs| {
        let split =
            |line: &'_ str| line.split_once(" BODY[HEADER]<").map(|(id, rest)| (id.to_owned(), rest.to_owned()));
        let (Some((our_id, ours)), Some((their_id, theirs))) = (split(ours), split(theirs)) else { return false };
        let (Some((our_place, ours)), Some((their_place, theirs))) = (ours.split_once("> "), theirs.split_once("> "))
        else {
            return false;
        };
        our_id == their_id && our_place == their_place && is_one_ahead(ours, theirs)
    });
}

/// `"bcd"` or, when there is more, `"bcde"` for `"abcd"`; bytes may be escaped.
fn is_one_ahead(ours: &str, theirs: &str) -> bool {
    let inside = |value: &'_ str| value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).map(str::to_owned);
    let (Some(ours), Some(theirs)) = (inside(ours), inside(theirs)) else { return false };
    let first = escaped_len(&ours);
    let Some(more) = ours.get(first..).filter(|_| first > 0).and_then(|rest| theirs.strip_prefix(rest)) else {
        return false;
    };
    escaped_len(more) == more.len()
}

/// Length of the first byte of `text` as `escape_ascii` writes it.
fn escaped_len(text: &str) -> usize {
    match text.as_bytes() {
        [] => 0,
        [b'\\', b'x', ..] => 4,
        [b'\\', ..] => 2,
        _ => 1,
    }
}

#[test]
fn one_byte_ahead_is_seen() {
    for (ours, theirs) in [("abc", "bc"), ("abc", "bcd"), ("\\r\\nc", "\\nc\\x00"), ("\\xffb", "b\\\"")] {
        assert!(is_one_ahead(&format!("\"{ours}\""), &format!("\"{theirs}\"")), "{ours} {theirs}");
    }
    for (ours, theirs) in [("abc", "abc"), ("abc", "bcde"), ("abc", "b"), ("", "a"), ("", ""), ("abc", "xc")] {
        assert!(!is_one_ahead(&format!("\"{ours}\""), &format!("\"{theirs}\"")), "{ours} {theirs}");
    }
}

/// Dovecot joins the set's ranges first and then looks at its last number only.
fn number_out_of_range(difference: &mut Difference) {
    let (uid, words) = difference.words();
    let beyond = |n: &str| n.parse().is_ok_and(|n: usize| n > difference.count);
    let set = words.get(1).copied().unwrap_or_default();
    let outside = set.contains('*') && set.split([',', ':']).any(beyond);
    if !uid && outside && difference.tagged().is_some_and(|(ours, _)| ours == "Bad") {
        difference.explained();
    }
}

fn copy_of_nothing(difference: &mut Difference) {
    let (_, words) = difference.words();
    let copies = ["COPY", "MOVE"].contains(&words[0]);
    if copies
        && difference.tagged().is_some_and(|(ours, theirs)| ours.starts_with("No") && theirs == "Ok")
        && difference.dovecot.len() == 1
    {
        difference.explained();
    }
}

/// Messages that are not there, to a name that is none: Skein sees the name first, Dovecot the messages.
fn copy_with_two_faults(difference: &mut Difference) {
    let (uid, words) = difference.words();
    let [verb, set, name] = words[..] else { return };
    let beyond = |n: &str| n == "*" && difference.count == 0 || n.parse().is_ok_and(|n: usize| n > difference.count);
    let faults = set.split([',', ':']).any(beyond) && NO_NAMES.contains(&name);
    if !uid && ["COPY", "MOVE"].contains(&verb) && faults && difference.tagged() == Some(("No", "Bad")) {
        difference.explained();
    }
}

/// Header fields of a header that no blank line ends; a partial may end within that line.
fn blank_line(difference: &mut Difference) {
    difference.pairs(|ours, theirs| {
        let partial = ours.contains("]<");
        let ends: &[&str] = if partial { &["\\r\\n", "\\r", "\\n"] } else { &["\\r\\n"] };
        let more = ours.strip_suffix('"').and_then(|ours| theirs.strip_prefix(ours)).and_then(|m| m.strip_suffix('"'));
        ours.contains("HEADER.FIELDS") && more.is_some_and(|more| ends.contains(&more))
    });
}

fn partial_of_nothing(difference: &mut Difference) {
    if difference.command.contains("]<1") && difference.tagged() == Some(("Bad", "Ok")) {
        difference.explained();
    }
}

fn charset_in_capitals(difference: &mut Difference) {
    difference.pairs(|ours, theirs| ours.contains(" BODY") && ours.replace("US-ASCII", "us-ascii") == theirs);
}

/// Of `Date :  x` Dovecot's envelope begins with the blanks when header fields are told before it.
fn blanks_before_colon(difference: &mut Difference) {
    let with_fields = difference.command.contains("HEADER.FIELDS");
    difference.pairs(|ours, theirs| with_fields && ours.contains(" ENVELOPE ") && ours == without_first_blanks(theirs));
}

/// Without the blanks that strings begin with.
fn without_first_blanks(text: &str) -> String {
    let (mut kept, mut is_begun) = (String::new(), false);
    for piece in text.split_inclusive('"') {
        kept += if is_begun { piece.trim_start_matches([' ', '\t']) } else { piece };
        is_begun = !is_begun;
    }
    kept
}

#[test]
fn blanks_are_left_out_where_strings_begin() {
    assert_eq!(without_first_blanks(r#"ENVELOPE ("  a b " "c" NIL) "d""#), r#"ENVELOPE ("a b " "c" NIL) "d""#);
}

/// Dovecot falls over some multiparts, counts wrongly, and refuses what it can not decode to the end; then it tells UIDs unasked, and no
/// more of the messages. What BINARY makes of what holds parts is its own; a leaf may run on over a boundary. All leaves of ours are
/// compared with what they decode to, too.
fn binary(difference: &mut Difference) {
    if !difference.command.contains("BINARY") {
        return;
    }
    let item = |line: &str| {
        let (id, rest) = line.strip_prefix("FETCH #")?.split_once(' ')?;
        Some(format!("{id} {}", rest.split(' ').next().unwrap_or_default()))
    };
    let holds_parts =
        |line: &str| line.contains("\\r\\n--") || line.contains("\"--") || line.contains("Encoding: binary\\r\\n");
    difference.pairs(|ours, theirs| {
        ours.contains(" BINARY")
            && item(ours) == item(theirs)
            && (ours.contains(" BINARY.SIZE[") || holds_parts(ours) || runs_on(ours, theirs))
    });
    difference.dovecot.retain(|line| !line.contains(" UID "));
    // Of a message that is refused each has told as much as it had; what both told is the same.
    let items = |lines: &[String]| lines.iter().filter_map(|line| item(line)).collect::<BTreeSet<_>>();
    let (ours, theirs) = (items(&difference.skein), items(&difference.dovecot));
    if difference.tagged() == Some(("Ok", "No")) || difference.refused {
        difference.skein.retain(|line| item(line).is_some_and(|item| theirs.contains(&item)));
        let refused = difference.refused;
        difference.dovecot.retain(|line| item(line).is_some_and(|item| !refused || ours.contains(&item)));
    }
}

/// Dovecot's leaf does not end before the line of a boundary.
fn runs_on(ours: &str, theirs: &str) -> bool {
    let more = ours.strip_suffix('"').and_then(|ours| theirs.strip_prefix(ours));
    (ours.ends_with(" \"\"") || ours.ends_with("\\r\\n\"")) && more.is_some_and(|more| more.starts_with("--"))
}

#[test]
fn only_boundaries_are_run_over() {
    let leaf = |text: &str| format!("FETCH #1 BINARY[1] \"{text}\"");
    for (ours, theirs) in [("", "--b"), ("a\\r\\n", "a\\r\\n--b\\r\\nX: y")] {
        assert!(runs_on(&leaf(ours), &leaf(theirs)), "{ours} {theirs}");
    }
    for (ours, theirs) in [("a", "a--b"), ("a\\r\\n", "a\\r\\nb"), ("--b", ""), ("", "-b")] {
        assert!(!runs_on(&leaf(ours), &leaf(theirs)), "{ours} {theirs}");
    }
}

fn preview(difference: &mut Difference) {
    let is_told = |line: &String| !line.contains(" PREVIEW ") && !line.contains(" SNIPPET ");
    difference.skein.retain(is_told);
    difference.dovecot.retain(is_told);
}

fn flags_that_stay(difference: &mut Difference) {
    let (_, words) = difference.words();
    let told: &[&str] = if difference.command.contains(".SILENT") { &[" MODSEQ "] } else { &[" FLAGS ", " MODSEQ "] };
    if words[0] == "STORE" && difference.dovecot.is_empty() {
        difference.skein.retain(|line| !told.iter().chain(&[" UID "]).any(|item| line.contains(item)));
    }
}

/// A section that is not there is nothing for Dovecot.
fn catenated_nothing(difference: &mut Difference) {
    let catenates = difference.command.contains(" CATENATE (") && difference.command.contains(";SECTION=");
    if catenates && difference.tagged().is_some_and(|(ours, theirs)| ours == "No" && theirs.starts_with("Ok APPENDUID"))
    {
        difference.explained();
    }
}

/// Dovecot warns of a mailbox that is not there; of a name that only has children it tells.
fn metadata_of_nothing(difference: &mut Difference) {
    let empty = difference.dovecot.iter().skip(1).all(|line| line.starts_with("METADATA ") && line.ends_with(" NIL"));
    match difference.words().1[0] {
        "GETMETADATA" if difference.refused => difference.dovecot.retain(|line| line != "NO"),
        "GETMETADATA" if empty && difference.tagged() == Some(("No", "Ok")) => difference.explained(),
        _ => {}
    }
}

/// Of `9:*` Dovecot tells what vanished above 9, even where the last message is below.
fn vanished_to_star(difference: &mut Difference) {
    let told = |line: &str| {
        let numbers = line.strip_prefix("VANISHED (EARLIER) ")?.split(|c: char| !c.is_ascii_digit());
        Some(numbers.filter_map(|n| n.parse::<u32>().ok()).collect::<BTreeSet<_>>())
    };
    let (ours, theirs) =
        (difference.skein.iter().find_map(|l| told(l)), difference.dovecot.iter().find_map(|l| told(l)));
    let to_star = difference.command.contains("VANISHED)") && difference.command.contains('*');
    if to_star && ours.is_some_and(|ours| ours.is_superset(&theirs.unwrap_or_default())) {
        difference.skein.retain(|line| told(line).is_none());
        difference.dovecot.retain(|line| told(line).is_none());
    }
}

/// Dovecot leaves the mailbox when it does not understand the parameters.
fn select_that_is_bad(difference: &mut Difference) {
    let (_, words) = difference.words();
    if ["SELECT", "EXAMINE"].contains(&words[0]) && difference.bad {
        difference.dovecot.retain(|line| line != "CLOSED ");
    }
}

/// Dovecot says why, for each URL.
fn unreadable_url(difference: &mut Difference) {
    if difference.words().1[0] == "URLFETCH" {
        difference.dovecot.retain(|line| line != "NO");
    }
}

/// Dovecot lets the owner read what he gave to another.
fn url_for_another(difference: &mut Difference) {
    let is_for_another = |line: &str| line.contains(";urlauth=user+bob") || line.contains(";urlauth=submit+");
    let nothing = |line: &String| line.starts_with("URLFETCH ") && line.ends_with(" NIL") && is_for_another(line);
    if let Some(at) = difference.skein.iter().position(nothing) {
        let line = difference.skein.remove(at);
        let url = line.trim_end_matches(" NIL");
        difference.dovecot.retain(|line| !line.starts_with(url));
    }
}

/// Dovecot tells that of the whole part for its header, too, that of what is not decoded, and none of what is not there.
fn structure_behind_url(difference: &mut Difference) {
    const ITEM: &str = " BODYPARTSTRUCTURE ";
    if !difference.command.starts_with("URLFETCH ") || !difference.command.contains(ITEM.trim()) {
        return;
    }
    let is_decoded = difference.command.contains("BINARY");
    let is_nothing = |line: &str| line.contains(ITEM) && line.ends_with(" NIL");
    if difference.skein.iter().any(|line| is_nothing(line)) || is_decoded {
        difference.skein.retain(|line| !line.contains(ITEM));
        difference.dovecot.retain(|line| !line.contains(ITEM));
    }
    if difference.skein.iter().all(|line| line.ends_with(" NIL")) {
        difference.skein.clear();
        difference.dovecot.retain(|line| !line.ends_with(" NIL"));
    }
}

/// Dovecot looks for the message.
fn url_of_nothing(difference: &mut Difference) {
    if difference.words().1[0] == "GENURLAUTH" && difference.tagged() == Some(("Ok", "Bad")) {
        difference.explained();
    }
}

/// Dovecot tells of a mailbox that is not there what it would give, and looks at rights before it looks for the mailbox.
fn rights_in_nothing(difference: &mut Difference) {
    let verb = difference.words().1[0];
    let answers = difference.tagged();
    if ["LISTRIGHTS", "MYRIGHTS"].contains(&verb) && answers == Some(("No", "Ok"))
        || verb == "SETACL" && answers == Some(("No", "Bad"))
    {
        difference.explained();
    }
}

/// Dovecot tells it to who asks for all annotations.
fn key_of_urls(difference: &mut Difference) {
    difference.dovecot.retain(|line| !line.starts_with("METADATA ") || !line.contains(".dovecot/imap-urlauth "));
}

/// Skein tells the UID of each message that NOTIFY is about.
fn uid_of_notify(difference: &mut Difference) {
    let is_news = ["NOOP", "STORE"].contains(&difference.words().1[0]);
    let is_uid = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words[..], ["FETCH", _, "UID", _])
    };
    difference.skein.retain(|line| !(is_news && is_uid(line)));
}

/// Dovecot has a quota root for a name that is none.
fn quota_of_nothing(difference: &mut Difference) {
    let (_, words) = difference.words();
    let is_none = words.len() == 2 && NO_NAMES.contains(&words[1]);
    if words[0] == "GETQUOTAROOT" && is_none && difference.tagged() == Some(("No", "Ok")) {
        difference.explained();
    }
}

/// Dovecot tells HIGHESTMODSEQ without FlagChange, too.
fn status_of_notify(difference: &mut Difference) {
    let is_asked = difference.words().1[0] == "NOTIFY";
    difference.pairs(|ours, theirs| {
        is_asked && ours.starts_with("STATUS ") && ours == theirs.replace("\"HIGHESTMODSEQ\": \"its own\", ", "")
    });
}

fn cancel_nothing(difference: &mut Difference) {
    if difference.words().1[0] == "CANCELUPDATE" && difference.tagged() == Some(("Bad", "No")) {
        difference.explained();
    }
}

fn subscribe_of_nothing(difference: &mut Difference) {
    if ["SUBSCRIBE", "UNSUBSCRIBE"].contains(&difference.words().1[0]) && difference.tagged() == Some(("Ok", "No")) {
        difference.explained();
    }
}

fn expunge_read_only(difference: &mut Difference) {
    if difference.words().1[0] == "EXPUNGE" && difference.tagged() == Some(("No", "Ok")) {
        difference.explained();
    }
}

/// Dovecot looks at the messages first.
fn store_read_only(difference: &mut Difference) {
    let (_, words) = difference.words();
    let refused = matches!(difference.tagged(), Some(("No", "Ok" | "Bad" | "No TRYCREATE")));
    if ["STORE", "MOVE"].contains(&words[0]) && refused {
        difference.explained();
    }
}

/// Dovecot renames the folder under the session that has it open.
fn rename_inbox(difference: &mut Difference) {
    let (_, words) = difference.words();
    if words[0] == "RENAME" && words.get(1).is_some_and(|name| name.eq_ignore_ascii_case("INBOX")) {
        difference.explained();
    }
}

fn children_unasked(difference: &mut Difference) {
    let extended = difference.command.contains("LIST (") && !difference.command.contains("CHILDREN");
    let bare = |line: &str| line.replace("\\haschildren", "").replace("\\hasnochildren", "").replace(' ', "");
    difference.pairs(|ours, theirs| extended && bare(ours) == bare(theirs));
}

/// Dovecot tells of uses in a plain LIST, and in an extended one when it is asked.
fn uses_unasked(difference: &mut Difference) {
    let unasked = difference.command.contains("LIST (") && !difference.command.contains("SPECIAL-USE");
    let has_children = ["\\haschildren", "\\hasnochildren"];
    let is_asked_for_children = difference.command.contains("CHILDREN");
    let bare = |line: &str| {
        let others = ["\\drafts", "\\junk"].iter().chain(has_children.iter().filter(|_| !is_asked_for_children));
        others.fold(line.replace(' ', ""), |line, attribute| line.replace(attribute, ""))
    };
    difference.pairs(|ours, theirs| unasked && bare(ours) == bare(theirs));
}

fn name_without_mailbox(difference: &mut Difference) {
    let bare = |line: &str| line.replace("\\nonexistent", "\\noselect").replace("\\haschildren", "").replace(' ', "");
    difference.pairs(|ours, theirs| ours.contains("\\nonexistent") && bare(ours) == bare(theirs));
}

fn below_inbox(difference: &mut Difference) {
    if difference.command.contains("%x/") {
        difference.dovecot.retain(|line| !line.contains("LIST INBOX/") && !line.contains("LSUB INBOX/"));
    }
}

fn pattern_from_root(difference: &mut Difference) {
    if difference.command.ends_with(" /%") {
        difference.explained();
    }
}

fn try_create(difference: &mut Difference) {
    if difference.tagged() == Some(("No TRYCREATE", "No")) {
        difference.explained();
    }
}

fn order_of_threads(difference: &mut Difference) {
    let sorted = |line: &str| {
        let mut threads: Vec<String> =
            line.replace("THREAD ", "").replace(")(", ") (").split(") (").map(|t| t.replace(['(', ')'], "")).collect();
        threads.sort();
        threads
    };
    difference.pairs(|ours, theirs| ours.starts_with("THREAD ") && sorted(ours) == sorted(theirs));
}

fn end_of_connection(difference: &mut Difference) {
    if difference.tagged().is_some_and(|(_, theirs)| theirs == "closed") {
        difference.explained();
    }
}

fn rename_to_parent(difference: &mut Difference) {
    let (_, words) = difference.words();
    let below = words.len() == 3 && words[1].starts_with(&format!("{}/", words[2]));
    if words[0] == "RENAME" && below && difference.tagged() == Some(("Ok", "No")) {
        difference.explained();
    }
}

fn recent_of_client(difference: &mut Difference) {
    if difference.command.contains("\\Recent") && difference.tagged() == Some(("Ok", "Bad")) {
        difference.explained();
    }
}

fn flags_of_lsub(difference: &mut Difference) {
    const FLAGS: [&str; 5] = [" ", "\\haschildren", "\\hasnochildren", "\\drafts", "\\junk"];
    let bare = |line: &str| FLAGS.iter().fold(line.to_owned(), |line, flag| line.replace(flag, ""));
    difference.pairs(|ours, theirs| ours.starts_with("LSUB") && bare(ours) == bare(theirs));
}

fn root_of_reference(difference: &mut Difference) {
    if difference.command.ends_with(" \"\"") && ["LIST", "LSUB"].contains(&difference.words().1[0]) {
        difference.explained();
    }
}

/// Dovecot counts what the session itself has seen first.
fn recent_of_status(difference: &mut Difference) {
    let bare = |line: &str| {
        line.split("\"RECENT\": \"")
            .enumerate()
            .map(|(n, part)| if n == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) })
            .collect::<String>()
    };
    difference.pairs(|ours, theirs| ours.starts_with("STATUS") && bare(ours) == bare(theirs));
}
