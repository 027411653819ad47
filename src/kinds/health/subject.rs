//! What a check looks at, by its name in the graph.
//!
//! Owns the way from a probe to a [`Subject`]. Refuses to look.

use reqwest::Url;

use super::report::Judged;
use super::{Check, Probe, Round, tcp};
use crate::kinds::systemd::full_name;
use crate::model::Subject;

impl Round<'_> {
    /// What a check looked at; the check itself where that has no name, or none that can be told.
    pub(super) fn subject(&self, check: &Check, judged: &Judged) -> Subject {
        let itself = || Subject::check(&self.attempt.job, &check.name.value);
        self.named(check, judged).unwrap_or_else(itself)
    }

    fn named(&self, check: &Check, judged: &Judged) -> Option<Subject> {
        Some(match &check.probe {
            Probe::Disk(probe) => disk(&self.path(&probe.path).ok()?),
            Probe::Memory(_) => Subject::part("memory"),
            Probe::Load(_) => Subject::part("load"),
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
            Probe::Lightsail(probe) if judged.lacked_credential() => {
                self.bound(&probe.credential.value)?
            }
            Probe::Lightsail(probe) => {
                Subject::site(&self.given.render("instance", &probe.instance).ok()?)
            }
            Probe::Systemd(probe) => {
                Subject::unit(&full_name(&self.given.render("unit", &probe.unit).ok()?))
            }
            Probe::Credential(probe) => Subject::credential(&probe.0.value),
            Probe::FileAge(_) | Probe::Command(_) => return None,
        })
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
