//! Scenarios are data: files of TOML that say what is loaded on the servers, which figures count, and what is wanted of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fill::{self, Mail};
use crate::table::Target;
use crate::{disk, idle, imaptest, lmtp, mailbox, pop3, push, script, slow};

/// Scenarios in a file, and files in a folder.
const SCENARIOS_MAX: usize = 256;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// By which it is chosen: letters, digits, `-`.
    pub name: String,
    /// With which its figures begin in the table.
    pub title: String,
    /// The mail that is there before; servers with the same mail and settings are shared by the scenarios of a run.
    #[serde(default)]
    pub mail: Option<Mail>,
    /// What is done.
    pub load: Load,
    /// Which of the load's figures are shown.
    #[serde(default)]
    figures: Vec<Figure>,
    /// Settings of Skein: keys without a table, then tables.
    #[serde(default)]
    pub skein: String,
    /// What follows the settings of Dovecot.
    #[serde(default)]
    pub dovecot: String,
    /// What the floor answers to commands for each message, as `skein-load floor --help` says it.
    #[serde(default)]
    pub floor: String,
    /// Skein alone: the figures are held against another scenario, or a bound.
    #[serde(default)]
    pub alone: bool,
    /// Left out unless it is named: it takes long, or much disk.
    #[serde(default)]
    pub on_request: bool,
}

/// One of the figures of a load.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The name that the load gives it.
    pub of: String,
    /// How many times better than the peer it is to be.
    #[serde(default)]
    times: Option<f64>,
    /// How much it may be, whatever the peer's is.
    #[serde(default)]
    at_most: Option<f64>,
    /// The peer is Skein in the scenario of this name.
    #[serde(default)]
    pub against: Option<String>,
}

impl Figure {
    /// What is wanted.
    pub fn target(&self) -> Target {
        match (self.times, self.at_most) {
            (Some(times), _) => Target::Times(times),
            (None, Some(most)) => Target::AtMost(most),
            (None, None) => Target::None,
        }
    }
}

/// What is done, by `kind`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Load {
    /// Deliveries.
    Lmtp(lmtp::Load),
    /// Clients that wait in IDLE.
    Idle(idle::Load),
    /// An installed imaptest.
    Imaptest(imaptest::Load),
    /// One client with a large mailbox.
    Mailbox(mailbox::Load),
    /// Many clients with the same commands.
    Script(script::Load),
    /// POP3 clients that retrieve all.
    Pop3(pop3::Load),
    /// Watchers of a mailbox.
    Push(push::Load),
    /// A client that reads slowly.
    Slow(slow::Load),
    /// Messages are appended, many at once.
    Fill(fill::Mail),
    /// What messages take on disk.
    Disk(disk::Load),
}

/// Figures of one round, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(pub Vec<(String, f64)>);

impl Figures {
    /// Of names and values.
    pub fn of<const N: usize>(figures: [(&str, f64); N]) -> Figures {
        Figures(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Adds one.
    pub fn add(&mut self, name: &str, value: f64) {
        self.0.push((name.to_owned(), value));
    }

    /// One by its name.
    #[cfg(test)]
    pub fn find(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl Scenario {
    /// The figures to show: those named, and two for each command of a mailbox.
    pub fn figures(&self) -> Vec<Figure> {
        let commands = match &self.load {
            Load::Mailbox(load) => load.commands.as_slice(),
            _ => &[],
        };
        let of = |command: &mailbox::Command| {
            let figure = |unit: &str, times| Figure {
                of: format!("{}: {unit}", command.name),
                times,
                at_most: None,
                against: None,
            };
            [figure("ms", command.times), figure("server CPU ms", None)]
        };
        let named = |figure: &Figure| self.figures.iter().any(|known| known.of == figure.of);
        let derived = commands.iter().flat_map(of).filter(|figure| !named(figure));
        self.figures.iter().cloned().chain(derived).collect()
    }

    /// Fewer or more of everything that takes time; the title says so.
    fn scale(&mut self, scale: f64) {
        self.title = format!("{} (scale {scale})", self.title);
        if let Some(mail) = &mut self.mail {
            mail.scale(scale);
        }
        match &mut self.load {
            Load::Lmtp(load) => load.messages = scaled(load.messages, scale),
            Load::Idle(load) => load.connections = scaled(load.connections, scale),
            Load::Imaptest(load) => load.secs = scaled(load.secs as usize, scale) as u32,
            Load::Script(load) => load.scale(scale),
            Load::Pop3(load) => load.sessions = scaled(load.sessions, scale),
            Load::Push(load) => load.watchers = scaled(load.watchers, scale),
            Load::Slow(load) => load.seconds = scaled(load.seconds as usize, scale) as u64,
            Load::Fill(mail) => mail.scale(scale),
            Load::Disk(load) => load.messages = scaled(load.messages, scale),
            Load::Mailbox(_) => {}
        }
    }
}

/// At least one.
pub fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale) as usize).max(1)
}

/// All scenarios of the files, and those of those in the folders, by the names of the files.
///
/// # Errors
/// A file that is not understood, and a name that is there twice.
pub fn read(places: &[PathBuf], scale: f64) -> Result<Vec<Scenario>, String> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for place in places {
        for file in files(place)? {
            let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            scenarios.extend(parse(&text).map_err(|e| format!("{}: {e}", file.display()))?);
        }
    }
    if scenarios.len() > SCENARIOS_MAX {
        return Err(format!("{} scenarios: {SCENARIOS_MAX} at most", scenarios.len()));
    }
    if scale != 1.0 {
        scenarios.iter_mut().for_each(|scenario| scenario.scale(scale));
    }
    for scenario in &mut scenarios {
        match (&mut scenario.load, &scenario.mail) {
            (Load::Mailbox(load), Some(mail)) => load.place(mail.messages),
            (Load::Script(load), Some(mail)) => load.numbers = mail.messages,
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = scenarios.iter().find(|scenario| !names.insert(&scenario.name)) {
        return Err(format!("two scenarios are called {}", twice.name));
    }
    Ok(scenarios)
}

fn files(place: &Path) -> Result<Vec<PathBuf>, String> {
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place).map_err(|e| format!("{}: {e}", place.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    files.sort();
    Ok(files)
}

fn parse(text: &str) -> Result<Vec<Scenario>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        scenario: Vec<Scenario>,
    }
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let is_plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match file.scenario.iter().find(|scenario| !is_plain(&scenario.name)) {
        Some(odd) => Err(format!("{:?} is no name of a scenario", odd.name)),
        None => Ok(file.scenario),
    }
}

/// Those whose name is one of `wanted` or begins with one that ends in `*`, with those they are held against; all but those on
/// request when nothing is wanted.
///
/// # Errors
/// A wish that nothing answers, a figure that is held against a scenario that is not there.
pub fn choose(all: Vec<Scenario>, wanted: &[String]) -> Result<Vec<Scenario>, String> {
    let is_wanted =
        |name: &str, wish: &String| wish.strip_suffix('*').map_or(name == wish, |begin| name.starts_with(begin));
    if let Some(wish) = wanted.iter().find(|wish| !all.iter().any(|scenario| is_wanted(&scenario.name, wish))) {
        return Err(format!("no scenario is called {wish}: --list names them"));
    }
    let named = |scenario: &Scenario| wanted.iter().any(|wish| is_wanted(&scenario.name, wish));
    let mut chosen: BTreeSet<String> = all
        .iter()
        .filter(|scenario| if wanted.is_empty() { !scenario.on_request } else { named(scenario) })
        .map(|scenario| scenario.name.clone())
        .collect();
    let against: Vec<String> = all
        .iter()
        .filter(|scenario| chosen.contains(&scenario.name))
        .flat_map(|scenario| scenario.figures.iter().filter_map(|figure| figure.against.clone()))
        .collect();
    if let Some(unknown) = against.iter().find(|name| !all.iter().any(|scenario| scenario.name == **name)) {
        return Err(format!("a figure is held against {unknown}, which is no scenario"));
    }
    chosen.extend(against);
    Ok(all.into_iter().filter(|scenario| chosen.contains(&scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_testkit::program;

    const TWO: &str = r#"
        [[scenario]]
        name = "box-warm"
        title = "10 messages"
        mail = { users = 1, messages = 10, bytes = 1000 }
        figures = [{ of = "FLAGS: server CPU ms", at_most = 1 }]
        [scenario.load]
        kind = "mailbox"
        commands = [{ name = "FLAGS", run = "FETCH 1:* FLAGS", times = 8 }]
        [[scenario]]
        name = "lmtp"
        title = "LMTP"
        on_request = true
        load = { kind = "lmtp", connections = 3, messages = 1000, bytes = 2000, users = 5 }
        figures = [{ of = "messages/s", times = 2.5, against = "box-warm" }]
    "#;

    fn names(scenarios: &[Scenario]) -> Vec<&str> {
        scenarios.iter().map(|scenario| scenario.name.as_str()).collect()
    }

    #[test]
    fn a_file_is_read() {
        let scenarios = parse(TWO).expect("it is right");
        let figures = scenarios[0].figures();
        let targets: Vec<(&str, Target)> = figures.iter().map(|figure| (figure.of.as_str(), figure.target())).collect();
        assert_eq!(targets, [("FLAGS: server CPU ms", Target::AtMost(1.0)), ("FLAGS: ms", Target::Times(8.0))]);
        assert_eq!(scenarios[1].figures()[0].target(), Target::Times(2.5));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (right, wrong) in [
            ("title", "titel"),
            ("kind = \"lmtp\"", "kind = \"smtp\""),
            ("times = 8", "tims = 8"),
            ("\"lmtp\"\n", "\"l/m\"\n"),
            ("users = 5", "users = 5, luck = 7"),
        ] {
            assert!(TWO.contains(right) && parse(&TWO.replace(right, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scenarios_are_chosen() {
        let choose = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|wish| (*wish).to_owned()).collect();
            choose(parse(TWO).expect("it is right"), &wanted)
        };
        assert_eq!(names(&choose(&[]).expect("all")), ["box-warm"]);
        assert_eq!(names(&choose(&["box-*"]).expect("one")), ["box-warm"]);
        assert_eq!(names(&choose(&["lmtp"]).expect("with what it is held against")), ["box-warm", "lmtp"]);
        assert!(choose(&["pop3"]).is_err());
    }

    #[test]
    fn a_scale_is_told() {
        let mut scenarios = parse(TWO).expect("it is right");
        scenarios.iter_mut().for_each(|scenario| scenario.scale(0.1));
        assert_eq!(
            (scenarios[0].title.as_str(), scenarios[0].mail.as_ref().map(|mail| mail.messages)),
            ("10 messages (scale 0.1)", Some(1))
        );
        assert!(matches!(&scenarios[1].load, Load::Lmtp(load) if load.messages == 100));
    }

    #[test]
    fn our_own_scenarios_are_understood() {
        let all = read(&[program::workspace().join("perf/scenarios")], 1.0).expect("they are right");
        assert!(choose(all.clone(), &[]).is_ok_and(|chosen| chosen.len() > 10));
        assert!(choose(all, &["*".to_owned()]).is_ok());
    }
}
