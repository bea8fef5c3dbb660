//! Work on a shard for an operator: few at a time, and not for ever.

use super::wire::{Code, Problem};
use skein_auth::{Notices, SharedAuth};
use skein_base::{AccountId, ShardId};
use skein_runtime::{Elapsed, LaneError, Lanes};
use skein_serve::{Host, Job, ToShard};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Works of operators that run on a shard at once: sessions have the core, and each may hold a message in memory.
const WORKS_PER_SHARD_MAX: usize = 4;
/// How long a work waits for its place.
const PLACE_PATIENCE: Duration = Duration::from_secs(60);
/// How long one takes at most: a search through the text of all of a shard's mail.
const WORK_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// How long a look at a shard takes at most: then it is stuck, and that is what there is to see.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Reads settings, users and certificates again; what changed, or every problem in words. Blocks.
pub type ReloadFn = dyn Fn() -> Result<Vec<(String, String)>, String> + Send + Sync;

/// A warning or error of the running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// An error, not a warning.
    pub is_error: bool,
    /// The session it belongs to.
    pub session: Option<String>,
    /// What the log says, without time and level.
    pub text: String,
}

/// The last warnings and errors, oldest first.
pub type RecentFn = dyn Fn() -> Vec<LogEntry> + Send + Sync;

/// What the verbs work with. Clones share it.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    lanes: Lanes<ToShard>,
    auth: Arc<SharedAuth>,
    places: Vec<Arc<Semaphore>>,
    stop: Box<dyn Fn() + Send + Sync>,
    reload: Box<ReloadFn>,
    recent: Box<RecentFn>,
}

impl Desk {
    /// `stop` asks the process to end, and returns at once.
    pub fn new(
        lanes: Lanes<ToShard>,
        auth: Arc<SharedAuth>,
        stop: Box<dyn Fn() + Send + Sync>,
        reload: Box<ReloadFn>,
        recent: Box<RecentFn>,
    ) -> Desk {
        let places = (0..lanes.shards()).map(|_| Arc::new(Semaphore::new(WORKS_PER_SHARD_MAX))).collect();
        Desk(Arc::new(Inner { lanes, auth, places, stop, reload, recent }))
    }

    /// All shards.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.0.lanes.shards() as u16).map(ShardId)
    }

    /// The shard an account lives on.
    pub(crate) fn home(&self, account: AccountId) -> ShardId {
        skein_ring::home_shard(account, self.0.lanes.shards() as u16)
    }

    pub(crate) fn auth(&self) -> &Arc<SharedAuth> {
        &self.0.auth
    }

    pub(crate) fn recent(&self) -> Vec<LogEntry> {
        (self.0.recent)()
    }

    pub(crate) fn stop(&self) {
        (self.0.stop)();
    }

    pub(crate) async fn reload(&self) -> Result<Vec<(String, String)>, Problem> {
        let desk = self.clone();
        // The side runtime has one thread, which others need.
        let done = tokio::task::spawn_blocking(move || (desk.0.reload)()).await;
        done.map_err(|_| failed())?.map_err(|text| Problem::new(Code::Data, text))
    }

    /// Reads the files of users that have changed; what is odd in them. Then they are in force.
    pub(crate) async fn refresh_users(&self) -> Result<Notices, Problem> {
        let auth = self.auth().clone();
        let done = tokio::task::spawn_blocking(move || auth.refresh()).await.map_err(|_| failed())?;
        Ok(done.map_err(|error| Problem::new(Code::Data, error.to_string()))?.unwrap_or_default())
    }

    /// A short look at a shard that waits for no work; `None` when it does not answer soon.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        shard: ShardId,
        look: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                _ = answer.send(look(&host));
            })
        });
        self.0.lanes.send(shard, ToShard::Run(job)).ok()?;
        timeout(LOOK_PATIENCE, answered).await.ok()?.ok()
    }

    /// Messages that wait in a shard's inbox.
    pub(crate) fn queue(&self, shard: ShardId) -> usize {
        self.0.lanes.depth(shard)
    }

    /// Runs `work` on a shard and gives its answer.
    ///
    /// # Errors
    /// The shard is busy, stopping, or the work ended by a panic.
    pub(crate) async fn ask<T, F>(
        &self,
        shard: ShardId,
        work: impl FnOnce(Host) -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let place = self.place(shard).await?;
        self.begin(place, work)?.answer().await
    }

    /// A place on every shard, for a work that goes on only when all its parts do. They are taken in order: two such works never
    /// wait for each other.
    ///
    /// # Errors
    /// A shard is busy.
    pub(crate) async fn places(&self) -> Result<Vec<Place>, Problem> {
        let mut places = Vec::new();
        for shard in self.shards() {
            places.push(self.place(shard).await?);
        }
        Ok(places)
    }

    async fn place(&self, shard: ShardId) -> Result<Place, Problem> {
        let busy = |_| Problem::new(Code::TryAgain, format!("shard {shard} is busy; try again"));
        let permit = self.0.places[usize::from(shard.0)].clone().acquire_owned();
        let permit = timeout(PLACE_PATIENCE, permit).await.map_err(busy)?.map_err(|_| failed())?;
        Ok(Place { shard, permit })
    }

    /// Begins a work in its place; the answer comes later.
    ///
    /// # Errors
    /// The shard is busy or stopping.
    pub(crate) fn begin<T, F>(
        &self,
        Place { shard, permit }: Place,
        work: impl FnOnce(Host) -> F + Send + 'static,
    ) -> Result<Begun<T>, Problem>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |host| {
            Box::pin(async move {
                // Whoever asked may have gone; what was done stays done.
                _ = answer.send(skein_runtime::timeout(WORK_PATIENCE, work(host)).await);
                drop(permit);
            })
        });
        self.0.lanes.send(shard, ToShard::Run(job)).map_err(|error| match error {
            LaneError::Full(_) => Problem::new(Code::TryAgain, format!("shard {shard} is busy; try again")),
            LaneError::Gone(_) => Problem::new(Code::Unavailable, "the server is stopping"),
        })?;
        Ok(Begun(answered))
    }
}

/// One of a shard's places for works.
pub(crate) struct Place {
    shard: ShardId,
    permit: OwnedSemaphorePermit,
}

/// A work that runs.
pub(crate) struct Begun<T>(oneshot::Receiver<Result<T, Elapsed>>);

impl<T> Begun<T> {
    /// What it comes to.
    ///
    /// # Errors
    /// It took too long, or ended by a panic.
    pub(crate) async fn answer(self) -> Result<T, Problem> {
        self.0.await.map_err(|_| failed())?.map_err(|_| Problem::new(Code::TryAgain, "it took too long"))
    }
}

fn failed() -> Problem {
    Problem::new(Code::Software, "the server failed at it; its log says more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_auth::Sources;

    /// On a clock that jumps whenever everybody waits for it.
    #[test]
    fn a_shard_takes_so_many_works_and_the_next_one_not_for_ever() {
        let (lanes, inboxes) = Lanes::new(1, 2 * WORKS_PER_SHARD_MAX);
        let settings = skein_config::Config::embedded_default().auth;
        let auth = SharedAuth::of(Sources::default(), Sources::default(), settings, [0; 32]);
        let desk = Desk::new(lanes, auth, Box::new(|| {}), Box::new(|| Ok(Vec::new())), Box::new(Vec::new));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            for _ in 0..WORKS_PER_SHARD_MAX {
                let desk = desk.clone();
                tokio::spawn(async move { desk.ask(ShardId(0), async |_| ()).await });
            }
            // Nobody takes them out: they run for as long as this lasts.
            tokio::task::yield_now().await;
            let began = tokio::time::Instant::now();
            let refused = desk.ask(ShardId(0), async |_| ()).await.unwrap_err();
            assert_eq!(refused.code, Code::TryAgain, "{refused}");
            assert_eq!(began.elapsed().as_secs(), PLACE_PATIENCE.as_secs());
        });
        let waiting = std::iter::from_fn(|| inboxes[0].try_recv()).count();
        assert_eq!(waiting, WORKS_PER_SHARD_MAX);
    }
}
