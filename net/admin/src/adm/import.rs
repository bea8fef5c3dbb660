//! `import`: messages of another server, many in one request, their bytes behind what is said of them.
//!
//! ```text
//! POST /adm/v1/import   [ length of the list 4, little-endian ][ the list, JSON ][ bytes of the first message ][ of the next ] ...
//! ```

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use super::users::problem;
use super::wire::{Code, Problem};
use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use skein_auth::SharedAuth;
use skein_base::{AccountId, Flags, Guid, Uid, UidValidity, UserName};
use skein_serve::{Host, Import, Imported, Operator, Target};
use std::sync::Arc;

/// Where imports are posted.
pub const IMPORT_PATH: &str = "/adm/v1/import";
/// Messages in one request; more wait for the next.
pub const IMPORT_MESSAGES_MAX: usize = 256;
/// Bytes of one request: the largest message, and what is said of it.
pub const IMPORT_BYTES_MAX: usize = skein_base::limits::MESSAGE_BYTES_MAX_CEILING as usize + (1 << 20);

/// What is said of the messages of one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportList {
    /// Whose they become.
    pub user: String,
    /// The mailbox they go to.
    pub mailbox: String,
    /// UIDVALIDITY of the source.
    pub validity: Option<u32>,
    /// UIDNEXT of the source, said with its last messages.
    pub uid_next: Option<u32>,
    /// Whether a mailbox that is made is subscribed.
    pub subscribed: bool,
    /// The messages, in order.
    pub messages: Vec<ImportEntry>,
}

/// What is said of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportEntry {
    /// Its UID in the source.
    pub uid: Option<u32>,
    /// System flags, as bits.
    pub flags: u8,
    /// Keywords.
    pub keywords: Vec<Box<str>>,
    /// INTERNALDATE, Unix seconds.
    pub date: i64,
    /// The unique id that POP3 clients know it by, when the source keeps one of its own.
    #[serde(default)]
    pub uidl: Option<Box<str>>,
    /// 16 bytes that are the same each time this message is sent, in hex.
    pub guid: String,
    /// Its bytes.
    pub bytes: usize,
}

fn bad(text: impl Into<String>) -> Problem {
    Problem::new(Code::Usage, text)
}

/// The list and the messages behind it.
fn parse(body: &[u8]) -> Result<(UserName, Target, Vec<Import>), Problem> {
    let (len, rest) = body.split_first_chunk().ok_or_else(|| bad("an import begins with its length"))?;
    let len = u32::from_le_bytes(*len) as usize;
    let (list, mut rest) = rest.split_at_checked(len).ok_or_else(|| bad("an import's list is cut off"))?;
    let list: ImportList = serde_json::from_slice(list).map_err(|error| bad(format!("an import's list: {error}")))?;
    if list.messages.len() > IMPORT_MESSAGES_MAX {
        return Err(bad(format!("at most {IMPORT_MESSAGES_MAX} messages at once")));
    }
    let user = UserName::new(&list.user).map_err(|error| bad(format!("user {:?}: {error}", list.user)))?;
    let mut messages = Vec::with_capacity(list.messages.len());
    for entry in list.messages {
        let (message, after) = rest.split_at_checked(entry.bytes).ok_or_else(|| bad("a message is cut off"))?;
        rest = after;
        messages.push(Import {
            uid: entry.uid.map(Uid),
            flags: Flags(entry.flags & Flags::ALL.0),
            keywords: entry.keywords,
            internal_date: entry.date,
            unique_id: entry.uidl,
            guid: AccountId::from_hex(&entry.guid)
                .map(|id| Guid(id.0))
                .ok_or_else(|| bad("a guid is 16 bytes in hex"))?,
            message: message.to_vec(),
        });
    }
    let (validity, uid_next) = (list.validity.map(UidValidity), list.uid_next.map(Uid));
    let target = Target { mailbox: list.mailbox, validity, uid_next, subscribed: list.subscribed };
    Ok((user, target, messages))
}

/// A row for each message, in order; all that is told is durable.
pub(crate) async fn import(desk: &Desk, body: Bytes, rows: &Rows) -> Result<(), Stop> {
    let (user, target, messages) = parse(&body)?;
    drop(body);
    let (home, auth) = (desk.home(AccountId::of(&user)), desk.auth().clone());
    let done = desk.ask(home, async move |host| {
        let operator = account(&host, &user, &auth).await?;
        operator.import(&target, messages).await.map_err(problem)
    });
    for imported in done.await?? {
        let (what, uid) = match imported {
            Ok(Imported::Kept(uid)) => ("kept", uid),
            Ok(Imported::Given(uid)) => ("given", uid),
            Ok(Imported::Already(uid)) => ("already", uid),
            Err(error) => {
                rows.row([("refused", error.to_string().into())]).await?;
                continue;
            }
        };
        rows.row([("took", what.into()), ("uid", uid.0.into())]).await?;
    }
    Ok(())
}

/// The account of a user who may log in; begun if it is new.
async fn account(host: &Host, user: &UserName, auth: &Arc<SharedAuth>) -> Result<Operator, Stop> {
    if !auth.state().users.know(user) {
        return Err(Problem::new(Code::NoUser, format!("there is no user {user}")).into());
    }
    Operator::open(host, user).await.map_err(problem)
}
