//! Choices: words, and exactly one key of several.
//!
//! Owns `words!` and `one_of!`. Both are closed enums: what is not listed is refused with the nearest
//! listed one. Refuses tags inside of values, which would cost the place of every mistake.

use schemars::{Schema, SchemaGenerator};

use super::section::listed;
use super::{Decoder, nearest};
use crate::yaml::code::Code;
use crate::yaml::node::{Node, Value, shortened};

/// Declares an enum of words.
///
/// ```text
/// words! {
///     /// What happens while a run is live.
///     pub enum OverlapWord {
///         /// The slot is skipped.
///         Skip = "skip",
///     }
/// }
/// ```
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $word_doc:literal])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $word_doc])* $variant,)+
        }

        impl $name {
            /// Every word, in the order of their declaration.
            $vis const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as written in YAML.
            #[must_use]
            $vis fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::yaml::decode::Decode for $name {
            const EXPECTS: &'static str = "a word";

            fn decode(
                node: &$crate::yaml::Node<'_>,
                cx: &mut $crate::yaml::decode::Decoder,
            ) -> Option<Self> {
                match $crate::yaml::decode::choice::word(node, Self::WORDS, cx)? {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let words = [$(($word, &[$($word_doc),*] as &[&str]),)+];
                $crate::yaml::decode::choice::words_schema(&[$($doc),*], &words)
            }
        }
    };
}

/// Declares an enum of which exactly one key is given: on its own as `{ disk: { … } }`, or in a `section!`
/// after `one of`, where other keys may stand beside it.
///
/// ```text
/// one_of! {
///     /// What a check looks at.
///     pub enum Probe as "probe" {
///         /// A file system.
///         disk => Disk(DiskProbe),
///         ; not yet systemd
///     }
/// }
/// ```
///
/// What is `not yet` run is part of the format, and refused in words that say so.
#[macro_export]
macro_rules! one_of {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident as $what:literal {
            $($(#[doc = $key_doc:literal])* $key:ident => $variant:ident($ty:ty)),+ $(,)?
            $(; not yet $($later:ident),+)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis enum $name {
            $($(#[doc = $key_doc])* $variant($ty),)+
        }

        impl $crate::yaml::decode::choice::OneOf for $name {
            const KEYS: &'static [&'static str] =
                &[$(stringify!($key),)+ $($(stringify!($later)),+)?];
            const NOT_YET: &'static [&'static str] = &[$($(stringify!($later)),+)?];
            const WHAT: &'static str = $what;

            fn decode_at(
                key: &str,
                node: &$crate::yaml::Node<'_>,
                cx: &mut $crate::yaml::decode::Decoder,
            ) -> Option<Self> {
                $(
                    if key == stringify!($key) {
                        let value = <$ty as $crate::yaml::decode::Decode>::decode(node, cx);
                        return value.map(Self::$variant);
                    }
                )+
                $crate::yaml::decode::choice::not_yet::<Self>(key, node, cx);
                None
            }

            fn schemas(
                generator: &mut schemars::SchemaGenerator,
            ) -> Vec<(&'static str, &'static [&'static str], schemars::Schema)> {
                vec![$((
                    stringify!($key),
                    &[$($key_doc),*],
                    generator.subschema_for::<$ty>(),
                ),)+]
            }
        }

        impl $crate::yaml::decode::Decode for $name {
            const EXPECTS: &'static str = concat!("a mapping with one key, the ", $what);

            fn decode(
                node: &$crate::yaml::Node<'_>,
                cx: &mut $crate::yaml::decode::Decoder,
            ) -> Option<Self> {
                use $crate::yaml::decode::section::Fields;
                let mut fields = Fields::open(node, <Self as $crate::yaml::decode::Decode>::keys, cx)?;
                let chosen = fields.take_one_of::<Self>(cx);
                fields.close(Vec::new, cx);
                chosen
            }

            fn keys() -> Vec<&'static str> {
                <Self as $crate::yaml::decode::choice::OneOf>::KEYS.to_vec()
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
                let doc = [$($doc),*];
                let mut section = $crate::yaml::decode::section::SectionSchema::new(&doc);
                section.one_of::<Self>(generator);
                section.finish()
            }
        }
    };
}

/// An enum of which exactly one key is given; see `one_of!`.
pub trait OneOf: Sized {
    /// The keys, those that are refused included.
    const KEYS: &'static [&'static str];
    /// Those that this version refuses.
    const NOT_YET: &'static [&'static str] = &[];
    /// What the key says, for messages: `probe`, `kind`.
    const WHAT: &'static str;

    /// Decodes the value of one of the keys.
    fn decode_at(key: &str, node: &Node<'_>, cx: &mut Decoder) -> Option<Self>;

    /// Its value where none of the keys is given; `None` makes one required.
    fn absent() -> Option<Self> {
        None
    }

    /// What decoding goes on with where the key is missing or given twice, which has been reported;
    /// `None` gives the section around up.
    fn failed() -> Option<Self> {
        None
    }

    /// The keys that may be given.
    #[must_use]
    fn accepted() -> Vec<&'static str> {
        Self::KEYS.iter().copied().filter(|key| !Self::NOT_YET.contains(key)).collect()
    }

    /// Each key with its documentation and its schema.
    fn schemas(
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, &'static [&'static str], Schema)>;
}

impl<O: OneOf> OneOf for Option<O> {
    const KEYS: &'static [&'static str] = O::KEYS;
    const NOT_YET: &'static [&'static str] = O::NOT_YET;
    const WHAT: &'static str = O::WHAT;

    fn decode_at(key: &str, node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        O::decode_at(key, node, cx).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schemas(
        generator: &mut SchemaGenerator,
    ) -> Vec<(&'static str, &'static [&'static str], Schema)> {
        O::schemas(generator)
    }
}

/// Says of a key that this version refuses it.
pub fn not_yet<O: OneOf>(key: &str, node: &Node<'_>, cx: &mut Decoder) {
    let at = cx.owner.unwrap_or_else(|| node.head(cx.source()));
    let message = format!("this version does not run the {} `{key}` yet", O::WHAT);
    let help = format!("it runs {}", listed(&O::accepted()));
    cx.report(Code::KindNotRun, at, message).help(help);
}

/// The known word that a node is.
pub fn word(
    node: &Node<'_>,
    words: &'static [&'static str],
    cx: &mut Decoder,
) -> Option<&'static str> {
    let written = cx.written(node);
    let Some(written) = written else {
        cx.wrong_type(node, &format!("one of {}", listed(words)));
        return None;
    };
    if let Some(word) = words.iter().find(|word| **word == written) {
        return Some(word);
    }
    let help = match nearest(&written, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("the words are {}", listed(words)),
    };
    let message = match &node.value {
        Value::Text(text) => format!("unknown word `{}`", shortened(text)),
        _ => format!("expected a word, found {}", node.described(cx.source())),
    };
    let at = cx.within(node, 0..written.len());
    cx.report(Code::UnknownWord, at, message).help(help);
    None
}

/// The schema of an enum of words.
#[must_use]
pub fn words_schema(doc: &[&str], words: &[(&str, &[&str])]) -> Schema {
    let mut schema = Schema::default();
    super::section::describe(&mut schema, doc);
    let each = words.iter().map(|(word, doc)| {
        let mut schema = Schema::default();
        schema.insert("const".to_owned(), serde_json::json!(word));
        super::section::describe(&mut schema, doc);
        schema.to_value()
    });
    schema.insert("oneOf".to_owned(), each.collect());
    schema
}
