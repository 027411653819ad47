//! Paths and programs that a job names, looked up on this machine.
//!
//! Owns the look-ups, each done once however many jobs name the same path. Refuses to run anything.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::file::Reader;
use super::job::JobSection;
use crate::yaml::{Code, Decoder, Node, Value};

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
pub(super) fn check(
    reader: &mut Reader<'_>,
    section: &JobSection,
    root: &Node<'_>,
    cx: &mut Decoder,
) {
    let defaults = &reader.settings.defaults.section;
    let given = section.working_dir.as_ref().or(defaults.working_dir.as_ref());
    let base = reader.settings.base();
    let mut folder = given.map_or_else(|| base.clone(), |given| base.join(&given.value));
    if let Some(given) = section.working_dir.as_ref() {
        let found = reader.lookups.path(&folder);
        let message = match found {
            Found::Folder => None,
            Found::Nothing => Some("there is no such folder"),
            Found::Program | Found::File => Some("this is no folder"),
        };
        if let Some(message) = message {
            let help = format!("it stands for {}", plain(&folder).display());
            cx.report(Code::NoSuchPath, given.span, message).help(help);
            return;
        }
    }
    let Some(command) = root.get("command").map(|entry| &entry.value) else { return };
    if let Some(entry) = command.get("working_dir")
        && let Some(text) = entry.value.text()
    {
        folder = base.join(text);
    }
    if let Some((name, node)) = program(command) {
        executable(reader, &folder.join(name), (name, node), cx);
    }
}

/// The program that a command runs directly, if it is written plainly.
fn program<'n>(command: &'n Node<'_>) -> Option<(&'n str, &'n Node<'n>)> {
    let run = &command.get("run")?.value;
    let Value::List(items) = &run.value else { return None };
    let first = items.first()?;
    let name = first.text().filter(|name| !name.is_empty() && !name.contains("{{"))?;
    Some((name, first))
}

fn executable(
    reader: &mut Reader<'_>,
    path: &Path,
    (name, node): (&str, &Node<'_>),
    cx: &mut Decoder,
) {
    let at = cx.within(node, 0..name.len());
    if !name.contains('/') {
        if !reader.lookups.program(name) {
            let message = format!("no program `{name}` is on the PATH here");
            let help = "install it, or write its path; on the daemon's machine it may be there";
            cx.report(Code::ProgramNotFound, at, message).help(help);
        }
        return;
    }
    match reader.lookups.path(path) {
        Found::Program => {}
        Found::Nothing => {
            let help = format!("it stands for {}", plain(path).display());
            cx.report(Code::NoSuchPath, at, "there is no such program").help(help);
        }
        Found::Folder => {
            cx.report(Code::NotExecutable, at, "this is a folder, not a program");
        }
        Found::File => {
            let help = format!("run: chmod +x {}", plain(path).display());
            cx.report(Code::NotExecutable, at, "this file is not executable").help(help);
        }
    }
}

/// A path without `.` in it.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
