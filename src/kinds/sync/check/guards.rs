//! What guards may not say.
//!
//! Owns the question of what follows from an empty read, guards that can't work with a mode, and columns
//! that are not there. Refuses to judge any data.

use super::super::guards::{GuardsSection, Limits};
use super::super::spec::{Bound, Mode, SyncSpec};
use crate::yaml::decode::nearest;
use crate::yaml::{Code, Decoder, Located};

/// Reports what is wrong with the guards, or with their absence.
pub(super) fn check(spec: &SyncSpec, cx: &mut Decoder) {
    let guards = spec.guards.as_ref();
    if let Some(mode) = spec.mode.as_ref().filter(|_| !cx.is_refused("guards")) {
        on_empty(mode, guards, cx);
    }
    let Some(guards) = guards else { return };
    if let Some(mode) = &spec.mode {
        limits("max_delete", &guards.max_delete, mode, cx);
        limits("max_shrink", &guards.max_shrink, mode, cx);
    }
    if let Some(age) = guards.max_age_of_newest.as_ref().filter(|_| spec.source.cursor().is_none())
    {
        let message = "the newest row is told by the cursor, and the source has none";
        let help = "add `cursor: { field: updated_at }` to the source, or remove this guard";
        cx.report(Code::Contradiction, age.span, message).help(help);
    }
    for (name, max) in &guards.max_null.0 {
        if matches!(max.value, Bound::Rows(_)) {
            let message = format!("`max_null` of `{}` is a share of the rows", name.value);
            cx.report(Code::OutOfRange, max.span, message).help("write it like `5%`");
        }
    }
    columns(spec, guards, cx);
}

/// Where rows that were not read are deleted, somebody must have thought of a read that is empty: tools
/// that have a default here have been wrong in both directions.
fn on_empty(mode: &Located<Mode>, guards: Option<&GuardsSection>, cx: &mut Decoder) {
    let stated = guards.is_some_and(|guards| guards.on_empty.is_some());
    if !deletes(mode.value) || stated {
        return;
    }
    let word = mode.value.word();
    let message = format!("`{word}` deletes what was not read: say what follows if nothing was");
    let help = "add `guards: { on_empty: hold }`: nothing is touched until a person has looked; with \
                `allow`, everything is deleted";
    cx.report(Code::GuardMissing, mode.span, message).help(help);
}

/// Whether rows of earlier runs can go.
fn deletes(mode: Mode) -> bool {
    matches!(mode, Mode::Mirror | Mode::Replace)
}

/// Reports limits that nothing could ever reach.
fn limits(key: &str, limits: &Limits, mode: &Located<Mode>, cx: &mut Decoder) {
    let Some(first) = limits.0.first().filter(|_| !deletes(mode.value)) else { return };
    let word = mode.value.word();
    let message = format!("`{key}` has no effect with the mode `{word}`, which deletes nothing");
    let reported = cx.report(Code::Contradiction, first.span, message);
    reported.label(mode.span, "the mode").help("remove it; `max_change` bounds what is written");
}

/// Reports columns that are not there.
fn columns(spec: &SyncSpec, guards: &GuardsSection, cx: &mut Decoder) {
    // Those of a tap are known when it has run.
    if spec.columns.0.is_empty() {
        return;
    }
    let listed = guards.unique.0.iter().chain(&guards.not_null.0);
    let shares = guards.max_null.0.iter().map(|(name, _)| name);
    let canary = guards.canary.0.iter().map(|(name, _)| name);
    for name in listed.chain(shares).chain(canary) {
        let known = spec.columns.0.iter().map(|(name, _)| name.value.as_str());
        if known.clone().any(|known| known == name.value) {
            continue;
        }
        let from = |column: &&str| {
            let of = spec.columns.0.iter().find(|(name, _)| name.value == **column);
            let of = of.and_then(|(_, column)| column.from.as_ref());
            of.is_some_and(|from| from.value == name.value)
        };
        let help = match known.clone().find(from).or_else(|| nearest(&name.value, known.clone())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", known.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no column `{}`", name.value);
        cx.report(Code::UnknownColumn, name.span, message).help(help);
    }
}
