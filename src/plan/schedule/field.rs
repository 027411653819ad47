//! The six fields of a cron expression: what each may hold, and the values as they are written.
//!
//! Owns numbers, names, plain ranges and steps with the messages about them. Refuses to know where in the
//! text a value stands, and what it does to a mask.

/// What a field may hold.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) low: u32,
    pub(super) high: u32,
    /// Highest value of `*` and `H`: Sunday has two numbers, and a hashed day has to be in each month.
    pub(super) any: u32,
    pub(super) hashed: u32,
}

pub(super) const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, any: 59, hashed: 59 },
    Field { name: "minute", low: 0, high: 59, any: 59, hashed: 59 },
    Field { name: "hour", low: 0, high: 23, any: 23, hashed: 23 },
    Field { name: "day-of-month", low: 1, high: 31, any: 31, hashed: 28 },
    Field { name: "month", low: 1, high: 12, any: 12, hashed: 12 },
    Field { name: "day-of-week", low: 0, high: 7, any: 6, hashed: 6 },
];

pub(super) const HOUR: usize = 2;
pub(super) const DAY_OF_MONTH: usize = 3;
pub(super) const MONTH: usize = 4;
pub(super) const DAY_OF_WEEK: usize = 5;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What went wrong within an item: the message and the way out.
pub(super) type Fault = (String, String);

pub(super) fn fault<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Fault> {
    Err((message.into(), help.into()))
}

/// `a`, `a-b`.
pub(super) fn plain_range(index: usize, base: &str) -> Result<(u32, u32), Fault> {
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
pub(super) fn number(index: usize, text: &str) -> Result<u32, Fault> {
    let field = &FIELDS[index];
    let bounds = format_args!("{}–{}", field.low, field.high);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u32>() {
            Ok(value) if (field.low..=field.high).contains(&value) => Ok(value),
            Ok(24) if index == HOUR => fault("hour 24 is out of range 0–23", "midnight is hour 0"),
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

pub(super) fn step_of(field: &Field, text: &str) -> Result<u32, Fault> {
    match text.parse::<u32>() {
        Ok(0) => fault("a step of 0 never ends", "leave the step out, or make it 1 or more"),
        Ok(step) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(step),
        _ => fault(format!("'/{text}' is no step of {}", field.name), "a step is written */15"),
    }
}

pub(super) fn check_step(field: &Field, (low, high): (u32, u32), step: u32) -> Result<(), Fault> {
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

pub(super) fn step_without_range<T>(
    field: &Field,
    item: &str,
    low: u32,
    step: u32,
) -> Result<T, Fault> {
    let high = field.any;
    fault(
        format!("the step in '{item}' has no range to walk through"),
        format!("write {low}-{high}/{step} to start at {low}, or */{step}"),
    )
}
