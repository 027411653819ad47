//! The shapes by which well-known secrets are told.
//!
//! Owns the table. Refuses to guess by randomness: what it finds is a secret, or was made to look like
//! one; and to know where the text comes from (a job file, the output of a program).

use std::ops::Range;

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where, in bytes.
    pub at: Range<usize>,
    /// What it is, with its article: `a GitHub token`.
    pub what: &'static str,
    /// Whether its end was seen. Of a private key without one, `at` is the first line.
    pub closed: bool,
}

/// A token that starts with a fixed text.
struct Shape {
    prefix: &'static str,
    what: &'static str,
    /// Judges the characters after the prefix, as far as they can belong to a token.
    rest: fn(&str) -> bool,
}

const SHAPES: &[Shape] = &[
    Shape { prefix: "AKIA", what: "an AWS access key", rest: |rest| is_aws(rest) },
    Shape { prefix: "ASIA", what: "an AWS access key", rest: |rest| is_aws(rest) },
    Shape { prefix: "AIza", what: "a Google API key", rest: |rest| rest.len() >= 35 },
    Shape { prefix: "ya29.", what: "a Google access token", rest: |rest| rest.len() >= 20 },
    Shape { prefix: "1//0", what: "a Google refresh token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "GOCSPX-", what: "a Google client secret", rest: |rest| rest.len() >= 20 },
    Shape { prefix: "ghp_", what: "a GitHub token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "gho_", what: "a GitHub token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "ghu_", what: "a GitHub token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "ghs_", what: "a GitHub token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "ghr_", what: "a GitHub token", rest: |rest| rest.len() >= 30 },
    Shape { prefix: "github_pat_", what: "a GitHub token", rest: |rest| rest.len() >= 20 },
    Shape { prefix: "glpat-", what: "a GitLab token", rest: |rest| rest.len() >= 20 },
    Shape { prefix: "npm_", what: "an npm token", rest: |rest| rest.len() >= 36 },
    Shape { prefix: "sk_live_", what: "a Stripe key", rest: |rest| rest.len() >= 16 },
    Shape { prefix: "rk_live_", what: "a Stripe key", rest: |rest| rest.len() >= 16 },
    Shape { prefix: "xoxb-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "xoxp-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "xoxa-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "xoxr-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "xoxs-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "xapp-", what: "a Slack token", rest: |rest| rest.len() >= 10 },
    Shape { prefix: "sk-ant-", what: "an Anthropic API key", rest: |rest| rest.len() >= 20 },
    Shape { prefix: "sk-", what: "an API key", rest: |rest| is_random(rest) },
    Shape { prefix: "eyJ", what: "a JSON web token", rest: |rest| is_jwt(rest) },
];

const KEY_BEGIN: &[u8] = b"-----BEGIN ";
const KEY_LABEL: &[u8] = b"PRIVATE KEY-----";
const KEY_END: &[u8] = b"-----END";

/// Longest label of a private key.
const LABEL_MAX: usize = 128;

/// The secret that starts at a byte of a text, where one does; `before` is the byte before it.
#[must_use]
pub fn at(text: &[u8], at: usize, before: Option<u8>) -> Option<Found> {
    match text[at] {
        b'-' => private_key(text, at),
        // A token starts a word.
        byte if byte.is_ascii_alphanumeric() && !before.is_some_and(is_token) => token(text, at),
        _ => None,
    }
}

/// Every secret in a text, in order; `before` is the byte before its first.
#[must_use]
pub fn find(text: &[u8], before: Option<u8>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let previous = if from == 0 { before } else { Some(text[from - 1]) };
        match at(text, from, previous) {
            Some(secret) => {
                from = secret.at.end.max(from + 1);
                found.push(secret);
            }
            None => from += 1,
        }
    }
    found
}

/// Where a secret may begin that does not end with the text: from there on, what follows decides.
/// `None` where nothing is open.
#[must_use]
pub fn open(text: &[u8], before: Option<u8>) -> Option<usize> {
    let token = open_token(text, before);
    let key = open_key(text);
    token.into_iter().chain(key).min()
}

fn open_token(text: &[u8], before: Option<u8>) -> Option<usize> {
    let run = |byte: u8| is_token(byte) || byte == b'.';
    // Only `1//0` has a byte in its prefix that is of no run, so that few bytes are looked at twice.
    let tail = text.iter().rposition(|byte| !run(*byte) && *byte != b'/').map_or(0, |at| at + 1);
    (tail..text.len()).find(|&at| {
        let previous = if at == 0 { before } else { Some(text[at - 1]) };
        let rest = &text[at..];
        let begins = |shape: &Shape| {
            let prefix = shape.prefix.as_bytes();
            match rest.strip_prefix(prefix) {
                Some(rest) => rest.iter().all(|byte| run(*byte)),
                None => prefix.starts_with(rest),
            }
        };
        rest[0].is_ascii_alphanumeric()
            && !previous.is_some_and(is_token)
            && SHAPES.iter().any(begins)
    })
}

fn open_key(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = find_bytes(&text[from..], KEY_BEGIN) {
        let at = from + found;
        let rest = &text[at + KEY_BEGIN.len()..];
        let labelled = find_bytes(&rest[..rest.len().min(LABEL_MAX)], KEY_LABEL);
        match (labelled, private_key(text, at)) {
            (Some(_), Some(key)) if key.closed => from = key.at.end,
            (Some(_), _) => return Some(at),
            (None, _) if rest.len() < LABEL_MAX && !rest.contains(&b'\n') => return Some(at),
            (None, _) => from = at + KEY_BEGIN.len(),
        }
    }
    // The dashes at the end of a key begin no other one.
    let begun = (1..KEY_BEGIN.len()).rev().find(|&n| text[from..].ends_with(&KEY_BEGIN[..n]));
    begun.map(|n| text.len() - n)
}

fn token(text: &[u8], at: usize) -> Option<Found> {
    let rest = &text[at..];
    let shape = SHAPES.iter().find(|shape| {
        let after = rest.strip_prefix(shape.prefix.as_bytes());
        after.is_some_and(|after| (shape.rest)(run_of_token(after)))
    })?;
    let run = run_of_token(&rest[shape.prefix.len()..]);
    let at = at..at + shape.prefix.len() + run.len();
    Some(Found { at, what: shape.what, closed: true })
}

fn private_key(text: &[u8], at: usize) -> Option<Found> {
    let rest = text[at..].strip_prefix(KEY_BEGIN)?;
    find_bytes(&rest[..rest.len().min(LABEL_MAX)], KEY_LABEL)?;
    let body = &text[at..];
    let end = find_bytes(body, KEY_END).and_then(|end| {
        let tail = &body[end + KEY_END.len()..];
        Some(end + KEY_END.len() + find_bytes(tail, b"-----")? + b"-----".len())
    });
    // Without an end only the first line is sure to belong to it.
    let line = || body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
    let length = end.unwrap_or_else(line);
    Some(Found { at: at..at + length, what: "a private key", closed: end.is_some() })
}

fn find_bytes(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The bytes at the beginning that can belong to a token. They are ASCII.
fn run_of_token(text: &[u8]) -> &str {
    let end = text.iter().position(|byte| !is_token(*byte) && *byte != b'.').unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).map_or("", |run| run.trim_end_matches('.'))
}

/// Whether a byte can stand in a token.
#[must_use]
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_aws(rest: &str) -> bool {
    rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Letters of both cases and digits, or a long unbroken run with digits: a made word has neither.
fn is_random(rest: &str) -> bool {
    let has = |test: fn(&u8) -> bool| rest.as_bytes().iter().any(test);
    let digit = has(u8::is_ascii_digit);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && digit;
    let unbroken = rest.len() >= 32 && digit && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    rest.len() >= 20 && (mixed || unbroken)
}

fn is_jwt(rest: &str) -> bool {
    let parts: Vec<&str> = rest.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.len() >= 8)
}
