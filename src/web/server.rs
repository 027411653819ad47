//! The routes, and who may take which.
//!
//! Owns addresses, methods, status codes and the guard of the loopback page. Refuses to know how an
//! answer comes about (`answers`, `explain`, `output`, `page`).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::answers::App;
use super::api::{
    self, CheckItem, ChecksQuery, Done, Explanation, IncidentItem, IncidentsQuery, JobItem,
    OutputQuery, PauseOrder, Problem, ProblemKind, RunDetail, RunItem, RunsQuery, Sample, SlotItem,
    SlotsQuery, Status, Triggered, WaitQuery,
};
use crate::model::RunId;

type Answer<T> = Result<axum::Json<T>, Problem>;
type Shared = State<Arc<App>>;

/// Serves until `stop`, then lets open connections finish.
pub(super) async fn serve<L>(listener: L, router: Router, stop: CancellationToken)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the server ended early");
    }
}

/// What the socket offers: all of it.
pub(super) fn everything(app: Arc<App>) -> Router {
    let stamp = middleware::from_fn_with_state(app.clone(), stamp);
    let router = reads()
        .merge(private_reads())
        .merge(orders())
        .merge(super::telling::routes())
        .fallback(no_such_address);
    router.layer(stamp).with_state(app)
}

/// What the loopback address offers.
pub(super) fn read_only(app: Arc<App>, address: Option<SocketAddr>) -> Router {
    let guard = middleware::from_fn(move |request, next| guard(address, request, next));
    reads().fallback(only_by_socket).layer(guard).with_state(app)
}

fn reads() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(health))
        .route("/api/status", get(status))
        .route("/api/jobs", get(jobs))
        .route("/api/jobs/{job}", get(job))
        .route("/api/slots", get(slots))
        .route("/api/runs", get(runs))
        .route("/api/runs/{run}", get(run))
        .route("/api/incidents", get(incidents))
        .route("/api/checks", get(checks))
        .route("/metrics", get(metrics))
        .route("/api/metrics", get(samples))
        .route("/api/explain/job/{job}", get(explain_job))
        .route("/api/explain/run/{run}", get(explain_run))
}

/// Reads that only the daemon's own user may make: what jobs print, and waits that hold a connection.
fn private_reads() -> Router<Arc<App>> {
    Router::new()
        .route("/api/runs/{run}/output", get(output))
        .route("/api/runs/{run}/wait", get(wait))
}

fn orders() -> Router<Arc<App>> {
    Router::new()
        .route("/api/jobs/{job}/run", post(trigger))
        .route("/api/jobs/{job}/pause", post(pause))
        .route("/api/jobs/{job}/resume", post(resume))
        .route("/api/runs/{run}/cancel", post(cancel))
}

/// Tells the daemon's time with every answer.
async fn stamp(State(app): Shared, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(now) = app.clock.now().to_string().parse() {
        response.headers_mut().insert(api::NOW, now);
    }
    response
}

/// The page needs nothing but itself, and no other page may frame it.
const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

async fn page(State(app): Shared) -> Result<Response, Problem> {
    let html = super::page::render(&app).await?;
    Ok((PAGE_HEADERS, Html(html)).into_response())
}

async fn health(State(app): Shared) -> Response {
    let health = app.health().await;
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(health)).into_response()
}

async fn status(State(app): Shared) -> Answer<Status> {
    app.status().await.map(axum::Json)
}

async fn jobs(State(app): Shared) -> Answer<Vec<JobItem>> {
    app.jobs().await.map(axum::Json)
}

async fn job(State(app): Shared, Path(name): Path<String>) -> Answer<JobItem> {
    app.job(&name).await.map(axum::Json)
}

async fn slots(State(app): Shared, Asked(query): Asked<SlotsQuery>) -> Answer<Vec<SlotItem>> {
    app.slots(query).await.map(axum::Json)
}

async fn runs(State(app): Shared, Asked(query): Asked<RunsQuery>) -> Answer<Vec<RunItem>> {
    app.runs(query).await.map(axum::Json)
}

async fn run(State(app): Shared, RunNumber(run): RunNumber) -> Answer<RunDetail> {
    app.run(run).await.map(axum::Json)
}

async fn incidents(
    State(app): Shared,
    Asked(query): Asked<IncidentsQuery>,
) -> Answer<Vec<IncidentItem>> {
    app.incidents(query).await.map(axum::Json)
}

async fn checks(State(app): Shared, Asked(query): Asked<ChecksQuery>) -> Answer<Vec<CheckItem>> {
    app.checks(query).await.map(axum::Json)
}

async fn metrics(State(app): Shared) -> Result<Response, Problem> {
    let text = super::metrics::text(app.metrics().await?)?;
    Ok(([(header::CONTENT_TYPE, super::metrics::CONTENT_TYPE)], text).into_response())
}

async fn samples(State(app): Shared) -> Answer<Vec<Sample>> {
    app.metrics().await.map(axum::Json)
}

async fn explain_job(State(app): Shared, Path(name): Path<String>) -> Answer<Explanation> {
    super::explain::job(&app, &name).await.map(axum::Json)
}

async fn explain_run(State(app): Shared, RunNumber(run): RunNumber) -> Answer<Explanation> {
    super::explain::run(&app, run).await.map(axum::Json)
}

async fn output(
    State(app): Shared,
    RunNumber(run): RunNumber,
    Asked(query): Asked<OutputQuery>,
) -> Result<Response, Problem> {
    let body = super::output::read(app, run, query).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

async fn wait(
    State(app): Shared,
    RunNumber(run): RunNumber,
    Asked(query): Asked<WaitQuery>,
) -> Answer<RunDetail> {
    app.wait(run, query.attempt).await.map(axum::Json)
}

async fn trigger(State(app): Shared, Path(name): Path<String>) -> Answer<Triggered> {
    app.trigger(&name).await.map(axum::Json)
}

async fn pause(
    State(app): Shared,
    Path(name): Path<String>,
    order: Result<axum::Json<PauseOrder>, JsonRejection>,
) -> Answer<Done> {
    let axum::Json(order) = order.map_err(|rejection| Problem {
        problem: ProblemKind::BadRequest,
        message: format!("can't read the order: {}", rejection.body_text()),
        hint: String::new(),
    })?;
    app.pause(&name, order.reason).await.map(axum::Json)
}

async fn resume(State(app): Shared, Path(name): Path<String>) -> Answer<Done> {
    app.resume(&name).await.map(axum::Json)
}

async fn cancel(State(app): Shared, RunNumber(run): RunNumber) -> Answer<Done> {
    app.cancel(run).await.map(axum::Json)
}

async fn no_such_address(request: Request) -> Problem {
    let message = format!("there is no {} {}", request.method(), request.uri().path());
    Problem { problem: ProblemKind::NotFound, message, hint: String::new() }
}

async fn only_by_socket(request: Request) -> Problem {
    Problem {
        problem: ProblemKind::Forbidden,
        message: format!("{} {} is not offered here", request.method(), request.uri().path()),
        hint: "this address only shows the state; orders and output go through jadactl".into(),
    }
}

/// Lets in only requests that name this address: a page of another site that points its own name at
/// 127.0.0.1 would send that name.
async fn guard(address: Option<SocketAddr>, request: Request, next: Next) -> Response {
    if host_is_ours(request.headers(), address) {
        return next.run(request).await;
    }
    let message = "the Host header names another machine".to_owned();
    let hint = "use http://localhost with the port of --listen".to_owned();
    Problem { problem: ProblemKind::Forbidden, message, hint }.into_response()
}

fn host_is_ours(headers: &HeaderMap, address: Option<SocketAddr>) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(named) = name.parse::<std::net::IpAddr>() else { return false };
    // A rebinding attack needs a name; where every interface is served, any number may be ours.
    named.is_loopback()
        || address.is_some_and(|address| address.ip() == named || address.ip().is_unspecified())
}

/// The query string, with our own words for what is wrong with it.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &S,
    ) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(query)| Self(query)).map_err(|rejection| {
            let message = format!("can't read the query: {}", rejection.body_text());
            Problem { problem: ProblemKind::BadRequest, message, hint: String::new() }
        })
    }
}

/// The run's number in the address.
struct RunNumber(RunId);

impl<S: Send + Sync> FromRequestParts<S> for RunNumber {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let text = path.map(|Path(text)| text).unwrap_or_default();
        text.parse().map(|number| Self(RunId(number))).map_err(|_| {
            let message = format!("'{text}' is no run number");
            let hint = "jadactl runs lists them".to_owned();
            Problem { problem: ProblemKind::BadRequest, message, hint }
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self.problem {
            ProblemKind::NotFound => StatusCode::NOT_FOUND,
            ProblemKind::Conflict => StatusCode::CONFLICT,
            ProblemKind::BadRequest => StatusCode::BAD_REQUEST,
            ProblemKind::Forbidden => StatusCode::FORBIDDEN,
            ProblemKind::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, axum::Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let ours: SocketAddr = "127.0.0.1:7117".parse().unwrap();
        let lan: SocketAddr = "192.168.1.5:80".parse().unwrap();
        let all: SocketAddr = "0.0.0.0:80".parse().unwrap();
        let cases = [
            ("localhost", ours, true),
            ("LOCALHOST:7117", ours, true),
            ("127.0.0.1:7117", ours, true),
            ("[::1]:7117", ours, true),
            ("192.168.1.5", ours, false),
            ("192.168.1.5", lan, true),
            ("10.0.0.1:80", all, true),
            ("evil.example", ours, false),
            ("evil.example", all, false),
            ("localhost.evil.example", ours, false),
            ("127.0.0.1.evil.example", ours, false),
            ("[::1", ours, true),
            ("", ours, false),
        ];
        for (host, address, want) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(host_is_ours(&headers, Some(address)), want, "{host} at {address}");
        }
        assert!(!host_is_ours(&HeaderMap::new(), Some(ours)), "no Host header");
    }
}
