//! What is told of sections that can't be meant.

use super::read;

#[test]
fn every_mistake_of_a_probe_is_told_at_its_place() {
    let texts = [
        "dns: { name: 'http://x/' }",
        "dns: { name: example.com, type: ANY, server: dns.example.com }",
        "dns: { name: 192.0.2.1, type: PTR, server: '[::1]:53' }, expect: { answer: x, ttl: 5 }",
        "tls: { address: example.com }",
        "tls: { address: 'example.com:443', starttls: smtp }, warn: { left: '< 14' }",
        "tls: { address: 'example.com:443' }, expect: { valid: '< 5', days: 14d }",
        "process: nginx",
        "process: { name: nginx, pidfile: /run/nginx.pid }",
        "process: { pattern: 'a(b' }, expect: { cpu: '< 5' }",
        "cpu: {}, expect: { used: '< 120%' }",
        "log: { file: /var/log/app.log }",
        "log: { pattern: ERROR }",
        "log: { file: a, unit: b, pattern: ERROR, scope: all }",
        "log: { file: '{{nope}}', pattern: ['ERROR', 'a(b'] }",
        "sql: { sqlite: shop.db }",
        "sql: { postgres: 'mysql://x/y', query: select 1 }",
        "sql: { postgres: 'postgres://u:secret@h/y', query: select 1 }, expect: { values: 1 }",
        "freshness: { job: port-sheet }",
        "freshness: { job: Port Sheet }, expect: { age: '< 2h' }",
        "freshness: { file: {} }, expect: { age: '< 2h' }",
        "freshness: { http: { url: nowhere, json: at } }, warn: { age: '< 2h' }",
        "ssh: { host: '-oProxyCommand=x', run: uptime }",
        "ssh: { host: db, command: uptime, port: 70000 }",
        "memory: {}, alert: { failures: 3, of: 2, recver: 1 }",
    ];
    let mut all = String::new();
    for text in texts {
        all.push_str(&read(&format!("checks: [{{ name: a, {text} }}]")).1.join("\n"));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all, @r#"
    J058 "http://x/" `http://x/` is no name (write it like `example.com`)

    J031 "ANY" unknown word `ANY` (the words are `A`, `AAAA`, `CAA`, `CNAME`, `MX`, `NS`, `PTR`, `SOA`, `SRV`, `TXT`)

    J020 "answer" `dns` does not measure `answer` (did you mean `answers`?)
    J057 "5" `5` does not say how to compare (write it like "< 500ms")

    J058 "example.com" `example.com` has no port (write it like `db.example.com:5432` or `[::1]:5432`)

    J020 "starttls" unknown key `starttls` (the keys here are `address`, `server_name`, `ca`)
    J027 "14" `14` is not a time (write it like "< 500ms")

    J057 "5" only true or false is expected here (write true or false)
    J057 "14d" `14d` does not say how to compare (write it like "< 4")

    J021 "nginx" expected a mapping, found the text "nginx" (its keys are `name`, `pidfile`, `pattern` …)

    J024 "pidfile" `name` and `pidfile` both say the process (keep one of them)

    J057 "a(b" this regular expression can't be read: unclosed group (in YAML, write it in single quotes so that \ stays as it is)

    J029 "120%" `120%` is not a share (write it like "< 90%")

    J022 "log" `log` lacks the key `pattern` (add `pattern:` with a regular expression)

    J023 "log" `log` lacks a key that says the source (add exactly one of `file`, `unit`)

    J024 "unit" `file` and `unit` both say the source (keep one of them)
    J031 "all" unknown word `all` (the words are `system`, `user`)

    J051 "nope" there is no value `nope` (there are params.NAME, env.NAME, job.name, run.id and slot)
    J057 "a(b" this regular expression can't be read: unclosed group (in YAML, write it in single quotes so that \ stays as it is)

    J022 "sql" `sql` lacks the key `query` (add `query:` with a text)

    J058 "mysql://x/y" this is no address of a Postgres server (write `postgres://user@host/database`)

    J058 "postgres://u:secret@h/y" a password must not stand here (leave it out, and name a `credential` that holds it)
    J020 "values" `sql` does not measure `values` (did you mean `value`?)

    J022 "a" nothing says how old it may be (add `expect: { age: "< 2h" }`, or `warn`)

    J026 "Port Sheet" `Port Sheet` is no job's name: 'P' is not allowed there: use a-z, 0-9, '.', '_' and '-', a letter or digit first

    J022 "file" `file` lacks the key `path` (add `path:` with a text)

    J058 "nowhere" this is no address (write it like `https://example.com/status`)

    J058 "-oProxyCommand=x" `-oProxyCommand=x` is no host (write it like `db.example.com`)

    J022 "ssh" `ssh` lacks the key `run` (add `run:` with a text)
    J020 "command" unknown key `command` (`command` belongs to the section around this one)
    J030 "70000" expected a whole number from 0 to 65535

    J076 "2" 3 of 2 looks can't have failed (write `of: 3` or more, or ask for fewer failures)
    J020 "recver" unknown key `recver` (did you mean `recover`?)
    "#);
}
