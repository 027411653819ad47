//! Instances of a stand-in that Amazon's own client understands and whose model judges every request.

use serde_json::{Value as Json, json};

use super::*;
use crate::credentials::declare::{Aws, AwsKeys, Provider};
use crate::kinds::grant::tests::Bench;
use crate::kinds::lightsail::fake::{KEY, Lightsail, REGION, SECRET, instance};
use crate::model::{Channel, FailureClass, Observation, Outcome, Verdict};

#[path = "way_in.rs"]
mod way_in;

/// A bench whose credential `aws` has this secret.
fn bench(service: &Lightsail, secret: &str) -> Bench {
    let mut bench = Bench::new();
    let keys = AwsKeys::Pair {
        access_key_id: bench.secret("id", KEY),
        secret_access_key: bench.secret("secret", secret),
        session_token: None,
    };
    let aws = Aws { keys, region: None, service: None, expires_on: None };
    let channel = Channel::File("AWS".into());
    bench.bind("aws", Provider::Aws(aws), channel, &[&service.host()]);
    bench
}

/// A web instance with what leads nowhere, and what goes wrong before it is asked.
fn world(faults: &Json) -> Json {
    let access = json!({ "username": "ec2-user", "certKey": "c", "privateKey": "p",
        "ipAddress": "127.0.0.1", "expiresAt": 4_000_000_000_u64, "hostKeys": [] });
    json!({ "instances": { "web": instance(&access) }, "faults": faults, "calls": [] })
}

/// Makes one check.
async fn look(bench: &Bench, service: &Lightsail, check: &str) -> (Outcome, Observation) {
    let url = service.url();
    let check = check.replace(
        "WEB",
        &format!("lightsail: {{ instance: web, region: {REGION}, credential: aws, url: '{url}' }}"),
    );
    let section = format!("health: {{ checks: [{{ name: it, {check} }}] }}");
    let (outcome, output) = bench.run(&section).await;
    assert!(!output.contains(SECRET), "{output}");
    (outcome, bench.seen.take().pop().expect("a look"))
}

#[test]
fn the_official_client_takes_the_stand_in_for_lightsail() {
    let Some(service) = Lightsail::start() else { return };
    let mut known = world(&json!([]));
    // That client is shown one value only.
    known["instances"]["web"]["metrics"]["CPUUtilization"] = json!([[60, 12.5]]);
    service.control(&known);
    service.is_understood().unwrap();
}

#[tokio::test]
async fn an_instance_is_seen_by_its_state_and_its_metrics() {
    let Some(service) = Lightsail::start() else { return };
    let bench = bench(&service, SECRET);
    for (check, verdict, fault, text) in [
        ("WEB", Verdict::Ok, None, "StatusCheckFailed 0"),
        (
            "WEB, expect: { CPUUtilization: '< 80%', NetworkIn: '<= 1MiB' }",
            Verdict::Ok,
            None,
            "CPUUtilization 12.5%, NetworkIn 1MiB",
        ),
        (
            "WEB, expect: { CPUUtilization: '< 10%' }",
            Verdict::Fail,
            Some(Fault::LoadHigh),
            "CPUUtilization 12.5%, expected < 10%",
        ),
        (
            "WEB, warn: { BurstCapacityPercentage: '> 99%' }",
            Verdict::Warn,
            Some(Fault::LoadHigh),
            "BurstCapacityPercentage 98%, expected > 99%",
        ),
        (
            "WEB, expect: { state: stopped }",
            Verdict::Fail,
            Some(Fault::UnitInactive),
            r#"state "running", expected "stopped""#,
        ),
        // What nobody reports is not known.
        (
            "WEB, expect: { NetworkOut: '< 1MiB' }",
            Verdict::Unknown,
            None,
            "it did not report `NetworkOut`",
        ),
    ] {
        service.control(&world(&json!([])));
        let (_, seen) = look(&bench, &service, check).await;
        assert_eq!((seen.verdict, seen.text.as_str()), (verdict, text), "{check}");
        assert_eq!(seen.subject.as_str(), "site/web");
        if let Some(fault) = fault {
            assert_eq!(seen.fault, Some(fault), "{check}");
        }
    }
    let mut stopped = world(&json!([]));
    stopped["instances"]["web"]["state"] = "stopped".into();
    service.control(&stopped);
    let (_, seen) = look(&bench, &service, "WEB").await;
    assert_eq!((seen.verdict, seen.fault), (Verdict::Fail, Some(Fault::UnitInactive)), "{seen:?}");
    let (calls, complaints) = service.control(&json!({}));
    // Of what does not run, no figures are asked for.
    assert_eq!((calls, complaints), (vec!["GetInstanceState".to_owned()], Vec::new()));
}

#[tokio::test]
async fn each_refusal_has_its_fault_and_its_way_out() {
    let Some(service) = Lightsail::start() else { return };
    let bench = bench(&service, SECRET);
    let busy = json!(["ThrottlingException", "Rate exceeded"]);
    let broken = json!(["ServiceException", "oops", 500]);
    let old = "Signature expired: 20261125T000000Z is now earlier than 20261125T001000Z";
    for (faults, verdict, fault, words) in [
        (json!([busy, broken]), Verdict::Ok, None, "StatusCheckFailed 0"),
        (
            json!([busy, busy, busy, busy]),
            Verdict::Unknown,
            Some(Fault::Throttled),
            "look less often",
        ),
        (
            json!([broken, broken, broken, broken]),
            Verdict::Unknown,
            Some(Fault::ServerError),
            "oops",
        ),
        (
            json!([["AccessDeniedException", "User: x is not authorized"]]),
            Verdict::Unknown,
            Some(Fault::PermissionDenied),
            "must allow it: lightsail:GetInstanceState",
        ),
        (
            json!([["NotFoundException", "gone"]]),
            Verdict::Fail,
            Some(Fault::NotFound),
            "look at its name and at `region`",
        ),
        (
            json!([["InvalidSignatureException", old]]),
            Verdict::Unknown,
            Some(Fault::ClockSkew),
            "the clock of this host is wrong",
        ),
        // A key that was replaced where it lies is read again.
        (json!([["ExpiredTokenException", "expired"]]), Verdict::Ok, None, "StatusCheckFailed 0"),
    ] {
        service.control(&world(&faults));
        let (outcome, seen) = look(&bench, &service, "WEB, timeout: 30s").await;
        assert_eq!((seen.verdict, seen.fault), (verdict, fault), "{faults}: {seen:?}");
        assert!(seen.text.contains(words), "{faults}: {}", seen.text);
        assert_eq!(outcome.is_success(), verdict == Verdict::Ok);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_holds_the_job_up() {
    let Some(service) = Lightsail::start() else { return };
    service.control(&world(&json!([])));
    let bench = bench(&service, "wrong");
    let (outcome, seen) = look(&bench, &service, "WEB").await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.class, FailureClass::Unauthorized, "{failure:?}");
    assert_eq!(failure.blocked_by.as_ref().map(ToString::to_string).as_deref(), Some("aws"));
    assert_eq!((seen.verdict, seen.fault), (Verdict::Unknown, Some(Fault::Refused)), "{seen:?}");
    assert_eq!(seen.subject.as_str(), "credential/aws");
    // It is read again once, and shown once more.
    assert_eq!(service.control(&json!({})).0.len(), 2);
}
