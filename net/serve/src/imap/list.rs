//! LIST and LSUB: which names match, and what is said of each.

use super::guest::Listed;
use super::link::Link;
use super::metadata;
use super::session::Session;
use super::spaces::{Space, Spaces};
use skein_acl::my_rights_line;
use skein_base::{MailboxId, Rights, SpecialUse};
use skein_config::{MailboxRule, NamespaceList, VirtualMailbox};
use skein_proto::imap::response::{self, ListAttributes, Listing};
use skein_proto::imap::{Code, Depth, ListOptions, Reply};
use skein_store::account::{Account, Named};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Names looked at before the output is.
const BATCH: usize = 256;

/// What is asked.
pub(super) struct Wanted {
    pub reference: String,
    pub patterns: Vec<String>,
    pub lsub: bool,
    pub options: ListOptions,
}

/// What there is of one name.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The mailbox, when there is one.
    real: bool,
    /// Its identity, when it is the user's own.
    id: Option<MailboxId>,
    /// What may be done with it, where that is a question.
    rights: Option<Rights>,
    /// Mailboxes below it exist.
    children: bool,
    subscribed: bool,
    /// Names below it are subscribed.
    subscribed_below: bool,
    /// A namespace begins below it that is shown with nothing in it too.
    space: bool,
    uses: SpecialUse,
}

/// A line to be written.
struct Line {
    name: String,
    /// There is a mailbox, and it is what was asked for itself, so that more is said of it: nothing is of one that is there for names below it
    /// (RFC 5819 §3, RFC 8440 §4).
    more: bool,
    /// Its identity, when it is the user's own.
    id: Option<MailboxId>,
    rights: Option<Rights>,
    attributes: ListAttributes,
    uses: SpecialUse,
    below: Vec<&'static str>,
}

impl Session {
    pub(super) async fn list(&mut self, wanted: &Wanted, is_extended: bool, link: &mut Link<'_>) -> io::Result<Reply> {
        let texts: Vec<String> = wanted.patterns.iter().map(|one| format!("{}{one}", wanted.reference)).collect();
        let shows =
            |space: &Space| space.list != NamespaceList::No || texts.iter().any(|text| text.starts_with(&space.prefix));
        let mut shared = self.shared_names(shows).await;
        let settings = self.host.settings();
        let known = self.account.read(|account| {
            let mut known = names(account, &settings.config.mailbox);
            for one in known.values_mut() {
                one.rights = one.id.map(|id| self.extensions.rights(&self.actor, account, id));
            }
            let mut shown = known.keys().chain(shared.iter().map(|one| &one.name)).cloned().collect();
            self.extensions.listing(&self.actor, account, &mut shown);
            let shown: BTreeSet<String> = shown.into_iter().collect();
            known.retain(|name, _| name == "INBOX" || shown.contains(name));
            shared.retain(|one| shown.contains(&one.name));
            match &self.spaces {
                Some(spaces) => in_spaces(known, spaces, (shared, &settings.config.virtual_mailbox), shows),
                None => known,
            }
        });
        let lines = lines(&known, wanted, is_extended);
        let entries = wanted.options.metadata.clone();
        let annotations = metadata::Wanted { entries, max_bytes: None, depth: Depth::Zero };
        for (i, line) in lines.iter().enumerate() {
            let Line { name, more, id, rights, uses, below, .. } = line;
            let mut attributes = line.attributes;
            let status = match wanted.options.status.filter(|_| *more) {
                Some(items) => Some((items, self.status_anywhere(name, items, link).await?)),
                None => None,
            };
            // It went meanwhile, or may not be read any more: LIST says so, and there is no STATUS (RFC 5819 §2).
            if let Some((_, Reply::No { code: Some(Code::NonExistent | Code::NoPerm), .. })) = &status {
                attributes = attributes | ListAttributes::NO_SELECT;
            }
            let xlist = wanted.options.xlist;
            let listing = Listing { lsub: wanted.lsub, xlist, attributes, uses: *uses, below, old_name: None };
            let names = link.names();
            response::list(link.out(), &listing, name, names);
            if let Some((items, Reply::Status(info))) = status {
                response::status(link.out(), name, items, &info, names);
            }
            if let Some(rights) = rights.filter(|_| wanted.options.rights && *more) {
                my_rights_line(link.out(), name, rights, names);
            }
            match id {
                _ if !*more || annotations.entries.is_empty() => {}
                Some(id) => drop(self.tell_metadata(Some(*id), &annotations, link).await?),
                None => self.metadata_elsewhere(name, &annotations.entries, link).await?,
            }
            if wanted.options.status.is_some() || i % BATCH == BATCH - 1 {
                link.drain_if_full(self).await?;
                skein_runtime::session_yield().await;
            }
        }
        Ok(Reply::Done)
    }
}

/// The lines for LIST or LSUB.
///
/// The interpretation is reference and pattern joined (RFC 3501 §6.3.8). Names that only hold others are listed with
/// `\Noselect`, or in the extended form `\NonExistent`, and mailboxes that may not be read with `\Noselect`. LSUB shows a parent of a subscribed name when `%` stops at it (RFC 3501 §6.3.9).
fn lines(known: &BTreeMap<String, Known>, wanted: &Wanted, is_extended: bool) -> Vec<Line> {
    let texts: Vec<String> = wanted.patterns.iter().map(|pattern| format!("{}{pattern}", wanted.reference)).collect();
    let patterns: Vec<Pattern<'_>> = texts.iter().map(|text| Pattern::new(text)).collect();
    let matches = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let options = &wanted.options;
    let is_selected = |known: &Known| match wanted.lsub {
        true => known.subscribed || known.subscribed_below && patterns[0].stops_at_level(),
        false if options.subscribed || options.special_use => {
            (known.subscribed || !options.subscribed) && (!known.uses.is_none() || !options.special_use)
        }
        false => known.real || known.children || known.space,
    };
    // Those that are selected and that no pattern shows, for the names above them.
    let mut hidden: Vec<&str> = Vec::new();
    if options.recursive {
        hidden = known.iter().filter(|(name, known)| is_selected(known) && !matches(name)).map(|(n, _)| &**n).collect();
    }
    let mut lines = Vec::new();
    for (name, one) in known.iter().filter(|(name, _)| matches(name)) {
        let is_below = |below: &&&str| below.strip_prefix(&**name).is_some_and(|rest| rest.starts_with('/'));
        let has_hidden = hidden.iter().any(|below| is_below(&below));
        if !is_selected(one) && !has_hidden {
            continue;
        }
        let told = [(options.subscribed, "SUBSCRIBED"), (options.special_use, "SPECIAL-USE")];
        let below = told.into_iter().filter(|(asked, _)| *asked && has_hidden).map(|(_, word)| word).collect();
        let Known { real, id, rights, .. } = *one;
        let more = real && is_selected(one);
        let uses = if wanted.lsub { SpecialUse::NONE } else { one.uses };
        lines.push(Line {
            name: name.clone(),
            more,
            id,
            rights,
            attributes: attributes(one, wanted, is_extended),
            uses,
            below,
        });
    }
    // INBOX first, as clients expect.
    lines.sort_by_key(|line| line.name != "INBOX");
    lines
}

fn attributes(known: &Known, wanted: &Wanted, is_extended: bool) -> ListAttributes {
    let children = if known.children { ListAttributes::HAS_CHILDREN } else { ListAttributes::HAS_NO_CHILDREN };
    if wanted.lsub {
        // \HasChildren speaks of mailboxes, not of subscriptions.
        return if known.subscribed { children } else { ListAttributes::NO_SELECT | ListAttributes::HAS_CHILDREN };
    }
    let is_told = wanted.options.tell_subscribed && known.subscribed;
    let subscribed = if is_told { ListAttributes::SUBSCRIBED } else { ListAttributes::NONE };
    let existence = match (known.real, is_extended) {
        (true, _) if known.rights.is_some_and(|rights| !rights.contains(Rights::READ)) => ListAttributes::NO_SELECT,
        (true, _) => ListAttributes::NONE,
        (false, true) => ListAttributes::NON_EXISTENT,
        (false, false) => ListAttributes::NO_SELECT,
    };
    existence | children | subscribed
}

/// What mailboxes are for: what a client said; of the others what the settings say, unless a client said that of another one; and of the rest
/// what their names say, unless somebody said that of another one.
pub(super) struct Uses<'a> {
    rules: &'a [MailboxRule],
    said: SpecialUse,
    /// What the settings say of mailboxes that there are.
    ruled: SpecialUse,
}

impl<'a> Uses<'a> {
    pub(super) fn new(account: &Account, rules: &'a [MailboxRule]) -> Uses<'a> {
        let said = account.mailboxes().fold(SpecialUse::NONE, |uses, m| uses | m.special_use);
        let real = rules.iter().filter(|rule| !rule.special_use.is_none() && account.find(&rule.name).is_some());
        Uses { rules, said, ruled: real.fold(SpecialUse::NONE, |uses, rule| uses | rule.special_use) }
    }

    pub(super) fn of(&self, mailbox: &Named<'_>) -> SpecialUse {
        let unless = |uses: SpecialUse, taken: SpecialUse| if taken.shares(uses) { SpecialUse::NONE } else { uses };
        match (mailbox.special_use, ruled(self.rules, mailbox.name)) {
            (SpecialUse::NONE, SpecialUse::NONE) => unless(SpecialUse::by_name(mailbox.name), self.said | self.ruled),
            (SpecialUse::NONE, ruled) => unless(ruled, self.said),
            (said, _) => said,
        }
    }

    /// Whether this mailbox is for something as long as nobody says so of another one.
    pub(super) fn is_by_name(mailbox: &Named<'_>, rules: &[MailboxRule]) -> bool {
        !(SpecialUse::by_name(mailbox.name) | ruled(rules, mailbox.name)).is_none()
    }
}

/// What the settings say that a mailbox is for.
fn ruled(rules: &[MailboxRule], name: &str) -> SpecialUse {
    rules.iter().find(|rule| rule.name == name).map_or(SpecialUse::NONE, |rule| rule.special_use)
}

/// What is said of one name in the extended form, with whether it is subscribed; without a look at all others, unless its name speaks of a
/// use.
pub(super) fn listed(account: &Account, rules: &[MailboxRule], name: &str) -> (ListAttributes, SpecialUse) {
    let mailbox = account.find(name);
    let is = |is: bool, attribute: ListAttributes| if is { attribute } else { ListAttributes::NONE };
    let has_children = account.has_children(name);
    let children = is(has_children, ListAttributes::HAS_CHILDREN) | is(!has_children, ListAttributes::HAS_NO_CHILDREN);
    let existence = is(mailbox.is_none(), ListAttributes::NON_EXISTENT);
    let subscribed = is(account.is_subscribed(name), ListAttributes::SUBSCRIBED);
    let uses = mailbox.map_or(SpecialUse::NONE, |mailbox| match Uses::is_by_name(&mailbox, rules) {
        true => Uses::new(account, rules).of(&mailbox),
        false => mailbox.special_use,
    });
    (children | existence | subscribed, uses)
}

/// All names: mailboxes, what is subscribed, and what is above them.
fn names(account: &Account, rules: &[MailboxRule]) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    let uses = Uses::new(account, rules);
    for mailbox in account.mailboxes() {
        let known = add(&mut all, mailbox.name);
        known.id = Some(mailbox.id);
        known.uses = uses.of(&mailbox);
    }
    account.subscriptions().for_each(|name| subscribe(&mut all, name));
    all
}

/// A subscription, and what is above it.
fn subscribe(all: &mut BTreeMap<String, Known>, name: &str) {
    for (at, _) in name.match_indices('/') {
        all.entry(name[..at].to_owned()).or_default().subscribed_below = true;
    }
    all.entry(name.to_owned()).or_default().subscribed = true;
}

/// The names of the account and those of others, as the client has them.
fn in_spaces(
    known: BTreeMap<String, Known>,
    spaces: &Spaces,
    (shared, virtuals): (Vec<Listed>, &[VirtualMailbox]),
    shows: impl Fn(&Space) -> bool,
) -> BTreeMap<String, Known> {
    let mut all = BTreeMap::new();
    for (name, one) in known {
        let told = spaces.told(&name);
        if one.real && spaces.in_virtuals(&name).is_none() {
            let known = add(&mut all, &told);
            (known.id, known.rights, known.uses) = (one.id, one.rights, one.uses);
        }
        if one.subscribed && spaces.other(&name).is_none_or(|space| space.subscriptions) {
            subscribe(&mut all, &told);
        }
    }
    for Listed { name, uses, rights } in shared {
        let known = add(&mut all, &name);
        (known.uses, known.rights) = (uses, Some(rights));
    }
    for one in virtuals {
        if let Some(name) = spaces.virtual_name(&one.name) {
            add(&mut all, &name).uses = one.special_use;
        }
    }
    for space in spaces.others().filter(|space| space.list == NamespaceList::Yes && shows(space)) {
        space
            .prefix
            .match_indices('/')
            .for_each(|(at, _)| all.entry(space.prefix[..at].to_owned()).or_default().space = true);
    }
    all
}

/// A mailbox, and what is above it.
fn add<'a>(all: &'a mut BTreeMap<String, Known>, name: &str) -> &'a mut Known {
    for (at, _) in name.match_indices('/') {
        all.entry(name[..at].to_owned()).or_default().children = true;
    }
    let known = all.entry(name.to_owned()).or_default();
    known.real = true;
    known
}

/// A LIST pattern: `*` is anything, `%` anything within a level.
pub(super) struct Pattern<'a> {
    text: std::borrow::Cow<'a, str>,
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a str) -> Pattern<'a> {
        // INBOX is one name in any case; a pattern whose first level spells it means it.
        let first = text.split('/').next().unwrap_or("");
        if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
            return Pattern { text: format!("INBOX{}", &text[5..]).into() };
        }
        Pattern { text: text.into() }
    }

    fn stops_at_level(&self) -> bool {
        self.text.ends_with('%')
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        wildcard(self.text.as_bytes(), name.as_bytes())
            || (name == "INBOX" && wildcard(self.text.to_ascii_uppercase().as_bytes(), b"INBOX"))
    }
}

/// Linear-space match; time is bounded by pattern times name, both bounded by the parser.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    // reach[i]: the pattern read so far matches the first i bytes of the name.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for &p in pattern {
        match p {
            b'*' | b'%' => {
                for i in 1..=name.len() {
                    reach[i] |= reach[i - 1] && (p == b'*' || name[i - 1] != b'/');
                }
            }
            _ => {
                for i in (1..=name.len()).rev() {
                    reach[i] = reach[i - 1] && name[i - 1] == p;
                }
                reach[0] = false;
            }
        }
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_know_levels() {
        for (pattern, name, expect) in [
            ("*", "a/b", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("%/%", "a/b", true),
            ("inbox", "INBOX", true),
            ("in%", "INBOX", true),
            ("iNbOx/x", "INBOX/x", true),
            ("", "a", false),
            ("a", "ab", false),
            ("***%%%*", "anything/at/all", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expect, "{pattern} {name}");
        }
    }
}
