//! Judges counts by guards.
//!
//! Owns when each of them trips, and the words for it, with its numbers. Pure. Refuses to count.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{GuardsSection, Limit, Limits, OnEmpty};
use crate::kinds::sync::desk::{Changes, Tripped};
use crate::kinds::sync::ledger::Change;
use crate::kinds::sync::progress::{grouped, rows};
use crate::kinds::sync::spec::{Bound, Mode};

/// What is known of a read and of what it would change.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Facts<'a> {
    /// Rows that were read and count.
    pub(in super::super) rows: u64,
    /// Rows at the destination before; nothing for the first commit.
    pub(in super::super) before: Option<u64>,
    /// Rows at the destination after.
    pub(in super::super) after: u64,
    /// What becomes of rows.
    pub(in super::super) changes: Changes,
    /// Rows without a value, by column.
    pub(in super::super) nulls: Vec<(&'a str, u64)>,
    /// Rows with a value that an earlier one has, by column that must have none.
    pub(in super::super) twice: Vec<(&'a str, u64)>,
    /// Whether the row that must be there is.
    pub(in super::super) canary: Option<bool>,
    /// The newest value of the cursor's column, also from earlier reads, where that is a time.
    pub(in super::super) newest: Option<Timestamp>,
    /// Earlier commits, newest first.
    pub(in super::super) history: &'a [Change],
    /// The time.
    pub(in super::super) now: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Verdict {
    /// Guards that trip.
    pub(in super::super) tripped: Vec<Tripped>,
    /// What else is to be said.
    pub(in super::super) notes: Vec<String>,
}

impl Verdict {
    fn trip(&mut self, guard: &str, why: String) {
        self.tripped.push(Tripped { guard: guard.to_owned(), why });
    }
}

/// Judges them. What trips never depends on what tripped before.
pub(in super::super) fn judge(
    guards: Option<&GuardsSection>,
    mode: Mode,
    facts: &Facts<'_>,
) -> Verdict {
    let mut verdict = Verdict::default();
    empty(guards, mode, facts, &mut verdict);
    let Some(guards) = guards else { return verdict };
    if let Some(least) = guards.min_rows.filter(|least| facts.rows < *least) {
        let why = format!("{} were read, and {} is the least", rows(facts.rows), grouped(least));
        verdict.trip("min_rows", why);
    }
    shrink(&guards.max_shrink, facts, &mut verdict);
    let Changes { inserted, updated, deleted, .. } = facts.changes;
    let moved = inserted + updated + deleted;
    let of = |change: &Change| change.deleted;
    sum(
        &guards.max_delete,
        &Summed { guard: "max_delete", word: "deleted", now: deleted, of },
        facts,
        &mut verdict,
    );
    let of = |change: &Change| change.inserted + change.updated + change.deleted;
    sum(
        &guards.max_change,
        &Summed { guard: "max_change", word: "changed", now: moved, of },
        facts,
        &mut verdict,
    );
    values(guards, facts, &mut verdict);
    age(guards, facts, &mut verdict);
    verdict
}

/// Nothing was read: where that would delete everything, it is held unless the job allows it.
fn empty(guards: Option<&GuardsSection>, mode: Mode, facts: &Facts<'_>, verdict: &mut Verdict) {
    let stated = guards.and_then(|guards| guards.on_empty.as_ref()).map(|stated| stated.value);
    let deletes = matches!(mode, Mode::Replace | Mode::Mirror);
    let hold = stated.map_or(deletes, |stated| stated == OnEmpty::Hold);
    if facts.rows == 0 && hold {
        let there = match facts.before {
            Some(before) if before > 0 => format!("; {} are there", rows(before)),
            _ => String::new(),
        };
        verdict.trip("on_empty", format!("nothing was read{there}"));
    }
}

/// The most rows that there were in a time: the number before, and what commits of that time left. The one
/// before that time counts too, since its rows were there when it began.
fn most(limit: &Limit, facts: &Facts<'_>, before: u64) -> u64 {
    let Some(within) = limit.within else { return before };
    let since = start(facts.now, within);
    let mut most = before;
    for change in facts.history {
        most = most.max(change.rows);
        if change.at < since {
            break;
        }
    }
    most
}

fn start(now: Timestamp, within: Duration) -> Timestamp {
    let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
    now.checked_sub(within).unwrap_or(Timestamp::MIN)
}

/// `in 7d`, or nothing.
fn window(limit: &Limit) -> String {
    limit.within.map(|within| format!(" in {}", time(within))).unwrap_or_default()
}

/// A time in its largest whole unit.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

/// Says that a share of nothing known is no bound yet; whether it is one.
fn skipped(limit: &Limit, guard: &str, facts: &Facts<'_>, verdict: &mut Verdict) -> bool {
    let skip = facts.before.is_none() && matches!(limit.bound, Bound::Share(_));
    if skip {
        let bound = limit.bound.words();
        let note = format!("`{guard}: {bound}` does not count yet: this is the first commit");
        verdict.notes.push(note);
    }
    skip
}

fn shrink(limits: &Limits, facts: &Facts<'_>, verdict: &mut Verdict) {
    for limit in limits.0.iter().map(|limit| &limit.value) {
        if skipped(limit, "max_shrink", facts, verdict) {
            continue;
        }
        let most = most(limit, facts, facts.before.unwrap_or_default());
        let fewer = most.saturating_sub(facts.after);
        if limit.bound.is_passed(fewer, most) {
            let why = format!(
                "{} where {} were{}: {} fewer{}, and {} is the most",
                rows(facts.after),
                grouped(most),
                window(limit),
                grouped(fewer),
                share(fewer, most),
                limit.bound.words(),
            );
            verdict.trip("max_shrink", why);
        }
    }
}

/// ` (97 %)`.
fn share(part: u64, of: u64) -> String {
    match of {
        0 => String::new(),
        _ => format!(" ({} %)", u128::from(part) * 100 / u128::from(of)),
    }
}

/// A guard over what commits did.
struct Summed {
    guard: &'static str,
    word: &'static str,
    now: u64,
    of: fn(&Change) -> u64,
}

fn sum(limits: &Limits, summed: &Summed, facts: &Facts<'_>, verdict: &mut Verdict) {
    for limit in limits.0.iter().map(|limit| &limit.value) {
        if skipped(limit, summed.guard, facts, verdict) {
            continue;
        }
        let most = most(limit, facts, facts.before.unwrap_or_default());
        let since = limit.within.map_or(facts.now, |within| start(facts.now, within));
        let earlier = facts.history.iter().take_while(|_| limit.within.is_some());
        let earlier: u64 =
            earlier.filter(|change| change.at >= since).map(|change| (summed.of)(change)).sum();
        let count = summed.now + earlier;
        if limit.bound.is_passed(count, most) {
            let why = format!(
                "{} of {} would be {}{}{}, and {} is the most",
                rows(count),
                grouped(most),
                summed.word,
                window(limit),
                share(count, most),
                limit.bound.words(),
            );
            verdict.trip(summed.guard, why);
        }
    }
}

fn values(guards: &GuardsSection, facts: &Facts<'_>, verdict: &mut Verdict) {
    for (column, count) in facts.twice.iter().filter(|(_, count)| *count > 0) {
        let why = format!("{} of `{column}` repeat a value", rows(*count));
        verdict.trip("unique", why);
    }
    let nulls = |column: &str| {
        facts.nulls.iter().find(|(name, _)| *name == column).map_or(0, |(_, count)| *count)
    };
    for column in &guards.not_null.0 {
        let count = nulls(&column.value);
        if count > 0 {
            verdict.trip("not_null", format!("{} have no `{}`", rows(count), column.value));
        }
    }
    for (column, bound) in &guards.max_null.0 {
        let count = nulls(&column.value);
        if bound.value.is_passed(count, facts.rows) {
            let why = format!(
                "{} of {} have no `{}`{}, and {} is the most",
                rows(count),
                grouped(facts.rows),
                column.value,
                share(count, facts.rows),
                bound.value.words(),
            );
            verdict.trip("max_null", why);
        }
    }
    if facts.canary == Some(false) {
        let wanted =
            guards.canary.0.iter().map(|(name, value)| format!("{}={}", name.value, value.0));
        let wanted = wanted.collect::<Vec<_>>().join(", ");
        verdict.trip("canary", format!("no row with {wanted} was read"));
    }
}

fn age(guards: &GuardsSection, facts: &Facts<'_>, verdict: &mut Verdict) {
    let Some(most) = &guards.max_age_of_newest else { return };
    let Some(newest) = facts.newest else {
        verdict.trip("max_age_of_newest", "no row has a time that tells how old it is".to_owned());
        return;
    };
    if newest < start(facts.now, most.0) {
        let age = facts.now.duration_since(newest).unsigned_abs();
        let age = time(Duration::from_secs(age.as_secs() / 60 * 60));
        let why =
            format!("the newest row is of {newest}, {age} ago, and {} is the most", time(most.0));
        verdict.trip("max_age_of_newest", why);
    }
}
