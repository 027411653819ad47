//! Tokens, keys and passwords that are issued by hand: the provider `static`.
//!
//! Owns that `expires_on` is an end like any other. Refuses to guess one.

use super::{LIFE_UNSAID, World, after, not_ended, place};
use crate::credentials::declare::{SecretPlace, Static, StaticSecret};
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::{Minted, Token, TokenValue};

/// Reads the secret from its place.
pub(super) async fn mint(fixed: &Static, world: &World) -> Result<Minted, Evidence> {
    let now = world.clock.now();
    not_ended(fixed.expires_on, now)?;
    let (place, value) = match &fixed.secret {
        StaticSecret::Bearer(place) => {
            (place, TokenValue::Bearer(place::read(place, world).await?))
        }
        StaticSecret::Basic { user, password } => {
            let secret = place::read(password, world).await?;
            (password, TokenValue::Basic { user: user.clone(), password: secret })
        }
        StaticSecret::Header { name, key } => {
            let secret = place::read(key, world).await?;
            (key, TokenValue::Header { name: name.clone(), key: secret })
        }
    };
    // Files are watched. What a program prints is seen to have changed only by running it again.
    let look_again = matches!(place, SecretPlace::Exec(_)).then(|| after(now, LIFE_UNSAID));
    let expires_at = look_again.into_iter().chain(fixed.expires_on).min();
    let token = Token { value, expires_at, scopes: None };
    Ok(Minted { token, refresh_token: None, ends: Vec::new(), account: None, skew: None })
}
