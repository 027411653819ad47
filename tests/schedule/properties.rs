//! What holds for every schedule: order, determinism, jitter, counting, bounds.

use std::time::Duration;

use jada::model::{Dst, DstGap, DstOverlap};
use jada::plan::schedule::{Cron, DateRange, Moment, Schedule, TriggerSpec, When};
use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use proptest::sample::select;

use super::{ZONES, second, zone};

fn when() -> impl Strategy<Value = When> {
    let crons = select(vec![
        "30 2 * * *",
        "0,30 1,2 * * *",
        "*/7 * * * *",
        "*/20 0-3 * * *",
        "5 * * * * *",
        "0 0 * * *",
        "H H * * *",
        "H/10 * * * mon-fri",
        "15 1 L * *",
        "0 12 1,15 * fri",
        "59 23 * * 5L",
    ]);
    prop_oneof![
        4 => crons.prop_map(|text| When::Cron(text.to_owned())),
        2 => (1_u64..90_000).prop_map(|period| When::Every(Duration::from_secs(period))),
        1 => prop::collection::vec(1_729_000_000_i64..1_731_500_000, 1..5)
            .prop_map(|at| When::At(at.into_iter().map(|at| Moment::Instant(second(at))).collect())),
    ]
}

fn dst() -> impl Strategy<Value = Dst> {
    let gap = select(vec![DstGap::RunAfter, DstGap::Skip, DstGap::Shift]);
    let overlap = select(vec![DstOverlap::First, DstOverlap::Last, DstOverlap::Both]);
    (gap, overlap).prop_map(|(gap, overlap)| Dst { gap, overlap })
}

fn trigger() -> impl Strategy<Value = TriggerSpec> {
    let start = prop::option::weighted(0.3, 1_729_500_000_i64..1_730_500_000);
    let end = prop::option::weighted(0.3, 1_730_600_000_i64..1_731_200_000);
    let except = prop::collection::vec((1_i8..28, 0_i8..3), 0..3);
    let jitter = select(vec![0_u64, 0, 1, 30, 600, 7200]);
    (when(), select(ZONES.to_vec()), dst(), (start, end), except, jitter).prop_map(
        |(when, zone_name, dst, (start, end), except, jitter)| TriggerSpec {
            when,
            timezone: zone(zone_name),
            dst,
            start: start.map(|at| Moment::Instant(second(at))),
            end: end.map(|at| Moment::Instant(second(at))),
            except: except
                .into_iter()
                .map(|(day, length)| DateRange {
                    first: date(2024, 11, day),
                    last: date(2024, 11, day + length),
                })
                .collect(),
            jitter: Duration::from_secs(jitter),
        },
    )
}

/// Late October to early November 2024, when most zones with summer time leave it.
const FROM: i64 = 1_729_900_000;
const UNTIL: i64 = FROM + 12 * 86_400;

/// At most this many slots are walked in one case.
const CAP: usize = 3000;

fn walk(schedule: &Schedule) -> Vec<(Timestamp, Timestamp)> {
    schedule
        .slots_after(second(FROM))
        .map(|due| (due.slot, due.fire_at))
        .take_while(|(slot, _)| *slot <= second(UNTIL))
        .take(CAP)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn slots_and_firing_keep_one_order(triggers in prop::collection::vec(trigger(), 1..4)) {
        let schedule = Schedule::compile(&triggers, "job").unwrap();
        let slots = walk(&schedule);
        for pair in slots.windows(2) {
            prop_assert!(pair[0].0 < pair[1].0, "slots {:?}", pair);
            prop_assert!(pair[0].1 < pair[1].0, "fires before the next slot {:?}", pair);
        }
        let longest = triggers.iter().map(|trigger| trigger.jitter).max().unwrap();
        for (slot, fire_at) in &slots {
            let delay = fire_at.duration_since(*slot);
            prop_assert!(!delay.is_negative() && delay.unsigned_abs() <= longest);
        }
        prop_assert_eq!(slots, walk(&Schedule::compile(&triggers, "job").unwrap()));
    }

    #[test]
    fn counting_and_the_newest_agree_with_walking(triggers in prop::collection::vec(trigger(), 1..4)) {
        let schedule = Schedule::compile(&triggers, "job").unwrap();
        let slots = walk(&schedule);
        let until = if slots.len() == CAP { slots[CAP - 1].0 } else { second(UNTIL) };
        prop_assert_eq!(schedule.count_between(second(FROM), until), slots.len() as u64);
        let newest = schedule.last_between(second(FROM), until);
        prop_assert_eq!(newest.map(|due| (due.slot, due.fire_at)), slots.last().copied());
    }

    #[test]
    fn bounds_and_exceptions_hold(trigger in trigger()) {
        let schedule = Schedule::compile(std::slice::from_ref(&trigger), "job").unwrap();
        let Some(Moment::Instant(start)) = trigger.start.or(Some(Moment::Instant(second(0)))) else { unreachable!() };
        let Some(Moment::Instant(end)) = trigger.end.or(Some(Moment::Instant(second(UNTIL)))) else { unreachable!() };
        let inside = |slot: Timestamp| {
            let day = trigger.timezone.to_datetime(slot).date();
            slot >= start && slot <= end && !trigger.except.iter().any(|days| (days.first..=days.last).contains(&day))
        };
        let slots = walk(&schedule);
        for (slot, _) in &slots {
            prop_assert!(inside(*slot), "{}", slot);
        }
        // Nothing else is left out: the same trigger without bounds has no further slot inside. `every`
        // counts from its start, so only the others can be compared.
        if !matches!(trigger.when, When::Every(_)) {
            let open = TriggerSpec { start: None, end: None, except: Vec::new(), ..trigger.clone() };
            let open = walk(&Schedule::compile(&[open], "job").unwrap());
            if open.len() < CAP {
                let want: Vec<Timestamp> = open.into_iter().map(|(slot, _)| slot).filter(|slot| inside(*slot)).collect();
                prop_assert_eq!(slots.into_iter().map(|(slot, _)| slot).collect::<Vec<_>>(), want);
            }
        }
    }
}

/// Texts that look like cron from afar.
fn nearly_cron() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "*",
        "?",
        "/",
        "-",
        ",",
        "#",
        "+",
        "H",
        "(",
        ")",
        "L",
        "W",
        "@",
        "0",
        "7",
        "31",
        "59",
        "60",
        "mon",
        "DEC",
        " ",
        " ",
        " ",
        "4294967296",
        "ä",
        "\u{a0}",
        "~",
        "=",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_parsed_or_refused_in_place(text in prop_oneof![nearly_cron(), any::<String>()]) {
        let Err(errors) = Cron::parse(&text, "job") else { return Ok(()) };
        prop_assert!(!errors.is_empty());
        for error in errors {
            prop_assert!(text.get(error.range.clone()).is_some(), "{:?} in {:?}", error, text);
            prop_assert!(!error.message.is_empty());
        }
    }
}
