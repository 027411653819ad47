//! What a check remembers from its last look, as long as the daemon lives.
//!
//! Owns the counters that only mean something beside earlier ones. Refuses to keep what a restart must not lose:
//! that is in files of the data dir.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{cpu, processes};
use crate::model::Subject;

/// Most checks that are remembered; names that are no longer declared must not add up.
const MOST: usize = 1000;

/// What checks remember.
#[derive(Debug, Default)]
pub(in crate::kinds) struct Kept {
    processors: Mutex<HashMap<Subject, cpu::Look>>,
    processes: Mutex<HashMap<Subject, processes::Look>>,
}

impl Kept {
    /// The last look at the processors.
    pub(super) fn processors(&self, check: &Subject) -> Option<cpu::Look> {
        get(&self.processors, check)
    }

    /// Keeps one.
    pub(super) fn keep_processors(&self, check: &Subject, look: cpu::Look) {
        keep(&self.processors, check, look);
    }

    /// The last look at processes.
    pub(super) fn processes(&self, check: &Subject) -> Option<processes::Look> {
        get(&self.processes, check)
    }

    /// Keeps one.
    pub(super) fn keep_processes(&self, check: &Subject, look: processes::Look) {
        keep(&self.processes, check, look);
    }
}

fn get<T: Clone>(looks: &Mutex<HashMap<Subject, T>>, check: &Subject) -> Option<T> {
    looks.lock().unwrap_or_else(PoisonError::into_inner).get(check).cloned()
}

fn keep<T>(looks: &Mutex<HashMap<Subject, T>>, check: &Subject, look: T) {
    let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
    if looks.len() >= MOST && !looks.contains_key(check) {
        looks.clear();
    }
    looks.insert(check.clone(), look);
}
