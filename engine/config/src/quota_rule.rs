//! Rules of quota as Dovecot's users write them: `*:storage=1G:messages=10000`, `Trash:storage=+100M`, `Junk:ignore`.

use crate::stars::stars_match;

/// Rules of one user or one server; each mailbox that is saved to looks through all.
const RULES_MAX: usize = 64;

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuotaResource {
    /// Bytes of messages.
    Storage,
    /// Messages.
    Messages,
    /// Mailboxes.
    Mailboxes,
}

/// A limit, or a change of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuotaAmount {
    /// So many; 0 is no limit.
    To(u64),
    /// So many more, or fewer.
    By(i64),
    /// So many percent of the user's limit.
    Percent(u32),
    /// So many percent of it more, or fewer.
    ByPercent(i32),
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaRule {
    /// The mailbox that is saved to; `*` stands for any text, alone for the user as a whole.
    pub mailbox: String,
    /// What it may hold.
    pub limits: Vec<(QuotaResource, QuotaAmount)>,
    /// Messages in it do not count.
    pub ignore: bool,
}

impl QuotaRule {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<QuotaRule, String> {
        let (mailbox, rest) =
            text.split_once(':').ok_or_else(|| format!("\"{text}\" has no limit: write Trash:storage=+100M"))?;
        let mut rule = QuotaRule { mailbox: mailbox.trim().to_owned(), limits: Vec::new(), ignore: false };
        for limit in rest.split(':') {
            match limit.trim().split_once('=') {
                None if limit.trim() == "ignore" => rule.ignore = true,
                None => return Err(format!("\"{limit}\" is no limit: write storage=1G, messages=1000 or ignore")),
                Some((name, amount)) => rule.limits.push(limit_of(name, amount)?),
            }
        }
        if rule.mailbox.is_empty() { Err(format!("\"{text}\" names no mailbox")) } else { Ok(rule) }
    }

    /// Reads several with commas between.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse_all(text: &str) -> Result<Vec<QuotaRule>, String> {
        let texts: Vec<&str> = text.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect();
        match texts.len() > RULES_MAX {
            true => Err(format!("has more than {RULES_MAX} rules")),
            false => texts.into_iter().map(QuotaRule::parse).collect(),
        }
    }

    /// It is about the user as a whole.
    pub fn is_for_all(&self) -> bool {
        matches!(&*self.mailbox, "*" | "?")
    }

    /// It is about this mailbox.
    pub fn matches(&self, mailbox: &str) -> bool {
        stars_match(&self.mailbox, mailbox)
    }
}

fn limit_of(name: &str, amount: &str) -> Result<(QuotaResource, QuotaAmount), String> {
    // Without a letter, storage is in kilobytes, as ever in quota.
    let (resource, unit) = match name.trim() {
        "storage" => (QuotaResource::Storage, 1024),
        "bytes" => (QuotaResource::Storage, 1),
        "messages" => (QuotaResource::Messages, 1),
        "mailboxes" => (QuotaResource::Mailboxes, 1),
        other => return Err(format!("\"{other}\" can not be limited: write storage, bytes, messages or mailboxes")),
    };
    let amount =
        quota_amount(amount.trim(), unit).ok_or_else(|| format!("\"{amount}\" is no amount: write 500M or +10%"))?;
    Ok((resource, amount))
}

/// `1G`, `+100M`, `-5`, `10%`, `unlimited`.
pub(crate) fn quota_amount(text: &str, unit: u64) -> Option<QuotaAmount> {
    if matches!(text, "unlimited" | "infinite") {
        return Some(QuotaAmount::To(0));
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (Some(1), &text[1..]),
        b'-' => (Some(-1), &text[1..]),
        _ => (None, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number: u64 = digits[..end].parse().ok()?;
    let unit = match digits[end..].trim().trim_end_matches("iB").to_ascii_uppercase().as_str() {
        "" => unit,
        "%" => {
            let percent = u32::try_from(number).ok().filter(|percent| *percent <= 1_000_000)?;
            return Some(
                sign.map_or(QuotaAmount::Percent(percent), |sign| QuotaAmount::ByPercent(sign * percent as i32)),
            );
        }
        "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return None,
    };
    let number = number.checked_mul(unit).filter(|number| *number <= i64::MAX as u64)?;
    Some(sign.map_or(QuotaAmount::To(number), |sign| QuotaAmount::By(i64::from(sign) * number as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_mistakes() {
        use QuotaAmount::*;
        use QuotaResource::*;
        let rule = QuotaRule::parse("*:storage=1G:messages=10000").unwrap();
        assert!(rule.is_for_all() && rule.limits == [(Storage, To(1 << 30)), (Messages, To(10_000))]);
        let of = |text: &str| QuotaRule::parse(text).unwrap().limits;
        assert_eq!(of("Trash:storage=+100M"), [(Storage, By(100 << 20))]);
        assert_eq!(of("Trash:storage=+10%:bytes=500"), [(Storage, ByPercent(10)), (Storage, To(500))]);
        assert_eq!(
            of("a:storage=100:messages=-5:mailboxes=unlimited"),
            [(Storage, To(102_400)), (Messages, By(-5)), (Mailboxes, To(0))]
        );
        assert!(QuotaRule::parse("Junk:ignore").unwrap().ignore);
        for wrong in
            ["", "Trash", ":ignore", "a:b", "a:storage=x", "a:storage=5Q", "a:storage=", "a:storage=99999999999T"]
        {
            assert!(QuotaRule::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(QuotaRule::parse_all(" a:ignore, b:ignore,").unwrap().len(), 2);
        assert!(QuotaRule::parse_all(&"a:ignore,".repeat(65)).is_err());
    }

    #[test]
    fn a_rule_is_about_mailboxes_with_its_name() {
        let rule = QuotaRule::parse("Trash*:ignore").unwrap();
        assert!(rule.matches("Trash/a") && !rule.matches("Junk"));
    }
}
