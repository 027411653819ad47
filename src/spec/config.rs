//! Reading `jada.yaml`.
//!
//! Owns what may stand there: every key is optional, and so is the file. Refuses to know jobs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::alerting::{self, AlertsSection};
use super::forms::Tried;
use super::heartbeat::{self, HeartbeatSection};
use super::names::{self, NameText};
use super::notifiers::{self, NotifierSection};
use super::policy::{CatchUpForm, LimitsSection, OverlapForm, RetryForm, TimeoutForm};
use super::scan::{self, Unreadable};
use super::schedule::ZoneText;
use super::settings::{Defaults, Settings};
use super::{checks, normal, secret};
use crate::alerts::settings::Alerts;
use crate::credentials::declare::section::{CredentialSection, PLACE_KEYS};
use crate::kinds::alert::AlertSection;
use crate::model::CredentialName;
use crate::yaml::decode::numbers::{Count, Seconds};
use crate::yaml::decode::quantity::{DurationText, SizeText};
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{self, Code, Decode, Decoder, Diagnostic, Located, Node, Source, Value, section};

/// The file's usual name.
pub const FILE: &str = "jada.yaml";

section! {
    /// The daemon's settings. Every key may be left out, and so may the file.
    pub struct SettingsSection {
        /// The folder of the job files: `jobs.d` where it is not given.
        pub jobs_dir: Tried<String>,
        /// The folder of the store, the output and the socket: `var` where it is not given.
        pub data_dir: Tried<String>,
        /// The loopback address of the read-only page: `127.0.0.1:7411` where it is not given.
        pub listen: Tried<Located<String>>,
        /// Where history is kept: `sqlite`, in `data_dir`.
        pub store: Tried<Located<String>>,
        /// Whom jobs may act as, by name. Never a secret: only where it is kept.
        pub credentials: Tried<Entries<Tried<CredentialSection>>>,
        /// Who is told of incidents, by name.
        pub notifiers: Tried<Entries<Tried<NotifierSection>>>,
        /// When they are told.
        pub alerts: Tried<AlertsSection>,
        /// Whom the daemon tells, again and again, that it is alive.
        pub heartbeat: Tried<HeartbeatSection>,
        /// Values of common keys, for jobs that lack them. A key in a job replaces the whole default.
        pub defaults: Tried<DefaultsSection>,
        /// Limits of the whole daemon.
        pub limits: Tried<DaemonLimitsSection>,
        /// What history is kept.
        pub retention: Tried<RetentionSection>,
        /// Who this node is.
        pub node: Tried<NodeSection>,
    }
}

section! {
    /// Values of common keys, for jobs that lack them.
    pub struct DefaultsSection {
        /// The zone of schedules that name none; UTC where this is not given either.
        pub timezone: Tried<ZoneText>,
        /// For jobs without `labels`.
        pub labels: Tried<BTreeMap<String, ScalarText>>,
        /// For jobs without `catch_up`.
        pub catch_up: Tried<CatchUpForm>,
        /// For jobs without `overlap`.
        pub overlap: Tried<OverlapForm>,
        /// For jobs without `deadline`.
        pub deadline: Tried<Located<DurationText>>,
        /// For jobs without `timeout`.
        pub timeout: Tried<TimeoutForm>,
        /// For jobs without `retry`.
        pub retry: Tried<RetryForm>,
        /// For jobs without `env`.
        pub env: Tried<Entries<Located<ScalarText>>>,
        /// For jobs without `working_dir`.
        pub working_dir: Tried<Located<String>>,
        /// For jobs without `limits`.
        pub limits: Tried<LimitsSection>,
        /// For jobs without `pool`.
        pub pool: Tried<Located<NameText>>,
        /// For jobs without `freshness`.
        pub freshness: Tried<Seconds>,
        /// For jobs without `alert`.
        pub alert: Tried<AlertSection>,
        /// For jobs without `params`.
        pub params: Tried<BTreeMap<String, Json>>,
    }
}

section! {
    /// Limits of the whole daemon.
    pub struct DaemonLimitsSection {
        /// Attempts that run at one time.
        pub running: Tried<Count>,
        /// Pools, each with its number of seats.
        pub pools: Tried<Entries<Count>>,
        /// Jobs due in one minute beyond which `jadactl validate` warns.
        pub jobs_per_minute: Tried<Count>,
    }
}

section! {
    /// What history is kept. What any of them no longer covers goes.
    pub struct RetentionSection {
        /// Oldest finished run: `90d` where it is not given.
        pub age: Tried<Seconds>,
        /// Most finished runs of one job: 10000 where it is not given.
        pub per_job: Tried<Count>,
        /// Most output of all runs together: `1GiB` where it is not given.
        pub bytes: Tried<SizeText>,
        /// Oldest observation of a check: `48h` where it is not given.
        pub observations: Tried<Seconds>,
    }
}

section! {
    /// Who this node is.
    pub struct NodeSection {
        /// Its name; the host's where it is not given.
        pub name: Tried<NameText>,
        /// Its labels.
        pub labels: Tried<BTreeMap<String, ScalarText>>,
    }
}

impl DefaultsSection {
    /// No defaults: what an empty mapping says.
    pub(super) fn none() -> Self {
        let nothing = Node { value: Value::Map(Vec::new()), span: yaml::Span::default() };
        let mut cx = Decoder::new(&Source::new("", ""));
        Self::decode(&nothing, &mut cx).expect("no key of it is required")
    }
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The settings; where there are errors, the defaults stand in for what is wrong.
    pub settings: Settings,
    /// What there is to say about the file.
    pub diagnostics: Vec<Diagnostic>,
    /// For each credential, what there is to say where no job uses it.
    pub unused: Vec<(CredentialName, Diagnostic)>,
}

impl Config {
    /// Settings without a file.
    #[must_use]
    pub fn of(settings: Settings) -> Self {
        Self { file: None, settings, diagnostics: Vec::new(), unused: Vec::new() }
    }

    /// Whether the daemon may start with it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads `jada.yaml`; where there is none, everything is as by default.
#[must_use]
pub fn read(path: &Path) -> Config {
    let settings = Settings::defaults(path.parent().unwrap_or(Path::new("")));
    let refused = match scan::read(path) {
        Ok(bytes) => match yaml::read_text(&path.to_string_lossy(), bytes) {
            Ok(source) => return decode(path, &source, settings),
            Err(refused) => refused,
        },
        Err(Unreadable::Gone) => {
            return Config::of(settings);
        }
        Err(refused) => refused.diagnostic(path),
    };
    let file = Some(path.to_owned());
    Config { file, diagnostics: vec![refused], ..Config::of(settings) }
}

/// Whether a file is of settings, whatever its name: all its keys are keys of settings.
pub(super) fn is_settings(path: &Path) -> bool {
    let Ok(bytes) = scan::read(path) else { return false };
    let Ok(source) = yaml::read_text(&path.to_string_lossy(), bytes) else { return false };
    let (documents, _) = yaml::parse(&source);
    let Some(first) = documents.first() else { return false };
    let (entries, known) = (first.root.entries(), SettingsSection::keys());
    !entries.is_empty() && entries.iter().all(|entry| known.contains(&entry.key.as_ref()))
}

fn decode(path: &Path, source: &Source, settings: Settings) -> Config {
    let (source, mut diagnostics) = secret::masked(source);
    let (documents, found) = yaml::parse(&source);
    diagnostics.extend(found);
    let file = Some(path.to_owned());
    let mut config = Config { file, diagnostics, ..Config::of(settings) };
    let Some((first, more)) = documents.split_first() else { return config };
    let mut cx = Decoder::new(&source);
    if let Some(second) = more.first() {
        let message = "a second document: the settings are one";
        cx.report(Code::WrongType, second.root.head(&source), message)
            .help("join the two; jobs go into the jobs folder");
    }
    let mut masks = Vec::new();
    if !first.broken {
        for (key, places) in [("credentials", PLACE_KEYS), ("notifiers", PLACE_KEYS)] {
            if let Some(entry) = first.root.get(key) {
                secrets(&entry.value, places, &mut cx, &mut masks);
            }
        }
        if let Some(entry) = first.root.get("notifiers") {
            notifiers::secret_urls(&entry.value, &mut cx, &mut masks);
        }
        if let Some(defaults) = first.root.get("defaults") {
            checks::secrets(&defaults.value, &mut cx, &mut masks);
        }
        if let Some(section) = SettingsSection::decode(&first.root, &mut cx) {
            apply(&section, &first.root, &mut config.settings, &mut cx);
        }
    }
    // A secret at a place that was to say where it is kept is told once, as what it is.
    let told: Vec<_> = config.diagnostics.iter().map(|told| (told.code, told.span)).collect();
    let new = |found: &Diagnostic| {
        found.code != Code::SecretLiteral || !told.contains(&(found.code, found.span))
    };
    config.diagnostics.extend(cx.finish().into_iter().filter(new));
    let source = secret::hide(&source, &masks, &mut config.diagnostics);
    config.unused = unused(&first.root, &source, &config.settings);
    config
}

/// Reports values whose key says that they are secrets, at any depth. Of the keys in `places` the decoding
/// reports a text by itself, and here it is only masked.
fn secrets(node: &Node<'_>, places: &[&str], cx: &mut Decoder, masks: &mut Vec<Range<usize>>) {
    if let Value::List(items) = &node.value {
        for item in items {
            secrets(item, places, cx, masks);
        }
    }
    for entry in node.entries() {
        if places.contains(&entry.key.as_ref()) && cx.written(&entry.value).is_some() {
            masks.push(entry.value.span.range());
            continue;
        }
        let help = "leave it out: jada.yaml says where a secret is kept, never what it is";
        checks::secret_entry(entry, help, cx, masks);
        secrets(&entry.value, places, cx, masks);
    }
}

fn apply(section: &SettingsSection, root: &Node<'_>, settings: &mut Settings, cx: &mut Decoder) {
    let folder = settings.root.clone();
    if let Some(path) = section.jobs_dir.as_ref() {
        settings.jobs_dir = folder.join(path);
    }
    if let Some(path) = section.data_dir.as_ref() {
        settings.data_dir = folder.join(path);
    }
    if let Some(address) = section.listen.as_ref() {
        settings.listen = listen(address, cx).unwrap_or(settings.listen);
    }
    if let Some(store) = section.store.as_ref() {
        check_store(store, cx);
    }
    credentials(section, root, settings, cx);
    limits(section, settings, cx);
    settings.heartbeat =
        section.heartbeat.as_ref().and_then(|section| heartbeat::read(section, settings, cx));
    if let Some(defaults) = section.defaults.as_ref() {
        let hash = root.get("defaults").map_or(0, |entry| normal::hash(&entry.value));
        settings.defaults = Defaults { section: defaults.clone(), hash };
    }
    // Defaults name notifiers, and windows are read in the default zone.
    alerting(section, settings, cx);
    if let Some(defaults) = section.defaults.as_ref() {
        checks::defaults(defaults, settings, cx);
    }
    if let Some(node) = section.node.as_ref() {
        settings.node.name = node.name.as_ref().map(|name| name.0.clone());
        let labels = node.labels.iter().flatten();
        settings.node.labels = labels.map(|(key, text)| (key.clone(), text.0.clone())).collect();
    }
}

/// The address of the page, which has no login and so must be a loopback one. An error is what is wrong
/// with it, and the way out.
fn address(text: &str) -> Result<SocketAddr, (String, &'static str)> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(address) => Err((
            format!("`{}` is no loopback address", address.ip()),
            "write 127.0.0.1 or [::1]: the page has no login, and shows what runs here",
        )),
        Err(_) => Err((
            format!("`{text}` is no address"),
            "write an IP address and a port, such as 127.0.0.1:7411",
        )),
    }
}

/// The address of the page, as a command line has it.
///
/// # Errors
///
/// What is wrong with it, and the way out.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    address(text).map_err(|(message, help)| format!("{message}: {help}"))
}

fn listen(text: &Located<String>, cx: &mut Decoder) -> Option<SocketAddr> {
    address(&text.value)
        .map_err(|(message, help)| cx.report(Code::BadAddress, text.span, message).help(help))
        .ok()
}

fn check_store(text: &Located<String>, cx: &mut Decoder) {
    if text.value == "sqlite" {
        return;
    }
    let postgres = ["postgres:", "postgresql:"].iter().any(|scheme| text.value.starts_with(scheme));
    let message = if postgres {
        "this version keeps its history in SQLite only".to_owned()
    } else {
        format!("unknown store `{}`", text.value)
    };
    cx.report(Code::UnknownWord, text.span, message).help("write `sqlite`, or remove the key");
}

/// The declared credentials. Of those that are refused the name is kept: who binds one is not to blame.
fn credentials(
    section: &SettingsSection,
    root: &Node<'_>,
    settings: &mut Settings,
    cx: &mut Decoder,
) {
    let mut declared = BTreeMap::new();
    let entries = root.get("credentials").map_or(&[][..], |entry| entry.value.entries());
    for entry in entries {
        let given = section.credentials.iter().flat_map(|given| &given.0);
        let mut given = given.filter(|(name, _)| name.span == entry.key_span);
        let section = given.next().and_then(|(_, section)| section.as_ref());
        if names::check_credential(&entry.key, entry.key_span, cx).is_none() {
            continue;
        }
        let name = CredentialName::parse(&entry.key).expect("the check let only names through");
        let revision = normal::hash(&entry.value);
        let declaration = section
            .and_then(|section| section.declaration(name.clone(), revision, &settings.root, cx));
        match declaration {
            Some(declaration) => drop(declared.insert(name, Arc::new(declaration))),
            None => settings.refused_credentials.push(name),
        }
    }
    settings.credentials = Arc::new(declared);
}

/// What there is to say of each declared credential that no job uses.
fn unused(
    root: &Node<'_>,
    source: &Source,
    settings: &Settings,
) -> Vec<(CredentialName, Diagnostic)> {
    let entries = root.get("credentials").map_or(&[][..], |entry| entry.value.entries());
    let told = entries.iter().filter_map(|entry| {
        let name = CredentialName::parse(&entry.key).ok()?;
        let beats = settings.heartbeat.as_ref().and_then(|beat| beat.credential.as_ref());
        let idle = settings.credentials.contains_key(&name)
            && beats != Some(&name)
            && !settings.alerts.uses(&name);
        let at = idle.then_some(entry.key_span)?;
        let message = format!("no job uses the credential `{name}`");
        let mut told = Diagnostic::new(Code::UnusedCredential, source, at, message);
        told.help(format!("remove it, or bind it in a job: `credentials: {{ api: {name} }}`"));
        Some((name, told))
    });
    told.collect()
}

/// Whom people are told by, and when. The name of a notifier with a mistake is kept: who names it is not to
/// blame.
fn alerting(section: &SettingsSection, settings: &mut Settings, cx: &mut Decoder) {
    let mut declared = Vec::new();
    for (name, notifier) in section.notifiers.iter().flat_map(|entries| &entries.0) {
        if names::check(&name.value, name.span, cx).is_some() {
            settings.notifiers.push(name.value.clone());
            declared.extend(notifier.as_ref().map(|notifier| (name.clone(), notifier.clone())));
        }
    }
    let root = settings.root.clone();
    let credentials = settings.credentials.keys().chain(&settings.refused_credentials);
    let known = notifiers::Known {
        root: &root,
        names: settings.notifiers.iter().map(String::as_str).collect(),
        credentials: credentials.map(CredentialName::as_str).collect(),
    };
    let mut alerts = Alerts::default();
    alerts.notifiers = notifiers::read(&declared, &known, cx);
    alerts.notify = alerts.notifiers.keys().cloned().collect();
    if let Some(section) = section.alerts.as_ref() {
        let zone = settings.defaults.zone();
        alerting::read(section, (&mut alerts, &known.names), (&root, &zone), cx);
    }
    settings.alerts = Arc::new(alerts);
}

fn limits(section: &SettingsSection, settings: &mut Settings, cx: &mut Decoder) {
    if let Some(given) = section.limits.as_ref() {
        let limits = &mut settings.limits;
        limits.running = given.running.map_or(limits.running, |count| count.0);
        limits.jobs_per_minute = given.jobs_per_minute.map_or(limits.jobs_per_minute, |c| c.0);
        for (name, seats) in given.pools.iter().flat_map(|pools| &pools.0) {
            if names::check(&name.value, name.span, cx).is_some() {
                limits.pools.insert(name.value.clone(), seats.0);
            }
        }
    }
    if let Some(given) = section.retention.as_ref() {
        let retention = &mut settings.retention;
        retention.age = given.age.map_or(retention.age, |time| time.0);
        retention.per_job = given.per_job.map_or(retention.per_job, |count| count.0.into());
        retention.bytes = given.bytes.map_or(retention.bytes, |size| size.0);
        retention.observations = given.observations.map_or(retention.observations, |time| time.0);
    }
}
