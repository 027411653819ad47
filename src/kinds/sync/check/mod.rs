//! What a `sync` section may not say, beyond the form of its keys.
//!
//! Owns the checks of meaning that concern the whole of it: the mode, and what goes with it. Columns and
//! guards have files of their own; sources and destinations are checked beside their sections. Refuses to
//! look at any data.

mod columns;
mod guards;

use reqwest::Url;

use super::postgres_link;
use super::spec::{BadRowAction, Mode, SyncSpec};
use crate::kinds::command::inherited_names;
use crate::kinds::template::{self, Names};
use crate::yaml::{Code, Decoder, Located, Span};

/// Reports what is wrong in meaning; `known` are the names that the job declares.
pub(in crate::kinds) fn check(spec: &Located<SyncSpec>, known: &Names<'_>, cx: &mut Decoder) {
    let mut env = inherited_names(&[]);
    env.extend(&known.env);
    let names = Names { env, ..known.clone() };
    if spec.mode.is_none() && !cx.is_refused("mode") {
        let help = format!("add `mode:` with one of {}", Mode::WORDS.join(", "));
        let message = "`sync` lacks the key `mode`: what becomes of what the destination holds";
        cx.report(Code::MissingKey, spec.span, message).help(help);
    }
    spec.source.value.check(spec.source.span, &names, cx);
    columns::check(spec, cx);
    mode(spec, cx);
    bad_rows(spec, cx);
    guards::check(spec, cx);
    same_file(spec, cx);
    let mode = spec.mode.as_ref();
    spec.destination.value.check(mode, &spec.columns, &names, cx);
}

/// Checks what a mode needs: a key, or a cursor.
fn mode(spec: &SyncSpec, cx: &mut Decoder) {
    let Some(mode) = &spec.mode else { return };
    let word = mode.value.word();
    let declared = !spec.columns.0.is_empty();
    let key = spec.columns.0.iter().find(|(_, column)| column.key);
    if matches!(mode.value, Mode::Mirror | Mode::Upsert) && declared && key.is_none() {
        let message = format!("`{word}` finds rows by their key, and no column has `key: true`");
        let help =
            "add `key: true` to the columns that a row is known by, or write `mode: replace`";
        cx.report(Code::MissingKey, mode.span, message).help(help);
    }
    let cursor = spec.source.cursor();
    match (mode.value, cursor) {
        (Mode::Incremental, None) if !spec.source.keeps_state() => {
            let message =
                "`incremental` reads what is newer than a cursor, and the source has none";
            let help = "add `cursor: { field: updated_at }` to the source (http_json, sqlite or \
                        postgres), or write `mirror` or `upsert`";
            cx.report(Code::MissingKey, mode.span, message).help(help);
        }
        (Mode::Incremental, _) | (_, None) => {}
        (_, Some(cursor)) => {
            let message = format!("a cursor has no effect with the mode `{word}`");
            let reported = cx.report(Code::Contradiction, cursor.field.span, message);
            reported.label(mode.span, "the mode").help("write `mode: incremental`, or remove it");
        }
    }
}

/// Checks that a bound on bad rows can be reached.
fn bad_rows(spec: &SyncSpec, cx: &mut Decoder) {
    let Some(bad) = &spec.bad_rows else { return };
    if let Some(max) = bad.max.as_ref().filter(|_| bad.action == BadRowAction::Fail) {
        let message = "`max` has no effect with the action `fail`: the first bad row fails the run";
        let help = "write `action: quarantine` or `action: skip`, or remove it";
        cx.report(Code::Contradiction, max.span, message).help(help);
    }
}

/// Checks templates.
pub(super) fn templates<'a>(
    texts: impl IntoIterator<Item = (&'a str, Span)>,
    names: &Names<'_>,
    cx: &mut Decoder,
) {
    for (text, span) in texts {
        template::report(text, span, names, cx);
    }
}

/// Checks that an address is one, as far as it is known by now.
pub(super) fn address(text: &Located<String>, schemes: &[&str], cx: &mut Decoder) {
    if let ["postgres", ..] = schemes {
        if let Some((message, help)) = postgres_link::problem(&text.value) {
            cx.report(Code::BadAddress, text.span, message).help(help);
        }
        return;
    }
    if template::is_template(&text.value) {
        return;
    }
    let message = match Url::parse(&text.value) {
        Ok(url) if schemes.contains(&url.scheme()) => return,
        Ok(url) => format!("`{}` is no scheme that is known here", url.scheme()),
        Err(error) => format!("this is no address: {error}"),
    };
    let help = "write it like `https://example.com/items`";
    cx.report(Code::BadAddress, text.span, message).help(help);
}

/// Checks that a spreadsheet is named by its id, and not by the address that the browser shows.
pub(super) fn spreadsheet(text: &Located<String>, cx: &mut Decoder) {
    let Some((_, rest)) = text.value.split_once("/spreadsheets/d/") else { return };
    let id = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let message = "this is the address of the spreadsheet, and not its id";
    cx.report(Code::BadAddress, text.span, message).help(format!("write `spreadsheet: {id}`"));
}

/// Checks that a file is not read and written at once: the next read would find what was written, and no
/// longer what somebody put there.
fn same_file(spec: &SyncSpec, cx: &mut Decoder) {
    let (Some(from), Some(to)) = (spec.source.path(), spec.destination.path()) else { return };
    if from.value.trim_start_matches("./") == to.value.trim_start_matches("./") {
        let message = "the destination is the file that is read";
        let reported = cx.report(Code::Contradiction, to.span, message);
        reported.label(from.span, "here it is read").help("write to another file");
    }
}

#[cfg(test)]
mod tests;
