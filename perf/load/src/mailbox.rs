//! One client and one large mailbox: how long each command takes, and what it costs the server.

use serde::Deserialize;

use crate::client::Client;
use crate::meter::{Meter, Used, forget_pages};
use crate::scenario::Figures;
use crate::stage::Stage;
use crate::table::median;

/// Commands on INBOX of test1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// In their order.
    pub commands: Vec<Command>,
    /// How often each is measured in a round; the median counts.
    #[serde(default = "three")]
    pub repeats: usize,
    /// Each after a restart with the kernel's caches dropped, and the SELECT before it measured, too; else each is run once before
    /// it is measured.
    #[serde(default)]
    pub cold: bool,
}

/// One command.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What it is called.
    pub name: String,
    /// Itself; none: SELECT alone.
    #[serde(default)]
    pub run: Option<String>,
    /// What runs before it each time, not measured.
    #[serde(default)]
    pub before: Vec<String>,
    /// What runs after it each time, not measured.
    #[serde(default)]
    pub after: Vec<String>,
    /// How many times better than the peer it is to be.
    #[serde(default)]
    pub times: Option<f64>,
}

fn three() -> usize {
    3
}

impl Load {
    /// Says of `{half}` and `{tenth}` in the commands how many messages that is.
    pub fn place(&mut self, messages: usize) {
        let (half, tenth) = ((messages / 2).max(1).to_string(), (messages / 10).max(1).to_string());
        for Command { run, before, after, .. } in &mut self.commands {
            for text in run.iter_mut().chain(before).chain(after) {
                *text = text.replace("{half}", &half).replace("{tenth}", &tenth);
            }
        }
    }
}

/// Runs them.
///
/// # Errors
/// A refusal, a broken connection.
pub fn run(stage: &mut Stage, load: &Load) -> Result<Figures, String> {
    let mut figures = Figures::default();
    for command in &load.commands {
        if !load.cold {
            warm(stage, command)?;
        }
        let runs =
            (0..load.repeats.max(1)).map(|_| if load.cold { cold(stage, command) } else { warm(stage, command) });
        let runs: Vec<Used> = runs.collect::<Result<_, _>>()?;
        let each = |of: fn(&Used) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
        figures.add(&format!("{}: ms", command.name), each(|used| used.seconds * 1e3));
        figures.add(&format!("{}: server CPU ms", command.name), each(|used| used.cpu_seconds * 1e3));
    }
    Ok(figures)
}

fn warm(stage: &Stage, command: &Command) -> Result<Used, String> {
    let mut client = Client::login(stage.imap(), "test1")?;
    if command.run.is_some() || !command.before.is_empty() {
        client.run("SELECT INBOX")?;
    }
    command.before.iter().try_for_each(|before| client.run(before))?;
    let meter = Meter::start(stage.pid());
    client.run(command.run.as_deref().unwrap_or("SELECT INBOX"))?;
    let used = meter.used();
    command.after.iter().try_for_each(|after| client.run(after))?;
    Ok(used)
}

/// SELECT is part of what is measured: what it reads from the disk, the command finds in memory.
fn cold(stage: &mut Stage, command: &Command) -> Result<Used, String> {
    stage.stop()?;
    forget_pages();
    stage.start();
    let mut client = Client::login(stage.imap(), "test1")?;
    let meter = Meter::start(stage.pid());
    client.run("SELECT INBOX")?;
    if let Some(run) = &command.run {
        client.run(run)?;
    }
    Ok(meter.used())
}
