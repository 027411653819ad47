//! JADA: a declarative job scheduler that lets nothing fail silently.
//!
//! Bird's-eye view. Definitions are parsed into typed jobs; a pure planner looks at (definitions,
//! stored state, now) and says what should happen next; the engine makes it so, one conditional store
//! commit at a time. Events only wake the loop; stored state decides. Restart, suspend, crash and the
//! normal case share one path.
//!
//! ```text
//!  jobs.d/*.yaml                       jadactl (unix socket)   browser (loopback, read-only)
//!       │ text                              │                     │
//!       ▼                                   ▼                     ▼
//!     yaml ──located values──▶ spec       web: api · page ─────────────┐
//!       ▲ diagnostics            │ Catalog   │ requests               │ reads
//!       │                        ▼           ▼                        │
//!   kinds decode their      engine::dispatch ◀──── clock              │
//!   own section              state → plan → commit → start            │
//!                               │      ▲        │                     ▼
//!                               │      │        └──── one transaction ▶ store
//!                               ▼      │ outcome
//!                         engine::attempt ──▶ kinds (perform)
//! ```
//!
//! The modules stand in dependency order; each imports only from above it (`tests/tidy.rs` checks).

pub mod model;

pub mod clock;

pub mod plan;

pub mod yaml;

pub mod store;

pub mod credentials;

pub mod alerts;

pub mod kinds;

pub mod spec;

pub mod diagnosis;

pub mod engine;

pub mod web;

pub mod cli;

pub mod daemon;
