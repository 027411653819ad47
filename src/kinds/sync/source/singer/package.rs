//! The Python environment of a tap's package.
//!
//! Owns environments under `DATA_DIR/taps`, one for each package as it is pinned: made once, by one job at a
//! time, and whole or not at all (the scripts in one name its path, so it can't be made elsewhere and moved:
//! a mark is put into it last). Refuses to know what a tap does.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::super::super::locked::Locked;
use super::super::super::tools::Tools;
use super::super::super::trouble::{Ending, Trouble};
use super::super::program::{Command, Running};
use super::{TapPackage, hex};

/// The file that says that an environment is whole.
const MARK: &str = ".jada-complete";

/// Time between two looks at whether another job is done with it.
const LOOK: Duration = Duration::from_millis(500);

/// Longest line of pip that is shown.
const LINE_MAX: u64 = 4096;

/// An environment.
pub(super) struct Environment(PathBuf);

impl Environment {
    /// That of a package; made where it is not there yet.
    pub(super) fn of(package: &TapPackage, tools: &Tools) -> Result<Self, Trouble> {
        let lock = match &package.lock {
            None => None,
            Some(text) => Some(locked(tools.path("source.package.lock", &text.value)?)?),
        };
        let python = python(package);
        let text = lock.as_ref().map(|(_, text)| text.as_str()).unwrap_or_default();
        let all = [package.pip.value.as_str(), &python, text].join("\0");
        let name = hex(&digest(&SHA256, all.as_bytes()).as_ref()[..8]);
        let taps = tools.data_dir.join("taps");
        let dir = taps.join(format!("{}-{name}", name_of(&package.pip.value)));
        let environment = Self(std::path::absolute(&dir).unwrap_or(dir));
        if environment.is_whole() {
            return Ok(environment);
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&taps);
        made.map_err(|error| failed("make", &taps, &error))?;
        let _held = environment.hold(tools)?;
        if !environment.is_whole() {
            let lock = lock.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
            environment.install(package, &python, lock, tools)?;
        }
        Ok(environment)
    }

    /// A program of it.
    pub(super) fn program(&self, name: &str) -> Result<PathBuf, Trouble> {
        let path = self.0.join("bin").join(name);
        if path.exists() {
            return Ok(path);
        }
        let entries = fs::read_dir(self.0.join("bin")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.contains("tap")).collect();
        names.sort();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Trouble::config(format!(
            "the package has no program `{name}`; name it in `source.run`; there is {has}"
        )))
    }

    /// Its programs, before those of the system.
    pub(super) fn put_in_path(&self, env: &mut Vec<(OsString, OsString)>) {
        let old = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        let mut path = self.0.join("bin").into_os_string();
        if let Some(old) = old {
            path.push(":");
            path.push(old);
        }
        env.push(("PATH".into(), path));
    }

    fn is_whole(&self) -> bool {
        self.0.join(MARK).exists()
    }

    /// Waits until nobody else makes it.
    fn hold(&self, tools: &Tools) -> Result<Locked, Trouble> {
        let path = self.0.with_added_extension("lock");
        let refused = |error: io::Error| failed("lock", &path, &error);
        loop {
            match Locked::take(&path).map_err(refused)? {
                Some(lock) => return Ok(lock),
                None => tools.wait(tools.clock.sleep(LOOK))?,
            }
        }
    }

    fn install(
        &self,
        package: &TapPackage,
        python: &str,
        lock: Option<(&Path, &str)>,
        tools: &Tools,
    ) -> Result<(), Trouble> {
        let (pip, dir) = (&package.pip.value, &self.0);
        tools.say(&format!("jada: installing {pip} into {}, which is done once", dir.display()));
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", dir, &error));
            }
            _ => {}
        }
        let words = [python.into(), "-m".into(), "venv".into(), dir.into()];
        run("python -m venv", words.to_vec(), tools)?;
        let mut words: Vec<OsString> = vec![dir.join("bin/python").into()];
        let flags = "-m pip install --disable-pip-version-check --no-input --progress-bar off";
        words.extend(flags.split(' ').map(OsString::from));
        if let Some((path, _)) = lock {
            words.extend(["-r".into(), path.into()]);
        }
        // A file with hashes pins everything, the package too, and pip takes nothing beside it.
        if lock.is_none_or(|(_, text)| !text.contains("--hash")) {
            words.push(pip.into());
        }
        run("pip", words, tools)?;
        File::create(dir.join(MARK))
            .and_then(|file| file.sync_all())
            .map_err(|error| failed("write", &dir.join(MARK), &error))
    }
}

/// Runs one step, and shows what it says of its progress.
fn run(name: &'static str, argv: Vec<OsString>, tools: &Tools) -> Result<(), Trouble> {
    let command = Command { argv, env: tools.env.clone(), idle: None, name };
    let mut running = Running::start(command, tools);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut running).take(LINE_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => break,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if is_progress(text.trim()) {
                    tools.say(text.trim());
                }
            }
            Err(error) => return Err(super::super::lines::Feed::trouble(&mut running, &error)),
        }
    }
    running.finish()
}

fn is_progress(line: &str) -> bool {
    ["Collecting ", "Building ", "Installing ", "Successfully "]
        .iter()
        .any(|start| line.starts_with(start))
}

fn locked(path: PathBuf) -> Result<(PathBuf, String), Trouble> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => {
            let message = format!("can't read `source.package.lock`, {}: {error}", path.display());
            Err(Trouble::new(Ending::Config, message))
        }
    }
}

/// The interpreter: a version stands for the program of that name.
fn python(package: &TapPackage) -> String {
    match package.python.as_ref().map(|text| text.value.as_str()) {
        None => "python3".to_owned(),
        Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("python{version}")
        }
        Some(program) => program.to_owned(),
    }
}

/// The name of a package, which its program mostly has too: without version, extras and address.
pub(super) fn name_of(pip: &str) -> &str {
    let name = pip.split(['=', '<', '>', '~', '!', '[', ';', '@', ' ']).next().unwrap_or(pip);
    let file = name.rsplit('/').next().unwrap_or(name);
    if file.is_empty() { "tap" } else { file }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Trouble {
    Trouble::source(format!("can't {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_name() {
        for (pip, name) in [
            ("tap-github==4.0.0", "tap-github"),
            ("tap-x[s3]~=1.0", "tap-x"),
            ("tap-y @ https://example.test/tap-y.tar.gz", "tap-y"),
            ("./taps/tap-z", "tap-z"),
            ("", "tap"),
        ] {
            assert_eq!(name_of(pip), name, "{pip}");
        }
    }
}
