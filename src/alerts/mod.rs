//! Telling people: notifiers, and the outbox they are fed from.
//!
//! Owns the way from a row of the outbox to somebody's phone: when a row is told, held, merged or given up,
//! and how. Refuses to decide what is an incident (`plan::incident`) and what its cause is (`diagnosis/`).
