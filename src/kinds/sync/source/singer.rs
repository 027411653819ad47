//! The `singer` source: a tap after the Singer specification.
//!
//! Owns the protocol (SCHEMA, RECORD, STATE in order), the tap's own environment, its private configuration
//! and what it writes back into that. A state counts only when every record before it is durable and the
//! tap ended well. Refuses to know processes.

use serde_json::Value as Json;

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Read, Start};
use crate::kinds::command::Run;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany};
use crate::yaml::{Located, section};

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
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("singer"))
    }
}
