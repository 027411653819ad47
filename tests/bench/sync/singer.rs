//! What a Singer stream into SQLite costs, beside target-sqlite.
//!
//! Owns the stream and the job. The tap is a shell that prints a file, so that what is measured is the side that
//! reads. Refuses to judge.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The job.
pub(super) const JOB: &str = r"
source: { singer: { run: [/bin/sh, tap.sh], stream: rows } }
destination: { sqlite: { path: singer.db, table: rows } }
mode: upsert
guards: { on_empty: hold, min_rows: 50, max_change: 100% }
";

/// Measures it, and the peers where somebody has them.
pub(super) fn parent(folder: &Path, rows: u64, measured: impl FnOnce() -> f64) {
    println!("{rows} records of 10 fields, Singer to SQLite");
    write_stream(folder, rows);
    let ours = measured();
    let Some(python) = std::env::var_os("JADA_BENCH_PYTHON") else { return };
    // It is slow: a part of the rows tells as much.
    let few = rows.min(50_000);
    write_stream(folder, few);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/sync/peers.py");
    let mut command = Command::new(python);
    command.arg(script).arg("singer").arg(folder.join("rows.singer"));
    let told = command.arg(few.to_string()).arg(folder).output().expect("Python starts");
    for line in String::from_utf8_lossy(&told.stdout).lines() {
        let Ok(peer) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let name = peer["name"].as_str().unwrap_or_default();
        let pace = few as f64 / peer["cpu"].as_f64().unwrap_or(f64::NAN);
        println!(
            "{name}: {:.1}k rows/CPU-s; ours is {:.0} times that",
            pace / 1000.0,
            rows as f64 / ours / pace
        );
    }
}

fn write_stream(folder: &Path, rows: u64) {
    let mut text = String::from(
        "{\"type\":\"SCHEMA\",\"stream\":\"rows\",\"key_properties\":[\"id\"],\"schema\":{\"properties\":{\
         \"id\":{\"type\":\"integer\"},\"name\":{\"type\":[\"null\",\"string\"]},\
         \"port\":{\"type\":[\"null\",\"string\"]},\
         \"eta\":{\"type\":[\"null\",\"string\"],\"format\":\"date-time\"},\
         \"day\":{\"type\":[\"null\",\"string\"]},\"crew\":{\"type\":[\"null\",\"integer\"]},\
         \"cost\":{\"type\":[\"null\",\"number\"]},\"load\":{\"type\":[\"null\",\"number\"]},\
         \"active\":{\"type\":[\"null\",\"boolean\"]},\"note\":{\"type\":[\"null\",\"string\"]}}}}\n",
    );
    for id in 0..rows {
        writeln!(
            text,
            "{{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{{\"id\":{id},\"name\":\"vessel {}\",\
             \"port\":\"NO{:03}\",\"eta\":\"2026-03-{:02}T{:02}:15:00Z\",\"day\":\"2026-03-{:02}\",\
             \"crew\":{},\"cost\":{}.{:02},\"load\":{}.5,\"active\":{},\
             \"note\":\"a note of some length\"}}}}",
            id % 5000,
            id % 300,
            id % 28 + 1,
            id % 24,
            id % 28 + 1,
            id % 40,
            id % 10_000,
            id % 100,
            id % 777,
            id % 2 == 0,
        )
        .expect("a text takes everything");
    }
    text.push_str("{\"type\":\"STATE\",\"value\":{\"done\":true}}\n");
    std::fs::write(folder.join("rows.singer"), text).expect("the stream is written");
    let tap = "case \"$*\" in *--discover*) echo 'unrecognized arguments: --discover' >&2; exit 2;; esac\n\
               exec cat rows.singer\n";
    std::fs::write(folder.join("tap.sh"), tap).expect("the tap is written");
}
