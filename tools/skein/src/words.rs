//! Words for whoever runs a command. `println!` and `eprintln!` panic when nobody reads any more, or the file they go to is on a full disk:
//! no reason to end a server, or to leave an operator without the exit code.

use std::fmt;
use std::io::{self, ErrorKind, StdoutLock, Write};
use std::process;

/// Exit code of a command whose reader has gone: what a shell says of one that SIGPIPE ended. Rust programs begin with that signal ignored.
const NOBODY_READS: i32 = 128 + 13;

/// Standard output of a command. When nobody reads it any more, as behind `| head`, the command ends, without a word.
pub(crate) struct Stdout(StdoutLock<'static>);

impl Stdout {
    pub fn lock() -> Stdout {
        Stdout(io::stdout().lock())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        read_by_somebody(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        read_by_somebody(self.0.flush())
    }
}

fn read_by_somebody<T>(done: io::Result<T>) -> io::Result<T> {
    if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        process::exit(NOBODY_READS);
    }
    done
}

/// A line on standard output.
///
/// # Errors
/// It does not take it.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = Stdout::lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// The same from a server, which goes on whoever reads.
pub(crate) fn mention(text: &str) {
    let mut out = io::stdout().lock();
    _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error. When that takes nothing there is nobody to be told.
pub(crate) fn complain(words: fmt::Arguments<'_>) {
    _ = writeln!(io::stderr().lock(), "{words}");
}
