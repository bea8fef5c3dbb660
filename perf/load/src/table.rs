//! The table: what was measured on both sides, how many times better one is, and whether that is what was wanted.

use std::fmt;

use crate::ledger::short;

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// So many times better than the peer.
    Times(f64),
    /// Not more than this, whatever the peer's is.
    AtMost(f64),
    /// Nothing: it is there to be looked at.
    None,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured, with its unit.
    pub question: String,
    /// Ours: all rounds.
    pub ours: Vec<f64>,
    /// The peer's.
    pub peer: Vec<f64>,
    /// What is wanted.
    pub target: Target,
}

impl Line {
    /// How many times better ours is: more of what comes in a second, less of everything else.
    pub fn times(&self) -> Option<f64> {
        if self.ours.is_empty() || self.peer.is_empty() {
            return None;
        }
        let (ours, peer) = (median(&self.ours), median(&self.peer));
        let (above, below) = if self.question.ends_with("/s") { (ours, peer) } else { (peer, ours) };
        (above > 0.0 && below > 0.0).then_some(above / below)
    }

    /// Whether the target is met; `None` when there is none, or nothing to hold it against.
    pub fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::Times(wanted) => self.times().map(|times| times >= wanted),
            Target::AtMost(most) => (!self.ours.is_empty()).then(|| median(&self.ours) <= most),
            Target::None => None,
        }
    }
}

/// The names of the columns, and what is drawn below them.
pub fn head(ours: &str, peer: &str) -> String {
    let names = row("median of the rounds", ours, peer, "better", "target", "verdict");
    format!("{names}\n{}", "-".repeat(names.chars().count()))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |rounds: &[f64]| if rounds.is_empty() { "-".to_owned() } else { short(median(rounds)) };
        let times = self.times().map_or("-".to_owned(), |times| format!("{} x", short(times)));
        let target = match self.target {
            Target::Times(times) => format!("{times} x"),
            Target::AtMost(most) => format!("<= {most}"),
            Target::None => String::new(),
        };
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        f.write_str(row(&self.question, &of(&self.ours), &of(&self.peer), &times, &target, verdict).trim_end())
    }
}

fn row(question: &str, ours: &str, peer: &str, times: &str, target: &str, verdict: &str) -> String {
    format!("{question:<72}{ours:>12}{peer:>18}{times:>12}{target:>10}  {verdict:<7}")
}

/// The middle of `values`, of which there is at least one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(question: &str, ours: &[f64], peer: &[f64], target: Target) -> Line {
        Line { question: question.into(), ours: ours.into(), peer: peer.into(), target }
    }

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }

    #[test]
    fn better_is_more_a_second_or_less_of_all_else() {
        let rate = line("messages/s", &[20.0, 10.0, 90.0], &[10.0], Target::Times(2.0));
        assert_eq!((rate.times(), rate.is_met()), (Some(2.0), Some(true)));
        let cost = line("server CPU us/message", &[20.0], &[10.0], Target::Times(1.0));
        assert_eq!((cost.times(), cost.is_met()), (Some(0.5), Some(false)));
    }

    #[test]
    fn what_can_not_be_said_is_not_said() {
        let alone = line("ms", &[1.0], &[], Target::Times(2.0));
        assert_eq!((alone.times(), alone.is_met()), (None, None));
        let nothing_used = line("ms", &[0.0], &[5.0], Target::Times(2.0));
        assert_eq!((nothing_used.times(), nothing_used.is_met()), (None, None));
        assert_eq!(line("ms", &[1.0], &[], Target::AtMost(1.0)).is_met(), Some(true));
        assert_eq!(line("ms", &[1.1], &[9.0], Target::AtMost(1.0)).is_met(), Some(false));
        assert_eq!(line("ms", &[1.0], &[1.0], Target::None).is_met(), None);
    }

    #[test]
    fn lines_are_as_wide_as_their_head() {
        let head = head("skein", "dovecot 2.3.19.1");
        let line = line("FETCH: ms", &[1.5], &[12.0], Target::Times(8.0)).to_string();
        assert_eq!(
            line.split_ascii_whitespace().collect::<Vec<_>>(),
            ["FETCH:", "ms", "1.50", "12.00", "8.00", "x", "8", "x", "met"]
        );
        assert!(line.len() <= head.lines().next().map_or(0, str::len));
    }
}
