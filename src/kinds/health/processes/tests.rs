//! Real processes of our own.

use std::process::{Child, Command, Stdio};

use super::super::tests::Bench;
use super::*;
use crate::clock::SystemClock;

/// A process that ends with the test.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _collected = self.0.wait();
    }
}

/// A shell under another name, which waits for its input to end.
fn sleeper(bench: &Bench, name: &str, mark: &str) -> Sleeper {
    let program = bench.dir.path().join(name);
    std::fs::copy("/bin/sh", &program).unwrap();
    let script = "echo up; read x; exit 0";
    let mut command = Command::new(program);
    command.args(["-c", script, mark]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It has its name once it has said something.
    let mut said = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    Sleeper(child)
}

#[tokio::test]
async fn processes_are_known_by_name_number_or_command_line() {
    let bench = Bench::new();
    let mark = format!("mark-{}", std::process::id());
    let long = "jada-test-with-a-long-name";
    let (one, _two) = (sleeper(&bench, long, &mark), sleeper(&bench, "jada-test-b", &mark));
    bench.file("one.pid", &format!("{}\n", one.0.id()));
    bench.file("bad.pid", "soon\n");
    bench.file("gone.pid", &format!("{}\n", i32::MAX));
    for (check, line, look) in [
        (format!("name: {long}"), "ok count 1, memory ", format!("process/{long} ok -")),
        ("name: jada-test-b".to_owned(), "ok count 1", "process/jada-test-b ok -".to_owned()),
        (
            "name: jada-test-with-".to_owned(),
            "fail count 0, expected >= 1",
            "process/jada-test-with- fail unit.inactive".to_owned(),
        ),
        (format!("pattern: ' {mark}$'"), "ok count 2", format!("process/ {mark}$ ok -")),
        ("pidfile: one.pid".to_owned(), "ok count 1", "process/one ok -".to_owned()),
        (
            "pidfile: none.pid".to_owned(),
            "fail count 0, expected >= 1",
            "process/none fail unit.inactive".to_owned(),
        ),
        (
            "pidfile: gone.pid".to_owned(),
            "fail count 0, expected >= 1",
            "process/gone fail unit.inactive".to_owned(),
        ),
        (
            "pidfile: bad.pid".to_owned(),
            "unknown there is no process number in ",
            "process/bad unknown configuration".to_owned(),
        ),
    ] {
        let check = format!("process: {{ {check} }}");
        let told = bench.line(&check).await;
        assert!(told.starts_with(line), "{check}: {told}");
        assert_eq!(bench.look(&check).await, look, "{check}");
    }
    let limits = "expect: { memory: '< 1KiB', cpu: '<= 99%' }, warn: { age: '> 1h' }";
    let line = bench.line(&format!("process: {{ name: jada-test-b }}, {limits}")).await;
    assert!(line.starts_with("fail memory "), "{line}");
    let line = bench.line("process: { name: jada-test-b }, warn: { age: '> 1h' }").await;
    assert!(line.starts_with("warn age "), "{line}");
}

#[tokio::test]
async fn a_number_that_another_process_has_by_now_is_nobodys() {
    let bench = Bench::new();
    let one = sleeper(&bench, "jada-test-c", "x");
    bench.file("one.pid", &one.0.id().to_string());
    let file = std::fs::File::options().write(true).open(bench.dir.path().join("one.pid")).unwrap();
    let before = SystemClock.now() - jiff::SignedDuration::from_hours(1);
    let passed = Duration::from_millis(before.as_millisecond().unsigned_abs());
    file.set_modified(std::time::UNIX_EPOCH + passed).unwrap();
    let line = bench.line("process: { pidfile: one.pid }").await;
    assert_eq!(line, "fail count 0, expected >= 1");
}

#[test]
fn the_share_is_of_all_processors_and_of_those_that_were_there() {
    let used = |pid, started, ticks| Used { pid, started, ticks };
    let second = Duration::from_secs(1);
    let rate = procfs::ticks_per_second();
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    let last = (second, vec![used(1, 5, 1000), used(2, 5, 100_000)]);
    let at = Duration::from_secs(11);
    for (now, expected) in [
        (vec![used(1, 5, 1000 + rate * cores * 5)], Some(0.5)),
        // Another process of the same number, and one that is gone.
        (vec![used(1, 6, rate * cores)], Some(0.1)),
        (vec![used(1, 5, 999)], Some(0.0)),
        (vec![], Some(0.0)),
        (vec![used(1, 5, rate * cores * 1000)], Some(1.0)),
    ] {
        assert_eq!(share(&last, at, &now), expected, "{now:?}");
    }
    assert_eq!(share(&last, second, &[]), None);
}
