//! Signals arrive as messages. Runs without the test harness: its threads would take the signals.

use rustix::process::{Signal as UnixSignal, getpid, kill_process};
use skein_runtime::{Signal, Signals};

fn main() {
    // What test runners ask of a harness before they run it.
    let asked = |option: &str| std::env::args().any(|given| given == option);
    if asked("--list") {
        if !asked("--ignored") {
            println!("signals: test");
        }
        return;
    }
    let signals = Signals::take().unwrap();
    for (sent, taken) in [
        (UnixSignal::HUP, Signal::Reload),
        (UnixSignal::INT, Signal::Interrupt),
        (UnixSignal::TERM, Signal::Terminate),
        (UnixSignal::HUP, Signal::Reload),
    ] {
        kill_process(getpid(), sent).unwrap();
        assert_eq!(signals.wait(), Some(taken));
    }
    println!("signals ... ok");
}
