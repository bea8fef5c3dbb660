//! Mail that looks like mail to SORT, THREAD and SEARCH: words by Zipf's law, replies to each other, MIME. The same seed, the same mail.

use std::collections::VecDeque;
use std::sync::OnceLock;

use skein_testkit::random::Random;

/// Different words, and their law: the n-th is written 1 / (n + SHIFT) ^ POWER as often as the first.
const WORDS: usize = 60_000;
const SHIFT: f64 = 2.7;
const POWER: f64 = 1.05;
/// People who write to each other.
const PEOPLE: usize = 400;
/// Messages that may still be answered, and Message-IDs in References.
const ANSWERABLE: usize = 200;
const REFERENCES: usize = 10;
/// 2020-09-13, and ten minutes between two messages.
const FIRST_SECONDS: u64 = 1_600_000_000;
const STEP_SECONDS: u64 = 600;

/// In one message of a hundred.
pub const UNCOMMON: &str = "xqvmid1pct";
/// In one of ten.
pub const COMMON: &str = "xqvcommon10";

/// An endless row of messages.
pub struct Corpus {
    random: Random,
    words: &'static [String],
    /// Sums of the words' weights.
    weights: &'static [f64],
    bytes: usize,
    number: u64,
    recent: VecDeque<Sent>,
}

/// One message.
pub struct Mail {
    /// `13-Sep-2020 12:26:40 +0000`, as APPEND takes it: when the header says it was sent.
    pub internal_date: String,
    /// Lines that end in CRLF.
    pub text: Vec<u8>,
}

/// What an answer needs.
struct Sent {
    id: String,
    subject: String,
    references: Vec<String>,
}

impl Corpus {
    /// Messages of about `bytes`, half of them to half as much again.
    pub fn new(seed: u64, bytes: usize) -> Corpus {
        static WORDS_AND_WEIGHTS: OnceLock<(Vec<String>, Vec<f64>)> = OnceLock::new();
        // The words are the same for all seeds, so that searches are.
        let (words, weights) = WORDS_AND_WEIGHTS.get_or_init(|| (vocabulary(&mut Random::new(424_242)), weights()));
        Corpus { random: Random::new(seed), weights, words, bytes, number: 0, recent: VecDeque::new() }
    }

    /// The next one.
    pub fn next(&mut self) -> Mail {
        let (from, to) = (self.person(), self.person());
        let seconds = FIRST_SECONDS + self.number * STEP_SECONDS + self.random.below(STEP_SECONDS as usize) as u64;
        let (sent, received) = (date(seconds, Style::Header), date(seconds, Style::Imap));
        let message = self.subject_and_thread();
        let mut head = format!(
            "Return-Path: <{}>\r\nReceived: from mx{}.example by mail.example with ESMTP id {:x}; {sent}\r\nFrom: {} <{}>\r\n\
             To: {} <{}>\r\nDate: {sent}\r\nMessage-ID: {}\r\n",
            from.1,
            self.number % 9,
            self.random.next(),
            from.0,
            from.1,
            to.0,
            to.1,
            message.id
        );
        if let Some(parent) = message.references.last() {
            head += &format!("In-Reply-To: {parent}\r\nReferences: {}\r\n", message.references.join("\r\n "));
        }
        head += &format!("Subject: {}\r\nX-Mailer: skein-load\r\nMIME-Version: 1.0\r\n", message.subject);
        self.recent.push_back(message);
        if self.recent.len() > ANSWERABLE {
            self.recent.pop_front();
        }
        let lines = self.lines(head.len());
        self.number += 1;
        let boundary = format!("=_{:x}", self.random.next() >> 16);
        let body = match self.random.below(100) {
            0..15 => base64(&lines),
            15..40 => alternative(&lines, &boundary),
            _ => format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{}",
                lines.concat()
            ),
        };
        Mail { internal_date: received, text: (head + &body).into_bytes() }
    }

    /// A name and an address; some write far more than others.
    fn person(&mut self) -> (String, String) {
        let part = self.random.below(1 << 20) as f64 / f64::from(1 << 20);
        let n = (PEOPLE as f64 * part * part) as usize;
        let (first, last, host) = (&self.words[200 + n], &self.words[900 + n], &self.words[2000 + n % 40]);
        (format!("{} {}", capital(first), capital(last)), format!("{first}.{last}@{host}.example"))
    }

    fn subject_and_thread(&mut self) -> Sent {
        let id = format!("<{}.{:08x}@gen.example>", self.number, self.random.next() as u32);
        if !self.recent.is_empty() && self.random.chance(30) {
            let parent = &self.recent[self.random.below(self.recent.len())];
            let mut references = parent.references.clone();
            references.push(parent.id.clone());
            references.drain(..references.len().saturating_sub(REFERENCES));
            let subject = format!("Re: {}", parent.subject.trim_start_matches("Re: "));
            return Sent { id, subject, references };
        }
        let count = self.random.between(2, 8);
        let words: Vec<&str> =
            (0..count).map(|_| self.word()).collect::<Vec<_>>().into_iter().map(|n| self.words[n].as_str()).collect();
        Sent { id, subject: capital(&words.join(" ")), references: Vec::new() }
    }

    /// Lines of words, the marked ones among them.
    fn lines(&mut self, head_bytes: usize) -> Vec<String> {
        let bytes = self.random.between(self.bytes / 2, self.bytes * 3 / 2 + 1).saturating_sub(head_bytes).max(100);
        let (mut lines, mut line, mut written) = (Vec::new(), String::new(), 0);
        for (marker, one_in) in [(UNCOMMON, 100), (COMMON, 10)] {
            if self.random.below(one_in) == 0 {
                line = line + marker + " ";
            }
        }
        while written < bytes {
            while line.len() < 68 {
                let word = self.word();
                line = line + &self.words[word] + " ";
            }
            line.truncate(line.trim_end().len());
            line += "\r\n";
            written += line.len();
            lines.push(std::mem::take(&mut line));
        }
        lines
    }

    /// The number of a word.
    fn word(&mut self) -> usize {
        let total = self.weights[WORDS - 1];
        let at = total * (self.random.below(1 << 30) as f64 / f64::from(1 << 30));
        self.weights.partition_point(|&sum| sum <= at)
    }
}

fn weights() -> Vec<f64> {
    let weight = |sum: &mut f64, n: usize| {
        *sum += (n as f64 + SHIFT).powf(-POWER);
        Some(*sum)
    };
    (0..WORDS).scan(0.0, weight).collect()
}

/// Words of one to three syllables, short ones first.
fn vocabulary(random: &mut Random) -> Vec<String> {
    const STARTS: [&str; 30] = [
        "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "cr", "dr",
        "fl", "gr", "pl", "pr", "sh", "st", "th", "tr", "ch",
    ];
    const MIDDLES: [&str; 10] = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "ou", "io"];
    const ENDS: [&str; 12] = ["", "", "", "n", "r", "s", "t", "l", "m", "d", "ng", "st"];
    let mut seen = std::collections::HashSet::new();
    let mut words = Vec::with_capacity(WORDS);
    while words.len() < WORDS {
        let syllables = 1 + usize::from(words.len() > 500) + usize::from(words.len() > 5000 && random.chance(50));
        let mut word = String::new();
        (0..syllables).for_each(|_| word = std::mem::take(&mut word) + random.word(&STARTS) + random.word(&MIDDLES));
        word += random.word(&ENDS);
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

fn capital(word: &str) -> String {
    word[..1].to_ascii_uppercase() + &word[1..]
}

fn alternative(lines: &[String], boundary: &str) -> String {
    let (plain, html) = lines.split_at(lines.len() / 2);
    format!(
        "Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{}--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
         <html><body><p>\r\n{}</p></body></html>\r\n--{boundary}--\r\n",
        plain.concat(),
        html.concat()
    )
}

fn base64(lines: &[String]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = lines.concat();
    let mut out = String::from("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    for line in text.as_bytes().chunks(57) {
        for three in line.chunks(3) {
            let bits = three.iter().fold(0_u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - three.len()));
            let digit = |n: usize| if n <= three.len() { DIGITS[(bits >> (18 - 6 * n) & 63) as usize] } else { b'=' };
            out.extend((0..4).map(|n| char::from(digit(n))));
        }
        out += "\r\n";
    }
    out
}

enum Style {
    Header,
    Imap,
}

/// A moment since 1970, in UTC.
fn date(seconds: u64, style: Style) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years from March on, in eras of 400 of them: the leap day is the last of its year.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = ((month + 2) % 12, year + era * 400 + u64::from(month > 9));
    let (name, time) =
        (MONTHS[month as usize], format!("{:02}:{:02}:{:02} +0000", second / 3600, second / 60 % 60, second % 60));
    match style {
        Style::Header => format!("{}, {of_month:02} {name} {year} {time}", DAYS[(days % 7) as usize]),
        Style::Imap => format!("{of_month:02}-{name}-{year} {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(1_600_000_000, Style::Header), "Sun, 13 Sep 2020 12:26:40 +0000");
        assert_eq!(date(1_709_164_800, Style::Imap), "29-Feb-2024 00:00:00 +0000");
        assert_eq!(date(1_735_689_599, Style::Header), "Tue, 31 Dec 2024 23:59:59 +0000");
    }

    #[test]
    fn base64_is_known() {
        let of = |text: &str| base64(&[text.to_owned()]).rsplit_once("\r\n\r\n").expect("a header").1.to_owned();
        assert_eq!([of("foobar"), of("fooba"), of("foob")], ["Zm9vYmFy\r\n", "Zm9vYmE=\r\n", "Zm9vYg==\r\n"]);
    }

    #[test]
    fn a_corpus_is_what_was_asked_for() {
        let (mut one, mut same) = (Corpus::new(7, 1500), Corpus::new(7, 1500));
        let mails: Vec<Vec<u8>> = (0..2000).map(|_| one.next().text).collect();
        assert!(mails.iter().all(|mail| same.next().text == *mail));
        let holding = |what: &str| mails.iter().filter(|mail| String::from_utf8_lossy(mail).contains(what)).count();
        let average = mails.iter().map(Vec::len).sum::<usize>() / mails.len();
        assert!((1200..2000).contains(&average), "{average}");
        assert!((500..700).contains(&holding("\r\nReferences: <")) && (120..220).contains(&holding(COMMON)));
        assert!(
            mails.iter().all(
                |mail| mail.is_ascii() && !String::from_utf8_lossy(mail).replace("\r\n", "").contains(['\r', '\n'])
            )
        );
    }
}
