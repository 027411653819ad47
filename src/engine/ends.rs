//! Attempts that have ended, from their last breath to the change that keeps it.
//!
//! Owns the results that are not durable yet, and which of them a burst of starts goes before. Refuses to
//! decide where a run goes (`plan::lifecycle`) and what is an incident (`judge`).

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::{self, Turn};
use super::dispatch::{BATCH, Dispatcher};
use super::draft::{Draft, End, Then};
use super::judge::Overdue;
use crate::model::{
    AttemptNo, Failure, FailureClass, JobId, NodeId, Observation, Outcome, RunId, RunState,
    Subject, Verdict,
};
use crate::plan::alert::Look;
use crate::plan::signature;
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
    /// How long it took.
    pub(super) took: Duration,
    /// What it saw on its way there.
    pub(super) seen: Vec<Observation>,
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
                let (node, fence, seen) = (self.parts.node, live.fence, live.seen.take());
                let took = self.parts.clock.now().duration_since(live.since);
                let took = Duration::try_from(took).unwrap_or_default();
                self.ended.push(Ended { run, node, fence, outcome, took, seen });
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
            // Tries within a run are no looks: what one saw that is followed by another is let go.
            let over = matches!(plan.next, RunState::Finished { .. } | RunState::NotRun { .. });
            let end = over.then(|| self.end_of(job, &ended, now));
            let blocked = matches!(plan.next, RunState::NotRun { .. });
            if blocked {
                self.note_blocked(job, now);
            }
            let change = Change::End {
                run: ended.run,
                node: ended.node,
                fence: ended.fence,
                outcome: ended.outcome.clone(),
                next: plan.next,
            };
            draft.push(change, Then::Kept(ended.run));
            if let Some(end) = end {
                Self::plan_looks(draft, job, end, blocked);
            }
            for action in plan.dependants {
                self.plan_action(draft, action, now);
            }
        }
        self.put_off.until = until;
    }

    /// The end of a run, as incidents are judged by it. Of a job that looks at other things, it is one more
    /// look whether it could look at all: that its checks have failed is theirs to tell.
    fn end_of(&self, job: JobId, ended: &Ended, now: Timestamp) -> End {
        let mut looks = ended.seen.clone();
        let definition = self.jobs.get(&job);
        let Some(job) = definition.filter(|job| job.work.kind() == "health") else {
            let (run, took) = (ended.run, ended.took);
            return End { run, outcome: Some(ended.outcome.clone()), took, looks };
        };
        let blind = looks.is_empty()
            || matches!(ended.outcome.class(), Some(FailureClass::TimedOut | FailureClass::Lost));
        let own = if blind {
            Look::of_end(now, &ended.outcome).map(|look| look.verdict)
        } else {
            Some(Verdict::Ok)
        };
        let subject = Subject::job(&job.name);
        looks.extend(own.map(|verdict| {
            Observation {
                check: subject.clone(),
                subject,
                at: now,
                took: Duration::ZERO,
                verdict,
                fault: (verdict == Verdict::Fail)
                    .then(|| signature::fault(ended.outcome.class(), ended.outcome.message())),
                text: ended.outcome.message().to_owned(),
                run: Some(ended.run),
            }
        }));
        for look in &mut looks {
            look.run = Some(ended.run);
        }
        End { run: ended.run, outcome: None, took: ended.took, looks }
    }

    /// Keeps what a run saw beside its end, and has both judged.
    fn plan_looks(draft: &mut Draft, job: JobId, end: End, blocked: bool) {
        if !end.looks.is_empty() {
            draft.push(Change::Observe(end.looks.clone()), Then::Ignore);
        }
        let outcome = end.outcome.filter(|_| !blocked);
        draft.end(job, End { outcome, ..end });
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
