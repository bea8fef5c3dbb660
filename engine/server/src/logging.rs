//! The text log, on standard error.

use skein_config::{Config, LogFormat, LogLevel};
use std::io::{self, Write};
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
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(|| Steadfast).with_target(false);
    // It would tell standard error, and panic when that does not work either.
    let builder = builder.log_internal_errors(false);
    let started = match config.log.format {
        LogFormat::Text => builder.with_ansi(rustix::termios::isatty(io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A log that runs already is the host program's.
    drop(started);
}

/// Standard error, where a line that can not be written is lost: it is often a file on a disk that may be full, and
/// the server must live through that.
struct Steadfast;

impl Write for Steadfast {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _lost = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
