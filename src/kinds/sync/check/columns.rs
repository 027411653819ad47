//! What columns may not say.
//!
//! Owns their names, and keys that do not go with a type. Refuses to convert anything.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::super::columns::{ColumnSection, ColumnType};
use super::super::source::Source;
use super::super::spec::{Mode, SyncSpec, UnknownColumns};
use crate::yaml::decode::{nearest, zone};
use crate::yaml::{Code, Decoder, Located, Span};

/// A column with its name.
type Named = (Located<String>, Located<ColumnSection>);

/// Ways in which times are written that have names.
const FORMATS: [&str; 3] = ["epoch_s", "epoch_ms", "serial"];

/// Reports what is wrong with the columns, and with what names one by its source.
pub(super) fn check(spec: &Located<SyncSpec>, cx: &mut Decoder) {
    let is_tap = matches!(spec.source.value, Source::Singer(_));
    if spec.columns.0.is_empty() && !is_tap {
        let message = "`sync` lacks the key `columns`: what the destination's columns are made of";
        let help = "add `columns: { id: { from: Header, type: text, key: true } }`; `jadactl sync \
                    infer` writes them from the source";
        cx.report(Code::MissingKey, spec.span, message).help(help);
    }
    alike(spec, cx);
    for (name, column) in &spec.columns.0 {
        own_name(name, spec, cx);
        times(column, spec, cx);
        keys(name, column, cx);
    }
    cursor(spec, cx);
}

/// Reports columns that a database could not tell apart.
fn alike(spec: &SyncSpec, cx: &mut Decoder) {
    let mut first: BTreeMap<String, Span> = BTreeMap::new();
    for (name, _) in &spec.columns.0 {
        let folded = name.value.to_lowercase();
        if let Some(other) = first.get(&folded) {
            let message =
                format!("two columns are called `{}`, but for capital letters", name.value);
            let reported = cx.report(Code::BadName, name.span, message);
            reported.label(*other, "the first one").help("rename one of the two");
        }
        first.entry(folded).or_insert(name.span);
    }
}

/// Reports names that are none, and those of columns that are made here.
fn own_name(name: &Located<String>, spec: &SyncSpec, cx: &mut Decoder) {
    let folded = name.value.to_lowercase();
    let snapshot = spec.mode.as_ref().is_some_and(|mode| mode.value == Mode::Snapshot);
    let made = match folded.as_str() {
        "snapshot_at" if snapshot => Some("`mode: snapshot`"),
        "unknown" if spec.unknown_columns == UnknownColumns::KeepJson => {
            Some("`unknown_columns: keep_json`")
        }
        _ => None,
    };
    if let Some(by) = made {
        let message = format!("{by} makes a column `{folded}` of its own");
        cx.report(Code::BadName, name.span, message).help("rename this one");
    }
    if name.value.trim().is_empty() || name.value.chars().any(char::is_control) {
        let message = "this is no name for a column";
        cx.report(Code::BadName, name.span, message).help("write it like `booking_id`");
    }
}

/// Checks zones and formats.
fn times(column: &ColumnSection, spec: &SyncSpec, cx: &mut Decoder) {
    let kind = column.r#type.value;
    if let Some(zone) = &column.zone {
        if kind != ColumnType::Timestamp {
            let message = format!("a column of the type `{}` has no zone", kind.words());
            cx.report(Code::Contradiction, zone.span, message)
                .help("remove `zone`, or write `type: timestamp`");
        } else if zone.value == "sheet" {
            if !matches!(spec.source.value, Source::GoogleSheets(_)) {
                let message = "only a spreadsheet says which zone `sheet` is";
                let help = "write the zone's name, such as `UTC` or `Europe/Oslo`";
                cx.report(Code::Contradiction, zone.span, message).help(help);
            }
        } else if TimeZone::get(&zone.value).is_err() {
            let message = format!("unknown time zone `{}`", zone.value);
            let help = zone::way_out(&zone.value);
            cx.report(Code::UnknownTimeZone, zone.span, message).help(help);
        }
    }
    let Some(format) = &column.format else { return };
    if !matches!(kind, ColumnType::Timestamp | ColumnType::Date) {
        let message = format!("a column of the type `{}` has no format of times", kind.words());
        cx.report(Code::Contradiction, format.span, message)
            .help("remove `format`, or write `type: timestamp` or `type: date`");
    } else if let Some((message, help)) = bad_format(&format.value) {
        cx.report(Code::BadTimeFormat, format.span, message).help(help);
    }
}

/// What is wrong with a format, with the way out.
fn bad_format(format: &str) -> Option<(String, String)> {
    if FORMATS.contains(&format) {
        return None;
    }
    let forms = "write `epoch_s`, `epoch_ms`, `serial`, or a format such as `%d/%m/%Y %H:%M`";
    if !format.contains('%') {
        let help = match nearest(format, FORMATS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => forms.to_owned(),
        };
        return Some((format!("`{format}` is no format of a time"), help));
    }
    // It can be used for writing where it can be read at all, and writing needs no example.
    let epoch = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let error = jiff::fmt::strtime::format(format, &epoch).err()?;
    Some((format!("this format can't be read: {error}"), forms.to_owned()))
}

/// Checks what a key may be.
fn keys(name: &Located<String>, column: &ColumnSection, cx: &mut Decoder) {
    if !column.key {
        return;
    }
    let kind = column.r#type;
    if matches!(kind.value, ColumnType::Json | ColumnType::Float) {
        let message = format!("a row can't be known by a column of the type `{}`", kind.words());
        let help = "take `text`, `int` or `decimal(…)` for it, or another column as the key";
        cx.report(Code::Contradiction, kind.span, message).help(help);
    }
    if column.on_bad.is_some() {
        let message = format!("`{}` is part of the key, which can't be null", name.value);
        cx.report(Code::Contradiction, name.span, message)
            .help("remove `on_bad`: a row without a key is a bad row");
    }
}

/// Checks that a cursor is among what the columns are made of, and that it can be compared.
fn cursor(spec: &SyncSpec, cx: &mut Decoder) {
    let Some(cursor) = spec.source.cursor() else { return };
    let columns = &spec.columns.0;
    let field = &cursor.field;
    let Some((_, column)) = columns.iter().find(|column| source_of(column) == field.value) else {
        let message =
            format!("no column is made of `{}`, by which the source is read", field.value);
        let help = match nearest(&field.value, columns.iter().map(source_of)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add a column: `{}: {{ type: timestamp }}`", field.value),
        };
        cx.report(Code::UnknownColumn, field.span, message).help(help);
        return;
    };
    let kind = column.r#type;
    if !matches!(
        kind.value,
        ColumnType::Timestamp | ColumnType::Date | ColumnType::Int | ColumnType::Text
    ) {
        let message = format!("a column of the type `{}` is no cursor", kind.words());
        let reported = cx.report(Code::Contradiction, kind.span, message);
        reported.label(field.span, "the cursor");
        reported.help("a cursor is a `timestamp`, a `date`, an `int` or a `text` that only grows");
    }
    let Some(initial) = &cursor.initial else { return };
    let is_good = match kind.value {
        ColumnType::Timestamp => {
            let text = &initial.value.0;
            text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::Date>().is_ok()
        }
        ColumnType::Date => initial.value.0.parse::<jiff::civil::Date>().is_ok(),
        ColumnType::Int => initial.value.0.parse::<i64>().is_ok(),
        _ => true,
    };
    if !is_good {
        let message = format!("`{}` is no `{}`", initial.value.0, kind.words());
        let help = match kind.value {
            ColumnType::Timestamp => "write it like `2024-01-01T00:00:00Z`",
            ColumnType::Date => "write it like `2024-01-01`",
            _ => "write a whole number",
        };
        cx.report(Code::BadInstant, initial.span, message).help(help);
    }
}

/// What a column is made of.
fn source_of((name, column): &Named) -> &str {
    column.from.as_ref().map_or(name.value.as_str(), |from| from.value.as_str())
}
