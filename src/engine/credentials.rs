//! What credentials' standings mean for jobs: who is held, what is let go, which incidents are open.
//!
//! Owns the way from a standing to held jobs and to one incident for each cause. Refuses to know tokens and
//! how a standing comes about (`credentials/`).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::draft::{Draft, Then};
use crate::credentials::declare::Declaration;
use crate::credentials::nature::Nature;
use crate::credentials::trouble::{self, Trouble};
use crate::model::{CredentialName, IncidentChange, JobId, JobName, Standing};
use crate::spec::Job;
use crate::store::Change;

/// Where each credential stands.
pub type Standings = BTreeMap<CredentialName, Standing>;

/// Blocked runs of one job that are looked at when its credential works again.
const TAIL: u32 = 1000;

/// What the engine knows of credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// What kind each declared one is of.
    pub natures: Arc<BTreeMap<CredentialName, Nature>>,
    /// Where they stand, now and later.
    pub standings: tokio::sync::watch::Receiver<Arc<Standings>>,
}

impl Credentials {
    /// These, as they are declared, with where they stand.
    #[must_use]
    pub fn of(
        declared: &BTreeMap<CredentialName, Arc<Declaration>>,
        standings: tokio::sync::watch::Receiver<Arc<Standings>>,
    ) -> Self {
        // Where systemd keeps its own credentials decides nothing that is asked of a nature here.
        let nature = |(name, declared): (&CredentialName, &Arc<Declaration>)| {
            (name.clone(), Nature::of(declared, None))
        };
        Self { natures: Arc::new(declared.iter().map(nature).collect()), standings }
    }

    /// No credentials.
    #[must_use]
    pub fn none() -> Self {
        let (_, standings) = tokio::sync::watch::channel(Arc::default());
        Self { natures: Arc::default(), standings }
    }

    /// Waits until a standing changes; for ever where nobody can change one any more.
    pub(super) async fn changed(&mut self) {
        if self.standings.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Dispatcher {
    /// Holds and lets go jobs by what their credentials' standings say, and squares the incidents with
    /// them. Looks only where a standing changed, or the image is new.
    pub(super) async fn plan_credentials(&mut self, draft: &mut Draft, now: Timestamp) {
        let standings = Arc::clone(&self.parts.credentials.standings.borrow_and_update());
        let due = self.credentials_at.is_some_and(|at| at <= now);
        if Arc::ptr_eq(&standings, &self.standings) && !due && !self.fresh {
            return;
        }
        self.standings = Arc::clone(&standings);
        self.credentials_at = next_look(&standings, now);
        let bound: Vec<(JobId, Arc<Job>)> = self
            .jobs
            .iter()
            .filter(|(_, job)| !job.bindings.is_empty())
            .map(|(id, job)| (*id, Arc::clone(job)))
            .collect();
        for (id, job) in &bound {
            let held = held(job, &standings, now);
            let free = held.is_none();
            let before = self.state.set_held(*id, held);
            if free && (before || self.fresh) {
                self.let_go(draft, *id, now).await;
            }
        }
        for change in self.credential_incidents(&standings, &bound, now) {
            self.plan_incident(draft, change);
        }
    }

    /// Queues again what catch-up wants of the runs that were blocked.
    async fn let_go(&mut self, draft: &mut Draft, job: JobId, now: Timestamp) {
        let tail = match self.parts.store.blocked_tail(job, TAIL).await {
            Ok(tail) if tail.is_empty() => return,
            Ok(tail) => tail,
            Err(error) => {
                tracing::error!(%error, "what a credential had blocked was not read");
                self.stale = true;
                return;
            }
        };
        for (run, why) in self.state.release(job, &tail, now) {
            draft.push(Change::Release { run, ready_at: now, why }, Then::Agree);
        }
    }

    /// What opens and what closes: one incident for each cause, with all jobs that it holds.
    fn credential_incidents(
        &self,
        standings: &Standings,
        bound: &[(JobId, Arc<Job>)],
        now: Timestamp,
    ) -> Vec<IncidentChange> {
        let mut troubles: BTreeMap<String, (Trouble, Vec<&CredentialName>)> = BTreeMap::new();
        for (name, standing) in standings {
            let Some(nature) = self.parts.credentials.natures.get(name) else { continue };
            let Some(trouble) = trouble::trouble(nature, standing, now) else { continue };
            let entry = troubles.entry(trouble.key.clone()).or_insert((trouble, Vec::new()));
            entry.1.push(name);
        }
        let mut changes = Vec::new();
        for (key, (trouble, names)) in &troubles {
            let uses = |job: &&Arc<Job>| job.credentials().any(|one| names.contains(&one));
            let mut jobs: Vec<&Arc<Job>> = bound.iter().map(|(_, job)| job).filter(uses).collect();
            jobs.sort_by(|one, other| one.name.cmp(&other.name));
            if let Some(change) = opened(trouble, names, &jobs, self.open.detail(key)) {
                changes.push(change);
            }
        }
        let over = self.open.keys().filter(|key| is_ours(key) && !troubles.contains_key(*key));
        changes.extend(over.map(|key| IncidentChange::Resolve {
            key: key.clone(),
            note: "it works again, or is gone".to_owned(),
            notify: everybody(bound.iter().map(|(_, job)| job)),
        }));
        changes
    }
}

/// Why a job can't start for lack of a credential, if it can't.
fn held(job: &Job, standings: &Standings, now: Timestamp) -> Option<Arc<str>> {
    let holds = |binding: &&crate::model::Binding| {
        standings.get(&binding.credential).is_some_and(|one| one.holds(binding, now))
    };
    let credential = &job.bindings.iter().find(holds)?.credential;
    Some(trouble::blocked_words(credential, standings.get(credential)?).into())
}

fn is_ours(key: &str) -> bool {
    key.starts_with("credential/") || key.starts_with("client/")
}

/// The incident as it is to be; `None` where it says so already.
fn opened(
    trouble: &Trouble,
    names: &[&CredentialName],
    jobs: &[&Arc<Job>],
    said: Option<&str>,
) -> Option<IncidentChange> {
    let mut detail = trouble.detail.clone();
    if names.len() > 1 {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        detail = format!("{detail}\ncredentials: {}", names.join(", "));
    }
    if said == Some(detail.as_str()) {
        return None;
    }
    let affected: Vec<JobName> = jobs.iter().map(|job| job.name.clone()).collect();
    Some(IncidentChange::Open {
        key: trouble.key.clone(),
        severity: trouble.severity,
        class: trouble.class.word().to_owned(),
        root: trouble.key.clone(),
        affected,
        title: trouble.title.clone(),
        detail,
        mend: trouble.mend.clone(),
        notify: everybody(jobs.iter().copied()),
    })
}

/// Whom the jobs tell of their own troubles: they are told of what holds them.
fn everybody<'j>(jobs: impl Iterator<Item = &'j Arc<Job>>) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> =
        jobs.flat_map(|job| job.policy.alert.notify.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

/// When time alone changes what the standings say: a token that is still good ends.
fn next_look(standings: &Standings, now: Timestamp) -> Option<Timestamp> {
    let ends = standings.values().filter_map(|standing| trouble::looks_again(standing, now));
    ends.min()
}
