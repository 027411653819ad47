//! What a declaration means for keeping a credential alive.
//!
//! Owns what follows from the kind alone: whether an exchange spends something, whether a token is kept,
//! which clocks run, which files it is made of. Refuses to know how a token is got (`providers/`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::declare::{
    Aws, AwsKeys, Declaration, GoogleClient, Provider, Seal, SecretPlace, StaticSecret,
};
use super::horizon::{DAY, Terms};
use crate::model::{CredentialName, KnownEnd};

/// Google ends a grant that is not used for half a year.
const GOOGLE_IDLE: Duration = DAY.saturating_mul(180);

/// What follows from a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Whose it is.
    pub name: CredentialName,
    /// The provider's word.
    pub provider: &'static str,
    /// The OAuth client's public name: credentials that share it share its fate and its rate limit.
    pub client: Option<String>,
    /// Whether a person's consent is behind it.
    pub has_grant: bool,
    /// Whether each exchange replaces the refresh token; `None` learns it from the answers.
    pub rotates: Option<bool>,
    /// Whether its token is kept on disk; one whose source is at hand is read from there.
    pub keeps_token: bool,
    /// Whether an exchange could show that a passed end has not come.
    pub refreshes: bool,
    /// The clocks that its answers do not tell.
    pub terms: Terms,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Where its secrets are kept, the identity of its seal not among them.
    pub places: Vec<SecretPlace>,
    /// The files that it is made of: a change there is a reason to try again.
    pub sources: Vec<PathBuf>,
}

impl Nature {
    /// What follows from a declaration. `credentials_directory` is where systemd put its own.
    #[must_use]
    pub fn of(declaration: &Declaration, credentials_directory: Option<&Path>) -> Self {
        let provider = &declaration.provider;
        let places: Vec<SecretPlace> = places(provider).into_iter().cloned().collect();
        let seal = declaration.seal.as_ref().map(|Seal::Age(place)| place);
        let file = |place: &SecretPlace| match place {
            SecretPlace::File(path) => Some(path.clone()),
            SecretPlace::Systemd(name) => credentials_directory.map(|dir| dir.join(name)),
            SecretPlace::Env(_) | SecretPlace::Exec(_) => None,
        };
        let mut sources: Vec<PathBuf> = places.iter().chain(seal).filter_map(file).collect();
        if let Provider::Aws(Aws { keys: AwsKeys::Profile { file, .. }, .. }) = provider {
            sources.push(file.clone());
        }
        Self {
            name: declaration.name.clone(),
            provider: provider.key(),
            client: client(provider),
            has_grant: provider.spends_a_grant(),
            rotates: match provider {
                Provider::OAuth2(oauth) => oauth.rotates,
                _ => Some(false),
            },
            keeps_token: !matches!(
                provider,
                Provider::Static(_) | Provider::Env(_) | Provider::File(_) | Provider::Aws(_)
            ),
            refreshes: !matches!(provider, Provider::Static(_) | Provider::Aws(_)),
            terms: terms(provider),
            scopes: provider.scopes().map(<[String]>::to_vec).unwrap_or_default(),
            places,
            sources,
        }
    }
}

impl Nature {
    /// The last characters of the client's public name, enough to tell a few clients apart.
    #[must_use]
    pub fn client_tail(&self) -> Option<String> {
        let client = self.client.as_ref()?;
        let skip = client.chars().count().saturating_sub(8);
        Some(client.chars().skip(skip).collect())
    }
}

/// What names the client in the settings; its public name may be in a file that this does not read.
fn client(provider: &Provider) -> Option<String> {
    match provider {
        Provider::Google(google) => Some(match &google.client {
            GoogleClient::Pair { id, .. } => id.clone(),
            GoogleClient::Json(place) => place.words(),
        }),
        Provider::OAuth2(oauth) => Some(oauth.client_id.clone()),
        Provider::GithubApp(app) => Some(format!("github app {}", app.app_id)),
        Provider::ServiceAccount(_)
        | Provider::Static(_)
        | Provider::Env(_)
        | Provider::File(_)
        | Provider::Exec(_)
        | Provider::Aws(_) => None,
    }
}

fn terms(provider: &Provider) -> Terms {
    let declared = |end: Option<Timestamp>| Terms {
        declared: end.map(|at| KnownEnd { at, clock: "expires_on in jada.yaml".to_owned() }),
        ..Terms::default()
    };
    match provider {
        Provider::Google(google) => {
            Terms { testing: google.testing, idle: Some(GOOGLE_IDLE), declared: None }
        }
        Provider::ServiceAccount(account) => declared(account.expires_on),
        Provider::Static(issued) => declared(issued.expires_on),
        Provider::Aws(aws) => declared(aws.expires_on),
        Provider::OAuth2(_)
        | Provider::Env(_)
        | Provider::File(_)
        | Provider::Exec(_)
        | Provider::GithubApp(_) => Terms::default(),
    }
}

/// Where its secrets are kept.
fn places(provider: &Provider) -> Vec<&SecretPlace> {
    match provider {
        Provider::Google(google) => match &google.client {
            GoogleClient::Json(place) | GoogleClient::Pair { secret: place, .. } => vec![place],
        },
        Provider::ServiceAccount(account) => vec![&account.key],
        Provider::OAuth2(oauth) => oauth.client_secret.iter().collect(),
        Provider::Static(issued) => match &issued.secret {
            StaticSecret::Bearer(place)
            | StaticSecret::Basic { password: place, .. }
            | StaticSecret::Header { key: place, .. } => vec![place],
        },
        Provider::File(file) => vec![&file.place],
        Provider::Aws(aws) => match &aws.keys {
            AwsKeys::Pair { access_key_id, secret_access_key, session_token } => {
                let mut places = vec![access_key_id, secret_access_key];
                places.extend(session_token);
                places
            }
            AwsKeys::Profile { .. } => Vec::new(),
        },
        Provider::GithubApp(app) => vec![&app.key],
        Provider::Env(_) | Provider::Exec(_) => Vec::new(),
    }
}
