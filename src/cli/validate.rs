//! `validate`, `schema`: job files without a daemon.
//!
//! Owns the choice of a format and the exit code. Refuses to know what may be wrong with a file (`spec/`)
//! and how a finding is drawn (`yaml::render`).

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::Session;
use super::exit::{Error, Exit, Result};
use crate::clock::{Clock, SystemClock};
use crate::spec::{self, Checked, schema};
use crate::web::words::count;
use crate::yaml::render::{self, Finding};

/// Checks job files and settings, and tells every mistake in one pass.
///
/// Without a path, jada.yaml and the jobs folder are checked. Works without a daemon, and changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Job files, folders of them, or a jada.yaml
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How findings are told [default: human]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How findings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines of the file, for people
    Human,
    /// One object: files, jobs, diagnostics
    Json,
    /// SARIF 2.1, for code scanning
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
}

/// Prints the JSON Schema of a job file or of jada.yaml, for editors.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Whose
    which: Which,
}

/// Which file a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// A file in jobs.d
    Job,
    /// jada.yaml
    Config,
}

/// What was found, as JSON has it.
#[derive(Debug, Serialize)]
struct Report {
    files: usize,
    jobs: usize,
    diagnostics: Vec<Finding>,
}

pub(super) fn run(session: &mut Session, args: &Args) -> Result<Exit> {
    let format = args.format(session.print.json)?;
    let config = session.config()?;
    let checked = spec::check(&args.paths, &config, SystemClock.now());
    let exit = if checked.has_errors() { Exit::BadNews } else { Exit::Done };
    exit.after(tell(session, format, &checked))
}

impl Args {
    fn format(&self, json: bool) -> Result<Format> {
        match (json, self.format) {
            (true, None | Some(Format::Json)) => Ok(Format::Json),
            (true, Some(_)) => {
                Err(Error::usage("--json and --format ask for two formats: keep one of them"))
            }
            (false, format) => Ok(format.unwrap_or(Format::Human)),
        }
    }
}

fn tell(session: &mut Session, format: Format, checked: &Checked) -> Result<()> {
    let found = &checked.diagnostics;
    match format {
        Format::Human => {
            let text = render::human(found, session.print.colour);
            session.print.data().write_all(text.as_bytes())?;
            session.print.note(&summary(checked))?;
            for file in &checked.kept {
                let file = file.display();
                session
                    .print
                    .note(&format!("the daemon keeps to the last good version of {file}"))?;
            }
        }
        Format::Json => {
            let Checked { files, jobs, .. } = *checked;
            let diagnostics = render::findings(found);
            session.print.json(&Report { files, jobs, diagnostics })?;
        }
        Format::Sarif => session.print.json(&render::sarif(found))?,
        Format::Github => session.print.data().write_all(render::github(found).as_bytes())?,
    }
    Ok(())
}

fn summary(checked: &Checked) -> String {
    let all = checked.diagnostics.len() as u64;
    let errors = checked.diagnostics.iter().filter(|found| found.is_error()).count() as u64;
    let (files, jobs) =
        (count(checked.files as u64, "file"), count(checked.jobs as u64, "good job"));
    match (errors, all - errors) {
        (0, 0) => format!("{files}, {jobs}: no mistake found"),
        (errors, warnings) => {
            format!("{files}, {jobs}: {}, {}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}

pub(super) fn schema(session: &mut Session, args: &SchemaArgs) -> Result<Exit> {
    let text = match args.which {
        Which::Job => schema::job(),
        Which::Config => schema::config(),
    };
    session.print.data().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}
