//! The heartbeat as others see it.

use skein_runtime::{ShardsConfig, Side, heartbeat_ages, sleep, start};
use std::time::Duration;

/// A core that is held shows at once, by shard, and no longer than it is held.
#[test]
fn a_heart_that_stands_still_is_seen_from_outside() {
    let side = Side::start().unwrap();
    let (held, holds) = std::sync::mpsc::channel::<()>();
    let (free, freed) = std::sync::mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(Some((held, freed)));
    let shards = start(ShardsConfig::for_tests(2), &side, move |context| {
        let ends = if context.id.0 == 1 { ends.lock().unwrap().take() } else { None };
        async move {
            if let Some((held, freed)) = ends {
                held.send(()).unwrap();
                // Holds the core: no await.
                freed.recv().unwrap();
            }
            sleep(Duration::from_millis(1)).await;
        }
    })
    .unwrap();
    holds.recv().unwrap();
    let is_late = || heartbeat_ages()[1].is_some_and(|age| age > Duration::from_millis(50));
    while !is_late() {
        std::thread::yield_now();
    }
    free.send(()).unwrap();
    shards.join();
    assert!(heartbeat_ages()[1].is_none(), "ended");
    side.stop();
}
