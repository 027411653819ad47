//! `auth login`, `auth authorize`: a person consents.
//!
//! Owns the conversation: what is printed, what is pasted, which browser is opened. Refuses to know the flows
//! (`credentials::login`) and to let a consent take the place of another one before it was tried.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, failed, line, refused};
use super::item::Item;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::print::note;
use crate::credentials::audit::Act;
use crate::credentials::declare::{Declaration, Provider};
use crate::credentials::login::device::DeviceLogin;
use crate::credentials::login::loopback::Loopback;
use crate::credentials::login::remote::{Errand, Waiting};
use crate::credentials::login::{self, Asking, Consent};
use crate::credentials::operator;
use crate::credentials::providers::World;
use crate::credentials::refresh::Why;
use crate::web::words::count;

/// How long a person has to consent.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Logins with one client from which people are warned.
const CROWDED: usize = 50;

/// Asks a person to consent, anew or for the first time.
///
/// The new consent must be of the same account, with all declared scopes, and a refresh with it must work;
/// only then it takes the place of the old one, which is never revoked. Blocked runs are released under each
/// job's catch_up. Without a flow, the browser of this host is used.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a flow is a flag of which there is one at most")]
pub(super) struct LoginArgs {
    /// Which
    name: String,
    /// With a browser on this host, or with one that reaches its port by ssh -L
    #[arg(long, group = "flow")]
    loopback: bool,
    /// With a browser on another machine, which runs jadactl auth authorize
    #[arg(long, group = "flow")]
    remote: bool,
    /// With a code that is typed in at another device
    #[arg(long, group = "flow")]
    device: bool,
    /// With any browser: paste the address that it could not open at the end
    #[arg(long, group = "flow")]
    paste_url: bool,
    /// The account that has to consent
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Ask for this scope besides the declared ones
    #[arg(long, value_name = "SCOPE")]
    add_scope: Vec<String>,
}

/// The other half of login --remote, on a machine with a browser.
///
/// Prints an answer to paste where the login waits. It is sealed for that login, and of no use to others.
#[derive(Debug, clap::Args)]
pub(super) struct AuthorizeArgs {
    /// What login --remote printed; - reads it from stdin
    request: String,
}

pub(super) async fn login(session: &mut Session, desk: &Desk, args: &LoginArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let name = &declaration.name;
    if !declaration.provider.spends_a_grant() {
        let key = declaration.provider.key();
        let error = Error::usage(format!("{name} is a `{key}`: nobody has to log in to it"));
        return Err(error.hint(format!("jadactl auth refresh {name} tries it")));
    }
    let nature = desk.nature(declaration);
    let ask = desk.ask(&nature, Why::Forced);
    // A consent that can't be kept is not asked for.
    let before = operator::begin(&ask).await.map_err(|evidence| failed(&evidence))?;
    undeclared(declaration, &args.add_scope);
    crowded(desk, declaration);
    let consent = Box::pin(consented(session, declaration, args, &desk.world)).await;
    let consent = consent.map_err(|error| refused(&error))?;
    let known = before.and_then(|record| record.account);
    let consent = as_account(consent, args.account.as_deref())?;
    let proven = Box::pin(proven(consent, declaration, known.as_deref(), &desk.world)).await;
    let kept = operator::consent(&ask, proven.map_err(|error| refused(&error))?).await;
    kept.map_err(|evidence| failed(&evidence))?;
    tell(session, desk, declaration)
}

/// Says of scopes that the next login would leave out.
fn undeclared(declaration: &Declaration, more: &[String]) {
    let declared = declaration.provider.scopes().unwrap_or_default();
    let missing =
        more.iter().filter(|scope| !declared.contains(&declaration.provider.scope(scope)));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if !missing.is_empty() {
        note(&format!(
            "add {} to the scopes of {} in jada.yaml too, or the next login leaves it out",
            missing.join(", "),
            declaration.name
        ));
    }
}

/// Google keeps 100 refresh tokens of an account and client, and drops the oldest without a word.
fn crowded(desk: &Desk, declaration: &Declaration) {
    let Provider::Google(_) = &declaration.provider else { return };
    let client = desk.nature(declaration).client;
    let same = |other: &&Arc<Declaration>| desk.nature(other).client == client;
    let logins = |declaration: &Arc<Declaration>| {
        let entries = desk.audit.read(&declaration.name).unwrap_or_default();
        entries.iter().filter(|entry| entry.event == Act::ReauthFinish).count()
    };
    let all: usize = desk.declarations.values().filter(same).map(logins).sum();
    if all >= CROWDED {
        note(&format!(
            "{all} logins with this client so far: Google keeps 100 refresh tokens of an account,\n\
             and drops the oldest without a word; jadactl auth revoke ends them all"
        ));
    }
}

async fn consented(
    session: &mut Session,
    declaration: &Declaration,
    args: &LoginArgs,
    world: &World,
) -> Result<Consent, login::Error> {
    let name = &declaration.name;
    if args.device {
        let device = DeviceLogin::start(declaration, &args.add_scope, world).await?;
        note(&format!("open {} and type in {}", device.address, device.user_code));
        if let Some(address) = &device.whole_address {
            note(&format!("or open {address}"));
        }
        return device.wait(declaration, world).await;
    }
    let asking = Asking::new(declaration, &args.add_scope, world).await?;
    let (code, redirect) = if args.remote {
        let waiting = Waiting::new(name, &asking)?;
        note("on a machine with a browser, run:\n");
        let text = format!("jadactl auth authorize {}", waiting.request());
        let _told = session.print.line(&text).and_then(|()| session.print.flush());
        note("\nthen paste here what it prints:");
        pasted(|answer| waiting.open(answer, &asking))?
    } else if args.paste_url {
        // Nobody listens there: the browser will show the address and an error.
        let redirect = open().await?.redirect();
        note(&format!("open this in any browser:\n\n{}\n", asking.url(&redirect)));
        note("the last page fails to load: paste its address here:");
        pasted(|address| Ok((asking.code_in(address)?, redirect.clone())))?
    } else {
        let loopback = open().await?;
        let (port, redirect) = (loopback.port(), loopback.redirect());
        let url = asking.url(&redirect);
        note(&format!("open this in a browser on this host:\n\n{url}\n"));
        note(&format!("or first, where the browser is: ssh -L {port}:127.0.0.1:{port} THIS-HOST"));
        browse(&url, world);
        (loopback.code(&asking, PATIENCE, &*world.clock).await?, redirect)
    };
    asking.redeem(&code, &redirect, declaration, world).await
}

async fn open() -> Result<Loopback, login::Error> {
    Loopback::open().await.map_err(|error| {
        login::Error::Malformed(format!("can't listen on 127.0.0.1: {error}; try --remote"))
    })
}

/// Reads until what was pasted is whole: terminals and mail break lines. An empty line ends it too.
fn pasted<T>(read: impl Fn(&str) -> Result<T, login::Error>) -> Result<T, login::Error> {
    let mut text = zeroize::Zeroizing::new(String::new());
    loop {
        let next = line().map_err(|error| login::Error::Malformed(error.message))?;
        let over = next.trim().is_empty();
        text.push_str(next.trim());
        match read(&text) {
            Err(_) if !over => {}
            result => return result,
        }
    }
}

/// Opens the address where there is a desktop. Whether that worked, the person sees.
fn browse(url: &str, world: &World) {
    let set = |name| (world.environment)(name).is_some_and(|value| !value.is_empty());
    if set("DISPLAY") || set("WAYLAND_DISPLAY") {
        let mut opening = Command::new("xdg-open");
        opening.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _not_there = opening.spawn();
    }
}

/// Refuses another account than the one on the command line.
fn as_account(mut consent: Consent, wanted: Option<&str>) -> Result<Consent> {
    let Some(wanted) = wanted else { return Ok(consent) };
    match &consent.account {
        Some(found) if !found.eq_ignore_ascii_case(wanted) => {
            let (expected, found) = (wanted.to_owned(), found.clone());
            Err(refused(&login::Error::OtherAccount { expected, found }))
        }
        Some(_) => Ok(consent),
        None => {
            consent.account = Some(wanted.to_owned());
            Ok(consent)
        }
    }
}

async fn proven(
    consent: Consent,
    declaration: &Declaration,
    known: Option<&str>,
    world: &World,
) -> Result<Consent, login::Error> {
    consent.check(declaration, known)?;
    consent.prove(declaration, world).await
}

fn tell(session: &mut Session, desk: &Desk, declaration: &Declaration) -> Result<Exit> {
    let item = Item::kept(desk, declaration);
    if session.print.json {
        session.print.json(&item)?;
        return Ok(Exit::Done);
    }
    let account = item.account.as_ref().map(|account| format!(" as {account}")).unwrap_or_default();
    session.print.line(&format!("{} is logged in{account}: {}", item.name, item.state.word()))?;
    if !item.jobs.is_empty() {
        let jobs = count(item.jobs.len() as u64, "job");
        session.print.note(&format!("what it blocked of {jobs} is released as catch_up says"))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn authorize(
    session: &mut Session,
    desk: &Desk,
    args: &AuthorizeArgs,
) -> Result<Exit> {
    let request = match args.request.as_str() {
        "-" => line()?.to_string(),
        request => request.to_owned(),
    };
    let errand = Errand::read(&request).map_err(|error| refused(&error))?;
    let loopback = open().await.map_err(|error| refused(&error))?;
    let url = errand.url(&loopback);
    note(&format!("{} asks for a consent at {}", errand.name(), errand.host()));
    note(&format!("open this in a browser on this machine:\n\n{url}\n"));
    browse(&url, &desk.world);
    let answer = errand.answer(loopback, PATIENCE, &*desk.world.clock).await;
    let answer = answer.map_err(|error| refused(&error))?;
    note("paste this where the login waits:\n");
    session.print.line(&answer)?;
    Ok(Exit::Done)
}
