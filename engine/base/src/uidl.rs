//! How POP3's unique ids are made (RFC 1939 §7), in the language of the servers that people come from.
//!
//! ```text
//! %08Xu%08Xv    %  0 and width  modifiers  variable         %{uid | hex(8)}%{uidvalidity | hex(8)}
//! ```

use crate::{Guid, Uid, UidValidity};
use std::fmt::{self, Write as _};

/// Characters of one id (RFC 1939 §7).
pub const UNIQUE_ID_BYTES_MAX: usize = 70;

/// Whether a client can be given this as an id (RFC 1939 §7): 1 to [`UNIQUE_ID_BYTES_MAX`] printable ASCII characters but the space.
pub fn is_unique_id(id: &str) -> bool {
    (1..=UNIQUE_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How ids are made of what a message is known by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UidlFormat(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Field { what: What, hex: bool, upper: bool, width: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Uid,
    Validity,
    Guid,
}

/// Why a format is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UidlFormatError {
    /// Not a variable, modifier or filter, or not complete.
    Unknown(String),
    /// A variable of storage that Skein does not have.
    NotHere(String),
    /// A width without a leading 0, which would cut the value.
    Cuts,
    /// Neither UID nor GUID: all messages would have the same id.
    NotUnique,
    /// Two values side by side that different messages can fill to the same id.
    Ambiguous,
    /// May become longer than RFC 1939 allows.
    TooLong(usize),
    /// A character that RFC 1939 does not allow in an id.
    Unprintable(char),
}

impl fmt::Display for UidlFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UidlFormatError::Unknown(part) => {
                write!(f, "does not know {part}: write %u (UID), %v (UIDVALIDITY) or %g (GUID), as in %08Xu%08Xv")
            }
            UidlFormatError::NotHere(part) => {
                write!(
                    f,
                    "holds {part}, a name of Maildir or mbox files that this store does not have: write %g for an id"
                )
            }
            UidlFormatError::Cuts => f.write_str("would cut a value: write a 0 before the width, as in %08Xu"),
            UidlFormatError::NotUnique => f.write_str("gives messages the same id: write %u or %g into it"),
            UidlFormatError::Ambiguous => f.write_str(
                "gives different messages the same id: write a sign between the variables, or %08X and %032",
            ),
            UidlFormatError::TooLong(bytes) => {
                write!(f, "makes ids of up to {bytes} characters: RFC 1939 allows {UNIQUE_ID_BYTES_MAX}")
            }
            UidlFormatError::Unprintable(c) => {
                write!(f, "holds {c:?}: RFC 1939 allows printable ASCII characters but the space")
            }
        }
    }
}

impl std::error::Error for UidlFormatError {}

impl UidlFormat {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<UidlFormat, UidlFormatError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find('%') {
            push_text(&mut parts, &rest[..at])?;
            let (part, behind) = match rest[at + 1..].strip_prefix('%') {
                Some(behind) => (Part::Text("%".into()), behind),
                None => field(&rest[at + 1..])?,
            };
            parts.push(part);
            rest = behind;
        }
        push_text(&mut parts, rest)?;
        check(&parts)?;
        Ok(UidlFormat(parts))
    }

    /// Appends the id of a message.
    pub fn write(&self, uid: Uid, validity: UidValidity, guid: Guid, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field { what: What::Uid, hex, upper, width } => number(uid.0, *hex, *upper, *width, out),
                Part::Field { what: What::Validity, hex, upper, width } => {
                    number(validity.0, *hex, *upper, *width, out)
                }
                Part::Field { what: What::Guid, upper, .. } => {
                    guid.0.iter().for_each(|byte| hex_byte(*byte, *upper, out))
                }
            }
        }
    }
}

impl Default for UidlFormat {
    /// Dovecot's.
    fn default() -> UidlFormat {
        UidlFormat::parse("%08Xu%08Xv").expect("it is one")
    }
}

impl Part {
    fn bytes_min(&self) -> usize {
        match self {
            Part::Text(text) => text.len(),
            Part::Field { what: What::Guid, .. } => 32,
            Part::Field { width, .. } => (*width).max(1),
        }
    }

    fn bytes_max(&self) -> usize {
        match self {
            Part::Field { what: What::Uid | What::Validity, hex, width, .. } => (*width).max(if *hex { 8 } else { 10 }),
            fixed => fixed.bytes_min(),
        }
    }

    fn varies(&self) -> bool {
        self.bytes_min() != self.bytes_max()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), UidlFormatError> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(UidlFormatError::Unprintable(odd));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

/// What follows a `%`, and the text behind it.
fn field(text: &str) -> Result<(Part, &str), UidlFormatError> {
    if let Some(long) = text.strip_prefix('{') {
        let (inside, behind) = long.split_once('}').ok_or_else(|| unknown(text))?;
        return Ok((long_field(inside)?, behind));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let width = width(&text[..digits])?;
    let (mut hex, mut upper) = (false, false);
    for (at, c) in text[digits..].char_indices() {
        match c {
            'X' => hex = true,
            'U' => upper = true,
            'L' => upper = false,
            c => return Ok((made(&c.to_string(), hex, upper, width)?, &text[digits + at + c.len_utf8()..])),
        }
    }
    Err(unknown(text))
}

/// `uid | hex(8)`
fn long_field(inside: &str) -> Result<Part, UidlFormatError> {
    let mut words = inside.split('|').map(str::trim);
    let name = words.next().unwrap_or_default();
    let (mut hex, mut upper, mut wide) = (false, false, 0);
    for filter in words {
        match filter.strip_prefix("hex(").and_then(|rest| rest.strip_suffix(')')) {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
                (hex, wide) = (true, width(&format!("0{digits}"))?);
            }
            _ => match filter {
                "hex" => hex = true,
                "upper" => upper = true,
                "lower" => upper = false,
                other => return Err(unknown(other)),
            },
        }
    }
    made(name, hex, upper, wide)
}

fn width(digits: &str) -> Result<usize, UidlFormatError> {
    match digits {
        "" => Ok(0),
        padded if padded.starts_with('0') => {
            // More digits than any id may have characters are as wrong as too many characters.
            Ok(padded.parse::<usize>().ok().filter(|width| *width <= 1000).unwrap_or(1000))
        }
        _ => Err(UidlFormatError::Cuts),
    }
}

fn made(name: &str, hex: bool, upper: bool, width: usize) -> Result<Part, UidlFormatError> {
    let what = match name {
        "u" | "uid" => What::Uid,
        "v" | "uidvalidity" => What::Validity,
        "g" | "guid" => What::Guid,
        "f" | "filename" | "m" | "md5" => return Err(UidlFormatError::NotHere(format!("%{name}"))),
        other => return Err(unknown(other)),
    };
    Ok(Part::Field { what, hex, upper, width })
}

fn unknown(part: &str) -> UidlFormatError {
    UidlFormatError::Unknown(format!("%{}", part.chars().take(20).collect::<String>()))
}

fn check(parts: &[Part]) -> Result<(), UidlFormatError> {
    let unique = |part: &Part| matches!(part, Part::Field { what: What::Uid | What::Guid, .. });
    if !parts.iter().any(unique) {
        return Err(UidlFormatError::NotUnique);
    }
    let mut open = false;
    for part in parts {
        match part {
            Part::Text(text) => open &= text.bytes().all(|b| b.is_ascii_hexdigit()),
            field if field.varies() && open => return Err(UidlFormatError::Ambiguous),
            field => open |= field.varies(),
        }
    }
    match parts.iter().map(Part::bytes_max).sum() {
        0..=UNIQUE_ID_BYTES_MAX => Ok(()),
        bytes => Err(UidlFormatError::TooLong(bytes)),
    }
}

fn number(n: u32, hex: bool, upper: bool, width: usize, out: &mut Vec<u8>) {
    let mut text = Digits { bytes: [0; 10], len: 0 };
    let written = match (hex, upper) {
        (false, _) => write!(text, "{n}"),
        (true, false) => write!(text, "{n:x}"),
        (true, true) => write!(text, "{n:X}"),
    };
    written.expect("32 bits have at most ten digits");
    out.resize(out.len() + width.saturating_sub(text.len), b'0');
    out.extend_from_slice(&text.bytes[..text.len]);
}

fn hex_byte(byte: u8, upper: bool, out: &mut Vec<u8>) {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// A number's text without an allocation: a listing has a million of them.
struct Digits {
    bytes: [u8; 10],
    len: usize,
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: Guid = Guid([0xab, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f]);

    fn check(format: &str, expect: &str) {
        let mut id = Vec::new();
        UidlFormat::parse(format).unwrap_or_else(|e| panic!("{format}: {e}")).write(
            Uid(171),
            UidValidity(1234),
            GUID,
            &mut id,
        );
        assert_eq!(String::from_utf8(id).unwrap(), expect, "{format}");
    }

    #[test]
    fn formats_of_the_field() {
        check("%08Xu%08Xv", "000000ab000004d2");
        check("%{uid | hex(8)}%{uidvalidity | hex(8)}", "000000ab000004d2");
        check("%v.%u", "1234.171");
        check("%08Xv%08Xu", "000004d2000000ab");
        check("%u", "171");
        check("UID%u-%v", "UID171-1234");
        check("%g", "ab00000000000000000000000000001f");
        check("%Ug", "AB00000000000000000000000000001F");
        check("%{guid|upper}", "AB00000000000000000000000000001F");
        check("%XUu", "AB");
        check("%010u%010v", "00000001710000001234");
        check("%%%u", "%171");
        check("%{ uid }", "171");
    }

    #[test]
    fn what_is_no_format() {
        let wrong =
            |format: &str, expect: UidlFormatError| assert_eq!(UidlFormat::parse(format), Err(expect), "{format}");
        for format in ["%q", "%", "%08X", "%{uid", "%{uid | hex(x)}", "%{uid | md5}", "%{}"] {
            assert!(matches!(UidlFormat::parse(format), Err(UidlFormatError::Unknown(_))), "{format}");
        }
        wrong("%f", UidlFormatError::NotHere("%f".into()));
        wrong("%{filename}", UidlFormatError::NotHere("%filename".into()));
        wrong("%Mm", unknown("M"));
        wrong("%m", UidlFormatError::NotHere("%m".into()));
        wrong("%8Xu", UidlFormatError::Cuts);
        for same in ["", "x", "%v", "%%u"] {
            wrong(same, UidlFormatError::NotUnique);
        }
        for ambiguous in ["%u%v", "%Xu%Xv", "%u1%v", "%08u%08v", "%u%08Xv%v"] {
            wrong(ambiguous, UidlFormatError::Ambiguous);
        }
        wrong("%g%g%g", UidlFormatError::TooLong(96));
        wrong("%0999999999999999999999u", UidlFormatError::TooLong(1000));
        wrong("%u %v", UidlFormatError::Unprintable(' '));
        wrong("ü%u", UidlFormatError::Unprintable('ü'));
    }

    #[test]
    fn no_id_is_longer_than_the_format_says() {
        let format = UidlFormat::parse("%g-%v-%u").unwrap();
        let mut id = Vec::new();
        format.write(Uid(u32::MAX), UidValidity(u32::MAX), GUID, &mut id);
        assert_eq!(id.len(), format.0.iter().map(Part::bytes_max).sum::<usize>());
    }
}
