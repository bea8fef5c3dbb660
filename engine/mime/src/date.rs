//! Date: of RFC 5322 §3.3 and §4.3, as it is found in real mail.

use crate::token::Cursor;

/// When a message says it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SentDate {
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// The sender's zone: minutes east of UTC.
    pub zone_minutes: i16,
}

impl SentDate {
    /// Days since 1970 of the date as it is written, in the sender's zone: what SENTBEFORE, SENTON and SENTSINCE
    /// compare (RFC 3501 §6.4.4, "disregarding time and timezone").
    pub fn day(self) -> i64 {
        (self.seconds + i64::from(self.zone_minutes) * 60).div_euclid(DAY)
    }
}

const DAY: i64 = 86_400;
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Reads the value of a Date field; `None` when there is no date in it.
///
/// The weekday, its comma, the time, its seconds and the zone may be missing; years may have two or three digits, zones
/// may have the names of RFC 5322 §4.3, comments may stand between. The order of C's `asctime` (`Tue Jan 2 10:00:00
/// 2001`) is read too.
pub fn parse_date(value: &[u8]) -> Option<SentDate> {
    let mut reader = Reader { cursor: Cursor::new(value) };
    let mut word = reader.word();
    let comma = reader.pass(b',');
    if comma || !word.is_empty() && month(word).is_none() {
        // The weekday, which is not checked: it is redundant, often wrong and sometimes French.
        reader.pass(b'.');
        word = reader.word();
    }
    if word.is_empty() { reader.day_first() } else { reader.month_first(month(word)?) }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
}

struct Time {
    seconds: i64,
}

impl<'a> Reader<'a> {
    fn day_first(&mut self) -> Option<SentDate> {
        let day = self.number(2)?;
        self.pass(b'-');
        let month = month(self.word())?;
        self.pass(b'-');
        let year = self.year()?;
        let time = self.time();
        let zone = self.zone();
        build(year, month, day, time, zone)
    }

    fn month_first(&mut self, month: u32) -> Option<SentDate> {
        let day = self.number(2)?;
        self.pass(b',');
        let time = self.time();
        let zone = self.zone();
        let year = self.year()?;
        build(year, month, day, time, zone)
    }

    fn skip(&mut self) -> bool {
        self.cursor.skip().unwrap_or(false)
    }

    fn pass(&mut self, byte: u8) -> bool {
        let found = self.skip() && self.cursor.peek() == Some(byte);
        self.cursor.at += usize::from(found);
        found
    }

    fn word(&mut self) -> &'a [u8] {
        self.skip();
        self.cursor.run(|b| b.is_ascii_alphabetic())
    }

    fn number(&mut self, digits_max: usize) -> Option<u32> {
        self.skip();
        let digits = self.cursor.run(|b| b.is_ascii_digit());
        if digits.is_empty() || digits.len() > digits_max {
            return None;
        }
        Some(digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
    }

    /// Two digits are 1950 to 2049, three count from 1900 (RFC 5322 §4.3).
    fn year(&mut self) -> Option<i64> {
        self.skip();
        let start = self.cursor.at;
        let year = i64::from(self.number(4)?);
        Some(match self.cursor.at - start {
            1 | 2 if year < 50 => 2000 + year,
            1..=3 => 1900 + year,
            _ => year,
        })
    }

    /// `hour:minute[:second]`, dots instead of colons allowed; midnight when there is none, or one that no clock shows (RFC 5256 §2.2).
    fn time(&mut self) -> Time {
        if !self.skip() || !self.cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Time { seconds: 0 };
        }
        self.clock().unwrap_or_else(|| {
            // What is left of it is no zone.
            self.cursor.run(|b| b.is_ascii_digit() || b == b':' || b == b'.');
            Time { seconds: 0 }
        })
    }

    fn clock(&mut self) -> Option<Time> {
        let hour = self.number(2)?;
        let minute = if self.pass(b':') || self.pass(b'.') { self.number(2)? } else { 0 };
        let second = if self.pass(b':') || self.pass(b'.') { self.number(2)? } else { 0 };
        // 60 is a leap second, which Unix time does not have: it must not become the first one of the next day.
        (hour < 24 && minute < 60 && second <= 60)
            .then(|| Time { seconds: i64::from(hour * 3600 + minute * 60 + second.min(59)) })
    }

    /// Minutes east of UTC; 0 for what is missing or not known (RFC 5322 §4.3).
    fn zone(&mut self) -> i16 {
        if !self.skip() {
            return 0;
        }
        match self.cursor.peek() {
            Some(sign @ (b'+' | b'-')) => {
                self.cursor.at += 1;
                let minutes = self.number(4).map_or(0, |n| (n / 100) as i16 * 60 + (n % 100) as i16);
                if sign == b'-' { -minutes } else { minutes }
            }
            Some(byte) if byte.is_ascii_alphabetic() => named_zone(self.word()),
            _ => 0,
        }
    }
}

fn month(word: &[u8]) -> Option<u32> {
    let short = word.get(..3)?;
    MONTHS.iter().position(|m| short.eq_ignore_ascii_case(&m[..])).map(|i| i as u32 + 1)
}

fn named_zone(name: &[u8]) -> i16 {
    const NAMES: [(&[u8; 3], i16); 8] = [
        (b"EDT", -4),
        (b"EST", -5),
        (b"CDT", -5),
        (b"CST", -6),
        (b"MDT", -6),
        (b"MST", -7),
        (b"PDT", -7),
        (b"PST", -8),
    ];
    let known = NAMES.iter().find(|(zone, _)| name.eq_ignore_ascii_case(&zone[..]));
    known.map_or_else(|| military(name), |(_, hours)| hours * 60)
}

/// One letter: A to M (without J) lie east, N to Y west.
fn military(name: &[u8]) -> i16 {
    let [letter] = name else { return 0 };
    let hours = match letter.to_ascii_uppercase() {
        c @ b'A'..=b'I' => i16::from(c - b'A') + 1,
        c @ b'K'..=b'M' => i16::from(c - b'A'),
        c @ b'N'..=b'Y' => -(i16::from(c - b'N') + 1),
        _ => 0,
    };
    hours * 60
}

fn build(year: i64, month: u32, day: u32, time: Time, zone_minutes: i16) -> Option<SentDate> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day == 0 || day > month_days {
        return None;
    }
    let seconds = days(year, month, day) * DAY + time.seconds - i64::from(zone_minutes) * 60;
    Some(SentDate { seconds, zone_minutes })
}

/// Days since 1970 of a date. Years are counted from March so that the leap day comes last.
fn days(year: i64, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 { (year, i64::from(month) - 3) } else { (year - 1, i64::from(month) + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719 468 days lie between 1 March of year 0 and 1 January 1970.
    year * 365 + leap_days + (month * 153 + 2) / 5 + i64::from(day) - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(i64, i16)>) {
        let found = parse_date(text.as_bytes()).map(|d| (d.seconds, d.zone_minutes));
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn dates_of_the_rfc() {
        check("Fri, 21 Nov 1997 09:55:06 -0600", Some((880_127_706, -360)));
        check(
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            Some((-27_723_480, -210)),
        );
        check("21 Nov 97 09:55:06 GMT", Some((880_106_106, 0)));
        check("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", Some((880_127_706, -360)));
        check("Thu, 1 Jan 1970 00:00:00 +0000", Some((0, 0)));
        check("Sat, 29 Feb 2020 12:00:00 Z", Some((1_582_977_600, 0)));
    }

    #[test]
    fn dates_of_real_mail() {
        check("21 Nov 1997 09:55 EST", Some((880_124_100, -300)));
        check("Fri 21 November 1997 09.55.06 -0600", Some((880_127_706, -360)));
        check("Fri Nov 21 09:55:06 1997", Some((880_106_106, 0)));
        check("Fri Nov 21 09:55:06 PST 1997", Some((880_134_906, -480)));
        check("21-Nov-1997 09:55:06 +0100", Some((880_102_506, 60)));
        check("21 Nov 1997", Some((880_070_400, 0)));
        check("21 Nov 102 00:00:00 A", Some((1_037_833_200, 60)));
        check("Mon, 1 Jan 2001 10:00:00 ABC", Some((978_343_200, 0)));
        check("Mar, 21 Nov 1997 09:55:06 -0600", Some((880_127_706, -360)));
    }

    /// RFC 5256 §2.2: a time that is none is midnight, and the date stands.
    #[test]
    fn a_date_stands_without_its_time() {
        check("21 Nov 1997 24:00", Some((880_070_400, 0)));
        check("21 Nov 1997 1:60 +0100", Some((880_066_800, 60)));
        check("Fri, 21 Nov 1997 095506 -0600", Some((880_092_000, -360)));
        check("21 Nov 1997 09::06 +0100", Some((880_066_800, 60)));
        check("Fri Nov 21 25:55:06 1997", Some((880_070_400, 0)));
        check("Fri Nov 21 25:55:06 PST 1997", Some((880_099_200, -480)));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "Fri",
            "21 Foo 1997",
            "32 Jan 2000",
            "30 Feb 2000",
            "0 Jan 2000",
            "1 Jan",
            "1 Jan 20000",
            "(",
            "99999999999999 Jan 2000",
            "Jan",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn days_are_those_of_the_sender() {
        let day = |text: &str| parse_date(text.as_bytes()).unwrap().day();
        assert_eq!(day("2 Jan 1970 00:30:00 +0100"), 1);
        assert_eq!(day("31 Dec 1969 23:30:00 -0500"), -1);
        // A leap second is of the day that it is written in.
        assert_eq!(day("31 Dec 1998 23:59:60 +0000"), 10_591);
    }
}
