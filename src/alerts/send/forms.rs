//! What each receiver wants to see: the bodies of Slack, Discord, ntfy and PagerDuty, and one's own.
//!
//! Owns their formats and what in a text they would obey: a title that somebody else wrote must not call a
//! whole channel. Refuses to know how a body is sent.

use std::fmt::Write as _;

use reqwest::Url;
use serde_json::{Value as Json, json};

use super::Failure;
use crate::alerts::message::Message;
use crate::alerts::settings::Form;
use crate::alerts::template;
use crate::model::{Event, Severity};

/// A request's address and body.
#[derive(Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) url: Url,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// The requests that tell a message: one, or two where a whole outage is told in a form that knows only its
/// beginning and its end.
pub(super) fn requests(
    form: &Form,
    message: &Message,
    url: &Url,
    key: &str,
) -> Result<Vec<Sent>, Failure> {
    let json = |url: &Url, body: &Json| Sent {
        url: url.clone(),
        content_type: "application/json",
        body: body.to_string(),
    };
    Ok(match form {
        Form::Incident => vec![json(url, &message.body)],
        Form::Slack => vec![json(url, &slack(message))],
        Form::Discord => vec![json(url, &discord(message))],
        Form::Ntfy => {
            let (root, topic) = topic(url)?;
            vec![json(&root, &ntfy(message, &topic))]
        }
        Form::Pagerduty { .. } => {
            pagerduty(message, key).iter().map(|body| json(url, body)).collect()
        }
        Form::Own(text) => vec![own(text, message, url)],
    })
}

/// One's own template. Where it fails on a message that nobody foresaw, the facts still go out.
fn own(text: &str, message: &Message, url: &Url) -> Sent {
    let body = template::render(text, message).unwrap_or_else(|error| {
        tracing::warn!(%error, "a notifier's template failed; the message goes out in the default form");
        message.body.to_string()
    });
    let is_json = serde_json::from_str::<Json>(&body).is_ok();
    let content_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    Sent { url: url.clone(), content_type, body }
}

fn colour(message: &Message) -> (&'static str, u32) {
    match (message.event, message.severity) {
        (Event::Resolved | Event::Test, _) => ("good", 0x2e_a043),
        (_, Severity::Warning) => ("warning", 0xd2_9922),
        (_, Severity::Error) => ("danger", 0xcf_222e),
    }
}

/// Slack: `&`, `<` and `>` begin what it obeys.
fn slack(message: &Message) -> Json {
    let plain = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (colour, _) = colour(message);
    json!({
        "text": plain(&message.subject),
        "attachments": [{ "color": colour, "text": format!("```\n{}\n```", plain(&message.text).replace("```", "'''")) }],
    })
}

/// Discord: nobody is to be called by what a text says.
fn discord(message: &Message) -> Json {
    const TITLE_MAX: usize = 256;
    let title: String = message.subject.chars().take(TITLE_MAX).collect();
    let (_, colour) = colour(message);
    json!({
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": title,
            "description": format!("```\n{}\n```", message.text.replace("```", "'''")),
            "color": colour,
        }],
    })
}

/// The root of an ntfy server and the topic: JSON goes to the root.
fn topic(url: &Url) -> Result<(Url, String), Failure> {
    let mut root = url.clone();
    let topic =
        url.path_segments().and_then(|mut segments| segments.next_back().map(str::to_owned));
    let topic = topic.filter(|topic| !topic.is_empty());
    let topic =
        topic.ok_or_else(|| Failure::settings("its url names no topic: https://ntfy.sh/TOPIC"))?;
    if let Ok(mut segments) = root.path_segments_mut() {
        segments.pop().push("");
    }
    Ok((root, topic))
}

fn ntfy(message: &Message, topic: &str) -> Json {
    let (priority, tag) = match (message.event, message.severity) {
        (Event::Resolved, _) => (3, "white_check_mark"),
        (Event::Test, _) => (3, "information_source"),
        (_, Severity::Warning) => (3, "warning"),
        (_, Severity::Error) => (4, "rotating_light"),
    };
    json!({
        "topic": topic,
        "title": message.subject,
        "message": message.text,
        "priority": priority,
        "tags": [tag],
    })
}

/// PagerDuty, Events API v2. What was over before it could be told is a page of no urgency that ends at once.
fn pagerduty(message: &Message, key: &str) -> Vec<Json> {
    const KEY_MAX: usize = 255;
    const SUMMARY_MAX: usize = 1024;
    let dedup_key = shortened(&message.incident_key, KEY_MAX);
    let event = |action: &str| {
        json!({
            "routing_key": key, "event_action": action, "dedup_key": dedup_key,
        })
    };
    let severity = match (message.event, message.severity) {
        (Event::Resolved | Event::Test, _) => "info",
        (_, Severity::Warning) => "warning",
        (_, Severity::Error) => "error",
    };
    let mut trigger = event("trigger");
    trigger["payload"] = json!({
        "summary": message.subject.chars().take(SUMMARY_MAX).collect::<String>(),
        "source": "jada",
        "severity": severity,
        "component": message.body["root"],
        "class": message.body["class"],
        "custom_details": { "text": message.text },
    });
    let resolve = event("resolve");
    match (message.event, message.whole) {
        (Event::Resolved, false) => vec![resolve],
        (Event::Resolved, true) | (Event::Test, _) => vec![trigger, resolve],
        _ => vec![trigger],
    }
}

/// A key that is too long keeps its beginning, and a hash of all of it.
fn shortened(key: &str, most: usize) -> String {
    if key.len() <= most {
        return key.to_owned();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let mut hash = String::with_capacity(32);
    for byte in digest.as_ref().iter().take(16) {
        // Writing to a text can't fail.
        let _written = write!(hash, "{byte:02x}");
    }
    let mut end = most - hash.len() - 1;
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}#{hash}", &key[..end])
}
