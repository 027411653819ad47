//! A cron expression, packed into bit masks, and its search over local time.
//!
//! Owns which local dates and times match. Refuses to know time zones: local time is a count of seconds
//! since 1970-01-01T00:00 on the wall (`zone` lays it onto real instants), and how an expression is
//! written (`parse`).
//!
//! Why not croner: it takes 5.5 KB for each schedule, while ten thousand jobs have to fit into 40 MB with
//! everything else; its search for an impossible date costs 20 ms; its errors have no positions. It is the
//! oracle in the tests instead.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

/// Seconds of a day on the wall.
pub(super) const DAY: i64 = 86_400;

/// The first instant that no schedule reaches: 2200-01-01T00:00Z, in seconds.
pub(super) const LIMIT: i64 = 7_258_118_400;

/// A cron expression. 40 bytes, so that it is copied and not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cron {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u32,
    /// Days of the month, bits 1–31.
    pub(super) days: u32,
    /// Days of the month whose nearest weekday is meant (`15W`), bits 1–31.
    pub(super) nearest: u32,
    /// Months, bits 1–12.
    pub(super) months: u16,
    /// The months of `months` in which some year has a matching day, so that an impossible date is known
    /// as such without a search.
    pub(super) reachable: u16,
    /// Days of the week, bit 0 is Sunday.
    pub(super) weekdays: u8,
    /// Days of the week of which the last in a month is meant (`5L`).
    pub(super) last: u8,
    /// Days of the week of which the nth in a month is meant (`5#2`), the first at index 0.
    pub(super) nth: [u8; 5],
    pub(super) flags: u8,
}

/// The last day of the month (`L`).
pub(super) const LAST_DAY: u8 = 1;
/// The last weekday of the month (`LW`).
pub(super) const LAST_WEEKDAY: u8 = 1 << 1;
/// The day of the month is not restricted: its field holds a `*`.
pub(super) const ANY_DAY: u8 = 1 << 2;
/// The day of the week is not restricted: its field holds a `*`.
pub(super) const ANY_WEEKDAY: u8 = 1 << 3;
/// Both day fields have to match (`+` before the day of the week).
pub(super) const BOTH_DAYS: u8 = 1 << 4;
/// A `*` stands in second, minute or hour: the job follows real time over clock changes.
pub(super) const INTERVAL: u8 = 1 << 5;

impl Cron {
    /// Whether it is an interval job: `*` or `*/n` in second, minute or hour. Such a job follows real time
    /// through a clock change; every other one is a fixed-time job and obeys the [`crate::model::Dst`] policy.
    /// Plain ranges and lists are fixed times, as in cronie.
    #[must_use]
    pub fn is_interval(&self) -> bool {
        self.has(INTERVAL)
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The first matching local second in `from..until`.
    pub(super) fn next_local(&self, from: i64, until: i64) -> Option<i64> {
        if from >= until || self.reachable == 0 {
            return None;
        }
        let day = from.div_euclid(DAY);
        let date = date_of(day)?;
        let mut month = Month::of(date);
        let mut days = self.days_of(&month) & (u32::MAX << date.day());
        // The rest of the first day counts only from `from` on.
        if days & (1 << date.day()) != 0 {
            if let Some(time) = self.next_time(from.rem_euclid(DAY)) {
                return Some(day * DAY + time).filter(|at| *at < until);
            }
            days &= !(1 << date.day());
        }
        while days == 0 {
            month = month.next_in(self.reachable)?;
            if month.start * DAY >= until {
                return None;
            }
            days = self.days_of(&month);
        }
        let day = month.start + i64::from(days.trailing_zeros()) - 1;
        Some(day * DAY + self.first_time()).filter(|at| *at < until)
    }

    /// How many local seconds in `from..until` match.
    pub(super) fn count_local(&self, from: i64, until: i64) -> u64 {
        if from >= until || self.reachable == 0 {
            return 0;
        }
        self.count_since(from.div_euclid(DAY), until) - self.count_since(from.div_euclid(DAY), from)
    }

    /// How many match from the start of `first_day` until `until`.
    fn count_since(&self, first_day: i64, until: i64) -> u64 {
        let last_day = until.div_euclid(DAY);
        let Some(date) = date_of(first_day) else { return 0 };
        let mut month = Month::of(date);
        let mut mask = u32::MAX << date.day();
        let mut whole_days = 0;
        let mut part = 0;
        loop {
            let mut days = self.days_of(&month) & mask;
            let end = last_day - month.start + 1;
            if let Ok(end @ ..=31) = u32::try_from(end) {
                // `until` lies in this month: its own day counts in part.
                if days & (1 << end) != 0 {
                    part = self.count_before(until.rem_euclid(DAY));
                }
                days &= (1 << end) - 1;
            }
            whole_days += u64::from(days.count_ones());
            mask = u32::MAX;
            match month.next_in(self.reachable) {
                Some(next) if next.start <= last_day => month = next,
                _ => break,
            }
        }
        whole_days * self.count_per_day() + part
    }

    /// Slots of a matching day of 24 hours.
    pub(super) fn count_per_day(&self) -> u64 {
        count(u64::from(self.hours)) * count(self.minutes) * count(self.seconds)
    }

    /// Slots of a matching day before a second of the day.
    fn count_before(&self, time: i64) -> u64 {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let hours = u64::from(self.hours);
        let in_minute = if bit(self.minutes, minute) { below(self.seconds, second) } else { 0 };
        let in_hour = if bit(hours, hour) {
            below(self.minutes, minute) * count(self.seconds) + in_minute
        } else {
            0
        };
        below(hours, hour) * count(self.minutes) * count(self.seconds) + in_hour
    }

    fn first_time(&self) -> i64 {
        let hour = i64::from(self.hours.trailing_zeros());
        hour * 3600 + self.first_in_hour()
    }

    fn first_in_hour(&self) -> i64 {
        i64::from(self.minutes.trailing_zeros()) * 60 + i64::from(self.seconds.trailing_zeros())
    }

    /// The first matching second of a day from `from` on.
    fn next_time(&self, from: i64) -> Option<i64> {
        let (hour, minute, second) = (from / 3600, from / 60 % 60, from % 60);
        if bit(u64::from(self.hours), hour) {
            if bit(self.minutes, minute)
                && let Some(second) = bit_from(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = bit_from(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + i64::from(self.seconds.trailing_zeros()));
            }
        }
        let hour = bit_from(u64::from(self.hours), hour + 1)?;
        Some(hour * 3600 + self.first_in_hour())
    }

    /// The matching days of a month, bits 1–31.
    fn days_of(&self, month: &Month) -> u32 {
        if self.months & (1 << month.number) == 0 {
            return 0;
        }
        let all = ((1_u32 << month.length) - 1) << 1;
        if self.has(ANY_DAY)
            && self.has(ANY_WEEKDAY)
            && self.days == ALL_DAYS
            && self.weekdays == 0x7f
        {
            return all;
        }
        let by_day = self.days_by_number(month);
        let by_weekday = self.days_by_weekday(month);
        let both = self.flags & (ANY_DAY | ANY_WEEKDAY | BOTH_DAYS) != 0;
        (if both { by_day & by_weekday } else { by_day | by_weekday }) & all
    }

    fn days_by_number(&self, month: &Month) -> u32 {
        let mut days = self.days;
        if self.has(LAST_DAY) {
            days |= 1 << month.length;
        }
        if self.has(LAST_WEEKDAY) {
            let back = match month.weekday_of(month.length) {
                0 => 2,
                6 => 1,
                _ => 0,
            };
            days |= 1 << (month.length - back);
        }
        let mut nearest = self.nearest;
        while nearest != 0 {
            let day = nearest.trailing_zeros();
            nearest &= nearest - 1;
            if day <= month.length {
                days |= 1 << month.nearest_weekday(day);
            }
        }
        days
    }

    fn days_by_weekday(&self, month: &Month) -> u32 {
        let shift = month.first_weekday;
        let mut days = 0;
        for (week, nth) in (0..).zip(self.nth) {
            // Bit 0 of the turned mask is the weekday of the week's first day.
            let turned = u64::from(turn(self.weekdays | nth, shift));
            days |= turned << (7 * week + 1);
        }
        let tail = month.length - 6;
        days |= u64::from(turn(self.last, month.weekday_of(tail))) << tail;
        u32::try_from(days & u64::from(u32::MAX)).unwrap_or(0)
    }
}

/// Every day of a month, bits 1–31.
pub(super) const ALL_DAYS: u32 = u32::MAX << 1;

/// A month of a year.
struct Month {
    year: i16,
    /// 1–12.
    number: u32,
    /// Day of its first, counted from 1970-01-01.
    start: i64,
    /// Days it has.
    length: u32,
    /// The weekday of its first; 0 is Sunday.
    first_weekday: u32,
}

impl Month {
    fn of(date: Date) -> Self {
        let first = date.first_of_month();
        let start = Offset::UTC
            .to_timestamp(first.to_datetime(Time::midnight()))
            .map_or(i64::MAX / DAY, |at| at.as_second().div_euclid(DAY));
        Self {
            year: first.year(),
            number: first.month().unsigned_abs().into(),
            start,
            length: first.days_in_month().unsigned_abs().into(),
            first_weekday: first.weekday().to_sunday_zero_offset().unsigned_abs().into(),
        }
    }

    /// The next month whose bit is set in `months`.
    fn next_in(&self, months: u16) -> Option<Self> {
        let later = u32::from(months) & (u32::MAX << (self.number + 1));
        let (year, number) = if later == 0 {
            (self.year + 1, u32::from(months).trailing_zeros())
        } else {
            (self.year, later.trailing_zeros())
        };
        Date::new(year, i8::try_from(number).ok()?, 1).ok().map(Self::of)
    }

    fn weekday_of(&self, day: u32) -> u32 {
        (self.first_weekday + day - 1) % 7
    }

    /// The weekday (Monday to Friday) nearest to a day, within the month.
    fn nearest_weekday(&self, day: u32) -> u32 {
        match self.weekday_of(day) {
            6 if day > 1 => day - 1,
            6 => day + 2,
            0 if day < self.length => day + 1,
            0 => day - 2,
            _ => day,
        }
    }
}

/// The date of a day counted from 1970-01-01.
pub(super) fn date_of(day: i64) -> Option<Date> {
    let at = Timestamp::from_second(day.checked_mul(DAY)?).ok()?;
    Some(Offset::UTC.to_datetime(at).date())
}

/// Turns a mask of seven weekdays so that `first` becomes bit 0.
fn turn(weekdays: u8, first: u32) -> u8 {
    let mask = u32::from(weekdays);
    let turned = (mask >> first | mask << (7 - first)) & 0x7f;
    u8::try_from(turned).unwrap_or(0)
}

fn bit(mask: u64, at: i64) -> bool {
    mask >> at & 1 != 0
}

/// The first set bit from `from` on.
fn bit_from(mask: u64, from: i64) -> Option<i64> {
    let left = mask & u64::MAX.checked_shl(u32::try_from(from).ok()?).unwrap_or(0);
    (left != 0).then(|| i64::from(left.trailing_zeros()))
}

fn count(mask: u64) -> u64 {
    mask.count_ones().into()
}

/// Set bits below `end`.
fn below(mask: u64, end: i64) -> u64 {
    count(mask & ((1 << end) - 1))
}
