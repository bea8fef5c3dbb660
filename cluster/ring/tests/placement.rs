//! Placement: golden vectors that are never edited, evenness, and how little moves.

use proptest::prelude::*;
use skein_base::{AccountId, UserName};
use skein_ring::{Member, home, home_shard};

fn account(name: &str) -> AccountId {
    AccountId::of(&UserName::new(name).unwrap())
}

fn machines(weights: &[u32]) -> Vec<Member> {
    weights.iter().enumerate().map(|(i, &w)| Member::named(&format!("b{i}.example.net"), w)).collect()
}

/// How many of `n` keys each member got.
fn shares(n: u64, members: &[Member]) -> Vec<u64> {
    let mut got = vec![0; members.len()];
    (0..n).for_each(|i| got[home(key(i), members).unwrap()] += 1);
    got
}

fn key(i: u64) -> u64 {
    account(&format!("user{i}@example.org")).hash64()
}

/// A change here would move mail between cores and machines of every installation.
#[test]
fn golden_shards() {
    let got: Vec<u16> = [1, 2, 3, 8, 64, 1024].iter().map(|&n| home_shard(account("demo"), n).0).collect();
    assert_eq!(got, GOLDEN_DEMO);
    let got: Vec<u16> = (1..=16).map(|i| home_shard(account(&format!("test{i}")), 8).0).collect();
    assert_eq!(got, GOLDEN_TESTS_ON_8);
}

const GOLDEN_DEMO: [u16; 6] = [0, 0, 2, 2, 20, 373];
const GOLDEN_TESTS_ON_8: [u16; 16] = [7, 4, 7, 2, 7, 6, 3, 0, 5, 1, 6, 0, 4, 2, 1, 6];

/// A change here would move mail between machines of every installation.
#[test]
fn golden_machines() {
    let members = machines(&[1, 1, 2, 5]);
    let got: Vec<usize> = (0..24).map(|i| home(key(i), &members).unwrap()).collect();
    assert_eq!(got, GOLDEN_MACHINES);
    assert_eq!(Member::named("b0.example.net", 1).id, GOLDEN_ID);
}

const GOLDEN_MACHINES: [usize; 24] = [3, 3, 0, 1, 3, 3, 0, 0, 3, 2, 3, 2, 3, 2, 1, 3, 3, 0, 1, 1, 3, 3, 2, 3];
const GOLDEN_ID: u64 = 0x14c1_23bd_06bd_706b;

#[test]
fn nobody_home() {
    assert_eq!(home(7, &[]), None);
    assert_eq!(home(7, &machines(&[0, 0])), None);
    assert_eq!(home(7, &machines(&[0, 3])), Some(1));
}

#[test]
fn shares_follow_weights() {
    for weights in [&[1, 1, 1, 1][..], &[1, 2, 3, 4], &[1, 100], &[7; 40]] {
        let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        let n = 40_000u64;
        for (got, &w) in shares(n, &machines(weights)).into_iter().zip(weights) {
            let expect = (n * u64::from(w)) as f64 / total as f64;
            // Six standard deviations: the keys are fixed, so this either always holds or never does.
            assert!((got as f64 - expect).abs() < 6.0 * expect.sqrt(), "{weights:?}: {got} not {expect}");
        }
    }
}

#[test]
fn cores_are_even() {
    let mut got = [0u32; 16];
    (0..32_000).for_each(|i| got[home_shard(account(&format!("user{i}@example.org")), 16).0 as usize] += 1);
    assert!(got.iter().all(|&n| (1_750..2_250).contains(&n)), "{got:?}");
}

/// The accounts of one machine must not crowd on some of its cores.
#[test]
fn cores_are_even_within_a_machine() {
    let members = machines(&[1, 1, 1, 1]);
    let mut got = [0u32; 4];
    for i in 0..32_000 {
        let id = account(&format!("user{i}@example.org"));
        if home(id.hash64(), &members) == Some(2) {
            got[home_shard(id, 4).0 as usize] += 1;
        }
    }
    assert!(got.iter().all(|&n| (1_800..2_200).contains(&n)), "{got:?}");
}

proptest! {
    #[test]
    fn a_leaver_moves_only_its_own(keys in prop::collection::vec(any::<u64>(), 50), weights in prop::collection::vec(1u32..50, 2..12), gone in any::<prop::sample::Index>()) {
        let before = machines(&weights);
        let gone = gone.index(before.len());
        let mut after = before.clone();
        after[gone].weight = 0;
        for key in keys {
            let (was, is) = (home(key, &before).unwrap(), home(key, &after).unwrap());
            prop_assert!(was == is || was == gone);
        }
    }

    #[test]
    fn more_weight_only_attracts(keys in prop::collection::vec(any::<u64>(), 50), weights in prop::collection::vec(1u32..50, 2..12), grown in any::<prop::sample::Index>(), by in 1u32..50) {
        let before = machines(&weights);
        let grown = grown.index(before.len());
        let mut after = before.clone();
        after[grown].weight += by;
        for key in keys {
            let (was, is) = (home(key, &before).unwrap(), home(key, &after).unwrap());
            prop_assert!(was == is || is == grown);
        }
    }

    #[test]
    fn order_of_members_does_not_matter(key in any::<u64>(), weights in prop::collection::vec(1u32..50, 1..12)) {
        let members = machines(&weights);
        let reversed: Vec<Member> = members.iter().rev().copied().collect();
        prop_assert_eq!(members[home(key, &members).unwrap()], reversed[home(key, &reversed).unwrap()]);
    }

    #[test]
    fn a_new_core_only_attracts(user in "[a-z]{1,12}", shards in 1u16..200) {
        let (was, is) = (home_shard(account(&user), shards), home_shard(account(&user), shards + 1));
        prop_assert!(was == is || is.0 == shards);
    }
}
