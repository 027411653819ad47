//! Files as destinations: one that is replaced whole, or a folder of one file a run.
//!
//! ```text
//!  one file      .NAME.jada-new ──fsync──▶ .NAME.jada.json.next ──fsync──▶ rename to NAME ──▶ rename to
//!                the whole new content     what it will be                 the commit         NAME.jada.json
//!
//!  file a run    .FILE.jada-new ──fsync──▶ rename to FILE ──▶ _jada.json.next ──▶ rename to _jada.json
//!                the new rows              counts for nobody                      the commit
//! ```
//!
//! A reader of the plain path sees the old file or the new one, never half of one. Where the machine stops
//! between the two renames of one file, the next begin finds a file that is exactly what the prepared
//! manifest says, and finishes the commit; otherwise the prepared one goes. So rows and state are always of
//! the same commit. In a folder, a file that the manifest does not name counts for nothing and is swept.
//!
//! Owns these steps, the lock, and what a manifest says. Refuses to know the format of a file.

mod manifest;
mod place;
mod sink;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::super::columns::Column;
use super::super::diff::{Effect, Move, Work};
use super::super::ledger::Ledger;
use super::super::locked::Locked;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::{Each, Found, Layout, Moves, Shape};
use manifest::{Entry, Manifest};
use place::Place;
pub(super) use sink::Sink;

/// Rows between two looks at the stop.
const STRIDE: u64 = 1024;

/// How rows stand in a file.
pub(super) trait Format {
    /// What the names of its files end with.
    const EXTENSION: &'static str;

    /// Writes the rows of one file.
    type Writer;

    /// Begins a file.
    fn begin(sink: Sink, columns: &[Column]) -> io::Result<Self::Writer>;

    /// Adds an encoded row.
    fn row(writer: &mut Self::Writer, columns: &[Column], row: &[u8]) -> io::Result<()>;

    /// Ends a file.
    fn end(writer: Self::Writer, columns: &[Column]) -> io::Result<Sink>;

    /// Gives every row of a file, encoded; a value that its column can't have as a text. `keeps` says that
    /// the file is about to be written anew, so that a column which the job does not have would be lost.
    fn read(file: &Path, columns: &[Column], keeps: bool, each: Each<'_>) -> Result<(), Trouble>;
}

/// Under way: nobody else writes there until this is gone. Dropped, it leaves everything as it was.
pub(super) struct Session<F> {
    tools: Tools,
    place: Place,
    columns: Vec<Column>,
    files: Vec<Entry>,
    _lock: Locked,
    format: PhantomData<F>,
}

/// The rows of a work, as a file takes them.
type Rows<'a> = &'a mut dyn FnMut(Each<'_>) -> Result<(), Trouble>;

impl<F: Format> Session<F> {
    /// Locks the place, mends what a crash left, and says what is there.
    pub(super) fn begin(
        path: PathBuf,
        layout: Layout,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Self, Found), Trouble> {
        let place = Place::of(path, layout)?;
        let lock = place.lock(tools)?;
        let manifest = match layout {
            Layout::SingleFile => place.recover()?,
            Layout::FilePerRun => place.manifest()?,
        };
        let columns = shape.columns.to_vec();
        let tools = tools.clone();
        let files = Vec::new();
        let mut session = Self { tools, place, columns, files, _lock: lock, format: PhantomData };
        let ledger = session.look(manifest)?;
        let rows = session.files.iter().map(|file| file.rows).sum();
        let shows_rows = layout == Layout::SingleFile;
        Ok((session, Found { ledger, rows, shows_rows }))
    }

    /// Takes what a manifest says, where that is so; gives the ledger's text.
    fn look(
        &mut self,
        manifest: Option<Result<Manifest, String>>,
    ) -> Result<Option<String>, Trouble> {
        let manifest = match manifest {
            Some(Ok(manifest)) => manifest,
            Some(Err(text)) => {
                self.files = self.count_what_is_there()?;
                return Ok(Some(text));
            }
            None => {
                self.files = self.count_what_is_there()?;
                return Ok(None);
            }
        };
        for file in &manifest.files {
            let path = self.place.file(&file.name);
            match path.metadata() {
                Ok(data) if data.len() == file.size => {}
                Ok(_) => {
                    let path = path.display();
                    self.tools.say(&format!("jada: {path} was changed by somebody else since"));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.gone(&path, &manifest);
                }
                Err(error) => return Err(place::failed("read", &path, &error)),
            }
        }
        if self.place.layout == Layout::FilePerRun {
            self.place.sweep(F::EXTENSION, &manifest)?;
        }
        let ledger = manifest.ledger.to_string();
        self.files = manifest.files;
        Ok(Some(ledger))
    }

    /// What follows where a file is not there any more: without its rows, its state counts for nothing. Of a
    /// folder the other files still count, and that is for a person to judge.
    fn gone(&mut self, path: &Path, manifest: &Manifest) -> Result<Option<String>, Trouble> {
        let path = path.display();
        if self.place.layout == Layout::FilePerRun {
            let manifest = self.place.manifest_path();
            let message = format!(
                "{path} is gone, which {} says counts; put it back, or take it out of there",
                manifest.display()
            );
            return Err(Trouble::new(Ending::State, message));
        }
        let rows = manifest.files.iter().map(|file| file.rows).sum::<u64>();
        self.tools.say(&format!("jada: {path} is gone with its {rows} rows: it is made anew"));
        Ok(None)
    }

    /// What is there without a manifest that can be believed.
    fn count_what_is_there(&self) -> Result<Vec<Entry>, Trouble> {
        let mut entries = Vec::new();
        for name in self.place.names(F::EXTENSION)? {
            let path = self.place.file(&name);
            let mut rows = 0;
            let read = F::read(&path, &self.columns, false, &mut |_| {
                rows += 1;
                Ok(())
            });
            if read.is_err() {
                // It is something, whatever it is.
                rows = rows.max(1);
            }
            entries.push(Entry::of(name, &path, rows)?);
        }
        Ok(entries)
    }

    /// Gives every row that is there.
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        self.old(false, each)
    }

    fn old(&self, keeps: bool, each: Each<'_>) -> Result<(), Trouble> {
        let mut count = 0_u64;
        for file in &self.files {
            F::read(&self.place.file(&file.name), &self.columns, keeps, &mut |row| {
                count += 1;
                if count.is_multiple_of(STRIDE) {
                    self.tools.go_on()?;
                }
                each(row)
            })?;
        }
        Ok(())
    }

    /// Makes the work and the ledger durable, both or none.
    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        match (work.effect, self.place.layout) {
            (Effect::Keep, _) => {
                let files = self.files.clone();
                self.place.swap_manifest(&Manifest::new(ledger, files))
            }
            // What was there before stays as it is, also where it can't be compared.
            (Effect::Add, Layout::SingleFile) => self.replace_file(ledger, &mut |each| {
                self.old(true, each)?;
                added(&mut |step| work.moves(step), each)
            }),
            (_, Layout::SingleFile) => self.replace_file(ledger, &mut |each| work.whole(each)),
            (effect, Layout::FilePerRun) => {
                self.add_file(effect, ledger, &mut |each| added(&mut |step| work.moves(step), each))
            }
        }
    }

    /// Writes one file anew.
    fn replace_file(&self, ledger: &Ledger, rows: Rows<'_>) -> Result<(), Trouble> {
        let name = self.place.name().to_owned();
        let temporary = self.place.temporary(&name);
        let entry = self.write(&name, &temporary, rows)?;
        let place = &self.place;
        place.prepare_manifest(&Manifest::new(ledger, vec![entry]))?;
        self.tools.go_on()?;
        place.rename(temporary.path(), &place.file(&name))?;
        temporary.keep();
        place.adopt_manifest()
    }

    /// Adds a file; where it replaces those before, they go when the manifest does not name them any more.
    fn add_file(&self, effect: Effect, ledger: &Ledger, rows: Rows<'_>) -> Result<(), Trouble> {
        let name = self.place.free_name(ledger, F::EXTENSION);
        let temporary = self.place.temporary(&name);
        let entry = self.write(&name, &temporary, rows)?;
        let old: &[Entry] = if effect == Effect::Add { &self.files } else { &[] };
        let mut files = old.to_vec();
        self.tools.go_on()?;
        // A run that adds nothing leaves no file, but what it knows of the source.
        if entry.rows > 0 || effect != Effect::Add {
            self.place.rename(temporary.path(), &self.place.file(&name))?;
            temporary.keep();
            files.push(entry);
        }
        let manifest = Manifest::new(ledger, files);
        self.place.swap_manifest(&manifest)?;
        // It is committed: what can't be swept out now counts for nobody, and the next begin tries again.
        if let Err(trouble) = self.place.sweep(F::EXTENSION, &manifest) {
            self.tools.say(&format!("jada: it is committed; but {}", trouble.message));
        }
        Ok(())
    }

    fn write(
        &self,
        name: &str,
        temporary: &place::Temporary,
        rows: Rows<'_>,
    ) -> Result<Entry, Trouble> {
        let path = temporary.path();
        let failed = |error: io::Error| place::failed("write", path, &error);
        let sink = Sink::create(path, &self.place.file(self.place.name())).map_err(failed)?;
        let mut writer = F::begin(sink, &self.columns).map_err(failed)?;
        let mut count = 0_u64;
        rows(&mut |row| {
            count += 1;
            if count.is_multiple_of(STRIDE) {
                self.tools.go_on()?;
            }
            F::row(&mut writer, &self.columns, row).map_err(failed)
        })?;
        let written = F::end(writer, &self.columns).and_then(Sink::finish).map_err(failed)?;
        let (size, sha256) = (written.size, written.sha256);
        Ok(Entry { name: name.to_owned(), rows: count, size, sha256 })
    }
}

/// The rows of a work that only adds.
fn added(moves: Moves<'_>, each: Each<'_>) -> Result<(), Trouble> {
    moves(&mut |step| match step {
        Move::Insert(row) | Move::Update(row) => each(row),
        Move::Delete(_) => Ok(()),
    })
}

/// Whether a file is there.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A file that can't be read or written.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Trouble {
    place::failed(what, path, error)
}

/// A column of a file that the job does not have.
pub(super) fn stranger(file: &Path, name: &str) -> Trouble {
    let file = file.display();
    Trouble::destination(format!(
        "{file} has the column `{name}`, which would be lost; add it to `columns`, or write elsewhere"
    ))
    .for_good()
}
