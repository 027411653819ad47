//! Answers what a person asks about a sync.
//!
//! Owns the way from each question to its answer, on the steps that a run takes too. Refuses to commit rows.

use serde_json::Value as Json;

use super::columns::Column;
use super::desk::{Answer, Ask, Last, Report, Sample, Set, Shown};
use super::diff::{Effect, Work};
use super::folder::{self, LEDGER};
use super::intake::Intake;
use super::ledger::{Ledger, State};
use super::source::Start;
use super::spec::SyncSpec;
use super::stage::Stage;
use super::state::Before;
use super::steps::Sync;
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use super::value::Cell;
use super::{held, state};

/// Answers it.
pub(super) fn answer(spec: &SyncSpec, tools: &Tools, ask: Ask) -> Result<Answer, Trouble> {
    if let Ask::Approve(run) = ask {
        // A run under way may let go of the snapshot; it takes the approval first, if it is in time for it.
        let held::Approval { run, digest } = held::approve(&tools.folder(), run)?;
        return Ok(Answer::Approved { run, digest });
    }
    let _lock = folder::Lock::take(tools)?;
    if let Ask::Infer { rows } = ask {
        return infer(spec, tools, rows).map(Answer::Sample);
    }
    let sync = Sync::new(spec, tools)?;
    match ask {
        Ask::Diff { held } => diff(&sync, held).map(Answer::Diff),
        Ask::Show => show(&sync).map(Answer::State),
        Ask::Set(set) => change(&sync, Some(set)).map(Answer::State),
        Ask::Reset => change(&sync, None).map(Answer::State),
        Ask::Infer { .. } | Ask::Approve(_) => unreachable!("they are answered above"),
    }
}

fn diff(sync: &Sync<'_>, held: bool) -> Result<Report, Trouble> {
    let held = if held { held::load(&sync.folder)? } else { None };
    let mut notes = Vec::new();
    let (mut snapshot, mut weighed) = match &held {
        Some(held) => {
            let mut snapshot = sync.reopen(held)?;
            let mut weighed = sync.weigh(&mut snapshot, None)?;
            weighed.verdict.tripped.clone_from(&held.tripped);
            if weighed.diff.digest != held.digest {
                notes.push("the destination moved since: this is the difference now".to_owned());
            }
            (snapshot, weighed)
        }
        None => {
            let known = sync.known()?;
            let known = super::steps::Known { before: unread(known.before), ..known };
            let snapshot = sync.read(&known)?;
            let mut snapshot = snapshot.ok_or_else(|| Trouble::source("it gave no rows"))?;
            let weighed = sync.weigh(&mut snapshot, None)?;
            (snapshot, weighed)
        }
    };
    let samples = Sync::samples(&mut snapshot, &mut weighed)?;
    notes.extend(snapshot.notes.iter().chain(&weighed.verdict.notes).cloned());
    let moved = held.as_ref().is_some_and(|held| held.digest != weighed.diff.digest);
    Ok(Report {
        held: held.map(|held| held.run),
        moved,
        read_at: snapshot.read_at,
        rows: snapshot.stage.rows(),
        bad: snapshot.bad,
        changes: weighed.diff.changes,
        samples,
        tripped: weighed.verdict.tripped,
        notes,
        digest: weighed.diff.digest,
        last: weighed.before.ledger().map(last),
    })
}

/// A diff reads, whatever a probe says: its last read counts as long ago.
fn unread(before: Before) -> Before {
    match before {
        Before::Known(mut ledger) => {
            ledger.read_at = jiff::Timestamp::MIN;
            Before::Known(ledger)
        }
        other => other,
    }
}

fn last(ledger: &Ledger) -> Last {
    Last {
        run: ledger.run,
        committed_at: ledger.committed_at,
        rows: ledger.rows,
        cursor: ledger.state.cursor.clone(),
        left: ledger.state.left.clone(),
    }
}

/// The columns, which a state needs to be found by.
fn columns(sync: &Sync<'_>) -> Result<Vec<Column>, Trouble> {
    sync.columns_before().ok_or_else(|| {
        let message = "the source declares its columns, and no run has committed any yet";
        Trouble::new(Ending::State, message)
    })
}

fn show(sync: &Sync<'_>) -> Result<Shown, Trouble> {
    let (_session, found) = sync.begin(&columns(sync)?)?;
    let ledger = match &found.ledger {
        None => None,
        Some(_) => Before::of(&found, sync.spec, sync.job())?.ledger().cloned(),
    };
    Ok(shown(sync, ledger.as_ref(), found.rows))
}

fn shown(sync: &Sync<'_>, ledger: Option<&Ledger>, rows: u64) -> Shown {
    // The newest change is the last commit itself.
    let history = ledger
        .iter()
        .flat_map(|ledger| ledger.history.iter().filter(|change| change.at != ledger.committed_at));
    Shown {
        last: ledger.map(last),
        same_source: ledger.is_some_and(|ledger| ledger.fingerprint == sync.fingerprint),
        history: history.map(|change| (change.at, change.rows)).collect(),
        rows,
        held: held::load(&sync.folder).ok().flatten().map(|held| held.run),
        backup: None,
    }
}

/// Sets the state, or takes what is there for it.
fn change(sync: &Sync<'_>, set: Option<Set>) -> Result<Shown, Trouble> {
    let columns = columns(sync)?;
    let (mut session, found) = sync.begin(&columns)?;
    let now = sync.tools.now();
    let mut ledger = match set {
        Some(set) => {
            let before = Before::of(&found, sync.spec, sync.job())?;
            let before = before.ledger().ok_or_else(|| {
                Trouble::new(Ending::State, "there is no record of a sync yet that could be set")
            })?;
            check_cursor(sync, set.cursor.as_deref())?;
            let state = state::set(before, set.cursor, set.left);
            let mut earlier = before.earlier.clone();
            earlier.insert(0, before.state.clone());
            earlier.truncate(super::ledger::KEPT);
            Ledger { state, earlier, ..before.clone() }
        }
        None => Ledger {
            version: 1,
            run: sync.tools.run,
            committed_at: now,
            read_at: now,
            rows: found.rows,
            fingerprint: sync.fingerprint.clone(),
            section: sync.section.clone(),
            state: State::default(),
            history: Vec::new(),
            earlier: Vec::new(),
        },
    };
    if found.shows_rows && found.rows > 0 {
        let mut rows = 0;
        session.current(&mut |_| {
            rows += 1;
            Ok(())
        })?;
        ledger.rows = rows;
    }
    let backup = match found.ledger.as_deref() {
        None => None,
        Some(text) => {
            // To the millisecond, so that of two changes in a row both are kept.
            let stamp = now.strftime("%Y%m%dT%H%M%S%3fZ");
            let name = format!("ledger-before-{stamp}.json");
            folder::write_text(&sync.folder, &name, text)?;
            Some(sync.folder.join(name))
        }
    };
    let mut stage = Stage::create(&sync.folder, "state.stage")?;
    let mut work = Work { effect: Effect::Keep, columns: &columns, stage: &mut stage, base: None };
    session.commit(&mut work, &ledger)?;
    folder::write(&sync.folder, LEDGER, &ledger)?;
    Ok(Shown { backup, ..shown(sync, Some(&ledger), ledger.rows) })
}

fn check_cursor(sync: &Sync<'_>, cursor: Option<&str>) -> Result<(), Trouble> {
    let (Some(cursor), Some(by)) = (cursor, sync.spec.source.cursor()) else {
        return match cursor {
            Some(_) => Err(Trouble::config("the source has no `cursor` that could be set")),
            None => Ok(()),
        };
    };
    let made = sync.layout.made.iter().find(|made| made.from == by.field.value);
    let Some(made) = made else { return Ok(()) };
    let (maker, mut room) = (made.maker.plain(), super::map::Room::default());
    match maker.make(Cell::Text(cursor), None, &mut room) {
        Ok(_) => Ok(()),
        Err(wrong) => Err(Trouble::config(format!("`{cursor}` can't be the cursor: {}", wrong.0))),
    }
}

/// Reads some rows as the source gives them.
fn infer(spec: &SyncSpec, tools: &Tools, rows: usize) -> Result<Sample, Trouble> {
    let initial = spec.source.cursor().and_then(|cursor| cursor.initial.as_ref());
    let start = Start {
        cursor: initial.map(|initial| initial.value.0.clone()),
        left: None::<Json>,
        may_be_unchanged: false,
        goes_on: false,
        now: tools.now(),
    };
    let mut stage = Stage::create(&tools.folder(), "infer.stage")?;
    let mut intake = Intake::sampling(tools, spec, &mut stage, rows)?;
    let read = spec.source.read(tools, &start, &mut intake);
    match intake.sample() {
        // Whoever has enough stops the source in its middle.
        Some((sample, true)) => Ok(sample),
        Some((sample, false)) => read.map(|_| sample),
        None => Err(Trouble::source("it gave no rows")),
    }
}
