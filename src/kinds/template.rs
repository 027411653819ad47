//! Texts with places for values: checked when a job is read, rendered when it runs.
//!
//! Owns the dialect: Handlebars, strict, nothing escaped (the result goes into arguments and variables,
//! not into a page). Refuses to know where the values come from.
//!
//! ```text
//! {{params.region}} {{env.HOME}} {{job.name}} {{run.id}} {{slot}} {{date slot "%Y-%m-%d"}}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, Path, PathSeg, RenderContext,
    RenderErrorReason, Template, TemplateErrorReason, no_escape,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::model::{Binding, Channel};
use crate::yaml::{Code, Decoder, Source, Span, decode};

/// Values that are known of every attempt, with what is under them; `slot` is a text itself.
const KNOWN: [(&str, &[&str]); 3] =
    [("job", &["name"]), ("run", &["id", "attempt", "key"]), ("slot", &[])];

/// What may be called in a template.
const HELPERS: [&str; 17] = [
    "and", "date", "each", "eq", "gt", "gte", "if", "len", "lookup", "lt", "lte", "ne", "not",
    "or", "raw", "unless", "with",
];

/// The names that a template may use.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    /// The job's `params`.
    pub params: &'a BTreeMap<String, Json>,
    /// The variables under `env`.
    pub env: Vec<&'a str>,
    /// The job's credentials, which no template may name.
    pub bindings: &'a [Binding],
    /// Values that only this place knows: the cursor of a read, the record that is sent.
    pub more: Vec<More<'a>>,
}

/// A value that only one place knows.
#[derive(Clone, Debug)]
pub struct More<'a> {
    /// Its name.
    pub name: &'a str,
    /// What is under it.
    pub under: Under<'a>,
}

/// What is under a value.
#[derive(Clone, Debug)]
pub enum Under<'a> {
    /// Nothing: it is a text itself.
    Nothing,
    /// These names, and below them whatever there is.
    Names(Vec<&'a str>),
    /// Nobody knows before it is there.
    Anything,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The code of the finding.
    pub code: Code,
    /// Where in the text, in bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// Whether a text has anything to render.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Finds everything that is wrong with a text.
#[must_use]
pub fn check(text: &str, names: &Names<'_>) -> Vec<Problem> {
    if !is_template(text) {
        return Vec::new();
    }
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(error) => return vec![syntax(text, error.reason(), error.pos())],
    };
    let mut check = Check { text, names, found: Vec::new(), at: 0, free: false };
    check.template(&template);
    check.found
}

/// Reports everything that is wrong with a text that stands at `span`.
pub fn report(text: &str, span: Span, names: &Names<'_>, cx: &mut Decoder) {
    for problem in check(text, names) {
        let at = place(text, span, &problem.at, cx.source());
        cx.report(problem.code, at, problem.message).help(problem.help);
    }
}

/// Where a part of a text stands in its file. Where the text is not written as it reads (a block of
/// several lines, escapes), the part is looked for behind the text's beginning.
pub(super) fn place(text: &str, span: Span, part: &Range<usize>, source: &Source) -> Span {
    let start = span.start as usize;
    if source.slice(span) == text {
        return Span::new(start + part.start..start + part.end);
    }
    let what = &text[part.clone()];
    let nth = text[..part.start].matches(what).count();
    let rest = source.text().get(start..).unwrap_or_default();
    let found = rest.match_indices(what).nth(nth).map(|(at, _)| start + at);
    found.map_or(span, |at| Span::new(at..at + what.len()))
}

/// Renders a text; `values` has the roots of [`Names`].
///
/// # Errors
/// What could not be rendered, in words.
pub fn render<'t>(text: &'t str, values: &Json) -> Result<Cow<'t, str>, String> {
    if !is_template(text) {
        return Ok(Cow::Borrowed(text));
    }
    let rendered = engine().render_template(text, values);
    rendered.map(Cow::Owned).map_err(|error| match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => format!("there is no value `{name}`"),
        reason => reason.to_string(),
    })
}

fn engine() -> &'static Handlebars<'static> {
    static ENGINE: OnceLock<Handlebars<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(no_escape);
        engine.register_helper("date", Box::new(date));
        engine
    })
}

/// `{{date slot "%Y-%m-%d" "Europe/Berlin"}}`: an instant in another form, in UTC by default.
fn date(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = |index| helper.param(index).and_then(|param| param.value().as_str());
    let wrong = |what: &str| RenderErrorReason::Other(format!("date: {what}"));
    let at = text(0).ok_or_else(|| wrong("the first argument must be an instant, such as slot"))?;
    let at: Timestamp = at.parse().map_err(|_| wrong(&format!("'{at}' is no instant")))?;
    let form = text(1).unwrap_or("%Y-%m-%d");
    let zone = match text(2) {
        Some(name) => TimeZone::get(name).map_err(|error| wrong(&error.to_string()))?,
        None => TimeZone::UTC,
    };
    let shown = jiff::fmt::strtime::format(form, &at.to_zoned_datetime(zone));
    out.write(&shown.map_err(|error| wrong(&error.to_string()))?)?;
    Ok(())
}

/// Walks a template and collects what is wrong.
struct Check<'a> {
    text: &'a str,
    names: &'a Names<'a>,
    found: Vec<Problem>,
    /// Where the element that is looked at begins.
    at: usize,
    /// Inside `each` and `with`, where names belong to the value that is walked through.
    free: bool,
}

impl Check<'_> {
    fn template(&mut self, template: &Template) {
        for (element, place) in template.elements.iter().zip(&template.mapping) {
            self.at = offset(self.text, place.0, place.1);
            match element {
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                    self.expression(call);
                }
                TemplateElement::HelperBlock(call) => self.block(call),
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                _ => self.report(
                    "{{",
                    Code::TemplateSyntax,
                    "partials and decorators are not known here",
                    "write the text out in place",
                ),
            }
        }
    }

    fn expression(&mut self, call: &HelperTemplate) {
        if call.params.is_empty() && call.hash.is_empty() {
            match &call.name {
                Parameter::Path(path) => self.path(path, true),
                Parameter::Name(name) => self.value(std::slice::from_ref(name), name, true),
                other => self.parameter(other),
            }
        } else {
            self.call(call);
        }
    }

    fn block(&mut self, call: &HelperTemplate) {
        self.call(call);
        let outer = self.free;
        let walks = matches!(name_of(&call.name), Some("each" | "with"));
        self.free |= walks || call.block_param.is_some();
        if let Some(body) = &call.template {
            self.template(body);
        }
        self.free = outer;
        if let Some(inverse) = &call.inverse {
            self.template(inverse);
        }
    }

    fn call(&mut self, call: &HelperTemplate) {
        if let Some(name) = name_of(&call.name)
            && !HELPERS.contains(&name)
        {
            let help = match decode::nearest(name, HELPERS) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("there are {}", HELPERS.join(", ")),
            };
            let message = format!("there is no function `{name}`");
            self.report(name, Code::TemplateUnknownValue, &message, &help);
        }
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(parameter);
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Path(path) => self.path(path, false),
            Parameter::Subexpression(inner) => {
                if let TemplateElement::Expression(call) = inner.element.as_ref() {
                    self.call(call);
                }
            }
            _ => {}
        }
    }

    fn path(&mut self, path: &Path, shown: bool) {
        // `@index`, `..` and the like make sense only inside of a block that walks.
        let Path::Relative((segments, raw)) = path else { return };
        let named = segments.iter().map(|segment| match segment {
            PathSeg::Named(name) => Some(name.clone()),
            _ => None,
        });
        match named.collect::<Option<Vec<_>>>() {
            Some(names) => self.value(&names, raw, shown),
            None if self.free => {}
            None => {
                let (message, help) = nowhere(raw);
                self.report(raw, Code::TemplateUnknownValue, &message, &help);
            }
        }
    }

    /// Checks a value's name; `shown` says that it becomes text as it is.
    fn value(&mut self, names: &[String], raw: &str, shown: bool) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let wrong = match names.as_slice() {
            ["params", rest @ ..] => self.param(rest, shown),
            ["env", name] if self.binds(name) => return self.refuse(raw),
            ["credentials", ..] if !self.free => return self.refuse(raw),
            ["env", name] if self.names.env.contains(name) => None,
            ["env", name] => Some(self.unknown_variable(name)),
            ["env"] => {
                Some(("`env` holds several values".to_owned(), "name one: {{env.HOME}}".to_owned()))
            }
            [] | ["this"] if !self.free => Some(nowhere(raw)),
            [root, rest @ ..] => match KNOWN.iter().find(|(known, _)| known == root) {
                Some((_, under)) => known(root, rest, under),
                None if self.free => None,
                None => match self.names.more.iter().find(|more| more.name == *root) {
                    Some(more) => under(more, rest),
                    None => Some(self.unknown(root)),
                },
            },
            [] => None,
        };
        if let Some((message, help)) = wrong {
            self.report(raw, Code::TemplateUnknownValue, &message, &help);
        }
    }

    /// Whether a binding fills the variable.
    fn binds(&self, name: &str) -> bool {
        self.names.bindings.iter().any(|binding| match &binding.channel {
            Channel::File(_) => false,
            Channel::Variable(variable) => variable == name,
        })
    }

    /// What is filled in becomes an argument, a variable or a message, and everybody on the host can read
    /// the arguments of a process.
    fn refuse(&mut self, raw: &str) {
        let message = "a credential can't be filled into a text";
        let help = "let the program read its variable or, better, its file; of an HTTP check, write \
                    `credential: NAME`";
        self.report(raw, Code::CredentialInTemplate, message, help);
    }

    fn param(&self, names: &[&str], shown: bool) -> Option<(String, String)> {
        let params = self.names.params;
        let Some((first, rest)) = names.split_first() else {
            let help = match params.keys().next() {
                Some(one) => format!("name one: {{{{params.{one}}}}}"),
                None => "give the job `params: { NAME: VALUE }`".to_owned(),
            };
            return Some(("`params` holds several values".to_owned(), help));
        };
        let Some(mut value) = params.get(*first) else {
            let known = params.keys().map(String::as_str);
            let help = match decode::nearest(first, known) {
                Some(near) => format!("did you mean `params.{near}`?"),
                None => format!("add `{first}` to the job's `params`"),
            };
            return Some((format!("the job has no parameter `{first}`"), help));
        };
        for name in rest {
            let inner = match value {
                Json::Object(entries) => entries.get(*name),
                Json::Array(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
                _ => None,
            };
            let nothing =
                || (format!("there is no `{name}` in it"), "look at the job's `params`".to_owned());
            let Some(inner) = inner else { return Some(nothing()) };
            value = inner;
        }
        let whole = shown && (value.is_object() || value.is_array());
        whole.then(|| {
            let message = "this parameter is a list or a mapping, not a text".to_owned();
            (message, "name a value in it, or walk through it with {{#each}}".to_owned())
        })
    }

    fn unknown_variable(&self, name: &str) -> (String, String) {
        let help = match decode::nearest(name, self.names.env.iter().copied()) {
            Some(near) => format!("did you mean `env.{near}`?"),
            None => format!("to take it from the daemon, list it: `inherit_env: [{name}]`"),
        };
        (format!("the job does not know the variable `{name}`"), help)
    }

    fn unknown(&self, name: &str) -> (String, String) {
        let message = format!("there is no value `{name}`");
        if self.names.params.contains_key(name) {
            return (message, format!("did you mean `params.{name}`?"));
        }
        let more = self.names.more.iter().map(|more| more.name);
        let roots = ["params", "env", "slot", "run", "job"].into_iter().chain(more.clone());
        let help = match decode::nearest(name, roots) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let more: Vec<&str> = ["run.id"].into_iter().chain(more).collect();
                let more = more.join(", ");
                format!("there are params.NAME, env.NAME, job.name, {more} and slot")
            }
        };
        (message, help)
    }

    fn report(&mut self, what: &str, code: Code, message: &str, help: &str) {
        let found = self.text[self.at..].find(what).map(|at| self.at + at);
        let start = found.or_else(|| self.text.find(what)).unwrap_or(self.at);
        let at = start..(start + what.len()).min(self.text.len());
        let (message, help) = (message.to_owned(), help.to_owned());
        self.found.push(Problem { code, at, message, help });
    }
}

/// What is wrong with a name under one of [`KNOWN`], if anything.
fn known(root: &str, rest: &[&str], under: &[&str]) -> Option<(String, String)> {
    match rest {
        [] if under.is_empty() => None,
        [name] if under.contains(name) => None,
        _ if under.is_empty() => {
            Some((format!("`{root}` holds nothing under it"), format!("write {{{{{root}}}}}")))
        }
        [] => {
            let help = format!("name one: {{{{{root}.{}}}}}", under[0]);
            Some((format!("`{root}` holds several values"), help))
        }
        _ => {
            let names: Vec<String> = under.iter().map(|name| format!("{root}.{name}")).collect();
            Some((
                format!("`{root}` has no `{}`", rest.join(".")),
                format!("there is {}", names.join(", ")),
            ))
        }
    }
}

/// What is wrong with a name under a value that one place knows.
fn under(more: &More<'_>, rest: &[&str]) -> Option<(String, String)> {
    match (&more.under, rest) {
        (Under::Anything, _) => None,
        (Under::Nothing, _) => known(more.name, rest, &[]),
        (Under::Names(names), [name, ..]) if names.contains(name) => None,
        (Under::Names(names), [name, ..]) => {
            let help = match decode::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{}.{near}`?", more.name),
                None => format!("there is {}", names.join(", ")),
            };
            Some((format!("`{}` has no `{name}`", more.name), help))
        }
        (Under::Names(names), []) => known(more.name, rest, names),
    }
}

fn nowhere(raw: &str) -> (String, String) {
    (format!("`{raw}` leads nowhere"), "name a value, such as {{params.name}}".to_owned())
}

fn name_of(name: &Parameter) -> Option<&str> {
    match name {
        Parameter::Name(name) => Some(name),
        Parameter::Path(Path::Relative((_, raw))) => Some(raw),
        _ => None,
    }
}

fn syntax(text: &str, reason: &TemplateErrorReason, place: Option<(usize, usize)>) -> Problem {
    let at = place.map_or(0, |(line, column)| offset(text, line, column));
    // The parser may stop behind the text; the last opening is the one that it could not read.
    let start = text[..at.min(text.len())].rfind("{{").unwrap_or(at);
    let end = text[start..].find("}}").map_or(text.len(), |end| start + end + 2);
    let message = match reason {
        TemplateErrorReason::MismatchingClosedHelper(open, close) => {
            format!("`{{{{#{open}}}}}` is closed by `{{{{/{close}}}}}`")
        }
        _ if !text[start..].contains("}}") => "`{{` is never closed".to_owned(),
        _ if text[start..].starts_with("{{#") => "this block is never closed".to_owned(),
        _ => "this can't be read as a template".to_owned(),
    };
    let help = "a value is written {{params.name}}; for the two braces themselves write \\{{";
    Problem { code: Code::TemplateSyntax, at: start..end, message, help: help.to_owned() }
}

/// The byte at a line and column, both from 1, columns in characters.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    (start + within).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> BTreeMap<String, Json> {
        let params = serde_json::json!({
            "region": "eu", "count": 3, "hosts": ["a", "b"], "db": { "name": "ops" }
        });
        serde_json::from_value(params).unwrap()
    }

    /// What is wrong, with the part of the text that it is told at.
    fn problems(text: &str) -> Vec<String> {
        let params = params();
        let found = check(
            text,
            &Names { params: &params, env: vec!["HOME", "PATH"], bindings: &[], more: Vec::new() },
        );
        let told = found.iter().map(|problem| {
            let at = text.get(problem.at.clone()).expect("places are in the text");
            format!("{at} -> {}; {}", problem.message, problem.help)
        });
        told.collect()
    }

    #[test]
    fn good_templates_have_no_problem() {
        for text in [
            "plain",
            "",
            "}}",
            "{ {x} }",
            r"\{{literal}}",
            "{{params.region}}",
            "{{{params.region}}}",
            "{{env.HOME}}/x",
            "{{job.name}}-{{ run.id }}-{{slot}}",
            "{{params.db.name}}",
            "{{params.hosts.[1]}}",
            "{{params.hosts.0}}",
            r#"{{date slot "%F"}}"#,
            "{{#if params.count}}{{params.region}}{{/if}}",
            "{{#each params.hosts}}{{this}} {{@index}} {{../params.region}}{{else}}{{job.name}}{{/each}}",
            "{{#with params.db}}{{name}}{{/with}}",
            "{{#each params.hosts as |h|}}{{h}}{{/each}}",
            "{{len params.hosts}}",
            "{{! a remark }}",
            r#"{{#if (eq params.region "eu")}}x{{/if}}"#,
            "{{lookup params.db \"name\"}}",
        ] {
            assert_eq!(problems(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        let told: Vec<String> = [
            "{{parms.region}}",
            "{{params.regoin}} and {{params.zzz}} and {{params.region}}",
            "{{params}}",
            "{{region}}",
            "{{nonsense}}",
            "{{params.hosts}} {{params.db}}",
            "{{params.db.nmae}}",
            "{{slot.date}} {{run}} {{run.no}} {{job}}",
            "{{env.HOEM}} {{env.SECRET_TOKEN}} {{env}}",
            "{{../slot}}",
            "{{this}}",
            r#"{{dat slot "%F"}}"#,
            "{{upper slot}}",
            "a\nb {{params.x}}",
            "{{#if params.x}}{{params.y}}{{else}}{{params.z}}{{/if}}",
            "{{> partial}}",
            "{{params.region",
            "{{params.region}",
            "{{}}",
            "{{params region}}",
            "{{#if params.count}}x",
            "{{#if params.count}}x{{/each}}",
            "ok {{slot}} then {{ 1x! }}",
        ]
        .iter()
        .flat_map(|text| problems(text))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        parms.region -> there is no value `parms`; did you mean `params`?
        params.regoin -> the job has no parameter `regoin`; did you mean `params.region`?
        params.zzz -> the job has no parameter `zzz`; add `zzz` to the job's `params`
        params -> `params` holds several values; name one: {{params.count}}
        region -> there is no value `region`; did you mean `params.region`?
        nonsense -> there is no value `nonsense`; there are params.NAME, env.NAME, job.name, run.id and slot
        params.hosts -> this parameter is a list or a mapping, not a text; name a value in it, or walk through it with {{#each}}
        params.db -> this parameter is a list or a mapping, not a text; name a value in it, or walk through it with {{#each}}
        params.db.nmae -> there is no `nmae` in it; look at the job's `params`
        slot.date -> `slot` holds nothing under it; write {{slot}}
        run -> `run` holds several values; name one: {{run.id}}
        run.no -> `run` has no `no`; there is run.id, run.attempt, run.key
        job -> `job` holds several values; name one: {{job.name}}
        env.HOEM -> the job does not know the variable `HOEM`; did you mean `env.HOME`?
        env.SECRET_TOKEN -> the job does not know the variable `SECRET_TOKEN`; to take it from the daemon, list it: `inherit_env: [SECRET_TOKEN]`
        env -> `env` holds several values; name one: {{env.HOME}}
        ../slot -> `../slot` leads nowhere; name a value, such as {{params.name}}
        this -> `this` leads nowhere; name a value, such as {{params.name}}
        dat -> there is no function `dat`; did you mean `date`?
        upper -> there is no function `upper`; there are and, date, each, eq, gt, gte, if, len, lookup, lt, lte, ne, not, or, raw, unless, with
        params.x -> the job has no parameter `x`; add `x` to the job's `params`
        params.x -> the job has no parameter `x`; add `x` to the job's `params`
        params.y -> the job has no parameter `y`; add `y` to the job's `params`
        params.z -> the job has no parameter `z`; add `z` to the job's `params`
        {{ -> partials and decorators are not known here; write the text out in place
        {{params.region -> `{{` is never closed; a value is written {{params.name}}; for the two braces themselves write \{{
        {{params.region} -> `{{` is never closed; a value is written {{params.name}}; for the two braces themselves write \{{
        {{}} -> this can't be read as a template; a value is written {{params.name}}; for the two braces themselves write \{{
        params -> there is no function `params`; there are and, date, each, eq, gt, gte, if, len, lookup, lt, lte, ne, not, or, raw, unless, with
        region -> there is no value `region`; did you mean `params.region`?
        {{#if params.count}} -> this block is never closed; a value is written {{params.name}}; for the two braces themselves write \{{
        {{#if params.count}} -> `{{#if}}` is closed by `{{/each}}`; a value is written {{params.name}}; for the two braces themselves write \{{
        {{ 1x! }} -> this can't be read as a template; a value is written {{params.name}}; for the two braces themselves write \{{
        "#);
    }

    proptest::proptest! {
        /// Whatever is written, the check ends without a panic, and its places are in the text.
        #[test]
        fn any_text_can_be_checked(text in r"([a-z{}#/!>^.~&@ \n\\é]|\{\{|\}\}|params\.|each|if|slot){0,24}") {
            problems(&text);
        }
    }

    #[test]
    fn values_are_rendered_as_they_are() {
        let values = serde_json::json!({
            "params": { "quote": "a\"b<c>&'d'", "n": 5, "yes": true, "half": 0.5, "no": null },
            "env": { "HOME": "/root" },
            "job": { "name": "backup" }, "run": { "id": 7 }, "slot": "2026-03-29T01:30:00Z",
        });
        for (text, expected) in [
            ("plain {x}", Ok("plain {x}")),
            ("{{params.quote}}", Ok("a\"b<c>&'d'")),
            ("{{{params.quote}}}", Ok("a\"b<c>&'d'")),
            ("{{params.n}} {{params.yes}} {{params.half}} {{params.no}}", Ok("5 true 0.5 ")),
            ("{{env.HOME}}/{{job.name}}/{{run.id}}", Ok("/root/backup/7")),
            (r"\{{run.id}}", Ok("{{run.id}}")),
            ("{{date slot}}", Ok("2026-03-29")),
            (r#"{{date slot "%H:%M" "Europe/Berlin"}}"#, Ok("03:30")),
            ("{{params.gone}}", Err("there is no value `params.gone`")),
            ("{{date job.name}}", Err("date: 'backup' is no instant")),
        ] {
            let rendered = render(text, &values);
            let rendered = rendered.as_ref().map(AsRef::as_ref).map_err(String::as_str);
            assert_eq!(rendered, expected, "{text}");
        }
    }
}
