//! `status`, `incidents`: how it stands, and what is wrong.
//!
//! Owns how they are said. Refuses to know how an incident comes about.

use jiff::Timestamp;

use super::Session;
use super::exit::{Exit, Result};
use super::print;
use super::table::cut;
use crate::model::{IncidentState, JobName, Severity, Verdict};
use crate::web::api::{IncidentItem, IncidentsQuery, Status};
use crate::web::client::Client;
use crate::web::words::{self, count};

/// Shows the daemon in a few lines: health, jobs, the last day, the next slot.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {}

/// Lists open incidents: root cause, proof, and the command that mends it.
#[derive(Debug, clap::Args)]
pub(super) struct IncidentsArgs {
    /// Also those that are over
    #[arg(long)]
    all: bool,
}

pub(super) async fn status(session: &mut Session, client: &Client) -> Result<Exit> {
    let status = client.status().await?;
    if session.print.json {
        session.print.json(&status)?;
    } else {
        for (heading, text) in lines(&status) {
            session.print.line(&format!("{heading:<10} {text}"))?;
        }
    }
    Ok(if status.health.ok { Exit::Done } else { Exit::BadNews })
}

fn lines(status: &Status) -> Vec<(&'static str, String)> {
    let health = match status.health.problem.as_str() {
        "" => "fine".to_owned(),
        problem => format!("ill: {problem}"),
    };
    let up = words::span(status.now.duration_since(status.started_at).unsigned_abs());
    let day: Vec<_> =
        status.last_day.iter().map(|(state, n)| format!("{n} {}", state.word())).collect();
    let next = status.next.as_ref().map(|next| {
        let (at, until) = (print::time(next.slot), words::until(next.slot, status.now));
        format!("{} {until}, at {at}", next.job)
    });
    let incidents = match status.incidents {
        0 => "none open".to_owned(),
        n => format!("{n} open; jadactl incidents tells more"),
    };
    let mut lines = vec![
        ("daemon", format!("{health}, version {}, up for {up}", status.health.version)),
        (
            "jobs",
            format!("{}, {} disabled, {} paused", status.jobs, status.disabled, status.paused),
        ),
        ("runs", format!("{} running, {} waiting", status.running, status.queued)),
    ];
    lines.extend(under_way(status));
    lines.extend([
        ("last 24h", if day.is_empty() { "nothing was due".into() } else { day.join(", ") }),
        ("next", next.unwrap_or_else(|| "nothing is due".into())),
        ("incidents", incidents),
    ]);
    lines.extend(looks_and_messages(status));
    lines
}

/// How the checks stand, and the messages that wait; nothing where there is neither.
fn looks_and_messages(status: &Status) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let all: u64 = status.checks.values().sum();
    if all > 0 {
        let each = status.checks.iter().map(|(verdict, n)| format!("{n} {}", verdict.word()));
        let mut text = each.collect::<Vec<_>>().join(", ");
        if status.checks.get(&Verdict::Ok) != Some(&all) {
            text.push_str("; jadactl checks tells more");
        }
        lines.push(("checks", text));
    }
    if status.undelivered + status.held > 0 {
        let text = format!(
            "{} not out yet, {} held on purpose",
            count(status.undelivered, "message"),
            status.held
        );
        lines.push(("alerts", format!("{text}: jadactl alerts --held")));
    }
    lines
}

/// Jobs held up by a run of their own that are told; --json has them all.
const HELD_UP: usize = 5;

/// The longest attempt, and the runs that cost their jobs one slot after the other.
fn under_way(status: &Status) -> Vec<(&'static str, String)> {
    let span = |since: Timestamp| words::span(status.now.duration_since(since).unsigned_abs());
    let mut lines = Vec::new();
    if let Some(longest) = &status.longest {
        let (run, since) = (longest.run, print::time(longest.since));
        let text =
            format!("{}, run {run}, for {}, since {since}", longest.job, span(longest.since));
        lines.push(("longest", text));
    }
    for held in status.held_up.iter().take(HELD_UP) {
        let (run, more) = (held.run, if held.more { " or more" } else { "" });
        let skipped = count(held.skipped, "slot");
        let (first, since) = (print::time(held.first), span(held.since));
        lines.push(("held up", format!("{}: {skipped}{more} skipped since {first}", held.job)));
        lines.push(("", format!("as run {run} goes on for {since} already: look at it with")));
        lines.push(("", format!("jadactl logs {run}, stop it with jadactl cancel {run}")));
    }
    let more = status.held_up.len().saturating_sub(HELD_UP);
    if more > 0 {
        lines.push(("", format!("{} more: jadactl status --json", count(more as u64, "job"))));
    }
    lines
}

pub(super) async fn incidents(
    session: &mut Session,
    client: &Client,
    args: IncidentsArgs,
) -> Result<Exit> {
    let incidents = client.incidents(IncidentsQuery { all: args.all, limit: None }).await?;
    if session.print.json {
        session.print.json(&incidents)?;
        return Ok(Exit::Done);
    }
    if incidents.is_empty() {
        session.print.note("no incident is open")?;
    }
    let now = super::now(client);
    for (n, incident) in incidents.iter().enumerate() {
        if n > 0 {
            session.print.line("")?;
        }
        for line in incident_lines(incident, now, session.print.width) {
            session.print.line(&line)?;
        }
    }
    Ok(Exit::Done)
}

fn incident_lines(incident: &IncidentItem, now: Timestamp, width: usize) -> Vec<String> {
    let severity = match incident.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let (since, seen) = (words::ago(incident.since, now), words::ago(incident.last_seen, now));
    let times = count(incident.count, "time");
    // What `jadactl ack` asks for.
    let id = incident.id.0;
    let state = match (incident.state, incident.resolved_at) {
        (IncidentState::Resolved, Some(at)) => {
            let (over, note) = (words::ago(at, now), &incident.note);
            format!("number {id}, over since {over}, opened {since}, seen {times}: {note}")
        }
        _ => format!("number {id}, opened {since}, seen {times}, last {seen}"),
    };
    // The title names what it is about.
    let title = format!("{severity}: {}", incident.title);
    let mut lines = print::wrapped(&title, width - 2);
    lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "  "));
    let more = words::incident(incident, now);
    let said = std::iter::once(state.as_str()).chain(more.iter().map(String::as_str));
    for line in said.chain(incident.detail.lines()) {
        lines.extend(print::wrapped(line, width - 2).iter().map(|line| format!("  {line}")));
    }
    let told = incident.root.starts_with("job/");
    if incident.affected.len() > usize::from(told) {
        let jobs: Vec<&str> = incident.affected.iter().map(JobName::as_str).collect();
        lines.push(cut(&format!("  jobs: {}", jobs.join(", ")), width));
    }
    if !incident.fix.is_empty() && incident.state == IncidentState::Open {
        // Never cut: it is there to be copied.
        lines.push(format!("  fix: {}", incident.fix));
    }
    lines
}
