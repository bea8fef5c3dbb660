//! A mailbox's list: entries, their text in an annotation, and what they come to.

use skein_base::{Rights, UserName};
use std::collections::BTreeMap;
use std::fmt;

/// Entries of one list: each is looked at for every question.
pub const ENTRIES_MAX: usize = 256;
/// Bytes of a group's name.
const GROUP_BYTES_MAX: usize = 255;

/// Who an entry is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Identifier {
    /// `anyone`
    Anyone,
    /// `authenticated`: whoever has logged in.
    Authenticated,
    /// `$name`: those whose source of users says that they are in this group.
    Group(Box<str>),
    /// A user.
    User(UserName),
}

/// Why a list does not change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListError {
    /// Nobody can be called so.
    BadIdentifier,
    /// There are [`ENTRIES_MAX`] entries.
    TooMany,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListError::BadIdentifier => f.write_str("Nobody can be called so"),
            ListError::TooMany => write!(f, "The list has {ENTRIES_MAX} entries, and no more are possible"),
        }
    }
}

impl Identifier {
    /// As clients write it, without the `-` of negative rights.
    ///
    /// # Errors
    /// Nobody can be called so.
    pub fn parse(text: &str) -> Result<Identifier, ListError> {
        let group = |name: &str| !name.is_empty() && name.len() <= GROUP_BYTES_MAX && !name.contains(char::is_control);
        match text {
            "anyone" | "anonymous" => Ok(Identifier::Anyone),
            "authenticated" => Ok(Identifier::Authenticated),
            _ => match text.strip_prefix('$') {
                Some(name) if group(name) => Ok(Identifier::Group(name.into())),
                Some(_) => Err(ListError::BadIdentifier),
                None => UserName::new(text).map(Identifier::User).map_err(|_| ListError::BadIdentifier),
            },
        }
    }

    /// It is about this user, who is in these groups.
    fn means(&self, user: &UserName, groups: &[Box<str>]) -> bool {
        match self {
            Identifier::Anyone | Identifier::Authenticated => true,
            Identifier::Group(name) => groups.contains(name),
            Identifier::User(name) => name == user,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Anyone => f.write_str("anyone"),
            Identifier::Authenticated => f.write_str("authenticated"),
            Identifier::Group(name) => write!(f, "${name}"),
            Identifier::User(name) => f.write_str(name.as_str()),
        }
    }
}

/// How SETACL changes rights (RFC 4314 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// `lrs`: these, and no others.
    To(Rights),
    /// `+lrs`
    Add(Rights),
    /// `-lrs`
    Remove(Rights),
}

impl Change {
    /// Reads `lrs`, `+lrs` or `-lrs`.
    pub fn parse(text: &[u8]) -> Option<Change> {
        match text.split_first() {
            Some((b'+', letters)) => Rights::parse(letters).map(Change::Add),
            Some((b'-', letters)) => Rights::parse(letters).map(Change::Remove),
            _ => Rights::parse(text).map(Change::To),
        }
    }

    fn of(self, rights: Rights) -> Rights {
        match self {
            Change::To(rights) => rights,
            Change::Add(more) => rights | more,
            Change::Remove(less) => rights & !less,
        }
    }
}

/// All entries of a mailbox.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct List {
    /// By identifier, and whether the rights are taken away rather than given.
    entries: BTreeMap<(Identifier, bool), Rights>,
}

impl List {
    /// What an annotation says. A line that does not read is passed over: it gives nobody anything.
    pub fn decode(bytes: &[u8]) -> List {
        let line = |line: &[u8]| {
            let (name, rights) = std::str::from_utf8(line).ok()?.split_once('\t')?;
            let (identifier, negative) = signed(name).ok()?;
            let rights = Rights::parse(rights.as_bytes()).filter(|rights| !rights.is_none())?;
            Some(((identifier, negative), rights))
        };
        List { entries: bytes.split(|b| *b == b'\n').filter_map(line).take(ENTRIES_MAX).collect() }
    }

    /// The annotation; `None` for an empty list.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let line = |((identifier, negative), rights): (&(Identifier, bool), &Rights)| {
            format!("{}{identifier}\t{rights}\n", if *negative { "-" } else { "" })
        };
        (!self.entries.is_empty()).then(|| self.entries.iter().map(line).collect::<String>().into_bytes())
    }

    /// Changes the rights that are given to somebody, or, with a `-` before his name, taken away. An entry without rights goes.
    ///
    /// # Errors
    /// Nobody is called so, or there are too many entries.
    pub fn change(&mut self, name: &str, change: Change) -> Result<(), ListError> {
        let key = signed(name)?;
        let rights = change.of(self.entries.get(&key).copied().unwrap_or_default());
        match rights.is_none() {
            true => drop(self.entries.remove(&key)),
            false if self.entries.len() == ENTRIES_MAX && !self.entries.contains_key(&key) => {
                return Err(ListError::TooMany);
            }
            false => drop(self.entries.insert(key, rights)),
        }
        Ok(())
    }

    /// The entries, as clients are told them.
    pub fn entries(&self) -> impl Iterator<Item = (String, Rights)> {
        let sign = |negative: bool| if negative { "-" } else { "" };
        self.entries.iter().map(move |((name, negative), rights)| (format!("{}{name}", sign(*negative)), *rights))
    }

    /// What somebody in these groups may do: all that is given to him, without what is taken away (RFC 4314 §2).
    pub fn rights(&self, user: &UserName, groups: &[Box<str>]) -> Rights {
        let of = |taken: bool| {
            let mine = self.entries.iter().filter(|((who, negative), _)| *negative == taken && who.means(user, groups));
            mine.fold(Rights::NONE, |rights, (_, more)| rights | *more)
        };
        of(false) & !of(true)
    }

    /// What somebody may do at most, whatever groups he is in.
    pub fn rights_at_most(&self, user: &UserName) -> Rights {
        let is_perhaps = |who: &Identifier| matches!(who, Identifier::Group(_)) || who.means(user, &[]);
        let given = self.entries.iter().filter(|((who, negative), _)| !negative && is_perhaps(who));
        let taken = self.entries.iter().filter(|((who, negative), _)| *negative && who.means(user, &[]));
        let all = |rights: Rights, (_, more): (_, &Rights)| rights | *more;
        given.fold(Rights::NONE, all) & !taken.fold(Rights::NONE, all)
    }

    /// Those who are given anything.
    pub fn grantees(&self) -> impl Iterator<Item = &Identifier> {
        self.entries.keys().filter(|(_, negative)| !negative).map(|(who, _)| who)
    }
}

fn signed(name: &str) -> Result<(Identifier, bool), ListError> {
    match name.strip_prefix('-') {
        Some(name) => Ok((Identifier::parse(name)?, true)),
        None => Ok((Identifier::parse(name)?, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn list(entries: &[(&str, &str)]) -> List {
        let mut list = List::default();
        entries.iter().for_each(|(who, rights)| list.change(who, Change::parse(rights.as_bytes()).unwrap()).unwrap());
        list
    }

    #[test]
    fn what_is_given_without_what_is_taken() {
        let list = list(&[
            ("anyone", "lr"),
            ("Fred", "lrswi"),
            ("-fred", "w"),
            ("$staff", "tea"),
            ("-$staff", "a"),
            ("authenticated", "s"),
        ]);
        let check = |name: &str, groups: &[&str], expect: &str| {
            let groups: Vec<Box<str>> = groups.iter().map(|g| (*g).into()).collect();
            assert_eq!(list.rights(&user(name), &groups).to_string(), expect, "{name}");
        };
        check("fred", &[], "lrsi");
        check("fred", &["staff", "other"], "lrsite");
        check("chris", &["staff"], "lrste");
        check("chris", &["other"], "lrs");
        assert!(List::default().rights(&user("fred"), &[]).is_none());
        // Nobody knows his groups: what they give he may have, and what they take not.
        assert_eq!(list.rights_at_most(&user("fred")).to_string(), "lrsitea");
        assert_eq!(list.rights_at_most(&user("chris")).to_string(), "lrstea");
    }

    #[test]
    fn changes() {
        let mut l = list(&[("fred", "lr"), ("fred", "+sw"), ("fred", "-r")]);
        assert_eq!(l.entries().collect::<Vec<_>>(), [("fred".to_string(), Rights::parse(b"lsw").unwrap())]);
        l.change("fred", Change::To(Rights::NONE)).unwrap();
        assert_eq!((l.entries().count(), l.encode()), (0, None));
        for wrong in ["", "-", "$", "a\tb", "$a\nb"] {
            assert_eq!(l.change(wrong, Change::To(Rights::ALL)), Err(ListError::BadIdentifier), "{wrong:?}");
        }
        assert!(Change::parse(b"+q").is_none() && Change::parse(b"-Z").is_none() && Change::parse(b"").is_some());
    }

    #[test]
    fn there_is_an_end_to_them() {
        let mut list = List::default();
        for n in 0..ENTRIES_MAX {
            list.change(&format!("user{n}"), Change::To(Rights::READ)).unwrap();
        }
        assert_eq!(list.change("one-more", Change::To(Rights::READ)), Err(ListError::TooMany));
        list.change("user0", Change::Add(Rights::SEEN)).unwrap();
        assert_eq!(List::decode(&list.encode().unwrap()), list);
    }

    proptest! {
        #[test]
        fn lists_read_back(entries in prop::collection::vec(("-?(anyone|\\$[a-z ]{1,5}|[a-z@.]{1,8}|authenticated)", 1u16..2048), 0..20)) {
            let mut list = List::default();
            for (who, rights) in entries {
                let _that_can_not_be_called_so = list.change(&who, Change::To(Rights(rights)));
            }
            prop_assert_eq!(List::decode(&list.encode().unwrap_or_default()), list);
        }

        #[test]
        fn any_bytes_are_some_list(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let list = List::decode(&bytes);
            prop_assert_eq!(List::decode(&list.encode().unwrap_or_default()), list);
        }
    }
}
