//! `stats`, `reload`: the server itself.

use super::desk::Desk;
use super::route::Stop;
use super::rows::Rows;
use serde_json::Value;

/// A row for each shard.
pub(crate) async fn stats(desk: &Desk, rows: &Rows) -> Result<(), Stop> {
    for shard in desk.shards() {
        let row = desk.ask(shard, async |host| {
            let (store, log) = (host.store().metrics(), host.store().log().metrics());
            [
                ("shard", Value::from(host.id().0)),
                ("sessions", host.live().into()),
                ("accounts_open", store.accounts_open.into()),
                ("accounts_in_tail", store.accounts_in_tail.into()),
                ("memory_bytes", store.memory_bytes.into()),
                ("changes", store.ops.into()),
                ("log_records", log.records.into()),
                ("log_batches", log.batches.into()),
                ("log_syncs", log.syncs.into()),
                ("log_kept_bytes", host.store().log_bytes().into()),
                ("snapshots_written", store.snapshots_written.into()),
                ("pack_bytes", store.pack_bytes.into()),
            ]
        });
        rows.row(row.await?).await?;
    }
    Ok(())
}

/// A row for each setting that changed, and for what is odd in files of users.
pub(crate) async fn reload(desk: &Desk, rows: &Rows) -> Result<(), Stop> {
    for (what, name) in desk.reload().await? {
        rows.row([("what", what.into()), ("name", name.into())]).await?;
    }
    Ok(())
}
