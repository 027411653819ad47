//! Asking for a code: the address to open, and the code that comes back.
//!
//! Owns `state` and PKCE. Refuses to know how the person gets to the address and the code gets back.

use oauth2::url::Url;
use oauth2::{AuthUrl, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};

use super::{Consent, Error, offered, software};
use crate::credentials::declare::{Declaration, Provider};
use crate::credentials::evidence::{Asked, Proof, classify};
use crate::credentials::providers::World;
use crate::credentials::providers::client::Client;
use crate::credentials::secret::Secret;

/// A consent that is asked for. Its verifier stays here: a code alone is of no use to anybody.
#[derive(Debug)]
pub struct Asking {
    client: Client,
    url: Url,
    state: Secret,
    verifier: Secret,
}

impl Asking {
    /// Prepares the question; `more` are scopes besides the declared ones.
    pub async fn new(
        declaration: &Declaration,
        more: &[String],
        world: &World,
    ) -> Result<Self, Error> {
        let client = Client::of(&declaration.provider, world).await?;
        let authorize = offered(client.endpoints.authorize.as_ref(), "a consent", "auth_url")?;
        let authorize = AuthUrl::new(authorize.to_owned())
            .map_err(|_| software("the address for a consent is none"))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let typed = client.typed()?.set_auth_uri(authorize);
        let scopes = scopes(&declaration.provider, more);
        let mut request = typed
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        for (name, value) in extras(&declaration.provider, &scopes) {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        Ok(Self {
            client,
            url,
            state: Secret::new(state.secret().clone()),
            verifier: Secret::new(verifier.secret().clone()),
        })
    }

    /// The address to open, from which the person is sent back to `redirect`.
    pub fn url(&self, redirect: &str) -> String {
        with_redirect(self.url.clone(), redirect)
    }

    /// The address without the place to be sent back to, which another machine will add.
    pub(super) fn open_url(&self) -> &Url {
        &self.url
    }

    /// Whether this is the `state` that was sent along.
    pub(super) fn is_ours(&self, state: &str) -> bool {
        state == self.state.expose()
    }

    /// The code in an address that a browser was sent back to, or in its query alone.
    pub fn code_in(&self, address: &str) -> Result<Secret, Error> {
        let answer = Returned::read(address)?;
        if !answer.state.as_deref().is_some_and(|state| self.is_ours(state)) {
            return Err(Error::OtherLogin);
        }
        answer.code
    }

    /// Trades the code for a grant.
    pub async fn redeem(
        &self,
        code: &Secret,
        redirect: &str,
        declaration: &Declaration,
        world: &World,
    ) -> Result<Consent, Error> {
        let reply = self.client.trade(code, &self.verifier, redirect, world).await?;
        let minted = classify(&reply, Asked { proof: Proof::Consent, spends: false })?;
        Consent::of(minted, declaration, world.clock.now())
    }
}

/// What a browser brought back.
pub(super) struct Returned {
    pub(super) state: Option<String>,
    pub(super) code: Result<Secret, Error>,
}

impl Returned {
    pub(super) fn read(address: &str) -> Result<Self, Error> {
        let malformed = || {
            let words = "this is not the address that the browser was sent to: it begins with \
                         http://127.0.0.1 and has `code=` in it";
            Error::Malformed(words.to_owned())
        };
        let address = address.trim();
        let query = address.split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let pairs = || oauth2::url::form_urlencoded::parse(query.as_bytes());
        let value = |name: &str| pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let code = match (value("code"), value("error")) {
            (Some(code), _) if !code.is_empty() => Ok(Secret::new(code)),
            (_, Some(error)) => Err(Error::Denied(named(&error))),
            _ => return Err(malformed()),
        };
        Ok(Self { state: value("state").map(String::from), code })
    }
}

/// An error's code, as far as it is one: the address may be anything that somebody pasted.
fn named(error: &str) -> String {
    let is_code = error.len() <= 48 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_code { error.to_owned() } else { "for a reason that is no code".to_owned() }
}

/// The address with the place to be sent back to.
pub(super) fn with_redirect(mut url: Url, redirect: &str) -> String {
    // The one that a request is built with stands first; there is none yet.
    url.query_pairs_mut().append_pair("redirect_uri", redirect);
    url.into()
}

/// What a person is asked to allow. Google is asked who they are, too: only so can a login by another
/// account be told.
pub(super) fn scopes(provider: &Provider, more: &[String]) -> Vec<String> {
    let mut scopes = provider.scopes().unwrap_or_default().to_vec();
    scopes.extend(more.iter().map(|scope| provider.scope(scope)));
    if matches!(provider, Provider::Google(_)) {
        scopes.extend(["openid", "email"].map(str::to_owned));
    }
    let mut seen = std::collections::BTreeSet::new();
    scopes.retain(|scope| seen.insert(scope.clone()));
    scopes
}

/// What makes a server hand out a refresh token, and to whom.
fn extras(provider: &Provider, scopes: &[String]) -> Vec<(&'static str, String)> {
    let mut extras = Vec::new();
    if matches!(provider, Provider::Google(_)) {
        extras.push(("access_type", "offline".to_owned()));
        extras.push(("prompt", "consent".to_owned()));
    } else if scopes.iter().any(|scope| scope == "offline_access") {
        // OpenID Connect gives no offline access without a consent.
        extras.push(("prompt", "consent".to_owned()));
    }
    let account = super::declared_account(provider).filter(|account| account.contains('@'));
    extras.extend(account.map(|account| ("login_hint", account.to_owned())));
    extras
}

/// The redirect that a pasted address comes from: a port of this host that nobody listens on.
#[must_use]
pub fn redirect_to(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// Whether a redirect is one that this program can have asked for.
pub(super) fn is_loopback(redirect: &str) -> bool {
    RedirectUrl::new(redirect.to_owned())
        .is_ok_and(|url| url.url().scheme() == "http" && url.url().host_str() == Some("127.0.0.1"))
}
