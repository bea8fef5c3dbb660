//! `skein adm` against a server under test.

use crate::program::{self, Outcome};
use crate::{Server, server};
use std::process::Command;

/// Runs `skein adm` with the words of `line`; `'…'` holds a word together.
#[track_caller]
pub fn run(server: &Server, line: &str, input: &[u8]) -> Outcome {
    let mut command = Command::new(server::skein_binary());
    command.arg("adm").arg("--config").arg(server.folder().join("skein.toml"));
    command.args(line.split('\'').enumerate().flat_map(|(i, part)| match i % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    }));
    program::run(&mut command, input)
}

/// What it prints when all is well.
#[track_caller]
pub fn good(server: &Server, line: &str) -> String {
    run(server, line, b"").expect_ok(line).text()
}

/// Its exit code and what it says.
#[track_caller]
pub fn bad(server: &Server, line: &str) -> (Option<i32>, String) {
    let outcome = run(server, line, b"");
    (outcome.status.code(), outcome.all_text())
}
