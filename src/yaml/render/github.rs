//! GitHub's workflow commands, which put findings on the lines of a pull request.
//!
//! Owns the escaping, without which a message could forge a command.

use std::fmt::Write as _;

use crate::yaml::Diagnostic;

/// One command per finding.
#[must_use]
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        command(diagnostic, &mut text);
    }
    text
}

fn command(diagnostic: &Diagnostic, text: &mut String) {
    let word = diagnostic.severity.word();
    text.push_str("::");
    text.push_str(word);
    text.push_str(" file=");
    text.push_str(&property(diagnostic.file()));
    if let Some(region) = diagnostic.region() {
        let (start, end) = (region.start, region.end);
        let place = format!(
            ",line={},col={},endLine={},endColumn={}",
            start.line, start.column, end.line, end.column
        );
        text.push_str(&place);
    }
    let title = format!("{} {}", diagnostic.code, diagnostic.code.title());
    let help = diagnostic.help.as_deref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let message = data(&format!("{}{help}", diagnostic.message));
    writeln!(text, ",title={}::{message}", property(&title)).expect("writing to a String");
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
