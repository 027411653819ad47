//! The `http` probe: what a server answers, and how fast.
//!
//! Owns the section, and what of an answer is measured. Refuses to hold connections: each check measures a
//! fresh one.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method as Verb, StatusCode, Url};
use serde_json::Value as Json;

use super::condition::Condition;
use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Cause, Found};
use super::spec::Expectation;
use crate::clock::Clock;
use crate::credentials::declare::Declaration;
use crate::credentials::exchange::{retry_after, root};
use crate::credentials::keeper::Lease;
use crate::kinds::output::Output;
use crate::kinds::wire::{self, Answer, BODY_MAX, Clients, Connections, Lost, Means, fault};
use crate::model::{FailureClass, Fault};
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Located, section, words};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("status", Quantity::Status),
    ("latency", Quantity::Time),
    ("body", Quantity::Text),
    ("json", Quantity::Json),
];

/// A run waits no longer than a day for a server: what asks for a year is broken, and the job would not look
/// again until then.
const WAIT_MAX: Duration = Duration::from_hours(24);

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
    match wire::send(building, &url, ask.clock).await {
        Ok(answer) => measure(answer, ask).await,
        Err(lost) => found(lost),
    }
}

/// The address of a request.
fn address(request: &Request) -> Result<Url, Found> {
    match wire::problem(&request.url) {
        Some((message, help)) => Err(Found::unknown(format!("{message}; {help}"))),
        None => Ok(Url::parse(&request.url).expect("an address without problem is one")),
    }
}

/// A request as the wire has it.
pub(super) fn filled(request: &Request) -> Result<wire::Request, Found> {
    Ok(wire::Request {
        url: address(request)?,
        verb: verb(request.method),
        headers: request.headers.clone(),
        body: request.body.as_ref().map(|body| body.clone().into_bytes()),
    })
}

/// Makes a request that shows a credential.
pub(super) async fn walked(
    request: &wire::Request,
    ask: &Ask<'_>,
    lease: (&Declaration, &Lease),
) -> Result<Answer, Found> {
    let means = Means {
        clients: ask.clients,
        connections: Connections::Fresh,
        clock: ask.clock,
        lease: Some(lease),
        total: None,
    };
    wire::walk(request, means).await.map_err(found)
}

/// What is known of a host that did not answer, and of one that was not asked.
fn found(lost: Lost) -> Found {
    match lost {
        Lost::Unmade(words) => Found::unknown(words),
        Lost::Unanswered(words, fault) => Found::down(words, fault),
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
            Err(error) => {
                let fault = fault::of_error(&error).unwrap_or(Fault::Truncated);
                return Found::down(format!("the body broke off: {}", root(&error)), fault);
            }
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

/// What a status says of a failure.
fn cause(status: StatusCode, asked: Option<&HeaderValue>, now: Timestamp) -> Cause {
    let fault = fault::of_status(status.as_u16());
    let class = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureClass::Unauthorized,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled,
        _ => return Cause::of(fault),
    };
    let after = asked.filter(|_| class == FailureClass::Throttled);
    let after = after.and_then(|value| value.to_str().ok());
    Cause { class, retry_after: after.and_then(|text| retry_after(text, now, WAIT_MAX)), fault }
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
