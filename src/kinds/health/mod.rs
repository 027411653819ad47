//! The `health` kind.

/// The `health` section.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthSpec {}
