//! Takes secrets out of what programs say.
//!
//! ```text
//!  chunk ──▶ live secrets in every form ──▶ well-known shapes ──▶ chunk without them
//!               carry: what may still            carry
//!               become one
//! ```
//!
//! Owns what is looked for and the marks that stand for it. Refuses to know where the text goes. Every
//! byte that belongs to a secret is taken out, wherever the text was cut into chunks; every other byte
//! stays, and is held back only while it may be the beginning of one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use super::forms;
use super::secret::Secret;
use super::shapes;
use crate::model::CredentialName;

/// What stands in the place of a secret.
pub const MARK: &str = "[redacted]";

/// Longest token that is waited for; what is longer is taken out as it comes.
const HELD_MAX: usize = 16 * 1024;

/// What must not get out now. Shared by all outputs; nothing to do costs nothing.
#[derive(Default)]
pub struct Redactor {
    known: Mutex<BTreeMap<CredentialName, Held>>,
    patterns: RwLock<Option<Arc<Patterns>>>,
}

/// The secrets of one credential: a program that started with the ones before may still say them.
#[derive(Default)]
struct Held {
    now: Vec<Secret>,
    before: Vec<Secret>,
}

/// Every form of every secret.
struct Patterns {
    search: AhoCorasick,
    /// In order, for finding out which of them a text may be the beginning of.
    sorted: Vec<Zeroizing<Vec<u8>>>,
    longest: usize,
    /// Whether any of them begins with a byte.
    begins: [bool; 256],
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patterns")
    }
}

impl Redactor {
    /// Replaces the secrets of a credential; those that they replace are still looked for, and those
    /// before them no longer.
    pub fn hold(&self, name: &CredentialName, secrets: Vec<Secret>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.entry(name.clone()).or_default();
        if held.now == secrets {
            return;
        }
        held.before = std::mem::replace(&mut held.now, secrets);
        let all = known.values().flat_map(|held| held.now.iter().chain(&held.before));
        let patterns = Patterns::of(all).map(Arc::new);
        *self.patterns.write().unwrap_or_else(PoisonError::into_inner) = patterns;
    }

    /// A whole text without secrets.
    #[must_use]
    pub fn hide(self: &Arc<Self>, text: &str) -> String {
        let mut stream = self.stream();
        let mut hidden = stream.push(text.as_bytes().to_vec());
        hidden.extend(stream.finish());
        // A mark stands for whole characters, unless a secret is no text.
        String::from_utf8(hidden)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Takes secrets out of one stream as it passes.
    #[must_use]
    pub fn stream(self: &Arc<Self>) -> Stream {
        let shaped = Shaped { carry: Vec::new(), before: None, swallows: false };
        Stream { redactor: self.clone(), carry: Zeroizing::default(), covered: 0, shaped }
    }

    fn patterns(&self) -> Option<Arc<Patterns>> {
        self.patterns.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Patterns {
    fn of<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Option<Self> {
        let mut sorted: Vec<_> = secrets.flat_map(forms::of).collect();
        sorted.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
        sorted.dedup();
        let longest = sorted.iter().map(|form| form.len()).max()?;
        let mut begins = [false; 256];
        for form in &sorted {
            begins[usize::from(form[0])] = true;
        }
        let search = AhoCorasick::new(sorted.iter().map(|form| form.as_slice())).ok()?;
        Some(Self { search, sorted, longest, begins })
    }

    /// Whether a text is the beginning of a secret, and not all of it.
    fn begins_with(&self, text: &[u8]) -> bool {
        let at = self.sorted.partition_point(|form| form.as_slice() <= text);
        self.sorted.get(at).is_some_and(|form| form.starts_with(text))
    }

    /// Where the earliest secret may begin that does not end within the text.
    fn open(&self, text: &[u8]) -> usize {
        let from = (text.len() + 1).saturating_sub(self.longest);
        let mut starts = (from..text.len()).filter(|at| self.begins[usize::from(text[*at])]);
        starts.find(|at| self.begins_with(&text[*at..])).unwrap_or(text.len())
    }

    /// The bytes that belong to secrets, as ranges that do not overlap, in order.
    fn covered(&self, text: &[u8], mut covered: usize) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        if covered > 0 {
            covered = covered.min(text.len());
            ranges.push(0..covered);
        }
        let found = self.search.find_overlapping_iter(text);
        ranges.extend(found.map(|found| found.range()));
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        ranges.dedup_by(|next, last| {
            let overlaps = next.start < last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        ranges
    }
}

/// Takes secrets out of one stream. What it holds back at the end, [`Stream::finish`] gives.
pub struct Stream {
    redactor: Arc<Redactor>,
    /// The end of what came, while it may be the beginning of a secret.
    carry: Zeroizing<Vec<u8>>,
    /// How much of the carry belongs to a secret whose mark was given.
    covered: usize,
    shaped: Shaped,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} bytes held back)", self.carry.len() + self.shaped.carry.len())
    }
}

impl Stream {
    /// Takes a chunk, and gives what can be given of it and of what was held back.
    #[must_use]
    pub fn push(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        let chunk = self.literal(chunk, false);
        self.shaped.push(chunk, false)
    }

    /// The end of the stream.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.literal(Vec::new(), true);
        self.shaped.push(rest, true)
    }

    fn literal(&mut self, chunk: Vec<u8>, last: bool) -> Vec<u8> {
        let Some(patterns) = self.redactor.patterns() else {
            if self.carry.is_empty() {
                return chunk;
            }
            // There were some when this was held back: what is covered stays so.
            let carry = std::mem::take(&mut *self.carry);
            let mut text = carry[std::mem::take(&mut self.covered).min(carry.len())..].to_vec();
            text.extend(chunk);
            return text;
        };
        let mut text = std::mem::take(&mut *self.carry);
        text.extend(chunk);
        let open = if last { text.len() } else { patterns.open(&text) };
        let ranges = patterns.covered(&text, self.covered);
        let (mut out, mut from, mut covered) = (Vec::with_capacity(text.len()), 0, 0);
        for range in ranges {
            // The mark of what was covered before was given with it.
            let goes_on = range.start == 0 && self.covered > 0;
            if range.start >= open && !goes_on {
                break;
            }
            out.extend_from_slice(&text[from..range.start]);
            if !goes_on {
                out.extend_from_slice(MARK.as_bytes());
            }
            from = range.end.min(open);
            covered = range.end.saturating_sub(open);
        }
        out.extend_from_slice(&text[from.min(open)..open]);
        self.covered = covered;
        *self.carry = text.split_off(open);
        out
    }
}

/// The second line: tokens that look like some, whether they are live or not.
struct Shaped {
    carry: Vec<u8>,
    /// The last byte that was given.
    before: Option<u8>,
    /// Whether a token that is too long to be waited for goes on.
    swallows: bool,
}

impl Shaped {
    fn push(&mut self, chunk: Vec<u8>, last: bool) -> Vec<u8> {
        let mut text = if self.carry.is_empty() {
            chunk
        } else {
            let mut text = std::mem::take(&mut self.carry);
            text.extend(chunk);
            text
        };
        if self.swallows {
            let end = text.iter().position(|byte| !shapes::is_token(*byte));
            self.swallows = end.is_none() && !last;
            text.drain(..end.unwrap_or(text.len()));
            self.before = None;
        }
        let open = if last { None } else { shapes::open(&text, self.before) };
        let open = open.unwrap_or(text.len());
        let overlong = text.len() - open > HELD_MAX;
        let carry = if overlong { Vec::new() } else { text.split_off(open) };
        let found = shapes::find(&text, self.before);
        // What only began like a token is none after all, and goes on as it is.
        let unended = found.last().is_some_and(|found| found.at.end == text.len());
        self.swallows |= overlong && unended;
        let out = marked(&text, &found);
        self.before = text.last().copied().or(self.before);
        self.carry = carry;
        out.unwrap_or(text)
    }
}

/// The text with a mark for each secret; `None` where there is none.
fn marked(text: &[u8], found: &[shapes::Found]) -> Option<Vec<u8>> {
    if found.is_empty() {
        return None;
    }
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    for secret in found {
        out.extend_from_slice(&text[from..secret.at.start]);
        out.extend_from_slice(MARK.as_bytes());
        from = secret.at.end;
        if !secret.closed {
            // Of a key whose end never came, nobody can say which lines belong to it.
            return Some(out);
        }
    }
    out.extend_from_slice(&text[from..]);
    Some(out)
}

#[cfg(test)]
mod tests;
