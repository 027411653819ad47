//! What the outbox says of the notifiers: whom nobody could tell, and since when.
//!
//! Owns the evidence in its rows, which are there before any incident of a notifier is. Refuses to send.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::diagnosis::evidence::{Evidence, Source};
use crate::model::{Fault, Hold, Notification, Subject, Told, Verdict};
use crate::plan::{catch_up, signature};

/// Tries that fail before a notifier is not merely slow.
const TRIES: u32 = 3;

/// The notifiers to which messages could not be brought; `rows` are the newest first. What came through counts
/// for all that was written before it.
pub(super) fn unheard(rows: &[Notification], now: Timestamp) -> Vec<Evidence> {
    let mut failed: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
    let mut works: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| !row.notifier.starts_with('!')) {
        let name = &*row.notifier;
        match row.state {
            Told::Delivered => works.push(name),
            _ if works.contains(&name) || !has_failed(row) => {}
            _ => failed.entry(name).or_default().push(row),
        }
    }
    failed.into_iter().filter_map(|(name, rows)| evidence(name, &rows, now)).collect()
}

fn has_failed(row: &Notification) -> bool {
    let by = row.held.as_ref().map(|held| held.by);
    match row.state {
        Told::GivenUp => true,
        Told::Waiting => {
            row.tries > 0 || matches!(by, Some(Hold::Retry | Hold::Down | Hold::Unknown))
        }
        Told::Delivered | Told::Carried | Told::Dropped => false,
    }
}

/// What the rows of one notifier come to, the newest first.
fn evidence(name: &str, rows: &[&Notification], now: Timestamp) -> Option<Evidence> {
    let oldest = rows.iter().min_by_key(|row| row.created_at)?;
    let why = rows.iter().map(|row| row.error.as_str()).find(|error| !error.is_empty());
    let unknown = rows.iter().filter_map(|row| row.held.as_ref());
    let unknown = unknown.map(|held| held.by).any(|by| by == Hold::Unknown);
    let dead = unknown
        || rows.iter().any(|row| {
            let down = row.held.as_ref().is_some_and(|held| held.by == Hold::Down);
            down || row.tries >= TRIES || row.state == Told::GivenUp
        });
    let fault = match why {
        _ if unknown => Fault::Configuration,
        Some(why) => signature::fault(None, why),
        None => Fault::Unknown,
    };
    let age = catch_up::words(now.duration_since(oldest.created_at).unsigned_abs());
    let what = if rows.len() == 1 { "a message waits" } else { "messages wait" };
    let why = if unknown { "jada.yaml has no such notifier" } else { why.unwrap_or("not sent") };
    Some(Evidence {
        fault: Some(fault),
        since: oldest.tried_since.unwrap_or(oldest.created_at).min(now),
        count: rows.iter().map(|row| u64::from(row.tries)).sum::<u64>().max(1),
        text: format!("{what} undelivered, the oldest for {age}: {why}"),
        ..Evidence::new(
            Subject::parse(&format!("notifier/{name}"))?,
            if dead { Verdict::Fail } else { Verdict::Warn },
            Source::Outbox,
            now,
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Event, Held, NotificationId};

    fn now() -> Timestamp {
        "2026-05-15T17:00:00Z".parse().expect("an instant")
    }

    /// `NOTIFIER STATE TRIES MINUTES-AGO HOLD ERROR…`
    fn row(line: &str) -> Notification {
        let words: Vec<&str> = line.split_whitespace().collect();
        let created_at = now() - Duration::from_mins(words[3].parse().expect("minutes"));
        let by = Hold::ALL.into_iter().find(|hold| hold.word() == words[4]);
        Notification {
            id: NotificationId(1),
            incident: None,
            notifier: words[0].into(),
            event: Event::Opened,
            created_at,
            state: Told::ALL.into_iter().find(|told| told.word() == words[1]).expect("a state"),
            ended_at: None,
            tries: words[2].parse().expect("tries"),
            tried_since: None,
            next_at: created_at,
            held: by.map(|by| Held { by, why: String::new(), until: None }),
            blame: None,
            error: words[5..].join(" "),
            origin: None,
            carrier: None,
        }
    }

    #[test]
    fn who_can_not_be_told_is_known_from_the_rows() {
        let cases: &[(&[&str], &str)] = &[
            (&["ops waiting 0 1 group"], ""),
            (&["ops waiting 0 600 silence"], ""),
            (
                &["ops waiting 1 2 retry status 503"],
                "notifier/ops warn http.5xx a message waits undelivered, the oldest for 2m: status 503",
            ),
            (
                &[
                    "ops waiting 0 5 down",
                    "ops waiting 9 150 retry connection refused",
                    "mail delivered 1 160 -",
                ],
                "notifier/ops fail net.refused messages wait undelivered, the oldest for 2h 30m: \
                 connection refused",
            ),
            // One that came through since speaks for the notifier.
            (&["ops delivered 1 1 -", "ops given-up 40 1500 - connection refused"], ""),
            (
                &["ops given-up 40 1500 - connection refused", "ops delivered 1 1600 -"],
                "notifier/ops fail net.refused a message waits undelivered, the oldest for 1d 1h: \
                 connection refused",
            ),
            (
                &["old waiting 0 3 unknown"],
                "notifier/old fail configuration a message waits undelivered, the oldest for 3m: \
                 jada.yaml has no such notifier",
            ),
            (&["!last-resort waiting 5 3 retry disk full"], ""),
        ];
        for (lines, want) in cases {
            let rows: Vec<Notification> = lines.iter().map(|line| row(line)).collect();
            let told = unheard(&rows, now()).into_iter().map(|one| {
                let fault = one.fault.map_or("", Fault::word);
                format!("{} {} {fault} {}", one.subject, one.verdict.word(), one.text)
            });
            assert_eq!(told.collect::<Vec<_>>().join("\n"), *want, "{lines:?}");
        }
    }
}
