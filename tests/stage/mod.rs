//! A stage for tests of the API and of jadactl: a real store and server on a temporary socket, with
//! a stand-in for the engine that only keeps the store and counts changes.

#![expect(dead_code, clippy::unwrap_used, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jada::alerts::desk::Desk;
use jada::clock::{Clock, SimClock};
use jada::engine::{Handle, Refusal, Request, View};
use jada::kinds::output::Outputs;
use jada::model::{
    AttemptNo, Cause, Failure, FailureClass, Holder, IncidentChange, JobId, JobName, NodeId,
    NotRun, Opening, Outcome, Revision, RunId, RunState,
};
use jada::spec::{self, Settings};
use jada::store::sqlite::Sqlite;
use jada::store::{Applied, Batch, Change, JobEntry, NewNode, Pause, RunQuery, Store};
use jada::web::client::Client;
use jada::web::{Parts, Server, api};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The time on the stage.
pub(crate) const NOW: &str = "2026-11-25T09:10:00Z";

/// The jobs on the stage.
pub(crate) const JOBS: &str = "\
name: sheet
description: Copies the port sheet.
labels: { team: ops }
schedule: { every: 30m }
retry: { attempts: 3 }
command: { run: 'exit 0' }
---
name: backup
schedule: \"15 2 * * *\"
command: { run: 'exit 0' }
---
name: ask
command: { run: 'exit 0' }
---
name: off
enabled: false
schedule: { every: 1h }
command: { run: 'exit 0' }
";

pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<Sqlite>,
    pub(crate) clock: SimClock,
    pub(crate) outputs: Outputs,
    pub(crate) node: NodeId,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) page: std::net::SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) view: Arc<watch::Sender<Arc<View>>>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> JobName {
    JobName::parse(text).unwrap()
}

impl Stage {
    /// A stage with [`JOBS`] whose slots are accounted for up to 09:00, and no history.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("jobs.d")).unwrap();
        std::fs::create_dir(dir.path().join("var")).unwrap();
        std::fs::write(dir.path().join("jobs.d/all.yaml"), JOBS).unwrap();
        let settings = Settings::defaults(dir.path());
        let catalog = spec::load(&settings, at(NOW), None);
        let found: Vec<_> = catalog.diagnostics().collect();
        assert_eq!(catalog.jobs.len(), 4, "{found:?}");

        let store = Arc::new(Sqlite::open(settings.data_dir.join("jada.db")).unwrap());
        let node = NewNode { name: "here".into(), boot: "b".into(), pid: 1, started_at: at(NOW) };
        let node = store.register(node).await.unwrap();
        let entries = catalog.jobs.values().map(|job| JobEntry {
            name: job.name.clone(),
            revision: job.revision,
            schedule: job.schedule_revision,
        });
        let states = store.sync_jobs(entries.collect(), at("2026-11-25T09:00:00Z")).await.unwrap();
        let jobs = states.iter().map(|state| state.id).collect();

        let clock = SimClock::at(at(NOW));
        let started_at = at("2026-11-25T06:10:00Z");
        let catalog = Arc::new(catalog);
        let view = View { catalog, started_at, ..View::default() };
        let view = Arc::new(watch::Sender::new(Arc::new(view)));
        let (requests, asked) = mpsc::channel(8);
        tokio::spawn(stand_in(asked, store.clone(), clock.clone(), view.clone()));
        let outputs = Outputs::at(&settings.data_dir);
        let parts = Parts {
            store: store.clone(),
            engine: Handle::new(requests, view.subscribe()),
            clock: Arc::new(clock.clone()),
            desk: Desk {
                store: store.clone(),
                clock: Arc::new(clock.clone()),
                alerts: Arc::clone(&settings.alerts),
                bell: Arc::default(),
            },
            outputs: outputs.clone(),
            socket: settings.data_dir.join(api::SOCKET),
            listen: Some("127.0.0.1:0".parse().unwrap()),
        };
        let server = Server::bind(parts).await.unwrap();
        let page = server.address().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(server.serve(stop.clone()));
        Self { dir, store, clock, outputs, node, jobs, page, stop, served, view }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("var")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.data_dir().join(api::SOCKET), Duration::ZERO)
    }

    /// The key of a job: `ask`, `backup`, `off` and `sheet` in this order.
    pub(crate) fn job(&self, name: &str) -> JobId {
        let place = ["ask", "backup", "off", "sheet"].iter().position(|known| *known == name);
        self.jobs[place.unwrap()]
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Vec<Applied> {
        let applied = self.store.commit(Batch { now: self.clock.now(), changes }).await.unwrap();
        assert!(!applied.contains(&Applied::Refused), "{applied:?}");
        self.changed();
        applied
    }

    pub(crate) async fn record(&self, job: &str, cause: Cause, state: RunState) -> RunId {
        let revision = self.view.borrow().catalog.jobs[&name(job)].revision;
        let change = Change::Record { job: self.job(job), revision, cause, state };
        match self.commit(vec![change]).await[..] {
            [Applied::Recorded(run)] => run,
            ref other => panic!("{other:?}"),
        }
    }

    pub(crate) fn running(&self) -> RunState {
        RunState::Running {
            holder: Holder { node: self.node, until: self.clock.now() + Duration::from_secs(60) },
            since: self.clock.now(),
        }
    }

    pub(crate) async fn end(&self, run: RunId, fence: AttemptNo, outcome: Outcome, next: RunState) {
        self.commit(vec![Change::End { run, node: self.node, fence, outcome, next }]).await;
    }

    pub(crate) async fn finish(&self, run: RunId, fence: AttemptNo, outcome: Outcome) {
        let next = RunState::Finished { at: self.clock.now(), outcome: outcome.clone() };
        self.end(run, fence, outcome, next).await;
    }

    pub(crate) fn changed(&self) {
        count_up(&self.view);
    }

    pub(crate) fn wake_at(&self, at: Timestamp) {
        self.view.send_modify(|view| {
            *view = Arc::new(View { wake_at: Some(at), ..View::clone(view) });
        });
    }

    /// A history with a run of each kind: see the snapshots for what is in it.
    pub(crate) async fn history(&self) {
        self.clock.step_to(at("2026-11-25T08:00:00Z"));
        let run = self.record("sheet", Cause::Slot(self.clock.now()), self.running()).await;
        self.clock.advance(Duration::from_secs(4));
        self.finish(run, 1, Outcome::Succeeded { note: "12 rows".into() }).await;

        self.clock.step_to(at("2026-11-25T08:30:00Z"));
        let run = self.record("sheet", Cause::Slot(self.clock.now()), self.running()).await;
        self.clock.advance(Duration::from_secs(2));
        let refused = Outcome::Failed(Failure::new(
            FailureClass::Unauthorized,
            "exit status 7: the sheet refused the token, which may be expired or revoked",
        ));
        self.finish(run, 1, refused).await;

        self.clock.step_to(at("2026-11-25T09:00:01Z"));
        let skipped = RunState::NotRun {
            at: self.clock.now(),
            verdict: NotRun::Skipped,
            reason: "run 2 was still live".into(),
            count: 1,
        };
        self.record("sheet", Cause::Slot(at("2026-11-25T09:00:00Z")), skipped).await;
        let missed = RunState::NotRun {
            at: self.clock.now(),
            verdict: NotRun::Missed,
            reason: "the daemon was not running".into(),
            count: 3,
        };
        self.record("backup", Cause::Slot(at("2026-11-25T02:15:00Z")), missed).await;
        self.commit(vec![Change::Incident(IncidentChange::Open(Opening {
            affected: vec![name("sheet")],
            title: "sheet fails as unauthorized: the token may be expired, or somebody revoked it"
                .into(),
            detail: "exit status 7: the sheet refused the token".into(),
            mend: "jadactl logs sheet".into(),
            ..Opening::new("job/sheet", "job/sheet", "unauthorized")
        }))])
        .await;
        self.clock.step_to(at("2026-11-25T09:05:00Z"));
        let cause = Cause::Manual(self.clock.now());
        self.record("ask", cause, self.running()).await;
        self.clock.step_to(at(NOW));
    }
}

/// Keeps what is asked for, and nothing more.
async fn stand_in(
    mut asked: mpsc::Receiver<Request>,
    store: Arc<Sqlite>,
    clock: SimClock,
    view: Arc<watch::Sender<Arc<View>>>,
) {
    while let Some(request) = asked.recv().await {
        let now = clock.now();
        let commit = async |change| {
            let batch = Batch { now, changes: vec![change] };
            store.commit(batch).await.unwrap().pop().unwrap()
        };
        match request {
            Request::Trigger(job, answer) => {
                let job = id(&store, &job).await;
                let state = RunState::Queued { ready_at: now, why: "asked for".into() };
                let (cause, revision) = (Cause::Manual(now), Revision(1));
                let run = commit(Change::Record { job, revision, cause, state }).await;
                let run = match run {
                    Applied::Recorded(run) => Ok(run),
                    other => Err(Refusal::Store(format!("{other:?}"))),
                };
                answer.send(run).unwrap();
            }
            Request::Cancel(run, answer) => {
                let query = RunQuery { id: Some(run), limit: 1, ..RunQuery::default() };
                let known = store.runs(query).await.unwrap().pop();
                let outcome =
                    Outcome::Failed(Failure::new(FailureClass::Cancelled, "somebody asked"));
                let state = RunState::Finished { at: now, outcome };
                answer
                    .send(match known {
                        None => Err(Refusal::NoRun(run)),
                        Some(_) => match commit(Change::Close { run, state }).await {
                            Applied::Refused => Err(Refusal::Ended(run)),
                            _ => Ok(()),
                        },
                    })
                    .unwrap();
            }
            Request::Pause(job, reason, answer) => {
                let pause = Some(Pause { since: now, reason });
                commit(Change::Pause { job: id(&store, &job).await, pause }).await;
                answer.send(Ok(())).unwrap();
            }
            Request::Resume(job, answer) => {
                commit(Change::Pause { job: id(&store, &job).await, pause: None }).await;
                answer.send(Ok(())).unwrap();
            }
            Request::Reload(answer) => answer.send(()).unwrap(),
            Request::Install(_, answers) => {
                for answer in answers {
                    answer.send(()).unwrap();
                }
            }
        }
        count_up(&view);
    }
}

fn count_up(view: &watch::Sender<Arc<View>>) {
    view.send_modify(|view| {
        let changes = view.changes + 1;
        *view = Arc::new(View { changes, ..View::clone(view) });
    });
}

async fn id(store: &Sqlite, job: &JobName) -> JobId {
    let jobs = store.jobs().await.unwrap();
    jobs.iter().find(|state| state.name == *job).unwrap().id
}

/// Where the repository's own files are.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
