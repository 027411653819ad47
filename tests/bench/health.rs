//! What health checks cost: 100 of them a minute.
//!
//! `cargo bench --bench health` prints resident memory and the share of a core
//! - of the real daemon for some minutes (`JADA_HEALTH=SECONDS` for another time), beside Monit with the same
//!   checks in the same time where it is installed;
//! - of the scheduler's loop, the real checks, a store on disk and its retention over seven days of simulated
//!   time (`JADA_HEALTH_DAYS=N` for fewer), day by day: nothing may grow.

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jada::clock::{Clock as _, SimClock};
use jada::engine::credentials::Credentials;
use jada::engine::dispatch::{Channels, Dispatcher, Drain, Parts};
use jada::engine::{View, retention};
use jada::kinds::Kinds;
use jada::kinds::output::Outputs;
use jada::plan::state::Seats;
use jada::spec::{self, Settings};
use jada::store::sqlite::Sqlite;
use jada::store::{Keep, NewNode, ObservationQuery, Store};
use tokio::sync::{mpsc, watch};

const TICKS_PER_SECOND: f64 = 100.0;
const FILES: usize = 80;
const PORTS: usize = 20;

/// What the issue allows.
const RESIDENT_MAX: f64 = 15.0;
const SHARE_MAX: f64 = 0.5;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// User and system time so far, in seconds.
fn busy(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("alive");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let number = |index: usize| fields[index].parse::<f64>().expect("a number");
    (number(11) + number(12)) / TICKS_PER_SECOND
}

/// A line of `/proc/PID/status`, in MiB.
fn mib(pid: u32, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("alive");
    let line = status.lines().find(|line| line.starts_with(key)).expect("the line");
    let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1024.0
}

/// 100 checks a minute, in ten jobs.
fn jobs(dir: &Path, port: u16) {
    std::fs::create_dir_all(dir.join("jobs.d")).expect("a folder");
    std::fs::write(dir.join("file"), "x").expect("written");
    let mut checks: Vec<String> = (0..FILES)
        .map(|n| {
            format!(
                "{{ name: f{n}, file_age: {{ path: {}/file }}, expect: {{ age: \"< 900d\" }} }}",
                dir.display()
            )
        })
        .collect();
    checks.extend(
        (0..PORTS).map(|n| format!("{{ name: p{n}, tcp: {{ address: \"127.0.0.1:{port}\" }} }}")),
    );
    for (n, checks) in checks.chunks(10).enumerate() {
        let mut text = String::from(
            "schedule: { every: 1m }\nalert: { failures: 2, within: 1h }\nhealth:\n  checks:\n",
        );
        for check in checks {
            writeln!(text, "    - {check}").expect("text");
        }
        std::fs::write(dir.join(format!("jobs.d/health-{n}.yaml")), text).expect("written");
    }
}

fn daemon(dir: &Path) -> Running {
    let child = Command::new(env!("CARGO_BIN_EXE_jada-agent"))
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(dir)
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    Running(child)
}

/// Monit with as many checks, each cycle a minute; `None` where it is not installed.
fn monit(dir: &Path, port: u16) -> Option<Running> {
    let mut text = format!(
        "set daemon 60\nset pidfile {0}/monit.pid\nset idfile {0}/monit.id\nset statefile {0}/monit.state\nset logfile {0}/monit.log\n",
        dir.display()
    );
    for n in 0..FILES {
        writeln!(
            text,
            "check file f{n} with path {}/file\n  if timestamp > 900 days then alert",
            dir.display()
        )
        .expect("text");
    }
    for n in 0..PORTS {
        writeln!(
            text,
            "check host p{n} with address 127.0.0.1\n  if failed port {port} then alert"
        )
        .expect("text");
    }
    let rc = dir.join("monitrc");
    std::fs::write(&rc, text).expect("written");
    std::fs::set_permissions(&rc, std::fs::Permissions::from_mode(0o600)).expect("set");
    let child = Command::new("monit")
        .arg("-I")
        .arg("-c")
        .arg(&rc)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.ok().map(Running)
}

fn answer(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
        }
    });
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn side_by_side() {
    let seconds = number("JADA_HEALTH", 180);
    let dir = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    answer(listener);
    jobs(dir.path(), port);
    let mut all = vec![("jada-agent", daemon(dir.path()))];
    all.extend(monit(dir.path(), port).map(|monit| ("monit", monit)));
    std::thread::sleep(Duration::from_secs(5));
    let before: Vec<f64> = all.iter().map(|(_, one)| busy(one.0.id())).collect();
    std::thread::sleep(Duration::from_secs(seconds));
    println!("100 checks a minute, for {seconds} s");
    let mut shares = Vec::new();
    for ((name, one), before) in all.iter().zip(before) {
        let pid = one.0.id();
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let share = (busy(pid) - before) / seconds as f64 * 100.0;
        println!(
            "  {name:<10} resident {:.1} MiB (peak {:.1}), {share:.2} % of a core",
            mib(pid, "VmRSS:"),
            mib(pid, "VmHWM:")
        );
        shares.push((mib(pid, "VmRSS:"), share));
    }
    match shares[..] {
        [ours, theirs] => println!(
            "  as much as Monit: {:.1} times the memory, {:.1} times the CPU",
            ours.0 / theirs.0,
            ours.1 / theirs.1
        ),
        _ => println!("  Monit is not installed here: nothing to compare with"),
    }
    println!("  allowed: {RESIDENT_MAX} MiB, {SHARE_MAX} % of a core");
}

/// Lets a day pass, minute by minute.
async fn pass_day(clock: &SimClock, shown: &mut watch::Receiver<Arc<View>>) {
    for _ in 0..24 * 60 {
        clock.advance(Duration::from_secs(60));
        let now = clock.now();
        // All that was due has run, and the loop waits for what is to come.
        let rests = |view: &Arc<View>| {
            view.running == 0 && view.queued == 0 && view.wake_at.is_some_and(|at| at > now)
        };
        shown.wait_for(rests).await.expect("the loop runs");
    }
}

fn kept(settings: &Settings) -> Keep {
    Keep {
        age: settings.retention.age,
        per_job: 1000,
        observations: settings.retention.observations,
        looks: 64,
        bytes: None,
        batch: 500,
    }
}

async fn days() {
    let days = number("JADA_HEALTH_DAYS", 7);
    let dir = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    answer(listener);
    jobs(dir.path(), port);
    let clock = SimClock::at("2026-03-27T00:00:00Z".parse().expect("a time"));
    let settings = Settings::defaults(dir.path());
    let catalog = Arc::new(spec::load(&settings, clock.now(), None));
    assert_eq!(catalog.jobs.len(), 10);
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(dir.path().join("jada.db")).expect("a store"));
    let node =
        NewNode { name: "bench".into(), boot: String::new(), pid: 1, started_at: clock.now() };
    let node = store.register(node).await.expect("registered");
    let (requests, inbox) = mpsc::channel(1);
    let (view, mut shown) = watch::channel(Arc::new(View::default()));
    let (reload, _asked) = mpsc::channel(1);
    let outputs = Outputs::at(dir.path());
    let parts = Parts {
        store: Arc::clone(&store),
        clock: Arc::new(clock.clone()),
        perform: Arc::new(Kinds::new(dir.path(), None)),
        node,
        outputs: outputs.clone(),
        seats: Seats { running: 64, pools: std::collections::BTreeMap::new() },
        credentials: Credentials::none(),
    };
    let keep = kept(&settings);
    let sweep = retention::run(
        Arc::clone(&store),
        outputs,
        Arc::new(clock.clone()),
        move || keep,
        64 << 20,
    );
    let sweep = tokio::spawn(sweep);
    let dispatcher = Dispatcher::new(parts, Channels { requests: inbox, view, reload }, catalog);
    let (drain, stopping) = watch::channel(Drain::No);
    let looped = tokio::spawn(dispatcher.run(stopping, None, |_| {}));
    let pid = std::process::id();
    let (begun, mut spent) = (Instant::now(), busy(pid));
    println!("{days} days of simulated time, 144,000 checks a day");
    for day in 1..=days {
        pass_day(&clock, &mut shown).await;
        let now = busy(pid);
        println!(
            "  day {day}: resident {:.1} MiB, store {:.1} MiB, {:.2} % of a core",
            mib(pid, "VmRSS:"),
            mebi(store.size().await.expect("read")),
            (now - spent) / 864.0
        );
        spent = now;
    }
    let kept = ObservationQuery { limit: 1_000_000, ..ObservationQuery::default() };
    let kept = store.observations(kept).await.expect("read").len();
    println!("  {kept} looks kept, {:.0} s of real time", begun.elapsed().as_secs_f64());
    sweep.abort();
    drain.send_replace(Drain::Gently);
    looped.await.expect("the loop ends");
    drop(requests);
    store.close().await.expect("closed");
}

#[expect(clippy::cast_precision_loss, reason = "a size to read")]
fn mebi(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

fn main() {
    side_by_side();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(days());
}
