//! A command on another host, from the way in to what it came to.
//!
//! Owns the order: who logs in where, the command, and that a temporary key goes with it. Refuses to know the
//! client's words (`ssh`).

use std::sync::Arc;

use super::lightsail::LightsailProbe;
use super::probe::{Cause, Found};
use super::ssh::{self, Login, SshProbe, SshTarget};
use super::{Check, Round, too_slow};
use crate::clock;
use crate::kinds::grant;
use crate::kinds::lightsail::Access;
use crate::model::{Failure, Fault};
use crate::yaml::Located;

/// The port where an instance of Lightsail listens.
const SSH: u16 = 22;

impl Round<'_> {
    /// Runs a command on another host; `None` where it was stopped before it came to anything.
    pub(super) async fn remote(&self, check: &Check, probe: &SshProbe) -> Option<Found> {
        let (clock, mut stop) = (self.attempt.clock.as_ref(), self.attempt.stop.clone());
        let getting = clock::within(clock, check.timeout, self.login(check, probe));
        let login = tokio::select! {
            biased;
            login = getting => login.unwrap_or_else(|| Err(too_slow(check))),
            _ = stop.pulled() => return None,
        };
        match login {
            Ok((login, command)) => {
                let argv = ssh::argv(&login, check.timeout, &command);
                let odd = |code, said: &str| ssh::odd(&login, clock.now(), code, said);
                self.plugin(check, Ok(argv), &odd).await
            }
            Err(found) => Some(found),
        }
    }

    /// Where a command is run, and the command.
    async fn login(&self, check: &Check, probe: &SshProbe) -> Result<(Login, String), Found> {
        let command = self.given.render("run", &probe.run).map_err(unmade)?;
        let login = match &probe.target {
            SshTarget::Host(host) => self.named_login(probe, host).map_err(unmade)?,
            SshTarget::Lightsail(instance) => {
                let port = probe.port.unwrap_or(SSH);
                let way_in = Box::pin(self.way_in(check, instance, port)).await?;
                Login {
                    host: way_in.host.clone(),
                    user: Some(way_in.user.clone()),
                    port: Some(port),
                    identity: Some(way_in.key.clone()),
                    certificate: Some(way_in.certificate.clone()),
                    known_hosts: Some(way_in.known_hosts.clone()),
                    way_in: Some(Arc::new(way_in)),
                }
            }
        };
        Ok((login, command))
    }

    fn named_login(&self, probe: &SshProbe, host: &Located<String>) -> Result<Login, Failure> {
        let host = self.given.render("host", host)?;
        if let Some((message, help)) = ssh::host_problem(&host) {
            let class = crate::model::FailureClass::Permanent;
            return Err(Failure::new(class, format!("{message}; {help}")));
        }
        let file = |path: &Option<Located<String>>| {
            let path = path.as_ref().map(|path| self.path(path)).transpose()?;
            Ok::<_, Failure>(path.map(Into::into))
        };
        Ok(Login {
            host,
            user: self.rendered("user", probe.user.as_ref())?,
            port: probe.port,
            identity: file(&probe.identity)?,
            certificate: None,
            known_hosts: file(&probe.known_hosts)?,
            way_in: None,
        })
    }

    /// A way into an instance, good for this run.
    async fn way_in(
        &self,
        check: &Check,
        probe: &LightsailProbe,
        port: u16,
    ) -> Result<Access, Found> {
        let instance = self.given.render("instance", &probe.instance).map_err(unmade)?;
        let caller = self.caller(&probe.credential)?;
        let client = self.lightsail(probe, &caller)?;
        let folder = grant::private(self.access, self.attempt, &check.name.value).await;
        let got = client.access(&instance, port, folder.map_err(unmade)?).await;
        got.map_err(|trouble| self.troubled(&caller, trouble))
    }
}

/// What could not even be tried.
fn unmade(failure: Failure) -> Found {
    let cause = Cause { class: failure.class, ..Cause::of(Fault::Configuration) };
    Found::Unknown(failure.message, cause)
}
