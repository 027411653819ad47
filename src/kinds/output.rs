//! Where an attempt's output goes: a capped file beside the store.

use std::path::PathBuf;

/// The output of one attempt.
#[derive(Clone, Debug)]
pub struct Output {
    /// `DATA_DIR/output/RUN/1000/RUN-ATTEMPT.log`
    pub path: PathBuf,
}
