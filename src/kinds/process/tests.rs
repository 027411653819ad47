//! Real processes, synchronized by what they write and by their ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::{Capture, Exit, Program, Scan, SpawnError, environment, orphans, run};
use crate::clock::SystemClock;
use crate::credentials::redact::Redactor;
use crate::credentials::secret::Secret;
use crate::kinds::output::{Output, Outputs};
use crate::kinds::{ProcessLimits, Stop, StopReason};
use crate::model::CredentialName;
use crate::model::{FailureClass, RunId};

/// Long enough that a test which needs it to pass has failed.
const LONG: Duration = Duration::from_secs(120);

struct Bench {
    dir: TempDir,
    outputs: Outputs,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outputs = Outputs::at(dir.path());
        Self { dir, outputs }
    }

    fn program(&self, argv: &[&str]) -> Program<'_> {
        Program {
            argv: argv.iter().map(OsString::from).collect(),
            env: environment::inherited(),
            dir: self.dir.path(),
            stdin: None,
            limits: ProcessLimits::default(),
            grace: LONG,
        }
    }

    fn sh(&self, script: &str) -> Program<'_> {
        self.program(&["sh", "-c", script])
    }

    fn output(&self) -> Output {
        self.outputs.remove(&[RunId(1)]).unwrap();
        self.outputs.open(RunId(1), 1, None)
    }

    async fn text(&self) -> String {
        let mut reader = self.outputs.reader(RunId(1), 1);
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            all.extend(piece);
        }
        String::from_utf8(all).unwrap()
    }

    async fn run(&self, program: Program<'_>) -> Result<Exit, SpawnError> {
        let (_pull, mut stop) = Stop::pair();
        self.run_until(program, &mut stop).await
    }

    async fn run_until(&self, program: Program<'_>, stop: &mut Stop) -> Result<Exit, SpawnError> {
        let output = self.output();
        let (stdout, stderr) = (Scan::default(), Scan::default());
        let mut capture = Capture::kept(&output, stdout, stderr);
        run(program, &mut capture, stop, &SystemClock).await
    }

    /// Runs a program, and stops it once its output holds `sign`.
    async fn stop_at(&self, sign: &str, program: Program<'_>) -> Exit {
        let (pull, mut stop) = Stop::pair();
        let output = self.output();
        let mut reader = self.outputs.reader(RunId(1), 1);
        let watch = async {
            let mut seen = String::new();
            while !seen.contains(sign) {
                let piece = reader.follow().await.unwrap().expect("it ended before its sign");
                seen.push_str(&String::from_utf8(piece).unwrap());
            }
            pull.send(Some(StopReason::Cancelled)).unwrap();
        };
        let mut capture = Capture::kept(&output, Scan::default(), Scan::default());
        let (exit, ()) = tokio::join!(run(program, &mut capture, &mut stop, &SystemClock), watch);
        exit.unwrap()
    }

    fn script(&self, name: &str, text: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A dead entry that nobody has reaped does not live.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

#[tokio::test]
async fn exits_and_signals_are_told_as_they_are() {
    let bench = Bench::new();
    for (script, code, signal) in [
        ("exit 0", Some(0), None),
        ("exit 3", Some(3), None),
        ("exit 255", Some(255), None),
        ("kill -SEGV $$", None, Some(11)),
        ("kill -KILL $$", None, Some(9)),
    ] {
        let exit = bench.run(bench.sh(script)).await.unwrap();
        assert_eq!((exit.status.code(), exit.status.signal()), (code, signal), "{script}");
        assert_eq!((exit.stopped, exit.remarks.len()), (None, 0), "{script}: {exit:?}");
    }
}

#[tokio::test]
async fn signals_are_as_programs_expect_them() {
    // The daemon ignores SIGPIPE; a program that did would write for ever or complain.
    let bench = Bench::new();
    bench.run(bench.sh("yes | head -1; grep SigIgn /proc/self/status")).await.unwrap();
    let text = bench.text().await;
    let ignored = text.strip_prefix("y\nSigIgn:\t").expect("yes has nothing to complain about");
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & (1 << (13 - 1)), 0, "SIGPIPE is ignored");
}

#[tokio::test]
async fn arguments_reach_the_program_untouched() {
    let bench = Bench::new();
    let argv = ["printf", "%s|", "a b", "$HOME", "", "*", "\"'\\", "ä"];
    bench.run(bench.program(&argv)).await.unwrap();
    assert_eq!(bench.text().await, "a b|$HOME||*|\"'\\|ä|");
}

#[tokio::test]
async fn both_streams_are_kept_whole() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 5000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    bench.run(bench.sh(script)).await.unwrap();
    let text = bench.text().await;
    for word in ["out", "err"] {
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(word)).collect();
        let expected: Vec<_> = (0..5000).map(|n| format!("{word} {n}")).collect();
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn a_text_for_stdin_is_read_or_ignored_and_none_is_an_end_of_file() {
    let bench = Bench::new();
    let text = "x".repeat(1_000_000);
    let with = |script, text: Option<&str>| Program {
        stdin: text.map(|text| text.as_bytes().to_vec()),
        ..bench.sh(script)
    };
    for (script, stdin, expected) in [
        ("wc -c", Some(text.as_str()), "1000000\n"),
        ("echo ignored", Some(text.as_str()), "ignored\n"),
        ("wc -c", None, "0\n"),
    ] {
        bench.run(with(script, stdin)).await.unwrap();
        assert_eq!(bench.text().await, expected);
    }
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let bench = Bench::new();
    let env = [("PATH", "/usr/bin:/bin"), ("A", "one"), ("A", "two"), ("EMPTY", "")];
    let program = Program {
        env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
        ..bench.program(&["env"])
    };
    bench.run(program).await.unwrap();
    let text = bench.text().await;
    let got: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(got, BTreeMap::from([("A", "two"), ("EMPTY", ""), ("PATH", "/usr/bin:/bin")]));
}

#[test]
fn only_named_variables_are_inherited() {
    let inherited = environment::inherited();
    assert!(inherited.iter().all(|(name, _)| environment::is_allowed(name)));
    assert!(inherited.iter().any(|(name, _)| name == "PATH"));
    for (name, allowed) in [("LC_ALL", true), ("HOME", true), ("HOMEX", false), ("lc_all", false)] {
        assert_eq!(environment::is_allowed(name.as_ref()), allowed, "{name}");
    }
}

#[tokio::test]
async fn a_name_is_found_in_the_jobs_own_path_and_a_path_from_its_folder() {
    let bench = Bench::new();
    fs::create_dir(bench.dir.path().join("bin")).unwrap();
    bench.script("bin/greet", "#!/bin/sh\necho hello from \"$0\"\n", 0o755);
    let path = vec![("PATH".into(), "bin:/bin".into())];
    for argv in ["greet", "./bin/greet", "bin/greet"] {
        let exit = bench.run(Program { env: path.clone(), ..bench.program(&[argv]) }).await;
        assert!(exit.unwrap().status.success(), "{argv}");
        assert!(bench.text().await.starts_with("hello from "), "{argv}");
    }
}

#[tokio::test]
async fn what_can_not_be_started_says_why_and_what_to_do() {
    let bench = Bench::new();
    bench.script("plain", "#!/bin/sh\n", 0o644);
    bench.script("noshebang", "echo hi\n", 0o755);
    bench.script("interp", "#!/no/such/python3 -u\n", 0o755);
    bench.script("windows", "#!/bin/sh\r\necho hi\r\n", 0o755);
    fs::create_dir(bench.dir.path().join("folder")).unwrap();
    let long = "x".repeat(3_000_000);
    let cases: [(&[&str], &str); 10] = [
        (&["no-such-program"], "there is no program 'no-such-program' in PATH (/usr/bin:/bin:.); "),
        (&["./nothing"], "/nothing; a relative path counts from "),
        (&["plain"], "plain can't be run: it is not executable; make it so with chmod +x"),
        (&["./plain"], "plain can't be run: it is not executable; make it so with chmod +x"),
        (&["./noshebang"], "a script must begin with a line like #!/bin/sh"),
        (&["./interp"], "the interpreter '/no/such/python3' that "),
        (&["./windows"], "has Windows line ends"),
        (&["./folder"], "folder is a folder, not a program"),
        (&[""], "the program's name is empty"),
        (&["echo", "a\0b"], "can't run 'echo': an argument holds a NUL byte"),
    ];
    let env = vec![("PATH".into(), "/usr/bin:/bin:.".into())];
    for (argv, expected) in cases {
        let program = Program { env: env.clone(), ..bench.program(argv) };
        let error = bench.run(program).await.unwrap_err();
        assert!(error.message.contains(expected), "{argv:?}: {}", error.message);
        assert_eq!(error.class, FailureClass::Permanent, "{argv:?}");
    }
    let error = bench.run(bench.program(&["echo", &long])).await.unwrap_err();
    let expected = "the arguments of 'echo' (3000006 bytes) and its environment (";
    assert!(error.message.starts_with(expected), "{}", error.message);
    let nowhere = bench.dir.path().join("nowhere");
    let error = bench.run(Program { dir: &nowhere, ..bench.sh("true") }).await.unwrap_err();
    assert!(error.message.contains("nowhere does not exist; create it"), "{}", error.message);
}

#[tokio::test]
async fn a_stop_asks_first_and_takes_the_answer() {
    let bench = Bench::new();
    let script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let exit = bench.stop_at("ready", bench.sh(script)).await;
    assert_eq!((exit.stopped, exit.status.code()), (Some(StopReason::Cancelled), Some(7)));
    let text = bench.text().await;
    assert!(text.contains("asked\n"), "{text:?}");
    assert!(exit.remarks.is_empty(), "{exit:?}");
}

#[tokio::test]
async fn who_ignores_term_is_killed_with_all_its_children() {
    let bench = Bench::new();
    let script = "trap '' TERM; sleep 600 & echo $! > child; (sleep 600 & echo $! > grandchild); \
                  echo ready; wait; while :; do sleep 1; done";
    let program = Program { grace: Duration::from_millis(50), ..bench.sh(script) };
    let exit = bench.stop_at("ready", program).await;
    assert_eq!(exit.status.signal(), Some(9));
    assert_eq!(exit.remarks, ["it ignored the request to end (TERM) and was killed"]);
    for name in ["child", "grandchild"] {
        assert!(!lives(&fs::read_to_string(bench.dir.path().join(name)).unwrap()), "{name}");
    }
}

#[tokio::test]
async fn a_stopped_process_can_be_stopped() {
    let bench = Bench::new();
    // Not even KILL's grace is needed: TERM is followed by CONT.
    let exit = bench.stop_at("ready", bench.sh("echo ready; kill -STOP $$; sleep 600")).await;
    assert_eq!(exit.status.signal(), Some(15));
}

#[tokio::test]
async fn a_child_left_behind_with_the_pipe_is_ended_and_hangs_nothing() {
    let bench = Bench::new();
    let exit = bench.run(bench.sh("sleep 600 & echo $!; echo done")).await.unwrap();
    assert_eq!(exit.status.code(), Some(0));
    assert_eq!(exit.remarks, ["it left processes behind, which were ended"]);
    let text = bench.text().await;
    let (pid, rest) = text.split_once('\n').unwrap();
    assert_eq!(rest, "done\n");
    assert!(!lives(pid));
}

#[tokio::test]
async fn what_is_still_on_its_way_through_a_helper_process_is_kept() {
    let bench = Bench::new();
    let slow = "(read line; sleep 0.1; echo \"late $line\") < fifo & echo now > fifo; exit 0";
    let exit = bench.run(bench.sh(&format!("mkfifo fifo; {slow}"))).await.unwrap();
    assert_eq!(bench.text().await, "late now\n");
    assert!(exit.remarks.is_empty(), "{exit:?}");
}

#[tokio::test]
async fn a_process_that_left_the_group_holds_the_pipe_but_not_the_attempt() {
    let bench = Bench::new();
    let script = "setsid sh -c 'echo $$ > far; echo far; sleep 600' & \
                  while [ ! -s far ]; do sleep 0.01; done; echo near";
    let exit = bench.run(bench.sh(script)).await.unwrap();
    assert!(exit.status.success());
    let mut lines: Vec<_> = bench.text().await.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["far", "near"]);
    let far = fs::read_to_string(bench.dir.path().join("far")).unwrap();
    let far = Pid::from_raw(far.trim().parse().unwrap()).unwrap();
    kill_process_group(far, Signal::KILL).unwrap();
}

#[tokio::test]
async fn an_attempt_that_is_dropped_takes_its_processes_along() {
    let bench = Bench::new();
    let (_pull, mut stop) = Stop::pair();
    let fifo = bench.dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Reads to the end, which comes when the last process that holds the fifo is dead.
    let held = tokio::task::spawn_blocking(move || fs::read_to_string(fifo).unwrap());
    {
        let output = bench.output();
        let mut reader = bench.outputs.reader(RunId(1), 1);
        let (stdout, stderr) = (Scan::default(), Scan::default());
        let mut capture = Capture::kept(&output, stdout, stderr);
        let script = "trap '' TERM; exec 3> fifo; sleep 600 & echo x >&3; echo ready; wait";
        tokio::select! {
            _ = run(bench.sh(script), &mut capture, &mut stop, &SystemClock) => panic!("it ended"),
            ready = reader.follow() => assert_eq!(ready.unwrap().unwrap(), b"ready\n"),
        }
    }
    assert_eq!(held.await.unwrap(), "x\n");
}

#[tokio::test]
async fn limits_hold() {
    let bench = Bench::new();
    let none = ProcessLimits::default();
    let cases = [
        (ProcessLimits { open_files: Some(17), ..none }, "ulimit -n", "17\n"),
        (ProcessLimits { memory: Some(1 << 30), ..none }, "ulimit -v", "1048576\n"),
        (ProcessLimits { file_size: Some(1 << 20), ..none }, "ulimit -f", "2048\n"),
        (ProcessLimits { cpu_time: Some(Duration::from_millis(1500)), ..none }, "ulimit -t", "2\n"),
        (none, "exit 0", ""),
    ];
    for (limits, script, expected) in cases {
        bench.run(Program { limits, ..bench.sh(script) }).await.unwrap();
        assert_eq!(bench.text().await, expected, "{script}");
    }
    let limits = ProcessLimits { file_size: Some(512), ..none };
    let exit =
        bench.run(Program { limits, ..bench.sh("exec dd if=/dev/zero of=f bs=4096 count=1") });
    assert_eq!(exit.await.unwrap().status.signal(), Some(25), "SIGXFSZ");
    let limits = ProcessLimits { open_files: Some(64), ..none };
    let argv = ["printf", "%s|", "a b", "\"$@\""];
    bench.run(Program { limits, ..bench.program(&argv) }).await.unwrap();
    assert_eq!(bench.text().await, "a b|\"$@\"|");
}

/// A process group as a killed daemon leaves it.
struct Left(std::process::Child);

impl Left {
    fn behind(run: &str, data: &Path) -> Self {
        let mut command = std::process::Command::new("sh");
        let command = std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.args(["-c", "trap '' TERM; sleep 600 & echo; wait; sleep 600"]);
        command.env("JADA_DATA", data).env("JADA_RUN", run).env("JADA_ATTEMPT", "2");
        command.env("JADA_NODE", "9").stderr(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Its trap is set once it has written.
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        Self(child)
    }

    fn lives(&self) -> bool {
        lives(&self.0.id().to_string())
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let _gone = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _reaped_already = self.0.wait();
    }
}

#[tokio::test]
async fn orphans_of_this_data_dir_are_found_by_their_environment_and_ended() {
    let bench = Bench::new();
    let (data, other) = (bench.dir.path(), Path::new("/another/data/dir"));
    let (wanted, spared) = (Left::behind("5", data), Left::behind("6", data));
    let elsewhere = Left::behind("5", other);
    let grace = Duration::from_millis(30);
    let swept = orphans::end(data, |orphan| orphan.run == RunId(5), grace, &SystemClock).await;
    assert!(swept.ended.len() == 1 && swept.stuck.is_empty(), "{swept:?}");
    assert_eq!((swept.ended[0].attempt, swept.ended[0].node.0), (2, 9));
    assert!(!wanted.lives() && spared.lives() && elsewhere.lives());
    assert_eq!(orphans::find(data, |_| true).len(), 1);
    assert!(orphans::find(other, |_| true).iter().all(|orphan| orphan.run == RunId(5)));
}

#[tokio::test]
async fn what_is_secret_is_neither_kept_nor_seen() {
    let redactor = Arc::new(Redactor::default());
    let name = CredentialName::parse("test/one").unwrap();
    redactor.hold(&name, vec![Secret::new("s3cr3t-token")]);
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { outputs: Outputs::screened(dir.path(), redactor), dir };
    let output = bench.output();
    let (stdout, stderr) = (Scan::keeping(100), Scan::default());
    let mut capture = Capture::kept(&output, stdout, stderr);
    // Each word is written by itself, and between those of one stream stands one of the other.
    let script =
        "printf 'a s3cr'; printf 'b s3c' >&2; printf '3t-token, s3cr'; printf 'r3t-token' >&2";
    let (_pull, mut stop) = Stop::pair();
    run(bench.sh(script), &mut capture, &mut stop, &SystemClock).await.unwrap();
    assert_eq!(capture.stdout.kept(), b"a [redacted], s3cr");
    assert_eq!(capture.stderr.last_line().as_deref(), Some("b [redacted]"));
    let text = bench.text().await;
    assert!(text.contains("a [redacted], ") && text.contains("s3cr"), "{text}");
    assert!(text.contains("b [redacted]") && !text.contains("token"), "{text}");
}
