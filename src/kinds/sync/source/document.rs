//! JSON that is looked into without being taken apart.
//!
//! Owns the parts of a text by their path, and the items of a list one by one: an answer of a hundred
//! thousand records takes no more memory than its text. Refuses to know what a part means.

use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Error;
use serde_json::value::RawValue;

use super::super::trouble::Trouble;

/// A part of a document: JSON as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Part<'a>(&'a str);

/// What a part is, by its first letter: it is known to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// An object.
    Object,
    /// A list.
    List,
    /// Null.
    Null,
    /// A text.
    Text,
    /// A number, true or false.
    Plain,
}

impl Shape {
    /// The word for it, with its article.
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Null => "null",
            Self::Text => "a text",
            Self::Plain => "a plain value",
        }
    }
}

impl<'a> Part<'a> {
    /// The whole of a text, which is looked through once.
    pub(in super::super) fn whole(text: &'a str) -> Result<Self, Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get()))
    }

    /// As it was written.
    pub(in super::super) fn raw(self) -> &'a str {
        self.0
    }

    /// What it is.
    pub(in super::super) fn shape(self) -> Shape {
        match self.0.as_bytes().first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::List,
            Some(b'"') => Shape::Text,
            Some(b'n') => Shape::Null,
            _ => Shape::Plain,
        }
    }

    /// The part at a path such as `data.items`, `hosts.0.name` or `/a.b/c`.
    pub(in super::super) fn at(self, path: &str) -> Result<Option<Self>, Error> {
        // Keys that have dots in them are reached by a JSON pointer.
        let keys: Vec<String> = match path.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => path.split('.').map(str::to_owned).collect(),
        };
        let mut part = self;
        for key in keys {
            let found = match part.shape() {
                Shape::Object => part.field(&key)?,
                Shape::List => part.item(&key)?,
                Shape::Null | Shape::Text | Shape::Plain => None,
            };
            match found {
                Some(inner) => part = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(part))
    }

    /// What a token or a number is, as text; nothing for null, false, the empty text and what is no such
    /// thing.
    pub(in super::super) fn plain(self) -> Option<String> {
        let text = match self.shape() {
            Shape::Text => serde_json::from_str::<String>(self.0).ok()?,
            // `"next": false` is how some say that there is no next one.
            Shape::Plain if self.0 == "false" => return None,
            Shape::Plain => self.0.to_owned(),
            Shape::Object | Shape::List | Shape::Null => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Gives every item of a list.
    pub(in super::super) fn each(
        self,
        give: &mut dyn FnMut(Part<'a>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut trouble = None;
        let mut deserializer = serde_json::Deserializer::from_str(self.0);
        let walked = deserializer.deserialize_seq(Items { give, trouble: &mut trouble });
        match (trouble, walked) {
            (Some(trouble), _) => Err(trouble),
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => Err(Trouble::source(format!("the answer is no JSON: {error}"))),
        }
    }

    fn field(self, key: &str) -> Result<Option<Self>, Error> {
        let mut deserializer = serde_json::Deserializer::from_str(self.0);
        deserializer.deserialize_map(Field(key))
    }

    fn item(self, key: &str) -> Result<Option<Self>, Error> {
        let Ok(index) = key.parse::<usize>() else { return Ok(None) };
        let items: Vec<&RawValue> = serde_json::from_str(self.0)?;
        Ok(items.get(index).map(|raw| Self(raw.get())))
    }
}

/// Looks for one field; the last one counts where it stands twice.
struct Field<'k>(&'k str);

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Part<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                found = Some(Part(map.next_value::<&'de RawValue>()?.get()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Items<'f, 'a> {
    give: &'f mut dyn FnMut(Part<'a>) -> Result<(), Trouble>,
    trouble: &'f mut Option<Trouble>,
}

impl<'de> Visitor<'de> for Items<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(raw) = items.next_element::<&'de RawValue>()? {
            if let Err(trouble) = (self.give)(Part(raw.get())) {
                *self.trouble = Some(trouble);
                return Err(de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_part_and_absence_is_not_null() {
        let text = r#" { "a": { "b": [1, { "c.d": "x" }], "n": null, "e": "" }, "a\u0062": 7 } "#;
        let whole = Part::whole(text).unwrap();
        for (path, raw) in [
            ("a.b", Some(r#"[1, { "c.d": "x" }]"#)),
            ("a.b.0", Some("1")),
            ("/a/b/1/c.d", Some(r#""x""#)),
            ("ab", Some("7")),
            ("a.n", Some("null")),
            ("a.n.x", None),
            ("a.b.c", None),
            ("a.x", None),
        ] {
            assert_eq!(whole.at(path).unwrap().map(Part::raw), raw, "{path}");
        }
        let plain = |path| whole.at(path).unwrap().and_then(Part::plain);
        assert_eq!(plain("ab").as_deref(), Some("7"));
        assert_eq!((plain("a.e"), plain("a.n"), plain("a.b")), (None, None, None));
    }

    #[test]
    fn items_come_one_by_one_until_somebody_has_enough() {
        let part = Part::whole(r#"[ {"a":1}, 2 , "x"]"#).unwrap();
        let mut seen = Vec::new();
        part.each(&mut |item| {
            seen.push(item.raw());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [r#"{"a":1}"#, "2", r#""x""#]);
        let stopped = part.each(&mut |_| Err(Trouble::config("enough")));
        assert_eq!(stopped, Err(Trouble::config("enough")));
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let whole = Part::whole(&deep);
        assert!(whole.is_ok() || whole.is_err(), "it comes back, whatever it says");
    }
}
