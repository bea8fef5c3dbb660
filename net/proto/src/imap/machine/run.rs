//! A well-formed command: answered here, or asked.

use super::{Imap, Leftover, Phase, State, Waiting};
use crate::imap::comparator::{self, Order};
use crate::imap::language::{self, LANGUAGES, Range};
use crate::imap::parse::{Command, Enabling};
use crate::imap::response::{self, ListAttributes, Listing};
use crate::imap::verb::Verb;
use crate::imap::{Code, FetchItem, Reply, Request, Returns, StatusItems};

/// To who wants to log in too early.
pub(super) const NEEDS_TLS: &str = "Start TLS first: a password must not travel in plain text";

impl Imap {
    pub(super) fn run(&mut self, command: Command) {
        match command {
            Command::Plain => self.run_plain(),
            Command::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial),
            Command::Enable(named) => self.enable(named),
            Command::Compress { deflate } => self.compress(deflate),
            Command::Comparator(orders) => self.comparator(&orders),
            Command::Language(ranges) => self.language(&ranges),
            Command::Separator => {
                let lsub = self.running().verb == Verb::Lsub;
                let listing = Listing { lsub, attributes: ListAttributes::NO_SELECT, ..Listing::default() };
                response::list(&mut self.out, &listing, "", self.enabled.names());
                self.conclude(Reply::Done);
            }
            Command::Ask(request) => self.run_request(request),
            Command::Extension(arguments) => {
                let command = self.running().name;
                self.asking(Request::Extension { command, arguments }, Waiting::Command);
            }
        }
    }

    fn run_plain(&mut self) {
        match self.running().verb {
            Verb::Capability => {
                self.out.extend_from_slice(b"* CAPABILITY ");
                let logged_in = self.logged_in();
                self.config.write_capabilities(&mut self.out, &self.channel, logged_in);
                self.out.extend_from_slice(b"\r\n");
            }
            Verb::Id => self.config.write_id(&mut self.out),
            Verb::StartTls => return self.starttls(),
            _ => {}
        }
        self.conclude(Reply::Done);
    }

    fn starttls(&mut self) {
        if self.channel.tls || !self.config.starttls {
            let text = if self.channel.tls { "TLS is active already" } else { "TLS is not available" };
            return self.conclude(Reply::bad(text));
        }
        self.conclude(Reply::Done);
        self.phase = Phase::StartTls;
    }

    fn compress(&mut self, deflate: bool) {
        if self.compressed {
            let (code, text) = (Some(Code::CompressionActive), "DEFLATE is active already".into());
            return self.conclude(Reply::No { code, text });
        }
        if !deflate {
            return self.conclude(Reply::No { code: None, text: "Only DEFLATE is spoken here".into() });
        }
        self.conclude(Reply::Done);
        self.phase = Phase::StartDeflate;
    }

    /// Commands that come later compare by it; results that are kept up by what was active when they were asked for.
    fn comparator(&mut self, orders: &[Order]) {
        if orders.is_empty() {
            response::comparator(&mut self.out, self.enabled.comparator, &[]);
            return self.conclude(Reply::Done);
        }
        let Some((chosen, matching)) = comparator::choose(orders) else {
            let (code, text) = (Some(Code::BadComparator), "There is no such comparator".into());
            return self.conclude(Reply::No { code, text });
        };
        self.enabled.comparator = chosen;
        response::comparator(&mut self.out, chosen, &matching);
        self.conclude(Reply::Done);
    }

    /// A list of one is what is spoken from now on, of several what can be spoken (RFC 5255 §3.3).
    fn language(&mut self, ranges: &[Range]) {
        if ranges.is_empty() {
            response::language(&mut self.out, &LANGUAGES);
            return self.conclude(Reply::Done);
        }
        let Some(chosen) = language::choose(ranges) else {
            return self.conclude(Reply::No { code: None, text: "No such language is spoken here".into() });
        };
        response::language(&mut self.out, &[chosen]);
        self.conclude(Reply::Done);
    }

    /// QRESYNC enables CONDSTORE as well (RFC 7162 §3.2.3).
    fn enable(&mut self, named: Enabling) {
        let before = self.enabled;
        if (named.utf8 || named.rev2 || named.uid_only) && self.selected() {
            // What has been told of the mailbox would have to be told otherwise (RFC 6855 §3, RFC 9051 §6.3.1, RFC 9586 §3).
            return self.conclude(Reply::bad("Enable that before a mailbox is selected"));
        }
        let newly = (named.condstore || named.qresync) && !before.condstore;
        self.out.extend_from_slice(b"* ENABLED");
        for (is_new, name) in [
            (newly && named.condstore, " CONDSTORE"),
            (named.qresync && !before.qresync, " QRESYNC"),
            (named.metadata && !before.metadata, " METADATA"),
            (named.metadata_server && !before.metadata_server, " METADATA-SERVER"),
            (named.utf8 && !before.utf8, " UTF8=ACCEPT"),
            (named.rev2 && !before.rev2, " IMAP4rev2"),
            (named.uid_only && !before.uid_only, " UIDONLY"),
        ] {
            self.out.extend_from_slice(if is_new { name.as_bytes() } else { b"" });
        }
        self.out.extend_from_slice(b"\r\n");
        self.enabled = Enabling {
            condstore: before.condstore || newly,
            qresync: before.qresync || named.qresync,
            metadata: before.metadata || named.metadata,
            metadata_server: before.metadata_server || named.metadata_server,
            utf8: before.utf8 || named.utf8,
            rev2: before.rev2 || named.rev2,
            uid_only: before.uid_only || named.uid_only,
            comparator: before.comparator,
            dots: before.dots,
        };
        let condstore = (newly && self.selected()).then_some(Request::Enable);
        let mailboxes = self.enabled.metadata;
        let watches = (mailboxes, self.enabled.metadata_server) != (before.metadata, before.metadata_server);
        match (watches.then_some(Request::EnableMetadata { mailboxes }), condstore) {
            (Some(first), Some(then)) => {
                self.running().then = Some(then);
                self.asking(first, Waiting::Enable);
            }
            (Some(only), None) | (None, Some(only)) => self.asking(only, Waiting::Command),
            (None, None) => self.conclude(Reply::Done),
        }
    }

    fn run_request(&mut self, mut request: Request) {
        let needs_qresync = match &request {
            Request::Select { resync, .. } => resync.is_some(),
            Request::Fetch { vanished, .. } => *vanished,
            _ => false,
        };
        if needs_qresync && !self.enabled.qresync {
            return self.conclude(Reply::bad("ENABLE QRESYNC first"));
        }
        if let Request::Select { resync, .. } = &mut request {
            self.running().resync = resync.take();
        }
        match &mut request {
            Request::Logout => {
                response::condition(&mut self.out, b"*", "BYE", None, "Logging out.");
                if !self.logged_in() {
                    return self.conclude(Reply::Done);
                }
            }
            Request::Select { mailbox, rev2, .. } => {
                *rev2 = self.enabled.rev2;
                self.running().named = Some(mailbox.clone());
                if self.selected() {
                    response::condition(&mut self.out, b"*", "OK", Some(&Code::Closed), "Previous mailbox is closed.");
                    self.state = State::Authenticated;
                }
            }
            Request::Sort { returns: Some(returns), .. } | Request::MultiSearch { returns, .. } => {
                returns.tag = String::from_utf8_lossy(&self.running().tag).into_owned();
            }
            Request::UidBatches { tag, .. } => *tag = String::from_utf8_lossy(&self.running().tag).into_owned(),
            Request::Notify(set) => self.running().notifies = set.is_some(),
            Request::Search { returns, .. } => {
                // IMAP4rev2 knows no SEARCH line (RFC 9051 §6.4.4).
                if self.enabled.rev2 && returns.is_none() {
                    *returns = Some(Returns { all: true, ..Returns::default() });
                }
                if let Some(returns) = returns {
                    returns.tag = String::from_utf8_lossy(&self.running().tag).into_owned();
                }
            }
            Request::Status { mailbox, items } => {
                self.running().named = Some(mailbox.clone());
                self.running().status = *items;
            }
            _ => {}
        }
        let newly = !self.enabled.condstore && implies_condstore(&request);
        self.enabled.condstore |= newly;
        if newly && self.selected() {
            self.running().then = Some(request);
            return self.asking(Request::Enable, Waiting::Enable);
        }
        self.asking(request, Waiting::Command);
    }

    pub(super) fn idle_line(&mut self, text: &[u8]) {
        self.intake = super::Intake::default();
        let done = text.eq_ignore_ascii_case(b"DONE");
        self.end_idle(if done { None } else { Some(Leftover::None) });
    }

    /// IDLE is over: the client said DONE, or something else of which `wrong` is left.
    pub(super) fn end_idle(&mut self, wrong: Option<Leftover>) {
        if wrong.is_some() {
            let mut line = Vec::new();
            response::condition(&mut line, &self.running().tag, "BAD", None, "Expected DONE");
            self.running().tagged = line;
        }
        self.asking(Request::IdleEnd, Waiting::IdleEnd(wrong));
    }
}

/// The enabling commands of RFC 7162 §3.1, ENABLE aside.
fn implies_condstore(request: &Request) -> bool {
    match request {
        Request::Select { condstore, .. } => *condstore,
        Request::Status { items, .. } => items.contains(StatusItems::HIGHESTMODSEQ),
        Request::List { extended: Some(options), .. } => {
            options.status.is_some_and(|items| items.contains(StatusItems::HIGHESTMODSEQ))
        }
        Request::Fetch { items, .. } => items.has(&FetchItem::ModSeq),
        Request::Store { unchanged_since, .. } => unchanged_since.is_some(),
        Request::Search { needs_modseq, .. }
        | Request::Sort { needs_modseq, .. }
        | Request::Thread { needs_modseq, .. }
        | Request::MultiSearch { needs_modseq, .. } => *needs_modseq,
        _ => false,
    }
}
