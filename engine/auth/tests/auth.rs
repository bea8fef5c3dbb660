//! Checks from begin to finish: sources and their rules, masters, cache, reload, SCRAM, and what time may tell.

use skein_auth::{
    Accepted, Answer, Auth, Entry, Hash, Identity, Offload, Outcome, PassDb, PasswdFile, Ranked, SharedAuth, Sources,
    State, StaticUsers, Step, Unavailable, UserDb, Verified,
};
use skein_base::scram::{ScramHash, ScramKeys};
use skein_base::{Secret, UserName};
use skein_config::{self as config, AuthSource, Skip, SourceRules, Then, UserTemplate};
use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

const FILE: &str = "# people\n\
    anna:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\
    Ben@Example.org:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD:1000:1000::/home/ben::userdb_quota_rule=*:storage=1G\r\n\
    carl:{PLAIN}secret::::::nologin\n\
    dora::\n\n";
const COSTLY: &str = "x:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD\n";

fn settings() -> config::Auth {
    let text = "[auth]\ncache_entries_max = 2\ncache_seconds = 10\ncache_negative_seconds = 5\n\
                sources = [{ driver = 'static', users = 'test{1..3}', password = 'pass' }]\n";
    config::Config::parse(text, std::path::Path::new("")).unwrap().auth
}

fn file(text: &str, rules: SourceRules) -> Ranked {
    Ranked::of(PasswdFile::parse(text.as_bytes()), rules)
}

fn usual() -> SourceRules {
    SourceRules::default()
}

fn sources(text: &str) -> Sources {
    let fixed = StaticUsers::new(UserTemplate::parse("test{1..3}").unwrap(), Secret::from("pass"));
    Sources::new(vec![Ranked::of(fixed, usual()), file(text, usual())])
}

fn shared(users: Sources, masters: &str) -> Arc<SharedAuth> {
    SharedAuth::of(users, Sources::new(vec![file(masters, usual())]), settings(), [7; 32])
}

fn auth(text: &str) -> Auth {
    Auth::new(SharedAuth::of(sources(text), Sources::default(), settings(), [7; 32]))
}

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

/// Runs everything here and now, at a time that the test chooses, and counts the costly work.
#[derive(Default)]
struct Here {
    now_ms: Cell<u64>,
    jobs: Cell<u32>,
    /// Answers from far away come too late.
    late: Cell<bool>,
}

impl Offload for Here {
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.jobs.set(self.jobs.get() + 1);
        Some(work())
    }

    async fn wait<T: Send + 'static>(&self, answer: Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
        if self.late.get() { None } else { Some(answer.await) }
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }
}

fn who<'a>(user: &'a str, authzid: Option<&'a str>) -> Identity<'a> {
    Identity { user, authzid, from: Some("192.0.2.1".parse().unwrap()) }
}

fn ask(auth: &Auth, user: &str, password: &str) -> Outcome {
    futures_lite::future::block_on(auth.password(who(user, None), &Secret::from(password), &Here::default()))
}

/// The outcome in a word.
fn said(outcome: Outcome) -> String {
    match outcome {
        Ok(Accepted { user, master: Some(master), .. }) => format!("{user} by {master}"),
        Ok(Accepted { user, .. }) => user.to_string(),
        Err(refusal) => format!("{refusal:?}"),
    }
}

/// How a check went: `a`ccepted or `r`ejected at once, or `A`ccepted or `R`ejected by a job.
fn check(auth: &Auth, user: &str, password: &str, now_ms: u64) -> char {
    let here = Here::default();
    here.now_ms.set(now_ms);
    let outcome = futures_lite::future::block_on(auth.password(who(user, None), &Secret::from(password), &here));
    let verdict = if outcome.is_ok() { 'a' } else { 'r' };
    match here.jobs.get() {
        0 => verdict,
        1 => verdict.to_ascii_uppercase(),
        more => panic!("{more} jobs"),
    }
}

#[test]
fn who_gets_in() {
    for (user, password, expect) in [
        ("test1", "pass", 'a'),
        ("TEST3", "pass", 'a'),
        ("anna", "secret", 'a'),
        ("ben@example.org", "secret", 'A'),
        ("BEN@example.org", "secret", 'A'),
        ("ben", "secret", 'R'),
        ("carl", "secret", 'r'),
        ("dora", "", 'r'),
        ("test1", "", 'r'),
    ] {
        assert_eq!(check(&auth(FILE), user, password, 0), expect, "{user}");
    }
    assert_eq!(said(ask(&auth(FILE), "Anna", "secret")), "anna");
    assert_eq!(said(ask(&auth(FILE), "carl", "secret")), "Locked { reason: None }");
    let accepted = ask(&auth(FILE), "ben@example.org", "secret").unwrap();
    assert_eq!(accepted.fields.other("quota_rule"), Some("*:storage=1G"));
}

/// Everyone who is refused for the first time costs one job: known, unknown, locked, or with a name that is none.
#[test]
fn time_does_not_tell_who_exists() {
    for user in ["test1", "test9", "anna", "ben@example.org", "carl", "dora", "nobody", "no body", "", &"x".repeat(999)]
    {
        assert_eq!(check(&auth(FILE), user, "wrong", 0), 'R', "{user}");
    }
    assert_eq!(check(&auth(""), "nobody", "wrong", 0), 'r', "nothing costly anywhere, nothing to imitate");
}

fn found(file: &PasswdFile, user: &str) -> Option<Entry> {
    match file.look_up(&name(user)) {
        Answer::Now(found) => found.unwrap(),
        Answer::Later(_) => panic!("a file answers at once"),
    }
}

/// Where most hashes cost the same, so does a stranger's check.
#[test]
fn the_decoy_is_what_most_have() {
    let rare = "r:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";
    let common = |i: u32| format!("c{i}:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD\n");
    let text: String = (0..5).map(common).chain([rare.to_owned()]).collect();
    for _ in 0..20 {
        // A new map each time: the order of iteration differs.
        let file = PasswdFile::parse(text.as_bytes());
        let rare = found(&file, "r").unwrap().hash;
        assert!(!Arc::ptr_eq(&file.sample().hash.unwrap(), &rare));
    }
}

/// The decoy is someone's real hash: its password opens nothing for a stranger.
#[test]
fn the_decoys_password_is_no_key() {
    for user in ["nobody", "no body", "test1"] {
        assert_eq!(check(&auth(FILE), user, "secret", 0), 'R', "{user}");
    }
}

#[test]
fn overlong_passwords_are_refused_before_any_work() {
    let long = "x".repeat(skein_base::limits::PASSWORD_BYTES_MAX + 1);
    assert_eq!(check(&auth(&format!("anna:{{PLAIN}}{long}")), "anna", &long, 0), 'r');
}

#[test]
fn verdicts_are_remembered_for_their_time() {
    let auth = auth(FILE);
    let ben = "ben@example.org";
    for (password, now_ms, expect) in [
        ("secret", 0, 'A'),
        ("secret", 9_999, 'a'),
        ("wrong", 1_000, 'R'),
        ("wrong", 5_999, 'r'),
        ("secret", 9_999, 'a'),
        ("wrong", 6_000, 'R'),
        ("secret", 10_000, 'A'),
        ("secret", 10_001, 'a'),
    ] {
        assert_eq!(check(&auth, ben, password, now_ms), expect, "{password} at {now_ms}");
    }
}

#[test]
fn the_cache_is_bounded_and_guessing_pushes_out_no_one() {
    let users: String =
        ["a", "b", "c"].map(|u| format!("{u}:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD\n")).concat();
    let auth = auth(&users);
    assert_eq!(check(&auth, "a", "secret", 0), 'A');
    (0..9).for_each(|i| assert_eq!(check(&auth, "a", &format!("guess{i}"), 0), 'R'));
    assert_eq!(check(&auth, "a", "secret", 0), 'a');
    assert_eq!((check(&auth, "b", "secret", 0), check(&auth, "c", "secret", 0)), ('A', 'A'));
    assert_eq!(check(&auth, "a", "secret", 0), 'A', "two fit, the oldest went");
}

#[test]
fn a_reload_counts_at_once_also_for_checks_under_way() {
    /// The sources change while the hash is worked on.
    struct Meanwhile(Arc<SharedAuth>, Here);
    impl Offload for Meanwhile {
        async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
            let changed = sources(&format!("ben:{{PLAIN}}new\n{COSTLY}"));
            self.0.replace(State::new(changed, Sources::default(), settings()));
            self.1.compute(work).await
        }
        async fn wait<T: Send + 'static>(&self, answer: Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
            self.1.wait(answer).await
        }
        fn now_ms(&self) -> u64 {
            0
        }
    }
    let old = format!("ben{}", &COSTLY[1..]);
    let shared = SharedAuth::of(sources(&old), Sources::default(), settings(), [7; 32]);
    let auth = Auth::new(shared.clone());
    let meanwhile = Meanwhile(shared, Here::default());
    let password = Secret::from("secret");
    assert!(futures_lite::future::block_on(auth.password(who("ben", None), &password, &meanwhile)).is_ok());
    assert_eq!((check(&auth, "ben", "secret", 0), check(&auth, "ben", "new", 0)), ('R', 'a'));
}

#[test]
fn forgetting_empties_the_cache() {
    let auth = auth(FILE);
    assert_eq!(check(&auth, "ben@example.org", "secret", 0), 'A');
    auth.forget();
    assert_eq!(check(&auth, "ben@example.org", "secret", 0), 'A');
}

#[test]
fn bad_lines_are_told_and_harm_nobody_else() {
    let file = PasswdFile::parse(
        b"ok:{PLAIN}x\nbad name:{PLAIN}x\nok:{PLAIN}y\nweak:{NTLM}x\nnets:{PLAIN}x::::::allow_nets=10/99 x=y\n\xff:x\nlast:{PLAIN}x",
    );
    let notices: Vec<String> = file.notices().iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "line 2: the user name holds ' ': skipped",
            "line 3: ok stands on an earlier line, which counts",
            "line 4: weak can not log in: the password scheme {NTLM} is not known",
            "line 5: nets can not log in: allow_nets names no network: 10/99",
            "line 6: is no UTF-8: skipped",
        ]
    );
    assert_eq!(file.len(), 4);
    assert!(found(&file, "ok").unwrap().hash.matches(b"x"));
    assert!(!found(&file, "nets").unwrap().hash.matches(b"x"));
    assert!(found(&file, "last").unwrap().hash.matches(b"x"));
    assert_eq!(PasswdFile::parse("a b\n".repeat(5000).as_bytes()).notices().len(), 100);
}

#[test]
fn delivery_knows_who_can_not_log_in() {
    let sources = sources(FILE);
    for (user, expect) in
        [("carl", true), ("dora", true), ("test2", true), ("test4", false), ("anna", true), ("eve", false)]
    {
        assert_eq!(sources.know(&name(user)), expect, "{user}");
    }
}

#[test]
fn sources_load_from_settings() {
    let (sources, notices) = Sources::load(&settings().sources).unwrap();
    assert!(sources.know(&name("test1")) && !sources.know(&name("test4")) && notices.is_empty());
}

#[test]
fn a_missing_file_names_itself() {
    let source = config::Source::PasswdFile { path: PathBuf::from("no/such/file") };
    let source = AuthSource { source, rules: usual() };
    let error = Sources::load(&[source]).err().expect("an error");
    assert!(error.to_string().starts_with("no/such/file: "), "{error}");
}

const MASTERS: &str = "boss:{PLAIN}key\nlocked:{PLAIN}key::::::nologin\nhome:{PLAIN}key::::::allow_nets=10.0.0.0/8\n";

#[test]
fn master_users() {
    let auth = Auth::new(shared(sources(FILE), MASTERS));
    for (user, authzid, password, expect) in [
        ("anna*boss", None, "key", "anna by boss"),
        ("BEN@example.org*BOSS", None, "key", "ben@example.org by boss"),
        ("boss", Some("anna"), "key", "anna by boss"),
        ("anna", Some("anna"), "secret", "anna"),
        // A locked account is open to whom the operator sends.
        ("carl*boss", None, "key", "carl by boss"),
        ("nobody*boss", None, "key", "MayNotActAs"),
        ("anna*boss", None, "secret", "Wrong"),
        ("anna*anna", None, "secret", "Wrong"),
        ("anna*ben@example.org", None, "secret", "Wrong"),
        ("anna*locked", None, "key", "Locked { reason: None }"),
        ("anna*home", None, "key", "NotFromHere"),
        ("boss", None, "key", "Wrong"),
        // His own password, someone else's name.
        ("test1", Some("anna"), "pass", "MayNotActAs"),
        ("test1", Some("anna"), "wrong", "Wrong"),
        ("anna*", None, "key", "Wrong"),
    ] {
        let password = Secret::from(password);
        let outcome = futures_lite::future::block_on(auth.password(who(user, authzid), &password, &Here::default()));
        assert_eq!(said(outcome), expect, "{user} {authzid:?}");
    }
    // No name holds the separator, so without masters nobody is meant.
    assert_eq!(said(ask(&self::auth(FILE), "anna*boss", "key")), "Wrong");
}

/// A master user's password is not remembered as that of the user of the same name.
#[test]
fn masters_and_users_of_one_name_are_two() {
    let auth = Auth::new(shared(sources("anna:{PLAIN}own"), "anna:{PLAIN}key"));
    assert_eq!(said(ask(&auth, "test1*anna", "key")), "test1 by anna");
    assert_eq!(said(ask(&auth, "anna", "key")), "Wrong");
    assert_eq!(said(ask(&auth, "anna", "own")), "anna");
    assert_eq!(said(ask(&auth, "test1*anna", "own")), "Wrong");
}

#[test]
fn fields_decide_after_the_password() {
    let text = "nets:{PLAIN}x::::::allow_nets=192.0.2.0/24\nelse:{PLAIN}x::::::allow_nets=10.0.0.0/8\n\
                unpaid:{PLAIN}x::::::nologin reason=Unpaid\nalias:{PLAIN}x::::::user=real@example.org\n";
    let auth = auth(text);
    // Twice: what is remembered is judged again.
    for _ in 0..2 {
        assert_eq!(said(ask(&auth, "nets", "x")), "nets");
        assert_eq!(said(ask(&auth, "else", "x")), "NotFromHere");
        assert_eq!(said(ask(&auth, "unpaid", "x")), "Locked { reason: Some(\"Unpaid\") }");
        assert_eq!(said(ask(&auth, "unpaid", "y")), "Wrong");
        assert_eq!(said(ask(&auth, "alias", "x")), "real@example.org");
    }
}

/// A source far away, of one user `far` with password `pass`, or out of order.
struct Far {
    broken: bool,
    keeps_hashes: bool,
}

impl Far {
    fn answer<T: Send + 'static>(&self, value: T) -> Answer<T> {
        let broken = self.broken;
        Answer::Later(Box::pin(async move { if broken { Err(Unavailable) } else { Ok(value) } }))
    }
}

impl PassDb for Far {
    fn look_up(&self, user: &UserName) -> Answer<Option<Entry>> {
        self.answer((user.as_str() == "far").then(|| Entry::new(Hash::plain(Secret::from("pass")))))
    }

    fn verify(&self, user: &UserName, password: &Secret) -> Option<Answer<Verified>> {
        let verdict = match (user.as_str(), password.expose()) {
            ("far", b"pass") => Verified::Match(Entry::new(Hash::locked())),
            ("far", _) => Verified::Mismatch,
            _ => Verified::Unknown,
        };
        self.keeps_hashes.then(|| self.answer(verdict))
    }
}

impl UserDb for Far {
    fn find(&self, user: &UserName) -> Answer<Option<Entry>> {
        self.look_up(user)
    }
}

#[test]
fn sources_far_away() {
    for keeps_hashes in [true, false] {
        let with = |broken| {
            let far = Ranked::of(Far { broken, keeps_hashes }, usual());
            Auth::new(shared(Sources::new(vec![far, file("near:{PLAIN}pass", usual())]), ""))
        };
        for (broken, user, password, expect) in [
            (false, "far", "pass", "far"),
            (false, "far", "wrong", "Wrong"),
            (false, "near", "pass", "near"),
            (true, "near", "pass", "near"),
            (true, "near", "wrong", "Unavailable"),
            (true, "far", "pass", "Unavailable"),
        ] {
            assert_eq!(said(ask(&with(broken), user, password)), expect, "{user} {password} {broken}");
        }
        // Its deadline passes: as if it were broken, and nothing of it is remembered.
        let auth = with(false);
        let here = Here::default();
        here.late.set(true);
        let password = Secret::from("pass");
        let late = futures_lite::future::block_on(auth.password(who("far", None), &password, &here));
        assert_eq!(said(late), "Unavailable");
        assert_eq!(said(ask(&auth, "far", "pass")), "far");
        let find =
            |user: &str| futures_lite::future::block_on(auth.find(&name(user), &here)).map(|entry| entry.is_some());
        assert_eq!((find("near"), find("nobody"), find("far")), (Ok(true), Err(Unavailable), Err(Unavailable)));
    }
}

/// Dovecot's result rules, each source in turn: `user:password` of the first and the second one, its rules, what comes of it.
#[test]
fn rules() {
    let rule = |f: fn(&mut SourceRules)| {
        let mut rules = usual();
        f(&mut rules);
        rules
    };
    let plain = |users: &str| users.split(' ').map(|u| u.replace(':', ":{PLAIN}") + "\n").collect::<String>();
    let continue_ok = rule(|r| r.result_success = Then::ContinueOk);
    let continue_fail = rule(|r| r.result_success = Then::ContinueFail);
    let final_failure = rule(|r| r.result_failure = Then::ReturnFail);
    let as_before = rule(|r| (r.result_success, r.result_failure) = (Then::Return, Then::Return));
    let fail_on_match = rule(|r| r.result_success = Then::ReturnFail);
    let not_twice = rule(|r| (r.skip, r.result_success) = (Skip::Authenticated, Then::ReturnFail));
    let only_second = rule(|r| r.skip = Skip::Unauthenticated);
    let deny = rule(|r| r.deny = true);
    for (first, second, expect) in [
        (("a:x", usual()), ("a:y", usual()), "a"),
        (("a:y", usual()), ("a:x", usual()), "a"),
        (("b:x", usual()), ("a:y", usual()), "Wrong"),
        (("a:y", final_failure), ("a:x", usual()), "Wrong"),
        (("a:x", continue_ok), ("b:x", usual()), "a"),
        (("a:x", continue_ok), ("b:x", final_failure), "Wrong"),
        (("a:x", continue_fail), ("b:x", usual()), "Wrong"),
        (("a:x", continue_fail), ("a:x", usual()), "a"),
        (("a:x", continue_ok), ("b:x", as_before), "a"),
        (("b:x", usual()), ("a:x", as_before), "Wrong"),
        (("a:x", fail_on_match), ("a:x", usual()), "Wrong"),
        (("a:x", continue_ok), ("a:x", not_twice), "a"),
        (("b:x", usual()), ("a:x", only_second), "Wrong"),
        (("a:x", continue_ok), ("a:x", only_second), "a"),
        // The password of a deny list does not matter.
        (("a:other", deny), ("a:x", usual()), "Wrong"),
        (("b:x", deny), ("a:x", usual()), "a"),
    ] {
        let sources = Sources::new(vec![file(&plain(first.0), first.1), file(&plain(second.0), second.1)]);
        let auth = Auth::new(shared(sources, ""));
        assert_eq!(said(ask(&auth, "a", "x")), expect, "{first:?} {second:?}");
    }
    let broken = |rules| Ranked::of(Far { broken: true, keeps_hashes: true }, rules);
    let strict = rule(|r| r.result_internalfail = Then::ReturnFail);
    for (rules, expect) in [(usual(), "a"), (strict, "Unavailable"), (deny, "Unavailable")] {
        let auth = Auth::new(shared(Sources::new(vec![broken(rules), file("a:{PLAIN}x", usual())]), ""));
        assert_eq!(said(ask(&auth, "a", "x")), expect, "{rules:?}");
    }
}

/// Mail for someone who is only on a deny list is for nobody.
#[test]
fn deny_lists_name_no_users() {
    let deny = SourceRules { deny: true, ..usual() };
    let sources = Sources::new(vec![file("banned:{PLAIN}x", deny), file("a:{PLAIN}x", usual())]);
    assert!(sources.know(&name("a")) && !sources.know(&name("banned")));
}

const SCRAM: &str = "s256:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";

fn keys(auth: &Auth, user: &str, hash: ScramHash) -> (ScramKeys, u32) {
    let here = Here::default();
    (futures_lite::future::block_on(auth.keys(who(user, None), hash, &here)).unwrap(), here.jobs.get())
}

#[test]
fn scram_keys() {
    let auth = Auth::new(shared(sources(&format!("{SCRAM}plain:{{PLAIN}}pencil\n{COSTLY}")), "boss:{PLAIN}pencil\n"));
    let (stored, _) = keys(&auth, "S256", ScramHash::Sha256);
    assert!(stored.matches(b"pencil"));
    for user in ["plain", "x*boss"] {
        for hash in [ScramHash::Sha256, ScramHash::Sha1] {
            let (made, _) = keys(&auth, user, hash);
            assert!(made.matches(b"pencil") && made == keys(&auth, user, hash).0, "{user}");
        }
    }
    for (user, hash) in [("s256", ScramHash::Sha1), ("x", ScramHash::Sha256), ("plain*boss2", ScramHash::Sha1)] {
        assert!(!keys(&auth, user, hash).0.matches(b"pencil"), "{user}");
    }
    let proof = |user: &str, authzid, hash, holds| {
        said(futures_lite::future::block_on(auth.proof(who(user, authzid), hash, holds, &Here::default())))
    };
    assert_eq!(proof("s256", None, ScramHash::Sha256, true), "s256");
    assert_eq!(proof("s256", None, ScramHash::Sha256, false), "Wrong");
    assert_eq!(proof("boss", Some("plain"), ScramHash::Sha256, true), "plain by boss");
    assert_eq!(proof("s256", Some("plain"), ScramHash::Sha256, true), "MayNotActAs");
}

/// Whoever asks for keys can not tell who exists: strangers have steady salts of the usual form, after the usual time.
#[test]
fn scram_does_not_tell_who_exists() {
    let kinds = |text: &str, known: &str| {
        let auth = Auth::new(shared(Sources::new(vec![file(text, usual())]), ""));
        let (known, time) = keys(&auth, known, ScramHash::Sha256);
        for user in ["nobody", "NOBODY", "no body", "x"] {
            let (keys, same_time) = keys(&auth, user, ScramHash::Sha256);
            assert_eq!((keys.iterations, keys.salt.len()), (known.iterations, known.salt.len()), "{user}");
            assert_eq!((same_time, &keys), (time, &self::keys(&auth, user, ScramHash::Sha256).0), "{user}");
        }
        let salt = |user: &str| keys(&auth, user, ScramHash::Sha256).0.salt;
        assert!(salt("nobody") == salt("NoBody") && salt("nobody") != salt("nobody2"));
    };
    kinds(&format!("{SCRAM}{}", COSTLY), "s256");
    kinds(&format!("plain:{{PLAIN}}pencil\nother:{{PLAIN}}x\n{COSTLY}"), "plain");
}

#[test]
fn certificates() {
    let auth = Auth::new(shared(sources(FILE), MASTERS));
    let check = |user: &str, authzid| {
        said(futures_lite::future::block_on(auth.certificate(who(user, authzid), &Here::default())))
    };
    assert_eq!(check("anna", None), "anna");
    assert_eq!(check("anna", Some("Anna")), "anna");
    assert_eq!(check("dora", None), "dora", "without a password there is still a certificate");
    assert_eq!(check("carl", None), "Locked { reason: None }");
    assert_eq!(check("nobody", None), "Wrong");
    assert_eq!(check("boss", Some("anna")), "anna by boss");
    assert_eq!(check("anna", Some("test1")), "MayNotActAs");
}

#[test]
fn only_the_right_one_is_remembered() {
    let auth = auth(FILE);
    let remembers =
        |password: &str, now_ms| auth.remembers(who("ben@example.org", None), &Secret::from(password), now_ms);
    assert!(!remembers("secret", 0));
    assert_eq!((check(&auth, "ben@example.org", "secret", 0), check(&auth, "ben@example.org", "x", 0)), ('A', 'R'));
    assert!(remembers("secret", 9_999) && !remembers("secret", 10_000) && !remembers("x", 0));
}

/// A file that changes is read again; one that breaks is said once and changes nothing.
#[test]
fn files_are_watched() {
    let folder = std::env::temp_dir().join(format!("skein-auth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("users");
    std::fs::write(&path, "a:{PLAIN}one\n").unwrap();
    let source = AuthSource { source: config::Source::PasswdFile { path: path.clone() }, rules: usual() };
    let settings = config::Auth { sources: vec![source], ..settings() };
    let (shared, _) = SharedAuth::load(&settings, [7; 32], [7; 32]).unwrap();
    let auth = Auth::new(shared.clone());
    assert_eq!(said(ask(&auth, "a", "one")), "a");
    assert!(shared.refresh().unwrap().is_none());
    std::fs::write(&path, "a:{PLAIN}second\nb:{X}\n").unwrap();
    assert_eq!(shared.refresh().unwrap().unwrap().len(), 1, "a notice");
    assert_eq!((said(ask(&auth, "a", "one")), said(ask(&auth, "a", "second"))), ("Wrong".into(), "a".into()));
    std::fs::remove_file(&path).unwrap();
    assert!(shared.refresh().is_err() && shared.refresh().unwrap().is_none());
    assert_eq!(said(ask(&auth, "a", "second")), "a");
    std::fs::write(&path, "a:{PLAIN}third\n").unwrap();
    assert!(shared.refresh().unwrap().is_some());
    assert_eq!(said(ask(&auth, "a", "third")), "a");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_trial_tells_every_source_and_remembers_nothing() {
    let named = |name: &str, text, rules| file(text, rules).named(name.into());
    let users = Sources::new(vec![
        named("banned", "eve:\n", SourceRules { deny: true, ..usual() }),
        named("staff", "anna:{PLAIN}one\n", SourceRules { result_success: Then::ContinueOk, ..usual() }),
        named("again", "anna:{PLAIN}two\n", SourceRules { skip: Skip::Authenticated, ..usual() }),
        named("last", "bob:{PLAIN}three::::::nologin\n", usual()),
    ]);
    let auth = Auth::new(shared(users, "root:{PLAIN}master\n"));
    let trial = |user: &str, password: &str| {
        let (who, here) = (who(user, None), Here::default());
        let (steps, outcome) = futures_lite::future::block_on(auth.trial(who, &Secret::from(password), &here));
        let word = |step: &Step| {
            let list = if step.of_masters { "masters " } else { "" };
            format!("{list}{} {:?} {}", step.source, step.heard, step.then.map_or("-", Then::word))
        };
        (steps.iter().map(word).collect::<Vec<_>>().join(", "), said(outcome))
    };
    for (user, password, steps, outcome) in [
        ("anna", "one", "banned Unknown -, staff Match continue-ok, again Skipped -, last Unknown continue", "anna"),
        ("anna", "two", "banned Unknown -, staff Mismatch continue, again Match return-ok", "anna"),
        ("eve", "x", "banned Match -", "Wrong"),
        ("zoe", "", "", "Wrong"),
        (
            "bob",
            "three",
            "banned Unknown -, staff Unknown continue, again Unknown continue, last Match return-ok",
            "Locked { reason: None }",
        ),
        ("anna*root", "master", "masters  Match return-ok", "anna by root"),
    ] {
        assert_eq!(trial(user, password), (steps.to_owned(), outcome.to_owned()), "{user}");
        // What was remembered of a login before is not asked.
        _ = ask(&auth, user, password);
        assert_eq!(trial(user, password).0, steps, "{user}");
    }
}

#[test]
fn a_set_read_before_another_came_into_force_is_looked_at_again() {
    let folder = std::env::temp_dir().join(format!("skein-refresh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("users");
    let text = format!("[auth]\nsources = [{{ driver = 'passwd-file', path = '{}' }}]\n", path.display());
    std::fs::write(&path, "anna:{PLAIN}one\n").unwrap();
    let settings = config::Config::parse(&text, &folder.join("skein.toml")).unwrap().auth;
    let (shared, _) = SharedAuth::load(&settings, [1; 32], [2; 32]).unwrap();
    let auth = Auth::new(shared.clone());
    // A reload reads; an edit and a refresh pass it; then what it read is put in force.
    let (reloaded, _) = shared.prepare(&settings).unwrap();
    std::fs::write(&path, "anna:{PLAIN}second\n").unwrap();
    assert!(shared.refresh().unwrap().is_some());
    assert_eq!(said(ask(&auth, "anna", "second")), "anna");
    shared.replace(reloaded);
    assert!(shared.refresh().unwrap().is_some(), "the file is newer than what is in force");
    assert_eq!(said(ask(&auth, "anna", "second")), "anna");
    assert!(shared.refresh().unwrap().is_none());
    std::fs::remove_dir_all(&folder).unwrap();
}
