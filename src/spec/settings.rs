//! The daemon's own settings: `jada.yaml`.
//!
//! Owns the settings as data, and what holds where nothing is said. Refuses to know how they are read
//! (`config`), and who uses them and how.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::config::DefaultsSection;
use super::hash::Hash;
use super::heartbeat::Heartbeat;
use crate::alerts::settings::Alerts;
use crate::credentials::declare::Declaration;
use crate::model::CredentialName;

/// The settings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The folder that holds `jada.yaml`: every relative path in the YAML starts here.
    pub root: PathBuf,
    /// Where the job files are, `root` before it.
    pub jobs_dir: PathBuf,
    /// Where the store, the output and the socket are, `root` before it.
    pub data_dir: PathBuf,
    /// The address of the read-only page; always a loopback one.
    pub listen: SocketAddr,
    /// The declared credentials.
    pub credentials: Arc<BTreeMap<CredentialName, Arc<Declaration>>>,
    /// Names whose declaration was refused.
    pub(super) refused_credentials: Vec<CredentialName>,
    /// Names of the declared notifiers.
    pub notifiers: Vec<String>,
    /// Whom people are told by, and when.
    pub alerts: Arc<Alerts>,
    /// What holds for jobs that lack a key.
    pub(super) defaults: Defaults,
    /// Whom the daemon tells that it is alive.
    pub heartbeat: Option<Heartbeat>,
    /// Limits of the whole daemon.
    pub limits: Limits,
    /// What history is kept.
    pub retention: Retention,
    /// Who this node is.
    pub node: Node,
}

/// Limits of the whole daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts that run at one time.
    pub running: u32,
    /// Seats of each pool.
    pub pools: BTreeMap<String, u32>,
    /// Jobs due in one minute beyond which `validate` warns.
    pub jobs_per_minute: u32,
}

/// What history is kept. What any of them no longer covers goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Oldest finished run.
    pub age: Duration,
    /// Most finished runs of one job.
    pub per_job: u64,
    /// Most output of all runs together, in bytes.
    pub bytes: u64,
    /// Oldest observation of a check.
    pub observations: Duration,
}

/// Who this node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name; the host's where none is given.
    pub name: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What holds for jobs that lack a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Defaults {
    /// The keys.
    pub section: DefaultsSection,
    /// Hash of their normal form.
    pub hash: u64,
}

impl Defaults {
    fn none() -> Self {
        Self { section: DefaultsSection::none(), hash: 0 }
    }

    /// The zone of schedules that name none.
    pub(super) fn zone(&self) -> TimeZone {
        self.section.timezone.as_ref().map_or(TimeZone::UTC, |zone| zone.0.clone())
    }
}

impl Settings {
    /// What holds where no `jada.yaml` is: everything below `root`.
    #[must_use]
    pub fn defaults(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            jobs_dir: root.join("jobs.d"),
            data_dir: root.join("var"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7411)),
            credentials: Arc::default(),
            refused_credentials: Vec::new(),
            notifiers: Vec::new(),
            alerts: Arc::default(),
            defaults: Defaults::none(),
            heartbeat: None,
            limits: Limits::default(),
            retention: Retention::default(),
            node: Node::default(),
        }
    }

    /// The folder around the jobs folder: where programs start, and relative paths in jobs too.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        let around = self.jobs_dir.parent().unwrap_or(&self.root);
        let around = if around.as_os_str().is_empty() { Path::new(".") } else { around };
        std::path::absolute(around).unwrap_or_else(|_| around.to_path_buf())
    }

    /// Hash of what a job file is read under besides its own text: with another one, it is read again.
    pub(super) fn basis(&self) -> u64 {
        let mut hash = Hash::new();
        hash.number(self.defaults.hash);
        hash.bytes(self.base().as_os_str().as_encoded_bytes());
        hash.number(self.credentials.len() as u64);
        for (name, declaration) in self.credentials.iter() {
            hash.text(name.as_str());
            hash.number(declaration.revision);
        }
        hash.number(self.notifiers.len() as u64);
        self.notifiers.iter().for_each(|name| hash.text(name));
        self.limits.pools.keys().for_each(|pool| hash.text(pool));
        hash.finish()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 64, pools: BTreeMap::new(), jobs_per_minute: 50 }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_hours(90 * 24),
            per_job: 10_000,
            bytes: 1024 * 1024 * 1024,
            observations: Duration::from_hours(48),
        }
    }
}
