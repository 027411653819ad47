//! Templates of messages: checked when the settings are read, rendered when somebody is told.
//!
//! Owns the dialect: Handlebars, strict, nothing escaped but by `json`, with the fields of a message at the
//! top. No secret is among them. Refuses to know what becomes of the text.
//!
//! ```text
//! {"summary": {{json subject}}, "hosts": [{{#each affected}}{{json this}}{{#unless @last}},{{/unless}}{{/each}}]}
//! ```

use std::collections::BTreeSet;
use std::sync::OnceLock;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, Path, PathSeg, RenderContext,
    RenderErrorReason, Template, no_escape,
};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::message::{self, Message};
use crate::model::{Event, Notification, NotificationId, Outbox, Told};

/// What may be called in a template.
const HELPERS: [&str; 16] = [
    "and", "each", "eq", "gt", "gte", "if", "json", "len", "lookup", "lt", "lte", "ne", "not",
    "or", "unless", "with",
];

/// Fields that only some messages have; a template asks for them with `{{#if}}`.
const SOMETIMES: [&str; 3] = ["incidents", "omitted", "was_down"];

/// What is wrong with a template, in words, with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
    /// Whether it can't be read at all.
    pub is_syntax: bool,
}

/// Renders a message.
///
/// # Errors
/// What could not be rendered, in words.
pub fn render(template: &str, message: &Message) -> Result<String, String> {
    let mut values = message.body.clone();
    if let Some(fields) = values.as_object_mut() {
        for (name, nothing) in SOMETIMES.into_iter().zip([json!([]), json!(0), Json::Null]) {
            fields.entry(name).or_insert(nothing);
        }
    }
    engine().render_template(template, &values).map_err(|error| match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => format!("there is no value `{name}`"),
        reason => message::line(&reason.to_string()),
    })
}

/// Finds what is wrong with a template.
#[must_use]
pub fn check(template: &str) -> Option<Problem> {
    let compiled = match Template::compile(template) {
        Ok(compiled) => compiled,
        Err(error) => {
            return Some(Problem {
                message: format!(
                    "the template can't be read: {}",
                    message::line(&error.reason().to_string())
                ),
                help: "write values as {{title}}, blocks as {{#if affected}} … {{/if}}".to_owned(),
                is_syntax: true,
            });
        }
    };
    let sample = sample();
    let known = sample.body.as_object().map(|fields| fields.keys().cloned().collect());
    let mut known: BTreeSet<String> = known.unwrap_or_default();
    known.extend(SOMETIMES.map(str::to_owned));
    let mut check = Check { known: &known, free: false, found: None };
    check.template(&compiled);
    check.found.or_else(|| {
        let message = render(template, &sample).err()?;
        Some(Problem {
            message,
            help: "{{json NAME}} writes any value".to_owned(),
            is_syntax: false,
        })
    })
}

/// A message as any template has to render it.
fn sample() -> Message {
    let row = Notification {
        id: NotificationId(0),
        incident: None,
        notifier: "sample".into(),
        event: Event::Test,
        created_at: Timestamp::UNIX_EPOCH,
        state: Told::Waiting,
        ended_at: None,
        tries: 0,
        tried_since: None,
        next_at: Timestamp::UNIX_EPOCH,
        held: None,
        blame: None,
        error: String::new(),
        origin: None,
        carrier: None,
    };
    message::of(&row, &Outbox::default(), Timestamp::UNIX_EPOCH)
}

fn engine() -> &'static Handlebars<'static> {
    static ENGINE: OnceLock<Handlebars<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(no_escape);
        engine.register_helper("json", Box::new(as_json));
        engine
    })
}

/// `{{json title}}`: a value as JSON, quotes included.
fn as_json(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let value = helper.param(0).filter(|value| !value.is_value_missing());
    let value = value.ok_or_else(|| RenderErrorReason::MissingVariable(None))?;
    out.write(&value.value().to_string())?;
    Ok(())
}

/// Walks a template, its untaken branches included, for names that do not exist.
struct Check<'a> {
    known: &'a BTreeSet<String>,
    /// Inside `each` and `with`, where names belong to the value that is walked through.
    free: bool,
    found: Option<Problem>,
}

impl Check<'_> {
    fn template(&mut self, template: &Template) {
        for element in &template.elements {
            match element {
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                    self.call(call, call.params.is_empty() && call.hash.is_empty());
                }
                TemplateElement::HelperBlock(call) => self.block(call),
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                _ => self.report(
                    "partials and decorators are not known here".to_owned(),
                    "write the text out in place".to_owned(),
                ),
            }
        }
    }

    fn block(&mut self, call: &HelperTemplate) {
        self.call(call, false);
        let outer = self.free;
        self.free |=
            matches!(name_of(&call.name), Some("each" | "with")) || call.block_param.is_some();
        call.template.iter().for_each(|body| self.template(body));
        self.free = outer;
        call.inverse.iter().for_each(|body| self.template(body));
    }

    fn call(&mut self, call: &HelperTemplate, value: bool) {
        if value {
            return match &call.name {
                Parameter::Name(name) => self.name(name),
                other => self.parameter(other),
            };
        }
        if let Some(name) = name_of(&call.name)
            && !HELPERS.contains(&name)
        {
            let message = format!("there is no function `{name}`");
            self.report(message, format!("there are {}", HELPERS.join(", ")));
        }
        call.params
            .iter()
            .chain(call.hash.values())
            .for_each(|parameter| self.parameter(parameter));
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Path(Path::Relative((segments, _))) => {
                if let Some(PathSeg::Named(name)) = segments.first() {
                    self.name(name);
                }
            }
            Parameter::Name(name) => self.name(name),
            Parameter::Subexpression(inner) => {
                if let TemplateElement::Expression(call) = inner.element.as_ref() {
                    self.call(call, false);
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, name: &str) {
        if !self.free && name != "this" && !self.known.contains(name) {
            let near = self.known.iter().max_by(|a, b| {
                strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b))
            });
            let near = near.filter(|near| strsim::jaro_winkler(name, near) > 0.8);
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let known: Vec<_> = self.known.iter().map(String::as_str).collect();
                    format!("there are {}", known.join(", "))
                }
            };
            self.report(format!("there is no value `{name}`"), help);
        }
    }

    /// The first problem is told: the next ones often follow from it.
    fn report(&mut self, message: String, help: String) {
        self.found.get_or_insert(Problem { message, help, is_syntax: false });
    }
}

fn name_of(parameter: &Parameter) -> Option<&str> {
    match parameter {
        Parameter::Name(name) => Some(name),
        Parameter::Path(Path::Relative((segments, _))) => match segments.as_slice() {
            [PathSeg::Named(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_template_is_told() {
        let cases: &[(&str, Option<&str>)] = &[
            ("{{title}} {{subject}} {{json affected}}", None),
            ("{{#if was_down}}{{was_down.since}}{{/if}}", None),
            ("{{#each incidents}}{{title}}: {{event}}{{/each}}", None),
            ("{{#if (eq event \"resolved\")}}over{{else}}{{severity}}{{/if}}", None),
            ("{{titel}}", Some("there is no value `titel`")),
            ("{{#if (eq event \"resolved\")}}{{titel}}{{/if}}", Some("there is no value `titel`")),
            ("{{env.HOME}}", Some("there is no value `env`")),
            ("{{secret \"x\"}}", Some("there is no function `secret`")),
            ("{{> partial}}", Some("partials and decorators are not known here")),
        ];
        for (template, want) in cases {
            let found = check(template).map(|problem| problem.message);
            assert_eq!(found.as_deref(), *want, "{template}");
        }
        assert!(
            check("{{#if title}}").is_some_and(|problem| problem.message.contains("can't be read"))
        );
        assert_eq!(check("{{titel}}").unwrap().help, "did you mean `title`?");
    }

    #[test]
    fn json_quotes_whatever_is_in_a_text() {
        let mut message = sample();
        message.body["title"] = Json::String("a \"b\"\n{{c}}".to_owned());
        let body = render("{\"t\": {{json title}}}", &message).expect("it renders");
        let read: Json = serde_json::from_str(&body).expect("JSON");
        assert_eq!(read["t"], "a \"b\"\n{{c}}", "what others wrote is data, not a template");
    }
}
