//! The `dns` probe: what a name server answers, and how fast.
//!
//! Owns the question, whom it is put to, and what an answer means. Refuses to trust an answer: it must fit the
//! question, and what can't be read is no answer. The way there and back is `dns::ask`.

mod ask;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, QTYPE, RCODE, TYPE};

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use crate::clock::Clock;
use crate::kinds::{Touch, template};
use crate::model::Fault;
use crate::yaml::{Located, section, words};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("answers", Quantity::Text),
    ("count", Quantity::Number),
    ("latency", Quantity::Time),
    ("ttl", Quantity::Time),
];

/// Where a host says which name servers it asks.
const RESOLVER: &str = "/etc/resolv.conf";

/// The port of name servers.
const PORT: u16 = 53;

/// Most name servers of the host that are asked, as the system's resolver has it.
const SERVERS: usize = 3;

section! {
    /// A question to a name server.
    pub struct DnsProbe {
        /// The name, such as `example.com`; of type PTR an address may stand for its name. A template.
        pub name: Located<String>,
        /// What is asked for.
        pub r#type: RecordType = RecordType::A,
        /// The name server, as `192.0.2.53` or `192.0.2.53:5353`; by default those of /etc/resolv.conf, one
        /// after the other. A template.
        pub server: Option<Located<String>>,
    }
}

words! {
    /// What is asked for.
    pub enum RecordType {
        /// IPv4 addresses.
        A = "A",
        /// IPv6 addresses.
        Aaaa = "AAAA",
        /// Who may give out certificates for it.
        Caa = "CAA",
        /// The name that it stands for.
        Cname = "CNAME",
        /// Who takes its mail.
        Mx = "MX",
        /// Its name servers.
        Ns = "NS",
        /// The name of an address.
        Ptr = "PTR",
        /// The head of its zone.
        Soa = "SOA",
        /// Where a service is.
        Srv = "SRV",
        /// Texts.
        Txt = "TXT",
    }
}

impl RecordType {
    fn code(self) -> TYPE {
        match self {
            Self::A => TYPE::A,
            Self::Aaaa => TYPE::AAAA,
            Self::Caa => TYPE::CAA,
            Self::Cname => TYPE::CNAME,
            Self::Mx => TYPE::MX,
            Self::Ns => TYPE::NS,
            Self::Ptr => TYPE::PTR,
            Self::Soa => TYPE::SOA,
            Self::Srv => TYPE::SRV,
            Self::Txt => TYPE::TXT,
        }
    }
}

/// A question, everything filled in.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The name.
    pub(super) name: String,
    /// What is asked for.
    pub(super) kind: RecordType,
    /// The name server, where one is named.
    pub(super) server: Option<String>,
}

/// What is wrong with a name, with the way out.
pub(super) fn name_problem(name: &str) -> Option<(String, &'static str)> {
    let help = "write it like `example.com`";
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | ':' | '@');
    if name.is_empty() || !name.chars().all(plain) {
        return Some((format!("`{name}` is no name"), help));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) || name.len() > 253 {
        return Some((format!("`{name}` has an empty part, or is too long"), help));
    }
    None
}

/// What is wrong with the name of a question of type PTR, which may be an address.
pub(super) fn pointer_problem(name: &str) -> Option<(String, &'static str)> {
    name_problem(name).filter(|_| name.parse::<IpAddr>().is_err())
}

/// What is wrong with a name server's address, with the way out.
pub(super) fn server_problem(server: &str) -> Option<(String, &'static str)> {
    let help = "write its address like `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:53`";
    address(server).is_none().then(|| (format!("`{server}` is no address of a name server"), help))
}

fn address(server: &str) -> Option<SocketAddr> {
    let bare = |ip: IpAddr| SocketAddr::new(ip, PORT);
    server.parse().ok().or_else(|| server.parse().ok().map(bare))
}

impl DnsProbe {
    /// Whom it asks for what, unless a template decides.
    pub(super) fn touch(&self) -> Option<Touch> {
        let written = |text: &String| (!template::is_template(text)).then(|| text.clone());
        let server = match &self.server {
            Some(server) => Some(host(&written(server)?)?.to_string()),
            None => None,
        };
        Some(Touch::Asks { name: written(&self.name)?.to_ascii_lowercase(), server })
    }
}

/// The host of a name server's address.
pub(super) fn host(server: &str) -> Option<IpAddr> {
    address(server).map(|address| address.ip())
}

/// The name of an address, in the zone of addresses.
fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let octets = ip.octets().into_iter().rev();
            let nibbles = octets.map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            format!("{}ip6.arpa", nibbles.collect::<String>())
        }
    }
}

/// Asks, and measures the answer. `may_lack` says that the check has an opinion on how many answers there are.
pub(super) async fn read(question: &Question, may_lack: bool, clock: &dyn Clock) -> Found {
    let name = match (question.kind, question.name.parse()) {
        (RecordType::Ptr, Ok(ip)) => reverse(ip),
        _ => question.name.trim_end_matches('.').to_owned(),
    };
    if let Some((message, help)) = name_problem(&name) {
        return Found::blind(format!("{message}; {help}"), Fault::Configuration);
    }
    let servers = match &question.server {
        Some(server) => match address(server) {
            Some(address) => vec![address],
            None => {
                let (message, help) = server_problem(server).expect("it is no address");
                return Found::blind(format!("{message}; {help}"), Fault::Configuration);
            }
        },
        None => match std::fs::read_to_string(RESOLVER) {
            Ok(text) => of_host(&text),
            Err(error) => return Found::unknown(format!("can't read {RESOLVER}: {error}")),
        },
    };
    let start = clock.passed();
    match ask::all(&servers, (&name, question.kind.code()), clock).await {
        Err(silence) => Found::down(silence.words, silence.fault),
        Ok(answer) => {
            let latency = Measured::time(clock.passed().saturating_sub(start));
            let asked = Asked { name: &name, kind: question.kind, may_lack };
            asked.measure(&answer, latency)
        }
    }
}

/// The name servers that a host asks; without any, the host itself.
fn of_host(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    // An address of a link names it behind a `%`, which is no part of an address here.
    let servers = lines.filter_map(|rest| address(rest.trim().split('%').next()?));
    let mut servers: Vec<_> = servers.take(SERVERS).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    }
    servers
}

/// What was asked.
struct Asked<'a> {
    name: &'a str,
    kind: RecordType,
    may_lack: bool,
}

impl Asked<'_> {
    fn measure(&self, answer: &ask::Answer, latency: Measured) -> Found {
        let Ok(packet) = Packet::parse(&answer.bytes) else {
            let why = format!("the answer of {} can't be read", answer.server);
            return Found::down(why, Fault::BadAnswer);
        };
        let (name, kind) = (self.name, self.kind.word());
        let other =
            |asked: &simple_dns::Question<'_>| !asked.qname.to_string().eq_ignore_ascii_case(name);
        if packet.questions.first().is_some_and(other) {
            let why = format!("{} answered another question than that for {name}", answer.server);
            return Found::down(why, Fault::BadAnswer);
        }
        match packet.rcode() {
            RCODE::NoError => {}
            RCODE::NameError if self.may_lack => {}
            RCODE::NameError => {
                return Found::down(format!("there is no name {name}"), Fault::NoSuchName);
            }
            code => {
                let why = format!("{} answered {code:?} for {name}", answer.server);
                return Found::down(why, Fault::NameServer);
            }
        }
        let wanted = QTYPE::TYPE(self.kind.code());
        let records: Vec<_> =
            packet.answers.iter().filter(|record| record.match_qtype(wanted)).collect();
        if records.is_empty() && !self.may_lack {
            return Found::down(format!("{name} has no {kind} record"), Fault::NoSuchName);
        }
        let mut texts: Vec<String> = records.iter().map(|record| shown(&record.rdata)).collect();
        texts.sort();
        let ttl = match records.iter().map(|record| record.ttl).min() {
            Some(seconds) => Measured::Number(seconds.into(), Unit::Time),
            None => Measured::Missing(format!("{name} has no {kind} record")),
        };
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let reading = Reading::default()
            .with("answers", Measured::Text(texts.join(", ")))
            .with("count", Measured::Number(count.into(), Unit::Plain))
            .with("latency", latency)
            .with("ttl", ttl);
        Found::values(reading)
    }
}

/// A record's content, as zone files have it.
fn shown(data: &RData<'_>) -> String {
    let lower = |name: &Name<'_>| name.to_string().to_ascii_lowercase();
    match data {
        RData::A(a) => Ipv4Addr::from(a.address).to_string(),
        RData::AAAA(a) => Ipv6Addr::from(a.address).to_string(),
        RData::CNAME(name) => lower(name),
        RData::NS(name) => lower(name),
        RData::PTR(name) => lower(name),
        RData::MX(mx) => format!("{} {}", mx.preference, lower(&mx.exchange)),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, lower(&srv.target))
        }
        RData::SOA(soa) => format!("{} {} {}", lower(&soa.mname), lower(&soa.rname), soa.serial),
        RData::CAA(caa) => {
            format!("{} {} {}", caa.flag, caa.tag, String::from_utf8_lossy(&caa.value))
        }
        RData::TXT(txt) => {
            let parts = txt.iter_raw().map(|(key, value)| {
                let value = value.map(|value| format!("={}", String::from_utf8_lossy(value)));
                format!("{}{}", String::from_utf8_lossy(key), value.unwrap_or_default())
            });
            parts.collect()
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
