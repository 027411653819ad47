//! The `command` kind: runs a program and judges how it ended.
//!
//! Owns what a section says (`spec`), what the program is given, and the class of its end
//! (`verdict`). Refuses to know processes as such: that is `process`.

mod spec;
mod verdict;

pub(super) use spec::inherited_names;
pub use spec::{CommandSpec, PatternText, Run, Signs};

use std::ffi::OsString;

use super::AttemptContext;
use super::given::{Given, Surroundings};
use super::process::{self, Capture, Program, Scan};
use crate::model::{Failure, FailureClass, Outcome};
use verdict::Watch;

/// Performs an attempt to its end.
pub(super) async fn perform(
    spec: &CommandSpec,
    attempt: &mut AttemptContext,
    around: Surroundings<'_>,
) -> Outcome {
    match prepare(spec, attempt, around) {
        Ok(ready) => run(spec, attempt, ready).await,
        Err(failure) => Outcome::Failed(failure),
    }
}

/// What is rendered before the program starts.
struct Ready {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
}

async fn run(spec: &CommandSpec, attempt: &mut AttemptContext, ready: Ready) -> Outcome {
    let watch = match Watch::new(spec) {
        Ok(watch) => watch,
        Err(message) => return permanent(message),
    };
    let setting = attempt.setting.clone();
    let program = Program {
        argv: ready.argv,
        env: ready.env,
        dir: &setting.working_dir,
        stdin: ready.stdin,
        limits: setting.limits,
        grace: setting.grace,
    };
    let (stdout, stderr) = (Scan::watching(watch.stdout()), Scan::watching(watch.stderr()));
    let mut capture = Capture::kept(&attempt.output, stdout, stderr);
    let clock = attempt.clock.as_ref();
    match process::run(program, &mut capture, &mut attempt.stop, clock).await {
        Ok(exit) => watch.judge(spec, &exit, &capture),
        Err(error) => Outcome::Failed(error.into()),
    }
}

fn prepare(
    spec: &CommandSpec,
    attempt: &AttemptContext,
    around: Surroundings<'_>,
) -> Result<Ready, Failure> {
    let own = spec.env.0.iter().map(|(name, text)| (name.as_str(), text.value.0.as_str()));
    let given = Given::new(attempt, around, &spec.inherit_env, own)?;
    let argv = given.argv(&spec.run)?;
    let stdin = spec.stdin.as_ref().map(|text| given.render("stdin", &text.value)).transpose()?;
    Ok(Ready { argv, env: given.environment(), stdin: stdin.map(String::into_bytes) })
}

fn permanent(message: String) -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Permanent, message))
}

#[cfg(test)]
mod tests;
