//! From stored rows and the catalog to answers.
//!
//! Owns how rows become wire types and how orders reach the engine. Refuses to know HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::api::{
    Done, Health, HeldNotice, IncidentItem, IncidentsQuery, JobItem, NextSlot, Problem,
    ProblemKind, RunDetail, RunItem, RunsQuery, SlotItem, SlotsQuery, Status, Triggered,
};
use super::rows::{attempt_item, job_item, next_slot, run_item_now, slot_item, slot_states};
use super::{api, is_undelivered, words};
use crate::alerts::desk::Desk;
use crate::clock::Clock;
use crate::engine::{Handle, Refusal};
use crate::kinds::output::Outputs;
use crate::model::{AttemptNo, Incident, JobId, JobName, RunId, RunState, SlotState};
use crate::spec::{FileState, Job};
use crate::store::{self, RunQuery, RunRow, SlotQuery, Store, Summary};

/// The loop may be this late before the daemon calls itself ill.
const LAG_MAX: Duration = Duration::from_secs(5);

/// The longest that a reader's wait holds its connection.
const WAIT_MAX: Duration = Duration::from_secs(25);

const DAY: Duration = Duration::from_hours(24);

/// What every answer is made from.
pub(super) struct App {
    pub(super) store: Arc<dyn Store>,
    pub(super) engine: Handle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) desk: Desk,
    pub(super) outputs: Outputs,
    /// Cancelled when the server stops: every stream and wait ends.
    pub(super) stop: CancellationToken,
}

impl App {
    pub(super) async fn health(&self) -> Health {
        let view = self.engine.view();
        let late = view.wake_at.map(|at| self.clock.now().duration_since(at));
        let late = late.and_then(|late| Duration::try_from(late).ok()).unwrap_or_default();
        let store = self.store.incidents(false, 1).await.err();
        let problem = match (store, &view.store_trouble) {
            (Some(error), _) => error.to_string(),
            (None, Some(trouble)) => format!("nothing starts: {trouble}"),
            (None, None) if late > LAG_MAX => format!("the loop is {} behind", words::span(late)),
            (None, None) => String::new(),
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Health { ok: problem.is_empty(), version, lag: late.as_secs_f64(), problem }
    }

    pub(super) async fn status(&self) -> Result<Status, Problem> {
        let now = self.clock.now();
        let view = self.engine.view();
        let states = self.job_states().await?;
        let paused = states.values().filter(|state| state.paused.is_some());
        let mut last_day = BTreeMap::new();
        for summary in self.store.summaries(now - DAY).await?.values() {
            for (state, count) in &summary.counts {
                *last_day.entry(*state).or_default() += count;
            }
        }
        let live = self.store.live_runs().await?;
        let mut checks = BTreeMap::new();
        for (_, _, look) in self.newest_looks().await? {
            *checks.entry(look.verdict).or_default() += 1;
        }
        let waiting = self.store.notifications(false, api::LIMIT_MAX).await?;
        Ok(Status {
            health: self.health().await,
            longest: self.longest(&live).await?,
            held_up: self.held_up(live, &states).await?,
            started_at: view.started_at,
            now,
            jobs: view.catalog.jobs.len() as u64,
            disabled: view.catalog.jobs.values().filter(|job| !job.enabled).count() as u64,
            paused: paused.count() as u64,
            running: view.running as u64,
            queued: view.queued as u64,
            incidents: self.store.incidents(false, api::LIMIT_MAX).await?.len() as u64,
            checks,
            undelivered: waiting.iter().filter(|row| is_undelivered(row)).count() as u64,
            held: waiting.iter().filter(|row| !is_undelivered(row)).count() as u64,
            last_day,
            next: self.next_slots(&states).into_iter().next(),
        })
    }

    pub(super) async fn jobs(&self) -> Result<Vec<JobItem>, Problem> {
        let (states, summaries) = (self.job_states().await?, self.summaries().await?);
        let mut live: BTreeMap<JobId, (u64, u64)> = BTreeMap::new();
        for run in self.store.live_runs().await? {
            let counts = live.entry(run.job).or_default();
            match run.state {
                RunState::Running { .. } => counts.0 += 1,
                _ => counts.1 += 1,
            }
        }
        let view = self.engine.view();
        let items = view.catalog.jobs.values().map(|job| {
            let state = states.get(&job.name);
            let live = state.and_then(|state| live.get(&state.id)).copied().unwrap_or_default();
            let held = view.held.get(&job.name).map(AsRef::as_ref);
            job_item(job, state, summaries.get(&job.name), live, held)
        });
        Ok(items.collect())
    }

    pub(super) async fn job(&self, name: &str) -> Result<JobItem, Problem> {
        let name = self.known(name)?.name.clone();
        let found = self.jobs().await?.into_iter().find(|item| item.job == name);
        found.ok_or_else(|| self.no_job(name.as_str()))
    }

    /// Past and present slots from the store, and above them the slots to come, which no row stands for
    /// yet. Where the reader set a limit, these take at most half of it.
    pub(super) async fn slots(&self, query: SlotsQuery) -> Result<Vec<SlotItem>, Problem> {
        let job = query.job.clone();
        let items = self.slots_of(query).await?;
        self.found(job.as_ref(), items)
    }

    /// A job that is gone may have left history; a name that says nothing to anybody is a mistake.
    fn found<T>(&self, job: Option<&JobName>, items: Vec<T>) -> Result<Vec<T>, Problem> {
        if let Some(job) = job.filter(|_| items.is_empty()) {
            self.known(job.as_str())?;
        }
        Ok(items)
    }

    async fn slots_of(&self, query: SlotsQuery) -> Result<Vec<SlotItem>, Problem> {
        let limit = query.limit.unwrap_or(api::LIMIT_DEFAULT).min(api::LIMIT_MAX);
        let states = slot_states(query.state.as_deref())?;
        let mut items = Vec::new();
        if states.is_empty() || states.contains(&SlotState::Pending) {
            let room = if query.limit.is_some() && states != [SlotState::Pending] {
                limit / 2
            } else {
                limit
            };
            items = self.slots_to_come(query.job.as_ref(), room as usize).await?;
        }
        let left = match query.limit {
            Some(limit) => limit - u32::try_from(items.len()).unwrap_or(limit).min(limit),
            None => limit,
        };
        if left > 0 {
            let stored =
                SlotQuery { job: query.job, states, since: query.since, until: None, limit: left };
            items.extend(self.store.slots(stored).await?.into_iter().map(slot_item));
        }
        Ok(items)
    }

    /// The newest slots that are past or under way.
    pub(super) async fn past_slots(&self, limit: u32) -> Result<Vec<SlotItem>, Problem> {
        let query = SlotQuery { limit, ..SlotQuery::default() };
        Ok(self.store.slots(query).await?.into_iter().map(slot_item).collect())
    }

    async fn slots_to_come(
        &self,
        job: Option<&JobName>,
        room: usize,
    ) -> Result<Vec<SlotItem>, Problem> {
        let now = self.clock.now();
        let mut next = self.next_slots(&self.job_states().await?);
        next.retain(|next| job.is_none_or(|job| *job == next.job));
        next.truncate(room);
        let items = next.into_iter().rev().map(|NextSlot { job, slot }| {
            let reason = format!("due {}", words::until(slot, now));
            SlotItem { job, slot, state: SlotState::Pending, reason, run: None, count: 1 }
        });
        Ok(items.collect())
    }

    /// The next slot of each job whose schedule is in force, soonest first.
    fn next_slots(&self, states: &BTreeMap<JobName, store::JobState>) -> Vec<NextSlot> {
        let view = self.engine.view();
        let mut next: Vec<_> = view
            .catalog
            .jobs
            .values()
            .filter_map(|job| {
                let slot = next_slot(job, states.get(&job.name)?)?;
                Some(NextSlot { job: job.name.clone(), slot })
            })
            .collect();
        next.sort_by(|a, b| (a.slot, &a.job).cmp(&(b.slot, &b.job)));
        next
    }

    pub(super) async fn runs(&self, query: RunsQuery) -> Result<Vec<RunItem>, Problem> {
        let limit = query.limit.unwrap_or(api::LIMIT_DEFAULT).min(api::LIMIT_MAX);
        let RunsQuery { job, live, failed, since, before, limit: _ } = query;
        let rows = RunQuery { id: None, job: job.clone(), live, failed, since, before, limit };
        let now = self.clock.now();
        let rows = self.store.runs(rows).await?.into_iter();
        let items = rows.map(|row| run_item_now(row, now)).collect();
        self.found(job.as_ref(), items)
    }

    pub(super) async fn run(&self, run: RunId) -> Result<RunDetail, Problem> {
        let row = self.run_row(run).await?;
        let attempts = self.store.attempts(run).await?.iter().map(attempt_item).collect();
        Ok(RunDetail { run: run_item_now(row, self.clock.now()), attempts })
    }

    pub(super) async fn run_row(&self, run: RunId) -> Result<RunRow, Problem> {
        let query = RunQuery { id: Some(run), limit: 1, ..RunQuery::default() };
        let row = self.store.runs(query).await?.pop();
        row.ok_or_else(|| Refusal::NoRun(run).into())
    }

    /// Answers once attempt `attempt` has begun or the run is over, or after a while anyhow.
    pub(super) async fn wait(&self, run: RunId, attempt: AttemptNo) -> Result<RunDetail, Problem> {
        let over = self.clock.sleep(WAIT_MAX);
        tokio::pin!(over);
        loop {
            let seen = self.engine.view().changes;
            let detail = self.run(run).await?;
            if detail.run.state.is_over() || detail.run.attempts >= attempt {
                return Ok(detail);
            }
            tokio::select! {
                () = self.engine.changed(seen) => {}
                () = self.stop.cancelled() => return Ok(detail),
                () = &mut over => return Ok(detail),
            }
        }
    }

    pub(super) async fn incidents(
        &self,
        query: IncidentsQuery,
    ) -> Result<Vec<IncidentItem>, Problem> {
        let limit = query.limit.unwrap_or(api::LIMIT_DEFAULT).min(api::LIMIT_MAX);
        let incidents = self.store.incidents(query.all, limit).await?;
        let waiting = self.store.notifications(false, api::LIMIT_MAX).await?;
        let held = |id| {
            let rows = waiting.iter().filter(move |row| row.incident == Some(id));
            rows.filter_map(HeldNotice::of).collect()
        };
        let item = |one: &Incident| IncidentItem { held: held(one.id), ..IncidentItem::from(one) };
        Ok(incidents.iter().map(item).collect())
    }

    pub(super) async fn trigger(&self, name: &str) -> Result<Triggered, Problem> {
        let job = self.known(name)?.name.clone();
        Ok(Triggered { run: self.engine.trigger(job).await? })
    }

    pub(super) async fn pause(&self, name: &str, reason: String) -> Result<Done, Problem> {
        let job = self.known(name)?.name.clone();
        self.engine.pause(job, reason).await?;
        Ok(Done { done: true })
    }

    pub(super) async fn resume(&self, name: &str) -> Result<Done, Problem> {
        let job = self.known(name)?.name.clone();
        self.engine.resume(job).await?;
        Ok(Done { done: true })
    }

    pub(super) async fn cancel(&self, run: RunId) -> Result<Done, Problem> {
        self.engine.cancel(run).await?;
        Ok(Done { done: true })
    }

    /// The stored side of every job, by name.
    pub(super) async fn job_states(&self) -> Result<BTreeMap<JobName, store::JobState>, Problem> {
        let states = self.store.jobs().await?.into_iter();
        Ok(states.map(|state| (state.name.clone(), state)).collect())
    }

    async fn summaries(&self) -> Result<BTreeMap<JobName, Summary>, Problem> {
        Ok(self.store.summaries(self.clock.now()).await?)
    }

    /// The job of that name.
    pub(super) fn known(&self, name: &str) -> Result<Arc<Job>, Problem> {
        let job = JobName::parse(name).ok();
        let view = self.engine.view();
        let job = job.and_then(|name| view.catalog.jobs.get(&name).cloned());
        job.ok_or_else(|| self.no_job(name))
    }

    fn no_job(&self, name: &str) -> Problem {
        let view = self.engine.view();
        let names = view.catalog.jobs.keys().map(JobName::as_str);
        let near = names
            .map(|known| (distance(name, known), known))
            .min()
            .filter(|(distance, _)| *distance <= name.len().max(3) / 3);
        let bad = view.catalog.files.values().filter(|file| file.state == FileState::Bad).count();
        let hint = match near {
            Some((_, known)) => format!("did you mean '{known}'?"),
            None if bad > 0 => {
                format!("it may stand in a file with errors ({bad} now): see jadactl validate")
            }
            None => "jadactl jobs lists them".into(),
        };
        let message = format!("there is no job '{name}'");
        Problem { problem: ProblemKind::NotFound, message, hint }
    }
}

/// How far a name is from the one that may have been meant; its beginning is near.
fn distance(name: &str, known: &str) -> usize {
    if name.len() >= 3 && known.starts_with(name) {
        return 1;
    }
    strsim::damerau_levenshtein(known, name)
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let problem = match error {
            store::Error::Closed => ProblemKind::Stopping,
            _ => ProblemKind::Internal,
        };
        Self { problem, message: error.to_string(), hint: String::new() }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (problem, hint) = match &refusal {
            Refusal::NoJob(_) => (ProblemKind::NotFound, "jadactl jobs lists them"),
            Refusal::NoRun(_) => (ProblemKind::NotFound, "jadactl runs lists them"),
            Refusal::Ended(_) => (ProblemKind::Conflict, ""),
            Refusal::Store(_) => (ProblemKind::Internal, ""),
            Refusal::Stopping => (ProblemKind::Stopping, "ask again when it is back"),
        };
        Self { problem, message: refusal.to_string(), hint: hint.into() }
    }
}
