//! From the keys of a declaration to plain data.
//!
//! Owns what two keys of one declaration may not say together, and where relative paths start. Refuses
//! to know the keys' forms (`section`).

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::lint;
use super::section::{
    AuthWord, AwsKeysSection, AwsSection, CredentialSection, FileSection, GithubAppSection,
    GoogleClientSection, GoogleSection, GrantWord, OAuth2Section, Place, PlaceSection,
    ProviderSection, Run, SealSection, ServerSection, ServiceAccountSection, StaticSecretSection,
    StaticSection,
};
use super::texts::{AddressText, EndText, SomeText, google_scope};
use super::{
    Aws, AwsKeys, ClientAuth, Declaration, Env, Exec, GithubApp, Google, GoogleClient, OAuth2,
    OAuthGrant, OAuthServer, Provider, Seal, SecretPlace, ServiceAccount, Static, StaticSecret,
    TokenFile,
};
use crate::model::CredentialName;
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Code, Decoder, Located};

/// What a declaration becomes: relative paths start at `root`, mistakes go to `cx`.
struct Reading<'a> {
    /// The folder of `jada.yaml`.
    root: &'a Path,
    /// Where mistakes go.
    cx: &'a mut Decoder,
}

impl CredentialSection {
    /// The declaration; `None` where two of its keys contradict each other, which is told. `revision` is
    /// the hash of how it is written, and `root` the folder that relative paths start at.
    pub fn declaration(
        &self,
        name: CredentialName,
        revision: u64,
        root: &Path,
        cx: &mut Decoder,
    ) -> Option<Declaration> {
        lint::provider(&self.provider, cx);
        let mut reading = Reading { root, cx };
        let seal =
            self.seal.as_ref().map(|SealSection::Age(place)| Seal::Age(reading.place(place)));
        Some(Declaration {
            name,
            description: self.description.clone().unwrap_or_default(),
            provider: reading.provider(&self.provider)?,
            hosts: self.hosts.0.iter().map(|host| host.0.clone()).collect(),
            seal,
            revision,
        })
    }
}

/// The place of a secret, wherever else in the settings it stands; `root` is the folder that relative paths
/// start at.
pub fn secret_place(place: &Place, root: &Path, cx: &mut Decoder) -> SecretPlace {
    Reading { root, cx }.place(place)
}

impl Reading<'_> {
    fn provider(&mut self, section: &ProviderSection) -> Option<Provider> {
        Some(match section {
            ProviderSection::Google(google) => Provider::Google(self.google(google)?),
            ProviderSection::ServiceAccount(account) => {
                Provider::ServiceAccount(self.service_account(account))
            }
            ProviderSection::OAuth2(oauth) => Provider::OAuth2(self.oauth2(oauth)?),
            ProviderSection::Static(section) => Provider::Static(self.issued(section)),
            ProviderSection::Env(env) => Provider::Env(Env { variable: env.variable.0.clone() }),
            ProviderSection::File(file) => Provider::File(TokenFile {
                place: match file {
                    FileSection::Path(path) => SecretPlace::File(self.path(&path.0)),
                    FileSection::Systemd(name) => SecretPlace::Systemd(name.0.clone()),
                },
            }),
            ProviderSection::Exec(exec) => {
                Provider::Exec(Exec { run: self.run(&exec.run), timeout: exec.timeout.0 })
            }
            ProviderSection::Aws(aws) => Provider::Aws(self.aws(aws)?),
            ProviderSection::GithubApp(app) => Provider::GithubApp(self.github_app(app)),
        })
    }

    fn google(&mut self, section: &GoogleSection) -> Option<Google> {
        let client = match (&section.client, &section.client_secret) {
            (GoogleClientSection::Json(place), None) => GoogleClient::Json(self.place(place)),
            (GoogleClientSection::Json(_), Some(secret)) => {
                let message = "`client` and `client_secret` both say the client's secret";
                let help = "remove `client_secret`: the client's JSON holds it";
                self.cx.report(Code::Contradiction, secret.span, message).help(help);
                return None;
            }
            (GoogleClientSection::Id(id), Some(secret)) => {
                GoogleClient::Pair { id: id.0.clone(), secret: self.place(&secret.value) }
            }
            (GoogleClientSection::Id(id), None) => {
                let help = "add `client_secret:` with the place where it is kept";
                let message = "`client_id` is there, and the key `client_secret` is missing";
                self.cx.report(Code::MissingKey, id.span, message).help(help);
                return None;
            }
        };
        Some(Google {
            account: section.account.as_ref().map(|account| account.0.clone()),
            client,
            scopes: google_scopes(&section.scopes),
            testing: section.testing.value,
        })
    }

    fn service_account(&self, section: &ServiceAccountSection) -> ServiceAccount {
        ServiceAccount {
            key: self.place(&section.key),
            subject: section.subject.as_ref().map(|subject| subject.0.clone()),
            scopes: google_scopes(&section.scopes),
            expires_on: moment(section.expires_on),
        }
    }

    fn oauth2(&mut self, section: &OAuth2Section) -> Option<OAuth2> {
        let grant = match section.grant.as_ref().map(|grant| grant.value) {
            None | Some(GrantWord::Refresh) => OAuthGrant::Refresh,
            Some(GrantWord::ClientCredentials) => OAuthGrant::ClientCredentials,
        };
        if let (OAuthGrant::ClientCredentials, None, Some(at)) =
            (grant, &section.client_secret, &section.grant)
        {
            let message = "the client is to act by its own identity, and has no secret to prove it";
            let help = "add `client_secret:` with the place where it is kept";
            self.cx.report(Code::MissingKey, at.span, message).help(help);
            return None;
        }
        let auth = match section.auth {
            Some(AuthWord::Basic) => ClientAuth::Basic,
            None if section.client_secret.is_some() => ClientAuth::Basic,
            Some(AuthWord::Post) | None => ClientAuth::Post,
        };
        Some(OAuth2 {
            server: match &section.server {
                ServerSection::Issuer(url) => OAuthServer::Issuer(url.0.clone()),
                ServerSection::TokenUrl(url) => OAuthServer::TokenUrl(url.0.clone()),
            },
            auth_url: address(section.auth_url.as_ref()),
            device_url: address(section.device_url.as_ref()),
            revoke_url: address(section.revoke_url.as_ref()),
            client_id: section.client_id.0.clone(),
            client_secret: section.client_secret.as_ref().map(|place| self.place(place)),
            scopes: section.scopes.0.iter().map(|scope| scope.value.0.clone()).collect(),
            grant,
            rotates: section.rotates,
            auth,
            account: section.account.as_ref().map(|account| account.0.clone()),
        })
    }

    fn issued(&self, section: &StaticSection) -> Static {
        let secret = match &section.secret {
            StaticSecretSection::Bearer(place) => StaticSecret::Bearer(self.place(place)),
            StaticSecretSection::Basic(basic) => StaticSecret::Basic {
                user: basic.user.0.clone(),
                password: self.place(&basic.password),
            },
            StaticSecretSection::Header(header) => {
                StaticSecret::Header { name: header.name.0.clone(), key: self.place(&header.key) }
            }
        };
        Static { secret, expires_on: moment(section.expires_on) }
    }

    fn aws(&mut self, section: &AwsSection) -> Option<Aws> {
        let keys = match (&section.keys, &section.secret_access_key) {
            (AwsKeysSection::Pair(id), Some(secret)) => AwsKeys::Pair {
                access_key_id: self.place(&id.value),
                secret_access_key: self.place(&secret.value),
                session_token: section.session_token.as_ref().map(|token| self.place(&token.value)),
            },
            (AwsKeysSection::Pair(id), None) => {
                let message = "`access_key_id` is there, and `secret_access_key` is missing";
                let help = "add `secret_access_key:` with the place where it is kept";
                self.cx.report(Code::MissingKey, id.span, message).help(help);
                return None;
            }
            (AwsKeysSection::Profile(profile), secret) => {
                if let Some(beside) = secret.as_ref().or(section.session_token.as_ref()) {
                    let message = "the keys are in the profile already";
                    self.cx
                        .report(Code::Contradiction, beside.span, message)
                        .help("remove this one");
                    return None;
                }
                AwsKeys::Profile {
                    file: self.path(&profile.file.0),
                    profile: profile.name.0.clone(),
                }
            }
        };
        Some(Aws {
            keys,
            region: section.region.as_ref().map(|region| region.0.clone()),
            service: section.service.as_ref().map(|service| service.0.clone()),
            expires_on: moment(section.expires_on),
        })
    }

    fn github_app(&self, section: &GithubAppSection) -> GithubApp {
        let url = section.api_url.as_ref().map_or("https://api.github.com", |url| url.0.as_str());
        let permissions = section.permissions.iter();
        GithubApp {
            app_id: section.app_id,
            installation_id: section.installation_id,
            key: self.place(&section.key),
            repositories: section.repositories.0.iter().map(|name| name.0.clone()).collect(),
            permissions: permissions.map(|(what, how)| (what.clone(), how.0.clone())).collect(),
            api_url: url.trim_end_matches('/').to_owned(),
        }
    }

    fn place(&self, place: &Place) -> SecretPlace {
        match &place.0 {
            PlaceSection::File(path) => SecretPlace::File(self.path(&path.0)),
            PlaceSection::Env(name) => SecretPlace::Env(name.0.clone()),
            PlaceSection::Systemd(name) => SecretPlace::Systemd(name.0.clone()),
            PlaceSection::Exec(run) => SecretPlace::Exec(self.run(run)),
        }
    }

    /// A program; one with a slash in it is a path, and one without is looked for in `PATH`.
    fn run(&self, run: &Run) -> Vec<String> {
        let mut run: Vec<String> = run.0.iter().map(|text| text.0.clone()).collect();
        if let Some(program) = run.first_mut().filter(|program| program.contains('/')) {
            *program = self.path(program).to_string_lossy().into_owned();
        }
        run
    }

    /// A path as it stands there; `~/` is the daemon's home.
    fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.root.join(text),
        }
    }
}

fn google_scopes(scopes: &OneOrMany<Located<SomeText>>) -> Vec<String> {
    scopes.0.iter().map(|scope| google_scope(&scope.value.0)).collect()
}

fn address(text: Option<&AddressText>) -> Option<String> {
    text.map(|text| text.0.clone())
}

fn moment(text: Option<EndText>) -> Option<Timestamp> {
    text.map(|text| text.0)
}
