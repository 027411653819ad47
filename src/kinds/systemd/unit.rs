//! A unit, as its manager tells of it.
//!
//! Owns which properties are asked for, and the names of units. Refuses to judge them.

use jiff::Timestamp;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::bus::{Bus, Buses, PATIENCE, Trouble, is_over};
use super::memory;
use crate::clock::{Clock, within};
use crate::yaml::decode::nearest;

const MANAGER: &str = "org.freedesktop.systemd1";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Longest name of a unit.
const NAME_MAX: usize = 255;

/// Kinds of units with the interface that tells of each; of those without, there is nothing more to tell.
const KINDS: [(&str, Option<&str>); 11] = [
    ("service", Some("org.freedesktop.systemd1.Service")),
    ("timer", Some("org.freedesktop.systemd1.Timer")),
    ("socket", Some("org.freedesktop.systemd1.Socket")),
    ("mount", Some("org.freedesktop.systemd1.Mount")),
    ("automount", Some("org.freedesktop.systemd1.Automount")),
    ("swap", Some("org.freedesktop.systemd1.Swap")),
    ("path", Some("org.freedesktop.systemd1.Path")),
    ("scope", Some("org.freedesktop.systemd1.Scope")),
    ("target", None),
    ("slice", None),
    ("device", None),
];

/// What a manager tells of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its full name.
    pub name: String,
    /// Whether its definition could be read: `loaded`, `not-found`, `bad-setting`, `masked`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// The finer state: `running`, `auto-restart`, `exited`, …
    pub sub: String,
    /// How it ended the last time: `success`, `exit-code`, `oom-kill`, `watchdog`, …
    pub result: String,
    /// A service's own type: `simple`, `oneshot`, …; empty of other units.
    pub kind: String,
    /// How often it was started again by itself since somebody started it; `None` of what never is.
    pub restarts: Option<u32>,
    /// What it uses, in bytes.
    pub memory: Option<u64>,
    /// The status with which the main process ended the last time; 0 of one that runs.
    pub exit_status: i32,
    /// What it says of itself.
    pub says: String,
    /// Since when it is in its state.
    pub since: Option<Timestamp>,
    /// Whether something else starts it when it is needed: a timer, a socket, a path.
    pub is_triggered: bool,
    /// What it might have been meant, where it was not found.
    pub instead: Option<String>,
}

impl Unit {
    /// Whether there is such a unit.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.load != "not-found"
    }
}

/// The full name of a unit: what names no kind is a service.
#[must_use]
pub fn full_name(name: &str) -> String {
    let has_kind = |name: &str| {
        name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.iter().any(|(known, _)| *known == kind))
    };
    if has_kind(name) { name.to_owned() } else { format!("{name}.service") }
}

/// What is wrong with a name, with the way out.
#[must_use]
pub fn name_problem(name: &str) -> Option<(String, &'static str)> {
    let help = "write it like `nginx.service` or `backup.timer`, as `systemctl list-units` does";
    let good = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    if name.is_empty() || full_name(name).len() > NAME_MAX || name.starts_with(['.', '@']) {
        return Some((format!("`{name}` is no name of a unit"), help));
    }
    if let Some(bad) = name.chars().find(|c| !good(*c)) {
        return Some((format!("`{bad}` can't stand in the name of a unit"), help));
    }
    name.contains("@.").then(|| {
        let help = "name an instance of it, such as `backup@daily.service`";
        (format!("`{name}` is a template, which never runs"), help)
    })
}

/// Asks a manager about a unit. A connection that turns out to be dead was that of a bus which has been started
/// again since: the question is put once more, over a new one.
///
/// # Errors
/// Why there is no answer. That there is no such unit is one.
pub async fn read(
    buses: &Buses,
    bus: &Bus,
    name: &str,
    clock: &dyn Clock,
) -> Result<Unit, Trouble> {
    let name = full_name(name);
    let asking = async {
        let (connection, was_there) = buses.connection(bus).await?;
        match ask(&connection, &name).await {
            Err(error) if was_there && is_over(&connection, &error) => buses.forget(bus),
            answer => return answer,
        }
        let (connection, _) = buses.connection(bus).await?;
        ask(&connection, &name).await
    };
    match within(clock, PATIENCE, asking).await {
        Some(answer) => answer.map_err(Trouble::from),
        None => Err(Trouble::TooSlow),
    }
}

async fn ask(connection: &Connection, name: &str) -> zbus::Result<Unit> {
    let manager = "/org/freedesktop/systemd1";
    let interface = "org.freedesktop.systemd1.Manager";
    // A unit that is not in use is not loaded; to load it changes nothing.
    let found = connection
        .call_method(Some(MANAGER), manager, Some(interface), "LoadUnit", &(name,))
        .await?;
    let path: OwnedObjectPath = found.body().deserialize()?;
    let object = Object { connection, path: path.as_str() };
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    let mut unit = object.look(kind).await?;
    if unit.active == "failed" && unit.result == "success" {
        // It failed between the two questions, and knows by now what of.
        unit = object.look(kind).await?;
    }
    unit.name = name.to_owned();
    if !unit.exists() {
        let names = names(connection).await.unwrap_or_default();
        unit.instead = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    }
    Ok(unit)
}

/// An object on a bus.
struct Object<'a> {
    connection: &'a Connection,
    path: &'a str,
}

impl Object<'_> {
    async fn look(&self, kind: &str) -> zbus::Result<Unit> {
        let own = KINDS.iter().find(|(known, _)| *known == kind);
        // What it came to is asked before its state: a unit that fails in between is not taken to be well.
        let mut unit = match own.and_then(|(_, interface)| *interface) {
            Some(interface) if kind == "service" => self.service(interface).await?,
            Some(interface) => {
                Unit { result: self.text(interface, "Result").await?, ..Unit::default() }
            }
            None => Unit { result: "success".to_owned(), ..Unit::default() },
        };
        self.add_state(&mut unit).await?;
        Ok(unit)
    }

    async fn service(&self, interface: &str) -> zbus::Result<Unit> {
        let (result, kind, restarts, memory, group, main, exit_status, says) = tokio::try_join!(
            self.text(interface, "Result"),
            self.text(interface, "Type"),
            self.get::<u32>(interface, "NRestarts"),
            self.get::<u64>(interface, "MemoryCurrent"),
            self.text(interface, "ControlGroup"),
            self.get::<u32>(interface, "MainPID"),
            self.get::<i32>(interface, "ExecMainStatus"),
            self.text(interface, "StatusText"),
        )?;
        Ok(Unit {
            result,
            kind,
            restarts: Some(restarts),
            memory: memory::of(memory, &group, main),
            exit_status,
            says,
            ..Unit::default()
        })
    }

    async fn add_state(&self, unit: &mut Unit) -> zbus::Result<()> {
        let interface = "org.freedesktop.systemd1.Unit";
        let (load, active, sub, since, triggers) = tokio::try_join!(
            self.text(interface, "LoadState"),
            self.text(interface, "ActiveState"),
            self.text(interface, "SubState"),
            self.get::<u64>(interface, "StateChangeTimestamp"),
            self.get::<Vec<String>>(interface, "TriggeredBy"),
        )?;
        (unit.load, unit.active, unit.sub) = (load, active, sub);
        let since = i64::try_from(since).ok().filter(|micros| *micros > 0);
        unit.since = since.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        unit.is_triggered = !triggers.is_empty();
        Ok(())
    }

    async fn text(&self, interface: &str, name: &str) -> zbus::Result<String> {
        self.get(interface, name).await
    }

    async fn get<T>(&self, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant, Error = zbus::Error>,
    {
        let reply = self
            .connection
            .call_method(Some(MANAGER), self.path, Some(PROPERTIES), "Get", &(interface, name))
            .await?;
        T::try_from(reply.body().deserialize::<OwnedVariant>()?)
    }
}

/// The names of all units that are defined.
async fn names(connection: &Connection) -> zbus::Result<Vec<String>> {
    let manager = "/org/freedesktop/systemd1";
    let interface = "org.freedesktop.systemd1.Manager";
    let reply = connection
        .call_method(Some(MANAGER), manager, Some(interface), "ListUnitFiles", &())
        .await?;
    let body = reply.body();
    let files: Vec<(&str, &str)> = body.deserialize()?;
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok(files.into_iter().map(|(path, _)| name(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_kind_is_a_service() {
        for (name, full) in [
            ("nginx", "nginx.service"),
            ("backup.timer", "backup.timer"),
            ("getty@tty1", "getty@tty1.service"),
            ("org.example.thing", "org.example.thing.service"),
            ("var-lib.mount", "var-lib.mount"),
        ] {
            assert_eq!(full_name(name), full);
            assert_eq!(name_problem(name), None, "{name}");
        }
        for bad in
            ["", "a b", "nginx*", "a/b", "backup@.service", ".service", "ä", &"x".repeat(250)]
        {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }
}
