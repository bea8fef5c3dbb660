//! Somebody else's session in an account of this shard: questions come over a channel, lines and replies go back.
//!
//! ```text
//!  client ─▶ his own session ──Question──▶ guest ─▶ account, as what he may do with it
//!                 ▲  └──────◀── Lines, Lines, Reply ──┘      what they show is durable
//!                 └─────────◀── news
//! ```

use super::across::{Head, Wish};
use super::link::{Asking, Lane, Link};
use super::session::Session;
use crate::failure;
use crate::host::Host;
use skein_base::{AccountId, IdSet, Rights, SpecialUse, UserName};
use skein_proto::imap::{Reply, Request};
use skein_store::{Actor, Guest};
use std::sync::Arc;

/// Pieces of an answer on their way that the client's shard has not taken: enough to keep both sides busy.
pub(super) const PIECES_UNDER_WAY: usize = 2;

/// What is asked of a guest.
pub(super) enum Ask {
    /// What his client wants, with names as the account has them.
    Request { request: Request, client: Asking },
    /// The mailboxes that he may know of.
    Names,
    /// Messages of the selected mailbox, to be put elsewhere.
    Messages(Wish),
    /// These are elsewhere now, and leave it.
    Remove(IdSet),
}

/// One question, and where the answer goes.
pub(super) struct Question {
    pub ask: Ask,
    pub answers: flume::Sender<Piece>,
}

/// A piece of an answer.
pub(super) enum Piece {
    /// Lines for the client, in whole or in part.
    Lines(Vec<u8>),
    /// Complete lines that are not to wait for more.
    Pushed(Vec<u8>),
    /// The end.
    Reply(Reply),
    /// A message begins, and its bytes follow.
    Head(Head),
    /// Some of them.
    Bytes(Vec<u8>),
    /// The end: what LIST may show.
    Names(Vec<Listed>),
}

/// A mailbox that somebody may know of.
pub(super) struct Listed {
    pub name: String,
    pub uses: SpecialUse,
    /// What he may do with it.
    pub rights: Rights,
}

/// A visit about to begin.
pub(super) struct Arrival {
    pub owner: UserName,
    pub guest: Arc<Guest>,
    /// What the client writes before the account's mailbox names.
    pub prefix: String,
    pub questions: flume::Receiver<Question>,
    pub news: flume::Sender<()>,
}

enum Wake {
    Asked(Question),
    News,
    Left,
}

/// Serves a guest until he leaves, or the account is to be let go of. Without such an account he hears nothing.
pub(super) async fn serve(host: Host, arrival: Arrival) {
    let _live = host.enter();
    let Arrival { owner, guest, prefix, questions, news } = arrival;
    let account = match host.store().open_known(AccountId::of(&owner)).await {
        Ok(account) => account,
        Err(error) => return failure::log(&error),
    };
    let mut session = Session::new(&host, account, Actor::Guest(guest));
    session.prefix = prefix;
    // News that the client's session has been told to come for.
    let mut told = false;
    loop {
        let asked = async { questions.recv_async().await.map_or(Wake::Left, Wake::Asked) };
        let behind = async {
            match told {
                true => std::future::pending().await,
                false => session.news(true).await,
            }
            Wake::News
        };
        let lost = async {
            session.account.until_lost().await;
            Wake::Left
        };
        match futures_lite::future::or(asked, futures_lite::future::or(behind, lost)).await {
            Wake::Asked(question) => {
                told = false;
                answer(&mut session, question).await;
            }
            Wake::News => {
                told = true;
                // One that he has not come for yet tells him as well.
                let _is_told = news.try_send(());
            }
            Wake::Left => return,
        }
    }
}

async fn answer(session: &mut Session, question: Question) {
    let Question { ask, answers } = question;
    let (request, client) = match ask {
        Ask::Request { request, client } => (request, client),
        Ask::Messages(wish) => {
            let reply = send(session, &wish, &answers).await;
            let _he_may_be_gone = answers.send_async(Piece::Reply(reply)).await;
            return;
        }
        Ask::Remove(uids) => {
            let reply = match &session.selected {
                Some(selected) => session.remove(selected.mailbox, &uids),
                None => Reply::bad("No mailbox is selected"),
            };
            let safe = session.store.durable(&session.account).await;
            let reply = safe.map_or_else(|error| failure::refuse(&error), |()| reply);
            let _he_may_be_gone = answers.send_async(Piece::Reply(reply)).await;
            return;
        }
        Ask::Names => {
            let _he_may_be_gone = answers.send_async(Piece::Names(names(session))).await;
            return;
        }
    };
    if is_shut_out(session, &request) {
        let text = "Your right to read the selected mailbox has been taken from you".into();
        let _he_may_be_gone = answers.send_async(Piece::Reply(Reply::Bye { text })).await;
        return;
    }
    let mut lane = Lane { out: Vec::new(), client, to: answers.clone() };
    // When the client is gone nobody waits for the rest.
    let Ok(reply) = session.execute(request, &mut Link::over(&mut lane)).await else { return };
    session.checkpoint_if_due();
    let reply = match session.store.durable(&session.account).await {
        Ok(()) => reply,
        Err(error) => {
            failure::log(&error);
            lane.out.clear();
            Reply::Bye { text: error.client_text().into() }
        }
    };
    if !lane.out.is_empty() && answers.send_async(Piece::Lines(lane.out)).await.is_err() {
        return;
    }
    let _he_may_be_gone = answers.send_async(Piece::Reply(reply)).await;
}

/// Whether the right to read the mailbox that he has open was taken from him meanwhile. Any answer would tell of it: news go before each tagged
/// line. He can only leave it.
fn is_shut_out(session: &Session, request: &Request) -> bool {
    let leaves = matches!(request, Request::Unselect | Request::Select { .. });
    let may_read = |mailbox| session.rights(mailbox).contains(Rights::READ);
    !leaves && session.selected.as_ref().is_some_and(|selected| !may_read(selected.mailbox))
}

/// Sends messages; `Done` when all of them have gone.
async fn send(session: &Session, wish: &Wish, answers: &flume::Sender<Piece>) -> Reply {
    let messages = match session.exports(wish) {
        Ok((_, messages)) => messages,
        Err(refusal) => return refusal,
    };
    // What is read elsewhere then must be durable here.
    if let Err(error) = session.store.durable(&session.account).await {
        return failure::refuse(&error);
    }
    for mut message in messages {
        let head = Head { flags: std::mem::take(&mut message.head.flags), ..message.head };
        let mut at = 0;
        if answers.send_async(Piece::Head(head)).await.is_err() {
            return Reply::Done;
        }
        loop {
            let bytes = match message.read(&session.store, &session.account, at).await {
                Ok(bytes) => bytes,
                Err(error) => return failure::refuse(&error),
            };
            at += bytes.len() as u64;
            if bytes.is_empty() {
                break;
            }
            if answers.send_async(Piece::Bytes(bytes)).await.is_err() {
                return Reply::Done;
            }
        }
    }
    Reply::Done
}

/// What LIST may show to the guest.
fn names(session: &Session) -> Vec<Listed> {
    session.account.read(|account| {
        let listed = account.mailboxes().map(|named| Listed {
            name: named.name.to_owned(),
            uses: named.special_use,
            rights: session.extensions.rights(&session.actor, account, named.id),
        });
        listed.filter(|listed| listed.rights.contains(Rights::LOOKUP)).collect()
    })
}
