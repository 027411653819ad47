//! One call of the service, with the patience that it asks for.
//!
//! Owns the form of requests and of refusals, and what follows from each: a refused key is read again once, a
//! throttled call is made again. Refuses to know what is asked.

use std::time::Duration;

use jiff::Timestamp;
use oauth2::http::Request as Unsigned;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::credentials::declare::Declaration;
use crate::credentials::evidence::Evidence;
use crate::credentials::keeper::{Lease, Refused};
use crate::credentials::providers::aws::{SignedFor, sign};
use crate::kinds::wire::{self, Caller, Clients, Connections, Lost, NoLease};
use crate::model::{CredentialClass, FailureClass, Fault};

/// The service's name in signatures.
const SERVICE: &str = "lightsail";

/// What stands before the name of an operation.
const TARGET: &str = "Lightsail_20161128";

/// Tries of a call that is throttled or fails at the other side.
const TRIES: u32 = 4;

/// The wait before the second try; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Errors that say something against the keys.
const AGAINST_KEYS: &[&str] = &[
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "ExpiredToken",
    "ExpiredTokenException",
    "UnauthenticatedException",
];

/// Errors that ask for patience.
const BUSY: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// Errors that are the clock's.
const SKEWED: &[&str] = &["RequestTimeTooSkewed", "RequestExpired"];

/// Who asks, and where.
pub(in crate::kinds) struct Client<'a> {
    /// On whose behalf.
    pub(in crate::kinds) caller: &'a Caller<'a>,
    /// Who sends.
    pub(in crate::kinds) clients: &'a Clients,
    /// Time.
    pub(in crate::kinds) clock: &'a dyn Clock,
    /// The region.
    pub(in crate::kinds) region: &'a str,
    /// Where the service is.
    pub(in crate::kinds) url: Url,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::kinds) enum Trouble {
    /// The credential was refused.
    Refused(Refused),
    /// The service says no, or something that can't be understood.
    Said {
        /// What is wrong.
        fault: Fault,
        /// The class of a failure.
        class: FailureClass,
        /// The same in words.
        words: String,
    },
    /// There was nobody to ask, or nothing to ask with.
    Lost(String, Option<Fault>),
}

impl From<NoLease> for Trouble {
    fn from(none: NoLease) -> Self {
        match none {
            NoLease::Refused(refused) => Self::Refused(refused),
            NoLease::Never(words) => Self::Lost(words, Some(Fault::Configuration)),
        }
    }
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unmade(words) => Self::Lost(words, Some(Fault::Configuration)),
            Lost::Unanswered(words, fault) => Self::Lost(words, fault),
        }
    }
}

/// Where the service of a region is.
pub(in crate::kinds) fn endpoint(region: &str) -> String {
    format!("https://{SERVICE}.{region}.amazonaws.com/")
}

/// What is wrong with the name of a region, with the way out.
pub(in crate::kinds) fn region_problem(region: &str) -> Option<(String, &'static str)> {
    let mut labels = region.split('-');
    let first = labels.next().is_some_and(|label| label.len() == 2);
    let rest: Vec<&str> = labels.collect();
    let plain =
        |label: &&str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric());
    let lower = !region.bytes().any(|c| c.is_ascii_uppercase());
    let ends = region.ends_with(|c: char| c.is_ascii_digit());
    let good = first && rest.len() >= 2 && rest.iter().all(plain) && lower && ends;
    // A zone is a region with a letter behind it.
    (!good).then(|| (format!("`{region}` is no region"), "write it like `eu-central-1`"))
}

/// An answer: what it says, or the code and the words of a refusal.
type Answered = Result<Zeroizing<Vec<u8>>, (StatusCode, String, String)>;

impl Client<'_> {
    /// Calls an operation.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        input: &Json,
    ) -> Result<T, Trouble> {
        let body = self.answer(operation, input).await?;
        serde_json::from_slice(&body).map_err(|error| Trouble::Said {
            fault: Fault::BadAnswer,
            class: FailureClass::Transient,
            words: format!("the answer to {operation} can't be understood: {error}"),
        })
    }

    async fn answer(&self, operation: &str, input: &Json) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let declared = self.caller.declared()?;
        let mut lease = self.caller.lease().await?;
        for again in [false, true] {
            let refusal = match self.patiently(operation, input, (&declared, &lease)).await? {
                Ok(body) => return Ok(body),
                Err(refusal) => refusal,
            };
            let (status, code, words) = &refusal;
            if !is_against_keys(code, words) {
                return Err(self.said(operation, &refusal));
            }
            // It may have been replaced where it lies, and is read again. Who refuses that too refuses the key.
            let evidence = Evidence {
                status: Some(status.as_u16()),
                ..Evidence::new(CredentialClass::TokenStale, format!("{code}: {words}"))
            };
            lease = self.caller.instead(&lease, evidence, again).await?;
        }
        Err(Trouble::Lost(
            "the keys are refused, and are no others".to_owned(),
            Some(Fault::Refused),
        ))
    }

    /// Makes a call, and makes it again while the service asks for patience. None of them changes anything.
    async fn patiently(
        &self,
        operation: &str,
        input: &Json,
        shown: (&Declaration, &Lease),
    ) -> Result<Answered, Trouble> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.once(operation, input, shown).await? {
                Err((status, code, _)) if status.is_server_error() || BUSY.contains(&&*code) => {}
                answered => return Ok(answered),
            }
            self.clock.sleep(wait).await;
            wait *= 2;
        }
        self.once(operation, input, shown).await
    }

    async fn once(
        &self,
        operation: &str,
        input: &Json,
        (declared, lease): (&Declaration, &Lease),
    ) -> Result<Answered, Trouble> {
        let unmade = |words: String| Trouble::Lost(words, Some(Fault::Configuration));
        wire::may_see(declared, &self.url).map_err(unmade)?;
        let mut request = Unsigned::builder()
            .method("POST")
            .uri(self.url.as_str())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("{TARGET}.{operation}"))
            .body(input.to_string().into_bytes())
            .map_err(|error| unmade(format!("the request can't be made: {error}")))?;
        let at = self.clock.now();
        let signed_for = SignedFor { region: self.region, service: SERVICE, at };
        sign(&mut request, &lease.token.value, signed_for)
            .map_err(|evidence| unmade(format!("{}: {}", declared.name, evidence.words)))?;
        let client = self.clients.stepping(&self.url, Connections::Fresh).map_err(unmade)?;
        let (parts, body) = request.into_parts();
        let mut building = client.post(self.url.clone()).body(body);
        for (name, value) in &parts.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            building = building.header(name, value);
        }
        let mut answer = wire::send(building, &self.url, self.clock).await?;
        let status = answer.response.status();
        let kind = answer.header("x-amzn-errortype").map(str::to_owned);
        answer.body().await.map_err(|error| {
            Trouble::Lost(format!("the answer broke off: {error}"), wire::fault::of_error(&error))
        })?;
        let body = Zeroizing::new(answer.read.take().unwrap_or_default());
        if status.is_success() {
            return Ok(Ok(body));
        }
        let (code, words) = refusal(kind.as_deref(), &body, status);
        Ok(Err((status, code, words)))
    }

    /// What a refusal means that is not the keys'.
    fn said(
        &self,
        operation: &str,
        (status, code, words): &(StatusCode, String, String),
    ) -> Trouble {
        let (fault, class, hint) = if BUSY.contains(&code.as_str()) {
            (Fault::Throttled, FailureClass::Throttled, "; look less often")
        } else if SKEWED.contains(&code.as_str()) || is_skewed(words) {
            (Fault::ClockSkew, FailureClass::Transient, "; the clock of this host is wrong")
        } else if status.is_server_error() {
            (Fault::ServerError, FailureClass::Transient, "")
        } else if code.starts_with("AccessDenied") {
            let hint = "; the keys' policy must allow it: lightsail:";
            (Fault::PermissionDenied, FailureClass::Unauthorized, hint)
        } else if code == "NotFoundException" || code == "DoesNotExist" {
            (Fault::NotFound, FailureClass::Permanent, "; look at its name and at `region`")
        } else if code.ends_with("SetupInProgressException") {
            (
                Fault::ServerError,
                FailureClass::Transient,
                "; it is being set up, which takes a while",
            )
        } else {
            (Fault::BadRequest, FailureClass::Permanent, "")
        };
        let named = if hint.ends_with(':') { operation } else { "" };
        let words = format!("{operation} in {}: {code}: {words}{hint}{named}", self.region);
        Trouble::Said { fault, class, words }
    }

    /// The state of an instance, such as `running`.
    pub(in crate::kinds) async fn state(&self, instance: &str) -> Result<String, Trouble> {
        let input = json!({ "instanceName": instance });
        let answer: StateAnswer = self.call("GetInstanceState", &input).await?;
        Ok(answer.state.name)
    }

    /// Now, as the service counts it.
    pub(super) fn seconds(&self, before: Duration) -> i64 {
        let now = self.clock.now();
        now.checked_sub(before).unwrap_or(Timestamp::UNIX_EPOCH).as_second()
    }
}

#[derive(Deserialize)]
struct StateAnswer {
    state: State,
}

#[derive(Deserialize)]
struct State {
    name: String,
}

fn is_against_keys(code: &str, words: &str) -> bool {
    // A signature that is too old or too new is well made, by a clock that is wrong.
    AGAINST_KEYS.contains(&code) && !is_skewed(words)
}

fn is_skewed(words: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|sign| words.contains(sign))
}

/// The code and the words of a refusal: `__type` may have a namespace before it, the header an address behind.
fn refusal(header: Option<&str>, body: &[u8], status: StatusCode) -> (String, String) {
    let document = serde_json::from_slice::<Json>(body).unwrap_or_default();
    let text = |key: &str| document[key].as_str().map(str::to_owned);
    let kind = header.map(str::to_owned).or_else(|| text("__type")).or_else(|| text("code"));
    let kind = kind.unwrap_or_else(|| format!("HTTP {}", status.as_u16()));
    let code = kind.rsplit('#').next().unwrap_or(&kind);
    let code = code.split(':').next().unwrap_or(code).trim().to_owned();
    let words = text("message").or_else(|| text("Message")).unwrap_or_default();
    (code, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_however_it_is_written() {
        for (header, body, expected) in [
            (None, r#"{"__type":"NotFoundException","message":"m"}"#, "NotFoundException m"),
            (
                None,
                r#"{"__type":"com.amazonaws.x#AccessDeniedException","Message":"M"}"#,
                "AccessDeniedException M",
            ),
            (
                Some("ThrottlingException:http://internal/"),
                r#"{"message":"slow"}"#,
                "ThrottlingException slow",
            ),
            (None, "<html>", "HTTP 502 "),
        ] {
            let (code, words) = refusal(header, body.as_bytes(), StatusCode::BAD_GATEWAY);
            assert_eq!(format!("{code} {words}"), expected);
        }
    }

    #[test]
    fn regions_are_no_zones_and_no_hosts() {
        for good in ["eu-central-1", "us-east-1", "ap-southeast-2", "us-gov-west-1"] {
            assert_eq!(region_problem(good), None, "{good}");
        }
        for bad in [
            "",
            "eu-central-1a",
            "frankfurt",
            "EU-CENTRAL-1",
            "eu--1",
            "x.example.com",
            "eu-central-1/",
        ] {
            assert!(region_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn an_old_signature_is_the_clocks_fault_and_no_key_is_blamed() {
        let old = "Signature expired: 20261125T000000Z is now earlier than 20261125T001000Z";
        assert!(!is_against_keys("InvalidSignatureException", old));
        assert!(is_against_keys(
            "InvalidSignatureException",
            "The request signature we calculated …"
        ));
        assert!(!is_against_keys("AccessDeniedException", ""));
    }
}
