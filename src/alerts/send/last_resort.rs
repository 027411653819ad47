//! When no notifier can be reached: a file in the data folder, the log, and a program where one is named.
//!
//! Owns all three. Refuses to give up the others where one of them fails.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{Failure, Ways, command};
use crate::alerts::message::Message;

/// The file's name in the data folder: a message a line, as JSON.
pub(super) const FILE: &str = "undelivered.jsonl";

/// A file that has grown so long is begun again; the one before stays as `undelivered.jsonl.1`.
const BYTES_MAX: u64 = 1024 * 1024;

/// Tells whoever looks.
pub(super) async fn tell(ways: &Ways, message: &Message) -> Result<String, Failure> {
    tracing::error!(
        event = message.event.word(),
        "no notifier can be reached: {}",
        message.subject
    );
    let (path, line) = (ways.data.join(FILE), message.body.to_string());
    let writing = tokio::task::spawn_blocking(move || append(&path, &line));
    let written = writing.await.unwrap_or_else(|_| Err("the writer broke off".to_owned()));
    let Some(program) = &ways.alerts.last_resort else {
        return written.map(|()| format!("it stands in {FILE}")).map_err(Failure::line);
    };
    command::tell(ways, program, message).await
}

fn append(path: &Path, line: &str) -> Result<(), String> {
    let words = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.metadata().is_ok_and(|found| found.len() > BYTES_MAX) {
        std::fs::rename(path, path.with_extension("jsonl.1")).map_err(words)?;
    }
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = file.map_err(words)?;
    file.write_all(format!("{line}\n").as_bytes()).map_err(words)?;
    file.sync_all().map_err(words)
}
