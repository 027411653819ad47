//! What the doctor says, as data: the documented JSON.
//!
//! Owns the record and its schema's number. Refuses to know how it is come to (`judge`) and how it is shown
//! (`text`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of the JSON's schema; it counts up when a key changes its meaning.
pub const SCHEMA: u32 = 1;

/// How sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Nothing tells it from other causes.
    Inconclusive,
    /// It fits best, and something is not proven.
    Likely,
    /// It was seen to fail, by a sure sign, explains everything it is said to, and nothing contradicts.
    Confirmed,
}

impl Confidence {
    /// The word at the end of the first line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Likely => "LIKELY",
            Self::Confirmed => "CONFIRMED",
        }
    }

    /// The confidence of a word, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Inconclusive, Self::Likely, Self::Confirmed];
        all.into_iter().find(|one| one.word().eq_ignore_ascii_case(word))
    }
}

/// What everything comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Nothing is wrong.
    Clear,
    /// Nothing fails, and something is worth a look.
    Warning,
    /// Something fails.
    Failing,
    /// It could not be found out.
    Unknown,
}

impl Overall {
    /// The exit code: those of monitoring plugins.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word that a monitoring system expects first.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Clear => "OK",
            Self::Warning => "WARNING",
            Self::Failing => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// What everything comes to.
    pub verdict: Overall,
    /// When it was looked.
    pub at: Timestamp,
    /// The root causes, the surest and widest first.
    pub roots: Vec<Root>,
    /// What is worth a look although nothing fails by it.
    pub warnings: Vec<Note>,
    /// What looks like trouble and is none: a reached budget.
    pub other: Vec<Note>,
    /// What could not be looked at, and why.
    pub blind: Vec<String>,
    /// Checks and jobs that were looked at.
    pub checks: usize,
    /// The oldest evidence that counts.
    pub oldest_evidence: Option<Timestamp>,
    /// Everything that a line cites.
    pub evidence: Vec<Item>,
}

/// A root cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// The node: `credential/google/ops`.
    pub node: String,
    /// Its fault: `auth.invalid_grant`.
    pub class: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// The node and its fault in words.
    pub title: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was so before.
    pub recurrence: Option<Recurrence>,
    /// The numbers of what proves it.
    pub evidence: Vec<String>,
    /// The proof in lines, each with its numbers.
    pub proof: Vec<Line>,
    /// The nodes that it hits.
    pub affected: Vec<String>,
    /// The same in words, such as `data/port-sheet (51 h old, limit 2 h)`.
    pub impact: Vec<String>,
    /// What it is not, each with what says so.
    pub ruled_out: Vec<RuledOut>,
    /// What it could be as well, since nobody knows how it does.
    pub perhaps: Vec<String>,
    /// What changed just before; never a cause by that alone.
    pub changed: Vec<String>,
    /// Why it is not surer.
    pub doubt: Option<String>,
    /// The command that mends it, or that finds out more.
    pub fix: String,
    /// How it does not happen again.
    pub avoid: Option<String>,
}

/// That the same was wrong before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// How often, this time included.
    pub times: usize,
    /// Days between one time and the next, oldest first.
    pub spacing_days: Vec<f64>,
    /// What mended it last time.
    pub last_fix: Option<String>,
    /// When it will be so again, if nothing changes.
    pub next: Option<Timestamp>,
}

/// A line of proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was seen.
    pub text: String,
    /// The numbers of what it cites.
    pub evidence: Vec<String>,
}

/// What it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    /// The node.
    pub node: String,
    /// The numbers of what says so.
    pub evidence: Vec<String>,
}

/// A remark about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The node.
    pub node: String,
    /// What there is to say.
    pub text: String,
    /// The numbers of what it cites.
    pub evidence: Vec<String>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number: `E7`.
    pub id: String,
    /// What it is about.
    pub node: String,
    /// What it came to.
    pub verdict: String,
    /// The fault that it shows.
    pub class: Option<String>,
    /// When it was seen last.
    pub at: Timestamp,
    /// Since when it has been so.
    pub since: Timestamp,
    /// Until when it counts.
    pub until: Timestamp,
    /// Whether the node itself was looked at.
    pub direct: bool,
    /// Who said it.
    pub source: String,
    /// How often it was seen so.
    pub count: u64,
    /// The run behind it.
    pub run: Option<i64>,
    /// What was seen.
    pub text: String,
}
