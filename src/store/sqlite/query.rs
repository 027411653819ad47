//! What readers ask.
//!
//! Owns the statements that list history and their plans. Refuses to write.
//!
//! A list is merged from one leg per state: each leg walks its own index from the newest end and stops
//! after `limit` entries, so that its price doesn't depend on how much history there is. `INDEXED BY`
//! makes a plan that would scan an error instead of a slow answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, ToSql, params};

use super::columns::{
    self, BLOCKED, FAILED, OVER, QUEUED, RAN, RUN, RUN_WIDTH, RUNNING, hour, name, outcome,
    state_code, state_of, text, time,
};
use crate::model::{
    Attempt, Cause, JobId, JobName, Outcome, Revision, Run, RunId, RunState, SlotState,
};
use crate::store::{EndQuery, RunQuery, RunRow, SlotQuery, SlotRow, Summary, slot_state};

/// Every run that is queued or running, oldest first.
pub(super) fn live_runs(connection: &Connection) -> Result<Vec<Run>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {RUN} FROM run r INDEXED BY run_live LEFT JOIN node n ON n.id = r.holder AND r.state = 1 \
         WHERE r.state < 2 ORDER BY r.id"
    ))?;
    query.query_map([], columns::run)?.collect()
}

/// Ended attempts of a run, in order. The one that ended it is mostly told by the run itself.
pub(super) fn attempts(connection: &Connection, run: RunId) -> Result<Vec<Attempt>> {
    let mut query = connection.prepare_cached(
        "SELECT no, node, started_at, ended_at, class, exit_code, retry_after, text \
         FROM attempt WHERE run = ?1 \
         UNION ALL \
         SELECT attempts, holder, since, ended_at, class, exit_code, retry_after, text \
         FROM run WHERE id = ?1 AND state IN (2, 3) AND holder IS NOT NULL ORDER BY no",
    )?;
    query.query_map([run.0], columns::attempt)?.collect()
}

/// Slots, newest nominal time first.
pub(super) fn slots(connection: &Connection, query: &SlotQuery) -> Result<Vec<SlotRow>> {
    let Some(job) = job_id(connection, query.job.as_ref())? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&slots_sql(query, job))?;
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

fn slots_sql(query: &SlotQuery, job: Option<i64>) -> String {
    let bounds = "kind = 0 AND ref >= :since AND ref < :until";
    let leg = |index: &str, only: &str| {
        let only = one_job(only, job);
        format!(
            "SELECT * FROM (SELECT id, ref FROM run INDEXED BY {index} WHERE {only} AND {bounds} \
             ORDER BY ref DESC, id DESC LIMIT :limit)"
        )
    };
    let all = query.states.is_empty();
    if all && job.is_some() {
        return merged(&[leg("run_cause", "TRUE")], "ref");
    }
    let wanted = |code: &i64| all || query.states.iter().any(|state| state_code(*state) == *code);
    let live = [QUEUED, RUNNING].into_iter().filter(wanted);
    let live = live.map(|code| leg("run_live", &format!("state < 2 AND state = {code}")));
    let index = if job.is_some() { "run_slot_job" } else { "run_slot" };
    let over = OVER.filter(wanted);
    let over = over.map(|code| leg(index, &format!("state >= 2 AND state = {code}")));
    merged(&live.chain(over).collect::<Vec<_>>(), "ref")
}

/// Runs, newest first.
pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Vec<RunRow>> {
    if let Some(id) = query.id {
        return Ok(run(connection, id)?.into_iter().collect());
    }
    if query.live && query.failed {
        return Ok(Vec::new());
    }
    let Some(job) = job_id(connection, query.job.as_ref())? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&runs_sql(query, job))?;
    let since = query.since.map_or(i64::MIN, Timestamp::as_millisecond);
    let (at, before) = page(connection, query.before)?;
    let mut bound: Vec<(&str, &dyn ToSql)> =
        vec![(":since", &since), (":at", &at), (":before", &before), (":limit", &query.limit)];
    if let Some(job) = &job {
        bound.push((":job", job));
    }
    statement.query_map(bound.as_slice(), run_row)?.collect()
}

fn runs_sql(query: &RunQuery, job: Option<i64>) -> String {
    let bounds = "created_at >= :since AND (created_at, id) < (:at, :before)";
    let leg = |index: &str, only: &str| {
        let only = one_job(only, job);
        format!(
            "SELECT * FROM (SELECT id, created_at FROM run INDEXED BY {index} WHERE {only} \
             AND {bounds} ORDER BY created_at DESC, id DESC LIMIT :limit)"
        )
    };
    let index = if job.is_some() { "run_over_job" } else { "run_over" };
    let over = |code| {
        let run = "state >= 2 AND (kind <> 0 OR state <= 3)";
        leg(index, &format!("{run} AND state = {code}"))
    };
    let live = leg("run_live", "state < 2");
    let legs = match (query.live, query.failed) {
        (true, _) => vec![live],
        (false, true) => vec![over(FAILED)],
        (false, false) => vec![live, over(RAN), over(FAILED)],
    };
    merged(&legs, "created_at")
}

/// One run, or the record of a slot that did not run.
fn run(connection: &Connection, id: RunId) -> Result<Option<RunRow>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {RUN}, j.name, r.revision FROM run r JOIN job j ON j.id = r.job \
         LEFT JOIN node n ON n.id = r.holder AND r.state = 1 WHERE r.id = ?1"
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
         LEFT JOIN node n ON n.id = r.holder AND r.state = 1 ORDER BY hit.{order} DESC, hit.id DESC"
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

fn run_row(row: &Row<'_>) -> Result<RunRow> {
    Ok(RunRow {
        run: columns::run(row)?,
        job: name(row, RUN_WIDTH)?,
        revision: Revision(row.get::<_, i64>(RUN_WIDTH + 1)?.cast_unsigned()),
    })
}

/// `None` for a row without a slot, which the statement doesn't return.
fn slot_row(row: &Row<'_>) -> Result<Option<SlotRow>> {
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

/// Ends of a job's runs, newest first.
pub(super) fn recent_ends(
    connection: &Connection,
    asked: EndQuery,
) -> Result<Vec<(Timestamp, Outcome)>> {
    let mut query = connection.prepare_cached(&ends_sql(asked.failed))?;
    let read = |row: &Row<'_>| {
        let end = outcome([row.get(1)?, row.get(2)?, row.get(3)?], text(row, 4)?)?;
        Ok((time(row.get(0)?)?, end))
    };
    let until = asked.until.as_millisecond();
    query.query_map(params![asked.job.0, asked.limit, until], read)?.collect()
}

/// What a credential blocked of a job since the last of the same kind that was not, newest first.
pub(super) fn blocked_tail(connection: &Connection, job: JobId, limit: u32) -> Result<Vec<Run>> {
    // Slots first, then the runs after others; a request of a person is not made up for.
    let mut query = connection.prepare_cached(&format!(
        "SELECT {RUN} FROM run r LEFT JOIN node n ON n.id = r.holder AND r.state = 1 \
         WHERE r.job = ?1 AND r.kind = ?2 AND r.state = {BLOCKED} AND r.count = 1 \
         AND r.ref > coalesce((SELECT ref FROM run WHERE job = ?1 AND kind = ?2 \
         AND state <= {FAILED} ORDER BY ref DESC LIMIT 1), -9223372036854775808) \
         ORDER BY r.ref DESC LIMIT ?3"
    ))?;
    let mut tail = Vec::new();
    for kind in [0, 2] {
        let rows = query.query_map(params![job.0, kind, limit], columns::run)?;
        tail.extend(rows.collect::<Result<Vec<Run>>>()?);
    }
    Ok(tail)
}

fn ends_sql(failed: bool) -> String {
    let leg = |code: &i64| {
        format!(
            "SELECT * FROM (SELECT id, ended_at FROM run INDEXED BY run_end \
             WHERE job = ?1 AND state >= 2 AND state = {code} AND ended_at <= ?3 \
             ORDER BY ended_at DESC, id DESC LIMIT ?2)"
        )
    };
    let codes: &[i64] = if failed { &[FAILED] } else { &[RAN, FAILED] };
    let hits = codes.iter().map(leg).collect::<Vec<_>>().join(" UNION ALL ");
    format!(
        "SELECT r.ended_at, r.class, r.exit_code, r.retry_after, r.text \
         FROM (SELECT * FROM ({hits}) ORDER BY ended_at DESC, id DESC LIMIT ?2) AS hit \
         CROSS JOIN run r ON r.id = hit.id ORDER BY hit.ended_at DESC, hit.id DESC"
    )
}

/// Each job's numbers.
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
    let mut query = connection.prepare_cached(COUNTS)?;
    let read = |row: &Row<'_>| {
        Ok((row.get(0)?, state_of(row.get(1)?)?, row.get::<_, i64>(2)?.cast_unsigned()))
    };
    query.query_map([hour(since.as_millisecond())], read)?.collect()
}

/// What is live is counted row by row, what is over hour by hour.
const COUNTS: &str = "\
    SELECT job, state, count(*) FROM run INDEXED BY run_live WHERE state < 2 GROUP BY job, state \
    UNION ALL \
    SELECT j.id, t.state, sum(t.count) FROM job j CROSS JOIN tally t \
    ON t.job = j.id AND t.hour >= ?1 GROUP BY j.id, t.state";

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rusqlite::StatementStatus;

    use super::*;
    use crate::model::{Cause, Failure, FailureClass, NotRun};
    use crate::store::sqlite::{Options, commit, jobs, writing};
    use crate::store::{Batch, Change, JobEntry};

    fn minute(index: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(index)
    }

    struct History {
        connection: Connection,
        slots: i64,
        _folder: tempfile::TempDir,
    }

    /// A store where `slots` slots of two jobs are over: in turn ran, failed and skipped.
    fn history(slots: i64) -> History {
        let folder = tempfile::tempdir().unwrap();
        let connection = writing(&folder.path().join("s.db"), Options::default()).unwrap();
        let entry = |name| JobEntry {
            name: JobName::parse(name).unwrap(),
            revision: Revision(1),
            schedule: Revision(1),
        };
        let names = [entry("a"), entry("b")];
        let known = jobs::sync(&connection, &names, minute(0)).unwrap();
        let record = |index: i64| {
            let at = minute(index);
            let failure = Failure::new(FailureClass::Permanent, "no");
            let state = match index % 3 {
                0 => RunState::Finished { at, outcome: Outcome::Succeeded { note: "ok".into() } },
                1 => RunState::Finished { at, outcome: Outcome::Failed(failure) },
                _ => RunState::NotRun {
                    at,
                    verdict: NotRun::Skipped,
                    reason: "paused".into(),
                    count: 1,
                },
            };
            let job = known[usize::from(index % 2 == 0)].id;
            Change::Record { job, revision: Revision(1), cause: Cause::Slot(at), state }
        };
        connection.execute_batch("BEGIN").unwrap();
        for index in 0..slots {
            let batch = Batch { now: minute(index), changes: vec![record(index)] };
            commit::batch(&connection, &batch).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        History { connection, slots, _folder: folder }
    }

    /// Steps of SQLite's machine that a cached statement has taken.
    fn steps(connection: &Connection, sql: &str) -> i32 {
        let statement = connection.prepare_cached(sql).unwrap();
        statement.reset_status(StatementStatus::VmStep)
    }

    /// The price of each list, in steps instead of time: 50 times the history, the same price.
    #[test]
    fn lists_cost_the_same_whatever_the_history() {
        let (small, large) = (history(60), history(3000));
        for name in [None, Some(JobName::parse("a").unwrap())] {
            let job = name.is_some().then_some(1);
            for states in [vec![], vec![SlotState::Failed], vec![SlotState::Missed, SlotState::Ran]]
            {
                same_price(&small, &large, |connection, newest| {
                    let query = SlotQuery {
                        job: name.clone(),
                        states: states.clone(),
                        since: Some(minute(newest - 40)),
                        until: Some(minute(newest - 3)),
                        limit: 5,
                    };
                    slots(connection, &query).unwrap();
                    slots_sql(&query, job)
                });
            }
            for (failed, since) in [(false, 40), (true, 40), (false, 9)] {
                same_price(&small, &large, |connection, newest| {
                    let query = RunQuery {
                        job: name.clone(),
                        failed,
                        since: Some(minute(newest - since)),
                        limit: 5,
                        ..RunQuery::default()
                    };
                    runs(connection, &query).unwrap();
                    runs_sql(&query, job)
                });
            }
        }
        for failed in [false, true] {
            same_price(&small, &large, |connection, newest| {
                let query = EndQuery { job: JobId(1), until: minute(newest - 9), failed, limit: 5 };
                recent_ends(connection, query).unwrap();
                ends_sql(failed)
            });
        }
    }

    /// `ask` is told the newest slot's minute, and returns the statement that it has used.
    fn same_price(small: &History, large: &History, ask: impl Fn(&Connection, i64) -> String) {
        let price = |history: &History| {
            let sql = ask(&history.connection, history.slots - 1);
            (steps(&history.connection, &sql), sql)
        };
        let ((few, _), (many, sql)) = (price(small), price(large));
        assert!(few > 0, "it has run: {sql}");
        assert!(many <= few + few / 10, "{few} steps became {many}: {sql}");
    }
}
