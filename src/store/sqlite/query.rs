//! What readers ask.
//!
//! Owns the statements that list history and their plans. Refuses to write.
//!
//! A list is merged from one leg per state: each leg walks its own index from the newest end and stops
//! after `limit` entries, so that its price doesn't depend on how much history there is. `INDEXED BY`
//! makes a plan that would scan an error instead of a slow answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql, named_params, params};

use super::columns::{
    self, FAILED, OVER, QUEUED, RAN, RUN, RUN_WIDTH, RUNNING, name, outcome, state_code, state_of,
    text, time,
};
use crate::model::{
    Attempt, Cause, JobId, JobName, Outcome, Revision, Run, RunId, RunState, SlotState,
};
use crate::store::{RunQuery, RunRow, SlotQuery, SlotRow, Summary, slot_state};

/// Every run that is queued or running, oldest first.
pub(super) fn live_runs(connection: &Connection) -> Result<Vec<Run>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {RUN} FROM run r INDEXED BY run_live LEFT JOIN node n ON n.id = r.holder \
         WHERE r.state < 2 ORDER BY r.id"
    ))?;
    query.query_map([], columns::run)?.collect()
}

/// Ended attempts of a run, in order.
pub(super) fn attempts(connection: &Connection, run: RunId) -> Result<Vec<Attempt>> {
    let mut query = connection.prepare_cached(
        "SELECT no, node, started_at, ended_at, class, exit_code, retry_after, text \
         FROM attempt WHERE run = ?1 ORDER BY no",
    )?;
    query.query_map([run.0], columns::attempt)?.collect()
}

/// Slots, newest nominal time first.
pub(super) fn slots(connection: &Connection, query: &SlotQuery) -> Result<Vec<SlotRow>> {
    let Some(job) = job_id(connection, query.job.as_ref())? else { return Ok(Vec::new()) };
    let bounds = "kind = 0 AND ref >= :since AND ref < :until";
    let leg = |index: &str, only: &str| {
        let only = one_job(only, job);
        format!(
            "SELECT * FROM (SELECT id, ref FROM run INDEXED BY {index} WHERE {only} AND {bounds} \
             ORDER BY ref DESC, id DESC LIMIT :limit)"
        )
    };
    let over = if job.is_some() { "run_slot_job" } else { "run_slot" };
    let all = query.states.is_empty();
    let legs = if all && job.is_some() {
        vec![leg("run_cause", "TRUE")]
    } else {
        let state = |state| all || query.states.iter().any(|wanted| state_code(*wanted) == state);
        let live = [QUEUED, RUNNING].into_iter().filter(|code| state(*code));
        let live = live.map(|code| leg("run_live", &format!("state < 2 AND state = {code}")));
        let over_legs = OVER.filter(|code| state(*code));
        live.chain(over_legs.map(|code| leg(over, &format!("state >= 2 AND state = {code}"))))
            .collect()
    };
    let sql = merged(&legs, "ref");
    let mut statement = connection.prepare_cached(&sql)?;
    let since = query.since.map_or(i64::MIN, Timestamp::as_millisecond);
    let until = query.until.map_or(i64::MAX, Timestamp::as_millisecond);
    let mut bound: Vec<(&str, &dyn ToSql)> =
        vec![(":since", &since), (":until", &until), (":limit", &query.limit)];
    if let Some(job) = &job {
        bound.push((":job", job));
    }
    let rows = statement.query_map(bound.as_slice(), slot_row)?;
    rows.filter_map(Result::transpose).collect()
}

/// Runs, newest first.
pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Vec<RunRow>> {
    if let Some(id) = query.id {
        return Ok(run(connection, id)?.into_iter().collect());
    }
    let Some(job) = job_id(connection, query.job.as_ref())? else { return Ok(Vec::new()) };
    let bounds = "created_at >= :since AND (created_at, id) < (:at, :before)";
    let leg = |index: &str, only: &str| {
        let only = one_job(only, job);
        format!(
            "SELECT * FROM (SELECT id, created_at FROM run INDEXED BY {index} WHERE {only} \
             AND {bounds} ORDER BY created_at DESC, id DESC LIMIT :limit)"
        )
    };
    let over = if job.is_some() { "run_over_job" } else { "run_over" };
    let mut legs = Vec::new();
    if !query.failed {
        legs.push(leg("run_live", "state < 2"));
    }
    for code in [RAN, FAILED] {
        if !query.live && (code == FAILED || !query.failed) {
            let run = "state >= 2 AND (kind <> 0 OR state <= 3)";
            legs.push(leg(over, &format!("{run} AND state = {code}")));
        }
    }
    if legs.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&merged(&legs, "created_at"))?;
    let since = query.since.map_or(i64::MIN, Timestamp::as_millisecond);
    let (at, before) = page(connection, query.before)?;
    let mut bound: Vec<(&str, &dyn ToSql)> =
        vec![(":since", &since), (":at", &at), (":before", &before), (":limit", &query.limit)];
    if let Some(job) = &job {
        bound.push((":job", job));
    }
    statement.query_map(bound.as_slice(), run_row)?.collect()
}

/// One run, or the record of a slot that did not run.
fn run(connection: &Connection, id: RunId) -> Result<Option<RunRow>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {RUN}, j.name, r.revision FROM run r JOIN job j ON j.id = r.job \
         LEFT JOIN node n ON n.id = r.holder WHERE r.id = ?1"
    ))?;
    query.query_row([id.0], run_row).optional()
}

/// The place in the list that a page starts after. Where retention has taken that run, the next older
/// one tells its time.
fn page(connection: &Connection, before: Option<RunId>) -> Result<(i64, i64)> {
    let Some(before) = before else { return Ok((i64::MAX, i64::MAX)) };
    let mut query = connection
        .prepare_cached("SELECT created_at FROM run WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
    let at = query.query_row([before.0], |row| row.get(0)).optional()?;
    Ok((at.unwrap_or(i64::MIN), before.0))
}

/// The statement that merges legs by `order`, newest first, and then fetches the rows.
fn merged(legs: &[String], order: &str) -> String {
    let hits = legs.join(" UNION ALL ");
    format!(
        "SELECT {RUN}, j.name, r.revision \
         FROM (SELECT * FROM ({hits}) ORDER BY {order} DESC, id DESC LIMIT :limit) AS hit \
         CROSS JOIN run r ON r.id = hit.id CROSS JOIN job j ON j.id = r.job \
         LEFT JOIN node n ON n.id = r.holder ORDER BY hit.{order} DESC, hit.id DESC"
    )
}

fn one_job(only: &str, job: Option<i64>) -> String {
    if job.is_some() { format!("{only} AND job = :job") } else { only.to_owned() }
}

/// The key of the job that a query names: `Some(None)` where it names none, `None` where no such job
/// is stored.
#[expect(clippy::option_option, reason = "all jobs, one job and no job are three answers")]
fn job_id(connection: &Connection, job: Option<&JobName>) -> Result<Option<Option<i64>>> {
    let Some(job) = job else { return Ok(Some(None)) };
    let mut query = connection.prepare_cached("SELECT id FROM job WHERE name = ?1")?;
    let id: Option<i64> = query.query_row([job.as_str()], |row| row.get(0)).optional()?;
    Ok(id.map(Some))
}

fn run_row(row: &rusqlite::Row<'_>) -> Result<RunRow> {
    Ok(RunRow {
        run: columns::run(row)?,
        job: name(row, RUN_WIDTH)?,
        revision: Revision(row.get::<_, i64>(RUN_WIDTH + 1)?.cast_unsigned()),
    })
}

/// `None` for a row without a slot, which the statement doesn't return.
fn slot_row(row: &rusqlite::Row<'_>) -> Result<Option<SlotRow>> {
    let RunRow { job, run, .. } = run_row(row)?;
    let Cause::Slot(slot) = run.cause else { return Ok(None) };
    let state = slot_state(&run.state);
    let ended_at = match run.state {
        RunState::Queued { .. } | RunState::Running { .. } => None,
        RunState::Finished { at, .. } | RunState::NotRun { at, .. } => Some(at),
    };
    let (reason, count, ran) = match run.state {
        RunState::NotRun { reason, count, .. } => (reason, count, false),
        RunState::Queued { why, .. } => (why, 1, true),
        RunState::Running { .. } => (String::new(), 1, true),
        RunState::Finished { outcome: Outcome::Succeeded { note }, .. } => (note, 1, true),
        RunState::Finished { outcome: Outcome::Failed(failure), .. } => (failure.message, 1, true),
    };
    let Run { id, attempts, started_at, .. } = run;
    let run = ran.then_some(id);
    Ok(Some(SlotRow { job, slot, state, reason, run, count, attempts, started_at, ended_at }))
}

/// Ends of the job's last runs, newest first.
pub(super) fn recent_ends(
    connection: &Connection,
    job: JobId,
    limit: u32,
) -> Result<Vec<(Timestamp, Outcome)>> {
    let leg = |code| {
        format!(
            "SELECT * FROM (SELECT id, ended_at FROM run INDEXED BY run_end \
             WHERE job = ?1 AND state >= 2 AND state = {code} \
             ORDER BY ended_at DESC, id DESC LIMIT ?2)"
        )
    };
    let hits = [leg(RAN), leg(FAILED)].join(" UNION ALL ");
    let mut query = connection.prepare_cached(&format!(
        "SELECT r.ended_at, r.class, r.exit_code, r.retry_after, r.text \
         FROM (SELECT * FROM ({hits}) ORDER BY ended_at DESC, id DESC LIMIT ?2) AS hit \
         CROSS JOIN run r ON r.id = hit.id ORDER BY hit.ended_at DESC, hit.id DESC"
    ))?;
    let read = |row: &rusqlite::Row<'_>| {
        let end = outcome([row.get(1)?, row.get(2)?, row.get(3)?], text(row, 4)?)?;
        Ok((time(row.get(0)?)?, end))
    };
    query.query_map(params![job.0, limit], read)?.collect()
}

/// Each job's numbers. What is over is counted by its end, inside an index; what is live, always.
pub(super) fn summaries(
    connection: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<JobName, Summary>> {
    let mut summaries = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut jobs = connection
        .prepare_cached("SELECT id, name, last_success, last_failed_at, last_failure FROM job")?;
    let mut rows = jobs.query([])?;
    while let Some(row) = rows.next()? {
        let failed_at = row.get::<_, Option<i64>>(3)?.map(time).transpose()?;
        let failure = text(row, 4)?;
        let summary = Summary {
            counts: Vec::new(),
            last_success: row.get::<_, Option<i64>>(2)?.map(time).transpose()?,
            last_failure: failed_at.map(|at| (at, failure)),
        };
        let job = name(row, 1)?;
        names.insert(row.get::<_, i64>(0)?, job.clone());
        summaries.insert(job, summary);
    }
    for (job, state, count) in counts(connection, since)? {
        if let Some(summary) = names.get(&job).and_then(|name| summaries.get_mut(name)) {
            summary.counts.push((state, count));
        }
    }
    for summary in summaries.values_mut() {
        summary.counts.sort_unstable();
    }
    Ok(summaries)
}

fn counts(connection: &Connection, since: Timestamp) -> Result<Vec<(i64, SlotState, u64)>> {
    let states = OVER.map(|code| format!("({code})")).collect::<Vec<_>>().join(", ");
    let mut query = connection.prepare_cached(&format!(
        "SELECT job, state, count(*) FROM run INDEXED BY run_live WHERE state < 2 \
         GROUP BY job, state \
         UNION ALL \
         SELECT * FROM (SELECT j.id, s.column1, (SELECT sum(count) FROM run r INDEXED BY run_end \
         WHERE r.job = j.id AND r.state >= 2 AND r.state = s.column1 AND r.ended_at >= :since) \
         AS sum FROM job j CROSS JOIN (VALUES {states}) AS s) WHERE sum > 0"
    ))?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, state_of(row.get(1)?)?, row.get::<_, i64>(2)?.cast_unsigned()))
    };
    query.query_map(named_params! { ":since": since.as_millisecond() }, read)?.collect()
}
