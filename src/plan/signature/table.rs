//! The table of signatures: what is said, by us and by others, where something is wrong.
//!
//! Owns the order, the finer and surer first; the phrases, in lower case, stand beside it by what they are of.
//! Refuses to know how they are looked for.

mod answers;
mod auth;
mod host;
mod network;

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
    (Fault::ClockSkew, auth::CLOCK),
    (Fault::Reauthenticate, auth::RAPT),
    (Fault::AccountDisabled, auth::DISABLED),
    (Fault::InvalidClient, auth::CLIENT),
    (Fault::Scope, auth::SCOPE),
    (Fault::InvalidGrant, auth::GRANT),
    (Fault::NoCredential, auth::MISSING),
    (Fault::Inodes, host::INODES),
    (Fault::DiskFull, host::FULL),
    (Fault::DiskBroken, host::BROKEN),
    (Fault::OomKill, host::OOM),
    (Fault::MemoryLow, host::MEMORY),
    (Fault::Handles, host::HANDLES),
    (Fault::CertExpired, network::EXPIRED),
    (Fault::CertName, network::WRONG_NAME),
    (Fault::CertUntrusted, network::UNTRUSTED),
    (Fault::NameTimeout, &["resolution timed out", "dns lookup timed out", "resolving timed out"]),
    (Fault::NameServer, network::NAME_SERVER),
    (Fault::NoSuchName, network::NO_NAME),
    (Fault::Throttled, answers::THROTTLED),
    (Fault::Quota, answers::QUOTA),
    (Fault::ExecMissing, host::NO_PROGRAM),
    (Fault::UnitRestarts, &["start request repeated too quickly", "start-limit-hit"]),
    (Fault::UnitFailed, host::UNIT_FAILED),
    (Fault::UnitInactive, host::UNIT_GONE),
    (Fault::Refused, auth::REFUSED),
    (Fault::NetReset, network::RESET),
    (Fault::NetUnreachable, network::UNREACHABLE),
    (Fault::NetTimeout, network::NET_TIMEOUT),
    (Fault::NetRefused, network::NET_REFUSED),
    (Fault::PermissionDenied, auth::DENIED),
    (Fault::Schema, answers::SCHEMA),
    (Fault::NotFound, answers::NOT_FOUND),
    (Fault::ServerError, answers::SERVER),
    (Fault::BadAnswer, answers::BAD_ANSWER),
    (Fault::Stale, &["the data is & old", "no success since", "is stale"]),
    (Fault::Configuration, &["configuration error", "is not declared in jada.yaml"]),
    (Fault::Stuck, &["was told to stop and does not end"]),
    (Fault::ExecSignal, &["core dumped", "ended by sigsegv", "ended by sigabrt"]),
];
