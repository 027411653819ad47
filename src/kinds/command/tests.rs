//! Sections as they are written, decoded by the real decoder and run as real processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::CommandSpec;
use crate::clock::SystemClock;
use crate::kinds::output::Outputs;
use crate::kinds::template::Names;
use crate::kinds::{AttemptContext, Kinds, Perform, Setting, Stop, Work, check};
use crate::model::{Cause, FailureClass, JobName, NodeId, Outcome, RunId};
use crate::yaml::{self, Decode, Decoder, Source};

/// Decodes a section and checks it; what is wrong with it, each as `line:column text message (help)`.
fn read(text: &str, params: &BTreeMap<String, Json>) -> (Option<CommandSpec>, Vec<String>) {
    let source = Source::new("job.yaml", text);
    let (documents, found) = yaml::parse(&source);
    assert!(found.is_empty(), "{found:?}");
    let mut cx = Decoder::new(&source);
    let spec = CommandSpec::decode(&documents[0].root, &mut cx);
    let work = spec.clone().map(|spec| Work::Command(Box::new(spec)));
    check(
        work.as_ref(),
        None,
        &Names { params, env: Vec::new(), bindings: &[], more: Vec::new() },
        &mut cx,
    );
    let mut found = cx.finish();
    yaml::arrange(&mut found);
    let told = found.iter().map(|d| {
        let span = d.span.expect("these have places");
        let at = source.position(span.start);
        let help = d.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{} {} {:?} {}{help}", at.line, at.column, d.code, source.slice(span), d.message)
    });
    (spec, told.collect())
}

struct Bench {
    dir: tempfile::TempDir,
    outputs: Outputs,
    setting: Setting,
    cause: Cause,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setting = Setting {
            working_dir: dir.path().to_owned(),
            grace: Duration::from_secs(60),
            ..Setting::default()
        };
        let slot = Cause::Slot("2026-03-01T02:15:00Z".parse().unwrap());
        Self { outputs: Outputs::at(dir.path()), setting, cause: slot, dir }
    }

    async fn run(&self, text: &str) -> Outcome {
        self.run_after(text, || ()).await
    }

    async fn run_after(&self, text: &str, prepare: impl FnOnce()) -> Outcome {
        let (spec, told) = read(text, &self.setting.params);
        assert_eq!(told, Vec::<String>::new());
        self.outputs.remove(&[RunId(42)]).unwrap();
        prepare();
        let (_pull, stop) = Stop::pair();
        let attempt = AttemptContext {
            run: RunId(42),
            job: JobName::parse("backup").unwrap(),
            no: 2,
            node: NodeId(7),
            cause: self.cause,
            started_at: "2026-03-01T02:15:01Z".parse().unwrap(),
            work: Arc::new(Work::Command(Box::new(spec.unwrap()))),
            setting: Arc::new(self.setting.clone()),
            output: self.outputs.open(RunId(42), 2, None),
            facts: crate::kinds::facts::Facts::default(),
            seen: crate::kinds::Seen::default(),
            stop,
            clock: Arc::new(SystemClock),
        };
        Kinds::new(self.dir.path(), None).perform(attempt).await
    }

    async fn text(&self) -> String {
        let mut reader = self.outputs.reader(RunId(42), 2);
        let mut all = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            all.extend(piece);
        }
        String::from_utf8(all).unwrap()
    }
}

/// Class, exit code and message of a failure; success is `ok`.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded { note } => format!("ok {note}").trim().to_owned(),
        Outcome::Failed(failure) => {
            let code = failure.exit_code.map_or("-".to_owned(), |code| code.to_string());
            format!("{} {code} {}", failure.class.word(), failure.message)
        }
    }
}

#[tokio::test]
async fn every_end_has_its_class_and_its_words() {
    let bench = Bench::new();
    let auth = "auth_failure: { exit_codes: [77], stderr_match: 'HTTP Error 40[01]', stdout_match: denied }";
    let transient = "transient: { exit_codes: 75, stderr_match: 'timed out$' }";
    let cases = [
        ("run: 'true'", "ok"),
        ("run: [sh, -c, 'exit 3']", "transient 3 exit code 3"),
        ("run: 'echo out; echo err >&2; echo; exit 3'", "transient 3 exit code 3: err"),
        ("run: 'echo one; echo two; exit 3'", "transient 3 exit code 3: two"),
        (
            "run: no-such-program --x",
            "permanent 127 exit code 127: sh: 1: no-such-program: not found",
        ),
        ("run: 'kill -ABRT $$'", "transient - ended by SIGABRT"),
        ("{ run: 'exit 3', success_exit_codes: [0, 3] }", "ok"),
        ("{ run: 'exit 3', success_exit_codes: 3 }", "ok"),
        ("{ run: 'exit 0', success_exit_codes: 3 }", "transient 0 exit code 0"),
    ];
    for (text, expected) in cases {
        let outcome = bench.run(text).await;
        let words = told(&outcome).replace("/bin/sh: 1", "sh: 1");
        assert_eq!(words, expected, "{text}");
    }
    let cases = [
        // The script of the origin: it told of its dead token, and exited 0.
        (
            "echo 'token error: HTTP Error 400: Bad Request' >&2",
            "unauthorized 0 exit code 0: token error: HTTP Error 400: Bad Request",
        ),
        (
            "echo 'HTTP Error 400' >&2; echo more >&2; exit 5",
            "unauthorized 5 exit code 5: HTTP Error 400",
        ),
        ("echo access denied", "unauthorized 0 exit code 0: access denied"),
        ("echo 'HTTP Error 400'", "ok"),
        ("echo gone >&2; exit 77", "unauthorized 77 exit code 77: gone"),
        ("exit 75", "transient 75 exit code 75"),
        (
            "echo 'read timed out' >&2; echo bye >&2; exit 1",
            "transient 1 exit code 1: read timed out",
        ),
        ("echo 'read timed out' >&2", "ok"),
        ("echo wrong >&2; exit 1", "permanent 1 exit code 1: wrong"),
    ];
    for (script, expected) in cases {
        let text = format!("run: |\n  {script}\n{auth}\n{transient}\n");
        assert_eq!(told(&bench.run(&text).await), expected, "{script}");
    }
}

#[tokio::test]
async fn what_can_not_start_is_a_permanent_failure_with_the_way_out() {
    let mut bench = Bench::new();
    let outcome = told(&bench.run("run: [no-such-program]").await);
    assert!(outcome.starts_with("permanent - there is no program 'no-such-program' in PATH ("));
    bench.setting.working_dir = PathBuf::from("/no/such/folder");
    let outcome = told(&bench.run("run: ['true']").await);
    assert_eq!(
        outcome,
        "permanent - the working directory /no/such/folder does not exist; create it or name another"
    );
}

#[tokio::test]
async fn limits_are_told_when_they_are_hit() {
    let mut bench = Bench::new();
    bench.setting.limits.file_size = Some(512);
    let outcome = bench.run("run: [dd, if=/dev/zero, of=f, bs=4096, count=1]").await;
    let expected = "transient - ended by SIGXFSZ: it wrote beyond limits.file_size";
    assert_eq!(told(&outcome), expected);
}

#[tokio::test]
async fn a_full_disk_is_told_beside_the_outcome() {
    let bench = Bench::new();
    let log = bench.outputs.path(RunId(42), 2);
    let full = "8 bytes of output could not be kept: No space left on device (os error 28)";
    for (script, expected) in [
        ("echo 1234567", format!("ok {full}")),
        ("echo 1234567; exit 3", format!("transient 3 exit code 3: 1234567; {full}")),
    ] {
        // The bench takes old output away, the link included.
        let link = || {
            std::fs::create_dir_all(log.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/dev/full", &log).unwrap();
        };
        let outcome = bench.run_after(&format!("run: '{script}'"), link).await;
        assert_eq!(told(&outcome), expected);
    }
}

#[tokio::test]
async fn the_program_is_told_of_its_attempt() {
    let bench = Bench::new();
    let script = "env | grep ^JADA | grep -v JADA_DATA | sort; test \"$JADA_DATA\" = \"$PWD\"";
    assert_eq!(told(&bench.run(&format!("run: '{script}'")).await), "ok");
    insta::assert_snapshot!(bench.text().await, @r#"
    JADA_ATTEMPT=2
    JADA_JOB=backup
    JADA_NODE=7
    JADA_RUN=42
    JADA_RUN_KEY=backup/2026-03-01T02:15:00Z
    JADA_SLOT=2026-03-01T02:15:00Z
    "#);
}

#[tokio::test]
async fn variables_are_inherited_declared_and_overridden_in_this_order() {
    let mut bench = Bench::new();
    bench.setting.env = [("A", "common"), ("B", "common {{env.PATH}}"), ("JADA_RUN", "forged")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let text = "run: [sh, -c, 'echo $A/$B/$C/$CARGO_MANIFEST_DIR/$JADA_RUN/$CARGO_PKG_NAME']\n\
                env: { A: own, C: '{{job.name}}' }\ninherit_env: [CARGO_PKG_NAME, NOT_SET_ANYWHERE]\n";
    assert_eq!(told(&bench.run(text).await), "ok");
    let path = std::env::var("PATH").unwrap();
    assert_eq!(bench.text().await, format!("own/common {path}/backup//42/jada\n"));
}

#[tokio::test]
async fn templates_are_filled_in_everywhere_and_never_split_or_escaped() {
    let mut bench = Bench::new();
    bench.setting.params =
        serde_json::from_str(r#"{ "who": "a b $HOME \" <x>", "n": 3 }"#).unwrap();
    let text = "run: [printf, '%s|', '{{params.who}}', 'n={{params.n}}', '{{env.X}}', '{{date slot}}']\n\
                env: { X: '{{run.id}}' }\n";
    assert_eq!(told(&bench.run(text).await), "ok");
    assert_eq!(bench.text().await, "a b $HOME \" <x>|n=3|42|2026-03-01|");
    bench.run("{ run: cat, stdin: 'for {{params.who}}' }").await;
    assert_eq!(bench.text().await, "for a b $HOME \" <x>");
    bench.cause = Cause::Manual("2026-05-05T00:00:00Z".parse().unwrap());
    bench.run("run: 'echo {{date slot}} [$JADA_SLOT] $JADA_RUN_KEY'").await;
    assert_eq!(bench.text().await, "2026-05-05 [] backup/manual/2026-05-05T00:00:00Z\n");
}

#[tokio::test]
async fn what_can_not_be_filled_in_is_told() {
    let bench = Bench::new();
    let outcome = bench.run("run: [echo, '{{date job.name}}']").await;
    assert_eq!(told(&outcome), "permanent - can't fill in `run`: date: 'backup' is no instant");
    // Allowed by name, and not set in this environment.
    let outcome = bench.run("{ run: [echo, '{{env.NOT_SET}}'], inherit_env: [NOT_SET] }").await;
    assert_eq!(outcome.class(), Some(FailureClass::Permanent));
    assert_eq!(outcome.message(), "can't fill in `run`: there is no value `env.NOT_SET`");
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let params = serde_json::from_str(r#"{ "region": "eu" }"#).unwrap();
    let texts = [
        "{}",
        "run: []",
        "run: ''",
        "run: 5",
        "run: { cmd: x }",
        "run: [echo, [a]]",
        "runn: [x]\nworking_dir: /\n",
        "run: [echo, '{{params.regoin}}', 5, yes]\nstdin: '{{'\nenv: { 1X: a, B: '{{env.A}}', A: '{{env.HOEM}}' }\n",
        "run: |\n  set -e\n  echo {{params.region}}\n  echo {{params.zone}}\n",
        "run: x\nsuccess_exit_codes: [0, 256]\n",
        "run: x\nsuccess_exit_codes: [256]\nauth_failure: { exit_codes: 0 }\n",
        "run: x\nsuccess_exit_codes: [0, 3]\nauth_failure: { exit_codes: [3, 4] }\ntransient: { exit_codes: [4, 5] }\n",
        "run: x\nauth_failure: { stderr_match: 'a(b' }\n",
        "run: x\ninherit_env: ['A-B', API_TOKEN]\nstdin: '{{env.API_TOKEN}} {{env.API_TOKNE}}'\n",
    ];
    let mut all = String::new();
    for text in texts {
        all.push_str(&read(text, &params).1.join("\n"));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @r#"
    1:1 J022 "{}" the key `run` is missing (add `run:` with a list (a program and its arguments) or a text for the shell)

    1:6 J030 "[]" this runs nothing (write [PROGRAM, ARGUMENT…])

    1:6 J030 "''" this runs nothing (write [PROGRAM, ARGUMENT…])

    1:6 J021 "5" expected a list (a program and its arguments) or a text for the shell, found the number 5

    1:6 J021 "{ cmd: x }" expected a list (a program and its arguments) or a text for the shell, found a mapping

    1:13 J021 "[a]" expected a text or number, found a list

    1:1 J020 "runn" unknown key `runn` (did you mean `run`?)
    2:1 J020 "working_dir" unknown key `working_dir` (the keys here are `run`, `env`, `inherit_env`, `stdin`, `success_exit_codes`, `auth_failure`, `transient`)

    1:16 J051 "params.regoin" the job has no parameter `regoin` (did you mean `params.region`?)
    2:9 J050 "{{" `{{` is never closed (a value is written {{params.name}}; for the two braces themselves write \{{)
    3:8 J026 "1X" `1X` is no name for a variable (use letters, digits and '_', and no digit first)
    3:21 J051 "env.A" the job does not know the variable `A` (to take it from the daemon, list it: `inherit_env: [A]`)
    3:37 J051 "env.HOEM" the job does not know the variable `HOEM` (did you mean `env.HOME`?)

    4:10 J051 "params.zone" the job has no parameter `zone` (add `zone` to the job's `params`)

    2:25 J030 "256" expected a whole number from 0 to 255

    2:22 J030 "256" expected a whole number from 0 to 255

    3:30 J056 "3" exit code 3 can't mean success and auth_failure (take it out of one of the two lists)
    4:27 J056 "4" exit code 4 can't mean both (take it out of one of the two lists)

    2:32 J057 "a(b" this regular expression can't be read: unclosed group (in YAML, write it in single quotes so that \ stays as it is)

    2:16 J026 "A-B" `A-B` is no name for a variable (use letters, digits and '_', and no digit first)
    3:29 J051 "env.API_TOKNE" the job does not know the variable `API_TOKNE` (did you mean `env.API_TOKEN`?)
    "#);
}
