//! What systemd is told, and how often it wants to hear.
//!
//! Owns the words of the notify protocol. Refuses to know whether the daemon deserves to go on: that is
//! `watch::gate`.

use std::time::Duration;

use sd_notify::NotifyState;

/// How often systemd wants to hear that the loops advance: half its patience.
pub(super) fn watchdog() -> Option<Duration> {
    let patience = sd_notify::watchdog_enabled()?;
    Some(patience / 2)
}

/// Says something; nobody may listen, and that is no trouble.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Says that `jobs.d` is being read again.
pub(super) fn reloading() {
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = i128::from(monotonic.tv_sec) * 1_000_000 + i128::from(monotonic.tv_nsec) / 1_000;
    tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
}
