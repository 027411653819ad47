//! The `health` section, and what it may not say.
//!
//! Owns its keys and the defaults of each probe. Refuses to probe anything.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::age::FreshnessProbe;
use super::condition::{Comparison, Condition};
use super::measure::Unit;
use super::sql::Database;
use super::syntax::Raw;
use super::which::Probe;
use crate::kinds::alert::AlertSection;
use crate::kinds::command::Run;
use crate::kinds::template::{self, Names};
use crate::kinds::{Shown, Touch};
use crate::model::id::check_name;
use crate::model::{CredentialName, JobName};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::Entries;
use crate::yaml::{Code, Decode, Decoder, Located, Node, Span, section};

/// Longest time of a check that names none.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The port of an ssh server that names none.
const SSH: u16 = 22;

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
    /// When its failures become an incident, where it is not as the job says.
    pub alert: Option<AlertSection>,
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
        /// When its failures become an incident; by default as the job says.
        pub alert: Option<AlertSection>,

        one of
        /// What the check looks at.
        pub probe: Probe,
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
            alert: self.alert,
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

    /// Reports what is wrong with an age that nobody bounds, and with the way to data.
    fn check_age(&self, names: &Names<'_>, cx: &mut Decoder) {
        let Probe::Freshness(probe) = &self.probe else { return };
        if let Some(data) = probe.of_data() {
            data.check(names, cx);
        }
        if self.expect.is_empty() && self.warn.is_empty() {
            let message = "nothing says how old it may be";
            let reported = cx.report(Code::MissingKey, self.name.span, message);
            reported.help("add `expect: { age: \"< 2h\" }`, or `warn`");
        }
    }

    /// Adds what is expected where nothing was said. What a host may use is one question, so saying
    /// anything about it replaces the defaults; of a request, each value is a question of its own.
    fn add_defaults(&mut self) {
        let silent = self.expect.is_empty() && self.warn.is_empty();
        if !self.probe.is_asked_one_by_one() && !silent {
            return;
        }
        for (own, defaults) in
            [(&mut self.expect, self.probe.defaults()), (&mut self.warn, self.probe.warnings())]
        {
            for default in defaults.into_iter().rev() {
                if !own.iter().any(|own| own.value == default.value) {
                    own.insert(0, default);
                }
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
        for check in self.checks.iter() {
            check.check_age(&names, cx);
            if let Some(alert) = &check.alert {
                alert.check(cx);
            }
        }
    }

    /// The jobs whose last success is looked at.
    pub(in crate::kinds) fn asks_about(&self) -> Vec<&Located<JobName>> {
        let probes = self.checks.iter().map(|check| &check.probe);
        probes
            .filter_map(|probe| match probe {
                Probe::Freshness(FreshnessProbe::Job(job)) => Some(&job.0),
                _ => None,
            })
            .collect()
    }

    /// What its checks touch, each with the check's name.
    #[must_use]
    pub fn touches(&self) -> Vec<(&str, Touch)> {
        let of_check = |check: &Check| match &check.probe {
            Probe::Http(probe) => Touch::url(&probe.url).into_iter().collect(),
            Probe::Tcp(probe) => Touch::address(&probe.address).into_iter().collect(),
            Probe::Tls(probe) => Touch::address(&probe.address).into_iter().collect(),
            Probe::Ssh(probe) => {
                let port = probe.port.unwrap_or(SSH);
                let address = probe.host().map(|host| format!("{}:{port}", host.value));
                address.and_then(|address| Touch::address(&address)).into_iter().collect()
            }
            Probe::Sql(probe) => match &probe.database {
                Database::Postgres(url) => Touch::url(url).into_iter().collect(),
                Database::Sqlite(_) => Vec::new(),
            },
            Probe::Dns(probe) => probe.touch().into_iter().collect(),
            Probe::Command(probe) => Touch::of_run(&probe.run),
            _ => Vec::new(),
        };
        let named = |check| of_check(check).into_iter().map(|touch| (check.name.as_str(), touch));
        self.checks.iter().flat_map(named).collect()
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
                Probe::Lightsail(probe) => Some(probe.shown()),
                Probe::Ssh(probe) => Some(probe.instance()?.shown()),
                Probe::Sql(probe) => match &probe.database {
                    Database::Postgres(url) => Some(Shown {
                        binding: probe.credential.as_ref()?,
                        address: Some(url),
                        is_read: false,
                    }),
                    Database::Sqlite(_) => None,
                },
                Probe::Freshness(probe) => probe.shown(),
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
