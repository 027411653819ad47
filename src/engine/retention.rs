//! Deletes history that the settings no longer keep, in small batches.
//!
//! Owns when to look and the order: rows first, then their output, so that a crash in between leaves files
//! that the limit on all output ends some time, never rows without the output they name. Refuses to know
//! what is kept.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::kinds::output::Outputs;
use crate::store::{Keep, Store};

/// Time between looks. Each deletes what is over, so the excess is at most what an hour brings.
const EVERY: Duration = Duration::from_hours(1);

/// Rest between batches, so that a sweep never stands in the way of a start.
const REST: Duration = Duration::from_millis(50);

/// Sweeps for as long as it is polled.
pub async fn run(
    store: Arc<dyn Store>,
    outputs: Outputs,
    clock: Arc<dyn Clock>,
    keep: impl Fn() -> Keep,
    output_bytes: u64,
) {
    loop {
        if let Err(error) = sweep(store.as_ref(), &outputs, clock.as_ref(), keep()).await {
            tracing::warn!(%error, "old history was not deleted; the next sweep tries again");
        }
        trim(store.as_ref(), &outputs, output_bytes).await;
        clock.sleep(EVERY).await;
    }
}

async fn sweep(
    store: &dyn Store,
    outputs: &Outputs,
    clock: &dyn Clock,
    keep: Keep,
) -> crate::store::Result<()> {
    loop {
        let pruned = store.prune(keep, clock.now()).await?;
        let outputs = outputs.clone();
        let removed = tokio::task::spawn_blocking(move || outputs.remove(&pruned.runs)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "old output was not deleted");
        }
        if !pruned.more {
            return Ok(());
        }
        clock.sleep(REST).await;
    }
}

async fn trim(store: &dyn Store, outputs: &Outputs, bytes: u64) {
    let live = match store.live_runs().await {
        Ok(runs) => runs.into_iter().map(|run| run.id).collect(),
        Err(error) => return tracing::warn!(%error, "old output was not looked at"),
    };
    let outputs = outputs.clone();
    let trimmed = tokio::task::spawn_blocking(move || outputs.trim(bytes, &live)).await;
    if let Ok(Err(error)) = trimmed {
        tracing::warn!(%error, "output beyond retention.bytes was not deleted");
    }
}
