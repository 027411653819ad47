//! What a check remembers of its last look: a count to hold the next one against, a place in a log.
//!
//! Owns the file, in the data dir, and that it is the old one or the new one whatever happens. Refuses to know
//! what is in it. Verdicts are not kept here: the store has them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::probe::{Cause, Found};
use crate::kinds::wire::{self, FILES, fault};
use crate::model::JobName;

/// The memory of one check.
#[derive(Clone, Debug)]
pub(super) struct Recall(PathBuf);

impl Recall {
    /// That of a check. Names of jobs and checks are names of files too.
    pub(super) fn of(data_dir: &Path, job: &JobName, check: &str) -> Self {
        Self(data_dir.join("checks").join(job.as_str()).join(format!("{check}.json")))
    }

    /// What is remembered; nothing where nothing is, or where it can't be understood any more.
    pub(super) async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
    ) -> Result<Option<T>, Found> {
        let path = self.0.clone();
        let read = self.on_thread(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        Ok(read.await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Remembers something instead.
    pub(super) async fn write<T: Serialize>(&self, memory: &T) -> Result<(), Found> {
        let bytes = serde_json::to_vec(memory).expect("what is remembered can be written");
        let path = self.0.clone();
        self.on_thread(move || {
            let folder = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder)?;
            // After a loss of power the old one will do: what happened since is seen again.
            let new = path.with_extension("json.new");
            fs::write(&new, bytes)?;
            fs::rename(&new, &path)
        })
        .await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Found> {
        let done =
            wire::look(&FILES, work).await.unwrap_or_else(|broke| Err(io::Error::other(broke)));
        done.map_err(|error| {
            let why = format!("can't remember what was seen, in {}: {error}", self.0.display());
            Found::Unknown(why, Cause::of(fault::of_io(&error)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_seen_is_remembered_or_else_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobName::parse("pulse").unwrap();
        let recall = Recall::of(dir.path(), &job, "it");
        assert_eq!(recall.read::<u32>().await.unwrap(), None);
        recall.write(&7_u32).await.unwrap();
        recall.write(&8_u32).await.unwrap();
        assert_eq!(recall.read::<u32>().await.unwrap(), Some(8));
        // What another version wrote is nothing.
        assert_eq!(recall.read::<Vec<String>>().await.unwrap(), None);
        let file = dir.path().join("checks/pulse/other.json/x");
        fs::create_dir_all(&file).unwrap();
        let found = Recall::of(dir.path(), &job, "other").read::<u32>().await.unwrap_err();
        assert!(matches!(found, Found::Unknown(why, _) if why.contains("other.json")));
    }
}
