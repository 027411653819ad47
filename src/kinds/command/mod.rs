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
use super::grant::{self, Grants, Second};
use super::process::{self, Capture, Program, Scan};
use crate::model::{Failure, FailureClass, Outcome};
use verdict::Watch;

/// Performs an attempt to its end. Where the program says that a credential of its was refused, that is
/// refreshed and the program runs once more.
pub(super) async fn perform(
    spec: &CommandSpec,
    attempt: &mut AttemptContext,
    around: Surroundings<'_>,
) -> Outcome {
    let setting = attempt.setting.clone();
    let grants = match Grants::take(around.access, &setting.bindings, attempt).await {
        Ok(grants) => grants,
        Err(failure) => return Outcome::Failed(failure),
    };
    let mut outcome = once(spec, attempt, around, &grants).await;
    for again in [false, true] {
        let Some(failure) = grant::is_refusal(&outcome) else { break };
        let mut stop = attempt.stop.clone();
        let second = tokio::select! {
            biased;
            _ = stop.pulled() => Second::No(None),
            second = grants.refused(&failure.message, again, attempt.clock.now()) => second,
        };
        match second {
            Second::No(words) => {
                let message = told(failure, words);
                return Outcome::Failed(Failure { message, ..failure.clone() });
            }
            Second::Blocked(credential) => {
                return Outcome::Failed(grant::because(failure, credential));
            }
            Second::Try => {
                let note = "jada: the credential was refused; it is refreshed, and the program runs again\n";
                attempt.output.append(note).await;
                outcome = once(spec, attempt, around, &grants).await;
            }
        }
    }
    outcome
}

/// What the work ended with, and what was tried for it.
fn told(failure: &Failure, tried: Option<String>) -> String {
    let tried = tried.map(|words| format!("; {words}")).unwrap_or_default();
    format!("{}{tried}", failure.message)
}

async fn once(
    spec: &CommandSpec,
    attempt: &mut AttemptContext,
    around: Surroundings<'_>,
    grants: &Grants<'_>,
) -> Outcome {
    match prepare(spec, attempt, around, grants) {
        // A run that goes on for hours reads its file again and finds a token that is good.
        Ok(ready) => tokio::select! {
            outcome = run(spec, attempt, ready) => outcome,
            never = grants.follow() => never,
        },
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
    grants: &Grants<'_>,
) -> Result<Ready, Failure> {
    let own = spec.env.0.iter().map(|(name, text)| (name.as_str(), text.value.0.as_str()));
    let given = Given::new(attempt, around, grants, &spec.inherit_env, own)?;
    let argv = given.argv(&spec.run)?;
    let stdin = spec.stdin.as_ref().map(|text| given.render("stdin", &text.value)).transpose()?;
    Ok(Ready { argv, env: given.environment(), stdin: stdin.map(String::into_bytes) })
}

fn permanent(message: String) -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Permanent, message))
}

#[cfg(test)]
mod tests;
