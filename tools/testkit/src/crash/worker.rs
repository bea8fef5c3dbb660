//! The workers: IMAP clients and LMTP clients that change mail and keep their ledgers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::ledger::{Flight, Item, Ledger, Place};
use super::{Plan, Shared, State};
use crate::imap::{self, Reply, copied_pairs};
use crate::random::Random;
use crate::server::{PASSWORD, Server};
use crate::{lmtp, mail};

/// Mailbox that all workers of an account append to.
const SHARED_MAILBOX: &str = "shared";
/// Above so many messages of its own a worker rather removes than adds.
const OWN_MESSAGES_MAX: usize = 60;
/// Most messages one command changes.
const BATCH_MAX: usize = 6;
/// Above so many messages, inboxes that deliveries fill are thinned out between the rounds.
const INBOX_MAX: usize = 400;
/// Flags that workers play with.
const FLAGS: [&str; 7] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Forwarded", "label1"];

/// Why a worker ends: the connection broke or a refusal came with the fall.
struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Ended {
        Ended
    }
}

/// One worker's part of a round.
pub(crate) enum Job {
    Imap(Box<ImapWorker>),
    Lmtp(Box<LmtpWorker>),
}

impl Job {
    /// Works until the server is gone.
    pub(crate) fn run(self, shared: &Shared) -> Ledger {
        match self {
            Job::Imap(worker) => worker.run(shared),
            Job::Lmtp(worker) => worker.run(shared),
        }
    }
}

/// Creates every mailbox of the plan.
pub(crate) fn set_up(server: &Server, plan: &Plan) {
    for user in plan.user_names() {
        server.login(&user).command(&format!("CREATE {SHARED_MAILBOX}")).expect("CREATE").expect_ok();
    }
    for number in 0..plan.imap_workers {
        let mut client = server.login(&user_of(plan, number));
        for mailbox in own_mailboxes(number) {
            client.command(&format!("CREATE {mailbox}")).expect("CREATE").expect_ok();
        }
    }
}

/// Removes half of each overfull inbox, so that a long run reaches a steady size, and forgets it from `state`.
pub(crate) fn tidy(server: &Server, state: &mut State) {
    for (place, mailbox) in state.iter_mut().filter(|(p, m)| p.mailbox == "INBOX" && m.items.len() > INBOX_MAX) {
        let uids: BTreeSet<u32> = mailbox.items.keys().copied().take(mailbox.items.len() / 2).collect();
        let mut client = server.login(&place.user);
        client.command("SELECT INBOX").expect("SELECT").expect_ok();
        client.command(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", set(&uids))).expect("STORE").expect_ok();
        client.command(&format!("UID EXPUNGE {}", set(&uids))).expect("EXPUNGE").expect_ok();
        mailbox.items.retain(|uid, _| !uids.contains(uid));
    }
}

/// The workers of a round, each with the messages it owns.
pub(crate) fn jobs(server: &Server, plan: &Plan, state: &State, round: usize, random: &Random) -> Vec<Job> {
    let imap = (0..plan.imap_workers).map(|number| {
        let worker = ImapWorker::new(server.ports().imap, plan, number, round, random.fork(number as u64), state);
        Job::Imap(Box::new(worker))
    });
    let lmtp = (0..plan.lmtp_workers).map(|number| {
        let mut ledger = Ledger::default();
        take_owned(&mut ledger, &lmtp_name(number), state);
        Job::Lmtp(Box::new(LmtpWorker {
            addr: server.ports().lmtp,
            name: lmtp_name(number),
            round,
            users: plan.user_names(),
            random: random.fork(1000 + number as u64),
            ledger,
        }))
    });
    imap.chain(lmtp).collect()
}

fn user_of(plan: &Plan, number: usize) -> String {
    Server::user(number % plan.users + 1)
}

fn own_mailboxes(number: usize) -> [String; 2] {
    [format!("own{number}a"), format!("own{number}b")]
}

fn lmtp_name(number: usize) -> String {
    format!("d{number}")
}

fn take_owned(ledger: &mut Ledger, owner: &str, state: &State) {
    for (place, mailbox) in state {
        let own = mailbox.items.iter().filter(|(_, item)| item.owner() == owner);
        let own: BTreeMap<u32, Item> = own.map(|(&uid, item)| (uid, item.clone())).collect();
        if !own.is_empty() {
            ledger.items.insert(place.clone(), own);
        }
    }
}

/// A worker that appends, flags, copies, moves and removes.
pub(crate) struct ImapWorker {
    addr: SocketAddr,
    name: String,
    user: String,
    round: usize,
    made: usize,
    random: Random,
    /// Its own two mailboxes, the shared one, INBOX.
    places: Vec<Place>,
    ledger: Ledger,
}

impl ImapWorker {
    fn new(addr: SocketAddr, plan: &Plan, number: usize, round: usize, random: Random, state: &State) -> ImapWorker {
        let (name, user) = (format!("w{number}"), user_of(plan, number));
        let mailboxes = own_mailboxes(number).into_iter().chain([SHARED_MAILBOX.into(), "INBOX".into()]);
        let places = mailboxes.map(|m| Place::new(&user, &m)).collect();
        let mut ledger = Ledger::default();
        take_owned(&mut ledger, &name, state);
        ImapWorker { addr, name, user, round, made: 0, random, places, ledger }
    }

    fn run(mut self, shared: &Shared) -> Ledger {
        if let Ok(client) = self.connect() {
            let mut session = Session { worker: &mut self, client, selected: None, shared };
            while session.step().is_ok() {}
        } else if !shared.falling.load(Ordering::SeqCst) {
            self.ledger.wrong.push(format!("{}: could not log in", self.name));
        }
        self.ledger
    }

    fn connect(&self) -> io::Result<imap::Client> {
        let mut client = imap::Client::connect(self.addr)?;
        let reply = client.login(&self.user, PASSWORD)?;
        if reply.is_ok() { Ok(client) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn new_marker(&mut self) -> String {
        self.made += 1;
        format!("{}-{}-{}", self.name, self.round, self.made)
    }

    /// Some flags, sometimes many, often none.
    fn some_flags(&mut self) -> BTreeSet<String> {
        let percent = *self.random.pick(&[0, 15, 50]);
        FLAGS.iter().filter(|_| self.random.chance(percent)).map(|f| (*f).to_owned()).collect()
    }
}

/// A worker while it is connected.
struct Session<'a> {
    worker: &'a mut ImapWorker,
    client: imap::Client,
    selected: Option<Place>,
    shared: &'a Shared,
}

impl Session<'_> {
    /// One change, or one look.
    fn step(&mut self) -> Result<(), Ended> {
        let full = self.ledger().items.values().map(BTreeMap::len).sum::<usize>() > OWN_MESSAGES_MAX;
        let at = self.worker.random.pick(&self.worker.places).clone();
        let uids = self.some_uids(&at);
        let choice = self.worker.random.below(100);
        match choice {
            _ if uids.is_empty() => self.append(&at),
            _ if full && choice < 60 => self.remove(&at, uids),
            0..=29 => self.append(&at),
            30..=54 => self.store(&at, &uids),
            55..=64 => self.copy(&at, uids),
            65..=79 => self.relocate(&at, uids),
            80..=91 => self.remove(&at, uids),
            _ => self.look(&at, &uids),
        }
    }

    fn ledger(&mut self) -> &mut Ledger {
        &mut self.worker.ledger
    }

    /// Some messages the worker owns there.
    fn some_uids(&mut self, at: &Place) -> BTreeSet<u32> {
        let all: Vec<u32> = self.ledger().at(at).keys().copied().collect();
        if all.is_empty() {
            return BTreeSet::new();
        }
        let count = self.worker.random.between(1, BATCH_MAX + 1);
        (0..count).map(|_| *self.worker.random.pick(&all)).collect()
    }

    fn append(&mut self, to: &Place) -> Result<(), Ended> {
        let item = Item { marker: self.worker.new_marker(), flags: self.worker.some_flags() };
        let (body, flags) = (mail::marked(&item.marker), words(&item.flags));
        self.ledger().flight = Some(Flight::Append { to: to.clone(), item: item.clone() });
        let reply = match self.worker.random.chance(50) {
            true => self.client.append(&to.mailbox, &flags, &body),
            false => self.client.append_at_once(&to.mailbox, &flags, &body),
        }?;
        let reply = self.accept("APPEND", reply)?;
        let uid = reply.code("APPENDUID").and_then(|c| c.split_once(' ')?.1.parse().ok());
        let uid = self.known("APPENDUID", uid)?;
        self.ledger().book(to, uid, item);
        self.acknowledged();
        Ok(())
    }

    fn store(&mut self, at: &Place, uids: &BTreeSet<u32>) -> Result<(), Ended> {
        let (how, flags) = (*self.worker.random.pick(&["", "+", "-"]), self.worker.some_flags());
        self.change_flags(at, uids, how, &flags)
    }

    fn change_flags(
        &mut self,
        at: &Place,
        uids: &BTreeSet<u32>,
        how: &str,
        flags: &BTreeSet<String>,
    ) -> Result<(), Ended> {
        self.select(at)?;
        let mut after = self.items(at, uids);
        after.values_mut().for_each(|item| apply_flags(&mut item.flags, how, flags));
        self.ledger().flight = Some(Flight::Store { at: at.clone(), after: after.clone() });
        let silent = *self.worker.random.pick(&["", ".SILENT"]);
        self.change(&format!("UID STORE {} {how}FLAGS{silent} ({})", set(uids), words(flags)))?;
        self.ledger().at(at).extend(after);
        self.acknowledged();
        Ok(())
    }

    fn copy(&mut self, from: &Place, uids: BTreeSet<u32>) -> Result<(), Ended> {
        self.select(from)?;
        let to = self.worker.random.pick(&self.worker.places).clone();
        let items = self.items(from, &uids);
        self.ledger().flight = Some(Flight::Copy { items: items.values().cloned().collect(), to: to.clone() });
        let reply = self.change(&format!("UID COPY {} {}", set(&uids), to.mailbox))?;
        self.book_pairs(&reply, &items, &to)?;
        self.acknowledged();
        Ok(())
    }

    fn relocate(&mut self, from: &Place, uids: BTreeSet<u32>) -> Result<(), Ended> {
        let to = self.worker.random.pick(&self.worker.places).clone();
        if to == *from {
            return Ok(());
        }
        self.select(from)?;
        let items = self.items(from, &uids);
        self.ledger().flight = Some(Flight::Move { from: from.clone(), uids: uids.clone(), to: to.clone() });
        let reply = self.change(&format!("UID MOVE {} {}", set(&uids), to.mailbox))?;
        self.book_pairs(&reply, &items, &to)?;
        self.ledger().at(from).retain(|uid, _| !uids.contains(uid));
        self.acknowledged();
        Ok(())
    }

    /// Marks and expunges: in its own mailbox sometimes with EXPUNGE, which takes all that is marked.
    fn remove(&mut self, at: &Place, uids: BTreeSet<u32>) -> Result<(), Ended> {
        let deleted = ["\\Deleted".to_owned()].into();
        self.change_flags(at, &uids, "+", &deleted)?;
        let plain = at.mailbox.starts_with("own") && self.worker.random.chance(30);
        let (uids, command) = match plain {
            true => (self.marked_deleted(at), "EXPUNGE".to_owned()),
            false => (uids.clone(), format!("UID EXPUNGE {}", set(&uids))),
        };
        self.ledger().flight = Some(Flight::Expunge { at: at.clone(), uids: uids.clone() });
        self.change(&command)?;
        self.ledger().at(at).retain(|uid, _| !uids.contains(uid));
        self.acknowledged();
        Ok(())
    }

    /// Reads flags back: what was acknowledged shows at once.
    fn look(&mut self, at: &Place, uids: &BTreeSet<u32>) -> Result<(), Ended> {
        self.select(at)?;
        let reply = self.change(&format!("UID FETCH {} (UID FLAGS)", set(uids)))?;
        let seen: BTreeMap<u32, BTreeSet<String>> =
            reply.fetches().iter().filter_map(|f| Some((f.uid()?, f.flags()?))).collect();
        for (uid, item) in self.items(at, uids) {
            if seen.get(&uid) != Some(&item.flags) {
                let text = format!("{at}: UID {uid} should be {item:?}, the running server shows {:?}", seen.get(&uid));
                self.ledger().wrong.push(text);
            }
        }
        Ok(())
    }

    fn select(&mut self, at: &Place) -> Result<(), Ended> {
        if self.selected.as_ref() != Some(at) {
            self.change(&format!("SELECT {}", at.mailbox))?;
            self.selected = Some(at.clone());
        }
        Ok(())
    }

    fn items(&mut self, at: &Place, uids: &BTreeSet<u32>) -> BTreeMap<u32, Item> {
        let own = self.ledger().at(at);
        uids.iter().filter_map(|uid| Some((*uid, own.get(uid)?.clone()))).collect()
    }

    fn marked_deleted(&mut self, at: &Place) -> BTreeSet<u32> {
        let own = self.ledger().at(at).iter();
        own.filter(|(_, item)| item.flags.contains("\\Deleted")).map(|(&uid, _)| uid).collect()
    }

    fn book_pairs(&mut self, reply: &Reply, items: &BTreeMap<u32, Item>, to: &Place) -> Result<(), Ended> {
        let pairs = reply.code("COPYUID").and_then(|code| copied_pairs(&code)).map(|(_, pairs)| pairs);
        let pairs = self.known("COPYUID", pairs.filter(|p| p.iter().map(|(from, _)| from).eq(items.keys())))?;
        for (from, uid) in pairs {
            self.worker.ledger.book(to, uid, items[&from].clone());
        }
        Ok(())
    }

    /// Sends a command that must succeed.
    fn change(&mut self, command: &str) -> Result<Reply, Ended> {
        let reply = self.client.command(command)?;
        self.accept(command, reply)
    }

    fn accept(&mut self, command: &str, reply: Reply) -> Result<Reply, Ended> {
        if self.shared.deaf.load(Ordering::SeqCst) {
            return Err(Ended);
        }
        if reply.is_ok() {
            return Ok(reply);
        }
        if !self.shared.falling.load(Ordering::SeqCst) {
            let text = format!("{}: {command}: {:?} {}", self.worker.name, reply.status, reply.text);
            self.ledger().wrong.push(text);
        }
        Err(Ended)
    }

    fn known<T>(&mut self, what: &str, value: Option<T>) -> Result<T, Ended> {
        if value.is_none() {
            let text = format!("{}: a reply without a usable {what}", self.worker.name);
            self.ledger().wrong.push(text);
        }
        value.ok_or(Ended)
    }

    fn acknowledged(&mut self) {
        self.ledger().flight = None;
        self.ledger().acked += 1;
        self.shared.acks.fetch_add(1, Ordering::Relaxed);
    }
}

/// A worker that delivers.
pub(crate) struct LmtpWorker {
    addr: SocketAddr,
    name: String,
    round: usize,
    users: Vec<String>,
    random: Random,
    ledger: Ledger,
}

impl LmtpWorker {
    fn run(mut self, shared: &Shared) -> Ledger {
        let Ok(mut client) = lmtp::Client::connect(self.addr) else { return self.ledger };
        let mut made = 0;
        loop {
            made += 1;
            let marker = format!("{}-{}-{made}", self.name, self.round);
            if self.deliver(&mut client, &marker, shared).is_err() {
                return self.ledger;
            }
        }
    }

    fn deliver(&mut self, client: &mut lmtp::Client, marker: &str, shared: &Shared) -> Result<(), Ended> {
        let chosen: BTreeSet<&String> = (0..self.random.between(1, 4)).map(|_| self.random.pick(&self.users)).collect();
        let places: Vec<Place> = chosen.iter().map(|user| Place::new(user, "INBOX")).collect();
        let recipients: Vec<String> = chosen.iter().map(|user| format!("{user}@example.com")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let ledger = &mut self.ledger;
        ledger.flight = Some(Flight::Deliver { to: places.clone(), marker: marker.to_owned() });
        client.deliver_with(&recipients, &mail::marked(marker), |index, answer| {
            let place = &places[index];
            if shared.deaf.load(Ordering::SeqCst) {
                return;
            }
            if answer.is_ok() {
                land(ledger, place);
                ledger.delivered.push((place.clone(), marker.to_owned()));
                ledger.acked += 1;
                shared.acks.fetch_add(1, Ordering::Relaxed);
            } else if !shared.falling.load(Ordering::SeqCst) {
                ledger.wrong.push(format!("{place}: delivery refused: {answer:?}"));
            }
        })?;
        if shared.falling.load(Ordering::SeqCst) {
            return Err(Ended);
        }
        ledger.flight = None;
        Ok(())
    }
}

/// Takes an answered place out of the delivery in flight.
fn land(ledger: &mut Ledger, place: &Place) {
    if let Some(Flight::Deliver { to, .. }) = &mut ledger.flight {
        to.retain(|p| p != place);
    }
}

fn apply_flags(flags: &mut BTreeSet<String>, how: &str, change: &BTreeSet<String>) {
    match how {
        "+" => flags.extend(change.iter().cloned()),
        "-" => flags.retain(|f| !change.contains(f)),
        _ => flags.clone_from(change),
    }
}

fn words(flags: &BTreeSet<String>) -> String {
    flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn set(uids: &BTreeSet<u32>) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
