//! A process group: asked to end, made to end, and waited for until nobody is left in it.
//!
//! Owns the order TERM, grace, KILL. Refuses to know what the processes do.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};
use tokio::process::Child;

use super::orphans;
use crate::clock::Clock;

/// Longest wait between two looks at a group. Its members are not our children, so the kernel tells
/// us nothing when they end; the looks happen only while a group is being ended.
const LOOK_MAX: Duration = Duration::from_millis(200);

/// A process group. Killed when this is dropped before [`Group::end`] is through.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    gone: bool,
}

/// How long a group may take at each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To end by itself.
    pub(super) linger: Duration,
    /// To end after TERM.
    pub(super) grace: Duration,
}

/// What it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: it ended by itself.
    Alone,
    /// TERM.
    Terminated,
    /// KILL.
    Killed,
}

impl Group {
    pub(super) fn new(id: Pid) -> Self {
        Self { id, gone: false }
    }

    /// Ends the group, and its leader where that is our child. After KILL the wait has no limit: what
    /// sits in the kernel is not over, and calling it over would let a second attempt run beside it.
    pub(super) async fn end(
        &mut self,
        mut leader: Option<&mut Child>,
        patience: Patience,
        clock: &dyn Clock,
    ) -> Ending {
        if self.gone_within(&mut leader, Some(patience.linger), clock).await {
            return Ending::Alone;
        }
        self.signal(Signal::TERM);
        // A stopped process can't act on TERM.
        self.signal(Signal::CONT);
        if self.gone_within(&mut leader, Some(patience.grace), clock).await {
            return Ending::Terminated;
        }
        self.signal(Signal::KILL);
        self.gone_within(&mut leader, None, clock).await;
        Ending::Killed
    }

    /// Waits until nobody is left, at most `limit`.
    async fn gone_within(
        &mut self,
        leader: &mut Option<&mut Child>,
        limit: Option<Duration>,
        clock: &dyn Clock,
    ) -> bool {
        let mut waited = Duration::ZERO;
        let mut look = Duration::from_millis(1);
        loop {
            if leader.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                *leader = None;
                self.gone = self.gone || self.empty(waited);
            }
            if self.gone {
                return true;
            }
            if limit.is_some_and(|limit| waited >= limit) {
                return false;
            }
            let step = limit.map_or(look, |limit| look.min(limit.saturating_sub(waited)));
            // The leader's exit ends the wait early; for the common group of one it is all there is.
            tokio::select! {
                () = exited(leader.as_deref_mut()) => {}
                () = clock.sleep(step) => waited += step,
            }
            look = (look * 2).min(LOOK_MAX);
        }
    }

    /// Whether nobody is left. Asked only after the leader was reaped, else its zombie counts.
    fn empty(&self, waited: Duration) -> bool {
        // As process 1 of a container we inherit the orphans, and somebody has to reap them.
        let reap = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        while let Ok(Some(_)) = waitid(WaitId::Pgid(Some(self.id)), reap) {}
        if test_kill_process_group(self.id) == Err(Errno::SRCH) {
            return true;
        }
        // Where process 1 reaps nobody, dead members stay in the table for ever.
        waited > Duration::from_millis(50) && !orphans::any_alive(self.id)
    }

    fn signal(&self, signal: Signal) {
        // It fails when the group is gone, which the next look finds, or when every member runs as
        // another user, which no signal of ours will change.
        let _looked_at_next = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.gone {
            self.signal(Signal::KILL);
        }
    }
}

async fn exited(leader: Option<&mut Child>) {
    match leader {
        Some(child) => {
            let _status = child.wait().await;
        }
        None => std::future::pending().await,
    }
}
