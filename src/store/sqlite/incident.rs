//! Incidents.
//!
//! Owns the statements: one open incident per key, and what is to be told of it in the same transaction.
//! Refuses to decide what is an incident (`plan::incident`) and to tell anybody (`alerts/`).

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params, params};

use super::columns::{bad_name, text, time};
use super::observation::fault;
use super::outbox;
use crate::model::{
    Acknowledged, Event, Fault, Incident, IncidentChange, IncidentId, IncidentState, JobName,
    Opening, Severity,
};
use crate::store::Applied;

const COLUMNS: &str = "id, key, affected, severity, opened_at, last_seen, count, title, detail, mend, \
     resolved_at, note, class, root, fault, generation, acked_at, acked_by, flapping, remind";

/// Carries out a change; the caller holds the transaction.
pub(super) fn apply(
    connection: &Connection,
    now: Timestamp,
    change: &IncidentChange,
) -> Result<Applied> {
    let at = now.as_millisecond();
    match change {
        IncidentChange::Open(opening) => {
            let (incident, event) = open(connection, at, opening)?;
            if let Some(event) = event {
                outbox::tell(connection, (incident, event, at), &opening.notify)?;
            }
            outbox::tell_newcomers(connection, (incident, at), &opening.notify)?;
            Ok(Applied::Done)
        }
        IncidentChange::Resolve { key, note, .. } => {
            let mut update = connection.prepare_cached(
                "UPDATE incident SET resolved_at = ?2, note = ?3, flapping = 0 \
                 WHERE key = ?1 AND resolved_at IS NULL RETURNING id",
            )?;
            let closed = update.query_row(params![key, at, note], |row| row.get(0)).optional()?;
            let Some(closed) = closed else { return Ok(Applied::Refused) };
            outbox::tell_end(connection, closed, at)?;
            Ok(Applied::Done)
        }
        IncidentChange::Acknowledge { key, by } => {
            let mut update = connection.prepare_cached(
                "UPDATE incident SET acked_at = ?2, acked_by = ?3 \
                 WHERE key = ?1 AND resolved_at IS NULL",
            )?;
            let noted = update.execute(params![key, at, by])?;
            Ok(if noted == 0 { Applied::Refused } else { Applied::Done })
        }
    }
}

/// Opens an incident, counts the open one again, or takes up one that was just over. Returns what there is
/// to tell of it.
fn open(connection: &Connection, at: i64, opening: &Opening) -> Result<(i64, Option<Event>)> {
    let mut find = connection.prepare_cached(
        "SELECT id, severity, flapping, resolved_at IS NULL FROM incident WHERE key = ?1 \
         AND (resolved_at IS NULL OR abs(resolved_at - ?2) < ?3) \
         ORDER BY resolved_at IS NULL DESC, id DESC LIMIT 1",
    )?;
    let reopen = i64::try_from(Incident::REOPEN.as_millis()).unwrap_or(i64::MAX);
    let found = find.query_row(params![opening.key, at, reopen], |row| {
        Ok(Found {
            id: row.get(0)?,
            severity: row.get(1)?,
            flapping: row.get(2)?,
            open: row.get(3)?,
        })
    });
    let Some(found) = found.optional()? else {
        return insert(connection, at, opening).map(|id| (id, Some(Event::Opened)));
    };
    refresh(connection, at, opening, &found)?;
    let event = if !found.open || found.is_less_than(opening) {
        Some(Event::Opened)
    } else {
        (opening.flapping && !found.flapping).then_some(Event::Flapping)
    };
    Ok((found.id, event))
}

/// The incident of a key as it stands.
struct Found {
    id: i64,
    severity: i64,
    flapping: bool,
    open: bool,
}

impl Found {
    fn is_less_than(&self, opening: &Opening) -> bool {
        self.severity < severity_code(opening.severity)
    }
}

fn insert(connection: &Connection, at: i64, opening: &Opening) -> Result<i64> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO incident (key, class, root, fault, affected, severity, opened_at, last_seen, \
         count, title, detail, mend, flapping, remind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 1, \
         ?8, ?9, ?10, ?11, ?12)",
    )?;
    insert.insert(params![
        opening.key,
        opening.class,
        opening.root,
        opening.fault.map(Fault::word),
        joined(&opening.affected),
        severity_code(opening.severity),
        at,
        opening.title,
        opening.detail,
        opening.mend,
        opening.flapping,
        opening.remind.as_deref().map(remind_text),
    ])
}

/// What a person knows of is a problem of this generation, as bad as it was.
fn refresh(connection: &Connection, at: i64, opening: &Opening, found: &Found) -> Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE incident SET class = :class, root = :root, fault = :fault, affected = :affected, \
         severity = :severity, last_seen = :at, count = count + 1, title = :title, \
         detail = :detail, mend = :mend, flapping = :flapping, remind = :remind, \
         generation = generation + :again, resolved_at = NULL, note = '', \
         acked_at = iif(:anew, NULL, acked_at), acked_by = iif(:anew, NULL, acked_by) \
         WHERE id = :id",
    )?;
    update.execute(named_params! {
        ":id": found.id,
        ":class": opening.class,
        ":root": opening.root,
        ":fault": opening.fault.map(Fault::word),
        ":affected": joined(&opening.affected),
        ":severity": severity_code(opening.severity),
        ":at": at,
        ":title": opening.title,
        ":detail": opening.detail,
        ":mend": opening.mend,
        ":flapping": opening.flapping,
        ":remind": opening.remind.as_deref().map(remind_text),
        ":again": i64::from(!found.open),
        ":anew": !found.open || found.is_less_than(opening),
    })?;
    Ok(())
}

fn joined(names: &[JobName]) -> String {
    names.iter().map(JobName::as_str).collect::<Vec<_>>().join("\n")
}

fn remind_text(remind: &[Duration]) -> String {
    let millis = |time: &Duration| time.as_millis().to_string();
    remind.iter().map(millis).collect::<Vec<_>>().join("\n")
}

fn remind_of(text: &str) -> Vec<Duration> {
    text.lines().filter_map(|line| line.parse().ok().map(Duration::from_millis)).collect()
}

/// Incidents, newest first.
pub(super) fn list(connection: &Connection, all: bool, limit: u32) -> Result<Vec<Incident>> {
    let only = if all { "" } else { "WHERE resolved_at IS NULL" };
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident {only} ORDER BY id DESC LIMIT ?1"
    ))?;
    query.query_map([limit], read)?.collect()
}

/// The incidents whose keys a statement finds.
pub(super) fn those(connection: &Connection, keys: &str) -> Result<Vec<Incident>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident WHERE id IN ({keys}) ORDER BY id"
    ))?;
    query.query_map([], read)?.collect()
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
        fault: fault(row, 14)?,
        generation: row.get(15)?,
        acknowledged: acknowledged(row)?,
        flapping: row.get(18)?,
        remind: row.get::<_, Option<String>>(19)?.as_deref().map(remind_of),
    })
}

fn acknowledged(row: &Row<'_>) -> Result<Option<Acknowledged>> {
    let at: Option<i64> = row.get(16)?;
    at.map(|at| Ok(Acknowledged { at: time(at)?, by: text(row, 17)? })).transpose()
}

fn severity_code(severity: Severity) -> i64 {
    match severity {
        Severity::Warning => 0,
        Severity::Error => 1,
    }
}
