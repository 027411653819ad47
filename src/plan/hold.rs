//! Jobs that a credential holds, and what is let go once it works again.
//!
//! Owns the choice among the runs that were blocked, which is the job's catch-up policy seen from the end of
//! the trouble. Refuses to know what is wrong with the credential: it is given words.

use std::sync::Arc;

use jiff::Timestamp;

use super::catch_up::{self, words};
use super::schedule::{Due, Schedule};
use super::state::{RunImage, State};
use super::tick::Fate;
use crate::model::{CatchUpMode, Cause, JobId, NotRun, Policy, Run, RunId};

impl State {
    /// Says that a credential holds the job, in words, or that none does. Returns whether one did before.
    pub fn set_held(&mut self, id: JobId, held: Option<Arc<str>>) -> bool {
        let job = self.jobs.get_mut(&id);
        job.is_some_and(|job| std::mem::replace(&mut job.line.held, held).is_some())
    }

    /// What becomes of a slot or a request of a held job.
    pub(super) fn blocked(&self, id: JobId) -> Option<Fate> {
        let reason = self.jobs.get(&id)?.line.held.as_deref()?.to_owned();
        Some(Fate::NotRun { verdict: NotRun::Blocked, reason, count: 1 })
    }

    /// Queues again those of the blocked runs that catch-up still wants; `tail` has them newest first.
    /// Returns each with the reason why it waits.
    pub fn release(&mut self, id: JobId, tail: &[Run], now: Timestamp) -> Vec<(RunId, String)> {
        let Some(job) = self.jobs.get(&id) else { return Vec::new() };
        let (policy, pool) = (Arc::clone(&job.line.policy), job.line.policy.pool.clone());
        let Some(schedule) = job.line.schedule.clone() else { return Vec::new() };
        if job.line.held.is_some() || job.line.paused.is_some() {
            return Vec::new();
        }
        let chosen = choose(&policy, &schedule, tail, now);
        for run in &chosen {
            let image = RunImage {
                job: id,
                cause: run.cause,
                attempts: run.attempts,
                first_start: run.started_at,
                pool: pool.clone(),
                ready_at: Some(now),
                last: None,
            };
            self.insert_waiting(run.id, image);
        }
        let why = |run: &&Run| {
            let late = run.cause.slot().map(|slot| words(now.duration_since(slot).unsigned_abs()));
            let late = late.map_or_else(String::new, |late| format!(", caught up {late} late"));
            (run.id, format!("its credential works again{late}"))
        };
        chosen.iter().map(why).collect()
    }
}

/// The blocked runs that are to run after all, newest first.
fn choose<'t>(
    policy: &Policy,
    schedule: &Schedule,
    tail: &'t [Run],
    now: Timestamp,
) -> Vec<&'t Run> {
    let most = match policy.catch_up.mode {
        CatchUpMode::None => return Vec::new(),
        CatchUpMode::Latest => 1,
        CatchUpMode::All => policy.catch_up.max as usize,
    };
    let newest = tail.iter().find_map(|run| run.cause.slot());
    let window = newest.map(|slot| {
        let due = |slot| Due { slot, fire_at: slot };
        catch_up::window(policy, due(slot), schedule.next_after(slot))
    });
    let in_time = |run: &&Run| {
        let Some(slot) = run.cause.slot() else { return false };
        let late = now.duration_since(slot).unsigned_abs();
        window.is_some_and(|window| late <= window)
            && policy.deadline.is_none_or(|deadline| late <= deadline)
    };
    let slots = tail.iter().filter(in_time).take(most);
    // What its upstream jobs brought is all there by now: one run takes it in.
    let after = tail.iter().find(|run| matches!(run.cause, Cause::After(_)));
    slots.chain(after).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{CatchUp, RunState};
    use crate::plan::schedule::{TriggerSpec, When};

    const NOW: i64 = 1_800_000_000;

    /// Mode, window and deadline, and the runs that go.
    type Case = (CatchUpMode, Option<Duration>, Option<Duration>, &'static [i64]);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(NOW + minutes * 60).expect("in range")
    }

    fn blocked(id: i64, cause: Cause) -> Run {
        let reason = "google/ops is dead".to_owned();
        let state = RunState::NotRun { at: at(-1), verdict: NotRun::Blocked, reason, count: 1 };
        Run {
            id: RunId(id),
            job: JobId(0),
            cause,
            state,
            attempts: 0,
            created_at: at(-1),
            started_at: None,
        }
    }

    #[test]
    fn catch_up_decides_what_is_let_go() {
        use CatchUpMode::{All, Latest, None as Never};
        let trigger = TriggerSpec::new(When::Every(Duration::from_mins(30)));
        let schedule = Schedule::compile(&[trigger], "j").expect("a legal period");
        // Slots 10, 40, 70 and 100 minutes ago, and a run after another job.
        let slots = [(5, -10), (4, -40), (3, -70), (2, -100)];
        let mut tail: Vec<Run> =
            slots.iter().map(|(id, minutes)| blocked(*id, Cause::Slot(at(*minutes)))).collect();
        tail.push(blocked(9, Cause::After(RunId(1))));
        let hours = |hours| Some(Duration::from_hours(hours));
        let cases: &[Case] = &[
            (Never, hours(24), None, &[]),
            (Latest, None, None, &[5, 9]),
            (Latest, Some(Duration::from_mins(5)), None, &[9]),
            (All, None, None, &[5, 9]),
            (All, hours(1), None, &[5, 4, 9]),
            (All, hours(24), None, &[5, 4, 3, 9]),
            (All, hours(24), Some(Duration::from_mins(20)), &[5, 9]),
        ];
        for (mode, window, deadline, want) in cases {
            let catch_up = CatchUp { mode: *mode, window: *window, max: 3 };
            let policy = Policy { catch_up, deadline: *deadline, ..Policy::default() };
            let chosen = choose(&policy, &schedule, &tail, at(0));
            let ids: Vec<i64> = chosen.iter().map(|run| run.id.0).collect();
            assert_eq!(ids, *want, "{mode:?} {window:?} {deadline:?}");
        }
    }
}
