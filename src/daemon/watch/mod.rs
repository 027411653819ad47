//! The watch over the watcher: who says that the daemon does its work, and to whom.
//!
//! Owns the beat that systemd hears. Refuses to know when nothing has moved for too long (`gate`), and what
//! the daemon finds when it looks at itself (`own`).

mod checks;
mod gate;
mod heartbeat;
mod looks;
mod own;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::systemd;
use crate::clock::Clock;
use crate::engine::Handle;
use crate::kinds::post::Post;
use crate::model::{Advance, Progress};
use crate::store::Store;
use gate::{Gate, Marks, Moment, Part};
use own::Own;

/// What the watch stands on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    /// Durable truth.
    pub(super) store: &'a Arc<dyn Store>,
    /// Time.
    pub(super) clock: &'a Arc<dyn Clock>,
    /// The scheduler.
    pub(super) engine: &'a Handle,
    /// The data folder.
    pub(super) data_dir: &'a Path,
    /// Who is told of what belongs to no job.
    pub(super) notify: &'a [Arc<str>],
}

/// The beat that systemd hears, and the looks of the daemon at itself.
pub(super) fn start(
    ground: Ground<'_>,
    delivering: watch::Receiver<Progress>,
    heart: Option<(Post, Duration)>,
    node: String,
) -> (Beat, Own) {
    let (advance, advanced) = watch::channel(Advance::NONE);
    let own = Own::new(own::Parts {
        store: Arc::clone(ground.store),
        clock: Arc::clone(ground.clock),
        engine: ground.engine.clone(),
        advance: advanced,
        data_dir: ground.data_dir.to_owned(),
        notify: ground.notify.to_vec(),
        awake: Arc::new(own::since_boot),
        delivering: delivering.clone(),
        heart,
        node,
    });
    (Beat::new(advance, delivering, Arc::clone(ground.clock)), own)
}

/// What tells systemd that the loops advance, where it wants to hear it.
pub(super) struct Beat {
    /// How often, at least; `None` where systemd does not listen.
    pub(super) every: Option<Duration>,
    /// Where the scheduler's loop is shown to others.
    advance: watch::Sender<Advance>,
    /// How far the outbox is.
    delivering: watch::Receiver<Progress>,
    clock: Arc<dyn Clock>,
    gate: Gate,
}

impl Beat {
    /// A beat that looks at both loops.
    pub(super) fn new(
        advance: watch::Sender<Advance>,
        delivering: watch::Receiver<Progress>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { every: systemd::watchdog(), advance, delivering, clock, gate: Gate::default() }
    }

    /// Shows how far the scheduler's loop is, and tells systemd where all of them advance. One that does not
    /// is not told: systemd's patience then ends, and it starts the daemon anew.
    pub(super) fn beat(&mut self, advance: Advance) {
        self.advance.send_if_modified(|shown| {
            let other = *shown != advance;
            *shown = advance;
            other
        });
        if self.every.is_none() || matches!(advance.dispatch, Progress::Working { .. }) {
            return;
        }
        match self.stuck(advance) {
            None => systemd::tell(&[NotifyState::Watchdog]),
            Some(part) => tracing::error!(
                "{part} does not advance: systemd is not told that all is well, and will start this anew"
            ),
        }
    }

    fn stuck(&mut self, advance: Advance) -> Option<Part> {
        let marks = Marks { advance, outbox: progress(&self.delivering) };
        let now = Moment { wall: self.clock.now(), passed: self.clock.passed() };
        self.gate.stuck(&marks, now)
    }
}

/// How far a loop is; one whose task has ended, or panicked, holds its end no longer.
pub(super) fn progress(shown: &watch::Receiver<Progress>) -> Progress {
    if shown.has_changed().is_err() { Progress::Over } else { *shown.borrow() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn the_end_of_a_task_is_seen_although_its_last_word_was_good() {
        let clock = SimClock::at("2026-11-25T09:00:00Z".parse().unwrap());
        let (advance, _shown) = watch::channel(Advance::NONE);
        let (deliverer, delivering) = watch::channel(Progress::Waiting { until: None });
        let mut beat = Beat::new(advance, delivering, Arc::new(clock.clone()));
        assert_eq!(beat.stuck(Advance::NONE), None);
        deliverer.send_replace(Progress::Working { since: clock.passed() });
        clock.advance(Duration::from_secs(119));
        assert_eq!(beat.stuck(Advance::NONE), None);
        clock.advance(Duration::from_secs(2));
        assert_eq!(beat.stuck(Advance::NONE), Some(Part::Outbox));
        deliverer.send_replace(Progress::Waiting { until: None });
        assert_eq!(beat.stuck(Advance::NONE), None);
        drop(deliverer);
        assert_eq!(beat.stuck(Advance::NONE), Some(Part::Outbox));
    }
}
