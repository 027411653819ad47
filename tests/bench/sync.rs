//! What a sync costs beside a bare loop: CSV to SQLite, with mapping, guards and ledger.
//!
//! Owns the measurement: rows of ten columns, read by this crate's pipeline and by a loop over csv and rusqlite
//! alone, each in a process of its own; processor time, its ratio, and the most memory. Refuses to judge: it
//! prints figures and ratios. Run with `cargo bench --bench sync`; a number of rows may follow `--`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "the figures are rounded")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jada::clock::SystemClock;
use jada::kinds::output::Outputs;
use jada::kinds::sync::SyncSpec;
use jada::kinds::{AttemptContext, Kinds, Perform, Setting, Stop, Work};
use jada::model::{Cause, JobName, NodeId, Outcome, RunId};
use jada::yaml::{self, Decode, Decoder, Located, Source};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[path = "sync/singer.rs"]
mod singer;

const JOB: &str = r"
source: { csv: { path: rows.csv } }
columns:
  id: { type: int, key: true }
  name: { type: text, required: true }
  port: { type: text }
  eta: { type: timestamp }
  day: { type: date }
  crew: { type: int }
  cost: { type: 'decimal(12,2)' }
  load: { type: float }
  active: { type: bool }
  note: { type: text }
destination: { sqlite: { path: sync.db, table: rows } }
mode: mirror
guards: { on_empty: hold, min_rows: 50, max_shrink: 20%, max_delete: 100 rows, not_null: name }
";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", what, folder] => child(what, Path::new(folder)),
        [rows] => parent(rows.parse().expect("a number of rows")),
        _ => parent(1_000_000),
    }
}

fn parent(rows: u64) {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    write_rows(folder.path(), rows, 0);
    println!("{rows} rows of 10 columns, CSV to SQLite");
    let bare = measured("bare", folder.path(), rows);
    let first = measured("sync", folder.path(), rows);
    println!("  a first sync takes {:.2} times the processor time of the bare loop", first / bare);
    let same = measured("sync", folder.path(), rows);
    println!("  one without a change takes {:.2} times", same / bare);
    write_rows(folder.path(), rows, 100);
    let changed = measured("sync", folder.path(), rows);
    println!("  one with 1 % changed takes {:.2} times", changed / bare);
    singer::parent(folder.path(), rows, || measured("singer", folder.path(), rows));
}

/// Rows of which one in `every` is another one.
fn write_rows(folder: &Path, rows: u64, every: u64) {
    let mut text = String::from("id,name,port,eta,day,crew,cost,load,active,note\n");
    for id in 0..rows {
        let crew = if every > 0 && id % every == 0 { 99 } else { id % 40 };
        writeln!(
            text,
            "{id},vessel {},NO{:03},2026-03-{:02}T{:02}:15:00Z,2026-03-{:02},{crew},{}.{:02},{}.5,{},a note of some length",
            id % 5000,
            id % 300,
            id % 28 + 1,
            id % 24,
            id % 28 + 1,
            id % 10_000,
            id % 100,
            id % 777,
            id % 2 == 0,
        )
        .expect("a text takes everything");
    }
    std::fs::write(folder.join("rows.csv"), text).expect("the rows are written");
}

/// Processor seconds of a child.
fn measured(what: &str, folder: &Path, rows: u64) -> f64 {
    let me = std::env::current_exe().expect("a program knows its file");
    let child = Command::new(me).arg("child").arg(what).arg(folder).output();
    let child = child.expect("a child starts");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    let mut figures = text.split_whitespace();
    let seconds: f64 = figures.next().and_then(|word| word.parse().ok()).expect("seconds");
    let peak: f64 = figures.next().and_then(|word| word.parse().ok()).expect("kilobytes");
    let note: Vec<&str> = figures.collect();
    let pace = rows as f64 / seconds / 1000.0;
    println!(
        "{what:5} {seconds:6.2} CPU s {pace:6.0}k rows/CPU-s {:6.1} MB at most  {}",
        peak / 1024.0,
        note.join(" ")
    );
    seconds
}

fn child(what: &str, folder: &Path) {
    let note = match what {
        "bare" => bare(folder),
        "singer" => sync(folder, what, singer::JOB),
        _ => sync(folder, what, JOB),
    };
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let time = Duration::try_from(time).expect("a processor's time is never negative");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")).unwrap_or("0");
    println!("{} {peak} {note}", time.as_secs_f64());
}

/// The loop that one would write by hand: every field as a text, upserted in one transaction.
fn bare(folder: &Path) -> String {
    let mut to = rusqlite::Connection::open(folder.join("bare.db")).expect("it opens");
    to.pragma_update(None, "journal_mode", "WAL").expect("it is set");
    let table = "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, port TEXT, eta TEXT, day TEXT, \
                 crew INTEGER, cost TEXT, load REAL, active INTEGER, note TEXT)";
    to.execute_batch(table).expect("it is made");
    let write = to.transaction().expect("it begins");
    let mut count = 0;
    {
        let upsert = "INSERT INTO rows VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT (id) DO UPDATE \
                      SET name=?2,port=?3,eta=?4,day=?5,crew=?6,cost=?7,load=?8,active=?9,note=?10";
        let mut upsert = write.prepare(upsert).expect("it is prepared");
        let mut from = csv::Reader::from_path(folder.join("rows.csv")).expect("it opens");
        let mut record = csv::StringRecord::new();
        while from.read_record(&mut record).expect("it is read") {
            for (index, field) in record.iter().enumerate() {
                upsert.raw_bind_parameter(index + 1, field).expect("it is bound");
            }
            upsert.raw_execute().expect("it is written");
            count += 1;
        }
    }
    write.commit().expect("it is committed");
    format!("{count} rows")
}

fn sync(folder: &Path, name: &str, job: &str) -> String {
    let source = Source::new("job.yaml", job);
    let (documents, _) = yaml::parse(&source);
    let mut cx = Decoder::new(&source);
    let spec =
        Located::<SyncSpec>::decode(&documents[0].root, &mut cx).expect("the section is right");
    let (_pull, stop) = Stop::pair();
    let (run, now) = (RunId(1), Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(500_000));
    let attempt = AttemptContext {
        run,
        job: JobName::parse(name).expect("a legal name"),
        no: 1,
        node: NodeId(1),
        cause: Cause::Manual(now),
        started_at: now,
        work: Arc::new(Work::Sync(Box::new(spec))),
        setting: Arc::new(Setting { working_dir: folder.to_owned(), ..Setting::default() }),
        output: Outputs::at(folder).open(run, 1, None),
        facts: jada::kinds::facts::Facts::default(),
        seen: jada::kinds::Seen::default(),
        stop,
        clock: Arc::new(SystemClock),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime starts");
    match runtime.block_on(Kinds::new(folder, None).perform(attempt)) {
        Outcome::Succeeded { note } => note,
        Outcome::Failed(failure) => panic!("{}", failure.message),
    }
}
