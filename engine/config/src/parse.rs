//! TOML to [`Config`], collecting every problem.

use crate::check::check;
use crate::explain::nearest_setting;
use crate::outside::{Fetch, nowhere};
use crate::problem::Problem;
use crate::shown::{Origin, Shown};
use crate::table::{Config, ROWS};
use crate::value::Reading;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a settings file; every setting with its explanation takes some thousand.
const FILE_BYTES_MAX: usize = 1 << 20;

impl Config {
    /// Reads a settings file. `path` is where `text` came from: relative paths in it start at its folder.
    ///
    /// Gives every problem at once, in the order of the file. Values outside of the file are a problem here.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
        Config::parse_with(text, path, &nowhere)
    }

    /// The same, and `fetch` gets what stands outside of the file.
    pub fn parse_with(text: &str, path: &Path, fetch: Fetch<'_>) -> Result<Config, Vec<Problem>> {
        if text.len() > FILE_BYTES_MAX {
            return Err(vec![Problem::at(text, 0..0, "", format!("the file is larger than {FILE_BYTES_MAX} bytes"))]);
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut config = Config::defaults();
        config.file = Some(path.to_owned());
        let (folder, seen, problems) = (path.parent(), Vec::new(), Vec::new());
        let mut reader = Reader { text, folder, fetch, config, seen, problems };
        for error in errors {
            reader.problem(error.span().unwrap_or(0..0), "", one_line(error.message()));
        }
        reader.table("", document.get_ref());
        // Rules between settings make sense only once each is right by itself.
        if reader.problems.is_empty() {
            check(&mut reader);
        }
        reader.problems.sort_by_key(|p| (p.line, p.column));
        // What stands where the text is no TOML is wrong for that reason alone.
        reader.problems.dedup_by(|b, a| a.key.is_empty() && (a.line, a.column) == (b.line, b.column));
        if reader.problems.is_empty() { Ok(reader.config) } else { Err(reader.problems) }
    }

    /// What runs without a file: the demo, on loopback, in the working folder.
    pub fn embedded_default() -> Config {
        let text = include_str!("demo.toml");
        let mut config = Config::parse(text, Path::new("")).expect("the embedded settings are tested");
        (config.demo, config.file) = (true, None);
        config
    }

    /// Each row's default. Not a working set: it knows no user.
    fn defaults() -> Config {
        let mut config = Config::default();
        for row in ROWS {
            let value = DeValue::parse(row.default).expect("defaults are TOML");
            let value = Reading::new(None, row.key, &nowhere).value(row, &value);
            (row.set)(&mut config, value.unwrap_or_else(|e| panic!("default of {}: {:?}", row.key, e)));
            config.values.push(Shown::default_of(row));
        }
        config
    }
}

/// The walk over one document.
pub(crate) struct Reader<'a> {
    text: &'a str,
    folder: Option<&'a Path>,
    fetch: Fetch<'a>,
    pub(crate) config: Config,
    /// Each setting that was written, and where its value stands.
    seen: Vec<(&'static str, Range<usize>)>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Where a setting's value stands; the start of the file when it was not written.
    pub(crate) fn place(&self, key: &str) -> Range<usize> {
        self.seen.iter().find(|(k, _)| *k == key).map_or(0..0, |(_, span)| span.clone())
    }

    pub(crate) fn problem(&mut self, span: Range<usize>, key: &str, text: impl Into<String>) {
        self.problems.push(Problem::at(self.text, span, key, text));
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            if let Some(at) = ROWS.iter().position(|row| row.key == key) {
                self.setting(at, value);
            } else if is_section(&key) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(&key, inner),
                    _ => self.problem(value.span(), &key, format!("is a section: write [{key}] on a line of its own")),
                }
            } else {
                self.unknown(name.span(), &key);
            }
        }
    }

    /// The row at this place in the table.
    fn setting(&mut self, at: usize, value: &Spanned<DeValue<'_>>) {
        let row = &ROWS[at];
        self.seen.push((row.key, value.span()));
        let reading = Reading::new(self.folder, row.key, self.fetch);
        match reading.value(row, value) {
            Ok(good) => {
                (row.set)(&mut self.config, good);
                if row.key != "data_dir" {
                    self.config.paths.append(&mut reading.paths.take());
                }
                let line = self.text[..value.span().start].matches('\n').count() + 1;
                self.config.values[at] = Shown::new(value.get_ref(), Origin::Line(line), &reading.fetched.take());
            }
            Err(wrong) => wrong.into_iter().for_each(|w| self.problem(w.span, &w.key, w.text)),
        }
    }

    fn unknown(&mut self, span: Range<usize>, key: &str) {
        let hint = match nearest_setting(key) {
            Some(known) => format!("there is no such setting; did you mean {known}?"),
            None => "there is no such setting; `skein config explain` lists them all".to_owned(),
        };
        self.problem(span, key, hint);
    }
}

fn is_section(key: &str) -> bool {
    ROWS.iter().any(|row| row.key.split_once('.').is_some_and(|(section, _)| section == key))
}

/// Parser messages run over several lines; a problem is one.
fn one_line(message: &str) -> String {
    message.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}
