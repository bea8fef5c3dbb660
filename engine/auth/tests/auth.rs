//! Checks from begin to finish: sources, cache, reload, and what time may tell.

use skein_auth::{Auth, Outcome, PassDb, PasswdFile, Sources, StaticUsers, Step};
use skein_base::{Secret, UserName};
use skein_config::{self as config, UserTemplate};
use std::path::PathBuf;
use std::sync::Arc;

const FILE: &str = "# people\n\
    anna:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\
    Ben@Example.org:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD:1000:1000::/home/ben::userdb_quota_rule=*:storage=1G\r\n\
    carl:{PLAIN}secret::::::nologin\n\
    dora::\n\n";

fn settings() -> config::Auth {
    let text = "[auth]\ncache_entries_max = 2\ncache_seconds = 10\ncache_negative_seconds = 5\n\
                sources = [{ driver = 'static', users = 'test{1..3}', password = 'pass' }]\n";
    config::Config::parse(text, std::path::Path::new("")).unwrap().auth
}

fn sources(file: &str) -> Arc<Sources> {
    let fixed = StaticUsers::new(UserTemplate::parse("test{1..3}").unwrap(), Secret::from("pass"));
    Arc::new(Sources::new(vec![Box::new(fixed), Box::new(PasswdFile::parse(file.as_bytes()))]))
}

fn auth(file: &str) -> Auth {
    Auth::new(sources(file), &settings(), [7; 32])
}

fn name(user: &str) -> UserName {
    UserName::new(user).unwrap()
}

/// How a check went: `a`ccepted or `r`ejected at once, or `A`ccepted or `R`ejected by a job.
fn check(auth: &mut Auth, user: &str, password: &str, now_ms: u64) -> char {
    match auth.begin(user, &Secret::from(password), now_ms) {
        Step::Accept(_) => 'a',
        Step::Reject => 'r',
        Step::Check(job) => match auth.finish(job.run(), now_ms) {
            Outcome::Accept(_) => 'A',
            Outcome::Reject => 'R',
        },
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
        ("carl", "secret", 'R'),
        ("dora", "", 'r'),
        ("test1", "", 'r'),
    ] {
        assert_eq!(check(&mut auth(FILE), user, password, 0), expect, "{user}");
    }
    assert_eq!(auth(FILE).verify("Anna", &Secret::from("secret"), 0), Outcome::Accept(name("anna")));
}

/// Everyone who is refused for the first time costs one job: known, unknown, locked, or with a name that is none.
#[test]
fn time_does_not_tell_who_exists() {
    for user in ["test1", "test9", "anna", "ben@example.org", "carl", "dora", "nobody", "no body", "", &"x".repeat(999)]
    {
        assert_eq!(check(&mut auth(FILE), user, "wrong", 0), 'R', "{user}");
    }
    assert_eq!(check(&mut auth(""), "nobody", "wrong", 0), 'r', "nothing costly anywhere, nothing to imitate");
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
        let (decoy, rare) = (file.decoy().unwrap(), file.look_up(&name("r")).unwrap());
        assert!(!Arc::ptr_eq(&decoy, &rare));
    }
}

/// The decoy is someone's real hash: its password opens nothing for a stranger.
#[test]
fn the_decoys_password_is_no_key() {
    for user in ["nobody", "no body", "carl", "test1"] {
        assert_eq!(check(&mut auth(FILE), user, "secret", 0), 'R', "{user}");
    }
}

#[test]
fn overlong_passwords_are_refused_before_any_work() {
    let long = "x".repeat(skein_base::limits::PASSWORD_BYTES_MAX + 1);
    assert_eq!(check(&mut auth(&format!("anna:{{PLAIN}}{long}")), "anna", &long, 0), 'r');
}

#[test]
fn verdicts_are_remembered_for_their_time() {
    let mut auth = auth(FILE);
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
        assert_eq!(check(&mut auth, ben, password, now_ms), expect, "{password} at {now_ms}");
    }
}

#[test]
fn the_cache_is_bounded_and_guessing_pushes_out_no_one() {
    let users: String =
        ["a", "b", "c"].map(|u| format!("{u}:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD\n")).concat();
    let mut auth = auth(&users);
    assert_eq!(check(&mut auth, "a", "secret", 0), 'A');
    (0..9).for_each(|i| assert_eq!(check(&mut auth, "a", &format!("guess{i}"), 0), 'R'));
    assert_eq!(check(&mut auth, "a", "secret", 0), 'a');
    assert_eq!((check(&mut auth, "b", "secret", 0), check(&mut auth, "c", "secret", 0)), ('A', 'A'));
    assert_eq!(check(&mut auth, "a", "secret", 0), 'A', "two fit, the oldest went");
}

#[test]
fn a_reload_counts_at_once_also_for_checks_under_way() {
    let mut auth = auth(FILE);
    let ben = "ben@example.org";
    let Step::Check(job) = auth.begin(ben, &Secret::from("secret"), 0) else { panic!("a job") };
    assert_eq!((check(&mut auth, ben, "secret", 0), check(&mut auth, ben, "new", 0)), ('A', 'R'));
    let changed = "ben@example.org:{PLAIN}new\nx:$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD";
    // The same cache key as before, which only a test uses: or it would hide a verdict that was kept.
    auth.reload(sources(changed), &settings(), [7; 32]);
    assert_eq!(auth.finish(job.run(), 0), Outcome::Accept(name(ben)));
    assert_eq!((check(&mut auth, ben, "secret", 0), check(&mut auth, ben, "new", 0)), ('R', 'a'));
}

#[test]
fn forgetting_empties_the_cache() {
    let mut auth = auth(FILE);
    assert_eq!(check(&mut auth, "ben@example.org", "secret", 0), 'A');
    auth.forget();
    assert_eq!(check(&mut auth, "ben@example.org", "secret", 0), 'A');
}

#[test]
fn bad_lines_are_told_and_harm_nobody_else() {
    let file = PasswdFile::parse(
        b"ok:{PLAIN}x\nbad name:{PLAIN}x\nok:{PLAIN}y\nweak:{NTLM}x\nnets:{PLAIN}x::::::allow_nets=10.0.0.0/8 x=y\n\xff:x\nlast:{PLAIN}x",
    );
    let notices: Vec<String> = file.notices().iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "line 2: the user name holds ' ': skipped",
            "line 3: ok stands on an earlier line, which counts",
            "line 4: weak can not log in: the password scheme {NTLM} is not known",
            "line 5: nets can not log in: allow_nets is not supported",
            "line 6: is no UTF-8: skipped",
        ]
    );
    assert_eq!(file.len(), 4);
    assert!(file.look_up(&name("ok")).unwrap().matches(b"x"));
    assert!(!file.look_up(&name("nets")).unwrap().matches(b"x"));
    assert!(file.look_up(&name("last")).unwrap().matches(b"x"));
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
    let error = Sources::load(&[source]).err().expect("an error");
    assert!(error.to_string().starts_with("no/such/file: "), "{error}");
}

#[test]
fn jobs_may_cross_threads_and_print_no_secret() {
    fn crosses<T: Send + 'static>(_: &T) {}
    let Step::Check(job) = auth(FILE).begin("ben@example.org", &Secret::from("hunter2"), 0) else { panic!("a job") };
    crosses(&job);
    assert!(!format!("{job:?}").contains("hunter2"));
}
