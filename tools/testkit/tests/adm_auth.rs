//! `skein adm auth test`: what the sources say, and what their rules make of it.

use skein_testkit::server::PASSWORD;
use skein_testkit::{Server, adm};

const SOURCES: &str = "sources = [\n\
    { driver = \"passwd-file\", path = \"banned\", deny = true },\n\
    { driver = \"passwd-file\", path = \"users\" },\n";

fn server() -> Server {
    Server::start_changed(|settings, folder| {
        let users = "anna:{PLAIN}secret\ncarl:{PLAIN}secret::::::nologin reason=Unpaid\n\
                     dora:{PLAIN}secret::::::allow_nets=192.0.2.0/24\nalias:{PLAIN}secret::::::user=anna\neve:{PLAIN}secret\n";
        std::fs::write(folder.join("users"), users).expect("ours");
        std::fs::write(folder.join("banned"), "eve:\n").expect("ours");
        std::fs::write(folder.join("masters"), "boss:{PLAIN}key\n").expect("ours");
        let masters = "[auth]\nmasters = [{ driver = \"passwd-file\", path = \"masters\" }]\nfailure_delay_ms = 0\ntrusted_networks = []\n";
        settings.replace("[auth]\n", masters).replace("sources = [\n", SOURCES)
    })
}

#[test]
fn each_source_and_the_end_are_told() {
    let server = server();
    let test = |line: &str, password: &str| {
        let outcome = adm::run(&server, &format!("auth test --stdin {line}"), password.as_bytes());
        let (code, text) = (outcome.status.code(), outcome.all_text());
        assert!(!text.contains(password), "{line}: {text}");
        (code, text)
    };
    for (line, password, code, expect) in [
        (
            "anna",
            "secret",
            0,
            &["users\nsays: right password\nrule: return-ok\n", "result: accepted\naccount: anna\n"][..],
        ),
        ("alias", "secret", 0, &["result: accepted\naccount: anna\n"]),
        (
            "anna",
            "secrex",
            77,
            &[
                "wrong password\nrule: continue\n",
                "static test{1..200}\nsays: no such user",
                "anna: the password is wrong",
            ],
        ),
        ("eve", "secret", 77, &["is on this deny list\nrule: -\n", "result: refused", "a deny list has the user"]),
        ("carl", "secret", 77, &["right password", "result: refused", "is told: Unpaid"]),
        ("dora", "secret", 77, &["allow_nets does not name"]),
        ("dora --from 192.0.2.7", "secret", 0, &["result: accepted"]),
        ("zoe", "secret", 67, &["no source knows the user"]),
        ("anna*boss", "key", 0, &["list: auth.masters", "account: anna\nmaster: boss\n"]),
        ("boss --as anna", "key", 0, &["account: anna\nmaster: boss\n"]),
        ("zoe*boss", "key", 77, &["nobody to act for"]),
        ("anna --as ben", "secret", 77, &["no master user of that name"]),
    ] {
        let (got, text) = test(line, password);
        assert_eq!(got, Some(code), "{line}: {text}");
        expect.iter().for_each(|expect| assert!(text.contains(expect), "{line}: {expect:?} in {text}"));
    }
    let (code, said) = test("'' ", "secret");
    assert_eq!(code, Some(65), "{said}");
    let json = adm::run(&server, "--json auth test --stdin test7", PASSWORD.as_bytes()).expect_ok("auth test").text();
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines.len(), 5, "two files, two static ones, the end: {json}");
    assert_eq!(lines[4], "{\"result\":\"accepted\",\"account\":\"test7\",\"master\":null,\"would_wait_ms\":0}");
    assert!(!server.log().contains("secret"), "{}", server.log());
}

#[test]
fn trying_is_no_guess_and_tells_how_long_guesses_wait() {
    let server = server();
    let test = |password: &str| {
        adm::run(&server, "--json auth test --stdin --from 198.51.100.1 anna", password.as_bytes()).text()
    };
    for guess in 0..4 {
        assert!(test(&format!("guess{guess}")).contains("\"would_wait_ms\":0"), "it counts nothing");
    }
    for guess in 0..2 {
        let mut client = server.imap();
        assert!(!client.login("anna", &format!("guess{guess}")).expect("LOGIN").is_ok());
    }
    assert!(!test("guess").contains("\"would_wait_ms\":0"), "{}", test("guess"));
    // What a session's login remembers is not asked: the files as they are loaded are.
    server.imap().login("alias", "secret").expect("LOGIN").expect_ok();
    assert!(test("secret").contains("users\",\"says\":\"right password\""));
}
