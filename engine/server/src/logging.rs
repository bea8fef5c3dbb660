//! The text log, on standard error.

use crate::log_line::LogLine;
use skein_config::{Config, Log, LogFormat, LogLevel, module_levels};
use std::sync::OnceLock;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// The filter of the running log.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts the log as the settings say. Once per process; a second call changes nothing.
pub fn start(config: &Config) {
    let (filter, handle) = reload::Layer::new(filter_of(&config.log));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some_and(|stream| is_stderr(&stream.to_string_lossy()));
    let ansi = config.log.format == LogFormat::Text && rustix::termios::isatty(std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        // A line that can not be written must not be told of on the same full disk: that panics.
        .log_internal_errors(false)
        .event_format(LogLine { format: config.log.format, journal })
        .and_then(crate::recent::Listener)
        .boxed();
    // A log that runs already is the host program's.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        _ = FILTER.set(handle);
    }
}

/// Whether standard error is the stream to the journal that systemd names by device and inode (systemd.exec(5)): a shell in
/// between may have sent it elsewhere.
fn is_stderr(stream: &str) -> bool {
    rustix::fs::fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Changes what the running log holds.
pub(crate) fn set_levels(log: &Log) {
    if let Some(filter) = FILTER.get() {
        // It only fails when the log has ended.
        _ = filter.modify(|filter| *filter = filter_of(log));
    }
}

fn filter_of(log: &Log) -> Targets {
    let modules = module_levels(&log.modules).expect("checked with the settings");
    let level = level_filter(log.level);
    // Names are matched by their beginning, and skein_serve is one of skein_server.
    let all = Targets::new().with_default(level).with_target("skein_server", level);
    modules.into_iter().fold(all, |all, (module, level)| all.with_target(module, level_filter(level)))
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
