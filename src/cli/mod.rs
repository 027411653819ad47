//! `jadactl`: what a person or a script asks of JADA.
//!
//! Owns the command line, how answers are shown, and exit codes; one file for each group of verbs. The
//! doc comments of the arguments are the help. Refuses to know the engine and the store: what the
//! daemon knows, it is asked for over its socket; what needs no daemon works without one.

mod auth;
mod checks;
mod control;
mod doctor;
mod exit;
mod explain;
mod history;
mod init;
mod metrics;
mod parse;
mod plan;
mod print;
mod runs;
mod status;
mod sync;
mod table;
mod telling;
mod validate;
mod when;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use exit::{Error, Exit, Result};
use print::Printer;

use crate::clock::{Clock, SystemClock};
use crate::spec::{self, Catalog, Config};
use crate::web::client::Client;
use crate::web::{api, words};

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
    Validate(validate::Args),
    Plan(plan::Args),
    Schema(validate::SchemaArgs),
    Init(init::Args),
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
    Doctor(doctor::DoctorArgs),
    Checks(checks::ChecksArgs),
    Metrics(metrics::MetricsArgs),
    Alerts(telling::AlertsArgs),
    Ack(telling::AckArgs),
    Silence(telling::SilenceArgs),
    Notify(telling::NotifyArgs),
    Auth(auth::Args),
    Sync(sync::Args),
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
    print::end(result.and_then(|exit| exit.after(flushed))).into()
}

/// The whole help, every command after the other.
#[must_use]
pub fn help() -> String {
    let mut command = Args::command().term_width(80);
    command.build();
    let mut pages = Vec::new();
    page(&mut command, &mut pages);
    let text = pages.join("\n\n--------\n\n");
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The help of a command, then that of its verbs.
fn page(command: &mut clap::Command, pages: &mut Vec<String>) {
    pages.push(command.render_long_help().to_string());
    let verbs = command.get_subcommands_mut().filter(|verb| verb.get_name() != "help");
    verbs.for_each(|verb| page(verb, pages));
}

fn run(session: &mut Session, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Validate(args) => validate::run(session, &args),
        Verb::Plan(args) => plan::run(session, &args),
        Verb::Schema(args) => validate::schema(session, &args),
        Verb::Init(args) => init::run(session, &args),
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
        Verb::Doctor(args) => doctor::run(session, &args),
        Verb::Checks(args) => session.online(async |s, c| checks::checks(s, c, args).await),
        Verb::Metrics(args) => session.online(async |s, c| metrics::metrics(s, c, args).await),
        Verb::Alerts(args) => session.online(async |s, c| telling::alerts(s, c, args).await),
        Verb::Ack(args) => session.online(async |s, c| telling::ack(s, c, args).await),
        Verb::Silence(args) => session.online(async |s, c| telling::silence(s, c, args).await),
        Verb::Notify(args) => session.online(async |s, c| telling::notify(s, c, args).await),
        Verb::Auth(args) => auth::run(session, args),
        Verb::Sync(args) => sync::run(session, args),
    }
}

/// The daemon's time, by which ages are counted.
fn now(client: &Client) -> Timestamp {
    client.now().unwrap_or_else(|| SystemClock.now())
}

/// What waits for answers.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(Exit::BadNews, format!("can't wait for an answer: {error}")))
}

impl Session {
    /// Does something that needs the daemon.
    fn online(
        &mut self,
        work: impl AsyncFnOnce(&mut Self, &Client) -> Result<Exit>,
    ) -> Result<Exit> {
        let config = self.config()?;
        if !config.is_good() {
            print::note("the settings have errors, so defaults may stand in: see jadactl validate");
        }
        let client = self.client(&config);
        runtime()?.block_on(work(self, &client))
    }

    /// The way to the daemon, which need not run.
    fn client(&self, config: &Config) -> Client {
        let socket = config.settings.data_dir.join(api::SOCKET);
        Client::new(&socket, self.global.connect_timeout.unwrap_or_default())
    }

    /// What the settings file says, with what the command line says above it.
    fn config(&self) -> Result<Config> {
        let path = self.global.config.as_deref();
        if let Some(path) = path.filter(|path| !path.exists()) {
            return Err(Error::usage(format!("there is no settings file {}", path.display())));
        }
        let mut config = spec::config::read(path.unwrap_or(Path::new(spec::FILE)));
        let settings = &mut config.settings;
        let Global { jobs_dir, data_dir, .. } = &self.global;
        settings.jobs_dir = jobs_dir.clone().unwrap_or_else(|| settings.jobs_dir.clone());
        settings.data_dir = data_dir.clone().unwrap_or_else(|| settings.data_dir.clone());
        Ok(config)
    }

    /// The options that name the daemon's files, as they were typed: for commands that are to reach the same.
    fn options(&self) -> String {
        let Global { config, jobs_dir, data_dir, .. } = &self.global;
        let given = [("--config", config), ("--jobs-dir", jobs_dir), ("--data-dir", data_dir)];
        let given = given.iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        let words: Vec<String> =
            given.map(|(name, path)| format!(" {name} {}", path.display())).collect();
        words.concat()
    }

    /// The good jobs of the job files, and whether that is all of them.
    fn catalog(&mut self) -> Result<(Catalog, Exit)> {
        let config = self.config()?;
        let catalog = spec::load(&config.settings, SystemClock.now(), None);
        if let Some(trouble) = &catalog.trouble {
            let message = format!("{}: {}", trouble.file(), trouble.message);
            let error = Error::new(Exit::BadNews, message);
            return Err(error.hint(trouble.help.clone().unwrap_or_default()));
        }
        let errors = catalog.diagnostics().filter(|found| found.is_error()).count() as u64;
        if errors == 0 {
            return Ok((catalog, Exit::Done));
        }
        let errors = words::count(errors, "error");
        self.print.note(&format!("the job files have {errors}: jadactl validate tells more"))?;
        Ok((catalog, Exit::BadNews))
    }
}
