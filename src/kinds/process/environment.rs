//! The environment of a job's processes: cleared, then what is allowed, declared and told.
//!
//! Owns the allow-list and the `JADA_*` variables. Refuses to hand on anything of the daemon's that
//! nobody named: a token in the daemon's environment must not leak into every job.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::kinds::AttemptContext;
use crate::model::Cause;

/// Variables of the daemon that every process gets; `LC_*` too.
pub const ALLOWED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];

/// Names the data dir, so that a daemon knows which processes its killed predecessor left.
pub const DATA: &str = "JADA_DATA";
/// Names the run.
pub const RUN: &str = "JADA_RUN";
/// Names the attempt within the run.
pub const ATTEMPT: &str = "JADA_ATTEMPT";
/// Names the incarnation of the daemon.
pub const NODE: &str = "JADA_NODE";

/// Names the folder of the daemon's own secrets. No process of a job may have it, whoever asks.
pub const SECRETS: &str = "CREDENTIALS_DIRECTORY";

/// Where programs are looked for when the daemon itself has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The one spelling of a data dir, whatever way a daemon was told of it: processes are known by it.
#[must_use]
pub fn spelled(data_dir: &Path) -> PathBuf {
    let plain = || std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    data_dir.canonicalize().unwrap_or_else(|_| plain())
}

/// What every process gets from the daemon's own environment.
#[must_use]
pub fn inherited() -> Vec<(OsString, OsString)> {
    let mut found: Vec<_> = std::env::vars_os().filter(|(name, _)| is_allowed(name)).collect();
    if !found.iter().any(|(name, _)| name == "PATH") {
        found.push(("PATH".into(), DEFAULT_PATH.into()));
    }
    found
}

/// Whether a variable of the daemon's is handed on without being named.
#[must_use]
pub fn is_allowed(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"LC_") || ALLOWED.iter().any(|allowed| allowed.as_bytes() == name)
}

/// What a process is told of the attempt that it is part of.
#[must_use]
pub fn told(attempt: &AttemptContext, data_dir: &Path) -> Vec<(OsString, OsString)> {
    let slot = attempt.cause.slot().map(|slot| slot.to_string()).unwrap_or_default();
    let pairs = [
        ("JADA_JOB", attempt.job.to_string().into()),
        (RUN, attempt.run.to_string().into()),
        (ATTEMPT, attempt.no.to_string().into()),
        ("JADA_SLOT", slot.into()),
        ("JADA_RUN_KEY", run_key(attempt).into()),
        (NODE, attempt.node.to_string().into()),
        (DATA, data_dir.as_os_str().to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

/// A key that is the same for all attempts of a run and for no other run: what a job hands to a
/// service that must not act twice. Named by the slot rather than by the run's number, which begins
/// anew with a new store.
#[must_use]
pub fn run_key(attempt: &AttemptContext) -> String {
    match attempt.cause {
        Cause::Slot(at) => format!("{}/{at}", attempt.job),
        Cause::Manual(at) => format!("{}/manual/{at}", attempt.job),
        Cause::After(run) => format!("{}/after/{run}", attempt.job),
    }
}
