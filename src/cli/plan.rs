//! `plan`: what will fire, from the same code that fires.
//!
//! Owns merging the slots of several jobs into one list. Refuses to know how a slot is found.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Session;
use super::exit::{Error, Exit, Result};
use super::table::Table;
use super::when::{When as Moment, duration, when};
use crate::clock::{Clock, SystemClock};
use crate::model::JobName;
use crate::plan::schedule::{Occurrence, Schedule, TriggerSpec, When};

/// Slots that are shown when neither a number nor a span is asked for.
const COUNT: usize = 10;
use crate::yaml::decode::nearest;

/// Shows what will fire: of all jobs, of some, or of a cron expression.
///
/// Works without a daemon. JSON: objects with job, slot, note.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these jobs
    #[arg(value_name = "JOB")]
    jobs: Vec<String>,
    /// Instead of jobs, this expression: '*/5 * * * *', '@daily'
    #[arg(long, value_name = "EXPR", conflicts_with = "jobs")]
    cron: Option<String>,
    /// The time zone of the expression [default: UTC]
    #[arg(long, value_name = "TZ", requires = "cron", value_parser = zone)]
    timezone: Option<TimeZone>,
    /// From then on: 2026-11-25, 2026-11-25T09:00Z, 'in 2h' [default: now]
    #[arg(long, value_name = "TIME", value_parser = when)]
    from: Option<Moment>,
    /// So long: 12h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    span: Option<Duration>,
    /// So many slots [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "span",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// A slot to come, as JSON has it.
#[derive(Debug, Serialize)]
struct Row {
    job: String,
    /// RFC 3339, with the offset of the job's zone.
    slot: String,
    note: String,
    #[serde(skip)]
    at: Timestamp,
}

/// A job's name, for a cron expression the word `cron`, and its schedule.
type Named = (String, Arc<Schedule>);

pub(super) fn run(session: &mut Session, args: &Args) -> Result<Exit> {
    let now = SystemClock.now();
    let local = args.timezone.clone().unwrap_or(TimeZone::UTC);
    let from = args.from.as_ref().map(|from| from.instant(now, &local)).transpose();
    let from = from.map_err(Error::usage)?.unwrap_or(now);
    let until = match args.span {
        Some(span) => from.checked_add(span).map_err(|_| Error::usage("--for is too long"))?,
        None => Timestamp::MAX,
    };
    let most = match (args.span, args.count) {
        (Some(_), _) => usize::MAX,
        (None, count) => count.map_or(COUNT, |count| usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let (schedules, exit) = match &args.cron {
        Some(cron) => (vec![expression(cron, &local)?], Exit::Done),
        None => of_jobs(session, &args.jobs)?,
    };
    let rows = merged(&schedules, from).take_while(|row| row.at < until).take(most);
    if session.print.json {
        return exit.after(session.print.json_list(rows));
    }
    let mut table = Table::new(["SLOT", "JOB", "NOTE"]);
    for row in rows {
        table.row([row.slot, row.job, row.note]);
    }
    exit.after(session.print.table(&table, "nothing is due in that time"))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name)
        .map_err(|_| "there is no such time zone: write it like Europe/Berlin".into())
}

fn expression(cron: &str, zone: &TimeZone) -> Result<Named> {
    let spec =
        TriggerSpec { timezone: zone.clone(), ..TriggerSpec::new(When::Cron(cron.to_owned())) };
    let schedule = Schedule::compile(&[spec], "cron").map_err(|errors| {
        let error = errors.into_iter().next().expect("a refusal has a reason");
        let marked = error.range.map(|range| {
            let before = cron.get(..range.start).unwrap_or_default().chars().count();
            let length = cron.get(range).unwrap_or_default().chars().count().max(1);
            format!("\n  {cron}\n  {}{}", " ".repeat(before), "^".repeat(length))
        });
        Error::usage(format!("{}{}", error.message, marked.unwrap_or_default())).hint(error.help)
    })?;
    Ok(("cron".into(), Arc::new(schedule)))
}

/// The schedules of the named jobs, or of all that are enabled.
fn of_jobs(session: &mut Session, names: &[String]) -> Result<(Vec<Named>, Exit)> {
    let (catalog, exit) = session.catalog()?;
    let mut found = Vec::new();
    for name in names {
        let job = catalog.jobs.values().find(|job| job.name.as_str() == name);
        let job = job.ok_or_else(|| {
            let known = catalog.jobs.keys().map(JobName::as_str);
            let hint = match nearest(name, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => "jadactl validate tells what is wrong with the job files".to_owned(),
            };
            Error::new(Exit::Refused, format!("there is no good job '{name}'")).hint(hint)
        })?;
        if !job.enabled {
            session.print.note(&format!("{name} is disabled: none of this fires"))?;
        }
        found.push(job);
    }
    if names.is_empty() {
        found.extend(catalog.jobs.values().filter(|job| job.enabled));
    }
    Ok((found.iter().map(|job| (job.name.to_string(), job.schedule.clone())).collect(), exit))
}

/// The slots of all schedules from `from` on, in order.
fn merged(schedules: &[Named], from: Timestamp) -> impl Iterator<Item = Row> {
    let mut next: Vec<_> =
        schedules.iter().map(|(_, schedule)| schedule.preview(from).peekable()).collect();
    let mut order: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    for (place, slots) in next.iter_mut().enumerate() {
        order.extend(slots.peek().map(|slot| Reverse((slot.due.slot, place))));
    }
    std::iter::from_fn(move || {
        let Reverse((_, place)) = order.pop()?;
        let Occurrence { due, local, note } = next[place].next()?;
        order.extend(next[place].peek().map(|slot| Reverse((slot.due.slot, place))));
        Some(Row { job: schedules[place].0.clone(), slot: local, note, at: due.slot })
    })
}
