//! What a job promises: when it may start, how often it is tried, how it is watched.
//!
//! Owns the policies as data and their defaults. Refuses to decide by them: that is `plan/`.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::incident::Severity;
use super::run::FailureClass;

/// Everything about a job that the planner looks at, besides its schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What happens to slots that passed while nobody looked.
    pub catch_up: CatchUp,
    /// What happens to a slot that is due while a run of the job is still live.
    pub overlap: Overlap,
    /// Latest start after the nominal time; later, the slot has expired.
    pub deadline: Option<Duration>,
    /// Longest time of one attempt.
    pub timeout: Option<Duration>,
    /// Time between TERM and KILL when an attempt is stopped.
    pub grace: Duration,
    /// How often and how soon a failed attempt is repeated.
    pub retry: Retry,
    /// The shared concurrency limit that this job takes a seat in.
    pub pool: Option<Arc<str>>,
    /// Jobs whose success starts this one.
    pub after: Vec<super::JobName>,
    /// How old the last success may be; older is an incident of its own.
    pub freshness: Option<Freshness>,
    /// When failures become an incident.
    pub alert: AlertRule,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            catch_up: CatchUp::default(),
            overlap: Overlap::Skip,
            deadline: None,
            timeout: None,
            grace: Duration::from_secs(10),
            retry: Retry::default(),
            pool: None,
            after: Vec::new(),
            freshness: None,
            alert: AlertRule::default(),
        }
    }
}

/// How old a last success may be. What is not given is not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Freshness {
    /// Oldest allowed last success.
    pub breach: Option<Duration>,
    /// Beyond this age, a warning.
    pub warn: Option<Duration>,
    /// So many slots may come and go without a success.
    pub missed: Option<u32>,
    /// A time of the day by which there must have been one since the deadline before.
    pub by: Option<Deadline>,
}

/// A time of the day on some days of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// 0–23.
    pub hour: u8,
    /// 0–59.
    pub minute: u8,
    /// A bit for each day, Sunday first.
    pub weekdays: u8,
    /// Where that is.
    pub timezone: TimeZone,
}

/// What happens to slots that passed while the daemon was down, suspended or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// Which of the passed slots run.
    pub mode: CatchUpMode,
    /// Oldest slot that may still run; `None` is one period, at most 24 h.
    pub window: Option<Duration>,
    /// Most slots that `all` runs at one time.
    pub max: u32,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { mode: CatchUpMode::Latest, window: None, max: 100 }
    }
}

/// Which of the passed slots run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUpMode {
    /// None of them.
    None,
    /// The newest one.
    Latest,
    /// All of them, oldest first, up to the cap.
    All,
}

/// What happens to a slot that is due while a run of the job is still live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The slot is recorded as skipped.
    Skip,
    /// One run waits; a further slot replaces nothing and is skipped.
    Queue,
    /// Each run waits its turn, up to the cap.
    QueueAll {
        /// Most runs that wait.
        max: u32,
    },
    /// The live run is cancelled, and the new one starts when it has ended.
    Cancel,
    /// Both run.
    Allow,
}

/// How often and how soon a failed attempt is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; 1 is no retry.
    pub attempts: u32,
    /// The waits between them.
    pub backoff: Backoff,
    /// No attempt starts later than this after the first one.
    pub max_elapsed: Option<Duration>,
    /// Classes that are tried again.
    pub on: Vec<FailureClass>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Backoff::default(),
            max_elapsed: None,
            on: vec![
                FailureClass::Transient,
                FailureClass::Throttled,
                FailureClass::TimedOut,
                FailureClass::Lost,
            ],
        }
    }
}

/// The waits between attempts: `min(max, initial * factor^(n-1))`, spread by `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Wait before the second attempt.
    pub initial: Duration,
    /// Growth from one wait to the next, at least 1.
    pub factor: f64,
    /// Longest wait.
    pub max: Duration,
    /// Share of the wait (0–1) that a hash of run and attempt takes away.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(10),
            factor: 2.0,
            max: Duration::from_mins(5),
            jitter: 0.2,
        }
    }
}

/// When failures become an incident, and when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// What it takes.
    pub when: AlertWhen,
    /// Good looks in a row that end it; `None` is 1 for jobs and 2 for checks.
    pub recover: Option<u32>,
    /// How bad a failure is; a look that only warns is never worse than a warning.
    pub severity: Severity,
    /// What a look that could not tell stands for.
    pub on_unknown: OnUnknown,
    /// See [`super::Incident::remind`].
    pub remind: Option<Vec<Duration>>,
    /// Notifiers that are told.
    pub notify: Vec<Arc<str>>,
}

impl Default for AlertRule {
    fn default() -> Self {
        Self {
            when: AlertWhen::InARow { failures: 1 },
            recover: None,
            severity: Severity::Error,
            on_unknown: OnUnknown::Keep,
            remind: None,
            notify: Vec::new(),
        }
    }
}

/// What makes failures an incident. Windows are half open and end with the newest look: `(t - within, t]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlertWhen {
    /// So many without a success in between.
    InARow {
        /// At least 1.
        failures: u32,
    },
    /// So many within a time, whatever stands in between.
    Within {
        /// At least 1.
        failures: u32,
        /// The window.
        within: Duration,
    },
    /// So many of the last few looks.
    Of {
        /// At least 1.
        failures: u32,
        /// At least `failures`.
        of: u32,
    },
    /// So large a share of the looks within a time.
    Ratio {
        /// The share, above 0 and at most 1.
        ratio: f64,
        /// The window.
        within: Duration,
        /// Fewer looks in the window say nothing.
        samples: u32,
    },
    /// Nothing but failures for so long.
    For(Duration),
}

/// What a look that could not tell stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// Nothing; three in a row open a warning.
    Keep,
    /// A warning.
    Warn,
    /// A failure.
    Fail,
}

/// What a daylight-saving change does to a fixed-time schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Dst {
    /// For a local time that does not exist.
    pub gap: DstGap,
    /// For a local time that exists twice.
    pub overlap: DstOverlap,
}

/// What happens to a fixed time that a clock change leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DstGap {
    /// Runs once at the first instant after the gap (cronie).
    #[default]
    RunAfter,
    /// Does not run that day (OCPS).
    Skip,
    /// Runs at the same distance from midnight, that is shifted by the gap's length.
    Shift,
}

/// What happens to a fixed time that a clock change repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DstOverlap {
    /// Runs in the first pass only (cronie).
    #[default]
    First,
    /// Runs in the second pass only.
    Last,
    /// Runs in both.
    Both,
}
