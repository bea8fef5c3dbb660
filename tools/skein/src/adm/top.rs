//! `adm top`: frames as they come, on a screen of their own, or as rows.

use super::output::{Output, Shape, cell, in_two};
use super::{Server, client, fail};
use crate::words;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use serde_json::{Map, Value};
use skein_admin::adm::{Code, Line, Request};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Parts of a screen, in their order; the last one takes the lines that are left.
const PARTS: [&str; 4] = ["shard", "service", "command", "user"];
/// Lines that each of the other parts has at most.
const PART_LINES_MAX: usize = 12;
/// A screen whose terminal tells no size.
const USUAL_SIZE: (usize, usize) = (80, 24);

#[derive(clap::Args)]
pub struct Top {
    /// Seconds from frame to frame.
    #[arg(long, short, default_value_t = 1.0, value_name = "SECONDS")]
    interval: f64,
    /// One frame, then done.
    #[arg(long)]
    once: bool,
}

/// What a frame is made of.
type Rows = Vec<Map<String, Value>>;

impl Top {
    pub fn run(self, server: &Server) -> ExitCode {
        // What is no number becomes 0, which the server refuses.
        let every_ms = (self.interval * 1000.0).round() as u64;
        let request = Request::Top { every_ms, frames: u64::from(self.once) };
        let live = !server.json && !self.once && io::stdout().is_terminal();
        if server.json {
            return server.ask(&request, Shape::Table);
        }
        let mut screen = match live.then(Screen::begin).transpose() {
            Ok(screen) => screen,
            Err(error) => return fail(Code::Software, &format!("the terminal: {error}")),
        };
        let (mut rows, mut worst) = (Rows::new(), None);
        let asked = client::lines(&server.socket, &request, &mut |line| match line {
            Line::Row(row) if row.get("what").and_then(Value::as_str) == Some("frame") => {
                let rows = std::mem::take(&mut rows);
                match &mut screen {
                    Some(screen) => screen.draw(&server.socket.display().to_string(), &rows),
                    None => print(&rows),
                }
            }
            Line::Row(row) => {
                rows.push(row);
                Ok(())
            }
            Line::Problem(problem) => {
                worst = worst.take().or(Some(problem));
                Ok(())
            }
            Line::End => Ok(()),
        });
        drop(screen);
        match (asked, worst) {
            (Err(error), _) => fail(error.code(), &error.to_string()),
            (Ok(()), Some(problem)) => fail(problem.code, &problem.text),
            (Ok(()), None) => ExitCode::SUCCESS,
        }
    }
}

/// A frame in plain tables, one part below the other.
fn print(rows: &Rows) -> io::Result<()> {
    for part in PARTS {
        let mut rows = part_of(rows, part).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let mut output = Output::new(false, Shape::Table);
        rows.try_for_each(|row| output.row(row))?;
        output.flush()?;
        drop(output);
        words::line("")?;
    }
    Ok(())
}

/// The rows of a part, without the word that says so.
fn part_of<'a>(rows: &'a Rows, part: &'a str) -> impl Iterator<Item = Map<String, Value>> + 'a {
    let of_it = rows.iter().filter(move |row| row.get("what").and_then(Value::as_str) == Some(part));
    of_it.map(|row| {
        row.iter().filter(|(name, _)| *name != "what").map(|(name, value)| (name.clone(), value.clone())).collect()
    })
}

/// How the terminal was before, while there is a screen on it. Whoever takes it out restores it: the screen's end, or a signal.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A screen beside the one with the shell's lines, which comes back when this goes.
struct Screen;

impl Screen {
    fn begin() -> io::Result<Screen> {
        let before = termios::tcgetattr(io::stdin()).ok();
        watch_signals()?;
        if let Some(before) = &before {
            let mut quiet = before.clone();
            // Keys are taken one by one and not shown; ^C stays a signal.
            quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            termios::tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
            thread::spawn(watch_keys);
        }
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = before;
        io::stdout().write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(Screen)
    }

    fn draw(&mut self, server: &str, rows: &Rows) -> io::Result<()> {
        let size = termios::tcgetwinsize(io::stdout()).map(|size| (size.ws_col.into(), size.ws_row.into()));
        let size = size.ok().filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or(USUAL_SIZE);
        let mut out = String::from("\x1b[H");
        for line in lines(server, rows, size) {
            // The rest of what stood there goes.
            _ = write!(out, "{line}\x1b[K\r\n");
        }
        // Not past the last line, which would scroll.
        out.truncate(out.len() - 2);
        out.push_str("\x1b[J");
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// The terminal as it was.
fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Nothing can be done about a terminal that is gone.
    _ = io::stdout().write_all(b"\x1b[?7h\x1b[?25h\x1b[?1049l");
    _ = io::stdout().flush();
    if let Some(before) = before {
        _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

fn leave(code: u8) -> ! {
    restore();
    std::process::exit(code.into())
}

/// ^C is how one ends this; any other signal ends it too, and is told as shells tell it.
fn watch_signals() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (interrupt, terminate, hang_up) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    thread::spawn(move || {
        let (mut interrupt, mut terminate, mut hang_up) = (interrupt, terminate, hang_up);
        let ended = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 0,
                _ = terminate.recv() => 128 + 15,
                _ = hang_up.recv() => 128 + 1,
            }
        });
        leave(ended)
    });
    Ok(())
}

/// q ends it.
fn watch_keys() {
    let mut key = [0];
    while io::stdin().read(&mut key).is_ok_and(|n| n == 1) {
        if matches!(key[0], b'q' | b'Q') {
            leave(0);
        }
    }
}

/// The frame in as many lines and columns as there are.
fn lines(server: &str, rows: &Rows, (columns, height): (usize, usize)) -> Vec<String> {
    let mut out = vec![cut(&format!("skein top: {server}   q or ^C ends it"), columns)];
    for part in PARTS {
        let rows: Vec<_> = part_of(rows, part).collect();
        if rows.is_empty() {
            continue;
        }
        out.push(String::new());
        let (headings, lines) = table(&rows, columns);
        out.extend(headings.iter().map(|heading| format!("\x1b[7m{}\x1b[0m", cut(heading, columns))));
        let most = if part == "user" { usize::MAX } else { PART_LINES_MAX };
        out.extend(lines.iter().take(most).map(|line| cut(line, columns)));
    }
    out.truncate(height);
    out
}

/// A heading and a line for each row, columns below each other. Where they have no room the heading takes two lines, and the columns stand closer.
fn table(rows: &[Map<String, Value>], columns: usize) -> (Vec<String>, Vec<String>) {
    let names: Vec<String> = rows[0].keys().map(|name| name.to_uppercase()).collect();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.values().map(human).collect()).collect();
    let widths = |headings: &[Vec<String>]| -> Vec<usize> {
        let width = |at: usize| cells.iter().chain(headings).map(|row| row[at].chars().count()).max();
        (0..names.len()).map(|at| width(at).unwrap_or(0)).collect()
    };
    let has_room =
        |widths: &[usize], gap: usize| widths.iter().map(|width| width + gap).sum::<usize>() <= columns + gap;
    let mut headings = vec![names.clone()];
    if !has_room(&widths(&headings), 2) {
        let (above, below) = names.iter().map(|name| in_two(name)).unzip();
        headings = vec![above, below];
    }
    let widths = widths(&headings);
    let gap = if has_room(&widths, 2) { "  " } else { " " };
    // Numbers to the right, as the heading above them.
    let right: Vec<bool> = rows[0].values().map(|value| !value.is_string()).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(widths.iter().zip(&right)).map(|(cell, (width, right))| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join(gap)
    };
    (headings.iter().map(line).collect(), cells.iter().map(line).collect())
}

/// Large numbers by 1024 or 1000, as the eye takes them.
fn human(value: &Value) -> String {
    let Some(number) = value.as_f64().filter(|number| *number >= 10_000.0) else { return cell(value) };
    let units = ["k", "M", "G", "T", "P"];
    let mut shown = number;
    let mut unit = "";
    for next in units {
        if shown < 10_000.0 {
            break;
        }
        (shown, unit) = (shown / 1000.0, next);
    }
    format!("{shown:.0}{unit}")
}

/// What has no room goes, and something says so.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['>']).take(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(values: &[Value]) -> Rows {
        values.iter().map(|value| value.as_object().unwrap().clone()).collect()
    }

    #[test]
    fn a_screen_is_never_larger_than_the_terminal() {
        let mut all = vec![json!({"what": "shard", "shard": 0, "queue": 123_456})];
        all.extend((0..100).map(|n| json!({"what": "user", "user": format!("user{n}"), "commands_per_s": n})));
        let all = rows(&all);
        for size in [(80, 24), (10, 5), (1, 1), (300, 200)] {
            let lines = lines("socket", &all, size);
            assert!(lines.len() <= size.1, "{size:?}");
            let plain = lines.iter().map(|line| line.replace("\x1b[7m", "").replace("\x1b[0m", ""));
            plain.for_each(|line| assert!(line.chars().count() <= size.0, "{size:?} {line}"));
        }
        let tall = lines("socket", &all, (80, 24));
        assert_eq!(tall[2], "\x1b[7mSHARD  QUEUE\x1b[0m");
        assert_eq!(tall[3], "    0   123k");
        assert_eq!(tall[6], "user0                0");
    }

    #[test]
    fn a_wide_table_fits_a_usual_terminal() {
        let shard = json!({
            "shard": 0, "answers": true, "late_ms_max": 10.0, "queue": 0, "sessions": 23, "accounts_open": 23, "memory_bytes": 95_000,
            "changes_per_s": 56.2, "syncs_per_s": 32.6, "log_kept_bytes": 28_424,
        });
        let rows = rows(&[shard]);
        let (headings, lines) = table(&rows, 200);
        assert_eq!((headings.len(), lines.len()), (1, 1));
        assert!(headings[0].contains("  CHANGES_PER_S  SYNCS_PER_S  LOG_KEPT_BYTES"));
        let (headings, lines) = table(&rows, 80);
        assert_eq!(
            [&headings[0], &headings[1], &lines[0]],
            [
                "                LATE                ACCOUNTS MEMORY CHANGES SYNCS LOG_KEPT",
                "SHARD ANSWERS MS_MAX QUEUE SESSIONS     OPEN  BYTES   PER_S PER_S    BYTES",
                "    0     yes   10.0     0       23       23    95k    56.2  32.6      28k",
            ]
        );
        assert_eq!(cut(&lines[0], 12), "    0     y>");
    }

    #[test]
    fn numbers_are_short() {
        for (number, expect) in [(0.5, "0.5"), (9999.0, "9999.0"), (12_345.0, "12k"), (5e9, "5000M"), (2e10, "20G")] {
            assert_eq!(human(&json!(number)), expect);
        }
        assert_eq!(human(&json!("evil\u{1b}[2J")), "evil\u{fffd}[2J");
    }
}
