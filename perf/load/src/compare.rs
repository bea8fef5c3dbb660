//! Skein and Dovecot side by side: in alternation, so that what else the machine does hits both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use skein_testkit::program;
use skein_testkit::server::{Kind, dovecot_binary};

use crate::ledger::{self, Row};
use crate::scenario::{self, Figures, Load, Scenario};
use crate::stage::Stage;
use crate::table::{self, Line, Target, median};
use crate::{disk, idle, imaptest, lmtp, mailbox, pop3, push, script, slow};

/// Which scenarios, and how much of them.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Names of scenarios, or how they begin and `*`; all but those on request without any.
    scenarios: Vec<String>,
    /// Rounds; in each the servers are measured one after the other.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages, clients and seconds times this; figures are told to be of another scale, and no targets are held against them.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Which servers: skein, dovecot, floor. The last, in the place of skein, is what the kernel alone costs.
    #[arg(long, value_delimiter = ',', default_value = "skein,dovecot")]
    servers: Vec<String>,
    /// Files of scenarios and folders of them.
    #[arg(long, value_delimiter = ',', default_value = "perf/scenarios")]
    from: Vec<PathBuf>,
    /// Names the scenarios and measures nothing.
    #[arg(long)]
    list: bool,
    /// Does not write to the ledger.
    #[arg(long)]
    dry: bool,
}

/// A server's name in the table, and how to start it.
type Side = (Kind, String);

/// All rounds of the figures, by the scenario and the figure, then by the server.
type Measured = BTreeMap<(String, String), BTreeMap<String, Vec<f64>>>;

/// Servers that further scenarios need as they are, by kind, settings and mail.
type Stages = Vec<((Kind, String, crate::fill::Mail), Stage)>;

/// Runs the comparison.
///
/// # Errors
/// What is wrong with the options. A scenario that fails is told and left out, and at the end it is an error.
pub fn run(options: &Options) -> Result<(), String> {
    let from: Vec<PathBuf> = options.from.iter().map(|place| program::workspace().join(place)).collect();
    let all = scenario::read(&from, options.scale)?;
    if options.list {
        all.iter()
            .for_each(|s| println!("{:<24}{}{}", s.name, s.title, if s.on_request { " (on request)" } else { "" }));
        return Ok(());
    }
    let chosen = scenario::choose(all, &options.scenarios)?;
    let sides: Vec<Side> = options.servers.iter().map(|name| side(name)).collect::<Result<_, _>>()?;
    let peer = sides.iter().find(|(kind, _)| *kind == Kind::Dovecot).map_or("-", |(_, name)| name);
    let own = if sides.iter().any(|(kind, _)| *kind == Kind::Skein) { "skein" } else { "floor" };
    let head = format!("{}\n{}", ledger::run().replace('\t', ", "), table::head(own, peer));
    println!("{head}");
    let (mut measured, mut stages, mut lines, mut failed) = (Measured::new(), Stages::new(), Vec::new(), Vec::new());
    for (at, scenario) in chosen.iter().enumerate() {
        let began = Instant::now();
        let result = rounds(scenario, &sides, options, &mut stages, &mut measured);
        let more = figures(scenario, &measured, [own, peer], options);
        more.iter().for_each(|line| println!("{line}"));
        lines.extend(more);
        match result {
            Ok(true) => eprintln!("{}: {:.0} s", scenario.name, began.elapsed().as_secs_f64()),
            Ok(false) => eprintln!("{}: left out, imaptest is not installed (set IMAPTEST)", scenario.name),
            Err(why) => {
                eprintln!("{} FAILED: {why}", scenario.name);
                failed.push(scenario.name.as_str());
            }
        }
        stages.retain(|(key, _)| chosen[at + 1..].iter().any(|next| stage_key(next, key.0).as_ref() == Some(key)));
        // One by one: what was measured stays when a later one is given up.
        if !options.dry {
            ledger::append(&rows(scenario, &measured))?;
        }
    }
    if !options.dry {
        println!("appended to {}", ledger::append_table(&head, &lines)?);
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn side(name: &str) -> Result<Side, String> {
    match name {
        "skein" => Ok((Kind::Skein, "skein".to_owned())),
        "dovecot" => {
            let version =
                Command::new(dovecot_binary()).arg("--version").output().map_err(|e| format!("dovecot: {e}"))?;
            let version = String::from_utf8_lossy(&version.stdout);
            Ok((Kind::Dovecot, format!("dovecot {}", version.split([' ', '\n']).next().unwrap_or_default())))
        }
        "floor" => Ok((Kind::Floor, "floor".to_owned())),
        other => Err(format!("no server is called {other}: skein, dovecot, floor")),
    }
}

/// All rounds of a scenario; false when it has to be left out here.
fn rounds(
    scenario: &Scenario,
    sides: &[Side],
    options: &Options,
    stages: &mut Stages,
    measured: &mut Measured,
) -> Result<bool, String> {
    if matches!(scenario.load, Load::Imaptest(_)) && imaptest::program().is_none() {
        return Ok(false);
    }
    for round in 1..=options.rounds {
        for (kind, name) in sides.iter().filter(|(kind, _)| *kind != Kind::Dovecot || !scenario.alone) {
            eprintln!("{}: round {round} of {}, {name}", scenario.name, options.rounds);
            let figures = on_stage(scenario, *kind, stages).map_err(|why| format!("{name}: {why}"))?;
            for (question, value) in figures.0 {
                let servers = measured.entry((scenario.name.clone(), question)).or_default();
                servers.entry(name.clone()).or_default().push(value);
            }
        }
    }
    Ok(true)
}

/// One round on one server: with mail on the one that has it, else on a fresh one, so that none inherits another's state.
fn on_stage(scenario: &Scenario, kind: Kind, stages: &mut Stages) -> Result<Figures, String> {
    let Some(key) = stage_key(scenario, kind) else {
        let mut stage = Stage::new(kind, settings(scenario, kind), None)?;
        let figures = play(&mut stage, &scenario.load);
        return stage.explained(figures);
    };
    let at = match stages.iter().position(|(known, _)| *known == key) {
        Some(at) => at,
        None => {
            let stage = Stage::new(kind, &key.1, Some(&key.2))?;
            stages.push((key, stage));
            stages.len() - 1
        }
    };
    let stage = &mut stages[at].1;
    stage.start();
    let figures = play(stage, &scenario.load);
    let figures = stage.explained(figures);
    stage.stop()?;
    figures
}

fn stage_key(scenario: &Scenario, kind: Kind) -> Option<(Kind, String, crate::fill::Mail)> {
    let mail = scenario.mail.clone()?;
    Some((kind, settings(scenario, kind).to_owned(), mail))
}

fn settings(scenario: &Scenario, kind: Kind) -> &str {
    match kind {
        Kind::Skein => &scenario.skein,
        Kind::Dovecot => &scenario.dovecot,
        Kind::Floor => &scenario.floor,
    }
}

fn play(stage: &mut Stage, load: &Load) -> Result<Figures, String> {
    match load {
        Load::Lmtp(load) => lmtp::measure(stage, load),
        Load::Idle(load) => idle::run(load.tls.door(stage), stage.pid(), load).map(|report| report.figures()),
        Load::Imaptest(load) => imaptest::run(stage.imap(), stage.pid(), load).map(|report| report.figures()),
        Load::Mailbox(load) => mailbox::run(stage, load),
        Load::Script(load) => script::run(stage, load),
        Load::Pop3(load) => pop3::run(stage, load),
        Load::Push(load) => push::figures(stage.imap(), stage.ports().lmtp, load),
        Load::Slow(load) => slow::run(stage, load),
        Load::Fill(mail) => mail.measure(stage.imap(), stage.pid()),
        Load::Disk(load) => disk::run(stage, load),
    }
}

/// The lines of a scenario.
fn figures(scenario: &Scenario, measured: &Measured, [own, peer]: [&str; 2], options: &Options) -> Vec<Line> {
    let of = |scenario: &str, figure: &str, server: &str| {
        let servers = measured.get(&(scenario.to_owned(), figure.to_owned()));
        servers.and_then(|servers| servers.get(server)).cloned().unwrap_or_default()
    };
    let line = |figure: scenario::Figure| {
        let (beside, peer) = match &figure.against {
            Some(other) => (format!(" (beside {other})"), of(other, &figure.of, own)),
            None => (String::new(), of(&scenario.name, &figure.of, peer)),
        };
        let question = format!("{}{beside}: {}", scenario.title, figure.of);
        let target = if options.scale == 1.0 { figure.target() } else { Target::None };
        Line { question, ours: of(&scenario.name, &figure.of, own), peer, target }
    };
    let lines = scenario.figures().into_iter().map(line);
    lines.filter(|line| !line.ours.is_empty() || !line.peer.is_empty()).collect()
}

/// What the ledger keeps of a scenario: all that was measured.
fn rows(scenario: &Scenario, measured: &Measured) -> Vec<Row> {
    let shown: Vec<String> = scenario.figures().into_iter().map(|figure| figure.of).collect();
    let of_this = measured.iter().filter(|((name, figure), _)| *name == scenario.name && shown.contains(figure));
    let row = |figure: &str, server: &String, rounds: &Vec<f64>| Row {
        server: server.clone(),
        question: format!("{}: {figure}", scenario.title),
        median: median(rounds),
        rounds: rounds.clone(),
    };
    of_this
        .flat_map(|((_, figure), servers)| servers.iter().map(move |(server, rounds)| row(figure, server, rounds)))
        .collect()
}
