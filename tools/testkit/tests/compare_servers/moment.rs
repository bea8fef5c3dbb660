//! Dates of arrival: the same moment may be told in any zone, and now is never the same twice.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds within which a moment counts as now.
const NOW_SECONDS: i64 = 3600;

/// `"17-Jul-1996 02:44:25 -0700"` as seconds since 1970, `now`, or as it is when it is no date.
pub fn normal(quoted: &str) -> String {
    let Some(seconds) = parse(quoted.trim_matches('"')) else { return quoted.to_owned() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
    if (now - seconds).abs() < NOW_SECONDS { "now".into() } else { seconds.to_string() }
}

fn parse(date: &str) -> Option<i64> {
    let words: Vec<&str> = date.trim_start().split(' ').collect();
    let [day, clock, zone] = words[..] else { return None };
    let parts: Vec<&str> = day.split('-').collect();
    let [day, month, year] = parts[..] else { return None };
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? as i64 + 1;
    let clock: Vec<i64> = clock.split(':').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    let zone: i64 = zone.parse().ok()?;
    let zone_seconds = (zone / 100 * 60 + zone % 100) * 60;
    let days = days(year.parse().ok()?, month, day.parse().ok()?);
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds)
}

/// Days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[test]
fn zones_do_not_matter() {
    assert_eq!(normal("\"01-Jan-1970 01:00:00 +0100\""), "0");
    assert_eq!(normal("\"17-Jul-1996 02:44:25 -0700\""), normal("\"17-Jul-1996 09:44:25 +0000\""));
}
