//! OAuth clients: who asks, where, and how a request is put together.
//!
//! Owns the exchanges with a token endpoint, by the `oauth2` crate's requests over our wire: the crate never
//! sees an answer. Refuses to know flows that a person takes part in (`login`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oauth2::basic::BasicClient;
use oauth2::http::{self, Method, Request, header};
use oauth2::url::form_urlencoded::{Serializer, byte_serialize};
use oauth2::url::{Host, Url};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ErrorResponse, HttpRequest, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    Scope, TokenUrl,
};

use super::{World, discovery, place};
use crate::credentials::declare::{ClientAuth, OAuth2, OAuthServer, Provider};
use crate::credentials::evidence::Evidence;
use crate::credentials::exchange::{Carried, Reply};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// An OAuth client with its secret and its server.
#[derive(Clone, Debug)]
pub(in crate::credentials) struct Client {
    /// Its public value.
    pub(in crate::credentials) id: String,
    /// Its secret.
    pub(in crate::credentials) secret: Option<Secret>,
    /// How it shows itself.
    pub(in crate::credentials) auth: ClientAuth,
    /// Where it asks.
    pub(in crate::credentials) endpoints: Endpoints,
}

/// Where an OAuth server is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::credentials) struct Endpoints {
    /// Tokens.
    pub(in crate::credentials) token: String,
    /// A person's consent.
    pub(in crate::credentials) authorize: Option<String>,
    /// A device code.
    pub(in crate::credentials) device: Option<String>,
    /// The end of a token.
    pub(in crate::credentials) revoke: Option<String>,
}

/// A client whose token endpoint alone is set.
pub(in crate::credentials) type Typed =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl Client {
    /// The client of a provider that people consent to, or that asks for itself.
    pub(in crate::credentials) async fn of(
        provider: &Provider,
        world: &World,
    ) -> Result<Self, Evidence> {
        match provider {
            Provider::Google(google) => super::google::client(google, world).await,
            Provider::OAuth2(oauth) => Self::oauth2(oauth, world).await,
            other => {
                let words =
                    format!("`{}` knows no consent: there is nothing to log in to", other.key());
                Err(Evidence::new(CredentialClass::Software, words))
            }
        }
    }

    /// The client of any OAuth server.
    pub(super) async fn oauth2(oauth: &OAuth2, world: &World) -> Result<Self, Evidence> {
        let secret = match &oauth.client_secret {
            Some(place) => Some(place::read(place, world).await?),
            None => None,
        };
        let found = match &oauth.server {
            OAuthServer::TokenUrl(url) => {
                Endpoints { token: url.clone(), authorize: None, device: None, revoke: None }
            }
            OAuthServer::Issuer(issuer) => discovery::endpoints(issuer, world).await?,
        };
        // What is declared beside the issuer counts more than its metadata.
        let endpoints = Endpoints {
            authorize: oauth.auth_url.clone().or(found.authorize),
            device: oauth.device_url.clone().or(found.device),
            revoke: oauth.revoke_url.clone().or(found.revoke),
            ..found
        };
        Ok(Self { id: oauth.client_id.clone(), secret, auth: oauth.auth, endpoints })
    }

    /// Asks with a refresh token. No scopes are sent: those of the consent are meant.
    pub(super) async fn refresh(&self, token: &Secret, world: &World) -> Result<Reply, Evidence> {
        let token = RefreshToken::new(token.expose().to_owned());
        kept(self.typed()?.exchange_refresh_token(&token).request_async(&world.wire).await)
    }

    /// Asks for the client itself.
    pub(super) async fn ask(&self, scopes: &[String], world: &World) -> Result<Reply, Evidence> {
        let scopes = scopes.iter().cloned().map(Scope::new);
        let typed = self.typed()?;
        kept(
            typed.exchange_client_credentials().add_scopes(scopes).request_async(&world.wire).await,
        )
    }

    /// Trades the code that a consent brought.
    pub(in crate::credentials) async fn trade(
        &self,
        code: &Secret,
        verifier: &Secret,
        redirect: &str,
        world: &World,
    ) -> Result<Reply, Evidence> {
        let redirect = RedirectUrl::new(redirect.to_owned());
        let typed = self.typed()?.set_redirect_uri(redirect.map_err(|_| no_address("redirect"))?);
        let asking = typed
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        kept(asking.request_async(&world.wire).await)
    }

    /// A form to one of the endpoints, with the client's own proof in it. For what the crate does not
    /// let us see the reply of, or refuses to send to a loopback address.
    pub(in crate::credentials) async fn post(
        &self,
        endpoint: &str,
        form: &[(&str, &str)],
        world: &World,
    ) -> Reply {
        let mut own = Vec::new();
        let mut building = Request::builder()
            .method(Method::POST)
            .uri(endpoint)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match (&self.secret, self.auth) {
            (Some(secret), ClientAuth::Basic) => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.id), encoded(secret.expose()));
                let value = format!("Basic {}", STANDARD.encode(pair));
                building = building.header(header::AUTHORIZATION, value);
            }
            (secret, _) => {
                own.push(("client_id", self.id.as_str()));
                own.extend(secret.iter().map(|secret| ("client_secret", secret.expose())));
            }
        }
        let mut body = Serializer::new(String::new());
        body.extend_pairs(form).extend_pairs(own);
        send(building.body(body.finish().into_bytes()), world).await
    }

    /// The client as the `oauth2` crate knows it.
    pub(in crate::credentials) fn typed(&self) -> Result<Typed, Evidence> {
        let url = TokenUrl::new(self.endpoints.token.clone()).map_err(|_| no_address("token"))?;
        let auth = match self.auth {
            ClientAuth::Basic => AuthType::BasicAuth,
            ClientAuth::Post => AuthType::RequestBody,
        };
        let client = BasicClient::new(ClientId::new(self.id.clone())).set_token_uri(url);
        let client = client.set_auth_type(auth);
        Ok(match &self.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        })
    }
}

/// Whether secrets may go to an address: https, or this host. Those in `jada.yaml` are looked at there.
pub(super) fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// Sends a request that was built here.
pub(super) async fn send(request: Result<HttpRequest, http::Error>, world: &World) -> Reply {
    match request {
        Ok(request) => world.wire.send(request).await,
        // What can't be built has an address or header that is none; its text may hold a secret.
        Err(_) => {
            Reply::NoAnswer { sent: false, words: "the request can't be put together".to_owned() }
        }
    }
}

/// The reply that the crate carried past its own reading.
pub(in crate::credentials) fn kept<T, E: ErrorResponse + 'static>(
    result: Result<T, RequestTokenError<Carried, E>>,
) -> Result<Reply, Evidence> {
    match result {
        Err(RequestTokenError::Request(Carried(reply))) => Ok(reply),
        // The crate reads no answers here, so that anything else is about the request.
        _ => Err(Evidence::new(CredentialClass::Software, "the request can't be put together")),
    }
}

fn no_address(what: &str) -> Evidence {
    Evidence::new(CredentialClass::ClientMisconfigured, format!("the {what} address is none"))
}
