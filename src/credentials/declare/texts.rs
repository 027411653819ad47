//! Texts of a declaration that have a form: addresses, hosts, days, names, scopes.
//!
//! Owns what each may look like and how it is refused. Refuses to know which keys have them.

use std::borrow::Cow;

use http::Uri;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::yaml::{Code, Decode, Decoder, Node};

/// The address of a server: https, or http on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressText(pub String);

/// A host that may see a token: `api.example.com`, `*.example.com`, `127.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostText(pub String);

/// The end of a key: a day, which it is not good for any more, or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndText(pub Timestamp);

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableText(pub String);

/// The name of a file in `$CREDENTIALS_DIRECTORY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemdText(pub String);

/// The name of an HTTP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(pub String);

/// A text that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SomeText(pub String);

/// A scope in full; Google's may be shortened to what follows `auth/`.
pub(super) fn google_scope(text: &str) -> String {
    match text {
        "openid" => text.to_owned(),
        "email" | "profile" => format!("https://www.googleapis.com/auth/userinfo.{text}"),
        _ if text.contains("://") => text.to_owned(),
        _ => format!("https://www.googleapis.com/auth/{text}"),
    }
}

/// Whether an entry of an allow-list covers a host.
pub(super) fn covers(allowed: &str, host: &str, port: Option<u16>) -> bool {
    let (name, only) = split_port(allowed);
    if only.is_some() && only != port {
        return false;
    }
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        // The name that follows the dot is a domain's own host, and not below it.
        Some(domain) => {
            host.len() > domain.len() + 1 && {
                let (head, tail) = host.split_at(host.len() - domain.len());
                head.ends_with('.') && tail.eq_ignore_ascii_case(domain)
            }
        }
        None => host.eq_ignore_ascii_case(name),
    }
}

/// A host and its port, where there is one. The host of an address in brackets keeps them.
fn split_port(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            port.parse().map_or((text, None), |port| (host, Some(port)))
        }
        _ => (text, None),
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = split_port(text);
    let name = name.strip_prefix("*.").unwrap_or(name);
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    // A single star, or one before a top-level domain, would allow nearly everybody.
    let labels = name.split('.').count();
    name.split('.').all(label) && (!text.starts_with("*.") || labels >= 2) && port != Some(0)
}

/// Whether plain HTTP to this address stays on this host.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    inner == "localhost" || inner.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn end(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() == "2027-01-31".len())?;
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

/// A text that must pass `parse`, or it is reported with the help.
fn text<T>(
    node: &Node<'_>,
    cx: &mut Decoder,
    (code, what, help): (Code, &str, &str),
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let Some(written) = cx.written(node) else {
        cx.wrong_type(node, what).help(help);
        return None;
    };
    let parsed = parse(&written);
    if parsed.is_none() {
        let at = cx.within(node, 0..written.len());
        let message = format!("`{}` is not {what}", crate::yaml::node::shortened(&written));
        cx.report(code, at, message).help(help);
    }
    parsed
}

impl Decode for AddressText {
    const EXPECTS: &'static str = "an address";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let help = "write it like https://example.com/token; http is for this host alone, since \
                    secrets go there";
        text(node, cx, (Code::BadAddress, "the address of a server", help), |written| {
            let uri: Uri = written.parse().ok()?;
            let safe = match uri.scheme_str()? {
                "https" => uri.host().is_some_and(|host| !host.is_empty()),
                "http" => is_loopback(&uri),
                _ => false,
            };
            let plain = !uri.authority()?.as_str().contains('@');
            (safe && plain).then(|| Self(written.to_owned()))
        })
    }
}

impl Decode for HostText {
    const EXPECTS: &'static str = "a host";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let help = "write it like api.example.com, *.example.com or 127.0.0.1:8080";
        let form = (Code::BadAddress, "the name of a host", help);
        text(node, cx, form, |written| is_host(written).then(|| Self(written.to_owned())))
    }
}

impl Decode for EndText {
    const EXPECTS: &'static str = "a day";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let help = "write the day on which it ends, such as 2027-01-31, or the moment, such as \
                    2027-01-31T12:00:00Z";
        text(node, cx, (Code::BadInstant, "a day or a moment", help), |text| end(text).map(Self))
    }
}

impl Decode for VariableText {
    const EXPECTS: &'static str = "the name of a variable";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let help = "use letters, digits and '_', and no digit first";
        text(node, cx, (Code::BadName, "the name of a variable", help), |written| {
            is_variable(written).then(|| Self(written.to_owned()))
        })
    }
}

/// Whether a text can be the name of an environment variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(legal)
}

impl Decode for SystemdText {
    const EXPECTS: &'static str = "the name of a systemd credential";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let help = "write the name that the unit's LoadCredential= gives it, without a folder";
        let form = (Code::BadName, "the name of a systemd credential", help);
        text(node, cx, form, |written| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_.-:@".contains(c);
            let named = !written.is_empty() && written.chars().all(legal);
            (named && !written.starts_with('.')).then(|| Self(written.to_owned()))
        })
    }
}

impl Decode for HeaderText {
    const EXPECTS: &'static str = "the name of a header";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let form = (Code::BadName, "the name of a header", "write it like X-Api-Key");
        text(node, cx, form, |written| {
            http::HeaderName::try_from(written).ok().map(|_| Self(written.to_owned()))
        })
    }
}

impl Decode for SomeText {
    const EXPECTS: &'static str = "a text";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let written = cx.written(node).filter(|text| !text.trim().is_empty());
        if written.is_none() {
            cx.wrong_type(node, Self::EXPECTS);
        }
        written.map(Self)
    }
}

macro_rules! schema {
    ($($name:ident: $schema:tt,)*) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schema! {
    AddressText: { "type": "string", "pattern": "^https?://" },
    HostText: { "type": "string", "pattern": r"^(\*\.)?[^/@\s]+$" },
    EndText: { "type": "string", "pattern": r"^\d{4}-\d\d-\d\d" },
    VariableText: { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
    SystemdText: { "type": "string", "pattern": "^[A-Za-z0-9_:@-][A-Za-z0-9_.:@-]*$" },
    HeaderText: { "type": "string", "minLength": 1 },
    SomeText: { "type": ["string", "number", "boolean"] },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_list_covers_what_it_says_and_no_more() {
        let cases = [
            ("api.example.com", "api.example.com", None, true),
            ("api.example.com", "API.example.com.", None, true),
            ("api.example.com", "evil-api.example.com", None, false),
            ("api.example.com", "api.example.com.evil.test", None, false),
            ("*.example.com", "a.b.example.com", None, true),
            ("*.example.com", "example.com", None, false),
            ("*.example.com", "badexample.com", None, false),
            ("*.example.com", ".example.com", None, false),
            ("127.0.0.1:8080", "127.0.0.1", Some(8080), true),
            ("127.0.0.1:8080", "127.0.0.1", Some(8081), false),
            ("127.0.0.1", "127.0.0.1", Some(8081), true),
            ("[::1]:80", "[::1]", Some(80), true),
            ("[::1]", "[::1]", Some(80), true),
        ];
        for (allowed, host, port, want) in cases {
            assert_eq!(covers(allowed, host, port), want, "{allowed} {host} {port:?}");
        }
    }

    #[test]
    fn a_host_is_a_host() {
        for text in ["api.example.com", "*.example.com", "localhost", "10.0.0.1:80", "[::1]:8080"] {
            assert!(is_host(text), "{text}");
        }
        for text in
            ["*", "*.com", "", "https://example.com", "a b", "a/b", "u@h", "a..b", "[x]", "h:0"]
        {
            assert!(!is_host(text), "{text}");
        }
    }

    #[test]
    fn a_day_ends_as_it_begins() {
        let ends = ["2027-01-31", "2027-01-31T12:00:00Z", "2027-01", "tomorrow"].map(end);
        let shown = ends.map(|end| end.map_or_else(|| "none".to_owned(), |end| end.to_string()));
        assert_eq!(shown, ["2027-01-31T00:00:00Z", "2027-01-31T12:00:00Z", "none", "none"]);
    }

    #[test]
    fn scopes_of_google_are_shortened() {
        for (short, full) in [
            ("openid", "openid"),
            ("email", "https://www.googleapis.com/auth/userinfo.email"),
            ("drive.file", "https://www.googleapis.com/auth/drive.file"),
            ("https://mail.google.com/", "https://mail.google.com/"),
        ] {
            assert_eq!(google_scope(short), full);
        }
    }
}
