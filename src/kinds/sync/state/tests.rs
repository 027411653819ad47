//! Every decision over a record, as a table.

use super::super::testing::spec;
use super::*;
use crate::model::RunId;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn ledger() -> Ledger {
    Ledger {
        version: 1,
        run: RunId(4),
        committed_at: now(),
        read_at: now() - SignedDuration::from_hours(1),
        rows: 10,
        fingerprint: "f".into(),
        section: String::new(),
        state: State { cursor: Some("2026-03-01T10:00:00Z".into()), left: None },
        history: Vec::new(),
        earlier: Vec::new(),
    }
}

fn job(source: &str, more: &str) -> SyncSpec {
    spec(&format!(
        "source: {source}\ncolumns: {{ id: {{ type: int, key: true }}, at: {{ type: timestamp }} }}\n\
         destination: {{ sqlite: {{ path: a, table: a }} }}\n{more}\n"
    ))
    .value
}

fn sqlite(more: &str) -> SyncSpec {
    let source = "{ sqlite: { path: a, query: 'SELECT 1', \
                  cursor: { field: at, initial: '2020-01-01T00:00:00Z', lookback: 10m } } }";
    job(source, more)
}

fn found(ledger: Option<&str>, rows: u64) -> Found {
    Found { ledger: ledger.map(str::to_owned), rows, shows_rows: true }
}

#[test]
fn what_a_destination_says_is_believed_or_refused() {
    let text = serde_json::to_string(&ledger()).unwrap();
    let newer = text.replace("\"version\":1", "\"version\":2");
    for (found, more, result) in [
        (found(None, 0), "", "nothing"),
        (found(None, 1), "", "failed:state: the destination holds rows, and no record"),
        (found(None, 1), "on_missing_state: full", "adopted"),
        (found(Some(&text), 10), "", "known"),
        (found(Some("{"), 10), "", "failed:state: the record of the last sync can't be read"),
        (found(Some(""), 10), "", "failed:state: the record of the last sync can't be read"),
        (found(Some(&newer), 10), "", "failed:state: the record of the last sync has the form 2"),
        (found(Some(&text), 0), "mode: mirror", "known"),
        (found(Some(&text), 0), "mode: incremental", "failed:state: the destination is empty"),
    ] {
        let told = match Before::of(&found, &sqlite(more), "a") {
            Ok(Before::Nothing) => "nothing".to_owned(),
            Ok(Before::Adopted) => "adopted".to_owned(),
            Ok(Before::Known(_)) => "known".to_owned(),
            Err(trouble) => {
                assert_eq!(trouble.mend.as_deref(), Some("jadactl sync state reset a"));
                format!("{}: {}", trouble.ending.word(), trouble.message)
            }
        };
        assert!(told.starts_with(result), "{found:?} {more}: {told}");
    }
}

#[test]
fn a_read_begins_where_the_last_one_ended() {
    let known = Before::Known(Box::new(ledger()));
    let begin = |spec: &SyncSpec, before: &Before, print: &str| {
        start(spec, before, print, "a", now()).map(|(start, _)| start.cursor)
    };
    let (increment, whole) = (sqlite("mode: incremental"), sqlite("mode: upsert"));
    let initial = Some("2020-01-01T00:00:00Z".to_owned());
    assert_eq!(begin(&increment, &Before::Nothing, "f").unwrap(), initial);
    // The lookback is taken off.
    assert_eq!(begin(&increment, &known, "f").unwrap().unwrap(), "2026-03-01T09:50:00Z");
    assert_eq!(begin(&whole, &known, "f").unwrap(), initial, "only an increment reads on");
    let trouble = begin(&increment, &known, "other").unwrap_err();
    assert_eq!(trouble.ending, Ending::State);
    // Where everything is read anyway, another source is only said.
    let (_, note) = start(&whole, &known, "other", "a", now()).unwrap();
    assert!(note.unwrap().contains("changed since the last commit"));
}

#[test]
fn unchanged_is_not_chained_beyond_a_full_read() {
    let source = "{ csv: { path: a, unchanged: { probe: mtime, full_read_every: 6h } } }";
    let (probed, plain) =
        (job(source, "mode: mirror"), job("{ csv: { path: a } }", "mode: mirror"));
    for (spec, hours, print, may) in [
        (&probed, 5, "f", true),
        (&probed, 6, "f", false),
        (&probed, 7, "f", false),
        // A clock that was set back.
        (&probed, -1, "f", false),
        (&probed, 5, "other", false),
        (&plain, 5, "f", false),
    ] {
        let read_at = now() - SignedDuration::from_hours(hours);
        let before = Before::Known(Box::new(Ledger { read_at, ..ledger() }));
        let (start, _) = start(spec, &before, print, "a", now()).unwrap();
        assert_eq!(start.may_be_unchanged, may, "{hours}h {print}");
    }
}

#[test]
fn a_cursor_never_goes_back() {
    let spec = sqlite("mode: incremental");
    let maker = Maker::new("at", &spec.columns.0[1].1.value).unwrap();
    let at = |text: &str| {
        let at: Timestamp = text.parse().unwrap();
        let mut encoded = Vec::new();
        encode(Value::Timestamp(at.as_microsecond()), &mut encoded);
        encoded
    };
    let (early, late) = ("2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z");
    for (old, new, kept) in [
        (None, None, None),
        (Some(early), None, Some(early)),
        (None, Some(early), Some(early)),
        (Some(early), Some(late), Some(late)),
        (Some(late), Some(early), Some(late)),
    ] {
        let new = new.map(at);
        assert_eq!(newer(&maker, old, new.as_deref()).as_deref(), kept);
    }
}

#[test]
fn history_reaches_as_far_back_as_a_guard_looks() {
    let spec = sqlite("mode: mirror\nguards: { on_empty: hold, max_shrink: { 30%: 7d } }");
    let mut before: Option<Ledger> = None;
    for day in 0..60 {
        let committed_at = now() + SignedDuration::from_hours(24 * day);
        let ledger = Ledger { committed_at, ..ledger() };
        let commit = Commit { ledger, changes: Changes::default() };
        before = Some(next(commit, before.as_ref(), &spec));
    }
    let ledger = before.unwrap();
    assert_eq!(ledger.history.len(), HISTORY_LEAST);
    assert_eq!(ledger.history[0].at, ledger.committed_at);
    assert!(ledger.history.is_sorted_by(|a, b| a.at > b.at));
    assert!(ledger.earlier.is_empty(), "the same state is no earlier one");
}

#[test]
fn a_long_window_over_many_commits_takes_little_room_and_forgets_nothing() {
    let spec = sqlite("mode: mirror\nguards: { on_empty: hold, max_delete: { 30%: 1d } }");
    let mut before: Option<Ledger> = None;
    for minute in 0..4000_u64 {
        let at = now() + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let ledger = Ledger { committed_at: at, rows: minute % 97, ..ledger() };
        let changes = Changes { inserted: 0, updated: 0, deleted: 1, same: 0 };
        before = Some(next(Commit { ledger, changes }, before.as_ref(), &spec));
    }
    let history = before.unwrap().history;
    assert!(history.len() < 550, "{}", history.len());
    assert!(history.is_sorted_by(|a, b| a.at > b.at));
    let day = now() + SignedDuration::from_mins(3999) - SignedDuration::from_hours(24);
    let deleted: u64 =
        history.iter().take_while(|change| change.at >= day).map(|change| change.deleted).sum();
    assert!((1441..1450).contains(&deleted), "{deleted}");
    assert_eq!(history.iter().map(|change| change.rows).max(), Some(96));
}
