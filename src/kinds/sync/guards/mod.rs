//! Guards: what must hold before anything of the destination is changed.
//!
//! Owns their section and the judgement over counts that were taken. Pure. Refuses to count, and to know
//! what becomes of a run that they hold.

mod judge;

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::spec::Bound;
use crate::yaml::decode::quantity::{DurationText, parse_duration};
use crate::yaml::decode::values::{Entries, OneOrMany, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node, Value, section, words};
pub(super) use judge::{Facts, Verdict, judge};

section! {
    /// What must hold before anything is changed; a run that one of them trips is held.
    pub struct GuardsSection {
        /// What follows where nothing was read; to be stated where rows could be deleted.
        pub on_empty: Option<Located<OnEmpty>>,
        /// Least rows that are read.
        pub min_rows: Option<u64>,
        /// Most by which the rows may become fewer, against the last commit: `20%`, `200 rows`, or against
        /// the most in a time, `{ 30%: 7d }`.
        pub max_shrink: Limits = Limits::default(),
        /// Most rows that may be deleted, alike.
        pub max_delete: Limits = Limits::default(),
        /// Most rows that may be inserted, updated and deleted together, alike.
        pub max_change: Limits = Limits::default(),
        /// Columns in which no value may stand twice.
        pub unique: OneOrMany<Located<String>> = OneOrMany::default(),
        /// Columns in which every row must have a value.
        pub not_null: OneOrMany<Located<String>> = OneOrMany::default(),
        /// The largest share of rows without a value, by column.
        pub max_null: Entries<Located<Bound>> = Entries::default(),
        /// Values of a row that must be among those that are read.
        pub canary: Entries<ScalarText> = Entries::default(),
        /// The greatest age of the newest value of the cursor's column.
        pub max_age_of_newest: Option<Located<DurationText>>,
    }
}

impl GuardsSection {
    /// The longest time over which one of them counts.
    pub(super) fn longest_window(&self) -> Option<Duration> {
        let all = [&self.max_shrink, &self.max_delete, &self.max_change];
        all.iter().flat_map(|limits| &limits.0).filter_map(|limit| limit.value.within).max()
    }

    /// Whether they judge what becomes of rows, and not only those that were read.
    pub(super) fn look_at_changes(&self) -> bool {
        !self.max_delete.0.is_empty() || !self.max_change.0.is_empty()
    }
}

words! {
    /// What follows where nothing was read.
    pub enum OnEmpty {
        /// The run is held.
        Hold = "hold",
        /// It goes on.
        Allow = "allow",
    }
}

/// A bound on one run, or on all runs of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The bound.
    pub bound: Bound,
    /// The time over which it is counted; `None` for one run.
    pub within: Option<Duration>,
}

/// Limits, each of which must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits(pub Vec<Located<Limit>>);

impl Decode for Limits {
    const EXPECTS: &'static str = "a bound with its unit (`20%`, `200 rows`), or `{ 30%: 7d }`";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let nodes = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut limits = Some(Vec::new());
        for node in nodes {
            let more = match &node.value {
                Value::Map(_) => windows(node, cx),
                _ => Located::<Bound>::decode(node, cx).map(|bound| {
                    let limit = Limit { bound: bound.value, within: None };
                    vec![Located { value: limit, span: bound.span }]
                }),
            };
            limits = limits.zip(more).map(|(mut limits, more)| {
                limits.extend(more);
                limits
            });
        }
        limits.map(Self)
    }
}

/// Reads `{ 30%: 7d }`.
fn windows(node: &Node<'_>, cx: &mut Decoder) -> Option<Vec<Located<Limit>>> {
    let entries = Entries::<Located<ScalarText>>::decode(node, cx)?;
    let mut limits = Vec::new();
    for (bound, within) in entries.0 {
        let Some(read) = Bound::parse(&bound.value) else {
            let message = format!("expected {}", Bound::EXPECTS);
            cx.report(Code::OutOfRange, bound.span, message);
            continue;
        };
        let Some(time) = parse_duration(&within.value.0) else {
            let message = "expected a duration, such as `7d`";
            cx.report(Code::BadDuration, within.span, message);
            continue;
        };
        let value = Limit { bound: read, within: Some(time) };
        limits.push(Located { value, span: bound.span });
    }
    Some(limits)
}

impl JsonSchema for Limits {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bound = generator.subschema_for::<Bound>();
        let one = schemars::json_schema!({
            "anyOf": [
                bound,
                { "type": "object", "additionalProperties": { "type": "string" } },
            ]
        });
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[cfg(test)]
mod tests;
