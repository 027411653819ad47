//! Findings as plain records, for JSON and for the daemon's API.
//!
//! Owns [`Finding`], whose fields are a promise to scripts. Refuses labels, which are for people.

use serde::{Deserialize, Serialize};

use crate::yaml::{Diagnostic, Region};

/// A finding as scripts read it. Lines and columns count from 1, columns in characters; the end is the
/// place after the last character. A finding about a file as a whole has no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// The stable code, such as `J020`.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// The path of the file.
    pub file: String,
    /// First line.
    pub line: Option<u32>,
    /// First column.
    pub column: Option<u32>,
    /// Last line.
    pub end_line: Option<u32>,
    /// The column after the last character.
    pub end_column: Option<u32>,
    /// The way out.
    pub help: Option<String>,
}

impl From<&Diagnostic> for Finding {
    fn from(diagnostic: &Diagnostic) -> Self {
        let region = diagnostic.region();
        let get = |part: fn(Region) -> u32| region.map(part);
        Self {
            code: diagnostic.code.number().to_owned(),
            severity: diagnostic.severity.word().to_owned(),
            message: diagnostic.message.clone(),
            file: diagnostic.file().to_owned(),
            line: get(|region| region.start.line),
            column: get(|region| region.start.column),
            end_line: get(|region| region.end.line),
            end_column: get(|region| region.end.column),
            help: diagnostic.help.clone(),
        }
    }
}

/// All findings as records.
#[must_use]
pub fn findings(diagnostics: &[Diagnostic]) -> Vec<Finding> {
    diagnostics.iter().map(Finding::from).collect()
}
