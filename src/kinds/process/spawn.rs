//! Starts a program, or says why that can't be.
//!
//! Owns the way from a [`Program`] to a child: where the program is found, its pipes and limits. Keeps
//! to what lets std use `posix_spawn` (an absolute path, no hook between fork and exec), which is
//! several times cheaper than fork in a process with much memory. Looks for the cause of a failure
//! only after the failure.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::Pid;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::environment::DEFAULT_PATH;
use super::group::Group;
use super::{ProcessLimits, Program};
use crate::model::{Failure, FailureClass};

/// Why a program could not be started, with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpawnError {
    /// Whether trying again can help.
    pub class: FailureClass,
    /// What is wrong and what to do.
    pub message: String,
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        Self::new(error.class, error.message)
    }
}

/// A child under way.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

pub(super) fn start(mut program: Program<'_>) -> Result<Started, SpawnError> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let path = locate(&name, &program)?;
    let limited = limited(&mut program.argv, &path, program.limits);
    let plan = Plan { name: &name, path: &path, program: &program };
    let file = if limited { Path::new("/bin/sh") } else { &path };
    launch(file, &program).map_err(|error| plan.explain(&error))
}

fn launch(file: &Path, program: &Program<'_>) -> io::Result<Started> {
    let (stdout, out) = io::pipe()?;
    let (stderr, err) = io::pipe()?;
    let mut command = Command::new(file);
    command.arg0(&program.argv[0]).args(&program.argv[1..]);
    command.env_clear().envs(program.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(program.dir).process_group(0);
    command.stdin(stdin(program.stdin.as_deref())?).stdout(out).stderr(err);
    let stdout = pipe::Receiver::from_owned_fd(stdout.into())?;
    let stderr = pipe::Receiver::from_owned_fd(stderr.into())?;
    let mut command = tokio::process::Command::from(command);
    let child = command.spawn()?;
    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let group = Group::new(id.expect("a child that was not waited for has a process id"));
    Ok(Started { child, group, stdout, stderr })
}

/// A text to read comes from memory rather than through a pipe: nobody has to feed it, and a program
/// that does not read it blocks nobody.
fn stdin(text: Option<&[u8]>) -> io::Result<Stdio> {
    let Some(text) = text else { return Ok(Stdio::null()) };
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

/// Puts a shell in front that sets the limits and then becomes the program. Returns whether it did.
fn limited(argv: &mut Vec<OsString>, path: &Path, limits: ProcessLimits) -> bool {
    let whole = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let seconds = limits.cpu_time.map(|time| whole(time).max(1));
    let set = [
        // The soft limit sends SIGXCPU, which says what happened; the hard one a bare KILL.
        ("-S -t", seconds),
        ("-H -t", seconds.map(|seconds| seconds.saturating_add(5))),
        ("-v", limits.memory.map(|bytes| bytes.div_ceil(1024))),
        ("-n", limits.open_files),
        ("-f", limits.file_size.map(|bytes| bytes.div_ceil(512))),
    ];
    let set = set.iter().filter_map(|(flag, value)| Some(format!("ulimit {flag} {}", (*value)?)));
    let mut script: Vec<String> = set.collect();
    if script.is_empty() {
        return false;
    }
    script.push("exec \"$@\"".to_owned());
    let script = script.join(" && ");
    argv[0] = path.into();
    let shell = ["sh", "-c", &script, "sh"].map(OsString::from);
    argv.splice(0..0, shell);
    true
}

/// The program's absolute path: a name is looked for in the `PATH` that the program will have, a path
/// counts from the folder that it starts in.
fn locate(name: &OsStr, program: &Program<'_>) -> Result<PathBuf, SpawnError> {
    let dir = std::path::absolute(program.dir).unwrap_or_else(|_| program.dir.to_owned());
    if name.is_empty() {
        return Err(permanent("the program's name is empty"));
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(dir.join(name));
    }
    let set = program.env.iter().rev().find(|(variable, _)| variable == "PATH");
    let path = set.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    let candidates = || std::env::split_paths(path).map(|folder| dir.join(folder).join(name));
    if let Some(found) = candidates().find(|file| is_program(file)) {
        return Ok(found);
    }
    let name = name.display();
    Err(match candidates().find(|file| file.is_file()) {
        Some(file) => permanent(format!(
            "{} can't be run: it is not executable; make it so with chmod +x",
            file.display()
        )),
        None => permanent(format!(
            "there is no program '{name}' in PATH ({}); install it, or write its whole path",
            path.display()
        )),
    })
}

fn is_program(file: &Path) -> bool {
    let executable = |data: Metadata| data.is_file() && data.permissions().mode() & 0o111 != 0;
    file.metadata().is_ok_and(executable)
}

/// What was tried, for finding out why it failed.
struct Plan<'a> {
    name: &'a OsStr,
    path: &'a Path,
    program: &'a Program<'a>,
}

impl Plan<'_> {
    fn explain(&self, error: &io::Error) -> SpawnError {
        let name = self.name.display();
        if error.kind() == io::ErrorKind::InvalidInput {
            return permanent(format!("can't run '{name}': an argument holds a NUL byte"));
        }
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        match code {
            Some(Errno::NOENT | Errno::NOTDIR) => permanent(self.what_is_missing()),
            Some(Errno::ACCESS | Errno::PERM) => permanent(self.what_is_forbidden()),
            Some(Errno::NOEXEC) => permanent(format!(
                "'{name}' is no program that this machine can run; \
                 a script must begin with a line like #!/bin/sh"
            )),
            Some(Errno::TOOBIG) => permanent(self.what_is_too_big()),
            Some(Errno::AGAIN) => self.transient("the system has no room for another process"),
            Some(Errno::NOMEM) => self.transient("the system has no memory left"),
            Some(Errno::MFILE) => self.transient("the daemon has no file descriptor left"),
            Some(Errno::NFILE) => self.transient("the system has no file descriptor left"),
            Some(Errno::TXTBSY) => self.transient("its file is being written"),
            _ => self.transient(&error.to_string()),
        }
    }

    fn transient(&self, why: &str) -> SpawnError {
        let message = format!("can't start '{}': {why}", self.name.display());
        SpawnError { class: FailureClass::Transient, message }
    }

    fn what_is_missing(&self) -> String {
        let (dir, path) = (self.program.dir.display(), self.path.display());
        if !self.program.dir.is_dir() {
            return format!(
                "the working directory {dir} does not exist; create it or name another"
            );
        }
        if !self.path.exists() {
            return format!("there is no program {path}; a relative path counts from {dir}");
        }
        match interpreter(self.path) {
            Some(line) if line.ends_with('\r') => format!(
                "{path} has Windows line ends, so its first line names an interpreter that does \
                 not exist; convert it, for example with dos2unix"
            ),
            Some(line) => format!("the interpreter '{line}' that {path} names does not exist"),
            None => format!("{path} needs a loader or library that does not exist"),
        }
    }

    fn what_is_forbidden(&self) -> String {
        let path = self.path.display();
        if self.path.is_dir() {
            return format!("{path} is a folder, not a program");
        }
        if rustix::fs::access(self.program.dir, rustix::fs::Access::EXEC_OK).is_err() {
            return format!("the daemon may not enter {}", self.program.dir.display());
        }
        match interpreter(self.path) {
            Some(line) if is_program(self.path) => {
                format!("{path} or its interpreter '{line}' may not be run by the daemon")
            }
            _ if is_program(self.path) => format!(
                "{path} may not be run by the daemon; its user lacks the right, \
                 or the file system is mounted noexec"
            ),
            _ => format!("{path} can't be run: it is not executable; make it so with chmod +x"),
        }
    }

    fn what_is_too_big(&self) -> String {
        let argv: usize = self.program.argv.iter().map(|arg| arg.len() + 1).sum();
        let env: usize =
            self.program.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        format!(
            "the arguments of '{}' ({argv} bytes) and its environment ({env} bytes) are too long \
             for the system; hand long text over by stdin",
            self.name.display()
        )
    }
}

/// What the first line of a script names behind `#!`.
fn interpreter(path: &Path) -> Option<String> {
    let mut start = [0; 256];
    let n = File::open(path).ok()?.read(&mut start).ok()?;
    let line = start[..n].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let line = line.trim_matches(' ');
    Some(if line.ends_with('\r') { line } else { line.split(' ').next()? }.to_owned())
}

fn permanent(message: impl Into<String>) -> SpawnError {
    SpawnError { class: FailureClass::Permanent, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_now_may_be_there_later() {
        let program = Program {
            argv: vec!["/bin/true".into()],
            env: Vec::new(),
            dir: Path::new("/"),
            stdin: None,
            limits: ProcessLimits::default(),
            grace: Duration::ZERO,
        };
        let plan = Plan { name: "true".as_ref(), path: Path::new("/bin/true"), program: &program };
        for (error, class, words) in [
            (Errno::AGAIN, FailureClass::Transient, "no room for another process"),
            (Errno::NOMEM, FailureClass::Transient, "no memory left"),
            (Errno::MFILE, FailureClass::Transient, "the daemon has no file descriptor left"),
            (Errno::NFILE, FailureClass::Transient, "the system has no file descriptor left"),
            (Errno::TXTBSY, FailureClass::Transient, "its file is being written"),
            (Errno::IO, FailureClass::Transient, "Input/output error"),
            (Errno::TOOBIG, FailureClass::Permanent, "hand long text over by stdin"),
            (Errno::NOEXEC, FailureClass::Permanent, "a line like #!/bin/sh"),
            (Errno::ACCESS, FailureClass::Permanent, "mounted noexec"),
            (Errno::NOENT, FailureClass::Permanent, "a loader or library that does not exist"),
        ] {
            let error = plan.explain(&error.into());
            assert!(error.message.contains(words), "{}", error.message);
            assert_eq!(error.class, class, "{}", error.message);
        }
    }
}
