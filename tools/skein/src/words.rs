//! Words for whoever runs a command. `println!` and `eprintln!` panic when nobody reads any more, or the file they go to is on a full disk:
//! no reason to end a server, or to leave an operator without the exit code.

use std::fmt;
use std::io::{self, Write};

/// A line on standard output.
///
/// # Errors
/// It does not take it.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// A line on standard error. When that takes nothing there is nobody to be told.
pub(crate) fn complain(words: fmt::Arguments<'_>) {
    _ = writeln!(io::stderr().lock(), "{words}");
}
