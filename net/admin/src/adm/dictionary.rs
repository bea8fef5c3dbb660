//! `dictionary train`, `dictionary list`, and what `backup` and `restore` ask of dictionaries.

use super::desk::Desk;
use super::fetch::date;
use super::route::Stop;
use super::rows::Rows;
use super::users::problem;
use super::wire::{Code, Problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use skein_base::ShardId;
use skein_serve::{Host, Operator};
use skein_store::dictionary::{Dictionary, Sample, Trained, train as make};
use skein_store::{AccountError, StoreError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Users whose mail is looked at, on all shards.
const USERS_MAX: usize = 2000;
/// Messages of one of them.
const MESSAGES_PER_USER_MAX: usize = 24;
/// Bytes of all messages, which are in memory at once.
const SAMPLE_BYTES_ALL_MAX: usize = 64 * 1024 * 1024;

/// Looks at mail of many users, makes a dictionary of what it has in common, and keeps it if it pays.
pub(crate) async fn train(desk: &Desk, keep: bool, rows: &Rows) -> Result<(), Stop> {
    let shards: Vec<ShardId> = desk.shards().collect();
    let (users_max, bytes_max) = (USERS_MAX.div_ceil(shards.len()), SAMPLE_BYTES_ALL_MAX / shards.len());
    let (mut sample, mut users) = (Vec::new(), 0);
    for shard in shards {
        let found = desk.ask(shard, async move |host| look_at(&host, users_max, bytes_max).await).await?;
        for messages in found? {
            sample.extend(messages.into_iter().map(|message| Sample { user: users, message }));
            users += 1;
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let made = tokio::task::spawn_blocking(move || make(&sample, now)).await;
    let made = made.map_err(|_| Problem::new(Code::Software, "the server failed at it; its log says more"))?;
    let Trained { dictionary, messages, bytes, without, with } =
        made.map_err(|error| Problem::new(Code::Data, error.to_string()))?;
    let saves = 100.0 * (without as f64 - with as f64) / (without.max(1) as f64);
    let is_kept = keep && dictionary.is_some();
    let row = [
        ("users", Value::from(users)),
        ("tried_on", messages.into()),
        ("bytes", bytes.into()),
        ("without", without.into()),
        ("with", with.into()),
        ("saves_percent", ((saves * 10.0).round() / 10.0).into()),
        ("dictionary", dictionary.as_ref().map(|one| format!("{:08x}", one.id())).into()),
        ("kept", is_kept.into()),
    ];
    if let Some(dictionary) = dictionary.filter(|_| keep) {
        everywhere(desk, dictionary).await?;
    }
    Ok(rows.row(row).await?)
}

/// Messages of accounts of a shard, by account. Identities are hashes: the first ones are any.
async fn look_at(host: &Host, users_max: usize, bytes_max: usize) -> Result<Vec<Vec<Vec<u8>>>, Stop> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for id in host.accounts_here().await.map_err(problem)?.into_iter() {
        if all.len() >= users_max || bytes >= bytes_max {
            break;
        }
        let operator = match Operator::open_known(host, id).await {
            Err(StoreError::Account(AccountError::NoSuchAccount)) => continue,
            operator => operator.map_err(problem)?,
        };
        let messages = operator.sample(MESSAGES_PER_USER_MAX).await.map_err(problem)?;
        bytes += messages.iter().map(Vec::len).sum::<usize>();
        if !messages.is_empty() {
            all.push(messages);
        }
        skein_runtime::bulk_yield().await;
    }
    Ok(all)
}

/// Durable, and known to all shards, when it returns.
async fn everywhere(desk: &Desk, dictionary: Dictionary) -> Result<(), Stop> {
    let kept = desk.ask(ShardId(0), async move |host| host.store().keep_dictionary(dictionary).await);
    kept.await?.map_err(|error| Problem::new(Code::Data, error.to_string()))?;
    for shard in desk.shards() {
        desk.ask(shard, async move |host| host.store().dictionaries().await.map(drop)).await?.map_err(problem)?;
    }
    Ok(())
}

/// A row for each.
pub(crate) async fn list(desk: &Desk, rows: &Rows) -> Result<(), Stop> {
    let all = desk.ask(ShardId(0), async move |host| host.store().dictionaries().await).await?.map_err(problem)?;
    let newest = all.iter().map(|one| (one.began(), one.id())).max();
    for dictionary in all {
        let is_newest = newest == Some((dictionary.began(), dictionary.id()));
        let row = [
            ("dictionary", format!("{:08x}", dictionary.id()).into()),
            ("made", date(dictionary.began()).into()),
            ("bytes", dictionary.bytes().len().into()),
            ("writes", is_newest.into()),
        ];
        rows.row(row).await?;
    }
    Ok(())
}

/// The files' bytes, for a backup.
pub(crate) async fn read(desk: &Desk, rows: &Rows) -> Result<(), Stop> {
    let all = desk.ask(ShardId(0), async move |host| host.store().dictionaries().await).await?.map_err(problem)?;
    for dictionary in all {
        let row = [
            ("dictionary", format!("{:08x}", dictionary.id()).into()),
            ("file", STANDARD.encode(dictionary.encode()).into()),
        ];
        rows.row(row).await?;
    }
    Ok(())
}

/// Keeps one of a backup.
pub(crate) async fn keep(desk: &Desk, file: &str) -> Result<(), Stop> {
    let bad = |why: &str| Problem::new(Code::Data, format!("no dictionary: {why}"));
    let file = STANDARD.decode(file).map_err(|_| bad("it is not in base64"))?;
    let dictionary = Dictionary::decode(&file).map_err(|error| bad(&format!("{error:?}")))?;
    everywhere(desk, dictionary).await
}
