//! What a schedule costs, side by side with croner: parsing, the next slot, memory.
//!
//! `cargo bench --bench schedule`. Prints medians and ratios; asserts nothing about time.

#![expect(clippy::unwrap_used, reason = "a bench may stop at what must not happen")]
#![expect(clippy::print_stdout, reason = "its table is what a bench is for")]

#[path = "../schedule/zoned.rs"]
mod zoned;

use std::hint::black_box;
use std::time::Duration;

use croner::Cron as Croner;
use jada::plan::schedule::{Cron, Schedule, TriggerSpec, When};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use zoned::Zoned;

const EXPRESSIONS: [&str; 8] = [
    "*/15 * * * *",
    "15 2 * * *",
    "0 9-17 * * MON-FRI",
    "0 0 1,15 * *",
    "30 4 L * *",
    "0 9 * * FRI#2",
    "*/10 * * * * *",
    "0 0 29 2 *",
];

const REPEATS: usize = 31;

fn main() {
    println!("{:<36}{:>12}{:>12}{:>10}", "", "jada", "croner", "ratio");
    parsing();
    for zone in ["UTC", "America/New_York"] {
        next_slots(zone);
    }
    impossible();
    counting();
    memory();
}

fn parsing() {
    for text in EXPRESSIONS {
        let ours = nanos(1000, || Cron::parse(black_box(text), "job").unwrap());
        let croner = nanos(200, || black_box(text).parse::<Croner>().unwrap());
        row(&format!("parse {text}"), ours, croner, "ns");
    }
}

fn compiled(text: &str, zone: &TimeZone) -> Schedule {
    let when = When::Cron(text.to_owned());
    let spec = TriggerSpec { timezone: zone.clone(), ..TriggerSpec::new(when) };
    Schedule::compile(&[spec], "job").unwrap()
}

/// A walk over 500 slots each; the time of one.
fn next_slots(name: &str) {
    const SLOTS: u32 = 500;
    let zone = TimeZone::get(name).unwrap();
    let from: Timestamp = "2026-01-01T00:00Z".parse().unwrap();
    for text in EXPRESSIONS {
        // Leap days come 43 times before the year 2200.
        let slots = if text.contains("29 2") { 20 } else { SLOTS };
        let schedule = compiled(text, &zone);
        let ours = nanos(1, || {
            let walk = schedule.slots_after(black_box(from));
            walk.take(usize::try_from(slots).unwrap()).last().unwrap()
        });
        let cron: Croner = text.parse().unwrap();
        let croner = nanos(1, || {
            let mut at = Zoned { at: black_box(from), zone: zone.clone() };
            for _ in 0..slots {
                at = cron.find_next_occurrence(&at, false).unwrap();
            }
            at
        });
        let each = f64::from(slots);
        row(&format!("next {text} {}", short(name)), ours / each, croner / each, "ns");
    }
}

fn short(zone: &str) -> &str {
    zone.rsplit('/').next().unwrap_or(zone)
}

fn impossible() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let from: Timestamp = "2026-01-01T00:00Z".parse().unwrap();
    for text in ["0 0 30 2 *", "0 0 1 * +MON#2"] {
        let schedule = compiled(text, &zone);
        let ours = nanos(10, || assert!(schedule.next_after(black_box(from)).is_none()));
        let cron: Croner = text.parse().unwrap();
        let at = Zoned { at: from, zone: zone.clone() };
        let croner = nanos(1, || assert!(cron.find_next_occurrence(&at, false).is_err()));
        row(&format!("never {text}"), ours, croner, "ns");
    }
}

/// A week of seconds: what catch-up asks after an absence. croner has to walk.
fn counting() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let from: Timestamp = "2026-03-01T00:00Z".parse().unwrap();
    let until = from + Duration::from_hours(7 * 24);
    let schedule = compiled("* * * * * *", &zone);
    let ours = nanos(10, || schedule.count_between(black_box(from), until));
    let newest = nanos(10, || schedule.last_between(black_box(from), until));
    println!("{:<36}{ours:>9.0} ns", "count 604,800 slots");
    println!("{:<36}{newest:>9.0} ns", "newest of 604,800 slots");
}

/// Resident memory that ten thousand schedules add.
fn memory() {
    const JOBS: usize = 10_000;
    let zone = TimeZone::get("America/New_York").unwrap();
    let before = resident();
    let schedules: Vec<Schedule> =
        (0..JOBS).map(|job| compiled(EXPRESSIONS[job % EXPRESSIONS.len()], &zone)).collect();
    let ours = resident() - before;
    let before = resident();
    let crons: Vec<Croner> =
        (0..JOBS).map(|job| EXPRESSIONS[job % EXPRESSIONS.len()].parse().unwrap()).collect();
    let croner = resident() - before;
    black_box((&schedules, &crons));
    let each = |bytes: u32| f64::from(bytes) / 10_000.0;
    row("bytes of one among 10,000", each(ours), each(croner), "B ");
}

/// Bytes of memory in use, as the kernel counts them.
fn resident() -> u32 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u32 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The median time of one call, over repeats of `calls` calls.
fn nanos<T>(calls: u32, mut call: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = now();
            for _ in 0..calls {
                black_box(call());
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn row(name: &str, ours: f64, croner: f64, unit: &str) {
    println!("{name:<36}{ours:>9.0} {unit}{croner:>9.0} {unit}{:>9.1}×", croner / ours);
}
