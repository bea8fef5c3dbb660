//! What a command was answered.

use std::collections::BTreeSet;

use super::Value;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Refused.
    No,
    /// Not understood.
    Bad,
}

/// The tagged reply and all that came before it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How the command ended.
    pub status: Status,
    /// What follows the status word: response code and text.
    pub text: String,
    /// The untagged responses, literals in place.
    pub untagged: Vec<Vec<u8>>,
}

/// One FETCH response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The sequence number.
    pub seq: u32,
    /// Names and values, in order.
    pub items: Vec<(String, Value)>,
}

impl Reply {
    pub(super) fn new(tail: &[u8], untagged: Vec<Vec<u8>>) -> Option<Reply> {
        let tail = String::from_utf8_lossy(tail);
        let (word, text) = tail.split_once(' ').unwrap_or((&tail, ""));
        let status = match word.to_ascii_uppercase().as_str() {
            "OK" => Status::Ok,
            "NO" => Status::No,
            "BAD" => Status::Bad,
            _ => return None,
        };
        Some(Reply { status, text: text.to_owned(), untagged })
    }

    /// True when the command was done.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// Itself when the command was done.
    ///
    /// # Panics
    /// With the reply, when it was not.
    #[track_caller]
    pub fn expect_ok(self) -> Reply {
        assert!(self.is_ok(), "{:?} {}", self.status, self.text);
        self
    }

    /// The arguments of the response code `name`, in the tagged reply or an untagged `OK` (where MOVE puts COPYUID, RFC 6851 §4.3).
    pub fn code(&self, name: &str) -> Option<String> {
        let untagged = self.untagged.iter().filter_map(|u| u.strip_prefix(b"* OK "));
        let texts = untagged.map(|u| String::from_utf8_lossy(u).into_owned());
        texts.chain([self.text.clone()]).find_map(|text| code_in(&text, name))
    }

    /// The untagged responses that start with the word `name`, without it.
    pub fn data(&self, name: &str) -> Vec<&[u8]> {
        let strip =
            |u: &'_ Vec<u8>| u.len() > name.len() + 2 && u[2..2 + name.len()].eq_ignore_ascii_case(name.as_bytes());
        self.untagged.iter().filter(|u| strip(u)).map(|u| u[2 + name.len()..].trim_ascii_start()).collect()
    }

    /// The FETCH responses in the order they came.
    ///
    /// # Panics
    /// When one breaks the grammar.
    pub fn fetches(&self) -> Vec<Fetched> {
        self.untagged.iter().filter_map(|u| Fetched::parse(u)).collect()
    }

    /// The numbers of SEARCH responses.
    pub fn search(&self) -> Vec<u32> {
        let texts = self.data("SEARCH").into_iter().map(String::from_utf8_lossy);
        texts.flat_map(|t| t.split(' ').filter_map(|n| n.parse().ok()).collect::<Vec<_>>()).collect()
    }

    /// The last `EXISTS`.
    pub fn exists(&self) -> Option<u32> {
        let number =
            |u: &Vec<u8>| std::str::from_utf8(u).ok()?.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok();
        self.untagged.iter().rev().find_map(number)
    }
}

impl Fetched {
    fn parse(untagged: &[u8]) -> Option<Fetched> {
        let rest = untagged.strip_prefix(b"* ")?;
        let space = rest.iter().position(|&b| b == b' ')?;
        let seq = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let list = rest[space + 1..].strip_prefix(b"FETCH ")?;
        let shown = || list[..list.len().min(200)].escape_ascii();
        let values = Value::parse_all(list).unwrap_or_else(|| panic!("bad FETCH: {}", shown()));
        let [Value::List(values)] = &values[..] else { panic!("bad FETCH: {}", shown()) };
        let pairs = values.chunks_exact(2).filter_map(|p| Some((p[0].text()?.to_ascii_uppercase(), p[1].clone())));
        Some(Fetched { seq, items: pairs.collect() })
    }

    /// The value of `name`, written in capitals.
    pub fn item(&self, name: &str) -> Option<&Value> {
        self.items.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The UID.
    pub fn uid(&self) -> Option<u32> {
        self.item("UID")?.number()?.try_into().ok()
    }

    /// The flags without `\Recent`.
    pub fn flags(&self) -> Option<BTreeSet<String>> {
        let flags = self.item("FLAGS")?.list()?.iter().filter_map(Value::text);
        Some(flags.filter(|f| !f.eq_ignore_ascii_case("\\Recent")).map(str::to_owned).collect())
    }

    /// The whole message.
    pub fn body(&self) -> Option<&[u8]> {
        self.item("BODY[]")?.bytes()
    }
}

/// The numbers of a set without `*`, in the order written: `4,1:3` is 4 1 2 3.
pub fn expand_set(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in set.split(',') {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        match from <= to {
            true => all.extend(from..=to),
            false => all.extend((to..=from).rev()),
        }
    }
    Some(all)
}

/// The UIDVALIDITY and the pairs (old UID, new UID) of COPYUID's arguments.
pub fn copied_pairs(code: &str) -> Option<(u32, Vec<(u32, u32)>)> {
    let mut words = code.split(' ');
    let validity = words.next()?.parse().ok()?;
    let (from, to) = (expand_set(words.next()?)?, expand_set(words.next()?)?);
    (from.len() == to.len()).then(|| (validity, from.into_iter().zip(to).collect()))
}

fn code_in(text: &str, name: &str) -> Option<String> {
    let (code, _) = text.strip_prefix('[')?.split_once(']')?;
    let (word, arguments) = code.split_once(' ').unwrap_or((code, ""));
    word.eq_ignore_ascii_case(name).then(|| arguments.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(tail: &str, untagged: &[&str]) -> Reply {
        Reply::new(tail.as_bytes(), untagged.iter().map(|u| u.as_bytes().to_vec()).collect()).expect("a status")
    }

    #[test]
    fn codes_are_found_where_they_may_stand() {
        let moved = reply("OK moved", &["* OK [COPYUID 9 3:4 7:8] x", "* 1 EXPUNGE"]);
        assert_eq!(moved.code("copyuid").as_deref(), Some("9 3:4 7:8"));
        assert_eq!(reply("OK [APPENDUID 9 5] done", &[]).code("APPENDUID").as_deref(), Some("9 5"));
        assert_eq!(reply("NO [ALERT] no", &[]).code("APPENDUID"), None);
        assert_eq!(copied_pairs("9 3:4,9 7:8,12"), Some((9, vec![(3, 7), (4, 8), (9, 12)])));
        assert_eq!(copied_pairs("9 3:4 7"), None);
    }

    #[test]
    fn data_is_read() {
        let all =
            reply("OK", &["* SEARCH 2 5", "* 4 EXISTS", "* 2 FETCH (UID 9 FLAGS (\\Seen \\Recent) BODY[] {2}\r\nhi)"]);
        assert_eq!((all.search(), all.exists()), (vec![2, 5], Some(4)));
        let fetched = &all.fetches()[0];
        assert_eq!((fetched.seq, fetched.uid(), fetched.body()), (2, Some(9), Some(&b"hi"[..])));
        assert_eq!(fetched.flags(), Some(["\\Seen".to_owned()].into()));
    }
}
