//! The heartbeat: somebody outside is told, again and again, that the daemon does its work.
//!
//! Owns when nothing is said: silence is the message then. Refuses to know how it gets there
//! (`kinds::post`), and what is found out about the daemon (`checks`).

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::checks::{self, Finding};
use super::gate::{Gate, Marks, Moment};
use crate::kinds::post::{NotTaken, Post};
use crate::model::Fault;

/// The shortest time after which a message that does not get out keeps the heartbeat away.
const UNTOLD_MAX: Duration = Duration::from_mins(15);

/// What is said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Who says it.
    pub(super) node: String,
    pub(super) version: &'static str,
    pub(super) at: Timestamp,
    pub(super) started_at: Timestamp,
    /// Open incidents.
    pub(super) open_incidents: u64,
    /// Checks that nobody looks at.
    pub(super) late_checks: u64,
    /// Messages that are to go out and did not yet.
    pub(super) undelivered: u64,
    /// The age of the oldest of them.
    pub(super) oldest_undelivered_seconds: u64,
}

/// Beats at one address.
pub(super) struct Heart {
    post: Post,
    every: Duration,
    /// When to beat next, as the clock counts what has passed.
    pub(super) at: Duration,
    gate: Gate,
    failed: u32,
    why: Option<NotTaken>,
    silent: bool,
}

impl Heart {
    pub(super) fn new(post: Post, every: Duration) -> Self {
        let (at, gate) = (Duration::ZERO, Gate::default());
        Self { post, every, at, gate, failed: 0, why: None, silent: false }
    }

    /// Beats, or keeps silent, and says how it went.
    pub(super) async fn beat(
        &mut self,
        marks: &Marks,
        now: Moment,
        (trouble, figures): (Option<&str>, &Figures),
    ) -> Finding {
        self.at = now.passed + self.every;
        let stuck = self.gate.stuck(marks, now).map(|part| format!("{part} does not advance"));
        let untold = Duration::from_secs(figures.oldest_undelivered_seconds);
        let reason = stuck
            .or_else(|| trouble.map(|why| format!("the store fails: {why}")))
            .or_else(|| is_untold(untold, self.every).then(|| "nobody can be told".to_owned()));
        if let Some(reason) = reason {
            if !std::mem::replace(&mut self.silent, true) {
                tracing::error!("no heartbeat: {reason}");
            }
            return self.found();
        }
        self.silent = false;
        let body = serde_json::to_vec(figures).unwrap_or_default();
        match self.post.say(body).await {
            Ok(()) => (self.failed, self.why) = (0, None),
            Err(why) => {
                tracing::warn!("the heartbeat was not taken: {why}");
                (self.failed, self.why) = (self.failed + 1, Some(why));
            }
        }
        self.found()
    }

    fn found(&self) -> Finding {
        let (fault, words) = match &self.why {
            Some(why) => (why.fault, why.words.as_str()),
            None => (Fault::Unknown, ""),
        };
        checks::heartbeat(self.failed, fault, words)
    }
}

/// Whether a message has waited for so long that nobody can be said to be told. Three beats at least go by
/// first, since notifiers are tried again too.
fn is_untold(oldest: Duration, every: Duration) -> bool {
    oldest > UNTOLD_MAX.max(every * 3)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::credentials::folder::Folder;
    use crate::credentials::keeper::Keeper;
    use crate::credentials::providers::World;
    use crate::model::{Advance, Progress, Verdict};

    fn figures(oldest: u64) -> Figures {
        Figures {
            node: "here".into(),
            version: "1",
            at: Timestamp::UNIX_EPOCH,
            started_at: Timestamp::UNIX_EPOCH,
            open_incidents: 0,
            late_checks: 0,
            undelivered: u64::from(oldest > 0),
            oldest_undelivered_seconds: oldest,
        }
    }

    /// A heart that beats at a port where nobody takes anything.
    async fn heart(url: &str) -> Heart {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let dir = tempfile::tempdir().unwrap();
        let (folder, world) = (Folder::at(dir.path()), World::new(Arc::clone(&clock)));
        let declared = Arc::default();
        let redactor = Arc::default();
        let keeper = Keeper::open(&declared, folder, Arc::new(world), redactor).await;
        Heart::new(Post::to(url, None, keeper, clock).unwrap(), Duration::from_secs(60))
    }

    #[tokio::test]
    async fn silence_is_the_message() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let well = Marks { advance: Advance::NONE, outbox: Progress::Waiting { until: None } };
        let stuck = Marks { outbox: Progress::Over, ..well };
        let now =
            |seconds| Moment { wall: Timestamp::UNIX_EPOCH, passed: Duration::from_secs(seconds) };
        let mut heart = heart(&url).await;
        for (marks, trouble, oldest) in
            [(&stuck, None, 0), (&well, Some("disk full"), 0), (&well, None, 3600)]
        {
            let found = heart.beat(marks, now(1), (trouble, &figures(oldest))).await;
            assert_eq!(found.verdict(), Verdict::Ok, "a silent heart has not failed");
            assert!(listener.accept().is_err(), "nothing was sent");
            assert_eq!(heart.at, Duration::from_secs(61));
        }
        // Nobody listens any more: after three beats that is told here.
        drop(listener);
        let mut verdicts = Vec::new();
        for _ in 0..3 {
            verdicts.push(heart.beat(&well, now(1), (None, &figures(0))).await.verdict());
        }
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warn]);
    }

    #[test]
    fn a_message_that_does_not_get_out_keeps_it_away() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let cases = [
            (Duration::ZERO, minute, false),
            (15 * minute, minute, false),
            (16 * minute, minute, true),
            (16 * minute, hour, false),
            (4 * hour, hour, true),
        ];
        for (oldest, every, want) in cases {
            assert_eq!(is_untold(oldest, every), want, "{oldest:?} {every:?}");
        }
    }
}
