//! One claim of one client, checked: as himself, as a master user, by password, proof or certificate.

use crate::cache::{Cache, Key, Realm};
use crate::entry::{Entry, Fields, Home};
use crate::hash::Scram;
use crate::offload::Offload;
use crate::shared::{SharedAuth, State};
use crate::source::{ScramSample, Unavailable};
use crate::sources::{Ranked, Sources};
use crate::trial::{Step, Told};
use crate::walk::{Claim, End, settle};
use skein_base::limits::PASSWORD_BYTES_MAX;
use skein_base::scram::{ITERATIONS, ScramHash, ScramKeys};
use skein_base::{Secret, UserName};
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of a salt that we choose.
const SALT_BYTES: usize = 16;

/// Checks claims for one shard.
pub struct Auth {
    shared: Arc<SharedAuth>,
    local: RefCell<Local>,
}

/// The sources as this shard saw them last, with what it remembers of them.
struct Local {
    state: Arc<State>,
    cache: Cache,
    looks: CacheLooks,
}

/// What the cache of verdicts knew when it was asked. They only rise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CacheLooks {
    /// It is the password.
    pub accepted: u64,
    /// It is not.
    pub refused: u64,
    /// Nothing: the sources were asked.
    pub missed: u64,
}

/// Who says to be whom.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Whose password or proof it is.
    pub user: &'a str,
    /// Whose mail is asked for, when it is not the user's own.
    pub authzid: Option<&'a str>,
    /// Where the client is; `None` for a Unix socket.
    pub from: Option<IpAddr>,
}

/// Who may in.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Whose mail it is.
    pub user: UserName,
    /// The master user who acts for him.
    pub master: Option<UserName>,
    /// Whose password it was is an administrator, by his field `admin`.
    pub admin: bool,
    /// What the sources say of the user.
    pub fields: Arc<Fields>,
}

/// Why somebody may not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Wrong password, or nobody is called so. Counts as a guess.
    Wrong,
    /// The password is right; the account is locked.
    Locked {
        /// What the operator wants the user to read.
        reason: Option<String>,
    },
    /// The password is right; his mail is on another server.
    Elsewhere {
        /// Which.
        home: Home,
        /// What the operator wants the user to read.
        reason: Option<String>,
    },
    /// The password is right; not from this address.
    NotFromHere,
    /// The password is right; he may not act as that user, or there is none.
    MayNotActAs,
    /// A source could not be asked. Nobody's fault here; to be tried again later.
    Unavailable,
}

/// What a check says.
pub type Outcome = Result<Accepted, Refusal>;

/// The names of a claim, taken apart.
struct Names {
    user: UserName,
    master: Option<UserName>,
}

impl Auth {
    /// One shard's view of the shared sources.
    pub fn new(shared: Arc<SharedAuth>) -> Auth {
        let state = shared.state();
        let cache = Cache::new(&state.settings, shared.cache_key);
        Auth { shared, local: RefCell::new(Local { state, cache, looks: CacheLooks::default() }) }
    }

    /// The sources in force.
    pub fn state(&self) -> Arc<State> {
        let mut local = self.local.borrow_mut();
        if local.state.generation != self.shared.generation() {
            local.state = self.shared.state();
            local.cache = Cache::new(&local.state.settings, self.shared.cache_key);
        }
        local.state.clone()
    }

    /// How often the cache helped.
    pub fn cache_looks(&self) -> CacheLooks {
        self.local.borrow().looks
    }

    /// Forgets every verdict, as after a change in a source that is no file.
    pub fn forget(&self) {
        self.local.borrow_mut().cache.clear();
    }

    /// Whether a check of this password would cost nothing because it is remembered as right.
    pub fn remembers(&self, who: Identity<'_>, password: &Secret, now_ms: u64) -> bool {
        let state = self.state();
        let Some(Names { user, master }) = names(&state, who) else { return false };
        let (realm, name) = match &master {
            Some(master) => (Realm::Masters, master),
            None => (Realm::Users, &user),
        };
        let mut local = self.local.borrow_mut();
        let key = local.cache.key(realm, name, password);
        matches!(local.cache.verdict(&key, now_ms), Some(Ok(_)))
    }

    /// A user and his password, or a master user's: `user*master`, or another authzid.
    ///
    /// Empty passwords and those over [`PASSWORD_BYTES_MAX`] are refused whatever the sources say.
    pub async fn password(&self, who: Identity<'_>, password: &Secret, offload: &impl Offload) -> Outcome {
        self.password_telling(who, password, offload, None).await
    }

    pub(crate) async fn password_telling(
        &self,
        who: Identity<'_>,
        password: &Secret,
        offload: &impl Offload,
        told: Told<'_>,
    ) -> Outcome {
        if password.is_empty() || password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(Refusal::Wrong);
        }
        let state = self.state();
        let Some(Names { user, master }) = names(&state, who) else {
            imitate(&state, password, offload).await;
            return Err(Refusal::Wrong);
        };
        let Some(master) = master else {
            let fields = self.check(&state, Realm::Users, &user, (password, told), offload).await?;
            return let_in(user, None, fields, who.from);
        };
        match self.check(&state, Realm::Masters, &master, (password, told), offload).await {
            Ok(fields) => act_for(&state, user, master, &fields, who.from, offload).await,
            // Someone else's name behind his own password: he is told that he can not, and strangers are not.
            Err(Refusal::Wrong) if who.authzid.is_some() => {
                self.check(&state, Realm::Users, &master, (password, told), offload).await?;
                Err(Refusal::MayNotActAs)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// What SCRAM needs to know of a user. Whoever has no keys gets some that nothing fits, always the same.
    ///
    /// # Errors
    /// A source could not be asked.
    pub async fn keys(
        &self,
        who: Identity<'_>,
        hash: ScramHash,
        offload: &impl Offload,
    ) -> Result<ScramKeys, Unavailable> {
        let state = self.state();
        let Some(Names { user, master }) = names(&state, who) else {
            return Ok(self.decoy_keys(&state.users, hash, who.user, offload).await);
        };
        let (sources, user) = match &master {
            Some(master) => (&state.masters, master),
            None => (&state.users, &user),
        };
        let entry = match sources.walk(user, Claim::Scram(hash), offload).await.end {
            End::Passed(entry) => entry,
            End::Unavailable => return Err(Unavailable),
            End::Failed => return Ok(self.decoy_keys(sources, hash, user.as_str(), offload).await),
        };
        match entry.hash.scram(hash) {
            Scram::Keys(keys) => Ok(keys.clone()),
            Scram::Password(password) => {
                let salt = ScramKeys::decoy(hash, &self.shared.secret, user.as_str(), ITERATIONS, SALT_BYTES).salt;
                let password = password.clone();
                let keys = move || ScramKeys::derive(hash, password.expose(), &salt, ITERATIONS);
                offload.compute(keys).await.ok_or(Unavailable)
            }
            Scram::None => Ok(self.decoy_keys(sources, hash, user.as_str(), offload).await),
        }
    }

    /// After SCRAM: whether this user, whose proof holds or does not, may in.
    pub async fn proof(&self, who: Identity<'_>, hash: ScramHash, holds: bool, offload: &impl Offload) -> Outcome {
        let state = self.state();
        match names(&state, who) {
            Some(names) if holds => self.proven(&state, names, Claim::Scram(hash), who.from, offload).await,
            _ => Err(Refusal::Wrong),
        }
    }

    /// The owner of a client certificate, by the name in it.
    pub async fn certificate(&self, who: Identity<'_>, offload: &impl Offload) -> Outcome {
        let state = self.state();
        let Some(names) = names(&state, who) else { return Err(Refusal::Wrong) };
        self.proven(&state, names, Claim::Known, who.from, offload).await
    }

    /// What the sources say of a user: whether he has mail here.
    ///
    /// # Errors
    /// A source could not be asked, and no other one knows him.
    pub async fn find(&self, user: &UserName, offload: &impl Offload) -> Result<Option<Entry>, Unavailable> {
        find(&self.state().users, user, offload).await
    }

    async fn proven(
        &self,
        state: &State,
        Names { user, master }: Names,
        claim: Claim<'_>,
        from: Option<IpAddr>,
        offload: &impl Offload,
    ) -> Outcome {
        let (sources, name) = match &master {
            Some(master) => (&state.masters, master),
            None => (&state.users, &user),
        };
        let entry = match sources.walk(name, claim, offload).await.end {
            End::Passed(entry) => entry,
            End::Unavailable => return Err(Refusal::Unavailable),
            End::Failed if master.is_some() => return Err(Refusal::MayNotActAs),
            End::Failed => return Err(Refusal::Wrong),
        };
        match master {
            Some(master) => act_for(state, user, master, &entry.fields, from, offload).await,
            None => let_in(user, None, entry.fields, from),
        }
    }

    /// One list of sources, behind the cache.
    async fn check(
        &self,
        state: &State,
        realm: Realm,
        user: &UserName,
        (password, told): (&Secret, Told<'_>),
        offload: &impl Offload,
    ) -> Result<Arc<Fields>, Refusal> {
        let sources = match realm {
            Realm::Users => &state.users,
            Realm::Masters => &state.masters,
        };
        if let Some(told) = told {
            let tell = |source: &Ranked, heard| told.borrow_mut().push(Step::of(realm, user, source, heard));
            let walked = sources.walk_telling(user, Claim::Password(password), offload, tell).await;
            return walked.end.verdict();
        }
        let key = self.local.borrow().cache.key(realm, user, password);
        if let Some(verdict) = self.local.borrow_mut().remembered(&key, offload.now_ms()) {
            return verdict.map_err(|()| Refusal::Wrong);
        }
        let walked = sources.walk(user, Claim::Password(password), offload).await;
        if !walked.costly && matches!(walked.end, End::Failed) {
            imitate(state, password, offload).await;
        }
        let verdict = walked.end.verdict();
        if verdict != Err(Refusal::Unavailable) {
            self.remember(state, &key, verdict.as_ref().ok(), offload.now_ms());
        }
        verdict
    }

    /// Remembers a verdict, unless the sources it came from are gone.
    fn remember(&self, from: &State, key: &Key, fields: Option<&Arc<Fields>>, now_ms: u64) {
        let mut local = self.local.borrow_mut();
        if local.state.generation != from.generation {
            return;
        }
        match fields {
            Some(fields) => local.cache.accepted(key, fields.clone(), now_ms),
            None => local.cache.refused(key, now_ms),
        }
    }

    /// Keys for one who has none, in the form and the time that most have.
    async fn decoy_keys(&self, sources: &Sources, hash: ScramHash, user: &str, offload: &impl Offload) -> ScramKeys {
        let decoy = |iterations, salt_bytes| {
            ScramKeys::decoy(hash, &self.shared.secret, &user.to_lowercase(), iterations, salt_bytes)
        };
        match sources.sample().scram {
            Some(ScramSample::Keys { iterations, salt_bytes, .. }) => decoy(iterations, salt_bytes),
            Some(ScramSample::Passwords) => {
                let keys = decoy(ITERATIONS, SALT_BYTES);
                let salt = keys.salt.clone();
                // For its time only.
                offload
                    .compute(move || drop(std::hint::black_box(ScramKeys::derive(hash, b"-", &salt, ITERATIONS))))
                    .await;
                keys
            }
            None => decoy(ITERATIONS, SALT_BYTES),
        }
    }
}

impl Local {
    fn remembered(&mut self, key: &Key, now_ms: u64) -> Option<Result<Arc<Fields>, ()>> {
        let verdict = self.cache.verdict(key, now_ms);
        match &verdict {
            Some(Ok(_)) => self.looks.accepted += 1,
            Some(Err(())) => self.looks.refused += 1,
            None => self.looks.missed += 1,
        }
        verdict
    }
}

/// Who it is and for whom he acts; `None` when a name can be nobody's.
fn names(state: &State, who: Identity<'_>) -> Option<Names> {
    let name = |text: &str| UserName::new(text).ok().filter(|name| !name.is_reserved());
    let separator = &*state.settings.master_separator;
    if !separator.is_empty()
        && !state.masters.list().is_empty()
        && let Some((user, master)) = who.user.rsplit_once(separator)
    {
        return Some(Names { user: name(user)?, master: Some(name(master)?) });
    }
    let user = name(who.user)?;
    match who.authzid.map(name) {
        None => Some(Names { user, master: None }),
        Some(authzid) if authzid.as_ref() == Some(&user) => Some(Names { user, master: None }),
        Some(authzid) => Some(Names { user: authzid?, master: Some(user) }),
    }
}

/// The user himself, or one who may act for him, once the password is right.
fn let_in(user: UserName, master: Option<UserName>, fields: Arc<Fields>, from: Option<IpAddr>) -> Outcome {
    // A master user gets into a locked account: that is what he is for.
    if master.is_none() {
        if !fields.allows(from) {
            return Err(Refusal::NotFromHere);
        }
        if fields.nologin {
            let reason = fields.reason.clone();
            return Err(match fields.home(&user) {
                Some(home) => Refusal::Elsewhere { home, reason },
                None => Refusal::Locked { reason },
            });
        }
    }
    let user = fields.user.clone().unwrap_or(user);
    let admin = master.is_none() && fields.is_admin();
    Ok(Accepted { user, master, admin, fields })
}

/// A master user whose password is right, into the account of `user`.
async fn act_for(
    state: &State,
    user: UserName,
    master: UserName,
    masters_own: &Fields,
    from: Option<IpAddr>,
    offload: &impl Offload,
) -> Outcome {
    if !masters_own.allows(from) {
        return Err(Refusal::NotFromHere);
    }
    if masters_own.nologin {
        return Err(Refusal::Locked { reason: masters_own.reason.clone() });
    }
    match find(&state.users, &user, offload).await {
        Ok(Some(entry)) => {
            let accepted = let_in(user, Some(master), entry.fields, from)?;
            Ok(Accepted { admin: masters_own.is_admin(), ..accepted })
        }
        Ok(None) => Err(Refusal::MayNotActAs),
        Err(Unavailable) => Err(Refusal::Unavailable),
    }
}

async fn find(sources: &Sources, user: &UserName, offload: &impl Offload) -> Result<Option<Entry>, Unavailable> {
    let mut missing = Ok(None);
    if user.is_reserved() {
        return missing;
    }
    for userdb in sources.userdbs() {
        match settle(userdb.find(user), offload).await {
            Ok(Some(entry)) => return Ok(Some(entry)),
            Ok(None) => {}
            Err(Unavailable) => missing = Err(Unavailable),
        }
    }
    missing
}

/// The time that most users' passwords take.
async fn imitate(state: &State, password: &Secret, offload: &impl Offload) {
    if let Some(hash) = state.users.sample().hash.clone() {
        let password = password.clone();
        // The optimiser must not see that nobody wants to know.
        offload.compute(move || std::hint::black_box(hash.matches(password.expose()))).await;
    }
}
