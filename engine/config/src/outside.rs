//! Values that stand outside of the settings file: `{ file = "path" }` and `{ env = "NAME" }` in place of any text.

use std::path::PathBuf;

/// Bytes of such a value: keys and passwords are far smaller, and no setting takes more.
pub const OUTSIDE_BYTES_MAX: usize = 64 * 1024;

/// Where a value stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outside {
    /// The whole content of a file, without the line end that closes it.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

/// Fetches a value, or says why not; what it says never holds the value.
pub type Fetch<'a> = &'a dyn Fn(&Outside) -> Result<String, String>;

/// For texts that may name nothing outside.
pub(crate) fn nowhere(_: &Outside) -> Result<String, String> {
    Err("can not be fetched here: write the text itself".to_owned())
}
