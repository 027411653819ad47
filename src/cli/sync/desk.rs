//! What the verbs of `jadactl sync` work with.
//!
//! Owns the way from a name to a sync job, and the attempt as which a question is asked. Refuses to print
//! answers.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::{Error, Exit, Result};
use crate::cli::{Session, print};
use crate::clock::{Clock, SystemClock};
use crate::credentials::folder::Folder;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::kinds::output::Outputs;
use crate::kinds::sync::desk::{Answer, Ask};
use crate::kinds::{AttemptContext, Kinds, Stop, StopReason, Work};
use crate::model::{Cause, Failure, JobName, NodeId, RunId};
use crate::spec::Job;
use crate::yaml::decode::nearest;

/// No run of the daemon's has this number.
const NO_RUN: RunId = RunId(0);

/// The sync job of that name.
pub(super) fn job(session: &mut Session, text: &str) -> Result<Arc<Job>> {
    let (catalog, _) = session.catalog()?;
    let name = JobName::parse(text).ok();
    let Some(job) = name.and_then(|name| catalog.jobs.get(&name)) else {
        let error = Error::new(Exit::Refused, format!("there is no job '{text}'"));
        let known = catalog.jobs.keys().map(JobName::as_str);
        return Err(error.hint(match nearest(text, known) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "jadactl validate tells what is wrong with the job files".to_owned(),
        }));
    };
    match job.work.as_ref() {
        Work::Sync(_) => Ok(Arc::clone(job)),
        other => {
            let message = format!("{text} is of the kind `{}`, and no sync", other.kind());
            Err(Error::new(Exit::Refused, message))
        }
    }
}

/// Asks about a job. What the sync says meanwhile is told as notes.
pub(super) async fn ask(session: &mut Session, job: &Job, ask: Ask) -> Result<Answer> {
    let settings = session.config()?.settings;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let said = Said::new()?;
    let outputs = Outputs::at(&said.0);
    let (folder, world) = (Folder::at(&settings.data_dir), World::new(Arc::clone(&clock)));
    let redactor = outputs.redactor();
    let keeper = Keeper::open(&settings.credentials, folder, Arc::new(world), redactor).await;
    let kinds = Kinds::new(&settings.data_dir, Some(keeper));
    let (pull, stop) = Stop::pair();
    let attempt = AttemptContext {
        run: NO_RUN,
        job: job.name.clone(),
        no: 1,
        node: NodeId(0),
        cause: Cause::Manual(clock.now()),
        started_at: clock.now(),
        work: Arc::clone(&job.work),
        setting: Arc::clone(&job.setting),
        output: outputs.open(NO_RUN, 1, None),
        facts: crate::kinds::facts::Facts::default(),
        seen: crate::kinds::Seen::default(),
        stop,
        clock,
    };
    let mut asked = std::pin::pin!(kinds.ask_sync(attempt, ask));
    let answer = tokio::select! {
        answer = &mut asked => answer,
        _ = tokio::signal::ctrl_c() => {
            // What it has locked is let go in good order.
            pull.send_replace(Some(StopReason::Cancelled));
            asked.await
        }
    };
    let said = std::fs::read_to_string(outputs.path(NO_RUN, 1)).unwrap_or_default();
    if !said.is_empty() {
        print::note(said.trim_end());
    }
    answer.map_err(|failure| told(&failure))
}

/// A failure as a command ends with it.
fn told(failure: &Failure) -> Error {
    let (message, fix) = match failure.message.split_once("; fix: ") {
        Some((message, fix)) => (message, Some(fix.to_owned())),
        None => (failure.message.as_str(), failure.mend.clone()),
    };
    Error::new(Exit::BadNews, message).hint(fix.unwrap_or_default())
}

/// An answer to another question: a bug, told as such.
pub(super) fn odd(answer: &Answer) -> Error {
    Error::new(Exit::BadNews, format!("this is no answer to the question: {answer:?}"))
}

/// The folder of what is said, gone with it.
struct Said(PathBuf);

impl Said {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("jadactl-sync-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        // What is left in a folder for what is temporary does no harm.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}
