//! A program whose standard output is the data.
//!
//! Owns its start, its lines as they come (a program that is faster than the pipeline waits at its pipe), and
//! the judgement of its end. Refuses to know what stands in the lines.

use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::lines::Feed;
use crate::kinds::command::Run;
use crate::kinds::process::{self, Capture, Exit, Program, Scan, SpawnError};
use crate::kinds::{Stop, StopReason};
use crate::model::FailureClass;

/// Chunks that wait between the pipe and the pipeline, of at most 64 KiB each.
const AHEAD: usize = 4;

/// What runs.
pub(super) struct Command {
    /// The program's name, then its arguments.
    pub(super) argv: Vec<OsString>,
    /// Its whole environment.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Longest time without a byte of output.
    pub(super) idle: Option<Duration>,
    /// Its name in messages.
    pub(super) name: &'static str,
}

/// A program under way. It is asked to end when this is dropped.
pub(super) struct Running<'a> {
    tools: &'a Tools,
    name: &'static str,
    idle: Option<Duration>,
    chunks: mpsc::Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    taken: usize,
    pull: watch::Sender<Option<StopReason>>,
    end: Option<JoinHandle<Result<Ended, SpawnError>>>,
    failed: Option<Trouble>,
}

/// How it ended, and the last thing that it said on standard error.
struct Ended {
    exit: Exit,
    said: Option<String>,
}

/// The words that a program is started with.
pub(super) fn argv(run: &Run, tools: &Tools) -> Result<Vec<OsString>, Trouble> {
    match run {
        Run::Exec(words) => {
            let words = words.iter().map(|word| tools.render("source.run", &word.value.0));
            words.map(|word| word.map(OsString::from)).collect()
        }
        Run::Shell(text) => {
            let text = tools.render("source.run", &text.value)?;
            Ok(vec!["/bin/sh".into(), "-c".into(), text.into()])
        }
    }
}

impl<'a> Running<'a> {
    /// Starts it.
    pub(super) fn start(command: Command, tools: &'a Tools) -> Self {
        let (give, chunks) = mpsc::channel(AHEAD);
        let (pull, mut stop) = Stop::pair();
        let (setting, clock) = (Arc::clone(&tools.setting), Arc::clone(&tools.clock));
        let output = tools.output.clone();
        let Command { argv, env, idle, name } = command;
        let end = tools.handle.spawn(async move {
            let program = Program {
                argv,
                env,
                dir: &setting.working_dir,
                stdin: None,
                limits: setting.limits,
                grace: setting.grace,
            };
            let mut capture = Capture::piped(&output, give, Scan::default());
            let exit = process::run(program, &mut capture, &mut stop, clock.as_ref()).await?;
            Ok(Ended { exit, said: capture.stderr.last_line() })
        });
        let (chunk, failed) = (Vec::new(), None);
        Self { tools, name, idle, chunks, chunk, taken: 0, pull, end: Some(end), failed }
    }

    /// Waits for its end, after its last line, and judges it: `Ok` only where it ended by itself, well.
    pub(super) fn finish(mut self) -> Result<(), Trouble> {
        let end = self.end.take().expect("it is taken once, here or at the drop");
        let ended = end_of(self.tools, end, &self.pull)?;
        for remark in &ended.exit.remarks {
            self.tools.say(&format!("jada: {}: {remark}", self.name));
        }
        if ended.exit.stopped.is_some() {
            return Err(Trouble::cancelled());
        }
        if ended.exit.status.success() {
            return self.tools.trust_a_program();
        }
        Err(Trouble::source(self.last_words(&ended)))
    }

    fn last_words(&self, ended: &Ended) -> String {
        let status = ended.exit.status;
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        };
        let said = ended.said.as_ref().map(|line| format!(": {line}")).unwrap_or_default();
        format!("{} ended with {how}{said}", self.name)
    }

    /// The next chunk; none when standard output is closed.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        if let Ok(chunk) = self.chunks.try_recv() {
            return Ok(Some(chunk));
        }
        let (clock, idle, name) = (Arc::clone(&self.tools.clock), self.idle, self.name);
        let chunks = &mut self.chunks;
        let waited = self.tools.wait(async {
            tokio::select! {
                biased;
                chunk = chunks.recv() => Ok(chunk),
                silence = silent(clock.as_ref(), idle) => Err(silence),
            }
        })?;
        waited.map_err(|silence| {
            let seconds = silence.as_secs_f64();
            Trouble::source(format!(
                "{name} printed nothing for {seconds} s (`source.idle_timeout`), and was ended"
            ))
        })
    }
}

/// Never returns where silence is allowed.
async fn silent(clock: &dyn crate::clock::Clock, idle: Option<Duration>) -> Duration {
    match idle {
        Some(idle) => {
            clock.sleep(idle).await;
            idle
        }
        None => std::future::pending().await,
    }
}

/// Waits for the end of a program; one that must stop is asked to, and waited for as well.
fn end_of(
    tools: &Tools,
    mut end: JoinHandle<Result<Ended, SpawnError>>,
    pull: &watch::Sender<Option<StopReason>>,
) -> Result<Ended, Trouble> {
    let ended = match tools.wait(&mut end) {
        Ok(ended) => ended,
        Err(cancelled) => {
            pull.send_replace(Some(StopReason::Cancelled));
            let _gone = tools.handle.block_on(end);
            return Err(cancelled);
        }
    };
    match ended {
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(error)) => {
            let trouble = Trouble::source(error.message);
            let for_good = error.class == FailureClass::Permanent;
            Err(if for_good { trouble.for_good() } else { trouble })
        }
        Err(error) => Err(Trouble::source(format!("the program could not be watched: {error}"))),
    }
}

impl Drop for Running<'_> {
    /// Whatever ended the read ends the program, and nothing of it is left running behind us.
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.chunks.close();
            self.pull.send_replace(Some(StopReason::Cancelled));
            let _gone = self.tools.handle.block_on(end);
        }
    }
}

impl Read for Running<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Running<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.chunk.len() {
            match self.receive() {
                Ok(Some(chunk)) => (self.chunk, self.taken) = (chunk, 0),
                Ok(None) => return Ok(&[]),
                Err(trouble) => {
                    self.failed = Some(trouble);
                    return Err(io::Error::other("the program"));
                }
            }
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
    }
}

impl Feed for Running<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn trouble(&mut self, error: &io::Error) -> Trouble {
        self.failed.take().unwrap_or_else(|| Trouble::source(error))
    }
}
