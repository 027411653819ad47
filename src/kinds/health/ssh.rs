//! The `ssh` probe: a plugin on another host, through the OpenSSH client.
//!
//! Owns the client's arguments, and the line between a host that is down and a look that was not let in. Refuses to
//! answer any question for a person: an unknown host key is refused, and a password is never asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::lightsail::LightsailProbe;
use super::measure::Quantity;
use super::probe::Found;
use crate::kinds::lightsail::Access;
use crate::model::{Family, Fault};
use crate::plan::signature;
use crate::yaml::{Code, Decoder, Located, one_of, section};

/// What it measures beside what the plugin reports.
pub(super) const MEASURES: &[(&str, Quantity)] = super::plugin::MEASURES;

/// The exit code of the client where it could not run the command.
const NOT_RUN: i32 = 255;

section! {
    /// A command on another host.
    pub struct SshProbe {
        /// The command, which the host's own shell reads; exit codes and performance data as of a monitoring
        /// plugin. A template.
        pub run: Located<String>,
        /// Who logs in; by default as the client is configured.
        pub user: Option<Located<String>>,
        /// The port.
        pub port: Option<u16>,
        /// A file with a private key; a relative path counts from the job's working directory. A template.
        pub identity: Option<Located<String>>,
        /// A file with the keys of hosts that are known, instead of the user's own. A template.
        pub known_hosts: Option<Located<String>>,

        one of
        /// Where it runs.
        pub target: SshTarget,
    }
}

one_of! {
    /// Where a command runs.
    pub enum SshTarget as "target" {
        /// The host. A template.
        host => Host(Located<String>),
        /// An instance of Amazon Lightsail. The key is a temporary one, and the host is known by the keys that
        /// Amazon has seen of it.
        lightsail => Lightsail(LightsailProbe),
    }
}

impl SshProbe {
    /// The host, where it is named.
    pub(super) fn host(&self) -> Option<&Located<String>> {
        match &self.target {
            SshTarget::Host(host) => Some(host),
            SshTarget::Lightsail(_) => None,
        }
    }

    /// The instance, where it is one.
    pub(super) fn instance(&self) -> Option<&LightsailProbe> {
        match &self.target {
            SshTarget::Host(_) => None,
            SshTarget::Lightsail(instance) => Some(instance),
        }
    }

    /// Reports what can't be so.
    pub(super) fn check_form(&self, cx: &mut Decoder) {
        let Some(instance) = self.instance() else { return };
        instance.check_form(cx);
        let told = [
            ("user", &self.user),
            ("identity", &self.identity),
            ("known_hosts", &self.known_hosts),
        ];
        for (key, value) in told.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            let message = format!("`{key}` stands beside `lightsail`, which tells it");
            cx.report(Code::Contradiction, value.span, message).help(format!("leave `{key}` out"));
        }
    }
}

/// Where to and as whom, everything filled in.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    pub(super) host: String,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) known_hosts: Option<PathBuf>,
    /// What the files are part of. They go with it.
    pub(super) way_in: Option<Arc<Access>>,
}

/// What is wrong with a host's name, with the way out: the client would take it for an option.
pub(super) fn host_problem(host: &str) -> Option<(String, &'static str)> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    let bad = host.is_empty() || host.starts_with('-') || !host.chars().all(good);
    bad.then(|| (format!("`{host}` is no host"), "write it like `db.example.com`"))
}

/// The words that run a command on a host within `patience`.
pub(super) fn argv(login: &Login, patience: Duration, command: &str) -> Vec<OsString> {
    let seconds = patience.as_secs().max(1);
    let mut argv: Vec<OsString> = vec!["ssh".into(), "-T".into()];
    let mut option = |text: String| argv.extend(["-o".into(), OsString::from(text)]);
    option("BatchMode=yes".to_owned());
    option("StrictHostKeyChecking=yes".to_owned());
    option(format!("ConnectTimeout={seconds}"));
    option("ServerAliveInterval=5".to_owned());
    option("ServerAliveCountMax=2".to_owned());
    option("ForwardAgent=no".to_owned());
    option("ControlMaster=no".to_owned());
    option("LogLevel=ERROR".to_owned());
    let file = |key: &str, path: &PathBuf| {
        let mut text = OsString::from(format!("{key}="));
        // The client splits such values at blanks, unless they are quoted.
        text.push("\"");
        text.push(path);
        text.push("\"");
        text
    };
    let files = [
        ("IdentityFile", &login.identity),
        ("CertificateFile", &login.certificate),
        ("UserKnownHostsFile", &login.known_hosts),
    ];
    for (key, path) in files {
        argv.extend(path.iter().flat_map(|path| ["-o".into(), file(key, path)]));
    }
    if login.identity.is_some() {
        argv.extend(["-o".into(), "IdentitiesOnly=yes".into()]);
    }
    if login.known_hosts.is_some() {
        argv.extend(["-o".into(), "GlobalKnownHostsFile=none".into()]);
    }
    if let Some(user) = &login.user {
        argv.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = login.port {
        argv.extend(["-p".into(), port.to_string().into()]);
    }
    argv.extend(["--".into(), OsString::from(&login.host), command.into()]);
    argv
}

/// What the client's own failure means, which is no verdict of the plugin's.
pub(super) fn odd(login: &Login, now: Timestamp, code: i32, said: &str) -> Option<Found> {
    if code != NOT_RUN {
        return None;
    }
    let (host, fault) = (&login.host, fault(said));
    let mut words = format!("ssh to {host}: {said}");
    if let (Some(way_in), Fault::Refused) = (&login.way_in, fault) {
        // Of a certificate that is over, the client hears no more than of a wrong one.
        let end = way_in.expires_at;
        let what = if end <= now {
            format!("the temporary key ended at {end}")
        } else {
            format!("the temporary key is good until {end}: does the host still trust Lightsail?")
        };
        words.extend(["; ", &what]);
    }
    Some(match fault.family() {
        Family::Network | Family::Name => Found::down(words, fault),
        _ => Found::blind(words, fault),
    })
}

/// What the client complains of.
fn fault(said: &str) -> Fault {
    const SIGNS: &[(&str, Fault)] = &[
        ("Connection refused", Fault::NetRefused),
        ("Connection timed out", Fault::NetTimeout),
        ("Operation timed out", Fault::NetTimeout),
        ("not responding", Fault::NetTimeout),
        ("No route to host", Fault::NetUnreachable),
        ("Network is unreachable", Fault::NetUnreachable),
        ("Connection reset", Fault::NetReset),
        ("Connection closed", Fault::NetReset),
        ("Broken pipe", Fault::NetReset),
        ("Name or service not known", Fault::NoSuchName),
        ("Temporary failure in name resolution", Fault::NameServer),
        ("Host key verification failed", Fault::CertUntrusted),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", Fault::CertUntrusted),
        ("Permission denied", Fault::Refused),
        ("Too many authentication failures", Fault::Refused),
    ];
    let known = SIGNS.iter().find(|(sign, _)| said.contains(sign)).map(|(_, fault)| *fault);
    known.unwrap_or_else(|| signature::fault(None, said))
}

#[cfg(test)]
mod tests;
