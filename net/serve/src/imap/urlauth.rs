//! URLAUTH (RFC 4467): URLs that let others read a message, or a part of it.
//!
//! ```text
//! GENURLAUTH ─▶ key of the mailbox ─▶ token of all that is before it     URLFETCH ─▶ owner's shard ─▶ the same token? ─▶ the part
//! RESETKEY   ─▶ the key goes, and with it what was authorized
//! ```
//! Who has the URL needs no other right. What can not be read, for whatever reason, is NIL: a stranger learns nothing of it.

use super::binary::{decoded_size, write_decoded};
use super::fetch::{Failure, cut, filtered_header, section_of};
use super::guest::{PIECES_UNDER_WAY, Piece};
use super::link::{Lane, Link};
use super::session::Session;
use super::spaces::{Spaces, mailbox_of_url};
use crate::failure::refuse;
use crate::host::{Host, Job, ToShard};
use crate::message::Message;
use skein_base::limits::BODY_CHUNK_BYTES;
use skein_base::{AccountId, Class, MailboxId, Uid, UidValidity, UserName};
use skein_mime::{part_structure, structure};
use skein_proto::imap::response::{self, literal_head, string};
use skein_proto::imap::{Code, ImapUrl, Reply, SectionText, UrlAccess, UrlAuth, UrlItems};
use skein_store::mailbox::{CacheAt, Fixed};
use skein_store::{Actor, StoreError};
use std::io;

/// The annotation of a mailbox that holds its key; no client sees it.
const KEY: &str = "urlauth";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// The first byte of a token: how the rest is made. 1 is a keyed BLAKE3 of the URL before the mechanism.
const TOKEN_VERSION: u8 = 1;

pub(super) type Key = [u8; KEY_BYTES];

impl Session {
    /// GENURLAUTH.
    pub(super) fn generate_urls(&self, urls: &[(String, String)], link: &mut Link<'_>) -> Reply {
        let mut told = Vec::with_capacity(urls.len());
        for (url, mechanism) in urls {
            match self.generate(url, mechanism) {
                Ok(url) => told.push(url),
                Err(refusal) => return refusal,
            }
        }
        let out = link.out();
        out.extend_from_slice(b"* GENURLAUTH");
        for url in told {
            out.push(b' ');
            string(out, url.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Reply::Done
    }

    fn generate(&self, text: &str, mechanism: &str) -> Result<String, Reply> {
        if !mechanism.eq_ignore_ascii_case("INTERNAL") {
            return Err(Reply::bad("The only mechanism is INTERNAL"));
        }
        let url = ImapUrl::parse(text).map_err(|error| Reply::bad(error.why))?;
        let (user, auth) = match (&url.server, &url.auth) {
            (Some(server), Some(auth)) if auth.mechanism.is_none() => (server.user.as_deref(), auth),
            (_, Some(_)) => return Err(Reply::bad("The URL is authorized already")),
            (_, None) => return Err(Reply::bad("The URL says not for whom it is")),
        };
        let is_mine = user.and_then(|user| UserName::new(user).ok()).is_some_and(|user| user == *self.account.user());
        // RFC 4467 §7: of a mailbox that is not there, or of somebody else's, the answer MUST be BAD.
        let missing = || Reply::bad("The URL names no mailbox of yours");
        let name = mailbox_of_url(self.spaces.as_deref(), &url, None).filter(|_| is_mine).ok_or_else(missing)?;
        let id = self.account.read(|account| account.find(&name).map(|named| named.id)).ok_or_else(missing)?;
        let key = self.key(id).map_err(|error| refuse(&error))?;
        let token: String = token(&key, auth).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{text}:internal:{token}"))
    }

    /// The key of a mailbox, which begins now if there is none.
    fn key(&self, mailbox: MailboxId) -> Result<Key, StoreError> {
        if let Some(key) = self.known_key(mailbox) {
            return Ok(key);
        }
        let key: Key = self.host.chance().ok_or_else(|| io::Error::other("no random bytes"))?;
        let value = Some(Box::from(&key[..]));
        self.commit_with(|account, _| account.set_metadata(Some(mailbox), &[(KEY.into(), value)]))?;
        Ok(key)
    }

    fn known_key(&self, mailbox: MailboxId) -> Option<Key> {
        self.account.read(|account| Key::try_from(&**account.metadata(Some(mailbox))?.get(KEY)?).ok())
    }

    /// The key of a mailbox that this user can let others read by URLs, when it has one.
    pub(super) fn url_key_of(&self, mailbox: MailboxId) -> Option<Option<Key>> {
        (self.actor == Actor::Owner).then(|| self.known_key(mailbox))
    }

    /// Tells that URLs of the selected mailbox are authorized no more, since another session has reset the key (RFC 4467 §7). That there is a
    /// first key is no news.
    pub(super) fn tell_key_reset(&mut self, out: &mut Vec<u8>) {
        let Some(selected) = &self.selected else { return };
        let (told, key) = (selected.url_key, self.url_key_of(selected.mailbox).flatten());
        if told == key {
            return;
        }
        if let Some(selected) = &mut self.selected {
            selected.url_key = key;
        }
        if told.is_some() {
            response::url_mech(out);
        }
    }

    /// RESETKEY.
    pub(super) fn reset_key(&mut self, mailbox: Option<&str>) -> Reply {
        let found: Vec<MailboxId> = self.account.read(|account| match mailbox {
            Some(name) => account.find(name).map(|named| named.id).into_iter().collect(),
            None => account.mailboxes().map(|named| named.id).collect(),
        });
        if mailbox.is_some() && found.is_empty() {
            return Reply::no(Class::Missing, "No such mailbox");
        }
        let forgotten = self.commit_with(|account, _| {
            let ops = found.iter().map(|id| account.set_metadata(Some(*id), &[(KEY.into(), None)]));
            Ok(ops.collect::<Result<Vec<_>, _>>()?.concat())
        });
        // The tagged line tells this client.
        if let Some(selected) =
            self.selected.as_mut().filter(|selected| mailbox.is_some() && found.contains(&selected.mailbox))
        {
            selected.url_key = None;
        }
        match forgotten {
            Ok(()) if mailbox.is_some() => Reply::DoneCode(Code::UrlMech),
            Ok(()) => Reply::Done,
            Err(error) => refuse(&error),
        }
    }

    /// URLFETCH.
    pub(super) async fn fetch_urls(
        &mut self,
        urls: Vec<(String, Option<UrlItems>)>,
        link: &mut Link<'_>,
    ) -> io::Result<Reply> {
        for (text, items) in urls {
            link.out().extend_from_slice(b"* URLFETCH ");
            string(link.out(), text.as_bytes());
            link.out().push(b' ');
            match self.may_read(&text) {
                Some((url, owner)) => self.fetch_url(url, &owner, items, link).await?,
                None => link.out().extend_from_slice(b"NIL"),
            }
            link.out().extend_from_slice(b"\r\n");
            link.drain_if_full(self).await?;
        }
        Ok(Reply::Done)
    }

    /// A URL that this user may read if its token is right, and whose mailbox it is in.
    fn may_read(&self, text: &str) -> Option<(ImapUrl, UserName)> {
        let url = ImapUrl::parse(text).ok()?;
        let auth = url.auth.as_ref().filter(|auth| auth.token.is_some())?;
        let is_internal = auth.mechanism.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("INTERNAL"));
        let is_me = |user: &str| UserName::new(user).is_ok_and(|user| user == *self.account.user());
        let is_for_me = match &auth.access {
            UrlAccess::User(user) => is_me(user),
            UrlAccess::AuthUser | UrlAccess::Anonymous => true,
            // A submission server's own way in; none is known here.
            UrlAccess::Submit(_) => false,
        };
        let is_in_time = auth.expire.is_none_or(|end| self.store.now() < end);
        let owner = UserName::new(url.server.as_ref()?.user.as_ref()?).ok()?;
        (is_internal && is_for_me && is_in_time).then_some((url, owner))
    }

    /// Asks where the owner lives.
    async fn fetch_url(
        &mut self,
        url: ImapUrl,
        owner: &UserName,
        items: Option<UrlItems>,
        link: &mut Link<'_>,
    ) -> io::Result<()> {
        let home = self.host.home_of(owner);
        if home == self.host.id() {
            return read_at(self.host.clone(), owner, &url, items, link).await;
        }
        let (answers, pieces) = flume::bounded(PIECES_UNDER_WAY);
        let (user, client) = (owner.clone(), link.asking());
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                let mut lane = Lane { out: Vec::new(), client, to: answers.clone() };
                // When the client is gone nobody waits for the rest.
                if read_at(host, &user, &url, items, &mut Link::over(&mut lane)).await.is_ok() {
                    let _he_may_be_gone = answers.send_async(Piece::Lines(lane.out)).await;
                    let _he_may_be_gone = answers.send_async(Piece::Reply(Reply::Done)).await;
                }
            })
        });
        let mut begun = false;
        if self.host.lanes().send(home, ToShard::Run(job)).is_ok() {
            loop {
                match pieces.recv_async().await {
                    Ok(Piece::Lines(lines)) => {
                        begun |= !lines.is_empty();
                        link.out().extend_from_slice(&lines);
                        link.drain_if_full(self).await?;
                    }
                    Ok(_) if begun => return Ok(()),
                    // In the middle of a literal nothing but its bytes may follow.
                    Err(_) if begun => return Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => break,
                }
            }
        }
        link.out().extend_from_slice(b"NIL");
        Ok(())
    }

    /// What a URL names, if its token is this mailbox's.
    async fn named(&self, url: &ImapUrl) -> Option<(Fixed, CacheAt)> {
        // As the owner wrote it, who has the namespaces of the settings.
        let spaces = Spaces::of(&self.host.settings().config);
        let (auth, name, uid) = (url.auth.as_ref()?, mailbox_of_url(spaces.as_deref(), url, None)?, Uid(url.uid?));
        let id = self.account.read(|account| account.find(&name).map(|named| named.id))?;
        if !is_right(&self.known_key(id)?, auth) {
            return None;
        }
        self.store.load(&self.account, id).await.ok()?;
        self.account.read(|account| {
            let mailbox = account.mailbox(id)?;
            let fits = url.validity.is_none_or(|validity| mailbox.validity() == UidValidity(validity));
            let row = mailbox.rows().find(uid).filter(|_| fits)?;
            Some((mailbox.fixed(row), mailbox.cache(row)))
        })
    }
}

/// Writes what a URL names, from an account of this shard.
async fn read_at(
    host: Host,
    owner: &UserName,
    url: &ImapUrl,
    items: Option<UrlItems>,
    link: &mut Link<'_>,
) -> io::Result<()> {
    let Ok(account) = host.store().open_known(AccountId::of(owner)).await else {
        link.out().extend_from_slice(b"NIL");
        return Ok(());
    };
    let session = Session::new(&host, account, Actor::Operator);
    let Some((fixed, cache)) = session.named(url).await else {
        link.out().extend_from_slice(b"NIL");
        return Ok(());
    };
    // What another user reads must be durable where it is.
    if let Err(error) = session.store.durable(&session.account).await {
        crate::failure::log(&error);
        link.out().extend_from_slice(b"NIL");
        return Ok(());
    }
    let mut message = Message::new(&session.store, &session.account, fixed, cache);
    let written = match items {
        None => write_body(&session, url, &mut message, link).await,
        Some(items) => write_items(&session, url, items, &mut message, link).await,
    };
    match written {
        Ok(()) => Ok(()),
        Err(Failure::Gone(error)) => Err(error),
        // Nothing of it has been written yet.
        Err(Failure::Store(error)) => {
            crate::failure::log(&error);
            link.out().extend_from_slice(b"NIL");
            Ok(())
        }
        Err(Failure::UnknownEncoding) => {
            link.out().extend_from_slice(b"NIL");
            Ok(())
        }
    }
}

/// `(BODYPARTSTRUCTURE ..) (BODY ..) (BINARY ..)` (RFC 5524 §3.2)
async fn write_items(
    session: &Session,
    url: &ImapUrl,
    items: UrlItems,
    message: &mut Message<'_>,
    link: &mut Link<'_>,
) -> Result<(), Failure> {
    let path = &url.section.path;
    let is_part = matches!(url.section.text, SectionText::All);
    let mut space = "";
    if items.structure {
        let mut told = b"NIL".to_vec();
        let decoded = match items.binary && is_part {
            true => decoded_size(path, message).await?,
            false => None,
        };
        let whole = message.whole().await?;
        let mut found = Vec::new();
        if is_part && part_structure(whole, &structure(whole), path, decoded, &mut found) {
            told = found;
        }
        link.out().extend_from_slice(b"(BODYPARTSTRUCTURE ");
        link.out().extend_from_slice(&told);
        link.out().push(b')');
        space = " ";
    }
    if items.body {
        link.out().extend_from_slice(format!("{space}(BODY ").as_bytes());
        write_body(session, url, message, link).await.map_err(begun)?;
        link.out().push(b')');
        space = " ";
    }
    if items.binary {
        link.out().extend_from_slice(format!("{space}(BINARY ").as_bytes());
        match is_part {
            true => write_decoded(session, path, url.section.partial, message, link).await.map_err(begun)?,
            false => write_body(session, url, message, link).await.map_err(begun)?,
        }
        link.out().push(b')');
    }
    Ok(())
}

/// The section as it is stored, as a literal; NIL when there is none.
async fn write_body(
    session: &Session,
    url: &ImapUrl,
    message: &mut Message<'_>,
    link: &mut Link<'_>,
) -> Result<(), Failure> {
    let (section, partial) = (section_of(&url.section), url.section.partial);
    if let Some(filtered) = filtered_header(message, &section).await? {
        let part = cut(0..filtered.len() as u64, partial);
        literal_head(link.out(), part.end - part.start);
        link.out().extend_from_slice(&filtered[part.start as usize..part.end as usize]);
        return Ok(());
    }
    let Some(span) = message.locate(&section).await? else {
        link.out().extend_from_slice(b"NIL");
        return Ok(());
    };
    let part = cut(u64::from(span.start)..u64::from(span.end), partial);
    let mut at = part.start;
    // Before the length is told nothing has failed yet.
    let mut next = message.range(at..part.end.min(at + BODY_CHUNK_BYTES as u64)).await?;
    literal_head(link.out(), part.end - part.start);
    while at < part.end {
        if next.is_empty() {
            return Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        link.out().extend_from_slice(&next);
        at += next.len() as u64;
        link.drain_if_full(session).await.map_err(Failure::Gone)?;
        skein_runtime::session_yield().await;
        next = message.range(at..part.end.min(at + BODY_CHUNK_BYTES as u64)).await.map_err(super::fetch::broken)?;
    }
    Ok(())
}

/// A failure after something was written can only end the connection.
fn begun(failure: Failure) -> Failure {
    match failure {
        Failure::Store(error) => super::fetch::broken(error),
        other => other,
    }
}

/// What vouches for all of a URL that is before its mechanism.
fn token(key: &Key, auth: &UrlAuth) -> Vec<u8> {
    let mut token = vec![TOKEN_VERSION];
    token.extend_from_slice(blake3::keyed_hash(key, auth.rump.as_bytes()).as_bytes());
    token
}

/// Hashes compare in constant time.
fn is_right(key: &Key, auth: &UrlAuth) -> bool {
    let Some((&TOKEN_VERSION, hash)) = auth.token.as_deref().and_then(<[u8]>::split_first) else { return false };
    blake3::keyed_hash(key, auth.rump.as_bytes()) == *hash
}
