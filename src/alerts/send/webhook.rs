//! By an HTTP request.
//!
//! Owns what is sent and what an answer means. Refuses to follow a redirect: what is sent may be meant for
//! nobody else.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use reqwest::Url;

use super::{Failure, Ways, concealed, forms};
use crate::alerts::message::Message;
use crate::alerts::settings::{Form, Webhook};
use crate::credentials::exchange::{Answer, Reply, is_loopback};
use crate::credentials::keeper::{Need, Use};
use crate::credentials::mint::TokenValue;
use crate::model::{CredentialName, JobName, RunId};

/// By which a receiver tells a repeated message.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends it.
pub(super) async fn tell(
    ways: &Ways,
    webhook: &Webhook,
    message: &Message,
) -> Result<String, Failure> {
    let address = ways.text(&webhook.url).await?;
    let url = Url::parse(address.expose())
        .map_err(|error| Failure::settings(format!("its url is no address: {error}")))?;
    let key = match &webhook.form {
        Form::Pagerduty { key } => Some(ways.secret(key).await?),
        Form::Incident | Form::Slack | Form::Discord | Form::Ntfy | Form::Own(_) => None,
    };
    let key = key.as_ref().map_or("", |key| key.expose());
    let headers = headers(ways, webhook, &url, message).await?;
    let mut answered = String::new();
    for sent in forms::requests(&webhook.form, message, &url, key)? {
        let mut request =
            Request::builder().method(method(&webhook.method)?).uri(sent.url.as_str());
        if let Some(fields) = request.headers_mut() {
            fields.extend(headers.clone());
            fields.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(sent.content_type));
        }
        let request = request
            .body(sent.body.into_bytes())
            .map_err(|error| Failure::settings(format!("no such request can be made: {error}")))?;
        let sending = async { Ok(ways.world.wire.send(request).await) };
        answered = match ways.within(webhook.timeout, sending).await? {
            Reply::Answer(answer) => judge(&answer, &shown_to(&url, key, &headers))?,
            Reply::NoAnswer { words, .. } => return Err(Failure::line(words)),
        };
    }
    Ok(answered)
}

fn method(word: &str) -> Result<Method, Failure> {
    Method::from_bytes(word.as_bytes())
        .map_err(|_| Failure::settings(format!("`{word}` is no method")))
}

async fn headers(
    ways: &Ways,
    webhook: &Webhook,
    url: &Url,
    message: &Message,
) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let mut secret = false;
    let key = HeaderValue::try_from(&message.key).expect("a key is letters and digits");
    headers.insert(IDEMPOTENCY_KEY, key);
    for (name, given) in &webhook.headers {
        let value = ways.text(given).await?;
        secret |= matches!(given, crate::alerts::settings::Given::Secret(_));
        let (name, value) = header(name, value.expose())?;
        headers.insert(name, value);
    }
    if let Some(credential) = &webhook.credential {
        let (name, value) = shown(ways, credential, url).await?;
        headers.insert(name, value);
        secret = true;
    }
    if secret && url.scheme() != "https" && !is_loopback(url) {
        return Err(Failure::settings("a secret goes over https only: mend its url"));
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let header = HeaderName::try_from(name)
        .map_err(|_| Failure::settings(format!("`{name}` is no name of a header")))?;
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| Failure::settings(format!("the value of {name} can't stand in a header")))?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The header by which a credential is shown.
async fn shown(
    ways: &Ways,
    name: &CredentialName,
    url: &Url,
) -> Result<(HeaderName, HeaderValue), Failure> {
    let keeper = ways.keeper(name)?;
    let host = url.host_str().unwrap_or_default();
    let declared = keeper.declaration(name);
    if !declared.is_some_and(|declared| declared.may_go_to(host, url.port())) {
        let words = format!("{host} may not see the credential {name}: add it to its `hosts`");
        return Err(Failure::settings(words));
    }
    let whom = Use { job: JobName::parse("notifiers").expect("a legal name"), run: RunId(0) };
    let lease = keeper.token(name, Need::default(), &whom).await;
    let lease = lease.map_err(|refused| Failure::settings(refused.words))?;
    let authorization = AUTHORIZATION.as_str();
    match &lease.token.value {
        TokenValue::Bearer(token) => header(authorization, &format!("Bearer {}", token.expose())),
        TokenValue::Basic { user, password } => {
            use base64::Engine as _;
            let pair = format!("{user}:{}", password.expose());
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            header(authorization, &format!("Basic {pair}"))
        }
        TokenValue::Header { name, key } => header(name, key.expose()),
        TokenValue::Aws { .. } => {
            Err(Failure::settings(format!("{name} signs requests to AWS, and this is none")))
        }
    }
}

/// What a server was shown that nobody else may see, longest first: the address and its parts are as secret as
/// the headers, and a server may send back any of them.
fn shown_to<'a>(url: &'a Url, key: &'a str, headers: &'a HeaderMap) -> Vec<&'a str> {
    const PART: usize = 8;
    let parts = url.path().split('/').chain(url.query().unwrap_or_default().split(['&', '=']));
    let sent = headers.values().filter(|value| value.is_sensitive());
    let mut shown = vec![url.as_str(), url.path(), url.query().unwrap_or_default(), key];
    shown.extend(parts.filter(|part| part.len() >= PART));
    for value in sent.filter_map(|value| value.to_str().ok()) {
        shown.push(value);
        shown.extend(value.split(' ').filter(|part| part.len() >= PART));
    }
    shown.sort_by_key(|text| std::cmp::Reverse(text.len()));
    shown
}

/// What an answer means. What it says is data of others: a line of it, without what was sent.
fn judge(answer: &Answer, secrets: &[&str]) -> Result<String, Failure> {
    let (status, host) = (answer.status, &answer.host);
    let body = String::from_utf8_lossy(&answer.body);
    let said = crate::alerts::message::line(&concealed(&body, secrets));
    let said: String = said.chars().take(120).collect();
    let words = if said.is_empty() {
        format!("{host} answered {status}")
    } else {
        format!("{host} answered {status}: {said}")
    };
    match status {
        200..=299 => Ok(format!("{host} answered {status}")),
        408 | 425 | 429 | 500..=599 => {
            Err(Failure { retry_after: answer.retry_after, ..Failure::line(words) })
        }
        300..=399 => Err(Failure::settings(format!(
            "{host} answered {status}: it moved; write the new address"
        ))),
        _ => Err(Failure::settings(words)),
    }
}
