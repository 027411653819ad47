//! Google's discovery documents as routes and rules: which requests there are, and what may stand in them.
//!
//! Owns finding the documents, which come with the official Python client and are never copied here, and
//! judging requests by them: path, method, parameters, enums, field masks, bodies. Without them a short list
//! of routes stands in, and nothing is judged. Refuses to know what a method does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

/// The documents of Sheets and of Drive.
pub(crate) struct Discovery(Vec<Json>);

/// The routes without any documents.
const ROUTES: [(&str, &str, &str); 8] = [
    ("sheets.spreadsheets.get", "GET", "v4/spreadsheets/{spreadsheetId}"),
    ("sheets.spreadsheets.batchUpdate", "POST", "v4/spreadsheets/{spreadsheetId}:batchUpdate"),
    ("sheets.spreadsheets.values.get", "GET", "v4/spreadsheets/{spreadsheetId}/values/{range}"),
    ("sheets.spreadsheets.values.update", "PUT", "v4/spreadsheets/{spreadsheetId}/values/{range}"),
    (
        "sheets.spreadsheets.values.append",
        "POST",
        "v4/spreadsheets/{spreadsheetId}/values/{range}:append",
    ),
    (
        "sheets.spreadsheets.values.batchGet",
        "GET",
        "v4/spreadsheets/{spreadsheetId}/values:batchGet",
    ),
    (
        "sheets.spreadsheets.values.batchUpdate",
        "POST",
        "v4/spreadsheets/{spreadsheetId}/values:batchUpdate",
    ),
    ("drive.files.get", "GET", "drive/v3/files/{fileId}"),
];

/// A request, understood.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Json,
}

impl Discovery {
    /// The documents of the client that is installed beside the build, or why there are none.
    pub(crate) fn find() -> Result<Self, String> {
        let required =
            std::env::var("JADA_TEST_GOOGLE_CLIENT").is_ok_and(|value| value == "required");
        let found = Self::load();
        assert!(found.is_ok() || !required, "{:?}", found.err());
        found.map_err(|why| format!("the discovery documents are not there: {why}"))
    }

    fn load() -> Result<Self, String> {
        let site = packages()?;
        let folder = site.join("googleapiclient/discovery_cache/documents");
        let document = |name: &str| {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            serde_json::from_str::<Json>(&text).map_err(|error| error.to_string())
        };
        Ok(Self(vec![document("sheets.v4.json")?, document("drive.v3.json")?]))
    }

    /// The document and the method of a request.
    fn route(&self, verb: &str, path: &str) -> Option<(&Json, &Json, BTreeMap<String, String>)> {
        for document in &self.0 {
            let base = document["servicePath"].as_str().unwrap_or_default();
            let mut methods = Vec::new();
            gather(document, &mut methods);
            for method in methods.iter().filter(|method| method["httpMethod"] == verb) {
                let template = format!("{base}{}", method["path"].as_str().unwrap_or_default());
                if let Some(found) = matched(&template, path) {
                    return Some((document, method, found));
                }
            }
        }
        None
    }
}

/// Where Python's packages of the client are.
fn packages() -> Result<PathBuf, String> {
    let lib = environment().join("lib");
    let entries = std::fs::read_dir(&lib).map_err(|error| format!("{}: {error}", lib.display()))?;
    let site = entries.flatten().map(|entry| entry.path().join("site-packages"));
    site.into_iter().find(|path| path.is_dir()).ok_or_else(|| "no site-packages".to_owned())
}

/// The environment that `.ci/run` makes beside the build.
pub(crate) fn environment() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    // TARGET/debug/deps/test
    test.ancestors().nth(3).unwrap_or(Path::new(".")).join("google")
}

fn gather<'d>(part: &'d Json, methods: &mut Vec<&'d Json>) {
    methods.extend(part["methods"].as_object().into_iter().flat_map(Map::values));
    for inner in part["resources"].as_object().into_iter().flat_map(Map::values) {
        gather(inner, methods);
    }
}

impl Call {
    /// Reads a request: its method and target, and its body.
    pub(crate) fn read(
        discovery: Option<&Discovery>,
        (verb, target): (&str, &str),
        body: &str,
    ) -> Result<Self, String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.trim_start_matches('/');
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query: Vec<_> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| {
                (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
            })
            .collect();
        let parsed = if body.is_empty() { Ok(Json::Null) } else { serde_json::from_str(body) };
        let body: Json = parsed.map_err(|error| format!("the body is no JSON: {error}"))?;
        let Some(discovery) = discovery else {
            let found = ROUTES.iter().filter(|(_, known, _)| *known == verb).find_map(
                |(id, _, template)| matched(template, path).map(|found| ((*id).to_owned(), found)),
            );
            let (id, path) = found.ok_or_else(|| format!("no method {verb} {path}"))?;
            return Ok(Self { id, path, query, body });
        };
        let route = discovery.route(verb, path);
        let (document, method, found) = route.ok_or_else(|| format!("no method {verb} {path}"))?;
        judge_query(document, method, &query)?;
        match method["request"]["$ref"].as_str() {
            Some(schema) => judge(document, &document["schemas"][schema], &body, "the body")?,
            None if body.is_null() => {}
            None => return Err("the method takes no body".to_owned()),
        }
        let id = method["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { id, path: found, query, body })
    }

    /// A parameter of the query.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An answer as far as the field mask asks for it. The answer is judged, and so is the mask.
    pub(crate) fn projected(
        &self,
        discovery: Option<&Discovery>,
        document: &Json,
    ) -> Result<Json, String> {
        let mask = self.param("fields").map(mask).transpose()?;
        if let Some(discovery) = discovery {
            for known in &discovery.0 {
                let mut methods = Vec::new();
                gather(known, &mut methods);
                let Some(method) = methods.iter().find(|method| method["id"] == *self.id) else {
                    continue;
                };
                let schema = method["response"]["$ref"].as_str().unwrap_or_default();
                let schema = &known["schemas"][schema];
                judge(known, schema, document, "the stand-in's answer")?;
                if let Some(mask) = &mask {
                    judge_mask(known, schema, mask)?;
                }
            }
        }
        Ok(mask.map_or_else(|| document.clone(), |mask| project(document, &mask)))
    }
}

fn judge_query(document: &Json, method: &Json, query: &[(String, String)]) -> Result<(), String> {
    for (at, (name, value)) in query.iter().enumerate() {
        let own = &method["parameters"][name];
        let rule = if own.is_object() { own } else { &document["parameters"][name] };
        if !rule.is_object() || rule["location"] == "path" {
            return Err(format!("no parameter `{name}`"));
        }
        let again = query[..at].iter().any(|(other, _)| other == name);
        if again && rule["repeated"] != true {
            return Err(format!("the parameter `{name}` stands twice"));
        }
        let legal = match rule["type"].as_str() {
            Some("boolean") => value == "true" || value == "false",
            Some("integer") => value.parse::<i64>().is_ok(),
            _ => true,
        };
        let listed = rule["enum"].as_array().is_none_or(|all| all.iter().any(|one| one == value));
        if !legal || !listed {
            return Err(format!("`{value}` is no value of `{name}`"));
        }
    }
    Ok(())
}

/// Whether a value is as its schema has it: known names, types and enums.
fn judge(document: &Json, schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return judge(document, &document["schemas"][name], value, at);
    }
    let wrong = || Err(format!("{at} is {value}, and must be {}", schema["type"]));
    match (schema["type"].as_str().unwrap_or("any"), value) {
        ("any", _) | ("boolean", Json::Bool(_)) | ("number", Json::Number(_)) => Ok(()),
        ("integer", Json::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
        ("string", Json::String(text)) => match schema["enum"].as_array() {
            Some(all) if !all.iter().any(|one| one == text) => {
                Err(format!("{at} is `{text}`, which is no value of it"))
            }
            _ => Ok(()),
        },
        ("array", Json::Array(items)) => items.iter().enumerate().try_for_each(|(n, item)| {
            judge(document, &schema["items"], item, &format!("{at}[{n}]"))
        }),
        ("object", Json::Object(fields)) => fields.iter().try_for_each(|(name, value)| {
            let known = &schema["properties"][name];
            let rule = if known.is_object() { known } else { &schema["additionalProperties"] };
            if !rule.is_object() {
                return Err(format!("{at} has no field `{name}`"));
            }
            judge(document, rule, value, &format!("{at}.{name}"))
        }),
        _ => wrong(),
    }
}

/// A field mask: names, with what is wanted within each; nothing wants all of it.
#[derive(Debug, Default)]
struct Mask(BTreeMap<String, Mask>);

/// Reads `a.b,c(d,e.f)`.
fn mask(text: &str) -> Result<Mask, String> {
    let mut whole = Mask::default();
    let mut rest = text;
    fields(&mut rest, &mut whole)?;
    if rest.is_empty() {
        Ok(whole)
    } else {
        Err(format!("the field mask `{text}` ends at `{rest}`"))
    }
}

fn fields(rest: &mut &str, into: &mut Mask) -> Result<(), String> {
    loop {
        let mut place = &mut *into;
        loop {
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '*')).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            if name.is_empty() {
                return Err(format!("the field mask has no name at `{rest}`"));
            }
            place = place.0.entry(name.to_owned()).or_default();
            *rest = behind;
            let Some(behind) = rest.strip_prefix(['.', '/']) else { break };
            *rest = behind;
        }
        if let Some(behind) = rest.strip_prefix('(') {
            *rest = behind;
            fields(rest, place)?;
            *rest = rest.strip_prefix(')').ok_or("the field mask has no `)`")?;
        }
        match rest.strip_prefix(',') {
            Some(behind) => *rest = behind,
            None => return Ok(()),
        }
    }
}

fn judge_mask(document: &Json, schema: &Json, mask: &Mask) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return judge_mask(document, &document["schemas"][name], mask);
    }
    if schema["type"] == "array" {
        return judge_mask(document, &schema["items"], mask);
    }
    mask.0.iter().filter(|(name, _)| *name != "*").try_for_each(|(name, inner)| {
        let known = &schema["properties"][name];
        if !known.is_object() {
            return Err(format!("the field mask names `{name}`, which is not there"));
        }
        judge_mask(document, known, inner)
    })
}

fn project(value: &Json, mask: &Mask) -> Json {
    if mask.0.is_empty() || mask.0.contains_key("*") {
        return value.clone();
    }
    match value {
        Json::Array(items) => items.iter().map(|item| project(item, mask)).collect(),
        Json::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| {
                mask.0.get(name).map(|inner| (name.clone(), project(value, inner)))
            });
            Json::Object(kept.collect())
        }
        other => other.clone(),
    }
}

/// The values of a path's variables, where it is of a template.
fn matched(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut found = BTreeMap::new();
    for (part, text) in template.iter().zip(path) {
        let text = decoded(text);
        let Some((name, verb)) = part.strip_prefix('{').and_then(|part| part.split_once('}'))
        else {
            if *part != text {
                return None;
            }
            continue;
        };
        let value = text.strip_suffix(verb)?;
        // `x:append` is no range where another template has the verb.
        let other_verb = verb.is_empty()
            && value.rsplit_once(':').is_some_and(|(_, verb)| {
                verb.starts_with(|c: char| c.is_ascii_lowercase()) && verb.len() > 3
            });
        if value.is_empty() || other_verb {
            return None;
        }
        found.insert(name.to_owned(), value.to_owned());
    }
    Some(found)
}

/// A text without percent signs.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
