//! What an attempt printed, as a stream.

use std::sync::Arc;

use axum::body::Body;

use super::answers::App;
use super::api::{OutputQuery, Problem};
use crate::model::RunId;

pub(super) async fn read(app: Arc<App>, run: RunId, query: OutputQuery) -> Result<Body, Problem> {
    let row = app.run_row(run).await?;
    let attempt = query.attempt.unwrap_or(row.run.attempts);
    let folder = (run.0 / 1000).to_string();
    let path = app.output_dir.join(folder).join(format!("{run}-{attempt}.log"));
    Ok(Body::from(tokio::fs::read(path).await.unwrap_or_default()))
}
