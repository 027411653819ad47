//! Where files lie: the names of all that belongs to one destination, and the steps between them.
//!
//! Owns names, the lock, and renames that last. Refuses to know rows.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::super::ledger::Ledger;
use super::super::super::locked::Locked;
use super::super::super::tools::Tools;
use super::super::super::trouble::{Ending, Trouble};
use super::super::Layout;
use super::manifest::Manifest;

/// How often and how long it is waited for another writer.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(500);

/// What the name of a file under way ends with.
const NEW: &str = ".jada-new";

/// A place.
pub(super) struct Place {
    dir: PathBuf,
    /// The file's name; of a folder, that of nothing.
    name: String,
    pub(super) layout: Layout,
}

/// A file under way, gone with this unless it is kept.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// It has its own name by now.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What can't be removed now is in nobody's way: the next one takes its place.
        let _in_nobodys_way = fs::remove_file(&self.0);
    }
}

impl Place {
    /// That of a path; its folder is made where it is missing.
    pub(super) fn of(path: PathBuf, layout: Layout) -> Result<Self, Trouble> {
        // A link stays, and what it points to is replaced.
        let path = path.canonicalize().unwrap_or(path);
        let config = |what: &str| Trouble::config(format!("{} {what}", path.display()));
        let (dir, name) = match layout {
            Layout::FilePerRun if path.is_file() => {
                return Err(config("is a file; `layout: file_per_run` needs a folder"));
            }
            Layout::FilePerRun => (path, String::new()),
            Layout::SingleFile if path.is_dir() => {
                return Err(config(
                    "is a folder; name a file in it, or say `layout: file_per_run`",
                ));
            }
            Layout::SingleFile => {
                let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                let name = name.ok_or_else(|| config("is no path of a file"))?;
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
                (dir.unwrap_or(Path::new(".")).to_owned(), name)
            }
        };
        fs::create_dir_all(&dir).map_err(|error| failed("make", &dir, &error))?;
        Ok(Self { dir, name, layout })
    }

    /// Takes the lock, which lies beside for ever.
    pub(super) fn lock(&self, tools: &Tools) -> Result<Locked, Trouble> {
        let path = self.dir.join(format!(".{}.jada-lock", self.stem()));
        let refused = |error: io::Error| failed("lock", &path, &error);
        for _ in 0..LOOKS {
            match Locked::take(&path).map_err(refused)? {
                Some(lock) => return Ok(lock),
                None => tools.wait(tools.clock.sleep(LOOK))?,
            }
        }
        let message = format!("another run writes {} and does not end", self.shown());
        Err(Trouble::destination(message))
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn temporary(&self, name: &str) -> Temporary {
        Temporary(self.dir.join(format!(".{name}{NEW}")))
    }

    pub(super) fn manifest_path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.stem_of_manifest()))
    }

    fn next_manifest_path(&self) -> PathBuf {
        self.dir.join(format!(".{}.json.next", self.stem_of_manifest()))
    }

    fn stem_of_manifest(&self) -> String {
        match self.layout {
            Layout::SingleFile => format!("{}.jada", self.name),
            Layout::FilePerRun => "_jada".to_owned(),
        }
    }

    fn stem(&self) -> &str {
        if self.name.is_empty() { "_jada" } else { &self.name }
    }

    fn shown(&self) -> String {
        self.dir.join(&self.name).display().to_string()
    }

    /// The files that are data, by name.
    pub(super) fn names(&self, extension: &str) -> Result<Vec<String>, Trouble> {
        if self.layout == Layout::SingleFile {
            let there = super::exists(&self.file(&self.name));
            return Ok(there.then(|| self.name.clone()).into_iter().collect());
        }
        let refused = |error: io::Error| failed("read", &self.dir, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(refused)? {
            let name = entry.map_err(refused)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let data = name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'));
            if data && !name.starts_with(['.', '_']) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A name for the file of a run: by time, then by run. Runs are counted anew with a new store.
    pub(super) fn free_name(&self, ledger: &Ledger, extension: &str) -> String {
        let at = ledger.committed_at.strftime("%Y%m%dT%H%M%SZ");
        let stem = format!("{at}-{}", ledger.run);
        let more = (2..).map(|count| format!("{stem}-{count}.{extension}"));
        let mut all = std::iter::once(format!("{stem}.{extension}")).chain(more);
        all.find(|name| !super::exists(&self.file(name))).expect("names do not end")
    }

    /// Removes files of ours that the manifest does not name, and what a crash left under way.
    pub(super) fn sweep(&self, extension: &str, manifest: &Manifest) -> Result<(), Trouble> {
        let refused = |error: io::Error| failed("read", &self.dir, &error);
        for entry in fs::read_dir(&self.dir).map_err(refused)? {
            let name = entry.map_err(refused)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let plain = name.strip_prefix('.').and_then(|name| name.strip_suffix(NEW));
            let ours = is_ours(plain.unwrap_or(name), extension);
            let counts = manifest.files.iter().any(|file| file.name == name);
            if ours && !counts {
                let path = self.file(name);
                fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    /// Reads the manifest; its text where that is none.
    pub(super) fn manifest(&self) -> Result<Option<Result<Manifest, String>>, Trouble> {
        Self::read(&self.manifest_path())
    }

    fn read(path: &Path) -> Result<Option<Result<Manifest, String>>, Trouble> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(Manifest::read(String::from_utf8_lossy(&bytes).into_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", path, &error)),
        }
    }

    /// Finishes the commit of one file that a crash cut short, or takes it back; gives the manifest then.
    pub(super) fn recover(&self) -> Result<Option<Result<Manifest, String>>, Trouble> {
        let next = self.next_manifest_path();
        if let Some(prepared) = Self::read(&next)? {
            let file = self.file(&self.name);
            let is_there = |manifest: &Manifest| manifest.files.iter().all(|entry| entry.is(&file));
            if prepared.is_ok_and(|manifest| is_there(&manifest)) {
                self.adopt_manifest()?;
            } else {
                fs::remove_file(&next).map_err(|error| failed("remove", &next, &error))?;
            }
        }
        drop(self.temporary(&self.name));
        self.manifest()
    }

    /// Puts a manifest where the next one lies.
    pub(super) fn prepare_manifest(&self, manifest: &Manifest) -> Result<(), Trouble> {
        let path = self.next_manifest_path();
        let written = (|| {
            let mut file = File::create(&path)?;
            file.write_all(manifest.text().as_bytes())?;
            file.sync_all()?;
            File::open(&self.dir)?.sync_all()
        })();
        written.map_err(|error| failed("write", &path, &error))
    }

    /// Makes the next manifest the one that counts.
    pub(super) fn adopt_manifest(&self) -> Result<(), Trouble> {
        self.rename(&self.next_manifest_path(), &self.manifest_path())
    }

    /// Puts a manifest in the place of the one before.
    pub(super) fn swap_manifest(&self, manifest: &Manifest) -> Result<(), Trouble> {
        self.prepare_manifest(manifest)?;
        self.adopt_manifest()
    }

    /// Renames, and sees to it that this lasts.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), Trouble> {
        let renamed = (|| {
            fs::rename(from, to)?;
            File::open(&self.dir)?.sync_all()
        })();
        renamed.map_err(|error| failed("rename", to, &error))
    }
}

/// Whether a name is one that a run gave: `20260301T120000Z-17.csv`.
fn is_ours(name: &str, extension: &str) -> bool {
    let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
    let Some((at, rest)) = stem.and_then(|stem| stem.split_once('-')) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = at.strip_suffix('Z').and_then(|at| at.split_once('T'));
    time.is_some_and(|(day, time)| day.len() == 8 && time.len() == 6 && digits(day) && digits(time))
        && rest.split('-').all(digits)
}

pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Trouble {
    let message = format!("can't {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Trouble::new(Ending::Permission, message),
        io::ErrorKind::InvalidData => Trouble::destination(message).for_good(),
        _ => Trouble::destination(message),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_names_that_runs_give_are_ours() {
        for (name, ours) in [
            ("20260301T120000Z-17.csv", true),
            ("20260301T120000Z-17-2.csv", true),
            ("20260301T120000Z-17.csv.bak", false),
            ("20260301T120000Z-17.jsonl", false),
            ("report-17.csv", false),
            ("20260301-17.csv", false),
            ("_jada.json", false),
        ] {
            assert_eq!(is_ours(name, "csv"), ours, "{name}");
        }
    }
}
