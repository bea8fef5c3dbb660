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

/// Whether a header has one Date field, and that is a date that can not be read in two ways (RFC 5322 §3.3, and two-digit years).
pub fn is_plain_field(header: &str) -> bool {
    let header = header.trim_end().to_ascii_lowercase();
    let Some(value) = header.strip_prefix("date:").filter(|value| !value.contains("\ndate:")) else { return false };
    let value = value.split('(').next().unwrap_or_default();
    let mut words: Vec<&str> = value.split_ascii_whitespace().collect();
    let is_weekday = |word: &&&str| word.strip_suffix(',').is_some_and(|day| day.len() == 3);
    if words.first().filter(is_weekday).is_some() {
        words.remove(0);
    }
    let [day, month, year, clock, zone] = words[..] else { return false };
    let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.bytes().all(|b| b.is_ascii_digit()));
    let in_range = |n: Option<u32>, from, to| n.is_some_and(|n| (from..=to).contains(&n));
    let clock: Vec<Option<u32>> = clock.split(':').map(number).collect();
    day.len() <= 2
        && in_range(number(day), 1, 31)
        && MONTHS.iter().any(|m| m.eq_ignore_ascii_case(month))
        && (year.len() == 2 || in_range(number(year), 1971, 2037))
        && (clock.len() == 2 || clock.len() == 3)
        && in_range(clock[0], 0, 23)
        && clock[1..].iter().all(|part| in_range(*part, 0, 60))
        && (zone.strip_prefix(['+', '-']).and_then(number).is_some() || ["gmt", "ut", "est"].contains(&zone))
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

#[test]
fn broken_dates_are_not_plain() {
    for plain in ["Date: Mon, 29 Apr 2019 23:34:45 -0800 (PST)", "date: 1 Jan 05 10:00 GMT"] {
        assert!(is_plain_field(plain), "{plain}");
    }
    for odd in [
        "Date: Mon, 029 Apr 2019 23:34:45 -0800",
        "Date: Mon, 29 Apr 1969 23:34:45 -0800",
        "Date: 32 Jan 2005 10:00 GMT",
    ] {
        assert!(!is_plain_field(odd), "{odd}");
    }
}
