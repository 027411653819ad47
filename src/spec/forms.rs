//! Two ways to write one value, and values whose mistakes do not hide others.
//!
//! Owns [`Short`] and [`Tried`]. Refuses to know any key.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::yaml::decode::choice::OneOf;
use crate::yaml::{Decode, Decoder, Node, Value};

/// A value in its short form `S`, or in full as the section `L`.
#[derive(Clone, Debug, PartialEq)]
pub enum Short<S, L> {
    /// As in `retry: 3`.
    Short(S),
    /// As in `retry: { attempts: 3 }`.
    Full(L),
}

impl<S: Decode, L: Decode> Decode for Short<S, L> {
    const EXPECTS: &'static str = S::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match node.value {
            Value::Map(_) => L::decode(node, cx).map(Self::Full),
            _ => S::decode(node, cx).map(Self::Short),
        }
    }

    fn keys() -> Vec<&'static str> {
        L::keys()
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Short<S, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, full) = (generator.subschema_for::<S>(), generator.subschema_for::<L>());
        json_schema!({ "anyOf": [short, full] })
    }
}

/// A key that may be left out, and whose mistake, once reported, does not keep the section around it
/// from being decoded: what stands beside it is still checked for its meaning. Whoever uses what comes
/// out makes sure first that no error was reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried<T>(pub Option<T>);

impl<T> Deref for Tried<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<T: Decode> Decode for Tried<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        Some(Self(T::decode(node, cx)))
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

impl<T: JsonSchema> JsonSchema for Tried<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<O: OneOf> OneOf for Tried<O> {
    const KEYS: &'static [&'static str] = O::KEYS;
    const NOT_YET: &'static [&'static str] = O::NOT_YET;
    const WHAT: &'static str = O::WHAT;

    fn decode_at(key: &str, node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        Some(Self(O::decode_at(key, node, cx)))
    }

    fn failed() -> Option<Self> {
        Some(Self(None))
    }

    fn schemas(
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, &'static [&'static str], Schema)> {
        O::schemas(generator)
    }
}
