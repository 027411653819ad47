//! What a job by itself may not say, beyond the form of its keys.
//!
//! Owns the checks of meaning within one document: references to `jada.yaml`, times, variables, secrets.
//! Refuses to know other jobs (`cross`) and the disk (`paths`).

use std::collections::BTreeMap;
use std::ops::Range;

use super::config::DefaultsSection;
use super::forms::Short;
use super::job::JobSection;
use super::names::{self, NameText};
use super::policy::{CatchUpForm, CatchUpWord, OverlapForm, OverlapWord};
use super::settings::Settings;
use super::{paths, secret};
use crate::credentials::declare::texts::is_variable;
use crate::kinds::alert::AlertSection;
use crate::kinds::template::Names;
use crate::kinds::{self, Work};
use crate::model::CredentialName;
use crate::yaml::decode::numbers::TICK;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Code, Decoder, Entry, Located, Node, Span};

/// Checks that what `jada.yaml` must declare is declared.
pub(super) fn references(section: &JobSection, settings: &Settings, cx: &mut Decoder) {
    pool(section.pool.as_ref(), settings, cx);
    alert_section(section.alert.as_ref(), settings, cx);
    let of_checks = section.work.iter().flat_map(Work::checks);
    for own in of_checks.filter_map(|(_, own)| own) {
        told(own, settings, cx);
    }
}

/// Checks that a credential is declared.
pub(super) fn credential(name: &str, at: Span, settings: &Settings, cx: &mut Decoder) {
    let known = settings.credentials.keys().chain(&settings.refused_credentials);
    let known: Vec<&str> = known.map(CredentialName::as_str).collect();
    declared(&CREDENTIAL, (name, at), &known, cx);
}

/// Checks the defaults of `jada.yaml` as if they stood in a job.
pub(super) fn defaults(section: &DefaultsSection, settings: &Settings, cx: &mut Decoder) {
    pool(section.pool.as_ref(), settings, cx);
    alert_section(section.alert.as_ref(), settings, cx);
    deadline(section.deadline.as_ref(), cx);
    modes(section.catch_up.as_ref(), section.overlap.as_ref(), cx);
    environment(section.env.as_ref(), cx);
    let none = BTreeMap::new();
    let params = section.params.as_ref().unwrap_or(&none);
    let known = Names { params, env: Vec::new(), bindings: &[], more: Vec::new() };
    kinds::check(None, section.env.as_ref(), &known, cx);
    if let Some(given) = section.working_dir.as_ref() {
        paths::folder(&settings.base().join(&given.value), given.span, cx);
    }
}

fn pool(name: Option<&Located<NameText>>, settings: &Settings, cx: &mut Decoder) {
    let known: Vec<&str> = settings.limits.pools.keys().map(String::as_str).collect();
    if let Some(name) = name {
        declared(&POOL, (&name.value.0, name.span), &known, cx);
    }
}

fn alert_section(alert: Option<&AlertSection>, settings: &Settings, cx: &mut Decoder) {
    if let Some(alert) = alert {
        alert.check(cx);
        told(alert, settings, cx);
    }
}

/// Checks that everybody who is to be told is declared.
fn told(alert: &AlertSection, settings: &Settings, cx: &mut Decoder) {
    let known: Vec<&str> = settings.notifiers.iter().map(String::as_str).collect();
    for name in alert.names() {
        if names::check(&name.value, name.span, cx).is_some() {
            declared(&NOTIFIER, (&name.value, name.span), &known, cx);
        }
    }
}

/// Something that `jada.yaml` declares.
struct Declaration {
    code: Code,
    what: &'static str,
    place: &'static str,
}

const POOL: Declaration = Declaration {
    code: Code::UnknownPool,
    what: "pool",
    place: "`limits: { pools: { NAME: SEATS } }`",
};
const NOTIFIER: Declaration =
    Declaration { code: Code::UnknownNotifier, what: "notifier", place: "`notifiers`" };
const CREDENTIAL: Declaration = Declaration {
    code: Code::UnknownCredential,
    what: "credential",
    place: "`credentials`; `jadactl auth add` writes it",
};

fn declared(kind: &Declaration, (name, at): (&str, Span), known: &[&str], cx: &mut Decoder) {
    if known.contains(&name) {
        return;
    }
    let reported = cx.report(kind.code, at, format!("there is no {} `{name}`", kind.what));
    names::unknown(reported, name, known, &format!("declare it in jada.yaml under {}", kind.place));
}

/// Checks that a deadline is not shorter than a tick.
pub(super) fn deadline(time: Option<&Located<DurationText>>, cx: &mut Decoder) {
    if let Some(time) = time
        && time.value.0 < TICK
    {
        let message = "no slot can start this soon: the deadline is shorter than a tick, 1s";
        let help = "give it the time by which a late start is still welcome, such as 5m";
        cx.report(Code::DeadlineTooShort, time.span, message).help(help);
    }
}

/// Checks that no key stands beside a mode that takes no notice of it.
pub(super) fn modes(
    catch_up: Option<&CatchUpForm>,
    overlap: Option<&OverlapForm>,
    cx: &mut Decoder,
) {
    let mut idle = |key: &str, at: Span, mode: &str, wanted: &str| {
        let message = format!("`{key}` has no effect with the mode `{mode}`");
        let help = format!("remove it, or write `mode: {wanted}`");
        cx.report(Code::Contradiction, at, message).help(help);
    };
    if let Some(Short::Full(given)) = catch_up {
        let mode = given.mode;
        if let Some(max) = given.max.filter(|_| mode != CatchUpWord::All) {
            idle("max", max.span, mode.word(), CatchUpWord::All.word());
        }
        if let Some(window) = given.window.filter(|_| mode == CatchUpWord::None) {
            idle("window", window.span, mode.word(), CatchUpWord::Latest.word());
        }
    }
    if let Some(Short::Full(given)) = overlap {
        let mode = given.mode;
        if let Some(max) = given.max.filter(|_| mode != OverlapWord::QueueAll) {
            idle("max", max.span, mode.word(), OverlapWord::QueueAll.word());
        }
    }
}

/// Checks the names of the variables.
pub(super) fn environment(env: Option<&Entries<Located<ScalarText>>>, cx: &mut Decoder) {
    for (name, _) in env.iter().flat_map(|env| &env.0) {
        if !is_variable(&name.value) {
            let message = format!("`{}` is no name for a variable", name.value);
            let help = "use letters, digits and '_', and no digit first";
            cx.report(Code::BadName, name.span, message).help(help);
        }
    }
}

/// Reports variables whose name says that their value is a secret, in the job's `env` and in its kind's.
/// The places of the values are added to `masks`.
pub(super) fn secrets(root: &Node<'_>, cx: &mut Decoder, masks: &mut Vec<Range<usize>>) {
    let sections = root.entries().iter().map(|entry| &entry.value);
    for node in std::iter::once(root).chain(sections) {
        let entries = node.get("env").map_or(&[][..], |env| env.value.entries());
        for entry in entries {
            let help = format!(
                "keep it in the daemon's environment, and hand it on with `inherit_env: [{}]`",
                entry.key
            );
            secret_entry(entry, &help, cx, masks);
        }
    }
    let bindings = root.get("credentials").map_or(&[][..], |entry| entry.value.entries());
    for entry in bindings.iter().flat_map(|binding| binding.value.entries()) {
        let help =
            "declare a credential in jada.yaml with the place where it is kept, and `use` that";
        secret_entry(entry, help, cx, masks);
    }
}

/// Reports an entry whose key says that its value is a secret, unless the value only refers to one.
pub(super) fn secret_entry(
    entry: &Entry<'_>,
    help: &str,
    cx: &mut Decoder,
    masks: &mut Vec<Range<usize>>,
) {
    let Some(value) = cx.written(&entry.value) else { return };
    if !secret::is_secret_name(&entry.key) || secret::is_reference(&value) {
        return;
    }
    masks.push(entry.value.span.range());
    let message = format!("the secret `{}` stands in the file", entry.key);
    cx.report(Code::SecretLiteral, entry.value.head(cx.source()), message).help(help);
}
