//! Metrics that nobody counts: read where they are kept, whenever the text is made.

use std::fmt::Write;
use std::sync::PoisonError;

use super::{About, Entry, REGISTRY};

/// What kind of number a collector tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It only rises, but for a restart of what it counts.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Always 1; the labels are what is told. The text adds `_info` to the name.
    Info,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Info => "info",
        }
    }
}

/// Takes the samples of one collector. Keep them few: the labels' values must come from a short list.
pub struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: Kind,
    left: usize,
}

/// Samples of one collector; a list that grows by mistake must not bury the scraper.
const SAMPLES_MAX: usize = 4096;

impl Samples<'_> {
    /// One sample. More than 4096 of one metric are left out.
    pub fn put(&mut self, labels: &[(&str, &str)], value: f64) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Gauge => "",
            Kind::Info => "_info",
        };
        // Writing to a String does not fail.
        _ = write!(self.text, "{}{suffix}{{", self.name);
        for (i, (label, value)) in labels.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            _ = write!(self.text, "{comma}{label}=\"{}\"", Escaped(value));
        }
        _ = writeln!(self.text, "}} {value}");
    }
}

/// A label's value as OpenMetrics wants it (§ "escaped-string").
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' => f.write_str("\\\""),
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

type Read = Box<dyn Fn(&mut Samples<'_>) + Send + Sync>;

pub(super) struct Collector {
    pub about: About,
    pub kind: Kind,
    read: Read,
}

impl Collector {
    pub fn samples(&self, text: &mut String) {
        (self.read)(&mut Samples { text, name: self.about.name, kind: self.kind, left: SAMPLES_MAX });
    }
}

/// Shows what `read` tells, under `name` (without `_total` or `_info`). It is called on the thread that makes the text, so it
/// must be quick. A later collector of the same name takes its place. Once for each metric and process: the collector stays.
pub fn collect(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: impl Fn(&mut Samples<'_>) + Send + Sync + 'static,
) {
    let about = About { name, help, labels: &[] };
    let collector: &'static Collector = Box::leak(Box::new(Collector { about, kind, read: Box::new(read) }));
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    registry.retain(|entry| !matches!(entry, Entry::Collector(old) if old.about.name == name));
    registry.push(Entry::Collector(collector));
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::*;

    #[test]
    fn what_is_read_is_escaped_and_replaced() {
        collect("test_read", "Read.", Kind::Counter, |samples| samples.put(&[], 1.0));
        collect("test_read", "Read.", Kind::Counter, |samples| {
            samples.put(&[("source", "a\"b\\c\nd"), ("x", "")], 2.5)
        });
        collect("test_build", "Build.", Kind::Info, |samples| samples.put(&[("version", "1")], 1.0));
        let text = render();
        assert!(text.contains("# TYPE test_read counter\n# HELP test_read Read.\n"), "{text}");
        assert!(text.contains("test_read_total{source=\"a\\\"b\\\\c\\nd\",x=\"\"} 2.5\n"), "{text}");
        assert!(
            text.contains("# TYPE test_build info\n") && text.contains("test_build_info{version=\"1\"} 1\n"),
            "{text}"
        );
        assert_eq!(text.matches("test_read_total").count(), 1);
    }

    #[test]
    fn a_list_that_grows_is_cut() {
        collect("test_many", "Many.", Kind::Gauge, |samples| {
            (0..SAMPLES_MAX + 5).for_each(|i| samples.put(&[("i", &i.to_string())], 0.0));
        });
        assert_eq!(render().matches("test_many{").count(), SAMPLES_MAX);
    }
}
