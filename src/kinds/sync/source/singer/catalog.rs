//! A tap's catalog: what it offers, and the one stream that is wanted of it.
//!
//! Owns the two forms that taps know (metadata, and the older one within the schema), and the choice of a
//! stream in either. Refuses to run the tap.

use serde_json::{Map, Value as Json, json};

use super::super::super::trouble::{Ending, Trouble};

/// How a tap takes a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `--catalog`
    Catalog,
    /// `--properties`, of taps that know no metadata.
    Properties,
}

/// The stream that was selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// How the tap takes the catalog.
    pub(super) form: Form,
    /// The names that its messages may give it.
    pub(super) names: [String; 2],
}

/// Whether what a tap printed is a catalog at all.
pub(super) fn read(printed: &str) -> Option<Json> {
    let found: Json = serde_json::from_str(printed).ok()?;
    found.get("streams").is_some_and(Json::is_array).then_some(found)
}

/// Selects the stream with all that it offers, and nothing else.
pub(super) fn select(catalog: &mut Json, wanted: &str) -> Result<Selected, Trouble> {
    let mut found = None;
    let mut names = Vec::new();
    let streams = catalog.get_mut("streams").and_then(Json::as_array_mut);
    for stream in streams.into_iter().flatten().filter_map(Json::as_object_mut) {
        let own = ["tap_stream_id", "stream"]
            .map(|key| stream.get(key).and_then(Json::as_str).unwrap_or_default().to_owned());
        let selected = own.iter().any(|name| name == wanted);
        if selected {
            let old = stream.get("metadata").is_none_or(|list| !list.is_array());
            let form = if old { Form::Properties } else { Form::Catalog };
            found = Some(Selected { form, names: own.clone() });
        }
        mark(stream, selected);
        names.extend(own.into_iter().find(|name| !name.is_empty()));
    }
    found.ok_or_else(|| absent(wanted, &names))
}

fn mark(stream: &mut Map<String, Json>, selected: bool) {
    stream.insert("selected".to_owned(), selected.into());
    if let Some(schema) = stream.get_mut("schema").and_then(Json::as_object_mut) {
        schema.insert("selected".to_owned(), selected.into());
    }
    let Some(list) = stream.get_mut("metadata").and_then(Json::as_array_mut) else { return };
    let mut has_own = false;
    for entry in list.iter_mut().filter_map(Json::as_object_mut) {
        let at_top = entry.get("breadcrumb").and_then(Json::as_array).is_some_and(Vec::is_empty);
        has_own |= at_top;
        let Some(metadata) = entry.get_mut("metadata").and_then(Json::as_object_mut) else {
            continue;
        };
        let offered = metadata.get("inclusion").and_then(Json::as_str) != Some("unsupported");
        if at_top || (selected && offered && !metadata.contains_key("selected")) {
            metadata.insert("selected".to_owned(), selected.into());
        }
    }
    if !has_own {
        list.push(json!({ "breadcrumb": [], "metadata": { "selected": selected } }));
    }
}

/// The trouble of a stream that the tap does not have.
pub(super) fn absent(wanted: &str, names: &[String]) -> Trouble {
    const SHOWN: usize = 12;
    let mut list = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        list.push_str(", …");
    }
    let has = if list.is_empty() { "none at all".to_owned() } else { list };
    let message = format!("the tap has no stream `{wanted}`; it has {has}");
    Trouble::new(Ending::Schema, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wanted_stream_is_selected_in_either_form() {
        let mut catalog = read(
            r#"{"streams":[
            {"tap_stream_id":"public-a","stream":"a","schema":{},"metadata":[
              {"breadcrumb":[],"metadata":{"selected":false}},
              {"breadcrumb":["properties","x"],"metadata":{"inclusion":"available"}},
              {"breadcrumb":["properties","y"],"metadata":{"inclusion":"unsupported"}},
              {"breadcrumb":["properties","z"],"metadata":{"selected":false}}]},
            {"tap_stream_id":"b","stream":"b","schema":{},"metadata":[]}]}"#,
        )
        .unwrap();
        let names = ["public-a", "a"].map(str::to_owned);
        let selected = select(&mut catalog, "a").unwrap();
        assert_eq!(selected, Selected { form: Form::Catalog, names });
        let [a, b] = [0, 1].map(|at| &catalog["streams"][at]);
        assert_eq!(a["selected"], true);
        let marks: Vec<_> =
            (0..4).map(|at| a["metadata"][at]["metadata"]["selected"].clone()).collect();
        assert_eq!(marks, [json!(true), json!(true), Json::Null, json!(false)]);
        assert_eq!(b["metadata"], json!([{"breadcrumb": [], "metadata": {"selected": false}}]));

        let mut old = json!({"streams": [{"stream": "a", "schema": {"properties": {}}}]});
        assert_eq!(select(&mut old, "a").unwrap().form, Form::Properties);
        assert_eq!(old["streams"][0]["schema"]["selected"], true);

        let trouble = select(&mut old, "issues").unwrap_err();
        assert_eq!(trouble.message, "the tap has no stream `issues`; it has a");
        assert_eq!(read("{}"), None);
        assert_eq!(read("INFO no catalog"), None);
    }
}
