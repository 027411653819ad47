//! The `command` source: a program that prints one JSON object a line.
//!
//! Owns its reading. Every line must be an object, and the program must end well, or nothing of it counts.
//! Refuses to know processes.

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::lines::Lines;
use super::program::{Command, Running};
use super::{Read, Start, program};
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
        tools: &Tools,
        _start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let command = Command {
            argv: program::argv(&self.run, tools)?,
            env: tools.env.clone(),
            idle: self.idle_timeout.map(|text| text.0),
            name: "the command",
        };
        let mut lines = Lines::of(Running::start(command, tools));
        match take(&mut lines, intake) {
            Ok(()) => lines.into_feed().finish()?,
            // Half a line at the end is what the end left behind, so that tells more.
            Err(trouble) if trouble.ending == Ending::Truncated => {
                lines.into_feed().finish()?;
                return Err(trouble);
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(Read::All { left: None })
    }
}

fn take(lines: &mut Lines<Running<'_>>, intake: &mut Intake<'_>) -> Result<(), Trouble> {
    while lines.next()? {
        let (at, line) = lines.line()?;
        intake.json(&at, line)?;
        intake.bytes(lines.bytes());
    }
    Ok(())
}
