//! A person at Google.
//!
//! Owns Google's endpoints and the form of its client files. Refuses to rotate: a refresh brings no refresh
//! token. The ends that Google sets without saying so are among the clocks of `horizon`.

use serde_json::Value as Json;

use super::client::{Client, Endpoints, is_safe};
use super::{World, place};
use crate::credentials::declare::{ClientAuth, Google, GoogleClient, SecretPlace};
use crate::credentials::evidence::{Asked, Evidence, Proof, classify};
use crate::credentials::mint::Minted;
use crate::credentials::record::Grant;
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

const AUTHORIZE: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const TOKEN: &str = "https://oauth2.googleapis.com/token";
const DEVICE: &str = "https://oauth2.googleapis.com/device/code";
const REVOKE: &str = "https://oauth2.googleapis.com/revoke";

/// Spends nothing: the same refresh token is good again and again.
pub(super) async fn mint(
    google: &Google,
    grant: &Grant,
    world: &World,
) -> Result<Minted, Evidence> {
    let client = client(google, world).await?;
    let reply = client.refresh(&grant.refresh_token, world).await?;
    classify(&reply, Asked { proof: Proof::Consent, spends: false })
}

/// The client, with its secret.
pub(super) async fn client(google: &Google, world: &World) -> Result<Client, Evidence> {
    let (id, secret, endpoints) = match &google.client {
        GoogleClient::Pair { id, secret } => {
            (id.clone(), place::read(secret, world).await?, own_endpoints())
        }
        GoogleClient::Json(place) => read(place, &place::read(place, world).await?)?,
    };
    Ok(Client { id, secret: Some(secret), auth: ClientAuth::Post, endpoints })
}

fn own_endpoints() -> Endpoints {
    let own = |text: &str| Some(text.to_owned());
    Endpoints {
        token: TOKEN.to_owned(),
        authorize: own(AUTHORIZE),
        device: own(DEVICE),
        revoke: own(REVOKE),
    }
}

/// Reads the JSON that Google's console hands out for a client.
fn read(place: &SecretPlace, text: &Secret) -> Result<(String, Secret, Endpoints), Evidence> {
    let problem = |words: &str| {
        let words = format!("{} {words}", place.words());
        Evidence::new(CredentialClass::LocalStore, words)
    };
    let document: Json = serde_json::from_str(text.expose())
        .map_err(|_| problem("is no JSON: download the client again from Google's console"))?;
    if document["type"] == "service_account" {
        return Err(problem("is a service account's key: declare it as google_service_account"));
    }
    let client = [&document["installed"], &document["web"], &document]
        .into_iter()
        .find(|part| part["client_id"].is_string())
        .ok_or_else(|| problem("has no client_id in it"))?;
    let text = |name: &str| client[name].as_str().map(str::to_owned);
    let id = text("client_id").unwrap_or_default();
    let secret = text("client_secret").ok_or_else(|| problem("has no client_secret in it"))?;
    let own = own_endpoints();
    let endpoints = match text("token_uri") {
        // A client of another server than Google's own has its revocation there too, if any.
        Some(token) if token != own.token => Endpoints {
            token,
            authorize: text("auth_uri"),
            device: text("device_uri"),
            revoke: text("revoke_uri"),
        },
        _ => own,
    };
    if !is_safe(&endpoints.token) {
        return Err(problem("has a token_uri without https"));
    }
    Ok((id, Secret::new(secret), endpoints))
}
