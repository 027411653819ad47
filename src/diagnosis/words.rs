//! Faults and nodes in plain words, and the commands that mend them.
//!
//! Owns the sentences. Refuses to know how a diagnosis is come to.

use crate::kinds::Reach;
use crate::model::{Family, Fault, Subject, SubjectKind};

/// A node as people call it: `credential google/ops`, `disk`, `service api.example.com`.
#[must_use]
pub fn node(node: &Subject) -> String {
    let rest = node.rest();
    match node.kind() {
        SubjectKind::Host if rest.is_empty() => "host".to_owned(),
        SubjectKind::Network => "network".to_owned(),
        SubjectKind::Dns => "DNS".to_owned(),
        SubjectKind::Daemon => "daemon".to_owned(),
        SubjectKind::Unit => node.as_str().replacen('/', " ", 1),
        SubjectKind::Host | SubjectKind::Site => rest.to_owned(),
        SubjectKind::Client => format!("OAuth client {rest}"),
        SubjectKind::Credential => format!("credential {rest}"),
        SubjectKind::File => format!("file {rest}"),
        SubjectKind::Job => format!("job {rest}"),
        SubjectKind::Data => format!("data {rest}"),
        SubjectKind::Check => format!("check {rest}"),
        SubjectKind::Notifier => format!("notifier {rest}"),
    }
}

/// A fault as the end of a sentence that begins with the node.
#[must_use]
pub fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::InvalidGrant => "refresh token revoked or expired",
        Fault::InvalidClient => "the client or its secret is refused",
        Fault::Scope => "the token lacks a scope",
        Fault::AccountDisabled => "the account is disabled or gone",
        Fault::Reauthenticate => "the session policy asks for a new sign-in",
        Fault::NoCredential => "nothing is there to sign in with",
        Fault::Refused => "refused, and no reason is given",
        Fault::Throttled => "too many requests for now",
        Fault::Quota => "a quota is used up",
        Fault::ServerError => "the server fails",
        Fault::BadRequest => "a request is refused, and no reason is given",
        Fault::BadAnswer => "the answer has another form than promised",
        Fault::NoSuchName => "the name does not exist",
        Fault::NameServer => "the name server fails",
        Fault::NameTimeout => "the name server does not answer",
        Fault::NetTimeout => "no answer in time",
        Fault::NetRefused => "nobody listens",
        Fault::NetReset => "the connection breaks off",
        Fault::NetUnreachable => "no way there",
        Fault::CertExpired => "the certificate has expired",
        Fault::CertName => "the certificate is for another name",
        Fault::CertUntrusted => "the certificate is not trusted",
        Fault::DiskFull => "full",
        Fault::Inodes => "no inode is left",
        Fault::DiskBroken => "can't be written",
        Fault::OomKill => "the kernel ended a process for lack of memory",
        Fault::MemoryLow => "little memory is left",
        Fault::LoadHigh => "overloaded",
        Fault::Handles => "too many open files or processes",
        Fault::ClockSkew => "this host's clock is wrong",
        Fault::UnitFailed => "has failed",
        Fault::UnitInactive => "does not run",
        Fault::UnitRestarts => "restarts again and again",
        Fault::ExecMissing => "a program or its interpreter is missing",
        Fault::ExecExit => "ends with an error of its own",
        Fault::ExecSignal => "is ended by a signal",
        Fault::TimedOut => "takes longer than it may",
        Fault::Stuck => "was told to stop and does not end",
        Fault::Lost => "died in the middle of its work",
        Fault::Suspicious => "succeeds in next to no time",
        Fault::PermissionDenied => "permission is lacking",
        Fault::NotFound => "what it needs is not there",
        Fault::LimitTurns => "stopped at the turn limit (limited, not a failure)",
        Fault::LimitBudget => "stopped at its budget (limited, not a failure)",
        Fault::Schema => "the data has another shape",
        Fault::Stale => "too old",
        Fault::Held => "a guard holds it until a person has looked",
        Fault::Truncated => "less data came than was promised",
        Fault::Lag => "its loop runs late",
        Fault::Absent => "was not looked at for long",
        Fault::Expired => "its slots can't start in time",
        Fault::Threshold => "a value is not as it must be",
        Fault::Pattern => "a line is there that must not be",
        Fault::Configuration => "a definition or setting is wrong",
        Fault::Unknown => "fails, and nothing says why",
    }
}

/// The command that mends a fault of a node, or that finds out more; `run` is the newest one behind it, `way`
/// how a service is addressed.
#[must_use]
pub fn fix(node: &Subject, fault: Fault, run: Option<i64>, way: Option<&Reach>) -> String {
    let rest = node.rest();
    match node.kind() {
        SubjectKind::Credential => match fault {
            Fault::InvalidGrant
            | Fault::Reauthenticate
            | Fault::NoCredential
            | Fault::Scope
            | Fault::Refused => format!("jadactl auth login {rest}"),
            Fault::AccountDisabled => format!("jadactl auth rotate {rest} --from FILE"),
            _ => format!("jadactl auth refresh {rest}"),
        },
        SubjectKind::Client => "jadactl auth status".to_owned(),
        SubjectKind::Host => host(rest, fault).to_owned(),
        SubjectKind::Network => "ip route; ip -brief address".to_owned(),
        SubjectKind::Dns => "cat /etc/resolv.conf; resolvectl status".to_owned(),
        SubjectKind::Unit => match node.as_str().strip_prefix("unit/") {
            Some(unit) if fault == Fault::UnitRestarts => {
                format!("journalctl -u {unit} -n 50")
            }
            Some(unit) => format!("systemctl restart {unit}"),
            None => format!("pgrep -a {rest}"),
        },
        SubjectKind::Daemon => "systemctl start jada-agent".to_owned(),
        SubjectKind::Site => site(rest, fault, way),
        SubjectKind::File => format!("jadactl validate {rest}"),
        SubjectKind::Notifier => format!("jadactl notify test {rest}"),
        SubjectKind::Job | SubjectKind::Data | SubjectKind::Check => {
            let job = rest.split('/').next().unwrap_or(rest);
            match (fault, run) {
                (Fault::Held, _) => format!("jadactl sync diff {job}"),
                (Fault::Stale | Fault::Expired, _) => format!("jadactl explain {job}"),
                (_, Some(run)) => format!("jadactl logs {run}"),
                (_, None) => format!("jadactl runs --job {job}"),
            }
        }
    }
}

fn host(part: &str, fault: Fault) -> &'static str {
    match (part, fault) {
        (_, Fault::Inodes) => "df -i; du --inodes -xd2 / | sort -n | tail",
        (_, Fault::DiskFull) => "df -h; du -xhd2 / | sort -h | tail",
        (_, Fault::DiskBroken) => "dmesg | tail; findmnt -O ro",
        (_, Fault::ClockSkew) => "timedatectl set-ntp true",
        (_, Fault::OomKill | Fault::MemoryLow) => "ps aux --sort=-rss | head",
        (_, Fault::LoadHigh) => "ps aux --sort=-pcpu | head",
        ("disk", _) => "df -h",
        _ => "dmesg | tail",
    }
}

/// By the way that somebody goes; where nobody tells one, what shows the checks of it.
fn site(host: &str, fault: Fault, way: Option<&Reach>) -> String {
    match (fault.family(), way) {
        (Family::Name, _) => format!("getent hosts {}", shell(host)),
        (Family::Throttle, _) => "jadactl plan".to_owned(),
        (Family::Tls, Some(way)) => {
            let (at, name) = (shell(&way.address()), shell(host));
            format!("openssl s_client -connect {at} -servername {name} </dev/null")
        }
        (_, Some(way)) if way.http => {
            format!("curl -sS -o /dev/null -w '%{{http_code}}' {}", shell(&way.url()))
        }
        (_, Some(way)) => format!("nc -vz -w5 {} {}", shell(host), way.port),
        (_, None) => "jadactl checks".to_owned(),
    }
}

/// A word as a shell takes it for one.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if word.chars().all(plain) && !word.starts_with('-') && !word.is_empty() {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How an unknown node is found out about.
#[must_use]
pub fn probe(node: &Subject, job: Option<&str>) -> String {
    match (node.kind(), job) {
        (SubjectKind::Credential, Some(job)) => {
            format!("jadactl auth test {} --job {job}", node.rest())
        }
        (SubjectKind::Credential, None) => format!("jadactl auth status {}", node.rest()),
        _ => "jadactl doctor".to_owned(),
    }
}

/// What keeps a fault from coming back.
#[must_use]
pub fn avoid(node: &Subject, fault: Fault) -> Option<&'static str> {
    match (node.kind(), fault) {
        (SubjectKind::Credential, Fault::Reauthenticate) => {
            Some("a service account has no session policy: use one for these jobs")
        }
        (SubjectKind::Site, Fault::Throttled) => {
            Some("spread the jobs: `jitter` in their schedules, or a `pool` with one seat")
        }
        (SubjectKind::Site, Fault::CertExpired) => {
            Some("a `tls` check warns weeks before a certificate ends")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_as_it_is_addressed() {
        let url = |text| Reach::of_url(text);
        let address = |text| Reach::of_address(text);
        let curl = |url: &str| format!("curl -sS -o /dev/null -w '%{{http_code}}' {url}");
        let cases = [
            (
                url("https://api.example.com/v1"),
                Fault::ServerError,
                curl("https://api.example.com"),
            ),
            (url("http://127.0.0.1:9"), Fault::NetRefused, curl("http://127.0.0.1:9")),
            (url("http://[::1]:8080/x"), Fault::NetTimeout, curl("'http://[::1]:8080'")),
            (address("db:5432"), Fault::NetRefused, "nc -vz -w5 db 5432".to_owned()),
            (url("postgres://db/x"), Fault::NetReset, "nc -vz -w5 db 5432".to_owned()),
            (
                address("mail:993"),
                Fault::CertExpired,
                "openssl s_client -connect mail:993 -servername mail </dev/null".to_owned(),
            ),
            (address("a;b:22"), Fault::NetRefused, "nc -vz -w5 'a;b' 22".to_owned()),
            (address("gone:80"), Fault::NoSuchName, "getent hosts gone".to_owned()),
        ];
        for (way, fault, want) in cases {
            let way = way.expect("a way");
            assert_eq!(fix(&Subject::site(&way.host), fault, None, Some(&way)), want);
        }
        assert_eq!(shell("it's"), "'it'\\''s'");
    }
}
