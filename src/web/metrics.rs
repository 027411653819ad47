//! The daemon in figures, for those who collect figures.
//!
//! Owns the names, units and labels of all metrics, and the two texts that carry them: the one that
//! Prometheus scrapes, and the list that `jadactl metrics` makes a line for CloudWatch of. Labels are names of
//! jobs, checks and credentials and words from closed lists, so their number is bounded by the
//! definitions. Refuses to keep anything: each answer is made from stored rows.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use super::answers::App;
use super::api::{LIMIT_MAX, Problem, ProblemKind};
use crate::model::{Hold, RunState};
use crate::model::{JobName, Notification, Severity, Verdict};
use crate::store::RunQuery;

/// What the text is, as HTTP has it.
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Jobs that have figures of their own; the first ones by name.
const JOBS_MAX: usize = 1000;

const DAY: Duration = Duration::from_hours(24);

/// `GET /api/metrics`: a list of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its name, with the unit at the end.
    pub name: String,
    /// What it is, in a line.
    pub help: String,
    /// What it is of.
    pub labels: BTreeMap<String, String>,
    /// The figure.
    pub value: f64,
}

/// A message that is to go out and does not: neither held on purpose nor told.
#[must_use]
pub fn is_undelivered(row: &Notification) -> bool {
    let held = row.held.as_ref().map(|held| held.by);
    matches!(held, None | Some(Hold::Retry | Hold::Down | Hold::Unknown))
}

/// Figures in the making.
#[derive(Default)]
struct Figures(Vec<Sample>);

impl Figures {
    fn add(&mut self, (name, help): (&str, &str), labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let (name, help) = (format!("jada_{name}"), help.to_owned());
        self.0.push(Sample { name, help, labels: labels.collect(), value });
    }
}

impl App {
    /// Every figure, those of one name together.
    pub(super) async fn metrics(&self) -> Result<Vec<Sample>, Problem> {
        let mut figures = Figures::default();
        self.daemon(&mut figures).await?;
        self.jobs_in_figures(&mut figures).await?;
        self.checks_in_figures(&mut figures).await?;
        self.told(&mut figures).await?;
        self.credentials_in_figures(&mut figures);
        figures.0.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        Ok(figures.0)
    }

    async fn daemon(&self, figures: &mut Figures) -> Result<(), Problem> {
        let (view, health) = (self.engine.view(), self.health().await);
        let version = ("build_info", "The version of the daemon.");
        figures.add(version, &[("version", &health.version)], 1.0);
        figures.add(
            ("up", "Whether the loop is on time and the store works."),
            &[],
            flag(health.ok),
        );
        let lag = ("loop_lag_seconds", "By how much the scheduler's loop is behind.");
        figures.add(lag, &[], health.lag);
        let start = ("start_time_seconds", "When the daemon started.");
        figures.add(start, &[], seconds(view.started_at));
        let runs = ("runs", "Runs that are under way or wait.");
        figures.add(runs, &[("state", "running")], count(view.running as u64));
        figures.add(runs, &[("state", "queued")], count(view.queued as u64));
        let size = ("store_bytes", "What the stored rows take.");
        figures.add(size, &[], count(self.store.size().await?));
        if let Some((resident, cpu)) = of_process() {
            figures.add(("resident_memory_bytes", "Resident memory of the daemon."), &[], resident);
            figures.add(("cpu_seconds", "CPU time that the daemon has used."), &[], cpu);
        }
        Ok(())
    }

    async fn jobs_in_figures(&self, figures: &mut Figures) -> Result<(), Problem> {
        let view = self.engine.view();
        let (states, now) = (self.job_states().await?, self.clock.now());
        let summaries = self.store.summaries(now - DAY).await?;
        let all = view.catalog.jobs.len();
        figures.add(("jobs", "Jobs in force."), &[], count(all as u64));
        let disabled = view.catalog.jobs.values().filter(|job| !job.enabled).count();
        figures.add(("jobs_disabled", "Jobs that are disabled."), &[], count(disabled as u64));
        let paused = states.values().filter(|state| state.paused.is_some()).count();
        figures.add(("jobs_paused", "Jobs that are paused."), &[], count(paused as u64));
        figures.add(
            ("jobs_blocked", "Jobs that a credential blocks."),
            &[],
            count(view.held.len() as u64),
        );
        let left_out = all.saturating_sub(JOBS_MAX);
        figures.add(
            ("jobs_left_out", "Jobs without figures of their own."),
            &[],
            count(left_out as u64),
        );
        for name in view.catalog.jobs.keys().take(JOBS_MAX) {
            let job = [("job", name.as_str())];
            if let Some(summary) = summaries.get(name) {
                for (state, n) in &summary.counts {
                    let slots = ("slots_last_day", "Slots and requests of the last 24 hours.");
                    figures.add(slots, &[job[0], ("state", state.word())], count(*n));
                }
            }
            let success = states.get(name).and_then(|state| state.last_success);
            if let Some(at) = success {
                let last = ("last_success_timestamp_seconds", "When a run last ended well.");
                figures.add(last, &job, seconds(at));
                let age = ("last_success_age_seconds", "Time since a run last ended well.");
                figures.add(age, &job, span(at, now));
            }
            if let Some(took) = self.last_took(name).await? {
                let last =
                    ("last_run_duration_seconds", "How long the newest run took that is over.");
                figures.add(last, &job, took);
            }
        }
        Ok(())
    }

    /// How long a job's newest run took that is over.
    async fn last_took(&self, job: &JobName) -> Result<Option<f64>, Problem> {
        let query = RunQuery { job: Some(job.clone()), limit: 3, ..RunQuery::default() };
        let rows = self.store.runs(query).await?;
        let over = rows.into_iter().find_map(|row| match (row.run.started_at, row.run.state) {
            (Some(start), RunState::Finished { at, .. }) => Some(span(start, at)),
            _ => None,
        });
        Ok(over)
    }

    async fn checks_in_figures(&self, figures: &mut Figures) -> Result<(), Problem> {
        let now = self.clock.now();
        for (job, check, look) in self.newest_looks().await? {
            let labels = [("job", job.as_str()), ("check", check.as_str())];
            let verdict = ("check_verdict", "The newest look: 0 ok, 1 warn, 2 unknown, 3 fail.");
            let worse = Verdict::ALL.iter().position(|verdict| *verdict == look.verdict);
            figures.add(verdict, &labels, count(worse.unwrap_or_default() as u64));
            let age = ("check_age_seconds", "Time since the newest look.");
            figures.add(age, &labels, span(look.at, now));
            let took = ("check_duration_seconds", "How long the newest look took.");
            figures.add(took, &labels, look.took.as_secs_f64());
        }
        Ok(())
    }

    /// Incidents, and who is still to be told of them.
    async fn told(&self, figures: &mut Figures) -> Result<(), Problem> {
        let open = self.store.incidents(false, LIMIT_MAX).await?;
        let name = ("incidents_open", "Open incidents.");
        for (word, severity) in [("error", Severity::Error), ("warning", Severity::Warning)] {
            let n = open.iter().filter(|one| one.severity == severity).count();
            figures.add(name, &[("severity", word)], count(n as u64));
        }
        let (waiting, now) = (self.store.notifications(false, LIMIT_MAX).await?, self.clock.now());
        let (stuck, held): (Vec<_>, Vec<_>) = waiting.iter().partition(|row| is_undelivered(row));
        let depth = ("outbox_rows", "Messages that are still to go out.");
        figures.add(depth, &[("state", "waiting")], count(stuck.len() as u64));
        figures.add(depth, &[("state", "held")], count(held.len() as u64));
        let oldest = stuck.iter().map(|row| row.created_at).min();
        let age = ("outbox_oldest_seconds", "Age of the oldest message that should be out.");
        figures.add(age, &[], oldest.map_or(0.0, |at| span(at, now)));
        Ok(())
    }

    fn credentials_in_figures(&self, figures: &mut Figures) {
        let now = self.clock.now();
        for (name, standing) in self.engine.view().standings.iter() {
            let labels = [("credential", name.as_str())];
            let state = ("credential_state", "How a credential stands: 1 of the state it is in.");
            figures.add(state, &[labels[0], ("state", standing.state.word())], 1.0);
            if let Some(end) = &standing.horizon {
                let left = end.at.duration_since(now).as_secs_f64() / DAY.as_secs_f64();
                let days = ("credential_days_left", "Days until a credential's known end.");
                figures.add(days, &labels, left);
            }
        }
    }
}

/// The figures as Prometheus reads them.
pub(super) fn text(samples: Vec<Sample>) -> Result<String, Problem> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collected(samples)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).map_err(|error| Problem {
        problem: ProblemKind::Internal,
        message: format!("can't write the metrics: {error}"),
        hint: String::new(),
    })?;
    Ok(text)
}

/// Samples of one name stand together.
#[derive(Debug)]
struct Collected(Vec<Sample>);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in self.0.chunk_by(|a, b| a.name == b.name) {
            let (name, help) = (&family[0].name, family[0].help.trim_end_matches('.'));
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for sample in family {
                let gauge = ConstGauge::new(sample.value);
                let labels: Vec<(&str, &str)> = sample
                    .labels
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                if labels.is_empty() {
                    gauge.encode(metric.encode_family(&[("", ""); 0])?)?;
                } else {
                    gauge.encode(metric.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Resident bytes and CPU seconds of this process.
fn of_process() -> Option<(f64, f64)> {
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    let ticks = count(stat.utime + stat.stime);
    let resident = count(stat.rss * procfs::page_size());
    Some((resident, ticks / count(procfs::ticks_per_second())))
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "no figure here comes near 2^53")]
fn count(n: u64) -> f64 {
    n as f64
}

fn seconds(at: Timestamp) -> f64 {
    at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// From one time to a later one; 0 where the clock says otherwise.
fn span(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
