//! The `sync` kind: moves data from a source to a destination, whole or not at all.
//!
//! ```text
//!  source ──cells──▶ intake (map, bad rows) ──rows──▶ stage ──┐
//!                                                             ▼
//!  destination ◀── ONE commit: rows + ledger ◀── guards ◀── diff ◀── what the destination holds
//!                                                  │ trips
//!                                                  └──▶ held: nothing touched, the stage kept
//! ```
//!
//! Owns the section and the pipeline, which runs on a thread of its own. Refuses to know schedules, retries
//! and who is told: it answers with an outcome whose first word is the result.

mod already;
mod answer;
mod check;
mod columns;
mod dedupe;
pub mod desk;
mod destination;
mod diff;
mod folder;
mod guards;
mod held;
mod intake;
mod layout;
mod ledger;
mod locked;
mod map;
pub(in crate::kinds) mod one_value;
mod postgres_link;
#[cfg(test)]
#[path = "../../../tests/real/postgres.rs"]
pub(in crate::kinds) mod postgres_server;
pub mod progress;
mod run;
mod sheets;
mod source;
mod spec;
mod sql_text;
mod sqlite_link;
mod stage;
mod state;
mod steps;
#[cfg(test)]
mod testing;
mod tools;
mod trouble;
mod value;
mod wire;
mod written;

pub(super) use check::check;
pub use spec::SyncSpec;

use super::AttemptContext;
use super::given::Given;
use super::given::Surroundings;
use super::grant::Grants;
use crate::model::{Failure, Outcome};

/// Answers a question about a sync; the attempt says whose, with what, and how it is stopped.
pub(super) async fn ask(
    attempt: &mut AttemptContext,
    around: Surroundings<'_>,
    ask: desk::Ask,
) -> Result<desk::Answer, Failure> {
    let setting = attempt.setting.clone();
    let grants = Grants::take(around.access, &setting.bindings, attempt).await?;
    let given = Given::new(attempt, around, &grants, &[], std::iter::empty())?;
    let tools = tools::Tools::new(attempt, around, &given);
    run::answer_on_a_thread(tools, attempt.work.clone(), ask).await
}

/// Performs an attempt to its end.
pub(super) async fn perform(attempt: &mut AttemptContext, around: Surroundings<'_>) -> Outcome {
    let setting = attempt.setting.clone();
    // Programs of the job get what they are bound to; what the pipeline itself asks with it gets by itself.
    let grants = match Grants::take(around.access, &setting.bindings, attempt).await {
        Ok(grants) => grants,
        Err(failure) => return Outcome::Failed(failure),
    };
    let given = match Given::new(attempt, around, &grants, &[], std::iter::empty()) {
        Ok(given) => given,
        Err(failure) => return Outcome::Failed(failure),
    };
    let tools = tools::Tools::new(attempt, around, &given);
    tokio::select! {
        outcome = run::on_a_thread(tools, attempt.work.clone()) => outcome,
        never = grants.follow() => never,
    }
}
