//! The text log, on standard error.

use skein_config::{Config, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;

/// Starts the log as the settings say. Once per process; a second call changes nothing.
pub fn start(config: &Config) {
    let level = match config.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    let started = match config.log.format {
        LogFormat::Text => builder.with_ansi(rustix::termios::isatty(std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A log that runs already is the host program's.
    drop(started);
}
