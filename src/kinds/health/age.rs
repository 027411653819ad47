//! The `freshness` probe: how old the last success of a job is, or data.
//!
//! Owns the section, and the age. Refuses to look into the store: what is known of a job is told by the engine.

use std::time::Duration;

use jiff::Timestamp;

use super::measure::{Measured, Quantity, Reading};
use super::probe::{Cause, Found};
use crate::kinds::Shown;
use crate::kinds::facts::Facts;
use crate::kinds::freshness::{FreshFile, FreshHttp, FreshProbe, FreshSql};
use crate::model::{Failure, Fault, JobName};
use crate::yaml::{Code, Decode, Decoder, Located, Node, one_of};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[("age", Quantity::Time)];

one_of! {
    /// Whose age it is.
    pub enum FreshnessProbe as "data" {
        /// The last success of this job.
        job => Job(JobText),
        /// A file, by the time at which it was last written.
        file => File(FreshFile),
        /// A query of one value: a time as text, or seconds or milliseconds since 1970.
        sql => Sql(FreshSql),
        /// A field of a JSON answer, alike.
        http => Http(FreshHttp),
    }
}

/// A job's name.
#[derive(Clone, Debug, PartialEq)]
pub struct JobText(pub Located<JobName>);

impl Decode for JobText {
    const EXPECTS: &'static str = "a job's name";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = Located::<String>::decode(node, cx)?;
        match JobName::parse(&text.value) {
            Ok(name) => Some(Self(text.map(|_| name))),
            Err(error) => {
                let message = format!("`{}` is no job's name: {error}", text.value);
                cx.report(Code::BadName, text.span, message);
                None
            }
        }
    }
}

impl schemars::JsonSchema for JobText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JobText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl FreshnessProbe {
    /// The credential that it shows.
    pub(super) fn shown(&self) -> Option<Shown<'_>> {
        match self {
            Self::Http(probe) => probe.shown(),
            Self::Job(_) | Self::File(_) | Self::Sql(_) => None,
        }
    }

    /// The same as data's own freshness has it; `None` of a job.
    pub(super) fn of_data(&self) -> Option<FreshProbe> {
        Some(match self {
            Self::Job(_) => return None,
            Self::File(probe) => FreshProbe::File(probe.clone()),
            Self::Sql(probe) => FreshProbe::Sql(probe.clone()),
            Self::Http(probe) => FreshProbe::Http(probe.clone()),
        })
    }
}

/// The age of a job's last success.
pub(super) fn of_job(job: &JobName, facts: &Facts, now: Timestamp) -> Found {
    let Some(success) = facts.successes.get(job) else {
        let why = format!("there is no job `{job}`, or it is disabled");
        return Found::blind(why, Fault::Configuration);
    };
    let since = success.last.unwrap_or(success.known_since);
    Found::values(Reading::default().with("age", Measured::time(age(since, now))))
}

/// The age of data, or why it can't be told.
pub(super) fn of_data(newest: Result<Timestamp, Failure>, now: Timestamp) -> Found {
    match newest {
        Ok(newest) => {
            Found::values(Reading::default().with("age", Measured::time(age(newest, now))))
        }
        Err(failure) => {
            let cause = Cause { class: failure.class, ..Cause::TRANSIENT };
            Found::Unknown(format!("its age can't be told: {}", failure.message), cause)
        }
    }
}

/// What comes from the future (another clock) is new.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
