//! The `process` probe: whether a program runs, how often, and what it takes.
//!
//! Owns how processes are told apart: by name, by the number in a file, by a pattern on the command line. Refuses
//! to know units: that is `systemd`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use procfs::process::{Process, Stat};

use super::condition::{Comparison, Condition};
use super::kept::Kept;
use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use super::spec::Expectation;
use crate::clock::Clock;
use crate::kinds::command::PatternText;
use crate::kinds::process::Pattern;
use crate::kinds::wire::{self, FILES, fault};
use crate::model::{Fault, Subject};
use crate::yaml::{Located, one_of};

/// What it measures: how many there are, what they take together, and how long the youngest of them has been
/// running.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("count", Quantity::Number),
    ("memory", Quantity::Size),
    ("cpu", Quantity::Share),
    ("age", Quantity::Time),
];

/// A file with a number is written by the process itself: one that started so much later is another.
const SLACK: Duration = Duration::from_secs(5);

/// Time between the first two looks.
const WINDOW: Duration = Duration::from_millis(500);

one_of! {
    /// A program that runs, and how it is known.
    pub enum ProcessProbe as "process" {
        /// By the name of its program, such as `nginx`.
        name => Name(Located<String>),
        /// By the number in a file; a relative path counts from the job's working directory. A template.
        pidfile => Pidfile(Located<String>),
        /// By a regular expression that occurs in its command line.
        pattern => Pattern(Located<PatternText>),
    }
}

impl ProcessProbe {
    /// What it is called among subjects.
    pub(super) fn named(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Pidfile(path) => {
                let name = Path::new(path.as_str()).file_stem().and_then(|name| name.to_str());
                name.unwrap_or(path)
            }
            Self::Pattern(pattern) => &pattern.0,
        }
    }
}

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    let condition = Condition::Compare(Comparison::AtLeast, 1.0, Unit::Plain);
    vec![Expectation { value: "count".to_owned(), condition }]
}

/// Whom to look for, everything filled in.
#[derive(Clone, Debug)]
pub(super) enum Whom {
    /// A program's name.
    Name(String),
    /// A file with a number.
    Pidfile(PathBuf),
    /// A pattern on the command line.
    Pattern(Pattern),
}

/// When a look was, by the clock that nobody sets, and what each process had used by then.
pub(super) type Look = (Duration, Vec<Used>);

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pid: i32,
    started: u64,
    ticks: u64,
}

/// What a look is made with.
pub(super) struct Means<'a> {
    /// The check.
    pub(super) check: &'a Subject,
    /// What it remembers.
    pub(super) kept: &'a Kept,
    /// Whether the check has an opinion on how busy they are, which takes two looks.
    pub(super) wants_cpu: bool,
    /// Time.
    pub(super) clock: &'a dyn Clock,
}

/// Looks at /proc.
pub(super) async fn read(whom: Whom, means: Means<'_>) -> Found {
    let Means { check, kept, wants_cpu, clock } = means;
    if wants_cpu && kept.processes(check).is_none() {
        let passed = clock.passed();
        match stats(whom.clone()).await {
            Ok(first) => kept.keep_processes(check, (passed, used(&first))),
            Err(found) => return found,
        }
        clock.sleep(WINDOW).await;
    }
    let passed = clock.passed();
    let stats = match stats(whom).await {
        Ok(stats) => stats,
        Err(found) => return found,
    };
    let reading = measured(&stats, clock.now());
    if !wants_cpu {
        return Found::values(reading);
    }
    let used = used(&stats);
    let share = kept.processes(check).and_then(|last| share(&last, passed, &used));
    kept.keep_processes(check, (passed, used));
    let cpu = Measured::Number(share.unwrap_or_default(), Unit::Share);
    Found::values(reading.with("cpu", cpu))
}

/// The processes, looked at off the async threads: there may be thousands.
async fn stats(whom: Whom) -> Result<Vec<Stat>, Found> {
    wire::look(&FILES, move || alike(&whom)).await.unwrap_or_else(|why| Err(Found::unknown(why)))
}

fn used(stats: &[Stat]) -> Vec<Used> {
    let used = |stat: &Stat| Used {
        pid: stat.pid,
        started: stat.starttime,
        ticks: stat.utime.saturating_add(stat.stime),
    };
    stats.iter().map(used).collect()
}

fn alike(whom: &Whom) -> Result<Vec<Stat>, Found> {
    let stats = |of: &dyn Fn(&Process, &Stat) -> bool| {
        let all = procfs::process::all_processes();
        let all = all.map_err(|error| Found::unknown(format!("can't look into /proc: {error}")))?;
        // A process may be gone before it is looked at.
        let stats = all.flatten().filter_map(|process| {
            let stat = process.stat().ok()?;
            (is_alive(&stat) && of(&process, &stat)).then_some(stat)
        });
        Ok(stats.collect())
    };
    match whom {
        Whom::Name(name) => stats(&|process, stat| is_called(name, process, stat)),
        Whom::Pattern(pattern) => stats(&|process, _| {
            let words = process.cmdline().unwrap_or_default();
            !words.is_empty() && pattern.is_in(words.join(" ").as_bytes())
        }),
        Whom::Pidfile(path) => numbered(path),
    }
}

/// One that has ended and is not collected yet runs no more.
fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X' | 'x')
}

/// The kernel keeps 15 bytes of a name; the first word of the command line has all of it, and so may a script.
fn is_called(name: &str, process: &Process, stat: &Stat) -> bool {
    const KEPT: usize = 15;
    if name.len() < KEPT || !name.is_char_boundary(KEPT) {
        return stat.comm == name;
    }
    let words = process.cmdline().unwrap_or_default();
    let is_it = |word: &String| Path::new(word).file_name().is_some_and(|file| file == name);
    stat.comm == name[..KEPT] && words.iter().take(2).any(is_it)
}

/// The process of the number in a file, if it is the one that the file is about.
fn numbered(path: &Path) -> Result<Vec<Stat>, Found> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Found::blind(format!("can't read {shown}: {error}"), fault::of_io(&error)));
        }
    };
    let Some(pid) = text.split_whitespace().next().and_then(|pid| pid.parse().ok()) else {
        let why = format!("there is no process number in {shown}");
        return Err(Found::blind(why, Fault::Configuration));
    };
    let stat = Process::new(pid).and_then(|process| process.stat()).ok();
    let stat = stat.filter(is_alive).filter(|stat| {
        let written = std::fs::metadata(path).and_then(|data| data.modified()).ok();
        let written = written.and_then(|at| Timestamp::try_from(at).ok());
        match (written, start(stat)) {
            (Some(written), Some(start)) => start.duration_since(written) <= slack(),
            _ => true,
        }
    });
    Ok(stat.into_iter().collect())
}

fn slack() -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(SLACK).unwrap_or_default()
}

/// When a process started.
fn start(stat: &Stat) -> Option<Timestamp> {
    let boot = i64::try_from(procfs::boot_time_secs().ok()?).ok()?;
    let passed = Duration::from_millis(stat.starttime * 1000 / procfs::ticks_per_second());
    Timestamp::from_second(boot).ok()?.checked_add(passed).ok()
}

/// The share of all processors that was used since the last look.
fn share((at, before): &Look, passed: Duration, now: &[Used]) -> Option<f64> {
    let time = passed.checked_sub(*at).filter(|time| !time.is_zero())?.as_secs_f64();
    let used = now.iter().map(|one| {
        let same = |other: &&Used| other.pid == one.pid && other.started == one.started;
        // One that is new has used all that it used since.
        one.ticks.saturating_sub(before.iter().find(same).map_or(0, |before| before.ticks))
    });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let whole = float(procfs::ticks_per_second()) * time * float(cores as u64);
    Some((float(used.sum()) / whole).min(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a process are far from the limit")]
fn float(number: u64) -> f64 {
    number as f64
}

fn measured(stats: &[Stat], now: Timestamp) -> Reading {
    let pages = stats.iter().map(|stat| stat.rss).fold(0_u64, u64::saturating_add);
    let age = |stat: &Stat| Duration::try_from(now.duration_since(start(stat)?)).ok();
    let none = || Measured::Missing("no such process is running".to_owned());
    let count = u32::try_from(stats.len()).unwrap_or(u32::MAX);
    Reading::default()
        .with("count", Measured::Number(count.into(), Unit::Plain))
        .with("memory", Measured::size(pages.saturating_mul(procfs::page_size())))
        .with("age", stats.iter().filter_map(age).min().map_or_else(none, Measured::time))
}

#[cfg(test)]
mod tests;
