//! What each check leaves of a run.

use std::time::Duration;

use super::{Bench, Server, read};
use crate::clock::{Clock, SystemClock};
use crate::kinds::{Kinds, Perform, Reach, Stop, Touch};
use crate::model::Observation;

impl Bench {
    /// Makes these checks, and returns what they leave.
    pub(in super::super) async fn looks(&self, checks: &str) -> Vec<Observation> {
        let (_pull, stop) = Stop::pair();
        let attempt = self.attempt(&format!("checks:\n{checks}"), stop);
        let seen = attempt.seen.clone();
        Kinds::new(self.dir.path(), None).perform(attempt).await;
        seen.take()
    }

    /// Makes one check, and returns `subject verdict fault`.
    pub(in super::super) async fn look(&self, check: &str) -> String {
        let looks = self.looks(&format!("  - {{ name: it, {check} }}\n")).await;
        let [look] = looks.as_slice() else { panic!("{looks:?}") };
        assert_eq!(look.check.as_str(), "check/pulse/it");
        let fault = look.fault.map_or("-", |fault| fault.word());
        format!("{} {} {fault}", look.subject, look.verdict.word())
    }
}

#[tokio::test]
async fn each_check_says_what_it_looked_at_and_what_is_wrong() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let at = &server.address;
    bench.file("old", "x");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (check, expected) in [
        ("disk: { path: / }, expect: { free: '> 1B' }".to_owned(), "host/disk ok -"),
        ("disk: { path: / }, expect: { free: '> 9000TiB' }".to_owned(), "host/disk fail disk.full"),
        (
            "disk: { path: /tmp/ }, warn: { inodes: '< 0.0000001%' }".to_owned(),
            "host/disk/tmp warn disk.inodes",
        ),
        ("disk: { path: /no/such }".to_owned(), "host/disk/no/such unknown not_found"),
        (
            "memory: {}, expect: { available: '> 9000TiB' }".to_owned(),
            "host/memory fail memory.low",
        ),
        ("load: {}, warn: { 15m: '> 10000' }".to_owned(), "host/load warn load.high"),
        ("file_age: { path: gone }".to_owned(), "check/pulse/it fail not_found"),
        (
            "file_age: { path: old }, expect: { age: '> 1d' }".to_owned(),
            "check/pulse/it fail stale",
        ),
        (
            "file_age: { path: old }, expect: { size: '> 1KiB' }".to_owned(),
            "check/pulse/it fail threshold",
        ),
        (format!("http: {{ url: 'http://{at}/down' }}"), "site/127.0.0.1 fail http.5xx"),
        (
            format!("http: {{ url: 'http://{at}/down' }}, expect: {{ status: 404 }}"),
            "site/127.0.0.1 fail http.5xx",
        ),
        (
            format!("http: {{ url: 'http://{at}/hang' }}, timeout: 200ms"),
            "site/127.0.0.1 fail net.timeout",
        ),
        (format!("http: {{ url: 'http://{closed}/' }}"), "site/127.0.0.1 fail net.refused"),
        (
            format!("tcp: {{ address: '{{{{params.host}}}}:{}' }}", closed.port()),
            "site/127.0.0.1 fail net.refused",
        ),
        (
            "http: { url: 'http://no-such-host.invalid/' }".to_owned(),
            "site/no-such-host.invalid fail dns.nxdomain",
        ),
        ("command: { run: 'echo CRIT; exit 2' }".to_owned(), "check/pulse/it fail threshold"),
        ("command: { run: 'no-such-one' }".to_owned(), "check/pulse/it unknown exec.missing"),
        ("command: { run: 'kill -9 $$' }".to_owned(), "check/pulse/it unknown exec.signal"),
        (
            "command: { run: 'sleep 60' }, timeout: 100ms".to_owned(),
            "check/pulse/it unknown exec.timeout",
        ),
        ("command: { run: 'echo OK' }".to_owned(), "check/pulse/it ok -"),
    ] {
        let look = bench.look(&check).await;
        // Without any name server, a name fails in another way than that it does not exist.
        assert_eq!(look.replace("dns.servfail", "dns.nxdomain"), expected, "{check}");
    }
}

#[tokio::test]
async fn looks_come_in_the_order_of_the_checks_and_say_when_and_of_which_run() {
    let (bench, before) = (Bench::new(), SystemClock.now());
    let looks = bench
        .looks(
            "  - { name: slow, command: { run: 'while [ ! -e go ]; do sleep 0.01; done; \
             echo \"A\tB\nC\"; exit 1' } }\n  - { name: fast, command: { run: 'echo > go' } }\n",
        )
        .await;
    let names: Vec<_> =
        looks.iter().map(|look| (look.check.as_str(), look.text.as_str())).collect();
    assert_eq!(names, [("check/pulse/slow", "A B C"), ("check/pulse/fast", "exit 0")]);
    for look in looks {
        assert!(look.at >= before && look.at <= SystemClock.now(), "{look:?}");
        assert!(look.took > Duration::ZERO && look.run == Some(crate::model::RunId(1)), "{look:?}");
    }
}

/// The edges of the graph follow from these.
#[test]
fn each_check_says_whom_it_reaches() {
    let reach = |host: &str, port, tls, http| {
        let host = host.to_owned();
        vec![Touch::Reaches(Reach { host, port, tls, http })]
    };
    let asks = |server: Option<&str>| {
        let (name, server) = ("example.com".to_owned(), server.map(str::to_owned));
        vec![Touch::Asks { name, server }]
    };
    let cases = [
        ("http: { url: 'http://127.0.0.1:9/x' }", reach("127.0.0.1", 9, false, true)),
        ("tcp: { address: 'db:6379' }", reach("db", 6379, false, false)),
        ("tls: { address: 'mail.example.com:993' }", reach("mail.example.com", 993, false, false)),
        ("ssh: { host: box, run: uptime }", reach("box", 22, false, false)),
        ("ssh: { host: box, port: 2222, run: uptime }", reach("box", 2222, false, false)),
        (
            "sql: { postgres: 'postgres://u@db/y', query: select 1 }, expect: { value: 1 }",
            reach("db", 5432, false, false),
        ),
        ("sql: { sqlite: shop.db, query: select 1 }, expect: { value: 1 }", Vec::new()),
        ("dns: { name: Example.com }", asks(None)),
        ("dns: { name: example.com, server: '192.0.2.53:5353' }", asks(Some("192.0.2.53"))),
        ("dns: { name: '{{params.host}}' }", Vec::new()),
        ("command: { run: [curl, 'https://example.com/'] }", reach("example.com", 443, true, true)),
    ];
    for (check, want) in cases {
        let (spec, told) = read(&format!("checks:\n  - {{ name: it, {check} }}\n"));
        assert_eq!(told, Vec::<String>::new(), "{check}");
        let spec = spec.unwrap();
        let found: Vec<Touch> = spec.touches().into_iter().map(|(_, touch)| touch).collect();
        assert_eq!(found, want, "{check}");
    }
}
