//! The `health` kind.

use crate::yaml::{Decode, Decoder, Node};

/// The `health` section.
#[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
pub struct HealthSpec {}

impl Decode for HealthSpec {
    const EXPECTS: &'static str = "a mapping";

    fn decode(_: &Node<'_>, _: &mut Decoder) -> Option<Self> {
        Some(Self {})
    }
}
