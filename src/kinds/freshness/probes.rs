//! The ways in which the age of data is told.
//!
//! Owns the looking: a file's time, one value of a query, one field of an answer. Refuses to judge an age.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value as Json;

use super::newest;
use crate::credentials::exchange::root;
use crate::credentials::keeper::Use;
use crate::kinds::given::Surroundings;
use crate::kinds::wire::{
    self, Answer, Caller, Connections, FILES, Lost, Means, NoLease, Request, refusal,
};
use crate::kinds::{AttemptContext, grant};
use crate::model::{Failure, FailureClass};
use crate::yaml::Located;

/// How long somebody else's lock of a database is waited for.
const LOCKED: Duration = Duration::from_secs(5);

fn failure(words: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Transient, words)
}

/// Looks at something on disk, which may keep a thread waiting.
async fn blocking(
    look: impl FnOnce() -> Result<Timestamp, String> + Send + 'static,
) -> Result<Timestamp, Failure> {
    wire::look(&FILES, look).await.map_err(failure)?.map_err(failure)
}

/// When a file was last written.
pub(super) async fn file(path: PathBuf) -> Result<Timestamp, Failure> {
    blocking(move || {
        let shown = path.display();
        let data = std::fs::metadata(&path).map_err(|error| format!("{shown}: {error}"))?;
        let at = data.modified().map_err(|error| format!("{shown}: {error}"))?;
        Timestamp::try_from(at).map_err(|error| format!("{shown}: {error}"))
    })
    .await
}

/// The time that a query of a SQLite file gives.
pub(super) async fn sqlite(path: PathBuf, query: String) -> Result<Timestamp, Failure> {
    blocking(move || {
        let shown = path.display();
        let told = |error: rusqlite::Error| format!("{shown}: {error}");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(told)?;
        connection.busy_timeout(LOCKED).map_err(told)?;
        let mut statement = connection.prepare(&query).map_err(told)?;
        let mut rows = statement.query([]).map_err(told)?;
        let Some(row) = rows.next().map_err(told)? else {
            return Err(format!("{shown}: the query gave no row"));
        };
        let text = match row.get_ref(0).map_err(told)? {
            ValueRef::Null => return Err(format!("{shown}: the query gave no time: null")),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(_) => return Err(format!("{shown}: the query gave bytes, and no time")),
        };
        newest::read(&text)
            .ok_or_else(|| format!("{shown}: the query gave `{text}`, which is no time"))
    })
    .await
}

/// A question to a server.
pub(super) struct Ask<'a> {
    pub(super) attempt: &'a AttemptContext,
    pub(super) around: Surroundings<'a>,
    pub(super) url: String,
}

impl Ask<'_> {
    /// The time in a field of the answer.
    pub(super) async fn newest(
        &self,
        path: &str,
        credential: Option<&Located<String>>,
    ) -> Result<Timestamp, Failure> {
        if let Some((message, help)) = wire::problem(&self.url) {
            return Err(Failure::new(FailureClass::Permanent, format!("{message}; {help}")));
        }
        let url = Url::parse(&self.url).expect("an address without problem is one");
        let host = url.host_str().unwrap_or_default().to_owned();
        let verb = reqwest::Method::GET;
        let request = Request { url, verb, headers: Vec::new(), body: None };
        let mut answer = match credential {
            None => wire::walk(&request, self.means(None)).await.map_err(lost)?,
            Some(name) => self.signed(&request, name).await?,
        };
        let status = answer.response.status();
        if !status.is_success() {
            let class = match status.as_u16() {
                401 | 403 => FailureClass::Unauthorized,
                429 => FailureClass::Throttled,
                _ => FailureClass::Transient,
            };
            return Err(Failure::new(class, format!("HTTP {} from {host}", status.as_u16())));
        }
        let body = answer.body().await;
        let body = body.map_err(|error| failure(format!("{host}: {}", root(&error))))?;
        field(body, path).map_err(|words| failure(format!("{host}: {words}")))
    }

    fn means<'a>(
        &'a self,
        lease: Option<(
            &'a crate::credentials::declare::Declaration,
            &'a crate::credentials::keeper::Lease,
        )>,
    ) -> Means<'a> {
        Means {
            clients: &self.around.network.clients,
            connections: Connections::Fresh,
            clock: self.attempt.clock.as_ref(),
            lease,
            total: None,
        }
    }

    /// Asks with a credential; where it is refused, it is refreshed once.
    async fn signed(&self, request: &Request, name: &str) -> Result<Answer, Failure> {
        let bindings = &self.attempt.setting.bindings;
        let binding = bindings.iter().find(|binding| *binding.name == *name);
        let (Some(binding), Some(keeper)) = (binding, self.around.access.keeper()) else {
            return Err(failure(format!("nobody here holds the credential `{name}`")));
        };
        let whom = Use { job: self.attempt.job.clone(), run: self.attempt.run };
        let caller = Caller { keeper, binding, whom };
        let now = self.attempt.clock.now();
        let none = |none: NoLease| match none {
            NoLease::Refused(refused) => grant::blocked(binding, refused, now),
            NoLease::Never(words) => Failure::new(FailureClass::Permanent, words),
        };
        let declared = caller.declared().map_err(none)?;
        let lease = caller.lease().await.map_err(none)?;
        let means = self.means(Some((&declared, &lease)));
        let mut answer = wire::walk(request, means).await.map_err(lost)?;
        let Some(evidence) = refusal(&mut answer).await else { return Ok(answer) };
        let newer = caller.instead(&lease, evidence, false).await.map_err(none)?;
        let means = self.means(Some((&declared, &newer)));
        let mut answer = wire::walk(request, means).await.map_err(lost)?;
        if let Some(evidence) = refusal(&mut answer).await {
            caller.instead(&newer, evidence, true).await.map_err(none)?;
        }
        Ok(answer)
    }
}

fn lost(lost: Lost) -> Failure {
    match lost {
        Lost::Unmade(words) => Failure::new(FailureClass::Permanent, words),
        Lost::Unanswered(words, _) => failure(words),
    }
}

/// The time in a field of a JSON text.
pub(super) fn field(body: &[u8], path: &str) -> Result<Timestamp, String> {
    let body: Json =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let dotted = || format!("/{}", path.replace('.', "/"));
    let pointer = if path.starts_with('/') { path.to_owned() } else { dotted() };
    let text = match body.pointer(&pointer) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(number)) => number.to_string(),
        Some(other) => return Err(format!("`{path}` is no time: {other}")),
        None => return Err(format!("there is no `{path}` in the body")),
    };
    newest::read(&text).ok_or_else(|| format!("`{path}` is no time: {text}"))
}
