//! Who issues tokens, one file each.
//!
//! Owns [`mint`]: a token from what is declared and, where a person consented, from the grant. Refuses to
//! know what is kept, who waits for it and how often it is tried.

mod assertion;
pub mod aws;
pub(super) mod client;
mod discovery;
mod env;
mod exec;
mod file;
mod fixed;
mod github_app;
mod google;
mod google_service_account;
mod oauth2;
mod place;
mod printed;
mod program;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use place::read as read_place;

use super::declare::{Declaration, OAuthGrant, Provider};
use super::evidence::Evidence;
use super::exchange::Wire;
use super::mint::Minted;
use super::record::Grant;
use crate::clock::{Clock, SystemClock};
use crate::model::CredentialClass;

/// How long something is taken to be good that does not say so: it is looked at again then.
const LIFE_UNSAID: Duration = Duration::from_secs(60 * 60);

/// What providers see of the world.
pub struct World {
    /// The way to token endpoints.
    pub wire: Wire,
    /// The reader of time.
    pub clock: Arc<dyn Clock>,
    /// The process's environment.
    pub environment: Environment,
}

/// Looks a variable up.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl World {
    /// The world as it is, by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let environment: Environment = Arc::new(|name| std::env::var(name).ok());
        Self { wire: Wire::new(Arc::clone(&clock)), clock, environment }
    }

    /// The world as it is.
    #[must_use]
    pub fn real() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// Gets a token. A provider that spends a grant needs one; the others take no notice of it.
pub async fn mint(
    declaration: &Declaration,
    grant: Option<&Grant>,
    world: &World,
) -> Result<Minted, Evidence> {
    let consent = || {
        grant.ok_or_else(|| {
            let words =
                format!("nobody has logged in yet: jadactl auth login {}", declaration.name);
            Evidence::new(CredentialClass::ReauthRequired, words)
        })
    };
    match &declaration.provider {
        Provider::Google(google) => google::mint(google, consent()?, world).await,
        Provider::ServiceAccount(account) => google_service_account::mint(account, world).await,
        Provider::OAuth2(oauth) if oauth.grant == OAuthGrant::ClientCredentials => {
            oauth2::mint_for_client(oauth, world).await
        }
        Provider::OAuth2(oauth) => oauth2::mint(oauth, consent()?, world).await,
        Provider::Static(fixed) => fixed::mint(fixed, world).await,
        Provider::Env(env) => env::mint(env, world),
        Provider::File(file) => file::mint(file, world).await,
        Provider::Exec(exec) => exec::mint(exec, world).await,
        Provider::Aws(aws) => aws::mint(aws, world).await,
        Provider::GithubApp(app) => github_app::mint(app, world).await,
    }
}

impl Provider {
    /// Whether a person has to consent, and a token comes from that consent.
    #[must_use]
    pub fn spends_a_grant(&self) -> bool {
        match self {
            Self::Google(_) => true,
            Self::OAuth2(oauth) => oauth.grant == OAuthGrant::Refresh,
            _ => false,
        }
    }
}

/// A moment that lies `time` ahead.
fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// Refuses to use what is past the end that an operator declared.
fn not_ended(end: Option<Timestamp>, now: Timestamp) -> Result<(), Evidence> {
    match end {
        Some(at) if at <= now => {
            let words = format!("it ended at {at}, as `expires_on` says");
            Err(Evidence::new(CredentialClass::Expired, words))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests;
