//! The metrics of a live server: what the parsers of others make of them, and the page that tells what they mean.

use std::collections::BTreeMap;
use std::process::Command;

use skein_testkit::program;
use skein_testkit::server::Kind;
use skein_testkit::wait::{self, PATIENCE};
use skein_testkit::{Server, mail};

/// What Prometheus gets.
fn scrape(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.ports().http);
    program::run(Command::new("curl").args(["-sS", "--fail", &url]), b"").expect_ok("curl").text()
}

/// The sum of all samples with this beginning: `name{label="..`.
fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let wanted = samples.filter(|(has, _)| labels.iter().all(|label| has.contains(label)));
    wanted.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
}

/// A server that has done a bit of everything.
fn used() -> Option<Server> {
    let server = Server::start_changed(|settings, _| format!("shards = 2\n{settings}"));
    if server.kind() != Kind::Skein {
        return None;
    }
    let user = Server::user(1);
    let mut lmtp = server.lmtp();
    let answers = lmtp.deliver(&[&user, &Server::user(2)], &mail::sized("m", 5000)).expect("a delivery");
    assert!(answers.iter().all(|answer| answer.is_ok()));
    let refused = lmtp.deliver(&["nobody@example.org"], b"Subject: x\r\n\r\n").expect("an answer");
    assert_eq!(refused[0].code, 550);
    let mut imap = server.login(&user);
    for command in ["SELECT INBOX", "FETCH 1 (ENVELOPE BODY[])", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"] {
        imap.command(command).expect(command).expect_ok();
    }
    imap.append("INBOX", "", &mail::sized("n", 700)).expect("APPEND").expect_ok();
    imap.command("LOGOUT").expect("LOGOUT").expect_ok();
    assert!(!server.imap().login(&user, "wrong").expect("LOGIN").is_ok());
    let mut pop3 = server.pop3_login(&user);
    pop3.command("STAT").expect("STAT").expect_ok();
    drop((lmtp, pop3));
    Some(server)
}

#[test]
fn what_is_done_is_counted() {
    let Some(server) = used() else { return };
    let expect: &[(&str, &[&str], f64)] = &[
        ("skein_logins_total", &["protocol=\"imap\"", "mechanism=\"password\"", "result=\"ok\""], 1.0),
        ("skein_logins_total", &["protocol=\"imap\"", "result=\"wrong\""], 1.0),
        ("skein_logins_total", &["protocol=\"pop3\"", "result=\"ok\""], 1.0),
        ("skein_auth_source_answers_total", &["realm=\"users\"", "order=\"2\"", "answer=\"mismatch\""], 1.0),
        ("skein_deliveries_total", &["result=\"stored\""], 2.0),
        ("skein_deliveries_total", &["result=\"no_user\""], 1.0),
        ("skein_command_seconds_count", &["protocol=\"imap\"", "command=\"FETCH\""], 1.0),
        ("skein_command_seconds_count", &["protocol=\"imap\"", "command=\"LOGIN\""], 2.0),
        ("skein_command_seconds_count", &["protocol=\"lmtp\"", "command=\"DATA\""], 1.0),
        ("skein_command_seconds_count", &["protocol=\"pop3\"", "command=\"STAT\""], 1.0),
        ("skein_messages_expunged_total", &[], 1.0),
        ("skein_messages_added_total", &[], 3.0),
        ("skein_connections", &[], 0.0),
        ("skein_sessions", &[], 0.0),
    ];
    // Some are copied once a second, and sessions end a moment after their connection.
    let mut text = String::new();
    let wrong = |text: &str| expect.iter().find(|(name, labels, value)| sum(text, name, labels) != *value);
    let settled = wait::until(PATIENCE, || {
        text = scrape(&server);
        wrong(&text).is_none()
    });
    assert!(settled, "{:?} in\n{text}", wrong(&text));
    let at_least: &[(&str, &[&str], f64)] = &[
        ("skein_messages_taken_bytes_total", &[], 5700.0),
        ("skein_session_bytes_total", &["protocol=\"lmtp\"", "direction=\"in\""], 5000.0),
        ("skein_session_bytes_total", &["protocol=\"imap\"", "direction=\"out\""], 5000.0),
        // The kit's own probes of the start are sessions too.
        ("skein_sessions_started_total", &["protocol=\"lmtp\""], 1.0),
        ("skein_log_batch_bytes_count", &[], 1.0),
        ("skein_log_sync_seconds_count", &[], 1.0),
        ("skein_shard_late_seconds_count", &["shard=\"1\""], 1.0),
        ("skein_tasks", &["class=\"session\""], 1.0),
        ("process_resident_memory_bytes", &[], 1e6),
    ];
    for (name, labels, least) in at_least {
        assert!(sum(&text, name, labels) >= *least, "{name} {labels:?} in\n{text}");
    }
}

#[test]
fn the_reference_parser_of_openmetrics_takes_the_text() {
    let Some(python) = program::python() else { return };
    let Some(server) = used() else { return };
    let text = scrape(&server);
    let program = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
        print(sum(len(family.samples) for family in parse(sys.stdin.read())))\n";
    let outcome = program::run(Command::new(python).args(["-c", program]), text.as_bytes());
    let seen: usize = outcome.expect_ok("prometheus_client").text().trim().parse().expect("a number");
    assert_eq!(seen, text.lines().filter(|line| !line.starts_with('#')).count());
}

/// Families of a text with their kinds and the labels seen, those of the exposition left out.
fn families(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
        }
        let Some((name, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) else { continue };
        let suffixes = ["", "_total", "_info", "_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            families.contains_key(family).then(|| family.to_owned())
        });
        let (_, seen) = families.get_mut(&family.unwrap_or_else(|| panic!("{line}"))).expect("just found");
        // Values hold no comma here.
        for label in labels.rsplit_once('}').expect("the end").0.split(',').filter_map(|label| label.split_once('=')) {
            if label.0 != "le" && !seen.iter().any(|known| known == label.0) {
                seen.push(label.0.to_owned());
            }
        }
    }
    families
}

/// The table of tools/docs/metrics.md: `| name | kind | labels | meaning |`.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let page = std::fs::read_to_string(program::workspace().join("tools/docs/metrics.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words = |text: &str| -> Vec<String> {
            text.split(", ").map(|word| word.trim_matches('`').to_owned()).filter(|word| !word.is_empty()).collect()
        };
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), words(cells[2])))
    });
    rows.collect()
}

#[test]
fn the_page_and_the_server_agree() {
    let Some(server) = used() else { return };
    let (seen, page) = (families(&scrape(&server)), documented());
    for (name, (kind, labels)) in &seen {
        let row = format!("| `{name}` | {kind} | {} |", labels.join(", "));
        let (documented, mut names) = page.get(name).cloned().unwrap_or_else(|| panic!("no row: {row}"));
        let mut labels = labels.clone();
        labels.sort();
        names.sort();
        assert_eq!((&documented, &names), (kind, &labels), "{row}");
    }
    let gone: Vec<&String> = page.keys().filter(|name| !seen.contains_key(*name)).collect();
    assert!(gone.is_empty(), "no such metrics: {gone:?}");
}

/// Names of metrics in an expression of PromQL or a text that holds some.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("skein_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let Some(server) = used() else { return };
    let text = scrape(&server);
    let samples: Vec<&str> = text.lines().filter_map(|line| line.split_once('{')).map(|(name, _)| name).collect();
    let folder = program::workspace().join("perf/grafana");
    for file in ["dashboard.json", "alerts.yaml"] {
        let names = named(&std::fs::read_to_string(folder.join(file)).expect("a file of perf/grafana"));
        assert!(names.len() > 10, "{file}: {names:?}");
        let gone: Vec<&String> = names.iter().filter(|name| !samples.contains(&name.as_str())).collect();
        assert!(gone.is_empty(), "{file} asks for {gone:?}");
    }
    let dashboard = std::fs::read(folder.join("dashboard.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let expressions = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = expressions.map(|target| target["expr"].as_str().expect("an expression").to_owned());
    let Some(promtool) = program::find("promtool") else { return };
    program::run(Command::new(&promtool).args(["check", "rules"]).arg(folder.join("alerts.yaml")), b"")
        .expect_ok("promtool check rules");
    // The dashboard's expressions are checked as rules are, with Grafana's variables filled in.
    let rules: String = expressions
        .map(|expr| expr.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        .enumerate()
        .map(|(n, expr)| format!("  - record: skein:panel{n}\n    expr: {}\n", serde_json::Value::from(expr)))
        .collect();
    let own = skein_testkit::temp::TempDir::new("rules");
    own.write("panels.yaml", format!("groups:\n- name: panels\n  rules:\n{rules}"));
    program::run(Command::new(&promtool).args(["check", "rules"]).arg(own.path().join("panels.yaml")), b"")
        .expect_ok("promtool check rules");
}
