//! Processes that a killed daemon left behind.
//!
//! Owns finding them by the environment that each process of a job carries, and ending them. Refuses
//! to know which runs should still be under way: the caller says.
//!
//! No list on disk of what was started: it would be wrong exactly when it is needed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, getpgid, getpgrp, waitid};

use super::environment;
use super::group::{Group, Patience};
use crate::clock::{self, Clock};
use crate::model::{AttemptNo, NodeId, RunId};

/// Longest wait for the kernel to end what was killed.
const STUCK: Duration = Duration::from_secs(30);

/// Rounds of looking and ending, since what is being ended may start more.
const ROUNDS: usize = 5;

/// A process group in which an attempt of this data dir still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The group.
    pub group: i32,
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: AttemptNo,
    /// The incarnation that started it.
    pub node: NodeId,
}

/// The process groups of attempts that belong to `data_dir` and that `wanted` says yes to. Blocks on
/// /proc for a few milliseconds.
#[must_use]
pub fn find(data_dir: &Path, wanted: impl Fn(&Orphan) -> bool) -> Vec<Orphan> {
    let data_dir = environment::spelled(data_dir);
    let mut groups = BTreeMap::new();
    for pid in processes() {
        if let Some(orphan) = look(pid, &data_dir).filter(&wanted) {
            groups.entry(orphan.group).or_insert(orphan);
        }
    }
    groups.into_values().collect()
}

/// What became of orphans.
#[derive(Debug, Default)]
pub struct Swept {
    /// They are gone.
    pub ended: Vec<Orphan>,
    /// KILL did not end them: they sit in the kernel, or a member belongs to another user.
    pub stuck: Vec<Orphan>,
}

/// Ends them: TERM, grace, KILL. Waits for those that KILL does not end, but not for ever: every other job
/// waits for this.
pub async fn end(
    data_dir: &Path,
    wanted: impl Fn(&Orphan) -> bool,
    grace: Duration,
    clock: &dyn Clock,
) -> Swept {
    let mut swept = Swept::default();
    for _ in 0..ROUNDS {
        let found = find(data_dir, &wanted);
        if found.is_empty() || !swept.stuck.is_empty() {
            break;
        }
        // One after the other would add up the grace times.
        let ends = found.into_iter().map(|orphan| async move {
            let id = Pid::from_raw(orphan.group)?;
            let patience = Patience { linger: Duration::ZERO, grace };
            let mut group = Group::new(id);
            let end = group.end(None, patience, clock);
            Some((orphan, clock::within(clock, grace + STUCK, end).await.is_some()))
        });
        for (orphan, gone) in futures_util::future::join_all(ends).await.into_iter().flatten() {
            if gone { swept.ended.push(orphan) } else { swept.stuck.push(orphan) }
        }
    }
    swept
}

/// Whether a group has a member that is not just a dead entry in the process table.
pub(super) fn any_alive(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get();
    processes().filter_map(stat).any(|process| process.group == group && !process.is_dead)
}

/// Collects inherited processes that have ended. Process 1 of a container is the parent of whatever left its
/// group, and without this each of them would stay in the process table for ever. Our own children, which
/// tokio waits for, are told by leading a group in our own session.
pub(super) fn collect_inherited() {
    if std::process::id() != 1 {
        return;
    }
    let Some(ours) = stat(1).map(|process| process.session) else { return };
    for pid in processes() {
        let inherited = |of: &Stat| of.parent == 1 && (of.group != pid || of.session != ours);
        if stat(pid).is_some_and(|process| process.is_dead && inherited(&process)) {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            let _gone_already = Pid::from_raw(pid).map(|id| waitid(WaitId::Pid(id), options));
        }
    }
}

/// What the process table says of a process.
struct Stat {
    is_dead: bool,
    parent: i32,
    group: i32,
    session: i32,
}

fn stat(pid: i32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Stat { is_dead, parent: number()?, group: number()?, session: number()? })
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn look(pid: i32, data_dir: &Path) -> Option<Orphan> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |name: &str| {
        let mut entries = environ.split(|byte| *byte == 0);
        entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    let number = |name| std::str::from_utf8(value(name)?).ok()?.parse::<i64>().ok();
    if value(environment::DATA)? != data_dir.as_os_str().as_encoded_bytes() {
        return None;
    }
    let run = RunId(number(environment::RUN)?);
    let attempt = number(environment::ATTEMPT)?.try_into().ok()?;
    let node = NodeId(number(environment::NODE)?);
    let group = getpgid(Pid::from_raw(pid)).ok()?;
    // A daemon that a job of this data dir started would otherwise end itself.
    (group != getpgrp()).then_some(Orphan {
        group: group.as_raw_nonzero().get(),
        run,
        attempt,
        node,
    })
}
