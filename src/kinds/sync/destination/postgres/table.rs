//! The table that rows go to, and the one of ledgers beside it.
//!
//! Owns how missing ones are made, and what an existing one must be able to hold. Refuses to change one that
//! exists: that is its owner's.

use tokio_postgres::types::ToSql;

use super::super::super::columns::{Column, ColumnType};
use super::super::super::ledger::Ledger;
use super::super::super::postgres_link::Link;
use super::super::super::sql_text::{key, names, quoted};
use super::super::super::trouble::Trouble;

/// Two jobs of one schema may make its ledger at the same time: one waits for the other.
const MAKING: &str = "SELECT pg_advisory_xact_lock(hashtext('jada_sync'))";

/// Where rows and ledger are, as they stand in SQL.
pub(super) struct Place {
    pub(super) table: String,
    ledger: String,
}

/// A column of an existing table.
struct There {
    name: String,
    kind: String,
    /// Digits and scale of a numeric, length of a text; -1 where it has none.
    modifier: i32,
    shown: String,
    given: bool,
}

/// Makes the tables where they are missing, and locks the one of the rows.
pub(super) fn ready(link: &Link, name: &str, columns: &[Column]) -> Result<Place, Trouble> {
    let refuse =
        |what: String| Trouble::destination(format!("{}: {what}", link.shown())).for_good();
    let (schema, bare) = match name.split_once('.') {
        Some((schema, bare)) => (Some(schema), bare),
        None => (None, name),
    };
    if bare == "jada_sync" {
        return Err(refuse("the table jada_sync is JADA's own: name another one".to_owned()));
    }
    let full = schema
        .map_or_else(|| quoted(bare), |schema| format!("{}.{}", quoted(schema), quoted(bare)));
    let found = find(link, &full)?;
    let (schema, sort) = match found {
        Some((schema, sort)) => (schema, Some(sort)),
        None => {
            (schema.map_or_else(|| current_schema(link), |schema| Ok(schema.to_owned()))?, None)
        }
    };
    let table = format!("{}.{}", quoted(&schema), quoted(bare));
    let ledger = format!("{}.jada_sync", quoted(&schema));
    let place = Place { table, ledger };
    match sort.as_deref() {
        None => {
            link.wait(link.client.batch_execute(MAKING))?;
            link.wait(link.client.batch_execute(&create(&place.table, columns)))?;
        }
        Some("r" | "p") => {}
        Some(_) => return Err(refuse(format!("{} is no table: name one", place.table))),
    }
    place.lock(link)?;
    if sort.is_some() {
        place.look(link, columns).map_err(|trouble| Trouble {
            message: format!("{}: {}", link.shown(), trouble.message),
            ..trouble
        })?;
    }
    if find(link, &place.ledger)?.is_none() {
        link.wait(link.client.batch_execute(MAKING))?;
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {} (stream text PRIMARY KEY, committed_at text NOT NULL, \
             rows bigint NOT NULL, ledger text NOT NULL)",
            place.ledger
        );
        link.wait(link.client.batch_execute(&make))?;
    }
    Ok(place)
}

/// The schema and the sort of what stands under a name.
fn find(link: &Link, name: &str) -> Result<Option<(String, String)>, Trouble> {
    let sql = "SELECT n.nspname::text, c.relkind::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid = to_regclass($1::text)::oid";
    let found = link.wait(link.client.query_opt(sql, &[&name]))?;
    Ok(found.map(|row| (row.get(0), row.get(1))))
}

fn current_schema(link: &Link) -> Result<String, Trouble> {
    let sql = "SELECT current_schema()::text";
    let found: Option<String> = link.wait(link.client.query_one(sql, &[]))?.get(0);
    found.ok_or_else(|| {
        let words = "no schema is on the search path: write the table as `schema.table`";
        Trouble::config(format!("{}: {words}", link.shown()))
    })
}

impl Place {
    /// Whether the tables are there at all.
    pub(super) fn is_there(&self, link: &Link) -> Result<bool, Trouble> {
        Ok(find(link, &self.table)?.is_some() && find(link, &self.ledger)?.is_some())
    }

    /// Keeps everybody else from writing until the end of the transaction.
    pub(super) fn lock(&self, link: &Link) -> Result<(), Trouble> {
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.table);
        link.wait(link.client.batch_execute(&lock))
    }

    /// The record of the last commit, as its text.
    pub(super) fn ledger(&self, link: &Link, stream: &str) -> Result<Option<String>, Trouble> {
        let sql = format!("SELECT ledger::text FROM {} WHERE stream = $1", self.ledger);
        let found = link.wait(link.client.query_opt(&sql, &[&stream]))?;
        Ok(found.map(|row| row.get(0)))
    }

    /// Writes the record of this commit.
    pub(super) fn record(
        &self,
        link: &Link,
        (stream, text): (&str, &str),
        ledger: &Ledger,
    ) -> Result<(), Trouble> {
        let sql = format!(
            "INSERT INTO {} (stream, committed_at, rows, ledger) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (stream) DO UPDATE SET committed_at = excluded.committed_at, \
             rows = excluded.rows, ledger = excluded.ledger",
            self.ledger
        );
        let at = ledger.committed_at.to_string();
        let rows = i64::try_from(ledger.rows).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 4] = [&stream, &at, &rows, &text];
        link.wait(link.client.execute(&sql, &values)).map(|_| ())
    }

    /// Looks whether the table can hold the columns.
    fn look(&self, link: &Link, columns: &[Column]) -> Result<(), Trouble> {
        let there = columns_of(link, &self.table)?;
        let refuse = |what: String| Err(Trouble::destination(what).for_good());
        for column in columns {
            let (name, table) = (&column.name, &self.table);
            let Some(found) = there.iter().find(|found| found.name == *name) else {
                let add = format!(
                    "ALTER TABLE {table} ADD COLUMN {} {}",
                    quoted(name),
                    declared(column.kind)
                );
                return refuse(format!(
                    "table {table} has no column `{name}`: add it with `{add}`, or leave it out of \
                     `columns`"
                ));
            };
            if found.given {
                return refuse(format!(
                    "column `{name}` of table {table} is computed by the database: leave it out of \
                     `columns`"
                ));
            }
            if !holds(found, column.kind) {
                return refuse(format!(
                    "column `{name}` of table {table} is {}, which can't hold every {} exactly: make \
                     it {}, or give the column another `type`",
                    found.shown,
                    column.kind.words(),
                    declared(column.kind)
                ));
            }
        }
        Ok(())
    }
}

fn columns_of(link: &Link, table: &str) -> Result<Vec<There>, Trouble> {
    let sql = "SELECT a.attname::text, t.typname::text, a.atttypmod, \
               format_type(a.atttypid, a.atttypmod), a.attgenerated <> '' OR a.attidentity = 'a' \
               FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
               WHERE a.attrelid = to_regclass($1::text)::oid AND a.attnum > 0 AND NOT a.attisdropped";
    let rows = link.wait(link.client.query(sql, &[&table]))?;
    let there = rows.iter().map(|row| There {
        name: row.get(0),
        kind: row.get(1),
        modifier: row.get(2),
        shown: row.get(3),
        given: row.get(4),
    });
    Ok(there.collect())
}

fn create(table: &str, columns: &[Column]) -> String {
    let mut parts: Vec<_> = columns
        .iter()
        .map(|column| {
            let always = if column.required { " NOT NULL" } else { "" };
            format!("{} {}{always}", quoted(&column.name), declared(column.kind))
        })
        .collect();
    if key(columns).next().is_some() {
        parts.push(format!("PRIMARY KEY ({})", names(key(columns))));
    }
    format!("CREATE TABLE {table} ({})", parts.join(", "))
}

/// JSON is kept as it is written: `jsonb` would make another text of some numbers.
fn declared(kind: ColumnType) -> String {
    match kind {
        ColumnType::Text => "text".to_owned(),
        ColumnType::Int => "bigint".to_owned(),
        ColumnType::Float => "double precision".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        ColumnType::Bool => "boolean".to_owned(),
        ColumnType::Timestamp => "timestamp with time zone".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Json => "json".to_owned(),
    }
}

/// Whether every value of a type comes out as it went in, or is refused with an error.
fn holds(there: &There, kind: ColumnType) -> bool {
    let is = |names: &[&str]| names.contains(&there.kind.as_str());
    if is(&["text", "varchar"]) {
        return true;
    }
    let free = there.modifier < 0;
    // Digits stand above, the scale in the lower half; both lie four bytes further.
    let scale = there.modifier.wrapping_sub(4) & 0x7ff;
    let numeric = is(&["numeric"]);
    match kind {
        // `char(8)` fills up with spaces, numbers lose their zeros; an enum or a uuid is what it says.
        ColumnType::Text => !is(&[
            "bpchar",
            "char",
            "int2",
            "int4",
            "int8",
            "float4",
            "float8",
            "numeric",
            "money",
            "bool",
            "date",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
            "json",
            "jsonb",
            "bytea",
        ]),
        ColumnType::Int => is(&["int2", "int4", "int8"]) || numeric && (free || scale == 0),
        ColumnType::Float => is(&["float8"]),
        ColumnType::Decimal { scale: ours, .. } => numeric && (free || scale >= i32::from(ours)),
        ColumnType::Bool => is(&["bool"]),
        ColumnType::Timestamp => is(&["timestamp", "timestamptz"]) && (free || there.modifier >= 6),
        ColumnType::Date => is(&["date"]),
        ColumnType::Json => is(&["json", "jsonb"]),
    }
}
