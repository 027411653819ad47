//! The outbox and silences.
//!
//! Owns their statements: rows are written with their incident, and each later change re-checks that the row
//! still waits. Refuses to decide who is told and when (`alerts::decide`).

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params, params};

use super::columns::{bad_name, text, time, unknown};
use super::incident;
use crate::model::{
    Blame, Event, Held, Hold, IncidentId, NameError, Notification, NotificationId, Outbox,
    OutboxChange, Silence, SilenceId, Told,
};
use crate::store::Applied;

const COLUMNS: &str = "id, incident, notifier, event, created_at, state, ended_at, tries, \
     tried_since, next_at, hold, held, held_until, blame, error, origin, carrier";

/// Writes what is to be told of an incident; the caller holds the transaction.
pub(super) fn tell(
    connection: &Connection,
    (incident, event, at): (i64, Event, i64),
    notify: &[Arc<str>],
) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (incident, notifier, event, created_at, next_at) \
         VALUES (?1, ?2, ?3, ?4, ?4)",
    )?;
    notify.iter().try_for_each(|notifier| {
        insert.execute(params![incident, notifier.as_ref(), event.word(), at]).map(drop)
    })
}

/// Writes the end of an incident for each notifier that its beginning was written for: who was told of the
/// one is told of the other, whatever the settings have come to say since then.
pub(super) fn tell_end(connection: &Connection, incident: i64, at: i64) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (incident, notifier, event, created_at, next_at) \
         SELECT ?1, notifier, 'resolved', ?2, ?2 FROM outbox \
         WHERE incident = ?1 AND event IN ('opened', 'flapping') \
         GROUP BY notifier ORDER BY min(id)",
    )?;
    insert.execute([incident, at]).map(drop)
}

/// Writes the beginning of an incident that goes on, for those that it was never written for.
pub(super) fn tell_newcomers(
    connection: &Connection,
    (incident, at): (i64, i64),
    notify: &[Arc<str>],
) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (incident, notifier, event, created_at, next_at) \
         SELECT ?1, ?2, 'opened', ?3, ?3 WHERE NOT EXISTS \
         (SELECT 1 FROM outbox WHERE incident = ?1 AND notifier = ?2 AND event = 'opened')",
    )?;
    notify
        .iter()
        .try_for_each(|notifier| insert.execute(params![incident, notifier.as_ref(), at]).map(drop))
}

/// Carries out a change; the caller holds the transaction.
pub(super) fn apply(
    connection: &Connection,
    now: Timestamp,
    change: &OutboxChange,
) -> Result<Applied> {
    let at = now.as_millisecond();
    match change {
        OutboxChange::Write { incident, notifier, event, origin } => {
            write(connection, at, (*incident, notifier, *event, *origin))
        }
        OutboxChange::Digest { notifier, rows } => digest(connection, at, (notifier, rows)),
        OutboxChange::Failed { row, tries, next_at, blame, error } => {
            let mut update = connection.prepare_cached(
                "UPDATE outbox SET tries = ?2, tried_since = coalesce(tried_since, ?3), \
                 next_at = ?4, blame = ?5, error = ?6 WHERE id = ?1 AND state = 0 AND tries = ?2 - 1",
            )?;
            let next_at = next_at.as_millisecond();
            update
                .execute(params![row.0, tries, at, next_at, blame_code(*blame), error])
                .map(applied)
        }
        OutboxChange::Delivered { row } => end(connection, at, (*row, Told::Delivered, None)),
        OutboxChange::GiveUp { row, why } => {
            end(connection, at, (*row, Told::GivenUp, Some(why.as_str())))
        }
        OutboxChange::Drop { row, why } => {
            end(connection, at, (*row, Told::Dropped, Some(why.as_str())))
        }
        OutboxChange::Hold { row, held } => hold(connection, *row, held.as_ref()),
        OutboxChange::Carry { row, carrier } => carry(connection, *row, *carrier),
        OutboxChange::Silence { pattern, reason, by, until } => {
            let mut insert = connection.prepare_cached(
                "INSERT INTO silence (pattern, reason, author, since, until) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            let id = insert.insert(params![pattern, reason, by, at, until.as_millisecond()])?;
            Ok(Applied::Wrote(id))
        }
        OutboxChange::EndSilence { silence } => {
            let mut update = connection
                .prepare_cached("UPDATE silence SET until = ?2 WHERE id = ?1 AND until > ?2")?;
            update.execute([silence.0, at]).map(applied)
        }
    }
}

fn write(
    connection: &Connection,
    at: i64,
    (incident, notifier, event, origin): (Option<IncidentId>, &str, Event, Option<NotificationId>),
) -> Result<Applied> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO outbox (incident, notifier, event, created_at, next_at, origin) \
         SELECT :incident, :notifier, :event, :at, :at, :origin \
         WHERE :event <> 'reminder' OR NOT EXISTS (SELECT 1 FROM outbox WHERE state = 0 \
         AND notifier = :notifier AND incident = :incident) ON CONFLICT DO NOTHING",
    )?;
    let written = insert.execute(named_params! {
        ":incident": incident.map(|incident| incident.0),
        ":notifier": notifier,
        ":event": event.word(),
        ":at": at,
        ":origin": origin.map(|origin| origin.0),
    })?;
    Ok(if written == 0 { Applied::Refused } else { Applied::Wrote(connection.last_insert_rowid()) })
}

fn digest(
    connection: &Connection,
    at: i64,
    (notifier, rows): (&Arc<str>, &[NotificationId]),
) -> Result<Applied> {
    let mut waits = connection
        .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1 AND notifier = ?2 AND state = 0")?;
    for row in rows {
        if !waits.exists(params![row.0, notifier.as_ref()])? {
            return Ok(Applied::Refused);
        }
    }
    let written = write(connection, at, (None, notifier, Event::Digest, None))?;
    if let Applied::Wrote(carrier) = written {
        for row in rows {
            carry(connection, *row, NotificationId(carrier))?;
        }
    }
    Ok(written)
}

/// Ends a row and all that it carries, however deep.
fn end(
    connection: &Connection,
    at: i64,
    (row, told, why): (NotificationId, Told, Option<&str>),
) -> Result<Applied> {
    let mut update = connection.prepare_cached(
        "WITH RECURSIVE told (id) AS (SELECT id FROM outbox WHERE id = :row AND state = 0 \
         UNION SELECT o.id FROM outbox o JOIN told t ON o.carrier = t.id WHERE o.state = 2) \
         UPDATE outbox SET state = :state, ended_at = :at, hold = NULL, held = NULL, \
         held_until = NULL, error = coalesce(:why, error) WHERE id IN (SELECT id FROM told)",
    )?;
    let ended = update.execute(named_params! {
        ":row": row.0, ":state": told_code(told), ":at": at, ":why": why,
    })?;
    Ok(applied(ended))
}

fn hold(connection: &Connection, row: NotificationId, held: Option<&Held>) -> Result<Applied> {
    let mut update = connection.prepare_cached(
        "UPDATE outbox SET hold = ?2, held = ?3, held_until = ?4 WHERE id = ?1 AND state = 0",
    )?;
    let until = held.and_then(|held| held.until).map(Timestamp::as_millisecond);
    let (by, why) = (held.map(|held| held.by.word()), held.map(|held| &held.why));
    update.execute(params![row.0, by, why, until]).map(applied)
}

fn carry(connection: &Connection, row: NotificationId, carrier: NotificationId) -> Result<Applied> {
    let mut update = connection.prepare_cached(
        "UPDATE outbox SET state = 2, carrier = ?2, hold = NULL, held = NULL, held_until = NULL \
         WHERE id = ?1 AND state = 0 AND EXISTS (SELECT 1 FROM outbox c WHERE c.id = ?2 \
         AND c.state = 0 AND c.notifier = outbox.notifier)",
    )?;
    update.execute([row.0, carrier.0]).map(applied)
}

fn applied(rows: usize) -> Applied {
    if rows == 0 { Applied::Refused } else { Applied::Done }
}

/// Incidents whose rows matter: those that are open, that have a row that waits, or of which a row that
/// waits tells.
const CONCERNED: &str = "SELECT id FROM incident WHERE resolved_at IS NULL \
     UNION SELECT incident FROM outbox INDEXED BY outbox_waiting WHERE state = 0 \
     UNION SELECT o.incident FROM outbox w INDEXED BY outbox_waiting \
     JOIN outbox o ON o.carrier = w.id WHERE w.state = 0";

/// Everything that is looked at when it is decided who is told what.
pub(super) fn read(connection: &Connection, since: Timestamp) -> Result<Outbox> {
    let mut rows = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE incident IN ({CONCERNED}) \
         UNION SELECT {COLUMNS} FROM outbox INDEXED BY outbox_waiting WHERE state = 0 ORDER BY 1"
    ))?;
    let rows: Vec<Notification> = rows.query_map([], row)?.collect::<Result<_>>()?;
    let mut sent = connection.prepare_cached(
        "SELECT notifier, ended_at FROM outbox INDEXED BY outbox_ended \
         WHERE state <> 0 AND state = 1 AND carrier IS NULL AND ended_at > ?1 ORDER BY ended_at",
    )?;
    let sent = sent.query_map([since.as_millisecond()], |row| {
        Ok((Arc::from(row.get::<_, String>(0)?), time(row.get(1)?)?))
    })?;
    // A silence that is long over still counts for what was due while it was in force.
    let oldest = rows.iter().map(|row| row.created_at).min().unwrap_or(Timestamp::MAX);
    Ok(Outbox {
        sent: sent.collect::<Result<_>>()?,
        incidents: incident::those(connection, CONCERNED)?,
        silences: silences(connection, oldest.min(since))?,
        rows,
    })
}

/// The newest rows first; only those that wait unless `all`.
pub(super) fn list(connection: &Connection, all: bool, limit: u32) -> Result<Vec<Notification>> {
    let only = if all { "" } else { "INDEXED BY outbox_waiting WHERE state = 0" };
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox {only} ORDER BY id DESC LIMIT ?1"
    ))?;
    query.query_map([limit], row)?.collect()
}

/// One row.
pub(super) fn one(connection: &Connection, id: NotificationId) -> Result<Option<Notification>> {
    let mut query =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1"))?;
    query.query_row([id.0], row).optional()
}

/// Silences that end after a time, the oldest first.
pub(super) fn silences(connection: &Connection, after: Timestamp) -> Result<Vec<Silence>> {
    let mut query = connection.prepare_cached(
        "SELECT id, pattern, reason, author, since, until FROM silence WHERE until > ?1 ORDER BY id",
    )?;
    let silence = |row: &Row<'_>| {
        Ok(Silence {
            id: SilenceId(row.get(0)?),
            pattern: row.get(1)?,
            reason: row.get(2)?,
            by: row.get(3)?,
            since: time(row.get(4)?)?,
            until: time(row.get(5)?)?,
        })
    };
    query.query_map([after.as_millisecond()], silence)?.collect()
}

/// Deletes what was over before `cutoff` and belongs to no incident; the rest goes with its incident.
pub(super) const FORGET: [&str; 2] = [
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox INDEXED BY outbox_ended \
     WHERE state <> 0 AND ended_at < :cutoff AND incident IS NULL ORDER BY ended_at LIMIT :limit)",
    "DELETE FROM silence WHERE id IN \
     (SELECT id FROM silence WHERE until < :cutoff ORDER BY until LIMIT :limit)",
];

fn row(row: &Row<'_>) -> Result<Notification> {
    let optional = |column| row.get::<_, Option<i64>>(column);
    let at = |column| optional(column)?.map(time).transpose();
    let event: String = row.get(3)?;
    let state: i64 = row.get(5)?;
    Ok(Notification {
        id: NotificationId(row.get(0)?),
        incident: optional(1)?.map(IncidentId),
        notifier: row.get::<_, String>(2)?.into(),
        event: Event::from_word(&event).ok_or_else(|| bad_name(3, NameError::Empty))?,
        created_at: time(row.get(4)?)?,
        state: told_of(state)?,
        ended_at: at(6)?,
        tries: row.get(7)?,
        tried_since: at(8)?,
        next_at: time(row.get(9)?)?,
        held: held(row)?,
        blame: optional(13)?.map(|code| if code == 0 { Blame::Line } else { Blame::Settings }),
        error: row.get(14)?,
        origin: optional(15)?.map(NotificationId),
        carrier: optional(16)?.map(NotificationId),
    })
}

fn held(row: &Row<'_>) -> Result<Option<Held>> {
    let word: Option<String> = row.get(10)?;
    let Some(by) = word.as_deref().and_then(Hold::from_word) else { return Ok(None) };
    let until = row.get::<_, Option<i64>>(12)?.map(time).transpose()?;
    Ok(Some(Held { by, why: text(row, 11)?, until }))
}

fn blame_code(blame: Blame) -> i64 {
    match blame {
        Blame::Line => 0,
        Blame::Settings => 1,
    }
}

fn told_code(told: Told) -> i64 {
    match told {
        Told::Waiting => 0,
        Told::Delivered => 1,
        Told::Carried => 2,
        Told::Dropped => 3,
        Told::GivenUp => 4,
    }
}

fn told_of(code: i64) -> Result<Told> {
    let told = Told::ALL.into_iter().find(|told| told_code(*told) == code);
    told.ok_or_else(|| unknown("state of a notification", code))
}
