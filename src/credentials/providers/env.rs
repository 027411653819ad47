//! Tokens in the daemon's environment.
//!
//! Owns that an unset variable is the operator's to mend: the environment of a process never changes.

use super::World;
use crate::credentials::declare::Env;
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::{Minted, Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// Takes the token from its variable.
pub(super) fn mint(env: &Env, world: &World) -> Result<Minted, Evidence> {
    let text = (world.environment)(&env.variable).filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| {
        let words = format!("variable {} is not set in the environment", env.variable);
        Evidence::new(CredentialClass::LocalStore, words)
    })?;
    let value = TokenValue::Bearer(Secret::new(text.trim()));
    let token = Token { value, expires_at: None, scopes: None };
    Ok(Minted { token, refresh_token: None, ends: Vec::new(), account: None, skew: None })
}
