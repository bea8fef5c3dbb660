//! Dates as IMAP writes them, by arithmetic on days since 1970-01-01 (proleptic Gregorian calendar).

use super::Day;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// First and last second of the years that have four digits.
const SECONDS_MIN: i64 = -62_167_219_200;
const SECONDS_MAX: i64 = 253_402_300_799;

/// Writes seconds since 1970 as `17-Jul-1996 02:44:25 +0000`, without quotes. Years beyond four digits are cut.
pub fn write_date_time(out: &mut Vec<u8>, unix_seconds: i64) {
    let seconds = unix_seconds.clamp(SECONDS_MIN, SECONDS_MAX);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let mut text = *b"DD-Mmm-YYYY hh:mm:ss +0000";
    two(&mut text, 0, day);
    text[3..6].copy_from_slice(MONTHS[month as usize - 1]);
    two(&mut text, 7, year / 100);
    two(&mut text, 9, year % 100);
    two(&mut text, 12, second / 3600);
    two(&mut text, 15, second / 60 % 60);
    two(&mut text, 18, second % 60);
    out.extend_from_slice(&text);
}

fn two(text: &mut [u8], at: usize, n: i64) {
    text[at] = b'0' + (n / 10) as u8;
    text[at + 1] = b'0' + (n % 10) as u8;
}

/// Reads `17-Jul-1996 02:44:25 -0700` (RFC 3501 §9 `date-time` without its quotes) as seconds since 1970.
pub(crate) fn read_date_time(text: &[u8]) -> Option<i64> {
    let text: &[u8; 26] = text.try_into().ok()?;
    let punctuation = [(2, b'-'), (6, b'-'), (11, b' '), (14, b':'), (17, b':'), (20, b' ')];
    if punctuation.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let day_text = if text[0] == b' ' { &text[1..2] } else { &text[..2] };
    let days = days(digits(&text[7..11])?, month(&text[3..6])?, digits(day_text)?)?;
    let (hour, minute, second) = (digits(&text[12..14])?, digits(&text[15..17])?, digits(&text[18..20])?);
    let (zone_hour, zone_minute) = (digits(&text[22..24])?, digits(&text[24..26])?);
    let sign = match text[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 || zone_minute > 59 {
        return None;
    }
    let local = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(local - sign * (zone_hour * 3600 + zone_minute * 60))
}

/// Reads `1996-12-19T16:39:57.52-08:00` (RFC 3339 §5.6 `date-time`) as seconds since 1970; a fraction is passed over.
pub(crate) fn read_rfc3339(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let punctuation = [(4, b'-'), (7, b'-'), (10, b't'), (13, b':'), (16, b':')];
    if punctuation.iter().any(|&(at, byte)| date[at].to_ascii_lowercase() != byte) {
        return None;
    }
    let days = days(digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..10])?)?;
    let (hour, minute, second) = (digits(&date[11..13])?, digits(&date[14..16])?, digits(&date[17..])?);
    let fraction = match rest.strip_prefix(b".") {
        Some(rest) => 1 + rest.iter().position(|b| !b.is_ascii_digit()).filter(|&digits| digits > 0)?,
        None => 0,
    };
    let (sign, zone_hour, zone_minute) = match &rest[fraction..] {
        b"Z" | b"z" => (1, 0, 0),
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            (if *sign == b'+' { 1 } else { -1 }, digits(&zone[..2])?, digits(&zone[3..])?)
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59 {
        return None;
    }
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - sign * (zone_hour * 3600 + zone_minute * 60))
}

/// Reads `1-Feb-1994` (RFC 3501 §9 `date-text`).
pub(crate) fn read_date(text: &[u8]) -> Option<Day> {
    let dash = memchr::memchr(b'-', text)?;
    let (day, rest) = (&text[..dash], &text[dash + 1..]);
    if !(1..=2).contains(&day.len()) || rest.len() != 8 || rest[3] != b'-' {
        return None;
    }
    let days = days(digits(&rest[4..])?, month(&rest[..3])?, digits(day)?)?;
    Some(Day(days as i32))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

fn month(name: &[u8]) -> Option<i64> {
    MONTHS.iter().position(|m| name.eq_ignore_ascii_case(*m)).map(|i| i as i64 + 1)
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    // Years begin in March, so that the day of a leap year comes last.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = y.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

/// (year, month, day) of a day since 1970-01-01: the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: i64) -> String {
        let mut out = Vec::new();
        write_date_time(&mut out, seconds);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn date_times_are_read_and_written() {
        for (text, seconds, utc) in [
            ("17-Jul-1996 02:44:25 -0700", 837_596_665, "17-Jul-1996 09:44:25 +0000"),
            (" 7-Feb-1994 21:52:25 -0800", 760_686_745, "08-Feb-1994 05:52:25 +0000"),
            ("01-jan-1970 00:00:00 +0000", 0, "01-Jan-1970 00:00:00 +0000"),
            ("31-DEC-1969 23:59:59 +0000", -1, "31-Dec-1969 23:59:59 +0000"),
            ("29-Feb-2024 12:00:00 +0530", 1_709_188_200, "29-Feb-2024 06:30:00 +0000"),
        ] {
            assert_eq!(read_date_time(text.as_bytes()), Some(seconds), "{text}");
            assert_eq!(written(seconds), utc);
        }
        assert_eq!(written(i64::MAX), "31-Dec-9999 23:59:59 +0000");
        assert_eq!(written(i64::MIN), "01-Jan-0000 00:00:00 +0000");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["30-Feb-2024 12:00:00 +0000", "29-Feb-2023 12:00:00 +0000", "00-Jan-2024 12:00:00 +0000"]
            .iter()
            .chain(&["32-Jan-2024 12:00:00 +0000", "01-Foo-2024 12:00:00 +0000", "01-Jan-2024 24:00:00 +0000"])
            .chain(&["01-Jan-2024 12:60:00 +0000", "01-Jan-2024 12:00:00 0000", "1-Jan-2024 12:00:00 +0000"])
            .chain(&["01-Jan-2024 12:00:00 ?0000", "01-Jan-20x4 12:00:00 +0000", ""])
        {
            assert_eq!(read_date_time(text.as_bytes()), None, "{text}");
        }
        for text in ["", "-", "1-Feb", "1-Feb-94", "001-Feb-1994", "1_Feb-1994", "31-Apr-2020", "-Feb-1994"] {
            assert_eq!(read_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn dates_of_the_internet() {
        for (text, seconds) in [
            ("1985-04-12T23:20:50.52Z", Some(482_196_050)),
            ("1996-12-19T16:39:57-08:00", Some(851_042_397)),
            ("1990-12-31t23:59:60z", Some(662_688_000)),
            ("1937-01-01T12:00:27.87+00:20", Some(-1_041_337_173)),
            ("1996-12-19T16:39:57", None),
            ("1996-12-19T16:39:57.Z", None),
            ("1996-12-19T16:39:57-0800", None),
            ("1996-12-19T24:39:57Z", None),
            ("1996-13-19T16:39:57Z", None),
            ("1996-12-19 16:39:57Z", None),
            ("1996-12-19T16:39:57.5", None),
            ("", None),
        ] {
            assert_eq!(read_rfc3339(text.as_bytes()), seconds, "{text}");
        }
    }

    #[test]
    fn days_count_through_all_years() {
        assert_eq!(read_date(b"1-Feb-1994"), Some(Day(8797)));
        assert_eq!(read_date(b"01-feb-1994"), Some(Day(8797)));
        let first = days(0, 1, 1).unwrap();
        for day in (first..=days(9999, 12, 31).unwrap()).step_by(13) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), Some(day));
        }
    }
}
