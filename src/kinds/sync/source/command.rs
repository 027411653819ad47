//! The `command` source: a program that prints one JSON object a line.
//!
//! Owns its reading. Every line must be an object, and the program must end well, or nothing of it counts.
//! Refuses to know processes.

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Read, Start};
use crate::kinds::command::Run;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::section;

section! {
    /// A program that prints one JSON object a line.
    pub struct CommandSource {
        /// What runs: a list is a program with its arguments, a text is given to `/bin/sh -c`. Templates.
        pub run: Run,
        /// Longest time without a line.
        pub idle_timeout: Option<DurationText>,
    }
}

impl CommandSource {
    pub(super) fn identity(&self) -> String {
        let words = match &self.run {
            Run::Exec(words) => {
                words.iter().map(|word| word.value.0.as_str()).collect::<Vec<_>>().join(" ")
            }
            Run::Shell(text) => text.value.clone(),
        };
        format!("command {words}")
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("command"))
    }
}
