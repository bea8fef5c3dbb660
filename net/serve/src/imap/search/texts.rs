//! Texts of header fields, as far as searches have read them: FROM, SUBJECT and their like decode and fold each message once, not each time.
//!
//! ```text
//! uids   [ 3, 4, 9 ]       ascending
//! ends   [ 12, 12, 40 ]    where each message's texts end in `texts`
//! texts  all of them, one after the other: a needle is found in some megabytes at once
//! ```

use skein_base::Uid;
use skein_mime::{Needle, field_texts};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bytes of one message's texts; longer ones are read anew each time.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes of all that is known of one field in one mailbox; nothing is learnt above them.
const BYTES_MAX: usize = 32 << 20;
/// What is said of a message whose texts are to be looked for in itself. No text is like it.
const TO_BE_READ: &[u8] = &[0xfe];

/// Messages that are known for each that was read, above which nothing is learnt.
const KNOWN_PER_READ: usize = 64;

/// The texts of the fields of one name.
#[derive(Default)]
pub(in crate::imap) struct FieldTexts {
    uids: Vec<u32>,
    ends: Vec<u32>,
    texts: Vec<u8>,
}

impl FieldTexts {
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.texts.len() + self.len() * (size_of::<u32>() * 2)
    }

    fn of(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start as usize..self.ends[at] as usize]
    }

    fn push(&mut self, uid: u32, texts: &[u8]) {
        self.texts.extend_from_slice(texts);
        self.uids.push(uid);
        self.ends.push(self.texts.len() as u32);
    }

    /// With others that it does not have.
    fn with(&self, new: &FieldTexts) -> FieldTexts {
        let mut all = FieldTexts {
            uids: Vec::with_capacity(self.len() + new.len()),
            ends: Vec::with_capacity(self.len() + new.len()),
            texts: Vec::with_capacity(self.texts.len() + new.texts.len()),
        };
        let mut of_new: Vec<usize> = (0..new.len()).collect();
        of_new.sort_unstable_by_key(|at| new.uids[*at]);
        of_new.dedup_by_key(|at| new.uids[*at]);
        let mut old = 0;
        for at in of_new {
            while self.uids.get(old).is_some_and(|uid| *uid < new.uids[at]) {
                all.push(self.uids[old], self.of(old));
                old += 1;
            }
            if self.uids.get(old) != Some(&new.uids[at]) {
                all.push(new.uids[at], new.of(at));
            }
        }
        (old..self.len()).for_each(|at| all.push(self.uids[at], self.of(at)));
        all
    }

    /// In which messages a needle is: one bit each.
    fn matches(&self, needle: &Needle) -> Vec<u64> {
        let mut bits = vec![0; self.len().div_ceil(64)];
        let (mut at, mut from) = (0, 0);
        while let Some(found) = needle.find_in_texts(&self.texts[from..]).next() {
            let found = (from + found) as u32;
            at += self.ends[at..].partition_point(|end| *end <= found);
            bits[at / 64] |= 1 << (at % 64);
            from = self.ends[at] as usize;
        }
        bits
    }
}

/// What one search knows of one of its needles, and learns.
pub(in crate::imap) struct Told {
    known: Rc<FieldTexts>,
    matches: Vec<u64>,
    /// What is before is of messages before.
    at: Cell<usize>,
    read: RefCell<FieldTexts>,
}

impl Told {
    pub fn by(known: Option<Rc<FieldTexts>>, needle: &Needle) -> Told {
        let known = known.unwrap_or_default();
        let matches = known.matches(needle);
        Told { known, matches, at: Cell::new(0), read: RefCell::default() }
    }

    /// Whether the needle is in the field of a message, if that is known. Costs least when UIDs ascend from one call to the next.
    pub fn answer(&self, uid: Uid) -> Option<bool> {
        let uids = &self.known.uids;
        let mut at = self.at.get();
        match uids.get(at) {
            Some(there) if *there == uid.0 => {}
            Some(there) if *there < uid.0 => {
                at += 1;
                if uids.get(at).is_some_and(|there| *there < uid.0) {
                    at += uids[at..].partition_point(|there| *there < uid.0);
                }
            }
            _ => at = uids.partition_point(|there| *there < uid.0),
        }
        self.at.set(at);
        if *uids.get(at)? != uid.0 || self.known.of(at) == TO_BE_READ {
            return None;
        }
        Some(self.matches[at / 64] & 1 << (at % 64) != 0)
    }

    /// Reads of a message, whose answer was not known, the header or the cached lines of it; gives the answer, where texts are enough for one.
    pub fn read(&self, uid: Uid, header: &[u8], name: &str, needle: &Needle) -> Option<bool> {
        let mut read = self.read.borrow_mut();
        let is_full = self.known.bytes() + read.bytes() > BYTES_MAX - MESSAGE_BYTES_MAX;
        if is_full || self.known.uids.binary_search(&uid.0).is_ok() {
            return None;
        }
        let start = read.texts.len();
        let made = field_texts(header, name, needle.collation(), &mut read.texts);
        let made = made.filter(|()| read.texts.len() - start <= MESSAGE_BYTES_MAX);
        let answer = made.map(|()| needle.find_in_texts(&read.texts[start..]).next().is_some());
        if answer.is_none() {
            read.texts.truncate(start);
            read.texts.extend_from_slice(TO_BE_READ);
        }
        let end = read.texts.len() as u32;
        read.uids.push(uid.0);
        read.ends.push(end);
        answer
    }

    /// All that is known after it, when that is enough more than before for all to be written anew.
    pub fn learnt(self) -> Option<FieldTexts> {
        let read = self.read.into_inner();
        let is_worth_it = read.len() > 0 && read.len() >= self.known.len() / KNOWN_PER_READ;
        is_worth_it.then(|| self.known.with(&read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header by its message: short, of two fields, none, in no known charset, too long.
    fn header(uid: u32) -> String {
        match uid % 6 {
            0 => String::new(),
            1 => format!("Subject: a{uid}\r\nSubject: b{uid}\r\n"),
            2 => "Subject: =?x-nobody?q?a1?= a1\r\n".into(),
            3 => format!("Subject: a{}\r\n", "1".repeat(MESSAGE_BYTES_MAX)),
            _ => format!("To: a1\r\nSubject: c{uid}\r\n"),
        }
    }

    proptest! {
        /// Whichever messages searches look at, one after another, and for what: the answer is that of a look into the header.
        #[test]
        fn what_is_told_is_so(
            searches in proptest::collection::vec((proptest::collection::btree_set(1u32..300, 0..80), "[abc][1-9]?", any::<bool>()), 1..8),
        ) {
            let mut known: Option<Rc<FieldTexts>> = None;
            for (uids, needle, descends) in searches {
                let needle = Needle::new(&needle);
                let told = Told::by(known.clone(), &needle);
                let mut uids: Vec<u32> = uids.into_iter().collect();
                if descends {
                    uids.reverse();
                }
                let mut unknown = Vec::new();
                for uid in uids {
                    let is = needle.matches_header_block(header(uid).as_bytes(), Some("Subject"));
                    match told.answer(Uid(uid)) {
                        Some(answer) => prop_assert_eq!(answer, is),
                        None => unknown.push((uid, is)),
                    }
                }
                for (uid, is) in unknown {
                    let answer = told.read(Uid(uid), header(uid).as_bytes(), "subject", &needle);
                    prop_assert!(answer.is_none_or(|answer| answer == is));
                    prop_assert!(answer.is_some() || [2, 3].contains(&(uid % 6)));
                }
                let read = told.read.borrow().uids.clone();
                prop_assert!(!read.iter().any(|uid| known.as_ref().is_some_and(|known| known.uids.contains(uid))));
                let before = known.as_ref().map_or(0, |known| known.len());
                if let Some(learnt) = told.learnt() {
                    prop_assert_eq!(learnt.len(), before + read.len());
                    prop_assert!(learnt.uids.is_sorted());
                    known = Some(Rc::new(learnt));
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let needle = Needle::new("zz");
        let told = Told::by(None, &needle);
        let long = format!("Subject: {}\r\n", "a".repeat(MESSAGE_BYTES_MAX - 100));
        let many = 2 * (BYTES_MAX / MESSAGE_BYTES_MAX) as u32;
        let known = (1..many).filter(|uid| told.read(Uid(*uid), long.as_bytes(), "Subject", &needle).is_some());
        let known = known.count();
        let learnt = told.learnt().unwrap();
        assert_eq!(known, learnt.len());
        assert!(learnt.bytes() <= BYTES_MAX && learnt.bytes() > BYTES_MAX - 2 * MESSAGE_BYTES_MAX);
        let told = Told::by(Some(Rc::new(learnt)), &needle);
        assert_eq!(told.read(Uid(many), long.as_bytes(), "Subject", &needle), None);
        assert_eq!(told.answer(Uid(1)), Some(false));
    }
}
