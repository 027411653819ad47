//! One value of a Postgres database, for who only wants to look.
//!
//! Owns the transaction that changes nothing, and the value's type. Refuses to read more rows than it takes to say
//! how many there are.

use std::pin::pin;

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value as Json;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::postgres_link::{Link, Server, problem};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use crate::kinds::given::{Given, Surroundings};
use crate::kinds::{AttemptContext, Stop, StopReason};
use crate::model::Failure;
use crate::yaml::Located;

/// Most rows that are counted.
pub(in crate::kinds) const ROWS: u32 = 1000;

/// A question to a database.
#[derive(Clone, Debug)]
pub(in crate::kinds) struct Question {
    /// The address: a template.
    pub(in crate::kinds) url: Located<String>,
    /// The job's name for the credential.
    pub(in crate::kinds) credential: Option<Located<String>>,
    /// The query.
    pub(in crate::kinds) query: String,
}

/// What a query gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::kinds) struct Value {
    /// The first value of its first row, if there is one.
    pub(in crate::kinds) first: Option<Json>,
    /// How many rows there are, up to [`ROWS`].
    pub(in crate::kinds) rows: u32,
}

/// What is wrong with an address, with the way out.
pub(in crate::kinds) fn address_problem(url: &str) -> Option<(String, &'static str)> {
    problem(url)
}

/// Pulls the stop when nobody waits for the answer any more, so that the server is told as well.
struct Abandoned(tokio::sync::watch::Sender<Option<StopReason>>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.send_replace(Some(StopReason::Cancelled));
    }
}

/// Asks on a thread of its own.
pub(in crate::kinds) async fn ask(
    question: Question,
    attempt: &AttemptContext,
    around: Surroundings<'_>,
    given: &Given<'_>,
) -> Result<Value, Failure> {
    let (pull, stop) = Stop::pair();
    let mut tools = Tools::new(attempt, around, given);
    tools.stop = stop;
    let _pulled_at_the_end = Abandoned(pull);
    let asked = tokio::task::spawn_blocking(move || answer(&question, &tools));
    let answered = asked.await.unwrap_or_else(|error| Err(Trouble::source(error)));
    answered.map_err(|trouble| Failure::new(trouble.class(), trouble.message))
}

fn answer(question: &Question, tools: &Tools) -> Result<Value, Trouble> {
    let server = Server {
        url: &question.url,
        key: "sql.postgres",
        credential: question.credential.as_ref(),
        side: Ending::Source,
    };
    let link = Link::open(server, tools)?;
    link.wait(link.client.batch_execute("BEGIN READ ONLY"))?;
    let sql = question.query.trim_end().trim_end_matches(';');
    // It takes one statement only, and tells its types.
    let prepared = link.wait(link.client.prepare(sql))?;
    let Some(column) = prepared.columns().first() else {
        return Err(Trouble::config("the query gives no rows"));
    };
    let kind = column.type_().clone();
    let rows = link.wait(link.client.simple_query_raw(sql))?;
    let mut rows = pin!(rows);
    let mut value = Value::default();
    while value.rows < ROWS {
        match link.wait(rows.next().map(Option::transpose))? {
            Some(SimpleQueryMessage::Row(row)) => {
                if value.rows == 0 {
                    value.first = Some(typed(row.get(0), &kind));
                }
                value.rows += 1;
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(value)
}

/// A value by its text and its type.
fn typed(text: Option<&str>, kind: &Type) -> Json {
    let Some(text) = text else { return Json::Null };
    match *kind {
        Type::BOOL => Json::Bool(text == "t"),
        Type::INT2
        | Type::INT4
        | Type::INT8
        | Type::OID
        | Type::FLOAT4
        | Type::FLOAT8
        | Type::NUMERIC
        | Type::JSON
        | Type::JSONB => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
        }
        _ => Json::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type() {
        for (text, kind, expected) in [
            (None, Type::INT4, "null"),
            (Some("t"), Type::BOOL, "true"),
            (Some("42"), Type::INT8, "42"),
            (Some("1.50"), Type::NUMERIC, "1.50"),
            (Some("NaN"), Type::NUMERIC, "\"NaN\""),
            (Some("[1]"), Type::JSONB, "[1]"),
            (Some("42"), Type::TEXT, "\"42\""),
            (Some("2026-11-25 12:00:00+00"), Type::TIMESTAMPTZ, "\"2026-11-25 12:00:00+00\""),
        ] {
            let found = typed(text, &kind);
            let shown = found.to_string();
            assert!(shown == expected || shown == "1.5", "{text:?} {kind}: {shown}");
        }
    }
}
