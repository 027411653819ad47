//! Each flow against the token server in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::import::Found;
use super::loopback::Loopback;
use super::remote::{Errand, Waiting};
use super::*;
use crate::clock::{Clock, SimClock};
use crate::credentials::declare::{
    ClientAuth, Declaration, Google, GoogleClient, OAuth2, Provider, SecretPlace,
};
use crate::credentials::exchange::Wire;
use crate::credentials::fake::{CLIENT, Decision, Fault, PUBLIC, visit};
use crate::credentials::mint::TokenValue;
use crate::credentials::providers::tests::{Stage, declared};
use crate::credentials::secret::Secret;
use crate::model::CredentialName;

const LONG: Duration = Duration::from_secs(600);

fn oauth(stage: &Stage) -> OAuth2 {
    OAuth2 {
        auth_url: Some(stage.fake.url("/authorize")),
        device_url: Some(stage.fake.url("/device")),
        revoke_url: Some(stage.fake.url("/revoke")),
        scopes: vec!["openid".to_owned(), "a".to_owned()],
        ..stage.oauth()
    }
}

fn declaration(stage: &Stage) -> Declaration {
    declared(Provider::OAuth2(oauth(stage)))
}

/// Opens an address as a browser does, and follows where it is sent: the address it was sent to, and what
/// is there.
async fn browse(address: String) -> (String, u16, String) {
    let visiting = tokio::task::spawn_blocking(move || {
        let (status, location, _) = visit(&address);
        let location = location.unwrap_or_else(|| panic!("sent nowhere: {status}"));
        let (status, _, page) = visit(&location);
        (location, status, page)
    });
    visiting.await.unwrap()
}

/// Consents as a browser that nobody listens to for: the address it was sent to.
async fn sent_to(address: String) -> String {
    let visiting = tokio::task::spawn_blocking(move || visit(&address).1.unwrap());
    visiting.await.unwrap()
}

#[tokio::test]
async fn a_code_comes_back_to_a_listener_of_our_own_and_brings_a_grant_that_refreshes() {
    for (rotates, public) in [(true, false), (false, false), (true, true)] {
        let stage = Stage::new();
        stage.fake.rotate(rotates);
        let own = oauth(&stage);
        let oauth = if public {
            OAuth2 {
                client_id: PUBLIC.to_owned(),
                client_secret: None,
                auth: ClientAuth::Post,
                ..own
            }
        } else {
            own
        };
        let declaration = declared(Provider::OAuth2(oauth));
        let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
        let loopback = Loopback::open().await.unwrap();
        let redirect = loopback.redirect();
        let answered = loopback.code(&asking, LONG, &*stage.world.clock);
        let (code, (_, status, page)) = tokio::join!(answered, browse(asking.url(&redirect)));
        assert_eq!((status, page.contains("You are logged in")), (200, true), "{page}");
        let code = code.unwrap();
        let consent = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap();
        consent.check(&declaration, None).unwrap();
        let first = consent.grant.refresh_token.clone();
        let consent = consent.prove(&declaration, &stage.world).await.unwrap();
        assert_eq!(consent.grant.refresh_token != first, rotates);
        assert_eq!(consent.account.as_deref(), Some("ops@example.com"));
        let TokenValue::Bearer(access) = &consent.token.value else { panic!("a bearer token") };
        assert!(stage.fake.takes(access.expose()));
        // The code is spent.
        let again = asking.redeem(&code, &redirect, &declaration, &stage.world).await;
        assert!(matches!(again, Err(Error::Refused(_))), "{again:?}");
    }
}

#[tokio::test]
async fn whoever_guesses_at_the_listener_changes_nothing() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let loopback = Loopback::open().await.unwrap();
    let redirect = loopback.redirect();
    let answered = loopback.code(&asking, LONG, &*stage.world.clock);
    // A browser opens connections ahead of need; one that stays silent holds nobody up.
    let silent = std::net::TcpStream::connect(("127.0.0.1", loopback_port(&redirect))).unwrap();
    let person = async {
        for guess in ["favicon.ico", "?code=x", "?code=x&state=guess", "?error=no&state=guess"] {
            let address = format!("{redirect}{guess}");
            let status = tokio::task::spawn_blocking(move || visit(&address).0).await.unwrap();
            assert_eq!(status, 404, "{guess}");
        }
        browse(asking.url(&redirect)).await
    };
    let (code, (location, ..)) = tokio::join!(answered, person);
    assert!(location.contains(code.unwrap().expose()));
    drop(silent);
}

fn loopback_port(redirect: &str) -> u16 {
    let port = redirect.rsplit(':').next().unwrap().trim_end_matches('/');
    port.parse().unwrap()
}

#[tokio::test]
async fn a_listener_gives_up_when_its_time_is_over() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let loopback = Loopback::open().await.unwrap();
    let clock = stage.clock.clone();
    let answered = loopback.code(&asking, LONG, &clock);
    let later = async {
        tokio::task::yield_now().await;
        stage.clock.advance(LONG);
    };
    let (code, ()) = tokio::join!(answered, later);
    assert!(matches!(code, Err(Error::Expired)), "{code:?}");
}

#[tokio::test]
async fn another_machine_brings_the_code_sealed() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let waiting = Waiting::new(&declaration.name, &asking).unwrap();
    // Carried by mail, which breaks lines.
    let request = waiting.request().replace("jada", " jada").replace('a', "a\n");

    let errand = Errand::read(&request).unwrap();
    assert_eq!((errand.name(), errand.host()), ("test/one", "127.0.0.1"));
    let loopback = Loopback::open().await.unwrap();
    let address = errand.url(&loopback);
    let (answer, (location, ..)) =
        tokio::join!(errand.answer(loopback, LONG, &*stage.world.clock), browse(address));
    let answer = answer.unwrap();

    let (code, redirect) = waiting.open(&answer, &asking).unwrap();
    assert!(location.contains(code.expose()) && !answer.contains(code.expose()));
    let consent = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap();
    consent.check(&declaration, None).unwrap();

    // Another login can't open it, nor take it for its own.
    let other = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let stranger = Waiting::new(&declaration.name, &other).unwrap();
    assert!(matches!(stranger.open(&answer, &other), Err(Error::OtherLogin)));
    assert!(matches!(waiting.open(&answer, &other), Err(Error::OtherLogin)));
    for text in ["", "jada-answer-", "jada-answer-###", waiting.request()] {
        assert!(waiting.open(text, &asking).is_err(), "{text}");
    }
    for text in ["", "jada-login-", "jada-login-e30", answer.as_str()] {
        assert!(Errand::read(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_failed_to_load_is_pasted() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let redirect = redirect_to(1);
    let pasted = sent_to(asking.url(&redirect)).await;
    let code = asking.code_in(&format!("  {pasted}#_\n")).unwrap();
    asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap();
    let (_, query) = pasted.split_once('?').unwrap();
    assert_eq!(asking.code_in(query).unwrap(), code);
    let state = query.split_once("state=").unwrap().1;
    for (text, expected) in [
        (
            "http://127.0.0.1:1/?code=x&state=other".to_owned(),
            "this answer belongs to another login",
        ),
        ("http://127.0.0.1:1/?code=x".to_owned(), "this answer belongs to another login"),
        ("canary".to_owned(), "this is not the address"),
        (format!("?error=access_denied&state={state}"), "the consent was refused: access_denied"),
        (format!("?error=%3Cb%3E&state={state}"), "the consent was refused: for a reason"),
    ] {
        let told = asking.code_in(&text).unwrap_err().to_string();
        assert!(told.starts_with(expected) && !told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn google_is_asked_for_offline_access_and_who_consents() {
    let stage = Stage::new();
    let scope = "https://www.googleapis.com/auth/spreadsheets";
    let google = Google {
        account: Some("ops@example.com".to_owned()),
        client: GoogleClient::Pair {
            id: "1-x".to_owned(),
            secret: stage.place("secret", "canary-secret"),
        },
        scopes: vec![scope.to_owned()],
        testing: false,
    };
    let declaration = declared(Provider::Google(google));
    let asking = Asking::new(&declaration, &["drive.file".to_owned()], &stage.world).await.unwrap();
    let url = oauth2::url::Url::parse(&asking.url("http://127.0.0.1:9/")).unwrap();
    let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("login_hint", "ops@example.com"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "http://127.0.0.1:9/"),
        ("scope", &format!("{scope} https://www.googleapis.com/auth/drive.file openid email")),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{url}");
    }
    assert!(!url.as_str().contains("canary"));
    // A device code can't bring a spreadsheet, and nothing is asked to learn that.
    let refused = device::DeviceLogin::start(&declaration, &[], &stage.world).await.unwrap_err();
    assert!(refused.to_string().contains("use --remote, or a service account"), "{refused}");
}

fn consent(account: Option<&str>, scopes: &[&str]) -> Consent {
    let stage = Stage::new();
    let mut grant = stage.grant("canary");
    grant.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let value = TokenValue::Bearer(Secret::new("canary"));
    let token = Token { value, expires_at: None, scopes: None };
    Consent { grant, token, account: account.map(str::to_owned) }
}

#[test]
fn another_account_or_less_scope_does_not_take_the_place_of_a_grant() {
    let stage = Stage::new();
    for (declared_as, known, found, granted, expected) in [
        (None, None, Some("new@x"), &["openid", "a"][..], ""),
        (None, Some("old@x"), Some("OLD@x"), &["openid", "a"], ""),
        (None, Some("old@x"), None, &["openid", "a", "b"], ""),
        (
            None,
            Some("old@x"),
            Some("new@x"),
            &["openid", "a"],
            "new@x consented, and old@x is expected",
        ),
        (
            Some("old@x"),
            None,
            Some("new@x"),
            &["openid", "a"],
            "new@x consented, and old@x is expected",
        ),
        (Some("new@x"), Some("old@x"), Some("new@x"), &["openid", "a"], ""),
        (None, None, None, &["openid"], "these scopes were not granted: a;"),
    ] {
        let account = declared_as.map(str::to_owned);
        let declaration = declared(Provider::OAuth2(OAuth2 { account, ..oauth(&stage) }));
        let told = match consent(found, granted).check(&declaration, known) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(told.starts_with(expected), "{told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn a_consent_without_a_refresh_token_or_that_does_not_refresh_is_none() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
    let redirect = redirect_to(1);
    stage.fake.faults([Fault::answer(200, r#"{"access_token": "canary"}"#)]);
    let code = Secret::new("x");
    let told = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap_err();
    assert!(matches!(told, Error::NoRefreshToken(_)), "{told}");

    let code = asking.code_in(&sent_to(asking.url(&redirect)).await).unwrap();
    let consent = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap();
    stage.fake.revoke_all();
    let told = consent.prove(&declaration, &stage.world).await.unwrap_err();
    assert_eq!(told.to_string(), "HTTP 400 invalid_grant from 127.0.0.1");
}

/// A clock whose waits are over at once: time leaps over them, and they are noted.
struct Leaping(SimClock, Mutex<Vec<u64>>);

#[async_trait]
impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn passed(&self) -> Duration {
        self.0.passed()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.0.sleep_until(at).await;
    }

    async fn sleep(&self, time: Duration) {
        self.1.lock().unwrap().push(time.as_secs());
        self.0.advance(time);
    }
}

/// A device login whose first polls are answered so, and then as `decision` says: what came of it, and
/// the pauses between polls.
async fn device_login(polls: Vec<Fault>, decision: Decision) -> (Result<Consent, Error>, Vec<u64>) {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let login = device::DeviceLogin::start(&declaration, &[], &stage.world).await.unwrap();
    assert!(login.address.ends_with("/activate") && login.user_code.starts_with("USER-"));
    stage.fake.faults(polls);
    stage.fake.decide(decision);
    let leaping = Arc::new(Leaping(stage.clock.clone(), Mutex::default()));
    let wire = Wire::new(Arc::new(stage.clock.clone()));
    let environment = Arc::clone(&stage.world.environment);
    let world = World { wire, clock: leaping.clone(), environment };
    let ended = login.wait(&declaration, &world).await;
    if let Ok(consent) = &ended {
        consent.check(&declaration, None).unwrap();
        consent.clone().prove(&declaration, &world).await.unwrap();
    }
    let pauses = leaping.1.lock().unwrap().clone();
    (ended, pauses)
}

#[tokio::test]
async fn a_device_code_is_asked_for_no_faster_than_the_server_says() {
    let pending = || Fault::error(400, "authorization_pending");
    for (polls, expected) in [
        (vec![], vec![5]),
        (vec![pending(), pending()], vec![5, 5, 5]),
        // For good.
        (vec![Fault::error(400, "slow_down"), pending(), pending()], vec![5, 10, 10, 10]),
        (vec![Fault::error(429, "slow_down"), Fault::error(400, "slow_down")], vec![5, 10, 15]),
        // Twice as long as long as nothing is answered, then as before.
        (vec![Fault::LoseAnswer, Fault::html(503), pending()], vec![5, 10, 20, 5]),
        (vec![Fault::retry_after(503, "90")], vec![5, 90]),
    ] {
        let (ended, pauses) = device_login(polls.clone(), Decision::Consented).await;
        // A poll whose answer is lost has spent the code: the person has to start again.
        let lost = polls.iter().any(|poll| matches!(poll, Fault::LoseAnswer));
        assert_eq!(ended.is_err(), lost, "{polls:?}: {ended:?}");
        assert_eq!(pauses, expected, "{polls:?}");
    }
}

#[tokio::test]
async fn a_device_code_ends_by_a_no_or_by_its_time() {
    let over = "the time for the consent is over: start again";
    for (polls, decision, expected) in [
        (vec![], Decision::Denied, "the consent was refused: access_denied"),
        (vec![], Decision::Expired, over),
        (vec![], Decision::Pending, over),
        (vec![Fault::error(401, "invalid_client")], Decision::Pending, "HTTP 401 invalid_client"),
        (vec![Fault::answer(400, "")], Decision::Pending, "HTTP 400 from 127.0.0.1: it gives no"),
    ] {
        let (ended, pauses) = device_login(polls, decision).await;
        let told = ended.unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
        assert!(pauses.iter().sum::<u64>() <= 600, "{pauses:?}");
    }
}

#[tokio::test]
async fn a_revocation_is_proven_by_a_refresh_that_fails() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let grant = stage.grant(&stage.fake.grant("a"));
    let ended = revoke::revoke(&declaration, &grant, &stage.world).await.unwrap();
    assert_eq!(ended, revoke::Revoked::Proven);
    let without = OAuth2 { revoke_url: None, ..oauth(&stage) };
    let told = revoke::revoke(&declared(Provider::OAuth2(without)), &grant, &stage.world).await;
    let told = told.unwrap_err().to_string();
    assert_eq!(told, "no address for revocation is declared: add `revoke_url` in jada.yaml");
}

#[test]
fn a_revocation_at_google_tells_what_else_it_ends() {
    let google = |name: &str, id: &str, account: Option<&str>| {
        let secret = SecretPlace::Env("X".to_owned());
        let client = GoogleClient::Pair { id: id.to_owned(), secret };
        let account = account.map(str::to_owned);
        let provider =
            Provider::Google(Google { account, client, scopes: Vec::new(), testing: false });
        let name = CredentialName::parse(name).unwrap();
        Declaration { name, ..declared(provider) }
    };
    let own = google("g/own", "1-a", Some("ops@x"));
    let others = [
        own.clone(),
        google("g/same", "1-b", Some("OPS@x")),
        google("g/unnamed", "1-a", None),
        google("g/person", "1-a", Some("dev@x")),
        google("g/project", "2-a", Some("ops@x")),
        declaration(&Stage::new()),
    ];
    let all = others.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect();
    let hit: Vec<String> = revoke::also_ends(&own, &all).iter().map(ToString::to_string).collect();
    assert_eq!(hit, ["g/same", "g/unnamed"]);
}

#[test]
fn what_other_tools_keep_is_read() {
    let adc = r#"{"type": "authorized_user", "client_id": "c", "client_secret": "s",
                  "refresh_token": "canary-r", "account": "ops@x"}"#;
    let plain = r#"{"client_id": "c", "client_secret": "s", "refresh_token": "canary-r"}"#;
    let library = r#"{"token": "t", "refresh_token": "canary-r", "client_id": "c",
                      "scopes": ["a", "b"], "expiry": "2026-01-01T00:00:00Z"}"#;
    let rclone = "[s3]\ntype = s3\n\n[drive]\ntype = drive\nclient_id = c\nscope = drive\n\
                  token = {\"access_token\":\"t\",\"refresh_token\":\"canary-r\"}\n";
    let dump = r#"{"drive": {"client_id": "c", "token": "{\"refresh_token\":\"canary-r\"}"}}"#;
    let token = r#"{"access_token": "t", "refresh_token": "canary-r", "expiry": "x"}"#;
    for (text, expected) in [
        (adc, "Some(\"c\") Some(\"ops@x\") []"),
        (plain, "Some(\"c\") None []"),
        (library, "Some(\"c\") None [\"a\", \"b\"]"),
        (rclone, "Some(\"c\") None []"),
        (dump, "Some(\"c\") None []"),
        (token, "None None []"),
    ] {
        let Ok(Found::Grant(found)) = import::read(text, None) else { panic!("{text}") };
        assert_eq!(found.refresh_token.expose(), "canary-r");
        let told = format!("{:?} {:?} {:?}", found.client_id, found.account, found.scopes);
        assert_eq!(told, expected, "{text}");
        assert!(!format!("{found:?}").contains("canary"));
    }
    let key = r#"{"type": "service_account", "client_email": "sa@p"}"#;
    assert!(
        matches!(import::read(key, None), Ok(Found::ServiceAccount { email }) if email == "sa@p")
    );
}

#[test]
fn what_is_no_grant_is_named_and_not_shown() {
    let two = "[a]\ntoken = {\"refresh_token\":\"canary\"}\n[b]\ntoken = {\"refresh_token\":\"canary\"}\n";
    for (text, section, expected) in [
        ("", None, "this is none of the files that are known"),
        ("canary", None, "this is none of the files that are known"),
        ("{\"canary\"", None, "this JSON is broken"),
        ("{}", None, "there is no refresh_token in it"),
        (r#"{"access_token": "canary"}"#, None, "there is no refresh_token in it"),
        (two, None, "choose one of its sections: a, b"),
        (two, Some("c"), "this is none of the files that are known"),
    ] {
        let told = import::read(text, section).unwrap_err().to_string();
        assert!(told.starts_with(expected) && !told.contains("canary"), "{told}");
    }
    assert!(matches!(import::read(two, Some("b")), Ok(Found::Grant(_))));
}

#[tokio::test]
async fn a_grant_of_another_client_is_not_taken_over() {
    let stage = Stage::new();
    let declaration = declaration(&stage);
    let take = |client: Option<&str>| {
        let token = stage.fake.grant("a");
        let client = client.map_or(String::new(), |id| format!(r#""client_id": "{id}", "#));
        let text = format!(r#"{{{client}"refresh_token": "{token}"}}"#);
        let Ok(Found::Grant(found)) = import::read(&text, None) else { panic!("{text}") };
        import::adopt(*found, &declaration, &stage.world)
    };
    for client in [Some(CLIENT), None] {
        let (grant, _) = take(client).await.unwrap();
        assert_eq!(grant.scopes, ["openid", "a"]);
        mint(&declaration, Some(&grant), &stage.world).await.unwrap();
    }
    let told = take(Some("other")).await.unwrap_err().to_string();
    assert_eq!(
        told,
        "this grant belongs to client other, and test/one declares client jada-test: declare that \
         client, or log in"
    );
}
