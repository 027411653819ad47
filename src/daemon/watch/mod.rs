//! The watch over the watcher: who says that the daemon does its work, and to whom.
//!
//! Owns the beat that systemd hears. Refuses to know when nothing has moved for too long (`gate`).

mod gate;

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::systemd;
use crate::clock::Clock;
use crate::model::{Advance, Progress};
use gate::{Gate, Marks, Moment, Part};

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
