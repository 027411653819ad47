//! How each check of the health jobs stands, with its last looks.
//!
//! Owns the answer and its wire types. Refuses to judge: a verdict is what was stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::answers::App;
use super::api::{LIMIT_MAX, Problem};
use crate::kinds::Work;
use crate::model::{JobName, Observation, RunId, Subject, Verdict};
use crate::spec::Job;
use crate::store::ObservationQuery;

/// Looks that are told of each check.
const TRAIL: u32 = 10;

/// The questions of `GET /api/checks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChecksQuery {
    /// Only this job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
}

/// `GET /api/checks`: a list of these, by job and in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckItem {
    /// The job.
    pub job: JobName,
    /// The check.
    pub check: String,
    /// What the newest look came to; `None` where nobody has looked yet.
    pub verdict: Option<Verdict>,
    /// What is wrong, in one word.
    pub fault: Option<String>,
    /// What it looked at, as a name.
    pub subject: String,
    /// What was seen, in one line.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
    /// Since when all looks came to the same, as far as they are kept.
    pub since: Option<Timestamp>,
    /// The run that looked.
    pub run: Option<RunId>,
    /// The last looks, oldest first.
    pub looks: Vec<Look>,
}

/// One look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl App {
    /// The checks of every health job in force, or of one.
    pub(super) async fn checks(&self, query: ChecksQuery) -> Result<Vec<CheckItem>, Problem> {
        if let Some(job) = &query.job {
            self.known(job.as_str())?;
        }
        let view = self.engine.view();
        let mut items = Vec::new();
        for job in view.catalog.jobs.values() {
            if query.job.as_ref().is_some_and(|name| *name != job.name) {
                continue;
            }
            for check in checks(job) {
                let looks = self.looks(&job.name, &check).await?;
                items.push(item(job.name.clone(), check, &looks));
            }
        }
        Ok(items)
    }

    /// The last looks of a check, newest first.
    async fn looks(&self, job: &JobName, check: &str) -> Result<Vec<Observation>, Problem> {
        let query = ObservationQuery {
            check: Some(Subject::check(job, check)),
            until: Some(self.clock.now()),
            limit: TRAIL,
            ..ObservationQuery::default()
        };
        Ok(self.store.observations(query).await?)
    }

    /// The newest look of each check in force.
    pub(super) async fn newest_looks(
        &self,
    ) -> Result<Vec<(JobName, String, Observation)>, Problem> {
        let newest = self.store.last_looks(self.clock.now()).await?;
        let mut newest: BTreeMap<Subject, Observation> =
            newest.into_iter().map(|look| (look.check.clone(), look)).collect();
        let view = self.engine.view();
        let mut looks = Vec::new();
        for job in view.catalog.jobs.values() {
            for check in checks(job) {
                if let Some(look) = newest.remove(&Subject::check(&job.name, &check)) {
                    looks.push((job.name.clone(), check, look));
                }
            }
        }
        looks.truncate(LIMIT_MAX as usize);
        Ok(looks)
    }
}

/// The names of a job's checks.
fn checks(job: &Job) -> Vec<String> {
    match job.work.as_ref() {
        Work::Health(spec) => {
            spec.checks.value.iter().map(|check| check.name.value.clone()).collect()
        }
        Work::Command(_) | Work::Sync(_) => Vec::new(),
    }
}

fn item(job: JobName, check: String, looks: &[Observation]) -> CheckItem {
    let newest = looks.first();
    let verdict = newest.map(|look| look.verdict);
    let same = looks.iter().take_while(|look| Some(look.verdict) == verdict);
    let since = same.last().map(|look| look.at);
    let look = |look: &Observation| Look {
        at: look.at,
        verdict: look.verdict,
        took_ms: u64::try_from(look.took.as_millis()).unwrap_or(u64::MAX),
    };
    CheckItem {
        job,
        check,
        verdict,
        fault: newest.and_then(|look| look.fault).map(|fault| fault.word().to_owned()),
        subject: newest.map(|look| look.subject.to_string()).unwrap_or_default(),
        text: newest.map(|look| look.text.clone()).unwrap_or_default(),
        at: newest.map(|look| look.at),
        since,
        run: newest.and_then(|look| look.run),
        looks: looks.iter().rev().map(look).collect(),
    }
}
