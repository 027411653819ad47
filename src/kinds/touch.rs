//! What a job's work touches outside of the job, as far as its definition says so.
//!
//! Owns the reading of hosts out of what is written: addresses, servers, the words of a command. Refuses to
//! guess: what a template decides is known when the job runs, and not before.

use reqwest::Url;

use super::command::Run;
use super::template;

/// Something outside of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// A service that it talks to.
    Reaches(Reach),
    /// A name that it has looked up.
    Asks {
        /// The name.
        name: String,
        /// The name server, where it is not one of this host's own.
        server: Option<String>,
    },
    /// Data that it reads, by a name that whoever writes it has too.
    Reads(String),
    /// Data that it leaves behind.
    Writes(String),
}

/// A service, by the way to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// Its host's name or address, in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS from the first byte on.
    pub tls: bool,
    /// Whether it speaks HTTP, as far as that is known.
    pub http: bool,
}

impl Reach {
    /// The service of an address with a scheme; `None` where a template decides, or where it has no host.
    #[must_use]
    pub fn of_url(text: &str) -> Option<Self> {
        if template::is_template(text) {
            return None;
        }
        let url = Url::parse(text.trim()).ok()?;
        let (port, tls) = match url.scheme() {
            "https" => (443, true),
            "http" => (80, false),
            "postgres" | "postgresql" => (5432, false),
            _ => return None,
        };
        let host = url.host_str()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let http = url.scheme().starts_with("http");
        Some(Self { host, port: url.port().unwrap_or(port), tls, http })
    }

    /// The service of `host:port`.
    #[must_use]
    pub fn of_address(text: &str) -> Option<Self> {
        if template::is_template(text) {
            return None;
        }
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let port = port.parse().ok()?;
        (!host.is_empty()).then_some(Self {
            host,
            port,
            tls: port == 443,
            http: matches!(port, 80 | 443),
        })
    }

    /// `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Its address, as curl takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let Self { host, port, tls, .. } = self;
        let scheme = if *tls { "https" } else { "http" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match (tls, port) {
            (true, 443) | (false, 80) => format!("{scheme}://{host}"),
            _ => format!("{scheme}://{host}:{port}"),
        }
    }

    /// Whether it is on this host: neither names nor the network stand between.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl Touch {
    /// That it talks to the service of an address.
    pub(in crate::kinds) fn url(text: &str) -> Option<Self> {
        Reach::of_url(text).map(Self::Reaches)
    }

    /// That it talks to the service of `host:port`.
    pub(in crate::kinds) fn address(text: &str) -> Option<Self> {
        Reach::of_address(text).map(Self::Reaches)
    }

    /// That it reads a file.
    pub(in crate::kinds) fn reads_file(path: &str) -> Option<Self> {
        (!template::is_template(path)).then(|| Self::Reads(format!("file {path}")))
    }

    /// That it writes a file.
    pub(in crate::kinds) fn writes_file(path: &str) -> Option<Self> {
        (!template::is_template(path)).then(|| Self::Writes(format!("file {path}")))
    }

    /// The addresses that stand in what a program is given.
    pub(in crate::kinds) fn of_run(run: &Run) -> Vec<Self> {
        let words: Vec<&str> = match run {
            Run::Exec(words) => words.iter().map(|word| word.value.0.as_str()).collect(),
            Run::Shell(text) => vec![text.as_str()],
        };
        words.into_iter().flat_map(urls).filter_map(Self::url).collect()
    }
}

/// What looks like an address in a text.
fn urls(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "\"'`<>|;)&".contains(c);
    ["https://", "http://"].into_iter().flat_map(move |scheme| {
        text.match_indices(scheme).map(move |(at, _)| {
            let rest = &text[at..];
            &rest[..rest.find(ends).unwrap_or(rest.len())]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_out_of_what_is_written() {
        let reach = |host: &str, port, tls| {
            let http = port != 5432;
            Some(Reach { host: host.to_owned(), port, tls, http })
        };
        let cases = [
            ("https://API.Example.com/v1?x=1", reach("api.example.com", 443, true)),
            ("http://127.0.0.1:8080", reach("127.0.0.1", 8080, false)),
            ("https://[::1]:8443/", reach("::1", 8443, true)),
            ("postgres://ops@db/bookings", reach("db", 5432, false)),
            ("https://{{params.host}}/", None),
            ("ftp://example.com", None),
            ("no address", None),
        ];
        for (text, want) in cases {
            assert_eq!(Reach::of_url(text), want, "{text}");
        }
        assert_eq!(Reach::of_address("db:5432"), reach("db", 5432, false));
        assert_eq!(Reach::of_address("db"), None);
        let found: Vec<_> =
            urls("curl -s 'https://a.example/x' | jq . && curl http://b.example;true").collect();
        assert_eq!(found, ["https://a.example/x", "http://b.example"]);
    }
}
