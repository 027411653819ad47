//! Paths and programs that a job names, looked up on this machine.
//!
//! Owns the look-ups, each done once however many jobs name the same path. Refuses to run anything.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::file::Reader;
use super::job::JobSection;
use crate::kinds::command::Run;
use crate::kinds::{Work, template};
use crate::yaml::{Code, Decoder, Span};

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Folder,
    Program,
    File,
}

/// What was looked up so far.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    paths: HashMap<PathBuf, Found>,
    programs: HashMap<String, bool>,
}

impl Lookups {
    fn path(&mut self, path: &Path) -> Found {
        if let Some(known) = self.paths.get(path) {
            return *known;
        }
        let found = look(path);
        self.paths.insert(path.to_owned(), found);
        found
    }

    /// Whether a bare name is a program on the PATH of this process.
    fn program(&mut self, name: &str) -> bool {
        if let Some(known) = self.programs.get(name) {
            return *known;
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path).any(|dir| look(&dir.join(name)) == Found::Program);
        self.programs.insert(name.to_owned(), found);
        found
    }
}

fn look(path: &Path) -> Found {
    match fs::metadata(path) {
        Err(_) => Found::Nothing,
        Ok(meta) if meta.is_dir() => Found::Folder,
        Ok(meta) if meta.permissions().mode() & 0o111 != 0 => Found::Program,
        Ok(_) => Found::File,
    }
}

/// Checks the paths of a job.
pub(super) fn check(reader: &mut Reader<'_>, section: &JobSection, cx: &mut Decoder) {
    let defaults = &reader.settings.defaults.section;
    let given = section.working_dir.as_ref().or(defaults.working_dir.as_ref());
    let base = reader.settings.base();
    let folder = given.map_or_else(|| base.clone(), |given| base.join(&given.value));
    if reader.lookups.path(&folder) != Found::Folder {
        // Of a default, jada.yaml tells it.
        if let Some(given) = section.working_dir.as_ref() {
            self::folder(&folder, given.span, cx);
        }
        return;
    }
    let runs: Vec<&Run> = match section.work.as_ref() {
        Some(Work::Command(spec)) => vec![&spec.run],
        Some(Work::Health(spec)) => spec.programs().collect(),
        Some(Work::Sync(spec)) => spec.program().into_iter().collect(),
        None => Vec::new(),
    };
    for run in runs {
        if let Run::Exec(words) = run
            && let Some(first) = words.first()
            && !template::is_template(&first.value.0)
        {
            program(reader, &folder, (&first.value.0, first.span), cx);
        }
    }
}

/// Checks that a folder is there.
pub(super) fn folder(path: &Path, at: Span, cx: &mut Decoder) {
    let message = match look(path) {
        Found::Folder => return,
        Found::Nothing => "there is no such folder",
        Found::Program | Found::File => "this is no folder",
    };
    let help = format!("it stands for {}", plain(path).display());
    cx.report(Code::NoSuchPath, at, message).help(help);
}

/// Checks that a program is there and can be run; `folder` is where a relative path starts.
fn program(reader: &mut Reader<'_>, folder: &Path, (name, at): (&str, Span), cx: &mut Decoder) {
    if !name.contains('/') {
        if !reader.lookups.program(name) {
            let message = format!("no program `{name}` is on the PATH here");
            let help = "install it, or write its path; on the daemon's machine it may be there";
            cx.report(Code::ProgramNotFound, at, message).help(help);
        }
        return;
    }
    let path = plain(&folder.join(name));
    match reader.lookups.path(&path) {
        Found::Program => {}
        Found::Nothing => {
            let help = format!("it stands for {}", path.display());
            cx.report(Code::NoSuchPath, at, "there is no such program").help(help);
        }
        Found::Folder => {
            let help = "write the path of a program";
            cx.report(Code::NotExecutable, at, "this is a folder, not a program").help(help);
        }
        Found::File => {
            let help = format!("run: chmod +x {}", path.display());
            cx.report(Code::NotExecutable, at, "this file is not executable").help(help);
        }
    }
}

/// A path without `.` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
