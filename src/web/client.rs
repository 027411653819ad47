//! The other end of the wire: asks the daemon over its socket.
//!
//! Owns connecting, deadlines and what a failure to reach the daemon means in words. Refuses to know how
//! an answer is shown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{
    self, CheckItem, ChecksQuery, Done, Explanation, IncidentItem, IncidentsQuery, JobItem,
    OutputQuery, PauseOrder, Problem, RunDetail, RunItem, RunsQuery, Sample, SlotItem, SlotsQuery,
    Status, Triggered, WaitQuery,
};
use super::telling::{
    AckOrder, NotificationItem, NotificationsQuery, NotifierItem, SilenceItem, SilenceOrder,
    TestStarted,
};
use crate::model::{IncidentId, NotificationId, RunId, SilenceId};

/// The longest that a daemon may take for one answer; waits answer within half of it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket.
    #[error("no daemon answers on {}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        reason: Unreachable,
    },
    /// The daemon was there and is gone, or does not answer in time.
    #[error("the daemon on {} {what}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What it did.
        what: String,
    },
    /// It answered that it can't.
    #[error("{}", .0.message)]
    Refused(Problem),
}

/// Why nobody can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// There is no socket.
    NoSocket,
    /// There is one that a dead daemon left.
    NobodyListens,
    /// It belongs to another user.
    NotAllowed,
    /// The path is longer than the system allows for a socket.
    PathTooLong,
    /// Something else.
    Other,
}

impl Error {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { reason, .. } => match reason {
                Unreachable::NoSocket | Unreachable::NobodyListens | Unreachable::Other => {
                    "start it with jada-agent, or name its --config or --data-dir"
                }
                Unreachable::NotAllowed => "only the daemon's own user may: try sudo -u",
                Unreachable::PathTooLong => "go nearer and name a relative --data-dir",
            }
            .into(),
            Self::Broken { .. } => "jadactl status says whether it is back".into(),
            Self::Refused(problem) => problem.hint.clone(),
        }
    }
}

/// A result of asking.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asks one daemon.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
    patience: Duration,
    /// The daemon's time, as the newest answer told it.
    now: Mutex<Option<Timestamp>>,
}

/// What an attempt printed, piece by piece.
#[derive(Debug)]
pub struct Output {
    response: Response,
    socket: PathBuf,
}

impl Output {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Broken`] where the daemon goes away meanwhile.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        match self.response.chunk().await {
            Ok(piece) => Ok(piece.map(|bytes| bytes.to_vec())),
            Err(error) => Err(broken(&self.socket, &error)),
        }
    }
}

impl Client {
    /// A client of the daemon behind `socket`. Where it can't be reached, tries on for `patience`.
    ///
    /// # Panics
    /// Never: what the builder could miss, it is not asked for.
    #[must_use]
    pub fn new(socket: &Path, patience: Duration) -> Self {
        // Another part of the process may have installed one already, and any will do: nothing here is
        // encrypted, but the builder asks for it.
        let _present = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            // Without this the builder reads the system's certificates, which may be missing.
            .tls_certs_only([])
            .build()
            .expect("a client without proxies and certificates needs nothing that can be missing");
        Self { http, socket: socket.into(), patience, now: Mutex::new(None) }
    }

    /// The daemon's time, as the newest answer told it: ages are counted by it.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemon in numbers.
    pub async fn status(&self) -> Result<Status> {
        self.get(&["status"], ()).await
    }

    /// All jobs in force.
    pub async fn jobs(&self) -> Result<Vec<JobItem>> {
        self.get(&["jobs"], ()).await
    }

    /// Slots, newest nominal time first.
    pub async fn slots(&self, query: &SlotsQuery) -> Result<Vec<SlotItem>> {
        self.get(&["slots"], query).await
    }

    /// Runs, newest first.
    pub async fn runs(&self, query: &RunsQuery) -> Result<Vec<RunItem>> {
        self.get(&["runs"], query).await
    }

    /// A run with its attempts.
    pub async fn run(&self, run: RunId) -> Result<RunDetail> {
        self.get(&["runs", &run.to_string()], ()).await
    }

    /// Waits a while for an attempt to begin or the run to be over; the caller looks at the answer.
    pub async fn wait(&self, run: RunId, query: WaitQuery) -> Result<RunDetail> {
        self.get(&["runs", &run.to_string(), "wait"], query).await
    }

    /// Incidents, newest first.
    pub async fn incidents(&self, query: IncidentsQuery) -> Result<Vec<IncidentItem>> {
        self.get(&["incidents"], query).await
    }

    /// The checks of the health jobs.
    pub async fn checks(&self, query: &ChecksQuery) -> Result<Vec<CheckItem>> {
        self.get(&["checks"], query).await
    }

    /// The daemon in figures.
    pub async fn metrics(&self) -> Result<Vec<Sample>> {
        self.get(&["metrics"], ()).await
    }

    /// The daemon in figures, as Prometheus reads them.
    pub async fn metrics_text(&self) -> Result<String> {
        let mut url = Self::address(&[]);
        url.set_path("/metrics");
        let request = self.http.request(Method::GET, url).timeout(DEADLINE);
        let text = self.send(request).await?.text().await;
        text.map_err(|error| broken(&self.socket, &error))
    }

    /// Who can be told.
    pub async fn notifiers(&self) -> Result<Vec<NotifierItem>> {
        self.get(&["notifiers"], ()).await
    }

    /// Sends a test to a notifier.
    pub async fn test_notifier(&self, name: &str) -> Result<TestStarted> {
        self.post(&["notifiers", name, "test"], ()).await
    }

    /// What is to be told, and was.
    pub async fn notifications(&self, query: NotificationsQuery) -> Result<Vec<NotificationItem>> {
        self.get(&["notifications"], query).await
    }

    /// One row of the outbox.
    pub async fn notification(&self, id: NotificationId) -> Result<NotificationItem> {
        self.get(&["notifications", &id.to_string()], ()).await
    }

    /// Silences in force.
    pub async fn silences(&self) -> Result<Vec<SilenceItem>> {
        self.get(&["silences"], ()).await
    }

    /// Begins a silence.
    pub async fn silence(&self, order: &SilenceOrder) -> Result<SilenceItem> {
        self.post(&["silences"], order).await
    }

    /// Ends a silence now.
    pub async fn end_silence(&self, id: SilenceId) -> Result<Done> {
        self.post(&["silences", &id.to_string(), "end"], ()).await
    }

    /// Notes that somebody knows of an incident.
    pub async fn acknowledge(&self, id: IncidentId, order: AckOrder) -> Result<Done> {
        self.post(&["incidents", &id.to_string(), "ack"], order).await
    }

    /// What is going on with a job.
    pub async fn explain_job(&self, job: &str) -> Result<Explanation> {
        self.get(&["explain", "job", job], ()).await
    }

    /// What is going on with a run.
    pub async fn explain_run(&self, run: RunId) -> Result<Explanation> {
        self.get(&["explain", "run", &run.to_string()], ()).await
    }

    /// What an attempt printed.
    pub async fn output(&self, run: RunId, query: OutputQuery) -> Result<Output> {
        let address = Self::address(&["runs", &run.to_string(), "output"]);
        let mut request = self.http.get(address).query(&query);
        if !query.follow {
            request = request.timeout(DEADLINE);
        }
        let response = self.send(request).await?;
        Ok(Output { response, socket: self.socket.clone() })
    }

    /// Runs a job now.
    pub async fn trigger(&self, job: &str) -> Result<Triggered> {
        self.post(&["jobs", job, "run"], ()).await
    }

    /// Pauses a job's schedule.
    pub async fn pause(&self, job: &str, order: PauseOrder) -> Result<Done> {
        self.post(&["jobs", job, "pause"], order).await
    }

    /// Ends a job's pause.
    pub async fn resume(&self, job: &str) -> Result<Done> {
        self.post(&["jobs", job, "resume"], ()).await
    }

    /// Stops a run.
    pub async fn cancel(&self, run: RunId) -> Result<Done> {
        self.post(&["runs", &run.to_string(), "cancel"], ()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: impl Serialize) -> Result<T> {
        let request = self.http.request(Method::GET, Self::address(path)).query(&query);
        self.json(request.timeout(DEADLINE)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: impl Serialize) -> Result<T> {
        let request = self.http.request(Method::POST, Self::address(path)).json(&body);
        self.json(request.timeout(DEADLINE)).await
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let body = self.send(request).await?.bytes().await;
        let body = body.map_err(|error| broken(&self.socket, &error))?;
        serde_json::from_slice(&body).map_err(|error| Error::Broken {
            socket: self.socket.clone(),
            what: format!("gave an answer that this jadactl can't read: {error}"),
        })
    }

    /// Sends a request. Only connecting is repeated, so that no order can be given twice.
    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_millis(500))
            .without_max_times()
            .with_total_delay(Some(self.patience));
        let once = async || {
            let request = request.try_clone().expect("no body of ours is a stream");
            request.send().await.map_err(|error| self.failure(&error))
        };
        let waiting = |error: &Error| matches!(error, Error::Unreachable { .. });
        let response = once.retry(waits).when(waiting).await?;
        let now = response.headers().get(api::NOW).and_then(|now| now.to_str().ok()?.parse().ok());
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => Error::Refused(problem),
            Err(_) => Error::Broken {
                socket: self.socket.clone(),
                what: format!("answered {status} without a word of ours: is it a JADA daemon?"),
            },
        })
    }

    fn address(path: &[&str]) -> Url {
        let mut url = Url::parse("http://localhost/api").expect("a constant that is an address");
        url.path_segments_mut().expect("http has a path").extend(path);
        url
    }

    fn failure(&self, error: &reqwest::Error) -> Error {
        if !error.is_connect() {
            return broken(&self.socket, error);
        }
        let reason = match io_kind(error) {
            Some(io::ErrorKind::NotFound) => Unreachable::NoSocket,
            Some(io::ErrorKind::ConnectionRefused) => Unreachable::NobodyListens,
            Some(io::ErrorKind::PermissionDenied) => Unreachable::NotAllowed,
            Some(io::ErrorKind::InvalidInput) => Unreachable::PathTooLong,
            _ => Unreachable::Other,
        };
        Error::Unreachable { socket: self.socket.clone(), reason }
    }
}

fn broken(socket: &Path, error: &reqwest::Error) -> Error {
    let what = if error.is_timeout() {
        format!("did not answer within {} seconds", DEADLINE.as_secs())
    } else {
        "went away before its answer was whole".into()
    };
    Error::Broken { socket: socket.into(), what }
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}
