//! What `jada.yaml` says of each credential.
//!
//! Owns the declarations as plain data: whom a credential acts for, who issues it, where its secrets are
//! kept, and which hosts may see it. Refuses to hold any secret, and to know how one is got from its
//! place or a token from its provider (`providers/`). How it is written in YAML, `section` says, and
//! `read` makes plain data of that.

mod lint;
mod read;
pub mod section;
pub mod texts;

pub use read::secret_place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::CredentialName;

/// One credential as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What jobs call it.
    pub name: CredentialName,
    /// What it is for, in a line; may be empty.
    pub description: String,
    /// Who issues it, and what for.
    pub provider: Provider,
    /// Hosts that may see it, as they are written: `api.example.com`, `*.example.com`,
    /// `127.0.0.1:8080`. Empty leaves it to the provider's own; see [`Declaration::may_go_to`].
    pub hosts: Vec<String>,
    /// How its record is sealed; `None` keeps it in a file that only its owner can read.
    pub seal: Option<Seal>,
    /// Hash of the declaration in normal form.
    pub revision: u64,
}

/// How a record is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// With age, for the identity that is kept there.
    Age(SecretPlace),
}

/// Where a secret is kept. Relative paths in the YAML have become absolute or start at the folder of
/// `jada.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretPlace {
    /// In a file, whose content it is, one line end at its end left out.
    File(PathBuf),
    /// In a variable of the daemon's environment.
    Env(String),
    /// In a file of this name in `$CREDENTIALS_DIRECTORY`, where systemd puts it.
    Systemd(String),
    /// On the standard output of this program, one line end at its end left out.
    Exec(Vec<String>),
}

/// Who issues a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A person at Google, by consent.
    Google(Google),
    /// A service account at Google, by its key.
    ServiceAccount(ServiceAccount),
    /// Any OAuth 2.0 server.
    OAuth2(OAuth2),
    /// A token, key or password that is issued by hand.
    Static(Static),
    /// A token in the daemon's environment.
    Env(Env),
    /// A token in a file that somebody else renews.
    File(TokenFile),
    /// A program that prints a token.
    Exec(Exec),
    /// Amazon Web Services.
    Aws(Aws),
    /// A GitHub App.
    GithubApp(GithubApp),
}

/// A person at Google, by consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Google {
    /// The account's address; a login with another one is refused.
    pub account: Option<String>,
    /// The OAuth client.
    pub client: GoogleClient,
    /// What is asked for, in full: `https://www.googleapis.com/auth/spreadsheets`.
    pub scopes: Vec<String>,
    /// Whether the consent screen is external and still in testing: grants end after 7 days.
    pub testing: bool,
}

/// An OAuth client at Google.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleClient {
    /// The JSON that Google's console hands out, endpoints included.
    Json(SecretPlace),
    /// Its two values.
    Pair {
        /// The public one.
        id: String,
        /// The other one.
        secret: SecretPlace,
    },
}

/// A service account at Google, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The key as JSON, as Google hands it out, endpoint included.
    pub key: SecretPlace,
    /// The user it acts for, by domain-wide delegation.
    pub subject: Option<String>,
    /// What is asked for, in full.
    pub scopes: Vec<String>,
    /// When the key ends, where that is known.
    pub expires_on: Option<Timestamp>,
}

/// Any OAuth 2.0 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Where its endpoints are found.
    pub server: OAuthServer,
    /// Where a person consents.
    pub auth_url: Option<String>,
    /// Where a device code is got.
    pub device_url: Option<String>,
    /// Where a token is revoked.
    pub revoke_url: Option<String>,
    /// The client.
    pub client_id: String,
    /// Its secret; a public client has none.
    pub client_secret: Option<SecretPlace>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// How tokens are got.
    pub grant: OAuthGrant,
    /// Whether each refresh replaces the refresh token; `None` learns it from the answers.
    pub rotates: Option<bool>,
    /// How the client shows itself.
    pub auth: ClientAuth,
    /// Whom it acts for, for people.
    pub account: Option<String>,
}

/// Where the endpoints of an OAuth server are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuthServer {
    /// In the metadata of this issuer.
    Issuer(String),
    /// The token endpoint is this one, and the others are named beside it.
    TokenUrl(String),
}

/// How tokens are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthGrant {
    /// By a refresh token that a person's consent brought.
    Refresh,
    /// By the client's own identity.
    ClientCredentials,
}

/// How an OAuth client shows itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the body.
    Post,
}

/// A token, key or password that is issued by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Static {
    /// What it is.
    pub secret: StaticSecret,
    /// When it ends, as its issuer said.
    pub expires_on: Option<Timestamp>,
}

/// What a secret is that is issued by hand, by how it is shown to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticSecret {
    /// `Authorization: Bearer …`.
    Bearer(SecretPlace),
    /// `Authorization: Basic …`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: SecretPlace,
    },
    /// A header of its own.
    Header {
        /// Its name.
        name: String,
        /// The key.
        key: SecretPlace,
    },
}

/// A token in the daemon's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// The variable.
    pub variable: String,
}

/// A token in a file that somebody else renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// The file: [`SecretPlace::File`] or [`SecretPlace::Systemd`].
    pub place: SecretPlace,
}

/// A program that prints a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// Amazon Web Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// The keys.
    pub keys: AwsKeys,
    /// The region of the requests; `None` reads it from the host.
    pub region: Option<String>,
    /// The service of the requests; `None` reads it from the host.
    pub service: Option<String>,
    /// When the keys end, where that is known.
    pub expires_on: Option<Timestamp>,
}

/// Keys of Amazon Web Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsKeys {
    /// Each in its place.
    Pair {
        /// The public half; it is kept elsewhere too, since it looks like a secret to every scanner.
        access_key_id: SecretPlace,
        /// The secret half.
        secret_access_key: SecretPlace,
        /// The session's token, for temporary keys.
        session_token: Option<SecretPlace>,
    },
    /// In a file of profiles, such as `~/.aws/credentials`.
    Profile {
        /// The file.
        file: PathBuf,
        /// The profile in it.
        profile: String,
    },
}

/// A GitHub App.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubApp {
    /// The app.
    pub app_id: u64,
    /// Its installation.
    pub installation_id: u64,
    /// Its private key, as PEM.
    pub key: SecretPlace,
    /// The repositories that tokens are good for; empty is all of the installation's.
    pub repositories: Vec<String>,
    /// What tokens may do, such as `contents: read`; empty is all that the app may.
    pub permissions: BTreeMap<String, String>,
    /// The API, without a slash at its end.
    pub api_url: String,
}

impl SecretPlace {
    /// The place in words: `file /etc/jada/key.json`, `variable API_TOKEN`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::File(path) => format!("file {}", path.display()),
            Self::Env(name) => format!("variable {name}"),
            Self::Systemd(name) => format!("systemd credential {name}"),
            Self::Exec(run) => format!("program {}", run.first().map_or("", String::as_str)),
        }
    }
}

impl Provider {
    /// The provider's key in the YAML.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Google(_) => "google",
            Self::ServiceAccount(_) => "google_service_account",
            Self::OAuth2(_) => "oauth2",
            Self::Static(_) => "static",
            Self::Env(_) => "env",
            Self::File(_) => "file",
            Self::Exec(_) => "exec",
            Self::Aws(_) => "aws",
            Self::GithubApp(_) => "github_app",
        }
    }

    /// The scopes that are asked for; `None` where the kind knows none.
    #[must_use]
    pub fn scopes(&self) -> Option<&[String]> {
        match self {
            Self::Google(google) => Some(&google.scopes),
            Self::ServiceAccount(account) => Some(&account.scopes),
            Self::OAuth2(oauth) => Some(&oauth.scopes),
            Self::Static(_)
            | Self::Env(_)
            | Self::File(_)
            | Self::Exec(_)
            | Self::Aws(_)
            | Self::GithubApp(_) => None,
        }
    }

    /// A scope in full, as servers write it: Google's may be shortened to what follows `auth/`.
    #[must_use]
    pub fn scope(&self, text: &str) -> String {
        match self {
            Self::Google(_) | Self::ServiceAccount(_) => texts::google_scope(text),
            _ => text.to_owned(),
        }
    }

    /// What a program gets where that is no access token, with its article: `a pair of keys`.
    #[must_use]
    pub fn hands_out_instead_of_a_token(&self) -> Option<&'static str> {
        match self {
            Self::Aws(_) => Some("a pair of keys"),
            Self::Static(Static { secret: StaticSecret::Basic { .. }, .. }) => {
                Some("a name and a password")
            }
            _ => None,
        }
    }

    /// The hosts that may see its tokens where the declaration names none.
    fn own_hosts(&self) -> &'static [&'static str] {
        match self {
            Self::Google(_) | Self::ServiceAccount(_) => &["*.googleapis.com"],
            Self::Aws(_) => &["*.amazonaws.com"],
            Self::GithubApp(_) => &["api.github.com"],
            _ => &[],
        }
    }
}

impl Declaration {
    /// Whether a request to this host may carry it. Nothing is allowed where nothing is said.
    #[must_use]
    pub fn may_go_to(&self, host: &str, port: Option<u16>) -> bool {
        if self.hosts.is_empty() {
            return self.provider.own_hosts().iter().any(|own| texts::covers(own, host, port));
        }
        self.hosts.iter().any(|allowed| texts::covers(allowed, host, port))
    }

    /// The hosts that may see it, for people.
    #[must_use]
    pub fn allowed_hosts(&self) -> Vec<&str> {
        match self.hosts.as_slice() {
            [] => self.provider.own_hosts().to_vec(),
            hosts => hosts.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
