//! Taking over a grant from another tool.
//!
//! Owns the forms: authorized-user JSON as gcloud, Google's libraries and gws write it, rclone's sections and
//! tokens, service accounts' keys. What is taken over is untried: a refresh has to show what it is worth.

use serde_json::{Map, Value as Json};

use super::Error;
use crate::credentials::declare::{Declaration, Provider};
use crate::credentials::providers::World;
use crate::credentials::providers::client::Client;
use crate::credentials::record::Grant;
use crate::credentials::secret::Secret;

/// What another tool kept.
#[derive(Debug)]
pub enum Found {
    /// A grant, by its refresh token.
    Grant(Box<FoundGrant>),
    /// The key of a service account. It stays where it is, and is declared.
    ServiceAccount {
        /// The account.
        email: String,
    },
}

/// A grant that another tool kept.
#[derive(Debug)]
pub struct FoundGrant {
    /// The refresh token.
    pub refresh_token: Secret,
    /// The client that it belongs to, where that is said.
    pub client_id: Option<String>,
    /// Whom it acts for, where that is said.
    pub account: Option<String>,
    /// What was granted, where that is said.
    pub scopes: Vec<String>,
}

/// Reads what another tool kept. `section` chooses one of several in rclone's file.
pub fn read(text: &str, section: Option<&str>) -> Result<Found, Error> {
    let text = text.trim();
    let remotes = if text.starts_with('{') {
        let document: Map<String, Json> =
            serde_json::from_str(text).map_err(|_| malformed("this JSON is broken"))?;
        if document.get("type").is_some_and(|kind| kind == "service_account") {
            let email = field(&document, "client_email").unwrap_or_default();
            return Ok(Found::ServiceAccount { email });
        }
        if document.values().all(Json::is_object) && !document.is_empty() {
            document
                .into_iter()
                .filter_map(|(name, remote)| match remote {
                    Json::Object(remote) => Some((name, remote)),
                    _ => None,
                })
                .collect()
        } else {
            return of_document(&document).map(|found| Found::Grant(Box::new(found)));
        }
    } else {
        sections(text)
    };
    let chosen = choose(remotes, section)?;
    of_document(&chosen).map(|found| Found::Grant(Box::new(found)))
}

/// Takes a grant over for a declaration, when it belongs to the same client. Untried: the caller marks it so.
pub async fn adopt(
    found: FoundGrant,
    declaration: &Declaration,
    world: &World,
) -> Result<(Grant, Option<String>), Error> {
    if let Provider::ServiceAccount(_) = declaration.provider {
        return Err(malformed("a service account needs no grant: declare where its key is"));
    }
    let client = Client::of(&declaration.provider, world).await?;
    if let Some(id) = found.client_id.as_ref().filter(|id| **id != client.id) {
        return Err(Error::Malformed(format!(
            "this grant belongs to client {id}, and {} declares client {}: declare that client, or log in",
            declaration.name, client.id
        )));
    }
    let now = world.clock.now();
    let declared = declaration.provider.scopes().unwrap_or_default();
    let scopes = if found.scopes.is_empty() { declared.to_vec() } else { found.scopes };
    let grant = Grant {
        refresh_token: found.refresh_token,
        generation: 0,
        scopes,
        // Nobody tells when the consent was given: the latest that it can have been.
        consented_at: now,
        obtained_at: now,
        ends: Vec::new(),
    };
    Ok((grant, found.account))
}

fn of_document(document: &Map<String, Json>) -> Result<FoundGrant, Error> {
    // rclone keeps its token as a text of JSON inside.
    let inner: Option<Map<String, Json>> = match document.get("token") {
        Some(Json::String(text)) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).ok()
        }
        Some(Json::Object(inner)) => Some(inner.clone()),
        _ => None,
    };
    let refresh = field(document, "refresh_token")
        .or_else(|| inner.as_ref().and_then(|inner| field(inner, "refresh_token")));
    let refresh = refresh.ok_or_else(|| malformed("there is no refresh_token in it"))?;
    let scopes = match document.get("scopes").or_else(|| document.get("scope")) {
        Some(Json::Array(list)) => {
            list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        // rclone's own short names of scopes are nobody else's.
        Some(Json::String(text)) if inner.is_none() => {
            text.split_whitespace().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Ok(FoundGrant {
        refresh_token: Secret::new(refresh),
        client_id: field(document, "client_id"),
        account: field(document, "account").or_else(|| field(document, "email")),
        scopes,
    })
}

fn field(document: &Map<String, Json>, name: &str) -> Option<String> {
    let text = document.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The sections of an INI file, as rclone writes it.
fn sections(text: &str) -> Vec<(String, Map<String, Json>)> {
    let mut sections: Vec<(String, Map<String, Json>)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.to_owned(), Map::new()));
        } else if let (Some((_, section)), Some((key, value))) =
            (sections.last_mut(), line.split_once('='))
        {
            section.insert(key.trim().to_owned(), value.trim().into());
        }
    }
    sections
}

fn choose(
    mut remotes: Vec<(String, Map<String, Json>)>,
    section: Option<&str>,
) -> Result<Map<String, Json>, Error> {
    remotes.retain(|(_, remote)| remote.contains_key("token"));
    if let Some(wanted) = section {
        remotes.retain(|(name, _)| name == wanted);
    }
    match remotes.len() {
        1 => Ok(remotes.remove(0).1),
        0 => Err(malformed(
            "this is none of the files that are known: authorized-user JSON, a service account's key, \
             rclone's configuration",
        )),
        _ => {
            let names: Vec<&str> = remotes.iter().map(|(name, _)| name.as_str()).collect();
            Err(Error::Malformed(format!("choose one of its sections: {}", names.join(", "))))
        }
    }
}

fn malformed(words: &str) -> Error {
    Error::Malformed(words.to_owned())
}
