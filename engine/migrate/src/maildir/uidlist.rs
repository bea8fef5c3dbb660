//! Lists of UIDs: Dovecot's dovecot-uidlist (versions 1 and 3) and Courier's courierimapuiddb, which is version 1; and Courier's
//! list of POP3's unique ids, courierpop3dsizelist (versions 2 and 3).
//!
//! ```text
//! 3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1      1 1275660208 25022
//! 25006 W2481 G6f2a... Pold-uidl :1276528487.M3P9.host:2,     25006 1276528487.M3P9.host
//!
//! /3 8 1276528487                                             name size number:validity:utf8
//! 1276528487.M3P9.host:2,S 2481 7:1276528487:0                is UID7-1276528487 to clients
//! ```

use std::collections::HashMap;

/// A list.
#[derive(Default)]
pub(super) struct UidList {
    pub(super) validity: u32,
    pub(super) uid_next: u32,
    /// By the base of the file's name.
    pub(super) rows: HashMap<String, Row>,
}

/// What is known of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) uid: u32,
    pub(super) uidl: Option<String>,
    pub(super) guid: Option<String>,
}

impl UidList {
    /// Reads a list; `None` when its first line is none that is known. Lines after it that make no sense are passed over: a
    /// crash leaves the last one torn.
    pub(super) fn parse(text: &[u8]) -> Option<UidList> {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        let (version, head) = lines.next()?.split_once(' ')?;
        let mut list = match version {
            "3" => head3(head)?,
            "1" => head1(head)?,
            _ => return None,
        };
        for (name, row) in lines.filter_map(|line| if version == "3" { row3(line) } else { row1(line) }) {
            let base = name.split(':').next().unwrap_or(name);
            list.uid_next = list.uid_next.max(row.uid.saturating_add(1));
            // A file that is listed twice was given a new UID: the later one holds.
            list.rows.insert(base.to_owned(), row);
        }
        Some(list)
    }
}

fn head3(head: &str) -> Option<UidList> {
    let field = |letter| head.split(' ').find_map(|word| word.strip_prefix(letter))?.parse().ok();
    Some(UidList { validity: field('V')?, uid_next: field('N')?, rows: HashMap::new() })
}

fn head1(head: &str) -> Option<UidList> {
    let (validity, next) = head.split_once(' ')?;
    Some(UidList { validity: validity.parse().ok()?, uid_next: next.trim().parse().ok()?, rows: HashMap::new() })
}

fn row3(line: &str) -> Option<(&str, Row)> {
    let (uid, mut rest) = line.split_once(' ')?;
    let mut row = Row { uid: uid.parse().ok().filter(|uid| *uid > 0)?, uidl: None, guid: None };
    loop {
        if let Some(name) = rest.strip_prefix(':') {
            if row.uidl.as_deref() == Some("") {
                row.uidl = name.split(':').next().map(str::to_owned);
            }
            return Some((name, row));
        }
        let (field, more) = rest.split_once(' ')?;
        match field.split_at_checked(1) {
            // An empty one is the name of the file, which follows.
            Some(("P", uidl)) => row.uidl = Some(uidl.to_owned()),
            Some(("G", guid)) => row.guid = Some(guid.to_owned()),
            _ => {}
        }
        rest = more;
    }
}

fn row1(line: &str) -> Option<(&str, Row)> {
    let (uid, name) = line.split_once(' ')?;
    Some((name, Row { uid: uid.parse().ok().filter(|uid| *uid > 0)?, uidl: None, guid: None }))
}

/// What Courier's POP3 server calls the messages, by the base of the file's name. Lines that make no sense are passed over.
pub(super) fn courier_uidls(text: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    if !lines.next().is_some_and(|head| head.starts_with("/2 ") || head.starts_with("/3 ")) {
        return HashMap::new();
    }
    lines.filter_map(courier_uidl).collect()
}

fn courier_uidl(line: &str) -> Option<(String, String)> {
    let (rest, id) = line.rsplit_once(' ')?;
    let (name, _size) = rest.rsplit_once(' ')?;
    let mut numbers = id.split(':').map(|number| number.parse::<u64>().ok());
    let (number, validity) = (numbers.next()??, numbers.next()??);
    let base = name.split(':').next().unwrap_or(name);
    let id = match (number, validity) {
        (0, _) => escaped(base),
        (number, 0) => format!("UID{number}"),
        (number, validity) => format!("UID{number}-{validity}"),
    };
    Some((base.to_owned(), id))
}

/// The name as Courier's oldest ids have it.
fn escaped(base: &str) -> String {
    let mut out = String::with_capacity(base.len());
    for byte in base.bytes() {
        match byte {
            b'\'' | b'"' | b'+' => out += &format!("+{byte:02X}"),
            byte if byte.is_ascii_graphic() => out.push(byte.into()),
            byte => out += &format!("+{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uid: u32, uidl: Option<&str>, guid: Option<&str>) -> Row {
        Row { uid, uidl: uidl.map(str::to_owned), guid: guid.map(str::to_owned) }
    }

    #[test]
    fn dovecots() {
        let text = b"3 V1275660208 N25022 G3085f01b\n25006 W24 S23 :1276.M3P9.host,S=23:2,S\n25008 Pa.b-c Gf00 :x y:2,\nx\n25010 P :1.b,S=2:2,S\n25009 W";
        let list = UidList::parse(text).unwrap();
        assert_eq!((list.validity, list.uid_next, list.rows.len()), (1_275_660_208, 25022, 3));
        assert_eq!(list.rows["1276.M3P9.host,S=23"], row(25006, None, None));
        assert_eq!(list.rows["1.b,S=2"], row(25010, Some("1.b,S=2"), None));
        assert_eq!(list.rows["x y"], row(25008, Some("a.b-c"), Some("f00")));
    }

    #[test]
    fn couriers() {
        let list = UidList::parse(b"1 99 3\n1 a.b\n7 c\n0 d\n").unwrap();
        assert_eq!((list.validity, list.uid_next, list.rows.len()), (99, 8, 2));
        assert_eq!(list.rows["c"], row(7, None, None));
    }

    #[test]
    fn couriers_unique_ids() {
        let list = b"/3 8 99\na.b:2,S 10 7:99:0\nc 10 8:0:1\nd+e,S=3 4 0:0:0\nx\ny 1\nz 1 a:b\nw w 5 3:98:0\n";
        let expect = [("a.b", "UID7-99"), ("c", "UID8"), ("d+e,S=3", "d+2Be,S=3"), ("w w", "UID3-98")];
        let expect = expect.map(|(name, id)| (name.to_owned(), id.to_owned())).into();
        assert_eq!(courier_uidls(list), expect);
        let second = [("a".to_owned(), "UID7-99".to_owned())].into();
        assert_eq!(courier_uidls(b"/2 8 99\na 10 7:99\n"), second);
        for other in [&b""[..], b"/1 2 3\na 1 1:1\n", b"/4 2 3\na 1 1:1:0\n", b"a 1\n"] {
            assert_eq!(courier_uidls(other), HashMap::new());
        }
    }

    #[test]
    fn others() {
        for text in ["", "3", "3 \n", "3 V1\n1 :a", "2 1 1\n", "1 1\n", "1 x 2\n"] {
            assert!(UidList::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
