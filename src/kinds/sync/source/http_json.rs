//! The `http_json` source: records in JSON answers, page by page.
//!
//! Owns paging, the place of the records, and what an answer must look like. An absent path is never taken
//! for no records. Refuses to know how a request gets its token, waits and repeats.

mod pages;

use reqwest::{Method, Url};

use self::pages::{Page, Pages};
use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::super::wire::{Limit, Repeat, Request, Side, Terms, Wire, address};
use super::document::{Part, Shape};
use super::{Cursor, Read, Start};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany, ScalarText};
use crate::yaml::{Located, section, words};

section! {
    /// Records in JSON answers of an HTTP API, page by page.
    pub struct HttpJson {
        /// The address. A template.
        pub url: Located<String>,
        /// The method; a request that is not a GET is repeated only where `idempotent` says so.
        pub method: ReadMethod = ReadMethod::Get,
        /// Parameters of the address. Values are templates; `{{cursor}}` is where the read begins.
        pub params: Entries<Located<ScalarText>> = Entries::default(),
        /// Headers to send. Values are templates.
        pub headers: Entries<Located<ScalarText>> = Entries::default(),
        /// A body to send. A template.
        pub body: Option<Located<String>>,
        /// Whether a POST may be repeated.
        pub idempotent: bool = false,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// Where the records are, such as `data.items`; it must be there in every answer. The answer itself
        /// where it is not given.
        pub records: Option<Located<String>>,
        /// What an answer must look like.
        pub expect: Option<ExpectSection>,
        /// How the next page is found.
        pub paginate: Option<Located<Paginate>>,
        /// How far was read.
        pub cursor: Option<Cursor>,
        /// How often it may be asked.
        pub rate: Option<Rate>,
        /// How long a request that can be repeated is.
        pub retry: Option<RequestRetry>,
    }
}

words! {
    /// How it is asked.
    pub enum ReadMethod {
        /// Reads.
        Get = "GET",
        /// Sends a question.
        Post = "POST",
    }
}

section! {
    /// What an answer must look like.
    pub struct ExpectSection {
        /// Its content type.
        pub content_type: Option<String>,
        /// Keys at its top that mean that something is wrong.
        pub absent: OneOrMany<String> = OneOrMany::default(),
    }
}

section! {
    /// How the next page is found: exactly one of `token`, `page`, `offset` and `link`.
    pub struct Paginate {
        /// The path of the next page's token; there is no next page where it is absent, null or empty.
        pub token: Option<Located<String>>,
        /// The number of the first page, where pages are numbered; the last one is the first without
        /// records, or the one that reaches `total`.
        pub page: Option<u64>,
        /// Whether the records are counted from 0; the last page is found alike.
        pub offset: Option<bool>,
        /// Where the next page's address is: `header` (`Link: <…>; rel="next"`) or the path of it.
        pub link: Option<Located<String>>,
        /// The parameter that names the page; `page_token`, `page` or `offset` where it is not given.
        pub param: Option<String>,
        /// Records asked for at a time.
        pub size: Option<u64>,
        /// The parameter that says how many; `limit` with `offset` where it is not given.
        pub size_param: Option<String>,
        /// The path of the number of all records, which must be that of those that are read.
        pub total: Option<String>,
        /// Most pages; another one behind them fails the run.
        pub max_pages: u64 = 10_000,
    }
}

section! {
    /// How often an API may be asked.
    pub struct Rate {
        /// Requests.
        pub requests: u32,
        /// In how long.
        pub per: DurationText,
        /// Who counts together.
        pub share: Share = Share::Credential,
    }
}

words! {
    /// Who counts together.
    pub enum Share {
        /// Every job of the credential.
        Credential = "credential",
        /// The job alone.
        Job = "job",
    }
}

section! {
    /// How long a request that can be repeated is.
    pub struct RequestRetry {
        /// Longest time from the first to the last try.
        pub max_elapsed: DurationText,
    }
}

/// Longest answer: one page. More records than that are asked for in several.
const PAGE_MAX: usize = 64 << 20;

impl HttpJson {
    pub(super) fn identity(&self) -> String {
        let records = self.records.as_ref().map(|path| path.value.as_str()).unwrap_or_default();
        format!("http_json {} {records}", self.url.value)
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let mut request = self.request(tools, start)?;
        let wire = self.wire(tools, &request)?;
        let rule = self.paginate.as_ref().map(|rule| &rule.value);
        let mut pages = Pages::of(rule, request.url.clone());
        let first = request.url.clone();
        request.url = pages.first();
        loop {
            tools.go_on()?;
            let (answer, body) = wire.whole(&request, self.repeat(), PAGE_MAX)?;
            intake.bytes(u64::try_from(body.len()).unwrap_or(u64::MAX));
            let answered = Answered { host: answer.host(), hide: &|text| tools.output.hide(text) };
            let text = self.text(&answered, &answer.content_type(), &body)?;
            let document = Part::whole(text).map_err(|error| answered.no_json(text, &error))?;
            self.expect_absent(&answered, document)?;
            let records = self.records(&answered, document)?;
            let rows = give(intake, pages.read() + 1, records)?;
            let link = answer.header("link");
            let page = Page { url: &request.url, document, link, records, rows };
            match pages.next(&page)? {
                Some(url) => self.go_to(&mut request, url, &first)?,
                None => return Ok(Read::All { left: None }),
            }
        }
    }

    /// The request of the first page.
    fn request(&self, tools: &Tools, start: &Start) -> Result<Request, Trouble> {
        let mut values = tools.values.clone();
        let cursor = start.cursor.as_deref().unwrap_or_default();
        if let Some(values) = values.as_object_mut() {
            values.insert("cursor".to_owned(), cursor.into());
        }
        let render = |key: &str, text: &str| Tools::render_with(key, text, &values);
        let mut url = address("url", &render("url", &self.url.value)?)?;
        for (name, text) in &self.params.0 {
            let value = render(&format!("params.{}", name.value), &text.value.0)?;
            // A first read begins nowhere: a parameter that would say where is left out.
            if value.is_empty() && text.value.0.contains("cursor") {
                continue;
            }
            url.query_pairs_mut().append_pair(&name.value, &value);
        }
        let mut request = Request::get(url);
        for (name, text) in &self.headers.0 {
            let value = render(&format!("headers.{}", name.value), &text.value.0)?;
            request.headers.push((name.value.clone(), value));
        }
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            request.headers.push(("accept".to_owned(), "application/json".to_owned()));
        }
        if let Some(body) = &self.body {
            request.body = Some(render("body", &body.value)?.into_bytes());
            if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
        }
        request.verb = match self.method {
            ReadMethod::Get => Method::GET,
            ReadMethod::Post => Method::POST,
        };
        Ok(request)
    }

    fn wire<'t>(&self, tools: &'t Tools, request: &Request) -> Result<Wire<'t>, Trouble> {
        let mut terms = Terms::new(Side::Source).with(self.credential.as_ref());
        if let Some(retry) = &self.retry {
            terms.max_elapsed = retry.max_elapsed.0;
        }
        let wire = Wire::open(tools, terms)?;
        let Some(rate) = &self.rate else { return Ok(wire) };
        let account = wire.account(request.url.host_str().unwrap_or_default());
        let who = match rate.share {
            Share::Credential => format!("http {account}"),
            Share::Job => format!("http {account} of {}", tools.job),
        };
        Ok(wire.counted(who, Limit { requests: rate.requests, per: rate.per.0 }))
    }

    fn repeat(&self) -> Repeat {
        match self.method {
            ReadMethod::Post if !self.idempotent => Repeat::Refused,
            ReadMethod::Get | ReadMethod::Post => Repeat::Freely,
        }
    }

    /// Goes on to the next page. An answer must not send what the job shows to a host of its choosing: with
    /// a credential the wire asks its declaration, without one it stays where it is.
    fn go_to(&self, request: &mut Request, url: Url, first: &Url) -> Result<(), Trouble> {
        if url.origin() != first.origin() {
            let host = url.host_str().unwrap_or_default();
            if self.credential.is_none() || !matches!(url.scheme(), "http" | "https") {
                let here = request.url.host_str().unwrap_or_default();
                let words =
                    format!("the next page is said to be on {host}, and the source is {here}");
                return Err(Trouble::source(words).for_good());
            }
            let own = |name: &str| ["authorization", "cookie"].contains(&name);
            request.headers.retain(|(name, _)| !own(&name.to_ascii_lowercase()));
        }
        request.url = url;
        Ok(())
    }

    /// The text of an answer that may be JSON.
    fn text<'b>(
        &self,
        answered: &Answered<'_>,
        content_type: &str,
        body: &'b [u8],
    ) -> Result<&'b str, Trouble> {
        let host = answered.host;
        let expected = self.expect.as_ref().and_then(|expect| expect.content_type.as_deref());
        let is_page = matches!(content_type, "text/html" | "application/xhtml+xml");
        let differs = expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(content_type));
        if is_page || differs {
            let kind = if content_type.is_empty() { "no content type" } else { content_type };
            let want = expected.unwrap_or("application/json");
            let hint = if is_page { "; a page such as that of a login?" } else { "" };
            return Err(Trouble::source(format!("{host} answered with {kind}, not {want}{hint}")));
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body);
        text.map_err(|_| Trouble::source(format!("the answer of {host} is not in UTF-8")))
    }

    fn expect_absent(&self, answered: &Answered<'_>, document: Part<'_>) -> Result<(), Trouble> {
        let absent = self.expect.iter().flat_map(|expect| expect.absent.0.iter());
        for key in absent {
            // It is one key, whatever it has in it.
            let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
            let found = document.at(&pointer).map_err(|error| answered.no_json("", &error))?;
            if let Some(part) = found.filter(|part| part.shape() != Shape::Null) {
                let (host, said) = (answered.host, answered.shortened(part.raw()));
                let words = format!("the answer of {host} has `{key}` in it: {said}");
                return Err(Trouble::source(words));
            }
        }
        Ok(())
    }

    /// The list of the records. That it is not there never means that there are none.
    fn records<'d>(
        &self,
        answered: &Answered<'_>,
        document: Part<'d>,
    ) -> Result<Part<'d>, Trouble> {
        let (host, said) = (answered.host, || answered.shortened(document.raw()));
        let Some(path) = &self.records else {
            return match document.shape() {
                Shape::List => Ok(document),
                other => Err(Trouble::source(format!(
                    "the answer of {host} is {}, not a list; say where the records are with \
                     `records`: {}",
                    other.words(),
                    said()
                ))),
            };
        };
        let path = &path.value;
        let found = document.at(path).map_err(|error| answered.no_json("", &error))?;
        match found.map(|part| (part, part.shape())) {
            Some((records, Shape::List)) => Ok(records),
            Some((_, other)) => {
                let what = other.words();
                Err(Trouble::source(format!(
                    "`{path}` in the answer of {host} is {what}, not a list"
                )))
            }
            None => {
                let said = said();
                Err(Trouble::source(format!(
                    "there is no `{path}` in the answer of {host}: {said}"
                )))
            }
        }
    }
}

/// Who answered, and how it may be quoted.
struct Answered<'a> {
    host: &'a str,
    hide: &'a dyn Fn(&str) -> String,
}

impl Answered<'_> {
    fn no_json(&self, text: &str, error: &serde_json::Error) -> Trouble {
        let (host, said) = (self.host, self.shortened(text));
        Trouble::source(format!("the answer of {host} is no JSON: {error}: {said}"))
    }

    /// The beginning of what it said, on one line.
    fn shortened(&self, text: &str) -> String {
        let start: String = text.chars().take(400).collect();
        let words: Vec<_> = start.split_whitespace().collect();
        let line = (self.hide)(&words.join(" "));
        match line.char_indices().nth(120) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Gives the records of a page; how many there were.
fn give(intake: &mut Intake<'_>, page: u64, records: Part<'_>) -> Result<u64, Trouble> {
    let mut rows = 0;
    records.each(&mut |record| {
        rows += 1;
        let place = format_args!("page {page}, record {rows}");
        if record.shape() != Shape::Object {
            let what = record.shape().words();
            return Err(Trouble::source(format!("{place} is {what}, not an object")));
        }
        intake.json(&place, record.raw())
    })?;
    Ok(rows)
}

#[cfg(test)]
mod tests;
