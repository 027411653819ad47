//! Rows, moves and ledgers for the tests of destinations.

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::columns::{Column, ColumnType};
use super::super::diff::Move;
use super::super::ledger::{Ledger, State};
use super::super::trouble::Trouble;
use super::super::value::{Value, encode};
use super::super::written::tests::{Owned, any_value, kinds};
use super::EachMove;
use crate::model::RunId;
use crate::yaml::{Located, Span};

pub(super) fn located(text: &str) -> Located<String> {
    Located { value: text.to_owned(), span: Span::default() }
}

pub(super) fn column(name: &str, kind: &str, key: bool) -> Column {
    let kind = ColumnType::parse(kind).unwrap();
    Column { name: name.to_owned(), kind, key, required: key }
}

pub(super) fn ports() -> Vec<Column> {
    vec![
        column("id", "text", true),
        column("crew", "int", false),
        column("eta", "timestamp", false),
    ]
}

pub(super) fn row(values: &[Value<'_>]) -> Vec<u8> {
    let mut row = Vec::new();
    for value in values {
        encode(*value, &mut row);
    }
    row
}

pub(super) fn port(id: &str, crew: i64) -> Vec<u8> {
    row(&[Value::Text(id), Value::Int(crew), Value::Null])
}

pub(super) fn ledger(rows: u64) -> Ledger {
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    Ledger {
        version: 1,
        run: RunId(7),
        committed_at: at,
        read_at: at,
        rows,
        fingerprint: "f".to_owned(),
        section: String::new(),
        state: State::default(),
        history: Vec::new(),
        earlier: Vec::new(),
    }
}

/// A move that owns its row.
pub(super) enum Step {
    Insert(Vec<u8>),
    Update(Vec<u8>),
    Delete(Vec<u8>),
}

pub(super) fn inserts(rows: &[Vec<u8>]) -> Vec<Step> {
    rows.iter().cloned().map(Step::Insert).collect()
}

/// Gives some steps as a work does.
pub(super) fn give(steps: &[Step], each: EachMove<'_>) -> Result<(), Trouble> {
    steps.iter().try_for_each(|step| match step {
        Step::Insert(row) => each(Move::Insert(row)),
        Step::Update(row) => each(Move::Update(row)),
        Step::Delete(key) => each(Move::Delete(key)),
    })
}

/// Columns of every type, a key before them.
pub(super) fn wide() -> Vec<Column> {
    let kinds = kinds().into_iter().enumerate();
    let columns = kinds.map(|(no, kind)| Column {
        name: format!("c{no} \"x\""),
        kind,
        key: false,
        required: false,
    });
    std::iter::once(column("id", "int", true)).chain(columns).collect()
}

pub(super) fn wide_row() -> impl Strategy<Value = Vec<Owned>> {
    kinds().into_iter().map(any_value).collect::<Vec<_>>()
}

/// Encoded rows with keys that count up.
pub(super) fn numbered(rows: &[Vec<Owned>]) -> Vec<Vec<u8>> {
    let numbered = rows.iter().enumerate().map(|(no, values)| {
        let key = Value::Int(i64::try_from(no).unwrap());
        let all: Vec<_> = std::iter::once(key).chain(values.iter().map(Owned::value)).collect();
        row(&all)
    });
    let mut rows: Vec<_> = numbered.collect();
    rows.sort();
    rows
}
