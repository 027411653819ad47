//! Each provider against the token server in this process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::clock::SimClock;
use crate::credentials::declare::*;
use crate::credentials::fake::{CLIENT, Fake, Fault, PUBLIC, SECRET};
use crate::credentials::mint::TokenValue;
use crate::credentials::secret::Secret;
use crate::model::{CredentialName, KnownEnd};

mod places;

pub(super) const RSA_PKCS1: &str = include_str!("../../../tests/keys/rsa-pkcs1.pem");
pub(super) const RSA_PKCS8: &str = include_str!("../../../tests/keys/rsa-pkcs8.pem");

/// A server, a world around it and a folder for secrets.
pub(in crate::credentials) struct Stage {
    pub(in crate::credentials) fake: Fake,
    pub(in crate::credentials) clock: SimClock,
    pub(in crate::credentials) world: World,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(in crate::credentials) fn new() -> Self {
        let clock = SimClock::at("2026-11-25T10:00:00Z".parse().unwrap());
        let (theirs, ours) = (clock.clone(), Arc::new(clock.clone()));
        let fake = Fake::start(move || theirs.now().as_second());
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_string_lossy().into_owned();
        let environment: Environment = Arc::new(move |name| match name {
            "TOKEN" => Some("canary-token".to_owned()),
            "EMPTY" => Some(" ".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(directory.clone()),
            _ => None,
        });
        let world = World { wire: Wire::new(ours.clone()), clock: ours, environment };
        Self { fake, clock, world, folder }
    }

    /// A file with this text.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(in crate::credentials) fn place(&self, name: &str, text: &str) -> SecretPlace {
        SecretPlace::File(self.file(name, text))
    }

    pub(in crate::credentials) fn oauth(&self) -> OAuth2 {
        OAuth2 {
            server: OAuthServer::TokenUrl(self.fake.url("/token")),
            auth_url: None,
            device_url: None,
            revoke_url: None,
            client_id: CLIENT.to_owned(),
            client_secret: Some(self.place("secret", SECRET)),
            scopes: vec!["a".to_owned()],
            grant: OAuthGrant::Refresh,
            rotates: None,
            auth: ClientAuth::Basic,
            account: None,
        }
    }

    pub(in crate::credentials) fn google(&self, testing: bool) -> Google {
        let uri = self.fake.url("/token");
        let json = format!(
            r#"{{"installed": {{"client_id": "{CLIENT}", "client_secret": "{SECRET}", "token_uri": "{uri}"}}}}"#
        );
        Google {
            account: None,
            client: GoogleClient::Json(self.place("client.json", &json)),
            scopes: Vec::new(),
            testing,
        }
    }

    async fn mint(&self, provider: Provider, grant: Option<&Grant>) -> Result<Minted, Evidence> {
        mint(&declared(provider), grant, &self.world).await
    }

    pub(in crate::credentials) fn grant(&self, token: &str) -> Grant {
        let now = self.clock.now();
        Grant {
            refresh_token: Secret::new(token),
            generation: 1,
            scopes: Vec::new(),
            consented_at: now,
            obtained_at: now,
            ends: Vec::new(),
        }
    }

    /// Mints, and tells the token and its life in seconds, or the class and the words.
    async fn told(&self, provider: Provider, grant: Option<&Grant>) -> String {
        match self.mint(provider, grant).await {
            Ok(minted) => {
                let value = match &minted.token.value {
                    TokenValue::Bearer(secret) => secret.expose().to_owned(),
                    TokenValue::Basic { user, password } => format!("{user}:{}", password.expose()),
                    TokenValue::Header { name, key } => format!("{name}: {}", key.expose()),
                    TokenValue::Aws { access_key_id, .. } => access_key_id.clone(),
                };
                let now = self.clock.now();
                let life = minted.token.expires_at.map(|at| at.duration_since(now).as_secs());
                format!("{value} {life:?}")
            }
            Err(evidence) => format!("{}: {}", evidence.class.word(), evidence.words),
        }
    }
}

pub(in crate::credentials) fn declared(provider: Provider) -> Declaration {
    Declaration {
        name: CredentialName::parse("test/one").unwrap(),
        description: String::new(),
        provider,
        hosts: Vec::new(),
        seal: None,
        revision: 0,
    }
}

fn bearer(place: SecretPlace) -> Static {
    Static { secret: StaticSecret::Bearer(place), expires_on: None }
}

#[tokio::test]
async fn a_refresh_shows_the_client_as_declared_and_keeps_what_is_not_replaced() {
    let stage = Stage::new();
    let token = stage.fake.grant("a");
    let public = OAuth2 {
        client_id: PUBLIC.to_owned(),
        client_secret: None,
        auth: ClientAuth::Post,
        ..stage.oauth()
    };
    let posting = OAuth2 { auth: ClientAuth::Post, ..stage.oauth() };
    let issuer = OAuthServer::Issuer(stage.fake.url(""));
    let found = OAuth2 { server: issuer, ..stage.oauth() };
    for oauth in [stage.oauth(), posting, public, found] {
        let grant = stage.grant(&token);
        let minted = stage.mint(Provider::OAuth2(oauth), Some(&grant)).await.unwrap();
        assert_eq!(minted.refresh_token, None);
        let TokenValue::Bearer(access) = minted.token.value else { panic!("a bearer token") };
        assert!(stage.fake.takes(access.expose()));
    }
    let seen = stage.fake.seen();
    let post = seen.iter().find(|request| request.path == "/token").unwrap();
    assert!(!post.headers.contains_key("transfer-encoding"), "{post:?}");
}

#[tokio::test]
async fn rotation_brings_a_new_refresh_token_and_reuse_kills_the_grant() {
    let stage = Stage::new();
    stage.fake.rotate(true);
    let first = stage.grant(&stage.fake.grant("a"));
    let provider = || Provider::OAuth2(stage.oauth());
    let minted = stage.mint(provider(), Some(&first)).await.unwrap();
    let second = stage.grant(minted.refresh_token.unwrap().expose());
    let reused = stage.mint(provider(), Some(&first)).await.unwrap_err();
    assert_eq!(reused.class, CredentialClass::ReauthRequired);
    let dead = stage.mint(provider(), Some(&second)).await.unwrap_err();
    assert_eq!(dead.code().as_deref(), Some("invalid_grant"));
}

#[tokio::test]
async fn each_fault_of_the_wire_has_its_class() {
    let stage = Stage::new();
    let token = stage.fake.grant("a");
    let fixed = |rotates| Provider::OAuth2(OAuth2 { rotates: Some(rotates), ..stage.oauth() });
    for (fault, rotates, expected) in [
        (Fault::retry_after(503, "120"), false, "transient Some(120s)"),
        (Fault::retry_after(429, "Wed, 25 Nov 2026 10:01:00 GMT"), false, "rate-limited Some(60s)"),
        (Fault::retry_after(503, "999999"), false, "transient Some(3600s)"),
        (Fault::html(200), false, "unintelligible None"),
        (Fault::html(400), false, "unclassified-refusal None"),
        (Fault::answer(400, ""), false, "unclassified-refusal None"),
        (Fault::Reset, false, "transient None"),
        (Fault::LoseAnswer, false, "transient None"),
        (Fault::LoseAnswer, true, "ambiguous-commit None"),
        (Fault::TearAnswer, true, "ambiguous-commit None"),
        (Fault::answer(302, ""), false, "unintelligible None"),
    ] {
        stage.fake.faults([fault.clone()]);
        let evidence = stage.mint(fixed(rotates), Some(&stage.grant(&token))).await.unwrap_err();
        let told = format!("{} {:?}", evidence.class.word(), evidence.retry_after);
        assert_eq!(told, expected, "{fault:?}: {}", evidence.words);
    }
    stage.fake.skew(-300);
    stage.fake.revoke_all();
    let evidence = stage.mint(fixed(false), Some(&stage.grant(&token))).await.unwrap_err();
    assert_eq!(evidence.class, CredentialClass::ClockSkew);
    assert_eq!(evidence.skew.map(|skew| skew.as_secs()), Some(-300));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_half_a_minute() {
    let stage = Arc::new(Stage::new());
    stage.fake.fault(Some(Fault::Hang));
    let asking = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move {
            let grant = stage.grant("canary");
            stage.told(Provider::OAuth2(stage.oauth()), Some(&grant)).await
        }
    });
    let waiting = Arc::clone(&stage);
    tokio::task::spawn_blocking(move || waiting.fake.await_calls(1)).await.unwrap();
    stage.clock.advance(Duration::from_secs(30));
    assert_eq!(
        asking.await.unwrap(),
        "ambiguous-commit: no answer from 127.0.0.1: nothing within 30 s"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_has_seen_nothing() {
    let stage = Stage::new();
    // Nobody listens on the port that was just given up.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = OAuthServer::TokenUrl(format!("http://127.0.0.1:{port}/token"));
    let oauth = OAuth2 { server, rotates: Some(true), ..stage.oauth() };
    let evidence = stage.mint(Provider::OAuth2(oauth), Some(&stage.grant("x"))).await.unwrap_err();
    assert_eq!(evidence.class, CredentialClass::Transient, "{}", evidence.words);
}

#[tokio::test]
async fn a_client_acts_for_itself_and_needs_nobody() {
    let stage = Stage::new();
    let own = OAuth2 { grant: OAuthGrant::ClientCredentials, ..stage.oauth() };
    assert_eq!(stage.told(Provider::OAuth2(own), None).await, "canary-access-1 Some(3599)");
    let told = stage.told(Provider::OAuth2(stage.oauth()), None).await;
    assert_eq!(told, "reauth-required: nobody has logged in yet: jadactl auth login test/one");
}

#[tokio::test]
async fn google_hands_out_no_refresh_token_and_declares_when_the_consent_ends() {
    let stage = Stage::new();
    stage.fake.google(true);
    let grant = stage.grant(&stage.fake.grant("a"));
    let minted = stage.mint(Provider::Google(stage.google(true)), Some(&grant)).await.unwrap();
    assert_eq!(minted.refresh_token, None);
    let days = |end: &KnownEnd| end.at.duration_since(stage.clock.now()).as_hours() / 24;
    let ends: Vec<String> =
        minted.ends.iter().map(|end| format!("{} {}", days(end), end.clock)).collect();
    assert_eq!(ends, ["6 declared by the server"]);
}

#[tokio::test]
async fn a_service_account_signs_for_itself() {
    let stage = Stage::new();
    let key = |pem: &str| {
        let uri = stage.fake.url("/token");
        let key = serde_json::json!({
            "type": "service_account", "client_email": "sa@p.iam.example.com",
            "private_key": pem, "private_key_id": "k1", "token_uri": uri,
        });
        ServiceAccount {
            key: stage.place("key.json", &key.to_string()),
            subject: Some("ops@example.com".to_owned()),
            scopes: vec!["s1".to_owned(), "s2".to_owned()],
            expires_on: None,
        }
    };
    let minted = stage.mint(Provider::ServiceAccount(key(RSA_PKCS8)), None).await.unwrap();
    assert_eq!(minted.account.as_deref(), Some("ops@example.com"));
    assert_eq!(minted.token.scopes.unwrap(), ["s1", "s2"]);

    // A server whose clock is behind has not come to our time yet: half a minute is taken, two are not.
    stage.fake.skew(-20);
    stage.mint(Provider::ServiceAccount(key(RSA_PKCS8)), None).await.unwrap();
    for (skew, class) in [(-120, "clock-skew"), (2 * 60 * 60, "clock-skew")] {
        stage.fake.skew(skew);
        let told = stage.told(Provider::ServiceAccount(key(RSA_PKCS8)), None).await;
        assert!(told.starts_with(class), "{told}");
    }
    stage.fake.skew(0);
    stage.fake.faults([Fault::error(401, "unauthorized_client")]);
    let told = stage.told(Provider::ServiceAccount(key(RSA_PKCS8)), None).await;
    assert_eq!(
        told,
        "client-misconfigured: HTTP 401 unauthorized_client from 127.0.0.1: allow \
         sa@p.iam.example.com to act for ops@example.com with s1 s2"
    );
    let ended = ServiceAccount { expires_on: Some(stage.clock.now()), ..key(RSA_PKCS8) };
    let calls = stage.fake.calls();
    let told = stage.told(Provider::ServiceAccount(ended), None).await;
    assert!(told.starts_with("expired: it ended at"), "{told}");
    assert_eq!(stage.fake.calls(), calls);
}

#[tokio::test]
async fn a_github_app_asks_for_no_more_than_is_declared() {
    let stage = Stage::new();
    let app = || {
        Provider::GithubApp(GithubApp {
            app_id: 7,
            installation_id: 42,
            key: stage.place("app.pem", RSA_PKCS1),
            repositories: vec!["owner/repo".to_owned()],
            permissions: BTreeMap::from([("contents".to_owned(), "read".to_owned())]),
            api_url: stage.fake.url(""),
        })
    };
    assert_eq!(stage.told(app(), None).await, "canary-installation-1 Some(3600)");
    let seen = stage.fake.seen();
    assert_eq!(seen[0].path, "/app/installations/42/access_tokens");
    assert_eq!(seen[0].body, r#"{"permissions":{"contents":"read"},"repositories":["repo"]}"#);

    stage.fake.skew(-50);
    assert!(stage.told(app(), None).await.starts_with("canary-installation"));
    stage.fake.skew(-90);
    assert!(stage.told(app(), None).await.starts_with("clock-skew"));
    stage.fake.skew(0);
    for (fault, class) in [
        (Fault::answer(401, r#"{"message": "Bad credentials"}"#), "principal-gone"),
        (Fault::answer(404, r#"{"message": "Not Found"}"#), "principal-gone"),
        (Fault::answer(403, r#"{"message": "suspended"}"#), "client-misconfigured"),
        (Fault::answer(403, r#"{"message": "API rate limit exceeded"}"#), "rate-limited"),
        (Fault::retry_after(403, "60"), "rate-limited"),
        (Fault::answer(422, "{}"), "scope-policy"),
        (Fault::answer(201, "{}"), "unintelligible"),
        (Fault::answer(502, ""), "transient"),
    ] {
        stage.fake.faults([fault.clone()]);
        let told = stage.told(app(), None).await;
        assert!(told.starts_with(class), "{fault:?}: {told}");
    }
}

#[tokio::test]
async fn a_client_file_that_is_none_is_named_before_anything_is_sent() {
    let stage = Stage::new();
    let grant = stage.grant(&stage.fake.grant("a"));
    for (text, expected) in [
        ("canary", "is no JSON: download the client again from Google's console"),
        (r#"{"installed": {}}"#, "has no client_id in it"),
        (r#"{"installed": {"client_id": "x"}}"#, "has no client_secret in it"),
        (
            r#"{"client_id": "x", "client_secret": "canary", "token_uri": "http://example.com"}"#,
            "has a token_uri without https",
        ),
        (
            r#"{"type": "service_account"}"#,
            "is a service account's key: declare it as google_service_account",
        ),
    ] {
        let client = GoogleClient::Json(stage.place("bad.json", text));
        let google = Google { client, ..stage.google(false) };
        let told = stage.told(Provider::Google(google), Some(&grant)).await;
        assert!(told.starts_with("local-store: file "), "{told}");
        assert!(told.ends_with(expected), "{told}");
    }
    assert_eq!(stage.fake.calls(), 0);
}

#[tokio::test]
async fn an_issuer_without_metadata_of_its_own_is_the_operators_to_mend() {
    let stage = Stage::new();
    let grant = stage.grant("x");
    let of = |issuer: String| {
        Provider::OAuth2(OAuth2 { server: OAuthServer::Issuer(issuer), ..stage.oauth() })
    };
    let told = stage.told(of(stage.fake.url("/tenant")), Some(&grant)).await;
    assert!(told.starts_with("client-misconfigured: HTTP 404"), "{told}");
    let other = stage.fake.url("").replace("127.0.0.1", "localhost");
    let told = stage.told(of(other), Some(&grant)).await;
    assert!(told.ends_with("is that of another issuer"), "{told}");
    assert_eq!(stage.fake.calls(), 0);
}

/// What the process would write to its log at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level_nor_shown_by_a_debug_print() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log is kept");

    let stage = Stage::new();
    let grant = stage.grant(&stage.fake.grant("a"));
    let mut shown = Vec::new();
    for fault in [
        None,
        Some(Fault::answer(400, r#"{"error": "canary-1", "error_description": "canary"}"#)),
        Some(Fault::answer(200, r#"{"access_token": "canary", "expires_in": {"canary": 1}}"#)),
        Some(Fault::answer(200, "canary")),
        Some(Fault::TearAnswer),
        Some(Fault::Reset),
    ] {
        stage.fake.faults(fault);
        let result = stage.mint(Provider::OAuth2(stage.oauth()), Some(&grant)).await;
        shown.push(format!("{result:?} {grant:?} {:?}", stage.world));
    }
    let run = ["sh", "-c", "echo canary >&2; echo canary"].map(str::to_owned).to_vec();
    let exec = Exec { run, timeout: Duration::from_secs(30) };
    shown.push(format!("{:?}", stage.mint(Provider::Exec(exec), None).await));
    let keys = TokenValue::Aws {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("canary"),
        session_token: None,
    };
    let mut request =
        ::oauth2::http::Request::get("https://iam.amazonaws.com/").body(vec![]).unwrap();
    let signed_for = aws::SignedFor { region: "r", service: "s", at: stage.clock.now() };
    aws::sign(&mut request, &keys, signed_for).unwrap();

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("the log is kept"));
    shown.extend(logged.lines().map(str::to_owned));
    assert_eq!(shown.iter().find(|line| line.contains("canary")), None);
}
