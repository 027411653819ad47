//! The connections to buses of D-Bus: one each, made when somebody asks, and made anew when it broke.
//!
//! Owns the addresses, the patience, and what is said where there is no bus. Refuses to listen: no signal is
//! subscribed to, so a connection that nobody uses costs no time.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use zbus::connection::Builder;
use zbus::{Connection, Error, fdo};

use crate::yaml::words;

/// Longest time that a manager may take for its whole answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

words! {
    /// Whose manager is meant.
    pub enum Scope {
        /// The host's.
        System = "system",
        /// That of the user whom the daemon runs as.
        User = "user",
    }
}

/// A bus that a manager of units is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Whose manager it is.
    pub scope: Scope,
    /// Its address where it is not the usual one, such as `unix:path=/run/dbus/system_bus_socket`.
    pub address: Option<String>,
}

/// Why nothing can be said of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No systemd answers there.
    NoSystemd(String),
    /// It answers, and refuses to tell.
    Denied(String),
    /// It did not answer in time.
    TooSlow,
    /// It says something that makes no sense here.
    Odd(String),
}

impl Trouble {
    /// What is the matter, and the way out.
    #[must_use]
    pub fn words(&self, bus: &Bus) -> String {
        let around = match (bus.scope, &bus.address) {
            (_, Some(_)) => "is `bus` right? without it the usual address is taken",
            (Scope::System, None) => {
                "where there is no systemd, use `process` or `command` instead"
            }
            (Scope::User, None) => {
                "the user's manager runs while the user is logged in, or after `loginctl \
                 enable-linger`; else give `bus`"
            }
        };
        match self {
            Self::NoSystemd(words) => format!("no systemd answers: {words}; {around}"),
            Self::Denied(words) => format!("systemd refuses to tell: {words}"),
            Self::TooSlow => {
                format!("systemd did not answer within {} s", PATIENCE.as_secs())
            }
            Self::Odd(words) => format!("systemd says something odd: {words}"),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match &error {
            Error::FDO(known) => match known.as_ref() {
                fdo::Error::ServiceUnknown(words)
                | fdo::Error::NameHasNoOwner(words)
                | fdo::Error::SpawnServiceNotFound(words)
                | fdo::Error::NoServer(words) => Self::NoSystemd(words.clone()),
                fdo::Error::AccessDenied(words)
                | fdo::Error::AuthFailed(words)
                | fdo::Error::InteractiveAuthorizationRequired(words) => {
                    Self::Denied(words.clone())
                }
                other => Self::Odd(other.to_string()),
            },
            Error::Connection(why, address) => {
                Self::NoSystemd(format!("can't connect to {address}: {why}"))
            }
            Error::InputOutput(_) | Error::Handshake(_) | Error::Address(_) => {
                Self::NoSystemd(error.to_string())
            }
            _ => Self::Odd(error.to_string()),
        }
    }
}

/// The connections of a process.
#[derive(Default)]
pub struct Buses(Mutex<Vec<(String, Connection)>>);

impl fmt::Debug for Buses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buses")
    }
}

impl Buses {
    /// A connection to a bus, and whether it was there already.
    pub(super) async fn connection(&self, bus: &Bus) -> zbus::Result<(Connection, bool)> {
        let address = address(bus);
        if let Some(connection) = self.kept(&address) {
            return Ok((connection, true));
        }
        let connection = Builder::address(address.as_str()).build().await?;
        self.keep(address, connection.clone());
        Ok((connection, false))
    }

    /// Lets go of a connection that turned out to be dead.
    pub(super) fn forget(&self, bus: &Bus) {
        let address = address(bus);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != address);
    }

    fn kept(&self, address: &str) -> Option<Connection> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, connection)| !connection.is_closed());
        kept.iter().find(|(known, _)| known == address).map(|(_, connection)| connection.clone())
    }

    /// Of two that were made at the same time, one is enough.
    fn keep(&self, address: String, connection: Connection) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != address);
        kept.push((address, connection));
    }
}

/// Whether an answer is that of a connection which is no more.
pub(super) fn is_over(connection: &Connection, error: &Error) -> bool {
    let lost = match error {
        Error::InputOutput(_) | Error::Handshake(_) => true,
        Error::FDO(known) => {
            matches!(**known, fdo::Error::Disconnected(_) | fdo::Error::IOError(_))
        }
        _ => false,
    };
    lost || connection.is_closed()
}

/// Where a bus is: as said, as the environment says, or where systemd puts it.
fn address(bus: &Bus) -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (&bus.address, bus.scope) {
        (Some(address), _) => address.clone(),
        (None, Scope::System) => variable("DBUS_SYSTEM_BUS_ADDRESS")
            .unwrap_or_else(|| "unix:path=/run/dbus/system_bus_socket".to_owned()),
        (None, Scope::User) => variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| {
            let own = || format!("/run/user/{}", rustix::process::getuid().as_raw());
            format!("unix:path={}/bus", variable("XDG_RUNTIME_DIR").unwrap_or_else(own))
        }),
    }
}
