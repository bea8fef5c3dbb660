//! New settings for a running server: all of them, or none.
//!
//! ```text
//! reload ─ settings file ─ users ─ certificates ─ everything good? ─▶ shards ─▶ in force when all have said so
//!                                        │ no: the old ones stay, every problem is told
//! ```

use crate::doors::Certificates;
use crate::logging;
use crate::settings_file::{SettingsError, load_settings};
use crate::shard::{Common, settings};
use skein_base::ShardId;
use skein_config::{Config, Reload as When};
use skein_serve::ToShard;
use skein_transport::TlsLoadError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A shard that has not answered by then is stuck; it takes the settings when it comes back.
const SHARD_PATIENCE: Duration = Duration::from_secs(10);

/// Reads settings, users and certificates again. Clones do the same.
#[derive(Clone)]
pub struct Reloader(Arc<Inner>);

struct Inner {
    common: Arc<Common>,
    certificates: Certificates,
    /// The settings in force. Locked for as long as a reload runs: one at a time.
    config: Mutex<Arc<Config>>,
}

/// What a reload did.
#[derive(Debug)]
pub struct Reloaded {
    /// Settings in force that were not before.
    pub changed: Vec<&'static str>,
    /// Settings that changed in the file and count at the next start.
    pub at_restart: Vec<&'static str>,
    /// What is odd in files of users.
    pub notices: Vec<String>,
}

/// Why everything stays as it was.
#[derive(Debug)]
pub enum ReloadError {
    /// The settings file.
    Settings(SettingsError),
    /// A source of users.
    Users(skein_auth::LoadError),
    /// A certificate.
    Tls(TlsLoadError),
    /// This shard did not answer in time; others go by the new settings already, and so will it when it can.
    Stuck(ShardId),
}

impl Reloader {
    pub(crate) fn new(common: Arc<Common>, certificates: Certificates) -> Reloader {
        let config = Mutex::new(common.config.clone());
        Reloader(Arc::new(Inner { common, certificates, config }))
    }

    /// Reads everything and, when all of it is good, puts it in force. Blocks; never call it on a shard.
    ///
    /// # Errors
    /// What is wrong; then the old settings stay in force.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        let Inner { common, certificates, config } = &*self.0;
        let mut running = config.lock().unwrap_or_else(PoisonError::into_inner);
        // The demo has no file; its certificates may still be new.
        let fresh = match &running.file {
            Some(file) => Arc::new(load_settings(file).map_err(ReloadError::Settings)?),
            None => running.clone(),
        };
        let (users, notices) = common.doorman.auth.prepare(&fresh.auth).map_err(ReloadError::Users)?;
        let tls = certificates.prepare(&fresh, &common.hostname).map_err(ReloadError::Tls)?;

        certificates.install(tls);
        common.doorman.auth.replace(users);
        logging::set_levels(&fresh.log);
        common.limit.set_max(fresh.limits.connections_max);
        // It warns when fewer fit; why the limit can not be read was told at the start.
        _ = skein_runtime::raise_nofile(fresh.limits.connections_max as u64);
        let notices = notices.into_iter().map(|(path, notice)| format!("{}: {notice}", path.display())).collect();
        let (live, restart): (Vec<_>, Vec<_>) =
            running.differences(&fresh).into_iter().partition(|row| row.reload == When::Live);
        let keys = |rows: Vec<&'static skein_config::Row>| rows.into_iter().map(|row| row.key).collect();
        let done = Reloaded { changed: keys(live), at_restart: keys(restart), notices };
        *running = fresh.clone();
        tell_shards(common, &fresh)?;
        Ok(done)
    }

    /// Reloads, and writes into the log what came of it.
    pub fn reload_and_log(&self) {
        match self.reload() {
            Ok(Reloaded { changed, at_restart, notices }) => {
                for notice in notices {
                    tracing::warn!(%notice, "a file of users");
                }
                if !at_restart.is_empty() {
                    tracing::warn!(settings = %at_restart.join(", "), "changed settings that count at the next start");
                }
                tracing::info!(changed = %changed.join(", "), "settings, users and certificates read again");
            }
            Err(error) => {
                for line in error.to_string().lines() {
                    tracing::error!(error = %line, "not reloaded");
                }
                tracing::error!("not reloaded; the old settings, users and certificates stay");
            }
        }
    }
}

fn tell_shards(common: &Common, config: &Arc<Config>) -> Result<(), ReloadError> {
    let shards: Vec<ShardId> = (0..common.lanes.shards() as u16).map(ShardId).collect();
    let mut waiting = Vec::with_capacity(shards.len());
    for shard in shards {
        let (done, said) = flume::bounded(1);
        let settings = settings(config.clone(), &common.hostname);
        let reload = skein_serve::Reload { settings, done };
        // A shard that is gone ends the whole process, so nobody misses the settings.
        _ = futures_lite::future::block_on(common.lanes.send_wait(shard, ToShard::Reload(Box::new(reload))));
        waiting.push((shard, said));
    }
    for (shard, said) in waiting {
        // The shard drops its end when it is done.
        if let Err(flume::RecvTimeoutError::Timeout) = said.recv_timeout(SHARD_PATIENCE) {
            return Err(ReloadError::Stuck(shard));
        }
    }
    Ok(())
}

impl fmt::Display for ReloadError {
    /// A line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::Settings(error) => error.fmt(f),
            ReloadError::Users(error) => error.fmt(f),
            ReloadError::Tls(error) => error.fmt(f),
            ReloadError::Stuck(shard) => {
                write!(f, "shard {shard} does not answer; it takes the new settings when it can")
            }
        }
    }
}

impl std::error::Error for ReloadError {}
