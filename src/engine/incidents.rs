//! Incidents of jobs and of job files: what opens and what closes them.
//!
//! Owns their keys and words, and the set of those that are open. Refuses to decide when a job's failures
//! are an incident: that is `plan::incident`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::judge::Overdue;
use crate::diagnosis;
use crate::diagnosis::graph::Graph;
use crate::model::{
    AlertRule, Fault, Incident, IncidentChange, JobName, Observation, Opening, Outcome, RunId,
    Severity, Subject,
};
use crate::plan::catch_up::words;
use crate::plan::signature;
use crate::plan::staleness::{self, Stale};
use crate::spec::{Catalog, Job, JobFile};
use crate::yaml::{Code, Diagnostic};

const FILE: &str = "file/";
/// The class of a job without a fresh success.
pub(super) const STALE: &str = "stale";

const STUCK: &str = "#exec.stuck";
const EXPIRED: &str = "#expired";

/// The class of what waits for a person to look.
const HELD: &str = "held";

/// The incidents that are open, with what they say; whom it was said to is not kept.
#[derive(Debug, Default)]
pub(super) struct Open(BTreeMap<String, Opening>);

impl Open {
    pub(super) fn from_stored(incidents: &[Incident]) -> Self {
        let said = |one: &Incident| Opening {
            key: one.key.clone(),
            class: one.class.clone(),
            root: one.root.clone(),
            fault: one.fault,
            affected: one.affected.clone(),
            severity: one.severity,
            title: one.title.clone(),
            detail: one.detail.clone(),
            mend: one.mend.clone(),
            flapping: one.flapping,
            remind: one.remind.clone(),
            notify: Vec::new(),
        };
        Self(incidents.iter().map(|one| (one.key.clone(), said(one))).collect())
    }

    /// The keys of those that are open.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// What an open one says.
    pub(super) fn said(&self, key: &str) -> Option<&Opening> {
        self.0.get(key)
    }

    /// Whether an open one says just that.
    pub(super) fn says(&self, change: &IncidentChange) -> bool {
        match change {
            IncidentChange::Open(opening) => {
                let silent = Opening { notify: Vec::new(), ..opening.clone() };
                self.0.get(&opening.key) == Some(&silent)
            }
            IncidentChange::Resolve { .. } | IncidentChange::Acknowledge { .. } => false,
        }
    }

    /// The one open incident of what fails at a root. Slots that expired and attempts that do not end are
    /// troubles of their own, which a good look does not end.
    pub(super) fn of_root(&self, root: &str) -> Option<&Opening> {
        let from = format!("{root}#");
        let of_root = self.0.range(from.clone()..).take_while(|(key, _)| key.starts_with(&from));
        of_root.map(|(_, said)| said).find(|said| !apart(&said.key))
    }

    /// Whether a job is told of in the incident of something that it depends on: what holds it or makes it fail
    /// keeps its data from being fresh, too.
    pub(super) fn hits(&self, job: &JobName) -> bool {
        let of_others = |said: &&Opening| {
            let other = !said.key.starts_with("job/") && !said.key.starts_with(FILE);
            other && said.severity == Severity::Error
        };
        self.0.values().filter(of_others).any(|said| said.affected.contains(job))
    }

    /// Those of what checks have seen: at a root that is neither a job nor kept by anybody else. What the
    /// daemon finds out about itself is its own.
    pub(super) fn of_checks(&self) -> impl Iterator<Item = &Opening> {
        let others = |key: &str| key.starts_with("job/") || key.starts_with("daemon/");
        self.0.values().filter(move |said| said.key.contains('#') && !others(&said.key))
    }

    /// Notes a change that is about to be committed.
    pub(super) fn note(&mut self, change: &IncidentChange) {
        match change {
            IncidentChange::Open(opening) => {
                let silent = Opening { notify: Vec::new(), ..opening.clone() };
                self.0.insert(opening.key.clone(), silent);
            }
            IncidentChange::Resolve { key, .. } => {
                self.0.remove(key);
            }
            IncidentChange::Acknowledge { .. } => {}
        }
    }

    /// What attempts that do not end open, and what is over since they have ended.
    pub(super) fn settle_stuck<'a>(
        &self,
        stuck: impl Iterator<Item = (&'a Job, &'a Overdue)>,
    ) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        let mut keys = BTreeSet::new();
        for (job, Overdue { run, waited }) in stuck {
            let root = Subject::job(&job.name);
            let key = key_of(&root, Fault::Stuck);
            if keys.insert(key.clone()) && !self.0.contains_key(&key) {
                changes.push(IncidentChange::Open(Opening {
                    fault: Some(Fault::Stuck),
                    affected: vec![job.name.clone()],
                    title: format!("job {}: run {run} was told to stop and does not end", job.name),
                    detail: format!(
                        "waited {}; it keeps its seat, since a next attempt would run beside it",
                        words(*waited)
                    ),
                    mend: format!("jadactl logs {run}"),
                    notify: job.policy.alert.notify.clone(),
                    ..Opening::new(key, root.as_str(), "stuck")
                }));
            }
        }
        let over = |key: &&String| key.ends_with(STUCK) && !keys.contains(*key);
        changes.extend(self.0.keys().filter(over).map(|key| IncidentChange::Resolve {
            key: key.clone(),
            note: "it has ended".to_owned(),
            notify: Vec::new(),
        }));
        changes
    }

    /// What the catalog opens and closes: one incident for each file that is not in force as it stands,
    /// and the end of those of jobs that are gone.
    pub(super) fn settle_catalog(&self, catalog: &Catalog) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        let mut bad = BTreeSet::new();
        for (file, problems) in problems(catalog) {
            let key = format!("{FILE}{file}");
            if self.0.get(&key).is_none_or(|said| said.detail != problems.detail) {
                changes.push(IncidentChange::Open(Opening {
                    fault: Some(Fault::Configuration),
                    affected: problems.jobs,
                    title: problems.title,
                    detail: problems.detail,
                    mend: format!("jadactl validate {file}"),
                    ..Opening::new(&key, &key, "configuration")
                }));
            }
            bad.insert(key);
        }
        let over = |key: &&String| {
            let mended = key.starts_with(FILE) && !bad.contains(*key);
            mended || job_of(key).is_some_and(|job| !catalog.jobs.contains_key(&job))
        };
        let resolved = self.0.keys().filter(over).map(|key| IncidentChange::Resolve {
            key: key.clone(),
            note: if key.starts_with(FILE) {
                "the file is valid, or gone".to_owned()
            } else {
                "the job is gone from jobs.d".to_owned()
            },
            notify: Vec::new(),
        });
        changes.extend(resolved);
        changes
    }
}

/// Whether an incident of a root is no failure of its looks.
fn apart(key: &str) -> bool {
    key.ends_with(STUCK) || key.ends_with(EXPIRED)
}

/// What the failure of a job's run says; its key, its severity and whom it tells come from the rule.
pub(super) fn failure(job: &JobName, run: RunId, outcome: &Outcome, failures: u32) -> Opening {
    let times = if failures < 2 { String::new() } else { format!(", {failures} failed runs") };
    let class = outcome.class().map_or("failed", crate::model::FailureClass::word);
    // Law 3: what follows for the run is in the class; the word here is for people.
    let (class, detail) = match outcome.held() {
        Some("") => (HELD, format!("nothing was touched; last: run {run}")),
        Some(what) => (HELD, format!("{what}\nnothing was touched; last: run {run}")),
        None => (class, format!("class {class}{times}; last: run {run}")),
    };
    let root = Subject::job(job);
    let fault = match outcome.held() {
        Some(_) => Fault::Held,
        None => signature::fault(outcome.class(), outcome.message()),
    };
    Opening {
        fault: Some(fault),
        affected: vec![job.clone()],
        title: format!("job {job}: {}", outcome.message()),
        detail,
        mend: outcome.mend().map_or_else(|| format!("jadactl logs {run}"), str::to_owned),
        ..Opening::new(key_of(&root, fault), root.as_str(), class)
    }
}

/// What a check's bad look says; its key, its severity and whom it tells come from the rule.
pub(super) fn bad_look(look: &Observation, failures: u32, graph: &Graph) -> Opening {
    let fault = look.fault.unwrap_or(Fault::Unknown);
    let times = if failures < 2 { String::new() } else { format!(", {failures} bad looks") };
    let last = look.run.map_or_else(String::new, |run| format!("; last: run {run}"));
    let affected = look.check.job_name();
    let verdict = look.verdict.word();
    let way = graph.way(&look.subject, std::iter::once(&look.check));
    Opening {
        fault: Some(fault),
        mend: diagnosis::words::fix(&look.subject, fault, look.run.map(|run| run.0), way),
        affected: affected.into_iter().collect(),
        title: format!("check {}: {}", look.check.rest(), look.text),
        detail: format!("{verdict}: {}{times}{last}", fault.word()),
        ..Opening::new(key_of(&look.subject, fault), look.subject.as_str(), fault.word())
    }
}

/// The incident of a job without a fresh success.
pub(super) fn stale(
    job: &JobName,
    (since, stale): (Timestamp, &Stale),
    now: Timestamp,
    rule: &AlertRule,
) -> Opening {
    let root = Subject::job(job);
    Opening {
        fault: Some(Fault::Stale),
        affected: vec![job.clone()],
        severity: stale.severity,
        title: format!("job {job}: {}", staleness::told(stale, since, now)),
        detail: format!("counted from {since}; freshness: {}", staleness::promise(stale)),
        mend: format!("jadactl explain {job}"),
        remind: rule.remind.clone(),
        notify: rule.notify.clone(),
        ..Opening::new(key_of(&root, Fault::Stale), root.as_str(), STALE)
    }
}

/// The key of an incident: its root and the fault at its opening.
pub(super) fn key_of(root: &Subject, fault: Fault) -> String {
    format!("{root}#{}", fault.word())
}

/// The job that an incident's key names.
fn job_of(key: &str) -> Option<JobName> {
    let name = key.strip_prefix("job/")?;
    JobName::parse(name.split('#').next().unwrap_or(name)).ok()
}

/// What an incident says of a job file.
struct Problem {
    title: String,
    detail: String,
    jobs: Vec<JobName>,
}

/// The job files that are not in force as they stand, and the folder itself where it can't be read.
fn problems(catalog: &Catalog) -> Vec<(String, Problem)> {
    let of_file = |file: &Arc<JobFile>| {
        let path = file.path.display().to_string();
        let first = file.first_error()?;
        let errors = file.diagnostics.iter().filter(|one| one.is_error()).count();
        let kept = match file.jobs.len() {
            0 => match file.diagnostics.iter().find(|one| one.code == Code::CopyUnusable) {
                Some(copy) => format!("nothing of it runs: {}", copy.message),
                None => "nothing of it runs".to_owned(),
            },
            1 => "the last good version of its job runs on".to_owned(),
            jobs => format!("the last good version of its {jobs} jobs runs on"),
        };
        let more = if errors > 1 { format!(" (1 of {errors} errors)") } else { String::new() };
        let detail = format!("{}{more}; {kept}", place(first));
        Some((
            path,
            Problem {
                title: format!("{}: {}", file.path.display(), first.message),
                detail,
                jobs: file.jobs.iter().map(|job| job.name.clone()).collect(),
            },
        ))
    };
    let of_folder = catalog.trouble.iter().map(|trouble| {
        let path = trouble.source.path().to_owned();
        let detail = "the jobs that were read before run on".to_owned();
        (path, Problem { title: trouble.message.clone(), detail, jobs: Vec::new() })
    });
    catalog.bad_files().filter_map(of_file).chain(of_folder).collect()
}

fn place(diagnostic: &Diagnostic) -> String {
    match diagnostic.region() {
        Some(region) => {
            format!(
                "{} at line {}, column {}",
                diagnostic.code, region.start.line, region.start.column
            )
        }
        None => diagnostic.code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, FailureClass};

    fn opened(failure: Failure) -> String {
        let job = JobName::parse("port-sheet").expect("a name");
        let said = super::failure(&job, RunId(7), &Outcome::Failed(failure), 2);
        format!("{}\n{}\n{}\n{}", said.class, said.title, said.detail, said.mend)
    }

    #[test]
    fn what_a_guard_holds_says_so_with_its_proof_and_its_command() {
        let held = Failure {
            held: Some("3 insert, 97 delete\ndelete B-17, B-18".into()),
            mend: Some("jadactl sync diff port-sheet".into()),
            ..Failure::new(FailureClass::Permanent, "held: max_delete: 97 of 100 rows")
        };
        insta::assert_snapshot!(opened(held), @r"
        held
        job port-sheet: held: max_delete: 97 of 100 rows
        3 insert, 97 delete
        delete B-17, B-18
        nothing was touched; last: run 7
        jadactl sync diff port-sheet
        ");
        let other = Failure::new(FailureClass::Transient, "failed:source: no answer");
        insta::assert_snapshot!(opened(other), @r"
        transient
        job port-sheet: failed:source: no answer
        class transient, 2 failed runs; last: run 7
        jadactl logs 7
        ");
    }
}
