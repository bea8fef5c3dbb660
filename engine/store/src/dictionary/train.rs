//! How a dictionary is made of a sample of a site's mail, and whether it pays.
//!
//! ```text
//! sample ─▶ words that mail of few users has are blanked ─▶ zstd trains ─▶ the other half of the sample, compressed with and without
//! ```
//!
//! Everybody's mail is written with it and it outlives the mail that it was made of, so nothing of one user's is in it.

use super::{DICTIONARY_BYTES_MAX, Dictionary};
use crate::pack::ZSTD_LEVEL;
use std::collections::HashMap;
use std::fmt;

/// Bytes of one sample at most: larger messages are written without a dictionary.
pub const SAMPLE_BYTES_MAX: usize = crate::pack::FRAME_BYTES;
/// What a dictionary is made of is the front of each: the rest of a long message is its own.
const FRONT_BYTES: usize = 32 * 1024;
/// A word is in a dictionary only if the mail of so many users has it.
const USERS_MIN: usize = 16;
/// Users whose mail is looked at, at least: of fewer, too little is common to more than [`USERS_MIN`].
const USERS_OF_SAMPLE_MIN: usize = 64;
/// Messages, at least.
const MESSAGES_MIN: usize = 200;
/// Words that are counted at most.
const WORDS_MAX: usize = 4_000_000;
/// What a dictionary has to save to be worth keeping, per cent.
const SAVES_PERCENT_MIN: u64 = 5;

/// A message, and whose it is.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Tells users apart.
    pub user: u32,
    /// Its bytes.
    pub message: Vec<u8>,
}

/// What came of a sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trained {
    /// The dictionary; `None` when it does not pay.
    pub dictionary: Option<Dictionary>,
    /// Messages that it was tried on, which it was not made of.
    pub messages: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// What they take compressed without it, and with it.
    pub without: u64,
    /// With it.
    pub with: u64,
}

/// Why no dictionary can be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrainError {
    /// Mail of too few users, or too few messages.
    TooLittle {
        /// Users there were.
        users: usize,
        /// Messages there were.
        messages: usize,
    },
    /// zstd finds nothing in common.
    Nothing(String),
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrainError::TooLittle { users, messages } => write!(
                f,
                "{messages} messages of {users} users are too few: {MESSAGES_MIN} of {USERS_OF_SAMPLE_MIN} users are needed, \
                 so that what is in a dictionary is nobody's own"
            ),
            TrainError::Nothing(why) => write!(f, "the messages have too little in common: {why}"),
        }
    }
}

impl std::error::Error for TrainError {}

/// Makes a dictionary and tries it. Takes some seconds for some ten megabytes.
///
/// # Errors
/// The sample is too small, or has nothing in common.
pub fn train(sample: &[Sample], now: i64) -> Result<Trained, TrainError> {
    let users = sample.iter().map(|one| one.user).collect::<std::collections::HashSet<_>>().len();
    if users < USERS_OF_SAMPLE_MIN || sample.len() < MESSAGES_MIN {
        return Err(TrainError::TooLittle { users, messages: sample.len() });
    }
    // Every other message of each user, so that both halves are of all.
    let mut seen: HashMap<u32, usize> = HashMap::new();
    let (made_of, tried_on): (Vec<&Sample>, Vec<&Sample>) = sample.iter().partition(|one| {
        let count = seen.entry(one.user).or_default();
        *count += 1;
        *count % 2 == 1
    });
    let common = common_words(&made_of);
    let blanked: Vec<Vec<u8>> =
        made_of.iter().map(|one| blank(front(&one.message), &common)).filter(|b| b.len() > 8).collect();
    let bytes = zstd::dict::from_samples(&blanked, DICTIONARY_BYTES_MAX)
        .map_err(|error| TrainError::Nothing(error.to_string()))?;
    if bytes.is_empty() {
        return Err(TrainError::Nothing("nothing came of it".to_owned()));
    }
    let dictionary = Dictionary::new(&bytes[..bytes.len().min(DICTIONARY_BYTES_MAX)], now);
    let nothing = |error: std::io::Error| TrainError::Nothing(error.to_string());
    let size = |dictionary: &[u8]| -> std::io::Result<u64> {
        let mut compressor = zstd::bulk::Compressor::with_dictionary(ZSTD_LEVEL, dictionary)?;
        tried_on.iter().try_fold(0, |sum, one| Ok(sum + compressor.compress(&one.message)?.len() as u64))
    };
    let (without, with) = (size(&[]).map_err(nothing)?, size(dictionary.bytes()).map_err(nothing)?);
    let pays = with * 100 <= without * (100 - SAVES_PERCENT_MIN);
    let bytes = tried_on.iter().map(|one| one.message.len() as u64).sum();
    Ok(Trained { dictionary: pays.then_some(dictionary), messages: tried_on.len(), bytes, without, with })
}

fn front(message: &[u8]) -> &[u8] {
    &message[..message.len().min(FRONT_BYTES)]
}

/// A run of letters and digits, or one other byte.
fn words(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let mut rest = message;
    std::iter::from_fn(move || {
        let len = rest.iter().take_while(|byte| is_word(byte)).count().max(1).min(rest.len());
        let (word, more) = rest.split_at(len);
        rest = more;
        (!word.is_empty()).then_some(word)
    })
}

fn hash_of(word: &[u8]) -> u64 {
    let hash = blake3::hash(word);
    let (front, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
    u64::from_le_bytes(*front)
}

/// Hashes of the words that the mail of [`USERS_MIN`] users has.
fn common_words(sample: &[&Sample]) -> std::collections::HashSet<u64> {
    // Of each word the last user who had it, and how many have: a user's messages come one after the other here.
    let mut by_user: Vec<&&Sample> = sample.iter().collect();
    by_user.sort_by_key(|one| one.user);
    let mut counts: HashMap<u64, (u32, usize)> = HashMap::new();
    for one in by_user {
        for word in words(front(&one.message)) {
            let (hash, has_room) = (hash_of(word), counts.len() < WORDS_MAX);
            match counts.get_mut(&hash) {
                Some((last, users)) if *last != one.user => (*last, *users) = (one.user, *users + 1),
                Some(_) => {}
                None if has_room => drop(counts.insert(hash, (one.user, 1))),
                None => {}
            }
        }
    }
    counts.into_iter().filter(|(_, (_, users))| *users >= USERS_MIN).map(|(hash, _)| hash).collect()
}

/// The message with a line end where words were that are not common.
fn blank(message: &[u8], common: &std::collections::HashSet<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for word in words(message) {
        if common.contains(&hash_of(word)) {
            out.extend_from_slice(word);
        } else if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(users: u32, each: usize) -> Vec<Sample> {
        let message = |user: u32, n: usize| {
            let random: String = (0..40)
                .map(|i| format!("{:x} ", blake3::hash(format!("{user} {n} {i}").as_bytes()).as_bytes()[0]))
                .collect();
            format!(
                "Received: from mx{user}.example.org (mx.example.org [192.0.2.{}])\r\n\tby store.example.net with ESMTPS id x{n}y{user};\r\n\
                 \tWed, 25 Nov 2026 10:00:{:02} +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\nSubject: secret{user}\r\n\r\nDear customer, the password is hunter{user}. {random}\r\n",
                user % 250,
                n % 60,
            )
        };
        (0..users)
            .flat_map(|user| (0..each).map(move |n| Sample { user, message: message(user, n).into_bytes() }))
            .collect()
    }

    #[test]
    fn words_are_all_of_it() {
        let text = "a1-b  \u{e4}x\r\n.".as_bytes();
        assert_eq!(words(text).collect::<Vec<_>>().concat(), text);
        assert_eq!(words(b"ab,c").collect::<Vec<_>>(), [&b"ab"[..], b",", b"c"]);
        assert_eq!(words(b"").count(), 0);
    }

    #[test]
    fn what_only_few_have_is_not_in_it() {
        let sample = sample(100, 6);
        let trained = train(&sample, 9).unwrap();
        let dictionary = trained.dictionary.expect("such mail has much in common");
        assert!(trained.with * 10 < trained.without * 9, "{} of {}", trained.with, trained.without);
        let text = dictionary.bytes();
        let has = |word: &str| text.windows(word.len()).any(|at| at == word.as_bytes());
        assert!(has("password") && has("quoted"), "common words are");
        for user in 0..100 {
            assert!(!has(&format!("hunter{user}")) && !has(&format!("secret{user}")), "of user {user}");
        }
        assert_eq!(dictionary.began(), 9);
    }

    #[test]
    fn of_too_little_none_is_made() {
        let too_little = |users, each| {
            let made = train(&sample(users, each), 0);
            assert_eq!(made, Err(TrainError::TooLittle { users: users as usize, messages: users as usize * each }));
        };
        too_little(0, 1);
        too_little(63, 10);
        too_little(100, 1);
    }

    #[test]
    fn one_that_does_not_pay_is_not_kept() {
        let noise = |user: u32, n: usize| {
            let mut text = b"x y z".to_vec();
            for i in 0..60 {
                text.extend_from_slice(blake3::hash(format!("{user} {n} {i}").as_bytes()).as_bytes());
            }
            text
        };
        let sample: Vec<Sample> =
            (0..100).flat_map(|user| (0..6).map(move |n| Sample { user, message: noise(user, n) })).collect();
        // Nothing in common is as well an error of zstd's as a dictionary that saves nothing.
        assert!(train(&sample, 0).map_or(true, |trained| trained.dictionary.is_none()));
    }
}
