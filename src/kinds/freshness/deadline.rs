//! A time of the day by which there must have been a success.
//!
//! Owns how it is written: `by: "09:00", on: weekdays, timezone: Europe/Berlin`. Refuses to know when it has
//! passed (`plan::staleness`).

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::FreshnessSection;
use crate::model::Deadline;
use crate::yaml::decode::zone;
use crate::yaml::{Code, Decoder, Located};

/// The days of the week, Sunday first.
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const EVERY_DAY: u8 = 0b111_1111;

impl FreshnessSection {
    /// The deadline, if there is one; what is wrong with it was reported.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let time = time_of(self.by.as_ref()?)?;
        Some(Deadline {
            hour: time.hour().unsigned_abs(),
            minute: time.minute().unsigned_abs(),
            weekdays: self.weekdays(),
            timezone: self
                .timezone
                .as_ref()
                .map_or(TimeZone::UTC, |name| TimeZone::get(&name.value).unwrap_or(TimeZone::UTC)),
        })
    }

    fn weekdays(&self) -> u8 {
        match self.on.as_ref() {
            None => EVERY_DAY,
            Some(days) => {
                days.0.iter().filter_map(|day| mask(&day.value)).fold(0, |all, day| all | day)
            }
        }
    }

    /// Reports what is wrong with the deadline.
    pub(super) fn check_deadline(&self, cx: &mut Decoder) {
        let Some(by) = self.by.as_ref() else {
            let days = self.on.iter().flat_map(|days| &days.0);
            for (key, at) in days
                .map(|day| ("on", day.span))
                .chain(self.timezone.iter().map(|it| ("timezone", it.span)))
            {
                let message = format!("`{key}` belongs to `by`");
                let help =
                    "write it like `{ by: \"09:00\", on: weekdays, timezone: Europe/Berlin }`";
                cx.report(Code::Contradiction, at, message).help(help);
            }
            return;
        };
        if time_of(by).is_none() {
            let message = format!("`{}` is no time of the day", by.value);
            cx.report(Code::OutOfRange, by.span, message).help("write it like `\"09:00\"`");
        }
        for day in self.on.iter().flat_map(|days| &days.0) {
            if mask(&day.value).is_none() {
                let message = format!("`{}` is no day of the week", day.value);
                let help = "write `weekdays`, `weekends`, or days such as `[mon, thu]`";
                cx.report(Code::OutOfRange, day.span, message).help(help);
            }
        }
        if let Some(name) = &self.timezone
            && TimeZone::get(&name.value).is_err()
        {
            let message = format!("unknown time zone `{}`", name.value);
            cx.report(Code::UnknownTimeZone, name.span, message).help(zone::way_out(&name.value));
        }
    }
}

fn time_of(by: &Located<String>) -> Option<Time> {
    let (hour, minute) = by.value.split_once(':')?;
    let two = |text: &str, most: i8| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i8>().ok().filter(|number| digits && *number <= most)
    };
    if minute.len() != 2 {
        return None;
    }
    Time::new(two(hour, 23)?, two(minute, 59)?, 0, 0).ok()
}

fn mask(word: &str) -> Option<u8> {
    match word {
        "weekdays" => Some(0b011_1110),
        "weekends" => Some(0b100_0001),
        "daily" => Some(EVERY_DAY),
        day => DAYS.iter().position(|name| *name == day).map(|index| 1 << index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Span;

    #[test]
    fn times_and_days() {
        let time = |text: &str| {
            let by = Located { value: text.to_owned(), span: Span::default() };
            time_of(&by).map(|time| (time.hour(), time.minute()))
        };
        assert_eq!((time("09:00"), time("9:05")), (Some((9, 0)), Some((9, 5))));
        for bad in ["24:00", "9", "09:60", "9:5", "+9:00", "", ":", "09:00:00"] {
            assert_eq!(time(bad), None, "{bad}");
        }
        let days = [mask("weekdays"), mask("sun"), mask("sat"), mask("Mon"), mask("")];
        assert_eq!(days, [Some(62), Some(1), Some(64), None, None]);
    }
}
