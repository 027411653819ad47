//! What the pipeline works with: time, a way to wait, a way to be stopped, credentials, a voice.
//!
//! Owns the bridge from a plain thread to what is asynchronous. Refuses to know rows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::runtime::Handle;

use super::progress::Progress;
use super::trouble::Trouble;
use crate::clock::Clock;
use crate::credentials::keeper::Keeper;
use crate::kinds::given::{Given, Surroundings};
use crate::kinds::output::Output;
use crate::kinds::template;
use crate::kinds::{AttemptContext, Leaving, Setting, Stop, wire};
use crate::model::{AttemptNo, JobName, RunId};

/// Everything that an attempt's pipeline may use. Owned, since it goes to a thread of its own.
#[derive(Clone)]
pub(in crate::kinds) struct Tools {
    pub(super) job: JobName,
    pub(super) run: RunId,
    pub(super) no: AttemptNo,
    pub(super) handle: Handle,
    pub(super) stop: Stop,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) output: Output,
    pub(super) setting: Arc<Setting>,
    pub(super) keeper: Option<Arc<Keeper>>,
    /// What attempts share of the network: clients, and budgets.
    pub(super) network: wire::Shared,
    /// Whether the daemon is going down.
    pub(super) leaving: Leaving,
    /// What templates see.
    pub(super) values: Json,
    /// What programs of the job are given.
    pub(super) env: Vec<(OsString, OsString)>,
    /// `DATA_DIR`.
    pub(super) data_dir: PathBuf,
    started: Timestamp,
    progress: Arc<Progress>,
}

impl Tools {
    /// Those of an attempt.
    pub(super) fn new(
        attempt: &AttemptContext,
        around: Surroundings<'_>,
        given: &Given<'_>,
    ) -> Self {
        Self {
            job: attempt.job.clone(),
            run: attempt.run,
            no: attempt.no,
            handle: Handle::current(),
            stop: attempt.stop.clone(),
            clock: Arc::clone(&attempt.clock),
            output: attempt.output.clone(),
            setting: Arc::clone(&attempt.setting),
            keeper: around.access.shared_keeper(),
            network: Arc::clone(around.network),
            leaving: around.leaving.clone(),
            values: given.values().clone(),
            env: given.environment(),
            data_dir: around.data_dir.to_owned(),
            started: attempt.clock.now(),
            progress: Progress::begin(attempt.run),
        }
    }

    /// When the attempt began: the time of a snapshot.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// How far it is, for who looks.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits for something, unless the attempt is stopped before.
    pub(super) fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Trouble> {
        let mut stop = self.stop.clone();
        self.handle.block_on(async {
            tokio::select! {
                biased;
                _ = stop.pulled() => Err(Trouble::cancelled()),
                done = what => Ok(done),
            }
        })
    }

    /// Says whether to go on; to be asked every thousand rows or so.
    pub(super) fn go_on(&self) -> Result<(), Trouble> {
        match self.stop.reason() {
            Some(_) => Err(Trouble::cancelled()),
            None => Ok(()),
        }
    }

    /// Says whether what a program printed may count: where the daemon is going down, the program may have been
    /// told to end as well, and many end with exit code 0 in the middle of their data then.
    pub(super) fn trust_a_program(&self) -> Result<(), Trouble> {
        if self.leaving.has_begun() {
            return Err(Trouble::cut_short());
        }
        Ok(())
    }

    /// Writes a line into the attempt's output.
    pub(super) fn say(&self, line: &str) {
        let output = self.output.clone();
        let line = format!("{line}\n");
        self.handle.block_on(async move { output.append(line).await });
    }

    /// Fills in a text; `key` names it where that fails.
    pub(super) fn render(&self, key: &str, text: &str) -> Result<String, Trouble> {
        Self::render_with(key, text, &self.values)
    }

    /// The same with other values.
    pub(super) fn render_with(key: &str, text: &str, values: &Json) -> Result<String, Trouble> {
        template::render(text, values)
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| Trouble::config(format!("can't fill in `{key}`: {error}")))
    }

    /// A path of the job, filled in: relative to its working directory.
    pub(super) fn path(&self, key: &str, text: &str) -> Result<PathBuf, Trouble> {
        Ok(self.setting.working_dir.join(self.render(key, text)?))
    }

    /// The folder of what JADA keeps for this job's syncs: `DATA_DIR/sync/JOB`.
    pub(super) fn folder(&self) -> PathBuf {
        folder(&self.data_dir, &self.job)
    }
}

/// Where what belongs to a job's syncs is kept.
pub(super) fn folder(data_dir: &Path, job: &JobName) -> PathBuf {
    data_dir.join("sync").join(job.as_str())
}

#[cfg(test)]
pub(super) mod stand {
    //! Tools without a daemon around them.

    use tokio::sync::watch;

    use super::*;
    use crate::clock::SystemClock;
    use crate::kinds::StopReason;
    use crate::kinds::output::Outputs;

    /// Tools with a runtime and a folder of their own.
    pub(in crate::kinds::sync) struct Stand {
        pub(in crate::kinds::sync) tools: Tools,
        pub(in crate::kinds::sync) dir: tempfile::TempDir,
        pub(in crate::kinds::sync) pull: watch::Sender<Option<StopReason>>,
        /// What waits runs on it.
        _runtime: tokio::runtime::Runtime,
    }

    impl Stand {
        pub(in crate::kinds::sync) fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let dir = tempfile::tempdir().unwrap();
            let (pull, stop) = Stop::pair();
            let (run, no) = (RunId(7), 1);
            let setting = Setting { working_dir: dir.path().to_owned(), ..Setting::default() };
            let tools = Tools {
                job: JobName::parse("port-sheet").unwrap(),
                run,
                no,
                handle: runtime.handle().clone(),
                stop,
                clock: Arc::new(SystemClock),
                output: Outputs::at(dir.path()).open(run, no, None),
                setting: Arc::new(setting),
                keeper: None,
                network: Arc::default(),
                leaving: Leaving::default(),
                values: serde_json::json!({ "params": {} }),
                env: Vec::new(),
                data_dir: dir.path().join("data"),
                started: SystemClock.now(),
                progress: Progress::begin(run),
            };
            Self { tools, dir, pull, _runtime: runtime }
        }
    }
}
