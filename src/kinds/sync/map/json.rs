//! JSON in the one form in which equal things are equal texts.
//!
//! Owns that form: keys in order, no spaces, numbers as they were written, texts with the fewest escapes.
//! Refuses what is not JSON: `NaN`, `Infinity`, a comma too many.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Wrong;

/// Deepest nesting that is taken.
const DEPTH_MAX: usize = 128;

const NO_JSON: Wrong = Wrong("it is no JSON");

/// Appends the form of what a text says.
pub(in super::super) fn canonical(text: &str, to: &mut String) -> Result<(), Wrong> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| NO_JSON)?;
    write(raw, 0, to)
}

fn write(raw: &RawValue, depth: usize, to: &mut String) -> Result<(), Wrong> {
    if depth == DEPTH_MAX {
        return Err(Wrong("it is nested more than 128 deep"));
    }
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<Cow<'_, str>, &RawValue> = read(text)?;
            to.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                quote(key, to);
                to.push(':');
                write(value, depth + 1, to)?;
            }
            to.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(text)?;
            to.push('[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                write(value, depth + 1, to)?;
            }
            to.push(']');
        }
        Some(b'"') => quote(&read::<Cow<'_, str>>(text)?, to),
        _ => to.push_str(text),
    }
    Ok(())
}

fn read<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Result<T, Wrong> {
    serde_json::from_str(text).map_err(|_| NO_JSON)
}

/// Appends a text in quotes.
pub(in super::super) fn quote(text: &str, to: &mut String) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        to.push('"');
        to.push_str(text);
        to.push('"');
        return;
    }
    to.push_str(&serde_json::to_string(text).expect("a text is JSON"));
}
