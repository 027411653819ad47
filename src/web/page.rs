//! The status page.

use super::answers::App;
use super::api::Problem;

pub(super) async fn render(app: &App) -> Result<String, Problem> {
    Ok(format!("{:?}", app.status().await?))
}
