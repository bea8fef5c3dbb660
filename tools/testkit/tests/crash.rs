//! The server falls under load: nothing acknowledged is lost, nothing is invented, no UID is used twice.
//!
//! `SKEIN_CRASH_ROUNDS` sets the number of falls (10), `SKEIN_SEED` repeats a run's choices.

use skein_testkit::Server;
use skein_testkit::crash::{self, LoopDisk, Plan};

fn rounds() -> usize {
    std::env::var("SKEIN_CRASH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(10)
}

#[test]
fn a_kill_loses_nothing() {
    let mut server = Server::start();
    crash::run(&mut server, &Plan::of_rounds(rounds()), |server, _| server.kill());
}

#[test]
fn a_power_cut_loses_nothing() {
    let Some(disk) = LoopDisk::mount() else { return };
    let mut server = Server::start_in(&disk.path());
    crash::run(&mut server, &Plan::of_rounds(rounds()), |server, now| {
        disk.cut(now);
        server.kill();
        disk.revive();
    });
    drop(server);
}
