//! A store as plain as can be: vectors in memory, searched from end to end.
//!
//! Owns what each call should do, said a second time. Refuses to be fast.

use std::collections::{BTreeMap, BTreeSet};

use jada::model::{
    Acknowledged, Attempt, Cause, Incident, IncidentChange, IncidentId, IncidentState, JobId,
    JobName, NodeId, NotRun, Observation, Opening, Outcome, Revision, Run, RunId, RunState,
    SlotState, Verdict,
};
use jada::store::{
    Applied, Change, EndQuery, JobEntry, JobState, Keep, ObservationQuery, Pause, Pruned, RunQuery,
    RunRow, SlotQuery, SlotRow, Summary, slot_state,
};
use jiff::{SignedDuration, Timestamp};

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) jobs: Vec<Job>,
    pub(crate) runs: Vec<Row>,
    incidents: Vec<Incident>,
    /// Those of which somebody is to be told, which nobody is here.
    untold: BTreeSet<(String, Timestamp)>,
    looks: Vec<Observation>,
    leases: BTreeMap<NodeId, Timestamp>,
    tally: BTreeMap<(JobId, i64, SlotState), u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) state: JobState,
    entry: JobEntry,
    retired_at: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) run: Run,
    revision: Revision,
    attempts: Vec<Attempt>,
}

impl Row {
    fn is_live(&self) -> bool {
        self.ended_at().is_none()
    }

    fn ended_at(&self) -> Option<Timestamp> {
        match self.run.state {
            RunState::Queued { .. } | RunState::Running { .. } => None,
            RunState::Finished { at, .. } | RunState::NotRun { at, .. } => Some(at),
        }
    }
}

impl Row {
    /// The time that its age counts from: its end, unless a clock that was set back makes its record, or
    /// the slot that didn't run, later than that.
    fn last_touched(&self) -> Option<Timestamp> {
        let slot = match self.run.state {
            RunState::NotRun { .. } => self.run.cause.slot(),
            RunState::Queued { .. } | RunState::Running { .. } | RunState::Finished { .. } => None,
        };
        let end = self.ended_at()?;
        Some(end.max(slot.unwrap_or(self.run.created_at)))
    }
}

/// Whether there is one left; takes it.
fn take(left: &mut u32) -> bool {
    left.checked_sub(1).is_some_and(|rest| {
        *left = rest;
        true
    })
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

/// What an incident is once this was said of it.
fn reopened(opening: &Opening, old: Option<&Incident>, now: Timestamp) -> Incident {
    let again = old.is_some_and(|it| it.state == IncidentState::Resolved);
    let known = old.filter(|it| !again && it.severity >= opening.severity);
    Incident {
        id: IncidentId(0),
        key: opening.key.clone(),
        class: opening.class.clone(),
        root: opening.root.clone(),
        fault: opening.fault,
        affected: opening.affected.clone(),
        severity: opening.severity,
        generation: old.map_or(1, |it| it.generation + u32::from(again)),
        state: IncidentState::Open,
        opened_at: old.map_or(now, |it| it.opened_at),
        last_seen: now,
        count: old.map_or(1, |it| it.count + 1),
        title: opening.title.clone(),
        detail: opening.detail.clone(),
        mend: opening.mend.clone(),
        resolved_at: None,
        note: String::new(),
        acknowledged: known.and_then(|it| it.acknowledged.clone()),
        flapping: opening.flapping,
        remind: opening.remind.clone(),
    }
}

/// What changes do.
impl Model {
    /// What the store should have answered. A new run takes the number that the store gave it.
    pub(crate) fn apply(&mut self, now: Timestamp, change: &Change, answer: Applied) -> Applied {
        let done = match change {
            Change::Record { job, revision, cause, state } => {
                let taken = |row: &Row| row.run.job == *job && row.run.cause == *cause;
                if !self.jobs.iter().any(|it| it.state.id == *job) || self.runs.iter().any(taken) {
                    return Applied::Refused;
                }
                return self.record((*job, *revision), (*cause, state), now, answer);
            }
            Change::Cursor { job, from, to } => self
                .jobs
                .iter_mut()
                .find(|it| it.state.id == *job && it.state.cursor == *from)
                .map(|it| it.state.cursor = *to),
            Change::Start { run, attempt, holder } => {
                self.queued(*run).filter(|row| row.run.attempts + 1 == *attempt).map(|row| {
                    row.run.attempts = *attempt;
                    row.run.started_at.get_or_insert(now);
                    row.run.state = RunState::Running { holder: *holder, since: now };
                })
            }
            Change::End { run, node, fence, outcome, next } => {
                self.end(*run, (*node, *fence), (outcome, next), now)
            }
            Change::Close { run, state } => {
                let over = matches!(state, RunState::Finished { .. } | RunState::NotRun { .. });
                let row = self.queued(*run).filter(|_| over);
                let job = row.map(|row| {
                    row.run.state = state.clone();
                    row.run.job
                });
                job.map(|job| self.remember(job, state, now))
            }
            Change::Release { run, ready_at, why } => self.release(*run, *ready_at, why),
            Change::Pause { job, pause } => self.pause(*job, pause.as_ref()),
            Change::Observe(looks) => {
                self.observe(looks);
                Some(())
            }
            Change::Incident(change) => self.incident(change, now),
            Change::Outbox(change) => panic!("tests/store/outbox.rs has these: {change:?}"),
        };
        if done.is_some() { Applied::Done } else { Applied::Refused }
    }

    fn record(
        &mut self,
        (job, revision): (JobId, Revision),
        (cause, state): (Cause, &RunState),
        now: Timestamp,
        answer: Applied,
    ) -> Applied {
        let newest = self.runs.iter().map(|row| row.run.id).max().unwrap_or(RunId(0));
        let id = match answer {
            Applied::Recorded(id) if id > newest => id,
            Applied::Recorded(_) | Applied::Wrote(_) | Applied::Done | Applied::Refused => {
                RunId(newest.0 + 1)
            }
        };
        let since = match state {
            RunState::Running { since, .. } => Some(*since),
            RunState::Queued { .. } | RunState::Finished { .. } | RunState::NotRun { .. } => None,
        };
        let run = Run {
            id,
            job,
            cause,
            state: state.clone(),
            attempts: u32::from(since.is_some()),
            created_at: now,
            started_at: since,
        };
        self.runs.push(Row { run, revision, attempts: Vec::new() });
        if let Cause::After(_) = cause {
            self.job(job).unwrap().state.last_after = Some(now);
        }
        self.remember(job, state, now);
        Applied::Recorded(id)
    }

    fn end(
        &mut self,
        run: RunId,
        (node, fence): (NodeId, u32),
        (outcome, next): (&Outcome, &RunState),
        now: Timestamp,
    ) -> Option<()> {
        let row = self.runs.iter_mut().find(|row| row.run.id == run)?;
        let RunState::Running { holder, since } = row.run.state else { return None };
        let endless = matches!(next, RunState::Running { .. });
        if holder.node != node || row.run.attempts != fence || endless {
            return None;
        }
        let outcome = outcome.clone();
        row.attempts.push(Attempt { no: fence, node, started_at: since, ended_at: now, outcome });
        row.run.state = next.clone();
        let job = row.run.job;
        self.remember(job, next, now);
        Some(())
    }

    fn release(&mut self, run: RunId, ready_at: Timestamp, why: &str) -> Option<()> {
        let row = self.runs.iter_mut().find(|row| row.run.id == run)?;
        let RunState::NotRun { verdict: NotRun::Blocked, count: 1, at, .. } = row.run.state else {
            return None;
        };
        row.run.state = RunState::Queued { ready_at, why: why.to_owned() };
        let key = (row.run.job, hour(at), SlotState::Blocked);
        if let Some(count) = self.tally.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.tally.remove(&key);
            }
        }
        Some(())
    }

    fn pause(&mut self, job: JobId, pause: Option<&Pause>) -> Option<()> {
        self.job(job)?.state.paused = pause.cloned();
        Some(())
    }

    fn observe(&mut self, looks: &[Observation]) {
        for look in looks {
            let same =
                |it: &Observation| (&it.check, it.at, it.run) == (&look.check, look.at, look.run);
            self.looks.retain(|it| !same(it));
            self.looks.push(look.clone());
        }
    }

    fn incident(&mut self, change: &IncidentChange, now: Timestamp) -> Option<()> {
        let open = |incident: &&mut Incident| {
            incident.key == change.key() && incident.state == IncidentState::Open
        };
        match change {
            IncidentChange::Resolve { note, .. } => {
                let incident = self.incidents.iter_mut().find(open)?;
                incident.state = IncidentState::Resolved;
                incident.resolved_at = Some(now);
                incident.flapping = false;
                incident.note.clone_from(note);
            }
            IncidentChange::Acknowledge { by, .. } => {
                let incident = self.incidents.iter_mut().find(open)?;
                incident.acknowledged = Some(Acknowledged { at: now, by: by.clone() });
            }
            IncidentChange::Open(opening) => {
                let latest = self.incidents.iter_mut().rev();
                let old = latest.filter(|it| it.key == opening.key).find(|it| {
                    let ago = it.resolved_at.map(|at| now.duration_since(at).abs());
                    ago.is_none_or(|ago| ago < SignedDuration::from_mins(30))
                });
                let incident = reopened(opening, old.as_deref(), now);
                if !opening.notify.is_empty() {
                    self.untold.insert((incident.key.clone(), incident.opened_at));
                }
                match old {
                    Some(old) => *old = incident,
                    None => self.incidents.push(incident),
                }
            }
        }
        Some(())
    }

    pub(crate) fn renew(&mut self, node: NodeId, until: Timestamp) {
        let lease = self.leases.entry(node).or_insert(until);
        *lease = until.max(*lease);
    }

    /// `ids` are the numbers that the store gave to the jobs named.
    pub(crate) fn sync(&mut self, entries: &[JobEntry], ids: &[JobId], now: Timestamp) {
        for (entry, id) in entries.iter().zip(ids) {
            let Some(job) = self.jobs.iter_mut().find(|it| it.entry.name == entry.name) else {
                let state = JobState {
                    id: *id,
                    name: entry.name.clone(),
                    cursor: now,
                    paused: None,
                    last_success: None,
                    last_after: None,
                    known_since: now,
                };
                let entry = entry.clone();
                self.jobs.push(Job { state, entry, retired_at: None, last_failure: None });
                continue;
            };
            if job.retired_at.is_some() || job.entry.schedule != entry.schedule {
                job.state.cursor = now;
            }
            if job.retired_at.take().is_some() {
                job.state.known_since = now;
            }
            job.entry = entry.clone();
        }
        let named = |job: &Job| entries.iter().any(|entry| entry.name == job.entry.name);
        for gone in self.jobs.iter_mut().filter(|job| !named(job)) {
            gone.retired_at.get_or_insert(now);
        }
    }

    fn job(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|it| it.state.id == id)
    }

    fn queued(&mut self, id: RunId) -> Option<&mut Row> {
        let row = self.runs.iter_mut().find(|row| row.run.id == id)?;
        matches!(row.run.state, RunState::Queued { .. }).then_some(row)
    }

    fn remember(&mut self, job: JobId, state: &RunState, now: Timestamp) {
        let (at, count) = match state {
            RunState::Queued { .. } | RunState::Running { .. } => return,
            RunState::Finished { at, .. } => (at, 1),
            RunState::NotRun { at, count, .. } => (at, *count),
        };
        *self.tally.entry((job, hour(*at), slot_state(state))).or_default() += count;
        let RunState::Finished { at, outcome } = state else { return };
        let job = self.job(job).unwrap();
        if outcome.is_success() {
            let last = job.state.last_success.filter(|last| *last <= now);
            job.state.last_success = Some(last.unwrap_or(*at).max(*at));
        } else if job.last_failure.as_ref().is_none_or(|(last, _)| last <= at || *last > now) {
            job.last_failure = Some((*at, outcome.message().to_owned()));
        }
    }
}

/// What readers get.
impl Model {
    pub(crate) fn jobs(&self) -> Vec<JobState> {
        let active = self.jobs.iter().filter(|job| job.retired_at.is_none());
        let mut jobs: Vec<_> = active.map(|job| job.state.clone()).collect();
        jobs.sort_by(|a, b| a.name.cmp(&b.name));
        jobs
    }

    pub(crate) fn run(&self, row: &Row) -> Run {
        let mut run = row.run.clone();
        if let RunState::Running { holder, .. } = &mut run.state
            && let Some(lease) = self.leases.get(&holder.node)
        {
            holder.until = holder.until.max(*lease);
        }
        run
    }

    pub(crate) fn live_runs(&self) -> Vec<Run> {
        self.runs.iter().filter(|row| row.is_live()).map(|row| self.run(row)).collect()
    }

    pub(crate) fn attempts(&self, run: RunId) -> Vec<Attempt> {
        let row = self.runs.iter().find(|row| row.run.id == run);
        row.map(|row| row.attempts.clone()).unwrap_or_default()
    }

    pub(crate) fn slots(&self, query: &SlotQuery) -> Vec<SlotRow> {
        let mut hits: Vec<_> = self
            .runs
            .iter()
            .filter_map(|row| {
                let slot = row.run.cause.slot()?;
                let state = slot_state(&row.run.state);
                let wanted = self.is_of(row, query.job.as_ref())
                    && (query.states.is_empty() || query.states.contains(&state))
                    && query.since.is_none_or(|since| slot >= since)
                    && query.until.is_none_or(|until| slot < until);
                wanted.then_some((slot, row.run.id, row))
            })
            .collect();
        hits.sort_by_key(|(slot, id, _)| std::cmp::Reverse((*slot, *id)));
        hits.truncate(query.limit as usize);
        hits.into_iter().map(|(slot, _, row)| self.slot_row(slot, row)).collect()
    }

    fn slot_row(&self, slot: Timestamp, row: &Row) -> SlotRow {
        let (reason, count) = match &row.run.state {
            RunState::Queued { why, .. } => (why.as_str(), 1),
            RunState::Running { .. } => ("", 1),
            RunState::Finished { outcome, .. } => (outcome.message(), 1),
            RunState::NotRun { reason, count, .. } => (reason.as_str(), *count),
        };
        let never = matches!(row.run.state, RunState::NotRun { .. });
        SlotRow {
            job: self.name(row),
            slot,
            state: slot_state(&row.run.state),
            reason: reason.to_owned(),
            run: (!never).then_some(row.run.id),
            count,
            attempts: row.run.attempts,
            started_at: row.run.started_at,
            ended_at: row.ended_at(),
        }
    }

    pub(crate) fn runs(&self, query: &RunQuery) -> Vec<RunRow> {
        let place = |row: &Row| (row.run.created_at, row.run.id);
        let before = query.before.and_then(|id| self.runs.iter().find(|row| row.run.id == id));
        let wanted = |row: &&Row| {
            let failed = matches!(&row.run.state,
                RunState::Finished { outcome, .. } if !outcome.is_success());
            !matches!(row.run.state, RunState::NotRun { .. })
                && self.is_of(row, query.job.as_ref())
                && (!query.live || row.is_live())
                && (!query.failed || failed)
                && query.since.is_none_or(|since| row.run.created_at >= since)
                && before.is_none_or(|before| place(row) < place(before))
        };
        let mut hits: Vec<_> = self.runs.iter().filter(wanted).collect();
        hits.sort_by_key(|row| std::cmp::Reverse(place(row)));
        hits.truncate(query.limit as usize);
        let row =
            |row: &Row| RunRow { job: self.name(row), revision: row.revision, run: self.run(row) };
        hits.into_iter().map(row).collect()
    }

    pub(crate) fn recent_ends(&self, query: EndQuery) -> Vec<(Timestamp, Outcome)> {
        let mut ends: Vec<_> = self
            .runs
            .iter()
            .filter(|row| row.run.job == query.job)
            .filter_map(|row| match &row.run.state {
                RunState::Finished { at, .. } if *at > query.until => None,
                RunState::Finished { outcome, .. } if query.failed && outcome.is_success() => None,
                RunState::Finished { at, outcome } => Some((*at, row.run.id, outcome.clone())),
                RunState::Queued { .. } | RunState::Running { .. } | RunState::NotRun { .. } => {
                    None
                }
            })
            .collect();
        ends.sort_by_key(|(at, id, _)| std::cmp::Reverse((*at, *id)));
        ends.into_iter().take(query.limit as usize).map(|(at, _, outcome)| (at, outcome)).collect()
    }

    pub(crate) fn blocked_tail(&self, job: JobId, limit: usize) -> Vec<RunId> {
        let kind = |cause: Cause| match cause {
            Cause::Slot(at) => (0, at.as_millisecond()),
            Cause::Manual(at) => (1, at.as_millisecond()),
            Cause::After(run) => (2, run.0),
        };
        let mut tail = Vec::new();
        for wanted in [0, 2] {
            let rows = self.runs.iter().filter(|row| row.run.job == job);
            let mut rows: Vec<_> = rows.filter(|row| kind(row.run.cause).0 == wanted).collect();
            rows.sort_by_key(|row| std::cmp::Reverse(kind(row.run.cause).1));
            let ran = |row: &&&Row| slot_state(&row.run.state) > SlotState::Failed;
            let blocked = |row: &&Row| {
                matches!(
                    &row.run.state,
                    RunState::NotRun { verdict: NotRun::Blocked, count: 1, .. }
                )
            };
            let blocked = rows.iter().take_while(ran).filter(|row| blocked(row));
            tail.extend(blocked.take(limit).map(|row| row.run.id));
        }
        tail
    }

    pub(crate) fn summaries(&self, since: Timestamp) -> BTreeMap<JobName, Summary> {
        let summary = |job: &Job| {
            let mut counts = BTreeMap::new();
            let of_job = |row: &&Row| row.run.job == job.state.id && row.is_live();
            for row in self.runs.iter().filter(of_job) {
                *counts.entry(slot_state(&row.run.state)).or_default() += 1;
            }
            for ((of, at, state), count) in &self.tally {
                if *of == job.state.id && *at >= hour(since) {
                    *counts.entry(*state).or_default() += count;
                }
            }
            Summary {
                counts: counts.into_iter().collect(),
                last_success: job.state.last_success,
                last_failure: job.last_failure.clone(),
            }
        };
        self.jobs.iter().map(|job| (job.entry.name.clone(), summary(job))).collect()
    }

    pub(crate) fn observations(&self, query: &ObservationQuery) -> Vec<Observation> {
        let wanted = |look: &&Observation| {
            query.check.as_ref().is_none_or(|check| *check == look.check)
                && query.since.is_none_or(|since| look.at > since)
                && query.until.is_none_or(|until| look.at <= until)
                && (!query.bad || look.verdict != Verdict::Ok)
        };
        let mut looks: Vec<_> = self.looks.iter().filter(wanted).cloned().collect();
        looks.sort_by_key(|look| std::cmp::Reverse((look.at, look.run)));
        looks.truncate(query.limit as usize);
        looks
    }

    pub(crate) fn last_looks(&self, until: Timestamp) -> Vec<Observation> {
        let mut last = BTreeMap::new();
        for look in self.looks.iter().filter(|look| look.at <= until) {
            let newest = last.entry(&look.check).or_insert(look);
            if (look.at, look.run) > (newest.at, newest.run) {
                *newest = look;
            }
        }
        last.into_values().cloned().collect()
    }

    /// Incidents, newest first, without their numbers.
    pub(crate) fn incidents(&self, all: bool) -> Vec<Incident> {
        let wanted = |incident: &&Incident| all || incident.state == IncidentState::Open;
        self.incidents.iter().rev().filter(wanted).cloned().collect()
    }

    fn is_of(&self, row: &Row, job: Option<&JobName>) -> bool {
        job.is_none_or(|job| self.name(row) == *job)
    }

    fn name(&self, row: &Row) -> JobName {
        let job = self.jobs.iter().find(|job| job.state.id == row.run.job);
        job.unwrap().entry.name.clone()
    }
}

/// What retention may do, as rules that its answer has to keep.
impl Model {
    pub(crate) fn prune(
        &mut self,
        keep: &Keep,
        now: Timestamp,
        pruned: &Pruned,
        left: &[Observation],
    ) {
        let gone = &pruned.runs;
        let forgotten = self.forget_looks(keep, now, left);
        let most = keep.batch as usize;
        assert_eq!(pruned.more, gone.len() >= most || forgotten >= most);
        let cutoff = now - SignedDuration::try_from(keep.age).unwrap();
        let newest = self.runs.iter().map(|row| row.run.id).max();
        let may_go = |model: &Self, row: &Row| {
            let job = model.jobs.iter().find(|job| job.state.id == row.run.job).unwrap();
            let passed = row.run.cause.slot().is_none_or(|slot| slot <= job.state.cursor);
            !row.is_live() && passed && Some(row.run.id) != newest
        };
        assert!(gone.len() <= keep.batch as usize, "no more than a batch");
        let (went, stayed): (Vec<_>, Vec<_>) =
            self.runs.drain(..).partition(|row| gone.contains(&row.run.id));
        assert_eq!(went.len(), gone.len(), "each went once, and was there");
        self.runs = stayed;
        for row in &went {
            assert!(may_go(self, row), "{row:?} had to stay");
            let old = row.last_touched().unwrap() < cutoff;
            let rest = self.over_of(row.run.job).count() as u64;
            assert!(old || rest >= keep.per_job, "{row:?} was covered");
        }
        if gone.len() < keep.batch as usize {
            for row in self.runs.iter().filter(|row| may_go(self, row)) {
                assert!(row.last_touched().unwrap() >= cutoff, "{row:?} is too old");
                let all = self.over_of(row.run.job).count() as u64;
                let bound =
                    self.over_of(row.run.job).filter(|row| !may_go(self, row)).count() as u64;
                assert!(all <= keep.per_job.max(bound), "too many like {row:?}");
            }
        }
        for row in &went {
            self.tally.retain(|(job, at, _), _| *job != row.run.job || *at >= hour(cutoff));
        }
        let (mut left, untold) = (keep.batch, &self.untold);
        self.incidents.retain(|incident| {
            let is_untold = untold.contains(&(incident.key.clone(), incident.opened_at));
            is_untold || incident.resolved_at.is_none_or(|at| at >= cutoff) || !take(&mut left)
        });
        let (mut left, runs) = (keep.batch, &self.runs);
        self.jobs.retain(|job| {
            let used = runs.iter().any(|row| row.run.job == job.state.id);
            used || job.retired_at.is_none_or(|at| at >= cutoff) || !take(&mut left)
        });
    }

    /// Old looks go, a batch at most; which of them first, the store may choose.
    fn forget_looks(&mut self, keep: &Keep, now: Timestamp, left: &[Observation]) -> usize {
        let before = |age| now - SignedDuration::try_from(age).unwrap();
        let (old, ancient) = (before(keep.observations), before(keep.age.max(keep.observations)));
        let place = |look: &Observation| (look.at, look.run);
        let may_go = |look: &Observation| {
            let newer = |one: &&Observation| one.check == look.check && place(one) > place(look);
            let newer = self.looks.iter().filter(newer).count();
            look.at < ancient || (look.at < old && newer >= keep.looks as usize)
        };
        let may = self.looks.iter().filter(|look| may_go(look)).count();
        let (stayed, gone): (Vec<_>, Vec<_>) =
            self.looks.iter().cloned().partition(|look| left.contains(look));
        assert_eq!(gone.len(), may.min(keep.batch as usize));
        assert_eq!(stayed.len(), left.len(), "nothing was added");
        assert!(gone.iter().all(may_go), "nothing that is covered goes");
        self.looks = stayed;
        gone.len()
    }

    fn over_of(&self, job: JobId) -> impl Iterator<Item = &Row> {
        self.runs.iter().filter(move |row| row.run.job == job && !row.is_live())
    }
}
