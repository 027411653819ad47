//! `jadactl auth`: whom jobs may act as, in the hands of an operator.
//!
//! Owns the verbs and their exit codes; one file for each group of them. Refuses to need the daemon: every
//! verb works on the same files under the same locks, and a daemon that runs sees what changed.

mod add;
mod desk;
mod hold;
mod import;
mod item;
mod keep;
mod log;
mod login;
mod probe;
mod revoke;
mod rotate;
mod show;
mod simulate;
mod text;
mod token;

use clap::Subcommand;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

pub(super) use probe::try_all;

use super::exit::{Exit, Result};
use super::{Session, runtime};

/// The codes, as the help shows them.
const HELP: &str = "\
Exit codes of status --check, refresh, keepalive, test, import, login, rotate:
  0  healthy: it works
  1  bad news of another kind
  2  the command line is wrong, or there is no such credential
  3  expiring: it works, and its known end is near (status --check only)
  4  reauth: a person has to consent again
  5  misconfigured: the operator has to mend a client, key, clock or folder
  6  transient: it can't be refreshed for now
The worst one wins: 5, then 4, 6, 3, 0. A paused credential counts as 0.

Nothing here prints a secret but auth token. What is done is written down:
jadactl auth log NAME.";

/// Looks after credentials: who jobs act as, and until when.
///
/// jada.yaml declares them, without any secret; their tokens lie in the credentials folder of the data
/// folder. All of this works with and without a daemon, and one that runs sees each change at once.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(show::ListArgs),
    Status(show::StatusArgs),
    Add(Box<add::AddArgs>),
    Login(login::LoginArgs),
    Authorize(login::AuthorizeArgs),
    Import(import::ImportArgs),
    Refresh(keep::RefreshArgs),
    Keepalive(keep::KeepaliveArgs),
    Test(probe::TestArgs),
    Rotate(rotate::RotateArgs),
    Revoke(revoke::RevokeArgs),
    Token(token::TokenArgs),
    Log(log::LogArgs),
    Pause(hold::PauseArgs),
    Resume(hold::ResumeArgs),
    Simulate(simulate::SimulateArgs),
}

pub(super) fn run(session: &mut Session, args: Args) -> Result<Exit> {
    keep_memory();
    runtime()?.block_on(async {
        let desk = desk::Desk::open(session).await?;
        match args.verb {
            Verb::List(_) => show::list(session, &desk),
            Verb::Status(args) => show::status(session, &desk, &args).await,
            Verb::Add(args) => add::add(session, &desk, &args),
            Verb::Login(args) => login::login(session, &desk, &args).await,
            Verb::Authorize(args) => login::authorize(session, &desk, &args).await,
            Verb::Import(args) => import::import(session, &desk, &args).await,
            Verb::Refresh(args) => keep::refresh(session, &desk, &args).await,
            Verb::Keepalive(args) => keep::keepalive(session, &desk, &args).await,
            Verb::Test(args) => probe::test(session, &desk, &args).await,
            Verb::Rotate(args) => rotate::rotate(session, &desk, &args).await,
            Verb::Revoke(args) => revoke::revoke(session, &desk, &args).await,
            Verb::Token(args) => token::token(session, &desk, &args).await,
            Verb::Log(args) => log::log(session, &desk, &args),
            Verb::Pause(args) => hold::pause(session, &desk, &args).await,
            Verb::Resume(args) => hold::resume(session, &desk, &args).await,
            Verb::Simulate(args) => simulate::simulate(session, &desk, &args).await,
        }
    })
}

/// Secrets pass through here: no core dump, and no debugger of another process. Where the system does not
/// let it be, the verbs work all the same.
fn keep_memory() {
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    let quiet = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _kept = quiet.and_then(|()| setrlimit(Resource::Core, none));
}
