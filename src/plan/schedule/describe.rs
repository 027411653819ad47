//! A schedule in plain English, as in "at 02:15 every day (America/New_York)".
//!
//! Owns the wording, and small word lists that the lints share. Refuses to look at clock changes: what a
//! single slot has to say of itself is in `preview`.

use std::fmt::Write as _;

use super::cron::{ALL_DAYS, ANY_DAY, ANY_WEEKDAY, BOTH_DAYS, Cron, LAST_DAY, LAST_WEEKDAY, LIMIT};
use super::trigger::{Times, Trigger};
use super::{Schedule, zone};

const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// Up to this many times of a day are spelled out one by one.
const FEW: usize = 6;

impl Schedule {
    /// The schedule in plain English; "never" for one without triggers.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.is_empty() {
            return "never".to_owned();
        }
        self.triggers.iter().map(trigger).collect::<Vec<_>>().join("; and ")
    }
}

fn trigger(trigger: &Trigger) -> String {
    let mut text = match &trigger.times {
        Times::Cron(cron) => format!("{} ({})", self::cron(cron), zone_name(trigger)),
        Times::Every { period, .. } => {
            let period = duration(*period);
            // "every minute", not "every 1 minute"; but "every 1 d 6 h".
            let one = period
                .strip_prefix("1 ")
                .filter(|unit| unit.len() > 5 || *unit == "day" || *unit == "hour");
            format!("every {}", one.unwrap_or(&period))
        }
        Times::At(slots) => {
            let shown = slots.iter().take(3).map(|slot| local(trigger, *slot));
            let mut times: Vec<String> = shown.collect();
            if slots.len() > times.len() {
                times.push(format!("{} more", slots.len() - times.len()));
            }
            format!("at {}", join(&times, "and"))
        }
    };
    let (start, last) = trigger.bounds();
    if start > 0 {
        let _ok = write!(text, ", from {}", local(trigger, start));
    }
    if last < LIMIT - 1 {
        let _ok = write!(text, ", until {}", local(trigger, last));
    }
    if trigger.has_exceptions() {
        text.push_str(", but not on its excepted days");
    }
    if trigger.jitter > 0 {
        let bound = i64::try_from(trigger.jitter.div_ceil(1000)).unwrap_or(i64::MAX);
        let _ok = write!(text, ", each delayed by up to {}", duration(bound));
    }
    text
}

/// The name of a trigger's zone, or its offset.
pub(super) fn zone_name(trigger: &Trigger) -> String {
    match (trigger.zone.iana_name(), trigger.zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => offset.to_string(),
        (None, Err(_)) => "local time".to_owned(),
    }
}

fn local(trigger: &Trigger, slot: i64) -> String {
    let at = zone::timestamp(slot);
    at.display_with_offset(trigger.zone.to_offset(at)).to_string()
}

/// "1 minute", "5 minutes", "2 h 30 min".
pub(super) fn duration(seconds: i64) -> String {
    for (unit, name) in [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")] {
        if seconds % unit == 0 && seconds != 0 {
            return match seconds / unit {
                1 => format!("1 {name}"),
                n if unit < 86_400 && n >= 120 => break,
                n => format!("{n} {name}s"),
            };
        }
    }
    let parts = [(86_400, i64::MAX, "d"), (3600, 24, "h"), (60, 60, "min"), (1, 60, "s")];
    let parts = parts.into_iter().map(|(unit, wrap, name)| (seconds / unit % wrap, name));
    let parts: Vec<String> =
        parts.filter(|(n, _)| *n != 0).map(|(n, name)| format!("{n} {name}")).collect();
    parts.join(" ")
}

fn cron(cron: &Cron) -> String {
    let times = times_of_day(cron);
    let days = days(cron);
    match (times, days) {
        (Ok(clock), None) => format!("at {clock} every day"),
        (Ok(clock), Some(days)) => format!("at {clock} {days}"),
        (Err(rhythm), None) => rhythm,
        (Err(rhythm), Some(days)) => format!("{rhythm} {days}"),
    }
}

/// A few times of the day as they are on the clock, or else the rhythm in words.
fn times_of_day(cron: &Cron) -> Result<String, String> {
    let (seconds, minutes, hours) =
        (bits(cron.seconds), bits(cron.minutes), bits(u64::from(cron.hours)));
    if seconds.len() == 1 && minutes.len() * hours.len() <= FEW {
        let mut times = Vec::with_capacity(FEW);
        for hour in &hours {
            for minute in &minutes {
                times.push(match seconds[0] {
                    0 => format!("{hour:02}:{minute:02}"),
                    second => format!("{hour:02}:{minute:02}:{second:02}"),
                });
            }
        }
        return Ok(join(&times, "and"));
    }
    let mut words = Vec::with_capacity(3);
    if seconds != [0] {
        words.push(rhythm(&seconds, 60, "second"));
    }
    let (every_minute, every_hour) = (minutes.len() == 60, hours.len() == 24);
    if every_minute && every_hour && seconds != [0] {
        if stride(&seconds, 60).is_none() {
            words.push("of every minute".to_owned());
        }
        return Err(words.join(" "));
    }
    words.push(rhythm(&minutes, 60, "minute"));
    let run = is_run(&hours);
    match (hours.as_slice(), stride(&minutes, 60)) {
        _ if every_hour && (minutes.len() == 1 || stride(&minutes, 60).is_none()) => {
            words.push("of every hour".to_owned());
        }
        _ if every_hour => {}
        ([first, .., last], Some(_)) if run => {
            words.push(format!("from {first:02}:00 to {last:02}:59"));
        }
        (hours, _) => match stride(hours, 24) {
            Some(step) => words.push(format!("of every {} hour", ordinal(step))),
            None if hours.len() == 1 => words.push(format!("of hour {}", hours[0])),
            None => words.push(format!("of hours {}", runs(hours, |hour| hour.to_string()))),
        },
    }
    Err(words.join(" "))
}

/// "every minute", "every 15 minutes", "at minute 5", "at minutes 0, 7 and 14".
fn rhythm(values: &[u32], size: u32, unit: &str) -> String {
    match stride(values, size) {
        Some(1) => format!("every {unit}"),
        Some(step) => format!("every {step} {unit}s"),
        None if values.len() == 1 => format!("at {unit} {}", values[0]),
        None => format!("at {unit}s {}", runs(values, |value| value.to_string())),
    }
}

/// The days on which it is due; none where that is every day.
fn days(cron: &Cron) -> Option<String> {
    let months = match bits(cron.months.into()).as_slice() {
        all if all.len() == 12 => None,
        months => Some(runs(months, month_name)),
    };
    let any_day = cron.has(ANY_DAY) && cron.days == ALL_DAYS;
    let any_weekday = cron.has(ANY_WEEKDAY) && cron.weekdays == 0x7f;
    let by_day = (!any_day).then(|| days_of_month(cron));
    let by_weekday = (!any_weekday).then(|| days_of_week(cron));
    let both = cron.flags & (ANY_DAY | ANY_WEEKDAY | BOTH_DAYS) != 0;
    let text = match (by_day, by_weekday) {
        (None, None) => return months.map(|months| format!("every day in {months}")),
        (Some(days), None) => match months {
            Some(months) => format!("on {days} of {months}"),
            None => format!("on {days} of the month"),
        },
        (None, Some(weekdays)) => match months {
            Some(months) => format!("on {weekdays} in {months}"),
            None => format!("on {weekdays}"),
        },
        (Some(days), Some(weekdays)) => {
            let link = if both { "if it is also" } else { "and also on" };
            let months = months.map_or(String::new(), |months| format!(", in {months}"));
            format!("on {days} of the month {link} {weekdays}{months}")
        }
    };
    Some(text)
}

fn days_of_month(cron: &Cron) -> String {
    let mut parts = Vec::new();
    let days = bits(cron.days.into());
    match stride(&days, 31).filter(|step| *step > 1) {
        // Days count from 1, so a stride through the whole month starts there.
        _ if days.is_empty() => {}
        Some(step) => parts.push(format!("every {} day from 1 on", ordinal(step))),
        None if days.len() == 1 => parts.push(format!("day {}", days[0])),
        None => parts.push(format!("days {}", runs(&days, |day| day.to_string()))),
    }
    for day in bits(cron.nearest.into()) {
        parts.push(format!("the weekday nearest to day {day}"));
    }
    if cron.has(LAST_DAY) {
        parts.push("the last day".to_owned());
    }
    if cron.has(LAST_WEEKDAY) {
        parts.push("the last weekday".to_owned());
    }
    join(&parts, "and")
}

fn days_of_week(cron: &Cron) -> String {
    let mut parts = Vec::new();
    let plain = bits(cron.weekdays.into());
    if !plain.is_empty() {
        parts.push(runs(&plain, weekday_name));
    }
    for (ordinal, mask) in ORDINALS.iter().zip(cron.nth) {
        let days = bits(mask.into());
        parts.extend(days.into_iter().map(|day| format!("the {ordinal} {}", weekday_name(day))));
    }
    let last = bits(cron.last.into());
    parts.extend(last.into_iter().map(|day| format!("the last {}", weekday_name(day))));
    join(&parts, "and")
}

pub(super) fn month_name(month: u32) -> String {
    name(&MONTHS, month.saturating_sub(1))
}

fn weekday_name(day: u32) -> String {
    name(&WEEKDAYS, day)
}

fn name(names: &[&str], index: u32) -> String {
    names.get(usize::try_from(index).unwrap_or(usize::MAX)).copied().unwrap_or("").to_owned()
}

fn ordinal(n: u32) -> String {
    match n {
        2 => "2nd".to_owned(),
        3 => "3rd".to_owned(),
        n => format!("{n}th"),
    }
}

/// The set bits of a mask.
pub(super) fn bits(mask: u64) -> Vec<u32> {
    (0..64).filter(|bit| mask >> bit & 1 != 0).collect()
}

/// The step of values that go through the whole of a field of `size` values, from its first one.
fn stride(values: &[u32], size: u32) -> Option<u32> {
    let [first, second, ..] = values else { return None };
    let step = second - first;
    let low = u32::from(size == 31);
    let steady = values.windows(2).all(|pair| pair[1] - pair[0] == step);
    let whole = *first == low && values.last().is_some_and(|last| last + step > size - 1 + low);
    (steady && whole).then_some(step)
}

fn is_run(values: &[u32]) -> bool {
    values.len() > 1 && values.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

/// Values in words, with three or more in a row as a range.
pub(super) fn runs(values: &[u32], word: impl Fn(u32) -> String) -> String {
    let mut parts = Vec::new();
    let mut rest = values;
    while let [first, ..] = rest {
        let length = (1..rest.len()).take_while(|at| rest[*at] == rest[at - 1] + 1).count() + 1;
        let (run, later) = rest.split_at(length);
        match run {
            [_, _, .., last] => {
                let (first, last) = (word(*first), word(*last));
                // Names read better with a word between them.
                let digits = first.bytes().all(|byte| byte.is_ascii_digit());
                parts.push(if digits {
                    format!("{first}–{last}")
                } else {
                    format!("{first} to {last}")
                });
            }
            few => parts.extend(few.iter().map(|value| word(*value))),
        }
        rest = later;
    }
    join(&parts, "and")
}

/// "a", "a and b", "a, b and c".
pub(super) fn join(parts: &[String], link: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} {link} {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::Dst;
    use crate::plan::schedule::tests::{cron_in, parts};
    use crate::plan::schedule::{DateRange, Moment, TriggerSpec, When};

    #[test]
    fn durations() {
        let cases = [
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (1800, "30 minutes"),
            (3600, "1 hour"),
            (5400, "90 minutes"),
            (9000, "2 h 30 min"),
            (86_400, "1 day"),
            (172_800, "2 days"),
            (90_061, "1 d 1 h 1 min 1 s"),
        ];
        for (seconds, want) in cases {
            assert_eq!(duration(seconds), want);
        }
    }

    #[test]
    fn triggers_with_all_they_may_have() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let moment = |text| Moment::parse(text).unwrap();
        let every = TriggerSpec {
            timezone: berlin.clone(),
            start: Some(moment("2026-12-01")),
            end: Some(moment("2026-12-31T12:00")),
            except: vec![DateRange::parse("2026-12-24").unwrap()],
            jitter: Duration::from_secs(30),
            ..TriggerSpec::new(When::Every(Duration::from_mins(90)))
        };
        let times = ["2026-12-01T09:00", "2026-12-02T09:00", "2026-12-03", "2026-12-04"];
        let at = TriggerSpec {
            timezone: berlin,
            ..TriggerSpec::new(When::At(times.map(moment).to_vec()))
        };
        let fixed = TriggerSpec {
            timezone: TimeZone::fixed(jiff::tz::Offset::constant(2)),
            ..TriggerSpec::new(When::Cron("@daily".into()))
        };
        let schedule = Schedule::compile(&[every, at, fixed], "job").unwrap();
        insta::assert_snapshot!(schedule.describe().replace("; ", ";\n"), @r"
        every 90 minutes, from 2026-12-01T00:00:00+01:00, until 2026-12-31T12:00:00+01:00, but not on its excepted days, each delayed by up to 30 seconds;
        and at 2026-12-01T09:00:00+01:00, 2026-12-02T09:00:00+01:00, 2026-12-03T00:00:00+01:00 and 1 more;
        and at 00:00 every day (+02)
        ");
        assert_eq!(Schedule::default().describe(), "never");
    }

    #[test]
    fn lists() {
        assert_eq!(runs(&[1, 2, 3, 5, 6], |n| n.to_string()), "1–3, 5 and 6");
        assert_eq!(runs(&[6], |n| n.to_string()), "6");
        assert_eq!(runs(&[1, 2, 3], month_name), "January to March");
    }

    /// A line each: expression | description.
    const DESCRIPTIONS: &str = "
15 2 * * *             | at 02:15 every day
* * * * *              | every minute
*/15 * * * *           | every 15 minutes
*/15 9-17 * * MON-FRI  | every 15 minutes from 09:00 to 17:59 on Monday to Friday
0 * * * *              | at minute 0 of every hour
@weekly                | at 00:00 on Sunday
@yearly                | at 00:00 on day 1 of January
0 0 1,15 * *           | at 00:00 on days 1 and 15 of the month
0 0 L * *              | at 00:00 on the last day of the month
0 0 LW * *             | at 00:00 on the last weekday of the month
0 9 15W * *            | at 09:00 on the weekday nearest to day 15 of the month
0 9 * * 5#2            | at 09:00 on the second Friday
0 9 * * 5L             | at 09:00 on the last Friday
0 0 13 * 5             | at 00:00 on day 13 of the month and also on Friday
0 0 13 * +FRI          | at 00:00 on day 13 of the month if it is also Friday
*/10 * * * * *         | every 10 seconds
*/10 30 2 * * *        | every 10 seconds at minute 30 of hour 2
15 * * * * *           | at second 15 of every minute
5 4 3 2 1 *            | at 03:04:05 on day 2 of January
0 */2 * * *            | at minute 0 of every 2nd hour
7,9 */2 * * *          | at minutes 7 and 9 of every 2nd hour
0 9-17 * * 1-5         | at minute 0 of hours 9–17 on Monday to Friday
*/7 * * * *            | every 7 minutes
0 */5 * * *            | at 00:00, 05:00, 10:00, 15:00 and 20:00 every day
0 0 */2 * *            | at 00:00 on every 2nd day from 1 on of the month
0 0 */2 * MON          | at 00:00 on every 2nd day from 1 on of the month if it is also Monday
0 0 1 JAN,JUL *        | at 00:00 on day 1 of January and July
0 0 * 3-6 *            | at 00:00 every day in March to June
1,2,3,30 1,4-7 * * *   | at minutes 1–3 and 30 of hours 1 and 4–7
0 0 * * SUN,TUE,WED,THU | at 00:00 on Sunday and Tuesday to Thursday
* 2 * * *              | every minute of hour 2
0 0 13 1 5             | at 00:00 on day 13 of the month and also on Friday, in January
H H * * *              | at 17:10 every day
H/15 * * * *           | at minutes 10, 25, 40 and 55 of every hour
";

    #[test]
    fn descriptions() {
        for line in DESCRIPTIONS.trim().lines() {
            let [expression, want] = parts(line);
            let found = cron_in(expression, "America/New_York", Dst::default()).describe();
            assert_eq!(found, format!("{want} (America/New_York)"), "{expression}");
        }
    }
}
