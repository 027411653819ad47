//! Logging in with the browser of another machine.
//!
//! A host without a browser prints a request: the address to open, and a key made for this login alone.
//! `jadactl auth authorize` on a machine with a browser gets the code, seals it for that key, and prints an
//! answer to paste back. The request holds no secret, and the code is of no use without the verifier, which
//! never leaves the host.
//!
//! Owns both texts and their seal. Refuses to know terminals.

use std::str::FromStr as _;
use std::time::Duration;

use age::x25519::{Identity, Recipient};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::url::Url;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::asking::{is_loopback, with_redirect};
use super::loopback::Loopback;
use super::{Asking, Error, software};
use crate::clock::{Clock, within};
use crate::credentials::secret::Secret;
use crate::model::CredentialName;

const REQUEST: &str = "jada-login-";
const ANSWER: &str = "jada-answer-";

/// A login that waits for another machine.
pub struct Waiting {
    identity: Identity,
    request: String,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// What the other machine is asked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    name: String,
    url: String,
    key: String,
}

/// What it answers, sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    redirect: String,
    state: String,
    code: String,
}

impl Waiting {
    /// Prepares the request for a question.
    pub fn new(name: &CredentialName, asking: &Asking) -> Result<Self, Error> {
        let identity = Identity::generate();
        let question = Question {
            name: name.to_string(),
            url: asking.open_url().to_string(),
            key: identity.to_public().to_string(),
        };
        let request = pack(REQUEST, &json(&question)?);
        Ok(Self { identity, request })
    }

    /// The text to carry to the other machine.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Opens the answer: the code, and the redirect that it belongs to.
    pub fn open(&self, answer: &str, asking: &Asking) -> Result<(Secret, String), Error> {
        let sealed = unpack(ANSWER, answer, "the answer that `jadactl auth authorize` printed")?;
        let plain = age::decrypt(&self.identity, &sealed).map_err(|_| Error::OtherLogin)?;
        let plain = Zeroizing::new(plain);
        let answered: Answered = serde_json::from_slice(&plain)
            .map_err(|_| Error::Malformed("the answer is of another version".to_owned()))?;
        if !asking.is_ours(&answered.state) || !is_loopback(&answered.redirect) {
            return Err(Error::OtherLogin);
        }
        Ok((Secret::new(answered.code), answered.redirect))
    }
}

/// A request on the machine with the browser.
#[derive(Debug)]
pub struct Errand {
    name: String,
    url: Url,
    state: String,
    key: String,
}

impl Errand {
    /// Reads a request.
    pub fn read(request: &str) -> Result<Self, Error> {
        let what = "the request that `jadactl auth login --remote` printed";
        let malformed = || Error::Malformed(format!("this is not {what}"));
        let plain = unpack(REQUEST, request, what)?;
        let question: Question = serde_json::from_slice(&plain).map_err(|_| malformed())?;
        let url = Url::parse(&question.url).map_err(|_| malformed())?;
        let state = url.query_pairs().find(|(name, _)| name == "state");
        let state = state.map(|(_, value)| value.into_owned()).ok_or_else(malformed)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(malformed());
        }
        Ok(Self { name: question.name, url, state, key: question.key })
    }

    /// The credential that it is for, as the other host calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who will be asked for the consent: what a person should look at before they open it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The address to open, which leads back to this listener.
    #[must_use]
    pub fn url(&self, loopback: &Loopback) -> String {
        with_redirect(self.url.clone(), &loopback.redirect())
    }

    /// Waits for the code, and seals it: the text to paste on the other host.
    pub async fn answer(
        &self,
        loopback: Loopback,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<String, Error> {
        let redirect = loopback.redirect();
        let answering = loopback.answer(|state| state == self.state, clock);
        let code = within(clock, patience, answering).await.unwrap_or(Err(Error::Expired))?;
        let answered =
            Answered { redirect, state: self.state.clone(), code: code.expose().to_owned() };
        let key = Recipient::from_str(&self.key)
            .map_err(|_| Error::Malformed("the request has no key to seal for".to_owned()))?;
        let sealed = age::encrypt(&key, &json(&answered)?);
        Ok(pack(ANSWER, &sealed.map_err(|_| software("the answer can't be sealed"))?))
    }
}

fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = serde_json::to_vec(value).map(Zeroizing::new);
    text.map_err(|_| software("what is told the other machine can't be written"))
}

fn pack(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The bytes of a text that was carried by hand: terminals and mail break lines.
fn unpack(prefix: &str, text: &str, what: &str) -> Result<Vec<u8>, Error> {
    let letters: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let bytes = letters.strip_prefix(prefix).and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok());
    bytes.ok_or_else(|| Error::Malformed(format!("this is not {what}")))
}
