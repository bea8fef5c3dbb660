//! What messages take on disk when all that the server does with them in the background is done.

use serde::Deserialize;
use skein_testkit::server::Kind;

use crate::accounts::{drained, usage};
use crate::fill::Mail;
use crate::scenario::Figures;
use crate::stage::Stage;

/// What the scenario sets: the segments that are written to stay, and are small beside all.
const SEGMENT_BYTES: u64 = 1 << 20;

/// Which mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Messages of each user.
    pub messages: usize,
    /// Their size, on average.
    pub bytes: usize,
    /// Users.
    pub users: usize,
}

/// Appends it and weighs the folder. The settings of Skein have `store.log_keep_bytes` 0 and a `store.segment_bytes` of 1 MiB.
///
/// # Errors
/// A refusal, a log that is not drained.
pub fn run(stage: &mut Stage, load: &Load) -> Result<Figures, String> {
    let Load { messages, bytes, users } = *load;
    let data = stage.server().folder().join("data");
    rustix::fs::sync();
    let before = usage(&data);
    Mail { users, messages, bytes }.fill(stage.imap())?;
    if stage.kind() == Kind::Skein {
        drained(stage.server(), SEGMENT_BYTES)?;
    }
    // What is written at a clean stop belongs to it.
    stage.stop()?;
    rustix::fs::sync();
    let after = usage(&data);
    let count = (users * messages) as f64;
    Ok(Figures::of([
        ("bytes on disk/message", after.0.saturating_sub(before.0) as f64 / count),
        ("inodes/message", after.1.saturating_sub(before.1) as f64 / count),
    ]))
}
