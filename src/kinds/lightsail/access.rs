//! The way into an instance: a temporary key with its certificate, and the keys by which its host is known.
//!
//! Owns the files, in a folder that nobody else can enter and that goes with the run, and the end of the
//! certificate: a client that comes later hears no more than "Permission denied". Refuses to go in.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::client::{Client, Trouble};
use crate::kinds::grant::Folder;
use crate::model::{FailureClass, Fault};

/// Names of the files.
const KEY: &str = "id";
const CERTIFICATE: &str = "id-cert.pub";
const KNOWN_HOSTS: &str = "known_hosts";

/// A way in, for as long as this is held.
#[derive(Debug)]
pub(in crate::kinds) struct Access {
    /// Who logs in.
    pub(in crate::kinds) user: String,
    /// Where: an address.
    pub(in crate::kinds) host: String,
    /// The file of the temporary key.
    pub(in crate::kinds) key: PathBuf,
    /// The file of its certificate.
    pub(in crate::kinds) certificate: PathBuf,
    /// The file of the host's keys.
    pub(in crate::kinds) known_hosts: PathBuf,
    /// When the certificate ends.
    pub(in crate::kinds) expires_at: Timestamp,
    /// All files go with it.
    _folder: Arc<Folder>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    cert_key: String,
    private_key: String,
    username: String,
    ip_address: Option<String>,
    #[serde(default)]
    ipv6_addresses: Vec<String>,
    expires_at: f64,
    #[serde(default)]
    host_keys: Vec<HostKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostKey {
    algorithm: String,
    public_key: String,
}

impl Client<'_> {
    /// Gets a way into an instance, and puts its files into the folder.
    pub(in crate::kinds) async fn access(
        &self,
        instance: &str,
        port: u16,
        folder: Arc<Folder>,
    ) -> Result<Access, Trouble> {
        let input = json!({ "instanceName": instance, "protocol": "ssh" });
        let answer: Answer = self.call("GetInstanceAccessDetails", &input).await?;
        let details = answer.access_details;
        let key = Zeroizing::new(details.private_key);
        let expires_at = Timestamp::from_microsecond(micros(details.expires_at))
            .map_err(|_| odd("its end is no time", Fault::BadAnswer))?;
        if expires_at <= self.clock.now() {
            let words = format!(
                "the temporary key ended at {expires_at}; is the clock of this host right?"
            );
            return Err(odd(&words, Fault::ClockSkew));
        }
        let host = details.ip_address.filter(|address| !address.is_empty());
        let host = host.or(details.ipv6_addresses.into_iter().next());
        let host = host.ok_or_else(|| odd("the instance has no address", Fault::NetUnreachable))?;
        let known = known_hosts(&host, port, &details.host_keys);
        if known.is_empty() {
            // Whoever answers at the address could be anybody.
            let words = "the service knows no keys of the instance's host yet; it looks for them some \
                         minutes after a start";
            return Err(odd(words, Fault::CertUntrusted));
        }
        if !is_login(&details.username) || !is_address(&host) {
            return Err(odd("its user or its address can't be one", Fault::BadAnswer));
        }
        put(&folder, KEY, ended(&key)).await?;
        put(&folder, CERTIFICATE, ended(&details.cert_key)).await?;
        put(&folder, KNOWN_HOSTS, Zeroizing::new(known)).await?;
        Ok(Access {
            user: details.username,
            host,
            key: folder.path(KEY),
            certificate: folder.path(CERTIFICATE),
            known_hosts: folder.path(KNOWN_HOSTS),
            expires_at,
            _folder: folder,
        })
    }
}

fn odd(words: &str, fault: Fault) -> Trouble {
    Trouble::Said {
        fault,
        class: FailureClass::Transient,
        words: format!("no way into the instance: {words}"),
    }
}

async fn put(folder: &Arc<Folder>, name: &str, text: Zeroizing<String>) -> Result<(), Trouble> {
    let put = folder.put(name, text).await;
    put.map_err(|failure| Trouble::Lost(failure.message, Some(Fault::Configuration)))
}

/// A key file that does not end with a line is none to the client.
fn ended(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", text.trim_end()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time outside of all calendars is refused later"
)]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

/// The lines by which a client knows the host. A certificate of another protocol is passed over, and so is what
/// would break the line.
fn known_hosts(host: &str, port: u16, keys: &[HostKey]) -> String {
    let place = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    let line = |key: &HostKey| {
        // The service gives the key alone; who gives its algorithm before it is understood too.
        let bare = key.public_key.trim();
        let bare = bare.strip_prefix(&key.algorithm).unwrap_or(bare).trim();
        let bare = bare.split_whitespace().next().unwrap_or_default();
        let good = word(&key.algorithm) && word(bare) && key.algorithm != "x509-cert";
        good.then(|| format!("{place} {} {bare}\n", key.algorithm))
    };
    keys.iter().filter_map(line).collect()
}

/// Whether a text can stand for a user: it becomes a word of a program.
fn is_login(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-\\".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(good)
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_the_keys_of_the_answer() {
        let key = |algorithm: &str, public_key: &str| HostKey {
            algorithm: algorithm.to_owned(),
            public_key: public_key.to_owned(),
        };
        let keys = [
            key("ssh-ed25519", "AAAAC3Nz"),
            key("ssh-rsa", "ssh-rsa AAAAB3Nz comment"),
            key("x509-cert", "MIIB"),
            key("ssh-rsa\nevil", "AAAA"),
            key("ssh-dss", ""),
        ];
        let expected = "203.0.113.7 ssh-ed25519 AAAAC3Nz\n203.0.113.7 ssh-rsa AAAAB3Nz\n";
        assert_eq!(known_hosts("203.0.113.7", 22, &keys), expected);
        assert_eq!(known_hosts("::1", 2222, &keys[..1]), "[::1]:2222 ssh-ed25519 AAAAC3Nz\n");
    }

    #[test]
    fn what_becomes_a_word_of_a_program_is_looked_at() {
        for (text, good) in
            [("ec2-user", true), ("-oProxyCommand=x", false), ("a b", false), ("", false)]
        {
            assert_eq!(is_login(text), good, "{text}");
        }
        assert!(
            is_address("203.0.113.7")
                && is_address("::1")
                && !is_address("-x")
                && !is_address("a.b")
        );
    }
}
