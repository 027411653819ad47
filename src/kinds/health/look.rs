//! From a check to what its probe is given: texts filled in, paths resolved, credentials found.
//!
//! Owns the one place where each probe is called. Refuses to judge what comes back.

use super::age::FreshnessProbe;
use super::dns::DnsProbe;
use super::log::{LogProbe, LogSource, Sieve, Where};
use super::probe::Found;
use super::processes::{ProcessProbe, Whom};
use super::recall::Recall;
use super::sql::{Database, SqlProbe};
use super::tls::TlsProbe;
use super::{
    Check, Probe, Round, age, cpu, credential, disk, dns, file_age, http, load, log, memory,
    processes, signed, sql, tcp, tls,
};
use crate::credentials::keeper::Use;
use crate::kinds::command::PatternText;
use crate::kinds::process::Pattern;
use crate::kinds::sync::one_value;
use crate::kinds::wire::Caller;
use crate::kinds::{freshness, grant};
use crate::model::{Failure, FailureClass, Subject};
use crate::yaml::Located;

impl Round<'_> {
    pub(super) async fn try_look(&self, check: &Check) -> Result<Found, Failure> {
        let clock = self.attempt.clock.as_ref();
        let wanted = check.wanted();
        Ok(match &check.probe {
            Probe::Disk(probe) => disk::read(self.path(&probe.path)?).await,
            Probe::Memory(_) => memory::read(),
            Probe::Load(_) => load::read(),
            Probe::FileAge(probe) => {
                let path = self.path(&probe.path)?.into();
                file_age::read(path, wanted.contains(&"exists"), clock.now()).await
            }
            Probe::Http(probe) => {
                let request = self.request(probe)?;
                let ask = http::Ask {
                    request: &request,
                    wanted: &wanted,
                    clients: &self.network.clients,
                    output: &self.attempt.output,
                    clock,
                };
                match &probe.credential {
                    None => http::read(&ask).await,
                    Some(name) => self.signed(&ask, name).await,
                }
            }
            Probe::Tcp(probe) => {
                tcp::read(&self.given.render("address", &probe.address)?, clock).await
            }
            Probe::Dns(probe) => self.names(probe, wanted.contains(&"count")).await?,
            Probe::Tls(probe) => self.certificate(probe, wanted.contains(&"valid")).await?,
            Probe::Cpu(_) => cpu::read(&self.itself(check), self.kept, clock).await,
            Probe::Process(probe) => {
                let means = processes::Means {
                    check: &self.itself(check),
                    kept: self.kept,
                    wants_cpu: wanted.contains(&"cpu"),
                    clock,
                };
                processes::read(self.whom(probe)?, means).await
            }
            Probe::Credential(probe) => {
                let standing = grant::standing(self.access, &probe.0.value);
                credential::read(standing.as_ref(), clock.now())
            }
            Probe::Systemd(probe) => self.unit(check, probe).await?,
            Probe::Lightsail(probe) => self.instance(check, probe).await?,
            Probe::Log(probe) => log::read(self.log(check, probe)?).await,
            Probe::Sql(probe) => self.sql(probe).await?,
            Probe::Freshness(probe) => match probe.of_data() {
                Some(data) => {
                    let newest = freshness::look(&data, self.attempt, self.around).await;
                    age::of_data(newest, clock.now())
                }
                None => self.of_job(probe),
            },
            Probe::Command(_) | Probe::Ssh(_) => unreachable!("plugins are run, not looked at"),
        })
    }

    /// A request that shows a credential, by the job's name for it.
    async fn signed(&self, ask: &http::Ask<'_>, name: &str) -> Found {
        let caller = match self.caller(name) {
            Ok(caller) => caller,
            Err(found) => return found,
        };
        let (found, refused) = signed::read(ask, &caller).await;
        if let Some(refused) = refused {
            self.is_dead(caller.binding, refused);
        }
        found
    }

    /// Who asks with a credential, by the job's name for it.
    pub(super) fn caller(&self, name: &str) -> Result<Caller<'_>, Found> {
        let bindings = &self.attempt.setting.bindings;
        let binding = bindings.iter().find(|binding| *binding.name == *name);
        let (Some(binding), Some(keeper)) = (binding, self.access.keeper()) else {
            return Err(Found::unknown(format!("nobody here holds the credential `{name}`")));
        };
        let whom = Use { job: self.attempt.job.clone(), run: self.attempt.run };
        Ok(Caller { keeper, binding, whom })
    }

    pub(super) fn path(&self, path: &str) -> Result<String, Failure> {
        let path = self.given.render("path", path)?;
        let path = self.attempt.setting.working_dir.join(path);
        Ok(path.to_string_lossy().into_owned())
    }

    fn request(&self, probe: &http::HttpProbe) -> Result<http::Request, Failure> {
        let headers = probe.headers.0.iter().map(|(name, value)| {
            let value = self.given.render(&format!("headers.{}", name.value), &value.value.0)?;
            Ok((name.value.clone(), value))
        });
        let body = probe.body.as_ref().map(|body| self.given.render("body", body));
        Ok(http::Request {
            url: self.given.render("url", &probe.url)?,
            method: probe.method,
            headers: headers.collect::<Result<_, Failure>>()?,
            body: body.transpose()?,
        })
    }

    async fn names(&self, probe: &DnsProbe, may_lack: bool) -> Result<Found, Failure> {
        let question = dns::Question {
            name: self.given.render("name", &probe.name)?,
            kind: probe.r#type,
            server: self.rendered("server", probe.server.as_ref())?,
        };
        Ok(dns::read(&question, may_lack, self.attempt.clock.as_ref()).await)
    }

    async fn certificate(&self, probe: &TlsProbe, has_opinion: bool) -> Result<Found, Failure> {
        let authorities = probe.ca.as_ref().map(|path| self.path(path)).transpose()?;
        let peer = tls::Peer {
            address: self.given.render("address", &probe.address)?,
            name: self.rendered("server_name", probe.server_name.as_ref())?,
            authorities: authorities.map(Into::into),
        };
        Ok(tls::read(&peer, has_opinion, self.attempt.clock.as_ref()).await)
    }

    /// The processes that are meant.
    fn whom(&self, probe: &ProcessProbe) -> Result<Whom, Failure> {
        Ok(match probe {
            ProcessProbe::Name(name) => Whom::Name(name.value.clone()),
            ProcessProbe::Pidfile(path) => Whom::Pidfile(self.path(path)?.into()),
            ProcessProbe::Pattern(pattern) => {
                let read = Pattern::parse(&pattern.0);
                Whom::Pattern(read.map_err(|why| Failure::new(FailureClass::Permanent, why))?)
            }
        })
    }

    fn of_job(&self, probe: &FreshnessProbe) -> Found {
        match probe {
            FreshnessProbe::Job(job) => {
                age::of_job(&job.0.value, &self.attempt.facts, self.attempt.clock.now())
            }
            _ => Found::unknown("it is no job"),
        }
    }

    /// A look at a log. Its mark outlives the daemon, so it has a place in the data dir.
    fn log(&self, check: &Check, probe: &LogProbe) -> Result<log::Ask<'_>, Failure> {
        let attempt = self.attempt;
        let compiled = |texts: &[Located<PatternText>]| {
            let read = texts.iter().map(|text| Pattern::parse(&text.0));
            let read: Result<Vec<_>, String> = read.collect();
            read.map_err(|why| Failure::new(FailureClass::Permanent, why))
        };
        let place = match &probe.source {
            LogSource::File(path) => Where::File(self.path(path)?.into()),
            LogSource::Unit(unit) => Where::Unit(self.given.render("unit", unit)?, probe.scope),
        };
        Ok(log::Ask {
            place,
            sieve: Sieve {
                patterns: compiled(&probe.pattern.0)?,
                ignored: compiled(&probe.ignore.0)?,
            },
            recall: Recall::of(self.data_dir, &attempt.job, &check.name.value),
            run: (attempt.run, attempt.facts.looked),
            clock: attempt.clock.as_ref(),
        })
    }

    async fn sql(&self, probe: &SqlProbe) -> Result<Found, Failure> {
        let clock = self.attempt.clock.as_ref();
        let (start, query) = (clock.passed(), probe.query.value.clone());
        let given = match &probe.database {
            Database::Sqlite(path) => sql::sqlite(self.path(path)?.into(), query).await,
            Database::Postgres(url) => {
                let (url, credential) = (url.clone(), probe.credential.clone());
                let question = one_value::Question { url, credential, query };
                one_value::ask(question, self.attempt, self.around, &self.given).await
            }
        };
        sql::found(given, clock.passed().saturating_sub(start), clock.now())
    }

    /// A text that may be left out.
    pub(super) fn rendered(
        &self,
        key: &str,
        text: Option<&Located<String>>,
    ) -> Result<Option<String>, Failure> {
        text.map(|text| self.given.render(key, text)).transpose()
    }

    /// The check by its name in the graph.
    pub(super) fn itself(&self, check: &Check) -> Subject {
        Subject::check(&self.attempt.job, &check.name.value)
    }
}
