//! APPEND: bytes into the log as they come, the op once they are all there.

use super::session::Session;
use crate::failure::{refuse, refuse_target};
use crate::ingest::Ingest;
use skein_proto::imap::{Code, FlagList, Reply};
use skein_store::op::NewMessage;
use skein_store::{AccountError, StoreError};

/// An APPEND whose literal is being received.
pub(crate) struct Append {
    mailbox: String,
    flags: FlagList,
    internal_date: Option<i64>,
    ingest: Ingest,
}

impl Session {
    pub(super) async fn append_begin(
        &mut self,
        mailbox: &str,
        flags: FlagList,
        internal_date: Option<i64>,
        size: u64,
    ) -> Reply {
        self.append = None;
        if size > self.message_bytes_max {
            let max = self.message_bytes_max;
            return Reply::No { code: Some(Code::TooBig), text: format!("Messages are at most {max} bytes").into() };
        }
        if let Err(error) = self.find_loaded(mailbox).await {
            return refuse_target(&error);
        }
        if let Err(error) = self.store.log().takes_messages() {
            return refuse(&error.into());
        }
        let ingest = Ingest::new(&self.store, self.message_bytes_max);
        self.append = Some(Box::new(Append { mailbox: mailbox.to_owned(), flags, internal_date, ingest }));
        Reply::Continue
    }

    pub(super) async fn append_chunk(&mut self, bytes: &[u8]) -> Reply {
        let Some(append) = &mut self.append else { return Reply::bad("No APPEND is under way") };
        match append.ingest.push(bytes).await {
            Ok(()) => Reply::Continue,
            Err(error) => {
                self.append = None;
                refuse(&error)
            }
        }
    }

    pub(super) async fn append_end(&mut self) -> Reply {
        let Some(append) = self.append.take() else { return Reply::bad("No APPEND is under way") };
        self.finish_append(*append).await.unwrap_or_else(|error| refuse_target(&error))
    }

    async fn finish_append(&self, append: Append) -> Result<Reply, StoreError> {
        let body = append.ingest.finish().await?;
        let id = self.find_loaded(&append.mailbox).await?;
        let now = self.store.now();
        // From here on nothing waits: the body, its op and the UID told belong together.
        let addr = body.log(&self.store)?;
        let message = NewMessage {
            flags: append.flags.system,
            keywords: append.flags.keywords.iter().map(|k| k.as_str().into()).collect(),
            internal_date: append.internal_date.unwrap_or(now),
            save_date: now,
            size: addr.bytes,
            guid: self.store.guid(&addr),
            body: addr,
        };
        let (uid, ops) = self.account.read(|account| account.append(id, vec![message]))?;
        self.commit(&ops)?;
        let validity = self.account.read(|account| account.mailbox(id).map(|m| m.validity()));
        let validity = validity.ok_or(AccountError::NoSuchMailbox)?;
        Ok(Reply::DoneCode(Code::AppendUid { validity, uid }))
    }
}
