//! Status responses: OK, NO, BAD, BYE and their codes (RFC 3501 §7.1).

use super::text::{hex, number, word};
use crate::imap::limits::URL_BYTES_MAX;
use crate::imap::{Code, NotifyEvents};
use skein_base::ModSeq;

/// `* OK text`
pub fn ok(out: &mut Vec<u8>, text: &str) {
    condition(out, b"*", "OK", None, text);
}

/// `* LANGUAGE (EN i-default)` (RFC 5255 §3.3)
pub(crate) fn language(out: &mut Vec<u8>, tags: &[&str]) {
    out.extend_from_slice(b"* LANGUAGE (");
    let start = out.len();
    tags.iter().for_each(|tag| word(out, start, tag));
    out.extend_from_slice(b")\r\n");
}

/// `* OK [HIGHESTMODSEQ 715194045007] Highest.`
pub fn highest_modseq(out: &mut Vec<u8>, modseq: ModSeq) {
    condition(out, b"*", "OK", Some(&Code::HighestModSeq(modseq)), "Highest.");
}

/// `* NO [NOUPDATE "B02"] Too many contexts`
pub fn no_update(out: &mut Vec<u8>, tag: &str, text: &str) {
    condition(out, b"*", "NO", Some(&Code::NoUpdate(tag.to_string())), text);
}

/// `* NO [MESSAGELIMIT 1000 23221] ..`, before a tagged line that has another code (RFC 9738 §3.1).
pub fn message_limit(out: &mut Vec<u8>, limit: &Code) {
    condition(out, b"*", "NO", Some(limit), "Only the highest messages were looked at; go on below them.");
}

/// `* OK [COPYUID 1397597919 20001:21000 22363:23362] ..`, of a MOVE that did not reach all messages (RFC 9738 §3.1).
pub fn some_moved(out: &mut Vec<u8>, copied: &Code) {
    condition(out, b"*", "OK", Some(copied), "Some messages were not moved.");
}

/// `* OK [NOTIFICATIONOVERFLOW] ..`: nothing more is told (RFC 5465 §5.8).
pub fn notification_overflow(out: &mut Vec<u8>) {
    condition(out, b"*", "OK", Some(&Code::NotificationOverflow), "Too much has happened; ask again what is so now.");
}

/// `* OK [INPROGRESS ("A001" 454 1000)] Processed 45% of the messages`: how far a long command is (RFC 9585 §4). A tag with `]` is left out: the
/// code would end there. What is known to be all is told only while it is not done yet.
pub fn in_progress(out: &mut Vec<u8>, tag: &[u8], done: u32, goal: Option<u32>) {
    out.extend_from_slice(b"* OK [INPROGRESS (");
    match tag.is_empty() || tag.contains(&b']') {
        true => out.extend_from_slice(b"NIL"),
        false => super::text::string(out, tag),
    }
    spaced(out, u64::from(done));
    match goal.filter(|goal| done < *goal) {
        Some(goal) => {
            spaced(out, u64::from(goal));
            out.extend_from_slice(b")] Processed ");
            number(out, u64::from(done) * 100 / u64::from(goal));
            out.extend_from_slice(b"% of the messages\r\n");
        }
        None => {
            out.extend_from_slice(b" NIL)] Processed ");
            number(out, u64::from(done));
            out.extend_from_slice(b" messages so far\r\n");
        }
    }
}

/// One status line. Text from elsewhere loses its line breaks, so that it can not forge a response.
pub(crate) fn condition(out: &mut Vec<u8>, tag: &[u8], word: &str, with: Option<&Code>, text: &str) {
    out.extend_from_slice(tag);
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    out.push(b' ');
    if let Some(with) = with {
        code(out, with);
        out.push(b' ');
    }
    out.extend(text.bytes().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b }));
    out.extend_from_slice(b"\r\n");
}

/// `[APPENDUID 38505 3955]`
pub fn code(out: &mut Vec<u8>, code: &Code) {
    out.push(b'[');
    out.extend_from_slice(name(code).as_bytes());
    match code {
        Code::AppendUid { validity, uids } => {
            spaced(out, u64::from(validity.0));
            out.push(b' ');
            uids.write_to(out);
        }
        Code::BadUrl(url) => bad_url(out, url),
        Code::Referral(url) => {
            out.push(b' ');
            out.extend_from_slice(url.as_bytes());
        }
        Code::CopyUid { validity, from, to } => {
            spaced(out, u64::from(validity.0));
            out.push(b' ');
            from.write_to(out);
            out.push(b' ');
            to.write_to(out);
        }
        Code::Modified(set) => {
            out.push(b' ');
            set.write_to(out);
        }
        Code::HighestModSeq(modseq) => spaced(out, modseq.0),
        Code::MetadataLongEntries(bytes) | Code::MetadataMaxSize(bytes) => spaced(out, *bytes),
        Code::MessageLimit { limit, lowest } => {
            spaced(out, u64::from(*limit));
            lowest.iter().for_each(|uid| spaced(out, u64::from(uid.0)));
        }
        Code::MailboxId(id) => {
            out.push(b' ');
            super::mailbox::mailbox_id(out, *id);
        }
        Code::NoUpdate(tag) => {
            out.push(b' ');
            super::text::string(out, tag.as_bytes());
        }
        Code::BadEvent => {
            out.extend_from_slice(b" (");
            let start = out.len();
            NotifyEvents::NAMES.iter().for_each(|(_, name)| super::text::word(out, start, name));
            out.push(b')');
        }
        Code::BadCharset => out.extend_from_slice(b" (US-ASCII UTF-8)"),
        _ => {}
    }
    out.push(b']');
}

/// The URL in quotes, as in RFC 4469's examples. What its grammar has no place for is percent-encoded.
fn bad_url(out: &mut Vec<u8>, url: &str) {
    out.extend_from_slice(b" \"");
    for byte in url.bytes().take(URL_BYTES_MAX) {
        match byte {
            0x20..=0x7e if !matches!(byte, b'"' | b'\\' | b']') => out.push(byte),
            _ => {
                out.push(b'%');
                hex(out, byte);
            }
        }
    }
    out.push(b'"');
}

fn spaced(out: &mut Vec<u8>, n: u64) {
    out.push(b' ');
    number(out, n);
}

fn name(code: &Code) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::AppendUid { .. } => "APPENDUID",
        Code::BadUrl(_) => "BADURL",
        Code::CopyUid { .. } => "COPYUID",
        Code::Modified(_) => "MODIFIED",
        Code::HighestModSeq(_) => "HIGHESTMODSEQ",
        Code::NoModSeq => "NOMODSEQ",
        Code::MessageLimit { .. } => "MESSAGELIMIT",
        Code::MailboxId(_) => "MAILBOXID",
        Code::MetadataLongEntries(_) => "METADATA LONGENTRIES",
        Code::MetadataMaxSize(_) => "METADATA MAXSIZE",
        Code::MetadataTooMany => "METADATA TOOMANY",
        Code::MetadataNoPrivate => "METADATA NOPRIVATE",
        Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
        Code::BadEvent => "BADEVENT",
        Code::UrlMech => "URLMECH INTERNAL",
        Code::UseAttr => "USEATTR",
        Code::UidRequired => "UIDREQUIRED",
        Code::NoUpdate(_) => "NOUPDATE",
        Code::TooFew => "TOOFEW",
        Code::TooMany => "TOOMANY",
        Code::NotSaved => "NOTSAVED",
        Code::TryCreate => "TRYCREATE",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::BadCharset => "BADCHARSET",
        Code::BadComparator => "BADCOMPARATOR",
        Code::CompressionActive => "COMPRESSIONACTIVE",
        Code::Closed => "CLOSED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Referral(_) => "REFERRAL",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::Expired => "EXPIRED",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::NoPerm => "NOPERM",
        Code::InUse => "INUSE",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::Corruption => "CORRUPTION",
        Code::ServerBug => "SERVERBUG",
        Code::ClientBug => "CLIENTBUG",
        Code::Cannot => "CANNOT",
        Code::Limit => "LIMIT",
        Code::TooBig => "TOOBIG",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::OverQuota => "OVERQUOTA",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::NonExistent => "NONEXISTENT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_base::{IdSet, Uid, UidValidity};

    #[test]
    fn codes() {
        let check = |c: Code, want: &str| {
            let mut out = Vec::new();
            code(&mut out, &c);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        let validity = UidValidity(38505);
        check(Code::AppendUid { validity, uids: IdSet::one(3955) }, "[APPENDUID 38505 3955]");
        check(Code::AppendUid { validity, uids: IdSet::range(3955, 3957) }, "[APPENDUID 38505 3955:3957]");
        check(Code::BadUrl("/x/;UID=1".into()), "[BADURL \"/x/;UID=1\"]");
        check(Code::BadUrl("a\"]\\\r\nü".into()), "[BADURL \"a%22%5d%5c%0d%0a%c3%bc\"]");
        check(Code::UnknownCte, "[UNKNOWN-CTE]");
        let (from, to) = (IdSet::from_iter([304, 319, 320]), IdSet::range(3956, 3958));
        check(Code::CopyUid { validity, from, to }, "[COPYUID 38505 304,319:320 3956:3958]");
        check(Code::Modified(IdSet::from_iter([7, 9])), "[MODIFIED 7,9]");
        check(Code::MessageLimit { limit: 1000, lowest: Some(Uid(23221)) }, "[MESSAGELIMIT 1000 23221]");
        check(Code::MessageLimit { limit: 1000, lowest: None }, "[MESSAGELIMIT 1000]");
        check(Code::HighestModSeq(ModSeq(5)), "[HIGHESTMODSEQ 5]");
        check(Code::BadCharset, "[BADCHARSET (US-ASCII UTF-8)]");
        check(Code::MetadataLongEntries(2199), "[METADATA LONGENTRIES 2199]");
        check(Code::MetadataMaxSize(1024), "[METADATA MAXSIZE 1024]");
        check(Code::MetadataNoPrivate, "[METADATA NOPRIVATE]");
        check(
            Code::BadEvent,
            "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
             ServerMetadataChange)]",
        );
        check(Code::ReadOnly, "[READ-ONLY]");
    }

    /// The examples of RFC 9585 §4, and what would not be one.
    #[test]
    fn progress() {
        let check = |tag: &[u8], done, goal, want: &str| {
            let mut out = Vec::new();
            in_progress(&mut out, tag, done, goal);
            assert_eq!(String::from_utf8(out).unwrap(), format!("* OK [INPROGRESS ({want}\r\n"));
        };
        check(b"A001", 454, Some(1000), "\"A001\" 454 1000)] Processed 45% of the messages");
        check(b"A001", 999, Some(1000), "\"A001\" 999 1000)] Processed 99% of the messages");
        check(b"tag", 175, None, "\"tag\" 175 NIL)] Processed 175 messages so far");
        check(b"a]b", 0, Some(1), "NIL 0 1)] Processed 0% of the messages");
        check(b"", 7, Some(7), "NIL 7 NIL)] Processed 7 messages so far");
        check(b"x", u32::MAX - 1, Some(u32::MAX), "\"x\" 4294967294 4294967295)] Processed 99% of the messages");
    }

    #[test]
    fn text_can_not_forge_a_line() {
        let mut out = Vec::new();
        ok(&mut out, "a\r\n* BYE b");
        assert_eq!(out, b"* OK a  * BYE b\r\n");
    }
}
