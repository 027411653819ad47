//! Secrets in their places: files, variables, programs, profiles.
//!
//! Owns the cases of what is read and what is not trusted. Refuses to know servers.

use super::*;

#[tokio::test]
async fn what_is_issued_by_hand_is_read_from_its_place() {
    let stage = Stage::new();
    let place = || stage.place("token", "canary-token\n");
    let env = |name: &str| SecretPlace::Env(name.to_owned());
    stage.file("unit-token", "canary-systemd");
    let end: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    let ending = Static { expires_on: Some(end), ..bearer(place()) };
    let basic = StaticSecret::Basic { user: "ops".to_owned(), password: env("TOKEN") };
    let header = StaticSecret::Header { name: "X-Api-Key".to_owned(), key: place() };
    let plain = |secret| Provider::Static(Static { secret, expires_on: None });
    let printing = SecretPlace::Exec(vec!["echo".to_owned(), "canary-printed".to_owned()]);
    for (provider, expected) in [
        (Provider::Static(bearer(place())), "canary-token None"),
        (Provider::Static(ending), "canary-token Some(482400)"),
        (plain(basic), "ops:canary-token None"),
        (plain(header), "X-Api-Key: canary-token None"),
        (Provider::Static(bearer(printing)), "canary-printed Some(3600)"),
        (
            Provider::Static(bearer(SecretPlace::Systemd("unit-token".to_owned()))),
            "canary-systemd None",
        ),
        (Provider::Static(bearer(env("NONE"))), "local-store: variable NONE is not set"),
        (Provider::Static(bearer(env("EMPTY"))), "local-store: variable EMPTY is empty"),
        (Provider::Env(Env { variable: "TOKEN".to_owned() }), "canary-token None"),
        (
            Provider::Env(Env { variable: "NONE".to_owned() }),
            "local-store: variable NONE is not set in the environment",
        ),
    ] {
        assert_eq!(stage.told(provider, None).await, expected);
    }
}

#[tokio::test]
async fn a_file_that_others_may_write_or_that_is_none_is_not_trusted() {
    let stage = Stage::new();
    let open = stage.file("open", "canary");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    let missing = stage.folder.path().join("missing");
    let pipe = stage.folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let huge = stage.file("huge", &"x".repeat(1024 * 1024 + 1));
    for (path, problem) in [
        (&open, "everybody may write it: chmod o-w"),
        (&missing, "it is not there: put it there (chmod 600)"),
        (&pipe, "it is no regular file"),
        (&huge, "it is longer than 1 MiB"),
        (&stage.folder.path().to_path_buf(), "it is no regular file"),
    ] {
        let told =
            stage.told(Provider::Static(bearer(SecretPlace::File(path.clone()))), None).await;
        assert!(told.starts_with(&format!("local-store: file {}: ", path.display())), "{told}");
        assert!(told.contains(problem) && !told.contains("canary"), "{told}");
        let file = TokenFile { place: SecretPlace::File(path.clone()) };
        let told = stage.told(Provider::File(file), None).await;
        assert!(told.starts_with("source-failing: "), "{told}");
    }
}

#[tokio::test]
async fn a_program_that_fails_is_named_and_its_complaints_are_not_kept() {
    let stage = Stage::new();
    let run = |script: &str| {
        let run = ["sh", "-c", script].map(str::to_owned).to_vec();
        Provider::Exec(Exec { run, timeout: Duration::from_secs(30) })
    };
    for (script, expected) in [
        ("echo canary-token", "canary-token Some(3600)"),
        (r#"echo '{"access_token": "canary", "expires_in": 90}'"#, "canary Some(90)"),
        ("echo canary >&2; exit 3", "source-failing: sh ended with exit code 3"),
        ("kill -9 $$", "source-failing: sh was killed"),
        ("echo Please log in", "source-failing: sh gives no token: one word or JSON is expected"),
        ("head -c 2000000 /dev/zero", "source-failing: sh prints more than 1 MiB"),
        ("true", "source-failing: sh gives no token: one word or JSON is expected"),
        (r#"test -z "$CREDENTIALS_DIRECTORY$NOTIFY_SOCKET" && echo t"#, "t Some(3600)"),
    ] {
        assert_eq!(stage.told(run(script), None).await, expected, "{script}");
    }
    let none = Exec { run: vec!["/no/such/program".to_owned()], timeout: Duration::from_secs(1) };
    let told = stage.told(Provider::Exec(none), None).await;
    assert!(told.starts_with("source-failing: /no/such/program can't start"), "{told}");
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_it_started() {
    let stage = Arc::new(Stage::new());
    let started = stage.folder.path().join("started");
    rustix::fs::mkfifoat(rustix::fs::CWD, &started, rustix::fs::Mode::RWXU).unwrap();
    let script = format!("echo > {0}; cat {0}; sleep 1000", started.display());
    let exec = Exec {
        run: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        timeout: Duration::from_secs(7),
    };
    let asking = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { stage.told(Provider::Exec(exec), None).await }
    });
    // The program opens the pipe for writing: it runs. It then waits for somebody to write.
    tokio::task::spawn_blocking(move || fs::read(&started).unwrap()).await.unwrap();
    stage.clock.advance(Duration::from_secs(7));
    assert_eq!(asking.await.unwrap(), "source-failing: sh took longer than 7 s");
}

#[tokio::test]
async fn keys_of_aws_come_from_places_or_a_profile() {
    let stage = Stage::new();
    let aws = |keys| Provider::Aws(Aws { keys, region: None, service: None, expires_on: None });
    let pair = AwsKeys::Pair {
        access_key_id: stage.place("id", "AKIDEXAMPLE\n"),
        secret_access_key: stage.place("key", "canary"),
        session_token: None,
    };
    assert_eq!(stage.told(aws(pair), None).await, "AKIDEXAMPLE None");
    let file =
        stage.file("profiles", "[default]\naws_access_key_id=A\naws_secret_access_key=canary\n");
    let profile =
        |name: &str| aws(AwsKeys::Profile { file: file.clone(), profile: name.to_owned() });
    assert_eq!(stage.told(profile("default"), None).await, "A None");
    let told = stage.told(profile("other"), None).await;
    assert!(told.ends_with("profiles: there is no profile `other`"), "{told}");
}
