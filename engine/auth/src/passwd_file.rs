//! Users from a file, one a line, in the form that Dovecot reads.
//!
//! ```text
//! user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
//! ```
//!
//! The user, the password and the extra fields count; the rest may be missing. Blank lines and lines starting with `#` are skipped.

use crate::entry::{Entry, Fields};
use crate::error::{LoadError, Notice};
use crate::hash::{Hash, Scram};
use crate::source::{Answer, PassDb, Sample, ScramSample, UserDb};
use skein_base::UserName;
use skein_base::scram::ScramHash;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a file: some ten million users, about the memory they take here.
pub(crate) const FILE_BYTES_MAX: u64 = 2 << 30;
/// Notices kept of one file; a file of another format would give one a line.
const NOTICES_MAX: usize = 100;
/// Users whose hashes are looked at to find what most cost.
const DECOY_SAMPLE: usize = 10_000;

/// A loaded file.
#[derive(Debug, Default)]
pub struct PasswdFile {
    users: HashMap<UserName, Entry>,
    notices: Vec<Notice>,
}

impl PasswdFile {
    /// Reads and checks a file. Blocks: at start and on reload, off the shards.
    pub fn load(path: &Path) -> Result<PasswdFile, LoadError> {
        let failed = |error| LoadError::Read { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(LoadError::TooBig { path: path.to_owned(), max: FILE_BYTES_MAX });
        }
        Ok(PasswdFile::parse(&bytes))
    }

    /// Reads the text of a file. Bad lines become notices: one of them must not lock out everybody else.
    pub fn parse(bytes: &[u8]) -> PasswdFile {
        let mut file = PasswdFile::default();
        for (index, line) in bytes.split(|&b| b == b'\n').enumerate() {
            if let Err(text) = file.line(line.strip_suffix(b"\r").unwrap_or(line)) {
                file.notice(index + 1, text);
            }
        }
        file
    }

    /// What is wrong in the file, of which at most the first hundred are kept.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// True when there is no user.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "is no UTF-8: skipped".to_owned())?;
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut fields = line.splitn(8, ':');
        let (name, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let user = UserName::new(name).map_err(|e| format!("{e}: skipped"))?;
        if self.users.contains_key(&user) {
            return Err(format!("{user} stands on an earlier line, which counts"));
        }
        // Who can not log in still gets mail: bouncing it over a typing error would be worse.
        let (entry, wrong) = match entry(password, fields.nth(5).unwrap_or_default()) {
            Ok(entry) => (entry, None),
            Err(wrong) => (Entry::new(Hash::locked()), Some(format!("{user} can not log in: {wrong}"))),
        };
        self.users.insert(user, entry);
        wrong.map_or(Ok(()), Err)
    }

    fn notice(&mut self, line: usize, text: String) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(Notice { line, text });
        }
    }
}

/// Password and extra fields. A field that is not understood locks: letting in from everywhere whom the file lets in from some
/// places would be a hole.
fn entry(password: &str, extra: &str) -> Result<Entry, String> {
    let fields = Fields::parse(extra)?;
    let hash = Hash::parse(password).map_err(|e| e.to_string())?;
    let fields = if fields == Fields::default() { Fields::none() } else { Arc::new(fields) };
    Ok(Entry { hash: Arc::new(hash), fields })
}

impl PassDb for PasswdFile {
    fn look_up(&self, user: &UserName) -> Answer<Option<Entry>> {
        Answer::Now(Ok(self.users.get(user).cloned()))
    }

    fn sample(&self) -> Sample {
        Sample { hash: self.usual_hash(), scram: self.usual_scram() }
    }
}

impl UserDb for PasswdFile {
    fn find(&self, user: &UserName) -> Answer<Option<Entry>> {
        self.look_up(user)
    }
}

impl PasswdFile {
    fn usual_hash(&self) -> Option<Arc<Hash>> {
        let costly = self.users.values().map(|entry| &entry.hash).filter(|hash| hash.is_costly());
        let mut seen: HashMap<_, (usize, &Arc<Hash>)> = HashMap::new();
        for hash in costly.take(DECOY_SAMPLE) {
            seen.entry(hash.cost()).or_insert((0, hash)).0 += 1;
        }
        seen.into_iter().max_by_key(|(cost, (count, _))| (*count, *cost)).map(|(_, (_, hash))| hash.clone())
    }

    fn usual_scram(&self) -> Option<ScramSample> {
        let mut seen: HashMap<ScramSample, usize> = HashMap::new();
        for entry in self.users.values().take(DECOY_SAMPLE) {
            if let Some(sample) = scram_sample(&entry.hash) {
                *seen.entry(sample).or_default() += 1;
            }
        }
        seen.into_iter().max_by_key(|(_, count)| *count).map(|(sample, _)| sample)
    }
}

fn scram_sample(hash: &Hash) -> Option<ScramSample> {
    [ScramHash::Sha256, ScramHash::Sha1].into_iter().find_map(|mechanism| match hash.scram(mechanism) {
        Scram::None => None,
        Scram::Password(_) => Some(ScramSample::Passwords),
        Scram::Keys(keys) => {
            Some(ScramSample::Keys { hash: keys.hash, iterations: keys.iterations, salt_bytes: keys.salt.len() })
        }
    })
}
