//! The table of signatures: what is said, by us and by others, where something is wrong.
//!
//! Owns the phrases, in lower case, the finer and surer first. Refuses to know how they are looked for.

use crate::model::Fault;

/// How a status of HTTP is named as one.
pub(super) const STATUS_WORDS: &[&str] = &[
    "http error",
    "http status",
    "http/1.0",
    "http/1.1",
    "http/2",
    "http",
    "status code",
    "statuscode",
    "status",
    "answered",
    "returned error",
    "server returned",
    "response code",
    "error code",
    "\"code\"",
    "request failed with status code",
    "unexpected status",
    "server error",
    "client error",
];

/// Exceptions that a program throws of itself.
pub(super) const BUGS: &[&str] = &[
    "typeerror:",
    "keyerror:",
    "indexerror:",
    "attributeerror:",
    "nameerror:",
    "unboundlocalerror:",
    "zerodivisionerror:",
    "assertionerror",
    "recursionerror:",
    "valueerror:",
    "syntaxerror:",
    "indentationerror:",
    "referenceerror:",
    "rangeerror:",
    "nullpointerexception",
    "java.lang.nullpointerexception",
    "exception in thread \"main\" java.lang.",
    "segmentation fault",
    "index out of bounds",
    "nomethoderror",
    "undefined method",
];

/// Signatures, the first that shows decides. `a & b` asks for both.
pub(super) const SIGNATURES: &[(Fault, &[&str])] = &[
    (Fault::ClockSkew, CLOCK),
    (Fault::Reauthenticate, RAPT),
    (Fault::AccountDisabled, DISABLED),
    (Fault::InvalidClient, CLIENT),
    (Fault::Scope, SCOPE),
    (Fault::InvalidGrant, GRANT),
    (Fault::NoCredential, MISSING),
    (Fault::Inodes, INODES),
    (Fault::DiskFull, FULL),
    (Fault::DiskBroken, BROKEN),
    (Fault::OomKill, OOM),
    (Fault::MemoryLow, MEMORY),
    (Fault::Handles, HANDLES),
    (Fault::CertExpired, EXPIRED),
    (Fault::CertName, WRONG_NAME),
    (Fault::CertUntrusted, UNTRUSTED),
    (Fault::NameTimeout, &["resolution timed out", "dns lookup timed out", "resolving timed out"]),
    (Fault::NameServer, NAME_SERVER),
    (Fault::NoSuchName, NO_NAME),
    (Fault::Throttled, THROTTLED),
    (Fault::Quota, QUOTA),
    (Fault::ExecMissing, NO_PROGRAM),
    (Fault::UnitRestarts, &["start request repeated too quickly", "start-limit-hit"]),
    (Fault::UnitFailed, UNIT_FAILED),
    (Fault::UnitInactive, UNIT_GONE),
    (Fault::Refused, REFUSED),
    (Fault::NetRefused, NET_REFUSED),
    (Fault::NetReset, RESET),
    (Fault::NetUnreachable, UNREACHABLE),
    (Fault::NetTimeout, NET_TIMEOUT),
    (Fault::PermissionDenied, DENIED),
    (Fault::Schema, SCHEMA),
    (Fault::NotFound, NOT_FOUND),
    (Fault::ServerError, SERVER),
    (Fault::BadAnswer, BAD_ANSWER),
    (Fault::Stale, &["the data is & old", "no success since", "is stale"]),
    (Fault::Configuration, &["configuration error", "is not declared in jada.yaml"]),
    (Fault::Stuck, &["was told to stop and does not end"]),
    (Fault::ExecSignal, &["core dumped", "ended by sigsegv", "ended by sigabrt"]),
];

const CLOCK: &[&str] = &[
    "this host's clock and the server's differ",
    "requesttimetooskewed",
    "signature expired",
    "signature not yet current",
    "short-lived token & reasonable timeframe",
    "clock skew",
    "clock-skew",
    "clock is ahead",
    "clock is behind",
    "token used too early",
];

const RAPT: &[&str] = &[
    "invalid_rapt",
    "rapt_required",
    "a session policy ended its grant",
    "reauth related error",
    "reauthentication is needed",
    "aadsts50076",
    "aadsts50079",
    "aadsts53003",
];

const DISABLED: &[&str] = &[
    "the account or key behind it is gone",
    "account has been deleted",
    "account has been disabled",
    "account is disabled",
    "account has been suspended",
    "account was suspended",
    "account is suspended",
    "user account is disabled",
    "account_inactive",
    "robot is disabled",
    "user_disabled",
    "aadsts50057",
    "invalid_grant & principal-gone",
];

const CLIENT: &[&str] = &[
    "invalid_client",
    "deleted_client",
    "disabled_client",
    "unauthorized_client",
    "its client is unknown, disabled or not allowed this",
    "the oauth client was not found",
    "the oauth client was deleted",
    "aadsts7000215",
    "aadsts7000222",
    "aadsts700016",
    "service_disabled",
    "accessnotconfigured",
    "has not been used in project",
    "incorrect_client_credentials",
];

const SCOPE: &[&str] = &[
    "insufficient_scope",
    "access_token_scope_insufficient",
    "insufficient authentication scopes",
    "insufficientpermissions",
    "invalid_scope",
    "missing_scope",
    "it was granted less than its jobs need",
    "a scope or a policy of the other side forbids it",
    "admin_policy_enforced",
    "resource not accessible by integration",
    "resource not accessible by personal access token",
    "aadsts65001",
    "wrong scope",
];

const GRANT: &[&str] = &[
    "invalid_grant",
    "its grant is no longer valid",
    "token has been expired or revoked",
    "it was revoked on purpose",
    "its known end has passed",
    "bad_refresh_token",
    "refresh token is invalid",
    "refresh token has expired",
    "refresh token is expired",
    "token_revoked",
    "token_expired",
    "expiredtoken",
    "the security token included in the request is expired",
    "aadsts700082",
    "aadsts50173",
    "aadsts70008",
];

const MISSING: &[&str] = &[
    "nobody has logged in yet",
    "nobody here holds the credential",
    "nobody here holds credentials",
    "the program or file that gives it fails",
    "could not read username",
    "could not automatically determine credentials",
    "your default credentials were not found",
    "unable to locate credentials",
    "no credentials found",
    "not_authed",
    "gh auth login",
];

const INODES: &[&str] = &["no inodes left", "out of inodes", "inodes 100%", "no inode is left"];

const FULL: &[&str] = &[
    "no space left on device",
    "enospc",
    "disk quota exceeded",
    "edquot",
    "database or disk is full",
    "sqlite_full",
    "storagefull",
    "the disk is full",
    "disk full",
    "not enough space on the disk",
    "could not extend file",
];

const BROKEN: &[&str] = &[
    "read-only file system",
    "erofs",
    "input/output error",
    "disk i/o error",
    "database disk image is malformed",
    "structure needs cleaning",
];

const OOM: &[&str] = &[
    "oom-kill",
    "oom killer",
    "oomkilled",
    "out of memory: killed process",
    "killed by the oom killer",
    "oom_kill",
    "killed for lack of memory",
];

const MEMORY: &[&str] = &[
    "out of memory",
    "cannot allocate memory",
    "enomem",
    "memoryerror",
    "std::bad_alloc",
    "java.lang.outofmemoryerror",
    "javascript heap out of memory",
    "heap limit allocation failed",
    "memory allocation of",
    "the system has no memory left",
];

const HANDLES: &[&str] = &[
    "too many open files",
    "emfile",
    "enfile",
    "no file descriptor left",
    "no room for another process",
    "fork: retry",
    "fork: resource temporarily unavailable",
    "can't start new thread",
];

const EXPIRED: &[&str] = &[
    "certificate has expired",
    "certificate expired",
    "certificate is expired",
    "cert_has_expired",
    "certificate is not yet valid",
    "certificate not valid yet",
    "notvalidyet",
    "expired certificate",
    "invalid peer certificate: expired",
    "the certificate ended",
];

const WRONG_NAME: &[&str] = &[
    "hostname mismatch",
    "does not match target host name",
    "no alternative certificate subject name matches",
    "certificate not valid for name",
    "certificate is not valid for",
    "notvalidforname",
    "err_tls_cert_altname_invalid",
    "certificate common name & doesn't match requested host name",
    "doesn't match requested host name",
    "certificate is valid for & not",
    "the certificate is for",
];

const UNTRUSTED: &[&str] = &[
    "certificate verify failed",
    "unable to get local issuer certificate",
    "self signed certificate",
    "self-signed certificate",
    "unknownissuer",
    "unknown issuer",
    "unknown certificate authority",
    "certificate signed by unknown authority",
    "unable_to_verify_leaf_signature",
    "depth_zero_self_signed_cert",
    "certificate is not trusted",
    "invalid peer certificate",
    "ssl certificate problem",
    "host key verification failed",
    "handshake failure",
    "handshake_failure",
    "ssl handshake failed",
    "sslv3 alert",
    "wrong version number",
    "remote host identification has changed",
];

const NAME_SERVER: &[&str] = &[
    "temporary failure in name resolution",
    "servfail",
    "eai_again",
    "server misbehaving",
    "name server failed",
    "connection timed out; no servers could be reached",
    "no servers could be reached",
];

const NO_NAME: &[&str] = &[
    "nxdomain",
    "name or service not known",
    "could not resolve host",
    "could not resolve hostname",
    "couldn't resolve host",
    "unable to resolve host address",
    "no address associated with hostname",
    "nodename nor servname provided",
    "no such host is known",
    "no such host",
    "getaddrinfo enotfound",
    "enotfound",
    "failed to lookup address information",
    "could not translate host name",
    "name does not resolve",
    "getaddrinfo failed",
    "the name does not exist",
    "dns error",
];

const THROTTLED: &[&str] = &[
    "ratelimitexceeded",
    "userratelimitexceeded",
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate limit exceeded",
    "rate limit reached",
    "secondary rate limit",
    "rate limited",
    "ratelimited",
    "rate-limited",
    "too many requests",
    "toomanyrequests",
    "throttlingexception",
    "request was throttled",
    "slow_down",
    "per minute per user",
    "per minute & quota",
    "requests per minute",
    "remaining connection slots are reserved",
    "too many connections",
    "its server asks for patience",
    "slowdown",
];

const QUOTA: &[&str] = &[
    "resource_exhausted",
    "dailylimitexceeded",
    "quotaexceeded",
    "quota exceeded",
    "exceeded your current quota",
    "insufficient_quota",
    "credit balance is too low",
    "a quota is used up",
    "servicequotaexceeded",
    "limitexceededexception",
    "usage limit reached",
    "storage quota has been exceeded",
];

const NO_PROGRAM: &[&str] = &[
    "command not found",
    "there is no program",
    "the interpreter & does not exist",
    "needs a loader or library that does not exist",
    "bad interpreter",
    "modulenotfounderror",
    "no module named",
    "cannot find module",
    "executable file not found",
    "could not find or load main class",
    "error while loading shared libraries",
    "exec format error",
    "can't be run: it is not executable",
    "spawn & enoent",
    "/usr/bin/env & no such file or directory",
    "sh: 1 & not found",
];

const UNIT_FAILED: &[&str] =
    &["main process exited, code=exited", "entered failed state", "failed with result"];

const UNIT_GONE: &[&str] = &[
    "cannot connect to the docker daemon",
    "is the docker daemon running",
    "unit is not active",
    "could not be found & unit",
    "unit not found",
    "no such container",
    "no process is called",
];

const REFUSED: &[&str] = &[
    "password authentication failed",
    "authentication failed",
    "no pg_hba.conf entry",
    "permission denied (publickey",
    "permission denied, please try again",
    "too many authentication failures",
    "bad credentials",
    "invalid credentials",
    "invalid_token",
    "invalid_auth",
    "invalid authentication credentials",
    "authentication_error",
    "authenticationerror",
    "invalid api key",
    "incorrect api key",
    "invalid x-api-key",
    "unauthorized",
    "unauthenticated",
    "access denied for user",
    "signaturedoesnotmatch",
    "invalidclienttokenid",
    "unrecognizedclientexception",
    "invalidaccesskeyid",
    "535 5.7.8",
    "wrongpass",
    "noauth authentication required",
    "its fresh token is refused",
    "its server refuses and gives no reason",
];

const NET_REFUSED: &[&str] =
    &["connection refused", "econnrefused", "connectionrefused", "actively refused"];

const RESET: &[&str] = &[
    "connection reset",
    "econnreset",
    "connection aborted",
    "broken pipe",
    "epipe",
    "connection unexpectedly closed",
    "connection closed by remote host",
    "closed by remote host",
    "empty reply from server",
    "remote end closed connection without response",
    "socket hang up",
    "server closed the connection unexpectedly",
    "connection closed before message completed",
    "unexpected eof",
    "the remote end hung up unexpectedly",
    "the connection was lost",
    "incompleteread",
    "broke off",
];

const UNREACHABLE: &[&str] = &[
    "network is unreachable",
    "network unreachable",
    "no route to host",
    "host is unreachable",
    "host unreachable",
    "enetunreach",
    "ehostunreach",
    "network is down",
    "enetdown",
];

const NET_TIMEOUT: &[&str] = &[
    "connection timed out",
    "connect timed out",
    "connection timeout",
    "etimedout",
    "operation timed out",
    "read timed out",
    "request timed out",
    "timed out waiting for",
    "no answer within",
    "no answer in time",
    "did not let us in within",
    "i/o timeout",
    "readtimeout",
    "connecttimeout",
    "deadline exceeded",
    "deadline_exceeded",
    "gateway time-out & upstream",
    "tls handshake timeout",
    "timeouterror",
    "deadline has elapsed",
];

const DENIED: &[&str] = &[
    "permission denied",
    "permission_denied",
    "permissionerror",
    "the caller does not have permission",
    "eacces",
    "eperm",
    "operation not permitted",
    "accessdenied",
    "access denied",
    "access is denied",
    "not authorized to perform",
    "insufficient privilege",
    "must be owner of",
    "one resource refuses it",
    "denied to",
    "403 forbidden",
];

const NOT_FOUND: &[&str] = &[
    "no such file or directory",
    "enoent",
    "filenotfounderror",
    "requested entity was not found",
    "repository not found",
    "nosuchkey",
    "nosuchbucket",
    "manifest unknown",
    "database & does not exist",
    "role & does not exist",
    "404 not found",
    "does not exist",
];

const SCHEMA: &[&str] = &[
    "no such column",
    "no such table",
    "relation & does not exist",
    "column & does not exist",
    "unknown column",
    "invalid input syntax for type",
    "schema mismatch",
    "unable to parse range",
];

const SERVER: &[&str] = &[
    "its server does not answer",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "gateway time-out",
    "temporarily_unavailable",
    "overloaded_error",
    "backend error",
    "backenderror",
    "the database system is starting up",
    "the database system is shutting down",
    "server_error",
    "internal_failure",
];

const BAD_ANSWER: &[&str] = &[
    "its server's answer is none",
    "jsondecodeerror",
    "is no json",
    "invalid json",
    "unexpected token <",
    "unexpected token '<'",
    "unexpected end of json input",
    "the api's answer is not understood",
    "invalid content-type",
];
