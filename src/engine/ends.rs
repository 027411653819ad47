//! Attempts that have ended, from their last breath to the change that keeps it.
//!
//! Owns the results that are not durable yet, and which of them a burst of starts goes before. Refuses to
//! decide where a run goes (`plan::lifecycle`) and what is an incident (`judge`).

use jiff::Timestamp;

use super::attempt::{self, Turn};
use super::dispatch::{BATCH, Dispatcher};
use super::draft::{Draft, Then};
use super::judge::Overdue;
use crate::model::{AttemptNo, Failure, FailureClass, NodeId, Outcome, RunId, RunState};
use crate::store::Change;

/// Ends that a burst of starts goes before.
#[derive(Clone, Copy, Debug)]
pub(super) struct PutOff {
    /// How many, from the front of those that have ended.
    pub(super) ends: usize,
    /// When the first of them decides on a slot.
    pub(super) until: Timestamp,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) node: NodeId,
    pub(super) fence: AttemptNo,
    pub(super) outcome: Outcome,
}

impl Dispatcher {
    pub(super) fn note_end(
        &mut self,
        joined: Result<(tokio::task::Id, Turn), tokio::task::JoinError>,
    ) {
        let (task, turn) = match joined {
            Ok(pair) => pair,
            Err(error) => (error.id(), Turn::Over(panicked(error))),
        };
        let Some(run) = self.tasks.remove(&task) else { return };
        let Some(live) = self.live.get(&run) else { return };
        match turn {
            Turn::Over(outcome) => {
                let outcome = attempt::heeded(outcome, *live.pull.borrow());
                self.ended.push(Ended { run, node: self.parts.node, fence: live.fence, outcome });
            }
            Turn::Stuck { waited, rest } => {
                tracing::error!(%run, "was told to stop and does not end");
                self.stuck.push(Overdue { run, waited });
                let task = self.attempts.spawn(rest);
                self.tasks.insert(task.id(), run);
            }
        }
    }

    pub(super) fn plan_ends(&mut self, draft: &mut Draft, now: Timestamp) {
        // In a burst the starts come first; an end is needed only where it decides on a slot or a seat.
        let starts_first = self.last_tick >= BATCH && self.state.seats_left() > BATCH;
        let put_off = if starts_first && now < self.put_off.until { self.put_off.ends } else { 0 };
        let mut until = if put_off == 0 { Timestamp::MAX } else { self.put_off.until };
        self.put_off.ends = put_off;
        for index in put_off..self.ended.len() {
            let ended = self.ended[index].clone();
            let Some((job, _)) = self.state.live(ended.run) else {
                self.put_off.ends += 1;
                continue;
            };
            if starts_first && !self.state.is_due(job, now) {
                self.put_off.ends += 1;
                until = until.min(self.state.next_slot(job).map_or(until, |due| due.fire_at));
                continue;
            }
            let Some(plan) = self.state.ended(ended.run, &ended.outcome, now) else { continue };
            match plan.next {
                RunState::Finished { .. } => draft.end(job, ended.run, &ended.outcome),
                RunState::NotRun { .. } => self.note_blocked(job, now),
                RunState::Queued { .. } | RunState::Running { .. } => {}
            }
            let change = Change::End {
                run: ended.run,
                node: ended.node,
                fence: ended.fence,
                outcome: ended.outcome.clone(),
                next: plan.next,
            };
            draft.push(change, Then::Kept(ended.run));
            for action in plan.dependants {
                self.plan_action(draft, action, now);
            }
        }
        self.put_off.until = until;
    }
}

/// The outcome of an attempt whose kind panicked.
fn panicked(error: tokio::task::JoinError) -> Outcome {
    let words = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied())
            .unwrap_or("no words")
            .to_owned(),
        Err(_) => "its task was aborted".to_owned(),
    };
    let message = format!("a bug in this kind of job: it panicked: {words}");
    Outcome::Failed(Failure::new(FailureClass::Permanent, message))
}
