//! Phrases of a server that answers: quotas, data that is not there, errors of its own.
//!
//! Owns the phrases. Refuses to know which of them goes before which (`table`).

pub(super) const THROTTLED: &[&str] = &[
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

pub(super) const QUOTA: &[&str] = &[
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

pub(super) const NOT_FOUND: &[&str] = &[
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

pub(super) const SCHEMA: &[&str] = &[
    "no such column",
    "no such table",
    "relation & does not exist",
    "column & does not exist",
    "unknown column",
    "invalid input syntax for type",
    "schema mismatch",
    "unable to parse range",
];

pub(super) const SERVER: &[&str] = &[
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

pub(super) const BAD_ANSWER: &[&str] = &[
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
