//! Dates of RFC 5322 §3.3, by arithmetic on days since 1970-01-01 (proleptic Gregorian calendar).

use std::io::Write;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The years 1 to 9999, which have at most the four digits the format knows.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Writes seconds since 1970 as `Mon, 23 Nov 2026 23:34:50 +0000`. Years beyond 1 to 9999 are cut to them.
pub fn write_date(out: &mut Vec<u8>, unix_seconds: i64) {
    let seconds = unix_seconds.clamp(*SECONDS.start(), *SECONDS.end());
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let weekday = DAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(out, "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
        .expect("a Vec takes every write");
}

/// Year, month and day of a day since 1970-01-01 (Hinnant's algorithm: years from March, in eras of 400).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (400 * era + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expectations are GNU date's.
    #[test]
    fn dates() {
        for (seconds, expect) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_795_476_890, "Mon, 23 Nov 2026 23:34:50 +0000"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 +0000"),
            (i64::MIN, "Mon, 1 Jan 0001 00:00:00 +0000"),
        ] {
            let mut out = Vec::new();
            write_date(&mut out, seconds);
            assert_eq!(String::from_utf8(out).unwrap(), expect, "{seconds}");
        }
    }

    /// The calendar the slow way, one day after the other.
    #[test]
    fn a_thousand_years_of_days() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..365_250 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
