//! The `file_age` probe: whether a file is there, how old and how large it is.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::measure::{Measured, Quantity, Reading};
use super::probe::{Found, blocking};
use crate::kinds::wire::fault;
use crate::model::Fault;
use crate::yaml::{Located, section};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("age", Quantity::Time), ("size", Quantity::Size), ("exists", Quantity::Flag)];

section! {
    /// A file.
    pub struct FileProbe {
        /// The file; a relative path counts from the job's working directory. A template.
        pub path: Located<String>,
    }
}

/// Looks at a file. `may_be_absent` says that the check has an opinion on whether it exists.
pub(super) async fn read(path: PathBuf, may_be_absent: bool, now: Timestamp) -> Found {
    blocking(move || match std::fs::metadata(&path) {
        Ok(data) => match data.modified().ok().and_then(|at| Timestamp::try_from(at).ok()) {
            Some(modified) => {
                let reading = Reading::default()
                    .with("exists", Measured::Flag(true))
                    .with("age", Measured::time(age(modified, now)))
                    .with("size", Measured::size(data.len()));
                Found::values(reading)
            }
            None => Found::unknown(format!("the age of {} can't be told", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = format!("{} does not exist", path.display());
            if !may_be_absent {
                return Found::down(why, Fault::NotFound);
            }
            let reading = Reading::default()
                .with("exists", Measured::Flag(false))
                .with("age", Measured::Missing(why.clone()))
                .with("size", Measured::Missing(why));
            Found::values(reading)
        }
        Err(error) => {
            let why = format!("can't look at {}: {error}", path.display());
            Found::blind(why, fault::of_io(&error))
        }
    })
    .await
}

/// A file from the future (a clock that was set back) is new.
fn age(modified: Timestamp, now: Timestamp) -> std::time::Duration {
    now.duration_since(modified).try_into().unwrap_or_default()
}
