//! The keys that say what a job promises.
//!
//! Owns `catch_up overlap deadline timeout retry limits`: their forms in YAML, their bounds, and
//! what they become in the model. Refuses to know where they stand: a job and `defaults` share them.

use std::time::Duration;

use super::forms::Short;
use crate::kinds::ProcessLimits;
use crate::kinds::freshness::FreshnessSection;
use crate::model::{Backoff, CatchUp, CatchUpMode, FailureClass, Freshness, Overlap, Retry};
use crate::yaml::decode::numbers::{Count, Factor, Memory, Seconds};
use crate::yaml::decode::quantity::{DurationText, ShareText, SizeText};
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Located, section, words};

words! {
    /// Which of the slots run that passed while the daemon was down, suspended or stopped.
    pub enum CatchUpWord {
        /// None of them.
        None = "none",
        /// The newest one.
        Latest = "latest",
        /// All of them, oldest first, up to `max`.
        All = "all",
    }
}

words! {
    /// What happens to a slot that is due while a run of the job is still live.
    pub enum OverlapWord {
        /// The slot is recorded as skipped.
        Skip = "skip",
        /// One run waits; further slots are skipped.
        Queue = "queue",
        /// Each run waits its turn.
        QueueAll = "queue_all",
        /// The live run is cancelled, and the new one starts when it has ended.
        Cancel = "cancel",
        /// Both run.
        Allow = "allow",
    }
}

words! {
    /// The class of a failure.
    pub enum ClassWord {
        /// May well succeed if tried again: network, 5xx, a busy file.
        Transient = "transient",
        /// The other side asked for patience.
        Throttled = "throttled",
        /// The credential was refused.
        Unauthorized = "unauthorized",
        /// A budget ran out.
        Exhausted = "exhausted",
        /// Trying again can't help.
        Permanent = "permanent",
        /// The attempt's timeout passed.
        TimedOut = "timed_out",
        /// Somebody or a policy stopped it.
        Cancelled = "cancelled",
        /// The process that performed it died, and what it did is unknown.
        Lost = "lost",
    }
}

section! {
    /// Slots that passed while nobody looked.
    pub struct CatchUpSection {
        /// Which of them run.
        pub mode: CatchUpWord,
        /// Oldest slot that may still run. One period, at most 24h, where it is not given.
        pub window: Option<Located<Seconds>>,
        /// Most slots that `all` runs at one time.
        pub max: Option<Located<Count>>,
    }
}

section! {
    /// Slots that are due while a run is live.
    pub struct OverlapSection {
        /// What happens to them.
        pub mode: OverlapWord,
        /// Most runs that wait with `queue_all`.
        pub max: Option<Located<Count>>,
    }
}

section! {
    /// The longest time of one attempt.
    pub struct TimeoutSection {
        /// Counted from the attempt's start.
        pub after: Option<Seconds>,
        /// Time between TERM and KILL when an attempt is stopped, by a timeout or otherwise.
        pub grace: Option<DurationText>,
    }
}

section! {
    /// How often and how soon a failed attempt is repeated.
    pub struct RetrySection {
        /// Attempts in all, the first included.
        pub attempts: Count,
        /// The waits between them.
        pub backoff: Option<BackoffSection>,
        /// No attempt starts later than this after the first one.
        pub max_elapsed: Option<DurationText>,
        /// Classes of failure that are tried again.
        pub r#on: Option<OneOrMany<ClassWord>>,
    }
}

section! {
    /// The waits between attempts: `min(max, initial * factor^(n-1))`, less `jitter`.
    pub struct BackoffSection {
        /// Wait before the second attempt.
        pub initial: Option<DurationText>,
        /// Growth from one wait to the next, at least 1.
        pub factor: Option<Factor>,
        /// Longest wait.
        pub max: Option<DurationText>,
        /// Share of the wait by which it may be shorter.
        pub jitter: Option<ShareText>,
    }
}

section! {
    /// What a process of the job may use at most.
    pub struct LimitsSection {
        /// Address space.
        pub memory: Option<Memory>,
        /// CPU time.
        pub cpu_time: Option<DurationText>,
        /// Open files.
        pub open_files: Option<Count>,
        /// Largest file that may be written.
        pub file_size: Option<SizeText>,
        /// Kept output of one attempt; the middle is dropped beyond it.
        pub output: Option<SizeText>,
    }
}

/// `catch_up`.
pub type CatchUpForm = Short<CatchUpWord, CatchUpSection>;
/// `overlap`.
pub type OverlapForm = Short<OverlapWord, OverlapSection>;
/// `timeout`.
pub type TimeoutForm = Short<Seconds, TimeoutSection>;
/// `retry`.
pub type RetryForm = Short<Count, RetrySection>;

/// `freshness`.
pub type FreshnessForm = Short<Seconds, FreshnessSection>;

/// Runs that wait at most under `queue_all` where no `max` is given.
const QUEUE: u32 = 100;

pub(super) fn catch_up(form: &CatchUpForm) -> CatchUp {
    let (mode, window, max) = match form {
        Short::Short(mode) => (*mode, None, None),
        Short::Full(full) => (full.mode, full.window, full.max),
    };
    let mode = match mode {
        CatchUpWord::None => CatchUpMode::None,
        CatchUpWord::Latest => CatchUpMode::Latest,
        CatchUpWord::All => CatchUpMode::All,
    };
    let default = CatchUp::default();
    CatchUp {
        mode,
        window: window.map(|window| window.value.0),
        max: max.map_or(default.max, |max| max.value.0),
    }
}

pub(super) fn overlap(form: &OverlapForm) -> Overlap {
    let (mode, max) = match form {
        Short::Short(mode) => (*mode, None),
        Short::Full(full) => (full.mode, full.max),
    };
    match mode {
        OverlapWord::Skip => Overlap::Skip,
        OverlapWord::Queue => Overlap::Queue,
        OverlapWord::QueueAll => Overlap::QueueAll { max: max.map_or(QUEUE, |max| max.value.0) },
        OverlapWord::Cancel => Overlap::Cancel,
        OverlapWord::Allow => Overlap::Allow,
    }
}

/// The timeout and the grace.
pub(super) fn timeout(form: &TimeoutForm) -> (Option<Duration>, Option<Duration>) {
    match form {
        Short::Short(after) => (Some(after.0), None),
        Short::Full(full) => (full.after.map(|after| after.0), full.grace.map(|grace| grace.0)),
    }
}

/// How old the last success may be.
pub(super) fn freshness(form: &FreshnessForm) -> Freshness {
    match form {
        Short::Short(time) => aged(time.0),
        Short::Full(full) => full.promise(),
    }
}

/// That the last success may be so old.
pub(super) fn aged(time: Duration) -> Freshness {
    Freshness { breach: Some(time), ..Freshness::default() }
}

pub(super) fn retry(form: &RetryForm) -> Retry {
    let default = Retry::default();
    match form {
        Short::Short(attempts) => Retry { attempts: attempts.0, ..default },
        Short::Full(full) => Retry {
            attempts: full.attempts.0,
            backoff: full.backoff.as_ref().map_or(default.backoff, backoff),
            max_elapsed: full.max_elapsed.map(|time| time.0),
            on: full
                .r#on
                .as_ref()
                .map_or(default.on, |words| words.0.iter().copied().map(class).collect()),
        },
    }
}

fn backoff(section: &BackoffSection) -> Backoff {
    let default = Backoff::default();
    Backoff {
        initial: section.initial.map_or(default.initial, |time| time.0),
        factor: section.factor.map_or(default.factor, |factor| factor.0),
        // A first wait beyond the usual longest one is meant as it is written.
        max: section.max.map_or_else(
            || default.max.max(section.initial.map_or(default.initial, |time| time.0)),
            |time| time.0,
        ),
        jitter: section.jitter.map_or(default.jitter, |share| share.0),
    }
}

fn class(word: ClassWord) -> FailureClass {
    FailureClass::from_word(word.word()).expect("the words are those of the classes")
}

pub(super) fn limits(section: &LimitsSection) -> ProcessLimits {
    ProcessLimits {
        memory: section.memory.map(|size| size.0),
        cpu_time: section.cpu_time.map(|time| time.0),
        open_files: section.open_files.map(|count| u64::from(count.0)),
        file_size: section.file_size.map(|size| size.0),
        output: section.output.map(|size| size.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_classes_are_the_models() {
        let words: Vec<&str> = FailureClass::ALL.into_iter().map(FailureClass::word).collect();
        assert_eq!(ClassWord::WORDS, words);
    }
}
