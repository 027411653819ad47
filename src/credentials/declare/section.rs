//! Declarations as they are written in `jada.yaml`.
//!
//! Owns their keys and their schema. Refuses to know what becomes of them (`read`), and never takes a
//! secret: only the place where one is kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::texts::{
    AddressText, EndText, HeaderText, HostText, SomeText, SystemdText, VariableText,
};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{OneOrMany, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node, Span, Value, one_of, section, words};

section! {
    /// Whom jobs may act as. Never a secret: only where it is kept.
    pub struct CredentialSection {
        /// What it is for, in a line.
        pub description: Option<String>,
        /// Hosts that may see it, such as `api.example.com` or `*.example.com`: the daemon adds it to
        /// requests to them and to no others. Google's, Amazon's and GitHub's own where it is not given.
        pub hosts: OneOrMany<HostText> = OneOrMany::default(),
        /// How what is kept of it is sealed; where it is not given, only its owner can read the file.
        pub seal: Option<SealSection>,

        one of
        /// Who issues it.
        pub provider: ProviderSection,
    }
}

one_of! {
    /// How what is kept of a credential is sealed.
    pub enum SealSection as "seal" {
        /// With age; here is where its identity is kept.
        age => Age(Place),
    }
}

one_of! {
    /// Who issues a credential.
    pub enum ProviderSection as "provider" {
        /// A person at Google, by consent.
        google => Google(GoogleSection),
        /// A service account at Google, by its key: nothing to consent to, and nothing that expires.
        google_service_account => ServiceAccount(ServiceAccountSection),
        /// Any OAuth 2.0 server.
        oauth2 => OAuth2(OAuth2Section),
        /// A token, key or password that is issued by hand.
        static => Static(StaticSection),
        /// A token in the daemon's environment.
        env => Env(EnvSection),
        /// A token in a file that somebody else renews.
        file => File(FileSection),
        /// A program that prints a token.
        exec => Exec(ExecSection),
        /// Amazon Web Services.
        aws => Aws(AwsSection),
        /// A GitHub App.
        github_app => GithubApp(GithubAppSection),
    }
}

section! {
    /// A person at Google, by consent.
    pub struct GoogleSection {
        /// The account's address; a login with another one is refused.
        pub account: Option<SomeText>,
        /// The client's secret, beside `client_id`.
        pub client_secret: Option<Located<Place>>,
        /// What is asked for; `spreadsheets` stands for `https://www.googleapis.com/auth/spreadsheets`.
        pub scopes: OneOrMany<Located<SomeText>>,
        /// Whether the consent screen is external and still in testing: grants end after 7 days.
        pub testing: Located<bool> = not_testing(),

        one of
        /// The OAuth client.
        pub client: GoogleClientSection,
    }
}

one_of! {
    /// An OAuth client at Google.
    pub enum GoogleClientSection as "client" {
        /// Where the JSON is kept that Google's console hands out for the client.
        client => Json(Place),
        /// The client's public value, beside `client_secret`.
        client_id => Id(Located<SomeText>),
    }
}

section! {
    /// A service account at Google, by its key.
    pub struct ServiceAccountSection {
        /// Where its key is kept, the JSON that Google hands out.
        pub key: Place,
        /// The user it acts for, by domain-wide delegation.
        pub subject: Option<SomeText>,
        /// What is asked for; `spreadsheets` stands for `https://www.googleapis.com/auth/spreadsheets`.
        pub scopes: OneOrMany<Located<SomeText>>,
        /// When the key ends.
        pub expires_on: Option<EndText>,
    }
}

section! {
    /// Any OAuth 2.0 server.
    pub struct OAuth2Section {
        /// Where a person consents.
        pub auth_url: Option<AddressText>,
        /// Where a device code is got.
        pub device_url: Option<AddressText>,
        /// Where a token is revoked.
        pub revoke_url: Option<AddressText>,
        /// The client.
        pub client_id: SomeText,
        /// The client's secret; a public client has none.
        pub client_secret: Option<Place>,
        /// What is asked for.
        pub scopes: OneOrMany<Located<SomeText>> = OneOrMany::default(),
        /// How tokens are got: `refresh`, by a person's consent, where it is not given.
        pub grant: Option<Located<GrantWord>>,
        /// Whether each refresh replaces the refresh token; learnt from the answers where it is not given.
        pub rotates: Option<bool>,
        /// How the client shows itself: `basic`, or `post` for a client without a secret.
        pub auth: Option<AuthWord>,
        /// Whom it acts for, for people.
        pub account: Option<SomeText>,

        one of
        /// The server.
        pub server: ServerSection,
    }
}

one_of! {
    /// Where the endpoints of a server are found.
    pub enum ServerSection as "server" {
        /// In the metadata of this issuer.
        issuer => Issuer(AddressText),
        /// Here: the token endpoint.
        token_url => TokenUrl(AddressText),
    }
}

words! {
    /// How tokens are got.
    pub enum GrantWord {
        /// By a refresh token that a person's consent brought.
        Refresh = "refresh",
        /// By the client's own identity.
        ClientCredentials = "client_credentials",
    }
}

words! {
    /// How a client shows itself at the token endpoint.
    pub enum AuthWord {
        /// In the `Authorization` header.
        Basic = "basic",
        /// In the body.
        Post = "post",
    }
}

section! {
    /// A token, key or password that is issued by hand.
    pub struct StaticSection {
        /// When it ends, as its issuer said.
        pub expires_on: Option<EndText>,

        one of
        /// What it is.
        pub secret: StaticSecretSection,
    }
}

one_of! {
    /// What a secret is that is issued by hand.
    pub enum StaticSecretSection as "form" {
        /// `Authorization: Bearer …`.
        bearer => Bearer(Place),
        /// `Authorization: Basic …`.
        basic => Basic(BasicSection),
        /// A header of its own.
        header => Header(HeaderSection),
    }
}

section! {
    /// A name and a password.
    pub struct BasicSection {
        /// The user's name.
        pub user: SomeText,
        /// Where the password is kept.
        pub password: Place,
    }
}

section! {
    /// A key in a header of its own.
    pub struct HeaderSection {
        /// The header's name, such as `X-Api-Key`.
        pub name: HeaderText,
        /// Where the key is kept.
        pub key: Place,
    }
}

section! {
    /// A token in the daemon's environment.
    pub struct EnvSection {
        /// The variable.
        pub variable: VariableText,
    }
}

one_of! {
    /// A token in a file that somebody else renews.
    pub enum FileSection as "place" {
        /// The file.
        path => Path(SomeText),
        /// The name in `$CREDENTIALS_DIRECTORY`, where systemd puts the file.
        systemd => Systemd(SystemdText),
    }
}

section! {
    /// A program that prints a token.
    pub struct ExecSection {
        /// The program and its arguments. It prints the token alone, or JSON with `access_token` and
        /// `expires_in`, or what AWS calls a credential process.
        pub run: Run,
        /// The longest that it may take: `30s` where it is not given.
        pub timeout: DurationText = DurationText(Duration::from_secs(30)),
    }
}

section! {
    /// Amazon Web Services.
    pub struct AwsSection {
        /// The secret half of the keys, beside `access_key_id`.
        pub secret_access_key: Option<Located<Place>>,
        /// The session's token, for temporary keys.
        pub session_token: Option<Located<Place>>,
        /// The region of the requests; read from the host where it is not given.
        pub region: Option<SomeText>,
        /// The service of the requests, such as `s3`; read from the host where it is not given.
        pub service: Option<SomeText>,
        /// When the keys end.
        pub expires_on: Option<EndText>,

        one of
        /// The keys.
        pub keys: AwsKeysSection,
    }
}

one_of! {
    /// Keys of Amazon Web Services.
    pub enum AwsKeysSection as "keys" {
        /// Where the public half is kept; the secret one stands beside it.
        access_key_id => Pair(Located<Place>),
        /// A profile in a file, such as `~/.aws/credentials`.
        profile => Profile(ProfileSection),
    }
}

section! {
    /// A profile of AWS's own tools.
    pub struct ProfileSection {
        /// The file.
        pub file: SomeText,
        /// The profile in it.
        pub name: SomeText = SomeText("default".to_owned()),
    }
}

section! {
    /// A GitHub App.
    pub struct GithubAppSection {
        /// The app.
        pub app_id: u64,
        /// Its installation.
        pub installation_id: u64,
        /// Where its private key is kept, as PEM.
        pub key: Place,
        /// The repositories that tokens are good for; all of the installation's where it is not given.
        pub repositories: OneOrMany<SomeText> = OneOrMany::default(),
        /// What tokens may do, such as `contents: read`; all that the app may where it is not given.
        pub permissions: BTreeMap<String, SomeText> = BTreeMap::new(),
        /// The API: GitHub's own where it is not given.
        pub api_url: Option<AddressText>,
    }
}

one_of! {
    /// Where a secret is kept.
    pub enum PlaceSection as "place" {
        /// In a file, whose content it is.
        file => File(SomeText),
        /// In a variable of the daemon's environment.
        env => Env(VariableText),
        /// In a file of this name in `$CREDENTIALS_DIRECTORY`, where systemd puts it.
        systemd => Systemd(SystemdText),
        /// On the standard output of this program.
        exec => Exec(Run),
    }
}

fn not_testing() -> Located<bool> {
    Located { value: false, span: Span::default() }
}

/// The keys whose value is a [`Place`]: a text there is a secret that stands in the file.
pub const PLACE_KEYS: &[&str] = &[
    "access_key_id",
    "age",
    "bearer",
    "client",
    "client_secret",
    "key",
    "password",
    "secret_access_key",
    "session_token",
];

/// Where a secret is kept, and nothing else: a text in its place is refused unseen.
#[derive(Clone, Debug, PartialEq)]
pub struct Place(pub PlaceSection);

/// A program and its arguments, of which there is at least the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Run(pub Vec<ScalarText>);

impl Decode for Place {
    const EXPECTS: &'static str = "the place of a secret";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        if let Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) = node.value {
            // Whatever it is, the message must not repeat it.
            let message = "a text stands where only the place of a secret may";
            let help = "write `{ file: PATH }`, `{ env: NAME }`, `{ systemd: NAME }` or \
                        `{ exec: [PROGRAM] }`: jada.yaml says where a secret is kept, never what it is";
            cx.report(Code::SecretLiteral, node.head(cx.source()), message).help(help);
            return None;
        }
        PlaceSection::decode(node, cx).map(Self)
    }

    fn keys() -> Vec<&'static str> {
        PlaceSection::keys()
    }
}

impl JsonSchema for Place {
    fn inline_schema() -> bool {
        PlaceSection::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        PlaceSection::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        PlaceSection::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        PlaceSection::json_schema(generator)
    }
}

impl Decode for Run {
    const EXPECTS: &'static str = "a program and its arguments";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let run = Vec::<ScalarText>::decode(node, cx)?;
        if run.first().is_none_or(|program| program.0.trim().is_empty()) {
            let reported = cx.report(Code::OutOfRange, node.span, "no program is named");
            reported.help("write the program and its arguments, such as [pass, show, api]");
            return None;
        }
        Some(Self(run))
    }
}

impl JsonSchema for Run {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Run".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<ScalarText>::json_schema(generator);
        schema.insert("minItems".to_owned(), 1.into());
        schema
    }
}
