//! `jadactl doctor`: what is wrong, why, and what mends it.
//!
//! Owns the steps of a visit: what is known, a diagnosis, looks at what nobody knows, a second diagnosis; and
//! the same on another host over ssh. Refuses to decide anything: that is `diagnosis`.

use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit::{Error, Exit, Result};
use super::when::{self, When};
use super::{Session, auth, print, runtime};
use crate::clock::{Clock, SystemClock, within};
use crate::credentials::exchange::Wire;
use crate::diagnosis::answer::{Confidence, Diagnosis, Overall, Root};
use crate::diagnosis::judge::Case;
use crate::diagnosis::{diagnose, probes, snapshot, text};
use crate::model::{Subject, SubjectKind};
use crate::spec::Config;

/// The codes, as the help shows them.
const HELP: &str = "\
Exit codes, as of a monitoring plugin:
  0  all clear
  1  nothing fails, something is worth a look
  2  something fails
  3  it could not be found out

Each line cites what it comes from: --explain E7 shows that. It works with the
daemon dead, and asks the network only what changes nothing.";

/// Longest that a credential may take to say whether it works.
const TOKEN: Duration = Duration::from_secs(10);

/// Finds what is wrong: the root cause, since when, the proof, what it hits, what it is not, and the command
/// that mends it.
///
/// JSON: verdict, at, roots (node, class, confidence, since, recurrence, evidence, affected, ruled_out, fix),
/// warnings, other, blind, oldest_evidence, evidence, schema.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct DoctorArgs {
    /// Ask nobody: only what is known here
    #[arg(long)]
    offline: bool,
    /// Only what began since then: 2h, 2026-11-25T10:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::when)]
    since: Option<When>,
    /// Show one piece of evidence in full: E7
    #[arg(long, value_name = "E1", value_parser = number)]
    explain: Option<String>,
    /// Look anew at each root, and say whether it is mended
    #[arg(long, conflicts_with = "offline")]
    verify: bool,
    /// Ask jadactl on another host, over ssh
    #[arg(long, value_name = "NAME", value_parser = host)]
    host: Option<String>,
}

/// The number of a piece of evidence.
fn number(text: &str) -> Result<String, String> {
    let digits = text.trim_start_matches(['E', 'e']);
    match digits.parse::<u32>() {
        Ok(number) => Ok(format!("E{number}")),
        Err(_) => Err(format!("'{text}' is no number of evidence: write it like E7")),
    }
}

/// A host as ssh takes it; what ssh would read as an option is none.
fn host(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the host has no name".to_owned()),
        _ if text.starts_with('-') || text.chars().any(char::is_whitespace) => {
            Err(format!("'{text}' is no host"))
        }
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn run(session: &mut Session, args: &DoctorArgs) -> Result<Exit> {
    let found = match &args.host {
        Some(host) => elsewhere(host, args),
        None => runtime()?.block_on(here(session, args)),
    };
    match found {
        Ok((answer, verified)) => show(session, args, &answer, &verified),
        // Who can't look has found nothing out, whatever the reason.
        Err(error) => Err(Error { exit: Exit::Blind, ..error }),
    }
}

/// An answer, and what a second look came to.
type Visit = (Diagnosis, Vec<String>);

async fn here(session: &Session, args: &DoctorArgs) -> Result<Visit> {
    let config = session.config()?;
    if !config.is_good() {
        print::note("the settings have errors, so defaults may stand in: see jadactl validate");
    }
    let clock = SystemClock;
    let since = since(args)?;
    let mut case = case(session, &config, since).await;
    let mut answer = diagnose(case.clone());
    if args.offline {
        return Ok((answer, Vec::new()));
    }
    let first = answer.clone();
    let tried = credentials(&answer, args.verify);
    if !tried.is_empty() {
        let trying = auth::try_all(session, &tried);
        if within(&clock, TOKEN, Box::pin(trying)).await.is_none() {
            case.blind.push(format!("{}: no answer within {TOKEN:?}", tried.join(", ")));
        }
        let blind = std::mem::take(&mut case.blind);
        case = Case { blind, ..self::case(session, &config, since).await };
    }
    let reaches = probes::worth(&answer, &case.graph, &case.board, args.verify);
    if !reaches.is_empty() {
        let wire = Wire::new(std::sync::Arc::new(SystemClock));
        let found = probes::look(reaches, &wire, &clock).await;
        if args.verify {
            for one in &found {
                case.board.forget(&one.subject);
            }
        }
        for one in found {
            case.board.add(one);
        }
    }
    answer = diagnose(case);
    let verified = if args.verify { compared(&first, &answer) } else { Vec::new() };
    Ok((answer, verified))
}

fn since(args: &DoctorArgs) -> Result<Option<Timestamp>> {
    let instant = |when: &When| when.instant(SystemClock.now(), &TimeZone::UTC);
    args.since.as_ref().map(instant).transpose().map_err(Error::usage)
}

/// Everything that is known, with commands that reach the same files when they are typed.
async fn case(session: &Session, config: &Config, since: Option<Timestamp>) -> Case {
    let mut case = snapshot::take(&config.settings, &SystemClock).await;
    let options = session.options();
    snapshot::bad_settings(&mut case, config, format!("jadactl validate{options}"));
    if let Some(start) = case.mends.get_mut(&Subject::daemon()).filter(|mend| *mend == "jada-agent")
    {
        start.push_str(&options);
    }
    Case { since, ..case }
}

/// The credentials that are worth a try: those that something may hang on, and that nobody has tried. A dead one
/// is not asked again.
fn credentials(answer: &Diagnosis, verify: bool) -> Vec<String> {
    let unsure =
        answer.roots.iter().filter(|root| root.confidence < Confidence::Confirmed || verify);
    let nodes = unsure.flat_map(|root| root.perhaps.iter().chain([&root.node]));
    let nodes = nodes.filter_map(|node| Subject::parse(node));
    let mut names: Vec<String> = nodes
        .filter(|node| node.kind() == SubjectKind::Credential)
        .map(|node| node.rest().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What became of the roots of the first look.
fn compared(before: &Diagnosis, after: &Diagnosis) -> Vec<String> {
    let told = before.roots.iter().map(|root| {
        let same = |other: &&Root| other.node == root.node;
        match after.roots.iter().find(same) {
            None => format!("mended  {}", root.title),
            Some(still) => format!("still   {}", still.title),
        }
    });
    told.collect()
}

fn show(
    session: &mut Session,
    args: &DoctorArgs,
    answer: &Diagnosis,
    verified: &[String],
) -> Result<Exit> {
    if let Some(id) = &args.explain {
        let item = answer.evidence.iter().find(|item| item.id == *id);
        let item = item.ok_or_else(|| {
            let cited = answer.evidence.len();
            Error::new(Exit::Blind, format!("nothing is called {id}: E1 to E{cited} are cited now"))
        })?;
        if session.print.json {
            session.print.json(item)?;
        } else {
            text::explained(item).iter().try_for_each(|line| session.print.line(line))?;
        }
        return Ok(exit(answer.verdict));
    }
    if session.print.json {
        session.print.json(answer)?;
        return Ok(exit(answer.verdict));
    }
    for line in text::lines(answer).iter().chain(verified) {
        session.print.line(line)?;
    }
    Ok(exit(answer.verdict))
}

fn exit(verdict: Overall) -> Exit {
    match verdict {
        Overall::Clear => Exit::Done,
        Overall::Warning => Exit::Warned,
        Overall::Failing => Exit::Ill,
        Overall::Unknown => Exit::Blind,
    }
}

/// The same over there: its own jadactl looks, since only that one sees its disk, its clock and its store.
fn elsewhere(host: &str, args: &DoctorArgs) -> Result<Visit> {
    let mut words = vec!["jadactl".to_owned(), "--json".to_owned(), "doctor".to_owned()];
    words.extend(args.offline.then(|| "--offline".to_owned()));
    words.extend(args.verify.then(|| "--verify".to_owned()));
    words.extend(since(args)?.map(|at| format!("--since={at}")));
    let asked = Command::new("ssh")
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", host])
        .arg(words.join(" "))
        .output();
    let blind = |message: String| Error::new(Exit::Blind, message);
    let output = asked.map_err(|error| blind(format!("can't run ssh: {error}")))?;
    let answer = serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or("it said nothing").to_owned();
        blind(format!("{host} gives no diagnosis: {said}"))
            .hint(format!("try: ssh {host} jadactl doctor"))
    })?;
    Ok((answer, Vec::new()))
}
