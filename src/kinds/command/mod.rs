//! The `command` kind: runs a program and judges how it ended.
//!
//! Owns what a section says ([`spec`]), what the program is given, and the class of its end
//! ([`verdict`]). Refuses to know processes as such: that is `process`.

mod spec;
mod verdict;

pub(super) use spec::inherited_names;
pub use spec::{CommandSpec, PatternText, Run, Signs};

use std::ffi::OsString;

use serde_json::{Value as Json, json};

use super::process::{self, Capture, Program, Scan, environment};
use super::{AttemptContext, template};
use crate::model::{Cause, Failure, FailureClass, Outcome};
use verdict::Watch;

/// Variables with their values, in the order in which they were set; a later one wins.
type Environment = Vec<(OsString, OsString)>;

/// What the kind needs of its surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The part of the daemon's environment that every process gets.
    pub inherited: &'a [(OsString, OsString)],
    /// The data dir, by which a process of ours is known.
    pub data_dir: &'a std::path::Path,
}

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
    env: Environment,
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
    let mut capture = Capture {
        output: Some(&attempt.output),
        stdout: Scan::watching(watch.stdout()),
        stderr: Scan::watching(watch.stderr()),
    };
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
    let mut env = around.inherited.to_vec();
    for name in &spec.inherit_env {
        let value = std::env::var_os(&name.value).map(|value| (name.value.clone().into(), value));
        env.extend(value);
    }
    declare(spec, attempt, &mut env)?;
    let values = Values::new(attempt, &env);
    let argv = match &spec.run {
        Run::Exec(words) => {
            let words = words.iter().map(|word| values.render("run", &word.value.0));
            words.map(|word| word.map(OsString::from)).collect::<Result<_, _>>()?
        }
        Run::Shell(text) => {
            vec!["/bin/sh".into(), "-c".into(), values.render("run", &text.value)?.into()]
        }
    };
    let stdin = spec.stdin.as_ref().map(|text| values.render("stdin", &text.value)).transpose()?;
    env.extend(environment::told(attempt, around.data_dir));
    Ok(Ready { argv, env, stdin: stdin.map(String::into_bytes) })
}

/// Adds the variables that the job declares; their values see what was inherited, not each other.
fn declare(
    spec: &CommandSpec,
    attempt: &AttemptContext,
    env: &mut Environment,
) -> Result<(), Failure> {
    let common = attempt.setting.env.iter();
    let own = spec.env.0.iter().map(|(name, text)| (&name.value, &text.value.0));
    let values = Values::new(attempt, env);
    let mut declared = Vec::new();
    for (name, text) in common.chain(own) {
        let value = values.render(&format!("env.{name}"), text)?;
        declared.push((OsString::from(name), OsString::from(value)));
    }
    env.extend(declared);
    Ok(())
}

/// What templates see. Put together only when there is a template.
struct Values<'a> {
    attempt: &'a AttemptContext,
    env: &'a [(OsString, OsString)],
    built: std::cell::OnceCell<Json>,
}

impl<'a> Values<'a> {
    fn new(attempt: &'a AttemptContext, env: &'a [(OsString, OsString)]) -> Self {
        Self { attempt, env, built: std::cell::OnceCell::new() }
    }

    fn render(&self, key: &str, text: &str) -> Result<String, Failure> {
        if !template::is_template(text) {
            return Ok(text.to_owned());
        }
        let values = self.built.get_or_init(|| self.build());
        let rendered = template::render(text, values).map(std::borrow::Cow::into_owned);
        rendered.map_err(|error| {
            Failure::new(FailureClass::Permanent, format!("can't fill in `{key}`: {error}"))
        })
    }

    fn build(&self) -> Json {
        let attempt = self.attempt;
        let text = |text: &OsString| text.to_string_lossy().into_owned();
        let env: serde_json::Map<String, Json> =
            self.env.iter().map(|(name, value)| (text(name), text(value).into())).collect();
        // A run without a slot has the time it was asked for: a dated file name works by hand too.
        let slot = match attempt.cause {
            Cause::Slot(at) | Cause::Manual(at) => at,
            Cause::After(_) => attempt.started_at,
        };
        json!({
            "params": attempt.setting.params,
            "env": env,
            "job": attempt.job.as_str(),
            "run": attempt.run.0,
            "slot": slot.to_string(),
        })
    }
}

fn permanent(message: String) -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Permanent, message))
}

#[cfg(test)]
mod tests;
