//! Tables for [`Schedule`] and what it is made of.

use jiff::tz::TimeZone;

use super::*;
use crate::model::{Dst, DstGap, DstOverlap};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn cron_in(expression: &str, zone: &str, dst: Dst) -> Schedule {
    let spec = TriggerSpec {
        timezone: TimeZone::get(zone).unwrap(),
        dst,
        ..TriggerSpec::new(When::Cron(expression.into()))
    };
    Schedule::compile(&[spec], "job").unwrap()
}

/// The slots of a cron after an instant, as they are rendered.
fn slots(expression: &str, zone: &str, dst: Dst, after: &str, count: usize) -> Vec<String> {
    let schedule = cron_in(expression, zone, dst);
    schedule.slots_after(at(after)).take(count).map(|due| schedule.render(due.slot)).collect()
}

/// A line each: expression | zone | after | the slots that follow.
const PROBES: &str = "
30 2 * * *     | America/New_York    | 2024-03-09T12:00Z | 2024-03-10T03:00:00-04:00 2024-03-11T02:30:00-04:00
0 * * * *      | America/New_York    | 2024-03-10T06:30Z | 2024-03-10T03:00:00-04:00 2024-03-10T04:00:00-04:00
0 */2 * * *    | America/New_York    | 2024-03-10T05:30Z | 2024-03-10T04:00:00-04:00 2024-03-10T06:00:00-04:00
30 1 * * *     | America/New_York    | 2024-11-03T04:00Z | 2024-11-03T01:30:00-04:00 2024-11-04T01:30:00-05:00
0 * * * *      | America/New_York    | 2024-11-03T04:30Z | 2024-11-03T01:00:00-04:00 2024-11-03T01:00:00-05:00 2024-11-03T02:00:00-05:00
*/30 1 * * *   | America/New_York    | 2024-11-03T04:45Z | 2024-11-03T01:00:00-04:00 2024-11-03T01:30:00-04:00 2024-11-03T01:00:00-05:00 2024-11-03T01:30:00-05:00
0,30 2 * * *   | America/New_York    | 2024-03-09T12:00Z | 2024-03-10T03:00:00-04:00 2024-03-11T02:00:00-04:00
0 0 * * *      | America/Sao_Paulo   | 2018-11-03T12:00Z | 2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00
30 2 * * *     | Pacific/Apia        | 2011-12-29T15:00Z | 2011-12-31T00:00:00+14:00 2011-12-31T02:30:00+14:00
15 2 * * *     | Australia/Lord_Howe | 2024-10-05T12:00Z | 2024-10-06T02:30:00+11:00 2024-10-07T02:15:00+11:00
";

#[test]
fn probes() {
    for line in PROBES.trim().lines() {
        let [expression, zone, after, want] = parts(line);
        let want: Vec<&str> = want.split(' ').collect();
        assert_eq!(slots(expression, zone, Dst::default(), after, want.len()), want, "{line}");
    }
}

/// The columns of a table's line.
pub(super) fn parts<const N: usize>(line: &str) -> [&str; N] {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    parts.try_into().unwrap()
}

#[test]
fn impossible_dates_are_known_at_once() {
    for expression in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31W 2 *", "0 0 1 1 +mon#2"] {
        let found = slots(expression, "Europe/Berlin", Dst::default(), "2024-01-01T00:00Z", 1);
        assert_eq!(found, [""; 0], "{expression}");
    }
}

/// A line each: expression | gap | overlap | after | the slots that follow, in New York.
const POLICIES: &str = "
30 2 * * *     | skip  | first | 2024-03-10T00:00Z | 2024-03-11T02:30:00-04:00
30 2 * * *     | shift | first | 2024-03-10T00:00Z | 2024-03-10T03:30:00-04:00
0,59 2,3 * * * | shift | first | 2024-03-10T00:00Z | 2024-03-10T03:00:00-04:00 2024-03-10T03:59:00-04:00 2024-03-11T02:00:00-04:00
30 1 * * *     | after | last  | 2024-11-03T00:00Z | 2024-11-03T01:30:00-05:00 2024-11-04T01:30:00-05:00
30 1 * * *     | after | both  | 2024-11-03T00:00Z | 2024-11-03T01:30:00-04:00 2024-11-03T01:30:00-05:00 2024-11-04T01:30:00-05:00
0 */2 * * *    | shift | last  | 2024-03-10T05:30Z | 2024-03-10T04:00:00-04:00
";

#[test]
fn policies() {
    for line in POLICIES.trim().lines() {
        let [expression, gap, overlap, after, want] = parts(line);
        let gap = match gap {
            "skip" => DstGap::Skip,
            "shift" => DstGap::Shift,
            _ => DstGap::RunAfter,
        };
        let overlap = match overlap {
            "first" => DstOverlap::First,
            "last" => DstOverlap::Last,
            _ => DstOverlap::Both,
        };
        let want: Vec<&str> = want.split(' ').collect();
        let found = slots(expression, "America/New_York", Dst { gap, overlap }, after, want.len());
        assert_eq!(found, want, "{line}");
    }
}

fn every(period: Duration) -> TriggerSpec {
    TriggerSpec::new(When::Every(period))
}

fn first_slots(specs: &[TriggerSpec], after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::compile(specs, "job").unwrap();
    schedule.slots_after(at(after)).take(count).map(|due| schedule.render(due.slot)).collect()
}

#[test]
fn periods_count_from_start_or_the_epoch() {
    let period = every(Duration::from_secs(90));
    let want = ["2026-01-01T00:00:00+00:00", "2026-01-01T00:01:30+00:00"];
    assert_eq!(first_slots(std::slice::from_ref(&period), "2025-12-31T23:59:59.9Z", 2), want);
    let from =
        TriggerSpec { start: Some(Moment::parse("2026-01-01T00:00:10Z").unwrap()), ..period };
    let want = ["2026-01-01T00:00:10+00:00", "2026-01-01T00:01:40+00:00"];
    assert_eq!(first_slots(&[from], "2020-01-01T00:00Z", 2), want);
}

#[test]
fn moments_follow_zone_and_policy() {
    let moments = ["2026-03-08T02:30", "2026-11-01T01:30", "2026-12-01", "2026-12-01T09:00+01:00"];
    let moments = moments.map(|text| Moment::parse(text).unwrap()).to_vec();
    let spec = TriggerSpec {
        timezone: TimeZone::get("America/New_York").unwrap(),
        ..TriggerSpec::new(When::At(moments))
    };
    let want = [
        "2026-03-08T03:00:00-04:00",
        "2026-11-01T01:30:00-04:00",
        "2026-12-01T00:00:00-05:00",
        "2026-12-01T03:00:00-05:00",
    ];
    assert_eq!(first_slots(std::slice::from_ref(&spec), "2026-01-01T00:00Z", 9), want);
    let dst = Dst { gap: DstGap::Skip, overlap: DstOverlap::Both };
    let want = ["2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"];
    assert_eq!(first_slots(&[TriggerSpec { dst, ..spec }], "2026-01-01T00:00Z", 2), want);
}

#[test]
fn triggers_merge_into_one_order() {
    let hourly = TriggerSpec::new(When::Cron("@hourly".into()));
    let two = every(Duration::from_hours(2));
    let half = TriggerSpec::new(When::Cron("30 0 * * *".into()));
    let want = [
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:30:00+00:00",
        "2026-01-01T01:00:00+00:00",
        "2026-01-01T02:00:00+00:00",
    ];
    assert_eq!(first_slots(&[hourly, two, half], "2025-12-31T23:00Z", 4), want);
}

#[test]
fn bounds_include_their_ends_and_days_are_whole() {
    let spec = TriggerSpec {
        timezone: TimeZone::get("Europe/Berlin").unwrap(),
        start: Some(Moment::parse("2026-12-23").unwrap()),
        end: Some(Moment::parse("2026-12-31").unwrap()),
        except: vec![
            DateRange::parse("2026-12-24..2026-12-26").unwrap(),
            DateRange::parse("2026-12-30").unwrap(),
        ],
        ..TriggerSpec::new(When::Cron("0 0,23 * * *".into()))
    };
    let days = ["23", "27", "28", "29", "31"];
    let want: Vec<String> = days
        .iter()
        .flat_map(|day| ["00", "23"].map(|hour| format!("2026-12-{day}T{hour}:00:00+01:00")))
        .collect();
    assert_eq!(first_slots(&[spec], "2020-01-01T00:00Z", 99), want);
}

#[test]
fn a_slot_at_the_end_is_still_due() {
    let end = Some(Moment::parse("2026-01-01T00:02Z").unwrap());
    let spec = TriggerSpec { end, ..every(Duration::from_secs(60)) };
    let want = ["2026-01-01T00:01:00+00:00", "2026-01-01T00:02:00+00:00"];
    assert_eq!(first_slots(&[spec], "2026-01-01T00:00Z", 9), want);
}

#[test]
fn jitter_is_the_same_everywhere_and_cut_to_the_gap() {
    let spec = TriggerSpec { jitter: Duration::from_mins(10), ..every(Duration::from_secs(60)) };
    let fires = |seed| {
        let schedule = Schedule::compile(std::slice::from_ref(&spec), seed).unwrap();
        schedule
            .slots_after(at("2026-01-01T00:00Z"))
            .take(50)
            .map(|due| due.fire_at.duration_since(due.slot).as_millis())
            .collect::<Vec<_>>()
    };
    let delays = fires("one");
    assert!(delays.iter().all(|delay| (0..60_000).contains(delay)), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay > 30_000), "{delays:?}");
    assert_eq!(delays, fires("one"));
    assert_ne!(delays, fires("two"));
}

#[test]
fn periods_are_guessed() {
    let cases = [
        ("*/15 * * * *", Duration::from_mins(15)),
        ("0 9-17 * * MON-FRI", Duration::from_hours(1)),
        ("15 2 * * *", Duration::from_hours(24)),
        ("@weekly", Duration::from_hours(168)),
        ("0 0 30 2 *", Duration::from_hours(24)),
    ];
    for (expression, want) in cases {
        assert_eq!(
            cron_in(expression, "America/New_York", Dst::default()).period_hint(),
            want,
            "{expression}"
        );
    }
    let later = TriggerSpec {
        start: Some(Moment::parse("2031-01-01").unwrap()),
        ..every(Duration::from_secs(7))
    };
    assert_eq!(Schedule::compile(&[later], "job").unwrap().period_hint(), Duration::from_secs(7));
    assert_eq!(Schedule::default().period_hint(), Duration::from_hours(24));
}

#[test]
fn bad_triggers_are_told_by_place() {
    let good = every(Duration::from_secs(60));
    let triggers = [
        good.clone(),
        every(Duration::from_millis(1500)),
        every(Duration::from_millis(10)),
        TriggerSpec::new(When::At(Vec::new())),
        TriggerSpec::new(When::Cron("75 25 * * *".into())),
        TriggerSpec {
            start: Some(Moment::parse("2026-02-01").unwrap()),
            end: Some(Moment::parse("2026-01-01").unwrap()),
            ..good
        },
    ];
    let errors = Schedule::compile(&triggers, "job").unwrap_err();
    let found: Vec<String> = errors
        .iter()
        .map(|e| format!("{} {} {:?} {}", e.trigger, e.key, e.range, e.message))
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r#"
    1 every None the period is no whole number of seconds
    2 every None the period is under a second
    3 at None there is no time in it
    4 cron Some(0..2) minute 75 is out of range 0–59 (field 1)
    4 cron Some(3..5) hour 25 is out of range 0–23 (field 2)
    5 end None the schedule ends before it starts
    "#);
}

#[test]
fn moments_and_days_parse() {
    for text in [
        "2026-12-01",
        "2026-12-01T09:00",
        "2026-12-01 09:00:30",
        "2026-12-01T09:00Z",
        "2026-12-01T09:00+01:00",
    ] {
        assert!(Moment::parse(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "tomorrow",
        "09:00",
        "2026-13-01",
        "2026-12-01T25:00",
        "2026-12",
        "2026-12-01T09:00[Europe/Berlin]",
    ] {
        assert!(Moment::parse(text).is_err(), "{text}");
    }
    assert!(DateRange::parse("2026-12-24..2027-01-02").is_ok());
    for text in
        ["2027-01-02..2026-12-24", "2026-12-24..", "2026-12-24T09:00", "2026-12-24-2026-12-25"]
    {
        assert!(DateRange::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_trigger_is_small() {
    // Ten thousand jobs have to fit into 40 MB with everything else.
    assert_eq!(size_of::<Cron>(), 40);
    assert!(size_of::<Trigger>() <= 112, "{}", size_of::<Trigger>());
}
