//! External programs: found or skipped, and never left running.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, thread};

use crate::wait;

/// Longest time one external program may take.
pub const RUN_SECONDS_MAX: u64 = 120;

/// What a program answered.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Itself when the program ended well.
    ///
    /// # Panics
    /// With everything the program printed, when it did not.
    #[track_caller]
    pub fn expect_ok(self, what: &str) -> Outcome {
        assert!(self.status.success(), "{what}: {}\n{}", self.status, self.all_text());
        self
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Everything it printed.
    pub fn all_text(&self) -> String {
        format!("{}{}", self.text(), String::from_utf8_lossy(&self.stderr))
    }
}

/// Where the program `name` is; `None`, and a line that says so, when it is not installed.
///
/// # Panics
/// When it is missing though `SKEIN_TOOLS_REQUIRED` is set: `tools/test.sh` installs all of them, so a gap there is an error.
pub fn find(name: &str) -> Option<PathBuf> {
    let found = search(name);
    if found.is_none() {
        let required = env::var_os("SKEIN_TOOLS_REQUIRED").is_some();
        assert!(!required, "{name} is missing: tools/test.sh installs it");
        println!("skipped: {name} is not installed");
    }
    found
}

/// The Python that has the client libraries: `SKEIN_PYTHON`, else `python3`.
pub fn python() -> Option<PathBuf> {
    match env::var_os("SKEIN_PYTHON") {
        Some(path) => Some(path.into()),
        None => find("python3"),
    }
}

/// True for root, who may mount and start Postfix; else prints a line that `what` is skipped.
pub fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {what} needs root");
    }
    root
}

/// The file `name` among the end-to-end scripts.
pub fn script(name: &str) -> PathBuf {
    workspace().join("tools/e2e").join(name)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("testkit lies two folders down")
}

/// Runs `command` with `input` until it ends.
///
/// # Panics
/// When it cannot start, or runs longer than [`RUN_SECONDS_MAX`] (it is killed then).
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Outcome {
    run_within(RUN_SECONDS_MAX, command, input)
}

/// The same for a program that may take longer, or less.
///
/// # Panics
/// As [`run`], after `seconds`.
#[track_caller]
pub fn run_within(seconds: u64, command: &mut Command, input: &[u8]) -> Outcome {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    let (mut stdin, input) = (child.stdin.take().expect("piped"), input.to_vec());
    // A program that ends before it read all of its input is not an error here.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let limit = Duration::from_secs(seconds);
    let status = wait::find(limit, || child.try_wait().expect("our own child"));
    if status.is_none() {
        child.kill().and_then(|()| child.wait()).expect("our own child");
    }
    let (stdout, stderr) = (stdout.join().expect("reader"), stderr.join().expect("reader"));
    writer.join().expect("writer");
    match status {
        Some(status) => Outcome { status, stdout, stderr },
        None => panic!("{command:?} took over {limit:?}\n{}", String::from_utf8_lossy(&stderr)),
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _a_broken_pipe_ends_it = pipe.read_to_end(&mut all);
        all
    })
}

/// The search path, and the folders of daemons that a plain user's path lacks.
fn search(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|f| f.join(name)).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_a_program() {
        let outcome = run(Command::new("sh").args(["-c", "cat; echo err >&2; exit 3"]), b"in");
        assert_eq!((outcome.status.code(), outcome.all_text()), (Some(3), "inerr\n".into()));
        assert!(search("sh").is_some() && search("no-such-program").is_none());
    }
}
