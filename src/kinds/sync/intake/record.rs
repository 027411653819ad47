//! Finds a job's columns in a JSON object, without taking it apart further than need be.
//!
//! Owns how a field is found by its name or its path. Refuses to make values of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::layout::Layout;
use super::super::value::Cell;

/// What a column is made of: the field of just its name, or that of the first part of its path with the rest.
#[derive(Debug)]
struct Wanted {
    whole: usize,
    nested: Option<(usize, Vec<String>)>,
}

/// The fields that a job's columns are made of, and where they are in the record at hand.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Names that are looked for at the top of a record.
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    columns: Vec<Wanted>,
    /// Where each field's value is in the record at hand.
    found: Vec<Option<Range<usize>>>,
    /// Whether any record had it.
    pub(super) seen: Vec<bool>,
    /// Names and places of fields that no column takes.
    pub(super) unknown: Vec<(String, Range<usize>)>,
    /// How many of those belong to the record at hand: their room is used again.
    pub(super) unknown_count: usize,
}

impl Record {
    pub(super) fn of(layout: &Layout) -> Self {
        let mut record = Self::default();
        for made in &layout.made {
            let whole = record.name(&made.from);
            let nested = made.from.split_once('.').map(|(first, rest)| {
                (record.name(first), rest.split('.').map(str::to_owned).collect())
            });
            record.columns.push(Wanted { whole, nested });
        }
        record.found = vec![None; record.names.len()];
        record.seen = vec![false; layout.made.len()];
        record
    }

    fn name(&mut self, name: &str) -> usize {
        let next = self.names.len();
        let at = *self.by_name.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.names.push(name.to_owned());
        }
        at
    }

    /// Looks through a record.
    pub(super) fn look(&mut self, text: &str) -> Result<(), serde_json::Error> {
        self.found.fill(None);
        self.unknown_count = 0;
        let mut from = serde_json::Deserializer::from_str(text);
        from.deserialize_map(Fields { record: self, text })?;
        from.end()
    }

    /// The text of a column's field in the record that was looked through.
    pub(super) fn raw<'t>(&mut self, column: usize, text: &'t str) -> Option<&'t str> {
        let Wanted { whole, nested } = &self.columns[column];
        let at = |field: &usize| self.found[*field].clone().map(|range| &text[range]);
        let raw = at(whole).or_else(|| {
            let (first, rest) = nested.as_ref()?;
            rest.iter().try_fold(at(first)?, |raw, name| member(raw, name))
        });
        self.seen[column] |= raw.is_some();
        raw
    }

    /// The fields of the record at hand that no column takes.
    pub(super) fn unknown(&self) -> &[(String, Range<usize>)] {
        &self.unknown[..self.unknown_count]
    }

    fn strange(&mut self, name: &str, range: Range<usize>) {
        match self.unknown.get_mut(self.unknown_count) {
            Some((room, place)) => {
                room.clear();
                room.push_str(name);
                *place = range;
            }
            None => self.unknown.push((name.to_owned(), range)),
        }
        self.unknown_count += 1;
    }
}

/// A cell of a field as it is written; `room` is for texts with escapes.
pub(super) fn cell<'r>(raw: &'r str, room: &'r mut String) -> Result<Cell<'r>, serde_json::Error> {
    Ok(match raw.as_bytes().first() {
        Some(b'"') if raw.contains('\\') => {
            *room = serde_json::from_str(raw)?;
            Cell::Text(room)
        }
        Some(b'"') => Cell::Text(&raw[1..raw.len() - 1]),
        Some(b'{' | b'[') => Cell::Json(raw),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'n') | None => Cell::Null,
        Some(_) => Cell::Number(raw),
    })
}

/// The member of an object, or of a list by its number.
fn member<'t>(raw: &'t str, name: &str) -> Option<&'t str> {
    match raw.as_bytes().first() {
        Some(b'{') => {
            let mut from = serde_json::Deserializer::from_str(raw);
            from.deserialize_map(Member(name)).ok().flatten()
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            items.get(name.parse::<usize>().ok()?).map(|item| item.get())
        }
        _ => None,
    }
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.0 {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                let _another = map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Fields<'r, 't> {
    record: &'r mut Record,
    text: &'t str,
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let start = self.text.as_ptr().addr();
        let mut likely = 0;
        while let Some(field) = map.next_key_seed(Name { record: self.record, likely })? {
            let raw = map.next_value::<&RawValue>()?.get();
            // A raw value is a part of the text that is read, so it is known by where it begins.
            let begin = raw.as_ptr().addr() - start;
            let range = begin..begin + raw.len();
            match field {
                Found::Field(field) => {
                    self.record.found[field] = Some(range);
                    likely = field + 1;
                }
                Found::Strange => {
                    let last = self.record.unknown_count - 1;
                    self.record.unknown[last].1 = range;
                }
            }
        }
        Ok(())
    }
}

/// A field's name: one that is looked for, or another.
enum Found {
    Field(usize),
    Strange,
}

struct Name<'r> {
    record: &'r mut Record,
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Found, E> {
        // Records of one source have their fields in the same order, mostly.
        if self.record.names.get(self.likely).is_some_and(|likely| likely == name) {
            return Ok(Found::Field(self.likely));
        }
        Ok(match self.record.by_name.get(name) {
            Some(field) => Found::Field(*field),
            None => {
                self.record.strange(name, 0..0);
                Found::Strange
            }
        })
    }
}
