//! Who a job may act as.
//!
//! ```text
//!  jada.yaml ──▶ declare ──▶ Declaration                       jadactl auth ──▶ login
//!                               │                                               │
//!   kinds ──▶ keeper ──▶ refresh (lock · journal) ──▶ providers ──▶ exchange    │
//!     ▲         │               │                        │ evidence             │
//!     │ grant   │ standings     ▼                        ▼                      ▼
//!   redact      ▼             folder ◀──────────────── record ◀─────────────────┘
//!            engine
//! ```
//!
//! Owns providers, tokens, their refresh, where they lie and what is known of each. Refuses to know jobs'
//! schedules and runs: it is asked for a token by an attempt that starts, and answers with one or with
//! the reason why there is none. The daemon and `jadactl auth` use the same code on the same files, under
//! the same lock.

pub mod audit;
pub mod declare;
pub mod evidence;
pub mod exchange;
pub mod folder;
mod forms;
pub mod horizon;
pub mod keeper;
pub mod lifecycle;
pub mod login;
pub mod mint;
pub mod nature;
pub mod operator;
pub mod providers;
pub mod record;
pub mod redact;
pub mod refresh;
pub mod seal;
pub mod secret;
pub mod shapes;
pub mod trouble;

#[cfg(test)]
#[path = "../../tests/fake/mod.rs"]
mod fake;
