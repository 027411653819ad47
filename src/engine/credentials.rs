//! What credentials' standings mean for jobs: who is held, what is let go, which incidents are open.
//!
//! Owns the way from a standing to held jobs and to one incident for each cause. Refuses to know tokens and
//! how a standing comes about (`credentials/`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::{Anew, Dispatcher};
use super::draft::{Draft, Then};
use crate::credentials::declare::Declaration;
use crate::credentials::nature::Nature;
use crate::credentials::trouble::{self, Trouble};
use crate::model::{
    CredentialName, CredentialState, IncidentChange, JobId, Opening, Severity, Standing,
};
use crate::plan::signature;
use crate::spec::Job;
use crate::store::Change;

/// Where each credential stands.
pub type Standings = BTreeMap<CredentialName, Standing>;

/// Blocked runs of one job that are looked at when its credential works again.
const TAIL: u32 = 1000;

/// How long after an attempt that a credential ended its job is looked at, where nothing held it in
/// between: not at once, or a credential that only looks well would be asked in a tight loop.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

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
        let anew = std::mem::replace(&mut self.anew, Anew::Start);
        let unsettled = self.fresh && anew == Anew::Start;
        let again = self.blocked.extract_if(.., |_, at| *at <= now).map(|(job, _)| job);
        let again: BTreeSet<JobId> = again.collect();
        let bound: Vec<(JobId, Arc<Job>)> = self
            .jobs
            .iter()
            .filter(|(_, job)| !job.bindings.is_empty())
            .map(|(id, job)| (*id, Arc::clone(job)))
            .collect();
        let mut all = BTreeMap::new();
        for (id, job) in &bound {
            let held = self.held_by(job, &standings, now);
            let free = held.is_none();
            all.extend(held.clone().map(|why| (job.name.clone(), why)));
            // At a start and after a fault any job may have runs to let go. After a reload only those that
            // were held may: to ask the store about each of the others would make reloads slow.
            let before = self.state.set_held(*id, held);
            let before = before || self.held_jobs.contains_key(&job.name);
            if free && (before || unsettled || again.contains(id)) {
                self.let_go(draft, *id, now).await;
            }
        }
        if *self.held_jobs != all {
            self.held_jobs = Arc::new(all);
        }
        let looks = next_look(&standings, now).into_iter().chain(self.blocked.values().copied());
        self.credentials_at = looks.min();
        for change in self.credential_incidents(&standings, &bound, now) {
            if let IncidentChange::Open(cause) = &change
                && cause.severity == Severity::Error
            {
                self.end_children(draft, cause);
            }
            self.plan_incident(draft, change);
        }
    }

    /// Notes that an attempt has just ended its run as blocked. By the time that this is written down the
    /// trouble may be over, and then no change of a standing lets the run go.
    pub(super) fn note_blocked(&mut self, job: JobId, now: Timestamp) {
        let at = now.saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX);
        self.blocked.insert(job, at);
        self.credentials_at = self.credentials_at.into_iter().chain([at]).min();
    }

    /// Why a job can't start for lack of a credential, if it can't.
    fn held_by(&self, job: &Job, standings: &Standings, now: Timestamp) -> Option<Arc<str>> {
        job.bindings.iter().find_map(|binding| {
            let standing = standings.get(&binding.credential)?;
            let nature = self.parts.credentials.natures.get(&binding.credential)?;
            let holds = standing.holds(binding, now);
            holds.then(|| trouble::blocked_words(nature, standing).into())
        })
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
        for (trouble, names) in troubles.values() {
            let change = opening(trouble, names, &using(bound, names));
            if !self.open.says(&change) {
                changes.push(change);
            }
        }
        let open = self.open.keys().filter(|key| is_ours(key) && !troubles.contains_key(*key));
        for key in open {
            let names = self.concerned(key);
            let Some(note) = over(&names, standings) else { continue };
            let told = self.open.said(key).map(|said| said.affected.as_slice()).unwrap_or_default();
            let told = told.iter().filter_map(|name| self.catalog.jobs.get(name));
            changes.push(IncidentChange::Resolve {
                key: key.clone(),
                note,
                notify: everybody(using(bound, &names).into_iter().chain(told)),
            });
        }
        changes
    }

    /// The credentials that the key of an incident is about, as far as they are declared.
    fn concerned(&self, key: &str) -> Vec<&CredentialName> {
        let natures = self.parts.credentials.natures.iter();
        let client = key.strip_prefix("client/");
        let is_it = |(name, nature): &(&CredentialName, &Nature)| match client {
            Some(client) => nature.client.as_deref() == Some(client),
            None => key.strip_prefix("credential/") == Some(name.as_str()),
        };
        natures.filter(is_it).map(|(name, _)| name).collect()
    }
}

/// The jobs that use any of these, by name.
fn using<'j>(bound: &'j [(JobId, Arc<Job>)], names: &[&CredentialName]) -> Vec<&'j Arc<Job>> {
    let uses = |job: &&Arc<Job>| job.credentials().any(|one| names.contains(&one));
    let mut jobs: Vec<&Arc<Job>> = bound.iter().map(|(_, job)| job).filter(uses).collect();
    jobs.sort_by(|one, other| one.name.cmp(&other.name));
    jobs
}

/// Why an incident without a trouble is over, in words; `None` while nobody knows that it is: one that is
/// to be tried first, or fails in another way for a short time, has not shown that it works.
fn over(names: &[&CredentialName], standings: &Standings) -> Option<String> {
    use CredentialState as State;
    let known: Vec<_> =
        names.iter().filter_map(|name| Some((*name, standings.get(*name)?))).collect();
    let is = |states: &[State]| {
        let found = known.iter().find(|(_, standing)| states.contains(&standing.state));
        found.map(|(name, _)| *name)
    };
    if known.is_empty() {
        return Some("it is not declared any more".to_owned());
    }
    if is(&[State::Unknown, State::RefreshFailing]).is_some() {
        return None;
    }
    if let Some(name) = is(&[State::ReauthRequired, State::Misconfigured, State::Skewed]) {
        return Some(format!("{name} has another trouble now, which is told instead"));
    }
    Some(match (is(&[State::Revoked]), is(&[State::Paused])) {
        (Some(name), _) => format!("{name} was revoked on purpose"),
        (None, Some(name)) => format!("{name} is paused: jadactl auth resume {name}"),
        (None, None) => "it works again".to_owned(),
    })
}

fn is_ours(key: &str) -> bool {
    // With a fault behind it, it is what a check has seen.
    (key.starts_with("credential/") || key.starts_with("client/")) && !key.contains('#')
}

/// The incident as it is to be.
fn opening(trouble: &Trouble, names: &[&CredentialName], jobs: &[&Arc<Job>]) -> IncidentChange {
    let mut detail = trouble.detail.clone();
    if names.len() > 1 {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        detail = format!("{detail}\ncredentials: {}", names.join(", "));
    }
    IncidentChange::Open(Opening {
        fault: Some(signature::of_credential(trouble.class)),
        severity: trouble.severity,
        affected: jobs.iter().map(|job| job.name.clone()).collect(),
        title: trouble.title.clone(),
        detail,
        mend: trouble.mend.clone(),
        notify: everybody(jobs.iter().copied()),
        ..Opening::new(&trouble.key, &trouble.key, trouble.class.word())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_over_only_by_what_is_known() {
        use CredentialState as State;
        let (one, other) =
            (CredentialName::parse("a/one").unwrap(), CredentialName::parse("a/two").unwrap());
        let told = |states: &[State]| {
            let names = [&one, &other];
            let standing = |state| Standing { state, ..Standing::unknown(Timestamp::UNIX_EPOCH) };
            let pairs = names.iter().zip(states);
            let standings =
                pairs.map(|(name, state)| ((*name).clone(), standing(*state))).collect();
            over(&names, &standings)
        };
        let cases: &[(&[State], Option<&str>)] = &[
            (&[], Some("it is not declared any more")),
            (&[State::Healthy], Some("it works again")),
            (&[State::Expiring, State::Healthy], Some("it works again")),
            (&[State::Unknown], None),
            (&[State::Healthy, State::Unknown], None),
            (&[State::RefreshFailing], None),
            (&[State::Paused], Some("a/one is paused: jadactl auth resume a/one")),
            (&[State::Healthy, State::Revoked], Some("a/two was revoked on purpose")),
            (&[State::Misconfigured], Some("a/one has another trouble now, which is told instead")),
        ];
        for (states, want) in cases {
            assert_eq!(told(states).as_deref(), *want, "{states:?}");
        }
    }
}
