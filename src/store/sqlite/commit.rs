//! Carries out changes, each under its own condition.
//!
//! Owns the statements that write history, and checks each condition inside the transaction that acts on
//! it, which no other writer can enter. Refuses to decide what a change should be.

use jiff::Timestamp;
use rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY;
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql, named_params, params};

use super::columns::{End, FAILED, RAN, State, cause_codes, hour, revision_code};
use super::{incident, observation, outbox};
use crate::model::{AttemptNo, Cause, Holder, JobId, NodeId, Outcome, Revision, RunId, RunState};
use crate::store::{Applied, Batch, Change, Pause};

/// Carries out a batch; the caller holds the transaction.
pub(super) fn batch(connection: &Connection, batch: &Batch) -> Result<Vec<Applied>> {
    let at = At { connection, now: batch.now };
    batch.changes.iter().map(|change| at.apply(change)).collect()
}

/// A transaction and the time that its changes carry.
struct At<'a> {
    connection: &'a Connection,
    now: Timestamp,
}

impl At<'_> {
    fn apply(&self, change: &Change) -> Result<Applied> {
        match change {
            Change::Record { job, revision, cause, state } => {
                self.record(*job, *revision, *cause, state)
            }
            Change::Cursor { job, from, to } => self.cursor(*job, *from, *to),
            Change::Start { run, attempt, holder } => self.start(*run, *attempt, *holder),
            Change::End { run, node, fence, outcome, next } => {
                self.end(*run, (*node, *fence), outcome, next)
            }
            Change::Close { run, state } => self.close(*run, state),
            Change::Release { run, ready_at, why } => self.release(*run, *ready_at, why),
            Change::Pause { job, pause } => self.pause(*job, pause.as_ref()),
            Change::Observe(looks) => {
                observation::keep(self.connection, looks).map(|()| Applied::Done)
            }
            Change::Incident(change) => incident::apply(self.connection, self.now, change),
            Change::Outbox(change) => outbox::apply(self.connection, self.now, change),
        }
    }

    fn now(&self) -> i64 {
        self.now.as_millisecond()
    }

    fn record(
        &self,
        job: JobId,
        revision: Revision,
        cause: Cause,
        state: &RunState,
    ) -> Result<Applied> {
        let (kind, reference) = cause_codes(cause);
        let to = State::of(state);
        let attempts = u32::from(to.since.is_some());
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO run (job, kind, ref, state, revision, created_at, attempts, started_at, \
             ready_at, since, holder, until, ended_at, class, exit_code, retry_after, count, text) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
             ?17) ON CONFLICT (job, kind, ref) DO NOTHING",
        )?;
        let inserted = insert.execute(params![
            job.0,
            kind,
            reference,
            to.code,
            revision_code(revision),
            self.now(),
            attempts,
            to.ready_at,
            to.since,
            to.holder,
            to.until,
            to.ended_at,
            to.end.class,
            to.end.exit_code,
            to.end.retry_after,
            to.count,
            to.end.text,
        ]);
        match inserted {
            Ok(0) => Ok(Applied::Refused),
            Ok(_) => {
                let run = RunId(self.connection.last_insert_rowid());
                if matches!(cause, Cause::After(_)) {
                    self.follow(job)?;
                }
                self.tally(job, state)?;
                Ok(Applied::Recorded(run))
            }
            // No such job: nobody retires one while its runs are being recorded, but a stale view may.
            Err(error) if is_foreign_key(&error) => Ok(Applied::Refused),
            Err(error) => Err(error),
        }
    }

    /// Remembers that a run after others was recorded.
    fn follow(&self, job: JobId) -> Result<()> {
        let mut update =
            self.connection.prepare_cached("UPDATE job SET last_after = ?2 WHERE id = ?1")?;
        update.execute([job.0, self.now()]).map(drop)
    }

    fn cursor(&self, job: JobId, from: Timestamp, to: Timestamp) -> Result<Applied> {
        let mut update = self
            .connection
            .prepare_cached("UPDATE job SET cursor = ?3 WHERE id = ?1 AND cursor = ?2")?;
        update.execute(params![job.0, from.as_millisecond(), to.as_millisecond()]).map(applied)
    }

    fn start(&self, run: RunId, attempt: AttemptNo, holder: Holder) -> Result<Applied> {
        let mut update = self.connection.prepare_cached(
            "UPDATE run SET state = 1, attempts = :attempt, since = :now, holder = :node, \
             until = :until, started_at = coalesce(started_at, :now), ready_at = NULL, text = NULL \
             WHERE id = :run AND state = 0 AND attempts = :attempt - 1",
        )?;
        update
            .execute(named_params! {
                ":run": run.0,
                ":attempt": attempt,
                ":now": self.now(),
                ":node": holder.node.0,
                ":until": holder.until.as_millisecond(),
            })
            .map(applied)
    }

    fn end(
        &self,
        run: RunId,
        (node, fence): (NodeId, AttemptNo),
        outcome: &Outcome,
        next: &RunState,
    ) -> Result<Applied> {
        let mut held = self.connection.prepare_cached(
            "SELECT job, since FROM run \
             WHERE id = ?1 AND state = 1 AND holder = ?2 AND attempts = ?3",
        )?;
        let held = held.query_row(params![run.0, node.0, fence], |row| {
            Ok((JobId(row.get(0)?), row.get::<_, i64>(1)?))
        });
        let Some((job, since)) = held.optional()? else { return Ok(Applied::Refused) };
        let last = match next {
            RunState::Running { .. } => return Ok(Applied::Refused),
            // A run that a credential blocked shows no attempt of its own: it may go on later.
            RunState::Queued { .. } | RunState::NotRun { .. } => false,
            RunState::Finished { at, outcome: told } => *at == self.now && told == outcome,
        };
        if !last {
            self.keep_attempt((run, fence), (node, since), outcome)?;
        }
        self.move_to((run, job), next, last)
    }

    /// Keeps an attempt that the run itself does not tell.
    fn keep_attempt(
        &self,
        (run, no): (RunId, AttemptNo),
        (node, since): (NodeId, i64),
        outcome: &Outcome,
    ) -> Result<()> {
        let end = End::of(outcome);
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO attempt \
             (run, no, node, started_at, ended_at, class, exit_code, retry_after, text) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let columns = params![
            run.0,
            no,
            node.0,
            since,
            self.now(),
            end.class,
            end.exit_code,
            end.retry_after,
            end.text,
        ];
        insert.execute(columns).map(drop)
    }

    fn close(&self, run: RunId, state: &RunState) -> Result<Applied> {
        if !matches!(state, RunState::Finished { .. } | RunState::NotRun { .. }) {
            return Ok(Applied::Refused);
        }
        let mut queued =
            self.connection.prepare_cached("SELECT job FROM run WHERE id = ?1 AND state = 0")?;
        match queued.query_row([run.0], |row| row.get(0)).optional()? {
            Some(job) => self.move_to((run, JobId(job)), state, false),
            None => Ok(Applied::Refused),
        }
    }

    /// Queues a run that was blocked, and takes its end out of the job's numbers: it has not ended.
    fn release(&self, run: RunId, ready_at: Timestamp, why: &str) -> Result<Applied> {
        let mut blocked = self.connection.prepare_cached(
            "SELECT job, ended_at FROM run WHERE id = ?1 AND state = 7 AND count = 1",
        )?;
        let found = blocked.query_row([run.0], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((job, ended_at)): Option<(i64, i64)> = found.optional()? else {
            return Ok(Applied::Refused);
        };
        let state = RunState::Queued { ready_at, why: why.to_owned() };
        let applied = self.move_to((run, JobId(job)), &state, false)?;
        for sql in [
            "UPDATE tally SET count = count - 1 WHERE job = ?1 AND hour = ?2 AND state = 7",
            "DELETE FROM tally WHERE job = ?1 AND hour = ?2 AND state = 7 AND count = 0",
        ] {
            self.connection.prepare_cached(sql)?.execute([job, hour(ended_at)])?;
        }
        let mut ended =
            self.connection.prepare_cached("UPDATE job SET ended = ended - 1 WHERE id = ?1")?;
        ended.execute([job])?;
        Ok(applied)
    }

    fn pause(&self, job: JobId, pause: Option<&Pause>) -> Result<Applied> {
        let mut update = self
            .connection
            .prepare_cached("UPDATE job SET paused_since = ?2, paused_reason = ?3 WHERE id = ?1")?;
        let since = pause.map(|pause| pause.since.as_millisecond());
        update.execute(params![job.0, since, pause.map(|pause| &pause.reason)]).map(applied)
    }

    /// Puts a run whose condition was checked into another state. Where it tells its last attempt, who
    /// performed that and since when stays with it.
    fn move_to(
        &self,
        (run, job): (RunId, JobId),
        state: &RunState,
        tells_attempt: bool,
    ) -> Result<Applied> {
        let to = State::of(state);
        let mut update = self.connection.prepare_cached(
            "UPDATE run SET state = ?2, ready_at = ?3, since = iif(?10, since, NULL), \
             holder = iif(?10, holder, NULL), until = NULL, ended_at = ?4, class = ?5, \
             exit_code = ?6, retry_after = ?7, count = ?8, text = ?9 WHERE id = ?1",
        )?;
        update.execute(params![
            run.0,
            to.code,
            to.ready_at,
            to.ended_at,
            to.end.class,
            to.end.exit_code,
            to.end.retry_after,
            to.count,
            to.end.text,
            tells_attempt,
        ])?;
        self.tally(job, state)?;
        Ok(Applied::Done)
    }

    /// Keeps the job's own numbers, which outlive the rows that they are taken from.
    fn tally(&self, job: JobId, state: &RunState) -> Result<()> {
        let to = State::of(state);
        let Some(at) = to.ended_at else { return Ok(()) };
        let mut count = self.connection.prepare_cached(
            "INSERT INTO tally (job, hour, state, count) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        count.execute([job.0, hour(at), to.code, to.count])?;
        let (failure, now) = (to.end.text.unwrap_or_default(), self.now());
        let (sql, columns): (_, &[&dyn ToSql]) = match to.code {
            RAN => (
                // One that lies ahead of now was told by a wrong clock, and would stand for years.
                "UPDATE job SET ended = ended + 1, last_success = \
                 iif(last_success BETWEEN ?2 AND ?3, last_success, ?2) WHERE id = ?1",
                &[&job.0, &at, &now],
            ),
            FAILED => (
                "UPDATE job SET ended = ended + 1, \
                 last_failure = iif(last_failed_at > ?2 AND last_failed_at <= ?4, last_failure, ?3), \
                 last_failed_at = iif(last_failed_at BETWEEN ?2 AND ?4, last_failed_at, ?2) \
                 WHERE id = ?1",
                &[&job.0, &at, &failure, &now],
            ),
            _ => ("UPDATE job SET ended = ended + 1 WHERE id = ?1", &[&job.0]),
        };
        self.connection.prepare_cached(sql)?.execute(columns).map(drop)
    }
}

fn applied(rows: usize) -> Applied {
    if rows == 0 { Applied::Refused } else { Applied::Done }
}

fn is_foreign_key(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(code, _)
        if code.extended_code == SQLITE_CONSTRAINT_FOREIGNKEY)
}
