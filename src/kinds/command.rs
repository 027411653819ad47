//! The `command` kind.

/// The `command` section.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandSpec {}
