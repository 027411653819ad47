//! The watch over the real daemon: what it tells those who collect figures, those who wait for its heartbeat,
//! and the person who asks how the checks stand.

#![expect(clippy::unwrap_used, reason = "what surrounds a test fails it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// One check that holds, one that does not, and one that can't know.
const JOBS: &str = "\
name: box
alert: { failures: 1 }
health:
  checks:
    - { name: there, file_age: { path: there }, expect: { age: \"< 1h\" } }
    - { name: gone, tcp: { address: \"127.0.0.1:1\" } }
---
name: \"odd.name-1\"
schedule: { every: 1h }
command: { run: 'true' }
";

struct House {
    dir: TempDir,
    daemon: Option<(Child, BufReader<ChildStderr>)>,
    page: String,
}

impl House {
    fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("jobs.d")).unwrap();
        fs::write(dir.path().join("jobs.d/box.yaml"), JOBS).unwrap();
        fs::write(dir.path().join("there"), "x").unwrap();
        fs::write(dir.path().join("jada.yaml"), settings).unwrap();
        fs::write(dir.path().join("key"), "canary-key\n").unwrap();
        fs::set_permissions(dir.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        let mut house = Self { dir, daemon: None, page: String::new() };
        house.start();
        house
    }

    fn start(&mut self) {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_jada-agent"));
        agent.current_dir(self.dir.path()).args(["--listen", "127.0.0.1:0"]);
        agent.env_remove("NOTIFY_SOCKET").env_remove("JADA_LOG").env("NO_PROXY", "127.0.0.1");
        let mut child = agent.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let up = until(&mut log, "is up");
        let page = up.split("page=http://").nth(1).unwrap();
        page.split('/').next().unwrap().clone_into(&mut self.page);
        self.daemon = Some((child, log));
    }

    fn ctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jadactl"));
        command.current_dir(self.dir.path()).args(args).env("COLUMNS", "80").output().unwrap()
    }

    fn told(&self, args: &[&str]) -> String {
        let output = self.ctl(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.page).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.page)
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.daemon.take() {
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            let _told = kill_process(pid, Signal::KILL);
            let _ended = child.wait();
        }
    }
}

fn until(log: &mut BufReader<ChildStderr>, words: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "ended without '{words}':\n{seen}");
        if line.contains(words) {
            return line;
        }
        seen.push_str(&line);
    }
}

#[test]
fn checks_stand_as_they_were_seen() {
    let house = House::new("");
    let new: Json = serde_json::from_str(&house.told(&["checks", "--json"])).unwrap();
    assert_eq!(new.as_array().unwrap().len(), 2);
    assert_eq!(new[0]["verdict"], Json::Null);
    for _ in 0..3 {
        house.ctl(&["run", "box", "--wait"]);
    }
    let checks: Json = serde_json::from_str(&house.told(&["checks", "box", "--json"])).unwrap();
    assert_eq!((&checks[0]["verdict"], &checks[1]["verdict"]), (&"ok".into(), &"fail".into()));
    assert_eq!(checks[1]["fault"], "net.refused");
    assert_eq!(checks[1]["looks"].as_array().unwrap().len(), 3);
    assert_eq!(checks[1]["since"], checks[1]["looks"][0]["at"]);
    let table = house.told(&["checks"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(
        table.contains("box/gone") && table.contains("xxx") && table.contains("..."),
        "{table}"
    );
    let status = house.told(&["status"]);
    assert!(status.contains("checks     1 ok, 1 fail; jadactl checks tells more"), "{status}");
    let explained = house.told(&["explain", "box"]);
    assert!(
        explained.contains("1 of its 2 checks are well.") && explained.contains("Check gone: fail"),
        "{explained}"
    );
    assert_eq!(house.ctl(&["checks", "nobody"]).status.code(), Some(4));
    let page = house.get("/");
    assert!(page.contains("box/gone") && page.contains("net.refused"), "{page}");
}

/// Every line of the text, against the grammar of the exposition format where no real parser is there.
fn is_line(line: &str) -> bool {
    let value = |text: &str| text.parse::<f64>().is_ok();
    if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
        return true;
    }
    match line.split_once('{') {
        None => line.split_once(' ').is_some_and(|(_, number)| value(number)),
        Some((_, rest)) => rest.rsplit_once("} ").is_some_and(|(labels, number)| {
            let pair =
                |pair: &str| pair.split_once("=\"").is_some_and(|(_, rest)| rest.ends_with('"'));
            labels.split(',').all(pair) && value(number)
        }),
    }
}

/// Reads a text with Prometheus' own client for Python: its families by name.
const PARSER: &str = "\
import sys, json
from prometheus_client.parser import text_string_to_metric_families as read
print(json.dumps({f.name: [[s.name, s.labels, s.value] for s in f.samples] for f in read(sys.stdin.read())}))
";

/// A Python that has it, in the target folder: `.ci/run` puts it there.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_jadactl")).ancestors().nth(2)?;
    let python = target.join("prometheus/bin/python");
    let required = std::env::var_os("JADA_TEST_PROMETHEUS").is_some_and(|word| word == "required");
    assert!(python.exists() || !required, "{} is not there", python.display());
    python.exists().then_some(python)
}

#[test]
fn figures_are_read_by_those_who_collect_them() {
    let house = House::new("node: { name: here }\n");
    house.ctl(&["run", "box", "--wait"]);
    house.told(&["run", "odd.name-1", "--wait"]);
    let text = house.told(&["metrics"]);
    let scraped = house.get("/metrics");
    assert!(
        scraped.to_lowercase().contains("content-type: text/plain; version=0.0.4"),
        "{scraped}"
    );
    for line in text.lines() {
        assert!(is_line(line), "{line}");
    }
    for part in [
        "jada_up 1.0",
        "jada_check_verdict{check=\"gone\",job=\"box\"} 3.0",
        "jada_slots_last_day{job=\"odd.name-1\",state=\"ran\"} 1.0",
        "jada_last_success_age_seconds{job=\"odd.name-1\"}",
        "jada_outbox_oldest_seconds 0.0",
        "# TYPE jada_incidents_open gauge",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let line = house.told(&["metrics", "--emf"]);
    assert_eq!(line.lines().count(), 1);
    let emf: Json = serde_json::from_str(&line).unwrap();
    let told = &emf["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&told["Namespace"], &emf["node"]), (&"JADA".into(), &"here".into()));
    let metrics = told["Metrics"].as_array().unwrap();
    assert!((10..=100).contains(&metrics.len()));
    for metric in metrics {
        assert!(emf[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
    }
    let Some(python) = python() else {
        return println!("no parser of Prometheus is installed: looked at the grammar only");
    };
    let mut child = Command::new(python)
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let read: Json = serde_json::from_slice(&output.stdout).unwrap();
    let mut families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    families.dedup();
    assert_eq!(read.as_object().unwrap().len(), families.len());
    assert_eq!(read["jada_check_verdict"].as_array().unwrap().len(), 2);
}

/// The bodies of the next requests at an address, each answered with this status.
fn beats(listener: &TcpListener, answers: &[u16]) -> Vec<(String, Json)> {
    let each = answers.iter().map(|status| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            read.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body).unwrap();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    });
    each.collect()
}

#[test]
fn somebody_outside_hears_that_it_lives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let settings = format!(
        "credentials: {{ hc: {{ static: {{ bearer: {{ file: key }} }}, hosts: ['{address}'] }} }}\n\
         heartbeat: {{ url: 'http://{address}/ping/x', every: 10s, credential: hc }}\n\
         node: {{ name: here }}\n"
    );
    let house = House::new(&settings);
    let first = beats(&listener, &[200]).remove(0);
    assert!(first.0.starts_with("POST /ping/x HTTP/1.1"), "{}", first.0);
    assert!(first.0.contains("Bearer canary-key"), "{}", first.0);
    assert_eq!(first.1["node"], "here");
    for figure in ["late_checks", "open_incidents", "undelivered", "oldest_undelivered_seconds"] {
        assert_eq!(first.1[figure], 0, "{figure}");
    }
    drop(house);
}
