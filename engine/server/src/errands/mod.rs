//! Telling others what happened: programs that are run and addresses that are posted to, for quota's warnings.
//!
//! ```text
//!   shards ──▶ queue (1024) ──▶ side runtime ──▶ http(s):// address        8 at a time
//!                                    └─ a line ──▶ runner ──▶ program
//! ```
//!
//! The server itself may start no program once it is confined; the runner, a process forked before that, starts those that the
//! settings of the start name, and no others. Nobody waits for what comes of it: a warning that can not be told is logged and counted.

mod authorities;
mod post;
mod runner;

use crate::confine;
use crate::error::ServerError;
use runner::{Answer, Order};
use rustls::ClientConfig;
use skein_config::{Config, QuotaResource, QuotaWarning, Telling};
use skein_quota::{Crossed, Tell};
use skein_runtime::metrics::{self, Kind};
use skein_runtime::{Side, fork_child};
use std::collections::{BTreeSet, HashMap};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream as SideStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Warnings that wait to be told. Beyond it they are dropped: thousands of users at their limit are not told of one by one any more.
const QUEUE_MAX: usize = 1024;
/// Warnings that are being told at a time.
const RUNNING_MAX: usize = 8;
/// Time for a program or an answer.
const SECONDS_MAX: u64 = 30;

static TOLD: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What the settings of the start need.
pub(crate) struct Means {
    /// Runs programs.
    runner: Option<UnixStream>,
    /// Whom https addresses are certified by.
    tls: Option<Arc<ClientConfig>>,
}

/// Makes them. To be called before the process gives up what it takes to start a program and to read the system's files, and while it
/// has one thread.
///
/// # Errors
/// The runner does not start, or no certificate authority is known.
pub(crate) fn prepare(config: &Config) -> Result<Means, ServerError> {
    let warnings = config.quota.warnings.iter().filter_map(|text| QuotaWarning::parse(text).ok());
    let tellings: Vec<Telling> = warnings.map(|warning| warning.telling).collect();
    let runner = fork_runner(tellings.iter().filter_map(program_of).collect())?;
    let secure = |telling: &Telling| matches!(telling, Telling::Post(url) if url.starts_with("https:"));
    let tls = match tellings.iter().any(secure) {
        true => Some(authorities::load(config.quota.warnings_ca.as_deref()).map_err(ServerError::Authorities)?),
        false => None,
    };
    Ok(Means { runner, tls })
}

fn fork_runner(programs: BTreeSet<String>) -> Result<Option<UnixStream>, ServerError> {
    if programs.is_empty() {
        return Ok(None);
    }
    let work = |socket| {
        // What a failure would leave it with is what whoever started the server has anyway.
        let _kept = confine::drop_capabilities();
        runner::serve(socket, &programs);
    };
    fork_child(work).map(Some).map_err(|error| ServerError::System { what: "starting the runner of programs", error })
}

fn program_of(telling: &Telling) -> Option<String> {
    match telling {
        Telling::Run(words) => words.first().cloned(),
        Telling::Post(_) => None,
    }
}

/// Starts the errands; what is returned takes them, from any thread.
pub(crate) fn start(side: &Side, means: Means) -> Tell {
    let (sender, queue) = flume::bounded::<Crossed>(QUEUE_MAX);
    drop(side.spawn(run(queue, means)));
    let help = "Warnings of quota by what came of them; dropped: too many waited.";
    metrics::collect("skein_quota_warnings", help, Kind::Counter, |samples| {
        for (result, count) in [("told", &TOLD), ("failed", &FAILED), ("dropped", &DROPPED)] {
            samples.put(&[("result", result)], count.load(Relaxed) as f64);
        }
    });
    Arc::new(move |crossed| {
        if sender.try_send(crossed).is_err() {
            DROPPED.fetch_add(1, Relaxed);
        }
    })
}

/// Orders that the runner has not answered yet.
type Open = Arc<Mutex<HashMap<u64, (Crossed, OwnedSemaphorePermit)>>>;

async fn run(queue: flume::Receiver<Crossed>, Means { runner, tls }: Means) {
    let places = Arc::new(Semaphore::new(RUNNING_MAX));
    let open = Open::default();
    let mut runner = runner.and_then(|socket| connect(socket, &open));
    let mut id = 0;
    while let Ok(crossed) = queue.recv_async().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match &crossed.warning.telling {
            Telling::Post(url) => {
                let (url, body, tls) = (url.clone(), facts(&crossed), tls.clone());
                tokio::spawn(async move {
                    let posted =
                        tokio::time::timeout(Duration::from_secs(SECONDS_MAX), post::post(&url, body, tls)).await;
                    ends(&crossed, posted.unwrap_or_else(|_| Err(format!("no answer within {SECONDS_MAX} s"))));
                    drop(place);
                });
            }
            Telling::Run(words) => {
                id += 1;
                let words = words.iter().map(|word| filled(word, &crossed)).collect();
                let order = Order { id, user: crossed.user.to_string(), words };
                open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (crossed, place));
                let sent = match &mut runner {
                    Some(runner) => {
                        runner.write_all(&order.line()).await.map_err(|error| format!("the runner is gone: {error}"))
                    }
                    None => Err("the settings of the start named no program: restart the server".to_owned()),
                };
                if let Err(why) = sent {
                    answered(&open, Answer { id, failure: Some(why) });
                }
            }
        }
    }
}

fn connect(socket: UnixStream, open: &Open) -> Option<OwnedWriteHalf> {
    let socket = socket.set_nonblocking(true).and_then(|()| SideStream::from_std(socket));
    let (read, write) = socket.inspect_err(|error| tracing::error!(%error, "no way to the runner")).ok()?.into_split();
    tokio::spawn(listen(read, open.clone()));
    Some(write)
}

/// Takes the runner's answers until it is gone; what it has not answered then never will be.
async fn listen(read: OwnedReadHalf, open: Open) {
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match Answer::parse(&line) {
            Some(answer) => answered(&open, answer),
            None => tracing::error!(line, "the runner says what it should not"),
        }
    }
    let left: Vec<u64> = open.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
    for id in left {
        answered(&open, Answer { id, failure: Some("the runner is gone".to_owned()) });
    }
}

fn answered(open: &Open, answer: Answer) {
    let known = open.lock().unwrap_or_else(PoisonError::into_inner).remove(&answer.id);
    if let Some((crossed, _place)) = known {
        ends(&crossed, answer.failure.map_or(Ok(()), Err));
    }
}

fn ends(crossed: &Crossed, end: Result<(), String>) {
    let Crossed { user, warning, used, limit } = crossed;
    let (resource, percent, over) = (name_of(warning.resource), warning.percent, warning.over);
    match end {
        Ok(()) => {
            TOLD.fetch_add(1, Relaxed);
            tracing::info!(%user, resource, percent, over, used, limit, "quota warning told");
        }
        Err(error) => {
            FAILED.fetch_add(1, Relaxed);
            tracing::error!(%user, resource, percent, over, used, limit, %error, "a quota warning could not be told");
        }
    }
}

fn name_of(resource: QuotaResource) -> &'static str {
    match resource {
        QuotaResource::Storage => "storage",
        QuotaResource::Messages => "messages",
        QuotaResource::Mailboxes => "mailboxes",
    }
}

/// A word of a command with what is known in the place of its variables.
fn filled(word: &str, crossed: &Crossed) -> String {
    let warning = &crossed.warning;
    let mut filled = word.to_owned();
    // The user last: his name is his own to choose, and nothing in it is a variable.
    for (name, value) in [
        ("%{resource}", name_of(warning.resource).to_owned()),
        ("%{percent}", warning.percent.to_string()),
        ("%{used}", crossed.used.to_string()),
        ("%{limit}", crossed.limit.to_string()),
        ("%{user}", crossed.user.to_string()),
    ] {
        filled = filled.replace(name, &value);
    }
    filled
}

/// What is posted.
fn facts(crossed: &Crossed) -> String {
    let warning = &crossed.warning;
    serde_json::json!({
        "user": crossed.user.to_string(),
        "resource": name_of(warning.resource),
        "percent": warning.percent,
        "over": warning.over,
        "used": crossed.used,
        "limit": crossed.limit,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_base::UserName;

    #[test]
    fn variables_and_facts() {
        let warning = Arc::new(QuotaWarning::parse("-storage=95% /bin/warn").unwrap());
        let crossed = Crossed { user: UserName::new("{used}").unwrap(), warning, used: 7, limit: 9 };
        assert_eq!(
            filled("%{user}:%{used}/%{limit}=%{resource}>%{percent}%{x}", &crossed),
            "{used}:7/9=storage>95%{x}"
        );
        let expect = r#"{"user":"{used}","resource":"storage","percent":95,"over":false,"used":7,"limit":9}"#;
        assert_eq!(facts(&crossed), expect);
    }
}
