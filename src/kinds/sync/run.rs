//! The pipeline: from a read to one commit, or to a reason why there is none.
//!
//! Owns the order of the steps, and the thread that they run on: they are busy with rows, and must not hold
//! up what else the daemon does. Refuses to know any source or destination.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::desk::{Answer, Ask, Changes, Samples, Tripped};
use super::progress::grouped;
use super::spec::SyncSpec;
use super::state::Before;
use super::steps::{Snapshot, Sync, Weighed};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use super::{already, answer, folder, held};
use crate::kinds::Work;
use crate::model::{Failure, FailureClass, Outcome};

/// Runs the pipeline of an attempt. The thread is gone when this returns.
pub(super) async fn on_a_thread(tools: Tools, work: Arc<Work>) -> Outcome {
    match threaded(tools, work, pipeline).await {
        Ok(note) => Outcome::Succeeded { note },
        Err(failure) => Outcome::Failed(failure),
    }
}

/// Answers a question on a thread like it.
pub(super) async fn answer_on_a_thread(
    tools: Tools,
    work: Arc<Work>,
    ask: Ask,
) -> Result<Answer, Failure> {
    threaded(tools, work, move |spec, tools| answer::answer(spec, tools, ask)).await
}

async fn threaded<T: Send + 'static>(
    tools: Tools,
    work: Arc<Work>,
    what: impl FnOnce(&SyncSpec, &Tools) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Failure> {
    let (send, done) = oneshot::channel();
    let name = format!("sync {}", tools.job);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let Work::Sync(spec) = work.as_ref() else { return };
        let _nobody_waits = send.send(what(spec, &tools));
    });
    if let Err(error) = thread {
        let message = format!("can't start a thread: {error}");
        return Err(Failure::new(FailureClass::Transient, message));
    }
    match done.await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => {
            let message = "the sync panicked: this is a bug; nothing was committed";
            Err(Failure::new(FailureClass::Permanent, message))
        }
    }
}

/// Runs a sync to its end; gives what it says of itself.
pub(super) fn pipeline(spec: &SyncSpec, tools: &Tools) -> Result<String, Trouble> {
    let _lock = folder::Lock::wait(tools)?;
    let sync = Sync::new(spec, tools)?;
    let stage = held::load(&sync.folder).ok().flatten().map(|held| held.stage);
    folder::sweep(&sync.folder, stage.as_deref());
    if let Some(approval) = held::take_approval(&sync.folder)? {
        return approved(&sync, &approval);
    }
    let known = sync.known()?;
    if let Some(note) = already_committed(&sync, &known.before) {
        return Ok(note);
    }
    let Some(mut snapshot) = sync.read(&known)? else {
        let last = known.before.ledger().map(|ledger| ledger.read_at);
        let last = last.map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
        return Ok(format!("unchanged: nothing changed at the source since {last}"));
    };
    let weighed = sync.weigh(&mut snapshot, Some(&known))?;
    // Where the read began from the copy, only now the destination itself was asked.
    if let Some(note) = already_committed(&sync, &weighed.before) {
        return Ok(note);
    }
    for note in snapshot.notes.iter().chain(&weighed.verdict.notes) {
        tools.say(note);
    }
    if !weighed.verdict.tripped.is_empty() {
        return Err(hold(&sync, snapshot, weighed));
    }
    let bad = snapshot.bad;
    if spec.source.is_a_program() {
        // Once more: the same signal may have reached us later than the program.
        tools.trust_a_program()?;
    }
    sync.commit(snapshot, weighed).map(|changes| committed(changes, bad))
}

/// What an earlier attempt of this run committed, which must not be added once more.
fn already_committed(sync: &Sync<'_>, before: &Before) -> Option<String> {
    let ledger = before.ledger()?;
    let changes = already::by(sync.tools.run, &sync.folder, ledger)?;
    sync.tools
        .say("an earlier attempt of this run has committed already: nothing is added once more");
    sync.remember(ledger, None);
    Some(committed(changes, 0))
}

/// `committed: 3 inserted, 1 updated, 2 deleted, 94 same`.
fn committed(changes: Changes, bad: u64) -> String {
    let Changes { inserted, updated, deleted, same } = changes;
    let all = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted"), (same, "same")];
    let all = all.map(|(count, word)| format!("{} {word}", grouped(count))).join(", ");
    match bad {
        0 => format!("committed: {all}"),
        _ => format!("committed: {all}; {} bad left out", grouped(bad)),
    }
}

/// Holds a snapshot, and says why.
fn hold(sync: &Sync<'_>, mut snapshot: Snapshot, mut weighed: Weighed) -> Trouble {
    let words = |tripped: &Tripped| format!("{}: {}", tripped.guard, tripped.why);
    let why: Vec<String> = weighed.verdict.tripped.iter().map(words).collect();
    for line in &why {
        sync.tools.say(line);
    }
    let samples = sync.hold(&mut snapshot, &mut weighed).unwrap_or_else(|trouble| {
        let message = format!("what was read can't be kept to be looked at: {}", trouble.message);
        sync.tools.say(&message);
        Samples::default()
    });
    Trouble::new(Ending::Held, why.join("; "))
        .with_detail(proof(weighed.diff.changes, &samples))
        .mended_by(format!("jadactl sync diff {}", sync.job()))
}

/// The counts and the keys of what is held, a line each.
fn proof(changes: Changes, samples: &Samples) -> String {
    let Changes { inserted, updated, deleted, same } = changes;
    let mut lines =
        vec![format!("{inserted} insert, {updated} update, {deleted} delete, {same} same")];
    for (word, keys) in
        [("insert", &samples.inserted), ("update", &samples.updated), ("delete", &samples.deleted)]
    {
        if !keys.is_empty() {
            lines.push(format!("{word}: {}", keys.join(", ")));
        }
    }
    lines.join("\n")
}

/// Commits a snapshot that a person approved, if it still changes just that.
fn approved(sync: &Sync<'_>, approval: &held::Approval) -> Result<String, Trouble> {
    let mend = format!("jadactl sync diff {}", sync.job());
    let refuse = |why: &str| {
        let run = approval.run;
        let message = format!("the approval of run {run} is void: {why}; look at it again");
        Trouble::new(Ending::State, message).mended_by(mend.clone())
    };
    let held = held::load(&sync.folder)?.filter(|held| held.run == approval.run);
    let held = held.ok_or_else(|| refuse("its snapshot is not held any more"))?;
    let mut snapshot = sync.reopen(&held)?;
    let weighed = sync.weigh(&mut snapshot, None)?;
    if weighed.diff.digest != approval.digest || held.digest != approval.digest {
        return Err(refuse("the destination moved since"));
    }
    sync.tools.say(&format!("what run {} read is committed, as approved", held.run));
    sync.commit(snapshot, weighed).map(|changes| committed(changes, held.bad))
}

#[cfg(test)]
mod tests;
