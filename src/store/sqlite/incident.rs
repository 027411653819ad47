//! Incidents and the outbox.
//!
//! Owns the statements: one open incident per key, and a row for each notifier in the same transaction.
//! Refuses to decide what is an incident (`plan::incident`) and to tell anybody (`alerts/`).

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params, params};

use super::columns::{bad_name, time};
use crate::model::{Incident, IncidentChange, IncidentId, IncidentState, JobName, Severity};
use crate::store::Applied;

/// Opens, counts again or resolves; the caller holds the transaction.
pub(super) fn apply(
    connection: &Connection,
    now: Timestamp,
    change: &IncidentChange,
) -> Result<Applied> {
    let at = now.as_millisecond();
    match change {
        IncidentChange::Open { notify, .. } => {
            if let Some(opened) = open(connection, at, change)? {
                tell(connection, (opened, "opened", at), notify)?;
            }
            Ok(Applied::Done)
        }
        IncidentChange::Resolve { key, note, notify } => {
            let mut update = connection.prepare_cached(
                "UPDATE incident SET resolved_at = ?2, note = ?3 \
                 WHERE key = ?1 AND resolved_at IS NULL RETURNING id",
            )?;
            let closed = update.query_row(params![key, at, note], |row| row.get(0)).optional()?;
            let Some(closed) = closed else { return Ok(Applied::Refused) };
            tell(connection, (closed, "resolved", at), notify)?;
            Ok(Applied::Done)
        }
    }
}

/// Opens an incident and returns its key, or counts the open one again.
fn open(connection: &Connection, at: i64, change: &IncidentChange) -> Result<Option<i64>> {
    let IncidentChange::Open { key, class, root, affected, severity, title, detail, mend, .. } =
        change
    else {
        return Ok(None);
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO incident (key, class, root, affected, severity, opened_at, last_seen, count, \
         title, detail, mend) \
         VALUES (:key, :class, :root, :affected, :severity, :at, :at, 1, :title, :detail, :mend) \
         ON CONFLICT (key) WHERE resolved_at IS NULL DO UPDATE SET class = excluded.class, \
         root = excluded.root, affected = excluded.affected, severity = excluded.severity, count = count + 1, \
         last_seen = excluded.last_seen, title = excluded.title, detail = excluded.detail, \
         mend = excluded.mend RETURNING id, count",
    )?;
    let names: Vec<&str> = affected.iter().map(JobName::as_str).collect();
    let columns = named_params! {
        ":key": key,
        ":class": class,
        ":root": root,
        ":affected": names.join("\n"),
        ":severity": severity_code(*severity),
        ":at": at,
        ":title": title,
        ":detail": detail,
        ":mend": mend,
    };
    let (id, count): (i64, i64) =
        upsert.query_row(columns, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((count == 1).then_some(id))
}

fn tell(
    connection: &Connection,
    (incident, event, at): (i64, &str, i64),
    notify: &[Arc<str>],
) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (incident, notifier, event, created_at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    notify.iter().try_for_each(|notifier| {
        insert.execute(params![incident, notifier.as_ref(), event, at]).map(drop)
    })
}

/// Incidents, newest first.
pub(super) fn list(connection: &Connection, all: bool, limit: u32) -> Result<Vec<Incident>> {
    let only = if all { "" } else { "WHERE resolved_at IS NULL" };
    let mut query = connection.prepare_cached(&format!(
        "SELECT id, key, affected, severity, opened_at, last_seen, count, title, detail, mend, \
         resolved_at, note, class, root FROM incident {only} ORDER BY id DESC LIMIT ?1"
    ))?;
    query.query_map([limit], read)?.collect()
}

fn read(row: &Row<'_>) -> Result<Incident> {
    let resolved_at = row.get::<_, Option<i64>>(10)?.map(time).transpose()?;
    let names: String = row.get(2)?;
    let affected =
        names.lines().map(|name| JobName::parse(name).map_err(|error| bad_name(2, error)));
    Ok(Incident {
        id: IncidentId(row.get(0)?),
        key: row.get(1)?,
        class: row.get(12)?,
        root: row.get(13)?,
        affected: affected.collect::<Result<_>>()?,
        severity: if row.get::<_, i64>(3)? == 0 { Severity::Warning } else { Severity::Error },
        state: match resolved_at {
            None => IncidentState::Open,
            Some(_) => IncidentState::Resolved,
        },
        opened_at: time(row.get(4)?)?,
        last_seen: time(row.get(5)?)?,
        count: row.get::<_, i64>(6)?.cast_unsigned(),
        title: row.get(7)?,
        detail: row.get(8)?,
        mend: row.get(9)?,
        resolved_at,
        note: row.get(11)?,
    })
}

fn severity_code(severity: Severity) -> i64 {
    match severity {
        Severity::Warning => 0,
        Severity::Error => 1,
    }
}
