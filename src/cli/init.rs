//! `init`: a folder to start from.
//!
//! Owns the starter, which stands beside this file as it is written. Refuses to overwrite anything.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Session;
use super::exit::{Error, Exit, Result};
use crate::spec::schema;

/// Writes a starter: settings, two jobs that run, and the schemas for an editor.
///
/// Nothing is overwritten: where one of its files is there already, nothing is written at all.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder, which is made where it is not there
    dir: PathBuf,
}

#[derive(Serialize)]
struct Created {
    created: Vec<PathBuf>,
}

pub(super) fn run(session: &mut Session, args: &Args) -> Result<Exit> {
    let files = files();
    let there = files.iter().map(|(name, _)| args.dir.join(name)).find(|path| taken(path));
    if let Some(path) = there {
        let message = format!("{} is there already, so nothing was written", path.display());
        return Err(Error::new(Exit::BadNews, message).hint("name another folder, or move it away"));
    }
    let mut created = Vec::new();
    for (name, text) in files {
        let path = args.dir.join(name);
        write_new(&path, &text).map_err(|error| {
            let message = format!("can't write {}: {error}", path.display());
            Error::new(Exit::BadNews, message)
        })?;
        created.push(path);
    }
    if session.print.json {
        session.print.json(&Created { created })?;
        return Ok(Exit::Done);
    }
    for path in &created {
        session.print.line(&path.display().to_string())?;
    }
    session.print.note(&next_steps(&args.dir))?;
    Ok(Exit::Done)
}

fn files() -> [(&'static str, String); 5] {
    [
        ("jada.yaml", include_str!("starter/jada.yaml").into()),
        ("jobs.d/hello.yaml", include_str!("starter/hello.yaml").into()),
        ("jobs.d/host.yaml", include_str!("starter/host.yaml").into()),
        ("schemas/job.schema.json", schema::job()),
        ("schemas/config.schema.json", schema::config()),
    ]
}

/// Also a link that leads nowhere is something.
fn taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn next_steps(dir: &Path) -> String {
    let enter = match dir.to_str() {
        Some("." | "./") => String::new(),
        _ => format!("  cd {}\n", dir.display()),
    };
    format!(
        "\nnext:\n{enter}  jadactl validate      # checks the files\n  \
         jada-agent &          # runs the jobs\n  \
         jadactl slots         # shows what was due and what became of it"
    )
}
