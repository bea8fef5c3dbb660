//! `adm dump`: a file of the store's in words. No server is asked.

use super::fail;
use super::output::cell;
use crate::words;
use serde_json::{Map, Value};
use skein_admin::adm::{Code, utc};
use skein_store::describe::{Fact, Word, describe};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of a file: several times what the largest of ours has, and still memory that a machine with mail has to spare.
const FILE_BYTES_MAX: u64 = 8 << 30;

#[derive(clap::Args)]
pub struct Dump {
    /// A segment of the log (log/*.seg), a pack (p*.pack), a mailbox's snapshot (m*.idx), an account's tree, or
    /// the log's highest number (log/high-*).
    file: PathBuf,
}

impl Dump {
    /// Prints the facts, and gives the exit code: 65 when something in the file is not what was written.
    pub fn run(&self, json: bool) -> ExitCode {
        let name = self.file.display();
        let bytes = match read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return fail(Code::Denied, &format!("{name}: {error}"));
            }
            Err(error) => return fail(Code::Data, &format!("{name}: {error}")),
        };
        let mut out = BufWriter::new(words::Stdout::lock());
        let mut printed = Ok(());
        let base = self.file.file_name().unwrap_or_default().to_string_lossy();
        let described = describe(&base, &bytes, &mut |fact| {
            if printed.is_ok() {
                printed = print(&mut out, json, fact);
            }
        });
        let printed = printed.and_then(|()| out.flush());
        match (described, printed) {
            (_, Err(error)) => fail(Code::Data, &format!("can not print: {error}")),
            (Err(_), _) => {
                fail(Code::Data, &format!("{name}: no segment, pack, snapshot or tree of Skein's begins so"))
            }
            (Ok(0), _) => ExitCode::SUCCESS,
            (Ok(1), _) => fail(Code::Data, &format!("{name}: one place is not what was written")),
            (Ok(places), _) => fail(Code::Data, &format!("{name}: {places} places are not what was written")),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// A line: `message uid=7 flags=\\Seen name="two words"`, or an object.
fn print(out: &mut impl Write, json: bool, fact: Fact) -> io::Result<()> {
    if json {
        let says = fact.says.into_iter().map(|(name, word)| (name.to_owned(), value(word)));
        let row: Map<String, Value> = [("what".to_owned(), fact.what.into())].into_iter().chain(says).collect();
        serde_json::to_writer(&mut *out, &row)?;
        return out.write_all(b"\n");
    }
    write!(out, "{}", fact.what)?;
    for (name, word) in fact.says {
        let text = match word {
            Word::Time(seconds) => utc(seconds),
            Word::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => Value::from(text).to_string(),
            other => cell(&value(other)),
        };
        write!(out, " {name}={text}")?;
    }
    writeln!(out)
}

fn value(word: Word) -> Value {
    match word {
        Word::Number(number) => number.into(),
        Word::Time(seconds) => seconds.into(),
        Word::Text(text) => text.into(),
    }
}
