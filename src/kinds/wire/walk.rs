//! A request, and the steps that it takes.
//!
//! Owns one try: where it is sent on it follows, and shows the credential only as long as the origin stays
//! the same. Refuses to try twice, and to send on what may change something.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::clients::{Clients, Connections, REDIRECTS};
use super::fault;
use super::shown::{Show, may_see, shown};
use crate::clock::Clock;
use crate::credentials::declare::Declaration;
use crate::credentials::evidence::{Evidence, of_api};
use crate::credentials::exchange::root;
use crate::credentials::keeper::Lease;
use crate::model::{CredentialClass, Fault};

/// Most bytes of a body that are looked at where it is no more than looked at.
pub(in crate::kinds) const BODY_MAX: usize = 1024 * 1024;

/// A request, everything filled in.
#[derive(Clone, Debug)]
pub(in crate::kinds) struct Request {
    /// The address.
    pub(in crate::kinds) url: Url,
    /// The method.
    pub(in crate::kinds) verb: Method,
    /// Headers to send.
    pub(in crate::kinds) headers: Vec<(String, String)>,
    /// A body to send.
    pub(in crate::kinds) body: Option<Vec<u8>>,
}

impl Request {
    /// Asks for what is at an address.
    pub(in crate::kinds) fn get(url: Url) -> Self {
        Self { url, verb: Method::GET, headers: Vec::new(), body: None }
    }
}

/// What is wrong with an address, with the way out.
pub(in crate::kinds) fn problem(url: &str) -> Option<(String, &'static str)> {
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

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::kinds) enum Lost {
    /// The request could not be made.
    Unmade(String),
    /// Nobody answered, or not as HTTP has it; and what is wrong, where the error itself tells.
    Unanswered(String, Option<Fault>),
}

/// What was answered.
#[derive(Debug)]
pub(in crate::kinds) struct Answer {
    /// The answer.
    pub(in crate::kinds) response: Response,
    /// The body, as far as it was read.
    pub(in crate::kinds) read: Option<Vec<u8>>,
    /// How long it took.
    pub(in crate::kinds) latency: Duration,
}

impl Answer {
    /// The body, as far as it is looked at.
    pub(in crate::kinds) async fn body(&mut self) -> reqwest::Result<&[u8]> {
        if self.read.is_none() {
            let mut body = Vec::new();
            while let Some(chunk) = self.response.chunk().await? {
                let room = BODY_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == BODY_MAX {
                    break;
                }
            }
            self.read = Some(body);
        }
        Ok(self.read.as_deref().unwrap_or_default())
    }

    /// A header, where it is text.
    pub(in crate::kinds) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// With what a walk is made.
#[derive(Clone, Copy)]
pub(in crate::kinds) struct Means<'a> {
    /// Who sends.
    pub(in crate::kinds) clients: &'a Clients,
    /// What becomes of connections.
    pub(in crate::kinds) connections: Connections,
    /// Time.
    pub(in crate::kinds) clock: &'a dyn Clock,
    /// The credential to show, and what is declared of it.
    pub(in crate::kinds) lease: Option<(&'a Declaration, &'a Lease)>,
    /// Longest time to the end of the answer, where there is one.
    pub(in crate::kinds) total: Option<Duration>,
}

/// Makes a request and follows where it is sent, with the credential as long as the origin stays the same.
pub(in crate::kinds) async fn walk(request: &Request, means: Means<'_>) -> Result<Answer, Lost> {
    let mut url = request.url.clone();
    if let Some((declared, _)) = means.lease {
        may_see(declared, &url).map_err(Lost::Unmade)?;
    }
    let origin = url.origin();
    let mut stays = true;
    for _ in 0..=REDIRECTS {
        stays &= url.origin() == origin;
        let client = means.clients.stepping(&url, means.connections).map_err(Lost::Unmade)?;
        let mut building = client.request(request.verb.clone(), url.clone());
        for (name, value) in request.headers.iter().filter(|(name, _)| stays || !own(name)) {
            building = building.header(name, value);
        }
        if let Some((declared, lease)) = means.lease.filter(|_| stays) {
            let show = Show { declared, token: &lease.token, now: means.clock.now() };
            for (name, value) in shown(show, request, &url).map_err(Lost::Unmade)? {
                building = building.header(name, value);
            }
        }
        if let Some(body) = &request.body {
            building = building.body(body.clone());
        }
        if let Some(total) = means.total {
            building = building.timeout(total);
        }
        let answer = send(building, &url, means.clock).await?;
        match next(&answer, &url, &request.verb) {
            Some(there) => url = there,
            None => return Ok(answer),
        }
    }
    Err(Lost::Unanswered(format!("more than {REDIRECTS} redirects"), Some(Fault::BadAnswer)))
}

/// Sends a request.
pub(in crate::kinds) async fn send(
    building: RequestBuilder,
    url: &Url,
    clock: &dyn Clock,
) -> Result<Answer, Lost> {
    let start = clock.passed();
    match building.send().await {
        Ok(response) => {
            let latency = clock.passed().saturating_sub(start);
            Ok(Answer { response, read: None, latency })
        }
        Err(error) if error.is_builder() => {
            Err(Lost::Unmade(format!("can't make the request: {}", root(&error))))
        }
        Err(error) => {
            let host = url.host_str().unwrap_or_default();
            let words = format!("no answer from {host}: {}", root(&error));
            Err(Lost::Unanswered(words, fault::of_error(&error)))
        }
    }
}

/// What an answer says against the credential, rather than against this request.
pub(in crate::kinds) async fn refusal(answer: &mut Answer) -> Option<Evidence> {
    let evidence = evidence(answer).await?;
    let against = matches!(
        evidence.class,
        CredentialClass::TokenStale
            | CredentialClass::ScopeMissing
            | CredentialClass::ClientMisconfigured
    );
    against.then_some(evidence)
}

/// What the answer to a request that showed a credential says of it.
async fn evidence(answer: &mut Answer) -> Option<Evidence> {
    let status = answer.response.status();
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    let header = answer.header(WWW_AUTHENTICATE.as_str()).map(str::to_owned);
    let body = answer.body().await.unwrap_or_default();
    of_api(status.as_u16(), header.as_deref(), body)
}

/// Headers of the job's own that are for one host.
fn own(name: &str) -> bool {
    [AUTHORIZATION, COOKIE].iter().any(|header| name.eq_ignore_ascii_case(header.as_str()))
}

/// Where an answer sends a request that changes nothing. Others are not made twice.
fn next(answer: &Answer, url: &Url, verb: &Method) -> Option<Url> {
    if !answer.response.status().is_redirection() || !matches!(*verb, Method::GET | Method::HEAD) {
        return None;
    }
    let there = answer.header(LOCATION.as_str())?;
    url.join(there).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}
