//! The wire to token endpoints: one request, one reply, kept whole.
//!
//! Owns the HTTP clients of credentials and what a reply is: status, the headers that classes depend on,
//! and a body that is wiped and never shown. Refuses to follow redirects, to repeat a request on its own,
//! and to know what a reply means (`evidence`).

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Response, Url, redirect, retry};
use zeroize::Zeroizing;

use crate::clock::{Clock, within};

/// How long one exchange may take, from the name's look-up to the last byte.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait that a server can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Most bytes of a body. A longer one is no token.
const BODY_MAX: usize = 1024 * 1024;

/// Sends requests that hold secrets.
pub struct Wire {
    clock: Arc<dyn Clock>,
    /// For this host without TLS: needs no certificates.
    plain: OnceLock<Result<Client, String>>,
    /// For this host with TLS. No proxy stands between a host and itself.
    direct: OnceLock<Result<Client, String>>,
    /// For everything else, through the proxy that the environment names.
    outside: OnceLock<Result<Client, String>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// Nothing, or not all of it.
    NoAnswer {
        /// Whether the request's body may have reached the server: what it asked for may be done.
        sent: bool,
        /// What went wrong, safe to show.
        words: String,
    },
    /// An answer.
    Answer(Answer),
}

/// An answer, whole. Its `Debug` leaves the body out.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Who was asked.
    pub host: String,
    /// When it was received, by our clock.
    pub received_at: Timestamp,
    /// The server's own time.
    pub date: Option<Timestamp>,
    /// How long the server asks to wait, at most [`RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
    /// What the body is said to be.
    pub content_type: Option<String>,
    /// What the server wants to see.
    pub www_authenticate: Option<String>,
    /// The body. Only `evidence` and the providers look into it.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("host", &self.host)
            .field("date", &self.date)
            .field("retry_after", &self.retry_after)
            .field("content_type", &self.content_type)
            .field("body", &format_args!("({} bytes)", self.body.len()))
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The server's clock minus ours.
    #[must_use]
    pub fn skew(&self) -> Option<SignedDuration> {
        self.date.map(|date| date.duration_since(self.received_at))
    }
}

impl Wire {
    /// A wire that waits by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let [plain, direct, outside] = [(); 3].map(|()| OnceLock::new());
        Self { clock, plain, direct, outside }
    }

    /// The clock that it waits by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Sends a request once.
    pub async fn send(&self, request: HttpRequest) -> Reply {
        self.send_within(PATIENCE, request).await
    }

    /// Sends a request once, and waits no longer than so.
    pub(super) async fn send_within(&self, patience: Duration, request: HttpRequest) -> Reply {
        let unsent = |words: String| Reply::NoAnswer { sent: false, words };
        let (parts, body) = request.into_parts();
        let Ok(url) = Url::parse(&parts.uri.to_string()) else {
            return unsent(format!("`{}` is no address", parts.uri));
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = match self.client(&url) {
            Ok(client) => client,
            Err(words) => return unsent(words),
        };
        let sent = Arc::new(AtomicBool::new(false));
        let mut building = client.request(parts.method, url).headers(parts.headers);
        if !body.is_empty() {
            // A body that is handed over says so. With its length told it goes out as it is, unchunked.
            building = building.header(CONTENT_LENGTH, body.len());
            building = building.body(telling(body, Arc::clone(&sent)));
        }
        let asking = async {
            let response = building.send().await.map_err(|error| root(&error))?;
            self.read(response, &host).await
        };
        let failed = match within(&*self.clock, patience, asking).await {
            Some(Ok(answer)) => return Reply::Answer(answer),
            Some(Err(words)) => words,
            None => format!("nothing within {} s", patience.as_secs()),
        };
        let words = format!("no answer from {host}: {failed}");
        Reply::NoAnswer { sent: sent.load(Ordering::Acquire), words }
    }

    async fn read(&self, mut response: Response, host: &str) -> Result<Answer, String> {
        let received_at = self.clock.now();
        let headers = response.headers();
        let text =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = text(DATE).and_then(|date| moment(&date));
        let patience = text(RETRY_AFTER);
        let mut answer = Answer {
            status: response.status().as_u16(),
            host: host.to_owned(),
            received_at,
            date,
            // A date is meant by the server's clock, which may not be ours.
            retry_after: patience
                .and_then(|text| retry_after(&text, date.unwrap_or(received_at), RETRY_AFTER_MAX)),
            content_type: text(CONTENT_TYPE),
            www_authenticate: text(WWW_AUTHENTICATE),
            body: Zeroizing::new(Vec::with_capacity(16 * 1024)),
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| root(&error))? {
            if answer.body.len() + chunk.len() > BODY_MAX {
                return Err("its answer is longer than 1 MiB".to_owned());
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn client(&self, url: &Url) -> Result<&Client, String> {
        let (cell, reach) = match (is_loopback(url), url.scheme()) {
            (true, "http") => (&self.plain, Reach::Plain),
            (true, _) => (&self.direct, Reach::Direct),
            (false, _) => (&self.outside, Reach::Outside),
        };
        cell.get_or_init(|| build(reach)).as_ref().map_err(Clone::clone)
    }
}

/// Sends requests that the `oauth2` crate has put together. The reply comes back as the crate's transport
/// error, so that the crate never reads a body: it would hide status and headers, and show tokens in its
/// own errors.
impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Carried;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Carried>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { Err(Carried(self.send(request).await)) })
    }
}

/// A reply on its way through the `oauth2` crate.
#[derive(Debug)]
pub struct Carried(pub(super) Reply);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply is kept whole")
    }
}

impl Error for Carried {}

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
        .retry(retry::never())
        .redirect(redirect::Policy::none());
    if reach != Reach::Outside {
        builder = builder.no_proxy();
    }
    if reach == Reach::Plain {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| format!("can't make an HTTP client: {}", root(&error)))
}

/// A body that notes when it is taken, which is after the connection stands.
fn telling(body: Vec<u8>, sent: Arc<AtomicBool>) -> reqwest::Body {
    let whole = async move {
        sent.store(true, Ordering::Release);
        Ok::<_, Infallible>(body)
    };
    reqwest::Body::wrap_stream(futures_util::stream::once(whole))
}

/// Whether an address is one of this host.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn moment(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|date| date.timestamp())
}

/// What `Retry-After` asks for: seconds, or a date; `most` at most.
pub(crate) fn retry_after(text: &str, now: Timestamp, most: Duration) -> Option<Duration> {
    let asked = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => moment(text)?.duration_since(now).try_into().ok()?,
    };
    Some(asked.min(most))
}

/// The cause behind an error: the outer ones repeat the address and little else.
pub(crate) fn root(error: &reqwest::Error) -> String {
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
    fn a_wait_is_told_in_seconds_or_by_a_date_and_never_beyond_the_most() {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("86400", Some(3600)),
            ("Wed, 25 Nov 2026 10:01:30 GMT", Some(90)),
            ("Thu, 26 Nov 2026 10:01:30 GMT", Some(3600)),
            ("Wed, 25 Nov 2026 09:00:00 GMT", None),
            ("soon", None),
            ("-5", None),
            ("18446744073709551615", Some(3600)),
        ] {
            assert_eq!(
                retry_after(text, now, RETRY_AFTER_MAX).map(|time| time.as_secs()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_shows_no_body() {
        let answer = Answer {
            status: 200,
            host: "h".to_owned(),
            received_at: Timestamp::UNIX_EPOCH,
            date: None,
            retry_after: None,
            content_type: None,
            www_authenticate: None,
            body: Zeroizing::new(b"canary-canary".to_vec()),
        };
        let shown = format!("{:?}", Reply::Answer(answer));
        assert!(!shown.contains("canary") && shown.contains("(13 bytes)"), "{shown}");
    }
}
