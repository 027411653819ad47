//! The values of a range, row by row.
//!
//! Owns what a cell is in the API's JSON: numbers as they are written, texts, booleans, and the errors that
//! formulas leave. Cells and rows without values at the end are left out by the API; those in between are
//! empty texts, which are no values either. Refuses to know headers.

use std::borrow::Cow;

use super::super::source::document::{Part, Shape};
use super::super::trouble::Trouble;
use super::super::value::Cell;

/// What stands in a cell whose formula failed, or has not come to an end.
const BROKEN: [&str; 13] = [
    "#N/A",
    "#REF!",
    "#VALUE!",
    "#DIV/0!",
    "#NAME?",
    "#NUM!",
    "#NULL!",
    "#ERROR!",
    "#SPILL!",
    "#CALC!",
    "#BLOCKED!",
    "#CONNECT!",
    "Loading...",
];

/// A cell of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Found<'a> {
    /// Nothing.
    Empty,
    /// True or false.
    Bool(bool),
    /// A number as it was written.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
}

impl<'a> Found<'a> {
    fn of(part: Part<'a>) -> Result<Self, Trouble> {
        let raw = part.raw();
        Ok(match part.shape() {
            Shape::Null => Self::Empty,
            Shape::Text if raw == "\"\"" => Self::Empty,
            Shape::Text => Self::Text(text(raw)?),
            Shape::Plain if raw == "true" || raw == "false" => Self::Bool(raw == "true"),
            Shape::Plain => Self::Number(raw),
            Shape::Object | Shape::List => {
                let what = part.shape().words();
                return Err(Trouble::source(format!("a cell of the answer is {what}")));
            }
        })
    }

    /// As the mapping has it.
    pub(in super::super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Empty => Cell::Null,
            Self::Bool(value) => Cell::Bool(*value),
            Self::Number(raw) => Cell::Number(raw),
            Self::Text(text) if BROKEN.contains(&&**text) => Cell::Broken(text),
            Self::Text(text) => Cell::Text(text),
        }
    }

    /// As a header has it.
    pub(in super::super) fn text(&self) -> &str {
        match self {
            Self::Empty => "",
            Self::Bool(true) => "TRUE",
            Self::Bool(false) => "FALSE",
            Self::Number(raw) => raw,
            Self::Text(text) => text,
        }
    }
}

fn text(raw: &str) -> Result<Cow<'_, str>, Trouble> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| Trouble::source(format!("a cell of the answer is odd: {error}"))),
    }
}

/// Gives the rows of an answer; gives back the range that the API says it is.
pub(in super::super) fn each_row<'a>(
    answer: &'a str,
    give: &mut dyn FnMut(&[Found<'a>]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let odd = |error| Trouble::source(format!("the API's answer is no JSON: {error}"));
    let whole = Part::whole(answer).map_err(odd)?;
    if whole.at("range").map_err(odd)?.is_none() {
        return Err(Trouble::source("the API's answer has no `range`: it is none of Sheets"));
    }
    let Some(values) = whole.at("values").map_err(odd)? else { return Ok(()) };
    if values.shape() != Shape::List {
        return Err(Trouble::source("`values` in the API's answer is no list"));
    }
    let mut cells = Vec::new();
    values.each(&mut |row| {
        cells.clear();
        if row.shape() != Shape::List {
            return Err(Trouble::source("a row of the API's answer is no list"));
        }
        row.each(&mut |cell| {
            cells.push(Found::of(cell)?);
            Ok(())
        })?;
        give(&cells)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_they_are() {
        let answer =
            r##"{"range":"A1:D9","values":[["a\"b",1.50,true,""],[],["#N/A","x","#DIV/0!"]]}"##;
        let mut rows = Vec::new();
        each_row(answer, &mut |row| {
            rows.push(
                row.iter().map(|cell| format!("{:?}", cell.cell())).collect::<Vec<_>>().join(" "),
            );
            Ok(())
        })
        .unwrap();
        assert_eq!(rows[0], r#"Text("a\"b") Number("1.50") Bool(true) Null"#);
        assert_eq!(rows[1], "");
        assert_eq!(rows[2], r##"Broken("#N/A") Text("x") Broken("#DIV/0!")"##);
    }

    #[test]
    fn an_answer_of_something_else_is_no_empty_sheet() {
        for answer in [
            "{}",
            "[]",
            "<html>",
            r#"{"range":"A1","values":{}}"#,
            r#"{"range":"A1","values":[1]}"#,
        ] {
            assert!(each_row(answer, &mut |_| Ok(())).is_err(), "{answer}");
        }
        let mut rows = 0;
        let mut count = |_: &[Found<'_>]| {
            rows += 1;
            Ok(())
        };
        each_row(r#"{"range":"Sheet1!A1:K1000","majorDimension":"ROWS"}"#, &mut count).unwrap();
        assert_eq!(rows, 0);
    }
}
