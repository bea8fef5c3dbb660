//! What a user may hold.

use skein_auth::Fields;
use skein_config::{QuotaAmount, QuotaResource, QuotaRule};

/// Fields of a user that hold rules: `quota_rule`, `quota_rule2` and so on.
const RULE_FIELDS_MAX: usize = 16;

/// The annotation of an account that holds what SETQUOTA has set, as a rule of the settings is written.
pub(crate) const ANNOTATION: &str = "quota";

/// What a user may hold in all, or while a certain mailbox is saved to; 0 is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ceiling {
    /// Bytes of messages.
    pub storage: u64,
    /// Messages.
    pub messages: u64,
    /// Mailboxes.
    pub mailboxes: u64,
}

/// The limits of one user.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// In all.
    pub all: Ceiling,
    /// Messages of any one mailbox; 0 is no limit.
    pub mailbox_messages: u64,
    /// Bytes by which a message that is delivered may go beyond.
    pub grace: u64,
    /// Of single mailboxes; the first that names one counts.
    pub rules: Vec<QuotaRule>,
}

impl Ceiling {
    /// As [`ANNOTATION`] has it: `*:bytes=524288:messages=0:mailboxes=0`.
    pub(crate) fn encode(&self) -> String {
        format!("*:bytes={}:messages={}:mailboxes={}", self.storage, self.messages, self.mailboxes)
    }

    /// The same, read.
    pub(crate) fn decode(text: &[u8]) -> Option<Ceiling> {
        let rule = QuotaRule::parse(std::str::from_utf8(text).ok()?).ok().filter(QuotaRule::is_for_all)?;
        let mut ceiling = Ceiling::default();
        rule.limits.iter().for_each(|(resource, amount)| ceiling.set(*resource, *amount));
        Some(ceiling)
    }

    fn set(&mut self, resource: QuotaResource, amount: QuotaAmount) {
        let limit = match resource {
            QuotaResource::Storage => &mut self.storage,
            QuotaResource::Messages => &mut self.messages,
            QuotaResource::Mailboxes => &mut self.mailboxes,
        };
        *limit = changed(*limit, amount);
    }
}

/// A limit after such a change. What has no limit gets none by being changed, and none by being lowered to nothing.
fn changed(limit: u64, amount: QuotaAmount) -> u64 {
    let by = |more: i64| if limit == 0 { 0 } else { limit.saturating_add_signed(more).max(1) };
    let percent = |part: i64| i64::try_from(i128::from(limit) * i128::from(part) / 100).unwrap_or(i64::MAX);
    match amount {
        QuotaAmount::To(limit) => limit,
        QuotaAmount::By(more) => by(more),
        QuotaAmount::Percent(part) => percent(i64::from(part)).max(i64::from(limit > 0)) as u64,
        QuotaAmount::ByPercent(part) => by(percent(i64::from(part))),
    }
}

impl Limits {
    /// Those of the settings, with what a source of users says in their place: the fields of Dovecot's userdb, those of before 2.4
    /// (`quota_rule=*:storage=1G`) and those of now (`quota_storage_size=1G`).
    ///
    /// # Errors
    /// What is wrong with a field, in words. The other limits are the settings' then.
    pub fn of_user(&self, fields: &Fields) -> Result<Limits, String> {
        let mut limits = self.clone();
        let mut own = Vec::new();
        for n in 1..=RULE_FIELDS_MAX {
            let name = if n == 1 { "quota_rule".to_owned() } else { format!("quota_rule{n}") };
            let Some(text) = fields.other(&name) else { continue };
            let rule = QuotaRule::parse(text)?;
            match rule.is_for_all() {
                true => rule.limits.iter().for_each(|(resource, amount)| limits.all.set(*resource, *amount)),
                false => own.push(rule),
            }
        }
        for (name, resource) in
            [("quota_storage_size", "bytes"), ("quota_message_count", "messages"), ("quota_mailbox_count", "mailboxes")]
        {
            let Some(text) = fields.other(name) else { continue };
            let rule = QuotaRule::parse(&format!("*:{resource}={text}"))?;
            rule.limits.iter().for_each(|(resource, amount)| limits.all.set(*resource, *amount));
        }
        own.append(&mut limits.rules);
        limits.rules = own;
        Ok(limits)
    }

    /// What the user may hold while this mailbox is saved to.
    pub fn ceiling(&self, mailbox: &str) -> Ceiling {
        let mut ceiling = self.all;
        if let Some(rule) = self.rule(mailbox) {
            rule.limits.iter().for_each(|(resource, amount)| ceiling.set(*resource, *amount));
        }
        ceiling
    }

    /// Whether messages in this mailbox count.
    pub fn counts(&self, mailbox: &str) -> bool {
        self.rule(mailbox).is_none_or(|rule| !rule.ignore)
    }

    /// Nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        let none = Ceiling::default();
        self.all == none && self.mailbox_messages == 0 && self.rules.iter().all(|rule| rule.limits.is_empty())
    }

    fn rule(&self, mailbox: &str) -> Option<&QuotaRule> {
        self.rules.iter().find(|rule| rule.matches(mailbox))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rules: &str) -> Limits {
        let all = Ceiling { storage: 1000, messages: 10, mailboxes: 0 };
        Limits { all, rules: QuotaRule::parse_all(rules).unwrap(), ..Limits::default() }
    }

    #[test]
    fn a_users_own_come_first() {
        let fields = |text: &str| Fields::parse(text).unwrap();
        let site = limits("Trash:bytes=+100");
        assert_eq!(site.of_user(&fields("")).unwrap(), site);
        let own = site.of_user(&fields("userdb_quota_rule=*:bytes=500 userdb_quota_rule2=Trash:bytes=+1")).unwrap();
        assert_eq!((own.all.storage, own.all.messages, own.ceiling("Trash").storage), (500, 10, 501));
        let new = site.of_user(&fields("quota_storage_size=2K quota_message_count=5 quota_mailbox_count=7")).unwrap();
        assert_eq!(
            (new.all, new.ceiling("Trash").storage),
            (Ceiling { storage: 2048, messages: 5, mailboxes: 7 }, 2148)
        );
        assert!(site.of_user(&fields("quota_rule=nonsense")).is_err());
        assert!(site.of_user(&fields("quota_rule=*:storage=unlimited:messages=0")).unwrap().all == Ceiling::default());
    }

    #[test]
    fn what_is_set_reads_as_it_was_written() {
        for (storage, messages, mailboxes) in [(0, 0, 0), (1, 2, 3), (524_288, 0, 7), (i64::MAX as u64, 1, 0)] {
            let set = Ceiling { storage, messages, mailboxes };
            assert_eq!(Ceiling::decode(set.encode().as_bytes()), Some(set), "{}", set.encode());
        }
        for wrong in ["", "x", "Trash:bytes=1", "*:bytes=x", "\u{fc}"] {
            assert_eq!(Ceiling::decode(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn mailboxes_of_their_own() {
        let rules = limits("Trash:bytes=+10%:messages=+5,Junk:ignore,Small:bytes=5,Half:bytes=50%,Less:bytes=-5000");
        let storage = |name: &str| rules.ceiling(name).storage;
        assert_eq!(["INBOX", "Trash", "Small", "Half", "Less"].map(storage), [1000, 1100, 5, 500, 1]);
        assert_eq!((rules.ceiling("Trash").messages, rules.counts("Junk"), rules.counts("Trash")), (15, false, true));
        assert!(limits("").rules.is_empty() && !limits("").is_unlimited());
        assert!(Limits { rules: QuotaRule::parse_all("Junk:ignore").unwrap(), ..Limits::default() }.is_unlimited());
        // What has no limit is not limited by being changed.
        assert_eq!(Limits { all: Ceiling::default(), ..rules.clone() }.ceiling("Trash"), Ceiling::default());
    }
}
