//! `jadactl`: what a person or a script asks of JADA.
//!
//! Owns the command line, how answers are shown, and exit codes; one file for each group of verbs. The
//! doc comments of the arguments are the help. Refuses to know the engine and the store: what the
//! daemon knows, it is asked for over its socket; what needs no daemon works without one.

mod control;
mod exit;
mod explain;
mod history;
mod parse;
mod print;
mod runs;
mod status;
mod table;
mod when;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use exit::{Error, Exit, Result};
use print::Printer;

use crate::clock::{Clock, SystemClock};
use crate::web::api;
use crate::web::client::Client;

/// Looks after the jobs of a JADA daemon.
#[derive(Debug, Parser)]
#[command(name = "jadactl", version, after_help = exit::HELP, max_term_width = 80)]
struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The daemon's settings [default: jada.yaml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the job files are [default: jobs.d]
    #[arg(long, global = true, value_name = "DIR")]
    jobs_dir: Option<PathBuf>,
    /// Where the daemon keeps its data and its socket [default: var]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Go on trying to reach the daemon for so long: 500ms, 10s
    #[arg(long, global = true, value_name = "TIME", value_parser = when::duration)]
    connect_timeout: Option<Duration>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Explain(explain::Args),
    Jobs(history::JobsArgs),
    Slots(history::SlotsArgs),
    Runs(history::RunsArgs),
    Run(runs::RunArgs),
    Logs(runs::LogsArgs),
    Cancel(control::CancelArgs),
    Pause(control::PauseArgs),
    Resume(control::ResumeArgs),
    Incidents(status::IncidentsArgs),
    Status(status::StatusArgs),
}

/// What every command works with.
struct Session {
    global: Global,
    print: Printer,
}

/// Runs one command line and says how the process ends.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(message) => {
            // Fails only where the stream is closed, and then nobody is left to be told.
            let _closed = message.print();
            return if message.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let mut session = Session { print: Printer::new(args.global.json), global: args.global };
    let result = run(&mut session, args.verb);
    let flushed = session.print.flush();
    print::end(result.and_then(|exit| flushed.map(|()| exit))).into()
}

/// The whole help, every command after the other.
#[must_use]
pub fn help() -> String {
    let mut command = Args::command().term_width(80);
    command.build();
    let mut pages = vec![command.render_long_help().to_string()];
    let verbs = command.get_subcommands_mut().filter(|verb| verb.get_name() != "help");
    pages.extend(verbs.map(|verb| verb.render_long_help().to_string()));
    pages.join("\n\n--------\n\n")
}

fn run(session: &mut Session, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Explain(args) => explain::run(session, &args),
        Verb::Jobs(_) => session.online(history::jobs),
        Verb::Slots(args) => session.online(async |s, c| history::slots(s, c, args).await),
        Verb::Runs(args) => session.online(async |s, c| history::runs(s, c, args).await),
        Verb::Run(args) => session.online(async |s, c| runs::run(s, c, args).await),
        Verb::Logs(args) => session.online(async |s, c| runs::logs(s, c, args).await),
        Verb::Cancel(args) => session.online(async |s, c| control::cancel(s, c, args).await),
        Verb::Pause(args) => session.online(async |s, c| control::pause(s, c, args).await),
        Verb::Resume(args) => session.online(async |s, c| control::resume(s, c, args).await),
        Verb::Incidents(args) => session.online(async |s, c| status::incidents(s, c, args).await),
        Verb::Status(_) => session.online(status::status),
    }
}

/// The daemon's time, by which ages are counted.
fn now(client: &Client) -> Timestamp {
    client.now().unwrap_or_else(|| SystemClock.now())
}

impl Session {
    /// Does something that needs the daemon.
    fn online(
        &mut self,
        work: impl AsyncFnOnce(&mut Self, &Client) -> Result<Exit>,
    ) -> Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::new(Exit::BadNews, format!("can't wait for an answer: {error}"))
        })?;
        let client = Client::new(
            &self.data_dir().join(api::SOCKET),
            self.global.connect_timeout.unwrap_or_default(),
        );
        runtime.block_on(work(self, &client))
    }

    fn data_dir(&self) -> PathBuf {
        self.global.data_dir.clone().unwrap_or_else(|| "var".into())
    }
}
