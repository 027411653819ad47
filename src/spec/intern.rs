//! Equal parts of jobs, kept once.
//!
//! Owns the sharing: ten thousand jobs that promise the same hold one policy. Parts are found by the hash
//! of what they were written as, so that a shared part costs no decoding either. Refuses to know what a
//! part is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kinds::{Setting, Work};
use crate::model::Policy;
use crate::plan::schedule::{Lint, Schedule};

/// The parts met in one look at the jobs folder.
#[derive(Debug, Default)]
pub(super) struct Intern {
    pub policies: Parts<Policy>,
    pub settings: Parts<Setting>,
    pub schedules: Parts<Schedule>,
    pub works: Parts<Work>,
    pub labels: Parts<BTreeMap<String, String>>,
    /// What is suspicious about each schedule.
    pub lints: Parts<Vec<Lint>>,
}

/// Parts of one type by the hash of their source.
#[derive(Debug)]
pub(super) struct Parts<T>(HashMap<u64, Arc<T>>);

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Parts<T> {
    /// The part of this hash; made where it is the first.
    pub(super) fn get(&mut self, key: u64, make: impl FnOnce() -> T) -> Arc<T> {
        self.0.entry(key).or_insert_with(|| Arc::new(make())).clone()
    }

    /// The part of this hash; made where it is the first, if it can be made.
    pub(super) fn try_get(&mut self, key: u64, make: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        if let Some(known) = self.0.get(&key) {
            return Some(known.clone());
        }
        let made = Arc::new(make()?);
        self.0.insert(key, made.clone());
        Some(made)
    }
}
