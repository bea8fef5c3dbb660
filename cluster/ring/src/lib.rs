//! Rendezvous hashing: which machine, then which core. The same function at both levels.
//!
//! ```text
//! key ──┬─ draw(key, member 0) ── weighted ─┐
//!       ├─ draw(key, member 1) ── weighted ─┼─▶ the highest is home
//!       └─ draw(key, member 2) ── weighted ─┘
//! ```
//!
//! A member that leaves moves only its own accounts; one that joins takes only its share. Whole numbers throughout, so
//! every machine and every version agrees to the bit: placement is a format, and its test vectors are never edited.
//!
//! Never here: membership, overrides, the network.

mod draw;

use draw::{draw, mix, weighted_distance};
use skein_base::{AccountId, ShardId};

/// One place that accounts may live at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Identity, well mixed; see [`Member::named`]. Two members never share one.
    pub id: u64,
    /// Share of accounts relative to the others'. 0 takes none: a member being emptied.
    pub weight: u32,
}

impl Member {
    /// A member known by its name: the first 8 bytes of BLAKE3 over the name, little-endian.
    pub fn named(name: &str, weight: u32) -> Member {
        let mut id = [0; 8];
        id.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
        Member { id: u64::from_le_bytes(id), weight }
    }
}

/// Index of the member that `key` lives at; `None` when no member has weight. The order of members does not matter.
pub fn home(key: u64, members: &[Member]) -> Option<usize> {
    let mut best: Option<(usize, Bid)> = None;
    for (index, member) in members.iter().enumerate().filter(|(_, m)| m.weight > 0) {
        let bid = Bid::of(key, member);
        if best.as_ref().is_none_or(|(_, highest)| bid.beats(highest)) {
            best = Some((index, bid));
        }
    }
    best.map(|(index, _)| index)
}

/// The core of this machine that an account lives on. `shards` is at least 1.
///
/// Adding a core moves 1 account in `shards + 1`, all of them to the new core.
pub fn home_shard(account: AccountId, shards: u16) -> ShardId {
    assert!(shards > 0, "a machine has at least one shard");
    let key = account.hash64();
    let best = (0..shards).max_by_key(|&shard| (draw(key, shard_member(shard)), shard));
    ShardId(best.expect("at least one shard"))
}

/// Identity of a core in [`home_shard`]: salted, so that the choice of a core tells nothing about the choice of a machine.
fn shard_member(shard: u16) -> u64 {
    const SALT: u64 = u64::from_le_bytes(*b"skeinCPU");
    mix(SALT ^ u64::from(shard))
}

/// What one member offers for a key.
struct Bid {
    draw: u64,
    distance: u64,
    weight: u32,
    id: u64,
}

impl Bid {
    fn of(key: u64, member: &Member) -> Bid {
        let draw = draw(key, member.id);
        Bid { draw, distance: weighted_distance(draw), weight: member.weight, id: member.id }
    }

    /// `distance / weight` is exponentially distributed with rate `weight`; the smallest wins in proportion to weight.
    /// Compared crosswise to stay in whole numbers. Ties go by the draw, then by identity, never by position.
    fn beats(&self, other: &Bid) -> bool {
        let ours = u128::from(self.distance) * u128::from(other.weight);
        let theirs = u128::from(other.distance) * u128::from(self.weight);
        ours < theirs || (ours == theirs && (self.draw, self.id) > (other.draw, other.id))
    }
}
