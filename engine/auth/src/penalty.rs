//! Who has guessed wrong waits before the next try: 0, 2, 4, 8, 15 seconds, by address and by user name.
//!
//! ```text
//! delay_ms(attempt) ──wait──▶ check ──▶ failed(attempt) | succeeded(attempt)
//! ```
//! Shared by all shards. An IPv4 address counts alone, an IPv6 one with its /56, which is what one customer has. A wrong password
//! that is tried again and again is a client that nobody has told, not a guess, and counts once.

use crate::lru::Lru;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits by the number of failures; the last one for all beyond. Dovecot's.
const DELAYS_MS: [u64; 5] = [0, 2_000, 4_000, 8_000, 15_000];
/// Without a failure for this long, all is forgotten.
const FORGET_MS: u64 = 60 * 60 * 1000;
/// A place stays familiar for this long after the last login there.
const FAMILIAR_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Wrong passwords that are known again.
const GUESSES_KNOWN: usize = 8;
/// Parts of the table, each behind its own lock, so that shards seldom meet.
const STRIPES: usize = 64;
/// Addresses and users of one part: 65 536 in all, about 8 MiB. Under a wider attack the oldest are forgotten.
const ENTRIES_MAX: usize = 1024;
/// Users of one part who are known to log in from somewhere.
const FAMILIAR_MAX: usize = 4096;

/// Failures and familiar places, for the whole process.
pub struct Penalties {
    key: [u8; 32],
    stripes: Vec<Mutex<Stripe>>,
}

/// One try of one client.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Where from.
    pub from: IpAddr,
    /// The name as it was given.
    pub user: &'a str,
    /// The password, when one was sent. Only a keyed hash of it is kept.
    pub password: Option<&'a [u8]>,
}

struct Stripe {
    failures: Lru<u64, Failures>,
    /// When a user has logged in from a place.
    familiar: Lru<u64, u64>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    level: u8,
    last_ms: u64,
    guesses: [u32; GUESSES_KNOWN],
    next: u8,
}

impl Penalties {
    /// An empty table. `key` is 32 random bytes, new with each process.
    pub fn new(key: [u8; 32]) -> Penalties {
        let stripe = || Mutex::new(Stripe { failures: Lru::new(ENTRIES_MAX), familiar: Lru::new(FAMILIAR_MAX) });
        Penalties { key, stripes: (0..STRIPES).map(|_| stripe()).collect() }
    }

    /// How long this one waits before it is looked at. A user in a familiar place does not wait for what others do with his
    /// name.
    pub fn delay_ms(&self, attempt: Attempt<'_>, now_ms: u64) -> u64 {
        let level = |id: u64| {
            let mut stripe = self.stripe(id);
            stripe.failures.get(&id).filter(|f| !f.is_over(now_ms)).map_or(0, |f| usize::from(f.level))
        };
        let by_address = level(self.address(attempt));
        let familiar = self.familiar(attempt);
        let is_familiar =
            self.stripe(familiar).familiar.get(&familiar).is_some_and(|&at| now_ms.saturating_sub(at) < FAMILIAR_MS);
        let by_user = if is_familiar { 0 } else { level(self.user(attempt)) };
        DELAYS_MS[by_address.max(by_user).min(DELAYS_MS.len() - 1)]
    }

    /// It was a wrong password, or nobody's name.
    pub fn failed(&self, attempt: Attempt<'_>, now_ms: u64) {
        let guess =
            attempt.password.map(|password| self.hashed(b"guess", &[attempt.user.as_bytes(), &[0], password]) as u32);
        for id in [self.address(attempt), self.user(attempt)] {
            let mut stripe = self.stripe(id);
            let known = stripe.failures.get(&id).copied().filter(|f| !f.is_over(now_ms));
            stripe.failures.insert(id, known.unwrap_or_default().and(guess, now_ms));
        }
    }

    /// It was the right one: this place is the user's from now on. His failures elsewhere and those of the address stay, or an
    /// account of his own would clear a guesser each time.
    pub fn succeeded(&self, attempt: Attempt<'_>, now_ms: u64) {
        let familiar = self.familiar(attempt);
        self.stripe(familiar).familiar.insert(familiar, now_ms);
    }

    /// Addresses and names that are remembered for failures. Takes each part's lock for a moment.
    pub fn remembered(&self) -> usize {
        let parts =
            self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).failures.len());
        parts.sum()
    }

    fn stripe(&self, id: u64) -> MutexGuard<'_, Stripe> {
        self.stripes[id as usize % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self, attempt: Attempt<'_>) -> u64 {
        self.hashed(b"address", &[&place(attempt.from)])
    }

    fn user(&self, attempt: Attempt<'_>) -> u64 {
        self.hashed(b"user", &[attempt.user.to_lowercase().as_bytes()])
    }

    fn familiar(&self, attempt: Attempt<'_>) -> u64 {
        self.hashed(b"familiar", &[attempt.user.to_lowercase().as_bytes(), &[0], &place(attempt.from)])
    }

    /// Keyed, so that nobody can choose names that fall on others, and no name stays in memory.
    fn hashed(&self, what: &[u8], parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(what).update(&[0]);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        let mut id = [0; 8];
        hasher.finalize_xof().fill(&mut id);
        u64::from_le_bytes(id)
    }
}

impl Failures {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) >= FORGET_MS
    }

    /// One more, unless this very guess is known.
    fn and(mut self, guess: Option<u32>, now_ms: u64) -> Failures {
        self.last_ms = now_ms;
        if let Some(guess) = guess {
            if self.level > 0 && self.guesses.contains(&guess) {
                return self;
            }
            self.guesses[usize::from(self.next)] = guess;
            self.next = (self.next + 1) % GUESSES_KNOWN as u8;
        }
        self.level = (self.level + 1).min(DELAYS_MS.len() as u8 - 1);
        self
    }
}

/// What counts as one place.
fn place(from: IpAddr) -> [u8; 16] {
    match from.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[7..].fill(0);
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt<'a>(from: &str, user: &'a str, password: &'a str) -> Attempt<'a> {
        Attempt { from: from.parse().unwrap(), user, password: Some(password.as_bytes()) }
    }

    #[test]
    fn waits_grow_and_end() {
        let table = Penalties::new([1; 32]);
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for guess in ["a", "b", "c", "d", "e", "f"] {
            waits.push(table.delay_ms(attempt("192.0.2.1", "anna", guess), now_ms));
            table.failed(attempt("192.0.2.1", "anna", guess), now_ms);
            now_ms += 20_000;
        }
        assert_eq!(waits, [0, 2_000, 4_000, 8_000, 15_000, 15_000]);
        let last_ms = now_ms - 20_000;
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "g"), last_ms + FORGET_MS - 1), 15_000);
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "g"), last_ms + FORGET_MS), 0);
        table.failed(attempt("192.0.2.1", "anna", "g"), last_ms + FORGET_MS);
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "g"), last_ms + FORGET_MS), 2_000, "from the start");
    }

    #[test]
    fn by_address_and_by_user() {
        let table = Penalties::new([1; 32]);
        table.failed(attempt("192.0.2.1", "anna", "a"), 0);
        table.failed(attempt("192.0.2.1", "anna", "b"), 0);
        let wait = |from: &str, user: &str| table.delay_ms(attempt(from, user, "x"), 0);
        assert_eq!((wait("192.0.2.1", "ben"), wait("192.0.2.2", "Anna"), wait("192.0.2.2", "ben")), (4_000, 4_000, 0));
        assert_eq!(wait("::ffff:192.0.2.1", "ben"), 4_000);
        table.failed(attempt("2001:db8:0:100::1", "carl", "a"), 0);
        assert_eq!((wait("2001:db8:0:1ff::9", "dora"), wait("2001:db8:0:200::1", "dora")), (2_000, 0));
    }

    /// A phone with last year's password asks every minute; that is no guessing.
    #[test]
    fn the_same_wrong_password_counts_once() {
        let table = Penalties::new([1; 32]);
        (0..50).for_each(|i| table.failed(attempt("192.0.2.1", "anna", "old"), i));
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "old"), 50), 2_000);
        // A proof is never the same twice, so each counts.
        let proof = Attempt { password: None, ..attempt("192.0.2.9", "ben", "") };
        (0..3).for_each(|_| table.failed(proof, 0));
        assert_eq!(table.delay_ms(proof, 0), 8_000);
    }

    /// Somebody tries many passwords of one user from many addresses: the user at home does not notice.
    #[test]
    fn a_familiar_place_does_not_wait_for_others() {
        let table = Penalties::new([1; 32]);
        table.succeeded(attempt("192.0.2.1", "anna", "right"), 0);
        (0..9).for_each(|i| table.failed(attempt(&format!("198.51.100.{i}"), "anna", &format!("guess{i}")), 0));
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "right"), 0), 0);
        assert_eq!(table.delay_ms(attempt("203.0.113.1", "anna", "guess"), 0), 15_000);
        table.failed(attempt("192.0.2.1", "eve", "guess"), 0);
        assert_eq!(table.delay_ms(attempt("192.0.2.1", "anna", "right"), 0), 2_000, "the address counts all the same");
        assert_eq!(table.delay_ms(attempt("203.0.113.1", "anna", "guess"), FAMILIAR_MS), 0);
    }

    #[test]
    fn the_table_is_bounded() {
        let table = Penalties::new([1; 32]);
        for i in 0..200_000u32 {
            let from = IpAddr::from(i.to_be_bytes());
            table.failed(Attempt { from, user: "x", password: None }, 0);
        }
        let entries: usize = table.stripes.iter().map(|stripe| stripe.lock().unwrap().failures.len()).sum();
        assert!(entries <= STRIPES * ENTRIES_MAX && entries > STRIPES * ENTRIES_MAX / 2, "{entries}");
    }
}
