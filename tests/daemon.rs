//! The real daemon as a process, with real jobs: killed, stopped, reloaded, started twice.
//!
//! Jobs write a line into a FIFO when they have done their work, so that a test waits for what happened and
//! not for time to pass.

#![expect(clippy::unwrap_used, reason = "what surrounds a test fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with jobs, and a daemon that may run on it.
struct Site {
    dir: TempDir,
    daemon: Option<Daemon>,
    /// What jobs report. Opened for reading and writing, so that it never ends between two writers.
    reports: Lines<BufReader<File>>,
}

struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Site {
    fn new(jobs: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("jobs.d")).unwrap();
        let fifo = dir.path().join("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let reports = File::options().read(true).write(true).open(&fifo).unwrap();
        let site = Self { dir, daemon: None, reports: BufReader::new(reports).lines() };
        for (name, text) in jobs {
            site.write(name, text);
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a job file as an editor does: aside first, then in place with one rename.
    fn write(&self, name: &str, text: &str) {
        let aside = self.path("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.path("jobs.d").join(name)).unwrap();
    }

    fn agent(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jada-agent"));
        command.current_dir(self.dir.path()).args(["--listen", "127.0.0.1:0"]);
        command.env_remove("NOTIFY_SOCKET").env_remove("JADA_LOG");
        command
    }

    fn start(&mut self) {
        let agent = self.agent();
        self.start_as(agent);
    }

    fn start_as(&mut self, mut agent: Command) {
        let mut child = agent.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        self.daemon = Some(Daemon { child, log });
        self.wait_log("is up");
    }

    /// Reads the daemon's log up to a line with these words.
    fn wait_log(&mut self, words: &str) -> String {
        let daemon = self.daemon.as_mut().unwrap();
        let mut seen = Vec::new();
        for line in daemon.log.by_ref() {
            let line = line.unwrap();
            if line.contains(words) {
                return line;
            }
            seen.push(line);
        }
        panic!("the daemon ended without saying '{words}':\n{}", seen.join("\n"));
    }

    fn wait_report(&mut self) -> String {
        self.reports.next().unwrap().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.daemon.as_ref().unwrap().child.id();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }

    /// Stops in order, and says with which code.
    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let mut daemon = self.daemon.take().unwrap();
        for line in daemon.log.by_ref() {
            line.unwrap();
        }
        daemon.child.wait().unwrap().code()
    }

    fn ctl(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_jadactl"))
            .current_dir(self.dir.path())
            .args(args)
            .output()
            .unwrap()
    }

    /// Asks for a run of a job, without waiting for its end.
    fn run(&self, job: &str) {
        let output = self.ctl(&["run", job]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let output = self.ctl(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Slots of a job that are not still to come, oldest first: (second, state, reason).
    fn slots(&self, job: &str) -> Vec<(i64, String, String)> {
        let rows = self.json(&["slots", "--job", job, "--limit", "10000"]);
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("").to_owned();
        let mut slots: Vec<_> = rows
            .iter()
            .filter(|row| !(row["state"] == "pending" && row["run"].is_null()))
            .map(|row| {
                let at: jiff::Timestamp = text(row, "slot").parse().unwrap();
                (at.as_second(), text(row, "state"), text(row, "reason"))
            })
            .collect();
        slots.sort();
        slots
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _gone = daemon.child.kill();
            let _status = daemon.child.wait();
        }
    }
}

const LEDGER: &str = "\
schedule: { every: 1s }
overlap: allow
command: { run: 'echo \"$JADA_SLOT $JADA_ATTEMPT\" >> ledger; echo done > fifo' }
";

/// Every second from the first slot to the last has exactly one row, and what ran is in the ledger once.
fn account(site: &Site) {
    let slots = site.slots("ledger");
    for pair in slots.windows(2) {
        assert_eq!(pair[0].0 + 1, pair[1].0, "a slot is missing or twice: {pair:?}");
    }
    let ledger = fs::read_to_string(site.path("ledger")).unwrap();
    let mut times: BTreeMap<i64, u32> = BTreeMap::new();
    for line in ledger.lines() {
        let (slot, attempt) = line.split_once(' ').unwrap();
        assert_eq!(attempt, "1");
        let slot: jiff::Timestamp = slot.parse().unwrap();
        *times.entry(slot.as_second()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "ran twice: {times:?}");
    let known: BTreeSet<i64> = slots.iter().map(|slot| slot.0).collect();
    assert!(times.keys().all(|slot| known.contains(slot)), "ran without a row");
    for (slot, state, reason) in &slots {
        match state.as_str() {
            "ran" => assert!(times.contains_key(slot), "{slot} did not run"),
            "missed" | "failed" => assert!(!reason.is_empty(), "{slot} without a reason"),
            other => panic!("{slot} is {other}: {reason}"),
        }
    }
}

#[test]
fn kill_9_at_any_moment_loses_nothing_and_runs_nothing_twice() {
    let mut site = Site::new(&[("ledger.yaml", LEDGER)]);
    for round in 0..5 {
        site.start();
        for _ in 0..=(round % 2) {
            site.wait_report();
        }
        site.kill();
    }
    site.start();
    site.wait_report();
    site.write("ledger.yaml", &LEDGER.replace("every: 1s", "every: 1h"));
    site.wait_log("jobs in force");
    assert_eq!(site.stop(), Some(0));
    site.start();
    account(&site);
}

#[test]
fn a_stopped_process_accounts_for_the_time_it_slept() {
    let mut site = Site::new(&[("ledger.yaml", LEDGER)]);
    site.start();
    site.wait_report();
    site.signal(Signal::STOP);
    // Real time has to pass for a process that stands still.
    Command::new("sleep").arg("3").status().unwrap();
    site.signal(Signal::CONT);
    site.wait_report();
    site.wait_report();
    site.write("ledger.yaml", &LEDGER.replace("every: 1s", "every: 1h"));
    site.wait_log("jobs in force");
    assert_eq!(site.stop(), Some(0));
    site.start();
    account(&site);
    assert!(site.slots("ledger").iter().any(|slot| slot.1 == "missed"));
}

/// Whether a process is more than an entry that nobody has collected.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z")
}

#[test]
fn what_a_killed_daemon_left_running_is_ended_and_its_run_is_lost() {
    let mut site = Site::new(&[(
        "long.yaml",
        "command: { run: 'trap \"\" TERM; echo $$ > fifo; while :; do sleep 1; done' }\n",
    )]);
    site.start();
    site.run("long");
    let pid = site.wait_report();
    site.kill();
    assert!(is_alive(&pid), "it outlives the daemon");
    site.start();
    assert!(!is_alive(&pid), "it is ended before anything else starts");
    let runs = site.json(&["runs"]);
    assert_eq!(runs[0]["class"], "lost", "{}", runs[0]);
}

#[test]
fn an_edit_takes_effect_and_a_bad_one_keeps_the_last_good_version() {
    let mut site = Site::new(&[]);
    site.start();
    site.write("a.yaml", "schedule: { every: 1s }\ncommand: { run: 'echo one > fifo' }\n");
    assert_eq!(site.wait_report(), "one");
    site.write("a.yaml", "schedule: { every: 1s }\ncommand: { run: 'echo two > fifo' }\n");
    while site.wait_report() != "two" {}
    site.write("a.yaml", "schedule: { every: 1s }\ncomand: { run: 'echo three > fifo' }\n");
    site.wait_log("has errors");
    site.wait_log("jobs in force");
    assert_eq!(site.wait_report(), "two");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].to_string().contains("a.yaml"), "{open:?}");
    fs::remove_file(site.path("jobs.d/a.yaml")).unwrap();
    site.wait_log("jobs in force jobs=0");
    assert_eq!(site.json(&["incidents"]).len(), 0);
}

#[test]
fn a_file_that_turned_bad_runs_on_over_a_kill_and_a_restart() {
    let good = "schedule: { every: 1s }\ncommand: { run: 'echo one > fifo' }\n";
    let mut site = Site::new(&[("a.yaml", good)]);
    let mut verbose = site.agent();
    verbose.env("JADA_LOG", "info,jada=debug");
    site.start_as(verbose);
    site.wait_log("the accepted job files are copied");
    site.write("a.yaml", &good.replace("command", "comand"));
    site.wait_log("has errors");
    site.kill();
    site.start();
    let told = site.wait_log("the last good version runs on");
    assert!(told.contains("a.yaml") && told.contains("kept=1"), "{told}");
    while site.wait_report() != "one" {}
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["key"], "file/jobs.d/a.yaml");
    let detail = open[0]["detail"].as_str().unwrap();
    assert!(detail.contains("the last good version of its job runs on"), "{detail}");
    let told = site.ctl(&["validate", "jobs.d/a.yaml"]).stderr;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("keeps to the last good version of jobs.d/a.yaml"), "{told}");
    site.write("a.yaml", &good.replace("one", "two"));
    while site.wait_report() != "two" {}
    assert_eq!(site.json(&["incidents"]).len(), 0);
    fs::remove_file(site.path("jobs.d/a.yaml")).unwrap();
    site.wait_log("jobs in force jobs=0");
    assert_eq!(site.stop(), Some(0));
    assert_eq!(fs::read_dir(site.path("var/last-good")).unwrap().count(), 0);
    site.write("a.yaml", "oops");
    site.start();
    assert_eq!(site.json(&["jobs"]).len(), 0, "what was deleted does not come back");
}

#[test]
fn an_edit_behind_a_link_takes_effect() {
    let text = "schedule: { every: 1s }\ncommand: { run: 'echo one > fifo' }\n";
    let mut site = Site::new(&[]);
    fs::create_dir(site.path("shelf")).unwrap();
    fs::write(site.path("shelf/a"), text).unwrap();
    std::os::unix::fs::symlink("../shelf/a", site.path("jobs.d/a.yaml")).unwrap();
    site.start();
    site.wait_report();
    fs::write(site.path("shelf/a"), text.replace("one", "two")).unwrap();
    site.wait_log("jobs in force");
    while site.wait_report() != "two" {}
}

#[test]
fn a_jobs_folder_that_goes_and_comes_back() {
    let mut site =
        Site::new(&[("a.yaml", "schedule: { every: 1s }\ncommand: { run: 'echo one > fifo' }\n")]);
    site.start();
    site.wait_report();
    fs::rename(site.path("jobs.d"), site.path("away")).unwrap();
    site.wait_log("jobs in force");
    site.wait_report();
    assert_eq!(site.json(&["incidents"]).len(), 1, "the folder is gone, and that is told");
    fs::rename(site.path("away"), site.path("jobs.d")).unwrap();
    site.wait_log("jobs in force");
    site.write("a.yaml", "schedule: { every: 1s }\ncommand: { run: 'echo two > fifo' }\n");
    while site.wait_report() != "two" {}
    assert_eq!(site.json(&["incidents"]).len(), 0);
}

#[test]
fn term_lets_what_runs_end() {
    let mut site = Site::new(&[(
        "slow.yaml",
        "command: { run: 'echo begun > fifo; sleep 1; echo ended > result' }\n",
    )]);
    site.start();
    site.run("slow");
    site.wait_report();
    assert_eq!(site.stop(), Some(0));
    assert_eq!(fs::read_to_string(site.path("result")).unwrap(), "ended\n");
    site.start();
    assert_eq!(site.json(&["runs"])[0]["outcome"], "succeeded");
}

#[test]
fn a_run_that_hangs_without_a_timeout_shows_in_the_status() {
    let hangs = "schedule: { every: 1s }\ncommand: { run: 'sleep 1000' }\n";
    let ticks = "schedule: { every: 1s }\ncommand: { run: 'echo tick > fifo' }\n";
    let mut site = Site::new(&[("hangs.yaml", hangs), ("ticks.yaml", ticks)]);
    site.start();
    // The second slot after the one that hangs is skipped before the third one ticks.
    (0..5).for_each(|_| assert_eq!(site.wait_report(), "tick"));
    let status = site.ctl(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["longest"]["job"], "hangs", "{status}");
    let held = &status["held_up"][0];
    assert_eq!((&held["job"], &held["run"]), (&"hangs".into(), &status["longest"]["run"]));
    assert!(held["skipped"].as_u64() >= Some(2), "{status}");
    assert!(site.ctl(&["cancel", &held["run"].to_string()]).status.success());
}

#[test]
fn a_daemon_whose_data_folder_goes_ends_and_leaves_it_to_the_next_one() {
    let stays = "command: { run: 'echo $$ > fifo; sleep 1000' }\n";
    let mut site = Site::new(&[("ledger.yaml", LEDGER), ("stays.yaml", stays)]);
    site.start();
    site.run("stays");
    let pid = loop {
        let report = site.wait_report();
        if report != "done" {
            break report;
        }
    };
    let mut first = site.daemon.take().unwrap();
    // In one step, since the daemon writes there.
    fs::rename(site.path("var"), site.path("away")).unwrap();
    fs::remove_dir_all(site.path("away")).unwrap();
    site.start();
    let log: Vec<String> = first.log.by_ref().map(Result::unwrap).collect();
    let log = log.join("\n");
    assert!(log.contains("removed or replaced under the daemon"), "{log}");
    assert!(log.contains("is gone or another one"), "{log}");
    assert_eq!(first.child.wait().unwrap().code(), Some(1), "{log}");
    assert!(!is_alive(&pid), "what it ran goes with it");
    assert_eq!(site.ctl(&["status"]).status.code(), Some(0));
    assert!(site.json(&["runs"]).iter().all(|run| run["job"] == "ledger"), "the new one is new");
    assert_eq!(site.stop(), Some(0));
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let mut site = Site::new(&[]);
    site.start();
    let second = site.agent().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    let pid = site.daemon.as_ref().unwrap().child.id();
    assert!(words.contains(&format!("pid {pid}")) && words.contains("var"), "{words}");
}

/// Runs the daemon on a site that it can't work on, and returns what it says.
fn refusal(prepare: impl FnOnce(&Path)) -> String {
    let site = Site::new(&[]);
    prepare(site.dir.path());
    let output = site.agent().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_wrong_with_the_data_folder_is_told() {
    let file = refusal(|dir| fs::write(dir.join("var"), "x").unwrap());
    assert!(file.contains("can't make the data folder var"), "{file}");
    let junk = refusal(|dir| {
        fs::create_dir(dir.join("var")).unwrap();
        fs::write(dir.join("var/jada.db"), "no database at all, but a text").unwrap();
    });
    assert!(junk.contains("jada.db"), "{junk}");
    let settings = refusal(|dir| fs::write(dir.join("jada.yaml"), "lisen: 1\n").unwrap());
    assert!(settings.contains("did you mean") || settings.contains("listen"), "{settings}");
    let open = Command::new(env!("CARGO_BIN_EXE_jada-agent"))
        .args(["--check", "--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(open.status.code(), Some(2), "the page has no login: {open:?}");
}

#[test]
fn process_1_of_a_container_collects_what_jobs_leave() {
    let args = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare").args(args).arg("true").output().is_ok_and(|it| it.status.success())
    {
        println!("skipped: this user can't make a container");
        return;
    }
    let leaves = "\
schedule: { every: 1s }
command: { run: '(setsid sleep 0.1 &); cat /proc/[0-9]*/stat | grep -c \") Z \" > fifo || true' }
";
    let mut site = Site::new(&[("leaves.yaml", leaves)]);
    let mut agent = Command::new("unshare");
    agent.args(args).arg(env!("CARGO_BIN_EXE_jada-agent")).args(["--listen", "127.0.0.1:0"]);
    agent.current_dir(site.dir.path()).env_remove("NOTIFY_SOCKET").env_remove("JADA_LOG");
    site.start_as(agent);
    let dead: Vec<u32> = (0..6).map(|_| site.wait_report().parse().unwrap()).collect();
    // What ended after its run is collected at the end of the next one.
    assert!(dead.iter().all(|dead| *dead <= 2), "{dead:?}");
}

/// A small file system under the data folder, which goes when the test does.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user can't mount one.
    fn under(site: &Site) -> Option<Self> {
        let path = site.path("var");
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }

    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        while std::io::Write::write_all(&mut ballast, &[0; 512]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(gone.is_ok_and(|status| status.success()), "the test's own mount goes");
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again() {
    let waits = "command: { run: 'echo begun > fifo; read go < go; echo ended > fifo' }\n";
    let mut site = Site::new(&[("ledger.yaml", LEDGER), ("waits.yaml", waits)]);
    let Some(disk) = SmallDisk::under(&site) else {
        println!("skipped: this user can't mount a small file system");
        return;
    };
    assert!(Command::new("mkfifo").arg(site.path("go")).status().unwrap().success());
    site.start();
    site.run("waits");
    while site.wait_report() != "begun" {}
    disk.fill();
    site.wait_log("the store failed");
    fs::write(site.path("go"), "go\n").unwrap();
    while site.wait_report() != "ended" {}
    let status = site.ctl(&["status"]);
    let words = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(1), "{words}");
    assert!(words.contains("the disk is full") && words.contains("var"), "{words}");
    // Real time has to pass: each second is a try of the store and a slot.
    Command::new("sleep").arg("3").status().unwrap();
    disk.free();
    let daemon = site.daemon.as_mut().unwrap();
    let lines = daemon.log.by_ref().map(Result::unwrap);
    let said: Vec<_> = lines.take_while(|line| !line.contains("works again")).collect();
    assert_eq!(said, [""; 0], "one line says that the store fails, and one that it works");
    site.wait_report();
    assert_eq!(site.ctl(&["status"]).status.code(), Some(0));
    let runs = site.json(&["runs", "--job", "waits"]);
    assert_eq!(runs[0]["outcome"], "succeeded", "{}", runs[0]);
    site.write("ledger.yaml", &LEDGER.replace("every: 1s", "every: 1h"));
    site.wait_log("jobs in force");
    assert_eq!(site.stop(), Some(0));
    site.start();
    account(&site);
}

#[test]
fn a_second_signal_stops_also_where_the_last_result_can_not_be_kept() {
    let waits = "command: { run: 'echo begun > fifo; read go < go; echo ended > fifo' }\n";
    let mut site = Site::new(&[("waits.yaml", waits)]);
    let Some(disk) = SmallDisk::under(&site) else {
        println!("skipped: this user can't mount a small file system");
        return;
    };
    assert!(Command::new("mkfifo").arg(site.path("go")).status().unwrap().success());
    site.start();
    site.run("waits");
    site.wait_report();
    disk.fill();
    fs::write(site.path("go"), "go\n").unwrap();
    site.wait_log("the store failed");
    site.signal(Signal::TERM);
    site.wait_log("stopping");
    assert_eq!(site.stop(), Some(0));
    disk.free();
    site.start();
    assert_eq!(site.json(&["runs"])[0]["class"], "lost");
}

#[test]
fn systemd_is_told_and_the_watchdog_fed() {
    let mut site = Site::new(&[]);
    let socket = UnixDatagram::bind(site.path("notify")).unwrap();
    // A daemon that says nothing fails the test rather than holding it up.
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let wait_for = |word: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.contains(word) {
                return message;
            }
        }
    };
    let mut agent = site.agent();
    agent.env("NOTIFY_SOCKET", site.path("notify")).env("WATCHDOG_USEC", "200000");
    site.start_as(agent);
    wait_for("READY=1");
    // Nothing is due: only the watchdog makes the loop look.
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    site.signal(Signal::HUP);
    assert!(wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    wait_for("READY=1");
    assert_eq!(site.stop(), Some(0));
    wait_for("STOPPING=1");
}

#[test]
fn a_job_gets_the_key_that_is_in_place_when_it_starts() {
    use std::os::unix::fs::PermissionsExt;
    let job = "credentials: { api: test/one }\n\
               command: { run: 'cmp -s \"$API_TOKEN_FILE\" key && echo same > fifo || echo other > fifo' }\n";
    let mut site = Site::new(&[("uses.yaml", job)]);
    // Programs get the key as it is, without a line end.
    let replace = |site: &Site, key: &str| {
        let aside = site.path("aside");
        fs::write(&aside, key).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(aside, site.path("key")).unwrap();
    };
    replace(&site, "canary-first-key");
    let declared = "credentials: { test/one: { static: { bearer: { file: key } } } }\n";
    fs::write(site.path("jada.yaml"), declared).unwrap();
    site.start();
    site.run("uses");
    assert_eq!(site.wait_report(), "same");
    replace(&site, "canary-second-key");
    site.run("uses");
    assert_eq!(site.wait_report(), "same");
    // What the daemon holds in memory stays there.
    let pid = site.daemon.as_ref().unwrap().child.id();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(site.stop(), Some(0));
    let mut grep = Command::new("grep");
    let found = grep.args(["-rl", "canary", "var"]).current_dir(site.dir.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn check_tells_errors_and_starts_nothing() {
    let site = Site::new(&[("a.yaml", "comand: x\n"), ("b.yaml", "schedule: nope\n")]);
    let output = site.agent().arg("--check").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("a.yaml") && words.contains("b.yaml"), "{words}");
    assert!(!site.path("var").exists());
}

/// What a job may see, and nobody else.
const CANARY: &str = "canary-4f1d0e9c-token";

/// A site whose jobs can act as `test/one`, and a daemon for it that keeps tokens in a folder of its own.
fn site_with_a_secret(jobs: &[(&str, &str)]) -> (Site, Command) {
    let site = Site::new(jobs);
    let declared = "credentials: { test/one: { static: { bearer: { file: secret } } } }\n";
    fs::write(site.path("jada.yaml"), declared).unwrap();
    fs::write(site.path("secret"), CANARY).unwrap();
    fs::create_dir(site.path("runtime")).unwrap();
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(site.path("runtime"), private).unwrap();
    fs::set_permissions(site.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut agent = site.agent();
    agent.env_remove("RUNTIME_DIRECTORY").env("XDG_RUNTIME_DIR", site.path("runtime"));
    agent.env("JADA_LOG", "debug");
    (site, agent)
}

/// Every plain file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Some bytes before and after a place.
fn around(text: &str, at: usize) -> &[u8] {
    &text.as_bytes()[at.saturating_sub(80)..text.len().min(at + 80)]
}

#[test]
fn a_token_is_seen_by_its_job_alone() {
    let job = "\
credentials: { api: test/one, var: { use: test/one, env: API_TOKEN } }
command:
  run: |
    cat \"$API_TOKEN_FILE\"
    printf 'encoded: '; base64 < \"$API_TOKEN_FILE\"
    printf '%s' \"$API_TOKEN\" | fold -w 1 | while read -r c || test -n \"$c\"; do printf '%s' \"$c\"; done >&2
    test \"$(cat \"$API_TOKEN_FILE\")\" = \"$API_TOKEN\" && echo same > seen
    echo \"it failed with $API_TOKEN\" >&2
    exit 3
";
    let (mut site, agent) = site_with_a_secret(&[("leak.yaml", job)]);
    site.start_as(agent);
    let waited = site.ctl(&["run", "leak", "--wait"]);
    assert_eq!(waited.status.code(), Some(1), "{waited:?}");
    assert_eq!(fs::read_to_string(site.path("seen")).unwrap(), "same\n");
    let mut said = vec![waited.stdout, waited.stderr];
    for args in [
        &["logs", "1"][..],
        &["runs", "--json"],
        &["incidents", "--json"],
        &["explain", "leak"],
        &["auth", "status", "--json"],
        &["auth", "log", "test/one"],
        &["validate"],
    ] {
        let output = site.ctl(args);
        said.extend([output.stdout, output.stderr]);
    }
    site.signal(Signal::TERM);
    let mut daemon = site.daemon.take().unwrap();
    said.extend(daemon.log.by_ref().map(|line| line.unwrap().into_bytes()));
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    let mut kept = Vec::new();
    files(site.dir.path(), &mut kept);
    // Where it came from, and what is kept of it behind the folder's own modes.
    kept.retain(|path| {
        *path != site.path("secret") && !path.starts_with(site.path("var/credentials"))
    });
    assert!(kept.iter().any(|path| path.ends_with("jada.db")), "{kept:?}");
    said.extend(kept.iter().map(|path| fs::read(path).unwrap()));
    let shown = said.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect::<Vec<_>>();
    assert!(shown.iter().any(|text| text.contains("encoded: [redacted]")));
    assert!(shown.iter().any(|text| text.contains("it failed with [redacted]")));
    // The last is the token in base64, but for its last letters.
    for secret in [CANARY, "canary", "Y2FuYXJ5LTRmMWQwZTljLXRva2"] {
        for text in &shown {
            let around = text.find(secret).map(|at| String::from_utf8_lossy(around(text, at)));
            assert_eq!(around, None, "{secret}");
        }
    }
}

#[test]
fn what_a_killed_daemon_gave_a_job_is_taken_back_at_the_next_start() {
    let job = "\
credentials: { api: test/one }
command: { run: 'echo \"$API_TOKEN_FILE\" > fifo; trap \"\" TERM; while :; do sleep 1; done' }
";
    let (mut site, agent) = site_with_a_secret(&[("long.yaml", job)]);
    site.start_as(agent);
    site.run("long");
    let file = PathBuf::from(site.wait_report());
    assert!(file.starts_with(site.path("runtime")), "{}", file.display());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    site.kill();
    assert_eq!(fs::read_to_string(&file).unwrap(), CANARY);
    let mut agent = site.agent();
    agent.env_remove("RUNTIME_DIRECTORY").env("XDG_RUNTIME_DIR", site.path("runtime"));
    site.start_as(agent);
    assert!(!file.exists() && !file.parent().unwrap().exists());
}
