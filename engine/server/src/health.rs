//! Whether the server can do its work, and whether more should come, for those who ask over HTTP.
//!
//! ```text
//! alive?   a heart on each shard's core, a log on each shard that a new start would not serve better
//! ready?   started, not stopping, room for more connections, inboxes that are emptied
//! ```
//! A full disk is neither's business: mail is read on, and the log recovers by itself once there is room.

use crate::boot::INBOX_DEPTH_MAX;
use crate::shard::Common;
use skein_admin::{Health, Verdict};
use skein_base::ShardId;
use skein_runtime::heartbeat_ages;
use skein_runtime::metrics::{self, Kind};
use skein_serve::Store;
use skein_store::log::LogError;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where the server is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// What shards tell, for whoever asks from another thread.
pub(crate) struct Vitals {
    phase: AtomicU8,
    /// The setting in force.
    heartbeat_seconds_max: AtomicU32,
    /// Why a shard's log takes nothing for good, by shard.
    broken_logs: Mutex<Vec<Option<String>>>,
}

impl Vitals {
    pub fn new(shards: usize, heartbeat_seconds_max: u32) -> Vitals {
        Vitals {
            phase: AtomicU8::new(Phase::Starting as u8),
            heartbeat_seconds_max: AtomicU32::new(heartbeat_seconds_max),
            broken_logs: Mutex::new(vec![None; shards]),
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub fn set_heartbeat_seconds_max(&self, seconds: u32) {
        self.heartbeat_seconds_max.store(seconds, Relaxed);
    }

    /// Called by each shard, once a second.
    pub fn note_log(&self, shard: ShardId, store: &Store) {
        let broken = match store.log().refuses() {
            Some(error @ (LogError::Failed { .. } | LogError::Poisoned { .. })) => Some(error.to_string()),
            _ => None,
        };
        let mut logs = self.broken_logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs[usize::from(shard.0)] = broken;
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == phase as u8
    }

    fn alive(&self, ages: &[Option<Duration>]) -> Verdict {
        let logs = self.broken_logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((shard, why)) = logs.iter().enumerate().find_map(|(i, why)| Some((i, why.as_ref()?))) {
            return Err(format!("the log of shard {shard} takes nothing: {why}"));
        }
        let max = Duration::from_secs(u64::from(self.heartbeat_seconds_max.load(Relaxed)));
        let beating = ages.iter().enumerate().filter_map(|(shard, age)| Some((shard, (*age)?)));
        match beating.max_by_key(|(_, age)| *age) {
            Some((shard, age)) if age > max => {
                Err(format!("shard {shard} has not answered for {} ms", age.as_millis()))
            }
            _ => Ok(()),
        }
    }
}

/// Answers for the whole server.
pub(crate) struct ServerHealth(pub Arc<Common>);

impl Health for ServerHealth {
    fn alive(&self) -> Verdict {
        self.0.vitals.alive(&heartbeat_ages())
    }

    fn ready(&self) -> Verdict {
        let Common { vitals, limit, lanes, .. } = &*self.0;
        if vitals.is(Phase::Starting) {
            return Err("starting".to_owned());
        }
        if vitals.is(Phase::Stopping) {
            return Err("stopping".to_owned());
        }
        self.alive()?;
        let (open, max) = (limit.open(), limit.max());
        if open >= max {
            return Err(format!("{open} connections are open, as many as there may be"));
        }
        let full = (0..lanes.shards() as u16).find(|shard| lanes.depth(ShardId(*shard)) > INBOX_DEPTH_MAX / 2);
        full.map_or(Ok(()), |shard| Err(format!("shard {shard} does not keep up with what the others send")))
    }
}

/// Shows how old each heartbeat is.
pub(crate) fn collect() {
    let help = "Time since the shard's heart beat, every 5 ms when all is well; compare /healthz.";
    metrics::collect("skein_heartbeat_age_seconds", help, Kind::Gauge, |samples| {
        for (shard, age) in heartbeat_ages().into_iter().enumerate() {
            let Some(age) = age else { continue };
            samples.put(&[("shard", &shard.to_string())], age.as_secs_f64());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_heart_decides() {
        let vitals = Vitals::new(3, 2);
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(vitals.alive(&[]), Ok(()));
        assert_eq!(vitals.alive(&[ms(5), None, ms(2000)]), Ok(()));
        let late = Err("shard 2 has not answered for 9000 ms".to_owned());
        assert_eq!(vitals.alive(&[ms(3000), None, ms(9000)]), late);
        vitals.set_heartbeat_seconds_max(10);
        assert_eq!(vitals.alive(&[ms(3000), None, ms(9000)]), Ok(()));
    }
}
