//! How long a credential lasts, and when it must be used so that it does.
//!
//! Owns the arithmetic of ends, warnings and keep-alive, from stored facts alone: whoever missed a moment
//! computes it again and finds it overdue. Refuses to know the time, tokens and states. An unknown end is
//! "no declared end", never "for ever".

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::record::Record;
use crate::model::{CredentialName, KnownEnd};

/// One day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Google ends a grant 7 days after the consent while its app is in testing.
const TESTING: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long before an end people are warned, longest first; the longest one that is at most half the
/// whole life counts.
const WARNINGS: [Duration; 4] =
    [DAY.saturating_mul(14), DAY.saturating_mul(7), DAY.saturating_mul(3), DAY];

/// Most of the time between two keep-alives that the spread may take away.
const SPREAD: Duration = Duration::from_secs(2 * 60 * 60);

/// The clocks of a provider that its answers do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The app is in testing: a consent lasts 7 days.
    pub testing: bool,
    /// A grant that is not used for so long dies.
    pub idle: Option<Duration>,
    /// An end that the settings declare, such as a key's.
    pub declared: Option<KnownEnd>,
}

/// The earliest known end, and from when on people are warned of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The end.
    pub end: KnownEnd,
    /// When its warning begins.
    pub warn_at: Timestamp,
}

/// The earliest end of all clocks that are known for a record.
#[must_use]
pub fn of(record: &Record, terms: &Terms) -> Option<Horizon> {
    let mut ends: Vec<(KnownEnd, Option<Timestamp>)> = Vec::new();
    if let Some(end) = &terms.declared {
        ends.push((end.clone(), None));
    }
    if let Some(grant) = &record.grant {
        ends.extend(grant.ends.iter().map(|end| (end.clone(), Some(grant.obtained_at))));
        if terms.testing {
            let clock = "7 days of testing mode".to_owned();
            let at = after(grant.consented_at, TESTING);
            ends.push((KnownEnd { at, clock }, Some(grant.consented_at)));
        }
        if let Some(idle) = terms.idle {
            let used = record.standing.last_refresh.unwrap_or(grant.obtained_at);
            let clock = format!("{} days without use", idle.as_secs() / DAY.as_secs());
            ends.push((KnownEnd { at: after(used, idle), clock }, Some(used)));
        }
    }
    // A refresh that worked after an end disproved it; what the settings declare is not ours to disprove.
    let disproved = |end: &KnownEnd, began: Option<Timestamp>| {
        began.is_some() && record.standing.last_refresh.is_some_and(|last| last > end.at)
    };
    ends.retain(|(end, began)| !disproved(end, *began));
    let (end, began) = ends.into_iter().min_by_key(|(end, _)| end.at)?;
    let warn_at = warn_at(end.at, began);
    Some(Horizon { end, warn_at })
}

/// When the warning of an end begins: at a fifth of the life before it, or 14, 7, 3 or 1 days, whichever
/// is earlier. Without a known begin the life counts as long.
#[must_use]
pub fn warn_at(end: Timestamp, began: Option<Timestamp>) -> Timestamp {
    let life = began.map(|began| end.duration_since(began).unsigned_abs());
    let step = match life {
        Some(life) => WARNINGS.into_iter().find(|step| *step <= life / 2).unwrap_or_default(),
        None => WARNINGS[0],
    };
    before(end, step.max(life.unwrap_or_default() / 5))
}

/// When a credential must next be refreshed although nobody needs it: a day after it last was, or after
/// half of a life shorter than two days. Each keeps its own moment, so that many do not go at once.
#[must_use]
pub fn keep_alive_at(record: &Record) -> Option<Timestamp> {
    let grant = record.grant.as_ref()?;
    let last = record.standing.last_refresh.unwrap_or(grant.obtained_at);
    let lives = grant.ends.iter().map(|end| end.at.duration_since(grant.obtained_at));
    let shortest = lives.filter(SignedDuration::is_positive).min();
    let every = shortest.map_or(DAY, |life| DAY.min(life.unsigned_abs() / 2));
    let most = SPREAD.min(every / 12);
    Some(after(last, every.saturating_sub(spread(&record.name, last, most))))
}

/// Whether a keep-alive was missed by so much that people must know.
#[must_use]
pub fn is_overdue(record: &Record, now: Timestamp) -> bool {
    let Some(due) = keep_alive_at(record) else { return false };
    let last = record.standing.last_refresh.or(record.grant.as_ref().map(|g| g.obtained_at));
    last.is_some_and(|last| now.duration_since(last) > due.duration_since(last) * 2)
}

/// "third time, 7.0 days apart", where it is not the first.
#[must_use]
pub fn recurrence(deaths: &[Timestamp]) -> Option<String> {
    let ([first, .., last], gaps) = (deaths, deaths.len().saturating_sub(1)) else { return None };
    let apart = last.duration_since(*first).as_secs_f64() / f64::from(u32::try_from(gaps).ok()?);
    let day = DAY.as_secs_f64();
    let apart = match apart {
        long if long >= day => format!("{:.1} days", long / day),
        hours if hours >= 3600.0 => format!("{:.1} hours", hours / 3600.0),
        short => format!("{:.0} minutes", short / 60.0),
    };
    Some(format!("{} time, {apart} apart", ordinal(deaths.len())))
}

fn ordinal(number: usize) -> String {
    const WORDS: [&str; 8] =
        ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
    match (WORDS.get(number.saturating_sub(2)), number % 10, number % 100) {
        (Some(word), ..) => (*word).to_owned(),
        (None, 1, tail) if tail != 11 => format!("{number}st"),
        (None, 2, tail) if tail != 12 => format!("{number}nd"),
        (None, 3, tail) if tail != 13 => format!("{number}rd"),
        _ => format!("{number}th"),
    }
}

/// A share of `most` that belongs to a name and a moment: the same on every host and after each restart.
pub(super) fn spread(name: &CredentialName, moment: Timestamp, most: Duration) -> Duration {
    // FNV-1a, with a final mix because short inputs leave its upper bits alike.
    let moment = moment.as_millisecond().to_be_bytes();
    let bytes = name.as_str().bytes().chain(moment);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX >> 20).min(u64::MAX >> 20);
    Duration::from_millis((most * mixed) >> 20)
}

pub(super) fn after(at: Timestamp, time: Duration) -> Timestamp {
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, time: Duration) -> Timestamp {
    at.saturating_sub(time).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::record::Grant;
    use crate::credentials::secret::Secret;
    use crate::model::Standing;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn days(number: u32) -> Duration {
        DAY * number
    }

    /// Consented at the start of June 2026, refreshed by nobody since.
    fn record() -> Record {
        let began = at("2026-06-01T00:00:00Z");
        Record {
            name: CredentialName::parse("google/ops").unwrap(),
            provider: "google".into(),
            account: None,
            grant: Some(Grant {
                refresh_token: Secret::new("r"),
                generation: 1,
                scopes: Vec::new(),
                consented_at: began,
                obtained_at: began,
                ends: Vec::new(),
            }),
            previous: None,
            token: None,
            standing: Standing::unknown(began),
            minted: 0,
        }
    }

    fn declares(record: &mut Record, life: Duration) {
        let grant = record.grant.as_mut().unwrap();
        let at = after(grant.obtained_at, life);
        grant.ends.push(KnownEnd { at, clock: "declared by the server".into() });
    }

    #[test]
    fn the_earliest_of_all_clocks_is_the_horizon() {
        let half_year = Some(days(180));
        let mut used = record();
        used.standing.last_refresh = Some(at("2026-11-01T00:00:00Z"));
        let mut declared = record();
        declares(&mut declared, days(5));
        let none = Terms::default();
        let idle = Terms { idle: half_year, ..none.clone() };
        let testing = Terms { testing: true, idle: half_year, declared: None };
        let key = KnownEnd { at: at("2026-06-03T00:00:00Z"), clock: "the key's end".into() };
        let key = Terms { declared: Some(key), ..testing.clone() };
        let cases = [
            ("nothing known", record(), none, None),
            (
                "disuse counts from the grant",
                record(),
                idle.clone(),
                Some("2026-11-28T00:00:00Z 180 days without use"),
            ),
            (
                "disuse counts from the last use",
                used,
                idle,
                Some("2027-04-30T00:00:00Z 180 days without use"),
            ),
            (
                "testing",
                record(),
                testing.clone(),
                Some("2026-06-08T00:00:00Z 7 days of testing mode"),
            ),
            (
                "the server's word",
                declared.clone(),
                testing,
                Some("2026-06-06T00:00:00Z declared by the server"),
            ),
            ("the key", declared, key, Some("2026-06-03T00:00:00Z the key's end")),
        ];
        for (case, record, terms, expected) in cases {
            let found = of(&record, &terms).map(|h| format!("{} {}", h.end.at, h.end.clock));
            assert_eq!(found.as_deref(), expected, "{case}");
        }
    }

    #[test]
    fn warnings_come_early_enough_for_the_life() {
        let began = at("2026-06-01T00:00:00Z");
        let cases = [
            (days(180), days(36)),
            (days(90), days(18)),
            (days(30), days(14)),
            (days(14), days(7)),
            (days(7), days(3)),
            (days(2), days(1)),
            (HOUR * 10, HOUR * 2),
        ];
        for (life, ahead) in cases {
            let end = after(began, life);
            assert_eq!(warn_at(end, Some(began)), before(end, ahead), "{life:?}");
        }
        assert_eq!(warn_at(at("2026-06-15T00:00:00Z"), None), began);
    }

    #[test]
    fn keep_alive_is_due_within_a_day_of_the_last_use_and_at_its_own_moment() {
        let mut record = record();
        let due = |record: &Record| {
            let last = record.standing.last_refresh.unwrap_or(at("2026-06-01T00:00:00Z"));
            keep_alive_at(record).unwrap().duration_since(last).unsigned_abs()
        };
        let first = due(&record);
        assert!((HOUR * 22..=DAY).contains(&first), "{first:?}");
        assert_eq!(due(&record), first, "from stored facts alone");
        record.name = CredentialName::parse("google/other").unwrap();
        assert_ne!(due(&record), first);
        // A missed one is simply overdue: the moment does not move by waiting.
        let last = at("2026-06-10T00:00:00Z");
        record.standing.last_refresh = Some(last);
        assert!(!is_overdue(&record, after(last, HOUR * 40)));
        assert!(is_overdue(&record, after(last, HOUR * 49)));
        declares(&mut record, HOUR * 8);
        assert!(due(&record) <= HOUR * 4, "{:?}", due(&record));
        record.grant = None;
        assert_eq!(keep_alive_at(&record), None);
    }

    #[test]
    fn recurrence_is_told_in_words() {
        let first = at("2026-06-01T00:00:00Z");
        let every = |gap: Duration, times: u32| -> Vec<Timestamp> {
            (0..times).map(|number| after(first, gap * number)).collect()
        };
        let cases = [
            (every(DAY, 0), None),
            (every(DAY, 1), None),
            (every(days(7), 2), Some("second time, 7.0 days apart")),
            (every(days(7), 3), Some("third time, 7.0 days apart")),
            (every(HOUR * 5, 9), Some("ninth time, 5.0 hours apart")),
            (every(HOUR / 4, 12), Some("12th time, 15 minutes apart")),
            (every(DAY, 21), Some("21st time, 1.0 days apart")),
        ];
        for (deaths, expected) in cases {
            assert_eq!(recurrence(&deaths).as_deref(), expected);
        }
    }

    #[test]
    fn spreads_fill_their_range() {
        let name = CredentialName::parse("a").unwrap();
        let start = at("2026-06-01T00:00:00Z");
        let shares: Vec<_> =
            (0..1000).map(|n| spread(&name, after(start, HOUR * n), DAY)).collect();
        assert!(shares.iter().all(|share| *share <= DAY));
        assert!(shares.iter().any(|share| *share > DAY * 9 / 10));
        assert!(shares.iter().any(|share| *share < DAY / 10));
    }
}
