//! PREVIEW (RFC 8970): the first words of a message, to be shown in a list.
//!
//! ```text
//! first text part ─▶ transfer encoding ─▶ charset ─▶ HTML to text ─▶ white space to one blank, quotations left out
//! ```
//!
//! Which part, and what is left out, is as Dovecot has it.

use super::charset::Charset;
use super::html::Html;
use crate::params::Disposition;
use crate::structure::{Kind, Part};
use crate::transfer::{Decoder, Transfer};

/// Letters of a preview (RFC 8970 §3.1: not more than 200).
pub const PREVIEW_CHARS_MAX: usize = 200;

/// Encoded bytes that are looked through for them: style sheets of newsletters are long, and have an end.
const INPUT_BYTES_MAX: usize = 128 * 1024;
const PIECE_BYTES: usize = 4 * 1024;
/// Of plain text so much has them all, and what is decoded beyond is for nobody.
const FIRST_PIECE_BYTES: usize = 512;

/// The preview of `message`, whose `parts` these are; empty when it has no text to show.
pub fn preview(message: &[u8], parts: &[Part]) -> String {
    let Some(part) = text_part(message, parts, 0).map(|index| &parts[index]) else { return String::new() };
    let content = part.content_type(message);
    let mut html = content.as_ref().is_some_and(|c| c.is_exactly("text", "html")).then(Html::new);
    let label = content.and_then(|c| c.param("charset"));
    let mut charset = Charset::of(label.as_deref()).decoder_after_mark();
    let mut decoder = Decoder::new(Transfer::of(part.encoding(message)).unwrap_or(Transfer::Identity));
    let body = part.body.of(message);
    let body = &body[..body.len().min(INPUT_BYTES_MAX)];
    let (first, rest) = body.split_at(body.len().min(FIRST_PIECE_BYTES));
    let (mut words, mut bytes, mut text) = (Words::default(), Vec::with_capacity(FIRST_PIECE_BYTES), String::new());
    for piece in std::iter::once(first).chain(rest.chunks(PIECE_BYTES)) {
        bytes.clear();
        decoder.push(piece, &mut bytes);
        text.clear();
        charset.push_all(&bytes, false, &mut text);
        for letter in text.chars() {
            match &mut html {
                Some(html) => html.read(letter, &mut |letter| words.push(letter)),
                None => words.push(letter),
            }
            if words.is_full() {
                return words.finish();
            }
        }
    }
    bytes.clear();
    decoder.finish(&mut bytes);
    text.clear();
    charset.push_all(&bytes, true, &mut text);
    text.chars().for_each(|letter| words.push(letter));
    words.finish()
}

/// The first text at or below a part; among alternatives plain text, then HTML, then any.
fn text_part(message: &[u8], parts: &[Part], index: usize) -> Option<usize> {
    let part = &parts[index];
    match part.kind {
        Kind::Message => None,
        Kind::Leaf => (is_text(message, part) && !is_attachment(message, part)).then_some(index),
        Kind::Multipart => {
            let alternative = part.content_type(message).is_some_and(|c| c.is_exactly("multipart", "alternative"));
            let mut texts = children(parts, index).filter_map(|child| text_part(message, parts, child));
            match alternative {
                false => texts.next(),
                true => texts.min_by_key(|child| rank(message, &parts[*child])),
            }
        }
    }
}

fn children(parts: &[Part], index: usize) -> impl Iterator<Item = usize> {
    let after = parts[index].after as usize;
    let first = (index + 1 < after).then_some(index + 1);
    std::iter::successors(first, move |&child| Some(parts[child].after as usize).filter(|next| *next < after))
}

fn is_text(message: &[u8], part: &Part) -> bool {
    // Without a type, or with a broken one, it is text (RFC 2045 §5.2).
    part.content_type(message).is_none_or(|content| content.kind.is_empty() || content.is("text"))
}

fn is_attachment(message: &[u8], part: &Part) -> bool {
    let disposition = part.fields.disposition.map(|span| Disposition::parse(span.of(message)));
    disposition.is_some_and(|disposition| disposition.kind.eq_ignore_ascii_case(b"attachment"))
}

fn rank(message: &[u8], part: &Part) -> u8 {
    match part.content_type(message) {
        None => 0,
        Some(content) if content.kind.is_empty() || content.is_exactly("text", "plain") => 0,
        Some(content) if content.is_exactly("text", "html") => 1,
        Some(_) => 2,
    }
}

/// Gathers letters: white space becomes one blank, lines that start with `>` are kept apart.
#[derive(Default)]
struct Words {
    text: Run,
    /// Shown when there is nothing else.
    quoted: Run,
    in_quote: bool,
    in_line: bool,
}

#[derive(Default)]
struct Run {
    text: String,
    chars: usize,
    blank: bool,
}

impl Words {
    fn push(&mut self, letter: char) {
        if letter == '\n' {
            self.in_line = false;
        } else if !self.in_line {
            self.in_line = true;
            self.in_quote = letter == '>';
            if self.in_quote {
                return self.quoted.blank();
            }
        }
        let run = if self.in_quote { &mut self.quoted } else { &mut self.text };
        match letter {
            // Nearly all are, and none of these is anything else.
            '!'..='~' => run.push(letter),
            _ if letter.is_whitespace() => run.blank(),
            _ if is_unseen(letter) => {}
            _ => run.push(letter),
        }
    }

    fn is_full(&self) -> bool {
        self.text.chars >= PREVIEW_CHARS_MAX
    }

    fn finish(self) -> String {
        match (self.text.text, self.quoted.text) {
            (text, quoted) if text.is_empty() && !quoted.is_empty() => {
                ">".chars().chain(quoted.chars()).take(PREVIEW_CHARS_MAX).collect()
            }
            (text, _) => text,
        }
    }
}

impl Run {
    fn blank(&mut self) {
        self.blank = !self.text.is_empty();
    }

    fn push(&mut self, letter: char) {
        if self.text.capacity() == 0 {
            self.text.reserve(PREVIEW_CHARS_MAX);
        }
        let blank = std::mem::take(&mut self.blank);
        let needs = 1 + usize::from(blank);
        if self.chars + needs > PREVIEW_CHARS_MAX {
            // A blank is not the last letter.
            self.chars = PREVIEW_CHARS_MAX;
            return;
        }
        if blank {
            self.text.push(' ');
        }
        self.text.push(letter);
        self.chars += needs;
    }
}

/// Controls, and what newsletters fill previews with.
fn is_unseen(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::structure;

    fn check(message: &str, expect: &str) {
        let message = message.replace('\n', "\r\n");
        assert_eq!(preview(message.as_bytes(), &structure(message.as_bytes())), expect, "{message}");
    }

    #[test]
    fn texts_become_one_line() {
        check("\n  Hello,\n\n\tdear   you.\n", "Hello, dear you.");
        check("Subject: x\n\n\n", "");
        check("\n> quoted\nAnswer\n>> more\nend", "Answer end");
        check("\n> quoted\n>  again\n", ">quoted again");
        check("\nnul \u{0}\u{200b}\u{feff}\u{a0}x", "nul x");
    }

    #[test]
    fn a_preview_has_two_hundred_letters() {
        let word = "ä".repeat(99);
        check(&format!("\n{word} {word} {word}"), &format!("{word} {word}"));
        check(&format!("\n{}", "x".repeat(1000)), &"x".repeat(200));
        check(&format!("\n>{}", "x".repeat(1000)), &format!(">{}", "x".repeat(199)));
    }

    #[test]
    fn encodings_and_charsets_are_taken_off() {
        let head = "MIME-Version: 1.0\nContent-Transfer-Encoding:";
        check(&format!("{head} base64\nContent-Type: text/plain; charset=iso-8859-1\n\nR3L832U=\n"), "Grüße");
        check(
            &format!("{head} quoted-printable\nContent-Type: text/html; charset=utf-8\n\n<p>Gr=C3=BC=\n=C3=9Fe"),
            "Grüße",
        );
        check(
            &format!("{head} 8bit\nContent-Type: text/html\n\n<style>x</style><blockquote>q</blockquote>a&amp;b"),
            "a&b",
        );
    }

    #[test]
    fn the_first_text_is_taken() {
        let multipart = |kind: &str, parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--x\n{part}\n")).collect();
            format!("Content-Type: multipart/{kind}; boundary=x\n\n{parts}--x--\n")
        };
        let (plain, html) = ("Content-Type: text/plain\n\nplain", "Content-Type: text/html\n\n<b>html</b>");
        let (image, other) = ("Content-Type: image/png\n\npng", "Content-Type: text/calendar\n\nBEGIN");
        check(&multipart("mixed", &[image, html, plain]), "html");
        check(&multipart("alternative", &[other, html, plain]), "plain");
        check(&multipart("alternative", &[other, html]), "html");
        check(&multipart("alternative", &[other, image]), "BEGIN");
        check(&multipart("mixed", &["Content-Disposition: attachment\n\nno", "\nyes"]), "yes");
        check(&multipart("mixed", &["Content-Type: message/rfc822\n\nSubject: a\n\nno"]), "");
        check("Content-Type: image/png\n\npng", "");
    }

    /// A style sheet without an end costs what the limit says.
    #[test]
    fn a_text_far_behind_is_not_looked_for() {
        let html = |bytes| format!("Content-Type: text/html\n\n<style>{}</style>text", "x".repeat(bytes));
        check(&html(INPUT_BYTES_MAX / 2), "text");
        check(&html(INPUT_BYTES_MAX), "");
    }
}
