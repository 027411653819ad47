//! The `command` kind.

/// The `command` section.
#[derive(Clone, Debug)]
pub struct CommandSpec {}
