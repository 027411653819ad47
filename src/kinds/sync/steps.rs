//! The steps of a sync, each of which leaves everything as it was when it fails.
//!
//! ```text
//!  known ──▶ read ──▶ weigh (begin, compare, judge) ──▶ commit
//!                                                  └──▶ hold
//! ```
//!
//! Owns what each step hands to the next. Refuses to know who asked for them: a run, or a person.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::already;
use super::columns::Column;
use super::dedupe;
use super::desk::{Changes, Samples};
use super::destination::{Found, Session, Shape};
use super::diff::{self, Base, Diff, Effect, Work};
use super::folder::{self, LEDGER};
use super::guards::{Facts, Verdict, judge};
use super::held::{self, Held, KeptColumn};
use super::intake::Intake;
use super::layout::{self, Layout};
use super::ledger::{Ledger, State};
use super::progress::Step;
use super::source::{Read, Start};
use super::spec::{Mode, SyncSpec};
use super::stage::Stage;
use super::state::{self, Before, Commit};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};

/// The columns that a source declared at the last commit.
const COLUMNS: &str = "columns.json";

/// A sync, as its steps see it.
pub(super) struct Sync<'a> {
    pub(super) spec: &'a SyncSpec,
    pub(super) tools: &'a Tools,
    pub(super) folder: PathBuf,
    pub(super) layout: Layout,
    pub(super) fingerprint: String,
    pub(super) section: String,
}

/// What a destination said of itself.
pub(super) struct Known {
    pub(super) found: Found,
    pub(super) before: Before,
    /// Whether it was not asked: this is the copy.
    pub(super) copy: bool,
}

/// A read that is complete.
pub(super) struct Snapshot {
    pub(super) stage: Stage,
    pub(super) layout: Layout,
    pub(super) bad: u64,
    pub(super) nulls: Vec<u64>,
    pub(super) twice: Vec<(usize, u64)>,
    pub(super) canary: Option<bool>,
    pub(super) cursor: Option<String>,
    pub(super) newest: Option<Timestamp>,
    pub(super) left: Option<Json>,
    pub(super) read_at: Timestamp,
    pub(super) notes: Vec<String>,
}

/// A read beside what the destination holds, which is locked from here on.
pub(super) struct Weighed {
    pub(super) session: Session,
    pub(super) before: Before,
    pub(super) columns: Vec<Column>,
    pub(super) effect: Effect,
    pub(super) diff: Diff,
    pub(super) base: Option<Base>,
    pub(super) after: u64,
    pub(super) verdict: Verdict,
}

impl<'a> Sync<'a> {
    pub(super) fn new(spec: &'a SyncSpec, tools: &'a Tools) -> Result<Self, Trouble> {
        let layout = Layout::of(spec)?;
        let fingerprint = layout::fingerprint(spec);
        let section = layout::section(spec);
        Ok(Self { spec, tools, folder: tools.folder(), layout, fingerprint, section })
    }

    pub(super) fn job(&self) -> &str {
        self.tools.job.as_str()
    }

    /// What becomes of what the destination holds.
    pub(super) fn mode(&self, layout: &Layout) -> Mode {
        let by_key = if layout.has_key() { Mode::Upsert } else { Mode::Append };
        self.spec.mode.as_ref().map_or(by_key, |mode| mode.value)
    }

    /// Locks the destination.
    pub(super) fn begin(&self, columns: &[Column]) -> Result<(Session, Found), Trouble> {
        let shape = Shape { stream: self.job(), columns };
        self.spec.destination.begin(self.tools, shape)
    }

    /// The columns of the destination, where they are known before a read.
    pub(super) fn columns_before(&self) -> Option<Vec<Column>> {
        if !self.layout.is_open() {
            return Some(self.layout.for_destination());
        }
        let kept: Vec<KeptColumn> = folder::read(&self.folder, COLUMNS).ok().flatten()?;
        KeptColumn::back(&kept).ok()
    }

    /// Asks the destination for the record of the last commit, and lets go of it. What can't be asked for it
    /// without a read is known by the copy.
    pub(super) fn known(&self) -> Result<Known, Trouble> {
        let copy = folder::read_text(&self.folder, LEDGER)?;
        let columns =
            self.columns_before().filter(|_| !self.spec.destination.has_its_ledger_here());
        let asked = columns.is_some();
        let found = match columns {
            Some(columns) => self.begin(&columns)?.1,
            // The copy stands in; whether rows are there is seen when they are weighed.
            None => Found { ledger: copy.clone(), rows: 0, shows_rows: false },
        };
        let before = Before::of(&found, self.spec, self.job())?;
        if let (true, Some(copy), Some(ledger)) = (asked, &copy, before.ledger())
            && serde_json::from_str::<Ledger>(copy).ok().as_ref() != Some(ledger)
        {
            let run = ledger.run;
            self.tools.say(&format!(
                "the destination's record of the last sync (run {run}) is not that of the copy here: the \
                 destination's counts"
            ));
        }
        Ok(Known { found, before, copy: !asked })
    }

    /// Reads the source to its end; nothing where a probe says that nothing has changed.
    pub(super) fn read(&self, known: &Known) -> Result<Option<Snapshot>, Trouble> {
        let now = self.tools.now();
        let (start, note) =
            state::start(self.spec, &known.before, &self.fingerprint, self.job(), now)?;
        let gone =
            known.found.rows == 0 && !known.copy && known.before.rows(&known.found) > Some(0);
        let same = known.before.ledger().is_some_and(|ledger| ledger.section == self.section);
        let may_be_unchanged = start.may_be_unchanged && same && !gone;
        let start = Start { may_be_unchanged, ..start };
        let name = format!("{}-{}.stage", self.tools.run, self.tools.no);
        let mut stage = Stage::create(&self.folder, &name)?;
        let mut intake = Intake::new(self.tools, self.spec, &mut stage)?;
        let read = self.spec.source.read(self.tools, &start, &mut intake)?;
        self.tools.go_on()?;
        let left = match read {
            Read::Unchanged if start.may_be_unchanged => return Ok(None),
            Read::Unchanged => {
                let message = "it says that nothing has changed, though everything was asked for";
                return Err(Trouble::source(message));
            }
            Read::All { left } => left,
        };
        let mut taken = intake.finish()?;
        let mut notes: Vec<String> = note.into_iter().collect();
        let dropped = dedupe::dedupe(&mut stage, &taken.layout.columns, self.spec.dedupe)?;
        if dropped > 0 {
            let rows = super::progress::rows(dropped);
            notes.push(format!("{rows} left out, whose key another one has"));
        }
        let twice = taken.tally.twice(&mut stage)?;
        let (cursor, newest) = self.cursor(known, &taken.tally, &taken.layout);
        Ok(Some(Snapshot {
            stage,
            bad: taken.tally.bad,
            nulls: taken.tally.nulls,
            twice,
            canary: taken.tally.canary,
            cursor,
            newest,
            left,
            read_at: now,
            layout: taken.layout,
            notes,
        }))
    }

    /// How far was read, and the time of the newest row where it has one.
    fn cursor(
        &self,
        known: &Known,
        tally: &super::intake::tally::Tally,
        layout: &Layout,
    ) -> (Option<String>, Option<Timestamp>) {
        let reads_on = state::reads_on(self.spec);
        let same = |ledger: &&Ledger| ledger.fingerprint == self.fingerprint && reads_on;
        let old =
            known.before.ledger().filter(same).and_then(|ledger| ledger.state.cursor.as_deref());
        let Some(at) = tally.cursor() else { return (old.map(str::to_owned), None) };
        let maker = &layout.made[at].maker;
        let cursor = state::newer(maker, old, tally.newest.as_deref());
        let newest = tally.newest.as_deref().and_then(state::time_of);
        let newest =
            newest.max(cursor.as_deref().and_then(|cursor| state::cursor_time(maker, cursor)));
        (cursor, newest)
    }

    /// A snapshot that was held, as it was read.
    pub(super) fn reopen(&self, held: &Held) -> Result<Snapshot, Trouble> {
        let mut stage = Stage::open(&self.folder.join(&held.stage))?;
        let sum = stage.sum()?;
        if sum != held.sum || held.fingerprint != self.fingerprint {
            let why = if sum == held.sum {
                "the source or its columns are others now"
            } else {
                "its file is not what was written"
            };
            let message = format!("the snapshot of run {} can't be used: {why}", held.run);
            return Err(Trouble::new(Ending::State, message));
        }
        let mut layout = self.layout.clone();
        if layout.is_open() {
            layout.declare(held.columns()?);
        }
        if layout.has_key() || self.spec.needs_index() {
            stage.index(&layout.columns)?;
        }
        dedupe::dedupe(&mut stage, &layout.columns, self.spec.dedupe)?;
        Ok(Snapshot {
            stage,
            bad: held.bad,
            nulls: Vec::new(),
            twice: Vec::new(),
            canary: None,
            cursor: held.cursor.clone(),
            newest: None,
            left: held.left.clone(),
            read_at: held.read_at,
            layout,
            notes: Vec::new(),
        })
    }

    /// Locks the destination, and finds out what a commit would change and what guards say to that. `known`
    /// is what the read began from.
    pub(super) fn weigh(
        &self,
        snapshot: &mut Snapshot,
        known: Option<&Known>,
    ) -> Result<Weighed, Trouble> {
        self.tools.go_on()?;
        self.tools.progress().step(Step::Compare);
        let columns = snapshot.layout.for_destination();
        let (mut session, found) = self.begin(&columns)?;
        let before = Before::of(&found, self.spec, self.job()).inspect_err(|_| {
            // A reset, which mends this, must know what a source of its own columns has declared.
            let _told_by_the_reset = self.keep_columns(&snapshot.layout);
        })?;
        if let Some(known) = known {
            self.still(known, &found, &before)?;
        }
        let mode = self.mode(&snapshot.layout);
        let effect = self.effect(mode, &snapshot.layout, &found)?;
        let (diff, base) = self.compare(snapshot, &mut session, &found, (mode, effect))?;
        let (diff, after) = Self::after(snapshot, &before, &found, (effect, diff, base.as_ref()))?;
        let verdict = self.judge(snapshot, &before, &found, (&diff, after));
        self.tools.go_on()?;
        Ok(Weighed { session, before, columns, effect, diff, base, after, verdict })
    }

    /// The read began from what the destination said then; it must say so still.
    fn still(&self, known: &Known, found: &Found, before: &Before) -> Result<(), Trouble> {
        if !state::reads_on(self.spec) || known.before.ledger() == before.ledger() {
            return Ok(());
        }
        let message = if known.copy {
            match &found.ledger {
                Some(text) => folder::write_text(&self.folder, LEDGER, text)?,
                None => folder::remove(&self.folder, LEDGER)?,
            }
            "the copy of the destination's record was not what it says itself: the next try begins there"
        } else {
            "something else committed to the destination during the read: the next try begins there"
        };
        Err(Trouble { may_help: Some(true), ..Trouble::new(Ending::State, message) })
    }

    fn effect(&self, mode: Mode, layout: &Layout, found: &Found) -> Result<Effect, Trouble> {
        let by_key = layout.has_key();
        Ok(match mode {
            Mode::Append | Mode::Snapshot => Effect::Add,
            Mode::Replace => Effect::Replace,
            Mode::Mirror if !by_key || !found.shows_rows => {
                let what =
                    if by_key { "a destination that shows its rows" } else { "a key column" };
                return Err(Trouble::config(format!("`mode: mirror` needs {what}")));
            }
            Mode::Upsert if !by_key => {
                return Err(Trouble::config("`mode: upsert` needs a key column"));
            }
            Mode::Mirror | Mode::Upsert => Effect::Merge,
            Mode::Incremental => {
                let by_record = self.spec.destination.has_its_ledger_here();
                let merges = by_key && (found.shows_rows || by_record);
                if merges { Effect::Merge } else { Effect::Add }
            }
        })
    }

    fn compare(
        &self,
        snapshot: &mut Snapshot,
        session: &mut Session,
        found: &Found,
        (mode, effect): (Mode, Effect),
    ) -> Result<(Option<Diff>, Option<Base>), Trouble> {
        let keyed = snapshot.layout.has_key() || self.spec.needs_index();
        let merges = effect == Effect::Merge || (effect == Effect::Replace && keyed);
        let whole = self.spec.destination.is_written_whole() && effect != Effect::Replace;
        if !found.shows_rows || !(merges || whole) {
            return Ok((None, None));
        }
        let whole = whole && mode != Mode::Mirror;
        let mut show = |each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>| session.current(each);
        let columns = &snapshot.layout.columns;
        let (mut base, sorter) = Base::of(&snapshot.stage, columns, whole, &mut show)?;
        if !merges {
            return Ok((None, Some(base)));
        }
        let deletes = matches!(mode, Mode::Mirror | Mode::Replace);
        let diff = diff::compare(&mut snapshot.stage, &mut base, sorter, deletes)?;
        Ok((Some(diff), Some(base)))
    }

    /// The difference, also where nothing could be compared, and how many rows there are after it.
    fn after(
        snapshot: &mut Snapshot,
        before: &Before,
        found: &Found,
        (effect, diff, base): (Effect, Option<Diff>, Option<&Base>),
    ) -> Result<(Diff, u64), Trouble> {
        let staged = snapshot.stage.rows();
        let there = base.map(Base::count);
        let there = there.or_else(|| before.rows(found)).unwrap_or_default();
        let compared = diff.is_some();
        let mut diff = match diff {
            Some(diff) => diff,
            None => {
                let record = found.ledger.as_deref().unwrap_or_default();
                let before = format!("{effect:?} {} {record}", found.rows);
                diff::additions(&mut snapshot.stage, &before)?
            }
        };
        let Changes { inserted, deleted, .. } = diff.changes;
        let after = match effect {
            Effect::Replace => staged,
            Effect::Add => there + staged,
            Effect::Merge if compared => (there + inserted).saturating_sub(deleted),
            Effect::Merge => there.max(staged),
            Effect::Keep => there,
        };
        if effect == Effect::Replace && !compared {
            diff.changes.deleted = there;
        }
        Ok((diff, after))
    }

    fn judge(
        &self,
        snapshot: &Snapshot,
        before: &Before,
        found: &Found,
        (diff, after): (&Diff, u64),
    ) -> Verdict {
        let columns = &snapshot.layout.columns;
        let name = |at: usize| columns.get(at).map_or("", |column| column.name.as_str());
        let facts = Facts {
            rows: snapshot.stage.rows(),
            before: before.rows(found),
            after,
            changes: diff.changes,
            nulls: snapshot
                .nulls
                .iter()
                .enumerate()
                .map(|(at, count)| (name(at), *count))
                .collect(),
            twice: snapshot.twice.iter().map(|(at, count)| (name(*at), *count)).collect(),
            canary: snapshot.canary,
            newest: snapshot.newest,
            history: before.ledger().map_or(&[], |ledger| &ledger.history),
            now: self.tools.now(),
        };
        judge(self.spec.guards.as_ref(), self.mode(&snapshot.layout), &facts)
    }

    /// Commits.
    pub(super) fn commit(
        &self,
        mut snapshot: Snapshot,
        weighed: Weighed,
    ) -> Result<Changes, Trouble> {
        let Weighed { session, before, columns, effect, diff, mut base, after, .. } = weighed;
        self.tools.progress().step(Step::Commit);
        let ledger = Ledger {
            version: 1,
            run: self.tools.run,
            committed_at: self.tools.now(),
            read_at: snapshot.read_at,
            rows: after,
            fingerprint: self.fingerprint.clone(),
            section: self.section.clone(),
            state: State { cursor: snapshot.cursor.clone(), left: snapshot.left.clone() },
            history: Vec::new(),
            earlier: Vec::new(),
        };
        let changes = diff.changes;
        let ledger = state::next(Commit { ledger, changes }, before.ledger(), self.spec);
        self.tools.go_on()?;
        if effect == Effect::Add {
            already::mark(&self.folder, &ledger)?;
        }
        let stage = &mut snapshot.stage;
        let mut work = Work { effect, columns: &columns, stage, base: base.as_mut() };
        session.commit(&mut work, &ledger)?;
        self.remember(&ledger, Some(&snapshot.layout));
        Ok(changes)
    }

    /// Copies what is committed. The destination has it already, so a full disk here fails nothing.
    pub(super) fn remember(&self, ledger: &Ledger, layout: Option<&Layout>) {
        let mut kept = folder::write(&self.folder, LEDGER, ledger);
        if let Some(layout) = layout {
            kept = kept.and(self.keep_columns(layout));
        }
        if let Err(trouble) = kept.and(held::forget(&self.folder)) {
            self.tools.say(&format!("it is committed; but {}", trouble.message));
        }
    }

    /// Keeps the columns that a source declared, by which the destination is asked before the next read.
    fn keep_columns(&self, layout: &Layout) -> Result<(), Trouble> {
        if !self.layout.is_open() {
            return Ok(());
        }
        folder::write(&self.folder, COLUMNS, &KeptColumn::all(&layout.for_destination()))
    }

    /// Keeps what was read for a person to look at.
    pub(super) fn hold(
        &self,
        snapshot: &mut Snapshot,
        weighed: &mut Weighed,
    ) -> Result<Samples, Trouble> {
        let samples = Self::samples(snapshot, weighed)?;
        let path = snapshot.stage.keep()?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let held = Held {
            run: self.tools.run,
            at: self.tools.now(),
            read_at: snapshot.read_at,
            stage: name.unwrap_or_default(),
            sum: snapshot.stage.sum()?,
            rows: snapshot.stage.rows(),
            bad: snapshot.bad,
            fingerprint: self.fingerprint.clone(),
            columns: KeptColumn::all(&snapshot.layout.columns[..snapshot.layout.made.len()]),
            cursor: snapshot.cursor.clone(),
            left: snapshot.left.clone(),
            changes: weighed.diff.changes,
            samples: samples.clone(),
            digest: weighed.diff.digest.clone(),
            tripped: weighed.verdict.tripped.clone(),
        };
        held.keep(&self.folder)?;
        Ok(samples)
    }

    /// Keys of some rows that would change.
    pub(super) fn samples(
        snapshot: &mut Snapshot,
        weighed: &mut Weighed,
    ) -> Result<Samples, Trouble> {
        let columns = &snapshot.layout.columns;
        diff::samples(&mut snapshot.stage, weighed.base.as_mut(), columns)
    }
}
