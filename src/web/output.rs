//! What an attempt printed, as a stream.
//!
//! Owns when the stream ends: at the end of what is there or, where the reader follows, at the end of
//! the attempt or of the server. Refuses to know how output is kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::stream;

use super::answers::App;
use super::api::{OutputQuery, Problem, ProblemKind};
use crate::kinds::output::Reader;
use crate::model::{AttemptNo, RunId, RunState};

/// Between the store saying that an attempt runs and its output being open, and between its output
/// being closed and the store saying that it has ended, there is a moment without an event.
const MOMENT: Duration = Duration::from_millis(50);

/// The output of one attempt.
pub(super) async fn read(app: Arc<App>, run: RunId, query: OutputQuery) -> Result<Body, Problem> {
    let row = app.run_row(run).await?;
    let no = query.attempt.unwrap_or(row.run.attempts);
    if no == 0 || no > row.run.attempts {
        return Err(no_attempt(run, row.run.attempts, query.attempt));
    }
    let reader = app.outputs.reader(run, no);
    let tail = Tail { app, run, no, reader, follow: query.follow };
    let pieces = stream::unfold(tail, async |mut tail| {
        let piece = tail.piece().await.transpose()?;
        Some((piece, tail))
    });
    Ok(Body::from_stream(pieces))
}

fn no_attempt(run: RunId, made: AttemptNo, asked: Option<AttemptNo>) -> Problem {
    let message = match (made, asked) {
        (0, _) => format!("run {run} has printed nothing: no attempt has begun"),
        (_, asked) => format!("run {run} has no attempt {}", asked.unwrap_or(made)),
    };
    let hint = match made {
        0 => format!("jadactl explain {run} says why"),
        made => format!("its newest is attempt {made}"),
    };
    Problem { problem: ProblemKind::NotFound, message, hint }
}

struct Tail {
    app: Arc<App>,
    run: RunId,
    no: AttemptNo,
    reader: Reader,
    follow: bool,
}

impl Tail {
    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.follow {
            return self.reader.next().await;
        }
        let stop = self.app.stop.clone();
        tokio::select! {
            piece = self.followed() => piece,
            () = stop.cancelled() => Ok(None),
        }
    }

    async fn followed(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let seen = self.app.engine.view().changes;
            let running = self.is_running().await.map_err(io::Error::other)?;
            if let Some(piece) = self.reader.follow().await? {
                return Ok(Some(piece));
            }
            if !running {
                return Ok(None);
            }
            tokio::select! {
                () = self.app.engine.changed(seen) => {}
                () = self.app.clock.sleep(MOMENT) => {}
            }
            let offset = self.reader.offset();
            self.reader = self.app.outputs.reader(self.run, self.no);
            self.reader.seek(offset);
        }
    }

    /// Whether the store has this attempt as the one under way.
    async fn is_running(&self) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let row = self.app.run_row(self.run).await.map_err(|problem| problem.message)?;
        let running = matches!(row.run.state, RunState::Running { .. });
        Ok(running && row.run.attempts == self.no)
    }
}
