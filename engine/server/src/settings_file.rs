//! The settings file and what it names outside of itself.

use skein_config::{Config, OUTSIDE_BYTES_MAX, Outside, Problem};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why there are no settings.
#[derive(Debug)]
pub enum SettingsError {
    /// The file can not be read.
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What is in it is wrong.
    Problems {
        /// Where.
        path: PathBuf,
        /// All of it, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// Reads and checks a settings file, with the files and variables it takes values from.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load_settings(path: &Path) -> Result<Config, SettingsError> {
    // Relative paths in it start at its folder, wherever the server is later.
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| SettingsError::File { path: path.clone(), error })?;
    let parsed = Config::parse_with(&text, path, &fetch).and_then(|config| {
        let problems = wrong_queries(&config, &text);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    });
    parsed.map_err(|problems| SettingsError::Problems { path: path.clone(), problems })
}

/// What virtual mailboxes look for that nothing can be found by.
fn wrong_queries(config: &Config, text: &str) -> Vec<Problem> {
    let wrong = config.virtual_mailbox.iter().filter_map(|one| {
        let why = skein_serve::wrong_query(one.query.as_deref()?)?;
        let text_of = format!("is nothing to look for in mailbox {}: {why}", one.name);
        Some(Problem::at(text, one.query_span.clone(), "virtual_mailbox", text_of))
    });
    wrong.collect()
}

/// What it says never holds the value.
fn fetch(outside: &Outside) -> Result<String, String> {
    let text = match outside {
        Outside::Env(name) => std::env::var(name).map_err(|_| format!("the environment has no text in {name}"))?,
        Outside::File(path) => read_small(path).map_err(|error| format!("{}: {error}", path.display()))?,
    };
    if text.len() > OUTSIDE_BYTES_MAX {
        return Err(format!("write at most {OUTSIDE_BYTES_MAX} bytes there"));
    }
    Ok(text)
}

fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(OUTSIDE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    let whole = text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    text.truncate(whole);
    Ok(text)
}

impl fmt::Display for SettingsError {
    /// A line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::File { path, error } => write!(f, "{}: {error}", path.display()),
            SettingsError::Problems { path, problems } => {
                for (at, problem) in problems.iter().enumerate() {
                    let end = if at == 0 { "" } else { "\n" };
                    write!(f, "{end}{}: {problem}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for SettingsError {}
