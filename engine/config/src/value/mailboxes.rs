//! Tables of mailboxes by name: `[mailbox."Trash"]`.

use super::{Reading, Wrong};
use crate::age::age_seconds;
use crate::mailbox_rule::{MailboxAuto, MailboxRule};
use crate::row::{Take, Value};
use skein_base::SpecialUse;
use skein_base::limits::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Mailboxes that something is said of: each list of a user's mailboxes looks through all.
const MAILBOXES_MAX: usize = 256;

const FIELDS: &[&str] = &["auto", "special_use", "autoexpunge", "autoexpunge_max_mails"];

impl Reading<'_> {
    pub(super) fn mailboxes(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let example = "[mailbox.\"Trash\"]";
        Ok(Value::Mailboxes(self.sections(value, MAILBOXES_MAX, example, |name, table| self.mailbox(name, table))?))
    }

    fn mailbox(&self, name: &Spanned<DeString<'_>>, table: &DeTable<'_>) -> Result<MailboxRule, Vec<Wrong>> {
        let mut wrong = self.strangers(table, FIELDS, "a mailbox");
        let mut rule = MailboxRule { name: name.get_ref().to_string(), ..MailboxRule::default() };
        let first = rule.name.find('/').unwrap_or(rule.name.len());
        if rule.name[..first].eq_ignore_ascii_case("INBOX") {
            rule.name.replace_range(..first, "INBOX");
        }
        if !is_name(&rule.name) {
            wrong.push(
                self.wrong_name(name, "is no name of a mailbox: write \"Trash\", or \"Trash/*\" for all below it"),
            );
        }
        for (field, value) in table.iter() {
            wrong.extend(self.mailbox_field(&mut rule, field.get_ref(), value).err());
        }
        if rule.is_pattern() && (rule.is_auto() || !rule.special_use.is_none()) {
            let text = "is a pattern: auto and special_use are of one mailbox, so write its name without a star";
            wrong.push(self.wrong_name(name, text));
        }
        if wrong.is_empty() { Ok(rule) } else { Err(wrong) }
    }

    fn mailbox_field(&self, rule: &mut MailboxRule, field: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Wrong> {
        match field {
            "auto" => rule.auto = MailboxAuto::take(self.choice(value, MailboxAuto::WORDS)?),
            "special_use" => rule.special_use = self.special_use_of(value, SpecialUse::NAMES.iter())?,
            "autoexpunge" => {
                let text = "write an age as \"30 days\", \"12 hours\" or \"4 weeks\"";
                let seconds = age_seconds(&self.text(value)?).ok_or_else(|| self.wrong(value, text))?;
                rule.autoexpunge_seconds = Some(seconds);
            }
            "autoexpunge_max_mails" => {
                rule.autoexpunge_max_mails = Some(u32::take(self.integer(value, 1, u32::MAX.into(), "messages")?));
            }
            // Told as a stranger.
            _ => {}
        }
        Ok(())
    }

    /// One or more with spaces between; none for empty text.
    pub(super) fn special_use_of<'n>(
        &self,
        value: &Spanned<DeValue<'_>>,
        known: impl Iterator<Item = &'n (SpecialUse, &'static str)> + Clone,
    ) -> Result<SpecialUse, Wrong> {
        let text = self.text(value)?;
        let one = |word: &str| known.clone().find(|(_, name)| name.eq_ignore_ascii_case(word));
        text.split_ascii_whitespace().try_fold(SpecialUse::NONE, |uses, word| match one(word) {
            Some((more, _)) => Ok(uses | *more),
            None => {
                let names: Vec<_> = known.clone().map(|(_, name)| format!("'{name}'")).collect();
                Err(self.wrong(value, format!("write one of {}", names.join(", "))))
            }
        })
    }

    pub(super) fn wrong_name(&self, name: &Spanned<DeString<'_>>, text: &str) -> Wrong {
        Wrong { span: name.span(), key: self.key.to_owned(), text: text.to_owned() }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAILBOX_NAME_BYTES_MAX
        && name.split('/').count() <= MAILBOX_DEPTH_MAX
        && name.split('/').all(|level| !level.is_empty())
        && !name.chars().any(char::is_control)
}
