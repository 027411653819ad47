//! From one page to the next, until there is none.
//!
//! Owns the four ways to page and the signs that something is missing: a token or a page that comes again,
//! a page too many, a total that was not reached. Never takes a short page for the last one: a server may
//! give fewer than it was asked for. Refuses to ask.

use std::collections::HashSet;

use reqwest::Url;
use ring::digest::{SHA256, digest};

use super::super::super::trouble::{Ending, Trouble};
use super::super::document::Part;
use super::Paginate;

/// What is known of a page that was read.
pub(super) struct Page<'a> {
    /// Where it was.
    pub(super) url: &'a Url,
    /// The answer.
    pub(super) document: Part<'a>,
    /// Its `Link` header.
    pub(super) link: Option<&'a str>,
    /// Where the records are, as they were written.
    pub(super) records: Part<'a>,
    /// How many there are.
    pub(super) rows: u64,
}

/// How far pages were read.
pub(super) struct Pages<'s> {
    rule: Option<&'s Paginate>,
    /// The address without anything of pages.
    base: Url,
    /// Pages read.
    read: u64,
    /// Records read.
    rows: u64,
    /// The number or the offset of the page to read.
    at: u64,
    /// Tokens and addresses that were followed, and pages with records, by their digests.
    seen: HashSet<[u8; 16]>,
    total: Option<u64>,
}

impl<'s> Pages<'s> {
    /// Those of a source, from the first.
    pub(super) fn of(rule: Option<&'s Paginate>, base: Url) -> Self {
        let at = rule.and_then(|rule| rule.page).unwrap_or_default();
        Self { rule, base, read: 0, rows: 0, at, seen: HashSet::new(), total: None }
    }

    /// The address of the first page.
    pub(super) fn first(&self) -> Url {
        match self.rule {
            Some(rule) if rule.page.is_some() => self.with("page", Some(self.at)),
            Some(rule) if rule.counts() => self.with("offset", Some(0)),
            Some(_) => self.with("", None::<u64>),
            None => self.base.clone(),
        }
    }

    /// Pages read.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The address of the page behind this one, where there is one.
    pub(super) fn next(&mut self, page: &Page<'_>) -> Result<Option<Url>, Trouble> {
        self.read += 1;
        self.rows += page.rows;
        let next = self.following(page)?;
        let most = self.rule.map_or(u64::MAX, |rule| rule.max_pages);
        if next.is_some() && self.read >= most {
            let (rows, words) = (self.rows, "raise `max_pages`, or ask for less");
            let message = format!(
                "there are more than the {most} pages of `max_pages` ({rows} records); {words}"
            );
            return Err(truncated(message).for_good());
        }
        if next.is_none() {
            self.reconcile()?;
        }
        Ok(next)
    }

    fn following(&mut self, page: &Page<'_>) -> Result<Option<Url>, Trouble> {
        let Some(rule) = self.rule else {
            return match page.link.and_then(linked) {
                None => Ok(None),
                Some(_) => Err(truncated(
                    "the answer links to a next page; say how to find it: `paginate: { link: header }`",
                )
                .for_good()),
            };
        };
        if let Some(path) = &rule.total {
            let found = part(page.document, path)?.and_then(Part::plain);
            let total = found.as_deref().and_then(|text| text.parse().ok());
            let missing = || Trouble::source(format!("there is no number at `{path}` (`total`)"));
            self.total = Some(total.ok_or_else(missing)?);
        }
        if let Some(path) = &rule.token {
            let Some(token) = part(page.document, &path.value)?.and_then(Part::plain) else {
                return Ok(None);
            };
            self.once(&token, "page token")?;
            return Ok(Some(self.with("page_token", Some(token))));
        }
        if let Some(place) = &rule.link {
            return self.link(&place.value, page);
        }
        self.counted(rule, page)
    }

    /// The next address, as the answer has it.
    fn link(&mut self, place: &str, page: &Page<'_>) -> Result<Option<Url>, Trouble> {
        let there = match place {
            "header" => page.link.and_then(linked).map(str::to_owned),
            path => part(page.document, path)?.and_then(Part::plain),
        };
        let Some(there) = there else { return Ok(None) };
        let url = page.url.join(&there);
        let url =
            url.map_err(|error| Trouble::source(format!("the next page is nowhere: {error}")))?;
        self.once(url.as_str(), "address of a next page")?;
        Ok(Some(url))
    }

    /// The next page of those that are counted. One without records is the last, and so is one that
    /// reaches the total.
    fn counted(&mut self, rule: &Paginate, page: &Page<'_>) -> Result<Option<Url>, Trouble> {
        let reached = self.total.is_some_and(|total| self.rows >= total);
        if page.rows == 0 || reached {
            return Ok(None);
        }
        let name = if rule.page.is_some() { "page" } else { "offset" };
        if !self.seen.insert(mark(page.records.raw())) {
            let param = rule.param.as_deref().unwrap_or(name);
            let message = format!(
                "page {} has the records of an earlier one: does the API know the parameter `{param}`?",
                self.read
            );
            return Err(truncated(message).for_good());
        }
        // What was given counts, not what was asked for.
        self.at += if rule.page.is_some() { 1 } else { page.rows };
        Ok(Some(self.with(name, Some(self.at))))
    }

    /// The address with the parameter of a page, and the one that says how many.
    fn with(&self, name: &str, value: Option<impl ToString>) -> Url {
        let Some(rule) = self.rule else { return self.base.clone() };
        let name = rule.param.as_deref().unwrap_or(name);
        let size_name = rule.size_param.as_deref().or(rule.counts().then_some("limit"));
        let mut set = Vec::new();
        set.extend(value.map(|value| (name, value.to_string())));
        set.extend(size_name.zip(rule.size).map(|(name, size)| (name, size.to_string())));
        let mut url = self.base.clone();
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| !set.iter().any(|(other, _)| other == name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if kept.is_empty() && set.is_empty() {
            return url;
        }
        url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(set);
        url
    }

    /// Fails where this was followed before: it would be for ever.
    fn once(&mut self, text: &str, what: &str) -> Result<(), Trouble> {
        if self.seen.insert(mark(text)) {
            return Ok(());
        }
        let message =
            format!("the {what} of page {} was there before: it goes in a circle", self.read);
        Err(truncated(message))
    }

    fn reconcile(&self) -> Result<(), Trouble> {
        match self.total {
            Some(total) if total != self.rows => {
                let (rows, pages) = (self.rows, self.read);
                Err(truncated(format!("{rows} of {total} records were read, on {pages} pages")))
            }
            _ => Ok(()),
        }
    }
}

impl Paginate {
    fn counts(&self) -> bool {
        self.offset == Some(true)
    }
}

fn truncated(words: impl Into<String>) -> Trouble {
    Trouble::new(Ending::Truncated, words)
}

fn part<'a>(document: Part<'a>, path: &str) -> Result<Option<Part<'a>>, Trouble> {
    document.at(path).map_err(|error| Trouble::source(format!("the answer is no JSON: {error}")))
}

fn mark(text: &str) -> [u8; 16] {
    let whole = digest(&SHA256, text.as_bytes());
    *whole.as_ref().first_chunk().expect("the digest has 32 bytes")
}

/// The address with `rel="next"` in a `Link` header.
fn linked(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, from)) = rest.split_once('<') {
        let (address, behind) = from.split_once('>')?;
        let params = behind.split_once('<').map_or(behind, |(params, _)| params);
        let is_next = params.split(';').any(|param| {
            let (name, value) = param.trim().split_once('=').unwrap_or_default();
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(address.trim());
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        for (header, next) in [
            (
                r#"<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last""#,
                Some("https://a/?page=2"),
            ),
            (
                r#"<https://a/?page=1>; rel="prev", </x?a=1,2>; title="b;c"; rel=next"#,
                Some("/x?a=1,2"),
            ),
            (r#"<https://a/>; rel="first next""#, Some("https://a/")),
            (r#"<https://a/>; rel="last""#, None),
            ("garbage", None),
            ("<unclosed; rel=next", None),
        ] {
            assert_eq!(linked(header), next, "{header}");
        }
    }
}
