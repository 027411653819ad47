//! The `http` probe: what a server answers, and how fast.
//!
//! Owns the clients, made when first needed: an idle daemon without such checks holds no certificates.
//! Refuses to hold connections: each check measures a fresh one.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method as Verb, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value as Json;

use super::condition::Condition;
use super::measure::{Measured, Quantity, Reading, Unit};
use super::names::Names;
use super::probe::{Cause, Found};
use super::spec::Expectation;
use crate::clock::Clock;
use crate::credentials::exchange::{is_loopback, retry_after, root};
use crate::kinds::output::Output;
use crate::model::FailureClass;
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Located, section, words};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("status", Quantity::Status),
    ("latency", Quantity::Time),
    ("body", Quantity::Text),
    ("json", Quantity::Json),
];

/// Most bytes of a body that are looked at.
const BODY_MAX: usize = 1024 * 1024;

/// A run waits no longer than a day for a server: what asks for a year is broken, and the job would not look
/// again until then.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Most redirects that are followed.
pub(super) const REDIRECTS: usize = 5;

section! {
    /// An HTTP request.
    pub struct HttpProbe {
        /// The address, with `http://` or `https://`. A template.
        pub url: Located<String>,
        /// The method.
        pub method: Method = Method::Get,
        /// Headers to send. Values are templates.
        pub headers: Entries<Located<ScalarText>> = Entries::default(),
        /// A body to send. A template.
        pub body: Option<Located<String>>,
        /// The credential to show, by the job's own name for it. The daemon adds it, and only for the hosts
        /// that its declaration names.
        pub credential: Option<Located<String>>,
    }
}

words! {
    /// An HTTP method.
    pub enum Method {
        /// Asks for it.
        Get = "GET",
        /// Asks for its headers.
        Head = "HEAD",
        /// Sends something.
        Post = "POST",
        /// Asks what may be asked.
        Options = "OPTIONS",
    }
}

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    let condition = Condition::Any(vec![Condition::Class(2), Condition::Class(3)]);
    vec![Expectation { value: "status".to_owned(), condition }]
}

/// What is wrong with an address, with the way out.
pub(super) fn problem(url: &str) -> Option<(String, &'static str)> {
    let help = "write it like `https://example.com/status`";
    match Url::parse(url) {
        Ok(parsed) if !matches!(parsed.scheme(), "http" | "https") => {
            Some((format!("`{}` is no scheme that is known here", parsed.scheme()), help))
        }
        Ok(parsed) if parsed.password().is_some() => {
            Some(("an address must not hold a password".to_owned(), "send a header instead"))
        }
        Ok(_) => None,
        Err(error) => Some((format!("`{url}` is no address: {error}"), help)),
    }
}

/// A request, everything filled in.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The address.
    pub(super) url: String,
    /// The method.
    pub(super) method: Method,
    /// Headers to send.
    pub(super) headers: Vec<(String, String)>,
    /// A body to send.
    pub(super) body: Option<String>,
}

/// The clients of all checks.
#[derive(Debug, Default)]
pub(in crate::kinds) struct Clients {
    /// Those that follow redirects.
    following: ByReach,
    /// Those that follow none: of a request with a credential, each step is looked at.
    stepping: ByReach,
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

impl Clients {
    /// A client that follows redirects.
    fn following(&self, url: &Url) -> Result<&Client, String> {
        self.following.of(url, |reach| redirect::Policy::custom(move |to| follow(reach, to)))
    }

    /// A client that follows none.
    pub(super) fn stepping(&self, url: &Url) -> Result<&Client, String> {
        self.stepping.of(url, |_| redirect::Policy::none())
    }
}

impl ByReach {
    fn of(
        &self,
        url: &Url,
        redirects: impl FnOnce(Reach) -> redirect::Policy,
    ) -> Result<&Client, String> {
        let (client, reach) = match (is_loopback(url), url.scheme()) {
            (true, "http") => (&self.plain, Reach::Plain),
            (true, _) => (&self.direct, Reach::Direct),
            (false, _) => (&self.outside, Reach::Outside),
        };
        client.get_or_init(|| build(reach, redirects(reach))).as_ref().map_err(Clone::clone)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Plain,
    Direct,
    Outside,
}

fn build(reach: Reach, redirects: redirect::Policy) -> Result<Client, String> {
    // Taken already where something else in this process speaks TLS, and then it is the same one.
    let _taken = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("jada/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0)
        .dns_resolver(Names)
        .redirect(redirects);
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

/// A request, and what is wanted of its answer.
pub(super) struct Ask<'a> {
    /// The request.
    pub(super) request: &'a Request,
    /// The names of the values that something is expected of.
    pub(super) wanted: &'a [&'a str],
    /// Who asks.
    pub(super) clients: &'a Clients,
    /// What answers are screened as.
    pub(super) output: &'a Output,
    /// Time.
    pub(super) clock: &'a dyn Clock,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) response: Response,
    /// The body, as far as it was read.
    pub(super) read: Option<Vec<u8>>,
    /// How long it took.
    pub(super) latency: Duration,
}

/// Asks, and measures what is wanted.
pub(super) async fn read(ask: &Ask<'_>) -> Found {
    let url = match address(ask.request) {
        Ok(url) => url,
        Err(found) => return found,
    };
    let client = match ask.clients.following(&url) {
        Ok(client) => client,
        Err(message) => return Found::unknown(message),
    };
    let mut building = client.request(verb(ask.request.method), url.clone());
    for (name, value) in &ask.request.headers {
        building = building.header(name, value);
    }
    if let Some(body) = &ask.request.body {
        building = building.body(body.clone());
    }
    match send(building, &url, ask.clock).await {
        Ok(answer) => measure(answer, ask).await,
        Err(found) => found,
    }
}

/// The address of a request.
pub(super) fn address(request: &Request) -> Result<Url, Found> {
    match problem(&request.url) {
        Some((message, help)) => Err(Found::unknown(format!("{message}; {help}"))),
        None => Ok(Url::parse(&request.url).expect("an address without problem is one")),
    }
}

/// Sends a request.
pub(super) async fn send(
    building: RequestBuilder,
    url: &Url,
    clock: &dyn Clock,
) -> Result<Answer, Found> {
    let start = clock.passed();
    match building.send().await {
        Ok(response) => {
            let latency = clock.passed().saturating_sub(start);
            Ok(Answer { response, read: None, latency })
        }
        Err(error) if error.is_builder() => {
            Err(Found::unknown(format!("can't make the request: {}", root(&error))))
        }
        Err(error) => {
            let host = url.host_str().unwrap_or_default();
            Err(Found::down(format!("no answer from {host}: {}", root(&error))))
        }
    }
}

/// Measures an answer.
pub(super) async fn measure(mut answer: Answer, ask: &Ask<'_>) -> Found {
    let status = answer.response.status();
    let retry_after = answer.response.headers().get(RETRY_AFTER);
    let cause = cause(status, retry_after, ask.clock.now());
    let mut reading = Reading::default()
        .with("status", Measured::Number(f64::from(status.as_u16()), Unit::Plain))
        .with("latency", Measured::time(answer.latency));
    let wanted = ask.wanted.iter();
    let paths: Vec<&str> = wanted.filter_map(|name| name.strip_prefix("json.")).collect();
    if !paths.is_empty() || ask.wanted.contains(&"body") {
        let body = match answer.body().await {
            Ok(body) => body,
            Err(error) => return Found::down(format!("the body broke off: {}", root(&error))),
        };
        // A server may send back what it was shown.
        let text = ask.output.hide(&String::from_utf8_lossy(body));
        for path in paths {
            reading = reading.with(format!("json.{path}"), look_up(text.as_bytes(), path));
        }
        reading = reading.with("body", Measured::Text(text));
    }
    Found::Values(reading, cause)
}

impl Answer {
    /// The body, as far as it is looked at.
    pub(super) async fn body(&mut self) -> reqwest::Result<&[u8]> {
        if self.read.is_none() {
            self.read = Some(body(&mut self.response).await?);
        }
        Ok(self.read.as_deref().unwrap_or_default())
    }
}

/// What a status says of a failure.
fn cause(status: StatusCode, asked: Option<&HeaderValue>, now: Timestamp) -> Cause {
    let class = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureClass::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled,
        _ => return Cause::TRANSIENT,
    };
    let after = asked.filter(|_| class == FailureClass::Throttled);
    let after = after.and_then(|value| value.to_str().ok());
    Cause { class, retry_after: after.and_then(|text| retry_after(text, now, WAIT_MAX)) }
}

async fn body(response: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_MAX {
            break;
        }
    }
    Ok(body)
}

/// The value at a path such as `queue.depth`, `hosts.0.name` or `/a.b/c`.
fn look_up(body: &[u8], path: &str) -> Measured {
    let document = match serde_json::from_slice::<Json>(body) {
        Ok(document) => document,
        Err(_) if body.len() == BODY_MAX => {
            return Measured::Missing("the body is longer than 1 MiB".to_owned());
        }
        Err(error) => return Measured::Missing(format!("the body is no JSON: {error}")),
    };
    // Keys that have dots in them are reached by a JSON pointer.
    let dotted = || format!("/{}", path.replace('.', "/"));
    let pointer = if path.starts_with('/') { path.to_owned() } else { dotted() };
    match document.pointer(&pointer) {
        Some(value) => Measured::Json(value.clone()),
        None => Measured::Missing(format!("there is no `{path}` in the body")),
    }
}

pub(super) fn verb(method: Method) -> Verb {
    match method {
        Method::Get => Verb::GET,
        Method::Head => Verb::HEAD,
        Method::Post => Verb::POST,
        Method::Options => Verb::OPTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_dots_or_by_a_pointer() {
        let body = br#"{ "a": { "b": [1, { "c.d": 2 }] } }"#;
        for (path, expected) in
            [("a.b.0", Some(1)), ("/a/b/1/c.d", Some(2)), ("a.x", None), ("a.b.9", None)]
        {
            let found = match look_up(body, path) {
                Measured::Json(value) => value.as_i64(),
                _ => None,
            };
            assert_eq!(found, expected, "{path}");
        }
    }
}
