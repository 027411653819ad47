//! Times and days as they are written.
//!
//! Owns the formats, and what a time without a zone means. A time that a clock shows twice (it was set back)
//! is the first of the two; one that it never shows (it was set forward) is as much later as the gap is long:
//! the rule of RFC 5545. Refuses to guess a zone.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::{strtime, temporal::Pieces};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Wrong;
use super::number::Exact;

/// How times are written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Format {
    /// ISO 8601, with a space in place of the `T` too.
    Iso,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
    /// Days since 1899-12-30, as in sheets.
    Serial,
    /// Any other.
    Strftime(String),
}

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Day 0 of a sheet.
const SHEET_EPOCH: Date = Date::constant(1899, 12, 30);

const OUT_OF_RANGE: Wrong = Wrong("it is out of the range of times");

const NO_ZONE: Wrong = Wrong("it names no zone, and neither does the column: give it a `zone`");

/// A point in time, as microseconds since 1970.
pub(super) fn timestamp(
    text: &str,
    format: &Format,
    zone: Option<&TimeZone>,
) -> Result<i64, Wrong> {
    match format {
        Format::Iso => iso(text, zone),
        Format::EpochS => micros(Exact::read(text)?.floored(6)?),
        Format::EpochMs => micros(Exact::read(text)?.floored(3)?),
        Format::Serial => local(serial(text)?, zone),
        Format::Strftime(format) => {
            let wrong = |_| Wrong("it is not written in the column's format");
            let parsed = strtime::parse(format, text).map_err(wrong)?;
            if parsed.offset().is_some() {
                return Ok(parsed.to_timestamp().map_err(wrong)?.as_microsecond());
            }
            let midnight = |_| parsed.to_date().map(|date| date.to_datetime(Time::midnight()));
            local(parsed.to_datetime().or_else(midnight).map_err(wrong)?, zone)
        }
    }
}

fn iso(text: &str, zone: Option<&TimeZone>) -> Result<i64, Wrong> {
    let pieces = Pieces::parse(text).map_err(|_| Wrong("it is no time of ISO 8601"))?;
    let time = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    match pieces.to_numeric_offset() {
        Some(offset) => {
            let at = offset.to_timestamp(time).map_err(|_| OUT_OF_RANGE)?;
            Ok(at.as_microsecond())
        }
        None => local(time, zone),
    }
}

fn micros(since: i128) -> Result<i64, Wrong> {
    let since = i64::try_from(since).map_err(|_| OUT_OF_RANGE)?;
    Timestamp::from_microsecond(since).map_err(|_| OUT_OF_RANGE)?;
    Ok(since)
}

fn local(time: DateTime, zone: Option<&TimeZone>) -> Result<i64, Wrong> {
    let zone = zone.ok_or(NO_ZONE)?;
    let at = zone.to_ambiguous_timestamp(time).compatible().map_err(|_| OUT_OF_RANGE)?;
    Ok(at.as_microsecond())
}

/// A sheet's number as the local time that it shows. Sheets count in binary fractions of a day, which are
/// some microseconds off: to the millisecond, they are right.
fn serial(text: &str) -> Result<DateTime, Wrong> {
    // 24 digits behind the point are beyond what the number can mean, and their product still fits.
    let days = Exact::read(text)?.floored(15)?;
    let millis = days.checked_mul(DAY / 1000).ok_or(OUT_OF_RANGE)?;
    let unit = 1_000_000_000_000_000;
    let millis = (millis + unit / 2).div_euclid(unit);
    let millis = i64::try_from(millis).map_err(|_| OUT_OF_RANGE)?;
    let start = SHEET_EPOCH.to_datetime(Time::midnight());
    start.checked_add(SignedDuration::from_millis(millis)).map_err(|_| OUT_OF_RANGE)
}

/// A day, as days since 1970-01-01.
pub(super) fn date(text: &str, format: &Format, zone: Option<&TimeZone>) -> Result<i32, Wrong> {
    let date = match format {
        Format::Iso => {
            let pieces = Pieces::parse(text).map_err(|_| Wrong("it is no day of ISO 8601"))?;
            whole_day(pieces.date(), pieces.time().unwrap_or(Time::midnight()))?
        }
        Format::Serial => {
            let at = serial(text)?;
            whole_day(at.date(), at.time())?
        }
        Format::EpochS | Format::EpochMs => {
            let at = timestamp(text, format, zone)?;
            let at = Timestamp::from_microsecond(at).map_err(|_| OUT_OF_RANGE)?;
            zone.unwrap_or(&TimeZone::UTC).to_datetime(at).date()
        }
        Format::Strftime(format) => strtime::parse(format, text)
            .and_then(|parsed| parsed.to_date())
            .map_err(|_| Wrong("it is not written in the column's format"))?,
    };
    days(date)
}

fn whole_day(date: Date, time: Time) -> Result<Date, Wrong> {
    if time == Time::midnight() {
        Ok(date)
    } else {
        Err(Wrong("it has a time of day: make the column a `timestamp`"))
    }
}

fn days(date: Date) -> Result<i32, Wrong> {
    let since = EPOCH.until(date).map_err(|_| OUT_OF_RANGE)?;
    Ok(since.get_days())
}
