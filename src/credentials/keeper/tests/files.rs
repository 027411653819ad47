//! Keeping to what lies on disk: secret files, the folder, seals.
//!
//! Owns the cases in which a file changes, can't be trusted or can't be written. Refuses to know servers'
//! refusals.

use super::*;

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
