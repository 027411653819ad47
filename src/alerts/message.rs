//! What a row says: the same facts as JSON for programs and as lines for people.
//!
//! Owns the words, their length, and the key by which a receiver tells a repeated message. Refuses to know who
//! gets it (`send`) and whether anybody should (`decide`).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::item::IncidentItem;
use crate::model::{
    Event, Incident, IncidentId, IncidentState, Notification, Outbox, Severity, Told,
};
use crate::plan::signature;

/// Most letters of one line for people.
const LINE_MAX: usize = 200;

/// Most incidents that one digest tells by name.
const LISTED: usize = 20;

/// A message, ready to be put into the form of a notifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What is told.
    pub event: Event,
    /// The same for each try of the same row, on whatever day: `Idempotency-Key`.
    pub key: String,
    /// The incident's key: what a receiver pairs beginnings and ends by.
    pub incident_key: String,
    /// The incident's number; `None` of a test and a digest.
    pub incident: Option<IncidentId>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether beginning and end are told at once.
    pub whole: bool,
    /// In one line.
    pub subject: String,
    /// In a few lines.
    pub text: String,
    /// The incident as `jadactl incidents --json` has it, with `event` and what else is known.
    pub body: Json,
}

/// What a row says, as the store has it now.
#[must_use]
pub fn of(row: &Notification, outbox: &Outbox, now: Timestamp) -> Message {
    let find = |id: IncidentId| outbox.incidents.iter().find(|one| one.id == id);
    match (row.event, row.incident.and_then(find)) {
        (Event::Digest, _) => digest(row, outbox),
        (Event::Test, _) | (_, None) => test(row),
        (_, Some(incident)) => about(row, incident, outbox, now),
    }
}

/// The key of a row's message.
fn key(row: &Notification) -> String {
    format!("jada-{:x}-{}", row.created_at.as_millisecond(), row.id)
}

/// What is said of one incident.
fn about(row: &Notification, incident: &Incident, outbox: &Outbox, now: Timestamp) -> Message {
    let whole = row.event == Event::Resolved && was_never_told(row, outbox);
    let title = line(&incident.title);
    let subject = match (row.event, whole) {
        (Event::Resolved, true) => format!("was down {}: {title}", span(incident)),
        (Event::Resolved, false) => format!("over: {title}"),
        (Event::Reminder, _) => format!("still {}: {title}", state(incident.severity)),
        (Event::Flapping, _) => format!("comes and goes: {title}"),
        _ if incident.generation > 1 => format!("{} again: {title}", state(incident.severity)),
        _ => format!("{}: {title}", state(incident.severity)),
    };
    let mut body = item(&IncidentItem::from(incident));
    body.insert("event".to_owned(), json!(row.event.word()));
    if whole {
        body.insert(
            "was_down".to_owned(),
            json!({
                "since": incident.opened_at,
                "until": incident.resolved_at,
            }),
        );
    }
    let message = Message {
        event: row.event,
        key: key(row),
        incident_key: incident.key.clone(),
        incident: Some(incident.id),
        severity: incident.severity,
        whole,
        text: lines(row.event, incident, now).join("\n"),
        subject,
        body: Json::Null,
    };
    finished(message, body)
}

/// Puts what people read into the JSON as well.
fn finished(mut message: Message, mut body: Map<String, Json>) -> Message {
    body.insert("notification".to_owned(), json!(message.key));
    body.insert("subject".to_owned(), json!(message.subject));
    body.insert("text".to_owned(), json!(message.text));
    message.body = Json::Object(body);
    message
}

/// Whether the reader never heard of what is over: neither by itself nor in a digest.
fn was_never_told(row: &Notification, outbox: &Outbox) -> bool {
    let same = |other: &&Notification| {
        other.incident == row.incident && other.notifier == row.notifier && other.id < row.id
    };
    let news = |other: &&Notification| {
        matches!(other.event, Event::Opened | Event::Flapping | Event::Resolved)
    };
    let told = |other: &&Notification| other.state == Told::Delivered;
    let last = outbox.rows.iter().rev().filter(same).filter(news).find(told);
    last.is_none_or(|other| other.event == Event::Resolved)
}

fn state(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "failing",
    }
}

/// A few lines that a tired reader can act by.
fn lines(event: Event, incident: &Incident, now: Timestamp) -> Vec<String> {
    let mut lines = vec![line(&incident.title)];
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{name:<8}{}", line(&text)));
        }
    };
    if let Some(end) = incident.resolved_at {
        fact("was", format!("{} ({})", span(incident), rough(incident.opened_at, end)));
        fact("mended", incident.note.clone());
    } else {
        let since = minute(incident.opened_at);
        fact("since", format!("{since} UTC ({})", rough(incident.opened_at, now)));
    }
    fact("root", format!("{} ({})", incident.root, incident.class));
    fact("hits", hits(incident));
    if incident.resolved_at.is_none() {
        for detail in incident.detail.lines().take(4) {
            fact("proof", detail.to_owned());
        }
        fact("fix", incident.mend.clone());
        if event != Event::Resolved {
            fact("quiet", format!("jadactl ack {}", incident.id));
        }
    }
    lines
}

fn hits(incident: &Incident) -> String {
    const NAMED: usize = 5;
    let names: Vec<_> = incident.affected.iter().take(NAMED).map(ToString::to_string).collect();
    match incident.affected.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// When an incident was: `02:10–02:40 UTC`, with the days where it took several.
#[must_use]
pub fn span(incident: &Incident) -> String {
    let (begin, end) = (incident.opened_at, incident.resolved_at.unwrap_or(incident.last_seen));
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let (begins, ends) = (begin.strftime("%H:%M"), end.strftime("%H:%M"));
    if day(begin) == day(end) {
        format!("{begins}–{ends} UTC")
    } else {
        format!("{} – {} UTC", minute(begin), minute(end))
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// How long something took, in one unit or two.
fn rough(from: Timestamp, to: Timestamp) -> String {
    let time = Duration::try_from(to.duration_since(from)).unwrap_or_default();
    let (minutes, hours, days) =
        (time.as_secs() / 60, time.as_secs() / 3600, time.as_secs() / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", time.as_secs()),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Several rows in one message: what they tell, as it stands now.
fn digest(row: &Notification, outbox: &Outbox) -> Message {
    let mut told: Vec<(&Notification, &Incident)> = Vec::new();
    for carried in outbox.rows.iter().filter(|other| other.carrier == Some(row.id)) {
        let incident = outbox.incidents.iter().find(|one| Some(one.id) == carried.incident);
        if let Some(incident) = incident {
            told.push((carried, incident));
        }
    }
    told.sort_by_key(|(_, incident)| (incident.resolved_at.is_some(), incident.id));
    let open = told.iter().filter(|(_, one)| one.state == IncidentState::Open).count();
    let over = told.len() - open;
    let subject = match (open, over) {
        (open, 0) => format!("{open} incidents"),
        (0, over) => format!("{over} incidents are over"),
        (open, over) => format!("{open} incidents go on, {over} are over"),
    };
    let listed = told.iter().take(LISTED);
    let mut text: Vec<String> = listed.map(|(row, one)| digest_line(row.event, one)).collect();
    let omitted = told.len().saturating_sub(LISTED);
    if omitted > 0 {
        text.push(format!("and {omitted} more: jadactl incidents"));
    }
    let severity = told.iter().map(|(_, one)| one.severity).max().unwrap_or(Severity::Warning);
    let incidents = told.iter().take(LISTED).map(|(row, one)| {
        let mut body = item(&IncidentItem::from(*one));
        body.insert("event".to_owned(), json!(row.event.word()));
        Json::Object(body)
    });
    let mut body = item(&stand_in(row, "digest", &subject));
    body.insert("event".to_owned(), json!("digest"));
    body.insert("severity".to_owned(), json!(severity));
    body.insert("incidents".to_owned(), incidents.collect());
    body.insert("omitted".to_owned(), json!(omitted));
    let message = Message {
        event: Event::Digest,
        key: key(row),
        incident_key: "digest".to_owned(),
        incident: None,
        severity,
        whole: false,
        subject,
        text: text.join("\n"),
        body: Json::Null,
    };
    finished(message, body)
}

fn digest_line(event: Event, incident: &Incident) -> String {
    let title = line(&incident.title);
    match (event, incident.state) {
        (_, IncidentState::Resolved) => format!("over      {title} ({})", span(incident)),
        (Event::Reminder, IncidentState::Open) => format!("goes on   {title}"),
        (_, IncidentState::Open) => format!("{:<10}{title}", state(incident.severity)),
    }
}

/// A message that tells nothing but that the way works.
fn test(row: &Notification) -> Message {
    let subject = format!("this is a test of the notifier {}", row.notifier);
    let mut body = item(&stand_in(row, &format!("notifier/{}", row.notifier), &subject));
    body.insert("event".to_owned(), json!("test"));
    let message = Message {
        event: Event::Test,
        key: key(row),
        incident_key: format!("notifier/{}", row.notifier),
        incident: None,
        severity: Severity::Warning,
        whole: false,
        text: format!(
            "{subject}\nnothing is wrong; somebody typed: jadactl notify test {}",
            row.notifier
        ),
        subject,
        body: Json::Null,
    };
    finished(message, body)
}

/// What is told past the outbox: the store can't be written, so that no incident and no row can be kept. The
/// key is that of the incident which is written once it can.
#[must_use]
pub fn unkept(trouble: &str, since: Timestamp) -> Message {
    let fault = signature::fault(None, trouble);
    let root = "daemon/store";
    let incident = Incident {
        key: format!("{root}#{}", fault.word()),
        class: fault.word().to_owned(),
        fault: Some(fault),
        severity: Severity::Error,
        title: line(&format!("nothing starts: {trouble}")),
        mend: "jadactl doctor".to_owned(),
        ..of_no_row(root, since)
    };
    let mut body = item(&IncidentItem::from(&incident));
    body.insert("event".to_owned(), json!(Event::Opened.word()));
    let message = Message {
        event: Event::Opened,
        key: format!("jada-{:x}-store", since.as_millisecond()),
        incident_key: incident.key.clone(),
        incident: None,
        severity: Severity::Error,
        whole: false,
        text: lines(Event::Opened, &incident, since).join("\n"),
        subject: format!("{}: {}", state(Severity::Error), incident.title),
        body: Json::Null,
    };
    finished(message, body)
}

/// The fields of an incident where there is none, so that each template finds them.
fn stand_in(row: &Notification, key: &str, title: &str) -> IncidentItem {
    let incident = Incident {
        class: "test".to_owned(),
        title: title.to_owned(),
        ..of_no_row(key, row.created_at)
    };
    IncidentItem::from(&incident)
}

/// An incident that no store has.
fn of_no_row(root: &str, at: Timestamp) -> Incident {
    Incident {
        id: IncidentId(0),
        key: root.to_owned(),
        class: String::new(),
        root: root.to_owned(),
        fault: None,
        affected: Vec::new(),
        severity: Severity::Warning,
        generation: 1,
        state: IncidentState::Open,
        opened_at: at,
        last_seen: at,
        count: 1,
        title: String::new(),
        detail: String::new(),
        mend: String::new(),
        resolved_at: None,
        note: String::new(),
        acknowledged: None,
        flapping: false,
        remind: None,
    }
}

fn item(item: &IncidentItem) -> Map<String, Json> {
    match serde_json::to_value(item) {
        Ok(Json::Object(fields)) => fields,
        // Nothing in it can fail to be JSON; an empty message is still better than none.
        _ => Map::new(),
    }
}

/// One line of a text, without what a terminal or a mail header would obey.
#[must_use]
pub fn line(text: &str) -> String {
    let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean: String = clean.chars().filter(|letter| !letter.is_control()).collect();
    if clean.chars().count() <= LINE_MAX {
        return clean;
    }
    let cut: String = clean.chars().take(LINE_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}
