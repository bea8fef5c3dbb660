//! The extension: asked before each change, and by those who want to know.

use crate::command;
use crate::limits::{ANNOTATION, Ceiling, Limits};
use crate::warning::{Seen, Tell};
use skein_auth::Fields;
use skein_base::{Class, MailboxId};
use skein_config::{Config, QuotaRule, QuotaWarning};
use skein_hooks::{Call, Extension, Quota as Told, Resource, Root, Running};
use skein_proto::imap::ExtensionCommand;
use skein_store::account::Account;
use skein_store::op::Op;
use skein_store::{AccountHandle, Actor, Change, Refused, Usage};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Quota on one shard.
pub struct Quota {
    settings: RefCell<Rc<Settings>>,
    /// Who tells of lines that are crossed; nobody, and nothing is watched.
    tell: Option<Tell>,
}

/// What the settings say.
pub(crate) struct Settings {
    pub(crate) root: String,
    limits: Rc<Limits>,
    exceeded: String,
    warnings: Vec<Arc<QuotaWarning>>,
}

/// What is known of a user whose account is open.
struct Known {
    limits: Rc<Limits>,
    /// The settings that they were made of: after a reload they are made anew at his next login.
    of: Rc<Settings>,
}

impl Default for Quota {
    fn default() -> Quota {
        let settings =
            Settings { root: String::new(), limits: Rc::default(), exceeded: String::new(), warnings: Vec::new() };
        Quota { settings: RefCell::new(Rc::new(settings)), tell: None }
    }
}

impl Quota {
    /// Quota that warns.
    pub fn telling(tell: Tell) -> Quota {
        Quota { tell: Some(tell), ..Quota::default() }
    }

    /// The user's limits: what an administrator has set in the place of all others.
    fn limits(&self, account: &AccountHandle) -> Rc<Limits> {
        let limits = self.given_limits(account);
        match account.read(set_by_administrator) {
            Some(all) => Rc::new(Limits { all, ..(*limits).clone() }),
            None => limits,
        }
    }

    /// Those of sources; the settings', while no source of users has said what it knows of him.
    fn given_limits(&self, account: &AccountHandle) -> Rc<Limits> {
        let settings = self.settings.borrow().clone();
        match account.slot::<Known>() {
            Some(known) if Rc::ptr_eq(&known.of, &settings) => known.limits.clone(),
            Some(known) if *known.limits != *known.of.limits => known.limits.clone(),
            _ => settings.limits.clone(),
        }
    }

    fn warns(&self) -> bool {
        self.tell.is_some() && !self.settings.borrow().warnings.is_empty()
    }

    pub(crate) fn root_name(&self) -> String {
        self.settings.borrow().root.clone()
    }

    /// Looks at one mailbox that is to be saved to.
    fn check(
        &self,
        (account, limits): (&Account, &Limits),
        mailbox: MailboxId,
        grows: Grows,
        grace: u64,
    ) -> Result<(), Refused> {
        let name = account.mailboxes().find(|named| named.id == mailbox).map_or("", |named| named.name);
        let here = account.usage_of(mailbox).unwrap_or_default();
        if limits.mailbox_messages > 0 && here.messages + grows.here.messages > limits.mailbox_messages {
            let max = limits.mailbox_messages;
            return Err(Refused::new(Class::Quota, format!("Too many messages in the mailbox: {max} are allowed")));
        }
        if !limits.counts(name) {
            return Ok(());
        }
        let (ceiling, used) = (limits.ceiling(name), used(account, limits));
        let grown = |used: u64, came: u64, left: u64| (used + came).saturating_sub(left);
        let bytes = grown(used.bytes, grows.all.bytes, grows.left.bytes);
        let messages = grown(used.messages, grows.all.messages, grows.left.messages);
        let is_over = |now: u64, then: u64, limit: u64| limit > 0 && now > limit && now > then;
        // Who is over already may still be given what his grace has room for.
        if is_over(bytes, used.bytes, ceiling.storage.saturating_add(if ceiling.storage > 0 { grace } else { 0 }))
            || is_over(messages, used.messages, ceiling.messages)
        {
            return Err(Refused::new(Class::Quota, self.settings.borrow().exceeded.clone()));
        }
        Ok(())
    }
}

/// What a change brings and takes.
#[derive(Clone, Copy, Default)]
struct Grows {
    /// Into this mailbox.
    here: Usage,
    /// Into all that count.
    all: Usage,
    /// Out of all that count.
    left: Usage,
}

/// What SETQUOTA has set, if anything.
fn set_by_administrator(account: &Account) -> Option<Ceiling> {
    Ceiling::decode(account.metadata(None)?.get(ANNOTATION)?)
}

/// What counts for a user.
pub(crate) fn used(account: &Account, limits: &Limits) -> Usage {
    let counted = account.mailboxes().filter(|named| limits.counts(named.name));
    counted.map(|named| account.usage_of(named.id).unwrap_or_default()).sum()
}

impl Extension for Quota {
    fn name(&self) -> &'static str {
        "quota"
    }

    fn configure(&self, config: &Config) {
        let quota = &config.quota;
        let all =
            Ceiling { storage: quota.storage_bytes, messages: quota.messages, mailboxes: u64::from(quota.mailboxes) };
        let limits = Limits {
            all,
            mailbox_messages: u64::from(quota.mailbox_messages),
            grace: quota.storage_grace_bytes,
            // Checked with the settings.
            rules: QuotaRule::parse_all(&quota.rules).unwrap_or_default(),
        };
        let settings = Settings {
            root: quota.root.clone(),
            limits: Rc::new(limits),
            exceeded: quota.exceeded_text.clone(),
            // Checked with the settings.
            warnings: quota.warnings.iter().filter_map(|text| QuotaWarning::parse(text).ok()).map(Arc::new).collect(),
        };
        *self.settings.borrow_mut() = Rc::new(settings);
    }

    fn capabilities(&self) -> Vec<String> {
        ["QUOTA", "QUOTA=RES-MAILBOX", "QUOTA=RES-MESSAGE", "QUOTA=RES-STORAGE", "QUOTASET"].map(str::to_owned).into()
    }

    fn commands(&self) -> &'static [ExtensionCommand] {
        command::COMMANDS
    }

    fn user_known(&self, account: &AccountHandle, fields: &Fields) {
        let settings = self.settings.borrow().clone();
        let limits = match settings.limits.of_user(fields) {
            // Nearly everybody has what the settings say; they share it.
            Ok(limits) if limits == *settings.limits => settings.limits.clone(),
            Ok(limits) => Rc::new(limits),
            Err(error) => {
                tracing::error!(user = %account.user(), %error, "a field of the user is no quota; the settings count in its place");
                settings.limits.clone()
            }
        };
        account.put_slot(Rc::new(Known { limits, of: settings }));
    }

    fn wants_usage(&self, account: &AccountHandle) -> bool {
        !self.limits(account).is_unlimited()
    }

    fn before(&self, change: &Change<'_>) -> Result<(), Refused> {
        if self.warns() {
            let limits = self.limits(change.account);
            if !limits.is_unlimited() {
                Seen::before(change.account, &limits);
            }
        }
        let is_asked = |op: &&Op| matches!(op, Op::Append { .. } | Op::CreateMailbox { .. });
        if *change.actor == Actor::Operator || change.ops.iter().find(is_asked).is_none() {
            return Ok(());
        }
        let limits = self.limits(change.account);
        if limits.is_unlimited() {
            return Ok(());
        }
        change.account.read(|account| {
            let grace = if *change.actor == Actor::Delivery { limits.grace } else { 0 };
            let name = |id| account.mailboxes().find(|named| named.id == id).map_or("", |named| named.name);
            let mut grows = Grows::default();
            for op in change.ops {
                match op {
                    Op::Append { mailbox, .. } if limits.counts(name(*mailbox)) => {
                        grows.all = grows.all + Account::arriving(op);
                    }
                    Op::Expunge { mailbox, .. } if limits.counts(name(*mailbox)) => {
                        grows.left = grows.left + account.leaving(op);
                    }
                    Op::CreateMailbox { .. } => {
                        let (made, max) = (account.mailboxes().count() as u64 + 1, limits.all.mailboxes);
                        let replaces = change.ops.iter().any(|op| matches!(op, Op::DeleteMailbox { .. }));
                        if max > 0 && made > max && !replaces {
                            return Err(Refused::new(
                                Class::Quota,
                                format!("You have {max} mailboxes, and no more are allowed"),
                            ));
                        }
                    }
                    _ => {}
                }
            }
            for op in change.ops {
                let Op::Append { mailbox, messages, .. } = op else { continue };
                if account.exists(*mailbox) && !messages.is_empty() {
                    let here = Account::arriving(op);
                    self.check((account, &limits), *mailbox, Grows { here, ..grows }, grace)?;
                }
            }
            Ok(())
        })
    }

    fn after(&self, change: &Change<'_>) {
        let Some(tell) = self.tell.as_ref().filter(|_| self.warns()) else { return };
        let settings = self.settings.borrow().clone();
        if let Some(crossed) = Seen::after(change, &self.limits(change.account), &settings.warnings) {
            tell(crossed);
        }
    }

    fn would_take(&self, account: &AccountHandle, mailbox: MailboxId, bytes: u64) -> Result<(), Refused> {
        let limits = self.limits(account);
        let one = Usage { messages: 1, bytes: bytes.max(1) };
        let grows = Grows { here: one, all: one, left: Usage::default() };
        match limits.is_unlimited() {
            true => Ok(()),
            false => account.read(|account| self.check((account, &limits), mailbox, grows, limits.grace)),
        }
    }

    fn quota(&self, account: &AccountHandle, mailbox: Option<MailboxId>) -> Option<Told> {
        let limits = self.limits(account);
        let resources = account.read(|account| {
            let name = mailbox.and_then(|id| account.mailboxes().find(|named| named.id == id));
            if name.is_some_and(|named| !limits.counts(named.name)) {
                return None;
            }
            let (used, max) = (used(account, &limits), limits.all);
            let all = [
                (Resource::Storage, used.bytes, max.storage),
                (Resource::Message, used.messages, max.messages),
                (Resource::Mailbox, account.mailboxes().count() as u64, max.mailboxes),
            ];
            Some(all.into_iter().filter(|(_, _, limit)| *limit > 0).collect())
        });
        let roots = resources.into_iter().map(|resources| Root { name: self.root_name(), resources }).collect();
        Some(Told { roots })
    }

    fn run<'a>(&'a self, call: Call<'a>) -> Running<'a> {
        Box::pin(command::run(self, call))
    }
}
