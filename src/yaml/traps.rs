//! Words for what the parser refuses.
//!
//! Owns the findings about YAML itself, and the traps that people step into first: an unquoted `@daily`,
//! `*/5 * * * *` or `{{ template }}`, and tabs. Each is told at its own place with the quoted form to use.
//! Refuses to know jobs.

use granit_parser::{ErrorKind, ScanError};

use super::code::Code;
use super::diagnostic::Diagnostic;
use super::node::{Entry, shortened};
use super::parse::{MAX_ALIASED_VALUES, MAX_DEPTH};
use super::source::{MAX_FILE_BYTES, Source, Span};

/// Text from bytes, or why they are not text.
pub fn read_text(path: &str, bytes: Vec<u8>) -> Result<Source, Diagnostic> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_big(path, bytes.len() as u64));
    }
    String::from_utf8(bytes).map(|text| Source::new(path, text)).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = bytes[..at].split(|&b| b == b'\n').count();
        let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let message = if utf16 {
            "this file is UTF-16, not UTF-8".to_owned()
        } else {
            format!("this file is not UTF-8 text: byte 0x{:02x} in line {line}", bytes[at])
        };
        let mut reported = Diagnostic::of_file(Code::NotText, path, message);
        reported.help("save it as UTF-8, or move it out of the jobs folder if it is no YAML");
        reported
    })
}

/// The finding about a file larger than [`MAX_FILE_BYTES`].
#[must_use]
pub fn too_big(path: &str, bytes: u64) -> Diagnostic {
    let message = format!("this file has {bytes} bytes; at most {MAX_FILE_BYTES} are read");
    let mut reported = Diagnostic::of_file(Code::TooBig, path, message);
    reported.help("split it into several files, or move data out of the YAML");
    reported
}

pub(super) fn refuse_binary(source: &Source) -> Option<Diagnostic> {
    let control = |b: u8| (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) || b == 0x7f;
    let at = source.text().bytes().position(control)?;
    let byte = source.text().as_bytes()[at];
    let message = format!("the control character 0x{byte:02x} must not stand in YAML");
    let mut reported = Diagnostic::new(Code::NotText, source, Span::new(at..at + 1), message);
    reported.help(if byte == 0 {
        "this looks like a binary file: move it out of the jobs folder"
    } else {
        "remove it, or write it as an escape in a double-quoted text"
    });
    Some(reported)
}

pub(super) fn too_deep(source: &Source, span: Span) -> Diagnostic {
    let message = format!("nested deeper than {MAX_DEPTH} levels");
    Diagnostic::new(Code::TooDeep, source, first_character(source, span), message)
}

pub(super) fn alias_bomb(source: &Source, span: Span) -> Diagnostic {
    let message = format!("aliases bring in more than {MAX_ALIASED_VALUES} values");
    let mut reported = Diagnostic::new(Code::AliasBomb, source, span, message);
    reported.help("write the values out, or repeat less");
    reported
}

pub(super) fn alias_of_itself(source: &Source, span: Span) -> Diagnostic {
    let message = format!("`{}` stands inside of what it names", source.slice(span));
    Diagnostic::new(Code::UnknownAlias, source, span, message)
}

pub(super) fn unresolved_alias(source: &Source, name: &str, span: Span) -> Diagnostic {
    let raw = source.slice(span);
    if is_name(name) {
        let message = format!("`{}` names no anchor", shortened(raw));
        let mut reported = Diagnostic::new(Code::UnknownAlias, source, span, message);
        reported.help(format!(
            "put `&{name}` before the value that it repeats, or quote it: {}",
            quoted(raw)
        ));
        return reported;
    }
    unquoted(source, span, "`*` begins an alias in YAML")
}

/// An anchor whose name shows that none was meant, such as the one of `&& true`.
pub(super) fn odd_anchor(source: &Source, name: &str, span: Span) -> Option<Diagnostic> {
    if is_name(name) {
        return None;
    }
    let value = value_around(source, span.end as usize).filter(|value| value.start == span.start);
    Some(unquoted(source, value.unwrap_or(span), "`&` begins an anchor in YAML"))
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

pub(super) fn unquoted_template(source: &Source, span: Span) -> Diagnostic {
    unquoted(source, span, "`{` begins a mapping in YAML")
}

pub(super) fn bad_merge(source: &Source, span: Span) -> Diagnostic {
    let message = "`<<` takes a mapping, or a list of mappings";
    Diagnostic::new(Code::BadMerge, source, span, message)
}

pub(super) fn bad_key(source: &Source, span: Span) -> Diagnostic {
    Diagnostic::new(Code::BadKey, source, span, "a key must be a plain text, not a list or mapping")
}

/// A value whose key is empty: `: value`.
pub(super) fn no_key(source: &Source, span: Span) -> Diagnostic {
    let colon = first_character(source, span);
    let mut reported = Diagnostic::new(Code::BadKey, source, colon, "the key is missing here");
    reported.help("write it as `key: value`, or quote the text if it is none");
    reported
}

pub(super) fn unsupported_tag(source: &Source, span: Span) -> Diagnostic {
    let message = format!("the tag `{}` is not supported here", shortened(source.slice(span)));
    let mut reported = Diagnostic::new(Code::UnsupportedTag, source, span, message);
    reported.help("remove the tag; quote a value to make it a text");
    reported
}

pub(super) fn duplicate_key(source: &Source, first: &Entry<'_>, again: &Entry<'_>) -> Diagnostic {
    let message = format!("the key `{}` is given twice", shortened(&again.key));
    let mut reported = Diagnostic::new(Code::DuplicateKey, source, again.key_span, message);
    reported.label(first.key_span, "first given here");
    reported.help("remove one of them");
    reported
}

/// The finding for an error of the parser.
pub(super) fn syntax_error(source: &Source, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(0).min(source.text().len());
    let at = super::source::floor_char_boundary(source.text(), at);
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(source, Span::new(at..at + 1));
    }
    tab(source, at, error.kind())
        .or_else(|| unquoted_value(source, at, error.kind()))
        .unwrap_or_else(|| plain_error(source, at, error))
}

/// A tab in the indentation of this line or, since the parser may notice late, of the next one.
fn tab(source: &Source, at: usize, kind: &ErrorKind) -> Option<Diagnostic> {
    let about_tabs = matches!(
        kind,
        ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::InvalidBlockEntryWhitespace
            | ErrorKind::InvalidMappingValueWhitespace
    );
    let line = source.line_of(u32::try_from(at).ok()?);
    let indentation = |line: u32| {
        let span = source.line_span(line);
        let text = source.slice(span);
        let blank = text.len() - text.trim_start_matches([' ', '\t']).len();
        let start = span.start as usize;
        text[..blank].contains('\t').then(|| Span::new(start..start + blank))
    };
    let span = indentation(line).or_else(|| about_tabs.then(|| indentation(line + 1)).flatten());
    let message = "a tab is used as indentation";
    let span = match span {
        Some(span) => span,
        None if about_tabs => {
            let tab = source.text()[at..].find('\t').unwrap_or(0) + at;
            Span::new(tab..tab + 1)
        }
        None => return None,
    };
    let mut reported = Diagnostic::new(Code::TabIndent, source, span, message);
    reported.help("indent with spaces; YAML allows no tabs there");
    Some(reported)
}

/// A value that would have been fine in quotes.
fn unquoted_value(source: &Source, at: usize, kind: &ErrorKind) -> Option<Diagnostic> {
    let span = value_around(source, at)?;
    let value = source.slice(span);
    let why = match value.as_bytes() {
        [b'{', b'{', ..] => "`{` begins a mapping in YAML",
        [b'*', ..] => "`*` begins an alias in YAML",
        [b'&', ..] => "`&` begins an anchor in YAML",
        [b'@', ..] => "`@` is reserved in YAML",
        [b'`', ..] => "a backtick is reserved in YAML",
        [b'%', ..] if !starts_line(source, span) => "`%` is reserved in YAML",
        [b'"' | b'\'', ..] if trails_quotes(kind) => "text follows the closing quote",
        _ if *kind == ErrorKind::MappingValueNotAllowed
            && value.contains(": ")
            && !starts_line(source, span) =>
        {
            "`: ` inside of a text begins another value in YAML"
        }
        _ => return None,
    };
    Some(unquoted(source, span, why))
}

/// Whether only blanks stand before a place on its line.
fn starts_line(source: &Source, span: Span) -> bool {
    let line = source.line_span(source.line_of(span.start));
    source.slice(Span { start: line.start, end: span.start }).trim().is_empty()
}

fn trails_quotes(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidTrailingDoubleQuotedScalar
            | ErrorKind::InvalidTrailingSingleQuotedScalar
            | ErrorKind::ExpectedBlockMappingKey
    )
}

fn unquoted(source: &Source, span: Span, why: &str) -> Diagnostic {
    let value = source.slice(span);
    let message = format!("this text must be quoted: {why}");
    let mut reported = Diagnostic::new(Code::Unquoted, source, span, message);
    reported.help(format!("quote it: {}", quoted(value)));
    reported
}

/// A text in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Longest line that is searched for the value that was meant; longer ones were written by programs.
const LONGEST_LINE: usize = 4096;

/// The value that the author most likely meant at a byte: what stands behind the nearest `key: ` or `- ` or
/// bracket on its line, up to the line's end, a comment, or inside of brackets the next comma or bracket.
fn value_around(source: &Source, at: usize) -> Option<Span> {
    let line = source.line_span(source.line_of(u32::try_from(at).ok()?));
    let text = source.slice(line);
    if text.len() > LONGEST_LINE {
        return None;
    }
    let at = at.checked_sub(line.start as usize)?.min(text.len());
    let (start, in_flow) = value_start(text, at);
    let rest = &text[start..];
    let comment = rest.find(" #").unwrap_or(rest.len());
    let end = if in_flow { flow_value_end(&rest[..comment]) } else { comment };
    let length = rest[..end].trim_end().len();
    (length > 0).then(|| {
        let start = line.start as usize + start;
        Span::new(start..start + length)
    })
}

/// Where the value around `at` begins, and whether brackets are open there.
fn value_start(line: &str, at: usize) -> (usize, bool) {
    let bytes = line.as_bytes();
    let mut start = line.len() - line.trim_start().len();
    let (mut open, mut index) = (0_usize, start);
    while index < at {
        let separates = bytes.get(index + 1).is_none_or(u8::is_ascii_whitespace);
        match bytes[index] {
            // A template is one value, and none begins inside of it.
            b'{' if bytes.get(index + 1) == Some(&b'{') => return (index, open > 0),
            b'{' | b'[' if index == start => {
                open += 1;
                start = skip_blanks(bytes, index + 1);
            }
            b',' if open > 0 => start = skip_blanks(bytes, index + 1),
            b'-' if separates && index == start => start = skip_blanks(bytes, index + 1),
            // In a block, the first colon ends the key; what follows is all of the value.
            b':' if separates && (open > 0 || !behind_colon(bytes, start)) => {
                start = skip_blanks(bytes, index + 1);
            }
            _ => {}
        }
        index += 1;
    }
    (start.min(line.len()), open > 0)
}

fn behind_colon(bytes: &[u8], start: usize) -> bool {
    bytes[..start].iter().rev().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    let blanks = bytes.get(from..).unwrap_or_default().iter();
    from + blanks.take_while(|b| b.is_ascii_whitespace()).count()
}

fn flow_value_end(value: &str) -> usize {
    let template =
        if value.starts_with("{{") { value.find("}}").map_or(0, |at| at + 2) } else { 0 };
    let rest = &value[template..];
    template + rest.find([',', '}', ']']).unwrap_or(rest.len())
}

fn plain_error(source: &Source, at: usize, error: &ScanError) -> Diagnostic {
    let (message, help) = match error.kind() {
        ErrorKind::SimpleKeyExpected if source.text()[at..].starts_with('-') => {
            ("a blank is missing after this `-`".to_owned(), "write it as `- item`")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a `:` is missing after this key".to_owned(), "write it as `key: value`")
        }
        ErrorKind::MappingValueNotAllowed => (
            "a value must not stand here".to_owned(),
            "check the indentation: this line is deeper than the keys before it",
        ),
        ErrorKind::BlockSequenceEntryNotAllowed => (
            "a list item must not stand here".to_owned(),
            "put each `- item` on its own line, or quote the text if it is none",
        ),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("this quote is never closed".to_owned(), "close it with the same quote")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            (format!("this `{open}` is never closed"), "close it, or quote the text if it is none")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => (
            format!("this `{open}` is closed by `{close}`"),
            "close it with its own bracket, or quote the text if it is none",
        ),
        ErrorKind::MisplacedFlowCollectionEnd => (
            "this bracket closes nothing".to_owned(),
            "remove it, or quote the text that it belongs to",
        ),
        ErrorKind::ExpectedBlockMappingKey => (
            "expected the next key here".to_owned(),
            "check the indentation of this line and whether the value before it must be quoted",
        ),
        ErrorKind::InvalidColonPlacement
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => (
            "expected `,` or a closing bracket before this".to_owned(),
            "check that each `{` and `[` above is closed",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "this text has an unknown escape".to_owned(),
            "write a backslash twice, or use single quotes",
        ),
        ErrorKind::InvalidIndentation => {
            ("this indentation fits no line above".to_owned(), "align it with its neighbours")
        }
        // The parser says what it was doing before it says what is wrong.
        _ => {
            let info = error.info();
            let wrong = info.strip_prefix("while ").and_then(|rest| rest.split_once(", "));
            (wrong.map_or(info.as_str(), |(_, wrong)| wrong).to_owned(), "")
        }
    };
    let span = match source.text().as_bytes().get(at) {
        Some(b'[' | b']' | b'{' | b'}') => Span::new(at..at + 1),
        _ => word_at(source, at),
    };
    let mut reported = Diagnostic::new(Code::Syntax, source, span, message);
    if !help.is_empty() {
        reported.help(help);
    }
    reported
}

/// From a byte to the end of the word that begins there.
fn word_at(source: &Source, at: usize) -> Span {
    let rest = &source.text()[at..];
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    Span::new(at..at + length)
}

fn first_character(source: &Source, span: Span) -> Span {
    let start = span.start as usize;
    let length = source.text()[start..].chars().next().map_or(0, char::len_utf8);
    Span::new(start..start + length)
}
