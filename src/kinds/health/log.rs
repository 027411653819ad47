//! The `log` probe: lines that must not be there, in a file or in the journal.
//!
//! ```text
//!  mark of the last look ─▶ what was written since ─▶ lines ─▶ patterns ─▶ matches
//!          ▲                    (also what was rotated away)                  │
//!          └──────────────────────── a new mark ◀─────────────────────────────┘
//! ```
//!
//! Owns the section and the count. Each line is looked at once, over restarts and rotations; the first look begins
//! at the end. A match is told by the look that saw it, and by no later one: how many make an alert, and for how
//! long, is the rule's. Refuses to forget a line whose look was never stored.

mod file;
mod journal;
mod mark;

use std::path::PathBuf;

use super::condition::{Comparison, Condition};
use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Cause, Found, Verdict};
use super::recall::Recall;
use super::spec::Expectation;
use crate::clock::Clock;
use crate::kinds::command::PatternText;
use crate::kinds::process::Pattern;
use crate::kinds::systemd::Scope;
use crate::kinds::wire::{self, FILES};
use crate::model::{Fault, RunId};
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Located, one_of, section};
use mark::{Mark, Place};

/// What it measures of what was written since the last look.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("matches", Quantity::Number), ("lines", Quantity::Number), ("last", Quantity::Text)];

section! {
    /// Lines of a log.
    pub struct LogProbe {
        /// Regular expressions; a line that one of them matches counts.
        pub pattern: OneOrMany<Located<PatternText>>,
        /// Regular expressions; a line that one of them matches does not count.
        pub ignore: OneOrMany<Located<PatternText>> = OneOrMany::default(),
        /// Whose journal it is: the host's, or that of the user whom the daemon runs as.
        pub scope: Scope = Scope::System,

        one of
        /// Where the lines are.
        pub source: LogSource,
    }
}

one_of! {
    /// Where lines of a log are.
    pub enum LogSource as "source" {
        /// In a file; a relative path counts from the job's working directory. A template.
        file => File(Located<String>),
        /// In the journal, of and about this unit of systemd. A template.
        unit => Unit(Located<String>),
    }
}

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    let condition = Condition::Compare(Comparison::Equal, 0.0, Unit::Plain);
    vec![Expectation { value: "matches".to_owned(), condition }]
}

/// Where to look, everything filled in.
#[derive(Clone, Debug)]
pub(super) enum Where {
    /// In a file.
    File(PathBuf),
    /// In the journal of a unit.
    Unit(String, Scope),
}

/// A look.
pub(super) struct Ask<'a> {
    /// Where.
    pub(super) place: Where,
    /// What counts.
    pub(super) sieve: Sieve,
    /// Where the mark of the last look is kept.
    pub(super) recall: Recall,
    /// The run that looks, and the last one whose looks are known to be stored.
    pub(super) run: (RunId, Option<RunId>),
    /// Time.
    pub(super) clock: &'a dyn Clock,
}

/// Which lines count.
#[derive(Debug)]
pub(super) struct Sieve {
    pub(super) patterns: Vec<Pattern>,
    pub(super) ignored: Vec<Pattern>,
}

/// What came through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catch {
    matches: u32,
    lines: u32,
    last: String,
}

impl Sieve {
    fn take(&self, line: &[u8], catch: &mut Catch) {
        catch.lines = catch.lines.saturating_add(1);
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_in(line));
        if any(&self.patterns) && !any(&self.ignored) {
            catch.matches = catch.matches.saturating_add(1);
            // A line may be as long as its writer likes.
            let text = String::from_utf8_lossy(&line[..line.len().min(1000)]);
            text.trim_end().clone_into(&mut catch.last);
        }
    }
}

/// What a look came to: the catch, the next mark, and why lines may be missing.
struct Seen {
    catch: Catch,
    next: Place,
    gap: Option<(String, Fault)>,
}

/// Looks at what was written since the last look. The new mark is kept first, and only then is told what was seen:
/// what can't be marked would be told again and again.
pub(super) async fn read(ask: Ask<'_>) -> Found {
    let (recall, run) = (ask.recall.clone(), ask.run);
    let from = match recall.read::<Mark>().await {
        Ok(mark) => mark.and_then(|mark| mark.next(run)),
        Err(found) => return found,
    };
    let seen = match ask.look(from.clone()).await {
        Ok(seen) => seen,
        Err(found) => return found,
    };
    match recall.write(&Mark::new(run.0, from, seen.next)).await {
        Ok(()) => found(seen.catch, seen.gap),
        Err(found) => found,
    }
}

impl Ask<'_> {
    async fn look(self, from: Option<Place>) -> Result<Seen, Found> {
        let Ask { place, sieve, clock, .. } = self;
        match place {
            Where::File(path) => {
                let look = move || file::read(&path, from.as_ref(), &sieve);
                wire::look(&FILES, look).await.unwrap_or_else(|why| Err(Found::unknown(why)))
            }
            Where::Unit(unit, scope) => {
                let ask = journal::Ask { unit, scope, clock, now: clock.now() };
                ask.read(from.as_ref(), &sieve).await.map_err(Found::unknown)
            }
        }
    }
}

fn found(catch: Catch, gap: Option<(String, Fault)>) -> Found {
    if let (0, Some((why, fault))) = (catch.matches, gap) {
        return Found::blind(why, fault);
    }
    let said = if catch.matches > 0 { format!("{:?}", catch.last) } else { String::new() };
    let number = |count: u32| Measured::Number(count.into(), Unit::Plain);
    let last = match catch.matches {
        0 => Measured::Missing("no line matched".to_owned()),
        _ => Measured::Text(catch.last),
    };
    let reading = Reading::default()
        .with("matches", number(catch.matches))
        .with("lines", number(catch.lines))
        .with("last", last);
    Found::Judged(Verdict::Ok, said, reading, Cause::TRANSIENT)
}

#[cfg(test)]
mod tests;
