//! Sections as they are written, held against real files, processes and local servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::HealthSpec;
use crate::clock::{Clock, SystemClock};
use crate::kinds::output::Outputs;
use crate::kinds::template::Names;
use crate::kinds::{AttemptContext, Kinds, Perform, Setting, Stop, StopReason, Work, check};
use crate::model::{Cause, JobName, NodeId, Outcome, RunId};
use crate::yaml::{self, Decode, Decoder, Source};

mod hosts;
mod mistakes;
mod plugins;
mod seen;
mod web;

use web::Server;

/// Decodes a section and checks it; what is wrong with it, one line each.
pub(super) fn read(text: &str) -> (Option<HealthSpec>, Vec<String>) {
    let source = Source::new("job.yaml", text);
    let (documents, found) = yaml::parse(&source);
    assert!(found.is_empty(), "{text}: {found:?}");
    let mut cx = Decoder::new(&source);
    let spec = HealthSpec::decode(&documents[0].root, &mut cx);
    let work = spec.clone().map(Work::Health);
    let params = BTreeMap::from([("host".to_owned(), "example.com".into())]);
    check(
        work.as_ref(),
        None,
        &Names { params: &params, env: Vec::new(), bindings: &[], more: Vec::new() },
        &mut cx,
    );
    let mut found = cx.finish();
    yaml::arrange(&mut found);
    let told = found.iter().map(|d| {
        let span = d.span.expect("these have places");
        let help = d.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{} {:?} {}{help}", d.code, source.slice(span), d.message)
    });
    (spec, told.collect())
}

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    outputs: Outputs,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { outputs: Outputs::at(&dir.path().join("data")), dir }
    }

    pub(super) fn attempt(&self, text: &str, stop: Stop) -> AttemptContext {
        let (spec, told) = read(text);
        assert_eq!(told, Vec::<String>::new(), "{text}");
        let setting = Setting {
            working_dir: self.dir.path().to_owned(),
            params: BTreeMap::from([("host".to_owned(), "127.0.0.1".into())]),
            grace: Duration::from_secs(60),
            ..Setting::default()
        };
        self.outputs.remove(&[RunId(1)]).unwrap();
        AttemptContext {
            run: RunId(1),
            job: JobName::parse("pulse").unwrap(),
            no: 1,
            node: NodeId(1),
            cause: Cause::Slot("2026-03-01T00:00:00Z".parse().unwrap()),
            started_at: SystemClock.now(),
            work: Arc::new(Work::Health(spec.unwrap())),
            setting: Arc::new(setting),
            output: self.outputs.open(RunId(1), 1, None),
            facts: crate::kinds::facts::Facts::default(),
            seen: crate::kinds::Seen::default(),
            stop,
            clock: Arc::new(SystemClock),
        }
    }

    pub(super) async fn run(&self, text: &str) -> Outcome {
        let (_pull, stop) = Stop::pair();
        Kinds::new(self.dir.path(), None).perform(self.attempt(text, stop)).await
    }

    /// Makes one check, and returns its line.
    pub(super) async fn line(&self, check: &str) -> String {
        let outcome = self.run(&format!("checks:\n  - {{ name: it, {check} }}\n")).await;
        let line = self.text().await;
        let line = line.strip_suffix('\n').unwrap();
        let (verdict, rest) = line.split_once(' ').unwrap();
        assert_eq!(outcome.is_success(), matches!(verdict, "ok" | "warn"), "{line}");
        format!("{verdict} {}", rest.trim_start().strip_prefix("it").unwrap().trim_start())
    }

    pub(super) async fn text(&self) -> String {
        let mut reader = self.outputs.reader(RunId(1), 1);
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            all.extend(piece);
        }
        String::from_utf8(all).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }
}

#[tokio::test]
async fn files_are_seen_by_age_size_and_presence() {
    let bench = Bench::new();
    bench.file("new", "12345");
    bench.file("old", "");
    let old = std::fs::File::options().write(true).open(bench.dir.path().join("old")).unwrap();
    let yesterday = SystemClock.now() - jiff::SignedDuration::from_hours(26);
    let passed = Duration::from_millis(yesterday.as_millisecond().unsigned_abs());
    old.set_modified(std::time::UNIX_EPOCH + passed).unwrap();
    for (check, expected) in [
        ("file_age: { path: new }, expect: { age: '< 1h', size: '>= 5B' }", "ok exists true, age "),
        ("file_age: { path: new }", "ok exists true, age "),
        ("file_age: { path: new }, expect: { size: '> 1KiB' }", "fail size 5B, expected > 1KiB"),
        ("file_age: { path: old }, expect: { age: '< 1d' }", "fail age 1.08d, expected < 1d"),
        ("file_age: { path: old }, warn: { age: '< 1d' }", "warn age 1.08d, expected < 1d"),
        ("file_age: { path: new }, expect: { exists: false }", "fail exists true, expected false"),
        ("file_age: { path: gone }, expect: { exists: false }", "ok exists false"),
    ] {
        let line = bench.line(check).await;
        assert!(line.starts_with(expected), "{check}: {line}");
    }
    let line = bench.line("file_age: { path: gone }, expect: { age: '< 1h' }").await;
    assert!(line.starts_with("fail ") && line.ends_with("gone does not exist"), "{line}");
    let line = bench.line("file_age: { path: new/x }").await;
    assert!(line.starts_with("unknown can't look at "), "{line}");
}

#[tokio::test]
async fn this_host_has_a_disk_memory_and_load() {
    let bench = Bench::new();
    for (check, expected) in [
        (
            "disk: { path: / }, expect: { used: '>= 0.0001%', free: '> 1B', inodes: '< 100%' }",
            "ok used ",
        ),
        ("disk: { path: / }, expect: { free: '> 9000TiB' }", "fail free "),
        ("disk: { path: /no/such }", "unknown can't look at /no/such: "),
        (
            "memory: {}, expect: { available: '> 1MiB', used: '< 100%', swap: '<= 99.99%' }",
            "ok used ",
        ),
        ("memory: , expect: { available: '> 9000TiB' }", "fail available "),
        ("load: {}, expect: { 1m: '< 10000', per_core: '>= 0' }", "ok 1m "),
        ("load: {}, warn: { 15m: '> 10000' }", "warn 15m "),
    ] {
        let line = bench.line(check).await;
        assert!(line.starts_with(expected), "{check}: {line}");
    }
}

#[tokio::test]
async fn plugins_judge_by_exit_code_and_are_held_against_more() {
    let bench = Bench::new();
    for (script, rest, expected) in [
        ("echo \"OK - fine | time=0.5s\"", "", "ok OK - fine"),
        ("echo WARN; exit 1", "", "warn WARN"),
        ("echo CRIT; exit 2", "", "fail CRIT"),
        ("echo huh; exit 3", "", "unknown huh"),
        ("echo huh; exit 4", "", "unknown exit code 4 means nothing for a plugin: huh"),
        ("echo bad >&2; exit 2", "", "fail bad"),
        ("kill -9 $$", "", "unknown it was ended by signal: 9 (SIGKILL)"),
        (
            "echo \"OK | time=0.5s\"",
            ", expect: { time: < 200ms }",
            "fail OK; time 500ms, expected < 200ms",
        ),
        (
            "echo \"OK | time=0.5s\"",
            ", warn: { time: < 200ms }",
            "warn OK; time 500ms, expected < 200ms",
        ),
        (
            "echo \"OK | time=0.5s\"",
            ", expect: { time: < 5 }",
            "unknown OK; time: 500ms is not a plain number",
        ),
        ("echo OK", ", expect: { time: < 200ms }", "unknown OK; it did not report `time`"),
        (
            "echo OK",
            ", expect: { output: { contains: KO } }",
            "fail OK; output \"OK\\n\", expected with \"KO\" in it",
        ),
        ("echo $JADA_JOB; exit 2", "", "fail pulse"),
    ] {
        let line = bench.line(&format!("command: {{ run: '{script}' }}{rest}")).await;
        assert_eq!(line, expected, "{script} {rest}");
    }
    let line = bench.line("command: { run: [no-such-plugin] }").await;
    assert!(line.starts_with("unknown there is no program 'no-such-plugin' in PATH"), "{line}");
}

#[tokio::test]
async fn a_plugin_that_takes_too_long_is_ended_with_its_children() {
    let bench = Bench::new();
    let script = "echo $$ > pid; sleep 600 & sleep 600";
    let line = bench.line(&format!("command: {{ run: '{script}' }}, timeout: 200ms")).await;
    assert_eq!(line, "unknown it took too long and was ended");
    let pid: i32 =
        std::fs::read_to_string(bench.dir.path().join("pid")).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err());
}

#[tokio::test]
async fn one_that_hangs_delays_no_other_and_all_are_told() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let at = &server.address;
    let text = format!(
        "checks:\n\
         - {{ name: hangs, http: {{ url: 'http://{at}/hang' }}, timeout: 300ms }}\n\
         - {{ name: memory, memory: {{}}, warn: {{ available: '> 9000TiB' }} }}\n\
         - {{ name: odd, command: {{ run: 'exit 3' }} }}\n\
         - {{ name: site, http: {{ url: 'http://{at}/down' }}, expect: {{ latency: '< 1m' }} }}\n"
    );
    let outcome = bench.run(&text).await;
    assert_eq!(
        outcome.message(),
        "2 of 4 checks failed and 1 could not look: hangs: no answer within 300ms; \
         site: status 503, expected 2xx or 3xx"
    );
    let text = bench.text().await;
    let words: Vec<_> =
        text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    assert_eq!(
        words,
        [["fail", "hangs"], ["warn", "memory"], ["unknown", "odd"], ["fail", "site"]]
    );
}

#[tokio::test]
async fn a_round_is_summed_up_in_a_line() {
    let bench = Bench::new();
    let plugin = |n: usize, code: i32| {
        format!("  - {{ name: c{n}, command: {{ run: 'echo {n}; exit {code}' }} }}\n")
    };
    let round = |codes: &[i32]| {
        let checks = codes.iter().enumerate().map(|(n, code)| plugin(n, *code));
        format!("checks:\n{}", checks.collect::<String>())
    };
    for (codes, expected) in [
        (&[0][..], "1 check ok"),
        (&[0, 0, 0], "3 checks ok"),
        (&[0, 1], "2 checks ok, 1 of them with a warning: c1: 1"),
        (&[2], "1 of 1 check failed: c0: 0"),
        (&[0, 3], "1 of 2 checks could not look: c1: 1"),
        (&[2, 2, 2, 2, 2, 0], "5 of 6 checks failed: c0: 0; c1: 1; c2: 2; and 2 more"),
    ] {
        assert_eq!(bench.run(&round(codes)).await.message(), expected, "{codes:?}");
    }
}

#[tokio::test]
async fn a_stop_ends_what_is_under_way() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let text = format!(
        "checks:\n\
         - {{ name: hangs, http: {{ url: 'http://{}/hang' }}, timeout: 10m }}\n\
         - {{ name: plugin, command: {{ run: 'echo > started; sleep 600' }}, timeout: 10m }}\n\
         - {{ name: quick, command: {{ run: 'while [ ! -e started ]; do sleep 0.01; done; mkfifo go; \
         cat go' }}, timeout: 10m }}\n",
        server.address
    );
    let (pull, stop) = Stop::pair();
    let attempt = bench.attempt(&text, stop);
    let performer = Kinds::new(bench.dir.path(), None);
    let run = performer.perform(attempt);
    let fifo = bench.dir.path().join("go");
    let pull_it = async {
        // Opening it waits for its reader, which comes when the others are under way.
        let opened = async || {
            let fifo = fifo.clone();
            let open = move || std::fs::File::options().write(true).open(fifo);
            tokio::task::spawn_blocking(open).await.unwrap()
        };
        while opened().await.is_err() {
            tokio::task::yield_now().await;
        }
        pull.send_replace(Some(StopReason::Cancelled));
    };
    let (outcome, ()) = tokio::join!(run, pull_it);
    assert_eq!(outcome.class().unwrap().word(), "cancelled");
}

#[test]
fn defaults_fill_in_what_nothing_was_said_about() {
    let shown = |text: &str| {
        let (spec, told) = read(&format!("checks: [{{ name: x, {text} }}]"));
        assert_eq!(told, Vec::<String>::new(), "{text}");
        let check = &spec.unwrap().checks[0];
        let shown =
            check.expect.iter().map(|one| format!("{} {}", one.value, one.condition.shown()));
        shown.collect::<Vec<_>>().join(", ")
    };
    for (text, expected) in [
        ("disk: { path: / }", "used < 90%, inodes < 90%"),
        ("disk: { path: / }, expect: { free: '> 5GiB' }", "free > 5GiB"),
        ("disk: { path: / }, warn: { used: '< 50%' }", ""),
        ("memory: {}", "used < 90%"),
        ("load: {}", "per_core < 4"),
        (
            "http: { url: 'http://x' }, expect: { latency: '< 1s' }",
            "status 2xx or 3xx, latency < 1s",
        ),
        ("http: { url: 'http://x' }, expect: { status: 404 }", "status 404"),
        ("tcp: { address: 'x:1' }", ""),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let texts = [
        "{}",
        "checks: []",
        "checks: [{}]",
        "checks: [{ name: Disk, disk: { path: / } }]",
        "checks: [{ name: a, disk: { path: / } }, { name: a, memory: {} }]",
        "checks: [{ name: a, disk: { path: / }, tcp: { address: 'x:1' } }]",
        "checks: [{ name: a, dsk: { path: / } }]",
        "checks: [{ name: b, memory: {}, exect: 5 }]",
        "checks: [{ name: a, disk: { path: / }, expect: { usde: '< 85%', latency: '< 5s' } }]",
        "checks: [{ name: a, disk: { path: / }, expect: { used: '< 500ms' }, warn: { free: [] } }]",
        "checks: [{ name: a, memory: { total: 5 } }]",
        "checks: [{ name: a, load: 5, timeout: 0s }]",
        "checks: [{ name: a, http: { url: example.com } }, { name: b, http: { url: 'ftp://x/' } }]",
        "checks: [{ name: a, http: { url: 'http://u:p@x/', method: FETCH } }]",
        "checks: [{ name: a, http: { url: 'http://u:p@x/' } }]",
        "checks: [{ name: a, http: { url: 'http://{{params.hots}}/' }, expect: { json: 5 } }]",
        "checks: [{ name: a, http: { url: 'http://{{params.hots}}/' } }]",
        "checks: [{ name: a, tcp: { address: localhost } }]",
        "checks: [{ name: a, command: { run: [x, '{{nope}}'] } }]",
        "checks: [{ name: a, memory: {}, expect: { used: } }]",
    ];
    let mut all = String::new();
    for text in texts {
        all.push_str(&read(text).1.join("\n"));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @r#"
    J022 "{}" the key `checks` is missing (add `checks:` with a list)

    J030 "[]" there is nothing to check (add a check: { name: disk, disk: { path: / } })

    J022 "{}" the key `name` is missing (add `name:` with a text)
    J023 "{}" a key that says the probe is missing (add exactly one of `disk`, `memory`, `load`, `file_age`, `http`, `tcp`, `dns`, `tls`, `cpu`, `process`, `command`, `credential`, `systemd`, `lightsail`, `log`, `sql`, `freshness`, `ssh`)

    J026 "Disk" 'D' is not allowed there: use a-z, 0-9, '.', '_' and '-', a letter or digit first

    J026 "a" two checks are called `a` (rename one of the two)

    J024 "tcp" `disk` and `tcp` both say the probe (keep one of them)

    J020 "dsk" unknown key `dsk` (did you mean `disk`?)

    J020 "exect" unknown key `exect` (did you mean `expect`?)

    J020 "usde" `disk` does not measure `usde` (did you mean `used`?)
    J020 "latency" `disk` does not measure `latency` (it measures used, free, inodes)

    J028 "500ms" `500ms` is not a share or a size (write it like "< 85%" or ">= 5GiB")
    J057 "[]" nothing can be one of no values (list at least one value)

    J020 "total" unknown key `total` (this probe has no keys; `expect` stands beside it)

    J021 "5" expected an empty mapping: {}, found the number 5

    J058 "example.com" `example.com` is no address: relative URL without a base (write it like `https://example.com/status`)
    J058 "ftp://x/" `ftp` is no scheme that is known here (write it like `https://example.com/status`)

    J031 "FETCH" unknown word `FETCH` (the words are `GET`, `HEAD`, `POST`, `OPTIONS`)

    J058 "http://u:p@x/" an address must not hold a password (send a header instead)

    J051 "params.hots" the job has no parameter `hots` (did you mean `params.host`?)
    J021 "5" expected a mapping of paths, such as { queue.depth: "< 10" }

    J051 "params.hots" the job has no parameter `hots` (did you mean `params.host`?)

    J058 "localhost" `localhost` has no port (write it like `db.example.com:5432` or `[::1]:5432`)

    J051 "nope" there is no value `nope` (there are params.NAME, env.NAME, job.name, run.id and slot)

    J033 "used" `used` has no value; expected an expectation, such as "< 85%" (give it a value, or remove the key)
    "#);
}
