//! Where an issuer's endpoints are, by its own metadata.
//!
//! Owns the two well-known places, and that the metadata must be the issuer's own. Refuses to remember
//! anything: an issuer that moves is followed at the next exchange.

use std::time::Duration;

use oauth2::http::{Request, header};
use oauth2::url::Url;
use serde_json::Value as Json;

use super::World;
use super::client::{Endpoints, is_safe};
use crate::credentials::evidence::Evidence;
use crate::credentials::exchange::{Answer, Reply};
use crate::model::CredentialClass;

/// How long metadata may take: it comes before an exchange, and both under one lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks an issuer for its endpoints.
pub(super) async fn endpoints(issuer: &str, world: &World) -> Result<Endpoints, Evidence> {
    let mut last = None;
    for address in addresses(issuer) {
        let request = Request::builder().uri(&address).header(header::ACCEPT, "application/json");
        let request = request
            .body(Vec::new())
            .map_err(|_| misconfigured(format!("issuer {issuer} is no address")))?;
        match world.wire.send_within(PATIENCE, request).await {
            Reply::NoAnswer { words, .. } => {
                return Err(Evidence::new(CredentialClass::Transient, words));
            }
            Reply::Answer(answer) if answer.status == 200 => return read(&answer, issuer),
            Reply::Answer(answer) => last = Some(refusal(&answer)),
        }
    }
    Err(last.unwrap_or_else(|| misconfigured(format!("issuer {issuer} is no address"))))
}

/// OpenID's place first, which has the issuer's path before it; then that of RFC 8414, which has it after.
fn addresses(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else { return Vec::new() };
    let path = url.path().trim_end_matches('/').to_owned();
    let mut other = url.clone();
    other.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    let mut openid = url;
    openid.set_path(&format!("{path}/.well-known/openid-configuration"));
    vec![openid.into(), other.into()]
}

fn read(answer: &Answer, issuer: &str) -> Result<Endpoints, Evidence> {
    let Ok(metadata) = serde_json::from_slice::<Json>(&answer.body) else {
        let evidence = Evidence::in_answer(CredentialClass::Unintelligible, answer, None);
        return Err(evidence.saying("its metadata is no JSON"));
    };
    let text = |name: &str| metadata[name].as_str().map(str::to_owned);
    let own = text("issuer").unwrap_or_default();
    if own.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(misconfigured(format!("the metadata of {issuer} is that of another issuer")));
    }
    let token = text("token_endpoint").ok_or_else(|| {
        misconfigured(format!("the metadata of {issuer} names no token endpoint"))
    })?;
    let found = Endpoints {
        token,
        authorize: text("authorization_endpoint"),
        device: text("device_authorization_endpoint"),
        revoke: text("revocation_endpoint"),
    };
    let optional = [&found.authorize, &found.device, &found.revoke].into_iter().flatten();
    if optional.chain([&found.token]).all(|address| is_safe(address)) {
        Ok(found)
    } else {
        let words = format!("the metadata of {issuer} leaves https: secrets would go in the clear");
        Err(misconfigured(words))
    }
}

fn refusal(answer: &Answer) -> Evidence {
    let class = match answer.status {
        429 => CredentialClass::RateLimited,
        408 | 500..=599 => CredentialClass::Transient,
        300..=399 => CredentialClass::Unintelligible,
        _ => CredentialClass::ClientMisconfigured,
    };
    Evidence::in_answer(class, answer, None).saying("no metadata of the issuer")
}

fn misconfigured(words: String) -> Evidence {
    Evidence::new(CredentialClass::ClientMisconfigured, words)
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn metadata_is_looked_for_where_both_standards_put_it() {
        assert_eq!(
            addresses("https://id.example.com/tenant/"),
            [
                "https://id.example.com/tenant/.well-known/openid-configuration",
                "https://id.example.com/.well-known/oauth-authorization-server/tenant",
            ]
        );
        assert_eq!(
            addresses("https://id.example.com")[0],
            "https://id.example.com/.well-known/openid-configuration"
        );
        assert!(addresses("no address").is_empty());
    }
}
