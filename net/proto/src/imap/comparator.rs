//! Comparators as COMPARATOR names them (RFC 5255 §4.7): collations of the registry, by patterns, in either direction (RFC 4790 §3).

use super::parse::Wrong;
use skein_base::Collation;

/// Characters of a pattern (RFC 4790 §3.2).
const PATTERN_CHARS_MAX: usize = 254;

/// What texts are compared by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Comparator {
    /// The collation.
    pub collation: Collation,
    /// `-`: what would come first comes last (RFC 4790 §4.2.4). It is no matter of equality.
    pub descending: bool,
}

/// `collation-order`: a pattern of identifiers, and the direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    /// In lower case.
    pattern: String,
    descending: bool,
}

impl Order {
    /// `["+" / "-"] collation-wild`
    pub(crate) fn read(word: &[u8]) -> Result<Order, Wrong> {
        const WRONG: Wrong = Wrong::Bad("Invalid comparator");
        let descending = word.first() == Some(&b'-');
        let pattern = word.strip_prefix(b"-").or(word.strip_prefix(b"+")).unwrap_or(word);
        let fits = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-;=.*".contains(&byte);
        let starts = pattern.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'*');
        if !starts || pattern.len() > PATTERN_CHARS_MAX || !pattern.iter().all(fits) {
            return Err(WRONG);
        }
        if pattern.windows(2).any(|pair| pair == b"**") {
            return Err(WRONG);
        }
        let pattern = std::str::from_utf8(pattern).map_err(|_| WRONG)?.to_ascii_lowercase();
        Ok(Order { pattern, descending })
    }

    /// Those that it means, the most widely useful first.
    fn matching(&self) -> impl Iterator<Item = Collation> + '_ {
        Collation::ALL.into_iter().filter(|collation| match &*self.pattern {
            "default" => *collation == Collation::default(),
            pattern => matches(pattern, collation.name()),
        })
    }
}

/// What a list of them chooses, the first that means anything, and all that they mean together, in their order; `None` when that is nothing.
pub(crate) fn choose(orders: &[Order]) -> Option<(Comparator, Vec<Collation>)> {
    let mut all = Vec::new();
    for collation in orders.iter().flat_map(Order::matching) {
        if !all.contains(&collation) {
            all.push(collation);
        }
    }
    let first = orders.iter().find(|order| order.matching().next().is_some())?;
    Some((Comparator { collation: *all.first()?, descending: first.descending }, all))
}

/// `*` is for any characters, or none.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|start| name.strip_prefix(start)) else { return false };
    let Some(end) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_match() {
        let orders =
            |words: &[&str]| words.iter().map(|word| Order::read(word.as_bytes()).unwrap()).collect::<Vec<_>>();
        let (unicode, ascii, octet) = (Collation::UnicodeCasemap, Collation::AsciiCasemap, Collation::Octet);
        for (words, chosen, descending, all) in [
            (&["i;octet"][..], octet, false, &[octet][..]),
            (&["I;Octet"], octet, false, &[octet]),
            (&["default"], unicode, false, &[unicode]),
            (&["-Default"], unicode, true, &[unicode]),
            (&["*"], unicode, false, &[unicode, ascii, octet]),
            (&["-*"], unicode, true, &[unicode, ascii, octet]),
            (&["+i;*-casemap"], unicode, false, &[unicode, ascii]),
            (&["i;a*c*p"], ascii, false, &[ascii]),
            (&["cz;*", "i;octet", "*;octet"], octet, false, &[octet]),
            (&["-cz;*", "i;octet", "-*map"], octet, false, &[octet, unicode, ascii]),
            (&["i;octet*", "-i;octet"], octet, false, &[octet]),
        ] {
            let (comparator, matched) = choose(&orders(words)).unwrap();
            assert_eq!(comparator, Comparator { collation: chosen, descending }, "{words:?}");
            assert_eq!(matched, all, "{words:?}");
        }
        for nothing in [
            &[][..],
            &["cz;*"],
            &["i;basic"],
            &["i;octet;x=1"],
            &["i;oct"],
            &["octet"],
            &["default*"],
            &["i;ascii-numeric"],
        ] {
            assert_eq!(choose(&orders(nothing)), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        let long = "i".repeat(PATTERN_CHARS_MAX);
        assert!(Order::read(long.as_bytes()).is_ok() && Order::read(format!("-{long}").as_bytes()).is_ok());
        let longer = long + "*";
        for wrong in ["", "-", "+-i;octet", "i**", "i;öctet", "1", ";x", "i octet", &longer] {
            assert_eq!(Order::read(wrong.as_bytes()), Err(Wrong::Bad("Invalid comparator")), "{wrong}");
        }
    }
}
