//! The values in force, as text: for `skein config show`, and to tell what a reload changes.

use crate::row::Row;
use crate::table::{Config, ROWS};
use std::hash::{DefaultHasher, Hash, Hasher};
use toml::de::DeValue;

/// What is shown in place of a secret.
const HIDDEN: &str = "\"(hidden)\"";
/// Parts of a field's name that make its value a secret.
const SECRET_WORDS: [&str; 4] = ["password", "secret", "token", "pepper"];

/// The value of one setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// As TOML, secrets hidden.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is written in the file, where the value itself stands outside of it.
    pub written: Option<String>,
    /// The same for the same value, secrets included.
    identity: u64,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The table's default.
    Default,
    /// This line of the settings file.
    Line(usize),
}

impl Shown {
    /// A row's default.
    pub(crate) fn default_of(row: &Row) -> Shown {
        let value = DeValue::parse(row.default).expect("defaults are TOML");
        Shown::new(value.get_ref(), Origin::Default, &[])
    }

    /// A value that was written; `fetched` is what stood outside of the file, in the order it was asked for.
    pub(crate) fn new(value: &DeValue<'_>, origin: Origin, fetched: &[String]) -> Shown {
        let mut text = String::new();
        write(&mut text, value, true);
        let mut written = None;
        if let (DeValue::Table(_), [one]) = (value, fetched) {
            written = Some(std::mem::replace(&mut text, toml::Value::from(&**one).to_string()));
        }
        let mut whole = String::new();
        write(&mut whole, value, false);
        let mut hasher = DefaultHasher::new();
        (whole, fetched).hash(&mut hasher);
        Shown { text, origin, written, identity: hasher.finish() }
    }
}

impl Config {
    /// Every setting in the order of the reference, with its value in force.
    pub fn shown(&self) -> impl Iterator<Item = (&'static Row, &Shown)> {
        ROWS.iter().zip(&self.values)
    }

    /// The settings whose values differ.
    pub fn differences(&self, other: &Config) -> Vec<&'static Row> {
        let pairs = self.shown().zip(&other.values);
        pairs.filter(|((_, a), b)| a.identity != b.identity).map(|((row, _), _)| row).collect()
    }
}

fn write(out: &mut String, value: &DeValue<'_>, hide: bool) {
    match value {
        DeValue::String(text) => *out += &toml::Value::from(&**text).to_string(),
        DeValue::Integer(n) => *out += &i128::from_str_radix(n.as_str(), n.radix()).unwrap_or_default().to_string(),
        DeValue::Float(n) => *out += n.as_str(),
        DeValue::Boolean(truth) => *out += if *truth { "true" } else { "false" },
        DeValue::Datetime(time) => *out += &time.to_string(),
        DeValue::Array(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                *out += if at == 0 { "" } else { ", " };
                write(out, item.get_ref(), hide);
            }
            out.push(']');
        }
        DeValue::Table(table) => {
            *out += "{ ";
            for (at, (name, value)) in table.iter().enumerate() {
                *out += if at == 0 { "" } else { ", " };
                write_name(out, name.get_ref());
                *out += " = ";
                // Where a secret comes from is none.
                let is_secret = SECRET_WORDS.iter().any(|word| name.get_ref().contains(word));
                match value.get_ref() {
                    DeValue::Table(_) => write(out, value.get_ref(), hide),
                    _ if hide && is_secret => *out += HIDDEN,
                    value => write(out, value, hide),
                }
            }
            *out += " }";
        }
    }
}

/// A key, in quotes where it needs them.
fn write_name(out: &mut String, name: &str) {
    match !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        true => *out += name,
        false => *out += &toml::Value::from(name).to_string(),
    }
}
