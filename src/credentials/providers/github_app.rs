//! A GitHub App, through one of its installations.
//!
//! Owns the statement that the app's key signs, and what the token is narrowed to. A token is good for an
//! hour, and a new one can be got at any time.

use jiff::SignedDuration;
use oauth2::http::{Method, Request, header};
use serde_json::json;

use super::client::send;
use super::{World, assertion, place};
use crate::credentials::declare::GithubApp;
use crate::credentials::evidence::{Evidence, of_installation};
use crate::credentials::mint::Minted;

/// GitHub's advice against clocks that differ.
const EARLIER: SignedDuration = SignedDuration::from_secs(60);

/// With the minute before, the ten that GitHub takes at most.
const LATER: SignedDuration = SignedDuration::from_secs(9 * 60);

/// Signs a statement, and trades it for a token of the installation.
pub(super) async fn mint(app: &GithubApp, world: &World) -> Result<Minted, Evidence> {
    let now = world.clock.now();
    let at = |moment: Result<jiff::Timestamp, _>| moment.unwrap_or(now).as_second();
    let claims = json!({
        "iss": app.app_id.to_string(),
        "iat": at(now.checked_sub(EARLIER)),
        "exp": at(now.checked_add(LATER)),
    });
    let key = place::read(&app.key, world).await?;
    let statement = assertion::sign(&claims, None, &key, &format!("app {}", app.app_id))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/app/installations/{}/access_tokens", app.api_url, app.installation_id))
        .header(header::ACCEPT, "application/vnd.github+json")
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-github-api-version", "2022-11-28")
        .header(header::AUTHORIZATION, format!("Bearer {}", statement.expose()))
        .body(narrowed(app).into_bytes());
    of_installation(&send(request, world).await)
}

/// What the token is asked to be good for.
fn narrowed(app: &GithubApp) -> String {
    let mut wanted = json!({});
    if !app.repositories.is_empty() {
        // The installation knows its owner, and takes names alone.
        let names = app.repositories.iter().map(|name| name.rsplit('/').next().unwrap_or(name));
        wanted["repositories"] = names.collect::<Vec<_>>().into();
    }
    if !app.permissions.is_empty() {
        wanted["permissions"] = json!(app.permissions);
    }
    wanted.to_string()
}
