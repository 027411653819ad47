//! The HTTP clients, one for each part of the world.
//!
//! Owns what they trust and when they are made: an idle daemon that asks nobody holds no certificates.
//! Refuses to follow a redirect from the plain client to where it can't speak.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect, retry};

use super::names::Names;
use crate::credentials::exchange::{is_loopback, root};

/// Most redirects that are followed.
pub(in crate::kinds) const REDIRECTS: usize = 5;

/// Longest silence in the middle of an answer, and before it.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest time until a connection stands.
const CONNECT: Duration = Duration::from_secs(20);

/// How long a connection is kept for the next request: within one attempt they follow at once.
const IDLE: Duration = Duration::from_secs(20);

/// The clients of a process.
#[derive(Debug, Default)]
pub(in crate::kinds) struct Clients {
    /// Those that follow redirects, each request on a connection of its own.
    following: ByReach,
    /// Those that follow none: of a request with a credential, each step is looked at.
    stepping: ByReach,
    /// The same for requests that come in rows: they keep their connections for the next one.
    keeping: ByReach,
}

/// One client for each part of the world.
#[derive(Debug, Default)]
struct ByReach {
    /// For this host without TLS: needs no certificates, which are most of a client's weight.
    plain: OnceLock<Result<Client, String>>,
    /// For this host with TLS. No proxy stands between a host and itself.
    direct: OnceLock<Result<Client, String>>,
    /// For everything else, through the proxy that the environment names.
    outside: OnceLock<Result<Client, String>>,
}

/// What becomes of a connection when its answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kinds) enum Connections {
    /// It is closed: each request measures a fresh one.
    Fresh,
    /// It is kept for the next request.
    Kept,
}

impl Clients {
    /// A client that follows redirects.
    pub(in crate::kinds) fn following(&self, url: &Url) -> Result<&Client, String> {
        self.following.of(url, |reach| {
            fresh().redirect(redirect::Policy::custom(move |to| follow(reach, to)))
        })
    }

    /// A client that follows none.
    pub(in crate::kinds) fn stepping(
        &self,
        url: &Url,
        connections: Connections,
    ) -> Result<&Client, String> {
        let none = redirect::Policy::none;
        match connections {
            Connections::Fresh => self.stepping.of(url, |_| fresh().redirect(none())),
            Connections::Kept => self.keeping.of(url, |_| kept().redirect(none())),
        }
    }
}

impl ByReach {
    fn of(
        &self,
        url: &Url,
        builder: impl FnOnce(Reach) -> ClientBuilder,
    ) -> Result<&Client, String> {
        let (client, reach) = match (is_loopback(url), url.scheme()) {
            (true, "http") => (&self.plain, Reach::Plain),
            (true, _) => (&self.direct, Reach::Direct),
            (false, _) => (&self.outside, Reach::Outside),
        };
        client.get_or_init(|| build(reach, builder(reach))).as_ref().map_err(Clone::clone)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Plain,
    Direct,
    Outside,
}

fn fresh() -> ClientBuilder {
    Client::builder().pool_max_idle_per_host(0)
}

/// Who repeats requests knows which may be; a client must not do so by itself.
fn kept() -> ClientBuilder {
    Client::builder()
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .retry(retry::never())
}

fn build(reach: Reach, builder: ClientBuilder) -> Result<Client, String> {
    // Taken already where something else in this process speaks TLS, and then it is the same one.
    let _taken = rustls::crypto::ring::default_provider().install_default();
    let mut builder =
        builder.user_agent(concat!("jada/", env!("CARGO_PKG_VERSION"))).dns_resolver(Names);
    if reach != Reach::Outside {
        builder = builder.no_proxy();
    }
    if reach == Reach::Plain {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| format!("can't make an HTTP client: {}", root(&error)))
}

fn follow(reach: Reach, attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(format!("more than {REDIRECTS} redirects"));
    }
    let leaves = !(is_loopback(attempt.url()) && attempt.url().scheme() == "http");
    // A client without certificates can't follow; the redirect itself is the answer then.
    if reach == Reach::Plain && leaves { attempt.stop() } else { attempt.follow() }
}
