//! The address of a Postgres server.
//!
//! Owns what it may say: never a password, and how the connection is protected. Refuses to connect.

use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::super::trouble::Trouble;
use crate::kinds::template;

/// What follows an error of a protected connection.
pub(super) const TLS_HELP: &str = "; the server must show a certificate for its name that this machine \
                                   trusts (SSL_CERT_FILE names further ones), or the address says \
                                   `sslmode=disable`";

/// A server, its database, and the way there.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) shown: String,
}

/// What is wrong with an address, and what helps; it may be a template.
pub(in super::super) fn problem(text: &str) -> Option<(String, &'static str)> {
    const SHAPE: &str = "write `postgres://user@host/database`";
    let after = ["postgres://", "postgresql://"].iter().find_map(|start| text.strip_prefix(start));
    let Some(after) = after else {
        return Some(("this is no address of a Postgres server".to_owned(), SHAPE));
    };
    let (authority, query) = after.split_once('?').unwrap_or((after, ""));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || query.split('&').any(|pair| pair.starts_with("password=")) {
        let words = "a password must not stand here".to_owned();
        return Some((words, "leave it out, and name a `credential` that holds it"));
    }
    if template::is_template(text) {
        return None;
    }
    parse(text).err().map(|error| (error, SHAPE))
}

fn parse(text: &str) -> Result<Config, String> {
    // Both demand what is done here anyway where a connection is protected: the certificate is verified.
    let text = text.replace("sslmode=verify-full", "sslmode=require");
    let text = text.replace("sslmode=verify-ca", "sslmode=require");
    text.parse::<Config>().map_err(|error| match std::error::Error::source(&error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    })
}

impl Address {
    /// Reads an address that is filled in.
    pub(super) fn parse(key: &str, text: &str) -> Result<Self, Trouble> {
        if let Some((what, help)) = problem(text) {
            return Err(Trouble::config(format!("`{key}`: {what}; {help}")));
        }
        let mut config = parse(text).map_err(|what| Trouble::config(format!("`{key}`: {what}")))?;
        if config.get_hosts().is_empty() {
            config.host("localhost");
        }
        let hosts = config.get_hosts();
        let is_near = hosts.iter().all(is_near);
        if !text.contains("sslmode=") {
            config.ssl_mode(super::ssl_mode(is_near));
        }
        let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let shown = format!("{host}/{database}");
        Ok(Self { config, shown })
    }

    /// Whether the connection is to be protected.
    pub(super) fn is_private(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Disable
    }

    /// Servers over the network, with their ports.
    pub(super) fn hosts(&self) -> Vec<(String, u16)> {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate();
        let found = hosts.filter_map(|(no, host)| match host {
            Host::Tcp(name) => {
                let port = ports.get(no).or(ports.first()).copied();
                // A declaration keeps the brackets of an address.
                let bare = name.contains(':') && !name.starts_with('[');
                let name = if bare { format!("[{name}]") } else { name.clone() };
                Some((name, port.unwrap_or(5432)))
            }
            Host::Unix(_) => None,
        });
        found.collect()
    }
}

/// Whether nobody can listen on the way there.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_secrets_is_taken() {
        let cases = [
            ("postgres://me@db.example/app", "db.example/app", SslMode::Require),
            ("postgresql://me@localhost:5433/app", "localhost/app", SslMode::Disable),
            ("postgres://me@127.0.0.1/app?sslmode=require", "127.0.0.1/app", SslMode::Require),
            ("postgres://me@db/app?sslmode=verify-full", "db/app", SslMode::Require),
            ("postgres://me@db/app?sslmode=prefer", "db/app", SslMode::Prefer),
            ("postgres://me@%2Frun%2Fpostgresql/app", "/run/postgresql/app", SslMode::Disable),
        ];
        for (text, shown, mode) in cases {
            assert_eq!(problem(text), None);
            let address = Address::parse("url", text).unwrap();
            assert_eq!((address.shown.as_str(), address.config.get_ssl_mode()), (shown, mode));
        }
        assert_eq!(problem("postgres://me@{{params.host}}/app"), None);
    }

    #[test]
    fn others_are_told() {
        let password = "a password must not stand here";
        let cases = [
            ("postgres://me:secret@db/app", password),
            ("postgres://me:{{params.p}}@db/app", password),
            ("postgres://me@db/app?password=secret", password),
            ("mysql://me@db/app", "this is no address of a Postgres server"),
            ("host=db user=me", "this is no address of a Postgres server"),
            ("postgres://me@db/app?sslmode=maybe", "invalid value for option `sslmode`"),
        ];
        for (text, expected) in cases {
            assert_eq!(problem(text).map(|(what, _)| what), Some(expected.to_owned()), "{text}");
        }
    }
}
