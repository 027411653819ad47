//! Nodes and jobs: what the store has to know besides history.
//!
//! Owns their statements. Refuses to read a catalog: it is told names and hashes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Result, Row, named_params, params};

use super::columns::{name, revision_code, text, time};
use crate::model::{JobId, JobName, NodeId};
use crate::store::{JobEntry, JobState, NewNode, Pause};

/// Records an incarnation.
pub(super) fn register(connection: &Connection, node: &NewNode) -> Result<NodeId> {
    let mut insert = connection
        .prepare_cached("INSERT INTO node (name, boot, pid, started_at) VALUES (?1, ?2, ?3, ?4)")?;
    let started_at = node.started_at.as_millisecond();
    insert.insert(params![node.name, node.boot, node.pid, started_at]).map(NodeId)
}

/// Extends the claims of an incarnation: they all end with the node's own row.
pub(super) fn renew(connection: &Connection, node: NodeId, until: Timestamp) -> Result<()> {
    let mut update = connection
        .prepare_cached("UPDATE node SET until = max(coalesce(until, ?2), ?2) WHERE id = ?1")?;
    update.execute(params![node.0, until.as_millisecond()]).map(drop)
}

/// What decides whether a stored job has to be written.
struct Known {
    id: i64,
    revision: i64,
    schedule: i64,
    retired: bool,
}

/// Makes the stored jobs agree with the catalog; a reload that changes nothing writes nothing.
pub(super) fn sync(
    connection: &Connection,
    jobs: &[JobEntry],
    now: Timestamp,
) -> Result<Vec<JobState>> {
    let at = now.as_millisecond();
    let mut known = known(connection)?;
    for job in jobs {
        match known.remove(&job.name) {
            Some(known) if known.same(job) => {}
            Some(known) => change(connection, job, &known, at)?,
            None => add(connection, job, at)?,
        }
    }
    let mut retire = connection.prepare_cached("UPDATE job SET retired_at = ?2 WHERE id = ?1")?;
    for gone in known.values().filter(|known| !known.retired) {
        retire.execute(params![gone.id, at])?;
    }
    let mut states: BTreeMap<_, _> =
        list(connection)?.into_iter().map(|state| (state.name.clone(), state)).collect();
    // A name that the caller named twice is answered once: the catalog has each name once.
    Ok(jobs.iter().filter_map(|job| states.remove(&job.name)).collect())
}

impl Known {
    fn same(&self, job: &JobEntry) -> bool {
        !self.retired
            && self.revision == revision_code(job.revision)
            && self.schedule == revision_code(job.schedule)
    }
}

fn known(connection: &Connection) -> Result<BTreeMap<JobName, Known>> {
    let mut query = connection
        .prepare_cached("SELECT name, id, revision, schedule, retired_at IS NOT NULL FROM job")?;
    let read = |row: &Row<'_>| {
        let known = Known {
            id: row.get(1)?,
            revision: row.get(2)?,
            schedule: row.get(3)?,
            retired: row.get(4)?,
        };
        Ok((name(row, 0)?, known))
    };
    query.query_map([], read)?.collect()
}

fn add(connection: &Connection, job: &JobEntry, at: i64) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO job (name, revision, schedule, cursor, known_since) VALUES (?1, ?2, ?3, ?4, ?4)",
    )?;
    let (revision, schedule) = (revision_code(job.revision), revision_code(job.schedule));
    insert.execute(params![job.name.as_str(), revision, schedule, at]).map(drop)
}

/// A new schedule, or a return, starts at `now`: neither is ever retroactive.
fn change(connection: &Connection, job: &JobEntry, known: &Known, at: i64) -> Result<()> {
    let schedule = revision_code(job.schedule);
    let mut update = connection.prepare_cached(
        "UPDATE job SET revision = :revision, schedule = :schedule, retired_at = NULL, \
         cursor = iif(:anew, :at, cursor), known_since = iif(:back, :at, known_since) \
         WHERE id = :id",
    )?;
    let columns = named_params! {
        ":id": known.id,
        ":revision": revision_code(job.revision),
        ":schedule": schedule,
        ":anew": known.retired || known.schedule != schedule,
        ":back": known.retired,
        ":at": at,
    };
    update.execute(columns).map(drop)
}

/// Every job in force, by name.
pub(super) fn list(connection: &Connection) -> Result<Vec<JobState>> {
    let mut query = connection.prepare_cached(
        "SELECT id, name, cursor, paused_since, paused_reason, last_success, last_after, known_since \
         FROM job WHERE retired_at IS NULL ORDER BY name",
    )?;
    query.query_map([], state)?.collect()
}

fn state(row: &Row<'_>) -> Result<JobState> {
    let maybe = |column| row.get::<_, Option<i64>>(column)?.map(time).transpose();
    let since = maybe(3)?;
    Ok(JobState {
        id: JobId(row.get(0)?),
        name: name(row, 1)?,
        cursor: time(row.get(2)?)?,
        paused: since
            .map(|since| Ok::<_, rusqlite::Error>(Pause { since, reason: text(row, 4)? }))
            .transpose()?,
        last_success: maybe(5)?,
        last_after: maybe(6)?,
        known_since: time(row.get(7)?)?,
    })
}
