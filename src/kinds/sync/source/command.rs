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

#[cfg(test)]
mod tests {
    use crate::kinds::StopReason;
    use crate::kinds::sync::source::Start;
    use crate::kinds::sync::testing::{Bench, spec};

    fn job(script: &str, more: &str) -> String {
        let run = script.replace('\'', "''");
        format!(
            "source: {{ command: {{ run: '{run}'{more} }} }}\n\
             columns: {{ id: {{ type: int, key: true }}, name: {{ type: text }} }}\n\
             destination: {{ csv: {{ path: out.csv }} }}\nmode: append\n"
        )
    }

    #[test]
    fn a_program_must_end_well_or_nothing_of_it_counts() {
        let one = r#"echo '{"id":1,"name":"a"}'"#;
        let long = r#"i=0; while [ $i -lt 30000 ]; do echo "{\"id\":$i,\"name\":\"x\"}"; i=$((i+1)); done"#;
        for (script, expected) in [
            (one.to_owned(), "1 rows"),
            (format!("{one}; printf '%s' '{{\"id\":2}}'"), "2 rows"),
            (long.to_owned(), "30000 rows"),
            (
                format!("{one}; echo away >&2; exit 3"),
                "failed:source: the command ended with exit code 3: away",
            ),
            (format!("{one}; kill -9 $$"), "failed:source: the command ended with signal 9"),
            (
                format!("{one}; printf '%s' '{{\"id\":'; exit 4"),
                "failed:source: the command ended with exit code 4",
            ),
            (
                format!("{one}; printf '%s' '{{\"id\":'"),
                "failed:truncated: the command, line 2: the last line ends in the middle of its JSON",
            ),
            (format!("{one}; echo '[1]'; {long}"), "failed:source: line 2 is no JSON object: "),
            (
                "exec /no/such/program".to_owned(),
                "failed:source: the command ended with exit code 127",
            ),
        ] {
            let bench = Bench::new();
            let read = bench.ticking(|| bench.read(&job(&script, "")));
            let told = match read {
                Ok(rows) => format!("{} rows", rows.len()),
                Err(trouble) => format!("{}: {}", trouble.ending.word(), trouble.message),
            };
            assert!(told.starts_with(expected), "{script}: {told}");
        }
    }

    #[test]
    fn a_program_that_is_silent_or_stopped_is_ended_and_counts_for_nothing() {
        // It says that it is there, catches TERM and ends with 0, as taps do.
        let script = r#"trap "exit 0" TERM; echo "{\"id\":1}"; echo ready >&2; while :; do sleep 0.05; done"#;
        for (stop, expected) in [(false, "failed:source"), (true, "cancelled")] {
            let bench = Bench::new();
            let text = job(script, if stop { "" } else { ", idle_timeout: 5s" });
            let (attempt, spec) = (bench.attempt(&text), spec(&text));
            let start = Start::default();
            let said = bench.outputs.path(attempt.tools.run, 1);
            let pull = &attempt.pull;
            let trouble = std::thread::scope(|scope| {
                scope.spawn(move || {
                    let ready =
                        || std::fs::read_to_string(&said).is_ok_and(|text| text.contains("ready"));
                    while !ready() {
                        std::thread::yield_now();
                    }
                    if stop {
                        pull.send_replace(Some(StopReason::Cancelled));
                    }
                });
                let read = || {
                    Bench::take(&text, &attempt, |intake| {
                        spec.source.read(&attempt.tools, &start, intake).map(drop)
                    })
                };
                bench.ticking(read).unwrap_err()
            });
            assert_eq!(trouble.ending.word(), expected, "{}", trouble.message);
        }
    }
}
