//! A CSV file into a Postgres table, beside what `psql` needs for the same.
//!
//! `cargo bench --bench sync_postgres` prints, measured side by side in one run against a server of its own:
//! - `psql`'s `\copy` of a million rows into a table with a primary key;
//! - the whole pipeline with mapping, guards and ledger into an empty table: nothing to compare with;
//! - the same with one row of a hundred changed: the table is read and compared before;
//! - the resident memory of all that.
//!
//! `ROWS=100000` measures with fewer.

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../../real/postgres.rs"]
#[expect(dead_code, reason = "tests ask it for more")]
#[expect(clippy::unwrap_used, clippy::print_stderr, reason = "it is of the tests")]
mod server;

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jada::clock::SystemClock;
use jada::kinds::output::Outputs;
use jada::kinds::{AttemptContext, Kinds, Perform, Setting, Stop, Work};
use jada::model::{Cause, JobName, NodeId, Outcome, RunId};
use jada::yaml::decode::choice::OneOf;
use jada::yaml::{Decoder, Source, parse};
use jiff::Timestamp;
use server::Server;

const COLUMNS: &str = "id int, code text, port text, crew int, cost decimal(12,2), share float, \
                       is_open bool, eta timestamp, day date, note text";

fn main() {
    // `cargo test --benches` runs it too.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let Some(server) = Server::shared() else { return };
    let url = server.url("postgres");
    let dir = tempfile::tempdir().expect("a folder");
    let (first, second) = (dir.path().join("first.csv"), dir.path().join("second.csv"));
    write(&first, rows, false);
    write(&second, rows, true);

    let (mut peer, mut plain, mut compared) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for round in 0..3 {
        peer = peer.min(copied(&url, &first));
        psql(&url, "DROP TABLE IF EXISTS ours; DROP TABLE IF EXISTS jada_sync; CHECKPOINT");
        plain = plain.min(synced(&url, &first, dir.path(), round * 2 + 1));
        psql(&url, "CHECKPOINT");
        compared = compared.min(synced(&url, &second, dir.path(), round * 2 + 2));
    }
    let ratio = |time: Duration| time.as_secs_f64() / peer.as_secs_f64();
    println!("{rows} rows, best of three, seconds of the clock");
    println!("psql \\copy                 {:6.2}", peer.as_secs_f64());
    println!("sync into an empty table   {:6.2}  {:.2}×", plain.as_secs_f64(), ratio(plain));
    println!("sync with a diff           {:6.2}  {:.2}×", compared.as_secs_f64(), ratio(compared));
    println!("resident memory at most    {} MiB", peak() >> 10);
}

/// Writes the rows; `later`, one of a hundred is another.
fn write(path: &Path, rows: u64, later: bool) {
    let mut file = BufWriter::new(std::fs::File::create(path).expect("a file"));
    let names = COLUMNS.split(", ").map(|column| column.split(' ').next().unwrap_or_default());
    writeln!(file, "{}", names.collect::<Vec<_>>().join(",")).expect("room");
    let mut line = String::new();
    for id in 0..rows {
        let changed = u64::from(later && id % 100 == 0);
        line.clear();
        let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let (cents, share) = (mixed % 1_000_000, mixed % 1000);
        let (hour, minute, day) = (mixed % 24, mixed % 60, mixed % 28 + 1);
        writeln!(
            line,
            "{id},C-{mixed:010},port of {},{},{}.{:02},0.{share:03},{},\
             2026-03-{day:02}T{hour:02}:{minute:02}:00Z,2026-04-{day:02},a note on row {mixed}",
            mixed % 97,
            mixed % 30 + changed,
            cents / 100,
            cents % 100,
            mixed % 2 == 0,
        )
        .expect("a text takes everything");
        file.write_all(line.as_bytes()).expect("room");
    }
    file.flush().expect("room");
}

fn psql(url: &str, sql: &str) {
    let mut command = Command::new("psql");
    let done = command.args(["-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]).output();
    let done = done.expect("psql is beside the server");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn copied(url: &str, file: &Path) -> Duration {
    psql(
        url,
        "DROP TABLE IF EXISTS peer; CREATE TABLE peer (id bigint PRIMARY KEY, code text, port text, \
         crew bigint, cost numeric(12,2), share float8, is_open bool, eta timestamptz, day date, \
         note text)",
    );
    psql(url, "CHECKPOINT");
    let began = Instant::now();
    psql(url, &format!("\\copy peer FROM '{}' WITH (FORMAT csv, HEADER)", file.display()));
    began.elapsed()
}

fn synced(url: &str, file: &Path, dir: &Path, run: i64) -> Duration {
    let columns = COLUMNS.split(", ").map(|column| {
        let (name, kind) = column.split_once(' ').expect("a name and a type");
        let key = if name == "id" { ", key: true" } else { "" };
        format!("{name}: {{ type: \"{kind}\"{key} }}")
    });
    let text = format!(
        "sync:\n  source: {{ csv: {{ path: \"{}\" }} }}\n  columns: {{ {} }}\n  \
         destination: {{ postgres: {{ url: \"{url}\", table: ours }} }}\n  mode: mirror\n  \
         guards: {{ on_empty: hold, min_rows: 50, max_shrink: 20%, max_delete: 100 rows }}\n",
        file.display(),
        columns.collect::<Vec<_>>().join(", "),
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outputs = Outputs::at(dir);
    let (_pull, stop) = Stop::pair();
    let attempt = AttemptContext {
        run: RunId(run),
        job: JobName::parse("bench").expect("a name"),
        no: 1,
        node: NodeId(1),
        cause: Cause::Manual(Timestamp::now()),
        started_at: Timestamp::now(),
        work: Arc::new(work(&text)),
        setting: Arc::new(Setting { working_dir: dir.to_owned(), ..Setting::default() }),
        output: outputs.open(RunId(run), 1, None),
        facts: jada::kinds::facts::Facts::default(),
        seen: jada::kinds::Seen::default(),
        stop,
        clock: Arc::new(SystemClock),
    };
    let began = Instant::now();
    let outcome = runtime.block_on(Kinds::new(dir, None).perform(attempt));
    let took = began.elapsed();
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    took
}

fn work(text: &str) -> Work {
    let source = Source::new("job.yaml", text);
    let (documents, found) = parse(&source);
    assert!(found.is_empty(), "{found:?}");
    let mut decoder = Decoder::new(&source);
    let entry = &documents[0].root.entries()[0];
    Work::decode_at(&entry.key, &entry.value, &mut decoder)
        .unwrap_or_else(|| panic!("{:?}", decoder.finish()))
}

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words.and_then(|number| number.parse().ok()).unwrap_or_default()
}
