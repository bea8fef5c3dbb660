//! Everything that a command was told, as text to compare.

use super::{Client, Reply};

impl Reply {
    /// The untagged responses a line each, then how it ended: `Ok`, `No` or `Bad` and its text.
    pub fn told(&self) -> String {
        let lines = self.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
        lines.chain([format!("{:?} {}", self.status, self.text)]).collect()
    }
}

/// [`Reply::told`] of a command.
///
/// # Panics
/// When the connection ends, as all here.
#[track_caller]
pub fn ask(client: &mut Client, command: &str) -> String {
    client.command(command).expect(command).told()
}

/// Asserts what [`ask`] begins with.
#[track_caller]
pub fn check(client: &mut Client, command: &str, expect: &str) {
    let told = ask(client, command);
    assert!(told.starts_with(expect), "{command}: {told}");
}

/// The untagged responses without their `* `, then how it ended.
#[track_caller]
pub fn ask_lines(client: &mut Client, command: &str) -> Vec<String> {
    let reply = client.command(command).expect(command);
    let lines = reply.untagged.iter().map(|line| String::from_utf8_lossy(line).trim_start_matches("* ").to_owned());
    lines.chain([format!("{:?} {}", reply.status, reply.text)]).collect()
}

/// Asserts all untagged responses, and the beginning of how it ended.
#[track_caller]
pub fn check_lines(client: &mut Client, command: &str, expect: &[&str]) {
    let mut told = ask_lines(client, command);
    let (end, lines) = told.split_last_mut().expect("a reply");
    let (end_wanted, lines_wanted) = expect.split_last().expect("how it ends");
    assert!(lines == lines_wanted && end.starts_with(end_wanted), "{command}: {lines:#?} {end}");
}
