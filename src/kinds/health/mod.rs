//! The `health` kind.

/// The `health` section.
#[derive(Clone, Debug)]
pub struct HealthSpec {}
