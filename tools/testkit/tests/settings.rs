//! `skein config`: check, show, explain, defaults.

use std::process::Command;

use skein_testkit::program::{self, Outcome};
use skein_testkit::server::skein_binary;
use skein_testkit::temp::TempDir;

fn config(folder: &TempDir, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(skein_binary());
    command.arg("config").args(arguments).current_dir(folder.path()).env("SKEIN_TEST_NAME", "mx.example.org");
    program::run(&mut command, b"")
}

#[test]
fn every_problem_at_once_with_its_place() {
    let folder = TempDir::new("config");
    let text = "shards = -1\n[listener]\nimap = []\n[auth]\nsources = [{ driver = 'static', users = 'a', password = { file = 'no' } }]\n\
                plaintext_without_tls = 'sometimes'\n[tls]\nversion_min = { env = 'SKEIN_TEST_NO_SUCH' }\n";
    folder.write("skein.toml", text);
    let outcome = config(&folder, &["check", "skein.toml"]);
    assert_eq!(outcome.status.code(), Some(2));
    let all = outcome.all_text();
    let lines: Vec<&str> = all.lines().collect();
    let expect = [
        "line 1, column 10: shards: is out of bounds: write a whole number of shards from 0 to 1024",
        "line 2, column 2: listener: there is no such setting; did you mean listeners?",
        "line 5, column 57: auth.sources: ",
        "line 6, column 25: auth.plaintext_without_tls: write one of \"loopback\", \"always\", \"never\"",
        "line 8, column 15: tls.version_min: the environment has no text in SKEIN_TEST_NO_SUCH",
    ];
    assert_eq!(lines.len(), expect.len(), "{all}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.contains("skein.toml: ") && line.contains(expect), "{line}\n{expect}");
    }
    let missing = config(&folder, &["check", "missing.toml"]);
    assert!(!missing.status.success() && missing.all_text().contains("missing.toml: No such file"), "{missing:?}");
}

#[test]
fn what_is_in_force_and_where_it_comes_from() {
    let folder = TempDir::new("config");
    folder.write("word", "hunter2\n");
    let sources = "sources = [{ driver = 'static', users = 'a', password = 'hunter1' }, { driver = 'static', users = 'b', password = { file = 'word' } }]";
    folder.write(
        "skein.toml",
        format!("hostname = {{ env = 'SKEIN_TEST_NAME' }}\n[auth]\n{sources}\n[limits]\nconnections_max = 7\n"),
    );
    config(&folder, &["check", "skein.toml"]).expect_ok("config check");
    let text = config(&folder, &["show", "skein.toml"]).expect_ok("config show").text();
    assert!(text.contains("\nlimits.connections_max = 7 # line 5\n"), "{text}");
    assert!(text.contains("\nlimits.message_bytes_max = 104857600 # default\n"), "{text}");
    assert!(text.contains("hostname = \"mx.example.org\" # line 1: { env = \"SKEIN_TEST_NAME\" }"), "{text}");
    assert!(text.contains("password = \"(hidden)\"") && text.contains("password = { file = \"word\" }"), "{text}");
    assert!(!text.contains("hunter"), "{text}");
    // What is shown is a settings file.
    folder.write("shown.toml", text);
    config(&folder, &["check", "shown.toml"]).expect_ok("config check");
}

#[test]
fn what_a_setting_means() {
    let folder = TempDir::new("config");
    let text = config(&folder, &["explain", "limits.message_bytes_max"]).expect_ok("config explain").text();
    assert!(
        text.contains("bytes, 1024 to ") && text.contains("default 104857600; a change counts on reload"),
        "{text}"
    );
    assert!(config(&folder, &["explain", "listeners"]).expect_ok("config explain").text().contains("listeners.lmtp"));
    let unknown = config(&folder, &["explain", "limits.mesage_bytes_max"]);
    assert!(
        !unknown.status.success() && unknown.all_text().contains("did you mean limits.message_bytes_max?"),
        "{unknown:?}"
    );
    let defaults = config(&folder, &["defaults"]).expect_ok("config defaults").text();
    folder.write(
        "skein.toml",
        defaults.replace("sources = []", "sources = [{ driver = 'passwd-file', path = 'users' }]"),
    );
    config(&folder, &["check", "skein.toml"]).expect_ok("the defaults and one source of users");
}
