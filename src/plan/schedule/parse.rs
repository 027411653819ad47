//! The text of a cron expression to [`Cron`].
//!
//! Owns the grammar and every message about it, each with its place in the text. Refuses to know what
//! the masks mean for time.

use std::ops::Range;

use super::cron::{
    ALL_DAYS, ANY_DAY, ANY_WEEKDAY, BOTH_DAYS, Cron, INTERVAL, LAST_DAY, LAST_WEEKDAY,
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

/// What a field may hold.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Highest value of `*` and `H`: Sunday has two numbers, and a hashed day has to be in each month.
    any: u32,
    hashed: u32,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, any: 59, hashed: 59 },
    Field { name: "minute", low: 0, high: 59, any: 59, hashed: 59 },
    Field { name: "hour", low: 0, high: 23, any: 23, hashed: 23 },
    Field { name: "day-of-month", low: 1, high: 31, any: 31, hashed: 28 },
    Field { name: "month", low: 1, high: 12, any: 12, hashed: 12 },
    Field { name: "day-of-week", low: 0, high: 7, any: 6, hashed: 6 },
];

const HOUR: usize = 2;
const DAY_OF_MONTH: usize = 3;
const MONTH: usize = 4;
const DAY_OF_WEEK: usize = 5;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

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
    #[expect(dead_code, reason = "the lints read it, in the next commit")]
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

/// What went wrong within an item: the message and the way out.
type Fault = (String, String);

fn fault<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Fault> {
    Err((message.into(), help.into()))
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
            self.note_uneven(field, (low, high), step, place);
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

    fn note_uneven(&mut self, field: &Field, range: (u32, u32), step: u32, place: Range<usize>) {
        let (low, high) = range;
        let rest = (high - low) % step;
        if (high - low + 1).is_multiple_of(step) {
            return;
        }
        let seam = (high - rest, low);
        self.uneven.push(UnevenStep { range: place, field: field.name, step, seam });
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
            self.note_uneven(field, (start, start + high - low), step_or_all, place);
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

/// `a`, `a-b`.
fn plain_range(index: usize, base: &str) -> Result<(u32, u32), Fault> {
    let field = &FIELDS[index];
    let Some((from, to)) = base.split_once('-') else {
        let value = number(index, base)?;
        return Ok((value, value));
    };
    let low = number(index, from)?;
    let mut high = number(index, to)?;
    // A range may end on Sunday by name.
    if index == DAY_OF_WEEK && high == 0 && low > 0 {
        high = 7;
    }
    if low <= high {
        return Ok((low, high));
    }
    let one = |low: u32, high: u32| {
        if low == high { low.to_string() } else { format!("{low}-{high}") }
    };
    let top = if index == DAY_OF_WEEK { 6 } else { field.high };
    let help = format!("to wrap around write {},{}", one(low, top.max(low)), one(field.low, high));
    fault(format!("the range {base} of {} is reversed", field.name), help)
}

/// One value of a field, as a number or a name.
fn number(index: usize, text: &str) -> Result<u32, Fault> {
    let field = &FIELDS[index];
    let bounds = format_args!("{}–{}", field.low, field.high);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u32>() {
            Ok(value) if (field.low..=field.high).contains(&value) => Ok(value),
            _ => fault(format!("{} {text} is out of range {bounds}", field.name), ""),
        };
    }
    if let Some(value) = name(index, text) {
        return Ok(value);
    }
    if text.is_empty() {
        return fault(format!("a value of {} is missing", field.name), "a range is written 1-5");
    }
    fault(format!("'{text}' is no {}", field.name), help_for(index, text))
}

/// The way out where a value is no number and no name of its field.
fn help_for(index: usize, text: &str) -> String {
    let field = &FIELDS[index];
    let short = text.get(..3).unwrap_or(text).to_ascii_lowercase();
    let by_name = |names: &[&str]| names.contains(&short.as_str());
    if by_name(&WEEKDAYS) && index == DAY_OF_WEEK || by_name(&MONTHS) && index == MONTH {
        return format!("names have three letters: {}", short.to_ascii_uppercase());
    }
    if by_name(&WEEKDAYS) {
        return "names of weekdays belong into the last field".to_owned();
    }
    if by_name(&MONTHS) {
        return "names of months belong into the field before the last".to_owned();
    }
    if text.contains('~') {
        return "for a value that differs from job to job write H(0-29)".to_owned();
    }
    let names = match index {
        MONTH => " or JAN–DEC",
        DAY_OF_WEEK => " or SUN–SAT",
        _ => "",
    };
    format!(
        "it takes {}–{}{names}, and *, lists (1,5), ranges (1-5), steps (*/5)",
        field.low, field.high
    )
}

fn name(index: usize, text: &str) -> Option<u32> {
    let (names, first): (&[&str], u32) = match index {
        MONTH => (&MONTHS, 1),
        DAY_OF_WEEK => (&WEEKDAYS, 0),
        _ => return None,
    };
    let at = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    u32::try_from(at).ok().map(|at| at + first)
}

fn step_of(field: &Field, text: &str) -> Result<u32, Fault> {
    match text.parse::<u32>() {
        Ok(0) => fault("a step of 0 never ends", "leave the step out, or make it 1 or more"),
        Ok(step) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(step),
        _ => fault(format!("'/{text}' is no step of {}", field.name), "a step is written */15"),
    }
}

fn check_step(field: &Field, (low, high): (u32, u32), step: u32) -> Result<(), Fault> {
    if step == 1 || step <= high - low {
        return Ok(());
    }
    let unit = match field.name {
        "second" => Some('s'),
        "minute" => Some('m'),
        "hour" => Some('h'),
        _ => None,
    };
    let mut help = format!("write {low}");
    if let Some(unit) = unit {
        help = format!("{help}, or `every: {step}{unit}` in place of `cron`");
    }
    fault(format!("a step of {step} in {} only ever meets {low}", field.name), help)
}

fn step_without_range<T>(field: &Field, item: &str, low: u32, step: u32) -> Result<T, Fault> {
    let high = field.any;
    fault(
        format!("the step in '{item}' has no range to walk through"),
        format!("write {low}-{high}/{step} to start at {low}, or */{step}"),
    )
}
