//! Words of the command line that name things.

use crate::model::RunId;
use crate::yaml::Code;

/// A finding's code, a job, or one of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Explained {
    /// A capital J and three digits, which no job's name can be.
    Code(Code),
    /// Something that the daemon knows.
    Subject(Subject),
}

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
    number.map(RunId).ok_or_else(|| "a run is a number: jadactl runs lists them".to_owned())
}

/// Reads a finding's code, a run's number or a job's name.
pub(super) fn explained(text: &str) -> Result<Explained, String> {
    let is_code = text.len() == 4
        && text.starts_with('J')
        && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    if !is_code {
        return subject(text).map(Explained::Subject);
    }
    let code = Code::parse(text).map(Explained::Code);
    code.ok_or_else(|| "there is no such code: jadactl validate names those it finds".into())
}

/// Reads a run's number or a job's name.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    match run(text) {
        Ok(run) => Ok(Subject::Run(run)),
        Err(_) if text.is_empty() => Err("a job's name or a run's number is needed".into()),
        Err(_) => Ok(Subject::Job(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let job = |name: &str| Ok(Explained::Subject(Subject::Job(name.into())));
        assert_eq!(explained("12"), Ok(Explained::Subject(Subject::Run(RunId(12)))));
        assert_eq!(explained("J001"), Ok(Explained::Code(Code::Unreadable)));
        assert_eq!(explained("j001"), job("j001"));
        assert_eq!(explained("J0é"), job("J0é"));
        assert_eq!(explained("9lives"), job("9lives"));
        assert!(explained("J999").is_err());
        assert!(explained("").is_err());
        assert!(run("0").is_err() && run("-1").is_err());
    }
}
