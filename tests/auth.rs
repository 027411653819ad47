//! `jadactl auth` as a program, against a token server in this process.
//!
//! What providers, refresh and lifecycle do is proved closer by; here are the verbs, their exit codes, what
//! they print, and that no secret is in it.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

mod fake;

use std::fs;
use std::io::{BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use fake::{CLIENT, Decision, Fake, Fault, SECRET, visit};
use jada::clock::{Clock as _, SystemClock};
use serde_json::{Value as Json, json};

/// A folder with settings, a job, and a token server.
struct Stage {
    dir: tempfile::TempDir,
    server: Fake,
}

const JOBS: &str = "\
name: sheet
credentials: { api: test/one }
command: { run: 'exit 0' }
---
name: other
command: { run: 'exit 0' }
";

impl Stage {
    fn new() -> Self {
        let server = Fake::start(|| SystemClock.now().as_second());
        let dir = tempfile::tempdir().unwrap();
        let stage = Self { dir, server };
        fs::create_dir(stage.path("jobs.d")).unwrap();
        stage.write("jobs.d/all.yaml", JOBS);
        stage.write("secret", SECRET);
        let url = |path: &str| stage.server.url(path);
        let settings = format!(
            "credentials:\n  test/one:\n    hosts: ['127.0.0.1:*', '127.0.0.1']\n    oauth2:\n      \
             token_url: {}\n      auth_url: {}\n      device_url: {}\n      revoke_url: {}\n      \
             client_id: {CLIENT}\n      client_secret: {{ file: secret }}\n      scopes: [a]\n  \
             key/two:\n    static: {{ bearer: {{ file: key }} }}\n",
            url("/token"),
            url("/authorize"),
            url("/device"),
            url("/revoke"),
        );
        let settings = settings.replace("'127.0.0.1:*', ", "");
        stage.write("jada.yaml", &settings);
        stage
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jadactl"));
        command.arg("auth").args(args).current_dir(self.dir.path()).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null());
        command
    }

    /// What a verb prints and how it ends. Only `token` may show a secret.
    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        if args[0] != "token" {
            let all = [output.stdout.clone(), output.stderr.clone()].concat();
            let all = String::from_utf8_lossy(&all).into_owned();
            assert!(!all.contains("canary"), "{args:?} shows a secret:\n{all}");
        }
        output
    }

    fn code(&self, args: &[&str]) -> i32 {
        self.run(args).status.code().unwrap()
    }

    fn json(&self, args: &[&str]) -> Json {
        let output = self.run(&[args, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", seen_of(&output)))
    }

    /// Everything that a person sees, with what changes from run to run left out.
    fn seen(&self, args: &[&str]) -> String {
        let output = self.run(args);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
        }
        let text = format!("$ jadactl auth {}\n{}", args.join(" "), seen_of(&output));
        let text = text.replace(self.dir.path().to_str().unwrap(), "DIR");
        let times = [
            (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
            (r"\b\d+ ms\b", "N ms"),
            (r"\b(just now|\d+s ago)\b", "NOW"),
            (r"in (59m|1h)\b[ 0-9ms]*", "in 1h"),
            (r"127\.0\.0\.1:\d+", "HOST"),
        ];
        times.iter().fold(text, |text, (pattern, name)| {
            regex::Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned()
        })
    }

    /// A grant of the server, in a file as Google's libraries write it.
    fn export(&self, name: &str) {
        let grant = self.server.grant("a");
        let text = json!({ "client_id": CLIENT, "client_secret": SECRET, "refresh_token": grant });
        self.write(name, &text.to_string());
    }

    fn import(&self) {
        self.export("user.json");
        assert_eq!(self.code(&["import", "test/one", "--from", "user.json"]), 0);
    }

    fn state(&self) -> String {
        self.json(&["status", "test/one"])[0]["state"].as_str().unwrap().to_owned()
    }
}

fn seen_of(output: &Output) -> String {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let err = if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
    let code = output.status.code().unwrap();
    format!("{}{err}--- exit {code}\n", String::from_utf8_lossy(out))
}

#[test]
fn what_people_see() {
    let stage = Stage::new();
    stage.export("user.json");
    let mut all = String::new();
    for args in [
        &["list"][..],
        &["status", "test/one"],
        &["import", "test/one", "--from", "user.json"],
        &["refresh", "test/one"],
        &["keepalive"],
        &["list"],
        &["status"],
        &["pause", "test/one"],
        &["refresh", "test/one"],
        &["resume", "test/one"],
        &["log", "test/one"],
        &["simulate", "test/one", "--fault", "invalid_grant"],
        &["status", "test/one"],
        &["simulate", "test/one", "--fault", "503"],
        &["refresh", "test/one"],
        &["log", "test/one", "--limit", "3"],
    ] {
        all += &stage.seen(args);
        all += "\n";
    }
    insta::assert_snapshot!(all);
    let audit = fs::read_to_string(stage.path("var/credentials/audit.jsonl")).unwrap();
    assert!(!audit.contains("canary"), "a secret is in the audit");
}

#[test]
fn what_the_command_line_gets_wrong() {
    let stage = Stage::new();
    stage.write("broken.json", "{ \"refresh_token\": ");
    stage.write("other.json", r#"{ "client_id": "somebody", "refresh_token": "canary-x" }"#);
    let mut all = String::new();
    for args in [
        &["status", "test/on"][..],
        &["status", "nothing"],
        &["status", "a/b/c"],
        &["import", "test/one", "--from", "missing.json"],
        &["import", "test/one", "--from", "broken.json"],
        &["import", "test/one", "--from", "other.json"],
        &["login", "key/two"],
        &["login", "test/one", "--device", "--remote"],
        &["authorize", "jada-login-x"],
        &["revoke", "test/one", "--yes"],
        &["revoke", "key/two"],
        &["rotate", "test/one", "--from", "missing"],
        &["token", "test/one", "--job", "sheet"],
        &["token", "test/one", "--job", "other", "--audience", "127.0.0.1"],
        &["token", "test/one", "--job", "sheet", "--audience", "example.com"],
        &["token", "test/one", "--job", "sheet", "--audience", "127.0.0.1"],
        &["test", "test/one", "--job", "shet"],
        &["simulate", "key/two", "--fault", "invalid_grant"],
        &["resume", "test/one"],
        &["refresh", "key/two"],
        &["keepalive", "--all"],
    ] {
        all += &stage.seen(args);
        all += "\n";
    }
    insta::assert_snapshot!(all);
}

#[test]
fn json_has_the_documented_keys() {
    let stage = Stage::new();
    stage.import();
    let status = stage.json(&["status"]);
    let item = status[1].as_object().unwrap();
    for key in [
        "name",
        "provider",
        "account",
        "state",
        "class",
        "error",
        "scopes",
        "last_refresh",
        "horizon",
        "jobs",
    ] {
        assert!(item.contains_key(key), "{key}");
    }
    assert_eq!(item["name"], "test/one");
    assert_eq!(item["provider"], "oauth2");
    assert_eq!(item["state"], "healthy");
    assert_eq!(item["scopes"], json!(["a"]));
    assert_eq!(item["jobs"], json!(["sheet"]));
    assert_eq!(item["class"], Json::Null);
    assert_eq!(stage.json(&["list"]).as_array().unwrap().len(), 2);
    assert_eq!(stage.json(&["status", "test/one"]).as_array().unwrap().len(), 1);
    let log = stage.json(&["log", "test/one"]);
    assert!(log[0]["actor"]["program"] == "cli", "{log}");
}

#[test]
fn check_ends_by_the_worst_state() {
    let stage = Stage::new();
    stage.write("key", "canary-key-0123456789");
    let check = ["status", "--check"];
    // Nobody has logged in.
    assert_eq!(stage.code(&check), 4);
    stage.import();
    assert_eq!(stage.code(&check), 0);
    let before = stage.server.exchanges();
    assert_eq!(stage.code(&["status", "test/one", "--check"]), 0);
    assert_eq!(stage.server.exchanges(), before + 1, "a real refresh");
    stage.server.fault(Some(Fault::answer(503, "")));
    assert_eq!(stage.code(&["status", "test/one", "--check"]), 6);
    stage.server.fault(None);
    assert_eq!(stage.code(&["status", "test/one", "--check"]), 0);
    // What an operator has to mend comes before what a person has to.
    stage.server.revoke_all();
    fs::remove_file(stage.path("key")).unwrap();
    assert_eq!(stage.code(&["status", "test/one", "--check"]), 4);
    assert_eq!(stage.code(&["status", "key/two", "--check"]), 5);
    assert_eq!(stage.code(&check), 5);
    assert_eq!(stage.code(&["status"]), 0, "without --check nobody asks how it stands");
}

#[test]
fn an_end_that_is_near_is_told() {
    let stage = Stage::new();
    stage.import();
    stage.write("key", "canary-key-0123456789");
    let text = fs::read_to_string(stage.path("jada.yaml")).unwrap();
    let soon = SystemClock.now() + Duration::from_secs(3 * 24 * 3600);
    let soon = &soon.to_string()[..10];
    let end = format!("{{ file: key }}, expires_on: {soon} }}");
    stage.write("jada.yaml", &text.replace("{ file: key } }", &end));
    assert_eq!(stage.code(&["refresh", "key/two"]), 0);
    assert_eq!(stage.code(&["status", "key/two", "--check"]), 3);
    let item = stage.json(&["status", "key/two"]);
    assert_eq!(item[0]["state"], "expiring");
    assert_eq!(item[0]["fix"], "jadactl auth rotate key/two --from FILE");
    // The worst one wins.
    stage.server.revoke_all();
    assert_eq!(stage.code(&["status", "--check"]), 4);
}

#[test]
fn a_dead_import_gives_way_to_what_worked() {
    let stage = Stage::new();
    stage.import();
    let dead = json!({ "client_id": CLIENT, "refresh_token": "canary-never-issued" });
    stage.write("dead.json", &dead.to_string());
    let output = stage.run(&["import", "test/one", "--from", "dead.json"]);
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("the grant that it had is back"), "{told}");
    assert_eq!(stage.code(&["status", "test/one", "--check"]), 0);
    // Where nothing worked, the dead one is what there is.
    let stage = Stage::new();
    stage.write("dead.json", &dead.to_string());
    assert_eq!(stage.code(&["import", "test/one", "--from", "dead.json"]), 4);
    assert_eq!(stage.state(), "reauth-required");
}

#[test]
fn an_import_can_stay_untried() {
    let stage = Stage::new();
    stage.export("user.json");
    assert_eq!(stage.code(&["import", "test/one", "--from", "user.json", "--no-check"]), 0);
    assert_eq!(stage.server.calls(), 0);
    assert_eq!(stage.state(), "unknown");
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
    assert_eq!(stage.state(), "healthy");
}

#[test]
fn rclone_and_service_account_files_are_known() {
    let stage = Stage::new();
    let token = json!({ "access_token": "canary-a", "refresh_token": stage.server.grant("a") });
    let text = format!("[drive]\ntype = drive\nclient_id = {CLIENT}\ntoken = {token}\n");
    stage.write("rclone.conf", &text);
    assert_eq!(stage.code(&["import", "test/one", "--from", "rclone.conf"]), 0);
    let key = json!({ "type": "service_account", "client_email": "sync@p.example.com" });
    stage.write("sa.json", &key.to_string());
    let output = stage.run(&["import", "test/one", "--from", "sa.json"]);
    assert_eq!(output.status.code(), Some(5));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("--provider google_service_account"), "{told}");
    assert_eq!(stage.state(), "healthy", "nothing was touched");
}

#[test]
fn a_missing_client_file_is_named_before_any_exchange() {
    let stage = Stage::new();
    stage.import();
    let calls = stage.server.calls();
    fs::remove_file(stage.path("secret")).unwrap();
    let output = stage.run(&["refresh", "test/one"]);
    assert_eq!(output.status.code(), Some(5));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("secret"), "{told}");
    assert_eq!(stage.server.calls(), calls);
    stage.write("secret", SECRET);
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
}

#[test]
fn a_folder_that_others_can_read_is_refused_and_left_alone() {
    let stage = Stage::new();
    stage.import();
    let folder = stage.path("var/credentials");
    let record = folder.join("test+one.json");
    let before = fs::read(&record).unwrap();
    for (path, mode, words) in [(&folder, 0o755, "chmod 700"), (&record, 0o644, "chmod 600")] {
        let good = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let calls = stage.server.calls();
        let output = stage.run(&["refresh", "test/one"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{told}");
        assert!(told.contains(words), "{told}");
        assert_eq!(stage.server.calls(), calls, "nobody is asked");
        let item = stage.json(&["status", "test/one"]);
        assert_eq!(item[0]["state"], "misconfigured");
        assert_eq!(item[0]["class"], "local-store");
        fs::set_permissions(path, good).unwrap();
    }
    assert_eq!(fs::read(&record).unwrap(), before);
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
}

#[test]
fn revoking_asks_and_proves() {
    let stage = Stage::new();
    stage.import();
    assert_eq!(stage.code(&["revoke", "test/one"]), 2, "nobody is there to be asked");
    let output = stage.run(&["revoke", "test/one", "--yes"]);
    let told = seen_of(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("used by: sheet") && told.contains("refused"), "{told}");
    assert_eq!(stage.state(), "revoked");
    let record = fs::read_to_string(stage.path("var/credentials/test+one.json")).unwrap();
    assert!(!record.contains("canary"), "forgotten");
    assert_eq!(stage.code(&["status", "--check", "test/one"]), 4);
    stage.import();
    assert_eq!(stage.state(), "healthy", "a new grant ends it");
    let calls = stage.server.calls();
    assert_eq!(stage.code(&["revoke", "test/one", "--local-only", "--yes"]), 0);
    assert_eq!(stage.server.calls(), calls);
}

#[test]
fn a_secret_is_exchanged_once_the_new_one_works() {
    let stage = Stage::new();
    stage.import();
    stage.write("bad", "canary-wrong-secret");
    assert_eq!(stage.code(&["rotate", "test/one", "--from", "bad"]), 5);
    assert_eq!(fs::read_to_string(stage.path("secret")).unwrap(), SECRET);
    assert!(!stage.path("secret.new").exists());
    assert_eq!(stage.state(), "healthy", "the verdict was about the new one");
    stage.write("good", &format!("{SECRET}\n"));
    assert_eq!(stage.code(&["rotate", "test/one", "--from", "good"]), 0);
    assert_eq!(fs::read_to_string(stage.path("secret")).unwrap(), format!("{SECRET}\n"));
    let mode = fs::metadata(stage.path("secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_token_is_printed_where_that_is_asked_for_and_written_down() {
    let stage = Stage::new();
    stage.import();
    let asked = ["token", "test/one", "--job", "sheet", "--audience", "127.0.0.1"];
    assert_eq!(stage.code(&asked), 1, "no terminal");
    let output = stage.run(&[&asked[..], &["--allow-no-tty"]].concat());
    let token = String::from_utf8(output.stdout).unwrap();
    assert!(stage.server.takes(token.trim()), "{token}");
    let log = stage.json(&["log", "test/one", "--limit", "1"]);
    assert_eq!(log[0]["event"], "export");
    assert_eq!(log[0]["job"], "sheet");
    assert_eq!(log[0]["words"], "printed for 127.0.0.1");
}

#[test]
fn a_job_s_needs_are_tried() {
    let stage = Stage::new();
    stage.import();
    let url = stage.server.url("/api");
    assert_eq!(stage.code(&["test", "test/one", "--job", "sheet", "--url", &url]), 0);
    let steps = stage.json(&["test", "test/one", "--job", "sheet", "--url", &url]);
    let steps: Vec<&str> =
        steps.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["token", "scopes", "read"]);
    let elsewhere = ["test", "test/one", "--job", "sheet", "--url", "https://example.com/"];
    assert_eq!(stage.code(&elsewhere), 2, "not a host that may see it");
    let text = JOBS.replace("{ api: test/one }", "{ api: { use: test/one, min_ttl: 5h } }");
    stage.write("jobs.d/all.yaml", &text);
    let output = stage.run(&["test", "test/one", "--job", "sheet"]);
    assert!(seen_of(&output).contains("the job wants 5h"), "{}", seen_of(&output));
    assert_eq!(output.status.code(), Some(1));
    stage.server.revoke_all();
    assert_eq!(stage.code(&["test", "test/one", "--job", "sheet", "--url", &url]), 4);
}

#[test]
fn logins_by_a_pasted_address_and_by_another_machine() {
    let stage = Stage::new();
    // A person who pastes what the browser shows at the end.
    let mut login = stage.command(&["login", "test/one", "--paste-url", "--account", "me"]);
    let mut login = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(login.stderr.take().unwrap());
    let address = line_with(&mut told, "/authorize");
    let back = redirected(address.trim());
    login.stdin.take().unwrap().write_all(format!("{back}\n").as_bytes()).unwrap();
    assert!(login.wait().unwrap().success(), "{}", rest(told));
    assert_eq!(stage.state(), "healthy");
    assert_eq!(stage.json(&["status", "test/one"])[0]["account"], "me");

    // Another machine with a browser.
    let mut login = stage.command(&["login", "test/one", "--remote"]);
    login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut login = login.spawn().unwrap();
    let mut printed = BufReader::new(login.stdout.take().unwrap());
    let request = line_with(&mut printed, "auth authorize");
    let request = request.trim().rsplit(' ').next().unwrap().to_owned();
    let mut other = stage.command(&["authorize", &request]);
    let mut other = other.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(other.stderr.take().unwrap());
    let address = line_with(&mut told, "/authorize?");
    assert_eq!(visit(&redirected(address.trim())).0, 200);
    let answer = rest(other.stdout.take().unwrap());
    assert!(other.wait().unwrap().success(), "{}", rest(told));
    assert!(!answer.contains("canary"), "sealed");
    login.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let told = rest(login.stderr.take().unwrap());
    assert!(login.wait().unwrap().success(), "{told}");
    assert_eq!(stage.state(), "healthy");
}

#[test]
fn a_login_by_the_browser_of_this_host() {
    let stage = Stage::new();
    let mut login = stage.command(&["login", "test/one"]);
    let mut login = login.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(login.stderr.take().unwrap());
    let address = line_with(&mut told, "/authorize?").trim().to_owned();
    let tunnel = line_with(&mut told, "ssh -L");
    let back = redirected(&address);
    let port = back.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap();
    assert!(tunnel.contains(&format!("-L {port}:127.0.0.1:{port}")), "{tunnel}");
    // Whoever guesses is sent away, and changes nothing.
    assert_eq!(visit(&format!("http://127.0.0.1:{port}/?code=x&state=y")).0, 404);
    assert_eq!(visit(&back).0, 200);
    assert!(login.wait().unwrap().success(), "{}", rest(told));
    assert_eq!(stage.state(), "healthy");
    let log = stage.json(&["log", "test/one"]);
    let events: Vec<&str> =
        log.as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["reauth-finish", "reauth-start"]);
}

#[test]
fn a_consent_of_another_account_changes_nothing() {
    let stage = Stage::new();
    let text = fs::read_to_string(stage.path("jada.yaml")).unwrap();
    stage.write(
        "jada.yaml",
        &text.replace("scopes: [a]", "scopes: [openid, a]\n      account: me@example.com"),
    );
    stage.server.account("other@example.com");
    let mut login = stage.command(&["login", "test/one", "--paste-url"]);
    let mut login = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(login.stderr.take().unwrap());
    let address = line_with(&mut told, "/authorize");
    let back = redirected(address.trim());
    login.stdin.take().unwrap().write_all(format!("{back}\n").as_bytes()).unwrap();
    let told = rest(told);
    assert_eq!(login.wait().unwrap().code(), Some(4), "{told}");
    assert!(told.contains("other@example.com consented, and me@example.com is expected"), "{told}");
    assert_eq!(stage.state(), "unknown");
}

#[test]
fn a_login_by_device_code() {
    let stage = Stage::new();
    let mut login = stage.command(&["login", "test/one", "--device"]);
    let mut login = login.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(login.stderr.take().unwrap());
    let line = line_with(&mut told, "type in");
    assert!(line.contains("USER-"), "{line}");
    stage.server.decide(Decision::Denied);
    assert_eq!(login.wait().unwrap().code(), Some(4), "{}", rest(told));
    assert_eq!(stage.state(), "unknown");
}

#[test]
fn declarations_are_written_where_they_belong() {
    let stage = Stage::new();
    let before = fs::read_to_string(stage.path("jada.yaml")).unwrap();
    let mut all = String::new();
    for args in [
        &["add", "test/one", "--provider", "env", "--variable", "TOKEN"][..],
        &[
            "add",
            "google/ops",
            "--provider",
            "google",
            "--client",
            "client.json",
            "--scopes",
            "spreadsheets",
            "--print",
        ],
        &[
            "add",
            "google/sync",
            "--provider",
            "google_service_account",
            "--key",
            "sa.json",
            "--scopes",
            "spreadsheets",
        ],
        &["add", "bad", "--provider", "static", "--variable", "TOKEN"],
        &["add", "bad", "--provider", "static", "--bearer", "hunter2hunter2"],
        &[
            "add",
            "aws",
            "--provider",
            "aws",
            "--access-key-id",
            "env:KEY",
            "--secret-access-key",
            "systemd:aws",
            "--region",
            "eu-west-1",
        ],
        &["list"],
    ] {
        all += &stage.seen(args);
        all += "\n";
    }
    let after = fs::read_to_string(stage.path("jada.yaml")).unwrap();
    let added = after.replacen(before.trim_start_matches("credentials:\n"), "  …\n", 1);
    insta::assert_snapshot!(format!("{all}\n{added}"));
}

#[test]
fn many_at_once_spend_each_generation_once() {
    let stage = Stage::new();
    stage.server.rotate(true);
    stage.import();
    let before = stage.server.exchanges();
    let many: Vec<_> =
        (0..8).map(|_| stage.command(&["refresh", "test/one"]).spawn().unwrap()).collect();
    for mut one in many {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(stage.server.exchanges(), before + 8, "each insisted, and none spent a spent one");
    assert_eq!(stage.state(), "healthy");
}

#[test]
fn what_is_sealed_needs_its_identity() {
    let stage = Stage::new();
    let text = fs::read_to_string(stage.path("jada.yaml")).unwrap();
    let seal = "  test/one:\n    seal: { age: { file: identity } }\n";
    stage.write("jada.yaml", &text.replace("  test/one:\n", seal));
    stage.write("identity", jada::credentials::seal::Identity::generate().expose());
    stage.import();
    let record = fs::read(stage.path("var/credentials/test+one.json")).unwrap();
    assert!(record.starts_with(b"age-encryption.org/v1"));
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
    let calls = stage.server.calls();
    fs::rename(stage.path("identity"), stage.path("away")).unwrap();
    let output = stage.run(&["refresh", "test/one"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("identity"), "{told}");
    assert_eq!(stage.server.calls(), calls, "nobody is asked");
    fs::rename(stage.path("away"), stage.path("identity")).unwrap();
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
}

/// A daemon on the stage, which ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_drill_reaches_people_and_blocks_jobs_until_a_refresh() {
    let stage = Stage::new();
    stage.write("key", "canary-key-0123456789");
    stage.import();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_jada-agent"));
    daemon.current_dir(stage.dir.path()).args(["--listen", "127.0.0.1:0"]);
    daemon.env_remove("NOTIFY_SOCKET").env_remove("JADA_LOG").stderr(Stdio::piped());
    let mut daemon = Daemon(daemon.spawn().unwrap());
    let mut log = BufReader::new(daemon.0.stderr.take().unwrap());
    line_with(&mut log, "is up");
    let ask = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jadactl"));
        command.args(["--connect-timeout", "20s"]).args(args).current_dir(stage.dir.path());
        command.env_remove("COLUMNS").output().unwrap()
    };
    let ran = ask(&["run", "sheet", "--wait"]);
    assert_eq!(ran.status.code(), Some(0), "{}", seen_of(&ran));
    let drill = stage.json(&["simulate", "test/one", "--fault", "invalid_grant"]);
    let incident = &drill["incident"];
    assert_eq!(incident["key"], "credential/test/one", "{drill}");
    assert_eq!(incident["affected"], json!(["sheet"]));
    assert_eq!(incident["fix"], "jadactl auth refresh test/one");
    let calls = stage.server.calls();
    let blocked = ask(&["run", "sheet", "--wait"]);
    let told = String::from_utf8_lossy(&blocked.stderr).into_owned();
    assert_eq!(blocked.status.code(), Some(1), "{told}");
    assert!(told.contains("blocked: credential test/one"), "{told}");
    assert!(told.contains("\nfix: jadactl auth refresh test/one\n"), "{told}");
    assert_eq!(stage.server.calls(), calls, "a dead credential is not asked for again");
    assert_eq!(stage.code(&["refresh", "test/one"]), 0);
    assert_eq!(stage.json(&["status", "test/one"])[0]["words"], "", "the drill is forgotten");
    // The daemon sees it by itself, in its own time.
    let over = (0..1000).any(|_| {
        let open = ask(&["incidents", "--json"]);
        let open: Json = serde_json::from_slice(&open.stdout).unwrap();
        open == json!([])
    });
    assert!(over, "the incident is over");
    assert_eq!(ask(&["run", "sheet", "--wait"]).status.code(), Some(0));
}

fn line_with(from: &mut impl std::io::BufRead, what: &str) -> String {
    let mut line = String::new();
    while !line.contains(what) {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "nothing with {what}");
    }
    line
}

fn rest(mut from: impl std::io::Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

/// Where the server sends the browser of a person who consents.
fn redirected(address: &str) -> String {
    visit(address).1.unwrap()
}
