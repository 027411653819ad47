//! What was seen: one look at one thing, as it is stored before anybody judges it.
//!
//! Owns the record and its verdicts. Refuses to know how one looks (`kinds::health`, `diagnosis::probes`) and
//! what follows (`plan::alert`).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fault, RunId, Subject};

/// What a look came to, the worse the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything is as expected.
    Ok,
    /// Something is not as it should be.
    Warn,
    /// Nobody knows: never ok, and never a failure.
    Unknown,
    /// Something is not as it must be.
    Fail,
}

impl Verdict {
    /// Every verdict, the worse the later.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Unknown, Self::Fail];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// The verdict of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }
}

/// One look at one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Who looked: the check, `check/JOB/NAME`. Rules count the looks of one check.
    pub check: Subject,
    /// What it looked at: `site/example.com`, `host/disk`; the check itself where that has no name.
    pub subject: Subject,
    /// When the look was over.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it came to.
    pub verdict: Verdict,
    /// What is wrong; `None` of what is ok.
    pub fault: Option<Fault>,
    /// What was seen, in one line.
    pub text: String,
    /// The run that looked.
    pub run: Option<RunId>,
}
