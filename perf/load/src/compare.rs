//! Skein and Dovecot side by side: in alternation, so that what else the machine does hits both.

use std::collections::BTreeMap;
use std::process::Command;

use clap::Args;
use skein_testkit::Server;
use skein_testkit::server::Kind;

use crate::ledger::{self, Row, short};
use crate::{idle, imaptest, lmtp};

/// How much.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Rounds; each starts every server afresh.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages of each delivery run; a tenth of it over one connection.
    #[arg(long, default_value_t = 5000)]
    messages: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 1000)]
    idle: usize,
    /// Seconds of imaptest in each round.
    #[arg(long, default_value_t = 20)]
    secs: u32,
    /// Which servers.
    #[arg(long, value_delimiter = ',', default_value = "skein,dovecot")]
    servers: Vec<String>,
    /// Do not write to the ledger.
    #[arg(long)]
    dry: bool,
}

/// Figures by question, then by server; questions keep their order by number.
type Figures = BTreeMap<(usize, String), BTreeMap<String, Vec<f64>>>;

/// Runs the comparison.
///
/// # Errors
/// The first failure.
pub fn run(options: &Options) -> Result<(), String> {
    let kinds: Vec<(Kind, String)> = options.servers.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
    if imaptest::program().is_none() {
        eprintln!("imaptest is not installed (set IMAPTEST): its part is left out");
    }
    let mut figures = Figures::new();
    for round in 1..=options.rounds {
        for (kind, name) in &kinds {
            eprintln!("round {round} of {}: {name}", options.rounds);
            measure(*kind, options, |number, question, value| {
                let servers = figures.entry((number, question)).or_default();
                servers.entry(name.clone()).or_default().push(value);
            })?;
        }
    }
    let names: Vec<&String> = kinds.iter().map(|(_, name)| name).collect();
    print_table(&figures, &names);
    if !options.dry {
        println!("\nappended to {}", ledger::append(&rows(&figures))?);
    }
    Ok(())
}

fn kind(name: &str) -> Result<(Kind, String), String> {
    match name {
        "skein" => Ok((Kind::Skein, "skein".to_owned())),
        "dovecot" => {
            let version = Command::new("dovecot").arg("--version").output().map_err(|e| format!("dovecot: {e}"))?;
            let version = String::from_utf8_lossy(&version.stdout);
            Ok((Kind::Dovecot, format!("dovecot {}", version.split(' ').next().unwrap_or_default())))
        }
        other => Err(format!("no server is called {other}: skein, dovecot")),
    }
}

/// One round of one server, freshly started for each load so that none inherits another's caches.
fn measure(kind: Kind, options: &Options, mut put: impl FnMut(usize, String, f64)) -> Result<(), String> {
    for connections in [1, 10, 50] {
        let messages = if connections == 1 { options.messages / 10 } else { options.messages };
        let server = Server::start_kind(kind);
        let load = lmtp::Load { connections, messages, bytes: 10_240, users: 100 };
        // The first delivery to a user makes its mailbox: not what is asked here. One connection, because Dovecot 2.3.19
        // refuses a delivery now and then when two of them make the same mailbox.
        let warm_up = lmtp::Load { connections: 1, messages: 400, ..load.clone() };
        explained(&server, lmtp::run(server.ports().lmtp, server.pid(), &warm_up))?;
        let report = explained(&server, lmtp::run(server.ports().lmtp, server.pid(), &load))?;
        let what = format!("LMTP, {connections} connections");
        put(connections, format!("{what}: messages/s"), report.per_second);
        put(connections, format!("{what}: server CPU us/message"), report.cpu_us);
        put(connections, format!("{what}: disk flushes/message"), report.flushes);
        put(connections, format!("{what}: p99 ms"), report.p99_ms);
    }
    let server = Server::start_kind(kind);
    let load = idle::Load { connections: options.idle, users: 200, settle: 3 };
    let report = explained(&server, idle::run(server.ports().imap, server.pid(), &load))?;
    put(100, format!("idle, {} connections: bytes/connection", options.idle), report.bytes);
    drop(server);
    if imaptest::program().is_some() {
        let server = Server::start_kind(kind);
        let load = imaptest::Load { clients: 50, users: 20, secs: options.secs, more: Vec::new() };
        let report = explained(&server, imaptest::run(server.ports().imap, server.pid(), &load))?;
        report.errors.iter().take(5).for_each(|line| eprintln!("  {line}"));
        put(101, "imaptest, 50 clients, 20 users: commands/s".into(), report.per_second);
        put(101, "imaptest, 50 clients, 20 users: server CPU s/1000 commands".into(), report.cpu_per_1000);
        put(101, "imaptest, 50 clients, 20 users: errors".into(), report.errors.len() as f64);
    }
    Ok(())
}

/// A failure with the last that the server said.
fn explained<T>(server: &Server, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|why| {
        let log = server.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("{why}\nthe server's log ends:\n{}", lines[lines.len().saturating_sub(5)..].join("\n"))
    })
}

fn print_table(figures: &Figures, names: &[&String]) {
    let head: String = names.iter().map(|name| format!("{name:>18}")).collect();
    println!("{:<62}{head}", "median of the rounds");
    for ((_, question), servers) in figures {
        let cell = |name: &&String| format!("{:>18}", servers.get(*name).map_or("-".into(), |v| short(median(v))));
        println!("{question:<62}{}", names.iter().map(cell).collect::<String>());
    }
}

fn rows(figures: &Figures) -> Vec<Row> {
    let row = |question: &str, server: &str, rounds: &[f64]| Row {
        server: server.to_owned(),
        question: question.to_owned(),
        median: median(rounds),
        rounds: rounds.to_vec(),
    };
    let of = |(question, servers): (&(usize, String), &BTreeMap<String, Vec<f64>>)| {
        servers.iter().map(|(server, rounds)| row(&question.1, server, rounds)).collect::<Vec<_>>()
    };
    figures.iter().flat_map(of).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!((short(1234.5), short(12.345), short(0.12345)), ("1234".into(), "12.35".into(), "0.1235".into()));
    }
}
