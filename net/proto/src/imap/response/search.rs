//! What SEARCH, SORT, THREAD and ESEARCH tell.

use super::{Names, text};
use crate::imap::{Comparator, Results, Returns};
use skein_base::{Collation, IdSet, ModSeq, UidValidity};

/// `* SEARCH 2 84 882 (MODSEQ 917162500)`, with MODSEQ when it was asked and something was found
/// (RFC 7162 §3.1.5).
pub fn search(out: &mut Vec<u8>, found: &IdSet, highest: Option<ModSeq>) {
    out.extend_from_slice(b"* SEARCH");
    for n in found.iter() {
        out.push(b' ');
        text::number(out, u64::from(n));
    }
    if let Some(highest) = highest.filter(|_| !found.is_empty()) {
        out.extend_from_slice(b" (MODSEQ ");
        text::number(out, highest.0);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// `* SORT 84 2 882 (MODSEQ 917162500)`, in the order of the numbers (RFC 5256 §4, RFC 7162 §3.1.6).
pub fn sort(out: &mut Vec<u8>, numbers: &[u32], highest: Option<ModSeq>) {
    out.extend_from_slice(b"* SORT");
    for n in numbers {
        out.push(b' ');
        text::number(out, u64::from(*n));
    }
    if let Some(highest) = highest.filter(|_| !numbers.is_empty()) {
        out.extend_from_slice(b" (MODSEQ ");
        text::number(out, highest.0);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// `* COMPARATOR i;octet`, with what else was meant: `(i;octet i;ascii-casemap)` (RFC 5255 §4.8).
pub(crate) fn comparator(out: &mut Vec<u8>, active: Comparator, matching: &[Collation]) {
    out.extend_from_slice(b"* COMPARATOR ");
    out.extend_from_slice(if active.descending { b"-" } else { b"" });
    out.extend_from_slice(active.collation.name().as_bytes());
    if matching.len() > 1 {
        out.extend_from_slice(b" (");
        let start = out.len();
        matching.iter().for_each(|collation| text::word(out, start, collation.name()));
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// Which search a line belongs to (RFC 4466 §2.6.2, RFC 7377 §2.1).
#[derive(Clone, Copy, Debug)]
pub struct Correlator<'a> {
    /// The command's tag.
    pub tag: &'a str,
    /// The mailbox and its UIDVALIDITY, when it may be another than the selected one.
    pub mailbox: Option<(&'a str, UidValidity, Names)>,
}

/// `* ESEARCH (TAG "A285" MAILBOX x UIDVALIDITY 7) UID`
fn begin(out: &mut Vec<u8>, of: Correlator<'_>, uid: bool) {
    out.extend_from_slice(b"* ESEARCH (TAG ");
    text::string(out, of.tag.as_bytes());
    if let Some((name, validity, names)) = of.mailbox {
        out.extend_from_slice(b" MAILBOX ");
        text::mailbox(out, name, names);
        labelled(out, " UIDVALIDITY ", u64::from(validity.0));
    }
    out.extend_from_slice(if uid { b") UID" } else { b")" });
}

fn labelled(out: &mut Vec<u8>, label: &str, n: u64) {
    out.extend_from_slice(label.as_bytes());
    text::number(out, n);
}

/// `* ESEARCH (TAG "A285") UID MIN 7 MAX 3800 COUNT 15 ALL 1:3,5 MODSEQ 1236` with what was asked; of nothing found only COUNT and PARTIAL
/// are told (RFC 4731 §3.1, RFC 5267 §4.4, RFC 7162 §3.1.5).
pub fn esearch(
    out: &mut Vec<u8>,
    of: Correlator<'_>,
    returns: &Returns,
    uid: bool,
    results: &Results,
    highest: Option<ModSeq>,
) {
    begin(out, of, uid);
    for (asked, name, n) in [(returns.min, " MIN ", results.first()), (returns.max, " MAX ", results.last())] {
        if let Some(n) = n.filter(|_| asked) {
            labelled(out, name, u64::from(n));
        }
    }
    if returns.count {
        labelled(out, " COUNT ", results.count() as u64);
    }
    if returns.all && !results.is_empty() {
        out.extend_from_slice(b" ALL ");
        results.write_to(out);
    }
    if let Some(range) = returns.partial {
        out.extend_from_slice(b" PARTIAL (");
        range.write_to(out);
        out.push(b' ');
        match results.part(range) {
            part if part.is_empty() => out.extend_from_slice(b"NIL"),
            part => part.write_to(out),
        }
        out.push(b')');
    }
    if let Some(highest) = highest.filter(|_| !results.is_empty()) {
        labelled(out, " MODSEQ ", highest.0);
    }
    out.extend_from_slice(b"\r\n");
}

/// `* UIDBATCHES (TAG "A143") 215295:99696,99695:1`, each batch by its highest and its lowest UID (RFC 10022 §3.1.2).
pub fn uid_batches(out: &mut Vec<u8>, tag: &str, batches: impl IntoIterator<Item = (u32, u32)>) {
    out.extend_from_slice(b"* UIDBATCHES (TAG ");
    text::string(out, tag.as_bytes());
    out.push(b')');
    for (i, (highest, lowest)) in batches.into_iter().enumerate() {
        out.push(if i == 0 { b' ' } else { b',' });
        text::number(out, u64::from(highest));
        out.push(b':');
        text::number(out, u64::from(lowest));
    }
    out.extend_from_slice(b"\r\n");
}

/// What came to the result of a search, or went: where in it, and which, in its order. The place is 0 where the order is that of the mailbox.
pub type Moved = (u32, Results);

/// `* ESEARCH (TAG "B01") UID REMOVEFROM (0 32768) ADDTO (0 32770:32771)` (RFC 5267 §4.3); nothing when nothing has moved.
pub fn context_moved(out: &mut Vec<u8>, of: Correlator<'_>, uid: bool, removed: &[Moved], added: &[Moved]) {
    if removed.is_empty() && added.is_empty() {
        return;
    }
    begin(out, of, uid);
    for (label, moved) in [(" REMOVEFROM ", removed), (" ADDTO ", added)] {
        for (i, (place, results)) in moved.iter().enumerate() {
            out.extend_from_slice(if i == 0 { label.as_bytes() } else { b" " });
            labelled(out, if i == 0 { "(" } else { "" }, u64::from(*place));
            out.push(b' ');
            results.write_to(out);
        }
        if !moved.is_empty() {
            out.push(b')');
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `* THREAD (2)(3 6 (4 23)(44 7 96))`, of places with their number, if a message is there, and how many children follow: parents before
/// children (RFC 5256 §4).
pub fn thread(out: &mut Vec<u8>, places: impl IntoIterator<Item = (Option<u32>, u32)>) {
    out.extend_from_slice(b"* THREAD");
    // Children still to come, of each place with more than one.
    let mut open: Vec<u32> = Vec::new();
    let mut begins = true;
    for (i, (number, children)) in places.into_iter().enumerate() {
        if i == 0 {
            out.push(b' ');
        }
        if begins {
            out.push(b'(');
        }
        if let Some(number) = number {
            text::number(out, u64::from(number));
        }
        begins = children != 1;
        match (children, number) {
            (0, _) => end_lists(out, &mut open),
            (1, Some(_)) => out.push(b' '),
            (1, None) => {}
            (_, Some(_)) => {
                out.push(b' ');
                open.push(children);
            }
            (_, None) => open.push(children),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A list ends, and with it those of which it was the last.
fn end_lists(out: &mut Vec<u8>, open: &mut Vec<u32>) {
    out.push(b')');
    while let Some(left) = open.last_mut() {
        *left -= 1;
        if *left > 0 {
            return;
        }
        open.pop();
        out.push(b')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::{ResultRange, Update};

    fn check(write: impl FnOnce(&mut Vec<u8>), want: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn found() {
        let found = IdSet::from_iter([2, 3, 84]);
        check(|out| search(out, &found, None), "* SEARCH 2 3 84\r\n");
        check(|out| search(out, &found, Some(ModSeq(9))), "* SEARCH 2 3 84 (MODSEQ 9)\r\n");
        check(|out| search(out, &IdSet::new(), Some(ModSeq(9))), "* SEARCH\r\n");
    }

    #[test]
    fn what_was_asked_is_told() {
        let of = Correlator { tag: "A1", mailbox: None };
        let asked = |returns: &Returns, uid, results: &[u32], want: &str| {
            let results = Results::Mailbox(results.iter().copied().collect());
            check(|out| esearch(out, of, returns, uid, &results, Some(ModSeq(9))), want);
        };
        let most = Returns { min: true, max: true, count: true, all: true, ..Returns::default() };
        asked(&most, true, &[2, 3, 7], "* ESEARCH (TAG \"A1\") UID MIN 2 MAX 7 COUNT 3 ALL 2:3,7 MODSEQ 9\r\n");
        asked(&most, false, &[], "* ESEARCH (TAG \"A1\") COUNT 0\r\n");
        let partial = Returns { partial: Some(ResultRange::new(1, 2, true)), ..Returns::default() };
        asked(&partial, false, &[2, 3, 7], "* ESEARCH (TAG \"A1\") PARTIAL (-1:-2 3,7) MODSEQ 9\r\n");
        asked(&partial, false, &[], "* ESEARCH (TAG \"A1\") PARTIAL (-1:-2 NIL)\r\n");
        asked(
            &Returns { update: Some(Update::default()), ..Returns::default() },
            false,
            &[],
            "* ESEARCH (TAG \"A1\")\r\n",
        );
        let of = Correlator { tag: "A1", mailbox: Some(("Entw\u{fc}rfe", UidValidity(7), Names::UTF7)) };
        let sorted = Results::Sorted(vec![9, 3, 4]);
        let line =
            "* ESEARCH (TAG \"A1\" MAILBOX \"Entw&APw-rfe\" UIDVALIDITY 7) UID MIN 9 MAX 4 COUNT 3 ALL 9,3:4\r\n";
        check(|out| esearch(out, of, &most, true, &sorted, None), line);
    }

    /// RFC 10022 §3.1.1, §3.1.6
    #[test]
    fn batches() {
        let some = [(215_295, 99696), (99695, 20351), (20350, 7830), (7829, 1)];
        let line = "* UIDBATCHES (TAG \"A143\") 215295:99696,99695:20351,20350:7830,7829:1\r\n";
        check(|out| uid_batches(out, "A143", some), line);
        check(|out| uid_batches(out, "A302", []), "* UIDBATCHES (TAG \"A302\")\r\n");
    }

    /// RFC 5267 §4.3
    #[test]
    fn what_moved_is_told() {
        let of = Correlator { tag: "B01", mailbox: None };
        let set = |first, last| Results::Mailbox(IdSet::range(first, last));
        let line = "* ESEARCH (TAG \"B01\") UID ADDTO (0 32768:32769)\r\n";
        check(|out| context_moved(out, of, true, &[], &[(0, set(32768, 32769))]), line);
        let line = "* ESEARCH (TAG \"B01\") REMOVEFROM (1 7 3 9,8) ADDTO (2 4)\r\n";
        let gone = [(1, Results::Sorted(vec![7])), (3, Results::Sorted(vec![9, 8]))];
        check(|out| context_moved(out, of, false, &gone, &[(2, set(4, 4))]), line);
        check(|out| context_moved(out, of, false, &[], &[]), "");
    }

    /// RFC 5256 §4, and the depth of a mailbox.
    #[test]
    fn threads() {
        let some = |number, children| (Some(number), children);
        let example =
            [some(2, 0), some(3, 1), some(6, 2), some(4, 1), some(23, 0), some(44, 1), some(7, 1), some(96, 0)];
        check(|out| thread(out, example), "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n");
        check(|out| thread(out, [(None, 2), some(3, 0), some(5, 0)]), "* THREAD ((3)(5))\r\n");
        let nested = [(None, 2), some(1, 2), some(2, 0), some(3, 0), some(4, 0), some(5, 0)];
        check(|out| thread(out, nested), "* THREAD ((1 (2)(3))(4))(5)\r\n");
        check(|out| thread(out, []), "* THREAD\r\n");
        let mut out = Vec::new();
        let deep = (1..=100_000).flat_map(|n| [some(n, 2), some(n, 0)]).chain([some(0, 0)]);
        thread(&mut out, deep);
        assert!(
            out.starts_with(b"* THREAD (1 (1)(2 (2)(3 ") && out.ends_with(&[&[b')'; 100_000][..], b"\r\n"].concat())
        );
    }
}
