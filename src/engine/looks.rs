//! What the ends of runs and their looks mean for incidents, judged in the commit that keeps them.
//!
//! Owns what is read for it, and what becomes of a judgement: one open incident a root, whatever its faults
//! and however many checks look at it. Refuses to know when looks are an incident (`plan::alert`), whose
//! incident a failure is (`whose`), and the words (`incidents`).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::dispatch::Dispatcher;
use super::draft::{self, Draft, End};
use super::incidents;
use super::whose::Whose;
use crate::diagnosis::snapshot::near;
use crate::diagnosis::walk;
use crate::kinds::Work;
use crate::kinds::health::Check;
use crate::model::{
    AlertRule, Fault, IncidentChange, JobId, JobName, Observation, Opening, Outcome, RunId,
    Subject, SubjectKind, Verdict,
};
use crate::plan::alert::{Before, Judgement, Look, Needs, judge, needs};
use crate::spec::Job;
use crate::store::{EndQuery, ObservationQuery, Result};

/// Good looks that end an incident of a check where its rule does not say.
const RECOVER_CHECK: u32 = 2;
/// Good runs that end an incident of a job, likewise.
const RECOVER_JOB: u32 = 1;

/// What this commit has judged already, oldest first: the store does not have it yet.
#[derive(Default)]
struct Here {
    ends: Vec<(JobId, Timestamp, Outcome)>,
    looks: Vec<Observation>,
}

/// How a look finds the incident of its root.
enum Stands {
    /// Nothing is left to judge.
    Settled,
    /// None is open by a rule.
    Closed,
    /// One is.
    Open(Before),
}

impl Dispatcher {
    /// Opens or closes incidents by how runs ended in this commit and by what they saw.
    ///
    /// # Errors
    /// The history that decides can't be read.
    pub(super) async fn judge_ends(&mut self, draft: &mut Draft, now: Timestamp) -> Result<()> {
        let mut here = Here::default();
        // What hangs on nothing that is looked at is over once somebody works again who was hit by it.
        let tells = |end: &End| {
            !end.looks.is_empty() || end.outcome.as_ref().is_some_and(Outcome::is_success)
        };
        let moved = draft.fresh || draft.ends.values().flatten().any(tells);
        self.causes.here = self.failing_here(draft);
        for (id, ends) in std::mem::take(&mut draft.ends) {
            let Some(job) = self.jobs.get(&id).cloned() else { continue };
            for End { run, outcome, took, looks } in ends {
                if let Some(outcome) = outcome {
                    if !self.plan_too_fast(draft, (id, &job), (run, &outcome, took)).await? {
                        self.judge_run(draft, (id, &job), (run, &outcome, took), &here).await?;
                    }
                    here.ends.push((id, now, outcome));
                }
                for look in looks {
                    self.judge_look(draft, &job, &look, &here).await?;
                    here.looks.push(look);
                }
            }
        }
        if moved {
            self.settle_lookers(draft, &here).await?;
        }
        Ok(())
    }

    async fn judge_run(
        &mut self,
        draft: &mut Draft,
        (id, job): (JobId, &Arc<Job>),
        (run, outcome, took): (RunId, &Outcome, Duration),
        here: &Here,
    ) -> Result<()> {
        let now = self.last_now;
        let began = start_of(now, took);
        let Some(newest) = Look::of_end(now, outcome) else { return Ok(()) };
        let (rule, root) = (&job.policy.alert, Subject::job(&job.name));
        let works = format!("run {run} succeeded");
        let before = match self.before(draft, &root, (newest.verdict, &works), rule) {
            Stands::Settled => return Ok(()),
            Stands::Closed => None,
            Stands::Open(before) => Some(before),
        };
        let mut looks = vec![newest];
        let of_job = here.ends.iter().rev().filter(|(of, ..)| *of == id);
        looks.extend(of_job.filter_map(|(_, at, outcome)| Look::of_end(*at, outcome)));
        looks.extend(self.ends_before(id, needs(rule), now).await?);
        match judge(rule, RECOVER_JOB, &looks, before) {
            Judgement::Open { severity, failures, flapping } => {
                let said = incidents::failure(&job.name, run, outcome, failures);
                let said = Opening { severity, flapping, ..said };
                self.open_as(draft, rule, (said, began)).await?;
            }
            Judgement::Flap(flapping) => self.flap(draft, &root, flapping, rule),
            Judgement::Resolve => self.resolve_root(draft, &root, works, rule),
            Judgement::Quiet => {}
        }
        Ok(())
    }

    async fn judge_look(
        &mut self,
        draft: &mut Draft,
        job: &Arc<Job>,
        look: &Observation,
        here: &Here,
    ) -> Result<()> {
        let rule = rule_of(job, &look.check);
        let (rule, root) = (rule.as_ref(), &look.subject);
        let of_job = look.check.kind() == SubjectKind::Job;
        let works = match (of_job, look.run) {
            (true, Some(run)) => format!("run {run} could look"),
            _ => format!("check {} is ok: {}", look.check.rest(), look.text),
        };
        let told = if of_job { (look.verdict, works.as_str()) } else { (Verdict::Unknown, "") };
        let before = match self.before(draft, root, told, rule) {
            Stands::Settled => return Ok(()),
            Stands::Closed if look.verdict == Verdict::Ok => return Ok(()),
            Stands::Closed => None,
            Stands::Open(before) => Some(before),
        };
        let mut looks = vec![Look::of(look)];
        let earlier = here.looks.iter().rev().filter(|one| one.check == look.check);
        looks.extend(earlier.map(Look::of));
        looks.extend(self.looks_before(look, needs(rule)).await?);
        let recover = if of_job { RECOVER_JOB } else { RECOVER_CHECK };
        match judge(rule, recover, &looks, before) {
            Judgement::Open { severity, failures, flapping } => {
                let said = incidents::bad_look(look, failures, &self.graph());
                let said = Opening { severity, flapping, ..said };
                self.open_as(draft, rule, (said, start_of(look.at, look.took))).await?;
            }
            Judgement::Flap(flapping) => self.flap(draft, root, flapping, rule),
            Judgement::Resolve => {
                if of_job || !self.is_bad_elsewhere(look, here).await? {
                    self.resolve_root(draft, root, works, rule);
                }
            }
            Judgement::Quiet => {}
        }
        Ok(())
    }

    /// The incident of a root as a look finds it. A success of the job ends at once what no rule has opened: a
    /// slot that expired, a success that was too old.
    fn before(
        &mut self,
        draft: &mut Draft,
        root: &Subject,
        (verdict, works): (Verdict, &str),
        rule: &AlertRule,
    ) -> Stands {
        let good = verdict == Verdict::Ok;
        let expired = incidents::key_of(root, Fault::Expired);
        if good && self.open.said(&expired).is_some() {
            self.resolve(draft, expired, works.to_owned(), rule);
        }
        let Some(said) = self.open.of_root(root.as_str()) else {
            return if good { Stands::Settled } else { Stands::Closed };
        };
        if said.class == incidents::STALE {
            if !good {
                return Stands::Closed;
            }
            self.resolve_root(draft, root, works.to_owned(), rule);
            return Stands::Settled;
        }
        Stands::Open(Before { severity: said.severity, flapping: said.flapping })
    }

    /// Opens what a rule says is open, or has the incident that tells of it already go on.
    async fn open_as(
        &mut self,
        draft: &mut Draft,
        rule: &AlertRule,
        (said, began): (Opening, Timestamp),
    ) -> Result<()> {
        let mut said = Opening { remind: rule.remind.clone(), notify: rule.notify.clone(), ..said };
        match self.whose(&said, began).await? {
            Whose::Own => {}
            Whose::Settles => return Ok(()),
            Whose::Of(key) => {
                self.join(draft, &key, &said);
                return Ok(());
            }
            Whose::Cause(cause) => {
                let cause = Opening { remind: said.remind, notify: said.notify, ..*cause };
                self.end_children(draft, &cause);
                self.plan_incident(draft, IncidentChange::Open(cause));
                return Ok(());
            }
        }
        if let Some(open) = self.open.of_root(&said.root) {
            said.key.clone_from(&open.key);
            said.affected.extend(open.affected.iter().cloned());
            said.affected.sort();
            said.affected.dedup();
        }
        self.plan_incident(draft, IncidentChange::Open(said));
        Ok(())
    }

    /// Ends what was told of jobs before their cause was known.
    pub(super) fn end_children(&mut self, draft: &mut Draft, cause: &Opening) {
        for name in &cause.affected {
            let root = Subject::job(name);
            let explained = |own: &&Opening| {
                let faults = own.fault.zip(cause.fault);
                own.key != cause.key
                    && faults.is_some_and(|(own, cause)| {
                        !walk::edges(own).is_empty() && walk::explains(cause, own)
                    })
            };
            let own = self.open.of_root(root.as_str()).filter(explained);
            let Some(key) = own.map(|own| own.key.clone()) else { continue };
            let Some(job) = self.catalog.jobs.get(name).cloned() else { continue };
            let note = format!("its cause is known: {}", cause.key);
            self.resolve(draft, key, note, &job.policy.alert);
        }
    }

    /// What fails in this commit.
    fn failing_here(&self, draft: &Draft) -> near::Here {
        let mut here = near::Here::default();
        for (id, ends) in &draft.ends {
            let Some(job) = self.jobs.get(id) else { continue };
            for end in ends {
                let failure = end.outcome.as_ref().and_then(near::failure);
                here.ends.extend(failure.map(|failure| (job.name.clone(), failure.clone())));
                let looks = end.looks.iter().filter(|look| look.check.kind() == SubjectKind::Check);
                here.looks.extend(looks.cloned());
            }
        }
        here
    }

    /// Lets an incident that is open tell of a failure that has its cause there.
    fn join(&mut self, draft: &mut Draft, key: &str, said: &Opening) {
        if let Some(own) = self.open.of_root(&said.root).filter(|own| own.key != key) {
            let note = format!("its cause is known: {key}");
            let (key, notify) = (own.key.clone(), said.notify.clone());
            self.plan_incident(draft, IncidentChange::Resolve { key, note, notify });
        }
        let Some(cause) = self.open.said(key) else { return };
        // Those of credentials and files are kept as a whole by who owns them.
        let more = said.affected.iter().any(|job| !cause.affected.contains(job));
        if more && key.contains('#') {
            let mut cause = cause.clone();
            cause.affected.extend(said.affected.iter().cloned());
            cause.affected.sort();
            cause.affected.dedup();
            self.plan_incident(draft, IncidentChange::Open(cause));
        }
    }

    fn flap(&mut self, draft: &mut Draft, root: &Subject, flapping: bool, rule: &AlertRule) {
        let Some(said) = self.open.of_root(root.as_str()).cloned() else { return };
        let said = Opening { flapping, notify: rule.notify.clone(), ..said };
        self.plan_incident(draft, IncidentChange::Open(said));
    }

    fn resolve_root(&mut self, draft: &mut Draft, root: &Subject, note: String, rule: &AlertRule) {
        if let Some(said) = self.open.of_root(root.as_str()) {
            self.resolve(draft, said.key.clone(), note, rule);
        }
    }

    fn resolve(&mut self, draft: &mut Draft, key: String, note: String, rule: &AlertRule) {
        let notify = rule.notify.clone();
        self.plan_incident(draft, IncidentChange::Resolve { key, note, notify });
    }

    pub(super) fn plan_expiry(&mut self, draft: &mut Draft, job: JobId, reason: &str) {
        let Some(job) = self.jobs.get(&job).cloned() else { return };
        let change = draft::expiry(&job.name, reason, job.policy.alert.notify.clone());
        self.plan_incident(draft, change);
    }
}

/// What is read.
impl Dispatcher {
    /// Ends before this commit, newest first, as far as a rule asks for them.
    async fn ends_before(&self, job: JobId, needs: Needs, until: Timestamp) -> Result<Vec<Look>> {
        let store = &self.parts.store;
        let newest = EndQuery { job, until, failed: false, limit: needs.newest };
        let mut ends = store.recent_ends(newest).await?;
        if let Some((limit, _)) = needs.bad.filter(|_| ends.len() >= needs.newest as usize) {
            let bad = store.recent_ends(EndQuery { failed: true, limit, ..newest }).await?;
            // The newest of them stand among the ends already.
            let known = ends.iter().filter(|(_, outcome)| !outcome.is_success()).count();
            ends.extend(bad.into_iter().skip(known));
        }
        Ok(ends.iter().filter_map(|(at, outcome)| Look::of_end(*at, outcome)).collect())
    }

    /// Looks of the same check before this one, newest first, as far as a rule asks for them.
    async fn looks_before(&self, look: &Observation, needs: Needs) -> Result<Vec<Look>> {
        let store = &self.parts.store;
        let newest = ObservationQuery {
            check: Some(look.check.clone()),
            since: None,
            until: Some(look.at),
            bad: false,
            limit: needs.newest,
        };
        let mut looks = store.observations(newest.clone()).await?;
        if let Some((limit, within)) = needs.bad.filter(|_| looks.len() >= needs.newest as usize) {
            let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
            let since = Some(look.at.saturating_sub(within).unwrap_or(Timestamp::MIN));
            let bad =
                store.observations(ObservationQuery { since, bad: true, limit, ..newest }).await?;
            let known = looks.iter().filter(|look| look.verdict != Verdict::Ok).count();
            looks.extend(bad.into_iter().skip(known));
        }
        // A result whose commit was kept although its answer was lost is one look.
        let same = |one: &Observation| one.run == look.run && one.at == look.at;
        Ok(looks.iter().filter(|one| !same(one)).map(Look::of).collect())
    }

    /// The newest looks of all checks in force, those of this commit among them.
    async fn last_looks(&self, here: &Here) -> Result<Vec<Observation>> {
        let mut last = self.parts.store.last_looks(self.last_now).await?;
        last.retain(|look| !here.looks.iter().any(|one| one.check == look.check));
        for look in here.looks.iter().rev() {
            if !last.iter().any(|one| one.check == look.check) {
                last.push(look.clone());
            }
        }
        last.retain(|look| self.is_in_force(&look.check));
        Ok(last)
    }

    /// Whether anybody makes the check: what a job or a check that is gone saw last is no evidence.
    fn is_in_force(&self, check: &Subject) -> bool {
        let Some(name) = check.job_name() else { return true };
        let Some(job) = self.catalog.jobs.get(&name).filter(|job| job.enabled) else {
            return false;
        };
        match (&*job.work, check.kind()) {
            (Work::Health(health), SubjectKind::Check) => {
                let made = |one: &Check| Subject::check(&name, &one.name.value) == *check;
                health.checks.value.iter().any(made)
            }
            _ => true,
        }
    }

    /// Whether something else than this check says that its subject is not well.
    async fn is_bad_elsewhere(&self, look: &Observation, here: &Here) -> Result<bool> {
        let bad = |one: &Observation| {
            one.subject == look.subject
                && one.check != look.check
                && matches!(one.verdict, Verdict::Warn | Verdict::Fail)
        };
        if self.last_looks(here).await?.iter().any(bad) {
            return Ok(true);
        }
        let job = look.subject.job_name().filter(|_| look.subject.kind() == SubjectKind::Job);
        let Some(id) = job.and_then(|name| self.state.job_id(&name)) else { return Ok(false) };
        let newest = self.ends_before(id, Needs { newest: 1, bad: None }, self.last_now).await?;
        let fails = newest.first().is_some_and(|end| end.verdict == Verdict::Fail);
        Ok(fails || self.state.is_stale(id))
    }

    /// Ends what checks have opened and no check looks at any more, since it was edited or removed. One that
    /// could not tell what it looked at is no proof of that.
    async fn settle_lookers(&mut self, draft: &mut Draft, here: &Here) -> Result<()> {
        if self.open.of_checks().next().is_none() {
            return Ok(());
        }
        let last = self.last_looks(here).await?;
        let graph = self.graph();
        let looked_at = |said: &Opening| {
            last.iter().any(|look| {
                let blind = look.verdict == Verdict::Unknown
                    && look.check.job_name().is_some_and(|job| said.affected.contains(&job));
                // What hangs on it and fails is how anybody knows of it.
                let child = look.verdict == Verdict::Fail
                    && Subject::parse(&said.root)
                        .is_some_and(|root| graph.hangs_on(&look.subject, &root));
                look.subject.as_str() == said.root || blind || child
            })
        };
        let over = |said: &&Opening| !said.affected.is_empty() && !looked_at(said);
        let over: Vec<(String, Vec<JobName>)> = self
            .open
            .of_checks()
            .filter(over)
            .map(|said| (said.key.clone(), said.affected.clone()))
            .collect();
        for (key, affected) in over {
            let Some(note) = self.over_for(&affected, here).await? else { continue };
            let notify = Vec::new();
            self.plan_incident(draft, IncidentChange::Resolve { key, note, notify });
        }
        Ok(())
    }
}

/// What is over without a look.
impl Dispatcher {
    /// Why an incident that nothing looks at is over: who was hit by it works again, or nobody was but checks
    /// that are gone. `None` where it goes on.
    async fn over_for(&self, affected: &[JobName], here: &Here) -> Result<Option<String>> {
        let mut hit = false;
        for name in affected {
            let Some(job) = self.catalog.jobs.get(name) else { continue };
            if matches!(&*job.work, Work::Health(_)) {
                continue;
            }
            hit = true;
            let Some(id) = self.state.job_id(name) else { continue };
            let newest = here.ends.iter().rev().find(|(of, ..)| *of == id);
            let works = match newest {
                Some((_, _, outcome)) => outcome.is_success(),
                None => {
                    let needs = Needs { newest: 1, bad: None };
                    let ends = self.ends_before(id, needs, self.last_now).await?;
                    ends.first().is_some_and(|end| end.verdict == Verdict::Ok)
                }
            };
            if works {
                return Ok(Some(format!("job {name} works again")));
            }
        }
        Ok((!hit).then(|| "nothing looks at it any more".to_owned()))
    }
}

/// So long before.
fn start_of(at: Timestamp, took: Duration) -> Timestamp {
    let took = SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX);
    at.saturating_sub(took).unwrap_or(Timestamp::MIN)
}

/// The rule of a check: its own, or its job's.
fn rule_of<'j>(job: &'j Job, check: &Subject) -> Cow<'j, AlertRule> {
    let name = check.rest().split_once('/').map(|(_, name)| name);
    let own = name.and_then(|name| job.work.checks().find(|(known, _)| *known == name)?.1);
    own.map_or(Cow::Borrowed(&job.policy.alert), |own| Cow::Owned(own.rule()))
}
