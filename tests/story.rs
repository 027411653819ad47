//! The origin story with the real daemon: a grant dies behind a sync, is mended, and dies again a week later.
//! Somebody is told exactly once each time, nobody is asked for what is dead, and the doctor's screen says
//! what it is, that it is not the first time, and what mends it.
//!
//! Time is not bent: each outage is a real one. What the daemon remembers of the first one is then moved a
//! week into the past, in its store, while it does not run.

#![expect(clippy::unwrap_used, reason = "what surrounds a test fails it")]

mod fake;
#[path = "story/hook.rs"]
mod hook;
#[expect(dead_code, reason = "others look at more of the site")]
#[path = "night/site.rs"]
mod site;

use serde_json::{Value as Json, json};

use hook::Hook;
use site::Site;

/// The sync of the story and what hangs on the same grant. It is due each half hour; the test does not wait
/// for that, and runs it by hand in between.
const JOBS: &str = "\
name: port-sheet
schedule: { every: 30m }
catch_up: none
freshness: 2h
alert: { notify: ops }
credentials: { api: test/one }
health: { checks: [{ name: api, http: { url: 'URL', credential: api } }] }
---
name: report
alert: { notify: ops }
credentials: { api: { use: test/one, env: API_TOKEN } }
command: { run: 'test -n \"$API_TOKEN\"' }
";

/// A site whose notifier `ops` is the hook.
fn site(hook: &Hook, jobs: &str) -> Site {
    let site = Site::new("      rotates: true\n", jobs);
    let settings = site.text("jada.yaml");
    let others: Vec<&str> =
        settings.lines().filter(|line| !line.starts_with("notifiers:")).collect();
    let ours = format!(
        "notifiers: {{ ops: {{ webhook: {{ url: '{}' }} }} }}\nalerts: {{ group_wait: 1s }}\n{}\n",
        hook.url,
        others.join("\n")
    );
    site.put("jada.yaml", &ours);
    site.server.rotate(true);
    site.consent();
    site
}

/// Lets SQLite change what is remembered, while no daemon runs.
fn remember(site: &Site, sql: &str) {
    let db = rusqlite::Connection::open(site.path("var/jada.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

/// Moves what is remembered of the first death a week into the past: the incident, and what the record of the
/// credential knows.
fn a_week_passes(site: &Site) {
    let week = 7 * 24 * 3600 * 1000;
    let sql = format!(
        "UPDATE incident SET opened_at = opened_at - {week}, last_seen = last_seen - {week}, \
         resolved_at = resolved_at - {week};"
    );
    remember(site, &sql);
    let name = "var/credentials/test+one.json";
    let mut record: Json = serde_json::from_str(&site.text(name)).unwrap();
    let deaths = record["standing"]["deaths"].as_array_mut().unwrap();
    assert_eq!(deaths.len(), 1);
    let died: jiff::Timestamp = deaths[0].as_str().unwrap().parse().unwrap();
    deaths[0] = json!((died - std::time::Duration::from_millis(week)).to_string());
    site.put(name, &record.to_string());
}

fn events(told: &[Json]) -> Vec<String> {
    told.iter()
        .map(|one| format!("{} {}", one["key"].as_str().unwrap(), one["event"].as_str().unwrap()))
        .collect()
}

/// The grant dies; the first run that needs it finds out. Returns what the hook was told.
fn dies(site: &Site, hook: &Hook) -> Json {
    site.server.revoke_all();
    let calls = site.server.calls();
    let told = site.told(1, &["run", "port-sheet", "--wait"]);
    assert!(told.contains("jadactl auth login test/one"), "{told}");
    let asked = site.server.calls() - calls;
    assert!((1..=2).contains(&asked), "{asked} calls");
    site.until("somebody is told", || (!hook.told().is_empty()).then_some(()));
    let calls = site.server.calls();
    for job in ["port-sheet", "report", "port-sheet"] {
        site.told(1, &["run", job, "--wait"]);
    }
    assert_eq!(site.server.calls(), calls, "what is dead is not asked again");
    let told = hook.take();
    assert_eq!(events(&told), ["credential/test/one opened"], "exactly once");
    told.into_iter().next().unwrap()
}

fn is_mended(site: &Site, hook: &Hook) {
    site.consent();
    site.until("the recovery is told", || (!hook.told().is_empty()).then_some(()));
    site.told(0, &["run", "port-sheet", "--wait"]);
    site.told(0, &["run", "report", "--wait"]);
    assert_eq!(events(&hook.take()), ["credential/test/one resolved"], "once");
}

/// What the doctor says, as text of at most twelve lines a root and eighty columns, and as JSON.
fn doctor(site: &Site) -> (String, Json) {
    let text = site.told(2, &["doctor"]);
    for root in text.split("\n\n").filter(|block| block.starts_with("ROOT CAUSE")) {
        let rest = |line: &&str| !line.starts_with("WARNING") && !line.starts_with("OTHER");
        assert!(root.lines().take_while(rest).count() <= 12, "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let output = site.ctl(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    (text, serde_json::from_slice(&output.stdout).unwrap())
}

/// The cause has its name, with these others beside it.
fn names_the_cause(site: &Site, others: &[&str]) {
    let calls = site.server.calls();
    let (text, answer) = doctor(site);
    assert_eq!(site.server.calls(), calls, "the doctor asks nothing of what is dead");
    let mut blocks = text.split("\n\n");
    let block = blocks.find(|block| block.starts_with("ROOT CAUSE  credential test/one")).unwrap();
    assert!(block.lines().next().unwrap().ends_with("CONFIRMED"), "{text}");
    for part in [
        "2nd time, spacing 7.0 d",
        "invalid_grant",
        "hits    job port-sheet",
        "fix     jadactl auth login test/one",
        "avoid",
    ] {
        assert!(block.contains(part), "{part} is not in\n{text}");
    }
    let roots = answer["roots"].as_array().unwrap();
    let nodes: Vec<&str> = roots.iter().map(|root| root["node"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), others.len() + 1, "{answer:#}");
    assert!(others.iter().all(|other| nodes.contains(other)), "{nodes:?}");
    let root = roots.iter().find(|root| root["node"] == "credential/test/one").unwrap();
    for key in
        ["class", "confidence", "since", "recurrence", "evidence", "affected", "ruled_out", "fix"]
    {
        assert!(root.get(key).is_some(), "{key}: {answer:#}");
    }
}

#[test]
fn the_grant_dies_twice_a_week_apart() {
    let hook = Hook::start();
    let mut site = site(&hook, JOBS);
    site.start();
    site.told(0, &["run", "port-sheet", "--wait"]);
    let told = dies(&site, &hook);
    assert_eq!(told["root"], "credential/test/one");
    assert_eq!(told["fix"], "jadactl auth login test/one");
    assert_eq!(told["affected"], json!(["port-sheet", "report"]));
    is_mended(&site, &hook);
    site.kill();
    a_week_passes(&site);
    site.start();
    site.told(0, &["run", "port-sheet", "--wait"]);
    let told = dies(&site, &hook);
    assert_eq!(told["generation"], 1, "another incident, not the old one");
    site.kill();
    site.start();
    names_the_cause(&site, &[]);
    // The daemon that was killed had told it; the next one does not say it again.
    site.told(1, &["run", "report", "--wait"]);
    assert_eq!(events(&hook.take()), [""; 0]);
    site.kill();
    names_the_cause(&site, &["daemon"]);
    site.start();
    is_mended(&site, &hook);
}

const FLAKY: &str = "\
name: flaky
alert: { failures: 2, within: 1h, notify: ops }
command: { run: 'test ! -e broken' }
";

#[test]
fn exactly_the_second_failure_in_the_window_is_told() {
    let hook = Hook::start();
    let mut site = site(&hook, FLAKY);
    site.start();
    let run = |site: &Site, broken: bool| {
        if broken {
            site.put("broken", "");
        } else {
            let _gone = std::fs::remove_file(site.path("broken"));
        }
        site.told(i32::from(broken), &["run", "flaky", "--wait"]);
    };
    run(&site, true);
    assert_eq!(site.json(&["incidents"]), [json!(null); 0], "one is none");
    // A good run in between changes nothing, and neither does a kill.
    run(&site, false);
    site.kill();
    site.start();
    assert_eq!(site.json(&["incidents"]), [json!(null); 0]);
    run(&site, true);
    site.until("somebody is told", || (!hook.told().is_empty()).then_some(()));
    run(&site, true);
    let told = hook.take();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["event"], &told[0]["root"]), (&json!("opened"), &json!("job/flaky")));
    run(&site, false);
    site.until("the recovery is told", || (!hook.told().is_empty()).then_some(()));
    assert_eq!(hook.take()[0]["event"], "resolved");
}

#[test]
fn an_outage_that_nobody_could_be_told_of_is_told_as_one() {
    let hook = Hook::start();
    let mut site = site(&hook, JOBS);
    site.start();
    site.told(0, &["run", "port-sheet", "--wait"]);
    hook.is_up(false);
    site.server.revoke_all();
    site.told(1, &["run", "port-sheet", "--wait"]);
    site.until("it was tried", || (hook.refused() > 0).then_some(()));
    // The try is noted after it was made.
    let is_held = || site.json(&["incidents"])[0]["held"][0]["why"].as_str().map(drop);
    site.until("it says why it waits", is_held);
    assert!(site.told(0, &["status"]).contains("not out yet"));
    site.kill();
    site.consent();
    site.start();
    site.until("it is over", || site.json(&["incidents"]).is_empty().then_some(()));
    site.kill();
    hook.is_up(true);
    // The wait before the next try passes while the daemon is down.
    remember(&site, "UPDATE outbox SET next_at = 0;");
    site.start();
    site.until("somebody is told", || (!hook.told().is_empty()).then_some(()));
    site.told(0, &["run", "report", "--wait"]);
    let told = hook.take();
    assert_eq!(events(&told), ["credential/test/one resolved"], "{told:#?}");
}

const THREE: &str = "\
name: box
alert: { notify: ops }
health: { checks: [{ name: port, tcp: { address: '127.0.0.1:PORT' } }] }
---
name: room
alert: { notify: ops }
health: { checks: [{ name: notes, file_age: { path: notes }, warn: { size: '> 1KiB' } }] }
";

/// A job that asks the port, and says what it came to as curl does.
fn asking(name: &str) -> String {
    format!(
        "---\nname: {name}\nalert: {{ notify: ops }}\ncommand:\n  run: 'echo \"http://127.0.0.1:PORT/{name}: \
         connection refused\" >&2; exit 7'\n"
    )
}

/// The doctor's exit code and answer. What a busy host shows of itself is left out, and where it shows
/// something, the code is what it would be otherwise.
fn visit(site: &Site) -> (i32, Json) {
    let output = site.ctl(&["doctor", "--json"]);
    let mut code = output.status.code().unwrap();
    let mut answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    let mut busy = false;
    for list in ["roots", "warnings"] {
        let found = answer[list].as_array_mut().unwrap();
        let all = found.len();
        found.retain(|one| !one["node"].as_str().unwrap().starts_with("host/"));
        busy |= found.len() < all;
    }
    if busy {
        let some = |list: &str| !answer[list].as_array().unwrap().is_empty();
        let blind = !answer["blind"].as_array().unwrap().is_empty();
        code = match (some("roots"), blind, some("warnings")) {
            (true, ..) => 2,
            (false, true, _) => 3,
            (false, false, warns) => i32::from(warns),
        };
    }
    (code, answer)
}

#[test]
fn the_doctor_ends_with_a_code_for_each_state_of_the_box() {
    let hook = Hook::start();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let jobs = ["one", "two", "three"];
    let text = format!("{THREE}{}", jobs.map(asking).concat());
    let mut site = site(&hook, &text.replace("PORT", &port.to_string()));
    site.start();
    site.told(0, &["run", "box", "--wait"]);
    let (code, answer) = visit(&site);
    assert_eq!(code, 0, "{answer:#}");

    site.put("notes", "short");
    site.told(0, &["run", "room", "--wait"]);
    let (code, answer) = visit(&site);
    assert_eq!(code, 1, "{answer:#}");
    site.until("the warning is told", || (!hook.told().is_empty()).then_some(()));
    assert_eq!(events(&hook.take()), ["check/room/notes#threshold opened"]);

    drop(server);
    for job in ["box", "one", "two", "three"] {
        site.told(1, &["run", job, "--wait"]);
    }
    let nodes = |answer: &Json| -> Vec<String> {
        let roots = answer["roots"].as_array().unwrap();
        roots.iter().map(|root| root["node"].as_str().unwrap().to_owned()).collect()
    };
    let dead = |answer: &Json| {
        let roots = answer["roots"].as_array().unwrap();
        let root = roots.iter().find(|root| root["node"] == "site/127.0.0.1");
        let root = root.unwrap_or_else(|| panic!("{answer:#}"));
        assert_eq!(
            (&root["class"], &root["confidence"]),
            (&json!("net.refused"), &json!("confirmed"))
        );
        let fix = root["fix"].as_str().unwrap();
        assert_eq!(fix, format!("nc -vz -w5 127.0.0.1 {port}"));
        for job in jobs {
            assert!(root["affected"].as_array().unwrap().contains(&json!(format!("job/{job}"))));
        }
    };
    let (code, answer) = visit(&site);
    assert_eq!((code, nodes(&answer)), (2, vec!["site/127.0.0.1".to_owned()]), "{answer:#}");
    dead(&answer);
    doctor(&site);
    // One incident for all four.
    site.until("somebody is told", || (!hook.told().is_empty()).then_some(()));
    assert_eq!(events(&hook.take()), ["site/127.0.0.1#net.refused opened"]);

    site.kill();
    let (code, answer) = visit(&site);
    assert_eq!(code, 2);
    assert!(nodes(&answer).contains(&"daemon".to_owned()), "{answer:#}");
    dead(&answer);
    doctor(&site);

    site.start();
    for file in ["jada.db", "jada.db-wal", "jada.db-shm"] {
        let _not_there = std::fs::remove_file(site.path(&format!("var/{file}")));
    }
    let (code, answer) = visit(&site);
    assert_eq!(code, 3, "{answer:#}");
    assert_eq!(answer["verdict"], "unknown");
}
