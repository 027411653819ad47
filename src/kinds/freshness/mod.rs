//! Freshness of the data itself: what a job that ended well must leave behind.
//!
//! ```text
//!  attempt succeeded ─▶ probe (a file's time, a query, a field of an answer) ─▶ newest ─▶ old? ─▶ failed
//! ```
//!
//! Owns the section, and the judgement over an age. A program that exits with 0 over stale data is seen so,
//! whatever the cause. Refuses to know when a success itself is too old: that is the planner's.

mod deadline;
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
use crate::model::{Failure, FailureClass, Freshness, Outcome};
use crate::plan::catch_up::words;
use crate::yaml::decode::numbers::Count;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Code, Decoder, Located, Span, one_of, section};

/// Most slots that may be missed: each is looked for.
const MISSED_MOST: u32 = 1000;

/// Longest time that a probe may take.
const PATIENCE: Duration = Duration::from_secs(30);

section! {
    /// How old data may be, and how its age is told.
    pub struct FreshnessSection {
        /// Oldest allowed last success, and with a probe, the oldest allowed data after one.
        pub breach: Option<Located<DurationText>>,
        /// Beyond this age of the last success, a warning.
        pub warn: Option<Located<DurationText>>,
        /// So many slots may come and go without a success.
        pub missed: Option<Located<Count>>,
        /// A time of the day, such as `"09:00"`, by which there must have been a success since the one
        /// before.
        pub by: Option<Located<String>>,
        /// The days of `by`: `weekdays`, `weekends`, or days such as `[mon, thu]`; daily where it is not given.
        pub on: Option<OneOrMany<Located<String>>>,
        /// The zone of `by`; UTC where it is not given.
        pub timezone: Option<Located<String>>,
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

    /// The promise that it makes of the last success.
    #[must_use]
    pub fn promise(&self) -> Freshness {
        Freshness {
            breach: self.breach.map(|time| time.value.0),
            warn: self.warn.map(|time| time.value.0),
            missed: self.missed.map(|count| count.value.0),
            by: self.deadline(),
        }
    }

    fn check_times(&self, cx: &mut Decoder) {
        for time in [self.breach, self.warn].into_iter().flatten() {
            if time.value.0 < Duration::from_secs(1) {
                let message = "this time is shorter than a second";
                cx.report(Code::OutOfRange, time.span, message).help("write 1s or more");
            }
        }
        if let (Some(warn), Some(breach)) = (self.warn, self.breach)
            && warn.value.0 >= breach.value.0
        {
            let message = "nothing is only a warning here: it is not shorter than `breach`";
            let help = "make it shorter than `breach`, or remove it";
            cx.report(Code::Contradiction, warn.span, message).help(help);
        }
        if let Some(missed) = self.missed.filter(|missed| missed.value.0 > MISSED_MOST) {
            let message = format!("more than {MISSED_MOST} slots are better told as a time");
            cx.report(Code::OutOfRange, missed.span, message).help("write it like `breach: 7d`");
        }
    }

    /// Reports what is wrong in meaning; `known` are the names that the job declares.
    pub fn check(&self, known: &Names<'_>, cx: &mut Decoder) {
        self.check_times(cx);
        self.check_deadline(cx);
        let mut env = inherited_names(&[]);
        env.extend(&known.env);
        let names = Names { env, ..known.clone() };
        if let Some(probe) = &self.probe {
            probe.check(&names, cx);
            if self.breach.is_none() {
                let message = "nobody said how old the data may be";
                let help = "add `breach: 2h` beside `probe`";
                cx.report(Code::Contradiction, probe.text().1, message).help(help);
            }
        }
    }
}

impl FreshProbe {
    /// What tells where the data is.
    fn text(&self) -> (&str, Span) {
        match self {
            Self::File(probe) => (&probe.path, probe.path.span),
            Self::Sql(probe) => (&probe.sqlite, probe.sqlite.span),
            Self::Http(probe) => (&probe.url, probe.url.span),
        }
    }

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
        let (text, span) = probe.text();
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
    let asked = section.probe.as_ref().zip(section.breach).filter(|_| outcome.is_success());
    let Some((probe, breach)) = asked else { return outcome };
    let breach = breach.value.0;
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
        Ok(newest) => match too_old(newest, breach, attempt.clock.now()) {
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
