//! The night that this project comes from, with the real daemon: a grant dies behind jobs that run well.
//!
//! What the parts do is proved beside them. Here are the promises as somebody sees them who was asleep: how
//! often the server was asked, what became of each slot, how many incidents there are, and what mends it.

#![expect(clippy::unwrap_used, reason = "what surrounds a test fails it")]

mod fake;
#[path = "night/sheet.rs"]
mod sheet;
#[expect(dead_code, reason = "others look at more of the stand-in")]
mod sheets;
#[path = "night/site.rs"]
mod site;
#[path = "night/stale.rs"]
mod stale;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jada::clock::{Clock as _, SystemClock};
use serde_json::{Value as Json, json};

use fake::visit;
use site::{KEY, Site};

/// Two jobs that act as one: the daemon shows the token for the first, the second has it in a variable.
const PAIR: &str = "\
name: sheet
schedule: { every: 1s }
catch_up: { mode: all, window: 1h, max: 2 }
alert: { notify: ops }
credentials: { api: test/one }
health: { checks: [{ name: api, http: { url: 'URL', credential: api } }] }
---
name: report
schedule: { every: 1s }
catch_up: { mode: latest, window: 1h }
credentials: { api: { use: test/one, env: API_TOKEN } }
command: { run: 'test -n \"$API_TOKEN\"' }
";

const ROTATES: &str = "      rotates: true\n";

/// The moment of the newest slot that both jobs have a row of.
fn newest(site: &Site) -> String {
    site.slots("sheet").last().unwrap().at.clone()
}

fn has_keys(item: &Json, keys: &str) {
    let item = item.as_object().unwrap();
    let missing: Vec<_> = keys.split(',').filter(|key| !item.contains_key(*key)).collect();
    assert!(missing.is_empty(), "{missing:?} of {item:?}");
}

/// The one incident there is, and what it must say.
fn the_incident(site: &Site) -> Json {
    let mut open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    let incident = open.remove(0);
    has_keys(&incident, "id,key,state,severity,class,root,title,since,count,affected,fix");
    assert_eq!(incident["key"], "credential/test/one");
    assert_eq!(incident["class"], "reauth-required");
    assert_eq!(incident["affected"], json!(["report", "sheet"]));
    assert_eq!(incident["fix"], "jadactl auth login test/one");
    incident
}

fn mend_and_recover(site: &Site) {
    let before = [site.slots("sheet"), site.slots("report")];
    site.consent();
    let mended = format!("{}Z", &SystemClock.now().to_string()[..19]);
    let now = newest(site);
    for (job, before, most) in [("sheet", &before[0], 2), ("report", &before[1], 1)] {
        site.until_slots(job, &now, "ran", 2);
        let after = site.slots(job);
        let blocked = before.iter().filter(|slot| slot.state == "blocked");
        let became = |at: &str| after.iter().find(|slot| slot.at == at).unwrap().state.clone();
        let states: Vec<String> = blocked.map(|slot| became(&slot.at)).collect();
        let released = states.iter().filter(|state| *state == "ran").count();
        assert!(released <= most, "{job}: {states:?}");
        assert!(
            states[..states.len() - released].iter().all(|state| state == "blocked"),
            "{states:?}"
        );
        // Those that came due between the look and the mend may have been released instead.
        let last = before.last().unwrap();
        let between = after.iter().filter(|slot| last.at < slot.at && slot.at <= mended).count();
        assert!(released + between >= most, "{job}: {states:?}, and {between} more");
    }
    assert_eq!(site.json(&["incidents"]), [json!(null); 0]);
    let told = |event: &str| ("ops".to_owned(), "credential/test/one".to_owned(), event.to_owned());
    assert_eq!(site.outbox(), [told("opened"), told("resolved")]);
    assert_eq!(site.status("test/one")["state"], "healthy");
}

/// The story once; `killed` between the revocation and the mend.
fn origin(killed: bool) {
    let mut site = Site::new(ROTATES, PAIR);
    site.server.rotate(true);
    site.consent();
    site.start();
    site.until_slots("sheet", "", "ran", 2);
    site.until_slots("report", "", "ran", 2);
    let (good, calls) = (newest(&site), site.server.calls());
    site.server.revoke_all();
    for job in ["sheet", "report"] {
        for slot in site.until_slots(job, &good, "blocked", 2) {
            // The one that found out names it too.
            assert!(slot.reason.contains("test/one"), "{slot:?}");
            assert!(slot.reason.ends_with("fix: jadactl auth login test/one"), "{slot:?}");
        }
    }
    let spent = site.server.calls() - calls;
    assert!((1..=2).contains(&spent), "{spent} calls");
    if killed {
        site.kill();
        site.start();
    }
    let calls = site.server.calls();
    let since = newest(&site);
    for job in ["sheet", "report"] {
        for slot in site.until_slots(job, &since, "blocked", 2) {
            assert!(slot.reason.contains("credential test/one"), "{slot:?}");
            assert!(slot.reason.contains("jadactl auth login test/one"), "{slot:?}");
        }
    }
    assert_eq!(site.server.calls(), calls, "what is dead is not asked again");
    the_incident(&site);
    let status = site.status("test/one");
    has_keys(&status, "name,provider,account,state,class,error,scopes,last_refresh,horizon,jobs");
    assert_eq!(status["state"], "reauth-required");
    assert_eq!(status["error"], "invalid_grant");
    assert_eq!(status["jobs"], json!(["report", "sheet"]));
    mend_and_recover(&site);
}

#[test]
fn a_revoked_grant_blocks_its_jobs_and_a_new_one_lets_them_go() {
    origin(false);
}

#[test]
fn a_revoked_grant_stays_known_over_a_kill() {
    origin(true);
}

/// Where refreshing spends nothing, a refusal is confirmed once, 30 to 60 s later: here that time passes
/// while the daemon is down, which is what its record says then.
#[test]
fn a_refusal_is_confirmed_once_and_then_believed() {
    let mut site = Site::new("      rotates: false\n", PAIR);
    site.consent();
    site.start();
    site.until_slots("sheet", "", "ran", 1);
    let (good, calls) = (newest(&site), site.server.calls());
    site.server.revoke_all();
    site.until_slots("sheet", &good, "blocked", 2);
    site.until_slots("report", &good, "blocked", 2);
    assert_eq!(site.server.calls(), calls + 1, "the refusal, until it is time to confirm it");
    assert_eq!(site.status("test/one")["state"], "refresh-failing");
    site.kill();
    let name = "var/credentials/test+one.json";
    let mut record: Json = serde_json::from_str(&site.text(name)).unwrap();
    record["standing"]["next_try"] = json!("2020-01-01T00:00:00Z");
    site.put(name, &record.to_string());
    site.start();
    site.until_state("test/one", "reauth-required");
    assert_eq!(site.server.calls(), calls + 2, "confirmed");
    let since = newest(&site);
    site.until_slots("sheet", &since, "blocked", 2);
    site.until_slots("report", &since, "blocked", 1);
    assert_eq!(site.server.calls(), calls + 2, "and believed");
    the_incident(&site);
    mend_and_recover(&site);
}

/// The script that started it all. It fetches its own way, prints an error, and exits 0.
const SCRIPT: &str = "\
name: sync
alert: { notify: ops }
credentials: { api: test/one }
command:
  run: |
    echo x >> tries
    ! test -e broken || echo 'token error: HTTP Error 400'
  auth_failure: { stdout_match: 'HTTP Error 40[01]' }
---
name: other
credentials: { api: test/one }
command: { run: 'test -s \"$API_TOKEN_FILE\"' }
";

#[test]
fn the_script_that_prints_an_error_and_exits_0_is_seen() {
    let mut site = Site::new(ROTATES, SCRIPT);
    site.server.rotate(true);
    site.consent();
    site.start();
    site.told(0, &["run", "sync", "--wait"]);
    assert_eq!(site.text("tries"), "x\n");
    // The grant is dead, and the script says so in its way.
    site.put("broken", "");
    site.server.revoke_all();
    let calls = site.server.calls();
    let told = site.told(1, &["run", "sync", "--wait"]);
    assert!(told.contains("blocked") && told.contains("jadactl auth login test/one"), "{told}");
    assert_eq!(site.text("tries"), "x\nx\n", "no second run without a fresh token");
    assert_eq!(site.server.calls(), calls + 1);
    let told = site.told(1, &["run", "other", "--wait"]);
    assert!(told.contains("blocked"), "{told}");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["key"], "credential/test/one");
    site.consent();
    site.until("it works again", || site.json(&["incidents"]).is_empty().then_some(()));
    // The credential works, and the script says all the same that it is refused.
    site.put("tries", "");
    let calls = site.server.calls();
    for (tries, exchanges) in [("x\nx\n", 1), ("x\nx\nx\n", 1)] {
        let told = site.told(1, &["run", "sync", "--wait"]);
        assert_eq!(site.text("tries"), tries, "once more, with a fresh token");
        assert_eq!(site.server.calls(), calls + exchanges, "refreshed once");
        assert!(told.contains("unauthorized") && told.contains("HTTP Error 400"), "{told}");
        assert!(told.contains("test/one was refreshed"), "{told}");
    }
    assert_eq!(site.status("test/one")["state"], "healthy");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!((&open[0]["root"], &open[0]["class"]), (&json!("job/sync"), &json!("unauthorized")));
    site.told(0, &["run", "other", "--wait"]);
}

const KEYED: &str = "\
name: keyed
credentials: { api: { use: key/two, env: API_TOKEN } }
command: { run: 'printf %s \"$API_TOKEN\" > got' }
---
name: often
schedule: { every: 1s }
credentials: { api: key/two }
command: { run: 'cat \"$API_TOKEN_FILE\" > often-got' }
";

#[test]
fn a_replaced_key_is_used_by_the_next_attempt_and_a_bad_file_is_told() {
    let mut site = Site::new("", KEYED);
    site.consent();
    site.start();
    for turn in 0..5 {
        let key = format!("{KEY}-{turn}");
        site.put("key", &key);
        site.told(0, &["run", "keyed", "--wait"]);
        assert_eq!(site.text("got"), key);
    }
    site.until_slots("often", "", "ran", 1);
    let mode = |mode: u32| {
        fs::set_permissions(site.path("key"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o602);
    site.until_state("key/two", "misconfigured");
    let since = site.slots("often").last().unwrap().at.clone();
    let blocked = site.until_slots("often", &since, "blocked", 1);
    assert!(blocked[0].reason.contains("credential key/two"), "{blocked:?}");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["key"], "credential/key/two");
    assert_eq!(open[0]["class"], "local-store");
    assert!(open[0]["detail"].as_str().unwrap().contains("chmod o-w"), "{open:?}");
    let told = site.told(1, &["run", "keyed", "--wait"]);
    assert!(told.contains("blocked"), "{told}");
    mode(0o600);
    site.until_slots("often", &blocked[0].at, "ran", 1);
    site.told(0, &["run", "keyed", "--wait"]);
    assert_eq!(site.json(&["incidents"]), [json!(null); 0]);
    // Only root can give a file away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(site.path("key"), Some(65534), None).unwrap();
        site.until_state("key/two", "misconfigured");
        let open = site.until("an incident", || site.json(&["incidents"]).pop());
        assert!(open["detail"].as_str().unwrap().contains("chown"), "{open:?}");
        std::os::unix::fs::chown(site.path("key"), Some(0), None).unwrap();
        site.until_state("key/two", "healthy");
    }
}

#[test]
fn a_held_credential_blocks_and_tells_why() {
    let mut site = Site::new("", PAIR);
    site.consent();
    site.start();
    site.until_slots("report", "", "ran", 1);
    site.told(0, &["auth", "pause", "test/one"]);
    let told = site.until("a manual run is blocked", || {
        let output = site.ctl(&["run", "report", "--wait"]);
        (output.status.code() == Some(1)).then(|| String::from_utf8(output.stderr).unwrap())
    });
    assert!(told.contains("blocked: credential test/one: it is paused"), "{told}");
    assert!(told.contains("fix: jadactl auth resume test/one"), "{told}");
    let since = newest(&site);
    let blocked = site.until_slots("report", &since, "blocked", 1);
    assert!(blocked[0].reason.contains("it is paused"), "{blocked:?}");
    let jobs = site.json(&["jobs"]);
    let report = jobs.iter().find(|job| job["job"] == "report").expect("listed");
    assert_eq!(report["state"], "blocked");
    assert!(report["reason"].as_str().unwrap().contains("it is paused"), "{report}");
    assert_eq!(site.json(&["incidents"]), [json!(null); 0], "whoever did it knows");
    let calls = site.server.calls();
    site.told(0, &["auth", "resume", "test/one"]);
    site.until_slots("report", &blocked[0].at, "ran", 2);
    site.until_slots("sheet", &blocked[0].at, "ran", 2);
    assert!(site.server.calls() <= calls + 1);
    site.told(0, &["run", "report", "--wait"]);
    let help = site.told(0, &["run", "--help"]);
    assert!(help.contains("blocked"), "{help}");
}

/// What programs see, and how they try to show it.
const LEAKS: &str = "\
name: leak
credentials:
  api: test/one
  var: { use: test/one, env: API_TOKEN }
  key: { use: key/two, env: API_KEY }
command:
  run: |
    env > seen
    ls -l \"$(dirname \"$API_TOKEN_FILE\")\" > listed
    pieces() { printf %s \"$1\" | fold -w 1 | while IFS= read -r c || test -n \"$c\"; do printf %s \"$c\"; done; echo; }
    pieces \"$API_TOKEN\"; pieces \"$API_KEY\" >&2
    base64 < \"$API_TOKEN_FILE\"; printf 'x%s' \"$API_TOKEN\" | base64; printf 'xy%s' \"$API_KEY\" | base64 -w 0; echo
    printf '\"%s\"\\n' \"$API_TOKEN\"
    printf %s \"$API_KEY\" | sed 's,/,%2F,g; s/+/%2B/g; s/=/%3D/g; s/ /%20/g'; echo
    printf %s \"$API_KEY\" | sed 's,/,%2f,g; s/+/%2b/g; s/=/%3d/g; s/ /+/g'; echo
    echo \"it failed with $API_TOKEN and $API_KEY\" >&2
    exit 3
---
name: ask
credentials: { api: test/one }
health: { checks: [{ name: api, http: { url: 'URL', credential: api } }] }
";

#[test]
fn no_secret_is_anywhere_but_where_it_belongs() {
    let mut site = Site::new("", LEAKS);
    site.consent();
    let private = site.path("private");
    fs::create_dir(&private).unwrap();
    site.start_with(&[("CREDENTIALS_DIRECTORY", private.display().to_string())]);
    site.told(1, &["run", "leak", "--wait"]);
    site.told(0, &["run", "ask", "--wait"]);
    what_the_job_saw(&site);
    // Then with a dead grant, whose trouble is told in many places.
    site.server.revoke_all();
    site.told(1, &["run", "ask", "--wait"]);
    let mut shown = answers(&site);
    site.kill();
    let [daemon, said] = site.said();
    assert!(daemon.contains("DEBUG"), "it says much");
    shown.extend([("the daemon".to_owned(), daemon), ("jadactl".to_owned(), said)]);
    let mut files = Vec::new();
    below(&site.path("var"), &mut files);
    below(&site.path("runtime"), &mut files);
    files.retain(|path| !path.starts_with(site.path("var/credentials")));
    // What is done with credentials is written down without them.
    files.push(site.path("var/credentials/audit.jsonl"));
    for path in files {
        let bytes = fs::read(&path).unwrap();
        shown.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    let is_output =
        |from: &str, text: &str| from.contains("output/") && text.contains("[redacted]");
    assert!(shown.iter().any(|(from, text)| is_output(from, text)), "the job did show them");
    // The word that all have, and the end of one that has signs which encodings change.
    for form in [forms("canary"), forms(&KEY[8..]), forms("7f%2B3a%3D91")].concat() {
        for (from, text) in &shown {
            let at = text.find(&form).map(|at| {
                let around = &text.as_bytes()[at.saturating_sub(120)..text.len().min(at + 120)];
                String::from_utf8_lossy(around).into_owned()
            });
            assert_eq!(at, None, "{form} in {from}");
        }
    }
}

/// A token of either kind, and nothing that makes tokens; gone with the attempt.
fn what_the_job_saw(site: &Site) {
    let env = site.text("seen");
    assert!(!env.contains("CREDENTIALS_DIRECTORY"), "{env}");
    assert!(!env.contains("canary-refresh") && !env.contains("canary-client"), "{env}");
    let of = |name: &str| env.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!(site.server.takes(of("API_TOKEN=")), "an access token");
    assert_eq!(of("API_KEY="), KEY);
    let folder = Path::new(of("API_TOKEN_FILE=")).parent().unwrap();
    assert!(folder.starts_with(site.path("runtime")) && !folder.exists(), "{env}");
    fs::remove_file(site.path("seen")).unwrap();
}

/// What the daemon answers, with where it was asked for. What jadactl gets is kept by the site.
fn answers(site: &Site) -> Vec<(String, String)> {
    for verb in [
        "jobs",
        "slots",
        "runs",
        "incidents",
        "status",
        "explain leak",
        "explain ask",
        "explain 1",
        "logs 1",
        "logs 2",
        "auth list",
        "auth status",
        "auth log test/one",
        "auth log key/two",
        "validate",
    ] {
        let args: Vec<&str> = verb.split(' ').collect();
        site.ctl(&args);
        site.ctl(&[&args[..], &["--json"]].concat());
    }
    let page = |path: &str| {
        let (status, _, body) = visit(&format!("{}{path}", site.page));
        assert_eq!(status, 200, "{path}: {body}");
        (path.to_owned(), body)
    };
    let all = "api/status api/jobs api/jobs/leak api/slots api/runs api/runs/1 api/runs/3 \
               api/incidents api/explain/job/leak api/explain/run/1 api/explain/run/3";
    [""].into_iter().chain(all.split_whitespace()).map(page).collect()
}

/// A text as it is, and in base64 at each of the three places where it can begin.
fn forms(secret: &str) -> Vec<String> {
    let packed = |skip: usize| {
        let text = format!("{}{secret}", "-".repeat(skip));
        // Only what does not depend on what comes before and after.
        let whole = &STANDARD.encode(&text)[(skip * 8).div_ceil(6)..];
        whole[..(secret.len() * 8 - (6 - skip * 8 % 6) % 6) / 6].to_owned()
    };
    let mut forms =
        vec![secret.to_owned(), URL_SAFE_NO_PAD.encode(secret)[..secret.len()].to_owned()];
    forms.extend((0..3).map(packed));
    forms
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => below(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

const LONG: &str = "\
name: long
credentials: { api: test/one }
command:
  run: |
    echo \"$API_TOKEN_FILE\" > where
    trap '' TERM
    while :; do cat \"$API_TOKEN_FILE\" > now.new && mv now.new now; sleep 0.1; done
";

#[test]
fn a_run_that_goes_on_gets_fresh_tokens_and_leaves_none_behind() {
    let mut site = Site::new("", LONG);
    site.consent();
    site.start();
    site.told(0, &["run", "long"]);
    let first =
        site.until("a first token", || Some(site.text("now")).filter(|now| !now.is_empty()));
    site.told(0, &["auth", "refresh", "test/one"]);
    let second = site.until("a second token", || {
        Some(site.text("now")).filter(|now| !now.is_empty() && *now != first)
    });
    assert!(site.server.takes(&second));
    let file = PathBuf::from(site.text("where").trim());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let folder = file.parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    site.kill();
    assert!(file.exists());
    site.start();
    assert!(!folder.exists(), "taken back");
    site.told(0, &["run", "long"]);
    let again = site.until("it runs again", || {
        let file = PathBuf::from(site.text("where").trim());
        (file.exists()).then_some(file)
    });
    let run = site.json(&["runs", "--job", "long", "--limit", "1"])[0]["id"].to_string();
    site.told(0, &["cancel", &run]);
    site.until("its folder goes", || (!again.parent().unwrap().exists()).then_some(()));
}

#[test]
fn arguments_can_not_have_a_token() {
    for run in
        ["[echo, '{{ credentials.api }}']", "[echo, '{{ credential.api }}']", "[echo, '{{ api }}']"]
    {
        let job =
            format!("name: argv\ncredentials: {{ api: test/one }}\ncommand: {{ run: {run} }}\n");
        let site = Site::new("", &job);
        let told = site.told(1, &["validate"]);
        assert!(told.contains("J061") || told.contains("J051"), "{told}");
    }
}
