//! Commands on an instance: the stand-in hands out real keys, and a real server of OpenSSH takes them or not.

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::kinds::grant;
use crate::kinds::lightsail::sshd::Sshd;

struct Stage {
    service: Lightsail,
    sshd: Sshd,
    bench: Bench,
}

impl Stage {
    fn new() -> Option<Self> {
        let (service, sshd) = (Lightsail::start()?, Sshd::start()?);
        let bench = bench(&service, SECRET);
        Some(Self { service, sshd, bench })
    }

    /// Runs a command on the instance, into which this leads.
    async fn run(&self, access: &Json, command: &str) -> Observation {
        let world = json!({ "instances": { "web": instance(access) }, "faults": [], "calls": [] });
        self.service.control(&world);
        let (url, port) = (self.service.url(), self.sshd.port());
        let section = format!(
            "ssh: {{ lightsail: {{ instance: web, region: {REGION}, credential: aws, url: '{url}' }}, \
             port: {port}, run: {command:?} }}, timeout: 30s"
        );
        let (_, seen) = look(&self.bench, &self.service, &section).await;
        // Whatever came of it, the key is gone.
        let base = grant::base(&self.bench.path("data"));
        assert!(!base.join("42-1.it").exists());
        seen
    }
}

fn in_an_hour() -> i64 {
    SystemClock.now().as_second() + 3600
}

#[tokio::test]
async fn a_command_runs_with_a_key_that_nobody_else_sees_and_that_is_gone_afterwards() {
    let Some(stage) = Stage::new() else { return };
    let access = stage.sshd.access("+1h", in_an_hour());
    for (command, verdict, text) in [
        ("echo 'OK - 3 users | users=3'", Verdict::Ok, "OK - 3 users"),
        ("echo 'DISK CRITICAL'; exit 2", Verdict::Fail, "DISK CRITICAL"),
        ("exit 3", Verdict::Unknown, "exit 3"),
        ("id -un", Verdict::Ok, "root"),
    ] {
        let seen = stage.run(&access, command).await;
        assert_eq!((seen.verdict, seen.text.as_str()), (verdict, text), "{command}");
        assert_eq!(seen.subject.as_str(), "site/web");
    }
    let base = grant::base(&stage.bench.path("data"));
    // The server has a `/run` of its own.
    if !base.starts_with("/run") {
        let files =
            format!("{0} {0}/id {0}/id-cert.pub {0}/known_hosts", base.join("42-1.it").display());
        let seen = stage.run(&access, &format!("echo $(stat -c %a {files})")).await;
        assert_eq!(seen.text, "700 600 600 600");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_the_client_does_not_know() {
    let Some(stage) = Stage::new() else { return };
    // The client hears no more than this of a certificate that is over.
    let over = stage.sshd.access("-2h:-1h", in_an_hour());
    let mut early = over.clone();
    early["expiresAt"] = (SystemClock.now().as_second() - 60).into();
    let mut unknown = stage.sshd.access("+1h", in_an_hour());
    unknown["hostKeys"] = json!([]);
    let mut other = stage.sshd.access("+1h", in_an_hour());
    let public = "AAAAC3NzaC1lZDI1NTE5AAAAIIdX1Zz5n3sXe0m9p5b8Vh0sX0mJ2m5s3b3yq8vS1rQK";
    other["hostKeys"][0]["publicKey"] = public.into();
    for (access, fault, words) in [
        (&over, Fault::Refused, &["Permission denied", "the temporary key is good until"][..]),
        (&early, Fault::ClockSkew, &["is the clock of this host right?"]),
        (&unknown, Fault::CertUntrusted, &["knows no keys of the instance's host yet"]),
        (&other, Fault::CertUntrusted, &["Host key verification failed"]),
    ] {
        let seen = stage.run(access, "id -un").await;
        assert_eq!((seen.verdict, seen.fault), (Verdict::Unknown, Some(fault)), "{seen:?}");
        for words in words {
            assert!(seen.text.contains(words), "{words}: {}", seen.text);
        }
    }
    assert_eq!(stage.service.control(&json!({})).1, Vec::<String>::new());
}
