//! Rows for a human or a program.

use crate::words;
use base64::Engine;
use rustix::termios;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal, Write};

/// Rows that decide how wide a table's columns are; later ones may stand out. So long answers flow.
const TABLE_ROWS: usize = 1000;

/// How rows look for a human.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Columns under a heading.
    Table,
    /// `name: value` lines, an empty line between rows.
    Records,
}

/// Where rows go.
pub struct Output {
    out: io::BufWriter<words::Stdout>,
    json: bool,
    shape: Shape,
    styled: bool,
    /// Columns of the terminal; none where it is no terminal.
    room: Option<usize>,
    waiting: Vec<Map<String, Value>>,
    widths: Vec<usize>,
    rows: usize,
}

impl Output {
    pub fn new(json: bool, shape: Shape) -> Output {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        let styled = is_terminal && !no_color;
        let size = termios::tcgetwinsize(io::stdout()).ok().filter(|size| is_terminal && size.ws_col > 0);
        let room = size.map(|size| size.ws_col.into());
        let out = io::BufWriter::new(words::Stdout::lock());
        Output { out, json, shape, styled, room, waiting: Vec::new(), widths: Vec::new(), rows: 0 }
    }

    /// Takes a row; it is printed now or with those that stand beside it.
    pub fn row(&mut self, row: Map<String, Value>) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.out, &row)?;
            return self.out.write_all(b"\n");
        }
        match self.shape {
            Shape::Records => self.record(&row),
            Shape::Table if self.widths.is_empty() => {
                self.waiting.push(row);
                if self.waiting.len() == TABLE_ROWS { self.table() } else { Ok(()) }
            }
            Shape::Table => self.cells(&row),
        }
    }

    /// Prints what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        self.table()?;
        self.out.flush()
    }

    fn record(&mut self, row: &Map<String, Value>) -> io::Result<()> {
        if self.rows > 0 {
            self.out.write_all(b"\n")?;
        }
        self.rows += 1;
        for (name, value) in row {
            let colour = colour(name, value).filter(|_| self.styled);
            let (name, value) = (self.heading(name), raw(value));
            let value = match colour {
                Some(colour) => in_style(colour, &String::from_utf8_lossy(&value)).into_bytes(),
                None => value,
            };
            let apart: &[u8] = if value.contains(&b'\n') { b":\n" } else { b": " };
            self.out.write_all(name.as_bytes())?;
            self.out.write_all(apart)?;
            self.out.write_all(&value)?;
            if !value.ends_with(b"\n") {
                self.out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn table(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        let Some(first) = rows.first() else { return Ok(()) };
        let names: Vec<String> = first.keys().cloned().collect();
        let widest = |name: &String| {
            rows.iter().filter_map(|row| row.get(name)).map(|value| cell(value).chars().count()).max().unwrap_or(0)
        };
        let cells: Vec<usize> = names.iter().map(widest).collect();
        let upper: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        let (headings, widths) = headings(&upper, &cells, self.room);
        self.widths = widths;
        let numbers: Vec<bool> = names.iter().map(|name| first.get(name).is_some_and(Value::is_number)).collect();
        for heading in headings {
            let line = self.heading(&aligned(&heading, &self.widths, &numbers, |_| None));
            writeln!(self.out, "{line}")?;
        }
        rows.iter().try_for_each(|row| self.cells(row))
    }

    fn cells(&mut self, row: &Map<String, Value>) -> io::Result<()> {
        let cells: Vec<String> = row.values().map(cell).collect();
        let numbers: Vec<bool> = row.values().map(Value::is_number).collect();
        let line = aligned(&cells, &self.widths, &numbers, |at| {
            row.iter().nth(at).filter(|_| self.styled).and_then(|(name, value)| colour(name, value))
        });
        writeln!(self.out, "{line}")
    }

    fn heading(&self, text: &str) -> String {
        if self.styled { in_style("1", text) } else { text.to_owned() }
    }
}

const RED: &str = "31";
const YELLOW: &str = "33";

/// What an operator looks for: damage, failures and refusals in red, warnings in yellow.
fn colour(name: &str, value: &Value) -> Option<&'static str> {
    match (name, value.as_str()) {
        ("level", Some("error")) | ("result", Some("refused")) => Some(RED),
        ("level", Some("warn")) => Some(YELLOW),
        ("findings" | "failed" | "refused", None) => value.as_u64().filter(|count| *count > 0).map(|_| RED),
        _ => None,
    }
}

/// The lines of a table's heading, and how wide each column is. Where one line has no room on the terminal, two may.
fn headings(names: &[String], cells: &[usize], room: Option<usize>) -> (Vec<Vec<String>>, Vec<usize>) {
    let widths = |lines: &[Vec<String>]| -> Vec<usize> {
        let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).chain([cells[at]]).max();
        (0..names.len()).map(|at| width(at).unwrap_or(0)).collect()
    };
    let one = vec![names.to_vec()];
    let wide = widths(&one);
    let columns = wide.iter().map(|width| width + 2).sum::<usize>().saturating_sub(2);
    if room.is_none_or(|room| columns <= room) {
        return (one, wide);
    }
    let (above, below) = names.iter().map(|name| in_two(name)).unzip();
    let two = vec![above, below];
    let narrow = widths(&two);
    (two, narrow)
}

/// `CHANGES_PER_S` as `CHANGES` above `PER_S`, so that the longer part is as short as can be; what is one word stands below.
pub(super) fn in_two(name: &str) -> (String, String) {
    let halves = name.match_indices('_').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let (above, below) = halves.min_by_key(|(above, below)| above.len().max(below.len())).unwrap_or(("", name));
    (above.to_owned(), below.to_owned())
}

fn in_style(style: &str, text: &str) -> String {
    format!("\x1b[{style}m{text}\x1b[0m")
}

fn aligned(
    cells: &[String],
    widths: &[usize],
    numbers: &[bool],
    colour: impl Fn(usize) -> Option<&'static str>,
) -> String {
    let mut line = String::new();
    for (i, cell) in cells.iter().enumerate() {
        let room = widths.get(i).copied().unwrap_or(0).saturating_sub(cell.chars().count());
        if i > 0 {
            line.push_str("  ");
        }
        let (before, after) = if numbers.get(i) == Some(&true) { (room, 0) } else { (0, room) };
        line.extend(std::iter::repeat_n(' ', before));
        match colour(i) {
            Some(colour) => line.push_str(&in_style(colour, cell)),
            None => line.push_str(cell),
        }
        line.extend(std::iter::repeat_n(' ', after));
    }
    line.truncate(line.trim_end().len());
    line
}

/// One line, with nothing that a terminal would obey: names are the users' own.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The bytes of a value: messages go out as they are stored.
fn raw(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(object) => {
            let encoded = object.get("base64").and_then(Value::as_str).unwrap_or_default();
            base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default()
        }
        other => cell(other).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let line =
            |cells: [&str; 2], numbers: [bool; 2]| aligned(&cells.map(str::to_owned), &[5, 4], &numbers, |_| None);
        assert_eq!(line(["NAME", "SIZE"], [false, true]), "NAME   SIZE");
        assert_eq!(line(["a", "7"], [false, true]), "a         7");
        assert_eq!(line(["a", "b"], [false, false]), "a      b");
    }

    #[test]
    fn a_wide_heading_takes_two_lines() {
        let names = ["SHARD", "LOG_KEPT_BYTES", "SNAPSHOTS_WRITTEN"].map(str::to_owned);
        let (one, widths) = headings(&names, &[1, 7, 2], None);
        assert_eq!((one.len(), &widths[..]), (1, &[5, 14, 17][..]));
        assert_eq!(headings(&names, &[1, 7, 2], Some(40)), (one, widths));
        let (two, widths) = headings(&names, &[1, 7, 2], Some(39));
        assert_eq!(two, [["", "LOG_KEPT", "SNAPSHOTS"], ["SHARD", "BYTES", "WRITTEN"]]);
        assert_eq!(widths, [5, 8, 9]);
    }

    #[test]
    fn what_is_looked_for_has_a_colour_and_its_column() {
        let cells = ["anna", "3", "error"].map(str::to_owned);
        let row = [("user", "anna".into()), ("findings", 3.into()), ("level", Value::from("error"))];
        let line = aligned(&cells, &[6, 8, 5], &[false, true, false], |at| colour(row[at].0, &row[at].1));
        assert_eq!(line, "anna           \x1b[31m3\x1b[0m  \x1b[31merror\x1b[0m");
        assert_eq!(line.replace("\x1b[31m", "").replace("\x1b[0m", ""), "anna           3  error");
        for (name, value, expect) in [
            ("findings", 0.into(), None),
            ("level", Value::from("warn"), Some(YELLOW)),
            ("result", "accepted".into(), None),
            ("result", "refused".into(), Some(RED)),
            ("messages", 3.into(), None),
        ] {
            assert_eq!(colour(name, &value), expect, "{name} {value}");
        }
    }

    #[test]
    fn a_terminal_obeys_no_name() {
        assert_eq!(cell(&Value::from("a\x1b[2Jb")), "a\u{fffd}[2Jb");
        assert_eq!(raw(&serde_json::json!({"base64": "/w=="})), b"\xff");
    }
}
