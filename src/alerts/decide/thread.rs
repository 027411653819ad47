//! One incident and one notifier: what is still worth telling of all that waits.
//!
//! Owns the rule that the newest news tells, and what it overtook is carried by it: an outage that ended before
//! anybody could be told is one message. An end is always told to whom its beginning was. Refuses to know
//! other incidents of the notifier (`queue`).

use super::{Thread, View, hush, is_news, waits};
use crate::model::{Event, Incident, Notification, OutboxChange, Told};

/// What an end says whose incident was only the effect of another one.
const CAUSE_KNOWN: &str = "its cause is known";

/// A row that is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) row: &'a Notification,
    pub(super) incident: Option<&'a Incident>,
    /// The oldest row that it tells.
    pub(super) first: &'a Notification,
    /// Whether it begins something for its reader: that may wait. The end of what they know of may not.
    pub(super) begins: bool,
}

/// What becomes of the rows of a thread that wait: changes, and at most one row to tell.
pub(super) fn reduce<'a>(
    view: &View<'a>,
    thread: &Thread<'a>,
) -> (Vec<OutboxChange>, Option<Candidate<'a>>) {
    let waiting: Vec<_> = thread.rows.iter().copied().filter(|row| waits(row)).collect();
    let (Some(newest), Some(incident)) = (waiting.last().copied(), thread.incident) else {
        let alone =
            waiting.last().map(|row| Candidate { row, incident: None, first: row, begins: false });
        return (Vec::new(), alone);
    };
    let news: Vec<_> = waiting.iter().copied().filter(|row| is_news(row.event)).collect();
    let Some(tells) = news.last().copied() else {
        return reminders(incident, &waiting, newest);
    };
    let known = knows(view, thread);
    if tells.event == Event::Resolved
        && !known
        && let Some(why) = never_told(view, thread, incident, tells)
    {
        let drop = |row: &&Notification| OutboxChange::Drop { row: row.id, why: why.clone() };
        return (waiting.iter().map(drop).collect(), None);
    }
    let mut changes = Vec::new();
    for row in waiting.iter().filter(|row| row.id != tells.id) {
        changes.push(match row.event {
            Event::Reminder => {
                OutboxChange::Drop { row: row.id, why: "newer news came first".to_owned() }
            }
            _ => OutboxChange::Carry { row: row.id, carrier: tells.id },
        });
    }
    let begins = tells.event != Event::Resolved || !known;
    (changes, Some(Candidate { row: tells, incident: Some(incident), first: news[0], begins }))
}

/// Reminders alone: one is told, as long as there is something to remind of.
fn reminders<'a>(
    incident: &'a Incident,
    waiting: &[&'a Notification],
    newest: &'a Notification,
) -> (Vec<OutboxChange>, Option<Candidate<'a>>) {
    let over = if incident.resolved_at.is_some() {
        Some("it was over".to_owned())
    } else {
        incident.acknowledged.as_ref().map(|known| format!("{} knows", known.by))
    };
    let drop =
        |row: &&Notification, why: &str| OutboxChange::Drop { row: row.id, why: why.to_owned() };
    if let Some(why) = over {
        return (waiting.iter().map(|row| drop(row, &why)).collect(), None);
    }
    let older = waiting.iter().filter(|row| row.id != newest.id);
    let changes = older.map(|row| drop(row, "a newer reminder came first")).collect();
    let candidate =
        Candidate { row: newest, incident: Some(incident), first: newest, begins: true };
    (changes, Some(candidate))
}

/// Whether the reader knows that the incident goes on: the last news that they were told, or that a digest is
/// about to tell them, was its beginning.
fn knows(view: &View<'_>, thread: &Thread<'_>) -> bool {
    let told = |row: &&&Notification| {
        let digested = || view.teller(row).event == Event::Digest;
        row.state == Told::Delivered || (row.state == Told::Carried && digested())
    };
    let mut news = thread.rows.iter().rev().filter(|row| is_news(row.event)).filter(told);
    news.next().is_some_and(|row| row.event != Event::Resolved)
}

/// Why an incident that is over is not told at all to somebody who never heard of it; `None` where it is.
fn never_told(
    view: &View<'_>,
    thread: &Thread<'_>,
    incident: &Incident,
    end: &Notification,
) -> Option<String> {
    // It was handed over by a notifier that fails: its reader may know from there.
    if end.origin.is_some() {
        return None;
    }
    if incident.note.starts_with(CAUSE_KNOWN) {
        return Some(incident.note.clone());
    }
    if let Some(hushed) = hush::at(view, incident, end.created_at) {
        return Some(format!("it began and ended unheard: {}", hushed.why));
    }
    let since = thread.rows.iter().rev().skip_while(|row| row.id >= end.id);
    let since = since.take_while(|row| row.event != Event::Resolved || waits(row));
    let began = since.filter(|row| row.event != Event::Reminder);
    let tried = began.filter(|row| row.state != Told::Dropped).count() > 0;
    (!tried).then(|| "its beginning was not told".to_owned())
}
