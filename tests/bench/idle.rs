//! What the daemon costs when nothing is due.
//!
//! `cargo bench --bench idle` starts the real daemon on 10,000 jobs of which none is due, and on the
//! repository's own jobs, and prints resident memory and the CPU time of a quiet minute (`JADA_IDLE=SECONDS`
//! for a shorter one).

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TICKS_PER_SECOND: f64 = 100.0;

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn start(word: &str, jobs: &Path, data: &Path) -> Daemon {
    let begun = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_jada-agent"))
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(data.join("none.yaml"))
        .arg("--jobs-dir")
        .arg(jobs)
        .arg("--data-dir")
        .arg(data)
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    let socket = data.join("jada.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the daemon answers");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("  {word} after {} ms", begun.elapsed().as_millis());
    Daemon(child)
}

/// User and system time so far, in ticks.
fn ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("alive");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let number = |index: usize| fields[index].parse::<f64>().expect("a number");
    number(11) + number(12)
}

fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("alive");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1024.0
}

fn measure(name: &str, jobs: &Path) {
    println!("{name}");
    let data = tempfile::tempdir().expect("a folder");
    let daemon = start("up", jobs, data.path());
    let pid = daemon.0.id();
    // What starting up left to do settles first.
    std::thread::sleep(Duration::from_secs(3));
    let seconds = std::env::var("JADA_IDLE").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let before = ticks(pid);
    std::thread::sleep(Duration::from_secs(seconds));
    let busy = (ticks(pid) - before) / TICKS_PER_SECOND;
    println!("  resident {:.1} MiB, CPU {busy:.2} s in {seconds} s", resident_mib(pid));
    drop(daemon);
    // Now each file has its copy, and the store knows every job.
    drop(start("up again", jobs, data.path()));
}

fn main() {
    let many = tempfile::tempdir().expect("a folder");
    for index in 0..10_000 {
        let mut text = String::new();
        let (minute, hour) = (index % 60, index / 60 % 24);
        // A day of the year that is not near.
        writeln!(text, "schedule: {{ cron: \"{minute} {hour} 29 2 *\", timezone: Europe/Berlin }}")
            .expect("text");
        writeln!(text, "timeout: 5m\nretry: 3").expect("text");
        writeln!(text, "command: {{ run: [\"true\", \"{index}\"] }}").expect("text");
        std::fs::write(many.path().join(format!("job-{index}.yaml")), text).expect("written");
    }
    measure("10,000 jobs, none due", many.path());
    measure("the repository's own jobs", &Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs.d"));
}
