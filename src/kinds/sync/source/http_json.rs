//! The `http_json` source: records in JSON answers, page by page.
//!
//! Owns paging, the place of the records, and what an answer must look like. An absent path is never taken
//! for no records. Refuses to know how a request gets its token, waits and repeats.

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
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
        /// records, or with fewer than `size`.
        pub page: Option<u64>,
        /// Whether the records are counted from 0, where `size` of them are asked for at a time.
        pub offset: Option<bool>,
        /// Where the next page's address is: `header` (`Link: <…>; rel="next"`) or the path of it.
        pub link: Option<Located<String>>,
        /// The parameter that names the page.
        pub param: Option<String>,
        /// Records asked for at a time.
        pub size: Option<u64>,
        /// The parameter that says how many.
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

impl HttpJson {
    pub(super) fn identity(&self) -> String {
        let records = self.records.as_ref().map(|path| path.value.as_str()).unwrap_or_default();
        format!("http_json {} {records}", self.url.value)
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("http_json"))
    }
}
