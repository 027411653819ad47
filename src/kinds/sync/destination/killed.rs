//! Commits by a process that is killed at any step: what is left is the old or the new, never a mix, and the
//! ledger is that of the data.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use super::super::postgres_server::Server;
use super::super::tools::stand::Stand;
use super::fixture::{Step, give, inserts, ledger, located, port, ports};
use super::*;
use crate::kinds::sync::diff::Effect;
use crate::kinds::sync::value::{Keys, Value};

/// What a child does, in an environment variable.
const CHILD: &str = "JADA_TEST_COMMIT";
const TEST: &str = "kinds::sync::destination::killed::a_process_of_its_own";

/// Rows of the destination; enough for SQLite to write before the commit.
const ROWS: i64 = 3000;

/// After the commit.
const LAST: u32 = 6;

/// Ends this process as `kill -9` does, where the parent asked for it.
pub(super) fn step(number: u32) {
    if std::env::var(CHILD).is_ok_and(|errand| Errand::parse(&errand).dies_at == number) {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    }
}

/// A commit of one process: `FILE-OR-URL EFFECT STEP`.
struct Errand {
    to: String,
    effect: Effect,
    dies_at: u32,
}

impl Errand {
    fn parse(text: &str) -> Self {
        let words: Vec<_> = text.split(' ').collect();
        let effect = match words[1] {
            "Add" => Effect::Add,
            "Replace" => Effect::Replace,
            _ => Effect::Merge,
        };
        Self { to: words[0].to_owned(), effect, dies_at: words[2].parse().unwrap() }
    }

    /// A child that does it, on its way.
    fn start(&self) -> std::process::Child {
        let errand = format!("{} {:?} {}", self.to, self.effect, self.dies_at);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", TEST]).env(CHILD, errand);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn run(&self) -> ExitStatus {
        self.start().wait_with_output().unwrap().status
    }
}

fn destination(to: &str) -> Destination {
    let (table, credential) = (located("ports"), None);
    if to.starts_with("postgres:") {
        let url = located(to);
        Destination::Postgres(postgres::PostgresTable { url, credential, table })
    } else {
        Destination::Sqlite(sqlite::SqliteTable { path: located(to), table })
    }
}

fn old() -> Vec<Vec<u8>> {
    (0..ROWS).map(|no| port(&format!("{no:05}"), no)).collect()
}

/// Of three rows one goes, one changes, one stays, and there is a new one.
fn steps(effect: Effect) -> Vec<Step> {
    let new = |no: i64| port(&format!("{no:05}-new"), no);
    if effect != Effect::Merge {
        return inserts(&(0..ROWS).map(new).collect::<Vec<_>>());
    }
    let mut key = Vec::new();
    let keys = Keys::of(&ports());
    let deletes = old().into_iter().step_by(3).map(|row| {
        key.clear();
        keys.append(&row, &mut key);
        Step::Delete(key.clone())
    });
    let mut all: Vec<_> = deletes.collect();
    let changed = |no: &i64| no % 3 == 1;
    all.extend((0..ROWS).filter(changed).map(|no| Step::Update(port(&format!("{no:05}"), -no))));
    all.extend((0..ROWS).step_by(3).map(|no| Step::Insert(new(no))));
    all
}

/// What is there after a commit: its rows, and what its ledger says.
fn expected(before: &[Vec<u8>], effect: Effect) -> (Vec<Vec<u8>>, Option<u64>) {
    let mut rows: Vec<_> = if effect == Effect::Replace { Vec::new() } else { before.to_vec() };
    let id = |row: &[u8]| match super::super::value::Values::of(row).next() {
        Some(Value::Text(id)) => id.to_owned(),
        other => panic!("{other:?}"),
    };
    let gone: std::collections::BTreeSet<_> = steps(effect)
        .iter()
        .filter_map(|step| match step {
            Step::Delete(row) | Step::Update(row) => Some(id(row)),
            Step::Insert(_) => None,
        })
        .collect();
    rows.retain(|row| !gone.contains(&id(row)));
    rows.extend(steps(effect).into_iter().filter_map(|step| match step {
        Step::Insert(row) | Step::Update(row) => Some(row),
        Step::Delete(_) => None,
    }));
    rows.sort();
    let count = rows.len() as u64;
    (rows, Some(count))
}

/// Commits as the pipeline does.
fn commit(to: &str, effect: Effect, steps: &[Step], rows: u64) {
    let stand = Stand::new();
    let columns = ports();
    let shape = Shape { stream: "port-sheet", columns: &columns };
    let (mut session, _) = destination(to).begin(&stand.tools, shape).unwrap();
    session.current(&mut |_| Ok(())).unwrap();
    step(2);
    let mut moves = |each: EachMove<'_>| {
        give(steps, &mut |step| {
            each(step)?;
            self::step(3);
            Ok(())
        })
    };
    let ledger = ledger(rows);
    match session {
        Session::Sqlite(session) => session.apply(effect, &mut moves, &ledger).unwrap(),
        Session::Postgres(session) => session.apply(effect, &mut moves, &ledger).unwrap(),
        _ => panic!("no database"),
    }
    step(LAST);
}

/// What a reader finds: the rows, and how many the ledger knows of.
fn found(to: &str) -> (Vec<Vec<u8>>, Option<u64>) {
    let stand = Stand::new();
    let columns = ports();
    let shape = Shape { stream: "port-sheet", columns: &columns };
    let (mut session, found) = destination(to).begin(&stand.tools, shape).unwrap();
    let mut rows = Vec::new();
    let mut keep = |row: &[u8]| {
        rows.push(row.to_vec());
        Ok(())
    };
    session.current(&mut keep).unwrap();
    rows.sort();
    let ledger = found.ledger.map(|text| serde_json::from_str::<Ledger>(&text).unwrap().rows);
    (rows, ledger)
}

/// The other tests start this one as a process. By itself it does in this process what that one does.
#[test]
fn a_process_of_its_own() {
    if let Ok(errand) = std::env::var(CHILD) {
        let Errand { to, effect, .. } = Errand::parse(&errand);
        let before = found(&to).0;
        println!("\nready");
        let rows = expected(&before, effect).0.len() as u64;
        return commit(&to, effect, &steps(effect), rows);
    }
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("a.db").display().to_string();
    commit(&to, Effect::Add, &inserts(&old()), 3000);
    let after = expected(&old(), Effect::Merge);
    commit(&to, Effect::Merge, &steps(Effect::Merge), after.0.len() as u64);
    assert_eq!(found(&to), after);
}

/// Kills at every step, and at some moment of a commit that nobody chose.
fn killed(fresh: impl Fn(usize) -> String) {
    let mut no = 0;
    for effect in [Effect::Add, Effect::Replace, Effect::Merge] {
        for (has_rows, dies_at) in
            (1..=LAST).map(|at| (true, at)).chain([(false, 4), (false, LAST)])
        {
            if effect == Effect::Merge && !has_rows {
                continue;
            }
            no += 1;
            let to = fresh(no);
            let mut before = (Vec::new(), None);
            if has_rows {
                commit(&to, Effect::Add, &inserts(&old()), 3000);
                before = (old(), Some(3000));
            }
            let after = expected(&before.0, effect);
            let errand = Errand { to, effect, dies_at };
            assert_eq!(errand.run().signal(), Some(9), "{effect:?} at {dies_at}");
            let left = found(&errand.to);
            let right = if dies_at == LAST { &after } else { &before };
            assert!(left == *right, "{effect:?} at {dies_at}: {} rows, {:?}", left.0.len(), left.1);
        }
    }
    for round in 0..6 {
        no += 1;
        let to = fresh(no);
        commit(&to, Effect::Add, &inserts(&old()), 3000);
        let effect = if round % 2 == 0 { Effect::Merge } else { Effect::Replace };
        let errand = Errand { to, effect, dies_at: 0 };
        let mut child = errand.start();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.take_while(|line| line != "ready").count() > 0);
        // How far it gets meanwhile is up to the machine.
        for _ in 0..round * 3_000_000 {
            std::hint::black_box(round);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = found(&errand.to);
        let is_old = left == (old(), Some(3000));
        assert!(is_old || left == expected(&old(), effect), "{} rows, {:?}", left.0.len(), left.1);
    }
}

#[test]
fn a_sqlite_file_holds_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    killed(|no| dir.path().join(format!("{no}.db")).display().to_string());
}

#[test]
fn a_postgres_table_holds_the_old_or_the_new() {
    let Some(server) = Server::shared() else { return };
    let server = Arc::clone(&server);
    killed(|no| {
        let name = format!("killed{no}");
        postgres::make(&server, &name);
        server.url(&name)
    });
}
