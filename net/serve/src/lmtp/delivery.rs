//! A message on the shard where its recipients live: the body once into the log, an op for each, one commit.

use crate::Store;
use crate::host::{DeliveryPlace, Host, Job, ToShard, checkpoint_if_due};
use crate::ingest::{Ingest, Received};
use crate::metrics;
use crate::sessions::{SessionId, within};
use skein_auth::Fields;
use skein_base::{AccountId, Class, Flags, MailboxId, ShardId, UserName};
use skein_config::{DetailMailbox, ReturnPath};
use skein_deliver::{DropField, message_id};
use skein_proto::lmtp::{Outcome, Refusal};
use skein_store::body::BodyAddr;
use skein_store::op::NewMessage;
use skein_store::{AccountError, AccountHandle, Actor, StoreError};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks on their way to a shard that it has not taken: enough to keep both sides busy.
const CHUNKS_UNDER_WAY: usize = 2;

/// Bytes that several shards read. What came is passed on as it is, which a slice in an `Arc` would be a copy of.
pub(super) type Bytes = Arc<Vec<u8>>;

/// Whose message it is, for the log.
#[derive(Clone)]
pub(super) struct Origin {
    /// What the Received line and the log call the delivery.
    pub id: Arc<str>,
    /// The LMTP session it came by.
    pub session: SessionId,
}

/// One recipient.
#[derive(Clone)]
pub(super) struct To {
    pub user: UserName,
    /// What stands behind the delimiter of the address; with the setting, the name of a mailbox.
    pub detail: Option<String>,
    /// What a source of users says of him.
    pub fields: Arc<Fields>,
}

/// A message for users of one shard.
pub struct Delivery {
    origin: Origin,
    users: Vec<To>,
    trace: Bytes,
    message: Message,
    outcomes: flume::Sender<Vec<Outcome>>,
}

pub(super) enum Message {
    Whole(Bytes),
    Stream(flume::Receiver<Piece>),
}

/// A piece of a streamed message.
pub(super) enum Piece {
    Bytes(Bytes),
    /// All pieces have come; a stream that ends without it was broken off.
    End,
}

/// The sending side of a delivery that waits for its outcomes.
pub(super) struct Waiting {
    outcomes: flume::Receiver<Vec<Outcome>>,
}

/// The sending side of a streamed delivery.
pub(super) struct Open {
    home: ShardId,
    pieces: flume::Sender<Piece>,
    waiting: Waiting,
}

impl Delivery {
    pub(super) fn new(origin: Origin, users: Vec<To>, trace: Bytes, message: Message) -> (Delivery, Waiting) {
        let (sender, outcomes) = flume::bounded(1);
        (Delivery { origin, users, trace, message, outcomes: sender }, Waiting { outcomes })
    }
}

impl Waiting {
    /// What became of each user; nothing when the delivery was dropped on its way.
    pub async fn outcomes(self) -> Vec<Outcome> {
        self.outcomes.recv_async().await.unwrap_or_default()
    }
}

impl Open {
    pub fn new(origin: Origin, home: ShardId, users: Vec<To>, trace: Bytes) -> (Delivery, Open) {
        let (pieces, stream) = flume::bounded(CHUNKS_UNDER_WAY);
        let (delivery, waiting) = Delivery::new(origin, users, trace, Message::Stream(stream));
        (delivery, Open { home, pieces, waiting })
    }

    pub fn home(&self) -> ShardId {
        self.home
    }

    /// Waits while the shard has enough to do. One that has given up takes no more, and says why at the end.
    pub async fn push(&mut self, bytes: Bytes) {
        let _ = self.pieces.send_async(Piece::Bytes(bytes)).await;
    }

    pub async fn finish(self) -> Vec<Outcome> {
        let _ = self.pieces.send_async(Piece::End).await;
        drop(self.pieces);
        self.waiting.outcomes().await
    }
}

/// Delivers on this shard and reports.
pub(crate) async fn take(host: Host, delivery: Delivery) {
    let session = delivery.origin.session;
    within(session, take_here(host, delivery)).await;
}

async fn take_here(host: Host, delivery: Delivery) {
    let _live = host.enter();
    let Delivery { origin, users, trace, message, outcomes } = delivery;
    let start = Instant::now();
    let (places, admitted) = admit(&host, &users);
    let mut seen = Seen::default();
    // Without anybody to take it, it is not read: who streams it gives up by himself.
    let stored = match admitted.is_empty() {
        true => Vec::new(),
        false => deliver(&host, &admitted, &trace, message, &mut seen).await,
    };
    let mut stored = stored.into_iter();
    let outcome = |place: &Option<DeliveryPlace>| match place {
        Some(_) => stored.next().unwrap_or_else(|| Err(busy())),
        None => Err(crowded()),
    };
    let done: Vec<Outcome> = places.iter().map(outcome).collect();
    drop(places);
    tell(&origin.id, &users, &done, &seen, start.elapsed());
    done.iter().for_each(|outcome| metrics::delivery_ended(outcome.as_ref().err().map(|refusal| refusal.class)));
    // A sender that is gone does not hear of it and will send again: better twice than never.
    let _ = outcomes.send(done);
}

/// Whether the user's mailbox would take a message, as far as that is known before it has come.
pub(super) async fn would_take(host: &Host, home: ShardId, to: To) -> Result<(), Refusal> {
    if home == host.id() {
        return would_take_here(host, &to).await;
    }
    let (answer, answered) = flume::bounded(1);
    let job: Job = Box::new(move |host| {
        Box::pin(async move {
            let _nobody_waits_any_more = answer.send(would_take_here(&host, &to).await);
        })
    });
    match host.lanes().send(home, ToShard::Run(job)) {
        Ok(()) => answered.recv_async().await.unwrap_or_else(|_| Err(busy())),
        Err(_) => Err(busy()),
    }
}

async fn would_take_here(host: &Host, to: &To) -> Result<(), Refusal> {
    let details = match host.settings().config.lmtp.detail_mailbox {
        DetailMailbox::Off => DetailMailbox::Off,
        // Nothing is made before there is a message for it.
        DetailMailbox::Existing | DetailMailbox::Create => DetailMailbox::Existing,
    };
    let (account, mailbox) = open_target(host, to, details).await.map_err(|error| refusal(&error))?;
    host.extensions().would_take(&account, mailbox, 0).map_err(|no| refusal(&no.into()))
}

/// A place for each user who has one free, and those users.
fn admit(host: &Host, users: &[To]) -> (Vec<Option<DeliveryPlace>>, Vec<To>) {
    let places: Vec<_> = users.iter().map(|to| host.admit_delivery(AccountId::of(&to.user))).collect();
    let admitted = users.iter().zip(&places).filter(|(_, place)| place.is_some()).map(|(to, _)| to.clone());
    let admitted = admitted.collect();
    (places, admitted)
}

/// What a delivery saw of its message, for the log.
#[derive(Default)]
struct Seen {
    /// Size as it is stored.
    bytes: u64,
    message_id: Option<String>,
    /// Where it went, for each recipient who got it.
    mailboxes: Vec<String>,
}

/// A line for each recipient.
fn tell(id: &str, users: &[To], outcomes: &[Outcome], seen: &Seen, took: Duration) {
    let (ms, bytes, message_id) = (took.as_millis() as u64, seen.bytes, seen.message_id.as_deref());
    // Those who were refused at once have no mailbox; the others have theirs in order.
    let mut mailboxes = seen.mailboxes.iter();
    for (To { user, .. }, outcome) in users.iter().zip(outcomes) {
        match outcome {
            Ok(()) => {
                let mailbox = mailboxes.next().map_or("INBOX", |name| name);
                tracing::info!(id, %user, mailbox, bytes, ms, message_id, "delivered");
            }
            Err(refusal) => {
                tracing::warn!(id, %user, bytes, ms, message_id, class = ?refusal.class, why = %refusal.text, "not delivered")
            }
        }
    }
}

async fn deliver(host: &Host, users: &[To], trace: &[u8], message: Message, seen: &mut Seen) -> Vec<Outcome> {
    let store = host.store();
    let mut accounts = Vec::with_capacity(users.len());
    let details = host.settings().config.lmtp.detail_mailbox;
    for to in users {
        accounts.push(open_target(host, to, details).await);
    }
    let refused = |refusal: Refusal| users.iter().map(|_| Err(refusal.clone())).collect();
    let received = match receive(host, trace, message, seen).await {
        Ok(received) => received,
        Err(refusal) => return refused(refusal),
    };
    for account in &mut accounts {
        reload(store, account).await;
    }
    // From here on nothing waits: a body and the ops that name it belong together.
    let addr = match received.log(store) {
        Ok(addr) => addr,
        Err(error) => return refused(refusal(&error)),
    };
    seen.bytes = u64::from(addr.bytes);
    // Every op first, then one wait: the group commit takes them together.
    let opened: Vec<_> = accounts.into_iter().map(|account| append(store, account, &addr)).collect();
    let mut outcomes = Vec::with_capacity(users.len());
    for account in opened {
        outcomes.push(match account {
            Ok((account, mailbox)) => {
                let safe = store.durable(&account).await.map_err(|error| refusal(&error));
                checkpoint_if_due(store, &account);
                if safe.is_ok() {
                    seen.mailboxes.push(name_of(&account, mailbox));
                }
                safe
            }
            Err(error) => Err(refusal(&error)),
        });
    }
    outcomes
}

/// An account and the mailbox of it that mail goes to.
type Target = (Rc<AccountHandle>, MailboxId);

async fn open_target(host: &Host, to: &To, details: DetailMailbox) -> Result<Target, StoreError> {
    let store = host.store();
    let account = store.open(&to.user).await?;
    host.introduce(&account, &to.fields).await?;
    store.load(&account, MailboxId::INBOX).await?;
    let detail = to.detail.as_deref().filter(|detail| !detail.is_empty() && details != DetailMailbox::Off);
    let Some(detail) = detail else { return Ok((account, MailboxId::INBOX)) };
    let find = || account.read(|state| state.find(detail).map(|mailbox| mailbox.id));
    if find().is_none() && !host.provide_named(&account, detail)? && details == DetailMailbox::Create {
        let made =
            account.read(|state| Ok([state.create(detail, store.now())?, state.subscribe(detail, true)?].concat()));
        match made {
            Ok(ops) => drop(store.commit_for(&Actor::Delivery, &account, &ops)?),
            // No mailbox can have this name, or there are too many.
            Err(error) => {
                let error: AccountError = error;
                tracing::debug!(user = %to.user, detail, %error, "mail for a mailbox that can not be made goes to INBOX");
            }
        }
    }
    let mailbox = find().unwrap_or(MailboxId::INBOX);
    store.load(&account, mailbox).await?;
    Ok((account, mailbox))
}

/// A sender may have taken minutes, in which the mailbox left memory, or somebody deleted it.
async fn reload(store: &Store, target: &mut Result<Target, StoreError>) {
    let Ok((account, mailbox)) = target else { return };
    if !account.read(|state| state.exists(*mailbox)) {
        *mailbox = MailboxId::INBOX;
    }
    if let Err(error) = store.load(account, *mailbox).await {
        *target = Err(error);
    }
}

fn name_of(account: &AccountHandle, mailbox: MailboxId) -> String {
    let name =
        account.read(|state| state.mailboxes().find(|named| named.id == mailbox).map(|named| named.name.to_owned()));
    name.unwrap_or_default()
}

async fn receive(host: &Host, trace: &[u8], message: Message, seen: &mut Seen) -> Result<Received, Refusal> {
    let mut ingest = Ingest::new(host.store(), host.settings().message_bytes_max.saturating_add(trace.len() as u64));
    ingest.push(trace).await.map_err(|error| refusal(&error))?;
    let replaces = host.settings().config.lmtp.return_path == ReturnPath::Replace;
    let mut filter = replaces.then(|| DropField::new(b"return-path:"));
    let mut first = true;
    match message {
        Message::Whole(bytes) => {
            seen.message_id = message_id(&bytes);
            take_in(&mut ingest, filter.as_mut(), &bytes).await?;
        }
        Message::Stream(pieces) => loop {
            match pieces.recv_async().await {
                Ok(Piece::Bytes(bytes)) => {
                    if std::mem::take(&mut first) {
                        seen.message_id = message_id(&bytes);
                    }
                    take_in(&mut ingest, filter.as_mut(), &bytes).await?;
                }
                Ok(Piece::End) => break,
                Err(_) => return Err(busy()),
            }
        },
    }
    if let Some(filter) = &mut filter {
        let mut held = Vec::new();
        filter.finish(&mut held);
        ingest.push_crlf(&held).await.map_err(|error| refusal(&error))?;
    }
    ingest.finish().await.map_err(|error| refusal(&error))
}

/// The next bytes of the message, without the fields that are taken out of its header. The machine has made its line ends CRLF.
async fn take_in(ingest: &mut Ingest, filter: Option<&mut DropField>, bytes: &[u8]) -> Result<(), Refusal> {
    let mut header = Vec::new();
    let body = filter.map_or(0, |filter| filter.push(bytes, &mut header));
    if !header.is_empty() {
        ingest.push_crlf(&header).await.map_err(|error| refusal(&error))?;
    }
    ingest.push_crlf(&bytes[body..]).await.map_err(|error| refusal(&error))
}

fn append(store: &Store, target: Result<Target, StoreError>, addr: &BodyAddr) -> Result<Target, StoreError> {
    let (account, mailbox) = target?;
    let now = store.now();
    let message = NewMessage {
        flags: Flags::NONE,
        keywords: Vec::new(),
        internal_date: now,
        save_date: now,
        size: addr.bytes,
        guid: store.guid(addr),
        body: *addr,
    };
    let (_, ops) = account.read(|state| state.append(mailbox, vec![message]))?;
    store.commit_for(&Actor::Delivery, &account, &ops)?;
    Ok((account, mailbox))
}

fn refusal(error: &StoreError) -> Refusal {
    crate::failure::log(error);
    Refusal { class: error.class(), text: error.client_text() }
}

/// For deliveries that got lost on their way to a shard, or whose sender broke off.
pub(super) fn busy() -> Refusal {
    Refusal { class: Class::Unavailable, text: "The server is busy, please try again".into() }
}

/// For a user who has as many deliveries under way as he may.
fn crowded() -> Refusal {
    Refusal { class: Class::Unavailable, text: "Too many deliveries to this user at once, please try again".into() }
}
