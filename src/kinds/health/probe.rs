//! What a probe can come back with.
//!
//! Owns the difference between what is down and what is not known, and the section of a probe that needs
//! to be told nothing. Refuses to know any probe.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::measure::Reading;
use crate::kinds::wire::{self, FILES};
pub(super) use crate::model::Verdict;
use crate::model::{FailureClass, Fault};
use crate::yaml::{Code, Decode, Decoder, Node, Value};

/// What a probe found.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// It measured; the conditions decide. The cause is the class of a failure, should they not hold.
    Values(Reading, Cause),
    /// It answered with a verdict of its own, in words; conditions may add to it.
    Judged(Verdict, String, Reading, Cause),
    /// What it looks at is not there, which is a verdict without any condition.
    Down(String, Cause),
    /// It could not look.
    Unknown(String, Cause),
}

/// What a failure would be due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// The class.
    pub(super) class: FailureClass,
    /// The server's wish for the next try.
    pub(super) retry_after: Option<Duration>,
    /// What is wrong, where the probe knows; the words tell it where it does not.
    pub(super) fault: Option<Fault>,
}

impl Cause {
    /// A cause that may go away by itself, as most do.
    pub(super) const TRANSIENT: Self =
        Self { class: FailureClass::Transient, retry_after: None, fault: None };

    /// The same of a known fault.
    pub(super) fn of(fault: impl Into<Option<Fault>>) -> Self {
        Self { fault: fault.into(), ..Self::TRANSIENT }
    }
}

impl Found {
    pub(super) fn values(reading: Reading) -> Self {
        Self::Values(reading, Cause::TRANSIENT)
    }

    pub(super) fn down(why: impl Into<String>, fault: impl Into<Option<Fault>>) -> Self {
        Self::Down(why.into(), Cause::of(fault))
    }

    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into(), Cause::TRANSIENT)
    }

    /// It could not look, for a reason that is known.
    pub(super) fn blind(why: impl Into<String>, fault: impl Into<Option<Fault>>) -> Self {
        Self::Unknown(why.into(), Cause::of(fault))
    }
}

/// Looks at something on disk, which may keep a thread waiting.
pub(super) async fn blocking(look: impl FnOnce() -> Found + Send + 'static) -> Found {
    wire::look(&FILES, look).await.unwrap_or_else(Found::unknown)
}

/// The section of a probe that needs to be told nothing: `memory: {}`, or `memory:` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nothing;

impl Decode for Nothing {
    const EXPECTS: &'static str = "an empty mapping: {}";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self),
            Value::Map(entries) => {
                for entry in entries {
                    let message = format!("unknown key `{}`", entry.key);
                    let reported = cx.report(Code::UnknownKey, entry.key_span, message);
                    reported.help("this probe has no keys; `expect` stands beside it");
                }
                entries.is_empty().then_some(Self)
            }
            _ => {
                cx.wrong_type(node, Self::EXPECTS);
                None
            }
        }
    }
}

impl JsonSchema for Nothing {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Nothing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "null"], "additionalProperties": false })
    }
}
