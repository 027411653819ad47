//! Any OAuth 2.0 server: a refresh token, or the client's own identity.
//!
//! Owns which of them is asked with. Refuses to know vendors.

use super::World;
use super::client::Client;
use crate::credentials::declare::OAuth2;
use crate::credentials::evidence::{Asked, Evidence, Proof, classify};
use crate::credentials::mint::Minted;
use crate::credentials::record::Grant;

/// Spends a refresh token.
pub(super) async fn mint(oauth: &OAuth2, grant: &Grant, world: &World) -> Result<Minted, Evidence> {
    let client = Client::oauth2(oauth, world).await?;
    let reply = client.refresh(&grant.refresh_token, world).await?;
    let asked = Asked { proof: Proof::Consent, spends: oauth.rotates.unwrap_or(true) };
    classify(&reply, asked)
}

/// Asks for the client itself.
pub(super) async fn mint_for_client(oauth: &OAuth2, world: &World) -> Result<Minted, Evidence> {
    let client = Client::oauth2(oauth, world).await?;
    let reply = client.ask(&oauth.scopes, world).await?;
    let minted = classify(&reply, Asked { proof: Proof::Client, spends: false })?;
    // Some servers hand out a refresh token here too. The client's secret is all that is needed.
    Ok(Minted { refresh_token: None, ..minted })
}
