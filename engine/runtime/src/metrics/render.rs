//! OpenMetrics 1.0 text.

use std::fmt::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::{About, Entry, REGISTRY, Rows};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics in use, as OpenMetrics text: one line per shard and one for other threads when they counted anything.
pub fn render() -> String {
    let mut entries = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    entries.sort_by_key(|entry| (entry.about().name, entry.about().labels));
    let mut text = String::with_capacity(4096);
    let mut family = "";
    for entry in entries {
        let about = entry.about();
        if family != about.name {
            family = about.name;
            // Writing to a String does not fail.
            _ = writeln!(text, "# TYPE {family} {}\n# HELP {family} {}", entry.kind(), about.help);
        }
        entry.samples(&mut text);
    }
    text.push_str("# EOF\n");
    text
}

impl Entry {
    fn about(&self) -> &'static About {
        match self {
            Entry::Counter(metric) => &metric.about,
            Entry::Gauge(metric) => &metric.about,
            Entry::Histogram(metric) => &metric.about,
            Entry::Collector(metric) => &metric.about,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Entry::Counter(_) => "counter",
            Entry::Gauge(_) => "gauge",
            Entry::Histogram(_) => "histogram",
            Entry::Collector(metric) => metric.kind.word(),
        }
    }

    fn samples(&self, text: &mut String) {
        let rows = match self {
            Entry::Counter(metric) => metric.rows(),
            Entry::Gauge(metric) => metric.rows(),
            Entry::Histogram(metric) => metric.rows(),
            Entry::Collector(metric) => return metric.samples(text),
        };
        self.rows(rows, text);
    }

    fn rows(&self, rows: &Rows, text: &mut String) {
        let about = self.about();
        for row in 0..rows.count() {
            let foreign = row + 1 == rows.count();
            let cells: Vec<u64> = (0..rows.stride).map(|column| rows.cell(row, column).load(Relaxed)).collect();
            if foreign && rows.count() > 1 && cells.iter().all(|cell| *cell == 0) {
                continue;
            }
            let labels = labels(about, if foreign { None } else { Some(row) });
            let name = about.name;
            _ = match self {
                Entry::Counter(_) => writeln!(text, "{name}_total{{{labels}}} {}", cells[0]),
                Entry::Gauge(_) => writeln!(text, "{name}{{{labels}}} {}", cells[0].cast_signed()),
                Entry::Histogram(metric) => {
                    buckets(text, name, &labels, metric.bounds, metric.scale, &cells);
                    Ok(())
                }
                Entry::Collector(_) => Ok(()),
            };
        }
    }
}

fn labels(about: &About, shard: Option<usize>) -> String {
    let mut text = match shard {
        Some(shard) => format!("shard=\"{shard}\""),
        None => "shard=\"other\"".to_owned(),
    };
    about.labels.iter().for_each(|(name, value)| _ = write!(text, ",{name}=\"{value}\""));
    text
}

fn buckets(text: &mut String, name: &str, labels: &str, bounds: &[u64], scale: f64, cells: &[u64]) {
    let mut below = 0;
    for (bound, count) in bounds.iter().zip(cells) {
        below += count;
        _ = writeln!(text, "{name}_bucket{{{labels},le=\"{}\"}} {below}", rounded(*bound as f64 * scale));
    }
    below += cells[bounds.len()];
    let sum = rounded(cells[bounds.len() + 1] as f64 * scale);
    _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {below}");
    _ = writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {below}");
}

/// Nine digits after the point: 100 × 1e-6 shows as 0.0001 and not as 0.00009999999999999999.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::{Counter, Gauge, Histogram};
    use super::*;

    static SEEN: Counter = Counter::labelled("test_seen", "Seen.", &[("protocol", "imap")]);
    static OPEN: Gauge = Gauge::new("test_open", "Open.");
    static TOOK: Histogram = Histogram::new("test_took_seconds", "Took.", &[100, 1000], 1e-6);

    #[test]
    fn the_text_is_openmetrics() {
        SEEN.add(2);
        OPEN.add(5);
        OPEN.add(-7);
        [50, 100, 101, 5000].into_iter().for_each(|value| TOOK.observe(value));
        let text = render();
        for line in [
            "# TYPE test_seen counter\n# HELP test_seen Seen.\n",
            "test_seen_total{shard=\"other\",protocol=\"imap\"} 2\n",
            "test_open{shard=\"other\"} -2\n",
            "test_took_seconds_bucket{shard=\"other\",le=\"0.0001\"} 2\n",
            "test_took_seconds_bucket{shard=\"other\",le=\"0.001\"} 3\n",
            "test_took_seconds_bucket{shard=\"other\",le=\"+Inf\"} 4\n",
            "test_took_seconds_sum{shard=\"other\"} 0.005251\n",
            "test_took_seconds_count{shard=\"other\"} 4\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        assert_eq!((SEEN.total(), OPEN.total(), TOOK.count()), (2, -2, 4));
    }

    #[test]
    fn threads_lose_no_count() {
        static BUSY: Counter = Counter::new("test_busy", "Busy.");
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| (0..10_000).for_each(|_| BUSY.add(1)))));
        });
        assert_eq!(BUSY.total(), 40_000);
    }
}
