//! One address: a request in, an answer of lines out.

use super::desk::Desk;
use super::import::{self, IMPORT_BYTES_MAX, IMPORT_PATH};
use super::rows::{Gone, Lines, READER_PATIENCE, Rows};
use super::top;
use super::wire::{Code, Line, PATH, Problem, Request};
use super::{auth, backup, dictionary, fetch, heal, log, mailbox, message, metadata, server, users, who};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::future::Future;

/// Bytes of a request: a query with the longest lists that a shell passes.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

pub(crate) fn router(desk: Desk) -> Router {
    let imports = post(take).layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX));
    let asks = post(answer).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    Router::new().route(PATH, asks).route(IMPORT_PATH, imports).with_state(desk)
}

async fn take(State(desk): State<Desk>, body: Bytes) -> Response {
    let (rows, lines) = Rows::new(READER_PATIENCE);
    lines_of(lines, rows.clone(), async move { import::import(&desk, body, &rows).await })
}

async fn answer(State(desk): State<Desk>, body: Bytes) -> Response {
    let request = serde_json::from_slice::<Request>(&body);
    let (rows, lines) = Rows::new(READER_PATIENCE);
    lines_of(lines, rows.clone(), async move {
        match request {
            Ok(request) => run(&desk, request, &rows).await,
            Err(error) => Err(Problem::new(Code::Usage, format!("this server does not know that: {error}")).into()),
        }
    })
}

/// The answer of lines that `work` makes.
fn lines_of(lines: Lines, rows: Rows, work: impl Future<Output = Result<(), Stop>> + Send + 'static) -> Response {
    // A task of its own: its end is the end of the answer, and the answer's end its own.
    tokio::spawn(async move {
        let said = match work.await {
            Ok(()) => Ok(()),
            Err(Stop::Problem(problem)) => rows.problem(problem).await,
            Err(Stop::Gone) => Err(Gone),
        };
        if said.is_ok() {
            // Who has gone by now has seen all rows.
            _ = rows.line(&Line::End).await;
        }
    });
    ([("content-type", "application/x-ndjson")], Body::from_stream(lines.into_stream())).into_response()
}

/// Why a verb ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    Problem(Problem),
    Gone,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Problem(problem)
    }
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Stop {
        Stop::Gone
    }
}

async fn run(desk: &Desk, request: Request, rows: &Rows) -> Result<(), Stop> {
    match request {
        Request::Stats => server::stats(desk, rows).await,
        Request::Stop => {
            desk.stop();
            Ok(())
        }
        Request::Reload => server::reload(desk, rows).await,
        Request::LogErrors { since, errors_only, last } => log::errors(desk, since, (errors_only, last), rows).await,
        Request::Top { every_ms, frames } => top::top(desk, every_ms, frames, rows).await,
        Request::Who { users } => who::who(desk, &users, rows).await,
        Request::Kick { whom } => who::kick(desk, &whom, rows).await,
        Request::UserList { users } => users::list(desk, &users, rows).await,
        Request::UserInfo { users } => users::info(desk, &users, rows).await,
        Request::UserChanged { user, gone } => users::changed(desk, &user, gone, rows).await,
        Request::UserEnd { user } => users::end(desk, &user, rows).await,
        Request::AuthTest { user, authzid, password, from } => {
            auth::test(desk, (user, authzid, from), password, rows).await
        }
        Request::Check { users } => heal::check(desk, &users, rows).await,
        Request::Rebuild { users, from_bodies } => heal::rebuild(desk, &users, from_bodies, rows).await,
        Request::DictionaryTrain { keep } => dictionary::train(desk, keep, rows).await,
        Request::DictionaryList => dictionary::list(desk, rows).await,
        Request::DictionaryRead => dictionary::read(desk, rows).await,
        Request::DictionaryKeep { file } => dictionary::keep(desk, &file).await,
        Request::Pin { user } => backup::pin(desk, &user, rows).await,
        Request::Unpin { user, pin } => backup::unpin(desk, &user, pin, rows).await,
        Request::RestoreFolder { user } => backup::folder(desk, &user, rows).await,
        Request::Restore { user, replace } => backup::restore(desk, &user, replace, rows).await,
        Request::MailboxList { users, patterns, subscribed } => {
            mailbox::list(desk, &users, patterns, subscribed, rows).await
        }
        Request::MailboxStatus { users, patterns } => mailbox::status(desk, &users, patterns, rows).await,
        Request::MailboxCreate { users, names, subscribe } => {
            mailbox::create(desk, &users, names, subscribe, rows).await
        }
        Request::MailboxDelete { users, names, unsubscribe } => {
            mailbox::delete(desk, &users, names, unsubscribe, rows).await
        }
        Request::MailboxRename { users, from, to } => mailbox::rename(desk, &users, from, to, rows).await,
        Request::MailboxSubscribe { users, names, on } => mailbox::subscribe(desk, &users, names, on, rows).await,
        Request::MailboxMetadata { users, mailbox, entry, prefix } => {
            metadata::list(desk, &users, (mailbox, entry, prefix), rows).await
        }
        Request::MailboxAnnotate { users, mailbox, entry, value } => {
            metadata::set(desk, &users, mailbox, (entry, value), rows).await
        }
        Request::Search { users, query } => message::search(desk, &users, &query, rows).await,
        Request::Fetch { users, fields, query } => fetch::fetch(desk, &users, &fields, &query, rows).await,
        Request::Expunge { users, query } => message::expunge(desk, &users, &query, rows).await,
        Request::Deduplicate { users, query } => message::deduplicate(desk, &users, &query, rows).await,
        Request::Flags { users, how, flags, query } => message::flags(desk, &users, (how, &flags), &query, rows).await,
        Request::Copy { users, to, moving, query } => message::copy(desk, &users, (to, moving), &query, rows).await,
    }
}
