//! Values in a query: dates, ages, sizes, sets, quoted words.

use skein_proto::imap::SeqSet;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The years dates are taken of: SearchKey's days are 32 bits, and no mail is older.
const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// Days since 1970-01-01.
    Day(i64),
    /// Unix seconds.
    Time(i64),
}

/// `2026-03-31`, `31-Mar-2026`, Unix seconds, or an age: `3d`, `2weeks`.
pub(super) fn when(text: &str, now: i64) -> Option<When> {
    date(text).map(When::Day).or_else(|| {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: i64 = number.parse().ok()?;
        if unit.is_empty() {
            let max = 10_000 * 366 * DAY;
            return (number <= max).then_some(When::Time(number));
        }
        let age = number.checked_mul(seconds_of(unit.trim_start())?)?;
        Some(When::Time(now.checked_sub(age)?))
    })
}

/// The same as Unix seconds; of a day, its beginning.
pub(crate) fn since(text: &str, now: i64) -> Option<i64> {
    Some(match when(text, now)? {
        When::Day(day) => day * DAY,
        When::Time(time) => time,
    })
}

/// A unit by any of its beginnings; `m` is minutes.
fn seconds_of(unit: &str) -> Option<i64> {
    let unit = unit.to_ascii_lowercase();
    let units = [
        ("seconds", 1),
        ("secs", 1),
        ("minutes", MINUTE),
        ("mins", MINUTE),
        ("hours", HOUR),
        ("days", DAY),
        ("weeks", 7 * DAY),
    ];
    units.iter().find(|(name, _)| !unit.is_empty() && name.starts_with(&*unit)).map(|(_, seconds)| *seconds)
}

fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match a.len() {
        4 => (a, b.parse().ok()?, c),
        _ => (c, month(b)?, a),
    };
    days(year.parse().ok()?, month, day.parse().ok()?)
}

fn month(name: &str) -> Option<i64> {
    let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    names.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| at as i64 + 1)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !YEARS.contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let before = year - 1;
    let of_years = before * 365 + before / 4 - before / 100 + before / 400;
    let of_months: i64 = lengths[..month as usize - 1].iter().sum();
    Some(of_years + of_months + day - 1 - 719_162)
}

/// Bytes: a number with B, K, M, G or T, by 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let unit = text.chars().last()?.to_ascii_uppercase();
    let shift = match unit {
        '0'..='9' => return text.parse().ok(),
        'B' => 0,
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A set as IMAP writes it.
pub(super) fn set(text: &str) -> Option<SeqSet> {
    let number = |text: &str| match text {
        "*" => Some(0),
        _ => text.parse::<u32>().ok().filter(|n| *n > 0 && !text.starts_with('+')),
    };
    let mut set = SeqSet::default();
    for part in text.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        set.push(number(first)?, number(last)?).ok()?;
    }
    Some(set)
}

/// The 16 bytes of 32 hexadecimal digits.
pub(super) fn guid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// Words of a line: quotes hold a word together, parentheses are words.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut chars) = (Vec::new(), line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' => words.push(c.to_string()),
            '"' | '\'' => {
                let mut word = String::new();
                loop {
                    match chars.next().ok_or("a quote is not closed")? {
                        end if end == c => break,
                        '\\' => word.push(chars.next().ok_or("a quote is not closed")?),
                        other => word.push(other),
                    }
                }
                words.push(word);
            }
            c => {
                let mut word = c.to_string();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"()".contains(*c)) {
                    word.push(c);
                }
                words.push(word);
            }
        }
    }
    Ok(words)
}
