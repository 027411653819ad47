//! The `http` destination: an API that takes one record a request.
//!
//! Owns the requests, each with a key by which the other side can tell a repetition. Refuses to promise more
//! than at least once: after a failure in the middle, the next run sends everything again, with the same
//! keys.

use std::fmt::Write;

use reqwest::{Method, Url};
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value as Json};

use super::super::columns::Column;
use super::super::diff::{Move, Work};
use super::super::folder;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::super::value::{Value, Values};
use super::super::wire::{Repeat, Request, Side, Terms, Wire, address};
use super::super::written::{append, key_alone, key_of};
use super::{Found, Moves, Shape, keep_ledger};
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Located, section, words};

section! {
    /// An HTTP API that takes one record a request.
    pub struct HttpRecords {
        /// The address. A template, with the record's columns under `record`.
        pub url: Located<String>,
        /// The method.
        pub method: WriteMethod = WriteMethod::Post,
        /// The address for rows to delete, with `DELETE`; rows are deleted only where it is given. A template.
        pub delete_url: Option<Located<String>>,
        /// Headers to send. Values are templates.
        pub headers: Entries<Located<ScalarText>> = Entries::default(),
        /// The header of the key, where the server is known to tell repetitions by it; a request whose answer is
        /// lost is then sent again. `Idempotency-Key` is sent where it is not given, and not relied on.
        pub idempotency_header: Option<String>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
    }
}

words! {
    /// How a record is sent.
    pub enum WriteMethod {
        /// As a new one.
        Post = "POST",
        /// In its place.
        Put = "PUT",
        /// As changes to one.
        Patch = "PATCH",
    }
}

/// Longest answer that is looked at: it only has to be a success.
const ANSWER_MAX: usize = 16 << 20;

/// Under way.
pub(in super::super) struct Session {
    tools: Tools,
    section: HttpRecords,
    /// The commit before this one: what an idempotency key counts from.
    before: String,
}

impl HttpRecords {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let ledger = folder::read_text(&tools.folder(), folder::LEDGER)?;
        let before = ledger.as_deref().map(commit_of).unwrap_or_default();
        let session = Session { tools: tools.clone(), section: self.clone(), before };
        // It is never asked for what it holds, so nothing is known of it beside the ledger.
        Ok((session, Found { ledger, rows: 0, shows_rows: false }))
    }
}

impl Session {
    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        let columns = work.columns.to_vec();
        self.carry_out(&columns, &mut |each| work.moves(each), ledger)
    }

    /// Makes moves and the ledger durable.
    fn carry_out(
        self,
        columns: &[Column],
        moves: Moves<'_>,
        ledger: &Ledger,
    ) -> Result<(), Trouble> {
        let (tools, section) = (&self.tools, &self.section);
        let wire =
            Wire::open(tools, Terms::new(Side::Destination).with(section.credential.as_ref()))?;
        let mut sent = 0_u64;
        moves(&mut |step| {
            tools.go_on()?;
            let done = match step {
                Move::Insert(row) | Move::Update(row) => self.send(&wire, columns, row),
                Move::Delete(key) => self.delete(&wire, columns, key),
            };
            done.map_err(|trouble| Self::at(trouble, columns, step, sent))?;
            sent += 1;
            Ok(())
        })?;
        keep_ledger(tools, ledger)
    }

    /// Sends a record.
    fn send(&self, wire: &Wire<'_>, columns: &[Column], row: &[u8]) -> Result<(), Trouble> {
        let section = &self.section;
        let record = record(columns.iter().zip(Values::of(row)))?;
        let body = Json::Object(record.clone()).to_string();
        let (verb, repeat) = match section.method {
            WriteMethod::Put => (Method::PUT, Repeat::Freely),
            WriteMethod::Post => (Method::POST, self.repeat()),
            WriteMethod::Patch => (Method::PATCH, self.repeat()),
        };
        let mut request = Request {
            verb,
            headers: self.headers(&record, row, "put")?,
            body: Some(body.into_bytes()),
            ..Request::get(self.url("url", &section.url, &record)?)
        };
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        wire.whole(&request, repeat, ANSWER_MAX).map(drop)
    }

    /// Deletes a record, where that is wanted. One that is gone already is as good as deleted.
    fn delete(&self, wire: &Wire<'_>, columns: &[Column], key: &[u8]) -> Result<(), Trouble> {
        let Some(url) = &self.section.delete_url else { return Ok(()) };
        let keyed = columns.iter().filter(|column| column.key);
        let record = record(keyed.zip(Values::of(key)))?;
        let request = Request {
            verb: Method::DELETE,
            headers: self.headers(&record, key, "delete")?,
            ..Request::get(self.url("delete_url", url, &record)?)
        };
        match wire.whole(&request, Repeat::Freely, ANSWER_MAX) {
            Err(trouble) if trouble.ending != Ending::NotFound => Err(trouble),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Only a server that was told to look at the key can tell a repetition.
    fn repeat(&self) -> Repeat {
        match self.section.idempotency_header {
            Some(_) => Repeat::Freely,
            None => Repeat::Refused,
        }
    }

    fn headers(
        &self,
        record: &Map<String, Json>,
        row: &[u8],
        what: &str,
    ) -> Result<Vec<(String, String)>, Trouble> {
        let values = self.values(record.clone());
        let mut headers = Vec::new();
        for (name, text) in &self.section.headers.0 {
            let key = format!("headers.{}", name.value);
            let value = Tools::render_with(&key, &text.value.0, &values)?;
            headers.push((name.value.clone(), value));
        }
        let name = self.section.idempotency_header.as_deref().unwrap_or("Idempotency-Key");
        headers.push((name.to_owned(), self.key(row, what)));
        Ok(headers)
    }

    /// The key of a change: the same for as long as it is not committed, another one for the same row in a
    /// later commit.
    fn key(&self, row: &[u8], what: &str) -> String {
        let mut whole = Context::new(&SHA256);
        for part in
            [self.tools.job.as_str().as_bytes(), self.before.as_bytes(), what.as_bytes(), row]
        {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            whole.update(&length.to_le_bytes());
            whole.update(part);
        }
        whole.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
            let _never_fails = write!(text, "{byte:02x}");
            text
        })
    }

    /// An address with values of the record in it, none of which can leave its place.
    fn url(
        &self,
        key: &str,
        text: &Located<String>,
        record: &Map<String, Json>,
    ) -> Result<Url, Trouble> {
        let plain = record.iter().map(|(name, value)| {
            let value = match value {
                Json::String(text) => escaped(text).into(),
                other => other.clone(),
            };
            (name.clone(), value)
        });
        let values = self.values(plain.collect());
        address(key, &Tools::render_with(key, &text.value, &values)?)
    }

    fn values(&self, record: Map<String, Json>) -> Json {
        let mut values = self.tools.values.clone();
        if let Some(values) = values.as_object_mut() {
            values.insert("record".to_owned(), Json::Object(record));
        }
        values
    }

    /// A trouble with its record, and with what is done already.
    fn at(mut trouble: Trouble, columns: &[Column], step: Move<'_>, sent: u64) -> Trouble {
        if trouble.ending == Ending::Cancelled {
            trouble.message = match sent {
                0 => return trouble,
                _ => format!("it was stopped after {sent} records, which the next run sends again"),
            };
            return trouble;
        }
        let key = match step {
            Move::Insert(row) | Move::Update(row) => key_of(columns, row),
            Move::Delete(key) => key_alone(columns, key),
        };
        let message = &trouble.message;
        trouble.message = format!(
            "{message} (record {key}; {sent} were sent before it, and are sent again with the same keys)"
        );
        trouble
    }
}

/// The commit of a ledger, however its text is laid out.
fn commit_of(text: &str) -> String {
    match serde_json::from_str::<Ledger>(text) {
        Ok(ledger) => format!("{} {}", ledger.run, ledger.committed_at),
        Err(_) => text.to_owned(),
    }
}

/// A record as JSON.
fn record<'a>(
    values: impl Iterator<Item = (&'a Column, Value<'a>)>,
) -> Result<Map<String, Json>, Trouble> {
    let mut record = Map::new();
    for (column, value) in values {
        let json = match value {
            Value::Null => Json::Null,
            Value::Bool(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::Json(text) => serde_json::from_str(text).map_err(|error| {
                Trouble::destination(format!("`{}` holds no JSON: {error}", column.name)).for_good()
            })?,
            // A decimal is a text: as a number it would lose digits at whoever reads it.
            Value::Text(_) | Value::Decimal(_) | Value::Timestamp(_) | Value::Date(_) => {
                let mut text = String::new();
                append(value, column.kind, &mut text);
                text.into()
            }
        };
        record.insert(column.name.clone(), json);
    }
    Ok(record)
}

/// A text for a place within an address.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _never_fails = write!(escaped, "%{byte:02X}");
            }
        }
        escaped
    })
}

#[cfg(test)]
mod tests;
