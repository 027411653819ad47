//! The outbox over the wire: who can be told, what waits and why, silences, acknowledgements.
//!
//! Owns their words and routes. Refuses to decide who is told what (`alerts`): it asks the desk.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::answers::App;
use super::api::{Done, LIMIT_DEFAULT, LIMIT_MAX, Problem, ProblemKind};
use crate::alerts::desk::Refusal;
use crate::model::{
    Event, Hold, Incident, IncidentId, Notification, NotificationId, Silence, SilenceId, Told,
};

/// `GET /api/notifiers`: a list of these, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifierItem {
    /// Its name.
    pub name: String,
    /// `webhook`, `slack`, `email`, …
    pub way: String,
    /// Who is told as well while it fails.
    pub fallback: Vec<String>,
    /// Rows that wait for it.
    pub waiting: u64,
    /// When it was last told something, within the last day.
    pub told_at: Option<Timestamp>,
    /// What its last try failed of; empty where it did not.
    pub error: String,
}

/// `GET /api/notifications`: a list of these, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationItem {
    /// Its number.
    pub id: NotificationId,
    /// The incident that it is about, where it is about one.
    pub incident: Option<IncidentId>,
    /// What the incident says; empty of a test and a digest.
    pub title: String,
    /// Who is told.
    pub notifier: String,
    /// What is told.
    pub event: Event,
    /// What has become of it.
    pub state: Told,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was over, if it is.
    pub ended_at: Option<Timestamp>,
    /// Tries that failed.
    pub tries: u32,
    /// Why it waits, in one word, where something holds it.
    pub held_by: Option<Hold>,
    /// Why it waits, in words.
    pub held: String,
    /// Until when, where a time ends it.
    pub until: Option<Timestamp>,
    /// What the last try said, or why it was never told.
    pub error: String,
}

/// The questions of `GET /api/notifications`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NotificationsQuery {
    /// Also those that are over.
    #[serde(default)]
    pub all: bool,
    /// Most rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `POST /api/notifiers/{name}/test`: the row that was written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestStarted {
    /// Its number.
    pub notification: NotificationId,
}

/// `GET /api/silences`: a list of these, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SilenceItem {
    /// Its number.
    pub id: SilenceId,
    /// Which nodes.
    pub pattern: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// The body of `POST /api/silences`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SilenceOrder {
    /// Which nodes.
    pub pattern: String,
    /// For how long.
    pub seconds: u64,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub by: String,
}

/// The body of `POST /api/incidents/{id}/ack`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AckOrder {
    /// Who, and what they say.
    #[serde(default)]
    pub by: String,
}

type Answer<T> = Result<Json<T>, Problem>;
type Shared = State<Arc<App>>;

/// What the daemon's own user may ask and order.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/notifiers", get(notifiers))
        .route("/api/notifiers/{name}/test", post(test))
        .route("/api/notifications", get(notifications))
        .route("/api/notifications/{id}", get(notification))
        .route("/api/silences", get(silences).post(silence))
        .route("/api/silences/{id}/end", post(end_silence))
        .route("/api/incidents/{id}/ack", post(acknowledge))
}

async fn notifiers(State(app): Shared) -> Answer<Vec<NotifierItem>> {
    let outbox = app.store.outbox(app.desk.now() - Duration::from_hours(24)).await?;
    let items = app.desk.alerts.notifiers.iter().map(|(name, one)| {
        let of =
            outbox.rows.iter().filter(|row| row.notifier == *name && row.state == Told::Waiting);
        let failed = of.clone().filter(|row| row.blame.is_some()).max_by_key(|row| row.tries);
        let sent = outbox.sent.iter().filter(|(to, _)| to == name).map(|(_, at)| *at);
        NotifierItem {
            name: name.to_string(),
            way: one.way.word().to_owned(),
            fallback: one.fallback.iter().map(ToString::to_string).collect(),
            waiting: of.count() as u64,
            told_at: sent.max(),
            error: failed.map(|row| row.error.clone()).unwrap_or_default(),
        }
    });
    Ok(Json(items.collect()))
}

async fn test(State(app): Shared, Path(name): Path<String>) -> Answer<TestStarted> {
    Ok(Json(TestStarted { notification: app.desk.test(&name).await? }))
}

async fn notifications(
    State(app): Shared,
    query: Result<Query<NotificationsQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<Vec<NotificationItem>> {
    let Query(query) = query.map_err(|rejection| bad("query", &rejection.body_text()))?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let rows = app.store.notifications(query.all, limit).await?;
    let incidents = app.store.incidents(true, LIMIT_MAX).await?;
    Ok(Json(rows.into_iter().map(|row| item(row, &incidents)).collect()))
}

async fn notification(State(app): Shared, Path(id): Path<String>) -> Answer<NotificationItem> {
    let row = app.store.notification(NotificationId(number(&id)?)).await?;
    let row = row.ok_or_else(|| Problem {
        problem: ProblemKind::NotFound,
        message: format!("there is no notification {id}"),
        hint: "jadactl alerts --all lists them".to_owned(),
    })?;
    let incidents = app.store.incidents(true, LIMIT_MAX).await?;
    Ok(Json(item(row, &incidents)))
}

fn item(row: Notification, incidents: &[Incident]) -> NotificationItem {
    let incident = incidents.iter().find(|one| Some(one.id) == row.incident);
    let held = row.held.filter(|_| row.state == Told::Waiting);
    NotificationItem {
        id: row.id,
        incident: row.incident,
        title: incident.map(|one| one.title.clone()).unwrap_or_default(),
        notifier: row.notifier.to_string(),
        event: row.event,
        state: row.state,
        created_at: row.created_at,
        ended_at: row.ended_at,
        tries: row.tries,
        held_by: held.as_ref().map(|held| held.by),
        until: held.as_ref().and_then(|held| held.until),
        held: held.map(|held| held.why).unwrap_or_default(),
        error: row.error,
    }
}

async fn silences(State(app): Shared) -> Answer<Vec<SilenceItem>> {
    let silences = app.desk.silences().await?;
    Ok(Json(silences.into_iter().map(SilenceItem::from).collect()))
}

async fn silence(
    State(app): Shared,
    order: Result<Json<SilenceOrder>, JsonRejection>,
) -> Answer<SilenceItem> {
    let Json(order) = order.map_err(|rejection| bad("order", &rejection.body_text()))?;
    let time = Duration::from_secs(order.seconds);
    let silence = app.desk.silence(&order.pattern, time, (order.reason, order.by)).await?;
    Ok(Json(silence.into()))
}

async fn end_silence(State(app): Shared, Path(id): Path<String>) -> Answer<Done> {
    app.desk.end_silence(SilenceId(number(&id)?)).await?;
    Ok(Json(Done { done: true }))
}

async fn acknowledge(
    State(app): Shared,
    Path(id): Path<String>,
    order: Result<Json<AckOrder>, JsonRejection>,
) -> Answer<Done> {
    let Json(order) = order.map_err(|rejection| bad("order", &rejection.body_text()))?;
    app.desk.acknowledge(IncidentId(number(&id)?), &order.by).await?;
    Ok(Json(Done { done: true }))
}

fn number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| bad("address", &format!("'{text}' is no number")))
}

fn bad(what: &str, why: &str) -> Problem {
    Problem {
        problem: ProblemKind::BadRequest,
        message: format!("can't read the {what}: {why}"),
        hint: String::new(),
    }
}

impl From<Silence> for SilenceItem {
    fn from(silence: Silence) -> Self {
        let Silence { id, pattern, reason, by, since, until } = silence;
        Self { id, pattern, reason, by, since, until }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (problem, hint) = match refusal {
            Refusal::Store(error) => return error.into(),
            Refusal::NoNotifier(_) => (ProblemKind::NotFound, "jadactl notify list lists them"),
            Refusal::NoIncident(_) => (ProblemKind::NotFound, "jadactl incidents lists them"),
            Refusal::NoSilence(_) => (ProblemKind::NotFound, "jadactl silence list lists them"),
            Refusal::BadEnd => (ProblemKind::BadRequest, "write --for 2h"),
            Refusal::NoPattern => (ProblemKind::BadRequest, "jadactl incidents shows their roots"),
        };
        Self { problem, message: refusal.to_string(), hint: hint.to_owned() }
    }
}
