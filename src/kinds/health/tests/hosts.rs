//! Sections about hosts and what runs on them: what may be written, and what is wrong with what may not.

use super::read;

#[test]
fn instances_are_named_with_their_region_and_a_credential() {
    let of = |section: &str| {
        read(&format!("checks: [{{ name: a, lightsail: {{ {section} }} }}]")).1.join("\n")
    };
    for section in [
        "instance: web-1, region: eu-central-1, credential: aws",
        "instance: '{{params.host}}', region: us-east-1, credential: aws, url: 'http://127.0.0.1:1/'",
    ] {
        assert_eq!(of(section), "", "{section}");
    }
    let sections = [
        "instance: web",
        "instance: 'web 1', region: eu-central-1a, credential: aws",
        "instance: web, region: eu-central-1, credential: aws, url: localhost",
        "instance: '{{params.hots}}', region: eu-central-1, credential: aws",
    ];
    let told: Vec<String> = sections.iter().map(|section| of(section)).collect();
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    J022 "lightsail" `lightsail` lacks the key `credential` (add `credential:` with a text)
    J022 "lightsail" `lightsail` lacks the key `region` (add `region:` with a text)

    J026 "web 1" `web 1` is no name of an instance (write it as the console does: letters, digits and '-', such as `web-1`)
    J058 "eu-central-1a" `eu-central-1a` is no region (write it like `eu-central-1`)

    J058 "localhost" `localhost` is no address: relative URL without a base (write it like `https://example.com/status`)

    J051 "params.hots" the job has no parameter `hots` (did you mean `params.host`?)
    "#);
    let bad = read(
        "checks: [{ name: a, lightsail: { instance: web, region: eu-west-1, credential: aws }, \
         expect: { CpuUtilization: '< 80%', NetworkIn: '< 5', state: [running] } }]",
    );
    assert_eq!(bad.1.len(), 2, "{bad:?}");
    assert!(bad.1[0].contains("did you mean `CPUUtilization`?"), "{bad:?}");
    assert!(bad.1[1].starts_with("J028 \"5\""), "{bad:?}");
}

#[test]
fn the_way_into_an_instance_is_told_by_the_service_alone() {
    let of = |more: &str| {
        let instance = "lightsail: { instance: web, region: eu-west-1, credential: aws }";
        read(&format!("checks: [{{ name: a, ssh: {{ {instance}, run: uptime{more} }} }}]")).1
    };
    assert_eq!(of(", port: 2222"), Vec::<String>::new());
    let told = of(", user: root, identity: key");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("`user` stands beside `lightsail`, which tells it"), "{told:?}");
    assert!(told[1].contains("(leave `identity` out)"), "{told:?}");
    let two = of(", host: web.example.com");
    assert!(two[0].starts_with("J024"), "{two:?}");
}

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
