//! A stage: a store, a clock, and notifiers that answer as they are told.
//!
//! Owns the loop that the deliverer is in real life, without its tasks. Refuses to know what should be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::alerts::decide::{Decision, decide};
use crate::alerts::deliver::outcome;
use crate::alerts::message;
use crate::alerts::send::Failure;
use crate::alerts::settings::{Alerts, LAST_RESORT, Notifier, Program, Rate, Way};
use crate::model::{
    Blame, Event, Incident, IncidentChange, Notification, Opening, Outbox, OutboxChange, Told,
};
use crate::store::sqlite::{Options, Sqlite, Sync};
use crate::store::{Batch, Change, Store};

/// How a notifier answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Takes,
    Silent,
    Refuses,
    Busy(Duration),
}

/// One message that was taken.
struct Message {
    at: Timestamp,
    notifier: Arc<str>,
    /// What it told, with the incident's key; several in a digest.
    about: Vec<(Event, String)>,
    whole: bool,
    event: Event,
    subject: String,
}

pub(super) struct Stage {
    store: Sqlite,
    alerts: Alerts,
    now: Timestamp,
    answers: BTreeMap<String, Answer>,
    notify: Vec<Arc<str>>,
    messages: Vec<Message>,
    tries: usize,
    /// Decisions that nothing asked for, so many seconds apart.
    pub(super) restless: Option<u64>,
    _folder: tempfile::TempDir,
}

pub(super) fn settings(names: &[&str]) -> Alerts {
    let run =
        Program { run: vec!["true".into()], folder: "/".into(), timeout: Duration::from_secs(9) };
    let one = Notifier { way: Way::Command(run), fallback: Vec::new(), rate: Rate::default() };
    let notifiers = names.iter().map(|name| (Arc::from(*name), one.clone())).collect();
    Alerts { notifiers, ..Alerts::default() }
}

pub(super) fn fallback(alerts: &mut Alerts, name: &str, to: &[&str]) {
    let one = alerts.notifiers.get_mut(name).expect("a notifier");
    one.fallback = to.iter().map(|name| Arc::from(*name)).collect();
}

fn start() -> Timestamp {
    "2026-11-25T08:00:00Z".parse().expect("an instant")
}

impl Stage {
    pub(super) fn new(alerts: Alerts) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { sync: Sync::Off, ..Options::default() };
        let store = Sqlite::open_with(folder.path().join("s.db"), options).expect("a store");
        let notify = alerts.notifiers.keys().next_back().cloned().into_iter().collect();
        Self {
            store,
            alerts,
            now: start(),
            answers: BTreeMap::new(),
            notify,
            messages: Vec::new(),
            tries: 0,
            restless: None,
            _folder: folder,
        }
    }

    pub(super) fn notify(&mut self, names: &[&str]) {
        self.notify = names.iter().map(|name| Arc::from(*name)).collect();
    }

    pub(super) fn answer(&mut self, notifier: &str, answer: Answer) {
        self.answers.insert(notifier.to_owned(), answer);
    }

    pub(super) fn opening(&self, key: &str) -> Opening {
        Opening {
            title: format!("{key} fails"),
            notify: self.notify.clone(),
            ..Opening::new(key, key, "transient")
        }
    }

    pub(super) async fn open(&mut self, key: &str) {
        self.open_as(self.opening(key)).await;
    }

    pub(super) async fn flap(&mut self, key: &str, flapping: bool) {
        self.open_as(Opening { flapping, ..self.opening(key) }).await;
    }

    pub(super) async fn open_as(&mut self, opening: Opening) {
        self.commit(Change::Incident(IncidentChange::Open(opening))).await;
    }

    pub(super) async fn close(&mut self, key: &str, note: &str) {
        let (key, note) = (key.to_owned(), note.to_owned());
        let change = IncidentChange::Resolve { key, note, notify: Vec::new() };
        self.commit(Change::Incident(change)).await;
    }

    pub(super) async fn acknowledge(&mut self, key: &str) {
        let change = IncidentChange::Acknowledge { key: key.to_owned(), by: "ann".to_owned() };
        self.commit(Change::Incident(change)).await;
    }

    pub(super) async fn silence(&mut self, pattern: &str, seconds: u64) {
        self.commit(Change::Outbox(OutboxChange::Silence {
            pattern: pattern.to_owned(),
            reason: "moving house".to_owned(),
            by: "ann".to_owned(),
            until: self.now + Duration::from_secs(seconds),
        }))
        .await;
    }

    /// Sets the clock back.
    pub(super) fn step_back(&mut self, seconds: u64) {
        self.now -= Duration::from_secs(seconds);
    }

    async fn commit(&self, change: Change) {
        let batch = Batch { now: self.now, changes: vec![change] };
        self.store.commit(batch).await.expect("it is written");
    }

    /// Lets time pass; whatever is due meanwhile happens when it is due.
    pub(super) async fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let wake = self.settle().await;
            let spurious = self.restless.map(|every| self.now + Duration::from_secs(every));
            let next = [wake, spurious].into_iter().flatten().min().unwrap_or(end);
            if next >= end {
                self.now = end;
                self.settle().await;
                return;
            }
            assert!(next > self.now, "it does not wake for nothing: {next}");
            self.now = next;
        }
    }

    /// Decides and sends until nothing is to be done now.
    async fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..2000 {
            let since = self.now - Duration::from_hours(1);
            let outbox = self.store.outbox(since).await.expect("it is read");
            let decision = decide(&outbox, &self.alerts, &BTreeSet::new(), self.now);
            let Decision { changes, unsettled, send, wake_at, .. } = decision;
            if !changes.is_empty() {
                let batch = Batch { now: self.now, changes };
                self.store.commit(batch).await.expect("it is written");
            }
            if send.is_empty() && !unsettled {
                return wake_at;
            }
            for id in send {
                let row = outbox.rows.iter().find(|row| row.id == id).expect("a row");
                let told = self.try_to_tell(row, &outbox);
                self.commit(Change::Outbox(outcome(row, &told, self.now))).await;
            }
        }
        panic!("it does not settle");
    }

    fn try_to_tell(&mut self, row: &Notification, outbox: &Outbox) -> Result<String, Failure> {
        self.tries += 1;
        let failed = |blame, words: &str, retry_after| {
            Err(Failure { blame, words: words.to_owned(), retry_after })
        };
        let answer = self.answers.get(&*row.notifier).copied().unwrap_or(Answer::Takes);
        match answer {
            Answer::Silent if &*row.notifier != LAST_RESORT => {
                return failed(Blame::Line, "no answer", None);
            }
            Answer::Refuses => return failed(Blame::Settings, "it answered 401", None),
            Answer::Busy(time) => return failed(Blame::Line, "it answered 429", Some(time)),
            Answer::Takes | Answer::Silent => {}
        }
        let key = |row: &Notification| {
            let incident = outbox.incidents.iter().find(|one| Some(one.id) == row.incident);
            incident.map(|one| one.key.clone()).unwrap_or_default()
        };
        let carried = outbox.rows.iter().filter(|other| other.carrier == Some(row.id));
        let about = match row.event {
            Event::Digest => carried.map(|row| (row.event, key(row))).collect(),
            event => vec![(event, key(row))],
        };
        let message = message::of(row, outbox, self.now);
        self.messages.push(Message {
            at: self.now,
            notifier: Arc::clone(&row.notifier),
            about,
            whole: message.whole,
            event: row.event,
            subject: message.subject,
        });
        Ok("it took it".to_owned())
    }

    /// What was told, a line each.
    pub(super) fn told(&self) -> Vec<String> {
        self.messages.iter().map(Message::line).collect()
    }

    /// What one notifier was told.
    pub(super) fn by(&self, notifier: &str) -> Vec<String> {
        let one = self.messages.iter().filter(|message| *message.notifier == *notifier);
        one.map(Message::line).collect()
    }

    pub(super) fn count(&self, ending: &str) -> usize {
        self.told().iter().filter(|line| line.ends_with(ending)).count()
    }

    pub(super) fn times_told(&self, key: &str, event: Event) -> usize {
        let about = self.messages.iter().flat_map(|message| &message.about);
        about.filter(|(told, about)| *told == event && about == key).count()
    }

    pub(super) fn subject(&self) -> &str {
        let about_incident =
            |message: &&Message| !message.about.iter().any(|(_, key)| key.starts_with("notifier/"));
        let last = self.messages.iter().rev().find(about_incident);
        last.map_or("", |message| &message.subject)
    }

    pub(super) fn tries(&self) -> usize {
        self.tries
    }

    pub(super) fn assert_limits(&self, minute: usize, hour: usize) {
        for (most, window) in [(minute, Duration::from_mins(1)), (hour, Duration::from_hours(1))] {
            for first in &self.messages {
                let within = self.messages.iter().filter(|other| {
                    other.notifier == first.notifier
                        && other.at >= first.at
                        && other.at < first.at + window
                });
                assert!(within.count() <= most, "{:?}", self.told());
            }
        }
    }

    pub(super) async fn rows(&self) -> Vec<Notification> {
        let mut rows = self.store.notifications(true, 99_999).await.expect("it is read");
        rows.reverse();
        rows
    }

    pub(super) async fn incidents(&self) -> Vec<Incident> {
        self.store.incidents(true, 99_999).await.expect("it is read")
    }

    /// What waits, with its reason.
    pub(super) async fn held(&self) -> Vec<String> {
        let incidents = self.incidents().await;
        let rows = self.rows().await;
        let waiting = rows.iter().filter(|row| row.state == Told::Waiting);
        waiting
            .filter_map(|row| {
                let incident = incidents.iter().find(|one| Some(one.id) == row.incident)?;
                Some(format!("{}: {}", incident.key, row.held.as_ref()?.why))
            })
            .collect()
    }

    /// What became of the rows of an incident, in order.
    pub(super) async fn states(&self, key: &str) -> Vec<Told> {
        let incidents = self.incidents().await;
        let of_key = |row: &Notification| {
            incidents.iter().any(|one| Some(one.id) == row.incident && one.key == key)
        };
        self.rows().await.iter().filter(|row| of_key(row)).map(|row| row.state).collect()
    }
}

impl Message {
    fn line(&self) -> String {
        let passed = self.at.duration_since(start()).as_secs();
        let at = format!("{}:{:02}:{:02}", passed / 3600, passed / 60 % 60, passed % 60);
        let what = match self.event {
            Event::Digest => format!("digest of {}", self.about.len()),
            event => format!("{} {}", event.word(), self.about[0].1),
        };
        let whole = if self.whole { "whole " } else { "" };
        format!("{at} {} {whole}{what}", self.notifier)
    }
}
