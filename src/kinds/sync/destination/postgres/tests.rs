//! Rows into a table of a real server and back.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::super::postgres_server::{self, Server};
use super::super::super::tools::stand::Stand;
use super::super::super::value::Value;
use super::super::EachMove;
use super::super::fixture::{
    Step, column, give, inserts, ledger, located, numbered, port, ports, row, wide, wide_row,
};
use super::*;
use crate::kinds::StopReason;

struct World {
    server: Arc<Server>,
    stand: Stand,
    to: PostgresTable,
    columns: Vec<Column>,
}

fn table(url: &str) -> PostgresTable {
    PostgresTable { url: located(url), credential: None, table: located("ports") }
}

/// Makes a database.
pub(in super::super) fn make(server: &Server, database: &str) {
    let stand = Stand::new();
    let first = Link::open(table(&server.url("postgres")).server(), &stand.tools).unwrap();
    let make = format!("CREATE DATABASE {database}");
    first.wait(first.client.batch_execute(&make)).unwrap();
}

impl World {
    /// A database of its own on the shared server.
    fn new(database: &str, columns: Vec<Column>) -> Option<Self> {
        let server = Server::shared()?;
        make(&server, database);
        let to = table(&server.url(database));
        Some(Self { server, stand: Stand::new(), to, columns })
    }

    /// Somebody else's connection.
    fn other(&self) -> Link {
        Link::open(self.to.server(), &self.stand.tools).unwrap()
    }

    fn run(&self, sql: &str) {
        let other = self.other();
        other.wait(other.client.batch_execute(sql)).unwrap();
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
        let (mut session, _) = self.begin().unwrap();
        let mut keep = |row: &[u8]| {
            rows.push(row.to_vec());
            Ok(())
        };
        session.current(&mut keep).unwrap();
        rows.sort();
        rows
    }
}

#[test]
fn rows_and_ledger_are_committed_as_one() {
    let Some(mut world) = World::new("whole", ports()) else { return };
    let (session, found) = world.begin().unwrap();
    assert_eq!(found, Found { ledger: None, rows: 0, shows_rows: true });
    drop(session);
    world.commit(Effect::Add, &inserts(&[port("a", 1), port("b", 2), port("\\N\t", 3)])).unwrap();
    assert_eq!(world.rows(), [port("a", 1), port("b", 2), port("\\N\t", 3)]);
    let (_, found) = world.begin().unwrap();
    assert_eq!(found.ledger, Some(serde_json::to_string(&ledger(3)).unwrap()));

    let steps = [
        Step::Delete(row(&[Value::Text("a")])),
        Step::Delete(row(&[Value::Text("\\N\t")])),
        Step::Update(port("b", 3)),
        Step::Insert(port("c", 4)),
    ];
    world.commit(Effect::Merge, &steps).unwrap();
    assert_eq!(world.rows(), [port("b", 3), port("c", 4)]);
    world.commit(Effect::Replace, &inserts(&[port("d", 5)])).unwrap();
    assert_eq!(world.rows(), [port("d", 5)]);

    // In a schema of its own, the ledger stands beside the table.
    world.run("CREATE SCHEMA \"Ops\"");
    world.to.table.value = "Ops.Ports".to_owned();
    world.commit(Effect::Add, &inserts(&[port("x", 1)])).unwrap();
    assert_eq!(world.rows(), [port("x", 1)]);
    world.run("SELECT ledger FROM \"Ops\".jada_sync; SELECT eta FROM \"Ops\".\"Ports\"");
}

#[test]
fn what_ends_before_the_commit_changes_nothing() {
    let Some(world) = World::new("nothing", ports()) else { return };
    world.commit(Effect::Add, &inserts(&[port("a", 1)])).unwrap();
    let nul = inserts(&[port("b", 1), port("c\0", 2)]);
    let null = [Step::Insert(row(&[Value::Null, Value::Int(1), Value::Null]))];
    let gone = [Step::Delete(row(&[Value::Text("z")]))];
    let cases = [
        (Effect::Replace, inserts(&[port("b", 1), port("b", 2)]), "Key (id)=(b) already exists"),
        (Effect::Add, nul, "column `id` of the row id=c\0 has a character of number 0"),
        (Effect::Add, Vec::from(null), "violates not-null constraint"),
        (Effect::Merge, Vec::from(gone), "of which 0 with their keys are there"),
    ];
    for (effect, steps, expected) in cases {
        let trouble = world.commit(effect, &steps).unwrap_err();
        assert_eq!((trouble.ending, trouble.may_help), (Ending::Destination, Some(false)));
        assert!(trouble.message.contains(expected), "{}", trouble.message);
    }
    assert_eq!(world.rows(), [port("a", 1)]);
}

#[test]
fn a_stop_ends_what_the_server_does() {
    let Some(world) = World::new("stopped", ports()) else { return };
    world.commit(Effect::Add, &[]).unwrap();
    let holder = world.other();
    holder.wait(holder.client.batch_execute("BEGIN; LOCK TABLE ports IN SHARE MODE")).unwrap();
    let pull = world.stand.pull.clone();
    std::thread::scope(|scope| {
        let begun = scope.spawn(|| world.begin().map(|(_, found)| found));
        pull.send_replace(Some(StopReason::TimedOut));
        assert_eq!(begun.join().unwrap().unwrap_err().ending, Ending::Cancelled);
    });
    pull.send_replace(None);
    // Nobody waits for the lock any more, once the server has heard of it.
    let count = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let waiting = || -> i64 { holder.wait(holder.client.query_one(count, &[])).unwrap().get(0) };
    while waiting() > 0 {}
    holder.wait(holder.client.batch_execute("COMMIT; SET lock_timeout = 0")).unwrap();
    holder.wait(holder.client.batch_execute("BEGIN; LOCK TABLE ports IN SHARE MODE")).unwrap();
    let impatient = format!("{}?options=-c%20lock_timeout%3D1", world.server.url("stopped"));
    let mut other = world.to.clone();
    other.url.value = impatient;
    let shape = Shape { stream: "port-sheet", columns: &world.columns };
    drop(holder);
    assert!(other.begin(&world.stand.tools, shape).is_ok());
}

#[test]
fn a_table_that_cannot_hold_the_columns_is_told() {
    let cases = [
        (
            "TABLE ports (id text, crew int)",
            "has no column `eta`: add it with `ALTER TABLE \"public\".\"ports\" ADD COLUMN \"eta\" timestamp with time zone`, or leave it out of `columns`",
        ),
        (
            "TABLE ports (id char(8), crew int, eta timestamptz)",
            "column `id` of table \"public\".\"ports\" is character(8), which can't hold every text exactly: make it text, or give the column another `type`",
        ),
        ("TABLE ports (id text, crew numeric(9,2), eta timestamptz)", "is numeric(9,2)"),
        ("TABLE ports (id text, crew int, eta timestamptz(0))", "is timestamp(0) with time zone"),
        (
            "TABLE ports (id text, crew int GENERATED ALWAYS AS IDENTITY, eta timestamptz)",
            "is computed",
        ),
        ("VIEW ports AS SELECT 1 AS id", "\"public\".\"ports\" is no table: name one"),
    ];
    for (no, (sql, expected)) in cases.iter().enumerate() {
        let Some(world) = World::new(&format!("odd{no}"), ports()) else { return };
        world.run(&format!("CREATE {sql}"));
        let trouble = world.begin().map(|_| ()).unwrap_err();
        assert_eq!((trouble.ending, trouble.may_help), (Ending::Destination, Some(false)));
        assert!(trouble.message.contains(expected), "{}", trouble.message);
    }
}

#[test]
fn a_table_with_other_types_holds_the_same() {
    let kinds = "text int decimal(12,2) timestamp json bool date float";
    let mut columns: Vec<_> = kinds
        .split(' ')
        .enumerate()
        .map(|(no, kind)| column(&format!("c{no}"), kind, no == 0))
        .collect();
    columns[0].key = true;
    let Some(world) = World::new("others", columns) else { return };
    world.run(
        "CREATE TABLE ports (c0 varchar(20) PRIMARY KEY, c1 int4, c2 numeric(20,6), c3 timestamp, \
         c4 jsonb, c5 bool, c6 text, c7 float8, more text DEFAULT 'x')",
    );
    let values = |id, crew| {
        row(&[
            Value::Text(id),
            Value::Int(crew),
            Value::Decimal(1250),
            Value::Timestamp(1_500_000),
            Value::Json("{\"a\":[1,2],\"bb\":\"x\"}"),
            Value::Bool(true),
            Value::Date(20_000),
            Value::Float(0.1),
        ])
    };
    world.commit(Effect::Merge, &inserts(&[values("a", 1), values("b", 2)])).unwrap();
    assert_eq!(world.rows(), [values("a", 1), values("b", 2)]);
    world.run("UPDATE ports SET more = 'kept'");
    world.commit(Effect::Merge, &[Step::Update(values("b", 3))]).unwrap();
    assert_eq!(world.rows(), [values("a", 1), values("b", 3)]);
    world.run("DO $$ BEGIN ASSERT (SELECT bool_and(more = 'kept') FROM ports); END $$");
    let trouble = world.commit(Effect::Add, &inserts(&[values("c", 1 << 40)])).unwrap_err();
    assert!(trouble.message.contains("is out of range for type integer"), "{}", trouble.message);
}

#[test]
fn who_is_not_let_in_is_told() {
    let Some(world) = World::new("doors", ports()) else { return };
    world.run("CREATE ROLE guest LOGIN; CREATE TABLE ports (id text)");
    let socket = world.server.url("doors");
    let cases = [
        (world.server.tcp("doors"), Ending::Config, "password"),
        (socket.replace("postgres@", "guest@"), Ending::Permission, "permission denied"),
        (socket.replace("postgres@", "nobody_there@"), Ending::Auth, "does not exist"),
        (world.server.url("not_there"), Ending::NotFound, "does not exist"),
        ("postgres://me@127.0.0.1:1/app".to_owned(), Ending::Destination, "refused"),
        (world.server.tcp("doors") + "?sslmode=require", Ending::Destination, "sslmode=disable"),
    ];
    for (url, ending, words) in cases {
        let mut to = world.to.clone();
        to.url.value = url;
        let shape = Shape { stream: "port-sheet", columns: &world.columns };
        let trouble = to.begin(&world.stand.tools, shape).map(|_| ()).unwrap_err();
        assert_eq!(trouble.ending, ending, "{}", trouble.message);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    assert!(!postgres_server::PASSWORD.is_empty());
}

#[test]
fn a_lost_answer_is_looked_up() {
    let Some(world) = World::new("lost", ports()) else { return };
    let (session, _) = world.begin().unwrap();
    let ours = serde_json::to_string(&ledger(1)).unwrap();
    // The transaction ends with its connection.
    session.link.wait(session.link.client.batch_execute("ROLLBACK")).unwrap();
    let trouble = session.ask_again(&ours).unwrap_err();
    assert!(trouble.message.ends_with("at the commit, and nothing was committed"));
    world.commit(Effect::Add, &inserts(&[port("a", 1)])).unwrap();
    assert_eq!(session.ask_again(&ours), Ok(()));
}

#[test]
fn what_is_written_is_what_is_read() {
    let Some(world) = World::new("types", wide()) else { return };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let rows = proptest::collection::vec(wide_row(), 1..30);
    let others = proptest::collection::vec(wide_row(), 30);
    runner
        .run(&(rows, others), |(rows, others)| {
            let before = numbered(&rows);
            world.commit(Effect::Replace, &inserts(&before)).unwrap();
            prop_assert_eq!(world.rows(), before);
            let after = numbered(&others[..rows.len()]);
            let updates: Vec<_> = after.iter().cloned().map(Step::Update).collect();
            world.commit(Effect::Merge, &updates).unwrap();
            prop_assert_eq!(world.rows(), after);
            Ok(())
        })
        .unwrap();
}
