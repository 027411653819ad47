//! Which columns a sample of rows suggests.
//!
//! Owns the guess, pure: a type that every value has, a name that databases take, a key that is unique.
//! Refuses to read anything, and to guess where values disagree: then it is text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::Serialize;

use crate::kinds::sync::desk::{Field, Sample};

/// Digits behind the point that are still taken for a decimal number.
const SCALE_MAX: usize = 6;

/// Values that are quoted in the remark.
const SHOWN: usize = 2;

/// Longest quoted value, in characters.
const SHOWN_MAX: usize = 24;

/// A column that suggests itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Guess {
    /// Its name.
    pub(super) name: String,
    /// The source's name for it.
    pub(super) from: String,
    /// Its type.
    pub(super) r#type: String,
    /// Whether rows are known by it.
    pub(super) key: bool,
    /// Whether its times name no zone.
    pub(super) zoneless: bool,
    /// Rows with a value.
    pub(super) values: usize,
    /// Rows that were looked at.
    pub(super) rows: usize,
    /// Values that could not be computed.
    pub(super) broken: usize,
    /// Whether no value stands twice.
    pub(super) unique: bool,
    /// How often the source has that name; more than once, nobody can say which one is meant.
    pub(super) named: usize,
    /// Some of the values.
    pub(super) examples: Vec<String>,
}

/// Guesses the columns of a sample.
pub(super) fn guess(sample: &Sample) -> Vec<Guess> {
    let mut taken = BTreeSet::new();
    let columns = sample.names.iter().enumerate();
    let mut guesses: Vec<Guess> = columns
        .map(|(at, from)| {
            let fields = sample.rows.iter().map(|row| row.get(at).unwrap_or(&Field::Null));
            column(own_name(from, at, &mut taken), from, &fields.collect::<Vec<_>>())
        })
        .collect();
    for at in 0..guesses.len() {
        let same = |other: &Guess| folded(&other.from) == folded(&guesses[at].from);
        guesses[at].named = guesses.iter().filter(|guess| same(guess)).count();
    }
    // An identifier by its name before any other column that happens to be unique.
    let may_be_key = |guess: &Guess| {
        let known = matches!(guess.r#type.as_str(), "text" | "int");
        known && guess.unique && guess.named == 1 && guess.rows > 0 && guess.values == guess.rows
    };
    let named = guesses.iter().position(|guess| may_be_key(guess) && is_identifier(guess));
    if let Some(at) = named.or_else(|| guesses.iter().position(may_be_key)) {
        guesses[at].key = true;
    }
    guesses
}

/// A header as headers are compared.
fn folded(header: &str) -> String {
    header.trim().to_lowercase()
}

fn is_identifier(guess: &Guess) -> bool {
    let words: Vec<&str> = guess.name.split('_').collect();
    let from = guess.from.trim_end();
    from.ends_with('#') || words.iter().any(|word| ["id", "key", "uuid", "code"].contains(word))
}

/// `Booking #` is `booking`, `ETA (UTC)` is `eta_utc`.
fn own_name(from: &str, at: usize, taken: &mut BTreeSet<String>) -> String {
    let letters: String = from.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let mut name = letters.to_lowercase().split_whitespace().collect::<Vec<_>>().join("_");
    if name.is_empty() {
        name = format!("column_{}", at + 1);
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "c_");
    }
    let mut free = name.clone();
    let mut count = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}_{count}");
        count += 1;
    }
    free
}

fn column(name: String, from: &str, fields: &[&Field]) -> Guess {
    let broken = fields.iter().filter(|field| matches!(field, Field::Broken(_))).count();
    let values: Vec<&Field> = fields.iter().copied().filter(|field| is_value(field)).collect();
    let texts: Vec<String> = values.iter().map(|field| shown(field)).collect();
    let unique = texts.iter().collect::<BTreeSet<_>>().len() == texts.len();
    let (r#type, zoneless) = kind(&values);
    let examples = texts.iter().take(SHOWN).map(|text| shortened(text)).collect();
    Guess {
        name,
        from: from.to_owned(),
        r#type,
        key: false,
        zoneless,
        values: values.len(),
        rows: fields.len(),
        broken,
        unique,
        named: 1,
        examples,
    }
}

fn is_value(field: &Field) -> bool {
    match field {
        Field::Null | Field::Broken(_) => false,
        Field::Text(text) => !text.trim().is_empty(),
        Field::Bool(_) | Field::Number(_) | Field::Json(_) => true,
    }
}

fn shown(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Number(text) | Field::Text(text) | Field::Json(text) | Field::Broken(text) => {
            text.trim().to_owned()
        }
    }
}

fn shortened(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{}…", &plain[..cut]),
        None => plain,
    }
}

/// The type that every value has, and whether its times name no zone.
fn kind(values: &[&Field]) -> (String, bool) {
    let all = |is: &dyn Fn(&Field) -> bool| !values.is_empty() && values.iter().all(|v| is(v));
    let text = |is: fn(&str) -> bool| move |field: &Field| matches!(field, Field::Text(text) if is(text.trim()));
    let number = |is: fn(&str) -> bool| move |field: &Field| matches!(field, Field::Text(text) | Field::Number(text) if is(text.trim()));
    let plain = |word: &str| (word.to_owned(), false);
    if all(&|field| matches!(field, Field::Json(_))) {
        return plain("json");
    }
    if all(&|field| matches!(field, Field::Bool(_))) || all(&text(is_bool)) {
        return plain("bool");
    }
    if all(&number(is_int)) {
        return plain("int");
    }
    if all(&number(is_decimal)) {
        return plain(&decimal(values));
    }
    if all(&number(is_float)) {
        return plain("float");
    }
    if all(&text(|text| text.len() == 10 && text.parse::<Date>().is_ok())) {
        return plain("date");
    }
    if all(&text(|text| text.parse::<Timestamp>().is_ok())) {
        return plain("timestamp");
    }
    if all(&text(is_local)) {
        return ("timestamp".to_owned(), true);
    }
    plain("text")
}

fn is_bool(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// `007` is no number: somebody would miss its zeros.
fn has_idle_zero(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
}

fn is_int(text: &str) -> bool {
    !has_idle_zero(text) && !text.starts_with('+') && text.parse::<i64>().is_ok()
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && digits(fraction)
        && fraction.len() <= SCALE_MAX
        && whole.len() <= 30
        && !has_idle_zero(text)
}

fn is_float(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    starts && !has_idle_zero(text) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_local(text: &str) -> bool {
    text.len() > 10 && text.parse::<DateTime>().is_ok()
}

/// `decimal(12,2)`: with room for larger values than those that were seen.
fn decimal(values: &[&Field]) -> String {
    let (mut whole, mut scale) = (9, 0);
    for value in values {
        let text = shown(value);
        let (before, behind) = text.split_once('.').unwrap_or((&text, ""));
        whole = whole.max(before.trim_start_matches('-').len() + 1);
        scale = scale.max(behind.len());
    }
    format!("decimal({},{scale})", (whole + scale).clamp(12, 38))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<Field> {
        values.iter().map(|text| Field::Text((*text).to_owned())).collect()
    }

    fn kind_of(fields: &[Field]) -> String {
        let fields: Vec<&Field> = fields.iter().collect();
        let guess = column("a".into(), "a", &fields);
        format!("{}{}", guess.r#type, if guess.zoneless { " zoneless" } else { "" })
    }

    #[test]
    fn a_type_is_what_every_value_has() {
        for (values, expected) in [
            (&["1", "-20"][..], "int"),
            (&["1", "x"], "text"),
            (&["007", "008"], "text"),
            (&["1.50", "20"], "decimal(12,2)"),
            (&["1234567890123.5"], "decimal(15,1)"),
            (&["1e5", "2"], "float"),
            (&["0.12345678"], "float"),
            (&["true", "FALSE"], "bool"),
            (&["2026-11-25", ""], "date"),
            (&["2026-11-25T12:00:00Z"], "timestamp"),
            (&["2026-11-25 12:00:00"], "timestamp zoneless"),
            (&["25/11/2026"], "text"),
            (&["", " "], "text"),
            (&["99999999999999999999"], "decimal(21,0)"),
        ] {
            assert_eq!(kind_of(&texts(values)), expected, "{values:?}");
        }
        let number = |text: &str| Field::Number(text.to_owned());
        assert_eq!(kind_of(&[number("1"), Field::Null]), "int");
        assert_eq!(kind_of(&[number("1"), Field::Text("a".into())]), "text");
        assert_eq!(kind_of(&[Field::Bool(true)]), "bool");
        assert_eq!(kind_of(&[Field::Json("{}".into())]), "json");
        assert_eq!(kind_of(&[Field::Broken("#N/A".into()), number("1")]), "int");
    }

    #[test]
    fn names_are_those_that_databases_take() {
        let mut taken = BTreeSet::new();
        let named: Vec<String> = ["Booking #", "ETA (UTC)", "", "2nd", "eta-utc", "Größe"]
            .iter()
            .enumerate()
            .map(|(at, from)| own_name(from, at, &mut taken))
            .collect();
        assert_eq!(named, ["booking", "eta_utc", "column_3", "c_2nd", "eta_utc_2", "größe"]);
    }

    #[test]
    fn a_header_that_stands_twice_is_told_and_is_no_key() {
        let rows = vec![texts(&["1", "a", "2"]), texts(&["2", "b", "3"])];
        let sample = Sample { names: ["Id", "Port", "id "].map(str::to_owned).to_vec(), rows };
        let found = guess(&sample);
        let told: Vec<_> = found.iter().map(|guess| (guess.named, guess.key)).collect();
        assert_eq!(told, [(2, false), (1, true), (2, false)]);
    }

    #[test]
    fn the_key_is_an_identifier_or_else_what_is_unique() {
        let sample = |names: [&str; 2], rows: &[[&str; 2]]| Sample {
            names: names.map(str::to_owned).to_vec(),
            rows: rows.iter().map(|row| texts(row)).collect(),
        };
        let keys = |sample: &Sample| {
            let guesses = guess(sample).into_iter().filter(|guess| guess.key);
            guesses.map(|guess| guess.name).collect::<Vec<_>>()
        };
        assert_eq!(keys(&sample(["Port", "Booking #"], &[["a", "1"], ["b", "2"]])), ["booking"]);
        assert_eq!(keys(&sample(["Port", "Ship"], &[["a", "x"], ["a", "y"]])), ["ship"]);
        assert_eq!(keys(&sample(["Port", "id"], &[["a", "1"], ["a", "1"]])), [""; 0]);
        assert_eq!(keys(&sample(["Port", "id"], &[])), [""; 0]);
    }
}
