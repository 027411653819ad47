//! What it costs to validate ten thousand job files, side by side with merely parsing them.
//!
//! `cargo bench --bench validate`. Prints medians and ratios; asserts nothing about time.

#![expect(clippy::unwrap_used, reason = "a bench may stop at what must not happen")]
#![expect(clippy::print_stdout, reason = "its table is what a bench is for")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jada::spec::{self, Catalog, Config, Settings};
use jiff::Timestamp;

const FILES: usize = 10_000;
const REPEATS: usize = 9;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let paths = write(dir.path());
    let settings = Settings::defaults(dir.path());
    let config = Config::of(settings);
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();

    // First, while nothing else was ever allocated.
    let before = resident();
    let catalog = spec::load(&config.settings, now, None);
    println!("{:<40}{:>8.1} MB", "memory of the catalog and its making", megabytes(before));
    drop(catalog);

    // In turns, so that a busy machine is unfair to both.
    let (mut parses, mut checks, mut loads, mut reloads) = (vec![], vec![], vec![], vec![]);
    let (mut keeps, mut starts) = (vec![], vec![]);
    let kept = spec::Kept::at(dir.path());
    for round in 0..REPEATS {
        parses.push(time(|| parse(&paths)));
        checks.push(time(|| validate(&config, now)));
        let mut catalog = Catalog::default();
        loads.push(time(|| catalog = spec::load(&config.settings, now, None)));
        fs::write(&paths[0], job(0, &format!("description: round {round}"))).unwrap();
        reloads.push(time(|| {
            catalog = spec::load(&config.settings, now, Some(&catalog));
            assert_eq!(catalog.jobs.len(), FILES);
        }));
        keeps.push(time(|| kept.keep(&catalog).unwrap()));
        starts.push(time(|| catalog = spec::start(&config.settings, now, &kept)));
    }
    let parse = median(parses);
    println!("{FILES} files of one job each, medians of {REPEATS}");
    row("parse (serde-saphyr into serde_json)", parse, parse);
    row("validate", median(checks), parse);
    row("load as the daemon does", median(loads), parse);
    row("load again, one file changed", median(reloads), parse);
    row("keep its copy, behind the reload", median(keeps), parse);
    row("start with a copy of each file", median(starts), parse);
}

/// A job as people write them, about 700 bytes.
fn job(number: usize, more: &str) -> String {
    format!(
        "# yaml-language-server: $schema=../schemas/job.schema.json\n\
         # Copies the orders of branch {number} into the warehouse, for the morning report.\n\
         name: orders-{number}\n\
         {more}\n\
         labels: {{ team: data, tier: \"{tier}\" }}\n\
         schedule:\n  cron: \"{minute} {hour} * * *\"\n  timezone: America/New_York\n  jitter: 30s\n\
         overlap: skip\n\
         deadline: 2h\n\
         timeout: 10m\n\
         retry:\n  attempts: 3\n  backoff: {{ initial: 10s, factor: 2, max: 5m }}\n  on: [transient, timed_out]\n\
         alert: {{ failures: 2, within: 3d }}\n\
         env:\n  TARGET: /srv/orders/{number}\n  LANG: C.UTF-8\n\
         command:\n  run: [\"/bin/echo\", \"--branch\", \"{number}\"]\n",
        tier = number % 3,
        minute = number % 60,
        hour = number % 24,
    )
}

fn write(dir: &Path) -> Vec<PathBuf> {
    let jobs = dir.join("jobs.d");
    fs::create_dir(&jobs).unwrap();
    let write = |number| {
        let path = jobs.join(format!("orders-{number:05}.yaml"));
        fs::write(&path, job(number, "description: from the bench")).unwrap();
        path
    };
    (0..FILES).map(write).collect()
}

fn parse(paths: &[PathBuf]) {
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        black_box(serde_saphyr::from_str::<serde_json::Value>(&text).unwrap());
    }
}

fn validate(config: &Config, now: Timestamp) {
    let checked = spec::check(&[], config, now);
    assert_eq!((checked.jobs, checked.has_errors()), (FILES, false), "{:?}", checked.diagnostics);
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn row(name: &str, time: Duration, parse: Duration) {
    let ratio = time.as_secs_f64() / parse.as_secs_f64();
    println!("{name:<40}{:>8.1} ms{ratio:>9.2}×", time.as_secs_f64() * 1e3);
}

fn megabytes(before: u64) -> f64 {
    let grown = u32::try_from(resident().saturating_sub(before) / 1024).unwrap();
    f64::from(grown) / 1024.0
}

/// Bytes of memory in use, as the kernel counts them.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
