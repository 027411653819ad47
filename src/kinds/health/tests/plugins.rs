//! The plugins of monitoring-plugins, as they are: each one a little different.
//!
//! `JADA_TEST_PLUGINS` says where they are, by default where Debian has them; `required` fails without them.

use std::path::PathBuf;

use super::Bench;

/// Where Debian has them.
const DEBIAN: &str = "/usr/lib/nagios/plugins";

fn plugins() -> Option<PathBuf> {
    let told = std::env::var("JADA_TEST_PLUGINS").ok();
    let is_required = told.as_deref() == Some("required");
    let folder = PathBuf::from(told.filter(|_| !is_required).unwrap_or_else(|| DEBIAN.to_owned()));
    if folder.join("check_tcp").exists() {
        return Some(folder);
    }
    assert!(!is_required, "there is no check_tcp in {DEBIAN}");
    eprintln!("monitoring-plugins is not installed: this test is left out");
    None
}

#[tokio::test]
async fn real_plugins_are_understood() {
    let Some(folder) = plugins() else { return };
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (plugin, rest, line, look) in [
        // No label and no performance data where nobody listens.
        (
            format!("check_tcp -H 127.0.0.1 -p {free}"),
            "",
            "fail connect to address 127.0.0.1 and port",
            "fail net.refused",
        ),
        (
            format!("check_tcp -H 127.0.0.1 -p {open}"),
            ", expect: { time: '< 5s' }",
            "ok TCP OK",
            "ok -",
        ),
        (
            format!("check_tcp -H 127.0.0.1 -p {open}"),
            ", warn: { time: '> 5s' }",
            "warn TCP OK",
            "warn threshold",
        ),
        // An end with `;`, blanks behind it, and several values.
        (
            "check_load -w 9000,9000,9000 -c 9000,9000,9000".to_owned(),
            ", expect: { load1: '< 9000', load15: '>= 0' }",
            "ok ",
            "ok -",
        ),
        // A label that is a path, and a size.
        ("check_disk -w 0% -c 0% -p /".to_owned(), ", expect: { /: '> 1B' }", "ok DISK OK", "ok -"),
        // Empty fields.
        ("check_procs -c 1:".to_owned(), ", expect: { procs: '>= 1' }", "ok PROCS OK", "ok -"),
        (
            "check_users -w 900 -c 900".to_owned(),
            ", expect: { users: '< 900' }",
            "ok USERS OK",
            "ok -",
        ),
        ("check_dummy 1 slow".to_owned(), "", "warn WARNING: slow", "warn threshold"),
        ("check_dummy 2".to_owned(), "", "fail CRITICAL", "fail threshold"),
        ("check_dummy 3 huh".to_owned(), "", "unknown UNKNOWN: huh", "unknown unknown"),
        // What it does not report is not known, and no verdict.
        ("check_dummy 0".to_owned(), ", expect: { time: '< 1s' }", "unknown OK", "unknown unknown"),
        // Usage on an option that makes no sense.
        ("check_tcp -H 127.0.0.1 -p 1 -t 0".to_owned(), "", "unknown check_tcp: ", "unknown "),
    ] {
        let (name, arguments) = plugin.split_once(' ').unwrap();
        let run = format!("{} {arguments}", folder.join(name).display());
        let check = format!("command: {{ run: '{run}' }}{rest}");
        let told = bench.line(&check).await;
        assert!(told.starts_with(line), "{plugin}{rest}: {told}");
        let told = bench.look(&check).await;
        assert!(told.starts_with(&format!("check/pulse/it {look}")), "{plugin}{rest}: {told}");
    }
}

#[tokio::test]
async fn one_that_waits_for_ever_is_not_known() {
    let Some(folder) = plugins() else { return };
    let (bench, listener) = (Bench::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    // It waits for a word that never comes.
    let run = format!("{}/check_tcp -H 127.0.0.1 -p {port} -e hello -t 60", folder.display());
    let look = bench.look(&format!("command: {{ run: '{run}' }}, timeout: 300ms")).await;
    assert_eq!(look, "check/pulse/it unknown exec.timeout");
}
