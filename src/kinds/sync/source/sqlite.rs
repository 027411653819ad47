//! The `sqlite` source: a query of a SQLite database.
//!
//! Owns the reading, in one transaction that sees one state of it. Refuses to change anything there.

use rusqlite::types::{Null, ValueRef};
use rusqlite::{Row, Statement};

use super::super::columns::ColumnType;
use super::super::intake::{HeaderRules, Intake};
use super::super::sqlite_link::Link;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::super::value::{Cell, shortened};
use super::query::{self, PARAMETER};
use super::{Cursor, Read, Start};
use crate::yaml::{Located, section};

section! {
    /// A query of a SQLite database.
    pub struct SqliteQuery {
        /// The database file. A template.
        pub path: Located<String>,
        /// The query. Where it has `:cursor`, that is where the read begins, as a parameter.
        pub query: Located<String>,
        /// How far was read.
        pub cursor: Option<Cursor>,
    }
}

impl SqliteQuery {
    pub(super) fn identity(&self) -> String {
        format!("sqlite {} {}", self.path.value, self.query.value)
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let link = Link::from(tools.path("source.sqlite.path", &self.path.value)?, tools)?;
        // What a query sees is what there was when the transaction first read.
        link.patiently(|connection| {
            connection.execute_batch("BEGIN")?;
            let looked = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
            if looked.is_err() {
                connection.execute_batch("ROLLBACK")?;
            }
            looked
        })?;
        let wrong = |what: &str| Trouble::config(format!("`source.sqlite.query` {what}"));
        let mut statement = match link.connection.prepare(&self.query.value) {
            Ok(statement) if !statement.readonly() => return Err(wrong("changes the database")),
            Ok(statement) if statement.column_count() == 0 => return Err(wrong("gives no rows")),
            Ok(statement) => statement,
            Err(rusqlite::Error::MultipleStatement) => {
                return Err(wrong("is several statements: write one"));
            }
            Err(error) => return Err(refused(&link, &error)),
        };
        self.bind(&mut statement, start, &link)?;
        let names: Vec<_> = statement.column_names().map(str::to_owned).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let rules = HeaderRules { folded: false, no_duplicates: false };
        let header = intake.header(&names, rules, &|index| format!("column {}", index + 1))?;
        let is_time = intake.cursor_kind() == Some(ColumnType::Timestamp);
        let compared = self.compared(&names).filter(|_| is_time);
        let mut rows = statement.raw_query();
        for no in 1_u64.. {
            let Some(row) = link.told(rows.next())? else { break };
            if let Some(at) = compared {
                comparable(names[at], cell(row, at))?;
            }
            intake.fields(&query::Place(no), &header, &|index| cell(row, index))?;
        }
        Ok(Read::All { left: None })
    }

    /// The column of the query that stands for the cursor, where the parameter is compared as it is: given to
    /// a function, it is the job's to see to it.
    fn compared(&self, names: &[&str]) -> Option<usize> {
        const MARK: char = '\u{1}';
        let field = &self.cursor.as_ref()?.field.value;
        let (text, _) = query::renamed(&self.query.value, &MARK.to_string());
        let given = |at: usize| text[..at].trim_end().ends_with('(');
        let bare = text.match_indices(MARK).any(|(at, _)| !given(at));
        names.iter().position(|name| name == field).filter(|_| bare)
    }

    fn bind(
        &self,
        statement: &mut Statement<'_>,
        start: &Start,
        link: &Link,
    ) -> Result<(), Trouble> {
        let found = link.told(statement.parameter_index(PARAMETER))?;
        if statement.parameter_count() > usize::from(found.is_some()) {
            return Err(Trouble::config(format!(
                "`source.sqlite.query` has parameters, of which only `{PARAMETER}` is known here"
            )));
        }
        let Some(index) = found else { return Ok(()) };
        let cursor = query::cursor("source.sqlite", &self.query.value, start)?;
        // A whole number is bound as one: against a column without a type a text would be greater than
        // every number.
        let number = cursor
            .and_then(|text| text.parse::<i64>().ok().filter(|number| number.to_string() == text));
        link.told(match (cursor, number) {
            (_, Some(number)) => statement.raw_bind_parameter(index, number),
            (Some(text), None) => statement.raw_bind_parameter(index, text),
            (None, None) => statement.raw_bind_parameter(index, Null),
        })
    }
}

/// Refuses a time that is written in another way than the parameter: SQLite compares them as texts, and
/// `2026-01-01 23:00:00` comes before `2026-01-01T01:00:00Z`. Such rows would be left out without a word.
fn comparable(name: &str, cell: Cell<'_>) -> Result<(), Trouble> {
    let (written, better) = match cell {
        Cell::Text(text) if text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z') => {
            return Ok(());
        }
        Cell::Text(text) => {
            let better = format!("datetime({name}) >= datetime({PARAMETER})");
            (format!("written `{}`", shortened(text, 40)), better)
        }
        Cell::Int(_) | Cell::Float(_) => {
            ("a number".to_owned(), format!("{name} >= unixepoch({PARAMETER})"))
        }
        _ => return Ok(()),
    };
    Err(Trouble::config(format!(
        "`{name}` is {written}, which SQLite can't compare with `{PARAMETER}`, a text like \
         `2026-01-01T00:00:00Z`: write `{better}`, or the like, in `source.sqlite.query`"
    )))
}

fn refused(link: &Link, error: &rusqlite::Error) -> Trouble {
    match error {
        // Something in its text.
        rusqlite::Error::SqlInputError { msg, offset, .. } => {
            let words = format!("`source.sqlite.query`: {msg}, at character {offset}");
            Trouble::config(words)
        }
        _ => match error.sqlite_error_code() {
            // What else SQLite says of a query: a table that is not there.
            Some(rusqlite::ffi::ErrorCode::Unknown) => Trouble::config(link.trouble(error).message),
            _ => link.trouble(error),
        },
    }
}

fn cell<'a>(row: &'a Row<'_>, index: usize) -> Cell<'a> {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => Cell::Null,
        Ok(ValueRef::Integer(number)) => Cell::Int(number),
        Ok(ValueRef::Real(number)) => Cell::Float(number),
        Ok(ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(text),
            Err(_) => Cell::Broken("a text that is not UTF-8"),
        },
        Ok(ValueRef::Blob(_)) => Cell::Broken("a blob"),
        Err(_) => Cell::Missing,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::super::testing::{Bench, spec};
    use super::super::super::trouble::Ending;
    use super::*;

    fn job(query: &str) -> String {
        format!(
            "source: {{ sqlite: {{ path: a.db, query: \"{query}\", cursor: {{ field: id }} }} }}\n\
             columns: {{ id: {{ type: int, key: true }}, name: {{ from: Name, type: text }}, \
             cost: {{ type: 'decimal(6,2)' }} }}\n\
             destination: {{ sqlite: {{ path: b.db, table: t }} }}\nmode: upsert\n"
        )
    }

    fn bench() -> Bench {
        let bench = Bench::new();
        let file = Connection::open(bench.path("a.db")).unwrap();
        file.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, Name, cost); \
             INSERT INTO t VALUES (1, 'a', 1.5), (2, NULL, 2), (3, 'c', '3.25')",
        )
        .unwrap();
        bench
    }

    fn from(bench: &Bench, query: &str, cursor: Option<&str>) -> Result<Vec<String>, Trouble> {
        from_job(bench, &job(query), cursor)
    }

    fn from_job(bench: &Bench, text: &str, cursor: Option<&str>) -> Result<Vec<String>, Trouble> {
        let attempt = bench.attempt(text);
        let spec = spec(text);
        let cursor = cursor.map(str::to_owned);
        let start = Start { cursor, now: attempt.tools.now(), ..Start::default() };
        Bench::take(text, &attempt, |intake| {
            spec.source.read(&attempt.tools, &start, intake).map(drop)
        })
    }

    #[test]
    fn a_query_gives_typed_rows_from_the_cursor_on() {
        let bench = bench();
        let rows = from(&bench, "SELECT * FROM t ORDER BY id;", None).unwrap();
        assert_eq!(
            rows,
            ["id=1 name=a cost=1.50", "id=2 name=null cost=2.00", "id=3 name=c cost=3.25"]
        );
        let rows = from(&bench, "SELECT * FROM t WHERE id + 0 > :cursor", Some("2")).unwrap();
        assert_eq!(rows, ["id=3 name=c cost=3.25"]);
        let all = "SELECT * FROM t WHERE :cursor IS NULL OR id > :cursor";
        assert_eq!(from(&bench, all, None).unwrap().len(), 3);
    }

    /// Reads one row with this time, in SQL, by a query with this condition.
    fn since(at: &str, column: &str, condition: &str) -> String {
        let bench = Bench::new();
        let file = Connection::open(bench.path("a.db")).unwrap();
        file.execute_batch(&format!("CREATE TABLE s AS SELECT 2 AS id, {at} AS at")).unwrap();
        let text = format!(
            "source: {{ sqlite: {{ path: a.db, query: 'SELECT id, at FROM s WHERE {condition}', \
             cursor: {{ field: at }} }} }}\n\
             columns: {{ id: {{ type: int, key: true }}, when: {{ from: at, {column} }} }}\n\
             destination: {{ sqlite: {{ path: b.db, table: t }} }}\nmode: incremental\n"
        );
        from_job(&bench, &text, Some("2026-01-01T01:00:00Z"))
            .map_or_else(|trouble| trouble.message, |rows| rows.join(", "))
    }

    #[test]
    fn a_time_that_does_not_compare_with_the_cursor_is_refused() {
        let (time, bare) = ("type: timestamp, zone: UTC", "at >= :cursor OR id = 2");
        let told = since("'2026-01-01T10:00:00Z'", time, bare);
        assert_eq!(told, "id=2 when=2026-01-01T10:00:00Z");
        for other in
            ["'2026-01-01 10:00:00'", "'2026-01-01T10:00:00'", "'2026-01-01T10:00:00+02:00'"]
        {
            let told = since(other, time, bare);
            assert!(told.contains("write `datetime(at) >= datetime(:cursor)`"), "{told}");
            let told = since(other, time, "datetime(at) >= datetime( :cursor )");
            assert!(told.starts_with("id=2 when=2026-01-01T"), "{told}");
        }
        let epoch = "type: timestamp, format: epoch_s";
        let told = since("1767261600", epoch, bare);
        assert!(told.contains("`at` is a number"), "{told}");
        let told = since("1767261600", epoch, "at >= unixepoch(:cursor)");
        assert_eq!(told, "id=2 when=2026-01-01T10:00:00Z");
        assert_eq!(since("7", "type: int", "at >= :cursor OR id = 2"), "id=2 when=7");
    }

    #[test]
    fn what_is_no_query_is_told() {
        let bench = bench();
        let cases = [
            ("DELETE FROM t", Ending::Config, "changes the database"),
            ("DELETE FROM t RETURNING *", Ending::Config, "changes the database"),
            ("SELECT * FROM t; SELECT 1", Ending::Config, "is several statements"),
            ("SELEC 1", Ending::Config, "syntax error"),
            ("SELECT * FROM nowhere", Ending::Config, "no such table: nowhere"),
            ("SELECT * FROM t WHERE id > :other", Ending::Config, "only `:cursor` is known"),
            ("SELECT * FROM t WHERE id > :cursor", Ending::Config, "add `initial` to `cursor`"),
            ("SELECT id FROM t", Ending::Schema, "ame"),
            ("SELECT id, Name, x'00' AS cost FROM t", Ending::Mapping, "a blob"),
        ];
        for (query, ending, words) in cases {
            let trouble = from(&bench, query, None).unwrap_err();
            assert_eq!(trouble.ending, ending, "{query}: {}", trouble.message);
            assert!(trouble.message.contains(words), "{query}: {}", trouble.message);
        }
        std::fs::remove_file(bench.path("a.db")).unwrap();
        assert_eq!(from(&bench, "SELECT 1", None).unwrap_err().ending, Ending::NotFound);
    }
}
