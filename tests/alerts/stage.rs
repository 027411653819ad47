//! A store, a clock that stands still until it is moved, and a deliverer that is stepped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jada::alerts::deliver::{Deliverer, Parts};
use jada::alerts::send::Ways;
use jada::alerts::settings::{Alerts, Form, Given, Notifier, Rate, Way, Webhook};
use jada::clock::{Clock, SimClock};
use jada::credentials::providers::World;
use jada::model::{IncidentChange, JobName, Notification, Opening, Progress};
use jada::store::sqlite::Sqlite;
use jada::store::{Batch, Change, Store};
use jiff::Timestamp;
use tokio::sync::watch;

pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: SimClock,
    deliverer: Deliverer,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-25T02:10:00Z".parse().unwrap()
}

/// A notifier without more than its way.
pub(crate) fn by(way: Way) -> Notifier {
    Notifier { way, fallback: Vec::new(), rate: Rate::default() }
}

pub(crate) fn webhook(url: &str, form: Form) -> Webhook {
    Webhook {
        url: Given::Text(url.to_owned()),
        method: "POST".to_owned(),
        headers: Vec::new(),
        credential: None,
        form,
        timeout: Duration::from_secs(10),
    }
}

pub(crate) fn alerts(notifiers: Vec<(&str, Notifier)>) -> Alerts {
    let notifiers = notifiers.into_iter().map(|(name, one)| (Arc::from(name), one)).collect();
    Alerts { notifiers, ..Alerts::default() }
}

pub(crate) fn ways(alerts: Alerts, data: &Path, clock: Arc<dyn Clock>) -> Ways {
    Ways {
        alerts: Arc::new(alerts),
        data: data.to_owned(),
        keeper: None,
        world: World::new(clock),
        redactor: Arc::default(),
    }
}

pub(crate) fn opening(key: &str, notify: &str) -> Opening {
    Opening {
        title: format!("{key}: HTTP Error 400: Bad Request"),
        detail: "token endpoint answered 400 invalid_grant".to_owned(),
        mend: "jadactl auth login google/ops".to_owned(),
        affected: vec![JobName::parse("port-sheet").unwrap()],
        notify: vec![notify.into()],
        ..Opening::new(key, key, "transient")
    }
}

impl Stage {
    pub(crate) fn new(alerts: Alerts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path().join("jada.db")).unwrap());
        let clock = SimClock::at(start());
        let deliverer = Deliverer::new(Parts {
            store: Arc::clone(&store),
            ways: ways(alerts, folder.path(), Arc::new(clock.clone())),
            bell: Arc::default(),
            progress: watch::Sender::new(Progress::Waiting { until: None }),
        });
        Self { folder, store, clock, deliverer }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn open(&self, key: &str) {
        self.commit(IncidentChange::Open(opening(key, "ops"))).await;
    }

    pub(crate) async fn close(&self, key: &str) {
        let (key, note) = (key.to_owned(), "run 7 succeeded".to_owned());
        self.commit(IncidentChange::Resolve { key, note, notify: Vec::new() }).await;
    }

    async fn commit(&self, change: IncidentChange) {
        let changes = vec![Change::Incident(change)];
        self.store.commit(Batch { now: self.clock.now(), changes }).await.unwrap();
    }

    /// Delivers all that is due now.
    pub(crate) async fn deliver(&mut self) {
        for _ in 0..50 {
            self.deliverer.step().await;
            self.deliverer.settle().await.unwrap();
        }
    }

    /// Lets time pass in steps, and delivers after each.
    pub(crate) async fn pass(&mut self, seconds: u64) {
        const STEP: u64 = 10;
        for _ in 0..seconds / STEP {
            self.clock.advance(Duration::from_secs(STEP));
            self.deliverer.step().await;
            self.deliverer.settle().await.unwrap();
        }
        self.deliver().await;
    }

    pub(crate) async fn rows(&self) -> Vec<Notification> {
        let mut rows = self.store.notifications(true, 999).await.unwrap();
        rows.reverse();
        rows
    }
}
