//! The `http` probe: what a server answers, and how fast.
//!
//! Owns the clients, made when first needed: an idle daemon without such checks holds no certificates.
//! Refuses to hold connections: each check measures a fresh one.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method as Verb, Response, StatusCode, Url, redirect};
use serde_json::Value as Json;

use super::condition::Condition;
use super::measure::{Measured, Quantity, Reading, Unit};
use super::names::Names;
use super::probe::{Cause, Found};
use super::spec::Expectation;
use crate::clock::Clock;
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

/// Most redirects that are followed.
const REDIRECTS: usize = 5;

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
    /// For this host without TLS: needs no certificates, which are most of a client's weight.
    plain: OnceLock<Result<Client, String>>,
    /// For this host with TLS. No proxy stands between a host and itself.
    direct: OnceLock<Result<Client, String>>,
    /// For everything else, through the proxy that the environment names.
    outside: OnceLock<Result<Client, String>>,
}

impl Clients {
    fn of(&self, url: &Url) -> Result<&Client, String> {
        let client = match (is_loopback(url), url.scheme()) {
            (true, "http") => self.plain.get_or_init(|| build(Reach::Plain)),
            (true, _) => self.direct.get_or_init(|| build(Reach::Direct)),
            (false, _) => self.outside.get_or_init(|| build(Reach::Outside)),
        };
        client.as_ref().map_err(Clone::clone)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Plain,
    Direct,
    Outside,
}

fn build(reach: Reach) -> Result<Client, String> {
    // Taken already where something else in this process speaks TLS, and then it is the same one.
    let _taken = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("jada/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0)
        .dns_resolver(Names)
        .redirect(redirect::Policy::custom(move |attempt| follow(reach, attempt)));
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

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Asks, and measures what `wanted` names.
pub(super) async fn read(
    request: &Request,
    wanted: &[&str],
    clients: &Clients,
    output: &Output,
    clock: &dyn Clock,
) -> Found {
    if let Some((message, help)) = problem(&request.url) {
        return Found::unknown(format!("{message}; {help}"));
    }
    let url = Url::parse(&request.url).expect("an address without problem is one");
    let host = url.host_str().unwrap_or_default().to_owned();
    let client = match clients.of(&url) {
        Ok(client) => client,
        Err(message) => return Found::unknown(message),
    };
    let mut building = client.request(verb(request.method), url);
    for (name, value) in &request.headers {
        building = building.header(name, value);
    }
    if let Some(body) = &request.body {
        building = building.body(body.clone());
    }
    let start = clock.passed();
    match building.send().await {
        Ok(response) => {
            let latency = clock.passed().saturating_sub(start);
            answer(response, (latency, clock.now()), wanted, output).await
        }
        Err(error) if error.is_builder() => {
            Found::unknown(format!("can't make the request: {}", root(&error)))
        }
        Err(error) => Found::down(format!("no answer from {host}: {}", root(&error))),
    }
}

async fn answer(
    mut response: Response,
    (latency, now): (Duration, Timestamp),
    wanted: &[&str],
    output: &Output,
) -> Found {
    let status = response.status();
    let cause = cause(status, response.headers().get(RETRY_AFTER), now);
    let mut reading = Reading::default()
        .with("status", Measured::Number(f64::from(status.as_u16()), Unit::Plain))
        .with("latency", Measured::time(latency));
    let paths: Vec<&str> = wanted.iter().filter_map(|name| name.strip_prefix("json.")).collect();
    if !paths.is_empty() || wanted.contains(&"body") {
        let body = match body(&mut response).await {
            Ok(body) => body,
            Err(error) => return Found::down(format!("the body broke off: {}", root(&error))),
        };
        // A server may send back what it was shown.
        let text = output.hide(&String::from_utf8_lossy(&body));
        for path in paths {
            reading = reading.with(format!("json.{path}"), look_up(text.as_bytes(), path));
        }
        reading = reading.with("body", Measured::Text(text));
    }
    Found::Values(reading, cause)
}

/// What a status says of a failure.
fn cause(status: StatusCode, retry_after: Option<&HeaderValue>, now: Timestamp) -> Cause {
    let class = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureClass::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled,
        _ => return Cause::TRANSIENT,
    };
    let after = retry_after.filter(|_| class == FailureClass::Throttled);
    let after = after.and_then(|value| value.to_str().ok());
    Cause { class, retry_after: after.and_then(|text| patience(text.trim(), now)) }
}

/// What `Retry-After` asks for: seconds, or a date. A run waits no longer than a day for a server: what asks
/// for a year is broken, and the job would not look again until then.
fn patience(text: &str, now: Timestamp) -> Option<Duration> {
    const MOST: Duration = Duration::from_hours(24);
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            date.timestamp().duration_since(now).try_into().ok()?
        }
    };
    Some(asked.min(MOST))
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

fn verb(method: Method) -> Verb {
    match method {
        Method::Get => Verb::GET,
        Method::Head => Verb::HEAD,
        Method::Post => Verb::POST,
        Method::Options => Verb::OPTIONS,
    }
}

/// The cause behind an error: the outer ones repeat the address and little else.
fn root(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_for_patience_in_seconds_or_by_a_date() {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30", Some(30)),
            ("18446744073709551615", Some(86_400)),
            ("Wed, 25 Nov 2026 10:01:30 GMT", Some(90)),
            ("Wed, 25 Nov 2026 09:00:00 GMT", None),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(patience(text, now).map(|time| time.as_secs()), expected, "{text}");
        }
    }

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
