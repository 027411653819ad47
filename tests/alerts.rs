//! Telling people for real: over HTTP, by mail and by programs, with a store, and through the death of the
//! process.
//!
//! Owns the stage: a store, a deliverer, an HTTP server that answers by a script. Refuses to know when
//! something is to be told (`src/alerts/decide`).

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

#[path = "alerts/forms.rs"]
mod forms;
#[path = "alerts/killed.rs"]
mod killed;
#[path = "alerts/mail.rs"]
mod mail;
#[path = "alerts/programs.rs"]
mod programs;
#[path = "alerts/receiver.rs"]
mod receiver;
#[path = "alerts/stage.rs"]
mod stage;
