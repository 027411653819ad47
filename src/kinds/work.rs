//! The kinds, closed: which there are, how a section becomes one, and who performs it.
//!
//! Owns [`Work`], the only enum of kinds, and [`Kinds`], the real performer. A new kind is one folder
//! beside this file and one variant here; the compiler lists the rest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{Schema, SchemaGenerator};

use super::alert::AlertSection;
use super::command::{self, CommandSpec};
use super::freshness;
use super::given::Surroundings;
use super::grant::Access;
use super::health::{self, HealthSpec};
use super::process::environment;
use super::sync::{self, SyncSpec};
use super::template::{self, Names};
use super::touch::Touch;
use super::wire;
use super::{AttemptContext, Leaving, Perform};
use crate::credentials::keeper::Keeper;
use crate::model::{CredentialName, Failure, JobName, Outcome};
use crate::yaml::decode::choice::OneOf;
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node};

/// The work of a job, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs a program.
    Command(Box<CommandSpec>),
    /// Takes the pulse of hosts and services.
    Health(HealthSpec),
    /// Moves data from a source to a destination.
    Sync(Box<Located<SyncSpec>>),
}

/// A credential that the daemon shows to somebody for a job.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The binding's name.
    pub binding: &'a Located<String>,
    /// To whom, where the address is written.
    pub address: Option<&'a Located<String>>,
    /// Whether the address can be read to see whether the credential is taken.
    pub is_read: bool,
}

/// Kinds that other versions run: their keys are known, so that the message can say so.
const NOT_RUN: [&str; 1] = ["agent"];

impl Work {
    /// The kind's key in YAML.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Health(_) => "health",
            Self::Sync(_) => "sync",
        }
    }

    /// The credentials that it looks at besides those that the job binds.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        self.looked_at().into_iter().map(|name| &name.value)
    }

    /// The same with their places.
    #[must_use]
    pub fn looked_at(&self) -> Vec<&Located<CredentialName>> {
        match self {
            Self::Command(_) | Self::Sync(_) => Vec::new(),
            Self::Health(spec) => spec.looked_at(),
        }
    }

    /// What it touches outside of the job, as far as that is written.
    #[must_use]
    pub fn touches(&self) -> Vec<Touch> {
        match self {
            Self::Command(spec) => Touch::of_run(&spec.run),
            Self::Health(spec) => spec.touches().into_iter().map(|(_, touch)| touch).collect(),
            Self::Sync(spec) => spec.touches(),
        }
    }

    /// Its checks by name, each with the alert of its own that it may have.
    pub fn checks(&self) -> impl Iterator<Item = (&str, Option<&AlertSection>)> {
        let checks = match self {
            Self::Command(_) | Self::Sync(_) => &[],
            Self::Health(spec) => spec.checks.value.as_slice(),
        };
        checks.iter().map(|check| (check.name.as_str(), check.alert.as_ref()))
    }

    /// The jobs whose last success it asks about: [`super::facts::Facts`] tells it.
    #[must_use]
    pub fn asks_about(&self) -> Vec<&Located<JobName>> {
        match self {
            Self::Command(_) | Self::Sync(_) => Vec::new(),
            Self::Health(spec) => spec.asks_about(),
        }
    }

    /// The credentials that the daemon shows for it.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown<'_>> {
        match self {
            Self::Command(_) => Vec::new(),
            Self::Health(spec) => spec.shown(),
            Self::Sync(spec) => spec.shown(),
        }
    }
}

impl OneOf for Work {
    const KEYS: &'static [&'static str] = &["command", "health", "sync", "agent"];
    const WHAT: &'static str = "kind";

    fn decode_at(key: &str, node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match key {
            "command" => Box::decode(node, cx).map(Self::Command),
            "health" => HealthSpec::decode(node, cx).map(Self::Health),
            "sync" => Box::decode(node, cx).map(Self::Sync),
            _ => {
                debug_assert!(NOT_RUN.contains(&key), "{key} is decoded above");
                let at = node.head(cx.source());
                let message = format!("this version does not run jobs of the kind `{key}`");
                cx.report(Code::KindNotRun, at, message)
                    .help("it runs `command`, `health` and `sync`");
                None
            }
        }
    }

    fn schemas(
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, &'static [&'static str], Schema)> {
        vec![
            ("command", &[" Runs a program."], generator.subschema_for::<CommandSpec>()),
            (
                "health",
                &[" Takes the pulse of hosts and services."],
                generator.subschema_for::<HealthSpec>(),
            ),
            (
                "sync",
                &[" Moves data from a source to a destination, whole or not at all."],
                generator.subschema_for::<SyncSpec>(),
            ),
        ]
    }
}

/// Reports what is wrong in meaning with a job's work and its own `env`, where that was given; `known`
/// has the names that its own keys or the defaults declare. What is wrong in form was reported when the
/// sections were decoded.
pub fn check(
    work: Option<&Work>,
    env: Option<&Entries<Located<ScalarText>>>,
    known: &Names<'_>,
    cx: &mut Decoder,
) {
    let also = match work {
        Some(Work::Command(spec)) => spec.inherit_env.as_slice(),
        Some(Work::Health(_) | Work::Sync(_)) | None => &[],
    };
    let inherited = Names { env: command::inherited_names(also), ..known.clone() };
    for (_, value) in env.iter().flat_map(|env| &env.0) {
        template::report(&value.value.0, value.span, &inherited, cx);
    }
    match work {
        Some(Work::Command(spec)) => spec.check(known, cx),
        Some(Work::Health(spec)) => spec.check(known, cx),
        Some(Work::Sync(spec)) => sync::check(spec, known, cx),
        None => {}
    }
}

/// The real performer.
#[derive(Debug)]
pub struct Kinds {
    data_dir: PathBuf,
    inherited: Vec<(OsString, OsString)>,
    network: wire::Shared,
    pulse: health::Kept,
    leaving: Leaving,
    access: Access,
}

impl Kinds {
    /// A performer for the jobs of this data dir; without a keeper, no job can have a credential. Takes note
    /// of the daemon's environment once.
    #[must_use]
    pub fn new(data_dir: &Path, keeper: Option<Arc<Keeper>>) -> Self {
        Self {
            data_dir: environment::spelled(data_dir),
            inherited: environment::inherited(),
            network: wire::Shared::default(),
            pulse: health::Kept::default(),
            leaving: Leaving::default(),
            access: Access::new(keeper, data_dir),
        }
    }
}

impl Kinds {
    /// Where it is told that the daemon is going down.
    #[must_use]
    pub fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }

    /// Answers a question about a sync job; the attempt says whose, with what, and how it is stopped.
    pub async fn ask_sync(
        &self,
        mut attempt: AttemptContext,
        ask: sync::desk::Ask,
    ) -> Result<sync::desk::Answer, Failure> {
        let around = self.surroundings();
        sync::ask(&mut attempt, around, ask).await
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            inherited: &self.inherited,
            data_dir: &self.data_dir,
            access: &self.access,
            network: &self.network,
            pulse: &self.pulse,
            leaving: &self.leaving,
        }
    }
}

#[async_trait]
impl Perform for Kinds {
    async fn perform(&self, mut attempt: AttemptContext) -> Outcome {
        let (work, output) = (attempt.work.clone(), attempt.output.clone());
        let around = self.surroundings();
        let outcome = match work.as_ref() {
            Work::Command(spec) => command::perform(spec, &mut attempt, around).await,
            Work::Health(spec) => health::perform(spec, &attempt, around).await,
            Work::Sync(_) => sync::perform(&mut attempt, around).await,
        };
        let outcome = match attempt.setting.freshness.clone() {
            Some(section) => freshness::judge(&section, &attempt, around, outcome).await,
            None => outcome,
        };
        let outcome = with_message(outcome, |text| output.hide(&text));
        match output.trouble() {
            Some(trouble) => with_message(outcome, |text| match text.as_str() {
                "" => trouble,
                _ => format!("{text}; {trouble}"),
            }),
            None => outcome,
        }
    }
}

/// An outcome with another message.
fn with_message(outcome: Outcome, change: impl FnOnce(String) -> String) -> Outcome {
    match outcome {
        Outcome::Succeeded { note } => Outcome::Succeeded { note: change(note) },
        Outcome::Failed(failure) => {
            let message = change(failure.message);
            Outcome::Failed(Failure { message, ..failure })
        }
    }
}
