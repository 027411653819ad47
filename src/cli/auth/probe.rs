//! `auth test`: exactly what a job needs of a credential.
//!
//! Owns the steps: a token for long enough, the scopes, a host that may see it, and a harmless read where an
//! address is given. Refuses to change anything.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::desk::Desk;
use super::item::{Item, exit_of, worst};
use super::token::job;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::credentials::declare::Declaration;
use crate::credentials::evidence::{missing_scopes, of_api};
use crate::credentials::exchange::Reply;
use crate::credentials::operator;
use crate::credentials::record::Record;
use crate::credentials::refresh::Why;
use crate::kinds::template;
use crate::model::Binding;
use crate::spec::Job;
use crate::web::words;

/// Tries what a job needs of a credential: a token for long enough, the scopes, and a read.
///
/// JSON: objects with step, ok, words.
#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// Which
    name: String,
    /// The job
    #[arg(long, value_name = "JOB")]
    job: String,
    /// Read this address with it, with one GET, instead of those that the job's own checks ask
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// One step.
#[derive(Serialize)]
struct Step {
    #[serde(rename = "step")]
    what: &'static str,
    ok: bool,
    words: String,
    #[serde(skip)]
    exit: Exit,
}

pub(super) async fn test(session: &mut Session, desk: &Desk, args: &TestArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let job = job(desk, declaration, &args.job)?;
    let binding = job.bindings.iter().find(|bound| bound.credential == declaration.name);
    let min_ttl = binding.map(|binding| binding.min_ttl).unwrap_or_default();
    let why = Why::Stale { min_ttl, asked_at: desk.now() };
    let end = Box::pin(desk.refresh(declaration, why)).await;
    let item = Item::tried(desk, declaration, &end);
    let mut steps = Vec::new();
    match &end {
        Err(_) => steps.push(step("token", Err((refusal(&item), item.words.clone())))),
        Ok(record) => {
            steps.push(step("token", lasts(record, min_ttl, desk.now())));
            steps.push(step("scopes", scopes(declaration, binding, record)));
            for url in addresses(args, job, binding) {
                steps.push(step("read", Box::pin(read(desk, declaration, record, &url)).await?));
            }
        }
    }
    let exit = worst_of(&steps);
    if session.print.json {
        session.print.json_list(steps.iter())?;
        return Ok(exit);
    }
    for Step { what, ok, words, .. } in &steps {
        let mark = if *ok { "ok" } else { "failed" };
        session.print.line(&format!("{what:<7} {mark:<7} {words}"))?;
    }
    if let Some(fix) = item.fix.filter(|_| exit != Exit::Done) {
        session.print.note(&format!("fix: {fix}"))?;
    }
    Ok(exit)
}

/// Asks for a token of each of these, as a job would: one that is known to be dead is not asked for again.
/// Names that are not declared are left out.
pub(in crate::cli) async fn try_all(session: &Session, names: &[String]) -> Result<()> {
    let desk = Desk::open(session).await?;
    for name in names {
        let Ok(declaration) = desk.find(name) else { continue };
        let why = Why::Stale { min_ttl: Duration::ZERO, asked_at: desk.now() };
        // How it went is in its record, which is what is looked at.
        let _recorded = Box::pin(desk.refresh(declaration, why)).await;
    }
    Ok(())
}

/// What is read: the given address, or what the job itself asks with the credential.
fn addresses(args: &TestArgs, job: &Job, binding: Option<&Binding>) -> Vec<String> {
    if let Some(url) = &args.url {
        return vec![url.clone()];
    }
    let Some(binding) = binding else { return Vec::new() };
    let shown = job.work.shown().into_iter().filter(|shown| shown.is_read);
    let own = shown.filter(|shown| shown.binding.value == *binding.name);
    let addresses = own.filter_map(|shown| shown.address).map(|url| url.value.clone());
    // An address with a template in it is known when the job runs.
    addresses.filter(|url| !template::is_template(url)).collect()
}

fn step(what: &'static str, end: Result<String, (Exit, String)>) -> Step {
    match end {
        Ok(words) => Step { what, ok: true, words, exit: Exit::Done },
        Err((exit, words)) => Step { what, ok: false, words, exit },
    }
}

fn refusal(item: &Item) -> Exit {
    if item.exit() == Exit::Done { Exit::BadNews } else { item.exit() }
}

fn worst_of(steps: &[Step]) -> Exit {
    let worst = worst(steps.iter().map(|step| step.exit));
    let failed = steps.iter().any(|step| !step.ok);
    if worst == Exit::Done && failed { Exit::BadNews } else { worst }
}

/// Whether the token is good for as long as the job needs.
fn lasts(record: &Record, min_ttl: Duration, now: Timestamp) -> Result<String, (Exit, String)> {
    let end = record.token.as_ref().and_then(|token| token.expires_at);
    let Some(end) = end else { return Ok("good, without a known end".to_owned()) };
    if end.duration_since(now) < SignedDuration::try_from(min_ttl).unwrap_or(SignedDuration::MAX) {
        let (left, needed) = (words::until(end, now), words::span(min_ttl));
        let words = format!("it ends {left}, and the job wants {needed}: lower its min_ttl");
        return Err((Exit::BadNews, words));
    }
    Ok(format!("good until {end}, {}", words::until(end, now)))
}

/// Whether what was granted covers what the job asks for.
fn scopes(
    declaration: &Declaration,
    binding: Option<&Binding>,
    record: &Record,
) -> Result<String, (Exit, String)> {
    let declared = declaration.provider.scopes().unwrap_or_default();
    let needed =
        binding.map(|binding| binding.scopes.as_slice()).filter(|needed| !needed.is_empty());
    let needed = needed.unwrap_or(declared);
    let granted = record.token.as_ref().and_then(|token| token.scopes.as_deref());
    match (needed, granted) {
        ([], _) => Ok("none are asked for".to_owned()),
        (needed, None) => Ok(format!("asked for, and not refused: {}", needed.join(" "))),
        (needed, Some(granted)) => match missing_scopes(needed, Some(granted)).as_slice() {
            [] => Ok(format!("granted: {}", needed.join(" "))),
            missing => Err((Exit::Reauth, format!("not granted: {}", missing.join(" ")))),
        },
    }
}

/// One harmless read.
async fn read(
    desk: &Desk,
    declaration: &Declaration,
    record: &Record,
    url: &str,
) -> Result<Result<String, (Exit, String)>> {
    let token = record.token.as_ref().map(|token| &token.value);
    let token = token.ok_or_else(|| Error::new(Exit::BadNews, "there is no token"))?;
    let request = operator::read_with(declaration, token, url)
        .map_err(|words| Error::usage(format!("{url}: {words}")))?;
    Ok(match desk.world.wire.send(request).await {
        Reply::NoAnswer { words, .. } => Err((Exit::Failing, words)),
        Reply::Answer(answer) => {
            let words = format!("HTTP {} from {}", answer.status, answer.host);
            match of_api(answer.status, answer.www_authenticate.as_deref(), &answer.body) {
                Some(evidence) => Err((
                    exit_of(evidence.class),
                    format!("{words}: {}", evidence.class.sentence()),
                )),
                None if answer.status < 400 => Ok(words),
                None => Err((Exit::BadNews, words)),
            }
        }
    })
}
