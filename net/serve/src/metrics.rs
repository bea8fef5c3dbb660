//! What sessions count.

use skein_auth::Refusal;
use skein_base::Class;
use skein_base::scram::ScramHash;
use skein_proto::sasl::Question;
use skein_runtime::metrics::{Counter, Gauge, Histogram};

/// Services, in the order of the rows below.
const SERVICES: [&str; 3] = ["imap", "pop3", "lmtp"];

/// One row of metrics a service: `each!(Counter, "name", "help", [..labels])`.
macro_rules! each {
    ($kind:ident, $name:literal, $help:literal $(, $label:literal => $value:literal)*) => {
        [
            $kind::labelled($name, $help, &[("protocol", "imap") $(, ($label, $value))*]),
            $kind::labelled($name, $help, &[("protocol", "pop3") $(, ($label, $value))*]),
            $kind::labelled($name, $help, &[("protocol", "lmtp") $(, ($label, $value))*]),
        ]
    };
}

/// Counters of one name, a label value each.
macro_rules! counters {
    ($name:literal, $help:literal, $label:literal: $($value:literal),+) => {
        [$(Counter::labelled($name, $help, &[($label, $value)])),+]
    };
}

/// Logins by how they came and what came of them; the columns are the outcomes.
macro_rules! logins {
    ($($protocol:literal, $mechanism:literal;)+) => {[$(logins!(@row $protocol, $mechanism, "ok", "wrong", "locked", "not_from_here", "may_not_act_as", "unavailable")),+]};
    (@row $protocol:literal, $mechanism:literal, $($result:literal),+) => {[$(Counter::labelled(
        "skein_logins",
        "Logins by protocol, mechanism and what came of them.",
        &[("protocol", $protocol), ("mechanism", $mechanism), ("result", $result)],
    )),+]};
}

static LOGINS: [[Counter; 6]; 8] = logins! {
    "imap", "password";
    "imap", "scram-sha-1";
    "imap", "scram-sha-256";
    "imap", "external";
    "pop3", "password";
    "pop3", "scram-sha-1";
    "pop3", "scram-sha-256";
    "pop3", "external";
};

/// How a client says who it is, as far as the metrics tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mechanism {
    Password,
    ScramSha1,
    ScramSha256,
    External,
}

impl Mechanism {
    pub fn of(question: &Question) -> Mechanism {
        match question {
            Question::Password(_) => Mechanism::Password,
            Question::Keys { hash, .. } | Question::Proof { hash, .. } => match hash {
                ScramHash::Sha1 => Mechanism::ScramSha1,
                ScramHash::Sha256 => Mechanism::ScramSha256,
            },
            Question::Certificate { .. } => Mechanism::External,
        }
    }
}

/// Counts what came of a login.
pub(crate) fn login_ended(service: &str, mechanism: Mechanism, refusal: Option<&Refusal>) {
    let row = mechanism as usize + if service == "pop3" { 4 } else { 0 };
    let column = match refusal {
        None => 0,
        Some(Refusal::Wrong) => 1,
        Some(Refusal::Locked { .. } | Refusal::Elsewhere { .. }) => 2,
        Some(Refusal::NotFromHere) => 3,
        Some(Refusal::MayNotActAs) => 4,
        Some(Refusal::Unavailable) => 5,
    };
    LOGINS[row][column].add(1);
}

/// How long logins had to wait because the address or the name had failed before.
pub static LOGINS_HELD_BACK: Histogram = Histogram::new(
    "skein_login_held_back_seconds",
    "Waits of logins whose address or name had failed before.",
    &[2000, 4000, 8000, 15_000],
    1e-3,
);
/// Connections closed because their address had too many.
pub static ADDRESSES_REFUSED: Counter =
    Counter::new("skein_addresses_refused", "Connections closed because their address had too many.");
/// Logins that were right and refused because the user had too many connections.
pub static USERS_REFUSED: Counter =
    Counter::new("skein_users_refused", "Logins refused because the user had too many connections.");
/// Connections handed to another shard after login.
pub static MOVES: Counter = Counter::new("skein_connections_moved", "Connections moved to their user's shard.");
/// Messages that POP3 clients retrieved.
pub static POP3_RETRIEVED: Counter = Counter::new("skein_pop3_retrieved", "Messages retrieved by POP3 clients.");
/// Messages that POP3 clients deleted.
pub static POP3_DELETED: Counter = Counter::new("skein_pop3_deleted", "Messages deleted by POP3 clients.");
/// Messages that came in from outside, once for each shard that takes them.
pub static MESSAGES_TAKEN: Counter =
    Counter::new("skein_messages_taken", "Messages that came in by LMTP, APPEND or import and were logged.");
/// Bytes of them.
pub static MESSAGES_TAKEN_BYTES: Counter = Counter::new("skein_messages_taken_bytes", "Bytes of them.");

/// Messages that left by themselves.
pub static AUTOEXPUNGED: Counter =
    Counter::new("skein_autoexpunge_messages", "Messages that autoexpunge has expunged.");

static DELIVERIES: [Counter; 9] = counters!(
    "skein_deliveries", "Deliveries by what came of them, one per recipient.", "result":
    "stored", "no_user", "over_quota", "too_big", "busy", "disk_full", "damaged", "denied", "other"
);

/// Counts what came of a delivery to one recipient.
pub(crate) fn delivery_ended(refusal: Option<Class>) {
    let which = match refusal {
        None => 0,
        Some(Class::Missing) => 1,
        Some(Class::Quota) => 2,
        Some(Class::TooBig) => 3,
        Some(Class::Unavailable | Class::Limit | Class::InUse) => 4,
        Some(Class::Full) => 5,
        Some(Class::Damaged) => 6,
        Some(Class::Denied) => 7,
        Some(Class::Invalid | Class::Exists | Class::Credentials) => 8,
    };
    DELIVERIES[which].add(1);
}

/// Messages delivered, one per recipient.
pub fn deliveries_stored() -> u64 {
    DELIVERIES[0].total()
}

static TLS: [Counter; 4] = counters!(
    "skein_tls_handshakes", "TLS handshakes by the version agreed on.", "version":
    "TLSv1.3", "TLSv1.2", "other", "failed"
);

/// Counts a handshake; `None` for one that failed.
pub(crate) fn handshake_ended(version: Option<&str>) {
    let which = match version {
        Some("TLSv1_3") => 0,
        Some("TLSv1_2") => 1,
        Some(_) => 2,
        None => 3,
    };
    TLS[which].add(1);
}

static CONNECTIONS: [Gauge; 3] = each!(Gauge, "skein_connections", "Open connections.");
static SESSIONS: [Gauge; 3] = each!(Gauge, "skein_sessions", "Sessions of users who are logged in.");
static SESSIONS_STARTED: [Counter; 3] = each!(Counter, "skein_sessions_started", "Connections that became sessions.");
static BYTES_IN: [Counter; 3] =
    each!(Counter, "skein_session_bytes", "Bytes of sessions, without TLS.", "direction" => "in");
static BYTES_OUT: [Counter; 3] =
    each!(Counter, "skein_session_bytes", "Bytes of sessions, without TLS.", "direction" => "out");

fn row(service: &str) -> usize {
    SERVICES.iter().position(|name| *name == service).expect("a service is one of these")
}

/// The open connections of a service.
pub(crate) fn connections(service: &str) -> &'static Gauge {
    &CONNECTIONS[row(service)]
}

/// The logged-in sessions of a service.
pub(crate) fn sessions(service: &str) -> &'static Gauge {
    &SESSIONS[row(service)]
}

/// Counts a session that begins.
pub(crate) fn session_started(service: &str) {
    SESSIONS_STARTED[row(service)].add(1);
}

/// Counts what went over a session's connection since the last time.
pub(crate) fn session_bytes(service: &str, bytes_in: u64, bytes_out: u64) {
    BYTES_IN[row(service)].add(bytes_in);
    BYTES_OUT[row(service)].add(bytes_out);
}

/// Makes them known to the rendering.
pub fn register() {
    let singles = [
        &ADDRESSES_REFUSED,
        &USERS_REFUSED,
        &MOVES,
        &POP3_RETRIEVED,
        &POP3_DELETED,
        &MESSAGES_TAKEN,
        &MESSAGES_TAKEN_BYTES,
        &AUTOEXPUNGED,
    ];
    let rows = [&SESSIONS_STARTED, &BYTES_IN, &BYTES_OUT].into_iter().flatten();
    let counters = singles.into_iter().chain(&DELIVERIES).chain(&TLS).chain(LOGINS.iter().flatten()).chain(rows);
    counters.for_each(|counter| counter.register());
    CONNECTIONS.iter().chain(&SESSIONS[..2]).for_each(|gauge| gauge.register());
    LOGINS_HELD_BACK.register();
    crate::proxy::register();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_column_of_its_own() {
        let refusals = [
            Refusal::Wrong,
            Refusal::Locked { reason: None },
            Refusal::NotFromHere,
            Refusal::MayNotActAs,
            Refusal::Unavailable,
        ];
        login_ended("pop3", Mechanism::External, None);
        refusals.iter().for_each(|refusal| login_ended("pop3", Mechanism::External, Some(refusal)));
        assert!(LOGINS[7].iter().all(|counter| counter.total() == 1));
        assert!(LOGINS[..7].iter().flatten().all(|counter| counter.total() == 0));
    }
}
