//! The `skein` binary: `serve`, `config` to look at the settings, `adm` to work on the mail of a running server, `pw` for stored
//! passwords, and what shells and `man` want to know of all of them.

mod adm;
mod banner;
mod pages;
mod password;
mod pw;
mod words;

use clap::{CommandFactory, Parser, Subcommand};
use skein_config::{Config, Origin, Row, Shown};
use skein_server::Start;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Skein, a mail store for many mailboxes.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. Without --config: the demo, on this machine only, with users anyone can guess.
    Serve {
        /// Settings file (TOML).
        #[arg(long, short)]
        config: Option<PathBuf>,
        /// Take the place of the server that runs on the same data folder: it gives its sockets, so that no client is refused,
        /// and ends. Without one, start as always.
        #[arg(long)]
        takeover: bool,
    },
    /// Look at settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work on the mail of a running server.
    Adm(adm::Args),
    /// Make the stored form of a password, or check one against it. No server is needed.
    Pw {
        #[command(flatten)]
        args: pw::Args,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: pages::Shell,
    },
    /// Write the manual pages, one for each command.
    Man {
        /// The folder they go to.
        folder: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check a settings file: every problem at once.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print every setting with its value in force and where it comes from; secrets are hidden.
    Show {
        /// The file; without it, the demo's settings.
        file: Option<PathBuf>,
    },
    /// Say what a setting does.
    Explain {
        /// Its key, as limits.connections_max.
        key: String,
    },
    /// Print a settings file with every setting, its meaning and its default.
    Defaults,
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Serve { config, takeover } => serve(config, takeover),
        Command::Adm(args) => adm::run(args),
        Command::Pw { args, json } => pw::run(args, json),
        Command::Completions { shell } => pages::completions(&mut Args::command(), shell),
        Command::Man { folder } => pages::man(Args::command(), &folder),
        Command::Config(ConfigCommand::Check { file }) => match load(&file) {
            Ok(_) => say(&format!("{}: no problems", file.display())),
            Err(code) => code,
        },
        Command::Config(ConfigCommand::Show { file }) => {
            match file.map_or_else(|| Ok(Config::embedded_default()), |file| load(&file)) {
                Ok(config) => say(&show(&config)),
                Err(code) => code,
            }
        }
        Command::Config(ConfigCommand::Explain { key }) => match skein_config::explain(&key) {
            Some(text) => say(&text),
            None => match skein_config::nearest_setting(&key) {
                Some(known) => fail(&format!("no setting is called {key}; did you mean {known}?")),
                None => fail(&format!("no setting is called {key}; `skein config defaults` lists all")),
            },
        },
        Command::Config(ConfigCommand::Defaults) => say(&skein_config::defaults_text()),
    }
}

fn serve(file: Option<PathBuf>, takeover: bool) -> ExitCode {
    let config = match file {
        None => Config::embedded_default(),
        Some(file) => match load(&file) {
            Ok(config) => config,
            Err(code) => return code,
        },
    };
    let (demo, data) = (config.demo, config.data_dir.clone());
    let start = if takeover { Start::Takeover } else { Start::Alone };
    match skein_server::run(config, start, Vec::new(), |started| banner::print(started, demo, &data)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn load(file: &Path) -> Result<Config, ExitCode> {
    skein_server::load_settings(file).map_err(|error| {
        words::complain(format_args!("{error}"));
        ExitCode::from(2)
    })
}

/// The settings in force, as a settings file.
fn show(config: &Config) -> String {
    let line = |(row, shown): (&Row, &Shown)| {
        let origin = match (shown.origin, &shown.written) {
            (Origin::Default, _) => "default".to_owned(),
            (Origin::Line(line), None) => format!("line {line}"),
            (Origin::Line(line), Some(written)) => format!("line {line}: {written}"),
        };
        format!("{} = {} # {origin}\n", row.key, shown.text)
    };
    config.shown().map(line).collect()
}

fn say(text: &str) -> ExitCode {
    match words::line(text.trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("standard output: {error}")),
    }
}

fn fail(text: &str) -> ExitCode {
    words::complain(format_args!("skein: {text}"));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_options_of_a_command_clash() {
        Args::command().debug_assert();
    }
}
