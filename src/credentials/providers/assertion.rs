//! Statements that a private key signs: JSON web tokens with RS256.
//!
//! Owns the signature and how keys are read. Refuses to know who believes the statement.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::credentials::evidence::Evidence;
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// Signs claims with an RSA key in PEM. `whose` names the key in messages.
pub(super) fn sign(
    claims: &Json,
    key_id: Option<&str>,
    pem: &Secret,
    whose: &str,
) -> Result<Secret, Evidence> {
    let local = |words: &str| {
        Evidence::new(CredentialClass::LocalStore, format!("the key of {whose} {words}"))
    };
    let key = read(pem).ok_or_else(|| local("is no RSA key in PEM of at least 2048 bits"))?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT" });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let part = |value: &Json| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| local("does not sign"))?;
    Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// PKCS#8 as Google writes keys, and PKCS#1 as GitHub does.
fn read(pem: &Secret) -> Option<RsaKeyPair> {
    let text = pem.expose().trim();
    let body = |label: &str| {
        let rest = text.strip_prefix(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let letters = body.chars().filter(|letter| !letter.is_whitespace());
        let packed: Zeroizing<String> = Zeroizing::new(letters.collect());
        STANDARD.decode(packed.as_bytes()).ok().map(Zeroizing::new)
    };
    match (body("PRIVATE KEY"), body("RSA PRIVATE KEY")) {
        (Some(der), _) => RsaKeyPair::from_pkcs8(&der).ok(),
        (None, Some(der)) => RsaKeyPair::from_der(&der).ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::credentials::providers::tests::{RSA_PKCS1, RSA_PKCS8};

    #[test]
    fn both_forms_of_a_key_sign_the_same_statement() {
        let claims = json!({ "iss": "me" });
        let signed = |pem: &str| sign(&claims, Some("k1"), &Secret::new(pem), "me").unwrap();
        let token = signed(RSA_PKCS8);
        assert_eq!(token, signed(RSA_PKCS1));
        let (text, signature) = token.expose().rsplit_once('.').unwrap();
        let key = read(&Secret::new(RSA_PKCS8)).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let (header, body) = text.split_once('.').unwrap();
        let part = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(part(header), r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#);
        assert_eq!(part(body), r#"{"iss":"me"}"#);
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        for pem in ["canary", "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----", ""]
        {
            let evidence = sign(&json!({}), None, &Secret::new(pem), "app 7").unwrap_err();
            assert_eq!(evidence.class, CredentialClass::LocalStore);
            assert_eq!(
                evidence.words,
                "the key of app 7 is no RSA key in PEM of at least 2048 bits"
            );
        }
    }
}
