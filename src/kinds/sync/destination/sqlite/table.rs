//! The table that rows go to.
//!
//! Owns how a missing one is made, and what an existing one must be able to hold. Refuses to change one
//! that exists: that is its owner's.

use rusqlite::{Connection, Result};

use super::super::super::columns::{Column, ColumnType};
use super::super::super::sql_text::{key, names, quoted};
use super::super::super::sqlite_link::Link;
use super::super::super::trouble::Trouble;

/// What SQLite makes of the values of a column, by the name of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// A column of an existing table.
struct There {
    name: String,
    declared: String,
    generated: bool,
}

/// Makes the table where it is missing, and looks at it where it is not.
pub(super) fn ready(link: &Link, table: &str, columns: &[Column]) -> Result<(), Trouble> {
    let refuse =
        |what: String| Err(Trouble::destination(format!("{}: {what}", link.path())).for_good());
    if table.eq_ignore_ascii_case("jada_sync") {
        return refuse("the table jada_sync is JADA's own: name another one".to_owned());
    }
    match link.told(sort(&link.connection, table))?.as_deref() {
        None => return link.told(link.connection.execute_batch(&create(table, columns))),
        Some("table") => {}
        Some(other) => return refuse(format!("`{table}` is a {other}: name a table")),
    }
    let there = link.told(columns_of(&link.connection, table))?;
    for column in columns {
        let found = there.iter().find(|found| found.name.eq_ignore_ascii_case(&column.name));
        let Some(found) = found else {
            let add = format!(
                "ALTER TABLE {} ADD COLUMN {} {}",
                quoted(table),
                quoted(&column.name),
                declared(column.kind)
            );
            return refuse(format!(
                "table {table} has no column `{}`: add it with `{add}`, or leave it out of `columns`",
                column.name
            ));
        };
        if found.generated {
            return refuse(format!(
                "column `{}` of table {table} is computed by the database: leave it out of `columns`",
                column.name
            ));
        }
        if !holds(affinity(&found.declared), column.kind) {
            return refuse(format!(
                "column `{}` of table {table} is declared {}, which can't hold every {} exactly: \
                 declare it {}, or give the column another `type`",
                column.name,
                found.declared,
                column.kind.words(),
                declared(column.kind)
            ));
        }
    }
    Ok(())
}

/// Refuses to look for rows by a key that no index knows: each would take a look at the whole table, and
/// several rows could have it.
pub(super) fn indexed(link: &Link, table: &str, columns: &[Column]) -> Result<(), Trouble> {
    if link.told(is_indexed(&link.connection, table, columns))? {
        return Ok(());
    }
    let keys = names(key(columns));
    let create = format!(
        "CREATE UNIQUE INDEX {} ON {} ({keys})",
        quoted(&format!("{table}_key")),
        quoted(table)
    );
    let message = format!(
        "{}: table {table} has no unique index on its key ({keys}): make one with `{create}`",
        link.path()
    );
    Err(Trouble::destination(message).for_good())
}

fn is_indexed(connection: &Connection, table: &str, columns: &[Column]) -> Result<bool> {
    let wanted: Vec<_> = key(columns).map(|column| column.name.to_lowercase()).collect();
    let primary = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0";
    if same(&wanted, &texts(connection, primary, table)?) {
        return Ok(true);
    }
    let unique = "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial";
    for index in texts(connection, unique, table)? {
        let columns = texts(connection, "SELECT name FROM pragma_index_info(?1)", &index)?;
        if same(&wanted, &columns) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn same(wanted: &[String], found: &[String]) -> bool {
    let found: Vec<_> = found.iter().map(|name| name.to_lowercase()).collect();
    found.len() == wanted.len() && wanted.iter().all(|name| found.contains(name))
}

fn texts(connection: &Connection, sql: &str, of: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([of], |row| row.get::<_, Option<String>>(0))?;
    // An index on an expression has no name for it, and is no index of ours.
    names.map(|name| name.map(Option::unwrap_or_default)).collect()
}

/// What stands in the database under a name.
fn sort(connection: &Connection, name: &str) -> Result<Option<String>> {
    let sql = "SELECT type FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
    Ok(texts(connection, sql, name)?.pop())
}

fn columns_of(connection: &Connection, table: &str) -> Result<Vec<There>> {
    let sql = "SELECT name, type, hidden IN (2, 3) FROM pragma_table_xinfo(?1) WHERE hidden <> 1";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([table], |row| {
        Ok(There { name: row.get(0)?, declared: row.get(1)?, generated: row.get(2)? })
    })?;
    found.collect()
}

fn create(table: &str, columns: &[Column]) -> String {
    let mut parts: Vec<_> = columns
        .iter()
        .map(|column| {
            // A key without a value would be a key twice: SQLite alone would let it pass.
            let always = if column.key || column.required { " NOT NULL" } else { "" };
            format!("{} {}{always}", quoted(&column.name), declared(column.kind))
        })
        .collect();
    if key(columns).next().is_some() {
        parts.push(format!("PRIMARY KEY ({})", names(key(columns))));
    }
    format!("CREATE TABLE {} ({})", quoted(table), parts.join(", "))
}

fn declared(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Int | ColumnType::Bool => "INTEGER",
        ColumnType::Float => "REAL",
        ColumnType::Text
        | ColumnType::Decimal { .. }
        | ColumnType::Timestamp
        | ColumnType::Date
        | ColumnType::Json => "TEXT",
    }
}

/// By SQLite's own rules, in their order.
fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || has(&["BLOB"]) {
        Affinity::Blob
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// Whether every value of a type comes out as it went in.
fn holds(affinity: Affinity, kind: ColumnType) -> bool {
    /// Digits that a float keeps.
    const KEPT: u8 = 15;
    let numeric = matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric);
    match kind {
        // A text that looks like a number would become one: `007` is 7. No object, list, time or day does.
        ColumnType::Text => !numeric,
        // Seventeen digits are fifteen then.
        ColumnType::Float => affinity != Affinity::Text,
        ColumnType::Int | ColumnType::Bool => affinity != Affinity::Real,
        ColumnType::Decimal { precision, .. } => !numeric || precision <= KEPT,
        ColumnType::Json | ColumnType::Timestamp | ColumnType::Date => true,
    }
}
