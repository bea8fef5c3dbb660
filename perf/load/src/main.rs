//! Load over the wire, and what it costs the server.
//!
//! ```text
//! skein-load compare                    Skein and Dovecot in alternation, one table, a line each in perf/results/
//! skein-load lmtp ADDR --pid PID ..     deliveries a second        skein-load idle ADDR --pid PID ..   memory of idle clients
//! skein-load imaptest ADDR --pid PID .. an installed imaptest: rates, errors, server CPU; stress: with a server of its own
//! skein-load scripted --tests DIR       imaptest's scripted tests: how many groups pass
//!
//! skein-load push                       how soon 1000 watchers of a mailbox hear of a change
//! skein-load accounts                   a million accounts: disk, memory, start, cold logins, start after a kill
//! skein-load soak                       hours of imaptest, deliveries and readers; samples and a plot of memory and disk
//!
//! lmtp, idle, push ─▶ crowd: one epoll loop, many connections      meter: CPU, memory, flushes of the disk
//! ```
//!
//! compare ─▶ floor: a server of canned answers, what the kernel alone costs
//!
//! Never here: code of a server, but for that one. The figures are of a machine that also runs the load; compare only what ran in one run.

mod accounts;
mod cgroup;
mod chart;
mod client;
mod compare;
mod corpus;
mod crowd;
mod disk;
mod fill;
mod floor;
mod histogram;
mod idle;
mod imaptest;
mod ledger;
mod lmtp;
mod mailbox;
mod meter;
mod metrics;
mod pop3;
mod push;
mod replies;
mod scenario;
mod script;
mod scripted;
mod slow;
mod soak;
mod stage;
mod syncs;
mod table;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use skein_testkit::Server;

/// Load over the wire, and what it costs the server.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Skein and Dovecot in alternation; prints one table and appends to perf/results/compare.tsv.
    Compare(compare::Options),
    /// A server that only answers, as `compare --servers floor` starts it: what the kernel alone costs.
    Floor(floor::Options),
    /// Deliveries a second by LMTP.
    Lmtp {
        /// Where the server listens for LMTP.
        addr: SocketAddr,
        /// The root of the server's process tree.
        #[arg(long)]
        pid: u32,
        #[command(flatten)]
        load: lmtp::Load,
    },
    /// Memory of clients that wait in IDLE with an open mailbox.
    Idle {
        /// Where the server listens for IMAP.
        addr: SocketAddr,
        /// The root of the server's process tree.
        #[arg(long)]
        pid: u32,
        #[command(flatten)]
        load: idle::Load,
    },
    /// imaptest against a server that is started for it (SKEIN_PEER=dovecot: the installed Dovecot).
    Stress {
        /// A profile of imaptest's in which {lmtp_port} stands for where mail is delivered.
        #[arg(long)]
        profile: Option<PathBuf>,
        #[command(flatten)]
        load: imaptest::Load,
    },
    /// imaptest's scripted tests against a server that is started for them (SKEIN_PEER=dovecot: the installed Dovecot).
    Scripted {
        #[command(flatten)]
        load: scripted::Load,
    },
    /// Hours of imaptest, deliveries and readers who tidy up, against a server that is started for it.
    Soak {
        #[command(flatten)]
        load: soak::Load,
    },
    /// How soon those who watch a mailbox are told of a change, against a server that is started for it, or a running one.
    Push {
        #[command(flatten)]
        load: push::Load,
    },
    /// Very many accounts: what each costs, and a start, a login and a crash with them.
    Accounts {
        #[command(flatten)]
        load: accounts::Load,
    },
    /// An installed imaptest ($IMAPTEST, else from the path) against a running server.
    Imaptest {
        /// Where the server listens for IMAP.
        addr: SocketAddr,
        /// The root of the server's process tree.
        #[arg(long)]
        pid: u32,
        #[command(flatten)]
        load: imaptest::Load,
    },
}

fn main() -> ExitCode {
    skein_testkit::server::use_default_log();
    let result = match Args::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Lmtp { addr, pid, load } => lmtp::run(addr, pid, &load).map(|r| println!("{r}")),
        Command::Idle { addr, pid, load } => idle::run(addr, pid, &load).map(|r| println!("{r}")),
        Command::Stress { profile, load } => stress(profile.as_deref(), load),
        Command::Floor(options) => floor::run(&options),
        Command::Scripted { load } => scripted::run(&load),
        Command::Push { load } => push::run(&load),
        Command::Accounts { load } => accounts::run(&load),
        Command::Soak { load } => soak::run(&load),
        Command::Imaptest { addr, pid, load } => without_errors(imaptest::run(addr, pid, &load)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn stress(profile: Option<&Path>, mut load: imaptest::Load) -> Result<(), String> {
    let server = Server::start();
    let filled = std::env::temp_dir().join(format!("imaptest-profile-{}.conf", std::process::id()));
    if let Some(profile) = profile {
        let text = fs::read_to_string(profile).map_err(|e| format!("{}: {e}", profile.display()))?;
        let text = text.replace("{lmtp_port}", &server.ports().lmtp.port().to_string());
        fs::write(&filled, text).map_err(|e| format!("{}: {e}", filled.display()))?;
        load.more.push(format!("profile={}", filled.display()));
    }
    let result = without_errors(imaptest::run(server.ports().imap, server.pid(), &load));
    if profile.is_some() {
        fs::remove_file(&filled).map_err(|e| e.to_string())?;
    }
    result
}

fn without_errors(report: Result<imaptest::Report, String>) -> Result<(), String> {
    let report = report?;
    println!("{report}");
    if report.errors.is_empty() { Ok(()) } else { Err(format!("imaptest found {} errors", report.errors.len())) }
}
