//! The API and the page over real sockets, with a real store and a stand-in for the engine.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

mod stage;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jada::alerts::desk::Desk;
use jada::clock::{Clock, SimClock};
use jada::engine::{Handle, View};
use jada::kinds::output::Outputs;
use jada::model::{Cause, FailureClass, Outcome, RunId, RunState};
use jada::store::Store;
use jada::store::sqlite::Sqlite;
use jada::web::api::{
    IncidentsQuery, OutputQuery, PauseOrder, ProblemKind, RunWord, RunsQuery, SlotsQuery, WaitQuery,
};
use jada::web::client::{self, Client, Unreachable};
use jada::web::{self, Parts, Server, api};
use tokio_util::sync::CancellationToken;

use stage::{NOW, Stage, at, name};

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// One object a line: a list that a person can read.
fn lines<T: serde::Serialize>(values: &[T]) -> String {
    values.iter().map(|value| serde_json::to_string(value).unwrap() + "\n").collect()
}

#[tokio::test]
async fn slots_tell_what_was_due_and_what_is_to_come() {
    let stage = Stage::new().await;
    stage.history().await;
    let client = stage.client();
    let all = client.slots(&SlotsQuery::default()).await.unwrap();
    insta::assert_snapshot!(lines(&all));

    let of = async |state: &str, job: Option<&str>, limit| {
        let query = SlotsQuery {
            state: Some(state.into()),
            job: job.map(name),
            limit,
            ..SlotsQuery::default()
        };
        client.slots(&query).await.unwrap().len()
    };
    assert_eq!(of("pending", None, None).await, 2, "the next slots of sheet and backup");
    assert_eq!(of("pending", Some("sheet"), None).await, 1);
    assert_eq!(of("pending,missed", None, None).await, 3);
    assert_eq!(of("ran,failed", None, None).await, 2);
    assert_eq!(of("ran,failed", None, Some(1)).await, 1);
    assert_eq!(of("blocked", None, None).await, 0);
    for limit in [1, 2, 3, 6] {
        let query = SlotsQuery { limit: Some(limit), ..SlotsQuery::default() };
        let slots = client.slots(&query).await.unwrap();
        assert_eq!(slots.len(), limit as usize, "limit {limit}");
    }
    let since = SlotsQuery { since: Some(at("2026-11-25T08:30:00Z")), ..SlotsQuery::default() };
    assert_eq!(client.slots(&since).await.unwrap().len(), 4);
}

#[tokio::test]
async fn runs_tell_how_they_stand() {
    let stage = Stage::new().await;
    stage.history().await;
    let client = stage.client();
    let runs = client.runs(&RunsQuery::default()).await.unwrap();
    insta::assert_snapshot!(lines(&runs));
    let of = async |query: RunsQuery| client.runs(&query).await.unwrap().len();
    assert_eq!(of(RunsQuery { live: true, ..RunsQuery::default() }).await, 1);
    assert_eq!(of(RunsQuery { failed: true, ..RunsQuery::default() }).await, 1);
    assert_eq!(of(RunsQuery { limit: Some(2), ..RunsQuery::default() }).await, 2);
    let before = Some(runs[1].id);
    assert_eq!(of(RunsQuery { before, ..RunsQuery::default() }).await, 1);
    insta::assert_snapshot!(json(&client.run(RunId(2)).await.unwrap()));
}

#[tokio::test]
async fn jobs_status_and_incidents_agree_with_the_store() {
    let stage = Stage::new().await;
    stage.history().await;
    let client = stage.client();
    client.pause("backup", PauseOrder { reason: "the disk is full".into() }).await.unwrap();
    insta::assert_snapshot!(
        lines(&client.jobs().await.unwrap()).replace(stage.dir.path().to_str().unwrap(), "DIR")
    );
    let mut status = client.status().await.unwrap();
    status.health.version = "VERSION".into();
    insta::assert_snapshot!(json(&status));
    let incidents = client.incidents(IncidentsQuery::default()).await.unwrap();
    insta::assert_snapshot!(json(&incidents));
}

#[tokio::test]
async fn explanations() {
    let stage = Stage::new().await;
    stage.history().await;
    let client = stage.client();
    client.pause("backup", PauseOrder { reason: "the disk is full".into() }).await.unwrap();
    let mut told = String::new();
    for job in ["sheet", "backup", "ask", "off"] {
        told += &json(&client.explain_job(job).await.unwrap());
        told += "\n";
    }
    for run in 1..=5 {
        told += &json(&client.explain_run(RunId(run)).await.unwrap());
        told += "\n";
    }
    insta::assert_snapshot!(told.replace(stage.dir.path().to_str().unwrap(), "DIR"));
}

#[tokio::test]
async fn an_attempt_that_holds_back_its_job_can_be_read_and_ended() {
    let stage = Stage::new().await;
    let began = at(NOW) - Duration::from_hours(9);
    let holder = jada::model::Holder { node: stage.node, until: at(NOW) };
    let running = RunState::Running { holder, since: began };
    let run = stage.record("sheet", Cause::Slot(began), running).await;
    let client = stage.client();
    assert_eq!(client.explain_job("sheet").await.unwrap().commands, Vec::<String>::new());
    let skipped = RunState::NotRun {
        at: at(NOW),
        verdict: jada::model::NotRun::Skipped,
        reason: "run 1 had not ended (overlap: skip)".into(),
        count: 1,
    };
    stage.record("sheet", Cause::Slot(began + Duration::from_mins(30)), skipped).await;
    let commands = client.explain_job("sheet").await.unwrap().commands;
    assert_eq!(commands, [format!("jadactl logs {run}"), format!("jadactl cancel {run}")]);
}

#[tokio::test]
async fn orders_reach_the_engine_and_refusals_come_back() {
    let stage = Stage::new().await;
    let client = stage.client();
    let run = client.trigger("ask").await.unwrap().run;
    assert_eq!(client.run(run).await.unwrap().run.state, RunWord::Queued);
    client.cancel(run).await.unwrap();
    let ended = client.run(run).await.unwrap().run;
    assert_eq!(ended.class, Some(FailureClass::Cancelled));

    let refused = |error: client::Error| match error {
        client::Error::Refused(problem) => (problem.problem, problem.message, problem.hint),
        other => panic!("{other:?}"),
    };
    let again = refused(client.cancel(run).await.unwrap_err());
    assert_eq!((again.0, again.1.as_str()), (ProblemKind::Conflict, "run 1 has ended already"));
    let typo = refused(client.trigger("shet").await.unwrap_err());
    assert_eq!(typo.0, ProblemKind::NotFound);
    assert_eq!(typo.1, "there is no job 'shet'");
    assert_eq!(typo.2, "did you mean 'sheet'?");
    let odd = refused(client.explain_job("../a b?/ü").await.unwrap_err());
    assert_eq!(odd.1, "there is no job '../a b?/ü'");
    let none = refused(client.run(RunId(99)).await.unwrap_err());
    assert_eq!((none.0, none.1.as_str()), (ProblemKind::NotFound, "there is no run 99"));
    let state = SlotsQuery { state: Some("rann".into()), ..SlotsQuery::default() };
    let state = refused(client.slots(&state).await.unwrap_err());
    assert_eq!(state.0, ProblemKind::BadRequest);
    assert!(state.2.contains("pending, running, ran"), "{}", state.2);
}

#[tokio::test]
async fn a_wait_ends_with_the_attempt_that_begins() {
    let stage = Stage::new().await;
    let client = stage.client();
    let run = client.trigger("ask").await.unwrap().run;
    let (waited, ()) = tokio::join!(client.wait(run, WaitQuery { attempt: 1 }), async {
        // Not this one: the run still waits.
        stage.changed();
        let holder = match stage.running() {
            RunState::Running { holder, .. } => holder,
            other => panic!("{other:?}"),
        };
        let start = jada::store::Change::Start { run, attempt: 1, holder };
        stage.commit(vec![start]).await;
    });
    let waited = waited.unwrap().run;
    assert_eq!((waited.state, waited.attempts), (RunWord::Running, 1));
}

#[tokio::test]
async fn output_is_read_whole_or_followed_to_the_end_of_the_attempt() {
    let stage = Stage::new().await;
    let client = stage.client();
    let run = stage.record("ask", Cause::Manual(at(NOW)), stage.running()).await;
    let output = stage.outputs.open(run, 1, None);
    output.append(b"one\n".to_vec()).await;

    let mut now = client.output(run, OutputQuery::default()).await.unwrap();
    assert_eq!(now.piece().await.unwrap().unwrap(), b"one\n");
    assert_eq!(now.piece().await.unwrap(), None);

    let mut live =
        client.output(run, OutputQuery { attempt: Some(1), follow: true }).await.unwrap();
    assert_eq!(live.piece().await.unwrap().unwrap(), b"one\n");
    output.append(b"\xff two\n".to_vec()).await;
    assert_eq!(live.piece().await.unwrap().unwrap(), b"\xff two\n");
    let (ended, ()) = tokio::join!(live.piece(), async {
        drop(output);
        stage.finish(run, 1, Outcome::Succeeded { note: String::new() }).await;
    });
    assert_eq!(ended.unwrap(), None);

    let error = client.output(run, OutputQuery { attempt: Some(2), follow: false }).await;
    assert_eq!(error.unwrap_err().to_string(), "run 1 has no attempt 2");
    stage.clock.advance(Duration::from_secs(1));
    let waiting = client.trigger("ask").await.unwrap().run;
    let error = client.output(waiting, OutputQuery::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "run 2 has printed nothing: no attempt has begun");
    assert_eq!(error.hint(), "jadactl explain 2 says why");
}

#[tokio::test]
async fn the_server_ends_its_streams_and_waits_when_it_stops() {
    let stage = Stage::new().await;
    let client = stage.client();
    let run = stage.record("ask", Cause::Manual(at(NOW)), stage.running()).await;
    let output = stage.outputs.open(run, 1, None);
    output.append(b"one\n".to_vec()).await;
    let mut live = client.output(run, OutputQuery { attempt: None, follow: true }).await.unwrap();
    live.piece().await.unwrap();
    let stop = async {
        tokio::task::yield_now().await;
        stage.stop.cancel();
    };
    let (piece, wait, ()) =
        tokio::join!(live.piece(), client.wait(run, WaitQuery { attempt: 2 }), stop);
    assert_eq!(piece.unwrap(), None);
    assert!(wait.is_ok() || matches!(wait, Err(client::Error::Broken { .. })), "{wait:?}");
    stage.served.await.unwrap();
    assert!(!stage.dir.path().join("var").join(api::SOCKET).exists());
    let gone = Client::new(&stage.dir.path().join("var/jada.sock"), Duration::ZERO);
    let error = gone.status().await.unwrap_err();
    assert!(
        matches!(error, client::Error::Unreachable { reason: Unreachable::NoSocket, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn loopback_only_shows_and_only_to_those_who_name_it() {
    let stage = Stage::new().await;
    stage.history().await;
    let _client = stage.client();
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let base = format!("http://{}", stage.page);
    let get = async |path: &str| http.get(format!("{base}{path}")).send().await.unwrap();

    let page = get("/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = page.text().await.unwrap();
    for text in ["sheet fails as unauthorized", "jadactl logs sheet", "the daemon was not running"]
    {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let health = get("/healthz").await;
    assert_eq!(health.status(), 200);
    assert!(health.json::<api::Health>().await.unwrap().ok);
    for path in [
        "/api/status",
        "/api/jobs",
        "/api/jobs/sheet",
        "/api/slots",
        "/api/runs",
        "/api/runs/1",
        "/api/incidents?all=true",
        "/api/explain/job/sheet",
        "/api/explain/run/1",
    ] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    for (path, status) in [
        ("/api/runs/1/output", 403),
        ("/api/runs/1/wait?attempt=1", 403),
        ("/nowhere", 403),
        ("/api/runs/one", 400),
        ("/api/slots?limit=x", 400),
        ("/api/jobs/none", 404),
    ] {
        assert_eq!(get(path).await.status(), status, "{path}");
    }
    for path in ["/api/jobs/ask/run", "/api/jobs/ask/pause", "/api/runs/4/cancel", "/api/reload"] {
        let answer = http.post(format!("{base}{path}")).json(&()).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    let runs = stage.client().runs(&RunsQuery::default()).await.unwrap();
    assert_eq!(runs.len(), 3, "nothing was started");
    let foreign = http.get(&base).header("Host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
}

#[tokio::test]
async fn a_late_loop_is_told_by_the_health() {
    let stage = Stage::new().await;
    // A client of ours has set up what reqwest needs.
    let _ready = stage.client();
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    stage.wake_at(at("2026-11-25T09:09:00Z"));
    let health = http.get(format!("http://{}/healthz", stage.page)).send().await.unwrap();
    assert_eq!(health.status(), 503);
    let health: api::Health = health.json().await.unwrap();
    assert_eq!((health.lag, health.problem.as_str()), (60.0, "the loop is 1m behind"));
}

fn parts(socket: &Path) -> Parts {
    let (requests, _) = tokio::sync::mpsc::channel(1);
    let view = tokio::sync::watch::Sender::new(Arc::new(View::default()));
    let dir = socket.parent().unwrap();
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(dir.join("jada.db")).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SimClock::at(at(NOW)));
    Parts {
        store: store.clone(),
        engine: Handle::new(requests, view.subscribe()),
        clock: clock.clone(),
        desk: Desk { store, clock, alerts: Arc::default(), bell: Arc::default() },
        outputs: Outputs::at(dir),
        socket: socket.into(),
        listen: None,
    }
}

#[tokio::test]
async fn the_socket_is_private_and_an_old_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(api::SOCKET);
    // What a daemon that was killed leaves: a socket that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let error = Client::new(&socket, Duration::ZERO).status().await.unwrap_err();
    assert!(
        matches!(error, client::Error::Unreachable { reason: Unreachable::NobodyListens, .. }),
        "{error:?}"
    );
    let server = Server::bind(parts(&socket)).await.unwrap();
    assert_eq!(server.socket(), socket);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = Server::bind(parts_beside(&socket)).await.err().unwrap();
    assert!(matches!(second, web::Error::InUse(_)), "{second:?}");
}

/// Parts with a store of their own, so that only the socket is contended.
fn parts_beside(socket: &Path) -> Parts {
    let other = socket.with_file_name("other");
    std::fs::create_dir(&other).unwrap();
    Parts { socket: socket.into(), ..parts(&other.join("x")) }
}

#[tokio::test]
async fn what_is_wrong_with_the_socket_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(120));
    let error = Server::bind(parts_at(&dir, &long)).await.err().unwrap().to_string();
    assert!(error.contains("and the system allows 107: name a shorter --data-dir"), "{error}");
    let error = Client::new(&long, Duration::ZERO).status().await.unwrap_err();
    assert_eq!(error.hint(), "go nearer and name a relative --data-dir");

    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let error = Server::bind(parts_at(&dir, &file)).await.err().unwrap().to_string();
    assert!(error.contains("exists and is no socket: move it away"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

fn parts_at(dir: &tempfile::TempDir, socket: &Path) -> Parts {
    Parts { socket: socket.into(), ..parts(&dir.path().join("x")) }
}

#[tokio::test]
async fn a_patient_client_waits_for_the_daemon_to_come_up() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(api::SOCKET);
    let client = Client::new(&socket, Duration::from_secs(30));
    let stop = CancellationToken::new();
    let (status, ()) = tokio::join!(client.status(), async {
        tokio::task::yield_now().await;
        let server = Server::bind(parts(&socket)).await.unwrap();
        tokio::spawn(server.serve(stop.clone()));
    });
    assert_eq!(status.unwrap().jobs, 0);
    stop.cancel();
}

#[tokio::test]
async fn a_failed_store_is_a_problem_and_no_panic() {
    let stage = Stage::new().await;
    Store::close(stage.store.as_ref()).await.unwrap();
    let error = stage.client().status().await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");
}
