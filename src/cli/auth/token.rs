//! `auth token`: the one verb that prints a secret.
//!
//! Owns its conditions: a job that is bound to the credential, a host that may see it, a terminal or a word
//! that none is wanted, and a line in the audit before anything is printed.

use std::io::IsTerminal as _;
use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use serde::Serialize;

use super::desk::{Desk, failed};
use super::item::Item;
use super::keep::trouble;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::credentials::audit::Act;
use crate::credentials::declare::Declaration;
use crate::credentials::mint::TokenValue;
use crate::credentials::record::Record;
use crate::credentials::refresh::Why;
use crate::model::JobName;
use crate::spec::Job;
use crate::web::words;

/// Prints a token, for debugging. Each time is written down.
///
/// Only on a terminal, unless --allow-no-tty is given; only for a job that uses the credential, and for a host
/// that may see it.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// Which
    name: String,
    /// The job as which it is asked for
    #[arg(long, value_name = "JOB")]
    job: String,
    /// The host that it is meant for: api.example.com, 127.0.0.1:8080
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    audience: String,
    /// Print it also where stdout is no terminal
    #[arg(long)]
    allow_no_tty: bool,
}

/// A token, as JSON has it.
#[derive(Serialize)]
struct Printed<'a> {
    token: &'a str,
    expires_at: Option<Timestamp>,
}

pub(super) async fn token(session: &mut Session, desk: &Desk, args: &TokenArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let name = &declaration.name;
    let job = job(desk, declaration, &args.job)?;
    audience(declaration, &args.audience)?;
    if !args.allow_no_tty && !std::io::stdout().is_terminal() {
        let message = "a token is printed on a terminal only, and stdout is none";
        let error = Error::new(Exit::BadNews, message);
        return Err(error.hint("--allow-no-tty prints it all the same; that is written down"));
    }
    let min_ttl = job.bindings.iter().find(|b| b.credential == *name).map(|b| b.min_ttl);
    let why = Why::Stale { min_ttl: min_ttl.unwrap_or_default(), asked_at: desk.now() };
    let end = Box::pin(desk.refresh(declaration, why)).await;
    if let Ok(record) = &end {
        return print(session, desk, record, args);
    }
    let item = Item::tried(desk, declaration, &end);
    let exit = if item.exit() == Exit::Done { Exit::BadNews } else { item.exit() };
    Err(trouble(&item, exit))
}

/// The job of that name, which must be bound to the credential.
pub(super) fn job<'a>(
    desk: &'a Desk,
    declaration: &Declaration,
    text: &str,
) -> Result<&'a Arc<Job>> {
    let name = &declaration.name;
    let parsed = JobName::parse(text).ok();
    let found = parsed.and_then(|parsed| desk.catalog.jobs.get(&parsed));
    let users: Vec<String> = desk.jobs(name).iter().map(ToString::to_string).collect();
    let hint = match users.as_slice() {
        [] => format!("no job uses {name}: bind it with `credentials: {{ api: {name} }}`"),
        users => format!("it is used by {}", users.join(", ")),
    };
    match found {
        None => Err(Error::usage(format!("no job '{text}' is in force")).hint(hint)),
        Some(job) if !job.credentials().any(|needed| needed == name) => {
            Err(Error::usage(format!("job {text} does not use {name}")).hint(hint))
        }
        Some(job) => Ok(job),
    }
}

/// Refuses a host that may not see it.
fn audience(declaration: &Declaration, text: &str) -> Result<()> {
    let (host, port) = match text.rsplit_once(':').map(|(host, port)| (host, port.parse().ok())) {
        Some((host, Some(port))) => (host, Some(port)),
        _ => (text, None),
    };
    if declaration.may_go_to(host, port) {
        return Ok(());
    }
    let hosts = declaration.allowed_hosts().join(", ");
    let name = &declaration.name;
    Err(Error::usage(format!("{name} may not be shown to {text}")).hint(match hosts.as_str() {
        "" => format!("no host may see it: name some under `hosts` of {name} in jada.yaml"),
        hosts => format!("these may see it: {hosts}"),
    }))
}

fn print(session: &mut Session, desk: &Desk, record: &Record, args: &TokenArgs) -> Result<Exit> {
    let token =
        record.token.as_ref().ok_or_else(|| Error::new(Exit::BadNews, "there is no token"))?;
    let mut entry = desk.audit.entry(record, Act::Export, desk.now());
    entry.job = JobName::parse(&args.job).ok();
    entry.words = Some(format!("printed for {}", args.audience));
    entry.fingerprint = desk.audit.fingerprint(secret(&token.value)).ok();
    // What can't be written down is not printed.
    desk.audit.append(&entry).map_err(|evidence| failed(&evidence))?;
    let text = text(&token.value);
    if session.print.json {
        session.print.json(&Printed { token: &text, expires_at: token.expires_at })?;
        return Ok(Exit::Done);
    }
    session.print.line(&text)?;
    if let Some(at) = token.expires_at {
        session.print.note(&format!("good until {at}, {}", words::until(at, desk.now())))?;
    }
    Ok(Exit::Done)
}

fn secret(value: &TokenValue) -> &str {
    match value {
        TokenValue::Bearer(secret)
        | TokenValue::Basic { password: secret, .. }
        | TokenValue::Header { key: secret, .. }
        | TokenValue::Aws { secret_access_key: secret, .. } => secret.expose(),
    }
}

/// As tools take it on a command line.
fn text(value: &TokenValue) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(match value {
        TokenValue::Bearer(token) => token.expose().to_owned(),
        TokenValue::Basic { user, password } => format!("{user}:{}", password.expose()),
        TokenValue::Header { key, .. } => key.expose().to_owned(),
        TokenValue::Aws { access_key_id, secret_access_key, session_token } => {
            let session = session_token.as_ref().map(|token| format!(":{}", token.expose()));
            format!("{access_key_id}:{}{}", secret_access_key.expose(), session.unwrap_or_default())
        }
    })
}
