//! A document of a job file to a [`Job`].
//!
//! Owns the common keys, what holds where they are left out, and the checks that a document allows by
//! itself. Refuses to know other documents (`cross`) and how a kind reads its section (`kinds`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::bindings::{self, BindingForm};
use super::catalog::Job;
use super::file::{Mention, Reader};
use super::forms::{Short, Tried};
use super::hash::Hash;
use super::names::{self, NameText};
use super::policy::{
    self, CatchUpForm, FreshnessForm, LimitsSection, OverlapForm, RetryForm, TimeoutForm,
};
use super::schedule::{self, Asked, ScheduleForm};
use super::settings::Settings;
use super::{checks, normal, paths, reach};
use crate::kinds::alert::AlertSection;
use crate::kinds::template::Names;
use crate::kinds::{self, Setting, Work};
use crate::model::{Binding, Channel, JobName, Policy, Revision};
use crate::plan::schedule::Schedule;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node, section};

section! {
    /// A job: when it is due, what it promises, and, under exactly one kind key, what it does.
    pub struct JobSection {
        /// What the job is called: 1 to 63 of a-z, 0-9, '.', '_' and '-'. Where a file has one job, the
        /// file's name without its ending stands in for it.
        pub name: Tried<Located<NameText>>,
        /// What the job is for, in a line.
        pub description: Tried<String>,
        /// Whether its schedule is in force. A job that is not enabled can still be run by hand.
        pub enabled: Tried<bool>,
        /// Labels, for people and tools.
        pub labels: Tried<BTreeMap<String, ScalarText>>,
        /// When it is due: a cron expression, a trigger in full, or a list of either.
        pub schedule: Tried<ScheduleForm>,
        /// What happens to slots that passed while the daemon was down, suspended or stopped.
        pub catch_up: Tried<CatchUpForm>,
        /// What happens to a slot that is due while a run of the job is still live.
        pub overlap: Tried<OverlapForm>,
        /// Latest start after the slot's time; later, the slot has expired.
        pub deadline: Tried<Located<DurationText>>,
        /// Longest time of one attempt.
        pub timeout: Tried<TimeoutForm>,
        /// How often and how soon a failed attempt is repeated; a number is the attempts in all.
        pub retry: Tried<RetryForm>,
        /// Credentials by the names that the job uses for them. A name alone, as in `api: example/one`, puts
        /// the access token into a file whose path is in `API_TOKEN_FILE`.
        pub credentials: Tried<Entries<Tried<BindingForm>>>,
        /// Variables to set. Values are templates.
        pub env: Tried<Entries<Located<ScalarText>>>,
        /// Where programs start; the folder of `jada.yaml` where it is not given.
        pub working_dir: Tried<Located<String>>,
        /// What a process of the job may use at most.
        pub limits: Tried<LimitsSection>,
        /// The pool that the job takes a seat in.
        pub pool: Tried<Located<NameText>>,
        /// Jobs whose success starts this one.
        pub after: Tried<OneOrMany<Located<NameText>>>,
        /// Oldest allowed last success; older is an incident of its own. In full, with a probe that tells the
        /// age of the data itself.
        pub freshness: Tried<FreshnessForm>,
        /// When failures become an incident.
        pub alert: Tried<AlertSection>,
        /// Values for templates, under `params`.
        pub params: Tried<BTreeMap<String, Json>>,

        one of
        /// What the job does.
        pub work: Tried<Work>,
    }
}

/// The keys that a [`Policy`] comes from.
const POLICY_KEYS: &[&str] =
    &["catch_up", "overlap", "deadline", "timeout", "retry", "pool", "after", "freshness", "alert"];

/// The keys that a [`Setting`] comes from.
const SETTING_KEYS: &[&str] =
    &["env", "working_dir", "params", "timeout", "limits", "credentials", "freshness"];

/// Decodes one document; `stem` is the name of a job that names none. `None` where it is no mapping.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    root: &Node<'_>,
    stem: Option<&str>,
    cx: &mut Decoder,
) -> Option<Mention> {
    let section = JobSection::decode(root, cx)?;
    let name = name(&section, root, stem, cx);
    let zone = reader.settings.defaults.zone();
    let asked: Vec<Asked> =
        section.schedule.iter().flat_map(|form| schedule::asked(form, &zone)).collect();
    checks::references(&section, reader.settings, cx);
    checks::deadline(section.deadline.as_ref(), cx);
    checks::modes(section.catch_up.as_ref(), section.overlap.as_ref(), cx);
    checks::environment(section.env.as_ref(), cx);
    let bindings =
        bindings::read(section.credentials.as_ref(), section.env.as_ref(), reader.settings, cx);
    values(&section, reader.settings, &bindings, cx);
    paths::check(reader, &section, cx);
    let compiled = compile(reader, &section, &asked, name.as_ref(), cx);
    let after = section.after.iter().flat_map(|names| &names.0);
    let mut mention = Mention {
        name: name.as_ref().map(|name| name.value.clone()),
        at: name.as_ref().map_or_else(|| root.head(cx.source()), |name| name.span),
        after: after.map(|name| name.clone().map(|name| name.job())).collect(),
        job: None,
    };
    if let (Some(name), Some(compiled), false) = (name, compiled, cx.has_errors()) {
        let line = cx.source().position(name.span.start).line;
        let (schedule, asked) = (compiled, asked.as_slice());
        let parts = Parts { name: name.value, schedule, asked, bindings };
        let job = assemble(reader, &section, root, parts);
        mention.job = job.map(|job| Arc::new(Job { line, ..job }));
    }
    Some(mention)
}

/// Compiles the schedule and tells what is odd about it.
fn compile(
    reader: &mut Reader<'_>,
    section: &JobSection,
    asked: &[Asked],
    name: Option<&Located<JobName>>,
    cx: &mut Decoder,
) -> Option<Arc<Schedule>> {
    // Without a name it is compiled for its mistakes alone.
    let name = name.map_or("", |name| name.value.as_str());
    let keys = schedule::Keys::of(asked, name);
    let compile = || schedule::compile(asked, name, cx);
    let compiled = reader.intern.schedules.try_get(keys.schedule, compile)?;
    let lints = || schedule::lints(asked, name, reader.now);
    for lint in reader.intern.lints.get(keys.lints, lints).iter() {
        schedule::tell(asked, lint, cx);
    }
    let of_checks = section.work.iter().flat_map(Work::checks).filter_map(|(_, own)| own);
    for alert in section.alert.iter().chain(of_checks) {
        reach::alert(alert, &compiled, reader.now, cx);
    }
    Some(compiled)
}

/// Checks the templates of the job and its work against the values that there will be.
fn values(section: &JobSection, settings: &Settings, bindings: &[Binding], cx: &mut Decoder) {
    let none = BTreeMap::new();
    let defaults = &settings.defaults.section;
    let params = section.params.as_ref().or(defaults.params.as_ref()).unwrap_or(&none);
    let env = section.env.as_ref().or(defaults.env.as_ref());
    let env = env.iter().flat_map(|env| &env.0).map(|(name, _)| name.as_str());
    // A file's path is no secret, and some programs want it as an argument.
    let files = bindings.iter().filter(|binding| matches!(binding.channel, Channel::File(_)));
    let env = env.chain(files.map(|binding| binding.channel.variable().as_str())).collect();
    let known = Names { params, env, bindings, more: Vec::new() };
    kinds::check(section.work.as_ref(), section.env.as_ref(), &known, cx);
    if let Some(work) = section.work.as_ref() {
        bindings::of_work(work, bindings, settings, cx);
    }
    if let Some(Short::Full(freshness)) = section.freshness.as_ref() {
        freshness.check(&known, cx);
        bindings::shown(freshness.shown(), bindings, settings, cx);
    }
}

/// The name and where it stands, or where it is missing.
fn name(
    section: &JobSection,
    root: &Node<'_>,
    stem: Option<&str>,
    cx: &mut Decoder,
) -> Option<Located<JobName>> {
    if let Some(given) = section.name.as_ref() {
        return Some(Located { value: given.value.job(), span: given.span });
    }
    if root.get("name").is_some() {
        return None; // What is wrong with it was reported.
    }
    let at = root.head(cx.source());
    let Some(stem) = stem else {
        let reported = cx.report(Code::MissingKey, at, "this job lacks the key `name`");
        reported.help("the file's name stands in for it only where the file has one job");
        return None;
    };
    match JobName::parse(stem) {
        Ok(value) => Some(Located { value, span: at }),
        Err(error) => {
            let why = names::reason(&error);
            let message = format!("the file's name is no name for a job: {why}");
            let name = names::legal(stem).unwrap_or_else(|| "my-job".to_owned());
            cx.report(Code::BadName, at, message).help(format!("add `name: {name}` to the job"));
            None
        }
    }
}

/// What was read of a job before it is put together.
struct Parts<'a> {
    name: JobName,
    schedule: Arc<Schedule>,
    asked: &'a [Asked],
    bindings: Arc<[Binding]>,
}

/// The job, once everything is known to be good.
fn assemble(
    reader: &mut Reader<'_>,
    section: &JobSection,
    root: &Node<'_>,
    parts: Parts<'_>,
) -> Option<Job> {
    let work = section.work.as_ref()?;
    let hashes = Hashes::of(root);
    let defaults = &reader.settings.defaults;
    let policy = reader
        .intern
        .policies
        .get(hashes.of_keys(POLICY_KEYS), || build_policy(section, reader.settings));
    let setting = reader.intern.settings.get(hashes.of_keys(SETTING_KEYS), || {
        let bindings = parts.bindings.clone();
        Setting { bindings, ..build_setting(section, reader.settings) }
    });
    let kind = hashes.of_keys(&[work.kind()]);
    let work = reader.intern.works.get(kind, || work.clone());
    let enabled = section.enabled.0.unwrap_or(true);
    let labels = section.labels.as_ref().or(defaults.section.labels.as_ref());
    let labels = reader
        .intern
        .labels
        .get(hashes.of_keys(&["labels"]), || labels.map(texts).unwrap_or_default());
    Some(Job {
        revision: hashes.revision(defaults.hash),
        schedule_revision: schedule::revision(parts.asked, enabled),
        name: parts.name,
        description: section.description.0.clone().unwrap_or_default(),
        enabled,
        labels,
        schedule: parts.schedule,
        policy,
        work,
        setting,
        bindings: parts.bindings,
        file: reader.file.clone(),
        line: 0,
    })
}

fn build_policy(section: &JobSection, settings: &Settings) -> Policy {
    let (or, defaults) = (Policy::default(), &settings.defaults.section);
    let timeout = section.timeout.as_ref().or(defaults.timeout.as_ref());
    let (timeout, grace) = timeout.map_or((None, None), policy::timeout);
    let catch_up = section.catch_up.as_ref().or(defaults.catch_up.as_ref());
    let overlap = section.overlap.as_ref().or(defaults.overlap.as_ref());
    let deadline = section.deadline.as_ref().or(defaults.deadline.as_ref());
    let retry = section.retry.as_ref().or(defaults.retry.as_ref());
    let pool = section.pool.as_ref().or(defaults.pool.as_ref());
    let own = section.freshness.as_ref().map(policy::freshness);
    let freshness = own.or(defaults.freshness.as_ref().map(|time| policy::aged(time.0)));
    let alert = section.alert.as_ref().or(defaults.alert.as_ref());
    let mut alert = alert.map_or(or.alert, AlertSection::rule);
    // A job that names nobody brings those to an incident of several who hear of what names nobody.
    if alert.notify.is_empty() {
        alert.notify.clone_from(&settings.alerts.notify);
    }
    Policy {
        catch_up: catch_up.map_or(or.catch_up, policy::catch_up),
        overlap: overlap.map_or(or.overlap, policy::overlap),
        deadline: deadline.map(|time| time.value.0),
        timeout,
        grace: grace.unwrap_or(or.grace),
        retry: retry.map_or(or.retry, policy::retry),
        pool: pool.map(|name| name.value.0.as_str().into()),
        after: section.after.iter().flat_map(|names| &names.0).map(|n| n.value.job()).collect(),
        freshness,
        alert,
    }
}

fn build_setting(section: &JobSection, settings: &Settings) -> Setting {
    let defaults = &settings.defaults.section;
    let env = section.env.as_ref().or(defaults.env.as_ref());
    let working_dir = section.working_dir.as_ref().or(defaults.working_dir.as_ref());
    let timeout = section.timeout.as_ref().or(defaults.timeout.as_ref());
    let grace = timeout.and_then(|form| policy::timeout(form).1);
    let limits = section.limits.as_ref().or(defaults.limits.as_ref());
    let params = section.params.as_ref().or(defaults.params.as_ref());
    let values = env.iter().flat_map(|env| &env.0);
    Setting {
        env: values.map(|(name, to)| (name.value.clone(), to.value.0.clone())).collect(),
        working_dir: working_dir
            .map_or_else(|| settings.base(), |p| settings.base().join(&p.value)),
        params: params.cloned().unwrap_or_default(),
        grace: grace.unwrap_or(Policy::default().grace),
        bindings: Arc::default(),
        freshness: match section.freshness.as_ref() {
            Some(Short::Full(full)) => Some(Arc::new(full.clone())),
            Some(Short::Short(_)) | None => None,
        },
        limits: limits.map(policy::limits).unwrap_or_default(),
    }
}

fn texts(labels: &BTreeMap<String, ScalarText>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, text)| (key.clone(), text.0.clone())).collect()
}

/// The hash of the value of each key.
struct Hashes<'n>(Vec<(&'n str, u64)>);

impl<'n> Hashes<'n> {
    fn of(root: &'n Node<'_>) -> Self {
        let entries = root.entries().iter();
        let mut hashes: Vec<_> =
            entries.map(|entry| (entry.key.as_ref(), normal::hash(&entry.value))).collect();
        hashes.sort_unstable();
        Self(hashes)
    }

    /// The hash of some keys and their values.
    fn of_keys(&self, keys: &[&str]) -> u64 {
        Self::sum(self.0.iter().filter(|(key, _)| keys.contains(key)), 0).finish()
    }

    /// The hash of everything, and of the defaults that stand behind it.
    fn revision(&self, defaults: u64) -> Revision {
        Self::sum(self.0.iter(), defaults).revision()
    }

    fn sum<'h>(hashes: impl Iterator<Item = &'h (&'h str, u64)>, seed: u64) -> Hash {
        let mut sum = Hash::new();
        sum.number(seed);
        for (key, hash) in hashes {
            sum.text(key);
            sum.number(*hash);
        }
        sum
    }
}
