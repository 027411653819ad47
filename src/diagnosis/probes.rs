//! The cheapest safe look at what nobody knows of: names, the way out, services, the clock.
//!
//! Owns which nodes are worth a look and the looks themselves: read only, all at one time, ten seconds in all.
//! Refuses to show a credential to anybody, and to try one.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;

use super::answer::{Confidence, Diagnosis};
use super::evidence::{Board, Evidence, Source, State};
use super::graph::Graph;
use crate::clock::{Clock, within};
use crate::credentials::exchange::{Reply, Wire};
use crate::kinds::Reach;
use crate::model::{Fault, Subject, SubjectKind, Verdict};
use crate::plan::signature;

/// All looks together.
const BUDGET: Duration = Duration::from_secs(10);

/// One look.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most services that are looked at.
const SITES: usize = 8;

/// How long a look counts.
const TTL: Duration = Duration::from_mins(5);

/// Clocks that differ by more are not right.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The services that are worth a look: those that a root which is not sure hangs on, and nobody looked at. With
/// `again`, those of sure ones too.
#[must_use]
pub fn worth(answer: &Diagnosis, graph: &Graph, board: &Board, again: bool) -> Vec<Reach> {
    let unsure =
        answer.roots.iter().filter(|root| again || root.confidence < Confidence::Confirmed);
    let mut open: Vec<Subject> = unsure
        .flat_map(|root| root.affected.iter().chain([&root.node]))
        .filter_map(|name| Subject::parse(name))
        .collect();
    let mut seen: BTreeSet<Subject> = BTreeSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node.clone()) {
            open.extend(graph.parents(&node).map(|(_, parent)| parent.clone()));
        }
    }
    let sites = seen.iter().filter(|node| {
        let looked = board.fresh(node).any(|(_, one)| one.direct) && !again;
        node.kind() == SubjectKind::Site && (!looked || board.state(node) == State::Unknown)
    });
    sites.flat_map(|site| graph.ways(site).take(1)).take(SITES).cloned().collect()
}

/// Looks at these services, and by them at names, the way out and the clock.
pub async fn look(reaches: Vec<Reach>, wire: &Wire, clock: &dyn Clock) -> Vec<Evidence> {
    let looks = reaches.iter().map(|reach| one(reach, wire, clock));
    let all =
        within(clock, BUDGET, futures_util::future::join_all(looks)).await.unwrap_or_default();
    let mut found: Vec<Evidence> = all.into_iter().flatten().collect();
    found.extend(route(clock.now()));
    found
}

/// The looks at one service, from its name up, as far as they come.
async fn one(reach: &Reach, wire: &Wire, clock: &dyn Clock) -> Vec<Evidence> {
    let look = Look { reach, wire, clock };
    let mut found = Vec::new();
    if !look.name(&mut found).await || !look.tcp(&mut found).await {
        return found;
    }
    let speaks_http = reach.http;
    if speaks_http {
        found.extend(look.http().await);
    } else {
        let site = look.seen(look.site(), "tcp", Verdict::Ok);
        found.push(Evidence { text: "takes connections".to_owned(), ..site });
    }
    found
}

struct Look<'a> {
    reach: &'a Reach,
    wire: &'a Wire,
    clock: &'a dyn Clock,
}

impl Look<'_> {
    fn site(&self) -> Subject {
        Subject::site(&self.reach.host)
    }

    fn seen(&self, node: Subject, what: &str, verdict: Verdict) -> Evidence {
        let source = Source::Probe(format!("{what} {}:{}", self.reach.host, self.reach.port));
        Evidence { ttl: TTL, ..Evidence::new(node, verdict, source, self.clock.now()) }
    }

    /// Whether the name has an address.
    async fn name(&self, found: &mut Vec<Evidence>) -> bool {
        let host = self.reach.host.as_str();
        if host.parse::<std::net::IpAddr>().is_ok() || self.reach.is_here() {
            return true;
        }
        let asked = tokio::net::lookup_host((host, self.reach.port));
        let asked = within(self.clock, PATIENCE, asked).await;
        let (fault, text) = match asked.map(|answer| answer.map(|_| ())) {
            Some(Ok(())) => {
                let text = format!("{host} has an address");
                found.push(Evidence { text, ..self.seen(Subject::dns(), "name", Verdict::Ok) });
                return true;
            }
            Some(Err(error)) => (signature::fault(None, &error.to_string()), error.to_string()),
            None => (Fault::NameTimeout, format!("no answer for {host} within {PATIENCE:?}")),
        };
        // That a name is not there is an answer of the name server.
        let node = if fault == Fault::NoSuchName { self.site() } else { Subject::dns() };
        let failing = self.seen(node, "name", Verdict::Fail);
        found.push(Evidence { fault: Some(fault), text, ..failing });
        false
    }

    /// Whether somebody takes connections there.
    async fn tcp(&self, found: &mut Vec<Evidence>) -> bool {
        let host = self.reach.host.as_str();
        let connecting = TcpStream::connect((host, self.reach.port));
        let error = match within(self.clock, PATIENCE, connecting).await {
            Some(Ok(_)) => {
                let text = format!("{host} was reached");
                if !self.reach.is_here() {
                    found.push(Evidence {
                        text,
                        ..self.seen(Subject::network(), "tcp", Verdict::Ok)
                    });
                }
                return true;
            }
            Some(Err(error)) => error,
            None => io::Error::new(io::ErrorKind::TimedOut, "connection timed out"),
        };
        let failing = self.seen(self.site(), "tcp", Verdict::Fail);
        let text = error.to_string();
        let fault = Some(signature::fault(None, &text));
        found.push(Evidence { fault, text, ..failing });
        false
    }

    /// One request without a credential, for the headers alone.
    async fn http(&self) -> Vec<Evidence> {
        let scheme = if self.reach.tls { "https" } else { "http" };
        let name = &self.reach.host;
        let host = if name.contains(':') { format!("[{name}]") } else { name.clone() };
        let Ok(request) = http_head(&format!("{scheme}://{host}:{}/", self.reach.port)) else {
            return Vec::new();
        };
        let failing = |fault: Fault, text: String| {
            let one = self.seen(self.site(), scheme, Verdict::Fail);
            vec![Evidence { fault: Some(fault), text, ..one }]
        };
        let answer = match within(self.clock, PATIENCE, self.wire.send(request)).await {
            Some(Reply::Answer(answer)) => answer,
            Some(Reply::NoAnswer { words, .. }) => {
                return failing(signature::fault(None, &words), words);
            }
            None => return failing(Fault::NetTimeout, format!("no answer within {PATIENCE:?}")),
        };
        let text = format!("answered {} to a HEAD", answer.status);
        // Only that the server itself fails, or wants patience, is told by a request that shows nobody.
        let mut found = match answer.status {
            429 => failing(Fault::Throttled, text),
            500..=599 => failing(Fault::ServerError, text),
            _ => vec![Evidence { text, ..self.seen(self.site(), scheme, Verdict::Ok) }],
        };
        found.extend(answer.skew().map(|skew| self.clock(skew)));
        found
    }

    /// Whether the server's clock and ours agree.
    fn clock(&self, skew: SignedDuration) -> Evidence {
        let off = skew.abs() > SKEW;
        let text = format!("{} and this host differ by {} s", self.reach.host, skew.as_secs());
        let verdict = if off { Verdict::Fail } else { Verdict::Ok };
        let one = self.seen(Subject::part("clock"), "date", verdict);
        Evidence { fault: off.then_some(Fault::ClockSkew), text, ..one }
    }
}

fn http_head(url: &str) -> Result<oauth2::HttpRequest, ::http::Error> {
    ::http::Request::builder().method("HEAD").uri(url).body(Vec::new())
}

/// Whether there is a way out at all.
fn route(now: Timestamp) -> Option<Evidence> {
    let four = std::fs::read_to_string("/proc/net/route").ok()?;
    let six = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let default =
        four.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"))
            || six.lines().any(|line| {
                let mut words = line.split_whitespace();
                let to = words.next().is_some_and(|to| to.bytes().all(|byte| byte == b'0'));
                to && words.next() == Some("00") && words.last() != Some("lo")
            });
    // That there is a route does not say that it leads anywhere.
    (!default).then(|| Evidence {
        fault: Some(Fault::NetUnreachable),
        text: "this host has no default route".to_owned(),
        ttl: TTL,
        ..Evidence::new(Subject::network(), Verdict::Fail, Source::Probe("route".into()), now)
    })
}
