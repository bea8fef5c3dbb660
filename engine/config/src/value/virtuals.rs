//! Tables of virtual mailboxes by name: `[virtual_mailbox."All"]`.

use super::{Reading, Wrong, gather};
use crate::row::Value;
use crate::virtual_mailbox::VirtualMailbox;
use skein_base::SpecialUse;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Virtual mailboxes of a user: what happens to a message happens in each that shows it.
const VIRTUALS_MAX: usize = 32;
/// Patterns that say where one looks.
const PATTERNS_MAX: usize = 64;
/// Bytes of what one looks for.
const QUERY_BYTES_MAX: usize = 1000;

const FIELDS: &[&str] = &["query", "from", "special_use"];

impl Reading<'_> {
    pub(super) fn virtuals(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let example = "[virtual_mailbox.\"All\"]";
        Ok(Value::Virtuals(
            self.sections(value, VIRTUALS_MAX, example, |name, table| self.virtual_mailbox(name, table))?,
        ))
    }

    fn virtual_mailbox(&self, name: &Spanned<DeString<'_>>, table: &DeTable<'_>) -> Result<VirtualMailbox, Vec<Wrong>> {
        let mut wrong = self.strangers(table, FIELDS, "a virtual mailbox");
        let mut one = VirtualMailbox { name: name.get_ref().to_string(), ..VirtualMailbox::default() };
        if !super::mailboxes::is_name(&one.name) || one.name.contains(['*', '%']) {
            wrong.push(self.wrong_name(name, "is no name of a mailbox: write \"All\""));
        }
        if !table.iter().any(|(field, _)| field.get_ref() == "query") {
            wrong.push(
                self.wrong_name(name, "looks for nothing: write query = \"ALL\", or other keys of IMAP's SEARCH"),
            );
        }
        for (field, value) in table.iter() {
            wrong.extend(self.virtual_field(&mut one, field.get_ref(), value).err().into_iter().flatten());
        }
        if wrong.is_empty() { Ok(one) } else { Err(wrong) }
    }

    fn virtual_field(
        &self,
        one: &mut VirtualMailbox,
        field: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Vec<Wrong>> {
        match field {
            "query" => {
                one.query = Some(self.bounded_text(value, QUERY_BYTES_MAX)?);
                one.query_span = value.span();
            }
            "from" => {
                let list = self.list(value, PATTERNS_MAX, "[\"*\", \"-Trash*\"]")?;
                one.from = gather(list.iter().map(|item| {
                    let pattern = self.bounded_text(item, super::LISTED_BYTES_MAX)?;
                    match super::mailboxes::is_name(pattern.strip_prefix('-').unwrap_or(&pattern)) {
                        true => Ok(pattern),
                        false => Err(self.wrong(item, "names no mailbox: write \"INBOX\", \"Work/*\" or \"-Trash*\"")),
                    }
                }))?;
            }
            "special_use" => {
                let known = SpecialUse::VIRTUAL_NAMES.iter().chain(&SpecialUse::NAMES);
                one.special_use = self.special_use_of(value, known)?;
            }
            // Told as a stranger.
            _ => {}
        }
        Ok(())
    }
}
