//! The keeper over a real folder and a token server in this process, under simulated time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::clock::{Clock, SimClock, SystemClock, within};
use crate::credentials::declare::*;
use crate::credentials::exchange::Wire;
use crate::credentials::fake::{CLIENT, Fake, Fault, SECRET};
use crate::credentials::horizon::Terms;
use crate::credentials::lifecycle::{self, Facts, Success};
use crate::credentials::providers::Environment;
use crate::credentials::record::Grant;
use crate::credentials::seal::Identity;

const HOUR: Duration = Duration::from_secs(3600);

fn name(text: &str) -> CredentialName {
    CredentialName::parse(text).unwrap()
}

/// A server, a clock, and a data folder.
struct Stage {
    fake: Fake,
    clock: SimClock,
    world: Arc<World>,
    dir: tempfile::TempDir,
    folder: Folder,
    declared: BTreeMap<CredentialName, Arc<Declaration>>,
    shutdown: CancellationToken,
}

impl Stage {
    fn new() -> Self {
        Self::with(Arc::new(|_| None))
    }

    fn with(environment: Environment) -> Self {
        let clock = SimClock::at("2026-11-25T10:00:00Z".parse().unwrap());
        let (theirs, ours) = (clock.clone(), Arc::new(clock.clone()));
        let fake = Fake::start(move || theirs.now().as_second());
        let world = World { wire: Wire::new(ours.clone()), clock: ours, environment };
        let dir = tempfile::tempdir().unwrap();
        Self {
            fake,
            clock,
            world: Arc::new(world),
            folder: Folder::at(dir.path()),
            dir,
            declared: BTreeMap::new(),
            shutdown: CancellationToken::new(),
        }
    }

    fn file(&self, file: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(file);
        fs::write(path.with_extension("new"), text).unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        path
    }

    fn declare(&mut self, text: &str, provider: Provider) {
        let declaration = Declaration {
            name: name(text),
            description: String::new(),
            provider,
            hosts: Vec::new(),
            seal: None,
            revision: 1,
        };
        self.declared.insert(name(text), Arc::new(declaration));
    }

    fn oauth(&self, client_secret: SecretPlace) -> Provider {
        Provider::OAuth2(OAuth2 {
            server: OAuthServer::TokenUrl(self.fake.url("/token")),
            auth_url: None,
            device_url: None,
            revoke_url: None,
            client_id: CLIENT.to_owned(),
            client_secret: Some(client_secret),
            scopes: vec!["a".to_owned()],
            grant: OAuthGrant::Refresh,
            rotates: Some(false),
            auth: ClientAuth::Basic,
            account: None,
        })
    }

    /// A credential at the server, with a grant.
    async fn logged_in(text: &str) -> Self {
        let mut stage = Self::new();
        let secret = SecretPlace::File(stage.file("secret", SECRET));
        stage.declare(text, stage.oauth(secret));
        stage.log_in(text).await;
        stage
    }

    /// What `jadactl auth login` does, once the person has consented.
    async fn log_in(&self, text: &str) {
        let now = self.clock.now();
        let name = name(text);
        let mut held = self.folder.lock(&name, HOUR, &self.clock).await.unwrap();
        let before = held.read().unwrap();
        let standing = before.map_or(Standing::unknown(now), |record| record.standing);
        let generation = standing.generation + 1;
        let success = Success { generation, usable_until: now, missing_scopes: None, skew: None };
        let facts = Facts {
            name: name.clone(),
            rotates: false,
            lost_answer: false,
            fresh: false,
            consents: true,
            refreshes: true,
            horizon: None,
        };
        let standing = lifecycle::advance(&standing, &Event::Consented(success), now, &facts);
        let grant = Grant {
            refresh_token: Secret::new(self.fake.grant("a")),
            generation,
            scopes: vec!["a".into()],
            consented_at: now,
            obtained_at: now,
            ends: Vec::new(),
        };
        let record = Record {
            name,
            provider: "oauth2".into(),
            account: None,
            grant: Some(grant),
            previous: None,
            token: None,
            standing,
            minted: 1,
        };
        held.write(&record).unwrap();
    }

    async fn keeper(&self) -> Arc<Keeper> {
        let declared = Arc::new(self.declared.clone());
        let world = Arc::clone(&self.world);
        Keeper::open(&declared, self.folder.clone(), world, Arc::default()).await
    }

    /// A keeper whose loop runs.
    async fn running(&self) -> Arc<Keeper> {
        let keeper = self.keeper().await;
        tokio::spawn(Arc::clone(&keeper).run(self.shutdown.clone()));
        keeper
    }

    fn audit(&self, text: &str) -> Vec<Act> {
        let entries = Audit::of(self.folder.clone(), "cli").read(&name(text)).unwrap();
        entries.into_iter().map(|entry| entry.event).collect()
    }

    /// Nothing that was written here besides the records holds a secret.
    fn assert_no_canary(&self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let is_record = path.file_name().unwrap().to_str().unwrap().contains("+one.json");
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(is_record || !text.contains("canary"), "{}", path.display());
        }
    }
}

fn whom() -> Use {
    Use { job: JobName::parse("sync").unwrap(), run: RunId(7) }
}

async fn token(keeper: &Keeper, text: &str) -> Result<Lease, Refused> {
    let need = Need { min_ttl: Duration::from_secs(60), scopes: Vec::new() };
    keeper.token(&name(text), need, &whom()).await
}

fn stale() -> Evidence {
    Evidence::new(Class::TokenStale, "HTTP 401 invalid_token")
}

fn shown(lease: &Lease) -> String {
    secrets(&lease.token)[0].expose().to_owned()
}

/// Waits for what is bound to happen; a test that waits in vain ends by real time.
async fn until(keeper: &Keeper, text: &str, state: State) -> Standing {
    let mut standings = keeper.standings();
    let name = name(text);
    let waiting = standings.wait_for(|all| all[&name].state == state);
    match within(&SystemClock, Duration::from_secs(20), waiting).await {
        Some(all) => all.unwrap()[&name].clone(),
        None => panic!("never {state:?}: {:?}", keeper.standings().borrow()[&name]),
    }
}

#[tokio::test]
async fn one_exchange_serves_all_who_ask() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let asks = (0..20).map(|_| token(&keeper, "test/one"));
    let leases = futures_util::future::join_all(asks).await;
    let tokens: BTreeSet<_> = leases.iter().map(|lease| shown(lease.as_ref().unwrap())).collect();
    assert_eq!(tokens.len(), 1);
    assert!(stage.fake.takes(tokens.first().unwrap()));
    assert_eq!(stage.fake.calls(), 1);
    assert_eq!(keeper.standings().borrow()[&name("test/one")].state, State::Healthy);
    // Each is written down, with whom it was for.
    let injected = stage.audit("test/one").into_iter().filter(|act| *act == Act::Inject).count();
    assert_eq!(injected, 20);
    stage.assert_no_canary();
    // And hidden from what they say.
    assert_eq!(keeper.redactor().hide(&format!("got {SECRET}.")), "got [redacted].");
    // A second daemon after a restart asks nobody.
    let keeper = stage.keeper().await;
    assert_eq!(shown(&token(&keeper, "test/one").await.unwrap()), *tokens.first().unwrap());
    assert_eq!(stage.fake.calls(), 1);
}

#[tokio::test]
async fn an_attempt_that_goes_away_takes_no_exchange_with_it() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    {
        let (name, whom) = (name("test/one"), whom());
        let asking = keeper.token(&name, Need::default(), &whom);
        let mut asking = std::pin::pin!(asking);
        assert!(futures_util::poll!(&mut asking).is_pending());
    }
    let mut standings = keeper.standings();
    standings.wait_for(|all| all[&name("test/one")].generation == 2).await.unwrap();
    assert_eq!(stage.fake.exchanges(), 1);
    token(&keeper, "test/one").await.unwrap();
    assert_eq!(stage.fake.calls(), 1);
}

#[tokio::test]
async fn a_token_that_is_good_for_too_short_is_renewed_first() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    token(&keeper, "test/one").await.unwrap();
    stage.clock.advance(HOUR / 2);
    let need =
        |minutes: u64| Need { min_ttl: Duration::from_secs(60 * minutes), scopes: Vec::new() };
    let (name, whom) = (name("test/one"), whom());
    keeper.token(&name, need(20), &whom).await.unwrap();
    assert_eq!(stage.fake.calls(), 1);
    let lease = keeper.token(&name, need(40), &whom).await.unwrap();
    assert_eq!((stage.fake.calls(), lease.generation), (2, 3));
    // A server whose tokens never live so long gives what it has.
    keeper.token(&name, need(120), &whom).await.unwrap();
}

#[tokio::test]
async fn a_dead_grant_costs_two_calls_and_is_mended_without_a_restart() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    stage.fake.revoke_all();
    // A job runs into it; then many more start.
    let refused =
        keeper.refused(&name("test/one"), lease.generation, stale(), false).await.unwrap_err();
    assert_eq!(refused.standing.state, State::RefreshFailing);
    assert!(!refused.words.contains("canary"), "{}", refused.words);
    for _ in 0..10 {
        token(&keeper, "test/one").await.unwrap_err();
    }
    assert_eq!(stage.fake.calls(), 2, "the exchange that was refused");
    stage.clock.advance(Duration::from_secs(60));
    let standing = until(&keeper, "test/one", State::ReauthRequired).await;
    assert_eq!(standing.error.as_deref(), Some("invalid_grant"));
    for _ in 0..48 {
        stage.clock.advance(HOUR);
        let refused = token(&keeper, "test/one").await.unwrap_err();
        assert!(refused.words.contains("no longer valid"), "{}", refused.words);
    }
    assert_eq!(stage.fake.calls(), 3, "and the one that confirms it");
    stage.log_in("test/one").await;
    until(&keeper, "test/one", State::Healthy).await;
    let lease = token(&keeper, "test/one").await.unwrap();
    assert!(stage.fake.takes(&shown(&lease)));
    assert!(stage.audit("test/one").contains(&Act::Adopt));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_who_had_it() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let name = name("test/one");
    let lease = token(&keeper, "test/one").await.unwrap();
    let refusals = (0..5).map(|_| keeper.refused(&name, lease.generation, stale(), false));
    let fresh = futures_util::future::join_all(refusals).await;
    let generations: BTreeSet<_> =
        fresh.into_iter().map(|lease| lease.unwrap().generation).collect();
    assert_eq!(generations, BTreeSet::from([lease.generation + 1]));
    assert_eq!(stage.fake.calls(), 2);
    // The fresh one is refused too: no more exchanges, and the operator has to look.
    let again = keeper.refused(&name, lease.generation + 1, stale(), false).await.unwrap_err();
    assert_eq!(again.standing.state, State::Misconfigured);
    token(&keeper, "test/one").await.unwrap_err();
    assert_eq!(stage.fake.calls(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_much_later_is_news() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let name = name("test/one");
    let lease = token(&keeper, "test/one").await.unwrap();
    let fresh = keeper.refused(&name, lease.generation, stale(), false).await.unwrap();
    assert!(keeper.was_cured_lately(&name, fresh.generation));
    stage.clock.advance(Duration::from_secs(61));
    assert!(!keeper.was_cured_lately(&name, fresh.generation));
    stage.fake.revoke_all();
    let dead = keeper.refused(&name, fresh.generation, stale(), false).await.unwrap_err();
    assert_eq!(dead.standing.class, Some(Class::ReauthRequired), "the server was asked");
    assert_eq!(stage.fake.calls(), 3);
}

#[tokio::test]
async fn what_concerns_one_resource_leaves_the_credential_alone() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    for class in [Class::Permission, Class::Quota] {
        let evidence = Evidence::new(class, "share the sheet with ops@example.com");
        let refused =
            keeper.refused(&name("test/one"), lease.generation, evidence, false).await.unwrap_err();
        assert_eq!(refused.standing.state, State::Healthy);
        assert!(refused.words.contains("share the sheet"), "{}", refused.words);
    }
    assert_eq!(token(&keeper, "test/one").await.unwrap(), lease);
}

#[tokio::test]
async fn scopes_that_were_not_granted_block_those_who_need_them() {
    let stage = Stage::logged_in("test/one").await;
    stage.fake.grants_only("b");
    let keeper = stage.keeper().await;
    let (name, whom) = (name("test/one"), whom());
    let need = |scopes: &[&str]| Need {
        min_ttl: Duration::ZERO,
        scopes: scopes.iter().map(ToString::to_string).collect(),
    };
    let refused = keeper.token(&name, need(&["a"]), &whom).await.unwrap_err();
    assert_eq!(refused.words, "test/one: it was not granted a");
    assert_eq!(refused.standing.class, Some(Class::ScopeMissing));
    keeper.token(&name, need(&[]), &whom).await.unwrap_err();
    keeper.token(&name, need(&["b"]), &whom).await.unwrap();
}

#[tokio::test]
async fn runs_under_way_get_new_tokens_ahead_of_the_end() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    let mut renewed = keeper.renewed(&name("test/one"));
    assert_eq!(*renewed.borrow_and_update(), lease.generation);
    stage.clock.advance(Duration::from_secs(56 * 60));
    let waiting = within(&SystemClock, Duration::from_secs(20), renewed.changed()).await;
    waiting.expect("renewed in time").unwrap();
    assert_eq!(*renewed.borrow(), lease.generation + 1);
    assert_eq!(stage.fake.calls(), 2);
    // Without a run that listens, the next end passes and nobody is asked.
    drop(renewed);
    stage.clock.advance(HOUR * 2);
    keeper.inner.wake.notify_one();
    stage.shutdown.cancel();
    keeper.inner.flights.close();
    keeper.inner.flights.wait().await;
    assert_eq!(stage.fake.calls(), 2);
}

#[tokio::test]
async fn nobody_needs_it_and_it_is_kept_alive_from_stored_facts() {
    let mut stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    token(&keeper, "test/one").await.unwrap();
    let mut standings = keeper.standings();
    let refreshed_at = |all: &Standings| all[&name("test/one")].last_refresh.unwrap();
    // A day, and half a month in which the machine slept: one exchange each.
    for (calls, slept) in [(2, HOUR * 24), (3, HOUR * 24 * 15)] {
        stage.clock.advance(slept);
        let now = stage.clock.now();
        let refreshed = standings.wait_for(|all| refreshed_at(all) == now);
        within(&SystemClock, Duration::from_secs(20), refreshed).await.expect("in time").unwrap();
        assert_eq!(stage.fake.calls(), calls);
    }
    // Down for a week: the next daemon finds it overdue.
    stage.shutdown.cancel();
    stage.clock.advance(HOUR * 24 * 7);
    stage.shutdown = CancellationToken::new();
    let keeper = stage.running().await;
    let now = stage.clock.now();
    let mut standings = keeper.standings();
    let refreshed = standings.wait_for(|all| refreshed_at(all) == now);
    within(&SystemClock, Duration::from_secs(20), refreshed).await.expect("in time").unwrap();
    assert_eq!(stage.fake.calls(), 4);
}

#[tokio::test]
async fn a_mended_file_is_noticed_and_tried_at_once() {
    let mut stage = Stage::new();
    let secret = stage.file("secret", "wrong-canary-secret");
    stage.declare("test/one", stage.oauth(SecretPlace::File(secret)));
    stage.log_in("test/one").await;
    let keeper = stage.running().await;
    let refused = token(&keeper, "test/one").await.unwrap_err();
    assert_eq!(refused.standing.state, State::Misconfigured);
    assert_eq!(refused.standing.error.as_deref(), Some("invalid_client"));
    stage.file("secret", SECRET);
    until(&keeper, "test/one", State::Healthy).await;
    token(&keeper, "test/one").await.unwrap();
}

#[tokio::test]
async fn a_key_in_a_file_is_replaced_while_the_daemon_runs() {
    let mut stage = Stage::new();
    let key = SecretPlace::File(stage.file("key", "canary-first-key"));
    let fixed = Static { secret: StaticSecret::Bearer(key), expires_on: None };
    stage.declare("test/one", Provider::Static(fixed));
    let keeper = stage.running().await;
    let first = until(&keeper, "test/one", State::Healthy).await;
    assert_eq!(shown(&token(&keeper, "test/one").await.unwrap()), "canary-first-key");
    let mut renewed = keeper.renewed(&name("test/one"));
    renewed.mark_unchanged();
    stage.file("key", "canary-second-key");
    let waiting = within(&SystemClock, Duration::from_secs(20), renewed.changed()).await;
    waiting.expect("noticed").unwrap();
    let lease = token(&keeper, "test/one").await.unwrap();
    assert_eq!(shown(&lease), "canary-second-key");
    assert!(lease.generation > first.generation);
    let record = fs::read_to_string(stage.folder.record_path(&name("test/one"))).unwrap();
    assert!(!record.contains("canary"), "its source has it, and no copy");
}

#[tokio::test]
async fn a_client_that_is_mended_for_one_is_tried_for_all_that_share_it() {
    let secret = Arc::new(Mutex::new("wrong".to_owned()));
    let told = Arc::clone(&secret);
    let mut stage = Stage::with(Arc::new(move |_| Some(told.lock().unwrap().clone())));
    for text in ["test/one", "test/two"] {
        stage.declare(text, stage.oauth(SecretPlace::Env("SECRET".to_owned())));
        stage.log_in(text).await;
    }
    let keeper = stage.running().await;
    for text in ["test/one", "test/two"] {
        let refused = token(&keeper, text).await.unwrap_err();
        assert_eq!(refused.standing.class, Some(Class::ClientMisconfigured));
    }
    SECRET.clone_into(&mut secret.lock().unwrap());
    // What `jadactl auth refresh test/one` does.
    let one = keeper.one(&name("test/one")).unwrap();
    keeper.flight(one, Why::Forced).await.unwrap();
    until(&keeper, "test/two", State::Healthy).await;
}

#[tokio::test]
async fn another_kind_takes_the_place_of_one_that_nobody_logged_in_to() {
    let mut stage = Stage::new();
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/one", stage.oauth(secret));
    until(&*stage.running().await, "test/one", State::ReauthRequired).await;
    let key = SecretPlace::File(stage.file("key", "canary-first-key"));
    let fixed = Static { secret: StaticSecret::Bearer(key), expires_on: None };
    stage.declare("test/one", Provider::Static(fixed));
    let keeper = stage.running().await;
    assert_eq!(shown(&token(&keeper, "test/one").await.unwrap()), "canary-first-key");
}

#[tokio::test]
async fn what_is_secret_in_a_document_is_hidden_too() {
    let mut stage = Stage::new();
    let client = r#"{"installed": {"client_id": "id-1", "client_secret": "canary-of-a-client"}}"#;
    let google = Google {
        account: None,
        client: GoogleClient::Json(SecretPlace::File(stage.file("client", client))),
        scopes: Vec::new(),
        testing: false,
    };
    stage.declare("test/one", Provider::Google(google));
    let pem =
        "-----BEGIN RSA PRIVATE KEY-----\ncanaryFirstLineOfTheKey\n-----END RSA PRIVATE KEY-----\n";
    let app = GithubApp {
        app_id: 1,
        installation_id: 1,
        key: SecretPlace::File(stage.file("pem", pem)),
        repositories: Vec::new(),
        permissions: BTreeMap::new(),
        api_url: stage.fake.url(""),
    };
    stage.declare("test/two", Provider::GithubApp(app));
    let keeper = stage.keeper().await;
    for secret in ["canary-of-a-client", "canaryFirstLineOfTheKey"] {
        assert_eq!(keeper.redactor().hide(&format!("got {secret}.")), "got [redacted].");
    }
    assert_eq!(keeper.redactor().hide("id-1 at installed"), "id-1 at installed");
}

#[tokio::test]
async fn what_is_in_place_counts_for_the_next_attempt_without_a_notice() {
    let mut stage = Stage::new();
    let key = SecretPlace::File(stage.file("key", "canary-first-key"));
    let fixed = Static { secret: StaticSecret::Bearer(key), expires_on: None };
    stage.declare("test/one", Provider::Static(fixed));
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/two", stage.oauth(secret));
    // Its loop does not run.
    let keeper = stage.keeper().await;
    assert_eq!(shown(&token(&keeper, "test/one").await.unwrap()), "canary-first-key");
    token(&keeper, "test/two").await.unwrap_err();
    stage.file("key", "canary-second-key");
    assert_eq!(shown(&token(&keeper, "test/one").await.unwrap()), "canary-second-key");
    stage.log_in("test/two").await;
    token(&keeper, "test/two").await.unwrap();
}

#[tokio::test]
async fn a_folder_that_others_can_read_blocks_until_it_is_mended() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    token(&keeper, "test/one").await.unwrap();
    let record = stage.folder.record_path(&name("test/one"));
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&record, 0o644);
    let standing = until(&keeper, "test/one", State::Misconfigured).await;
    assert_eq!(standing.class, Some(Class::LocalStore));
    let refused = token(&keeper, "test/one").await.unwrap_err();
    assert!(refused.words.contains("has mode 0644"), "{}", refused.words);
    assert_eq!(stage.fake.calls(), 1);
    chmod(&record, 0o600);
    until(&keeper, "test/one", State::Healthy).await;
    token(&keeper, "test/one").await.unwrap();
    assert_eq!(stage.fake.calls(), 1, "its token was good all the time");
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_left_alone_by_all_of_a_client() {
    let mut stage = Stage::logged_in("test/one").await;
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/two", stage.oauth(secret));
    stage.log_in("test/two").await;
    stage.fake.faults([Fault::retry_after(429, "120")]);
    let keeper = stage.running().await;
    token(&keeper, "test/one").await.unwrap_err();
    let refused = token(&keeper, "test/two").await.unwrap_err();
    assert_eq!(refused.standing.class, Some(Class::RateLimited));
    assert_eq!(stage.fake.calls(), 1);
    stage.clock.advance(Duration::from_secs(120));
    until(&keeper, "test/one", State::Healthy).await;
    until(&keeper, "test/two", State::Healthy).await;
    assert_eq!(stage.fake.calls(), 3);
}

#[tokio::test]
async fn an_outage_is_ridden_out_with_the_token_at_hand() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    let _run = keeper.renewed(&name("test/one"));
    stage.fake.fault(Some(Fault::retry_after(503, "30")));
    stage.clock.advance(Duration::from_secs(56 * 60));
    until(&keeper, "test/one", State::RefreshFailing).await;
    assert_eq!(token(&keeper, "test/one").await.unwrap(), lease);
    stage.fake.fault(None);
    stage.clock.advance(Duration::from_secs(60));
    let standing = until(&keeper, "test/one", State::Healthy).await;
    assert_eq!(standing.generation, lease.generation + 1);
}

#[tokio::test]
async fn a_sealed_credential_waits_for_its_identity() {
    let mut stage = Stage::new();
    let identity = stage.dir.path().join("identity");
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/one", stage.oauth(secret));
    let declaration = Arc::make_mut(stage.declared.get_mut(&name("test/one")).unwrap());
    declaration.seal = Some(Seal::Age(SecretPlace::File(identity)));
    stage.log_in("test/one").await;
    let keeper = stage.running().await;
    let refused = token(&keeper, "test/one").await.unwrap_err();
    assert_eq!(refused.standing.class, Some(Class::LocalStore));
    assert!(refused.words.contains("its identity is out of reach"), "{}", refused.words);
    assert_eq!(stage.fake.calls(), 0, "nothing is spent that could not be kept");
    stage.file("identity", Identity::generate().expose());
    until(&keeper, "test/one", State::Healthy).await;
    token(&keeper, "test/one").await.unwrap();
    let kept = fs::read(stage.folder.record_path(&name("test/one"))).unwrap();
    assert!(kept.starts_with(b"age-encryption.org/v1"));
    assert_eq!(stage.fake.calls(), 1);
}

#[tokio::test]
async fn nobody_has_logged_in_yet() {
    let mut stage = Stage::new();
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/one", stage.oauth(secret));
    let keeper = stage.running().await;
    until(&keeper, "test/one", State::ReauthRequired).await;
    let words = token(&keeper, "test/one").await.unwrap_err().words;
    assert_eq!(words, "test/one: nobody has logged in yet: jadactl auth login test/one");
    stage.log_in("test/one").await;
    until(&keeper, "test/one", State::Healthy).await;
    token(&keeper, "test/one").await.unwrap();
    let undeclared = token(&keeper, "test/other").await.unwrap_err();
    assert_eq!(undeclared.words, "test/other: it is not declared in jada.yaml");
}

#[tokio::test]
async fn a_spent_grant_that_cannot_be_written_serves_from_memory_until_it_is() {
    // The client's secret is looked up in the middle of the exchange: there the folder goes bad.
    let spoils: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let spoiling = Arc::clone(&spoils);
    let mut stage = Stage::with(Arc::new(move |_| {
        if let Some(path) = spoiling.lock().unwrap().take() {
            fs::rename(&path, path.with_extension("aside")).unwrap();
            fs::create_dir(&path).unwrap();
        }
        Some(SECRET.to_owned())
    }));
    stage.declare("test/one", stage.oauth(SecretPlace::Env("S".into())));
    stage.log_in("test/one").await;
    stage.fake.rotate(true);
    let keeper = stage.keeper().await;
    let record = stage.folder.record_path(&name("test/one"));
    *spoils.lock().unwrap() = Some(record.clone());
    let lease = token(&keeper, "test/one").await.unwrap();
    let standing = keeper.standings().borrow()[&name("test/one")].clone();
    assert_eq!(standing.class, Some(Class::LocalStore), "people must know");
    assert_eq!(token(&keeper, "test/one").await.unwrap(), lease);
    // The write is tried again as time passes, and then all is well.
    fs::remove_dir(&record).unwrap();
    // Time goes on in steps: the wait between two tries may begin after any one of them.
    let mut standings = keeper.standings();
    for _ in 0..200 {
        stage.clock.advance(Duration::from_secs(2));
        let healthy = standings.wait_for(|all| all[&name("test/one")].state == State::Healthy);
        if within(&SystemClock, Duration::from_millis(100), healthy).await.is_some() {
            break;
        }
    }
    until(&keeper, "test/one", State::Healthy).await;
    let kept = stage.folder.read(&name("test/one")).unwrap().unwrap();
    assert_eq!(kept.token, Some(lease.token));
    assert_eq!(stage.fake.calls(), 1);
}

#[test]
fn duties_come_from_stored_facts() {
    use super::due::{Duty, due};
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let start = at("2026-11-25T10:00:00Z");
    let declaration = Declaration {
        name: name("test/one"),
        description: String::new(),
        provider: Provider::Static(Static {
            secret: StaticSecret::Bearer(SecretPlace::Env("A".into())),
            expires_on: None,
        }),
        hosts: Vec::new(),
        seal: None,
        revision: 1,
    };
    let mut nature = crate::credentials::nature::Nature::of(&declaration, None);
    let mut standing = Standing::unknown(start);
    let now = at("2026-11-25T12:00:00Z");
    let record = |standing: &Standing| Record {
        name: name("test/one"),
        provider: "static".into(),
        account: None,
        grant: None,
        previous: None,
        token: None,
        standing: standing.clone(),
        minted: 1,
    };
    assert!(matches!(
        due(None, &standing, &nature, false, now),
        Some((at, Duty::Refresh(Why::Stale { .. }))) if at == now
    ));
    standing.state = State::Healthy;
    standing.generation = 3;
    standing.last_refresh = Some(start);
    standing.usable_until = Some(Timestamp::MAX);
    let next = |standing: &Standing, nature: &_, leased| {
        due(Some(&record(standing)), standing, nature, leased, now)
    };
    assert_eq!(next(&standing, &nature, true), None, "a key without an end needs nobody");
    // An end that is declared is looked at when its warning begins, and when it comes.
    let end = crate::model::KnownEnd { at: at("2026-12-25T00:00:00Z"), clock: "d".into() };
    nature.terms = Terms { declared: Some(end), ..Terms::default() };
    assert_eq!(next(&standing, &nature, false), Some((at("2026-12-11T00:00:00Z"), Duty::Look)));
    standing.state = State::Expiring;
    assert_eq!(next(&standing, &nature, false), Some((at("2026-12-25T00:00:00Z"), Duty::Look)));
    // A token with an end is renewed for runs under way alone.
    nature.terms = Terms::default();
    standing.usable_until = Some(at("2026-11-25T13:00:00Z"));
    let newer = Duty::Refresh(Why::Newer { than: 3 });
    assert_eq!(next(&standing, &nature, false), None);
    assert_eq!(next(&standing, &nature, true), Some((at("2026-11-25T12:55:00Z"), newer)));
    standing.usable_until = None;
    assert_eq!(next(&standing, &nature, true), Some((now, newer)));
    // What failed is tried again at its time, and what a person must mend is left alone.
    standing.state = State::Misconfigured;
    standing.next_try = Some(at("2026-11-26T10:00:00Z"));
    assert_eq!(next(&standing, &nature, true), Some((at("2026-11-26T10:00:00Z"), newer)));
    for state in [State::ReauthRequired, State::Paused, State::Revoked] {
        standing.state = state;
        assert_eq!(next(&standing, &nature, true), None, "{state:?}");
    }
}
