//! An `http` probe that shows a credential.
//!
//! Owns who may see it: the hosts that its declaration names, and no other host that one of them points
//! to. Where it is refused it is refreshed once, and the request made once more. Refuses to let a program
//! or a template have it.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};

use super::http::{self, Answer, Ask, Method, REDIRECTS, Request};
use super::probe::{Cause, Found};
use crate::credentials::declare::{Aws, Declaration, Provider};
use crate::credentials::evidence::{Evidence, of_api};
use crate::credentials::exchange::is_loopback;
use crate::credentials::keeper::{Keeper, Lease, Need, Refused, Use};
use crate::credentials::mint::{Token, TokenValue};
use crate::model::{Binding, CredentialClass, FailureClass};

/// A credential for the requests of one check.
pub(super) struct Signer<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) binding: &'a Binding,
    pub(super) whom: Use,
}

/// Why there is no answer.
enum Short {
    /// The credential was refused.
    Refused(Refused),
    /// Something else is found out already.
    Found(Found),
}

/// Asks, and measures what is wanted. The refusal of the credential comes second, where there was one.
pub(super) async fn read(ask: &Ask<'_>, signer: &Signer<'_>) -> (Found, Option<Refused>) {
    match signer.ask(ask).await {
        Ok(answer) => (http::measure(answer, ask).await, None),
        Err(Short::Found(found)) => (found, None),
        Err(Short::Refused(refused)) => {
            let cause = Cause { class: FailureClass::Unauthorized, retry_after: None };
            (Found::Unknown(refused.words.clone(), cause), Some(refused))
        }
    }
}

impl Signer<'_> {
    async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Short> {
        let name = &self.binding.credential;
        let Some(declared) = self.keeper.declaration(name) else {
            return Err(unknown(format!("{name} is not declared in jada.yaml")));
        };
        let url = http::address(ask.request).map_err(Short::Found)?;
        let need = Need { min_ttl: self.binding.min_ttl, scopes: self.binding.scopes.clone() };
        let lease = self.keeper.token(name, need, &self.whom).await.map_err(Short::Refused)?;
        let mut answer = steps(ask, url.clone(), &declared, &lease).await?;
        let Some(evidence) = refusal(&mut answer).await else { return Ok(answer) };
        let newer = self.keeper.refused(name, lease.generation, evidence, false).await;
        let newer = newer.map_err(Short::Refused)?;
        let mut answer = steps(ask, url, &declared, &newer).await?;
        if let Some(evidence) = refusal(&mut answer).await {
            let told = self.keeper.refused(name, newer.generation, evidence, true).await;
            told.map_err(Short::Refused)?;
        }
        Ok(answer)
    }
}

/// What an answer says against the credential, rather than against this request.
async fn refusal(answer: &mut Answer) -> Option<Evidence> {
    let status = answer.response.status();
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    let header = answer.response.headers().get(WWW_AUTHENTICATE);
    let header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = answer.body().await.unwrap_or_default();
    let evidence = of_api(status.as_u16(), header.as_deref(), body)?;
    let against = matches!(
        evidence.class,
        CredentialClass::TokenStale
            | CredentialClass::ScopeMissing
            | CredentialClass::ClientMisconfigured
    );
    against.then_some(evidence)
}

/// Makes a request and follows where it is sent, with the credential as long as the host stays the same.
async fn steps(
    ask: &Ask<'_>,
    mut url: Url,
    declared: &Declaration,
    lease: &Lease,
) -> Result<Answer, Short> {
    let host = url.host_str().unwrap_or_default();
    if !declared.may_go_to(host, url.port()) {
        return Err(unknown(format!(
            "{host} may not see the credential {}; add it to its `hosts` in jada.yaml",
            declared.name
        )));
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        let words = format!("{} goes over https only, and {host} is asked without", declared.name);
        return Err(unknown(words));
    }
    let origin = url.origin();
    let mut stays = true;
    for _ in 0..=REDIRECTS {
        stays &= url.origin() == origin;
        let client = ask.clients.stepping(&url).map_err(unknown)?;
        let mut building = client.request(http::verb(ask.request.method), url.clone());
        for (name, value) in ask.request.headers.iter().filter(|(name, _)| stays || !own(name)) {
            building = building.header(name, value);
        }
        if stays {
            for (name, value) in shown(&lease.token, ask, &url, declared)? {
                building = building.header(name, value);
            }
        }
        if let Some(body) = &ask.request.body {
            building = building.body(body.clone());
        }
        let answer = http::send(building, &url, ask.clock).await.map_err(Short::Found)?;
        match next(&answer, &url, ask.request) {
            Some(there) => url = there,
            None => return Ok(answer),
        }
    }
    Err(Short::Found(Found::down(format!("more than {REDIRECTS} redirects"))))
}

/// Headers of the job's own that are for one host.
fn own(name: &str) -> bool {
    [AUTHORIZATION, COOKIE].iter().any(|header| name.eq_ignore_ascii_case(header.as_str()))
}

/// Where an answer sends a request that changes nothing. Others are not made twice.
fn next(answer: &Answer, url: &Url, request: &Request) -> Option<Url> {
    let status = answer.response.status();
    if !status.is_redirection() || !matches!(request.method, Method::Get | Method::Head) {
        return None;
    }
    let there = answer.response.headers().get(LOCATION)?.to_str().ok()?;
    url.join(there).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// The headers by which a token is shown.
fn shown(
    token: &Token,
    ask: &Ask<'_>,
    url: &Url,
    declared: &Declaration,
) -> Result<Vec<(HeaderName, HeaderValue)>, Short> {
    let plain = |name: HeaderName, value: &str| {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| unknown(format!("{} can't stand in a header", declared.name)))?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    match &token.value {
        TokenValue::Bearer(token) => {
            Ok(vec![plain(AUTHORIZATION, &format!("Bearer {}", token.expose()))?])
        }
        TokenValue::Basic { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            Ok(vec![plain(AUTHORIZATION, &format!("Basic {pair}"))?])
        }
        TokenValue::Header { name, key } => {
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| unknown(format!("`{name}` is no name of a header")))?;
            Ok(vec![plain(header, key.expose())?])
        }
        TokenValue::Aws { access_key_id, secret_access_key, session_token } => {
            let session = session_token.as_ref().map(|token| token.expose().to_owned());
            let keys =
                Credentials::new(access_key_id, secret_access_key.expose(), session, None, "jada");
            let signed = signature(keys, ask.request, url, (declared, ask.clock.now()));
            let signed = signed.map_err(unknown)?;
            signed
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::try_from(name.as_str())
                        .map_err(|_| unknown("the signature has an odd header"))?;
                    plain(name, value)
                })
                .collect()
        }
    }
}

/// The headers of AWS Signature Version 4.
fn signature(
    keys: Credentials,
    request: &Request,
    url: &Url,
    (declared, now): (&Declaration, Timestamp),
) -> Result<Vec<(String, String)>, String> {
    let (service, region) = scope(declared, url.host_str().unwrap_or_default())?;
    let identity = keys.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(&service)
        .time(moment(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| format!("can't sign the request: {error}"))?
        .into();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(request.body.as_deref().unwrap_or_default().as_bytes());
    let verb = http::verb(request.method);
    let signable = SignableRequest::new(verb.as_str(), url.as_str(), headers, body);
    let signed = signable.and_then(|signable| sign(signable, &params));
    let (instructions, _) =
        signed.map_err(|error| format!("can't sign the request: {error}"))?.into_parts();
    let headers = instructions.headers();
    Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// An instant as the standard library has it. What is before 1970 is no time of a request.
fn moment(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
}

/// The service and the region of a request, as declared or as the host says.
fn scope(declared: &Declaration, host: &str) -> Result<(String, String), String> {
    let Provider::Aws(Aws { region, service, .. }) = &declared.provider else {
        return Err(format!("{} has keys of AWS, and is not declared as such", declared.name));
    };
    let labels: Vec<&str> =
        host.strip_suffix(".amazonaws.com").unwrap_or_default().split('.').collect();
    let is_region =
        |label: &&str| label.contains('-') && label.ends_with(|c: char| c.is_ascii_digit());
    let (named, at) = match labels.as_slice() {
        [.., service, region] if is_region(region) => (Some(*service), Some(*region)),
        [.., service] if !service.is_empty() => (Some(*service), Some("us-east-1")),
        _ => (None, None),
    };
    let service = service.clone().or_else(|| named.map(str::to_owned));
    let region = region.clone().or_else(|| at.map(str::to_owned));
    service.zip(region).ok_or_else(|| {
        let name = &declared.name;
        format!(
            "{host} does not tell its service and region; declare `service` and `region` of {name}"
        )
    })
}

fn unknown(words: impl Into<String>) -> Short {
    Short::Found(Found::unknown(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::declare::AwsKeys;
    use crate::model::CredentialName;

    fn aws(region: Option<&str>, service: Option<&str>) -> Declaration {
        Declaration {
            name: CredentialName::parse("aws/ops").expect("a name"),
            description: String::new(),
            provider: Provider::Aws(Aws {
                keys: AwsKeys::Profile { file: "/keys".into(), profile: "default".into() },
                region: region.map(str::to_owned),
                service: service.map(str::to_owned),
                expires_on: None,
            }),
            hosts: Vec::new(),
            seal: None,
            revision: 1,
        }
    }

    #[test]
    fn service_and_region_are_told_by_the_host() {
        let told = |declared: &Declaration, host: &str| match scope(declared, host) {
            Ok((service, region)) => format!("{service} {region}"),
            Err(words) => words,
        };
        let plain = aws(None, None);
        assert_eq!(told(&plain, "lightsail.eu-west-1.amazonaws.com"), "lightsail eu-west-1");
        assert_eq!(told(&plain, "bucket.s3.us-east-2.amazonaws.com"), "s3 us-east-2");
        assert_eq!(told(&plain, "sts.amazonaws.com"), "sts us-east-1");
        assert!(told(&plain, "example.com").contains("declare `service` and `region`"));
        let both = aws(Some("eu-north-1"), Some("execute-api"));
        assert_eq!(told(&both, "example.com"), "execute-api eu-north-1");
    }

    #[test]
    fn a_request_is_signed_as_aws_publishes_it() {
        // The keys and the time of AWS's own test suite (get-vanilla).
        let keys = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );
        let request = Request {
            url: "https://example.amazonaws.com/".into(),
            method: Method::Get,
            headers: Vec::new(),
            body: None,
        };
        let url = Url::parse(&request.url).expect("an address");
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().expect("an instant");
        let declared = aws(Some("us-east-1"), Some("service"));
        let signed = signature(keys, &request, &url, (&declared, now)).expect("it can be signed");
        let header = |name: &str| {
            signed.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(header("x-amz-date"), Some("20150830T123600Z"));
        assert_eq!(
            header("authorization"),
            Some(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            )
        );
    }
}
