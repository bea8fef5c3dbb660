//! The value of one setting, checked against its row.

mod listeners;
mod mailboxes;
mod virtuals;

use crate::outside::{Fetch, Outside};
use crate::problem::nearest;
use crate::row::{Kind, Row, Take, Value};
use crate::source::{AuthSource, Skip, Source, SourceRules, Then, UserTemplate};
use skein_base::{Secret, UserName};
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

/// Addresses of one service.
const ADDRESSES_MAX: usize = 64;
/// Folders of one list.
const PATHS_MAX: usize = 64;
/// Bytes of one text in a list.
const LISTED_BYTES_MAX: usize = 1000;
/// Auth sources: each may be asked at each login.
const SOURCES_MAX: usize = 64;
/// What every source may have: [`SourceRules`].
const RULE_NAMES: &[&str] = &["result_success", "result_failure", "result_internalfail", "skip", "deny"];

/// One value that is not what its row asks for.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) span: Range<usize>,
    pub(crate) key: String,
    pub(crate) text: String,
}

impl From<Wrong> for Vec<Wrong> {
    fn from(wrong: Wrong) -> Vec<Wrong> {
        vec![wrong]
    }
}

/// Reading the value of one setting.
pub(crate) struct Reading<'a> {
    /// What relative paths start at.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) key: &'a str,
    pub(crate) fetch: Fetch<'a>,
    /// What was fetched from outside so far.
    pub(crate) fetched: RefCell<Vec<String>>,
    /// Files and folders that were named so far.
    pub(crate) paths: RefCell<Vec<PathBuf>>,
}

impl<'a> Reading<'a> {
    /// Before anything was read.
    pub(crate) fn new(folder: Option<&'a Path>, key: &'a str, fetch: Fetch<'a>) -> Reading<'a> {
        Reading { folder, key, fetch, fetched: RefCell::default(), paths: RefCell::default() }
    }
}

impl Reading<'_> {
    /// The value, when it is within the row's bounds; otherwise everything that is wrong with it.
    pub(crate) fn value(&self, row: &Row, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let one = |result: Result<Value, Wrong>| result.map_err(Vec::from);
        match row.kind {
            Kind::Path => {
                one(self.text(value).and_then(|text| self.path(value, &text, row.default == "\"\"")).map(Value::Path))
            }
            Kind::Text { bytes_max } => one(self.bounded_text(value, bytes_max).map(Value::Text)),
            Kind::Paths => {
                let list = self.list(value, PATHS_MAX, "[\"/backup\"]")?;
                gather(list.iter().map(|item| self.path(item, &self.text(item)?, false))).map(Value::Paths)
            }
            Kind::Texts { max } => {
                let list = self.list(value, max, "[\"text\"]")?;
                gather(list.iter().map(|item| self.bounded_text(item, LISTED_BYTES_MAX))).map(Value::Texts)
            }
            Kind::Integer { min, max, unit } => one(self.integer(value, min, max, unit)),
            Kind::Bool => one(self.bool(value)),
            Kind::Choice(words) => one(self.choice(value, words)),
            Kind::Addresses => self.addresses(value),
            Kind::Listeners(mode) => self.listeners(value, mode),
            Kind::Certificates => self.certificates(value),
            Kind::Words(words) => self.words(value, words),
            Kind::Networks => self.networks(value).map(Value::Networks),
            Kind::Sources => self.sources(value),
            Kind::Mailboxes => self.mailboxes(value),
            Kind::Virtuals => self.virtuals(value),
        }
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, text: impl Into<String>) -> Wrong {
        Wrong { span: value.span(), key: self.key.to_owned(), text: text.into() }
    }

    fn text<'v>(&self, value: &'v Spanned<DeValue<'_>>) -> Result<Cow<'v, str>, Wrong> {
        match value.get_ref() {
            DeValue::String(text) => Ok(Cow::Borrowed(text)),
            DeValue::Table(table) => self.outside(value, table).map(Cow::Owned),
            other => Err(self.wrong(value, format!("is of type {}: write text in \"quotes\"", other.type_str()))),
        }
    }

    /// Text that stands elsewhere.
    fn outside(&self, value: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<String, Wrong> {
        let inside = |name: &str| match table.get(name).map(Spanned::get_ref) {
            Some(DeValue::String(text)) if table.len() == 1 => Some(text),
            _ => None,
        };
        let place = match (inside("file"), inside("env")) {
            (Some(file), _) => Outside::File(self.path(value, file, false)?),
            (_, Some(name)) => Outside::Env(name.to_string()),
            _ => {
                let text = "is a table: write text in \"quotes\", { file = \"path\" } or { env = \"NAME\" }";
                return Err(self.wrong(value, text));
            }
        };
        let text = (self.fetch)(&place).map_err(|why| self.wrong(value, why))?;
        self.fetched.borrow_mut().push(text.clone());
        Ok(text)
    }

    fn path(&self, value: &Spanned<DeValue<'_>>, text: &str, may_be_empty: bool) -> Result<PathBuf, Wrong> {
        match text {
            "" if may_be_empty => Ok(PathBuf::new()),
            "" => Err(self.wrong(value, "is empty: write a path")),
            text if text.contains('\0') => Err(self.wrong(value, "holds a NUL character, which no path may")),
            text => {
                let path = self.folder.map_or_else(|| PathBuf::from(text), |folder| folder.join(text));
                self.paths.borrow_mut().push(path.clone());
                Ok(path)
            }
        }
    }

    fn bounded_text(&self, value: &Spanned<DeValue<'_>>, bytes_max: usize) -> Result<String, Wrong> {
        let text = self.text(value)?;
        if text.len() > bytes_max || text.contains(|c: char| c.is_control()) {
            return Err(self.wrong(value, format!("write at most {bytes_max} bytes, without control characters")));
        }
        Ok(text.into_owned())
    }

    fn integer(&self, value: &Spanned<DeValue<'_>>, min: u64, max: u64, unit: &str) -> Result<Value, Wrong> {
        let bounds = format!("write a whole number of {unit} from {min} to {max}");
        match value.get_ref() {
            DeValue::Integer(n) => match i128::from_str_radix(n.as_str(), n.radix()) {
                Ok(n) if n >= i128::from(min) && n <= i128::from(max) => Ok(Value::Integer(n as u64)),
                _ => Err(self.wrong(value, format!("is out of bounds: {bounds}"))),
            },
            other => Err(self.wrong(value, format!("is of type {}: {bounds}", other.type_str()))),
        }
    }

    fn bool(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Wrong> {
        self.truth(value).map(Value::Bool)
    }

    fn truth(&self, value: &Spanned<DeValue<'_>>) -> Result<bool, Wrong> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Ok(*truth),
            other => Err(self.wrong(value, format!("is of type {}: write true or false", other.type_str()))),
        }
    }

    fn choice(&self, value: &Spanned<DeValue<'_>>, words: &[&str]) -> Result<Value, Wrong> {
        let text = self.text(value)?;
        let index = words.iter().position(|word| *word == text);
        let list = || words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        index.map(Value::Choice).ok_or_else(|| self.wrong(value, format!("write one of {}", list())))
    }

    fn list<'v, 'd>(
        &self,
        value: &'v Spanned<DeValue<'d>>,
        max: usize,
        example: &str,
    ) -> Result<&'v DeArray<'d>, Vec<Wrong>> {
        match value.get_ref() {
            DeValue::Array(list) if list.len() <= max => Ok(list),
            DeValue::Array(_) => Err(vec![self.wrong(value, format!("is too long: write at most {max}"))]),
            other => {
                Err(vec![self.wrong(value, format!("is of type {}: write a list such as {example}", other.type_str()))])
            }
        }
    }

    fn addresses(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let list = self.list(value, ADDRESSES_MAX, "[\"127.0.0.1:1143\", \"[::1]:1143\"]")?;
        gather(list.iter().map(|item| self.address(item))).map(Value::Addresses)
    }

    fn words(&self, value: &Spanned<DeValue<'_>>, words: &[&str]) -> Result<Value, Vec<Wrong>> {
        let list = self.list(value, words.len(), &format!("[\"{}\"]", words[0]))?;
        let read = |item: &Spanned<DeValue<'_>>| match self.choice(item, words)? {
            Value::Choice(index) => Ok::<_, Wrong>(index),
            other => unreachable!("a choice is {other:?}"),
        };
        gather(list.iter().map(read)).map(Value::Words)
    }

    fn sources(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let list = self.list(value, SOURCES_MAX, "[{ driver = \"passwd-file\", path = \"users\" }]")?;
        let mut sources = Vec::new();
        let mut wrong = Vec::new();
        for item in list.iter() {
            match self.source(item) {
                Ok(source) => sources.push(source),
                Err(more) => wrong.extend(more),
            }
        }
        if wrong.is_empty() { Ok(Value::Sources(sources)) } else { Err(wrong) }
    }

    fn source(&self, item: &Spanned<DeValue<'_>>) -> Result<AuthSource, Vec<Wrong>> {
        let DeValue::Table(table) = item.get_ref() else {
            return Err(vec![self.wrong(item, "write a table such as { driver = \"passwd-file\", path = \"users\" }")]);
        };
        let driver = table
            .get("driver")
            .ok_or_else(|| vec![self.wrong(item, "lacks driver = \"static\" or \"passwd-file\"")])?;
        let names: &[&str] = match &*self.text(driver)? {
            "static" => &["driver", "users", "password"],
            "passwd-file" => &["driver", "path"],
            _ => return Err(vec![self.wrong(driver, "write driver = \"static\" or driver = \"passwd-file\"")]),
        };
        let field = |name: &str| {
            let value = table.get(name).ok_or_else(|| self.wrong(item, format!("lacks {name} = \"...\"")))?;
            Ok((value, self.text(value)?))
        };
        let mut wrong: Vec<Wrong> = self.strangers(table, &[names, RULE_NAMES].concat(), "this driver");
        let rules = self.rules(table).map_err(|more| wrong.extend(more));
        let source = if names.contains(&"path") {
            field("path")
                .and_then(|(value, text)| Ok(Source::PasswdFile { path: self.path(value, &text, false)? }))
                .map_err(|w| wrong.push(w))
        } else {
            let users = field("users").and_then(|(value, text)| self.template(value, &text)).map_err(|w| wrong.push(w));
            let password = field("password").map(|(_, text)| Secret::from(&*text)).map_err(|w| wrong.push(w));
            users.and_then(|users| Ok(Source::Static { users, password: password? }))
        };
        match (source, rules) {
            (Ok(source), Ok(rules)) if wrong.is_empty() => Ok(AuthSource { source, rules }),
            _ => Err(wrong),
        }
    }

    fn rules(&self, table: &DeTable<'_>) -> Result<SourceRules, Vec<Wrong>> {
        let mut rules = SourceRules::default();
        let mut wrong = Vec::new();
        for (name, value) in table.iter() {
            let then = |rule: &mut Then| self.choice(value, Then::WORDS).map(|word| *rule = Then::take(word));
            let done = match name.get_ref().as_ref() {
                "result_success" => then(&mut rules.result_success),
                "result_failure" => then(&mut rules.result_failure),
                "result_internalfail" => then(&mut rules.result_internalfail),
                "skip" => self.choice(value, Skip::WORDS).map(|word| rules.skip = Skip::take(word)),
                "deny" => self.bool(value).map(|truth| rules.deny = bool::take(truth)),
                _ => Ok(()),
            };
            wrong.extend(done.err());
        }
        if wrong.is_empty() { Ok(rules) } else { Err(wrong) }
    }

    fn template(&self, value: &Spanned<DeValue<'_>>, text: &str) -> Result<UserTemplate, Wrong> {
        let template = UserTemplate::parse(text).map_err(|e| self.wrong(value, e.to_string()))?;
        // The braces' digits are the only letters of a template that no name could hold in its place.
        UserName::new(&text.replace(['{', '}'], "")).map_err(|e| self.wrong(value, e.to_string()))?;
        Ok(template)
    }

    /// Sections by name of their own, such as `example`: what `read` makes of each.
    fn sections<T>(
        &self,
        value: &Spanned<DeValue<'_>>,
        sections_max: usize,
        example: &str,
        read: impl Fn(&Spanned<DeString<'_>>, &DeTable<'_>) -> Result<T, Vec<Wrong>>,
    ) -> Result<Vec<T>, Vec<Wrong>> {
        let no_section = |value| self.wrong(value, format!("is a section: write {example} on a line of its own"));
        let DeValue::Table(table) = value.get_ref() else { return Err(no_section(value).into()) };
        if table.len() > sections_max {
            return Err(self.wrong(value, format!("is too long: write at most {sections_max} of them")).into());
        }
        gather(table.iter().map(|(name, value)| match value.get_ref() {
            DeValue::Table(table) => read(name, table),
            _ => Err(no_section(value).into()),
        }))
    }

    /// Fields that `whose` does not know.
    fn strangers(&self, table: &DeTable<'_>, names: &[&str], whose: &str) -> Vec<Wrong> {
        let unknown = table.iter().filter(|(name, _)| !names.contains(&name.get_ref().as_ref()));
        let wrong = |name: &Spanned<DeString<'_>>| {
            let hint = nearest(name.get_ref(), names.iter().copied()).map(|n| format!("; did you mean {n}?"));
            let text = format!("{whose} has no {}{}", name.get_ref(), hint.unwrap_or_default());
            Wrong { span: name.span(), key: self.key.to_owned(), text }
        };
        unknown.map(|(name, _)| wrong(name)).collect()
    }
}

/// All good values, or everything that is wrong.
fn gather<T, W: Into<Vec<Wrong>>>(results: impl Iterator<Item = Result<T, W>>) -> Result<Vec<T>, Vec<Wrong>> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(more) => wrong.extend(more.into()),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}
