//! From a tap's JSON Schema to columns.
//!
//! Owns which type of a column stands for which of theirs. Where theirs says too little, the column takes
//! what says nothing wrong: text, or JSON. Refuses to know values.

use serde_json::{Map, Value as Json};

use super::super::super::columns::{Column, ColumnType};
use super::super::super::trouble::{Ending, Trouble};

/// The columns of a stream, in the order of their names, with those of the key marked.
pub(super) fn columns(stream: &str, schema: &str, keys: &[String]) -> Result<Vec<Column>, Trouble> {
    let wrong = |what: String| {
        Trouble::new(Ending::Schema, format!("the tap's schema of `{stream}` {what}"))
    };
    let schema: Json =
        serde_json::from_str(schema).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let none = || wrong("declares no properties; name the columns in `columns`".to_owned());
    let properties = schema.get("properties").and_then(Json::as_object);
    let properties = properties.filter(|some| !some.is_empty()).ok_or_else(none)?;
    if let Some(key) = keys.iter().find(|key| !properties.contains_key(*key)) {
        return Err(wrong(format!("has no `{key}`, which its key is said to be made of")));
    }
    let columns = properties.iter().map(|(name, property)| {
        let key = keys.contains(name);
        Column { name: name.clone(), kind: kind(property), key, required: key }
    });
    Ok(columns.collect())
}

/// The type for a property.
fn kind(property: &Json) -> ColumnType {
    let Some(property) = property.as_object() else { return ColumnType::Json };
    let mut kinds: Vec<ColumnType> = Vec::new();
    let mut add = |kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    for word in types(property) {
        match word {
            "null" => {}
            "string" => add(text(property)),
            "integer" => add(ColumnType::Int),
            "number" => add(number(property)),
            "boolean" => add(ColumnType::Bool),
            _ => add(ColumnType::Json),
        }
    }
    for branch in ["anyOf", "oneOf"].iter().filter_map(|key| property.get(*key)?.as_array()) {
        let told = branch.iter().filter(|branch| !is_null(branch));
        told.for_each(|branch| add(kind(branch)));
    }
    common(&kinds)
}

/// One type that takes what all of these do.
fn common(kinds: &[ColumnType]) -> ColumnType {
    match kinds {
        [] => ColumnType::Json,
        [one] => *one,
        [ColumnType::Int, other @ (ColumnType::Float | ColumnType::Decimal { .. })]
        | [other @ (ColumnType::Float | ColumnType::Decimal { .. }), ColumnType::Int] => *other,
        some if some.contains(&ColumnType::Json) => ColumnType::Json,
        _ => ColumnType::Text,
    }
}

fn types(property: &Map<String, Json>) -> Vec<&str> {
    match property.get("type") {
        Some(Json::String(word)) => vec![word],
        Some(Json::Array(words)) => words.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_null(branch: &Json) -> bool {
    branch.get("type").and_then(Json::as_str) == Some("null")
}

fn text(property: &Map<String, Json>) -> ColumnType {
    match property.get("format").and_then(Json::as_str) {
        Some("date-time") => ColumnType::Timestamp,
        Some("date") => ColumnType::Date,
        _ => ColumnType::Text,
    }
}

/// A number that is a multiple of a power of ten has so many decimals; others are binary.
fn number(property: &Map<String, Json>) -> ColumnType {
    let step = property.get("multipleOf").and_then(Json::as_f64).unwrap_or_default();
    let scale = (0_u8..=18).find(|scale| {
        let power = 10_f64.powi(-i32::from(*scale));
        (step - power).abs() < power * 1e-6
    });
    match scale {
        Some(scale) => ColumnType::Decimal { precision: 38, scale },
        None => ColumnType::Float,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_a_schema_become_types_of_columns() {
        let cases = [
            (r#"{"type":"string"}"#, "text"),
            (r#"{"type":["null","string"],"format":"date-time"}"#, "timestamp"),
            (r#"{"type":["string","null"],"format":"date"}"#, "date"),
            (r#"{"type":"string","format":"time"}"#, "text"),
            (r#"{"type":"integer"}"#, "int"),
            (r#"{"type":["null","number"]}"#, "float"),
            (r#"{"type":"number","multipleOf":0.01}"#, "decimal(38,2)"),
            (r#"{"type":"number","multipleOf":1e-9}"#, "decimal(38,9)"),
            (r#"{"type":"number","multipleOf":0.25}"#, "float"),
            (r#"{"type":["integer","number"]}"#, "float"),
            (r#"{"type":"boolean"}"#, "bool"),
            (r#"{"type":"object","properties":{}}"#, "json"),
            (r#"{"type":["null","array"],"items":{}}"#, "json"),
            (r#"{"type":["string","integer"]}"#, "text"),
            (r#"{"type":["string","object"]}"#, "json"),
            ("{}", "json"),
            ("true", "json"),
            (r#"{"anyOf":[{"type":"string","format":"date-time"},{"type":"null"}]}"#, "timestamp"),
            (r#"{"anyOf":[{"type":"string","format":"date-time"},{"type":"string"}]}"#, "text"),
        ];
        for (property, expected) in cases {
            let schema = format!(r#"{{"properties":{{"x":{property}}}}}"#);
            let columns = columns("s", &schema, &["x".to_owned()]).unwrap();
            assert_eq!(columns[0].kind.words(), expected, "{property}");
            assert!(columns[0].key && columns[0].required);
        }
    }

    #[test]
    fn a_schema_that_says_nothing_is_refused() {
        for (schema, keys, words) in [
            ("{}", &[][..], "declares no properties"),
            (r#"{"properties":{}}"#, &[], "declares no properties"),
            (r#"{"properties":{"a":{}}}"#, &["id".to_owned()], "has no `id`"),
        ] {
            let trouble = columns("s", schema, keys).unwrap_err();
            assert_eq!(trouble.ending, Ending::Schema);
            assert!(trouble.message.contains(words), "{}", trouble.message);
        }
    }
}
