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

mod files;
mod refusals;

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
