//! The only reader of time.
//!
//! Owns wall-clock instants, waits and the simulated twin of both. Refuses to know what is waited for.
//! `clippy.toml` bans the direct reads everywhere else, so that a test can own time whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::oneshot;

/// Reads and waits for time.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Time passed since some fixed moment, whatever happens to the wall clock: for measuring how long
    /// something takes.
    fn passed(&self) -> Duration;

    /// Waits until the wall clock reads `at`, or returns early when the wall clock was stepped
    /// (set by hand or NTP, resume from suspend). The caller looks at [`Clock::now`] again: an early
    /// return is harmless.
    async fn sleep_until(&self, at: Timestamp);

    /// Waits for `time` to pass, whatever happens to the wall clock meanwhile.
    async fn sleep(&self, time: Duration);
}

/// Works for at most `time`; `None` when that was not enough, and the work is dropped.
pub async fn within<T>(
    clock: &dyn Clock,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(time) => None,
    }
}

/// Cuts a timestamp to milliseconds, the resolution of the store.
#[must_use]
pub fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Real time.
#[derive(Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of real time")]
    fn now(&self) -> Timestamp {
        to_millis(Timestamp::now())
    }

    fn passed(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::try_from(now).unwrap_or_default()
    }

    async fn sleep_until(&self, at: Timestamp) {
        match wall::Timer::armed(at) {
            Ok(timer) => timer.expired().await,
            // Without timerfd (no file descriptors left), wait in short legs so that a stepped clock
            // is still noticed.
            Err(_) => {
                let left = at.duration_since(self.now()).unsigned_abs();
                self.sleep(left.min(Duration::from_secs(1))).await;
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one reader of real time")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A wait on CLOCK_REALTIME. Tokio's own timers count CLOCK_MONOTONIC, which stands still in suspend
/// and does not see the clock being set; a capped sleep would see it at the price of a periodic tick.
mod wall {
    use std::io;
    use std::os::fd::OwnedFd;

    use jiff::Timestamp;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        #[expect(
            deprecated,
            reason = "its safe successor needs unsafe; an OwnedFd keeps the promise"
        )]
        pub(super) fn armed(at: Timestamp) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Realtime, flags)?;
            let value = Timespec {
                // An all-zero value would disarm the timer instead of firing at once.
                tv_sec: at.as_second().max(1),
                tv_nsec: at.subsec_nanosecond().max(0).into(),
            };
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            timerfd_settime(&fd, flags, &Itimerspec { it_interval: zero, it_value: value })?;
            Ok(Self(AsyncFd::new(fd)?))
        }

        /// Ready on expiry and, through CANCEL_ON_SET, when the clock is set; both end the wait.
        pub(super) async fn expired(self) {
            let _ready = self.0.readable().await;
        }
    }
}

/// Simulated time: stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct SimClock(Arc<Mutex<Sim>>);

#[derive(Debug)]
struct Sim {
    now: Timestamp,
    /// Time passed regardless of steps of the wall clock.
    passed: Duration,
    wall: BTreeMap<Timestamp, Vec<oneshot::Sender<()>>>,
    monotonic: BTreeMap<Duration, Vec<oneshot::Sender<()>>>,
}

impl SimClock {
    /// A clock that reads `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let sim =
            Sim { now, passed: Duration::ZERO, wall: BTreeMap::new(), monotonic: BTreeMap::new() };
        Self(Arc::new(Mutex::new(sim)))
    }

    /// Lets time pass, and ends every wait that is over by then.
    pub fn advance(&self, by: Duration) {
        let mut sim = self.lock();
        sim.now += by;
        sim.passed += by;
        sim.wake();
    }

    /// Sets the wall clock, forwards or back, without time passing. Every wait for a wall-clock time
    /// returns, as on a real machine.
    pub fn step_to(&self, now: Timestamp) {
        let mut sim = self.lock();
        sim.now = now;
        sim.wall.clear();
        sim.wake();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sim {
    /// Dropping a sender ends its wait.
    fn wake(&mut self) {
        let (now, passed) = (self.now, self.passed);
        self.wall.retain(|at, _| *at > now);
        self.monotonic.retain(|at, _| *at > passed);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn passed(&self) -> Duration {
        self.lock().passed
    }

    async fn sleep_until(&self, at: Timestamp) {
        let wait = {
            let mut sim = self.lock();
            if sim.now >= at {
                return;
            }
            let (end, wait) = oneshot::channel();
            sim.wall.entry(at).or_default().push(end);
            wait
        };
        let _ended = wait.await;
    }

    async fn sleep(&self, time: Duration) {
        let wait = {
            let mut sim = self.lock();
            let at = sim.passed + time;
            if time.is_zero() {
                return;
            }
            let (end, wait) = oneshot::channel();
            sim.monotonic.entry(at).or_default().push(end);
            wait
        };
        let _ended = wait.await;
    }
}
