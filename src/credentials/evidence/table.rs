//! The error table, row by row.

use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::*;
use crate::credentials::exchange::Reply;
use crate::credentials::mint::{Minted, TokenValue};

const REFRESH: Asked = Asked { proof: Proof::Consent, spends: false };
const ROTATING: Asked = Asked { proof: Proof::Consent, spends: true };
const SIGNED: Asked = Asked { proof: Proof::Assertion, spends: false };
const OWN: Asked = Asked { proof: Proof::Client, spends: false };

fn now() -> Timestamp {
    "2026-11-25T10:00:00Z".parse().unwrap()
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        host: "id.example.com".to_owned(),
        received_at: now(),
        date: Some(now()),
        retry_after: None,
        content_type: None,
        www_authenticate: None,
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }
}

fn reply(status: u16, body: &str) -> Reply {
    Reply::Answer(answer(status, body))
}

fn dated(status: u16, date: &str, body: &str) -> Reply {
    Reply::Answer(Answer { date: Some(date.parse().unwrap()), ..answer(status, body) })
}

fn nothing(sent: bool) -> Reply {
    Reply::NoAnswer { sent, words: "no answer from id.example.com: connection reset".to_owned() }
}

fn refused(code: &str) -> Reply {
    reply(400, &format!(r#"{{"error": "{code}"}}"#))
}

/// The class, and the code where there is one.
fn told(result: Result<Minted, Evidence>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(evidence) => match evidence.code() {
            Some(code) => format!("{} {code}", evidence.class.word()),
            None => evidence.class.word().to_owned(),
        },
    }
}

const HTML: &str = "<!doctype html><title>Sign in</title>";
const TOKEN: &str = r#"{"access_token": "canary-access", "expires_in": 3599}"#;

/// Row and what is shown, status, what was sent, body, and what it is told as.
const ROWS: &str = r#"
3 a server's failure      | 500 | refresh | | transient
3 a gateway's page        | 502 | refresh | <html> | transient
3 a code changes nothing  | 503 | refresh | {"error":"invalid_grant"} | transient invalid_grant
3 nor does a token        | 504 | refresh | {"access_token":"a"} | transient
3 a timeout               | 408 | refresh | | transient
4 at 400                  | 400 | refresh | {"error":"server_error"} | transient server_error
4 at 401                  | 401 | refresh | {"error":"temporarily_unavailable"} | transient temporarily_unavailable
4 at 200                  | 200 | refresh | {"error":"internal_failure"} | transient internal_failure
5 by status               | 429 | refresh | | rate-limited
5 by status, not code     | 429 | refresh | {"error":"invalid_grant"} | rate-limited invalid_grant
5 by code                 | 403 | refresh | {"error":"rate_limit_exceeded"} | rate-limited rate_limit_exceeded
5 by a page               | 403 | refresh | <b>User Rate Limit Exceeded</b> | rate-limited
6 a login page            | 200 | refresh | <html> | unintelligible
6 no body                 | 204 | refresh | | unintelligible
6 no token                | 200 | refresh | {"token_type":"bearer"} | unintelligible
6 a null token            | 200 | refresh | {"access_token":null} | unintelligible
6 an empty token          | 200 | refresh | {"access_token":" "} | unintelligible
6 a number for a token    | 200 | refresh | {"access_token":7} | unintelligible
6 half a document         | 200 | refresh | {"access_token":"a", | unintelligible
6 a redirect              | 302 | refresh | | unintelligible
6 a captive portal        | 511 | refresh | <html> | unintelligible
7 the grant is dead       | 400 | refresh | {"error":"invalid_grant"} | reauth-required invalid_grant
7 at 401                  | 401 | refresh | {"error":"invalid_grant"} | reauth-required invalid_grant
7 at 200                  | 200 | refresh | {"error":"invalid_grant"} | reauth-required invalid_grant
7 where it rotates        | 400 | rotating | {"error":"invalid_grant"} | reauth-required invalid_grant
8 by the subtype          | 400 | refresh | {"error":"invalid_grant","error_subtype":"invalid_rapt"} | reauth-policy invalid_grant/invalid_rapt
8 its other name          | 400 | refresh | {"error":"invalid_grant","error_subtype":"rapt_required"} | reauth-policy invalid_grant/rapt_required
8 as the code itself      | 400 | refresh | {"error":"rapt_required"} | reauth-policy rapt_required
9 what a key signs        | 400 | signed | {"error":"invalid_grant"} | principal-gone invalid_grant
9 what a client asks      | 400 | own | {"error":"invalid_grant"} | client-misconfigured invalid_grant
11 at 401                 | 401 | refresh | {"error":"invalid_client"} | client-misconfigured invalid_client
11 at 400                 | 400 | refresh | {"error":"invalid_client"} | client-misconfigured invalid_client
11 deleted                | 401 | refresh | {"error":"deleted_client"} | client-misconfigured deleted_client
11 disabled               | 400 | refresh | {"error":"disabled_client"} | client-misconfigured disabled_client
12 of a client            | 400 | refresh | {"error":"unauthorized_client"} | client-misconfigured unauthorized_client
12 of a service account   | 401 | signed | {"error":"unauthorized_client"} | client-misconfigured unauthorized_client
13 a scope                | 400 | refresh | {"error":"invalid_scope"} | scope-policy invalid_scope
13 an administrator       | 400 | refresh | {"error":"admin_policy_enforced"} | scope-policy admin_policy_enforced
13 an organisation        | 403 | refresh | {"error":"org_internal"} | scope-policy org_internal
13 at the consent         | 400 | refresh | {"error":"access_denied"} | scope-policy access_denied
14 a request              | 400 | refresh | {"error":"invalid_request"} | software invalid_request
14 a grant type           | 400 | refresh | {"error":"unsupported_grant_type"} | software unsupported_grant_type
15 empty 400              | 400 | refresh | | unclassified-refusal
15 a page with 400        | 400 | refresh | <html> | unclassified-refusal
15 empty 401              | 401 | refresh | | unclassified-refusal
15 a page with 403        | 403 | refresh | <html> | unclassified-refusal
15 a wrong address        | 404 | refresh | <html> | unclassified-refusal
15 an unknown code        | 400 | refresh | {"error":"no_such_code"} | unclassified-refusal no_such_code
15 no code is not kept    | 400 | refresh | {"error":"1//0gCanary"} | unclassified-refusal
16 less than was asked    | 200 | refresh | {"access_token":"a","scope":"b"} | ok
a success at 201          | 201 | refresh | {"access_token":"a"} | ok
a token beside an error   | 200 | rotating | {"access_token":"a","error":"x"} | ok
"#;

#[test]
fn rows_3_to_16_by_status_and_error() {
    let mut rows = 0;
    for line in ROWS.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [row, status, sent, body, expected] = cells[..] else { panic!("a row: {line}") };
        let asked = match sent {
            "refresh" => REFRESH,
            "rotating" => ROTATING,
            "signed" => SIGNED,
            "own" => OWN,
            other => panic!("{other}"),
        };
        let reply = reply(status.parse().unwrap(), body);
        assert_eq!(told(classify(&reply, asked)), expected, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 52);
}

#[test]
fn rows_1_and_2_are_told_apart_by_what_may_be_spent() {
    for (row, sent, asked, expected) in [
        ("1 no connection", false, REFRESH, "transient"),
        ("1 no connection, rotating", false, ROTATING, "transient"),
        ("1 the answer is lost, and nothing spent", true, REFRESH, "transient"),
        ("2 the answer is lost, and the token may be spent", true, ROTATING, "ambiguous-commit"),
    ] {
        assert_eq!(told(classify(&nothing(sent), asked)), expected, "{row}");
    }
}

#[test]
fn row_10_needs_clocks_that_differ_by_more_than_a_minute() {
    let dead = r#"{"error":"invalid_grant"}"#;
    let client = r#"{"error":"invalid_client"}"#;
    for (date, body, asked, expected) in [
        ("2026-11-25T10:02:00Z", dead, SIGNED, "clock-skew invalid_grant"),
        ("2026-11-25T09:58:00Z", dead, REFRESH, "clock-skew invalid_grant"),
        ("2026-11-25T10:01:00Z", dead, SIGNED, "principal-gone invalid_grant"),
        ("2026-11-25T12:00:00Z", client, REFRESH, "client-misconfigured invalid_client"),
    ] {
        assert_eq!(told(classify(&dated(400, date, body), asked)), expected, "{date} {body}");
    }
    assert_eq!(told(classify(&dated(200, "2026-11-25T12:00:00Z", TOKEN), REFRESH)), "ok");
}

#[test]
fn descriptions_decide_nothing() {
    for description in [
        "Token has been expired or revoked.",
        "Account has been deleted",
        "Robot is disabled.",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe",
        "temporarily_unavailable",
        "User Rate Limit Exceeded",
        "canary-refresh-token",
    ] {
        for (code, asked, expected) in [
            ("invalid_grant", REFRESH, CredentialClass::ReauthRequired),
            ("invalid_grant", SIGNED, CredentialClass::PrincipalGone),
            ("server_error", REFRESH, CredentialClass::Transient),
            ("no_such_code", REFRESH, CredentialClass::UnclassifiedRefusal),
        ] {
            let body = format!(r#"{{"error": "{code}", "error_description": "{description}"}}"#);
            let evidence = classify(&reply(400, &body), asked).unwrap_err();
            assert_eq!(evidence.class, expected, "{code} {description}");
            assert!(!evidence.words.contains(description), "{}", evidence.words);
        }
    }
    let body = r#"{"error": "invalid_grant", "error_description": "Robot is disabled."}"#;
    let words = classify(&reply(400, body), SIGNED).unwrap_err().words;
    assert_eq!(
        words,
        "HTTP 400 invalid_grant from id.example.com: the server hints that the account or key is gone"
    );
}

#[test]
fn a_token_without_a_plain_end_has_an_hour_and_never_for_ever() {
    for (expires_in, expected) in [
        ("3599", 3599),
        ("\"3599\"", 3599),
        ("\" 120 \"", 120),
        ("3599.9", 3599),
        ("null", 3600),
        ("\"\"", 3600),
        ("\"soon\"", 3600),
        ("0", 3600),
        ("-1", 3600),
        ("1e300", 3600),
        ("\"inf\"", 3600),
        ("\"NaN\"", 3600),
        ("true", 3600),
        ("[3599]", 3600),
        ("9223372036854775807", 3600),
    ] {
        let body = format!(r#"{{"access_token": "a", "expires_in": {expires_in}}}"#);
        let minted = classify(&reply(200, &body), REFRESH).unwrap();
        let life = minted.token.expires_at.unwrap().duration_since(now());
        assert_eq!(life.as_secs(), expected, "{expires_in}");
    }
    let minted = classify(&reply(200, r#"{"access_token": "a"}"#), REFRESH).unwrap();
    assert_eq!(minted.token.expires_at.unwrap().duration_since(now()).as_secs(), 3600);
}

#[test]
fn a_success_brings_what_it_declares() {
    let body = r#"{
        "access_token": "canary-access", "refresh_token": "canary-refresh", "expires_in": 60,
        "scope": "a b", "refresh_token_expires_in": 604799, "authorization_expires_in": "86400",
        "refresh_expires_in": 0
    }"#;
    let minted = classify(&dated(200, "2026-11-25T10:00:05Z", body), ROTATING).unwrap();
    assert!(!format!("{minted:?}").contains("canary"), "{minted:?}");
    let TokenValue::Bearer(value) = &minted.token.value else { panic!("a bearer token") };
    assert_eq!(value.expose(), "canary-access");
    assert_eq!(minted.refresh_token.unwrap().expose(), "canary-refresh");
    assert_eq!(minted.token.scopes.unwrap(), ["a", "b"]);
    assert_eq!(minted.skew.unwrap().as_secs(), 5);
    let ends: Vec<i64> =
        minted.ends.iter().map(|end| end.at.duration_since(now()).as_secs()).collect();
    assert_eq!(ends, [604_799, 86_400]);
    assert!(minted.ends.iter().all(|end| end.clock == "declared by the server"));
}

#[test]
fn row_16_names_the_scopes_that_are_missing() {
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let google = "https://www.googleapis.com/auth/userinfo.email openid";
    for (asked, granted, missing) in [
        ("a b", Some("b a c"), ""),
        ("a b", Some("b"), "a"),
        ("a b", None, ""),
        ("", Some("x"), ""),
        ("openid email", Some(google), ""),
        ("a offline_access", Some("a"), ""),
    ] {
        let granted = granted.map(list);
        assert_eq!(missing_scopes(&list(asked), granted.as_deref()), list(missing), "{asked}");
    }
    for (body, expected) in [
        (r#""a b""#, Some(vec!["a", "b"])),
        (r#""a,b""#, Some(vec!["a", "b"])),
        (r#"["a", "b"]"#, Some(vec!["a", "b"])),
        (r#""""#, None),
        ("null", None),
    ] {
        let body = format!(r#"{{"access_token": "a", "scope": {body}}}"#);
        let scopes = classify(&reply(200, &body), REFRESH).unwrap().token.scopes;
        assert_eq!(scopes, expected.map(|list| list.into_iter().map(str::to_owned).collect()));
    }
}

#[test]
fn rows_17_to_21_of_an_api() {
    let fault = |reason: &str| {
        format!(r#"{{"error": {{"status": "P", "details": [{{"reason": "{reason}"}}]}}}}"#)
    };
    let older = r#"{"error": {"errors": [{"reason": "userRateLimitExceeded"}], "code": 403}}"#;
    let disabled = r#"{"error": {"errors": [{"reason": "accessNotConfigured"}], "code": 403}}"#;
    let stale = r#"Bearer realm="x", error="invalid_token", error_description="expired""#;
    let narrow = r#"Bearer error="insufficient_scope", scope="b""#;
    let none = String::new;
    let cases = [
        ("17", 401, Some(stale), none(), "token-stale invalid_token"),
        ("17 without a reason", 401, None, HTML.to_owned(), "token-stale"),
        ("18 by the header", 403, Some(narrow), none(), "scope-missing insufficient_scope"),
        ("18 at 401", 401, Some(narrow), none(), "scope-missing insufficient_scope"),
        (
            "18 by the body",
            403,
            None,
            fault("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
            "scope-missing ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        ),
        ("19", 403, None, fault("SERVICE_DISABLED"), "client-misconfigured SERVICE_DISABLED"),
        (
            "19 its older name",
            403,
            None,
            disabled.to_owned(),
            "client-misconfigured accessNotConfigured",
        ),
        (
            "20",
            403,
            None,
            r#"{"error": {"status": "PERMISSION_DENIED"}}"#.to_owned(),
            "permission PERMISSION_DENIED",
        ),
        ("20 without a body", 403, None, none(), "permission"),
        ("21 by status", 429, None, none(), "quota"),
        ("21 by reason", 403, None, older.to_owned(), "quota userRateLimitExceeded"),
        ("a server's own failure", 503, None, none(), ""),
        ("a missing thing", 404, None, none(), ""),
        ("23 a success, whatever it says", 200, None, fault("x"), ""),
    ];
    for (row, status, header, body, expected) in cases {
        let evidence = of_api(status, header, body.as_bytes());
        let told = evidence.map(|evidence| told(Err(evidence)));
        assert_eq!(told.unwrap_or_default(), expected, "{row}");
    }
}

#[test]
fn row_22_takes_listed_codes_for_stale_only_when_the_time_is_over() {
    for (status, listed, over, stale) in [
        (404, &[403, 404][..], true, true),
        (404, &[403, 404][..], false, false),
        (404, &[403][..], true, false),
        (404, &[][..], true, false),
    ] {
        let class = of_quirk(status, listed, over).map(|evidence| evidence.class);
        assert_eq!(class == Some(CredentialClass::TokenStale), stale, "{status} {listed:?} {over}");
    }
}

#[test]
fn row_24_reads_the_error_of_a_poll_at_any_status() {
    for (reply, expected) in [
        (refused("authorization_pending"), "pending"),
        (reply(428, r#"{"error":"authorization_pending"}"#), "pending"),
        (reply(200, r#"{"error":"authorization_pending"}"#), "pending"),
        (reply(429, r#"{"error":"slow_down"}"#), "slow down"),
        (reply(403, r#"{"error":"access_denied"}"#), "denied"),
        (refused("expired_token"), "expired"),
        (nothing(true), "back off"),
        (reply(503, HTML), "back off"),
        (refused("invalid_client"), "failed"),
        (reply(400, ""), "failed"),
        (reply(200, TOKEN), "granted"),
    ] {
        let step = match of_device_poll(&reply) {
            DeviceStep::Pending => "pending",
            DeviceStep::SlowDown => "slow down",
            DeviceStep::BackOff(_) => "back off",
            DeviceStep::Granted(_) => "granted",
            DeviceStep::Denied(_) => "denied",
            DeviceStep::Expired(_) => "expired",
            DeviceStep::Failed(_) => "failed",
        };
        assert_eq!(step, expected, "{reply:?}");
    }
}

#[test]
fn row_25_takes_a_dead_token_for_revoked_and_a_failure_for_one() {
    for (reply, expected) in [
        (reply(200, ""), None),
        (reply(204, ""), None),
        (refused("invalid_token"), None),
        (reply(503, ""), Some("transient")),
        (nothing(true), Some("transient")),
        (refused("unsupported_token_type"), Some("software")),
        (reply(401, r#"{"error":"invalid_client"}"#), Some("client-misconfigured")),
        (reply(400, ""), Some("unclassified-refusal")),
    ] {
        let class = of_revocation(&reply).err().map(|evidence| evidence.class.word());
        assert_eq!(class, expected, "{reply:?}");
    }
}

#[test]
fn evidence_keeps_the_wait_and_the_skew_and_never_the_body() {
    let limited = Answer {
        retry_after: Some(Duration::from_secs(120)),
        date: Some("2026-11-25T10:00:10Z".parse().unwrap()),
        ..answer(429, r#"{"error": "canary-secret", "echo": "canary-token"}"#)
    };
    let evidence = classify(&Reply::Answer(limited), REFRESH).unwrap_err();
    assert_eq!(evidence.retry_after, Some(Duration::from_secs(120)));
    assert_eq!(evidence.skew.map(|skew| skew.as_secs()), Some(10));
    assert_eq!(evidence.status, Some(429));
    for body in [r#"{"error": "canary-secret"}"#, "canary-secret", r#"{"access_token_": "canary"}"#]
    {
        for status in [200, 302, 400, 401, 403, 503] {
            let told = format!("{:?}", classify(&reply(status, body), REFRESH));
            assert!(!told.contains("canary"), "{told}");
        }
    }
}
