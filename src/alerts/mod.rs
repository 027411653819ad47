//! Telling people: notifiers, and the outbox they are fed from.
//!
//! Owns the way from a row of the outbox to somebody's phone: when a row is told, held, merged or given up,
//! and how. Refuses to decide what is an incident (`plan::incident`) and what its cause is (`diagnosis/`).
//!
//! ```text
//!  incident ──one transaction──▶ outbox row ──▶ decide (pure) ──▶ deliver ──▶ send: webhook, email, command
//!                                   ▲             silence, window    │
//!                                   └──────── delivered, failed ─────┘   told at least once, in order
//! ```

pub mod backoff;
pub mod decide;
pub mod deliver;
pub mod desk;
pub mod item;
pub mod maintenance;
pub mod message;
pub mod pattern;
pub mod send;
pub mod settings;
pub mod template;
