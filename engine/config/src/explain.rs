//! Texts for people, made from the rows.

use crate::problem::nearest;
use crate::row::{Kind, Reload, Row};
use crate::table::ROWS;
use std::fmt::Write;

/// What a setting means, what may be written and what it is by default; for a section, all of it; for `""`, everything.
/// `None` when there is no such setting or section.
pub fn explain(key: &str) -> Option<String> {
    let inside = |row: &&Row| {
        key.is_empty() || row.key == key || row.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
    };
    let texts: Vec<String> = ROWS.iter().filter(inside).map(explain_row).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// The setting or section whose name is nearest to a mistyped one.
pub fn nearest_setting(wrong: &str) -> Option<&'static str> {
    let sections = ROWS.iter().filter_map(|row| row.key.split_once('.')).map(|(section, _)| section);
    nearest(wrong, ROWS.iter().map(|row| row.key).chain(sections))
}

fn explain_row(row: &Row) -> String {
    let mut text = format!("{}\n", row.key);
    for line in lines(row.doc) {
        writeln!(text, "    {line}").expect("a String takes every write");
    }
    let reload = match row.reload {
        Reload::Live => "on reload",
        Reload::Restart => "at the next start",
    };
    writeln!(text, "    {}; default {}; a change counts {reload}", bounds(row.kind), row.default)
        .expect("a String takes every write");
    text
}

/// A whole settings file: every setting with its doc and default. It parses once `auth.sources` names a source.
pub fn defaults_text() -> String {
    let mut text = String::new();
    let mut section = "";
    for row in ROWS {
        let (in_section, name) = row.key.split_once('.').unwrap_or(("", row.key));
        if in_section != section {
            section = in_section;
            write!(text, "\n[{section}]\n").expect("a String takes every write");
        }
        for line in lines(row.doc) {
            writeln!(text, "# {line}").expect("a String takes every write");
        }
        // A table that stands here as a whole could not go on below.
        let comment = if matches!(row.kind, Kind::Mailboxes | Kind::Virtuals) { "# " } else { "" };
        write!(text, "# ({})\n{comment}{name} = {}\n", bounds(row.kind), row.default)
            .expect("a String takes every write");
    }
    text
}

fn lines(doc: &str) -> impl Iterator<Item = &str> {
    doc.lines().map(str::trim)
}

fn bounds(kind: Kind) -> String {
    match kind {
        Kind::Path => "a path".to_owned(),
        Kind::Paths => "a list of paths".to_owned(),
        Kind::Text { bytes_max } => format!("text of at most {bytes_max} bytes"),
        Kind::Texts { max } => format!("a list of at most {max} texts"),
        Kind::Integer { min, max, unit } => format!("{unit}, {min} to {max}"),
        Kind::Bool => "true or false".to_owned(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::Addresses => "a list of \"address:port\"".to_owned(),
        Kind::Listeners(_) => "a list of \"address:port\" and { address = ... } or { path = ... } tables".to_owned(),
        Kind::Certificates => "a list of { cert = ..., key = ... } tables".to_owned(),
        Kind::Words(words) => format!("a list of {}", words.join(", ")),
        Kind::Networks => "a list of \"network/bits\"".to_owned(),
        Kind::Sources => "a list of { driver = ... } tables".to_owned(),
        Kind::Mailboxes => "tables as [mailbox.\"Trash\"]".to_owned(),
        Kind::Virtuals => "tables as [virtual_mailbox.\"All\"]".to_owned(),
    }
}
