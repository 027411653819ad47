//! A credential on the wire: who may see it, and how it is shown.
//!
//! Owns the headers of each kind of token, those of AWS Signature Version 4 among them, and the lease that
//! a request is made with. Refuses to show it to a host that its declaration does not name.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::walk::Request;
use crate::credentials::declare::{Aws, Declaration, Provider};
use crate::credentials::evidence::Evidence;
use crate::credentials::exchange::is_loopback;
use crate::credentials::keeper::{Keeper, Lease, Need, Refused, Use};
use crate::credentials::mint::{Token, TokenValue};
use crate::model::Binding;

/// Who asks on whose behalf: a binding of a job.
#[derive(Clone)]
pub(in crate::kinds) struct Caller<'a> {
    /// Who has the credentials.
    pub(in crate::kinds) keeper: &'a Keeper,
    /// The job's binding.
    pub(in crate::kinds) binding: &'a Binding,
    /// Whom it is for.
    pub(in crate::kinds) whom: Use,
}

/// Why there is nothing to show.
#[derive(Debug)]
pub(in crate::kinds) enum NoLease {
    /// The credential was refused.
    Refused(Refused),
    /// It can't be shown at all: what is wrong, in words.
    Never(String),
}

/// A token, and what is declared of who may see it.
#[derive(Clone, Copy)]
pub(super) struct Show<'a> {
    pub(super) declared: &'a Declaration,
    pub(super) token: &'a Token,
    pub(super) now: Timestamp,
}

impl Caller<'_> {
    /// What is declared of the credential.
    pub(in crate::kinds) fn declared(&self) -> Result<std::sync::Arc<Declaration>, NoLease> {
        let name = &self.binding.credential;
        let missing = || NoLease::Never(format!("{name} is not declared in jada.yaml"));
        self.keeper.declaration(name).ok_or_else(missing)
    }

    /// A token.
    pub(in crate::kinds) async fn lease(&self) -> Result<Lease, NoLease> {
        let need = Need { min_ttl: self.binding.min_ttl, scopes: self.binding.scopes.clone() };
        let lease = self.keeper.token(&self.binding.credential, need, &self.whom).await;
        lease.map_err(NoLease::Refused)
    }

    /// Another token instead of one that was refused, or the reason why there is none. `again` says that
    /// the one that was refused was such another one.
    pub(in crate::kinds) async fn instead(
        &self,
        lease: &Lease,
        evidence: Evidence,
        again: bool,
    ) -> Result<Lease, NoLease> {
        let name = &self.binding.credential;
        let newer = self.keeper.refused(name, lease.generation, evidence, again).await;
        newer.map_err(NoLease::Refused)
    }
}

/// Whether a credential may be shown at an address; if not, why.
pub(in crate::kinds) fn may_see(declared: &Declaration, url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    if !declared.may_go_to(host, url.port()) {
        return Err(format!(
            "{host} may not see the credential {}; add it to its `hosts` in jada.yaml",
            declared.name
        ));
    }
    if url.scheme() != "https" && !is_loopback(url) {
        let name = &declared.name;
        return Err(format!("{name} goes over https only, and {host} is asked without"));
    }
    Ok(())
}

/// The headers by which a token is shown.
pub(super) fn shown(
    show: Show<'_>,
    request: &Request,
    url: &Url,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let declared = show.declared;
    let plain = |name: HeaderName, value: &str| {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| format!("{} can't stand in a header", declared.name))?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    match &show.token.value {
        TokenValue::Bearer(token) => {
            Ok(vec![plain(AUTHORIZATION, &format!("Bearer {}", token.expose()))?])
        }
        TokenValue::Basic { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            Ok(vec![plain(AUTHORIZATION, &format!("Basic {pair}"))?])
        }
        TokenValue::Header { name, key } => {
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| format!("`{name}` is no name of a header"))?;
            Ok(vec![plain(header, key.expose())?])
        }
        TokenValue::Aws { access_key_id, secret_access_key, session_token } => {
            let session = session_token.as_ref().map(|token| token.expose().to_owned());
            let keys =
                Credentials::new(access_key_id, secret_access_key.expose(), session, None, "jada");
            signature(keys, request, url, (declared, show.now))?
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::try_from(name.as_str())
                        .map_err(|_| "the signature has an odd header".to_owned())?;
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
    let body = SignableBody::Bytes(request.body.as_deref().unwrap_or_default());
    let signable = SignableRequest::new(request.verb.as_str(), url.as_str(), headers, body);
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
        let url = Url::parse("https://example.amazonaws.com/").expect("an address");
        let request = Request::get(url.clone());
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
