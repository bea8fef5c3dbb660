//! A client that asks for all messages of a large mailbox and reads them slowly: what the server keeps in memory for it meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use skein_testkit::process;

use crate::client::Client;
use crate::scenario::Figures;
use crate::stage::Stage;

/// Between two reads, each of a block at most.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Seconds.
    pub seconds: u64,
}

/// Reads.
///
/// # Errors
/// A refusal, a broken connection, a mailbox that is read before the time is over.
pub fn run(stage: &Stage, load: &Load) -> Result<Figures, String> {
    let mut client = Client::login(stage.imap(), "test1")?;
    // The mailbox is open, its index is in memory.
    client.run("SELECT INBOX")?;
    client.run("FETCH 1:* FLAGS")?;
    let before = process::memory(stage.pid());
    client.write(b"a FETCH 1:* BODY.PEEK[]\r\n")?;
    let (began, mut bytes, mut anonymous, mut all) = (Instant::now(), 0, 0, 0);
    while began.elapsed() < Duration::from_secs(load.seconds) {
        bytes += client.read()?;
        if client.is_answered()? {
            return Err("the client was not slow enough: it has read all".to_owned());
        }
        thread::park_timeout(PAUSE);
        let now = process::memory(stage.pid());
        anonymous = anonymous.max(now.anonymous_bytes.saturating_sub(before.anonymous_bytes));
        all = all.max(now.pss_bytes.saturating_sub(before.pss_bytes));
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(Figures::of([
        ("anonymous MiB above idle, at most", mib(anonymous)),
        ("MiB above idle with mapped files, at most", mib(all)),
        ("KB read in a second", bytes as f64 / 1e3 / began.elapsed().as_secs_f64()),
    ]))
}
