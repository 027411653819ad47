//! A service account at Google.
//!
//! Owns the statement that its key signs. Nobody consents, and nothing expires but the key.

use std::time::Duration;

use jiff::SignedDuration;
use oauth2::http::{Method, Request, header};
use oauth2::url::form_urlencoded::Serializer;
use serde_json::{Value as Json, json};

use super::client::{is_safe, send};
use super::{World, assertion, not_ended, place};
use crate::credentials::declare::ServiceAccount;
use crate::credentials::evidence::{Asked, Evidence, Proof, classify};
use crate::credentials::mint::Minted;
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

const TOKEN: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A statement is signed as of a little earlier, so that a clock that is ahead does no harm.
const EARLIER: SignedDuration = SignedDuration::from_secs(30);

/// Longest life of a statement that Google takes.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// The parts of a key file that are needed.
struct Key {
    email: String,
    id: Option<String>,
    pem: Secret,
    endpoint: String,
}

/// Signs a statement, and trades it for a token.
pub(super) async fn mint(account: &ServiceAccount, world: &World) -> Result<Minted, Evidence> {
    let now = world.clock.now();
    not_ended(account.expires_on, now)?;
    let key = read(account, world).await?;
    let scopes = account.scopes.join(" ");
    let issued = now.checked_sub(EARLIER).unwrap_or(now).as_second();
    let mut claims = json!({
        "iss": key.email,
        "scope": scopes,
        "aud": key.endpoint,
        "iat": issued,
        "exp": issued + i64::try_from(LIFE.as_secs()).expect("an hour fits"),
    });
    if let Some(subject) = &account.subject {
        claims["sub"] = subject.as_str().into();
    }
    let statement = assertion::sign(&claims, key.id.as_deref(), &key.pem, &key.email)?;
    let form = [("grant_type", GRANT), ("assertion", statement.expose())];
    let body = Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(&key.endpoint)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes());
    let reply = send(request, world).await;
    let acts_for = account.subject.clone().unwrap_or_else(|| key.email.clone());
    match classify(&reply, Asked { proof: Proof::Assertion, spends: false }) {
        Ok(minted) => Ok(Minted { refresh_token: None, account: Some(acts_for), ..minted }),
        Err(evidence) if evidence.error.as_deref() == Some("unauthorized_client") => {
            let email = &key.email;
            Err(evidence.saying(&format!("allow {email} to act for {acts_for} with {scopes}")))
        }
        Err(evidence) => Err(evidence),
    }
}

async fn read(account: &ServiceAccount, world: &World) -> Result<Key, Evidence> {
    let text = place::read(&account.key, world).await?;
    let problem = |words: &str| {
        let words = format!("{} {words}", account.key.words());
        Evidence::new(CredentialClass::LocalStore, words)
    };
    let document: Json = serde_json::from_str(text.expose())
        .map_err(|_| problem("is no JSON: take the key as Google hands it out"))?;
    let field = |name: &str| {
        let found = document[name].as_str().map(str::to_owned);
        found
            .ok_or_else(|| problem(&format!("has no {name} in it: is it a service account's key?")))
    };
    let endpoint = document["token_uri"].as_str().unwrap_or(TOKEN).to_owned();
    if !is_safe(&endpoint) {
        return Err(problem("has a token_uri without https"));
    }
    Ok(Key {
        email: field("client_email")?,
        pem: Secret::new(field("private_key")?),
        id: document["private_key_id"].as_str().map(str::to_owned),
        endpoint,
    })
}
