//! Keys of Amazon Web Services, and the signature that they make.
//!
//! Owns where keys are read from and Signature Version 4 of one request. Refuses to know what is asked of
//! which service: the kinds that do will call [`sign`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign as sign_request,
};
use aws_sigv4::sign::v4;
use jiff::Timestamp;
use oauth2::http::Request;

use super::{World, not_ended, place};
use crate::credentials::declare::{Aws, AwsKeys, SecretPlace};
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::{Minted, Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// Reads the keys.
pub(super) async fn mint(aws: &Aws, world: &World) -> Result<Minted, Evidence> {
    not_ended(aws.expires_on, world.clock.now())?;
    let value = match &aws.keys {
        AwsKeys::Pair { access_key_id, secret_access_key, session_token } => {
            let id = place::read(access_key_id, world).await?;
            let session = match session_token {
                Some(place) => Some(place::read(place, world).await?),
                None => None,
            };
            TokenValue::Aws {
                access_key_id: id.expose().trim().to_owned(),
                secret_access_key: place::read(secret_access_key, world).await?,
                session_token: session,
            }
        }
        AwsKeys::Profile { file, profile } => {
            let text = place::read(&SecretPlace::File(file.clone()), world).await?;
            of_profile(text.expose(), profile).map_err(|words| {
                Evidence::new(CredentialClass::LocalStore, format!("{}: {words}", shown(file)))
            })?
        }
    };
    let token = Token { value, expires_at: aws.expires_on, scopes: None };
    Ok(Minted { token, refresh_token: None, ends: Vec::new(), account: None, skew: None })
}

fn shown(file: &Path) -> String {
    format!("file {}", file.display())
}

/// The keys of one profile, in the form of `~/.aws/credentials`.
fn of_profile(text: &str, profile: &str) -> Result<TokenValue, String> {
    let head = |line: &str| {
        let inner = line.strip_prefix('[')?.split(']').next()?.trim();
        Some(inner.strip_prefix("profile ").unwrap_or(inner).trim() == profile)
    };
    let mut inside = false;
    let mut found = BTreeMap::new();
    let mut seen = false;
    for line in text.lines().map(str::trim) {
        if let Some(ours) = head(line) {
            inside = ours;
            seen |= ours;
        } else if inside && !line.starts_with(['#', ';']) {
            let pair = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            found.extend(pair);
        }
    }
    if !seen {
        return Err(format!("there is no profile `{profile}`"));
    }
    let take = |key: &str| {
        let value = found.get(key).filter(|value| !value.is_empty());
        value.copied().ok_or_else(|| format!("profile `{profile}` has no {key}"))
    };
    Ok(TokenValue::Aws {
        access_key_id: take("aws_access_key_id")?.to_owned(),
        secret_access_key: Secret::new(take("aws_secret_access_key")?),
        session_token: take("aws_session_token").ok().map(Secret::new),
    })
}

/// What a request is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedFor<'a> {
    /// The region, such as `eu-central-1`.
    pub region: &'a str,
    /// The service, such as `s3`.
    pub service: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Signs a request by Signature Version 4: adds its headers.
pub fn sign(
    request: &mut Request<Vec<u8>>,
    keys: &TokenValue,
    signed_for: SignedFor<'_>,
) -> Result<(), Evidence> {
    let failed = |words: &str| {
        Evidence::new(CredentialClass::Software, format!("the request can't be signed: {words}"))
    };
    let TokenValue::Aws { access_key_id, secret_access_key, session_token } = keys else {
        return Err(failed("the credential has no keys of AWS"));
    };
    let identity = Credentials::new(
        access_key_id.clone(),
        secret_access_key.expose(),
        session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "jada",
    )
    .into();
    let since_1970 = Duration::from_secs(signed_for.at.as_second().try_into().unwrap_or(0));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signed_for.region)
        .name(signed_for.service)
        .time(UNIX_EPOCH + since_1970)
        .settings(settings(signed_for.service))
        .build()
        .map_err(|_| failed("something is missing"))?;
    let headers: Option<Vec<(&str, &str)>> = request
        .headers()
        .iter()
        .map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let headers = headers.ok_or_else(|| failed("a header is no text"))?;
    let uri = request.uri().to_string();
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(request.method().as_str(), uri, headers.into_iter(), body)
        .map_err(|_| failed("its address is none"))?;
    let (instructions, _) = sign_request(signable, &SigningParams::V4(params))
        .map_err(|_| failed("its address is none"))?
        .into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// S3 wants its paths as they are, and the body's hash in a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

/// The service and region that a host of Amazon's stands for; `None` where its name does not tell. A
/// service without a region in its name is asked in the one that all such are signed for.
#[must_use]
pub fn of_host(host: &str) -> Option<(&str, &str)> {
    let name = host.strip_suffix(".amazonaws.com.cn").or(host.strip_suffix(".amazonaws.com"))?;
    let is_region = |label: &str| {
        label.matches('-').count() >= 2 && label.ends_with(|last: char| last.is_ascii_digit())
    };
    let mut labels = name.rsplit('.');
    let last = labels.next().filter(|label| !label.is_empty())?;
    if is_region(last) {
        labels.next().map(|service| (service, last))
    } else {
        Some((last, "us-east-1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "[default]\naws_access_key_id = AKIDEXAMPLE\n# note\n\
        aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n\n\
        [profile other]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=s\n\
        aws_session_token=t\n[broken]\naws_access_key_id=x\n";

    #[test]
    fn a_profile_is_read_as_the_vendors_tools_write_it() {
        let told = |profile: &str| match of_profile(KEYS, profile) {
            Ok(TokenValue::Aws { access_key_id, session_token, .. }) => {
                format!("{access_key_id} {}", session_token.is_some())
            }
            Ok(other) => format!("{other:?}"),
            Err(words) => words,
        };
        assert_eq!(told("default"), "AKIDEXAMPLE false");
        assert_eq!(told("other"), "AKIAOTHER true");
        assert_eq!(told("broken"), "profile `broken` has no aws_secret_access_key");
        assert_eq!(told("none"), "there is no profile `none`");
    }

    #[test]
    fn a_host_tells_what_is_signed_for() {
        for (host, expected) in [
            ("iam.amazonaws.com", Some(("iam", "us-east-1"))),
            ("sts.eu-central-1.amazonaws.com", Some(("sts", "eu-central-1"))),
            ("bucket.s3.us-west-2.amazonaws.com", Some(("s3", "us-west-2"))),
            ("my-1.s3.amazonaws.com", Some(("s3", "us-east-1"))),
            ("x.execute-api.ap-south-1.amazonaws.com", Some(("execute-api", "ap-south-1"))),
            ("ec2.cn-north-1.amazonaws.com.cn", Some(("ec2", "cn-north-1"))),
            (".amazonaws.com", None),
            ("amazonaws.com", None),
            ("example.com", None),
        ] {
            assert_eq!(of_host(host), expected, "{host}");
        }
    }

    #[test]
    fn s3_gets_the_hash_of_the_body() {
        let mut request =
            Request::builder().uri("https://b.s3.amazonaws.com/a%20b").body(b"x".to_vec()).unwrap();
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        let signed_for = SignedFor { region: "us-east-1", service: "s3", at };
        sign(&mut request, &of_profile(KEYS, "other").unwrap(), signed_for).unwrap();
        let hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(request.headers()["x-amz-content-sha256"], hash);
        assert_eq!(request.headers()["x-amz-security-token"], "t");
        let keys = TokenValue::Bearer(Secret::new("canary"));
        let refused = sign(&mut request, &keys, signed_for).unwrap_err();
        assert_eq!(refused.words, "the request can't be signed: the credential has no keys of AWS");
    }

    /// The example of Amazon's own documentation of the signature's steps.
    #[test]
    fn the_signature_is_that_of_the_documented_example() {
        let mut request = Request::builder()
            .uri("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Vec::new())
            .unwrap();
        let keys = of_profile(KEYS, "default").unwrap();
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        let signed_for = SignedFor { region: "us-east-1", service: "iam", at };
        sign(&mut request, &keys, signed_for).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        let authorization = header("authorization");
        let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert!(authorization.ends_with(signature), "{authorization}");
    }
}
