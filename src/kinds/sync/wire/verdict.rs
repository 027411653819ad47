//! What an answer that is none means for a sync.
//!
//! Owns the table from status and reasons to results, and the quotation of the server's own words. Pure
//! but for what was read already. Refuses to wait and to repeat.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value as Json;

use super::super::trouble::{Ending, Trouble};
use super::Side;
use crate::credentials::evidence::of_api;
use crate::credentials::exchange::retry_after;
use crate::kinds::wire;
use crate::model::CredentialClass;

/// Longest wait that a server can ask of the next try.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Most characters of a server's own words.
const QUOTED: usize = 300;

/// What was asked, and by whom.
pub(super) struct Seen<'a> {
    pub(super) side: Side,
    pub(super) host: String,
    pub(super) verb: &'a str,
    pub(super) credential: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// What follows.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Another try may bring more.
    Again(Trouble),
    /// None will.
    Never(Trouble),
}

/// Judges an answer that is neither a success nor "not modified".
pub(super) fn judge(
    answer: &wire::Answer,
    seen: &Seen<'_>,
    hide: &dyn Fn(&str) -> String,
) -> Verdict {
    let status = answer.response.status();
    let body = answer.read.as_deref().unwrap_or_default();
    let challenge = answer.header(WWW_AUTHENTICATE.as_str());
    let class = of_api(status.as_u16(), challenge, body).map(|evidence| evidence.class);
    let asked = answer.header(RETRY_AFTER.as_str());
    let asked = asked.and_then(|text| retry_after(text, seen.now, WAIT_MAX));
    let words = quoted(body);
    let said = if words.is_empty() { words } else { format!(": {}", hide(&words)) };
    let told = format!("{} answered {status} to a {}{said}", seen.host, seen.verb);
    let again = |ending| {
        let mut trouble = Trouble::new(ending, told.clone());
        trouble.retry_after = asked;
        Verdict::Again(trouble)
    };
    let never = |ending, help: String| {
        Verdict::Never(Trouble::new(ending, format!("{told}{help}")).for_good())
    };
    match (status.as_u16(), class) {
        (_, Some(CredentialClass::Quota)) => again(Ending::Quota),
        (408 | 425 | 500..=599, _) => again(seen.side.ending()),
        (401, _) => Verdict::Never(Trouble::new(Ending::Auth, format!("{told}{}", unknown(seen)))),
        (403, _) => never(Ending::Permission, forbidden(seen)),
        (404 | 410, _) => never(Ending::NotFound, "; nothing was deleted here".to_owned()),
        (300..=399, _) => {
            let there = answer.header(LOCATION.as_str()).unwrap_or("nowhere");
            never(Ending::Config, format!("; it points to {there}, which is not followed"))
        }
        _ => never(Ending::Config, String::new()),
    }
}

fn unknown(seen: &Seen<'_>) -> String {
    match seen.credential {
        Some(name) => format!("; it was shown the credential {name}"),
        None => "; nothing was shown to it: name a `credential`".to_owned(),
    }
}

fn forbidden(seen: &Seen<'_>) -> String {
    match seen.credential {
        Some(name) => format!("; let the account of {name} have it, or show another credential"),
        None => "; nothing was shown to it: name a `credential`".to_owned(),
    }
}

/// The server's own words: those of the usual places in JSON, else the first line of a text.
fn quoted(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Json>(body) {
        Ok(document) => {
            let places = [
                "/error/message",
                "/error_description",
                "/message",
                "/error",
                "/detail",
                "/errors/0/message",
                "/title",
            ];
            let found = places.iter().filter_map(|place| document.pointer(place)?.as_str());
            found.map(str::to_owned).next().unwrap_or_default()
        }
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
            let is_page = text.trim_start().starts_with('<');
            if is_page { "(a page)".to_owned() } else { text }
        }
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(QUOTED) {
        line.truncate(end);
        line.push('…');
    }
    line
}
