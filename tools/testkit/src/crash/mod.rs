//! Crash tests: many clients change mail, the server falls, and what is there afterwards is compared with what was acknowledged.
//!
//! ```text
//! set up ─▶ [ workers change mail, each keeps a ledger ] ─▶ fall ─▶ restart ─▶ observe ─▶ check ─▶ next round
//! ```
//! A message names itself and its content follows from its name, so nothing has to be kept to compare bodies. Every worker
//! changes only messages it owns, also in mailboxes that it shares; so each ledger is exact on its own. What a worker had
//! sent but not been answered when the server fell may have happened or not; everything else is certain.

mod check;
mod ledger;
mod observe;
mod power;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use check::{History, check};
pub use ledger::{Flight, Item, Ledger, Place};
pub use observe::{Mailbox, State, observe};
pub use power::LoopDisk;

use crate::random::Random;
use crate::server::Server;
use crate::wait;

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Accounts: test1 to this one.
    pub users: usize,
    /// IMAP workers, spread over the accounts.
    pub imap_workers: usize,
    /// LMTP workers, each delivering to all accounts.
    pub lmtp_workers: usize,
    /// Falls.
    pub rounds: usize,
    /// Most acknowledged changes before a fall; the moment is random.
    pub acks_max: usize,
}

impl Plan {
    /// A load that a small machine bears, with `rounds` falls.
    pub fn of_rounds(rounds: usize) -> Plan {
        Plan { users: 5, imap_workers: 15, lmtp_workers: 4, rounds, acks_max: 2500 }
    }

    fn user_names(&self) -> Vec<String> {
        (1..=self.users).map(Server::user).collect()
    }
}

/// Longest that one round's load lasts, reached only by a server slower than the plan expects.
const LOAD_MAX: Duration = Duration::from_secs(6);

/// What workers and the one who ends the round share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Changes acknowledged in this round.
    acks: AtomicU64,
    /// From now on the server may refuse or vanish: what is not acknowledged stays in flight.
    falling: AtomicBool,
    /// From now on an answer counts for nothing: what it speaks of stays in flight.
    deaf: AtomicBool,
}

/// Runs the plan. `fall` brings the server down; it returns with the server dead and its folder readable. A fall that begins
/// before the server is dead, as a power cut of its disk does, calls the hook it is given at that moment: whatever the server
/// still answers comes after the end of its world, and nobody could have heard it.
///
/// # Panics
/// With everything that is wrong, after the first round in which something is.
pub fn run(server: &mut Server, plan: &Plan, mut fall: impl FnMut(&mut Server, &dyn Fn())) {
    let random = Random::new(Random::seed_of_run());
    let users = plan.user_names();
    worker::set_up(server, plan);
    let mut state = observe(server, &users).unwrap_or_else(|e| panic!("before the first round: {e}"));
    let mut history = History::new(&state);
    for round in 0..plan.rounds {
        let mut chance = random.fork(round as u64);
        worker::tidy(server, &mut state);
        let ledgers = load(server, plan, &state, round, &mut chance, &mut fall);
        let acked: u64 = ledgers.iter().map(|l| l.acked).sum();
        let began = Instant::now();
        server.restart();
        let start_ms = began.elapsed().as_millis();
        let after = observe(server, &users).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let wrong = check(&mut history, &state, &ledgers, &after);
        let messages: usize = after.values().map(|m| m.items.len()).sum();
        println!("round {round}: {acked} changes acknowledged, {messages} messages there, started in {start_ms} ms");
        let flights = || ledgers.iter().filter_map(|l| l.flight.as_ref()).map(|f| format!("{f:?}")).collect::<Vec<_>>();
        assert!(
            wrong.is_empty(),
            "round {round}: {} wrong\n{}in flight:\n{}",
            wrong.len(),
            shortened(&wrong),
            shortened(&flights())
        );
        state = after;
    }
}

fn load(
    server: &mut Server,
    plan: &Plan,
    state: &State,
    round: usize,
    random: &mut Random,
    fall: &mut impl FnMut(&mut Server, &dyn Fn()),
) -> Vec<Ledger> {
    let shared = Shared::default();
    let target = random.between(plan.acks_max / 10, plan.acks_max) as u64;
    let jobs = worker::jobs(server, plan, state, round, random);
    thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(|| job.run(&shared))).collect();
        wait::until(LOAD_MAX, || {
            shared.acks.load(Ordering::Relaxed) >= target || running.iter().all(|worker| worker.is_finished())
        });
        shared.falling.store(true, Ordering::SeqCst);
        fall(server, &|| shared.deaf.store(true, Ordering::SeqCst));
        running.into_iter().map(|worker| worker.join().expect("a worker ends when the server does")).collect()
    })
}

fn shortened(wrong: &[String]) -> String {
    const SHOWN: usize = 30;
    wrong.iter().take(SHOWN).map(|line| format!("  {line}\n")).collect()
}
