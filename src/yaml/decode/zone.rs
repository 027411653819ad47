//! Time zones that nobody knows, and which was meant.
//!
//! Owns the way out. Refuses to know where a zone is asked for.

use jiff::tz::db;

use super::nearest;

/// What to write instead of a zone that is not known.
#[must_use]
pub fn way_out(text: &str) -> String {
    let names: Vec<String> = db().available().map(|name| name.to_string()).collect();
    let last = |name: &str| name.rsplit('/').next().is_some_and(|city| same(city, text));
    // An abbreviation is no misspelt name: the nearest to `PST` is `EST`, three hours off.
    let spelt = Some(text).filter(|text| text.len() > 4);
    let near = spelt
        .and_then(|text| nearest(text, names.iter().map(String::as_str)))
        .or_else(|| names.iter().map(String::as_str).find(|name| last(name)));
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write it like `Europe/Berlin`, as the IANA time zone database does".to_owned(),
    }
}

/// Whether a city is meant by a text: `New York` is `New_York`.
fn same(city: &str, text: &str) -> bool {
    city.eq_ignore_ascii_case(&text.replace(' ', "_"))
}
