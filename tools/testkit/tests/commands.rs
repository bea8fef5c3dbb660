//! Commands that need no server: stored passwords, completions, manual pages.

use skein_testkit::program::{self, Outcome};
use skein_testkit::server::skein_binary;
use skein_testkit::temp::TempDir;
use std::process::Command;

fn skein(arguments: &[&str], input: &[u8]) -> Outcome {
    program::run(Command::new(skein_binary()).args(arguments), input)
}

#[test]
fn every_scheme_is_made_and_checked() {
    let schemes = skein(&["pw", "--list"], b"").expect_ok("pw --list").text();
    assert!(schemes.starts_with("ARGON2ID\n") && schemes.lines().count() >= 10, "{schemes}");
    for scheme in schemes.lines() {
        let made = skein(&["pw", "--stdin", "--scheme", &scheme.to_lowercase()], b"a word\n").expect_ok(scheme).text();
        let hash = made.trim_end();
        assert!(hash.starts_with(&format!("{{{scheme}}}")), "{hash}");
        // Without the line break, or with that of another system, it is the same password.
        for (word, code) in [("a word", 0), ("a word\r\n", 0), ("a word ", 77), ("", 77)] {
            let checked = skein(&["pw", "--stdin", "--check", hash], word.as_bytes());
            assert_eq!(checked.status.code(), Some(code), "{scheme} {word:?}: {}", checked.all_text());
        }
    }
}

#[test]
fn for_programs_and_under_adm_it_is_the_same() {
    let made = skein(&["pw", "--json", "--stdin", "-s", "SSHA512"], b"a word").expect_ok("pw").text();
    assert!(made.starts_with("{\"scheme\":\"SSHA512\",\"hash\":\"{SSHA512}"), "{made}");
    let hash = made.trim().trim_end_matches("\"}").rsplit('"').next().expect("the hash");
    let checked = skein(&["adm", "--json", "pw", "--stdin", "--check", hash], b"another");
    assert_eq!((checked.status.code(), checked.text()), (Some(77), "{\"matches\":false}\n".to_owned()));
    // Forms that are read and not made.
    let old = ["pw", "--stdin", "-t", "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"];
    assert_eq!(skein(&old, b"secret").expect_ok("old").text(), "it is the password\n");
    for (arguments, input, code, expect) in [
        (&["pw", "--stdin", "-s", "ROT13"][..], "x", 64, "choose one of ARGON2ID"),
        (&["pw", "--stdin"], "", 65, "1 to "),
        (&["pw", "--stdin"], "two\nlines", 65, "line breaks"),
        (&["pw", "--stdin"], &"x".repeat(5000), 64, "at most"),
        (&["pw", "--stdin", "-t", "no hash"], "x", 65, "no scheme"),
        (&["pw", "--list", "--stdin"], "", 2, "cannot be used with"),
    ] {
        let said = skein(arguments, input.as_bytes());
        assert_eq!(said.status.code(), Some(code), "{arguments:?}: {}", said.all_text());
        assert!(said.all_text().contains(expect), "{arguments:?}: {}", said.all_text());
    }
}

#[test]
fn a_terminal_shows_nothing_of_the_password() {
    let Some(expect) = program::find("expect") else { return };
    let typed = |words: &[&str]| {
        let folder = TempDir::new("pw");
        let mut script = format!("set timeout 60\nspawn {:?} pw -s PLAIN\n", skein_binary());
        for (prompt, word) in ["Password: ", "Again: "].iter().zip(words) {
            script += &format!("expect \"{prompt}\"\nsend \"{word}\\r\"\n");
        }
        script += "expect eof\nexit [lindex [wait] 3]\n";
        folder.write("script", script);
        program::run(Command::new(&expect).arg(folder.path().join("script")), b"")
    };
    let same = typed(&["hunter2", "hunter2"]).expect_ok("pw").text();
    assert_eq!(same.matches("hunter2").count(), 1, "only in what is made: {same}");
    assert!(same.contains("{PLAIN}hunter2"), "{same}");
    let differ = typed(&["hunter2", "hunter3"]);
    assert_eq!(differ.status.code(), Some(64), "{}", differ.all_text());
    assert!(!differ.all_text().contains("hunter") && differ.all_text().contains("differ"), "{}", differ.all_text());
    // Without a terminal nobody is asked.
    let mut alone = Command::new("setsid");
    let alone = program::run(alone.arg("-w").arg(skein_binary()).arg("pw"), b"hunter2\n");
    assert_eq!(alone.status.code(), Some(64), "{}", alone.all_text());
    assert!(alone.all_text().contains("--stdin"), "{}", alone.all_text());
}

#[test]
fn completions_of_each_shell() {
    for (shell, expect, check) in [
        ("bash", "complete -F _skein", &["bash", "-n"][..]),
        ("zsh", "#compdef skein", &["zsh", "-n"]),
        ("fish", "complete -c skein", &["fish", "--no-execute"]),
    ] {
        let text = skein(&["completions", shell], b"").expect_ok(shell).text();
        assert!(text.contains(expect) && text.contains("expunge"), "{shell}");
        if let Some(program) = program::find(check[0]) {
            let folder = TempDir::new("completions");
            folder.write("skein", text);
            let file = folder.path().join("skein");
            program::run(Command::new(program).args(&check[1..]).arg(file), b"").expect_ok(shell);
        }
    }
    assert_eq!(skein(&["completions", "tcsh"], b"").status.code(), Some(2));
    // What bash makes of it.
    if let Some(bash) = program::find("bash") {
        let script = "source <(\"$0\" completions bash); COMP_WORDS=(skein adm mailb); COMP_CWORD=2; \
                      _skein skein mailb adm; echo \"${COMPREPLY[@]}\"";
        let completed = program::run(Command::new(bash).arg("-c").arg(script).arg(skein_binary()), b"");
        assert_eq!(completed.expect_ok("bash").text(), "mailbox\n");
    }
}

#[test]
fn manual_pages_of_each_command() {
    let folder = TempDir::new("man");
    let man = folder.path().join("man1");
    skein(&["man", man.to_str().expect("UTF-8")], b"").expect_ok("man");
    for (page, expect) in [
        ("skein.1", "completions"),
        ("skein-adm.1", "Exit codes"),
        ("skein-adm-search.1", "doveadm search"),
        ("skein-pw.1", "\\-\\-check"),
    ] {
        let text = std::fs::read_to_string(man.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH") && text.contains(expect), "{page}: {text}");
    }
    if let Some(groff) = program::find("groff") {
        let page = man.join("skein-adm.1");
        let shown = program::run(Command::new(groff).args(["-ww", "-man", "-Tascii", "-P-cbou"]).arg(page), b"");
        assert!(shown.stderr.is_empty() && shown.text().contains("skein-adm-search(1)"), "{}", shown.all_text());
    }
    let nowhere = skein(&["man", "/dev/null/man"], b"");
    assert!(!nowhere.status.success() && nowhere.all_text().contains("/dev/null/man"), "{}", nowhere.all_text());
}

/// Words for an output that takes nothing, as a file on a full disk, ended a command with a panic in the place of its exit code.
#[test]
fn an_output_that_takes_nothing_is_no_panic() {
    let folder = TempDir::new("no-output");
    for (arguments, code) in [
        ("config defaults >/dev/full", 1),
        ("config check missing.toml 2>/dev/full", 2),
        ("config explain missing 2>/dev/full", 1),
        ("pw --list >/dev/full", 65),
        ("pw --scheme missing --stdin </dev/null 2>/dev/full", 64),
        ("adm --socket missing.sock stats 2>/dev/full", 69),
    ] {
        let line = format!("exec \"$0\" {arguments}");
        let outcome =
            program::run(Command::new("sh").args(["-c", &line]).arg(skein_binary()).current_dir(folder.path()), b"");
        assert_eq!(outcome.status.code(), Some(code), "{arguments}: {}", outcome.all_text());
    }
}
