//! Phrases of the way to a server: names, connections, certificates.
//!
//! Owns the phrases. Refuses to know which of them goes before which (`table`).

pub(super) const EXPIRED: &[&str] = &[
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

pub(super) const WRONG_NAME: &[&str] = &[
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

pub(super) const UNTRUSTED: &[&str] = &[
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

pub(super) const NAME_SERVER: &[&str] = &[
    "temporary failure in name resolution",
    "servfail",
    "eai_again",
    "server misbehaving",
    "name server failed",
    "connection timed out; no servers could be reached",
    "no servers could be reached",
];

pub(super) const NO_NAME: &[&str] = &[
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

pub(super) const NET_REFUSED: &[&str] = &[
    "connection refused",
    "econnrefused",
    "connectionrefused",
    "actively refused",
    "couldn't connect to server",
    "could not connect to server",
];

pub(super) const RESET: &[&str] = &[
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

pub(super) const UNREACHABLE: &[&str] = &[
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

pub(super) const NET_TIMEOUT: &[&str] = &[
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
