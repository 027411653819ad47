//! The table, by what programs and servers really say.

use super::*;

/// Words of ours and of others, and the fault that they show.
const SAID: &[(&str, Fault)] = &[
    // Ours.
    ("held: max_delete: 97 of 100 rows; rows say invalid_grant", Fault::Held),
    ("failed:schema: the column `invalid_grant` is gone", Fault::Schema),
    ("failed:mapping: row 7: `429` is no date", Fault::Schema),
    ("failed:auth: sheets.googleapis.com answered 401 to a GET", Fault::Refused),
    ("failed:auth: HTTP 400 invalid_grant from oauth2.googleapis.com", Fault::InvalidGrant),
    (
        "failed:permission: sheets.googleapis.com answered 403 to a GET: The caller does not have permission",
        Fault::PermissionDenied,
    ),
    (
        "failed:not_found: sheets.googleapis.com answered 404 to a GET: Requested entity was not found.",
        Fault::NotFound,
    ),
    (
        "failed:quota: sheets.googleapis.com answered 429 to a GET: Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user'",
        Fault::Throttled,
    ),
    ("failed:quota: api.example.com answered 403 to a GET: dailyLimitExceeded", Fault::Quota),
    ("failed:source: api.example.com answered 503 to a GET", Fault::ServerError),
    (
        "failed:source: no answer from api.example.com: Connection refused (os error 111)",
        Fault::NetRefused,
    ),
    (
        "failed:source: no answer from api.example.com: failed to lookup address information: Name or service not known",
        Fault::NoSuchName,
    ),
    (
        "failed:source: no answer from api.example.com: failed to lookup address information: Temporary failure in name resolution",
        Fault::NameServer,
    ),
    (
        "failed:source: no answer from api.example.com: invalid peer certificate: Expired",
        Fault::CertExpired,
    ),
    (
        "failed:source: no answer from api.example.com: invalid peer certificate: certificate not valid for name \"api.example.com\"; certificate is only valid for DnsName(\"x\")",
        Fault::CertName,
    ),
    (
        "failed:source: no answer from api.example.com: invalid peer certificate: UnknownIssuer",
        Fault::CertUntrusted,
    ),
    ("failed:destination: bookings.db: database or disk is full", Fault::DiskFull),
    ("failed:truncated: the program ended before its last row", Fault::Truncated),
    ("failed:config: `url`: `ftp` is no scheme that is known here", Fault::Configuration),
    (
        "credential google/ops: its grant is no longer valid: expired, revoked, or replaced (invalid_grant); fix: jadactl auth login google/ops",
        Fault::InvalidGrant,
    ),
    (
        "credential google/ops: a session policy ended its grant, and will again (invalid_grant/invalid_rapt)",
        Fault::Reauthenticate,
    ),
    ("credential google/ops: nobody has logged in yet", Fault::NoCredential),
    (
        "can't start 'nope': there is no program nope; a relative path counts from /srv",
        Fault::ExecMissing,
    ),
    (
        "can't start 'x.sh': the interpreter '/usr/bin/python2' that x.sh names does not exist",
        Fault::ExecMissing,
    ),
    ("can't start 'x': the system has no memory left", Fault::MemoryLow),
    ("can't start 'x': the daemon has no file descriptor left", Fault::Handles),
    ("can't connect to 127.0.0.1:9: Connection refused (os error 111)", Fault::NetRefused),
    ("no answer within 10s", Fault::NetTimeout),
    ("status 503, expected 200", Fault::ServerError),
    ("latency 812ms, expected < 500ms", Fault::Threshold),
    ("/srv/x does not exist", Fault::NotFound),
    ("ended by SIGKILL (by hand, or for lack of memory)", Fault::ExecSignal),
    ("exit code 137", Fault::ExecSignal),
    ("exit code 127: sh: 1: nope: not found", Fault::ExecMissing),
    ("exit code 127", Fault::ExecMissing),
    ("exit code 1: nothing to be said", Fault::ExecExit),
    (
        "the data is 51h old (newest: 2026-11-23T09:00:00Z), although the job ended well",
        Fault::Stale,
    ),
    // Clients of HTTP.
    ("exit code 6: curl: (6) Could not resolve host: nope.example", Fault::NoSuchName),
    (
        "exit code 7: curl: (7) Failed to connect to localhost port 1 after 0 ms: Connection refused",
        Fault::NetRefused,
    ),
    ("exit code 22: curl: (22) The requested URL returned error: 503", Fault::ServerError),
    ("exit code 22: curl: (22) The requested URL returned error: 404", Fault::NotFound),
    (
        "exit code 28: curl: (28) Operation timed out after 5001 milliseconds with 0 bytes received",
        Fault::NetTimeout,
    ),
    ("exit code 52: curl: (52) Empty reply from server", Fault::NetReset),
    (
        "exit code 60: curl: (60) SSL certificate problem: certificate has expired",
        Fault::CertExpired,
    ),
    (
        "exit code 60: curl: (60) SSL: no alternative certificate subject name matches target host name 'x'",
        Fault::CertName,
    ),
    (
        "exit code 60: curl: (60) SSL certificate problem: self-signed certificate",
        Fault::CertUntrusted,
    ),
    ("exit code 4: wget: unable to resolve host address 'nope.example'", Fault::NoSuchName),
    ("exit code 8: ERROR 429: Too Many Requests.", Fault::Throttled),
    ("exit code 1: urllib.error.HTTPError: HTTP Error 400: Bad Request", Fault::BadRequest),
    ("exit code 0: [port-sheet] token error: HTTP Error 400: Bad Request", Fault::BadRequest),
    (
        "exit code 1: requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://x",
        Fault::ServerError,
    ),
    (
        "exit code 1: requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=5)",
        Fault::NetTimeout,
    ),
    ("exit code 1: socket.gaierror: [Errno -2] Name or service not known", Fault::NoSuchName),
    ("exit code 1: ConnectionResetError: [Errno 104] Connection reset by peer", Fault::NetReset),
    (
        "exit code 1: ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for 'x'.",
        Fault::CertName,
    ),
    (
        "exit code 1: json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        Fault::BadAnswer,
    ),
    ("exit code 1: Error: getaddrinfo ENOTFOUND api.example.com", Fault::NoSuchName),
    ("exit code 1: Error: connect ECONNREFUSED 127.0.0.1:5432", Fault::NetRefused),
    ("exit code 1: AxiosError: Request failed with status code 401", Fault::Refused),
    ("exit code 1: Error: socket hang up", Fault::NetReset),
    ("exit code 1: Error: certificate has expired", Fault::CertExpired),
    (
        "exit code 101: called `Result::unwrap()` on an `Err` value: Os { code: 28, kind: StorageFull, message: \"No space left on device\" }",
        Fault::DiskFull,
    ),
    ("dial tcp: lookup x on 10.0.0.2:53: server misbehaving", Fault::NameServer),
    ("dial tcp 10.0.0.1:443: i/o timeout", Fault::NetTimeout),
    ("x509: certificate signed by unknown authority", Fault::CertUntrusted),
    (
        "exit code 7: curl: (7) Failed to connect to 127.0.0.1 port 9 after 6 ms: Couldn't connect to server",
        Fault::NetRefused,
    ),
    (
        "exit code 28: curl: (28) Failed to connect to x port 443 after 9 ms: Connection timed out",
        Fault::NetTimeout,
    ),
    // Databases, git, ssh, docker.
    (
        "exit code 2: psql: error: connection to server at \"db\" (10.0.0.3), port 5432 failed: FATAL:  password authentication failed for user \"ops\"",
        Fault::Refused,
    ),
    (
        "exit code 2: psql: error: could not translate host name \"db\" to address: Name or service not known",
        Fault::NoSuchName,
    ),
    ("ERROR:  relation \"bookings\" does not exist", Fault::Schema),
    ("ERROR:  permission denied for table bookings", Fault::PermissionDenied),
    ("FATAL:  database \"x\" does not exist", Fault::NotFound),
    ("FATAL:  the database system is starting up", Fault::ServerError),
    (
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        Fault::Throttled,
    ),
    ("exit code 128: fatal: Authentication failed for 'https://github.com/a/b/'", Fault::Refused),
    (
        "exit code 128: fatal: could not read Username for 'https://github.com': terminal prompts disabled",
        Fault::NoCredential,
    ),
    ("exit code 128: remote: Repository not found.", Fault::NotFound),
    ("exit code 255: ops@host: Permission denied (publickey).", Fault::Refused),
    ("exit code 255: Host key verification failed.", Fault::CertUntrusted),
    ("exit code 255: ssh: connect to host x port 22: No route to host", Fault::NetUnreachable),
    (
        "exit code 255: ssh: Could not resolve hostname x: Name or service not known",
        Fault::NoSuchName,
    ),
    (
        "exit code 12: rsync: connection unexpectedly closed (0 bytes received so far) [sender]",
        Fault::NetReset,
    ),
    (
        "exit code 11: rsync: write failed on \"/srv/x\": No space left on device (28)",
        Fault::DiskFull,
    ),
    (
        "exit code 1: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        Fault::UnitInactive,
    ),
    ("exit code 1: toomanyrequests: You have reached your pull rate limit", Fault::Throttled),
    // Bodies of vendors.
    (
        "{\"error\": \"invalid_grant\", \"error_description\": \"Token has been expired or revoked.\"}",
        Fault::InvalidGrant,
    ),
    ("{\"error\":\"invalid_grant\",\"error_subtype\":\"invalid_rapt\"}", Fault::Reauthenticate),
    (
        "{\"error\":\"invalid_grant\",\"error_description\":\"Account has been deleted\"}",
        Fault::AccountDisabled,
    ),
    (
        "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe\"}",
        Fault::ClockSkew,
    ),
    (
        "{\"error\":\"invalid_client\",\"error_description\":\"The OAuth client was not found.\"}",
        Fault::InvalidClient,
    ),
    (
        "Request had insufficient authentication scopes. ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        Fault::Scope,
    ),
    ("AADSTS700082: The refresh token has expired due to inactivity.", Fault::InvalidGrant),
    ("AADSTS50057: The user account is disabled.", Fault::AccountDisabled),
    ("AADSTS7000222: The provided client secret keys are expired.", Fault::InvalidClient),
    ("HTTP 401: Bad credentials (https://api.github.com/user)", Fault::Refused),
    ("HTTP 403: API rate limit exceeded for user ID 1.", Fault::Throttled),
    ("HTTP 403: Resource not accessible by integration", Fault::Scope),
    ("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", Fault::ServerError),
    ("You exceeded your current quota, please check your plan", Fault::Quota),
    (
        "An error occurred (RequestTimeTooSkewed) when calling the ListBuckets operation",
        Fault::ClockSkew,
    ),
    // The host.
    ("exit code 1: OSError: [Errno 28] No space left on device", Fault::DiskFull),
    ("exit code 1: cp: cannot create regular file 'x': Read-only file system", Fault::DiskBroken),
    ("kernel: Out of memory: Killed process 4711 (python3)", Fault::OomKill),
    ("exit code 1: MemoryError", Fault::MemoryLow),
    ("exit code 1: bash: fork: retry: Resource temporarily unavailable", Fault::Handles),
    ("exit code 1: ModuleNotFoundError: No module named 'requests'", Fault::ExecMissing),
    ("exit code 1: /usr/bin/env: 'python2': No such file or directory", Fault::ExecMissing),
    ("exit code 1: cat: x: No such file or directory", Fault::NotFound),
];

/// Words that say less than they seem to.
const QUIET: &[(&str, Fault)] = &[
    ("400", Fault::Unknown),
    ("HTTP", Fault::Unknown),
    ("wrote 429 rows in 503 ms", Fault::Unknown),
    ("exit code 1: processed 401 of 403 files", Fault::ExecExit),
    ("exit code 1: KeyError: 'invalid_grant'", Fault::ExecExit),
    (
        "exit code 1: TypeError: 'NoneType' object is not subscriptable (after HTTP 429)",
        Fault::ExecExit,
    ),
    ("exit code 1: AssertionError: expected 200, status 503", Fault::ExecExit),
    ("the invalid_grants table has 3 rows", Fault::Unknown),
    ("http://status/4001", Fault::Unknown),
    ("version 2.503 answered", Fault::Unknown),
    ("", Fault::Unknown),
];

#[test]
fn what_is_said_shows_its_fault() {
    let wrong: Vec<_> = SAID
        .iter()
        .chain(QUIET)
        .filter_map(|(text, want)| {
            let found = fault(None, text);
            (found != *want).then(|| format!("{text}\n  is {}, not {}", want.word(), found.word()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_class_says_it_where_words_do_not() {
    use FailureClass as Class;
    let cases = [
        (Class::Exhausted, "30 of 30 turns used", Fault::LimitTurns),
        (Class::Exhausted, "2.00 USD used", Fault::LimitBudget),
        (Class::TimedOut, "timed out after 5m; it ended with: 429", Fault::TimedOut),
        (Class::Lost, "the daemon that performed it died", Fault::Lost),
        (Class::Cancelled, "cancelled", Fault::Unknown),
        (Class::Throttled, "slow down", Fault::Throttled),
        (Class::Throttled, "dailyLimitExceeded", Fault::Quota),
        (Class::Unauthorized, "no", Fault::Refused),
        (Class::Unauthorized, "invalid_client", Fault::InvalidClient),
        (Class::Permanent, "no", Fault::Unknown),
        (Class::Transient, "Connection refused", Fault::NetRefused),
    ];
    for (class, text, want) in cases {
        assert_eq!(fault(Some(class), text), want, "{} {text}", class.word());
    }
}

#[test]
fn every_phrase_is_lower_case_and_reaches_its_own_row() {
    for (want, signs) in table::SIGNATURES {
        for sign in *signs {
            assert_eq!(*sign, sign.to_lowercase(), "{sign}");
            let text = sign.replace(" & ", " ");
            let found = fault(None, &text);
            assert_eq!(found.family(), want.family(), "{sign}: {} is shadowed", found.word());
        }
    }
}
