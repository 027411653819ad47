//! Numbers and times with bounds.
//!
//! Owns the bounds and how they are told. Refuses to know which keys have them.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::yaml::decode::quantity::{DurationText, SizeText};
use crate::yaml::decode::values::{integer, out_of_range};
use crate::yaml::decode::{Decode, Decoder};
use crate::yaml::{Code, Node};

/// A whole number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u32);

/// A factor from 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(pub f64);

/// A time of at least one second, the scheduler's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

/// An amount of memory: at least one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(pub u64);

/// The scheduler's tick: slots are whole seconds.
pub const TICK: Duration = Duration::from_secs(1);

impl Decode for Count {
    const EXPECTS: &'static str = "a whole number from 1";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let number = integer(node, cx)?.and_then(|number| u32::try_from(number).ok());
        if number.is_none_or(|number| number < 1) {
            out_of_range(node, 1, u32::MAX, cx);
            return None;
        }
        number.map(Self)
    }
}

impl Decode for Factor {
    const EXPECTS: &'static str = "a number from 1";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let number = f64::decode(node, cx)?;
        if number < 1.0 {
            let found = node.described(cx.source());
            let message = format!("expected 1 or more, found {found}");
            cx.report(Code::OutOfRange, node.span, message);
            return None;
        }
        Some(Self(number))
    }
}

impl Decode for Seconds {
    const EXPECTS: &'static str = "a duration";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let time = DurationText::decode(node, cx)?.0;
        if time >= TICK {
            return Some(Self(time));
        }
        let at = node.content(cx.source()).unwrap_or(node.span);
        let reported = cx.report(Code::OutOfRange, at, "this time is shorter than a second");
        reported.help("write 1s or more");
        None
    }
}

impl Decode for Memory {
    const EXPECTS: &'static str = "a size";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let size = SizeText::decode(node, cx)?.0;
        if size > 0 {
            return Some(Self(size));
        }
        let at = node.content(cx.source()).unwrap_or(node.span);
        let reported = cx.report(Code::OutOfRange, at, "nothing runs without any memory");
        reported.help("write a size such as 64MiB, or remove the key");
        None
    }
}

macro_rules! schema {
    ($name:ident, $generator:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(Count, _generator, json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }));
schema!(Factor, _generator, json_schema!({ "type": "number", "minimum": 1 }));
schema!(Seconds, generator, DurationText::json_schema(generator));
schema!(Memory, generator, SizeText::json_schema(generator));
