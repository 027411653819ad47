//! What people ask of the loop: run, cancel, pause, resume, reload.
//!
//! Owns the translation of a request into changes and its answer, which is given only once it is durable.
//! Refuses to know who asked.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::dispatch::{Anew, Dispatcher, Drain, pull};
use super::draft::{self, Draft, Then};
use super::{Refusal, Request};
use crate::kinds::StopReason;
use crate::model::{JobId, JobName, RunId};
use crate::spec::Catalog;
use crate::store::{Change, Pause, RunQuery};

type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

impl Dispatcher {
    /// Plans what was asked since the last step.
    pub(super) async fn plan_requests(&mut self, draft: &mut Draft, now: Timestamp) {
        for request in std::mem::take(&mut self.inbox) {
            match request {
                Request::Trigger(job, answer) => self.trigger(draft, &job, answer, now),
                Request::Cancel(run, answer) => self.cancel(draft, run, answer, now).await,
                Request::Pause(job, reason, answer) => {
                    let pause = Pause { since: now, reason };
                    self.set_pause(draft, &job, Some(pause), answer);
                }
                Request::Resume(job, answer) => self.set_pause(draft, &job, None, answer),
                Request::Reload(answer) => {
                    // A full queue means that a reload is due anyway; its end is then not waited for.
                    let _full = self.channels.reload.try_send(answer);
                }
                Request::Install(catalog, answers) => self.install(catalog, answers),
            }
        }
    }

    fn trigger(
        &mut self,
        draft: &mut Draft,
        name: &JobName,
        answer: Answer<RunId>,
        now: Timestamp,
    ) {
        let draining = self.drain != Drain::No;
        let refusal = if draining { Refusal::Stopping } else { Refusal::NoJob(name.clone()) };
        let job = self.job_named(name).filter(|_| !draining);
        // Two requests in one millisecond are two runs: the cause tells them apart.
        let at = self.distinct(now);
        let action = job.and_then(|job| self.state.trigger(job, at));
        let Some(action) = action else {
            return reply(answer, Err(refusal));
        };
        let revision = job.and_then(|job| self.jobs.get(&job)).map(|job| job.revision);
        let holder = self.claim(now);
        if let Some(revision) = revision
            && let Some(change) = draft::record(&action, revision, holder, now)
        {
            draft.push(change, Then::Triggered(action, answer));
        }
    }

    fn distinct(&mut self, now: Timestamp) -> Timestamp {
        let next = self.last_request.saturating_add(std::time::Duration::from_millis(1));
        let at = next.map_or(now, |next| now.max(next));
        self.last_request = at;
        at
    }

    async fn cancel(&mut self, draft: &mut Draft, run: RunId, answer: Answer<()>, now: Timestamp) {
        match self.state.live(run) {
            // An attempt whose end this same look plans may have put it there.
            Some((_, false)) => {
                let closed = self.state.close(run, None, "cancelled while it waited", now);
                let Some(state) = closed else { return };
                return draft.push(Change::Close { run, state }, Then::Answer(answer));
            }
            Some(_) => {
                let ended = self.ended.iter().any(|ended| ended.run == run);
                match self.live.get_mut(&run).filter(|_| !ended) {
                    Some(live) => {
                        pull(&live.pull, StopReason::Cancelled);
                        live.cancelled_by.push(answer);
                    }
                    // It begins with this look's commit, or its end is planned by the next look.
                    None => self.inbox.push(Request::Cancel(run, answer)),
                }
                return;
            }
            None => {}
        }
        let query = RunQuery { id: Some(run), limit: 1, ..RunQuery::default() };
        let refusal = match self.parts.store.runs(query).await {
            Ok(rows) if rows.is_empty() => Refusal::NoRun(run),
            Ok(_) => Refusal::Ended(run),
            Err(error) => Refusal::Store(error.to_string()),
        };
        reply(answer, Err(refusal));
    }

    fn set_pause(
        &mut self,
        draft: &mut Draft,
        name: &JobName,
        pause: Option<Pause>,
        answer: Answer<()>,
    ) {
        let Some(job) = self.job_named(name) else {
            return reply(answer, Err(Refusal::NoJob(name.clone())));
        };
        self.state.set_paused(job, pause.as_ref().map(|pause| pause.reason.clone()));
        draft.push(Change::Pause { job, pause }, Then::Answer(answer));
    }

    /// Puts a catalog into force with the next look. Attempts under way are not touched; the cursor of an
    /// unchanged schedule stays where it is.
    fn install(&mut self, catalog: Arc<Catalog>, answers: Vec<oneshot::Sender<()>>) {
        self.catalog = catalog;
        if !self.stale && !self.fresh {
            self.anew = Anew::Reload;
        }
        self.stale = true;
        self.installed_for.extend(answers);
    }

    fn job_named(&self, name: &JobName) -> Option<JobId> {
        self.state.job_id(name)
    }
}

/// Whoever asked may have gone; that is no trouble of the loop.
pub(super) fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    let _gone = answer.send(value);
}
