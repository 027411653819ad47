//! Names as they stand in YAML.
//!
//! Owns their decoding and their place in the schema. What a legal name is, `model::id` says. Refuses to
//! know which names exist.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::model::id::{NAME_MAX, check_name};
use crate::model::{JobName, NameError};
use crate::yaml::decode::{Decode, Decoder, nearest};
use crate::yaml::{Code, Diagnostic, Node, Span};

/// A name of a job, pool, notifier or node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameText(pub String);

/// A credential's name: a name, or two with a slash between, such as `google/ops`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialText(pub String);

impl NameText {
    /// The same name as a job's.
    pub(super) fn job(&self) -> JobName {
        JobName::parse(&self.0).expect("decoding let only legal names through")
    }
}

/// Says what is wrong with a name, or that nothing is.
pub(super) fn check(text: &str, at: Span, cx: &mut Decoder) -> Option<()> {
    let Err(error) = check_name(text) else { return Some(()) };
    let message = format!("`{text}` is no name: {}", reason(&error));
    let rule = format!("a name has 1 to {NAME_MAX} of a-z, 0-9, '.', '_' and '-'");
    let help = match legal(text) {
        Some(legal) => format!("write `{legal}`; {rule}"),
        None => format!("{rule}, a letter or digit first"),
    };
    cx.report(Code::BadName, at, message).help(help);
    None
}

/// Why a text is no name, without the rule, which is the help.
pub(super) fn reason(error: &NameError) -> String {
    match error {
        NameError::Character(c) => format!("it may not have '{c}' there"),
        NameError::Empty | NameError::TooLong => error.to_string(),
    }
}

/// The legal name nearest to a text, such as `box-health` for `Box Health`.
pub(super) fn legal(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let legal: String = lower
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        })
        .collect();
    let legal = legal.trim_start_matches(['.', '_', '-']).trim_end_matches('-');
    check_name(legal).ok().map(|()| legal.to_owned())
}

/// Says that a name is not among the known ones, and what was probably meant.
pub(super) fn unknown<'d>(
    diagnostic: &'d mut Diagnostic,
    name: &str,
    known: &[&str],
    declare: &str,
) -> &'d mut Diagnostic {
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => declare.to_owned(),
    };
    diagnostic.help(help)
}

impl Decode for NameText {
    const EXPECTS: &'static str = "a name";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        // A name may look like a number: it is taken as it is written.
        let Some(text) = cx.written(node) else {
            cx.wrong_type(node, Self::EXPECTS);
            return None;
        };
        let at = cx.within(node, 0..text.len());
        check(&text, at, cx).map(|()| Self(text))
    }
}

impl Decode for CredentialText {
    const EXPECTS: &'static str = "a credential's name";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let at = cx.within(node, 0..text.len());
        check_credential(&text, at, cx).map(|()| Self(text))
    }
}

/// Says what is wrong with a credential's name, or that nothing is.
pub(super) fn check_credential(text: &str, at: Span, cx: &mut Decoder) -> Option<()> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [name] => check(name, at, cx),
        [group, name] => check(group, at, cx).and_then(|()| check(name, at, cx)),
        _ => {
            let message = format!("`{text}` is no credential's name: it has more than one slash");
            cx.report(Code::BadName, at, message).help("write it like `google` or `google/ops`");
            None
        }
    }
}

const NAME: &str = r"[a-z0-9][a-z0-9._-]{0,62}";

impl JsonSchema for NameText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": format!("^{NAME}$") })
    }
}

impl JsonSchema for CredentialText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CredentialName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^{NAME}(/{NAME})?$") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_a_legal_name() {
        let cases = [
            ("Box Health", Some("box-health")),
            ("-x-", Some("x")),
            ("a/b", Some("a-b")),
            ("Ü", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(legal(text).as_deref(), want, "{text:?}");
        }
    }
}
