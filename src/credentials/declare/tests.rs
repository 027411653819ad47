//! What declarations become, and which are refused.

use std::path::Path;
use std::time::Duration;

use super::section::CredentialSection;
use super::*;
use crate::yaml::{Code, Decode, Decoder, Diagnostic, Source, parse};

/// Reads one declaration; the errors come second.
fn read(text: &str) -> (Option<Declaration>, Vec<(Code, String)>) {
    let source = Source::new("jada.yaml", text);
    let (documents, found) = parse(&source);
    assert!(found.is_empty(), "{found:?}");
    let mut cx = Decoder::new(&source);
    let name = CredentialName::parse("test/one").expect("a name");
    let section = CredentialSection::decode(&documents[0].root, &mut cx);
    let declared =
        section.and_then(|section| section.declaration(name, 7, Path::new("/etc/jada"), &mut cx));
    let told = cx.finish().into_iter().filter(Diagnostic::is_error);
    let told = told.map(|told| (told.code, told.message)).collect();
    (declared, told)
}

fn provider(text: &str) -> Provider {
    let (declared, told) = read(text);
    assert_eq!(told, [], "{text}");
    declared.expect("nothing was told").provider
}

fn file(path: &str) -> SecretPlace {
    SecretPlace::File(path.into())
}

#[test]
fn the_contract_of_oauth2() {
    let text = "oauth2: { token_url: 'http://127.0.0.1:9/token', auth_url: 'http://127.0.0.1:9/auth', \
                device_url: 'http://localhost:9/device', client_id: jada, client_secret: { file: s }, \
                scopes: [a] }";
    let want = OAuth2 {
        server: OAuthServer::TokenUrl("http://127.0.0.1:9/token".into()),
        auth_url: Some("http://127.0.0.1:9/auth".into()),
        device_url: Some("http://localhost:9/device".into()),
        revoke_url: None,
        client_id: "jada".into(),
        client_secret: Some(file("/etc/jada/s")),
        scopes: vec!["a".into()],
        grant: OAuthGrant::Refresh,
        rotates: None,
        auth: ClientAuth::Basic,
        account: None,
    };
    assert_eq!(provider(text), Provider::OAuth2(want));
    let public = provider("oauth2: { issuer: https://id.example.com, client_id: jada }");
    let Provider::OAuth2(public) = public else { panic!("{public:?}") };
    assert_eq!(public.server, OAuthServer::Issuer("https://id.example.com".into()));
    assert_eq!((public.auth, public.client_secret), (ClientAuth::Post, None));
}

#[test]
fn google_in_both_ways() {
    let text = "google: { account: ops@example.com, client: { file: client.json }, \
                scopes: [spreadsheets, email], testing: true }";
    let want = Google {
        account: Some("ops@example.com".into()),
        client: GoogleClient::Json(file("/etc/jada/client.json")),
        scopes: vec![
            "https://www.googleapis.com/auth/spreadsheets".into(),
            "https://www.googleapis.com/auth/userinfo.email".into(),
        ],
        testing: true,
    };
    assert_eq!(provider(text), Provider::Google(want));
    let text = "google_service_account: { key: { systemd: sheets.json }, scopes: spreadsheets }";
    let Provider::ServiceAccount(account) = provider(text) else { panic!("another kind") };
    assert_eq!(account.key, SecretPlace::Systemd("sheets.json".into()));
    assert_eq!(account.scopes, ["https://www.googleapis.com/auth/spreadsheets"]);
}

#[test]
fn what_is_issued_by_hand_and_what_others_renew() {
    let bearer = provider("static: { bearer: { env: API_TOKEN }, expires_on: 2027-01-31 }");
    let want = Static {
        secret: StaticSecret::Bearer(SecretPlace::Env("API_TOKEN".into())),
        expires_on: Some("2027-01-31T00:00:00Z".parse().expect("an instant")),
    };
    assert_eq!(bearer, Provider::Static(want));
    let header = provider("static: { header: { name: X-Api-Key, key: { exec: [./key, 1] } } }");
    let want = StaticSecret::Header {
        name: "X-Api-Key".into(),
        key: SecretPlace::Exec(vec!["/etc/jada/./key".into(), "1".into()]),
    };
    assert_eq!(header, Provider::Static(Static { secret: want, expires_on: None }));
    let basic = provider("static: { basic: { user: jada, password: { file: /p } } }");
    assert_eq!(basic.hands_out_instead_of_a_token(), Some("a name and a password"));
    assert_eq!(provider("env: { variable: T }"), Provider::Env(Env { variable: "T".into() }));
    let place = SecretPlace::Systemd("t".into());
    assert_eq!(provider("file: { systemd: t }"), Provider::File(TokenFile { place }));
    let exec = Exec { run: vec!["vault".into(), "read".into()], timeout: Duration::from_secs(30) };
    assert_eq!(provider("exec: { run: [vault, read] }"), Provider::Exec(exec));
}

#[test]
fn amazon_and_github() {
    let text =
        "aws: { access_key_id: { env: ID }, secret_access_key: { env: KEY }, region: eu-west-1 }";
    let Provider::Aws(aws) = provider(text) else { panic!("another kind") };
    let keys = AwsKeys::Pair {
        access_key_id: SecretPlace::Env("ID".into()),
        secret_access_key: SecretPlace::Env("KEY".into()),
        session_token: None,
    };
    assert_eq!((aws.keys, aws.region.as_deref()), (keys, Some("eu-west-1")));
    let Provider::Aws(aws) = provider("aws: { profile: { file: /keys } }") else { panic!() };
    let keys = AwsKeys::Profile { file: "/keys".into(), profile: "default".into() };
    assert_eq!(aws.keys, keys);
    let text = "github_app: { app_id: 1, installation_id: 2, key: { file: app.pem }, \
                repositories: jada, permissions: { contents: read } }";
    let Provider::GithubApp(app) = provider(text) else { panic!("another kind") };
    assert_eq!(app.api_url, "https://api.github.com");
    assert_eq!(app.permissions["contents"], "read");
}

#[test]
fn what_is_refused() {
    let refused = [
        ("{}", Code::NoKindKey),
        ("googel: {}", Code::UnknownKey),
        ("env: { variable: A }\nfile: { path: b }", Code::TwoKindKeys),
        ("env: { variable: 1A }", Code::BadName),
        ("static: { bearer: hunter2-hunter2 }", Code::SecretLiteral),
        ("static: { bearer: { file: a, env: B } }", Code::TwoKindKeys),
        ("static: { bearer: { systemd: ../a } }", Code::BadName),
        ("static: { bearer: { env: A }, expires_on: soon }", Code::BadInstant),
        ("static: { header: { name: 'X Y', key: { env: A } } }", Code::BadName),
        ("oauth2: { token_url: 'http://example.com', client_id: a }", Code::BadAddress),
        ("oauth2: { token_url: 'https://u:p@example.com', client_id: a }", Code::BadAddress),
        ("oauth2: { client_id: a }", Code::NoKindKey),
        (
            "oauth2: { issuer: https://e.com, client_id: a, grant: client_credentials }",
            Code::MissingKey,
        ),
        ("google: { client_id: a, scopes: drive }", Code::MissingKey),
        (
            "google: { client: { file: a }, client_secret: { file: b }, scopes: drive }",
            Code::Contradiction,
        ),
        ("aws: { access_key_id: { env: A } }", Code::MissingKey),
        ("aws: { profile: { file: /k }, session_token: { env: A } }", Code::Contradiction),
        ("exec: { run: [] }", Code::OutOfRange),
        ("env: { variable: A }\nhosts: ['https://example.com/']", Code::BadAddress),
        ("env: { variable: A }\nseal: { age: AGE-SECRET-KEY }", Code::SecretLiteral),
    ];
    for (text, code) in refused {
        let (_, told) = read(text);
        assert_eq!(
            told.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            [code],
            "{text}: {told:?}"
        );
        assert!(told.iter().all(|(_, words)| !words.contains("hunter2")), "{told:?}");
    }
}

#[test]
fn hosts_are_the_providers_own_where_none_is_named() {
    let declared = |text: &str| read(text).0.expect("a good declaration");
    let google = declared("google_service_account: { key: { file: k }, scopes: spreadsheets }");
    assert!(google.may_go_to("sheets.googleapis.com", None));
    assert!(!google.may_go_to("googleapis.com.example.com", None));
    let nobody = declared("env: { variable: A }");
    assert!(!nobody.may_go_to("example.com", None));
    let one = declared("env: { variable: A }\nhosts: '*.example.com'");
    assert!(one.may_go_to("api.example.com", Some(8443)) && !one.may_go_to("example.com", None));
    assert_eq!(one.allowed_hosts(), ["*.example.com"]);
}
