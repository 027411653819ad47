//! Logging in with a code that is typed in at another device (RFC 8628).
//!
//! Owns the rhythm of asking: never faster than the server says, 5 s slower for good whenever it says so,
//! slower still when it does not answer. Refuses to offer the flow where Google does not.

use std::time::Duration;

use jiff::Timestamp;
use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse};

use super::asking::scopes;
use super::{Consent, Error, offered, software};
use crate::credentials::declare::{Declaration, Provider};
use crate::credentials::evidence::{Asked, DeviceStep, Evidence, Proof, classify, of_device_poll};
use crate::credentials::exchange::Reply;
use crate::credentials::providers::World;
use crate::credentials::providers::client::{Client, kept};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// By how much `slow_down` slows.
const SLOWER: Duration = Duration::from_secs(5);

/// Longest life of a code that is believed.
const CODE_LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest pause between two questions to a server that does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What Google allows by this flow.
const GOOGLE_ALLOWS: &[&str] = &[
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
    "https://www.googleapis.com/auth/youtube",
    "https://www.googleapis.com/auth/youtube.readonly",
];

/// A code that a person types in elsewhere.
#[derive(Debug)]
pub struct DeviceLogin {
    client: Client,
    code: Secret,
    interval: Duration,
    /// What to type in.
    pub user_code: String,
    /// Where.
    pub address: String,
    /// The same with the code in it, where the server gives that.
    pub whole_address: Option<String>,
    /// Until when.
    pub expires_at: Timestamp,
}

impl DeviceLogin {
    /// Gets a code; `more` are scopes besides the declared ones.
    pub async fn start(
        declaration: &Declaration,
        more: &[String],
        world: &World,
    ) -> Result<Self, Error> {
        let scopes = scopes(&declaration.provider, more);
        possible(&declaration.provider, &scopes)?;
        let client = Client::of(&declaration.provider, world).await?;
        let endpoint = offered(client.endpoints.device.as_ref(), "device codes", "device_url")?;
        let endpoint = DeviceAuthorizationUrl::new(endpoint.to_owned())
            .map_err(|_| software("the address for device codes is none"))?;
        let asking = client.typed()?.set_device_authorization_url(endpoint);
        let asking = asking.exchange_device_code().add_scopes(scopes.into_iter().map(Scope::new));
        let reply = kept(
            asking
                .request_async::<_, oauth2::EmptyExtraDeviceAuthorizationFields>(&world.wire)
                .await,
        )?;
        let given = read(&reply)?;
        let now = world.clock.now();
        Ok(Self {
            client,
            code: Secret::new(given.device_code().secret().clone()),
            interval: given.interval().max(Duration::from_secs(1)),
            user_code: given.user_code().secret().clone(),
            address: given.verification_uri().to_string(),
            whole_address: given.verification_uri_complete().map(|uri| uri.secret().clone()),
            expires_at: now.checked_add(given.expires_in().min(CODE_LIFE_MAX)).unwrap_or(now),
        })
    }

    /// Asks until the person has decided, or the code's time is over.
    pub async fn wait(self, declaration: &Declaration, world: &World) -> Result<Consent, Error> {
        let mut interval = self.interval;
        let mut pause = interval;
        loop {
            world.clock.sleep(pause).await;
            if world.clock.now() >= self.expires_at {
                return Err(Error::Expired);
            }
            match of_device_poll(&self.poll(world).await) {
                DeviceStep::Granted(minted) => {
                    return Consent::of(*minted, declaration, world.clock.now());
                }
                DeviceStep::Pending => pause = interval,
                DeviceStep::SlowDown => {
                    interval += SLOWER;
                    pause = interval;
                }
                DeviceStep::BackOff(evidence) => {
                    let doubled = (pause * 2).min(PAUSE_MAX);
                    pause = evidence.retry_after.unwrap_or(doubled).max(interval);
                }
                DeviceStep::Denied(evidence) => {
                    return Err(Error::Denied(evidence.code().unwrap_or_default()));
                }
                DeviceStep::Expired(_) => return Err(Error::Expired),
                DeviceStep::Failed(evidence) => return Err(evidence.into()),
            }
        }
    }

    async fn poll(&self, world: &World) -> Reply {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.code.expose()),
        ];
        self.client.post(&self.client.endpoints.token, &form, world).await
    }
}

/// Whether the flow can bring what is asked for.
fn possible(provider: &Provider, scopes: &[String]) -> Result<(), Error> {
    let allowed = |scope: &&String| GOOGLE_ALLOWS.contains(&scope.as_str());
    match (provider, scopes.iter().find(|scope| !allowed(scope))) {
        (Provider::Google(_), Some(scope)) => Err(Error::NotOffered(format!(
            "Google does not allow {scope} by a device code: use --remote, or a service account"
        ))),
        _ => Ok(()),
    }
}

fn read(reply: &Reply) -> Result<StandardDeviceAuthorizationResponse, Evidence> {
    if let Reply::Answer(answer) = reply
        && answer.status / 100 == 2
        && let Ok(given) = serde_json::from_slice(&answer.body)
    {
        return Ok(given);
    }
    match classify(reply, Asked { proof: Proof::Consent, spends: false }) {
        Err(evidence) => Err(evidence),
        Ok(_) => {
            let words = "the server answers with a token where a device code is asked for";
            Err(Evidence::new(CredentialClass::Unintelligible, words))
        }
    }
}
