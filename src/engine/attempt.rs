//! One attempt, from its start to an outcome.
//!
//! Owns the timeout and the patience with a performer that does not stop. Refuses to know what becomes of
//! the outcome. A panic is left to the task that runs it: it touches nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::kinds::{AttemptContext, Perform, StopReason};
use crate::model::{Failure, FailureClass, Outcome};
use crate::plan::catch_up::words;

/// How long a performer may take beyond the job's own grace before somebody is told. It has to wait for
/// the kernel, so this is generous.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pulls the stop of an attempt.
pub(super) type Pull = Arc<watch::Sender<Option<StopReason>>>;

/// The limits of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
}

/// What has come of an attempt.
pub(super) enum Turn {
    /// It is over.
    Over(Outcome),
    /// It was told to stop and does not end. Nothing but its own end frees its place: what the kernel holds
    /// on to after KILL still runs, and a next attempt would run beside it.
    Stuck {
        /// How long it was waited for.
        waited: Duration,
        /// The rest of the wait.
        rest: Pin<Box<dyn Future<Output = Turn> + Send>>,
    },
}

/// Performs an attempt until it is over or stuck.
pub(super) async fn run(
    perform: Arc<dyn Perform>,
    context: AttemptContext,
    pull: Pull,
    bounds: Bounds,
) -> Turn {
    let clock = Arc::clone(&context.clock);
    let mut stop = context.stop.clone();
    let mut work = Box::pin(async move { perform.perform(context).await });
    let reason = tokio::select! {
        outcome = &mut work => return Turn::Over(finished(outcome, *pull.borrow(), bounds)),
        reason = stop.pulled() => reason,
        () = timed_out(clock.as_ref(), bounds.timeout) => {
            // Somebody may have pulled it in the same instant: the first reason stays.
            pull.send_if_modified(|reason| reason.replace(StopReason::TimedOut).is_none());
            StopReason::TimedOut
        }
    };
    let waited = bounds.grace + PATIENCE;
    tokio::select! {
        outcome = &mut work => Turn::Over(finished(outcome, Some(reason), bounds)),
        () = clock.sleep(waited) => Turn::Stuck {
            waited,
            rest: Box::pin(async move { Turn::Over(finished(work.await, Some(reason), bounds)) }),
        },
    }
}

/// What an attempt ended as, given why it was told to stop, if it was. It may have failed by itself in the
/// same instant: who cancelled it does not expect another attempt.
pub(super) fn heeded(outcome: Outcome, pulled: Option<StopReason>) -> Outcome {
    let cancelled = pulled == Some(StopReason::Cancelled);
    match outcome {
        Outcome::Failed(last) if cancelled && last.class != FailureClass::Cancelled => {
            let message = format!("cancelled; it ended with: {}", last.message);
            Outcome::Failed(Failure::new(FailureClass::Cancelled, message))
        }
        Outcome::Failed(_) | Outcome::Succeeded { .. } => outcome,
    }
}

async fn timed_out(clock: &dyn Clock, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => clock.sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// What an attempt ended as that was told to stop: the reason decides, since even an exit code of 0 after
/// TERM does not say that the work was done.
fn finished(outcome: Outcome, reason: Option<StopReason>, bounds: Bounds) -> Outcome {
    let Some(reason) = reason else { return outcome };
    let last = outcome.message();
    let last = if last.is_empty() { String::new() } else { format!("; it ended with: {last}") };
    let (class, message) = stopped(reason, bounds);
    Outcome::Failed(Failure::new(class, format!("{message}{last}")))
}

fn stopped(reason: StopReason, bounds: Bounds) -> (FailureClass, String) {
    match reason {
        StopReason::TimedOut => {
            let timeout = words(bounds.timeout.unwrap_or_default());
            (FailureClass::TimedOut, format!("timed out after {timeout}"))
        }
        StopReason::Cancelled => (FailureClass::Cancelled, "cancelled".to_owned()),
        StopReason::Shutdown => {
            (FailureClass::Lost, "the daemon was stopped before it ended".to_owned())
        }
    }
}
