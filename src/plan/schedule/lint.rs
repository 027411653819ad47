//! Schedules that compile and still surprise.
//!
//! Owns what is suspicious, as data with its place in the text. Refuses to know severities, codes and
//! files: `spec` turns a lint into a diagnostic.

use std::ops::Range;

use jiff::Timestamp;

use super::cron::{ALL_DAYS, ANY_DAY, ANY_WEEKDAY, BOTH_DAYS, Cron, DAY, LAST_DAY, LAST_WEEKDAY};
use super::describe::{bits, month_name, runs, zone_name};
use super::parse::{self, Parsed, UnevenStep};
use super::preview::{clock, local_times};
use super::trigger::{Times, Trigger, floor};
use super::zone::Segment;
use super::{Schedule, TriggerSpec, When};
use crate::model::{DstGap, DstOverlap};

/// Something suspicious about one trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// What it is.
    pub kind: LintKind,
    /// Which trigger of the list, from 0.
    pub trigger: usize,
    /// The key that it is about: `cron`, `every` or `at`.
    pub key: &'static str,
    /// The bytes of that value, where only part of it is meant.
    pub range: Option<Range<usize>>,
    /// What will happen, in one line.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// The kinds of [`Lint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LintKind {
    /// There is no slot from now on.
    NeverFires,
    /// A clock change within a year leaves out slots.
    DstSkips,
    /// A clock change within a year repeats slots.
    DstDoubles,
    /// A clock change within a year moves a slot.
    DstMoves,
    /// `*/n` whose last step is shorter than the others.
    UnevenStep,
    /// Day of month and day of week are both restricted.
    BothDays,
    /// The day does not exist in some of the months.
    SkippedMonths,
    /// An earlier trigger of the list says the same.
    Duplicate,
}

/// What is suspicious about triggers from `from` on. Nothing, where they do not compile: the errors say
/// more.
#[must_use]
pub fn lint(triggers: &[TriggerSpec], seed: &str, from: Timestamp) -> Vec<Lint> {
    let Ok(schedule) = Schedule::compile(triggers, seed) else { return Vec::new() };
    let mut lints = Vec::new();
    for (index, (spec, trigger)) in triggers.iter().zip(&schedule.triggers).enumerate() {
        let mut found = Found { trigger: index, key: key_of(&spec.when), lints: &mut lints };
        if schedule.triggers[..index].contains(trigger) {
            found.add(
                LintKind::Duplicate,
                None,
                "an earlier trigger says the same",
                "take one out",
            );
            continue;
        }
        let ends = never_fires(trigger, from, &mut found);
        let When::Cron(text) = &spec.when else { continue };
        let Ok(parsed) = parse::parse(text, seed) else { continue };
        uneven_steps(&parsed.uneven, &mut found);
        days(&parsed, &mut found);
        if !ends {
            clock_changes(trigger, &parsed.cron, floor(from), &mut found);
        }
    }
    lints
}

fn key_of(when: &When) -> &'static str {
    match when {
        When::Cron(_) => "cron",
        When::Every(_) => "every",
        When::At(_) => "at",
    }
}

/// Collects the lints of one trigger.
struct Found<'a> {
    trigger: usize,
    key: &'static str,
    lints: &'a mut Vec<Lint>,
}

impl Found<'_> {
    fn add(
        &mut self,
        kind: LintKind,
        range: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (trigger, key) = (self.trigger, self.key);
        let (message, help) = (message.into(), help.into());
        self.lints.push(Lint { kind, trigger, key, range, message, help });
    }
}

fn never_fires(trigger: &Trigger, from: Timestamp, found: &mut Found) -> bool {
    if trigger.next(floor(from) + 1).is_some() {
        return false;
    }
    let (message, help) = match &trigger.times {
        Times::Cron(cron) if cron.reachable == 0 => {
            let months = runs(&bits(cron.months.into()), month_name);
            let days = bits(u64::from(cron.days | cron.nearest));
            let days = runs(&days, |day| day.to_string());
            (
                format!("it never fires: {months} never has a day {days}"),
                "L is the last day of a month",
            )
        }
        Times::At(slots) if slots.is_empty() => {
            ("it never fires: a clock change leaves out its time".to_owned(), "write another time")
        }
        _ if trigger.next(0).is_some() => {
            let help = "take it out, or give it times to come";
            ("it never fires again: its last time has passed".to_owned(), help)
        }
        _ => {
            let help = "look at `start`, `end` and `except`, and at days that exclude each other";
            ("it never fires up to the year 2199".to_owned(), help)
        }
    };
    found.add(LintKind::NeverFires, None, message, help);
    true
}

fn uneven_steps(steps: &[UnevenStep], found: &mut Found) {
    for UnevenStep { range, field, step, seam: (last, first) } in steps {
        let help = match *field {
            "minute" => format!("use `every: {step}m` for an even rhythm, or a divisor of 60"),
            "second" => format!("use `every: {step}s` for an even rhythm, or a divisor of 60"),
            "hour" => format!("use `every: {step}h` for an even rhythm, or a divisor of 24"),
            _ => "list the values, if the short step is not meant".to_owned(),
        };
        let message =
            format!("a step of {step} in {field} is uneven: {first} comes right after {last}");
        found.add(LintKind::UnevenStep, Some(range.clone()), message, help);
    }
}

/// Both day fields, and days that some months do not have.
fn days(parsed: &Parsed, found: &mut Found) {
    let cron = &parsed.cron;
    let by_day = !cron.has(ANY_DAY) || cron.days != ALL_DAYS;
    let by_weekday = !cron.has(ANY_WEEKDAY) || cron.weekdays != 0x7f;
    let (day, weekday) = &parsed.days;
    if by_day && by_weekday && !cron.has(BOTH_DAYS) {
        let range = Some(day.start..weekday.end);
        if cron.flags & (ANY_DAY | ANY_WEEKDAY) == 0 {
            let message =
                "it fires on days that match either day field, not only on those that match both";
            let help = "write + before the day of the week to demand both, or * in one of them";
            found.add(LintKind::BothDays, range, message, help);
        } else {
            let message =
                "it fires only on days that match both day fields, since one of them holds a *";
            let help =
                "write + before the day of the week to say so, or list the days to fire on either";
            found.add(LintKind::BothDays, range, message, help);
        }
    }
    let ends = cron.flags & (LAST_DAY | LAST_WEEKDAY) != 0;
    let either = by_weekday && cron.flags & (ANY_DAY | ANY_WEEKDAY | BOTH_DAYS) == 0;
    let earliest = (cron.days | cron.nearest).trailing_zeros();
    if !by_day || ends || either || cron.reachable == 0 || earliest < 29 {
        return;
    }
    let missing: Vec<u32> = bits(cron.months.into())
        .into_iter()
        .filter(|month| match month {
            2 => true,
            4 | 6 | 9 | 11 => earliest > 30,
            _ => false,
        })
        .collect();
    if !missing.is_empty() {
        let leap = if earliest == 29 { " of most years" } else { "" };
        let months = runs(&missing, month_name);
        let message =
            format!("there is no day {earliest} in {months}{leap}: it does not fire then");
        found.add(
            LintKind::SkippedMonths,
            Some(day.clone()),
            message,
            "L is the last day of a month",
        );
    }
}

/// The clock changes of the year after `from`; the first of each effect is told.
fn clock_changes(trigger: &Trigger, cron: &Cron, from: i64, found: &mut Found) {
    let until = from + 366 * DAY;
    let mut segment = Segment::at(&trigger.zone, from);
    let mut told = Vec::new();
    while segment.end < until {
        let Some(next) = segment.next(&trigger.zone) else { return };
        let effect = if next.offset > segment.offset {
            gap(trigger, cron, &next)
        } else {
            fold(trigger, cron, &next)
        };
        if let Some((kind, message)) = effect
            && !told.contains(&kind)
        {
            told.push(kind);
            let help = if cron.is_interval() {
                "use hours that no clock change touches, or `timezone: UTC`"
            } else {
                "use an hour that no clock change touches, or `timezone: UTC`, or choose what happens \
                 under `dst`"
            };
            found.add(kind, None, message, help);
        }
        segment = next;
    }
}

fn gap(trigger: &Trigger, cron: &Cron, segment: &Segment) -> Option<(LintKind, String)> {
    let (low, high) = segment.gap()?;
    let times = local_times(cron, low, high)?;
    let change = change(trigger, segment);
    if cron.is_interval() {
        // Where every hour counts, it follows real time and nothing is missed.
        let restricted = cron.hours.count_ones() < 24 && trigger.allows(segment.start);
        return restricted.then(|| (LintKind::DstSkips, format!("{change}: {times}, no run then")));
    }
    if !trigger.allows(segment.start) {
        return None;
    }
    let by = super::describe::duration(high - low);
    Some(match trigger.dst.gap {
        DstGap::Skip => (LintKind::DstSkips, format!("{change}: {times}, no run then")),
        DstGap::Shift => (LintKind::DstMoves, format!("{change}: {times}, run {by} later")),
        DstGap::RunAfter => {
            let at = clock(high, high - low >= DAY);
            // The slot at the end of the gap, if there is one, is the same run.
            match cron.count_local(low, high + 1) {
                1 => (LintKind::DstMoves, format!("{change}: {times}, it runs at {at}")),
                n => (
                    LintKind::DstSkips,
                    format!("{change}: {times}, one run at {at} in place of {n}"),
                ),
            }
        }
    })
}

fn fold(trigger: &Trigger, cron: &Cron, segment: &Segment) -> Option<(LintKind, String)> {
    let (low, high) = (segment.start + segment.offset, segment.start + segment.before);
    let doubles = if cron.is_interval() {
        cron.hours.count_ones() < 24
    } else {
        trigger.dst.overlap == DstOverlap::Both
    };
    let slots = cron.count_local(low, high);
    if !doubles || slots == 0 || !trigger.allows(segment.start) {
        return None;
    }
    let first = clock(cron.next_local(low, high)?, false);
    let times = match slots {
        1 => format!("{first} comes twice, and it runs twice"),
        n => format!("{first} and {} more come twice, and it runs each time", n - 1),
    };
    Some((LintKind::DstDoubles, format!("{}: {times}", change(trigger, segment))))
}

/// "on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00".
fn change(trigger: &Trigger, segment: &Segment) -> String {
    let (old, new) = (segment.start + segment.before, segment.start + segment.offset);
    let date = jiff::tz::Offset::UTC.to_datetime(super::zone::timestamp(old)).date();
    let (old, new) = (clock(old, false), clock(new, new - old >= DAY));
    format!("on {date} clocks in {} go from {old} to {new}", zone_name(trigger))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::Dst;
    use crate::plan::schedule::Moment;
    use crate::plan::schedule::tests::at;

    fn lints(expressions: &[&str], zone: &str, dst: Dst) -> String {
        let mut report = String::new();
        for expression in expressions {
            let spec = TriggerSpec {
                timezone: TimeZone::get(zone).unwrap(),
                dst,
                ..TriggerSpec::new(When::Cron((*expression).into()))
            };
            let found = lint(&[spec], "job", at("2026-01-01T00:00Z"));
            if found.is_empty() {
                let _ok = writeln!(report, "{expression}: nothing");
            }
            for Lint { kind, range, message, .. } in found {
                let place = range.map_or(*expression, |range| &expression[range]);
                let _ok = writeln!(report, "{expression}: {kind:?} at {place}: {message}");
            }
        }
        report
    }

    #[test]
    fn lints_name_what_will_happen() {
        let suspicious = [
            "15 2 * * *",
            "0,30 2 * * *",
            "*/15 2 * * *",
            "0 */2 * * *",
            "*/20 1 * * *",
            "30 1 * * *",
            "*/15 * * * *",
            "0 9 * * *",
            "*/7 * * * *",
            "H/7 * * * *",
            "0 */5 * * *",
            "0 0 */2 * *",
            "*/10 * * * *",
            "0 0 13 * 5",
            "0 0 */2 * MON",
            "0 0 13 * +FRI",
            "0 0 31 * *",
            "0 0 29 2 *",
            "0 0 1,31 * *",
            "0 0 L * *",
            "0 0 30 2 *",
            "0 0 1 1 +mon#2",
        ];
        let ours = lints(&suspicious, "America/New_York", Dst::default());
        let skip = Dst { gap: DstGap::Skip, overlap: DstOverlap::Both };
        let ocps = lints(&["15 2 * * *", "30 1 * * *"], "America/New_York", skip);
        let odd = lints(
            &["15 2 * * *", "45 1 * * *", "0 * * * *"],
            "Australia/Lord_Howe",
            Dst { gap: DstGap::Shift, overlap: DstOverlap::Both },
        );
        insta::assert_snapshot!(format!("{ours}--\n{ocps}--\n{odd}"), @r#"
        15 2 * * *: DstMoves at 15 2 * * *: on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:15 does not exist, it runs at 03:00
        0,30 2 * * *: DstSkips at 0,30 2 * * *: on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:00 and 02:30 do not exist, one run at 03:00 in place of 2
        */15 2 * * *: DstSkips at */15 2 * * *: on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:00, 02:15, 02:30 and 1 more do not exist, no run then
        0 */2 * * *: DstSkips at 0 */2 * * *: on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:00 does not exist, no run then
        */20 1 * * *: DstDoubles at */20 1 * * *: on 2026-11-01 clocks in America/New_York go from 02:00 to 01:00: 01:00 and 2 more come twice, and it runs each time
        30 1 * * *: nothing
        */15 * * * *: nothing
        0 9 * * *: nothing
        */7 * * * *: UnevenStep at */7: a step of 7 in minute is uneven: 0 comes right after 56
        H/7 * * * *: UnevenStep at H/7: a step of 7 in minute is uneven: 6 comes right after 55
        0 */5 * * *: UnevenStep at */5: a step of 5 in hour is uneven: 0 comes right after 20
        0 0 */2 * *: UnevenStep at */2: a step of 2 in day-of-month is uneven: 1 comes right after 31
        */10 * * * *: nothing
        0 0 13 * 5: BothDays at 13 * 5: it fires on days that match either day field, not only on those that match both
        0 0 */2 * MON: UnevenStep at */2: a step of 2 in day-of-month is uneven: 1 comes right after 31
        0 0 */2 * MON: BothDays at */2 * MON: it fires only on days that match both day fields, since one of them holds a *
        0 0 13 * +FRI: nothing
        0 0 31 * *: SkippedMonths at 31: there is no day 31 in February, April, June, September and November: it does not fire then
        0 0 29 2 *: SkippedMonths at 29: there is no day 29 in February of most years: it does not fire then
        0 0 1,31 * *: nothing
        0 0 L * *: nothing
        0 0 30 2 *: NeverFires at 0 0 30 2 *: it never fires: February never has a day 30
        0 0 1 1 +mon#2: NeverFires at 0 0 1 1 +mon#2: it never fires up to the year 2199
        --
        15 2 * * *: DstSkips at 15 2 * * *: on 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:15 does not exist, no run then
        30 1 * * *: DstDoubles at 30 1 * * *: on 2026-11-01 clocks in America/New_York go from 02:00 to 01:00: 01:30 comes twice, and it runs twice
        --
        15 2 * * *: DstMoves at 15 2 * * *: on 2026-10-04 clocks in Australia/Lord_Howe go from 02:00 to 02:30: 02:15 does not exist, run 30 minutes later
        45 1 * * *: DstDoubles at 45 1 * * *: on 2026-04-05 clocks in Australia/Lord_Howe go from 02:00 to 01:30: 01:45 comes twice, and it runs twice
        0 * * * *: nothing
        "#);
    }

    #[test]
    fn lints_beyond_cron() {
        let from = at("2026-01-01T00:00Z");
        let past = TriggerSpec::new(When::At(vec![Moment::parse("2025-12-01T09:00").unwrap()]));
        let ended = TriggerSpec {
            end: Some(Moment::parse("2025-12-31").unwrap()),
            ..TriggerSpec::new(When::Every(Duration::from_mins(5)))
        };
        let live = TriggerSpec::new(When::Every(Duration::from_mins(5)));
        let found = lint(&[past, ended, live.clone(), live], "job", from);
        let kinds: Vec<_> = found.iter().map(|lint| (lint.trigger, lint.key, lint.kind)).collect();
        let want = [
            (0, "at", LintKind::NeverFires),
            (1, "every", LintKind::NeverFires),
            (3, "every", LintKind::Duplicate),
        ];
        assert_eq!(kinds, want);
    }
}
