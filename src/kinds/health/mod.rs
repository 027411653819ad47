//! The `health` kind.

crate::section! {
    /// The `health` section.
    pub struct HealthSpec {
        /// What is checked.
        pub checks: Vec<String>,
    }
}
