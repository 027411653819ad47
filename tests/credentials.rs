//! Credentials against servers: the one of `fake`, always, and a certified OpenID server where there is one:
//! rotation, reuse, revocation, outages, device and browser logins, and what a proxy can do to answers. The
//! error table itself is tested beside its code.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

mod fake;
mod real;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fake::{Fake, Fault};
use jada::clock::{Clock, SimClock, SystemClock};
use jada::credentials::audit::Audit;
use jada::credentials::declare::{
    ClientAuth, Declaration, OAuth2, OAuthGrant, OAuthServer, Provider, SecretPlace,
};
use jada::credentials::evidence::Evidence;
use jada::credentials::exchange::Wire;
use jada::credentials::folder::Folder;
use jada::credentials::login::device::DeviceLogin;
use jada::credentials::login::revoke::{Revoked, revoke};
use jada::credentials::login::{Asking, Consent, redirect_to};
use jada::credentials::mint::Minted;
use jada::credentials::nature::Nature;
use jada::credentials::providers::{World, mint};
use jada::credentials::record::{Grant, Record};
use jada::credentials::refresh::{Ask, Failed, Fresh, Mint, Why, refresh};
use jada::credentials::secret::Secret;
use jada::model::{CredentialClass, CredentialName, CredentialState, Standing};
use jiff::Timestamp;
use real::Oidc;
use serde_json::json;

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

/// A server's client, and a folder of ours.
struct Stage {
    issuer: String,
    clock: Arc<Leaping>,
    world: Arc<World>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn around(issuer: String) -> Self {
        let clock = Arc::new(Leaping(SimClock::at(SystemClock.now()), Mutex::default()));
        // What crosses the wire takes real time, and dates of answers are real.
        let wire = Wire::new(Arc::new(SystemClock));
        let environment = Arc::new(|_: &str| Some("canary-client-secret".to_owned()));
        let world = World { wire, clock: clock.clone(), environment };
        Self { issuer, clock, world: Arc::new(world), folder: tempfile::tempdir().unwrap() }
    }

    fn declared(&self, rotates: Option<bool>) -> Declaration {
        let provider = Provider::OAuth2(OAuth2 {
            server: OAuthServer::Issuer(self.issuer.clone()),
            auth_url: None,
            device_url: None,
            revoke_url: None,
            client_id: "jada-test".to_owned(),
            client_secret: Some(SecretPlace::Env("SECRET".to_owned())),
            scopes: ["openid", "offline_access", "a"].map(str::to_owned).to_vec(),
            grant: OAuthGrant::Refresh,
            rotates,
            auth: ClientAuth::Basic,
            account: Some("ops@example.com".to_owned()),
        });
        Declaration {
            name: CredentialName::parse("test/one").unwrap(),
            description: String::new(),
            provider,
            hosts: Vec::new(),
            seal: None,
            revision: 0,
        }
    }

    fn grant(&self, token: &str) -> Grant {
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

    async fn mint(&self, declaration: &Declaration, token: &str) -> Result<Minted, Evidence> {
        mint(declaration, Some(&self.grant(token)), &self.world).await
    }

    /// Keeps a grant, as a login does.
    async fn keep(&self, declaration: &Declaration, grant: Grant) {
        let folder = Folder::at(self.folder.path());
        let mut held = folder.lock(&declaration.name, Duration::ZERO, &*self.clock).await.unwrap();
        held.prove_writable().unwrap();
        held.write(&Record {
            name: declaration.name.clone(),
            provider: declaration.provider.key().to_owned(),
            account: None,
            grant: Some(grant),
            previous: None,
            token: None,
            standing: Standing { generation: 1, ..Standing::unknown(self.clock.now()) },
            minted: 0,
        })
        .unwrap();
    }

    async fn refresh(&self, declaration: &Arc<Declaration>, why: Why) -> Result<Fresh, Failed> {
        let folder = Folder::at(self.folder.path());
        let audit = Audit::of(folder.clone(), "test");
        let nature = Nature::of(declaration, None);
        let ask = Ask { nature: &nature, folder: &folder, audit: &audit, clock: &*self.clock, why };
        let (declaration, world) = (Arc::clone(declaration), Arc::clone(&self.world));
        let mint: Mint<'_> = &move |grant| {
            let (declaration, world) = (Arc::clone(&declaration), Arc::clone(&world));
            Box::pin(async move { mint(&declaration, grant.as_ref(), &world).await })
        };
        refresh(&ask, mint).await
    }

    /// A job comes every half hour, ten times, and wants a token.
    async fn ten_jobs(&self, declaration: &Arc<Declaration>) -> Standing {
        let mut last = None;
        for _ in 0..10 {
            let asked_at = self.clock.now();
            let why = Why::Stale { min_ttl: Duration::from_secs(60), asked_at };
            last = self.refresh(declaration, why).await.err();
            self.clock.0.advance(Duration::from_secs(30 * 60));
        }
        *last.expect("the last one got none").standing
    }
}

/// Starts the certified server, or ends the test with the reason why there is none.
macro_rules! certified {
    () => {
        match Oidc::start() {
            Ok(oidc) => (Stage::around(oidc.issuer()), oidc),
            Err(reason) => return println!("{reason}"),
        }
    };
}

/// The server of this process.
fn faked() -> (Stage, Fake) {
    let fake = Fake::start(|| SystemClock.now().as_second());
    (Stage::around(fake.url("")), fake)
}

#[tokio::test]
async fn a_dead_grant_is_asked_for_once_more_at_most_and_a_new_one_mends_it() {
    for rotates in [true, false] {
        let (stage, fake) = faked();
        fake.rotate(rotates);
        let declaration = Arc::new(stage.declared(Some(rotates)));
        stage.keep(&declaration, stage.grant(&fake.grant("openid a"))).await;
        stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
        fake.revoke_all();
        let before = fake.calls();
        let standing = stage.ten_jobs(&declaration).await;
        assert_eq!(standing.state, CredentialState::ReauthRequired);
        assert_eq!(standing.class, Some(CredentialClass::ReauthRequired));
        assert_eq!(fake.calls() - before, if rotates { 1 } else { 2 }, "rotates: {rotates}");

        stage.keep(&declaration, stage.grant(&fake.grant("openid a"))).await;
        let fresh = stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
        assert_eq!(fresh.record.standing.state, CredentialState::Healthy);
    }
}

#[tokio::test]
async fn no_fault_of_a_server_costs_a_token_that_is_good_or_ends_refreshing() {
    for fault in [
        Fault::retry_after(503, "120"),
        Fault::retry_after(429, "7200"),
        Fault::html(200),
        Fault::html(400),
        Fault::answer(400, ""),
        Fault::answer(401, "canary"),
        Fault::error(400, "temporarily_unavailable"),
        Fault::Reset,
    ] {
        let (stage, fake) = faked();
        let declaration = Arc::new(stage.declared(Some(false)));
        stage.keep(&declaration, stage.grant(&fake.grant("openid a"))).await;
        let fresh = stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
        let until = fresh.record.standing.usable_until;

        fake.fault(Some(fault.clone()));
        let failed = stage.refresh(&declaration, Why::Forced).await.err().unwrap();
        assert_eq!(failed.standing.usable_until, until, "{fault:?}");
        let asked_at = stage.clock.now();
        let why = Why::Stale { min_ttl: Duration::from_secs(600), asked_at };
        stage.refresh(&declaration, why).await.ok().unwrap();

        // Hours later the token is over, and the server as before.
        let standing = stage.ten_jobs(&declaration).await;
        let fatal = [CredentialState::ReauthRequired, CredentialState::Revoked];
        assert!(!fatal.contains(&standing.state), "{fault:?}: {standing:?}");
        fake.fault(None);
        stage.clock.0.advance(Duration::from_secs(2 * 60 * 60));
        let fresh = stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
        assert_eq!(fresh.record.standing.state, CredentialState::Healthy, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_nothing_where_nothing_is_spent() {
    let (stage, fake) = faked();
    let declaration = Arc::new(stage.declared(Some(false)));
    stage.keep(&declaration, stage.grant(&fake.grant("openid a"))).await;
    fake.faults([Fault::LoseAnswer]);
    let failed = stage.refresh(&declaration, Why::Forced).await.err().unwrap();
    assert_eq!(failed.standing.class, Some(CredentialClass::Transient));
    let fresh = stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
    assert_eq!(fresh.record.standing.state, CredentialState::Healthy);
}

#[tokio::test]
async fn an_answer_that_is_lost_under_strict_rotation_costs_a_consent_and_few_calls() {
    let (stage, fake) = faked();
    fake.rotate(true);
    let declaration = Arc::new(stage.declared(Some(true)));
    stage.keep(&declaration, stage.grant(&fake.grant("openid a"))).await;
    fake.faults([Fault::LoseAnswer]);
    let standing = stage.ten_jobs(&declaration).await;
    assert_eq!(standing.state, CredentialState::ReauthRequired);
    // The one that was lost, the one right after it, and the one that confirms the verdict.
    assert_eq!(fake.calls(), 3);
}

#[tokio::test]
async fn rotation_chains_and_reuse_kills_the_family() {
    let (stage, oidc) = certified!();
    let declaration = stage.declared(None);
    oidc.admin("rotate", &json!({ "on": true }));
    let first = oidc.grant("jada-test");
    let minted = stage.mint(&declaration, &first).await.unwrap();
    assert_eq!(minted.account.as_deref(), Some("ops@example.com"));
    let second = minted.refresh_token.unwrap();
    let third = stage.mint(&declaration, second.expose()).await.unwrap().refresh_token.unwrap();
    let reused = stage.mint(&declaration, &first).await.unwrap_err();
    assert_eq!(reused.class, CredentialClass::ReauthRequired);
    let dead = stage.mint(&declaration, third.expose()).await.unwrap_err();
    assert_eq!(dead.class, CredentialClass::ReauthRequired);
    // The server knows two causes, and tells one: no answer of it says why.
    assert_eq!(reused.words, dead.words);
    let causes = oidc.causes();
    assert!(causes.len() == 2 && causes[0] != causes[1], "{causes:?}");
}

#[tokio::test]
async fn without_rotation_the_same_grant_is_good_again_and_again() {
    let (stage, oidc) = certified!();
    let declaration = stage.declared(Some(false));
    let token = oidc.grant("jada-test");
    for _ in 0..3 {
        let minted = stage.mint(&declaration, &token).await.unwrap();
        assert!(minted.refresh_token.is_none_or(|same| same.expose() == token));
    }
    oidc.admin("google", &json!({ "on": true }));
    let minted = stage.mint(&declaration, &token).await.unwrap();
    assert_eq!((minted.refresh_token, minted.ends.len()), (None, 1));
    oidc.admin("expire", &json!({ "token": token }));
    let evidence = stage.mint(&declaration, &token).await.unwrap_err();
    assert_eq!(evidence.class, CredentialClass::ReauthRequired);
}

#[tokio::test]
async fn a_revoked_grant_costs_one_more_call_however_many_jobs_ask() {
    for rotates in [true, false] {
        let (stage, oidc) = certified!();
        oidc.admin("rotate", &json!({ "on": rotates }));
        let declaration = Arc::new(stage.declared(Some(rotates)));
        let token = oidc.grant("jada-test");
        stage.keep(&declaration, stage.grant(&token)).await;
        let fresh = stage.refresh(&declaration, Why::Forced).await.ok().unwrap();
        assert_eq!(fresh.record.standing.state, CredentialState::Healthy);

        let live = fresh.record.grant.unwrap().refresh_token;
        oidc.admin("revoke", &json!({ "token": live.expose() }));
        let before = oidc.calls();
        let standing = stage.ten_jobs(&declaration).await;
        assert_eq!(standing.state, CredentialState::ReauthRequired);
        assert_eq!(standing.error.as_deref(), Some("invalid_grant"));
        // Where nothing is spent, the verdict is confirmed once.
        let allowed = if rotates { 1 } else { 2 };
        assert_eq!(oidc.calls() - before, allowed, "rotates: {rotates}");
    }
}

#[tokio::test]
async fn what_a_proxy_does_to_answers_is_no_verdict_on_the_grant() {
    let (stage, oidc) = certified!();
    let declaration = stage.declared(Some(false));
    let token = oidc.grant("jada-test");
    for (kind, expected) in [
        ("unavailable", "transient Some(7s)"),
        ("limited", "rate-limited Some(7s)"),
        ("html-200", "unintelligible None"),
        ("html-400", "unclassified-refusal None"),
        ("empty-400", "unclassified-refusal None"),
        ("reset", "transient None"),
        ("lose", "transient None"),
    ] {
        oidc.admin("fault", &json!({ "kind": kind, "times": 1 }));
        let evidence = stage.mint(&declaration, &token).await.unwrap_err();
        let told = format!("{} {:?}", evidence.class.word(), evidence.retry_after);
        assert_eq!(told, expected, "{kind}: {}", evidence.words);
        stage.mint(&declaration, &token).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_under_strict_rotation_is_told_as_such_once() {
    let (stage, oidc) = certified!();
    let declaration = stage.declared(Some(true));
    oidc.admin("rotate", &json!({ "on": true }));
    let token = oidc.grant("jada-test");
    oidc.admin("fault", &json!({ "kind": "lose", "times": 1 }));
    let lost = stage.mint(&declaration, &token).await.unwrap_err();
    assert_eq!(lost.class, CredentialClass::AmbiguousCommit);
    let dead = stage.mint(&declaration, &token).await.unwrap_err();
    assert_eq!(dead.class, CredentialClass::ReauthRequired);
}

/// What every new consent must be good for.
async fn holds(stage: &Stage, declaration: &Arc<Declaration>, consent: Consent) {
    consent.check(declaration, None).unwrap();
    assert_eq!(consent.account.as_deref(), Some("ops@example.com"));
    let consent = consent.prove(declaration, &stage.world).await.unwrap();
    stage.keep(declaration, consent.grant.clone()).await;
    let fresh = stage.refresh(declaration, Why::Forced).await.ok().unwrap();
    assert_eq!(fresh.record.standing.state, CredentialState::Healthy);
    let grant = fresh.record.grant.unwrap();
    let revoked = revoke(declaration, &grant, &stage.world).await.unwrap();
    assert_eq!(revoked, Revoked::Proven);
}

#[tokio::test]
async fn a_person_consents_in_a_browser() {
    for rotates in [true, false] {
        let (stage, oidc) = certified!();
        oidc.admin("rotate", &json!({ "on": rotates }));
        let declaration = Arc::new(stage.declared(Some(rotates)));
        let asking = Asking::new(&declaration, &[], &stage.world).await.unwrap();
        let redirect = redirect_to(9);
        let sent_to = oidc.consent(&asking.url(&redirect), "");
        assert!(sent_to.starts_with(&redirect), "{sent_to}");
        let code = asking.code_in(&sent_to).unwrap();
        let consent = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap();
        holds(&stage, &declaration, consent).await;
        // A code is good once.
        let again = asking.redeem(&code, &redirect, &declaration, &stage.world).await.unwrap_err();
        assert!(again.to_string().contains("invalid_grant"), "{again}");
    }
}

#[tokio::test]
async fn a_person_consents_at_another_device() {
    let (stage, oidc) = certified!();
    let declaration = Arc::new(stage.declared(None));
    let login = DeviceLogin::start(&declaration, &[], &stage.world).await.unwrap();
    let page = oidc.consent(&login.address, &login.user_code);
    assert!(page.contains("Sign-in Success"), "{page}");
    let consent = login.wait(&declaration, &stage.world).await.unwrap();
    holds(&stage, &declaration, consent).await;
}

#[tokio::test]
async fn a_device_code_that_nobody_types_in_is_asked_for_until_its_time_is_over() {
    let (stage, _oidc) = certified!();
    let declaration = stage.declared(None);
    let login = DeviceLogin::start(&declaration, &[], &stage.world).await.unwrap();
    let ended = login.wait(&declaration, &stage.world).await.unwrap_err();
    assert_eq!(ended.to_string(), "the time for the consent is over: start again");
    let pauses = stage.clock.1.lock().unwrap().clone();
    assert!(pauses.iter().all(|pause| *pause >= 5), "{pauses:?}");
}
