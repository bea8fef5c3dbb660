//! A message on the shard where its recipients live: the body once into the log, an op for each, one commit.

use crate::Store;
use crate::host::{DeliveryPlace, Host, checkpoint_if_due};
use crate::ingest::{Ingest, Received};
use crate::metrics;
use crate::sessions::{SessionId, within};
use skein_base::{AccountId, Class, Flags, MailboxId, ShardId, UserName};
use skein_deliver::message_id;
use skein_proto::lmtp::{Outcome, Refusal};
use skein_store::body::BodyAddr;
use skein_store::op::NewMessage;
use skein_store::{AccountHandle, StoreError};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks on their way to a shard that it has not taken: enough to keep both sides busy.
const CHUNKS_UNDER_WAY: usize = 2;

/// Bytes that several shards read.
pub(super) type Bytes = Arc<[u8]>;

/// Whose message it is, for the log.
#[derive(Clone)]
pub(super) struct Origin {
    /// What the Received line and the log call the delivery.
    pub id: Arc<str>,
    /// The LMTP session it came by.
    pub session: SessionId,
}

/// A message for users of one shard.
pub struct Delivery {
    origin: Origin,
    users: Vec<UserName>,
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
    pub(super) fn new(origin: Origin, users: Vec<UserName>, trace: Bytes, message: Message) -> (Delivery, Waiting) {
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
    pub fn new(origin: Origin, home: ShardId, users: Vec<UserName>, trace: Bytes) -> (Delivery, Open) {
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

/// A place for each user who has one free, and those users.
fn admit(host: &Host, users: &[UserName]) -> (Vec<Option<DeliveryPlace>>, Vec<UserName>) {
    let places: Vec<_> = users.iter().map(|user| host.admit_delivery(AccountId::of(user))).collect();
    let admitted = users.iter().zip(&places).filter(|(_, place)| place.is_some()).map(|(user, _)| user.clone());
    let admitted = admitted.collect();
    (places, admitted)
}

/// What a delivery saw of its message, for the log.
#[derive(Default)]
struct Seen {
    /// Size as it is stored.
    bytes: u64,
    message_id: Option<String>,
}

/// A line for each recipient.
fn tell(id: &str, users: &[UserName], outcomes: &[Outcome], seen: &Seen, took: Duration) {
    let (ms, bytes, message_id) = (took.as_millis() as u64, seen.bytes, seen.message_id.as_deref());
    for (user, outcome) in users.iter().zip(outcomes) {
        match outcome {
            Ok(()) => tracing::info!(id, %user, mailbox = "INBOX", bytes, ms, message_id, "delivered"),
            Err(refusal) => {
                tracing::warn!(id, %user, bytes, ms, message_id, class = ?refusal.class, why = %refusal.text, "not delivered")
            }
        }
    }
}

async fn deliver(host: &Host, users: &[UserName], trace: &[u8], message: Message, seen: &mut Seen) -> Vec<Outcome> {
    let store = host.store();
    let mut accounts = Vec::with_capacity(users.len());
    for user in users {
        accounts.push(open_inbox(store, user).await);
    }
    let refused = |refusal: Refusal| users.iter().map(|_| Err(refusal.clone())).collect();
    let received = match receive(host, trace, message, seen).await {
        Ok(received) => received,
        Err(refusal) => return refused(refusal),
    };
    for account in &mut accounts {
        reload_inbox(store, account).await;
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
            Ok(account) => {
                let safe = store.durable(&account).await.map_err(|error| refusal(&error));
                checkpoint_if_due(store, &account);
                safe
            }
            Err(error) => Err(refusal(&error)),
        });
    }
    outcomes
}

async fn open_inbox(store: &Store, user: &UserName) -> Result<Rc<AccountHandle>, StoreError> {
    let account = store.open(user).await?;
    store.load(&account, MailboxId::INBOX).await?;
    Ok(account)
}

/// A sender may have taken minutes, in which the mailbox left memory.
async fn reload_inbox(store: &Store, account: &mut Result<Rc<AccountHandle>, StoreError>) {
    if let Ok(handle) = account
        && let Err(error) = store.load(handle, MailboxId::INBOX).await
    {
        *account = Err(error);
    }
}

async fn receive(host: &Host, trace: &[u8], message: Message, seen: &mut Seen) -> Result<Received, Refusal> {
    let mut ingest = Ingest::new(host.store(), host.settings().message_bytes_max.saturating_add(trace.len() as u64));
    ingest.push(trace).await.map_err(|error| refusal(&error))?;
    let mut first = true;
    match message {
        Message::Whole(bytes) => {
            seen.message_id = message_id(&bytes);
            ingest.push(&bytes).await.map_err(|error| refusal(&error))?;
        }
        Message::Stream(pieces) => loop {
            match pieces.recv_async().await {
                Ok(Piece::Bytes(bytes)) => {
                    if std::mem::take(&mut first) {
                        seen.message_id = message_id(&bytes);
                    }
                    ingest.push(&bytes).await.map_err(|error| refusal(&error))?;
                }
                Ok(Piece::End) => break,
                Err(_) => return Err(busy()),
            }
        },
    }
    ingest.finish().await.map_err(|error| refusal(&error))
}

fn append(
    store: &Store,
    account: Result<Rc<AccountHandle>, StoreError>,
    addr: &BodyAddr,
) -> Result<Rc<AccountHandle>, StoreError> {
    let account = account?;
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
    let (_, ops) = account.read(|state| state.append(MailboxId::INBOX, vec![message]))?;
    store.commit(&account, &ops)?;
    Ok(account)
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
