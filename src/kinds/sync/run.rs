//! The pipeline: from a read to one commit, or to a reason why there is none.
//!
//! Owns the order of the steps, and the thread that they run on: they are busy with rows, and must not hold
//! up what else the daemon does. Refuses to know any source or destination.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::desk::{Answer, Ask};
use super::spec::SyncSpec;
use super::tools::Tools;
use super::trouble::Trouble;
use crate::kinds::Work;
use crate::model::{Failure, FailureClass, Outcome};

/// Runs the pipeline of an attempt. The thread is gone when this returns.
pub(super) async fn on_a_thread(tools: Tools, work: Arc<Work>) -> Outcome {
    let (send, done) = oneshot::channel();
    let name = format!("sync {}", tools.job);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let Work::Sync(spec) = work.as_ref() else { return };
        let _nobody_waits = send.send(pipeline(spec, &tools));
    });
    if let Err(error) = thread {
        let message = format!("can't start a thread: {error}");
        return Outcome::Failed(Failure::new(FailureClass::Transient, message));
    }
    match done.await {
        Ok(Ok(note)) => Outcome::Succeeded { note },
        Ok(Err(trouble)) => Outcome::Failed(trouble.into()),
        Err(_) => {
            let message = "the sync panicked: this is a bug; nothing was committed";
            Outcome::Failed(Failure::new(FailureClass::Permanent, message))
        }
    }
}

/// Answers a question on a thread like it.
pub(super) async fn answer_on_a_thread(
    tools: Tools,
    work: Arc<Work>,
    ask: Ask,
) -> Result<Answer, Failure> {
    let answer = tools.handle.spawn_blocking(move || {
        let Work::Sync(_) = work.as_ref() else {
            return Err(Trouble::config("it is no sync"));
        };
        Err(Trouble::unbuilt(&format!("{ask:?}")))
    });
    match answer.await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::new(FailureClass::Permanent, "it panicked: this is a bug")),
    }
}

fn pipeline(_spec: &SyncSpec, _tools: &Tools) -> Result<String, Trouble> {
    Err(Trouble::unbuilt("sync"))
}
