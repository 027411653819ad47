//! Tables for [`Schedule`] and what it is made of.

use jiff::tz::TimeZone;

use super::*;
use crate::model::{Dst, DstGap, DstOverlap};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron_in(expression: &str, zone: &str, dst: Dst) -> Schedule {
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
fn parts<const N: usize>(line: &str) -> [&str; N] {
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
