//! What the section of a source may not say, and the credentials that it shows.
//!
//! Owns the checks of meaning of all sources: keys that exclude each other, addresses, cursors, probes.
//! Refuses to look at any source.

use super::super::check::{address, spreadsheet, templates};
use super::super::spec::{Probe, Unchanged};
use super::csv::Csv;
use super::google_sheets::GoogleSheets;
use super::http_json::{HttpJson, Paginate, ReadMethod};
use super::singer::Singer;
use super::{Cursor, Source};
use crate::kinds::Shown;
use crate::kinds::command::Run;
use crate::kinds::template::{More, Names, Under};
use crate::yaml::{Code, Decoder, Located, Span};

const HTTP: &[&str] = &["http", "https"];
const POSTGRES: &[&str] = &["postgres", "postgresql"];

/// A text of the job and where it stands.
type Text<'a> = (&'a str, Span);

fn text(text: &Located<String>) -> Text<'_> {
    (text.value.as_str(), text.span)
}

impl Source {
    /// The credentials that it shows.
    pub(in super::super) fn shown(&self) -> Option<Shown<'_>> {
        let (binding, address, is_read) = match self {
            Self::GoogleSheets(source) => {
                (Some(&source.credential), source.api_url.as_ref(), false)
            }
            Self::HttpJson(source) => (source.credential.as_ref(), Some(&source.url), true),
            Self::Csv(source) => (source.credential.as_ref(), source.url.as_ref(), true),
            Self::Jsonl(source) => (source.credential.as_ref(), source.url.as_ref(), true),
            Self::Postgres(source) => (source.credential.as_ref(), None, false),
            Self::Singer(source) => (source.credential.as_ref(), None, false),
            Self::Sqlite(_) | Self::Command(_) => (None, None, false),
        };
        binding.map(|binding| Shown { binding, address, is_read })
    }

    /// Reports what is wrong in meaning; `at` is where the section stands.
    pub(in super::super) fn check(&self, at: Span, names: &Names<'_>, cx: &mut Decoder) {
        match self {
            Self::GoogleSheets(source) => source.check(at, cx),
            Self::HttpJson(source) => source.check(cx),
            Self::Csv(source) => {
                let place = (source.path.as_ref(), source.url.as_ref());
                file(place, source.credential.as_ref(), at, cx);
                unchanged(source.unchanged.as_ref(), by_file(place), cx);
                source.check_delimiter(cx);
            }
            Self::Jsonl(source) => {
                let place = (source.path.as_ref(), source.url.as_ref());
                file(place, source.credential.as_ref(), at, cx);
                unchanged(source.unchanged.as_ref(), by_file(place), cx);
            }
            Self::Sqlite(source) => query(&source.query, source.cursor.as_ref(), cx),
            Self::Postgres(source) => {
                address(&source.url, POSTGRES, cx);
                query(&source.query, source.cursor.as_ref(), cx);
            }
            Self::Command(_) => {}
            Self::Singer(source) => source.check(at, cx),
        }
        let mut names = names.clone();
        if matches!(self, Self::HttpJson(source) if source.cursor.is_some()) {
            names.more.push(More { name: "cursor", under: Under::Nothing });
        }
        let names = &names;
        templates(self.texts(), names, cx);
        if let Self::Singer(source) = self {
            source.check_config(names, cx);
        }
    }

    /// The file that it reads, where it reads one that a destination could write.
    pub(in super::super) fn path(&self) -> Option<&Located<String>> {
        match self {
            Self::Csv(source) => source.path.as_ref(),
            Self::Jsonl(source) => source.path.as_ref(),
            _ => None,
        }
    }

    /// The texts that are templates like any other.
    fn texts(&self) -> Vec<Text<'_>> {
        match self {
            Self::GoogleSheets(source) => {
                let texts = [Some(&source.spreadsheet), source.range.as_ref()];
                texts.into_iter().flatten().map(text).collect()
            }
            Self::HttpJson(source) => source.texts(),
            Self::Csv(source) => source.path.iter().chain(&source.url).map(text).collect(),
            Self::Jsonl(source) => source.path.iter().chain(&source.url).map(text).collect(),
            Self::Sqlite(source) => vec![text(&source.path)],
            Self::Postgres(source) => vec![text(&source.url)],
            Self::Command(source) => words(&source.run),
            Self::Singer(source) => source.run.as_ref().map(words).unwrap_or_default(),
        }
    }
}

fn words(run: &Run) -> Vec<Text<'_>> {
    match run {
        Run::Exec(words) => words.iter().map(|word| (word.value.0.as_str(), word.span)).collect(),
        Run::Shell(shell) => vec![text(shell)],
    }
}

impl Csv {
    fn check_delimiter(&self, cx: &mut Decoder) {
        let Some(delimiter) = &self.delimiter else { return };
        let is_one =
            matches!(delimiter.value.as_bytes(), [byte] if byte.is_ascii() && *byte != b'"');
        if !is_one {
            let message = format!("`{}` can't stand between two fields", delimiter.value);
            let help = "write one ASCII character, such as `;` or `\"\\t\"`";
            cx.report(Code::OutOfRange, delimiter.span, message).help(help);
        }
    }
}

/// Where a file is: here, or over HTTP.
type Place<'a> = (Option<&'a Located<String>>, Option<&'a Located<String>>);

/// Checks that a file is named in exactly one way.
fn file((path, url): Place<'_>, credential: Option<&Located<String>>, at: Span, cx: &mut Decoder) {
    match (path, url) {
        (None, None) => {
            let help = "add `path:` for a file on this host, or `url:` for one over HTTP";
            cx.report(Code::MissingKey, at, "nothing says where the file is").help(help);
        }
        (Some(path), Some(url)) => {
            let reported = cx.report(Code::Contradiction, url.span, "the file is named twice");
            reported.label(path.span, "here too").help("keep one of `path` and `url`");
        }
        (None, Some(url)) => address(url, HTTP, cx),
        (Some(_), None) => {
            if let Some(credential) = credential {
                let message = "a file on this host is shown no credential";
                let reported = cx.report(Code::Contradiction, credential.span, message);
                reported.help("remove `credential`, or write `url` instead of `path`");
            }
        }
    }
}

/// The probe that fits a file.
fn by_file((path, _): Place<'_>) -> Probe {
    if path.is_some() { Probe::Mtime } else { Probe::Etag }
}

/// Checks that a source can be asked in this way whether it has changed.
fn unchanged(section: Option<&Located<Unchanged>>, fits: Probe, cx: &mut Decoder) {
    let Some(section) = section.filter(|section| section.probe.value != fits) else { return };
    let probe = &section.probe;
    let message = format!("this source can't be asked for its `{}`", probe.value.word());
    let help = format!("write `probe: {}`", fits.word());
    cx.report(Code::Contradiction, probe.span, message).help(help);
}

/// Checks that a query and its cursor know of each other.
fn query(query: &Located<String>, cursor: Option<&Cursor>, cx: &mut Decoder) {
    let uses = query.value.contains(":cursor");
    match cursor {
        Some(cursor) if !uses => {
            let field = &cursor.field;
            let message = "the query takes no notice of the cursor, and reads everything each time";
            let help = format!("add `where {} > :cursor` to it", field.value);
            cx.report(Code::Contradiction, field.span, message).help(help);
        }
        None if uses => {
            let message = "the query asks for `:cursor`, and nothing says what that is";
            let help = "add `cursor: { field: COLUMN, initial: VALUE }` to the source";
            cx.report(Code::MissingKey, query.span, message).help(help);
        }
        _ => {}
    }
}

impl GoogleSheets {
    fn check(&self, at: Span, cx: &mut Decoder) {
        if let Some(url) = &self.api_url {
            address(url, HTTP, cx);
        }
        spreadsheet(&self.spreadsheet, cx);
        unchanged(self.unchanged.as_ref(), Probe::DriveVersion, cx);
        let tab = self.range.as_ref().filter(|range| !is_cells(&range.value));
        match (tab, self.sheet_id) {
            (None, None) => {
                let at = self.range.as_ref().map_or(at, |range| range.span);
                let help = "write `range: \"TAB!A:K\"`, or `sheet_id:` with the number behind \
                            `gid=` in the address";
                cx.report(Code::MissingKey, at, "nothing says which tab is read").help(help);
            }
            (Some(range), Some(_)) => {
                let message = "the tab is named twice: by `sheet_id` and in `range`";
                let help = "keep `sheet_id`, which stays when the tab is renamed, and the cells \
                            alone: `range: \"A:K\"`";
                cx.report(Code::Contradiction, range.span, message).help(help);
            }
            _ => {}
        }
        if self.header.row == 0 {
            let message = "rows are counted from 1";
            cx.report(Code::OutOfRange, at, message).help("write `header: { row: 1 }`");
        }
    }
}

/// Whether a range has cells alone: `A:K`, `B2:D`. A template may become anything.
fn is_cells(range: &str) -> bool {
    let cell = |part: &str| {
        let letters = part.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let count = part.len() - letters.len();
        (1..=3).contains(&count) && letters.bytes().all(|digit| digit.is_ascii_digit())
    };
    match range.split_once(':') {
        Some((from, to)) => cell(from) && cell(to),
        None => cell(range) && range.bytes().any(|byte| byte.is_ascii_digit()),
    }
}

impl HttpJson {
    /// Every text that is sent.
    fn texts(&self) -> Vec<Text<'_>> {
        let headers = self.headers.0.iter();
        let headers = headers.map(|(_, text)| (text.value.0.as_str(), text.span));
        let params = self.params.0.iter();
        let params = params.map(|(_, text)| (text.value.0.as_str(), text.span));
        let body = self.body.as_ref().map(text);
        let url = std::iter::once(text(&self.url));
        url.chain(params).chain(headers).chain(body).collect()
    }

    /// Whether anything that is sent says where the last read ended.
    fn names_cursor(&self) -> bool {
        let names = |text: &str| {
            text.split("{{").skip(1).any(|rest| {
                let inside = rest.split("}}").next().unwrap_or_default();
                inside.contains("cursor")
            })
        };
        self.texts().iter().any(|(text, _)| names(text))
    }

    fn check(&self, cx: &mut Decoder) {
        address(&self.url, HTTP, cx);
        if let Some(paginate) = &self.paginate {
            pages(paginate, cx);
        }
        if let Some(body) = self.body.as_ref().filter(|_| self.method == ReadMethod::Get) {
            let message = "a GET sends no body";
            cx.report(Code::Contradiction, body.span, message)
                .help("write `method: POST`, or put it into `params`");
        }
        if let Some(cursor) = &self.cursor
            && !self.names_cursor()
        {
            let field = &cursor.field;
            let message = "no request names the cursor, so everything is read each time";
            let help = "add `params: { updated_since: \"{{cursor}}\" }`, as the API calls it";
            cx.report(Code::Contradiction, field.span, message).help(help);
        }
        if let Some(rate) = &self.rate
            && (rate.requests == 0 || rate.per.0.is_zero())
        {
            let message = "at this rate nothing is ever asked";
            let help = "write it like `rate: { requests: 50, per: 1m }`";
            cx.report(Code::OutOfRange, self.url.span, message).help(help);
        }
    }
}

/// Checks that the next page is found in exactly one way, and that this way has what it needs.
fn pages(paginate: &Located<Paginate>, cx: &mut Decoder) {
    let (at, of) = (paginate.span, &paginate.value);
    let counts = of.offset == Some(true);
    let ways = [
        ("token", of.token.is_some()),
        ("page", of.page.is_some()),
        ("offset", counts),
        ("link", of.link.is_some()),
    ];
    let given: Vec<&str> = ways.iter().filter(|(_, given)| *given).map(|(way, _)| *way).collect();
    let way = match given.as_slice() {
        [way] => *way,
        [] => {
            let help = "add one of `token: PATH`, `page: 1`, `offset: true` and `link: header`";
            cx.report(Code::MissingKey, at, "nothing says how the next page is found").help(help);
            return;
        }
        many => {
            let message = format!("the next page is found in one way: {}", many.join(" or "));
            cx.report(Code::Contradiction, at, message).help("keep one of them");
            return;
        }
    };
    if way != "link" && of.param.is_none() {
        let message = format!("`{way}` needs the parameter that names the page");
        cx.report(Code::MissingKey, at, message).help("add `param:` with its name");
    }
    if counts && of.size.is_none_or(|size| size == 0) {
        let message = "`offset` needs the number of records that are asked for at a time";
        cx.report(Code::MissingKey, at, message).help("add `size: 100` and `size_param:`");
    }
}

impl Singer {
    fn check(&self, at: Span, cx: &mut Decoder) {
        if self.package.is_none() && self.run.is_none() {
            let help = "add `package: { pip: \"tap-NAME==1.2.3\" }`, or `run: [PROGRAM]` for one that \
                        is installed";
            cx.report(Code::MissingKey, at, "nothing says which tap runs").help(help);
        }
        for key in &self.config_writeback.0 {
            let known = self.config.0.iter().map(|(name, _)| name.value.as_str());
            if !known.clone().any(|name| name == key.value) {
                let message = format!("the configuration has no `{}` to be kept", key.value);
                let help = match crate::yaml::decode::nearest(&key.value, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a key of `config`".to_owned(),
                };
                cx.report(Code::UnknownKey, key.span, message).help(help);
            }
        }
    }

    /// Checks the texts of the configuration, the only ones that may have a token in them: it is given to
    /// the tap in a private file.
    fn check_config(&self, names: &Names<'_>, cx: &mut Decoder) {
        let token = More { name: "credential", under: Under::Names(vec!["token"]) };
        let more = self.credential.iter().map(|_| token.clone()).collect();
        let names = Names { more, ..names.clone() };
        for (key, value) in &self.config.0 {
            let mut texts = Vec::new();
            collect(value, &mut texts);
            templates(texts.into_iter().map(|text| (text, key.span)), &names, cx);
        }
    }
}

/// Every text in a value.
fn collect<'a>(value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        serde_json::Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_from_tabs() {
        for cells in ["A:K", "A1:K", "B2:D99", "A1", "aa1:zz9"] {
            assert!(is_cells(cells), "{cells}");
        }
        for tab in ["Port Sheet", "Port Sheet!A:K", "Crew", "{{params.range}}", "2026", ""] {
            assert!(!is_cells(tab), "{tab}");
        }
    }
}
