//! The screen for a tired operator: at most twelve lines a root, eighty columns, no colour needed.
//!
//! Owns the layout. Refuses to add anything that the diagnosis does not hold.

use jiff::Timestamp;

use super::answer::{Diagnosis, Item, Overall, Recurrence, Root};
use super::impact::span;
use crate::model::Subject;

/// Columns.
const WIDTH: usize = 80;

/// Most lines of one root.
const LINES: usize = 12;

/// The whole answer as lines.
#[must_use]
pub fn lines(answer: &Diagnosis) -> Vec<String> {
    let mut lines = Vec::new();
    for (no, root) in answer.roots.iter().enumerate() {
        if no > 0 {
            lines.push(String::new());
        }
        lines.extend(of_root(root, answer));
    }
    if answer.roots.is_empty() {
        lines.push(first_line(answer));
    }
    let mut label = "WARNING   ";
    for note in &answer.warnings {
        field(&mut lines, label, &format!("{}: {}", note.node, note.text), &cite(&note.evidence));
        label = "          ";
    }
    label = "OTHER     ";
    for note in &answer.other {
        field(&mut lines, label, &format!("{} {}", note.node, note.text), &cite(&note.evidence));
        label = "          ";
    }
    label = "BLIND     ";
    for words in &answer.blind {
        field(&mut lines, label, words, "");
        label = "          ";
    }
    lines
}

/// What a monitoring system shows where there is no root.
fn first_line(answer: &Diagnosis) -> String {
    let oldest = answer.oldest_evidence.map(|at| answer.at.duration_since(at).unsigned_abs());
    let oldest = oldest
        .map_or_else(|| "no evidence".to_owned(), |age| format!("oldest evidence {}", span(age)));
    let checks = match answer.checks {
        1 => "1 check".to_owned(),
        checks => format!("{checks} checks"),
    };
    match answer.verdict {
        Overall::Clear => format!("all clear: {checks}, {oldest}"),
        Overall::Warning => {
            format!(
                "WARNING: nothing fails, {} to look at; {checks}, {oldest}",
                answer.warnings.len()
            )
        }
        Overall::Unknown | Overall::Failing => {
            format!("UNKNOWN: no failure is known, but not everything could be looked at; {checks}")
        }
    }
}

fn of_root(root: &Root, answer: &Diagnosis) -> Vec<String> {
    let mut lines = vec![headline(root)];
    field(&mut lines, "  since   ", &since(root, answer.at), "");
    let mut label = "  proof   ";
    for line in root.proof.iter().take(3) {
        let seen = age(&line.evidence, answer);
        field(&mut lines, label, &format!("{}{seen}", line.text), &cite(&line.evidence));
        label = "          ";
    }
    if !root.impact.is_empty() {
        field(&mut lines, "  hits    ", &some(&root.impact, 6), "");
    }
    if !root.ruled_out.is_empty() {
        let name = |node: &str| match Subject::parse(node) {
            Some(node) => super::words::node(&node),
            None => node.to_owned(),
        };
        let names: Vec<String> = root.ruled_out.iter().map(|out| name(&out.node)).collect();
        let ids: Vec<String> =
            root.ruled_out.iter().filter_map(|out| out.evidence.first().cloned()).collect();
        field(&mut lines, "  not it  ", &some(&names, 8), &cite(&ids));
    }
    if !root.perhaps.is_empty() {
        let words = format!("{}: not known how it does", some(&root.perhaps, 4));
        field(&mut lines, "  perhaps ", &words, "");
    }
    if let Some(doubt) = &root.doubt {
        field(&mut lines, "  doubt   ", doubt, "");
    }
    if let Some(changed) = root.changed.first() {
        field(&mut lines, "  before  ", changed, "");
    }
    let mut end = Vec::new();
    fix(&mut end, &root.fix);
    if let Some(avoid) = &root.avoid {
        field(&mut end, "  avoid   ", avoid, "");
    }
    // What mends it always has its place.
    lines.truncate(LINES.saturating_sub(end.len()));
    lines.extend(end);
    lines
}

/// The name and how sure it is, at the right edge.
fn headline(root: &Root) -> String {
    let word = root.confidence.word();
    let room = WIDTH - word.len() - 1;
    let head = cut(&format!("ROOT CAUSE  {}", root.title), room);
    format!("{head:<room$} {word}")
}

fn since(root: &Root, now: Timestamp) -> String {
    let at = root.since.strftime("%a %-d %b %H:%M UTC").to_string();
    let text = format!("{at} ({})", span(now.duration_since(root.since).unsigned_abs()));
    match &root.recurrence {
        Some(found) => format!("{text}   {}", again(found)),
        None => text,
    }
}

fn again(found: &Recurrence) -> String {
    let ordinal = match found.times {
        n @ (11..=13) => format!("{n}th"),
        n if n % 10 == 1 => format!("{n}st"),
        n if n % 10 == 2 => format!("{n}nd"),
        n if n % 10 == 3 => format!("{n}rd"),
        n => format!("{n}th"),
    };
    let tail = found.spacing_days.iter().rev().take(3).rev();
    let spacing: Vec<String> = tail.map(|days| format!("{days:.1} d")).collect();
    format!("{ordinal} time, spacing {}", spacing.join(", "))
}

fn age(ids: &[String], answer: &Diagnosis) -> String {
    let item = answer.evidence.iter().find(|item| Some(&item.id) == ids.first());
    let age = item.map(|item| answer.at.duration_since(item.at).unsigned_abs());
    age.map_or_else(String::new, |age| format!(", {} ago", span(age)))
}

/// `[E1]`, `[E1-E6]`, `[E1,E4]`.
fn cite(ids: &[String]) -> String {
    let number = |id: &String| id.trim_start_matches('E').parse::<usize>().unwrap_or_default();
    let mut numbers: Vec<usize> = ids.iter().map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let part = |(first, last): &(usize, usize)| match last - first {
        0 => format!("E{first}"),
        _ => format!("E{first}-E{last}"),
    };
    let parts: Vec<String> = parts.iter().map(part).collect();
    if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) }
}

fn some(items: &[String], most: usize) -> String {
    let shown = items.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A line with its label, and what it cites at the right edge; of a long text, the end is left out.
fn field(lines: &mut Vec<String>, label: &str, text: &str, cited: &str) {
    let tail = if cited.is_empty() { 0 } else { cited.len() + 1 };
    let room = WIDTH.saturating_sub(label.len() + tail);
    let text = cut(text, room);
    lines.push(match cited {
        "" => format!("{label}{text}"),
        cited => format!("{label}{text:<room$} {cited}"),
    });
}

/// The command, never cut, and how one sees whether it has helped.
fn fix(lines: &mut Vec<String>, command: &str) {
    const THEN: &str = "then: jadactl doctor --verify";
    let line = format!("  fix     {command}");
    if line.chars().count() + 4 + THEN.len() <= WIDTH {
        lines.push(format!("{line}    {THEN}"));
    } else {
        lines.push(line);
        lines.push(format!("          {THEN}"));
    }
}

fn cut(text: &str, room: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= room {
        return text;
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// One piece of evidence in full.
#[must_use]
pub fn explained(item: &Item) -> Vec<String> {
    let mut lines = vec![
        format!("{}  {} is {}", item.id, item.node, item.verdict),
        format!("  class   {}", item.class.as_deref().unwrap_or("none")),
        format!("  seen    {}, since {}", item.at, item.since),
        format!("  counts  until {}", item.until),
        format!("  source  {}{}", item.source, if item.direct { "" } else { " (derived)" }),
    ];
    if item.count > 1 {
        lines.push(format!("  times   {}", item.count));
    }
    if let Some(run) = item.run {
        lines.push(format!("  run     {run}: jadactl logs {run}"));
    }
    lines.extend(item.text.lines().map(|line| format!("  text    {line}")));
    lines
}
