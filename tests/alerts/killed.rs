//! The deliverer dies at any moment: nothing is lost, and what is sent twice has the same key.
//!
//! The test starts its own program again as a child that delivers from the store to a server of the test, and
//! kills it after so many messages, also between a message and the note that it was sent.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jada::alerts::deliver::{Deliverer, Parts};
use jada::alerts::settings::{Form, Rate, Way};
use jada::clock::{Clock, SystemClock};
use jada::model::{Event, IncidentChange, Progress, Told};
use jada::store::sqlite::Sqlite;
use jada::store::{Batch, Change, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::receiver::{Received, Receiver};
use crate::stage::{alerts, by, opening, ways, webhook};

/// Tells the child where its store is, and whom to tell.
const PLACE: &str = "JADA_TEST_DELIVER";
const URL: &str = "JADA_TEST_DELIVER_TO";

/// Incidents; PagerDuty's form, so that none is joined with others.
const INCIDENTS: usize = 12;

/// The child; in an ordinary run of the tests it has nothing to do.
#[tokio::test]
async fn child_delivers_until_it_is_killed() {
    let (Some(place), Ok(url)) = (std::env::var_os(PLACE), std::env::var(URL)) else { return };
    let place = PathBuf::from(place);
    let key = place.with_file_name("key");
    let form = Form::Pagerduty { key: jada::credentials::declare::SecretPlace::File(key) };
    let mut ops = by(Way::Webhook(Box::new(webhook(&url, form))));
    ops.rate = Rate { minute: 9999, hour: 9999 };
    let mut settings = alerts(vec![("ops", ops)]);
    settings.group_wait = Duration::ZERO;
    let deliverer = Deliverer::new(Parts {
        store: Arc::new(Sqlite::open(&place).unwrap()),
        ways: ways(settings, place.parent().unwrap(), Arc::new(SystemClock)),
        bell: Arc::default(),
        progress: watch::Sender::new(Progress::Waiting { until: None }),
    });
    deliverer.run(CancellationToken::new()).await;
}

fn child(place: &std::path::Path, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child_delivers_until_it_is_killed", "--nocapture"])
        .env(PLACE, place)
        .env(URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..3000 {
        if what() {
            return;
        }
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}

#[tokio::test]
async fn nothing_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("jada.db");
    std::fs::write(folder.path().join("key"), "R0UT1NG").unwrap();
    let receiver = Receiver::start();
    let url = receiver.url("/v2/enqueue");
    let keys: Vec<String> = (0..INCIDENTS).map(|one| format!("job/{one:02}")).collect();
    let mut sent = 0;
    for round in 0..5 {
        let store = Sqlite::open(&place).unwrap();
        let now = SystemClock.now();
        for key in &keys {
            let change = if round % 2 == 0 {
                IncidentChange::Open(opening(key, "ops"))
            } else {
                let (key, note) = (key.clone(), String::new());
                IncidentChange::Resolve { key, note, notify: Vec::new() }
            };
            let changes = vec![Change::Incident(change)];
            store.commit(Batch { now, changes }).await.unwrap();
        }
        store.close().await.unwrap();
        // Killed after one message, after some, and in the middle of whatever comes next.
        for more in [1, 3, 2] {
            let mut child = child(&place, &url);
            sent += more;
            // A quick child has sent all of this round before it is killed.
            let all = INCIDENTS * (round + 1);
            let is_far =
                |received: &[Received]| received.len() >= sent || distinct(received) >= all;
            wait_for(|| is_far(&receiver.received())).await;
            child.kill().unwrap();
            child.wait().unwrap();
            sent = receiver.received().len();
        }
        let mut last = child(&place, &url);
        let reader = Sqlite::open_read_only(&place).unwrap();
        for _ in 0..3000 {
            if reader.notifications(false, 99).await.unwrap().is_empty() {
                break;
            }
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        last.kill().unwrap();
        last.wait().unwrap();
        sent = receiver.received().len();
    }
    let store = Sqlite::open(&place).unwrap();
    let rows = store.notifications(true, 999).await.unwrap();
    assert!(rows.iter().all(|row| row.state == Told::Delivered), "{rows:#?}");
    let news = rows.iter().filter(|row| matches!(row.event, Event::Opened | Event::Resolved));
    let (ours, others): (Vec<_>, Vec<_>) = news.partition(|row| &*row.notifier == "ops");
    assert_eq!((ours.len(), others.len()), (INCIDENTS * 5, 0), "{others:#?}");
    in_order(&receiver.received(), &keys);
}

/// How many messages arrived, repeated ones counted once.
fn distinct(received: &[Received]) -> usize {
    received.iter().map(|one| one.header("idempotency-key")).collect::<BTreeSet<_>>().len()
}

/// Each message arrived at least once, repeated ones under one key, and each incident's in order.
fn in_order(received: &[Received], keys: &[String]) {
    assert_eq!(distinct(received), INCIDENTS * 5);
    for key in keys {
        let of = received.iter().filter(|one| one.json()["dedup_key"] == *key);
        let mut actions: Vec<(String, String)> = of
            .map(|one| {
                let action = one.json()["event_action"].as_str().unwrap().to_owned();
                (one.header("idempotency-key").unwrap().to_owned(), action)
            })
            .collect();
        actions.dedup();
        let actions: Vec<_> = actions.iter().map(|(_, action)| action.as_str()).collect();
        assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve", "trigger"], "{key}");
    }
}
