//! The `postgres` source: a query of a Postgres database.
//!
//! Owns the reading, in one transaction that sees one state of it. Refuses to change anything there.
//!
//! Every value is asked for as its text, which the server writes exactly for each type that it has; what
//! type it is of, the columns of the query tell.

use std::error::Error;

use futures_util::StreamExt as _;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::super::intake::{HeaderRules, Intake};
use super::super::postgres_link::{Link, Server};
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::super::value::Cell;
use super::{Cursor, Read, Start, query};
use crate::yaml::{Located, section};

section! {
    /// A query of a Postgres database.
    pub struct PostgresQuery {
        /// Its address, without a password: `postgres://user@host/database`. A template.
        pub url: Located<String>,
        /// The credential with user and password, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// The query. Where it has `:cursor`, that is where the read begins, as a parameter.
        pub query: Located<String>,
        /// How far was read.
        pub cursor: Option<Cursor>,
    }
}

/// Rows that are taken at one time, where so many are there.
const AT_ONCE: usize = 1024;

impl PostgresQuery {
    pub(super) fn identity(&self) -> String {
        format!("postgres {} {}", self.url.value, self.query.value)
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let link = Link::open(
            Server {
                url: &self.url,
                key: "source.postgres.url",
                credential: self.credential.as_ref(),
                side: Ending::Source,
            },
            tools,
        )?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        link.wait(link.client.batch_execute(begin))?;
        let (sql, asks) = query::renamed(&self.query.value, "$1");
        let sql = sql.trim_end().trim_end_matches(';');
        let plain = link.wait(link.client.prepare(sql)).map_err(in_query)?;
        let names: Vec<_> = plain.columns().iter().map(|column| column.name().to_owned()).collect();
        if names.is_empty() {
            return Err(Trouble::config("`source.postgres.query` gives no rows"));
        }
        let kinds: Vec<_> = plain.columns().iter().map(|column| column.type_().clone()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let rules = HeaderRules { folded: false, no_duplicates: false };
        let header = intake.header(&names, rules, &|index| format!("column {}", index + 1))?;
        let cursor = if asks {
            vec![AsText(query::cursor("source.postgres", &self.query.value, start)?)]
        } else {
            Vec::new()
        };
        let as_texts = as_texts(sql, kinds.len());
        let rows = link.wait(link.client.query_raw(&as_texts, cursor)).map_err(in_query)?;
        let mut some = std::pin::pin!(rows.ready_chunks(AT_ONCE));
        let mut no = 0;
        while let Some(rows) = link.wait(async { Ok(some.next().await) })? {
            for row in rows {
                let row = row.map_err(|error| in_query(link.trouble(&error)))?;
                no += 1;
                intake.fields(&query::Place(no), &header, &|index| cell(&row, index, &kinds))?;
                intake.bytes(size(&row));
            }
        }
        Ok(Read::All { left: None })
    }
}

/// The query with every column as its text.
fn as_texts(sql: &str, columns: usize) -> String {
    let list =
        |each: &dyn Fn(usize) -> String| (0..columns).map(each).collect::<Vec<_>>().join(", ");
    let (texts, names) = (list(&|no| format!("c{no}::text")), list(&|no| format!("c{no}")));
    // The query may end in a comment.
    format!("SELECT {texts} FROM ({sql}\n) AS query ({names})")
}

/// Says where to look for what is wrong in a query.
fn in_query(mut trouble: Trouble) -> Trouble {
    if trouble.ending == Ending::Config {
        trouble.message = format!("`source.postgres.query`: {}", trouble.message);
    }
    trouble
}

fn text(row: &Row, index: usize) -> Option<&str> {
    row.try_get::<_, Option<&str>>(index).ok().flatten()
}

fn size(row: &Row) -> u64 {
    (0..row.len()).map(|index| text(row, index).map_or(0, |text| text.len() as u64)).sum()
}

fn cell<'a>(row: &'a Row, index: usize, kinds: &[Type]) -> Cell<'a> {
    let Some(text) = text(row, index) else { return Cell::Null };
    match kinds[index] {
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => {
            text.parse().map_or(Cell::Text(text), Cell::Int)
        }
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => match text {
            "NaN" | "Infinity" | "-Infinity" => Cell::Broken(text),
            number => Cell::Number(number),
        },
        Type::BOOL => Cell::Bool(text == "true"),
        Type::JSON | Type::JSONB if text.trim_start().starts_with(['{', '[']) => Cell::Json(text),
        _ => Cell::Text(text),
    }
}

/// A parameter that is sent as its text: the server reads it as the type that it wants there.
#[derive(Debug)]
struct AsText<'a>(Option<&'a str>);

impl ToSql for AsText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::super::super::postgres_server::Server;
    use super::super::super::testing::{Bench, spec};
    use super::*;

    const COLUMNS: &str = "id: { type: int, key: true }, at: { type: timestamp }, \
                           cost: { type: 'decimal(6,2)' }, more: { type: json }, \
                           is: { type: bool }, name: { type: text }";

    fn from(server: &Server, query: &str, cursor: Option<&str>) -> Result<Vec<String>, Trouble> {
        let url = server.url("postgres");
        let text = format!(
            "source: {{ postgres: {{ url: \"{url}\", query: \"{query}\", cursor: {{ field: id }} }} }}\n\
             columns: {{ {COLUMNS} }}\ndestination: {{ sqlite: {{ path: b.db, table: t }} }}\n\
             mode: upsert\n"
        );
        let bench = Bench::new();
        let attempt = bench.attempt(&text);
        let spec = spec(&text);
        let cursor = cursor.map(str::to_owned);
        let start = Start { cursor, now: attempt.tools.now(), ..Start::default() };
        Bench::take(&text, &attempt, |intake| {
            spec.source.read(&attempt.tools, &start, intake).map(drop)
        })
    }

    const ROWS: &str = "SELECT i::int AS id, timestamptz '2026-01-02 03:04:05+01' AS at, \
                        i * 1.25 AS cost, jsonb '{}' AS more, i > 1 AS is, NULL AS name \
                        FROM generate_series(1, 3) AS i";

    #[test]
    fn a_query_gives_typed_rows_from_the_cursor_on() {
        let Some(server) = Server::shared() else { return };
        let rows = from(&server, &format!("{ROWS}; "), None).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1], "id=2 at=2026-01-02T02:04:05Z cost=2.50 more={} is=true name=null");
        let rest = format!("{ROWS} WHERE i > :cursor -- the rest");
        assert_eq!(from(&server, &rest, Some("2")).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_query_is_told() {
        let Some(server) = Server::shared() else { return };
        let cases = [
            ("CREATE TABLE t (id int)", Ending::Config, "gives no rows"),
            ("SELECT 1; SELECT 2", Ending::Config, "multiple commands"),
            ("SELEC 1", Ending::Config, "`source.postgres.query`: "),
            ("SELECT * FROM nowhere", Ending::NotFound, "does not exist"),
            ("SELECT 1 AS other", Ending::Schema, "id"),
            ("SELECT 1 AS id WHERE 1 > :cursor", Ending::Schema, ""),
        ];
        for (query, ending, words) in cases {
            let trouble = from(&server, query, None).unwrap_err();
            assert_eq!(trouble.ending, ending, "{query}: {}", trouble.message);
            assert!(trouble.message.contains(words), "{query}: {}", trouble.message);
        }
        let empty = format!("{ROWS} WHERE i > :cursor");
        let trouble = from(&server, &empty, None).unwrap_err();
        assert!(trouble.message.contains("add `initial` to `cursor`"), "{}", trouble.message);
        let writes = format!("WITH x AS (INSERT INTO pg_temp.x SELECT 1 RETURNING 1) {ROWS}");
        assert!(from(&server, &writes, None).is_err());
    }
}
