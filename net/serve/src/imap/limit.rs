//! At most so many messages by one command (RFC 9738): the highest of those that are meant, and the client is told from where to go on.
//!
//! ```text
//! FETCH STORE SEARCH MOVE UID EXPUNGE    the highest N, and OK [MESSAGELIMIT N lowest]
//! COPY APPEND                            all or nothing: NO [MESSAGELIMIT N]; these alone with a limit on what is saved
//! SORT THREAD                            an order of a part is none: NO [MESSAGELIMIT N]
//! EXPUNGE CLOSE STATUS                   never limited (RFC 9738 §3.1)
//! ESEARCH                                not one of the commands that the RFC names
//! ```

use super::link::Link;
use super::session::Session;
use super::sync::seqs_of;
use skein_base::{IdSet, MailboxId, Uid};
use skein_proto::imap::{Code, Reply, ResultRange, response};
use skein_store::mailbox::ViewId;

impl Session {
    /// The messages of a set that one command may work on, with what the client is told when these are not all.
    pub(super) fn limited(&self, mailbox: MailboxId, view: ViewId, uids: IdSet) -> (IdSet, Option<Code>) {
        match self.highest(mailbox, view, &uids, self.message_limit) {
            None => (uids, None),
            Some(highest) => {
                let told = told(self.message_limit, &highest);
                (highest, Some(told))
            }
        }
    }

    /// Of messages whose UIDs are known: the same.
    pub(super) fn limited_to(&self, uids: IdSet) -> (IdSet, Option<Code>) {
        let (count, max) = (uids.count(), u64::from(self.message_limit));
        if max == 0 || count <= max {
            return (uids, None);
        }
        let highest = uids.places(count - max..count);
        let told = told(self.message_limit, &highest);
        (highest, Some(told))
    }

    /// The refusal of a command that works on all or on none.
    pub(super) fn refuse_over(
        &self,
        max: u32,
        (mailbox, view): (MailboxId, ViewId),
        uids: &IdSet,
    ) -> Result<(), Reply> {
        match self.highest(mailbox, view, uids, max) {
            None => Ok(()),
            Some(highest) => Err(refusal(told(max, &highest), max)),
        }
    }

    /// The refusal of a PARTIAL that names too many places, however many messages there are (RFC 9738 §3.1).
    pub(super) fn refuse_places(&self, range: ResultRange) -> Result<(), Reply> {
        let max = self.message_limit;
        match max > 0 && range.last - range.first >= max {
            true => Err(refusal(Code::MessageLimit { limit: max, lowest: None }, max)),
            false => Ok(()),
        }
    }

    /// The refusal of one message more than may be appended at once.
    pub(super) fn refuse_appended(&self, messages: usize) -> Result<(), Reply> {
        let max = self.save_limit();
        match max > 0 && messages > max as usize {
            true => Err(refusal(Code::MessageLimit { limit: max, lowest: None }, max)),
            false => Ok(()),
        }
    }

    /// Messages that may be saved at once; 0 is no limit.
    pub(super) fn save_limit(&self) -> u32 {
        if self.message_limit > 0 { self.message_limit } else { self.saved_limit }
    }

    /// The highest so many messages of the view among these, when there are more.
    fn highest(&self, mailbox: MailboxId, view: ViewId, uids: &IdSet, max: u32) -> Option<IdSet> {
        if max == 0 {
            return None;
        }
        self.look(mailbox, |m| {
            let seqs = seqs_of(m, view, uids);
            let (count, max) = (seqs.count(), u64::from(max));
            (count > max).then(|| m.uids_of(view, &seqs.places(count - max..count)))
        })
    }
}

/// Tells the client that the command has not worked on all that was meant: in the reply when it has nothing else to say, else before it.
pub(super) fn with_limit(reply: Reply, limited: Option<Code>, link: &mut Link<'_>) -> Reply {
    match (reply, limited) {
        (Reply::Done, Some(code)) => Reply::DoneCode(code),
        (reply @ (Reply::DoneCode(_) | Reply::No { .. }), Some(code)) => {
            response::message_limit(link.out(), &code);
            reply
        }
        (reply, _) => reply,
    }
}

fn told(limit: u32, highest: &IdSet) -> Code {
    Code::MessageLimit { limit, lowest: highest.first().map(Uid) }
}

fn refusal(code: Code, max: u32) -> Reply {
    Reply::No { code: Some(code), text: format!("At most {max} messages at a time, try fewer").into() }
}
