//! The text of a cron expression to [`Cron`].
//!
//! Owns the grammar, and the place in the text of everything that is wrong. Refuses to know what the masks
//! mean for time, and the words about single values (`field`).

use std::ops::Range;

use super::cron::{
    ALL_DAYS, ANY_DAY, ANY_WEEKDAY, BOTH_DAYS, Cron, INTERVAL, LAST_DAY, LAST_WEEKDAY,
};
use super::field::{
    DAY_OF_MONTH, DAY_OF_WEEK, FIELDS, Fault, Field, HOUR, MONTH, check_step, fault, number,
    plain_range, step_of, step_without_range,
};
use super::spread;

/// What is wrong with a cron expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CronError {
    /// The bytes of the expression that are wrong.
    pub range: Range<usize>,
    /// The field: its name and its position from 1; none where the expression as a whole is wrong.
    pub field: Option<(&'static str, usize)>,
    /// What is wrong, in one line.
    pub message: String,
    /// The way out; may be empty.
    pub help: String,
}

/// A step that does not divide its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnevenStep {
    pub(super) range: Range<usize>,
    pub(super) field: &'static str,
    pub(super) step: u32,
    /// The last value before the field starts over, and the first one after.
    pub(super) seam: (u32, u32),
}

/// An expression and what only its text tells.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) cron: Cron,
    pub(super) uneven: Vec<UnevenStep>,
    /// Where the day of the month and the day of the week stand.
    pub(super) days: (Range<usize>, Range<usize>),
}

impl Cron {
    /// Parses an expression of 5 fields (minute, hour, day of month, month, day of week), 6 fields
    /// (second first) or a name such as `@daily`. `seed` decides the values of `H`.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text; never an empty list.
    pub fn parse(text: &str, seed: &str) -> Result<Self, Vec<CronError>> {
        parse(text, seed).map(|parsed| parsed.cron)
    }
}

pub(super) fn parse(text: &str, seed: &str) -> Result<Parsed, Vec<CronError>> {
    let words = words(text);
    let whole = trimmed(text);
    if let Some(error) = not_cron(text, &words, &whole) {
        return Err(vec![error]);
    }
    if text[whole.clone()].starts_with('@') {
        return nickname(text, whole, seed);
    }
    // With five fields, the second is 0.
    let first = FIELDS.len() - words.len();
    let mut parser = Parser::new(text, seed, first);
    for (index, word) in (first..).zip(&words) {
        parser.field(index, word.clone());
    }
    let days = (words[DAY_OF_MONTH - first].clone(), words[DAY_OF_WEEK - first].clone());
    parser.finish(days)
}

/// The ranges of the words in a text.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::with_capacity(6);
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (true, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

fn trimmed(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..text.trim_end().len().max(start)
}

/// What is wrong with the expression as a whole.
fn not_cron(text: &str, words: &[Range<usize>], whole: &Range<usize>) -> Option<CronError> {
    let error = |message: String, help: &str| {
        Some(CronError { range: whole.clone(), field: None, message, help: help.to_owned() })
    };
    let first = words.first().map_or("", |word| &text[word.clone()]);
    if first.starts_with('@') {
        return None;
    }
    if first.starts_with("TZ=") || first.starts_with("CRON_TZ=") {
        return error(
            "a time zone can't stand inside the expression".into(),
            "give it in its own key: `timezone: Area/City`",
        );
    }
    if let Some(list) = split_list(text, words) {
        let help = format!("write the list without it: {}", text[list.clone()].replace(' ', ""));
        let message = "a blank splits a list into two fields".to_owned();
        return Some(CronError { range: list, field: None, message, help });
    }
    let layout =
        "minute hour day-of-month month day-of-week, with a second in front if there are 6";
    match words.len() {
        5 | 6 => None,
        0 => error("the expression is empty".into(), layout),
        7 => error(
            "5 fields or 6 are needed, this has 7".into(),
            "there is no year field: bound the schedule with `start` and `end`",
        ),
        n => error(format!("5 fields or 6 are needed, this has {n}"), layout),
    }
}

/// A list with a blank beside a comma, which would count as two fields.
fn split_list(text: &str, words: &[Range<usize>]) -> Option<Range<usize>> {
    let split = words.windows(2).find(|pair| {
        text[pair[0].clone()].ends_with(',') || text[pair[1].clone()].starts_with(',')
    })?;
    Some(split[0].start..split[1].end)
}

fn nickname(text: &str, whole: Range<usize>, seed: &str) -> Result<Parsed, Vec<CronError>> {
    let name = text[whole.clone()].to_ascii_lowercase();
    let same = match name.as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(vec![bad_nickname(&name, whole)]),
    };
    let mut parsed = parse(same, seed)?;
    parsed.days = (whole.clone(), whole);
    Ok(parsed)
}

fn bad_nickname(name: &str, range: Range<usize>) -> CronError {
    let (message, help) = if let Some(period) = name.strip_prefix("@every") {
        let period = if period.trim().is_empty() { "5m" } else { period.trim() };
        ("@every is not cron".to_owned(), format!("use `every: {period}` in place of `cron`"))
    } else if name.starts_with("@at") {
        ("@at is not cron".to_owned(), "use `at: 2026-12-01T09:00` in place of `cron`".to_owned())
    } else if name == "@reboot" {
        (
            "@reboot is not supported: a start is no point in time, and each restart or upgrade of \
             the daemon would run the job again"
                .to_owned(),
            "use `every` with `catch_up`, or start the program from a systemd unit".to_owned(),
        )
    } else {
        (
            format!("there is no schedule named '{name}'"),
            "known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually".into(),
        )
    };
    CronError { range, field: None, message, help }
}

struct Parser<'a> {
    text: &'a str,
    seed: &'a str,
    /// Index of the first field that is written: 0 with seconds, else 1.
    first: usize,
    masks: [u64; 6],
    cron: Cron,
    uneven: Vec<UnevenStep>,
    errors: Vec<CronError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, seed: &'a str, first: usize) -> Self {
        let cron = Cron {
            seconds: 0,
            minutes: 0,
            hours: 0,
            days: 0,
            nearest: 0,
            months: 0,
            reachable: 0,
            weekdays: 0,
            last: 0,
            nth: [0; 5],
            flags: 0,
        };
        let masks = [1, 0, 0, 0, 0, 0];
        let masks = if first == 0 { [0; 6] } else { masks };
        Self { text, seed, first, masks, cron, uneven: Vec::new(), errors: Vec::new() }
    }

    /// Reads one field, item by item, so that every bad item is told.
    fn field(&mut self, index: usize, range: Range<usize>) {
        let mut range = range;
        if index == DAY_OF_WEEK && self.text[range.clone()].starts_with('+') {
            self.cron.flags |= BOTH_DAYS;
            range.start += 1;
        }
        let mut start = range.start;
        for item in self.text[range.clone()].split(',') {
            let place = start..start + item.len();
            start = place.end + 1;
            if let Err((message, help)) = self.item(index, item, place.clone()) {
                // An empty item has no text of its own; its field shows the place.
                let range = if place.is_empty() { range.clone() } else { place };
                let field = Some((FIELDS[index].name, index - self.first + 1));
                self.errors.push(CronError { range, field, message, help });
            }
        }
    }

    fn item(&mut self, index: usize, item: &str, place: Range<usize>) -> Result<(), Fault> {
        let field = &FIELDS[index];
        if item.is_empty() {
            return fault(
                format!("an item of {} is empty", field.name),
                "take out the comma too many",
            );
        }
        if self.special(index, item)? {
            return Ok(());
        }
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step_of(field, step)?)),
            None => (item, None),
        };
        let (low, high) = match base {
            "*" => {
                self.open(index);
                (field.low, field.any)
            }
            "?" if index == DAY_OF_MONTH || index == DAY_OF_WEEK => {
                self.open(index);
                (field.low, field.any)
            }
            "?" => return fault("'?' stands for a day only", "write '*'"),
            _ if base.starts_with(['H', 'h']) => return self.hashed(index, base, step, place),
            _ => match (plain_range(index, base)?, step) {
                ((low, high), Some(_)) if low == high && !base.contains('-') => {
                    return step_without_range(field, item, low, step.unwrap_or(1));
                }
                (range, _) => range,
            },
        };
        let step = step.unwrap_or(1);
        check_step(field, (low, high), step)?;
        if base == "*" || base == "?" {
            self.note_uneven(field, low, step, place);
        }
        self.set(index, (low, high), step);
        Ok(())
    }

    /// Notes that a field holds a `*`.
    fn open(&mut self, index: usize) {
        self.cron.flags |= match index {
            DAY_OF_MONTH => ANY_DAY,
            MONTH => 0,
            DAY_OF_WEEK => ANY_WEEKDAY,
            _ => INTERVAL,
        };
    }

    fn set(&mut self, index: usize, (low, high): (u32, u32), step: u32) {
        let mut value = low;
        while value <= high {
            // Sunday is 0 and 7.
            let bit = if index == DAY_OF_WEEK { value % 7 } else { value };
            self.masks[index] |= 1 << bit;
            value += step;
        }
    }

    /// Notes steps from `first` on through the whole of a field, whose last one is shorter.
    fn note_uneven(&mut self, field: &Field, first: u32, step: u32, range: Range<usize>) {
        let size = field.any - field.low + 1;
        if !size.is_multiple_of(step) {
            let seam = (field.any - (field.any - first) % step, first);
            self.uneven.push(UnevenStep { range, field: field.name, step, seam });
        }
    }

    /// `H`, `H/15`, `H(0-29)`, `H(0-29)/10`: values that differ from job to job, and never for one job.
    fn hashed(
        &mut self,
        index: usize,
        base: &str,
        step: Option<u32>,
        place: Range<usize>,
    ) -> Result<(), Fault> {
        let field = &FIELDS[index];
        let inner = &base[1..];
        let (low, high) = match inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(range) => plain_range(index, range)?,
            None if inner.is_empty() => (field.low, field.hashed),
            None => return fault(format!("can't read '{base}'"), "write H, H/15 or H(0-29)"),
        };
        let step_or_all = step.unwrap_or(high - low + 1);
        if step.is_some() {
            check_step(field, (low, high), step_or_all)?;
        }
        let key = u64::try_from(index).unwrap_or(0);
        let pick = spread::hash(self.seed.as_bytes(), key) % u64::from(step_or_all);
        let start = low + u32::try_from(pick).unwrap_or(0);
        if step.is_some() && inner.is_empty() {
            // Like `*/n`: it fills the whole field.
            if index <= HOUR {
                self.cron.flags |= INTERVAL;
            }
            self.note_uneven(field, start, step_or_all, place);
        }
        self.set(index, (start, high), step_or_all);
        Ok(())
    }

    /// `L`, `LW`, `15W`, `5L`, `5#2`. Answers whether the item was one of them.
    fn special(&mut self, index: usize, item: &str) -> Result<bool, Fault> {
        match index {
            DAY_OF_MONTH => self.special_day(item),
            DAY_OF_WEEK => self.special_weekday(item),
            _ => Ok(false),
        }
    }

    fn special_day(&mut self, item: &str) -> Result<bool, Fault> {
        let upper = item.to_ascii_uppercase();
        match upper.as_str() {
            "L" => self.cron.flags |= LAST_DAY,
            "LW" | "WL" => self.cron.flags |= LAST_WEEKDAY,
            _ if upper.starts_with("L-") => {
                return fault(
                    "days before the last one are not supported",
                    "write L for the last day, LW for the last weekday",
                );
            }
            _ => match upper.strip_suffix('W') {
                Some(day) if day.bytes().all(|byte| byte.is_ascii_digit()) && !day.is_empty() => {
                    self.cron.nearest |= 1 << number(DAY_OF_MONTH, day)?;
                }
                Some(_) => {
                    return fault(
                        format!("can't read '{item}'"),
                        "W follows one day: 15W is the weekday nearest to the 15th",
                    );
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn special_weekday(&mut self, item: &str) -> Result<bool, Fault> {
        if let Some((day, nth)) = item.split_once('#') {
            let bit = 1 << (number(DAY_OF_WEEK, day)? % 7);
            match nth.parse::<usize>() {
                Ok(nth @ 1..=5) => self.cron.nth[nth - 1] |= bit,
                _ if nth.eq_ignore_ascii_case("l") => self.cron.last |= bit,
                _ => {
                    return fault(
                        format!("'#{nth}' is out of range #1–#5"),
                        "5#2 is the second Friday of the month, 5L the last one",
                    );
                }
            }
            return Ok(true);
        }
        match item.strip_suffix(['L', 'l']) {
            Some("") => fault("'L' needs a day of the week before it", "5L is the last Friday"),
            Some(day) => {
                self.cron.last |= 1 << (number(DAY_OF_WEEK, day)? % 7);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn finish(self, days: (Range<usize>, Range<usize>)) -> Result<Parsed, Vec<CronError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let [seconds, minutes, hours, days_of_month, months, weekdays] = self.masks;
        let low = |mask: u64| u32::try_from(mask).expect("a field has at most 32 values");
        let mut cron = self.cron;
        cron.seconds = seconds;
        cron.minutes = minutes;
        cron.hours = low(hours);
        cron.days = low(days_of_month);
        cron.months = u16::try_from(months).expect("months are bits 1 to 12");
        cron.weekdays = u8::try_from(weekdays).expect("weekdays are bits 0 to 6");
        cron.reachable = reachable(&cron);
        Ok(Parsed { cron, uneven: self.uneven, days })
    }
}

/// The months in which the days of the month can exist at all. Weekdays come round everywhere, so they
/// only matter where either field suffices.
fn reachable(cron: &Cron) -> u16 {
    let either = cron.flags & (ANY_DAY | ANY_WEEKDAY | BOTH_DAYS) == 0;
    let always = cron.flags & (LAST_DAY | LAST_WEEKDAY) != 0 || cron.days == ALL_DAYS;
    if either || always {
        return cron.months;
    }
    let days = cron.days | cron.nearest;
    let exists = |month: u32| {
        let length = match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        days.trailing_zeros() <= length
    };
    (1..=12).filter(|month| exists(*month)).fold(0, |mask, month| mask | 1 << month) & cron.months
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Two lines for each error: the text, and below the place in it what is wrong and the way out.
    fn reports(texts: &[&str]) -> String {
        let mut reports = String::new();
        for text in texts {
            let errors = match Cron::parse(text, "job") {
                Ok(cron) => panic!("{text}: {cron:?}"),
                Err(errors) => errors,
            };
            for CronError { range, field, message, help } in errors {
                let column = text[..range.start].chars().count();
                let marks = "^".repeat(text[range].chars().count().max(1));
                let field = field.map_or(String::new(), |(name, at)| format!(" {at} {name}:"));
                let help = if help.is_empty() { help } else { format!("; {help}") };
                let _ok = writeln!(reports, "{text}\n{:column$}{marks}{field} {message}{help}", "");
            }
        }
        reports
    }

    #[test]
    fn errors_of_whole_expressions() {
        let texts = [
            "",
            "* * * *",
            "* * * * * * *",
            "TZ=UTC * * * * *",
            "0 0 * * mon,tue, wed",
            "@every 5m",
            "@reboot",
            "@foo",
            "@at 10:00",
        ];
        insta::assert_snapshot!(reports(&texts), @r"

        ^ the expression is empty; minute hour day-of-month month day-of-week, with a second in front if there are 6
        * * * *
        ^^^^^^^ 5 fields or 6 are needed, this has 4; minute hour day-of-month month day-of-week, with a second in front if there are 6
        * * * * * * *
        ^^^^^^^^^^^^^ 5 fields or 6 are needed, this has 7; there is no year field: bound the schedule with `start` and `end`
        TZ=UTC * * * * *
        ^^^^^^^^^^^^^^^^ a time zone can't stand inside the expression; give it in its own key: `timezone: Area/City`
        0 0 * * mon,tue, wed
                ^^^^^^^^^^^^ a blank splits a list into two fields; write the list without it: mon,tue,wed
        @every 5m
        ^^^^^^^^^ @every is not cron; use `every: 5m` in place of `cron`
        @reboot
        ^^^^^^^ @reboot is not supported: a start is no point in time, and each restart or upgrade of the daemon would run the job again; use `every` with `catch_up`, or start the program from a systemd unit
        @foo
        ^^^^ there is no schedule named '@foo'; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually
        @at 10:00
        ^^^^^^^^^ @at is not cron; use `at: 2026-12-01T09:00` in place of `cron`
        ");
    }

    #[test]
    fn errors_of_values() {
        let texts = [
            "75 * * * *",
            "0 24 * * *",
            "0 0 0 13 8",
            "99999999999 * * * *",
            "mon * * * *",
            "* * * foo *",
            "* * * january *",
            "* * * * monday",
            "* * jan * *",
            "? * * * *",
            "*5 * * * *",
            "ä * * * *",
            "0~30 * * * *",
            "a,75,3-x 99 * * *",
        ];
        insta::assert_snapshot!(reports(&texts), @r"
        75 * * * *
        ^^ 1 minute: minute 75 is out of range 0–59
        0 24 * * *
          ^^ 2 hour: hour 24 is out of range 0–23; midnight is hour 0
        0 0 0 13 8
            ^ 3 day-of-month: day-of-month 0 is out of range 1–31
        0 0 0 13 8
              ^^ 4 month: month 13 is out of range 1–12
        0 0 0 13 8
                 ^ 5 day-of-week: day-of-week 8 is out of range 0–7
        99999999999 * * * *
        ^^^^^^^^^^^ 1 minute: minute 99999999999 is out of range 0–59
        mon * * * *
        ^^^ 1 minute: 'mon' is no minute; names of weekdays belong into the last field
        * * * foo *
              ^^^ 4 month: 'foo' is no month; it takes 1–12 or JAN–DEC, and *, lists (1,5), ranges (1-5), steps (*/5)
        * * * january *
              ^^^^^^^ 4 month: 'january' is no month; names have three letters: JAN
        * * * * monday
                ^^^^^^ 5 day-of-week: 'monday' is no day-of-week; names have three letters: MON
        * * jan * *
            ^^^ 3 day-of-month: 'jan' is no day-of-month; names of months belong into the field before the last
        ? * * * *
        ^ 1 minute: '?' stands for a day only; write '*'
        *5 * * * *
        ^^ 1 minute: '*5' is no minute; it takes 0–59, and *, lists (1,5), ranges (1-5), steps (*/5)
        ä * * * *
        ^ 1 minute: 'ä' is no minute; it takes 0–59, and *, lists (1,5), ranges (1-5), steps (*/5)
        0~30 * * * *
        ^^^^ 1 minute: '0~30' is no minute; for a value that differs from job to job write H(0-29)
        a,75,3-x 99 * * *
        ^ 1 minute: 'a' is no minute; it takes 0–59, and *, lists (1,5), ranges (1-5), steps (*/5)
        a,75,3-x 99 * * *
          ^^ 1 minute: minute 75 is out of range 0–59
        a,75,3-x 99 * * *
             ^^^ 1 minute: 'x' is no minute; it takes 0–59, and *, lists (1,5), ranges (1-5), steps (*/5)
        a,75,3-x 99 * * *
                 ^^ 2 hour: hour 99 is out of range 0–23
        ");
    }

    #[test]
    fn errors_of_ranges_and_steps() {
        let texts = [
            "0 22-2 * * *",
            "* * * * fri-mon",
            "* * * * sat-tue",
            "1- * * * *",
            "-1 * * * *",
            "1,,2 * * * *",
            "5/15 * * * *",
            "*/0 * * * *",
            "*/90 * * * *",
            "*/x * * * *",
            "0-10/20 * * * *",
        ];
        insta::assert_snapshot!(reports(&texts), @r"
        0 22-2 * * *
          ^^^^ 2 hour: the range 22-2 of hour is reversed; to wrap around write 22-23,0-2
        * * * * fri-mon
                ^^^^^^^ 5 day-of-week: the range fri-mon of day-of-week is reversed; to wrap around write 5-6,0-1
        * * * * sat-tue
                ^^^^^^^ 5 day-of-week: the range sat-tue of day-of-week is reversed; to wrap around write 6,0-2
        1- * * * *
        ^^ 1 minute: a value of minute is missing; a range is written 1-5
        -1 * * * *
        ^^ 1 minute: a value of minute is missing; a range is written 1-5
        1,,2 * * * *
        ^^^^ 1 minute: an item of minute is empty; take out the comma too many
        5/15 * * * *
        ^^^^ 1 minute: the step in '5/15' has no range to walk through; write 5-59/15 to start at 5, or */15
        */0 * * * *
        ^^^ 1 minute: a step of 0 never ends; leave the step out, or make it 1 or more
        */90 * * * *
        ^^^^ 1 minute: a step of 90 in minute only ever meets 0; write 0, or `every: 90m` in place of `cron`
        */x * * * *
        ^^^ 1 minute: '/x' is no step of minute; a step is written */15
        0-10/20 * * * *
        ^^^^^^^ 1 minute: a step of 20 in minute only ever meets 0; write 0, or `every: 20m` in place of `cron`
        ");
    }

    #[test]
    fn errors_of_days_and_hashes() {
        let texts = [
            "* * L-3 * *",
            "* * 1-5W * *",
            "* * 32W * *",
            "* * * * L",
            "* * * * 5#6",
            "* * * * 9#1",
            "H(0-99) * * * *",
            "H( * * * *",
            "H/99 * * * *",
        ];
        insta::assert_snapshot!(reports(&texts), @r"
        * * L-3 * *
            ^^^ 3 day-of-month: days before the last one are not supported; write L for the last day, LW for the last weekday
        * * 1-5W * *
            ^^^^ 3 day-of-month: can't read '1-5W'; W follows one day: 15W is the weekday nearest to the 15th
        * * 32W * *
            ^^^ 3 day-of-month: day-of-month 32 is out of range 1–31
        * * * * L
                ^ 5 day-of-week: 'L' needs a day of the week before it; 5L is the last Friday
        * * * * 5#6
                ^^^ 5 day-of-week: '#6' is out of range #1–#5; 5#2 is the second Friday of the month, 5L the last one
        * * * * 9#1
                ^^^ 5 day-of-week: day-of-week 9 is out of range 0–7
        H(0-99) * * * *
        ^^^^^^^ 1 minute: minute 99 is out of range 0–59
        H( * * * *
        ^^ 1 minute: can't read 'H('; write H, H/15 or H(0-29)
        H/99 * * * *
        ^^^^ 1 minute: a step of 99 in minute only ever meets 0; write 0, or `every: 99m` in place of `cron`
        ");
    }
}
