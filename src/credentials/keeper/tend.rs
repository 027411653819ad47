//! The keeper's loop.
//!
//! Owns when it wakes: at the next deadline, when something here changed, and when a file did. Refuses to
//! decide what is due (`due`): it looks at all of it anew each time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::due::Duty;
use super::watch::Watch;
use crate::clock::within;
use crate::credentials::lifecycle::Event;
use crate::credentials::refresh::Why;
use crate::model::{CredentialName, CredentialState as State};

/// Time between looks while the system can't tell of changes.
const UNTOLD: Duration = Duration::from_secs(10);

/// Time that exchanges under way have to end once the daemon is told to stop: what one brought must be
/// written.
const DRAIN: Duration = Duration::from_secs(35);

impl Inner {
    pub(super) async fn tend(self: Arc<Self>, shutdown: CancellationToken) {
        if self.ones.is_empty() {
            return;
        }
        let heard = Arc::new(Notify::new());
        let files: BTreeSet<PathBuf> =
            self.ones.values().flat_map(|one| one.nature.sources.iter().cloned()).collect();
        let mut watch = Watch::on(self.folder.path(), &files, Arc::clone(&heard));
        loop {
            self.look().await;
            if watch.is_lost(self.folder.path()) {
                watch = Watch::on(self.folder.path(), &files, Arc::clone(&heard));
            }
            let next = self.start_due();
            let deadline = async {
                match next {
                    Some(at) => self.world.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {}
                () = heard.notified() => {
                    // A folder may have come, gone or come back: the watch on it is made anew.
                    watch = Watch::on(self.folder.path(), &files, Arc::clone(&heard));
                }
                () = self.world.clock.sleep(UNTOLD), if watch.is_deaf() => {}
                () = deadline => {}
            }
        }
        self.flights.close();
        if within(&*self.world.clock, DRAIN, self.flights.wait()).await.is_none() {
            tracing::error!("an exchange is under way, or its grant is not written, at the stop");
        }
    }

    /// Looks at every file that looks different.
    async fn look(self: &Arc<Self>) {
        for (name, one) in &self.ones {
            self.look_at_record(one);
            if self.look_at_sources(one).await {
                self.flights.spawn(Arc::clone(self).source_changed(name.clone()));
            }
        }
        self.publish();
    }

    /// A credential that had failed is tried again, and one that is its file is read again.
    pub(super) async fn source_changed(self: Arc<Self>, name: CredentialName) {
        let one = &self.ones[&name];
        if self.report(one, &Event::SourceChanged, false).await.is_err() || one.nature.keeps_token {
            return;
        }
        let standing = one.standing();
        if matches!(standing.state, State::Healthy | State::Expiring) {
            let why = Why::Newer { than: standing.generation };
            let _told = Arc::clone(&self).fly(name.clone(), why).await.is_ok();
        }
    }

    /// Starts what is due, and says when the next thing is.
    fn start_due(self: &Arc<Self>) -> Option<Timestamp> {
        let now = self.world.clock.now();
        let mut next: Option<Timestamp> = None;
        for (name, one) in &self.ones {
            match one.due(now) {
                Some((at, duty)) if at <= now => {
                    one.live().busy = true;
                    self.flights.spawn(Arc::clone(self).perform(name.clone(), duty));
                }
                Some((at, _)) => next = Some(next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        next
    }

    async fn perform(self: Arc<Self>, name: CredentialName, duty: Duty) {
        let ended = match duty {
            Duty::Refresh(why) => Arc::clone(&self).fly(name.clone(), why).await.map(drop),
            Duty::Look => self.report(&self.ones[&name], &Event::TimePassed, false).await.map(drop),
        };
        if let Err(failed) = ended {
            let state = failed.standing.state.word();
            let words = failed.evidence.map(|evidence| evidence.words).unwrap_or_default();
            tracing::warn!(credential = %name, state, "{words}");
        }
        self.ones[&name].live().busy = false;
        self.wake.notify_one();
    }
}
