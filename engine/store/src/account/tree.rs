//! The mailbox tree: names in, ops out.
//!
//! `/` between levels. A name whose mailbox does not exist but which has children is listed as `\Noselect`; it needs
//! no record of its own.

use super::{Account, AccountError};
use crate::op::Op;
use skein_base::limits::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX, MAILBOXES_PER_ACCOUNT_MAX};
use skein_base::{MailboxId, SpecialUse, UidValidity, UserName};
use std::borrow::Cow;

const INBOX: &str = "INBOX";

/// The one spelling of a name: INBOX, alone or as the first level, in upper case (RFC 3501 §5.1).
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    if first.eq_ignore_ascii_case(INBOX) && first != INBOX {
        return Cow::Owned(format!("{INBOX}{rest}"));
    }
    Cow::Borrowed(name)
}

/// The first ops of an account. `now` in Unix seconds gives INBOX its UIDVALIDITY.
pub fn create_account(user: &UserName, now: i64) -> Vec<Op> {
    Account::unborn().begin(user, now)
}

/// Above all before, and from the clock, so that an account that is begun anew does not repeat itself. A clock that is
/// before 1970 or past 32 bits is wrong, and must not use up the numbers that are left.
pub(super) fn validity_from(now: i64, last: u32) -> u32 {
    u32::try_from(now).unwrap_or(0).max(last.saturating_add(1))
}

impl Account {
    /// The first ops, of one that is new or has ended. `now` in Unix seconds.
    pub(crate) fn begin(&self, user: &UserName, now: i64) -> Vec<Op> {
        vec![Op::CreateAccount { user: user.clone(), validity: UidValidity(validity_from(now, self.validity_last)) }]
    }

    /// The end of everything.
    pub(crate) fn end_all(&self) -> Vec<Op> {
        vec![Op::EndAccount { validity_last: self.validity_last }]
    }

    /// A new mailbox. `now` in Unix seconds.
    pub fn create(&self, name: &str, now: i64) -> Result<Vec<Op>, AccountError> {
        let name = checked(name)?;
        if self.names.contains_key(&*name) {
            return Err(AccountError::MailboxExists);
        }
        if self.names.len() >= MAILBOXES_PER_ACCOUNT_MAX {
            return Err(AccountError::TooManyMailboxes { max: MAILBOXES_PER_ACCOUNT_MAX });
        }
        let mailbox = self.next_mailbox(0)?;
        let validity = UidValidity(validity_from(now, self.validity_last));
        Ok(vec![Op::CreateMailbox { mailbox, name: name.into(), validity }])
    }

    /// Those of the mailboxes that there are not, subscribed where that is said. What can not be made is left out.
    pub fn create_missing<'a>(&self, wanted: impl Iterator<Item = (&'a str, bool)>, now: i64) -> Vec<Op> {
        let mut ops: Vec<Op> = Vec::new();
        let mut made: u32 = 0;
        for (name, subscribed) in wanted {
            let is_full = self.names.len() + made as usize >= MAILBOXES_PER_ACCOUNT_MAX;
            let created = self.create(name, now);
            let Ok([Op::CreateMailbox { name, validity, .. }]) = created.as_deref() else { continue };
            let Ok(mailbox) = self.next_mailbox(made) else { continue };
            let is_twice = |op: &Op| matches!(op, Op::CreateMailbox { name: other, .. } if other == name);
            if is_full || ops.iter().any(is_twice) {
                continue;
            }
            let validity = UidValidity(validity.0.saturating_add(made));
            ops.push(Op::CreateMailbox { mailbox, name: name.clone(), validity });
            made += 1;
            if subscribed {
                ops.extend(self.subscribe(name, true).unwrap_or_default());
            }
        }
        ops
    }

    /// The number of a new mailbox, `made` others before it.
    fn next_mailbox(&self, made: u32) -> Result<MailboxId, AccountError> {
        let next = self.mailbox_last.checked_add(made).and_then(|last| last.checked_add(1));
        next.and_then(MailboxId::stored).ok_or(AccountError::OutOfMailboxIds)
    }

    /// A new mailbox that is for something. Each use has one mailbox, so that clients agree on it.
    pub fn create_for(&self, name: &str, uses: SpecialUse, now: i64) -> Result<Vec<Op>, AccountError> {
        let mut ops = self.create(name, now)?;
        if self.entries.values().any(|entry| entry.special_use.shares(uses)) {
            return Err(AccountError::SpecialUseTaken);
        }
        if let ([Op::CreateMailbox { mailbox, .. }], false) = (&ops[..], uses.is_none()) {
            ops.push(Op::SetSpecialUse { mailbox: *mailbox, uses });
        }
        Ok(ops)
    }

    /// A mailbox that comes from elsewhere with its UIDVALIDITY. Without one, as [`Account::create`].
    pub fn create_as(&self, name: &str, validity: Option<UidValidity>, now: i64) -> Result<Vec<Op>, AccountError> {
        let mut ops = self.create(name, now)?;
        if let ([Op::CreateMailbox { validity: made, .. }], Some(validity)) =
            (&mut ops[..], validity.filter(|v| v.0 > 0))
        {
            *made = validity;
        }
        Ok(ops)
    }

    /// A mailbox that never gave a UID, and that no session looks at, takes over a UIDVALIDITY; any other stays as it is.
    pub fn begin_anew(&self, id: MailboxId, validity: UidValidity) -> Result<Vec<Op>, AccountError> {
        let entry = self.entries.get(&id).ok_or(AccountError::NoSuchMailbox)?;
        let mailbox = entry.mailbox.as_deref().ok_or(AccountError::NotLoaded)?;
        let is_unused = mailbox.uid_next().0 == 1 && mailbox.view_count() == 0;
        if !is_unused || validity.0 == 0 || entry.validity == validity {
            return Ok(Vec::new());
        }
        let made = Op::CreateMailbox { mailbox: id, name: entry.name.clone(), validity };
        let uses = Op::SetSpecialUse { mailbox: id, uses: entry.special_use };
        let uses = Some(uses).filter(|_| !entry.special_use.is_none());
        let annotations = entry.annotations_for(id);
        Ok([Op::DeleteMailbox { mailbox: id }, made].into_iter().chain(uses).chain(annotations).collect())
    }

    /// The end of a mailbox. Its children stay (RFC 3501 §6.3.4).
    pub fn delete(&self, name: &str) -> Result<Vec<Op>, AccountError> {
        let name = canonical(name);
        if name == INBOX {
            return Err(AccountError::InboxStays);
        }
        match self.names.get(&*name) {
            Some(&mailbox) => Ok(vec![Op::DeleteMailbox { mailbox }]),
            None if self.has_children(&name) => Err(AccountError::HasChildren),
            None => Err(AccountError::NoSuchMailbox),
        }
    }

    /// Another name for a mailbox and all below it. INBOX is not renamed here: see [`Account::empty_inbox_into`].
    pub fn rename(&self, from: &str, to: &str) -> Result<Vec<Op>, AccountError> {
        let (from, to) = (canonical(from), checked(to)?);
        if from == INBOX {
            return Err(AccountError::InboxStays);
        }
        if self.names.contains_key(&*to) {
            return Err(AccountError::MailboxExists);
        }
        if to.strip_prefix(&*from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(AccountError::IntoItself);
        }
        let mut ops = Vec::new();
        if let Some(&mailbox) = self.names.get(&*from) {
            ops.push(Op::RenameMailbox { mailbox, name: (&*to).into() });
        }
        for (name, &mailbox) in self.below(&from) {
            let moved = format!("{to}{}", &name[from.len()..]);
            checked(&moved)?;
            if self.names.contains_key(&*moved) {
                return Err(AccountError::MailboxExists);
            }
            ops.push(Op::RenameMailbox { mailbox, name: moved.into() });
        }
        if ops.is_empty() { Err(AccountError::NoSuchMailbox) } else { Ok(ops) }
    }

    /// RENAME of INBOX: a new mailbox takes its messages, INBOX stays and is empty (RFC 3501 §6.3.5). Its annotations are copied, unless that
    /// is more than the account may have (RFC 5464 §4.1).
    pub fn empty_inbox_into(&self, to: &str, now: i64) -> Result<Vec<Op>, AccountError> {
        let mut ops = self.create(to, now)?;
        let Some(Op::CreateMailbox { mailbox, .. }) = ops.first() else { unreachable!("create makes one op") };
        let (target, inbox) = (*mailbox, self.mailbox(MailboxId::INBOX).ok_or(AccountError::NotLoaded)?);
        ops.extend(self.annotations_copied(MailboxId::INBOX, target));
        ops.extend(super::messages::move_all(inbox, target));
        Ok(ops)
    }

    /// Into or out of the subscriptions. A name need not exist to be subscribed (RFC 3501 §6.3.6).
    pub fn subscribe(&self, name: &str, on: bool) -> Result<Vec<Op>, AccountError> {
        let name = if on { checked(name)? } else { canonical(name) };
        if on && self.subscriptions.len() >= MAILBOXES_PER_ACCOUNT_MAX {
            return Err(AccountError::TooManyMailboxes { max: MAILBOXES_PER_ACCOUNT_MAX });
        }
        if self.subscriptions.contains(&*name) == on {
            return Ok(Vec::new());
        }
        Ok(vec![Op::Subscribe { name: name.into(), on }])
    }

    /// True when some mailbox is below this name.
    pub fn has_children(&self, name: &str) -> bool {
        self.below(name).next().is_some()
    }

    fn below<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a MailboxId)> {
        let prefix = format!("{name}/");
        let from: Box<str> = prefix.as_str().into();
        self.names.range(from..).take_while(move |(name, _)| name.starts_with(&prefix)).map(|(name, id)| (&**name, id))
    }
}

/// A name fit to be created: canonical, within the bounds, no empty level, no control character.
fn checked(name: &str) -> Result<Cow<'_, str>, AccountError> {
    let name = canonical(name);
    if name.is_empty() {
        return Err(AccountError::BadName { why: "it is empty" });
    }
    if name.len() > MAILBOX_NAME_BYTES_MAX {
        return Err(AccountError::NameTooLong { max: MAILBOX_NAME_BYTES_MAX });
    }
    if name.split('/').count() > MAILBOX_DEPTH_MAX {
        return Err(AccountError::NameTooDeep { max: MAILBOX_DEPTH_MAX });
    }
    if name.split('/').any(str::is_empty) {
        return Err(AccountError::BadName { why: "it has an empty level" });
    }
    if name.chars().any(char::is_control) {
        return Err(AccountError::BadName { why: "it holds a control character" });
    }
    Ok(name)
}
