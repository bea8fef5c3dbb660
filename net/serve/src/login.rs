//! Who is this: the questions of an exchange, answered by the sources, and the waits of those who guess.
//!
//! ```text
//! question ──▶ wait, if this address or name has failed ──▶ sources ──▶ In(who) | Keys | No
//!                                                            │ wrong: counted, and the answer takes its time
//! ```

use crate::host::Host;
use crate::metrics::{self, Mechanism};
use skein_auth::{Accepted, Attempt, Fields, Home, Identity, Offload, Outcome, Refusal, Step, Unavailable};
use skein_base::seam::Clock;
use skein_base::{Class, Secret, UserName};
use skein_config::CertificateUser;
use skein_proto::sasl::{Bindings, Channel, Credentials, Question, ScramAnswer};
use skein_runtime::{RealClock, Side, sleep, spawn_blocking, timeout};
use skein_transport::{ChannelBindings, Conn, Endpoint};
use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The client, as far as a login cares.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    /// What it speaks.
    pub service: &'static str,
    /// Where it is.
    pub peer: Endpoint,
    /// Whose certificate it has shown.
    pub certificate: Option<&'a str>,
}

/// Whom the client's certificate names.
pub(crate) fn certified(host: &Host, conn: &Conn) -> Option<String> {
    let wanted = host.auth().state().settings.certificate_user;
    match (conn.client_names(), conn.forwarded_tls()) {
        (Some(names), _) => match wanted {
            CertificateUser::Email => names.email,
            CertificateUser::CommonName => names.common_name,
        },
        // A trusted proxy has verified it, and tells no other name.
        (None, Some(tls)) if wanted == CertificateUser::CommonName => tls.client_name.clone(),
        _ => None,
    }
}

/// What the machines may know of the connection.
pub(crate) fn channel(host: &Host, conn: &Conn) -> Channel {
    let bindings = conn.channel_bindings().filter(|seen| *seen != ChannelBindings::default());
    let bindings = bindings.map(|ChannelBindings { exporter, end_point }| Box::new(Bindings { exporter, end_point }));
    Channel { tls: conn.is_secure(), certified: certified(host, conn).is_some(), bindings }
}

/// Counts the connection for its address; false, with a word to the client, when the address has too many.
pub(crate) async fn admit_address(host: &Host, conn: &mut Conn, refusal: &[u8]) -> bool {
    let max = host.settings().connections_per_address_max;
    let Some(ip) = conn.peer().ip().filter(|_| max > 0) else { return true };
    if is_trusted(&host.auth().state().settings.trusted_networks, ip) {
        return true;
    }
    if let Some(slot) = host.addresses().try_take(ip, max) {
        conn.hold(slot);
        return true;
    }
    metrics::ADDRESSES_REFUSED.add(1);
    tracing::info!(peer = %conn.peer(), max, "too many connections from one address");
    if !conn.door().is_implicit_tls() {
        // Who does not read it misses nothing else.
        _ = conn.write_all(refusal).await;
    }
    false
}

/// The answer to a question.
pub(crate) enum Verdict {
    /// He is who he says; his session may begin on his shard.
    In(Accepted),
    /// Go on with these.
    Keys(Box<ScramAnswer>),
    /// Not in here, but on another server.
    Elsewhere { home: Home, reason: Option<String> },
    /// Not in, with a sentence for the client.
    No { class: Class, text: Cow<'static, str> },
}

/// Where the costly parts of a check run.
struct Elsewhere<'a> {
    side: &'a Side,
    patience: Duration,
}

impl Offload for Elsewhere<'_> {
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        spawn_blocking(work).await.ok()
    }

    async fn wait<T: Send + 'static>(&self, answer: Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
        timeout(self.patience, self.side.spawn(answer)).await.ok()?.ok()
    }

    fn now_ms(&self) -> u64 {
        RealClock.monotonic_ms()
    }
}

impl Host {
    /// Answers a question of the exchange with this client.
    pub(crate) async fn authenticate(&self, question: Question, client: Client<'_>) -> Verdict {
        let (from, mechanism) = (client.peer.ip(), Mechanism::of(&question));
        let counted = |outcome: &Outcome| metrics::login_ended(client.service, mechanism, outcome.as_ref().err());
        match question {
            Question::Password(Credentials { authzid, user, password }) => {
                let who = Identity { user: &user, authzid: authzid.as_deref(), from };
                self.check_password(who, &password, client.peer, counted).await
            }
            Question::Keys { user, authzid, hash } => {
                let who = Identity { user: &user, authzid: authzid.as_deref(), from };
                self.hold_back(who, None).await;
                let nonce = self.chance();
                match (self.auth().keys(who, hash, &self.elsewhere()).await, nonce) {
                    (Ok(keys), Some(nonce)) => Verdict::Keys(Box::new(ScramAnswer { keys, nonce })),
                    _ => {
                        counted(&Err(Refusal::Unavailable));
                        unavailable(&user, client.peer)
                    }
                }
            }
            Question::Proof { user, authzid, hash, holds } => {
                let who = Identity { user: &user, authzid: authzid.as_deref(), from };
                let outcome = self.auth().proof(who, hash, holds, &self.elsewhere()).await;
                counted(&outcome);
                self.settle(outcome, who, None, client.peer).await
            }
            Question::Certificate { authzid } => {
                let user = client.certificate.unwrap_or_default();
                let who = Identity { user, authzid: authzid.as_deref(), from };
                let outcome = self.auth().certificate(who, &self.elsewhere()).await;
                counted(&outcome);
                self.settle(outcome, who, None, client.peer).await
            }
        }
    }

    /// The account that a name stands for, his own or another, and what is said of it; `None` when no source knows it.
    ///
    /// # Errors
    /// A source could not be asked, and no other one knows the name.
    pub(crate) async fn account_of(&self, user: &UserName) -> Result<Option<(UserName, Arc<Fields>)>, Unavailable> {
        let found = self.auth().find(user, &self.elsewhere()).await?;
        let named = |fields: Arc<Fields>| (fields.user.clone().unwrap_or_else(|| user.clone()), fields);
        Ok(found.map(|entry| named(entry.fields)))
    }

    /// Tries a login without one, for an operator: what each source says, what it comes to, and how long (ms) a client at
    /// that address would have waited before. Nothing is counted or remembered.
    pub async fn try_login(&self, who: Identity<'_>, password: &Secret) -> (Vec<Step>, Outcome, u64) {
        let attempt = self.counted(who, Some(password));
        let waits_ms = attempt.map_or(0, |attempt| self.penalties().delay_ms(attempt, RealClock.monotonic_ms()));
        let (steps, outcome) = self.auth().trial(who, password, &self.elsewhere()).await;
        (steps, outcome, waits_ms)
    }

    async fn check_password(
        &self,
        who: Identity<'_>,
        password: &Secret,
        peer: Endpoint,
        counted: impl Fn(&Outcome),
    ) -> Verdict {
        // Who is known to be right has nothing to wait for, and learns nothing that the login would not tell him.
        if !self.auth().remembers(who, password, RealClock.monotonic_ms()) {
            self.hold_back(who, Some(password)).await;
        }
        let outcome = self.auth().password(who, password, &self.elsewhere()).await;
        counted(&outcome);
        self.settle(outcome, who, Some(password), peer).await
    }

    /// Waits as long as this address or name has to.
    async fn hold_back(&self, who: Identity<'_>, password: Option<&Secret>) {
        if let Some(attempt) = self.counted(who, password) {
            let delay_ms = self.penalties().delay_ms(attempt, RealClock.monotonic_ms());
            if delay_ms > 0 {
                metrics::LOGINS_HELD_BACK.observe(delay_ms);
                self.pause(delay_ms).await;
            }
        }
    }

    /// Counts the outcome and puts it into words. A refusal takes its time.
    async fn settle(&self, outcome: Outcome, who: Identity<'_>, password: Option<&Secret>, peer: Endpoint) -> Verdict {
        let attempt = self.counted(who, password);
        let now_ms = RealClock.monotonic_ms();
        let refusal = match outcome {
            Ok(accepted) => {
                if let Some(attempt) = attempt {
                    self.penalties().succeeded(attempt, now_ms);
                }
                if let Some(master) = &accepted.master {
                    tracing::info!(user = %accepted.user, %master, %peer, "a master user logs in");
                }
                return Verdict::In(accepted);
            }
            Err(Refusal::Unavailable) => return unavailable(who.user, peer),
            Err(Refusal::Elsewhere { home, reason }) => {
                if let Some(attempt) = attempt {
                    self.penalties().succeeded(attempt, now_ms);
                }
                tracing::info!(user = who.user, %peer, host = home.host, "a login is referred to another server");
                return Verdict::Elsewhere { home, reason };
            }
            Err(refusal) => refusal,
        };
        if let (Refusal::Wrong, Some(attempt)) = (&refusal, attempt) {
            self.penalties().failed(attempt, now_ms);
        }
        tracing::info!(user = who.user, as_user = who.authzid, %peer, reason = ?refusal, "login refused");
        self.pause(u64::from(self.auth().state().settings.failure_delay_ms)).await;
        let (class, text) = words(refusal);
        Verdict::No { class, text }
    }

    /// Waits, but not for longer than the server runs: a stop is not held up by who guesses.
    async fn pause(&self, ms: u64) {
        if !self.is_stopping() {
            let stop = self.stop_signal().notified();
            futures_lite::future::or(sleep(Duration::from_millis(ms)), stop).await;
        }
    }

    /// The attempt, unless nobody counts those of this client.
    fn counted<'a>(&self, who: Identity<'a>, password: Option<&'a Secret>) -> Option<Attempt<'a>> {
        let state = self.auth().state();
        let from =
            who.from.filter(|ip| state.settings.penalty && !is_trusted(&state.settings.trusted_networks, *ip))?;
        Some(Attempt { from, user: who.user, password: password.map(Secret::expose) })
    }

    fn elsewhere(&self) -> Elsewhere<'_> {
        let seconds = self.auth().state().settings.source_seconds_max;
        Elsewhere { side: self.side(), patience: Duration::from_secs(u64::from(seconds)) }
    }

    /// Fresh random bytes.
    pub(crate) fn chance<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()).ok()?;
        (got == N).then_some(bytes)
    }
}

/// Whether the operator trusts that address not to guess.
pub(crate) fn is_trusted(networks: &[skein_config::IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

fn unavailable(user: &str, peer: Endpoint) -> Verdict {
    tracing::warn!(user, %peer, "a login was put off: a source of users does not answer");
    Verdict::No {
        class: Class::Unavailable,
        text: "Logins can not be checked at the moment, please try again later".into(),
    }
}

/// What who is sent to another server reads.
pub(crate) fn elsewhere(reason: Option<String>) -> (Class, Cow<'static, str>) {
    (Class::Denied, reason.map_or("Try this server instead.".into(), Into::into))
}

/// What the client reads.
fn words(refusal: Refusal) -> (Class, Cow<'static, str>) {
    match refusal {
        Refusal::Wrong => (Class::Credentials, "User name or password is wrong".into()),
        Refusal::Elsewhere { reason, .. } => elsewhere(reason),
        Refusal::Locked { reason: Some(reason) } => (Class::Denied, reason.into()),
        Refusal::Locked { reason: None } => (Class::Denied, "This account is locked".into()),
        Refusal::NotFromHere => (Class::Denied, "This account can not log in from your address".into()),
        Refusal::MayNotActAs => (Class::Denied, "You can not act as that user".into()),
        Refusal::Unavailable => (Class::Unavailable, "Please try again later".into()),
    }
}
