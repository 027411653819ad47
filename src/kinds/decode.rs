//! The kind keys of a job.
//!
//! Owns which of them there are. Refuses to know what stands beside them.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::Work;
use super::command::CommandSpec;
use super::health::HealthSpec;
use crate::yaml::decode::choice::OneOf;
use crate::yaml::{Code, Decoder, Node};

impl OneOf for Work {
    const KEYS: &'static [&'static str] = &["agent", "sync", "health", "command"];
    const WHAT: &'static str = "kind";

    fn decode_at(key: &str, node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match key {
            "command" => Some(Self::Command(CommandSpec {})),
            "health" => Some(Self::Health(HealthSpec {})),
            _ => {
                let message = format!("this version does not run `{key}` jobs yet");
                cx.report(Code::KindNotRun, node.head(cx.source()), message);
                None
            }
        }
    }

    fn schemas(
        _generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, &'static [&'static str], Schema)> {
        let any = || json_schema!({ "type": "object" });
        vec![("health", &[], any()), ("command", &[], any())]
    }
}
