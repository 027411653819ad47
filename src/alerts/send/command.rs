//! By a program.
//!
//! Owns what it is given (the message as JSON on standard input, a few variables) and what its end means.
//! Refuses to hand it what the daemon got for itself.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Failure, Ways};
use crate::alerts::message::{self, Message};
use crate::alerts::settings::Program;

/// What the daemon got from its own supervisor.
const WITHHELD: &[&str] = &[
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// Most bytes of what it prints that are looked at.
const PRINTED_MAX: u64 = 4096;

/// Exit codes of `sysexits.h` that no second try mends: wrong usage, no such user, no permission, wrong
/// settings; and those by which a shell says that there is no such program.
const SETTINGS: &[i32] = &[64, 67, 77, 78, 126, 127];

/// Runs it.
pub(super) async fn tell(
    ways: &Ways,
    program: &Program,
    message: &Message,
) -> Result<String, Failure> {
    let [name, arguments @ ..] = program.run.as_slice() else {
        return Err(Failure::settings("no program is named"));
    };
    let mut command = Command::new(name);
    command.args(arguments).current_dir(&program.folder).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in WITHHELD {
        command.env_remove(name);
    }
    command.envs(variables(message));
    let child = command
        .spawn()
        .map_err(|error| Failure::settings(format!("can't start {name}: {error}")))?;
    let mut group = Group(child);
    let input = message.body.to_string();
    ways.within(program.timeout, group.feed(name, input)).await
}

fn variables(message: &Message) -> [(&'static str, String); 7] {
    let field = |name: &str| message.body[name].as_str().unwrap_or_default().to_owned();
    [
        ("JADA_EVENT", message.event.word().to_owned()),
        ("JADA_SUBJECT", message.subject.clone()),
        ("JADA_SEVERITY", field("severity")),
        ("JADA_ROOT", field("root")),
        ("JADA_KEY", message.incident_key.clone()),
        ("JADA_INCIDENT", message.incident.map(|id| id.to_string()).unwrap_or_default()),
        ("JADA_NOTIFICATION", message.key.clone()),
    ]
}

/// A program and what it started. What is left of them goes when this goes.
struct Group(Child);

impl Group {
    async fn feed(&mut self, name: &str, input: String) -> Result<String, Failure> {
        let broken = |error: std::io::Error| Failure::line(format!("{name}: {error}"));
        let pipes = "they are piped, and taken once";
        let mut stdin = self.0.stdin.take().expect(pipes);
        let (stdout, stderr) =
            (self.0.stdout.take().expect(pipes), self.0.stderr.take().expect(pipes));
        let write = async {
            // A program need not read it: what counts is how it ends.
            let _unread = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let ((), (), printed) = tokio::join!(write, drain(stdout), printed(stderr));
        let status = self.0.wait().await.map_err(broken)?;
        if status.success() {
            return Ok(format!("{name} ended with 0"));
        }
        let said = if printed.is_empty() { String::new() } else { format!(": {printed}") };
        match status.code() {
            Some(code) if SETTINGS.contains(&code) => {
                Err(Failure::settings(format!("{name} ended with {code}{said}")))
            }
            Some(code) => Err(Failure::line(format!("{name} ended with {code}{said}"))),
            None => Err(Failure::line(format!("{name} was killed{said}"))),
        }
    }
}

/// Reads what nobody looks at, so that no program waits for a reader.
async fn drain(mut from: impl tokio::io::AsyncRead + Unpin) {
    let _end = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
}

/// The last line of what it said of its failure.
async fn printed(mut from: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let _end = (&mut from).take(PRINTED_MAX).read_to_end(&mut bytes).await;
    drain(from).await;
    let text = String::from_utf8_lossy(&bytes);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    message::line(last)
}

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was waited for has no id any more, and its number may be another's by now.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}
