//! RETURN of SEARCH and SORT (RFC 4731, RFC 5182, RFC 5267, RFC 9394), and CANCELUPDATE.

use super::cursor::{Cursor, utf8};
use super::{Command, Wrong, fetch};
use crate::imap::{Request, ResultRange, Returns, Update};

/// `RETURN (MIN MAX ALL COUNT SAVE PARTIAL range UPDATE [(items)] CONTEXT)` and the space after it, when it is there. Where nothing says
/// what to tell it is ALL (RFC 4731 §3.1); CONTEXT is a hint (RFC 5267 §4.2).
pub(super) fn maybe_returns(c: &mut Cursor<'_>) -> Result<Option<Returns>, Wrong> {
    if !c.rest().get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"RETURN ")) {
        return Ok(None);
    }
    c.keyword();
    c.space()?;
    let mut returns = Returns::default();
    if c.rest().starts_with(b"()") {
        c.eat(b'(');
        c.eat(b')');
    } else {
        c.list(|c| option(c, &mut returns))?;
    }
    if returns.all && returns.partial.is_some() {
        return Err(Wrong::Bad("PARTIAL and ALL exclude each other"));
    }
    returns.all |= !returns.is_told() && !returns.save;
    c.space()?;
    Ok(Some(returns))
}

fn option(c: &mut Cursor<'_>, returns: &mut Returns) -> Result<(), Wrong> {
    match c.keyword().as_str() {
        "MIN" => returns.min = true,
        "MAX" => returns.max = true,
        "ALL" => returns.all = true,
        "COUNT" => returns.count = true,
        "SAVE" => returns.save = true,
        "CONTEXT" => {}
        "PARTIAL" if returns.partial.is_none() => {
            c.space()?;
            returns.partial = Some(range(c)?);
        }
        "UPDATE" if returns.update.is_none() => {
            let fetch = match c.rest().starts_with(b" (") {
                true => Some(fetch::items_to_come(c)?),
                false => None,
            };
            returns.update = Some(Update { fetch });
        }
        "PARTIAL" | "UPDATE" => return Err(Wrong::Bad("A RETURN option is given twice")),
        _ => return Err(Wrong::Bad("Unknown RETURN option")),
    }
    Ok(())
}

/// `partial-range`: `1:500`, `-1:-100` (RFC 9394 §4)
pub(super) fn range(c: &mut Cursor<'_>) -> Result<ResultRange, Wrong> {
    let from_end = c.eat(b'-');
    let first = place(c)?;
    c.need(b':', "Expected a range of results")?;
    if c.eat(b'-') != from_end {
        return Err(Wrong::Bad("Both ends of the range count from the same side"));
    }
    Ok(ResultRange::new(first, place(c)?, from_end))
}

fn place(c: &mut Cursor<'_>) -> Result<u32, Wrong> {
    match c.number() {
        Ok(0) | Err(_) => Err(Wrong::Bad("Expected a range of results")),
        place => place,
    }
}

/// `CANCELUPDATE "tag" ..` (RFC 5267 §4.3.5)
pub(super) fn cancel_update(c: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut tags = Vec::new();
    while tags.is_empty() || c.peek() == Some(b' ') && c.rest() != b" " {
        c.space()?;
        tags.push(utf8(c.string()?)?);
    }
    Ok(Command::Ask(Request::CancelUpdate { tags }))
}
