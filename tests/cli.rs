//! `jadactl` as a program: exit codes, shapes of JSON, tables at 80 columns, and pipes that close.
//!
//! What it prints about what is proved closer by; here is the wiring.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

mod stage;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use jada::clock::Clock as _;
use jada::model::{AttemptNo, Cause, Failure, FailureClass, NotRun, Outcome, RunId, RunState};
use jada::store::{Change, Store as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use stage::{NOW, Stage, at, repository};

/// `jadactl` in a folder, without anything of the environment that could change what it prints.
fn jadactl(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jadactl"));
    command.args(args).current_dir(dir).env_clear().kill_on_drop(true);
    // Validation looks for programs there.
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

async fn ran(dir: &Path, args: &[&str]) -> Output {
    jadactl(dir, args).output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Everything that a person sees: the exit code, then both streams.
async fn seen(dir: &Path, args: &[&str]) -> String {
    let output = ran(dir, args).await;
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
    let mut all = format!("$ jadactl {}\n{out}", args.join(" "));
    if !err.is_empty() {
        all = format!("{all}--- stderr\n{err}");
    }
    format!("{all}--- exit {}\n", output.status.code().unwrap())
        .replace(dir.to_str().unwrap(), "DIR")
}

async fn json(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = ran(dir, args).await;
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{args:?}: {error}\n{}\n{}", text(&output.stdout), text(&output.stderr))
    })
}

/// The keys of an object, or of the objects in a list.
fn keys(value: &serde_json::Value) -> String {
    let object = value.as_array().map_or(value, |list| &list[0]).as_object().unwrap();
    object.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn tables_fit_eighty_columns() {
    let stage = Stage::new().await;
    stage.history().await;
    let mut all = String::new();
    for args in [
        vec!["jobs"],
        vec!["slots"],
        vec!["slots", "--job", "sheet", "--state", "ran,failed"],
        vec!["runs"],
        vec!["runs", "--failed"],
        vec!["incidents"],
        vec!["status"],
        vec!["explain", "sheet"],
        vec!["explain", "2"],
    ] {
        all += &seen(stage.dir.path(), &args).await;
        all += "\n";
    }
    insta::assert_snapshot!(all.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[tokio::test]
async fn json_has_the_documented_keys() {
    let stage = Stage::new().await;
    stage.history().await;
    let dir = stage.dir.path();
    for (args, want) in [
        (&["slots"][..], "job slot state reason run count"),
        (&["runs"], "id job slot cause state outcome class reason attempts started_at finished_at"),
        (&["plan"], "job slot note"),
        (
            &["incidents"],
            "id key state severity class root title since count affected fix detail last_seen \
             resolved_at note fault generation acked_at acked_by flapping",
        ),
        (&["explain", "sheet"], "subject sentences commands"),
        (&["validate"], "files jobs diagnostics"),
    ] {
        let args = [args, &["--json"]].concat();
        let mut want: Vec<_> = want.split(' ').collect();
        let got = keys(&json(dir, &args).await);
        let mut got: Vec<_> = got.split(' ').collect();
        want.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, want, "{args:?}");
    }
    let slots = json(dir, &["slots", "--job", "backup", "--state", "missed", "--json"]).await;
    let want = serde_json::json!([{
        "job": "backup",
        "slot": "2026-11-25T02:15:00Z",
        "state": "missed",
        "reason": "the daemon was not running",
        "run": null,
        "count": 3,
    }]);
    assert_eq!(slots, want);
}

#[tokio::test]
async fn orders_and_refusals() {
    let stage = Stage::new().await;
    let dir = stage.dir.path();
    let mut all = String::new();
    for args in [
        &["pause", "sheet", "--reason", "the sheet moves"][..],
        &["resume", "sheet"],
        &["run", "ask"],
        &["run", "ask", "--json"],
        &["cancel", "1"],
        &["cancel", "1"],
        &["cancel", "77"],
        &["logs", "77"],
        &["logs", "2"],
        &["logs", "backup"],
        &["runs", "--job", "backup"],
        &["slots", "--job", "back"],
        &["logs", "back"],
        &["run", "shet"],
        &["explain", "shet"],
    ] {
        all += &seen(dir, args).await;
        // Two requests of the same millisecond would be the same one.
        stage.clock.advance(Duration::from_secs(1));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn what_the_command_line_gets_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = String::new();
    for args in [
        &["slots"][..],
        &["slots", "--state", "rann"],
        &["slots", "--since", "tomorrow"],
        &["cancel", "ask"],
        &["runs", "--limit", "0"],
        &["frobnicate"],
        &["explain", "J999"],
        &["plan", "--cron", "*/5 * * 13 *"],
        &["plan", "--cron", "@daily", "--timezone", "Mars/Olympus"],
        &["plan"],
    ] {
        all += &seen(dir.path(), args).await;
    }
    insta::assert_snapshot!(all);
}

/// Plays the engine for `run --wait`: takes the run through its attempts, with output.
async fn perform(stage: &Stage, ends: &[Outcome]) {
    let run = asked_for(stage).await;
    for (no, end) in (1..).zip(ends) {
        attempt(stage, run, no, end, no as usize == ends.len()).await;
    }
}

async fn asked_for(stage: &Stage) -> RunId {
    let mut view = stage.view.subscribe();
    loop {
        view.borrow_and_update();
        match stage.store.live_runs().await.unwrap().first() {
            Some(run) => return run.id,
            None => view.changed().await.unwrap(),
        }
    }
}

async fn attempt(stage: &Stage, run: RunId, no: AttemptNo, end: &Outcome, last: bool) {
    let RunState::Running { holder, .. } = stage.running() else { unreachable!() };
    let output = stage.outputs.open(run, no, None);
    stage.commit(vec![Change::Start { run, attempt: no, holder }]).await;
    output.append(format!("output of attempt {no}\n").into_bytes()).await;
    drop(output);
    if last {
        stage.finish(run, no, end.clone()).await;
    } else {
        let next = RunState::Queued { ready_at: at(NOW), why: "retry in 10s".into() };
        stage.end(run, no, end.clone(), next).await;
    }
}

#[tokio::test]
async fn run_wait_says_why_a_retry_waits() {
    let failed = Outcome::Failed(Failure::new(FailureClass::Transient, "exit status 9"));
    let good = Outcome::Succeeded { note: String::new() };
    let stage = Stage::new().await;
    let mut command = jadactl(stage.dir.path(), &["run", "ask", "--wait"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(err.next_line().await.unwrap().unwrap(), "run 1 of ask");
    let run = asked_for(&stage).await;
    attempt(&stage, run, 1, &failed, false).await;
    assert_eq!(err.next_line().await.unwrap().unwrap(), "run 1 waits: retry in 10s");
    attempt(&stage, run, 2, &good, true).await;
    assert_eq!(err.next_line().await.unwrap().unwrap(), "attempt 2");
    assert_eq!(err.next_line().await.unwrap().unwrap(), "run 1 succeeded");
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "output of attempt 1\noutput of attempt 2\n");
}

#[tokio::test]
async fn status_tells_a_run_that_does_not_end() {
    let stage = Stage::new().await;
    stage.clock.step_to(at("2026-11-25T08:00:00Z"));
    let hung = stage.record("sheet", Cause::Slot(stage.clock.now()), stage.running()).await;
    stage.clock.step_to(at("2026-11-25T08:10:00Z"));
    stage.record("ask", Cause::Manual(stage.clock.now()), stage.running()).await;
    let skipped = async |slot: &str, reason: &str| {
        stage.clock.step_to(at(slot));
        let (at, verdict, count) = (stage.clock.now(), NotRun::Skipped, 1);
        let state = RunState::NotRun { at, verdict, reason: reason.to_owned(), count };
        stage.record("sheet", Cause::Slot(at), state).await;
    };
    let reason = format!("run {hung} had not ended (overlap: skip)");
    skipped("2026-11-25T08:30:00Z", &reason).await;
    let told = text(&ran(stage.dir.path(), &["status"]).await.stdout);
    assert!(
        told.contains("longest    sheet, run 1, for 30m") && !told.contains("held up"),
        "{told}"
    );
    skipped("2026-11-25T09:00:00Z", "the job is paused").await;
    skipped("2026-11-25T09:30:00Z", &reason).await;
    let told = text(&ran(stage.dir.path(), &["status"]).await.stdout);
    let told: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("runs")).collect();
    insta::assert_snapshot!(told[..5].join("\n"), @"
    runs       0 running, 0 waiting
    longest    sheet, run 1, for 1h 30m, since 2026-11-25 08:00:00Z
    held up    sheet: 2 slots skipped since 2026-11-25 08:30:00Z
               as run 1 goes on for 1h 30m already: look at it with
               jadactl logs 1, stop it with jadactl cancel 1
    ");
    let json = json(stage.dir.path(), &["status", "--json"]).await;
    assert_eq!(
        (&json["held_up"][0]["run"], &json["held_up"][0]["skipped"]),
        (&1.into(), &2.into())
    );
    stage.finish(hung, 1, Outcome::Succeeded { note: String::new() }).await;
    let told = text(&ran(stage.dir.path(), &["status"]).await.stdout);
    assert!(told.contains("longest    ask, run 2") && !told.contains("held up"), "{told}");
}

#[tokio::test]
async fn a_daemon_that_is_ill_is_bad_news() {
    let stage = Stage::new().await;
    stage.wake_at(at("2026-11-25T09:00:00Z"));
    let status = ran(stage.dir.path(), &["status"]).await;
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stdout).contains("ill: the loop is 10m behind"));
}

#[tokio::test]
async fn run_wait_streams_the_output_and_exits_as_the_run_ended() {
    let failed = |class| Outcome::Failed(Failure::new(class, "exit status 9"));
    let good = || Outcome::Succeeded { note: String::new() };
    let cases = [
        (vec![good()], 0, "output of attempt 1\n", "run 1 succeeded"),
        (
            vec![failed(FailureClass::Transient), good()],
            0,
            "output of attempt 1\noutput of attempt 2\n",
            "run 1 succeeded",
        ),
        (
            vec![failed(FailureClass::Permanent)],
            1,
            "output of attempt 1\n",
            "run 1 failed (permanent): exit status 9",
        ),
        (
            vec![failed(FailureClass::TimedOut)],
            5,
            "output of attempt 1\n",
            "run 1 failed (timed_out)",
        ),
        (vec![failed(FailureClass::Cancelled)], 6, "output of attempt 1\n", "(cancelled)"),
    ];
    for (ends, exit, out, last) in cases {
        let stage = Stage::new().await;
        let (output, ()) =
            tokio::join!(ran(stage.dir.path(), &["run", "ask", "--wait"]), perform(&stage, &ends));
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{err}");
        assert_eq!(text(&output.stdout), out, "{err}");
        assert!(err.starts_with("run 1 of ask\n"), "{err}");
        assert!(err.lines().last().unwrap().contains(last), "{err}");
    }
}

#[tokio::test]
async fn logs_follow_a_run_or_show_one_attempt() {
    let failed = Outcome::Failed(Failure::new(FailureClass::Transient, "exit status 9"));
    let ends = [failed, Outcome::Succeeded { note: String::new() }];
    let stage = Stage::new().await;
    let dir = stage.dir.path();
    stage.client().trigger("ask").await.unwrap();
    let (followed, ()) = tokio::join!(ran(dir, &["logs", "ask", "-f"]), perform(&stage, &ends));
    let out = text(&followed.stdout);
    assert!(out.ends_with("output of attempt 2\n"), "{out}");
    assert_eq!(followed.status.code(), Some(0));
    for (args, want) in [
        (&["logs", "1"][..], "output of attempt 2\n"),
        (&["logs", "ask"], "output of attempt 2\n"),
        (&["logs", "1", "--attempt", "1"], "output of attempt 1\n"),
        (&["logs", "1", "--attempt", "2", "-f"], "output of attempt 2\n"),
    ] {
        assert_eq!(text(&ran(dir, args).await.stdout), want, "{args:?}");
    }
    let logs = json(dir, &["logs", "ask", "--attempt", "1", "--json"]).await;
    let want = serde_json::json!({"run": 1, "attempt": 1, "output": "output of attempt 1\n"});
    assert_eq!(logs, want);
}

#[tokio::test]
async fn settings_with_errors_are_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jada.yaml"), "data_dir: [var]\n").unwrap();
    let status = ran(dir.path(), &["status"]).await;
    assert_eq!(status.status.code(), Some(3));
    let err = text(&status.stderr);
    assert!(err.starts_with("the settings have errors"), "{err}");
}

#[tokio::test]
async fn a_pipe_that_closes_is_no_error() {
    let stage = Stage::new().await;
    for minute in 0..600 {
        let slot = at("2026-11-24T00:00:00Z") + Duration::from_secs(60 * minute);
        let skipped = RunState::NotRun {
            at: slot,
            verdict: NotRun::Skipped,
            reason: "a reason that makes the row as long as rows may be, and longer".into(),
            count: 1,
        };
        stage.record("sheet", Cause::Slot(slot), skipped).await;
    }
    for args in [&["slots", "--limit", "10000"][..], &["slots", "--limit", "10000", "--json"]] {
        let mut command = jadactl(stage.dir.path(), args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(text(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

/// Its exit code where nobody reads what it prints.
async fn unread(dir: &Path, args: &[&str]) -> Option<i32> {
    let mut child =
        jadactl(dir, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().await.unwrap().status.code()
}

#[tokio::test]
async fn a_pipe_that_closes_hides_no_bad_news() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs.d")).unwrap();
    std::fs::write(dir.path().join("jobs.d/a.yaml"), "scedule: { every: 1h }\n").unwrap();
    for format in ["human", "json", "sarif", "github"] {
        let exit = unread(dir.path(), &["validate", "--format", format]).await;
        assert_eq!(exit, Some(1), "{format}");
    }
    let stage = Stage::new().await;
    let ends = [Outcome::Failed(Failure::new(FailureClass::TimedOut, "too long"))];
    let (exit, ()) =
        tokio::join!(unread(stage.dir.path(), &["run", "ask", "--wait"]), perform(&stage, &ends));
    assert_eq!(exit, Some(5));
}

#[tokio::test]
async fn a_starter_validates_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let first = ran(dir.path(), &["init", "home"]).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(text(&first.stdout).lines().count(), 5);
    let checked = ran(&home, &["validate"]).await;
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let checked = json(&home, &["validate", "--json"]).await;
    assert_eq!((&checked["files"], &checked["jobs"]), (&3.into(), &2.into()), "{checked}");
    assert_eq!(checked["diagnostics"], serde_json::json!([]));
    let planned = json(&home, &["plan", "--count", "4", "--json"]).await;
    assert_eq!(planned.as_array().unwrap().len(), 4);

    std::fs::write(home.join("jobs.d/hello.yaml"), "mine").unwrap();
    std::fs::remove_file(home.join("jada.yaml")).unwrap();
    let again = ran(dir.path(), &["init", "home"]).await;
    assert_eq!(again.status.code(), Some(1));
    let told = text(&again.stderr);
    assert!(told.contains("home/jobs.d/hello.yaml is there already"), "{told}");
    assert_eq!(std::fs::read_to_string(home.join("jobs.d/hello.yaml")).unwrap(), "mine");
    assert!(!home.join("jada.yaml").exists(), "nothing at all was written");
}

#[tokio::test]
async fn validate_has_four_formats_and_two_ends() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs.d")).unwrap();
    let file = dir.path().join("jobs.d/a.yaml");
    std::fs::write(&file, "schedule: { every: 1h }\ncommand: { run: 'exit 0' }\n").unwrap();
    let good = ran(dir.path(), &["validate"]).await;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));

    std::fs::write(&file, "scedule: { every: 1h }\ncommand: { run: 'exit 0' }\n").unwrap();
    let bad = ran(dir.path(), &["validate", "jobs.d/a.yaml"]).await;
    assert_eq!(bad.status.code(), Some(1));
    let told = text(&bad.stdout);
    assert!(told.contains("jobs.d/a.yaml:1:1") && told.contains("`schedule`"), "{told}");
    let json = json(dir.path(), &["validate", "--format", "json"]).await;
    let first = &json["diagnostics"][0];
    assert_eq!(first["line"], 1, "{json}");
    assert_eq!(
        keys(first),
        "code column end_column end_line file help line message severity",
        "{json}"
    );
    let code = first["code"].as_str().unwrap();
    let page = ran(dir.path(), &["explain", code]).await;
    assert_eq!(page.status.code(), Some(0));
    assert!(text(&page.stdout).contains(code), "{}", text(&page.stdout));
    for (format, mark) in [("sarif", "\"2.1.0\""), ("github", "::error ")] {
        let told = ran(dir.path(), &["validate", "--format", format]).await;
        assert_eq!(told.status.code(), Some(1), "{format}");
        assert!(text(&told.stdout).contains(mark), "{}", text(&told.stdout));
        let both = ran(dir.path(), &["validate", "--json", "--format", format]).await;
        assert_eq!((both.status.code(), both.stdout.len()), (Some(2), 0), "{format}");
        assert!(text(&both.stderr).contains("--json and --format"), "{}", text(&both.stderr));
    }
    let missing = ran(dir.path(), &["validate", "nowhere.yaml"]).await;
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test]
async fn plan_shows_what_clock_changes_do() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "plan",
        "--cron",
        "30 2 * * *",
        "--timezone",
        "America/New_York",
        "--from",
        "2026-03-07",
        "--count",
        "3",
    ];
    insta::assert_snapshot!(seen(dir.path(), &args).await);
    let span = ["plan", "--cron", "0 */6 * * *", "--from", "2026-03-07", "--for", "1d", "--json"];
    let slots = json(dir.path(), &span).await;
    let slots: Vec<_> = slots.as_array().unwrap().iter().map(|row| &row["slot"]).collect();
    assert_eq!(slots.len(), 4, "half open: {slots:?}");
    assert_eq!(slots[0], "2026-03-07T00:00:00+00:00");
}

#[tokio::test]
async fn schemas_are_printed_as_they_are() {
    let (job, config) = (jada::spec::schema::job(), jada::spec::schema::config());
    for (which, schema) in [("job", job), ("config", config)] {
        let printed = ran(repository(), &["schema", which]).await;
        assert!(text(&printed.stdout) == schema, "{which}");
    }
}

/// `UPDATE=1 cargo test --test cli` writes it anew.
#[test]
fn the_committed_help_is_current() {
    let file = repository().join("tests/cli/help.txt");
    let help = jada::cli::help();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &help).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, help, "run UPDATE=1 cargo test --test cli, and commit the file");
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
    }
}
