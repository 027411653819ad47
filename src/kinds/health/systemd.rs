//! The `systemd` probe: a unit, its state, how it ended and how often it was started again.
//!
//! Owns what of a unit's states is well, and which fault it is where one is not. Refuses to know D-Bus
//! (`kinds::systemd`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::measure::{Measured, Quantity, Reading, Unit as In, shown};
use super::probe::{Cause, Found, Verdict};
use super::recall::Recall;
use super::{Check, Round};
use crate::clock::Clock;
use crate::kinds::systemd::journal::{self, From};
use crate::kinds::systemd::{self, Bus, Buses, Scope, Trouble, Unit};
use crate::kinds::template;
use crate::model::{Failure, Fault};
use crate::yaml::{Code, Decoder, Located, section};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("active", Quantity::Text),
    ("sub", Quantity::Text),
    ("result", Quantity::Text),
    ("restarts", Quantity::Number),
    ("memory", Quantity::Size),
    ("since", Quantity::Time),
];

/// Entries of the journal among which the unit's own last words are looked for.
const LAST_WORDS: usize = 20;

/// What an exit status of systemd's own means: the program can't be started.
const NO_PROGRAM: i32 = 203;

section! {
    /// A unit of systemd.
    pub struct SystemdProbe {
        /// Its name, such as `nginx.service` or `backup.timer`; without a kind it is a service. A template.
        pub unit: Located<String>,
        /// Whose unit it is: the host's, or that of the user whom the daemon runs as.
        pub scope: Scope = Scope::System,
        /// The address of the bus, where it is not the usual one: `unix:path=/run/dbus/system_bus_socket`.
        pub bus: Option<Located<String>>,
    }
}

impl SystemdProbe {
    /// Reports names and addresses that can't be any.
    pub(super) fn check_form(&self, cx: &mut Decoder) {
        if let Some((message, help)) =
            systemd::name_problem(&self.unit).filter(|_| !template::is_template(&self.unit))
        {
            cx.report(Code::BadName, self.unit.span, message).help(help);
        }
        if let Some(bus) = &self.bus
            && let Some((message, help)) = bus_problem(bus)
        {
            cx.report(Code::BadAddress, bus.span, message).help(help);
        }
    }
}

impl Round<'_> {
    /// Looks at a unit.
    pub(super) async fn unit(&self, check: &Check, probe: &SystemdProbe) -> Result<Found, Failure> {
        let unit = self.given.render("unit", &probe.unit)?;
        let bus =
            Bus { scope: probe.scope, address: probe.bus.as_ref().map(|bus| bus.value.clone()) };
        let ask = Ask {
            unit: &unit,
            bus: &bus,
            buses: &self.network.buses,
            wanted: &check.wanted(),
            recall: &Recall::of(self.data_dir, &self.attempt.job, &check.name.value),
            journal: None,
            clock: self.attempt.clock.as_ref(),
        };
        // Every check would be as big as this one otherwise.
        Ok(Box::pin(read(&ask)).await)
    }
}

/// What is wrong with the address of a bus, with the way out.
pub(super) fn bus_problem(address: &str) -> Option<(String, &'static str)> {
    let known = ["unix:", "tcp:"].iter().any(|kind| address.starts_with(kind));
    let good = known && address.contains('=');
    (!good).then(|| {
        let help = "write it like `unix:path=/run/dbus/system_bus_socket`";
        (format!("`{address}` is no address of a bus"), help)
    })
}

/// A unit, and with what it is asked about.
pub(super) struct Ask<'a> {
    /// The unit's name.
    pub(super) unit: &'a str,
    /// Whom to ask.
    pub(super) bus: &'a Bus,
    /// The connections.
    pub(super) buses: &'a Buses,
    /// The values that something is expected of.
    pub(super) wanted: &'a [&'a str],
    /// What was seen the last time.
    pub(super) recall: &'a Recall,
    /// Where the journal is, if not where systemd has it.
    pub(super) journal: Option<PathBuf>,
    /// Time.
    pub(super) clock: &'a dyn Clock,
}

/// What is remembered from one look to the next.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    unit: String,
    restarts: u32,
}

/// Asks, and judges what nothing was said about.
pub(super) async fn read(ask: &Ask<'_>) -> Found {
    match systemd::name_problem(ask.unit) {
        Some((problem, help)) => Found::blind(format!("{problem}; {help}"), Fault::Configuration),
        None => look(ask).await.unwrap_or_else(|found| found),
    }
}

async fn look(ask: &Ask<'_>) -> Result<Found, Found> {
    let unit = systemd::read(ask.buses, ask.bus, ask.unit, ask.clock).await;
    let unit = unit.map_err(|trouble| blind(&trouble, ask.bus))?;
    if !unit.exists() {
        let (why, cause) = (missing(&unit, ask.bus.scope), Cause::of(Fault::NotFound));
        // Who expects it not to run may be right, or may have its name wrong.
        return Ok(if ask.wanted.contains(&"active") {
            Found::Judged(Verdict::Warn, why, reading(&unit, ask), cause)
        } else {
            Found::Down(why, cause)
        });
    }
    let before = remember(&unit, ask.recall).await?;
    let mut own = judge(&unit, ask.wanted, before);
    let mut text = state(&unit, ask);
    if let Some(before) = before.filter(|_| own.grown) {
        text =
            format!("started again by itself since the last look (NRestarts was {before}): {text}");
    }
    if let Some(note) = own.note {
        text = format!("{note}: {text}");
    }
    if own.verdict == Verdict::Fail {
        let last = last_words(&unit, ask).await;
        if last.killed_for_memory {
            own.fault = Some(Fault::OomKill);
        }
        text.extend(last.words.map(|words| format!("; journal: {words}")));
    }
    Ok(Found::Judged(own.verdict, text, reading(&unit, ask), Cause::of(own.fault)))
}

fn blind(trouble: &Trouble, bus: &Bus) -> Found {
    let fault = match trouble {
        Trouble::NoSystemd(_) => Some(Fault::Configuration),
        Trouble::Denied(_) => Some(Fault::PermissionDenied),
        Trouble::TooSlow => Some(Fault::TimedOut),
        Trouble::Odd(_) => Some(Fault::BadAnswer),
    };
    Found::blind(trouble.words(bus), fault)
}

fn missing(unit: &Unit, scope: Scope) -> String {
    let name = &unit.name;
    let user = if scope == Scope::User { " --user" } else { "" };
    match &unit.instead {
        Some(near) => {
            format!("there is no unit {name} (LoadState=not-found); did you mean `{near}`?")
        }
        None => format!(
            "there is no unit {name} (LoadState=not-found); `systemctl{user} list-unit-files` lists them"
        ),
    }
}

/// How often it had been started again at the last look, where that was of the same unit.
async fn remember(unit: &Unit, recall: &Recall) -> Result<Option<u32>, Found> {
    let Some(restarts) = unit.restarts else { return Ok(None) };
    let before: Option<Seen> = recall.read().await?;
    let now = Seen { unit: unit.name.clone(), restarts };
    if before.as_ref() != Some(&now) {
        recall.write(&now).await?;
    }
    Ok(before.filter(|before| before.unit == now.unit).map(|before| before.restarts))
}

/// What a unit's states say by themselves.
#[derive(Debug, PartialEq)]
struct Own {
    verdict: Verdict,
    fault: Option<Fault>,
    note: Option<&'static str>,
    /// Whether it was started again since the last look.
    grown: bool,
}

/// Judges what nothing else was said about: who expects a state of a unit decides which one is well.
fn judge(unit: &Unit, wanted: &[&str], before: Option<u32>) -> Own {
    let says = |names: &[&str]| names.iter().any(|name| wanted.contains(name));
    let mut own = Own { verdict: Verdict::Ok, fault: None, note: None, grown: false };
    if !says(&["active", "sub", "result"]) {
        (own.verdict, own.fault, own.note) = of_state(unit);
    }
    // Somebody who starts it anew also begins to count anew.
    let grown = before.zip(unit.restarts).is_some_and(|(before, now)| now > before);
    if grown && !says(&["restarts"]) {
        own.grown = true;
        if own.verdict != Verdict::Fail {
            (own.verdict, own.fault) = (Verdict::Fail, Some(Fault::UnitRestarts));
        }
    }
    own
}

fn of_state(unit: &Unit) -> (Verdict, Option<Fault>, Option<&'static str>) {
    let fail = |fault: Fault, note| (Verdict::Fail, Some(fault), note);
    let warn = |note| (Verdict::Warn, Some(Fault::UnitInactive), Some(note));
    match unit.load.as_str() {
        "masked" => return fail(Fault::UnitInactive, Some("it is masked, and can't be started")),
        "bad-setting" | "error" => {
            return fail(Fault::Configuration, Some("its definition can't be used"));
        }
        _ => {}
    }
    match (unit.active.as_str(), unit.sub.as_str()) {
        ("failed", _) => fail(of_result(unit), None),
        ("activating", "auto-restart") => {
            let fault = Some(of_result(unit)).filter(|fault| *fault != Fault::UnitFailed);
            fail(fault.unwrap_or(Fault::UnitRestarts), Some("it ends and is started again"))
        }
        // It does its work now; a daemon is there when it is up.
        ("activating", _) if unit.kind == "oneshot" => (Verdict::Ok, None, None),
        ("activating", _) => warn("it is still starting"),
        ("deactivating", _) => warn("it is ending"),
        ("inactive", _) if unit.result != "success" => fail(of_result(unit), None),
        ("inactive", _) if unit.kind == "oneshot" || unit.is_triggered => (Verdict::Ok, None, None),
        ("inactive", _) => fail(Fault::UnitInactive, None),
        _ => (Verdict::Ok, None, None),
    }
}

/// What is wrong with a unit that ended so.
fn of_result(unit: &Unit) -> Fault {
    match unit.result.as_str() {
        "oom-kill" => Fault::OomKill,
        "start-limit-hit" => Fault::UnitRestarts,
        "exit-code" if unit.exit_status == NO_PROGRAM => Fault::ExecMissing,
        _ => Fault::UnitFailed,
    }
}

/// A unit's state in systemd's own words.
fn state(unit: &Unit, ask: &Ask<'_>) -> String {
    let mut text =
        format!("ActiveState={} SubState={} Result={}", unit.active, unit.sub, unit.result);
    text.extend(unit.restarts.map(|restarts| format!(" NRestarts={restarts}")));
    if unit.result == "exit-code" {
        text.extend([" ExecMainStatus=", &unit.exit_status.to_string()]);
    }
    if unit.load != "loaded" {
        text.extend([" LoadState=", &unit.load]);
    }
    text.extend(age(unit, ask).map(|age| format!(", for {}", shown(age, In::Time))));
    text.extend(unit.memory.map(|bytes| format!(", {}", Measured::size(bytes).shown(None))));
    if !unit.says.is_empty() {
        text.extend(["; it says: ", &unit.says]);
    }
    text
}

fn age(unit: &Unit, ask: &Ask<'_>) -> Option<f64> {
    Some(ask.clock.now().duration_since(unit.since?).as_secs_f64().max(0.0))
}

fn reading(unit: &Unit, ask: &Ask<'_>) -> Reading {
    let missing = |why: &str| Measured::Missing(why.to_owned());
    let text = |text: &str| Measured::Text(text.to_owned());
    let restarts = unit.restarts.map(|restarts| Measured::Number(restarts.into(), In::Plain));
    let memory = unit.memory.map(Measured::size);
    let since = age(unit, ask).map(|age| Measured::Number(age, In::Time));
    Reading::default()
        .with("active", text(&unit.active))
        .with("sub", text(&unit.sub))
        .with("result", text(&unit.result))
        .with("restarts", restarts.unwrap_or_else(|| missing("only services are started again")))
        .with("memory", memory.unwrap_or_else(|| missing("nobody knows how much memory it uses")))
        .with("since", since.unwrap_or_else(|| missing("systemd does not know since when")))
}

/// What the journal has of a unit that is not well.
#[derive(Default)]
struct LastWords {
    words: Option<String>,
    killed_for_memory: bool,
}

/// The last words of the unit itself, or else those of its manager. Another bus is that of a container, whose
/// journal is elsewhere.
async fn last_words(unit: &Unit, ask: &Ask<'_>) -> LastWords {
    if ask.bus.address.is_some() && ask.journal.is_none() {
        return LastWords::default();
    }
    let asked = journal::Ask {
        unit: Some(unit.name.clone()),
        scope: ask.bus.scope,
        from: From::Tail(LAST_WORDS),
        most: LAST_WORDS,
        directory: ask.journal.clone(),
    };
    // Who may not read it has the unit's state all the same.
    let page = journal::read(&asked, ask.clock).await.unwrap_or_default();
    let managers = |entry: &&journal::Entry| entry.program.as_deref() == Some("systemd");
    let own = page.entries.iter().rfind(|entry| !managers(entry));
    let killed =
        page.entries.iter().filter(managers).any(|entry| entry.message.contains("oom-kill"));
    let last = own.or(page.entries.last());
    LastWords { words: last.map(|entry| entry.message.clone()), killed_for_memory: killed }
}

#[cfg(test)]
#[path = "systemd/tests.rs"]
mod tests;
