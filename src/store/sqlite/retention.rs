//! Forgets old history, a small batch at a time.
//!
//! Owns what may go and in which order. Refuses to know files beside the store: it returns the runs
//! that went.
//!
//! A row of a slot is also what stops the slot from happening twice. It may go once the job's cursor
//! has passed the slot, since the planner only ever looks at slots after the cursor; a slot that was
//! recorded ahead of its cursor stays, however old it is and whatever the limits say. The newest row
//! of all stays too, so that no run's number comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Result, ToSql, named_params};

use super::columns::{FAILED, OVER, RAN, hour};
use super::{observation, outbox};
use crate::model::RunId;
use crate::store::{Keep, Pruned};

/// Free pages that one call gives back to the file system at most.
const GIVE_BACK: u32 = 256;

/// What may be deleted at all; `r` is a run and `j` its job.
const DELETABLE: &str = "(r.kind <> 0 OR r.ref <= j.cursor) AND r.id < (SELECT max(id) FROM run)";

/// Bytes of pages in use.
pub(super) fn size(connection: &Connection) -> Result<u64> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}

/// Deletes one batch of runs, and with them what has no other use; the caller holds the transaction.
pub(super) fn prune(connection: &Connection, keep: &Keep, now: Timestamp) -> Result<Pruned> {
    let cutoff = before(now, keep.age);
    let mut batch = Batch { connection, cutoff, left: keep.batch, gone: Vec::new() };
    batch.older_than(cutoff)?;
    batch.beyond(keep.per_job)?;
    if keep.bytes.is_some_and(|most| size(connection).is_ok_and(|size| size > most)) {
        batch.older_than(i64::MAX)?;
    }
    let runs = batch.gone;
    let most = keep.batch as usize;
    let old = before(now, keep.observations);
    let looks = observation::forget(connection, (old, cutoff.min(old)), (keep.looks, keep.batch))?;
    forget_the_rest(connection, cutoff, keep.batch)?;
    give_back(connection)?;
    Ok(Pruned { more: runs.len() >= most || looks >= most, runs })
}

/// The time that lies `age` before `now`.
fn before(now: Timestamp, age: Duration) -> i64 {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(age).unwrap_or(Timestamp::MIN).as_millisecond()
}

/// What one call may still delete, and what it has deleted.
struct Batch<'a> {
    connection: &'a Connection,
    /// Ends before this are too old.
    cutoff: i64,
    left: u32,
    gone: Vec<RunId>,
}

impl Batch<'_> {
    /// Runs and slots that were over before `cutoff`, oldest first.
    fn older_than(&mut self, cutoff: i64) -> Result<()> {
        let leg = |index: &str, only: &str, code: i64, by: &str| {
            format!(
                "SELECT * FROM (SELECT r.id, r.job, r.{by} AS at FROM run r INDEXED BY {index} \
                 CROSS JOIN job j ON j.id = r.job WHERE {only} AND r.state = {code} \
                 AND r.{by} < :cutoff AND r.ended_at < :cutoff AND {DELETABLE} \
                 ORDER BY r.{by}, r.id LIMIT :limit)"
            )
        };
        let legs = OVER.flat_map(|code| {
            let run = "r.state >= 2 AND (r.kind <> 0 OR r.state <= 3)";
            let runs = leg("run_over", run, code, "created_at");
            let slots = leg("run_slot", "r.kind = 0 AND r.state >= 2", code, "ref");
            if code == RAN || code == FAILED { vec![runs] } else { vec![runs, slots] }
        });
        let sql = oldest(&legs.collect::<Vec<_>>());
        self.delete(&sql, &[(":cutoff", &cutoff)], self.left)
    }

    /// What a job has beyond the newest `most` rows, oldest first.
    fn beyond(&mut self, most: u64) -> Result<()> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut query = self
            .connection
            .prepare_cached("SELECT id, ended - ?1 FROM job WHERE ended > ?1 ORDER BY id")?;
        let jobs: Vec<(i64, i64)> = query
            .query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_>>()?;
        let legs = OVER.map(|code| {
            format!(
                "SELECT * FROM (SELECT r.id, r.job, r.ended_at AS at FROM run r INDEXED BY run_end \
                 CROSS JOIN job j ON j.id = r.job \
                 WHERE r.job = :job AND r.state >= 2 AND r.state = {code} AND {DELETABLE} \
                 ORDER BY r.ended_at, r.id LIMIT :limit)"
            )
        });
        let sql = oldest(&legs.collect::<Vec<_>>());
        for (job, excess) in jobs {
            let limit = self.left.min(u32::try_from(excess).unwrap_or(u32::MAX));
            self.delete(&sql, &[(":job", &job)], limit)?;
        }
        Ok(())
    }

    /// Deletes the rows that `sql` finds; their attempts go with them.
    fn delete(&mut self, sql: &str, bound: &[(&str, &dyn ToSql)], limit: u32) -> Result<()> {
        if limit == 0 {
            return Ok(());
        }
        let mut bound = bound.to_vec();
        bound.push((":limit", &limit));
        let mut query = self.connection.prepare_cached(sql)?;
        let found: Vec<(i64, i64)> = query
            .query_map(bound.as_slice(), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_>>()?;
        let mut ended: BTreeMap<i64, i64> = BTreeMap::new();
        let mut delete = self.connection.prepare_cached("DELETE FROM run WHERE id = ?1")?;
        for (run, job) in found {
            delete.execute([run])?;
            *ended.entry(job).or_default() += 1;
            self.left -= 1;
            self.gone.push(RunId(run));
        }
        let mut count =
            self.connection.prepare_cached("UPDATE job SET ended = ended - ?2 WHERE id = ?1")?;
        let mut hours =
            self.connection.prepare_cached("DELETE FROM tally WHERE job = ?1 AND hour < ?2")?;
        for (job, rows) in ended {
            count.execute([job, rows])?;
            hours.execute([job, hour(self.cutoff)])?;
        }
        Ok(())
    }
}

/// The statement that merges legs, oldest first.
fn oldest(legs: &[String]) -> String {
    format!("SELECT id, job FROM ({}) ORDER BY at, id LIMIT :limit", legs.join(" UNION ALL "))
}

/// Incidents that were over before `cutoff` with what was told of them, retired jobs without history,
/// and starts of the daemon that hold nothing any more.
fn forget_the_rest(connection: &Connection, cutoff: i64, limit: u32) -> Result<()> {
    for sql in [
        "DELETE FROM incident WHERE id IN (SELECT id FROM incident \
         WHERE resolved_at < :cutoff AND NOT EXISTS (SELECT 1 FROM outbox \
         WHERE incident = incident.id AND state IN (0, 2)) ORDER BY id LIMIT :limit)",
        outbox::FORGET[0],
        outbox::FORGET[1],
        "DELETE FROM job WHERE id IN (SELECT id FROM job j \
         WHERE retired_at < :cutoff AND ended = 0 \
         AND NOT EXISTS (SELECT 1 FROM run WHERE job = j.id) ORDER BY id LIMIT :limit)",
        "DELETE FROM node WHERE id IN (SELECT id FROM node n WHERE started_at < :cutoff \
         AND coalesce(until, started_at) < :cutoff AND id < (SELECT max(id) FROM node) \
         AND NOT EXISTS (SELECT 1 FROM run INDEXED BY run_live WHERE state < 2 AND holder = n.id) \
         ORDER BY id LIMIT :limit)",
    ] {
        let mut delete = connection.prepare_cached(sql)?;
        delete.execute(named_params! { ":cutoff": cutoff, ":limit": limit })?;
    }
    Ok(())
}

/// Returns free pages at the file's end to the file system, a few at a time.
fn give_back(connection: &Connection) -> Result<()> {
    let mut vacuum =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({GIVE_BACK})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
