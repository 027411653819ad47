//! What tests of sources, destinations and the pipeline need: a section from its YAML, and tools over a
//! folder of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::intake::Intake;
use super::layout::Layout;
use super::source::Start;
use super::spec::SyncSpec;
use super::stage::Stage;
use super::tools::Tools;
use super::trouble::Trouble;
use super::value::{Values, shown};
use crate::clock::{Clock, SimClock, SystemClock};
use crate::kinds::given::{Given, Surroundings};
use crate::kinds::grant::{Access, Grants};
use crate::kinds::output::Outputs;
use crate::kinds::process::environment;
use crate::kinds::wire::Shared;
use crate::kinds::{AttemptContext, Leaving, Setting, Stop, StopReason, Work};
use crate::model::{Cause, JobName, NodeId, RunId};
use crate::yaml::{self, Decode, Decoder, Located, Source};

/// The section of a text.
pub(super) fn spec(text: &str) -> Located<SyncSpec> {
    let source = Source::new("job.yaml", text);
    let (documents, found) = yaml::parse(&source);
    assert!(found.is_empty(), "{found:?}");
    let mut cx = Decoder::new(&source);
    let spec = Located::decode(&documents[0].root, &mut cx);
    let found = cx.finish();
    assert!(found.is_empty(), "{found:?}");
    spec.expect("nothing was reported")
}

/// Simulated time whose waits end at the latest when they would in real time. A lock may be held for a moment
/// by a child that another test has just started, and nobody moves the time while that is waited for.
struct Patient(SimClock);

#[async_trait]
impl Clock for Patient {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn passed(&self) -> Duration {
        self.0.passed()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.0.sleep_until(at).await;
    }

    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = self.0.sleep(time) => {}
            () = SystemClock.sleep(time) => {}
        }
    }
}

/// A folder, a clock and a runtime, from which attempts are made.
pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: SimClock,
    pub(super) outputs: Outputs,
    runtime: tokio::runtime::Runtime,
    run: std::cell::Cell<i64>,
}

/// One attempt's tools, what stops them, and where they write.
pub(super) struct Attempt {
    pub(super) tools: Tools,
    pub(super) pull: tokio::sync::watch::Sender<Option<StopReason>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::at("2026-03-01T12:00:00Z".parse().unwrap());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let outputs = Outputs::at(dir.path());
        Self { clock, outputs, runtime, dir, run: std::cell::Cell::new(0) }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Tools of the next run, for the job `port-sheet`.
    pub(super) fn attempt(&self, spec: &str) -> Attempt {
        self.run.set(self.run.get() + 1);
        let (pull, stop) = Stop::pair();
        let run = RunId(self.run.get());
        let output = self.outputs.open(run, 1, None);
        let setting = Setting { working_dir: self.dir.path().to_owned(), ..Setting::default() };
        let attempt = AttemptContext {
            run,
            job: JobName::parse("port-sheet").unwrap(),
            no: 1,
            node: NodeId(1),
            cause: Cause::Manual("2026-03-01T12:00:00Z".parse().unwrap()),
            started_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            work: Arc::new(Work::Sync(Box::new(self::spec(spec)))),
            setting: Arc::new(setting),
            output,
            facts: crate::kinds::facts::Facts::default(),
            seen: crate::kinds::Seen::default(),
            stop,
            clock: Arc::new(Patient(self.clock.clone())),
        };
        let inherited = environment::inherited();
        let (access, network) = (Access::new(None, self.dir.path()), Shared::default());
        let around = Surroundings {
            inherited: &inherited,
            data_dir: self.dir.path(),
            access: &access,
            network: &network,
            pulse: &crate::kinds::health::Kept::default(),
            leaving: &Leaving::default(),
        };
        let tools = self.runtime.block_on(async {
            let grants = Grants::take(&access, &[], &attempt).await.unwrap();
            let given = Given::new(&attempt, around, &grants, &[], std::iter::empty()).unwrap();
            Tools::new(&attempt, around, &given)
        });
        Attempt { tools, pull }
    }

    /// Lets time pass while something waits for the end of processes: they are looked at again and again, by
    /// the clock.
    pub(super) fn ticking<T>(&self, what: impl FnOnce() -> T) -> T {
        let step = Duration::from_millis(1);
        let (over, running) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let clock = &self.clock;
            scope.spawn(move || {
                while running
                    .recv_timeout(step)
                    .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    clock.advance(step * 20);
                }
            });
            let done = what();
            drop(over);
            done
        })
    }

    /// What an attempt wrote into its output.
    pub(super) fn said(&self, attempt: &Attempt) -> String {
        let path = self.outputs.path(attempt.tools.run, attempt.tools.no);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Reads a job's source; gives its rows as `a=1 b=null`, one a line.
    pub(super) fn read(&self, text: &str) -> Result<Vec<String>, Trouble> {
        let attempt = self.attempt(text);
        let spec = spec(text);
        let start = Start { now: attempt.tools.now(), ..Start::default() };
        Self::take(text, &attempt, |intake| {
            spec.source.read(&attempt.tools, &start, intake).map(drop)
        })
    }

    /// Gives an intake what a closure has for it; gives its rows as `a=1 b=null`, one a line.
    pub(super) fn take(
        text: &str,
        attempt: &Attempt,
        give: impl FnOnce(&mut Intake<'_>) -> Result<(), Trouble>,
    ) -> Result<Vec<String>, Trouble> {
        let spec = spec(text);
        let mut stage = Stage::create(&attempt.tools.folder(), "test.stage")?;
        let mut intake = Intake::new(&attempt.tools, &spec, &mut stage)?;
        give(&mut intake)?;
        let layout = intake.finish()?.layout;
        rows(&mut stage, &layout)
    }
}

/// The rows of a stage as text.
pub(super) fn rows(stage: &mut Stage, layout: &Layout) -> Result<Vec<String>, Trouble> {
    let mut rows = Vec::new();
    stage.each(&mut |_, row| {
        let values = Values::of(row).zip(&layout.columns);
        let values =
            values.map(|(value, column)| format!("{}={}", column.name, shown(value, column.kind)));
        rows.push(values.collect::<Vec<_>>().join(" "));
        Ok(())
    })?;
    Ok(rows)
}

/// The names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
