//! `notify`, `silence`, `ack`, `alerts`: who is told what, and who wants to be left alone.
//!
//! Owns their words. Refuses to know how anybody is told.

use std::time::Duration;

use clap::Subcommand;

use super::exit::{Exit, Result};
use super::table::Table;
use super::{Session, print, when};
use crate::clock::{Clock, SystemClock};
use crate::model::{IncidentId, SilenceId, Told};
use crate::web::client::Client;
use crate::web::telling::{AckOrder, NotificationItem, NotificationsQuery, SilenceOrder};
use crate::web::words;

/// Looks after notifiers: who can be told, and whether the way works.
#[derive(Debug, clap::Args)]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    verb: NotifyVerb,
}

#[derive(Debug, Subcommand)]
enum NotifyVerb {
    /// Lists the notifiers: way, what waits, when they were last told something.
    List,
    /// Sends a test, the same way as every other message, and says what happened.
    Test {
        /// The notifier, as jada.yaml names it
        name: String,
    },
}

/// Asks for silence about nodes: what begins there is told when the silence ends.
///
/// Only beginnings are held: the end of what was told before is still told. Checking goes on.
#[derive(Debug, clap::Args)]
pub(super) struct SilenceArgs {
    #[command(subcommand)]
    verb: SilenceVerb,
}

#[derive(Debug, Subcommand)]
enum SilenceVerb {
    /// Begins a silence. It always has an end.
    Add {
        /// The node, such as job/backup, or several: 'site/*'
        node: String,
        /// For how long: 30m, 2h, 1d
        #[arg(long = "for", value_name = "TIME", value_parser = when::duration)]
        time: Duration,
        /// Why, for whoever looks later
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Lists the silences in force.
    List,
    /// Ends a silence now.
    End {
        /// Its number, as jadactl silence list lists it
        #[arg(value_name = "NUMBER")]
        silence: i64,
    },
}

/// Says that you know of an incident: no reminder follows, its end is still told.
#[derive(Debug, clap::Args)]
pub(super) struct AckArgs {
    /// The incident's number, as jadactl incidents lists it
    #[arg(value_name = "INCIDENT")]
    incident: i64,
    /// What you do about it, for whoever looks later
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Lists what is still to be told, and why it waits.
///
/// JSON: objects with id, incident, title, notifier, event, state, created_at, ended_at, tries, held_by,
/// held, until, error.
#[derive(Debug, clap::Args)]
pub(super) struct AlertsArgs {
    /// Only what something holds: a silence, a maintenance window, a limit, a notifier that fails
    #[arg(long, conflicts_with = "all")]
    held: bool,
    /// Also what is over
    #[arg(long)]
    all: bool,
}

pub(super) async fn notify(
    session: &mut Session,
    client: &Client,
    args: NotifyArgs,
) -> Result<Exit> {
    match args.verb {
        NotifyVerb::List => list(session, client).await,
        NotifyVerb::Test { name } => test(session, client, &name).await,
    }
}

async fn list(session: &mut Session, client: &Client) -> Result<Exit> {
    let notifiers = client.notifiers().await?;
    if session.print.json {
        session.print.json(&notifiers)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["NOTIFIER", "WAY", "WAITING", "LAST TOLD", "FALLBACK", "TROUBLE"]);
    for one in notifiers {
        table.row([
            one.name,
            one.way,
            one.waiting.to_string(),
            one.told_at.map_or_else(|| "-".into(), |at| words::ago(at, now)),
            if one.fallback.is_empty() { "-".into() } else { one.fallback.join(", ") },
            if one.error.is_empty() { "-".into() } else { one.error },
        ]);
    }
    session.print.table(&table, "nobody is told of anything: add `notifiers` to jada.yaml")?;
    Ok(Exit::Done)
}

/// The longest that a test is waited for: the longest try, and some time for what goes before it.
const TEST_WAIT: Duration = Duration::from_secs(120);

/// Looks at a test's row this often; the daemon is on the same machine.
const TEST_LOOK: Duration = Duration::from_millis(200);

async fn test(session: &mut Session, client: &Client, name: &str) -> Result<Exit> {
    let started = client.test_notifier(name).await?.notification;
    let mut waited = Duration::ZERO;
    let row = loop {
        let row = client.notification(started).await?;
        let held = row.held_by.is_some_and(|by| by != crate::model::Hold::Down);
        if row.state != Told::Waiting || held || waited >= TEST_WAIT {
            break row;
        }
        SystemClock.sleep(TEST_LOOK).await;
        waited += TEST_LOOK;
    };
    let good = row.state == Told::Delivered;
    if session.print.json {
        session.print.json(&row)?;
    } else {
        session.print.line(&outcome(name, &row))?;
    }
    Ok(if good { Exit::Done } else { Exit::BadNews })
}

fn outcome(name: &str, row: &NotificationItem) -> String {
    match (row.state, row.held.as_str()) {
        (Told::Delivered, _) => format!("{name} took it"),
        (Told::Waiting, "") => format!("{name} has not answered yet: jadactl alerts tells more"),
        (Told::Waiting, why) => format!("it waits: {why}"),
        (Told::GivenUp | Told::Dropped | Told::Carried, _) => {
            format!("{name} was not told: {}", row.error)
        }
    }
}

pub(super) async fn silence(
    session: &mut Session,
    client: &Client,
    args: SilenceArgs,
) -> Result<Exit> {
    match args.verb {
        SilenceVerb::Add { node, time, reason } => {
            let order = SilenceOrder { pattern: node, seconds: time.as_secs(), reason, by: user() };
            let silence = client.silence(&order).await?;
            if session.print.json {
                session.print.json(&silence)?;
            } else {
                let (id, until) = (silence.id, print::time(silence.until));
                let node = silence.pattern;
                session.print.line(&format!("silence {id}: {node} until {until}"))?;
                session.print.line(&format!(
                    "what begins there is told then; jadactl silence end {id} ends it"
                ))?;
            }
            Ok(Exit::Done)
        }
        SilenceVerb::List => silences(session, client).await,
        SilenceVerb::End { silence } => {
            let done = client.end_silence(SilenceId(silence)).await?;
            if session.print.json {
                session.print.json(&done)?;
            } else {
                session.print.line(&format!("silence {silence} is over"))?;
            }
            Ok(Exit::Done)
        }
    }
}

async fn silences(session: &mut Session, client: &Client) -> Result<Exit> {
    let silences = client.silences().await?;
    if session.print.json {
        session.print.json(&silences)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["SILENCE", "NODES", "ENDS", "BY", "REASON"]);
    for one in silences {
        let ends = words::until(one.until, now);
        table.row([one.id.to_string(), one.pattern, ends, one.by, one.reason]);
    }
    session.print.table(&table, "nobody asked for silence")?;
    Ok(Exit::Done)
}

pub(super) async fn ack(session: &mut Session, client: &Client, args: AckArgs) -> Result<Exit> {
    let incident = IncidentId(args.incident);
    let by = if args.note.is_empty() { user() } else { format!("{}: {}", user(), args.note) };
    let done = client.acknowledge(incident, AckOrder { by }).await?;
    if session.print.json {
        session.print.json(&done)?;
    } else {
        session.print.line(&format!("incident {incident}: no more reminders; its end is told"))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn alerts(
    session: &mut Session,
    client: &Client,
    args: AlertsArgs,
) -> Result<Exit> {
    let query = NotificationsQuery { all: args.all, limit: None };
    let mut rows = client.notifications(query).await?;
    rows.retain(|row| !args.held || row.held_by.is_some());
    if session.print.json {
        session.print.json(&rows)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["ROW", "WRITTEN", "TO", "EVENT", "STATE", "UNTIL", "WHY", "ABOUT"]);
    for row in rows {
        let why = if row.held.is_empty() { row.error } else { row.held };
        table.row([
            row.id.to_string(),
            words::ago(row.created_at, now),
            row.notifier,
            row.event.word().to_owned(),
            row.held_by.map_or(row.state.word(), |by| by.word()).to_owned(),
            row.until.map_or_else(|| "-".into(), |at| words::until(at, now)),
            if why.is_empty() { "-".into() } else { why },
            if row.title.is_empty() { "-".into() } else { row.title },
        ]);
    }
    let none = if args.held { "nothing is held" } else { "everything is told" };
    session.print.table(&table, none)?;
    Ok(Exit::Done)
}

/// Who types, for whoever looks later. It grants nothing: the socket is the daemon's own user's.
fn user() -> String {
    let named = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    named("SUDO_USER").or_else(|| named("USER")).unwrap_or_else(|| "somebody".to_owned())
}
