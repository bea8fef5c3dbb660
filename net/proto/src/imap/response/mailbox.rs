//! Untagged lines about mailboxes: sizes, lists, status.

use super::{Names, status::code, text};
use crate::imap::{Code, SelectedInfo, StatusInfo, StatusItems};
use skein_base::{Flags, IdSet, ModSeq, Seq, SpecialUse};

/// What stands between the levels of a mailbox name.
pub const SEPARATOR: char = '/';

/// `* 172 EXISTS`
pub fn exists(out: &mut Vec<u8>, messages: u32) {
    counted(out, messages, " EXISTS\r\n");
}

/// `* 1 RECENT`
pub fn recent(out: &mut Vec<u8>, messages: u32) {
    counted(out, messages, " RECENT\r\n");
}

/// `* 44 EXPUNGE`; the numbers above it go down by one at once.
pub fn expunge(out: &mut Vec<u8>, seq: Seq) {
    counted(out, seq.0, " EXPUNGE\r\n");
}

/// `* VANISHED (EARLIER) 41,43:116`; without EARLIER the numbers go down at once (RFC 7162 §3.2.10).
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &IdSet) {
    out.extend_from_slice(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
    uids.write_to(out);
    out.extend_from_slice(b"\r\n");
}

fn counted(out: &mut Vec<u8>, n: u32, tail: &str) {
    out.extend_from_slice(b"* ");
    text::number(out, u64::from(n));
    out.extend_from_slice(tail.as_bytes());
}

/// Attributes of a mailbox in LIST as bits (RFC 3501 §7.2.2, RFC 3348).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct ListAttributes(pub u32);

impl ListAttributes {
    /// No attribute.
    pub const NONE: ListAttributes = ListAttributes(0);
    /// `\Noselect`
    pub const NO_SELECT: ListAttributes = ListAttributes(1);
    /// `\Noinferiors`
    pub const NO_INFERIORS: ListAttributes = ListAttributes(2);
    /// `\HasChildren`
    pub const HAS_CHILDREN: ListAttributes = ListAttributes(4);
    /// `\HasNoChildren`
    pub const HAS_NO_CHILDREN: ListAttributes = ListAttributes(8);
    /// `\Marked`
    pub const MARKED: ListAttributes = ListAttributes(16);
    /// `\Unmarked`
    pub const UNMARKED: ListAttributes = ListAttributes(32);

    /// `\NonExistent` (RFC 5258): nothing of this name can be selected.
    pub const NON_EXISTENT: ListAttributes = ListAttributes(64);
    /// `\Subscribed` (RFC 5258)
    pub const SUBSCRIBED: ListAttributes = ListAttributes(128);

    const NAMES: [(ListAttributes, &'static str); 8] = [
        (ListAttributes::NO_SELECT, "\\Noselect"),
        (ListAttributes::NO_INFERIORS, "\\Noinferiors"),
        (ListAttributes::HAS_CHILDREN, "\\HasChildren"),
        (ListAttributes::HAS_NO_CHILDREN, "\\HasNoChildren"),
        (ListAttributes::MARKED, "\\Marked"),
        (ListAttributes::UNMARKED, "\\Unmarked"),
        (ListAttributes::NON_EXISTENT, "\\NonExistent"),
        (ListAttributes::SUBSCRIBED, "\\Subscribed"),
    ];
}

impl std::ops::BitOr for ListAttributes {
    type Output = ListAttributes;
    fn bitor(self, other: ListAttributes) -> ListAttributes {
        ListAttributes(self.0 | other.0)
    }
}

/// One line of LIST, LSUB or XLIST.
#[derive(Clone, Copy, Default, Debug)]
pub struct Listing<'a> {
    /// It is LSUB's.
    pub lsub: bool,
    /// It is XLIST's.
    pub xlist: bool,
    /// What is said of the mailbox.
    pub attributes: ListAttributes,
    /// What it is for (RFC 6154).
    pub uses: SpecialUse,
    /// What is true of mailboxes below it that are not listed (`CHILDINFO`, RFC 5258 §3.5).
    pub below: &'a [&'a str],
    /// What it was called (`OLDNAME`, RFC 5465 §5.4).
    pub old_name: Option<&'a str>,
}

/// `* LIST (\HasNoChildren \Sent) "/" name`, or LSUB.
pub fn list(out: &mut Vec<u8>, listing: &Listing<'_>, name: &str, names: Names) {
    let Listing { lsub, xlist, attributes, uses, below, old_name } = *listing;
    let command = if xlist { "XLIST" } else { ["LIST", "LSUB"][usize::from(lsub)] };
    out.extend_from_slice(b"* ");
    out.extend_from_slice(command.as_bytes());
    out.extend_from_slice(b" (");
    let start = out.len();
    if xlist && name == "INBOX" {
        text::word(out, start, "\\Inbox");
    }
    for (bit, text) in ListAttributes::NAMES {
        if attributes.0 & bit.0 != 0 {
            text::word(out, start, text);
        }
    }
    let known = SpecialUse::NAMES.iter().chain(&SpecialUse::VIRTUAL_NAMES);
    known.filter(|(one, _)| uses.shares(*one)).for_each(|(_, text)| text::word(out, start, text));
    out.extend_from_slice(b") \"");
    out.push(names.separator() as u8);
    out.extend_from_slice(b"\" ");
    text::mailbox(out, name, names);
    extended(out, below, old_name, names);
    out.extend_from_slice(b"\r\n");
}

/// ` ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" (name))` with what there is (RFC 5258 §6).
fn extended(out: &mut Vec<u8>, below: &[&str], old_name: Option<&str>, names: Names) {
    let start = out.len();
    if !below.is_empty() {
        out.extend_from_slice(b" (\"CHILDINFO\" (");
        let start = out.len();
        below.iter().for_each(|what| text::word(out, start, &format!("\"{what}\"")));
        out.push(b')');
    }
    if let Some(old) = old_name {
        out.extend_from_slice(if out.len() > start { b" " } else { b" (" });
        out.extend_from_slice(b"\"OLDNAME\" (");
        text::mailbox(out, old, names);
        out.push(b')');
    }
    if out.len() > start {
        out.push(b')');
    }
}

/// Prefixes of the namespaces that a client is told of, with `/` between levels (RFC 2342 §5).
#[derive(Clone, Copy, Default, Debug)]
pub struct Namespaces<'a> {
    /// Of the user's own mailboxes.
    pub personal: &'a str,
    /// Of what is shown of his messages in another way.
    pub virtuals: Option<&'a str>,
    /// Of those of other users.
    pub others: Option<&'a str>,
    /// Of those that belong to nobody.
    pub shared: Option<&'a str>,
}

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(out: &mut Vec<u8>, namespaces: &Namespaces<'_>, names: Names) {
    out.extend_from_slice(b"* NAMESPACE");
    let personal = [Some(namespaces.personal), namespaces.virtuals];
    for prefixes in [&personal[..], &[namespaces.others], &[namespaces.shared]] {
        if prefixes.iter().all(|prefix| prefix.is_none()) {
            out.extend_from_slice(b" NIL");
            continue;
        }
        out.extend_from_slice(b" (");
        for prefix in prefixes.iter().copied().flatten() {
            out.push(b'(');
            // Never an atom, unlike names (RFC 9051 §9, namespace-descr).
            text::mailbox_string(out, prefix, names);
            out.extend_from_slice(b" \"");
            out.push(names.separator() as u8);
            out.extend_from_slice(b"\")");
        }
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// `* STATUS name (MESSAGES 231 UIDNEXT 44292)` with the items that were asked.
pub fn status(out: &mut Vec<u8>, name: &str, items: StatusItems, info: &StatusInfo, names: Names) {
    out.extend_from_slice(b"* STATUS ");
    text::mailbox(out, name, names);
    out.extend_from_slice(b" (");
    let start = out.len();
    for (item, name) in StatusItems::NAMES {
        if items.contains(item) {
            text::word(out, start, name);
            out.push(b' ');
            match item {
                StatusItems::MAILBOXID => mailbox_id(out, info.mailbox_id),
                StatusItems::GUID => info.mailbox_id.to_be_bytes().iter().for_each(|byte| text::hex(out, *byte)),
                item => text::number(out, status_value(item, info)),
            }
        }
    }
    out.extend_from_slice(b")\r\n");
}

fn status_value(item: StatusItems, info: &StatusInfo) -> u64 {
    match item {
        StatusItems::MESSAGES => u64::from(info.messages),
        StatusItems::RECENT => u64::from(info.recent),
        StatusItems::UIDNEXT => u64::from(info.uid_next),
        StatusItems::UIDVALIDITY => u64::from(info.uid_validity),
        StatusItems::UNSEEN => u64::from(info.unseen),
        StatusItems::HIGHESTMODSEQ => info.highest_modseq,
        StatusItems::SIZE => info.size,
        StatusItems::DELETED => u64::from(info.deleted),
        StatusItems::DELETED_STORAGE => info.deleted_bytes,
        StatusItems::APPENDLIMIT => info.append_limit,
        other => unreachable!("{other:?} is no single item"),
    }
}

/// `(F0000000100000002)` (RFC 8474 §4)
pub(crate) fn mailbox_id(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(b"(F");
    id.to_be_bytes().iter().for_each(|byte| text::hex(out, *byte));
    out.push(b')');
}

/// The untagged lines of SELECT and EXAMINE (RFC 3501 §6.3.1, RFC 7162 §3.1.2.1). With IMAP4rev2 the mailbox is named as LIST would, and nothing is
/// recent (RFC 9051 §6.3.2).
pub fn selected(out: &mut Vec<u8>, info: &SelectedInfo, rev2: Option<(&str, Names)>) {
    let permanent = (!info.read_only).then_some(Permanent { flags: info.permanent, new_keywords: info.new_keywords });
    flags_in_use(out, &info.keywords, permanent);
    exists(out, info.exists);
    if rev2.is_none() {
        recent(out, info.recent);
    }
    if let Some(first) = info.first_unseen.filter(|_| rev2.is_none()) {
        number_code(out, "UNSEEN ", u64::from(first), "] First unseen.\r\n");
    }
    number_code(out, "UIDVALIDITY ", u64::from(info.uid_validity), "] UIDs valid.\r\n");
    number_code(out, "UIDNEXT ", u64::from(info.uid_next), "] Predicted next UID.\r\n");
    out.extend_from_slice(b"* OK ");
    code(out, &Code::HighestModSeq(ModSeq(info.highest_modseq)));
    out.extend_from_slice(b" Highest.\r\n");
    if info.mailbox_id > 0 {
        out.extend_from_slice(b"* OK ");
        code(out, &Code::MailboxId(info.mailbox_id));
        out.extend_from_slice(b" Its id.\r\n");
    }
    if info.url_mech {
        url_mech(out);
    }
    if let Some((name, names)) = rev2 {
        list(out, &Listing::default(), name, names);
    }
}

/// `* OK [URLMECH ..]`: with SELECT, and when the key of the mailbox's URLs was reset (RFC 4467 §7, §8).
pub fn url_mech(out: &mut Vec<u8>) {
    out.extend_from_slice(b"* OK ");
    code(out, &Code::UrlMech);
    out.extend_from_slice(b" For URLs.\r\n");
}

/// What may be changed for good, for PERMANENTFLAGS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permanent {
    /// System flags.
    pub flags: Flags,
    /// New keywords may be created: `\*`.
    pub new_keywords: bool,
}

/// Whether who may change these system flags may change keywords: one right is for them and for most of those (RFC 4314 §4, `w`).
pub fn may_change_keywords(flags: Flags) -> bool {
    flags.contains(Flags::ANSWERED)
}

/// `* FLAGS` and PERMANENTFLAGS: with SELECT, and again before the first use of a keyword that the client has not been told
/// of (RFC 3501 §7.2.6). `None` in a read-only mailbox.
pub fn flags_in_use<S: AsRef<str>>(out: &mut Vec<u8>, keywords: &[S], permanent: Option<Permanent>) {
    out.extend_from_slice(b"* FLAGS ");
    flag_names(out, Flags::ALL, keywords, false);
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ");
    match permanent {
        None => out.extend_from_slice(b"()] Read-only mailbox.\r\n"),
        Some(permanent) => {
            let keywords = if may_change_keywords(permanent.flags) { keywords } else { &[] };
            flag_names(out, permanent.flags, keywords, permanent.new_keywords);
            out.extend_from_slice(b"] Flags permitted.\r\n");
        }
    }
}

fn number_code(out: &mut Vec<u8>, name: &str, n: u64, tail: &str) {
    out.extend_from_slice(b"* OK [");
    out.extend_from_slice(name.as_bytes());
    text::number(out, n);
    out.extend_from_slice(tail.as_bytes());
}

fn flag_names<S: AsRef<str>>(out: &mut Vec<u8>, flags: Flags, keywords: &[S], star: bool) {
    out.push(b'(');
    let start = out.len();
    Flags::NAMES.iter().filter(|(flag, _)| flags.contains(*flag)).for_each(|(_, name)| text::word(out, start, name));
    keywords.iter().for_each(|name| text::word(out, start, name.as_ref()));
    if star {
        text::word(out, start, "\\*");
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Vec<u8>), want: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn lines() {
        check(|out| exists(out, 172), "* 172 EXISTS\r\n");
        check(|out| recent(out, 0), "* 0 RECENT\r\n");
        check(|out| expunge(out, Seq(44)), "* 44 EXPUNGE\r\n");
        check(|out| namespace(out, &Namespaces::default(), Names::UTF7), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
        let (all, dots) = (
            Namespaces { personal: "INBOX/", virtuals: None, others: Some("shared/"), shared: Some("Ours/") },
            Names { dots: true, ..Names::UTF7 },
        );
        check(
            |out| namespace(out, &all, dots),
            "* NAMESPACE ((\"INBOX.\" \".\")) ((\"shared.\" \".\")) ((\"Ours.\" \".\"))\r\n",
        );
        let two = Namespaces { virtuals: Some("Virtual/"), ..Namespaces::default() };
        check(|out| namespace(out, &two, Names::UTF7), "* NAMESPACE ((\"\" \"/\")(\"Virtual/\" \"/\")) NIL NIL\r\n");
        check(|out| list(out, &Listing::default(), "a/b.c", dots), "* LIST () \".\" a.b/c\r\n");
        let attributes = ListAttributes::NO_SELECT | ListAttributes::HAS_CHILDREN;
        let listing = Listing { attributes, ..Listing::default() };
        check(|out| list(out, &listing, "a b", Names::UTF7), "* LIST (\\Noselect \\HasChildren) \"/\" \"a b\"\r\n");
        let listing = Listing { lsub: true, ..Listing::default() };
        check(|out| list(out, &listing, "INBOX", Names::UTF7), "* LSUB () \"/\" INBOX\r\n");
        let listing = Listing { xlist: true, ..Listing::default() };
        check(|out| list(out, &listing, "INBOX", Names::UTF7), "* XLIST (\\Inbox) \"/\" INBOX\r\n");
        let (attributes, uses) = (ListAttributes::SUBSCRIBED, SpecialUse::SENT | SpecialUse::IMPORTANT);
        let below = &["SUBSCRIBED", "SPECIAL-USE"];
        let listing = Listing { attributes, uses, below, old_name: Some("a"), ..Listing::default() };
        let line = "* LIST (\\Subscribed \\Sent \\Important) \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\") \"OLDNAME\" (a))\r\n";
        check(|out| list(out, &listing, "x", Names::UTF7), line);
    }

    #[test]
    fn status_tells_what_was_asked() {
        let info = StatusInfo { messages: 231, uid_next: 44292, highest_modseq: 7, ..StatusInfo::default() };
        let two = StatusItems(StatusItems::MESSAGES.0 | StatusItems::UIDNEXT.0);
        check(
            |out| status(out, "blurdybloop", two, &info, Names::UTF7),
            "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n",
        );
        check(
            |out| status(out, "x", StatusItems::HIGHESTMODSEQ, &info, Names::UTF7),
            "* STATUS x (HIGHESTMODSEQ 7)\r\n",
        );
    }
}
