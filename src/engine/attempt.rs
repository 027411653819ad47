//! One attempt, from its start to an outcome.
//!
//! Owns the timeout and the patience with a performer that does not stop. Refuses to know what becomes of
//! the outcome. A panic is left to the task that runs it: it touches nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::kinds::{AttemptContext, Perform, StopReason};
use crate::model::{Failure, FailureClass, Outcome};
use crate::plan::catch_up::words;

/// How long a performer may take beyond the job's own grace to end what it started. It has to wait for
/// the kernel, so this is generous; a performer that needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pulls the stop of an attempt.
pub(super) type Pull = Arc<watch::Sender<Option<StopReason>>>;

/// The limits of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
}

/// Performs an attempt to its end.
pub(super) async fn run(
    perform: Arc<dyn Perform>,
    context: AttemptContext,
    pull: Pull,
    bounds: Bounds,
) -> Outcome {
    let clock = Arc::clone(&context.clock);
    let mut stop = context.stop.clone();
    let mut work = perform.perform(context);
    let reason = tokio::select! {
        outcome = &mut work => return finished(outcome, *pull.borrow(), bounds),
        reason = stop.pulled() => reason,
        () = timed_out(clock.as_ref(), bounds.timeout) => {
            // Somebody may have pulled it in the same instant: the first reason stays.
            pull.send_if_modified(|reason| reason.replace(StopReason::TimedOut).is_none());
            StopReason::TimedOut
        }
    };
    tokio::select! {
        outcome = &mut work => finished(outcome, Some(reason), bounds),
        () = clock.sleep(bounds.grace + PATIENCE) => hung(reason, bounds),
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

fn hung(reason: StopReason, bounds: Bounds) -> Outcome {
    let (class, message) = stopped(reason, bounds);
    let waited = words(bounds.grace + PATIENCE);
    let message = format!("{message}; it did not end within {waited} and was given up");
    Outcome::Failed(Failure::new(class, message))
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
