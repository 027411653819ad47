//! The form of a scenario.

use std::time::Duration;

use serde::Deserialize;

/// A fault as it is injected, and what must be said of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Its name.
    pub name: String,
    /// How long the office has lived before the doctor comes: `3h` where it is not given.
    #[serde(default = "three_hours")]
    pub length: String,
    /// Jobs besides those of the office: documents of a job file.
    #[serde(default)]
    pub jobs: String,
    /// Jobs that fail.
    #[serde(default)]
    pub fails: Vec<Fails>,
    /// Checks that are not ok.
    #[serde(default)]
    pub looks: Vec<Look>,
    /// Credentials that do not do well.
    #[serde(default)]
    pub credentials: Vec<Stands>,
    /// What the doctor's own looks see.
    #[serde(default)]
    pub seen: Vec<Seen>,
    /// What must be said.
    pub expect: Expected,
}

fn three_hours() -> String {
    "3h".to_owned()
}

/// A job that fails from a time on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fails {
    /// The job.
    pub job: String,
    /// Since when, counted back from the doctor's visit.
    pub from: String,
    /// Until when; `0m` where it is not given.
    #[serde(default)]
    pub until: Option<String>,
    /// Its failure class, or `blocked` with `by`.
    #[serde(default = "transient")]
    pub class: String,
    /// What it says.
    pub says: String,
    /// Only every other run fails.
    #[serde(default)]
    pub flaps: bool,
}

fn transient() -> String {
    "transient".to_owned()
}

/// A check that is not ok from a time on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    /// The check: `JOB/NAME`.
    pub check: String,
    /// What it looks at.
    pub subject: String,
    /// Since when; one that is always ok is never.
    #[serde(default)]
    pub from: Option<String>,
    /// Until when.
    #[serde(default)]
    pub until: Option<String>,
    /// What it comes to.
    #[serde(default = "fail")]
    pub verdict: String,
    /// The fault that the probe knows.
    #[serde(default)]
    pub fault: Option<String>,
    /// What it says.
    #[serde(default)]
    pub says: String,
    /// Only every other look is so.
    #[serde(default)]
    pub flaps: bool,
}

fn fail() -> String {
    "fail".to_owned()
}

/// How a credential stands from a time on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stands {
    /// The credential.
    pub name: String,
    /// Since when.
    pub from: String,
    /// Its state.
    pub state: String,
    /// Its class.
    #[serde(default)]
    pub class: Option<String>,
    /// The server's code.
    #[serde(default)]
    pub error: Option<String>,
    /// What was seen.
    #[serde(default)]
    pub words: String,
    /// Earlier deaths, counted back from the doctor's visit.
    #[serde(default)]
    pub deaths: Vec<String>,
}

/// Something that the doctor sees.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// The node.
    pub node: String,
    /// What it comes to.
    pub verdict: String,
    /// The fault.
    #[serde(default)]
    pub fault: Option<String>,
    /// Since when.
    #[serde(default)]
    pub from: Option<String>,
    /// What was seen.
    #[serde(default)]
    pub says: String,
}

/// What must be said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The root causes: these, and no others.
    #[serde(default)]
    pub roots: Vec<Wanted>,
    /// The roots of the open incidents: these, and no others.
    #[serde(default)]
    pub incidents: Vec<String>,
    /// Nodes that a warning is about.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Nodes that a remark is about which is no failure.
    #[serde(default)]
    pub other: Vec<String>,
}

/// A root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The node.
    pub node: String,
    /// Its fault.
    pub class: String,
    /// How sure.
    pub confidence: String,
    /// Whether less sure will do.
    #[serde(default)]
    pub at_most: bool,
    /// How the command begins.
    #[serde(default)]
    pub fix: String,
    /// Nodes that it hits, among others.
    #[serde(default)]
    pub hits: Vec<String>,
    /// A part of what keeps it from coming back.
    #[serde(default)]
    pub avoid: String,
}

/// `90s`, `40m`, `3h`, `7d`.
pub(crate) fn span(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("`{text}` is no span"));
    match unit {
        "s" => Duration::from_secs(number),
        "m" => Duration::from_mins(number),
        "h" => Duration::from_hours(number),
        "d" => Duration::from_hours(number * 24),
        _ => panic!("`{text}` is no span"),
    }
}
