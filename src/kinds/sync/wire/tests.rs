//! The wire against a server that does not do as one wishes.

use std::io::Read;

use super::stand::{Reply, Stand, TOKEN, Web, told};
use super::*;
use crate::model::{Failure, FailureClass};

const JOB: &str = "source: { csv: { path: a.csv } }\ndestination: { csv: { path: b.csv } }\n";

fn named() -> Located<String> {
    Located { value: "api".to_owned(), span: crate::yaml::Span::default() }
}

/// Asks for `/` with the credential, and takes the whole answer.
fn ask(stand: &Stand, url: &str, terms: Terms<'_>) -> Result<String, Trouble> {
    let attempt = stand.attempt(JOB);
    let wire = Wire::open(&attempt.tools, terms)?;
    let request = Request::get(address("url", url)?);
    let (_, body) = wire.whole(&request, Repeat::Freely, 1 << 20)?;
    Ok(String::from_utf8(body).unwrap())
}

fn with(name: &Located<String>) -> Terms<'_> {
    Terms::new(Side::Source).with(Some(name))
}

#[test]
fn what_a_status_means() {
    let google = |reason: &str| {
        format!(
            r#"{{"error":{{"code":403,"message":"Quota","errors":[{{"reason":"{reason}"}}]}}}}"#
        )
    };
    let cases = [
        (
            400,
            r#"{"error":{"message":"Unable to parse range: X"}}"#.to_owned(),
            1,
            "failed:config: HOST answered 400 Bad Request to a GET: Unable to parse range: X",
        ),
        (
            403,
            r#"{"error":{"message":"no access"}}"#.to_owned(),
            1,
            "failed:permission: HOST answered 403 Forbidden to a GET: no access; let the account of test/api",
        ),
        (
            403,
            google("rateLimitExceeded"),
            6,
            "failed:quota: HOST answered 403 Forbidden to a GET: Quota",
        ),
        (403, google("userRateLimitExceeded"), 6, "failed:quota: "),
        (403, google("quotaExceeded"), 6, "failed:quota: "),
        (
            404,
            "<html>gone</html>".to_owned(),
            1,
            "failed:not_found: HOST answered 404 Not Found to a GET: (a page); nothing was deleted here",
        ),
        (410, String::new(), 1, "failed:not_found: "),
        (
            422,
            "no\n  such field".to_owned(),
            1,
            "failed:config: HOST answered 422 Unprocessable Entity to a GET: no such field",
        ),
        (429, String::new(), 6, "failed:quota: HOST answered 429 Too Many Requests to a GET"),
        (
            500,
            "oops".to_owned(),
            8,
            "failed:source: HOST answered 500 Internal Server Error to a GET: oops",
        ),
        (503, String::new(), 8, "failed:source: "),
    ];
    for (status, body, tries, words) in cases {
        let (stand, name) = (Stand::new(), named());
        let web = Web::answering([Reply::of(status, body)]);
        let trouble = ask(&stand, &web.url, with(&name)).unwrap_err();
        let host = web.url.trim_start_matches("http://");
        let told = told(&trouble);
        assert!(told.starts_with(&words.replace("HOST", host)), "{status}: {told}");
        assert_eq!(web.seen().len(), tries, "{status}: {:?}", stand.waits());
        let may = matches!(Failure::from(trouble).class, FailureClass::Permanent);
        assert_eq!(may, tries == 1, "{status}");
    }
}

#[test]
fn retry_after_is_honoured_and_a_wish_beyond_the_patience_goes_to_the_engine() {
    let (stand, name) = (Stand::new(), named());
    let busy = Reply::of(429, "").with("retry-after", "20");
    let web = Web::answering([busy, Reply::of(200, "done")]);
    assert_eq!(ask(&stand, &web.url, with(&name)).unwrap(), "done");
    let waits = stand.waits();
    assert!(waits.len() == 1 && (20..=22).contains(&waits[0]), "{waits:?}");

    let stand = Stand::new();
    let web = Web::answering([Reply::of(429, "").with("retry-after", "3600")]);
    let trouble = ask(&stand, &web.url, with(&name)).unwrap_err();
    assert_eq!((web.seen().len(), trouble.retry_after), (1, Some(Duration::from_hours(1))));
    assert!(stand.waits().is_empty());
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    let (stand, name) = (Stand::new(), named());
    stand.put_token(TOKEN);
    let path = stand.bench.path("token");
    let web = Web::start(move |seen| {
        if seen.header("authorization") == "Bearer another-canary-token" {
            return Reply::of(200, "done");
        }
        std::fs::write(&path, "another-canary-token").unwrap();
        Reply::of(401, "")
    });
    assert_eq!(ask(&stand, &web.url, with(&name)).unwrap(), "done");
    let shown: Vec<_> =
        web.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(shown, [format!("Bearer {TOKEN}"), "Bearer another-canary-token".to_owned()]);
}

#[test]
fn a_revoked_token_is_the_credentials_failure_at_once() {
    let (stand, name) = (Stand::new(), named());
    let web = Web::answering([Reply::of(401, r#"{"error":"invalid_token"}"#)]);
    let trouble = ask(&stand, &web.url, with(&name)).unwrap_err();
    assert!(told(&trouble).starts_with("failed:auth: test/api: "), "{}", told(&trouble));
    let failure = Failure::from(trouble);
    assert_eq!(failure.class, FailureClass::Unauthorized);
    assert_eq!(failure.blocked_by.map(|name| name.to_string()).as_deref(), Some("test/api"));
    assert!(web.seen().len() <= 2 && stand.waits().is_empty(), "{:?}", web.targets());

    let web = Web::answering([Reply::of(401, "")]);
    let trouble = ask(&Stand::new(), &web.url, Terms::new(Side::Source)).unwrap_err();
    assert!(told(&trouble).contains("name a `credential`"), "{}", told(&trouble));
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again_and_a_stream_is_not() {
    let (stand, name) = (Stand::new(), named());
    let broken = Reply::of(200, "0123456789").broken();
    let web =
        Web::answering([broken.clone(), Reply::of(200, "").broken(), Reply::of(200, "0123456789")]);
    assert_eq!(ask(&stand, &web.url, with(&name)).unwrap(), "0123456789");
    assert_eq!(web.seen().len(), 3);

    let web = Web::answering([broken]);
    let attempt = stand.attempt(JOB);
    let wire = Wire::open(&attempt.tools, with(&name)).unwrap();
    let answer = wire.ask(&Request::get(address("url", &web.url).unwrap())).unwrap();
    let error = answer.reader().read_to_end(&mut Vec::new()).unwrap_err();
    let trouble = broke(&error);
    assert!(told(&trouble).contains("broke off"), "{}", told(&trouble));
}

#[test]
fn what_may_have_been_done_is_not_done_twice() {
    let (stand, name) = (Stand::new(), named());
    for (reply, tries) in [
        (Reply::of(200, "").broken(), 1),
        (Reply::of(503, ""), 1),
        (Reply::of(429, "").with("retry-after", "1"), 2),
    ] {
        let web = Web::answering([reply, Reply::of(200, "done")]);
        let attempt = stand.attempt(JOB);
        let wire = Wire::open(&attempt.tools, with(&name)).unwrap();
        let request = Request {
            verb: reqwest::Method::POST,
            body: Some(b"{}".to_vec()),
            ..Request::get(address("url", &web.url).unwrap())
        };
        let done = wire.whole(&request, Repeat::Refused, 1 << 20);
        assert_eq!((web.seen().len(), done.is_ok()), (tries, tries == 2));
    }
}

#[test]
fn a_redirect_to_another_host_takes_no_credential_along() {
    let (stand, name) = (Stand::new(), named());
    let other = Web::answering([Reply::of(200, "there")]);
    let there = other.url.replace("127.0.0.1", "localhost");
    let web = Web::answering([Reply::of(302, "").with("location", &there)]);
    assert_eq!(ask(&stand, &web.url, with(&name)).unwrap(), "there");
    assert_eq!(web.seen()[0].header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(other.seen()[0].header("authorization"), "");
    // And where it may not be shown at all, nobody is asked.
    let trouble = ask(&stand, &there, with(&name)).unwrap_err();
    assert!(
        told(&trouble).starts_with("failed:config: localhost may not see"),
        "{}",
        told(&trouble)
    );
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn requests_in_a_row_share_a_connection_and_a_budget() {
    let (stand, name) = (Stand::new(), named());
    let web = Web::answering([Reply::of(200, "x")]);
    let attempt = stand.attempt(JOB);
    let limit = Limit { requests: 3, per: Duration::from_mins(1) };
    let wire = Wire::open(&attempt.tools, with(&name)).unwrap().counted("a".to_owned(), limit);
    let request = Request::get(address("url", &web.url).unwrap());
    for _ in 0..7 {
        wire.whole(&request, Repeat::Freely, 1 << 20).unwrap();
    }
    // On a busy machine one is not always back in time for the next request.
    let last = web.seen().iter().map(|seen| seen.connection).max().unwrap();
    assert!(last < 6, "{last}");
    assert_eq!(stand.waits(), [60, 60]);
}

#[test]
fn a_stop_ends_a_wait() {
    let (stand, name) = (Stand::new(), named());
    let attempt = stand.attempt(JOB);
    let pull = attempt.pull.clone();
    let web = Web::start(move |_| {
        pull.send_replace(Some(crate::kinds::StopReason::Cancelled));
        Reply::of(503, "")
    });
    let wire = Wire::open(&attempt.tools, with(&name)).unwrap();
    let request = Request::get(address("url", &web.url).unwrap());
    let trouble = wire.whole(&request, Repeat::Freely, 1 << 20).map(drop).unwrap_err();
    assert_eq!(trouble, Trouble::cancelled());
    assert_eq!(web.seen().len(), 1);
}

#[test]
fn an_answer_without_end_is_no_answer() {
    let (stand, name) = (Stand::new(), named());
    let web = Web::answering([Reply::of(200, "x".repeat(2 << 20))]);
    let trouble = ask(&stand, &web.url, with(&name)).unwrap_err();
    assert!(told(&trouble).ends_with("is longer than 1 MiB"), "{}", told(&trouble));
    assert_eq!(web.seen().len(), 1);
}
