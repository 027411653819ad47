//! `heartbeat`: whom the daemon tells, again and again, that it is alive.
//!
//! Owns the section and what may stand there. Refuses to know what is said, and when nothing is.

use std::time::Duration;

use super::forms::Tried;
use super::settings::Settings;
use crate::kinds::post;
use crate::model::CredentialName;
use crate::yaml::decode::numbers::Seconds;
use crate::yaml::{Code, Decoder, Located, section};

/// How often, where nothing is said.
const EVERY: Duration = Duration::from_mins(1);

/// The shortest time between two.
const SHORTEST: Duration = Duration::from_secs(10);

section! {
    /// Tells an address, again and again, that the daemon is alive and gets its messages out. It stays away
    /// while nobody is told of incidents: whoever listens there then knows that something is wrong.
    pub struct HeartbeatSection {
        /// Where: it gets a POST with a few figures as JSON. The ping address of Healthchecks.io and its
        /// like will do.
        pub url: Located<String>,
        /// How often: `1m` where it is not given, and at least every 10 s.
        pub every: Tried<Located<Seconds>>,
        /// A credential that is shown there.
        pub credential: Tried<Located<String>>,
    }
}

/// Whom the daemon tells that it is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Where.
    pub url: String,
    /// How often.
    pub every: Duration,
    /// The credential that is shown there.
    pub credential: Option<CredentialName>,
}

/// Reads the section; what is wrong with it is reported, and there is no heartbeat then.
pub(super) fn read(
    section: &HeartbeatSection,
    settings: &Settings,
    cx: &mut Decoder,
) -> Option<Heartbeat> {
    let url = &section.url;
    let mut good = true;
    if let Some((message, help)) = post::bad_address(&url.value) {
        cx.report(Code::BadAddress, url.span, message).help(help);
        good = false;
    }
    let every = section.every.as_ref().map_or(EVERY, |every| every.value.0);
    if let Some(given) = section.every.as_ref().filter(|_| every < SHORTEST) {
        let message = "a heartbeat more often than every 10 s".to_owned();
        cx.report(Code::OutOfRange, given.span, message).help("write 10s or more, such as 1m");
        good = false;
    }
    let mut credential = None;
    if let Some(name) = section.credential.as_ref() {
        super::checks::credential(&name.value, name.span, settings, cx);
        credential = CredentialName::parse(&name.value).ok();
    }
    good.then(|| Heartbeat { url: url.value.clone(), every, credential })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::config;

    /// The heartbeat that a text gives, or what is wrong with it.
    fn read(text: &str) -> Result<Heartbeat, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jada.yaml");
        std::fs::write(&file, text).unwrap();
        let config = config::read(&file);
        if config.is_good() {
            return Ok(config.settings.heartbeat.expect("a good one"));
        }
        let told = config.diagnostics.iter().map(|told| format!("{} {}", told.code, told.message));
        Err(told.collect())
    }

    #[test]
    fn what_may_stand_there() {
        let ping = "https://hc-ping.com/0123";
        let beat = read(&format!("heartbeat: {{ url: '{ping}' }}")).unwrap();
        assert_eq!((beat.url.as_str(), beat.every), (ping, EVERY));
        let beat = read(&format!("heartbeat: {{ url: '{ping}', every: 10s }}")).unwrap();
        assert_eq!(beat.every, SHORTEST);
        let key = "credentials: { k: { static: { bearer: { file: k } } } }\n";
        let beat = read(&format!("{key}heartbeat: {{ url: '{ping}', credential: k }}")).unwrap();
        assert_eq!(beat.credential.unwrap().as_str(), "k");
        let wrong = [
            ("{ url: 'ftp://x' }", "J058"),
            ("{ url: 'https://u:p@x/' }", "J052"),
            ("{ url: nowhere }", "J058"),
            ("{ url: 'https://x/', every: 9s }", "J030"),
            ("{ url: 'https://x/', credential: none }", "J043"),
            ("{ every: 1m }", "J022"),
        ];
        for (text, code) in wrong {
            let told = read(&format!("heartbeat: {text}")).unwrap_err();
            assert!(told[0].starts_with(code), "{text}: {told:?}");
        }
    }
}
