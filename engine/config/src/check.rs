//! Rules between settings.

use crate::listener::Place;
use crate::parse::Reader;
use crate::quota_rule::QuotaRule;
use crate::quota_warning::QuotaWarning;
use skein_base::{UidlFormat, UserName};

/// Adds what is wrong between settings that are each right by themselves.
pub(crate) fn check(reader: &mut Reader<'_>) {
    certificate_and_key(reader);
    somebody_can_log_in(reader);
    addresses_differ(reader);
    log_can_be_filtered(reader);
    pop3_can_work(reader);
    one_limit_of_messages(reader);
    quota_rules_read(reader);
    prefixes_fit(reader);
    group_with_user(reader);
    http_without_root(reader);
}

fn certificate_and_key(reader: &mut Reader<'_>) {
    let tls = &reader.config.tls;
    let (given, lacking) = match (&tls.cert, &tls.key) {
        (Some(_), None) => ("tls.cert", "tls.key"),
        (None, Some(_)) => ("tls.key", "tls.cert"),
        _ => return,
    };
    let place = reader.place(given);
    reader.problem(
        place,
        given,
        format!("needs {lacking} beside it: write both, or neither for a self-signed certificate"),
    );
}

fn prefixes_fit(reader: &mut Reader<'_>) {
    let namespaces = reader.config.namespaces.clone();
    if !reader.config.virtual_mailbox.is_empty() && namespaces.virtual_prefix.is_empty() {
        let key = "namespaces.virtual_prefix";
        reader.problem(reader.place(key), key, "is needed for virtual mailboxes: write \"Virtual/\"".to_owned());
    }
    let all = [
        ("namespaces.prefix", &namespaces.prefix),
        ("namespaces.shared_prefix", &namespaces.shared_prefix),
        ("namespaces.public_prefix", &namespaces.public_prefix),
        // Extensions may bring virtual mailboxes too, so also when the settings have none.
        ("namespaces.virtual_prefix", &namespaces.virtual_prefix),
    ];
    for (at, (key, prefix)) in all.iter().enumerate().filter(|(_, (_, prefix))| !prefix.is_empty()) {
        let level = prefix.strip_suffix('/').unwrap_or_default();
        let fits = !level.is_empty()
            && level.split('/').all(|l| !l.is_empty() && !l.chars().any(|c| c.is_control() || "%*".contains(c)));
        let first = level.split('/').next().unwrap_or_default();
        // INBOX has one spelling, and none but the user's own.
        let is_inbox = first.eq_ignore_ascii_case("INBOX") && (at > 0 || first != "INBOX");
        if !fits || is_inbox {
            let text = "is no prefix: write a name with a slash behind it, as \"shared/\"".to_owned();
            reader.problem(reader.place(key), key, text);
        }
        let other = all[..at].iter().find(|(_, other)| {
            !other.is_empty() && (prefix.starts_with(other.as_str()) || other.starts_with(prefix.as_str()))
        });
        if let Some((other, _)) = other {
            reader.problem(reader.place(key), key, format!("can not be told from {other}: write another one"));
        }
    }
    let owner = &namespaces.public_owner;
    if namespaces.public_prefix.is_empty() != owner.is_empty() {
        let (given, lacking) = match owner.is_empty() {
            true => ("namespaces.public_prefix", "namespaces.public_owner"),
            false => ("namespaces.public_owner", "namespaces.public_prefix"),
        };
        reader.problem(reader.place(given), given, format!("needs {lacking} beside it: write both, or neither"));
    }
    if let Some(error) = UserName::new(owner).err().filter(|_| !owner.is_empty()) {
        let key = "namespaces.public_owner";
        reader.problem(reader.place(key), key, format!("is no user: {error}"));
    }
}

fn one_limit_of_messages(reader: &mut Reader<'_>) {
    let imap = &reader.config.imap;
    if imap.message_limit > 0 && imap.save_limit > 0 {
        let place = reader.place("imap.save_limit");
        let text =
            "says nothing beside imap.message_limit, which is for COPY and APPEND too: write one of them".to_owned();
        reader.problem(place, "imap.save_limit", text);
    }
}

fn quota_rules_read(reader: &mut Reader<'_>) {
    let quota = &reader.config.quota;
    let of_all = "the user as a whole: write quota.storage_bytes, quota.messages or quota.mailboxes".to_owned();
    let wrong = match QuotaRule::parse_all(&quota.rules) {
        Err(error) => Some(error),
        Ok(rules) => rules.iter().any(QuotaRule::is_for_all).then(|| format!("a rule is about {of_all}")),
    };
    if let Some(error) = wrong {
        let place = reader.place("quota.rules");
        reader.problem(place, "quota.rules", format!("is wrong: {error}"));
    }
    let warnings = &reader.config.quota.warnings;
    if let Some(error) = warnings.iter().find_map(|text| QuotaWarning::parse(text).err()) {
        reader.problem(reader.place("quota.warnings"), "quota.warnings", format!("is wrong: {error}"));
    }
    for key in ["quota.root", "quota.exceeded_text"] {
        let quota = &reader.config.quota;
        let text = if key == "quota.root" { &quota.root } else { &quota.exceeded_text };
        if text.is_empty() || text.chars().any(char::is_control) {
            reader.problem(reader.place(key), key, "needs a text without line breaks".to_owned());
        }
    }
}

/// The page is served by a part that starts after root is given up.
fn http_without_root(reader: &mut Reader<'_>) {
    let config = &reader.config;
    let privileged = config.listeners.http.iter().find(|address| (1..1024).contains(&address.port())).copied();
    if let Some(address) = privileged.filter(|_| !config.safety.user.is_empty()) {
        let text = format!("{address} is bound after safety.user is become: write a port above 1023");
        reader.problem(reader.place("listeners.http"), "listeners.http", text);
    }
}

fn group_with_user(reader: &mut Reader<'_>) {
    if reader.config.safety.user.is_empty() && !reader.config.safety.group.is_empty() {
        let place = reader.place("safety.group");
        reader.problem(place, "safety.group", "needs safety.user beside it: write both, or neither");
    }
}

fn somebody_can_log_in(reader: &mut Reader<'_>) {
    if reader.config.auth.sources.is_empty() {
        let place = reader.place("auth.sources");
        let text = "nobody could log in: write sources = [{ driver = \"passwd-file\", path = \"users\" }] under [auth]";
        reader.problem(place, "auth.sources", text);
    }
}

/// Port 0 asks the kernel for any free one, so two of those are not the same.
fn addresses_differ(reader: &mut Reader<'_>) {
    let listeners = &reader.config.listeners;
    let services = [
        ("imap", &listeners.imap),
        ("imaps", &listeners.imaps),
        ("pop3", &listeners.pop3),
        ("pop3s", &listeners.pop3s),
        ("lmtp", &listeners.lmtp),
    ]
    .into_iter();
    let places = services.flat_map(|(name, list)| list.iter().map(move |listener| (name, listener.place.clone())));
    let places = places.chain(listeners.http.iter().map(|address| ("http", Place::Tcp(*address))));
    let fixed = places.filter(|(_, place)| !matches!(place, Place::Tcp(address) if address.port() == 0));
    let mut taken: Vec<(&str, Place)> = Vec::new();
    for (service, place) in fixed.collect::<Vec<_>>() {
        match taken.iter().find(|(_, other)| *other == place) {
            Some((by, _)) => {
                let key = format!("listeners.{service}");
                let text = format!("{place} is taken by listeners.{by}: write another port or path");
                reader.problem(reader.place(&key), &key, text);
            }
            None => taken.push((service, place)),
        }
    }
}

/// Levels of parts that can be read.
fn log_can_be_filtered(reader: &mut Reader<'_>) {
    if let Err(error) = crate::modules::module_levels(&reader.config.log.modules) {
        let place = reader.place("log.modules");
        reader.problem(place, "log.modules", format!("is wrong: {error}"));
    }
}

/// Ids that are unique for good, and a keyword that is one.
fn pop3_can_work(reader: &mut Reader<'_>) {
    if let Err(error) = UidlFormat::parse(&reader.config.pop3.uidl_format) {
        let place = reader.place("pop3.uidl_format");
        reader.problem(place, "pop3.uidl_format", error.to_string());
    }
    let keyword = &reader.config.pop3.deleted_flag;
    if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b)) {
        let place = reader.place("pop3.deleted_flag");
        let text = "is no keyword: write printable ASCII characters without spaces and without ( ) { % * \" \\ ]";
        reader.problem(place, "pop3.deleted_flag", text);
    }
}
