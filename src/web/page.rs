//! The status page: one look says whether everything runs.
//!
//! Owns what it shows and in which order. Refuses to change anything, to run scripts, and to load
//! anything from elsewhere: it is one document, readable in light and dark.

use std::sync::OnceLock;

use handlebars::Handlebars;
use jiff::Timestamp;
use serde::Serialize;

use super::answers::App;
use super::api::{
    CheckItem, ChecksQuery, IncidentItem, IncidentsQuery, JobItem, JobState, OutcomeWord, Problem,
    ProblemKind, SlotItem, Status,
};
use super::words::{ago, count, span, until};
use crate::model::{Severity, Verdict};

/// Jobs that the page lists; jadactl lists them all.
const JOBS_MAX: usize = 200;

/// Checks that the page lists; jadactl lists them all.
const CHECKS_MAX: usize = 100;

/// Slots that the page lists.
const SLOTS: u32 = 50;

const TEMPLATE: &str = include_str!("page.hbs");

#[derive(Serialize)]
struct Page {
    title: &'static str,
    ok: bool,
    health: String,
    summary: Vec<(&'static str, String)>,
    incidents: Vec<IncidentRow>,
    jobs: Vec<JobRow>,
    more_jobs: usize,
    checks: Vec<CheckRow>,
    more_checks: usize,
    slots: Vec<SlotRow>,
    now: String,
    version: String,
}

#[derive(Serialize)]
struct IncidentRow {
    /// `error` or `warning`.
    severity: &'static str,
    /// What is wrong where, who knows of it, and what waits.
    more: Vec<String>,
    key: String,
    title: String,
    detail: String,
    mend: String,
    since: String,
    seen: String,
}

#[derive(Serialize)]
struct JobRow {
    job: String,
    description: String,
    kind: String,
    state: &'static str,
    /// The style of the state: `good`, `bad`, `busy` or `off`.
    tone: &'static str,
    schedule: String,
    next: String,
    last: String,
    reason: String,
}

#[derive(Serialize)]
struct CheckRow {
    check: String,
    state: &'static str,
    tone: &'static str,
    looked: String,
    trail: String,
    seen: String,
}

#[derive(Serialize)]
struct SlotRow {
    slot: String,
    job: String,
    state: &'static str,
    tone: &'static str,
    run: String,
    reason: String,
}

/// The page as HTML.
pub(super) async fn render(app: &App) -> Result<String, Problem> {
    let status = app.status().await?;
    let incidents = app.incidents(IncidentsQuery::default()).await?;
    let jobs = app.jobs().await?;
    let slots = app.past_slots(SLOTS).await?;
    let checks = app.checks(ChecksQuery::default()).await?;
    let page = Page {
        more_checks: checks.len().saturating_sub(CHECKS_MAX),
        checks: check_rows(&checks, status.now),
        ..page(&status, &incidents, &jobs, &slots)
    };
    let html = templates().render("page", &page);
    html.map_err(|error| Problem {
        problem: ProblemKind::Internal,
        message: format!("can't draw the page: {error}"),
        hint: String::new(),
    })
}

fn templates() -> &'static Handlebars<'static> {
    static TEMPLATES: OnceLock<Handlebars<'static>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut templates = Handlebars::new();
        templates.set_strict_mode(true);
        let parsed = templates.register_template_string("page", TEMPLATE);
        parsed.expect("the template is part of the program and tested");
        templates
    })
}

fn page(status: &Status, incidents: &[IncidentItem], jobs: &[JobItem], slots: &[SlotItem]) -> Page {
    let now = status.now;
    let health = match status.health.problem.as_str() {
        _ if !incidents.is_empty() => format!("{} open", count(status.incidents, "incident")),
        "" => "all is well".into(),
        problem => problem.to_owned(),
    };
    Page {
        title: "JADA",
        ok: status.health.ok && incidents.is_empty(),
        health,
        summary: summary(status),
        incidents: incidents.iter().map(|incident| incident_row(incident, now)).collect(),
        jobs: jobs.iter().take(JOBS_MAX).map(|job| job_row(job, now)).collect(),
        more_jobs: jobs.len().saturating_sub(JOBS_MAX),
        checks: Vec::new(),
        more_checks: 0,
        slots: slots.iter().map(slot_row).collect(),
        now: now.to_string(),
        version: status.health.version.clone(),
    }
}

fn summary(status: &Status) -> Vec<(&'static str, String)> {
    let day: Vec<_> =
        status.last_day.iter().map(|(state, n)| format!("{n} {}", state.word())).collect();
    let next = status.next.as_ref();
    vec![
        ("up for", span(status.now.duration_since(status.started_at).unsigned_abs())),
        ("jobs", status.jobs.to_string()),
        ("running", status.running.to_string()),
        ("waiting", status.queued.to_string()),
        ("last 24 h", if day.is_empty() { "nothing due".into() } else { day.join(", ") }),
        (
            "next",
            next.map_or_else(
                || "nothing".into(),
                |next| format!("{} {}", next.job, until(next.slot, status.now)),
            ),
        ),
    ]
}

fn incident_row(incident: &IncidentItem, now: Timestamp) -> IncidentRow {
    IncidentRow {
        severity: match incident.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        },
        more: super::words::incident(incident, now),
        key: incident.key.clone(),
        title: incident.title.clone(),
        detail: incident.detail.clone(),
        mend: incident.fix.clone(),
        since: ago(incident.since, now),
        seen: count(incident.count, "time"),
    }
}

fn job_row(job: &JobItem, now: Timestamp) -> JobRow {
    let failed = job.last.as_ref().is_some_and(|last| last.outcome == OutcomeWord::Failed);
    let (state, tone) = match job.state {
        JobState::Disabled => ("disabled", "off"),
        JobState::Paused => ("paused", "off"),
        JobState::Blocked => ("blocked", "bad"),
        JobState::Active if job.running > 0 => ("running", "busy"),
        JobState::Active if job.queued > 0 => ("waiting", "busy"),
        JobState::Active if failed => ("failing", "bad"),
        JobState::Active => ("active", "good"),
    };
    let last = job.last.as_ref().map(|last| {
        let how = match last.outcome {
            OutcomeWord::Succeeded => "succeeded",
            OutcomeWord::Failed => "failed",
        };
        format!("{how} {}", ago(last.at, now))
    });
    let reason = job.last.as_ref().map(|last| last.reason.clone()).unwrap_or_default();
    JobRow {
        job: job.job.to_string(),
        description: job.description.clone(),
        kind: job.kind.clone(),
        state,
        tone,
        schedule: job.schedule.clone(),
        next: job.next.map_or_else(|| "–".into(), |at| until(at, now)),
        last: last.unwrap_or_else(|| "–".into()),
        reason: if job.reason.is_empty() { reason } else { job.reason.clone() },
    }
}

/// What is not well comes first.
fn check_rows(checks: &[CheckItem], now: Timestamp) -> Vec<CheckRow> {
    let mut sorted: Vec<&CheckItem> = checks.iter().collect();
    sorted.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    let row = |check: &CheckItem| CheckRow {
        check: format!("{}/{}", check.job, check.check),
        state: check.verdict.map_or("new", Verdict::word),
        tone: match check.verdict {
            Some(Verdict::Ok) => "good",
            Some(Verdict::Fail) => "bad",
            Some(Verdict::Warn | Verdict::Unknown) => "busy",
            None => "off",
        },
        looked: check.at.map_or_else(|| "–".into(), |at| ago(at, now)),
        trail: check.looks.iter().map(|look| super::words::mark(look.verdict)).collect(),
        seen: super::words::seen(check.fault.as_deref(), &check.text),
    };
    sorted.into_iter().take(CHECKS_MAX).map(row).collect()
}

fn slot_row(slot: &SlotItem) -> SlotRow {
    use crate::model::SlotState as S;
    let tone = match slot.state {
        S::Ran => "good",
        S::Failed | S::Missed | S::Expired | S::Blocked => "bad",
        S::Pending | S::Running => "busy",
        S::Skipped => "off",
    };
    SlotRow {
        slot: slot.slot.to_string(),
        job: slot.job.to_string(),
        state: slot.state.word(),
        tone,
        run: slot.run.map(|run| run.to_string()).unwrap_or_default(),
        reason: match slot.count {
            1 => slot.reason.clone(),
            n => format!("{}: {}", count(n, "slot"), slot.reason),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IncidentId, IncidentState, JobName, RunId, Severity, SlotState};
    use crate::web::api::{Health, LastEnd};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn status() -> Status {
        let version = "1.2.3".to_owned();
        Status {
            health: Health { ok: true, version, lag: 0.0, problem: String::new() },
            started_at: at("2026-11-25T08:00:00Z"),
            now: at("2026-11-25T09:00:00Z"),
            jobs: 1,
            disabled: 0,
            paused: 0,
            running: 0,
            queued: 0,
            incidents: 0,
            last_day: [(SlotState::Ran, 3)].into(),
            next: None,
            longest: None,
            held_up: Vec::new(),
            checks: std::collections::BTreeMap::new(),
            undelivered: 0,
            held: 0,
        }
    }

    fn html(incidents: &[IncidentItem], jobs: &[JobItem], slots: &[SlotItem]) -> String {
        templates().render("page", &page(&status(), incidents, jobs, slots)).unwrap()
    }

    #[test]
    fn an_empty_house() {
        let html = html(&[], &[], &[]);
        assert!(html.contains("all is well"), "{html}");
        assert!(html.contains("No job is in force"), "{html}");
        assert!(!html.contains("Incidents"), "{html}");
        assert!(!html.contains("<script") && !html.contains("http://"), "{html}");
    }

    #[test]
    fn what_jobs_say_is_text_and_never_markup() {
        let evil = "<script>alert(1)</script>".to_owned();
        let name = JobName::parse("sheet").unwrap();
        let incident = IncidentItem {
            id: IncidentId(1),
            key: "job/sheet".into(),
            class: "transient".into(),
            root: "job/sheet".into(),
            affected: vec![name.clone()],
            severity: Severity::Error,
            state: IncidentState::Open,
            since: at("2026-11-25T07:00:00Z"),
            last_seen: at("2026-11-25T08:59:00Z"),
            resolved_at: None,
            note: String::new(),
            count: 4,
            title: evil.clone(),
            detail: evil.clone(),
            fix: "jadactl logs sheet".into(),
            fault: None,
            generation: 1,
            acked_at: None,
            acked_by: String::new(),
            flapping: false,
            held: Vec::new(),
        };
        let last = LastEnd {
            at: at("2026-11-25T08:58:00Z"),
            outcome: OutcomeWord::Failed,
            reason: evil.clone(),
        };
        let job = JobItem {
            job: name.clone(),
            description: evil.clone(),
            labels: std::collections::BTreeMap::new(),
            kind: "command".into(),
            schedule: "every 30 minutes".into(),
            state: JobState::Active,
            reason: String::new(),
            next: Some(at("2026-11-25T09:30:00Z")),
            last: Some(last),
            running: 0,
            queued: 0,
            file: "jobs.d/sheet.yaml:1".into(),
        };
        let slot = SlotItem {
            job: name,
            slot: at("2026-11-25T08:30:00Z"),
            state: SlotState::Missed,
            reason: evil,
            run: Some(RunId(7)),
            count: 12,
        };
        let html = html(&[incident], &[job], &[slot]);
        assert!(!html.contains("<script"), "{html}");
        for text in
            ["jadactl logs sheet", "in 30m", "failed 2m ago", "12 slots: ", "missed", "failing"]
        {
            assert!(html.contains(text), "{text} is missing in {html}");
        }
    }
}
