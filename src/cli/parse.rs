//! Words of the command line that name things.

use crate::model::RunId;

/// A job, or one of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A number is a run.
    Run(RunId),
    /// Everything else is a job; the daemon knows whether there is one.
    Job(String),
}

/// Reads a run's number.
pub(super) fn run(text: &str) -> Result<RunId, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(RunId).ok_or_else(|| format!("'{text}' is no run number: jadactl runs lists them"))
}

/// Reads a run's number or a job's name.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    match run(text) {
        Ok(run) => Ok(Subject::Run(run)),
        Err(_) if text.is_empty() => Err("a job's name or a run's number is needed".into()),
        Err(_) => Ok(Subject::Job(text.into())),
    }
}
