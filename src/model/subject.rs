//! What something is said about: the nodes of the evidence graph, each with a stable name.
//!
//! Owns the names and their order from the ground up. Refuses to know what depends on what
//! (`diagnosis::graph`).

use std::fmt;
use std::sync::Arc;

use super::{CredentialName, JobName};

/// A host, a service, a credential, a job …: `host/disk`, `site/example.com`, `credential/google/ops`,
/// `job/port-sheet-sync`. Stable over restarts and edits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

/// What kind of thing a subject is, from the ground up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// This host, or a part of it: `host`, `host/disk`, `host/memory`, `host/load`, `host/clock`.
    Host,
    /// The way out: `network`.
    Network,
    /// Names: `dns`.
    Dns,
    /// A unit of systemd, or a process: `unit/jada-agent.service`, `process/nginx`.
    Unit,
    /// The daemon itself: `daemon`.
    Daemon,
    /// A service somewhere else, by its host's name: `site/sheets.googleapis.com`.
    Site,
    /// An OAuth client: `client/ID`.
    Client,
    /// A credential: `credential/NAME`.
    Credential,
    /// A job file: `file/PATH`.
    File,
    /// A job: `job/NAME`.
    Job,
    /// What a job leaves behind: `data/JOB`.
    Data,
    /// A check of a health job that looks at nothing else that has a name: `check/JOB/NAME`.
    Check,
    /// A notifier: `notifier/NAME`.
    Notifier,
}

impl Subject {
    /// The subject of a name, as it was stored; `None` of a name that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        kind_of(text).map(|_| Self(text.into()))
    }

    /// This host as a whole.
    #[must_use]
    pub fn host() -> Self {
        Self("host".into())
    }

    /// A part of this host: `disk`, `memory`, `load`, `clock`.
    #[must_use]
    pub fn part(part: &str) -> Self {
        Self(format!("host/{part}").into())
    }

    /// The way out.
    #[must_use]
    pub fn network() -> Self {
        Self("network".into())
    }

    /// The look-up of names.
    #[must_use]
    pub fn dns() -> Self {
        Self("dns".into())
    }

    /// The daemon itself.
    #[must_use]
    pub fn daemon() -> Self {
        Self("daemon".into())
    }

    /// A unit of systemd.
    #[must_use]
    pub fn unit(name: &str) -> Self {
        Self(format!("unit/{name}").into())
    }

    /// A process by its name.
    #[must_use]
    pub fn process(name: &str) -> Self {
        Self(format!("process/{name}").into())
    }

    /// A service by its host's name; the letters' case does not count.
    #[must_use]
    pub fn site(host: &str) -> Self {
        Self(format!("site/{}", host.to_ascii_lowercase()).into())
    }

    /// A credential.
    #[must_use]
    pub fn credential(name: &CredentialName) -> Self {
        Self(format!("credential/{}", name.as_str()).into())
    }

    /// A job.
    #[must_use]
    pub fn job(name: &JobName) -> Self {
        Self(format!("job/{name}").into())
    }

    /// What a job leaves behind.
    #[must_use]
    pub fn data(job: &JobName) -> Self {
        Self(format!("data/{job}").into())
    }

    /// A check of a health job.
    #[must_use]
    pub fn check(job: &JobName, name: &str) -> Self {
        Self(format!("check/{job}/{name}").into())
    }

    /// A notifier.
    #[must_use]
    pub fn notifier(name: &str) -> Self {
        Self(format!("notifier/{name}").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        // Every constructor gives a known kind; a check is what claims least.
        kind_of(&self.0).unwrap_or(SubjectKind::Check)
    }

    /// What follows the kind: `example.com` of `site/example.com`; empty where nothing does.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, rest)| rest)
    }

    /// The job that it is, belongs to, or is made by.
    #[must_use]
    pub fn job_name(&self) -> Option<JobName> {
        let name = match self.kind() {
            SubjectKind::Job | SubjectKind::Data | SubjectKind::Check => self.rest(),
            _ => return None,
        };
        JobName::parse(name.split('/').next().unwrap_or(name)).ok()
    }
}

fn kind_of(text: &str) -> Option<SubjectKind> {
    let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
    let named = !rest.is_empty();
    Some(match kind {
        "host" => SubjectKind::Host,
        "network" => SubjectKind::Network,
        "dns" => SubjectKind::Dns,
        "daemon" => SubjectKind::Daemon,
        "unit" | "process" if named => SubjectKind::Unit,
        "site" if named => SubjectKind::Site,
        "client" if named => SubjectKind::Client,
        "credential" if named => SubjectKind::Credential,
        "file" if named => SubjectKind::File,
        "job" if named => SubjectKind::Job,
        "data" if named => SubjectKind::Data,
        "check" if named => SubjectKind::Check,
        "notifier" if named => SubjectKind::Notifier,
        _ => return None,
    })
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        let job = JobName::parse("box-health").unwrap();
        let cases: &[(Subject, &str, SubjectKind, Option<&str>)] = &[
            (Subject::host(), "host", SubjectKind::Host, None),
            (Subject::part("disk"), "host/disk", SubjectKind::Host, None),
            (Subject::site("Example.COM"), "site/example.com", SubjectKind::Site, None),
            (Subject::job(&job), "job/box-health", SubjectKind::Job, Some("box-health")),
            (
                Subject::check(&job, "a"),
                "check/box-health/a",
                SubjectKind::Check,
                Some("box-health"),
            ),
        ];
        for (subject, text, kind, job) in cases {
            assert_eq!((subject.as_str(), subject.kind()), (*text, *kind));
            assert_eq!(Subject::parse(text).as_ref(), Some(subject));
            assert_eq!(subject.job_name().as_ref().map(JobName::as_str), *job);
        }
        for text in ["", "job/", "mood/bad", "site"] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }
}
