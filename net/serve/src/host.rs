//! What the sessions of one shard share, and what reaches the shard over its lane.

use crate::Store;
use crate::imap;
use crate::lmtp::{self, Delivery};
use crate::pop3::{self, Pop3Settings};
use crate::pump::Moved;
use crate::rawlog::Rawlogs;
use crate::sessions::{Kick, Seat, SessionInfo, Sessions, within};
use skein_auth::{Accepted, Auth, Fields, Penalties, SharedAuth};
use skein_base::seam::Clock;
use skein_base::sync::Notify;
use skein_base::{AccountId, ShardId, UserName};
use skein_config::{Config, VirtualMailbox};
use skein_hooks::Extensions;
use skein_proto::imap::{Imap, ImapConfig};
use skein_proto::pop3::{Pop3, Pop3Config};
use skein_runtime::{Class, Inbox, Lanes, RealClock, Side, spawn_detached};
use skein_store::{AccountHandle, StoreError};
use skein_transport::{AddressLimit, Conn};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// What is sent from shard to shard.
pub enum ToShard {
    /// A connection whose user lives here.
    Imap(Box<Moved<Imap>>),
    /// The same, of POP3.
    Pop3(Box<Moved<Pop3>>),
    /// A message for users who live here.
    Deliver(Delivery),
    /// Settings to go by from now on.
    Reload(Box<Reload>),
    /// Work from outside of the shard.
    Run(Job),
}

/// Work that runs on the shard as a task of its own, behind its sessions. What it finds it sends where it came from.
pub type Job = Box<dyn FnOnce(Host) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// New settings for a running shard.
pub struct Reload {
    /// What sessions and the shard's own tasks go by.
    pub settings: HostSettings,
    /// Dropped when the shard goes by them.
    pub done: flume::Sender<()>,
}

/// What the sessions go by. Read it where it is used, or a reload goes unnoticed.
pub struct HostSettings {
    /// All settings, for what is not below.
    pub config: Arc<Config>,
    /// The IMAP machine's.
    pub imap: Arc<ImapConfig>,
    /// The POP3 machine's.
    pub pop3: Arc<Pop3Config>,
    /// What POP3 sessions go by.
    pub pop3_sessions: Arc<Pop3Settings>,
    /// The LMTP machine's.
    pub lmtp: skein_proto::lmtp::Settings,
    /// How recipients become users.
    pub recipients: skein_deliver::Rules,
    /// What is written before a delivered message.
    pub headers: skein_deliver::Headers,
    /// Name of this server in Received lines.
    pub hostname: String,
    /// Largest message.
    pub message_bytes_max: u64,
    /// Time to log in.
    pub login_seconds_max: u32,
    /// Time a logged-in client may be silent.
    pub idle_seconds_max: u32,
    /// How often an IMAP client that waits for news is told that the server is there.
    pub idle_notify_seconds: Option<NonZeroU32>,
    /// Connections of one user, of each service; 0 is no limit.
    pub connections_per_user_max: u32,
    /// Connections of one address; 0 is no limit.
    pub connections_per_address_max: u32,
    /// Whether passwords without TLS are taken from clients on this machine only.
    pub plaintext_on_loopback_only: bool,
}

/// What decides about logins, shared by all shards.
#[derive(Clone)]
pub struct Doorman {
    /// The sources.
    pub auth: Arc<SharedAuth>,
    /// Who waits.
    pub penalties: Arc<Penalties>,
    /// Connections by address.
    pub addresses: AddressLimit,
    /// Where sources far away are asked.
    pub side: Side,
}

/// One shard's sessions. Clones share it.
#[derive(Clone)]
pub struct Host(Rc<Shared>);

struct Shared {
    id: ShardId,
    shards: u16,
    store: Store,
    extensions: Extensions,
    lanes: Lanes<ToShard>,
    auth: Auth,
    doorman: Doorman,
    settings: RefCell<Rc<HostSettings>>,
    connections: RefCell<HashMap<(AccountId, Service), u32>>,
    /// Users whose maildrop a POP3 session has.
    maildrops: RefCell<HashSet<AccountId>>,
    /// Counts sessions and deliveries.
    numbers: Cell<u64>,
    /// Deliveries under way to each user.
    deliveries: RefCell<HashMap<AccountId, u32>>,
    sessions: Sessions,
    rawlogs: Rawlogs,
    kept: imap::Kept,
    live: Cell<usize>,
    quiet: Notify,
    stopping: Cell<bool>,
    stop: Notify,
}

impl Host {
    /// A shard's host.
    pub fn new(
        id: ShardId,
        (store, extensions): (Store, Extensions),
        lanes: Lanes<ToShard>,
        doorman: Doorman,
        settings: HostSettings,
    ) -> Host {
        extensions.configure(&settings.config);
        store.set_gate(Rc::new(extensions.clone()));
        let settings = with_extensions(settings, &extensions);
        Host(Rc::new(Shared {
            id,
            shards: lanes.shards() as u16,
            store,
            extensions,
            lanes,
            auth: Auth::new(doorman.auth.clone()),
            doorman,
            settings: RefCell::new(Rc::new(settings)),
            connections: RefCell::default(),
            maildrops: RefCell::default(),
            numbers: Cell::new(0),
            deliveries: RefCell::default(),
            sessions: Sessions::default(),
            rawlogs: Rawlogs::default(),
            kept: imap::Kept::default(),
            live: Cell::new(0),
            quiet: Notify::new(),
            stopping: Cell::new(false),
            stop: Notify::new(),
        }))
    }

    /// Takes an IMAP connection just accepted.
    pub fn serve_imap(&self, conn: Conn) {
        let seat = self.seat("imap", &conn);
        spawn_detached(
            Class::Session,
            ("imap", seat.id().number),
            within(seat.id(), imap::serve(self.clone(), conn, seat)),
        );
    }

    /// Takes a POP3 connection just accepted.
    pub fn serve_pop3(&self, conn: Conn) {
        let seat = self.seat("pop3", &conn);
        spawn_detached(
            Class::Session,
            ("pop3", seat.id().number),
            within(seat.id(), pop3::serve(self.clone(), conn, seat)),
        );
    }

    /// Takes an LMTP connection just accepted.
    pub fn serve_lmtp(&self, conn: Conn) {
        let seat = self.seat("lmtp", &conn);
        spawn_detached(
            Class::Delivery,
            ("lmtp", seat.id().number),
            within(seat.id(), lmtp::serve(self.clone(), conn, seat)),
        );
    }

    /// Serves what comes over the shard's lane, until all senders are gone.
    pub async fn serve_lane(&self, inbox: Inbox<ToShard>) {
        while let Some(message) = inbox.recv().await {
            match message {
                ToShard::Imap(moved) => {
                    let id = moved.session();
                    spawn_detached(Class::Session, ("imap", id.number), within(id, imap::resume(self.clone(), *moved)));
                }
                ToShard::Pop3(moved) => {
                    let id = moved.session();
                    spawn_detached(Class::Session, ("pop3", id.number), within(id, pop3::resume(self.clone(), *moved)));
                }
                ToShard::Deliver(delivery) => self.deliver_here(delivery),
                ToShard::Reload(reload) => self.reload(*reload),
                ToShard::Run(job) => spawn_detached(Class::Bulk, ("job", self.number()), job(self.clone())),
            }
        }
    }

    /// Takes new settings; sessions that run see them at their next command.
    fn reload(&self, reload: Reload) {
        let Reload { settings, done } = reload;
        self.0.store.set_checkpoint_ops(u64::from(settings.config.store.snapshot_ops));
        self.0.extensions.configure(&settings.config);
        *self.0.settings.borrow_mut() = Rc::new(with_extensions(settings, &self.0.extensions));
        drop(done);
    }

    /// Delivers to users of this very shard.
    pub(crate) fn deliver_here(&self, delivery: Delivery) {
        let number = self.number();
        spawn_detached(Class::Delivery, ("delivery", number), lmtp::take(self.clone(), delivery));
    }

    /// Lets running commands finish, says goodbye to everyone else, and returns when the last session has ended.
    pub async fn stop(&self) {
        self.0.stopping.set(true);
        self.0.stop.notify_all();
        self.quiet().await;
    }

    /// Until no session and no delivery is under way.
    pub async fn quiet(&self) {
        while self.0.live.get() > 0 {
            self.0.quiet.notified().await;
        }
    }

    /// The sessions of this shard, oldest first.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.0.sessions.list()
    }

    /// Ends sessions of this shard with a goodbye, once their running command is done; how many they are. A user's all are
    /// on his home shard, but for those that log in just now.
    pub fn kick(&self, whom: &Kick) -> usize {
        self.0.sessions.kick(whom)
    }

    pub(crate) fn rawlogs(&self) -> &Rawlogs {
        &self.0.rawlogs
    }

    /// What SORT and THREAD have found.
    pub(crate) fn kept(&self) -> &imap::Kept {
        &self.0.kept
    }

    pub(crate) fn seats(&self) -> &Sessions {
        &self.0.sessions
    }

    fn seat(&self, service: &'static str, conn: &Conn) -> Seat {
        self.0.sessions.accept(self.0.id, self.number(), service, conn)
    }

    /// Sessions and deliveries under way.
    pub fn live(&self) -> usize {
        self.0.live.get()
    }

    /// The shard's store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// The account of who has logged in; extensions have heard of him.
    pub(crate) async fn open_for(&self, accepted: &Accepted) -> Result<Rc<AccountHandle>, StoreError> {
        let account = self.0.store.open(&accepted.user).await?;
        self.introduce(&account, &accepted.fields).await?;
        Ok(account)
    }

    /// Tells extensions of a user whose account is open.
    pub(crate) async fn introduce(&self, account: &Rc<AccountHandle>, fields: &Fields) -> Result<(), StoreError> {
        self.0.extensions.user_known(account, fields);
        match self.0.extensions.wants_usage(account) {
            true => self.0.store.measure(account).await,
            false => Ok(()),
        }
    }

    /// Every account that lives on this shard, sorted.
    ///
    /// # Errors
    /// The folders can not be listed.
    pub async fn accounts_here(&self) -> Result<Vec<AccountId>, StoreError> {
        let (me, shards) = (self.0.id, self.0.shards);
        self.0.store.accounts(|id| skein_ring::home_shard(id, shards) == me).await
    }

    pub(crate) fn lanes(&self) -> &Lanes<ToShard> {
        &self.0.lanes
    }

    /// The settings in force now.
    pub fn settings(&self) -> Rc<HostSettings> {
        self.0.settings.borrow().clone()
    }

    /// Which shard this is.
    pub fn id(&self) -> ShardId {
        self.0.id
    }

    /// The shard that a user lives on.
    pub(crate) fn home_of(&self, user: &UserName) -> ShardId {
        skein_ring::home_shard(AccountId::of(user), self.0.shards)
    }

    /// Does something on the shard that a user lives on; `None` when that does not keep up.
    pub(crate) async fn at_home_of<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        user: &UserName,
        work: impl FnOnce(Host) -> F + Send + 'static,
    ) -> Option<T> {
        let (home, (done, heard)) = (self.home_of(user), flume::bounded(1));
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                let _nobody_waits_any_more = done.send(work(host).await);
            })
        });
        match home == self.id() {
            true => job(self.clone()).await,
            false => self.lanes().send(home, ToShard::Run(job)).ok()?,
        }
        heard.recv_async().await.ok()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.get()
    }

    /// Told when the server begins to stop.
    pub(crate) fn stop_signal(&self) -> &Notify {
        &self.0.stop
    }

    /// Who may log in.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn penalties(&self) -> &Penalties {
        &self.0.doorman.penalties
    }

    pub(crate) fn addresses(&self) -> &AddressLimit {
        &self.0.doorman.addresses
    }

    pub(crate) fn side(&self) -> &Side {
        &self.0.doorman.side
    }

    /// Counts a session for as long as the guard lives.
    pub(crate) fn enter(&self) -> Live {
        self.0.live.set(self.0.live.get() + 1);
        Live(self.clone())
    }

    /// Counts a connection of a user; `None` when he has as many of the service as he may.
    pub(crate) fn admit(&self, account: AccountId, service: Service) -> Option<Admitted> {
        let max = self.settings().connections_per_user_max;
        let (mut connections, key) = (self.0.connections.borrow_mut(), (account, service));
        let count = connections.entry(key).or_default();
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(Admitted { host: self.clone(), key })
    }

    /// Counts a delivery to a user for as long as it lives; `None` while he has as many as he may.
    pub(crate) fn admit_delivery(&self, account: AccountId) -> Option<DeliveryPlace> {
        let max = self.settings().config.lmtp.user_deliveries_max;
        let mut deliveries = self.0.deliveries.borrow_mut();
        let count = deliveries.entry(account).or_default();
        if max > 0 && *count >= max {
            return None;
        }
        *count += 1;
        Some(DeliveryPlace { host: self.clone(), account })
    }

    /// The right to a user's maildrop; `None` while another session has it.
    pub(crate) fn lock_maildrop(&self, account: AccountId) -> Option<MaildropLock> {
        let free = self.0.maildrops.borrow_mut().insert(account);
        free.then(|| MaildropLock { host: self.clone(), account })
    }

    /// A new name for a delivery, as its Received line and the log have it.
    pub(crate) fn delivery_id(&self) -> String {
        format!("{:x}.{:x}.{:x}", RealClock.unix_seconds(), self.0.id.0, self.number())
    }

    fn number(&self) -> u64 {
        self.0.numbers.set(self.0.numbers.get() + 1);
        self.0.numbers.get()
    }
}

/// Lets IMAP clients know what the extensions add, and have their mailboxes.
fn with_extensions(mut settings: HostSettings, extensions: &Extensions) -> HostSettings {
    let (capabilities, commands) = (extensions.capabilities(), extensions.commands());
    settings.imap = Arc::new(ImapConfig { capabilities, commands, ..(*settings.imap).clone() });
    for (name, special_use) in extensions.mailboxes() {
        if settings.config.virtual_mailbox.iter().all(|one| one.name != name) {
            let one = VirtualMailbox { name, special_use, ..VirtualMailbox::default() };
            Arc::make_mut(&mut settings.config).virtual_mailbox.push(one);
        }
    }
    settings
}

/// Writes an account out in the background when enough has changed.
pub(crate) fn checkpoint_if_due(store: &Store, account: &Rc<AccountHandle>) {
    if store.wants_checkpoint(account) {
        let (store, account) = (store.clone(), account.clone());
        spawn_detached(Class::Bulk, "checkpoint", async move {
            if let Err(error) = store.checkpoint_due(&account).await {
                tracing::error!(user = %account.user(), %error, "no checkpoint; the log keeps everything");
            }
        });
    }
}

/// One session that [`Host::stop`] waits for.
pub(crate) struct Live(Host);

impl Drop for Live {
    fn drop(&mut self) {
        let live = &self.0.0.live;
        live.set(live.get() - 1);
        if live.get() == 0 {
            self.0.0.quiet.notify_all();
        }
    }
}

/// One of a user's connections.
pub(crate) struct Admitted {
    host: Host,
    key: (AccountId, Service),
}

/// What a user's connections are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Service {
    Imap,
    Pop3,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut connections = self.host.0.connections.borrow_mut();
        if let Some(count) = connections.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.key);
            }
        }
    }
}

/// One of the deliveries under way to a user.
pub(crate) struct DeliveryPlace {
    host: Host,
    account: AccountId,
}

impl Drop for DeliveryPlace {
    fn drop(&mut self) {
        let mut deliveries = self.host.0.deliveries.borrow_mut();
        if let Some(count) = deliveries.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                deliveries.remove(&self.account);
            }
        }
    }
}

/// A user's maildrop for one session (RFC 1939 §4). Dropped with the session, however that ends.
pub(crate) struct MaildropLock {
    host: Host,
    account: AccountId,
}

impl Drop for MaildropLock {
    fn drop(&mut self) {
        self.host.0.maildrops.borrow_mut().remove(&self.account);
    }
}
