//! Schedules against two oracles: croner, and a naive one that walks real instants minute by minute.
//!
//! Owns the large property suites of `plan::schedule`; its tables stand beside the code.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

#[path = "schedule/croner_oracle.rs"]
mod croner_oracle;
#[path = "schedule/naive.rs"]
mod naive;
#[path = "schedule/properties.rs"]
mod properties;
#[path = "schedule/zoned.rs"]
mod zoned;

use jada::model::Dst;
use jada::plan::schedule::{Schedule, TriggerSpec, When};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Zones of every kind: usual changes north and south, half an hour (Lord Howe), 45-minute offsets
/// (Chatham), two hours (Troll), changes at midnight (São Paulo, Beirut, Amman, Asunción, Havana), a day left
/// out (Apia), negative summer time (Dublin), Ramadan (Casablanca, Cairo, Gaza), none at all (UTC, Kolkata).
const ZONES: [&str; 44] = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Adak",
    "America/Halifax",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Havana",
    "America/Mexico_City",
    "America/Caracas",
    "America/Nuuk",
    "America/Scoresbysund",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Windhoek",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Asia/Ulaanbaatar",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Fiji",
    "UTC",
];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn cron(expression: &str, zone: &TimeZone, dst: Dst) -> Schedule {
    let when = When::Cron(expression.to_owned());
    let spec = TriggerSpec { timezone: zone.clone(), dst, ..TriggerSpec::new(when) };
    Schedule::compile(&[spec], "job").unwrap_or_else(|errors| panic!("{expression}: {errors:?}"))
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap()
}
