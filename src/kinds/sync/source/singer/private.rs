//! The folder that a tap reads its configuration from, and what it writes back.
//!
//! Owns files that nobody else can read, and that they go with the attempt; and the changed keys of a
//! configuration (a token that was rotated), which stay. Refuses to know what they mean.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::super::super::tools::Tools;
use super::super::super::trouble::Trouble;
use crate::kinds::grant;

/// A folder of one attempt, gone with it. What a killed daemon leaves is swept with the attempt's own.
pub(super) struct Private {
    around: PathBuf,
    path: PathBuf,
}

/// A value that a tap wrote back, and a digest of what the job said then: once the job says something else,
/// that counts.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    said: String,
    value: Json,
}

/// What a tap wrote back earlier, by key.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    path: PathBuf,
    kept: BTreeMap<String, Kept>,
}

impl Private {
    pub(super) fn make(tools: &Tools) -> Result<Self, Trouble> {
        let around = grant::base(&tools.data_dir).join(format!("{}-{}", tools.run, tools.no));
        let path = around.join("tap");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| failed("make", &path, &error))?;
        Ok(Self { around, path })
    }

    /// Puts a file in, which only we can read; gives its path.
    pub(super) fn put(&self, name: &str, content: &Json) -> Result<PathBuf, Trouble> {
        let path = self.path.join(name);
        write(&path, content).map_err(|error| failed("write", &path, &error))?;
        Ok(path)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What can't be removed now is swept at the next start of the daemon.
        let _swept_later = fs::remove_dir_all(&self.path);
        let _credentials_are_in_it = fs::remove_dir(&self.around);
    }
}

impl Writeback {
    /// What was kept for a job; nothing where it writes nothing back.
    pub(super) fn of(tools: &Tools) -> Result<Self, Trouble> {
        let path = tools.folder().join("config.json");
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let path = path.display();
                let message = format!(
                    "{path}, where what the tap wrote back is kept, can't be read: {error}; remove it \
                     to begin with what the job says"
                );
                Trouble::config(message)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        Ok(Self { path, kept })
    }

    /// The configuration with what was written back since the job said the same.
    pub(super) fn apply(&self, keys: &[&str], said: &Map<String, Json>) -> Map<String, Json> {
        let mut config = said.clone();
        for key in keys {
            let Some(kept) = self.kept.get(*key) else { continue };
            if kept.said == fingerprint(said.get(*key)) {
                config.insert((*key).to_owned(), kept.value.clone());
            }
        }
        config
    }

    /// Keeps what the tap changed in its file. `said` is what the job says, `given` what the tap was given.
    pub(super) fn keep(
        mut self,
        keys: &[&str],
        said: &Map<String, Json>,
        given: (&Map<String, Json>, &Path),
    ) -> Result<usize, Trouble> {
        let (given, file) = given;
        if keys.is_empty() {
            return Ok(0);
        }
        let read = fs::read(file).map_err(|error| failed("read", file, &error))?;
        let Ok(now) = serde_json::from_slice::<Map<String, Json>>(&read) else {
            let message =
                "the tap left a configuration that is no JSON object; nothing of it is kept";
            return Err(Trouble::source(message));
        };
        let mut changed = 0;
        for key in keys {
            let Some(value) = now.get(*key).filter(|value| Some(*value) != given.get(*key)) else {
                continue;
            };
            let said = fingerprint(said.get(*key));
            self.kept.insert((*key).to_owned(), Kept { said, value: value.clone() });
            changed += 1;
        }
        if changed > 0 {
            self.save()?;
        }
        Ok(changed)
    }

    fn save(&self) -> Result<(), Trouble> {
        let new = self.path.with_extension("new");
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let saved = (|| {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            write(&new, &self.kept)?;
            fs::rename(&new, &self.path)?;
            File::open(folder)?.sync_all()
        })();
        saved.map_err(|error| failed("write", &self.path, &error))
    }
}

fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let _none_is_fine = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    serde_json::to_writer(&mut file, content)?;
    file.flush()?;
    file.sync_all()
}

fn fingerprint(value: Option<&Json>) -> String {
    let text = value.map(Json::to_string).unwrap_or_default();
    super::hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Trouble {
    Trouble::source(format!("can't {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_tap_writes_back_counts_until_the_job_says_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("sync/job/config.json"), dir.path().join("tap.json"));
        let load = || {
            let kept = fs::read(&path)
                .map_or_else(|_| BTreeMap::new(), |bytes| serde_json::from_slice(&bytes).unwrap());
            Writeback { path: path.clone(), kept }
        };
        let said = map(r#"{"refresh_token":"r1","user":"u"}"#);
        assert_eq!(load().apply(&["refresh_token"], &said), said);
        fs::write(&file, r#"{"refresh_token":"r2","user":"changed"}"#).unwrap();
        assert_eq!(load().keep(&["refresh_token"], &said, (&said, &file)).unwrap(), 1);
        let given = load().apply(&["refresh_token"], &said);
        assert_eq!(given, map(r#"{"refresh_token":"r2","user":"u"}"#));
        assert_eq!(load().keep(&["refresh_token"], &said, (&given, &file)).unwrap(), 0);
        let renewed = map(r#"{"refresh_token":"r9","user":"u"}"#);
        assert_eq!(load().apply(&["refresh_token"], &renewed), renewed);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
