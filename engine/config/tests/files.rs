//! Settings files, right and wrong.

use skein_base::SpecialUse;
use skein_config::{
    AuthMechanism, AuthSource, Config, Kind, MailboxAuto, MailboxRule, NamespaceList, Origin, Outside, Place,
    PlaintextWithoutTls, ROWS, Separator, Skip, Source, SourceRules, Then, TlsMode, defaults_text, explain,
};
use std::path::{Path, PathBuf};

const USERS: &str = "auth.sources = [{ driver = 'passwd-file', path = 'users' }]\n";

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/skein/skein.toml")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The problems, each as `line:column key text`.
fn problems(text: &str) -> Vec<String> {
    let problems = Config::parse(text, Path::new("skein.toml")).expect_err("a problem");
    problems.iter().map(|p| format!("{}:{} {} {}", p.line, p.column, p.key, p.text)).collect()
}

/// Each expectation is the start of one problem, in order.
fn check(text: &str, expect: &[&str]) {
    let got = problems(text);
    let same = got.len() == expect.len() && got.iter().zip(expect).all(|(got, expect)| got.starts_with(expect));
    assert!(same, "{text}\n{got:#?}\n{expect:#?}");
}

#[test]
fn the_demo() {
    let demo = Config::embedded_default();
    assert!(demo.demo && demo.lmtp.strip_domain);
    assert_eq!(demo.data_dir, PathBuf::from("./skein-data"));
    assert_eq!(demo.limits.connections_per_user_max, 0);
    let ports = [&demo.listeners.imap, &demo.listeners.imaps, &demo.listeners.lmtp];
    assert_eq!(ports.map(|list| list[0].place.to_string()), ["127.0.0.1:1143", "127.0.0.1:1993", "127.0.0.1:1024"]);
    assert_eq!(demo.listeners.http[0].to_string(), "127.0.0.1:1080");
    let knows = |user: &str, word: &[u8]| {
        demo.auth.sources.iter().any(|s| matches!(&s.source, Source::Static { users, password } if users.matches(user) && password.expose() == word))
    };
    assert!(
        knows("demo", b"demo") && knows("test1", b"pass") && knows("test200", b"pass") && !knows("test201", b"pass")
    );
}

#[test]
fn values_of_each_kind() {
    let config = parse(
        "shards = 0x10\ndata_dir = 'mail'\nhostname = 'mx.example.org'\n[tls]\ncert = '/tls/c.pem'\nkey = 'k.pem'\n\
         [listeners]\nimap = ['[::1]:143', '10.0.0.1:143']\nlmtp = []\n[lmtp]\nstrip_domain = true\n\
         [auth]\nsources = [{ driver = 'passwd-file', path = 'users' }]\nplaintext_without_tls = 'never'\n\
         [limits]\nmessage_bytes_max = 50_000_000\n",
    );
    assert_eq!((config.shards, config.limits.message_bytes_max), (16, 50_000_000));
    assert_eq!(config.data_dir, PathBuf::from("/etc/skein/mail"));
    assert_eq!(config.tls.cert, Some(PathBuf::from("/tls/c.pem")));
    assert_eq!(config.tls.key, Some(PathBuf::from("/etc/skein/k.pem")));
    assert_eq!(config.listeners.imap.len(), 2);
    assert!(config.listeners.lmtp.is_empty() && config.lmtp.strip_domain && !config.demo);
    assert_eq!(config.auth.plaintext_without_tls, PlaintextWithoutTls::Never);
    let path = match &config.auth.sources[..] {
        [AuthSource { source: Source::PasswdFile { path }, .. }] => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path, Path::new("/etc/skein/users"));
}

#[test]
fn dotted_keys_and_table_arrays_are_toml_too() {
    let config =
        parse("imap.login_seconds_max = 5\n[[auth.sources]]\ndriver = 'static'\nusers = 'a'\npassword = 'b'\n");
    assert_eq!((config.imap.login_seconds_max, config.auth.sources.len()), (5, 1));
}

#[test]
fn every_problem_at_once_with_its_place() {
    check(
        "shards = 5000\ndatadir = 'x'\n\n[limits]\n  message_bytes_max = \"10M\"\n[auth]\nplaintext_without_tls = 'yes'\n\
         failure_delay_ms = -1\n[nonsense]\na = 1\n[listeners]\nimap = ['localhost:143', 7]\nlmtp = '127.0.0.1:24'\n",
        &[
            "1:10 shards is out of bounds: write a whole number of shards from 0 to 1024",
            "2:1 datadir there is no such setting; did you mean data_dir?",
            "5:23 limits.message_bytes_max is of type string: write a whole number of bytes from 1024 to",
            "7:25 auth.plaintext_without_tls write one of \"loopback\", \"always\", \"never\"",
            "8:20 auth.failure_delay_ms is out of bounds",
            "9:2 nonsense there is no such setting; `skein config explain`",
            "12:9 listeners.imap is no address with port",
            "12:26 listeners.imap is of type integer: write text",
            "13:8 listeners.lmtp is of type string: write a list such as",
        ],
    );
}

#[test]
fn listeners_as_tables() {
    let config = parse(&format!(
        "{USERS}[listeners]\nimap = ['0.0.0.0:143', {{ address = '[::]:143', tls = 'none', backlog = 10 }}]\n\
         imaps = [{{ address = '10.0.0.1:993', cert = 'c.pem', key = 'k.pem', proxy = true, proxy_networks = ['10.0.0.0/24', '::1'] }}]\n\
         lmtp = [{{ path = 'lmtp.sock', mode = '0600', group = 'postfix' }}, {{ path = '/p', tls = 'starttls', proxy = true }}]\n"
    ));
    let [four, six] = &config.listeners.imap[..] else { panic!("two") };
    assert_eq!((four.tls, six.tls, four.backlog, six.backlog), (TlsMode::StartTls, TlsMode::None, 4096, 10));
    let [behind] = &config.listeners.imaps[..] else { panic!("one") };
    assert_eq!(behind.tls, TlsMode::Implicit);
    assert_eq!(behind.certificate.as_ref().unwrap().key, Path::new("/etc/skein/k.pem"));
    let networks = &behind.proxy.as_ref().unwrap().networks;
    let inside = |ip: &str| networks.iter().any(|net| net.contains(&ip.parse::<std::net::IpAddr>().unwrap()));
    assert!(inside("10.0.0.9") && inside("::1") && !inside("10.0.1.9") && !inside("::2"));
    let [unix, proxied] = &config.listeners.lmtp[..] else { panic!("two") };
    let Place::Unix(place) = &unix.place else { panic!("a path") };
    assert_eq!((place.path.as_path(), place.mode, unix.tls), (Path::new("/etc/skein/lmtp.sock"), 0o600, TlsMode::None));
    assert_eq!((place.owner.as_deref(), place.group.as_deref()), (None, Some("postfix")));
    assert!(proxied.tls == TlsMode::StartTls && proxied.proxy.is_some());
}

#[test]
fn one_limit_of_messages() {
    let text = format!("{USERS}[imap]\nsave_limit = 1000\n");
    assert_eq!(parse(&text).imap.save_limit, 1000);
    check(&format!("{text}message_limit = 1000\n"), &["3:14 imap.save_limit says nothing beside imap.message_limit"]);
}

#[test]
fn wrong_listeners() {
    let wrong = |entry: &str, expect: &[&str]| check(&format!("{USERS}listeners.lmtp = [{entry}]"), expect);
    wrong("{}", &["2:19 listeners.lmtp lacks address"]);
    wrong("{ address = '127.0.0.1:1', path = '/x' }", &["2:53 listeners.lmtp stands beside address"]);
    wrong("{ address = '127.0.0.1:1', mode = '0600' }", &["2:53 listeners.lmtp is for Unix sockets"]);
    wrong("{ path = '/x', mode = '99' }", &["2:41 listeners.lmtp is no mode"]);
    wrong("{ path = '/x', mode = '7777' }", &["2:41 listeners.lmtp is no mode"]);
    wrong(&format!("{{ path = '/{}' }}", "x".repeat(107)), &["2:28 listeners.lmtp is too long for a socket"]);
    wrong("{ address = '127.0.0.1:1', proxy = true }", &["2:19 listeners.lmtp believes proxies but names none"]);
    wrong("{ path = '/x', proxy_networks = ['::/0'] }", &["2:19 listeners.lmtp has proxy_networks"]);
    wrong(
        "{ adress = '127.0.0.1:1', tls = 'yes', cert = 'x', proxy = 1, backlog = 0 }",
        &[
            "2:19 listeners.lmtp lacks address",
            "2:19 listeners.lmtp has one of cert and key",
            "2:21 listeners.lmtp a listener has no adress; did you mean address?",
            "2:51 listeners.lmtp write one of \"none\", \"starttls\", \"implicit\"",
            "2:78 listeners.lmtp is of type integer: write true or false",
            "2:91 listeners.lmtp is out of bounds",
        ],
    );
    wrong(
        "{ path = '/x', proxy = true, proxy_networks = ['10.0.0.0/33', 'lan'] }",
        &["2:66 listeners.lmtp is no network", "2:81 listeners.lmtp is no network"],
    );
    check(
        &format!("{USERS}listeners.lmtp = [{{ path = '/x' }}, {{ path = '/x' }}]"),
        &["2:18 listeners.lmtp /x is taken"],
    );
}

#[test]
fn wrong_sources() {
    check("auth.sources = [{}]", &["1:17 auth.sources lacks driver"]);
    check("auth.sources = ['x']", &["1:17 auth.sources write a table"]);
    check("auth.sources = [{ driver = 'ldap' }]", &["1:28 auth.sources write driver = \"static\""]);
    check(
        "auth.sources = [{ driver = 'static', user = 'a', password = 1 }]",
        &[
            "1:17 auth.sources lacks users",
            "1:38 auth.sources this driver has no user; did you mean users?",
            "1:61 auth.sources is of type integer",
        ],
    );
    check(
        "auth.sources = [{ driver = 'static', users = 'a{2..1}', password = '' }]",
        &["1:46 auth.sources write a user name"],
    );
    check(
        "auth.sources = [{ driver = 'static', users = 'a b', password = '' }]",
        &["1:46 auth.sources the user name holds ' '"],
    );
    check("auth.sources = [{ driver = 'passwd-file', path = '' }]", &["1:50 auth.sources is empty"]);
}

#[test]
fn rules_of_sources() {
    let config = parse(
        "auth.sources = [{ driver = 'passwd-file', path = 'banned', deny = true },
         { driver = 'passwd-file', path = 'a', result_success = 'continue-ok', skip = 'authenticated' }]
         auth.mechanisms = ['LOGIN', 'SCRAM-SHA-256']
         auth.trusted_networks = ['10.0.0.0/8', '::1']",
    );
    assert!(config.auth.sources[0].rules.deny);
    let expect = SourceRules { result_success: Then::ContinueOk, skip: Skip::Authenticated, ..SourceRules::default() };
    assert_eq!(config.auth.sources[1].rules, expect);
    assert_eq!(config.auth.mechanisms, [AuthMechanism::Login, AuthMechanism::ScramSha256]);
    assert_eq!(config.auth.trusted_networks, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    check(
        &format!("{USERS}auth.masters = [{{ driver = 'passwd-file', path = 'm', skip = 'x', deny = 1, denied = 2 }}]"),
        &[
            "2:62 auth.masters write one of \"never\"",
            "2:74 auth.masters is of type integer: write true or false",
            "2:77 auth.masters this driver has no denied",
        ],
    );
    check(&format!("{USERS}auth.mechanisms = ['PLANE']"), &["2:20 auth.mechanisms write one of"]);
    check(&format!("{USERS}auth.trusted_networks = ['10.0.0.0/99']"), &["2:26 auth.trusted_networks is no network"]);
}

#[test]
fn rules_between_settings() {
    check("", &["1:1 auth.sources nobody could log in"]);
    check(&format!("{USERS}tls.cert = 'x'"), &["2:12 tls.cert needs tls.key"]);
    check(
        &format!("{USERS}safety.user = 'x'\nlisteners.http = ['127.0.0.1:80']"),
        &["3:18 listeners.http 127.0.0.1:80 is bound after safety.user is become"],
    );
    check(&format!("{USERS}safety.group = 'x'"), &["2:16 safety.group needs safety.user"]);
    check(&format!("{USERS}tls.key = 'x'"), &["2:11 tls.key needs tls.cert"]);
    check(
        &format!("{USERS}listeners.lmtp = ['127.0.0.1:1143']"),
        &["2:18 listeners.lmtp 127.0.0.1:1143 is taken by listeners.imap"],
    );
    check(
        &format!("{USERS}listeners.pop3s = ['127.0.0.1:1110']"),
        &["2:19 listeners.pop3s 127.0.0.1:1110 is taken by listeners.pop3"],
    );
    for (format, text) in [
        ("%v", "gives messages the same id"),
        ("%u%v", "gives different messages the same id"),
        ("%f", "holds %f, a name of Maildir"),
        ("%q", "does not know %q"),
        ("%8Xu", "would cut a value"),
        ("%u %v", "holds ' '"),
        ("%g%g%g", "makes ids of up to 96 characters"),
    ] {
        let expect = format!("2:20 pop3.uidl_format {text}");
        check(&format!("{USERS}pop3.uidl_format = '{format}'"), &[&expect]);
    }
    check(&format!("{USERS}log.modules = 'skein_store=loud'"), &["2:15 log.modules is wrong: \"loud\" is no level"]);
    for keyword in ["", "a b", "\\\\Deleted", "x]"] {
        check(&format!("{USERS}pop3.deleted_flag = \"{keyword}\""), &["2:21 pop3.deleted_flag is no keyword"]);
    }
    parse(&format!("{USERS}listeners.lmtp = ['127.0.0.1:0']\nlisteners.imap = ['127.0.0.1:0']"));
}

/// A file and a variable that are there, and nothing else.
fn fetch(outside: &Outside) -> Result<String, String> {
    match outside {
        Outside::File(path) if path == Path::new("/etc/skein/word") => Ok("from-file".into()),
        Outside::Env(name) if name == "WORD" => Ok("from-env".into()),
        _ => Err("is not there".into()),
    }
}

#[test]
fn text_from_outside() {
    let source = "auth.sources = [{ driver = 'static', users = 'a', password = { file = 'word' } }]\n";
    let text = format!("{source}hostname = {{ env = 'WORD' }}\n");
    let path = Path::new("/etc/skein/skein.toml");
    let config = Config::parse_with(&text, path, &fetch).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(config.hostname, "from-env");
    let first = config.auth.sources.first().map(|s| &s.source);
    assert!(matches!(first, Some(Source::Static { password, .. }) if password.expose() == b"from-file"));
    let problems = |text: &str| {
        let problems = Config::parse_with(text, path, &fetch).expect_err("a problem");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(problems(&format!("{source}hostname = {{ env = 'NO' }}")), "line 2, column 12: hostname: is not there");
    for wrong in ["{ env = 'A', file = 'b' }", "{ env = 1 }", "{}", "{ word = 'x' }"] {
        assert!(
            problems(&format!("{source}hostname = {wrong}")).contains("hostname: is a table: write text"),
            "{wrong}"
        );
    }
    assert!(problems(&format!("{source}shards = {{ env = 'WORD' }}")).contains("shards: is of type table"));
    assert!(Config::parse(&text, path).is_err(), "nothing is fetched unless asked for");
}

#[test]
fn what_is_shown() {
    let text = "auth.sources = [{ driver = 'static', users = \"a\", password = 'hunter2' }]\n[limits]\nconnections_max = 0x10\n";
    let config = parse(text);
    let shown = |config: &Config, key: &str| {
        let (_, shown) = config.shown().find(|(row, _)| row.key == key).expect("a row");
        (shown.text.clone(), shown.origin)
    };
    assert_eq!(shown(&config, "limits.connections_max"), ("16".into(), Origin::Line(3)));
    assert_eq!(shown(&config, "data_dir"), ("\"./skein-data\"".into(), Origin::Default));
    let (sources, origin) = shown(&config, "auth.sources");
    assert_eq!(sources, "[{ driver = \"static\", password = \"(hidden)\", users = \"a\" }]");
    assert_eq!(origin, Origin::Line(1));
    assert_eq!(config.shown().count(), ROWS.len());
    // All of it together is a settings file that means the same.
    let keys =
        |config: &Config, other: &Config| config.differences(other).iter().map(|row| row.key).collect::<Vec<_>>();
    let again: String = config.shown().map(|(row, shown)| format!("{} = {}\n", row.key, shown.text)).collect();
    assert_eq!(keys(&config, &parse(&again)), ["auth.sources"], "but for the secret");
    assert_eq!(keys(&config, &parse(&text.replace("hunter2", "hunter3").replace("0x10", "16"))), ["auth.sources"]);
    assert_eq!(
        keys(&config, &parse(&format!("shards = 3\n{text}idle = 1\n").replace("idle = 1", "message_bytes_max = 2048"))),
        ["shards", "limits.message_bytes_max"]
    );
}

#[test]
fn certificates() {
    let config =
        parse(&format!("{USERS}[tls]\nversion_min = '1.3'\ncertificates = [{{ cert = 'b.pem', key = '/b.key' }}]\n"));
    let [files] = &config.tls.certificates[..] else { panic!("one") };
    assert_eq!(
        (files.certificate.as_path(), files.key.as_path()),
        (Path::new("/etc/skein/b.pem"), Path::new("/b.key"))
    );
    check(
        &format!("{USERS}tls.certificates = ['x', {{}}, {{ cert = 'a', keys = 'b' }}]"),
        &[
            "2:21 tls.certificates write a table such as",
            "2:26 tls.certificates lacks cert",
            "2:30 tls.certificates has one of cert and key",
            "2:44 tls.certificates a certificate has no keys; did you mean key?",
        ],
    );
}

#[test]
fn no_toml() {
    check("shards = \nhostname = 'x'\nimap = 3", &["1:10  string values must be quoted", "3:8 imap is a section"]);
    assert!(problems("[[[[").iter().all(|p| !p.contains('\n')));
    check(&"#".repeat(2 << 20), &["1:1  the file is larger"]);
    assert!(!problems(&"a=[".repeat(5000)).is_empty());
    assert!(!problems("\u{0}\u{fffd}ü = ü").is_empty());
}

#[test]
fn no_secret_reaches_a_log() {
    let config = parse("[[auth.sources]]\ndriver = 'static'\nusers = 'a'\npassword = 'hunter2'\n");
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// A problem quotes the key and what to write, never the value: it may be a password in the wrong place.
#[test]
fn no_secret_reaches_a_problem() {
    let all = problems(
        "auth.sources = [{ driver = 'static', users = 'hunter2{', password = 'hunter2', hunter = 'hunter2' }]",
    )
    .join("\n");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn the_texts_follow_from_the_rows() {
    let text = defaults_text();
    let filled = text.replace("sources = []", "sources = [{ driver = 'passwd-file', path = 'users' }]");
    let config = parse(&filled);
    let plain = parse(USERS);
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", plain.limits));
    assert_eq!(format!("{:?}", config.listeners), format!("{:?}", plain.listeners));
    for row in ROWS {
        let text = explain(row.key).unwrap();
        assert!(text.starts_with(row.key) && text.contains(row.default), "{text}");
        assert!(!row.doc.trim().is_empty() && row.doc.trim().ends_with('.'), "{}", row.key);
    }
    assert!(
        explain("auth").unwrap().contains("auth.cache_seconds") && explain("auth.").is_none() && explain("x").is_none()
    );
    assert_eq!(explain("").unwrap().matches("default ").count(), ROWS.len());
}

#[test]
fn both_ends_of_every_bound_fit_their_fields() {
    for row in ROWS {
        let Kind::Integer { min, max, .. } = row.kind else { continue };
        let key = row.key;
        parse(&format!("{USERS}{key} = {min}"));
        parse(&format!("{USERS}{key} = {max}"));
        assert!(problems(&format!("{USERS}{key} = {}", max + 1))[0].contains("out of bounds"));
    }
}

#[test]
fn mailboxes_by_name() {
    let text = format!(
        "{USERS}[mailbox.'Trash']\nauto = 'subscribe'\nspecial_use = '\\trash'\nautoexpunge = '30 days'\n\
         [mailbox.inbox]\nautoexpunge_max_mails = 1000\n[mailbox.\"Trash/*\"]\nautoexpunge = '1 week'\nautoexpunge_max_mails = 10\n\
         [mailbox.\"All mail\"]\nspecial_use = '\\Archive \\Important'\n[mailbox.'inbox/x']\nauto = 'create'\n"
    );
    let config = parse(&text);
    let of = |name: &str| MailboxRule::of(&config.mailbox, name).unwrap().clone();
    let trash = of("Trash");
    assert_eq!((trash.auto, trash.special_use), (MailboxAuto::Subscribe, SpecialUse::TRASH));
    assert_eq!((trash.autoexpunge_seconds, trash.autoexpunge_max_mails), (Some(2_592_000), None));
    assert_eq!((of("INBOX").autoexpunge_max_mails, of("INBOX").auto), (Some(1000), MailboxAuto::No));
    assert!(of("Trash/a/b").autoexpunge_seconds == Some(604_800) && of("INBOX").expires() && !of("All mail").expires());
    assert_eq!(of("All mail").special_use, SpecialUse::ARCHIVE | SpecialUse::IMPORTANT);
    assert_eq!(of("INBOX/x").auto, MailboxAuto::Create);
    // What is shown is TOML that says the same.
    let (_, shown) = config.shown().find(|(row, _)| row.key == "mailbox").unwrap();
    assert_eq!(parse(&format!("{USERS}mailbox = {}", shown.text)).mailbox, config.mailbox);
    check(
        &format!(
            "{USERS}[mailbox.Trash]\nauto = 'yes'\nexpunge = 1\nautoexpunge = 30\n[mailbox.\"a//b\"]\nautoexpunge = '5 m'\n\
             [mailbox.'a*']\nauto = 'create'\n[mailbox.Sent]\nspecial_use = '\\Sent \\Gone'\nautoexpunge_max_mails = 0\n[mailbox]\nx = 1\n"
        ),
        &[
            "3:8 mailbox write one of \"no\", \"create\", \"subscribe\"",
            "4:1 mailbox a mailbox has no expunge",
            "5:15 mailbox is of type integer: write text",
            "6:10 mailbox is no name of a mailbox",
            "7:15 mailbox write an age as \"30 days\"",
            "8:10 mailbox is a pattern",
            "11:15 mailbox write one of '\\Archive', '\\Drafts'",
            "12:25 mailbox is out of bounds",
            "14:5 mailbox is a section: write [mailbox",
        ],
    );
    check(&format!("{USERS}mailbox = 3"), &["2:11 mailbox is a section"]);
    let many: String = (0..257).map(|n| format!("[mailbox.m{n}]\n")).collect();
    assert!(problems(&format!("{USERS}{many}"))[0].contains("at most 256 of them"));
}

#[test]
fn prefixes_of_namespaces() {
    let text = |more: &str| format!("{USERS}[namespaces]\n{more}");
    let config = parse(&text(
        "separator = '.'\nprefix = 'INBOX/'\nshared_prefix = 'shared/'\npublic_prefix = 'Ours/all/'\npublic_owner = 'All'\npublic_list = 'no'\n",
    ));
    assert_eq!((config.namespaces.separator, config.namespaces.public_list), (Separator::Dot, NamespaceList::No));
    for wrong in
        ["prefix = 'mail'", "prefix = 'inbox/'", "prefix = '/'", "shared_prefix = 'INBOX/x/'", "shared_prefix = 'a*/'"]
    {
        assert!(problems(&text(wrong))[0].contains("is no prefix"), "{wrong}");
    }
    check(
        &text("prefix = 'a/'\nshared_prefix = 'a/b/'\npublic_prefix = 'c/'\n"),
        &[
            "4:17 namespaces.shared_prefix can not be told from namespaces.prefix",
            "5:17 namespaces.public_prefix needs namespaces.public_owner",
        ],
    );
    check(&text("public_prefix = 'c/'\npublic_owner = 'a b'\n"), &["4:16 namespaces.public_owner is no user"]);
}
