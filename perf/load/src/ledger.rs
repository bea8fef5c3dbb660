//! The results ledger: what ran, where, and the figures.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use skein_testkit::program;

use crate::table::Line;

/// Files of the ledger, from the workspace's root: figures for programs, and tables for people.
const FILE: &str = "perf/results/compare.tsv";
const TABLES: &str = "perf/results/tables.txt";

const HEAD: &str = "date\tcommit\tkernel\tcpu\tdisk\tload\tserver\tquestion\tmedian\trounds\n";

/// Appends figures of one run, each with the question it answers.
///
/// # Errors
/// When the ledger can not be written.
pub fn append(rows: &[Row]) -> Result<String, String> {
    let run = run();
    let lines: String = rows.iter().map(|row| format!("{run}\t{}\n", row.line())).collect();
    let is_new = !program::workspace().join(FILE).exists();
    append_text(FILE, &if is_new { HEAD.to_owned() + &lines } else { lines })
}

/// Appends a table.
///
/// # Errors
/// When it can not be written.
pub fn append_table(head: &str, lines: &[Line]) -> Result<String, String> {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    append_text(TABLES, &format!("{head}\n{lines}\n"))
}

fn append_text(name: &str, text: &str) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{name}: {e}");
    let mut file =
        OpenOptions::new().create(true).append(true).open(program::workspace().join(name)).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(name.to_owned())
}

/// When, what and where: date, commit, kernel, processors, disk, load.
pub fn run() -> String {
    [said("date", &["-u", "+%Y-%m-%dT%H:%MZ"]), commit(), said("uname", &["-r"]), cpu(), disk(), load()].join("\t")
}

/// One figure of one server.
pub struct Row {
    /// The server and its version.
    pub server: String,
    /// What was measured, with its unit.
    pub question: String,
    /// The middle of the rounds.
    pub median: f64,
    /// All rounds.
    pub rounds: Vec<f64>,
}

impl Row {
    fn line(&self) -> String {
        let rounds: Vec<String> = self.rounds.iter().map(|r| short(*r)).collect();
        format!("{}\t{}\t{}\t{}", self.server, self.question, short(self.median), rounds.join(" "))
    }
}

/// A number with as many digits as it deserves.
pub fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let dirty = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if dirty { commit + "+" } else { commit }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> =
        info.lines().filter_map(|l| l.strip_prefix("model name")?.split_once(": ")).map(|m| m.1).collect();
    format!("{} x {}", models.len(), models.first().unwrap_or(&"?"))
}

/// The file system and device under the temporary folder, where the servers' data lies.
fn disk() -> String {
    said("sh", &["-c", "df --output=fstype,source \"${TMPDIR:-/tmp}\" | tail -1 | tr -s ' '"])
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(program::workspace()).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        assert_eq!((short(1234.5), short(12.345), short(0.12345)), ("1234".into(), "12.35".into(), "0.1235".into()));
    }
}
