//! APPEND, as far as its message.

use super::cursor::Cursor;
use super::message::flag_list;
use super::{Wrong, literal};
use crate::imap::{FlagList, date};

/// What an APPEND has told when a literal is announced.
#[derive(Debug)]
pub(crate) enum AppendHead {
    /// The literal is the mailbox name.
    NameFollows,
    /// The literal is the message.
    MessageFollows { mailbox: String, flags: FlagList, internal_date: Option<i64> },
}

/// Reads `SP mailbox [SP flag-list] [SP date-time] SP {n}` where the last literal has not been read yet.
pub(crate) fn append_head(mut c: Cursor<'_>) -> Result<AppendHead, Wrong> {
    c.space()?;
    if is_announcement(&c) {
        return Ok(AppendHead::NameFollows);
    }
    let mailbox = c.mailbox()?;
    c.space()?;
    let mut flags = FlagList::default();
    if c.peek() == Some(b'(') {
        flags = flag_list(&mut c)?;
        c.space()?;
    }
    let mut internal_date = None;
    if c.peek() == Some(b'"') {
        let text = c.string()?;
        internal_date = Some(date::read_date_time(&text).ok_or(Wrong::Bad("Invalid date"))?);
        c.space()?;
    }
    match is_announcement(&c) {
        true => Ok(AppendHead::MessageFollows { mailbox, flags, internal_date }),
        false => Err(Wrong::Bad("Expected the message as a literal")),
    }
}

/// Nothing is left but the header of the literal that comes next.
fn is_announcement(c: &Cursor<'_>) -> bool {
    let rest = c.rest();
    rest.first() == Some(&b'{')
        && memchr::memchr(b'\n', rest) == Some(rest.len() - 1)
        && memchr::memrchr(b'{', rest) == Some(0)
        && literal::header(rest).is_some()
}
