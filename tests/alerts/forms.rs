//! What a receiver sees, and what its answers lead to.

use jada::alerts::item::IncidentItem;
use jada::alerts::settings::{Form, Given, Way};
use jada::credentials::declare::SecretPlace;
use jada::model::{Blame, Told};
use serde_json::{Value as Json, json};

use crate::receiver::{Received, Receiver};
use crate::stage::{Stage, alerts, by, webhook};

fn stage(url: &str, form: Form) -> Stage {
    Stage::new(alerts(vec![("ops", by(Way::Webhook(Box::new(webhook(url, form)))))]))
}

/// The default body is the incident as `incidents --json` has it, and `event`.
#[tokio::test]
async fn the_incident_with_its_event() {
    let receiver = Receiver::start();
    let mut stage = stage(&receiver.url("/hook"), Form::Incident);
    stage.open("job/port-sheet").await;
    stage.pass(60).await;
    let opened = stage.store.incidents(true, 1).await.unwrap().remove(0);
    stage.close("job/port-sheet").await;
    stage.pass(10).await;
    let received = receiver.received();
    assert_eq!(received.len(), 2, "{received:?}");
    let item = serde_json::to_value(IncidentItem::from(&opened)).unwrap();
    let body = received[0].json();
    for (name, value) in item.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
    assert_eq!(
        (&body["event"], &received[1].json()["event"]),
        (&json!("opened"), &json!("resolved"))
    );
    let keys: Vec<_> = received.iter().map(|one| one.header("idempotency-key").unwrap()).collect();
    assert_ne!(keys[0], keys[1]);
    assert_eq!(body["notification"], keys[0]);
    assert_eq!(received[0].header("content-type"), Some("application/json"));
}

/// A 5xx and a 429 are tried again under the same key; what the other side asks for is heeded.
#[tokio::test]
async fn what_failed_is_sent_again_under_the_same_key() {
    let receiver = Receiver::start();
    receiver.script(&[(503, "", "down"), (429, "Retry-After: 600\r\n", "slow down")]);
    let mut stage = stage(&receiver.url("/hook"), Form::Incident);
    stage.open("credential/google/ops").await;
    stage.deliver().await;
    assert_eq!(receiver.received().len(), 1);
    let row = stage.rows().await.remove(0);
    assert_eq!((row.tries, row.blame, row.state), (1, Some(Blame::Line), Told::Waiting));
    assert!(row.error.ends_with("answered 503: down"), "{}", row.error);
    stage.pass(20).await;
    assert_eq!(receiver.received().len(), 2);
    stage.pass(500).await;
    assert_eq!(receiver.received().len(), 2, "600 s were asked for");
    stage.pass(200).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    let keys: Vec<_> = received.iter().map(|one| one.header("idempotency-key")).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && key.is_some()), "{keys:?}");
    assert_eq!(stage.rows().await[0].state, Told::Delivered);
}

/// A 4xx is told through another notifier, without what was secret in it.
#[tokio::test]
async fn a_refusal_is_told_through_another_notifier_and_without_the_secret() {
    let (refuses, helps) = (Receiver::start(), Receiver::start());
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("url");
    std::fs::write(&place, refuses.url("/services/T0/B0/s3cr3t-s3cr3t")).unwrap();
    refuses.script(&[(404, "", "no hook /services/T0/B0/s3cr3t-s3cr3t")]);
    let mut secret = webhook("", Form::Incident);
    secret.url = Given::Secret(SecretPlace::File(place));
    let mut ops = by(Way::Webhook(Box::new(secret)));
    ops.fallback = vec!["mail".into()];
    let mail = by(Way::Webhook(Box::new(webhook(&helps.url("/"), Form::Incident))));
    let mut stage = Stage::new(alerts(vec![("ops", ops), ("mail", mail)]));
    stage.open("credential/google/ops").await;
    stage.pass(50).await;
    let helped: Vec<Json> = helps.received().iter().map(Received::json).collect();
    let roots: Vec<_> = helped.iter().map(|one| one["root"].as_str().unwrap()).collect();
    assert_eq!(roots, ["credential/google/ops", "notifier/ops"]);
    let title = helped[1]["title"].as_str().unwrap();
    assert!(title.contains("answered 404") && !title.contains("s3cr3t"), "{title}");
    for row in stage.rows().await {
        assert!(!row.error.contains("s3cr3t"), "{}", row.error);
    }
    stage.pass(600).await;
    assert_eq!(refuses.received().last().unwrap().path, "/services/T0/B0/s3cr3t-s3cr3t");
    let over = helps.received().last().unwrap().json();
    assert_eq!((&over["event"], &over["root"]), (&json!("resolved"), &json!("notifier/ops")));
}

/// What others wrote calls nobody, whatever the receiver obeys.
#[tokio::test]
async fn each_form_takes_a_hostile_title_for_text() {
    let hostile = "job/x <!channel> @everyone ```\nSubject: evil";
    let receiver = Receiver::start();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "R0UT1NG").unwrap();
    let pagerduty = Form::Pagerduty { key: SecretPlace::File(key.path().to_owned()) };
    let own = Form::Own("{\"t\": {{json title}}, \"hits\": {{json affected}}}".to_owned());
    let mut bodies = Vec::new();
    for (path, form) in [
        ("/slack", Form::Slack),
        ("/discord", Form::Discord),
        ("/topic", Form::Ntfy),
        ("/pagerduty", pagerduty),
        ("/own", own),
    ] {
        let mut stage = stage(&receiver.url(path), form);
        stage.open(hostile).await;
        stage.pass(40).await;
        let received = receiver.received().pop().unwrap();
        bodies.push((received.path.clone(), received.json()));
    }
    let [slack, discord, ntfy, pagerduty, own] = &bodies[..] else { panic!("{bodies:?}") };
    let text = slack.1["text"].as_str().unwrap();
    assert!(text.starts_with("failing: job/x &lt;!channel&gt;"), "{text}");
    assert_eq!(discord.1["allowed_mentions"], json!({ "parse": [] }));
    let block = discord.1["embeds"][0]["description"].as_str().unwrap();
    assert_eq!(block.matches("```").count(), 2, "{block}");
    assert_eq!((ntfy.0.as_str(), &ntfy.1["topic"]), ("/", &json!("topic")));
    assert!(!ntfy.1["title"].as_str().unwrap().contains('\n'));
    assert_eq!(
        (&pagerduty.1["event_action"], &pagerduty.1["routing_key"], &pagerduty.1["dedup_key"]),
        (&json!("trigger"), &json!("R0UT1NG"), &json!(hostile))
    );
    assert_eq!(own.1["hits"], json!(["port-sheet"]));
}

/// PagerDuty pairs by a key of at most 255 letters; a whole outage is a trigger and its end.
#[tokio::test]
async fn pagerduty_pairs_beginning_and_end() {
    let receiver = Receiver::start();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "R0UT1NG\n").unwrap();
    let form = Form::Pagerduty { key: SecretPlace::File(key.path().to_owned()) };
    let mut stage = stage(&receiver.url("/v2/enqueue"), form);
    let long = format!("job/{}", "ä".repeat(300));
    stage.open(&long).await;
    stage.pass(40).await;
    stage.close(&long).await;
    stage.pass(40).await;
    stage.open("job/short").await;
    stage.clock.advance(std::time::Duration::from_secs(10));
    stage.close("job/short").await;
    stage.pass(60).await;
    let events: Vec<Json> = receiver.received().iter().map(Received::json).collect();
    let actions: Vec<_> = events.iter().map(|one| one["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve"]);
    let dedup = events[0]["dedup_key"].as_str().unwrap();
    assert!(dedup.len() <= 255 && dedup.starts_with("job/ä"), "{dedup}");
    assert_eq!(events[0]["dedup_key"], events[1]["dedup_key"]);
    assert_eq!(events[2]["payload"]["severity"], "info");
    let summary = events[2]["payload"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("was down 02:11–02:11 UTC"), "{summary}");
}
