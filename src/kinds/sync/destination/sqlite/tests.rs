//! Rows into a real file and back.

use proptest::prelude::*;

use super::super::super::tools::stand::Stand;
use super::super::super::trouble::Ending;
use super::super::super::value::Value;
use super::super::EachMove;
use super::super::fixture::{
    Step, give, inserts, ledger, located, numbered, port, ports, row, wide, wide_row,
};
use super::*;
use crate::kinds::StopReason;

struct World {
    stand: Stand,
    to: SqliteTable,
    columns: Vec<Column>,
}

impl World {
    fn new(columns: Vec<Column>) -> Self {
        let to = SqliteTable { path: located("a.db"), table: located("ports") };
        Self { stand: Stand::new(), to, columns }
    }

    /// Somebody else's connection.
    fn other(&self) -> Connection {
        Connection::open(self.stand.dir.path().join("a.db")).unwrap()
    }

    fn begin(&self) -> Result<(Session, Found), Trouble> {
        let shape = Shape { stream: "port-sheet", columns: &self.columns };
        self.to.begin(&self.stand.tools, shape)
    }

    fn commit(&self, effect: Effect, steps: &[Step]) -> Result<(), Trouble> {
        let (session, _) = self.begin()?;
        let mut moves = |each: EachMove<'_>| give(steps, each);
        session.apply(effect, &mut moves, &ledger(steps.len() as u64))
    }

    fn rows(&self) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        let (mut session, found) = self.begin().unwrap();
        session
            .current(&mut |row| {
                rows.push(row.to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(found.rows, rows.len() as u64);
        rows.sort();
        rows
    }
}

#[test]
fn rows_and_ledger_are_committed_as_one() {
    let world = World::new(ports());
    let (_, found) = world.begin().unwrap();
    assert_eq!(found, Found { ledger: None, rows: 0, shows_rows: true });
    world.commit(Effect::Add, &inserts(&[port("a", 1), port("b", 2)])).unwrap();
    assert_eq!(world.rows(), [port("a", 1), port("b", 2)]);
    let (_, found) = world.begin().unwrap();
    let text = serde_json::to_string(&ledger(2)).unwrap();
    assert_eq!(found.ledger, Some(text));

    let steps = [
        Step::Delete(row(&[Value::Text("a")])),
        Step::Update(port("b", 3)),
        Step::Insert(port("c", 4)),
    ];
    world.commit(Effect::Merge, &steps).unwrap();
    assert_eq!(world.rows(), [port("b", 3), port("c", 4)]);
    world.commit(Effect::Replace, &inserts(&[port("d", 5)])).unwrap();
    assert_eq!(world.rows(), [port("d", 5)]);
    let kept: i64 =
        world.other().query_row("SELECT rows FROM jada_sync", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn what_ends_before_the_commit_changes_nothing() {
    let world = World::new(ports());
    world.commit(Effect::Add, &inserts(&[port("a", 1)])).unwrap();
    let twice = world.commit(Effect::Replace, &inserts(&[port("b", 1), port("b", 2)])).unwrap_err();
    assert_eq!((twice.ending, twice.may_help), (Ending::Destination, Some(false)));
    assert!(twice.message.contains("UNIQUE constraint failed: ports.id"), "{}", twice.message);
    assert!(twice.message.ends_with("(table ports, the row id=b)"), "{}", twice.message);
    let gone = world.commit(Effect::Merge, &[Step::Delete(row(&[Value::Text("z")]))]).unwrap_err();
    assert!(gone.message.ends_with("has 0 rows with the key id=z, where one was expected"));
    let mut pulled = inserts(&[port("c", 1)]);
    pulled.extend((0..2000).map(|no| Step::Insert(port(&no.to_string(), no))));
    world.stand.pull.send_replace(Some(StopReason::Cancelled));
    assert_eq!(world.commit(Effect::Add, &pulled).unwrap_err().ending, Ending::Cancelled);
    world.stand.pull.send_replace(None);
    assert_eq!(world.rows(), [port("a", 1)]);
}

#[test]
fn a_lock_of_somebody_else_is_waited_for_until_the_stop() {
    let world = World::new(ports());
    world.commit(Effect::Add, &[]).unwrap();
    let other = world.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pull = world.stand.pull.clone();
    std::thread::scope(|scope| {
        let begun = scope.spawn(|| world.begin().map(|(_, found)| found));
        pull.send_replace(Some(StopReason::TimedOut));
        assert_eq!(begun.join().unwrap().unwrap_err().ending, Ending::Cancelled);
        pull.send_replace(None);
        let begun = scope.spawn(|| world.begin().map(|(_, found)| found.rows));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(begun.join().unwrap(), Ok(0));
    });
}

#[test]
fn a_table_that_cannot_hold_the_columns_is_told() {
    let cases = [
        (
            "CREATE TABLE ports (id TEXT PRIMARY KEY, crew INT)",
            "has no column `eta`: add it with `ALTER TABLE \"ports\" ADD COLUMN \"eta\" TEXT`, or leave it out of `columns`",
        ),
        (
            "CREATE TABLE ports (id INT PRIMARY KEY, crew INT, eta)",
            "column `id` of table ports is declared INT, which can't hold every text exactly: declare it TEXT, or give the column another `type`",
        ),
        (
            "CREATE TABLE ports (id TEXT, crew REAL, eta)",
            "declared REAL, which can't hold every int",
        ),
        ("CREATE TABLE ports (id TEXT, crew AS (1), eta)", "is computed by the database"),
        ("CREATE VIEW ports AS SELECT 1 AS id", "`ports` is a view: name a table"),
    ];
    for (sql, expected) in cases {
        let world = World::new(ports());
        world.other().execute_batch(sql).unwrap();
        let trouble = world.begin().map(|_| ()).unwrap_err();
        assert_eq!((trouble.ending, trouble.may_help), (Ending::Destination, Some(false)));
        assert!(trouble.message.contains(expected), "{}", trouble.message);
    }
    let world = World::new(ports());
    world.other().execute_batch("CREATE TABLE ports (id TEXT, crew INT, ETA TEXT, more)").unwrap();
    world.commit(Effect::Merge, &inserts(&[port("a", 1)])).unwrap();
    let trouble = world.commit(Effect::Merge, &[Step::Update(port("a", 2))]).unwrap_err();
    assert!(
        trouble
            .message
            .ends_with("make one with `CREATE UNIQUE INDEX \"ports_key\" ON \"ports\" (\"id\")`"),
        "{}",
        trouble.message
    );
    assert_eq!(world.rows(), [port("a", 1)]);
}

#[test]
fn what_somebody_else_wrote_counts_as_different() {
    let world = World::new(ports());
    world.commit(Effect::Add, &inserts(&[port("a", 1)])).unwrap();
    for odd in ["'x'", "1.5", "x'00'", "'2026-01-02'", "cast(x'ff' as text)"] {
        world.other().execute_batch(&format!("UPDATE ports SET eta = {odd}")).unwrap();
        assert_ne!(world.rows(), [port("a", 1)], "{odd}");
        world.commit(Effect::Merge, &[Step::Update(port("a", 1))]).unwrap();
        assert_eq!(world.rows(), [port("a", 1)]);
    }
}

#[test]
fn files_that_are_no_database_of_ours_are_told() {
    let world = World::new(ports());
    let path = world.stand.dir.path().join("a.db");
    std::fs::write(&path, "this is a text, and rather a long one. ".repeat(50)).unwrap();
    let trouble = world.begin().map(|_| ()).unwrap_err();
    assert!(trouble.message.contains("it is no SQLite database"), "{}", trouble.message);
    std::fs::remove_file(&path).unwrap();
    let mut world = world;
    world.to.path.value = "not/there/a.db".to_owned();
    let trouble = world.begin().map(|_| ()).unwrap_err();
    assert!(
        trouble.message.contains("its folder does not exist: mkdir -p "),
        "{}",
        trouble.message
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_what_is_read(
        rows in proptest::collection::vec(wide_row(), 1..30),
        others in proptest::collection::vec(wide_row(), 30),
    ) {
        let world = World::new(wide());
        let before = numbered(&rows);
        world.commit(Effect::Add, &inserts(&before)).unwrap();
        prop_assert_eq!(world.rows(), before);
        let after = numbered(&others[..rows.len()]);
        let updates: Vec<_> = after.iter().cloned().map(Step::Update).collect();
        world.commit(Effect::Merge, &updates).unwrap();
        prop_assert_eq!(world.rows(), after);
    }
}
