//! The `singer` source: a tap after the Singer specification.
//!
//! Owns the protocol (SCHEMA, RECORD, STATE in order), the tap's own environment, its private configuration
//! and what it writes back into that. A state counts only when every record before it is durable and the
//! tap ended well. Refuses to know processes.

mod catalog;
mod message;
mod package;
mod private;
mod protocol;
mod schema;

use std::ffi::OsString;
use std::fmt::Write;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::lines::{Feed, Lines};
use super::program::{Command, Running};
use super::{Read, Start, program};
use crate::credentials::keeper::Use;
use crate::credentials::mint::TokenValue;
use crate::kinds::command::Run;
use crate::kinds::grant;
use crate::kinds::wire::{Caller, NoLease};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany};
use crate::yaml::{Located, section};
use catalog::Form;
use package::Environment;
use private::{Private, Writeback};
use protocol::Protocol;

/// Most bytes of a catalog.
const CATALOG_MAX: u64 = 64 * 1024 * 1024;

section! {
    /// A tap after the Singer specification.
    pub struct Singer {
        /// The package that it comes in, which gets an environment of its own.
        pub package: Option<TapPackage>,
        /// The tap where it is installed already, or its program within the package. Templates.
        pub run: Option<Run>,
        /// The stream that is read. One that never appears fails the run.
        pub stream: Located<String>,
        /// Its configuration, given to it in a private file. Texts are templates, and
        /// `{{credential.token}}` is the token of `credential`.
        pub config: Entries<Json> = Entries::default(),
        /// The credential of `{{credential.token}}`, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// Keys of the configuration that the tap may change, such as a rotated token: they are kept.
        pub config_writeback: OneOrMany<Located<String>> = OneOrMany::default(),
        /// Longest time without a message.
        pub idle_timeout: Option<DurationText>,
    }
}

section! {
    /// A Python package.
    pub struct TapPackage {
        /// As pip wants it, with its version: `tap-github==4.0.0`.
        pub pip: Located<String>,
        /// The Python that it runs on; `python3` where it is not given.
        pub python: Option<Located<String>>,
        /// A requirements file that pins everything, with hashes or without.
        pub lock: Option<Located<String>>,
    }
}

impl Singer {
    pub(super) fn identity(&self) -> String {
        let package = self.package.as_ref().map(|package| package.pip.value.as_str());
        let package = package.and_then(|text| text.split(['=', '<', '>', '~']).next());
        format!("singer {} {}", package.unwrap_or_default(), self.stream.value)
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let tap = self.tap(tools)?;
        let said = self.said(tools)?;
        let keys: Vec<&str> =
            self.config_writeback.0.iter().map(|key| key.value.as_str()).collect();
        let writeback = Writeback::of(tools)?;
        let given = writeback.apply(&keys, &said);
        let private = Private::make(tools)?;
        let config = private.put("config.json", &Json::Object(given.clone()))?;
        let session = Session { tools, private: &private, tap: &tap, config: &config };
        let state = session.read(self, start, intake);
        // Whatever became of the run: what the tap was given before may be worth nothing any more.
        let kept = writeback.keep(&keys, &said, (&given, &config));
        let state = state?;
        match kept? {
            0 => {}
            count => tools.say(&format!("jada: {count} values that the tap wrote back are kept")),
        }
        Ok(Read::All { left: state.or_else(|| start.left.clone()) })
    }

    /// The program, and what it is given.
    fn tap(&self, tools: &Tools) -> Result<Tap, Trouble> {
        let argv = self.run.as_ref().map(|run| program::argv(run, tools)).transpose()?;
        let mut env = tools.env.clone();
        let Some(package) = &self.package else {
            let none = || Trouble::config("the source needs `package` or `run`");
            return Ok(Tap { argv: argv.ok_or_else(none)?, env });
        };
        let environment = Environment::of(package, tools)?;
        environment.put_in_path(&mut env);
        let own = || vec![package::name_of(&package.pip.value).into()];
        let mut argv: Vec<OsString> = argv.unwrap_or_else(own);
        let is_name = argv.first().is_some_and(|name| !name.as_encoded_bytes().contains(&b'/'));
        if is_name {
            let name = argv[0].to_string_lossy().into_owned();
            argv[0] = environment.program(&name)?.into();
        }
        Ok(Tap { argv, env })
    }

    /// The configuration as the job says it.
    fn said(&self, tools: &Tools) -> Result<Map<String, Json>, Trouble> {
        let mut values = tools.values.clone();
        if let (Some(name), Some(values)) = (&self.credential, values.as_object_mut()) {
            values.insert("credential".to_owned(), json!({ "token": token(name, tools)? }));
        }
        let mut config = Map::new();
        for (key, value) in &self.config.0 {
            let key = &key.value;
            let value = filled(&format!("source.config.{key}"), value, &values)?;
            config.insert(key.clone(), value);
        }
        Ok(config)
    }
}

/// What is started.
struct Tap {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// One read with a tap.
struct Session<'a> {
    tools: &'a Tools,
    private: &'a Private,
    tap: &'a Tap,
    config: &'a Path,
}

impl Session<'_> {
    /// Finds the stream, and reads it to its end. Gives the last state.
    fn read(
        &self,
        singer: &Singer,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Option<Json>, Trouble> {
        let idle = singer.idle_timeout.map(|text| text.0);
        let mut arguments = Vec::new();
        let mut names = vec![singer.stream.value.clone()];
        if let Some(mut offered) = self.discover(idle)? {
            let selected = catalog::select(&mut offered, &singer.stream.value)?;
            let file = self.private.put("catalog.json", &offered)?;
            let flag = match selected.form {
                Form::Catalog => "--catalog",
                Form::Properties => "--properties",
            };
            arguments.extend([OsString::from(flag), file.into()]);
            names.extend(selected.names.into_iter().filter(|name| !name.is_empty()));
        }
        if let Some(state) = start.left.as_ref().filter(|_| start.goes_on) {
            let file = self.private.put("state.json", state)?;
            arguments.extend(["--state".into(), file.into()]);
        }
        let mut lines = Lines::of(self.start("the tap", arguments, idle));
        let mut protocol = Protocol::of(&names);
        match protocol.take(&mut lines, intake) {
            Ok(()) => lines.into_feed().finish()?,
            // Half a line at the end is what the end left behind, so that tells more.
            Err(trouble) if trouble.ending == Ending::Truncated => {
                lines.into_feed().finish()?;
                return Err(trouble);
            }
            Err(trouble) => return Err(trouble),
        }
        let state = protocol.end(self.tools)?;
        Ok(state.map(|text| serde_json::from_str(&text).expect("it was read as JSON before")))
    }

    /// Asks the tap what it has; nothing where it can't say.
    fn discover(&self, idle: Option<Duration>) -> Result<Option<Json>, Trouble> {
        let mut running = self.start("the tap's discovery", vec!["--discover".into()], idle);
        let mut printed = Vec::new();
        if let Err(error) = (&mut running).take(CATALOG_MAX + 1).read_to_end(&mut printed) {
            return Err(running.trouble(&error));
        }
        if printed.len() as u64 > CATALOG_MAX {
            let most = CATALOG_MAX / 1024 / 1024;
            let message = format!("the tap's catalog is larger than {most} MiB");
            return Err(Trouble::source(message).for_good());
        }
        let found = match running.finish() {
            Ok(()) => catalog::read(&String::from_utf8_lossy(&printed)),
            Err(trouble) if has_none(&trouble) => None,
            Err(trouble) => return Err(trouble),
        };
        if found.is_none() {
            self.tools.say("jada: the tap offers no catalog, so it runs without one");
        }
        Ok(found)
    }

    fn start(
        &self,
        name: &'static str,
        arguments: Vec<OsString>,
        idle: Option<Duration>,
    ) -> Running<'_> {
        let mut argv = self.tap.argv.clone();
        argv.extend(["--config".into(), self.config.into()]);
        argv.extend(arguments);
        let command = Command { argv, env: self.tap.env.clone(), idle, name };
        Running::start(command, self.tools)
    }
}

/// Whether a tap does not know the question: Python's two parsers of arguments say so.
fn has_none(trouble: &Trouble) -> bool {
    ["unrecognized arguments", "No such option"].iter().any(|words| trouble.message.contains(words))
}

/// A part of the configuration with its texts filled in.
fn filled(key: &str, value: &Json, values: &Json) -> Result<Json, Trouble> {
    Ok(match value {
        Json::String(text) => Json::String(Tools::render_with(key, text, values)?),
        Json::Array(items) => {
            let items = items.iter().map(|item| filled(key, item, values));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let mut all = Map::new();
            for (name, value) in map {
                let value = filled(&format!("{key}.{name}"), value, values)?;
                all.insert(name.clone(), value);
            }
            Json::Object(all)
        }
        other => other.clone(),
    })
}

/// The token of the job's credential.
fn token(name: &Located<String>, tools: &Tools) -> Result<String, Trouble> {
    let bindings = &tools.setting.bindings;
    let binding = bindings.iter().find(|binding| *binding.name == *name.value);
    let (Some(keeper), Some(binding)) = (tools.keeper.as_deref(), binding) else {
        let message = format!("nobody here holds the credential `{}`", name.value);
        return Err(Trouble::config(message));
    };
    let whom = Use { job: tools.job.clone(), run: tools.run };
    let lease = tools.wait(Caller { keeper, binding, whom }.lease())?;
    let lease = match lease {
        Ok(lease) => lease,
        Err(NoLease::Never(words)) => return Err(Trouble::config(words)),
        Err(NoLease::Refused(refused)) => {
            let failure = grant::blocked(binding, refused, tools.now());
            let trouble = Trouble::new(Ending::Auth, failure.message.clone());
            return Err(Trouble { credential: Some(Box::new(failure)), ..trouble });
        }
    };
    match &lease.token.value {
        TokenValue::Bearer(token) | TokenValue::Header { key: token, .. } => {
            Ok(token.expose().to_owned())
        }
        TokenValue::Basic { .. } | TokenValue::Aws { .. } => Err(Trouble::config(format!(
            "{} is no access token, which is all that `{{{{credential.token}}}}` can stand for",
            binding.credential
        ))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
