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
use super::record::Record;
use crate::model::{CredentialName, KnownEnd, Standing};

/// Google ends a grant that is not used for half a year.
const GOOGLE_IDLE: Duration = DAY.saturating_mul(180);

/// How long all exchanges of one turn take at most. There are three where an answer is lost, each of a
/// program for the client's secret (30 s), the issuer's metadata (2 × 10 s) and the request (30 s).
const TURN: Duration = Duration::from_secs(3 * 80);

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
    /// How long a program may take that its token comes from; zero where none does.
    pub program: Duration,
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
            program: match provider {
                Provider::Exec(exec) => exec.timeout,
                _ => Duration::ZERO,
            },
            places,
            sources,
        }
    }
}

impl Nature {
    /// Whether a record is about this: one of another kind is, where it holds something that must not be lost.
    #[must_use]
    pub fn concerns(&self, record: &Record) -> bool {
        let holds = record.grant.is_some() || record.token.is_some();
        holds || record.provider == self.provider
    }

    /// Longest wait for another process that holds the lock: more than its turn takes.
    #[must_use]
    pub fn patience(&self) -> Duration {
        TURN.saturating_add(self.program).saturating_add(Duration::from_secs(60))
    }

    /// The one command that mends it. Where nobody can log in, that is another try, once its words are
    /// followed.
    #[must_use]
    pub fn mend(&self, standing: &Standing) -> Option<String> {
        standing.mend(&self.name, self.has_grant)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::declare::{
        Aws, ClientAuth, Env, Exec, GithubApp, Google, OAuth2, OAuthGrant, OAuthServer,
        ServiceAccount, Static, TokenFile,
    };

    fn file(path: &str) -> SecretPlace {
        SecretPlace::File(path.into())
    }

    fn oauth(grant: OAuthGrant, rotates: Option<bool>) -> Provider {
        Provider::OAuth2(OAuth2 {
            server: OAuthServer::TokenUrl("https://example.com/token".into()),
            auth_url: None,
            device_url: None,
            revoke_url: None,
            client_id: "abcdefghijklmnop".into(),
            client_secret: Some(file("/secret")),
            scopes: vec!["a".into()],
            grant,
            rotates,
            auth: ClientAuth::Basic,
            account: None,
        })
    }

    fn nature(provider: Provider) -> Nature {
        let declaration = Declaration {
            name: CredentialName::parse("a/b").unwrap(),
            description: String::new(),
            provider,
            hosts: Vec::new(),
            seal: Some(Seal::Age(SecretPlace::Systemd("identity".into()))),
            revision: 1,
        };
        Nature::of(&declaration, Some(Path::new("/run/credentials")))
    }

    #[test]
    fn each_provider_has_its_own() {
        let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let google = Provider::Google(Google {
            account: None,
            client: GoogleClient::Json(file("/client")),
            scopes: vec!["s".into()],
            testing: true,
        });
        let account = Provider::ServiceAccount(ServiceAccount {
            key: file("/key"),
            subject: None,
            scopes: Vec::new(),
            expires_on: Some(end),
        });
        let fixed = Provider::Static(Static {
            secret: StaticSecret::Bearer(SecretPlace::Systemd("key".into())),
            expires_on: Some(end),
        });
        let aws = Provider::Aws(Aws {
            keys: AwsKeys::Profile { file: "/aws".into(), profile: "p".into() },
            region: None,
            service: None,
            expires_on: None,
        });
        let app = Provider::GithubApp(GithubApp {
            app_id: 7,
            installation_id: 8,
            key: file("/pem"),
            repositories: Vec::new(),
            permissions: std::collections::BTreeMap::new(),
            api_url: "https://api.github.com".into(),
        });
        let exec = Provider::Exec(Exec { run: vec!["op".into()], timeout: Duration::ZERO });
        let token = Provider::File(TokenFile { place: file("/token") });
        // Whether a grant is behind it, its token is kept, a passed end is a guess; and its own file.
        let cases = [
            (google, true, true, true, Some("/client")),
            (oauth(OAuthGrant::Refresh, None), true, true, true, Some("/secret")),
            (oauth(OAuthGrant::ClientCredentials, None), false, true, true, Some("/secret")),
            (account, false, true, true, Some("/key")),
            (app, false, true, true, Some("/pem")),
            (exec, false, true, true, None),
            (fixed, false, false, false, Some("/run/credentials/key")),
            (aws, false, false, false, Some("/aws")),
            (token, false, false, true, Some("/token")),
            (Provider::Env(Env { variable: "V".into() }), false, false, true, None),
        ];
        for (provider, has_grant, keeps_token, refreshes, own) in cases {
            let nature = nature(provider);
            let found = (nature.has_grant, nature.keeps_token, nature.refreshes);
            assert_eq!(found, (has_grant, keeps_token, refreshes), "{}", nature.provider);
            let mut sources: Vec<PathBuf> = own.map(PathBuf::from).into_iter().collect();
            sources.push("/run/credentials/identity".into());
            sources.sort();
            let mut found = nature.sources.clone();
            found.sort();
            assert_eq!(found, sources, "{}", nature.provider);
        }
    }

    #[test]
    fn rotation_and_clients_are_told_by_the_settings() {
        let rotates = |declared| nature(oauth(OAuthGrant::Refresh, declared)).rotates;
        assert_eq!([rotates(None), rotates(Some(true))], [None, Some(true)]);
        let nature = nature(oauth(OAuthGrant::Refresh, None));
        assert_eq!(nature.client_tail().as_deref(), Some("ijklmnop"));
    }
}
