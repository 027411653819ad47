//! Attempts that hold credentials: real programs, a real keeper, and a token server in this process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::credentials::declare::*;
use crate::credentials::exchange::Wire;
use crate::credentials::folder::Folder;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::credentials::redact::Redactor;
use crate::kinds::output::Outputs;
use crate::kinds::{AttemptContext, Kinds, Perform, Setting, Stop, StopReason, Work};
use crate::model::{
    Binding, Cause, Channel, CredentialName, Failure, JobName, NodeId, Outcome, RunId,
};
use crate::yaml::{self, Decoder, Source};

const CANARY: &str = "canary-token-0123456789";

/// A place for attempts that hold credentials.
pub(in crate::kinds) struct Bench {
    pub(in crate::kinds) dir: tempfile::TempDir,
    /// What they saw.
    pub(in crate::kinds) seen: crate::kinds::Seen,
    declared: BTreeMap<CredentialName, Arc<Declaration>>,
    bindings: Vec<Binding>,
}

impl Bench {
    pub(in crate::kinds) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seen = crate::kinds::Seen::default();
        Self { dir, seen, declared: BTreeMap::new(), bindings: Vec::new() }
    }

    pub(in crate::kinds) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(in crate::kinds) fn secret(&self, file: &str, text: &str) -> SecretPlace {
        let path = self.path(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        SecretPlace::File(path)
    }

    /// Declares a credential and binds it under the same name.
    pub(in crate::kinds) fn bind(
        &mut self,
        name: &str,
        provider: Provider,
        channel: Channel,
        hosts: &[&str],
    ) {
        let credential = CredentialName::parse(name).unwrap();
        let declaration = Declaration {
            name: credential.clone(),
            description: String::new(),
            provider,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            seal: None,
            revision: 1,
        };
        self.declared.insert(credential.clone(), Arc::new(declaration));
        self.bindings.push(Binding {
            name: name.into(),
            credential,
            scopes: Vec::new(),
            min_ttl: Duration::from_secs(60),
            channel,
        });
    }

    fn bearer(&mut self, name: &str, token: &str, channel: Channel, hosts: &[&str]) {
        let place = self.secret(&format!("{name}.token"), token);
        let secret = StaticSecret::Bearer(place);
        self.bind(name, Provider::Static(Static { secret, expires_on: None }), channel, hosts);
    }

    /// Performs a job's kind section; gives the outcome and what was kept of its output.
    pub(in crate::kinds) async fn run(&self, work: &str) -> (Outcome, String) {
        self.run_told(work, None).await
    }

    /// The same, where it is told to stop before it begins.
    async fn run_told(&self, work: &str, stop_for: Option<StopReason>) -> (Outcome, String) {
        let source = Source::new("job.yaml", work);
        let (documents, found) = yaml::parse(&source);
        assert!(found.is_empty(), "{found:?}");
        let mut cx = Decoder::new(&source);
        let entry = &documents[0].root.entries()[0];
        let decoded =
            <Work as yaml::decode::choice::OneOf>::decode_at(&entry.key, &entry.value, &mut cx);
        let work = decoded.unwrap_or_else(|| panic!("{:?}", cx.finish()));
        let redactor = Arc::new(Redactor::default());
        let clock = Arc::new(SystemClock);
        let world =
            World { wire: Wire::new(clock.clone()), clock, environment: Arc::new(|_| None) };
        let folder = Folder::at(self.dir.path());
        let declared = Arc::new(self.declared.clone());
        let keeper = Keeper::open(&declared, folder, Arc::new(world), redactor.clone()).await;
        let shutdown = CancellationToken::new();
        let _stops_with_this = shutdown.clone().drop_guard();
        tokio::spawn(keeper.clone().run(shutdown));
        let outputs = Outputs::screened(&self.path("data"), redactor);
        let setting = Setting {
            working_dir: self.dir.path().to_owned(),
            grace: Duration::from_secs(60),
            bindings: self.bindings.clone().into(),
            ..Setting::default()
        };
        let (pull, stop) = Stop::pair();
        pull.send_replace(stop_for);
        let attempt = AttemptContext {
            run: RunId(42),
            job: JobName::parse("job").unwrap(),
            no: 1,
            node: NodeId(7),
            cause: Cause::Manual("2026-03-01T02:15:00Z".parse().unwrap()),
            started_at: "2026-03-01T02:15:01Z".parse().unwrap(),
            work: Arc::new(work),
            setting: Arc::new(setting),
            output: outputs.open(RunId(42), 1, None),
            facts: crate::kinds::facts::Facts::default(),
            seen: self.seen.clone(),
            stop,
            clock: Arc::new(SystemClock),
        };
        let outcome = Kinds::new(&self.path("data"), Some(keeper)).perform(attempt).await;
        let mut reader = outputs.reader(RunId(42), 1);
        let mut text = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            text.extend(piece);
        }
        (outcome, String::from_utf8(text).unwrap())
    }
}

fn file(variable: &str) -> Channel {
    Channel::File(variable.into())
}

fn variable(variable: &str) -> Channel {
    Channel::Variable(variable.into())
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        Outcome::Succeeded { note } => panic!("it succeeded: {note}"),
    }
}

#[tokio::test]
async fn a_program_reads_its_token_from_a_private_file_that_is_gone_afterwards() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[]);
    let seen = bench.path("seen");
    let script = format!(
        "cat \"$API_TOKEN_FILE\" > {seen}; stat -c '%a' \"$API_TOKEN_FILE\" \"$(dirname \"$API_TOKEN_FILE\")\"; \
         echo \"$API_TOKEN_FILE\" > {seen}.path; cat \"$API_TOKEN_FILE\"; echo; env | grep -c canary; true",
        seen = seen.display()
    );
    let (outcome, output) = bench.run(&format!("command: {{ run: {script:?} }}")).await;
    assert!(outcome.is_success(), "{outcome:?} {output}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), CANARY);
    assert_eq!(output, "600\n700\n[redacted]\n0\n");
    let path = fs::read_to_string(bench.path("seen.path")).unwrap();
    assert!(path.contains("42-1/api"), "{path}");
    let path = PathBuf::from(path.trim());
    assert!(!path.exists() && !path.parent().unwrap().exists());
}

#[tokio::test]
async fn a_variable_holds_an_access_token_and_nothing_else() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, variable("API_TOKEN"), &[]);
    let (outcome, output) = bench
        .run("command: { run: 'test \"$API_TOKEN\" = canary-token-0123456789 && echo $API_TOKEN' }")
        .await;
    assert!(outcome.is_success(), "{outcome:?} {output}");
    assert_eq!(output, "[redacted]\n");
    let mut bench = Bench::new();
    let password = bench.secret("password", CANARY);
    let secret = StaticSecret::Basic { user: "jada".into(), password };
    let provider = Provider::Static(Static { secret, expires_on: None });
    bench.bind("mail", provider.clone(), variable("MAIL"), &[]);
    let failed = failure(bench.run("command: { run: [env] }").await.0);
    assert!(failed.message.contains("is no access token"), "{failed:?}");
    bench.bindings.clear();
    bench.bind("mail", provider, file("MAIL"), &[]);
    let (outcome, _) =
        bench.run("command: { run: 'test \"$(cat $MAIL)\" = jada:canary-token-0123456789' }").await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[tokio::test]
async fn aws_tools_find_the_form_that_they_read() {
    let mut bench = Bench::new();
    let keys = AwsKeys::Pair {
        access_key_id: bench.secret("id", "AKIDEXAMPLE"),
        secret_access_key: bench.secret("key", CANARY),
        session_token: None,
    };
    let aws = Aws { keys, region: None, service: None, expires_on: None };
    bench.bind("aws", Provider::Aws(aws), file("AWS_SHARED_CREDENTIALS_FILE"), &[]);
    let (outcome, output) =
        bench.run("command: { run: 'cat \"$AWS_SHARED_CREDENTIALS_FILE\"' }").await;
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!(
        output,
        "[default]\naws_access_key_id = [redacted]\naws_secret_access_key = [redacted]\n"
    );
}

#[tokio::test]
async fn a_credential_that_cannot_be_had_blocks_the_run_before_it_starts() {
    let mut bench = Bench::new();
    let place = SecretPlace::File(bench.path("nowhere"));
    let secret = StaticSecret::Bearer(place);
    let provider = Provider::Static(Static { secret, expires_on: None });
    bench.bind("api", provider, file("API_TOKEN_FILE"), &[]);
    let (outcome, output) = bench.run("command: { run: [echo, started] }").await;
    let failed = failure(outcome);
    assert_eq!(failed.blocked_by, CredentialName::parse("api").ok(), "{failed:?}");
    assert!(failed.message.contains("nowhere"), "{failed:?}");
    assert_eq!(output, "");
}

#[tokio::test]
async fn an_attempt_that_is_stopped_waits_for_no_token() {
    let mut bench = Bench::new();
    // Who gives it takes longer than any test may.
    let run = vec!["sleep".to_owned(), "1000".to_owned()];
    let exec = Exec { run, timeout: Duration::from_secs(600) };
    bench.bind("api", Provider::Exec(exec), file("API_TOKEN_FILE"), &[]);
    let told = bench.run_told("command: { run: [echo, started] }", Some(StopReason::Cancelled));
    let (outcome, output) = told.await;
    assert_eq!(failure(outcome).message, "it was stopped before it had its credentials");
    assert_eq!(output, "");
}

#[tokio::test]
async fn a_program_that_says_it_was_refused_runs_once_more_and_then_blames_the_credential() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[]);
    // The origin of it all: it prints an error, and exits 0.
    let script = "echo x >> tries; echo 'token error: HTTP Error 400: Bad Request' >&2; exit 0";
    let work = format!(
        "command: {{ run: {script:?}, auth_failure: {{ stderr_match: 'HTTP Error 40[01]' }} }}"
    );
    let (outcome, output) = bench.run(&work).await;
    let failed = failure(outcome);
    assert_eq!(fs::read_to_string(bench.path("tries")).unwrap(), "x\nx\n", "{output}");
    assert_eq!(failed.blocked_by, CredentialName::parse("api").ok(), "{failed:?}");
    assert!(failed.message.contains("token error: HTTP Error 400"), "{failed:?}");
    assert!(output.contains("jada: the credential was refused"), "{output}");
}

#[tokio::test]
async fn a_program_that_succeeds_with_the_newer_token_is_well() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[]);
    // The first run replaces the secret, as somebody might at that moment.
    let script = "if grep -q new \"$API_TOKEN_FILE\"; then exit 0; fi; printf new-canary-token > api.token; exit 77";
    let work = format!("command: {{ run: {script:?}, auth_failure: {{ exit_codes: [77] }} }}");
    let (outcome, output) = bench.run(&work).await;
    assert!(outcome.is_success(), "{outcome:?} {output}");
}

#[tokio::test]
async fn the_file_of_a_program_that_runs_on_is_replaced_with_its_token() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[]);
    bench.secret("next", "second-canary-token");
    // It waits for the file to change; whoever looks at it in between finds a whole token.
    let script = "cat \"$API_TOKEN_FILE\" > first; mv next api.token; \
                  until grep -q second \"$API_TOKEN_FILE\"; do grep -q canary \"$API_TOKEN_FILE\" || exit 9; done; \
                  cat \"$API_TOKEN_FILE\"";
    let (outcome, output) = bench.run(&format!("command: {{ run: {script:?} }}")).await;
    assert!(outcome.is_success(), "{outcome:?} {output}");
    assert_eq!(fs::read_to_string(bench.path("first")).unwrap(), CANARY);
    assert_eq!(output, "[redacted]");
}

#[tokio::test]
async fn the_daemons_own_secrets_are_never_handed_on() {
    let bench = Bench::new();
    let (outcome, _) = bench
        .run("command: { run: 'test -z \"$CREDENTIALS_DIRECTORY\"', inherit_env: [CREDENTIALS_DIRECTORY] }")
        .await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[test]
fn what_a_killed_daemon_left_goes_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let base = super::base(dir.path());
    let left = base.join("42-1");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("api"), CANARY).unwrap();
    // What an attempt got on its way lies beside its credentials.
    let beside = base.join("42-1.way-in");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("id"), CANARY).unwrap();
    fs::create_dir_all(base.join("somebody-else")).unwrap();
    super::sweep(dir.path()).unwrap();
    assert!(!left.exists() && !beside.exists() && base.join("somebody-else").exists());
    fs::remove_dir_all(base.join("somebody-else")).unwrap();
    let nowhere = dir.path().join("nowhere");
    super::sweep(&nowhere).unwrap();
}

/// A server that remembers what it was asked, and sends `/away` to another one.
struct Site {
    address: String,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
    task: tokio::task::AbortHandle,
}

impl Site {
    async fn start(answer: fn(&str) -> String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let answer = answer(&request);
                seen.lock().unwrap().push(request);
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, asked, task: task.abort_handle() }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Says yes to the canary, and sends `/away/HOST` to that host.
fn guarded(request: &str) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    if let Some(host) = path.strip_prefix("/away/") {
        return reply("302 Found", &format!("location: http://{host}/there\r\n"), "");
    }
    if path == "/loop" {
        return reply("302 Found", "location: /loop\r\n", "");
    }
    let authorized = request.contains(CANARY);
    if authorized {
        reply("200 OK", "", &format!("you are {CANARY}"))
    } else {
        reply("401 No", "", "")
    }
}

fn open(_: &str) -> String {
    reply("200 OK", "", "")
}

#[tokio::test]
async fn a_check_shows_its_credential_to_the_hosts_that_may_see_it() {
    let (site, other) = (Site::start(guarded).await, Site::start(open).await);
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[&site.address]);
    let check = |url: &str, expect: &str| {
        format!(
            "health: {{ checks: [{{ name: site, http: {{ url: '{url}', credential: api }}{expect} }}] }}"
        )
    };
    let here = format!("http://{}/me", site.address);
    let (outcome, _) = bench.run(&check(&here, "")).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let asked = site.asked();
    assert!(
        asked[0].to_lowercase().contains(&format!("authorization: bearer {CANARY}")),
        "{asked:?}"
    );
    // What a server sends back is not repeated.
    let (outcome, output) = bench.run(&check(&here, ", expect: { body: nothing }")).await;
    let failed = failure(outcome);
    assert!(failed.message.contains("you are [redacted]"), "{failed:?}");
    assert!(!output.contains(CANARY), "{output}");
    site.asked();
    // A host that is not named sees nothing, not even a request.
    let (outcome, _) = bench.run(&check(&format!("http://{}/", other.address), "")).await;
    assert!(failure(outcome).message.contains("may not see the credential api"));
    assert_eq!(other.asked(), Vec::<String>::new());
    // A host that one of the named ones points to sees the request and no credential.
    let away = format!("http://{}/away/{}", site.address, other.address);
    let (outcome, _) = bench.run(&check(&away, "")).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let (asked, there) = (site.asked(), other.asked());
    assert!(asked[0].contains(CANARY), "{asked:?}");
    assert_eq!(there.len(), 1);
    assert!(
        !there[0].contains("canary") && !there[0].to_lowercase().contains("authorization"),
        "{there:?}"
    );
    // Within the host it goes along.
    let within = format!("http://{}/away/{}", site.address, site.address);
    let (outcome, _) = bench.run(&check(&within, "")).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let (outcome, _) = bench.run(&check(&format!("http://{}/loop", site.address), "")).await;
    assert!(failure(outcome).message.contains("more than 5 redirects"));
}

#[tokio::test]
async fn a_header_of_its_own_stays_with_its_host_too() {
    let (site, other) = (Site::start(guarded).await, Site::start(open).await);
    let mut bench = Bench::new();
    let key = bench.secret("key", CANARY);
    let secret = StaticSecret::Header { name: "X-Api-Key".into(), key };
    let provider = Provider::Static(Static { secret, expires_on: None });
    bench.bind("api", provider, file("API"), &["127.0.0.1"]);
    let away = format!("http://{}/away/{}", site.address, other.address);
    let work = format!(
        "health: {{ checks: [{{ name: site, http: {{ url: '{away}', credential: api }} }}] }}"
    );
    let (outcome, _) = bench.run(&work).await;
    assert!(outcome.is_success(), "{outcome:?}");
    // Even where the other one may see it: nobody asked for that.
    let there = other.asked();
    assert!(site.asked()[0].contains(CANARY) && !there[0].contains("canary"), "{there:?}");
}

#[tokio::test]
async fn a_check_whose_credential_is_refused_asks_once_more_and_blocks_the_run() {
    let site = Site::start(guarded).await;
    let mut bench = Bench::new();
    bench.bearer("api", "another-canary", file("API_TOKEN_FILE"), &["127.0.0.1"]);
    let work = format!(
        "health: {{ checks: [{{ name: site, http: {{ url: 'http://{}/me', credential: api }} }}] }}",
        site.address
    );
    let failed = failure(bench.run(&work).await.0);
    assert_eq!(site.asked().len(), 2);
    assert_eq!(failed.blocked_by, CredentialName::parse("api").ok(), "{failed:?}");
}

#[tokio::test]
async fn a_check_reads_the_standing_of_a_credential() {
    let mut bench = Bench::new();
    bench.bearer("api", CANARY, file("API_TOKEN_FILE"), &[]);
    let work =
        "health: { checks: [{ name: known, credential: api }, { name: gone, credential: other }] }";
    let (outcome, output) = bench.run(work).await;
    assert!(output.contains("ok       known  unknown"), "{output}");
    assert!(failure(outcome).message.contains("gone: the daemon knows nothing of it yet"));
}
