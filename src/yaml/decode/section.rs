//! Sections: mappings with known keys.
//!
//! Owns `section!` and what its expansion calls. An unknown key is told with what was probably meant: a
//! similar key, or the section one level up or down that the key belongs to. Refuses to know any section.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::choice::OneOf;
use super::{Decode, Decoder, nearest};
use crate::yaml::code::Code;
use crate::yaml::node::{Entry, Node, Value, shortened};

/// Declares a section: the struct, its `Decode` and its JSON Schema. Each field ends with a comma.
///
/// ```text
/// section! {
///     /// How often a failed attempt is repeated.
///     pub struct Retry {
///         /// Attempts in all.
///         pub attempts: u32 = 1,                 // with a default
///         /// The waits between them.
///         pub backoff: Option<Backoff>,          // may be left out
///         /// Which failures.
///         pub r#on: Vec<Located<FailureWord>>,   // required; the key is `on`
///         /// A key that is no Rust name.
///         pub max_elapsed as "max-elapsed": Option<DurationText>,
///
///         one of                                 // exactly one key of a `one_of!`, beside the others
///         /// What is looked at.
///         pub probe: Probe,
///     }
/// }
/// ```
#[macro_export]
macro_rules! section {
    (@default) => { None };
    (@default $default:expr) => { Some((|| $default) as fn() -> _) };
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                pub $field:ident $(as $key:literal)? : $ty:ty $(= $default:expr)?,
            )*
            $(
                one of
                $(#[doc = $of_doc:literal])*
                pub $of:ident : $of_ty:ty $(,)?
            )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $vis $field: $ty,)*
            $($(#[doc = $of_doc])* $vis $of: $of_ty,)?
        }

        impl $crate::yaml::decode::Decode for $name {
            const EXPECTS: &'static str = "a mapping";

            fn decode(
                node: &$crate::yaml::Node<'_>,
                cx: &mut $crate::yaml::decode::Decoder,
            ) -> Option<Self> {
                use $crate::yaml::decode::section::{Fields, key_name};
                let mut fields = Fields::open(node, <Self as $crate::yaml::decode::Decode>::keys, cx)?;
                // Each field is visited, whatever went wrong in the ones before.
                $(
                    let $field = fields.take::<$ty>(
                        key_name(stringify!($field), &[$($key)?]),
                        $crate::section!(@default $($default)?),
                        cx,
                    );
                )*
                $(let $of = fields.take_one_of::<$of_ty>(cx);)?
                fields.close(
                    || vec![$((
                        key_name(stringify!($field), &[$($key)?]),
                        <$ty as $crate::yaml::decode::Decode>::keys(),
                    ),)*],
                    cx,
                );
                Some(Self { $($field: $field?,)* $($of: $of?,)? })
            }

            fn keys() -> Vec<&'static str> {
                use $crate::yaml::decode::section::key_name;
                let keys = [$(key_name(stringify!($field), &[$($key)?]),)*];
                let kinds: &[&[&'static str]] =
                    &[$(<$of_ty as $crate::yaml::decode::choice::OneOf>::KEYS)?];
                keys.into_iter().chain(kinds.iter().copied().flatten().copied()).collect()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::yaml::decode::section::{SectionSchema, key_name};
                let mut section = SectionSchema::new(&[$($doc),*]);
                $(
                    section.field::<$ty>(
                        key_name(stringify!($field), &[$($key)?]),
                        &[$($field_doc),*],
                        &[$(stringify!($default))?],
                        generator,
                    );
                )*
                $(section.one_of::<$of_ty>(generator);)?
                section.finish()
            }
        }
    };
}

/// The YAML key of a field: its new name if it has one, otherwise its own without `r#`.
#[must_use]
pub fn key_name(field: &'static str, renamed: &[&'static str]) -> &'static str {
    renamed.first().copied().unwrap_or_else(|| field.strip_prefix("r#").unwrap_or(field))
}

/// The entries of a section while its fields are decoded.
pub struct Fields<'n, 's> {
    node: &'n Node<'s>,
    entries: &'n [Entry<'s>],
    /// Entries that a field has taken.
    taken: usize,
}

impl<'n, 's> Fields<'n, 's> {
    /// Opens a mapping; anything else is reported.
    pub fn open(
        node: &'n Node<'s>,
        keys: fn() -> Vec<&'static str>,
        cx: &mut Decoder,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let some: Vec<_> = keys().iter().take(4).map(|key| format!("`{key}`")).collect();
            let reported = cx.wrong_type(node, "a mapping");
            if reported.help.is_none() && !some.is_empty() {
                reported.help(format!("its keys are {} …", some.join(", ")));
            }
            return None;
        };
        cx.scopes.push(keys);
        Some(Self { node, entries, taken: 0 })
    }

    /// Decodes the value of a key, or gives its default. `None` where it is missing, or wrong and can't be
    /// left out. A wrong one that can be stands as if it were, once its mistake is reported, so that what
    /// stands beside it is still checked for its meaning.
    pub fn take<T: Decode>(
        &mut self,
        key: &'static str,
        default: Option<fn() -> T>,
        cx: &mut Decoder,
    ) -> Option<T> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            self.taken += 1;
            let decoded = cx.under(Some(entry.key_span), |cx| T::decode(&entry.value, cx));
            return decoded.or_else(T::absent);
        }
        let given = default.map(|default| default()).or_else(T::absent);
        if given.is_none() && !self.is_misspelt(&[key], cx) {
            let message = cx.lacks(&format!("the key `{key}`"));
            let help = format!("add `{key}:` with {}", T::EXPECTS);
            cx.report(Code::MissingKey, self.place(cx), message).help(help);
        }
        given
    }

    /// Decodes the one entry whose key is one of a `one_of!`.
    pub fn take_one_of<O: OneOf>(&mut self, cx: &mut Decoder) -> Option<O> {
        let entries = self.entries;
        let mut found = entries.iter().filter(|entry| O::KEYS.contains(&entry.key.as_ref()));
        let Some(first) = found.next() else {
            let absent = O::absent();
            if absent.is_none() && !self.is_misspelt(O::KEYS, cx) {
                let message = cx.lacks(&format!("a key that says the {}", O::WHAT));
                let help = format!("add exactly one of {}", listed(&O::accepted()));
                cx.report(Code::NoKindKey, self.place(cx), message).help(help);
            }
            return absent.or_else(O::failed);
        };
        self.taken += 1;
        let mut decoded =
            cx.under(Some(first.key_span), |cx| O::decode_at(&first.key, &first.value, cx));
        for second in found {
            self.taken += 1;
            let message = format!("`{}` and `{}` both say the {}", first.key, second.key, O::WHAT);
            let reported = cx.report(Code::TwoKindKeys, second.key_span, message);
            reported.label(first.key_span, "the other one");
            reported.help("keep one of them");
            cx.under(Some(second.key_span), |cx| O::decode_at(&second.key, &second.value, cx));
            decoded = O::failed();
        }
        decoded
    }

    /// Ends the section: what no field took is unknown.
    pub fn close(
        self,
        nested: impl FnOnce() -> Vec<(&'static str, Vec<&'static str>)>,
        cx: &mut Decoder,
    ) {
        let scope = cx.scopes.pop();
        if self.taken == self.entries.len() {
            return;
        }
        let keys = scope.map(|keys| keys()).unwrap_or_default();
        let known = Known { free: self.free(&keys), nested: nested(), keys };
        for entry in self.entries.iter().filter(|entry| !known.keys.contains(&entry.key.as_ref())) {
            if cx.findings.is_full() {
                return;
            }
            let help = known.meant(&entry.key, cx);
            let message = format!("unknown key `{}`", shortened(&entry.key));
            cx.report(Code::UnknownKey, entry.key_span, message).help(help);
        }
    }

    /// The keys that are not given.
    fn free(&self, keys: &[&'static str]) -> Vec<&'static str> {
        let given = |key: &&str| self.entries.iter().any(|entry| entry.key == *key);
        keys.iter().copied().filter(|key| !given(key)).collect()
    }

    /// Whether a missing key is there under a misspelt name. Then that is told, and it alone.
    fn is_misspelt(&self, missing: &[&'static str], cx: &Decoder) -> bool {
        // A mapping with more unknown keys than this is no misspelt section.
        const LOOKED_AT: usize = 64;
        let known = cx.scopes.last().map(|keys| keys()).unwrap_or_default();
        let free = self.free(&known);
        let unknown = self.entries.iter().filter(|entry| !known.contains(&entry.key.as_ref()));
        let mut meant =
            unknown.take(LOOKED_AT).filter_map(|entry| nearest(&entry.key, free.iter().copied()));
        meant.any(|key| missing.contains(&key))
    }

    /// Where a missing key is told: at the key of the section, or at the section's own first line.
    fn place(&self, cx: &Decoder) -> crate::yaml::Span {
        cx.owner.unwrap_or_else(|| self.node.head(cx.source()))
    }
}

/// What an unknown key is compared with.
struct Known {
    keys: Vec<&'static str>,
    /// Those that are not given.
    free: Vec<&'static str>,
    /// The keys of the sections one level down, by their own key.
    nested: Vec<(&'static str, Vec<&'static str>)>,
}

impl Known {
    /// What the author of an unknown key probably meant.
    fn meant(&self, key: &str, cx: &Decoder) -> String {
        if let Some(known) = nearest(key, self.free.iter().copied()) {
            return format!("did you mean `{known}`?");
        }
        if let Some((section, _)) = self.nested.iter().find(|(_, inner)| inner.contains(&key)) {
            return format!("`{key}` belongs under `{section}`");
        }
        if cx.scopes.iter().any(|outer| outer().contains(&key)) {
            return format!("`{key}` belongs to the section around this one");
        }
        match nearest(key, self.keys.iter().copied()) {
            Some(known) => format!("`{known}` is given already; remove this one"),
            None => format!("the keys here are {}", listed(&self.keys)),
        }
    }
}

/// Names in backticks with commas between them.
#[must_use]
pub fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The JSON Schema of a section while its fields are added.
pub struct SectionSchema {
    schema: Schema,
    properties: Map<String, Json>,
    required: Vec<Json>,
    kinds: Vec<Json>,
}

impl SectionSchema {
    /// A section with its documentation.
    #[must_use]
    pub fn new(doc: &[&str]) -> Self {
        let mut schema = Schema::default();
        describe(&mut schema, doc);
        Self { schema, properties: Map::new(), required: Vec::new(), kinds: Vec::new() }
    }

    /// A field; `default` is the default's Rust text, shown where it is JSON too.
    pub fn field<T: Decode + schemars::JsonSchema>(
        &mut self,
        key: &'static str,
        doc: &[&str],
        default: &[&str],
        generator: &mut SchemaGenerator,
    ) {
        let mut schema = generator.subschema_for::<T>();
        refuse_null(&mut schema);
        describe(&mut schema, doc);
        if let Some(default) = default.first().and_then(|text| serde_json::from_str(text).ok()) {
            schema.insert("default".to_owned(), default);
        }
        self.properties.insert(key.to_owned(), schema.to_value());
        if default.is_empty() && T::absent().is_none() {
            self.required.push(json!(key));
        }
    }

    /// The keys of a `one_of!`.
    pub fn one_of<O: OneOf>(&mut self, generator: &mut SchemaGenerator) {
        for (key, doc, mut schema) in O::schemas(generator) {
            describe(&mut schema, doc);
            self.properties.insert(key.to_owned(), schema.to_value());
            self.kinds.push(json!({ "required": [key] }));
        }
        if O::absent().is_some() {
            let keys = O::KEYS.iter().map(|key| json!({ "required": [key] }));
            self.kinds.push(json!({ "not": { "anyOf": keys.collect::<Vec<_>>() } }));
        }
    }

    /// The finished schema.
    #[must_use]
    pub fn finish(mut self) -> Schema {
        self.schema.insert("type".to_owned(), json!("object"));
        self.schema.insert("properties".to_owned(), Json::Object(self.properties));
        if !self.required.is_empty() {
            self.schema.insert("required".to_owned(), Json::Array(self.required));
        }
        if !self.kinds.is_empty() {
            self.schema.insert("oneOf".to_owned(), Json::Array(self.kinds));
        }
        self.schema.insert("additionalProperties".to_owned(), json!(false));
        self.schema
    }
}

/// Takes `null` out of the schema of an `Option`: a key that may be left out must have a value if it is
/// there, which is what the decoder says too.
fn refuse_null(schema: &mut Schema) {
    let null = json!("null");
    if let Some(Json::Array(types)) = schema.get_mut("type") {
        types.retain(|name| *name != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(Json::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type") != Some(&null));
    if let [Json::Object(only)] = choices.as_slice() {
        *schema = Schema::from(only.clone());
    }
}

/// Sets a schema's description from the lines of a doc comment.
pub fn describe(schema: &mut Schema, doc: &[&str]) {
    let text = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n");
    if !text.is_empty() {
        schema.insert("description".to_owned(), json!(text));
    }
}
