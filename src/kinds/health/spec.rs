//! The `health` section, and what it may not say.
//!
//! Owns its keys and the defaults of each probe. Refuses to probe anything.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::condition::{Comparison, Condition};
use super::measure::{Quantity, Unit};
use super::probe::Nothing;
use super::syntax::{self, Raw};
use super::{credential, disk, file_age, http, load, memory, plugin, tcp};
use crate::kinds::Shown;
use crate::kinds::command::Run;
use crate::kinds::template::{self, Names};
use crate::kinds::wire;
use crate::model::CredentialName;
use crate::model::id::check_name;
use crate::yaml::decode::nearest;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::Entries;
use crate::yaml::{Code, Decode, Decoder, Located, Node, Span, one_of, section};

/// Longest time of a check that names none.
const TIMEOUT: Duration = Duration::from_secs(10);

section! {
    /// Takes the pulse of hosts and services.
    pub struct HealthSpec {
        /// What is looked at, all at the same time.
        pub checks: Located<Vec<Check>>,
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its name.
    pub name: Located<String>,
    /// What it looks at.
    pub probe: Probe,
    /// What must hold.
    pub expect: Vec<Expectation>,
    /// What should hold.
    pub warn: Vec<Expectation>,
    /// Longest time that it may take.
    pub timeout: Duration,
}

/// A condition on one measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The name of the value.
    pub value: String,
    /// The condition.
    pub condition: Condition,
}

section! {
    /// One check: a probe, and what is expected of the values that it measures.
    pub(super) struct CheckSection {
        /// What the check is called in messages.
        pub name: Located<String>,
        /// What must hold, or the check fails: a condition for each value, such as `used: "< 85%"`.
        pub expect: Entries<Located<Raw>> = Entries::default(),
        /// What should hold; if it does not, the check warns.
        pub warn: Entries<Located<Raw>> = Entries::default(),
        /// Longest time that the check may take.
        pub timeout: Located<DurationText> = ten_seconds(),

        one of
        /// What the check looks at.
        pub probe: Probe,
    }
}

one_of! {
    /// What a check looks at.
    pub enum Probe as "probe" {
        /// A file system: `used`, `free` and `inodes`, each as a share or an amount.
        disk => Disk(disk::DiskProbe),
        /// This host's memory: `used`, `available` and `swap`, each as a share or a size.
        memory => Memory(Nothing),
        /// This host's load: `1m`, `5m`, `15m`, and `per_core` (the 5-minute load by processors).
        load => Load(Nothing),
        /// A file: its `age`, its `size`, and whether it `exists`.
        file_age => FileAge(file_age::FileProbe),
        /// An HTTP request: `status`, `latency` (until the headers are there), `body`, and in `json` values
        /// of a JSON body by their path.
        http => Http(http::HttpProbe),
        /// A TCP connection: its `latency`.
        tcp => Tcp(tcp::TcpProbe),
        /// A program after the convention of monitoring plugins: exit code 0 is ok, 1 warns, 2 fails, others
        /// are unknown. Its `exit` code, its `output`, and what it reports behind `|`, by label.
        command => Command(plugin::PluginProbe),
        /// How a credential stands: fails where a person has to act, warns where its end is near. Its `state`
        /// and the time that is `left` until a known end.
        credential => Credential(credential::CredentialProbe),
        ; not yet systemd, freshness
    }
}

fn ten_seconds() -> Located<DurationText> {
    Located { value: DurationText(TIMEOUT), span: Span::default() }
}

impl Decode for Check {
    const EXPECTS: &'static str = CheckSection::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        Some(CheckSection::decode(node, cx)?.resolve(cx))
    }

    fn keys() -> Vec<&'static str> {
        CheckSection::keys()
    }
}

impl JsonSchema for Check {
    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CheckSection::json_schema(generator)
    }
}

impl CheckSection {
    fn resolve(self, cx: &mut Decoder) -> Check {
        if let Err(error) = check_name(&self.name) {
            cx.report(Code::BadName, self.name.span, error.to_string());
        }
        if self.timeout.value.0.is_zero() {
            cx.report(Code::OutOfRange, self.timeout.span, "a check needs some time");
        }
        self.probe.check_form(cx);
        let expect = self.probe.expectations(&self.expect, cx);
        let warn = self.probe.expectations(&self.warn, cx);
        let mut check = Check {
            name: self.name,
            probe: self.probe,
            expect,
            warn,
            timeout: self.timeout.value.0,
        };
        check.add_defaults();
        check
    }
}

impl Check {
    /// The names of all values that anything is expected of.
    pub(super) fn wanted(&self) -> Vec<&str> {
        self.expect.iter().chain(&self.warn).map(|one| one.value.as_str()).collect()
    }

    /// Adds what is expected where nothing was said. What a host may use is one question, so saying
    /// anything about it replaces the defaults; of a request, each value is a question of its own.
    fn add_defaults(&mut self) {
        let one_by_one = matches!(self.probe, Probe::Http(_));
        let silent = self.expect.is_empty() && self.warn.is_empty();
        if !one_by_one && !silent {
            return;
        }
        for default in self.probe.defaults().into_iter().rev() {
            if !self.expect.iter().any(|own| own.value == default.value) {
                self.expect.insert(0, default);
            }
        }
    }
}

impl Expectation {
    /// That a value stays below a bound.
    pub(super) fn below(value: &str, bound: f64, unit: Unit) -> Self {
        let condition = Condition::Compare(Comparison::Less, bound, unit);
        Self { value: value.to_owned(), condition }
    }
}

impl Probe {
    /// The key in YAML.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Memory(_) => "memory",
            Self::Load(_) => "load",
            Self::FileAge(_) => "file_age",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Command(_) => "command",
            Self::Credential(_) => "credential",
        }
    }

    /// The values that it measures.
    fn measures(&self) -> &'static [(&'static str, Quantity)] {
        match self {
            Self::Disk(_) => disk::MEASURES,
            Self::Memory(_) => memory::MEASURES,
            Self::Load(_) => load::MEASURES,
            Self::FileAge(_) => file_age::MEASURES,
            Self::Http(_) => http::MEASURES,
            Self::Tcp(_) => tcp::MEASURES,
            Self::Command(_) => plugin::MEASURES,
            Self::Credential(_) => credential::MEASURES,
        }
    }

    /// What is expected of it where nothing is said.
    fn defaults(&self) -> Vec<Expectation> {
        match self {
            Self::Disk(_) => disk::defaults(),
            Self::Memory(_) => memory::defaults(),
            Self::Load(_) => load::defaults(),
            Self::Http(_) => http::defaults(),
            Self::FileAge(_) | Self::Tcp(_) | Self::Command(_) | Self::Credential(_) => Vec::new(),
        }
    }

    /// Reads what is expected of the values; what is wrong is reported and left out.
    fn expectations(&self, entries: &Entries<Located<Raw>>, cx: &mut Decoder) -> Vec<Expectation> {
        let mut read = Vec::new();
        for (name, raw) in &entries.0 {
            match (self, name.as_str(), &raw.value) {
                (Self::Http(_), "json", Raw::Map(paths)) => {
                    read.extend(paths.iter().filter_map(|(path, raw)| {
                        let condition = syntax::condition(raw, Quantity::Json, cx)?;
                        Some(Expectation { value: format!("json.{}", path.value), condition })
                    }));
                }
                (Self::Http(_), "json", _) => {
                    let message = "expected a mapping of paths, such as { queue.depth: \"< 10\" }";
                    cx.report(Code::WrongType, raw.span, message);
                }
                _ => read.extend(self.expectation(name, raw, cx)),
            }
        }
        read
    }

    fn expectation(
        &self,
        name: &Located<String>,
        raw: &Located<Raw>,
        cx: &mut Decoder,
    ) -> Option<Expectation> {
        let measures = self.measures();
        let known = measures.iter().find(|(known, _)| *known == name.as_str());
        let quantity = match (known, self) {
            (Some((_, quantity)), _) => *quantity,
            // What a plugin reports is known when it has run.
            (None, Self::Command(_)) => Quantity::Plugin,
            (None, _) => {
                let names: Vec<&str> = measures.iter().map(|(name, _)| *name).collect();
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it measures {}", names.join(", ")),
                };
                let message = format!("`{}` does not measure `{}`", self.word(), name.value);
                cx.report(Code::UnknownKey, name.span, message).help(help);
                return None;
            }
        };
        let condition = syntax::condition(raw, quantity, cx)?;
        Some(Expectation { value: name.value.clone(), condition })
    }

    /// Reports addresses that can't be any.
    fn check_form(&self, cx: &mut Decoder) {
        let (text, problem) = match self {
            Self::Http(probe) => (&probe.url, wire::problem(&probe.url)),
            Self::Tcp(probe) => (&probe.address, tcp::problem(&probe.address)),
            _ => return,
        };
        if let Some((message, help)) = problem.filter(|_| !template::is_template(text)) {
            cx.report(Code::BadAddress, text.span, message).help(help);
        }
    }

    /// The texts that are templates, each with its place.
    fn templates(&self) -> Vec<(&str, Span)> {
        match self {
            Self::Disk(probe) => vec![(probe.path.as_str(), probe.path.span)],
            Self::FileAge(probe) => vec![(probe.path.as_str(), probe.path.span)],
            Self::Tcp(probe) => vec![(probe.address.as_str(), probe.address.span)],
            Self::Http(probe) => {
                let headers = probe.headers.0.iter();
                let headers = headers.map(|(_, value)| (value.value.0.as_str(), value.span));
                let body = probe.body.iter().map(|body| (body.as_str(), body.span));
                let url = std::iter::once((probe.url.as_str(), probe.url.span));
                url.chain(headers).chain(body).collect()
            }
            Self::Command(probe) => match &probe.run {
                Run::Exec(words) => {
                    words.iter().map(|word| (word.value.0.as_str(), word.span)).collect()
                }
                Run::Shell(text) => vec![(text.as_str(), text.span)],
            },
            Self::Memory(_) | Self::Load(_) | Self::Credential(_) => Vec::new(),
        }
    }
}

impl HealthSpec {
    /// What its checks run.
    pub fn programs(&self) -> impl Iterator<Item = &Run> {
        self.checks.iter().filter_map(|check| match &check.probe {
            Probe::Command(probe) => Some(&probe.run),
            _ => None,
        })
    }

    /// Reports what is wrong in meaning; `known` are the names that the job declares.
    pub fn check(&self, known: &Names<'_>, cx: &mut Decoder) {
        if self.checks.is_empty() {
            let reported =
                cx.report(Code::OutOfRange, self.checks.span, "there is nothing to check");
            reported.help("add a check: { name: disk, disk: { path: / } }");
        }
        self.check_names(cx);
        let mut env = crate::kinds::command::inherited_names(&[]);
        env.extend(&known.env);
        let names = Names { env, ..known.clone() };
        for (text, span) in self.checks.iter().flat_map(|check| check.probe.templates()) {
            template::report(text, span, &names, cx);
        }
    }

    /// The credentials whose standing is looked at.
    pub(in crate::kinds) fn looked_at(&self) -> Vec<&Located<CredentialName>> {
        let probes = self.checks.iter().map(|check| &check.probe);
        probes
            .filter_map(|probe| match probe {
                Probe::Credential(probe) => Some(&probe.0),
                _ => None,
            })
            .collect()
    }

    /// The credentials that requests show.
    pub(in crate::kinds) fn shown(&self) -> Vec<Shown<'_>> {
        let probes = self.checks.iter().map(|check| &check.probe);
        probes
            .filter_map(|probe| match probe {
                Probe::Http(probe) => Some(Shown {
                    binding: probe.credential.as_ref()?,
                    address: Some(&probe.url),
                    is_read: true,
                }),
                _ => None,
            })
            .collect()
    }

    /// Reports each name that two checks have: messages could not tell them apart.
    fn check_names(&self, cx: &mut Decoder) {
        for (index, check) in self.checks.iter().enumerate() {
            let same = |other: &&Check| other.name.value == check.name.value;
            if let Some(first) = self.checks[..index].iter().find(same) {
                let message = format!("two checks are called `{}`", check.name.value);
                let reported = cx.report(Code::BadName, check.name.span, message);
                reported.label(first.name.span, "the first one").help("rename one of the two");
            }
        }
    }
}
