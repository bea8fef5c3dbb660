//! A password from whoever sits at the terminal, or from a pipe.

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use skein_base::Secret;
use skein_base::limits::PASSWORD_BYTES_MAX;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};

/// Why there is no password.
#[derive(Debug)]
pub enum PasswordError {
    /// Nobody can be asked.
    NoTerminal(io::Error),
    /// Standard input can not be read.
    Input(io::Error),
    /// Two different ones were typed.
    Differ,
    /// Longer than any client may send.
    TooLong,
}

/// Asks at the terminal, which shows nothing of it; twice when it is a new one. Or takes all of standard input, without
/// the line break at its end.
///
/// # Errors
/// There is none.
pub fn read(stdin: bool, new: bool) -> Result<Secret, PasswordError> {
    if stdin {
        return piped();
    }
    let _quiet = Quiet::begin().map_err(PasswordError::NoTerminal)?;
    let ask = |prompt| rpassword::prompt_password(prompt).map_err(PasswordError::NoTerminal);
    let password = Secret::new(ask("Password: ")?.into_bytes());
    if new && Secret::new(ask("Again: ")?.into_bytes()).expose() != password.expose() {
        return Err(PasswordError::Differ);
    }
    if password.expose().len() > PASSWORD_BYTES_MAX { Err(PasswordError::TooLong) } else { Ok(password) }
}

/// The terminal without echo, from before the first question on: who types faster than the question comes is not seen either.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin() -> io::Result<Quiet> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = termios::tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Of a terminal that has gone nothing is left to mend.
        _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn piped() -> Result<Secret, PasswordError> {
    // With room for all of it, so that no copy stays behind in a buffer outgrown.
    let mut bytes = Vec::with_capacity(PASSWORD_BYTES_MAX + 3);
    io::stdin().lock().take(PASSWORD_BYTES_MAX as u64 + 3).read_to_end(&mut bytes).map_err(PasswordError::Input)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.len() > PASSWORD_BYTES_MAX { Err(PasswordError::TooLong) } else { Ok(Secret::new(bytes)) }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::NoTerminal(error) => write!(f, "no terminal to ask at ({error}): give it with --stdin"),
            PasswordError::Input(error) => write!(f, "standard input: {error}"),
            PasswordError::Differ => f.write_str("the two passwords differ"),
            PasswordError::TooLong => write!(f, "a password has at most {PASSWORD_BYTES_MAX} bytes"),
        }
    }
}
