//! The `lightsail` probe: how Amazon sees an instance from outside.
//!
//! Owns the section, the values, and which fault each trouble is. Refuses to know the service
//! (`kinds::lightsail`), and to look at memory and disks, which nobody sees from there.

use std::collections::BTreeSet;

use reqwest::Url;

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Cause, Found};
use super::spec::Expectation;
use super::{Check, Round};
use crate::kinds::lightsail::{Client, METRICS, Metric, Trouble, endpoint, region_problem};
use crate::kinds::wire::{self, Caller};
use crate::kinds::{Shown, template};
use crate::model::{Failure, FailureClass, Fault};
use crate::yaml::{Code, Decoder, Located, Span, section};

use super::condition::{Comparison, Condition};

/// What it measures: the state, and what the service publishes.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("state", Quantity::Text),
    ("CPUUtilization", Quantity::Counted),
    ("BurstCapacityPercentage", Quantity::Counted),
    ("BurstCapacityTime", Quantity::Time),
    ("NetworkIn", Quantity::Size),
    ("NetworkOut", Quantity::Size),
    ("StatusCheckFailed", Quantity::Number),
    ("StatusCheckFailed_Instance", Quantity::Number),
    ("StatusCheckFailed_System", Quantity::Number),
    ("MetadataNoToken", Quantity::Number),
];

section! {
    /// An instance of Amazon Lightsail.
    pub struct LightsailProbe {
        /// The instance's name. A template.
        pub instance: Located<String>,
        /// The region, such as `eu-central-1`.
        pub region: Located<String>,
        /// The credential to ask with, keys of `aws`, by the job's own name for it.
        pub credential: Located<String>,
        /// Where the service is, if not where Amazon has it.
        pub url: Option<Located<String>>,
    }
}

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    let no_failure = Condition::Compare(Comparison::Less, 1.0, Unit::Plain);
    vec![
        Expectation { value: "state".to_owned(), condition: Condition::Is("running".into()) },
        Expectation { value: "StatusCheckFailed".to_owned(), condition: no_failure },
    ]
}

impl LightsailProbe {
    /// Reports regions and addresses that can't be any.
    pub(super) fn check_form(&self, cx: &mut Decoder) {
        if let Some((message, help)) = region_problem(&self.region) {
            cx.report(Code::BadAddress, self.region.span, message).help(help);
        }
        if let Some(url) = &self.url
            && let Some((message, help)) = wire::problem(url)
        {
            cx.report(Code::BadAddress, url.span, message).help(help);
        }
        let instance = self.instance.as_str();
        if !template::is_template(instance) && instance_problem(instance) {
            let message = format!("`{instance}` is no name of an instance");
            let help = "write it as the console does: letters, digits and '-', such as `web-1`";
            cx.report(Code::BadName, self.instance.span, message).help(help);
        }
    }

    /// The credential that it shows, and to whom.
    pub(super) fn shown(&self) -> Shown<'_> {
        Shown { binding: &self.credential, address: self.url.as_ref(), is_read: false }
    }

    /// The texts that are templates.
    pub(super) fn templates(&self) -> Vec<(&str, Span)> {
        vec![(self.instance.as_str(), self.instance.span)]
    }

    /// Where the service is.
    pub(super) fn address(&self) -> Result<Url, Found> {
        let address = match &self.url {
            Some(url) => url.value.clone(),
            None => endpoint(&self.region),
        };
        let bad = |error| {
            Found::blind(format!("`{address}` is no address: {error}"), Fault::Configuration)
        };
        Url::parse(&address).map_err(bad)
    }
}

/// Whether a text can't be the name of an instance, as the service's model has it.
fn instance_problem(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let good = |c: char| word(c) || c == '-';
    let ends = name.starts_with(word) && name.ends_with(word);
    !(ends && name.chars().count() >= 2 && name.chars().all(good))
}

impl Round<'_> {
    /// Looks at an instance.
    pub(super) async fn instance(
        &self,
        check: &Check,
        probe: &LightsailProbe,
    ) -> Result<Found, Failure> {
        let instance = self.given.render("instance", &probe.instance)?;
        let caller = match self.caller(&probe.credential) {
            Ok(caller) => caller,
            Err(found) => return Ok(found),
        };
        let client = match self.lightsail(probe, &caller) {
            Ok(client) => client,
            Err(found) => return Ok(found),
        };
        let looked = Box::pin(look(&client, &instance, &check.wanted())).await;
        Ok(looked.unwrap_or_else(|trouble| self.troubled(&caller, trouble)))
    }

    /// Who asks for an instance.
    pub(super) fn lightsail<'c>(
        &'c self,
        probe: &'c LightsailProbe,
        caller: &'c Caller<'c>,
    ) -> Result<Client<'c>, Found> {
        Ok(Client {
            caller,
            clients: &self.network.clients,
            clock: self.attempt.clock.as_ref(),
            region: &probe.region,
            url: probe.address()?,
        })
    }

    /// What is found where the service did not answer with what it was asked for.
    pub(super) fn troubled(&self, caller: &Caller<'_>, trouble: Trouble) -> Found {
        match trouble {
            Trouble::Refused(refused) => {
                let cause =
                    Cause { class: FailureClass::Unauthorized, ..Cause::of(Fault::Refused) };
                let words = refused.words.clone();
                self.is_dead(caller.binding, refused);
                Found::Unknown(words, cause)
            }
            // That there is none is an answer, and the only one that is a verdict.
            Trouble::Said { fault: Fault::NotFound, words, .. } => {
                Found::down(words, Fault::NotFound)
            }
            Trouble::Said { fault, class, words, .. } => {
                Found::Unknown(words, Cause { class, ..Cause::of(fault) })
            }
            // The service is not the instance: who can't reach it knows nothing.
            Trouble::Lost(words, fault) => Found::blind(words, fault),
        }
    }
}

async fn look(client: &Client<'_>, instance: &str, wanted: &[&str]) -> Result<Found, Trouble> {
    let state = client.state(instance).await?;
    let runs = state == "running";
    let mut reading = Reading::default().with("state", Measured::Text(state));
    // Of what does not run, there are no figures; and each one costs a call.
    let names: BTreeSet<&str> = wanted.iter().copied().filter(|_| runs).collect();
    for metric in METRICS.iter().filter(|metric| names.contains(metric.name)) {
        if let Some(value) = client.newest(instance, metric).await? {
            reading = reading.with(metric.name, measured(metric, value));
        }
    }
    Ok(Found::values(reading))
}

fn measured(metric: &Metric, value: f64) -> Measured {
    match metric.unit {
        "Percent" => Measured::Number(value / 100.0, Unit::Share),
        "Bytes" => Measured::Number(value, Unit::Bytes),
        "Seconds" => Measured::Number(value, Unit::Time),
        _ => Measured::Number(value, Unit::Plain),
    }
}

/// The fault that a value tells which is not as expected.
pub(super) fn fault_of(value: &str) -> Fault {
    match value {
        "state" => Fault::UnitInactive,
        "CPUUtilization" | "BurstCapacityPercentage" | "BurstCapacityTime" => Fault::LoadHigh,
        name if name.starts_with("StatusCheckFailed") => Fault::UnitFailed,
        _ => Fault::Threshold,
    }
}

#[cfg(test)]
#[path = "lightsail/tests.rs"]
mod tests;
