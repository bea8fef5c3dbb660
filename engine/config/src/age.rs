//! Ages as people write them: `30 days`, `12h`.

/// Longest age: what is kept for a hundred years is kept.
pub(crate) const AGE_SECONDS_MAX: u64 = 36_500 * 86_400;

/// Seconds of a whole number with a unit; `None` for anything else, and for less than a second or more than a hundred years.
pub(crate) fn age_seconds(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        _ => return None,
    };
    number.checked_mul(unit).filter(|seconds| (1..=AGE_SECONDS_MAX).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_what_is_none() {
        for (text, seconds) in
            [("30 days", 2_592_000), ("30d", 2_592_000), ("1 week", 604_800), ("12h", 43_200), ("5min", 300), ("1s", 1)]
        {
            assert_eq!(age_seconds(text), Some(seconds), "{text}");
        }
        // "m" is a minute to some and a month to others.
        for wrong in
            ["", "30", "d", "0 days", "-1 day", "1.5 days", "5m", "36501 days", "99999999999999999999d", "1 day 2h"]
        {
            assert_eq!(age_seconds(wrong), None, "{wrong}");
        }
    }
}
