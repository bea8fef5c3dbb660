//! What an account allows and what it makes of it, request by request.

use skein_base::limits::{COLUMN_NAME_BYTES_MAX, COLUMNS_PER_MAILBOX_MAX};
use skein_base::limits::{KEYWORDS_PER_MAILBOX_MAX, MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};
use skein_base::limits::{MAILBOX_ID_MAX, MAILBOXES_PER_ACCOUNT_MAX, SET_RANGES_MAX};
use skein_base::limits::{
    METADATA_ACCOUNT_BYTES_MAX, METADATA_ENTRIES_MAX, METADATA_GUESTS_BYTES_MAX, METADATA_NAME_BYTES_MAX,
    METADATA_VALUE_BYTES_MAX,
};
use skein_base::{Flags, Guid, IdSet, LogPos, MailboxId, ModSeq, SpecialUse, Uid, UidValidity, UserName};
use skein_store::AccountError::{self, *};
use skein_store::account::{
    Account, Copied, MetadataChange, StoreRequest, create_account, decode_account, encode_account,
};
use skein_store::body::{Bodies, BodyAddr, Place};
use skein_store::op::{NewMessage, Op, StoreMode, decode, encode};

const NOW: i64 = 1_767_225_600;
const INBOX: MailboxId = MailboxId::INBOX;

/// An account that applies what it allows. Every op goes through its bytes on the way.
struct World {
    account: Account,
    records: u64,
}

impl World {
    fn new() -> World {
        let mut world = World { account: Account::unborn(), records: 0 };
        world.apply(create_account(&UserName::new("ann@example.org").unwrap(), NOW));
        world
    }

    fn apply(&mut self, ops: Vec<Op>) {
        if ops.is_empty() {
            return;
        }
        self.records += 1;
        let pos = LogPos { segment: 1, offset: self.records };
        self.account.apply(&decode(&encode(&ops)).unwrap(), pos);
    }

    /// `create NAME`, `delete NAME`, `subscribe NAME`, `unsubscribe NAME` or `rename FROM > TO`.
    fn tree(&mut self, line: &str) -> Result<(), AccountError> {
        let (verb, rest) = line.split_once(' ').unwrap();
        let ops = match verb {
            "create" => self.account.create(rest, NOW)?,
            "delete" => self.account.delete(rest)?,
            "subscribe" => self.account.subscribe(rest, true)?,
            "unsubscribe" => self.account.subscribe(rest, false)?,
            "rename" => {
                let (from, to) = rest.split_once(" > ").unwrap();
                self.account.rename(from, to)?
            }
            "rename-inbox" => self.account.empty_inbox_into(rest, NOW)?,
            _ => panic!("{line}"),
        };
        self.apply(ops);
        Ok(())
    }

    fn names(&self) -> String {
        self.account.mailboxes().map(|m| m.name).collect::<Vec<_>>().join(" ")
    }

    fn append(&mut self, to: MailboxId, messages: Vec<NewMessage>) -> Result<Uid, AccountError> {
        let (first, ops) = self.account.append(to, messages)?;
        self.apply(ops);
        Ok(first)
    }

    /// `uid flags keywords modseq` of each message.
    fn rows(&self, id: MailboxId) -> Vec<String> {
        let mailbox = self.account.mailbox(id).unwrap();
        let rows = mailbox.rows().from_rank(0);
        let keywords =
            |mask: skein_base::KeywordMask| mask.indexes().map(|i| &*mailbox.keywords()[i]).collect::<Vec<_>>();
        rows.map(|r| format!("{} {} {} {}", r.uid, r.flags.0, keywords(r.keywords).join("+"), r.modseq)).collect()
    }
}

fn message(flags: Flags, keywords: &[&str]) -> NewMessage {
    let body = BodyAddr { place: Place::Log(1), offset: 64, bytes: 9, cache_bytes: 0, stored: 0, chunked: false };
    NewMessage {
        flags,
        keywords: keywords.iter().map(|k| (*k).into()).collect(),
        internal_date: NOW,
        save_date: NOW,
        size: 9,
        guid: Guid([1; 16]),
        body,
    }
}

/// The names there are after these requests, all of which are allowed.
#[test]
fn a_message_replaces_another_in_one_record() {
    let mut world = World::new();
    world.tree("create Drafts").unwrap();
    let drafts = world.account.find("Drafts").unwrap().id;
    world.append(INBOX, vec![message(Flags::SEEN, &["old"]), message(Flags::NONE, &[])]).unwrap();
    let replace =
        |world: &World, from, uid, to| world.account.replace((from, Uid(uid)), to, message(Flags::DRAFT, &[]));

    let (uid, ops) = replace(&world, INBOX, 1, INBOX).unwrap();
    assert!(matches!(&ops[..], [Op::Append { .. }, Op::Expunge { .. }]), "{ops:?}");
    world.apply(ops);
    assert_eq!((uid, world.rows(INBOX)), (Uid(3), vec!["2 0  2".to_string(), "3 16  3".to_string()]));

    let (uid, ops) = replace(&world, INBOX, 2, drafts).unwrap();
    world.apply(ops);
    assert_eq!((uid, world.rows(drafts).len(), world.rows(INBOX).len()), (Uid(1), 1, 1));
    assert_eq!(replace(&world, INBOX, 2, drafts), Err(NoSuchMessage));
    assert_eq!(replace(&world, MailboxId(99), 1, drafts), Err(NoSuchMailbox));
    assert_eq!(replace(&world, INBOX, 3, MailboxId(99)), Err(NoSuchMailbox));
}

#[test]
fn trees() {
    let long = "x".repeat(MAILBOX_NAME_BYTES_MAX);
    let cases: &[(&[&str], &str)] = &[
        (&[], "INBOX"),
        (&["create Work", "create b", "create a"], "INBOX Work a b"),
        (&["create inbox/x", "create InBoX/y/z", "create Inboxes"], "INBOX INBOX/x INBOX/y/z Inboxes"),
        (&["create a/b/c"], "INBOX a/b/c"),
        (&["create a", "create a/b", "delete a"], "INBOX a/b"),
        (&["create a/b", "create a", "delete a/b"], "INBOX a"),
        (&["create a", "create a/b", "create a/b/c", "create ab", "rename a > z"], "INBOX ab z z/b z/b/c"),
        (&["create a/b", "rename a > z"], "INBOX z/b"),
        (&["create a", "create a/b", "rename a > b/c/d"], "INBOX b/c/d b/c/d/b"),
        (&["create a", "rename a > inbox/a"], "INBOX INBOX/a"),
        (&["create INBOX/a", "rename inbox/a > a"], "INBOX a"),
        // A branch comes to lie beside what is below its new name already.
        (&["create a", "create a/x", "create b/y", "rename a > b"], "INBOX b b/x b/y"),
        // Up its own branch.
        (&["create a/b", "create a/b/c", "rename a/b > a"], "INBOX a a/c"),
        // RFC 3501 §6.3.5: names below INBOX are not renamed with it.
        (&["create INBOX/a", "rename-inbox old"], "INBOX INBOX/a old"),
        (&["rename-inbox INBOX/old"], "INBOX INBOX/old"),
        (&["create Ärger", "create 日本/語", "rename 日本 > Ä"], "INBOX Ärger Ä/語"),
        // Case matters but for INBOX.
        (&["create a", "create A"], "INBOX A a"),
        (&[&format!("create {long}"), &format!("delete {long}")], "INBOX"),
    ];
    for (requests, expect) in cases {
        let mut world = World::new();
        for line in *requests {
            world.tree(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        let mut names: Vec<&str> = expect.split(' ').collect();
        names.sort_unstable();
        assert_eq!(world.names(), names.join(" "), "{requests:?}");
        let again = decode_account(&encode_account(&world.account, Bodies::Move), world.account.pos()).unwrap();
        assert!(again.mailboxes().eq(world.account.mailboxes()));
    }
}

/// The last request is refused and changes nothing.
#[test]
fn refusals() {
    let (long, levels) = ("x".repeat(MAILBOX_NAME_BYTES_MAX + 1), |n: usize| vec!["l"; n].join("/"));
    let too_long = NameTooLong { max: MAILBOX_NAME_BYTES_MAX };
    let too_deep = NameTooDeep { max: MAILBOX_DEPTH_MAX };
    let (empty, control) = (BadName { why: "it has an empty level" }, BadName { why: "it holds a control character" });
    let cases: &[(&[&str], AccountError)] = &[
        (&["create INBOX"], MailboxExists),
        (&["create inbox"], MailboxExists),
        (&["create a", "create a"], MailboxExists),
        (&["create Inbox/a", "create iNBOX/a"], MailboxExists),
        (&["create "], BadName { why: "it is empty" }),
        (&["create /"], empty.clone()),
        (&["create a/"], empty.clone()),
        (&["create /a"], empty.clone()),
        (&["create a//b"], empty.clone()),
        (&["create a\nb"], control.clone()),
        (&["create a\u{85}b"], control.clone()),
        (&[&format!("create {long}")], too_long.clone()),
        (&[&format!("create {}", levels(MAILBOX_DEPTH_MAX + 1))], too_deep.clone()),
        (&[&format!("subscribe {long}")], too_long.clone()),
        (&["delete inbox"], InboxStays),
        (&["delete a"], NoSuchMailbox),
        (&["create a/b", "delete a"], HasChildren),
        (&["rename a > b"], NoSuchMailbox),
        (&["create a", "create b", "rename a > b"], MailboxExists),
        (&["create a", "rename a > a"], MailboxExists),
        (&["create a", "rename a > inbox"], MailboxExists),
        (&["create a", "rename a > a/b"], IntoItself),
        (&["create a", "rename a > b/"], empty),
        (&["create a", "rename a > b\0"], control),
        // All of a branch or nothing of it.
        (&["create a", "create a/x", "create b/x", "rename a > b"], MailboxExists),
        (&[&format!("create a/{}", levels(MAILBOX_DEPTH_MAX - 1)), "rename a > b/c"], too_deep),
        (&[&format!("create a/{}", &long[3..]), "rename a > bcd"], too_long),
        // Only its messages move: whoever renames INBOX asks for `empty_inbox_into`.
        (&["rename inbox > b"], InboxStays),
        (&["create a", "rename-inbox a"], MailboxExists),
    ];
    for (requests, expect) in cases {
        let mut world = World::new();
        let (last, before) = requests.split_last().unwrap();
        before.iter().for_each(|line| world.tree(line).unwrap());
        let names = world.names();
        assert_eq!(world.tree(last).as_ref(), Err(expect), "{requests:?}");
        assert_eq!(world.names(), names);
    }
}

#[test]
fn bounds_are_reached_and_not_passed() {
    let mut world = World::new();
    world.tree(&format!("create {}", vec!["l"; MAILBOX_DEPTH_MAX].join("/"))).unwrap();
    for n in 2..MAILBOXES_PER_ACCOUNT_MAX {
        world.tree(&format!("create m{n}")).unwrap();
    }
    let full = Err(TooManyMailboxes { max: MAILBOXES_PER_ACCOUNT_MAX });
    assert_eq!(world.account.mailboxes().count(), MAILBOXES_PER_ACCOUNT_MAX);
    assert_eq!(world.tree("create one-more"), full);
    assert_eq!(world.tree("rename-inbox one-more"), full);
    world.tree("rename m2 > m1").unwrap();
    world.tree("delete m1").unwrap();
    world.tree("create one-more").unwrap();
}

/// Neither a mailbox's number nor a UIDVALIDITY comes back, whatever the clock says.
#[test]
fn names_come_back_and_validities_do_not() {
    let mut world = World::new();
    let mut seen = vec![world.account.find("INBOX").unwrap().validity];
    let mut ids = vec![INBOX];
    for now in [NOW, NOW, NOW - 1_000_000, NOW + 50, NOW + 50, -5, i64::MAX - 1] {
        let ops = world.account.create("a", now).unwrap();
        world.apply(ops);
        let made = world.account.find("a").unwrap();
        assert!(made.validity > *seen.last().unwrap() && made.id > *ids.last().unwrap());
        seen.push(made.validity);
        ids.push(made.id);
        world.tree("delete a").unwrap();
    }
    assert_eq!(seen[..4].iter().map(|v| v.0 - NOW as u32).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn subscriptions_need_no_mailbox() {
    let mut world = World::new();
    for line in ["subscribe b", "subscribe inbox/a", "subscribe b", "unsubscribe c", "subscribe a", "unsubscribe a"] {
        world.tree(line).unwrap();
    }
    assert_eq!(world.account.subscriptions().collect::<Vec<_>>(), ["INBOX/a", "b"]);
    assert!(world.account.subscribe("B", false).unwrap().is_empty());
    // Out of the subscriptions goes even what could not come in.
    assert!(world.account.subscribe(&"x/".repeat(5000), false).unwrap().is_empty());
}

fn three() -> World {
    let mut world = World::new();
    for flags in [Flags::NONE, Flags::SEEN, Flags::SEEN | Flags::DELETED] {
        world.append(INBOX, vec![message(flags, &[])]).unwrap();
    }
    world
}

#[test]
fn store() {
    use StoreMode::{Add, Remove, Replace};
    // Three messages with modseqs 2, 3 and 4 and flags 0, 8 and 12; flags in bits, then what became of them.
    type Case = (StoreMode, (u32, u32), u8, &'static [&'static str], Option<u64>, [&'static str; 3], &'static str);
    let cases: &[Case] = &[
        (Add, (1, 3), 8, &[], None, ["1 8  5", "2 8  3", "3 12  4"], ""),
        (Add, (2, 3), 8, &[], None, ["1 0  2", "2 8  3", "3 12  4"], ""),
        (Add, (1, 1), 0, &["a", "b"], None, ["1 0 a+b 5", "2 8  3", "3 12  4"], ""),
        (Add, (1, 1), 1, &["a", "A"], None, ["1 1 a 5", "2 8  3", "3 12  4"], ""),
        (Remove, (1, 9), 8, &[], None, ["1 0  2", "2 0  5", "3 4  5"], ""),
        (Remove, (1, 3), 0, &["a"], None, ["1 0  2", "2 8  3", "3 12  4"], ""),
        (Replace, (1, 3), 12, &[], None, ["1 12  5", "2 12  5", "3 12  4"], ""),
        (Replace, (3, 3), 0, &["a"], None, ["1 0  2", "2 8  3", "3 0 a 5"], ""),
        (Add, (4, 9), 8, &["a"], None, ["1 0  2", "2 8  3", "3 12  4"], ""),
        // RFC 7162 §3.1.3: those that changed since are left alone and told.
        (Add, (1, 3), 1, &[], Some(3), ["1 1  5", "2 9  5", "3 12  4"], "3"),
        (Add, (1, 3), 1, &[], Some(4), ["1 1  5", "2 9  5", "3 13  5"], ""),
        (Add, (1, 3), 1, &[], Some(0), ["1 0  2", "2 8  3", "3 12  4"], "1:3"),
        (Add, (2, 9), 8, &[], Some(2), ["1 0  2", "2 8  3", "3 12  4"], "2:3"),
        (Replace, (1, 1), 0, &[], Some(u64::MAX), ["1 0  2", "2 8  3", "3 12  4"], ""),
    ];
    for (mode, (first, last), flags, keywords, since, expect, left) in cases {
        let mut world = three();
        let request = StoreRequest {
            uids: IdSet::range(*first, *last),
            mode: *mode,
            flags: Flags(*flags),
            keywords: keywords.iter().map(|k| (*k).into()).collect(),
            unchanged_since: since.map(ModSeq),
        };
        let (ops, modified) = world.account.store(INBOX, request.clone()).unwrap();
        let silent = ops.is_empty();
        world.apply(ops);
        assert_eq!(world.rows(INBOX), expect, "{request:?}");
        assert_eq!(modified.to_string(), *left, "{request:?}");
        assert_eq!(world.account.mailbox(INBOX).unwrap().modseq().0, if silent { 4 } else { 5 });
    }
}

/// A client that was told of a keyword before (PERMANENTFLAGS, FLAGS) may use it on messages that have just gone.
#[test]
fn a_keyword_begins_with_its_first_store() {
    let mut world = three();
    let nobody = |mode, name: &str| StoreRequest {
        uids: IdSet::one(9),
        mode,
        flags: Flags::NONE,
        keywords: vec![name.into()],
        unchanged_since: None,
    };
    for (mode, name) in
        [(StoreMode::Add, "a"), (StoreMode::Replace, "b"), (StoreMode::Remove, "c"), (StoreMode::Add, "A")]
    {
        let (ops, _) = world.account.store(INBOX, nobody(mode, name)).unwrap();
        world.apply(ops);
    }
    let mailbox = world.account.mailbox(INBOX).unwrap();
    assert_eq!(mailbox.keywords(), ["a".into(), "b".into(), "c".into()]);
    assert_eq!((world.rows(INBOX), mailbox.modseq()), (three().rows(INBOX), ModSeq(7)));
}

#[test]
fn copies() {
    let set = |a, b| IdSet::range(a, b);
    // Into itself: new messages, which the command does not see.
    let mut world = three();
    let (copied, ops) = world.account.copy(INBOX, &set(1, u32::MAX), INBOX, NOW + 9).unwrap();
    assert_eq!(copied, Copied { from: set(1, 3), to: set(4, 6) });
    world.apply(ops);
    assert_eq!(world.rows(INBOX), ["1 0  2", "2 8  3", "3 12  4", "4 0  5", "5 8  5", "6 12  5"]);
    let mailbox = world.account.mailbox(INBOX).unwrap();
    let dates: Vec<i64> = mailbox.rows().from_rank(0).map(|row| mailbox.fixed(row).save_date - NOW).collect();
    assert_eq!(dates, [0, 0, 0, 9, 9, 9]);
    // Moved into itself: new UIDs.
    let (copied, ops) = world.account.move_to(INBOX, &set(1, 5), INBOX, NOW).unwrap();
    assert_eq!(copied, Copied { from: set(1, 5), to: set(7, 11) });
    world.apply(ops);
    assert_eq!(world.rows(INBOX)[..2], ["6 12  5", "7 0  6"]);
    assert_eq!(world.account.mailbox(INBOX).unwrap().modseq(), ModSeq(7));
    // Nothing of what is named lives.
    assert_eq!(world.account.move_to(INBOX, &set(1, 5), INBOX, NOW), Ok((Copied::default(), Vec::new())));
    assert_eq!(world.account.copy(INBOX, &set(6, 6), MailboxId(9), NOW), Err(NoSuchMailbox));
    assert_eq!(world.account.move_to(MailboxId(9), &set(6, 6), INBOX, NOW), Err(NoSuchMailbox));
}

/// A mailbox that knows `n` keywords, `k0` and on.
fn with_keywords(n: usize) -> World {
    let mut world = World::new();
    let names: Vec<String> = (0..n).map(|i| format!("k{i}")).collect();
    for half in names.chunks(100) {
        let half: Vec<&str> = half.iter().map(String::as_str).collect();
        world.append(INBOX, vec![message(Flags::NONE, &half)]).unwrap();
    }
    world
}

/// Appending several messages looked at each of them alone, so that together they could bring more keywords than a
/// mailbox holds, and those past the bound were dropped without a word. A row of keywords longer than a record's field
/// can count ended the shard.
#[test]
fn keywords_past_the_bound_are_refused() {
    let full = TooManyKeywords { max: KEYWORDS_PER_MAILBOX_MAX };
    let store = |world: &Account, mode, keywords: Vec<Box<str>>| {
        let flags = Flags::SEEN;
        world.store(INBOX, StoreRequest { uids: IdSet::one(1), mode, flags, keywords, unchanged_since: None })
    };
    let mut world = with_keywords(KEYWORDS_PER_MAILBOX_MAX - 1);
    let two = vec![message(Flags::NONE, &["new"]), message(Flags::NONE, &["newer"])];
    assert_eq!(world.append(INBOX, two), Err(full.clone()));
    assert_eq!(store(&world.account, StoreMode::Add, vec!["new".into(), "newer".into()]), Err(full.clone()));
    // The same name twice, in any case, is one keyword.
    let both = vec![message(Flags::NONE, &["new", "NEW"]), message(Flags::NONE, &["New", "K1"])];
    world.append(INBOX, both).unwrap();
    assert_eq!(world.account.mailbox(INBOX).unwrap().keywords().len(), KEYWORDS_PER_MAILBOX_MAX);
    assert_eq!(store(&world.account, StoreMode::Replace, vec!["newer".into()]), Err(full.clone()));
    // What is known has room, and what is taken away needs none.
    let ops = store(&world.account, StoreMode::Add, vec!["k126".into()]).unwrap().0;
    world.apply(ops);
    let ops = store(&world.account, StoreMode::Remove, vec!["newer".into(), "k126".into()]).unwrap().0;
    world.apply(ops);
    // More names than a mailbox may know are no use to anybody.
    for mode in [StoreMode::Add, StoreMode::Remove, StoreMode::Replace] {
        assert_eq!(store(&world.account, mode, vec!["k1".into(); 300]), Err(full.clone()));
    }
    assert_eq!(world.append(INBOX, vec![message(Flags::NONE, &["k1"; 300])]), Err(full.clone()));
    // Copies bring only the keywords that their messages carry.
    world.tree("create b").unwrap();
    let b = world.account.find("b").unwrap().id;
    let foreign: Vec<NewMessage> = ["x", "y"].map(|name| message(Flags::NONE, &[name])).into();
    world.append(b, foreign).unwrap();
    assert_eq!(world.account.copy(INBOX, &IdSet::range(1, 2), b, NOW), Err(full.clone()));
    assert_eq!(world.account.move_to(b, &IdSet::one(1), INBOX, NOW), Err(full));
    let (_, ops) = world.account.copy(INBOX, &IdSet::one(2), b, NOW).unwrap();
    world.apply(ops);
}

#[test]
fn the_last_uids() {
    let mut world = World::new();
    let near_the_end = Op::Append {
        mailbox: INBOX,
        first_uid: Uid(u32::MAX - 4),
        messages: vec![message(Flags::DELETED, &[]), message(Flags::NONE, &[])],
    };
    world.apply(vec![near_the_end]);
    let next = |world: &World| world.account.mailbox(INBOX).unwrap().uid_next();
    assert_eq!(next(&world), Uid(u32::MAX - 2));
    assert_eq!(world.append(INBOX, vec![message(Flags::NONE, &[]); 3]), Err(OutOfUids));
    let all = IdSet::range(1, u32::MAX);
    assert_eq!(
        world.account.copy(INBOX, &all, INBOX, NOW).map(|(c, _)| c.to.to_string()).unwrap(),
        "4294967293:4294967294"
    );
    assert_eq!(world.append(INBOX, vec![message(Flags::NONE, &[])]), Ok(Uid(u32::MAX - 2)));
    assert_eq!(world.account.copy(INBOX, &all, INBOX, NOW), Err(OutOfUids));
    assert_eq!(world.append(INBOX, vec![message(Flags::NONE, &[])]), Ok(Uid(u32::MAX - 1)));
    // UIDNEXT can still be told, and nothing more comes in, not even by moving within.
    assert_eq!(next(&world), Uid(u32::MAX));
    assert_eq!(world.append(INBOX, vec![message(Flags::NONE, &[])]), Err(OutOfUids));
    assert_eq!(world.account.move_to(INBOX, &all, INBOX, NOW), Err(OutOfUids));
    let view = world.account.mailbox_mut(INBOX).unwrap().open_view(false);
    let claim = world.account.claim_recent(INBOX);
    world.apply(claim);
    let ops = world.account.expunge(INBOX, Some(&all)).unwrap();
    world.apply(ops);
    let mailbox = world.account.mailbox_mut(INBOX).unwrap();
    assert_eq!((mailbox.exists(view), mailbox.last_visible(view)), (4, Some(Uid(u32::MAX - 1))));
    assert_eq!(mailbox.sync(view, true).vanished, IdSet::one(u32::MAX - 4));
    // They can leave for another mailbox.
    world.tree("rename-inbox old").unwrap();
    let old = world.account.find("old").unwrap().id;
    assert_eq!((world.rows(INBOX).len(), world.rows(old).len()), (0, 3));
}

#[test]
fn ops_on_what_is_gone_change_nothing() {
    let mut world = World::new();
    world.tree("create a").unwrap();
    let a = world.account.find("a").unwrap().id;
    world.tree("delete a").unwrap();
    world.apply(vec![
        Op::Append { mailbox: a, first_uid: Uid(1), messages: vec![message(Flags::NONE, &[])] },
        Op::Expunge { mailbox: a, uids: IdSet::range(1, 9) },
        Op::DeleteMailbox { mailbox: a },
        Op::RenameMailbox { mailbox: a, name: "b".into() },
    ]);
    assert_eq!(world.names(), "INBOX");
    assert_eq!(world.account.append(a, vec![message(Flags::NONE, &[])]), Err(NoSuchMailbox));
    assert_eq!(world.account.expunge(a, None), Err(NoSuchMailbox));
    assert!(world.account.claim_recent(a).is_empty());
}

/// A set as scattered as a client may send it.
#[test]
fn scattered_sets() {
    let mut world = World::new();
    world.append(INBOX, vec![message(Flags::NONE, &[]); 300]).unwrap();
    let uids = IdSet::from_ranges((0..SET_RANGES_MAX as u32).map(|i| (2 * i + 1, 2 * i + 1))).unwrap();
    let flags = Flags::DELETED;
    let request = StoreRequest { uids, mode: StoreMode::Add, flags, keywords: Vec::new(), unchanged_since: None };
    let (ops, _) = world.account.store(INBOX, request).unwrap();
    world.apply(ops);
    let ops = world.account.expunge(INBOX, None).unwrap();
    world.apply(ops);
    assert_eq!(world.rows(INBOX).len(), 150);
    assert_eq!(world.account.find("INBOX").unwrap().validity, UidValidity(NOW as u32));
}

/// What comes from another server keeps its UIDs where nobody here had them, and its UIDVALIDITY where nobody knew one.
#[test]
fn imports() {
    let mut world = World::new();
    let ours = world.account.find("INBOX").unwrap().validity;
    let import = |world: &mut World, uid: u32| {
        let (given, ops) = world.account.import(INBOX, (Some(Uid(uid)), None), message(Flags::SEEN, &["x"])).unwrap();
        world.apply(ops);
        given.0
    };
    let validity = |world: &World| world.account.find("INBOX").unwrap().validity;
    for (anew, becomes) in [(UidValidity(0), ours), (ours, ours), (UidValidity(77), UidValidity(77))] {
        let ops = world.account.begin_anew(INBOX, anew).unwrap();
        world.apply(ops);
        assert_eq!(validity(&world), becomes);
    }
    assert_eq!(world.names(), "INBOX");
    assert_eq!([7, 9, 9, 8, u32::MAX, 50].map(|uid| import(&mut world, uid)), [7, 9, 10, 11, 12, 50]);
    for (to, becomes) in [(40, 51), (60, 60)] {
        let ops = world.account.raise_uid_next(INBOX, Uid(to)).unwrap();
        world.apply(ops);
        assert_eq!(world.account.mailbox(INBOX).unwrap().uid_next(), Uid(becomes));
    }
    // It is used now.
    assert_eq!(world.account.begin_anew(INBOX, UidValidity(78)).unwrap(), []);
    let view = world.account.mailbox_mut(INBOX).unwrap().open_view(true);
    let made = world.account.create_as("Work", Some(UidValidity(5)), NOW).unwrap();
    world.apply(made);
    let work = world.account.find("Work").unwrap();
    assert_eq!(work.validity, UidValidity(5));
    let id = work.id;
    let seen = world.account.mailbox_mut(id).unwrap().open_view(true);
    assert_eq!(world.account.begin_anew(id, UidValidity(6)).unwrap(), [], "somebody looks at it");
    world.account.mailbox_mut(id).unwrap().close_view(seen);
    assert_eq!(world.account.begin_anew(id, UidValidity(6)).unwrap().len(), 2);
    world.account.mailbox_mut(INBOX).unwrap().close_view(view);
    assert_eq!(world.account.create_as("Work", None, NOW).unwrap_err(), MailboxExists);
}

/// Ops that no session would log: what is left when others were lost. Every mailbox is listed once and found by its name.
#[test]
fn no_mailbox_is_hidden_by_ops_that_were_lost() {
    let (anna, validity) = (UserName::new("anna").unwrap(), UidValidity(7));
    let create = |n: u32, name: &str| Op::CreateMailbox { mailbox: MailboxId(n), name: name.into(), validity };
    let rename = |n: u32, name: &str| Op::RenameMailbox { mailbox: MailboxId(n), name: name.into() };
    let delete = |n: u32| Op::DeleteMailbox { mailbox: MailboxId(n) };
    let check = |ops: &[Op], expect: &[(&str, u32)]| {
        let mut account = Account::unborn();
        let begin = [Op::CreateAccount { user: anna.clone(), validity }];
        for (n, op) in begin.iter().chain(ops).enumerate() {
            account.apply(std::slice::from_ref(op), LogPos { segment: 1, offset: 1 + n as u64 });
        }
        let listed: Vec<(&str, u32)> = account.mailboxes().map(|m| (m.name, m.id.0)).collect();
        assert_eq!(listed, expect, "{ops:?}");
        assert!(listed.iter().all(|(name, id)| account.find(name).unwrap().id.0 == *id));
        // It can be written and read.
        let bytes = encode_account(&account, Bodies::Move);
        assert!(decode_account(&bytes, LogPos { segment: 1, offset: 99 }).is_ok(), "{ops:?}");
    };
    check(&[create(2, "a"), create(3, "a")], &[("INBOX", 1), ("Recovered-2", 2), ("a", 3)]);
    check(&[create(2, "a"), create(3, "b"), rename(3, "a")], &[("INBOX", 1), ("Recovered-2", 2), ("a", 3)]);
    check(&[create(2, "a"), create(3, "a"), delete(2)], &[("INBOX", 1), ("a", 3)]);
    check(&[create(2, "a"), create(2, "b")], &[("INBOX", 1), ("b", 2)]);
    check(&[create(2, "a"), create(2, "b"), delete(2)], &[("INBOX", 1)]);
    check(&[create(2, "INBOX")], &[("INBOX", 1), ("Recovered-2", 2)]);
    check(
        &[create(4, "Recovered-2"), create(2, "a"), create(3, "a")],
        &[("INBOX", 1), ("Recovered-2", 4), ("Recovered-2-2", 2), ("a", 3)],
    );
    check(&[rename(5, "a"), delete(6)], &[("INBOX", 1)]);
}

/// A tree, or a record, whose checksum is right and whose numbers are at their end: the next mailbox was given number 0, or felled the shard.
#[test]
fn numbers_of_mailboxes_end() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos(1));
    let last = Op::CreateMailbox { mailbox: MailboxId(MAILBOX_ID_MAX), name: "last".into(), validity: UidValidity(9) };
    account.apply(&decode(&encode(&[last])).unwrap(), pos(2));
    assert_eq!(account.create("more", 7), Err(OutOfMailboxIds));
    assert_eq!(account.create_missing([("more", true)].into_iter(), 7), []);
    account.apply(&account.delete("last").unwrap(), pos(3));
    let written = encode_account(&account, Bodies::Move);
    assert_eq!(decode_account(&written, pos(3)).unwrap().create("more", 7), Err(OutOfMailboxIds));
    // The number behind the user's name and its two bytes of length.
    let mut past = written.clone();
    past[6..10].copy_from_slice(&(MAILBOX_ID_MAX + 1).to_le_bytes());
    assert!(decode_account(&past, pos(3)).is_err());
}

/// The same of UIDs: a record that says more messages than there are UIDs left.
#[test]
fn uids_of_a_record_end() {
    let mut world = World::new();
    let append = |first_uid, count| Op::Append {
        mailbox: INBOX,
        first_uid: Uid(first_uid),
        messages: vec![message(Flags::NONE, &[]); count],
    };
    world.apply(vec![append(u32::MAX - 1, 0)]);
    world.apply(vec![append(1, 3)]);
    let inbox = world.account.mailbox(INBOX).unwrap();
    assert_eq!((inbox.rows().count(), inbox.uid_next()), (1, Uid(u32::MAX)));
    assert_eq!(world.account.append(INBOX, vec![message(Flags::NONE, &[])]).map(drop), Err(OutOfUids));
}

#[test]
fn a_use_has_one_mailbox_and_stays_with_it() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos(1));
    let plain = encode_account(&account, Bodies::Move);
    let both = SpecialUse::SENT | SpecialUse::IMPORTANT;
    account.apply(&account.create_for("Gesendet", both, 7).unwrap(), pos(2));
    assert_eq!(account.create_for("Sent", SpecialUse::SENT, 7), Err(SpecialUseTaken));
    assert_eq!(account.create_for("Sent", SpecialUse::NONE, 7).unwrap().len(), 1);
    account.apply(&account.rename("Gesendet", "Elsewhere").unwrap(), pos(3));
    assert_eq!(account.find("Elsewhere").unwrap().special_use, both);
    let again = decode_account(&encode_account(&account, Bodies::Move), pos(3)).unwrap();
    assert_eq!(again.find("Elsewhere").unwrap().special_use, both);
    // A mailbox that is begun anew for an import is for the same.
    let id = account.find("Elsewhere").unwrap().id;
    account.apply(&account.begin_anew(id, UidValidity(99)).unwrap(), pos(4));
    assert_eq!(account.find("Elsewhere").map(|m| (m.special_use, m.validity)), Some((both, UidValidity(99))));
    account.apply(&account.delete("Elsewhere").unwrap(), pos(5));
    assert!(account.create_for("Sent", SpecialUse::SENT, 7).is_ok());
    // An account without any is written as ever.
    assert!(encode_account(&account, Bodies::Move).starts_with(&plain[..6]));
    for bytes in [&b"\x01\0\0\0\x09\0\0\0\x01"[..], b"\x01\0\0\0", b"\0"] {
        assert!(decode_account(&[&plain[..], bytes].concat(), pos(1)).is_err(), "{bytes:?}");
    }
}

fn set(name: &str, value: impl Into<Vec<u8>>) -> MetadataChange {
    (name.into(), Some(value.into().into()))
}

fn all_of(account: &Account, of: Option<MailboxId>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    account.metadata(of).unwrap().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn annotations_stay_with_their_mailbox() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos(1));
    account.apply(&account.create("Work", 7).unwrap(), pos(2));
    let work = account.find("Work").unwrap().id;
    let comment = [set("/private/comment", "mine"), set("own", "hidden")];
    account.apply(&account.set_metadata(Some(work), &comment).unwrap(), pos(3));
    account.apply(&account.set_metadata(None, &[set("/shared/comment", "all")]).unwrap(), pos(4));
    account.apply(&account.rename("Work", "Play").unwrap(), pos(5));
    let both = [pair("/private/comment", "mine"), pair("own", "hidden")];
    assert_eq!(all_of(&account, Some(work)), both);
    // Begun anew for an import, it keeps them; another mailbox of its old name has none.
    account.apply(&account.begin_anew(work, UidValidity(99)).unwrap(), pos(6));
    assert_eq!(all_of(&account, Some(work)), both);
    account.apply(&account.create("Work", 7).unwrap(), pos(7));
    assert_eq!(all_of(&account, Some(account.find("Work").unwrap().id)), []);
    // What is so already is no change; a name that comes twice has its last value; NIL removes.
    assert_eq!(account.set_metadata(Some(work), &comment).unwrap(), []);
    assert_eq!(account.set_metadata(Some(work), &[("/none".into(), None)]).unwrap(), []);
    let twice = [set("/private/comment", "first"), set("/private/comment", "last"), ("own".into(), None)];
    account.apply(&account.set_metadata(Some(work), &twice).unwrap(), pos(8));
    assert_eq!(all_of(&account, Some(work)), [pair("/private/comment", "last")]);
    let again = decode_account(&encode_account(&account, Bodies::Move), pos(8)).unwrap();
    assert_eq!(all_of(&again, Some(work)), [pair("/private/comment", "last")]);
    assert_eq!(all_of(&again, None), [pair("/shared/comment", "all")]);
    account.apply(&account.delete("Play").unwrap(), pos(9));
    assert_eq!(account.set_metadata(Some(work), &twice), Err(NoSuchMailbox));
    assert!(account.metadata(Some(work)).is_none());
    // An op of one that has gone changes nothing.
    let late = Op::SetMetadata { mailbox: Some(work), name: "/a".into(), value: None };
    account.apply(&[late], pos(10));
    account.apply(&[Op::EndAccount { validity_last: 99 }], pos(11));
    assert_eq!(all_of(&account, None), []);
}

#[test]
fn inbox_keeps_its_annotations_when_it_is_renamed() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos(1));
    let inbox = Some(MailboxId::INBOX);
    account.apply(&account.set_metadata(inbox, &[set("/private/comment", "mine")]).unwrap(), pos(2));
    account.apply(&account.empty_inbox_into("old", 7).unwrap(), pos(3));
    let old = account.find("old").unwrap().id;
    assert_eq!(all_of(&account, Some(old)), [pair("/private/comment", "mine")]);
    assert_eq!(all_of(&account, inbox), [pair("/private/comment", "mine")]);
}

#[test]
fn annotations_are_bounded() {
    let mut end = 1;
    let mut pos = || {
        end += 1;
        LogPos { segment: 1, offset: end }
    };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos());
    let long = BadMetadataName { max: METADATA_NAME_BYTES_MAX };
    assert_eq!(account.set_metadata(None, &[set("", "x")]), Err(long.clone()));
    let name = "/".repeat(METADATA_NAME_BYTES_MAX + 1);
    assert_eq!(account.set_metadata(None, &[set(&name, "x")]), Err(long));
    let large = vec![0; METADATA_VALUE_BYTES_MAX + 1];
    let too_big = MetadataTooBig { max: METADATA_VALUE_BYTES_MAX };
    assert_eq!(account.set_metadata(None, &[set("/a", large)]), Err(too_big));
    let many: Vec<MetadataChange> = (0..METADATA_ENTRIES_MAX).map(|i| set(&format!("/{i}"), "x")).collect();
    account.apply(&account.set_metadata(None, &many).unwrap(), pos());
    assert_eq!(account.set_metadata(None, &[set("/more", "x")]), Err(TooManyMetadata));
    // One that goes makes room, another value needs none, and the server's own are not counted.
    assert_eq!(account.set_metadata(None, &[set("/more", "x"), ("/1".into(), None)]).unwrap().len(), 2);
    assert_eq!(account.set_metadata(None, &[set("/1", "y"), set("own", "x")]).unwrap().len(), 2);
    // Of guests each has as many of a mailbox, and all of them together a part of the bytes.
    let inbox = Some(MailboxId::INBOX);
    let many: Vec<MetadataChange> = (0..METADATA_ENTRIES_MAX).map(|i| set(&format!("private/ben/{i}"), "x")).collect();
    let ops = account.set_metadata(inbox, &many).unwrap();
    account.apply(&ops, pos());
    assert_eq!(account.set_metadata(inbox, &[set("private/ben/more", "x")]), Err(TooManyMetadata));
    assert_eq!(account.set_metadata(inbox, &[set("private/carl/more", "x"), set("/more", "x")]).unwrap().len(), 2);
    let large = |at: usize| set(&format!("private/carl{at}/x"), vec![0; METADATA_VALUE_BYTES_MAX]);
    let fit = METADATA_GUESTS_BYTES_MAX / METADATA_VALUE_BYTES_MAX - 1;
    account.apply(&account.set_metadata(inbox, &(0..fit).map(large).collect::<Vec<_>>()).unwrap(), pos());
    assert_eq!(account.set_metadata(None, &[large(fit)]), Err(TooManyMetadata));
    // None of them has the room of another one, while there still is some.
    let small = vec![0; 1024];
    assert_eq!(account.set_metadata(None, &[set("private/carl0/y", small.clone())]), Err(TooManyMetadata));
    assert_eq!(account.set_metadata(None, &[set("private/dora/y", small)]).unwrap().len(), 1);
    assert_eq!(account.set_metadata(inbox, &[set("private/carl0/x", "smaller")]).unwrap().len(), 1);
    let gone = |at: usize| (format!("private/carl{at}/x").into(), None);
    account.apply(&account.set_metadata(inbox, &(0..fit).map(gone).collect::<Vec<_>>()).unwrap(), pos());
    // All of an account together.
    let mut at = 0;
    let full = loop {
        let value = vec![0; METADATA_VALUE_BYTES_MAX];
        match account.set_metadata(inbox, &[set(&format!("/{at}"), value)]) {
            Ok(ops) => account.apply(&ops, pos()),
            Err(error) => break error,
        }
        at += 1;
    };
    assert_eq!((full, at), (TooManyMetadata, METADATA_ACCOUNT_BYTES_MAX / METADATA_VALUE_BYTES_MAX - 1));
    assert_eq!(account.set_metadata(inbox, &[set("/0", "smaller")]).unwrap().len(), 1);
    // There is no room for a copy, and INBOX can be renamed all the same.
    account.apply(&account.empty_inbox_into("old", 7).unwrap(), pos());
    assert_eq!(all_of(&account, Some(account.find("old").unwrap().id)), []);
}

#[test]
fn a_use_moves_when_another_mailbox_is_given_it() {
    let pos = |offset| LogPos { segment: 1, offset };
    let mut account = Account::unborn();
    account.apply(&create_account(&UserName::new("anna").unwrap(), 7), pos(1));
    let both = SpecialUse::SENT | SpecialUse::DRAFTS;
    account.apply(&account.create_for("MyDrafts", both, 7).unwrap(), pos(2));
    account.apply(&account.create("Saved", 7).unwrap(), pos(3));
    let saved = account.find("Saved").unwrap().id;
    account.apply(&account.set_special_use(saved, SpecialUse::DRAFTS).unwrap(), pos(4));
    assert_eq!(account.find("MyDrafts").unwrap().special_use, SpecialUse::SENT);
    assert_eq!(account.find("Saved").unwrap().special_use, SpecialUse::DRAFTS);
    assert_eq!(account.set_special_use(saved, SpecialUse::DRAFTS).unwrap(), []);
    assert_eq!(account.set_special_use(MailboxId(77), SpecialUse::NONE), Err(NoSuchMailbox));
    account.apply(&account.set_special_use(saved, SpecialUse::NONE).unwrap(), pos(5));
    assert_eq!(account.find("Saved").unwrap().special_use, SpecialUse::NONE);
}

#[test]
fn missing_mailboxes_are_made_in_one_record() {
    let mut world = World::new();
    world.tree("create Sent").unwrap();
    let wanted =
        || [("Drafts", true), ("INBOX", true), ("Sent", true), ("a//b", false), ("Trash", false), ("Drafts", false)];
    let ops = world.account.create_missing(wanted().into_iter(), NOW);
    world.apply(ops);
    assert_eq!(world.names(), "Drafts INBOX Sent Trash");
    assert_eq!(world.account.subscriptions().collect::<Vec<_>>(), ["Drafts"]);
    let validities: std::collections::BTreeSet<u32> = world.account.mailboxes().map(|m| m.validity.0).collect();
    assert_eq!(validities.len(), 4, "each has a UIDVALIDITY of its own");
    assert!(world.account.create_missing(wanted().into_iter(), NOW).is_empty());
    world.tree("create Other").unwrap();
    assert_eq!(world.names(), "Drafts INBOX Other Sent Trash");
}

#[test]
fn old_messages_and_too_many_are_found_some_at_a_time() {
    let mut world = World::new();
    // Not in the order of their save dates: a backup may have brought some.
    let dates = [50, 10, 70, 30, 20, 90];
    let messages = dates.iter().map(|date| NewMessage { save_date: *date, ..message(Flags::NONE, &[]) }).collect();
    world.append(INBOX, messages).unwrap();
    let account = &world.account;
    let set = |uids: &[u32]| uids.iter().copied().collect::<IdSet>();
    assert_eq!(account.saved_until(INBOX, 30, Uid(1), 3), Ok((set(&[2]), Some(Uid(4)))));
    assert_eq!(account.saved_until(INBOX, 30, Uid(4), 3), Ok((set(&[4, 5]), None)));
    assert_eq!(account.saved_until(INBOX, 9, Uid(1), 100), Ok((set(&[]), None)));
    assert_eq!(account.saved_until(INBOX, 100, Uid(7), 1), Ok((set(&[]), None)));
    assert_eq!(account.oldest_above(INBOX, 4, 100), Ok(set(&[1, 2])));
    assert_eq!(account.oldest_above(INBOX, 0, 4), Ok(set(&[1, 2, 3, 4])));
    assert_eq!(account.oldest_above(INBOX, 6, 4), Ok(set(&[])));
    assert_eq!(account.oldest_above(MailboxId(9), 6, 4), Err(NoSuchMailbox));
}

/// What somebody with a column of his own makes of `\Seen`, and what becomes of the flags that all see. Flags: 1 `\Answered`, 4 `\Deleted`,
/// 8 `\Seen`.
#[test]
fn seen_apart() {
    const BOB: &str = "seen/bob";
    use StoreMode::{Add, Remove, Replace};
    // Mode, UIDs, flags, keywords, unchanged since; the rows after, as all see them; what bob has seen; left alone.
    type Case<'a> = (StoreMode, (u32, u32), u8, &'a [&'a str], Option<u64>, [&'a str; 3], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (Add, (1, 9), 8, &[], None, ["1 0  2", "2 8  3", "3 12  4"], "1:3", ""),
        (Add, (1, 1), 9, &[], None, ["1 1  7", "2 8  3", "3 12  4"], "1:2", ""),
        (Add, (1, 1), 1, &[], None, ["1 1  6", "2 8  3", "3 12  4"], "2", ""),
        (Remove, (1, 9), 8, &[], None, ["1 0  2", "2 8  3", "3 12  4"], "", ""),
        (Remove, (1, 9), 12, &[], None, ["1 0  2", "2 8  3", "3 8  7"], "", ""),
        (Replace, (1, 3), 0, &["x"], None, ["1 0 x 7", "2 8 x 8", "3 8 x 8"], "", ""),
        (Replace, (1, 3), 9, &[], None, ["1 1  7", "2 9  8", "3 9  8"], "1:3", ""),
        (Replace, (3, 3), 4, &[], None, ["1 0  2", "2 8  3", "3 12  4"], "2", ""),
        (Add, (1, 2), 8, &[], Some(4), ["1 0  2", "2 8  3", "3 12  4"], "1:2", "2"),
        (Add, (1, 2), 8, &[], Some(2), ["1 0  2", "2 8  3", "3 12  4"], "1:2", "2"),
        (Add, (1, 2), 8, &[], Some(1), ["1 0  2", "2 8  3", "3 12  4"], "2", "1:2"),
    ];
    for (mode, (first, last), flags, keywords, since, rows, seen, left) in cases {
        let mut world = three();
        // He has seen the second one, since modseq 5.
        let ops = world.account.set_values(INBOX, BOB, &IdSet::one(2), 1).unwrap();
        world.apply(ops);
        let request = StoreRequest {
            uids: IdSet::range(*first, *last),
            mode: *mode,
            flags: Flags(*flags),
            keywords: keywords.iter().map(|k| (*k).into()).collect(),
            unchanged_since: since.map(ModSeq),
        };
        let (ops, modified) = world.account.store_apart(INBOX, request.clone(), Some(BOB)).unwrap();
        world.apply(ops);
        assert_eq!(world.rows(INBOX), rows, "{request:?}");
        assert_eq!(modified.to_string(), *left, "{request:?}");
        let mailbox = world.account.mailbox(INBOX).unwrap();
        let known = (1..=3).filter(|uid| mailbox.value(BOB, Uid(*uid)) == 1).collect::<IdSet>();
        assert_eq!(known.to_string(), *seen, "{request:?}");
    }
}

/// COPY and MOVE take values along, as far as there is room.
#[test]
fn values_come_along_with_copies() {
    let mut world = three();
    world.tree("create b").unwrap();
    let b = world.account.find("b").unwrap().id;
    world.append(b, vec![message(Flags::NONE, &[])]).unwrap();
    for (column, uid, value) in [("keep/a", 1, 7), ("keep/a", 3, 7), ("keep/b", 2, u64::MAX)] {
        let ops = world.account.set_values(INBOX, column, &IdSet::one(uid), value).unwrap();
        world.apply(ops);
    }
    let values = |world: &World, id, column| {
        let mailbox = world.account.mailbox(id).unwrap();
        mailbox.rows().from_rank(0).map(|row| mailbox.value(column, row.uid)).collect::<Vec<_>>()
    };
    let (_, ops) = world.account.copy(INBOX, &IdSet::range(1, 3), b, NOW).unwrap();
    world.apply(ops);
    assert_eq!(values(&world, b, "keep/a"), [0, 7, 0, 7]);
    assert_eq!(values(&world, b, "keep/b"), [0, 0, u64::MAX, 0]);
    let both: IdSet = [1, 3].into_iter().collect();
    let (_, ops) = world.account.move_to(INBOX, &both, b, NOW).unwrap();
    // Next to each other now, so that one run says it.
    assert!(matches!(&ops[1], Op::SetValues { runs, .. } if runs.len() == 1), "{ops:?}");
    world.apply(ops);
    assert_eq!(values(&world, b, "keep/a"), [0, 7, 0, 7, 7, 7]);
    assert_eq!(values(&world, INBOX, "keep/b"), [u64::MAX]);
    let ops = world.account.empty_inbox_into("old", NOW).unwrap();
    world.apply(ops);
    let old = world.account.find("old").unwrap().id;
    assert_eq!(values(&world, old, "keep/b"), [u64::MAX]);
}

#[test]
fn values_are_bounded() {
    let mut world = three();
    let set = |world: &mut World, column: &str, value| {
        let ops = world.account.set_values(INBOX, column, &IdSet::range(1, 9), value)?;
        let changes = !ops.is_empty();
        world.apply(ops);
        Ok::<_, AccountError>(changes)
    };
    let bad = Err(BadColumnName { max: COLUMN_NAME_BYTES_MAX });
    for name in ["", "a\nb", &"x".repeat(COLUMN_NAME_BYTES_MAX + 1)] {
        assert_eq!(set(&mut world, name, 1), bad, "{name:?}");
    }
    for n in 0..COLUMNS_PER_MAILBOX_MAX {
        assert_eq!(set(&mut world, &format!("keep/{n}"), 1), Ok(true));
    }
    assert_eq!(set(&mut world, "keep/more", 1), Err(TooManyValues));
    assert_eq!(set(&mut world, "keep/0", 2), Ok(true));
    assert_eq!(set(&mut world, "keep/0", 2), Ok(false));
    // One that nobody has a value in is none.
    assert_eq!((set(&mut world, "keep/0", 0), set(&mut world, "keep/more", 1)), (Ok(true), Ok(true)));
    // A mailbox that has as many columns takes copies without those that are new to it.
    world.tree("create b").unwrap();
    let b = world.account.find("b").unwrap().id;
    world.append(b, vec![message(Flags::NONE, &[])]).unwrap();
    let ops = world.account.set_values(b, "keep/0", &IdSet::one(1), 1).unwrap();
    world.apply(ops);
    let (_, ops) = world.account.copy(b, &IdSet::one(1), INBOX, NOW).unwrap();
    assert_eq!(ops.len(), 1, "{ops:?}");
}
