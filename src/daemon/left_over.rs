//! What a daemon that died left running.
//!
//! Owns the order at a start: nothing begins before it is gone. Refuses to know how it is found
//! (`kinds::process::orphans`).

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::clock::Clock;
use crate::kinds::grant;
use crate::kinds::process::orphans;
use crate::model::{RunId, RunState};
use crate::store::Store;

/// Time between TERM and KILL for what a killed daemon left running.
const GRACE: Duration = Duration::from_secs(5);

/// Ends what attempts of an earlier incarnation left running: their runs are about to be recorded as lost, and
/// nothing of a lost run may go on behind the back of its next attempt. Returns those that go on.
pub(super) async fn end(
    data_dir: &Path,
    store: &dyn Store,
    clock: &dyn Clock,
) -> Result<HashSet<RunId>> {
    let live = store.live_runs().await?;
    let running = live.iter().filter(|run| matches!(run.state, RunState::Running { .. }));
    let running: HashSet<RunId> = running.map(|run| run.id).collect();
    if !running.is_empty() {
        tracing::warn!(
            runs = running.len(), patience = ?GRACE,
            "a daemon died here: ending what it left running before anything starts"
        );
    }
    // What a run that has ended left behind on purpose, in a session of its own, is none of ours.
    let wanted = |orphan: &orphans::Orphan| running.contains(&orphan.run);
    let swept = orphans::end(data_dir, wanted, GRACE, clock).await;
    for orphan in swept.ended {
        tracing::warn!(
            run = %orphan.run, group = orphan.group,
            "ended the processes that a killed daemon had left running"
        );
    }
    for orphan in &swept.stuck {
        tracing::error!(
            run = %orphan.run, group = orphan.group,
            "can't end the processes that a killed daemon had left running: look at them with \
             `ps -o pid,user,stat,args -g {}`; the run is not tried again", orphan.group
        );
    }
    // Nobody is left who needs the tokens that they were given.
    if let Err(error) = grant::sweep(data_dir) {
        tracing::warn!(%error, "can't remove the tokens of attempts that are over");
    }
    Ok(swept.stuck.iter().map(|orphan| orphan.run).collect())
}
