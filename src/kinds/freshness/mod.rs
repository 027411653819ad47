//! Freshness of the data itself: what a job that ended well must leave behind.
//!
//! ```text
//!  attempt succeeded ─▶ probe (a file's time, a query, a field of an answer) ─▶ newest ─▶ old? ─▶ failed
//! ```
//!
//! Owns the section, and the judgement over an age. A program that exits with 0 over stale data is seen so,
//! whatever the cause. Refuses to know when a success itself is too old: that is the planner's.

pub(super) mod newest;
mod probes;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::command::inherited_names;
use super::given::{Given, Surroundings};
use super::grant::Grants;
use super::template::{self, Names};
use super::{AttemptContext, Shown, StopReason};
use crate::clock;
use crate::model::{Failure, FailureClass, Outcome};
use crate::plan::catch_up::words;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::{Code, Decoder, Located, Span, one_of, section};

/// Longest time that a probe may take.
const PATIENCE: Duration = Duration::from_secs(30);

section! {
    /// How old data may be, and how its age is told.
    pub struct FreshnessSection {
        /// Oldest allowed last success, and with a probe, the oldest allowed data after one.
        pub breach: Located<DurationText>,
        /// How the age of the data is told after each attempt that ended well: older, or no age at all,
        /// and the attempt has failed.
        pub probe: Option<FreshProbe>,
    }
}

one_of! {
    /// How the age of data is told.
    pub enum FreshProbe as "probe" {
        /// By the time at which a file was last written.
        file => File(FreshFile),
        /// By a query of one value: a time as text, or seconds or milliseconds since 1970.
        sql => Sql(FreshSql),
        /// By a field of a JSON answer, alike.
        http => Http(FreshHttp),
    }
}

section! {
    /// A file whose time tells the age of the data.
    pub struct FreshFile {
        /// The file; a relative path counts from the job's working directory. A template.
        pub path: Located<String>,
    }
}

section! {
    /// A query that tells the age of the data.
    pub struct FreshSql {
        /// A SQLite database file; it is only read. A template.
        pub sqlite: Located<String>,
        /// The query, of one row with one value: `select max(updated_at) from bookings`.
        pub query: Located<String>,
    }
}

section! {
    /// A JSON answer that tells the age of the data.
    pub struct FreshHttp {
        /// The address. A template.
        pub url: Located<String>,
        /// The path of the field: `data.updated_at`, or a JSON pointer.
        pub json: Located<String>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
    }
}

impl FreshHttp {
    /// The credential that it shows.
    pub(super) fn shown(&self) -> Option<Shown<'_>> {
        let binding = self.credential.as_ref()?;
        Some(Shown { binding, address: Some(&self.url), is_read: true })
    }
}

impl FreshnessSection {
    /// The credentials that its probe shows.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown<'_>> {
        self.probe.iter().filter_map(FreshProbe::shown).collect()
    }

    /// Reports what is wrong in meaning; `known` are the names that the job declares.
    pub fn check(&self, known: &Names<'_>, cx: &mut Decoder) {
        if self.breach.value.0 < Duration::from_secs(1) {
            let message = "this time is shorter than a second";
            cx.report(Code::OutOfRange, self.breach.span, message).help("write 1s or more");
        }
        let mut env = inherited_names(&[]);
        env.extend(&known.env);
        let names = Names { env, ..known.clone() };
        if let Some(probe) = &self.probe {
            probe.check(&names, cx);
        }
    }
}

impl FreshProbe {
    /// The credential that it shows.
    pub(super) fn shown(&self) -> Option<Shown<'_>> {
        match self {
            Self::Http(probe) => probe.shown(),
            Self::File(_) | Self::Sql(_) => None,
        }
    }

    /// Reports what is wrong in meaning; `names` are all that templates see.
    pub(super) fn check(&self, names: &Names<'_>, cx: &mut Decoder) {
        let probe = self;
        let (text, span): (&str, Span) = match probe {
            FreshProbe::File(probe) => (&probe.path, probe.path.span),
            FreshProbe::Sql(probe) => (&probe.sqlite, probe.sqlite.span),
            FreshProbe::Http(probe) => (&probe.url, probe.url.span),
        };
        template::report(text, span, names, cx);
        match probe {
            FreshProbe::Http(probe) if !template::is_template(text) && !is_address(text) => {
                let message = "this is no address";
                let help = "write it like `https://example.com/status`";
                cx.report(Code::BadAddress, probe.url.span, message).help(help);
            }
            FreshProbe::Sql(probe) if probe.query.trim().is_empty() => {
                let help = "write it like `select max(updated_at) from bookings`";
                cx.report(Code::OutOfRange, probe.query.span, "this asks nothing").help(help);
            }
            _ => {}
        }
    }
}

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Looks at the data of an attempt that ended well. What is fresh leaves the outcome as it is.
pub(super) async fn judge(
    section: &FreshnessSection,
    attempt: &AttemptContext,
    around: Surroundings<'_>,
    outcome: Outcome,
) -> Outcome {
    let Some(probe) = section.probe.as_ref().filter(|_| outcome.is_success()) else {
        return outcome;
    };
    let mut stop = attempt.stop.clone();
    let clock = attempt.clock.as_ref();
    let newest = tokio::select! {
        biased;
        newest = clock::within(clock, PATIENCE, look(probe, attempt, around)) => newest,
        reason = stop.pulled() => return stopped(reason),
    };
    let newest = newest.unwrap_or_else(|| {
        let message = format!("no answer within {}", words(PATIENCE));
        Err(Failure::new(FailureClass::Transient, message))
    });
    match newest {
        Ok(newest) => match too_old(newest, section.breach.value.0, attempt.clock.now()) {
            Some(words) => Outcome::Failed(Failure::new(FailureClass::Transient, words)),
            None => outcome,
        },
        Err(failure) => {
            let message = format!(
                "the age of the data can't be told, although the job ended well: {}",
                failure.message
            );
            Outcome::Failed(Failure { message, ..failure })
        }
    }
}

/// Why data of this time is too old, where it is.
fn too_old(newest: Timestamp, breach: Duration, now: Timestamp) -> Option<String> {
    // What comes from the future (another clock) is new.
    let age = Duration::try_from(now.duration_since(newest)).unwrap_or_default();
    (age > breach).then(|| {
        let newest = newest.strftime("%Y-%m-%d %H:%M:%SZ");
        format!("the data is {} old (newest: {newest}), although the job ended well", words(age))
    })
}

fn stopped(reason: StopReason) -> Outcome {
    let class = match reason {
        StopReason::TimedOut => FailureClass::TimedOut,
        StopReason::Cancelled => FailureClass::Cancelled,
        StopReason::Shutdown => FailureClass::Lost,
    };
    let message = "it was stopped before the age of the data was known";
    Outcome::Failed(Failure::new(class, message))
}

/// The time of the newest data.
pub(super) async fn look(
    probe: &FreshProbe,
    attempt: &AttemptContext,
    around: Surroundings<'_>,
) -> Result<Timestamp, Failure> {
    let grants = Grants::take(around.access, &[], attempt).await?;
    let given = Given::new(attempt, around, &grants, &[], std::iter::empty())?;
    let path = |key: &str, text: &str| {
        let text = given.render(key, text)?;
        Ok::<_, Failure>(attempt.setting.working_dir.join(text))
    };
    match probe {
        FreshProbe::File(probe) => probes::file(path("freshness.probe.file", &probe.path)?).await,
        FreshProbe::Sql(probe) => {
            let database = path("freshness.probe.sql", &probe.sqlite)?;
            probes::sqlite(database, probe.query.value.clone()).await
        }
        FreshProbe::Http(probe) => {
            let url = given.render("freshness.probe.http", &probe.url)?;
            let ask = probes::Ask { attempt, around, url };
            ask.newest(&probe.json, probe.credential.as_ref()).await
        }
    }
}

#[cfg(test)]
mod tests;
