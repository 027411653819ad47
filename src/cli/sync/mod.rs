//! `jadactl sync`: what a sync would change, what is held, and what is known of its last commit.
//!
//! Owns the verbs, one file each. They work in this process on the files themselves, with and without a
//! daemon. Refuses to know sources and destinations.

mod approve;
mod desk;
mod diff;
mod guess;
mod infer;
mod state;

use clap::Subcommand;

use super::exit::Result;
use super::{Exit, Session};

/// Looks at data syncs before and after they change anything.
///
/// `diff` shows what a commit would change, `approve` lets what a guard holds be committed, `infer` writes
/// the column table from a source, and `state` shows and sets where the next read begins. All of it works
/// with and without a daemon; only an approved run needs one.
#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Diff(diff::DiffArgs),
    Approve(approve::ApproveArgs),
    Infer(infer::InferArgs),
    State(state::StateArgs),
}

pub(super) fn run(session: &mut Session, args: Args) -> Result<Exit> {
    super::runtime()?.block_on(async {
        match args.verb {
            Verb::Diff(args) => diff::diff(session, &args).await,
            Verb::Approve(args) => approve::approve(session, &args).await,
            Verb::Infer(args) => infer::infer(session, &args).await,
            Verb::State(args) => state::state(session, args).await,
        }
    })
}
