//! SARIF 2.1.0, the form that code scanners exchange.
//!
//! Owns the mapping: a rule per code that occurs, a result per finding.

use serde_json::{Value, json};

use super::uri;
use crate::yaml::code::Code;
use crate::yaml::{Diagnostic, Severity, Source, Span};

/// One run with all findings.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic]) -> Value {
    let mut codes: Vec<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = diagnostics.iter().map(|found| result(found, &codes)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "jadactl",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.number(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.title() },
        "help": { "text": code.explain(), "markdown": code.explain() },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(found: &Diagnostic, codes: &[Code]) -> Value {
    let help = found.help.as_deref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let mut result = json!({
        "ruleId": found.code.number(),
        "ruleIndex": codes.binary_search(&found.code).ok(),
        "level": level(found.severity),
        "message": { "text": format!("{}{help}", found.message) },
        "locations": [{ "physicalLocation": place(&found.source, found.span) }],
    });
    if !found.labels.is_empty() {
        let related = found.labels.iter().enumerate().map(|(at, label)| {
            json!({
                "id": at,
                "message": { "text": label.text },
                "physicalLocation": place(&label.source, Some(label.span)),
            })
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn place(source: &Source, span: Option<Span>) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": uri(source) } });
    if let Some(span) = span {
        let start = source.position(span.start);
        let end = source.position(span.end).max(start);
        place["region"] = json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        });
    }
    place
}

fn level(severity: Severity) -> &'static str {
    severity.word()
}
