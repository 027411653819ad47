//! The `health` kind: takes the pulse of hosts and services.
//!
//! ```text
//!  HealthSpec ─▶ each check, all at once ─▶ probe ─▶ Found ─▶ conditions ─▶ verdict ─┐
//!                                                              Outcome ◀─ report ◀────┘
//! ```
//!
//! Owns the order of a run: every check has its own time, one that hangs delays no other, and none is
//! left behind. What can't be looked at is unknown, never ok. Each check leaves one observation of a run: what
//! it looked at, how that is, and what is wrong. Refuses to know alerts.

mod age;
mod condition;
mod cpu;
mod credential;
mod disk;
mod dns;
mod fault;
mod file_age;
mod http;
mod kept;
mod lightsail;
mod load;
mod log;
mod look;
mod measure;
mod memory;
mod plugin;
mod probe;
mod processes;
mod recall;
mod remote;
mod report;
mod signed;
mod spec;
mod sql;
mod ssh;
mod subject;
mod syntax;
mod systemd;
mod tcp;
mod tls;
mod which;

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream;

pub(super) use kept::Kept;
pub use spec::{Check, HealthSpec};
pub use which::Probe;

use super::given::{Given, Surroundings};
use super::grant::{self, Access, Grants};
use super::process::Program;
use super::wire::Network;
use super::{AttemptContext, Stop, StopReason};
use crate::clock;
use crate::credentials::keeper::Refused;
use crate::model::{Binding, Failure, FailureClass, Fault, Observation, Outcome};
use probe::{Cause, Found};
use report::{Judged, Look};

/// Checks that run at the same time.
const ABREAST: usize = 32;

/// Performs an attempt to its end.
pub(super) async fn perform(
    spec: &HealthSpec,
    attempt: &AttemptContext,
    around: Surroundings<'_>,
) -> Outcome {
    // Only programs get files and variables; of requests, the daemon adds the header.
    let is_run = |check: &Check| matches!(check.probe, Probe::Command(_));
    let runs = spec.checks.iter().any(is_run);
    let bindings = if runs { attempt.setting.bindings.as_ref() } else { &[] };
    let grants = match Grants::take(around.access, bindings, attempt).await {
        Ok(grants) => grants,
        Err(failure) => return Outcome::Failed(failure),
    };
    let given = match Given::new(attempt, around, &grants, &[], std::iter::empty()) {
        Ok(given) => given,
        Err(failure) => return Outcome::Failed(failure),
    };
    let (access, dead) = (around.access, Mutex::new(None));
    let (network, kept, data_dir) = (around.network.as_ref(), around.pulse, around.data_dir);
    let round = Round { attempt, around, given, network, access, kept, data_dir, dead };
    let checks: Vec<_> = spec.checks.iter().map(|check| round.judge(check)).collect();
    let judged: Vec<Option<Judged>> = stream::iter(checks).buffered(ABREAST).collect().await;
    let total = judged.len();
    for (check, judged) in spec.checks.iter().zip(&judged) {
        round.leave(check, judged.as_ref());
    }
    let judged: Vec<Judged> = judged.into_iter().flatten().collect();
    attempt.output.append(report::lines(&judged)).await;
    match attempt.stop.reason() {
        Some(reason) if judged.len() < total => stopped(reason, judged.len(), total),
        _ => round.blamed(report::outcome(&judged)),
    }
}

fn stopped(reason: StopReason, done: usize, total: usize) -> Outcome {
    let class = match reason {
        StopReason::TimedOut => FailureClass::TimedOut,
        StopReason::Cancelled => FailureClass::Cancelled,
        StopReason::Shutdown => FailureClass::Lost,
    };
    Outcome::Failed(Failure::new(class, format!("{done} of {total} checks were done")))
}

/// One round of checks.
struct Round<'a> {
    attempt: &'a AttemptContext,
    around: Surroundings<'a>,
    given: Given<'a>,
    network: &'a Network,
    access: &'a Access,
    /// What checks remember.
    kept: &'a Kept,
    /// Where checks remember what they saw.
    data_dir: &'a Path,
    /// A credential that was refused, and can't be used for now.
    dead: Mutex<Option<Failure>>,
}

impl Round<'_> {
    /// Makes one check; `None` where it was stopped before it came to anything.
    async fn judge(&self, check: &Check) -> Option<Judged> {
        let clock = self.attempt.clock.as_ref();
        let start = clock.passed();
        let found = match &check.probe {
            Probe::Command(probe) => {
                let argv = self.given.argv(&probe.run);
                self.plugin(check, argv, &|_, _| None).await
            }
            Probe::Ssh(probe) => self.remote(check, probe).await,
            _ => self.probe(check).await,
        };
        let look = Look { at: clock.now(), took: clock.passed().saturating_sub(start) };
        found.map(|found| report::judge(check, found, look))
    }

    /// Leaves what was seen, if it came to anything.
    fn leave(&self, check: &Check, judged: Option<&Judged>) {
        let (Some(judged), attempt) = (judged, self.attempt) else { return };
        attempt.seen.push(Observation {
            check: self.itself(check),
            subject: self.subject(check, judged),
            at: judged.look.at,
            took: judged.look.took,
            verdict: judged.verdict,
            fault: judged.fault,
            text: attempt.output.hide(&judged.line()),
            run: Some(attempt.run),
        });
    }

    /// Everything but plugins can simply be let go of when its time is over.
    async fn probe(&self, check: &Check) -> Option<Found> {
        let mut stop = self.attempt.stop.clone();
        let look = clock::within(self.attempt.clock.as_ref(), check.timeout, self.look(check));
        tokio::select! {
            biased;
            found = look => Some(found.unwrap_or_else(|| too_slow(check))),
            _ = stop.pulled() => None,
        }
    }

    async fn look(&self, check: &Check) -> Found {
        let found = self.try_look(check).await;
        found.unwrap_or_else(|failure| {
            let cause = Cause { class: failure.class, ..Cause::of(Fault::Configuration) };
            Found::Unknown(failure.message, cause)
        })
    }

    /// Takes note of a credential that was refused.
    fn is_dead(&self, binding: &Binding, refused: Refused) {
        let failure = grant::blocked(binding, refused, self.attempt.clock.now());
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        *dead = Some(failure).filter(|dead| dead.blocked_by.is_some()).or(dead.take());
    }

    /// The outcome, which a dead credential blocks where nothing else is the matter.
    fn blamed(&self, outcome: Outcome) -> Outcome {
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, dead) {
            (Outcome::Failed(work), Some(dead)) if work.class == FailureClass::Unauthorized => {
                Outcome::Failed(grant::held_up(work, dead))
            }
            (other, _) => other,
        }
    }

    /// A plugin is over only when its processes are gone, whoever stops it.
    async fn plugin(
        &self,
        check: &Check,
        argv: Result<Vec<OsString>, Failure>,
        odd: &(dyn Fn(i32, &str) -> Option<Found> + Sync),
    ) -> Option<Found> {
        let (attempt, setting) = (self.attempt, &self.attempt.setting);
        let argv = match argv {
            Ok(argv) => argv,
            Err(failure) => return Some(Found::blind(failure.message, Fault::Configuration)),
        };
        let program = Program {
            argv,
            env: self.given.environment(),
            dir: &setting.working_dir,
            stdin: None,
            limits: setting.limits,
            grace: setting.grace,
        };
        let (pull, mut stop) = Stop::pair();
        let mut outer = attempt.stop.clone();
        let run = plugin::read(program, &attempt.output, &mut stop, attempt.clock.as_ref(), odd);
        let watch = async {
            let reason = tokio::select! {
                reason = outer.pulled() => reason,
                () = attempt.clock.sleep(check.timeout) => StopReason::TimedOut,
            };
            pull.send_replace(Some(reason));
            std::future::pending::<()>().await;
        };
        let found = tokio::select! {
            biased;
            found = run => found,
            () = watch => unreachable!("it waits for ever"),
        };
        let unfinished = matches!(found, Found::Unknown(..)) && attempt.stop.reason().is_some();
        (!unfinished).then_some(found)
    }
}

/// Who does not answer a request in time is down; whether a disk is full that does not answer, nobody
/// knows.
fn too_slow(check: &Check) -> Found {
    let time = measure::Measured::time(check.timeout).shown(None);
    match check.probe {
        Probe::Http(_) | Probe::Tcp(_) => {
            Found::down(format!("no answer within {time}"), Fault::NetTimeout)
        }
        Probe::Tls(_) => Found::down(format!("no handshake within {time}"), Fault::NetTimeout),
        Probe::Dns(_) => Found::down(format!("no answer within {time}"), Fault::NameTimeout),
        _ => Found::blind(format!("it could not be read within {time}"), Fault::TimedOut),
    }
}

#[cfg(test)]
mod tests;
