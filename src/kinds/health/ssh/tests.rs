//! The client's arguments, and what its failures mean.

use super::super::tests::Bench;
use super::*;

#[test]
fn the_client_is_asked_to_be_strict_and_quiet() {
    let login = Login {
        host: "db.example.com".to_owned(),
        user: Some("ops".to_owned()),
        port: Some(2222),
        identity: Some("/keys/my key".into()),
        certificate: None,
        known_hosts: Some("/keys/hosts".into()),
        way_in: None,
    };
    let words = argv(&login, Duration::from_secs(10), "check_disk -w 10%");
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    insta::assert_snapshot!(words.join(" "), @r#"ssh -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=2 -o ForwardAgent=no -o ControlMaster=no -o LogLevel=ERROR -o IdentityFile="/keys/my key" -o UserKnownHostsFile="/keys/hosts" -o IdentitiesOnly=yes -o GlobalKnownHostsFile=none -l ops -p 2222 -- db.example.com check_disk -w 10%"#);
    for bad in ["", "-oProxyCommand=x", "a b", "a;b", "user@host"] {
        assert!(host_problem(bad).is_some(), "{bad}");
    }
    for good in ["localhost", "db-1.example.com", "::1", "192.0.2.1"] {
        assert_eq!(host_problem(good), None, "{good}");
    }
}

#[test]
fn what_the_client_complains_of_is_no_verdict_of_the_plugin() {
    let login = Login { host: "db".to_owned(), ..Login::default() };
    let shown = |code, said: &str| match odd(&login, Timestamp::UNIX_EPOCH, code, said) {
        None => "-".to_owned(),
        Some(Found::Down(words, cause)) => format!("down {} {words}", cause.fault.unwrap().word()),
        Some(Found::Unknown(words, cause)) => {
            format!("unknown {} {words}", cause.fault.unwrap().word())
        }
        Some(other) => format!("{other:?}"),
    };
    for (code, said, expected) in [
        (4, "x", "-"),
        (
            255,
            "ssh: connect to host db port 22: Connection refused",
            "down net.refused ssh to db: ssh: connect to host db port 22: Connection refused",
        ),
        (
            255,
            "ops@db: Permission denied (publickey).",
            "unknown auth.refused ssh to db: ops@db: Permission denied (publickey).",
        ),
        (
            255,
            "Host key verification failed.",
            "unknown tls.untrusted ssh to db: Host key verification failed.",
        ),
        (
            255,
            "ssh: Could not resolve hostname db: Name or service not known",
            "down dns.nxdomain ssh to db: ssh: Could not resolve hostname db: Name or service not known",
        ),
    ] {
        assert_eq!(shown(code, said), expected);
    }
}

#[tokio::test]
async fn nobody_who_listens_is_a_host_that_is_down() {
    if std::process::Command::new("ssh").arg("-V").output().is_err() {
        eprintln!("no OpenSSH client is installed: this test is left out");
        return;
    }
    let bench = Bench::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let check = format!("ssh: {{ host: 127.0.0.1, port: {}, run: 'true' }}", closed.port());
    assert_eq!(bench.look(&check).await, "site/127.0.0.1 fail net.refused");
}
