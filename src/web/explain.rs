//! Why a job or run does what it does, in sentences.
//!
//! Owns the sentences: the schedule and whether it is in force, what runs or waits and why, how it
//! lately ended, what a retry or a catch-up would do, and what mends it. Refuses to decide anything:
//! it reads what the planner has decided and stored.

use jiff::Timestamp;

use super::answers::App;
use super::api::{ChecksQuery, Explanation, HeldNotice, Problem};
use super::rows::{next_slot, schedule_words};
use super::words::{ago, count, seen, span, until};
use crate::model::{
    Attempt, CatchUpMode, Cause, Failure, Incident, JobName, NotRun, Notification, Outcome,
    Overlap, Policy, Run, RunId, RunState, SlotState, Verdict,
};
use crate::spec::{FileState, Job};
use crate::store::{JobState, RunQuery, RunRow, SlotQuery, SlotRow};

/// Runs that an explanation looks back at.
const LOOK_BACK: u32 = 20;

/// Checks that an explanation tells one by one.
const CHECKS_MAX: usize = 100;

/// Explains a job.
pub(super) async fn job(app: &App, name: &str) -> Result<Explanation, Problem> {
    let job = app.known(name)?;
    let state = app.job_states().await?.remove(&job.name);
    let of_job = |limit| RunQuery { job: Some(job.name.clone()), limit, ..RunQuery::default() };
    let live = app.store.runs(RunQuery { live: true, ..of_job(LOOK_BACK) }).await?;
    let recent = app.store.runs(of_job(LOOK_BACK)).await?;
    let unrun = SlotQuery {
        job: Some(job.name.clone()),
        states: vec![SlotState::Skipped, SlotState::Missed, SlotState::Expired, SlotState::Blocked],
        limit: 1,
        ..SlotQuery::default()
    };
    let unrun = app.store.slots(unrun).await?.pop();
    let incidents = open_incidents(app, &job).await?;
    let now = app.clock.now();

    let mut told = schedule(&job, state.as_ref(), now);
    told.extend(live.iter().map(|row| live_run(&row.run, &job.policy, now)));
    told.extend(last_ends(&recent, state.as_ref(), now));
    told.extend(unrun.iter().map(|row| unrun_slot(row, now)));
    told.extend(promises(&job, state.as_ref(), now));
    if is_bad(app, &job) {
        told.push(format!(
            "{} has errors at the moment, so its last good version is in force.",
            job.file.display()
        ));
    }
    told.extend(checks(app, &job.name, now).await?);
    told.extend(incidents.iter().map(|incident| incident_line(incident, now)));
    told.extend(held_notices(app, &incidents, now).await?);

    let mut commands = mends(&incidents);
    commands.extend(unrun.iter().flat_map(|slot| held_back(slot, &live)));
    if is_bad(app, &job) {
        commands.push(format!("jadactl validate {}", job.file.display()));
    }
    if state.is_some_and(|state| state.paused.is_some()) {
        commands.push(format!("jadactl resume {}", job.name));
    }
    let logs = commands.iter().any(|command| command.starts_with("jadactl logs"));
    if !logs && recent.first().is_some_and(|row| failure(&row.run).is_some()) {
        commands.push(format!("jadactl logs {}", job.name));
    }
    let subject = match job.description.as_str() {
        "" => format!("job {}", job.name),
        description => format!("job {}: {description}", job.name),
    };
    Ok(Explanation { subject, sentences: told, commands: once(commands) })
}

/// Explains a run.
pub(super) async fn run(app: &App, run: RunId) -> Result<Explanation, Problem> {
    let row = app.run_row(run).await?;
    let attempts = app.store.attempts(run).await?;
    let now = app.clock.now();
    let job = app.engine.view().catalog.jobs.get(&row.job).cloned();
    let default = Policy::default();
    let policy = job.as_ref().map_or(&default, |job| job.policy.as_ref());

    let mut told = vec![origin(&row.run, now)];
    if attempts.len() > 1 || row.run.attempts != 1 {
        told.extend(attempts.iter().map(attempt_line));
    }
    match &row.run.state {
        RunState::Queued { .. } | RunState::Running { .. } => {
            told.push(live_run(&row.run, policy, now));
        }
        RunState::Finished { at, outcome } => {
            let took = row.run.started_at.map(|start| at.duration_since(start).unsigned_abs());
            let took = took.map(|took| format!(", {} after it began", span(took)));
            let took = took.unwrap_or_default();
            told.push(format!("It {} {}{took}.", how(outcome), ago(*at, now)));
            told.extend(no_retry(&row.run, policy, outcome));
        }
        RunState::NotRun { at, verdict, reason, count: slots } => {
            let (which, why) = (not_run(*verdict), because(reason));
            let slots = if *slots > 1 {
                format!(" The row stands for {}.", count(*slots, "slot"))
            } else {
                String::new()
            };
            told.push(format!("It never ran: {} the slot {which}{why}.{slots}", ago(*at, now)));
        }
    }
    if job.as_ref().is_some_and(|job| job.revision != row.revision) {
        told.push("The job's definition has changed since.".into());
    }
    if job.is_none() {
        told.push(format!("The job {} is no longer defined.", row.job));
    }
    let mut commands = Vec::new();
    if row.run.attempts > 0 {
        commands.push(format!("jadactl logs {run}"));
    }
    if !matches!(row.run.state, RunState::Finished { .. } | RunState::NotRun { .. }) {
        commands.push(format!("jadactl cancel {run}"));
    }
    let went_well =
        matches!(&row.run.state, RunState::Finished { outcome, .. } if outcome.is_success());
    if let Some(job) = job.as_ref().filter(|_| !went_well) {
        let incidents = open_incidents(app, job).await?;
        told.extend(incidents.iter().map(|incident| incident_line(incident, now)));
        commands.extend(mends(&incidents));
    }
    let subject = format!("run {run} of {}", row.job);
    Ok(Explanation { subject, sentences: told, commands: once(commands) })
}

/// What the schedule says, whether it is in force, and what it names next.
fn schedule(job: &Job, state: Option<&JobState>, now: Timestamp) -> Vec<String> {
    let mut told = Vec::new();
    if job.schedule.is_empty() && job.policy.after.is_empty() {
        told.push("It has no schedule: it runs when somebody asks for it.".into());
    } else if job.schedule.is_empty() {
        let have = if job.policy.after.len() > 1 { "have" } else { "has" };
        told.push(format!("It runs {} {have} succeeded.", schedule_words(job)));
    } else {
        told.push(format!("It is due {}.", schedule_words(job)));
    }
    if !job.enabled {
        told.push("Its file says 'enabled: false', so that no slot of it is due.".into());
    }
    if let Some(pause) = state.and_then(|state| state.paused.as_ref()) {
        let why = because(&pause.reason);
        told.push(format!(
            "It was paused {}{why}: until it is resumed, its slots are recorded as skipped.",
            ago(pause.since, now)
        ));
    }
    if let Some(slot) = state.and_then(|state| next_slot(job, state)) {
        let at = job.schedule.render(slot);
        told.push(if slot > now {
            format!("Its next slot is {at}, {}.", until(slot, now))
        } else {
            format!("Its slot of {at} is due now.")
        });
    } else if job.enabled && !job.schedule.is_empty() && state.is_some_and(|s| s.paused.is_none()) {
        told.push("Its schedule names no further slot.".into());
    }
    told
}

fn live_run(run: &Run, policy: &Policy, now: Timestamp) -> String {
    let most = policy.retry.attempts;
    match &run.state {
        RunState::Queued { ready_at, why } => {
            let why = because(why);
            let ready = if *ready_at > now {
                format!(", and is ready {}", until(*ready_at, now))
            } else {
                String::new()
            };
            let left = match (run.attempts, most.saturating_sub(run.attempts)) {
                (0, _) => String::new(),
                (made, left) => format!(" {made} of {most} attempts are made, {left} left."),
            };
            format!("Run {} waits{why}{ready}.{left}", run.id)
        }
        RunState::Running { since, .. } => {
            let end = policy.timeout.map(|timeout| *since + timeout);
            let end = end.map_or_else(
                || "it has no timeout".to_owned(),
                |end| format!("its timeout ends it {}", until(end, now)),
            );
            let (no, begun) = (run.attempts, ago(*since, now));
            format!("Run {} is under way: attempt {no} of {most} began {begun}, {end}.", run.id)
        }
        RunState::Finished { at, outcome } => {
            format!("Run {} {} {}.", run.id, how(outcome), ago(*at, now))
        }
        RunState::NotRun { verdict, reason, .. } => {
            format!("Its slot {}{}.", not_run(*verdict), because(reason))
        }
    }
}

/// How the last run ended, how many failed in a row, and when it last succeeded.
fn last_ends(recent: &[RunRow], state: Option<&JobState>, now: Timestamp) -> Vec<String> {
    let ended: Vec<_> = recent
        .iter()
        .filter_map(|row| match &row.run.state {
            RunState::Finished { at, outcome } => Some((row.run.id, *at, outcome)),
            _ => None,
        })
        .collect();
    let Some((run, at, outcome)) = ended.first() else {
        return vec!["No run of it has ended yet.".into()];
    };
    let mut told = vec![format!("Its last run, {run}, {} {}.", how(outcome), ago(*at, now))];
    let in_a_row = ended.iter().take_while(|(.., outcome)| !outcome.is_success()).count();
    if in_a_row > 0 {
        let last = state.and_then(|state| state.last_success);
        let last = last.map_or_else(
            || "It has never succeeded.".to_owned(),
            |at| format!("Its last success was {}.", ago(at, now)),
        );
        told.push(match in_a_row {
            1 => last,
            n if n == LOOK_BACK as usize => format!("At least {n} runs failed in a row. {last}"),
            n => format!("That makes {n} runs failed in a row. {last}"),
        });
    }
    told
}

fn unrun_slot(row: &SlotRow, now: Timestamp) -> String {
    let which = if row.count > 1 {
        format!("{} up to", count(row.count, "slot"))
    } else {
        "the slot of".to_owned()
    };
    let were = if row.count > 1 { "were" } else { "was" };
    let (slot, state, why) = (row.slot, row.state.word(), because(&row.reason));
    format!(
        "Of its slots that did not run, {which} {slot} ({}) {were} the last: {state}{why}.",
        ago(slot, now)
    )
}

/// The ways out where an attempt has lasted so long that a slot was skipped for it: what it said, and
/// its end.
fn held_back(skipped: &SlotRow, live: &[RunRow]) -> Vec<String> {
    let holds = |row: &&RunRow| match row.run.state {
        RunState::Running { since, .. } => {
            skipped.state == SlotState::Skipped && skipped.slot > since
        }
        _ => false,
    };
    let ids = live.iter().filter(holds).map(|row| row.run.id);
    ids.flat_map(|run| [format!("jadactl logs {run}"), format!("jadactl cancel {run}")]).collect()
}

/// What its policies promise.
fn promises(job: &Job, state: Option<&JobState>, now: Timestamp) -> Vec<String> {
    let policy = &job.policy;
    let overlap = match policy.overlap {
        Overlap::Skip => "is skipped",
        Overlap::Queue => "waits, one at a time",
        Overlap::QueueAll { .. } => "waits its turn",
        Overlap::Cancel => "cancels that run",
        Overlap::Allow => "runs beside it",
    };
    let mut told = Vec::new();
    if job.enabled && !job.schedule.is_empty() {
        told.push(format!("A slot that is due while a run is live {overlap}."));
        told.extend(
            policy.deadline.map(|deadline| {
                format!("A slot that can't start within {} expires.", span(deadline))
            }),
        );
        told.push(catch_up(policy, state, now));
    }
    told.push(match policy.retry.attempts {
        0 | 1 => "A failed run is not tried again.".to_owned(),
        n => {
            let classes: Vec<_> = policy.retry.on.iter().map(|class| class.word()).collect();
            format!("A run has up to {n} attempts where it fails as {}.", classes.join(", "))
        }
    });
    told
}

fn catch_up(policy: &Policy, state: Option<&JobState>, now: Timestamp) -> String {
    let window =
        policy.catch_up.window.map_or_else(|| "one period, at most a day".to_owned(), span);
    let rule = match policy.catch_up.mode {
        CatchUpMode::None => "of those that pass while the daemon is away none runs".to_owned(),
        CatchUpMode::Latest => format!(
            "of those that pass while the daemon is away the newest runs, unless it is older than \
             {window}"
        ),
        CatchUpMode::All => format!(
            "of those that pass while the daemon is away up to {} run, unless they are older than \
             {window}",
            policy.catch_up.max
        ),
    };
    match state {
        Some(state) => {
            let (cursor, age) = (state.cursor, distance(state.cursor, now));
            format!("Its slots up to {cursor} ({age}) are accounted for; {rule}.")
        }
        None => format!("None of its slots is recorded yet; {rule}."),
    }
}

fn origin(run: &Run, now: Timestamp) -> String {
    match run.cause {
        Cause::Slot(slot) => format!("It stands for the slot of {slot}, {}.", distance(slot, now)),
        Cause::Manual(at) => {
            format!("Somebody asked for it {}, outside the schedule.", ago(at, now))
        }
        Cause::After(other) => format!("It was started by the success of run {other}."),
    }
}

fn distance(at: Timestamp, now: Timestamp) -> String {
    if at > now { until(at, now) } else { ago(at, now) }
}

fn attempt_line(attempt: &Attempt) -> String {
    let took = attempt.ended_at.duration_since(attempt.started_at).unsigned_abs();
    format!("Attempt {} {} after {}.", attempt.no, how(&attempt.outcome), span(took))
}

/// Why a failed run was not tried again.
fn no_retry(run: &Run, policy: &Policy, outcome: &Outcome) -> Option<String> {
    let class = outcome.class()?;
    let retry = &policy.retry;
    Some(if retry.attempts <= 1 {
        "It was not tried again, since the job says nothing of 'retry'.".into()
    } else if !retry.on.contains(&class) {
        format!("It was not tried again: 'retry.on' does not name the class {}.", class.word())
    } else if run.attempts >= retry.attempts {
        format!("It was not tried again: all {} attempts are used up.", retry.attempts)
    } else {
        "It was not tried again: the next attempt would have come after 'retry.max_elapsed'.".into()
    })
}

fn failure(run: &Run) -> Option<&Failure> {
    match &run.state {
        RunState::Finished { outcome: Outcome::Failed(failure), .. } => Some(failure),
        _ => None,
    }
}

fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { note } if note.is_empty() => "succeeded".into(),
        Outcome::Succeeded { note } => format!("succeeded ({note})"),
        Outcome::Failed(failure) => {
            format!("failed as {} ({})", failure.class.word(), failure.message)
        }
    }
}

fn not_run(verdict: NotRun) -> &'static str {
    match verdict {
        NotRun::Skipped => "was skipped",
        NotRun::Missed => "was missed",
        NotRun::Expired => "expired",
        NotRun::Blocked => "was blocked",
    }
}

/// `, because …` for a reason that a policy or person gave; nothing where none was given.
fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(" ({reason})"),
    }
}

fn incident_line(incident: &Incident, now: Timestamp) -> String {
    format!(
        "Incident {} opened {} and was seen {}: {}.",
        incident.id,
        ago(incident.opened_at, now),
        count(incident.count, "time"),
        incident.title.trim_end_matches('.')
    )
}

/// How the job's checks stand: all of them in a sentence, and one for each that is not well.
async fn checks(app: &App, job: &JobName, now: Timestamp) -> Result<Vec<String>, Problem> {
    let checks = app.checks(ChecksQuery { job: Some(job.clone()) }).await?;
    let well = checks.iter().filter(|check| check.verdict == Some(Verdict::Ok)).count();
    let mut told = Vec::new();
    if !checks.is_empty() {
        told.push(format!("{well} of its {} are well.", count(checks.len() as u64, "check")));
    }
    for check in checks.iter().take(CHECKS_MAX) {
        let bad = check.verdict.filter(|verdict| *verdict != Verdict::Ok);
        let (Some(verdict), Some(since)) = (bad, check.since) else { continue };
        let seen = seen(check.fault.as_deref(), &check.text);
        let since = ago(since, now);
        let word = verdict.word();
        told.push(format!(
            "Check {}: {word} since {since}, {}.",
            check.check,
            seen.trim_end_matches('.')
        ));
    }
    Ok(told)
}

/// The messages about these incidents that wait, and why.
async fn held_notices(
    app: &App,
    incidents: &[Incident],
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    if incidents.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = app.store.notifications(false, super::api::LIMIT_MAX).await?;
    let about = |row: &&Notification| incidents.iter().any(|one| row.incident == Some(one.id));
    let held = waiting.iter().filter(about).filter_map(HeldNotice::of).map(|held| {
        let until = held.until.map(|at| format!(", {}", until(at, now))).unwrap_or_default();
        format!("{} is not told of it yet ({}): {}{until}.", held.notifier, held.event, held.why)
    });
    Ok(held.collect())
}

/// The commands without repetition: an incident may name one that is given anyway.
fn once(commands: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for command in commands {
        if !kept.contains(&command) {
            kept.push(command);
        }
    }
    kept
}

fn mends(incidents: &[Incident]) -> Vec<String> {
    let mends = incidents.iter().map(|incident| incident.mend.clone());
    mends.filter(|mend| !mend.is_empty()).collect()
}

async fn open_incidents(app: &App, job: &Job) -> Result<Vec<Incident>, Problem> {
    let file = format!("file/{}", job.file.display());
    let mut open = app.store.incidents(false, super::api::LIMIT_MAX).await?;
    open.retain(|incident| incident.affected.contains(&job.name) || incident.key == file);
    Ok(open)
}

fn is_bad(app: &App, job: &Job) -> bool {
    let view = app.engine.view();
    let mut files = view.catalog.files.values();
    files.any(|file| file.state == FileState::Bad && file.path == job.file)
}
