//! Ending a grant on purpose (RFC 7009).
//!
//! Owns the call, the proof that it worked, and what else it ends. Refuses to forget anything: what is kept
//! is the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Error, offered};
use crate::credentials::declare::{Declaration, Google, GoogleClient, Provider};
use crate::credentials::evidence::{Evidence, of_revocation};
use crate::credentials::providers::client::Client;
use crate::credentials::providers::{World, mint};
use crate::credentials::record::Grant;
use crate::model::{CredentialClass, CredentialName};

/// How sure it is that the grant has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A refresh was tried, and refused.
    Proven,
    /// The server said yes, which servers also say to tokens that they never saw.
    Accepted,
}

/// Ends a grant at its server.
pub async fn revoke(
    declaration: &Declaration,
    grant: &Grant,
    world: &World,
) -> Result<Revoked, Error> {
    let client = Client::of(&declaration.provider, world).await?;
    let endpoint = offered(client.endpoints.revoke.as_ref(), "revocation", "revoke_url")?;
    let form = [("token", grant.refresh_token.expose()), ("token_type_hint", "refresh_token")];
    of_revocation(&client.post(endpoint, &form, world).await)?;
    if matches!(declaration.provider, Provider::Google(_)) {
        // It takes Google a while, and a refresh in between would succeed.
        return Ok(Revoked::Accepted);
    }
    match mint(declaration, Some(grant), world).await {
        Err(evidence) if evidence.class == CredentialClass::ReauthRequired => Ok(Revoked::Proven),
        Err(_) => Ok(Revoked::Accepted),
        Ok(_) => {
            let words = "the server took the revocation, and refreshes the grant all the same";
            Err(Evidence::new(CredentialClass::UnclassifiedRefusal, words).into())
        }
    }
}

/// The other credentials that a revocation ends, as far as can be told from the declarations: at Google it
/// ends everything that the account has granted to any client of the same project.
#[must_use]
pub fn also_ends(
    declaration: &Declaration,
    all: &BTreeMap<CredentialName, Arc<Declaration>>,
) -> Vec<CredentialName> {
    let Provider::Google(own) = &declaration.provider else { return Vec::new() };
    let hit = |other: &&Arc<Declaration>| match &other.provider {
        Provider::Google(google) => {
            other.name != declaration.name
                && may_share_an_account(own, google)
                && may_share_a_project(own, google)
        }
        _ => false,
    };
    all.values().filter(hit).map(|other| other.name.clone()).collect()
}

fn may_share_an_account(one: &Google, other: &Google) -> bool {
    match (&one.account, &other.account) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => true,
    }
}

/// A client's id begins with its project's number. Those in files are not known here, and may.
fn may_share_a_project(one: &Google, other: &Google) -> bool {
    let project = |google: &Google| match &google.client {
        GoogleClient::Pair { id, .. } => id.split_once('-').map(|(number, _)| number.to_owned()),
        GoogleClient::Json(_) => None,
    };
    match (project(one), project(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
