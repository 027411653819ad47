//! Sections about hosts and what runs on them: what may be written, and what is wrong with what may not.

use super::read;

#[test]
fn units_and_buses_are_written_as_systemd_has_them() {
    for text in [
        "checks: [{ name: a, systemd: { unit: nginx } }]",
        "checks: [{ name: a, systemd: { unit: 'getty@tty1.service', scope: user } }]",
        "checks: [{ name: a, systemd: { unit: 'x-{{params.host}}.service' }, expect: { active: inactive } }]",
        "checks: [{ name: a, systemd: { unit: x, bus: 'unix:path=/run/bus' }, warn: { memory: '< 64MiB', since: '> 1m' } }]",
        "checks: [{ name: a, systemd: { unit: x }, expect: { restarts: '< 3', result: [success, signal], sub: { matches: 'run|wait' } } }]",
    ] {
        assert_eq!(read(text).1, Vec::<String>::new(), "{text}");
    }
    let texts = [
        "checks: [{ name: a, systemd: {} }]",
        "checks: [{ name: a, systemd: { unit: 'a/b' } }]",
        "checks: [{ name: a, systemd: { unit: 'backup@.service' } }, { name: b, systemd: { unit: x, scope: root } }]",
        "checks: [{ name: a, systemd: { unit: x, bus: /run/bus } }]",
        "checks: [{ name: a, systemd: { unit: 'x-{{params.hots}}' } }]",
        "checks: [{ name: a, systemd: { unit: x }, expect: { activ: active, memory: '< 5%' } }]",
    ];
    let told: Vec<String> = texts.iter().map(|text| read(text).1.join("\n")).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    J022 "systemd" `systemd` lacks the key `unit` (add `unit:` with a text)

    J026 "a/b" `/` can't stand in the name of a unit (write it like `nginx.service` or `backup.timer`, as `systemctl list-units` does)

    J026 "backup@.service" `backup@.service` is a template, which never runs (name an instance of it, such as `backup@daily.service`)
    J031 "root" unknown word `root` (the words are `system`, `user`)

    J058 "/run/bus" `/run/bus` is no address of a bus (write it like `unix:path=/run/dbus/system_bus_socket`)

    J051 "params.hots" the job has no parameter `hots` (did you mean `params.host`?)

    J020 "activ" `systemd` does not measure `activ` (did you mean `active`?)
    J028 "5%" `5%` is not a size (write it like ">= 64MiB")
    "#);
}
