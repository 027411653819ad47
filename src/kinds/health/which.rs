//! Which probes there are.
//!
//! Owns [`Probe`], the closed enum, and a table of each one's values, defaults and texts. A new probe is one
//! file with its section, its measures and its `read`, and one variant here. Refuses to probe anything.

use super::measure::Quantity;
use super::probe::Nothing;
use super::spec::Expectation;
use super::syntax::{self, Raw};
use super::{
    age, cpu, credential, disk, dns, file_age, http, lightsail, load, log, memory, plugin,
    processes, sql, ssh, systemd, tcp, tls,
};
use crate::kinds::command::Run;
use crate::kinds::sync::one_value;
use crate::kinds::template;
use crate::kinds::wire;
use crate::yaml::decode::nearest;
use crate::yaml::decode::values::Entries;
use crate::yaml::{Code, Decoder, Located, Span, one_of};

one_of! {
    /// What a check looks at.
    pub enum Probe as "probe" {
        /// A file system: `used`, `free` and `inodes`, each as a share or an amount.
        disk => Disk(disk::DiskProbe),
        /// This host's memory: `used`, `available` and `swap`, each as a share or a size.
        memory => Memory(Nothing),
        /// This host's load: `1m`, `5m`, `15m`, and `per_core` (the 5-minute load by processors).
        load => Load(Nothing),
        /// A file: its `age`, its `size`, and whether it `exists`.
        file_age => FileAge(file_age::FileProbe),
        /// An HTTP request: `status`, `latency` (until the headers are there), `body`, and in `json` values
        /// of a JSON body by their path.
        http => Http(http::HttpProbe),
        /// A TCP connection: its `latency`.
        tcp => Tcp(tcp::TcpProbe),
        /// A question to a name server: its `answers` as one text, their `count`, the smallest `ttl`, and the
        /// `latency`.
        dns => Dns(dns::DnsProbe),
        /// A server's certificate: whether it is `valid`, the time that is `left` of it and the whole `days`, its
        /// `issuer`, its `subject` and the `names` that it is for, and the `latency` of the handshake.
        tls => Tls(tls::TlsProbe),
        /// This host's processors: the shares `used`, `iowait` and `steal` since the last look.
        cpu => Cpu(Nothing),
        /// A program that runs: the `count` of its processes, their `memory` and their share of all processors
        /// (`cpu`) together, and the `age` of the youngest.
        process => Process(processes::ProcessProbe),
        /// A program after the convention of monitoring plugins: exit code 0 is ok, 1 warns, 2 fails, others
        /// are unknown. Its `exit` code, its `output`, and what it reports behind `|`, by label.
        command => Command(plugin::PluginProbe),
        /// How a credential stands: fails where a person has to act, warns where its end is near. Its `state`
        /// and the time that is `left` until a known end.
        credential => Credential(credential::CredentialProbe),
        /// A unit of systemd: fails where it does not run as it should, or was started again by itself since the
        /// last look. Its states `active` and `sub`, its last `result`, its `restarts`, its `memory`, and how long
        /// (`since`) it is in its state.
        systemd => Systemd(systemd::SystemdProbe),
        /// An instance of Amazon Lightsail, seen from outside: its `state`, and by its name any metric that the
        /// service publishes, such as `CPUUtilization`, `StatusCheckFailed`, `BurstCapacityPercentage` or
        /// `NetworkIn` (the bytes of five minutes). Memory and disks are not among them.
        lightsail => Lightsail(lightsail::LightsailProbe),
        /// Lines of a log since the last look: how many there are (`lines`), how many of them count (`matches`), and
        /// the `last` one that does.
        log => Log(log::LogProbe),
        /// A query of a database: the first `value` of its first row, the same as the `age` of a time, how many
        /// `rows` there are, and the `latency`.
        sql => Sql(sql::SqlProbe),
        /// How old the last success of a job is, or data: the `age`.
        freshness => Freshness(age::FreshnessProbe),
        /// A command on another host, after the convention of monitoring plugins, through the OpenSSH client.
        ssh => Ssh(ssh::SshProbe),
    }
}

impl Probe {
    /// The key in YAML.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disk(_) => "disk",
            Self::Memory(_) => "memory",
            Self::Load(_) => "load",
            Self::FileAge(_) => "file_age",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Tls(_) => "tls",
            Self::Cpu(_) => "cpu",
            Self::Process(_) => "process",
            Self::Command(_) => "command",
            Self::Log(_) => "log",
            Self::Sql(_) => "sql",
            Self::Freshness(_) => "freshness",
            Self::Ssh(_) => "ssh",
            Self::Credential(_) => "credential",
            Self::Systemd(_) => "systemd",
            Self::Lightsail(_) => "lightsail",
        }
    }

    /// The values that it measures.
    fn measures(&self) -> &'static [(&'static str, Quantity)] {
        match self {
            Self::Disk(_) => disk::MEASURES,
            Self::Memory(_) => memory::MEASURES,
            Self::Load(_) => load::MEASURES,
            Self::FileAge(_) => file_age::MEASURES,
            Self::Http(_) => http::MEASURES,
            Self::Tcp(_) => tcp::MEASURES,
            Self::Dns(_) => dns::MEASURES,
            Self::Tls(_) => tls::MEASURES,
            Self::Cpu(_) => cpu::MEASURES,
            Self::Process(_) => processes::MEASURES,
            Self::Command(_) => plugin::MEASURES,
            Self::Log(_) => log::MEASURES,
            Self::Sql(_) => sql::MEASURES,
            Self::Freshness(_) => age::MEASURES,
            Self::Ssh(_) => ssh::MEASURES,
            Self::Credential(_) => credential::MEASURES,
            Self::Systemd(_) => systemd::MEASURES,
            Self::Lightsail(_) => lightsail::MEASURES,
        }
    }

    /// What is expected of it where nothing is said.
    pub(super) fn defaults(&self) -> Vec<Expectation> {
        match self {
            Self::Disk(_) => disk::defaults(),
            Self::Memory(_) => memory::defaults(),
            Self::Load(_) => load::defaults(),
            Self::Http(_) => http::defaults(),
            Self::Lightsail(_) => lightsail::defaults(),
            Self::Tls(_) => tls::defaults(),
            Self::Cpu(_) => cpu::defaults(),
            Self::Process(_) => processes::defaults(),
            Self::Log(_) => log::defaults(),
            Self::FileAge(_)
            | Self::Sql(_)
            | Self::Freshness(_)
            | Self::Ssh(_)
            | Self::Tcp(_)
            | Self::Dns(_)
            | Self::Command(_)
            | Self::Credential(_)
            | Self::Systemd(_) => Vec::new(),
        }
    }

    /// What should hold where nothing is said.
    pub(super) fn warnings(&self) -> Vec<Expectation> {
        match self {
            Self::Tls(_) => tls::warnings(),
            _ => Vec::new(),
        }
    }

    /// Whether each value is a question of its own, so that an opinion on one leaves the defaults of the others.
    pub(super) fn is_asked_one_by_one(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Tls(_) | Self::Process(_))
    }

    /// Reads what is expected of the values; what is wrong is reported and left out.
    pub(super) fn expectations(
        &self,
        entries: &Entries<Located<Raw>>,
        cx: &mut Decoder,
    ) -> Vec<Expectation> {
        let mut read = Vec::new();
        for (name, raw) in &entries.0 {
            match (self, name.as_str(), &raw.value) {
                (Self::Http(_), "json", Raw::Map(paths)) => {
                    read.extend(paths.iter().filter_map(|(path, raw)| {
                        let condition = syntax::condition(raw, Quantity::Json, cx)?;
                        Some(Expectation { value: format!("json.{}", path.value), condition })
                    }));
                }
                (Self::Http(_), "json", _) => {
                    let message = "expected a mapping of paths, such as { queue.depth: \"< 10\" }";
                    cx.report(Code::WrongType, raw.span, message);
                }
                _ => read.extend(self.expectation(name, raw, cx)),
            }
        }
        read
    }

    fn expectation(
        &self,
        name: &Located<String>,
        raw: &Located<Raw>,
        cx: &mut Decoder,
    ) -> Option<Expectation> {
        let measures = self.measures();
        let known = measures.iter().find(|(known, _)| *known == name.as_str());
        let quantity = match (known, self) {
            (Some((_, quantity)), _) => *quantity,
            // What a plugin reports is known when it has run.
            (None, Self::Command(_) | Self::Ssh(_)) => Quantity::Plugin,
            (None, _) => {
                let names: Vec<&str> = measures.iter().map(|(name, _)| *name).collect();
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it measures {}", names.join(", ")),
                };
                let message = format!("`{}` does not measure `{}`", self.word(), name.value);
                cx.report(Code::UnknownKey, name.span, message).help(help);
                return None;
            }
        };
        let condition = syntax::condition(raw, quantity, cx)?;
        Some(Expectation { value: name.value.clone(), condition })
    }

    /// Reports addresses that can't be any.
    pub(super) fn check_form(&self, cx: &mut Decoder) {
        type Problem = fn(&str) -> Option<(String, &'static str)>;
        let texts: Vec<(&Located<String>, Problem)> = match self {
            Self::Http(probe) => vec![(&probe.url, wire::problem)],
            Self::Tcp(probe) => vec![(&probe.address, tcp::problem)],
            Self::Tls(probe) => vec![(&probe.address, tcp::problem)],
            Self::Dns(probe) => {
                let name: Problem = match probe.r#type {
                    dns::RecordType::Ptr => dns::pointer_problem,
                    _ => dns::name_problem,
                };
                let server =
                    probe.server.iter().map(|server| (server, dns::server_problem as Problem));
                std::iter::once((&probe.name, name)).chain(server).collect()
            }
            Self::Ssh(probe) => {
                probe.check_form(cx);
                probe.host().into_iter().map(|host| (host, ssh::host_problem as Problem)).collect()
            }
            Self::Systemd(probe) => return probe.check_form(cx),
            Self::Lightsail(probe) => return probe.check_form(cx),
            Self::Sql(sql::SqlProbe { database: sql::Database::Postgres(url), .. }) => {
                vec![(url, one_value::address_problem)]
            }
            _ => return,
        };
        for (text, problem) in texts {
            if let Some((message, help)) = problem(text).filter(|_| !template::is_template(text)) {
                cx.report(Code::BadAddress, text.span, message).help(help);
            }
        }
    }

    /// The texts that are templates, each with its place.
    pub(super) fn templates(&self) -> Vec<(&str, Span)> {
        match self {
            Self::Disk(probe) => vec![(probe.path.as_str(), probe.path.span)],
            Self::FileAge(probe) => vec![(probe.path.as_str(), probe.path.span)],
            Self::Tcp(probe) => vec![(probe.address.as_str(), probe.address.span)],
            Self::Http(probe) => {
                let headers = probe.headers.0.iter();
                let headers = headers.map(|(_, value)| (value.value.0.as_str(), value.span));
                let body = probe.body.iter().map(|body| (body.as_str(), body.span));
                let url = std::iter::once((probe.url.as_str(), probe.url.span));
                url.chain(headers).chain(body).collect()
            }
            Self::Command(probe) => match &probe.run {
                Run::Exec(words) => {
                    words.iter().map(|word| (word.value.0.as_str(), word.span)).collect()
                }
                Run::Shell(text) => vec![(text.as_str(), text.span)],
            },
            Self::Lightsail(probe) => probe.templates(),
            Self::Systemd(probe) => texts([Some(&probe.unit), None, None]),
            Self::Dns(probe) => texts([Some(&probe.name), probe.server.as_ref(), None]),
            Self::Tls(probe) => {
                texts([Some(&probe.address), probe.server_name.as_ref(), probe.ca.as_ref()])
            }
            Self::Process(probe) => match probe {
                processes::ProcessProbe::Pidfile(path) => vec![(path.as_str(), path.span)],
                processes::ProcessProbe::Name(_) | processes::ProcessProbe::Pattern(_) => {
                    Vec::new()
                }
            },
            Self::Log(probe) => match &probe.source {
                log::LogSource::File(text) | log::LogSource::Unit(text) => {
                    texts([Some(text), None, None])
                }
            },
            Self::Sql(probe) => match &probe.database {
                sql::Database::Sqlite(text) | sql::Database::Postgres(text) => {
                    texts([Some(text), None, None])
                }
            },
            Self::Ssh(probe) => {
                let mut all = texts([probe.host(), Some(&probe.run), probe.user.as_ref()]);
                all.extend(probe.instance().iter().flat_map(|instance| instance.templates()));
                all.extend(texts([probe.identity.as_ref(), probe.known_hosts.as_ref(), None]));
                all
            }
            // What freshness looks at has a check of its own.
            Self::Freshness(_)
            | Self::Memory(_)
            | Self::Load(_)
            | Self::Cpu(_)
            | Self::Credential(_) => Vec::new(),
        }
    }
}

/// Texts with their places, where they are given.
fn texts(texts: [Option<&Located<String>>; 3]) -> Vec<(&str, Span)> {
    texts.into_iter().flatten().map(|text| (text.as_str(), text.span)).collect()
}
