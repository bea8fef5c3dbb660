//! Answers into lines, and the news before the tagged one.

use super::{Imap, Phase, Refusal, State, Waiting, Why};
use crate::imap::response::{self, condition};
use crate::imap::verb::{News, Verb};
use crate::imap::{Code, Reply, Request, SelectedInfo};

impl Imap {
    pub(super) fn answered(&mut self, waiting: Waiting, reply: Reply) {
        if let Reply::Bye { text } = &reply {
            return self.bye(text);
        }
        match waiting {
            Waiting::Enable => {
                let request = self.running().then.take().expect("the command waits for this");
                self.asking(request, Waiting::Command);
            }
            Waiting::Command => self.conclude(reply),
            Waiting::Sasl => self.sasl_answered(reply),
            Waiting::Sync => self.finish(),
            Waiting::Append => self.append_went_on(reply),
            Waiting::AppendChunk { left } => self.append_chunk_taken(left, reply),
            Waiting::IdleEnd(None) => self.conclude(Reply::Done),
            Waiting::AppendAbort(leftover) | Waiting::IdleEnd(Some(leftover)) => {
                let line = std::mem::take(&mut self.running().tagged);
                self.refuse(Refusal::rendered(line, true), leftover);
            }
        }
    }

    /// The command has its outcome: write what belongs to it, ask for the news, prepare the tagged line.
    pub(super) fn conclude(&mut self, reply: Reply) {
        let verb = self.running().verb;
        match &reply {
            Reply::Continue => return self.start_idle(verb),
            Reply::Bad { .. } => {
                let line = self.tagged_line(&reply);
                return self.refuse(Refusal::rendered(line, true), super::Leftover::None);
            }
            Reply::No { .. } => {}
            done => self.done(verb, done),
        }
        let line = self.tagged_line(&reply);
        self.running().tagged = line;
        let resync = self.running().resync.take();
        if let (Reply::Selected(info), Some(resync)) = (&reply, resync)
            && info.uid_validity == resync.validity
        {
            return self.asking(Request::Resync(resync), Waiting::Sync);
        }
        match (verb.news(), self.selected() || self.is_watching()) {
            (News::None, _) | (_, false) => self.finish(),
            (News::NoExpunge, true) => self.ask_news(false),
            (News::All, true) => self.ask_news(true),
        }
    }

    fn ask_news(&mut self, expunges: bool) {
        self.asking(Request::Sync { expunges, check: false }, Waiting::Sync);
    }

    fn start_idle(&mut self, verb: Verb) {
        assert!(verb == Verb::Idle, "{} is not continued", verb.name());
        self.out.extend_from_slice(b"+ idling\r\n");
        self.phase = Phase::Idle;
    }

    /// What a success changes, and its untagged lines.
    fn done(&mut self, verb: Verb, reply: &Reply) {
        match (verb, reply) {
            (Verb::Login | Verb::Authenticate, Reply::LoggedIn { .. }) => self.state = State::Authenticated,
            (Verb::Login | Verb::Authenticate, Reply::Referred { .. }) => {
                // The tagged line has another code.
                self.out.extend_from_slice(b"* CAPABILITY ");
                self.config.write_capabilities(&mut self.out, &self.channel, true);
                self.out.extend_from_slice(b"\r\n");
                self.state = State::Authenticated;
            }
            (Verb::Select | Verb::Examine, Reply::Selected(info)) => {
                let name = self.running().named.take().filter(|_| self.enabled.rev2);
                let named = name.as_deref().map(|name| (name, self.enabled.names()));
                match self.enabled.uid_only {
                    // It is a message number (RFC 9586 §3).
                    true => {
                        let info = SelectedInfo { first_unseen: None, ..(**info).clone() };
                        response::selected(&mut self.out, &info, named);
                    }
                    false => response::selected(&mut self.out, info, named),
                }
                self.state = State::Selected;
            }
            (Verb::Status, Reply::Status(info)) => {
                let (name, items) = (self.running().named.take().expect("kept when asked"), self.running().status);
                let names = self.enabled.names();
                response::status(&mut self.out, &name, items, info, names);
            }
            (Verb::Notify, Reply::Done) => self.notifies = self.running().notifies,
            (Verb::Close | Verb::Unselect, Reply::Done | Reply::DoneCode(_)) => self.state = State::Authenticated,
            (Verb::Unauthenticate, Reply::Done) => self.unauthenticated(),
            // The client must know the new UIDs before the EXPUNGE lines of the old ones (RFC 6851 §4.3).
            (Verb::Move | Verb::UidMove, Reply::DoneCode(code @ Code::CopyUid { .. })) => {
                condition(&mut self.out, b"*", "OK", Some(code), "Moved.");
            }
            // The same of RFC 8508 §3.2.
            (Verb::Replace | Verb::UidReplace, Reply::DoneCode(code)) => {
                condition(&mut self.out, b"*", "OK", Some(code), "Replacement message ready.");
            }
            (Verb::Login | Verb::Authenticate | Verb::Select | Verb::Examine | Verb::Status, _)
            | (
                _,
                Reply::LoggedIn { .. }
                | Reply::Referred { .. }
                | Reply::Keys(_)
                | Reply::Selected(_)
                | Reply::Status(_),
            ) => {
                panic!("{} answered with {reply:?}", verb.name())
            }
            _ => {}
        }
    }

    /// The tagged line that goes with a reply.
    pub(super) fn tagged_line(&mut self, reply: &Reply) -> Vec<u8> {
        let Imap { config, running, channel, .. } = self;
        let running = running.as_ref().expect("a command is in flight");
        let (tag, name) = (&running.tag, running.name);
        let mut line = Vec::with_capacity(64);
        match reply {
            Reply::No { code, text } => condition(&mut line, tag, "NO", code.as_ref(), text),
            Reply::Bad { text } => condition(&mut line, tag, "BAD", None, text),
            Reply::LoggedIn { .. } => {
                line.extend_from_slice(tag);
                line.extend_from_slice(b" OK [CAPABILITY ");
                config.write_capabilities(&mut line, channel, true);
                line.extend_from_slice(b"] Logged in.\r\n");
            }
            Reply::Referred { url, text } => {
                let text = text.as_deref().unwrap_or("Logged in, but you should use this server instead.");
                condition(&mut line, tag, "OK", Some(&Code::Referral(url.clone())), text);
            }
            Reply::DoneCode(code @ Code::Modified(_)) => {
                condition(&mut line, tag, "OK", Some(code), "Conditional STORE failed for some messages.");
            }
            Reply::DoneCode(code @ Code::MessageLimit { limit, .. }) => {
                condition(&mut line, tag, "OK", Some(code), &format!("{name} completed for {limit} messages."));
            }
            other => {
                let code = match other {
                    Reply::Selected(info) if info.read_only => Some(&Code::ReadOnly),
                    Reply::Selected(_) => Some(&Code::ReadWrite),
                    Reply::DoneCode(_) if tells_code_before(running.verb) => None,
                    Reply::DoneCode(code) => Some(code),
                    _ => None,
                };
                condition(&mut line, tag, "OK", code, name);
                line.truncate(line.len() - 2);
                line.extend_from_slice(b" completed.\r\n");
            }
        }
        line
    }

    /// The tagged line, and the command is over.
    fn finish(&mut self) {
        let running = self.running.take().expect("a command is in flight");
        self.out.extend_from_slice(&running.tagged);
        self.bad_commands = 0;
        self.phase = match running.verb {
            Verb::Logout => Phase::Close(Why::Logout),
            _ => Phase::Command,
        };
    }
}

/// The code was told on a line of its own.
fn tells_code_before(verb: Verb) -> bool {
    matches!(verb, Verb::Move | Verb::UidMove | Verb::Replace | Verb::UidReplace)
}
