//! Observations: what was seen, kept before anybody judges it.
//!
//! Owns their statements and the names that they share. Refuses to judge (`plan::alert`).

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params, params};

use super::columns::{text, time, unknown};
use crate::model::{Fault, Observation, RunId, Subject, Verdict};
use crate::store::ObservationQuery;

/// Milliseconds within which a name's time of use isn't written again.
const USED: i64 = 12 * 60 * 60 * 1000;

/// Keeps looks; one that is there already is replaced by itself. The caller holds the transaction.
pub(super) fn keep(connection: &Connection, looks: &[Observation]) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO observation (who, at, run, what, took, verdict, fault, text) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for look in looks {
        let at = look.at.as_millisecond();
        let who = intern(connection, &look.check, at)?;
        let what =
            if look.subject == look.check { who } else { intern(connection, &look.subject, at)? };
        insert.execute(params![
            who,
            at,
            look.run.map_or(0, |run| run.0),
            what,
            i64::try_from(look.took.as_millis()).unwrap_or(i64::MAX),
            verdict_code(look.verdict),
            look.fault.map(Fault::word),
            (!look.text.is_empty()).then_some(&look.text),
        ])?;
    }
    Ok(())
}

/// The number of a name, which is noted as used.
fn intern(connection: &Connection, name: &Subject, at: i64) -> Result<i64> {
    let mut find = connection.prepare_cached("SELECT id, used_at FROM subject WHERE name = ?1")?;
    let found = find.query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((id, used_at)): Option<(i64, i64)> = found else {
        let mut insert =
            connection.prepare_cached("INSERT INTO subject (name, used_at) VALUES (?1, ?2)")?;
        return insert.insert(params![name.as_str(), at]);
    };
    if used_at < at.saturating_sub(USED) {
        let mut update =
            connection.prepare_cached("UPDATE subject SET used_at = ?2 WHERE id = ?1")?;
        update.execute([id, at])?;
    }
    Ok(id)
}

/// The columns that [`read`] reads.
const COLUMNS: &str = "w.name, s.name, o.at, o.took, o.verdict, o.fault, o.text, o.run";

/// Looks, newest first.
pub(super) fn list(connection: &Connection, query: &ObservationQuery) -> Result<Vec<Observation>> {
    let mut statement = connection.prepare_cached(&list_sql(query))?;
    let bound = named_params! {
        ":check": query.check.as_ref().map(Subject::as_str),
        ":since": query.since.map_or(i64::MIN, Timestamp::as_millisecond),
        ":until": query.until.map_or(i64::MAX, Timestamp::as_millisecond),
        ":limit": query.limit,
    };
    statement.query_map(bound, read)?.collect()
}

fn list_sql(query: &ObservationQuery) -> String {
    // Of all checks, the order is that of `observation_age`; of one, that of the table itself.
    let (from, order) = match query.check {
        Some(_) => (
            "subject w CROSS JOIN observation o ON o.who = w.id AND w.name = :check",
            "o.at DESC, o.run DESC",
        ),
        None => (
            "observation o INDEXED BY observation_age CROSS JOIN subject w \
             ON w.id = o.who AND :check IS NULL",
            "o.at DESC, o.who DESC, o.run DESC",
        ),
    };
    let bad = if query.bad { " AND o.verdict <> 0" } else { "" };
    format!(
        "SELECT {COLUMNS} FROM {from} CROSS JOIN subject s ON s.id = o.what \
         WHERE o.at > :since AND o.at <= :until{bad} ORDER BY {order} LIMIT :limit"
    )
}

/// The newest look of each check up to a time, by the check's name.
pub(super) fn last(connection: &Connection, until: Timestamp) -> Result<Vec<Observation>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM subject w CROSS JOIN observation o ON o.who = w.id \
         AND (o.at, o.run) = (SELECT at, run FROM observation WHERE who = w.id AND at <= ?1 \
         ORDER BY at DESC, run DESC LIMIT 1) CROSS JOIN subject s ON s.id = o.what ORDER BY w.name"
    ))?;
    query.query_map([until.as_millisecond()], read)?.collect()
}

/// Deletes looks before `old`, of each check the oldest first, but for its newest `kept`, which stay until
/// they lie before `ancient`; and, once nothing is left to delete, the names that were last used before any
/// look that is kept. Returns how many looks went.
pub(super) fn forget(
    connection: &Connection,
    (old, ancient): (i64, i64),
    (kept, limit): (u32, u32),
) -> Result<usize> {
    let most = limit as usize;
    let mut oldest = connection.prepare_cached(
        "DELETE FROM observation WHERE (who, at, run) IN (SELECT who, at, run FROM observation \
         INDEXED BY observation_age WHERE at < ?1 ORDER BY at LIMIT ?2)",
    )?;
    let mut gone = oldest.execute(params![ancient, limit])?;
    let mut checks = connection.prepare_cached(
        "SELECT id FROM subject s WHERE EXISTS \
         (SELECT 1 FROM observation WHERE who = s.id AND at < ?1) ORDER BY id",
    )?;
    let checks: Vec<i64> = checks.query_map([old], |row| row.get(0))?.collect::<Result<_>>()?;
    // Beyond the newest few; a check that has no more than those is not touched.
    let mut beyond = connection.prepare_cached(
        "DELETE FROM observation WHERE who = ?1 AND (at, run) IN (SELECT at, run FROM observation \
         WHERE who = ?1 AND at < ?2 AND (at, run) < (SELECT at, run FROM observation \
         WHERE who = ?1 ORDER BY at DESC, run DESC LIMIT 1 OFFSET ?3) ORDER BY at, run LIMIT ?4)",
    )?;
    for check in checks {
        if gone >= most {
            return Ok(gone);
        }
        let newest = kept.saturating_sub(1);
        gone += beyond.execute(params![
            check,
            old,
            newest,
            i64::try_from(most - gone).unwrap_or(i64::MAX)
        ])?;
    }
    if gone < most {
        // A look is never more than `USED` later than what is noted for its names.
        let mut names = connection.prepare_cached("DELETE FROM subject WHERE used_at < ?1")?;
        names.execute([ancient.saturating_sub(USED)])?;
    }
    Ok(gone)
}

fn read(row: &Row<'_>) -> Result<Observation> {
    let subject = |column: usize| -> Result<Subject> {
        let name: String = row.get(column)?;
        Subject::parse(&name).ok_or_else(|| {
            let error = format!("'{name}' is no subject that this program knows");
            rusqlite::Error::FromSqlConversionFailure(
                column,
                rusqlite::types::Type::Text,
                error.into(),
            )
        })
    };
    let run: i64 = row.get(7)?;
    Ok(Observation {
        check: subject(0)?,
        subject: subject(1)?,
        at: time(row.get(2)?)?,
        took: Duration::from_millis(row.get::<_, i64>(3)?.cast_unsigned()),
        verdict: verdict_of(row.get(4)?)?,
        fault: fault(row, 5)?,
        text: text(row, 6)?,
        run: (run != 0).then_some(RunId(run)),
    })
}

/// A fault by its word; one that a newer program has named is told as unknown.
pub(super) fn fault(row: &Row<'_>, column: usize) -> Result<Option<Fault>> {
    let word: Option<String> = row.get(column)?;
    Ok(word.map(|word| Fault::from_word(&word).unwrap_or(Fault::Unknown)))
}

fn verdict_code(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Warn => 1,
        Verdict::Unknown => 2,
        Verdict::Fail => 3,
    }
}

fn verdict_of(code: i64) -> Result<Verdict> {
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict_code(*verdict) == code);
    verdict.ok_or_else(|| unknown("verdict", code))
}
