//! What a check looks at, by its name in the graph.
//!
//! Owns the way from a probe to a [`Subject`]. Refuses to look.

use reqwest::Url;

use super::age::FreshnessProbe;
use super::dns::{self, DnsProbe};
use super::lightsail::LightsailProbe;
use super::log::LogSource;
use super::report::Judged;
use super::sql::Database;
use super::ssh::SshTarget;
use super::{Check, Probe, Round, tcp};
use crate::kinds::systemd::full_name;
use crate::model::{Fault, Subject};

impl Round<'_> {
    /// What a check looked at; the check itself where that has no name, or none that can be told.
    pub(super) fn subject(&self, check: &Check, judged: &Judged) -> Subject {
        self.named(check, judged).unwrap_or_else(|| self.itself(check))
    }

    fn named(&self, check: &Check, judged: &Judged) -> Option<Subject> {
        Some(match &check.probe {
            Probe::Disk(probe) => disk(&self.path(&probe.path).ok()?),
            Probe::Memory(_) => Subject::part("memory"),
            Probe::Load(_) | Probe::Cpu(_) => Subject::part("load"),
            Probe::Http(probe) => {
                let refused = probe.credential.as_ref().filter(|_| judged.lacked_credential());
                match refused.and_then(|name| self.bound(name)) {
                    Some(credential) => credential,
                    None => site(&self.given.render("url", &probe.url).ok()?)?,
                }
            }
            Probe::Tcp(probe) => {
                let address = self.given.render("address", &probe.address).ok()?;
                Subject::site(tcp::parts(&address)?.0)
            }
            Probe::Lightsail(probe) => self.instances(probe, judged)?,
            Probe::Systemd(probe) => {
                Subject::unit(&full_name(&self.given.render("unit", &probe.unit).ok()?))
            }
            Probe::Tls(probe) => {
                let address = self.given.render("address", &probe.address).ok()?;
                Subject::site(tcp::parts(&address)?.0)
            }
            Probe::Dns(probe) => self.asked(probe, judged)?,
            Probe::Process(probe) => Subject::process(probe.named()),
            Probe::Credential(probe) => Subject::credential(&probe.0.value),
            Probe::Ssh(probe) => match &probe.target {
                SshTarget::Host(host) => Subject::site(&self.given.render("host", host).ok()?),
                SshTarget::Lightsail(probe) => self.instances(probe, judged)?,
            },
            Probe::Sql(probe) => match &probe.database {
                Database::Postgres(url) => site(&self.given.render("postgres", url).ok()?)?,
                Database::Sqlite(_) => return None,
            },
            Probe::Freshness(FreshnessProbe::Job(job)) => Subject::data(&job.0.value),
            Probe::Log(probe) => match &probe.source {
                LogSource::Unit(unit) => {
                    let unit = self.given.render("unit", unit).ok()?;
                    Subject::unit(&full_name(&unit))
                }
                LogSource::File(_) => return None,
            },
            Probe::FileAge(_) | Probe::Command(_) | Probe::Freshness(_) => return None,
        })
    }

    /// A name that is not there is what is wrong; where nobody answers, it is who was asked.
    fn asked(&self, probe: &DnsProbe, judged: &Judged) -> Option<Subject> {
        if matches!(judged.fault, Some(Fault::NoSuchName | Fault::Threshold)) {
            return Some(Subject::site(&self.given.render("name", &probe.name).ok()?));
        }
        match &probe.server {
            None => Some(Subject::dns()),
            Some(server) => {
                let server = self.given.render("server", server).ok()?;
                Some(Subject::site(&dns::host(&server)?.to_string()))
            }
        }
    }

    /// An instance, or the credential without which it can't be seen.
    fn instances(&self, probe: &LightsailProbe, judged: &Judged) -> Option<Subject> {
        if judged.lacked_credential() {
            return self.bound(&probe.credential.value);
        }
        Some(Subject::site(&self.given.render("instance", &probe.instance).ok()?))
    }

    /// The credential that the job calls so.
    fn bound(&self, name: &str) -> Option<Subject> {
        let bindings = &self.attempt.setting.bindings;
        let binding = bindings.iter().find(|binding| *binding.name == *name)?;
        Some(Subject::credential(&binding.credential))
    }
}

/// The root's file system is the host's disk; every other one is a disk of its own.
fn disk(path: &str) -> Subject {
    match path.trim_matches('/') {
        "" => Subject::part("disk"),
        path => Subject::part(&format!("disk/{path}")),
    }
}

fn site(url: &str) -> Option<Subject> {
    Some(Subject::site(Url::parse(url).ok()?.host_str()?))
}
