//! Every guard, as a table of counts.

use proptest::prelude::*;

use super::super::desk::Changes;
use super::super::ledger::Change;
use super::super::spec::Mode;
use super::super::testing::spec;
use super::*;

fn guards(text: &str) -> GuardsSection {
    let text = format!(
        "source: {{ csv: {{ path: a }} }}\ndestination: {{ sqlite: {{ path: a, table: a }} }}\n\
         guards: {text}\n"
    );
    spec(&text).value.guards.expect("they are given")
}

fn now() -> jiff::Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Rows before and after, and what becomes of them.
fn facts(before: Option<u64>, after: u64) -> Facts<'static> {
    let there = before.unwrap_or_default();
    let (inserted, deleted) = (after.saturating_sub(there), there.saturating_sub(after));
    let changes = Changes { inserted, deleted, updated: 0, same: there.min(after) };
    Facts { rows: after, before, after, changes, now: now(), ..Facts::default() }
}

/// What trips, each as `guard: why`.
fn tripped(text: &str, facts: &Facts<'_>) -> Vec<String> {
    let verdict = judge(Some(&guards(text)), Mode::Mirror, facts);
    verdict.tripped.iter().map(|trip| format!("{}: {}", trip.guard, trip.why)).collect()
}

#[test]
fn each_guard_trips_at_its_bound_and_says_its_numbers() {
    for (text, facts, told) in [
        ("{ on_empty: hold }", facts(Some(5), 0), "on_empty: nothing was read; 5 rows are there"),
        ("{ on_empty: hold }", facts(None, 0), "on_empty: nothing was read"),
        ("{ on_empty: allow }", facts(Some(5), 0), ""),
        ("{ min_rows: 50 }", facts(None, 49), "min_rows: 49 rows were read, and 50 is the least"),
        ("{ min_rows: 50 }", facts(None, 50), ""),
        ("{ max_shrink: 20% }", facts(Some(100), 80), ""),
        (
            "{ max_shrink: 20% }",
            facts(Some(100), 79),
            "max_shrink: 79 rows where 100 were: 21 fewer (21 %), and 20 % is the most",
        ),
        ("{ max_shrink: 200 rows }", facts(Some(1000), 800), ""),
        (
            "{ max_shrink: 200 rows }",
            facts(Some(1000), 799),
            "max_shrink: 799 rows where 1,000 were: 201 fewer (20 %), and 200 rows is the most",
        ),
        ("{ max_delete: 3 rows }", facts(Some(10), 7), ""),
        (
            "{ max_delete: 3 rows }",
            facts(Some(10), 6),
            "max_delete: 4 rows of 10 would be deleted (40 %), and 3 rows is the most",
        ),
        (
            "{ max_change: 50% }",
            facts(Some(10), 16),
            "max_change: 6 rows of 10 would be changed (60 %), and 50 % is the most",
        ),
        // A first commit has nothing to be a share of; numbers of rows count all the same.
        ("{ max_change: 50% }", facts(None, 16), ""),
        (
            "{ max_change: 10 rows }",
            facts(None, 16),
            "max_change: 16 rows of 0 would be changed, and 10 rows is the most",
        ),
    ] {
        assert_eq!(tripped(text, &facts).join("; "), told, "{text} {facts:?}");
    }
}

#[test]
fn guards_over_values_look_at_what_was_read() {
    let base = facts(Some(10), 10);
    let nulls = Facts { nulls: vec![("eta", 2)], ..base.clone() };
    for (text, facts, told) in [
        ("{ not_null: eta }", nulls.clone(), "not_null: 2 rows have no `eta`"),
        ("{ not_null: port }", nulls.clone(), ""),
        ("{ max_null: { eta: 20% } }", nulls.clone(), ""),
        (
            "{ max_null: { eta: 5% } }",
            nulls.clone(),
            "max_null: 2 rows of 10 have no `eta` (20 %), and 5 % is the most",
        ),
        (
            "{ max_null: { eta: 1 row } }",
            nulls,
            "max_null: 2 rows of 10 have no `eta` (20 %), and 1 row is the most",
        ),
        (
            "{ unique: id }",
            Facts { twice: vec![("id", 1)], ..base.clone() },
            "unique: 1 row of `id` repeat a value",
        ),
        ("{ unique: id }", Facts { twice: vec![("id", 0)], ..base.clone() }, ""),
        (
            "{ canary: { id: CANARY-1 } }",
            Facts { canary: Some(false), ..base.clone() },
            "canary: no row with id=CANARY-1 was read",
        ),
        ("{ canary: { id: CANARY-1 } }", Facts { canary: Some(true), ..base.clone() }, ""),
        (
            "{ max_age_of_newest: 2d }",
            Facts { newest: Some("2026-02-26T12:00:00Z".parse().unwrap()), ..base.clone() },
            "max_age_of_newest: the newest row is of 2026-02-26T12:00:00Z, 3d ago, and 2d is the most",
        ),
        (
            "{ max_age_of_newest: 2d }",
            Facts { newest: Some("2026-02-28T12:00:00Z".parse().unwrap()), ..base.clone() },
            "",
        ),
        (
            "{ max_age_of_newest: 2d }",
            base,
            "max_age_of_newest: no row has a time that tells how old it is",
        ),
    ] {
        assert_eq!(tripped(text, &facts).join("; "), told, "{text}");
    }
}

#[test]
fn a_window_sees_a_slow_bleed() {
    let day = |days: i64| now() - jiff::SignedDuration::from_hours(24 * days);
    let change =
        |days, rows, deleted| Change { at: day(days), rows, inserted: 0, updated: 0, deleted };
    // Ten rows a day, of a hundred.
    let history = [change(1, 70, 10), change(2, 80, 10), change(3, 90, 10), change(9, 100, 0)];
    let bleeding = Facts { history: &history, ..facts(Some(70), 60) };
    assert_eq!(tripped("{ max_shrink: 20% }", &bleeding), Vec::<String>::new());
    assert_eq!(
        tripped("{ max_shrink: { 30%: 7d } }", &bleeding),
        ["max_shrink: 60 rows where 100 were in 7d: 40 fewer (40 %), and 30 % is the most"]
    );
    assert_eq!(
        tripped("{ max_delete: [{ 35 rows: 7d }, 10 rows] }", &bleeding),
        ["max_delete: 40 rows of 100 would be deleted in 7d (40 %), and 35 rows is the most"]
    );
    // What lies before the window does not count.
    assert_eq!(tripped("{ max_delete: { 25 rows: 1d } }", &bleeding), Vec::<String>::new());
}

#[test]
fn a_first_commit_says_which_guards_do_not_count_yet() {
    let verdict =
        judge(Some(&guards("{ max_shrink: 20%, min_rows: 5 }")), Mode::Mirror, &facts(None, 3));
    assert_eq!(verdict.notes, ["`max_shrink: 20 %` does not count yet: this is the first commit"]);
    assert_eq!(verdict.tripped.len(), 1, "min_rows counts");
}

#[test]
fn emptiness_is_held_by_itself_where_it_would_delete() {
    for (mode, held) in [
        (Mode::Mirror, true),
        (Mode::Replace, true),
        (Mode::Upsert, false),
        (Mode::Append, false),
        (Mode::Incremental, false),
    ] {
        let verdict = judge(None, mode, &facts(Some(5), 0));
        assert_eq!(!verdict.tripped.is_empty(), held, "{mode:?}");
    }
}

proptest! {
    /// Fewer rows never pass a guard that more rows tripped.
    #[test]
    fn shrinking_further_never_helps(before in 1_u64..2000, after in 0_u64..2000, less in 0_u64..2000) {
        let text = "{ max_shrink: 20%, max_delete: 50 rows, min_rows: 10, on_empty: hold }";
        let after = after.min(before);
        let (more, fewer) = (facts(Some(before), after), facts(Some(before), after - less.min(after)));
        prop_assert!(tripped(text, &more).len() <= tripped(text, &fewer).len());
    }
}
