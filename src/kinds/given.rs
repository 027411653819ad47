//! What an attempt's programs and templates are given.
//!
//! Owns the order in which variables are set and the values that templates see. Refuses to know what
//! they are for.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value as Json, json};

use super::command::Run;
use super::grant::{Access, Grants};
use super::health::Kept;
use super::process::environment;
use super::{AttemptContext, Leaving, template, wire};
use crate::model::{Cause, Failure, FailureClass};
use crate::yaml::Located;

/// Variables with their values, in the order in which they were set; a later one wins.
pub(super) type Environment = Vec<(OsString, OsString)>;

/// What the performer lends to each attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The part of the daemon's environment that every process gets.
    pub(super) inherited: &'a [(OsString, OsString)],
    /// The data dir, by which a process of ours is known.
    pub(super) data_dir: &'a Path,
    /// Who has the credentials.
    pub(super) access: &'a Access,
    /// What attempts share of the network.
    pub(super) network: &'a wire::Shared,
    /// What checks remember of their last looks.
    pub(super) pulse: &'a Kept,
    /// Whether the daemon is going down.
    pub(super) leaving: &'a Leaving,
}

/// What one attempt is given.
pub(super) struct Given<'a> {
    attempt: &'a AttemptContext,
    around: Surroundings<'a>,
    env: Environment,
    /// The variables that come from credentials. Templates see none that holds a token.
    granted: Environment,
    /// What templates see; put together only when there is a template.
    values: OnceLock<Json>,
}

impl<'a> Given<'a> {
    /// Inherits the allowed variables and those in `also`, then sets the job's own and those in `own`.
    /// Their values see what was inherited, not each other.
    pub(super) fn new(
        attempt: &'a AttemptContext,
        around: Surroundings<'a>,
        grants: &Grants<'_>,
        also: &[Located<String>],
        own: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Failure> {
        let mut env = around.inherited.to_vec();
        for name in also.iter().filter(|name| name.value != environment::SECRETS) {
            let set = std::env::var_os(&name.value);
            env.extend(set.map(|value| (OsString::from(&name.value), value)));
        }
        env.extend(grants.files());
        let granted = grants.environment()?;
        let mut given = Self { attempt, around, env, granted, values: OnceLock::new() };
        let common = attempt.setting.env.iter();
        let common = common.map(|(name, text)| (name.as_str(), text.as_str()));
        let mut declared = Vec::new();
        for (name, text) in common.chain(own) {
            let value = given.render(&format!("env.{name}"), text)?;
            declared.push((OsString::from(name), OsString::from(value)));
        }
        if !declared.is_empty() {
            given.env.extend(declared);
            given.values = OnceLock::new();
        }
        Ok(given)
    }

    /// Fills in a text; `key` names it where that fails.
    pub(super) fn render(&self, key: &str, text: &str) -> Result<String, Failure> {
        if !template::is_template(text) {
            return Ok(text.to_owned());
        }
        let rendered = template::render(text, self.values()).map(std::borrow::Cow::into_owned);
        rendered.map_err(|error| {
            Failure::new(FailureClass::Permanent, format!("can't fill in `{key}`: {error}"))
        })
    }

    /// What templates see.
    pub(super) fn values(&self) -> &Json {
        self.values.get_or_init(|| self.build())
    }

    /// The words that a program is started with.
    pub(super) fn argv(&self, run: &Run) -> Result<Vec<OsString>, Failure> {
        match run {
            Run::Exec(words) => {
                let words = words.iter().map(|word| self.render("run", &word.value.0));
                words.map(|word| word.map(OsString::from)).collect()
            }
            Run::Shell(text) => {
                let text = self.render("run", &text.value)?;
                Ok(vec!["/bin/sh".into(), "-c".into(), text.into()])
            }
        }
    }

    /// The whole environment of a process.
    pub(super) fn environment(&self) -> Environment {
        let mut env = self.env.clone();
        env.extend(self.granted.iter().cloned());
        env.extend(environment::told(self.attempt, self.around.data_dir));
        env
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
            "job": { "name": attempt.job.as_str() },
            "run": {
                "id": attempt.run.0,
                "attempt": attempt.no,
                "key": environment::run_key(attempt),
            },
            "slot": slot.to_string(),
        })
    }
}
