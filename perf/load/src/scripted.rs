//! imaptest's scripted tests: how many groups pass.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use skein_testkit::Server;
use skein_testkit::imap::Client;
use skein_testkit::server::PASSWORD;

use crate::imaptest;

/// Lines after which imaptest is taken to go in circles: a group that cannot begin is begun again without end.
const LINES_MAX: usize = 10_000;

/// What imaptest is told.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// The folder of the scripts, `src/tests` in imaptest's source.
    #[arg(long)]
    pub tests: PathBuf,
    /// More words for imaptest, like imap4rev2.
    #[arg(last = true)]
    pub more: Vec<String>,
}

/// Runs them against a server that is started for them, and prints what imaptest prints.
///
/// # Errors
/// When a group or a command fails, and when one is left out because the server lacks something.
pub fn run(load: &Load) -> Result<(), String> {
    let program = imaptest::program().ok_or("imaptest is not installed: set IMAPTEST")?;
    let server = Server::start();
    let addr = server.ports().imap;
    // Groups of two users select it for both, and make it for the first.
    let mut other = Client::connect(addr).map_err(|e| e.to_string())?;
    other.login("test2", PASSWORD).map_err(|e| e.to_string())?.expect_ok();
    other.command("CREATE imaptest").map_err(|e| e.to_string())?.expect_ok();
    let mut command = Command::new(program);
    command.args([format!("host={}", addr.ip()), format!("port={}", addr.port()), format!("pass={PASSWORD}")]);
    command.args(["user=test1", "user2=test2", &format!("test={}", load.tests.display())]).args(&load.more);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("imaptest: {e}"))?;
    let told = follow(child.stdout.take().ok_or("no output")?);
    if told.is_err() {
        // It may have ended already.
        _ = child.kill();
    }
    let status = child.wait().map_err(|e| format!("imaptest: {e}"))?;
    let text = told?;
    match passes(&text).ok_or("imaptest printed no counts")? {
        true if status.success() => Ok(()),
        true => Err(format!("imaptest ended with {status}")),
        false => Err("not all that imaptest asks for is there".into()),
    }
}

/// All lines, printed as they come.
fn follow(from: impl Read) -> Result<String, String> {
    let mut text = String::new();
    for (at, line) in BufReader::new(from).split(b'\n').map_while(Result::ok).enumerate() {
        if at == LINES_MAX {
            return Err("imaptest does not come to an end".into());
        }
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        text += &line;
        text.push('\n');
    }
    Ok(text)
}

/// By its last three lines: groups that failed or were left out, and commands that failed.
fn passes(text: &str) -> Option<bool> {
    let at = text.lines().position(|line| line.contains(" test groups: "))?;
    let counts: Vec<&str> = text.lines().skip(at).take(3).collect();
    let [groups, base, extensions] = counts[..] else { return None };
    let none = |line: &str| line.contains(": 0/");
    Some(groups.contains(": 0 failed, 0 skipped") && none(base) && none(extensions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_is_left_out_is_told() {
        let counts = |failed, skipped, base, extensions| {
            format!(
                "x\n72 test groups: {failed} failed, {skipped} skipped due to missing capabilities\n\
                 base protocol: {base}/460 individual commands failed\n\
                 extensions: {extensions}/374 individual commands failed\n"
            )
        };
        assert_eq!(passes(&counts(0, 0, 0, 0)), Some(true));
        for text in
            [counts(1, 0, 0, 0), counts(10, 0, 0, 0), counts(0, 4, 0, 0), counts(0, 0, 10, 0), counts(0, 0, 0, 1)]
        {
            assert_eq!(passes(&text), Some(false), "{text}");
        }
        assert_eq!(passes("Error: no connection\n"), None);
        assert_eq!(passes("72 test groups: 0 failed, 0 skipped\n"), None);
    }

    #[test]
    fn circles_are_cut_off() {
        let lines = |count| "x\n".repeat(count);
        assert!(follow(lines(LINES_MAX).as_bytes()).is_ok() && follow(lines(LINES_MAX + 1).as_bytes()).is_err());
    }
}
