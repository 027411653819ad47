//! Why a job or run does what it does, in sentences.

use super::answers::{App, next_slot};
use super::api::{Explanation, Problem};
use crate::model::RunId;

pub(super) async fn job(app: &App, name: &str) -> Result<Explanation, Problem> {
    let job = app.known(name)?;
    let next = app.job_states().await?.get(&job.name).and_then(|state| next_slot(&job, state));
    let sentences = next.map(|slot| format!("The next slot is {slot}.")).into_iter().collect();
    Ok(Explanation { subject: format!("job {}", job.name), sentences, commands: vec![] })
}

pub(super) async fn run(app: &App, run: RunId) -> Result<Explanation, Problem> {
    let row = app.run_row(run).await?;
    let subject = format!("run {run} of {}", row.job);
    Ok(Explanation { subject, sentences: vec![], commands: vec![] })
}
