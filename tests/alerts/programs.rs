//! By a program: what it is given, and what its end means.

use std::time::Duration;

use jada::alerts::settings::{Program, Way};
use jada::model::{Blame, Told};

use crate::stage::{Stage, alerts, by};

fn stage(script: &str) -> Stage {
    let run = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let folder = std::env::temp_dir();
    let program = Program { run, folder, timeout: Duration::from_secs(20) };
    Stage::new(alerts(vec![("ops", by(Way::Command(program)))]))
}

#[tokio::test]
async fn it_gets_the_incident_and_a_few_variables() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("said");
    let script = format!(
        "cat > '{0}'; echo \"$JADA_EVENT $JADA_ROOT $JADA_INCIDENT\" >> '{0}'",
        path.display()
    );
    let mut stage = stage(&script);
    stage.open("credential/google/ops").await;
    stage.deliver().await;
    let said = std::fs::read_to_string(path).unwrap();
    let (json, variables) = said.split_at(said.rfind('}').unwrap() + 1);
    let body: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(body["root"], "credential/google/ops");
    assert_eq!(variables.trim(), "opened credential/google/ops 1");
    assert_eq!(stage.rows().await[0].state, Told::Delivered);
}

#[tokio::test]
async fn how_it_ends_says_what_to_mend() {
    for (script, blame, words) in [
        (
            "echo 'no such room' >&2; exit 78",
            Blame::Settings,
            "/bin/sh ended with 78: no such room",
        ),
        ("exit 75", Blame::Line, "/bin/sh ended with 75"),
        ("kill -9 $$", Blame::Line, "/bin/sh was killed"),
        ("exec /does/not/exist 2>/dev/null", Blame::Settings, "/bin/sh ended with 127"),
    ] {
        let mut stage = stage(script);
        stage.open("credential/google/ops").await;
        stage.deliver().await;
        let row = stage.rows().await.remove(0);
        assert_eq!((row.blame, row.error.as_str()), (Some(blame), words), "{script}");
    }
}

/// Where nobody can be told, the file in the data folder says so.
#[tokio::test]
async fn the_last_resort_is_a_file() {
    let mut stage = stage("exit 78");
    stage.open("credential/google/ops").await;
    stage.pass(60).await;
    let text = std::fs::read_to_string(stage.path("undelivered.jsonl")).unwrap();
    let roots: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["root"].clone())
        .collect();
    assert!(roots.contains(&"credential/google/ops".into()), "{roots:?}");
    assert!(roots.contains(&"notifier/ops".into()), "{roots:?}");
}
