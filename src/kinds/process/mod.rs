//! Runs one program in a process group of its own, from spawn until the group is gone.
//!
//! ```text
//!  Program ─▶ spawn ─▶ child ──stdout,stderr──▶ pump ─▶ Capture (lines, Output, a channel)
//!                        │ exit, or stop pulled
//!                        ▼
//!                      group::end   TERM, grace, KILL; over only when nobody is left in the group
//! ```
//!
//! Owns processes: their environment, limits, ends. Refuses to know what an exit code means to the job.
//! A process that left the group (`setsid`) can hold the pipes open; it delays nothing here.

pub mod environment;
mod group;
mod lines;
pub mod orphans;
mod spawn;

use std::ffi::OsString;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

pub use lines::{Pattern, Scan};
pub use spawn::SpawnError;

use super::output::Output;
use super::{ProcessLimits, Stop, StopReason};
use crate::clock::{self, Clock};
use crate::credentials::redact::Stream;
use group::{Group, Patience};

/// Longest that writing the rest of the output may take once the processes are gone.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a group may finish by itself after its leader exited. `exec > >(tee log)` needs it: the
/// last lines are still on their way when the shell is gone.
const LINGER: Duration = Duration::from_millis(500);

/// Most bytes that are taken from a pipe at once.
const CHUNK: usize = 64 * 1024;

/// A program with all that it is given.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// Its name or path, then its arguments; never empty.
    pub argv: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub dir: &'a Path,
    /// What it reads; nothing by default.
    pub stdin: Option<Vec<u8>>,
    /// What each of its processes may use.
    pub limits: ProcessLimits,
    /// Time between TERM and KILL.
    pub grace: Duration,
}

/// What becomes of what a program writes.
#[derive(Debug)]
pub struct Capture<'a> {
    /// Where both streams are kept, if they are.
    kept: Option<&'a Output>,
    /// Who takes standard output as it is, if somebody does.
    piped: Option<mpsc::Sender<Vec<u8>>>,
    /// What both streams pass, standard output first.
    screens: [Stream; 2],
    /// What is looked for in standard output.
    pub stdout: Scan<'a>,
    /// What is looked for in standard error.
    pub stderr: Scan<'a>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Exit {
    /// What the system says of the first process.
    pub status: ExitStatus,
    /// Why it was stopped, if it did not end by itself.
    pub stopped: Option<StopReason>,
    /// What else should be known: one short remark each.
    pub remarks: Vec<String>,
}

/// Runs a program to its end. Returns when no process of its group is left.
///
/// # Errors
/// [`SpawnError`] when it could not be started.
pub async fn run(
    program: Program<'_>,
    capture: &mut Capture<'_>,
    stop: &mut Stop,
    clock: &dyn Clock,
) -> Result<Exit, SpawnError> {
    let grace = program.grace;
    let piped = capture.piped.is_some();
    let spawn::Started { mut child, group, stdout, stderr } = spawn::start(program)?;
    let (close, closing) = oneshot::channel();
    let exit = {
        let mut pump = pin!(pump([Some(stdout), Some(stderr)], capture, closing));
        let mut supervise = pin!(supervise(&mut child, group, grace, (stop, clock)));
        let mut pumped = false;
        let mut exit = loop {
            tokio::select! {
                exit = &mut supervise => break exit,
                () = &mut pump, if !pumped => pumped = true,
            }
        };
        if !pumped {
            let _pump_is_alive = close.send(());
            if piped {
                // Who takes it decides how long that takes: what comes last counts as much as the rest.
                pump.await;
            } else if clock::within(clock, DRAIN, pump).await.is_none() {
                exit.remarks.push("the end of its output could not be written in time".to_owned());
            }
        }
        exit
    };
    orphans::collect_inherited();
    Ok(exit)
}

/// Open files that the daemon wants to be allowed: a process under way takes three, and many may be. More
/// would slow down programs that close every file which they could have open.
const OPEN_FILES: u64 = 16 * 1024;

/// Raises the daemon's own limit of open files as far as it may and needs. The usual 1,024 would refuse
/// to start more than about 300 processes at a time.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        // Nobody may lack it: where it is refused, the old limit holds, and starts fail one by one.
        let _refused = setrlimit(Resource::Nofile, raised);
    }
}

/// Waits for the exit or the stop, then sees to it that the group is gone.
async fn supervise(
    child: &mut Child,
    mut group: Group,
    grace: Duration,
    (stop, clock): (&mut Stop, &dyn Clock),
) -> Exit {
    let mut remarks = Vec::new();
    let stopped = tokio::select! {
        biased;
        _exit = child.wait() => None,
        reason = stop.pulled() => Some(reason),
    };
    let linger = if stopped.is_some() { Duration::ZERO } else { LINGER };
    let ending = group.end(Some(child), Patience { linger, grace }, clock).await;
    match (stopped, ending) {
        (_, group::Ending::Killed) => {
            remarks.push("it ignored the request to end (TERM) and was killed".to_owned());
        }
        (None, group::Ending::Terminated) => {
            remarks.push("it left processes behind, which were ended".to_owned());
        }
        (_, group::Ending::Alone) | (Some(_), group::Ending::Terminated) => {}
    }
    let status = child.wait().await.unwrap_or_default();
    Exit { status, stopped, remarks }
}

/// Moves what the program writes, until both pipes are closed or `closing` says that nobody of the
/// group is left to write.
async fn pump(
    mut pipes: [Option<pipe::Receiver>; 2],
    capture: &mut Capture<'_>,
    mut closing: oneshot::Receiver<()>,
) {
    while pipes.iter().any(Option::is_some) {
        let index = tokio::select! {
            () = readable(pipes[0].as_ref()) => 0,
            () = readable(pipes[1].as_ref()) => 1,
            _ = &mut closing => break,
        };
        let Some(pipe) = &pipes[index] else { continue };
        let mut chunk = Vec::with_capacity(CHUNK);
        match pipe.try_read_buf(&mut chunk) {
            Ok(0) => pipes[index] = None,
            Ok(_) => capture.take(index, chunk).await,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => pipes[index] = None,
        }
    }
    for (index, pipe) in pipes.iter().enumerate() {
        if let Some(pipe) = pipe {
            drain(pipe, index, capture).await;
        }
    }
    capture.finish().await;
}

async fn readable(pipe: Option<&pipe::Receiver>) {
    match pipe {
        Some(pipe) => {
            // An error shows again at the read that follows.
            let _ready = pipe.readable().await;
        }
        None => std::future::pending().await,
    }
}

/// Takes what lies in a pipe now, without waiting for more: whoever still holds its other end has
/// left the group. Asks the kernel, since tokio's idea of readiness may lag behind.
async fn drain(pipe: &pipe::Receiver, index: usize, capture: &mut Capture<'_>) {
    /// The largest pipe that an unprivileged process can make.
    const MOST: usize = 1024 * 1024;
    let mut taken = 0;
    while taken < MOST {
        let mut chunk = vec![0; CHUNK];
        match rustix::io::read(pipe, &mut chunk) {
            Ok(0) => return,
            Ok(n) => {
                taken += n;
                chunk.truncate(n);
                capture.take(index, chunk).await;
            }
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

impl<'a> Capture<'a> {
    /// Keeps both streams, and looks at each.
    #[must_use]
    pub fn kept(output: &'a Output, stdout: Scan<'a>, stderr: Scan<'a>) -> Self {
        Self { kept: Some(output), ..Self::seen(output, stdout, stderr) }
    }

    /// Looks at each stream, screened as the attempt's output is, and keeps neither.
    #[must_use]
    pub fn seen(output: &Output, stdout: Scan<'a>, stderr: Scan<'a>) -> Self {
        let screens = [output.screen(), output.screen()];
        Self { kept: None, piped: None, screens, stdout, stderr }
    }

    /// Gives standard output to somebody as it is: data, not words. Where nobody takes it any more, it is
    /// lost. Standard error is kept.
    #[must_use]
    pub fn piped(output: &'a Output, to: mpsc::Sender<Vec<u8>>, stderr: Scan<'a>) -> Self {
        Self { piped: Some(to), ..Self::kept(output, Scan::default(), stderr) }
    }

    async fn take(&mut self, index: usize, chunk: Vec<u8>) {
        if let (0, Some(to)) = (index, &self.piped) {
            let _nobody_takes_it = to.send(chunk).await;
            return;
        }
        let chunk = self.screens[index].push(chunk);
        self.give(index, chunk).await;
    }

    /// What was held back while it could have become a secret.
    async fn finish(&mut self) {
        for index in 0..self.screens.len() {
            let rest = self.screens[index].finish();
            self.give(index, rest).await;
        }
    }

    async fn give(&mut self, index: usize, chunk: Vec<u8>) {
        let scan = if index == 0 { &mut self.stdout } else { &mut self.stderr };
        scan.feed(&chunk);
        if let Some(output) = self.kept {
            output.keep(chunk).await;
        }
    }
}

#[cfg(test)]
mod tests;
