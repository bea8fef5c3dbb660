//! Sets and search keys by chance; SEARCH, SORT and THREAD made of them.

use skein_testkit::random::Random;

use super::torture;

/// Deepest nesting of search keys.
const DEPTH_MAX: usize = 3;

/// A set of numbers around `count`, in every form there is.
pub fn set(random: &mut Random, count: usize, uid: bool) -> String {
    if random.chance(3) {
        return "$".into();
    }
    let ranges = if random.chance(70) { 1 } else { random.between(2, 5) };
    (0..ranges).map(|_| range(random, count, uid)).collect::<Vec<_>>().join(",")
}

fn range(random: &mut Random, count: usize, uid: bool) -> String {
    match random.below(10) {
        0 => "1:*".into(),
        1 if count > 0 => "*".into(),
        2 => format!("{}:*", number(random, count, uid)),
        3 => format!("*:{}", number(random, count, uid)),
        4..=6 => format!("{}:{}", number(random, count, uid), number(random, count, uid)),
        _ => number(random, count, uid).to_string(),
    }
}

/// A sequence number is rarely too high, a UID often.
fn number(random: &mut Random, count: usize, uid: bool) -> usize {
    let beyond = if uid { count + 10 } else { count.max(1) };
    if random.chance(2) { beyond + 1 } else { random.between(1, beyond + 1) }
}

/// A date and time of arrival, in any zone.
pub fn date_time(random: &mut Random) -> String {
    let zone = random.pick(&["+0000", "+0000", "+0000", "-0800", "+0530"]);
    format!("{:>2}-{} {:02}:{:02}:05 {zone}", random.between(1, 29), month(random), random.below(24), random.below(60))
}

fn month(random: &mut Random) -> String {
    let month = random.pick(&["Jan", "Feb", "Mar", "Dec"]);
    format!("{month}-{}", random.pick(&["1999", "2005", "2020"]))
}

fn date(random: &mut Random) -> String {
    let date = format!("{}-{}", random.between(1, 29), month(random));
    if random.chance(20) { format!("\"{date}\"") } else { date }
}

/// SEARCH, SORT or THREAD.
pub fn command(random: &mut Random, count: usize) -> Vec<u8> {
    let uid = if random.chance(40) { "UID " } else { "" };
    let returns = match random.chance(30) {
        true => format!("RETURN ({}) ", returns(random)),
        false => String::new(),
    };
    let start = match random.below(10) {
        0..=6 => format!("{uid}SEARCH {returns}{}", random.pick(&["", "", "", "CHARSET UTF-8 ", "CHARSET US-ASCII "])),
        7..=8 => format!("{uid}SORT {returns}({}) UTF-8 ", criteria(random)),
        _ => format!("{uid}THREAD {} UTF-8 ", random.pick(&["REFERENCES", "ORDEREDSUBJECT", "REFS"])),
    };
    format!("{start}{}", keys(random, count, 0)).into_bytes()
}

fn returns(random: &mut Random) -> String {
    const RETURNS: [&str; 8] = ["CONTEXT", "MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL 1:3", "PARTIAL 2:100"];
    let names = (0..random.below(4)).map(|_| *random.pick(&RETURNS));
    names.collect::<Vec<_>>().join(" ")
}

fn criteria(random: &mut Random) -> String {
    const CRITERIA: [&str; 9] = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"];
    let one = |random: &mut Random| {
        let reverse = if random.chance(30) { "REVERSE " } else { "" };
        format!("{reverse}{}", random.pick(&CRITERIA))
    };
    (0..random.between(1, 3)).map(|_| one(random)).collect::<Vec<_>>().join(" ")
}

fn keys(random: &mut Random, count: usize, depth: usize) -> String {
    let number = if random.chance(70) { 1 } else { random.between(1, 4) };
    (0..number).map(|_| key(random, count, depth)).collect::<Vec<_>>().join(" ")
}

fn key(random: &mut Random, count: usize, depth: usize) -> String {
    const FLAGS: [&str; 14] = [
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "NEW",
        "OLD",
        "RECENT",
        "SEEN",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "unseen",
    ];
    const DATES: [&str; 9] =
        ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE", "SAVEDBEFORE", "SAVEDSINCE", "SAVEDON"];
    const TEXTS: [&str; 7] = ["SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT"];
    const FIELDS: [&str; 5] = ["X-Test", "Message-ID", "received", "X-Missing", "Content-Type"];
    let deep = depth < DEPTH_MAX;
    match random.below(22) {
        0..=4 => random.pick(&FLAGS).to_string(),
        5 => format!(
            "{} {}",
            random.pick(&["KEYWORD", "UNKEYWORD"]),
            random.pick(&["word", "WORD", "$Forwarded", "none"])
        ),
        6..=8 => format!("{} {}", random.pick(&DATES), date(random)),
        9..=12 => format!("{} {}", random.pick(&TEXTS), text(random)),
        13 => {
            let value = if random.chance(30) { "\"\"".into() } else { text(random) };
            format!("HEADER {} {value}", random.pick(&FIELDS))
        }
        14 => format!("{} {}", random.pick(&["LARGER", "SMALLER"]), random.pick(&[0, 1, 100, 500, 1000, 100_000])),
        15 => format!("{} {}", random.pick(&["OLDER", "YOUNGER"]), random.pick(&[3600, 400_000_000, 650_000_000])),
        16 => format!("UID {}", set(random, count, true)),
        17 => set(random, count, false),
        18 if deep => format!("({})", keys(random, count, depth + 1)),
        19 if deep => format!("OR {} {}", key(random, count, depth + 1), key(random, count, depth + 1)),
        _ if deep => format!("NOT {}", key(random, count, depth + 1)),
        _ => "SEEN".into(),
    }
}

fn text(random: &mut Random) -> String {
    match random.below(8) {
        0 => "\"\u{fc}\"".into(),
        1 => format!("{{{}+}}\r\n{}", "Grüße".len(), "Grüße"),
        2 => "example.org".into(),
        3 => "e".into(),
        _ => format!("\"{}\"", torture::words(random, 2)),
    }
}
