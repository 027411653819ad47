//! Programs that print secrets.
//!
//! Owns their start, the limit on their time and output, and their end with everything they started. Refuses
//! to look at standard error: it may hold what must not be logged.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::World;
use crate::clock::within;
use crate::credentials::evidence::Evidence;
use crate::model::CredentialClass;

/// Most bytes that are read.
const OUTPUT_MAX: u64 = 1024 * 1024;

/// What the daemon got from its own supervisor, and no program of a job's may have.
const WITHHELD: &[&str] =
    &["CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Runs a program to its end, and hands out what it printed.
pub(super) async fn run(
    run: &[String],
    patience: Duration,
    world: &World,
) -> Result<Zeroizing<Vec<u8>>, Evidence> {
    let [program, arguments @ ..] = run else { return Err(failing("a program", "is not named")) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    for name in WITHHELD {
        command.env_remove(name);
    }
    let child =
        command.spawn().map_err(|error| failing(program, &format!("can't start: {error}")))?;
    let mut group = Group(child);
    let printed = within(&*world.clock, patience, group.output()).await;
    match printed {
        Some(Ok((status, printed))) if status.success() => Ok(printed),
        Some(Ok((status, _))) => Err(failing(program, &ending(status))),
        Some(Err(words)) => Err(failing(program, &words)),
        None => Err(failing(program, &format!("took longer than {} s", patience.as_secs()))),
    }
}

/// A program and what it started. What is left of them goes when this goes.
struct Group(Child);

impl Group {
    async fn output(&mut self) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), String> {
        let stdout = self.0.stdout.take().expect("the output is piped");
        let mut printed = Zeroizing::new(Vec::with_capacity(4096));
        let mut limited = stdout.take(OUTPUT_MAX + 1);
        limited.read_to_end(&mut printed).await.map_err(|error| error.to_string())?;
        if printed.len() as u64 > OUTPUT_MAX {
            return Err("prints more than 1 MiB".to_owned());
        }
        let status = self.0.wait().await.map_err(|error| error.to_string())?;
        Ok((status, printed))
    }
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

fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "was killed".to_owned(),
    }
}

fn failing(program: &str, words: &str) -> Evidence {
    Evidence::new(CredentialClass::SourceFailing, format!("{program} {words}"))
}
